#include "tests/unit/random_model.h"

#include "src/base/random.h"
#include "src/model/indexer_weights.h"

#include <math.h>
#include <stdlib.h>

static void *require(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

uint32_t random_below(struct random_source *source, uint32_t limit)
{
    return (uint32_t)draw_below(&source->state, limit);
}

float random_normal(struct random_source *source)
{
    return draw_normal(&source->state);
}

float *random_normals(struct random_source *source, size_t count, float scale)
{
    float *values = require(malloc(count * sizeof *values + 1));
    for (size_t i = 0; i < count; i++)
        values[i] = scale * random_normal(source);
    return values;
}

uint32_t *random_tokens(struct random_source *source, const struct model_shape *shape, size_t count)
{
    uint32_t *tokens = require(malloc(count * sizeof *tokens + 1));
    for (size_t i = 0; i < count; i++)
        tokens[i] = random_below(source, shape->vocabulary);
    return tokens;
}

static struct weight random_weight(struct random_source *source, size_t rows, size_t columns)
{
    float scale = 1.5f / sqrtf((float)columns);
    return (struct weight){TENSOR_F32, (uint32_t)rows, (uint32_t)columns,
                           random_normals(source, rows * columns, scale)};
}

static float *random_gain(struct random_source *source, size_t width)
{
    float *gain = random_normals(source, width, 0.1f);
    for (size_t i = 0; i < width; i++)
        gain[i] += 1;
    return gain;
}

struct lmk_model *random_model_new(const struct model_shape *shape, uint64_t seed)
{
    struct random_source source = {seed};
    struct lmk_model *model = require(calloc(1, sizeof *model));
    model->kept = require(kept_weights_open());
    size_t queries = shape->heads * (size_t)shape->head_width,
           keys = shape->kv_heads * (size_t)shape->head_width;
    model->shape = *shape;
    model->embedding =
        (struct weight){TENSOR_F32, shape->vocabulary, shape->width,
                        random_normals(&source, (size_t)shape->vocabulary * shape->width, 1)};
    model->output = model->embedding;
    model->output_norm = random_gain(&source, shape->width);
    model->layers = require(calloc(shape->layers, sizeof *model->layers));
    for (uint32_t l = 0; l < shape->layers; l++)
        model->layers[l] = (struct layer_weights){
            .attention_norm = random_gain(&source, shape->width),
            .feed_forward_norm = random_gain(&source, shape->width),
            .query = random_weight(&source, queries, shape->width),
            .key = random_weight(&source, keys, shape->width),
            .value = random_weight(&source, keys, shape->width),
            .output = random_weight(&source, shape->width, queries),
            .gate = random_weight(&source, shape->feed_forward, shape->width),
            .up = random_weight(&source, shape->feed_forward, shape->width),
            .down = random_weight(&source, shape->width, shape->feed_forward),
        };
    return model;
}

void random_model_free(struct lmk_model *model)
{
    for (uint32_t l = 0; l < model->shape.layers; l++) {
        const struct layer_weights *layer = &model->layers[l];
        const void *const parts[] = {
            layer->attention_norm, layer->feed_forward_norm, layer->query.data,
            layer->key.data,       layer->value.data,        layer->output.data,
            layer->gate.data,      layer->up.data,           layer->down.data,
        };
        for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
            free((void *)parts[i]);
    }
    kept_weights_close(model->kept);
    free((void *)model->embedding.data);
    free(model->output_norm);
    free(model->layers);
    free(model);
}
