/* Errors of the program: the counterpart of the library's own. */
#ifndef CLI_FAIL_H
#define CLI_FAIL_H

#include "lmk.h"

/* Fills `error` with a sentence and returns `status`. */
enum lmk_status fail(struct lmk_error *error, enum lmk_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* LMK_MEMORY, with a sentence. */
enum lmk_status fail_memory(struct lmk_error *error);
/* LMK_IO: "Cannot read FILE: " and what the system says in errno; `doing` is "read", "write". */
enum lmk_status fail_file(struct lmk_error *error, const char *doing, const char *path);

#endif
