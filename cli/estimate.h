/* `lmk index --estimate`: what indexing would take. */
#ifndef CLI_ESTIMATE_H
#define CLI_ESTIMATE_H

#include "cli/command.h"

/* Prints it for the files and folders that the command names, and changes nothing. */
enum lmk_status estimate_show(const struct arguments *arguments,
                              const struct lmk_index_options *options, struct lmk_error *error);

#endif
