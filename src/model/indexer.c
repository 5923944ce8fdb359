#include "src/model/attention.h"
#include "src/model/indexer_weights.h"
#include "src/model/kernels.h"
#include "src/model/limits.h"
#include "src/model/rows.h"
#include "src/model/stream.h"

#include <assert.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

/* Rows that go through a layer together: enough for matrix products at full speed, few enough for
 * the caches. */
enum { BATCH_BLOCKS = 16 };

struct indexer {
    const struct lmk_model *model;
    struct model_shape shape; /* the model's, with the reach that is wanted */
    struct attention attention;
    enum tensor_type far_type;             /* what the keys and values of far blocks are read as */
    size_t copies;                         /* of a packed block: 2 where far ones are rounded */
    const struct indexer_weights *weights; /* `own`, or the model's */
    struct indexer_weights own;            /* where it scores; else empty */
    size_t top;                            /* layers that run whole */
    const struct indexer_layer *layers;    /* [top + 1], of the weights */
    size_t batch_blocks, max_threads;
    struct batch_block *batch;
    size_t batch_count;
    float *residual;    /* [rows][D] */
    float *normed;      /* [rows][D] */
    float *projected;   /* [rows][(H + 2*G)*W] */
    float *attended;    /* [rows][H*W] */
    float *gate_up;     /* [rows][2*F] */
    float *logits;      /* [B][V]; only where it scores */
    float *packed;      /* [batch_blocks][copies][G][attention_block_floats] */
    float *rounded;     /* [max_threads][2][B][W]: keys and values of a block; with 2 copies */
    float *scratch;     /* [max_threads][attention_scratch_floats] */
    void *workspace;    /* of matrix products */
    const float **seen; /* [max_threads][1 + blocks before that a row may see] */
    size_t seen_blocks;
};

/* One block of a batch. A batch takes blocks of an item in order, so its stream's newest blocks lie
 * before it. */
struct batch_block {
    const struct indexer_item *item;
    size_t block; /* of the item */
    size_t first; /* where in the batch the item's blocks begin */
};

/* ---- opening */

static bool scores_tokens(const struct indexer *indexer)
{
    return indexer->top == indexer->shape.layers;
}

/* The most that any of the matrices needs. */
static size_t workspace_bytes(const struct indexer *indexer, size_t rows)
{
    size_t most = dense_workspace(&indexer->weights->vocabulary, rows);
    for (size_t l = 0; l <= indexer->top; l++) {
        const struct indexer_layer *layer = &indexer->layers[l];
        const struct dense *const matrices[] = {&layer->projection, &layer->output, &layer->gate_up,
                                                &layer->down};
        for (size_t i = 0; i < sizeof matrices / sizeof matrices[0]; i++)
            if (most < dense_workspace(matrices[i], rows))
                most = dense_workspace(matrices[i], rows);
    }
    return most;
}

static enum lmk_status allocate(float **place, size_t count, struct lmk_error *error)
{
    /* Whole cache lines, and no product of OpenBLAS's vector units across a line more than need be.
     */
    size_t bytes = (count * sizeof(float) + 63) / 64 * 64;
    *place = aligned_alloc(64, bytes > 0 ? bytes : 64);
    return *place ? LMK_OK : error_memory(error, bytes);
}

static enum lmk_status open_buffers(struct indexer *indexer, struct lmk_error *error)
{
    const struct model_shape *shape = &indexer->shape;
    size_t rows = indexer->batch_blocks * shape->block_rows, width = shape->head_width;
    const struct {
        float **place;
        size_t count;
    } buffers[] = {
        {&indexer->residual, rows * shape->width},
        {&indexer->normed, rows * shape->width},
        {&indexer->projected, rows * (shape->heads + 2 * shape->kv_heads) * width},
        {&indexer->attended, rows * shape->heads * width},
        {&indexer->gate_up, rows * 2 * shape->feed_forward},
        {&indexer->logits,
         scores_tokens(indexer) ? (size_t)shape->block_rows * shape->vocabulary : 0},
        {&indexer->packed, indexer->batch_blocks * indexer->copies * shape->kv_heads *
                               attention_block_floats(&indexer->attention)},
        {&indexer->rounded,
         indexer->copies > 1 ? indexer->max_threads * 2 * shape->block_rows * width : 0},
        {&indexer->scratch, indexer->max_threads * attention_scratch_floats(&indexer->attention)},
    };
    for (size_t i = 0; i < sizeof buffers / sizeof buffers[0]; i++) {
        enum lmk_status status = allocate(buffers[i].place, buffers[i].count, error);
        if (status != LMK_OK)
            return status;
    }
    indexer->workspace = malloc(workspace_bytes(indexer, rows) + 1);
    if (!indexer->workspace)
        return error_memory(error, workspace_bytes(indexer, rows));
    size_t before = indexer->attention.local_blocks;
    if (before < shape->reach)
        before = shape->reach;
    indexer->seen_blocks = before + 1;
    indexer->seen = calloc(indexer->max_threads * indexer->seen_blocks, sizeof *indexer->seen);
    indexer->batch = calloc(indexer->batch_blocks, sizeof *indexer->batch);
    if (!indexer->seen || !indexer->batch)
        return error_memory(error,
                            indexer->max_threads * indexer->seen_blocks * sizeof *indexer->seen);
    return LMK_OK;
}

/* Only read when an indexer opens, and set by tests and tools before. */
static bool float32_only;

void indexer_force_float32(bool force)
{
    float32_only = force;
}

const char *indexer_precision(const struct indexer *indexer)
{
    return indexer->weights->products ? "bfloat16" : "float32";
}

/* Sums over a small model's few inputs average too little of the rounding away, and need no speed.
 */
static const struct bf16_products *choose_products(const struct model_shape *shape)
{
    enum { LEAST_WIDTH = 256 };
    bool exact = float32_only || getenv("LMK_FLOAT32") || shape->width < LEAST_WIDTH;
    return exact ? NULL : bf16_products();
}

static enum lmk_status open_weights(struct indexer *indexer, struct lmk_error *error)
{
    const struct bf16_products *products = choose_products(&indexer->shape);
    indexer->weights = &indexer->own;
    enum lmk_status status =
        scores_tokens(indexer)
            ? indexer_weights_open(&indexer->own, indexer->model, products, indexer->top, error)
            : indexer_weights_of(indexer->model, products, &indexer->weights, error);
    indexer->layers = indexer->weights->layers;
    return status;
}

static enum lmk_status open_with(struct indexer **indexer, const struct lmk_model *model,
                                 size_t max_blocks, const struct indexer_sight *sight,
                                 struct lmk_error *error)
{
    struct indexer *opened = calloc(1, sizeof *opened);
    *indexer = NULL;
    if (!opened)
        return error_memory(error, sizeof *opened);
    opened->model = model;
    opened->shape = model->shape;
    opened->top = sight ? model->shape.layers : model_top_memory_layer(&model->shape);
    if (sight) {
        opened->shape.reach = sight->near + sight->far;
        opened->far_type = sight->far_type;
    }
    opened->copies = opened->far_type == TENSOR_F32 ? 1 : 2;
    opened->batch_blocks = max_blocks < BATCH_BLOCKS ? max_blocks : BATCH_BLOCKS;
    int threads = omp_get_max_threads(), processors = omp_get_num_procs();
    opened->max_threads = (size_t)(threads > processors ? threads : processors);
    enum lmk_status status = attention_open(&opened->attention, &opened->shape, error);
    if (status == LMK_OK && sight) {
        opened->attention.near = sight->near;
        opened->attention.best = sight->best;
    }
    if (status == LMK_OK)
        status = open_weights(opened, error);
    if (status == LMK_OK)
        status = open_buffers(opened, error);
    if (status != LMK_OK) {
        indexer_close(opened);
        return status;
    }
    *indexer = opened;
    return LMK_OK;
}

enum lmk_status indexer_open(struct indexer **indexer, const struct lmk_model *model,
                             size_t max_blocks, struct lmk_error *error)
{
    return open_with(indexer, model, max_blocks, NULL, error);
}

enum lmk_status indexer_open_scoring(struct indexer **indexer, const struct lmk_model *model,
                                     size_t max_blocks, const struct indexer_sight *sight,
                                     struct lmk_error *error)
{
    return open_with(indexer, model, max_blocks, sight, error);
}

void indexer_close(struct indexer *indexer)
{
    if (!indexer)
        return;
    indexer_weights_close(&indexer->own);
    attention_close(&indexer->attention);
    free(indexer->residual);
    free(indexer->normed);
    free(indexer->projected);
    free(indexer->attended);
    free(indexer->gate_up);
    free(indexer->logits);
    free(indexer->packed);
    free(indexer->rounded);
    free(indexer->scratch);
    free(indexer->workspace);
    free(indexer->seen);
    free(indexer->batch);
    free(indexer);
}

/* Blocks before its own that a row of layer l sees. */
static size_t history_depth(const struct indexer *indexer, size_t l)
{
    return indexer->layers[l].memory ? indexer->shape.reach : indexer->attention.local_blocks;
}

enum lmk_status stream_open(struct stream **stream, const struct indexer *indexer,
                            struct lmk_error *error)
{
    struct stream *opened = calloc(1, sizeof *opened + indexer->top * sizeof *opened->histories);
    *stream = NULL;
    if (!opened)
        return error_memory(error, sizeof *opened);
    opened->layers = indexer->top;
    opened->block_floats =
        indexer->copies * indexer->shape.kv_heads * attention_block_floats(&indexer->attention);
    for (size_t l = 0; l < indexer->top; l++) {
        struct history *history = &opened->histories[l];
        history->depth = history_depth(indexer, l);
        enum lmk_status status =
            allocate(&history->packed, history->depth * opened->block_floats, error);
        if (status != LMK_OK) {
            stream_close(opened);
            return status;
        }
    }
    *stream = opened;
    return LMK_OK;
}

/* Each layer sees blocks that themselves saw, in the layer below it, so many before. */
size_t indexer_blocks_before(const struct indexer *indexer)
{
    size_t before = 0;
    for (size_t l = 0; l < indexer->top; l++)
        before += history_depth(indexer, l);
    return before;
}

/* ---- running */

static int thread_count(const struct indexer *indexer)
{
    int threads = omp_get_max_threads();
    return threads < (int)indexer->max_threads ? threads : (int)indexer->max_threads;
}

static size_t batch_rows(const struct indexer *indexer)
{
    return indexer->batch_count * indexer->shape.block_rows;
}

/* Embeddings of a block's tokens and its landmark. */
static void embed_block(struct indexer *indexer, size_t index)
{
    const struct model_shape *shape = &indexer->shape;
    const struct weight *embedding = &indexer->model->embedding;
    const struct batch_block *block = &indexer->batch[index];
    const uint32_t *tokens = block->item->tokens + block->block * shape->block_tokens;
    size_t row_bytes = rows_bytes(embedding->type, shape->width);
    for (size_t r = 0; r < shape->block_rows; r++) {
        uint32_t id = r < shape->block_tokens ? tokens[r] : shape->landmark_id;
        assert(id < shape->vocabulary);
        rows_unpack(embedding->type, (const char *)embedding->data + id * row_bytes,
                    indexer->residual + (index * shape->block_rows + r) * shape->width,
                    shape->width);
    }
}

static void normalise(struct indexer *indexer, const float *gain)
{
    const struct model_shape *shape = &indexer->shape;
#pragma omp parallel for num_threads(thread_count(indexer))
    for (size_t b = 0; b < indexer->batch_count; b++) {
        size_t first = b * shape->block_rows * shape->width;
        kernel_rms_norm(indexer->residual + first, shape->block_rows, shape->width, gain,
                        shape->norm_epsilon, indexer->normed + first);
    }
}

/* A projection's keys and values as attention and the store take them. */
struct projection {
    const float *keys, *values; /* [rows][G][W], rows `stride` floats apart */
    size_t stride;
};

static struct projection projection_of(const struct indexer *indexer, size_t l)
{
    const struct model_shape *shape = &indexer->shape;
    size_t queries = l == indexer->top ? 0 : shape->heads * (size_t)shape->head_width;
    size_t keys = shape->kv_heads * (size_t)shape->head_width;
    const float *first = indexer->projected + queries;
    return (struct projection){first, first + keys, queries + 2 * keys};
}

/* Copies a memory layer's keys and values of one block, before rotation, to where the item wants
 * them. */
static void give_block(const struct indexer *indexer, size_t l, size_t index)
{
    const struct model_shape *shape = &indexer->shape;
    const struct batch_block *block = &indexer->batch[index];
    struct projection projection = projection_of(indexer, l);
    size_t m = 0, width = shape->head_width, tokens = shape->block_tokens,
           row = index * shape->block_rows;
    while (shape->memory_layers[m] != l)
        m++;
    for (size_t g = 0; g < shape->kv_heads; g++) {
        size_t head = (block->block * shape->memory_layer_count + m) * shape->kv_heads + g;
        const float *keys = projection.keys + row * projection.stride + g * width;
        const float *values = projection.values + row * projection.stride + g * width;
        for (size_t r = 0; r < tokens; r++) {
            size_t place = (head * tokens + r) * width;
            if (block->item->keys)
                memcpy(block->item->keys + place, keys + r * projection.stride,
                       width * sizeof *keys);
            if (block->item->values)
                memcpy(block->item->values + place, values + r * projection.stride,
                       width * sizeof *values);
        }
        if (block->item->landmark_keys)
            memcpy(block->item->landmark_keys + head * width, keys + tokens * projection.stride,
                   width * sizeof *keys);
    }
}

/* Rows as they are read where they are stored; the landmark's own key is stored as it is. */
static void round_rows(const struct indexer *indexer, const float *rows, size_t stride,
                       float *rounded)
{
    size_t width = indexer->shape.head_width, tokens = indexer->shape.block_tokens;
    unsigned char stored[LIMIT_HEAD_WIDTH * sizeof(float)];
    for (size_t r = 0; r < tokens; r++) {
        rows_pack(indexer->far_type, rows + r * stride, stored, width);
        rows_unpack(indexer->far_type, stored, rounded + r * width, width);
    }
    memcpy(rounded + tokens * width, rows + tokens * stride, width * sizeof *rows);
}

static void pack_block(struct indexer *indexer, size_t l, size_t index)
{
    const struct model_shape *shape = &indexer->shape;
    size_t head_floats = attention_block_floats(&indexer->attention), width = shape->head_width;
    struct projection projection = projection_of(indexer, l);
    size_t row = index * shape->block_rows * projection.stride;
    float *packed = indexer->packed + index * indexer->copies * shape->kv_heads * head_floats;
    for (size_t g = 0; g < shape->kv_heads; g++) {
        const float *keys = projection.keys + row + g * width,
                    *values = projection.values + row + g * width;
        attention_pack(&indexer->attention, keys, values, projection.stride,
                       packed + g * head_floats);
        if (indexer->copies == 1 || !indexer->layers[l].memory)
            continue;
        float *rounded = indexer->rounded +
                         (size_t)omp_get_thread_num() * 2 * (size_t)shape->block_rows * width,
              *rounded_values = rounded + (size_t)shape->block_rows * width;
        round_rows(indexer, keys, projection.stride, rounded);
        round_rows(indexer, values, projection.stride, rounded_values);
        attention_pack(&indexer->attention, rounded, rounded_values, width,
                       packed + (shape->kv_heads + g) * head_floats);
    }
}

/* Where the packed blocks lie that a block sees, its own first; returns how many. */
static size_t blocks_seen(const struct indexer *indexer, size_t l, size_t index, size_t g,
                          const float **seen)
{
    const struct batch_block *block = &indexer->batch[index];
    const struct stream *stream = block->item->stream;
    size_t head_floats = attention_block_floats(&indexer->attention),
           in_batch = index - block->first;
    size_t before = stream->histories[l].depth;
    if (before > stream->blocks + in_batch)
        before = (size_t)stream->blocks + in_batch;
    bool rounds = indexer->copies > 1 && indexer->layers[l].memory;
    for (size_t d = 0; d <= before; d++) {
        size_t head = rounds && d > indexer->attention.near ? indexer->shape.kv_heads + g : g;
        seen[d] = d <= in_batch
                      ? indexer->packed + (index - d) * stream->block_floats + head * head_floats
                      : stream_block(stream, l, stream->blocks + in_batch - d, head, head_floats);
    }
    return before + 1;
}

static void attend(struct indexer *indexer, size_t l)
{
    const struct model_shape *shape = &indexer->shape;
    struct projection projection = projection_of(indexer, l);
    size_t scratch = attention_scratch_floats(&indexer->attention);
    size_t group_width = shape->heads / shape->kv_heads * (size_t)shape->head_width;
#pragma omp parallel for schedule(dynamic) num_threads(thread_count(indexer))
    for (size_t t = 0; t < indexer->batch_count * shape->kv_heads; t++) {
        size_t index = t / shape->kv_heads, g = t % shape->kv_heads,
               thread = (size_t)omp_get_thread_num();
        const float **seen = indexer->seen + thread * indexer->seen_blocks;
        size_t row = index * shape->block_rows;
        struct attention_tile tile = {
            .queries = indexer->projected + row * projection.stride + g * group_width,
            .query_stride = projection.stride,
            .blocks = seen,
            .block_count = blocks_seen(indexer, l, index, g, seen),
            .out = indexer->attended + row * shape->heads * shape->head_width + g * group_width,
            .out_stride = shape->heads * (size_t)shape->head_width,
            .scratch = indexer->scratch + thread * scratch,
        };
        if (indexer->layers[l].memory)
            attention_memory(&indexer->attention, &tile);
        else
            attention_local(&indexer->attention, &tile);
    }
}

/* Projects the normed rows of layer l and lays their keys and values out. */
static void project(struct indexer *indexer, size_t l)
{
    const struct indexer_layer *layer = &indexer->layers[l];
    normalise(indexer, layer->attention_norm);
    dense_multiply(&layer->projection, indexer->normed, indexer->shape.width, batch_rows(indexer),
                   false, indexer->projected, layer->projection.rows, indexer->workspace);
#pragma omp parallel for num_threads(thread_count(indexer))
    for (size_t b = 0; b < indexer->batch_count; b++) {
        if (layer->memory)
            give_block(indexer, l, b);
        if (l < indexer->top)
            pack_block(indexer, l, b);
    }
}

static void feed_forward(struct indexer *indexer, const struct indexer_layer *layer)
{
    size_t width = indexer->shape.width, feed_forward = indexer->shape.feed_forward;
    size_t rows = batch_rows(indexer);
    normalise(indexer, layer->feed_forward_norm);
    dense_multiply(&layer->gate_up, indexer->normed, width, rows, false, indexer->gate_up,
                   2 * feed_forward, indexer->workspace);
#pragma omp parallel for num_threads(thread_count(indexer))
    for (size_t r = 0; r < rows; r++) {
        float *gate = indexer->gate_up + r * 2 * feed_forward;
        kernel_gated_silu(gate, gate + feed_forward, feed_forward, gate);
    }
    dense_multiply(&layer->down, indexer->gate_up, 2 * feed_forward, rows, true, indexer->residual,
                   width, indexer->workspace);
}

/* How many blocks of the batch belong to the item whose first one is at `first`. */
static size_t item_blocks(const struct indexer *indexer, size_t first)
{
    size_t end = first;
    while (end < indexer->batch_count && indexer->batch[end].first == first)
        end++;
    return end - first;
}

static void keep_blocks(struct indexer *indexer, size_t l)
{
    for (size_t b = 0; b < indexer->batch_count; b += item_blocks(indexer, b)) {
        struct stream *stream = indexer->batch[b].item->stream;
        stream_keep(stream, l, indexer->packed + b * stream->block_floats, item_blocks(indexer, b));
    }
}

/* What the rows of a block make of the tokens behind them. */
static void score_block(struct indexer *indexer, size_t index)
{
    const struct model_shape *shape = &indexer->shape;
    const struct batch_block *block = &indexer->batch[index];
    size_t tokens = shape->block_tokens, first = block->block * tokens,
           end = block->item->blocks * tokens;
    dense_multiply(&indexer->weights->vocabulary,
                   indexer->normed + index * shape->block_rows * shape->width, shape->width, tokens,
                   false, indexer->logits, shape->vocabulary, indexer->workspace);
#pragma omp parallel for num_threads(thread_count(indexer))
    for (size_t r = 0; r < tokens; r++) {
        float *logits = indexer->logits + r * shape->vocabulary, largest;
        size_t next = first + r + 1;
        float wanted = next < end ? logits[block->item->tokens[next]] : NAN;
        float sum = kernel_exponentials(logits, shape->vocabulary, &largest);
        block->item->log_probabilities[first + r] = wanted - largest - logf(sum);
    }
}

static void run_batch(struct indexer *indexer)
{
    const struct model_shape *shape = &indexer->shape;
#pragma omp parallel for num_threads(thread_count(indexer))
    for (size_t b = 0; b < indexer->batch_count; b++)
        embed_block(indexer, b);
    for (size_t l = 0; l < indexer->top; l++) {
        const struct indexer_layer *layer = &indexer->layers[l];
        project(indexer, l);
        attend(indexer, l);
        keep_blocks(indexer, l);
        dense_multiply(&layer->output, indexer->attended, shape->heads * (size_t)shape->head_width,
                       batch_rows(indexer), true, indexer->residual, shape->width,
                       indexer->workspace);
        feed_forward(indexer, layer);
    }
    if (scores_tokens(indexer)) {
        normalise(indexer, indexer->model->output_norm);
        for (size_t b = 0; b < indexer->batch_count; b++)
            score_block(indexer, b);
    } else
        project(indexer, indexer->top);
    for (size_t b = 0; b < indexer->batch_count; b += item_blocks(indexer, b))
        indexer->batch[b].item->stream->blocks += item_blocks(indexer, b);
    indexer->batch_count = 0;
}

void indexer_run(struct indexer *indexer, const struct indexer_item *items, size_t item_count)
{
    for (size_t i = 0; i < item_count; i++) {
        size_t first = indexer->batch_count;
        for (size_t b = 0; b < items[i].blocks; b++) {
            if (indexer->batch_count == indexer->batch_blocks) {
                run_batch(indexer);
                first = 0;
            }
            indexer->batch[indexer->batch_count++] = (struct batch_block){&items[i], b, first};
        }
    }
    if (indexer->batch_count > 0)
        run_batch(indexer);
}

double indexer_block_operations(const struct model_shape *shape)
{
    double width = shape->width, queries = shape->heads * (double)shape->head_width;
    double keys_values = 2.0 * shape->kv_heads * shape->head_width, rows = shape->block_rows;
    double layer_weights =
        width * (queries + keys_values) + queries * width + 3 * width * shape->feed_forward;
    double row = 2 * width * keys_values; /* the top memory layer */
    for (uint32_t l = 0; l < model_top_memory_layer(shape); l++) {
        double seen =
            model_is_memory_layer(shape, l) ? shape->reach * rows + (rows + 1) / 2 : shape->window;
        row += 2 * layer_weights + 4 * queries * seen;
    }
    return row * rows;
}
