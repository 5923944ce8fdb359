#include "cli/eval/dataset.h"

#include "cli/eval/lines.h"
#include "cli/fail.h"
#include "src/base/random.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ texts */

enum lmk_status text_list_add(struct text_list *list, const char *text, struct lmk_error *error)
{
    if (list->count == UINT32_MAX - 1)
        return fail(error, LMK_INPUT, "there are too many lines.");
    if (list->count == list->room) {
        size_t room = list->room ? 2 * list->room : 64;
        char **items = realloc(list->items, room * sizeof *items);
        if (!items)
            return fail_memory(error);
        list->items = items;
        list->room = room;
    }
    char *copy = strdup(text);
    if (!copy)
        return fail_memory(error);
    list->items[list->count++] = copy;
    return LMK_OK;
}

void text_list_release(struct text_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct text_list){0};
}

static int by_text(const void *left, const void *right, void *context)
{
    const struct text_list *list = context;
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    int order = strcmp(list->items[a], list->items[b]);
    return order ? order : a < b ? -1 : a > b;
}

enum lmk_status text_index_make(struct text_index *index, const struct text_list *list,
                                struct lmk_error *error)
{
    index->list = list;
    index->order = malloc((list->count + 1) * sizeof *index->order);
    if (!index->order)
        return fail_memory(error);
    for (uint32_t i = 0; i < list->count; i++)
        index->order[i] = i;
    qsort_r(index->order, list->count, sizeof *index->order, by_text, (void *)(uintptr_t)list);
    return LMK_OK;
}

uint32_t text_index_find(const struct text_index *index, const char *text)
{
    size_t low = 0, high = index->list->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(index->list->items[index->order[middle]], text) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    bool found = low < index->list->count && !strcmp(index->list->items[index->order[low]], text);
    return found ? index->order[low] : UINT32_MAX;
}

void text_index_release(struct text_index *index)
{
    free(index->order);
    *index = (struct text_index){0};
}

/* Refuses a list that holds a text twice. */
static enum lmk_status check_unique(const struct text_index *index, const char *path,
                                    struct lmk_error *error)
{
    for (size_t i = 1; i < index->list->count; i++) {
        const char *text = index->list->items[index->order[i]];
        if (!strcmp(text, index->list->items[index->order[i - 1]]))
            return fail(error, LMK_INPUT, "%s has the _id \"%s\" twice.", path, text);
    }
    return LMK_OK;
}

/* ------------------------------------------------------------------ corpus */

static enum lmk_status take_entry(void *context, const cJSON *object, struct lmk_error *error)
{
    struct corpus *corpus = context;
    const char *id = json_text(object, "_id"), *text = json_text(object, "text"),
               *title = json_text(object, "title");
    if (!id || !text)
        return fail(error, LMK_INPUT, "an entry of the corpus needs texts \"_id\" and \"text\".");
    enum lmk_status status = text_list_add(&corpus->ids, id, error);
    if (!status)
        status = text_list_add(&corpus->texts, text, error);
    return status ? status : text_list_add(&corpus->titles, title ? title : "", error);
}

enum lmk_status corpus_read(struct corpus *corpus, const char *path, struct lmk_error *error)
{
    *corpus = (struct corpus){.path = path};
    enum lmk_status status = objects_read(path, take_entry, corpus, error);
    if (!status && !corpus->ids.count)
        status = fail(error, LMK_INPUT, "%s has no entries.", path);
    if (!status)
        status = text_index_make(&corpus->by_id, &corpus->ids, error);
    if (!status)
        status = check_unique(&corpus->by_id, path, error);
    return status;
}

static bool write_entry(const struct corpus *corpus, size_t entry, FILE *file)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "_id", corpus->ids.items[entry]);
    cJSON_AddStringToObject(object, "title", corpus->titles.items[entry]);
    cJSON_AddStringToObject(object, "text", corpus->texts.items[entry]);
    char *line = cJSON_PrintUnformatted(object);
    cJSON_Delete(object);
    bool written = line && fprintf(file, "%s\n", line) > 0;
    cJSON_free(line);
    return written;
}

enum lmk_status corpus_write(const struct corpus *corpus, const bool *kept, const char *path,
                             struct lmk_error *error)
{
    FILE *file = fopen(path, "w");
    bool written = file;
    for (size_t i = 0; written && i < corpus->ids.count; i++)
        written = !kept[i] || write_entry(corpus, i, file);
    if (file && fclose(file))
        written = false;
    return written ? LMK_OK : fail_file(error, "write", path);
}

void corpus_release(struct corpus *corpus)
{
    text_list_release(&corpus->ids);
    text_list_release(&corpus->titles);
    text_list_release(&corpus->texts);
    text_index_release(&corpus->by_id);
    *corpus = (struct corpus){0};
}

/* ------------------------------------------------------------------ questions */

struct question_reader {
    struct question_set *set;
    const struct corpus *corpus;
    struct text_index by_id;
    bool heading_passed;
};

static enum lmk_status take_question(void *context, const cJSON *object, struct lmk_error *error)
{
    struct question_set *set = context;
    const char *id = json_text(object, "_id"), *text = json_text(object, "text");
    if (!id || !text)
        return fail(error, LMK_INPUT, "a query needs texts \"_id\" and \"text\".");
    enum lmk_status status = text_list_add(&set->ids, id, error);
    return status ? status : text_list_add(&set->texts, text, error);
}

static enum lmk_status add_judgement(struct judged *judged, struct judgement judgement,
                                     struct lmk_error *error)
{
    struct judgement *items = realloc(judged->items, (judged->count + 1) * sizeof *judged->items);
    if (!items)
        return fail_memory(error);
    size_t at = judged->count++;
    for (judged->items = items; at && items[at - 1].gain < judgement.gain; at--)
        items[at] = items[at - 1];
    items[at] = judgement;
    return LMK_OK;
}

static enum lmk_status take_judgement(void *context, char *line, struct lmk_error *error)
{
    struct question_reader *reader = context;
    char *rest = line, *end;
    const char *query = strsep(&rest, "\t"), *entry = strsep(&rest, "\t"),
               *number = strsep(&rest, "\t");
    double gain = number ? strtod(number, &end) : 0;
    bool first = !reader->heading_passed;
    reader->heading_passed = true;
    if (!number || end == number || *end || rest || !isfinite(gain))
        return first ? LMK_OK
                     : fail(error, LMK_INPUT,
                            "a judgement is a query's id, an entry's id and a number with tabs "
                            "between them.");
    uint32_t question = text_index_find(&reader->by_id, query);
    if (question == UINT32_MAX || gain <= 0)
        return LMK_OK;
    struct judgement judgement = {text_index_find(&reader->corpus->by_id, entry), gain};
    if (judgement.entry == UINT32_MAX)
        return fail(error, LMK_INPUT, "%s has no entry \"%s\".", reader->corpus->path, entry);
    return add_judgement(&reader->set->judged[question], judgement, error);
}

static void drop_question(struct question_set *set, size_t i)
{
    free(set->ids.items[i]);
    free(set->texts.items[i]);
    free(set->judged[i].items);
}

/* Each is taken with the probability that the ones still wanted have among the ones that come. */
bool lot_takes(struct lot *lot, size_t coming)
{
    bool taken = draw_below(&lot->seed, coming) < lot->wanted;
    lot->wanted -= taken;
    return taken;
}

/* Leaves the questions that have a right entry, and of those the chosen ones. */
static void keep_judged(struct question_set *set, struct lot lot)
{
    size_t kept = 0, coming = 0;
    for (size_t i = 0; i < set->ids.count; i++)
        coming += set->judged[i].count > 0;
    for (size_t i = 0; i < set->ids.count; i++) {
        if (!set->judged[i].count || !lot_takes(&lot, coming--)) {
            drop_question(set, i);
            continue;
        }
        set->ids.items[kept] = set->ids.items[i];
        set->texts.items[kept] = set->texts.items[i];
        set->judged[kept++] = set->judged[i];
    }
    set->ids.count = set->texts.count = kept;
}

static enum lmk_status read_judgements(struct question_reader *reader, const char *queries,
                                       const char *qrels, struct lmk_error *error)
{
    struct question_set *set = reader->set;
    enum lmk_status status = text_index_make(&reader->by_id, &set->ids, error);
    if (!status)
        status = check_unique(&reader->by_id, queries, error);
    if (!status)
        status = lines_read(qrels, take_judgement, reader, error);
    text_index_release(&reader->by_id);
    return status;
}

enum lmk_status questions_read(struct question_set *set, const struct corpus *corpus,
                               const char *queries, const char *qrels, struct lot lot,
                               struct lmk_error *error)
{
    struct question_reader reader = {.set = set, .corpus = corpus};
    *set = (struct question_set){0};
    enum lmk_status status = objects_read(queries, take_question, set, error);
    set->judged = calloc(set->ids.count + 1, sizeof *set->judged);
    if (!status && !set->judged)
        status = fail_memory(error);
    if (!status)
        status = read_judgements(&reader, queries, qrels, error);
    if (status)
        return status;
    keep_judged(set, lot);
    if (!set->ids.count)
        return fail(error, LMK_INPUT, "No query of %s has a right entry in %s.", queries, qrels);
    return LMK_OK;
}

void questions_release(struct question_set *set)
{
    for (size_t i = 0; set->judged && i < set->ids.count; i++)
        free(set->judged[i].items);
    free(set->judged);
    text_list_release(&set->ids);
    text_list_release(&set->texts);
    *set = (struct question_set){0};
}
