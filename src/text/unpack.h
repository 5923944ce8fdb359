/* Compressed bytes, by libarchive: gzip, bzip2, xz and Zstandard. */
#ifndef TEXT_UNPACK_H
#define TEXT_UNPACK_H

#include "src/base/error.h"
#include "src/text/slice.h"

/* A stream of the bytes; those that are not compressed come as they are. */
struct unpacker;

/* `bytes` must stay until the end. `path` is for messages. */
enum lmk_status unpacker_open(struct unpacker **result, struct slice bytes, const char *path,
                              struct lmk_error *error);
void unpacker_close(struct unpacker *unpacker); /* NULL is fine */

/* The next piece, valid until the next call; an empty one at the end. LMK_INPUT: damaged, or so
 * much larger than its compressed form that it cannot be text. */
enum lmk_status unpacker_next(struct unpacker *unpacker, struct slice *piece,
                              struct lmk_error *error);

#endif
