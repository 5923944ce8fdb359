#include "cli/command.h"

#include <stdio.h>
#include <string.h>

static void show_all(void)
{
    puts("lmk searches and asks whole libraries through the attention of a landmark model.\n\n"
         "usage: lmk COMMAND [OPTIONS] ...\n");
    for (const struct command *command = commands; command->name; command++)
        printf("  %-8s %s\n", command->name, command->summary);
    puts("\nExample:\n"
         "  lmk index -c library.lmk ~/books\n"
         "  lmk search -c library.lmk \"the murder of the old pawnbroker\"\n\n"
         "Exit codes: 0 done, 1 nothing found, 2 usage, 3 unreadable input, 4 model, 5 collection, "
         "6 damaged data,\n"
         "7 reading or writing failed, 8 another writer, 9 out of memory, 10 interrupted.\n"
         "More: lmk help COMMAND");
}

enum lmk_status command_help(const struct arguments *arguments, struct lmk_error *error)
{
    if (!arguments->word_count) {
        show_all();
        return LMK_OK;
    }
    for (const struct command *command = commands; command->name; command++) {
        if (strcmp(command->name, arguments->words[0]))
            continue;
        printf("usage: lmk %s [OPTIONS] %s\n\n%s.\n", command->name, command->words,
               command->summary);
        if (command->text[0])
            printf("%s\n", command->text);
        puts("\nOptions:");
        arguments_help(command);
        return LMK_OK;
    }
    return fail(error, LMK_USAGE, "\"%s\" is not a command. See: lmk help", arguments->words[0]);
}
