/* The blocks that a query may find: those of the documents that fulfil its conditions, and of these
 * the chapters.
 *
 *   FIELD=TEXT    is TEXT         author, title, path, language, year, chapter
 *   FIELD~TEXT    holds TEXT      the same
 *   FIELD<NUMBER  FIELD>NUMBER    year, chapter
 *
 * All conditions must hold. Letters from A to Z match whether small or capital. The year is a
 * number of four digits in the document's metadata ("year", "date", "published", "issued"); a
 * document without one fulfils no condition on it. A chapter is a place of the store
 * (index/store.h).
 */
#ifndef INDEX_SCOPE_H
#define INDEX_SCOPE_H

#include "index/store.h"

/* So many blocks of a scope are scanned, all of a small one; for the others, the indexes are asked
 * for more candidates than are wanted. */
#define SCOPE_FEW 20000

struct scope_range {
    uint64_t first, end; /* blocks */
    uint64_t before;     /* blocks of the ranges before this one */
};

struct scope {
    struct scope_range *ranges; /* [count], ascending, not touching; owned */
    size_t count;
    uint64_t blocks; /* in all of them */
};

/* `*scope` is NULL where there is no condition: every block. Errors: LMK_USAGE (no such condition),
 * LMK_NOT_FOUND (nothing fulfils them), LMK_CORRUPT. */
enum lmk_status scope_open(struct scope **scope, struct store_view *view,
                           const char *const *conditions, size_t count, struct lmk_error *error);
void scope_close(struct scope *scope); /* NULL is fine */

/* True for a NULL scope. */
bool scope_holds(const struct scope *scope, uint64_t block);

/* How many of its blocks lie before a block; the place of one that it holds. */
uint64_t scope_place(const struct scope *scope, uint64_t block);

/* The block at a place below scope->blocks. */
uint64_t scope_block(const struct scope *scope, uint64_t place);

#endif
