/* The package document of an EPUB, which Calibre also keeps beside a book: what the book is, and
 * the order of its pages. */
#ifndef TEXT_OPF_H
#define TEXT_OPF_H

#include "src/base/buffer.h"
#include "src/text/slice.h"

struct opf {
    char title[512], author[512], language[16], year[8]; /* "" where it does not say */
    struct buffer strings;                               /* of the hrefs */
    struct buffer items;                                 /* struct opf_item, of the manifest */
    struct buffer spine;    /* struct page_reference, in reading order */
    struct buffer contents; /* size_t, offsets of hrefs of tables of contents and notes */
};

/* LMK_MEMORY; what is not there stays empty. Several authors are joined by " and ". */
enum lmk_status opf_read(struct opf *opf, struct slice bytes, struct lmk_error *error);
void opf_release(struct opf *opf);

/* The href of page `index` of the reading order, percent-encoded and relative to the package
 * document; NULL behind the last. *skip: it is navigation, notes, no (X)HTML, or not part of the
 * main text. */
const char *opf_page(const struct opf *opf, size_t index, bool *skip);

#endif
