/* Directories on disk. */
#ifndef BASE_DIRECTORY_H
#define BASE_DIRECTORY_H

#include "src/base/error.h"

/* Makes the names in a directory last through a power cut: what was created or renamed in it.
 * LMK_IO. */
enum lmk_status directory_sync(const char *path, struct lmk_error *error);

/* The same for what a file holds. LMK_IO. */
enum lmk_status file_sync(const char *path, struct lmk_error *error);

#endif
