#include "src/model/rows.h"
#include "src/model/sequence_state.h"

#include <omp.h>
#include <string.h>

enum {
    SHARE_UNIT = 16,                  /* rows of a matrix: whole cache lines of results */
    LEAST_PARALLEL_PRODUCTS = 1 << 16 /* of one matrix; below, threads cost more than they save */
};

/* ---- shares */

struct share sequence_share(size_t count)
{
    size_t threads = (size_t)omp_get_num_threads(), thread = (size_t)omp_get_thread_num();
    size_t units = (count + SHARE_UNIT - 1) / SHARE_UNIT;
    size_t first = units * thread / threads * SHARE_UNIT,
           end = units * (thread + 1) / threads * SHARE_UNIT;
    end = end < count ? end : count;
    return (struct share){first, end > first ? end - first : 0};
}

struct share sequence_multiply(const struct weight *weight, const float *inputs, size_t count,
                               float *out)
{
    struct share share = sequence_share(weight->rows);
    const char *rows =
        (const char *)weight->data + share.first * rows_bytes(weight->type, weight->columns);
    if (share.count)
        rows_multiply(weight->type, rows, share.count, weight->columns, inputs, count,
                      out + share.first, weight->rows);
    return share;
}

bool sequence_shares_pay(const struct sequence *sequence)
{
    const struct model_shape *shape = sequence->shape;
    return (size_t)shape->width * shape->feed_forward * sequence->chunk.rows >=
           LEAST_PARALLEL_PRODUCTS;
}

/* ---- rows */

static void embed(struct sequence *sequence)
{
    const struct weight *table = &sequence->model->embedding;
    struct chunk *chunk = &sequence->chunk;
    size_t bytes = rows_bytes(table->type, table->columns);
    for (size_t t = 0; t < chunk->rows; t++)
        rows_unpack(table->type, (const char *)table->data + chunk->ids[t] * bytes,
                    chunk->hidden + t * table->columns, table->columns);
}

/* Where each row's query stands: at its own row, and as a far one (design section 2). A prompt's
 * own rows are compared with each other only, so with stingy positions they need not be moved
 * behind the slots. */
static void find_turns(struct sequence *sequence)
{
    const struct model_shape *shape = sequence->shape;
    struct chunk *chunk = &sequence->chunk;
    size_t width = shape->head_width;
    size_t blocks = sequence->selector.choose ? sequence->selector.k : sequence->block_count;
    size_t slots = blocks ? blocks : SEQUENCE_DEFAULT_BLOCKS;
    for (size_t t = 0; t < chunk->rows; t++) {
        size_t row = chunk->first + t,
               far = row % shape->block_rows + (size_t)shape->near_blocks * shape->block_rows;
        if (shape->positions == POSITIONS_STINGY)
            far = row + (slots + 1) * shape->block_rows;
        rotary_turn(&sequence->rotary, (int64_t)row, chunk->turns + t * 2 * width);
        rotary_turn(&sequence->rotary, (int64_t)far, chunk->far_turns + t * 2 * width);
    }
}

/* vectors[heads][W] rotated by one turn. In place allowed. */
static void rotate_heads(const struct sequence *sequence, const float *turn, size_t heads,
                         const float *vectors, float *out)
{
    size_t width = sequence->shape->head_width;
    for (size_t h = 0; h < heads; h++)
        kernel_rotate(turn, width, vectors + h * width, out + h * width);
}

/* The far query of a token stays for sequence_far_query. */
static void place_queries(struct sequence *sequence, size_t t, int m)
{
    const struct chunk *chunk = &sequence->chunk;
    const struct model_shape *shape = sequence->shape;
    size_t heads = shape->heads, width = shape->head_width, row = chunk->first + t;
    size_t token = row - row / shape->block_rows; /* none of its own where it is a landmark */
    float *queries = chunk->queries + t * heads * width,
          *far_queries = chunk->far_queries + t * heads * width;
    if (m >= 0) {
        rotate_heads(sequence, chunk->far_turns + t * 2 * width, heads, queries, far_queries);
        if (!chunk->is_landmark[t])
            memcpy(sequence->far_queries[m] + token * heads * width, far_queries,
                   heads * width * sizeof *far_queries);
    }
    rotate_heads(sequence, chunk->turns + t * 2 * width, heads, queries, queries);
}

static void place_keys_and_values(const struct sequence *sequence, size_t t,
                                  struct layer_cache *cache)
{
    const struct chunk *chunk = &sequence->chunk;
    size_t heads = sequence->shape->kv_heads, width = sequence->shape->head_width;
    size_t row = chunk->first + t, offset = row % sequence->shape->block_rows;
    for (size_t g = 0; g < heads; g++) {
        size_t place = (g * sequence->row_capacity + row) * width;
        const float *key = chunk->keys + (t * heads + g) * width;
        kernel_rotate(chunk->turns + t * 2 * width, width, key, cache->keys + place);
        if (cache->far_keys)
            kernel_rotate(sequence->offset_turns + offset * 2 * width, width, key,
                          cache->far_keys + place);
        memcpy(cache->values + place, chunk->values + (t * heads + g) * width,
               width * sizeof(float));
    }
}

/* ---- steps of a layer; all threads do them together, and a step that reads what another thread
 * may have written begins behind a barrier */

static void normalise(const struct sequence *sequence, const float *gain)
{
    const struct chunk *chunk = &sequence->chunk;
    size_t width = sequence->shape->width;
#pragma omp for schedule(static)
    for (size_t t = 0; t < chunk->rows; t++)
        kernel_rms_norm(chunk->hidden + t * width, 1, width, gain, sequence->shape->norm_epsilon,
                        chunk->normed + t * width);
}

/* No thread waits for the others: what follows is `normalise`, in which each has the same rows. */
static void add_projected(const struct sequence *sequence)
{
    const struct chunk *chunk = &sequence->chunk;
    size_t width = sequence->shape->width;
#pragma omp barrier
#pragma omp for schedule(static) nowait
    for (size_t t = 0; t < chunk->rows; t++)
        kernel_add(chunk->projected + t * width, width, chunk->hidden + t * width);
}

static bool needs_queries_only(const struct sequence *sequence, uint32_t layer)
{
    return sequence->queries_only && layer == model_top_memory_layer(sequence->shape);
}

/* Number of a memory layer, -1 for a local one. */
static int memory_number(const struct model_shape *shape, uint32_t layer)
{
    for (uint32_t m = 0; m < shape->memory_layer_count; m++)
        if (shape->memory_layers[m] == layer)
            return (int)m;
    return -1;
}

/* A layer's first half: queries in chunk.queries (rotated) and, in memory layers, far ones in
 * chunk.far_queries; keys and values in the cache. */
static void find_heads(struct sequence *sequence, uint32_t layer)
{
    const struct layer_weights *weights = &sequence->model->layers[layer];
    struct chunk *chunk = &sequence->chunk;
    int m = memory_number(sequence->shape, layer);
    bool has_keys = !needs_queries_only(sequence, layer);
    normalise(sequence, weights->attention_norm);
    sequence_multiply(&weights->query, chunk->normed, chunk->rows, chunk->queries);
    if (has_keys) {
        sequence_multiply(&weights->key, chunk->normed, chunk->rows, chunk->keys);
        sequence_multiply(&weights->value, chunk->normed, chunk->rows, chunk->values);
    }
#pragma omp barrier
#pragma omp for schedule(static)
    for (size_t t = 0; t < chunk->rows; t++) {
        place_queries(sequence, t, m);
        if (has_keys)
            place_keys_and_values(sequence, t, &sequence->caches[layer]);
    }
}

static void feed_forward(struct sequence *sequence, const struct layer_weights *weights)
{
    size_t width = sequence->shape->feed_forward;
    struct chunk *chunk = &sequence->chunk;
    normalise(sequence, weights->feed_forward_norm);
    sequence_multiply(&weights->gate, chunk->normed, chunk->rows, chunk->gate);
    struct share share = sequence_multiply(&weights->up, chunk->normed, chunk->rows, chunk->up);
    for (size_t t = 0; t < chunk->rows; t++) {
        float *gate = chunk->gate + t * width + share.first;
        kernel_gated_silu(gate, chunk->up + t * width + share.first, share.count, gate);
    }
#pragma omp barrier
    sequence_multiply(&weights->down, chunk->gate, chunk->rows, chunk->projected);
    add_projected(sequence);
}

/* Its second half. */
static void attend_and_feed(struct sequence *sequence, uint32_t layer)
{
    const struct layer_weights *weights = &sequence->model->layers[layer];
    struct chunk *chunk = &sequence->chunk;
    sequence_attend(sequence, layer, memory_number(sequence->shape, layer));
    sequence_multiply(&weights->output, chunk->attention, chunk->rows, chunk->projected);
    add_projected(sequence);
    feed_forward(sequence, weights);
}

/* ---- all layers */

/* Halves of layers, counted through all of them, by one team of threads: starting one for each step
 * would take longer than the steps of a single token. */
static void run_halves(struct sequence *sequence, uint32_t first, uint32_t end)
{
#pragma omp parallel num_threads((int)sequence->threads) if (sequence_shares_pay(sequence))
    for (uint32_t half = first; half < end; half++)
        if (half % 2 == 0)
            find_heads(sequence, half / 2);
        else
            attend_and_feed(sequence, half / 2);
}

static enum lmk_status choose_blocks(const struct sequence *sequence, size_t m,
                                     struct lmk_error *error)
{
    const struct memory_selector *selector = &sequence->selector;
    const struct chunk *chunk = &sequence->chunk;
    return selector->choose(selector->context, m, chunk->far_queries, chunk->rows, chunk->chosen,
                            chunk->chosen_counts, error);
}

enum lmk_status sequence_run_layers(struct sequence *sequence, struct lmk_error *error)
{
    const struct model_shape *shape = sequence->shape;
    uint32_t done = 0, end = sequence->queries_only ? 2 * model_top_memory_layer(shape) + 1
                                                    : 2 * shape->layers;
    embed(sequence);
    find_turns(sequence);
    /* A selector has threads of its own, so the team ends where it is asked. */
    for (uint32_t m = 0; sequence->selector.choose && m < shape->memory_layer_count; m++) {
        uint32_t asked = 2 * shape->memory_layers[m] + 1;
        if (asked == end)
            break;
        run_halves(sequence, done, asked);
        done = asked;
        enum lmk_status status = choose_blocks(sequence, m, error);
        if (status)
            return status;
    }
    run_halves(sequence, done, end);
    return LMK_OK;
}
