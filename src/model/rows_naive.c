#include "src/model/rows_naive.h"

#include <math.h>
#include <string.h>

static double half(const unsigned char *source)
{
    unsigned bits = source[0] | (unsigned)source[1] << 8, exponent = bits >> 10 & 31,
             fraction = bits & 1023;
    double size = exponent == 0 ? ldexp(fraction, -24) : ldexp(1024 + fraction, (int)exponent - 25);
    if (exponent == 31)
        size = fraction ? NAN : INFINITY;
    return bits & 0x8000 ? -size : size;
}

static double single(const unsigned char *source, size_t bytes)
{
    unsigned char padded[4] = {0};
    float value;
    memcpy(padded + 4 - bytes, source, bytes);
    memcpy(&value, padded, sizeof value);
    return (double)value;
}

double rows_naive_value(enum tensor_type type, const void *source, size_t index)
{
    const unsigned char *bytes = source, *group;
    size_t place = index % 32;
    switch (type) {
    case TENSOR_F32:
        return single(bytes + 4 * index, 4);
    case TENSOR_BF16:
        return single(bytes + 2 * index, 2);
    case TENSOR_F16:
        return half(bytes + 2 * index);
    case TENSOR_Q8_0:
        group = bytes + index / 32 * 34;
        return half(group) * (double)(signed char)group[2 + place];
    case TENSOR_Q4_0:
        group = bytes + index / 32 * 18;
        return half(group) *
               (place < 16 ? (group[2 + place] & 15) - 8 : (group[2 + place - 16] >> 4) - 8);
    }
    return NAN;
}

void rows_naive_dot(enum tensor_type type, const void *rows, size_t row_count, size_t width,
                    const float *vectors, size_t vector_stride, double *out)
{
    for (size_t r = 0; r < row_count; r++) {
        out[r] = 0;
        for (size_t i = 0; i < width; i++)
            out[r] += rows_naive_value(type, rows, r * width + i) *
                      (double)vectors[r * vector_stride + i];
    }
}

void rows_naive_add(enum tensor_type type, const void *rows, size_t row_count, size_t width,
                    const float *weights, double *sum)
{
    for (size_t r = 0; r < row_count; r++)
        for (size_t i = 0; i < width; i++)
            sum[i] += rows_naive_value(type, rows, r * width + i) * (double)weights[r];
}

void rows_naive_multiply(enum tensor_type type, const void *rows, size_t row_count, size_t width,
                         const float *inputs, size_t input_count, double *out)
{
    for (size_t n = 0; n < input_count; n++)
        rows_naive_dot(type, rows, row_count, width, inputs + n * width, 0, out + n * row_count);
}
