/* lmk_search: ranked blocks, exact attention over their keys, passages. */
#include "index/granularity.h"
#include "index/ingest.h"
#include "index/lexical_query.h"
#include "index/memory.h"
#include "index/passage.h"
#include "index/selection.h"
#include "index/uses.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MOST_CANDIDATES 100000
#define MOST_BLOCKS 1024

struct lmk_search_options lmk_search_defaults(void)
{
    return (struct lmk_search_options){.top = 10,
                                       .candidates = 200,
                                       .blocks = 8,
                                       .per_document = 3,
                                       .merge = true,
                                       .mark = true,
                                       .most_matches = 20000};
}

struct retrieval {
    struct lmk_collection *collection;
    const struct lmk_search_options *options;
    struct store_view *view;
    struct scope *scope;
    struct question question; /* empty in mode lexical, which needs no model */
    struct ranking ranking;
    float *token_scores; /* [N] */
    struct lmk_results *results;
};

/* Granularities below `question`: the forward pass itself chooses, and the probability that
 * landmarks received ranks. */
static enum lmk_status rank_inside(struct retrieval *retrieval, size_t wanted,
                                   struct lmk_error *error)
{
    const struct lmk_model *model = retrieval->collection->model;
    const struct question *question = &retrieval->question;
    struct granularity *granularity = NULL;
    struct sequence *sequence = NULL;
    struct memory *memory = NULL;
    enum lmk_status status = memory_open(&memory, model, retrieval->view, error);
    if (!status)
        status = granularity_open(&granularity, retrieval->collection, retrieval->view, memory,
                                  retrieval->scope, retrieval->options->granularity,
                                  retrieval->options->blocks, error);
    if (!status)
        status = sequence_open(&sequence, model, question_length(question), false, error);
    if (!status)
        status = sequence_set_selector(sequence, granularity_selector(granularity), error);
    if (!status)
        status =
            sequence_feed(sequence, question_ids(question), question_length(question), NULL, error);
    if (!status)
        status = ranking_of_granularity(&retrieval->ranking, granularity, wanted, error);
    if (!status && !retrieval->ranking.count)
        status = error_set(error, LMK_NOT_FOUND,
                           "%s has no indexed text yet. Add books with: lmk index -c %s FOLDER",
                           retrieval->collection->path, retrieval->collection->path);
    sequence_close(sequence);
    granularity_close(granularity);
    memory_close(memory);
    return status;
}

static enum lmk_status rank(struct retrieval *retrieval, const char *query, size_t wanted,
                            struct lmk_error *error)
{
    const struct lmk_search_options *options = retrieval->options;
    struct lmk_timing *timing = &retrieval->results->timing;
    double before = ingest_clock();
    if (options->granularity == LMK_QUESTION) {
        struct ranking_request request = {
            .mode = options->mode,
            .text = query,
            .question = options->mode == LMK_LEXICAL ? NULL : &retrieval->question,
            .candidates = wanted,
            .most_matches = options->mode == LMK_HYBRID ? options->most_matches : 0,
            .scope = retrieval->scope,
            .features = options->features,
        };
        return ranking_make(&retrieval->ranking, retrieval->collection, retrieval->view, &request,
                            timing, error);
    }
    enum lmk_status status = rank_inside(retrieval, wanted, error);
    timing->candidates = 1e3 * (ingest_clock() - before);
    return status;
}

static enum lmk_status make_passage(struct retrieval *retrieval, const struct selected *selected,
                                    struct lmk_passage *passage, struct lmk_error *error)
{
    enum tensor_type type;
    const void *keys;
    const struct ranked *ranked = selected->ranked;
    struct lmk_timing *timing = &retrieval->results->timing;
    enum lmk_status status = LMK_NOT_FOUND;
    double before = ingest_clock();
    if (retrieval->question.scoring && retrieval->options->mark)
        status = store_keys_values(retrieval->view, ranked->block, &type, &keys, NULL, error);
    bool has_keys = !status;
    passage->score = passage->ranking_score = ranked->score;
    passage->landmark_part = ranked->parts.landmark;
    passage->lexical_part = ranked->parts.lexical;
    passage->attention_part = ranked->parts.attention;
    passage->landmark_score = ranked->landmark;
    passage->lexical_score = ranked->lexical;
    passage->attention_score = NAN;
    if (status && status != LMK_NOT_FOUND)
        return status;
    double between = ingest_clock();
    if (has_keys)
        passage->attention_score =
            scoring_block(retrieval->question.scoring, type, keys, NULL, retrieval->token_scores);
    double after = ingest_clock();
    timing->fetch += 1e3 * (between - before);
    timing->attention += 1e3 * (after - between);
    struct marking marking = {has_keys ? retrieval->token_scores : NULL, &retrieval->ranking};
    return passage_make(passage, retrieval->collection, retrieval->view, selected->first,
                        selected->count, ranked->block, retrieval->options->mark ? &marking : NULL,
                        error);
}

static enum lmk_status make_passages(struct retrieval *retrieval, const struct selected *selected,
                                     size_t count, struct lmk_error *error)
{
    struct lmk_results *results = retrieval->results;
    size_t n = retrieval->collection->model->shape.block_tokens;
    enum lmk_status status = LMK_OK;
    results->passages = calloc(count ? count : 1, sizeof *results->passages);
    retrieval->token_scores = malloc(n * sizeof(float));
    if (!results->passages || !retrieval->token_scores)
        status = error_memory(error, count * sizeof *results->passages);
    while (!status && results->count < count) {
        size_t at = results->count++;
        status = make_passage(retrieval, &selected[at], &results->passages[at], error);
    }
    return status;
}

/* Gives the ranked blocks to the results, the memory of their head scores with them. */
static enum lmk_status make_candidates(struct retrieval *retrieval, struct lmk_error *error)
{
    struct lmk_results *results = retrieval->results;
    struct ranking *ranking = &retrieval->ranking;
    const struct model_shape *shape = &retrieval->collection->model->shape;
    enum lmk_status status = LMK_OK;
    results->candidates = calloc(ranking->count + 1, sizeof *results->candidates);
    if (!results->candidates)
        return error_memory(error, ranking->count * sizeof *results->candidates);
    results->heads = (size_t)shape->memory_layer_count * shape->heads;
    results->candidate_heads = ranking->head_scores;
    ranking->head_scores = NULL;
    struct buffer tokens, runs;
    buffer_init(&tokens, 1 << 20);
    buffer_init(&runs, 1 << 24);
    for (size_t i = 0; !status && i < ranking->count; i++) {
        const struct ranked *item = &ranking->items[i];
        struct block_text text;
        buffer_clear(&tokens);
        buffer_clear(&runs);
        status = store_block_text(retrieval->view, item->block, &tokens, &runs, &text, error);
        if (!status)
            results->candidates[results->candidate_count++] =
                (struct lmk_candidate){.document = text.document,
                                       .block = item->block,
                                       .source_start = text.source_start,
                                       .source_end = text.source_end,
                                       .score = item->score,
                                       .landmark_score = item->landmark,
                                       .lexical_score = item->lexical,
                                       .landmark_z = item->landmark_z,
                                       .lexical_z = item->lexical_z,
                                       .neighbourhood = item->neighbourhood,
                                       .heads = item->head_scores};
    }
    buffer_release(&tokens);
    buffer_release(&runs);
    return status;
}

static enum lmk_status make_results(struct retrieval *retrieval, struct lmk_error *error)
{
    struct lmk_results *results = retrieval->results;
    struct selection_options options = {retrieval->options->top, retrieval->options->per_document,
                                        retrieval->options->merge};
    struct store_counts counts;
    size_t count = 0;
    struct selected *selected = malloc(options.top * sizeof *selected);
    if (!selected)
        return error_memory(error, options.top * sizeof *selected);
    enum lmk_status status = store_counts(retrieval->view, &counts, error);
    if (!status) {
        results->documents = counts.documents;
        results->documents_ready = counts.documents_ready;
        results->documents_words = retrieval->ranking.documents_words;
        results->probes = retrieval->collection->probes;
        status =
            selection_make(retrieval->view, &retrieval->ranking, &options, selected, &count, error);
    }
    if (!status)
        status = make_passages(retrieval, selected, count, error);
    if (!status && retrieval->options->features)
        status = make_candidates(retrieval, error);
    free(selected);
    return status;
}

/* Pass 1, over what the model is to read of the query. */
static enum lmk_status ask_model(struct retrieval *retrieval, const char *query,
                                 struct lmk_error *error)
{
    if (retrieval->options->mode == LMK_LEXICAL)
        return LMK_OK;
    char *plain =
        retrieval->options->mode == LMK_HYBRID ? lexical_query_plain(query) : strdup(query);
    if (!plain)
        return error_memory(error, strlen(query));
    enum lmk_status status = question_open(&retrieval->question, retrieval->collection->model,
                                           plain, retrieval->options->verbatim, error);
    free(plain);
    return status;
}

static enum lmk_status retrieve(struct retrieval *retrieval, const char *query,
                                struct lmk_error *error)
{
    struct lmk_timing *timing = &retrieval->results->timing;
    const struct lmk_search_options *options = retrieval->options;
    size_t wanted = options->candidates > options->top ? options->candidates : options->top;
    double start = ingest_clock();
    enum lmk_status status =
        scope_open(&retrieval->scope, retrieval->view, options->where, options->where_count, error);
    if (!status)
        status = ask_model(retrieval, query, error);
    timing->pass1 = 1e3 * (ingest_clock() - start);
    if (!status)
        status = rank(retrieval, query, wanted, error);
    if (!status)
        status = make_results(retrieval, error);
    timing->total = 1e3 * (ingest_clock() - start);
    return status;
}

static enum lmk_status check_options(const struct lmk_search_options *options,
                                     struct lmk_error *error)
{
    if (!options->top || options->top > MOST_CANDIDATES || options->candidates > MOST_CANDIDATES ||
        !options->blocks || options->blocks > MOST_BLOCKS || options->granularity > LMK_CHUNK ||
        options->mode > LMK_LEXICAL)
        return error_set(error, LMK_USAGE,
                         "The numbers of passages and of candidates must be 1 to %d, that of "
                         "blocks 1 to %d, the granularity one of the four, the mode one of three.",
                         MOST_CANDIDATES, MOST_BLOCKS);
    if (options->granularity != LMK_QUESTION && options->mode == LMK_LEXICAL)
        return error_set(error, LMK_USAGE,
                         "A granularity below the question needs landmarks, which the mode lexical "
                         "leaves out.");
    if (options->features && (options->granularity != LMK_QUESTION || options->mode == LMK_LEXICAL))
        return error_set(error, LMK_USAGE,
                         "Features are those of landmarks: they need a mode with landmarks and the "
                         "granularity question.");
    return LMK_OK;
}

enum lmk_status lmk_search(struct lmk_collection *collection, const char *query,
                           const struct lmk_search_options *options, struct lmk_results **results,
                           struct lmk_error *error)
{
    struct lmk_search_options defaults = lmk_search_defaults();
    struct retrieval retrieval = {.collection = collection,
                                  .options = options ? options : &defaults};
    *results = NULL;
    const struct lmk_search_options *used = retrieval.options;
    enum lmk_status status = check_options(used, error);
    if (status)
        return status;
    status = collection_needs_model(collection, error);
    if (!status && retrieval.options->granularity != LMK_QUESTION && collection->lock >= 0)
        status = granularity_prepare(collection, error);
    if (status || (status = store_view_begin(collection->store, &retrieval.view, error)))
        return status;
    retrieval.results = calloc(1, sizeof *retrieval.results);
    status = retrieval.results ? retrieve(&retrieval, query, error)
                               : error_memory(error, sizeof *retrieval.results);
    store_view_end(retrieval.view);
    scope_close(retrieval.scope);
    question_close(&retrieval.question);
    ranking_release(&retrieval.ranking);
    free(retrieval.token_scores);
    if (status) {
        lmk_results_free(retrieval.results);
        return status;
    }
    uses_note(collection, retrieval.results->passages, retrieval.results->count);
    *results = retrieval.results;
    return LMK_OK;
}

void lmk_results_free(struct lmk_results *results)
{
    if (!results)
        return;
    for (size_t i = 0; i < results->count; i++)
        passage_release(&results->passages[i]);
    free(results->passages);
    free(results->candidates);
    free(results->candidate_heads);
    free(results);
}
