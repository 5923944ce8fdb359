#include "index/segments_internal.h"

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

bool segment_is_named(const char *name, const struct segment_record *records, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!strcmp(records[i].name, name))
            return true;
    return false;
}

/* Of segments that were merged. */
static void close_unnamed(struct segments *segments, const struct segment_record *records,
                          size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; segments && i < segments->count; i++)
        if (segment_is_named(segments->items[i].name, records, count))
            segments->items[kept++] = segments->items[i];
        else
            landmarks_close(segments->items[i].index);
    if (segments)
        segments->count = kept;
}

enum lmk_status segments_list(struct lmk_collection *collection, struct store_view *view,
                              uint32_t part, struct buffer *list, struct lmk_error *error)
{
    struct buffer all;
    buffer_init(&all, list->limit);
    enum lmk_status status = store_segments(view, &all, error);
    const struct segment_record *records = (const struct segment_record *)all.data;
    if (!status)
        close_unnamed(collection->segments, records, all.size / sizeof *records);
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

static struct landmark_segment *find_open(const struct segments *segments, const char *name)
{
    for (size_t i = 0; i < segments->count; i++)
        if (!strcmp(segments->items[i].name, name))
            return segments->items[i].index;
    return NULL;
}

static enum lmk_status keep_open(struct segments *segments, const struct segment_use *use,
                                 struct lmk_error *error)
{
    size_t bytes = (segments->count + 1) * sizeof *segments->items;
    struct open_segment *items = realloc(segments->items, bytes);
    if (!items)
        return error_memory(error, bytes);
    segments->items = items;
    struct open_segment *opened = &items[segments->count++];
    memcpy(opened->name, use->record->name, sizeof opened->name);
    opened->index = use->index;
    return LMK_OK;
}

/* Opens those that are missing, several at once: a process that asks one question spends most of
 * its time here, where codes are checked and copied into memory. */
static enum lmk_status open_missing(struct lmk_collection *collection,
                                    struct segment_use *const *missing, size_t count,
                                    struct lmk_error *error)
{
    enum lmk_status status = LMK_OK;
    size_t failed = count;
#pragma omp parallel for schedule(dynamic, 1) if (count > 1)
    for (size_t i = 0; i < count; i++) {
        struct lmk_error fault;
        enum lmk_status result =
            open_segment(collection, missing[i]->record, &missing[i]->index, &fault);
        if (!result)
            continue;
#pragma omp critical(segment_failure)
        if (i < failed) {
            failed = i;
            status = result;
            if (error)
                *error = fault;
        }
    }
    for (size_t i = 0; i < count; i++) {
        enum lmk_status kept = LMK_OK;
        if (missing[i]->index && (kept = keep_open(collection->segments, missing[i], error))) {
            landmarks_close(missing[i]->index);
            status = kept;
        }
    }
    return status;
}

enum lmk_status segments_open(struct lmk_collection *collection, struct segment_use *uses,
                              size_t count, struct lmk_error *error)
{
    size_t missing_count = 0;
    if (!collection->segments && !(collection->segments = calloc(1, sizeof *collection->segments)))
        return error_memory(error, sizeof *collection->segments);
    struct segment_use **missing = malloc((count + 1) * sizeof *missing);
    if (!missing)
        return error_memory(error, (count + 1) * sizeof *missing);
    for (size_t i = 0; i < count; i++)
        if (!(uses[i].index = find_open(collection->segments, uses[i].record->name)))
            missing[missing_count++] = &uses[i];
    enum lmk_status status = open_missing(collection, missing, missing_count, error);
    free(missing);
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
