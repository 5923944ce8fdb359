/* Rows of numbers as models and collections store them: ggml's types, quantised ones in blocks of
 * 32 with one f16 scale. q8_0: f16 d, int8 q[32], value d*q. q4_0: f16 d, 16 bytes whose low
 * nibbles are values 0..15 and high nibbles 16..31, value d*(nibble - 8). Data need no alignment.
 * Each fast kernel has a naive twin in rows_naive.h.
 */
#ifndef MODEL_ROWS_H
#define MODEL_ROWS_H

#include "src/model/gguf.h"

/* True where `count` values fill whole blocks of the type. */
bool rows_fit(enum tensor_type type, size_t count);
/* Bytes of `count` values, which must fit. */
size_t rows_bytes(enum tensor_type type, size_t count);

/* float <-> stored, `count` values one after another. rows_pack rounds to nearest; q8_0 by d =
 * max|x|/127, q4_0 by d = (value of largest magnitude) / -8. Types for packing: F32, F16, Q8_0,
 * Q4_0. */
void rows_unpack(enum tensor_type type, const void *source, float *values, size_t count);
void rows_pack(enum tensor_type type, const float *values, void *destination, size_t count);

/* out[r] = inner product of the row r (of `width` values) with vectors + r * vector_stride: stride
 * 0 is one vector for all rows; stride width has its own vector for each row (keys scored before
 * rotation). */
void rows_dot(enum tensor_type type, const void *rows, size_t row_count, size_t width,
              const float *vectors, size_t vector_stride, float *out);

/* sum[width] += the rows, each times its weight. */
void rows_add(enum tensor_type type, const void *rows, size_t row_count, size_t width,
              const float *weights, float *sum);

/* out[n][row_count] = inputs[n][width] times the transposed matrix rows[row_count][width], straight
 * from the stored type, for prompts of up to some 64 tokens; results of one input lie `out_stride`
 * floats from those of the next. With up to three inputs and quantised rows the inputs are rounded
 * to 16 bits (rows_integers.h). Starts no threads: those that run share a matrix's rows. */
void rows_multiply(enum tensor_type type, const void *rows, size_t row_count, size_t width,
                   const float *inputs, size_t input_count, float *out, size_t out_stride);

#endif
