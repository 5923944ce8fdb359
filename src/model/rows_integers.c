/* With both sides in integers a group of 32 products takes a third of the instructions that it
 * takes when the stored values are made floats first, and reading the rows from memory becomes the
 * limit. 16 bits for the vector cost about as much as 8 would, and keep the results as good as
 * float32 ones. */
#include "src/model/rows_integers.h"

#include "src/model/half.h"
#include "src/model/rows_kernels.h"
#include "src/model/vector.h"

#include <assert.h>

#ifdef __AVX2__
#include <immintrin.h>
#endif

enum {
    LARGEST = 32767,
    PART_WIDTH = 4096 /* of a vector that is rounded at a time: 8 KB */
};

struct rounded {
    int16_t values[PART_WIDTH];
    float scales[PART_WIDTH / GROUP];
};

#define INLINE static inline __attribute__((always_inline))

static float largest_magnitude(const float *values)
{
    vector largest = {0};
    for (size_t i = 0; i < GROUP; i += VECTOR_FLOATS) {
        vector value = vector_load(values + i);
        largest = vector_maximum(largest, vector_maximum(value, -value));
    }
    return vector_maximum_lane(largest);
}

/* Returns the group's scale. */
static float round_group(const float *values, int16_t *rounded)
{
    /* The sum with 1.5 times 2^23 has the nearest integer in its low bits. */
    const float rounder = 0x1.8p23f;
    typedef int16_t shorts __attribute__((vector_size(VECTOR_BYTES / 2)));
    float largest = largest_magnitude(values), inverse = largest > 0 ? LARGEST / largest : 0;
    for (size_t i = 0; i < GROUP; i += VECTOR_FLOATS) {
        integer_vector bits = (integer_vector)(vector_load(values + i) * inverse + rounder);
        shorts low = __builtin_convertvector(bits, shorts);
        memcpy(rounded + i, &low, sizeof low);
    }
    return largest / LARGEST;
}

static void round_vector(const float *values, size_t width, struct rounded *rounded)
{
    for (size_t g = 0; g < width / GROUP; g++)
        rounded->scales[g] = round_group(values + g * GROUP, rounded->values + g * GROUP);
}

#ifdef __AVX2__
INLINE __m256i sixteen_products(__m128i stored, const int16_t *values)
{
    return _mm256_madd_epi16(_mm256_cvtepi8_epi16(stored),
                             _mm256_loadu_si256((const __m256i_u *)values));
}

/* The products of a group, before the scales, summed by lanes. They stay below 2^25. */
INLINE vector group_products(enum tensor_type type, const unsigned char *group,
                             const int16_t *values)
{
    __m128i first = _mm_loadu_si128((const __m128i_u *)(group + 2)), second;
    if (type == TENSOR_Q8_0) {
        second = _mm_loadu_si128((const __m128i_u *)(group + 18));
    } else {
        const __m128i nibble = _mm_set1_epi8(15), middle = _mm_set1_epi8(8);
        second = _mm_sub_epi8(_mm_and_si128(_mm_srli_epi16(first, 4), nibble), middle);
        first = _mm_sub_epi8(_mm_and_si128(first, nibble), middle);
    }
    return (vector)_mm256_cvtepi32_ps(_mm256_add_epi32(
        sixteen_products(first, values), sixteen_products(second, values + GROUP / 2)));
}
#else
INLINE vector group_products(enum tensor_type type, const unsigned char *group,
                             const int16_t *values)
{
    int32_t sum = 0;
    for (size_t i = 0; i < GROUP / 2; i++) {
        if (type == TENSOR_Q8_0)
            sum += (int8_t)group[2 + i] * values[i] +
                   (int8_t)group[2 + GROUP / 2 + i] * values[GROUP / 2 + i];
        else
            sum += ((group[2 + i] & 15) - 8) * values[i] +
                   ((group[2 + i] >> 4) - 8) * values[GROUP / 2 + i];
    }
    return (vector){(float)sum};
}
#endif

/* A part of the width; the first sets the results, later ones add to them. */
INLINE void multiply_part(enum tensor_type type, const unsigned char *rows, size_t stride,
                          size_t row_count, size_t width, const struct rounded *rounded, bool first,
                          float *out)
{
    size_t bytes = type == TENSOR_Q8_0 ? Q8_BYTES : Q4_BYTES;
    for (size_t r = 0; r < row_count; r++) {
        const unsigned char *group = rows + r * stride;
        vector sum = {0};
        for (size_t g = 0; g < width / GROUP; g++, group += bytes)
            sum += group_products(type, group, rounded->values + g * GROUP) *
                   (half_load(group) * rounded->scales[g]);
        out[r] = vector_sum_lanes(sum) + (first ? 0 : out[r]);
    }
}

void rows_multiply_integers(enum tensor_type type, const void *rows, size_t row_count, size_t width,
                            const float *input, float *out)
{
    const unsigned char *bytes = rows;
    size_t stride = rows_bytes(type, width);
    struct rounded rounded;
    assert(type == TENSOR_Q8_0 || type == TENSOR_Q4_0);
    for (size_t i = 0; i < width; i += PART_WIDTH) {
        size_t part = width - i < PART_WIDTH ? width - i : PART_WIDTH;
        const unsigned char *start = bytes + rows_bytes(type, i);
        round_vector(input + i, part, &rounded);
        if (type == TENSOR_Q8_0)
            multiply_part(TENSOR_Q8_0, start, stride, row_count, part, &rounded, i == 0, out);
        else
            multiply_part(TENSOR_Q4_0, start, stride, row_count, part, &rounded, i == 0, out);
    }
}
