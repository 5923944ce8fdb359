#include "cli/fail.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum lmk_status fail(struct lmk_error *error, enum lmk_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
    error->status = status;
    return status;
}

enum lmk_status fail_memory(struct lmk_error *error)
{
    return fail(error, LMK_MEMORY, "Out of memory.");
}

enum lmk_status fail_file(struct lmk_error *error, const char *doing, const char *path)
{
    return fail(error, LMK_IO, "Cannot %s %s: %s.", doing, path, strerror(errno));
}
