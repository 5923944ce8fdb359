/* Products with many rows in bfloat16 dot products, summed in float32: twice the rate of float32
 * where the processor has them, and half the memory for the weights. Both sides are rounded to
 * 8 bits of mantissa, which leaves a long sum with an error of some 0.2 % of its size.
 */
#ifndef MODEL_BF16_PRODUCTS_H
#define MODEL_BF16_PRODUCTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bf16_products {
    /* Numbers (of 2 bytes) that a packed matrix [rows][columns] takes, or that an inputs' copy of
     * `n` rows of `columns` takes. */
    size_t (*packed_size)(size_t rows, size_t columns);
    size_t (*inputs_size)(size_t n, size_t columns);

    /* Packs a weight matrix [rows][columns]; `packed` lies on a multiple of 64 bytes. */
    void (*pack)(const float *values, size_t rows, size_t columns, uint16_t *packed);

    /* out[n][rows] = inputs[n][columns] * the packed matrix transposed, added to what is there
     * with `add`; `workspace` has room for the inputs' copy. On all of OpenMP's threads. */
    void (*multiply)(const uint16_t *packed, size_t rows, size_t columns, const float *inputs,
                     size_t input_stride, size_t n, bool add, float *out, size_t out_stride,
                     uint16_t *workspace);
};

/* NULL where the processor or the build has no such unit. */
const struct bf16_products *bf16_products(void);

#endif
