#include "src/base/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum lmk_status mapped_file_open(struct mapped_file *file, const char *path,
                                 struct lmk_error *error)
{
    *file = (struct mapped_file){0};
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return error_system(error, "Cannot open %s", path);
    struct stat information;
    enum lmk_status status = LMK_OK;
    if (fstat(descriptor, &information))
        status = error_system(error, "Cannot read the size of %s", path);
    else if (!S_ISREG(information.st_mode))
        status = error_set(error, LMK_IO, "Cannot open %s: it is not a regular file.", path);
    else if (information.st_size > 0) {
        void *data = mmap(NULL, (size_t)information.st_size, PROT_READ, MAP_PRIVATE, descriptor, 0);
        if (data == MAP_FAILED)
            status = error_system(error, "Cannot map %s into memory", path);
        else
            *file = (struct mapped_file){data, (size_t)information.st_size};
    }
    close(descriptor);
    return status;
}

void mapped_file_close(struct mapped_file *file)
{
    if (file->data)
        munmap((void *)(uintptr_t)file->data, file->size);
    *file = (struct mapped_file){0};
}
