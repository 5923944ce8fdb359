/* Room on the disk. */
#ifndef INDEX_SPACE_H
#define INDEX_SPACE_H

#include "src/base/error.h"

/* What the file system that holds `path` has left for this user. LMK_IO. */
enum lmk_status space_available(const char *path, uint64_t *bytes, struct lmk_error *error);

/* LMK_IO with a sentence where there is less available than needed; `what` is done there, such as
 * "Compacting". */
enum lmk_status space_check(const struct lmk_space *space, const char *what, const char *path,
                            struct lmk_error *error);

#endif
