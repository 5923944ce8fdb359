/* A picture of what an answer read: the documents as bars, the blocks read as marks in them. */
#ifndef CLI_PICTURE_H
#define CLI_PICTURE_H

#include "lmk.h"

/* Writes an SVG to `path`. Errors: LMK_IO, LMK_MEMORY, what lmk_list says. */
enum lmk_status picture_write(const char *path, const char *question,
                              const struct lmk_answer *answer, struct lmk_collection *collection,
                              struct lmk_error *error);

#endif
