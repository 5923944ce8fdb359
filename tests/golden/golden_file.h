/* Golden values as the reference implementation writes them, and the comparisons with ours.
 * Failures are cmocka's. */
#ifndef GOLDEN_GOLDEN_FILE_H
#define GOLDEN_GOLDEN_FILE_H

#include "src/model/indexer.h"
#include "src/model/scoring.h"

#include <cjson/cJSON.h>

/* Of the size (largest magnitude) of the vector compared. */
#define GOLDEN_TOLERANCE 1e-3

cJSON *golden_load(const char *path); /* freed by cJSON_Delete */

/* A member by its path, such as "question/pooled_query/1"; it must be there. */
const cJSON *golden_member(const cJSON *object, const char *path);

/* An array of token ids, `count` of them, to be freed. */
uint32_t *golden_ids(const cJSON *array, size_t *count);

void golden_compare(const char *what, const cJSON *expected, const float *values, size_t count,
                    double tolerance);

/* `pairs` is an array of [index, value]. */
void golden_compare_logits(const char *what, const cJSON *pairs, const float *logits,
                           double tolerance);

/* A document run through the indexer: what a collection would hold of it. */
struct golden_blocks {
    size_t count;
    float *landmark_keys; /* [count][M][G][W] */
    float *keys, *values; /* [count][M][G][N][W] */
};
void golden_blocks_open(struct golden_blocks *blocks, const struct lmk_model *model,
                        const uint32_t *tokens, size_t count);
void golden_blocks_close(struct golden_blocks *blocks);

#endif
