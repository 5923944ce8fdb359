/* Files into documents. Formats so far: plain text and Markdown; each hit leads back to a byte
 * range of the file. */
#ifndef TEXT_READER_H
#define TEXT_READER_H

#include "src/text/normalise.h"

struct source_document {
    char *title, *author, *language; /* owned, never NULL, UTF-8, may be empty */
    const char *kind;                /* static: "text", "markdown" */
    struct normalised_text text;
    uint64_t file_size;
    int64_t modified_ns; /* of the file, since 1970 */
};

/* True if the suffix is one that lmk reads (case does not count): .txt .text .md .markdown */
bool reader_knows_suffix(const char *path);

/* Reads the file. Title: a Markdown heading or the first line(s), else the file name; author: a "by
 * ..." line near the start, or "AUTHOR - TITLE.txt" in the name. Content decides: a binary file
 * (NUL bytes, mostly invalid UTF-8) is LMK_INPUT, so are an empty file and one of white space only;
 * LMK_IO if it cannot be read. */
enum lmk_status reader_read(struct source_document *document, const char *path,
                            struct lmk_error *error);
void source_document_release(struct source_document *document);

#endif
