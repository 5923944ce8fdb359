#include "cli/command.h"
#include "cli/output.h"
#include "cli/reference.h"

#include <stdio.h>
#include <string.h>

static void show_exit_codes(void)
{
    char text[512] = "Exit codes: ";
    for (const struct term *code = reference_exit_codes; code->name; code++) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s %s%s", code->name, code->meaning,
                 code[1].name ? ", " : ".");
    }
    output_text(text, 0, 0, 0);
}

static void show_all(void)
{
    puts("lmk " REFERENCE_SUMMARY ".\n\n"
         "usage: lmk COMMAND [OPTIONS] ...\n");
    for (const struct command *command = commands; command->name; command++)
        printf("  %-8s %s\n", command->name, command->summary);
    printf("\nExample:\n  %s\n  %s\n\n", reference_example[0], reference_example[1]);
    show_exit_codes();
    puts("More: lmk help COMMAND");
}

/* The lines of a command's text: paragraphs, and examples, which begin with spaces. */
static void show_text(const char *text)
{
    for (size_t size; *text; text += size + (text[size] == '\n')) {
        char line[2048];
        size = strcspn(text, "\n");
        snprintf(line, sizeof line, "%.*s", (int)size, text);
        if (line[0] == ' ')
            puts(line);
        else
            output_text(line, 0, 0, 0);
    }
}

static void show_evaluations(const struct command *command)
{
    printf("usage: lmk eval %s [OPTIONS]\n\n%s.\n", command->words, command->summary);
    show_text(command->text);
    putchar('\n');
    for (const struct command *evaluation = eval_commands; evaluation->name; evaluation++)
        printf("  %-16s %s\n", evaluation->name, evaluation->summary);
    puts("\nMore: lmk help eval EVALUATION");
}

void help_show(const struct command *command)
{
    if (command->run == command_eval) {
        show_evaluations(command);
        return;
    }
    printf("usage: lmk %s [OPTIONS]%s%s\n\n%s.\n", command->name, command->words[0] ? " " : "",
           command->words, command->summary);
    show_text(command->text);
    puts("\nOptions:");
    arguments_help(command);
}

enum lmk_status command_help(const struct arguments *arguments, struct lmk_error *error)
{
    const char *name = arguments->word_count ? arguments->words[0] : NULL;
    const struct command *command = name ? command_find(commands, name) : NULL;
    if (name && !command)
        return command_unknown(commands, name, error);
    if (command && command->run == command_eval && arguments->word_count > 1) {
        command = command_find(eval_commands, arguments->words[1]);
        if (!command)
            return command_unknown(eval_commands, arguments->words[1], error);
    }
    if (arguments->completion)
        completion_print(arguments->completion);
    else if (arguments->manual)
        manual_print(command);
    else if (command)
        help_show(command);
    else
        show_all();
    return LMK_OK;
}
