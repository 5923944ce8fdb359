/* Whether what was read supports an answer. */
#ifndef INDEX_SUPPORT_H
#define INDEX_SUPPORT_H

#include "src/model/model.h"

/* Fills `words`, `words_read` and `found` of an answer whose text, confidence and passages are
 * there. Without a text (none was to be written) nothing is claimed, and it counts as found; an
 * empty one never does. */
void support_judge(struct lmk_answer *answer, const struct lmk_model *model);

#endif
