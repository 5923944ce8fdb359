/* A document's normalised text cut into blocks: tokens, and the way back to the source. */
#ifndef INDEX_BLOCKS_H
#define INDEX_BLOCKS_H

#include "index/store.h"
#include "src/model/model.h"
#include "src/text/reader.h"

/* What a document is known by: its normalised text and, unless it is "", its identity. */
enum lmk_status document_hash(const char *text, size_t size, const char *identity,
                              unsigned char hash[HASH128_BYTES], struct lmk_error *error);

struct document_blocks {
    struct block_text
        *blocks; /* owned, as the rest; tokens and runs point into the two arrays below */
    size_t block_count;
    uint32_t *tokens; /* [token_count], BOS first */
    size_t token_count;
    struct map_run *runs;
};

enum lmk_status document_blocks_make(struct document_blocks *result, const struct lmk_model *model,
                                     const struct normalised_text *text, struct lmk_error *error);
/* Gives each block the place that its middle lies in. `text` is what the blocks were made of. */
void document_blocks_place(struct document_blocks *blocks, const struct normalised_text *text,
                           const struct source_place *places, size_t place_count);
void document_blocks_release(struct document_blocks *blocks);

#endif
