/* Attention over packed blocks against its float64 twin over the whole document, for many shapes.
 */
#include "src/model/attention.h"
#include "src/model/attention_naive.h"
#include "tests/unit/random_model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A document's rows, and what attention makes of them. */
struct document {
    size_t blocks, rows, query_floats, key_floats; /* floats of a row */
    float *queries, *keys, *values, *out;
    double *expected;
};

static void *require(void *memory)
{
    assert_non_null(memory);
    return memory;
}

static struct document document_new(const struct model_shape *shape, size_t blocks,
                                    float score_scale, struct random_source *source)
{
    struct document document = {.blocks = blocks, .rows = blocks * shape->block_rows};
    document.query_floats = shape->heads * (size_t)shape->head_width;
    document.key_floats = shape->kv_heads * (size_t)shape->head_width;
    document.queries = random_normals(source, document.rows * document.query_floats, score_scale);
    document.keys = random_normals(source, document.rows * document.key_floats, 1);
    document.values = random_normals(source, document.rows * document.key_floats, 1);
    document.out = require(calloc(document.rows * document.query_floats, sizeof(float)));
    document.expected = require(calloc(document.rows * document.query_floats, sizeof(double)));
    return document;
}

static void document_free(struct document *document)
{
    free(document->queries);
    free(document->keys);
    free(document->values);
    free(document->out);
    free(document->expected);
}

static double *widened(const float *values, size_t count)
{
    double *wide = require(malloc(count * sizeof *wide));
    for (size_t i = 0; i < count; i++)
        wide[i] = values[i];
    return wide;
}

static void attend_naively(const struct model_shape *shape, bool memory, struct document *document)
{
    double *queries = widened(document->queries, document->rows * document->query_floats);
    double *keys = widened(document->keys, document->rows * document->key_floats);
    double *values = widened(document->values, document->rows * document->key_floats);
    struct naive_rows rows = {document->rows, queries, keys, values};
    naive_attention(shape, memory, &rows, document->expected);
    free(queries);
    free(keys);
    free(values);
}

static void attend(const struct attention *attention, bool memory, struct document *document)
{
    const struct model_shape *shape = attention->shape;
    size_t head_floats = attention_block_floats(attention), group = shape->heads / shape->kv_heads;
    float *packed = require(malloc(document->blocks * head_floats * sizeof *packed));
    float *scratch = require(malloc(attention_scratch_floats(attention) * sizeof *scratch));
    const float **seen = require(malloc(document->blocks * sizeof *seen));
    for (size_t g = 0; g < shape->kv_heads; g++)
        for (size_t b = 0; b < document->blocks; b++) {
            size_t row = b * shape->block_rows,
                   key = row * document->key_floats + g * shape->head_width;
            size_t query = row * document->query_floats + g * group * shape->head_width;
            attention_pack(attention, document->keys + key, document->values + key,
                           document->key_floats, packed + b * head_floats);
            for (size_t d = 0; d <= b; d++)
                seen[d] = packed + (b - d) * head_floats;
            struct attention_tile tile = {
                .queries = document->queries + query,
                .query_stride = document->query_floats,
                .blocks = seen,
                .block_count = b + 1,
                .out = document->out + query,
                .out_stride = document->query_floats,
                .scratch = scratch,
            };
            (memory ? attention_memory : attention_local)(attention, &tile);
        }
    free(packed);
    free(scratch);
    free(seen);
}

static void check(const struct model_shape *shape, bool memory, size_t blocks, float score_scale,
                  uint64_t seed)
{
    struct random_source source = {seed};
    struct document document = document_new(shape, blocks, score_scale, &source);
    attend_naively(shape, memory, &document);
    const struct tile_kernels *sets[] = {tile_kernels_generic(), tile_kernels_avx512()};
    for (size_t s = 0; s < 2; s++) {
        if (!sets[s])
            continue;
        struct attention attention;
        assert_int_equal(attention_open(&attention, shape, NULL), LMK_OK);
        attention.kernels = sets[s];
        attend(&attention, memory, &document);
        for (size_t i = 0; i < document.rows * document.query_floats; i++)
            if (!(fabs(document.out[i] - document.expected[i]) < 2e-5 * (1 + score_scale)))
                fail_msg("%s: row %zu: %.7g instead of %.7g", sets[s]->name,
                         i / document.query_floats, (double)document.out[i], document.expected[i]);
        attention_close(&attention);
    }
    document_free(&document);
}

static struct model_shape random_shape(struct random_source *source)
{
    uint32_t tokens[] = {7, 15, 16, 31, 4, 1, 40};
    struct model_shape shape = {.layers = 3, .memory_layer_count = 1, .memory_layers = {2}};
    shape.kv_heads = 1 + random_below(source, 2);
    shape.heads = shape.kv_heads * (1 + random_below(source, 6));
    shape.head_width = 2 + 2 * random_below(source, 20);
    shape.rope_base = 10000;
    shape.block_tokens = tokens[random_below(source, 7)];
    shape.block_rows = shape.block_tokens + 1;
    shape.window = 1 + random_below(source, 4 * shape.block_rows);
    shape.near_blocks = random_below(source, 5);
    shape.reach = random_below(source, 6);
    shape.positions = random_below(source, 2) ? POSITIONS_SLOT : POSITIONS_STINGY;
    if (shape.positions == POSITIONS_STINGY)
        shape.near_blocks = 0;
    return shape;
}

static void test_random_shapes(void **state)
{
    (void)state;
    struct random_source source = {11};
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct model_shape shape = random_shape(&source);
        size_t blocks =
            1 + random_below(&source, 240 / shape.block_rows < 8 ? 240 / shape.block_rows : 8);
        check(&shape, seed % 2, blocks, 1, seed);
    }
}

static const struct model_shape usual = {
    .layers = 3,
    .heads = 4,
    .kv_heads = 1,
    .head_width = 64,
    .rope_base = 10000,
    .block_tokens = 63,
    .block_rows = 64,
    .memory_layer_count = 1,
    .memory_layers = {2},
    .window = 100,
    .near_blocks = 2,
    .reach = 3,
};

static void test_usual_shape(void **state)
{
    (void)state;
    check(&usual, false, 3, 1, 1);
    check(&usual, true, 5, 1, 2);
}

/* Sharp scores leave most landmarks and tokens with next to nothing. */
static void test_sharp_scores(void **state)
{
    (void)state;
    struct model_shape shape = usual;
    shape.reach = 5;
    shape.head_width = 16;
    for (uint64_t seed = 0; seed < 3; seed++)
        check(&shape, true, 5, 12, seed);
}

static void test_widest_head(void **state)
{
    (void)state;
    struct model_shape shape = usual;
    shape.head_width = 256;
    shape.heads = 1;
    check(&shape, false, 2, 1, 3);
    check(&shape, true, 3, 1, 4);
}

/* Without local layers there need be no window. */
static void test_only_memory_layers(void **state)
{
    (void)state;
    struct model_shape shape = usual;
    shape.memory_layer_count = 3;
    shape.window = 0;
    shape.block_tokens = 15;
    shape.block_rows = 16;
    for (uint32_t l = 0; l < 3; l++)
        shape.memory_layers[l] = l;
    check(&shape, true, 6, 1, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_shapes),      cmocka_unit_test(test_usual_shape),
        cmocka_unit_test(test_sharp_scores),       cmocka_unit_test(test_widest_head),
        cmocka_unit_test(test_only_memory_layers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
