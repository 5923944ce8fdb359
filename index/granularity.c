#include "index/granularity.h"

#include "index/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Candidates that a softmax runs over: those beyond have no weight to speak of. */
#define CANDIDATES 64

/* Landmark probability that blocks received, kept in order of block number. */
struct mass {
    uint64_t block;
    double probability;
    bool read;
};

struct arena {
    struct arena *next;
    struct memory_block blocks[];
};

struct granularity {
    struct memory_selector selector;
    struct lmk_collection *collection;
    struct store_view *view;
    struct memory *memory;
    const struct scope *scope;
    enum lmk_granularity kind;
    uint64_t newest_end;
    struct buffer masses; /* struct mass */
    struct arena *arenas; /* what selections point to, until closing */
};

/* ------------------------------------------------------------------ masses */

static int by_block(const void *left, const void *right)
{
    uint64_t a = ((const struct mass *)left)->block, b = ((const struct mass *)right)->block;
    return a < b ? -1 : a > b;
}

static int by_probability(const void *left, const void *right)
{
    double a = ((const struct mass *)left)->probability,
           b = ((const struct mass *)right)->probability;
    return a < b ? 1 : a > b ? -1 : by_block(left, right);
}

/* Where a block's mass stands, or is to be put. */
static size_t mass_place(const struct granularity *granularity, uint64_t block)
{
    const struct mass *items = (const struct mass *)granularity->masses.data;
    size_t low = 0, high = granularity->masses.size / sizeof *items;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (items[middle].block < block)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static enum lmk_status add_mass(struct granularity *granularity, uint64_t block, double probability,
                                struct lmk_error *error)
{
    struct mass new = {block, probability, false};
    enum lmk_status status = buffer_reserve(&granularity->masses, sizeof new, error);
    if (status)
        return status;
    struct mass *items = (struct mass *)granularity->masses.data;
    size_t place = mass_place(granularity, block), count = granularity->masses.size / sizeof new;
    if (place < count && items[place].block == block) {
        items[place].probability += probability;
        return LMK_OK;
    }
    memmove(items + place + 1, items + place, (count - place) * sizeof new);
    items[place] = new;
    granularity->masses.size += sizeof new;
    return LMK_OK;
}

/* ------------------------------------------------------------------ choosing */

/* Candidates of one row and head, with the landmark softmax over them as score. */
static enum lmk_status search_head(struct granularity *granularity, size_t m, size_t head,
                                   const float *query, struct candidate candidates[CANDIDATES],
                                   size_t *found, struct lmk_error *error)
{
    const struct model_shape *shape = &granularity->collection->model->shape;
    uint32_t group = (uint32_t)head / (shape->heads / shape->kv_heads);
    uint32_t part = 1 + (uint32_t)m * shape->kv_heads + group;
    enum lmk_status status =
        segments_search(granularity->collection, granularity->view, part, query, CANDIDATES,
                        granularity->scope, candidates, found, error);
    double best = *found ? candidates[0].score : 0, sum = 0;
    for (size_t i = 0; !status && i < *found; i++)
        sum += candidates[i].score = exp(candidates[i].score - best);
    for (size_t i = 0; !status && i < *found; i++) {
        candidates[i].score /= sum;
        status = add_mass(granularity, candidates[i].block, candidates[i].score, error);
    }
    return status;
}

/* Adds candidates to a pool, keeping each block's largest probability. */
static enum lmk_status pool_add(struct buffer *pool, const struct candidate *candidates,
                                size_t count, struct lmk_error *error)
{
    for (size_t i = 0; i < count; i++) {
        struct mass new = {candidates[i].block, candidates[i].score, false},
                    *items = (struct mass *)pool->data;
        size_t at = 0, size = pool->size / sizeof new;
        while (at < size && items[at].block != new.block)
            at++;
        if (at < size && items[at].probability < new.probability)
            items[at] = new;
        enum lmk_status status = at < size ? LMK_OK : buffer_append(pool, &new, sizeof new, error);
        if (status)
            return status;
    }
    return LMK_OK;
}

/* The k best of a pool in order of age, loaded, in memory that lasts until closing. */
static enum lmk_status take_best(struct granularity *granularity, struct buffer *pool,
                                 const struct memory_block **chosen, size_t *count,
                                 struct lmk_error *error)
{
    struct mass *items = (struct mass *)pool->data;
    size_t k = granularity->selector.k, size = pool->size / sizeof *items,
           wanted = size < k ? size : k;
    struct arena *arena = malloc(sizeof *arena + k * sizeof *arena->blocks);
    uint64_t *numbers = malloc((k ? k : 1) * sizeof *numbers);
    enum lmk_status status =
        arena && numbers ? LMK_OK : error_memory(error, k * sizeof *arena->blocks);
    if (arena) {
        arena->next = granularity->arenas;
        granularity->arenas = arena;
    }
    if (!status && size) {
        qsort(items, size, sizeof *items, by_probability);
        qsort(items, wanted, sizeof *items, by_block);
    }
    struct mass *masses = (struct mass *)granularity->masses.data;
    for (size_t i = 0; !status && i < wanted; i++) {
        numbers[i] = items[i].block;
        masses[mass_place(granularity, numbers[i])].read = true;
        chosen[i] = &arena->blocks[i];
        status = memory_load(granularity->memory, numbers[i], &arena->blocks[i], error);
    }
    if (!status)
        memory_set_slots(arena->blocks, numbers, wanted, granularity->newest_end);
    free(numbers);
    *count = wanted;
    buffer_clear(pool);
    return status;
}

/* A pool is taken for every (row, head), or filled over heads or over rows first and then given to
 * all of them. */
static enum lmk_status choose(void *context, size_t m, const float *queries, size_t rows,
                              const struct memory_block **chosen, size_t *counts,
                              struct lmk_error *error)
{
    struct granularity *granularity = context;
    const struct model_shape *shape = &granularity->collection->model->shape;
    size_t heads = shape->heads, k = granularity->selector.k, width = shape->head_width;
    bool by_head =
        granularity->kind == LMK_CHUNK; /* the outer loop runs over what does not share */
    size_t outer = by_head ? heads : rows, inner = by_head ? rows : heads;
    struct buffer pool;
    buffer_init(&pool, SIZE_MAX / 2);
    enum lmk_status status = LMK_OK;
    for (size_t o = 0; !status && o < outer; o++) {
        for (size_t i = 0; !status && i < inner; i++) {
            struct candidate candidates[CANDIDATES];
            size_t row = by_head ? i : o, head = by_head ? o : i, found, at = row * heads + head;
            status =
                search_head(granularity, m, head, queries + at * width, candidates, &found, error);
            if (!status)
                status = pool_add(&pool, candidates, found, error);
            bool alone = granularity->kind == LMK_HEAD;
            if (!status && (alone || i + 1 == inner))
                status = take_best(granularity, &pool, chosen + at * k, &counts[at], error);
        }
        size_t last = by_head ? (rows - 1) * heads + o : o * heads + heads - 1;
        for (size_t i = 0; !status && granularity->kind != LMK_HEAD && i + 1 < inner; i++) {
            size_t at = by_head ? i * heads + o : o * heads + i;
            memcpy(chosen + at * k, chosen + last * k, k * sizeof *chosen);
            counts[at] = counts[last];
        }
    }
    buffer_release(&pool);
    return status;
}

/* ------------------------------------------------------------------ opening */

enum lmk_status granularity_prepare(struct lmk_collection *collection, struct lmk_error *error)
{
    const struct model_shape *shape = &collection->model->shape;
    enum lmk_status status = LMK_OK;
    for (uint32_t part = 1; !status && part <= shape->memory_layer_count * shape->kv_heads; part++)
        status = segments_build(collection, part, error);
    return status;
}

enum lmk_status granularity_open(struct granularity **result, struct lmk_collection *collection,
                                 struct store_view *view, struct memory *memory,
                                 const struct scope *scope, enum lmk_granularity kind, size_t k,
                                 struct lmk_error *error)
{
    struct store_counts counts;
    enum lmk_status status = store_counts(view, &counts, error);
    if (status)
        return status;
    struct granularity *granularity = calloc(1, sizeof *granularity);
    if (!granularity)
        return error_memory(error, sizeof *granularity);
    granularity->selector = (struct memory_selector){k, choose, granularity};
    granularity->collection = collection;
    granularity->view = view;
    granularity->memory = memory;
    granularity->scope = scope;
    granularity->kind = kind;
    granularity->newest_end = counts.next_block;
    buffer_init(&granularity->masses, SIZE_MAX / 2);
    *result = granularity;
    return LMK_OK;
}

void granularity_close(struct granularity *granularity)
{
    if (!granularity)
        return;
    for (struct arena *arena = granularity->arenas; arena;) {
        struct arena *next = arena->next;
        free(arena);
        arena = next;
    }
    buffer_release(&granularity->masses);
    free(granularity);
}

const struct memory_selector *granularity_selector(const struct granularity *granularity)
{
    return &granularity->selector;
}

size_t granularity_ranking(const struct granularity *granularity, size_t wanted,
                           struct candidate *candidates)
{
    const struct mass *masses = (const struct mass *)granularity->masses.data;
    size_t count = granularity->masses.size / sizeof *masses, read = 0;
    struct mass *sorted = malloc(count ? count * sizeof *sorted : 1);
    if (!sorted)
        return 0;
    for (size_t i = 0; i < count; i++)
        if (masses[i].read)
            sorted[read++] = masses[i];
    qsort(sorted, read, sizeof *sorted, by_probability);
    if (read > wanted)
        read = wanted;
    for (size_t i = 0; i < read; i++)
        candidates[i] = (struct candidate){sorted[i].block, sorted[i].probability};
    free(sorted);
    return read;
}
