/* Attention of whole blocks while indexing: one tile is the rows of one block in the heads that
 * share a KV head, against the packed keys and values of its own block and the blocks before it.
 * Letters as in model.h.
 *
 * A packed block holds one KV head's keys and values of B rows:
 *   keys   [W][key_columns]    rotated to their offset in the block, a column for each row, zeros
 * behind B values [B][value_columns]  zeros behind W A query at offset o meets a block d blocks
 * before its own rotated by o + d*B, so positions stay small however long a document is, and one
 * packed copy serves every distance.
 */
#ifndef MODEL_ATTENTION_H
#define MODEL_ATTENTION_H

#include "src/model/model.h"
#include "src/model/tile.h"

struct attention {
    const struct model_shape *shape; /* borrowed */
    const struct tile_kernels *kernels;
    size_t key_columns, value_columns; /* B and W rounded up to TILE_COLUMNS */
    size_t local_blocks;     /* blocks before its own that the window of a local layer reaches */
    size_t turned_distances; /* distances in blocks that have a rotation of their own, from 0 */
    /* Of the blocks behind the `near` nearest a row reads the `best` whose landmarks score highest;
     * attention_open leaves it all. */
    size_t near, best;
    float *query_turns;    /* [B][2*W] to each offset, times 1/sqrt(W); owned */
    float *key_turns;      /* [B][2*W] to each offset; owned */
    float *distance_turns; /* [turned_distances][2*W] by whole blocks; owned */
};

/* Errors: LMK_MEMORY. */
enum lmk_status attention_open(struct attention *attention, const struct model_shape *shape,
                               struct lmk_error *error);
void attention_close(struct attention *attention); /* zeroed structs are fine */

/* Floats of one packed block of one KV head. */
size_t attention_block_floats(const struct attention *attention);

/* Packs the B keys and values [W], not rotated, that lie `stride` floats apart. */
void attention_pack(const struct attention *attention, const float *keys, const float *values,
                    size_t stride, float *packed);

struct attention_tile {
    const float
        *queries; /* [B][heads of the group][W] before rotation, rows `query_stride` floats apart */
    const float *const *blocks; /* [block_count] packed: blocks[d] lies d blocks before, blocks[0]
                                   is the tile's own */
    size_t query_stride, out_stride, block_count;
    float *out;     /* [B][heads of the group][W], rows `out_stride` floats apart */
    float *scratch; /* [attention_scratch_floats] */
};

size_t attention_scratch_floats(const struct attention *attention);

/* A local layer: each row sees itself and the window - 1 rows before it. Gives up to 1 +
 * local_blocks blocks. */
void attention_local(const struct attention *attention, const struct attention_tile *tile);

/* A memory layer: the grouped softmax over the own block and up to `reach` blocks before it. */
void attention_memory(const struct attention *attention, const struct attention_tile *tile);

#endif
