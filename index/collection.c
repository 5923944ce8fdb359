#include "index/collection.h"

#include "index/generation.h"
#include "index/landmarks.h"
#include "index/lexical.h"
#include "index/segments.h"
#include "src/base/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct lmk_open_options lmk_open_defaults(void)
{
    return (struct lmk_open_options){.tier = LMK_TIER_Q4_0};
}

const char *collection_state_name(enum document_state state)
{
    switch (state) {
    case DOCUMENT_TEXT:
        return "text";
    case DOCUMENT_LANDMARKS:
        return "landmarks";
    case DOCUMENT_READY:
        return "ready";
    }
    return "unknown";
}

const char *collection_tier_name(enum lmk_tier tier)
{
    switch (tier) {
    case LMK_TIER_NONE:
        return "none";
    case LMK_TIER_F16:
        return "f16";
    case LMK_TIER_Q4_0:
        return "q4_0";
    case LMK_TIER_Q8_0:
        return "q8_0";
    }
    return "unknown";
}

bool lmk_tier_named(const char *name, enum lmk_tier *tier)
{
    static const enum lmk_tier tiers[] = {LMK_TIER_NONE, LMK_TIER_F16, LMK_TIER_Q4_0,
                                          LMK_TIER_Q8_0};
    for (size_t i = 0; i < sizeof tiers / sizeof tiers[0]; i++)
        if (!strcmp(name, collection_tier_name(tiers[i]))) {
            *tier = tiers[i];
            return true;
        }
    return false;
}

struct lmk_document collection_public_document(const struct document *document)
{
    struct lmk_document result = {
        .id = document->id,
        .path = document->path,
        .title = document->title,
        .author = document->author,
        .language = document->language,
        .kind = document->kind,
        .metadata = document->metadata,
        .first_block = document->first_block,
        .blocks = document->block_count,
        .tokens = document->token_count,
        .source_bytes = document->source_bytes,
        .text_bytes = document->text_bytes,
        .state = collection_state_name(document->state),
        .tier = collection_tier_name(document->tier),
    };
    hash128_hexadecimal(document->hash, result.hash);
    return result;
}

char *collection_join(const char *directory, const char *name)
{
    char *path;
    return asprintf(&path, "%s/%s", directory, name) < 0 ? NULL : path;
}

enum lmk_status collection_needs_model(const struct lmk_collection *collection,
                                       struct lmk_error *error)
{
    if (collection->model)
        return LMK_OK;
    return error_set(error, LMK_USAGE, "%s was opened without a model, which this call needs.",
                     collection->path);
}

enum lmk_status collection_needs_write(const struct lmk_collection *collection,
                                       struct lmk_error *error)
{
    if (collection->lock >= 0)
        return LMK_OK;
    return error_set(error, LMK_USAGE, "%s was opened for reading only; this call writes.",
                     collection->path);
}

/* ------------------------------------------------------------------ the directory */

/* Takes the writer's lock: an fcntl lock, which the kernel drops with the process, however it ends.
 */
static enum lmk_status take_lock(struct lmk_collection *collection, struct lmk_error *error)
{
    char *name = collection_join(collection->path, "writer.lock");
    if (!name)
        return error_memory(error, strlen(collection->path));
    enum lmk_status status = LMK_OK;
    int descriptor = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (descriptor < 0)
        status = error_system(error, "Cannot open %s for writing", name);
    else if (fcntl(descriptor, F_OFD_SETLK, &lock)) {
        char owner[32] = "";
        if (pread(descriptor, owner, sizeof owner - 1, 0) < 0)
            owner[0] = '\0';
        owner[strcspn(owner, "\n")] = '\0';
        status = error_set(error, LMK_BUSY,
                           "%s is being written by another process (%s). Wait until it has ended.",
                           collection->path, owner[0] ? owner : "unknown");
        close(descriptor);
    } else {
        char owner[32];
        int size = snprintf(owner, sizeof owner, "process %ld\n", (long)getpid());
        if (ftruncate(descriptor, 0) || pwrite(descriptor, owner, (size_t)size, 0) != size) {
            status = error_system(error, "Cannot write %s", name);
            close(descriptor);
        } else
            collection->lock = descriptor;
    }
    free(name);
    return status;
}

/* ------------------------------------------------------------------ opening */

enum lmk_status collection_set_generation(struct lmk_collection *collection, char *generation,
                                          struct lmk_error *error)
{
    free(collection->generation);
    free(collection->directory);
    collection->generation = generation;
    collection->directory = collection_join(collection->path, generation);
    return collection->directory ? LMK_OK : error_memory(error, strlen(collection->path));
}

struct store_settings collection_settings(const struct lmk_model *model, enum lmk_tier tier)
{
    const struct model_shape *shape = &model->shape;
    struct store_settings settings = {
        .normalise_version = NORMALISE_VERSION,
        .block_tokens = shape->block_tokens,
        .memory_layers = shape->memory_layer_count,
        .kv_heads = shape->kv_heads,
        .head_width = shape->head_width,
        .vocabulary = shape->vocabulary,
        .tier = tier,
    };
    memcpy(settings.fingerprint, model->fingerprint, sizeof settings.fingerprint);
    snprintf(settings.model_name, sizeof settings.model_name, "%s", model->name);
    return settings;
}

/* The settings of a new collection, once its options make sense. */
static enum lmk_status choose_settings(const struct lmk_model *model,
                                       const struct lmk_open_options *options,
                                       struct store_settings *settings, struct lmk_error *error)
{
    if (!strcmp(collection_tier_name(options->tier), "unknown"))
        return error_set(error, LMK_USAGE, "There is no tier %d for keys and values.",
                         (int)options->tier);
    *settings = collection_settings(model, options->tier);
    if (!options->ann || !options->ann[0])
        return LMK_OK;
    return landmarks_factory(options->ann, model_landmark_width(&model->shape), settings->ann,
                             error);
}

/* Makes the store of the first generation. Where an interrupted run had made it whole, and only
 * CURRENT is missing, it is that one. */
static enum lmk_status make_store(struct lmk_collection *collection,
                                  const struct store_settings *settings, struct lmk_error *error)
{
    enum lmk_status status =
        store_create(&collection->store, collection->directory, settings, error);
    if (status == LMK_COLLECTION)
        status = store_open(&collection->store, collection->directory, true, error);
    return status;
}

/* Makes the first generation. CURRENT comes last, so what an interrupted run left is made again. */
static enum lmk_status create(struct lmk_collection *collection,
                              const struct lmk_open_options *options, struct lmk_error *error)
{
    struct store_settings settings;
    enum lmk_status status = collection_needs_model(collection, error);
    if (status || (status = choose_settings(collection->model, options, &settings, error)))
        return status;
    char *generation = strdup(FIRST_GENERATION);
    if (!generation)
        return error_memory(error, sizeof FIRST_GENERATION);
    if ((status = collection_set_generation(collection, generation, error)))
        return status;
    if (!(status = generation_make_directories(collection->directory, error)) &&
        !(status = make_store(collection, &settings, error)) &&
        !(status = directory_sync(collection->directory, error)))
        status = generation_write(collection->path, generation, error);
    return status;
}

static enum lmk_status check_model(struct lmk_collection *collection, struct lmk_error *error)
{
    const struct store_settings *settings = store_settings(collection->store);
    hash128_hexadecimal(settings->fingerprint, collection->fingerprint);
    if (settings->normalise_version != NORMALISE_VERSION)
        return error_set(error, LMK_COLLECTION,
                         "%s holds texts normalised by version %u of the rules; this lmk has "
                         "version %d. Index the "
                         "books again into a new collection.",
                         collection->path, settings->normalise_version, NORMALISE_VERSION);
    const struct lmk_model *model = collection->model;
    if (!model || !memcmp(settings->fingerprint, model->fingerprint, HASH128_BYTES))
        return LMK_OK;
    char given[2 * HASH128_BYTES + 1];
    hash128_hexadecimal(model->fingerprint, given);
    return error_set(
        error, LMK_COLLECTION,
        "%s was indexed with the model %s (fingerprint %s), but the model given is %s%s "
        "(fingerprint %s). Name the first one with --model, or build the collection anew for the "
        "other, from the texts that it holds: lmk reindex -c %s --model NEW",
        collection->path, settings->model_name, collection->fingerprint,
        strcmp(settings->model_name, model->name) ? "" : "another ", model->name, given,
        collection->path);
}

static enum lmk_status make_directory(const char *path, struct lmk_error *error)
{
    if (!mkdir(path, 0777) || errno == EEXIST)
        return LMK_OK;
    if (errno == ENOENT)
        return error_set(error, LMK_IO,
                         "Cannot make the directory %s: there is no folder to make it in. Make "
                         "that one first, or name another place.",
                         path);
    return error_system(error, "Cannot make the directory %s", path);
}

static enum lmk_status no_collection(const char *path, struct lmk_error *error)
{
    struct stat information;
    if (!stat(path, &information) && !S_ISDIR(information.st_mode))
        return error_set(error, LMK_COLLECTION,
                         "%s is not a collection but a file; a collection is a folder. Name "
                         "another place.",
                         path);
    return error_set(
        error, LMK_COLLECTION,
        "%s is not a collection: it has no file CURRENT. Make one with: lmk index -c %s FOLDER",
        path, path);
}

/* Reads CURRENT; LMK_NOT_FOUND without a sentence where a collection may be made. */
static enum lmk_status find_generation(const struct lmk_collection *collection, bool creating,
                                       char **generation, struct lmk_error *error)
{
    enum lmk_status status = generation_read(collection->path, generation, error);
    if (status == LMK_NOT_FOUND && !(creating && generation_is_unborn(collection->path)))
        return no_collection(collection->path, error);
    return status;
}

/* Opens the store that CURRENT names. It may be replaced and removed between reading the one and
 * opening the other: then CURRENT names another one. */
static enum lmk_status open_current(struct lmk_collection *collection, char *generation,
                                    struct lmk_error *error)
{
    for (;;) {
        char *now = NULL;
        enum lmk_status status = collection_set_generation(collection, generation, error);
        if (!status)
            status =
                store_open(&collection->store, collection->directory, collection->lock >= 0, error);
        if (!status || collection->lock >= 0 || generation_read(collection->path, &now, NULL))
            return status;
        if (!strcmp(now, collection->generation)) {
            free(now);
            return status;
        }
        generation = now;
    }
}

static enum lmk_status open_or_create(struct lmk_collection *collection,
                                      const struct lmk_open_options *options,
                                      struct lmk_error *error)
{
    char *generation = NULL;
    bool creating = options->write && options->create;
    enum lmk_status status;
    if (creating && (status = make_directory(collection->path, error)))
        return status;
    /* A directory that is no collection gets no lock file. */
    status = find_generation(collection, creating, &generation, error);
    if (status && status != LMK_NOT_FOUND)
        return status;
    if (options->write) {
        /* CURRENT must not change any more from here on. */
        free(generation);
        generation = NULL;
        if ((status = take_lock(collection, error)))
            return status;
        status = generation_read(collection->path, &generation, error);
        if (!status)
            status = generation_settle(collection->path, &generation, error);
    }
    if (status == LMK_NOT_FOUND)
        return create(collection, options, error);
    if (status) {
        free(generation);
        return status;
    }
    status = open_current(collection, generation, error);
    if (!status && options->write)
        generation_clean(collection->path, collection->generation);
    return status;
}

enum lmk_status lmk_collection_open(struct lmk_collection **result, const char *path,
                                    const struct lmk_model *model,
                                    const struct lmk_open_options *options, struct lmk_error *error)
{
    struct lmk_open_options defaults = lmk_open_defaults();
    *result = NULL;
    struct lmk_collection *collection = calloc(1, sizeof *collection);
    if (!collection || !(collection->path = strdup(path))) {
        free(collection);
        return error_memory(error, sizeof *collection);
    }
    collection->lock = -1;
    collection->effort = 1;
    collection->model = model;
    for (size_t end = strlen(path); end > 1 && collection->path[end - 1] == '/';)
        collection->path[--end] = '\0';
    enum lmk_status status = open_or_create(collection, options ? options : &defaults, error);
    if (!status)
        status = check_model(collection, error);
    if (status) {
        lmk_collection_close(collection);
        return status;
    }
    *result = collection;
    return LMK_OK;
}

void collection_close_generation(struct lmk_collection *collection)
{
    lexical_close(collection->lexical);
    segments_close(collection->segments);
    store_close(collection->store);
    collection->lexical = NULL;
    collection->segments = NULL;
    collection->store = NULL;
}

enum lmk_status collection_switch(struct lmk_collection *collection, const char *next,
                                  struct lmk_error *error)
{
    collection_close_generation(collection);
    enum lmk_status status =
        generation_switch(collection->path, next, &collection->generation, error);
    if (status)
        return status;
    char *generation = strdup(collection->generation);
    if (!generation)
        return error_memory(error, strlen(collection->generation));
    if (!(status = open_current(collection, generation, error)) &&
        !(status = check_model(collection, error)))
        generation_clean(collection->path, collection->generation);
    return status;
}

void lmk_collection_close(struct lmk_collection *collection)
{
    if (!collection)
        return;
    collection_close_generation(collection);
    if (collection->lock >= 0)
        close(collection->lock);
    free(collection->directory);
    free(collection->generation);
    free(collection->path);
    free(collection);
}

enum lmk_status lmk_set_effort(struct lmk_collection *collection, double effort,
                               struct lmk_error *error)
{
    if (!(effort > 0))
        return error_set(error, LMK_USAGE, "An effort is a positive number.");
    collection->effort = effort;
    return LMK_OK;
}
