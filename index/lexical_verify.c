#include "index/lexical_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* FTS5's own check writes, so it cannot run on a file that is only read. This one compares two sums
 * over every word at every place, which do not depend on the order: of the index, and of what the
 * tokenizer makes of the texts. */
struct check {
    struct lexical *lexical;
    struct store_view *view;
    void (*problem)(void *context, const char *sentence);
    void *context;
    uint64_t sum;           /* of the texts */
    uint64_t block, offset; /* of the word at hand */
};

void lexical_hash_text(struct hash_state *state, const char *text, size_t size)
{
    uint64_t length = size;
    hash_state_update(state, &length, sizeof length);
    hash_state_update(state, text, size);
}

static uint64_t place_hash(const void *word, size_t size, uint64_t block, uint64_t offset)
{
    uint64_t place[3] = {hash64(word, size), block, offset};
    return hash64(place, sizeof place);
}

static void __attribute__((format(printf, 2, 3))) tell(struct check *check, const char *format, ...)
{
    char what[512], sentence[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    snprintf(sentence, sizeof sentence, "The words in %s are damaged: %s.", check->lexical->path,
             what);
    check->problem(check->context, sentence);
}

static enum lmk_status add_word(void *context, const char *stem, size_t stem_size, size_t start,
                                size_t end, struct lmk_error *error)
{
    struct check *check = context;
    (void)start;
    (void)end;
    (void)error;
    check->sum += place_hash(stem, stem_size, check->block, check->offset++);
    return LMK_OK;
}

/* Hashes the texts of the blocks [first, end) and adds up their words. */
static enum lmk_status read_texts(struct check *check, uint64_t first, uint64_t end,
                                  unsigned char digest[HASH128_BYTES], struct lmk_error *error)
{
    sqlite3_stmt *statement;
    enum lmk_status status =
        lexical_prepare(check->lexical, &statement,
                        "SELECT rowid, text FROM words WHERE rowid >= ?1 AND rowid < ?2", error);
    if (status)
        return status;
    struct hash_state *state = hash_state_new();
    if (!state) {
        sqlite3_finalize(statement);
        return error_memory(error, 1024);
    }
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)first);
    sqlite3_bind_int64(statement, 2, (sqlite3_int64)end);
    int code = SQLITE_DONE;
    while (!status && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(statement, 1);
        size_t size = (size_t)sqlite3_column_bytes(statement, 1);
        check->block = (uint64_t)sqlite3_column_int64(statement, 0);
        check->offset = 0;
        lexical_hash_text(state, text ? text : "", size);
        status = lexical_words(check->lexical, text ? text : "", size, add_word, check, error);
    }
    if (!status && code != SQLITE_DONE)
        status = lexical_failure(check->lexical, code, error);
    hash_state_finish(state, digest);
    sqlite3_finalize(statement);
    return status;
}

/* One row of the table of documents. A document that the store has no more is removed by the next
 * writer; one that it has must be the same. */
static enum lmk_status check_document(struct check *check, sqlite3_stmt *row,
                                      struct lmk_error *error)
{
    uint64_t id = (uint64_t)sqlite3_column_int64(row, 0);
    uint64_t first = (uint64_t)sqlite3_column_int64(row, 1);
    uint64_t count = (uint64_t)sqlite3_column_int64(row, 2);
    const void *hash = sqlite3_column_blob(row, 3), *words_hash = sqlite3_column_blob(row, 4);
    bool whole = hash && words_hash && sqlite3_column_bytes(row, 3) == HASH128_BYTES &&
                 sqlite3_column_bytes(row, 4) == HASH128_BYTES;
    unsigned char digest[HASH128_BYTES];
    struct document document;
    enum lmk_status status = read_texts(check, first, first + count, digest, error);
    if (status)
        return status;
    if (!whole || memcmp(digest, words_hash, HASH128_BYTES) != 0)
        tell(check, "the texts of document %" PRIu64 " do not match their hash", id);
    status = store_document(check->view, id, &document, error);
    if (status == LMK_NOT_FOUND)
        return LMK_OK;
    if (!status && whole &&
        (document.first_block != first || document.block_count != count ||
         memcmp(document.hash, hash, HASH128_BYTES) != 0))
        tell(check, "document %" PRIu64 " is another one in the store", id);
    return status;
}

static enum lmk_status check_documents(struct check *check, uint64_t *checked,
                                       struct lmk_error *error)
{
    sqlite3_stmt *statement;
    enum lmk_status status = lexical_prepare(
        check->lexical, &statement,
        "SELECT id, first_block, block_count, hash, words_hash FROM documents ORDER BY id", error);
    if (status)
        return status;
    int code = SQLITE_DONE;
    while (!status && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        status = check_document(check, statement, error);
        ++*checked;
    }
    if (!status && code != SQLITE_DONE)
        status = lexical_failure(check->lexical, code, error);
    sqlite3_finalize(statement);
    return status;
}

static enum lmk_status check_index(struct check *check, struct lmk_error *error)
{
    sqlite3_stmt *statement;
    uint64_t sum = 0;
    enum lmk_status status = lexical_run(check->lexical,
                                         "CREATE VIRTUAL TABLE IF NOT EXISTS temp.instances USING "
                                         "fts5vocab(main, words, instance)",
                                         error);
    if (!status)
        status = lexical_prepare(check->lexical, &statement,
                                 "SELECT term, doc, offset FROM temp.instances", error);
    if (status)
        return status;
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        const void *term = sqlite3_column_blob(statement, 0);
        sum += place_hash(term, (size_t)sqlite3_column_bytes(statement, 0),
                          (uint64_t)sqlite3_column_int64(statement, 1),
                          (uint64_t)sqlite3_column_int64(statement, 2));
    }
    if (code != SQLITE_DONE)
        status = lexical_failure(check->lexical, code, error);
    sqlite3_finalize(statement);
    if (!status && sum != check->sum)
        tell(check, "its index does not say what its texts do");
    return status;
}

static enum lmk_status check_pages(struct check *check, struct lmk_error *error)
{
    sqlite3_stmt *statement;
    enum lmk_status status =
        lexical_prepare(check->lexical, &statement, "PRAGMA main.integrity_check(10)", error);
    if (status)
        return status;
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(statement, 0);
        if (text && strcmp(text, "ok") != 0)
            tell(check, "%.300s", text);
    }
    sqlite3_finalize(statement);
    return code == SQLITE_DONE ? LMK_OK : lexical_failure(check->lexical, code, error);
}

enum lmk_status lexical_verify(struct lmk_collection *collection, struct store_view *view,
                               void (*problem)(void *context, const char *sentence), void *context,
                               uint64_t *checked, struct lmk_error *error)
{
    struct check check = {.view = view, .problem = problem, .context = context};
    struct lmk_error fault;
    *checked = 0;
    enum lmk_status status = lexical_of(collection, &check.lexical, &fault);
    if (status == LMK_NOT_FOUND)
        return LMK_OK;
    if (!status && !(status = lexical_run(check.lexical, "BEGIN", &fault))) {
        if (!(status = check_pages(&check, &fault)) &&
            !(status = check_documents(&check, checked, &fault)))
            status = check_index(&check, &fault);
        lexical_run(check.lexical, "COMMIT", NULL);
    }
    if (status != LMK_CORRUPT)
        return status ? error_set(error, status, "%s", fault.message) : LMK_OK;
    problem(context, fault.message);
    return LMK_OK;
}
