/* Extents of block texts: the texts of successive blocks of one document in one value of about a
 * page.
 *
 *   u64 first block | u32 count | u32 zero | blocks, each behind its varint length | u64 XXH3-64 of
 * all before
 *
 * FORMAT.md has the fields of a block. A block is coded relative to the one before it, so reading
 * one walks over those before it in its extent (some 25). No LMDB in here.
 */
#ifndef INDEX_STORE_TEXTS_H
#define INDEX_STORE_TEXTS_H

#include "index/store_records.h"

/* The longest extent that fills one LMDB page; longer ones hold a single block. */
#define TEXT_EXTENT_BYTES 4080

struct text_extent_builder {
    struct record_writer extent;
    uint32_t count;
    uint64_t text_end, source_end; /* of the last block added */
    uint32_t vocabulary;
};
void text_extent_init(struct text_extent_builder *builder, uint32_t vocabulary,
                      struct lmk_error *error);
void text_extent_release(struct text_extent_builder *builder);
void text_extent_start(struct text_extent_builder *builder, uint64_t first_block);
/* Adds a block, or says that it is full: then finish it, start the next one and add the block
 * again. */
bool text_extent_add(struct text_extent_builder *builder, const struct block_text *text);
/* The value is then builder->extent.bytes. */
enum lmk_status text_extent_finish(struct text_extent_builder *builder);

/* Checks header and checksum of the extent stored under `first_block`; gives its count, or 0 if it
 * is damaged. */
uint32_t text_extent_count(const void *data, size_t size, uint64_t first_block);

/* Decodes block number `index` of a checked extent, see store_block_text; `document` is not filled.
 * LMK_CORRUPT without a sentence if the bytes make no sense: the caller knows the names for it. */
enum lmk_status text_extent_block(const void *data, size_t size, uint32_t index,
                                  const struct store_settings *settings, struct buffer *tokens,
                                  struct buffer *runs, struct block_text *text,
                                  struct lmk_error *error);

#endif
