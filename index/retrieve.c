/* lmk_search: candidates from the landmarks, exact attention over their keys, passages. */
#include "index/granularity.h"
#include "index/ingest.h"
#include "index/passage.h"
#include "index/question.h"

#include <math.h>
#include <stdlib.h>

#define MOST_CANDIDATES 100000
#define MOST_BLOCKS 1024

struct lmk_search_options lmk_search_defaults(void)
{
    return (struct lmk_search_options){.top = 10, .candidates = 200, .blocks = 8};
}

struct retrieval {
    struct lmk_collection *collection;
    const struct lmk_search_options *options;
    struct store_view *view;
    struct question question;
    struct candidate *candidates; /* best first */
    size_t count;
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
    enum lmk_status status =
        granularity_open(&granularity, retrieval->collection, retrieval->view,
                         retrieval->options->granularity, retrieval->options->blocks, error);
    if (!status)
        status = sequence_open(&sequence, model, question_length(question), false, error);
    if (!status)
        status = sequence_set_selector(sequence, granularity_selector(granularity), error);
    if (!status)
        status =
            sequence_feed(sequence, question_ids(question), question_length(question), NULL, error);
    if (!status)
        retrieval->count = granularity_ranking(granularity, wanted, retrieval->candidates);
    if (!status && !retrieval->count)
        status = error_set(error, LMK_NOT_FOUND,
                           "%s has no indexed text yet. Add books with: lmk index -c %s FOLDER",
                           retrieval->collection->path, retrieval->collection->path);
    sequence_close(sequence);
    granularity_close(granularity);
    return status;
}

static enum lmk_status find_candidates(struct retrieval *retrieval, size_t wanted,
                                       struct lmk_error *error)
{
    retrieval->candidates = malloc(wanted * sizeof *retrieval->candidates);
    if (!retrieval->candidates)
        return error_memory(error, wanted * sizeof *retrieval->candidates);
    if (retrieval->options->granularity != LMK_QUESTION)
        return rank_inside(retrieval, wanted, error);
    return question_candidates(&retrieval->question, retrieval->collection, retrieval->view, wanted,
                               retrieval->candidates, &retrieval->count, error);
}

static enum lmk_status make_passage(struct retrieval *retrieval, const struct candidate *candidate,
                                    struct lmk_passage *passage, struct lmk_error *error)
{
    enum tensor_type type;
    const void *keys;
    struct lmk_timing *timing = &retrieval->results->timing;
    double before = ingest_clock();
    enum lmk_status status =
        store_keys_values(retrieval->view, candidate->block, &type, &keys, NULL, error);
    bool has_keys = !status;
    passage->score = passage->landmark_score = candidate->score;
    passage->attention_score = NAN;
    if (status && status != LMK_NOT_FOUND)
        return status;
    double between = ingest_clock();
    if (has_keys)
        passage->attention_score =
            scoring_block(retrieval->question.scoring, type, keys, retrieval->token_scores);
    double after = ingest_clock();
    timing->fetch += 1e3 * (between - before);
    timing->attention += 1e3 * (after - between);
    return passage_make(passage, retrieval->collection, retrieval->view, candidate->block,
                        has_keys ? retrieval->token_scores : NULL, error);
}

static enum lmk_status make_results(struct retrieval *retrieval, struct lmk_error *error)
{
    struct lmk_results *results = retrieval->results;
    struct store_counts counts;
    size_t n = retrieval->collection->model->shape.block_tokens, top = retrieval->options->top;
    if (top > retrieval->count)
        top = retrieval->count;
    enum lmk_status status = store_counts(retrieval->view, &counts, error);
    results->passages = calloc(top ? top : 1, sizeof *results->passages);
    retrieval->token_scores = malloc(n * sizeof(float));
    if (!status && (!results->passages || !retrieval->token_scores))
        status = error_memory(error, top * sizeof *results->passages);
    results->documents = counts.documents;
    results->documents_ready = counts.documents_ready;
    while (!status && results->count < top) {
        size_t at = results->count++;
        status = make_passage(retrieval, &retrieval->candidates[at], &results->passages[at], error);
    }
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
        question_open(&retrieval->question, retrieval->collection->model, query, error);
    if (status)
        return status;
    double asked = ingest_clock();
    timing->pass1 = 1e3 * (asked - start);
    status = find_candidates(retrieval, wanted, error);
    timing->candidates = 1e3 * (ingest_clock() - asked);
    if (!status)
        status = make_results(retrieval, error);
    timing->total = 1e3 * (ingest_clock() - start);
    return status;
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
    if (!used->top || used->top > MOST_CANDIDATES || used->candidates > MOST_CANDIDATES ||
        !used->blocks || used->blocks > MOST_BLOCKS || used->granularity > LMK_CHUNK)
        return error_set(error, LMK_USAGE,
                         "The numbers of passages and of candidates must be 1 to %d, that of "
                         "blocks 1 to %d, and the granularity one of the four.",
                         MOST_CANDIDATES, MOST_BLOCKS);
    enum lmk_status status = collection_needs_model(collection, error);
    if (!status && retrieval.options->granularity != LMK_QUESTION && collection->lock >= 0)
        status = granularity_prepare(collection, error);
    if (status || (status = store_view_begin(collection->store, &retrieval.view, error)))
        return status;
    retrieval.results = calloc(1, sizeof *retrieval.results);
    status = retrieval.results ? retrieve(&retrieval, query, error)
                               : error_memory(error, sizeof *retrieval.results);
    store_view_end(retrieval.view);
    question_close(&retrieval.question);
    free(retrieval.candidates);
    free(retrieval.token_scores);
    if (status)
        lmk_results_free(retrieval.results);
    else
        *results = retrieval.results;
    return status;
}

void lmk_results_free(struct lmk_results *results)
{
    if (!results)
        return;
    for (size_t i = 0; i < results->count; i++)
        passage_release(&results->passages[i]);
    free(results->passages);
    free(results);
}
