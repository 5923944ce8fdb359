/* lmk_keep_within: keys and values of the documents used most, as far as a budget goes. */
#include "index/collection.h"
#include "index/uses.h"

#include <stdlib.h>

#define BATCH_DOCUMENTS 64 /* of one transaction that drops keys and values */

struct candidate {
    uint64_t document, bytes; /* bytes: of its keys and values */
    uint32_t uses;
};

/* Those used most first, the newest of equal ones. */
static int by_use(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;
    if (a->uses != b->uses)
        return a->uses > b->uses ? -1 : 1;
    return a->document > b->document ? -1 : a->document < b->document;
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
            if (document.state != DOCUMENT_READY || document.tier == LMK_TIER_NONE)
                continue;
            uint64_t block = store_block_bytes(settings, document.tier) -
                             store_block_bytes(settings, LMK_TIER_NONE);
            struct candidate candidate = {document.id, document.block_count * block,
                                          uses_of(uses, document.id)};
            status = buffer_append(list, &candidate, sizeof candidate, error);
        }
        store_view_end(view);
        status = status == LMK_NOT_FOUND ? LMK_OK : status;
    }
    uses_close(uses);
    return status;
}

/* Marks what does not fit by 0 bytes; behind a large document smaller ones may still fit. */
static void choose(struct candidate *candidates, size_t count, uint64_t budget,
                   struct lmk_kept *kept)
{
    qsort(candidates, count, sizeof *candidates, by_use);
    for (size_t i = 0; i < count; i++) {
        if (candidates[i].bytes <= budget - kept->bytes) {
            kept->bytes += candidates[i].bytes;
            kept->documents++;
        } else {
            kept->dropped_bytes += candidates[i].bytes;
            kept->dropped++;
            candidates[i].bytes = 0;
        }
    }
}

static enum lmk_status drop(struct lmk_collection *collection, const struct candidate *candidates,
                            size_t count, struct lmk_error *error)
{
    enum lmk_status status = LMK_OK;
    for (size_t i = 0; !status && i < count;) {
        struct store_batch *batch;
        if ((status = store_batch_begin(collection->store, &batch, error)))
            return status;
        for (size_t dropped = 0; !status && i < count && dropped < BATCH_DOCUMENTS; i++)
            if (!candidates[i].bytes) {
                status = store_drop_keys_values(batch, candidates[i].document, error);
                dropped++;
            }
        if (status)
            store_abort(batch);
        else
            status = store_commit(batch, error);
    }
    return status;
}

enum lmk_status lmk_keep_within(struct lmk_collection *collection, uint64_t bytes,
                                struct lmk_kept *kept, struct lmk_error *error)
{
    struct buffer list;
    *kept = (struct lmk_kept){0};
    enum lmk_status status = collection_needs_write(collection, error);
    if (status)
        return status;
    buffer_init(&list, SIZE_MAX / 2);
    if (!(status = list_candidates(collection, &list, error))) {
        struct candidate *candidates = (struct candidate *)(void *)list.data;
        size_t count = list.size / sizeof *candidates;
        choose(candidates, count, bytes, kept);
        if (kept->dropped)
            status = drop(collection, candidates, count, error);
    }
    buffer_release(&list);
    return status;
}
