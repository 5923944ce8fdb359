#include "src/text/tokenizer.h"
#include "src/text/merger.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct tokenizer {
    struct piece_table table;
    struct neighbours neighbours;
    bool add_space_prefix;
};

enum lmk_status tokenizer_open(struct tokenizer **tokenizer, const struct vocabulary *vocabulary,
                               struct lmk_error *error)
{
    *tokenizer = NULL;
    struct tokenizer *opened = malloc(sizeof *opened);
    if (!opened)
        return error_memory(error, sizeof *opened);
    enum lmk_status status = piece_table_init(&opened->table, vocabulary, error);
    if (status) {
        free(opened);
        return status;
    }
    neighbours_init(&opened->neighbours, &opened->table);
    opened->add_space_prefix = vocabulary->add_space_prefix;
    *tokenizer = opened;
    return LMK_OK;
}

void tokenizer_close(struct tokenizer *tokenizer)
{
    if (!tokenizer)
        return;
    piece_table_release(&tokenizer->table);
    free(tokenizer);
}

/* Encodes a space and the first stretch of the text, whose size goes to `used`: only that much need
 * be copied. */
static enum lmk_status encode_prefixed(const struct tokenizer *tokenizer, const char *text,
                                       size_t size, size_t *used, struct buffer *ids,
                                       struct lmk_error *error)
{
    *used = first_stretch(&tokenizer->neighbours, text, size);
    char *prefixed = malloc(*used + 1);
    if (!prefixed)
        return error_memory(error, *used + 1);
    prefixed[0] = ' ';
    memcpy(prefixed + 1, text, *used);
    enum lmk_status status =
        merge_text(&tokenizer->table, &tokenizer->neighbours, prefixed, *used + 1, ids, error);
    free(prefixed);
    return status;
}

enum lmk_status tokenizer_encode(const struct tokenizer *tokenizer, const char *text, size_t size,
                                 bool prefix_space, struct buffer *ids, struct lmk_error *error)
{
    size_t used = 0;
    if (size && prefix_space && tokenizer->add_space_prefix) {
        enum lmk_status status = encode_prefixed(tokenizer, text, size, &used, ids, error);
        if (status)
            return status;
    }
    if (used == size)
        return LMK_OK;
    return merge_text(&tokenizer->table, &tokenizer->neighbours, text + used, size - used, ids,
                      error);
}

const char *tokenizer_bytes(const struct tokenizer *tokenizer, uint32_t id, size_t *size)
{
    assert(id < tokenizer->table.count);
    const struct table_piece *piece = &tokenizer->table.pieces[id];
    *size = piece->size;
    return piece->text;
}

enum lmk_status tokenizer_decode(const struct tokenizer *tokenizer, const uint32_t *ids,
                                 size_t count, bool drop_prefix_space, struct buffer *text,
                                 struct lmk_error *error)
{
    bool at_start = drop_prefix_space && tokenizer->add_space_prefix;
    for (size_t i = 0; i < count; i++) {
        size_t size;
        const char *bytes = tokenizer_bytes(tokenizer, ids[i], &size);
        size_t dropped = at_start && size && bytes[0] == ' ';
        at_start = at_start && size == 0; /* control pieces such as BOS may stand before the text */
        enum lmk_status status = buffer_append(text, bytes + dropped, size - dropped, error);
        if (status)
            return status;
    }
    return LMK_OK;
}
