/* What the later rows of a document still see of the earlier ones: for each layer that runs whole,
 * a ring of the last packed blocks (attention.h), as many as the window or the reach spans.
 */
#ifndef MODEL_STREAM_H
#define MODEL_STREAM_H

#include "src/model/attention.h"
#include "src/model/indexer.h"

struct history {
    size_t depth;  /* blocks kept */
    float *packed; /* [depth][copies][G][attention_block_floats], block b at b % depth */
};

struct stream {
    uint64_t blocks;     /* run so far */
    size_t block_floats; /* of all KV heads of a block, in all copies */
    size_t layers;
    struct history histories[]; /* [layers] */
};

/* The packed KV head `g` (behind the G of the first copy: those of the second) of block number
 * `block`, one of the last `depth`. */
const float *stream_block(const struct stream *stream, size_t layer, uint64_t block, size_t g,
                          size_t head_floats);

/* Keeps the last of `count` new blocks [count][copies][G][...], the first of them having the number
 * stream->blocks. */
void stream_keep(struct stream *stream, size_t layer, const float *packed, size_t count);

#endif
