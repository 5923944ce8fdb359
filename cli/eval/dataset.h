/* A corpus and questions about it with their judgements, in BEIR's format. */
#ifndef CLI_EVAL_DATASET_H
#define CLI_EVAL_DATASET_H

#include "cli/eval/metrics.h"

#include <cjson/cJSON.h>

/* Texts that are owned, in a list that grows. */
struct text_list {
    char **items; /* [count] */
    size_t count, room;
};
enum lmk_status text_list_add(struct text_list *list, const char *text, struct lmk_error *error);
void text_list_release(struct text_list *list);

/* The way from a text to its place in a list, which must stay as it is. */
struct text_index {
    const struct text_list *list;
    uint32_t *order; /* [count], sorted by text, equal ones by place */
};
enum lmk_status text_index_make(struct text_index *index, const struct text_list *list,
                                struct lmk_error *error);
/* The first place of `text` in the list, or UINT32_MAX. */
uint32_t text_index_find(const struct text_index *index, const char *text);
void text_index_release(struct text_index *index);

/* The passages that are searched. */
struct corpus {
    const char *path; /* borrowed */
    struct text_list ids, titles, texts;
    struct text_index by_id;
};
/* Reads lines with `_id`, `text` and, where there is one, `title`. Errors: LMK_IO, LMK_INPUT.
 * Release it in any case. */
enum lmk_status corpus_read(struct corpus *corpus, const char *path, struct lmk_error *error);
/* Writes the entries whose `kept` is true, [entries], to a file that corpus_read reads. LMK_IO. */
enum lmk_status corpus_write(const struct corpus *corpus, const bool *kept, const char *path,
                             struct lmk_error *error);
void corpus_release(struct corpus *corpus);

struct judged {
    struct judgement *items; /* [count], owned; largest gain first */
    size_t count;
};

struct question_set {
    struct text_list ids, texts;
    struct judged *judged; /* one for each question, none of them empty */
};
/* A choice of questions at random. */
struct lot {
    size_t wanted; /* SIZE_MAX: all */
    uint64_t seed;
};
/* Decides, in order, on each of the questions of which `coming` are still to come. */
bool lot_takes(struct lot *lot, size_t coming);

/* Reads BEIR's queries (`_id`, `text`) and judgements (query, entry and gain in a line, tabs
 * between; a heading is passed over). Questions without a right entry are left out before the
 * choice. Errors: LMK_IO, LMK_INPUT with file and line, also for a judgement that names what the
 * corpus lacks. Release it in any case. */
enum lmk_status questions_read(struct question_set *set, const struct corpus *corpus,
                               const char *queries, const char *qrels, struct lot lot,
                               struct lmk_error *error);
void questions_release(struct question_set *set);

#endif
