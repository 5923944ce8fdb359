/* Measures of a ranking against judgements, defined as trec_eval does. */
#ifndef CLI_EVAL_METRICS_H
#define CLI_EVAL_METRICS_H

#include "lmk.h"

enum metric { NDCG_10, MRR_10, RECALL_1, RECALL_5, RECALL_20, RECALL_100, METRIC_COUNT };
extern const char *const metric_names[METRIC_COUNT];  /* "ndcg@10", for JSON */
extern const char *const metric_labels[METRIC_COUNT]; /* "nDCG@10", for tables */

/* A passage that is right for a question; `gain` > 0. */
struct judgement {
    uint32_t entry; /* of the corpus */
    double gain;
};

struct scored {
    uint32_t entry;
    double score;
};

/* What a system found for a question, best first. An entry may come several times: by several of
 * its blocks. */
struct ranked_list {
    struct scored *items; /* [count]; owned */
    size_t count;
};
void ranked_list_release(struct ranked_list *ranking);

/* Sorts by score, highest first; equal scores by id, last first, as trec_eval does. `ids`: of the
 * corpus's entries. */
void ranked_list_sort(struct ranked_list *ranking, char *const *ids);

/* Keeps the best item of each entry. `seen` [entries]: zeroed by the caller, zero again after. */
void ranked_list_collapse(struct ranked_list *ranking, bool *seen);

/* Measures a ranking against the judgements of its question, largest gain first. An entry's further
 * items count nothing but take ranks:
 *   nDCG@10   sum of gain / log2(1 + rank) over the first 10, divided by the best possible sum
 *   MRR@10    1 / rank of the first right item, 0 if it is not among the first 10
 *   R@k       share of the right entries among the first k */
void metrics_measure(const struct ranked_list *ranking, const struct judgement *judgements,
                     size_t judgement_count, double values[METRIC_COUNT]);

#endif
