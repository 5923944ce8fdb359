/* Indexing: documents through the layers up to the top memory layer, block by block, several
 * documents at once.
 *
 * A stream is one document's running state: the keys and values that later rows still see (the
 * local window, the reach of the memory layers). Its size does not depend on the document's length,
 * and a document gives the same numbers however it is cut into runs. Weights are unpacked
 * once, as large matrix products are faster so; the model keeps them for the next indexer.
 */
#ifndef MODEL_INDEXER_H
#define MODEL_INDEXER_H

#include "src/model/model.h"

struct indexer;
struct stream;

/* `max_blocks`: the most blocks that one indexer_run gets, over all its items. Errors: LMK_MEMORY.
 */
enum lmk_status indexer_open(struct indexer **indexer, const struct lmk_model *model,
                             size_t max_blocks, struct lmk_error *error);
void indexer_close(struct indexer *indexer); /* NULL is fine */

/* Which blocks before its own a row of a memory layer reads: the `near` nearest, and of the `far`
 * before these the `best` whose landmarks score highest, chosen by each head of each row for itself
 * (all of them, where they are no more). The keys and values of those are read as rows of a type
 * hold them (rows.h), which must fit the head's width: TENSOR_F32 as they are. */
struct indexer_sight {
    size_t near, far, best;
    enum tensor_type far_type;
};

/* Runs all layers, seeing so many blocks whatever the model's reach, and scores the tokens. Errors
 * as above. */
enum lmk_status indexer_open_scoring(struct indexer **indexer, const struct lmk_model *model,
                                     size_t max_blocks, const struct indexer_sight *sight,
                                     struct lmk_error *error);

/* Where the processor multiplies bfloat16, models of a width of 256 or more run in it: nearly twice
 * as fast, and true to less than 1e-2 of a vector's size instead of 1e-5. This, or the environment
 * variable LMK_FLOAT32, makes indexers that open later use float32 everywhere. */
void indexer_force_float32(bool force);

/* What its matrix products compute in: "float32" or "bfloat16". */
const char *indexer_precision(const struct indexer *indexer);

/* A new document, at its first block. Errors: LMK_MEMORY. */
enum lmk_status stream_open(struct stream **stream, const struct indexer *indexer,
                            struct lmk_error *error);
void stream_close(struct stream *stream);

/* How many blocks before a block have a part in its numbers. To go on in the middle of a document,
 * a new stream runs so many blocks (or those from the document's first on) before it; their results
 * are not the document's, what comes behind them is. */
size_t indexer_blocks_before(const struct indexer *indexer);

/* The next blocks of one document. Keys are before rotation. */
struct indexer_item {
    struct stream *stream;
    const uint32_t *tokens; /* [blocks][N], the last block of a document filled up with padding */
    size_t blocks;
    float *landmark_keys; /* out: [blocks][M][G][W], or NULL where tokens are scored */
    float *keys;          /* out: [blocks][M][G][N][W], or NULL */
    float *values;        /* out: [blocks][M][G][N][W], or NULL */
    /* out: [blocks][N]: logarithm of the probability of the token behind each in `tokens`,
     * landmarks left out; NaN behind the last. Only of indexer_open_scoring. */
    float *log_probabilities;
};

/* Runs the items (each stream at most once) together. Token ids must be below V. */
void indexer_run(struct indexer *indexer, const struct indexer_item *items, size_t item_count);

/* Floating-point operations that one block costs when the whole reach is seen: twice the weights
 * plus attention. */
double indexer_block_operations(const struct model_shape *shape);

#endif
