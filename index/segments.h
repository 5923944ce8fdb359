/* Candidates by nearest-neighbour search over the landmarks: FAISS segments, and an exact scan of
 * the blocks that no segment holds yet. A part is SEGMENT_JOINT (joint landmarks, granularity
 * `question`) or one memory layer's KV head.
 */
#ifndef INDEX_SEGMENTS_H
#define INDEX_SEGMENTS_H

#include "index/collection.h"
#include "index/scope.h"

struct candidate {
    uint64_t block;
    double score; /* inner product of the query and the rotated landmark, divided by sqrt(W), from
                     the stored keys */
};

void segments_close(struct segments *segments); /* NULL is fine */

/* Builds FAISS segments over the landmarks that have none in `part`, merging small neighbours, and
 * commits them. Nothing happens where there is nothing new. The collection must be open for
 * writing. */
enum lmk_status segments_build(struct lmk_collection *collection, uint32_t part,
                               struct lmk_error *error);

/* Builds all segments of all parts anew, as few and as large as they may be, and without what was
 * removed; `ann` becomes the FAISS factory string of the collection (NULL: it stays, "": by size).
 * Old segments are named until all new ones are there. */
enum lmk_status segments_rebuild(struct lmk_collection *collection, const char *ann,
                                 struct lmk_error *error);

/* The `wanted` best blocks of the scope (NULL: of all) for `query` (of the part's width, rotated as
 * a far query), best first, rescored with the true landmark keys; `candidates` [wanted] is the
 * caller's. */
enum lmk_status segments_search(struct lmk_collection *collection, struct store_view *view,
                                uint32_t part, const float *query, size_t wanted,
                                const struct scope *scope, struct candidate *candidates,
                                size_t *found, struct lmk_error *error);

/* The scores [count] of the named blocks in `part`, from their stored landmark keys; NaN for a
 * block that has none (yet). */
enum lmk_status segments_score(const struct lmk_collection *collection, struct store_view *view,
                               uint32_t part, const float *query, const uint64_t *blocks,
                               size_t count, double *scores, struct lmk_error *error);

/* Opens every segment with its full check; each fault goes to `problem`. */
enum lmk_status segments_verify(struct lmk_collection *collection, struct store_view *view,
                                void (*problem)(void *context, const char *sentence), void *context,
                                uint64_t *checked, struct lmk_error *error);

#endif
