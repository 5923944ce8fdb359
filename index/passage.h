/* Passages for people: the text of a block or of some neighbours made whole sentences, and the
 * sentence in it that attention rests on. */
#ifndef INDEX_PASSAGE_H
#define INDEX_PASSAGE_H

#include "index/collection.h"

/* Fills `passage` (its strings become its own) for `count` successive blocks of one document from
 * `first` on. `token_scores` [N], the attention that each token of the block `best` received, picks
 * the marked sentence; NULL: none is marked. */
enum lmk_status passage_make(struct lmk_passage *passage, const struct lmk_collection *collection,
                             struct store_view *view, uint64_t first, uint64_t count, uint64_t best,
                             const float *token_scores, struct lmk_error *error);
void passage_release(struct lmk_passage *passage);

#endif
