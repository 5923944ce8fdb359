#include "src/model/rows.h"

#include "src/model/half.h"
#include "src/model/rows_integers.h"
#include "src/model/rows_kernels.h"

#include <assert.h>
#include <math.h>

enum { FEW_INPUTS = 3 /* up to which unpacking a row once for all of them does not pay */ };

bool rows_fit(enum tensor_type type, size_t count)
{
    return (type != TENSOR_Q8_0 && type != TENSOR_Q4_0) || count % GROUP == 0;
}

size_t rows_bytes(enum tensor_type type, size_t count)
{
    assert(rows_fit(type, count));
    switch (type) {
    case TENSOR_F32:
        return count * 4;
    case TENSOR_F16:
    case TENSOR_BF16:
        return count * 2;
    case TENSOR_Q8_0:
        return count / GROUP * Q8_BYTES;
    case TENSOR_Q4_0:
        return count / GROUP * Q4_BYTES;
    }
    assert(!"a type that gguf_open lets through");
    return 0;
}

#ifdef LMK_PORTABLE
const struct rows_kernels *rows_kernels_avx512(void)
{
    return NULL;
}
#endif

const struct rows_kernels *rows_kernels(void)
{
    const struct rows_kernels *wide = rows_kernels_avx512();
    return wide ? wide : rows_kernels_generic();
}

void rows_unpack(enum tensor_type type, const void *source, float *values, size_t count)
{
    assert(rows_fit(type, count));
    rows_kernels()->unpack(type, source, values, count);
}

void rows_dot(enum tensor_type type, const void *rows, size_t row_count, size_t width,
              const float *vectors, size_t vector_stride, float *out)
{
    rows_kernels()->dot(type, rows, row_count, width, vectors, vector_stride, out);
}

void rows_add(enum tensor_type type, const void *rows, size_t row_count, size_t width,
              const float *weights, float *sum)
{
    rows_kernels()->add(type, rows, row_count, width, weights, sum);
}

void rows_multiply(enum tensor_type type, const void *rows, size_t row_count, size_t width,
                   const float *inputs, size_t input_count, float *out, size_t out_stride)
{
    if (input_count > FEW_INPUTS || (type != TENSOR_Q8_0 && type != TENSOR_Q4_0)) {
        rows_kernels()->multiply(type, rows, row_count, width, inputs, input_count, out,
                                 out_stride);
        return;
    }
    for (size_t n = 0; n < input_count; n++)
        rows_multiply_integers(type, rows, row_count, width, inputs + n * width,
                               out + n * out_stride);
}

static void store_half(float value, unsigned char *destination)
{
    uint16_t half = half_from_float(value);
    memcpy(destination, &half, sizeof half);
}

static void pack_q8(const float *values, unsigned char *group)
{
    float largest = 0;
    for (size_t i = 0; i < GROUP; i++)
        largest = fmaxf(largest, fabsf(values[i]));
    float scale = largest / 127.0f, inverse = scale > 0 ? 1.0f / scale : 0;
    store_half(scale, group);
    for (size_t i = 0; i < GROUP; i++)
        group[2 + i] = (unsigned char)(int8_t)lrintf(values[i] * inverse);
}

static unsigned pack_nibble(float value, float inverse)
{
    int nibble = (int)(value * inverse + 8.5f);
    return (unsigned)(nibble > 15 ? 15 : nibble);
}

static void pack_q4(const float *values, unsigned char *group)
{
    float extreme = 0;
    for (size_t i = 0; i < GROUP; i++)
        if (fabsf(values[i]) > fabsf(extreme))
            extreme = values[i];
    float scale = extreme / -8.0f, inverse = scale != 0 ? 1.0f / scale : 0;
    store_half(scale, group);
    for (size_t i = 0; i < GROUP / 2; i++)
        group[2 + i] = (unsigned char)(pack_nibble(values[i], inverse) |
                                       pack_nibble(values[i + GROUP / 2], inverse) << 4);
}

void rows_pack(enum tensor_type type, const float *values, void *destination, size_t count)
{
    unsigned char *bytes = destination;
    assert(rows_fit(type, count) && type != TENSOR_BF16);
    if (type == TENSOR_F32)
        memcpy(bytes, values, count * sizeof *values);
    else if (type == TENSOR_F16)
        for (size_t i = 0; i < count; i++)
            store_half(values[i], bytes + 2 * i);
    else if (type == TENSOR_Q8_0)
        for (size_t i = 0; i < count; i += GROUP)
            pack_q8(values + i, bytes + i / GROUP * Q8_BYTES);
    else
        for (size_t i = 0; i < count; i += GROUP)
            pack_q4(values + i, bytes + i / GROUP * Q4_BYTES);
}
