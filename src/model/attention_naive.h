/* Attention over a whole document as the design defines it, row by row, in float64 and at true
 * positions: what tests compare attention.h with. Slow, and its memory grows with the document.
 */
#ifndef MODEL_ATTENTION_NAIVE_H
#define MODEL_ATTENTION_NAIVE_H

#include "src/model/model.h"

struct naive_rows {
    size_t count;          /* whole blocks of rows */
    const double *queries; /* [count][H][W] before rotation */
    const double *keys;    /* [count][G][W] before rotation */
    const double *values;  /* [count][G][W] */
};

/* out [count][H][W]. `memory`: with the grouped softmax, else with the window. */
void naive_attention(const struct model_shape *shape, bool memory, const struct naive_rows *rows,
                     double *out);

#endif
