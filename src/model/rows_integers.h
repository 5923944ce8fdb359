/* Quantised rows times one vector in integers: what decoding a token spends its time on. */
#ifndef MODEL_ROWS_INTEGERS_H
#define MODEL_ROWS_INTEGERS_H

#include "src/model/gguf.h"

/* out[row_count] = the rows' inner products with input[width]. Each group of 32 of the input's
 * values is rounded to multiples of 1/32767 of its largest: no value changes by more than 1/65534
 * of that. Types: Q8_0, Q4_0. Starts no threads. */
void rows_multiply_integers(enum tensor_type type, const void *rows, size_t row_count, size_t width,
                            const float *input, float *out);

#endif
