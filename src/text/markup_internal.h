/* Private to the readers of markup. */
#ifndef TEXT_MARKUP_INTERNAL_H
#define TEXT_MARKUP_INTERNAL_H

/* The parsers count in int. */
#define MARKUP_SIZE_MAX ((size_t)256 << 20)

void markup_start_library(void);

#endif
