/* What the processor can do, and how many threads to use. */
#include "lmk.h"

#include <cblas.h>
#include <omp.h>

void lmk_set_threads(unsigned threads)
{
    int count = threads ? (int)(threads > 1024 ? 1024 : threads) : omp_get_num_procs();
    omp_set_num_threads(count);
    openblas_set_num_threads(count);
}

bool lmk_processor_supported(const char **message)
{
#if defined(__x86_64__) && !defined(LMK_PORTABLE)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) {
        *message = "This build of lmk needs a processor with AVX2 and FMA. Build one for yours "
                   "with: make PORTABLE=1";
        return false;
    }
#endif
    *message = "";
    return true;
}
