/* An answer by reading again: of what the texts around the best blocks each say (index/reread.h),
 * the surest. */
#ifndef INDEX_SUREST_H
#define INDEX_SUREST_H

#include "index/ranking.h"
#include "index/writing.h"

/* Leaves in `best`, which is open and empty, the surest answer, and in `*block` the block around
 * which it was read. Surest is the one whose logarithm of the probability, its end's included, and
 * whose block's score have the highest sum, `*sum`: the ranking's weights are fitted so that a
 * softmax over the scores gives the probabilities of the blocks, hence the sum, less what that
 * softmax divides by, is the logarithm of the probability that this block is the right one and that
 * this is the answer in it. An empty answer says that the text does not answer; where all of them
 * are, `best` and `*block` stay, and `*sum` is -infinity. Of the blocks [count] in order of age,
 * options->texts of the highest scores are read around, none of them a neighbour of another; one
 * is left out, or its answer broken off, as soon as it can no longer be the surest: the logarithm
 * of a probability is never above 0. Errors: LMK_CORRUPT, LMK_MEMORY. */
enum lmk_status surest_answer(struct writer *writer, struct store_view *view,
                              const struct question *question, const struct ranked *blocks,
                              size_t count, struct written *best, uint64_t *block, double *sum,
                              struct lmk_error *error);

#endif
