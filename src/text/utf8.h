/* UTF-8, one character at a time. */
#ifndef TEXT_UTF8_H
#define TEXT_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* The bytes (1 to 4) of the well-formed character at `text`, or, with *valid false, of the maximal
 * ill-formed part there (Unicode 15, 3.9, table 3-8): what a decoder replaces by one U+FFFD. `size`
 * bytes remain, at least one. */
size_t utf8_length(const char *text, size_t size, bool *valid);

#endif
