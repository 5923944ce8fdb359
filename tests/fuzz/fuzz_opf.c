/* The package document of an EPUB, which is packed there out of the fuzzer's sight. */
#include "src/text/opf.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct opf opf;
    bool skip;
    if (opf_read(&opf, (struct slice){(const char *)data, size}, NULL))
        return 0;
    for (size_t i = 0; opf_page(&opf, i, &skip); i++)
        ;
    opf_release(&opf);
    return 0;
}
