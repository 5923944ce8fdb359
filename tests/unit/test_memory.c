/* Blocks whose keys and values are not kept are computed again: the numbers that indexing would
 * have kept, but for rounding. */
#include "index/memory.h"
#include "src/model/indexer.h"
#include "tests/unit/scratch.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The keys and values [blocks][M][G][N][W] of a whole document, in one go from its start. */
struct whole {
    float *landmarks, *keys, *values;
};

static struct whole run_whole(struct lmk_collection *collection, const struct document *document)
{
    const struct model_shape *shape = &collection->model->shape;
    size_t n = shape->block_tokens, count = (size_t)document->block_count;
    size_t landmark = model_landmark_width(shape), block = landmark * n;
    struct whole whole = {malloc(count * landmark * sizeof(float)),
                          malloc(count * block * sizeof(float)),
                          malloc(count * block * sizeof(float))};
    uint32_t *tokens = malloc(count * n * sizeof *tokens);
    struct store_view *view = scratch_view(collection);
    struct buffer ids, runs;
    buffer_init(&ids, 1 << 20);
    buffer_init(&runs, 1 << 20);
    for (size_t i = 0; i < count; i++) {
        struct block_text text;
        buffer_clear(&ids);
        buffer_clear(&runs);
        assert_int_equal(
            store_block_text(view, document->first_block + i, &ids, &runs, &text, NULL), LMK_OK);
        for (size_t t = 0; t < n; t++)
            tokens[i * n + t] = t < text.token_count ? text.tokens[t] : shape->padding_id;
    }
    struct indexer *indexer;
    struct stream *stream;
    assert_int_equal(indexer_open(&indexer, collection->model, count, NULL), LMK_OK);
    assert_int_equal(stream_open(&stream, indexer, NULL), LMK_OK);
    struct indexer_item item = {.stream = stream,
                                .tokens = tokens,
                                .blocks = count,
                                .landmark_keys = whole.landmarks,
                                .keys = whole.keys,
                                .values = whole.values};
    indexer_run(indexer, &item, 1);
    stream_close(stream);
    indexer_close(indexer);
    buffer_release(&ids);
    buffer_release(&runs);
    store_view_end(view);
    free(tokens);
    return whole;
}

/* The last bits of a product depend on where in its matrix a row stands: some kernels of OpenBLAS
 * take twelve rows at a time and add up the remainder otherwise. */
static void assert_same(const float *actual, const float *expected, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!(fabsf(actual[i] - expected[i]) <= 2e-5f * (1 + fabsf(expected[i]))))
            fail_msg("number %zu is %.8g and not %.8g", i, actual[i], expected[i]);
}

static void check_model(const char *name)
{
    struct lmk_model *model = scratch_model(name);
    char *prose = scratch_prose(5, 2500), *other = scratch_prose(6, 90);
    scratch_write_text("books/0.txt", other); /* so that the long one does not begin at block 0 */
    scratch_write_text("books/1.txt", prose);
    struct lmk_collection *collection = scratch_create(name, model, LMK_TIER_NONE, NULL);
    scratch_index(collection, "books");
    struct store_view *view = scratch_view(collection);
    struct document document;
    struct memory *memory;
    assert_int_equal(store_document(view, 2, &document, NULL), LMK_OK);
    assert_int_equal(document.state, DOCUMENT_READY);
    assert_true(document.block_count > 150);
    struct whole whole = run_whole(collection, &document);
    size_t values = model_landmark_width(&model->shape) * model->shape.block_tokens;
    assert_int_equal(memory_open(&memory, model, view, NULL), LMK_OK);
    const uint64_t blocks[] = {0, 1, 30, 77, document.block_count - 1};
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
        struct memory_block loaded;
        struct lmk_error error;
        if (memory_load(memory, document.first_block + blocks[i], &loaded, &error))
            fail_msg("%s", error.message);
        assert_int_equal(loaded.type, TENSOR_F32);
        assert_same(loaded.keys, whole.keys + blocks[i] * values, values);
        assert_same(loaded.values, whole.values + blocks[i] * values, values);
    }
    assert_int_equal(memory_cost(memory).blocks, 5);
    /* What was computed once is not computed again. */
    struct memory_block again;
    uint64_t tokens = memory_cost(memory).tokens;
    assert_int_equal(memory_load(memory, document.first_block + 77, &again, NULL), LMK_OK);
    assert_int_equal(memory_cost(memory).tokens, tokens);
    /* A neighbour costs itself alone, not all that comes before it once more. */
    for (uint64_t block = 100; block < 104; block++) {
        tokens = memory_cost(memory).tokens;
        if (memory_load(memory, document.first_block + block, &again, NULL))
            fail_msg("block 10%d", (int)block - 100);
        assert_same(again.keys, whole.keys + block * values, values);
        assert_same(again.values, whole.values + block * values, values);
        if (block > 100)
            assert_int_equal(memory_cost(memory).tokens - tokens, model->shape.block_tokens);
    }
    memory_close(memory);
    store_view_end(view);
    lmk_collection_close(collection);
    lmk_model_close(model);
    free(whole.landmarks);
    free(whole.keys);
    free(whole.values);
    free(prose);
    free(other);
}

static void test_computed_again(void **state)
{
    (void)state;
    check_model("tiny-slot");
    check_model("tiny-slot-all");
    check_model("tiny-stingy-all");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_computed_again, scratch_open, scratch_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
