#include "index/space.h"

#include <sys/statvfs.h>

enum lmk_status space_available(const char *path, uint64_t *bytes, struct lmk_error *error)
{
    struct statvfs information;
    if (statvfs(path, &information))
        return error_system(error, "Cannot tell the free space at %s", path);
    *bytes = (uint64_t)information.f_bavail * information.f_frsize;
    return LMK_OK;
}

enum lmk_status space_check(const struct lmk_space *space, const char *what, const char *path,
                            struct lmk_error *error)
{
    if (space->needed <= space->available)
        return LMK_OK;
    return error_set(error, LMK_IO,
                     "%s %s needs %.1f GB of disk space, and %.1f GB are free. Nothing was done: "
                     "free some space first.",
                     what, path, (double)space->needed / 1e9, (double)space->available / 1e9);
}
