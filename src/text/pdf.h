/* PDF, read by Poppler's pdftotext in a process of its own with limits. */
#ifndef TEXT_PDF_H
#define TEXT_PDF_H

#include "src/text/source.h"

bool pdf_begins(struct slice bytes);

/* Reads a PDF: source offsets are those of the text as pages_mend made it; places are its pages.
 * LMK_INPUT: damaged, protected, scanned (there is no text in it), beyond the limits; LMK_IO: there
 * is no pdftotext. */
enum lmk_status pdf_read(const struct source *source, struct lmk_error *error);

#endif
