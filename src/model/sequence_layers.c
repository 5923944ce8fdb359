#include "src/model/rows.h"
#include "src/model/sequence_state.h"

#include <string.h>

static void multiply(const struct weight *weight, const float *inputs, size_t count, float *out)
{
    rows_multiply(weight->type, weight->data, weight->rows, weight->columns, inputs, count, out);
}

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

/* Vectors [T][heads][W], each row rotated by its turn. In place allowed. */
static void rotate_rows(const struct sequence *sequence, const float *turns, size_t heads,
                        const float *vectors, float *out)
{
    size_t width = sequence->shape->head_width;
    for (size_t i = 0; i < sequence->chunk.rows * heads; i++)
        kernel_rotate(turns + i / heads * 2 * width, width, vectors + i * width, out + i * width);
}

static void fill_cache(struct sequence *sequence, struct layer_cache *cache)
{
    const struct chunk *chunk = &sequence->chunk;
    size_t heads = sequence->shape->kv_heads, width = sequence->shape->head_width;
    for (size_t i = 0; i < chunk->rows * heads; i++) {
        size_t row = chunk->first + i / heads,
               place = (i % heads * sequence->row_capacity + row) * width;
        size_t offset = row % sequence->shape->block_rows;
        const float *key = chunk->keys + i * width;
        kernel_rotate(chunk->turns + i / heads * 2 * width, width, key, cache->keys + place);
        if (cache->far_keys)
            kernel_rotate(sequence->offset_turns + offset * 2 * width, width, key,
                          cache->far_keys + place);
        memcpy(cache->values + place, chunk->values + i * width, width * sizeof(float));
    }
}

/* Those of tokens stay for sequence_far_query. */
static void keep_far_queries(struct sequence *sequence, size_t m)
{
    const struct chunk *chunk = &sequence->chunk;
    size_t width = (size_t)sequence->shape->heads * sequence->shape->head_width;
    float *place = sequence->far_queries[m] + sequence->tokens * width;
    for (size_t t = 0; t < chunk->rows; t++) {
        if (chunk->is_landmark[t])
            continue;
        memcpy(place, chunk->far_queries + t * width, width * sizeof *place);
        place += width;
    }
}

static enum lmk_status choose_blocks(struct sequence *sequence, size_t m, struct lmk_error *error)
{
    const struct memory_selector *selector = &sequence->selector;
    struct chunk *chunk = &sequence->chunk;
    if (!selector->choose)
        return LMK_OK;
    return selector->choose(selector->context, m, chunk->far_queries, chunk->rows, chunk->chosen,
                            chunk->chosen_counts, error);
}

/* Leaves the queries in chunk.queries (rotated), and the far ones of memory layers in
 * chunk.far_queries. */
static void find_queries(struct sequence *sequence, const struct layer_weights *weights, int m)
{
    const struct model_shape *shape = sequence->shape;
    struct chunk *chunk = &sequence->chunk;
    kernel_rms_norm(chunk->hidden, chunk->rows, shape->width, weights->attention_norm,
                    shape->norm_epsilon, chunk->normed);
    multiply(&weights->query, chunk->normed, chunk->rows, chunk->queries);
    if (m >= 0) {
        rotate_rows(sequence, chunk->far_turns, shape->heads, chunk->queries, chunk->far_queries);
        keep_far_queries(sequence, (size_t)m);
    }
    rotate_rows(sequence, chunk->turns, shape->heads, chunk->queries, chunk->queries);
}

static void find_keys_and_values(struct sequence *sequence, const struct layer_weights *weights,
                                 uint32_t layer)
{
    struct chunk *chunk = &sequence->chunk;
    multiply(&weights->key, chunk->normed, chunk->rows, chunk->keys);
    multiply(&weights->value, chunk->normed, chunk->rows, chunk->values);
    fill_cache(sequence, &sequence->caches[layer]);
}

static void add_projected(const struct sequence *sequence)
{
    const struct chunk *chunk = &sequence->chunk;
    kernel_add(chunk->projected, chunk->rows * sequence->shape->width, chunk->hidden);
}

static void feed_forward(struct sequence *sequence, const struct layer_weights *weights)
{
    const struct model_shape *shape = sequence->shape;
    struct chunk *chunk = &sequence->chunk;
    kernel_rms_norm(chunk->hidden, chunk->rows, shape->width, weights->feed_forward_norm,
                    shape->norm_epsilon, chunk->normed);
    multiply(&weights->gate, chunk->normed, chunk->rows, chunk->gate);
    multiply(&weights->up, chunk->normed, chunk->rows, chunk->up);
    kernel_gated_silu(chunk->gate, chunk->up, chunk->rows * shape->feed_forward, chunk->gate);
    multiply(&weights->down, chunk->gate, chunk->rows, chunk->projected);
    add_projected(sequence);
}

static enum lmk_status run_layer(struct sequence *sequence, uint32_t layer, int m,
                                 struct lmk_error *error)
{
    const struct layer_weights *weights = &sequence->model->layers[layer];
    find_queries(sequence, weights, m);
    if (sequence->queries_only && layer == model_top_memory_layer(sequence->shape))
        return LMK_OK;
    find_keys_and_values(sequence, weights, layer);
    if (m >= 0) {
        enum lmk_status status = choose_blocks(sequence, (size_t)m, error);
        if (status)
            return status;
    }
    sequence_attend(sequence, layer, m);
    multiply(&weights->output, sequence->chunk.attention, sequence->chunk.rows,
             sequence->chunk.projected);
    add_projected(sequence);
    feed_forward(sequence, weights);
    return LMK_OK;
}

enum lmk_status sequence_run_layers(struct sequence *sequence, struct lmk_error *error)
{
    const struct model_shape *shape = sequence->shape;
    uint32_t layers = sequence->queries_only ? model_top_memory_layer(shape) + 1 : shape->layers;
    int next_memory_layer = 0;
    embed(sequence);
    find_turns(sequence);
    for (uint32_t layer = 0; layer < layers; layer++) {
        bool is_memory = model_is_memory_layer(shape, layer);
        enum lmk_status status =
            run_layer(sequence, layer, is_memory ? next_memory_layer : -1, error);
        if (status)
            return status;
        next_memory_layer += is_memory;
    }
    return LMK_OK;
}
