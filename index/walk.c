#include "index/walk.h"

#include "src/text/reader.h"

#include <errno.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void file_list_release(struct file_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->paths[i]);
    free(list->paths);
    *list = (struct file_list){0};
}

bool path_is_below(const char *path, const char *folder)
{
    size_t size = strlen(folder);
    return !strncmp(path, folder, size) && (path[size] == '/' || !strcmp(folder, "/"));
}

static enum lmk_status add(struct file_list *list, const char *path, struct lmk_error *error)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 64;
        char **paths = realloc(list->paths, capacity * sizeof *paths);
        if (!paths)
            return error_memory(error, capacity * sizeof *paths);
        list->paths = paths;
        list->capacity = capacity;
    }
    char *copy = strdup(path);
    if (!copy)
        return error_memory(error, strlen(path));
    list->paths[list->count++] = copy;
    return LMK_OK;
}

static int by_name(const FTSENT **left, const FTSENT **right)
{
    return strcmp((*left)->fts_name, (*right)->fts_name);
}

static enum lmk_status walk_folder(struct file_list *list, char *folder, struct lmk_error *error)
{
    char *roots[] = {folder, NULL};
    FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
    if (!tree)
        return error_system(error, "Cannot read the folder %s", folder);
    enum lmk_status status = LMK_OK;
    for (FTSENT *entry; !status && (errno = 0, entry = fts_read(tree));) {
        bool hidden = entry->fts_level > 0 && entry->fts_name[0] == '.';
        if (entry->fts_info == FTS_D && hidden)
            fts_set(tree, entry, FTS_SKIP);
        else if (entry->fts_info == FTS_DNR || entry->fts_info == FTS_ERR) {
            errno = entry->fts_errno;
            status = error_system(error, "Cannot read the folder %s", entry->fts_path);
        } else if (entry->fts_info == FTS_F && !hidden && reader_wants(entry->fts_path))
            status = add(list, entry->fts_path, error);
    }
    fts_close(tree);
    return status;
}

enum lmk_status walk(struct file_list *list, const char *const *paths, size_t count,
                     struct lmk_error *error)
{
    *list = (struct file_list){0};
    enum lmk_status status = LMK_OK;
    for (size_t i = 0; !status && i < count; i++) {
        struct stat information;
        char *path = realpath(paths[i], NULL);
        if (!path || stat(path, &information)) {
            status = error_system(error, "Cannot find %s", paths[i]);
            status = status == LMK_IO && (errno == ENOENT || errno == ENOTDIR)
                         ? error_set(error, LMK_INPUT, "There is no file or folder %s.", paths[i])
                         : status;
        } else
            status = S_ISDIR(information.st_mode) ? walk_folder(list, path, error)
                                                  : add(list, path, error);
        free(path);
    }
    if (status)
        file_list_release(list);
    return status;
}
