/* Manual pages, written in the language of man(7) from the tables of commands and options. */
#include "cli/reference.h"

#include <stdio.h>
#include <string.h>

/* Prints text so that roff takes none of it for a command. */
static void print_escaped(const char *text)
{
    if (*text == '.' || *text == '\'')
        fputs("\\&", stdout);
    for (; *text; text++) {
        if (*text == '\\')
            fputs("\\e", stdout);
        else if (*text == '-')
            fputs("\\-", stdout);
        else if (*text == '~')
            fputs("\\(ti", stdout);
        else if (*text == '^')
            fputs("\\(ha", stdout);
        else
            putchar(*text);
    }
}

static void print_title(const char *command, const char *summary)
{
    const char *separator = command ? "-" : "";
    command = command ? command : "";
    printf(".TH \"LMK%s", separator);
    for (const char *at = command; *at; at++)
        putchar(*at >= 'a' && *at <= 'z' ? *at - 'a' + 'A' : *at);
    printf("\" 1 \"\" \"lmk %s\" \"User Commands\"\n.SH NAME\nlmk%s%s \\- ", LMK_VERSION,
           separator[0] ? "\\-" : "", command);
    print_escaped(summary);
    putchar('\n');
}

static void print_synopsis(const struct command *command)
{
    puts(".SH SYNOPSIS");
    if (command && command->run == command_eval) {
        puts(".B lmk eval\n\\fIEVALUATION\\fR [\\fIOPTIONS\\fR]");
        return;
    }
    printf(".B lmk %s\n[\\fIOPTIONS\\fR]", command ? command->name : "\\fICOMMAND\\fP");
    if (!command || command->words[0]) {
        fputs(" \\fI", stdout);
        print_escaped(command ? command->words : "...");
        fputs("\\fR", stdout);
    }
    putchar('\n');
}

/* Each line of a command's text is a paragraph; examples keep their layout. */
static void print_text(const char *text)
{
    const char *first = text;
    for (size_t size; *text; text += size + (text[size] == '\n')) {
        size = strcspn(text, "\n");
        char line[2048];
        snprintf(line, sizeof line, "%.*s", (int)size, text);
        bool example = line[0] == ' ';
        if (text != first)
            puts(".PP");
        if (example)
            puts(".nf\n.RS");
        print_escaped(line + strspn(line, " "));
        puts(example ? "\n.RE\n.fi" : "");
    }
}

static void print_options(const struct command *command)
{
    for (const struct option_row *row = option_rows; row->name; row++) {
        if (!command_takes(command, row))
            continue;
        fputs(".TP\n", stdout);
        if (row->letter <= 255)
            printf("\\fB\\-%c\\fR, ", row->letter);
        fputs("\\fB\\-\\-", stdout);
        print_escaped(row->name);
        printf("\\fR%s%s%s\n", row->argument ? " \\fI" : "", row->argument ? row->argument : "",
               row->argument ? "\\fR" : "");
        print_escaped(row->help);
        if (option_variable(row) && command_has_default(command, row))
            printf(" (or set \\fB%s\\fR)", option_variable(row));
        putchar('\n');
    }
}

static void print_evaluations(void)
{
    for (const struct command *command = eval_commands; command->name; command++) {
        printf(".SH \"");
        for (const char *at = command->name; *at; at++)
            putchar(*at >= 'a' && *at <= 'z' ? *at - 'a' + 'A' : *at);
        puts("\"");
        print_text(command->text);
        print_options(command);
    }
}

static void print_terms(const char *heading, const struct term *terms)
{
    printf(".SH %s\n", heading);
    for (; terms->name; terms++) {
        fputs(".TP\n.B ", stdout);
        print_escaped(terms->name);
        putchar('\n');
        print_escaped(terms->meaning);
        putchar('\n');
    }
}

static void print_see_also(const struct command *command)
{
    fputs(".SH \"SEE ALSO\"\n", stdout);
    if (command)
        fputs(".BR lmk (1)", stdout);
    for (const struct command *other = commands; other->name; other++)
        if (other != command)
            printf("%s.BR lmk\\-%s (1)", command || other != commands ? ",\n" : "", other->name);
    putchar('\n');
}

static void print_program(void)
{
    puts(".SH DESCRIPTION\n"
         "A landmark model reads books in blocks of 63 words or parts of words; its attention "
         "finds\n"
         "the blocks that a question needs. lmk keeps what the model made of each block on disk, "
         "and\n"
         "searches it together with the words. Everything runs on this machine.");
    puts(".SH COMMANDS");
    for (const struct command *command = commands; command->name; command++) {
        printf(".TP\n.BR lmk\\-%s (1)\n", command->name);
        print_escaped(command->summary);
        putchar('\n');
    }
    puts(".SH EXAMPLE\n.nf");
    for (int i = 0; i < 2; i++) {
        print_escaped(reference_example[i]);
        putchar('\n');
    }
    puts(".fi");
    print_terms("ENVIRONMENT", reference_variables);
    print_terms("FILES", reference_files);
}

void manual_print(const struct command *command)
{
    print_title(command ? command->name : NULL, command ? command->summary : REFERENCE_SUMMARY);
    print_synopsis(command);
    if (command) {
        puts(".SH DESCRIPTION");
        print_text(command->text[0] ? command->text : command->summary);
        if (command->run == command_eval) {
            print_evaluations();
        } else {
            puts(".SH OPTIONS");
            print_options(command);
        }
    } else {
        print_program();
    }
    print_terms("\"EXIT STATUS\"", reference_exit_codes);
    print_see_also(command);
}
