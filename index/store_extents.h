/* Extents of landmark keys, and of keys and values: successive blocks of one document in one value
 * of the store.
 *
 *   u64 first block | u32 count | u32 row type | checksums, those of a block together | the blocks'
 * bytes
 *
 * A block of landmarks has one checksum and float32 [M][G][W]; a block of keys and values has two,
 * of its keys and of its values, and both [M][G][N][W] in rows of the type, keys first. Each
 * checksum is the XXH3-64 of its part. The size of an extent follows from its header, so that every
 * bit of it is checked. No LMDB in here.
 */
#ifndef INDEX_STORE_EXTENTS_H
#define INDEX_STORE_EXTENTS_H

#include "index/store.h"

enum { EXTENT_HEADER_BYTES = 16, EXTENT_PARTS = 2 };

/* What one block of an extent consists of. */
struct extent_shape {
    enum tensor_type type;
    size_t parts;      /* 1: landmark keys; 2: keys, values */
    size_t part_bytes; /* bytes of one part of one block */
};
struct extent_shape landmark_shape(const struct store_settings *settings);
/* `tier` is not LMK_TIER_NONE. */
struct extent_shape keys_values_shape(const struct store_settings *settings, enum lmk_tier tier);
bool tier_of_type(uint32_t type, enum lmk_tier *tier);
enum tensor_type tier_type(enum lmk_tier tier);
/* True where a head's width fills whole quantisation blocks of the tier. */
bool tier_fits(enum lmk_tier tier, uint32_t head_width);
/* LMK_USAGE where it does not. */
enum lmk_status tier_check(enum lmk_tier tier, uint32_t head_width, struct lmk_error *error);

size_t extent_bytes(const struct extent_shape *shape, size_t count);
/* Blocks of an extent that waste the smallest share of LMDB's pages: 1 .. 64, at most 256 KiB where
 * that is possible. */
size_t extent_best_count(const struct extent_shape *shape);
/* Bytes on disk of a value of this size: whole pages for large ones, else its share of a leaf. */
size_t extent_disk_bytes(size_t value_bytes);

/* A stored extent whose header has been checked. */
struct extent {
    struct extent_shape shape;
    uint64_t first;
    uint32_t count;
    const unsigned char *bytes;
};
/* `key` is what it is stored under, `landmarks` its table. False: damaged. */
bool extent_open(struct extent *extent, const struct store_settings *settings, bool landmarks,
                 uint64_t key, const void *data, size_t size);
/* One part of one block, or NULL where its checksum does not match. */
const unsigned char *extent_part(const struct extent *extent, uint64_t block, size_t part);

/* An extent being filled. */
struct extent_draft {
    struct extent_shape shape;
    uint64_t first;
    size_t count, capacity; /* blocks */
    unsigned char *parts;   /* owned, [capacity][parts][part_bytes]; NULL until the first block */
    uint64_t *checksums;    /* owned, [capacity][parts] */
};
void draft_release(struct extent_draft *draft);
/* Room for the parts of one more block, to be filled and followed by draft_added. NULL: out of
 * memory. */
unsigned char *draft_next(struct extent_draft *draft);
void draft_added(struct extent_draft *draft);
/* Takes a stored block over, its checksums untouched. False: out of memory. */
bool draft_copy(struct extent_draft *draft, const struct extent *extent, uint64_t block);
/* Writes extent_bytes(shape, count) bytes. */
void draft_write(const struct extent_draft *draft, unsigned char *destination);

#endif
