#include "index/generation.h"

#include "index/collection.h"
#include "src/base/directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PREFIX "generation-"
enum { DIGITS = 6 };

/* The number of "generation-000001", 0 for any other name. */
static uint64_t number_of(const char *name)
{
    const char *digits = name + strlen(PREFIX);
    if (strncmp(name, PREFIX, strlen(PREFIX)) || strlen(digits) < DIGITS ||
        strspn(digits, "0123456789") != strlen(digits))
        return 0;
    return strtoull(digits, NULL, 10);
}

/* ------------------------------------------------------------------ CURRENT */

/* The name that a line holds, its line feed cut off; NULL: none. */
static const char *generation_named(char *line)
{
    size_t size = strcspn(line, "\n");
    if (line[size] != '\n' || line[size + 1])
        return NULL;
    line[size] = '\0';
    return number_of(line) ? line : NULL;
}

enum lmk_status generation_read(const char *path, char **generation, struct lmk_error *error)
{
    char *name = collection_join(path, "CURRENT");
    if (!name)
        return error_memory(error, strlen(path));
    FILE *file = fopen(name, "re");
    if (!file) {
        int code = errno;
        enum lmk_status status = code == ENOENT || code == ENOTDIR
                                     ? LMK_NOT_FOUND
                                     : error_system(error, "Cannot open %s", name);
        free(name);
        return status;
    }
    char line[64] = "";
    size_t size = fread(line, 1, sizeof line - 1, file);
    fclose(file);
    line[size] = '\0';
    enum lmk_status status = LMK_OK;
    const char *found = strlen(line) == size ? generation_named(line) : NULL;
    if (!found)
        status = error_set(
            error, LMK_CORRUPT,
            "%s does not name a generation. Write the name of the newest generation-… directory "
            "beside it into it, followed by a line feed.",
            name);
    else if (!(*generation = strdup(found)))
        status = error_memory(error, size);
    free(name);
    return status;
}

enum lmk_status generation_write(const char *path, const char *generation, struct lmk_error *error)
{
    char *name = collection_join(path, "CURRENT"),
         *temporary = collection_join(path, "CURRENT.tmp");
    enum lmk_status status = LMK_OK;
    FILE *file = name && temporary ? fopen(temporary, "we") : NULL;
    if (!file)
        status = error_system(error, "Cannot write %s/CURRENT", path);
    else {
        bool written =
            fprintf(file, "%s\n", generation) > 0 && !fflush(file) && !fsync(fileno(file));
        written = !fclose(file) && written;
        if (!written || rename(temporary, name))
            status = error_system(error, "Cannot write %s", name);
    }
    free(name);
    free(temporary);
    return status ? status : directory_sync(path, error);
}

/* ------------------------------------------------------------------ directories */

static enum lmk_status make_directory(const char *path, struct lmk_error *error)
{
    if (!mkdir(path, 0777) || errno == EEXIST)
        return LMK_OK;
    return error_system(error, "Cannot make the directory %s", path);
}

enum lmk_status generation_make_directories(const char *directory, struct lmk_error *error)
{
    enum lmk_status status = make_directory(directory, error);
    char *landmarks = collection_join(directory, "landmarks");
    if (!landmarks)
        return error_memory(error, strlen(directory));
    if (!status)
        status = make_directory(landmarks, error);
    free(landmarks);
    return status;
}

bool generation_is_unborn(const char *path)
{
    DIR *directory = opendir(path);
    if (!directory)
        return false;
    bool empty = true;
    for (struct dirent *entry; empty && (entry = readdir(directory));)
        empty = !strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") ||
                !strcmp(entry->d_name, "writer.lock") || !strcmp(entry->d_name, "CURRENT.tmp") ||
                !strcmp(entry->d_name, FIRST_GENERATION);
    closedir(directory);
    return empty;
}

/* Removes what is in a folder, and in the folders in it. */
static bool empty_directory(int descriptor)
{
    DIR *directory = fdopendir(descriptor);
    if (!directory) {
        close(descriptor);
        return false;
    }
    bool emptied = true;
    for (struct dirent *entry; (entry = readdir(directory));) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        if (!unlinkat(dirfd(directory), entry->d_name, 0))
            continue;
        int inner = openat(dirfd(directory), entry->d_name,
                           O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        emptied = inner >= 0 && empty_directory(inner) &&
                  !unlinkat(dirfd(directory), entry->d_name, AT_REMOVEDIR) && emptied;
    }
    closedir(directory);
    return emptied;
}

static bool remove_tree(const char *path)
{
    int descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0)
        return errno == ENOENT;
    /* A directory without it is no generation any more, whatever else is left. */
    bool gone = !unlinkat(descriptor, "data.mdb", 0) || errno == ENOENT;
    return empty_directory(descriptor) && gone && !rmdir(path);
}

enum lmk_status generation_remove(const char *path, const char *name, struct lmk_error *error)
{
    char *directory = collection_join(path, name);
    if (!directory)
        return error_memory(error, strlen(path));
    enum lmk_status status = remove_tree(directory)
                                 ? LMK_OK
                                 : error_system(error, "Cannot remove the directory %s", directory);
    free(directory);
    return status;
}

/* Every process that has a store open holds a shared lock on the first byte of its lock file (LMDB
 * does that). While this holds the other kind, no process can open it either: it finds the store
 * gone, and looks at CURRENT again. */
static void remove_unused(const char *path, const char *name)
{
    char *lock_name;
    if (asprintf(&lock_name, "%s/%s/lock.mdb", path, name) < 0)
        return;
    int descriptor = open(lock_name, O_RDWR | O_CLOEXEC);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
    bool missing = descriptor < 0 && errno == ENOENT;
    if (missing || (descriptor >= 0 && !fcntl(descriptor, F_OFD_SETLK, &lock)))
        generation_remove(path, name, NULL);
    if (descriptor >= 0)
        close(descriptor);
    free(lock_name);
}

/* ------------------------------------------------------------------ from one to the next */

static bool has_store(int directory, const char *generation)
{
    char *name;
    if (asprintf(&name, "%s/data.mdb", generation) < 0)
        return false;
    bool there = !faccessat(directory, name, F_OK, 0);
    free(name);
    return there;
}

static enum lmk_status newest(const char *path, char **generation, struct lmk_error *error)
{
    DIR *directory = opendir(path);
    if (!directory)
        return error_system(error, "Cannot read the directory %s", path);
    enum lmk_status status = LMK_OK;
    for (struct dirent *entry; !status && (entry = readdir(directory));) {
        if (number_of(entry->d_name) <= number_of(*generation) ||
            !has_store(dirfd(directory), entry->d_name))
            continue;
        free(*generation);
        if (!(*generation = strdup(entry->d_name)))
            status = error_memory(error, sizeof entry->d_name);
    }
    closedir(directory);
    return status;
}

enum lmk_status generation_settle(const char *path, char **generation, struct lmk_error *error)
{
    uint64_t named = number_of(*generation);
    enum lmk_status status = newest(path, generation, error);
    if (!status && number_of(*generation) != named)
        status = generation_write(path, *generation, error);
    return status;
}

void generation_clean(const char *path, const char *generation)
{
    generation_remove(path, NEXT_COMPACT, NULL);
    DIR *directory = opendir(path);
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        uint64_t number = number_of(entry->d_name);
        if (number && number < number_of(generation))
            remove_unused(path, entry->d_name);
    }
    if (directory)
        closedir(directory);
}

enum lmk_status generation_switch(const char *path, const char *next, char **generation,
                                  struct lmk_error *error)
{
    char *name, *from = collection_join(path, next), *to = NULL;
    if (asprintf(&name, PREFIX "%0*" PRIu64, DIGITS, number_of(*generation) + 1) < 0)
        name = NULL;
    if (name)
        to = collection_join(path, name);
    enum lmk_status status = LMK_OK;
    if (!from || !to)
        status = error_memory(error, strlen(path));
    else if (rename(from, to))
        status = error_system(error, "Cannot rename %s to %s", from, to);
    else if (!(status = directory_sync(path, error)))
        status = generation_write(path, name, error);
    free(from);
    free(to);
    if (status) {
        free(name);
        return status;
    }
    free(*generation);
    *generation = name;
    return LMK_OK;
}
