/* Scores between a prompt's far queries and stored keys. */
#ifndef MODEL_SCORING_H
#define MODEL_SCORING_H

#include "src/model/sequence.h"

/* Rotates a landmark key set [M][G][W] to its offset (N): the joint landmark as FAISS holds it,
 * with the inner product of a pooled query divided by sqrt(W) as score. In place allowed. */
void scoring_rotate_landmark(const struct model_shape *shape, const float *landmark_key,
                             float *rotated);

/* The other way round: turns a pooled query [M][G][W] back by N, so that its inner product with
 * landmark keys as they are stored is the score above. For many blocks, this saves rotating each.
 * In place allowed. */
void scoring_turn_query(const struct model_shape *shape, const float *pooled, float *turned);

/* Exact attention of a prompt over one block: for each memory layer, head and prompt token the
 * log-sum-exp of the N scaled far scores. `head_scores` (may be NULL) gets [M][H], the means over
 * the prompt's tokens; `token_scores` (may be NULL) gets [N], the attention that each token of the
 * block received, summed over layers, heads and prompt tokens (each softmax over the block's N
 * tokens sums to one). Returns the mean over all of them. `keys` [M][G][N][W] are read where they
 * lie. */
struct scoring; /* the prompt's queries, prepared once for many blocks; several threads may share it
                 */
enum lmk_status scoring_open(struct scoring **scoring, const struct lmk_model *model,
                             const struct sequence *prompt, struct lmk_error *error);
void scoring_close(struct scoring *scoring);
double scoring_block(const struct scoring *scoring, enum tensor_type type, const void *keys,
                     float *head_scores, float *token_scores);

#endif
