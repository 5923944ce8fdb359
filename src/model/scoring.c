/* Here keys are rotated to their offset once for all queries; a sequence, with a query or two at a
 * time, does it the other way round. */
#include "src/model/scoring.h"

#include "src/model/kernels.h"
#include "src/model/limits.h"
#include "src/model/rows.h"
#include "src/model/tile.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    QUERIES_AT_ONCE = 24, /* with 64 keys, their scores stay in the first cache */
    COLUMNS = (LIMIT_BLOCK_TOKENS + TILE_COLUMNS - 1) / TILE_COLUMNS * TILE_COLUMNS
};

struct scoring {
    const struct model_shape *shape;
    const struct tile_kernels *kernels;
    size_t columns; /* N rounded up to TILE_COLUMNS */
    size_t prompt_tokens;
    size_t query_count; /* for one memory layer and KV head: the group's heads times the prompt's
                           tokens */
    float *queries;     /* [M][G][query_count][W]: far queries, scaled by 1 / sqrt(W) */
    float *turns;       /* [N][2*W]: to each offset in a block */
};

/* Vectors [M][G][W], all rotated by the same distance. */
static void rotate_all(const struct model_shape *shape, int64_t distance, const float *vectors,
                       float *rotated)
{
    size_t width = shape->head_width, count = (size_t)shape->memory_layer_count * shape->kv_heads;
    float turn[2 * LIMIT_HEAD_WIDTH];
    double frequencies[LIMIT_HEAD_WIDTH / 2];
    struct rotary rotary = {width, frequencies};
    for (size_t i = 0; i < width / 2; i++)
        frequencies[i] = pow((double)shape->rope_base, -2.0 * (double)i / (double)width);
    rotary_turn(&rotary, distance, turn);
    for (size_t i = 0; i < count; i++)
        kernel_rotate(turn, width, vectors + i * width, rotated + i * width);
}

void scoring_rotate_landmark(const struct model_shape *shape, const float *landmark_key,
                             float *rotated)
{
    rotate_all(shape, shape->block_tokens, landmark_key, rotated);
}

void scoring_turn_query(const struct model_shape *shape, const float *pooled, float *turned)
{
    rotate_all(shape, -(int64_t)shape->block_tokens, pooled, turned);
}

static void collect_queries(const struct scoring *scoring, const struct sequence *prompt, size_t m,
                            size_t g, float *queries)
{
    const struct model_shape *shape = scoring->shape;
    size_t group = shape->heads / shape->kv_heads, width = shape->head_width,
           tokens = sequence_tokens(prompt);
    float factor = 1.0f / sqrtf((float)width);
    for (size_t i = 0; i < scoring->query_count; i++) {
        const float *query = sequence_far_query(prompt, m, g * group + i / tokens, i % tokens);
        for (size_t j = 0; j < width; j++)
            queries[i * width + j] = query[j] * factor;
    }
}

static enum lmk_status prepare(struct scoring *scoring, const struct sequence *prompt,
                               struct lmk_error *error)
{
    const struct model_shape *shape = scoring->shape;
    size_t width = shape->head_width, heads = (size_t)shape->memory_layer_count * shape->kv_heads;
    size_t size = heads * scoring->query_count * width,
           turn_size = 2 * (size_t)shape->block_tokens * width;
    struct rotary rotary;
    scoring->queries = malloc(size * sizeof(float));
    scoring->turns = malloc(turn_size * sizeof(float));
    if (!scoring->queries || !scoring->turns)
        return error_memory(error, (size + turn_size) * sizeof(float));
    enum lmk_status status = rotary_open(&rotary, width, shape->rope_base, error);
    if (status)
        return status;
    rotary_turns(&rotary, 0, shape->block_tokens, scoring->turns);
    rotary_close(&rotary);
    for (size_t i = 0; i < heads; i++)
        collect_queries(scoring, prompt, i / shape->kv_heads, i % shape->kv_heads,
                        scoring->queries + i * scoring->query_count * width);
    return LMK_OK;
}

enum lmk_status scoring_open(struct scoring **scoring, const struct lmk_model *model,
                             const struct sequence *prompt, struct lmk_error *error)
{
    *scoring = NULL;
    if (sequence_tokens(prompt) == 0)
        return error_set(error, LMK_USAGE, "An empty prompt cannot score blocks.");
    struct scoring *opened = calloc(1, sizeof *opened);
    if (!opened)
        return error_memory(error, sizeof *opened);
    opened->shape = &model->shape;
    opened->kernels = tile_kernels();
    opened->columns = (model->shape.block_tokens + TILE_COLUMNS - 1) / TILE_COLUMNS * TILE_COLUMNS;
    opened->prompt_tokens = sequence_tokens(prompt);
    opened->query_count = model->shape.heads / model->shape.kv_heads * opened->prompt_tokens;
    enum lmk_status status = prepare(opened, prompt, error);
    if (status) {
        scoring_close(opened);
        return status;
    }
    *scoring = opened;
    return LMK_OK;
}

void scoring_close(struct scoring *scoring)
{
    if (!scoring)
        return;
    free(scoring->queries);
    free(scoring->turns);
    free(scoring);
}

/* Unpacks the keys [N][W] of one KV head, rotated to their offsets, a column for each:
 * packed [W][columns]. The columns behind N hold anything finite. */
static void pack_keys(const struct scoring *scoring, enum tensor_type type, const void *keys,
                      float *packed)
{
    size_t tokens = scoring->shape->block_tokens, width = scoring->shape->head_width,
           columns = scoring->columns;
    float rows[LIMIT_BLOCK_TOKENS * LIMIT_HEAD_WIDTH];
    rows_unpack(type, keys, rows, tokens * width);
    for (size_t t = 0; t < tokens; t++) {
        const float *key = rows + t * width, *turn = scoring->turns + t * 2 * width;
        for (size_t i = 0; i < width; i += 2) {
            packed[i * columns + t] = key[i] * turn[i] + key[i + 1] * turn[width + i];
            packed[(i + 1) * columns + t] = key[i + 1] * turn[i + 1] + key[i] * turn[width + i + 1];
        }
    }
}

/* Turns scores [rows][columns] into probabilities, and adds them up by token. */
static void add_probabilities(const struct scoring *scoring, float *scores, size_t rows,
                              float *token_scores)
{
    size_t tokens = scoring->shape->block_tokens;
    scoring->kernels->softmax(scores, scoring->columns, rows, tokens, NULL);
    for (size_t r = 0; r < rows; r++)
        kernel_add(scores + r * scoring->columns, tokens, token_scores);
}

/* One KV head, number `i` over all memory layers, with its packed keys: adds the log-sum-exps of
 * each head of its group over the prompt's tokens to sums [heads of the group]. */
static void score_head(const struct scoring *scoring, size_t i, const float *packed, double *sums,
                       float *token_scores)
{
    size_t tokens = scoring->shape->block_tokens, width = scoring->shape->head_width,
           count = scoring->query_count, columns = scoring->columns;
    const float *queries = scoring->queries + i * count * width;
    float scores[QUERIES_AT_ONCE * COLUMNS], log_sums[QUERIES_AT_ONCE];
    for (size_t q = 0; q < count; q += QUERIES_AT_ONCE) {
        size_t some = count - q < QUERIES_AT_ONCE ? count - q : QUERIES_AT_ONCE;
        scoring->kernels->multiply(queries + q * width, width, packed, columns, some, width,
                                   columns, false, scores, columns);
        scoring->kernels->log_sums(scores, columns, some, tokens, log_sums);
        for (size_t s = 0; s < some; s++)
            sums[(q + s) / scoring->prompt_tokens] += (double)log_sums[s];
        if (token_scores)
            add_probabilities(scoring, scores, some, token_scores);
    }
}

double scoring_block(const struct scoring *scoring, enum tensor_type type, const void *keys,
                     float *head_scores, float *token_scores)
{
    const struct model_shape *shape = scoring->shape;
    size_t tokens = shape->block_tokens, group = shape->heads / shape->kv_heads,
           heads = (size_t)shape->memory_layer_count * shape->kv_heads,
           bytes = rows_bytes(type, tokens * shape->head_width);
    float packed[LIMIT_HEAD_WIDTH * COLUMNS];
    double sums[LIMIT_HEADS], all = 0;
    if (scoring->columns > tokens)
        memset(packed, 0, shape->head_width * scoring->columns * sizeof *packed);
    if (token_scores)
        memset(token_scores, 0, tokens * sizeof *token_scores);
    for (size_t i = 0; i < heads; i++) {
        memset(sums, 0, group * sizeof *sums);
        pack_keys(scoring, type, (const char *)keys + i * bytes, packed);
        score_head(scoring, i, packed, sums, token_scores);
        for (size_t h = 0; h < group; h++) {
            double mean = sums[h] / (double)scoring->prompt_tokens;
            if (head_scores)
                head_scores[i * group + h] = (float)mean;
            all += mean;
        }
    }
    return all / (double)(heads * group);
}
