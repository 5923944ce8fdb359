#include "index/blocks.h"
#include "index/ingest.h"
#include "src/text/reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* A batch is committed when it holds so many documents or so much text. */
#define BATCH_DOCUMENTS 4096
#define BATCH_BYTES ((uint64_t)16 << 20)

struct added {
    unsigned char hash[HASH128_BYTES];
    uint64_t id;
};

/* A file with the text of a document that is known by another path. */
struct copy {
    uint64_t id;
    char *path; /* owned */
};

/* New documents in a language other than English; the last counts those that have no place. */
#define LANGUAGES_COUNTED 8
struct language_count {
    char tag[9];
    uint64_t documents;
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
    struct language_count languages[LANGUAGES_COUNTED];
    struct buffer seen; /* a bit for each id: documents that the file at hand holds */
};

/* The file at hand. */
struct reading {
    struct texts *texts;
    const char *path;
    struct source_record before; /* what the collection knew of it, zero if nothing */
    struct source_record now;
    bool known, several; /* it was known; its documents have paths below its own */
    bool elsewhere;      /* some of them are known by a path elsewhere */
    uint64_t added;      /* of several */
    enum lmk_status status;
    struct lmk_error *error; /* what ends the run, where status is not LMK_OK */
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

bool ingest_seen_before(struct store_view *view, const char *path, const struct file_state *now,
                        struct source_record *record, bool *known)
{
    *record = (struct source_record){0};
    *known = !store_source(view, path, record, NULL);
    return *known && record->size == now->size && record->modified_ns == now->modified_ns;
}

/* True if the path still leads to the document: to its file, or into the file that it is in. */
static bool still_there(struct texts *texts, const struct document *document)
{
    struct source_record record;
    struct file_state now;
    bool known;
    if (file_look(document->path, &now) &&
        ingest_seen_before(texts->view, document->path, &now, &record, &known))
        return record.document == document->id;
    char *path = strdup(document->path), *slash;
    bool there = false;
    while (path && !there && (slash = strrchr(path, '/')) && slash != path) {
        *slash = '\0';
        there = file_look(path, &now) &&
                ingest_seen_before(texts->view, path, &now, &record, &known) &&
                record.document == 0;
    }
    free(path);
    return there;
}

/* ---- Documents that the file at hand holds */

static enum lmk_status mark_seen(struct texts *texts, uint64_t id, struct lmk_error *error)
{
    struct buffer *seen = &texts->seen;
    size_t byte = id / 8;
    if (byte >= seen->size) {
        size_t grown = byte + 1 - seen->size;
        enum lmk_status status = buffer_reserve(seen, grown, error);
        if (status)
            return status;
        memset(seen->data + seen->size, 0, grown);
        seen->size += grown;
    }
    seen->data[byte] |= (unsigned char)(1 << id % 8);
    return LMK_OK;
}

static bool is_seen(const struct texts *texts, uint64_t id)
{
    return id / 8 < texts->seen.size && texts->seen.data[id / 8] >> id % 8 & 1;
}

/* ---- Documents to be dropped */

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
 * another text now. *elsewhere: it has not. */
static enum lmk_status take_known(struct texts *texts, const char *path,
                                  const struct document *document, bool *elsewhere,
                                  struct lmk_error *error)
{
    *elsewhere = false;
    if (!strcmp(document->path, path)) {
        keep_after_all(texts, document->id);
        return LMK_OK;
    }
    if (is_seen(texts, document->id))
        return LMK_OK; /* two documents of one file have the same text */
    struct copy copy = {document->id, strdup(path)};
    if (!copy.path)
        return error_memory(error, strlen(path) + 1);
    enum lmk_status status = buffer_append(&texts->copies, &copy, sizeof copy, error);
    if (status) {
        free(copy.path);
        return status;
    }
    *elsewhere = !keep_after_all(texts, document->id) && still_there(texts, document);
    return *elsewhere ? LMK_OK : store_set_path(texts->batch, document->id, path, error);
}

/* The id of the document with this text, 0 if it is new. *elsewhere: it has another path. */
static enum lmk_status find_text(struct texts *texts, const unsigned char hash[HASH128_BYTES],
                                 const char *path, uint64_t *id, bool *elsewhere,
                                 struct lmk_error *error)
{
    for (size_t i = 0; i < texts->added_count; i++)
        if (!memcmp(texts->added[i].hash, hash, HASH128_BYTES)) {
            *id = texts->added[i].id;
            *elsewhere = !is_seen(texts, *id);
            return LMK_OK;
        }
    struct document document;
    enum lmk_status status = store_document_by_hash(texts->view, hash, &document, error);
    *id = status ? 0 : document.id;
    *elsewhere = false;
    if (status)
        return status == LMK_NOT_FOUND ? LMK_OK : status;
    return take_known(texts, path, &document, elsewhere, error);
}

/* The model reads English. */
static void count_language(struct texts *texts, const char *language)
{
    size_t size = strcspn(language, "-_"), at = 0;
    if (!size || size >= sizeof texts->languages[0].tag ||
        (size == 2 && !strncasecmp(language, "en", 2)) || !strncasecmp(language, "eng", size))
        return;
    texts->ingest->report->documents_foreign++;
    while (at < LANGUAGES_COUNTED - 1 && texts->languages[at].tag[0] &&
           (strncasecmp(texts->languages[at].tag, language, size) != 0 ||
            texts->languages[at].tag[size]))
        at++;
    struct language_count *count = &texts->languages[at];
    if (!count->documents)
        memcpy(count->tag, at == LANGUAGES_COUNTED - 1 ? "others" : language,
               at == LANGUAGES_COUNTED - 1 ? sizeof "others" : size);
    count->documents++;
}

static int by_documents(const void *left, const void *right)
{
    uint64_t a = ((const struct language_count *)left)->documents,
             b = ((const struct language_count *)right)->documents;
    return a < b ? 1 : a > b ? -1 : 0;
}

static void name_languages(struct texts *texts)
{
    char *names = texts->ingest->report->languages;
    size_t room = sizeof texts->ingest->report->languages, at = 0;
    qsort(texts->languages, LANGUAGES_COUNTED, sizeof texts->languages[0], by_documents);
    for (size_t i = 0; i < LANGUAGES_COUNTED && texts->languages[i].documents && at < room; i++)
        at += (size_t)snprintf(names + at, room - at, "%s%s %llu", at ? ", " : "",
                               texts->languages[i].tag,
                               (unsigned long long)texts->languages[i].documents);
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static enum lmk_status add(struct texts *texts, const struct source_document *source,
                           const unsigned char hash[HASH128_BYTES], uint64_t *id,
                           struct lmk_error *error)
{
    const struct lmk_collection *collection = texts->ingest->collection;
    const struct lmk_index_options *options = texts->ingest->options;
    struct document_blocks blocks;
    enum lmk_status status = document_blocks_make(&blocks, collection->model, &source->text, error);
    if (status)
        return status;
    document_blocks_place(&blocks, &source->text, source->places, source->place_count);
    struct document document = {
        .state = DOCUMENT_TEXT,
        .tier = options && options->tier ? *options->tier : store_settings(collection->store)->tier,
        .block_count = blocks.block_count,
        .token_count = blocks.token_count,
        .source_bytes = source->source_bytes,
        .text_bytes = source->text.size,
        .added_ns = now_ns(),
        .path = source->path,
        .title = source->title,
        .author = source->author,
        .language = source->language,
        .kind = source->kind,
        .metadata = source->metadata,
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
    texts->ingest->progress.tokens += document.token_count;
    struct lmk_index_report *report = texts->ingest->report;
    report->invalid_bytes += source->text.invalid_bytes;
    report->documents_invalid += source->text.invalid_bytes > 0;
    count_language(texts, source->language);
    return LMK_OK;
}

/* A document that the path stood for, or one below it, is not there any more: it goes, unless
 * another file has it. */
static enum lmk_status drop_old(struct texts *texts, const char *path, const struct document *old,
                                bool *dropped, struct lmk_error *error)
{
    *dropped = false;
    if (strcmp(old->path, path) && !path_is_below(old->path, path))
        return LMK_OK;
    const struct copy *copies = (const struct copy *)(void *)texts->copies.data;
    for (size_t i = 0; i < texts->copies.size / sizeof *copies; i++)
        if (copies[i].id == old->id)
            return store_set_path(texts->batch, old->id, copies[i].path, error);
    *dropped = find_dropped(texts, old->id) == texts->dropped_count;
    if (*dropped)
        texts->dropped[texts->dropped_count++] = old->id;
    return LMK_OK;
}

/* The one document that the file was before goes, if it is not `id` still. */
static enum lmk_status drop_single(struct reading *reading, uint64_t id, bool *dropped,
                                   struct lmk_error *error)
{
    struct document old;
    *dropped = false;
    if (!reading->before.document || reading->before.document == id)
        return LMK_OK;
    enum lmk_status status =
        store_document(reading->texts->view, reading->before.document, &old, error);
    if (status)
        return status == LMK_NOT_FOUND ? LMK_OK : status;
    return drop_old(reading->texts, reading->path, &old, dropped, error);
}

/* Commits where the batch is full. */
static enum lmk_status checkpoint(struct texts *texts, struct lmk_error *error)
{
    if (texts->added_count < BATCH_DOCUMENTS && texts->dropped_count < BATCH_DOCUMENTS &&
        texts->bytes < BATCH_BYTES)
        return LMK_OK;
    enum lmk_status status = commit(texts, error);
    return status ? status : begin(texts, error);
}

/* Puts down what is known of the file; standard input is none. */
static enum lmk_status remember(struct reading *reading, const struct source_record *record,
                                struct lmk_error *error)
{
    return strcmp(reading->path, "-")
               ? store_put_source(reading->texts->batch, reading->path, record, error)
               : LMK_OK;
}

/* The document is all that its file holds. */
static enum lmk_status take_single(struct reading *reading, uint64_t id, bool known,
                                   struct lmk_error *error)
{
    struct lmk_index_report *report = reading->texts->ingest->report;
    bool replaced;
    enum lmk_status status = drop_single(reading, id, &replaced, error);
    if (status)
        return status;
    ++*(replaced ? &report->documents_replaced
        : known  ? &report->documents_unchanged
                 : &report->documents_added);
    reading->now.document = id;
    return remember(reading, &reading->now, error);
}

/* The document is one of several. From the first on the collection knows that the file is being
 * read, with a size and time that no file has. */
static enum lmk_status take_one_of_several(struct reading *reading, uint64_t id, bool known,
                                           struct lmk_error *error)
{
    static const struct source_record unfinished = {0};
    struct texts *texts = reading->texts;
    enum lmk_status status = mark_seen(texts, id, error);
    if (!status && !reading->several)
        status = remember(reading, &unfinished, error);
    reading->several = true;
    reading->now.documents++;
    reading->added += !known;
    ++*(known ? &texts->ingest->report->documents_unchanged
              : &texts->ingest->report->documents_added);
    return status;
}

static enum lmk_status take(struct reading *reading, const struct source_document *source,
                            struct lmk_error *error)
{
    struct texts *texts = reading->texts;
    unsigned char hash[HASH128_BYTES];
    uint64_t id = 0;
    bool elsewhere = false;
    enum lmk_status status =
        document_hash(source->text.text, source->text.size, source->identity, hash, error);
    if (!status)
        status = find_text(texts, hash, source->path, &id, &elsewhere, error);
    bool known = id != 0;
    reading->elsewhere |= elsewhere;
    if (!status && !known)
        status = add(texts, source, hash, &id, error);
    if (!status)
        status = strcmp(source->path, reading->path)
                     ? take_one_of_several(reading, id, known, error)
                     : take_single(reading, id, known, error);
    if (!status)
        status = checkpoint(texts, error);
    if (status)
        return status;
    texts->ingest->progress.document = source->path;
    status = ingest_report(texts->ingest, error);
    texts->ingest->progress.document = reading->path;
    return status;
}

static enum lmk_status on_document(void *context, const struct source_document *source,
                                   struct lmk_error *error)
{
    (void)error; /* this one is for what is wrong with the file */
    struct reading *reading = context;
    reading->status = take(reading, source, reading->error);
    return reading->status;
}

static void on_skip(void *context, uint64_t count, const struct lmk_error *fault)
{
    struct reading *reading = context;
    ingest_skip(reading->texts->ingest, reading->path, count, fault);
}

/* Documents that the file held when it was read before, and not any more, go. */
static enum lmk_status drop_missing(struct reading *reading, struct lmk_error *error)
{
    struct texts *texts = reading->texts;
    struct lmk_index_report *report = texts->ingest->report;
    struct document old;
    uint64_t missing = 0;
    enum lmk_status status;
    for (uint64_t id = 0; !(status = store_next_document(texts->view, id, &old, error));) {
        bool dropped = false;
        id = old.id + 1;
        if (!is_seen(texts, old.id) && path_is_below(old.path, reading->path) &&
            ((status = drop_old(texts, reading->path, &old, &dropped, error)) ||
             (status = checkpoint(texts, error))))
            return status;
        missing += dropped;
    }
    uint64_t replaced = missing < reading->added ? missing : reading->added;
    report->documents_added -= replaced;
    report->documents_replaced += replaced;
    return status == LMK_NOT_FOUND ? LMK_OK : status;
}

/* What is left to do when the whole file has been read. Where documents of several are known by
 * another path, the file is read again next time: they may have gone from there by then. */
static enum lmk_status finish_file(struct reading *reading, struct lmk_error *error)
{
    bool had_several = reading->known && !reading->before.document, dropped;
    enum lmk_status status = had_several ? drop_missing(reading, error) : LMK_OK;
    if (!status && reading->several)
        status = drop_single(reading, 0, &dropped, error);
    if (status || !reading->several || reading->elsewhere)
        return status;
    return remember(reading, &reading->now, error);
}

/* A file that is in the collection as it is now. */
static enum lmk_status pass_over(struct texts *texts, const char *path,
                                 const struct source_record *record, struct document *document,
                                 struct lmk_error *error)
{
    bool several = record->document == 0, elsewhere;
    texts->ingest->report->documents_unchanged += several ? record->documents : 1;
    return several ? LMK_OK : take_known(texts, path, document, &elsewhere, error);
}

/* A file that cannot be read is told of and left out; only what concerns the collection ends the
 * run. One that has changed since it was found is read again next time. */
static enum lmk_status ingest_file(struct texts *texts, const struct file *file,
                                   struct lmk_error *error)
{
    const char *path = file->path;
    struct reading reading = {
        .texts = texts,
        .path = path,
        .now = {.size = file->state.size, .modified_ns = file->state.modified_ns},
        .error = error};
    struct document document;
    struct lmk_error fault;
    const struct reader_sink sink = {&reading, on_document, on_skip};
    buffer_clear(&texts->seen);
    if (ingest_seen_before(texts->view, path, &file->state, &reading.before, &reading.known) &&
        (!reading.before.document ||
         !store_document(texts->view, reading.before.document, &document, NULL)))
        return pass_over(texts, path, &reading.before, &document, error);
    enum lmk_status status = reader_read(path, &sink, &fault);
    if (reading.status)
        return reading.status;
    if (status == LMK_INPUT || status == LMK_IO) {
        on_skip(&reading, 1, &fault);
        return LMK_OK;
    }
    return status ? error_set(error, status, "%s", fault.message) : finish_file(&reading, error);
}

static enum lmk_status ingest_files(struct texts *texts, const struct file_list *files,
                                    struct lmk_error *error)
{
    struct lmk_progress *progress = &texts->ingest->progress;
    enum lmk_status status = begin(texts, error), stopped = LMK_OK;
    for (size_t i = 0; !status && !stopped && i < files->count; i++) {
        progress->document = files->files[i].path;
        status = ingest_file(texts, &files->files[i], error);
        if (status == LMK_INTERRUPTED) {
            stopped = status;
            status = LMK_OK;
        }
        if (!status)
            status = checkpoint(texts, error);
        progress->documents = i + 1;
        if (!status && !stopped)
            stopped = ingest_report(texts->ingest, error);
    }
    if (!status)
        status = commit(texts, stopped ? NULL : error);
    return status ? status : stopped;
}

static void release_copies(struct texts *texts)
{
    const struct copy *copies = (const struct copy *)(void *)texts->copies.data;
    for (size_t i = 0; i < texts->copies.size / sizeof *copies; i++)
        free(copies[i].path);
    buffer_release(&texts->copies);
}

enum lmk_status ingest_texts(struct ingest *ingest, const struct file_list *files,
                             struct lmk_error *error)
{
    struct texts *texts = calloc(1, sizeof *texts);
    if (!texts)
        return error_memory(error, sizeof *texts);
    texts->ingest = ingest;
    buffer_init(&texts->copies, SIZE_MAX / 2);
    buffer_init(&texts->seen, SIZE_MAX / 2);
    ingest->progress = (struct lmk_progress){.stage = "reading", .documents_total = files->count};
    ingest->stage_started = ingest_clock();
    enum lmk_status status = ingest_files(texts, files, error);
    name_languages(texts);
    abandon(texts);
    release_copies(texts);
    buffer_release(&texts->seen);
    free(texts);
    return status;
}
