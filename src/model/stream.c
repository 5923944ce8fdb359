#include "src/model/stream.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

const float *stream_block(const struct stream *stream, size_t layer, uint64_t block, size_t g,
                          size_t head_floats)
{
    const struct history *history = &stream->histories[layer];
    assert(block < stream->blocks && stream->blocks - block <= history->depth);
    return history->packed + block % history->depth * stream->block_floats + g * head_floats;
}

void stream_keep(struct stream *stream, size_t layer, const float *packed, size_t count)
{
    struct history *history = &stream->histories[layer];
    size_t first = count > history->depth ? count - history->depth : 0;
    for (size_t i = first; i < count; i++)
        memcpy(history->packed + (stream->blocks + i) % history->depth * stream->block_floats,
               packed + i * stream->block_floats, stream->block_floats * sizeof *packed);
}

void stream_close(struct stream *stream)
{
    if (!stream)
        return;
    for (size_t l = 0; l < stream->layers; l++)
        free(stream->histories[l].packed);
    free(stream);
}
