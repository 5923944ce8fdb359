/* lmk_ask: the k best blocks, pass 2 over them, the answer and what it rests on. */
#include "index/ingest.h"
#include "index/lexical_query.h"
#include "index/memory.h"
#include "index/passage.h"
#include "index/ranking.h"
#include "index/support.h"
#include "index/uses.h"
#include "src/model/kernels.h"
#include "src/text/utf8.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MOST_BLOCKS 1024
#define MOST_CANDIDATES 100000

struct lmk_ask_options lmk_ask_defaults(const struct lmk_model *model)
{
    return (struct lmk_ask_options){.blocks = 8,
                                    .candidates = 200,
                                    .most_matches = lmk_search_defaults().most_matches,
                                    .generate = lmk_model_can_answer(model),
                                    .max_tokens = 64};
}

struct asking {
    struct lmk_collection *collection;
    const struct lmk_ask_options *options;
    struct store_view *view;
    struct scope *scope;
    struct question question;
    struct ranked *chosen; /* the blocks read, in order of age; of `ranking` */
    struct ranking ranking;
    double *shares; /* of each chosen block: sum of its landmark probability */
    size_t count;
    struct memory *source;
    struct memory_block *memory; /* of the chosen blocks */
    struct granularity *granularity;
    struct sequence *sequence; /* pass 2 */
    float *mass;               /* [M][count] */
    float *powers;             /* [V]: scratch */
    uint64_t random;
    struct utf8_held held; /* of the answer: pieces may be single bytes */
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
    if (!status)
        status = keep_readable(asking, options->blocks, error);
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

/* splitmix64, which any seed starts well */
static double random_uniform(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

static size_t find(const float *values, size_t count, float wanted)
{
    size_t i = 0;
    while (i + 1 < count && values[i] != wanted)
        i++;
    return i;
}

/* A token drawn at the temperature that is asked for. `largest`: of the logits. */
static size_t draw(struct asking *asking, const float *logits, size_t count, float largest)
{
    size_t last = 0;
    float *powers = asking->powers;
    for (size_t i = 0; i < count; i++)
        powers[i] = (logits[i] - largest) / asking->options->temperature;
    double left =
        random_uniform(&asking->random) * (double)kernel_exponentials(powers, count, NULL);
    for (size_t i = 0; i < count && left >= 0; i++)
        if (powers[i] > 0) {
            left -= (double)powers[i];
            last = i;
        }
    return last;
}

static uint32_t pick(struct asking *asking, const float *logits, double *log_probability)
{
    size_t count = asking->collection->model->shape.vocabulary;
    float largest;
    memcpy(asking->powers, logits, count * sizeof *logits);
    double sum = (double)kernel_exponentials(asking->powers, count, &largest);
    size_t id = asking->options->temperature > 0 ? draw(asking, logits, count, largest)
                                                 : find(logits, count, largest);
    *log_probability = (double)(logits[id] - largest) - log(sum);
    return (uint32_t)id;
}

/* Streams the answer from `start` on; false: stop. */
static bool stream(const struct asking *asking, const struct buffer *text, size_t start)
{
    const struct lmk_ask_options *options = asking->options;
    return !options->stream || text->size == start ||
           options->stream(options->context, (const char *)text->data + start, text->size - start);
}

static enum lmk_status write_piece(struct asking *asking, uint32_t id, struct buffer *text,
                                   bool *stopped, struct lmk_error *error)
{
    size_t size, start = text->size;
    const char *piece = tokenizer_bytes(asking->collection->model->tokenizer, id, &size);
    if (!text->size && !asking->held.count && size && piece[0] == ' ') {
        piece++;
        size--;
    }
    enum lmk_status status = utf8_append(&asking->held, piece, size, text, error);
    *stopped = !status && !stream(asking, text, start);
    return status;
}

static enum lmk_status write_answer(struct asking *asking, struct buffer *text,
                                    struct lmk_error *error)
{
    const struct model_shape *shape = &asking->collection->model->shape;
    struct lmk_answer *answer = asking->answer;
    bool stopped = false;
    enum lmk_status status = LMK_OK;
    while (!status && !stopped && answer->tokens < asking->options->max_tokens) {
        const float *logits = sequence_logits(asking->sequence);
        double log_probability;
        uint32_t id = pick(asking, logits, &log_probability);
        add_shares(asking);
        if (id == shape->eos_id || id == shape->newline_id)
            break;
        answer->log_likelihood += log_probability;
        answer->tokens++;
        if (!(status = write_piece(asking, id, text, &stopped, error)))
            status = sequence_feed(asking->sequence, &id, 1, NULL, error);
    }
    if (answer->tokens)
        answer->log_likelihood /= (double)answer->tokens;
    size_t start = text->size;
    if (!status && !stopped && !(status = utf8_finish(&asking->held, text, error)))
        stream(asking, text, start);
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
    asking->powers = malloc(asking->collection->model->shape.vocabulary * sizeof *asking->powers);
    if (!asking->mass || !asking->shares || !asking->powers)
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
    struct buffer text;
    buffer_init(&text, 1 << 20);
    status = write_answer(asking, &text, error);
    if (!status)
        status = buffer_append(&text, "", 1, error);
    answer->text = (char *)text.data;
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
    free(asking->powers);
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
    struct asking asking = {.collection = collection, .options = options ? options : &defaults};
    const struct lmk_ask_options *used = asking.options;
    if (!used->blocks || used->blocks > MOST_BLOCKS || used->max_tokens > MOST_BLOCKS ||
        used->candidates > MOST_CANDIDATES || used->granularity > LMK_CHUNK ||
        used->mode > LMK_LEXICAL)
        return error_set(error, LMK_USAGE,
                         "An answer reads 1 to %d blocks out of at most %d candidates and has at "
                         "most %d tokens; the granularity is one of four.",
                         MOST_BLOCKS, MOST_CANDIDATES, MOST_BLOCKS);
    asking.random = asking.options->seed;
    if (asking.options->granularity != LMK_QUESTION && collection->lock >= 0)
        status = granularity_prepare(collection, error);
    if (status || (status = store_view_begin(collection->store, &asking.view, error)))
        return status;
    asking.answer = calloc(1, sizeof *asking.answer);
    status =
        asking.answer ? ask(&asking, question, error) : error_memory(error, sizeof *asking.answer);
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
