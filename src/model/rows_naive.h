/* The kernels of rows.h done the plain way, value by value in float64: what tests compare with. */
#ifndef MODEL_ROWS_NAIVE_H
#define MODEL_ROWS_NAIVE_H

#include "src/model/gguf.h"

/* Value `index` of those stored at `source`. */
double rows_naive_value(enum tensor_type type, const void *source, size_t index);

void rows_naive_dot(enum tensor_type type, const void *rows, size_t row_count, size_t width,
                    const float *vectors, size_t vector_stride, double *out);
void rows_naive_add(enum tensor_type type, const void *rows, size_t row_count, size_t width,
                    const float *weights, double *sum);
void rows_naive_multiply(enum tensor_type type, const void *rows, size_t row_count, size_t width,
                         const float *inputs, size_t input_count, double *out);

#endif
