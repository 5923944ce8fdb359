/* Files into documents. A file holds one document, or several: then each has a path of its own,
 * FILE/NAME, as if the file were a folder. */
#ifndef TEXT_READER_H
#define TEXT_READER_H

#include "src/text/normalise.h"

/* From source byte `source` on the text is of chapter or page `place`, counted from 1. */
struct source_place {
    uint64_t source;
    uint32_t place;
};

struct source_document {
    char *path;                      /* owned, as all strings here but `kind` */
    char *title, *author, *language; /* never NULL, UTF-8, may be empty; the first two are cut at
                                        500 bytes, a language beyond 35 is none */
    char *metadata;                  /* a JSON object, "{}" if there is nothing more */
    char *identity;   /* what tells documents with the same text apart, "" if the text is all */
    const char *kind; /* static: "text", "markdown", "html", "epub", "pdf", "jsonl" */
    struct normalised_text text;
    const struct source_place *places; /* ascending; what is before the first has no place */
    size_t place_count;
    uint64_t source_bytes; /* that the document takes in its file, or its file's size */
};

/* Who gets the documents. */
struct reader_sink {
    void *context;
    /* Valid during the call. A status other than LMK_OK ends the reading, which returns it. */
    enum lmk_status (*take)(void *context, const struct source_document *document,
                            struct lmk_error *error);
    /* `count` parts of the file could not be read, as the sentence says; reading goes on. */
    void (*skip)(void *context, uint64_t count, const struct lmk_error *error);
};

/* True for files that are worth reading where nobody named them: by the suffix (case does not
 * count), .txt .text .md .markdown .html .htm .xhtml .epub .pdf .jsonl .ndjson, also with .gz .bz2
 * .xz .zst behind it; of JSON lines also by the first one, which must have a "text". */
bool reader_wants(const char *path);
/* The same by the suffix alone. */
bool reader_knows_suffix(const char *path);

/* True for names of what is compressed, or an archive. */
bool reader_is_packed(const char *path);

/* Reads the file, or standard input for "-"; content decides what it is. In a Calibre folder (with
 * metadata.opf) title, author, language and year are those that stand there. LMK_INPUT: it is no
 * text that lmk reads, empty, or damaged (then documents before the damage have been taken); LMK_IO
 * if it cannot be read.
 *
 * Text and Markdown, UTF-8 or in an encoding of encoding.h. Title: a Markdown heading or the first
 * line(s), else the file name; author: a "by ..." line near the start, or "AUTHOR - TITLE.txt" in
 * the name. HTML and EPUB: see book.h, PDF: pdf.h; source offsets are those of the text in them.
 * JSON lines: see jsonl.h. */
enum lmk_status reader_read(const char *path, const struct reader_sink *sink,
                            struct lmk_error *error);

/* True for a file of JSON lines that are not compressed, which can be read from anywhere. */
bool reader_has_lines(const char *path);
/* As reader_read, but only those lines of such a file that begin in the bytes [from, end), numbered
 * from the first of them on. *bytes: how long they are together; it stays as it was where the file
 * cannot be opened. */
enum lmk_status reader_read_lines(const char *path, uint64_t from, uint64_t end, uint64_t *bytes,
                                  const struct reader_sink *sink, struct lmk_error *error);

#endif
