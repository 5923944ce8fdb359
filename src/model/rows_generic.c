#ifdef __AVX2__
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif
#include "src/model/rows_body.h"

const struct rows_kernels *rows_kernels_generic(void)
{
    static const struct rows_kernels kernels = {"generic", kernel_unpack, kernel_dot_rows,
                                                kernel_add_rows, kernel_multiply};
    return &kernels;
}
