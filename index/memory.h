/* Stored blocks as the far memory of a sequence. */
#ifndef INDEX_MEMORY_H
#define INDEX_MEMORY_H

#include "index/collection.h"
#include "src/model/sequence.h"

/* The block's rows in the memory map. LMK_COLLECTION where its keys and values are not kept. */
enum lmk_status memory_load(struct store_view *view, uint64_t block, struct memory_block *memory,
                            struct lmk_error *error);

/* Slots of the paper's position mapping for `count` blocks in order of age: the j-th takes slot j,
 * or j + 1 if it is among the `count` newest of a context that ends at block `newest_end`. */
void memory_set_slots(struct memory_block *blocks, const uint64_t *numbers, size_t count,
                      uint64_t newest_end);

#endif
