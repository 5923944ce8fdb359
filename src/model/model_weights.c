#include "src/model/model_parts.h"
#include "src/model/rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Counts the tensors found, so that none is left over: a bias or a table of frequencies that lmk
 * does not know would change what the model computes. */
struct loader {
    const struct lmk_model *model;
    struct lmk_error *error;
    enum lmk_status status;
    size_t found;
};

static const struct gguf_tensor *find(struct loader *loader, const char *name, uint32_t rows,
                                      uint32_t columns)
{
    const struct gguf *file = loader->model->file;
    if (loader->status)
        return NULL;
    const struct gguf_tensor *tensor = gguf_tensor(file, name);
    if (!tensor) {
        loader->status = error_set(loader->error, LMK_MODEL,
                                   "%s: tensor %s is missing. Fetch or export the model again.",
                                   gguf_path(file), name);
        return NULL;
    }
    if (tensor->rows != rows || tensor->columns != columns) {
        loader->status = error_set(
            loader->error, LMK_MODEL,
            "%s: tensor %s has shape %llu x %llu, expected %u x %u. The file does not fit its "
            "own metadata; export the model again.",
            gguf_path(file), name, (unsigned long long)tensor->rows,
            (unsigned long long)tensor->columns, rows, columns);
        return NULL;
    }
    loader->found++;
    return tensor;
}

static void load_weight(struct loader *loader, const char *name, uint32_t rows, uint32_t columns,
                        struct weight *weight)
{
    const struct gguf_tensor *tensor = find(loader, name, rows, columns);
    if (tensor)
        *weight = (struct weight){tensor->type, rows, columns, tensor->data};
}

/* Unpacked, as norms are small and may be of any type. */
static float *load_vector(struct loader *loader, const char *name, uint32_t size)
{
    const struct gguf_tensor *tensor = find(loader, name, 1, size);
    if (!tensor)
        return NULL;
    float *values = malloc(size * sizeof *values);
    if (values)
        rows_unpack(tensor->type, tensor->data, values, size);
    else
        loader->status = error_memory(loader->error, size * sizeof *values);
    return values;
}

static void load_layer(struct loader *loader, uint32_t index, struct layer_weights *layer)
{
    const struct model_shape *shape = &loader->model->shape;
    uint32_t width = shape->width, hidden = shape->feed_forward;
    uint32_t query_width = shape->heads * shape->head_width,
             kv_width = shape->kv_heads * shape->head_width;
    const struct {
        const char *part;
        uint32_t rows, columns;
        struct weight *weight;
    } matrices[] = {
        {"attn_q", query_width, width, &layer->query},
        {"attn_k", kv_width, width, &layer->key},
        {"attn_v", kv_width, width, &layer->value},
        {"attn_output", width, query_width, &layer->output},
        {"ffn_gate", hidden, width, &layer->gate},
        {"ffn_up", hidden, width, &layer->up},
        {"ffn_down", width, hidden, &layer->down},
    };
    char name[64];
    for (size_t i = 0; i < sizeof matrices / sizeof matrices[0]; i++) {
        snprintf(name, sizeof name, "blk.%u.%s.weight", index, matrices[i].part);
        load_weight(loader, name, matrices[i].rows, matrices[i].columns, matrices[i].weight);
    }
    snprintf(name, sizeof name, "blk.%u.attn_norm.weight", index);
    layer->attention_norm = load_vector(loader, name, width);
    snprintf(name, sizeof name, "blk.%u.ffn_norm.weight", index);
    layer->feed_forward_norm = load_vector(loader, name, width);
}

static void load_output(struct loader *loader, struct lmk_model *model)
{
    const struct model_shape *shape = &model->shape;
    load_weight(loader, "token_embd.weight", shape->vocabulary, shape->width, &model->embedding);
    if (gguf_tensor(model->file, "output.weight"))
        load_weight(loader, "output.weight", shape->vocabulary, shape->width, &model->output);
    else
        model->output = model->embedding;
    model->output_norm = load_vector(loader, "output_norm.weight", shape->width);
}

static bool is_known(const struct lmk_model *model, struct gguf_string name)
{
    static const char *const parts[] = {"attn_norm", "attn_q",   "attn_k", "attn_v",  "attn_output",
                                        "ffn_norm",  "ffn_gate", "ffn_up", "ffn_down"};
    char text[64], expected[64];
    unsigned layer;
    int used =
        snprintf(text, sizeof text, "%.*s", (int)(name.size < 63 ? name.size : 63), name.text);
    if (!strcmp(text, "token_embd.weight") || !strcmp(text, "output.weight") ||
        !strcmp(text, "output_norm.weight"))
        return (size_t)used == name.size;
    if (sscanf(text, "blk.%u.", &layer) != 1 || layer >= model->shape.layers)
        return false;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        snprintf(expected, sizeof expected, "blk.%u.%s.weight", layer, parts[i]);
        if (strlen(expected) == name.size && !strcmp(text, expected))
            return true;
    }
    return false;
}

static void refuse_others(struct loader *loader)
{
    const struct gguf *file = loader->model->file;
    size_t count = gguf_tensor_count(file);
    for (size_t i = 0; i < count && !loader->status && loader->found < count; i++) {
        struct gguf_string name = gguf_tensor_at(file, i)->name;
        if (!is_known(loader->model, name))
            loader->status = error_set(
                loader->error, LMK_MODEL,
                "%s: tensor %.*s is none that lmk knows, and leaving it out would change what "
                "the model computes. Export the model without it.",
                gguf_path(file), (int)(name.size < 100 ? name.size : 100), name.text);
    }
}

enum lmk_status model_read_weights(struct lmk_model *model, struct lmk_error *error)
{
    struct loader loader = {model, error, LMK_OK, 0};
    model->layers = calloc(model->shape.layers, sizeof *model->layers);
    if (!model->layers)
        return error_memory(error, model->shape.layers * sizeof *model->layers);
    load_output(&loader, model);
    for (uint32_t i = 0; i < model->shape.layers && !loader.status; i++)
        load_layer(&loader, i, &model->layers[i]);
    refuse_others(&loader);
    return loader.status;
}
