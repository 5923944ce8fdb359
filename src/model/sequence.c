#include "src/model/sequence_state.h"

#include "src/model/limits.h"

#include <assert.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_CAPACITY = 128 };

/* ---- opening and closing */

/* The buffers of a chunk, by their floats for one row. */
static enum lmk_status open_chunk(struct chunk *chunk, const struct model_shape *shape,
                                  struct lmk_error *error)
{
    size_t query_width = (size_t)shape->heads * shape->head_width,
           kv_width = (size_t)shape->kv_heads * shape->head_width;
    const struct {
        float **buffer;
        size_t width;
    } buffers[] = {
        {&chunk->hidden, shape->width},
        {&chunk->normed, shape->width},
        {&chunk->queries, query_width},
        {&chunk->far_queries, query_width},
        {&chunk->keys, kv_width},
        {&chunk->values, kv_width},
        {&chunk->attention, query_width},
        {&chunk->gate, shape->feed_forward},
        {&chunk->up, shape->feed_forward},
        {&chunk->projected, shape->width},
        {&chunk->turns, 2 * (size_t)shape->head_width},
        {&chunk->far_turns, 2 * (size_t)shape->head_width},
    };
    for (size_t i = 0; i < sizeof buffers / sizeof buffers[0]; i++) {
        *buffers[i].buffer = malloc(SEQUENCE_CHUNK * buffers[i].width * sizeof(float));
        if (!*buffers[i].buffer)
            return error_memory(error, SEQUENCE_CHUNK * buffers[i].width * sizeof(float));
    }
    return LMK_OK;
}

static void close_chunk(struct chunk *chunk)
{
    float *const buffers[] = {chunk->hidden, chunk->normed,    chunk->queries,   chunk->far_queries,
                              chunk->keys,   chunk->values,    chunk->attention, chunk->gate,
                              chunk->up,     chunk->projected, chunk->turns,     chunk->far_turns};
    for (size_t i = 0; i < sizeof buffers / sizeof buffers[0]; i++)
        free(buffers[i]);
    free(chunk->chosen);
    free(chunk->chosen_counts);
}

static enum lmk_status open_turns(struct sequence *sequence, struct lmk_error *error)
{
    const struct model_shape *shape = sequence->shape;
    size_t size = (size_t)shape->block_rows * 2 * shape->head_width;
    enum lmk_status status =
        rotary_open(&sequence->rotary, shape->head_width, shape->rope_base, error);
    if (status)
        return status;
    sequence->offset_turns = malloc(size * sizeof(float));
    sequence->inverse_turns = malloc(size * sizeof(float));
    if (!sequence->offset_turns || !sequence->inverse_turns)
        return error_memory(error, 2 * size * sizeof(float));
    rotary_turns(&sequence->rotary, 0, shape->block_rows, sequence->offset_turns);
    for (size_t i = 0; i < shape->block_rows; i++)
        rotary_turn(&sequence->rotary, -(int64_t)i,
                    sequence->inverse_turns + i * 2 * shape->head_width);
    return LMK_OK;
}

static enum lmk_status open_parts(struct sequence *sequence, struct lmk_error *error)
{
    const struct model_shape *shape = sequence->shape;
    sequence->caches = calloc(shape->layers, sizeof *sequence->caches);
    if (!sequence->caches)
        return error_memory(error, shape->layers * sizeof *sequence->caches);
    sequence->logits = malloc(shape->vocabulary * sizeof(float));
    if (!sequence->logits)
        return error_memory(error, shape->vocabulary * sizeof(float));
    enum lmk_status status = open_turns(sequence, error);
    return status ? status : open_chunk(&sequence->chunk, shape, error);
}

enum lmk_status sequence_open(struct sequence **sequence, const struct lmk_model *model,
                              size_t max_tokens, bool queries_only, struct lmk_error *error)
{
    *sequence = NULL;
    if (max_tokens == 0)
        return error_set(error, LMK_USAGE, "A prompt needs room for at least one token.");
    struct sequence *opened = calloc(1, sizeof *opened);
    if (!opened)
        return error_memory(error, sizeof *opened);
    opened->model = model;
    opened->shape = &model->shape;
    opened->max_tokens = max_tokens;
    opened->queries_only = queries_only;
    enum lmk_status status = open_parts(opened, error);
    if (status) {
        sequence_close(opened);
        return status;
    }
    *sequence = opened;
    return LMK_OK;
}

void sequence_close(struct sequence *sequence)
{
    if (!sequence)
        return;
    for (uint32_t i = 0; sequence->caches && i < sequence->shape->layers; i++) {
        free(sequence->caches[i].keys);
        free(sequence->caches[i].far_keys);
        free(sequence->caches[i].values);
    }
    for (uint32_t m = 0; m < sequence->shape->memory_layer_count; m++)
        free(sequence->far_queries[m]);
    free(sequence->caches);
    rotary_close(&sequence->rotary);
    free(sequence->offset_turns);
    free(sequence->inverse_turns);
    free(sequence->slot_turns);
    free(sequence->blocks);
    free(sequence->block_pointers);
    free(sequence->mass);
    free(sequence->scratch);
    free(sequence->logits);
    close_chunk(&sequence->chunk);
    free(sequence);
}

/* ---- memory */

static enum lmk_status check_unused(const struct sequence *sequence, struct lmk_error *error)
{
    if (sequence->rows || sequence->block_count || sequence->selector.choose)
        return error_set(error, LMK_USAGE,
                         "The blocks that a prompt reads are set once, before its first token; "
                         "open another sequence.");
    return LMK_OK;
}

/* Turns that bring a query back from slots 0 .. count - 1. */
static enum lmk_status open_slots(struct sequence *sequence, size_t count, struct lmk_error *error)
{
    const struct model_shape *shape = sequence->shape;
    size_t width = 2 * (size_t)shape->head_width;
    if (shape->positions == POSITIONS_SLOT)
        return LMK_OK;
    sequence->slot_turns = malloc(count * width * sizeof(float));
    if (!sequence->slot_turns)
        return error_memory(error, count * width * sizeof(float));
    for (size_t i = 0; i < count; i++)
        rotary_turn(&sequence->rotary, -(int64_t)(i * shape->block_rows),
                    sequence->slot_turns + i * width);
    sequence->slot_count = count;
    return LMK_OK;
}

static enum lmk_status check_slots(const struct model_shape *shape,
                                   const struct memory_block *blocks, size_t count,
                                   struct lmk_error *error)
{
    for (size_t i = 0; i < count && shape->positions == POSITIONS_STINGY; i++)
        if (blocks[i].slot > count)
            return error_set(
                error, LMK_USAGE,
                "Block %zu of %zu has slot %u; slots go from 0 to the number of blocks.", i, count,
                blocks[i].slot);
    return LMK_OK;
}

static enum lmk_status copy_blocks(struct sequence *sequence, const struct memory_block *blocks,
                                   size_t count, struct lmk_error *error)
{
    size_t masses = (size_t)sequence->shape->memory_layer_count * sequence->shape->heads * count;
    sequence->blocks = calloc(count, sizeof *blocks);
    sequence->block_pointers = calloc(count, sizeof *sequence->block_pointers);
    sequence->mass = calloc(masses, sizeof(float));
    if (!sequence->blocks || !sequence->block_pointers || !sequence->mass)
        return error_memory(error, count * sizeof *blocks + masses * sizeof(float));
    memcpy(sequence->blocks, blocks, count * sizeof *blocks);
    for (size_t i = 0; i < count; i++)
        sequence->block_pointers[i] = &sequence->blocks[i];
    sequence->block_count = count;
    return LMK_OK;
}

enum lmk_status sequence_set_memory(struct sequence *sequence, const struct memory_block *blocks,
                                    size_t count, struct lmk_error *error)
{
    enum lmk_status status = check_unused(sequence, error);
    if (status || count == 0)
        return status;
    status = check_slots(sequence->shape, blocks, count, error);
    if (!status)
        status = open_slots(sequence, count + 1, error);
    return status ? status : copy_blocks(sequence, blocks, count, error);
}

enum lmk_status sequence_set_selector(struct sequence *sequence,
                                      const struct memory_selector *selector,
                                      struct lmk_error *error)
{
    struct chunk *chunk = &sequence->chunk;
    enum lmk_status status = check_unused(sequence, error);
    if (!status)
        status = open_slots(sequence, selector->k + 1, error);
    if (status)
        return status;
    size_t places = (size_t)SEQUENCE_CHUNK * sequence->shape->heads;
    chunk->chosen = calloc(places * selector->k + 1, sizeof *chunk->chosen);
    chunk->chosen_counts = calloc(places, sizeof *chunk->chosen_counts);
    if (!chunk->chosen || !chunk->chosen_counts)
        return error_memory(error, places * selector->k * sizeof *chunk->chosen);
    sequence->selector = *selector;
    return LMK_OK;
}

/* ---- room */

/* Moves [G][old][W] to [G][new][W]. */
static bool grow_rows(float **rows, size_t heads, size_t width, size_t used, size_t old, size_t new)
{
    float *grown = malloc(heads * new *width * sizeof *grown);
    if (!grown)
        return false;
    for (size_t g = 0; g < heads && used; g++)
        memcpy(grown + g * new *width, *rows + g * old * width, used * width * sizeof *grown);
    free(*rows);
    *rows = grown;
    return true;
}

static enum lmk_status grow_caches(struct sequence *sequence, size_t capacity,
                                   struct lmk_error *error)
{
    const struct model_shape *shape = sequence->shape;
    size_t heads = shape->kv_heads, width = shape->head_width, used = sequence->rows,
           old = sequence->row_capacity;
    uint32_t layers = sequence->queries_only ? model_top_memory_layer(shape) : shape->layers;
    for (uint32_t i = 0; i < layers; i++) {
        struct layer_cache *cache = &sequence->caches[i];
        bool has_far = shape->positions == POSITIONS_SLOT && model_is_memory_layer(shape, i);
        if (!grow_rows(&cache->keys, heads, width, used, old, capacity) ||
            !grow_rows(&cache->values, heads, width, used, old, capacity) ||
            (has_far && !grow_rows(&cache->far_keys, heads, width, used, old, capacity)))
            return error_memory(error, heads * capacity * width * sizeof(float));
    }
    sequence->row_capacity = capacity;
    return LMK_OK;
}

static enum lmk_status grow_queries(struct sequence *sequence, size_t capacity,
                                    struct lmk_error *error)
{
    const struct model_shape *shape = sequence->shape;
    size_t size = capacity * shape->heads * shape->head_width * sizeof(float);
    for (uint32_t m = 0; m < shape->memory_layer_count; m++) {
        float *grown = realloc(sequence->far_queries[m], size);
        if (!grown)
            return error_memory(error, size);
        sequence->far_queries[m] = grown;
    }
    sequence->query_capacity = capacity;
    return LMK_OK;
}

static size_t larger_capacity(size_t capacity, size_t wanted)
{
    size_t doubled = 2 * capacity < LEAST_CAPACITY ? LEAST_CAPACITY : 2 * capacity;
    return wanted > doubled ? wanted : doubled;
}

static enum lmk_status reserve_scratch(struct sequence *sequence, struct lmk_error *error)
{
    size_t threads = (size_t)omp_get_max_threads();
    size_t size = sequence_scratch_size(sequence, sequence->row_capacity);
    if (sequence->scratch && threads == sequence->threads && size <= sequence->scratch_size)
        return LMK_OK;
    free(sequence->scratch);
    sequence->scratch = malloc(threads * size * sizeof(float));
    sequence->threads = threads;
    sequence->scratch_size = size;
    return sequence->scratch ? LMK_OK : error_memory(error, threads * size * sizeof(float));
}

static enum lmk_status reserve(struct sequence *sequence, size_t rows, size_t tokens,
                               struct lmk_error *error)
{
    enum lmk_status status = LMK_OK;
    if (rows > sequence->row_capacity)
        status = grow_caches(sequence, larger_capacity(sequence->row_capacity, rows), error);
    if (!status && tokens > sequence->query_capacity)
        status = grow_queries(sequence, larger_capacity(sequence->query_capacity, tokens), error);
    return status ? status : reserve_scratch(sequence, error);
}

/* ---- running */

/* Takes tokens for the next chunk, a landmark after every N of them; it waits for the token behind
 * it, as nothing before that one sees it. */
static void fill_chunk(struct sequence *sequence, const uint32_t *tokens, size_t count)
{
    struct chunk *chunk = &sequence->chunk;
    chunk->first = sequence->rows;
    chunk->rows = chunk->tokens = 0;
    while (chunk->rows < SEQUENCE_CHUNK && chunk->tokens < count) {
        bool is_landmark = (chunk->first + chunk->rows) % sequence->shape->block_rows ==
                           sequence->shape->block_tokens;
        chunk->is_landmark[chunk->rows] = is_landmark;
        chunk->ids[chunk->rows++] =
            is_landmark ? sequence->shape->landmark_id : tokens[chunk->tokens++];
    }
}

/* Logits of chunk rows from `first` on that are tokens; returns how many. */
static size_t find_logits(struct sequence *sequence, size_t first, float *logits)
{
    const struct lmk_model *model = sequence->model;
    struct chunk *chunk = &sequence->chunk;
    size_t width = sequence->shape->width, count = 0;
    for (size_t t = first; t < chunk->rows; t++)
        if (!chunk->is_landmark[t])
            kernel_rms_norm(chunk->hidden + t * width, 1, width, model->output_norm,
                            sequence->shape->norm_epsilon, chunk->normed + count++ * width);
#pragma omp parallel num_threads((int)sequence->threads) if (sequence_shares_pay(sequence))
    sequence_multiply(&model->output, chunk->normed, count, logits);
    return count;
}

static enum lmk_status check_feed(const struct sequence *sequence, const uint32_t *tokens,
                                  size_t count, const float *logits, struct lmk_error *error)
{
    assert(!logits || !sequence->queries_only);
    if (count > sequence->max_tokens - sequence->tokens)
        return error_set(error, LMK_USAGE,
                         "The prompt and its answer are longer than the %zu tokens allowed.",
                         sequence->max_tokens);
    for (size_t i = 0; i < count; i++)
        if (tokens[i] >= sequence->shape->vocabulary)
            return error_set(error, LMK_USAGE,
                             "Token %u at place %zu is none of the model's %u tokens.", tokens[i],
                             i, sequence->shape->vocabulary);
    return LMK_OK;
}

enum lmk_status sequence_feed(struct sequence *sequence, const uint32_t *tokens, size_t count,
                              float *logits, struct lmk_error *error)
{
    size_t landmarks = (sequence->tokens + count) / sequence->shape->block_tokens;
    enum lmk_status status = check_feed(sequence, tokens, count, logits, error);
    if (!status)
        status = reserve(sequence, sequence->tokens + count + landmarks, sequence->tokens + count,
                         error);
    while (count && !status) {
        struct chunk *chunk = &sequence->chunk;
        fill_chunk(sequence, tokens, count);
        status = sequence_run_layers(sequence, error);
        if (status)
            break;
        sequence->rows += chunk->rows;
        sequence->tokens += chunk->tokens;
        tokens += chunk->tokens;
        count -= chunk->tokens;
        if (logits) {
            logits += find_logits(sequence, 0, logits) * sequence->shape->vocabulary;
            memcpy(sequence->logits, logits - sequence->shape->vocabulary,
                   sequence->shape->vocabulary * sizeof *logits);
        } else if (!count && !sequence->queries_only)
            find_logits(sequence, chunk->rows - 1, sequence->logits);
        sequence->has_logits = !sequence->queries_only;
    }
    return status;
}

/* ---- results */

const float *sequence_logits(const struct sequence *sequence)
{
    return sequence->has_logits ? sequence->logits : NULL;
}

size_t sequence_tokens(const struct sequence *sequence)
{
    return sequence->tokens;
}

const float *sequence_far_query(const struct sequence *sequence, size_t m, size_t h, size_t t)
{
    const struct model_shape *shape = sequence->shape;
    assert(m < shape->memory_layer_count && h < shape->heads && t < sequence->tokens);
    return sequence->far_queries[m] + (t * shape->heads + h) * shape->head_width;
}

/* sum[W] += the last token's far query and the mean of all tokens' ones. */
static void pool_head(const struct sequence *sequence, size_t m, size_t h, double *sum)
{
    size_t width = sequence->shape->head_width, tokens = sequence->tokens;
    for (size_t t = 0; t < tokens; t++) {
        const float *query = sequence_far_query(sequence, m, h, t);
        double factor = 1.0 / (double)tokens + (t + 1 == tokens);
        for (size_t i = 0; i < width; i++)
            sum[i] += factor * (double)query[i];
    }
}

void sequence_pooled_query(const struct sequence *sequence, float *pooled)
{
    const struct model_shape *shape = sequence->shape;
    size_t width = shape->head_width, group = shape->heads / shape->kv_heads;
    assert(sequence->tokens > 0);
    for (size_t i = 0; i < (size_t)shape->memory_layer_count * shape->kv_heads; i++) {
        double sum[LIMIT_HEAD_WIDTH] = {0};
        for (size_t h = 0; h < group; h++)
            pool_head(sequence, i / shape->kv_heads, i % shape->kv_heads * group + h, sum);
        for (size_t j = 0; j < width; j++)
            pooled[i * width + j] = (float)sum[j];
    }
}

void sequence_landmark_mass(const struct sequence *sequence, float *mass)
{
    size_t heads = sequence->shape->heads, count = sequence->block_count;
    for (size_t m = 0; m < sequence->shape->memory_layer_count; m++)
        for (size_t b = 0; b < count; b++) {
            double sum = 0;
            for (size_t h = 0; h < heads; h++)
                sum += (double)sequence->mass[(m * heads + h) * count + b];
            mass[m * count + b] = (float)(sum / (double)heads);
        }
}
