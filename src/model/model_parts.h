/* The steps of lmk_model_open, a file each. */
#ifndef MODEL_MODEL_PARTS_H
#define MODEL_MODEL_PARTS_H

#include "src/model/model.h"

/* Fills `shape` from the keys of the file and checks that they fit together; newline_id is left to
 * model_read_vocabulary. Errors: LMK_MODEL naming the key. */
enum lmk_status model_read_shape(struct model_shape *shape, const struct gguf *file,
                                 struct lmk_error *error);

/* Fills model->rank. Errors: LMK_MODEL where a weight is no finite number, or an array has another
 * length than M * H. */
enum lmk_status model_read_rank(struct lmk_model *model, struct lmk_error *error);

/* Opens model->tokenizer from tokenizer.ggml.* and finds the newline piece. */
enum lmk_status model_read_vocabulary(struct lmk_model *model, struct lmk_error *error);

/* Points the weights into the map and unpacks the norms, every shape checked against model->shape.
 */
enum lmk_status model_read_weights(struct lmk_model *model, struct lmk_error *error);

/* Fills model->fingerprint. */
enum lmk_status model_read_fingerprint(struct lmk_model *model, struct lmk_error *error);

#endif
