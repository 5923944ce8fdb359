#include "src/text/markup_internal.h"

#include <string.h>

/* Of the parser's readings, which are of about 4,000 bytes: 64 MiB at a depth of 250, or 1 MiB at
 * 15,000. */
#define DEPTHS_MAX 4000000

/* Two strings an attribute; the parser makes the array larger when it is needed. */
static bool has_many_attributes(xmlParserCtxtPtr parser)
{
    return parser->maxatts > 4 * MARKUP_ATTRIBUTES;
}

int markup_input_read(void *context, char *bytes, int size)
{
    struct markup_input *input = context;
    if (input->parser) {
        input->depths += (uint64_t)input->parser->nameNr;
        input->many_attributes |= has_many_attributes(input->parser);
        input->deep |= input->depths > DEPTHS_MAX;
    }
    if (input->many_attributes || input->deep || size <= 0)
        return 0;
    size_t given = (size_t)size < input->left.size ? (size_t)size : input->left.size;
    memcpy(bytes, input->left.text, given);
    input->left = slice_after(input->left, given);
    return (int)given;
}
