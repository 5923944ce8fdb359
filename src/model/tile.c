#include "src/model/tile_body.h"

const struct tile_kernels *tile_kernels_generic(void)
{
    static const struct tile_kernels kernels = {"generic", tile_multiply, tile_softmax,
                                                tile_log_sums};
    return &kernels;
}

#ifdef LMK_PORTABLE
const struct tile_kernels *tile_kernels_avx512(void)
{
    return NULL;
}
#endif

const struct tile_kernels *tile_kernels(void)
{
    const struct tile_kernels *wide = tile_kernels_avx512();
    return wide ? wide : tile_kernels_generic();
}
