/* Weight matrices unpacked once for products with many rows: hundreds of rows make OpenBLAS's sgemm
 * the fastest way. (For a few rows, rows_multiply works on the stored type.)
 */
#ifndef MODEL_DENSE_H
#define MODEL_DENSE_H

#include "src/model/model.h"

struct dense {
    size_t rows, columns; /* outputs, inputs */
    float *values;        /* [rows][columns], owned */
};

/* Unpacks matrices of as many columns, one below the other: their outputs stand side by side.
 * Errors: LMK_MEMORY. */
enum lmk_status dense_open(struct dense *dense, const struct weight *const *weights, size_t count,
                           struct lmk_error *error);
void dense_close(struct dense *dense); /* zeroed structs are fine */

/* out[n][rows] = inputs[n][columns] * values transposed, added to what is there with `add`. Rows of
 * inputs and out lie
 * `..._stride` floats apart. Uses all threads. */
void dense_multiply(const struct dense *dense, const float *inputs, size_t input_stride, size_t n,
                    bool add, float *out, size_t out_stride);

#endif
