#include "index/estimate.h"

#include "index/blocks.h"
#include "index/landmarks.h"
#include "index/space.h"
#include "src/base/random.h"
#include "src/model/indexer.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* What is spent on reading and on running the model. */
#define READ_SECONDS 3.0
#define READ_SECONDS_BEFORE_INDEXING 1.0
#define PROBE_SECONDS 2.0
#define PROBE_BLOCKS 16 /* of one run, as indexing has it */

/* Bytes on disk, as `lmk info` shows them for books and encyclopedias. */
#define TEXT_BYTES_OF_TOKEN 2.5
#define WORDS_BYTES_OF_TEXT_BYTE 1.7
#define BYTES_OF_DOCUMENT 600.0

/* Text that is compressed, or in archives, is taken to be so many times as large. */
#define UNPACKED 3.0

/* JSON lines are read in portions of so many bytes, or of more where all files together would give
 * more portions than this. */
#define PORTION_BYTES ((uint64_t)16 << 10)
#define MOST_PORTIONS (1 << 20)
/* Files that are not larger are read as a whole, and only opened where they are drawn: there can be
 * many of them. */
#define WHOLE_BYTES ((uint64_t)1 << 20)

/* What is read in one go: a file, or those of its JSON lines that begin in [from, end). */
struct portion {
    const char *path; /* the list's */
    uint64_t from, end;
    bool lines;
};

struct sums {
    double documents, tokens, blocks, text_bytes;
};

struct reading {
    const struct lmk_model *model;
    struct store_view *view; /* NULL: there is no collection yet */
    double end;              /* of the clock */
    double source_bytes;     /* of the portion at hand, as far as it was read */
    struct sums sums;
    enum lmk_status status;
    struct lmk_error *error; /* what ends the reading, where status is not LMK_OK */
};

/* ------------------------------------------------------------------ files */

/* The files that the collection does not have as they are now, as portions. Standard input can be
 * read only once. */
static enum lmk_status find_new(struct store_view *view, const struct file_list *files,
                                struct buffer *list, double *bytes, struct lmk_error *error)
{
    enum lmk_status status = LMK_OK;
    *bytes = 0;
    for (size_t i = 0; !status && i < files->count; i++) {
        const struct file *file = &files->files[i];
        struct source_record record;
        bool known;
        if (!strcmp(file->path, "-") ||
            (view && ingest_seen_before(view, file->path, &file->state, &record, &known)))
            continue;
        struct portion portion = {file->path, 0, file->state.size, false};
        *bytes += (double)portion.end;
        status = buffer_append(list, &portion, sizeof portion, error);
    }
    return status;
}

/* A large file's beginning does not stand for the rest of it. `bytes`: of all files. */
static enum lmk_status divide(const struct buffer *files, double bytes, struct buffer *portions,
                              struct lmk_error *error)
{
    const struct portion *file = (const struct portion *)(const void *)files->data;
    const uint64_t most = (uint64_t)(bytes / MOST_PORTIONS) + PORTION_BYTES;
    enum lmk_status status = LMK_OK;
    for (size_t count = files->size / sizeof *file; count; count--, file++) {
        struct portion portion = *file;
        portion.lines = file->end > WHOLE_BYTES && reader_has_lines(file->path);
        uint64_t step = portion.lines ? most : file->end;
        do {
            portion.end = file->end - portion.from > step ? portion.from + step : file->end;
            if ((status = buffer_append(portions, &portion, sizeof portion, error)))
                return status;
            portion.from = portion.end;
        } while (portion.from < file->end);
    }
    return status;
}

/* Those that are read stand for the others, so they are drawn at random. */
static void shuffle(struct portion *portions, size_t count)
{
    uint64_t state = 1;
    for (size_t i = count; i > 1; i--) {
        size_t other = (size_t)draw_below(&state, i);
        struct portion swap = portions[i - 1];
        portions[i - 1] = portions[other];
        portions[other] = swap;
    }
}

/* ------------------------------------------------------------------ reading */

static enum lmk_status count_document(struct reading *reading, const struct source_document *source,
                                      struct lmk_error *error)
{
    unsigned char hash[HASH128_BYTES];
    struct document known;
    struct document_blocks blocks;
    enum lmk_status status =
        document_hash(source->text.text, source->text.size, source->identity, hash, error);
    if (status || (reading->view && !store_document_by_hash(reading->view, hash, &known, NULL)))
        return status;
    if ((status = document_blocks_make(&blocks, reading->model, &source->text, error)))
        return status;
    reading->sums.documents++;
    reading->sums.tokens += (double)blocks.token_count;
    reading->sums.blocks += (double)blocks.block_count;
    reading->sums.text_bytes += (double)source->text.size;
    document_blocks_release(&blocks);
    return LMK_OK;
}

static enum lmk_status take(void *context, const struct source_document *source,
                            struct lmk_error *error)
{
    (void)error; /* this one is for what is wrong with the file */
    struct reading *reading = context;
    reading->source_bytes += (double)source->source_bytes;
    reading->status = count_document(reading, source, reading->error);
    return reading->status                  ? reading->status
           : ingest_clock() >= reading->end ? LMK_INTERRUPTED
                                            : LMK_OK;
}

static void skip(void *context, uint64_t count, const struct lmk_error *fault)
{
    (void)context; /* indexing will say it */
    (void)count;
    (void)fault;
}

/* *bytes: of what was read. A long line counts as a whole where it begins, and the portions that it
 * runs through as nothing. */
static enum lmk_status read_portion(const struct portion *portion, uint64_t *bytes,
                                    const struct reader_sink *sink, struct lmk_error *error)
{
    *bytes = portion->end - portion->from;
    return portion->lines
               ? reader_read_lines(portion->path, portion->from, portion->end, bytes, sink, error)
               : reader_read(portion->path, sink, error);
}

/* Reads as long as there is time; *read: the bytes of the files that this stands for. */
static enum lmk_status read_portions(struct reading *reading, const struct portion *portions,
                                     size_t count, double *read, struct lmk_error *error)
{
    const struct reader_sink sink = {reading, take, skip};
    reading->error = error;
    *read = 0;
    for (size_t i = 0; i < count && (!i || ingest_clock() < reading->end); i++) {
        struct lmk_error fault;
        uint64_t bytes;
        reading->source_bytes = 0;
        enum lmk_status status = read_portion(&portions[i], &bytes, &sink, &fault);
        double size = (double)bytes;
        if (reading->status)
            return reading->status;
        if (status == LMK_INTERRUPTED) {
            double part =
                reading->source_bytes / (reader_is_packed(portions[i].path) ? UNPACKED : 1);
            *read += part < size ? part : size;
        } else if (status == LMK_MEMORY)
            return error_set(error, status, "%s", fault.message);
        else
            *read += size;
    }
    return LMK_OK;
}

/* ------------------------------------------------------------------ what it takes */

/* Documents of an earlier run that wait for the model. */
static enum lmk_status add_waiting(struct store_view *view, const struct store_settings *settings,
                                   struct ingest_work *work, struct lmk_error *error)
{
    struct document document;
    enum lmk_status status;
    for (uint64_t id = 0; !(status = store_next_document(view, id, &document, error));
         id = document.id + 1)
        if (document.state != DOCUMENT_READY &&
            (status = ingest_add_work(work, view, settings, &document, error)))
            return status;
    return status == LMK_NOT_FOUND ? LMK_OK : status;
}

static double bytes_of(const struct sums *sums, const struct store_settings *settings,
                       enum lmk_tier tier)
{
    size_t width = (size_t)settings->memory_layers * settings->kv_heads * settings->head_width;
    return sums->blocks * ((double)store_block_bytes(settings, tier) +
                           landmarks_vector_bytes((size_t)sums->blocks, width)) +
           sums->tokens * TEXT_BYTES_OF_TOKEN + sums->text_bytes * WORDS_BYTES_OF_TEXT_BYTE +
           sums->documents * BYTES_OF_DOCUMENT;
}

/* What there is to do for the files and for what waits. `collection` NULL: there is none yet. */
static enum lmk_status estimate(struct lmk_collection *collection, const struct lmk_model *model,
                                const struct lmk_index_options *options,
                                const struct file_list *files, double seconds,
                                struct lmk_estimate *result, struct lmk_error *error)
{
    double start = ingest_clock(), bytes, read;
    struct reading reading = {.model = model, .end = start + seconds};
    struct ingest_work waiting = {0};
    struct buffer new_files, portions;
    struct store_settings settings = collection
                                         ? *store_settings(collection->store)
                                         : collection_settings(model, lmk_open_defaults().tier);
    buffer_init(&new_files, SIZE_MAX / 2);
    buffer_init(&portions, SIZE_MAX / 2);
    enum lmk_status status =
        collection ? store_view_begin(collection->store, &reading.view, error) : LMK_OK;
    if (!status)
        status = find_new(reading.view, files, &new_files, &bytes, error);
    if (!status)
        status = divide(&new_files, bytes, &portions, error);
    if (!status) {
        struct portion *list = (struct portion *)(void *)portions.data;
        size_t count = portions.size / sizeof *list;
        shuffle(list, count);
        status = read_portions(&reading, list, count, &read, error);
    }
    if (!status && reading.view)
        status = add_waiting(reading.view, &settings, &waiting, error);
    store_view_end(reading.view);
    size_t file_count = new_files.size / sizeof(struct portion);
    buffer_release(&new_files);
    buffer_release(&portions);
    if (status)
        return status;
    double factor = read > 0 ? bytes / read : 1;
    struct sums all = {reading.sums.documents * factor, reading.sums.tokens * factor,
                       reading.sums.blocks * factor, reading.sums.text_bytes * factor};
    enum lmk_tier tier = options && options->tier ? *options->tier : settings.tier;
    *result = (struct lmk_estimate){
        .files = file_count,
        .documents = (uint64_t)(all.documents + .5) + waiting.documents,
        .tokens = (uint64_t)(all.tokens + .5) + waiting.tokens,
        .share = bytes > 0 ? read / bytes : 1,
        .seconds = (ingest_clock() - start) * factor,
        .space.needed = (uint64_t)bytes_of(&all, &settings, tier) + waiting.bytes,
    };
    return LMK_OK;
}

/* ------------------------------------------------------------------ before indexing */

/* No text has more tokens than bytes. */
static double most_bytes(const struct ingest *ingest, double text)
{
    struct store_settings settings = *store_settings(ingest->collection->store);
    enum lmk_tier tier =
        ingest->options && ingest->options->tier ? *ingest->options->tier : settings.tier;
    struct sums sums = {text / 100, text, text / settings.block_tokens, text};
    return bytes_of(&sums, &settings, tier);
}

/* At most so many bytes of text are in a file. */
static double most_text(const char *path, uint64_t bytes)
{
    return (double)bytes * (reader_is_packed(path) ? 10 * UNPACKED : 1);
}

/* True where all files together would fit, which is known without looking any of them up; else
 * where those do that are new. */
static enum lmk_status surely_fits(const struct ingest *ingest, const struct file_list *files,
                                   uint64_t available, bool *fits, struct lmk_error *error)
{
    double all = 0, fresh = 0, bytes;
    struct store_view *view;
    struct buffer list;
    for (size_t i = 0; i < files->count; i++)
        all += most_text(files->files[i].path, files->files[i].state.size);
    *fits = most_bytes(ingest, all) <= (double)available;
    enum lmk_status status =
        *fits ? LMK_OK : store_view_begin(ingest->collection->store, &view, error);
    if (*fits || status)
        return status;
    buffer_init(&list, SIZE_MAX / 2);
    status = find_new(view, files, &list, &bytes, error);
    store_view_end(view);
    const struct portion *new_files = (const struct portion *)(void *)list.data;
    for (size_t i = 0; i < list.size / sizeof *new_files; i++)
        fresh += most_text(new_files[i].path, new_files[i].end);
    buffer_release(&list);
    *fits = most_bytes(ingest, fresh) <= (double)available;
    return status;
}

enum lmk_status estimate_refuse(const struct ingest *ingest, const struct file_list *files,
                                struct lmk_error *error)
{
    struct lmk_collection *collection = ingest->collection;
    struct lmk_estimate found;
    uint64_t available;
    bool fits;
    enum lmk_status status = space_available(collection->path, &available, error);
    if (status || (status = surely_fits(ingest, files, available, &fits, error)) || fits ||
        (status = estimate(collection, collection->model, ingest->options, files,
                           READ_SECONDS_BEFORE_INDEXING, &found, error)) ||
        found.space.needed <= available)
        return status;
    return error_set(error, LMK_IO,
                     "Indexing this into %s needs about %.2f GB of disk space, and %.2f GB are "
                     "free. No text was added. Free some space, or keep less (--kv). lmk index "
                     "--estimate tells more.",
                     collection->path, (double)found.space.needed / 1e9, (double)available / 1e9);
}

/* ------------------------------------------------------------------ lmk_estimate */

/* Tokens a second of the model alone. Which tokens does not matter. */
static enum lmk_status probe(const struct lmk_model *model, double *tokens_per_second,
                             struct lmk_error *error)
{
    const struct model_shape *shape = &model->shape;
    size_t count = (size_t)PROBE_BLOCKS * shape->block_tokens,
           width = model_landmark_width(shape) * PROBE_BLOCKS;
    struct indexer *indexer = NULL;
    struct stream *stream = NULL;
    uint32_t *tokens = malloc(count * sizeof *tokens);
    float *landmarks = malloc(width * sizeof *landmarks),
          *keys = malloc(width * shape->block_tokens * sizeof *keys),
          *values = malloc(width * shape->block_tokens * sizeof *values);
    enum lmk_status status = tokens && landmarks && keys && values
                                 ? indexer_open(&indexer, model, PROBE_BLOCKS, error)
                                 : error_memory(error, width * shape->block_tokens * sizeof *keys);
    if (!status)
        status = stream_open(&stream, indexer, error);
    for (size_t i = 0; !status && i < count; i++)
        tokens[i] = (uint32_t)(i % shape->vocabulary);
    struct indexer_item item = {.stream = stream,
                                .tokens = tokens,
                                .blocks = PROBE_BLOCKS,
                                .landmark_keys = landmarks,
                                .keys = keys,
                                .values = values};
    /* The first runs see less than the whole reach, and warm up. */
    for (size_t before = 0; !status && before <= indexer_blocks_before(indexer);
         before += PROBE_BLOCKS)
        indexer_run(indexer, &item, 1);
    double start = ingest_clock();
    size_t runs = 0;
    for (; !status && (!runs || ingest_clock() - start < PROBE_SECONDS); runs++)
        indexer_run(indexer, &item, 1);
    *tokens_per_second = (double)(runs * count) / (ingest_clock() - start);
    stream_close(stream);
    indexer_close(indexer);
    free(tokens);
    free(landmarks);
    free(keys);
    free(values);
    return status;
}

static void on_skip(void *context, const char *path, const struct lmk_error *fault)
{
    const struct lmk_index_options *options = context;
    if (options && options->skipped)
        options->skipped(options->context, path, fault);
}

/* The free space where the collection is, or will be. */
static enum lmk_status space_for(const char *path, uint64_t *available, struct lmk_error *error)
{
    char *folder = strdup(path), *slash;
    struct stat information;
    if (!folder)
        return error_memory(error, strlen(path) + 1);
    while (stat(folder, &information) && (slash = strrchr(folder, '/')) && slash != folder)
        *slash = '\0';
    enum lmk_status status = space_available(
        stat(folder, &information) ? (path[0] == '/' ? "/" : ".") : folder, available, error);
    free(folder);
    return status;
}

enum lmk_status lmk_estimate(const char *path, const struct lmk_model *model,
                             const char *const *paths, size_t path_count,
                             const struct lmk_index_options *options, struct lmk_estimate *result,
                             struct lmk_error *error)
{
    struct lmk_collection *collection = NULL;
    struct file_list files;
    struct stat information;
    const struct walk_sink sink = {(void *)(uintptr_t)options, on_skip};
    enum lmk_status status = stat(path, &information)
                                 ? LMK_OK
                                 : lmk_collection_open(&collection, path, model, NULL, error);
    if (status)
        return status;
    status = walk(&files, paths, path_count, &sink, error);
    if (!status) {
        status = files.count
                     ? estimate(collection, model, options, &files, READ_SECONDS, result, error)
                     : error_set(error, LMK_INPUT, "There is no file that lmk reads in %s.",
                                 path_count ? paths[0] : "an empty list");
        file_list_release(&files);
    }
    lmk_collection_close(collection);
    if (!status)
        status = space_for(path, &result->space.available, error);
    if (!status && result->tokens)
        status = probe(model, &result->tokens_per_second, error);
    if (!status && result->tokens)
        result->seconds += (double)result->tokens / result->tokens_per_second;
    return status;
}
