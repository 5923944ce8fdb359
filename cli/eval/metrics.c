#include "cli/eval/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CUT 10 /* of nDCG and MRR */

const char *const metric_names[METRIC_COUNT] = {"ndcg@10",  "mrr@10",    "recall@1",
                                                "recall@5", "recall@20", "recall@100"};
const char *const metric_labels[METRIC_COUNT] = {"nDCG@10", "MRR@10", "R@1",
                                                 "R@5",     "R@20",   "R@100"};

void ranked_list_release(struct ranked_list *ranking)
{
    free(ranking->items);
    *ranking = (struct ranked_list){0};
}

static int by_score_then_id(const void *left, const void *right, void *context)
{
    const struct scored *a = left, *b = right;
    char *const *ids = context;
    if (a->score != b->score)
        return a->score < b->score ? 1 : -1;
    return strcmp(ids[b->entry], ids[a->entry]);
}

void ranked_list_sort(struct ranked_list *ranking, char *const *ids)
{
    if (ranking->count)
        qsort_r(ranking->items, ranking->count, sizeof *ranking->items, by_score_then_id,
                (void *)(uintptr_t)ids);
}

void ranked_list_collapse(struct ranked_list *ranking, bool *seen)
{
    size_t kept = 0;
    for (size_t i = 0; i < ranking->count; i++) {
        struct scored item = ranking->items[i];
        if (!seen[item.entry])
            ranking->items[kept++] = item;
        seen[item.entry] = true;
    }
    for (size_t i = 0; i < kept; i++)
        seen[ranking->items[i].entry] = false;
    ranking->count = kept;
}

static double discount(size_t rank) /* from 1 */
{
    return 1 / log2(1 + (double)rank);
}

/* The gain of an item, 0 where its entry is wrong or stands further up already. */
static double gain_at(const struct ranked_list *ranking, size_t at,
                      const struct judgement *judgements, size_t judgement_count)
{
    uint32_t entry = ranking->items[at].entry;
    size_t j = 0;
    while (j < judgement_count && judgements[j].entry != entry)
        j++;
    if (j == judgement_count)
        return 0;
    for (size_t i = 0; i < at; i++)
        if (ranking->items[i].entry == entry)
            return 0;
    return judgements[j].gain;
}

void metrics_measure(const struct ranked_list *ranking, const struct judgement *judgements,
                     size_t judgement_count, double values[METRIC_COUNT])
{
    static const size_t depths[METRIC_COUNT] = {
        [RECALL_1] = 1, [RECALL_5] = 5, [RECALL_20] = 20, [RECALL_100] = 100};
    double best = 0;
    memset(values, 0, METRIC_COUNT * sizeof *values);
    if (!judgement_count)
        return;
    for (size_t i = 0; i < judgement_count && i < CUT; i++)
        best += judgements[i].gain * discount(i + 1);
    for (size_t i = 0; i < ranking->count && i < depths[RECALL_100]; i++) {
        double gain = gain_at(ranking, i, judgements, judgement_count);
        if (gain <= 0)
            continue;
        values[NDCG_10] += i < CUT ? gain * discount(i + 1) / best : 0;
        if (values[MRR_10] <= 0 && i < CUT)
            values[MRR_10] = 1 / (double)(i + 1);
        for (enum metric metric = RECALL_1; metric <= RECALL_100; metric++)
            values[metric] += i < depths[metric] ? 1 / (double)judgement_count : 0;
    }
}
