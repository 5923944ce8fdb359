/* Text in any encoding, Markdown, and what else a name without a suffix may hold but PDF, whose
 * reader runs a program. */
#include "src/text/pdf.h"
#include "tests/fuzz/fuzz_reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size && !pdf_begins((struct slice){(const char *)data, size}))
        fuzz_read("book.md", data, size, source_read);
    return 0;
}
