/* Products and softmaxes of the small tiles that attention is made of: some hundred query rows
 * against the keys or values of one block. Chosen at run time by what the processor has; kernels.h
 * has the same for whole rows.
 */
#ifndef MODEL_TILE_H
#define MODEL_TILE_H

#include <stdbool.h>
#include <stddef.h>

/* Columns of `right` and `out` come in multiples of this; the layouts in attention.h are padded to
 * it. */
#define TILE_COLUMNS 16

struct tile_kernels {
    const char *name; /* "generic", "avx512" */

    /* out[rows][columns] = left[rows][inner] * right[inner][columns], added to what is there with
     * `add`. Rows lie
     * `..._stride` floats apart. */
    void (*multiply)(const float *left, size_t left_stride, const float *right, size_t right_stride,
                     size_t rows, size_t inner, size_t columns, bool add, float *out,
                     size_t out_stride);

    /* Each row's softmax over its first `count` columns, times the row's factor; `factors` NULL:
     * one. The columns from `count` up to `stride` become 0. */
    void (*softmax)(float *scores, size_t stride, size_t rows, size_t count, const float *factors);

    /* sums[r] = the logarithm of the sum of the exponentials of row r's first `count` columns. */
    void (*log_sums)(const float *scores, size_t stride, size_t rows, size_t count, float *sums);
};

/* The kernels of this processor. */
const struct tile_kernels *tile_kernels(void);

/* The two sets; tests compare them. The second is NULL where the processor or the build has no such
 * unit. */
const struct tile_kernels *tile_kernels_generic(void);
const struct tile_kernels *tile_kernels_avx512(void);

#endif
