/* Private to the readers of markup. */
#ifndef TEXT_MARKUP_INTERNAL_H
#define TEXT_MARKUP_INTERNAL_H

#include "src/text/slice.h"

#include <libxml/parser.h>

/* The parsers count in int. */
#define MARKUP_SIZE_MAX ((size_t)256 << 20)

/* Where an element has more attributes, it is no text; a few more may be read. */
#define MARKUP_ATTRIBUTES 256

void markup_start_library(void);

/* What a parser reads from. The parser compares each attribute of an element with all others, and
 * each end tag with all elements that are open: the input ends where that would take too long. */
struct markup_input {
    struct slice left;
    xmlParserCtxtPtr parser;    /* NULL: it is being made */
    uint64_t depths;            /* sum of the depths at each reading */
    bool many_attributes, deep; /* why it ended early */
};

/* An xmlInputReadCallback; `context` is a struct markup_input. */
int markup_input_read(void *context, char *bytes, int size);

#endif
