/* What is made of a PDF's pages. */
#include "src/text/pages.h"
#include "src/text/reader.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer mended, places;
    buffer_init(&mended, SIZE_MAX / 2);
    buffer_init(&places, SIZE_MAX / 2);
    if (pages_mend((struct slice){(const char *)data, size}, &mended, &places, NULL))
        abort();
    const struct source_place *place = (const struct source_place *)(const void *)places.data;
    for (size_t i = 1; i < places.size / sizeof *place; i++)
        if (place[i].source < place[i - 1].source || place[i].place <= place[i - 1].place)
            abort();
    buffer_release(&mended);
    buffer_release(&places);
    return 0;
}
