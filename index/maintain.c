/* Looking after a collection: list, info, remove, verify. */
#include "index/lexical.h"
#include "index/segments.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum lmk_status lmk_list(struct lmk_collection *collection,
                         bool (*visit)(void *context, const struct lmk_document *document),
                         void *context, struct lmk_error *error)
{
    struct store_view *view;
    struct document document;
    enum lmk_status status = store_view_begin(collection->store, &view, error);
    if (status)
        return status;
    for (uint64_t id = 0; !(status = store_next_document(view, id, &document, error));
         id = document.id + 1) {
        struct lmk_document shown = collection_public_document(&document);
        if (!visit(context, &shown))
            break;
    }
    store_view_end(view);
    return status == LMK_NOT_FOUND ? LMK_OK : status;
}

enum lmk_status lmk_info(struct lmk_collection *collection, struct lmk_info *info,
                         struct lmk_error *error)
{
    const struct store_settings *settings = store_settings(collection->store);
    struct store_counts counts;
    struct store_sizes sizes;
    struct store_view *view;
    struct buffer segments;
    buffer_init(&segments, SIZE_MAX / 2);
    enum lmk_status status = store_view_begin(collection->store, &view, error);
    if (status)
        return status;
    if (!(status = store_counts(view, &counts, error)) &&
        !(status = store_sizes(view, &sizes, error)) &&
        !(status = store_segments(view, &segments, error))) {
        *info = (struct lmk_info){
            .format_version = STORE_FORMAT_VERSION,
            .model_name = settings->model_name,
            .fingerprint = collection->fingerprint,
            .tier = collection_tier_name(settings->tier),
            .generation = collection->generation,
            .documents = counts.documents,
            .documents_ready = counts.documents_ready,
            .blocks = counts.blocks,
            .blocks_ready = counts.blocks_ready,
            .tokens = counts.tokens,
            .source_bytes = counts.source_bytes,
            .text_bytes = counts.text_bytes,
            .bytes_text = sizes.text,
            .bytes_landmarks = sizes.landmarks,
            .bytes_keys_values = sizes.keys_values,
            .bytes_other = sizes.other,
            .bytes_file = sizes.file,
        };
        const struct segment_record *records = (const struct segment_record *)segments.data;
        for (size_t i = 0; i < segments.size / sizeof *records; i++) {
            info->segments++;
            info->segment_blocks += records[i].part == SEGMENT_JOINT ? records[i].vector_count : 0;
            info->bytes_segments += records[i].size;
        }
        struct lexical *lexical;
        info->bytes_words = lexical_bytes(collection);
        if (!lexical_of(collection, &lexical, NULL))
            lexical_documents(lexical, &info->documents_words, NULL);
    }
    store_view_end(view);
    buffer_release(&segments);
    return status;
}

/* ------------------------------------------------------------------ removing */

/* At the path, or in the file there. */
static bool is_at(const struct document *document, const char *path)
{
    size_t size = strlen(path);
    return size && !strncmp(document->path, path, size) &&
           (!document->path[size] || document->path[size] == '/');
}

static bool is_meant(const struct document *document, const char *what, uint64_t id,
                     const char *path)
{
    return document->id == id || is_at(document, what) || (path && is_at(document, path)) ||
           !strcmp(document->title, what);
}

/* A file that it was in will be read again when it is named to be indexed. */
static enum lmk_status remove_document(struct store_batch *batch, const struct document *document,
                                       struct lmk_error *error)
{
    char *path = strdup(document->path), *slash;
    enum lmk_status status = path ? LMK_OK : error_memory(error, strlen(document->path) + 1);
    while (!status && (slash = strrchr(path, '/')) && slash != path) {
        *slash = '\0';
        status = store_remove_source(batch, path, error);
    }
    free(path);
    return status ? status : store_remove_document(batch, document->id, error);
}

/* The absolute path, which may lead into a file that holds several documents; owned, NULL: none. */
static char *absolute_path(const char *what)
{
    char *folder = strdup(what), *slash, *real = NULL, *path = NULL;
    size_t size = strlen(what);
    while (folder && size && !(real = realpath(folder, NULL)) && (slash = strrchr(folder, '/'))) {
        *slash = '\0';
        size = (size_t)(slash - folder);
    }
    if (real && asprintf(&path, "%s%s", real, what + size) < 0)
        path = NULL;
    free(real);
    free(folder);
    return path;
}

static enum lmk_status remove_matching(struct store_view *view, struct store_batch *batch,
                                       const char *what, uint64_t *removed, struct lmk_error *error)
{
    char *end;
    errno = 0;
    uint64_t id = strtoull(what, &end, 10);
    if (errno || *end || end == what)
        id = 0; /* no document has it */
    char *path = absolute_path(what);
    struct document document;
    enum lmk_status status = LMK_OK;
    uint64_t next = 0;
    while (!status && what[0] && !(status = store_next_document(view, next, &document, error))) {
        next = document.id + 1;
        if (!is_meant(&document, what, id, path))
            continue;
        status = remove_document(batch, &document, error);
        ++*removed;
    }
    free(path);
    return status == LMK_NOT_FOUND ? LMK_OK : status;
}

enum lmk_status lmk_remove(struct lmk_collection *collection, const char *what, uint64_t *removed,
                           struct lmk_error *error)
{
    struct store_view *view;
    struct store_batch *batch;
    *removed = 0;
    enum lmk_status status = collection_needs_write(collection, error);
    if (status || (status = store_view_begin(collection->store, &view, error)))
        return status;
    if (!(status = store_batch_begin(collection->store, &batch, error))) {
        status = remove_matching(view, batch, what, removed, error);
        if (!status && !*removed)
            status = error_set(
                error, LMK_NOT_FOUND,
                "%s has no document with the id, path or title \"%s\". See: lmk list -c %s",
                collection->path, what, collection->path);
        if (status)
            store_abort(batch);
        else
            status = store_commit(batch, error);
    }
    store_view_end(view);
    if (status && status != LMK_NOT_FOUND)
        return status;
    /* Also where nothing was removed: an interrupted run may have done that, and no more. */
    enum lmk_status updated = lexical_update(collection, NULL, NULL, status ? NULL : error);
    return status ? status : updated;
}

/* ------------------------------------------------------------------ verifying */

struct counting {
    void (*problem)(void *context, const char *sentence);
    void *context;
    uint64_t count;
};

static void count_problem(void *context, const char *sentence)
{
    struct counting *counting = context;
    counting->count++;
    if (counting->problem)
        counting->problem(counting->context, sentence);
}

enum lmk_status lmk_verify(struct lmk_collection *collection,
                           void (*problem)(void *context, const char *sentence), void *context,
                           struct lmk_verify_report *report, struct lmk_error *error)
{
    struct lmk_verify_report unused;
    struct counting counting = {problem, context, 0};
    struct store_verification store = {0};
    struct store_view *view;
    report = report ? report : &unused;
    *report = (struct lmk_verify_report){0};
    enum lmk_status status = store_view_begin(collection->store, &view, error);
    if (status)
        return status;
    status = store_verify(view, count_problem, &counting, &store, error);
    if (!status)
        status =
            segments_verify(collection, view, count_problem, &counting, &report->segments, error);
    if (!status)
        status = lexical_verify(collection, view, count_problem, &counting,
                                &report->documents_words, error);
    store_view_end(view);
    report->documents = store.documents;
    report->blocks = store.blocks;
    report->values_checked = store.values;
    report->problems = counting.count;
    report->pages = store.pages;
    if (!status && counting.count)
        status = error_set(
            error, LMK_CORRUPT, "%s is damaged in %llu place%s. %s", collection->path,
            (unsigned long long)counting.count, counting.count == 1 ? "" : "s",
            store.pages ? "Restore it from a copy, or index the texts again."
                        : "What can be made again from the texts, lmk verify --repair makes; "
                          "documents that it still names have to be removed and indexed "
                          "again.");
    return status;
}
