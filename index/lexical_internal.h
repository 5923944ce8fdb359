/* What the files of the lexical index share. They alone include sqlite3.h.
 *
 *   lexical.c          opening, closing, errors, the tokenizer
 *   lexical_query.c    the query language, without SQLite
 *   lexical_search.c   BM25 of all blocks
 *   lexical_blocks.c   BM25 of single blocks and their neighbours, the words of any text
 *   lexical_snapshot.c what queries share as long as the file stays as it is
 *   lexical_update.c   following the store
 *   lexical_verify.c   checking
 */
#ifndef INDEX_LEXICAL_INTERNAL_H
#define INDEX_LEXICAL_INTERNAL_H

#include "index/lexical.h"

#include <math.h>
#include <sqlite3.h>

#define LEXICAL_K1 1.2
#define LEXICAL_B 0.75
#define LEXICAL_VERSION 1
#define LEXICAL_APPLICATION 0x6c6d6b77 /* "lmkw" */

/* What BM25 of a block takes besides the block: weights by phrase of the FTS5 expression. */
struct lexical_scorer {
    size_t skipped;        /* phrases of the conditions, which give no score */
    const double *weights; /* of the phrases behind them */
    size_t count;
    double average; /* words of a block; 0: not known yet */
};

/* A block's text as the index sees it. */
struct lexical_reading {
    struct buffer stems;  /* of its words, each with a space behind it */
    struct buffer starts; /* size_t: of each word in it */
};

/* How often each of the query's terms is in a block, and the block's length in words. */
struct lexical_content {
    uint64_t block;
    unsigned length;      /* 0: the block is not there */
    unsigned frequency[]; /* [term_count], by the terms' numbers */
};

/* The blocks that a query has read. Candidates lie close together, so a block is asked for again:
 * by itself, and as a neighbour of others. */
struct lexical_contents {
    struct lexical_content *
        *items;         /* [room], owned; a hash table by block with NULL in free places */
    size_t count, room; /* room: 0 or a power of two */
};

struct lexical {
    sqlite3 *db;
    char *path;   /* of the file */
    bool damaged; /* SQLite has said so */
    fts5_tokenizer functions;
    Fts5Tokenizer *tokenizer;
    struct lexical_scorer scorer;
    const struct scope *scope; /* of the search at hand */
    /* of the query: */
    sqlite3_stmt *text, *conditions; /* of one block, prepared at their first use */
    struct lexical_contents contents;
    /* of the snapshot, kept for the queries that find the file as it was: */
    uint64_t data_version; /* SQLite's number for what the file held; 0: nothing is known yet */
    uint64_t blocks, end_block;     /* how many there are; behind the last one's number */
    double neighbourhood;           /* blocks of a neighbourhood, in the mean */
    struct lexical_reading *sample; /* [sample_count], owned; NULL: not read yet */
    uint64_t *sample_blocks;        /* [sample_count], ascending, owned */
    size_t sample_count;
};

/* What BM25 divides by beside the frequency. */
static inline double lexical_norm(unsigned length, double average)
{
    return LEXICAL_K1 * (1 - LEXICAL_B + LEXICAL_B * length / average);
}

static inline double lexical_saturate(unsigned frequency, double norm)
{
    return frequency * (LEXICAL_K1 + 1) / (frequency + norm);
}

/* The weight of a term that `with_term` of the texts hold. */
static inline double lexical_weight(double texts, double with_term)
{
    return log(1 + (texts - with_term + 0.5) / (with_term + 0.5));
}

/* Reads a block's text; one that is not there has no words. Release the reading in any case. */
enum lmk_status lexical_read_text(struct lexical *lexical, uint64_t block,
                                  struct lexical_reading *reading, struct lmk_error *error);
void lexical_reading_release(struct lexical_reading *reading);
/* The content of a block that was read; new memory. NULL: out of memory. */
struct lexical_content *lexical_count_terms(const struct lexical_query *query,
                                            const struct lexical_reading *reading);

/* Contents of the same blocks for every query: of all blocks of a small collection. */
struct lexical_sample {
    struct lexical_content **contents; /* [count], none of them empty */
    const uint64_t *blocks;            /* [count] ascending, the lexical index's */
    size_t count;
};
/* Release it in any case. */
enum lmk_status lexical_take_sample(struct lexical *lexical, const struct lexical_query *query,
                                    struct lexical_sample *sample, struct lmk_error *error);
void lexical_sample_release(struct lexical_sample *sample);
/* Brings what is known of the snapshot up to date, in a transaction. */
enum lmk_status lexical_look_at_snapshot(struct lexical *lexical, struct lmk_error *error);
void lexical_forget_snapshot(struct lexical *lexical);

/* Reads a block by its text, at its first use in a query; that takes the same time whatever the
 * words and the collection's size. The content is valid until lexical_end. */
enum lmk_status lexical_read_block(struct lexical *lexical, const struct lexical_query *query,
                                   uint64_t block, const struct lexical_content **content,
                                   struct lmk_error *error);
void lexical_forget_blocks(struct lexical *lexical);
/* BM25 of the terms [from, end). */
double lexical_score_content(const struct lexical *lexical, const struct lexical_query *query,
                             const struct lexical_content *content, size_t from, size_t end);

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
/* Prepares a statement whose first parameter is the FTS5 expression. */
enum lmk_status lexical_prepare_match(struct lexical *lexical, const char *sql,
                                      const struct buffer *expression, sqlite3_stmt **statement,
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
