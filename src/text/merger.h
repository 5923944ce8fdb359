/* Byte-pair merging: text into pieces, as SentencePiece does it. */
#ifndef TEXT_MERGER_H
#define TEXT_MERGER_H

#include "src/text/piece_table.h"

/* A stretch without any place where it can be cut is cut after this many bytes, which bounds the
 * memory (to about 60 bytes for each): only a run of one letter, or something like it, is that
 * long. */
#define STRETCH_MAX ((size_t)4 << 20)

/* Which neighbouring characters some piece has side by side: between any other two no merge can
 * ever happen, so text falls into short stretches that are merged one by one. One bit for each
 * hashed pair; where two pairs share a bit a stretch is longer than it need be, and the result is
 * the same. */
struct neighbours {
    uint64_t bits[(1 << 20) / 64];
};

void neighbours_init(struct neighbours *neighbours, const struct piece_table *table);

/* Appends the ids of `text`, without any space before it. Errors: LMK_MEMORY. */
enum lmk_status merge_text(const struct piece_table *table, const struct neighbours *neighbours,
                           const char *text, size_t size, struct buffer *ids,
                           struct lmk_error *error);

/* The bytes from the start of `text` up to the first place where a merge cannot cross, or `size`.
 */
size_t first_stretch(const struct neighbours *neighbours, const char *text, size_t size);

#endif
