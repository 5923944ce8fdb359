#include "index/segments.h"

#include "index/landmarks.h"
#include "src/model/kernels.h"
#include "src/model/scoring.h"

#include <dirent.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The most vectors of a segment: building one keeps that many in memory as float32. */
#define SEGMENT_BLOCKS ((uint64_t)1 << 18)
/* Fewer new blocks than these are scanned exactly instead. */
#define SEGMENT_WORTH 256

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

static size_t part_width(const struct model_shape *shape, uint32_t part)
{
    return part == SEGMENT_JOINT ? model_landmark_width(shape) : shape->head_width;
}

/* Where the part begins in [M][G][W]. */
static size_t part_start(const struct model_shape *shape, uint32_t part)
{
    return part == SEGMENT_JOINT ? 0 : (size_t)(part - 1) * shape->head_width;
}

/* ------------------------------------------------------------------ listing and opening */

/* Appends the segments of one part to `list`, in order of their blocks. */
static enum lmk_status list_part(struct store_view *view, uint32_t part, struct buffer *list,
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

static char *segment_path(const struct lmk_collection *collection, const char *name)
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
        landmarks_open(index, path, part_width(&collection->model->shape, record->part),
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
    memcpy(search->turned + part_start(shape, search->part), search->query,
           part_width(shape, search->part) * sizeof(float));
    scoring_turn_query(shape, search->turned, search->turned);
    return LMK_OK;
}

static double score_key(const struct search *search, const float *key)
{
    size_t start = part_start(search->shape, search->part);
    return kernel_dot(search->turned + start, key + start,
                      part_width(search->shape, search->part)) /
           sqrt(search->shape->head_width);
}

static enum lmk_status score_block(void *context, uint64_t block, const float *key,
                                   struct lmk_error *error)
{
    struct search *search = context;
    if (!scope_holds(search->scope, block))
        return LMK_OK;
    struct candidate candidate = {block, score_key(search, key)};
    return buffer_append(search->results, &candidate, sizeof candidate, error);
}

/* The `wanted` best living blocks of one segment. Removed documents' vectors stay in it until it is
 * rebuilt, and it knows no scope: when others crowd out what is wanted, more are asked for. */
static enum lmk_status search_segment(struct search *search, struct landmark_segment *index,
                                      const struct segment_record *record, size_t wanted,
                                      struct lmk_error *error)
{
    size_t before = search->results->size;
    for (size_t asked = wanted;; asked *= 2) {
        if (asked > record->vector_count)
            asked = record->vector_count;
        uint64_t *ids = malloc((asked ? asked : 1) * sizeof *ids);
        float *scores = malloc((asked ? asked : 1) * sizeof *scores);
        size_t found = 0;
        enum lmk_status status = ids && scores ? LMK_OK : error_memory(error, asked * sizeof *ids);
        if (!status)
            status = landmarks_search(index, search->query, asked, search->effort, ids, scores,
                                      &found, error);
        search->probes += landmarks_probes(index);
        search->results->size = before;
        for (size_t i = 0; !status && i < found; i++) {
            const float *key;
            if (ids[i] < record->first_block || ids[i] >= record->end_block) {
                status = error_set(error, LMK_CORRUPT,
                                   "The landmark index %s names block %" PRIu64
                                   ", which it cannot hold. Run lmk verify.",
                                   record->name, ids[i]);
                break;
            }
            status = store_landmark_key(search->view, ids[i], &key, error);
            status = status == LMK_NOT_FOUND ? LMK_OK
                     : status                ? status
                                             : score_block(search, ids[i], key, error);
        }
        free(ids);
        free(scores);
        size_t living = (search->results->size - before) / sizeof(struct candidate);
        if (status || living >= wanted || asked == record->vector_count)
            return status;
    }
}

static int by_score(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;
    if (a->score != b->score)
        return a->score < b->score ? 1 : -1;
    return a->block < b->block ? -1 : a->block > b->block;
}

static enum lmk_status scan_scope(struct search *search, struct lmk_error *error)
{
    enum lmk_status status = LMK_OK;
    for (size_t i = 0; !status && i < search->scope->count; i++)
        status = store_visit_landmarks(search->view, search->scope->ranges[i].first,
                                       search->scope->ranges[i].end, score_block, search, error);
    return status;
}

static enum lmk_status search_all(struct lmk_collection *collection, struct search *search,
                                  size_t wanted, struct lmk_error *error)
{
    if (search->scope && search->scope->blocks <= SCOPE_FEW)
        return scan_scope(search, error);
    struct buffer list;
    buffer_init(&list, SIZE_MAX / 2);
    enum lmk_status status = list_part(search->view, search->part, &list, error);
    const struct segment_record *records = (const struct segment_record *)list.data;
    uint64_t covered = 0;
    size_t count = isinf(search->effort) ? 0 : list.size / sizeof *records;
    for (size_t i = 0; !status && i < count; i++) {
        struct landmark_segment *index;
        if (!(status = find_segment(collection, &records[i], &index, error)))
            status = search_segment(search, index, &records[i], wanted, error);
        covered = records[i].end_block;
    }
    if (!status)
        status =
            store_visit_landmarks(search->view, covered, UINT64_MAX, score_block, search, error);
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

/* ------------------------------------------------------------------ building */

struct gathering {
    const struct model_shape *shape;
    uint32_t part;
    float *scratch;
    struct buffer vectors, ids;
};

static enum lmk_status gather(void *context, uint64_t block, const float *key,
                              struct lmk_error *error)
{
    struct gathering *gathering = context;
    const struct model_shape *shape = gathering->shape;
    scoring_rotate_landmark(shape, key, gathering->scratch);
    enum lmk_status status =
        buffer_append(&gathering->vectors, gathering->scratch + part_start(shape, gathering->part),
                      part_width(shape, gathering->part) * sizeof(float), error);
    return status ? status : buffer_append(&gathering->ids, &block, sizeof block, error);
}

/* Joint scores share a large common part. Taking the mean away changes no order within a segment,
 * and leaves what quantisation and clustering are for: the differences. */
static void subtract_mean(float *vectors, size_t count, size_t width)
{
    for (size_t i = 0; i < width; i++) {
        double sum = 0;
        for (size_t row = 0; row < count; row++)
            sum += vectors[row * width + i];
        for (size_t row = 0; row < count; row++)
            vectors[row * width + i] -= (float)(sum / (double)count);
    }
}

static void name_segment(struct segment_record *record, uint64_t batches)
{
    int used = record->part == SEGMENT_JOINT
                   ? snprintf(record->name, sizeof record->name, "joint")
                   : snprintf(record->name, sizeof record->name, "head%" PRIu32, record->part);
    snprintf(record->name + used, sizeof record->name - (size_t)used,
             "-%" PRIx64 "-%" PRIx64 "-%" PRIx64 ".faiss", record->first_block, record->end_block,
             batches);
}

/* Writes the file of the segment over the blocks of `record`; no vectors: vector_count stays 0 and
 * no file is made. */
static enum lmk_status write_segment(struct lmk_collection *collection, struct store_view *view,
                                     const char *ann, struct segment_record *record,
                                     struct lmk_error *error)
{
    const struct model_shape *shape = &collection->model->shape;
    size_t width = part_width(shape, record->part);
    struct gathering gathering = {
        shape, record->part, malloc(model_landmark_width(shape) * sizeof(float)), {0}, {0}};
    buffer_init(&gathering.vectors, SIZE_MAX / 2);
    buffer_init(&gathering.ids, SIZE_MAX / 2);
    enum lmk_status status = LMK_OK;
    if (!gathering.scratch)
        status = error_memory(error, model_landmark_width(shape) * sizeof(float));
    else
        status = store_visit_landmarks(view, record->first_block, record->end_block, gather,
                                       &gathering, error);
    record->vector_count = gathering.ids.size / sizeof(uint64_t);
    if (!status && record->vector_count) {
        char *path = segment_path(collection, record->name);
        if (ann[0])
            snprintf(record->factory, sizeof record->factory, "%s", ann);
        else
            landmarks_default_factory(record->vector_count, record->factory);
        subtract_mean((float *)gathering.vectors.data, record->vector_count, width);
        status = !path
                     ? error_memory(error, sizeof record->name)
                     : landmarks_build(path, record->factory, (const float *)gathering.vectors.data,
                                       (const uint64_t *)gathering.ids.data, record->vector_count,
                                       width, &record->size, record->hash, error);
        free(path);
    }
    free(gathering.scratch);
    buffer_release(&gathering.vectors);
    buffer_release(&gathering.ids);
    return status;
}

/* Removes files that no record names: of merged segments, and of a run that was killed before it
 * committed. Done before the next build and not right after a merge, as a reader may hold an older
 * view. */
static enum lmk_status remove_stale_files(struct lmk_collection *collection,
                                          struct store_view *view, struct lmk_error *error)
{
    struct buffer list;
    buffer_init(&list, SIZE_MAX / 2);
    enum lmk_status status = store_segments(view, &list, error);
    const struct segment_record *records = (const struct segment_record *)list.data;
    char *folder = collection_join(collection->directory, "landmarks");
    DIR *directory = status || !folder ? NULL : opendir(folder);
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        bool named = entry->d_name[0] == '.';
        for (size_t i = 0; !named && i < list.size / sizeof *records; i++)
            named = !strcmp(records[i].name, entry->d_name);
        if (!named)
            unlinkat(dirfd(directory), entry->d_name, 0);
    }
    if (directory)
        closedir(directory);
    free(folder);
    buffer_release(&list);
    return status;
}

/* The end of the blocks that are sure to have landmarks: documents are indexed in order of their
 * ids. */
static enum lmk_status ready_end(struct store_view *view, uint64_t *end, struct lmk_error *error)
{
    struct store_counts counts;
    enum lmk_status status = store_counts(view, &counts, error);
    if (status)
        return status;
    *end = counts.next_block;
    struct document document;
    for (uint64_t id = 0; !(status = store_next_document(view, id, &document, error));
         id = document.id + 1)
        if (document.state == DOCUMENT_TEXT) {
            *end = document.first_block;
            return LMK_OK;
        }
    return status == LMK_NOT_FOUND ? LMK_OK : status;
}

/* What is to be done: `first` is where the new segments start, and from `kept` on the old records
 * are replaced. A merge takes in neighbours up to twice as large as what is new, so that a block is
 * moved only log(n) times. */
static uint64_t plan_merge(const struct segment_record *records, size_t count, uint64_t end,
                           size_t *kept)
{
    uint64_t first = count ? records[count - 1].end_block : 0;
    *kept = count;
    while (*kept && records[*kept - 1].vector_count <= 2 * (end - first) &&
           end - records[*kept - 1].first_block <= SEGMENT_BLOCKS)
        first = records[--*kept].first_block;
    return first;
}

/* How many segments, from the first on, still have their files, whole by their sizes. */
static size_t count_present(const struct lmk_collection *collection,
                            const struct segment_record *records, size_t count)
{
    size_t present = 0;
    for (bool there = true; there && present < count; present += there) {
        struct stat information;
        char *path = segment_path(collection, records[present].name);
        there = path && !stat(path, &information) &&
                (uint64_t)information.st_size == records[present].size;
        free(path);
    }
    return present;
}

static enum lmk_status commit_segment(struct store *store, const struct segment_record *record,
                                      const struct segment_record *replaced, size_t replaced_count,
                                      struct lmk_error *error)
{
    struct store_batch *batch;
    enum lmk_status status = store_batch_begin(store, &batch, error);
    if (status)
        return status;
    for (size_t i = 0; !status && i < replaced_count; i++)
        status = store_remove_segment(batch, replaced[i].name, error);
    if (!status && record->vector_count)
        status = store_put_segment(batch, record, error);
    if (!status)
        return store_commit(batch, error);
    store_abort(batch);
    return status;
}

/* Moves `first` on to a block that a document has, or to `end`: where many documents were removed,
 * nothing is to be built. `next_id`: documents below it end before. */
static enum lmk_status skip_gap(struct store_view *view, uint64_t *next_id, uint64_t *first,
                                uint64_t end, struct lmk_error *error)
{
    struct document document;
    enum lmk_status status;
    while (!(status = store_next_document(view, *next_id, &document, error))) {
        if (document.first_block + document.block_count > *first) {
            if (document.first_block > *first)
                *first = document.first_block < end ? document.first_block : end;
            return LMK_OK;
        }
        *next_id = document.id + 1;
    }
    *first = end;
    return status == LMK_NOT_FOUND ? LMK_OK : status;
}

static enum lmk_status build_over(struct lmk_collection *collection, struct store_view *view,
                                  uint32_t part, struct lmk_error *error)
{
    const char *ann = store_settings(collection->store)->ann;
    uint64_t end = 0, next_id = 0;
    struct store_counts counts;
    struct buffer list;
    buffer_init(&list, SIZE_MAX / 2);
    enum lmk_status status = remove_stale_files(collection, view, error);
    if (!status && !(status = ready_end(view, &end, error)) &&
        !(status = store_counts(view, &counts, error)))
        status = list_part(view, part, &list, error);
    const struct segment_record *records = (const struct segment_record *)list.data;
    size_t count = list.size / sizeof *records, kept;
    size_t present = count_present(collection, records, count);
    uint64_t covered = present ? records[present - 1].end_block : 0;
    if (!status && (end >= covered + SEGMENT_WORTH || present < count)) {
        uint64_t first = plan_merge(records, present, end, &kept);
        while (!status && first < end) {
            if (count == kept &&
                ((status = skip_gap(view, &next_id, &first, end, error)) || first == end))
                break;
            struct segment_record record = {.part = part, .first_block = first};
            record.end_block = end - first < SEGMENT_BLOCKS ? end : first + SEGMENT_BLOCKS;
            name_segment(&record, counts.batches);
            if (!(status = write_segment(collection, view, ann, &record, error)))
                status =
                    commit_segment(collection->store, &record, records + kept, count - kept, error);
            count = kept;
            first = record.end_block;
        }
    }
    buffer_release(&list);
    return status;
}

enum lmk_status segments_build(struct lmk_collection *collection, uint32_t part,
                               struct lmk_error *error)
{
    struct store_view *view;
    enum lmk_status status = collection_needs_write(collection, error);
    if (status || (status = store_view_begin(collection->store, &view, error)))
        return status;
    status = build_over(collection, view, part, error);
    store_view_end(view);
    return status;
}

/* ------------------------------------------------------------------ building anew */

/* The end of a segment that begins at `first`: whole documents as far as their blocks fit. */
static enum lmk_status range_end(struct store_view *view, uint64_t *next_id, uint64_t first,
                                 uint64_t ready, uint64_t *end, struct lmk_error *error)
{
    struct document document;
    uint64_t blocks = 0;
    enum lmk_status status;
    *end = first;
    while (!(status = store_next_document(view, *next_id, &document, error))) {
        uint64_t document_end = document.first_block + document.block_count;
        if (document.first_block >= ready)
            break;
        if (blocks && blocks + document.block_count > SEGMENT_BLOCKS)
            return LMK_OK;
        uint64_t start = document.first_block > first ? document.first_block : first;
        if (document_end - start > SEGMENT_BLOCKS) {
            *end = start + SEGMENT_BLOCKS; /* the document goes on in the next segment */
            return LMK_OK;
        }
        blocks += document_end - start;
        *end = document_end;
        *next_id = document.id + 1;
    }
    *end = ready;
    return status == LMK_NOT_FOUND ? LMK_OK : status;
}

static enum lmk_status rebuild_part(struct lmk_collection *collection, struct store_view *view,
                                    const char *ann, uint32_t part, struct buffer *made,
                                    struct lmk_error *error)
{
    struct store_counts counts;
    uint64_t ready, next_id = 0, first = 0;
    enum lmk_status status = ready_end(view, &ready, error);
    if (!status)
        status = store_counts(view, &counts, error);
    while (!status && first < ready) {
        struct segment_record record = {.part = part, .first_block = first};
        if ((status = range_end(view, &next_id, first, ready, &record.end_block, error)))
            break;
        if (record.end_block == ready && ready - first < SEGMENT_WORTH)
            break;
        first = record.end_block;
        name_segment(&record, counts.batches);
        if (!(status = write_segment(collection, view, ann, &record, error)) && record.vector_count)
            status = buffer_append(made, &record, sizeof record, error);
    }
    return status;
}

/* True if a part has segments before the record at `index`. */
static bool part_is_known(const struct segment_record *records, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (records[i].part == records[index].part)
            return true;
    return false;
}

static enum lmk_status replace_all(struct store *store, const char *ann, const struct buffer *old,
                                   const struct buffer *made, struct lmk_error *error)
{
    const struct segment_record *gone = (const struct segment_record *)old->data,
                                *records = (const struct segment_record *)made->data;
    struct store_batch *batch;
    enum lmk_status status = store_batch_begin(store, &batch, error);
    if (status)
        return status;
    for (size_t i = 0; !status && i < old->size / sizeof *gone; i++)
        status = store_remove_segment(batch, gone[i].name, error);
    for (size_t i = 0; !status && i < made->size / sizeof *records; i++)
        status = store_put_segment(batch, &records[i], error);
    if (!status)
        status = store_set_ann(batch, ann, error);
    if (!status)
        return store_commit(batch, error);
    store_abort(batch);
    return status;
}

static enum lmk_status rebuild_all(struct lmk_collection *collection, struct store_view *view,
                                   const char *ann, struct lmk_error *error)
{
    struct buffer old, made;
    buffer_init(&old, SIZE_MAX / 2);
    buffer_init(&made, SIZE_MAX / 2);
    enum lmk_status status = remove_stale_files(collection, view, error);
    if (!status)
        status = store_segments(view, &old, error);
    const struct segment_record *records = (const struct segment_record *)old.data;
    if (!status)
        status = rebuild_part(collection, view, ann, SEGMENT_JOINT, &made, error);
    for (size_t i = 0; !status && i < old.size / sizeof *records; i++)
        if (records[i].part != SEGMENT_JOINT && !part_is_known(records, i))
            status = rebuild_part(collection, view, ann, records[i].part, &made, error);
    if (!status)
        status = replace_all(collection->store, ann, &old, &made, error);
    buffer_release(&old);
    buffer_release(&made);
    return status;
}

enum lmk_status segments_rebuild(struct lmk_collection *collection, const char *ann,
                                 struct lmk_error *error)
{
    struct store_view *view;
    enum lmk_status status = collection_needs_model(collection, error);
    if (status || (status = collection_needs_write(collection, error)) ||
        (status = store_view_begin(collection->store, &view, error)))
        return status;
    char chosen[sizeof store_settings(collection->store)->ann];
    snprintf(chosen, sizeof chosen, "%s", ann ? ann : store_settings(collection->store)->ann);
    status = rebuild_all(collection, view, chosen, error);
    store_view_end(view);
    return status;
}

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
