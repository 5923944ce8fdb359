/* lmk_reindex_model: the collection again as another model sees it, from the texts that it holds.
 *
 * The new generation grows in reindex.new, while readers use the old one, which stays as it is
 * until the new one takes its place. An interrupted run leaves it there and the next one goes on;
 * what was removed, added or moved meanwhile is followed.
 */
#include "index/blocks.h"
#include "index/generation.h"
#include "index/ingest.h"
#include "index/landmarks.h"
#include "index/lexical.h"
#include "index/segments.h"
#include "src/base/directory.h"

#include <stdlib.h>
#include <string.h>

/* A batch of texts is committed when it holds so much. */
#define BATCH_BYTES ((uint64_t)16 << 20)

struct reindexing {
    struct lmk_collection *old, next;
    struct ingest ingest;            /* of `next` */
    struct store_view *view;         /* of the old generation, which nothing changes meanwhile */
    const struct lmk_model *reads;   /* its vocabulary is that of the old generation */
    struct buffer tokens, runs;      /* of a block */
    struct buffer text, map, places; /* of a document: bytes, struct map_run, struct source_place */
    uint64_t source_end;
};

/* ------------------------------------------------------------------ a document's text */

/* Runs begin anew with each block; here only where they go on elsewhere in the source. */
static enum lmk_status append_runs(struct buffer *map, const struct block_text *block,
                                   struct lmk_error *error)
{
    enum lmk_status status = LMK_OK;
    for (size_t i = 0; !status && i < block->run_count; i++) {
        const struct map_run *run = &block->runs[i],
                             *known = (const struct map_run *)(const void *)map->data;
        size_t count = map->size / sizeof *known;
        if (!count || run->source - run->text != known[count - 1].source - known[count - 1].text)
            status = buffer_append(map, run, sizeof *run, error);
    }
    return status;
}

static enum lmk_status append_place(struct buffer *places, const struct block_text *block,
                                    struct lmk_error *error)
{
    const struct source_place place = {block->source_start, block->place},
                              *known = (const struct source_place *)(const void *)places->data;
    size_t count = places->size / sizeof place;
    if (count ? known[count - 1].place == place.place : !place.place)
        return LMK_OK;
    return buffer_append(places, &place, sizeof place, error);
}

static enum lmk_status load_block(struct reindexing *reindexing, const struct document *document,
                                  uint64_t index, struct lmk_error *error)
{
    struct block_text block;
    buffer_clear(&reindexing->tokens);
    buffer_clear(&reindexing->runs);
    enum lmk_status status =
        store_block_text(reindexing->view, document->first_block + index, &reindexing->tokens,
                         &reindexing->runs, &block, error);
    if (status || (status = append_runs(&reindexing->map, &block, error)) ||
        (status = append_place(&reindexing->places, &block, error)))
        return status;
    reindexing->source_end = block.source_end;
    return tokenizer_decode(reindexing->reads->tokenizer, block.tokens, block.token_count,
                            index == 0, &reindexing->text, error);
}

/* True if the text is the one that the document was named by. The identity that may be part of that
 * name (`_id` of JSON lines) ends its path. */
static enum lmk_status check_hash(const struct document *document, const struct buffer *text,
                                  bool *same, struct lmk_error *error)
{
    unsigned char hash[HASH128_BYTES];
    const char *identity = "";
    do {
        enum lmk_status status =
            document_hash((const char *)text->data, text->size, identity, hash, error);
        if (status)
            return status;
        *same = !memcmp(hash, document->hash, sizeof hash);
        identity = strchr(*identity ? identity : document->path, '/');
        identity = identity ? identity + 1 : NULL;
    } while (!*same && identity && *identity);
    return LMK_OK;
}

static enum lmk_status other_vocabulary(const struct reindexing *reindexing,
                                        const struct document *document, struct lmk_error *error)
{
    const char *path = reindexing->old->path;
    if (reindexing->old->model)
        return error_set(
            error, LMK_CORRUPT,
            "The text of %s in %s is not the one that was indexed. Remove the document "
            "and index it again.",
            document->path, path);
    return error_set(error, LMK_MODEL,
                     "The texts of %s are stored as tokens of the model %s, and %s has another "
                     "vocabulary. Name the old model too: lmk reindex -c %s --model NEW --from OLD",
                     path, store_settings(reindexing->old->store)->model_name,
                     reindexing->next.model->name, path);
}

static enum lmk_status load_text(struct reindexing *reindexing, const struct document *document,
                                 struct lmk_error *error)
{
    bool same = false;
    enum lmk_status status = LMK_OK;
    buffer_clear(&reindexing->text);
    buffer_clear(&reindexing->map);
    buffer_clear(&reindexing->places);
    for (uint64_t i = 0; !status && i < document->block_count; i++)
        status = load_block(reindexing, document, i, error);
    if (!status)
        status = check_hash(document, &reindexing->text, &same, error);
    return status || same ? status : other_vocabulary(reindexing, document, error);
}

/* ------------------------------------------------------------------ texts */

static enum lmk_status add_document(struct reindexing *reindexing, struct store_batch *batch,
                                    const struct document *old, struct lmk_error *error)
{
    enum lmk_status status = load_text(reindexing, old, error);
    if (status)
        return status;
    const struct normalised_text text = {
        .text = (char *)reindexing->text.data,
        .size = reindexing->text.size,
        .runs = (struct map_run *)(void *)reindexing->map.data,
        .run_count = reindexing->map.size / sizeof(struct map_run),
        .source_size = reindexing->source_end,
    };
    struct document_blocks blocks;
    if ((status = document_blocks_make(&blocks, reindexing->next.model, &text, error)))
        return status;
    document_blocks_place(&blocks, &text,
                          (const struct source_place *)(void *)reindexing->places.data,
                          reindexing->places.size / sizeof(struct source_place));
    struct document document = *old;
    document.block_count = blocks.block_count;
    document.token_count = blocks.token_count;
    store_skip_documents(batch, old->id);
    status = store_add_document(batch, &document, blocks.blocks, error);
    document_blocks_release(&blocks);
    reindexing->ingest.progress.tokens += document.token_count;
    return status;
}

/* One batch of documents from `*id` on, which moves behind them; `*more`: there are others. */
static enum lmk_status add_batch(struct reindexing *reindexing, uint64_t *id, bool *more,
                                 struct lmk_error *error)
{
    struct lmk_progress *progress = &reindexing->ingest.progress;
    struct document document;
    struct store_batch *batch;
    uint64_t bytes = 0;
    enum lmk_status status = store_batch_begin(reindexing->next.store, &batch, error),
                    stopped = LMK_OK;
    if (status)
        return status;
    while (!stopped && bytes < BATCH_BYTES &&
           !(status = store_next_document(reindexing->view, *id, &document, error)) &&
           !(status = add_document(reindexing, batch, &document, error))) {
        *id = document.id + 1;
        bytes += document.text_bytes;
        progress->documents++;
        progress->document = document.path;
        stopped = ingest_report(&reindexing->ingest, error);
    }
    *more = !status;
    if (status && status != LMK_NOT_FOUND) {
        store_abort(batch);
        return status;
    }
    status = store_commit(batch, stopped ? NULL : error);
    return status ? status : stopped;
}

static enum lmk_status add_documents(struct reindexing *reindexing, struct lmk_error *error)
{
    struct store_view *view;
    struct store_counts old, next;
    enum lmk_status status = store_counts(reindexing->view, &old, error);
    if (status || (status = store_view_begin(reindexing->next.store, &view, error)))
        return status;
    status = store_counts(view, &next, error);
    store_view_end(view);
    reindexing->ingest.progress = (struct lmk_progress){
        .stage = "texts", .documents = next.documents, .documents_total = old.documents};
    reindexing->ingest.stage_started = ingest_clock();
    uint64_t id = next.next_document;
    for (bool more = true; !status && more;)
        status = add_batch(reindexing, &id, &more, error);
    return status;
}

/* ------------------------------------------------------------------ what changed meanwhile */

/* Between two runs documents may have gone from the old generation, and moved. */
static enum lmk_status follow_documents(struct reindexing *reindexing, struct store_view *view,
                                        struct store_batch *batch, struct lmk_error *error)
{
    struct document document, old;
    enum lmk_status status;
    for (uint64_t id = 0; !(status = store_next_document(view, id, &document, error));
         id = document.id + 1) {
        status = store_document(reindexing->view, document.id, &old, error);
        if (status == LMK_NOT_FOUND)
            status = store_remove_document(batch, document.id, error);
        else if (!status && strcmp(old.path, document.path) != 0)
            status = store_set_path(batch, document.id, old.path, error);
        if (status)
            return status;
    }
    return status == LMK_NOT_FOUND ? LMK_OK : status;
}

struct following {
    struct store_view *old; /* NULL: put, not remove */
    struct store_batch *batch;
};

static enum lmk_status follow_source(void *context, const char *path,
                                     const struct source_record *record, struct lmk_error *error)
{
    struct following *following = context;
    struct source_record old;
    if (!following->old)
        return store_put_source(following->batch, path, record, error);
    enum lmk_status status = store_source(following->old, path, &old, error);
    return status == LMK_NOT_FOUND ? store_remove_source(following->batch, path, error) : status;
}

static enum lmk_status follow_all(struct reindexing *reindexing, struct store_view *view,
                                  struct store_batch *batch, struct lmk_error *error)
{
    struct store_counts counts;
    struct following gone = {reindexing->view, batch}, there = {NULL, batch};
    enum lmk_status status = follow_documents(reindexing, view, batch, error);
    if (!status)
        status = store_visit_sources(view, follow_source, &gone, error);
    if (!status)
        status = store_visit_sources(reindexing->view, follow_source, &there, error);
    if (!status)
        status = store_counts(reindexing->view, &counts, error);
    if (!status)
        store_skip_documents(batch, counts.next_document);
    return status;
}

static enum lmk_status follow(struct reindexing *reindexing, struct lmk_error *error)
{
    struct store_view *view;
    struct store_batch *batch;
    struct store *store = reindexing->next.store;
    enum lmk_status status = store_view_begin(store, &view, error);
    if (status)
        return status;
    if (!(status = store_batch_begin(store, &batch, error))) {
        status = follow_all(reindexing, view, batch, error);
        if (status)
            store_abort(batch);
    }
    store_view_end(view);
    return status ? status : store_commit(batch, error);
}

/* ------------------------------------------------------------------ the new generation */

/* What an interrupted run left, if it was made for this model; LMK_NOT_FOUND: nothing of use. */
static enum lmk_status open_left(struct lmk_collection *next, const char *ann,
                                 struct lmk_error *error)
{
    enum lmk_status status = store_open(&next->store, next->directory, true, error);
    if (status)
        return status == LMK_COLLECTION || status == LMK_CORRUPT ? LMK_NOT_FOUND : status;
    const struct store_settings *settings = store_settings(next->store);
    if (settings->normalise_version == NORMALISE_VERSION && !strcmp(settings->ann, ann) &&
        !memcmp(settings->fingerprint, next->model->fingerprint, HASH128_BYTES))
        return LMK_OK;
    store_close(next->store);
    next->store = NULL;
    return LMK_NOT_FOUND;
}

static enum lmk_status open_next(struct lmk_collection *next,
                                 const struct store_settings *old_settings, struct lmk_error *error)
{
    const struct model_shape *shape = &next->model->shape;
    struct store_settings settings = collection_settings(next->model, old_settings->tier);
    enum lmk_status status = LMK_OK;
    if (old_settings->ann[0])
        status =
            landmarks_factory(old_settings->ann, model_landmark_width(shape), settings.ann, error);
    if (status || (status = open_left(next, settings.ann, error)) != LMK_NOT_FOUND)
        return status;
    if (!(status = generation_remove(next->path, NEXT_REINDEX, error)) &&
        !(status = generation_make_directories(next->directory, error)))
        status = store_create(&next->store, next->directory, &settings, error);
    return status;
}

static enum lmk_status build(struct reindexing *reindexing, struct lmk_error *error)
{
    enum lmk_status status = store_view_begin(reindexing->old->store, &reindexing->view, error);
    if (!status)
        status = add_documents(reindexing, error);
    if (!status)
        status = follow(reindexing, error);
    store_view_end(reindexing->view);
    if (!status)
        status = ingest_finish(&reindexing->ingest, error);
    return status ? status : directory_sync(reindexing->next.directory, error);
}

static enum lmk_status run(struct reindexing *reindexing, struct lmk_error *error)
{
    struct lmk_collection *next = &reindexing->next;
    enum lmk_status status = open_next(next, store_settings(reindexing->old->store), error);
    if (status)
        return status;
    buffer_init(&reindexing->tokens, 1 << 20);
    buffer_init(&reindexing->runs, 1 << 24);
    buffer_init(&reindexing->text, SIZE_MAX / 2);
    buffer_init(&reindexing->map, SIZE_MAX / 2);
    buffer_init(&reindexing->places, SIZE_MAX / 2);
    status = build(reindexing, error);
    collection_close_generation(next);
    buffer_release(&reindexing->tokens);
    buffer_release(&reindexing->runs);
    buffer_release(&reindexing->text);
    buffer_release(&reindexing->map);
    buffer_release(&reindexing->places);
    return status;
}

static enum lmk_status check_other(const struct lmk_collection *collection,
                                   const struct lmk_model *model, struct lmk_error *error)
{
    const struct store_settings *settings = store_settings(collection->store);
    if (memcmp(settings->fingerprint, model->fingerprint, HASH128_BYTES) != 0)
        return LMK_OK;
    return error_set(error, LMK_USAGE,
                     "%s is indexed with the model %s already. Name another one with --model, or a "
                     "kind of landmark index with --ann.",
                     collection->path, settings->model_name);
}

enum lmk_status lmk_reindex_model(struct lmk_collection *collection, const struct lmk_model *model,
                                  const struct lmk_index_options *options,
                                  struct lmk_index_report *report, struct lmk_error *error)
{
    struct lmk_index_report unused;
    report = report ? report : &unused;
    *report = (struct lmk_index_report){0};
    enum lmk_status status = collection_needs_write(collection, error);
    if (status || (status = check_other(collection, model, error)))
        return status;
    struct reindexing reindexing = {
        .old = collection,
        .next = {.path = collection->path, .model = model, .effort = 1, .lock = collection->lock},
        .ingest = {.options = options, .report = report, .started = ingest_clock()},
        .reads = collection->model ? collection->model : model,
    };
    reindexing.ingest.collection = &reindexing.next;
    reindexing.next.directory = collection_join(collection->path, NEXT_REINDEX);
    if (!reindexing.next.directory)
        return error_memory(error, strlen(collection->path));
    status = run(&reindexing, error);
    free(reindexing.next.directory);
    report->seconds = ingest_clock() - reindexing.ingest.started;
    if (status == LMK_INTERRUPTED && report->out_of_time)
        return LMK_OK;
    if (status)
        return status;
    collection->model = model;
    return collection_switch(collection, NEXT_REINDEX, error);
}
