/* UTF-8: characters one at a time, and text that arrives in pieces. */
#ifndef TEXT_UTF8_H
#define TEXT_UTF8_H

#include "src/base/buffer.h"

#define UTF8_REPLACEMENT "\xEF\xBF\xBD" /* U+FFFD */

/* The bytes (1 to 4) of the well-formed character at `text`, or, with *valid false, of the maximal
 * ill-formed part there (Unicode 15, 3.9, table 3-8): what a decoder replaces by one U+FFFD. `size`
 * bytes remain, at least one. */
size_t utf8_length(const char *text, size_t size, bool *valid);

/* Writes the character U+`code` (at most U+10FFFF; U+FFFD for a surrogate); gives its size, 1 to 4.
 */
size_t utf8_encode(uint32_t code, char character[4]);

/* The bytes of a character whose end has not come yet; all zero to begin with. */
struct utf8_held {
    char bytes[4];
    size_t count;
};

/* Appends to `text` the characters that `size` more bytes complete. An ill-formed part becomes one
 * U+FFFD, and so does a NUL, which would end a string. LMK_MEMORY. */
enum lmk_status utf8_append(struct utf8_held *held, const char *bytes, size_t size,
                            struct buffer *text, struct lmk_error *error);
/* No more bytes come: a character that is still held is ill-formed. */
enum lmk_status utf8_finish(struct utf8_held *held, struct buffer *text, struct lmk_error *error);

#endif
