/* What the readers of the formats share: where bytes come from, and what they make of them. */
#ifndef TEXT_SOURCE_H
#define TEXT_SOURCE_H

#include "src/text/reader.h"
#include "src/text/slice.h"

/* Bytes that are read like a file, wherever they come from. */
struct source {
    const char *path; /* of messages and documents */
    struct slice bytes;
    const struct reader_sink *sink;
    bool *stopped;         /* set when the sink wants no more: its status is then passed on */
    int archives;          /* around it */
    const struct opf *opf; /* what stands beside the file about it (Calibre), NULL: nothing */
};

/* A document before it is normalised. Slices may be empty, strings NULL. */
struct extract {
    const char *path; /* NULL: the source's */
    const char *kind;
    struct slice text;          /* UTF-8; what is invalid gets replaced */
    const struct map_run *runs; /* from `text` to the source, ascending, the first at 0 */
    size_t run_count;           /* none: byte for byte */
    const struct source_place *places;
    size_t place_count;
    uint64_t source_size;   /* the end that `runs` lead to */
    uint64_t source_bytes;  /* see source_document */
    uint64_t invalid_bytes; /* replaced already */
    bool complete;          /* title and author stand here, if anywhere: none is guessed */
    struct slice title, author;
    const char *language, *metadata, *identity;
};

/* Normalises and names the document and gives it to the sink. LMK_INPUT: there is no text in it. */
enum lmk_status source_give(const struct source *source, const struct extract *extract,
                            struct lmk_error *error);

/* Reads the bytes by what they are. LMK_INPUT, LMK_IO, LMK_MEMORY, or the sink's status. */
enum lmk_status source_read(const struct source *source, struct lmk_error *error);

#endif
