#include "src/text/piece_table.h"
#include "src/base/hash.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char space_mark[] = "\xE2\x96\x81"; /* U+2581 */
#define SPACE_MARK_SIZE (sizeof space_mark - 1)

static bool comes_from_text(enum piece_type type)
{
    return type == PIECE_NORMAL || type == PIECE_USER || type == PIECE_UNUSED;
}

/* Copies a piece's text with spaces for U+2581; returns the size. */
static size_t copy_unmarked(char *to, const char *text, size_t size)
{
    size_t written = 0;
    for (size_t i = 0; i < size; written++) {
        bool mark =
            size - i >= SPACE_MARK_SIZE && memcmp(text + i, space_mark, SPACE_MARK_SIZE) == 0;
        to[written] = mark ? ' ' : text[i];
        i += mark ? SPACE_MARK_SIZE : 1;
    }
    return written;
}

/* The value of a hexadecimal digit, capital letters only, or -1. */
static int digit_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

/* The value of "<0x4A>", or -1. */
static int byte_value(const struct piece *piece)
{
    if (piece->size != 6 || memcmp(piece->text, "<0x", 3) != 0 || piece->text[5] != '>')
        return -1;
    int high = digit_value(piece->text[3]), low = digit_value(piece->text[4]);
    return high < 0 || low < 0 ? -1 : 16 * high + low;
}

/* Unsigned numbers that ascend as the scores descend. */
static uint32_t order_of(float score)
{
    uint32_t bits;
    score += 0.0F; /* one zero */
    memcpy(&bits, &score, sizeof bits);
    return bits & 0x80000000U ? bits : 0x7FFFFFFFU - bits;
}

static struct piece_slot *slot_of(const struct piece_table *table, const char *text, size_t size,
                                  uint32_t *tag)
{
    uint64_t hash = hash64(text, size);
    *tag = (uint32_t)(hash >> 32);
    for (size_t i = hash & table->slot_mask;; i = (i + 1) & table->slot_mask) {
        struct piece_slot *slot = &table->slots[i];
        if (slot->id == NO_PIECE)
            return slot;
        const struct table_piece *piece = &table->pieces[slot->id];
        assert(piece->text);
        if (slot->tag == *tag && piece->size == size && memcmp(piece->text, text, size) == 0)
            return slot;
    }
}

uint32_t piece_table_find(const struct piece_table *table, const char *text, size_t size)
{
    uint32_t tag;
    return size > table->longest ? NO_PIECE : slot_of(table, text, size, &tag)->id;
}

static enum lmk_status add_text(struct piece_table *table, uint32_t id, struct lmk_error *error)
{
    const struct table_piece *piece = &table->pieces[id];
    uint32_t tag;
    struct piece_slot *slot = slot_of(table, piece->text, piece->size, &tag);
    if (slot->id != NO_PIECE)
        return error_set(
            error, LMK_MODEL,
            "The model's vocabulary holds the same piece twice, as %u and %u: the file is damaged.",
            slot->id, id);
    *slot = (struct piece_slot){tag, id};
    if (piece->size > table->longest)
        table->longest = piece->size;
    table->has_unused |= piece->type == PIECE_UNUSED;
    if (piece->type != PIECE_USER)
        return LMK_OK;
    table->user_starts[(unsigned char)piece->text[0]] = true;
    if (piece->size > table->longest_user)
        table->longest_user = piece->size;
    return LMK_OK;
}

static enum lmk_status add_byte(struct piece_table *table, uint32_t id, const struct piece *piece,
                                char *text, struct lmk_error *error)
{
    int value = byte_value(piece);
    if (value < 0 || table->byte_ids[value] != NO_PIECE)
        return error_set(error, LMK_MODEL,
                         "Piece %u of the model's vocabulary is no byte piece <0x00> to <0xFF>, or "
                         "one given twice: "
                         "the file is damaged.",
                         id);
    table->byte_ids[value] = id;
    *text = (char)value;
    table->pieces[id].size = 1;
    return LMK_OK;
}

/* Adds piece `id`, whose text goes to `text`. */
static enum lmk_status add(struct piece_table *table, uint32_t id, const struct piece *piece,
                           char *text, struct lmk_error *error)
{
    if (piece->size == 0 || piece->size > PIECE_SIZE_MAX || !isfinite(piece->score) ||
        piece->type < PIECE_NORMAL || piece->type > PIECE_BYTE)
        return error_set(error, LMK_MODEL,
                         "Piece %u of the model's vocabulary is empty, longer than %d bytes, or "
                         "without a valid score "
                         "or type: the file is damaged.",
                         id, PIECE_SIZE_MAX);
    table->pieces[id] = (struct table_piece){text, 0, order_of(piece->score), piece->type};
    if (piece->type == PIECE_BYTE)
        return add_byte(table, id, piece, text, error);
    if (!comes_from_text(piece->type))
        return LMK_OK;
    table->pieces[id].size = (uint32_t)copy_unmarked(text, piece->text, piece->size);
    /* Text never becomes a piece with a bare space in it: SentencePiece has made every space a
     * U+2581 before. */
    return memchr(piece->text, ' ', piece->size) ? LMK_OK : add_text(table, id, error);
}

static enum lmk_status add_all(struct piece_table *table, const struct vocabulary *vocabulary,
                               struct lmk_error *error)
{
    enum lmk_status status = LMK_OK;
    char *text = table->texts;
    for (size_t i = 0; i < vocabulary->size && !status; i++) {
        status = add(table, (uint32_t)i, &vocabulary->pieces[i], text, error);
        text += table->pieces[i].size;
    }
    for (size_t byte = 0; byte < 256 && !status; byte++)
        if (table->byte_ids[byte] == NO_PIECE)
            status = error_set(error, LMK_MODEL,
                               "The model's vocabulary lacks the byte piece <0x%02zX>: lmk needs a "
                               "vocabulary with byte "
                               "fallback.",
                               byte);
    return status;
}

static enum lmk_status allocate(struct piece_table *table, const struct vocabulary *vocabulary,
                                struct lmk_error *error)
{
    size_t text_size = 1, slots = 4;
    for (size_t i = 0; i < vocabulary->size; i++)
        text_size += vocabulary->pieces[i].size; /* they lie in memory: no overflow */
    while (slots < 2 * vocabulary->size)
        slots *= 2;
    table->pieces = calloc(vocabulary->size + 1, sizeof *table->pieces);
    table->texts = malloc(text_size);
    table->slots = malloc(slots * sizeof *table->slots);
    if (!table->pieces || !table->texts || !table->slots) {
        error_memory(error, text_size + slots * (sizeof *table->slots + sizeof *table->pieces));
        return LMK_MEMORY;
    }
    for (size_t i = 0; i < slots; i++)
        table->slots[i] = (struct piece_slot){0, NO_PIECE};
    memset(table->byte_ids, 0xFF, sizeof table->byte_ids);
    table->slot_mask = slots - 1;
    table->count = vocabulary->size;
    return LMK_OK;
}

enum lmk_status piece_table_init(struct piece_table *table, const struct vocabulary *vocabulary,
                                 struct lmk_error *error)
{
    *table = (struct piece_table){0};
    if (vocabulary->size >= UINT32_MAX / 4)
        return error_set(
            error, LMK_MODEL,
            "The model's vocabulary has %zu pieces, more than can be: the file is damaged.",
            vocabulary->size);
    enum lmk_status status = allocate(table, vocabulary, error);
    if (!status)
        status = add_all(table, vocabulary, error);
    if (status)
        piece_table_release(table);
    return status;
}

void piece_table_release(struct piece_table *table)
{
    free(table->pieces);
    free(table->texts);
    free(table->slots);
    *table = (struct piece_table){0};
}
