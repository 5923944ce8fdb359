/* Small numeric pieces that every forward pass shares: RMSNorm, rotary positions, gated SiLU,
 * softmax.
 *
 * All of them work on float32 rows without alignment needs, call no threads of their own and accept
 * any width (even ones where vectors are rotated). Letters as in model.h. Naive twins in float64
 * stand in kernels_naive.h.
 */
#ifndef MODEL_KERNELS_H
#define MODEL_KERNELS_H

#include "src/base/error.h"

/* out[r] = rows[r] / sqrt(mean(rows[r]^2) + epsilon) * gain, for row_count rows of `width`. In
 * place allowed. */
void kernel_rms_norm(const float *rows, size_t row_count, size_t width, const float *gain,
                     float epsilon, float *out);

/* out[i] = gate[i] / (1 + exp(-gate[i])) * up[i]. `out` may be `gate` or `up`. */
void kernel_gated_silu(const float *gate, const float *up, size_t count, float *out);

/* sum[i] += addend[i] */
void kernel_add(const float *addend, size_t count, float *sum);

/* Inner product, summed in float32 over several lanes. */
float kernel_dot(const float *left, const float *right, size_t count);

/* exp(x) to 4e-7 of its size for -87 <= x <= 88; below (minus infinity too) 0, above exp(88). */
float kernel_exp(float x);

/* values[i] = exp(values[i] - maximum), with `maximum` the largest one; returns their sum. Minus
 * infinity masks an entry: it becomes 0. Returns 0 and leaves zeros where every entry is masked or
 * count is 0; `maximum` (may be NULL) is then minus infinity. The log-sum-exp of the values is
 * *maximum + logf(sum). */
float kernel_exponentials(float *values, size_t count, float *maximum);

/* kernel_exponentials divided by their sum; where every entry is masked, zeros. */
void kernel_softmax(float *values, size_t count);

/* Rotary positions. Component pairs (2i, 2i+1) turn by position / base^(2i/W), angles computed in
 * float64. A turn is what rotates vectors to one position: float [2*W], cosines of each component,
 * then signed sines. Turns add up: rotating by p and then by q is rotating by p + q; negative
 * positions turn back. */
struct rotary {
    size_t width;        /* W, even */
    double *frequencies; /* [W/2], owned */
};

/* Errors: LMK_MEMORY. */
enum lmk_status rotary_open(struct rotary *rotary, size_t width, double base,
                            struct lmk_error *error);
void rotary_close(struct rotary *rotary); /* zeroed structs are fine */

/* Fills `turn` [2*W] for a position. */
void rotary_turn(const struct rotary *rotary, int64_t position, float *turn);

/* The turns [count][2*W] of positions first, first + 1, ... */
void rotary_turns(const struct rotary *rotary, int64_t first, size_t count, float *turns);

/* out[W] = input[W] rotated by a turn. In place allowed. */
void kernel_rotate(const float *turn, size_t width, const float *input, float *out);

#endif
