/* Books in markup: HTML pages and EPUB. */
#ifndef TEXT_BOOK_H
#define TEXT_BOOK_H

#include "src/text/markup.h"
#include "src/text/source.h"

/* Reads an HTML or XHTML page. Source offsets are those of its text, before normalisation; places
 * are its sections, whose headings stand in the metadata ("chapters"). */
enum lmk_status book_read_html(const struct source *source, struct lmk_error *error);

/* Gives what html_read made of a book's pages. */
enum lmk_status book_give(const struct source *source, const char *kind,
                          const struct html_text *book, struct lmk_error *error);

/* True for a zip file that is an EPUB. */
bool book_is_epub(struct slice bytes);

/* Reads an EPUB: the pages of its spine as one text, as above; title, author, language and year
 * from its package document. LMK_INPUT: damaged, protected, or without pages. */
enum lmk_status book_read_epub(const struct source *source, struct lmk_error *error);

#endif
