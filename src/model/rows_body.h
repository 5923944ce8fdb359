/* The row kernels for vectors of VECTOR_BYTES; included once by each file that compiles them for
 * some unit. Letters: a `group` is 32 values, one quantised block; quantised values are summed
 * within a group before the scale is applied. */
#include "src/model/half.h"
#include "src/model/rows_kernels.h"
#include "src/model/vector.h"

#include <assert.h>

#ifdef __F16C__
#include <immintrin.h>
#endif

enum {
    GROUP_VECTORS = GROUP / VECTOR_FLOATS,
    TILE_ROWS = 8,
    TILE_WIDTH = 512, /* with TILE_ROWS, 16 KB: stays in the first cache beside the inputs */
    PANEL_ROWS = 4,
    PANEL_INPUTS = 3
};

#define INLINE static inline __attribute__((always_inline))

/* VECTOR_FLOATS integers of 8 or 16 bits made 32 bits wide. The compiler's own conversion takes
 * four times the instructions where the processor has one for it. */
#if defined(__AVX512F__) && VECTOR_BYTES == 64
INLINE integer_vector widen_signed_bytes(const unsigned char *source)
{
    return (integer_vector)_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i_u *)source));
}

INLINE integer_vector widen_bytes(const unsigned char *source)
{
    return (integer_vector)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i_u *)source));
}

INLINE integer_vector widen_shorts(const unsigned char *source)
{
    return (integer_vector)_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i_u *)source));
}

INLINE vector load_halves(const unsigned char *source)
{
    return (vector)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i_u *)source));
}
#elif defined(__AVX2__) && defined(__F16C__) && VECTOR_BYTES == 32
INLINE integer_vector widen_signed_bytes(const unsigned char *source)
{
    return (integer_vector)_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i_u *)source));
}

INLINE integer_vector widen_bytes(const unsigned char *source)
{
    return (integer_vector)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i_u *)source));
}

INLINE integer_vector widen_shorts(const unsigned char *source)
{
    return (integer_vector)_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i_u *)source));
}

INLINE vector load_halves(const unsigned char *source)
{
    return (vector)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i_u *)source));
}
#else
INLINE integer_vector widen_signed_bytes(const unsigned char *source)
{
    int8_t bytes __attribute__((vector_size(VECTOR_FLOATS)));
    memcpy(&bytes, source, sizeof bytes);
    return __builtin_convertvector(bytes, integer_vector);
}

INLINE integer_vector widen_bytes(const unsigned char *source)
{
    uint8_t bytes __attribute__((vector_size(VECTOR_FLOATS)));
    memcpy(&bytes, source, sizeof bytes);
    return __builtin_convertvector(bytes, integer_vector);
}

INLINE integer_vector widen_shorts(const unsigned char *source)
{
    uint16_t shorts __attribute__((vector_size(2 * VECTOR_FLOATS)));
    memcpy(&shorts, source, sizeof shorts);
    return __builtin_convertvector(shorts, integer_vector);
}

/* As half_to_float. */
INLINE vector load_halves(const unsigned char *source)
{
    integer_vector bits = widen_shorts(source);
    vector magnitude = (vector)((bits & 0x7fff) << 13) * 0x1p112f;
    integer_vector special = ((bits & 0x7c00) == 0x7c00) & 0x7f800000;
    return (vector)((integer_vector)magnitude | special | (bits & 0x8000) << 16);
}
#endif

/* VECTOR_FLOATS values of an unquantised type. */
INLINE vector load_values(enum tensor_type type, const unsigned char *source)
{
    if (type == TENSOR_BF16)
        return (vector)(widen_shorts(source) << 16);
    if (type == TENSOR_F16)
        return load_halves(source);
    vector values;
    memcpy(&values, source, sizeof values);
    return values;
}

INLINE float load_value(enum tensor_type type, const unsigned char *source)
{
    float value;
    uint32_t bits = 0;
    if (type == TENSOR_F16)
        return half_load(source);
    memcpy((unsigned char *)&bits + (type == TENSOR_BF16 ? 2 : 0), source,
           type == TENSOR_BF16 ? 2 : 4);
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* A group's values before the scale. */
INLINE void load_group(enum tensor_type type, const unsigned char *group,
                       vector values[GROUP_VECTORS])
{
    const unsigned char *source = group + 2;
    if (type == TENSOR_Q8_0) {
        for (size_t i = 0; i < GROUP_VECTORS; i++)
            values[i] =
                __builtin_convertvector(widen_signed_bytes(source + i * VECTOR_FLOATS), vector);
        return;
    }
    for (size_t i = 0; i < GROUP_VECTORS / 2; i++) {
        integer_vector pairs = widen_bytes(source + i * VECTOR_FLOATS);
        values[i] = __builtin_convertvector((pairs & 15) - 8, vector);
        values[i + GROUP_VECTORS / 2] = __builtin_convertvector((pairs >> 4) - 8, vector);
    }
}

INLINE size_t value_bytes(enum tensor_type type)
{
    return type == TENSOR_F32 ? 4 : 2;
}

INLINE size_t group_bytes(enum tensor_type type)
{
    return type == TENSOR_Q8_0   ? Q8_BYTES
           : type == TENSOR_Q4_0 ? Q4_BYTES
                                 : GROUP * value_bytes(type);
}

INLINE bool is_quantised(enum tensor_type type)
{
    return type == TENSOR_Q8_0 || type == TENSOR_Q4_0;
}

INLINE size_t row_bytes(enum tensor_type type, size_t width)
{
    return is_quantised(type) ? width / GROUP * group_bytes(type) : width * value_bytes(type);
}

INLINE void unpack_values(enum tensor_type type, const unsigned char *source, float *values,
                          size_t count)
{
    if (is_quantised(type)) {
        for (size_t g = 0; g < count / GROUP; g++) {
            vector group[GROUP_VECTORS];
            float scale = half_load(source + g * group_bytes(type));
            load_group(type, source + g * group_bytes(type), group);
            for (size_t i = 0; i < GROUP_VECTORS; i++)
                vector_store(values + g * GROUP + i * VECTOR_FLOATS, group[i] * scale);
        }
        return;
    }
    size_t i = 0;
    for (; i + VECTOR_FLOATS <= count; i += VECTOR_FLOATS)
        vector_store(values + i, load_values(type, source + i * value_bytes(type)));
    for (; i < count; i++)
        values[i] = load_value(type, source + i * value_bytes(type));
}

INLINE float dot_quantised(enum tensor_type type, const unsigned char *row, size_t width,
                           const float *input)
{
    vector sum = {0};
    for (size_t g = 0; g < width / GROUP; g++) {
        vector group[GROUP_VECTORS], part = {0};
        float scale = half_load(row + g * group_bytes(type));
        load_group(type, row + g * group_bytes(type), group);
        for (size_t i = 0; i < GROUP_VECTORS; i++)
            part += group[i] * vector_load(input + g * GROUP + i * VECTOR_FLOATS);
        sum += part * scale;
    }
    return vector_sum_lanes(sum);
}

INLINE float dot_values(enum tensor_type type, const unsigned char *row, size_t width,
                        const float *input)
{
    vector even = {0}, odd = {0};
    size_t i = 0, bytes = value_bytes(type);
    for (; i + 2 * VECTOR_FLOATS <= width; i += 2 * VECTOR_FLOATS) {
        even += load_values(type, row + i * bytes) * vector_load(input + i);
        odd += load_values(type, row + (i + VECTOR_FLOATS) * bytes) *
               vector_load(input + i + VECTOR_FLOATS);
    }
    for (; i + VECTOR_FLOATS <= width; i += VECTOR_FLOATS)
        even += load_values(type, row + i * bytes) * vector_load(input + i);
    float sum = vector_sum_lanes(even + odd);
    for (; i < width; i++)
        sum += load_value(type, row + i * bytes) * input[i];
    return sum;
}

INLINE void dot_type(enum tensor_type type, const unsigned char *rows, size_t row_count,
                     size_t width, const float *vectors, size_t vector_stride, float *out)
{
    for (size_t r = 0; r < row_count; r++) {
        const unsigned char *row = rows + r * row_bytes(type, width);
        const float *input = vectors + r * vector_stride;
        out[r] = is_quantised(type) ? dot_quantised(type, row, width, input)
                                    : dot_values(type, row, width, input);
    }
}

/* 32 columns of all rows, whose sums stay in registers. */
INLINE void add_group(enum tensor_type type, const unsigned char *rows, size_t row_count,
                      size_t stride, const float *weights, float *sum)
{
    vector sums[GROUP_VECTORS];
    for (size_t i = 0; i < GROUP_VECTORS; i++)
        sums[i] = vector_load(sum + i * VECTOR_FLOATS);
    for (size_t r = 0; r < row_count; r++) {
        const unsigned char *group = rows + r * stride;
        vector values[GROUP_VECTORS];
        float weight = weights[r];
        if (is_quantised(type)) {
            weight *= half_load(group);
            load_group(type, group, values);
        } else {
            for (size_t i = 0; i < GROUP_VECTORS; i++)
                values[i] = load_values(type, group + i * VECTOR_FLOATS * value_bytes(type));
        }
        for (size_t i = 0; i < GROUP_VECTORS; i++)
            sums[i] += values[i] * weight;
    }
    for (size_t i = 0; i < GROUP_VECTORS; i++)
        vector_store(sum + i * VECTOR_FLOATS, sums[i]);
}

INLINE void add_type(enum tensor_type type, const unsigned char *rows, size_t row_count,
                     size_t width, const float *weights, float *sum)
{
    size_t stride = row_bytes(type, width), i = 0;
    for (; i + GROUP <= width; i += GROUP)
        add_group(type, rows + i / GROUP * group_bytes(type), row_count, stride, weights, sum + i);
    for (; i < width; i++)
        for (size_t r = 0; r < row_count; r++)
            sum[i] += weights[r] * load_value(type, rows + r * stride + i * value_bytes(type));
}

/* Some unpacked rows times some inputs over a part of the width; `row_count` and `input_count` are
 * constants wherever this is inlined. The first part sets the results, later ones add to them. */
INLINE void panel(const float *rows, const float *inputs, size_t input_stride, size_t width,
                  size_t row_count, size_t input_count, bool first, float *out, size_t out_stride)
{
    vector sums[PANEL_ROWS][PANEL_INPUTS];
    for (size_t r = 0; r < row_count; r++)
        for (size_t n = 0; n < input_count; n++)
            sums[r][n] = (vector){0};
    size_t i = 0;
    for (; i + VECTOR_FLOATS <= width; i += VECTOR_FLOATS) {
        vector values[PANEL_INPUTS];
        for (size_t n = 0; n < input_count; n++)
            values[n] = vector_load(inputs + n * input_stride + i);
        for (size_t r = 0; r < row_count; r++) {
            vector row = vector_load(rows + r * TILE_WIDTH + i);
            for (size_t n = 0; n < input_count; n++)
                sums[r][n] += row * values[n];
        }
    }
    for (size_t r = 0; r < row_count; r++)
        for (size_t n = 0; n < input_count; n++) {
            float sum = vector_sum_lanes(sums[r][n]);
            for (size_t rest = i; rest < width; rest++)
                sum += rows[r * TILE_WIDTH + rest] * inputs[n * input_stride + rest];
            out[n * out_stride + r] = first ? sum : out[n * out_stride + r] + sum;
        }
}

INLINE void panel_row(const float *rows, size_t row_count, const float *inputs, size_t input_stride,
                      size_t width, size_t input_count, bool first, float *out, size_t out_stride)
{
    size_t r = 0;
    for (; r + PANEL_ROWS <= row_count; r += PANEL_ROWS)
        panel(rows + r * TILE_WIDTH, inputs, input_stride, width, PANEL_ROWS, input_count, first,
              out + r, out_stride);
    for (; r < row_count; r++)
        panel(rows + r * TILE_WIDTH, inputs, input_stride, width, 1, input_count, first, out + r,
              out_stride);
}

static void multiply_tile(const float *rows, size_t row_count, const float *inputs,
                          size_t input_stride, size_t width, size_t input_count, bool first,
                          float *out, size_t out_stride)
{
    size_t n = 0;
    for (; n + PANEL_INPUTS <= input_count; n += PANEL_INPUTS)
        panel_row(rows, row_count, inputs + n * input_stride, input_stride, width, PANEL_INPUTS,
                  first, out + n * out_stride, out_stride);
    for (; n < input_count; n++)
        panel_row(rows, row_count, inputs + n * input_stride, input_stride, width, 1, first,
                  out + n * out_stride, out_stride);
}

/* Each tile of rows is unpacked once and used for all inputs. */
INLINE void multiply_type(enum tensor_type type, const unsigned char *rows, size_t row_count,
                          size_t width, const float *inputs, size_t input_count, float *out,
                          size_t out_stride)
{
    float tile[TILE_ROWS * TILE_WIDTH];
    size_t stride = row_bytes(type, width);
    for (size_t r = 0; r < row_count; r += TILE_ROWS) {
        size_t height = row_count - r < TILE_ROWS ? row_count - r : TILE_ROWS;
        for (size_t i = 0; i < width; i += TILE_WIDTH) {
            size_t part = width - i < TILE_WIDTH ? width - i : TILE_WIDTH;
            for (size_t t = 0; t < height; t++)
                unpack_values(type, rows + (r + t) * stride + i / GROUP * group_bytes(type),
                              tile + t * TILE_WIDTH, part);
            multiply_tile(tile, height, inputs + i, width, part, input_count, i == 0, out + r,
                          out_stride);
        }
    }
}

/* Makes `call` with the type as a constant, so that each type becomes code of its own. */
#define FOR_EACH_TYPE(call)                                                                        \
    switch (type) {                                                                                \
    case TENSOR_F32:                                                                               \
        call(TENSOR_F32);                                                                          \
        break;                                                                                     \
    case TENSOR_F16:                                                                               \
        call(TENSOR_F16);                                                                          \
        break;                                                                                     \
    case TENSOR_BF16:                                                                              \
        call(TENSOR_BF16);                                                                         \
        break;                                                                                     \
    case TENSOR_Q8_0:                                                                              \
        call(TENSOR_Q8_0);                                                                         \
        break;                                                                                     \
    case TENSOR_Q4_0:                                                                              \
        call(TENSOR_Q4_0);                                                                         \
        break;                                                                                     \
    }

static void kernel_unpack(enum tensor_type type, const void *source, float *values, size_t count)
{
#define CALL(constant) unpack_values(constant, source, values, count)
    FOR_EACH_TYPE(CALL)
#undef CALL
}

static void kernel_dot_rows(enum tensor_type type, const void *rows, size_t row_count, size_t width,
                            const float *vectors, size_t vector_stride, float *out)
{
#define CALL(constant) dot_type(constant, rows, row_count, width, vectors, vector_stride, out)
    FOR_EACH_TYPE(CALL)
#undef CALL
}

static void kernel_add_rows(enum tensor_type type, const void *rows, size_t row_count, size_t width,
                            const float *weights, float *sum)
{
#define CALL(constant) add_type(constant, rows, row_count, width, weights, sum)
    FOR_EACH_TYPE(CALL)
#undef CALL
}

static void kernel_multiply(enum tensor_type type, const void *rows, size_t row_count, size_t width,
                            const float *inputs, size_t input_count, float *out, size_t out_stride)
{
    /* A single input reads each row once: nothing is gained by unpacking it first. */
    if (input_count == 1) {
        kernel_dot_rows(type, rows, row_count, width, inputs, 0, out);
        return;
    }
#define CALL(constant)                                                                             \
    multiply_type(constant, rows, row_count, width, inputs, input_count, out, out_stride)
    FOR_EACH_TYPE(CALL)
#undef CALL
}
