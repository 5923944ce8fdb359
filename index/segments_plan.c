/* Documents become ready in any order, the newest first, so those that wait lie anywhere between
 * the others. A segment is built over blocks between which none waits: nothing that comes later
 * belongs into it. Blocks that are too few for a segment, or that lie scattered among documents
 * that wait, are searched exactly until more has joined them.
 */
#include "index/segments_internal.h"

/* The most vectors of a segment: building one keeps that many in memory as float32. */
#define SEGMENT_BLOCKS ((uint64_t)1 << 18)
/* Fewer new blocks than these are scanned exactly instead. */
#define SEGMENT_WORTH 256

/* A segment that is there, or new blocks that may become one. */
struct span {
    struct stretch stretch;
    bool built;
    bool waits; /* a document of the segment waits again: what takes its place would lose it */
    bool joins; /* nothing waits between it and the span before */
};

struct planning {
    const struct segment_record *records;
    size_t count, next; /* the first record that may end behind the blocks at hand */
    struct buffer spans;
    bool waits; /* a document behind the last span */
};

static struct span *last_span(const struct planning *planning)
{
    size_t count = planning->spans.size / sizeof(struct span);
    return count ? (struct span *)(void *)planning->spans.data + count - 1 : NULL;
}

static enum lmk_status add_span(struct planning *planning, uint64_t first, uint64_t end, bool built,
                                struct lmk_error *error)
{
    struct span span = {{first, end, 0}, .built = built, .joins = !planning->waits};
    planning->waits = false;
    return buffer_append(&planning->spans, &span, sizeof span, error);
}

static enum lmk_status add_built(struct planning *planning, const struct segment_record *record,
                                 uint64_t blocks, bool waits, struct lmk_error *error)
{
    struct span *last = last_span(planning);
    enum lmk_status status = LMK_OK;
    if (!last || !last->built || last->stretch.first != record->first_block)
        status = add_span(planning, record->first_block, record->end_block, true, error);
    if (status)
        return status;
    last = last_span(planning);
    last->stretch.blocks += blocks;
    last->waits |= waits;
    return LMK_OK;
}

static enum lmk_status add_new(struct planning *planning, uint64_t first, uint64_t end,
                               struct lmk_error *error)
{
    while (first < end) {
        struct span *last = last_span(planning);
        enum lmk_status status = LMK_OK;
        if (!last || last->built || planning->waits || last->stretch.blocks == SEGMENT_BLOCKS)
            status = add_span(planning, first, first, false, error);
        if (status)
            return status;
        struct stretch *stretch = &last_span(planning)->stretch;
        uint64_t room = SEGMENT_BLOCKS - stretch->blocks,
                 taken = end - first < room ? end - first : room;
        first += taken;
        stretch->blocks += taken;
        stretch->end = first;
    }
    return LMK_OK;
}

/* Segments may begin and end within a document. */
static enum lmk_status add_document(struct planning *planning, const struct document *document,
                                    struct lmk_error *error)
{
    bool waits = document->state == DOCUMENT_TEXT;
    uint64_t at = document->first_block, end = at + document->block_count, stop;
    enum lmk_status status = LMK_OK;
    for (; !status && at < end; at = stop) {
        while (planning->next < planning->count &&
               planning->records[planning->next].end_block <= at)
            planning->next++;
        const struct segment_record *record =
            planning->next < planning->count ? &planning->records[planning->next] : NULL;
        bool covered = record && record->first_block <= at;
        stop = covered ? record->end_block : record ? record->first_block : end;
        stop = stop < end ? stop : end;
        if (covered)
            status = add_built(planning, record, stop - at, waits, error);
        else if (waits)
            planning->waits = true;
        else
            status = add_new(planning, at, stop, error);
    }
    return status;
}

/* True if `span` is to become a segment and takes in its neighbour: one that is not more than
 * twice as large, so that a block is moved only log(n) times. */
static bool takes_in(const struct span *span, const struct span *neighbour)
{
    uint64_t blocks = span->stretch.blocks, more = neighbour->stretch.blocks;
    return !span->built && blocks >= SEGMENT_WORTH && !neighbour->waits && more <= 2 * blocks &&
           blocks + more <= SEGMENT_BLOCKS;
}

/* Merges neighbours in place; how many spans are left. */
static size_t merge(struct span *spans, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        struct span span = spans[i];
        for (; span.joins && kept; kept--) {
            const struct span *before = &spans[kept - 1];
            if (!takes_in(&span, before) && !takes_in(before, &span))
                break;
            span = (struct span){
                .stretch = {before->stretch.first, span.stretch.end,
                            before->stretch.blocks + span.stretch.blocks},
                .joins = before->joins,
            };
        }
        spans[kept++] = span;
    }
    return kept;
}

enum lmk_status segments_plan(struct store_view *view, const struct segment_record *records,
                              size_t count, struct buffer *stretches, struct lmk_error *error)
{
    struct planning planning = {.records = records, .count = count};
    struct document document;
    enum lmk_status status;
    buffer_init(&planning.spans, SIZE_MAX / 2);
    for (uint64_t id = 0; !(status = store_next_document(view, id, &document, error));
         id = document.id + 1)
        if ((status = add_document(&planning, &document, error)))
            break;
    if (status == LMK_NOT_FOUND)
        status = LMK_OK;
    struct span *spans = (struct span *)(void *)planning.spans.data;
    size_t kept = status ? 0 : merge(spans, planning.spans.size / sizeof *spans);
    for (size_t i = 0; !status && i < kept; i++)
        if (!spans[i].built && spans[i].stretch.blocks >= SEGMENT_WORTH)
            status = buffer_append(stretches, &spans[i].stretch, sizeof spans[i].stretch, error);
    buffer_release(&planning.spans);
    return status;
}
