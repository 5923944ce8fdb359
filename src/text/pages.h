/* Text that was set in pages, put together again. */
#ifndef TEXT_PAGES_H
#define TEXT_PAGES_H

#include "src/base/buffer.h"
#include "src/text/slice.h"

/* `text` is UTF-8 in lines, a form feed behind each page. Appends to `mended` the text without
 * running heads, running feet and page numbers (lines at the edges of pages that come again, but
 * for their numbers), words that a hyphen split at the end of a line in one piece, and sentences
 * that go on from page to page in one paragraph; and to `places` (struct source_place) where each
 * page begins in it. A split word loses its hyphen unless the text has it with one elsewhere.
 * LMK_MEMORY. */
enum lmk_status pages_mend(struct slice text, struct buffer *mended, struct buffer *places,
                           struct lmk_error *error);

#endif
