/* Temporary folders. */
#ifndef CLI_EVAL_FOLDER_H
#define CLI_EVAL_FOLDER_H

#include "lmk.h"

/* Makes a folder of its own below $TMPDIR or /tmp. The path is the caller's. LMK_IO. */
enum lmk_status folder_make(char **path, struct lmk_error *error);
/* Removes it with everything in it, and frees the path; NULL is fine. */
void folder_remove(char *path);

#endif
