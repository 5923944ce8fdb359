/* Attention of a sequence's rows to its own rows, and the grouped softmax that brings in other
 * blocks. */
#include "src/model/limits.h"
#include "src/model/rows.h"
#include "src/model/sequence_state.h"

#include <math.h>
#include <omp.h>
#include <string.h>

/* One query head at one row. */
struct view {
    struct sequence *sequence;
    const struct layer_cache *cache;
    size_t row;                               /* in the sequence */
    size_t head, kv_head, m;                  /* m: memory layers only */
    const float *query;                       /* [W], rotated to its position, scaled */
    const float *far_query;                   /* [W], memory layers only, scaled */
    const struct memory_block *const *blocks; /* stored blocks that it reads */
    size_t block_count;
    float *scratch; /* of this thread */
    float *out;     /* [W] */
};

static const float *cached(const struct view *view, const float *rows, size_t row)
{
    return rows +
           (view->kv_head * view->sequence->row_capacity + row) * view->sequence->shape->head_width;
}

static void score(const struct view *view, const float *query, const float *keys, size_t row,
                  size_t count, float *scores)
{
    rows_dot(TENSOR_F32, cached(view, keys, row), count, view->sequence->shape->head_width, query,
             0, scores);
}

static void add_values(const struct view *view, size_t row, size_t count, const float *weights)
{
    rows_add(TENSOR_F32, cached(view, view->cache->values, row), count,
             view->sequence->shape->head_width, weights, view->out);
}

static void attend_local(const struct view *view)
{
    size_t window = view->sequence->shape->window;
    size_t first = view->row + 1 > window ? view->row + 1 - window : 0,
           count = view->row + 1 - first;
    score(view, view->query, view->cache->keys, first, count, view->scratch);
    kernel_softmax(view->scratch, count);
    add_values(view, first, count, view->scratch);
}

/* Scores of rows of an earlier block, at their true distance or as far ones. */
static void score_block(const struct view *view, size_t block, size_t row, size_t count,
                        float *scores)
{
    const struct model_shape *shape = view->sequence->shape;
    bool is_far = shape->positions == POSITIONS_SLOT &&
                  view->row / shape->block_rows - block >= shape->near_blocks;
    score(view, is_far ? view->far_query : view->query,
          is_far ? view->cache->far_keys : view->cache->keys, row, count, scores);
}

/* The softmax within an earlier block of the sequence, times its landmark's probability. */
static void read_block(const struct view *view, size_t block, float gate, float *scores)
{
    size_t tokens = view->sequence->shape->block_tokens,
           row = block * view->sequence->shape->block_rows;
    score_block(view, block, row, tokens, scores);
    kernel_softmax(scores, tokens);
    for (size_t i = 0; i < tokens; i++)
        scores[i] *= gate;
    add_values(view, row, tokens, scores);
}

static void keep_mass(const struct view *view, const float *gates)
{
    struct sequence *sequence = view->sequence;
    size_t last = sequence->chunk.first + sequence->chunk.rows - 1, count = sequence->block_count;
    if (view->row == last && count)
        memcpy(sequence->mass + (view->m * sequence->shape->heads + view->head) * count, gates,
               count * sizeof *gates);
}

/* The grouped softmax of design section 2. A row that is itself a landmark sees the tokens of its
 * block only. */
static void attend_memory(const struct view *view)
{
    const struct model_shape *shape = view->sequence->shape;
    size_t tokens = shape->block_tokens, width = shape->head_width;
    size_t block = view->row / shape->block_rows, start = block * shape->block_rows;
    size_t own = view->row - start < tokens ? view->row - start + 1 : tokens;
    size_t earliest = block > shape->reach ? block - shape->reach : 0, gates = block - earliest;
    float *scores = view->scratch, *vectors = scores + tokens, *top = vectors + tokens * width;
    struct far_reader reader = {view->sequence, view->m, view->kv_head, view->far_query, vectors,
                                scores,         -1};

    score(view, view->query, view->cache->keys, start, own, top);
    for (size_t i = 0; i < gates; i++)
        score_block(view, earliest + i, (earliest + i) * shape->block_rows + tokens, 1,
                    top + own + i);
    for (size_t i = 0; i < view->block_count; i++)
        top[own + gates + i] = far_landmark_score(&reader, view->blocks[i]);
    kernel_softmax(top, own + gates + view->block_count);

    add_values(view, start, own, top);
    for (size_t i = 0; i < gates; i++)
        read_block(view, earliest + i, top[own + i], scores);
    for (size_t i = 0; i < view->block_count; i++)
        far_read(&reader, view->blocks[i], top[own + gates + i], view->out);
    keep_mass(view, top + own + gates);
}

static void choose_blocks(struct view *view, size_t t)
{
    const struct sequence *sequence = view->sequence;
    size_t place = t * sequence->shape->heads + view->head;
    if (sequence->selector.choose) {
        view->blocks = sequence->chunk.chosen + place * sequence->selector.k;
        view->block_count = sequence->chunk.chosen_counts[place];
    } else {
        view->blocks = sequence->block_pointers;
        view->block_count = sequence->block_count;
    }
}

static void scale(const float *vector, size_t width, float *scaled)
{
    float factor = 1.0f / sqrtf((float)width);
    for (size_t i = 0; i < width; i++)
        scaled[i] = vector[i] * factor;
}

static void attend_head(struct sequence *sequence, const struct layer_cache *cache, int m, size_t t,
                        size_t head)
{
    const struct model_shape *shape = sequence->shape;
    size_t width = shape->head_width, place = (t * shape->heads + head) * width;
    float query[LIMIT_HEAD_WIDTH], far_query[LIMIT_HEAD_WIDTH];
    struct view view = {.sequence = sequence,
                        .cache = cache,
                        .row = sequence->chunk.first + t,
                        .head = head,
                        .kv_head = head / (shape->heads / shape->kv_heads),
                        .query = query,
                        .scratch = sequence->scratch +
                                   (size_t)omp_get_thread_num() * sequence->scratch_size,
                        .out = sequence->chunk.attention + place};
    memset(view.out, 0, width * sizeof *view.out);
    scale(sequence->chunk.queries + place, width, query);
    if (m < 0) {
        attend_local(&view);
        return;
    }
    scale(sequence->chunk.far_queries + place, width, far_query);
    view.m = (size_t)m;
    view.far_query = far_query;
    choose_blocks(&view, t);
    attend_memory(&view);
}

void sequence_attend(struct sequence *sequence, uint32_t layer, int m)
{
    size_t heads = sequence->shape->heads, count = sequence->chunk.rows * heads;
#pragma omp for schedule(static, 1)
    for (size_t i = 0; i < count; i++)
        attend_head(sequence, &sequence->caches[layer], m, i / heads, i % heads);
}

size_t sequence_scratch_size(const struct sequence *sequence, size_t rows)
{
    const struct model_shape *shape = sequence->shape;
    size_t blocks = sequence->selector.choose ? sequence->selector.k : sequence->block_count;
    size_t memory =
        (size_t)shape->block_tokens * (2 + shape->head_width) + rows / shape->block_rows + blocks;
    size_t local = rows < shape->window ? rows : shape->window;
    size_t size = memory > local ? memory : local;
    return (size + 31) / 16 * 16; /* whole cache lines, and one between threads */
}
