#include "tests/golden/golden_file.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

cJSON *golden_load(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        fail_msg("cannot open %s", path);
    fseek(file, 0, SEEK_END);
    size_t size = (size_t)ftell(file);
    rewind(file);
    char *text = malloc(size + 1);
    assert_int_equal(fread(text, 1, size, file), size);
    text[size] = 0;
    fclose(file);
    cJSON *object = cJSON_Parse(text);
    free(text);
    if (!object)
        fail_msg("%s is no JSON", path);
    return object;
}

const cJSON *golden_member(const cJSON *object, const char *path)
{
    char name[64];
    while (*path) {
        size_t size = strcspn(path, "/");
        snprintf(name, sizeof name, "%.*s", (int)size, path);
        object = cJSON_GetObjectItemCaseSensitive(object, name);
        if (!object)
            fail_msg("the golden file lacks %s", name);
        path += size + (path[size] == '/');
    }
    return object;
}

uint32_t *golden_ids(const cJSON *array, size_t *count)
{
    *count = (size_t)cJSON_GetArraySize(array);
    uint32_t *ids = calloc(*count + 1, sizeof *ids);
    size_t i = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, array) ids[i++] = (uint32_t)item->valuedouble;
    return ids;
}

void golden_compare(const char *what, const cJSON *expected, const float *values, size_t count,
                    double tolerance)
{
    double size = 0, worst = 0;
    size_t i = 0;
    const cJSON *item;
    assert_int_equal(cJSON_GetArraySize(expected), count);
    cJSON_ArrayForEach(item, expected)
    {
        double error = fabs(item->valuedouble - (double)values[i++]);
        size = fmax(size, fabs(item->valuedouble));
        worst = isfinite(error) ? fmax(worst, error) : INFINITY;
    }
    if (!(worst <= tolerance * size))
        fail_msg("%s: off by %g where the largest value is %g", what, worst, size);
}

void golden_compare_logits(const char *what, const cJSON *pairs, const float *logits,
                           double tolerance)
{
    float values[64];
    size_t count = 0;
    cJSON *expected = cJSON_CreateArray();
    const cJSON *pair;
    cJSON_ArrayForEach(pair, pairs)
    {
        values[count++] = logits[(size_t)cJSON_GetArrayItem(pair, 0)->valuedouble];
        cJSON_AddItemToArray(expected,
                             cJSON_CreateNumber(cJSON_GetArrayItem(pair, 1)->valuedouble));
    }
    golden_compare(what, expected, values, count, tolerance);
    cJSON_Delete(expected);
}

void golden_blocks_open(struct golden_blocks *blocks, const struct lmk_model *model,
                        const uint32_t *tokens, size_t count)
{
    size_t landmark = model_landmark_width(&model->shape),
           tokens_in_block = model->shape.block_tokens;
    struct indexer *indexer;
    struct stream *stream;
    struct lmk_error error;
    blocks->count = (count + tokens_in_block - 1) / tokens_in_block;
    uint32_t *padded = malloc(blocks->count * tokens_in_block * sizeof *padded);
    for (size_t i = 0; i < blocks->count * tokens_in_block; i++)
        padded[i] = i < count ? tokens[i] : model->shape.padding_id;
    blocks->landmark_keys = malloc(blocks->count * landmark * sizeof(float));
    blocks->keys = malloc(blocks->count * landmark * tokens_in_block * sizeof(float));
    blocks->values = malloc(blocks->count * landmark * tokens_in_block * sizeof(float));
    assert_int_equal(indexer_open(&indexer, model, blocks->count, &error), LMK_OK);
    assert_int_equal(stream_open(&stream, indexer, &error), LMK_OK);
    struct indexer_item item = {.stream = stream,
                                .tokens = padded,
                                .blocks = blocks->count,
                                .landmark_keys = blocks->landmark_keys,
                                .keys = blocks->keys,
                                .values = blocks->values};
    indexer_run(indexer, &item, 1);
    stream_close(stream);
    indexer_close(indexer);
    free(padded);
}

void golden_blocks_close(struct golden_blocks *blocks)
{
    free(blocks->landmark_keys);
    free(blocks->keys);
    free(blocks->values);
}
