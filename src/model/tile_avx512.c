#define VECTOR_BYTES 64
#include "src/model/tile_body.h"

const struct tile_kernels *tile_kernels_avx512(void)
{
    static const struct tile_kernels kernels = {"avx512", tile_multiply, tile_softmax,
                                                tile_log_sums};
    bool here = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
    return here ? &kernels : NULL;
}
