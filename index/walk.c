#include "index/walk.h"

#include "src/text/reader.h"

#include <errno.h>
#include <fts.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

void file_list_release(struct file_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->files[i].path);
    free(list->files);
    *list = (struct file_list){0};
}

bool path_is_below(const char *path, const char *folder)
{
    size_t size = strlen(folder);
    return !strncmp(path, folder, size) && (path[size] == '/' || !strcmp(folder, "/"));
}

static struct file_state state_of(const struct stat *information)
{
    return (struct file_state){(uint64_t)information->st_size,
                               (int64_t)information->st_mtim.tv_sec * 1000000000 +
                                   information->st_mtim.tv_nsec};
}

bool file_look(const char *path, struct file_state *state)
{
    struct stat information;
    if (stat(path, &information))
        return false;
    *state = state_of(&information);
    return true;
}

/* `information` of the file itself; NULL: there is none. */
static enum lmk_status add(struct file_list *list, const char *path, const struct stat *information,
                           struct lmk_error *error)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 64;
        struct file *files = realloc(list->files, capacity * sizeof *files);
        if (!files)
            return error_memory(error, capacity * sizeof *files);
        list->files = files;
        list->capacity = capacity;
    }
    char *copy = strdup(path);
    if (!copy)
        return error_memory(error, strlen(path));
    list->files[list->count++] =
        (struct file){copy, information ? state_of(information) : (struct file_state){0}};
    return LMK_OK;
}

static int by_name(const FTSENT **left, const FTSENT **right)
{
    return strcmp((*left)->fts_name, (*right)->fts_name);
}

static void skip_unreadable(const struct walk_sink *sink, const FTSENT *entry)
{
    struct lmk_error fault;
    errno = entry->fts_errno;
    error_system(&fault, "%s cannot be read", entry->fts_path);
    sink->skip(sink->context, entry->fts_path, &fault);
}

/* Links to files are taken, as the files themselves would be. */
static enum lmk_status add_link(struct file_list *list, const char *path,
                                const struct walk_sink *sink, struct lmk_error *error)
{
    struct stat target;
    struct lmk_error fault;
    bool found = !stat(path, &target);
    if (found && S_ISREG(target.st_mode))
        return reader_wants(path) ? add(list, path, &target, error) : LMK_OK;
    if (found && S_ISDIR(target.st_mode))
        error_set(&fault, LMK_INPUT, "%s is a link to a folder: name the folder to read it too.",
                  path);
    else if (!found && reader_knows_suffix(path))
        error_system(&fault, "%s is a link that cannot be followed", path);
    else
        return LMK_OK;
    sink->skip(sink->context, path, &fault);
    return LMK_OK;
}

static enum lmk_status walk_folder(struct file_list *list, char *folder,
                                   const struct walk_sink *sink, struct lmk_error *error)
{
    char *roots[] = {folder, NULL};
    FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
    if (!tree)
        return error_system(error, "Cannot read the folder %s", folder);
    enum lmk_status status = LMK_OK;
    for (FTSENT *entry; !status && (errno = 0, entry = fts_read(tree));) {
        bool hidden = entry->fts_level > 0 && entry->fts_name[0] == '.';
        if (hidden)
            fts_set(tree, entry, FTS_SKIP);
        else if (entry->fts_info == FTS_DNR || entry->fts_info == FTS_ERR ||
                 entry->fts_info == FTS_NS)
            skip_unreadable(sink, entry);
        else if (entry->fts_info == FTS_SL || entry->fts_info == FTS_SLNONE)
            status = add_link(list, entry->fts_path, sink, error);
        else if (entry->fts_info == FTS_F && reader_wants(entry->fts_path))
            status = add(list, entry->fts_path, entry->fts_statp, error);
    }
    if (!status && errno)
        status = error_system(error, "Cannot read the folder %s", folder);
    fts_close(tree);
    return status;
}

/* ---- Calibre's folders: a book in several formats, and metadata.opf */

static size_t folder_size(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) : 0;
}

static bool is_calibre(const char *path)
{
    char beside[PATH_MAX];
    int size = snprintf(beside, sizeof beside, "%.*s/metadata.opf", (int)folder_size(path), path);
    return size < PATH_MAX && access(beside, F_OK) == 0;
}

/* How well a format keeps what a book is: smaller is better. */
static int format_rank(const char *path)
{
    static const char *const best_first[] = {".epub", ".xhtml", ".html", ".htm", ".md", ".txt"};
    const int count = sizeof best_first / sizeof best_first[0];
    const char *dot = strrchr(path, '.');
    int rank = 0;
    while (rank < count && (!dot || strcasecmp(dot, best_first[rank]) != 0))
        rank++;
    return rank;
}

/* True for the same name but for the suffix. */
static bool is_same_book(const char *one, const char *other)
{
    const char *dot = strrchr(one, '.'), *other_dot = strrchr(other, '.');
    return dot && other_dot && dot - one == other_dot - other &&
           !strncmp(one, other, (size_t)(dot - one));
}

/* Of a book's formats in a Calibre folder one stays. A folder's files stand together in the list,
 * from `first` on. */
static void choose_formats(struct file_list *list, size_t first)
{
    size_t kept = first;
    for (size_t i = first; i < list->count; i++) {
        struct file file = list->files[i], *last = kept > first ? &list->files[kept - 1] : NULL;
        if (!last || !is_same_book(last->path, file.path) || !is_calibre(file.path))
            list->files[kept++] = file;
        else if (format_rank(file.path) < format_rank(last->path)) {
            free(last->path);
            *last = file;
        } else
            free(file.path);
    }
    list->count = kept;
}

enum lmk_status walk(struct file_list *list, const char *const *paths, size_t count,
                     const struct walk_sink *sink, struct lmk_error *error)
{
    *list = (struct file_list){0};
    enum lmk_status status = LMK_OK;
    for (size_t i = 0; !status && i < count; i++) {
        struct stat information = {0};
        if (!strcmp(paths[i], "-")) {
            status = add(list, "-", NULL, error);
            continue;
        }
        size_t first = list->count;
        char *path = realpath(paths[i], NULL);
        if (!path || stat(path, &information)) {
            status = error_system(error, "Cannot find %s", paths[i]);
            status = status == LMK_IO && (errno == ENOENT || errno == ENOTDIR)
                         ? error_set(error, LMK_INPUT, "There is no file or folder %s.", paths[i])
                         : status;
        } else
            status = S_ISDIR(information.st_mode) ? walk_folder(list, path, sink, error)
                                                  : add(list, path, &information, error);
        if (!status && S_ISDIR(information.st_mode))
            choose_formats(list, first);
        free(path);
    }
    if (status)
        file_list_release(list);
    return status;
}
