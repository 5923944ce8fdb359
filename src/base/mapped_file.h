/* A whole file, mapped read-only. */
#ifndef BASE_MAPPED_FILE_H
#define BASE_MAPPED_FILE_H

#include "src/base/error.h"

struct mapped_file {
    const unsigned char *data; /* valid until closed; NULL for an empty file */
    size_t size;
};

/* Errors: LMK_IO (missing, a directory, no permission), LMK_MEMORY. */
enum lmk_status mapped_file_open(struct mapped_file *file, const char *path,
                                 struct lmk_error *error);
void mapped_file_close(struct mapped_file *file);

#endif
