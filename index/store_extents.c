#include "index/store_extents.h"

#include "index/store_records.h"
#include "src/model/rows.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BLOCKS = 64, MOST_BYTES = 256 * 1024, PAGE_BYTES = 4096, PAGE_HEADER_BYTES = 16 };

/* ---- shapes */

enum tensor_type tier_type(enum lmk_tier tier)
{
    switch (tier) {
    case LMK_TIER_F16:
        return TENSOR_F16;
    case LMK_TIER_Q4_0:
        return TENSOR_Q4_0;
    case LMK_TIER_Q8_0:
        return TENSOR_Q8_0;
    case LMK_TIER_NONE:
        break;
    }
    assert(!"a tier with rows");
    return TENSOR_F32;
}

bool tier_of_type(uint32_t type, enum lmk_tier *tier)
{
    static const enum lmk_tier tiers[] = {LMK_TIER_F16, LMK_TIER_Q4_0, LMK_TIER_Q8_0};
    for (size_t i = 0; i < sizeof tiers / sizeof tiers[0]; i++)
        if ((uint32_t)tier_type(tiers[i]) == type) {
            *tier = tiers[i];
            return true;
        }
    return false;
}

bool tier_fits(enum lmk_tier tier, uint32_t head_width)
{
    return tier == LMK_TIER_NONE || rows_fit(tier_type(tier), head_width);
}

enum lmk_status tier_check(enum lmk_tier tier, uint32_t head_width, struct lmk_error *error)
{
    return tier_fits(tier, head_width)
               ? LMK_OK
               : error_set(error, LMK_USAGE,
                           "Heads of width %u cannot be stored in quantised blocks of 32 values: "
                           "choose the tier f16 (--kv f16).",
                           head_width);
}

static size_t landmark_values(const struct store_settings *settings)
{
    return (size_t)settings->memory_layers * settings->kv_heads * settings->head_width;
}

struct extent_shape landmark_shape(const struct store_settings *settings)
{
    return (struct extent_shape){TENSOR_F32, 1, landmark_values(settings) * sizeof(float)};
}

struct extent_shape keys_values_shape(const struct store_settings *settings, enum lmk_tier tier)
{
    enum tensor_type type = tier_type(tier);
    return (struct extent_shape){
        type, 2, rows_bytes(type, landmark_values(settings) * settings->block_tokens)};
}

size_t extent_bytes(const struct extent_shape *shape, size_t count)
{
    return EXTENT_HEADER_BYTES + count * shape->parts * (sizeof(uint64_t) + shape->part_bytes);
}

/* LMDB keeps a node that is longer than half a page on pages of its own, behind a header of 16
 * bytes. */
size_t extent_disk_bytes(size_t value_bytes)
{
    const size_t node = 8 + 8, pointer = 2,
                 longest_node = (PAGE_BYTES - PAGE_HEADER_BYTES) / 2 - pointer;
    if (node + value_bytes <= longest_node)
        return node + pointer + value_bytes;
    size_t pages = (PAGE_HEADER_BYTES + value_bytes + PAGE_BYTES - 1) / PAGE_BYTES;
    return node + 8 + pointer + pages * PAGE_BYTES;
}

size_t extent_best_count(const struct extent_shape *shape)
{
    size_t best = 1;
    double best_cost = (double)extent_disk_bytes(extent_bytes(shape, 1));
    for (size_t count = 2; count <= MOST_BLOCKS && extent_bytes(shape, count) <= MOST_BYTES;
         count++) {
        double cost = (double)extent_disk_bytes(extent_bytes(shape, count)) / (double)count;
        if (cost < best_cost) {
            best = count;
            best_cost = cost;
        }
    }
    return best;
}

static uint64_t bytes_per_block(const struct extent_shape *shape)
{
    size_t count = extent_best_count(shape);
    return extent_disk_bytes(extent_bytes(shape, count)) / count + 1;
}

uint64_t store_block_bytes(const struct store_settings *settings, enum lmk_tier tier)
{
    struct extent_shape landmarks = landmark_shape(settings);
    if (tier == LMK_TIER_NONE)
        return bytes_per_block(&landmarks);
    struct extent_shape keys_values = keys_values_shape(settings, tier);
    return bytes_per_block(&landmarks) + bytes_per_block(&keys_values);
}

/* ---- reading */

bool extent_open(struct extent *extent, const struct store_settings *settings, bool landmarks,
                 uint64_t key, const void *data, size_t size)
{
    if (size < EXTENT_HEADER_BYTES)
        return false;
    const unsigned char *bytes = data;
    uint32_t type = load_u32(bytes + 12);
    enum lmk_tier tier;
    *extent =
        (struct extent){.first = load_u64(bytes), .count = load_u32(bytes + 8), .bytes = bytes};
    if (landmarks && type == TENSOR_F32)
        extent->shape = landmark_shape(settings);
    else if (!landmarks && tier_of_type(type, &tier) && tier_fits(tier, settings->head_width))
        extent->shape = keys_values_shape(settings, tier);
    else
        return false;
    size_t block_bytes = extent->shape.parts * (sizeof(uint64_t) + extent->shape.part_bytes);
    return extent->first == key && extent->count > 0 && extent->count <= UINT64_MAX - key &&
           extent->count == (size - EXTENT_HEADER_BYTES) / block_bytes &&
           size == extent_bytes(&extent->shape, extent->count);
}

static const unsigned char *part_at(const struct extent *extent, size_t index)
{
    const struct extent_shape *shape = &extent->shape;
    size_t checksums = sizeof(uint64_t) * shape->parts * extent->count;
    return extent->bytes + EXTENT_HEADER_BYTES + checksums + index * shape->part_bytes;
}

static uint64_t checksum_at(const struct extent *extent, size_t index)
{
    return load_u64(extent->bytes + EXTENT_HEADER_BYTES + sizeof(uint64_t) * index);
}

const unsigned char *extent_part(const struct extent *extent, uint64_t block, size_t part)
{
    assert(block >= extent->first && block - extent->first < extent->count &&
           part < extent->shape.parts);
    size_t index = (size_t)(block - extent->first) * extent->shape.parts + part;
    const unsigned char *bytes = part_at(extent, index);
    return hash64(bytes, extent->shape.part_bytes) == checksum_at(extent, index) ? bytes : NULL;
}

/* ---- writing */

void draft_release(struct extent_draft *draft)
{
    free(draft->parts);
    free(draft->checksums);
    draft->parts = NULL;
    draft->checksums = NULL;
    draft->count = 0;
}

static unsigned char *draft_at(const struct extent_draft *draft, size_t block)
{
    return draft->parts + block * draft->shape.parts * draft->shape.part_bytes;
}

unsigned char *draft_next(struct extent_draft *draft)
{
    assert(draft->count < draft->capacity);
    if (!draft->parts) {
        draft->parts = malloc(draft->capacity * draft->shape.parts * draft->shape.part_bytes);
        draft->checksums = malloc(draft->capacity * draft->shape.parts * sizeof(uint64_t));
        if (!draft->parts || !draft->checksums) {
            draft_release(draft);
            return NULL;
        }
    }
    return draft_at(draft, draft->count);
}

void draft_added(struct extent_draft *draft)
{
    const unsigned char *bytes = draft_at(draft, draft->count);
    for (size_t part = 0; part < draft->shape.parts; part++)
        draft->checksums[draft->count * draft->shape.parts + part] =
            hash64(bytes + part * draft->shape.part_bytes, draft->shape.part_bytes);
    draft->count++;
}

bool draft_copy(struct extent_draft *draft, const struct extent *extent, uint64_t block)
{
    unsigned char *bytes = draft_next(draft);
    if (!bytes)
        return false;
    size_t parts = draft->shape.parts, index = (size_t)(block - extent->first) * parts;
    memcpy(bytes, part_at(extent, index), parts * draft->shape.part_bytes);
    for (size_t part = 0; part < parts; part++)
        draft->checksums[draft->count * parts + part] = checksum_at(extent, index + part);
    draft->count++;
    return true;
}

void draft_write(const struct extent_draft *draft, unsigned char *destination)
{
    write_u64(destination, draft->first);
    write_u32(destination + 8, (uint32_t)draft->count);
    write_u32(destination + 12, (uint32_t)draft->shape.type);
    destination += EXTENT_HEADER_BYTES;
    size_t checksums = draft->count * draft->shape.parts;
    for (size_t i = 0; i < checksums; i++, destination += sizeof(uint64_t))
        write_u64(destination, draft->checksums[i]);
    memcpy(destination, draft->parts, checksums * draft->shape.part_bytes);
}
