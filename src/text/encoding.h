/* Text in other encodings than UTF-8, with the way back to its bytes. */
#ifndef TEXT_ENCODING_H
#define TEXT_ENCODING_H

#include "src/base/buffer.h"
#include "src/text/slice.h"

/* What the bytes look like: "UTF-8" (also with some invalid bytes in it), "UTF-16LE", "UTF-16BE"
 * (with a byte order mark, or ASCII characters mostly), "WINDOWS-1252" (of which Latin-1's letters
 * are a part), or NULL. Static. */
const char *encoding_detect(struct slice bytes);

/* Encoded text that is longer is not read: its map takes up to 16 bytes for each of its own. */
#define ENCODED_MAX ((size_t)64 << 20)

struct decoded_text {
    struct buffer text;     /* UTF-8, without byte order mark; what is invalid became U+FFFD */
    struct buffer runs;     /* struct map_run (normalise.h), from `text` to the bytes */
    uint64_t invalid_bytes; /* of the source */
};

/* Decodes `bytes`, at most ENCODED_MAX, from UTF-16 or an encoding of one byte for each character,
 * by a name that iconv knows. LMK_MEMORY; LMK_INPUT: iconv does not know the name. */
enum lmk_status encoding_decode(struct decoded_text *decoded, struct slice bytes,
                                const char *encoding, struct lmk_error *error);
void decoded_text_release(struct decoded_text *decoded);

/* Appends `bytes` to `text` as valid UTF-8 without NUL and without byte order mark, from any
 * encoding that iconv knows by name, without a map. What is invalid becomes U+FFFD and is added to
 * *invalid_bytes. LMK_INPUT: iconv does not know the name; LMK_MEMORY. */
enum lmk_status encoding_convert(struct buffer *text, struct slice bytes, const char *encoding,
                                 uint64_t *invalid_bytes, struct lmk_error *error);

#endif
