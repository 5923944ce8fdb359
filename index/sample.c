#include "index/sample.h"

#include "src/base/buffer.h"

#include <stdlib.h>

/* Places are drawn among those that no known gap hides. A place in another gap makes that known
 * too, the widest ones soonest, so that few draws are lost however much of the numbers they take
 * up. Gaps become known when there are as many new ones again: n of them cost n log n. */
struct known_gap {
    struct gap gap;
    uint64_t before; /* places before it that no gap hides */
};

struct sampling {
    sample_look *look;
    void *context;
    uint64_t end, hidden; /* places; those in gaps that are known */
    struct buffer gaps;   /* struct known_gap, the first `known` of them ascending and known */
    size_t known;
};

/* Number `i` of a fixed sequence of random numbers (SplitMix64). */
static uint64_t random_number(uint64_t i)
{
    uint64_t z = (i + 0x9e3779b97f4a7c15u) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* The place with so many before it that no gap hides. */
static uint64_t visible_place(const struct sampling *sampling, uint64_t number)
{
    const struct known_gap *gaps = (const struct known_gap *)(const void *)sampling->gaps.data;
    size_t low = 0, high = sampling->known; /* gaps before it: at least, at most */
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (gaps[middle].before <= number)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? gaps[low - 1].gap.end + (number - gaps[low - 1].before) : number;
}

static int by_place(const void *left, const void *right)
{
    const struct known_gap *a = left, *b = right;
    return a->gap.first < b->gap.first ? -1 : a->gap.first > b->gap.first;
}

/* One that was found several times is known once. */
static void know_gaps(struct sampling *sampling)
{
    struct known_gap *gaps = (struct known_gap *)(void *)sampling->gaps.data;
    size_t count = sampling->gaps.size / sizeof *gaps, kept = 0;
    if (count)
        qsort(gaps, count, sizeof *gaps, by_place);
    sampling->hidden = 0;
    for (size_t i = 0; i < count; i++) {
        if (kept && gaps[i].gap.first == gaps[kept - 1].gap.first)
            continue;
        gaps[kept] = (struct known_gap){gaps[i].gap, gaps[i].gap.first - sampling->hidden};
        sampling->hidden += gaps[i].gap.end - gaps[i].gap.first;
        kept++;
    }
    sampling->known = kept;
    sampling->gaps.size = kept * sizeof *gaps;
}

static enum lmk_status add_gap(struct sampling *sampling, struct gap gap, struct lmk_error *error)
{
    struct known_gap found = {gap, 0};
    enum lmk_status status = buffer_append(&sampling->gaps, &found, sizeof found, error);
    if (!status && sampling->gaps.size / sizeof found > 2 * sampling->known)
        know_gaps(sampling);
    return status;
}

static enum lmk_status look_at(const struct sampling *sampling, uint64_t place, struct gap *gap,
                               struct lmk_error *error)
{
    enum lmk_status status = sampling->look(sampling->context, place, gap, error);
    if (gap->end > sampling->end)
        gap->end = sampling->end;
    return status;
}

/* Draws until the places are full, or no more than these are left that may be taken. */
static enum lmk_status draw_some(struct sampling *sampling, size_t size, uint64_t *places,
                                 size_t *count, struct lmk_error *error)
{
    for (uint64_t i = 0; *count < size && sampling->end - sampling->hidden > size; i++) {
        struct gap gap = {0, 0};
        uint64_t visible = sampling->end - sampling->hidden,
                 place = visible_place(sampling, random_number(i) % visible);
        enum lmk_status status = look_at(sampling, place, &gap, error);
        if (!status)
            places[(*count)++] = place;
        else if (status != LMK_NOT_FOUND || (status = add_gap(sampling, gap, error)))
            return status;
    }
    return LMK_OK;
}

static enum lmk_status take_all(const struct sampling *sampling, size_t size, uint64_t *places,
                                size_t *count, struct lmk_error *error)
{
    *count = 0;
    for (uint64_t place = 0; place < sampling->end && *count < size;) {
        struct gap gap = {0, 0};
        enum lmk_status status = look_at(sampling, place, &gap, error);
        if (!status)
            places[(*count)++] = place++;
        else if (status == LMK_NOT_FOUND)
            place = gap.end;
        else
            return status;
    }
    return LMK_OK;
}

enum lmk_status sample_draw(sample_look *look, void *context, uint64_t end, size_t size,
                            uint64_t *places, size_t *count, struct lmk_error *error)
{
    struct sampling sampling = {.look = look, .context = context, .end = end};
    buffer_init(&sampling.gaps, SIZE_MAX / 2);
    *count = 0;
    enum lmk_status status = draw_some(&sampling, size, places, count, error);
    if (!status)
        know_gaps(&sampling);
    if (!status && sampling.end - sampling.hidden <= size)
        status = take_all(&sampling, size, places, count, error);
    buffer_release(&sampling.gaps);
    return status;
}
