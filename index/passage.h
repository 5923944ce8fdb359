/* Passages for people: a block's text made whole sentences, and the sentence in it that attention
 * rests on. */
#ifndef INDEX_PASSAGE_H
#define INDEX_PASSAGE_H

#include "index/collection.h"

/* Fills `passage` (its strings become its own) for a block. `token_scores` [N], the attention that
 * each of the block's tokens received, picks the marked sentence; NULL: none is marked. */
enum lmk_status passage_make(struct lmk_passage *passage, const struct lmk_collection *collection,
                             struct store_view *view, uint64_t block, const float *token_scores,
                             struct lmk_error *error);
void passage_release(struct lmk_passage *passage);

#endif
