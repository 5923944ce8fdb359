/* Exact attention over a block against its definition in float64. */
#include "src/model/scoring.h"

#include "src/model/rows.h"
#include "src/model/rows_naive.h"
#include "tests/unit/random_model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST_TOKENS = 255 };

static const struct model_shape base_shape = {
    .layers = 3,
    .width = 32,
    .heads = 4,
    .kv_heads = 2,
    .head_width = 32,
    .feed_forward = 24,
    .vocabulary = 40,
    .norm_epsilon = 1e-5f,
    .rope_base = 10000,
    .block_tokens = 63,
    .block_rows = 64,
    .landmark_id = 4,
    .memory_layer_count = 2,
    .memory_layers = {0, 2},
    .window = 30,
    .near_blocks = 2,
    .reach = 3,
    .positions = POSITIONS_SLOT,
};

static void assert_close(double found, double expected, double tolerance)
{
    if (!(fabs(found - expected) <= tolerance))
        fail_msg("%.9g instead of %.9g", found, expected);
}

/* The product of a query with a key that is rotated to `position` first. */
static double rotated_product(const struct model_shape *shape, const float *query,
                              const double *key, double position)
{
    double sum = 0;
    for (size_t i = 0; i < shape->head_width; i += 2) {
        double angle = position * pow((double)shape->rope_base, -(double)i / shape->head_width);
        double c = cos(angle), s = sin(angle);
        sum += (double)query[i] * (key[i] * c - key[i + 1] * s);
        sum += (double)query[i + 1] * (key[i + 1] * c + key[i] * s);
    }
    return sum;
}

/* Adds one query's softmax over the block's tokens; returns the log-sum-exp of its scores. keys:
 * [N][W] from `first`. */
static double naive_query(const struct model_shape *shape, const float *query,
                          enum tensor_type type, const void *keys, size_t first,
                          double *token_scores)
{
    double scores[MOST_TOKENS], sum = 0, key[256];
    for (size_t n = 0; n < shape->block_tokens; n++) {
        for (size_t i = 0; i < shape->head_width; i++)
            key[i] = rows_naive_value(type, keys, first + n * shape->head_width + i);
        scores[n] = exp(rotated_product(shape, query, key, (double)n) / sqrt(shape->head_width));
        sum += scores[n];
    }
    for (size_t n = 0; n < shape->block_tokens; n++)
        token_scores[n] += scores[n] / sum;
    return log(sum);
}

static double naive_block(const struct model_shape *shape, const struct sequence *prompt,
                          enum tensor_type type, const void *keys, double *head_scores,
                          double *token_scores)
{
    size_t tokens = sequence_tokens(prompt), group = shape->heads / shape->kv_heads;
    double all = 0;
    memset(token_scores, 0, shape->block_tokens * sizeof *token_scores);
    for (size_t m = 0; m < shape->memory_layer_count; m++)
        for (size_t h = 0; h < shape->heads; h++) {
            double sum = 0;
            for (size_t t = 0; t < tokens; t++)
                sum += naive_query(shape, sequence_far_query(prompt, m, h, t), type, keys,
                                   (m * shape->kv_heads + h / group) * shape->block_tokens *
                                       shape->head_width,
                                   token_scores);
            head_scores[m * shape->heads + h] = sum / (double)tokens;
            all += sum;
        }
    return all / (double)(shape->memory_layer_count * shape->heads * tokens);
}

static struct sequence *make_prompt(const struct lmk_model *model, size_t count)
{
    struct random_source source = {count};
    uint32_t *tokens = random_tokens(&source, &model->shape, count);
    struct sequence *prompt;
    assert_int_equal(sequence_open(&prompt, model, count, true, NULL), LMK_OK);
    assert_int_equal(sequence_feed(prompt, tokens, count, NULL, NULL), LMK_OK);
    free(tokens);
    return prompt;
}

static void check_block(const struct model_shape *shape, enum tensor_type type,
                        size_t prompt_tokens)
{
    struct random_source source = {prompt_tokens + type};
    struct lmk_model *model = random_model_new(shape, 1);
    struct sequence *prompt = make_prompt(model, prompt_tokens);
    size_t size = model_landmark_width(shape) * shape->block_tokens;
    float *values = random_normals(&source, size, 1), token_scores[MOST_TOKENS], head_scores[8];
    double expected_heads[8];
    char *keys = malloc(rows_bytes(type, size) + 1);
    double expected_scores[MOST_TOKENS], total = 0;
    struct scoring *scoring;
    rows_pack(type, values, keys + 1, size);
    assert_int_equal(scoring_open(&scoring, model, prompt, NULL), LMK_OK);
    memset(token_scores, 0x7f, sizeof token_scores); /* nothing may depend on what stood there */
    double score = scoring_block(scoring, type, keys + 1, head_scores, token_scores);
    assert_close(score, naive_block(shape, prompt, type, keys + 1, expected_heads, expected_scores),
                 1e-5);
    for (size_t h = 0; h < 8; h++)
        assert_close((double)head_scores[h], expected_heads[h], 1e-5);
    for (size_t n = 0; n < shape->block_tokens; n++) {
        assert_close((double)token_scores[n], expected_scores[n], 1e-4 * expected_scores[n] + 1e-4);
        total += (double)token_scores[n];
    }
    size_t queries = (size_t)shape->memory_layer_count * shape->heads * prompt_tokens;
    assert_close(total, (double)queries, 1e-4 * (double)queries);
    assert_close(scoring_block(scoring, type, keys + 1, NULL, NULL), score, 0);
    scoring_close(scoring);
    sequence_close(prompt);
    free(values);
    free(keys);
    random_model_free(model);
}

static void test_blocks(void **state)
{
    (void)state;
    static const enum tensor_type types[] = {TENSOR_F32, TENSOR_F16, TENSOR_Q8_0, TENSOR_Q4_0};
    for (size_t i = 0; i < 4; i++) {
        check_block(&base_shape, types[i], 1);
        check_block(&base_shape, types[i], 20);
        check_block(&base_shape, types[i], 130);
    }
    struct model_shape shape = base_shape;
    shape.kv_heads = 4;
    shape.head_width = 10;
    shape.block_tokens = MOST_TOKENS;
    shape.block_rows = MOST_TOKENS + 1;
    check_block(&shape, TENSOR_F16, 9);
    shape.head_width = 256;
    check_block(&shape, TENSOR_Q8_0, 9);
    shape.positions = POSITIONS_STINGY;
    check_block(&shape, TENSOR_F16, 9);
}

/* Many threads may use the same prompt. */
static void test_threads(void **state)
{
    (void)state;
    enum { COUNT = 40 };
    struct random_source source = {3};
    struct lmk_model *model = random_model_new(&base_shape, 2);
    struct sequence *prompt = make_prompt(model, 11);
    struct scoring *scoring;
    size_t size = model_landmark_width(&base_shape) * base_shape.block_tokens;
    float *keys = random_normals(&source, COUNT * size, 1);
    double together[COUNT];
    assert_int_equal(scoring_open(&scoring, model, prompt, NULL), LMK_OK);
#pragma omp parallel for num_threads(4)
    for (size_t b = 0; b < COUNT; b++)
        together[b] = scoring_block(scoring, TENSOR_F32, keys + b * size, NULL, NULL);
    for (size_t b = 0; b < COUNT; b++)
        assert_close(together[b], scoring_block(scoring, TENSOR_F32, keys + b * size, NULL, NULL),
                     0);
    scoring_close(scoring);
    sequence_close(prompt);
    free(keys);
    random_model_free(model);
}

static void test_landmarks(void **state)
{
    (void)state;
    struct random_source source = {4};
    size_t width = model_landmark_width(&base_shape);
    float *key = random_normals(&source, width, 1), *query = random_normals(&source, width, 1);
    float rotated[4 * 32], turned[4 * 32];
    scoring_rotate_landmark(&base_shape, key, rotated);
    scoring_turn_query(&base_shape, query, turned);
    for (size_t i = 0; i < 4; i++) {
        double plain[32], forward = 0, back = 0;
        for (size_t j = 0; j < 32; j++) {
            plain[j] = (double)key[i * 32 + j];
            forward += (double)query[i * 32 + j] * (double)rotated[i * 32 + j];
            back += (double)turned[i * 32 + j] * plain[j];
        }
        double expected = rotated_product(&base_shape, query + i * 32, plain, 63);
        assert_close(forward, expected, 1e-5);
        assert_close(back, expected, 1e-5);
    }
    scoring_rotate_landmark(&base_shape, key, key);
    assert_memory_equal(key, rotated, sizeof rotated);
    free(key);
    free(query);
}

static void test_empty_prompt(void **state)
{
    (void)state;
    struct lmk_model *model = random_model_new(&base_shape, 5);
    struct sequence *prompt;
    struct scoring *scoring;
    assert_int_equal(sequence_open(&prompt, model, 4, true, NULL), LMK_OK);
    assert_int_equal(scoring_open(&scoring, model, prompt, NULL), LMK_USAGE);
    assert_null(scoring);
    sequence_close(prompt);
    random_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_landmarks),
        cmocka_unit_test(test_empty_prompt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
