#include "src/model/limits.h"
#include "src/model/model_parts.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* The keys being read; after the first failure the others do nothing. */
struct reader {
    const struct gguf *file;
    struct lmk_error *error;
    enum lmk_status status;
};

static void complain(struct reader *reader, const char *key, const char *what)
{
    if (!reader->status)
        reader->status = error_set(
            reader->error, LMK_MODEL,
            "%s: key %s %s. Export the model again with lmk's own exporter, or name another "
            "model with --model.",
            gguf_path(reader->file), key, what);
}

/* Keeps what *value holds where the key is missing. */
static void optional_u32(struct reader *reader, const char *key, uint32_t low, uint32_t high,
                         uint32_t *value)
{
    if (reader->status || !gguf_has(reader->file, key))
        return;
    char what[96];
    if (!gguf_u32(reader->file, key, value))
        complain(reader, key, "is not a whole number of 32 bits");
    else if (*value < low || *value > high) {
        snprintf(what, sizeof what, "is %u; it must be between %u and %u", *value, low, high);
        complain(reader, key, what);
    }
}

static void need_u32(struct reader *reader, const char *key, uint32_t low, uint32_t high,
                     uint32_t *value)
{
    if (!gguf_has(reader->file, key))
        complain(reader, key, "is missing, so this is not a complete landmark model");
    optional_u32(reader, key, low, high, value);
}

static void optional_positive_f32(struct reader *reader, const char *key, float *value)
{
    if (reader->status || !gguf_has(reader->file, key))
        return;
    if (!gguf_f32(reader->file, key, value) || !isfinite(*value) || *value <= 0)
        complain(reader, key, "is not a positive number");
}

static bool string_is(struct gguf_string string, const char *text)
{
    return string.size == strlen(text) && !memcmp(string.text, text, string.size);
}

static void check_architecture(struct reader *reader)
{
    struct gguf_string name;
    if (!gguf_string(reader->file, "general.architecture", &name) || !string_is(name, "llama"))
        complain(reader, "general.architecture",
                 "is not \"llama\", the only architecture that lmk runs");
    if (gguf_string(reader->file, "llama.rope.scaling.type", &name) && !string_is(name, "none"))
        complain(reader, "llama.rope.scaling.type",
                 "asks for scaled positions, which lmk does not run");
}

static void read_heads(struct reader *reader, struct model_shape *shape)
{
    need_u32(reader, "llama.attention.head_count", 1, LIMIT_HEADS, &shape->heads);
    shape->kv_heads = shape->heads;
    optional_u32(reader, "llama.attention.head_count_kv", 1, LIMIT_HEADS, &shape->kv_heads);
    if (reader->status)
        return;
    if (shape->heads % shape->kv_heads)
        complain(reader, "llama.attention.head_count_kv",
                 "does not divide llama.attention.head_count");

    uint32_t turned = shape->width / shape->heads;
    optional_u32(reader, "llama.rope.dimension_count", 2, LIMIT_HEAD_WIDTH, &turned);
    shape->head_width = turned;
    optional_u32(reader, "llama.attention.key_length", 2, LIMIT_HEAD_WIDTH, &shape->head_width);
    uint32_t value_width = shape->head_width;
    optional_u32(reader, "llama.attention.value_length", 2, LIMIT_HEAD_WIDTH, &value_width);
    if (shape->head_width != turned)
        complain(reader, "llama.attention.key_length",
                 "differs from llama.rope.dimension_count; lmk rotates whole "
                 "heads only");
    if (value_width != shape->head_width)
        complain(reader, "llama.attention.value_length", "differs from the width of the keys");
    if (shape->head_width < 2 || shape->head_width > LIMIT_HEAD_WIDTH || shape->head_width % 2)
        complain(reader, "llama.rope.dimension_count",
                 "(or embedding_length / head_count) must be even, from 2 to "
                 "256");
}

static void read_transformer(struct reader *reader, struct model_shape *shape)
{
    check_architecture(reader);
    need_u32(reader, "llama.block_count", 1, LIMIT_LAYERS, &shape->layers);
    need_u32(reader, "llama.embedding_length", 1, 1 << 20, &shape->width);
    need_u32(reader, "llama.feed_forward_length", 1, 1 << 24, &shape->feed_forward);
    read_heads(reader, shape);
    shape->rope_base = 10000.0f;
    optional_positive_f32(reader, "llama.rope.freq_base", &shape->rope_base);
    if (!gguf_has(reader->file, "llama.attention.layer_norm_rms_epsilon"))
        complain(reader, "llama.attention.layer_norm_rms_epsilon", "is missing");
    optional_positive_f32(reader, "llama.attention.layer_norm_rms_epsilon", &shape->norm_epsilon);
}

static void read_token_ids(struct reader *reader, struct model_shape *shape)
{
    size_t count;
    if (!gguf_array(reader->file, "tokenizer.ggml.tokens", &count) || count == 0 ||
        count > 1 << 24) {
        complain(reader, "tokenizer.ggml.tokens",
                 "is missing or not a list of at most 16,777,216 pieces");
        return;
    }
    shape->vocabulary = (uint32_t)count;
    uint32_t last = shape->vocabulary - 1, stated = shape->vocabulary;
    optional_u32(reader, "llama.vocab_size", 1, UINT32_MAX, &stated);
    if (stated != shape->vocabulary)
        complain(reader, "llama.vocab_size",
                 "differs from the number of pieces in tokenizer.ggml.tokens");
    need_u32(reader, "landmark.token_id", 0, last, &shape->landmark_id);
    need_u32(reader, "tokenizer.ggml.bos_token_id", 0, last, &shape->bos_id);
    need_u32(reader, "tokenizer.ggml.eos_token_id", 0, last, &shape->eos_id);
    shape->padding_id = 0;
    optional_u32(reader, "tokenizer.ggml.padding_token_id", 0, last, &shape->padding_id);
}

static void list_all_layers(struct reader *reader, struct model_shape *shape)
{
    if (shape->layers > LIMIT_MEMORY_LAYERS) {
        complain(reader, "landmark.memory_layers",
                 "is missing, and the model has more layers than the 64 memory "
                 "layers that lmk allows");
        return;
    }
    shape->memory_layer_count = shape->layers;
    for (uint32_t i = 0; i < shape->layers; i++)
        shape->memory_layers[i] = i;
}

static void read_memory_layers(struct reader *reader, struct model_shape *shape)
{
    static const char key[] = "landmark.memory_layers";
    size_t count;
    if (reader->status)
        return;
    if (!gguf_has(reader->file, key)) {
        list_all_layers(reader, shape);
        return;
    }
    if (!gguf_array(reader->file, key, &count) || count < 1 || count > LIMIT_MEMORY_LAYERS) {
        complain(reader, key, "is not a list of 1 to 64 layers");
        return;
    }
    shape->memory_layer_count = (uint32_t)count;
    for (size_t i = 0; i < count; i++) {
        uint32_t *layer = &shape->memory_layers[i];
        if (!gguf_array_u32(reader->file, key, i, layer) || *layer >= shape->layers ||
            (i > 0 && *layer <= shape->memory_layers[i - 1])) {
            complain(reader, key, "must name layers of the model in ascending order");
            return;
        }
    }
}

static void read_positions(struct reader *reader, struct model_shape *shape)
{
    struct gguf_string mapping = {"slot", 4};
    if (gguf_has(reader->file, "landmark.position_mapping") &&
        !gguf_string(reader->file, "landmark.position_mapping", &mapping))
        mapping.size = 0;
    shape->positions = string_is(mapping, "stingy") ? POSITIONS_STINGY : POSITIONS_SLOT;
    if (shape->positions == POSITIONS_SLOT && !string_is(mapping, "slot"))
        complain(reader, "landmark.position_mapping", "is neither \"slot\" nor \"stingy\"");
    if (shape->positions == POSITIONS_SLOT)
        optional_u32(reader, "landmark.near_blocks", 0, LIMIT_REACH, &shape->near_blocks);
}

static void read_landmarks(struct reader *reader, struct model_shape *shape)
{
    need_u32(reader, "landmark.block_size", 1, LIMIT_BLOCK_TOKENS, &shape->block_tokens);
    shape->block_rows = shape->block_tokens + 1;
    read_memory_layers(reader, shape);
    read_positions(reader, shape);
    shape->reach = 31;
    optional_u32(reader, "landmark.reach", 0, LIMIT_REACH, &shape->reach);
    if (shape->memory_layer_count < shape->layers)
        need_u32(reader, "landmark.window", 1, LIMIT_REACH, &shape->window);
}

enum lmk_status model_read_shape(struct model_shape *shape, const struct gguf *file,
                                 struct lmk_error *error)
{
    struct reader reader = {file, error, LMK_OK};
    *shape = (struct model_shape){0};
    read_transformer(&reader, shape);
    if (!reader.status)
        read_token_ids(&reader, shape);
    if (!reader.status)
        read_landmarks(&reader, shape);
    return reader.status;
}

bool model_is_memory_layer(const struct model_shape *shape, uint32_t layer)
{
    for (uint32_t m = 0; m < shape->memory_layer_count; m++)
        if (shape->memory_layers[m] == layer)
            return true;
    return false;
}

uint32_t model_top_memory_layer(const struct model_shape *shape)
{
    return shape->memory_layers[shape->memory_layer_count - 1];
}

size_t model_landmark_width(const struct model_shape *shape)
{
    return (size_t)shape->memory_layer_count * shape->kv_heads * shape->head_width;
}
