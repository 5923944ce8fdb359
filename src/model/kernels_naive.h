/* The kernels of kernels.h and tile.h as their definitions say, in float64: what tests compare
 * with. */
#ifndef MODEL_KERNELS_NAIVE_H
#define MODEL_KERNELS_NAIVE_H

#include <stddef.h>
#include <stdint.h>

void naive_rms_norm(const double *row, size_t width, const float *gain, double epsilon,
                    double *out);
double naive_gated_silu(double gate, double up);

/* In place; minus infinity masks. */
void naive_softmax(double *values, size_t count);

/* ln(sum of exp(values)) */
double naive_log_sum(const double *values, size_t count);

/* out[width] = input[width] turned to a position. In place allowed. */
void naive_rotate(const double *input, size_t width, double base, int64_t position, double *out);

/* out[rows][columns] = left[rows][inner] * right[inner][columns] */
void naive_multiply(const double *left, const double *right, size_t rows, size_t inner,
                    size_t columns, double *out);

#endif
