/* What help, manual pages and completions say alike, beside the tables of commands and options. */
#ifndef CLI_REFERENCE_H
#define CLI_REFERENCE_H

#include "cli/command.h"

#define REFERENCE_SUMMARY                                                                          \
    "searches and asks whole libraries through the attention of a landmark model"

/* A word and what it means. */
struct term {
    const char *name, *meaning;
};

/* Each ends with a row without name. */
extern const struct term reference_exit_codes[];
extern const struct term reference_variables[];
extern const struct term reference_files[];
/* Two lines of shell. */
extern const char *const reference_example[2];

/* Prints the manual page of a command, or of the whole program (NULL), in the language of man(7).
 */
void manual_print(const struct command *command);

/* Prints the completions for a shell that option_choices knows. */
void completion_print(const char *shell);

#endif
