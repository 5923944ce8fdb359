/* Exact attention of a question over the candidates' keys, read where they lie in the memory map.
 */
#include "index/ingest.h"
#include "index/ranking.h"

#include <stdlib.h>

struct block_keys {
    enum tensor_type type;
    const void *keys; /* in the map; NULL: there are none */
};

static enum lmk_status find_keys(const struct ranking *ranking, struct store_view *view,
                                 struct block_keys *blocks, struct lmk_error *error)
{
    enum lmk_status status = LMK_OK;
    for (size_t i = 0; !status && i < ranking->count; i++) {
        status = store_keys_values(view, ranking->items[i].block, &blocks[i].type, &blocks[i].keys,
                                   NULL, error);
        if (status == LMK_NOT_FOUND) {
            blocks[i].keys = NULL;
            status = LMK_OK;
        }
    }
    return status;
}

static void attend(struct ranking *ranking, const struct block_keys *blocks,
                   const struct scoring *scoring, size_t width)
{
#pragma omp parallel for schedule(dynamic, 4)
    for (size_t i = 0; i < ranking->count; i++) {
        if (!blocks[i].keys)
            continue;
        float *scores = ranking->head_scores + i * width;
        scoring_block(scoring, blocks[i].type, blocks[i].keys, scores, NULL);
        ranking->items[i].head_scores = scores;
    }
}

enum lmk_status ranking_attend(struct ranking *ranking, struct store_view *view,
                               const struct question *question, const struct model_shape *shape,
                               struct lmk_timing *timing, struct lmk_error *error)
{
    size_t width = (size_t)shape->memory_layer_count * shape->heads;
    double start = ingest_clock();
    struct block_keys *blocks = calloc(ranking->count + 1, sizeof *blocks);
    ranking->head_scores = malloc((ranking->count * width + 1) * sizeof(float));
    enum lmk_status status = blocks && ranking->head_scores
                                 ? find_keys(ranking, view, blocks, error)
                                 : error_memory(error, ranking->count * width * sizeof(float));
    double between = ingest_clock();
    if (!status)
        attend(ranking, blocks, question->scoring, width);
    timing->fetch += 1e3 * (between - start);
    timing->attention += 1e3 * (ingest_clock() - between);
    free(blocks);
    return status;
}
