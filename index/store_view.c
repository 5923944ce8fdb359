#include "index/store_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- transactions */

enum lmk_status store_view_begin(struct store *store, struct store_view **view,
                                 struct lmk_error *error)
{
    *view = calloc(1, sizeof **view);
    if (!*view)
        return error_memory(error, sizeof **view);
    (*view)->store = store;
    int code = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &(*view)->txn);
    if (!code)
        return LMK_OK;
    free(*view);
    *view = NULL;
    return store_failure(store, code, "read", error);
}

void view_release(struct store_view *view)
{
    for (size_t i = 0; i < TABLE_COUNT; i++)
        if (view->cursors[i])
            mdb_cursor_close(view->cursors[i]);
    memset(view->cursors, 0, sizeof view->cursors);
    for (struct view_copy *copy = view->copies, *next; copy; copy = next) {
        next = copy->next;
        free(copy);
    }
    view->copies = NULL;
}

void store_view_end(struct store_view *view)
{
    if (!view)
        return;
    view_release(view);
    mdb_txn_abort(view->txn);
    free(view);
}

/* ---- look-ups */

MDB_val number_key(const uint64_t *number)
{
    return (MDB_val){sizeof *number, (void *)(uintptr_t)number};
}

static MDB_val bytes_key(const void *bytes, size_t size)
{
    return (MDB_val){size, (void *)(uintptr_t)bytes};
}

enum lmk_status view_get(struct store_view *view, enum store_table table, MDB_val key,
                         MDB_val *value, struct lmk_error *error)
{
    int code = mdb_get(view->txn, view->store->tables[table], &key, value);
    if (code == MDB_NOTFOUND)
        return LMK_NOT_FOUND;
    return code ? store_failure(view->store, code, "read", error) : LMK_OK;
}

MDB_cursor *view_cursor(struct store_view *view, enum store_table table, struct lmk_error *error)
{
    MDB_cursor **cursor = &view->cursors[table];
    int code = *cursor ? 0 : mdb_cursor_open(view->txn, view->store->tables[table], cursor);
    if (!code)
        return *cursor;
    *cursor = NULL;
    store_failure(view->store, code, "read", error);
    return NULL;
}

/* What a cursor's move ended with; a number is copied out of its key. */
static enum lmk_status at_number(struct store_view *view, int code, const MDB_val *found,
                                 uint64_t *key, struct lmk_error *error)
{
    if (code == MDB_NOTFOUND)
        return LMK_NOT_FOUND;
    if (code)
        return store_failure(view->store, code, "read", error);
    if (found->mv_size != sizeof *key)
        return store_damage(view->store, error, "a key has %zu bytes instead of 8", found->mv_size);
    memcpy(key, found->mv_data, sizeof *key);
    return LMK_OK;
}

enum lmk_status view_at_or_after(struct store_view *view, enum store_table table, uint64_t number,
                                 uint64_t *key, MDB_val *value, struct lmk_error *error)
{
    MDB_cursor *cursor = view_cursor(view, table, error);
    if (!cursor)
        return LMK_MEMORY;
    MDB_val found = number_key(&number);
    int code = mdb_cursor_get(cursor, &found, value, MDB_SET_RANGE);
    enum lmk_status status = at_number(view, code, &found, key, error);
    if (!status && *key < number) /* would make loops over a table endless */
        return store_damage(view->store, error, "the keys of table %s are out of order",
                            store_tables[table].name);
    return status;
}

enum lmk_status view_at_or_before(struct store_view *view, enum store_table table, uint64_t number,
                                  uint64_t *key, MDB_val *value, struct lmk_error *error)
{
    *key = 0;
    enum lmk_status status = view_at_or_after(view, table, number, key, value, error);
    if ((status && status != LMK_NOT_FOUND) || (!status && *key == number))
        return status;
    MDB_val found;
    int code = mdb_cursor_get(view->cursors[table], &found, value, status ? MDB_LAST : MDB_PREV);
    status = at_number(view, code, &found, key, error);
    if (!status && *key > number)
        return store_damage(view->store, error, "the keys of table %s are out of order",
                            store_tables[table].name);
    return status;
}

/* A copy that lives as long as the view and is aligned for any number. */
static void *view_copy(struct store_view *view, const void *data, size_t size,
                       struct lmk_error *error)
{
    struct view_copy *copy = malloc(sizeof *copy + size);
    if (!copy) {
        error_memory(error, size);
        return NULL;
    }
    copy->next = view->copies;
    view->copies = copy;
    return memcpy(copy->data, data, size);
}

/* ---- counters and documents */

enum lmk_status store_counts(struct store_view *view, struct store_counts *counts,
                             struct lmk_error *error)
{
    MDB_val value;
    enum lmk_status status = view_get(view, TABLE_META, bytes_key("counters", 8), &value, error);
    if (status == LMK_NOT_FOUND ||
        (!status && !counts_decode(value.mv_data, value.mv_size, counts)))
        return store_damage(view->store, error,
                            "its counters are missing or do not match their checksum");
    return status;
}

static enum lmk_status decode_document(struct store_view *view, uint64_t id, const MDB_val *value,
                                       struct document *document, struct lmk_error *error)
{
    if (document_decode(value->mv_data, value->mv_size, id, document))
        return LMK_OK;
    return store_damage(view->store, error,
                        "the record of document %llu does not match its checksum",
                        (unsigned long long)id);
}

enum lmk_status store_document(struct store_view *view, uint64_t id, struct document *document,
                               struct lmk_error *error)
{
    MDB_val value;
    enum lmk_status status = view_get(view, TABLE_DOCUMENTS, number_key(&id), &value, error);
    if (status == LMK_NOT_FOUND)
        return error_set(error, LMK_NOT_FOUND, "There is no document %llu in the store in %s.",
                         (unsigned long long)id, view->store->directory);
    return status ? status : decode_document(view, id, &value, document, error);
}

enum lmk_status store_next_document(struct store_view *view, uint64_t id, struct document *document,
                                    struct lmk_error *error)
{
    MDB_val value;
    uint64_t found = 0;
    enum lmk_status status = view_at_or_after(view, TABLE_DOCUMENTS, id, &found, &value, error);
    if (status == LMK_NOT_FOUND)
        return error_set(error, LMK_NOT_FOUND, "There is no further document in the store in %s.",
                         view->store->directory);
    return status ? status : decode_document(view, found, &value, document, error);
}

/* The document that an index entry names, which must exist. */
static enum lmk_status document_named(struct store_view *view, uint64_t id, const char *by,
                                      struct document *document, struct lmk_error *error)
{
    enum lmk_status status = store_document(view, id, document, error);
    if (status != LMK_NOT_FOUND)
        return status;
    return store_damage(view->store, error, "%s names document %llu, which does not exist", by,
                        (unsigned long long)id);
}

enum lmk_status store_document_by_hash(struct store_view *view,
                                       const unsigned char hash[HASH128_BYTES],
                                       struct document *document, struct lmk_error *error)
{
    MDB_val value;
    uint64_t id;
    enum lmk_status status =
        view_get(view, TABLE_HASHES, bytes_key(hash, HASH128_BYTES), &value, error);
    if (status == LMK_NOT_FOUND)
        return error_set(error, LMK_NOT_FOUND, "The store in %s has no document with that text.",
                         view->store->directory);
    if (status)
        return status;
    if (!entry_decode(value.mv_data, value.mv_size, hash, HASH128_BYTES, &id))
        return store_damage(view->store, error,
                            "an entry of the table of hashes does not match its checksum");
    if ((status = document_named(view, id, "the table of hashes", document, error)))
        return status;
    if (memcmp(document->hash, hash, HASH128_BYTES) != 0)
        return store_damage(view->store, error,
                            "the table of hashes names document %llu, whose hash is another",
                            (unsigned long long)id);
    return LMK_OK;
}

enum lmk_status store_document_of_block(struct store_view *view, uint64_t block,
                                        struct document *document, struct lmk_error *error)
{
    MDB_val value;
    uint64_t first, id;
    enum lmk_status status =
        view_at_or_before(view, TABLE_FIRST_BLOCKS, block, &first, &value, error);
    if (!status && !entry_decode(value.mv_data, value.mv_size, &first, sizeof first, &id))
        return store_damage(view->store, error,
                            "the entry of first block %llu does not match its checksum",
                            (unsigned long long)first);
    if (!status)
        status = document_named(view, id, "the table of first blocks", document, error);
    if (!status && document->first_block != first)
        return store_damage(view->store, error,
                            "document %llu does not begin at block %llu as the table of first "
                            "blocks has it",
                            (unsigned long long)id, (unsigned long long)first);
    if (status == LMK_NOT_FOUND || (!status && block - first >= document->block_count))
        return error_set(error, LMK_NOT_FOUND, "There is no block %llu in the store in %s.",
                         (unsigned long long)block, view->store->directory);
    return status;
}

enum lmk_status block_damage(struct store_view *view, uint64_t block, const char *what,
                             struct lmk_error *error)
{
    struct document document = {0};
    if (store_document_of_block(view, block, &document, NULL))
        return store_damage(view->store, error, "%s of block %llu", what,
                            (unsigned long long)block);
    return store_damage(
        view->store, error, "%s of block %llu, which is block %llu of %llu of document %llu (%s)",
        what, (unsigned long long)block, (unsigned long long)(block - document.first_block + 1),
        (unsigned long long)document.block_count, (unsigned long long)document.id, document.path);
}

/* ---- sources, segments */

enum lmk_status store_source(struct store_view *view, const char *path,
                             struct source_record *record, struct lmk_error *error)
{
    unsigned char hash[HASH128_BYTES];
    hash128(path, strlen(path), hash);
    MDB_val value;
    enum lmk_status status =
        view_get(view, TABLE_SOURCES, bytes_key(hash, HASH128_BYTES), &value, error);
    if (status == LMK_NOT_FOUND)
        return error_set(error, LMK_NOT_FOUND, "The store in %s does not know the file %s.",
                         view->store->directory, path);
    if (!status && !source_decode(value.mv_data, value.mv_size, hash, NULL, record))
        return store_damage(view->store, error,
                            "the record of the file %s does not match its checksum", path);
    return status;
}

static enum lmk_status source_damage(struct store_view *view, struct lmk_error *error)
{
    return store_damage(view->store, error, "the record of a file does not match its checksum");
}

enum lmk_status store_visit_sources(struct store_view *view,
                                    enum lmk_status (*visit)(void *context, const char *path,
                                                             const struct source_record *record,
                                                             struct lmk_error *error),
                                    void *context, struct lmk_error *error)
{
    MDB_cursor *cursor = view_cursor(view, TABLE_SOURCES, error);
    if (!cursor)
        return LMK_MEMORY;
    enum lmk_status status = LMK_OK;
    MDB_val key, value;
    int code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    for (; !code && !status; code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        struct source_record record;
        const char *path;
        if (key.mv_size != HASH128_BYTES ||
            !source_decode(value.mv_data, value.mv_size, key.mv_data, &path, &record))
            return source_damage(view, error);
        status = visit(context, path, &record, error);
    }
    if (!status && code != MDB_NOTFOUND)
        status = store_failure(view->store, code, "read", error);
    return status;
}

enum lmk_status store_source_of_document(struct store_view *view, uint64_t document,
                                         const char **path, struct lmk_error *error)
{
    static const unsigned char zero[HASH128_BYTES];
    unsigned char first[DOCUMENT_SOURCE_BYTES];
    struct source_record record;
    document_source_key(first, document, zero);
    MDB_val key = {sizeof first, first}, value;
    MDB_cursor *cursor = view_cursor(view, TABLE_DOCUMENT_SOURCES, error);
    if (!cursor)
        return LMK_MEMORY;
    int code = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    if (code == MDB_NOTFOUND ||
        (!code && (key.mv_size != DOCUMENT_SOURCE_BYTES || memcmp(key.mv_data, first, 8) != 0)))
        return LMK_NOT_FOUND;
    if (code)
        return store_failure(view->store, code, "read", error);
    const unsigned char *hash = (const unsigned char *)key.mv_data + 8;
    enum lmk_status status =
        view_get(view, TABLE_SOURCES, bytes_key(hash, HASH128_BYTES), &value, error);
    if (status == LMK_NOT_FOUND ||
        (!status && !source_decode(value.mv_data, value.mv_size, hash, path, &record)))
        return source_damage(view, error);
    return status;
}

static enum lmk_status add_segment(struct store_view *view, const MDB_val *key,
                                   const MDB_val *value, struct buffer *segments,
                                   struct lmk_error *error)
{
    struct segment_record segment;
    if (!segment_decode(value->mv_data, value->mv_size, &segment) ||
        strlen(segment.name) != key->mv_size ||
        memcmp(segment.name, key->mv_data, key->mv_size) != 0)
        return store_damage(view->store, error,
                            "the record of a segment does not match its checksum");
    return buffer_append(segments, &segment, sizeof segment, error);
}

enum lmk_status store_segments(struct store_view *view, struct buffer *segments,
                               struct lmk_error *error)
{
    MDB_cursor *cursor = view_cursor(view, TABLE_SEGMENTS, error);
    if (!cursor)
        return LMK_MEMORY;
    enum lmk_status status = LMK_OK;
    MDB_val key, value;
    int code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
    for (; !code && !status; code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT))
        status = add_segment(view, &key, &value, segments, error);
    if (!status && code != MDB_NOTFOUND)
        status = store_failure(view->store, code, "read", error);
    return status;
}

/* ---- blocks */

enum lmk_status store_block_text(struct store_view *view, uint64_t block, struct buffer *tokens,
                                 struct buffer *runs, struct block_text *text,
                                 struct lmk_error *error)
{
    struct document document;
    MDB_val value;
    uint64_t first;
    enum lmk_status status = store_document_of_block(view, block, &document, error);
    if (status)
        return status;
    status = view_at_or_before(view, TABLE_TEXTS, block, &first, &value, error);
    if (status && status != LMK_NOT_FOUND)
        return status;
    if (status == LMK_NOT_FOUND || first < document.first_block)
        return block_damage(view, block, "there is no text", error);
    uint32_t count = text_extent_count(value.mv_data, value.mv_size, first);
    if (count == 0)
        return block_damage(view, block, "the checksum does not match the text", error);
    if (block - first >= count)
        return block_damage(view, block, "there is no text", error);
    status = text_extent_block(value.mv_data, value.mv_size, (uint32_t)(block - first),
                               &view->store->settings, tokens, runs, text, error);
    if (status == LMK_CORRUPT)
        return block_damage(view, block, "the bytes make no sense as the text", error);
    text->document = document.id;
    return status;
}

enum lmk_status view_extent(struct store_view *view, bool landmarks, uint64_t block,
                            struct extent *extent, struct lmk_error *error)
{
    MDB_val value;
    uint64_t first;
    enum store_table table = landmarks ? TABLE_LANDMARKS : TABLE_KEYS_VALUES;
    enum lmk_status status = view_at_or_before(view, table, block, &first, &value, error);
    if (status)
        return status;
    if (!extent_open(extent, &view->store->settings, landmarks, first, value.mv_data,
                     value.mv_size))
        return block_damage(view, first,
                            landmarks ? "the header does not fit the landmark keys"
                                      : "the header does not fit the keys and values",
                            error);
    return block - first < extent->count ? LMK_OK : LMK_NOT_FOUND;
}

static enum lmk_status no_block(struct store_view *view, uint64_t block, const char *what,
                                struct lmk_error *error)
{
    return error_set(error, LMK_NOT_FOUND, "The store in %s holds no %s of block %llu.",
                     view->store->directory, what, (unsigned long long)block);
}

static bool is_aligned(const void *at)
{
    return (uintptr_t)at % sizeof(float) == 0;
}

enum lmk_status store_landmark_key(struct store_view *view, uint64_t block, const float **key,
                                   struct lmk_error *error)
{
    struct extent extent;
    enum lmk_status status = view_extent(view, true, block, &extent, error);
    if (status)
        return status == LMK_NOT_FOUND ? no_block(view, block, "landmark key", error) : status;
    const void *bytes = extent_part(&extent, block, 0);
    if (!bytes)
        return block_damage(view, block, "the checksum does not match the landmark key", error);
    /* Extents of less than half a page lie within LMDB's leaves, at even addresses only. */
    if (!is_aligned(bytes) && !(bytes = view_copy(view, bytes, extent.shape.part_bytes, error)))
        return LMK_MEMORY;
    *key = bytes;
    return LMK_OK;
}

enum lmk_status store_keys_values(struct store_view *view, uint64_t block, enum tensor_type *type,
                                  const void **keys, const void **values, struct lmk_error *error)
{
    struct extent extent;
    enum lmk_status status = view_extent(view, false, block, &extent, error);
    if (status)
        return status == LMK_NOT_FOUND ? no_block(view, block, "keys and values", error) : status;
    *type = extent.shape.type;
    if (!(*keys = extent_part(&extent, block, 0)))
        return block_damage(view, block, "the checksum does not match the keys", error);
    if (values && !(*values = extent_part(&extent, block, 1)))
        return block_damage(view, block, "the checksum does not match the values", error);
    return LMK_OK;
}

static enum lmk_status blocks_stored(struct store_view *view, bool landmarks,
                                     const struct document *document, uint64_t *count,
                                     struct lmk_error *error)
{
    struct extent last = {0};
    enum lmk_status status = view_extent(
        view, landmarks, document->first_block + document->block_count - 1, &last, error);
    uint64_t end = last.first + last.count;
    *count = end > document->first_block ? end - document->first_block : 0;
    return status == LMK_NOT_FOUND ? LMK_OK : status;
}

enum lmk_status store_blocks_done(struct store_view *view, const struct document *document,
                                  uint64_t *count, struct lmk_error *error)
{
    uint64_t landmarks, keys_values = document->block_count;
    enum lmk_status status = blocks_stored(view, true, document, &landmarks, error);
    if (!status && document->tier != LMK_TIER_NONE)
        status = blocks_stored(view, false, document, &keys_values, error);
    if (!status)
        *count = landmarks < keys_values ? landmarks : keys_values;
    return status;
}

enum lmk_status store_find_landmark(struct store_view *view, uint64_t block, uint64_t *first,
                                    uint64_t *end, struct lmk_error *error)
{
    struct extent before = {0};
    MDB_val value;
    enum lmk_status status = view_extent(view, true, block, &before, error);
    if (status != LMK_NOT_FOUND)
        return status;
    *first = before.first + before.count;
    status = view_at_or_after(view, TABLE_LANDMARKS, block, end, &value, error);
    if (status == LMK_NOT_FOUND)
        *end = UINT64_MAX;
    return status ? status : LMK_NOT_FOUND;
}

/* ---- all landmarks */

struct landmark_visit {
    struct store_view *view;
    uint64_t first, end;
    enum lmk_status (*visit)(void *context, uint64_t block, const float *key,
                             struct lmk_error *error);
    void *context;
    float *aligned; /* one key, for those that lie at odd addresses */
};

static enum lmk_status visit_extent(struct landmark_visit *visit, const struct extent *extent,
                                    struct lmk_error *error)
{
    enum lmk_status status = LMK_OK;
    for (uint32_t i = 0; i < extent->count && !status; i++) {
        uint64_t block = extent->first + i;
        if (block < visit->first || block >= visit->end)
            continue;
        const void *key = extent_part(extent, block, 0);
        if (!key)
            return block_damage(visit->view, block, "the checksum does not match the landmark key",
                                error);
        if (!is_aligned(key))
            key = memcpy(visit->aligned, key, extent->shape.part_bytes);
        status = visit->visit(visit->context, block, key, error);
    }
    return status;
}

/* The extent of landmarks that holds the block, or else the first one behind it. */
static enum lmk_status extent_from(struct store_view *view, uint64_t block, struct extent *extent,
                                   struct lmk_error *error)
{
    MDB_val value;
    uint64_t first = block;
    enum lmk_status status = view_extent(view, true, block, extent, error);
    if (status != LMK_NOT_FOUND)
        return status;
    status = view_at_or_after(view, TABLE_LANDMARKS, block, &first, &value, error);
    return status ? status : view_extent(view, true, first, extent, error);
}

/* Each extent is found anew by its number, so that `visit` may use the view in any way. */
static enum lmk_status visit_extents(struct landmark_visit *visit, struct lmk_error *error)
{
    uint64_t next = visit->first;
    while (next < visit->end) {
        struct extent extent;
        enum lmk_status status = extent_from(visit->view, next, &extent, error);
        if (status == LMK_NOT_FOUND)
            break;
        if (!status)
            status = visit_extent(visit, &extent, error);
        if (status)
            return status;
        next = extent.first + extent.count;
    }
    return LMK_OK;
}

enum lmk_status store_visit_landmarks(struct store_view *view, uint64_t first, uint64_t end,
                                      enum lmk_status (*visit)(void *context, uint64_t block,
                                                               const float *key,
                                                               struct lmk_error *error),
                                      void *context, struct lmk_error *error)
{
    struct landmark_visit state = {
        .view = view, .first = first, .end = end, .visit = visit, .context = context};
    size_t bytes = landmark_shape(&view->store->settings).part_bytes;
    state.aligned = malloc(bytes);
    if (!state.aligned)
        return error_memory(error, bytes);
    enum lmk_status status = visit_extents(&state, error);
    free(state.aligned);
    return status;
}

/* ---- sizes */

static enum lmk_status table_bytes(struct store_view *view, enum store_table table, uint64_t *bytes,
                                   struct lmk_error *error)
{
    MDB_stat stat;
    int code = mdb_stat(view->txn, view->store->tables[table], &stat);
    if (code)
        return store_failure(view->store, code, "read", error);
    *bytes += (uint64_t)stat.ms_psize *
              (stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages);
    return LMK_OK;
}

enum lmk_status store_sizes(struct store_view *view, struct store_sizes *sizes,
                            struct lmk_error *error)
{
    *sizes = (struct store_sizes){0};
    enum lmk_status status = LMK_OK;
    for (size_t i = 0; i < TABLE_COUNT && !status; i++) {
        uint64_t *bytes = i == TABLE_TEXTS         ? &sizes->text
                          : i == TABLE_LANDMARKS   ? &sizes->landmarks
                          : i == TABLE_KEYS_VALUES ? &sizes->keys_values
                                                   : &sizes->other;
        status = table_bytes(view, (enum store_table)i, bytes, error);
    }
    struct stat information;
    int descriptor;
    if (!status &&
        (mdb_env_get_fd(view->store->env, &descriptor) || fstat(descriptor, &information)))
        return error_system(error, "Cannot read the size of the store in %s",
                            view->store->directory);
    if (!status)
        sizes->file = (uint64_t)information.st_size;
    return status;
}
