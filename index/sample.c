#include "index/sample.h"

#include "src/base/buffer.h"

#include <string.h>

/* Places are drawn among those that no known gap hides. A place in another gap makes it known, the
 * widest ones soonest, so that few draws are lost however much of the numbers they take up. */
struct sampling {
    sample_look *look;
    void *context;
    uint64_t end, hidden; /* places; those in gaps that are known */
    struct buffer gaps;   /* struct gap, ascending */
};

/* Number `i` of a fixed sequence of random numbers (SplitMix64). */
static uint64_t random_number(uint64_t i)
{
    uint64_t z = (i + 0x9e3779b97f4a7c15u) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* The place with so many before it that no gap hides, and how many gaps lie before it. */
static uint64_t visible_place(const struct sampling *sampling, uint64_t number, size_t *before)
{
    const struct gap *gaps = (const struct gap *)(const void *)sampling->gaps.data;
    size_t count = sampling->gaps.size / sizeof *gaps, i = 0;
    for (; i < count && gaps[i].first <= number; i++)
        number += gaps[i].end - gaps[i].first;
    *before = i;
    return number;
}

static enum lmk_status add_gap(struct sampling *sampling, size_t at, struct gap gap,
                               struct lmk_error *error)
{
    enum lmk_status status = buffer_append(&sampling->gaps, &gap, sizeof gap, error);
    if (status)
        return status;
    struct gap *gaps = (struct gap *)(void *)sampling->gaps.data;
    size_t count = sampling->gaps.size / sizeof *gaps;
    memmove(gaps + at + 1, gaps + at, (count - 1 - at) * sizeof *gaps);
    gaps[at] = gap;
    sampling->hidden += gap.end - gap.first;
    return LMK_OK;
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
        size_t before;
        uint64_t visible = sampling->end - sampling->hidden,
                 place = visible_place(sampling, random_number(i) % visible, &before);
        enum lmk_status status = look_at(sampling, place, &gap, error);
        if (!status)
            places[(*count)++] = place;
        else if (status != LMK_NOT_FOUND || (status = add_gap(sampling, before, gap, error)))
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
    if (!status && *count < size)
        status = take_all(&sampling, size, places, count, error);
    buffer_release(&sampling.gaps);
    return status;
}
