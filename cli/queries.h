/* Questions read from a file or standard input, one a line: plain text, or a JSON object with the
 * text in "text" or "question" and perhaps an "_id". Empty lines are left out. */
#ifndef CLI_QUERIES_H
#define CLI_QUERIES_H

#include "lmk.h"

#include <cjson/cJSON.h>
#include <stdio.h>

struct queries {
    const char *path; /* the caller's; "-": standard input */
    FILE *stream;
    char *line;
    size_t capacity;
    uint64_t number; /* of the line, from 1 */
    cJSON *object;   /* what a line of JSON was read into */
};

struct query {
    const char *text;
    const cJSON *id; /* a string or number, or NULL */
};

/* LMK_INPUT: no such file. */
enum lmk_status queries_open(struct queries *queries, const char *path, struct lmk_error *error);
void queries_close(struct queries *queries);

/* The next question, valid until the next call. LMK_NOT_FOUND, without a sentence: there is none.
 * LMK_INPUT: a line that begins as a JSON object and is no question. */
enum lmk_status queries_next(struct queries *queries, struct query *query, struct lmk_error *error);

/* Puts the place of the line before the sentence in `error`. */
void queries_locate(const struct queries *queries, struct lmk_error *error);

#endif
