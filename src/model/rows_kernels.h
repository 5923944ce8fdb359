/* What rows.c chooses from at run time: the same source, rows_body.h, compiled for vectors of
 * different widths. None of them starts threads. Arguments as in rows.h. */
#ifndef MODEL_ROWS_KERNELS_H
#define MODEL_ROWS_KERNELS_H

#include "src/model/rows.h"

enum {
    GROUP = 32, /* values that share a scale */
    Q8_BYTES = 2 + GROUP,
    Q4_BYTES = 2 + GROUP / 2
};

struct rows_kernels {
    const char *name; /* "generic", "avx512" */
    void (*unpack)(enum tensor_type type, const void *source, float *values, size_t count);
    void (*dot)(enum tensor_type type, const void *rows, size_t row_count, size_t width,
                const float *vectors, size_t vector_stride, float *out);
    void (*add)(enum tensor_type type, const void *rows, size_t row_count, size_t width,
                const float *weights, float *sum);
    /* Results of one input lie `out_stride` floats from those of the next. */
    void (*multiply)(enum tensor_type type, const void *rows, size_t row_count, size_t width,
                     const float *inputs, size_t input_count, float *out, size_t out_stride);
};

/* The kernels of this processor. */
const struct rows_kernels *rows_kernels(void);

/* The two sets; tests compare both with the naive twins. The second is NULL where the processor or
 * the build has no such unit. */
const struct rows_kernels *rows_kernels_generic(void);
const struct rows_kernels *rows_kernels_avx512(void);

#endif
