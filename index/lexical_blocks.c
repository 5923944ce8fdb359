/* Blocks by their texts: BM25 of one block, and of a block with its neighbours. */
#include "index/lexical_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ reading */

struct reading {
    struct buffer stems;  /* of the block's words, each with a space behind it */
    struct buffer starts; /* size_t: of each word in it */
};

static enum lmk_status keep_word(void *context, const char *stem, size_t stem_size, size_t start,
                                 size_t end, struct lmk_error *error)
{
    struct reading *reading = context;
    (void)start;
    (void)end;
    size_t at = reading->stems.size;
    enum lmk_status status = buffer_append(&reading->starts, &at, sizeof at, error);
    if (!status)
        status = buffer_append(&reading->stems, stem, stem_size, error);
    return status ? status : buffer_append(&reading->stems, " ", 1, error);
}

static void count_terms(const struct lexical_query *query, const struct reading *reading,
                        struct lexical_content *content)
{
    const size_t *starts = (const size_t *)reading->starts.data;
    content->length = (unsigned)(reading->starts.size / sizeof *starts);
    for (size_t i = 0; i < query->term_count; i++) {
        const unsigned char *stems = query->stems.data + query->terms[i].stems;
        size_t size = query->terms[i].stem_size;
        unsigned *frequency = &content->frequency[query->terms[i].number];
        *frequency = 0;
        for (size_t word = 0; word < content->length; word++)
            *frequency += reading->stems.size - starts[word] >= size &&
                          !memcmp(reading->stems.data + starts[word], stems, size);
    }
}

enum lmk_status lexical_read_block(struct lexical *lexical, const struct lexical_query *query,
                                   uint64_t block, struct lexical_content *content,
                                   struct lmk_error *error)
{
    enum lmk_status status = LMK_OK;
    if (!lexical->text &&
        (status = lexical_prepare(lexical, &lexical->text,
                                  "SELECT text FROM words WHERE rowid = ?1", error)))
        return status;
    struct reading reading;
    buffer_init(&reading.stems, 1 << 24);
    buffer_init(&reading.starts, 1 << 24);
    sqlite3_bind_int64(lexical->text, 1, (sqlite3_int64)block);
    int code = sqlite3_step(lexical->text);
    if (code == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(lexical->text, 0);
        status =
            lexical_words(lexical, text ? text : "", (size_t)sqlite3_column_bytes(lexical->text, 0),
                          keep_word, &reading, error);
    } else if (code != SQLITE_DONE)
        status = lexical_failure(lexical, code, error);
    sqlite3_reset(lexical->text);
    if (!status)
        count_terms(query, &reading, content);
    buffer_release(&reading.stems);
    buffer_release(&reading.starts);
    return status;
}

/* ------------------------------------------------------------------ one block */

double lexical_score_content(const struct lexical *lexical, const struct lexical_query *query,
                             const struct lexical_content *content, size_t from, size_t end)
{
    double norm = lexical_norm(content->length, lexical->scorer.average), score = 0;
    for (size_t i = from; i < end; i++)
        score +=
            query->weights[i] * lexical_saturate(content->frequency[query->terms[i].number], norm);
    return score;
}

/* Whether the block fulfils the query's conditions. */
static enum lmk_status check_conditions(struct lexical *lexical, const struct lexical_query *query,
                                        uint64_t block, bool *allowed, struct lmk_error *error)
{
    enum lmk_status status = LMK_OK;
    if (!lexical->conditions) {
        const struct buffer expression = {.data = query->filter.data,
                                          .size = query->filter.size - 1};
        status = lexical_prepare_match(lexical,
                                       "SELECT 1 FROM words WHERE words MATCH ?1 AND rowid = ?2",
                                       &expression, &lexical->conditions, error);
        if (status)
            return status;
    }
    sqlite3_bind_int64(lexical->conditions, 2, (sqlite3_int64)block);
    int code = sqlite3_step(lexical->conditions);
    *allowed = code == SQLITE_ROW;
    sqlite3_reset(lexical->conditions);
    return code == SQLITE_ROW || code == SQLITE_DONE ? LMK_OK
                                                     : lexical_failure(lexical, code, error);
}

enum lmk_status lexical_score(struct lexical *lexical, const struct lexical_query *query,
                              uint64_t block, double *score, bool *allowed, struct lmk_error *error)
{
    struct lexical_content content;
    enum lmk_status status = LMK_OK;
    *score = 0;
    *allowed = true;
    if (query->filter.size)
        status = check_conditions(lexical, query, block, allowed, error);
    if (!status && query->term_count && *allowed && lexical->scorer.average > 0 &&
        !(status = lexical_read_block(lexical, query, block, &content, error)))
        *score = lexical_score_content(lexical, query, &content, 0, query->term_count);
    return status;
}

/* ------------------------------------------------------------------ a block with its neighbours */

enum { MOST_HELD = 2 * LEXICAL_NEIGHBOURS + 1 };

/* The blocks read last, block b at b modulo MOST_HELD: neighbourhoods that come in order share
 * theirs. */
struct held {
    uint64_t blocks[MOST_HELD]; /* UINT64_MAX: none */
    struct lexical_content contents[MOST_HELD];
};

/* BM25's weights for neighbourhoods. */
static void weigh_neighbourhoods(const struct lexical *lexical, const struct lexical_query *query,
                                 double *weights)
{
    double blocks = (double)lexical->blocks;
    for (size_t i = 0; i < query->term_count; i++) {
        double without = 1 - fmin(1, (double)query->terms[i].blocks / blocks);
        double with = blocks * (1 - pow(without, lexical->neighbourhood));
        weights[i] = lexical_weight(blocks, with);
    }
}

static enum lmk_status score_neighbourhood(struct lexical *lexical,
                                           const struct lexical_query *query, const double *weights,
                                           struct held *held,
                                           struct lexical_neighbourhood *neighbourhood,
                                           struct lmk_error *error)
{
    enum lmk_status status = LMK_OK;
    struct lexical_content sum = {.length = 0};
    for (uint64_t block = neighbourhood->first; !status && block < neighbourhood->end; block++) {
        struct lexical_content *content = &held->contents[block % MOST_HELD];
        if (held->blocks[block % MOST_HELD] != block)
            status = lexical_read_block(lexical, query, block, content, error);
        held->blocks[block % MOST_HELD] = status ? UINT64_MAX : block;
        sum.length += content->length;
        for (size_t i = 0; i < query->term_count; i++)
            sum.frequency[i] += content->frequency[i];
    }
    double norm = lexical_norm(sum.length, lexical->scorer.average * lexical->neighbourhood);
    neighbourhood->score = 0;
    for (size_t i = 0; !status && i < query->term_count; i++)
        neighbourhood->score +=
            weights[i] * lexical_saturate(sum.frequency[query->terms[i].number], norm);
    return status;
}

enum lmk_status lexical_score_neighbourhoods(struct lexical *lexical,
                                             const struct lexical_query *query,
                                             struct lexical_neighbourhood *neighbourhoods,
                                             size_t count, struct lmk_error *error)
{
    double weights[LEXICAL_MOST_TERMS];
    enum lmk_status status = LMK_OK;
    bool matches = query->term_count && lexical->scorer.average > 0;
    struct held *held = malloc(sizeof *held);
    if (!held)
        return error_memory(error, sizeof *held);
    for (size_t i = 0; i < MOST_HELD; i++)
        held->blocks[i] = UINT64_MAX;
    weigh_neighbourhoods(lexical, query, weights);
    for (size_t i = 0; !status && i < count; i++) {
        neighbourhoods[i].score = 0;
        if (matches)
            status = score_neighbourhood(lexical, query, weights, held, &neighbourhoods[i], error);
    }
    free(held);
    return status;
}
