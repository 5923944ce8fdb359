/* The pieces of a vocabulary, found by their text.
 *
 * A space is kept as a space, not as U+2581, so that slices of the text itself can be looked up,
 * and a U+2581 of the text is part of no piece.
 */
#ifndef TEXT_PIECE_TABLE_H
#define TEXT_PIECE_TABLE_H

#include "src/text/tokenizer.h"

#define NO_PIECE UINT32_MAX
#define PIECE_SIZE_MAX 4096 /* bytes: keeps hostile vocabularies from exhausting the stack */

struct table_piece {
    const char
        *text; /* what it decodes to: a byte piece is one byte, control and unknown are empty */
    uint32_t size;
    uint32_t order; /* a higher score has a lower order, equal scores the same one */
    enum piece_type type;
};

struct piece_slot {
    uint32_t tag; /* upper half of the text's hash */
    uint32_t id;  /* NO_PIECE: free */
};

struct piece_table {
    struct table_piece *pieces; /* owned, [count] */
    size_t count;
    char *texts;              /* owned: all texts, one behind the other */
    struct piece_slot *slots; /* owned, [slot_mask + 1]: pieces that text can become, byte pieces
                                 are not among them */
    size_t slot_mask;
    size_t longest,
        longest_user; /* bytes of the longest piece in the slots, and of the longest of type user */
    bool user_starts[256]; /* by first byte */
    bool has_unused;
    uint32_t byte_ids[256];
};

/* Errors: LMK_MODEL, LMK_MEMORY. On failure there is nothing to release. */
enum lmk_status piece_table_init(struct piece_table *table, const struct vocabulary *vocabulary,
                                 struct lmk_error *error);
void piece_table_release(struct piece_table *table);

/* The id of the normal, user-defined or unused piece with this text, or NO_PIECE. */
uint32_t piece_table_find(const struct piece_table *table, const char *text, size_t size);

#endif
