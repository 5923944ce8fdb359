/* The matrices of indexing, unpacked.
 *
 * Those of a model are unpacked at their first use and kept as long as it is open: who indexes a
 * few texts at a time would wait for nothing else.
 */
#ifndef MODEL_INDEXER_WEIGHTS_H
#define MODEL_INDEXER_WEIGHTS_H

#include "src/model/dense.h"

/* A layer below `top` runs whole; of that one only `projection` is used, for keys and values. */
struct indexer_layer {
    bool memory;
    const float *attention_norm, *feed_forward_norm; /* the model's */
    struct dense projection;                         /* queries, keys, values side by side */
    struct dense output, gate_up, down;
};

struct indexer_weights {
    const struct bf16_products *products; /* NULL: float32 */
    size_t top;                           /* layers that run whole */
    struct indexer_layer *layers;         /* [top + 1] */
    struct dense vocabulary;              /* only where all layers run whole */
};

/* Close it in any case. LMK_MEMORY. */
enum lmk_status indexer_weights_open(struct indexer_weights *weights, const struct lmk_model *model,
                                     const struct bf16_products *products, size_t top,
                                     struct lmk_error *error);
void indexer_weights_close(struct indexer_weights *weights);

/* What a model keeps; for model.c. NULL: out of memory. */
struct kept_weights *kept_weights_open(void);
void kept_weights_close(struct kept_weights *kept); /* NULL is fine */

/* The model's, up to its top memory layer; valid as long as it is open. For any thread. LMK_MEMORY.
 */
enum lmk_status indexer_weights_of(const struct lmk_model *model,
                                   const struct bf16_products *products,
                                   const struct indexer_weights **weights, struct lmk_error *error);

#endif
