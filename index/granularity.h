/* The paper's own retrieval, inside the forward pass (design section 3): `head`, each query head
 * and token searches for itself; `token`, all heads of a token share the blocks with the largest
 * landmark softmax of any head; `chunk`, all tokens of a feed share, per head, those with the
 * largest landmark softmax of any token.
 */
#ifndef INDEX_GRANULARITY_H
#define INDEX_GRANULARITY_H

#include "index/segments.h"
#include "src/model/sequence.h"

struct granularity;
struct memory;

/* A selector for `sequence` that reads k blocks of the scope (NULL: of all), through the FAISS
 * segments of each memory layer and KV head; landmarks that these lack are scanned exactly. View,
 * memory and scope must outlive it. */
enum lmk_status granularity_open(struct granularity **result, struct lmk_collection *collection,
                                 struct store_view *view, struct memory *memory,
                                 const struct scope *scope, enum lmk_granularity kind, size_t k,
                                 struct lmk_error *error);
void granularity_close(struct granularity *granularity); /* NULL is fine */
const struct memory_selector *granularity_selector(const struct granularity *granularity);

/* The blocks that were read, by the landmark probability they received over layers, heads and
 * tokens, largest first; `score` is that sum. Gives how many are written, at most `wanted`. */
size_t granularity_ranking(const struct granularity *granularity, size_t wanted,
                           struct candidate *candidates);

/* Builds the segments of each memory layer and KV head where they are missing. Needs a collection
 * open for writing. */
enum lmk_status granularity_prepare(struct lmk_collection *collection, struct lmk_error *error);

#endif
