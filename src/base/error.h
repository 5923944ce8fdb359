/* Statuses with a whole sentence: what happened, where, and what the user can do. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include "lmk.h"

#include <stdarg.h>

/* Fills `error` (may be NULL) and returns `status`, so that `return error_set(...)` is one line. */
enum lmk_status error_set(struct lmk_error *error, enum lmk_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As error_set, with strerror(errno) of the call that just failed put behind a colon. LMK_IO, or
 * LMK_MEMORY for ENOMEM. */
enum lmk_status error_system(struct lmk_error *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Inline: compilers that see that it never returns LMK_OK know what was not allocated. */
static inline enum lmk_status error_memory(struct lmk_error *error, size_t bytes)
{
    error_set(error, LMK_MEMORY, "Out of memory: %zu bytes could not be allocated.", bytes);
    return LMK_MEMORY;
}

#endif
