/* What the files of the store share: the environment, its tables, and transactions with sentences
 * for their errors.
 *
 *   store.c          creating, opening and closing an environment; errors
 *   store_file.c     what is checked of data.mdb before LMDB sees it
 *   store_view.c     reading
 *   store_batch.c    writing
 *   store_verify.c   checking all of it
 *   store_records.c, store_texts.c, store_extents.c   the bytes of values, without LMDB
 */
#ifndef INDEX_STORE_INTERNAL_H
#define INDEX_STORE_INTERNAL_H

#include "index/store_extents.h"
#include "index/store_records.h"
#include "index/store_texts.h"

#include <lmdb.h>

enum store_table {
    TABLE_META,
    TABLE_DOCUMENTS,
    TABLE_HASHES,
    TABLE_FIRST_BLOCKS,
    TABLE_SOURCES,
    TABLE_DOCUMENT_SOURCES,
    TABLE_TEXTS,
    TABLE_LANDMARKS,
    TABLE_KEYS_VALUES,
    TABLE_SEGMENTS,
    TABLE_COUNT
};

struct store_table_form {
    const char *name;
    bool by_number; /* keys are u64 in the machine's order, which is little-endian (MDB_INTEGERKEY)
                     */
};
extern const struct store_table_form store_tables[TABLE_COUNT];

/* A key of document_sources: the document, big-endian, so that its sources lie together; then the
 * path's hash. */
enum { DOCUMENT_SOURCE_BYTES = 8 + HASH128_BYTES };
void document_source_key(unsigned char key[DOCUMENT_SOURCE_BYTES], uint64_t document,
                         const unsigned char hash[HASH128_BYTES]);

struct store {
    char *directory;
    MDB_env *env;
    MDB_dbi tables[TABLE_COUNT];
    struct store_settings settings;
    bool write;
};

/* A block of aligned memory that lives as long as its view. */
struct view_copy {
    struct view_copy *next;
    double data[];
};

struct store_view {
    struct store *store;
    MDB_txn *txn;
    MDB_cursor *cursors[TABLE_COUNT]; /* opened when first used */
    struct view_copy *copies;
};

/* Blocks put in this batch whose extents may still grow. */
struct pending_blocks {
    struct pending_blocks *next;
    uint64_t document, next_block, end_block;
    struct extent_draft landmarks, keys_values; /* keys_values.capacity is 0 in tier none */
};

struct store_batch {
    struct store_view
        view; /* what the batch itself has written so far; pointers live until its next write */
    struct store_counts counts;
    struct store_settings settings; /* the store's own once the batch is committed */
    struct pending_blocks *pending;
};

/* ---- store.c */

/* The sentence for an LMDB or system error code; "Cannot <doing> the store in <directory>: ..." */
enum lmk_status store_failure(const struct store *store, int code, const char *doing,
                              struct lmk_error *error);
/* LMK_CORRUPT: "The store in <directory> is damaged: <what>." and what to do. */
enum lmk_status store_damage(const struct store *store, struct lmk_error *error, const char *format,
                             ...) __attribute__((format(printf, 3, 4)));

/* ---- store_file.c */

/* Looks at what LMDB trusts blindly: the two first pages, the size, and the top of every tree.
 * LMK_COLLECTION: there is none, or not of this kind; LMK_CORRUPT. */
enum lmk_status store_file_check(const char *directory, struct lmk_error *error);
/* Nothing has ever been committed to the file: an interrupted creation left it, of whatever size.
 */
bool store_file_is_blank(const char *directory);
/* Walks over every page of the newest state of the file; each problem is a sentence. A view must be
 * open, so that no writer uses these pages anew. */
enum lmk_status store_file_check_pages(const char *directory,
                                       void (*problem)(void *context, const char *sentence),
                                       void *context, struct lmk_error *error);

/* ---- store_view.c */

MDB_val number_key(const uint64_t *number);

void view_release(struct store_view *view); /* cursors and copies, not the transaction */
/* LMK_NOT_FOUND without a sentence. */
enum lmk_status view_get(struct store_view *view, enum store_table table, MDB_val key,
                         MDB_val *value, struct lmk_error *error);
/* The view's cursor over a table; NULL: out of memory. */
MDB_cursor *view_cursor(struct store_view *view, enum store_table table, struct lmk_error *error);
/* The entry with the largest key up to `number`, or with the smallest from it on. LMK_NOT_FOUND
 * without a sentence. */
enum lmk_status view_at_or_before(struct store_view *view, enum store_table table, uint64_t number,
                                  uint64_t *key, MDB_val *value, struct lmk_error *error);
enum lmk_status view_at_or_after(struct store_view *view, enum store_table table, uint64_t number,
                                 uint64_t *key, MDB_val *value, struct lmk_error *error);
/* The extent of landmarks or of keys and values that holds the block; LMK_NOT_FOUND without a
 * sentence. */
enum lmk_status view_extent(struct store_view *view, bool landmarks, uint64_t block,
                            struct extent *extent, struct lmk_error *error);
/* LMK_CORRUPT with a sentence that names block and document. */
enum lmk_status block_damage(struct store_view *view, uint64_t block, const char *what,
                             struct lmk_error *error);

/* ---- store_batch.c */

/* For tests: numbers of documents and blocks go on from these. */
enum lmk_status store_start_at(struct store_batch *batch, uint64_t next_document,
                               uint64_t next_block, struct lmk_error *error);

#endif
