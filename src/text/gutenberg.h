/* Books of Project Gutenberg: the text between its header and its licence, and what the header says
 * of the book. */
#ifndef TEXT_GUTENBERG_H
#define TEXT_GUTENBERG_H

#include "src/text/slice.h"

/* Slices of the file, empty where the file says nothing. */
struct gutenberg_book {
    struct slice body; /* the whole file, if it is none of Project Gutenberg's */
    struct slice title, author;
    const char *language; /* BCP 47, static, "" if unknown */
};

struct gutenberg_book gutenberg_find(struct slice file);

#endif
