/* Questions with answers: JSON lines with `question`, `answers` and `gold`. */
#ifndef CLI_EVAL_QA_SET_H
#define CLI_EVAL_QA_SET_H

#include "cli/eval/dataset.h"

struct qa_question {
    char *text;
    struct text_list answers; /* normalised as squad_normalise does, any of them right */
    uint32_t *gold;           /* [gold_count], at least one: entries of the corpus */
    size_t gold_count;
};

struct qa_set {
    struct qa_question *questions; /* [count]; owned */
    size_t count;
};

/* Reads questions about a corpus and keeps those that the lot falls on. `gold` is the _id of a
 * passage that answers the question, or a list of them. Errors: LMK_IO, LMK_INPUT with file and
 * line. Release it in any case. */
enum lmk_status qa_set_read(struct qa_set *set, const struct corpus *corpus, const char *path,
                            struct lot lot, struct lmk_error *error);
void qa_set_release(struct qa_set *set);

#endif
