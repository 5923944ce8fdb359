#include "index/blocks.h"
#include "index/ingest.h"
#include "src/text/reader.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* A batch is committed when it holds so many documents or so much text. */
#define BATCH_DOCUMENTS 256
#define BATCH_BYTES ((uint64_t)16 << 20)

struct added {
    unsigned char hash[HASH128_BYTES];
    uint64_t id;
};

/* A file with the text of a document that is known by another path. */
struct copy {
    uint64_t id;
    const char *path; /* of the file list */
};

struct texts {
    struct ingest *ingest;
    struct store_view *view;   /* of what is committed */
    struct store_batch *batch; /* what the view does not see: `added` */
    struct added added[BATCH_DOCUMENTS];
    size_t added_count;
    uint64_t
        dropped[BATCH_DOCUMENTS]; /* no file has their texts any more, as far as we have come */
    size_t dropped_count;
    uint64_t bytes;
    struct buffer copies; /* struct copy, of the whole run */
};

static enum lmk_status begin(struct texts *texts, struct lmk_error *error)
{
    struct store *store = texts->ingest->collection->store;
    enum lmk_status status = store_view_begin(store, &texts->view, error);
    if (!status)
        status = store_batch_begin(store, &texts->batch, error);
    texts->added_count = texts->dropped_count = 0;
    texts->bytes = 0;
    return status;
}

static void end_view(struct texts *texts)
{
    store_view_end(texts->view);
    texts->view = NULL;
}

/* Documents go only here: files that come later in the batch may turn out to have their texts. */
static enum lmk_status commit(struct texts *texts, struct lmk_error *error)
{
    struct store_batch *batch = texts->batch;
    enum lmk_status status = LMK_OK;
    for (size_t i = 0; !status && i < texts->dropped_count; i++)
        status = store_remove_document(batch, texts->dropped[i], error);
    if (status)
        return status;
    end_view(texts);
    texts->batch = NULL;
    return store_commit(batch, error);
}

static void abandon(struct texts *texts)
{
    end_view(texts);
    if (texts->batch)
        store_abort(texts->batch);
    texts->batch = NULL;
}

/* True if the file stands in the collection as it is now, by size and time. `record` is what the
 * collection knows of it, zero if nothing. */
static bool seen_before(struct texts *texts, const char *path, struct source_record *record,
                        struct document *document)
{
    struct stat information;
    if (store_source(texts->view, path, record, NULL)) {
        *record = (struct source_record){0};
        return false;
    }
    if (stat(path, &information))
        return false;
    int64_t modified =
        (int64_t)information.st_mtim.tv_sec * 1000000000 + information.st_mtim.tv_nsec;
    return record->size == (uint64_t)information.st_size && record->modified_ns == modified &&
           !store_document(texts->view, record->document, document, NULL);
}

/* Its place among the documents to be dropped, or their count. */
static size_t find_dropped(const struct texts *texts, uint64_t id)
{
    size_t at = 0;
    while (at < texts->dropped_count && texts->dropped[at] != id)
        at++;
    return at;
}

/* True if the document was to be dropped, which it then is not any more. */
static bool keep_after_all(struct texts *texts, uint64_t id)
{
    size_t at = find_dropped(texts, id);
    if (at == texts->dropped_count)
        return false;
    texts->dropped[at] = texts->dropped[--texts->dropped_count];
    return true;
}

/* The file at `path` has the text of `document`, which may be known by another path. A moved file
 * keeps its index: the document gets its new path where the file at the old one has gone or has
 * another text now. */
static enum lmk_status take_known(struct texts *texts, const char *path,
                                  const struct document *document, struct lmk_error *error)
{
    struct source_record record;
    struct document there;
    if (!strcmp(document->path, path)) {
        keep_after_all(texts, document->id);
        return LMK_OK;
    }
    struct copy copy = {document->id, path};
    enum lmk_status status = buffer_append(&texts->copies, &copy, sizeof copy, error);
    if (!status &&
        (keep_after_all(texts, document->id) ||
         !seen_before(texts, document->path, &record, &there) || there.id != document->id))
        status = store_set_path(texts->batch, document->id, path, error);
    return status;
}

/* The id of the document with this text, 0 if it is new. */
static enum lmk_status find_text(struct texts *texts, const unsigned char hash[HASH128_BYTES],
                                 const char *path, uint64_t *id, struct lmk_error *error)
{
    for (size_t i = 0; i < texts->added_count; i++)
        if (!memcmp(texts->added[i].hash, hash, HASH128_BYTES)) {
            *id = texts->added[i].id;
            return LMK_OK;
        }
    struct document document;
    enum lmk_status status = store_document_by_hash(texts->view, hash, &document, error);
    *id = status ? 0 : document.id;
    if (status)
        return status == LMK_NOT_FOUND ? LMK_OK : status;
    return take_known(texts, path, &document, error);
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static enum lmk_status add(struct texts *texts, const char *path,
                           const struct source_document *source,
                           const unsigned char hash[HASH128_BYTES], uint64_t *id,
                           struct lmk_error *error)
{
    const struct lmk_collection *collection = texts->ingest->collection;
    struct document_blocks blocks;
    enum lmk_status status = document_blocks_make(&blocks, collection->model, &source->text, error);
    if (status)
        return status;
    struct document document = {
        .state = DOCUMENT_TEXT,
        .tier = store_settings(collection->store)->tier,
        .block_count = blocks.block_count,
        .token_count = blocks.token_count,
        .source_bytes = source->file_size,
        .text_bytes = source->text.size,
        .added_ns = now_ns(),
        .path = path,
        .title = source->title,
        .author = source->author,
        .language = source->language,
        .kind = source->kind,
        .metadata = "{}",
    };
    memcpy(document.hash, hash, HASH128_BYTES);
    status = store_add_document(texts->batch, &document, blocks.blocks, error);
    document_blocks_release(&blocks);
    *id = document.id;
    if (status)
        return status;
    struct added *added = &texts->added[texts->added_count++];
    memcpy(added->hash, hash, HASH128_BYTES);
    added->id = document.id;
    texts->bytes += source->text.size;
    return LMK_OK;
}

/* The document that the path stood for before its text changed goes, unless another file has it. */
static enum lmk_status drop_old(struct texts *texts, const char *path, uint64_t old_id,
                                bool *dropped, struct lmk_error *error)
{
    struct document old;
    enum lmk_status status = store_document(texts->view, old_id, &old, error);
    *dropped = false;
    if (status)
        return status == LMK_NOT_FOUND ? LMK_OK : status;
    if (strcmp(old.path, path))
        return LMK_OK;
    const struct copy *copies = (const struct copy *)texts->copies.data;
    for (size_t i = 0; i < texts->copies.size / sizeof *copies; i++)
        if (copies[i].id == old_id)
            return store_set_path(texts->batch, old_id, copies[i].path, error);
    *dropped = find_dropped(texts, old_id) == texts->dropped_count;
    if (*dropped)
        texts->dropped[texts->dropped_count++] = old_id;
    return LMK_OK;
}

static enum lmk_status take(struct texts *texts, const char *path,
                            const struct source_document *source,
                            const struct source_record *before, struct lmk_error *error)
{
    unsigned char hash[HASH128_BYTES];
    hash128(source->text.text, source->text.size, hash);
    struct source_record record = {0, source->file_size, source->modified_ns};
    enum lmk_status status = find_text(texts, hash, path, &record.document, error);
    bool known = record.document != 0, replaced = false;
    if (!status && !known)
        status = add(texts, path, source, hash, &record.document, error);
    if (!status && before->document && before->document != record.document)
        status = drop_old(texts, path, before->document, &replaced, error);
    if (status)
        return status;
    struct lmk_index_report *report = texts->ingest->report;
    ++*(replaced ? &report->documents_replaced
        : known  ? &report->documents_unchanged
                 : &report->documents_added);
    return store_put_source(texts->batch, path, &record, error);
}

/* A file that cannot be read is told of and left out; only what concerns the collection ends the
 * run. */
static enum lmk_status ingest_file(struct texts *texts, const char *path, struct lmk_error *error)
{
    struct ingest *ingest = texts->ingest;
    struct source_record before;
    struct document document;
    if (seen_before(texts, path, &before, &document)) {
        ingest->report->documents_unchanged++;
        return take_known(texts, path, &document, error);
    }
    struct source_document source;
    struct lmk_error fault;
    enum lmk_status status = reader_read(&source, path, &fault);
    if (status == LMK_INPUT || status == LMK_IO) {
        ingest->report->files_skipped++;
        if (ingest->options && ingest->options->skipped)
            ingest->options->skipped(ingest->options->context, path, &fault);
        return LMK_OK;
    }
    if (status)
        return error_set(error, status, "%s", fault.message);
    status = take(texts, path, &source, &before, error);
    source_document_release(&source);
    return status;
}

static enum lmk_status ingest_files(struct texts *texts, const struct file_list *files,
                                    struct lmk_error *error)
{
    struct lmk_progress *progress = &texts->ingest->progress;
    enum lmk_status status = begin(texts, error), stopped = LMK_OK;
    for (size_t i = 0; !status && !stopped && i < files->count; i++) {
        progress->document = files->paths[i];
        status = ingest_file(texts, files->paths[i], error);
        if (!status && (texts->added_count == BATCH_DOCUMENTS ||
                        texts->dropped_count == BATCH_DOCUMENTS || texts->bytes >= BATCH_BYTES)) {
            status = commit(texts, error);
            if (!status)
                status = begin(texts, error);
        }
        progress->documents = i + 1;
        if (!status)
            stopped = ingest_report(texts->ingest, error);
    }
    if (!status)
        status = commit(texts, stopped ? NULL : error);
    return status ? status : stopped;
}

enum lmk_status ingest_texts(struct ingest *ingest, const struct file_list *files,
                             struct lmk_error *error)
{
    struct texts *texts = calloc(1, sizeof *texts);
    if (!texts)
        return error_memory(error, sizeof *texts);
    texts->ingest = ingest;
    buffer_init(&texts->copies, SIZE_MAX / 2);
    ingest->progress = (struct lmk_progress){.stage = "reading", .documents_total = files->count};
    ingest->stage_started = ingest_clock();
    enum lmk_status status = ingest_files(texts, files, error);
    abandon(texts);
    buffer_release(&texts->copies);
    free(texts);
    return status;
}
