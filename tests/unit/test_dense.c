/* Matrix products against float64, in float32 and in bfloat16. */
#include "src/model/dense.h"
#include "tests/unit/random_model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* To the nearest number of 8 bits of mantissa, ties to even. */
static double rounded(float value)
{
    int exponent;
    double fraction = frexp(value, &exponent);
    return ldexp(nearbyint(fraction * 256) / 256, exponent);
}

struct sizes {
    size_t rows, columns, n;
};

static void check(const struct bf16_products *products, struct sizes sizes, bool add, uint64_t seed)
{
    struct random_source source = {seed};
    size_t rows = sizes.rows, columns = sizes.columns, n = sizes.n;
    size_t input_stride = columns + random_below(&source, 3),
           out_stride = rows + random_below(&source, 3);
    /* Two matrices of which the outputs stand side by side. */
    size_t upper = rows > 1 ? 1 + random_below(&source, (uint32_t)rows - 1) : rows;
    float *values = random_normals(&source, rows * columns, 1);
    float *inputs = random_normals(&source, n * input_stride, 1);
    float *before = random_normals(&source, n * out_stride, 1),
          *out = malloc(n * out_stride * sizeof *out);
    assert_non_null(out);
    memcpy(out, before, n * out_stride * sizeof *out);
    struct weight parts[] = {
        {TENSOR_F32, (uint32_t)upper, (uint32_t)columns, values},
        {TENSOR_F32, (uint32_t)(rows - upper), (uint32_t)columns, values + upper * columns}};
    const struct weight *weights[] = {&parts[0], &parts[1]};
    struct dense dense;
    assert_int_equal(dense_open(&dense, weights, rows > upper ? 2 : 1, products, NULL), LMK_OK);
    void *workspace = malloc(dense_workspace(&dense, n) + 1);
    dense_multiply(&dense, inputs, input_stride, n, add, out, out_stride, workspace);
    for (size_t i = 0; i < n; i++)
        for (size_t r = 0; r < out_stride; r++) {
            double sum = add || r >= rows ? before[i * out_stride + r] : 0;
            for (size_t c = 0; r < rows && c < columns; c++) {
                float input = inputs[i * input_stride + c], value = values[r * columns + c];
                sum += products ? rounded(input) * rounded(value) : (double)input * value;
            }
            if (!(fabs(out[i * out_stride + r] - sum) < 1e-5 * (10 + (double)columns)))
                fail_msg("%zu x %zu, input %zu, output %zu: %.7g instead of %.7g", rows, columns, i,
                         r, (double)out[i * out_stride + r], sum);
        }
    free(workspace);
    dense_close(&dense);
    free(values);
    free(inputs);
    free(before);
    free(out);
}

static void check_sizes(const struct bf16_products *products)
{
    const struct sizes sizes[] = {{1, 1, 1},     {64, 32, 6},    {65, 33, 7},
                                  {63, 2, 5},    {128, 48, 130}, {20, 77, 13},
                                  {100, 64, 64}, {7, 2100, 3},   {66, 4100, 2}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        check(products, sizes[i], false, i);
        check(products, sizes[i], true, 100 + i);
    }
}

static void test_float32(void **state)
{
    (void)state;
    check_sizes(NULL);
}

static void test_bfloat16(void **state)
{
    (void)state;
    if (!bf16_products()) {
        print_message("skipped: this processor does not multiply bfloat16\n");
        skip();
    }
    check_sizes(bf16_products());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_float32),
        cmocka_unit_test(test_bfloat16),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
