/* SentencePiece BPE with byte fallback, from the vocabulary of a GGUF file.
 *
 * Text is encoded as SentencePiece does with identity normalisation: one space is put before it
 * (add_space_prefix), spaces become U+2581, then the pair of neighbouring symbols whose union is
 * the piece with the highest score is merged until none is left (equal scores: the leftmost), then
 * what is no piece becomes its bytes <0x00> ... <0xFF>. Differences on purpose: control pieces
 * (type 3) and unknown (type 2) never come out of text: a text that spells one out is ordinary
 * text; a U+2581 in the text is kept apart from a space (it becomes its three bytes), so that
 * decoding gives back the same bytes for any UTF-8 text (bytes that are no UTF-8 become byte
 * pieces, too).
 */
#ifndef TEXT_TOKENIZER_H
#define TEXT_TOKENIZER_H

#include "src/base/buffer.h"

enum piece_type {
    PIECE_NORMAL = 1,
    PIECE_UNKNOWN = 2,
    PIECE_CONTROL = 3,
    PIECE_USER = 4,
    PIECE_UNUSED = 5,
    PIECE_BYTE = 6
};

/* A vocabulary as the model file holds it; the strings may lie in a mapped file and need not be
 * NUL-terminated. */
struct piece {
    const char *text;
    size_t size;
    float score;
    enum piece_type type;
};

struct vocabulary {
    const struct piece *pieces; /* [size] */
    size_t size;
    bool add_space_prefix;
};

struct tokenizer;

/* Copies what it needs. Errors: LMK_MODEL (byte pieces missing, duplicate or empty pieces),
 * LMK_MEMORY. */
enum lmk_status tokenizer_open(struct tokenizer **tokenizer, const struct vocabulary *vocabulary,
                               struct lmk_error *error);
void tokenizer_close(struct tokenizer *tokenizer);

/* Appends the ids (uint32_t) of `text` to `ids`. No BOS is added. Time is n log n at worst, linear
 * in practice. `prefix_space`: put the space before the text (documents and prompt parts: yes), if
 * the vocabulary asks for one; an empty text gets none. Errors: LMK_MEMORY, also when `ids` reaches
 * its limit: it may then hold a part of the ids. */
enum lmk_status tokenizer_encode(const struct tokenizer *tokenizer, const char *text, size_t size,
                                 bool prefix_space, struct buffer *ids, struct lmk_error *error);

/* The bytes that one id (below the size of the vocabulary) stands for: a space for U+2581, none for
 * control pieces. Not NUL-terminated, valid while the tokenizer lives. */
const char *tokenizer_bytes(const struct tokenizer *tokenizer, uint32_t id, size_t *size);

/* Appends the text of `count` ids; `drop_prefix_space`: without the space that encoding put first.
 */
enum lmk_status tokenizer_decode(const struct tokenizer *tokenizer, const uint32_t *ids,
                                 size_t count, bool drop_prefix_space, struct buffer *text,
                                 struct lmk_error *error);

#endif
