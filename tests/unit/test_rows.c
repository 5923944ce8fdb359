/* Each row kernel, in every build of it, against its float64 twin; packing against its definition.
 */
#include "src/model/half.h"
#include "src/model/rows.h"
#include "src/model/rows_integers.h"
#include "src/model/rows_kernels.h"
#include "src/model/rows_naive.h"
#include "tests/unit/random_model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 13, MOST_INPUTS = 7 };

static const enum tensor_type all_types[] = {TENSOR_F32, TENSOR_F16, TENSOR_BF16, TENSOR_Q8_0,
                                             TENSOR_Q4_0};
enum { TYPES = sizeof all_types / sizeof all_types[0] };

static void assert_close(double found, double expected, double tolerance)
{
    if (!(fabs(found - expected) <= tolerance))
        fail_msg("%.9g instead of %.9g", found, expected);
}

/* Rows of a type at an odd address in an allocation of exactly their size, so that sanitizers see
 * every byte too many. BF16, which rows_pack does not write, is cut from float32. */
struct stored {
    unsigned char *allocation, *rows;
};

static struct stored store(struct random_source *source, enum tensor_type type, size_t count)
{
    size_t size = rows_bytes(type, count);
    float *values = random_normals(source, count, 1);
    struct stored stored = {malloc(size + 1), NULL};
    stored.rows = stored.allocation + 1;
    if (type == TENSOR_BF16)
        for (size_t i = 0; i < count; i++)
            memcpy(stored.rows + 2 * i, (const char *)&values[i] + 2, 2);
    else
        rows_pack(type, values, stored.rows, count);
    free(values);
    return stored;
}

typedef void kernel_check(const struct rows_kernels *kernels, enum tensor_type type, size_t width);

static void check_unpack(const struct rows_kernels *kernels, enum tensor_type type, size_t width)
{
    struct random_source source = {width};
    struct stored stored = store(&source, type, width);
    float *values = malloc(width * sizeof *values);
    kernels->unpack(type, stored.rows, values, width);
    for (size_t i = 0; i < width; i++)
        assert_close((double)values[i], rows_naive_value(type, stored.rows, i), 0);
    free(values);
    free(stored.allocation);
}

static void check_dot(const struct rows_kernels *kernels, enum tensor_type type, size_t width)
{
    struct random_source source = {width + 1};
    struct stored stored = store(&source, type, ROWS * width);
    float *vectors = random_normals(&source, ROWS * width, 1), out[ROWS];
    double expected[ROWS];
    for (size_t stride = 0; stride <= width; stride += width) {
        kernels->dot(type, stored.rows, ROWS, width, vectors, stride, out);
        rows_naive_dot(type, stored.rows, ROWS, width, vectors, stride, expected);
        for (size_t r = 0; r < ROWS; r++)
            assert_close((double)out[r], expected[r], 1e-5 * sqrt((double)width));
    }
    free(vectors);
    free(stored.allocation);
}

static void check_add(const struct rows_kernels *kernels, enum tensor_type type, size_t width)
{
    struct random_source source = {width + 2};
    struct stored stored = store(&source, type, ROWS * width);
    float *weights = random_normals(&source, ROWS, 1), *sum = random_normals(&source, width, 1);
    double *expected = malloc(width * sizeof *expected);
    for (size_t i = 0; i < width; i++)
        expected[i] = (double)sum[i];
    kernels->add(type, stored.rows, ROWS, width, weights, sum);
    rows_naive_add(type, stored.rows, ROWS, width, weights, expected);
    for (size_t i = 0; i < width; i++)
        assert_close((double)sum[i], expected[i], 1e-5);
    free(expected);
    free(sum);
    free(weights);
    free(stored.allocation);
}

static void check_multiply(const struct rows_kernels *kernels, enum tensor_type type, size_t width)
{
    struct random_source source = {width + 3};
    struct stored stored = store(&source, type, ROWS * width);
    float *inputs = random_normals(&source, MOST_INPUTS * width, 1), out[MOST_INPUTS * ROWS];
    double expected[MOST_INPUTS * ROWS];
    for (size_t count = 1; count <= MOST_INPUTS; count++) {
        kernels->multiply(type, stored.rows, ROWS, width, inputs, count, out, ROWS);
        rows_naive_multiply(type, stored.rows, ROWS, width, inputs, count, expected);
        for (size_t i = 0; i < count * ROWS; i++)
            assert_close((double)out[i], expected[i], 1e-5 * sqrt((double)width));
    }
    free(inputs);
    free(stored.allocation);
}

/* Widths around those of vectors and groups, and beyond the part of a row that is unpacked at once.
 */
static void for_all(kernel_check *check)
{
    const struct rows_kernels *const sets[] = {rows_kernels_generic(), rows_kernels_avx512()};
    static const size_t more[] = {96, 127, 128, 160, 256, 511, 512, 544, 1030, 1536};
    for (size_t s = 0; s < 2 && sets[s]; s++)
        for (size_t t = 0; t < TYPES; t++)
            for (size_t i = 1; i < 70 + sizeof more / sizeof more[0]; i++) {
                size_t width = i < 70 ? i : more[i - 70];
                if (rows_fit(all_types[t], width))
                    check(sets[s], all_types[t], width);
            }
}

static void test_unpack(void **state)
{
    (void)state;
    for_all(check_unpack);
}

static void test_dot(void **state)
{
    (void)state;
    for_all(check_dot);
}

static void test_add(void **state)
{
    (void)state;
    for_all(check_add);
}

static void test_multiply(void **state)
{
    (void)state;
    for_all(check_multiply);
}

/* What rounding the input, as the header describes it, may change in one row's product. */
static double rounding_limit(enum tensor_type type, const unsigned char *row, size_t width,
                             const float *input)
{
    double limit = 0;
    for (size_t g = 0; g < width; g += 32) {
        double largest = 0, sum = 0;
        for (size_t i = g; i < g + 32; i++) {
            largest = fmax(largest, fabs((double)input[i]));
            sum += fabs(rows_naive_value(type, row, i));
        }
        limit += largest / 65534 * sum;
    }
    return limit;
}

static void check_integers(enum tensor_type type, size_t width, float size)
{
    struct random_source source = {width + 4};
    struct stored stored = store(&source, type, ROWS * width);
    float *input = random_normals(&source, width, size), out[ROWS];
    double expected[ROWS];
    memset(input, 0, 32 * sizeof *input); /* a group without a scale */
    rows_multiply_integers(type, stored.rows, ROWS, width, input, out);
    rows_naive_dot(type, stored.rows, ROWS, width, input, 0, expected);
    for (size_t r = 0; r < ROWS; r++) {
        const unsigned char *row = stored.rows + r * rows_bytes(type, width);
        double rounding = rounding_limit(type, row, width, input);
        assert_close((double)out[r], expected[r],
                     1.001 * rounding + 1e-6 * (double)size * sqrt((double)width));
    }
    free(input);
    free(stored.allocation);
}

/* Also wider than what is rounded at a time, and inputs of all sizes. */
static void test_integers(void **state)
{
    (void)state;
    static const size_t widths[] = {32, 64, 96, 160, 512, 1408, 4096, 4128, 8192 + 32};
    for (size_t i = 0; i < sizeof widths / sizeof widths[0]; i++)
        for (float size = 1e-30f; size < 1e31f; size *= 1e10f) {
            check_integers(TENSOR_Q8_0, widths[i], size);
            check_integers(TENSOR_Q4_0, widths[i], size);
        }
}

/* Every stored value with the largest input there is: no sum overflows. */
static void test_integers_of_extremes(void **state)
{
    (void)state;
    static const enum tensor_type types[] = {TENSOR_Q8_0, TENSOR_Q4_0};
    float input[32], out;
    for (size_t sign = 0; sign < 2; sign++)
        for (size_t t = 0; t < 2; t++)
            for (int byte = 0; byte < 256; byte++) {
                unsigned char row[34] = {0x00, 0x3c}; /* scale 1 */
                double expected;
                memset(row + 2, byte, sizeof row - 2);
                for (size_t i = 0; i < 32; i++)
                    input[i] = sign ? -32767 : 32767;
                rows_multiply_integers(types[t], row, 1, 32, input, &out);
                rows_naive_dot(types[t], row, 1, 32, input, 0, &expected);
                assert_close((double)out, expected, 1e-6 * fabs(expected));
            }
}

/* A few inputs take the integers, more do not; out_stride is kept either way. */
static void test_multiply_with_stride(void **state)
{
    (void)state;
    enum { WIDTH = 96, STRIDE = ROWS + 3 };
    struct random_source source = {10};
    struct stored stored = store(&source, TENSOR_Q4_0, ROWS * WIDTH);
    float *inputs = random_normals(&source, MOST_INPUTS * WIDTH, 1);
    for (size_t count = 1; count <= MOST_INPUTS; count++) {
        float out[MOST_INPUTS * STRIDE];
        double expected[MOST_INPUTS * ROWS];
        for (size_t i = 0; i < MOST_INPUTS * STRIDE; i++)
            out[i] = -77;
        rows_multiply(TENSOR_Q4_0, stored.rows, ROWS, WIDTH, inputs, count, out, STRIDE);
        rows_naive_multiply(TENSOR_Q4_0, stored.rows, ROWS, WIDTH, inputs, count, expected);
        for (size_t i = 0; i < MOST_INPUTS * STRIDE; i++) {
            size_t n = i / STRIDE, r = i % STRIDE;
            if (n < count && r < ROWS)
                assert_close((double)out[i], expected[n * ROWS + r], 5e-3);
            else
                assert_true(out[i] == -77);
        }
    }
    free(inputs);
    free(stored.allocation);
}

/* All 65,536 halves, each of which must also come back from its float. */
static void test_halves(void **state)
{
    (void)state;
    const struct rows_kernels *const sets[] = {rows_kernels_generic(), rows_kernels_avx512()};
    for (uint32_t bits = 0; bits < 65536; bits++) {
        uint16_t halves[16];
        float values[16];
        double expected = rows_naive_value(TENSOR_F16, &(uint16_t){(uint16_t)bits}, 0);
        float value = half_to_float((uint16_t)bits);
        for (size_t i = 0; i < 16; i++)
            halves[i] = (uint16_t)bits;
        for (size_t s = 0; s < 2 && sets[s]; s++) {
            sets[s]->unpack(TENSOR_F16, halves, values, 16);
            assert_true(isnan(expected) ? isnan(values[7]) : (double)values[7] == expected);
        }
        assert_true(isnan(expected) ? isnan(value) : (double)value == expected);
        if (isfinite(expected))
            assert_int_equal(half_from_float(value), bits);
    }
    assert_int_equal(half_from_float(INFINITY), 0x7bff);
    assert_int_equal(half_from_float(-1e6f), 0xfbff);
    assert_int_equal(half_from_float(65519.0f), 0x7bff);
    assert_true(isnan(half_to_float(half_from_float(NAN))));
}

/* Between two neighbouring halves: the nearer one, and of two equally near ones the even one. */
static void test_halves_are_nearest(void **state)
{
    (void)state;
    for (uint16_t bits = 0; bits < 0x7bff; bits++) {
        float low = half_to_float(bits), high = half_to_float((uint16_t)(bits + 1));
        float middle = low + (high - low) / 2;
        assert_int_equal(half_from_float(middle), bits + (bits & 1));
        assert_int_equal(half_from_float(nextafterf(middle, 0)), bits);
        assert_int_equal(half_from_float(nextafterf(middle, INFINITY)), bits + 1);
        assert_int_equal(half_from_float(-nextafterf(middle, INFINITY)), 0x8000 | (bits + 1));
    }
}

/* No value may be further from its original than half a step (a whole one at the end of q4_0's
 * lopsided range), and what rounding the scale to a half adds. */
static void check_packing(enum tensor_type type, const float *values, size_t count)
{
    unsigned char packed[16 * 34];
    rows_pack(type, values, packed, count);
    for (size_t g = 0; g < count; g += 32) {
        double largest = 0;
        for (size_t i = g; i < g + 32; i++)
            largest = fmax(largest, fabs((double)values[i]));
        double steps = type == TENSOR_Q8_0 ? 127 : 8, step = largest / steps;
        double rounding = steps * fmax(step * 0x1p-11, 0x1p-25);
        for (size_t i = g; i < g + 32; i++) {
            bool is_clipped = type == TENSOR_Q4_0 && fabs((double)values[i]) > 7.5 * step;
            assert_close(rows_naive_value(type, packed, i), (double)values[i],
                         step * (is_clipped ? 1 : 0.5) + rounding * 1.01);
        }
    }
}

static void test_packing(void **state)
{
    (void)state;
    struct random_source source = {4};
    for (int round = 0; round < 200; round++) {
        float *values = random_normals(&source, 256, powf(10, (float)(round % 7 - 3)));
        if (round % 5 == 0)
            memset(values + 32, 0, 32 * sizeof *values);
        check_packing(TENSOR_Q8_0, values, 256);
        check_packing(TENSOR_Q4_0, values, 256);
        free(values);
    }
}

/* Bytes worked out by hand. */
static void test_packed_bytes(void **state)
{
    (void)state;
    float values[32] = {0};
    unsigned char packed[34];
    values[0] = -127;
    values[1] = 63.6f;
    values[31] = 1;
    rows_pack(TENSOR_Q8_0, values, packed, 32);
    assert_int_equal(packed[0] | packed[1] << 8, 0x3c00); /* 1.0 */
    assert_int_equal((signed char)packed[2], -127);
    assert_int_equal(packed[3], 64);
    assert_int_equal(packed[33], 1);
    values[0] = -8;
    values[1] = 7;
    values[16] = 3;
    rows_pack(TENSOR_Q4_0, values, packed, 32);
    assert_int_equal(packed[0] | packed[1] << 8, 0x3c00);
    assert_int_equal(packed[2], 0 | 11 << 4);
    assert_int_equal(packed[3], 15 | 8 << 4);
    assert_int_equal(packed[17], 8 | 9 << 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unpack),
        cmocka_unit_test(test_dot),
        cmocka_unit_test(test_add),
        cmocka_unit_test(test_multiply),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_integers_of_extremes),
        cmocka_unit_test(test_multiply_with_stride),
        cmocka_unit_test(test_halves),
        cmocka_unit_test(test_halves_are_nearest),
        cmocka_unit_test(test_packing),
        cmocka_unit_test(test_packed_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
