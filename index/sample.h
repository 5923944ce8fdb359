/* A sample of blocks that is the same for every question, so that its pages stay in memory. */
#ifndef LMK_INDEX_SAMPLE_H
#define LMK_INDEX_SAMPLE_H

#include <stdint.h>

/* Block number `i` of a sample of `size` out of the blocks [0, end): every block where they are not
 * more than the sample, otherwise drawn at random (SplitMix64), the same way each time. */
static inline uint64_t sample_block(uint64_t i, uint64_t size, uint64_t end)
{
    if (end <= size)
        return i;
    uint64_t z = (i + 0x9e3779b97f4a7c15u) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (z ^ (z >> 31)) % end;
}

#endif
