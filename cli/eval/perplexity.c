/* lmk eval perplexity: how well the model predicts texts, by what it sees of them. */
#include "cli/command.h"
#include "cli/eval/comparison.h"
#include "cli/eval/dataset.h"
#include "cli/eval/lines.h"
#include "cli/fail.h"
#include "cli/output.h"
#include "cli/progress.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOCAL, MEMORY, LONGER, REACH, SYSTEMS };
static const char *const system_names[SYSTEMS] = {"local", "memory", "longer", "reach"};

/* Mean losses of a stretch: natural logarithms, whose exponentials are perplexities. */
enum { WHOLE, SECOND_HALF, METRICS };
static const char *const loss_names[METRICS] = {"perplexity", "perplexity_second_half"};
static const char *const loss_labels[METRICS] = {"all of it", "second half"};

struct evaluation {
    const struct arguments *arguments;
    struct display display;
    struct text_list texts;
    struct lmk_model *model;
    size_t length, most, local, blocks, best;
    enum lmk_tier tier;
    struct lmk_scorer *scorers[SYSTEMS];
    float *scores;    /* [most][length - 1] */
    double *losses;   /* [stretches][SYSTEMS][METRICS] */
    uint32_t *groups; /* [stretches]: number of the text */
    size_t stretches;
    struct comparison comparison;
};

static enum lmk_status take_text(void *context, const cJSON *object, struct lmk_error *error)
{
    const char *text = json_text(object, "text");
    return text ? text_list_add(context, text, error)
                : fail(error, LMK_INPUT, "a passage needs a text \"text\".");
}

/* ------------------------------------------------------------------ reading */

static enum lmk_status open_scorers(struct evaluation *evaluation, struct lmk_error *error)
{
    size_t local = evaluation->local, best = evaluation->best;
    const struct lmk_scorer_options options[] = {
        [LOCAL] = {.local = local},
        [MEMORY] = {.local = local,
                    .far = evaluation->blocks,
                    .best = best,
                    .tier = evaluation->tier},
        /* the blocks before the local context, whichever they are */
        [LONGER] = {.local = local, .far = best, .best = best},
    };
    enum lmk_status status = LMK_OK;
    for (size_t s = 0; !status && s < SYSTEMS; s++)
        status = lmk_scorer_open(&evaluation->scorers[s], evaluation->model,
                                 s == REACH ? NULL : &options[s], error);
    return status;
}

/* The mean of -scores[from, end). */
static double mean_loss(const float *scores, size_t from, size_t end)
{
    double sum = 0;
    for (size_t i = from; i < end; i++)
        sum -= (double)scores[i];
    return sum / (double)(end - from);
}

/* Reads a text in every way; its stretches are the same in each. */
static enum lmk_status read_text(struct evaluation *evaluation, size_t number,
                                 struct lmk_error *error)
{
    const char *text = evaluation->texts.items[number];
    size_t taken = evaluation->length - 1, found = 0;
    for (size_t s = 0; s < SYSTEMS; s++) {
        enum lmk_status status =
            lmk_score_text(evaluation->scorers[s], text, strlen(text), evaluation->length,
                           evaluation->most, evaluation->scores, &found, error);
        if (status)
            return status;
        for (size_t i = 0; i < found; i++) {
            size_t row = evaluation->stretches + i;
            const float *scores = evaluation->scores + i * taken;
            double *losses = evaluation->losses + (row * SYSTEMS + s) * METRICS;
            losses[WHOLE] = mean_loss(scores, 0, taken);
            losses[SECOND_HALF] = mean_loss(scores, taken / 2, taken);
            evaluation->groups[row] = (uint32_t)number;
        }
    }
    evaluation->stretches += found;
    return LMK_OK;
}

static enum lmk_status read_all(struct evaluation *evaluation, struct lmk_error *error)
{
    enum lmk_status status = LMK_OK;
    for (size_t i = 0; !status && i < evaluation->texts.count; i++) {
        status = read_text(evaluation, i, error);
        if (!status && !progress_count(&evaluation->display, "reading", "texts", i + 1,
                                       evaluation->texts.count))
            status = fail(error, LMK_INTERRUPTED, "Interrupted while reading.");
    }
    progress_clear(&evaluation->display);
    if (!status && !evaluation->stretches)
        status = fail(error, LMK_INPUT,
                      "No text of %s has %zu tokens. Read shorter stretches with --length.",
                      evaluation->arguments->eval.corpus, evaluation->length);
    return status;
}

/* ------------------------------------------------------------------ results */

static const struct estimate *estimate_of(const struct evaluation *evaluation, size_t s, size_t m)
{
    return &evaluation->comparison.estimates[s * METRICS + m];
}

#define LABEL 14 /* columns of the table that a measure's name takes */
#define CELL 28  /* and a system */

/* "a (low high)" of what a loss, or a difference of losses, is as a perplexity. */
static void print_cell(size_t *gap, const char *format, double value, double low, double high)
{
    char text[64];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(text, sizeof text, format, value, low, high);
#pragma GCC diagnostic pop
    output_cell(gap, CELL, text);
}

static double percent(double difference)
{
    return 100 * (exp(difference) - 1);
}

static void print_table(const struct evaluation *evaluation)
{
    printf("%zu stretches of %zu tokens of %zu texts\n"
           "In parentheses: 95 %% intervals. Changes are those to the local context alone.\n\n"
           "local: %zu tokens. memory: and %zu of the %zu blocks before them. longer: and the %zu "
           "blocks before\nthem. reach: all blocks that the model was trained to see.\n\n",
           evaluation->stretches, evaluation->length, evaluation->comparison.group_count,
           evaluation->local, evaluation->best, evaluation->blocks, evaluation->best);
    size_t gap = 0;
    output_cell(&gap, LABEL, "perplexity");
    for (size_t s = 0; s < SYSTEMS; s++)
        output_cell(&gap, CELL, system_names[s]);
    putchar('\n');
    for (size_t m = 0; m < METRICS; m++) {
        gap = 0;
        output_cell(&gap, LABEL, loss_labels[m]);
        for (size_t s = 0; s < SYSTEMS; s++) {
            const struct estimate *item = estimate_of(evaluation, s, m);
            print_cell(&gap, "%.3f (%.3f %.3f)", exp(item->value), exp(item->interval.low),
                       exp(item->interval.high));
        }
        putchar('\n');
        gap = 0;
        output_cell(&gap, LABEL, "  change");
        output_cell(&gap, CELL, "");
        for (size_t s = 1; s < SYSTEMS; s++) {
            const struct estimate *item = estimate_of(evaluation, s, m);
            print_cell(&gap, "%+.2f %% (%+.2f %+.2f)", percent(item->difference),
                       percent(item->difference_interval.low),
                       percent(item->difference_interval.high));
        }
        putchar('\n');
    }
}

static void add_interval(cJSON *object, const char *name, double low, double high)
{
    cJSON *interval = cJSON_AddObjectToObject(object, name);
    cJSON_AddNumberToObject(interval, "low", low);
    cJSON_AddNumberToObject(interval, "high", high);
}

static void add_system(const struct evaluation *evaluation, size_t s, cJSON *object)
{
    cJSON *intervals = cJSON_CreateObject(), *changes = cJSON_CreateObject();
    for (size_t m = 0; m < METRICS; m++) {
        const struct estimate *item = estimate_of(evaluation, s, m);
        cJSON_AddNumberToObject(object, loss_names[m], exp(item->value));
        add_interval(intervals, loss_names[m], exp(item->interval.low), exp(item->interval.high));
        cJSON *change = cJSON_AddObjectToObject(changes, loss_names[m]);
        cJSON_AddNumberToObject(change, "percent", percent(item->difference));
        add_interval(change, "interval", percent(item->difference_interval.low),
                     percent(item->difference_interval.high));
    }
    cJSON_AddItemToObject(object, "intervals", intervals);
    cJSON_AddItemToObject(object, "changes", changes);
}

static enum lmk_status print_json(const struct evaluation *evaluation, struct lmk_error *error)
{
    cJSON *object = json_start("eval perplexity");
    cJSON_AddStringToObject(object, "corpus", evaluation->arguments->eval.corpus);
    cJSON_AddStringToObject(object, "model", lmk_model_name(evaluation->model));
    cJSON_AddNumberToObject(object, "texts", (double)evaluation->comparison.group_count);
    cJSON_AddNumberToObject(object, "stretches", (double)evaluation->stretches);
    cJSON_AddNumberToObject(object, "length", (double)evaluation->length);
    cJSON_AddNumberToObject(object, "local", (double)evaluation->local);
    cJSON_AddNumberToObject(object, "blocks", (double)evaluation->blocks);
    cJSON_AddNumberToObject(object, "k", (double)evaluation->best);
    const char *kept = evaluation->arguments->tier_name;
    cJSON_AddStringToObject(object, "kv", kept ? kept : "none");
    cJSON_AddNumberToObject(object, "seed", (double)evaluation->arguments->seed);
    cJSON_AddNumberToObject(object, "draws", BOOTSTRAP_DRAWS);
    cJSON *modes = cJSON_AddObjectToObject(object, "modes");
    for (size_t s = 0; s < SYSTEMS; s++)
        add_system(evaluation, s, cJSON_AddObjectToObject(modes, system_names[s]));
    return json_print(object, error);
}

/* ------------------------------------------------------------------ the command */

static size_t or_default(size_t given, size_t otherwise)
{
    return given ? given : otherwise;
}

static enum lmk_status prepare(struct evaluation *evaluation, struct lmk_error *error)
{
    const struct arguments *arguments = evaluation->arguments;
    evaluation->length = or_default(arguments->eval.length, 2048);
    evaluation->most = or_default(arguments->eval.repeats, 8);
    evaluation->local = or_default(arguments->eval.local, 250);
    evaluation->blocks = or_default(arguments->eval.far, 40);
    evaluation->best = or_default(arguments->blocks, 4);
    evaluation->tier = arguments->tier_name ? arguments->tier : LMK_TIER_NONE;
    if (evaluation->length < 4)
        return fail(error, LMK_USAGE, "A stretch has at least 4 tokens.");
    enum lmk_status status =
        objects_read(arguments->eval.corpus, take_text, &evaluation->texts, error);
    size_t rows = evaluation->texts.count * evaluation->most + 1;
    evaluation->scores =
        calloc(evaluation->most, (evaluation->length - 1) * sizeof *evaluation->scores);
    evaluation->losses = calloc(rows, SYSTEMS * METRICS * sizeof *evaluation->losses);
    evaluation->groups = calloc(rows, sizeof *evaluation->groups);
    if (!status && (!evaluation->scores || !evaluation->losses || !evaluation->groups))
        status = fail_memory(error);
    if (!status)
        status = session_open_model(&evaluation->model, arguments, error);
    return status ? status : open_scorers(evaluation, error);
}

static enum lmk_status evaluate(struct evaluation *evaluation, struct lmk_error *error)
{
    enum lmk_status status = prepare(evaluation, error);
    if (!status)
        status = read_all(evaluation, error);
    if (status)
        return status;
    evaluation->comparison = (struct comparison){.systems = system_names,
                                                 .names = loss_names,
                                                 .labels = loss_labels,
                                                 .groups = evaluation->groups,
                                                 .values = evaluation->losses,
                                                 .rows = evaluation->stretches,
                                                 .system_count = SYSTEMS,
                                                 .metric_count = METRICS,
                                                 .seed = evaluation->arguments->seed};
    status = comparison_estimate(&evaluation->comparison, error);
    if (status)
        return status;
    if (evaluation->arguments->json)
        return print_json(evaluation, error);
    print_table(evaluation);
    return LMK_OK;
}

enum lmk_status command_eval_perplexity(const struct arguments *arguments, struct lmk_error *error)
{
    struct evaluation evaluation = {.arguments = arguments};
    if (!arguments->eval.corpus || arguments->word_count)
        return fail(error, LMK_USAGE,
                    "Name a file of texts with --corpus. See: lmk help eval perplexity");
    lmk_set_threads(arguments->threads);
    progress_start(&evaluation.display, arguments->quiet);
    enum lmk_status status = evaluate(&evaluation, error);
    for (size_t s = 0; s < SYSTEMS; s++)
        lmk_scorer_close(evaluation.scorers[s]);
    comparison_release(&evaluation.comparison);
    lmk_model_close(evaluation.model);
    text_list_release(&evaluation.texts);
    free(evaluation.scores);
    free(evaluation.losses);
    free(evaluation.groups);
    return status;
}
