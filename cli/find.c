/* The command that a word names, and what is said where there is none, with the command that may
 * have been meant. */
#include "cli/command.h"

#include <string.h>

#define LONGEST 32

/* The word that names it in its table. */
static const char *word_of(const struct command *command)
{
    const char *space = strrchr(command->name, ' ');
    return space ? space + 1 : command->name;
}

const struct command *command_find(const struct command *table, const char *word)
{
    for (const struct command *command = table; command->name; command++)
        if (!strcmp(word_of(command), word))
            return command;
    return NULL;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Letters to insert, leave out, replace or swap with their neighbour until one word, of at most
 * LONGEST bytes as the other, is the other. */
static size_t count_edits(const char *from, const char *to)
{
    size_t edits[LONGEST + 1][LONGEST + 1], rows = strlen(from), columns = strlen(to);
    for (size_t i = 0; i <= rows; i++)
        for (size_t j = 0; j <= columns; j++) {
            edits[i][j] = i + j;
            if (!i || !j)
                continue;
            edits[i][j] = least(edits[i - 1][j], edits[i][j - 1]) + 1;
            edits[i][j] = least(edits[i][j], edits[i - 1][j - 1] + (from[i - 1] != to[j - 1]));
            if (i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1])
                edits[i][j] = least(edits[i][j], edits[i - 2][j - 2] + 1);
        }
    return edits[rows][columns];
}

/* The name nearest to `word`, with no more than a third of its letters wrong, or NULL. */
static const char *nearest(const struct command *table, const char *word)
{
    const char *found = NULL;
    size_t fewest = strlen(word) > LONGEST ? 0 : SIZE_MAX;
    for (const struct command *command = table; command->name; command++) {
        const char *name = word_of(command);
        size_t edits = fewest ? count_edits(word, name) : 0;
        if (edits < fewest && 3 * edits <= strlen(name)) {
            found = name;
            fewest = edits;
        }
    }
    return found;
}

enum lmk_status command_unknown(const struct command *table, const char *word,
                                struct lmk_error *error)
{
    const char *meant = nearest(table, word);
    bool evaluation = table == eval_commands;
    return fail(error, LMK_USAGE, "\"%s\" is not %s.%s%s%s See: lmk help%s", word,
                evaluation ? "an evaluation" : "a command", meant ? " Did you mean \"" : "",
                meant ? meant : "", meant ? "\"?" : "", evaluation ? " eval" : "");
}
