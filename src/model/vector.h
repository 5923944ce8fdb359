/* Vectors of VECTOR_BYTES (16, 32 or 64; the baseline's where nothing is said), as the compiler's
 * vector extension has them: the same source becomes SSE, AVX2 or AVX-512 code by the flags of the
 * file that includes it. */
#ifndef MODEL_VECTOR_H
#define MODEL_VECTOR_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifndef VECTOR_BYTES
#ifdef LMK_PORTABLE
#define VECTOR_BYTES 16
#else
#define VECTOR_BYTES 32
#endif
#endif

enum { VECTOR_FLOATS = VECTOR_BYTES / 4 };

typedef float vector __attribute__((vector_size(VECTOR_BYTES)));
typedef int32_t integer_vector __attribute__((vector_size(VECTOR_BYTES)));
typedef float unaligned_vector __attribute__((vector_size(VECTOR_BYTES), aligned(4), may_alias));

static inline vector vector_load(const float *source)
{
    return *(const unaligned_vector *)source;
}

static inline void vector_store(float *destination, vector value)
{
    *(unaligned_vector *)destination = value;
}

/* The first `count` (at most VECTOR_FLOATS) values, `filler` behind them. */
static inline vector vector_load_part(const float *source, size_t count, float filler)
{
    vector value = filler - (vector){0};
    memcpy(&value, source, count * sizeof *source);
    return value;
}

/* Where the mask (of a comparison) is set `yes`, else `no`. */
static inline vector vector_select(integer_vector mask, vector yes, vector no)
{
    return (vector)((mask & (integer_vector)yes) | (~mask & (integer_vector)no));
}

static inline vector vector_maximum(vector left, vector right)
{
    return vector_select(left > right, left, right);
}

/* Lane i of the result is lane lanes[i] of the value. */
static inline vector vector_permute(vector value, integer_vector lanes)
{
#ifdef __clang__
    vector permuted;
    for (size_t i = 0; i < VECTOR_FLOATS; i++)
        permuted[i] = value[lanes[i] % VECTOR_FLOATS];
    return permuted;
#else
    return __builtin_shuffle(value, lanes); /* takes the indices modulo the number of lanes */
#endif
}

/* The lanes turned by some places: adding or comparing with turned copies gathers all of them in
 * each lane. */
static inline vector vector_turn_lanes(vector value, size_t places)
{
    static const int32_t order[] = {0,  1,  2,  3,  4, 5, 6, 7, 8, 9, 10, 11,
                                    12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6,  7};
    integer_vector lanes;
    memcpy(&lanes, order + places, sizeof lanes);
    return vector_permute(value, lanes);
}

/* Neighbours (2i, 2i+1) exchanged. */
static inline vector vector_swap_pairs(vector value)
{
    static const int32_t order[] = {1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14};
    integer_vector lanes;
    memcpy(&lanes, order, sizeof lanes);
    return vector_permute(value, lanes);
}

/* Minus infinity in the lanes from `count` on. */
static inline vector vector_mask(vector value, size_t count)
{
    static const int32_t order[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    integer_vector lanes;
    memcpy(&lanes, order, sizeof lanes);
    return vector_select(lanes < (int32_t)count, value, -__builtin_inff() - (vector){0});
}

static inline float vector_sum_lanes(vector value)
{
#pragma GCC unroll 4
    for (size_t half = VECTOR_FLOATS / 2; half > 0; half /= 2)
        value += vector_turn_lanes(value, half);
    return value[0];
}

static inline float vector_maximum_lane(vector value)
{
#pragma GCC unroll 4
    for (size_t half = VECTOR_FLOATS / 2; half > 0; half /= 2)
        value = vector_maximum(value, vector_turn_lanes(value, half));
    return value[0];
}

/* exp(x) to 4e-7 of its size for -87 <= x <= 88; below, also for minus infinity, 0; above, exp(88).
 */
static inline vector vector_exp(vector x)
{
    /* exp(x) = 2^n exp(r) with |r| <= ln(2)/2, where the series up to r^6 suffices. Adding the
     * rounder (1.5 times 2^23) leaves the nearest integer in the low bits; ln(2) is taken away in
     * two parts, so that r keeps all its digits. */
    const float rounder = 0x1.8p23f, ln2_high = 0x1.62e4p-1f, ln2_low = 1.42860682e-6f;
    vector bounded = vector_select(x > 88.0f, 88.0f - (vector){0}, x);
    vector shifted = bounded * 1.44269504f + rounder;
    vector n = shifted - rounder;
    vector r = bounded - n * ln2_high - n * ln2_low;
    vector p = 1.0f / 120 + r * (1.0f / 720);
    p = 1.0f / 24 + r * p;
    p = 1.0f / 6 + r * p;
    p = 1.0f / 2 + r * p;
    p = 1.0f + r * p;
    p = 1.0f + r * p;
    vector power = (vector)(((integer_vector)shifted + 127) << 23);
    return (vector)((x >= -87.0f) & (integer_vector)(p * power));
}

#endif
