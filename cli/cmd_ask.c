#include "cli/command.h"
#include "cli/output.h"
#include "cli/picture.h"
#include "cli/reader.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Sentences shown; the passages follow in full. */
#define SENTENCES 3

static void add_support(cJSON *object, const struct lmk_answer *answer)
{
    cJSON *support = cJSON_AddObjectToObject(object, "support");
    cJSON_AddBoolToObject(support, "found", answer->found);
    cJSON_AddNumberToObject(support, "confidence", answer->confidence);
    cJSON_AddNumberToObject(support, "words", (double)answer->words);
    cJSON_AddNumberToObject(support, "words_read", (double)answer->words_read);
}

/* The rank of the passage whose text, read again, gave the answer. */
static void add_source(cJSON *object, const struct lmk_answer *answer)
{
    if (answer->source < answer->count)
        cJSON_AddNumberToObject(object, "source", (double)answer->source + 1);
    else
        cJSON_AddNullToObject(object, "source");
}

static enum lmk_status print_json(const struct arguments *arguments,
                                  const struct lmk_answer *answer, struct lmk_error *error)
{
    cJSON *object = json_start("ask");
    cJSON_AddStringToObject(object, "question", arguments->words[0]);
    if (answer->text) {
        cJSON_AddStringToObject(object, "answer", answer->text);
        cJSON_AddNumberToObject(object, "answer_tokens",
                                arguments->reader ? NAN : (double)answer->tokens);
        cJSON_AddNumberToObject(object, "answer_log_likelihood", answer->log_likelihood);
        if (!arguments->reader) {
            add_source(object, answer);
            add_support(object, answer);
        }
    } else
        cJSON_AddNullToObject(object, "answer");
    if (arguments->reader && !arguments->no_generate)
        reader_add_json(object, arguments, answer);
    cJSON_AddNumberToObject(object, "documents", (double)answer->documents);
    cJSON_AddNumberToObject(object, "documents_ready", (double)answer->documents_ready);
    cJSON_AddNumberToObject(object, "documents_words", (double)answer->documents_words);
    if (answer->computed_blocks) {
        cJSON *computed = cJSON_AddObjectToObject(object, "computed");
        cJSON_AddNumberToObject(computed, "blocks", (double)answer->computed_blocks);
        cJSON_AddNumberToObject(computed, "tokens", (double)answer->computed_tokens);
        cJSON_AddNumberToObject(computed, "seconds", answer->computed_seconds);
    }
    cJSON_AddItemToObject(object, "milliseconds", json_timing(&answer->timing));
    cJSON *passages = cJSON_AddArrayToObject(object, "passages");
    for (size_t i = 0; i < answer->count; i++)
        cJSON_AddItemToArray(passages, json_passage(&answer->passages[i], i + 1, true));
    return json_print(object, error);
}

/* The ranking knows better than the attention of the reading which passage answers. */
static int by_ranking(const void *left, const void *right)
{
    double a = (*(const struct lmk_passage *const *)left)->ranking_score;
    double b = (*(const struct lmk_passage *const *)right)->ranking_score;
    return a < b ? 1 : a > b ? -1 : 0;
}

/* Where a passage stands, or the sentence marked in it. */
static void print_place(const char *lead, const struct lmk_passage *passage, bool marked)
{
    fputs(lead, stdout);
    output_heading(passage->title, passage->author, passage->path);
    output_place(passage, marked);
    putchar('\n');
}

static void print_sentence(const struct lmk_passage *passage)
{
    char *text;
    int size = (int)(passage->mark_end - passage->mark_start);
    if (asprintf(&text, "\u201c%.*s\u201d", size, passage->text + passage->mark_start) < 0)
        return;
    output_text(text, 0, 0, 2);
    free(text);
    print_place("    ", passage, true);
}

/* Neighbouring blocks may share a sentence. */
static bool is_among(const struct lmk_passage *const *shown, size_t count,
                     const struct lmk_passage *passage)
{
    for (size_t i = 0; i < count; i++)
        if (shown[i]->document == passage->document &&
            shown[i]->mark_source_start == passage->mark_source_start)
            return true;
    return false;
}

static void print_sentences(const struct lmk_answer *answer)
{
    const struct lmk_passage **order = calloc(answer->count, sizeof *order);
    if (!order)
        return;
    size_t count = 0, shown = 0;
    for (size_t i = 0; i < answer->count; i++)
        if (answer->passages[i].mark_end > answer->passages[i].mark_start)
            order[count++] = &answer->passages[i];
    qsort(order, count, sizeof *order, by_ranking);
    puts("The sentences that fit the question best:\n");
    for (size_t i = 0; i < count && shown < SENTENCES; i++)
        if (!is_among(order, shown, order[i])) {
            print_sentence(order[i]);
            order[shown++] = order[i];
        }
    free(order);
}

static void print_passages(const struct lmk_answer *answer)
{
    printf("\nPassages read, with the share of attention each received:\n\n");
    for (size_t i = 0; i < answer->count; i++) {
        printf("%3.0f %%  ", 100 * answer->passages[i].share);
        output_passage(&answer->passages[i], "", 7);
    }
}

/* The answer, with what supports it. It waits until that is known. */
static void print_answer(const struct lmk_answer *answer)
{
    fputs("Answer: ", stdout);
    output_safely(stdout, answer->found ? answer->text : "not found");
    if (!answer->found && answer->text[0]) {
        fputs(" (the model's guess: ", stdout);
        output_safely(stdout, answer->text);
        putchar(')');
    }
    putchar('\n');
    if (answer->source < answer->count)
        print_place("        from ", &answer->passages[answer->source], false);
    if (answer->tokens)
        printf("        confidence %.2f; %zu of %zu words stand in the passages\n",
               answer->confidence, answer->words_read, answer->words);
    putchar('\n');
}

/* What the user should know of how the passages came about. */
static void print_notes(const struct arguments *arguments, const struct lmk_answer *answer)
{
    if (arguments->quiet)
        return;
    output_readiness(arguments, answer->documents_ready, answer->documents_words,
                     answer->documents);
    if (answer->computed_blocks)
        fprintf(stderr,
                "Of the blocks read, %llu keep no keys and values: they were computed again from "
                "%llu tokens, in %.1f s.\n",
                (unsigned long long)answer->computed_blocks,
                (unsigned long long)answer->computed_tokens, answer->computed_seconds);
}

static enum lmk_status print_result(const struct arguments *arguments,
                                    const struct lmk_answer *answer, struct lmk_error *error)
{
    print_notes(arguments, answer);
    if (arguments->json)
        return print_json(arguments, answer, error);
    if (answer->text)
        print_answer(answer);
    print_sentences(answer);
    print_passages(answer);
    return LMK_OK;
}

static struct lmk_ask_options ask_options(const struct arguments *arguments,
                                          const struct lmk_model *model)
{
    struct lmk_ask_options options = lmk_ask_defaults(model);
    options.blocks = arguments->blocks ? arguments->blocks : options.blocks;
    options.candidates = arguments->candidates ? arguments->candidates : options.candidates;
    options.max_tokens = arguments->max_tokens ? arguments->max_tokens : options.max_tokens;
    options.granularity = arguments->granularity;
    options.mode = arguments->mode;
    options.where = arguments->where;
    options.where_count = arguments->where_count;
    if (arguments->most_matches != UINT64_MAX)
        options.most_matches = arguments->most_matches;
    options.generate = (options.generate || arguments->generate) && !arguments->no_generate;
    if (arguments->texts != SIZE_MAX)
        options.texts = arguments->texts;
    options.temperature = arguments->temperature;
    options.seed = arguments->seed;
    return options;
}

/* A reader elsewhere writes the answer. Where it fails, what was found is shown all the same, but
 * for a wrong use. */
static enum lmk_status ask_reader(const struct arguments *arguments, struct lmk_answer *answer,
                                  struct lmk_error *error)
{
    struct lmk_error printing = {0};
    print_notes(arguments, answer);
    enum lmk_status status = reader_write(arguments, answer, error), printed = LMK_OK;
    if (status == LMK_USAGE)
        return status;
    if (arguments->json)
        printed = print_json(arguments, answer, &printing);
    else
        reader_print_passages(answer, arguments->quiet);
    return status ? status : printed;
}

enum lmk_status command_ask(const struct arguments *arguments, struct lmk_error *error)
{
    struct session session;
    struct lmk_answer *answer;
    bool elsewhere = arguments->reader && !arguments->no_generate;
    if (arguments->word_count != 1)
        return fail(error, LMK_USAGE, "Give one question, in quotation marks. See: lmk help ask");
    enum lmk_status status = session_open_query(&session, arguments, error);
    if (status)
        return status;
    struct lmk_ask_options options = ask_options(arguments, session.model);
    if (elsewhere)
        options.generate = false;
    status = lmk_ask(session.collection, arguments->words[0], &options, &answer, error);
    if (!status) {
        status = elsewhere ? ask_reader(arguments, answer, error)
                           : print_result(arguments, answer, error);
        if (!status && arguments->picture)
            status = picture_write(arguments->picture, arguments->words[0], answer,
                                   session.collection, error);
        if (!status && !answer->found)
            status = fail(error, LMK_NOT_FOUND, "Nothing that was read supports an answer.");
        lmk_answer_free(answer);
    }
    session_close(&session);
    return status;
}
