#include "src/model/indexer_naive.h"
#include "src/model/attention_naive.h"
#include "src/model/kernels_naive.h"
#include "src/model/rows.h"

#include <stdlib.h>
#include <string.h>

struct document {
    const struct lmk_model *model;
    size_t rows;
    double *residual, *normed; /* [rows][D] */
};

static void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count + 1, size);
    if (!memory)
        abort();
    return memory;
}

/* inputs [rows][weight->columns] through a weight: [rows][weight->rows], the caller's to free. */
static double *multiply(const struct weight *weight, const double *inputs, size_t rows)
{
    size_t values = (size_t)weight->rows * weight->columns;
    float *unpacked = allocate(values, sizeof *unpacked);
    double *transposed = allocate(values, sizeof *transposed),
           *out = allocate(rows * weight->rows, sizeof *out);
    rows_unpack(weight->type, weight->data, unpacked, values);
    for (size_t r = 0; r < weight->rows; r++)
        for (size_t c = 0; c < weight->columns; c++)
            transposed[c * weight->rows + r] = unpacked[r * weight->columns + c];
    naive_multiply(inputs, transposed, rows, weight->columns, weight->rows, out);
    free(unpacked);
    free(transposed);
    return out;
}

static void embed(struct document *document, const uint32_t *tokens)
{
    const struct model_shape *shape = &document->model->shape;
    const struct weight *embedding = &document->model->embedding;
    size_t values = (size_t)shape->vocabulary * shape->width, width = shape->width;
    float *unpacked = allocate(values, sizeof *unpacked);
    rows_unpack(embedding->type, embedding->data, unpacked, values);
    for (size_t r = 0; r < document->rows; r++) {
        size_t block = r / shape->block_rows, offset = r % shape->block_rows;
        uint32_t id = offset < shape->block_tokens ? tokens[block * shape->block_tokens + offset]
                                                   : shape->landmark_id;
        for (size_t i = 0; i < width; i++)
            document->residual[r * width + i] = unpacked[id * width + i];
    }
    free(unpacked);
}

static void normalise(struct document *document, const float *gain)
{
    const struct model_shape *shape = &document->model->shape;
    for (size_t r = 0; r < document->rows; r++)
        naive_rms_norm(document->residual + r * shape->width, shape->width, gain,
                       shape->norm_epsilon, document->normed + r * shape->width);
}

/* Adds the outputs of a weight to the residual, and frees the inputs. */
static void add_product(struct document *document, const struct weight *weight, double *inputs)
{
    double *out = multiply(weight, inputs, document->rows);
    for (size_t i = 0; i < document->rows * weight->rows; i++)
        document->residual[i] += out[i];
    free(out);
    free(inputs);
}

static void attend(struct document *document, const struct layer_weights *layer, bool memory,
                   const double *keys, const double *values)
{
    const struct model_shape *shape = &document->model->shape;
    double *queries = multiply(&layer->query, document->normed, document->rows);
    double *out = allocate(document->rows * shape->heads * shape->head_width, sizeof *out);
    struct naive_rows rows = {document->rows, queries, keys, values};
    naive_attention(shape, memory, &rows, out);
    add_product(document, &layer->output, out);
    free(queries);
}

static void feed_forward(struct document *document, const struct layer_weights *layer)
{
    normalise(document, layer->feed_forward_norm);
    double *gate = multiply(&layer->gate, document->normed, document->rows);
    double *up = multiply(&layer->up, document->normed, document->rows);
    for (size_t i = 0; i < document->rows * layer->gate.rows; i++)
        gate[i] = naive_gated_silu(gate[i], up[i]);
    add_product(document, &layer->down, gate);
    free(up);
}

void naive_index(const struct lmk_model *model, const uint32_t *tokens, size_t blocks, double *keys,
                 double *values)
{
    const struct model_shape *shape = &model->shape;
    size_t rows = blocks * shape->block_rows, width = shape->kv_heads * (size_t)shape->head_width,
           m = 0;
    struct document document = {.model = model, .rows = rows};
    document.residual = allocate(rows * shape->width, sizeof(double));
    document.normed = allocate(rows * shape->width, sizeof(double));
    embed(&document, tokens);
    for (uint32_t l = 0; l <= model_top_memory_layer(shape); l++) {
        const struct layer_weights *layer = &model->layers[l];
        bool memory = model_is_memory_layer(shape, l);
        normalise(&document, layer->attention_norm);
        double *layer_keys = multiply(&layer->key, document.normed, rows);
        double *layer_values = multiply(&layer->value, document.normed, rows);
        for (size_t r = 0; memory && r < rows; r++) {
            size_t place = (r * shape->memory_layer_count + m) * width;
            memcpy(keys + place, layer_keys + r * width, width * sizeof *keys);
            memcpy(values + place, layer_values + r * width, width * sizeof *values);
        }
        m += memory;
        if (l < model_top_memory_layer(shape)) {
            attend(&document, layer, memory, layer_keys, layer_values);
            feed_forward(&document, layer);
        }
        free(layer_keys);
        free(layer_values);
    }
    free(document.residual);
    free(document.normed);
}
