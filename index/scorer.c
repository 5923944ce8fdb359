/* lmk_score_text: stretches of a text through all layers of the model. */
#include "index/store_extents.h"
#include "src/base/buffer.h"
#include "src/model/indexer.h"
#include "src/text/normalise.h"

#include <stdlib.h>
#include <string.h>

enum { RUN_BLOCKS = 16, MOST_SEEN = 65536 };

struct lmk_scorer {
    const struct lmk_model *model;
    struct indexer *indexer;
};

static struct indexer_sight sight_of(const struct model_shape *shape,
                                     const struct lmk_scorer_options *options)
{
    if (!options)
        return (struct indexer_sight){.near = shape->reach};
    size_t blocks =
        options->local / shape->block_tokens + (options->local % shape->block_tokens != 0);
    return (struct indexer_sight){
        .near = blocks ? blocks - 1 : 0,
        .far = options->far,
        .best = options->best,
        .far_type = options->tier == LMK_TIER_NONE ? TENSOR_F32 : tier_type(options->tier)};
}

enum lmk_status lmk_scorer_open(struct lmk_scorer **scorer, const struct lmk_model *model,
                                const struct lmk_scorer_options *options, struct lmk_error *error)
{
    struct indexer_sight sight = sight_of(&model->shape, options);
    *scorer = NULL;
    if (sight.near > MOST_SEEN || sight.far > MOST_SEEN)
        return error_set(error, LMK_USAGE, "A row can see %d blocks before its own, not more.",
                         MOST_SEEN);
    enum lmk_status status =
        options ? tier_check(options->tier, model->shape.head_width, error) : LMK_OK;
    if (status)
        return status;
    struct lmk_scorer *opened = calloc(1, sizeof *opened);
    if (!opened)
        return error_memory(error, sizeof *opened);
    opened->model = model;
    status = indexer_open_scoring(&opened->indexer, model, RUN_BLOCKS, &sight, error);
    if (status)
        free(opened);
    else
        *scorer = opened;
    return status;
}

void lmk_scorer_close(struct lmk_scorer *scorer)
{
    if (!scorer)
        return;
    indexer_close(scorer->indexer);
    free(scorer);
}

/* The tokens of a text, without one that begins it. */
static enum lmk_status encode(const struct lmk_model *model, const char *text, size_t size,
                              struct buffer *ids, struct lmk_error *error)
{
    struct normalised_text normalised;
    enum lmk_status status = normalise(&normalised, text, size, error);
    if (status)
        return status;
    status = tokenizer_encode(model->tokenizer, normalised.text, normalised.size, true, ids, error);
    normalised_text_release(&normalised);
    return status;
}

/* Reads `tokens` [blocks][N] as a document. */
static enum lmk_status run(struct lmk_scorer *scorer, const uint32_t *tokens, size_t blocks,
                           float *log_probabilities, struct lmk_error *error)
{
    struct stream *stream;
    enum lmk_status status = stream_open(&stream, scorer->indexer, error);
    if (status)
        return status;
    struct indexer_item item = {.stream = stream,
                                .tokens = tokens,
                                .blocks = blocks,
                                .log_probabilities = log_probabilities};
    indexer_run(scorer->indexer, &item, 1);
    stream_close(stream);
    return LMK_OK;
}

/* Stretches of `length` tokens, of which all but the first are the text's. */
static enum lmk_status run_stretches(struct lmk_scorer *scorer, const uint32_t *ids, size_t count,
                                     size_t length, size_t stretches, float *log_probabilities,
                                     struct lmk_error *error)
{
    const struct model_shape *shape = &scorer->model->shape;
    size_t taken = length - 1, blocks = (length + shape->block_tokens - 1) / shape->block_tokens,
           padded = blocks * shape->block_tokens;
    uint32_t *tokens = malloc(padded * sizeof *tokens);
    float *scored = malloc(padded * sizeof *scored);
    enum lmk_status status =
        tokens && scored ? LMK_OK : error_memory(error, padded * sizeof *tokens);
    for (size_t s = 0; !status && s < stretches; s++) {
        size_t first = stretches > 1 ? (count - taken) * s / (stretches - 1) : 0;
        tokens[0] = shape->bos_id;
        memcpy(tokens + 1, ids + first, taken * sizeof *ids);
        for (size_t i = length; i < padded; i++)
            tokens[i] = shape->padding_id;
        status = run(scorer, tokens, blocks, scored, error);
        if (!status)
            memcpy(log_probabilities + s * taken, scored, taken * sizeof *scored);
    }
    free(tokens);
    free(scored);
    return status;
}

enum lmk_status lmk_score_text(struct lmk_scorer *scorer, const char *text, size_t size,
                               size_t length, size_t most, float *log_probabilities,
                               size_t *stretches, struct lmk_error *error)
{
    *stretches = 0;
    if (length < 2)
        return error_set(error, LMK_USAGE, "A stretch has at least 2 tokens.");
    struct buffer ids;
    buffer_init(&ids, (size_t)1 << 32);
    enum lmk_status status = encode(scorer->model, text, size, &ids, error);
    size_t count = ids.size / sizeof(uint32_t), fit = count / (length - 1);
    *stretches = fit < most ? fit : most;
    if (!status && *stretches)
        status = run_stretches(scorer, (const uint32_t *)ids.data, count, length, *stretches,
                               log_probabilities, error);
    buffer_release(&ids);
    return status;
}
