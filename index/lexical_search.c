#include "index/lexical_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ scores */

static int frequency_of(const Fts5ExtensionApi *api, Fts5Context *match, int phrase,
                        unsigned *frequency)
{
    Fts5PhraseIter at;
    int column, offset, code = api->xPhraseFirst(match, phrase, &at, &column, &offset);
    for (*frequency = 0; !code && column >= 0; ++*frequency)
        api->xPhraseNext(match, &at, &column, &offset);
    return code;
}

static int find_average(const Fts5ExtensionApi *api, Fts5Context *match, double *average)
{
    sqlite3_int64 rows = 0, words = 0;
    int code = api->xRowCount(match, &rows);
    if (!code)
        code = api->xColumnTotalSize(match, 0, &words);
    *average = rows > 0 && words > 0 ? (double)words / (double)rows : 1;
    return code;
}

void lexical_bm25(const Fts5ExtensionApi *api, Fts5Context *match, sqlite3_context *result,
                  int value_count, sqlite3_value **values)
{
    struct lexical_scorer *scorer = api->xUserData(match);
    (void)value_count;
    (void)values;
    int length = 0,
        code = scorer->average > 0 ? SQLITE_OK : find_average(api, match, &scorer->average);
    if (!code)
        code = api->xColumnSize(match, 0, &length);
    double norm = lexical_norm(length, scorer->average), score = 0;
    for (size_t i = 0; !code && i < scorer->count; i++) {
        unsigned frequency;
        code = frequency_of(api, match, (int)(scorer->skipped + i), &frequency);
        score += scorer->weights[i] * lexical_saturate(frequency, norm);
    }
    if (code)
        sqlite3_result_error_code(result, code);
    else
        sqlite3_result_double(result, score);
}

void lexical_in_scope(sqlite3_context *result, int value_count, sqlite3_value **values)
{
    const struct lexical *lexical = sqlite3_user_data(result);
    (void)value_count;
    sqlite3_result_int(result,
                       scope_holds(lexical->scope, (uint64_t)sqlite3_value_int64(values[0])));
}

/* ------------------------------------------------------------------ expressions */

/* "any of the terms [from, end)"; `filtered`: of the blocks that fulfil the query's conditions. */
static enum lmk_status make_expression(const struct lexical_query *query, size_t from, size_t end,
                                       bool filtered, struct buffer *expression,
                                       struct lmk_error *error)
{
    enum lmk_status status = LMK_OK;
    buffer_clear(expression);
    if (filtered && query->filter.size) {
        status = buffer_append(expression, "(", 1, error);
        if (!status)
            status = buffer_append(expression, query->filter.data, query->filter.size - 1, error);
        if (!status)
            status = buffer_append(expression, ") AND (", 7, error);
    }
    for (size_t i = from; !status && i < end; i++) {
        if (i > from)
            status = buffer_append(expression, " OR ", 4, error);
        if (!status)
            status = lexical_query_quote(query, query->terms[i].start, query->terms[i].size,
                                         expression, error);
    }
    if (!status && filtered && query->filter.size)
        status = buffer_append(expression, ")", 1, error);
    return status;
}

enum lmk_status lexical_prepare_match(struct lexical *lexical, const char *sql,
                                      const struct buffer *expression, sqlite3_stmt **statement,
                                      struct lmk_error *error)
{
    enum lmk_status status = lexical_prepare(lexical, statement, sql, error);
    if (!status)
        sqlite3_bind_text(*statement, 1, (const char *)expression->data, (int)expression->size,
                          SQLITE_TRANSIENT);
    return status;
}

/* ------------------------------------------------------------------ the best of all matches */

/* Keeps the best hits: a heap whose first is the worst of them. */
struct best {
    struct lexical_hit *hits;
    size_t count, wanted;
};

static bool is_worse(const struct lexical_hit *a, const struct lexical_hit *b)
{
    return a->score != b->score ? a->score < b->score : a->block > b->block;
}

static void offer(struct best *best, struct lexical_hit hit)
{
    size_t at;
    if (best->count < best->wanted) {
        for (at = best->count++; at && is_worse(&hit, &best->hits[(at - 1) / 2]); at = (at - 1) / 2)
            best->hits[at] = best->hits[(at - 1) / 2];
    } else {
        if (!best->count || is_worse(&hit, &best->hits[0]))
            return;
        for (at = 0; 2 * at + 1 < best->count;) {
            size_t child = 2 * at + 1;
            if (child + 1 < best->count && is_worse(&best->hits[child + 1], &best->hits[child]))
                child++;
            if (!is_worse(&best->hits[child], &hit))
                break;
            best->hits[at] = best->hits[child];
            at = child;
        }
    }
    best->hits[at] = hit;
}

static int best_first(const void *left, const void *right)
{
    return is_worse(left, right) ? 1 : -1;
}

struct sums {
    double scores, squares;
    uint64_t blocks;
};

/* Runs over all blocks that a statement gives with their scores; `best` may be NULL. */
static enum lmk_status run_over(struct lexical *lexical, sqlite3_stmt *statement, struct best *best,
                                struct sums *sums, struct lmk_error *error)
{
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        struct lexical_hit hit = {(uint64_t)sqlite3_column_int64(statement, 0),
                                  sqlite3_column_double(statement, 1)};
        sums->scores += hit.score;
        sums->squares += hit.score * hit.score;
        sums->blocks++;
        if (best)
            offer(best, hit);
    }
    return code == SQLITE_DONE ? LMK_OK : lexical_failure(lexical, code, error);
}

/* ------------------------------------------------------------------ how common the words are */

static enum lmk_status count_blocks(struct lexical *lexical, const struct lexical_query *query,
                                    size_t term, uint64_t most, uint64_t *blocks,
                                    struct lmk_error *error)
{
    sqlite3_stmt *statement = NULL;
    struct buffer expression;
    buffer_init(&expression, 1 << 24);
    enum lmk_status status = make_expression(query, term, term + 1, false, &expression, error);
    if (!status)
        status = lexical_prepare_match(
            lexical, "SELECT count(*) FROM (SELECT 1 FROM words WHERE words MATCH ?1 LIMIT ?2)",
            &expression, &statement, error);
    buffer_release(&expression);
    if (status)
        return status;
    sqlite3_bind_int64(statement, 2, most ? (sqlite3_int64)most + 1 : -1);
    return lexical_number(lexical, statement, blocks, error);
}

/* The blocks of a word that lies in more than `most`, from the sample. */
static uint64_t estimate_blocks(const struct lexical *lexical, const struct lexical_sample *sample,
                                const struct lexical_term *term, uint64_t most)
{
    double with = 0;
    for (size_t i = 0; i < sample->count; i++)
        with += sample->contents[i]->frequency[term->number] > 0;
    uint64_t blocks = sample->count
                          ? (uint64_t)(with / (double)sample->count * (double)lexical->blocks + 0.5)
                          : 0;
    return blocks > most ? blocks : most + 1;
}

static int rarest_first(const void *left, const void *right)
{
    const struct lexical_term *a = left, *b = right;
    if (a->blocks != b->blocks)
        return a->blocks < b->blocks ? -1 : 1;
    return a->start < b->start ? -1 : a->start > b->start;
}

/* Counts the blocks of each term, up to `most` and one; `common`: some lie in more. */
static enum lmk_status count_terms_blocks(struct lexical *lexical, struct lexical_query *query,
                                          uint64_t most, bool *common, struct lmk_error *error)
{
    enum lmk_status status = LMK_OK;
    *common = false;
    for (size_t i = 0; !status && i < query->term_count; i++) {
        status = count_blocks(lexical, query, i, most, &query->terms[i].blocks, error);
        *common |= most && query->terms[i].blocks > most;
    }
    return status;
}

/* Sorts the terms, the rarest first, and weighs them; how many choose blocks: at least one that is
 * anywhere. */
static size_t weigh_terms(const struct lexical *lexical, struct lexical_query *query, uint64_t most)
{
    uint64_t matches = 0;
    size_t chosen = 0;
    qsort(query->terms, query->term_count, sizeof *query->terms, rarest_first);
    for (size_t i = 0; i < query->term_count; i++) {
        query->weights[i] = lexical_weight((double)lexical->blocks, (double)query->terms[i].blocks);
        bool first = !matches;
        matches += query->terms[i].blocks;
        if (!most || matches <= most || first)
            chosen = i + 1;
    }
    return chosen;
}

/* ------------------------------------------------------------------ searching */

/* The same for the blocks [first, end), at most so many of them (-1: all). */
static enum lmk_status run_range(struct lexical *lexical, sqlite3_stmt *statement, uint64_t first,
                                 uint64_t end, int64_t most, struct best *best, struct sums *sums,
                                 struct lmk_error *error)
{
    sqlite3_bind_int64(statement, 2, (sqlite3_int64)first);
    sqlite3_bind_int64(statement, 3, (sqlite3_int64)end - 1);
    sqlite3_bind_int64(statement, 5, most);
    enum lmk_status status = run_over(lexical, statement, best, sums, error);
    sqlite3_reset(statement);
    return status;
}

/* The same for the blocks of the scope: one range after the other, or, of many ranges, all blocks
 * between the first and the last, asking each. */
static enum lmk_status run_in_scope(struct lexical *lexical, sqlite3_stmt *statement,
                                    struct best *best, struct sums *sums, struct lmk_error *error)
{
    enum { MOST_RANGES = 64 };
    const struct scope *scope = lexical->scope;
    const struct scope_range *ranges = scope->ranges;
    enum lmk_status status = LMK_OK;
    sqlite3_bind_int(statement, 4, scope->count <= MOST_RANGES);
    if (scope->count > MOST_RANGES)
        return run_range(lexical, statement, ranges[0].first, ranges[scope->count - 1].end, -1,
                         best, sums, error);
    for (size_t i = 0; !status && i < scope->count; i++)
        status =
            run_range(lexical, statement, ranges[i].first, ranges[i].end, -1, best, sums, error);
    return status;
}

/* The same for `most` blocks, taken at the beginnings of stretches that share out the collection,
 * as the sample shows where its blocks lie; what a stretch has too few of, those behind it give. */
static enum lmk_status run_sample(struct lexical *lexical, sqlite3_stmt *statement, uint64_t most,
                                  const struct lexical_sample *sample, struct best *best,
                                  struct sums *sums, struct lmk_error *error)
{
    size_t stretches = most < 64 ? (size_t)most : 64;
    enum lmk_status status = LMK_OK;
    sqlite3_bind_int(statement, 4, lexical->scope == NULL);
    uint64_t first = 0;
    for (size_t i = 1; !status && i <= stretches; i++) {
        uint64_t before = sums->blocks, end = i < stretches && sample->count
                                                  ? sample->blocks[i * sample->count / stretches]
                                                  : lexical->end_block;
        status = run_range(lexical, statement, first, end, (int64_t)(most / (stretches - i + 1)),
                           best, sums, error);
        most -= sums->blocks - before;
        first = end;
    }
    return status;
}

/* Sums over some matches become those over all, of which there are about `blocks`. */
static void extrapolate(struct sums *sums, double blocks)
{
    double factor = sums->blocks ? fmax(1, blocks / (double)sums->blocks) : 1;
    sums->scores *= factor;
    sums->squares *= factor;
}

static double blocks_searched(const struct lexical *lexical)
{
    return (double)(lexical->scope ? lexical->scope->blocks : lexical->blocks);
}

/* Runs over the blocks that have any of the terms [0, chosen); where the only one is in more than
 * `most` (0: any number), over so many of them. */
static enum lmk_status search_terms(struct lexical *lexical, const struct lexical_query *query,
                                    size_t chosen, uint64_t most,
                                    const struct lexical_sample *sample, struct best *best,
                                    struct sums *sums, struct lmk_error *error)
{
    static const char all[] = "SELECT rowid, block_bm25(words) FROM words WHERE words MATCH ?1",
                      scoped[] = "SELECT rowid, block_bm25(words) FROM words WHERE words MATCH ?1 "
                                 "AND rowid BETWEEN ?2 AND ?3 AND (?4 OR in_scope(rowid)) "
                                 "LIMIT ?5";
    bool sampled = most && chosen && query->terms[chosen - 1].blocks > most;
    sqlite3_stmt *statement = NULL;
    struct buffer expression;
    buffer_init(&expression, 1 << 24);
    enum lmk_status status = make_expression(query, 0, chosen, true, &expression, error);
    if (!status)
        status = lexical_prepare_match(lexical, lexical->scope || sampled ? scoped : all,
                                       &expression, &statement, error);
    buffer_release(&expression);
    if (status)
        return status;
    lexical->scorer.skipped = query->filter_phrases;
    lexical->scorer.weights = query->weights;
    lexical->scorer.count = chosen;
    if (sampled) {
        status = run_sample(lexical, statement, most, sample, best, sums, error);
        extrapolate(sums, (double)query->terms[chosen - 1].blocks * blocks_searched(lexical) /
                              (double)lexical->blocks);
    } else
        status = lexical->scope ? run_in_scope(lexical, statement, best, sums, error)
                                : run_over(lexical, statement, best, sums, error);
    sqlite3_finalize(statement);
    return status;
}

/* What the terms from `chosen` on add: to the best blocks exactly, to the statistics by the sample
 * (as if they were independent of the rarer words). */
static enum lmk_status add_common_terms(struct lexical *lexical, const struct lexical_query *query,
                                        size_t chosen, const struct lexical_sample *sample,
                                        struct best *best, struct lexical_statistics *statistics,
                                        struct lmk_error *error)
{
    double mean = 0, squares = 0;
    for (size_t i = 0; i < sample->count; i++) {
        double score =
            lexical_score_content(lexical, query, sample->contents[i], chosen, query->term_count);
        mean += score / (double)sample->count;
        squares += score * score / (double)sample->count;
    }
    statistics->mean += mean;
    statistics->deviation =
        sqrt(statistics->deviation * statistics->deviation + fmax(0, squares - mean * mean));
    enum lmk_status status = LMK_OK;
    for (size_t i = 0; !status && i < best->count; i++) {
        bool allowed;
        status = lexical_score(lexical, query, best->hits[i].block, &best->hits[i].score, &allowed,
                               error);
    }
    return status;
}

static enum lmk_status search_weighed(struct lexical *lexical, struct lexical_query *query,
                                      uint64_t most, struct lexical_sample *sample,
                                      struct best *best, struct lexical_statistics *statistics,
                                      struct lmk_error *error)
{
    struct sums sums = {0};
    size_t chosen = weigh_terms(lexical, query, most);
    enum lmk_status status = search_terms(lexical, query, chosen, most, sample, best, &sums, error);
    if (status)
        return status;
    double blocks = blocks_searched(lexical);
    statistics->mean = sums.scores / blocks;
    statistics->deviation =
        sqrt(fmax(0, sums.squares / blocks - statistics->mean * statistics->mean));
    if (chosen == query->term_count)
        return LMK_OK;
    if (!sample->contents && (status = lexical_take_sample(lexical, query, sample, error)))
        return status;
    return add_common_terms(lexical, query, chosen, sample, best, statistics, error);
}

enum lmk_status lexical_search(struct lexical *lexical, struct lexical_query *query, size_t wanted,
                               uint64_t most_matches, const struct scope *scope,
                               struct lexical_hit *hits, size_t *found,
                               struct lexical_statistics *statistics, struct lmk_error *error)
{
    struct best best = {hits, 0, wanted};
    struct lexical_sample sample = {0};
    bool common;
    *found = 0;
    *statistics = (struct lexical_statistics){0};
    if (!query->term_count || !lexical->blocks)
        return LMK_OK;
    /* Conditions are for the whole collection. */
    uint64_t most = query->filter.size ? 0 : most_matches;
    lexical->scope = scope;
    enum lmk_status status = count_terms_blocks(lexical, query, most, &common, error);
    if (!status && common) {
        status = lexical_take_sample(lexical, query, &sample, error);
        for (size_t i = 0; !status && i < query->term_count; i++)
            if (query->terms[i].blocks > most)
                query->terms[i].blocks = estimate_blocks(lexical, &sample, &query->terms[i], most);
    }
    if (!status)
        status = search_weighed(lexical, query, scope && scope->blocks <= most ? 0 : most, &sample,
                                &best, statistics, error);
    lexical_sample_release(&sample);
    if (best.count)
        qsort(hits, best.count, sizeof *hits, best_first);
    *found = best.count;
    return status;
}

/* ------------------------------------------------------------------ snapshots */

enum lmk_status lexical_begin(struct lexical *lexical, const char *text,
                              struct lexical_query *query, struct lmk_error *error)
{
    *query = (struct lexical_query){0};
    enum lmk_status status = lexical_run(lexical, "BEGIN", error);
    if (status)
        return status;
    lexical->scorer = (struct lexical_scorer){0};
    status = lexical_look_at_snapshot(lexical, error);
    if (!status)
        status = lexical_query_read(query, lexical, text, error);
    if (status) {
        lexical_query_release(query);
        lexical_end(lexical);
    }
    return status;
}

void lexical_end(struct lexical *lexical)
{
    sqlite3_finalize(lexical->text);
    sqlite3_finalize(lexical->conditions);
    lexical->text = lexical->conditions = NULL;
    lexical->scope = NULL;
    lexical_forget_blocks(lexical);
    lexical_run(lexical, "COMMIT", NULL);
}
