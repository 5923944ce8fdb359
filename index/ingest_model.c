#include "index/ingest.h"

#include "index/space.h"
#include "src/base/order.h"
#include "src/model/indexer.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

/* Blocks of one run of the model: enough rows that the matrix products reach their full speed. */
#define RUN_BLOCKS 16
/* Blocks of one batch: a few dozen megabytes, and at most some twenty seconds of work that a crash
 * can cost. */
#define BATCH_BLOCKS 512

/* A document that is being run. Short ones share a run of the model. */
struct running {
    struct stream *stream;
    uint64_t id, next; /* block that is run next */
    uint64_t wanted;   /* results are kept from this block on; those before are stored already */
};

struct model_stage {
    struct ingest *ingest;
    struct indexer *indexer;
    struct store_view *view;
    struct store_batch *batch;
    struct running running[RUN_BLOCKS];
    size_t running_count;
    struct buffer waiting; /* uint64_t: documents that are not started yet, the next one last */
    size_t batch_blocks;
    uint32_t *tokens;     /* [RUN_BLOCKS][N] */
    float *landmark_keys; /* [RUN_BLOCKS][M][G][W] */
    float *keys, *values; /* [RUN_BLOCKS][M][G][N][W] */
    struct buffer block_tokens, block_runs;
};

/* One run: which blocks of which documents. */
struct run_item {
    struct document document;
    uint64_t first; /* block within the document */
    size_t blocks;
    size_t dropped; /* of the blocks, the first ones, whose results are not kept */
    size_t at;      /* place in the run */
};

static const struct model_shape *shape_of(const struct model_stage *stage)
{
    return &stage->ingest->collection->model->shape;
}

/* A document of which an interrupted run stored some blocks goes on behind them. */
static enum lmk_status start_running(struct model_stage *stage, const struct document *document,
                                     struct lmk_error *error)
{
    struct running *running = &stage->running[stage->running_count];
    uint64_t before = indexer_blocks_before(stage->indexer);
    *running = (struct running){.id = document->id};
    enum lmk_status status = store_blocks_done(stage->view, document, &running->wanted, error);
    if (status)
        return status;
    running->next = running->wanted > before ? running->wanted - before : 0;
    if (!(status = stream_open(&running->stream, stage->indexer, error)))
        stage->running_count++;
    return status;
}

/* True for a document that the model is to run over. */
static bool waits(const struct ingest *ingest, const struct document *document)
{
    return document->state != DOCUMENT_READY &&
           (!ingest->only_count || bsearch(&document->id, ingest->only, ingest->only_count,
                                           sizeof *ingest->only, order_numbers));
}

/* True for a document that is to be run before the others. */
static bool comes_first(const struct ingest *ingest, const struct document *document)
{
    const struct lmk_index_options *options = ingest->options;
    if (!options || !options->first)
        return false;
    const char *texts[] = {document->path, document->title};
    for (size_t i = 0; i < 2; i++)
        if (strcasestr(texts[i], options->first) ||
            !fnmatch(options->first, texts[i], FNM_CASEFOLD))
            return true;
    return false;
}

/* Starts the next document that waits. */
static enum lmk_status start_document(struct model_stage *stage, struct lmk_error *error)
{
    struct document document;
    uint64_t id;
    stage->waiting.size -= sizeof id;
    memcpy(&id, stage->waiting.data + stage->waiting.size, sizeof id);
    enum lmk_status status = store_document(stage->view, id, &document, error);
    return status ? status : start_running(stage, &document, error);
}

static enum lmk_status load_tokens(struct model_stage *stage, const struct run_item *item,
                                   struct lmk_error *error)
{
    size_t n = shape_of(stage)->block_tokens;
    for (size_t i = 0; i < item->blocks; i++) {
        struct block_text text;
        buffer_clear(&stage->block_tokens);
        buffer_clear(&stage->block_runs);
        enum lmk_status status =
            store_block_text(stage->view, item->document.first_block + item->first + i,
                             &stage->block_tokens, &stage->block_runs, &text, error);
        if (status)
            return status;
        uint32_t *tokens = stage->tokens + (item->at + i) * n;
        memcpy(tokens, text.tokens, text.token_count * sizeof *tokens);
        for (size_t t = text.token_count; t < n; t++)
            tokens[t] = shape_of(stage)->padding_id;
        if (i >= item->dropped)
            stage->ingest->progress.tokens += text.token_count;
    }
    return LMK_OK;
}

/* Fills a run with blocks: as many as the oldest running document has, then the next. */
static enum lmk_status plan_run(struct model_stage *stage, struct run_item items[RUN_BLOCKS],
                                size_t *count, struct lmk_error *error)
{
    size_t used = 0;
    *count = 0;
    for (size_t i = 0; used < RUN_BLOCKS; i++) {
        if (i == stage->running_count && stage->waiting.size) {
            enum lmk_status status = start_document(stage, error);
            if (status)
                return status;
        }
        if (i == stage->running_count)
            return LMK_OK;
        struct run_item *item = &items[(*count)++];
        enum lmk_status status =
            store_document(stage->view, stage->running[i].id, &item->document, error);
        if (status)
            return status;
        const struct running *running = &stage->running[i];
        uint64_t left = item->document.block_count - running->next,
                 before = running->wanted > running->next ? running->wanted - running->next : 0;
        item->first = running->next;
        item->blocks = left < RUN_BLOCKS - used ? (size_t)left : RUN_BLOCKS - used;
        item->dropped = before < item->blocks ? (size_t)before : item->blocks;
        item->at = used;
        used += item->blocks;
        if ((status = load_tokens(stage, item, error)))
            return status;
    }
    return LMK_OK;
}

static void run_model(struct model_stage *stage, const struct run_item *items, size_t count)
{
    const struct model_shape *shape = shape_of(stage);
    size_t landmark = model_landmark_width(shape), block = landmark * shape->block_tokens;
    struct indexer_item work[RUN_BLOCKS];
    for (size_t i = 0; i < count; i++)
        work[i] = (struct indexer_item){
            .stream = stage->running[i].stream,
            .tokens = stage->tokens + items[i].at * shape->block_tokens,
            .blocks = items[i].blocks,
            .landmark_keys = stage->landmark_keys + items[i].at * landmark,
            .keys = stage->keys + items[i].at * block,
            .values = stage->values + items[i].at * block,
        };
    double before = ingest_clock();
    indexer_run(stage->indexer, work, count);
    stage->ingest->report->model_seconds += ingest_clock() - before;
}

static enum lmk_status keep_results(struct model_stage *stage, const struct run_item *items,
                                    size_t count, struct lmk_error *error)
{
    const struct model_shape *shape = shape_of(stage);
    size_t landmark = model_landmark_width(shape), block = landmark * shape->block_tokens, kept = 0;
    for (size_t i = 0; i < count; i++) {
        const struct run_item *item = &items[i];
        struct running running = stage->running[i];
        size_t at = item->at + item->dropped;
        enum lmk_status status = store_put_blocks(
            stage->batch, &item->document, item->document.first_block + item->first + item->dropped,
            item->blocks - item->dropped, stage->landmark_keys + at * landmark,
            stage->keys + at * block, stage->values + at * block, error);
        running.next += item->blocks;
        bool complete = running.next == item->document.block_count;
        if (!status && complete) {
            status = store_set_state(stage->batch, running.id, DOCUMENT_READY, error);
            stage->ingest->progress.documents++;
            stage->ingest->report->documents++;
        }
        if (status)
            return status;
        stage->batch_blocks += item->blocks;
        if (complete) {
            stream_close(running.stream);
            stage->running[i].stream = NULL;
        } else
            stage->running[kept++] = running;
    }
    stage->running_count = kept;
    return LMK_OK;
}

static enum lmk_status run_batch(struct model_stage *stage, enum lmk_status *stopped,
                                 struct lmk_error *error)
{
    struct lmk_progress *progress = &stage->ingest->progress;
    stage->batch_blocks = 0;
    while (stage->batch_blocks < BATCH_BLOCKS && !*stopped) {
        struct run_item items[RUN_BLOCKS];
        size_t count;
        enum lmk_status status = plan_run(stage, items, &count, error);
        if (status || !count)
            return status;
        progress->document = items[0].document.path;
        run_model(stage, items, count);
        if ((status = keep_results(stage, items, count, error)))
            return status;
        *stopped = ingest_report(stage->ingest, error);
        progress->document = NULL;
    }
    return LMK_OK;
}

static enum lmk_status run_batches(struct model_stage *stage, struct lmk_error *error)
{
    struct store *store = stage->ingest->collection->store;
    enum lmk_status status = LMK_OK, stopped = LMK_OK;
    while (!status && !stopped && (stage->waiting.size || stage->running_count)) {
        if ((status = store_view_begin(store, &stage->view, error)))
            break;
        if (!(status = store_batch_begin(store, &stage->batch, error))) {
            status = run_batch(stage, &stopped, error);
            if (status)
                store_abort(stage->batch);
        }
        store_view_end(stage->view);
        if (!status)
            status = store_commit(stage->batch, stopped ? NULL : error);
    }
    return status ? status : stopped;
}

/* Only the last block of a document has fewer than N tokens. */
enum lmk_status ingest_add_work(struct ingest_work *work, struct store_view *view,
                                const struct store_settings *settings,
                                const struct document *document, struct lmk_error *error)
{
    uint64_t done;
    enum lmk_status status = store_blocks_done(view, document, &done, error);
    if (status)
        return status;
    work->documents++;
    if (done * settings->block_tokens < document->token_count)
        work->tokens += document->token_count - done * settings->block_tokens;
    work->bytes += (document->block_count - done) * store_block_bytes(settings, document->tier);
    return LMK_OK;
}

/* Hours of work are not begun that would end with a full disk. */
static enum lmk_status check_space(const struct ingest *ingest, uint64_t needed,
                                   struct lmk_error *error)
{
    uint64_t available;
    const char *path = ingest->collection->path;
    enum lmk_status status = space_available(path, &available, error);
    if (status || needed <= available)
        return status;
    return error_set(error, LMK_IO,
                     "Indexing what waits in %s needs %.2f GB of disk space, and %.2f GB are free. "
                     "The texts and their words are kept and can be searched. Free some space, or "
                     "keep less (--kv), and run it again.",
                     path, (double)needed / 1e9, (double)available / 1e9);
}

/* Notes what waits: documents in state text, and the tokens and the room that they will take. The
 * newest are run first, and before them those that the caller wants first. */
static enum lmk_status note_waiting(struct model_stage *stage, struct store_view *view,
                                    struct ingest_work *work, struct lmk_error *error)
{
    const struct ingest *ingest = stage->ingest;
    struct document document;
    struct buffer first_ones;
    enum lmk_status status;
    buffer_init(&first_ones, SIZE_MAX / 2);
    for (uint64_t id = 0; !(status = store_next_document(view, id, &document, error));
         id = document.id + 1) {
        if (!waits(ingest, &document))
            continue;
        if ((status = ingest_add_work(work, view, store_settings(ingest->collection->store),
                                      &document, error)) ||
            (status = buffer_append(comes_first(ingest, &document) ? &first_ones : &stage->waiting,
                                    &document.id, sizeof document.id, error)))
            break;
    }
    if (status == LMK_NOT_FOUND)
        status = first_ones.size
                     ? buffer_append(&stage->waiting, first_ones.data, first_ones.size, error)
                     : LMK_OK;
    buffer_release(&first_ones);
    return status;
}

static enum lmk_status plan_work(struct model_stage *stage, struct lmk_error *error)
{
    struct ingest *ingest = stage->ingest;
    struct store_view *view;
    struct ingest_work work = {0};
    enum lmk_status status = store_view_begin(ingest->collection->store, &view, error);
    if (status)
        return status;
    ingest->progress = (struct lmk_progress){.stage = "indexing"};
    ingest->stage_started = ingest_clock();
    status = note_waiting(stage, view, &work, error);
    store_view_end(view);
    ingest->progress.documents_total = work.documents;
    ingest->progress.tokens_total = work.tokens;
    return status ? status : check_space(ingest, work.bytes, error);
}

static enum lmk_status allocate(struct model_stage *stage, struct lmk_error *error)
{
    const struct model_shape *shape = shape_of(stage);
    size_t landmark = model_landmark_width(shape) * RUN_BLOCKS,
           block = landmark * shape->block_tokens;
    buffer_init(&stage->block_tokens, 1 << 20);
    buffer_init(&stage->block_runs, 1 << 24);
    stage->tokens = malloc((size_t)RUN_BLOCKS * shape->block_tokens * sizeof *stage->tokens);
    stage->landmark_keys = malloc(landmark * sizeof(float));
    stage->keys = malloc(block * sizeof(float));
    stage->values = malloc(block * sizeof(float));
    if (!stage->tokens || !stage->landmark_keys || !stage->keys || !stage->values)
        return error_memory(error, 2 * block * sizeof(float));
    return indexer_open(&stage->indexer, stage->ingest->collection->model, RUN_BLOCKS, error);
}

static void release(struct model_stage *stage)
{
    for (size_t i = 0; i < stage->running_count; i++)
        stream_close(stage->running[i].stream);
    indexer_close(stage->indexer);
    free(stage->tokens);
    free(stage->landmark_keys);
    free(stage->keys);
    free(stage->values);
    buffer_release(&stage->waiting);
    buffer_release(&stage->block_tokens);
    buffer_release(&stage->block_runs);
}

static enum lmk_status run_all(struct model_stage *stage, struct lmk_error *error)
{
    double before = ingest_clock();
    enum lmk_status status = allocate(stage, error);
    if (!status)
        status = run_batches(stage, error);
    struct lmk_index_report *report = stage->ingest->report;
    double seconds = ingest_clock() - before;
    report->tokens = stage->ingest->progress.tokens;
    report->tokens_per_second = seconds > 0 ? (double)report->tokens / seconds : 0;
    return status;
}

enum lmk_status ingest_model(struct ingest *ingest, struct lmk_error *error)
{
    struct model_stage stage = {.ingest = ingest};
    buffer_init(&stage.waiting, SIZE_MAX / 2);
    enum lmk_status status = plan_work(&stage, error);
    if (!status && stage.waiting.size)
        status = run_all(&stage, error);
    release(&stage);
    return status;
}
