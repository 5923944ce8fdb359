/* Weight matrices unpacked once for products with many rows: in float32 through OpenBLAS, or in
 * bfloat16 where the processor multiplies those faster. (For a few rows, rows_multiply works on the
 * stored type.)
 */
#ifndef MODEL_DENSE_H
#define MODEL_DENSE_H

#include "src/model/bf16_products.h"
#include "src/model/model.h"

struct dense {
    size_t rows, columns;                 /* outputs, inputs */
    const struct bf16_products *products; /* NULL: float32 */
    float *values;                        /* float32: [rows][columns], owned */
    uint16_t *packed;                     /* else; owned */
};

/* Unpacks matrices of as many columns, one below the other: their outputs stand side by side.
 * `products` as bf16_products gives it, or NULL for float32. Errors: LMK_MEMORY. */
enum lmk_status dense_open(struct dense *dense, const struct weight *const *weights, size_t count,
                           const struct bf16_products *products, struct lmk_error *error);
void dense_close(struct dense *dense); /* zeroed structs are fine */

/* Bytes of workspace for products of up to `n` rows, 0 in float32. */
size_t dense_workspace(const struct dense *dense, size_t n);

/* out[n][rows] = inputs[n][columns] times the transposed matrix, added to what is there with `add`.
 * Rows of inputs and out lie `..._stride` floats apart. On all of OpenMP's threads. */
void dense_multiply(const struct dense *dense, const float *inputs, size_t input_stride, size_t n,
                    bool add, float *out, size_t out_stride, void *workspace);

/* The version of OpenBLAS; valid for ever. */
const char *dense_library_version(void);

#endif
