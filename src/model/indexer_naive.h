/* The indexer's result computed the plain way, in float64, for a whole document at once: what tests
 * compare with.
 */
#ifndef MODEL_INDEXER_NAIVE_H
#define MODEL_INDEXER_NAIVE_H

#include "src/model/model.h"

/* Keys before rotation and values of `blocks` blocks of tokens [blocks][N], with the landmark's row
 * in its place: keys and values [blocks][B][M][G][W]. */
void naive_index(const struct lmk_model *model, const uint32_t *tokens, size_t blocks, double *keys,
                 double *values);

#endif
