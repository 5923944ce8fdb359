/* Maps of texts that were made in two steps. */
#ifndef TEXT_SOURCE_MAP_H
#define TEXT_SOURCE_MAP_H

#include "src/base/buffer.h"
#include "src/text/normalise.h"

/* Appends to `runs` (struct map_run) that text byte `text`, which is behind all of them or begins
 * the last one anew, and what follows came from `source`. LMK_MEMORY. */
enum lmk_status source_map_add(struct buffer *runs, uint64_t text, uint64_t source,
                               struct lmk_error *error);

/* `text` was normalised from an intermediate text, whose bytes came from a source of `source_size`
 * bytes as `runs` say (ascending, the first at 0; none: byte for byte). Afterwards its map leads to
 * that source. LMK_MEMORY. */
enum lmk_status source_map_extend(struct normalised_text *text, const struct map_run *runs,
                                  size_t run_count, uint64_t source_size, struct lmk_error *error);

#endif
