/* IEEE half precision, one value at a time; loading takes the processor's conversion where the
 * build has it. */
#ifndef MODEL_HALF_H
#define MODEL_HALF_H

#include <stdint.h>
#include <string.h>

#ifdef __F16C__
#include <immintrin.h>
#endif

static inline float half_to_float(uint16_t half)
{
    /* The exponent, moved to its place in a float, is too small by 127 - 15; the product puts that
     * right, also where the half is subnormal. Infinities and not-a-numbers have an exponent of
     * their own. */
    uint32_t magnitude = (half & 0x7fffu) << 13, bits;
    float value;
    memcpy(&value, &magnitude, sizeof value);
    value *= 0x1p112f;
    memcpy(&bits, &value, sizeof bits);
    if ((half & 0x7c00u) == 0x7c00u)
        bits |= 0x7f800000u;
    bits |= (half & 0x8000u) << 16;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Rounds to the nearest half, ties to even. What is too large becomes the largest finite half, as
 * an infinity would spoil every sum that it enters. */
static inline uint16_t half_from_float(float value)
{
    uint32_t bits, sign;
    memcpy(&bits, &value, sizeof bits);
    sign = bits >> 16 & 0x8000u;
    bits &= 0x7fffffffu;
    if (bits > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00u);
    if (bits >= 0x477fe000u)
        return (uint16_t)(sign | 0x7bffu);
    if (bits < 0x38800000u) {
        /* Subnormal: adding 0.5 leaves 2^-24 as the lowest bit of the sum, rounded by the addition
         * itself. */
        float magnitude;
        memcpy(&magnitude, &bits, sizeof magnitude);
        magnitude += 0.5f;
        memcpy(&bits, &magnitude, sizeof bits);
        return (uint16_t)(sign | (bits - 0x3f000000u));
    }
    bits += 0xfffu + (bits >> 13 & 1u);
    return (uint16_t)(sign | (bits - 0x38000000u) >> 13);
}

static inline float half_load(const void *source)
{
    uint16_t half;
    memcpy(&half, source, sizeof half);
#ifdef __F16C__
    return _cvtsh_ss(half);
#else
    return half_to_float(half);
#endif
}

#endif
