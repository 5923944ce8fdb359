/* PDFs in it are passed over: their reader runs a program. */
#include "src/text/archived.h"
#include "tests/fuzz/fuzz_reader.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size && !memmem(data, size, "%PDF-", 5))
        fuzz_read("shelf.zip", data, size, archived_read);
    return 0;
}
