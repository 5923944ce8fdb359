/* The weights of the ranking. */
#include "src/model/model_parts.h"

#include <math.h>
#include <stdlib.h>

static enum lmk_status not_a_number(const struct gguf *file, const char *key,
                                    struct lmk_error *error)
{
    return error_set(error, LMK_MODEL,
                     "%s: key %s is not a finite number of 32 bits. Fit the weights of the ranking "
                     "again.",
                     gguf_path(file), key);
}

/* Keeps what *value holds where the key is missing. */
static enum lmk_status read_weight(const struct gguf *file, const char *key, float *value,
                                   struct lmk_error *error)
{
    if (!gguf_has(file, key) || (gguf_f32(file, key, value) && isfinite(*value)))
        return LMK_OK;
    return not_a_number(file, key, error);
}

static enum lmk_status read_weights(const struct gguf *file, const char *key, size_t wanted,
                                    float **values, struct lmk_error *error)
{
    size_t count;
    if (!gguf_has(file, key))
        return LMK_OK;
    if (!gguf_array(file, key, &count) || count != wanted)
        return error_set(error, LMK_MODEL,
                         "%s: key %s must be a list of %zu numbers, one for each head of each "
                         "memory layer. Fit the weights of the ranking again.",
                         gguf_path(file), key, wanted);
    if (!(*values = malloc(wanted * sizeof **values)))
        return error_memory(error, wanted * sizeof **values);
    for (size_t i = 0; i < wanted; i++)
        if (!gguf_array_f32(file, key, i, &(*values)[i]) || !isfinite((*values)[i]))
            return not_a_number(file, key, error);
    return LMK_OK;
}

enum lmk_status model_read_rank(struct lmk_model *model, struct lmk_error *error)
{
    const struct gguf *file = model->file;
    struct rank_weights *rank = &model->rank;
    size_t heads = (size_t)model->shape.memory_layer_count * model->shape.heads;
    *rank = (struct rank_weights){.landmark = 1, .lexical = 1, .landmark_alone = 1};
    enum lmk_status status = read_weight(file, "landmark.rank.landmark", &rank->landmark, error);
    if (!status)
        status = read_weight(file, "landmark.rank.lexical", &rank->lexical, error);
    if (!status)
        status = read_weight(file, "landmark.rank.neighbourhood", &rank->neighbourhood, error);
    if (!status)
        status = read_weight(file, "landmark.rank.landmark_alone", &rank->landmark_alone, error);
    if (!status)
        status = read_weights(file, "landmark.rank.attention", heads, &rank->attention, error);
    if (!status)
        status = read_weights(file, "landmark.rank.attention_landmark", heads,
                              &rank->attention_landmark, error);
    return status;
}
