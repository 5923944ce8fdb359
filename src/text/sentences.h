/* Sentence boundaries of normalised English text, by rule. */
#ifndef TEXT_SENTENCES_H
#define TEXT_SENTENCES_H

#include <stddef.h>

/* The end (exclusive, closing quotes and brackets included, the space behind not) of the sentence
 * that holds byte `from`; `size` if none ends before. A line feed ends a sentence too. */
size_t sentence_end(const char *text, size_t size, size_t from);

/* The start of the sentence that holds byte `from`: behind the last end before it and the white
 * space there, else 0. */
size_t sentence_start(const char *text, size_t size, size_t from);

#endif
