/* The fingerprint: XXH3-128 of what indexing computes with, in an order that does not depend on how
 * a file was written. Numbers are little-endian.
 *
 *   for each key that counts, sorted by name: u64 size, name; u32 type; u64 size, value as in the
 * file for each tensor, in the order of indexing: u64 size, name; u32 type; u64 rows; u64 columns;
 * data
 */
#include "src/model/model_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct counted_key {
    struct gguf_string name, value;
    uint32_t type;
};

struct key_list {
    struct counted_key *keys; /* NULL while counting */
    size_t count;
};

static bool begins_with(struct gguf_string string, const char *prefix)
{
    size_t size = strlen(prefix);
    return string.size >= size && !memcmp(string.text, prefix, size);
}

static bool counts(struct gguf_string key)
{
    if (begins_with(key, "tokenizer.") || begins_with(key, "llama."))
        return true;
    struct gguf_string answer = {"landmark.can_answer", strlen("landmark.can_answer")};
    bool is_answer = key.size == answer.size && !memcmp(key.text, answer.text, key.size);
    return begins_with(key, "landmark.") && !begins_with(key, "landmark.rank.") &&
           !begins_with(key, "landmark.prompt.") && !begins_with(key, "landmark.answer.") &&
           !is_answer;
}

static void collect(void *context, struct gguf_string key, uint32_t type, const void *value,
                    size_t size)
{
    struct key_list *list = context;
    if (!counts(key))
        return;
    if (list->keys)
        list->keys[list->count] = (struct counted_key){key, {value, size}, type};
    list->count++;
}

static int compare_names(const void *a, const void *b)
{
    struct gguf_string first = ((const struct counted_key *)a)->name;
    struct gguf_string second = ((const struct counted_key *)b)->name;
    int order =
        memcmp(first.text, second.text, first.size < second.size ? first.size : second.size);
    return order ? order : (first.size > second.size) - (first.size < second.size);
}

static void hash_string(struct hash_state *state, struct gguf_string string)
{
    uint64_t size = string.size;
    hash_state_update(state, &size, sizeof size);
    hash_state_update(state, string.text, string.size);
}

static enum lmk_status hash_keys(struct hash_state *state, const struct gguf *file,
                                 struct lmk_error *error)
{
    struct key_list list = {0};
    gguf_visit_keys(file, collect, &list);
    list.keys = calloc(list.count + 1, sizeof *list.keys);
    if (!list.keys)
        return error_memory(error, (list.count + 1) * sizeof *list.keys);
    list.count = 0;
    gguf_visit_keys(file, collect, &list);
    qsort(list.keys, list.count, sizeof *list.keys, compare_names);
    for (size_t i = 0; i < list.count; i++) {
        hash_string(state, list.keys[i].name);
        hash_state_update(state, &list.keys[i].type, sizeof list.keys[i].type);
        hash_string(state, list.keys[i].value);
    }
    free(list.keys);
    return LMK_OK;
}

static void hash_tensor(struct hash_state *state, const struct gguf *file, const char *name)
{
    const struct gguf_tensor *tensor =
        gguf_tensor(file, name); /* there: the weights were checked */
    uint32_t type = tensor->type;
    hash_string(state, tensor->name);
    hash_state_update(state, &type, sizeof type);
    hash_state_update(state, &tensor->rows, sizeof tensor->rows);
    hash_state_update(state, &tensor->columns, sizeof tensor->columns);
    hash_state_update(state, tensor->data, tensor->size);
}

static void hash_layer(struct hash_state *state, const struct gguf *file, uint32_t layer,
                       bool is_top)
{
    static const char *const parts[] = {"attn_norm", "attn_k",   "attn_v", "attn_q",  "attn_output",
                                        "ffn_norm",  "ffn_gate", "ffn_up", "ffn_down"};
    size_t count = is_top ? 3 : sizeof parts / sizeof parts[0];
    for (size_t i = 0; i < count; i++) {
        char name[64];
        snprintf(name, sizeof name, "blk.%u.%s.weight", layer, parts[i]);
        hash_tensor(state, file, name);
    }
}

enum lmk_status model_read_fingerprint(struct lmk_model *model, struct lmk_error *error)
{
    struct hash_state *state = hash_state_new();
    if (!state)
        return error_memory(error, 1024);
    enum lmk_status status = hash_keys(state, model->file, error);
    uint32_t top = model_top_memory_layer(&model->shape);
    if (!status)
        hash_tensor(state, model->file, "token_embd.weight");
    for (uint32_t layer = 0; layer <= top && !status; layer++)
        hash_layer(state, model->file, layer, layer == top);
    hash_state_finish(state, model->fingerprint);
    return status;
}
