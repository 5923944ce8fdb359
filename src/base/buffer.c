#include "src/base/buffer.h"

#include <stdlib.h>
#include <string.h>

void buffer_init(struct buffer *buffer, size_t limit)
{
    *buffer = (struct buffer){.limit = limit};
}

void buffer_release(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){.limit = buffer->limit};
}

void buffer_clear(struct buffer *buffer)
{
    buffer->size = 0;
}

enum lmk_status buffer_reserve(struct buffer *buffer, size_t extra, struct lmk_error *error)
{
    if (extra <= buffer->capacity - buffer->size)
        return LMK_OK;
    if (extra > buffer->limit - buffer->size)
        return error_set(error, LMK_MEMORY, "A buffer would grow beyond its limit of %zu bytes.",
                         buffer->limit);
    size_t wanted = buffer->size + extra;
    size_t capacity = buffer->capacity < 256 ? 256 : buffer->capacity;
    while (capacity < wanted)
        capacity = capacity > buffer->limit / 2 ? buffer->limit : capacity * 2;
    unsigned char *data = realloc(buffer->data, capacity);
    if (!data)
        return error_memory(error, capacity);
    buffer->data = data;
    buffer->capacity = capacity;
    return LMK_OK;
}

enum lmk_status buffer_append(struct buffer *buffer, const void *data, size_t size,
                              struct lmk_error *error)
{
    enum lmk_status status = buffer_reserve(buffer, size, error);
    if (status)
        return status;
    if (size)
        memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
    return LMK_OK;
}
