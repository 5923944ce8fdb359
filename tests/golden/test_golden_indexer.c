/* The indexer against golden values, which the reference implementation computed in float64.
 *
 * LMK_GOLDEN_MODEL names the file of the model that tests/golden/golden.json was made with; without
 * it the tests of that model are skipped. The tiny models lie beside their values.
 */
#include "src/model/scoring.h"
#include "tests/golden/golden_file.h"

#include <glob.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct golden {
    struct lmk_model *model;
    const struct model_shape *shape; /* the model's */
    cJSON *values;
    struct golden_blocks blocks;
    double tolerance;
};

static void open_golden(struct golden *golden, const char *model_path, const char *values_path,
                        double tolerance)
{
    struct lmk_error error;
    golden->tolerance = tolerance;
    golden->values = golden_load(values_path);
    if (lmk_model_open(&golden->model, model_path, &error) != LMK_OK)
        fail_msg("%s", error.message);
    golden->shape = &golden->model->shape;
    size_t count;
    uint32_t *ids = golden_ids(golden_member(golden->values, "document_ids"), &count);
    golden_blocks_open(&golden->blocks, golden->model, ids, count);
    free(ids);
}

static void close_golden(struct golden *golden)
{
    golden_blocks_close(&golden->blocks);
    cJSON_Delete(golden->values);
    lmk_model_close(golden->model);
}

static const cJSON *layer_member(const struct golden *golden, const char *name, size_t m)
{
    char path[64];
    snprintf(path, sizeof path, "%s/%u", name, golden->shape->memory_layers[m]);
    return golden_member(golden->values, path);
}

static size_t head_index(const struct golden *golden, size_t block, size_t m, size_t g)
{
    return (block * golden->shape->memory_layer_count + m) * golden->shape->kv_heads + g;
}

static void compare_landmarks(const struct golden *golden, size_t m)
{
    size_t count, width = golden->shape->head_width;
    uint32_t *blocks = golden_ids(golden_member(golden->values, "landmark_blocks"), &count);
    const cJSON *heads = layer_member(golden, "landmark_key_unrotated", m);
    assert_int_equal(cJSON_GetArraySize(heads), golden->shape->kv_heads);
    for (size_t g = 0; g < golden->shape->kv_heads; g++)
        for (size_t i = 0; i < count; i++)
            golden_compare(
                "landmark key", cJSON_GetArrayItem(cJSON_GetArrayItem(heads, (int)g), (int)i),
                golden->blocks.landmark_keys + head_index(golden, blocks[i], m, g) * width, width,
                golden->tolerance);
    free(blocks);
}

/* The first components of KV head 0 at some rows. */
static void compare_rows(const struct golden *golden, size_t m, const char *name,
                         const float *found)
{
    const struct model_shape *shape = golden->shape;
    const cJSON *expected;
    size_t count = 0;
    cJSON_ArrayForEach(expected, layer_member(golden, name, m))
    {
        size_t row = strtoull(expected->string, NULL, 10);
        size_t head = head_index(golden, row / shape->block_rows, m, 0);
        golden_compare(name, expected,
                       found + (head * shape->block_tokens + row % shape->block_rows) *
                                   shape->head_width,
                       (size_t)cJSON_GetArraySize(expected), golden->tolerance);
        count++;
    }
    assert_true(count > 0);
}

/* Scores of the blocks for the golden pooled query: what retrieval makes of our landmark keys. */
static void compare_scores(const struct golden *golden)
{
    const struct model_shape *shape = golden->shape;
    size_t width = model_landmark_width(shape), head_width = shape->head_width;
    float *scores = calloc(golden->blocks.count, sizeof *scores);
    float *landmark = calloc(width, sizeof *landmark);
    for (size_t b = 0; b < golden->blocks.count; b++) {
        scoring_rotate_landmark(shape, golden->blocks.landmark_keys + b * width, landmark);
        for (size_t i = 0; i < width; i++) {
            const cJSON *heads =
                layer_member(golden, "question/pooled_query", i / head_width / shape->kv_heads);
            const cJSON *query = cJSON_GetArrayItem(heads, (int)(i / head_width % shape->kv_heads));
            scores[b] +=
                landmark[i] * (float)cJSON_GetArrayItem(query, (int)(i % head_width))->valuedouble;
        }
        scores[b] /= sqrtf((float)head_width);
    }
    golden_compare("joint scores", golden_member(golden->values, "question/joint_scores"), scores,
                   golden->blocks.count, golden->tolerance);
    free(scores);
    free(landmark);
}

static void check(const char *model_path, const char *values_path, double tolerance)
{
    struct golden golden;
    open_golden(&golden, model_path, values_path, tolerance);
    for (size_t m = 0; m < golden.shape->memory_layer_count; m++) {
        compare_landmarks(&golden, m);
        compare_rows(&golden, m, "key_unrotated", golden.blocks.keys);
        compare_rows(&golden, m, "value", golden.blocks.values);
    }
    compare_scores(&golden);
    close_golden(&golden);
}

/* Every golden file of a tiny model: documents of one token, around the ends of blocks, of many. */
static void test_tiny_models(void **state)
{
    (void)state;
    const char *const names[] = {"tiny-slot", "tiny-slot-all", "tiny-stingy-all"};
    for (size_t i = 0; i < 3; i++) {
        char model[64], pattern[64];
        glob_t found = {0};
        snprintf(model, sizeof model, "tests/golden/%s.gguf", names[i]);
        snprintf(pattern, sizeof pattern, "tests/golden/golden-%s.json", names[i]);
        assert_int_equal(glob(pattern, 0, NULL, &found), 0);
        snprintf(pattern, sizeof pattern, "tests/golden/golden-%s-[0-9]*.json", names[i]);
        glob(pattern, GLOB_APPEND, NULL, &found);
        for (size_t f = 0; f < found.gl_pathc; f++)
            check(model, found.gl_pathv[f], GOLDEN_TOLERANCE);
        globfree(&found);
    }
}

/* ---- scored tokens */

/* Minus the logarithms of the probabilities of all tokens but the first; the caller's to free. */
static float *score_tokens(const struct lmk_model *model, const uint32_t *ids, size_t count,
                           struct indexer_sight sight)
{
    struct indexer *indexer;
    struct stream *stream;
    struct lmk_error error;
    size_t tokens = model->shape.block_tokens, blocks = (count + tokens - 1) / tokens;
    uint32_t *padded = malloc(blocks * tokens * sizeof *padded);
    float *losses = malloc(blocks * tokens * sizeof *losses);
    for (size_t i = 0; i < blocks * tokens; i++)
        padded[i] = i < count ? ids[i] : model->shape.padding_id;
    assert_int_equal(indexer_open_scoring(&indexer, model, 4, &sight, &error), LMK_OK);
    assert_int_equal(stream_open(&stream, indexer, &error), LMK_OK);
    struct indexer_item item = {
        .stream = stream, .tokens = padded, .blocks = blocks, .log_probabilities = losses};
    indexer_run(indexer, &item, 1);
    assert_true(isnan(losses[blocks * tokens - 1]));
    for (size_t i = 0; i < blocks * tokens; i++)
        losses[i] = -losses[i];
    stream_close(stream);
    indexer_close(indexer);
    free(padded);
    return losses;
}

static void check_mean_loss(const struct lmk_model *model, const char *values_path)
{
    cJSON *values = golden_load(values_path);
    size_t count;
    uint32_t *ids = golden_ids(golden_member(values, "document_ids"), &count);
    double expected = golden_member(values, "mean_nll")->valuedouble, sum = 0;
    struct indexer_sight sight = {.far = model->shape.reach, .best = model->shape.reach};
    float *losses = score_tokens(model, ids, count, sight);
    for (size_t i = 0; i + 1 < count; i++)
        sum += (double)losses[i] / (double)(count - 1);
    if (count > 1 && fabs(sum - expected) > GOLDEN_TOLERANCE * expected)
        fail_msg("%s: mean loss %f instead of %f", values_path, sum, expected);
    free(losses);
    free(ids);
    cJSON_Delete(values);
}

/* The mean loss of all documents with the model's own reach. */
static void test_scored_tokens(void **state)
{
    (void)state;
    const char *const names[] = {"tiny-slot", "tiny-slot-all", "tiny-stingy-all"};
    for (size_t i = 0; i < 3; i++) {
        char path[64], pattern[64];
        glob_t found = {0};
        struct lmk_model *model;
        struct lmk_error error;
        snprintf(path, sizeof path, "tests/golden/%s.gguf", names[i]);
        snprintf(pattern, sizeof pattern, "tests/golden/golden-%s-[0-9]*.json", names[i]);
        assert_int_equal(lmk_model_open(&model, path, &error), LMK_OK);
        assert_int_equal(glob(pattern, 0, NULL, &found), 0);
        for (size_t f = 0; f < found.gl_pathc; f++)
            check_mean_loss(model, found.gl_pathv[f]);
        globfree(&found);
        lmk_model_close(model);
    }
}

/* Each token's loss when rows see only some of the blocks before their own, far ones as they are or
 * rounded. */
static void test_sights(void **state)
{
    enum { TIMES_FINER = 30 }; /* what rounding changes is 3e-4 of the largest loss */
    (void)state;
    cJSON *sights = golden_load("tests/golden/perplexity.json"), *item;
    cJSON *document = golden_load("tests/golden/golden-tiny-slot.json");
    struct lmk_model *model;
    struct lmk_error error;
    size_t count;
    uint32_t *ids = golden_ids(golden_member(document, "document_ids"), &count);
    assert_int_equal(lmk_model_open(&model, "tests/golden/tiny-slot.gguf", &error), LMK_OK);
    assert_true(cJSON_GetArraySize(sights) > 4);
    cJSON_ArrayForEach(item, sights)
    {
        struct indexer_sight sight = {(size_t)golden_member(item, "near")->valuedouble,
                                      (size_t)golden_member(item, "far")->valuedouble,
                                      (size_t)golden_member(item, "best")->valuedouble,
                                      cJSON_IsTrue(golden_member(item, "rounded")) ? TENSOR_F16
                                                                                   : TENSOR_F32};
        float *losses = score_tokens(model, ids, count, sight);
        golden_compare("loss", golden_member(item, "losses"), losses, count - 1,
                       GOLDEN_TOLERANCE / TIMES_FINER);
        free(losses);
    }
    lmk_model_close(model);
    free(ids);
    cJSON_Delete(document);
    cJSON_Delete(sights);
}

static void check_named_model(bool float32, double tolerance)
{
    const char *path = getenv("LMK_GOLDEN_MODEL");
    if (!path) {
        print_message("LMK_GOLDEN_MODEL does not name the model of tests/golden/golden.json\n");
        skip();
    }
    indexer_force_float32(float32);
    check(path, "tests/golden/golden.json", tolerance);
    indexer_force_float32(false);
}

static void test_named_model(void **state)
{
    (void)state;
    check_named_model(true, GOLDEN_TOLERANCE);
}

/* With the processor's own way of multiplying, whichever it is. */
static void test_named_model_at_full_speed(void **state)
{
    (void)state;
    check_named_model(false, 1e-2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tiny_models),
        cmocka_unit_test(test_scored_tokens),
        cmocka_unit_test(test_sights),
        cmocka_unit_test(test_named_model),
        cmocka_unit_test(test_named_model_at_full_speed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
