#include "cli/eval/trec.h"

#include "cli/eval/lines.h"
#include "cli/fail.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct run_reader {
    const struct corpus *corpus;
    struct ranked_list *rankings;
    struct text_index questions;
};

static enum lmk_status add(struct ranked_list *ranking, struct scored item, struct lmk_error *error)
{
    size_t count = ranking->count;
    if (!(count & (count - 1))) { /* room is the next power of two */
        struct scored *items = realloc(ranking->items, (count ? 2 * count : 1) * sizeof *items);
        if (!items)
            return fail_memory(error);
        ranking->items = items;
    }
    ranking->items[ranking->count++] = item;
    return LMK_OK;
}

static enum lmk_status take_line(void *context, char *line, struct lmk_error *error)
{
    struct run_reader *reader = context;
    char *fields[6], *rest = line, *end;
    size_t count = 0;
    for (char *field; count < 6 && (field = strsep(&rest, " \t"));)
        if (field[0])
            fields[count++] = field;
    double score = count == 6 ? strtod(fields[4], &end) : NAN;
    if (isnan(score) || *end)
        return fail(error, LMK_INPUT,
                    "a line of a run is: query, Q0, entry, rank, score and the run's name.");
    uint32_t question = text_index_find(&reader->questions, fields[0]);
    if (question == UINT32_MAX)
        return LMK_OK;
    struct scored item = {text_index_find(&reader->corpus->by_id, fields[2]), score};
    if (item.entry == UINT32_MAX)
        return fail(error, LMK_INPUT, "%s has no entry \"%s\".", reader->corpus->path, fields[2]);
    return add(&reader->rankings[question], item, error);
}

enum lmk_status trec_read(const char *path, const struct corpus *corpus,
                          const struct question_set *set, struct ranked_list *rankings,
                          struct lmk_error *error)
{
    struct run_reader reader = {.corpus = corpus, .rankings = rankings};
    memset(rankings, 0, set->ids.count * sizeof *rankings);
    enum lmk_status status = text_index_make(&reader.questions, &set->ids, error);
    if (!status)
        status = lines_read(path, take_line, &reader, error);
    for (size_t i = 0; !status && i < set->ids.count; i++)
        ranked_list_sort(&rankings[i], corpus->ids.items);
    text_index_release(&reader.questions);
    return status;
}

enum lmk_status trec_write(const char *folder, const char *name, const struct corpus *corpus,
                           const struct question_set *set, const struct ranked_list *rankings,
                           struct lmk_error *error)
{
    char path[PATH_MAX];
    if (mkdir(folder, 0777) && errno != EEXIST)
        return fail_file(error, "make the folder", folder);
    snprintf(path, sizeof path, "%s/%s.trec", folder, name);
    FILE *file = fopen(path, "w");
    if (!file)
        return fail_file(error, "write", path);
    for (size_t i = 0; i < set->ids.count; i++)
        for (size_t j = 0; j < rankings[i].count; j++)
            fprintf(file, "%s Q0 %s %zu %.17g %s\n", set->ids.items[i],
                    corpus->ids.items[rankings[i].items[j].entry], j + 1,
                    rankings[i].items[j].score, name);
    bool written = !ferror(file);
    return fclose(file) || !written ? fail_file(error, "write", path) : LMK_OK;
}
