#define VECTOR_BYTES 64
#include "src/model/rows_body.h"

const struct rows_kernels *rows_kernels_avx512(void)
{
    static const struct rows_kernels kernels = {"avx512", kernel_unpack, kernel_dot_rows,
                                                kernel_add_rows, kernel_multiply};
    bool here = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
    return here ? &kernels : NULL;
}
