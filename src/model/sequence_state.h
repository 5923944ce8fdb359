/* What a sequence holds, for the files that run it. Letters as in model.h; T: rows run together, at
 * most SEQUENCE_CHUNK. */
#ifndef MODEL_SEQUENCE_STATE_H
#define MODEL_SEQUENCE_STATE_H

#include "src/model/kernels.h"
#include "src/model/limits.h"
#include "src/model/sequence.h"

enum {
    SEQUENCE_CHUNK = 64,
    /* Blocks behind which a far query stands in the first pass with stingy positions: as many as an
       answer reads. */
    SEQUENCE_DEFAULT_BLOCKS = 8
};

/* Keys and values of one layer, [G][capacity][W]. */
struct layer_cache {
    float *keys;     /* rotated to their position */
    float *far_keys; /* memory layers with slot positions: rotated to their offset in the block;
                        else NULL */
    float *values;
};

/* Rows that are run together, and their intermediate results. */
struct chunk {
    size_t rows;   /* T */
    size_t first;  /* row of the sequence that is row 0 here */
    size_t tokens; /* rows that are no landmarks */
    uint32_t ids[SEQUENCE_CHUNK];
    bool is_landmark[SEQUENCE_CHUNK];
    float *hidden, *normed;             /* [T][D] */
    float *queries, *far_queries;       /* [T][H][W] */
    float *keys, *values;               /* [T][G][W] */
    float *attention;                   /* [T][H][W] */
    float *gate, *up;                   /* [T][F] */
    float *projected;                   /* [T][D] */
    float *turns, *far_turns;           /* [T][2*W] */
    const struct memory_block **chosen; /* [T][H][k], with a selector */
    size_t *chosen_counts;              /* [T][H], with a selector */
};

struct sequence {
    const struct lmk_model *model;
    const struct model_shape *shape;
    bool queries_only;
    size_t max_tokens, tokens;
    size_t rows, row_capacity; /* tokens and landmarks so far; rows that the caches have room for */
    struct layer_cache *caches;              /* [L] */
    float *far_queries[LIMIT_MEMORY_LAYERS]; /* by memory layer, [token capacity][H][W] */
    size_t query_capacity;                   /* tokens that far_queries has room for */

    struct rotary rotary;
    float *offset_turns;  /* [B][2*W]: forward to each offset in a block */
    float *inverse_turns; /* [B][2*W]: and back */

    struct memory_block *blocks; /* [block_count]: of sequence_set_memory */
    const struct memory_block **block_pointers;
    size_t block_count;
    float *slot_turns; /* stingy only, [slot_count][2*W]: back from each slot */
    size_t slot_count;
    struct memory_selector selector; /* choose NULL: none */
    float *mass;                     /* [M][H][block_count], of the last row */

    struct chunk chunk;
    float *scratch; /* [threads][scratch_size] */
    size_t scratch_size, threads;
    float *logits; /* [V] */
    bool has_logits;
};

/* Runs the rows of sequence->chunk through the layers; their hidden states are left in
 * chunk.hidden. Errors: what a selector gives. */
enum lmk_status sequence_run_layers(struct sequence *sequence, struct lmk_error *error);

/* Whether the chunk at hand is worth a team of threads. */
bool sequence_shares_pay(const struct sequence *sequence);

/* What follows is called by all threads of a team (#pragma omp parallel) together, with the same
 * arguments; outside of one it is done by the caller alone. */

/* The part of 0 .. count - 1 that falls to the calling thread. */
struct share {
    size_t first, count;
};
struct share sequence_share(size_t count);

/* Columns of out[count][weight->rows], those of the calling thread's share, which is returned, from
 * inputs[count][weight->columns]. No thread waits for the others. */
struct share sequence_multiply(const struct weight *weight, const float *inputs, size_t count,
                               float *out);

/* chunk.attention of a layer from chunk.queries (and chunk.far_queries), the chunk's own keys and
 * values being in the cache already. `m` is the number of the memory layer, or a negative number
 * for local layers. Returns when all of it is there. */
void sequence_attend(struct sequence *sequence, uint32_t layer, int m);

/* Floats of scratch memory that attention needs for each thread when the sequence has `rows` rows.
 */
size_t sequence_scratch_size(const struct sequence *sequence, size_t rows);

/* How one query head sees stored blocks. */
struct far_reader {
    const struct sequence *sequence;
    size_t m, kv_head;
    const float *query; /* [W]: the far query, scaled by 1 / sqrt(W) */
    float *vectors;     /* [N][W]: scratch, the query turned back by each offset */
    float *scores;      /* [N]: scratch */
    int64_t slot;       /* that `vectors` is for; -1: not yet filled */
};

/* Score of a block's landmark. */
float far_landmark_score(const struct far_reader *reader, const struct memory_block *block);

/* sum[W] += gate * softmax(scores of the block's tokens) * values */
void far_read(struct far_reader *reader, const struct memory_block *block, float gate, float *sum);

#endif
