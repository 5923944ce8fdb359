/* Stored blocks as a query head reads them: keys lie there before rotation, so instead of rotating
 * each key forward to its place, the query is rotated back by it, once for all blocks where they
 * share their places. */
#include "src/model/limits.h"
#include "src/model/rows.h"
#include "src/model/sequence_state.h"

#include <assert.h>

/* The query as a block in `slot` sees it: turned back by the slot's start. With slot positions all
 * blocks stand at 0. */
static const float *query_at_slot(const struct far_reader *reader, uint32_t slot, float *turned)
{
    const struct sequence *sequence = reader->sequence;
    size_t width = sequence->shape->head_width;
    if (sequence->shape->positions == POSITIONS_SLOT)
        return reader->query;
    assert(slot < sequence->slot_count);
    kernel_rotate(sequence->slot_turns + slot * 2 * width, width, reader->query, turned);
    return turned;
}

float far_landmark_score(const struct far_reader *reader, const struct memory_block *block)
{
    const struct model_shape *shape = reader->sequence->shape;
    size_t width = shape->head_width;
    float turned[LIMIT_HEAD_WIDTH], vector[LIMIT_HEAD_WIDTH];
    const float *query = query_at_slot(reader, block->slot, turned);
    kernel_rotate(reader->sequence->inverse_turns + shape->block_tokens * 2 * width, width, query,
                  vector);
    return kernel_dot(vector,
                      block->landmark_key + (reader->m * shape->kv_heads + reader->kv_head) * width,
                      width);
}

static void turn_back(struct far_reader *reader, uint32_t slot)
{
    const struct sequence *sequence = reader->sequence;
    size_t width = sequence->shape->head_width;
    int64_t place = sequence->shape->positions == POSITIONS_SLOT ? 0 : slot;
    float turned[LIMIT_HEAD_WIDTH];
    if (reader->slot == place)
        return;
    const float *query = query_at_slot(reader, slot, turned);
    for (size_t i = 0; i < sequence->shape->block_tokens; i++)
        kernel_rotate(sequence->inverse_turns + i * 2 * width, width, query,
                      reader->vectors + i * width);
    reader->slot = place;
}

void far_read(struct far_reader *reader, const struct memory_block *block, float gate, float *sum)
{
    const struct model_shape *shape = reader->sequence->shape;
    size_t tokens = shape->block_tokens, width = shape->head_width;
    size_t first =
        (reader->m * shape->kv_heads + reader->kv_head) * rows_bytes(block->type, tokens * width);
    turn_back(reader, block->slot);
    rows_dot(block->type, (const char *)block->keys + first, tokens, width, reader->vectors, width,
             reader->scores);
    kernel_softmax(reader->scores, tokens);
    for (size_t i = 0; i < tokens; i++)
        reader->scores[i] *= gate;
    rows_add(block->type, (const char *)block->values + first, tokens, width, reader->scores, sum);
}
