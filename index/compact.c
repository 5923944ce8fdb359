/* lmk_compact and lmk_reindex_ann: what is derived, and what is left over, made anew. */
#include "index/generation.h"
#include "index/landmarks.h"
#include "index/lexical.h"
#include "index/segments.h"
#include "index/space.h"
#include "src/base/directory.h"

#include <stdlib.h>
#include <string.h>

/* Bytes of everything that the generation uses. */
static enum lmk_status bytes_in_use(struct lmk_collection *collection, uint64_t *bytes,
                                    struct lmk_error *error)
{
    struct store_view *view;
    struct store_sizes sizes;
    struct buffer segments;
    buffer_init(&segments, SIZE_MAX / 2);
    enum lmk_status status = store_view_begin(collection->store, &view, error);
    if (status)
        return status;
    if (!(status = store_sizes(view, &sizes, error)) &&
        !(status = store_segments(view, &segments, error))) {
        *bytes = sizes.text + sizes.landmarks + sizes.keys_values + sizes.other +
                 lexical_bytes(collection);
        const struct segment_record *records = (const struct segment_record *)segments.data;
        for (size_t i = 0; i < segments.size / sizeof *records; i++)
            *bytes += records[i].size;
    }
    store_view_end(view);
    buffer_release(&segments);
    return status;
}

static enum lmk_status check_space(struct lmk_collection *collection,
                                   bool (*announce)(void *context, const struct lmk_space *space),
                                   void *context, struct lmk_error *error)
{
    struct lmk_space space;
    enum lmk_status status = bytes_in_use(collection, &space.needed, error);
    if (!status)
        status = space_available(collection->path, &space.available, error);
    if (status)
        return status;
    if (announce && !announce(context, &space))
        return error_set(error, LMK_INTERRUPTED, "Stopped before anything was done.");
    return space_check(&space, "Compacting", collection->path, error);
}

/* The segments of the copy, built within it. */
static enum lmk_status rebuild_segments(const struct lmk_collection *collection,
                                        const char *directory, struct lmk_error *error)
{
    struct lmk_collection copy = {.path = collection->path,
                                  .model = collection->model,
                                  .directory = (char *)(uintptr_t)directory,
                                  .lock = collection->lock};
    enum lmk_status status = store_open(&copy.store, directory, true, error);
    if (!status)
        status = segments_rebuild(&copy, NULL, error);
    store_close(copy.store);
    return status;
}

/* Words that are missing or damaged are made again by the next run of lmk_index. */
static enum lmk_status copy_words(struct lmk_collection *collection, const char *directory,
                                  struct lmk_error *error)
{
    enum lmk_status status = lexical_copy(collection, directory, error);
    return status == LMK_NOT_FOUND || status == LMK_CORRUPT ? LMK_OK : status;
}

static enum lmk_status build(struct lmk_collection *collection, const char *directory,
                             struct lmk_error *error)
{
    enum lmk_status status = generation_remove(collection->path, NEXT_COMPACT, error);
    if (!status && !(status = generation_make_directories(directory, error)) &&
        !(status = store_copy(collection->store, directory, error)) &&
        !(status = copy_words(collection, directory, error)) &&
        !(status = rebuild_segments(collection, directory, error)))
        status = directory_sync(directory, error);
    return status;
}

enum lmk_status lmk_compact(struct lmk_collection *collection,
                            bool (*announce)(void *context, const struct lmk_space *space),
                            void *context, struct lmk_error *error)
{
    enum lmk_status status = collection_needs_model(collection, error);
    if (status || (status = collection_needs_write(collection, error)) ||
        (status = check_space(collection, announce, context, error)))
        return status;
    char *directory = collection_join(collection->path, NEXT_COMPACT);
    if (!directory)
        return error_memory(error, strlen(collection->path));
    status = build(collection, directory, error);
    free(directory);
    if (!status)
        return collection_switch(collection, NEXT_COMPACT, error);
    generation_remove(collection->path, NEXT_COMPACT, NULL);
    return status;
}

enum lmk_status lmk_reindex_ann(struct lmk_collection *collection, const char *ann,
                                struct lmk_error *error)
{
    char factory[sizeof store_settings(collection->store)->ann] = "";
    enum lmk_status status = collection_needs_model(collection, error);
    if (!status && ann[0])
        status =
            landmarks_factory(ann, model_landmark_width(&collection->model->shape), factory, error);
    return status ? status : segments_rebuild(collection, factory, error);
}
