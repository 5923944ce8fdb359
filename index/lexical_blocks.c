/* Blocks by their texts: BM25 of one block, and of a block with its neighbours; which of the words
 * any text has. */
#include "index/lexical_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ reading */

static enum lmk_status keep_word(void *context, const char *stem, size_t stem_size, size_t start,
                                 size_t end, struct lmk_error *error)
{
    struct lexical_reading *reading = context;
    (void)start;
    (void)end;
    size_t at = reading->stems.size;
    enum lmk_status status = buffer_append(&reading->starts, &at, sizeof at, error);
    if (!status)
        status = buffer_append(&reading->stems, stem, stem_size, error);
    return status ? status : buffer_append(&reading->stems, " ", 1, error);
}

static void reading_init(struct lexical_reading *reading)
{
    buffer_init(&reading->stems, 1 << 24);
    buffer_init(&reading->starts, 1 << 24);
}

enum lmk_status lexical_read_text(struct lexical *lexical, uint64_t block,
                                  struct lexical_reading *reading, struct lmk_error *error)
{
    enum lmk_status status = LMK_OK;
    reading_init(reading);
    if (!lexical->text &&
        (status = lexical_prepare(lexical, &lexical->text,
                                  "SELECT text FROM words WHERE rowid = ?1", error)))
        return status;
    sqlite3_bind_int64(lexical->text, 1, (sqlite3_int64)block);
    int code = sqlite3_step(lexical->text);
    if (code == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(lexical->text, 0);
        status =
            lexical_words(lexical, text ? text : "", (size_t)sqlite3_column_bytes(lexical->text, 0),
                          keep_word, reading, error);
    } else if (code != SQLITE_DONE)
        status = lexical_failure(lexical, code, error);
    sqlite3_reset(lexical->text);
    return status;
}

void lexical_reading_release(struct lexical_reading *reading)
{
    buffer_release(&reading->stems);
    buffer_release(&reading->starts);
}

static unsigned count_term(const struct lexical_reading *reading, const unsigned char *stems,
                           size_t size)
{
    const size_t *starts = (const size_t *)reading->starts.data;
    const unsigned char *words = reading->stems.data;
    unsigned frequency = 0;
    for (size_t i = 0; i < reading->starts.size / sizeof *starts; i++)
        frequency += words[starts[i]] == stems[0] && reading->stems.size - starts[i] >= size &&
                     !memcmp(words + starts[i], stems, size);
    return frequency;
}

struct lexical_content *lexical_count_terms(const struct lexical_query *query,
                                            const struct lexical_reading *reading)
{
    struct lexical_content *content =
        malloc(sizeof *content + query->term_count * sizeof *content->frequency);
    if (!content)
        return NULL;
    content->length = (unsigned)(reading->starts.size / sizeof(size_t));
    for (size_t i = 0; i < query->term_count; i++) {
        const struct lexical_term *term = &query->terms[i];
        content->frequency[term->number] =
            count_term(reading, query->stems.data + term->stems, term->stem_size);
    }
    return content;
}

/* ------------------------------------------------------------------ what has been read */

/* The place of a block: its own, or the free one where it belongs. There is always a free one. */
static struct lexical_content **place_of(const struct lexical_contents *contents, uint64_t block)
{
    size_t at = (size_t)(block * 0x9e3779b97f4a7c15u >> 32) & (contents->room - 1);
    while (contents->items[at] && contents->items[at]->block != block)
        at = (at + 1) & (contents->room - 1);
    return &contents->items[at];
}

static enum lmk_status make_room(struct lexical_contents *contents, struct lmk_error *error)
{
    if (4 * (contents->count + 1) <= 3 * contents->room)
        return LMK_OK;
    struct lexical_contents grown = {.count = contents->count,
                                     .room = contents->room ? 2 * contents->room : 1024};
    grown.items = calloc(grown.room, sizeof *grown.items);
    if (!grown.items)
        return error_memory(error, grown.room * sizeof *grown.items);
    for (size_t i = 0; i < contents->room; i++)
        if (contents->items[i])
            *place_of(&grown, contents->items[i]->block) = contents->items[i];
    free(contents->items);
    *contents = grown;
    return LMK_OK;
}

void lexical_forget_blocks(struct lexical *lexical)
{
    for (size_t i = 0; i < lexical->contents.room; i++)
        free(lexical->contents.items[i]);
    free(lexical->contents.items);
    lexical->contents = (struct lexical_contents){0};
}

static enum lmk_status read_anew(struct lexical *lexical, const struct lexical_query *query,
                                 uint64_t block, struct lexical_content **content,
                                 struct lmk_error *error)
{
    struct lexical_reading reading;
    enum lmk_status status = lexical_read_text(lexical, block, &reading, error);
    if (!status && !(*content = lexical_count_terms(query, &reading)))
        status = error_memory(error, sizeof **content);
    if (!status)
        (*content)->block = block;
    lexical_reading_release(&reading);
    return status;
}

enum lmk_status lexical_read_block(struct lexical *lexical, const struct lexical_query *query,
                                   uint64_t block, const struct lexical_content **content,
                                   struct lmk_error *error)
{
    struct lexical_contents *contents = &lexical->contents;
    enum lmk_status status = make_room(contents, error);
    if (status)
        return status;
    struct lexical_content **place = place_of(contents, block);
    if (!*place) {
        if ((status = read_anew(lexical, query, block, place, error)))
            return status;
        contents->count++;
    }
    *content = *place;
    return LMK_OK;
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
    const struct lexical_content *content;
    enum lmk_status status = LMK_OK;
    *score = 0;
    *allowed = true;
    if (query->filter.size)
        status = check_conditions(lexical, query, block, allowed, error);
    if (!status && query->term_count && *allowed && lexical->scorer.average > 0 &&
        !(status = lexical_read_block(lexical, query, block, &content, error)))
        *score = lexical_score_content(lexical, query, content, 0, query->term_count);
    return status;
}

/* ------------------------------------------------------------------ any text */

enum lmk_status lexical_coverage(struct lexical *lexical, const struct lexical_query *query,
                                 const char *text, size_t size, double *coverage,
                                 struct lmk_error *error)
{
    struct lexical_reading reading;
    struct lexical_content *content = NULL;
    double there = 0, all = 0;
    reading_init(&reading);
    enum lmk_status status = lexical_words(lexical, text, size, keep_word, &reading, error);
    if (!status && !(content = lexical_count_terms(query, &reading)))
        status = error_memory(error, sizeof *content);
    for (size_t i = 0; content && i < query->term_count; i++) {
        const struct lexical_term *term = &query->terms[i];
        double weight = term->blocks ? query->weights[i] : 0;
        all += weight;
        there += content->frequency[term->number] ? weight : 0;
    }
    *coverage = all > 0 ? there / all : 0;
    free(content);
    lexical_reading_release(&reading);
    return status;
}

/* ------------------------------------------------------------------ a block with its neighbours */

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
                                           struct lexical_neighbourhood *neighbourhood,
                                           struct lmk_error *error)
{
    unsigned length = 0, frequency[LEXICAL_MOST_TERMS] = {0};
    for (uint64_t block = neighbourhood->first; block < neighbourhood->end; block++) {
        const struct lexical_content *content;
        enum lmk_status status = lexical_read_block(lexical, query, block, &content, error);
        if (status)
            return status;
        length += content->length;
        for (size_t i = 0; i < query->term_count; i++)
            frequency[i] += content->frequency[i];
    }
    double norm = lexical_norm(length, lexical->scorer.average * lexical->neighbourhood);
    for (size_t i = 0; i < query->term_count; i++)
        neighbourhood->score +=
            weights[i] * lexical_saturate(frequency[query->terms[i].number], norm);
    return LMK_OK;
}

enum lmk_status lexical_score_neighbourhoods(struct lexical *lexical,
                                             const struct lexical_query *query,
                                             struct lexical_neighbourhood *neighbourhoods,
                                             size_t count, struct lmk_error *error)
{
    double weights[LEXICAL_MOST_TERMS];
    enum lmk_status status = LMK_OK;
    bool matches = query->term_count && lexical->scorer.average > 0;
    weigh_neighbourhoods(lexical, query, weights);
    for (size_t i = 0; !status && i < count; i++) {
        neighbourhoods[i].score = 0;
        if (matches)
            status = score_neighbourhood(lexical, query, weights, &neighbourhoods[i], error);
    }
    return status;
}
