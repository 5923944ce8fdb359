#include "index/lexical_internal.h"

#include "src/base/directory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WAIT_MS 10000 /* for another process that has the file to itself for a moment */

char *lexical_path(const struct lmk_collection *collection)
{
    return collection_join(collection->directory, "lexical.db");
}

uint64_t lexical_bytes(const struct lmk_collection *collection)
{
    static const char *const endings[] = {"", "-wal", "-shm"};
    uint64_t bytes = 0;
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        char *path;
        struct stat information;
        if (asprintf(&path, "%s/lexical.db%s", collection->directory, endings[i]) < 0)
            continue;
        if (!stat(path, &information))
            bytes += (uint64_t)information.st_size;
        free(path);
    }
    return bytes;
}

/* ------------------------------------------------------------------ errors and statements */

enum lmk_status lexical_failure(struct lexical *lexical, int code, struct lmk_error *error)
{
    const char *why = lexical->db ? sqlite3_errmsg(lexical->db) : sqlite3_errstr(code);
    switch (code & 0xff) {
    case SQLITE_NOMEM:
        return error_memory(error, 0);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return error_set(error, LMK_BUSY,
                         "The words in %s are in use by another process (%s). Try again.",
                         lexical->path, why);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_ERROR: /* a table that is missing */
        lexical->damaged = true;
        return error_set(error, LMK_CORRUPT,
                         "The words in %s are damaged (%s). Run lmk verify --repair: it makes "
                         "them again from the stored texts.",
                         lexical->path, why);
    }
    return error_set(error, LMK_IO,
                     "Cannot use the words in %s: %s. Check the permissions of this file and its "
                     "folder, and that the disk is not full.",
                     lexical->path, why);
}

enum lmk_status lexical_run(struct lexical *lexical, const char *sql, struct lmk_error *error)
{
    int code = sqlite3_exec(lexical->db, sql, NULL, NULL, NULL);
    return code ? lexical_failure(lexical, code, error) : LMK_OK;
}

enum lmk_status lexical_prepare(struct lexical *lexical, sqlite3_stmt **statement, const char *sql,
                                struct lmk_error *error)
{
    int code = sqlite3_prepare_v2(lexical->db, sql, -1, statement, NULL);
    return code ? lexical_failure(lexical, code, error) : LMK_OK;
}

enum lmk_status lexical_number(struct lexical *lexical, sqlite3_stmt *statement, uint64_t *number,
                               struct lmk_error *error)
{
    int code = sqlite3_step(statement);
    *number = code == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(statement, 0) : 0;
    enum lmk_status status =
        code == SQLITE_ROW || code == SQLITE_DONE ? LMK_OK : lexical_failure(lexical, code, error);
    sqlite3_finalize(statement);
    return status;
}

static enum lmk_status read_number(struct lexical *lexical, const char *sql, uint64_t *number,
                                   struct lmk_error *error)
{
    sqlite3_stmt *statement;
    enum lmk_status status = lexical_prepare(lexical, &statement, sql, error);
    return status ? status : lexical_number(lexical, statement, number, error);
}

enum lmk_status lexical_documents(struct lexical *lexical, uint64_t *documents,
                                  struct lmk_error *error)
{
    return read_number(lexical, "SELECT count(*) FROM documents", documents, error);
}

/* ------------------------------------------------------------------ the tokenizer */

struct visiting {
    lexical_word_visit *visit;
    void *context;
    enum lmk_status status;
    struct lmk_error *error;
};

static int visit_word(void *context, int flags, const char *stem, int stem_size, int start, int end)
{
    struct visiting *visiting = context;
    (void)flags; /* unicode61 has no synonyms */
    visiting->status = visiting->visit(visiting->context, stem, (size_t)stem_size, (size_t)start,
                                       (size_t)end, visiting->error);
    return visiting->status ? SQLITE_DONE : SQLITE_OK;
}

enum lmk_status lexical_words(struct lexical *lexical, const char *text, size_t size,
                              lexical_word_visit *visit, void *context, struct lmk_error *error)
{
    struct visiting visiting = {visit, context, LMK_OK, error};
    int code = lexical->functions.xTokenize(lexical->tokenizer, &visiting, FTS5_TOKENIZE_DOCUMENT,
                                            text, (int)size, visit_word);
    if (visiting.status)
        return visiting.status;
    return code && code != SQLITE_DONE ? lexical_failure(lexical, code, error) : LMK_OK;
}

/* FTS5's interface: adds our scoring function, and takes the tokenizer that the table uses. */
static enum lmk_status use_fts5(struct lexical *lexical, struct lmk_error *error)
{
    static const char *options[] = {"unicode61", "remove_diacritics", "2"};
    fts5_api *api = NULL;
    void *context;
    sqlite3_stmt *statement;
    enum lmk_status status = lexical_prepare(lexical, &statement, "SELECT fts5(?1)", error);
    if (status)
        return status;
    sqlite3_bind_pointer(statement, 1, &api, "fts5_api_ptr", NULL);
    sqlite3_step(statement);
    sqlite3_finalize(statement);
    if (!api)
        return error_set(error, LMK_IO, "This system's SQLite has no FTS5. Install one that has.");
    int code = api->xCreateFunction(api, "block_bm25", &lexical->scorer, lexical_bm25, NULL);
    if (!code)
        code = sqlite3_create_function(lexical->db, "in_scope", 1, SQLITE_UTF8, lexical,
                                       lexical_in_scope, NULL, NULL);
    if (!code)
        code = api->xFindTokenizer(api, "porter", &context, &lexical->functions);
    if (!code)
        code = lexical->functions.xCreate(context, options, 3, &lexical->tokenizer);
    return code ? lexical_failure(lexical, code, error) : LMK_OK;
}

/* ------------------------------------------------------------------ opening */

/* `locks`: the file is locked against others; else it must be one that nobody can write. */
static enum lmk_status connect_file(struct lexical *lexical, int flags, bool locks,
                                    struct lmk_error *error)
{
    int code = sqlite3_open_v2(lexical->path, &lexical->db, flags | SQLITE_OPEN_NOMUTEX,
                               locks ? NULL : "unix-none");
    if (code)
        return lexical_failure(lexical, code, error);
    sqlite3_busy_timeout(lexical->db, WAIT_MS);
    if (!locks) { /* and its journal's index is kept in memory, not beside it */
        enum lmk_status status = lexical_run(lexical, "PRAGMA locking_mode=EXCLUSIVE", error);
        if (status)
            return status;
    }
    /* The version is the first thing read: this is where a file that cannot be used shows. */
    uint64_t version;
    return read_number(lexical, "PRAGMA user_version", &version, error);
}

static void disconnect(struct lexical *lexical)
{
    if (lexical->tokenizer)
        lexical->functions.xDelete(lexical->tokenizer);
    lexical->tokenizer = NULL;
    sqlite3_close(lexical->db);
    lexical->db = NULL;
}

static const char *const schema =
    "BEGIN IMMEDIATE;"
    "CREATE VIRTUAL TABLE words USING fts5(text,"
    " tokenize='porter unicode61 remove_diacritics 2');"
    /* Larger pieces are sorted in memory before they are written: indexing takes half the time. */
    "INSERT INTO words(words, rank) VALUES('hashsize', 16777216);"
    "CREATE TABLE documents(id INTEGER PRIMARY KEY, hash BLOB NOT NULL,"
    " first_block INTEGER NOT NULL, block_count INTEGER NOT NULL, words_hash BLOB NOT NULL);"
    "CREATE TABLE state(batches INTEGER NOT NULL);"
    "INSERT INTO state VALUES(0);"
    "PRAGMA user_version=1; PRAGMA application_id=1819110263;"
    "COMMIT";

static enum lmk_status connect_writer(struct lexical *lexical, struct lmk_error *error)
{
    uint64_t tables;
    enum lmk_status status =
        connect_file(lexical, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, true, error);
    if (!status)
        status = lexical_run(lexical, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL", error);
    if (!status)
        status = read_number(lexical, "SELECT count(*) FROM sqlite_master", &tables, error);
    if (!status && !tables)
        status = lexical_run(lexical, schema, error);
    return status;
}

/* True where no file can be made beside it. */
static bool is_read_only(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, (size_t)(slash - path)) : strdup(".");
    bool refused = folder && access(folder, W_OK) != 0;
    free(folder);
    return refused;
}

/* Read-only only where it must be: a killed writer's journal has to be taken back before anything
 * can be read. On a read-only medium it is read where it lies.
 *
 * A query reads thousands of blocks here and there: through a map, whose pages the system keeps. */
static enum lmk_status connect_reader(struct lexical *lexical, struct lmk_error *error)
{
    enum lmk_status status = connect_file(lexical, SQLITE_OPEN_READWRITE, true, error);
    if (status == LMK_IO && is_read_only(lexical->path)) {
        disconnect(lexical);
        status = connect_file(lexical, SQLITE_OPEN_READONLY, false, error);
    }
    return status ? status : lexical_run(lexical, "PRAGMA mmap_size=2147418112", error);
}

static enum lmk_status check_version(struct lexical *lexical, bool write, struct lmk_error *error)
{
    uint64_t version, application;
    enum lmk_status status = read_number(lexical, "PRAGMA user_version", &version, error);
    if (!status)
        status = read_number(lexical, "PRAGMA application_id", &application, error);
    if (status || (version == LEXICAL_VERSION && application == LEXICAL_APPLICATION))
        return status;
    if (!write)
        return LMK_NOT_FOUND;
    return error_set(error, LMK_CORRUPT, "%s is not a lexical index of version %d.", lexical->path,
                     LEXICAL_VERSION);
}

enum lmk_status lexical_open(struct lexical **result, const char *path, bool write,
                             struct lmk_error *error)
{
    struct lexical *lexical = calloc(1, sizeof *lexical);
    if (!lexical || !(lexical->path = strdup(path))) {
        free(lexical);
        return error_memory(error, sizeof *lexical);
    }
    enum lmk_status status = LMK_NOT_FOUND;
    if (write)
        status = connect_writer(lexical, error);
    else if (!access(path, F_OK))
        status = connect_reader(lexical, error);
    if (!status)
        status = check_version(lexical, write, error);
    if (!status)
        status = use_fts5(lexical, error);
    if (status)
        lexical_close(lexical);
    else
        *result = lexical;
    return status;
}

void lexical_close(struct lexical *lexical)
{
    if (!lexical)
        return;
    lexical_forget_snapshot(lexical);
    disconnect(lexical);
    free(lexical->path);
    free(lexical);
}

/* While a writer is at work, readers go on (WAL). At rest the file stands alone, so that reading it
 * makes no files beside it; where readers are there just now, that is left to the next writer. */
void lexical_close_writer(struct lexical *lexical)
{
    sqlite3_busy_timeout(lexical->db, 0);
    sqlite3_exec(lexical->db, "PRAGMA journal_mode=DELETE", NULL, NULL, NULL);
    lexical_close(lexical);
}

enum lmk_status lexical_of(struct lmk_collection *collection, struct lexical **lexical,
                           struct lmk_error *error)
{
    enum lmk_status status = LMK_OK;
    if (!collection->lexical) {
        char *path = lexical_path(collection);
        status = path ? lexical_open(&collection->lexical, path, false, error)
                      : error_memory(error, strlen(collection->directory));
        free(path);
    }
    *lexical = collection->lexical;
    return status;
}

const char *lexical_library_version(void)
{
    return sqlite3_libversion();
}

enum lmk_status lexical_copy(struct lmk_collection *collection, const char *to,
                             struct lmk_error *error)
{
    struct lexical *lexical;
    sqlite3_stmt *statement;
    enum lmk_status status = lexical_of(collection, &lexical, error);
    if (status || (status = lexical_prepare(lexical, &statement, "VACUUM INTO ?1", error)))
        return status;
    char *path = collection_join(to, "lexical.db");
    if (!path)
        status = error_memory(error, strlen(to));
    else {
        sqlite3_bind_text(statement, 1, path, -1, SQLITE_STATIC);
        int code = sqlite3_step(statement);
        status =
            code == SQLITE_DONE ? file_sync(path, error) : lexical_failure(lexical, code, error);
    }
    sqlite3_finalize(statement);
    if (status && path)
        unlink(path); /* half a copy */
    free(path);
    return status;
}
