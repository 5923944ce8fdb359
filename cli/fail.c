#include "cli/command.h"

#include <stdarg.h>
#include <stdio.h>

enum lmk_status fail(struct lmk_error *error, enum lmk_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
    error->status = status;
    return status;
}
