/* What golden values do not reach: prompts cut into pieces, stored types and widths of heads,
 * blocks chosen within the pass, and wrong use. */
#include "src/model/rows.h"
#include "src/model/rows_naive.h"
#include "src/model/sequence.h"
#include "tests/unit/random_model.h"

#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { BLOCKS = 3, TOKENS = 47 };

/* Blocks of 7 tokens, so that a short prompt has many; two memory layers of four. */
static const struct model_shape base_shape = {
    .layers = 4,
    .width = 48,
    .heads = 6,
    .kv_heads = 2,
    .head_width = 10,
    .feed_forward = 40,
    .vocabulary = 50,
    .norm_epsilon = 1e-5f,
    .rope_base = 10000,
    .block_tokens = 7,
    .block_rows = 8,
    .landmark_id = 4,
    .memory_layer_count = 2,
    .memory_layers = {1, 3},
    .window = 11,
    .near_blocks = 2,
    .reach = 3,
    .positions = POSITIONS_SLOT,
};

static void assert_close(const float *found, const float *expected, size_t count, double tolerance)
{
    double size = 0;
    for (size_t i = 0; i < count; i++)
        size = fmax(size, fabs((double)expected[i]));
    for (size_t i = 0; i < count; i++)
        if (!(fabs((double)found[i] - (double)expected[i]) <= tolerance * size))
            fail_msg("value %zu: %.8g instead of %.8g", i, (double)found[i], (double)expected[i]);
}

static struct sequence *open_sequence(const struct lmk_model *model, size_t max_tokens,
                                      bool queries_only)
{
    struct sequence *sequence;
    assert_int_equal(sequence_open(&sequence, model, max_tokens, queries_only, NULL), LMK_OK);
    return sequence;
}

static void feed(struct sequence *sequence, const uint32_t *tokens, size_t count, float *logits)
{
    struct lmk_error error;
    if (sequence_feed(sequence, tokens, count, logits, &error))
        fail_msg("%s", error.message);
}

/* Random blocks; their rows are stored in a type and, unpacked from it by the naive twin, in
 * float32. */
struct stored_blocks {
    struct memory_block blocks[BLOCKS], exact[BLOCKS];
};

static void store_rows(struct random_source *source, enum tensor_type type, size_t count,
                       const void **stored, const void **exact)
{
    float *values = random_normals(source, count, 1);
    char *rows = malloc(rows_bytes(type, count) + 1);
    rows_pack(type, values, rows + 1, count); /* at an odd address */
    for (size_t i = 0; i < count; i++)
        values[i] = (float)rows_naive_value(type, rows + 1, i);
    *stored = rows + 1;
    *exact = values;
}

static struct stored_blocks store_blocks(const struct model_shape *shape, enum tensor_type type,
                                         uint64_t seed)
{
    struct random_source source = {seed};
    struct stored_blocks stored;
    size_t width = model_landmark_width(shape), size = width * shape->block_tokens;
    for (size_t i = 0; i < BLOCKS; i++) {
        struct memory_block block = {.type = type, .slot = (uint32_t)i + (i == BLOCKS - 1)},
                            exact = {TENSOR_F32};
        store_rows(&source, type, size, &block.keys, &exact.keys);
        store_rows(&source, type, size, &block.values, &exact.values);
        block.landmark_key = exact.landmark_key = random_normals(&source, width, 1);
        exact.slot = block.slot;
        stored.blocks[i] = block;
        stored.exact[i] = exact;
    }
    return stored;
}

static void free_blocks(struct stored_blocks *stored)
{
    for (size_t i = 0; i < BLOCKS; i++) {
        free((char *)stored->blocks[i].keys - 1);
        free((char *)stored->blocks[i].values - 1);
        free((void *)stored->exact[i].keys);
        free((void *)stored->exact[i].values);
        free((void *)stored->blocks[i].landmark_key);
    }
}

/* Logits [TOKENS][V] of random tokens with blocks, fed in pieces of at most `piece`. */
static float *run(const struct lmk_model *model, const struct memory_block *blocks, size_t count,
                  size_t piece)
{
    struct random_source source = {11};
    uint32_t *tokens = random_tokens(&source, &model->shape, TOKENS);
    size_t vocabulary = model->shape.vocabulary;
    float *logits = malloc(TOKENS * vocabulary * sizeof *logits);
    struct sequence *sequence = open_sequence(model, TOKENS, false);
    assert_int_equal(sequence_set_memory(sequence, blocks, count, NULL), LMK_OK);
    for (size_t t = 0; t < TOKENS; t += piece) {
        size_t some = TOKENS - t < piece ? TOKENS - t : piece;
        feed(sequence, tokens + t, some, logits + t * vocabulary);
        assert_memory_equal(sequence_logits(sequence), logits + (t + some - 1) * vocabulary,
                            vocabulary * sizeof *logits);
    }
    assert_int_equal(sequence_tokens(sequence), TOKENS);
    sequence_close(sequence);
    free(tokens);
    return logits;
}

static void test_pieces(void **state)
{
    (void)state;
    for (int stingy = 0; stingy < 2; stingy++) {
        struct model_shape shape = base_shape;
        shape.positions = stingy ? POSITIONS_STINGY : POSITIONS_SLOT;
        struct lmk_model *model = random_model_new(&shape, 1);
        struct stored_blocks stored = store_blocks(&shape, TENSOR_F16, 2);
        float *whole = run(model, stored.blocks, BLOCKS, TOKENS);
        for (size_t piece = 1; piece <= 9; piece++) {
            float *pieces = run(model, stored.blocks, BLOCKS, piece);
            assert_close(pieces, whole, TOKENS * shape.vocabulary, 2e-5);
            free(pieces);
        }
        free(whole);
        free_blocks(&stored);
        random_model_free(model);
    }
}

/* More tokens than are run together, and more than caches have room for at first. */
static void test_long_prompt(void **state)
{
    (void)state;
    enum { LONG = 700 };
    struct lmk_model *model = random_model_new(&base_shape, 3);
    struct random_source source = {4};
    uint32_t *tokens = random_tokens(&source, &base_shape, LONG);
    struct sequence *whole = open_sequence(model, LONG, false),
                    *single = open_sequence(model, LONG, false);
    feed(whole, tokens, LONG, NULL);
    for (size_t t = 0; t < LONG; t++)
        feed(single, tokens + t, 1, NULL);
    assert_close(sequence_logits(single), sequence_logits(whole), base_shape.vocabulary, 2e-5);
    for (size_t m = 0; m < 2; m++)
        for (size_t t = 0; t < LONG; t += 37)
            assert_close(sequence_far_query(single, m, 5, t), sequence_far_query(whole, m, 5, t),
                         10, 2e-5);
    sequence_close(whole);
    sequence_close(single);
    free(tokens);
    random_model_free(model);
}

static void check_type(const struct model_shape *shape, enum tensor_type type)
{
    struct lmk_model *model = random_model_new(shape, 5);
    struct stored_blocks stored = store_blocks(shape, type, 6);
    float *found = run(model, stored.blocks, BLOCKS, TOKENS),
          *expected = run(model, stored.exact, BLOCKS, TOKENS);
    float *without = run(model, NULL, 0, TOKENS);
    size_t count = TOKENS * shape->vocabulary;
    double difference = 0;
    assert_close(found, expected, count, 2e-5);
    for (size_t i = 0; i < count; i++)
        difference = fmax(difference, fabs((double)found[i] - (double)without[i]));
    assert_true(difference > 0.1); /* the blocks were read at all */
    free(found);
    free(expected);
    free(without);
    free_blocks(&stored);
    random_model_free(model);
}

static void test_stored_types(void **state)
{
    (void)state;
    static const uint32_t widths[] = {2, 6, 10, 30, 34, 64, 256};
    for (size_t i = 0; i < sizeof widths / sizeof widths[0]; i++) {
        struct model_shape shape = base_shape;
        shape.head_width = widths[i];
        check_type(&shape, TENSOR_F32);
        check_type(&shape, TENSOR_F16);
    }
    struct model_shape shape = base_shape;
    for (shape.head_width = 32; shape.head_width <= 96; shape.head_width += 32) {
        shape.positions = shape.head_width == 64 ? POSITIONS_STINGY : POSITIONS_SLOT;
        check_type(&shape, TENSOR_Q8_0);
        check_type(&shape, TENSOR_Q4_0);
    }
}

/* ---- blocks chosen within the pass */

/* Each head of each row takes the blocks that the sign of its query's first components name, none
 * included. */
struct choice {
    const struct memory_block *blocks;
    const struct model_shape *shape;
    size_t calls;
    bool fails;
};

static enum lmk_status choose_by_query(void *context, size_t m, const float *far_queries,
                                       size_t rows, const struct memory_block **chosen,
                                       size_t *counts, struct lmk_error *error)
{
    struct choice *choice = context;
    size_t heads = choice->shape->heads, width = choice->shape->head_width;
    choice->calls++;
    (void)m;
    if (choice->fails)
        return error_set(error, LMK_CORRUPT, "Block 7 is damaged.");
    for (size_t i = 0; i < rows * heads; i++) {
        counts[i] = 0;
        for (size_t b = 0; b < BLOCKS; b++)
            if (far_queries[i * width + b] > 0)
                chosen[i * BLOCKS + counts[i]++] = &choice->blocks[b];
    }
    return LMK_OK;
}

static struct sequence *open_choosing(const struct lmk_model *model, struct choice *choice,
                                      bool queries_only)
{
    struct sequence *sequence = open_sequence(model, TOKENS, queries_only);
    struct memory_selector selector = {BLOCKS, choose_by_query, choice};
    assert_int_equal(sequence_set_selector(sequence, &selector, NULL), LMK_OK);
    return sequence;
}

static void test_selector_by_row_and_head(void **state)
{
    (void)state;
    struct lmk_model *model = random_model_new(&base_shape, 7);
    struct stored_blocks stored = store_blocks(&base_shape, TENSOR_F16, 8);
    struct choice choice = {stored.blocks, &base_shape, 0, false};
    struct random_source source = {9};
    uint32_t *tokens = random_tokens(&source, &base_shape, TOKENS);
    struct sequence *whole = open_choosing(model, &choice, false),
                    *single = open_choosing(model, &choice, false);
    feed(whole, tokens, TOKENS, NULL);
    assert_int_equal(choice.calls, 2); /* a layer each */
    for (size_t t = 0; t < TOKENS; t++)
        feed(single, tokens + t, 1, NULL);
    assert_close(sequence_logits(single), sequence_logits(whole), base_shape.vocabulary, 2e-5);
    sequence_close(whole);
    sequence_close(single);

    /* The top memory layer's queries need no blocks. */
    choice.calls = 0;
    struct sequence *queries = open_choosing(model, &choice, true);
    feed(queries, tokens, TOKENS, NULL);
    assert_int_equal(choice.calls, 1);
    assert_null(sequence_logits(queries));
    sequence_close(queries);
    free(tokens);
    free_blocks(&stored);
    random_model_free(model);
}

static enum lmk_status choose_none(void *context, size_t m, const float *far_queries, size_t rows,
                                   const struct memory_block **chosen, size_t *counts,
                                   struct lmk_error *error)
{
    (void)m, (void)far_queries, (void)chosen, (void)error;
    memset(counts, 0, rows * *(const size_t *)context * sizeof *counts);
    return LMK_OK;
}

static void test_selector_that_chooses_nothing(void **state)
{
    (void)state;
    struct lmk_model *model = random_model_new(&base_shape, 10);
    struct random_source source = {11};
    uint32_t *tokens = random_tokens(&source, &base_shape, TOKENS);
    size_t heads = base_shape.heads;
    struct memory_selector selector = {4, choose_none, &heads};
    struct sequence *choosing = open_sequence(model, TOKENS, false),
                    *plain = open_sequence(model, TOKENS, false);
    assert_int_equal(sequence_set_selector(choosing, &selector, NULL), LMK_OK);
    feed(choosing, tokens, TOKENS, NULL);
    feed(plain, tokens, TOKENS, NULL);
    assert_close(sequence_logits(choosing), sequence_logits(plain), base_shape.vocabulary, 1e-6);
    sequence_close(choosing);
    sequence_close(plain);
    free(tokens);
    random_model_free(model);
}

/* Keeps the queries that it is given for the last memory layer, [rows][H][W]; chooses nothing. */
static enum lmk_status keep_queries(void *context, size_t m, const float *far_queries, size_t rows,
                                    const struct memory_block **chosen, size_t *counts,
                                    struct lmk_error *error)
{
    (void)m, (void)chosen, (void)error;
    memcpy(context, far_queries, rows * base_shape.heads * base_shape.head_width * sizeof(float));
    memset(counts, 0, rows * base_shape.heads * sizeof *counts);
    return LMK_OK;
}

static void test_selector_gets_far_queries(void **state)
{
    (void)state;
    enum { HEADS = 6, WIDTH = 10, ROWS = TOKENS + TOKENS / 7 };
    struct lmk_model *model = random_model_new(&base_shape, 19);
    struct random_source source = {20};
    uint32_t *tokens = random_tokens(&source, &base_shape, TOKENS);
    float queries[ROWS][HEADS][WIDTH];
    struct memory_selector selector = {4, keep_queries, queries};
    struct sequence *sequence = open_sequence(model, TOKENS, false);
    assert_int_equal(sequence_set_selector(sequence, &selector, NULL), LMK_OK);
    feed(sequence, tokens, TOKENS, NULL);
    for (size_t t = 0; t < TOKENS; t++)
        for (size_t h = 0; h < HEADS; h++)
            assert_memory_equal(queries[t + t / 7][h], sequence_far_query(sequence, 1, h, t),
                                WIDTH * sizeof(float));
    sequence_close(sequence);
    free(tokens);
    random_model_free(model);
}

/* ---- pooled query and masses */

static void test_pooled_query(void **state)
{
    (void)state;
    struct lmk_model *model = random_model_new(&base_shape, 12);
    struct random_source source = {13};
    uint32_t *tokens = random_tokens(&source, &base_shape, TOKENS);
    struct sequence *sequence = open_sequence(model, TOKENS, true);
    feed(sequence, tokens, TOKENS, NULL);
    float pooled[2 * 2 * 10], expected[2 * 2 * 10];
    sequence_pooled_query(sequence, pooled);
    for (size_t i = 0; i < 40; i++) {
        size_t m = i / 20, g = i / 10 % 2, component = i % 10;
        double sum = 0;
        for (size_t h = 3 * g; h < 3 * g + 3; h++) {
            sum += (double)sequence_far_query(sequence, m, h, TOKENS - 1)[component];
            for (size_t t = 0; t < TOKENS; t++)
                sum += (double)sequence_far_query(sequence, m, h, t)[component] / TOKENS;
        }
        expected[i] = (float)sum;
    }
    assert_close(pooled, expected, 40, 1e-6);
    sequence_close(sequence);
    free(tokens);
    random_model_free(model);
}

/* The rest is what the own tokens received. */
static void test_masses_are_probabilities(void **state)
{
    (void)state;
    struct lmk_model *model = random_model_new(&base_shape, 14);
    struct stored_blocks stored = store_blocks(&base_shape, TENSOR_F32, 15);
    struct random_source source = {16};
    uint32_t *tokens = random_tokens(&source, &base_shape, TOKENS);
    float mass[2 * BLOCKS];
    struct sequence *sequence = open_sequence(model, TOKENS, false);
    assert_int_equal(sequence_set_memory(sequence, stored.blocks, BLOCKS, NULL), LMK_OK);
    feed(sequence, tokens, TOKENS, NULL);
    sequence_landmark_mass(sequence, mass);
    for (size_t m = 0; m < 2; m++) {
        float sum = 0;
        for (size_t b = 0; b < BLOCKS; b++) {
            assert_true(mass[m * BLOCKS + b] > 0);
            sum += mass[m * BLOCKS + b];
        }
        assert_true(sum < 1);
    }
    sequence_close(sequence);
    free(tokens);
    free_blocks(&stored);
    random_model_free(model);
}

/* ---- wrong use */

static void test_wrong_use(void **state)
{
    (void)state;
    struct model_shape shape = base_shape;
    shape.positions = POSITIONS_STINGY;
    struct lmk_model *model = random_model_new(&shape, 17);
    struct stored_blocks stored = store_blocks(&shape, TENSOR_F32, 18);
    struct choice choice = {stored.blocks, &shape, 0, true};
    struct memory_selector selector = {BLOCKS, choose_by_query, &choice};
    struct sequence *sequence;
    struct lmk_error error;
    assert_int_equal(sequence_open(&sequence, model, 0, false, &error), LMK_USAGE);
    assert_null(sequence);
    sequence = open_sequence(model, 3, false);
    assert_null(sequence_logits(sequence));
    stored.blocks[1].slot = BLOCKS + 1;
    assert_int_equal(sequence_set_memory(sequence, stored.blocks, BLOCKS, &error), LMK_USAGE);
    stored.blocks[1].slot = BLOCKS;
    assert_int_equal(sequence_set_memory(sequence, stored.blocks, BLOCKS, &error), LMK_OK);
    assert_int_equal(sequence_set_selector(sequence, &selector, &error), LMK_USAGE);
    assert_int_equal(sequence_feed(sequence, (uint32_t[]){1, 50}, 2, NULL, &error), LMK_USAGE);
    assert_int_equal(sequence_feed(sequence, (uint32_t[]){1, 2, 3, 4}, 4, NULL, &error), LMK_USAGE);
    assert_int_equal(sequence_tokens(sequence), 0);
    feed(sequence, (uint32_t[]){1, 2, 3}, 3, NULL);
    assert_int_equal(sequence_feed(sequence, (uint32_t[]){1}, 1, NULL, &error), LMK_USAGE);
    assert_int_equal(sequence_set_memory(sequence, stored.blocks, BLOCKS, &error), LMK_USAGE);
    sequence_close(sequence);

    sequence = open_sequence(model, 3, false);
    feed(sequence, (uint32_t[]){1}, 1, NULL);
    assert_int_equal(sequence_set_memory(sequence, stored.blocks, BLOCKS, &error), LMK_USAGE);
    assert_int_equal(sequence_set_selector(sequence, &selector, &error), LMK_USAGE);
    sequence_close(sequence);

    sequence = open_sequence(model, 3, false);
    assert_int_equal(sequence_set_selector(sequence, &selector, &error), LMK_OK);
    assert_int_equal(sequence_feed(sequence, (uint32_t[]){1}, 1, NULL, &error), LMK_CORRUPT);
    assert_string_equal(error.message, "Block 7 is damaged.");
    sequence_close(sequence);
    sequence_close(NULL);
    free_blocks(&stored);
    random_model_free(model);
}

int main(void)
{
    /* A team whose threads get unequal shares, whatever the machine. */
    omp_set_num_threads(3);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_long_prompt),
        cmocka_unit_test(test_stored_types),
        cmocka_unit_test(test_selector_by_row_and_head),
        cmocka_unit_test(test_selector_that_chooses_nothing),
        cmocka_unit_test(test_selector_gets_far_queries),
        cmocka_unit_test(test_pooled_query),
        cmocka_unit_test(test_masses_are_probabilities),
        cmocka_unit_test(test_wrong_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
