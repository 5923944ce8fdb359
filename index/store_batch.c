#include "index/store_internal.h"

#include "src/model/rows.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- putting and deleting */

static enum lmk_status put(struct store_batch *batch, enum store_table table, MDB_val key,
                           const void *data, size_t size, struct lmk_error *error)
{
    struct store *store = batch->view.store;
    MDB_val value = {size, (void *)(uintptr_t)data};
    int code = mdb_put(batch->view.txn, store->tables[table], &key, &value, 0);
    return code ? store_failure(store, code, "write", error) : LMK_OK;
}

/* Puts what a writer holds, if its encoder succeeded, and releases it. */
static enum lmk_status put_record(struct store_batch *batch, enum store_table table, MDB_val key,
                                  enum lmk_status encoded, struct record_writer *record,
                                  struct lmk_error *error)
{
    enum lmk_status status = encoded;
    if (!status)
        status = put(batch, table, key, record->bytes.data, record->bytes.size, error);
    record_release(record);
    return status;
}

/* Room for a value under a number; new numbers are mostly the largest, and appending them fills
 * pages to the end. */
static enum lmk_status reserve(struct store_batch *batch, enum store_table table, uint64_t number,
                               size_t size, void **data, struct lmk_error *error)
{
    struct store *store = batch->view.store;
    MDB_val key = number_key(&number), value = {size, NULL};
    int code =
        mdb_put(batch->view.txn, store->tables[table], &key, &value, MDB_RESERVE | MDB_APPEND);
    if (code == MDB_KEYEXIST)
        code = mdb_put(batch->view.txn, store->tables[table], &key, &value, MDB_RESERVE);
    *data = value.mv_data;
    return code ? store_failure(store, code, "write", error) : LMK_OK;
}

static enum lmk_status put_number(struct store_batch *batch, enum store_table table,
                                  uint64_t number, enum lmk_status encoded,
                                  struct record_writer *record, struct lmk_error *error)
{
    void *data;
    enum lmk_status status = encoded;
    if (!status)
        status = reserve(batch, table, number, record->bytes.size, &data, error);
    if (!status)
        memcpy(data, record->bytes.data, record->bytes.size);
    record_release(record);
    return status;
}

/* Deleting what is not there is fine. */
static enum lmk_status delete (struct store_batch *batch, enum store_table table, MDB_val key,
                               struct lmk_error *error) {
    struct store *store = batch->view.store;
    int code = mdb_del(batch->view.txn, store->tables[table], &key, NULL);
    return code && code != MDB_NOTFOUND ? store_failure(store, code, "write", error) : LMK_OK;
}

/* Deletes the values under numbers in [first, end). */
static enum lmk_status delete_range(struct store_batch *batch, enum store_table table,
                                    uint64_t first, uint64_t end, struct lmk_error *error)
{
    MDB_val value;
    uint64_t key;
    for (;;) {
        enum lmk_status status = view_at_or_after(&batch->view, table, first, &key, &value, error);
        if (status == LMK_NOT_FOUND || (!status && key >= end))
            return LMK_OK;
        if (status)
            return status;
        int code = mdb_cursor_del(batch->view.cursors[table], 0);
        if (code)
            return store_failure(batch->view.store, code, "write", error);
    }
}

/* ---- blocks that wait for their extent to be filled */

static void pending_free(struct pending_blocks *pending)
{
    draft_release(&pending->landmarks);
    draft_release(&pending->keys_values);
    free(pending);
}

static struct pending_blocks **pending_of(struct store_batch *batch, uint64_t document)
{
    struct pending_blocks **link = &batch->pending;
    while (*link && (*link)->document != document)
        link = &(*link)->next;
    return link;
}

static void pending_drop(struct store_batch *batch, uint64_t document)
{
    struct pending_blocks **link = pending_of(batch, document), *pending = *link;
    if (!pending)
        return;
    *link = pending->next;
    pending_free(pending);
}

/* Writes an extent and makes its draft ready for the next one. */
static enum lmk_status draft_flush(struct store_batch *batch, enum store_table table,
                                   struct extent_draft *draft, struct lmk_error *error)
{
    void *data;
    if (draft->count == 0)
        return LMK_OK;
    size_t bytes = extent_bytes(&draft->shape, draft->count);
    enum lmk_status status = reserve(batch, table, draft->first, bytes, &data, error);
    if (status)
        return status;
    draft_write(draft, data);
    draft->first += draft->count;
    draft->count = 0;
    return LMK_OK;
}

static enum lmk_status pending_flush(struct store_batch *batch, struct pending_blocks *pending,
                                     struct lmk_error *error)
{
    enum lmk_status status = draft_flush(batch, TABLE_LANDMARKS, &pending->landmarks, error);
    return status ? status : draft_flush(batch, TABLE_KEYS_VALUES, &pending->keys_values, error);
}

/* ---- batches */

enum lmk_status store_batch_begin(struct store *store, struct store_batch **batch,
                                  struct lmk_error *error)
{
    assert(store->write);
    *batch = calloc(1, sizeof **batch);
    if (!*batch)
        return error_memory(error, sizeof **batch);
    struct store_view *view = &(*batch)->view;
    view->store = store;
    (*batch)->settings = store->settings;
    int code = mdb_txn_begin(store->env, NULL, 0, &view->txn);
    enum lmk_status status = LMK_OK;
    if (code) {
        view->txn = NULL;
        status = store_failure(store, code, "write", error);
    } else {
        status = store_counts(view, &(*batch)->counts, error);
    }
    if (status) {
        store_abort(*batch);
        *batch = NULL;
    }
    return status;
}

/* Frees all but the transaction. */
static void batch_free(struct store_batch *batch)
{
    while (batch->pending)
        pending_drop(batch, batch->pending->document);
    free(batch);
}

struct store_view *store_batch_view(struct store_batch *batch)
{
    return &batch->view;
}

void store_abort(struct store_batch *batch)
{
    if (!batch)
        return;
    view_release(&batch->view);
    if (batch->view.txn)
        mdb_txn_abort(batch->view.txn);
    batch_free(batch);
}

static enum lmk_status write_counts(struct store_batch *batch, struct lmk_error *error)
{
    struct record_writer record;
    record_init(&record, error);
    MDB_val key = {8, (void *)(uintptr_t) "counters"};
    enum lmk_status status = counts_encode(&batch->counts, &record);
    return put_record(batch, TABLE_META, key, status, &record, error);
}

enum lmk_status store_commit(struct store_batch *batch, struct lmk_error *error)
{
    enum lmk_status status = LMK_OK;
    for (struct pending_blocks *pending = batch->pending; pending && !status;
         pending = pending->next)
        status = pending_flush(batch, pending, error);
    batch->counts.batches++;
    if (!status)
        status = write_counts(batch, error);
    if (status) {
        store_abort(batch);
        return status;
    }
    view_release(&batch->view);
    int code = mdb_txn_commit(batch->view.txn); /* which frees the transaction in any case */
    if (code)
        status = store_failure(batch->view.store, code, "write", error);
    else
        batch->view.store->settings = batch->settings;
    batch_free(batch);
    return status;
}

enum lmk_status store_start_at(struct store_batch *batch, uint64_t next_document,
                               uint64_t next_block, struct lmk_error *error)
{
    assert(next_document >= batch->counts.next_document && next_block >= batch->counts.next_block);
    batch->counts.next_document = next_document;
    batch->counts.next_block = next_block;
    return write_counts(batch, error);
}

/* ---- documents */

static enum lmk_status put_document(struct store_batch *batch, const struct document *document,
                                    struct lmk_error *error)
{
    struct record_writer record;
    record_init(&record, error);
    enum lmk_status status = document_encode(document, batch->counts.batches + 1, &record);
    return put_number(batch, TABLE_DOCUMENTS, document->id, status, &record, error);
}

/* The entries that lead to a document: by its hash and by its first block. */
static enum lmk_status put_entries(struct store_batch *batch, const struct document *document,
                                   struct lmk_error *error)
{
    struct record_writer record;
    MDB_val key = {HASH128_BYTES, (void *)(uintptr_t)document->hash};
    record_init(&record, error);
    enum lmk_status status = entry_encode(document->hash, HASH128_BYTES, document->id, &record);
    status = put_record(batch, TABLE_HASHES, key, status, &record, error);
    if (status)
        return status;
    record_init(&record, error);
    status =
        entry_encode(&document->first_block, sizeof document->first_block, document->id, &record);
    return put_number(batch, TABLE_FIRST_BLOCKS, document->first_block, status, &record, error);
}

static enum lmk_status put_text_extent(struct store_batch *batch,
                                       struct text_extent_builder *builder, uint64_t first_block,
                                       struct lmk_error *error)
{
    void *data;
    enum lmk_status status = text_extent_finish(builder);
    if (!status)
        status = reserve(batch, TABLE_TEXTS, first_block, builder->extent.bytes.size, &data, error);
    if (!status)
        memcpy(data, builder->extent.bytes.data, builder->extent.bytes.size);
    return status;
}

static enum lmk_status put_texts(struct store_batch *batch, const struct document *document,
                                 const struct block_text *texts, struct lmk_error *error)
{
    struct text_extent_builder builder;
    uint64_t first = document->first_block;
    enum lmk_status status = LMK_OK;
    text_extent_init(&builder, batch->view.store->settings.vocabulary, error);
    text_extent_start(&builder, first);
    for (uint64_t i = 0; i < document->block_count && !status; i++) {
        assert(texts[i].token_count > 0 &&
               texts[i].token_count <= batch->view.store->settings.block_tokens);
        if (text_extent_add(&builder, &texts[i]))
            continue;
        status = put_text_extent(batch, &builder, first, error);
        first = document->first_block + i;
        text_extent_start(&builder, first);
        text_extent_add(&builder, &texts[i]);
    }
    if (!status)
        status = put_text_extent(batch, &builder, first, error);
    text_extent_release(&builder);
    return status;
}

static void count_document(struct store_counts *counts, const struct document *document, bool added)
{
    uint64_t sign = added ? 1 : UINT64_MAX; /* times the second one is taking away */
    counts->documents += sign;
    counts->blocks += sign * document->block_count;
    counts->tokens += sign * document->token_count;
    counts->source_bytes += sign * document->source_bytes;
    counts->text_bytes += sign * document->text_bytes;
}

static void count_ready(struct store_counts *counts, const struct document *document, bool added)
{
    if (document->state == DOCUMENT_TEXT)
        return;
    counts->documents_ready += added ? 1 : UINT64_MAX;
    counts->blocks_ready += added ? document->block_count : -document->block_count;
}

static enum lmk_status check_new_document(struct store_batch *batch,
                                          const struct document *document, struct lmk_error *error)
{
    struct document other;
    const struct store_counts *counts = &batch->counts;
    if (document->block_count == 0)
        return error_set(error, LMK_USAGE, "%s has no text to store.", document->path);
    if (document->block_count > UINT64_MAX - counts->next_block ||
        counts->next_document == UINT64_MAX)
        return error_set(error, LMK_USAGE, "The store in %s has used up its numbers.",
                         batch->view.store->directory);
    enum lmk_status status =
        tier_check(document->tier, batch->view.store->settings.head_width, error);
    if (status)
        return status;
    status = store_document_by_hash(&batch->view, document->hash, &other, error);
    if (status == LMK_NOT_FOUND)
        return LMK_OK;
    if (status)
        return status;
    return error_set(error, LMK_USAGE,
                     "The text of %s is in the store already, as document %llu (%s).",
                     document->path, (unsigned long long)other.id, other.path);
}

enum lmk_status store_add_document(struct store_batch *batch, struct document *document,
                                   const struct block_text *texts, struct lmk_error *error)
{
    enum lmk_status status = check_new_document(batch, document, error);
    if (status)
        return status;
    document->id = batch->counts.next_document;
    document->first_block = batch->counts.next_block;
    document->state = DOCUMENT_TEXT;
    if ((status = put_texts(batch, document, texts, error)) ||
        (status = put_entries(batch, document, error)) ||
        (status = put_document(batch, document, error)))
        return status;
    batch->counts.next_document++;
    batch->counts.next_block += document->block_count;
    count_document(&batch->counts, document, true);
    return LMK_OK;
}

void store_skip_documents(struct store_batch *batch, uint64_t next)
{
    if (batch->counts.next_document < next)
        batch->counts.next_document = next;
}

static bool last_block_stored(struct store_batch *batch, bool landmarks,
                              const struct document *document)
{
    struct extent extent;
    uint64_t last = document->first_block + document->block_count - 1;
    return !view_extent(&batch->view, landmarks, last, &extent, NULL);
}

/* A state is only reached with everything in the store that it promises. */
static enum lmk_status check_state(struct store_batch *batch, const struct document *document,
                                   enum document_state state, struct lmk_error *error)
{
    bool landmarks = state == DOCUMENT_TEXT || last_block_stored(batch, true, document);
    bool keys = state != DOCUMENT_READY || document->tier == LMK_TIER_NONE ||
                last_block_stored(batch, false, document);
    if (landmarks && keys)
        return LMK_OK;
    return error_set(error, LMK_USAGE,
                     "Document %llu (%s) cannot be marked as complete: its %s are missing.",
                     (unsigned long long)document->id, document->path,
                     landmarks ? "keys and values" : "landmark keys");
}

enum lmk_status store_set_state(struct store_batch *batch, uint64_t document,
                                enum document_state state, struct lmk_error *error)
{
    struct document record;
    enum lmk_status status = store_document(&batch->view, document, &record, error);
    struct pending_blocks *pending = *pending_of(batch, document);
    if (!status && pending)
        status = pending_flush(batch, pending, error);
    /* Once more: what was written may have moved the page with the record's texts. */
    if (!status)
        status = store_document(&batch->view, document, &record, error);
    if (!status)
        status = check_state(batch, &record, state, error);
    if (status)
        return status;
    count_ready(&batch->counts, &record, false);
    record.state = state;
    count_ready(&batch->counts, &record, true);
    return put_document(batch, &record, error);
}

enum lmk_status store_forget_blocks(struct store_batch *batch, uint64_t document,
                                    struct lmk_error *error)
{
    struct document record;
    enum lmk_status status = store_document(&batch->view, document, &record, error);
    if (status)
        return status;
    uint64_t first = record.first_block, end = first + record.block_count;
    pending_drop(batch, document);
    if ((status = delete_range(batch, TABLE_LANDMARKS, first, end, error)) ||
        (status = delete_range(batch, TABLE_KEYS_VALUES, first, end, error)))
        return status;
    return store_set_state(batch, document, DOCUMENT_TEXT, error);
}

enum lmk_status store_drop_keys_values(struct store_batch *batch, uint64_t document,
                                       struct lmk_error *error)
{
    struct document record;
    enum lmk_status status = store_document(&batch->view, document, &record, error);
    if (!status && record.state == DOCUMENT_TEXT)
        return error_set(
            error, LMK_USAGE,
            "Document %llu (%s) is not complete: what it has of keys and values stays.",
            (unsigned long long)document, record.path);
    if (!status)
        status = delete_range(batch, TABLE_KEYS_VALUES, record.first_block,
                              record.first_block + record.block_count, error);
    /* Once more: the record's texts may have moved. */
    if (!status)
        status = store_document(&batch->view, document, &record, error);
    if (status)
        return status;
    record.tier = LMK_TIER_NONE;
    record.state = DOCUMENT_READY;
    return put_document(batch, &record, error);
}

enum lmk_status store_want_keys_values(struct store_batch *batch, uint64_t document,
                                       enum lmk_tier tier, struct lmk_error *error)
{
    struct document record;
    enum lmk_status status = tier_check(tier, batch->view.store->settings.head_width, error);
    if (status || (status = store_document(&batch->view, document, &record, error)))
        return status;
    if (record.state != DOCUMENT_READY || record.tier != LMK_TIER_NONE)
        return error_set(error, LMK_USAGE,
                         "Document %llu (%s) is not complete, or has keys and values.",
                         (unsigned long long)document, record.path);
    record.tier = tier;
    record.state = DOCUMENT_LANDMARKS;
    return put_document(batch, &record, error);
}

enum lmk_status store_set_path(struct store_batch *batch, uint64_t document, const char *path,
                               struct lmk_error *error)
{
    struct document record;
    enum lmk_status status = store_document(&batch->view, document, &record, error);
    if (status)
        return status;
    record.path = path;
    return put_document(batch, &record, error);
}

/* ---- blocks */

/* Takes the blocks before `next` back out of the stored extent that runs across it; those from it
 * on are given anew. */
static enum lmk_status reopen_extent(struct store_batch *batch, bool landmarks, uint64_t next,
                                     struct extent_draft *draft, struct lmk_error *error)
{
    struct extent extent;
    enum lmk_status status = view_extent(&batch->view, landmarks, next, &extent, error);
    draft->first = next;
    if (status)
        return status == LMK_NOT_FOUND ? LMK_OK : status;
    if (extent.shape.type != draft->shape.type)
        return block_damage(&batch->view, extent.first,
                            "the type of rows is not that of the document's tier", error);
    if (extent.first == next)
        return LMK_OK;
    draft->first = extent.first;
    if (draft->capacity < extent.count)
        draft->capacity = extent.count;
    for (uint64_t block = extent.first; block < next; block++)
        if (!draft_copy(draft, &extent, block))
            return error_memory(error, draft->capacity * draft->shape.part_bytes);
    return LMK_OK;
}

/* Prepares one table for blocks from `next` on: everything before must be there, what comes behind
 * goes. */
static enum lmk_status draft_start(struct store_batch *batch, bool landmarks,
                                   const struct document *document, uint64_t next,
                                   struct extent_draft *draft, struct lmk_error *error)
{
    struct extent before;
    uint64_t end = document->first_block + document->block_count;
    if (next > document->first_block) {
        enum lmk_status status = view_extent(&batch->view, landmarks, next - 1, &before, error);
        if (status == LMK_NOT_FOUND)
            return error_set(
                error, LMK_USAGE,
                "Blocks of document %llu must be stored in order: block %llu is missing "
                "before block %llu.",
                (unsigned long long)document->id, (unsigned long long)(next - 1),
                (unsigned long long)next);
        if (status)
            return status;
    }
    draft->capacity = extent_best_count(&draft->shape);
    enum lmk_status status = reopen_extent(batch, landmarks, next, draft, error);
    return status ? status
                  : delete_range(batch, landmarks ? TABLE_LANDMARKS : TABLE_KEYS_VALUES,
                                 draft->first, end, error);
}

/* The document's entry in the list, made when its first blocks in this batch come. */
static enum lmk_status pending_start(struct store_batch *batch, const struct document *document,
                                     uint64_t next, struct pending_blocks **result,
                                     struct lmk_error *error)
{
    const struct store_settings *settings = &batch->view.store->settings;
    struct pending_blocks *pending = calloc(1, sizeof *pending);
    if (!pending)
        return error_memory(error, sizeof *pending);
    pending->document = document->id;
    pending->next_block = next;
    pending->end_block = document->first_block + document->block_count;
    pending->landmarks.shape = landmark_shape(settings);
    enum lmk_status status =
        document->state == DOCUMENT_TEXT
            ? draft_start(batch, true, document, next, &pending->landmarks, error)
            : LMK_OK;
    if (!status && document->tier != LMK_TIER_NONE) {
        pending->keys_values.shape = keys_values_shape(settings, document->tier);
        status = draft_start(batch, false, document, next, &pending->keys_values, error);
    }
    if (status) {
        pending_free(pending);
        return status;
    }
    pending->next = batch->pending;
    batch->pending = *result = pending;
    return LMK_OK;
}

static enum lmk_status find_pending(struct store_batch *batch, uint64_t id, uint64_t first,
                                    size_t count, struct pending_blocks **result,
                                    struct lmk_error *error)
{
    struct document document;
    *result = *pending_of(batch, id);
    if (*result && (*result)->next_block == first && count <= (*result)->end_block - first)
        return LMK_OK;
    enum lmk_status status = store_document(&batch->view, id, &document, error);
    if (status)
        return status;
    if (*result || first < document.first_block ||
        first - document.first_block > document.block_count ||
        count > document.block_count - (first - document.first_block))
        return error_set(error, LMK_USAGE, "Blocks %llu to %llu do not continue document %llu.",
                         (unsigned long long)first, (unsigned long long)(first + count),
                         (unsigned long long)id);
    return pending_start(batch, &document, first, result, error);
}

static enum lmk_status add_landmark(struct store_batch *batch, struct extent_draft *draft,
                                    const float *key, struct lmk_error *error)
{
    unsigned char *bytes = draft_next(draft);
    if (!bytes)
        return error_memory(error, draft->capacity * draft->shape.part_bytes);
    memcpy(bytes, key, draft->shape.part_bytes);
    draft_added(draft);
    return draft->count < draft->capacity ? LMK_OK
                                          : draft_flush(batch, TABLE_LANDMARKS, draft, error);
}

static enum lmk_status add_keys_values(struct store_batch *batch, struct extent_draft *draft,
                                       const float *keys, const float *values, size_t value_count,
                                       struct lmk_error *error)
{
    unsigned char *bytes = draft_next(draft);
    if (!bytes)
        return error_memory(error, draft->capacity * draft->shape.parts * draft->shape.part_bytes);
    rows_pack(draft->shape.type, keys, bytes, value_count);
    rows_pack(draft->shape.type, values, bytes + draft->shape.part_bytes, value_count);
    draft_added(draft);
    return draft->count < draft->capacity ? LMK_OK
                                          : draft_flush(batch, TABLE_KEYS_VALUES, draft, error);
}

enum lmk_status store_put_blocks(struct store_batch *batch, const struct document *document,
                                 uint64_t first_block, size_t count, const float *landmark_keys,
                                 const float *keys, const float *values, struct lmk_error *error)
{
    struct pending_blocks *pending;
    if (count == 0)
        return LMK_OK;
    enum lmk_status status = find_pending(batch, document->id, first_block, count, &pending, error);
    if (status)
        return status;
    size_t landmark_values = pending->landmarks.shape.part_bytes / sizeof(float);
    size_t block_values = landmark_values * batch->view.store->settings.block_tokens;
    for (size_t i = 0; i < count && !status; i++) {
        if (pending->landmarks.capacity)
            status = add_landmark(batch, &pending->landmarks, landmark_keys + i * landmark_values,
                                  error);
        if (!status && pending->keys_values.capacity)
            status = add_keys_values(batch, &pending->keys_values, keys + i * block_values,
                                     values + i * block_values, block_values, error);
    }
    if (status)
        return status;
    pending->next_block += count;
    if (pending->next_block < pending->end_block)
        return LMK_OK;
    status = pending_flush(batch, pending, error);
    pending_drop(batch, document->id);
    return status;
}

/* ---- sources */

void document_source_key(unsigned char key[DOCUMENT_SOURCE_BYTES], uint64_t document,
                         const unsigned char hash[HASH128_BYTES])
{
    for (int i = 0; i < 8; i++)
        key[i] = (unsigned char)(document >> (56 - 8 * i));
    memcpy(key + 8, hash, HASH128_BYTES);
}

static enum lmk_status delete_document_source(struct store_batch *batch, uint64_t document,
                                              const unsigned char hash[HASH128_BYTES],
                                              struct lmk_error *error)
{
    unsigned char key[DOCUMENT_SOURCE_BYTES];
    document_source_key(key, document, hash);
    return delete (batch, TABLE_DOCUMENT_SOURCES, (MDB_val){sizeof key, key}, error);
}

static enum lmk_status put_document_source(struct store_batch *batch, uint64_t document,
                                           const unsigned char hash[HASH128_BYTES],
                                           struct lmk_error *error)
{
    unsigned char key[DOCUMENT_SOURCE_BYTES], checksum[8];
    document_source_key(key, document, hash);
    write_u64(checksum, hash64(key, sizeof key));
    return put(batch, TABLE_DOCUMENT_SOURCES, (MDB_val){sizeof key, key}, checksum, sizeof checksum,
               error);
}

enum lmk_status store_remove_source(struct store_batch *batch, const char *path,
                                    struct lmk_error *error)
{
    struct source_record before;
    unsigned char hash[HASH128_BYTES];
    hash128(path, strlen(path), hash);
    enum lmk_status status = store_source(&batch->view, path, &before, error);
    if (!status && before.document)
        status = delete_document_source(batch, before.document, hash, error);
    if (!status)
        status = delete (batch, TABLE_SOURCES, (MDB_val){sizeof hash, hash}, error);
    return status == LMK_NOT_FOUND ? LMK_OK : status;
}

enum lmk_status store_put_source(struct store_batch *batch, const char *path,
                                 const struct source_record *record, struct lmk_error *error)
{
    unsigned char hash[HASH128_BYTES];
    hash128(path, strlen(path), hash);
    enum lmk_status status = store_remove_source(batch, path, error);
    if (status)
        return status;
    struct record_writer writer;
    record_init(&writer, error);
    status = source_encode(path, record, &writer);
    status =
        put_record(batch, TABLE_SOURCES, (MDB_val){HASH128_BYTES, hash}, status, &writer, error);
    if (status || !record->document)
        return status;
    return put_document_source(batch, record->document, hash, error);
}

static enum lmk_status remove_sources(struct store_batch *batch, uint64_t document,
                                      struct lmk_error *error)
{
    static const unsigned char zero[HASH128_BYTES];
    unsigned char first[DOCUMENT_SOURCE_BYTES], hash[HASH128_BYTES];
    document_source_key(first, document, zero);
    for (;;) {
        MDB_val key = {sizeof first, first}, value;
        MDB_cursor *cursor = view_cursor(&batch->view, TABLE_DOCUMENT_SOURCES, error);
        if (!cursor)
            return LMK_MEMORY;
        int code = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
        if (code == MDB_NOTFOUND ||
            (!code && (key.mv_size != DOCUMENT_SOURCE_BYTES || memcmp(key.mv_data, first, 8) != 0)))
            return LMK_OK;
        if (!code) {
            memcpy(hash, (const unsigned char *)key.mv_data + 8, sizeof hash);
            code = mdb_cursor_del(cursor, 0);
        }
        if (code)
            return store_failure(batch->view.store, code, "write", error);
        enum lmk_status status = delete (batch, TABLE_SOURCES, (MDB_val){sizeof hash, hash}, error);
        if (status)
            return status;
    }
}

/* ---- removing */

enum lmk_status store_remove_document(struct store_batch *batch, uint64_t document,
                                      struct lmk_error *error)
{
    static const enum store_table extents[] = {TABLE_TEXTS, TABLE_LANDMARKS, TABLE_KEYS_VALUES};
    struct document record;
    enum lmk_status status = store_document(&batch->view, document, &record, error);
    if (status)
        return status;
    pending_drop(batch, document);
    count_ready(&batch->counts, &record, false);
    count_document(&batch->counts, &record, false);
    for (size_t i = 0; i < sizeof extents / sizeof extents[0] && !status; i++)
        status = delete_range(batch, extents[i], record.first_block,
                              record.first_block + record.block_count, error);
    if (!status)
        status = remove_sources(batch, document, error);
    if (!status)
        status = delete (batch, TABLE_HASHES, (MDB_val){HASH128_BYTES, record.hash}, error);
    if (!status)
        status = delete (batch, TABLE_FIRST_BLOCKS, number_key(&record.first_block), error);
    return status ? status : delete (batch, TABLE_DOCUMENTS, number_key(&document), error);
}

/* ---- the rest */

enum lmk_status store_set_ann(struct store_batch *batch, const char *ann, struct lmk_error *error)
{
    struct record_writer record;
    MDB_val key = {8, (void *)(uintptr_t) "settings"};
    snprintf(batch->settings.ann, sizeof batch->settings.ann, "%s", ann);
    record_init(&record, error);
    enum lmk_status status = settings_encode(&batch->settings, &record);
    return put_record(batch, TABLE_META, key, status, &record, error);
}

enum lmk_status store_put_segment(struct store_batch *batch, const struct segment_record *segment,
                                  struct lmk_error *error)
{
    struct record_writer record;
    record_init(&record, error);
    MDB_val key = {strlen(segment->name), (void *)(uintptr_t)segment->name};
    enum lmk_status status = segment_encode(segment, &record);
    return put_record(batch, TABLE_SEGMENTS, key, status, &record, error);
}

enum lmk_status store_remove_segment(struct store_batch *batch, const char *name,
                                     struct lmk_error *error)
{
    return delete (batch, TABLE_SEGMENTS, (MDB_val){strlen(name), (void *)(uintptr_t)name}, error);
}
