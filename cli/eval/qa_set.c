#include "cli/eval/qa_set.h"

#include "cli/eval/lines.h"
#include "cli/eval/squad.h"
#include "cli/fail.h"

#include <stdlib.h>
#include <string.h>

struct qa_reader {
    struct qa_set *set;
    const struct corpus *corpus;
    size_t room;
};

static enum lmk_status add_answer(struct qa_question *question, const cJSON *answer,
                                  struct lmk_error *error)
{
    const char *text = cJSON_GetStringValue(answer);
    if (!text)
        return fail(error, LMK_INPUT, "\"answers\" has what is no text.");
    char *normalised = squad_normalise(text);
    if (!normalised)
        return fail_memory(error);
    enum lmk_status status = text_list_add(&question->answers, normalised, error);
    free(normalised);
    return status;
}

static enum lmk_status add_gold(struct qa_question *question, const struct corpus *corpus,
                                const cJSON *gold, struct lmk_error *error)
{
    const char *id = cJSON_GetStringValue(gold);
    uint32_t entry = id ? text_index_find(&corpus->by_id, id) : UINT32_MAX;
    if (entry == UINT32_MAX)
        return fail(error, LMK_INPUT, "\"gold\" names \"%s\", which %s does not have.",
                    id ? id : "(no text)", corpus->path);
    uint32_t *grown = realloc(question->gold, (question->gold_count + 1) * sizeof *question->gold);
    if (!grown)
        return fail_memory(error);
    question->gold = grown;
    question->gold[question->gold_count++] = entry;
    return LMK_OK;
}

static enum lmk_status fill_question(struct qa_question *question, const struct corpus *corpus,
                                     const cJSON *object, struct lmk_error *error)
{
    const char *text = json_text(object, "question");
    const cJSON *answers = cJSON_GetObjectItemCaseSensitive(object, "answers"),
                *gold = cJSON_GetObjectItemCaseSensitive(object, "gold"), *item;
    if (!text || !cJSON_GetArraySize(answers) ||
        !(cJSON_IsString(gold) || cJSON_GetArraySize(gold)))
        return fail(error, LMK_INPUT,
                    "a question needs \"question\", \"answers\" (a list of texts) and \"gold\" "
                    "(an _id, or a list of them).");
    enum lmk_status status = LMK_OK;
    if (!(question->text = strdup(text)))
        return fail_memory(error);
    cJSON_ArrayForEach(item, answers) if (!status) status = add_answer(question, item, error);
    if (!status && cJSON_IsString(gold))
        return add_gold(question, corpus, gold, error);
    cJSON_ArrayForEach(item, gold) if (!status) status = add_gold(question, corpus, item, error);
    return status;
}

static enum lmk_status take_question(void *context, const cJSON *object, struct lmk_error *error)
{
    struct qa_reader *reader = context;
    struct qa_set *set = reader->set;
    if (set->count == reader->room) {
        size_t room = reader->room ? 2 * reader->room : 64;
        struct qa_question *grown = realloc(set->questions, room * sizeof *grown);
        if (!grown)
            return fail_memory(error);
        set->questions = grown;
        reader->room = room;
    }
    struct qa_question *question = &set->questions[set->count++];
    *question = (struct qa_question){0};
    return fill_question(question, reader->corpus, object, error);
}

static void release_question(struct qa_question *question)
{
    free(question->text);
    free(question->gold);
    text_list_release(&question->answers);
}

static void keep_chosen(struct qa_set *set, struct lot lot)
{
    size_t kept = 0;
    for (size_t i = 0; i < set->count; i++) {
        if (lot_takes(&lot, set->count - i))
            set->questions[kept++] = set->questions[i];
        else
            release_question(&set->questions[i]);
    }
    set->count = kept;
}

enum lmk_status qa_set_read(struct qa_set *set, const struct corpus *corpus, const char *path,
                            struct lot lot, struct lmk_error *error)
{
    struct qa_reader reader = {.set = set, .corpus = corpus};
    *set = (struct qa_set){0};
    enum lmk_status status = objects_read(path, take_question, &reader, error);
    if (!status)
        keep_chosen(set, lot);
    if (!status && !set->count)
        status = fail(error, LMK_INPUT, "%s has no questions.", path);
    return status;
}

void qa_set_release(struct qa_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        release_question(&set->questions[i]);
    free(set->questions);
    *set = (struct qa_set){0};
}
