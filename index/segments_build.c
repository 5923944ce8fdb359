#include "index/segments_internal.h"
#include "src/model/scoring.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ------------------------------------------------------------------ a segment's file */

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
    enum lmk_status status = buffer_append(
        &gathering->vectors, gathering->scratch + segment_part_start(shape, gathering->part),
        segment_part_width(shape, gathering->part) * sizeof(float), error);
    return status ? status : buffer_append(&gathering->ids, &block, sizeof block, error);
}

static struct segment_record new_segment(uint32_t part, const struct stretch *stretch,
                                         uint64_t batches)
{
    struct segment_record record = {
        .part = part, .first_block = stretch->first, .end_block = stretch->end};
    int used = part == SEGMENT_JOINT
                   ? snprintf(record.name, sizeof record.name, "joint")
                   : snprintf(record.name, sizeof record.name, "head%" PRIu32, part);
    snprintf(record.name + used, sizeof record.name - (size_t)used,
             "-%" PRIx64 "-%" PRIx64 "-%" PRIx64 ".faiss", record.first_block, record.end_block,
             batches);
    return record;
}

/* Writes the file of the segment over the blocks of `record`; no vectors: vector_count stays 0 and
 * no file is made. */
static enum lmk_status write_segment(struct lmk_collection *collection, struct store_view *view,
                                     const char *ann, struct segment_record *record,
                                     struct lmk_error *error)
{
    const struct model_shape *shape = &collection->model->shape;
    size_t width = segment_part_width(shape, record->part);
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
        snprintf(record->factory, sizeof record->factory, "%s", ann);
        status = !path ? error_memory(error, sizeof record->name)
                       : landmarks_build(path, record->factory, (float *)gathering.vectors.data,
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
        if (entry->d_name[0] != '.' &&
            !segment_is_named(entry->d_name, records, list.size / sizeof *records))
            unlinkat(dirfd(directory), entry->d_name, 0);
    }
    if (directory)
        closedir(directory);
    free(folder);
    buffer_release(&list);
    return status;
}

/* ------------------------------------------------------------------ what is new */

/* True if the file of a segment is there, whole by its size. */
static bool is_present(const struct lmk_collection *collection, const struct segment_record *record)
{
    struct stat information;
    char *path = segment_path(collection, record->name);
    bool present =
        path && !stat(path, &information) && (uint64_t)information.st_size == record->size;
    free(path);
    return present;
}

/* Takes those of the segments out of `list` and the store whose files have gone, or all of whose
 * blocks. */
static enum lmk_status forget_gone(struct lmk_collection *collection, struct store_view *view,
                                   struct buffer *list, struct lmk_error *error)
{
    struct segment_record *records = (struct segment_record *)(void *)list->data;
    size_t count = list->size / sizeof *records, present = 0;
    struct store_batch *batch;
    enum lmk_status status = store_batch_begin(collection->store, &batch, error);
    if (status)
        return status;
    for (size_t i = 0; !status && i < count; i++)
        if (is_present(collection, &records[i]) && segment_lives(view, &records[i]))
            records[present++] = records[i];
        else
            status = store_remove_segment(batch, records[i].name, error);
    list->size = present * sizeof *records;
    if (!status && present < count)
        return store_commit(batch, error);
    store_abort(batch);
    return status;
}

/* Names the segment in the store, instead of those that lie within it. */
static enum lmk_status commit_segment(struct store *store, const struct segment_record *record,
                                      const struct buffer *list, struct lmk_error *error)
{
    const struct segment_record *old = (const struct segment_record *)(const void *)list->data;
    struct store_batch *batch;
    enum lmk_status status = store_batch_begin(store, &batch, error);
    if (status)
        return status;
    for (size_t i = 0; !status && i < list->size / sizeof *old; i++)
        if (old[i].first_block >= record->first_block && old[i].end_block <= record->end_block)
            status = store_remove_segment(batch, old[i].name, error);
    if (!status && record->vector_count)
        status = store_put_segment(batch, record, error);
    if (!status)
        return store_commit(batch, error);
    store_abort(batch);
    return status;
}

static enum lmk_status build_part(struct lmk_collection *collection, struct store_view *view,
                                  uint32_t part, struct buffer *list, struct buffer *stretches,
                                  struct lmk_error *error)
{
    struct store_counts counts;
    enum lmk_status status = remove_stale_files(collection, view, error);
    if (status || (status = store_counts(view, &counts, error)) ||
        (status = segments_list(collection, view, part, list, error)) ||
        (status = forget_gone(collection, view, list, error)) ||
        (status = segments_plan(view, (const struct segment_record *)(const void *)list->data,
                                list->size / sizeof(struct segment_record), stretches, error)))
        return status;
    const struct stretch *items = (const struct stretch *)(const void *)stretches->data;
    for (size_t i = 0; !status && i < stretches->size / sizeof *items; i++) {
        struct segment_record record = new_segment(part, &items[i], counts.batches);
        const char *ann = store_settings(collection->store)->ann;
        if (!(status = write_segment(collection, view, ann, &record, error)))
            status = commit_segment(collection->store, &record, list, error);
    }
    return status;
}

enum lmk_status segments_build(struct lmk_collection *collection, uint32_t part,
                               struct lmk_error *error)
{
    struct store_view *view;
    enum lmk_status status = collection_needs_write(collection, error);
    if (status || (status = store_view_begin(collection->store, &view, error)))
        return status;
    struct buffer list, stretches;
    buffer_init(&list, SIZE_MAX / 2);
    buffer_init(&stretches, SIZE_MAX / 2);
    status = build_part(collection, view, part, &list, &stretches, error);
    store_view_end(view);
    buffer_release(&list);
    buffer_release(&stretches);
    return status;
}

/* ------------------------------------------------------------------ building anew */

static enum lmk_status rebuild_part(struct lmk_collection *collection, struct store_view *view,
                                    const char *ann, uint32_t part, struct buffer *made,
                                    struct lmk_error *error)
{
    struct store_counts counts;
    struct buffer stretches;
    buffer_init(&stretches, SIZE_MAX / 2);
    enum lmk_status status = store_counts(view, &counts, error);
    if (!status)
        status = segments_plan(view, NULL, 0, &stretches, error);
    const struct stretch *items = (const struct stretch *)(const void *)stretches.data;
    for (size_t i = 0; !status && i < stretches.size / sizeof *items; i++) {
        struct segment_record record = new_segment(part, &items[i], counts.batches);
        if (!(status = write_segment(collection, view, ann, &record, error)) && record.vector_count)
            status = buffer_append(made, &record, sizeof record, error);
    }
    buffer_release(&stretches);
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
