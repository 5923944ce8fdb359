/* lmk_keep_within: keys and values of the documents used most, as far as a budget goes. */
#include "index/ingest.h"
#include "index/space.h"
#include "index/uses.h"
#include "src/base/order.h"

#include <stdlib.h>

#define BATCH_DOCUMENTS 64 /* of one transaction that drops keys and values, or wants them */

struct candidate {
    uint64_t document, bytes; /* bytes: of its keys and values */
    uint64_t needed;          /* bytes on disk of what is to be computed of it */
    uint32_t uses;
    bool stored; /* it has some or all of them */
    bool wanted; /* it has none, or an earlier call computed some */
    bool fits;
};

/* Those used most first, of equal ones those that need not be computed, then the newest. */
static int by_use(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;
    if (a->uses != b->uses)
        return a->uses > b->uses ? -1 : 1;
    if (a->wanted != b->wanted)
        return a->wanted ? 1 : -1;
    return a->document > b->document ? -1 : a->document < b->document;
}

/* Documents that nobody used are not computed for, nor those of a collection that is to have no
 * keys and values. */
static bool is_candidate(const struct store_settings *settings, const struct document *document,
                         uint32_t uses)
{
    if (document->state == DOCUMENT_TEXT)
        return false;
    return document->tier != LMK_TIER_NONE || (uses && settings->tier != LMK_TIER_NONE);
}

static enum lmk_status add_candidate(struct buffer *list, struct store_view *view,
                                     const struct store_settings *settings,
                                     const struct document *document, uint32_t uses,
                                     struct lmk_error *error)
{
    bool stored = document->tier != LMK_TIER_NONE,
         wanted = !stored || document->state != DOCUMENT_READY;
    struct document wished = *document;
    struct ingest_work work = {0};
    wished.tier = stored ? document->tier : settings->tier;
    enum lmk_status status =
        wanted ? ingest_add_work(&work, view, settings, &wished, error) : LMK_OK;
    uint64_t block =
        store_block_bytes(settings, wished.tier) - store_block_bytes(settings, LMK_TIER_NONE);
    const struct candidate candidate = {.document = document->id,
                                        .bytes = document->block_count * block,
                                        .needed = work.bytes,
                                        .uses = uses,
                                        .stored = stored,
                                        .wanted = wanted};
    return status ? status : buffer_append(list, &candidate, sizeof candidate, error);
}

static enum lmk_status list_candidates(struct lmk_collection *collection, struct buffer *list,
                                       struct lmk_error *error)
{
    const struct store_settings *settings = store_settings(collection->store);
    struct uses *uses = uses_open(collection);
    struct store_view *view;
    struct document document;
    enum lmk_status status = store_view_begin(collection->store, &view, error);
    if (!status) {
        for (uint64_t id = 0;
             !status && !(status = store_next_document(view, id, &document, error));
             id = document.id + 1) {
            uint32_t count = uses_of(uses, document.id);
            if (is_candidate(settings, &document, count))
                status = add_candidate(list, view, settings, &document, count, error);
        }
        store_view_end(view);
        status = status == LMK_NOT_FOUND ? LMK_OK : status;
    }
    uses_close(uses);
    return status;
}

/* Behind a large document smaller ones may still fit. What there is no room for on the disk is not
 * wanted: lmk_index would refuse to run as long as it waits. */
static void choose(struct candidate *candidates, size_t count, uint64_t budget, uint64_t available,
                   struct lmk_kept *kept)
{
    if (count)
        qsort(candidates, count, sizeof *candidates, by_use);
    uint64_t left = budget;
    for (size_t i = 0; i < count; i++) {
        struct candidate *candidate = &candidates[i];
        candidate->fits = candidate->bytes <= left && candidate->needed <= available;
        left -= candidate->fits ? candidate->bytes : 0;
        available -= candidate->fits ? candidate->needed : 0;
        if (candidate->fits && candidate->wanted) {
            kept->computed_bytes += candidate->bytes;
            kept->computed++;
        } else if (candidate->fits) {
            kept->bytes += candidate->bytes;
            kept->documents++;
        } else if (candidate->stored) {
            kept->dropped_bytes += candidate->bytes;
            kept->dropped++;
        }
    }
}

/* What the choice changes at once: keys and values go, or are to come. */
static enum lmk_status change_all(struct lmk_collection *collection,
                                  const struct candidate *candidates, size_t count,
                                  struct lmk_error *error)
{
    enum lmk_tier tier = store_settings(collection->store)->tier;
    enum lmk_status status = LMK_OK;
    for (size_t i = 0; !status && i < count;) {
        struct store_batch *batch;
        if ((status = store_batch_begin(collection->store, &batch, error)))
            return status;
        for (size_t changed = 0; !status && i < count && changed < BATCH_DOCUMENTS; i++) {
            const struct candidate *candidate = &candidates[i];
            if (candidate->fits == candidate->stored)
                continue;
            status = candidate->fits
                         ? store_want_keys_values(batch, candidate->document, tier, error)
                         : store_drop_keys_values(batch, candidate->document, error);
            changed++;
        }
        if (status)
            store_abort(batch);
        else
            status = store_commit(batch, error);
    }
    return status;
}

/* Interrupted, the documents wait for the next call, or for lmk_index. */
static enum lmk_status compute(struct lmk_collection *collection,
                               const struct candidate *candidates, size_t count,
                               const struct lmk_index_options *options, struct lmk_error *error)
{
    struct lmk_index_report report = {0};
    struct buffer ids;
    buffer_init(&ids, SIZE_MAX / 2);
    enum lmk_status status = LMK_OK;
    for (size_t i = 0; !status && i < count; i++)
        if (candidates[i].fits && candidates[i].wanted)
            status = buffer_append(&ids, &candidates[i].document, sizeof(uint64_t), error);
    struct ingest ingest = {.collection = collection,
                            .options = options,
                            .report = &report,
                            .started = ingest_clock(),
                            .only = (const uint64_t *)(const void *)ids.data,
                            .only_count = ids.size / sizeof(uint64_t)};
    if (!status && ingest.only_count) {
        qsort(ids.data, ingest.only_count, sizeof(uint64_t), order_numbers);
        status = ingest_model(&ingest, error);
    }
    buffer_release(&ids);
    return status;
}

enum lmk_status lmk_keep_within(struct lmk_collection *collection, uint64_t bytes,
                                bool (*progress)(void *context,
                                                 const struct lmk_progress *progress),
                                void *context, struct lmk_kept *kept, struct lmk_error *error)
{
    const struct lmk_index_options options = {.progress = progress, .context = context};
    struct buffer list;
    uint64_t available;
    *kept = (struct lmk_kept){0};
    enum lmk_status status = collection_needs_model(collection, error);
    if (status || (status = collection_needs_write(collection, error)) ||
        (status = space_available(collection->path, &available, error)))
        return status;
    buffer_init(&list, SIZE_MAX / 2);
    if (!(status = list_candidates(collection, &list, error))) {
        struct candidate *candidates = (struct candidate *)(void *)list.data;
        size_t count = list.size / sizeof *candidates;
        choose(candidates, count, bytes, available, kept);
        if (kept->dropped || kept->computed)
            status = change_all(collection, candidates, count, error);
        if (!status)
            status = compute(collection, candidates, count, &options, error);
    }
    buffer_release(&list);
    return status;
}
