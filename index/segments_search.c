#include "index/segments_internal.h"

#include "src/model/kernels.h"
#include "src/model/scoring.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ scoring */

struct search {
    struct store_view *view;
    const struct model_shape *shape;
    uint32_t part;
    const float *query;
    const struct scope *scope; /* NULL: all blocks */
    float *turned; /* [M][G][W]: the query, for landmark keys as they are stored, and zeros */
    struct buffer *results; /* struct candidate */
    double effort;          /* of landmarks_search; INFINITY: the segments are not asked */
    uint64_t probes;        /* what was looked at, as struct lmk_results has it */
};

/* Turning the query once is cheaper than rotating every landmark. */
static enum lmk_status turn_query(struct search *search, struct lmk_error *error)
{
    const struct model_shape *shape = search->shape;
    size_t width = model_landmark_width(shape);
    if (!(search->turned = calloc(width, sizeof(float))))
        return error_memory(error, width * sizeof(float));
    memcpy(search->turned + segment_part_start(shape, search->part), search->query,
           segment_part_width(shape, search->part) * sizeof(float));
    scoring_turn_query(shape, search->turned, search->turned);
    return LMK_OK;
}

static double score_key(const struct search *search, const float *key)
{
    size_t start = segment_part_start(search->shape, search->part);
    return kernel_dot(search->turned + start, key + start,
                      segment_part_width(search->shape, search->part)) /
           sqrt(search->shape->head_width);
}

static enum lmk_status score_block(void *context, uint64_t block, const float *key,
                                   struct lmk_error *error)
{
    struct search *search = context;
    struct candidate candidate = {block, score_key(search, key)};
    return buffer_append(search->results, &candidate, sizeof candidate, error);
}

/* All living blocks of the scope in [first, end). */
static enum lmk_status scan(struct search *search, uint64_t first, uint64_t end,
                            struct lmk_error *error)
{
    const struct scope *scope = search->scope;
    if (!scope)
        return store_visit_landmarks(search->view, first, end, score_block, search, error);
    enum lmk_status status = LMK_OK;
    for (size_t i = 0; !status && i < scope->count && scope->ranges[i].first < end; i++) {
        uint64_t from = scope->ranges[i].first, to = scope->ranges[i].end;
        if (to > first)
            status = store_visit_landmarks(search->view, from > first ? from : first,
                                           to < end ? to : end, score_block, search, error);
    }
    return status;
}

static uint64_t blocks_in_scope(const struct scope *scope, const struct segment_record *record)
{
    return scope_place(scope, record->end_block) - scope_place(scope, record->first_block);
}

static int by_block(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;
    return a->block < b->block ? -1 : a->block > b->block;
}

/* Scores those that are living, from their stored keys. They are put in the order in which these
 * lie. */
static enum lmk_status score_found(struct search *search, struct candidate *found, size_t count,
                                   struct lmk_error *error)
{
    enum lmk_status status = LMK_OK;
    if (count)
        qsort(found, count, sizeof *found, by_block);
    for (size_t i = 0; !status && i < count; i++) {
        const float *key;
        status = store_landmark_key(search->view, found[i].block, &key, error);
        if (status == LMK_NOT_FOUND)
            status = LMK_OK;
        else if (!status)
            status = score_block(search, found[i].block, key, error);
    }
    return status;
}

/* ------------------------------------------------------------------ asking an index */

/* A segment, and what its index gave when it was asked last. */
struct asked_segment {
    struct segment_use use;
    size_t asked;            /* of its vectors */
    struct candidate *found; /* [count] of these, in the scope, best first by the index; owned */
    size_t count, taken;
    double least; /* no other of its vectors has a better score; -INFINITY: there is none */
};

static enum lmk_status take_found(const struct search *search, struct asked_segment *segment,
                                  const uint64_t *ids, const float *scores, size_t found,
                                  struct lmk_error *error)
{
    const struct segment_record *record = segment->use.record;
    segment->count = 0;
    segment->least =
        found && segment->asked < record->vector_count ? (double)scores[found - 1] : -INFINITY;
    for (size_t i = 0; i < found; i++) {
        if (ids[i] < record->first_block || ids[i] >= record->end_block)
            return error_set(error, LMK_CORRUPT,
                             "The landmark index %s names block %" PRIu64
                             ", which it cannot hold. Run lmk verify.",
                             record->name, ids[i]);
        if (scope_holds(search->scope, ids[i]))
            segment->found[segment->count++] = (struct candidate){ids[i], (double)scores[i]};
    }
    return LMK_OK;
}

/* Asks for so many of the vectors, in place of what was asked before. */
static enum lmk_status ask(struct search *search, struct asked_segment *segment, size_t asked,
                           struct lmk_error *error)
{
    size_t found = 0, most = (size_t)segment->use.record->vector_count;
    segment->asked = asked < most ? asked : most;
    uint64_t *ids = malloc((segment->asked + 1) * sizeof *ids);
    float *scores = malloc((segment->asked + 1) * sizeof *scores);
    free(segment->found);
    segment->found = malloc((segment->asked + 1) * sizeof *segment->found);
    enum lmk_status status = ids && scores && segment->found
                                 ? LMK_OK
                                 : error_memory(error, segment->asked * sizeof *segment->found);
    if (!status)
        status = landmarks_search(segment->use.index, search->query, segment->asked, search->effort,
                                  ids, scores, &found, error);
    if (!status)
        status = take_found(search, segment, ids, scores, found, error);
    free(ids);
    free(scores);
    return status;
}

/* The `wanted` best living blocks of one segment. Removed documents' vectors stay in it until it is
 * rebuilt, and it knows no scope: when others crowd out what is wanted, many more are asked for, as
 * a search takes nearly the same time for them; at last, all blocks that may be found are scored.
 */
static enum lmk_status search_segment(struct search *search, struct asked_segment *segment,
                                      size_t wanted, struct lmk_error *error)
{
    const struct segment_record *record = segment->use.record;
    size_t before = search->results->size;
    for (size_t asked = wanted;; asked *= 8) {
        enum lmk_status status = ask(search, segment, asked, error);
        search->results->size = before;
        search->probes += landmarks_probes(segment->use.index);
        if (!status)
            status = score_found(search, segment->found, segment->count, error);
        size_t living = (search->results->size - before) / sizeof(struct candidate);
        if (status || living >= wanted || segment->asked == record->vector_count)
            return status;
        if (asked > SCOPE_FEW / 8)
            break;
    }
    search->results->size = before;
    return scan(search, record->first_block, record->end_block, error);
}

/* ------------------------------------------------------------------ coded segments

 * Codes find the best only roughly, but fast, and their scores compare over all segments. So the
 * best by codes of all segments together are scored, many more than are wanted. */

/* Takes the `most` best of what was found, or all. Where the next one may be among those that a
 * segment did not give, that is the result, to be asked for more; else NULL. */
static struct asked_segment *merge(struct asked_segment *segments, size_t count, size_t most,
                                   struct candidate *best, size_t *best_count)
{
    for (size_t i = 0; i < count; i++)
        segments[i].taken = 0;
    for (*best_count = 0; *best_count < most;) {
        struct asked_segment *next = NULL;
        double best_score = -INFINITY;
        for (size_t i = 0; i < count; i++) {
            struct asked_segment *segment = &segments[i];
            double score = segment->taken < segment->count ? segment->found[segment->taken].score
                                                           : segment->least;
            if (score > best_score) {
                best_score = score;
                next = segment;
            }
        }
        if (!next || next->taken == next->count)
            return next;
        best[(*best_count)++] = next->found[next->taken++];
    }
    return NULL;
}

static enum lmk_status find_best(struct search *search, struct asked_segment *segments,
                                 size_t count, size_t most, struct candidate *best,
                                 size_t *best_count, struct lmk_error *error)
{
    enum lmk_status status = LMK_OK;
    struct asked_segment *short_one;
    for (size_t i = 0; !status && i < count; i++)
        status = ask(search, &segments[i], most, error);
    while (!status && (short_one = merge(segments, count, most, best, best_count)))
        status = ask(search, short_one, 8 * short_one->asked, error);
    return status;
}

/* Of a segment's blocks, at most so many may be found. */
static size_t findable(const struct search *search, const struct segment_record *record)
{
    uint64_t count = record->vector_count,
             in_scope = search->scope ? blocks_in_scope(search->scope, record) : count;
    return (size_t)(in_scope < count ? in_scope : count);
}

/* How many of `all` are scored where so many are wanted. */
static size_t coded_candidates(const struct search *search, size_t wanted, size_t all)
{
    size_t usual = 2 * wanted > LANDMARKS_SCORED ? 2 * wanted : LANDMARKS_SCORED;
    double candidates = fmax(ceil(search->effort * (double)usual), (double)wanted);
    return candidates < (double)all ? (size_t)candidates : all;
}

/* Codes of removed documents stay in a segment until it is rebuilt: where most of the best are
 * such, more are scored; at last, all blocks that may be found. */
static enum lmk_status search_coded(struct search *search, struct asked_segment *segments,
                                    size_t count, size_t wanted, struct lmk_error *error)
{
    enum lmk_status status = LMK_OK;
    size_t before = search->results->size, all = 0;
    for (size_t i = 0; i < count; i++)
        all += findable(search, segments[i].use.record);
    const size_t first = coded_candidates(search, wanted, all);
    for (size_t most = first, found = 0; most < all; most *= 8) {
        struct candidate *best = malloc((most + 1) * sizeof *best);
        status = best ? find_best(search, segments, count, most, best, &found, error)
                      : error_memory(error, most * sizeof *best);
        search->results->size = before;
        if (!status)
            status = score_found(search, best, found, error);
        search->probes += found;
        free(best);
        size_t living = (search->results->size - before) / sizeof *best;
        if (status || (living >= wanted && living >= first / 2))
            return status;
        if (found < most)
            break;
    }
    search->results->size = before;
    for (size_t i = 0; !status && i < count; i++)
        status = scan(search, segments[i].use.record->first_block,
                      segments[i].use.record->end_block, error);
    return status;
}

/* ------------------------------------------------------------------ all segments */

static int by_score(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;
    if (a->score != b->score)
        return a->score < b->score ? 1 : -1;
    return by_block(left, right);
}

/* Which segments are asked: those of living blocks, but that SCOPE_FEW blocks of the scope are
 * scanned instead, as most segments have nothing of a small one. */
static size_t choose_segments(const struct search *search, const struct segment_record *records,
                              size_t count, struct segment_use *uses)
{
    uint64_t scanned = 0;
    size_t chosen = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t few = search->scope ? blocks_in_scope(search->scope, &records[i]) : SCOPE_FEW + 1;
        if (!segment_lives(search->view, &records[i]))
            continue;
        if (scanned + few <= SCOPE_FEW)
            scanned += few;
        else
            uses[chosen++].record = &records[i];
    }
    return chosen;
}

/* Asks the indexes of the segments, and scans what they do not hold. `coded` has room for all of
 * them. */
static enum lmk_status search_segments(struct search *search, const struct segment_use *uses,
                                       size_t count, size_t wanted, struct asked_segment *coded,
                                       struct lmk_error *error)
{
    enum lmk_status status = LMK_OK;
    uint64_t searched = 0;
    size_t coded_count = 0;
    for (size_t i = 0; !status && i < count; i++) {
        const struct segment_record *record = uses[i].record;
        struct asked_segment segment = {.use = uses[i]};
        status = scan(search, searched, record->first_block, error);
        if (!status && landmarks_coded(record->factory))
            coded[coded_count++] = segment;
        else if (!status) {
            status = search_segment(search, &segment, wanted, error);
            free(segment.found);
        }
        searched = record->end_block;
    }
    if (!status)
        status = scan(search, searched, UINT64_MAX, error);
    if (!status && coded_count)
        status = search_coded(search, coded, coded_count, wanted, error);
    for (size_t i = 0; i < coded_count; i++)
        free(coded[i].found);
    return status;
}

static enum lmk_status search_all(struct lmk_collection *collection, struct search *search,
                                  size_t wanted, struct lmk_error *error)
{
    struct buffer list;
    buffer_init(&list, SIZE_MAX / 2);
    enum lmk_status status = segments_list(collection, search->view, search->part, &list, error);
    const struct segment_record *records = (const struct segment_record *)list.data;
    size_t count = isinf(search->effort) ? 0 : list.size / sizeof *records;
    struct segment_use *uses = calloc(count + 1, sizeof *uses);
    struct asked_segment *coded = malloc((count + 1) * sizeof *coded);
    if (!status && (!uses || !coded))
        status = error_memory(error, count * sizeof *coded);
    size_t chosen = status ? 0 : choose_segments(search, records, count, uses);
    if (!status)
        status = segments_open(collection, uses, chosen, error);
    if (!status)
        status = search_segments(search, uses, chosen, wanted, coded, error);
    free(uses);
    free(coded);
    buffer_release(&list);
    return status;
}

enum lmk_status segments_search(struct lmk_collection *collection, struct store_view *view,
                                uint32_t part, const float *query, size_t wanted,
                                const struct scope *scope, struct candidate *candidates,
                                size_t *found, struct lmk_error *error)
{
    struct buffer results;
    buffer_init(&results, SIZE_MAX / 2);
    const struct model_shape *shape = &collection->model->shape;
    struct search search = {.view = view,
                            .shape = shape,
                            .part = part,
                            .query = query,
                            .scope = scope,
                            .results = &results,
                            .effort = collection->effort};
    *found = 0;
    enum lmk_status status = turn_query(&search, error);
    if (!status)
        status = search_all(collection, &search, wanted, error);
    if (!status) {
        size_t count = results.size / sizeof *candidates;
        if (count)
            qsort(results.data, count, sizeof *candidates, by_score);
        *found = count < wanted ? count : wanted;
        if (*found)
            memcpy(candidates, results.data, *found * sizeof *candidates);
    }
    collection->probes = search.probes;
    free(search.turned);
    buffer_release(&results);
    return status;
}

enum lmk_status segments_score(const struct lmk_collection *collection, struct store_view *view,
                               uint32_t part, const float *query, const uint64_t *blocks,
                               size_t count, double *scores, struct lmk_error *error)
{
    const struct model_shape *shape = &collection->model->shape;
    struct search search = {.view = view, .shape = shape, .part = part, .query = query};
    enum lmk_status status = turn_query(&search, error);
    for (size_t i = 0; !status && i < count; i++) {
        const float *key;
        status = store_landmark_key(view, blocks[i], &key, error);
        scores[i] = status ? NAN : score_key(&search, key);
        if (status == LMK_NOT_FOUND)
            status = LMK_OK;
    }
    free(search.turned);
    return status;
}
