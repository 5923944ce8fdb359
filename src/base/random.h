/* Random numbers that are the same everywhere for one seed. */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <math.h>
#include <stdint.h>

/* splitmix64: the next number of a stream that any `state` starts well. */
static inline uint64_t draw_next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* Any number below the limit is as likely as any other, to 2^-64 times the limit. */
static inline uint64_t draw_below(uint64_t *state, uint64_t limit)
{
    return (uint64_t)((unsigned __int128)draw_next(state) * limit >> 64);
}

/* Normally distributed, of mean 0 and deviation 1 (Box and Muller). */
static inline float draw_normal(uint64_t *state)
{
    double radius = sqrt(-2 * log(((double)(draw_next(state) >> 11) + 1) * 0x1p-53)),
           angle = 6.283185307179586 * (double)(draw_next(state) >> 11) * 0x1p-53;
    return (float)(radius * cos(angle));
}

#endif
