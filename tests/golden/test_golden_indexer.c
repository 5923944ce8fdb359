/* The indexer against golden values, which the reference implementation computed in float64 from
 * the model files.
 *
 * LMK_GOLDEN_MODEL names the file of the model that tests/golden/golden.json was made with; without
 * it that one test is skipped. The tiny models lie beside their values.
 */
#include "src/model/indexer.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

struct golden {
    struct lmk_model *model;
    const struct model_shape *shape; /* the model's */
    cJSON *values;
    size_t blocks;
    uint32_t *tokens;
    float *landmark_keys, *keys, *row_values;
    double tolerance;
};

static cJSON *read_json(const char *path)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    size_t size = (size_t)ftell(file);
    rewind(file);
    char *text = malloc(size + 1);
    assert_non_null(text);
    assert_int_equal(fread(text, 1, size, file), size);
    text[size] = '\0';
    fclose(file);
    cJSON *json = cJSON_Parse(text);
    free(text);
    assert_non_null(json);
    return json;
}

static const cJSON *member(const cJSON *object, const char *name)
{
    const cJSON *found = cJSON_GetObjectItemCaseSensitive(object, name);
    if (!found)
        fail_msg("the golden file has no \"%s\"", name);
    return found;
}

static const cJSON *layer_member(const cJSON *object, const char *name, uint32_t layer)
{
    char key[16];
    snprintf(key, sizeof key, "%u", layer);
    return member(member(object, name), key);
}

static void read_tokens(struct golden *golden)
{
    const cJSON *rows = member(golden->values, "rows"), *id;
    size_t row = 0, kept = 0, block_rows = golden->shape->block_rows;
    golden->blocks = (size_t)cJSON_GetArraySize(rows) / block_rows;
    golden->tokens = malloc(golden->blocks * block_rows * sizeof *golden->tokens);
    assert_non_null(golden->tokens);
    cJSON_ArrayForEach(id, rows)
    {
        if (row++ % block_rows != golden->shape->block_tokens)
            golden->tokens[kept++] = (uint32_t)id->valueint;
    }
    assert_int_equal(kept, golden->blocks * golden->shape->block_tokens);
}

static void index_document(struct golden *golden)
{
    size_t landmark = golden->blocks * model_landmark_width(golden->shape);
    golden->landmark_keys = calloc(landmark, sizeof(float));
    golden->keys = calloc(landmark * golden->shape->block_tokens, sizeof(float));
    golden->row_values = calloc(landmark * golden->shape->block_tokens, sizeof(float));
    struct indexer *indexer;
    struct stream *stream;
    assert_int_equal(indexer_open(&indexer, golden->model, golden->blocks, NULL), LMK_OK);
    assert_int_equal(stream_open(&stream, indexer, NULL), LMK_OK);
    struct indexer_item item = {stream,         golden->tokens,
                                golden->blocks, golden->landmark_keys,
                                golden->keys,   golden->row_values};
    indexer_run(indexer, &item, 1);
    stream_close(stream);
    indexer_close(indexer);
}

/* `found` against an array of numbers, to the tolerance times their largest. */
static void compare(const struct golden *golden, const cJSON *expected, const float *found,
                    const char *what)
{
    const cJSON *number;
    double largest = 0;
    cJSON_ArrayForEach(number, expected) largest = fmax(largest, fabs(number->valuedouble));
    assert_true(largest > 0);
    cJSON_ArrayForEach(number, expected)
    {
        if (!(fabs(*found - number->valuedouble) <= golden->tolerance * largest))
            fail_msg("%s: %.6g instead of %.6g", what, (double)*found, number->valuedouble);
        found++;
    }
}

static void compare_landmarks(const struct golden *golden, size_t m)
{
    const struct model_shape *shape = golden->shape;
    const cJSON *blocks = member(golden->values, "landmark_blocks"), *head, *expected;
    size_t g = 0;
    cJSON_ArrayForEach(
        head, layer_member(golden->values, "landmark_key_unrotated", shape->memory_layers[m]))
    {
        int i = 0;
        cJSON_ArrayForEach(expected, head)
        {
            size_t block = (size_t)cJSON_GetArrayItem(blocks, i++)->valueint;
            size_t place =
                ((block * shape->memory_layer_count + m) * shape->kv_heads + g) * shape->head_width;
            assert_int_equal(cJSON_GetArraySize(expected), shape->head_width);
            compare(golden, expected, golden->landmark_keys + place, "a landmark key");
        }
        assert_int_equal(i, cJSON_GetArraySize(blocks));
        g++;
    }
    assert_int_equal(g, shape->kv_heads);
}

/* The first components of KV head 0 at some rows. */
static void compare_rows(const struct golden *golden, size_t m, const char *name,
                         const float *found)
{
    const struct model_shape *shape = golden->shape;
    const cJSON *expected;
    size_t count = 0;
    cJSON_ArrayForEach(expected, layer_member(golden->values, name, shape->memory_layers[m]))
    {
        size_t row = strtoull(expected->string, NULL, 10), block = row / shape->block_rows;
        size_t head = (block * shape->memory_layer_count + m) * shape->kv_heads;
        compare(golden, expected,
                found + (head * shape->block_tokens + row % shape->block_rows) * shape->head_width,
                name);
        count++;
    }
    assert_true(count > 0);
}

static void check_golden(const char *model_path, const char *values_path, double tolerance)
{
    struct lmk_error error;
    struct golden golden = {.tolerance = tolerance};
    if (lmk_model_open(&golden.model, model_path, &error) != LMK_OK)
        fail_msg("%s", error.message);
    golden.shape = &golden.model->shape;
    golden.values = read_json(values_path);
    read_tokens(&golden);
    index_document(&golden);
    for (size_t m = 0; m < golden.shape->memory_layer_count; m++) {
        compare_landmarks(&golden, m);
        compare_rows(&golden, m, "key_unrotated", golden.keys);
        compare_rows(&golden, m, "value", golden.row_values);
    }
    free(golden.tokens);
    free(golden.landmark_keys);
    free(golden.keys);
    free(golden.row_values);
    cJSON_Delete(golden.values);
    lmk_model_close(golden.model);
}

static void test_tiny_slot(void **state)
{
    (void)state;
    check_golden("tests/golden/tiny-slot.gguf", "tests/golden/golden-tiny-slot.json", 1e-3);
}

static void test_tiny_slot_all(void **state)
{
    (void)state;
    check_golden("tests/golden/tiny-slot-all.gguf", "tests/golden/golden-tiny-slot-all.json", 1e-3);
}

static void test_tiny_stingy_all(void **state)
{
    (void)state;
    check_golden("tests/golden/tiny-stingy-all.gguf", "tests/golden/golden-tiny-stingy-all.json",
                 1e-3);
}

static void test_named_model(void **state)
{
    (void)state;
    const char *path = getenv("LMK_GOLDEN_MODEL");
    if (!path) {
        print_message(
            "skipped: LMK_GOLDEN_MODEL does not name the model of tests/golden/golden.json\n");
        skip();
    }
    check_golden(path, "tests/golden/golden.json", 1e-3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tiny_slot),
        cmocka_unit_test(test_tiny_slot_all),
        cmocka_unit_test(test_tiny_stingy_all),
        cmocka_unit_test(test_named_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
