/* The words of all blocks: BM25 and boolean queries with SQLite's FTS5, in lexical.db beside
 * data.mdb.
 *
 * The file is derived: it follows the store, which is committed first, and can be made again from
 * the store's texts at any time. It holds the same blocks as the store, each under its number. A
 * block ends where its 63rd token does, perhaps in the middle of a word; its text here goes on to
 * the next white space on both sides (at most LEXICAL_EDGE bytes), so that a word that two blocks
 * share is found in both. Words are folded and stemmed by "porter unicode61 remove_diacritics 2".
 *
 * Errors, everywhere: LMK_CORRUPT (SQLite finds the file damaged), LMK_IO, LMK_MEMORY, LMK_BUSY.
 */
#ifndef INDEX_LEXICAL_H
#define INDEX_LEXICAL_H

#include "index/collection.h"
#include "index/lexical_query.h"
#include "index/scope.h"

#define LEXICAL_EDGE 64
#define LEXICAL_NEIGHBOURS 4

struct lexical;

/* The collection's words for reading, opened at the first use and kept. LMK_NOT_FOUND, without a
 * sentence: there are none yet. */
enum lmk_status lexical_of(struct lmk_collection *collection, struct lexical **lexical,
                           struct lmk_error *error);
void lexical_close(struct lexical *lexical); /* NULL is fine */

/* Bytes of the file and of what SQLite keeps beside it; 0 where there is none. */
uint64_t lexical_bytes(const struct lmk_collection *collection);

/* Told of each document before its words are added: the so manyth of `total`. What it returns other
 * than LMK_OK ends the update. */
typedef enum lmk_status lexical_report(void *context, const struct document *document,
                                       uint64_t done, uint64_t total, struct lmk_error *error);

/* Brings the file in step with the store: documents that are gone are removed, those that it lacks
 * added (without a model to decode them, that is left to a later call). A missing or damaged file
 * is made anew. `report` may be NULL; when it ends the update, what is complete is kept. The
 * collection must be open for writing. */
enum lmk_status lexical_update(struct lmk_collection *collection, lexical_report *report,
                               void *context, struct lmk_error *error);

/* Writes a copy of the file without unused space into the directory `to`, synced. LMK_NOT_FOUND,
 * without a sentence: there is none. */
enum lmk_status lexical_copy(struct lmk_collection *collection, const char *to,
                             struct lmk_error *error);

/* Deletes the file: lexical_update makes it again. */
void lexical_discard(struct lmk_collection *collection);

/* Compares the file with the store, its texts with their hashes, and its index with its texts; each
 * fault is a sentence for `problem`. `checked`: documents looked at. Nothing is wrong with a file
 * that is missing, or behind the store. */
enum lmk_status lexical_verify(struct lmk_collection *collection, struct store_view *view,
                               void (*problem)(void *context, const char *sentence), void *context,
                               uint64_t *checked, struct lmk_error *error);

/* ---- queries: lexical_begin, then one query, then lexical_end */

/* Takes a snapshot of the file, which a writer waits for, and reads a query in the language of
 * lexical_query.h; `text` must live as long as the snapshot. */
enum lmk_status lexical_begin(struct lexical *lexical, const char *text,
                              struct lexical_query *query, struct lmk_error *error);
/* Gives the snapshot back. The query stays, for lexical_coverage; release it. */
void lexical_end(struct lexical *lexical);

/* Documents whose words are there. */
enum lmk_status lexical_documents(struct lexical *lexical, uint64_t *documents,
                                  struct lmk_error *error);

struct lexical_hit {
    uint64_t block;
    double score; /* BM25, see lexical_search */
};

/* BM25 over all blocks that were searched, those that do not match counting as 0. */
struct lexical_statistics {
    double mean, deviation;
};

/* The `wanted` best blocks of the scope (NULL: of all), best first (equal scores: the earlier
 * block); `hits` [wanted] is the caller's. A score is BM25 with k1 = 1.2 and b = 0.75: the sum over
 * the query's different words and phrases of ln(1 + (B - n + 0.5) / (n + 0.5)) * f * (k1 + 1) / (f
 * + k1 * (1 - b + b * length / average)) where the word is in n of the B blocks and f times in this
 * one; length and average are in words.
 *
 * `most_matches` 0: every block that has any of the words is scored, which is BM25 in full. Else
 * only the rarest words, as many as lie in at most so many blocks together (at least one word),
 * choose blocks; the others add to the scores of the best of these, but bring no blocks of their
 * own, and their part in the statistics is estimated from a sample. Where even the rarest word is
 * in more blocks, so many of these, spread over the collection, are all that is scored. In a scope
 * of at most so many blocks all words choose. B and n are of the whole collection, whatever the
 * scope. */
enum lmk_status lexical_search(struct lexical *lexical, struct lexical_query *query, size_t wanted,
                               uint64_t most_matches, const struct scope *scope,
                               struct lexical_hit *hits, size_t *found,
                               struct lexical_statistics *statistics, struct lmk_error *error);

/* After lexical_search: BM25 of one block; `allowed`: it fulfils the query's conditions (phrases,
 * minus, AND). */
enum lmk_status lexical_score(struct lexical *lexical, const struct lexical_query *query,
                              uint64_t block, double *score, bool *allowed,
                              struct lmk_error *error);

/* After lexical_search, and also after lexical_end: what share of the query's words a text has,
 * each counting by its weight in BM25, those that no block has not at all; 0 to 1. */
enum lmk_status lexical_coverage(struct lexical *lexical, const struct lexical_query *query,
                                 const char *text, size_t size, double *coverage,
                                 struct lmk_error *error);

/* Blocks [first, end) of a document, at most LEXICAL_NEIGHBOURS before and after one in the middle.
 */
struct lexical_neighbourhood {
    uint64_t first, end;
    double score; /* BM25 of their words together */
};

/* After lexical_search: scores neighbourhoods, which are read fastest in the order of the
 * collection. A score is BM25 of lexical_search with all texts being neighbourhoods, each block
 * having one. Their mean length is taken as that of a block times their mean number of blocks, and
 * a word as being in so many as if each block had it independently of the others; so nothing is
 * counted anew. */
enum lmk_status lexical_score_neighbourhoods(struct lexical *lexical,
                                             const struct lexical_query *query,
                                             struct lexical_neighbourhood *neighbourhoods,
                                             size_t count, struct lmk_error *error);

/* The version of SQLite; valid for ever. */
const char *lexical_library_version(void);

#endif
