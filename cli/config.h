/* The configuration file: $XDG_CONFIG_HOME/lmk/config, lines "name = value". */
#ifndef CLI_CONFIG_H
#define CLI_CONFIG_H

#include "lmk.h"

/* A line of the file; name and value live as long as the program. */
struct setting {
    const char *name, *value;
    const char *file;
    unsigned line;
};

/* Calls `set` with each setting, in order, until it fails; nothing where there is no file. "#"
 * begins a comment line. Errors: LMK_USAGE (a line of another form), LMK_IO, what `set` returns. */
enum lmk_status config_read(enum lmk_status (*set)(void *context, const struct setting *setting,
                                                   struct lmk_error *error),
                            void *context, struct lmk_error *error);

#endif
