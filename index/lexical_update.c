#include "index/lexical_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A transaction is committed when it holds so much text. */
#define COMMIT_BYTES ((size_t)16 << 20)

struct update {
    struct lmk_collection *collection;
    struct lexical *lexical;
    struct store_view *view;
    lexical_report *report;
    void *context;
    uint64_t added, to_add;
    size_t uncommitted; /* bytes of text */
    bool complete;      /* nothing was left for later */
    sqlite3_stmt *next, *insert_words, *insert_document, *remove_words, *remove_document;
    struct buffer text;   /* of a document */
    struct buffer starts; /* size_t: where each block begins in it, and its end */
    struct buffer tokens, runs;
};

/* ------------------------------------------------------------------ texts */

/* The document's text and the places where its blocks begin. */
static enum lmk_status load_text(struct update *update, const struct document *document,
                                 struct lmk_error *error)
{
    enum lmk_status status = LMK_OK;
    buffer_clear(&update->text);
    buffer_clear(&update->starts);
    for (uint64_t i = 0; !status && i < document->block_count; i++) {
        struct block_text block;
        size_t start = update->text.size;
        buffer_clear(&update->tokens);
        buffer_clear(&update->runs);
        status = buffer_append(&update->starts, &start, sizeof start, error);
        if (!status)
            status = store_block_text(update->view, document->first_block + i, &update->tokens,
                                      &update->runs, &block, error);
        if (!status)
            status = tokenizer_decode(update->collection->model->tokenizer, block.tokens,
                                      block.token_count, i == 0, &update->text, error);
    }
    size_t end = update->text.size;
    return status ? status : buffer_append(&update->starts, &end, sizeof end, error);
}

static bool is_space(unsigned char c)
{
    return c == ' ' || c == '\n';
}

static bool continues_character(unsigned char c)
{
    return (c & 0xc0) == 0x80;
}

/* Moves the ends of a block outwards to white space, at most LEXICAL_EDGE bytes, by whole
 * characters. */
static void extend_to_words(const struct buffer *text, size_t *start, size_t *end)
{
    const unsigned char *bytes = text->data;
    size_t least = *start > LEXICAL_EDGE ? *start - LEXICAL_EDGE : 0;
    size_t most = text->size - *end > LEXICAL_EDGE ? *end + LEXICAL_EDGE : text->size;
    while (*start > least && *start < text->size && !is_space(bytes[*start]) &&
           !is_space(bytes[*start - 1]))
        --*start;
    while (*start < *end && continues_character(bytes[*start]))
        ++*start;
    while (*end < most && *end && !is_space(bytes[*end]) && !is_space(bytes[*end - 1]))
        ++*end;
    while (*end > *start && *end < text->size && continues_character(bytes[*end]))
        --*end;
}

/* ------------------------------------------------------------------ documents */

/* Runs a statement that gives no rows, with its parameters bound. */
static enum lmk_status run_bound(struct update *update, sqlite3_stmt *statement,
                                 struct lmk_error *error)
{
    int code = sqlite3_step(statement);
    enum lmk_status status =
        code == SQLITE_DONE ? LMK_OK : lexical_failure(update->lexical, code, error);
    sqlite3_reset(statement);
    return status;
}

static enum lmk_status commit_when_due(struct update *update, size_t bytes, struct lmk_error *error)
{
    update->uncommitted += bytes;
    if (update->uncommitted < COMMIT_BYTES)
        return LMK_OK;
    update->uncommitted = 0;
    return lexical_run(update->lexical, "COMMIT; BEGIN IMMEDIATE", error);
}

static enum lmk_status insert_document(struct update *update, const struct document *document,
                                       struct hash_state *words, struct lmk_error *error)
{
    unsigned char digest[HASH128_BYTES];
    hash_state_finish(words, digest);
    sqlite3_stmt *insert = update->insert_document;
    sqlite3_bind_int64(insert, 1, (sqlite3_int64)document->id);
    sqlite3_bind_blob(insert, 2, document->hash, HASH128_BYTES, SQLITE_TRANSIENT);
    sqlite3_bind_int64(insert, 3, (sqlite3_int64)document->first_block);
    sqlite3_bind_int64(insert, 4, (sqlite3_int64)document->block_count);
    sqlite3_bind_blob(insert, 5, digest, HASH128_BYTES, SQLITE_TRANSIENT);
    return run_bound(update, insert, error);
}

static enum lmk_status add_document(struct update *update, const struct document *document,
                                    struct lmk_error *error)
{
    if (!update->collection->model) {
        update->complete = false;
        return LMK_OK;
    }
    enum lmk_status status = LMK_OK;
    if (update->report)
        status = update->report(update->context, document, update->added, update->to_add, error);
    if (!status)
        status = load_text(update, document, error);
    struct hash_state *words = status ? NULL : hash_state_new();
    if (!status && !words)
        status = error_memory(error, 1024);
    const size_t *starts = (const size_t *)update->starts.data;
    for (uint64_t i = 0; !status && i < document->block_count; i++) {
        size_t start = starts[i], end = starts[i + 1];
        extend_to_words(&update->text, &start, &end);
        const char *text = end > start ? (const char *)update->text.data + start : "";
        lexical_hash_text(words, text, end - start);
        sqlite3_bind_int64(update->insert_words, 1, (sqlite3_int64)(document->first_block + i));
        sqlite3_bind_text(update->insert_words, 2, text, (int)(end - start), SQLITE_STATIC);
        status = run_bound(update, update->insert_words, error);
    }
    if (words && status) {
        unsigned char unused[HASH128_BYTES];
        hash_state_finish(words, unused);
    }
    if (!status)
        status = insert_document(update, document, words, error);
    if (status)
        return status;
    update->added++;
    return commit_when_due(update, update->text.size, error);
}

/* A document as the lexical file has it. */
struct lexical_document {
    uint64_t id, first_block, block_count;
    unsigned char hash[HASH128_BYTES];
};

static enum lmk_status remove_document(struct update *update, const struct lexical_document *gone,
                                       struct lmk_error *error)
{
    sqlite3_bind_int64(update->remove_words, 1, (sqlite3_int64)gone->first_block);
    sqlite3_bind_int64(update->remove_words, 2,
                       (sqlite3_int64)(gone->first_block + gone->block_count));
    sqlite3_bind_int64(update->remove_document, 1, (sqlite3_int64)gone->id);
    enum lmk_status status = run_bound(update, update->remove_words, error);
    if (!status)
        status = run_bound(update, update->remove_document, error);
    return status ? status : commit_when_due(update, gone->block_count * 256, error);
}

/* The first document of the file whose id is at least `id`. LMK_NOT_FOUND: none. */
static enum lmk_status next_document(struct update *update, uint64_t id,
                                     struct lexical_document *document, struct lmk_error *error)
{
    *document = (struct lexical_document){0};
    sqlite3_bind_int64(update->next, 1, (sqlite3_int64)id);
    int code = sqlite3_step(update->next);
    if (code == SQLITE_ROW) {
        document->id = (uint64_t)sqlite3_column_int64(update->next, 0);
        document->first_block = (uint64_t)sqlite3_column_int64(update->next, 1);
        document->block_count = (uint64_t)sqlite3_column_int64(update->next, 2);
        const void *hash = sqlite3_column_blob(update->next, 3);
        if (hash && sqlite3_column_bytes(update->next, 3) == HASH128_BYTES)
            memcpy(document->hash, hash, HASH128_BYTES);
    }
    sqlite3_reset(update->next);
    return code == SQLITE_ROW    ? LMK_OK
           : code == SQLITE_DONE ? LMK_NOT_FOUND
                                 : lexical_failure(update->lexical, code, error);
}

static bool is_same(const struct document *document, const struct lexical_document *known)
{
    return document->id == known->id && document->first_block == known->first_block &&
           document->block_count == known->block_count &&
           !memcmp(document->hash, known->hash, HASH128_BYTES);
}

/* Removes what is gone or another, over the documents of the file; then adds what is missing, over
 * those of the store. (A block's number may be in the file under another document, where the file
 * is of another store: so removing comes first.) */
static enum lmk_status remove_gone(struct update *update, struct lmk_error *error)
{
    struct lexical_document known;
    struct document document;
    enum lmk_status status;
    for (uint64_t id = 0; !(status = next_document(update, id, &known, error)); id = known.id + 1) {
        status = store_document(update->view, known.id, &document, error);
        if (status && status != LMK_NOT_FOUND)
            return status;
        if (status || !is_same(&document, &known))
            if ((status = remove_document(update, &known, error)))
                return status;
    }
    return status == LMK_NOT_FOUND ? LMK_OK : status;
}

static enum lmk_status add_missing(struct update *update, struct lmk_error *error)
{
    struct lexical_document known = {0};
    struct document document;
    enum lmk_status status, ahead = next_document(update, 0, &known, error);
    for (uint64_t id = 0; !(status = store_next_document(update->view, id, &document, error));
         id = document.id + 1) {
        if (ahead && ahead != LMK_NOT_FOUND)
            return ahead;
        if (!ahead && known.id == document.id)
            ahead = next_document(update, known.id + 1, &known, error);
        else if ((status = add_document(update, &document, error)))
            return status;
    }
    return status == LMK_NOT_FOUND ? LMK_OK : status;
}

/* ------------------------------------------------------------------ runs */

static enum lmk_status prepare(struct update *update, struct lmk_error *error)
{
    const struct {
        sqlite3_stmt **statement;
        const char *sql;
    } statements[] = {
        {&update->next, "SELECT id, first_block, block_count, hash FROM documents WHERE id >= ?1 "
                        "ORDER BY id LIMIT 1"},
        {&update->insert_words, "INSERT INTO words(rowid, text) VALUES(?1, ?2)"},
        {&update->insert_document, "INSERT INTO documents(id, hash, first_block, block_count, "
                                   "words_hash) VALUES(?1, ?2, ?3, ?4, ?5)"},
        {&update->remove_words, "DELETE FROM words WHERE rowid >= ?1 AND rowid < ?2"},
        {&update->remove_document, "DELETE FROM documents WHERE id = ?1"},
    };
    enum lmk_status status = LMK_OK;
    for (size_t i = 0; !status && i < sizeof statements / sizeof statements[0]; i++)
        status =
            lexical_prepare(update->lexical, statements[i].statement, statements[i].sql, error);
    return status;
}

static void release(struct update *update)
{
    sqlite3_finalize(update->next);
    sqlite3_finalize(update->insert_words);
    sqlite3_finalize(update->insert_document);
    sqlite3_finalize(update->remove_words);
    sqlite3_finalize(update->remove_document);
    buffer_release(&update->text);
    buffer_release(&update->starts);
    buffer_release(&update->tokens);
    buffer_release(&update->runs);
}

/* Records which batch of the store the file has, and commits. */
static enum lmk_status finish(struct update *update, uint64_t batches, struct lmk_error *error)
{
    sqlite3_stmt *statement;
    enum lmk_status status =
        lexical_prepare(update->lexical, &statement, "UPDATE state SET batches = ?1", error);
    if (status)
        return status;
    sqlite3_bind_int64(statement, 1, update->complete ? (sqlite3_int64)batches : 0);
    status = run_bound(update, statement, error);
    sqlite3_finalize(statement);
    return status ? status : lexical_run(update->lexical, "COMMIT", error);
}

static enum lmk_status follow(struct update *update, const struct store_counts *counts,
                              struct lmk_error *error)
{
    uint64_t known;
    enum lmk_status status = lexical_run(update->lexical, "BEGIN IMMEDIATE", error);
    if (status)
        return status;
    if (!(status = prepare(update, error)) && !(status = remove_gone(update, error)) &&
        !(status = lexical_documents(update->lexical, &known, error))) {
        update->to_add = counts->documents - known;
        status = add_missing(update, error);
    }
    if (!status)
        return finish(update, counts->batches, error);
    /* What is complete stays when the caller stops; after an error the transaction goes. */
    lexical_run(update->lexical, status == LMK_INTERRUPTED ? "COMMIT" : "ROLLBACK", NULL);
    return status;
}

static enum lmk_status is_in_step(struct lexical *lexical, const struct store_counts *counts,
                                  bool *in_step, struct lmk_error *error)
{
    sqlite3_stmt *statement;
    uint64_t batches;
    enum lmk_status status =
        lexical_prepare(lexical, &statement, "SELECT batches FROM state", error);
    if (!status)
        status = lexical_number(lexical, statement, &batches, error);
    *in_step = !status && batches && batches == counts->batches;
    return status;
}

static enum lmk_status update_file(struct update *update, const char *path, bool *damaged,
                                   struct lmk_error *error)
{
    struct store_counts counts;
    bool in_step;
    enum lmk_status status = store_counts(update->view, &counts, error);
    if (status)
        return status;
    status = lexical_open(&update->lexical, path, true, error);
    *damaged = status == LMK_CORRUPT;
    if (status)
        return status;
    buffer_init(&update->text, SIZE_MAX / 2);
    buffer_init(&update->starts, SIZE_MAX / 2);
    buffer_init(&update->tokens, 1 << 20);
    buffer_init(&update->runs, 1 << 24);
    update->complete = true;
    update->added = 0;
    update->uncommitted = 0;
    status = is_in_step(update->lexical, &counts, &in_step, error);
    if (!status && !in_step)
        status = follow(update, &counts, error);
    release(update);
    *damaged = update->lexical->damaged;
    lexical_close_writer(update->lexical);
    return status;
}

static void delete_file(const char *path)
{
    static const char *const endings[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        char *name;
        if (asprintf(&name, "%s%s", path, endings[i]) < 0)
            continue;
        unlink(name);
        free(name);
    }
}

enum lmk_status lexical_update(struct lmk_collection *collection, lexical_report *report,
                               void *context, struct lmk_error *error)
{
    struct update update = {.collection = collection, .report = report, .context = context};
    enum lmk_status status = collection_needs_write(collection, error);
    if (status || (status = store_view_begin(collection->store, &update.view, error)))
        return status;
    lexical_close(collection->lexical);
    collection->lexical = NULL;
    char *path = lexical_path(collection);
    bool damaged = false;
    status = path ? update_file(&update, path, &damaged, error)
                  : error_memory(error, strlen(collection->directory));
    if (damaged) {
        delete_file(path);
        struct update again = {
            .collection = collection, .view = update.view, .report = report, .context = context};
        status = update_file(&again, path, &damaged, error);
    }
    free(path);
    store_view_end(update.view);
    return status;
}

void lexical_discard(struct lmk_collection *collection)
{
    char *path = lexical_path(collection);
    lexical_close(collection->lexical);
    collection->lexical = NULL;
    if (path)
        delete_file(path);
    free(path);
}
