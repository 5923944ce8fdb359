/* JSON lines: an object a line, each a document, in the form of the BEIR benchmark's corpora. */
#ifndef TEXT_JSONL_H
#define TEXT_JSONL_H

#include "src/text/source.h"

/* True if the bytes begin with a JSON object with a string "text" that ends in the first line.
 * `bytes` may be cut off. */
bool jsonl_begins(struct slice bytes);

/* Reads lines that may be compressed (gzip, bzip2, xz, zstd). Of an object "text" is the text,
 * "title" the title, which also begins the text; "author" and "language" name what they say; "_id"
 * (or "id", else the line's number) names the document: FILE/ID. Everything but the first four is
 * kept as metadata, of other members up to METADATA_MAX bytes of JSON. Source offsets are those of
 * the uncompressed lines. A line that is no such object is skipped; the first few are named.
 * LMK_INPUT: the file is damaged, or has no such line. */
#define METADATA_MAX ((size_t)64 << 10)
enum lmk_status jsonl_read(const struct source *source, struct lmk_error *error);

#endif
