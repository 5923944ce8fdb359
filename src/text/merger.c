#include "src/text/merger.h"
#include "src/text/utf8.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define NO_SYMBOL UINT32_MAX
#define BRANCHES 4 /* of the heap: half the cache misses of 2 on a long stretch */

/* A slice of the text, in a linked list: a character, a user-defined piece, or what they have been
 * merged into. */
struct symbol {
    const char *text;
    uint32_t size;           /* 0: merged into the one before it */
    uint32_t previous, next; /* NO_SYMBOL at the ends */
    uint32_t id;             /* NO_PIECE: not looked up yet */
};

/* Two neighbours whose union is a piece. The smallest key goes first: the best score, then the
 * leftmost. */
struct candidate {
    uint64_t key; /* order of the piece, then index of the left symbol */
    uint32_t id;  /* of the union */
};

struct merger {
    const struct piece_table *table;
    struct symbol *symbols; /* owned, like all arrays here */
    size_t symbol_count, symbol_capacity;
    struct candidate *candidates; /* a heap: none is smaller than its parent */
    size_t candidate_count, candidate_capacity;
    /* [table->count] bytes of the left one of the two parts that an unused piece was merged from:
     * always the same two, as what lies around a piece has no part in its merges. 0: not seen yet;
     * NULL: the vocabulary has no unused pieces. */
    uint32_t *splits;
    struct buffer *ids;
    struct lmk_error *error;
};

/* ---- Neighbours */

static uint32_t packed(const char *text, size_t length)
{
    uint32_t character = 0;
    for (size_t i = 0; i < length; i++)
        character = character << 8 | (unsigned char)text[i];
    return character;
}

static size_t character_length(const char *text, size_t size)
{
    bool valid;
    return *text & 0x80 ? utf8_length(text, size, &valid) : 1;
}

static size_t pair_bit(uint32_t left, uint32_t right)
{
    return ((uint64_t)left << 32 | right) * 0x9E3779B97F4A7C15U >> 44;
}

static bool joined(const struct neighbours *neighbours, uint32_t left, uint32_t right)
{
    size_t bit = pair_bit(left, right);
    return neighbours->bits[bit / 64] >> bit % 64 & 1;
}

void neighbours_init(struct neighbours *neighbours, const struct piece_table *table)
{
    memset(neighbours->bits, 0, sizeof neighbours->bits);
    for (size_t id = 0; id < table->count; id++) {
        const struct table_piece *piece = &table->pieces[id];
        uint32_t left = 0;
        for (size_t i = 0, length; i < piece->size; i += length) {
            length = character_length(piece->text + i, piece->size - i);
            uint32_t right = packed(piece->text + i, length);
            size_t bit = pair_bit(left, right);
            if (i)
                neighbours->bits[bit / 64] |= (uint64_t)1 << bit % 64;
            left = right;
        }
    }
}

size_t first_stretch(const struct neighbours *neighbours, const char *text, size_t size)
{
    uint32_t left = 0;
    size_t i = 0;
    for (size_t length; i < size && i < STRETCH_MAX; i += length) {
        length = character_length(text + i, size - i);
        uint32_t right = packed(text + i, length);
        if (i && !joined(neighbours, left, right))
            break;
        left = right;
    }
    return i;
}

/* ---- The heap of candidates */

/* A merge takes one candidate away and brings two at most, so there are never as many as twice the
 * symbols. */
static enum lmk_status reserve_candidates(struct merger *merger)
{
    size_t capacity = 2 * merger->symbol_count;
    if (capacity <= merger->candidate_capacity)
        return LMK_OK;
    free(merger->candidates);
    merger->candidate_capacity = 0;
    merger->candidates = malloc(capacity * sizeof *merger->candidates);
    if (!merger->candidates)
        return error_memory(merger->error, capacity * sizeof *merger->candidates);
    merger->candidate_capacity = capacity;
    return LMK_OK;
}

static void push(struct merger *merger, struct candidate candidate)
{
    assert(merger->candidate_count < merger->candidate_capacity);
    struct candidate *heap = merger->candidates;
    size_t i = merger->candidate_count++;
    for (size_t parent; i > 0 && heap[parent = (i - 1) / BRANCHES].key > candidate.key; i = parent)
        heap[i] = heap[parent];
    heap[i] = candidate;
}

static size_t smallest_child(const struct candidate *heap, size_t first, size_t count)
{
    size_t end = first + BRANCHES < count ? first + BRANCHES : count, smallest = first;
    for (size_t i = first + 1; i < end; i++)
        smallest = heap[i].key < heap[smallest].key ? i : smallest;
    return smallest;
}

static struct candidate pop(struct merger *merger)
{
    struct candidate *heap = merger->candidates;
    struct candidate top = heap[0], last = heap[--merger->candidate_count];
    size_t i = 0, count = merger->candidate_count;
    for (size_t first; (first = BRANCHES * i + 1) < count;) {
        size_t child = smallest_child(heap, first, count);
        if (heap[child].key >= last.key)
            break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = last;
    return top;
}

/* ---- Merging */

/* Proposes symbol `index` and the one after it, if their union is a piece. */
static void propose(struct merger *merger, uint32_t index)
{
    const struct symbol *left = &merger->symbols[index];
    if (left->next == NO_SYMBOL)
        return;
    const struct symbol *right = &merger->symbols[left->next];
    uint32_t id = piece_table_find(merger->table, left->text, (size_t)left->size + right->size);
    if (id == NO_PIECE)
        return;
    const struct table_piece *piece = &merger->table->pieces[id];
    if (piece->type == PIECE_UNUSED)
        merger->splits[id] = left->size;
    push(merger, (struct candidate){(uint64_t)piece->order << 32 | index, id});
}

static void merge(struct merger *merger, struct candidate candidate)
{
    uint32_t index = (uint32_t)candidate.key;
    struct symbol *left = &merger->symbols[index];
    if (left->size == 0 || left->next == NO_SYMBOL)
        return;
    struct symbol *right = &merger->symbols[left->next];
    /* One of the two may have been merged since: then they are longer than the piece. */
    if (left->size + right->size != merger->table->pieces[candidate.id].size)
        return;
    left->size += right->size;
    left->id = candidate.id;
    left->next = right->next;
    right->size = 0;
    if (left->next != NO_SYMBOL)
        merger->symbols[left->next].previous = index;
    if (left->previous != NO_SYMBOL)
        propose(merger, left->previous);
    propose(merger, index);
}

static enum lmk_status append_id(struct merger *merger, uint32_t id)
{
    return buffer_append(merger->ids, &id, sizeof id, merger->error);
}

/* Appends the ids of a slice that nothing can be merged with any more; `id` is its piece, if known.
 */
static enum lmk_status append(struct merger *merger, const char *text, size_t size, uint32_t id)
{
    if (id == NO_PIECE)
        id = piece_table_find(merger->table, text, size);
    enum lmk_status status = LMK_OK;
    if (id == NO_PIECE) {
        for (size_t i = 0; i < size && !status; i++)
            status = append_id(merger, merger->table->byte_ids[(unsigned char)text[i]]);
        return status;
    }
    size_t split = merger->splits ? merger->splits[id] : 0;
    if (split == 0)
        return append_id(merger, id);
    status = append(merger, text, split, NO_PIECE);
    return status ? status : append(merger, text + split, size - split, NO_PIECE);
}

/* Merges the symbols collected so far and appends what becomes of them. */
static enum lmk_status finish_stretch(struct merger *merger)
{
    if (merger->symbol_count == 0)
        return LMK_OK;
    enum lmk_status status = reserve_candidates(merger);
    if (status)
        return status;
    merger->symbols[merger->symbol_count - 1].next = NO_SYMBOL;
    for (size_t i = 0; i < merger->symbol_count; i++)
        propose(merger, (uint32_t)i);
    while (merger->candidate_count)
        merge(merger, pop(merger));
    for (uint32_t i = 0; i != NO_SYMBOL && !status; i = merger->symbols[i].next)
        status =
            append(merger, merger->symbols[i].text, merger->symbols[i].size, merger->symbols[i].id);
    merger->symbol_count = 0;
    return status;
}

/* ---- Text into symbols */

static enum lmk_status add_symbol(struct merger *merger, const char *text, size_t size, uint32_t id)
{
    size_t index = merger->symbol_count;
    if (index == merger->symbol_capacity) {
        size_t capacity = index ? 2 * index : 64;
        struct symbol *symbols = realloc(merger->symbols, capacity * sizeof *symbols);
        if (!symbols)
            return error_memory(merger->error, capacity * sizeof *symbols);
        merger->symbols = symbols;
        merger->symbol_capacity = capacity;
    }
    merger->symbols[index] = (struct symbol){
        text, (uint32_t)size, index ? (uint32_t)index - 1 : NO_SYMBOL, (uint32_t)index + 1, id};
    merger->symbol_count++;
    return LMK_OK;
}

/* The longest user-defined piece that the text starts with, or NO_PIECE. */
static uint32_t user_piece(const struct piece_table *table, const char *text, size_t size)
{
    if (!table->user_starts[(unsigned char)*text])
        return NO_PIECE;
    for (size_t length = size < table->longest_user ? size : table->longest_user; length > 0;
         length--) {
        uint32_t id = piece_table_find(table, text, length);
        if (id != NO_PIECE && table->pieces[id].type == PIECE_USER)
            return id;
    }
    return NO_PIECE;
}

/* User-defined pieces come first and stay as they are: each is a stretch by itself. */
static enum lmk_status merge_stretches(struct merger *merger, const struct neighbours *neighbours,
                                       const char *text, size_t size)
{
    enum lmk_status status = LMK_OK;
    uint32_t left = 0;
    bool user = false;
    for (size_t i = 0, start = 0, length; i < size && !status; i += length) {
        uint32_t id = user_piece(merger->table, text + i, size - i), right = 0;
        bool cut = user || i - start >= STRETCH_MAX;
        user = id != NO_PIECE;
        if (user) {
            length = merger->table->pieces[id].size;
        } else {
            length = character_length(text + i, size - i);
            right = packed(text + i, length);
        }
        if (cut || user || !joined(neighbours, left, right)) {
            status = finish_stretch(merger);
            start = i;
        }
        if (!status)
            status = add_symbol(merger, text + i, length, id);
        left = right;
    }
    return status ? status : finish_stretch(merger);
}

enum lmk_status merge_text(const struct piece_table *table, const struct neighbours *neighbours,
                           const char *text, size_t size, struct buffer *ids,
                           struct lmk_error *error)
{
    struct merger merger = {.table = table, .ids = ids, .error = error};
    if (table->has_unused) {
        merger.splits = calloc(table->count, sizeof *merger.splits);
        if (!merger.splits)
            return error_memory(error, table->count * sizeof *merger.splits);
    }
    enum lmk_status status = merge_stretches(&merger, neighbours, text, size);
    free(merger.symbols);
    free(merger.candidates);
    free(merger.splits);
    return status;
}
