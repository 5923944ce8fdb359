#include "index/question.h"

#include <stdlib.h>
#include <string.h>

#define MOST_TOKENS 4096

size_t question_length(const struct question *question)
{
    return question->ids.size / sizeof(uint32_t);
}

const uint32_t *question_ids(const struct question *question)
{
    return (const uint32_t *)question->ids.data;
}

static enum lmk_status encode(struct question *question, const struct lmk_model *model,
                              const char *text, bool verbatim, struct lmk_error *error)
{
    if (!text[strspn(text, " \t\r\n")])
        return error_set(error, LMK_USAGE, "The question is empty. Ask with at least one word.");
    enum lmk_status status = model_encode_question(model, text, verbatim, &question->ids, error);
    if (!status && question_length(question) > MOST_TOKENS)
        status = error_set(error, LMK_USAGE,
                           "The question has %zu tokens; at most %d are read. Shorten it.",
                           question_length(question), MOST_TOKENS);
    return status;
}

enum lmk_status question_open(struct question *question, const struct lmk_model *model,
                              const char *text, bool verbatim, struct lmk_error *error)
{
    *question = (struct question){0};
    buffer_init(&question->ids, SIZE_MAX / 2);
    enum lmk_status status = encode(question, model, text, verbatim, error);
    if (!status)
        status = sequence_open(&question->sequence, model, question_length(question), true, error);
    if (!status)
        status = sequence_feed(question->sequence, question_ids(question),
                               question_length(question), NULL, error);
    if (!status)
        status = scoring_open(&question->scoring, model, question->sequence, error);
    if (status)
        question_close(question);
    return status;
}

void question_close(struct question *question)
{
    scoring_close(question->scoring);
    sequence_close(question->sequence);
    buffer_release(&question->ids);
    *question = (struct question){0};
}
