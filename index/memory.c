#include "index/memory.h"

#include <inttypes.h>

enum lmk_status memory_load(struct store_view *view, uint64_t block, struct memory_block *memory,
                            struct lmk_error *error)
{
    *memory = (struct memory_block){0};
    enum lmk_status status = store_landmark_key(view, block, &memory->landmark_key, error);
    if (!status)
        status =
            store_keys_values(view, block, &memory->type, &memory->keys, &memory->values, error);
    if (status != LMK_NOT_FOUND)
        return status;
    return error_set(error, LMK_COLLECTION,
                     "The keys and values of block %" PRIu64
                     " are not kept, so that it cannot be read. Index the document "
                     "again with keys and values.",
                     block);
}

void memory_set_slots(struct memory_block *blocks, const uint64_t *numbers, size_t count,
                      uint64_t newest_end)
{
    for (size_t j = 0; j < count; j++)
        blocks[j].slot = (uint32_t)(numbers[j] + count >= newest_end ? j + 1 : j);
}
