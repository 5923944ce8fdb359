/* The files that a list of paths stands for. */
#ifndef INDEX_WALK_H
#define INDEX_WALK_H

#include "src/base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* What tells a file that has changed. */
struct file_state {
    uint64_t size;
    int64_t modified_ns; /* since 1970 */
};

struct file {
    char *path;              /* owned, absolute */
    struct file_state state; /* when it was found; of standard input nothing */
};

struct file_list {
    struct file *files;
    size_t count, capacity;
};

/* False: it cannot be looked at. */
bool file_look(const char *path, struct file_state *state);

/* Who is told of what is left out below a folder: a sentence that names it. */
struct walk_sink {
    void *context;
    void (*skip)(void *context, const char *path, const struct lmk_error *fault);
};

/* Named files are taken whatever their suffix; folders are walked in order of names, and give the
 * files that lmk reads, and symbolic links to such files (hidden ones left out; of a book in a
 * Calibre folder one format). The sink is told of folders that cannot be read and of links to
 * folders, which are not followed, so that the walk ends. "-" stands for standard input. Errors:
 * LMK_INPUT (a path does not exist), LMK_IO, LMK_MEMORY. */
enum lmk_status walk(struct file_list *list, const char *const *paths, size_t count,
                     const struct walk_sink *sink, struct lmk_error *error);
/* True where `path` goes on from `folder`, which may also be a file that documents are in. */
bool path_is_below(const char *path, const char *folder);
void file_list_release(struct file_list *list);

#endif
