/* A text around a block, read again with the question before it, so that every layer of the model
 * sees it, and every token of it has seen the question:
 *
 *   <s> Question: {question} \n {text} \n Question: {question} \n Answer:
 *
 * It is a document of its own, without far memory, and short enough that all of it is near. Models
 * with landmark.answer.texts are trained on such (train/reread.py). */
#ifndef INDEX_REREAD_H
#define INDEX_REREAD_H

#include "index/question.h"
#include "index/store.h"

/* Appends the ids (uint32_t) up to the answer, with as much of the block's document around it as
 * fits, the block in the middle where there is enough on both sides. Errors: LMK_CORRUPT,
 * LMK_MEMORY. */
enum lmk_status reread_document(const struct lmk_model *model, struct store_view *view,
                                const struct question *question, uint64_t block, struct buffer *ids,
                                struct lmk_error *error);

#endif
