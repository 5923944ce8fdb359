/* What the files of the lexical index share. They alone include sqlite3.h.
 *
 *   lexical.c          opening, closing, errors, the tokenizer
 *   lexical_query.c    the query language, without SQLite
 *   lexical_search.c   BM25
 *   lexical_update.c   following the store
 *   lexical_verify.c   checking
 */
#ifndef INDEX_LEXICAL_INTERNAL_H
#define INDEX_LEXICAL_INTERNAL_H

#include "index/lexical.h"

#include <sqlite3.h>

#define LEXICAL_VERSION 1
#define LEXICAL_APPLICATION 0x6c6d6b77 /* "lmkw" */

/* What BM25 of a block takes besides the block: weights by phrase of the FTS5 expression. */
struct lexical_scorer {
    size_t skipped;        /* phrases of the conditions, which give no score */
    const double *weights; /* of the phrases behind them */
    size_t count;
    double average; /* words of a block; 0: not known yet */
};

struct lexical {
    sqlite3 *db;
    char *path;   /* of the file */
    bool damaged; /* SQLite has said so */
    fts5_tokenizer functions;
    Fts5Tokenizer *tokenizer;
    struct lexical_scorer scorer;
    const struct scope *scope; /* of the search at hand */
    /* of the snapshot: */
    uint64_t blocks, end_block;      /* how many there are; behind the last one's number */
    sqlite3_stmt *text, *conditions; /* of one block, prepared at their first use */
};

/* "<generation>/lexical.db"; NULL: out of memory. */
char *lexical_path(const struct lmk_collection *collection);

/* Opens the file. Reading: LMK_NOT_FOUND, without a sentence, where there is none or one of another
 * version. Writing: it is made where there is none; LMK_CORRUPT where it is of another version. */
enum lmk_status lexical_open(struct lexical **result, const char *path, bool write,
                             struct lmk_error *error);

void lexical_close_writer(struct lexical *lexical);

/* The sentence for what SQLite just returned. */
enum lmk_status lexical_failure(struct lexical *lexical, int code, struct lmk_error *error);
/* Runs statements that give no rows. */
enum lmk_status lexical_run(struct lexical *lexical, const char *sql, struct lmk_error *error);
/* Prepares a statement; the caller finalizes it. */
enum lmk_status lexical_prepare(struct lexical *lexical, sqlite3_stmt **statement, const char *sql,
                                struct lmk_error *error);
/* The one number that a statement gives, 0 if it gives none. Finalizes it. */
enum lmk_status lexical_number(struct lexical *lexical, sqlite3_stmt *statement, uint64_t *number,
                               struct lmk_error *error);

/* Adds a block's text to the hash of its document's words. */
void lexical_hash_text(struct hash_state *state, const char *text, size_t size);

/* The SQL function that tells whether a block is in the scope, for lexical_open. */
void lexical_in_scope(sqlite3_context *result, int value_count, sqlite3_value **values);

/* The SQL function that gives a block's BM25, for lexical_open. */
void lexical_bm25(const Fts5ExtensionApi *api, Fts5Context *match, sqlite3_context *result,
                  int value_count, sqlite3_value **values);

#endif
