#include "index/ingest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct pruning {
    char **roots; /* owned, absolute */
    size_t root_count;
    struct store_batch *batch;
    uint64_t removed;
};

/* True where the path is a root or lies in one. */
static bool is_in_roots(const struct pruning *pruning, const char *path)
{
    for (size_t i = 0; i < pruning->root_count; i++)
        if (!strcmp(path, pruning->roots[i]) || path_is_below(path, pruning->roots[i]))
            return true;
    return false;
}

/* Only what is known not to exist has gone; a folder that may not be read has not. */
static bool has_gone(const char *path)
{
    struct stat information;
    return stat(path, &information) && (errno == ENOENT || errno == ENOTDIR);
}

/* The document whose path leads to a file that has gone gets another path, or goes where no other
 * file has its text. */
static enum lmk_status drop_document(struct pruning *pruning, uint64_t id, struct lmk_error *error)
{
    const char *other;
    enum lmk_status status =
        store_source_of_document(store_batch_view(pruning->batch), id, &other, error);
    if (status == LMK_NOT_FOUND) {
        pruning->removed++;
        return store_remove_document(pruning->batch, id, error);
    }
    if (status)
        return status;
    char *path = strdup(other); /* the map may move under it */
    if (!path)
        return error_memory(error, strlen(other));
    status = store_set_path(pruning->batch, id, path, error);
    free(path);
    return status;
}

/* Documents that were in a file with several. */
static enum lmk_status drop_below(struct pruning *pruning, const char *gone,
                                  struct lmk_error *error)
{
    struct document document;
    enum lmk_status status;
    for (uint64_t id = 0;
         !(status = store_next_document(store_batch_view(pruning->batch), id, &document, error));
         id = document.id + 1)
        if (path_is_below(document.path, gone) &&
            (status = drop_document(pruning, document.id, error)))
            return status;
    return status == LMK_NOT_FOUND ? LMK_OK : status;
}

static enum lmk_status prune_source(void *context, const char *path,
                                    const struct source_record *record, struct lmk_error *error)
{
    struct pruning *pruning = context;
    struct document document;
    if (!is_in_roots(pruning, path) || !has_gone(path))
        return LMK_OK;
    enum lmk_status status = store_remove_source(pruning->batch, path, error);
    if (!status && !record->document)
        return drop_below(pruning, path, error);
    if (!status)
        status =
            store_document(store_batch_view(pruning->batch), record->document, &document, error);
    if (status || strcmp(document.path, path))
        return status;
    return drop_document(pruning, document.id, error);
}

/* Sources are read from a view of what is committed, while the batch changes them. */
static enum lmk_status prune(struct pruning *pruning, struct store *store, struct lmk_error *error)
{
    struct store_view *view;
    enum lmk_status status = store_view_begin(store, &view, error);
    if (status)
        return status;
    if (!(status = store_batch_begin(store, &pruning->batch, error))) {
        status = store_visit_sources(view, prune_source, pruning, error);
        if (status)
            store_abort(pruning->batch);
        else
            status = store_commit(pruning->batch, error);
    }
    store_view_end(view);
    return status;
}

enum lmk_status ingest_prune(struct ingest *ingest, const char *const *paths, size_t count,
                             struct lmk_error *error)
{
    struct pruning pruning = {.roots = calloc(count, sizeof *pruning.roots)};
    enum lmk_status status = pruning.roots ? LMK_OK : error_memory(error, count);
    while (!status && pruning.root_count < count) {
        char *root = realpath(paths[pruning.root_count], NULL);
        if (root)
            pruning.roots[pruning.root_count++] = root;
        else
            status = error_system(error, "Cannot find %s", paths[pruning.root_count]);
    }
    if (!status)
        status = prune(&pruning, ingest->collection->store, error);
    if (!status)
        ingest->report->documents_pruned = pruning.removed;
    for (size_t i = 0; i < pruning.root_count; i++)
        free(pruning.roots[i]);
    free(pruning.roots);
    return status;
}
