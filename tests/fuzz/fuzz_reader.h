/* Runs the readers over bytes as if they were a file; see fuzz_*.c. */
#ifndef FUZZ_READER_H
#define FUZZ_READER_H

#include "src/text/source.h"

/* Reads with `read` (source_read and the like); checks what the sink gets: valid UTF-8 without NUL,
 * a map that ascends and stays in the source, places that ascend, metadata that is JSON. */
void fuzz_read(const char *path, const uint8_t *data, size_t size,
               enum lmk_status (*read)(const struct source *source, struct lmk_error *error));

#endif
