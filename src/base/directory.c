#include "src/base/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum lmk_status directory_sync(const char *path, struct lmk_error *error)
{
    int descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0)
        return error_system(error, "Cannot open the directory %s", path);
    enum lmk_status status = LMK_OK;
    /* Some file systems cannot sync directories, and need not. */
    if (fsync(descriptor) && errno != EINVAL)
        status = error_system(error, "Cannot write the directory %s to disk", path);
    close(descriptor);
    return status;
}

enum lmk_status file_sync(const char *path, struct lmk_error *error)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return error_system(error, "Cannot open %s", path);
    enum lmk_status status = LMK_OK;
    if (fsync(descriptor))
        status = error_system(error, "Cannot write %s to disk", path);
    close(descriptor);
    return status;
}
