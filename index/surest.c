#include "index/surest.h"

#include "index/reread.h"

#include <math.h>
#include <stdlib.h>

/* The best of the blocks that are left, or `count`. */
static size_t best_left(const struct ranked *blocks, size_t count, const bool *left)
{
    size_t best = count;
    for (size_t i = 0; i < count; i++)
        if (left[i] && (best == count || blocks[i].score > blocks[best].score))
            best = i;
    return best;
}

/* Takes block `i` out of those that are left, with its neighbours, as its text is theirs too. They
 * stand beside it in order of age. */
static enum lmk_status take_out(struct store_view *view, const struct ranked *blocks, size_t count,
                                size_t i, bool *left, struct lmk_error *error)
{
    uint64_t block = blocks[i].block;
    struct document document;
    enum lmk_status status = store_document_of_block(view, block, &document, error);
    if (status)
        return status;
    left[i] = false;
    if (i && blocks[i - 1].block + 1 == block && block > document.first_block)
        left[i - 1] = false;
    if (i + 1 < count && blocks[i + 1].block == block + 1 &&
        block + 1 < document.first_block + document.block_count)
        left[i + 1] = false;
    return LMK_OK;
}

/* Of all that was written, the end included. */
static double log_probability(const struct written *written)
{
    return written->log_probability + written->end_log_probability;
}

/* Writes until the answer ends or its log-probability is no longer above `least`. */
static enum lmk_status write_from_text(struct writer *writer, struct store_view *view,
                                       const struct question *question, uint64_t block,
                                       double least, struct written *written,
                                       struct lmk_error *error)
{
    struct sequence *sequence = NULL;
    struct buffer ids;
    buffer_init(&ids, 1 << 24);
    enum lmk_status status = reread_document(writer->model, view, question, block, &ids, error);
    const uint32_t *tokens = (const uint32_t *)ids.data;
    size_t count = ids.size / sizeof *tokens;
    if (!status)
        status = sequence_open(&sequence, writer->model, count + writer->options->max_tokens, false,
                               error);
    if (!status)
        status = sequence_feed(sequence, tokens, count, NULL, error);
    while (!status && !written->ended && log_probability(written) > least)
        status = writing_next(writer, sequence, written, error);
    sequence_close(sequence);
    buffer_release(&ids);
    return status;
}

enum lmk_status surest_answer(struct writer *writer, struct store_view *view,
                              const struct question *question, const struct ranked *blocks,
                              size_t count, struct written *best, uint64_t *block, double *sum,
                              struct lmk_error *error)
{
    *sum = -INFINITY; /* the best text's so far: one that cannot exceed it is read no further */
    bool *left = malloc(count * sizeof *left);
    enum lmk_status status = left ? LMK_OK : error_memory(error, count * sizeof *left);
    for (size_t i = 0; left && i < count; i++)
        left[i] = true;
    for (size_t text = 0, i; !status && text < writer->options->texts; text++) {
        if ((i = best_left(blocks, count, left)) == count || blocks[i].score <= *sum)
            break;
        struct written written;
        written_open(&written, false);
        status = take_out(view, blocks, count, i, left, error);
        if (!status)
            status = write_from_text(writer, view, question, blocks[i].block,
                                     *sum - blocks[i].score, &written, error);
        double own = blocks[i].score + log_probability(&written);
        if (!status && written.text.size && own > *sum) {
            *sum = own;
            struct written worse = *best;
            *best = written;
            written = worse;
            *block = blocks[i].block;
        }
        written_close(&written);
    }
    free(left);
    return status;
}
