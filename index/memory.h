/* Stored blocks as the far memory of a sequence. Of a document whose keys and values are not kept
 * (tier none), a block's are computed again: by running the blocks that have a part in them, which
 * gives what indexing gave, but for the rounding of sums: some of OpenBLAS's kernels add up in an
 * order that depends on where in a matrix a row stands. */
#ifndef INDEX_MEMORY_H
#define INDEX_MEMORY_H

#include "index/collection.h"
#include "src/model/sequence.h"

/* What was computed again. */
struct memory_cost {
    uint64_t blocks; /* whose keys and values were wanted */
    uint64_t tokens; /* that the model ran over for them */
    double seconds;
};

struct memory;

/* Both must outlive it. LMK_MEMORY. */
enum lmk_status memory_open(struct memory **memory, const struct lmk_model *model,
                            struct store_view *view, struct lmk_error *error);
void memory_close(struct memory *memory); /* NULL is fine */

/* The block's rows, in the memory map where they are kept, else in memory; valid until closing or
 * until the view ends. LMK_NOT_FOUND: the model has not run over its document yet. */
enum lmk_status memory_load(struct memory *memory, uint64_t block, struct memory_block *loaded,
                            struct lmk_error *error);

struct memory_cost memory_cost(const struct memory *memory);

/* Slots of the paper's position mapping for `count` blocks in order of age: the j-th takes slot j,
 * or j + 1 if it is among the `count` newest of a context that ends at block `newest_end`. */
void memory_set_slots(struct memory_block *blocks, const uint64_t *numbers, size_t count,
                      uint64_t newest_end);

#endif
