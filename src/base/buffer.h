/* A growable byte buffer that carries its maximum, so that hostile input cannot make it grow
 * without end. */
#ifndef BASE_BUFFER_H
#define BASE_BUFFER_H

#include "src/base/error.h"

struct buffer {
    unsigned char *data; /* owned; NULL while empty; moves when the buffer grows */
    size_t size, capacity;
    size_t limit; /* a size beyond it is LMK_MEMORY */
};

void buffer_init(struct buffer *buffer, size_t limit);
void buffer_release(struct buffer *buffer);
void buffer_clear(struct buffer *buffer); /* keeps the memory */

/* Makes room for `extra` more bytes. */
enum lmk_status buffer_reserve(struct buffer *buffer, size_t extra, struct lmk_error *error);
enum lmk_status buffer_append(struct buffer *buffer, const void *data, size_t size,
                              struct lmk_error *error);

#endif
