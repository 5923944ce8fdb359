/* lmk_ask: the k best blocks, pass 2 over them, the answer, written by pass 2 itself or by reading
 * the best texts again, and what it rests on. */
#include "index/ingest.h"
#include "index/lexical_query.h"
#include "index/memory.h"
#include "index/passage.h"
#include "index/ranking.h"
#include "index/support.h"
#include "index/surest.h"
#include "index/uses.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MOST_BLOCKS 1024
#define MOST_CANDIDATES 100000
#define NO_BLOCK UINT64_MAX

struct lmk_ask_options lmk_ask_defaults(const struct lmk_model *model)
{
    return (struct lmk_ask_options){.blocks = 8,
                                    .candidates = 200,
                                    .most_matches = lmk_search_defaults().most_matches,
                                    .generate = lmk_model_can_answer(model),
                                    .max_tokens = 64,
                                    .texts = model->answer_texts};
}

struct asking {
    struct lmk_collection *collection;
    const struct lmk_ask_options *options;
    struct store_view *view;
    struct scope *scope;
    struct question question;
    struct ranked *chosen; /* the blocks read, in order of age; of `ranking` */
    struct ranking ranking;
    double log_sum; /* of exp(score) of all candidates */
    double *shares; /* of each chosen block: sum of its landmark probability */
    size_t count;
    struct memory *source;
    struct memory_block *memory; /* of the chosen blocks */
    struct granularity *granularity;
    struct sequence *sequence; /* pass 2 */
    float *mass;               /* [M][count] */
    struct writer writer;
    uint64_t answering; /* the block whose text, read again, gave the answer; NO_BLOCK: none */
    struct lmk_answer *answer;
};

/* ------------------------------------------------------------------ the blocks to read */

static int by_block(const void *left, const void *right)
{
    uint64_t a = ((const struct ranked *)left)->block, b = ((const struct ranked *)right)->block;
    return a < b ? -1 : a > b;
}

/* Leaves the `wanted` best blocks that can be read: of documents whose keys and values are there,
 * or are computed again. Where none can, all stay, for the sentence that reading them gives. */
static enum lmk_status keep_readable(struct asking *asking, size_t wanted, struct lmk_error *error)
{
    struct ranking *ranking = &asking->ranking;
    size_t kept = 0;
    for (size_t i = 0; i < ranking->count && kept < wanted; i++) {
        struct document document;
        struct ranked item = ranking->items[i];
        enum lmk_status status =
            store_document_of_block(asking->view, item.block, &document, error);
        if (status)
            return status;
        if (document.state != DOCUMENT_TEXT)
            ranking->items[kept++] = item;
    }
    ranking->count = kept ? kept : ranking->count < wanted ? ranking->count : wanted;
    return LMK_OK;
}

/* The logarithm of the sum of exp(score) over all candidates: a block's score less this is the
 * logarithm of its probability among them. */
static double log_sum(const struct ranking *ranking)
{
    double sum = 0, most = ranking->count ? ranking->items[0].score : 0;
    for (size_t i = 0; i < ranking->count; i++)
        sum += exp(ranking->items[i].score - most);
    return most + log(sum);
}

static enum lmk_status choose_blocks(struct asking *asking, const char *question,
                                     struct lmk_error *error)
{
    const struct lmk_ask_options *options = asking->options;
    struct ranking_request request = {
        .mode = options->mode,
        .text = question,
        .question = &asking->question,
        .candidates = options->candidates > options->blocks ? options->candidates : options->blocks,
        .most_matches = options->mode == LMK_HYBRID ? options->most_matches : 0,
        .scope = asking->scope,
    };
    enum lmk_status status = ranking_make(&asking->ranking, asking->collection, asking->view,
                                          &request, &asking->answer->timing, error);
    asking->answer->documents_words = asking->ranking.documents_words;
    if (!status) {
        asking->log_sum = log_sum(&asking->ranking);
        status = keep_readable(asking, options->blocks, error);
    }
    asking->chosen = asking->ranking.items;
    asking->count = asking->ranking.count;
    if (!status)
        qsort(asking->chosen, asking->count, sizeof *asking->chosen, by_block);
    return status;
}

static enum lmk_status load_memory(struct asking *asking, struct lmk_error *error)
{
    struct store_counts counts;
    uint64_t numbers[MOST_BLOCKS];
    enum lmk_status status = store_counts(asking->view, &counts, error);
    asking->memory = malloc(asking->count * sizeof *asking->memory);
    if (!status && !asking->memory)
        status = error_memory(error, asking->count * sizeof *asking->memory);
    for (size_t i = 0; !status && i < asking->count; i++) {
        numbers[i] = asking->chosen[i].block;
        status = memory_load(asking->source, numbers[i], &asking->memory[i], error);
    }
    if (!status) {
        memory_set_slots(asking->memory, numbers, asking->count, counts.next_block);
        status = sequence_set_memory(asking->sequence, asking->memory, asking->count, error);
    }
    return status;
}

/* Gives the sequence of pass 2 its memory: fixed blocks, or the selector of a finer granularity. */
static enum lmk_status prepare_memory(struct asking *asking, const char *question,
                                      struct lmk_error *error)
{
    const struct lmk_ask_options *options = asking->options;
    size_t most = question_length(&asking->question) + options->max_tokens;
    enum lmk_status status =
        sequence_open(&asking->sequence, asking->collection->model, most, false, error);
    if (status)
        return status;
    if (options->granularity == LMK_QUESTION) {
        if (!(status = choose_blocks(asking, question, error))) {
            double before = ingest_clock();
            status = load_memory(asking, error);
            asking->answer->timing.fetch += 1e3 * (ingest_clock() - before);
        }
        return status;
    }
    status =
        granularity_open(&asking->granularity, asking->collection, asking->view, asking->source,
                         asking->scope, options->granularity, options->blocks, error);
    return status ? status
                  : sequence_set_selector(asking->sequence,
                                          granularity_selector(asking->granularity), error);
}

/* ------------------------------------------------------------------ writing the answer */

/* Adds the landmark probability that each block received at the last row. */
static void add_shares(struct asking *asking)
{
    if (asking->granularity)
        return; /* the selector counts */
    uint32_t layers = asking->collection->model->shape.memory_layer_count;
    sequence_landmark_mass(asking->sequence, asking->mass);
    for (size_t m = 0; m < layers; m++)
        for (size_t i = 0; i < asking->count; i++)
            asking->shares[i] += asking->mass[m * asking->count + i];
}

/* The answer gets the text, which is its own then, tokens and log-likelihood. */
static enum lmk_status take_answer(struct asking *asking, struct written *written,
                                   struct lmk_error *error)
{
    struct lmk_answer *answer = asking->answer;
    enum lmk_status status = buffer_append(&written->text, "", 1, error);
    if (status)
        return status;
    answer->text = (char *)written->text.data;
    written->text = (struct buffer){0};
    answer->tokens = written->tokens;
    if (written->tokens)
        answer->log_likelihood = written->log_probability / (double)written->tokens;
    return LMK_OK;
}

static enum lmk_status write_from_memory(struct asking *asking, struct lmk_error *error)
{
    struct written written;
    enum lmk_status status = LMK_OK;
    written_open(&written, true);
    while (!status && !written.ended) {
        add_shares(asking);
        status = writing_next(&asking->writer, asking->sequence, &written, error);
    }
    if (!status)
        status = take_answer(asking, &written, error);
    if (!status && written.tokens)
        asking->answer->confidence = exp(asking->answer->log_likelihood);
    written_close(&written);
    return status;
}

/* With verbatim there is no line of the question's own to put before a text. */
static bool reads_again(const struct asking *asking)
{
    return asking->options->texts && !asking->granularity && !asking->options->verbatim;
}

static enum lmk_status write_from_texts(struct asking *asking, struct lmk_error *error)
{
    const struct lmk_ask_options *options = asking->options;
    struct written best;
    double sum;
    add_shares(asking); /* of the prompt: pass 2 writes nothing */
    written_open(&best, false);
    enum lmk_status status =
        surest_answer(&asking->writer, asking->view, &asking->question, asking->chosen,
                      asking->count, &best, &asking->answering, &sum, error);
    if (!status && best.text.size && options->stream)
        options->stream(options->context, (const char *)best.text.data, best.text.size);
    if (!status)
        status = take_answer(asking, &best, error);
    if (!status)
        asking->answer->confidence = fmin(1, exp(sum - asking->log_sum));
    written_close(&best);
    return status;
}

static enum lmk_status read_and_write(struct asking *asking, struct lmk_error *error)
{
    struct lmk_answer *answer = asking->answer;
    const struct question *question = &asking->question;
    double start = ingest_clock();
    size_t layers = asking->collection->model->shape.memory_layer_count;
    asking->mass = calloc(layers * (asking->count + 1), sizeof *asking->mass);
    asking->shares = calloc(asking->count + 1, sizeof *asking->shares);
    if (!asking->mass || !asking->shares)
        return error_memory(error, layers * asking->count * sizeof *asking->mass);
    enum lmk_status status = sequence_feed(asking->sequence, question_ids(question),
                                           question_length(question), NULL, error);
    double read = ingest_clock();
    answer->timing.attention += 1e3 * (read - start);
    if (status)
        return status;
    if (!asking->options->generate || !asking->options->max_tokens) {
        add_shares(asking);
        return LMK_OK;
    }
    status = writer_open(&asking->writer, asking->collection->model, asking->options, error);
    if (!status)
        status = reads_again(asking) ? write_from_texts(asking, error)
                                     : write_from_memory(asking, error);
    answer->timing.decode = 1e3 * (ingest_clock() - read);
    return status;
}

/* ------------------------------------------------------------------ what it rests on */

static int by_share(const void *left, const void *right)
{
    double a = ((const struct lmk_passage *)left)->share,
           b = ((const struct lmk_passage *)right)->share;
    return a < b ? 1 : a > b ? -1 : 0;
}

static enum lmk_status make_passage(struct asking *asking, size_t i, double share,
                                    float *token_scores, struct lmk_error *error)
{
    struct lmk_passage *passage = &asking->answer->passages[i];
    uint64_t block = asking->chosen[i].block;
    struct memory_block memory;
    enum lmk_status status = memory_load(asking->source, block, &memory, error);
    if (status)
        return status;
    passage->attention_score =
        scoring_block(asking->question.scoring, memory.type, memory.keys, NULL, token_scores);
    passage->landmark_part = passage->lexical_part = passage->attention_part = NAN;
    passage->landmark_score = asking->granularity ? NAN : asking->chosen[i].landmark;
    passage->lexical_score = asking->chosen[i].lexical;
    passage->score = passage->share = share;
    passage->ranking_score = asking->chosen[i].score;
    struct marking marking = {token_scores, &asking->ranking};
    return passage_make(passage, asking->collection, asking->view, block, 1, block, &marking,
                        error);
}

/* With a finer granularity the blocks are known only now: those with the most landmark probability.
 */
static enum lmk_status take_ranking(struct asking *asking, struct lmk_error *error)
{
    size_t wanted = asking->options->blocks;
    free(asking->shares);
    asking->shares = calloc(wanted, sizeof *asking->shares);
    enum lmk_status status =
        asking->shares
            ? ranking_of_granularity(&asking->ranking, asking->granularity, wanted, error)
            : error_memory(error, wanted * sizeof *asking->shares);
    if (status)
        return status;
    asking->chosen = asking->ranking.items;
    asking->count = asking->ranking.count;
    for (size_t i = 0; i < asking->count; i++)
        asking->shares[i] = asking->chosen[i].score;
    if (asking->count)
        return LMK_OK;
    return error_set(error, LMK_NOT_FOUND,
                     "%s has no indexed text yet. Add books with: lmk index -c %s FOLDER",
                     asking->collection->path, asking->collection->path);
}

static enum lmk_status make_passages(struct asking *asking, struct lmk_error *error)
{
    enum lmk_status status = asking->granularity ? take_ranking(asking, error) : LMK_OK;
    if (status)
        return status;
    struct lmk_answer *answer = asking->answer;
    struct store_counts counts;
    float *token_scores =
        malloc(asking->collection->model->shape.block_tokens * sizeof *token_scores);
    answer->passages = calloc(asking->count, sizeof *answer->passages);
    if (!token_scores || !answer->passages)
        status = error_memory(error, asking->count * sizeof *answer->passages);
    else
        status = store_counts(asking->view, &counts, error);
    double sum = 0;
    for (size_t i = 0; i < asking->count; i++)
        sum += asking->shares[i];
    while (!status && answer->count < asking->count) {
        size_t i = answer->count++;
        status =
            make_passage(asking, i, sum > 0 ? asking->shares[i] / sum : 0, token_scores, error);
    }
    if (!status) {
        qsort(answer->passages, answer->count, sizeof *answer->passages, by_share);
        for (size_t i = 0; i < answer->count; i++)
            if (answer->passages[i].block == asking->answering)
                answer->source = i;
        answer->documents = counts.documents;
        answer->documents_ready = counts.documents_ready;
        struct memory_cost cost = memory_cost(asking->source);
        answer->computed_blocks = cost.blocks;
        answer->computed_tokens = cost.tokens;
        answer->computed_seconds = cost.seconds;
    }
    free(token_scores);
    return status;
}

static enum lmk_status ask(struct asking *asking, const char *question, struct lmk_error *error)
{
    struct lmk_timing *timing = &asking->answer->timing;
    double start = ingest_clock();
    char *plain =
        asking->options->mode == LMK_LANDMARK ? strdup(question) : lexical_query_plain(question);
    if (!plain)
        return error_memory(error, strlen(question));
    enum lmk_status status = scope_open(&asking->scope, asking->view, asking->options->where,
                                        asking->options->where_count, error);
    if (!status)
        status = question_open(&asking->question, asking->collection->model, plain,
                               asking->options->verbatim, error);
    free(plain);
    timing->pass1 = 1e3 * (ingest_clock() - start);
    if (!status)
        status = memory_open(&asking->source, asking->collection->model, asking->view, error);
    if (!status)
        status = prepare_memory(asking, question, error);
    if (!status)
        status = read_and_write(asking, error);
    if (!status)
        status = make_passages(asking, error);
    if (!status)
        support_judge(asking->answer, asking->collection->model);
    timing->total = 1e3 * (ingest_clock() - start);
    return status;
}

static void release(struct asking *asking)
{
    sequence_close(asking->sequence);
    granularity_close(asking->granularity);
    question_close(&asking->question);
    memory_close(asking->source);
    store_view_end(asking->view);
    scope_close(asking->scope);
    free(asking->memory);
    ranking_release(&asking->ranking);
    free(asking->shares);
    free(asking->mass);
    writer_close(&asking->writer);
}

enum lmk_status lmk_ask(struct lmk_collection *collection, const char *question,
                        const struct lmk_ask_options *options, struct lmk_answer **answer,
                        struct lmk_error *error)
{
    *answer = NULL;
    enum lmk_status status = collection_needs_model(collection, error);
    if (status)
        return status;
    struct lmk_ask_options defaults = lmk_ask_defaults(collection->model);
    struct asking asking = {
        .collection = collection, .options = options ? options : &defaults, .answering = NO_BLOCK};
    const struct lmk_ask_options *used = asking.options;
    if (!used->blocks || used->blocks > MOST_BLOCKS || used->max_tokens > MOST_BLOCKS ||
        used->candidates > MOST_CANDIDATES || used->granularity > LMK_CHUNK ||
        used->mode > LMK_LEXICAL || used->texts > MOST_ANSWER_TEXTS)
        return error_set(error, LMK_USAGE,
                         "An answer reads 1 to %d blocks out of at most %d candidates and at most "
                         "%d texts again, and has at most %d tokens; the granularity is one of "
                         "four.",
                         MOST_BLOCKS, MOST_CANDIDATES, MOST_ANSWER_TEXTS, MOST_BLOCKS);
    if (asking.options->granularity != LMK_QUESTION && collection->lock >= 0)
        status = granularity_prepare(collection, error);
    if (status || (status = store_view_begin(collection->store, &asking.view, error)))
        return status;
    asking.answer = malloc(sizeof *asking.answer);
    if (asking.answer) {
        *asking.answer = (struct lmk_answer){.confidence = NAN, .source = SIZE_MAX};
        status = ask(&asking, question, error);
    } else
        status = error_memory(error, sizeof *asking.answer);
    release(&asking);
    if (status) {
        lmk_answer_free(asking.answer);
        return status;
    }
    uses_note(collection, asking.answer->passages, asking.answer->count);
    *answer = asking.answer;
    return LMK_OK;
}

void lmk_answer_free(struct lmk_answer *answer)
{
    if (!answer)
        return;
    for (size_t i = 0; i < answer->count; i++)
        passage_release(&answer->passages[i]);
    free(answer->passages);
    free(answer->text);
    free(answer);
}
