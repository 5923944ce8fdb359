#include "src/base/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void fill(struct lmk_error *error, enum lmk_status status, const char *format,
                 va_list arguments)
{
    if (!error)
        return;
    /* The sentence may quote the message that is being replaced. */
    char message[sizeof error->message];
    vsnprintf(message, sizeof message, format, arguments);
    error->status = status;
    memcpy(error->message, message, sizeof message);
}

enum lmk_status error_set(struct lmk_error *error, enum lmk_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fill(error, status, format, arguments);
    va_end(arguments);
    return status;
}

/* What a person can do about it. */
static const char *advice(int code)
{
    switch (code) {
    case EACCES:
    case EPERM:
        return " Check the permissions.";
    case EROFS:
        return " Copy it to a place that can be written first.";
    case ENOSPC:
    case EDQUOT:
        return " Free disk space and run it again.";
    case EIO:
        return " Check the disk.";
    default:
        return "";
    }
}

enum lmk_status error_system(struct lmk_error *error, const char *format, ...)
{
    int code = errno;
    enum lmk_status status = code == ENOMEM ? LMK_MEMORY : LMK_IO;
    va_list arguments;
    va_start(arguments, format);
    fill(error, status, format, arguments);
    va_end(arguments);
    if (error) {
        size_t used = strlen(error->message);
        snprintf(error->message + used, sizeof error->message - used, ": %s.%s", strerror(code),
                 advice(code));
    }
    return status;
}

const char *lmk_status_name(enum lmk_status status)
{
    static const char *const names[] = {"ok",    "not_found",  "usage",       "input",
                                        "model", "collection", "corrupt",     "io",
                                        "busy",  "memory",     "interrupted", "reader"};
    size_t index = (size_t)status;
    return index < sizeof names / sizeof names[0] ? names[index] : "unknown";
}
