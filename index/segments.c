#include "index/segments_internal.h"

#include "src/model/kernels.h"
#include "src/model/scoring.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Open segments, by name. Names are never used again, so an open one stays right. */
struct open_segment {
    char name[64];
    struct landmark_segment *index;
};

struct segments {
    struct open_segment *items;
    size_t count;
};

void segments_close(struct segments *segments)
{
    if (!segments)
        return;
    for (size_t i = 0; i < segments->count; i++)
        landmarks_close(segments->items[i].index);
    free(segments->items);
    free(segments);
}

/* ------------------------------------------------------------------ parts */

size_t segment_part_width(const struct model_shape *shape, uint32_t part)
{
    return part == SEGMENT_JOINT ? model_landmark_width(shape) : shape->head_width;
}

size_t segment_part_start(const struct model_shape *shape, uint32_t part)
{
    return part == SEGMENT_JOINT ? 0 : (size_t)(part - 1) * shape->head_width;
}

/* ------------------------------------------------------------------ listing and opening */

enum lmk_status segments_list(struct store_view *view, uint32_t part, struct buffer *list,
                              struct lmk_error *error)
{
    struct buffer all;
    buffer_init(&all, list->limit);
    enum lmk_status status = store_segments(view, &all, error);
    const struct segment_record *records = (const struct segment_record *)all.data;
    for (size_t i = 0; !status && i < all.size / sizeof *records; i++) {
        if (records[i].part != part)
            continue;
        if ((status = buffer_append(list, &records[i], sizeof *records, error)))
            break;
        struct segment_record *sorted = (struct segment_record *)list->data;
        for (size_t j = list->size / sizeof *sorted - 1;
             j && sorted[j - 1].first_block > sorted[j].first_block; j--) {
            struct segment_record swap = sorted[j];
            sorted[j] = sorted[j - 1];
            sorted[j - 1] = swap;
        }
    }
    buffer_release(&all);
    return status;
}

/* Damage is for those to find who read the blocks. */
bool segment_lives(struct store_view *view, const struct segment_record *record)
{
    uint64_t first, end;
    return store_find_landmark(view, record->first_block, &first, &end, NULL) != LMK_NOT_FOUND ||
           end < record->end_block;
}

char *segment_path(const struct lmk_collection *collection, const char *name)
{
    char *path;
    return asprintf(&path, "%s/landmarks/%s", collection->directory, name) < 0 ? NULL : path;
}

static enum lmk_status open_segment(struct lmk_collection *collection,
                                    const struct segment_record *record,
                                    struct landmark_segment **index, struct lmk_error *error)
{
    char *path = segment_path(collection, record->name);
    if (!path)
        return error_memory(error, sizeof record->name);
    enum lmk_status status =
        landmarks_open(index, path, segment_part_width(&collection->model->shape, record->part),
                       record->size, record->hash, error);
    free(path);
    return status;
}

/* The open index of a record, opened at its first use and kept. */
static enum lmk_status find_segment(struct lmk_collection *collection,
                                    const struct segment_record *record,
                                    struct landmark_segment **index, struct lmk_error *error)
{
    if (!collection->segments && !(collection->segments = calloc(1, sizeof *collection->segments)))
        return error_memory(error, sizeof *collection->segments);
    struct segments *segments = collection->segments;
    for (size_t i = 0; i < segments->count; i++)
        if (!strcmp(segments->items[i].name, record->name)) {
            *index = segments->items[i].index;
            return LMK_OK;
        }
    struct open_segment *items = realloc(segments->items, (segments->count + 1) * sizeof *items);
    if (!items)
        return error_memory(error, (segments->count + 1) * sizeof *items);
    segments->items = items;
    enum lmk_status status = open_segment(collection, record, index, error);
    if (status)
        return status;
    struct open_segment *opened = &items[segments->count++];
    memcpy(opened->name, record->name, sizeof opened->name);
    opened->index = *index;
    return LMK_OK;
}

/* ------------------------------------------------------------------ searching */

struct search {
    struct store_view *view;
    const struct model_shape *shape;
    uint32_t part;
    const float *query;
    const struct scope *scope; /* NULL: all blocks */
    float *turned; /* [M][G][W]: the query, for landmark keys as they are stored, and zeros */
    struct buffer *results; /* struct candidate */
    double effort;          /* of landmarks_search; INFINITY: the segments are not asked */
    uint64_t probes;        /* landmarks_probes of the segments, added up */
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

/* Scores what the index of a segment has among the `asked` best, and is living and in the scope. */
static enum lmk_status ask_segment(struct search *search, struct landmark_segment *index,
                                   const struct segment_record *record, size_t asked,
                                   struct lmk_error *error)
{
    uint64_t *ids = malloc((asked + 1) * sizeof *ids);
    float *scores = malloc((asked + 1) * sizeof *scores);
    size_t found = 0;
    enum lmk_status status =
        ids && scores ? LMK_OK : error_memory(error, (asked + 1) * sizeof *ids);
    if (!status)
        status = landmarks_search(index, search->query, asked, search->effort, ids, scores, &found,
                                  error);
    search->probes += landmarks_probes(index);
    for (size_t i = 0; !status && i < found; i++) {
        const float *key;
        if (ids[i] < record->first_block || ids[i] >= record->end_block)
            status = error_set(error, LMK_CORRUPT,
                               "The landmark index %s names block %" PRIu64
                               ", which it cannot hold. Run lmk verify.",
                               record->name, ids[i]);
        else if (scope_holds(search->scope, ids[i])) {
            status = store_landmark_key(search->view, ids[i], &key, error);
            status = status == LMK_NOT_FOUND ? LMK_OK
                     : status                ? status
                                             : score_block(search, ids[i], key, error);
        }
    }
    free(ids);
    free(scores);
    return status;
}

/* The `wanted` best living blocks of one segment. Removed documents' vectors stay in it until it is
 * rebuilt, and it knows no scope: when others crowd out what is wanted, many more are asked for, as
 * a search takes nearly the same time for them; at last, all blocks that may be found are scored.
 */
static enum lmk_status search_segment(struct search *search, struct landmark_segment *index,
                                      const struct segment_record *record, size_t wanted,
                                      struct lmk_error *error)
{
    size_t before = search->results->size, most = (size_t)record->vector_count;
    for (size_t asked = wanted;; asked *= 8) {
        if (asked > most)
            asked = most;
        search->results->size = before;
        enum lmk_status status = ask_segment(search, index, record, asked, error);
        size_t living = (search->results->size - before) / sizeof(struct candidate);
        if (status || living >= wanted || asked == most)
            return status;
        if (asked > SCOPE_FEW / 8)
            break;
    }
    search->results->size = before;
    return scan(search, record->first_block, record->end_block, error);
}

static int by_score(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;
    if (a->score != b->score)
        return a->score < b->score ? 1 : -1;
    return a->block < b->block ? -1 : a->block > b->block;
}

/* Asks the indexes of the segments, and scans what they do not hold, and of the scope SCOPE_FEW
 * blocks that they do: most of them have nothing of a small one. */
static enum lmk_status search_all(struct lmk_collection *collection, struct search *search,
                                  size_t wanted, struct lmk_error *error)
{
    struct buffer list;
    buffer_init(&list, SIZE_MAX / 2);
    enum lmk_status status = segments_list(search->view, search->part, &list, error);
    const struct segment_record *records = (const struct segment_record *)list.data;
    uint64_t searched = 0, scanned = 0;
    size_t count = isinf(search->effort) ? 0 : list.size / sizeof *records;
    for (size_t i = 0; !status && i < count; i++) {
        struct landmark_segment *index;
        uint64_t few = search->scope ? blocks_in_scope(search->scope, &records[i]) : SCOPE_FEW + 1;
        if (!segment_lives(search->view, &records[i]))
            continue;
        if (scanned + few <= SCOPE_FEW) {
            scanned += few;
            continue;
        }
        status = scan(search, searched, records[i].first_block, error);
        if (!status && !(status = find_segment(collection, &records[i], &index, error)))
            status = search_segment(search, index, &records[i], wanted, error);
        searched = records[i].end_block;
    }
    if (!status)
        status = scan(search, searched, UINT64_MAX, error);
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

/* ------------------------------------------------------------------ verifying */

enum lmk_status segments_verify(struct lmk_collection *collection, struct store_view *view,
                                void (*problem)(void *context, const char *sentence), void *context,
                                uint64_t *checked, struct lmk_error *error)
{
    struct buffer list;
    buffer_init(&list, SIZE_MAX / 2);
    enum lmk_status status = store_segments(view, &list, error);
    const struct segment_record *records = (const struct segment_record *)list.data;
    *checked = 0;
    for (size_t i = 0; !status && i < list.size / sizeof *records; i++) {
        char *path = segment_path(collection, records[i].name);
        struct lmk_error fault;
        if (!path)
            status = error_memory(error, sizeof records[i].name);
        else if (landmarks_check(path, records[i].size, records[i].hash, &fault))
            problem(context, fault.message);
        free(path);
        ++*checked;
    }
    buffer_release(&list);
    return status;
}
