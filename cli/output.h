/* How results look: JSON objects, wrapped text, sizes, places. */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include "lmk.h"

#include <cjson/cJSON.h>
#include <stdio.h>

#define JSON_SCHEMA 1

/* A new object with "schema" and "command". */
cJSON *json_start(const char *command);
/* Prints it as one line, frees it; bytes that are no UTF-8 (in the name of a file) become U+FFFD.
 * LMK_MEMORY. */
enum lmk_status json_print(cJSON *object, struct lmk_error *error);
/* One passage as docs/json.md describes it; `ask` adds the shares. */
cJSON *json_passage(const struct lmk_passage *passage, size_t rank, bool ask);
/* The JSON object of a document's metadata, parsed. */
cJSON *json_metadata(const char *metadata);
/* The members of a document, as `list` prints them. */
void json_add_document(cJSON *object, const struct lmk_document *document);
cJSON *json_timing(const struct lmk_timing *timing);

/* True where stdout is a terminal that takes colours and NO_COLOR is not set. */
bool output_colours(void);

/* A path as it is shortest to read: relative where it lies below the current folder, control
 * characters made "?". Valid until the next call. */
const char *output_path(const char *path);

/* "1.4 MB" in one of four rotating buffers; powers of ten. */
const char *output_bytes(uint64_t bytes);

/* "1 file", "2 files" in one of eight rotating buffers; `noun` takes an s. */
const char *output_count(uint64_t count, const char *noun);

/* Prints `text` wrapped to the terminal's width (80 elsewhere), each line `indent` columns in;
 * bytes mark_start to mark_end are set off, in bold on a terminal, by » and « elsewhere (equal:
 * none). */
void output_text(const char *text, size_t mark_start, size_t mark_end, int indent);

/* The same for the right-hand side of a list: the cursor stands at `column`; where that lies
 * beyond `indent`, a new line is begun. */
void output_wrapped(const char *text, int indent, int column);

/* Prints text without its control characters: neither a book nor the name of a file may steer the
 * terminal. */
void output_safely(FILE *stream, const char *text);
/* The same of `size` bytes, which end no character in the middle. */
void output_part_safely(FILE *stream, const char *text, size_t size);

/* A cell of a table, `width` columns wide. The spaces behind it come with the next cell, so that no
 * line ends in them: `gap` counts those to come, from 0 at the start of a line. */
void output_cell(size_t *gap, size_t width, const char *text);

/* "Title, by Author"; the path where there is no title. */
void output_heading(const char *title, const char *author, const char *path);

/* A passage: its heading and `note`, its place, and its text, the last two `indent` columns in. The
 * cursor stands behind what comes first in its line. */
void output_passage(const struct lmk_passage *passage, const char *note, int indent);

/* ", page 12", the heading of the chapter, how far in the text where a page or book has none, or
 * the byte range of the passage (or its mark). */
void output_place(const struct lmk_passage *passage, bool mark);

/* A note on stderr where a part of the collection cannot be searched yet in the mode asked for. */
struct arguments;
void output_readiness(const struct arguments *arguments, uint64_t ready, uint64_t words,
                      uint64_t documents);

#endif
