/* Each kernel against its float64 twin, for all widths around those of vectors. */
#include "src/model/kernels.h"
#include "src/model/kernels_naive.h"
#include "src/model/tile.h"
#include "tests/unit/random_model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 70 };

static void assert_close(double found, double expected, double tolerance)
{
    if (!(fabs(found - expected) <= tolerance))
        fail_msg("%.9g instead of %.9g", found, expected);
}

static void test_exponential(void **state)
{
    (void)state;
    for (float x = -87; x <= 88; x += 0.0137f)
        assert_close(kernel_exp(x), exp(x), 4e-7 * exp(x));
    assert_close(kernel_exp(0), 1, 0);
    assert_close(kernel_exp(-87.5f), 0, 0);
    assert_close(kernel_exp(-1e30f), 0, 0);
    assert_close(kernel_exp(-INFINITY), 0, 0);
    assert_close(kernel_exp(200), exp(88), 4e-7 * exp(88));
}

static void test_rms_norm(void **state)
{
    (void)state;
    struct random_source source = {1};
    for (size_t width = 1; width <= MOST; width++) {
        float *rows = random_normals(&source, 3 * width, 2),
              *gain = random_normals(&source, width, 1);
        double row[MOST], expected[MOST];
        float out[3 * MOST];
        kernel_rms_norm(rows, 3, width, gain, 1e-2f, out);
        for (size_t i = 0; i < width; i++)
            row[i] = rows[2 * width + i];
        naive_rms_norm(row, width, gain, 1e-2, expected);
        for (size_t i = 0; i < width; i++)
            assert_close(out[2 * width + i], expected[i], 1e-5);
        kernel_rms_norm(rows, 3, width, gain, 1e-2f, rows);
        assert_memory_equal(rows, out, 3 * width * sizeof *rows);
        free(rows);
        free(gain);
    }
}

static void test_gated_silu(void **state)
{
    (void)state;
    struct random_source source = {2};
    for (size_t count = 0; count <= MOST; count++) {
        float *gate = random_normals(&source, count, 20), *up = random_normals(&source, count, 1),
              out[MOST + 1];
        out[count] = 7;
        kernel_gated_silu(gate, up, count, out);
        assert_close(out[count], 7, 0);
        for (size_t i = 0; i < count; i++)
            assert_close(out[i], naive_gated_silu(gate[i], up[i]),
                         1e-6 * (1 + fabsf(gate[i] * up[i])));
        kernel_gated_silu(gate, up, count, up);
        assert_memory_equal(up, out, count * sizeof *up);
        free(gate);
        free(up);
    }
}

static void test_sums(void **state)
{
    (void)state;
    struct random_source source = {3};
    for (size_t count = 0; count <= MOST; count++) {
        float *left = random_normals(&source, count, 1), *right = random_normals(&source, count, 1),
              sum[MOST];
        double dot = 0;
        memcpy(sum, right, count * sizeof *sum);
        kernel_add(left, count, sum);
        for (size_t i = 0; i < count; i++) {
            assert_close(sum[i], right[i] + left[i], 2e-6);
            dot += (double)left[i] * right[i];
        }
        assert_close(kernel_dot(left, right, count), dot, 1e-5);
        free(left);
        free(right);
    }
}

static void test_softmax(void **state)
{
    (void)state;
    struct random_source source = {4};
    for (size_t count = 1; count <= MOST; count++) {
        float *values = random_normals(&source, count, 5), powers[MOST], maximum;
        double expected[MOST], sum = 0;
        for (size_t i = 0; i < count; i += 3)
            values[i] = i == 0 && count == 1 ? 1e30f : -INFINITY;
        for (size_t i = 0; i < count; i++)
            expected[i] = values[i];
        memcpy(powers, values, count * sizeof *powers);
        naive_softmax(expected, count);
        float found = kernel_exponentials(powers, count, &maximum);
        kernel_softmax(values, count);
        for (size_t i = 0; i < count; i++) {
            assert_close(values[i], expected[i], 1e-6);
            assert_close(powers[i] / found, expected[i], 1e-6);
            sum += powers[i];
        }
        assert_close(found, sum, 1e-5 * sum);
        free(values);
    }
}

static void test_softmax_of_nothing(void **state)
{
    (void)state;
    for (size_t count = 0; count <= 11; count++) {
        float values[11], powers[11], maximum = 0;
        for (size_t i = 0; i < 11; i++)
            values[i] = powers[i] = i < count ? -INFINITY : 3;
        assert_close(kernel_exponentials(powers, count, &maximum), 0, 0);
        assert_true(maximum == -INFINITY);
        kernel_softmax(values, count);
        for (size_t i = 0; i < 11; i++) {
            assert_close(values[i], i < count ? 0 : 3, 0);
            assert_close(powers[i], i < count ? 0 : 3, 0);
        }
    }
}

static void test_rotation(void **state)
{
    (void)state;
    struct random_source source = {5};
    const int64_t positions[] = {0, 1, -1, 63, 319, 100000, -100000, 3000000};
    for (uint32_t width = 2; width <= 256; width += width < 40 ? 2 : 36)
        for (size_t p = 0; p < sizeof positions / sizeof positions[0]; p++) {
            struct rotary rotary;
            assert_int_equal(rotary_open(&rotary, width, 10000, NULL), LMK_OK);
            float *input = random_normals(&source, width, 1), turn[512], out[256];
            double exact[256], expected[256];
            for (size_t i = 0; i < width; i++)
                exact[i] = input[i];
            naive_rotate(exact, width, 10000, positions[p], expected);
            rotary_turn(&rotary, positions[p], turn);
            kernel_rotate(turn, width, input, out);
            for (size_t i = 0; i < width; i++)
                assert_close(out[i], expected[i], 2e-6);
            kernel_rotate(turn, width, input, input);
            assert_memory_equal(input, out, width * sizeof *input);
            free(input);
            rotary_close(&rotary);
        }
}

/* Every set of kernels that runs here. */
static size_t kernel_sets(const struct tile_kernels *sets[2])
{
    size_t count = 0;
    sets[count++] = tile_kernels_generic();
    if (tile_kernels_avx512())
        sets[count++] = tile_kernels_avx512();
    return count;
}

static void check_product(const struct tile_kernels *kernels, struct random_source *source,
                          size_t rows, size_t inner, size_t columns, bool add)
{
    size_t left_stride = inner + random_below(source, 3),
           right_stride = columns + random_below(source, 3);
    size_t out_stride = columns + random_below(source, 3);
    float *left = random_normals(source, rows * left_stride, 1);
    float *right = random_normals(source, inner * right_stride, 1);
    float *out = random_normals(source, rows * out_stride, 1),
          *before = malloc(rows * out_stride * sizeof *before);
    assert_non_null(before);
    memcpy(before, out, rows * out_stride * sizeof *before);
    kernels->multiply(left, left_stride, right, right_stride, rows, inner, columns, add, out,
                      out_stride);
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < out_stride; c++) {
            double sum = add || c >= columns ? before[r * out_stride + c] : 0;
            for (size_t i = 0; c < columns && i < inner; i++)
                sum += (double)left[r * left_stride + i] * right[i * right_stride + c];
            assert_close(out[r * out_stride + c], sum, 1e-5 * (double)(inner + 1));
        }
    free(left);
    free(right);
    free(out);
    free(before);
}

static void test_tile_products(void **state)
{
    (void)state;
    struct random_source source = {6};
    const struct tile_kernels *sets[2];
    size_t count = kernel_sets(sets);
    for (size_t s = 0; s < count; s++)
        for (size_t rows = 1; rows <= 14; rows++)
            for (size_t columns = TILE_COLUMNS; columns <= 9 * TILE_COLUMNS;
                 columns += TILE_COLUMNS)
                check_product(sets[s], &source, rows, 1 + random_below(&source, 20), columns,
                              rows % 2);
}

static void check_tile_softmax(const struct tile_kernels *kernels, struct random_source *source,
                               size_t stride, size_t count, bool with_factors)
{
    enum { ROWS = 5 };
    float *scores = random_normals(source, ROWS * stride, 8),
          *factors = random_normals(source, ROWS, 1);
    double expected[ROWS][160];
    for (size_t r = 0; r < ROWS; r++) {
        for (size_t i = 0; i < count; i++) {
            if (i > 0 && random_below(source, 5) == 0)
                scores[r * stride + i] = -INFINITY;
            expected[r][i] = scores[r * stride + i];
        }
        naive_softmax(expected[r], count);
    }
    kernels->softmax(scores, stride, ROWS, count, with_factors ? factors : NULL);
    for (size_t r = 0; r < ROWS; r++)
        for (size_t i = 0; i < stride; i++)
            assert_close(scores[r * stride + i],
                         i < count ? expected[r][i] * (with_factors ? factors[r] : 1) : 0, 1e-6);
    free(scores);
    free(factors);
}

static void test_tile_softmax(void **state)
{
    (void)state;
    struct random_source source = {7};
    const struct tile_kernels *sets[2];
    size_t sets_count = kernel_sets(sets);
    for (size_t s = 0; s < sets_count; s++)
        for (size_t stride = TILE_COLUMNS; stride <= 10 * TILE_COLUMNS; stride += TILE_COLUMNS)
            for (size_t count = 1; count <= stride; count++)
                check_tile_softmax(sets[s], &source, stride, count, count % 2);
}

static void test_tile_log_sums(void **state)
{
    (void)state;
    struct random_source source = {8};
    const struct tile_kernels *sets[2];
    size_t sets_count = kernel_sets(sets);
    for (size_t s = 0; s < sets_count; s++)
        for (size_t count = 1; count <= 160; count++) {
            enum { ROWS = 3 };
            size_t stride = (count + TILE_COLUMNS - 1) / TILE_COLUMNS * TILE_COLUMNS;
            float *scores = random_normals(&source, ROWS * stride, 30), sums[ROWS];
            for (size_t r = 0; r < ROWS; r++) /* nothing may depend on what stands behind */
                for (size_t i = count; i < stride; i++)
                    scores[r * stride + i] = i % 2 ? NAN : 1e30f;
            sets[s]->log_sums(scores, stride, ROWS, count, sums);
            for (size_t r = 0; r < ROWS; r++) {
                double values[160];
                for (size_t i = 0; i < count; i++)
                    values[i] = scores[r * stride + i];
                double expected = naive_log_sum(values, count);
                assert_close(sums[r], expected, 1e-6 * (1 + fabs(expected)));
            }
            free(scores);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exponential),  cmocka_unit_test(test_rms_norm),
        cmocka_unit_test(test_gated_silu),   cmocka_unit_test(test_sums),
        cmocka_unit_test(test_softmax),      cmocka_unit_test(test_softmax_of_nothing),
        cmocka_unit_test(test_rotation),     cmocka_unit_test(test_tile_products),
        cmocka_unit_test(test_tile_softmax), cmocka_unit_test(test_tile_log_sums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
