/* lmk_repair: what is derived is made again where it is damaged: keys, values and landmarks from
 * the texts, segments from the landmarks, words from the texts. */
#include "index/ingest.h"
#include "index/lexical.h"
#include "index/segments.h"

#include <stdlib.h>

struct repair {
    struct lmk_collection *collection;
    struct store_view *view;
    struct lmk_repair_report *report;
    struct buffer documents; /* uint64_t: of which something that was computed is damaged */
    struct buffer whole;     /* uint64_t: those of them that had all of their landmarks; the others
                                wait for the next run of lmk_index as they did before */
    struct buffer tokens, runs;
};

static void count_problem(void *context, const char *sentence)
{
    (void)sentence;
    ++*(uint64_t *)context;
}

/* ------------------------------------------------------------------ documents */

/* LMK_CORRUPT where something that the model computed is damaged or missing. */
static enum lmk_status check_computed(struct repair *repair, uint64_t block, bool keys_values,
                                      struct lmk_error *error)
{
    const float *landmark;
    const void *keys, *values;
    enum tensor_type type;
    enum lmk_status status = store_landmark_key(repair->view, block, &landmark, error);
    if (!status && keys_values)
        status = store_keys_values(repair->view, block, &type, &keys, &values, error);
    return status == LMK_NOT_FOUND ? LMK_CORRUPT : status;
}

static enum lmk_status check_text(struct repair *repair, uint64_t block, struct lmk_error *error)
{
    struct block_text text;
    buffer_clear(&repair->tokens);
    buffer_clear(&repair->runs);
    return store_block_text(repair->view, block, &repair->tokens, &repair->runs, &text, error);
}

/* Notes the document if it can be computed again: something of it is damaged, but not its text. */
static enum lmk_status check_document(struct repair *repair, const struct document *document,
                                      struct lmk_error *error)
{
    enum lmk_status computed = LMK_OK, text = LMK_OK;
    uint64_t end = document->first_block + document->block_count, done = document->block_count;
    if (document->state != DOCUMENT_READY) /* what an interrupted run stored: the next goes on */
        computed = store_blocks_done(repair->view, document, &done, error);
    uint64_t done_end = document->first_block + done,
             landmarks_end = document->state == DOCUMENT_TEXT ? done_end : end;
    for (uint64_t block = document->first_block; !computed && block < landmarks_end; block++)
        computed = check_computed(repair, block,
                                  document->tier != LMK_TIER_NONE && block < done_end, error);
    if (computed != LMK_CORRUPT)
        return computed;
    for (uint64_t block = document->first_block; !text && block < end; block++)
        text = check_text(repair, block, error);
    if (text)
        return text == LMK_CORRUPT ? LMK_OK : text;
    enum lmk_status status = LMK_OK;
    if (document->state != DOCUMENT_TEXT)
        status = buffer_append(&repair->whole, &document->id, sizeof document->id, error);
    return status ? status
                  : buffer_append(&repair->documents, &document->id, sizeof document->id, error);
}

static enum lmk_status find_documents(struct repair *repair, struct lmk_error *error)
{
    struct document document;
    enum lmk_status status = LMK_OK;
    for (uint64_t id = 0; !status; id = document.id + 1)
        if (!(status = store_next_document(repair->view, id, &document, error)))
            status = check_document(repair, &document, error);
    return status == LMK_NOT_FOUND ? LMK_OK : status;
}

static enum lmk_status forget_computed(struct repair *repair, struct lmk_error *error)
{
    const uint64_t *ids = (const uint64_t *)(const void *)repair->documents.data;
    size_t count = repair->documents.size / sizeof *ids;
    struct store_batch *batch;
    enum lmk_status status = store_batch_begin(repair->collection->store, &batch, error);
    if (status)
        return status;
    for (size_t i = 0; !status && i < count; i++)
        status = store_forget_blocks(batch, ids[i], error);
    if (!status)
        return store_commit(batch, error);
    store_abort(batch);
    return status;
}

static enum lmk_status repair_documents(struct repair *repair, struct lmk_error *error)
{
    struct lmk_index_report indexed = {0};
    struct ingest ingest = {.collection = repair->collection, .report = &indexed};
    enum lmk_status status = find_documents(repair, error);
    store_view_end(repair->view); /* it would keep what is written over */
    repair->view = NULL;
    repair->report->documents = repair->documents.size / sizeof(uint64_t);
    if (status || !repair->report->documents || (status = forget_computed(repair, error)))
        return status;
    ingest.only = (const uint64_t *)(const void *)repair->whole.data;
    ingest.only_count = repair->whole.size / sizeof(uint64_t);
    return ingest.only_count ? ingest_model(&ingest, error) : LMK_OK;
}

/* ------------------------------------------------------------------ what lies beside the store */

static enum lmk_status repair_derived(struct repair *repair, struct lmk_error *error)
{
    struct lmk_collection *collection = repair->collection;
    uint64_t segments = 0, words = 0, checked;
    enum lmk_status status = store_view_begin(collection->store, &repair->view, error);
    if (status)
        return status;
    status = segments_verify(collection, repair->view, count_problem, &segments, &checked, error);
    if (!status)
        status = lexical_verify(collection, repair->view, count_problem, &words, &checked, error);
    store_view_end(repair->view);
    repair->view = NULL;
    repair->report->segments = segments > 0;
    repair->report->words = words > 0;
    if (!status && segments)
        status = segments_rebuild(collection, NULL, error);
    if (!status && words)
        lexical_discard(collection);
    return status ? status : lexical_update(collection, NULL, NULL, error);
}

/* ------------------------------------------------------------------ the whole */

static enum lmk_status repair_all(struct repair *repair, struct lmk_error *error)
{
    enum lmk_status status = store_view_begin(repair->collection->store, &repair->view, error);
    if (!status)
        status = repair_documents(repair, error);
    return status ? status : repair_derived(repair, error);
}

enum lmk_status lmk_repair(struct lmk_collection *collection,
                           void (*problem)(void *context, const char *sentence), void *context,
                           struct lmk_repair_report *report, struct lmk_error *error)
{
    struct lmk_verify_report found;
    struct lmk_error told;
    *report = (struct lmk_repair_report){0};
    enum lmk_status status = collection_needs_model(collection, error);
    if (status || (status = collection_needs_write(collection, error)))
        return status;
    status = lmk_verify(collection, problem, context, &found, &told);
    report->problems = report->left = found.problems;
    if (status != LMK_CORRUPT || found.pages)
        return status ? error_set(error, status, "%s", told.message) : LMK_OK;
    struct repair repair = {.collection = collection, .report = report};
    buffer_init(&repair.documents, SIZE_MAX / 2);
    buffer_init(&repair.whole, SIZE_MAX / 2);
    buffer_init(&repair.tokens, 1 << 20);
    buffer_init(&repair.runs, 1 << 24);
    status = repair_all(&repair, error);
    store_view_end(repair.view);
    buffer_release(&repair.documents);
    buffer_release(&repair.whole);
    buffer_release(&repair.tokens);
    buffer_release(&repair.runs);
    if (status)
        return status;
    status = lmk_verify(collection, NULL, NULL, &found, error);
    report->left = found.problems;
    return status;
}
