/* Passages for people: the text of a block or of some neighbours made whole sentences, and the
 * sentence in it that answers best: that attention rests on, and that has the question's words. */
#ifndef INDEX_PASSAGE_H
#define INDEX_PASSAGE_H

#include "index/ranking.h"

/* What picks the marked sentence; without either of them none is marked. */
struct marking {
    const float *token_scores; /* [N]: attention that each token of the best block received; NULL:
                                  it has no keys */
    const struct ranking *ranking; /* with the question's words */
};

/* Fills `passage` (its strings become its own) for `count` successive blocks of one document from
 * `first` on. `marking` NULL: no sentence is marked. */
enum lmk_status passage_make(struct lmk_passage *passage, const struct lmk_collection *collection,
                             struct store_view *view, uint64_t first, uint64_t count, uint64_t best,
                             const struct marking *marking, struct lmk_error *error);
void passage_release(struct lmk_passage *passage);

#endif
