/* A prompt (and the answer written behind it): its own sequence from position 0, all layers, with
 * stored blocks as far memory of the memory layers. Pass 1 is a sequence without memory, pass 2 one
 * with the k best blocks.
 *
 * A landmark is put after every N tokens by the sequence itself. Single tokens run straight on the
 * quantised weights.
 */
#ifndef MODEL_SEQUENCE_H
#define MODEL_SEQUENCE_H

#include "src/model/model.h"

/* A stored block; the pointers lie in the memory map of a collection and are read, never copied. */
struct memory_block {
    enum tensor_type type;     /* F32, F16, Q8_0 or Q4_0: of keys and values */
    const void *keys, *values; /* [M][G][N][W], before rotation */
    const float *landmark_key; /* [M][G][W], before rotation; 4-byte aligned */
    uint32_t slot;             /* stingy only: its slot, in order of age */
};

struct sequence;

/* `max_tokens`: prompt and answer, landmarks not counted. `queries_only`: stop at the top memory
 * layer's queries (search needs no more): no logits then. Errors: LMK_MEMORY, LMK_USAGE (max_tokens
 * == 0). */
enum lmk_status sequence_open(struct sequence **sequence, const struct lmk_model *model,
                              size_t max_tokens, bool queries_only, struct lmk_error *error);
void sequence_close(struct sequence *sequence);

/* The far blocks that every head and token reads, in order of age. Call before the first token is
 * fed. The array is copied, the data pointed to must stay. */
enum lmk_status sequence_set_memory(struct sequence *sequence, const struct memory_block *blocks,
                                    size_t count, struct lmk_error *error);

/* Or: blocks chosen inside the forward pass (granularities token, head, chunk). For memory layer m
 * (0 .. M-1), the far queries [rows][H][W] of the rows at hand are given (rotated to where the far
 * query stands); `chosen` [rows][H][k] is to be filled with blocks in order of age, `counts`
 * [rows][H] with how many (up to k). The pointers must stay valid until the feed returns. */
struct memory_selector {
    size_t k;
    enum lmk_status (*choose)(void *context, size_t m, const float *far_queries, size_t rows,
                              const struct memory_block **chosen, size_t *counts,
                              struct lmk_error *error);
    void *context;
};
enum lmk_status sequence_set_selector(struct sequence *sequence,
                                      const struct memory_selector *selector,
                                      struct lmk_error *error);

/* Runs `count` more tokens. With `logits` not NULL, [count][V] of every token fed. Errors:
 * LMK_USAGE beyond max_tokens, LMK_MEMORY, what the selector gives. */
enum lmk_status sequence_feed(struct sequence *sequence, const uint32_t *tokens, size_t count,
                              float *logits, struct lmk_error *error);

/* Logits [V] after the last token fed; valid until the next feed. NULL with queries_only or before
 * a feed. */
const float *sequence_logits(const struct sequence *sequence);

size_t sequence_tokens(const struct sequence *sequence);

/* Far query [W] of memory layer m, head h, at the t-th token (landmarks not counted), rotated to
 * where a far query stands: offset in its block + near_blocks * B with slot positions; behind k =
 * max(8, memory blocks) slots with stingy ones. Valid until the next feed. */
const float *sequence_far_query(const struct sequence *sequence, size_t m, size_t h, size_t t);

/* The pooled query [M][G][W] (design section 3) of all tokens fed. */
void sequence_pooled_query(const struct sequence *sequence, float *pooled);

/* Landmark mass [M][count] of the blocks of sequence_set_memory at the last row, mean over heads.
 */
void sequence_landmark_mass(const struct sequence *sequence, float *mass);

#endif
