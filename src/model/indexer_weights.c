#include "src/model/indexer_weights.h"

#include <pthread.h>
#include <stdlib.h>

static enum lmk_status open_layer(struct indexer_weights *weights, const struct lmk_model *model,
                                  size_t l, struct lmk_error *error)
{
    struct indexer_layer *layer = &weights->layers[l];
    const struct layer_weights *stored = &model->layers[l];
    const struct bf16_products *products = weights->products;
    layer->memory = model_is_memory_layer(&model->shape, (uint32_t)l);
    layer->attention_norm = stored->attention_norm;
    layer->feed_forward_norm = stored->feed_forward_norm;
    const struct weight *projections[] = {&stored->query, &stored->key, &stored->value};
    if (l == weights->top)
        return dense_open(&layer->projection, projections + 1, 2, products, error);
    const struct weight *gate_up[] = {&stored->gate, &stored->up};
    const struct weight *output = &stored->output, *down = &stored->down;
    enum lmk_status status = dense_open(&layer->projection, projections, 3, products, error);
    if (status == LMK_OK)
        status = dense_open(&layer->output, &output, 1, products, error);
    if (status == LMK_OK)
        status = dense_open(&layer->gate_up, gate_up, 2, products, error);
    if (status == LMK_OK)
        status = dense_open(&layer->down, &down, 1, products, error);
    return status;
}

enum lmk_status indexer_weights_open(struct indexer_weights *weights, const struct lmk_model *model,
                                     const struct bf16_products *products, size_t top,
                                     struct lmk_error *error)
{
    size_t layers = model->shape.layers;
    *weights = (struct indexer_weights){
        .products = products, .top = top, .layers = calloc(top + 1, sizeof *weights->layers)};
    if (!weights->layers)
        return error_memory(error, (top + 1) * sizeof *weights->layers);
    enum lmk_status status = LMK_OK;
    for (size_t l = 0; l <= top && l < layers && status == LMK_OK; l++)
        status = open_layer(weights, model, l, error);
    const struct weight *output = &model->output;
    if (status == LMK_OK && top == layers)
        status = dense_open(&weights->vocabulary, &output, 1, products, error);
    return status;
}

void indexer_weights_close(struct indexer_weights *weights)
{
    for (size_t l = 0; weights->layers && l <= weights->top; l++) {
        dense_close(&weights->layers[l].projection);
        dense_close(&weights->layers[l].output);
        dense_close(&weights->layers[l].gate_up);
        dense_close(&weights->layers[l].down);
    }
    dense_close(&weights->vocabulary);
    free(weights->layers);
    *weights = (struct indexer_weights){0};
}

/* ---- what a model keeps */

enum { PRECISIONS = 2 }; /* float32, and that of bf16_products */

struct kept_weights {
    pthread_mutex_t mutex;
    struct indexer_weights sets[PRECISIONS]; /* layers NULL: not unpacked yet */
};

struct kept_weights *kept_weights_open(void)
{
    struct kept_weights *kept = calloc(1, sizeof *kept);
    if (kept)
        pthread_mutex_init(&kept->mutex, NULL);
    return kept;
}

void kept_weights_close(struct kept_weights *kept)
{
    if (!kept)
        return;
    for (size_t i = 0; i < PRECISIONS; i++)
        indexer_weights_close(&kept->sets[i]);
    pthread_mutex_destroy(&kept->mutex);
    free(kept);
}

enum lmk_status indexer_weights_of(const struct lmk_model *model,
                                   const struct bf16_products *products,
                                   const struct indexer_weights **weights, struct lmk_error *error)
{
    struct kept_weights *kept = model->kept;
    struct indexer_weights *set = &kept->sets[products != NULL];
    enum lmk_status status = LMK_OK;
    pthread_mutex_lock(&kept->mutex);
    if (!set->layers)
        status = indexer_weights_open(set, model, products, model_top_memory_layer(&model->shape),
                                      error);
    if (status)
        indexer_weights_close(set);
    pthread_mutex_unlock(&kept->mutex);
    *weights = set;
    return status;
}
