#include "index/selection.h"

#include <stdlib.h>
#include <string.h>

/* The document of each ranked block. */
static enum lmk_status find_documents(struct store_view *view, const struct ranking *ranking,
                                      uint64_t **documents, struct lmk_error *error)
{
    enum lmk_status status = LMK_OK;
    *documents = malloc((ranking->count ? ranking->count : 1) * sizeof **documents);
    if (!*documents)
        return error_memory(error, ranking->count * sizeof **documents);
    for (size_t i = 0; !status && i < ranking->count; i++) {
        struct document document;
        status = store_document_of_block(view, ranking->items[i].block, &document, error);
        (*documents)[i] = status ? 0 : document.id;
    }
    return status;
}

/* The passage that the block extends, or `count`. */
static size_t find_neighbour(const struct selected *selected, size_t count, uint64_t document,
                             uint64_t block)
{
    for (size_t i = 0; i < count; i++)
        if (selected[i].document == document && selected[i].count < SELECTION_MOST_BLOCKS &&
            (block + 1 == selected[i].first || block == selected[i].first + selected[i].count))
            return i;
    return count;
}

/* Adds the block to passage `at`; where it closes the gap to another one, the two become one, in
 * the place of the better. */
static void extend(struct selected *selected, size_t *count, size_t at, uint64_t block)
{
    struct selected *passage = &selected[at];
    passage->first = block < passage->first ? block : passage->first;
    passage->count++;
    for (size_t i = at + 1; i < *count; i++) {
        const struct selected *other = &selected[i];
        if (other->document != passage->document ||
            other->count + passage->count > SELECTION_MOST_BLOCKS ||
            (other->first + other->count != passage->first &&
             passage->first + passage->count != other->first))
            continue;
        passage->first = other->first < passage->first ? other->first : passage->first;
        passage->count += other->count;
        memmove(&selected[i], &selected[i + 1], (--*count - i) * sizeof *selected);
        return;
    }
}

static size_t count_of(const struct selected *selected, size_t count, uint64_t document)
{
    size_t passages = 0;
    for (size_t i = 0; i < count; i++)
        passages += selected[i].document == document;
    return passages;
}

/* Selects with at most `most` passages of a document; true if that left blocks out. */
static bool select_blocks(const struct ranking *ranking, const uint64_t *documents,
                          const struct selection_options *options, size_t most,
                          struct selected *selected, size_t *count)
{
    bool left_out = false;
    *count = 0;
    for (size_t i = 0; i < ranking->count && *count < options->top; i++) {
        const struct ranked *item = &ranking->items[i];
        size_t at =
            options->merge ? find_neighbour(selected, *count, documents[i], item->block) : *count;
        if (at < *count)
            extend(selected, count, at, item->block);
        else if (most == SIZE_MAX || count_of(selected, *count, documents[i]) < most)
            selected[(*count)++] = (struct selected){documents[i], item->block, 1, item};
        else
            left_out = true;
    }
    return left_out;
}

enum lmk_status selection_make(struct store_view *view, const struct ranking *ranking,
                               const struct selection_options *options, struct selected *selected,
                               size_t *count, struct lmk_error *error)
{
    uint64_t *documents;
    *count = 0;
    enum lmk_status status = find_documents(view, ranking, &documents, error);
    size_t most = options->per_document ? options->per_document : SIZE_MAX;
    while (!status && select_blocks(ranking, documents, options, most, selected, count) &&
           *count < options->top)
        most = most < SIZE_MAX / 2 ? 2 * most : SIZE_MAX;
    free(documents);
    return status;
}
