#include "index/ranking.h"

#include "index/ingest.h"
#include "index/lexical.h"
#include "index/sample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What the sides weigh in a score. */
struct side_weights {
    double landmark, lexical, neighbourhood;
    const float *attention; /* [M][H]; NULL: none */
};

struct ranker {
    struct lmk_collection *collection;
    struct store_view *view;
    const struct ranking_request *request;
    struct ranking *ranking;
    struct lexical_statistics words, landmarks;
    float *pooled; /* the question's query for joint landmarks */
    struct side_weights weights;
};

void ranking_release(struct ranking *ranking)
{
    lexical_query_release(&ranking->query);
    free(ranking->items);
    free(ranking->head_scores);
    *ranking = (struct ranking){0};
}

/* ------------------------------------------------------------------ candidates */

/* A block with the score of one side, which is its score as long as nothing is added up. */
static struct ranked ranked_by(uint64_t block, double landmark, double lexical)
{
    return (struct ranked){.block = block,
                           .score = isnan(landmark) ? lexical : landmark,
                           .landmark = landmark,
                           .lexical = lexical,
                           .landmark_z = NAN,
                           .lexical_z = NAN,
                           .parts = {landmark, lexical, NAN}};
}

static enum lmk_status landmark_candidates(struct ranker *ranker, struct lmk_error *error)
{
    size_t wanted = ranker->request->candidates, found = 0;
    struct candidate *candidates = malloc(wanted * sizeof *candidates);
    if (!candidates)
        return error_memory(error, wanted * sizeof *candidates);
    enum lmk_status status =
        segments_search(ranker->collection, ranker->view, SEGMENT_JOINT, ranker->pooled, wanted,
                        ranker->request->scope, candidates, &found, error);
    struct ranking *ranking = ranker->ranking;
    for (size_t i = 0; !status && i < found; i++)
        ranking->items[ranking->count++] = ranked_by(candidates[i].block, candidates[i].score, NAN);
    free(candidates);
    return status;
}

/* The file of words may be ahead of the view, or behind it: blocks that are not in the store as we
 * see it are left out. */
static enum lmk_status lexical_candidates(struct ranker *ranker, struct lmk_error *error)
{
    size_t wanted = ranker->request->candidates, found = 0;
    struct lexical_hit *hits = malloc(wanted * sizeof *hits);
    if (!hits)
        return error_memory(error, wanted * sizeof *hits);
    struct ranking *ranking = ranker->ranking;
    enum lmk_status status =
        lexical_search(ranking->lexical, &ranking->query, wanted, ranker->request->most_matches,
                       ranker->request->scope, hits, &found, &ranker->words, error);
    for (size_t i = 0; !status && i < found; i++) {
        struct document document;
        status = store_document_of_block(ranker->view, hits[i].block, &document, error);
        if (status == LMK_NOT_FOUND)
            status = LMK_OK;
        else if (!status)
            ranking->items[ranking->count++] = ranked_by(hits[i].block, NAN, hits[i].score);
    }
    free(hits);
    return status;
}

/* ------------------------------------------------------------------ both sides together */

static int by_block(const void *left, const void *right)
{
    const struct ranked *a = left, *b = right;
    return a->block < b->block ? -1 : a->block > b->block;
}

static int by_score(const void *left, const void *right)
{
    const struct ranked *a = left, *b = right;
    if (a->score != b->score)
        return a->score < b->score ? 1 : -1;
    return by_block(left, right);
}

/* Blocks that both sides found become one item. */
static void fold(struct ranking *ranking)
{
    size_t kept = 0;
    if (ranking->count)
        qsort(ranking->items, ranking->count, sizeof *ranking->items, by_block);
    for (size_t i = 0; i < ranking->count; i++) {
        struct ranked item = ranking->items[i], *before = &ranking->items[kept - (kept > 0)];
        if (!kept || before->block != item.block) {
            ranking->items[kept++] = item;
            continue;
        }
        before->landmark = isnan(before->landmark) ? item.landmark : before->landmark;
        before->lexical = isnan(before->lexical) ? item.lexical : before->lexical;
    }
    ranking->count = kept;
}

/* The landmark scores of what the words alone found. */
static enum lmk_status complete_landmarks(struct ranker *ranker, struct lmk_error *error)
{
    struct ranking *ranking = ranker->ranking;
    uint64_t *blocks = malloc((ranking->count + 1) * sizeof *blocks);
    double *scores = malloc((ranking->count + 1) * sizeof *scores);
    size_t count = 0;
    for (size_t i = 0; blocks && i < ranking->count; i++)
        if (isnan(ranking->items[i].landmark))
            blocks[count++] = ranking->items[i].block;
    enum lmk_status status = blocks && scores
                                 ? segments_score(ranker->collection, ranker->view, SEGMENT_JOINT,
                                                  ranker->pooled, blocks, count, scores, error)
                                 : error_memory(error, (ranking->count + 1) * sizeof *scores);
    for (size_t i = 0, at = 0; !status && i < ranking->count; i++)
        if (isnan(ranking->items[i].landmark))
            ranking->items[i].landmark = scores[at++];
    free(blocks);
    free(scores);
    return status;
}

/* The words' scores of what landmarks alone found. Blocks that do not fulfil the query's conditions
 * are left out. */
static enum lmk_status complete_words(struct ranker *ranker, struct lmk_error *error)
{
    struct ranking *ranking = ranker->ranking;
    enum lmk_status status = LMK_OK;
    size_t kept = 0;
    for (size_t i = 0; !status && i < ranking->count; i++) {
        struct ranked item = ranking->items[i];
        bool allowed = true;
        if (isnan(item.lexical))
            status = lexical_score(ranking->lexical, &ranking->query, item.block, &item.lexical,
                                   &allowed, error);
        if (allowed)
            ranking->items[kept++] = item;
    }
    ranking->count = kept;
    return status;
}

/* ------------------------------------------------------------------ neighbourhoods */

/* The blocks that lie at most LEXICAL_NEIGHBOURS from this one, in its document. `document` is that
 * of a block before, and may be it. */
static enum lmk_status find_neighbourhood(const struct ranker *ranker, uint64_t block,
                                          struct document *document,
                                          struct lexical_neighbourhood *neighbourhood,
                                          struct lmk_error *error)
{
    enum lmk_status status = LMK_OK;
    if (block - document->first_block >= document->block_count)
        status = store_document_of_block(ranker->view, block, document, error);
    uint64_t end = document->first_block + document->block_count;
    neighbourhood->first = block - document->first_block > LEXICAL_NEIGHBOURS
                               ? block - LEXICAL_NEIGHBOURS
                               : document->first_block;
    neighbourhood->end = end - block > LEXICAL_NEIGHBOURS ? block + LEXICAL_NEIGHBOURS + 1 : end;
    return status;
}

/* The items are in the order of their blocks. */
static enum lmk_status score_neighbourhoods(struct ranker *ranker, struct lmk_error *error)
{
    struct ranking *ranking = ranker->ranking;
    struct document document = {.block_count = 0};
    struct lexical_neighbourhood *found = malloc((ranking->count + 1) * sizeof *found);
    enum lmk_status status =
        found ? LMK_OK : error_memory(error, (ranking->count + 1) * sizeof *found);
    for (size_t i = 0; !status && i < ranking->count; i++)
        status = find_neighbourhood(ranker, ranking->items[i].block, &document, &found[i], error);
    if (!status)
        status = lexical_score_neighbourhoods(ranking->lexical, &ranking->query, found,
                                              ranking->count, error);
    for (size_t i = 0; !status && i < ranking->count; i++)
        ranking->items[i].neighbourhood = found[i].score;
    free(found);
    return status;
}

/* ------------------------------------------------------------------ z-scores */

/* Places are blocks, or those of the scope. */
static enum lmk_status look_for_landmark(void *context, uint64_t place, struct gap *gap,
                                         struct lmk_error *error)
{
    const struct ranker *ranker = context;
    const struct scope *scope = ranker->request->scope;
    uint64_t block = scope ? scope_block(scope, place) : place;
    enum lmk_status status =
        store_find_landmark(ranker->view, block, &gap->first, &gap->end, error);
    if (status == LMK_NOT_FOUND && scope)
        *gap = (struct gap){scope_place(scope, gap->first), scope_place(scope, gap->end)};
    return status;
}

/* Mean and deviation of the landmark scores. */
static enum lmk_status measure_landmarks(struct ranker *ranker, struct lmk_error *error)
{
    struct store_counts counts;
    uint64_t blocks[RANKING_SAMPLE];
    double scores[RANKING_SAMPLE], sum = 0, squares = 0;
    const struct scope *scope = ranker->request->scope;
    size_t count;
    enum lmk_status status = store_counts(ranker->view, &counts, error);
    if (status ||
        (status = sample_draw(look_for_landmark, ranker, scope ? scope->blocks : counts.next_block,
                              RANKING_SAMPLE, blocks, &count, error)))
        return status;
    for (size_t i = 0; scope && i < count; i++)
        blocks[i] = scope_block(scope, blocks[i]);
    status = segments_score(ranker->collection, ranker->view, SEGMENT_JOINT, ranker->pooled, blocks,
                            count, scores, error);
    for (size_t i = 0; !status && i < count; i++) {
        sum += scores[i];
        squares += scores[i] * scores[i];
    }
    if (!status && count) {
        double mean = sum / (double)count;
        ranker->landmarks.mean = mean;
        ranker->landmarks.deviation = sqrt(fmax(0, squares / (double)count - mean * mean));
    }
    return status;
}

static double z_score(double score, const struct lexical_statistics *statistics)
{
    if (isnan(score) || !(statistics->deviation > 0))
        return 0;
    return (score - statistics->mean) / statistics->deviation;
}

/* ------------------------------------------------------------------ the score */

/* The weighted sum of each item's head scores, less their means over the items that have them. */
static enum lmk_status weigh_attention(struct ranking *ranking, const float *weights, size_t width,
                                       struct lmk_error *error)
{
    double *means = calloc(width, sizeof *means);
    size_t count = 0;
    if (!means)
        return error_memory(error, width * sizeof *means);
    for (size_t i = 0; i < ranking->count; i++) {
        const float *scores = ranking->items[i].head_scores;
        count += scores != NULL;
        for (size_t h = 0; scores && h < width; h++)
            means[h] += (double)scores[h];
    }
    for (size_t i = 0; i < ranking->count; i++) {
        struct ranked *item = &ranking->items[i];
        item->parts.attention = 0;
        for (size_t h = 0; item->head_scores && h < width; h++)
            item->parts.attention +=
                (double)weights[h] * ((double)item->head_scores[h] - means[h] / (double)count);
    }
    free(means);
    return LMK_OK;
}

static void add_up(struct ranker *ranker)
{
    const struct side_weights *weights = &ranker->weights;
    bool hybrid = ranker->request->mode == LMK_HYBRID;
    for (size_t i = 0; i < ranker->ranking->count; i++) {
        struct ranked *item = &ranker->ranking->items[i];
        struct score_parts *parts = &item->parts;
        parts->landmark = weights->landmark * item->landmark_z;
        parts->lexical = hybrid ? weights->lexical * item->lexical_z +
                                      weights->neighbourhood * item->neighbourhood
                                : NAN;
        item->score = parts->landmark + (hybrid ? parts->lexical : 0) +
                      (weights->attention ? parts->attention : 0);
    }
}

static struct side_weights weights_of(const struct ranking_request *request,
                                      const struct rank_weights *rank)
{
    if (request->mode == LMK_HYBRID)
        return (struct side_weights){rank->landmark, rank->lexical, rank->neighbourhood,
                                     rank->attention};
    return (struct side_weights){rank->landmark_alone, 0, 0, rank->attention_landmark};
}

/* z-scores and head scores, where the order or the caller needs them, and what they add up to. */
static enum lmk_status combine(struct ranker *ranker, struct lmk_timing *timing,
                               struct lmk_error *error)
{
    const struct ranking_request *request = ranker->request;
    const struct model_shape *shape = &ranker->collection->model->shape;
    struct ranking *ranking = ranker->ranking;
    const float *attention = ranker->weights.attention;
    bool sums = request->mode == LMK_HYBRID || attention;
    if (!sums && !request->features)
        return LMK_OK;
    enum lmk_status status = measure_landmarks(ranker, error);
    for (size_t i = 0; !status && i < ranking->count; i++) {
        struct ranked *item = &ranking->items[i];
        item->landmark_z = z_score(item->landmark, &ranker->landmarks);
        item->lexical_z = z_score(item->lexical, &ranker->words);
    }
    if (!status && (attention || request->features))
        status = ranking_attend(ranking, ranker->view, request->question, shape, timing, error);
    if (!status && attention)
        status = weigh_attention(ranking, attention,
                                 (size_t)shape->memory_layer_count * shape->heads, error);
    if (!status && sums)
        add_up(ranker);
    return status;
}

/* ------------------------------------------------------------------ ranking */

static enum lmk_status nothing_found(const struct ranker *ranker, struct lmk_error *error)
{
    struct store_counts counts;
    const char *path = ranker->collection->path;
    enum lmk_status status = store_counts(ranker->view, &counts, error);
    if (status)
        return status;
    if (ranker->request->mode == LMK_LEXICAL && counts.documents && !ranker->ranking->lexical)
        return error_set(error, LMK_NOT_FOUND,
                         "The words of %s are not indexed. Run lmk index again with its folder, or "
                         "search with --mode landmark.",
                         path);
    if (!counts.documents || ranker->request->mode == LMK_LANDMARK)
        return error_set(error, LMK_NOT_FOUND,
                         "%s has no indexed text yet. Add books with: lmk index -c %s FOLDER", path,
                         path);
    return error_set(error, LMK_NOT_FOUND, "Nothing in %s fits \"%.200s\".", path,
                     ranker->request->text);
}

static enum lmk_status find_words(struct ranker *ranker, struct lmk_error *error)
{
    struct ranking *ranking = ranker->ranking;
    enum lmk_status status = lexical_of(ranker->collection, &ranking->lexical, error);
    if (status)
        return status == LMK_NOT_FOUND ? LMK_OK : status;
    if ((status = lexical_begin(ranking->lexical, ranker->request->text, &ranking->query, error))) {
        ranking->lexical = NULL;
        return status;
    }
    status = lexical_documents(ranking->lexical, &ranking->documents_words, error);
    if (!status)
        status = lexical_candidates(ranker, error);
    return status;
}

/* The words' part of the scores of all candidates, which are in the order of their blocks. */
static enum lmk_status score_words(struct ranker *ranker, struct lmk_error *error)
{
    if (!ranker->ranking->lexical)
        return LMK_OK;
    enum lmk_status status = complete_words(ranker, error);
    if (!status && (ranker->weights.neighbourhood || ranker->request->features))
        status = score_neighbourhoods(ranker, error);
    return status;
}

/* Adds the milliseconds since `*since`, which becomes now, to a stage. */
static void lap(double *stage, double *since)
{
    double now = ingest_clock();
    *stage += 1e3 * (now - *since);
    *since = now;
}

static enum lmk_status rank(struct ranker *ranker, struct lmk_timing *timing,
                            struct lmk_error *error)
{
    enum lmk_mode mode = ranker->request->mode;
    struct ranking *ranking = ranker->ranking;
    double since = ingest_clock();
    enum lmk_status status = mode == LMK_LEXICAL ? LMK_OK : landmark_candidates(ranker, error);
    lap(&timing->candidates, &since);
    if (!status && mode != LMK_LANDMARK)
        status = find_words(ranker, error);
    lap(&timing->words, &since);
    if (!status && mode == LMK_HYBRID) {
        fold(ranking);
        status = complete_landmarks(ranker, error);
        lap(&timing->candidates, &since);
        if (!status)
            status = score_words(ranker, error);
        lap(&timing->words, &since);
    }
    double elsewhere = timing->fetch + timing->attention;
    if (!status && mode != LMK_LEXICAL)
        status = combine(ranker, timing, error);
    if (!status && ranking->count)
        qsort(ranking->items, ranking->count, sizeof *ranking->items, by_score);
    lap(&timing->candidates, &since);
    timing->candidates -= timing->fetch + timing->attention - elsewhere;
    return status || ranking->count ? status : nothing_found(ranker, error);
}

enum lmk_status ranking_make(struct ranking *ranking, struct lmk_collection *collection,
                             struct store_view *view, const struct ranking_request *request,
                             struct lmk_timing *timing, struct lmk_error *error)
{
    struct ranker ranker = {.collection = collection,
                            .view = view,
                            .request = request,
                            .ranking = ranking,
                            .weights = weights_of(request, &collection->model->rank)};
    size_t width = model_landmark_width(&collection->model->shape);
    *ranking = (struct ranking){0};
    ranking->items = calloc(2 * request->candidates, sizeof *ranking->items);
    ranker.pooled = malloc(width * sizeof *ranker.pooled);
    enum lmk_status status = LMK_OK;
    if (!ranking->items || !ranker.pooled)
        status = error_memory(error, 2 * request->candidates * sizeof *ranking->items);
    else {
        if (request->question)
            sequence_pooled_query(request->question->sequence, ranker.pooled);
        status = rank(&ranker, timing, error);
    }
    if (ranking->lexical)
        lexical_end(ranking->lexical);
    free(ranker.pooled);
    return status;
}

enum lmk_status ranking_of_granularity(struct ranking *ranking,
                                       const struct granularity *granularity, size_t wanted,
                                       struct lmk_error *error)
{
    *ranking = (struct ranking){0};
    struct candidate *candidates = calloc(wanted, sizeof *candidates);
    ranking->items = malloc(wanted * sizeof *ranking->items);
    enum lmk_status status = candidates && ranking->items
                                 ? LMK_OK
                                 : error_memory(error, wanted * sizeof *ranking->items);
    if (!status)
        ranking->count = granularity_ranking(granularity, wanted, candidates);
    for (size_t i = 0; !status && i < ranking->count; i++)
        ranking->items[i] = ranked_by(candidates[i].block, candidates[i].score, NAN);
    free(candidates);
    return status;
}
