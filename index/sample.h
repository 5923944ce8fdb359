/* A sample of blocks that is the same for every question, so that its pages stay in memory. What is
 * sampled lies at places counted from 0, with gaps between: the numbers of removed blocks are never
 * used again, and blocks may wait for the model. */
#ifndef LMK_INDEX_SAMPLE_H
#define LMK_INDEX_SAMPLE_H

#include "src/base/error.h"

#include <stddef.h>
#include <stdint.h>

/* A stretch of places, with nothing in it. */
struct gap {
    uint64_t first, end;
};

/* LMK_OK: something is at the place. LMK_NOT_FOUND, without a sentence: nothing is, and `gap` says
 * how far around it. Other errors end the sampling. */
typedef enum lmk_status sample_look(void *context, uint64_t place, struct gap *gap,
                                    struct lmk_error *error);

/* Fills `places` with all that are taken of [0, end), ascending, where they are not more than
 * `size`; else with `size` draws from them at random, each time with the same chance for each, so
 * that some may be drawn twice. The same draws for the same places. Gives how many. */
enum lmk_status sample_draw(sample_look *look, void *context, uint64_t end, size_t size,
                            uint64_t *places, size_t *count, struct lmk_error *error);

#endif
