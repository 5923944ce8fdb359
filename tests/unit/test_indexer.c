/* The indexer against its float64 twin on small random models, and against itself with documents
 * cut otherwise. */
#include "src/model/indexer.h"
#include "src/model/indexer_naive.h"
#include "tests/unit/random_model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST_BLOCKS = 24 };

/* A document and what indexing it gives. */
struct document {
    size_t blocks, landmark_floats, row_floats; /* of a block */
    uint32_t *tokens;
    float *landmark_keys, *keys, *values;
};

static void *require(void *memory)
{
    assert_non_null(memory);
    return memory;
}

static struct document document_new(const struct model_shape *shape, size_t blocks, uint64_t seed)
{
    struct random_source source = {seed};
    struct document document = {.blocks = blocks, .landmark_floats = model_landmark_width(shape)};
    document.row_floats = document.landmark_floats * shape->block_tokens;
    document.tokens = random_tokens(&source, shape, blocks * shape->block_tokens);
    document.landmark_keys = require(calloc(blocks * document.landmark_floats, sizeof(float)));
    document.keys = require(calloc(blocks * document.row_floats, sizeof(float)));
    document.values = require(calloc(blocks * document.row_floats, sizeof(float)));
    return document;
}

static void document_free(struct document *document)
{
    free(document->tokens);
    free(document->landmark_keys);
    free(document->keys);
    free(document->values);
}

static struct indexer_item item_of(const struct document *document, const struct model_shape *shape,
                                   struct stream *stream, size_t first, size_t blocks)
{
    return (struct indexer_item){
        .stream = stream,
        .tokens = document->tokens + first * shape->block_tokens,
        .blocks = blocks,
        .landmark_keys = document->landmark_keys + first * document->landmark_floats,
        .keys = document->keys + first * document->row_floats,
        .values = document->values + first * document->row_floats,
    };
}

static struct indexer *open_indexer(const struct lmk_model *model)
{
    struct indexer *indexer;
    assert_int_equal(indexer_open(&indexer, model, MOST_BLOCKS, NULL), LMK_OK);
    return indexer;
}

static struct stream *open_stream(const struct indexer *indexer)
{
    struct stream *stream;
    assert_int_equal(stream_open(&stream, indexer, NULL), LMK_OK);
    return stream;
}

/* Runs a document in cuts of so many blocks. */
static void index_in_cuts(struct indexer *indexer, const struct model_shape *shape,
                          struct document *document, size_t cut)
{
    struct stream *stream = open_stream(indexer);
    for (size_t b = 0; b < document->blocks; b += cut) {
        size_t blocks = document->blocks - b < cut ? document->blocks - b : cut;
        struct indexer_item item = item_of(document, shape, stream, b, blocks);
        indexer_run(indexer, &item, 1);
    }
    stream_close(stream);
}

static void assert_same(const float *found, const float *expected, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!(fabsf(found[i] - expected[i]) <= 2e-5f * (1 + fabsf(expected[i]))))
            fail_msg("number %zu: %.7g instead of %.7g", i, (double)found[i], (double)expected[i]);
}

static void assert_same_document(const struct document *found, const struct document *expected)
{
    assert_same(found->landmark_keys, expected->landmark_keys,
                found->blocks * found->landmark_floats);
    assert_same(found->keys, expected->keys, found->blocks * found->row_floats);
    assert_same(found->values, expected->values, found->blocks * found->row_floats);
}

/* ---- against the twin */

/* `expected` is [blocks][B][M][G][W]; rows of tokens, or that of the landmark, are compared with
 * found [M*G][N or 1][W]. */
static void compare(const struct model_shape *shape, size_t blocks, const float *found,
                    const double *expected, size_t first_row, size_t rows)
{
    size_t heads = shape->memory_layer_count * shape->kv_heads, width = shape->head_width;
    for (size_t i = 0; i < blocks * heads * rows * width; i++) {
        size_t column = i % width, row = i / width % rows, head = i / width / rows % heads;
        size_t block = i / width / rows / heads;
        double exact =
            expected[((block * shape->block_rows + first_row + row) * heads + head) * width +
                     column];
        if (!(fabs(found[i] - exact) < 2e-4))
            fail_msg("block %zu head %zu row %zu: %.7g instead of %.7g", block, head,
                     first_row + row, (double)found[i], exact);
    }
}

static void check_with_twin(const struct model_shape *shape, size_t blocks, uint64_t seed)
{
    struct lmk_model *model = random_model_new(shape, seed);
    struct indexer *indexer = open_indexer(model);
    struct document document = document_new(shape, blocks, seed + 1000);
    size_t floats = blocks * shape->block_rows * model_landmark_width(shape);
    double *keys = require(calloc(floats, sizeof *keys)),
           *values = require(calloc(floats, sizeof *values));
    naive_index(model, document.tokens, blocks, keys, values);
    index_in_cuts(indexer, shape, &document, blocks);
    compare(shape, blocks, document.landmark_keys, keys, shape->block_tokens, 1);
    compare(shape, blocks, document.keys, keys, 0, shape->block_tokens);
    compare(shape, blocks, document.values, values, 0, shape->block_tokens);
    free(keys);
    free(values);
    document_free(&document);
    indexer_close(indexer);
    random_model_free(model);
}

static const struct model_shape small = {
    .layers = 4,
    .width = 32,
    .heads = 4,
    .kv_heads = 2,
    .head_width = 16,
    .feed_forward = 48,
    .vocabulary = 50,
    .norm_epsilon = 1e-5f,
    .rope_base = 10000,
    .block_tokens = 15,
    .block_rows = 16,
    .landmark_id = 4,
    .memory_layer_count = 2,
    .memory_layers = {1, 2},
    .window = 40,
    .near_blocks = 2,
    .reach = 3,
};

static void remember_layers(struct model_shape *shape, uint32_t mask)
{
    shape->memory_layer_count = 0;
    for (uint32_t l = 0; l < shape->layers; l++)
        if (mask >> l & 1)
            shape->memory_layers[shape->memory_layer_count++] = l;
}

static void test_random_models(void **state)
{
    (void)state;
    struct random_source source = {21};
    for (uint64_t seed = 0; seed < 24; seed++) {
        struct model_shape shape = small;
        shape.kv_heads = 1 + random_below(&source, 2);
        shape.heads = shape.kv_heads * (1 + random_below(&source, 5));
        shape.head_width = 2 + 2 * random_below(&source, 12);
        shape.block_tokens = 1 + random_below(&source, 20);
        shape.block_rows = shape.block_tokens + 1;
        shape.window = 1 + random_below(&source, 4 * shape.block_rows);
        shape.near_blocks = random_below(&source, 5);
        shape.reach = random_below(&source, 6);
        remember_layers(&shape, 1 + random_below(&source, 15));
        if (seed % 3 == 0) {
            shape.positions = POSITIONS_STINGY;
            shape.near_blocks = 0;
        }
        check_with_twin(&shape, 1 + random_below(&source, 10), seed);
    }
}

static void test_every_layer_reads_memory(void **state)
{
    (void)state;
    struct model_shape shape = small;
    remember_layers(&shape, 15);
    shape.window = 0;
    check_with_twin(&shape, 7, 1);
    shape.positions = POSITIONS_STINGY;
    shape.near_blocks = 0;
    check_with_twin(&shape, 7, 2);
}

static void test_usual_blocks(void **state)
{
    (void)state;
    struct model_shape shape = small;
    shape.block_tokens = 63;
    shape.block_rows = 64;
    shape.head_width = 8;
    shape.window = 150;
    check_with_twin(&shape, 1, 3);
    check_with_twin(&shape, 6, 4);
}

/* Only keys and values of the first layer: nothing runs whole. */
static void test_top_memory_layer_is_the_first(void **state)
{
    (void)state;
    struct model_shape shape = small;
    remember_layers(&shape, 1);
    check_with_twin(&shape, 3, 5);
}

/* ---- against itself */

static void check_cuts(const struct model_shape *shape)
{
    struct lmk_model *model = random_model_new(shape, 31);
    struct indexer *indexer = open_indexer(model);
    struct document whole = document_new(shape, 21, 32);
    index_in_cuts(indexer, shape, &whole, 21);
    for (size_t cut = 1; cut <= 9; cut++) {
        struct document document = document_new(shape, 21, 32);
        index_in_cuts(indexer, shape, &document, cut);
        assert_same_document(&document, &whole);
        document_free(&document);
    }
    document_free(&whole);
    indexer_close(indexer);
    random_model_free(model);
}

static void test_cuts(void **state)
{
    (void)state;
    struct model_shape shape = small;
    check_cuts(&shape);
    shape.reach = 11;
    shape.window = 16 * 9;
    check_cuts(&shape);
    shape.reach = 0;
    shape.window = 1;
    check_cuts(&shape);
}

/* Documents of different lengths in runs of some blocks of each, one of them ending and another one
 * beginning. */
static void test_documents_together(void **state)
{
    (void)state;
    enum { DOCUMENTS = 4 };
    const size_t lengths[DOCUMENTS] = {13, 1, 6, 20}, cuts[DOCUMENTS] = {2, 1, 3, 7};
    struct lmk_model *model = random_model_new(&small, 41);
    struct indexer *indexer = open_indexer(model);
    struct document alone[DOCUMENTS], together[DOCUMENTS];
    struct stream *streams[DOCUMENTS];
    size_t done[DOCUMENTS] = {0};
    for (size_t i = 0; i < DOCUMENTS; i++) {
        alone[i] = document_new(&small, lengths[i], 50 + i);
        together[i] = document_new(&small, lengths[i], 50 + i);
        index_in_cuts(indexer, &small, &alone[i], lengths[i]);
        streams[i] = open_stream(indexer);
    }
    for (size_t run = 0; run < 8; run++) {
        struct indexer_item items[DOCUMENTS];
        size_t count = 0;
        for (size_t i = run == 0; i < DOCUMENTS; i++) {
            size_t blocks = lengths[i] - done[i] < cuts[i] ? lengths[i] - done[i] : cuts[i];
            if (blocks == 0 && run % 2)
                continue;
            items[count++] = item_of(&together[i], &small, streams[i], done[i], blocks);
            done[i] += blocks;
        }
        indexer_run(indexer, items, count);
    }
    for (size_t i = 0; i < DOCUMENTS; i++) {
        assert_int_equal(done[i], lengths[i]);
        assert_same_document(&together[i], &alone[i]);
        stream_close(streams[i]);
        document_free(&alone[i]);
        document_free(&together[i]);
    }
    indexer_close(indexer);
    random_model_free(model);
}

/* A stream that begins `before` blocks before `first`: is all from `first` on as in the whole
 * document? */
static bool goes_on(struct indexer *indexer, const struct model_shape *shape,
                    const struct document *whole, size_t first, size_t before)
{
    struct document part = document_new(shape, whole->blocks, 34);
    memcpy(part.tokens, whole->tokens, whole->blocks * shape->block_tokens * sizeof *part.tokens);
    size_t start = first > before ? first - before : 0;
    struct stream *stream = open_stream(indexer);
    struct indexer_item item = item_of(&part, shape, stream, start, whole->blocks - start);
    indexer_run(indexer, &item, 1);
    float largest = 0;
    for (size_t i = first * whole->row_floats; i < whole->blocks * whole->row_floats; i++)
        largest = fmaxf(largest, fabsf(part.keys[i] - whole->keys[i]));
    stream_close(stream);
    document_free(&part);
    return largest <= 2e-5f;
}

static void check_going_on(const struct model_shape *shape, size_t before)
{
    struct lmk_model *model = random_model_new(shape, 33);
    struct indexer *indexer = open_indexer(model);
    struct document whole = document_new(shape, MOST_BLOCKS, 34);
    index_in_cuts(indexer, shape, &whole, MOST_BLOCKS);
    assert_int_equal(indexer_blocks_before(indexer), before);
    for (size_t first = 0; first < MOST_BLOCKS; first++)
        assert_true(goes_on(indexer, shape, &whole, first, before));
    if (before)
        assert_false(goes_on(indexer, shape, &whole, MOST_BLOCKS / 2, 0));
    document_free(&whole);
    indexer_close(indexer);
    random_model_free(model);
}

static void test_going_on(void **state)
{
    (void)state;
    struct model_shape shape = small;
    check_going_on(&shape, 3 + 3); /* 39 rows before a block's first are in three; the reach */
    shape.window = 34;
    remember_layers(&shape, 8);
    check_going_on(&shape, 3 * 3);
    shape.window = 33;
    check_going_on(&shape, 3 * 2);
    remember_layers(&shape, 15);
    check_going_on(&shape, 3 * 3);
    remember_layers(&shape, 1);
    check_going_on(&shape, 0);
}

/* A tier without keys and values asks for landmark keys alone. */
static void test_landmarks_alone(void **state)
{
    (void)state;
    struct lmk_model *model = random_model_new(&small, 61);
    struct indexer *indexer = open_indexer(model);
    struct document whole = document_new(&small, 5, 62), bare = document_new(&small, 5, 62);
    index_in_cuts(indexer, &small, &whole, 5);
    struct stream *stream = open_stream(indexer);
    struct indexer_item item = item_of(&bare, &small, stream, 0, 5);
    item.keys = item.values = NULL;
    indexer_run(indexer, &item, 1);
    assert_same(bare.landmark_keys, whole.landmark_keys, 5 * whole.landmark_floats);
    stream_close(stream);
    document_free(&whole);
    document_free(&bare);
    indexer_close(indexer);
    random_model_free(model);
}

/* How far apart two documents are, as a share of their size. */
static double distance(const struct document *left, const struct document *right)
{
    double difference = 0, size = 0;
    for (size_t i = 0; i < left->blocks * left->row_floats; i++) {
        difference += pow((double)left->keys[i] - right->keys[i], 2);
        difference += pow((double)left->values[i] - right->values[i], 2);
        size += pow(right->keys[i], 2) + pow(right->values[i], 2);
    }
    return sqrt(difference / size);
}

static void test_bfloat16(void **state)
{
    (void)state;
    struct model_shape shape = small;
    shape.width = 256;
    shape.feed_forward = 300;
    struct lmk_model *model = random_model_new(&shape, 71);
    struct indexer *fast = open_indexer(model);
    indexer_force_float32(true);
    struct indexer *exact = open_indexer(model);
    indexer_force_float32(false);
    assert_string_equal(indexer_precision(exact), "float32");
    if (strcmp(indexer_precision(fast), "bfloat16") == 0) {
        struct document expected = document_new(&shape, 12, 72);
        struct document whole = document_new(&shape, 12, 72), cut = document_new(&shape, 12, 72);
        index_in_cuts(exact, &shape, &expected, 12);
        index_in_cuts(fast, &shape, &whole, 12);
        index_in_cuts(fast, &shape, &cut, 5);
        assert_same_document(&cut, &whole);
        if (!(distance(&whole, &expected) < 1e-2))
            fail_msg("bfloat16 is off by %g", distance(&whole, &expected));
        assert_true(distance(&whole, &expected) > 1e-4);
        document_free(&expected);
        document_free(&whole);
        document_free(&cut);
    } else {
        print_message("this processor does not multiply bfloat16\n");
    }
    indexer_close(fast);
    indexer_close(exact);
    random_model_free(model);
}

static void test_operations(void **state)
{
    (void)state;
    struct model_shape shape = small;
    remember_layers(&shape, 6); /* layer 0 local, 1 memory, of 2 only keys and values */
    double weights = 32 * (64 + 2 * 32) + 64 * 32 + 3 * 32 * 48;
    double row = 2 * (2 * weights + 32 * 64) + 4 * 64 * (40 + 3 * 16 + 8.5);
    assert_true(fabs(indexer_block_operations(&shape) - 16 * row) < 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_models), cmocka_unit_test(test_every_layer_reads_memory),
        cmocka_unit_test(test_usual_blocks),  cmocka_unit_test(test_top_memory_layer_is_the_first),
        cmocka_unit_test(test_cuts),          cmocka_unit_test(test_documents_together),
        cmocka_unit_test(test_going_on),      cmocka_unit_test(test_landmarks_alone),
        cmocka_unit_test(test_bfloat16),      cmocka_unit_test(test_operations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
