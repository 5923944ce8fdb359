/* Pass 1: a question through the model by itself, for its pooled query and its far queries (design
 * section 3). */
#ifndef INDEX_QUESTION_H
#define INDEX_QUESTION_H

#include "index/segments.h"
#include "src/model/scoring.h"

struct question {
    struct buffer ids; /* uint32_t: the question in its prompt */
    struct sequence *sequence;
    struct scoring *scoring; /* exact attention over stored keys */
};

/* `verbatim`: without the model's prompt around it. Errors: LMK_USAGE (an empty question, or one
 * beyond 4,096 tokens), LMK_MEMORY, LMK_MODEL. */
enum lmk_status question_open(struct question *question, const struct lmk_model *model,
                              const char *text, bool verbatim, struct lmk_error *error);
void question_close(struct question *question);

size_t question_length(const struct question *question); /* tokens */
const uint32_t *question_ids(const struct question *question);

#endif
