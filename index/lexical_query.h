/* The language of queries for words.
 *
 *   words                 any of them; the more and the rarer, the better
 *   "an exact phrase"     must be there, in this order (words beside it are then optional)
 *   -word  -"a phrase"    must not be there
 *   a b AND c             (a or b) and c: AND and OR in capitals, AND binds closer
 *   (a OR b) AND c        parentheses, where there is an AND or OR
 *
 * What is no such expression (an open quotation mark, an AND without a right side, nothing but
 * "-word") is taken as plain words: no query is an error. Words are what the tokenizer of the index
 * makes of the text, so that nothing of it reaches FTS5's own syntax.
 */
#ifndef INDEX_LEXICAL_QUERY_H
#define INDEX_LEXICAL_QUERY_H

#include "src/base/buffer.h"

#define LEXICAL_MOST_TERMS 256 /* words beyond these count for nothing */

/* A word or phrase that gives score. */
struct lexical_term {
    size_t start, size;      /* of its text in the query */
    size_t stems, stem_size; /* its stems in lexical_query.stems, for finding it again */
    size_t number;           /* its place among the terms, before the search sorts them */
    uint64_t blocks;         /* that hold it; set by the search */
};

struct lexical_query {
    const char *text; /* the caller's */
    struct lexical_term terms[LEXICAL_MOST_TERMS];
    size_t term_count;
    struct buffer stems;
    struct buffer filter;  /* FTS5 expression of the conditions, NUL-terminated; empty: none */
    size_t filter_phrases; /* in it */
    double weights[LEXICAL_MOST_TERMS]; /* of the terms in BM25; set by the search */
};

/* Gives the words of a text one by one: stem, and where it stands in the text. Other than LMK_OK
 * ends it. */
typedef enum lmk_status lexical_word_visit(void *context, const char *stem, size_t stem_size,
                                           size_t start, size_t end, struct lmk_error *error);
/* The tokenizer of the index. */
struct lexical;
enum lmk_status lexical_words(struct lexical *lexical, const char *text, size_t size,
                              lexical_word_visit *visit, void *context, struct lmk_error *error);

/* `text` must live until the last search for the query. */
enum lmk_status lexical_query_read(struct lexical_query *query, struct lexical *lexical,
                                   const char *text, struct lmk_error *error);
void lexical_query_release(struct lexical_query *query);

/* Appends the FTS5 string of a part of the query: in quotation marks, whatever it holds. */
enum lmk_status lexical_query_quote(const struct lexical_query *query, size_t start, size_t size,
                                    struct buffer *expression, struct lmk_error *error);

/* What the model is to read of a query: the same text, or, where it has an AND, an OR or a minus,
 * its wanted words alone. New memory; NULL: out of memory. */
char *lexical_query_plain(const char *text);

#endif
