/* Normalised text: what the model sees, and the way back to the source.
 *
 * Rules (version NORMALISE_VERSION; the trainer applies the same ones, tests/golden/normalise.jsonl
 * holds shared vectors). White space is space, tab, CR and LF here, nothing else.
 *   1. A UTF-8 byte order mark at the start is dropped; invalid bytes become U+FFFD, one for each
 * maximal ill-formed part; CR LF and a lone CR count as LF.
 *   2. The document is hard-wrapped when the mean length in code points of its non-empty lines,
 * white space at both ends not counted, is below 90.
 *   3. Hard-wrapped: a single line break between two non-empty lines becomes a space; blank lines
 * (empty or white space only), however many, become one line feed. Otherwise any run of line breaks
 * becomes one line feed.
 *   4. Runs of spaces and tabs become one space; spaces beside a line feed are dropped.
 *   5. White space at both ends is dropped.
 */
#ifndef TEXT_NORMALISE_H
#define TEXT_NORMALISE_H

#include "src/base/error.h"

#define NORMALISE_VERSION 1

/* From byte `text` of the normalised text on, up to the next run, byte text + i came from byte
 * source + i. */
struct map_run {
    uint64_t text, source;
};

struct normalised_text {
    char *text; /* owned, UTF-8, NUL-terminated; `size` bytes without the NUL */
    size_t size;
    /* Owned; ascending in both members; the first has text == 0 (none for an empty text). A U+FFFD
     * has three bytes however many it stands for: a run may follow it at once, even at the very end
     * (text == size). */
    struct map_run *runs;
    size_t run_count;
    uint64_t source_size;
    uint64_t invalid_bytes; /* source bytes replaced by U+FFFD */
};

enum lmk_status normalise(struct normalised_text *result, const char *source, size_t size,
                          struct lmk_error *error);
void normalised_text_release(struct normalised_text *text);

/* The source byte of byte `offset` of the normalised text (of its end, for offset == size, one past
 * the last). */
uint64_t normalised_source(const struct normalised_text *text, uint64_t offset);

#endif
