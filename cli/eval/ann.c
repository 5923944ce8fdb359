/* lmk eval ann: what the FAISS indexes of a collection find of what an exact search finds, and how
 * fast, over what they look at. */
#include "cli/command.h"
#include "cli/eval/dataset.h"
#include "cli/eval/lines.h"
#include "cli/eval/statistics.h"
#include "cli/output.h"
#include "cli/progress.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* The first is exact, the reference of all; 1 is what searches use. */
static const double efforts[] = {INFINITY, .125, .25, .5, 1, 2, 4, 8, 16};
#define EFFORTS (sizeof efforts / sizeof efforts[0])

static const size_t depths[] = {1, 10, 100};
#define DEPTHS (sizeof depths / sizeof depths[0])
#define DEEPEST 100

/* The best blocks of a question by their landmark scores. */
struct found {
    uint64_t blocks[DEEPEST];
    size_t count;
};

struct evaluation {
    const struct arguments *arguments;
    struct display display;
    struct session session;
    struct text_list questions;
    struct found *exact;  /* [questions] */
    double *milliseconds; /* [questions], of one effort */
    struct effort {
        double recall[DEPTHS], median;
        double probes; /* mean */
    } results[EFFORTS];
    struct lmk_info info;
};

static enum lmk_status take_question(void *context, const cJSON *object, struct lmk_error *error)
{
    const char *text = json_text(object, "text");
    text = text ? text : json_text(object, "question");
    return text ? text_list_add(context, text, error)
                : fail(error, LMK_INPUT, "a question needs a text \"text\" or \"question\".");
}

/* ------------------------------------------------------------------ searching */

static int by_landmark(const void *left, const void *right)
{
    const struct lmk_passage *a = left, *b = right;
    if (a->landmark_score != b->landmark_score)
        return a->landmark_score < b->landmark_score ? 1 : -1;
    return a->best_block < b->best_block ? -1 : a->best_block > b->best_block;
}

static enum lmk_status search(struct evaluation *evaluation, size_t question, struct found *found,
                              double *probes, struct lmk_error *error)
{
    struct lmk_search_options options = lmk_search_defaults();
    struct lmk_results *results;
    options.mode = LMK_LANDMARK;
    options.top = options.candidates;
    options.per_document = 0;
    options.merge = options.mark = false;
    enum lmk_status status =
        lmk_search(evaluation->session.collection, evaluation->questions.items[question], &options,
                   &results, error);
    if (status)
        return status;
    /* further ranking changes the order, but not what the index brought */
    qsort(results->passages, results->count, sizeof *results->passages, by_landmark);
    found->count = results->count < DEEPEST ? results->count : DEEPEST;
    for (size_t i = 0; i < found->count; i++)
        found->blocks[i] = results->passages[i].best_block;
    evaluation->milliseconds[question] = results->timing.candidates;
    *probes += (double)results->probes / (double)evaluation->questions.count;
    lmk_results_free(results);
    return LMK_OK;
}

/* The share of the first `depth` of `exact` that are among the first `depth` of `found`. */
static double recall(const struct found *exact, const struct found *found, size_t depth)
{
    size_t wanted = exact->count < depth ? exact->count : depth, hits = 0;
    for (size_t i = 0; i < wanted; i++)
        for (size_t j = 0; j < found->count && j < depth; j++)
            hits += exact->blocks[i] == found->blocks[j];
    return wanted ? (double)hits / (double)wanted : 1;
}

static enum lmk_status search_all(struct evaluation *evaluation, size_t e, struct lmk_error *error)
{
    char stage[48];
    struct effort *result = &evaluation->results[e];
    size_t count = evaluation->questions.count;
    snprintf(stage, sizeof stage, isinf(efforts[e]) ? "exact search" : "effort %g", efforts[e]);
    enum lmk_status status = lmk_set_effort(evaluation->session.collection, efforts[e], error);
    for (size_t i = 0; !status && i < count; i++) {
        struct found found, *place = e ? &found : &evaluation->exact[i];
        status = search(evaluation, i, place, &result->probes, error);
        for (size_t d = 0; !status && d < DEPTHS; d++)
            result->recall[d] += recall(&evaluation->exact[i], place, depths[d]) / (double)count;
        if (!status && !progress_count(&evaluation->display, stage, "questions", i + 1, count))
            status = fail(error, LMK_INTERRUPTED, "Interrupted while searching.");
    }
    qsort(evaluation->milliseconds, count, sizeof *evaluation->milliseconds, compare_doubles);
    result->median = quantile(evaluation->milliseconds, count, .5);
    return status;
}

/* ------------------------------------------------------------------ results */

static void print_table(const struct evaluation *evaluation)
{
    printf("%zu questions, %llu blocks, %llu of them in %llu FAISS segments\n\n"
           "%8s %10s %10s %10s %10s %12s\n",
           evaluation->questions.count, (unsigned long long)evaluation->info.blocks,
           (unsigned long long)evaluation->info.segment_blocks,
           (unsigned long long)evaluation->info.segments, "effort", "looked at", "recall@1",
           "recall@10", "recall@100", "ms (median)");
    for (size_t e = 0; e < EFFORTS; e++) {
        const struct effort *result = &evaluation->results[e];
        if (isinf(efforts[e]))
            printf("%8s %10s", "exact", "all");
        else
            result->probes > 0 ? printf("%8g %10.1f", efforts[e], result->probes)
                               : printf("%8g %10s", efforts[e], "all");
        printf(" %10.3f %10.3f %10.3f %12.2f%s\n", result->recall[0], result->recall[1],
               result->recall[2], result->median, efforts[e] == 1 ? "  <- used" : "");
    }
    puts("\nLooked at, all segments together: blocks found by their codes and rescored with the "
         "stored keys,\nlists of an IVF index (nprobe), or candidates of HNSW (efSearch).");
}

static enum lmk_status print_json(const struct evaluation *evaluation, struct lmk_error *error)
{
    cJSON *object = json_start("eval ann");
    cJSON_AddNumberToObject(object, "questions", (double)evaluation->questions.count);
    cJSON_AddNumberToObject(object, "blocks", (double)evaluation->info.blocks);
    cJSON_AddNumberToObject(object, "segment_blocks", (double)evaluation->info.segment_blocks);
    cJSON_AddNumberToObject(object, "segments", (double)evaluation->info.segments);
    cJSON *list = cJSON_AddArrayToObject(object, "efforts");
    for (size_t e = 0; e < EFFORTS; e++) {
        const struct effort *result = &evaluation->results[e];
        cJSON *item = cJSON_CreateObject();
        cJSON_AddNumberToObject(item, "effort", efforts[e]); /* null: exact */
        cJSON_AddNumberToObject(item, "probes", result->probes);
        cJSON_AddBoolToObject(item, "used", efforts[e] == 1);
        for (size_t d = 0; d < DEPTHS; d++) {
            char name[32];
            snprintf(name, sizeof name, "recall@%zu", depths[d]);
            cJSON_AddNumberToObject(item, name, result->recall[d]);
        }
        cJSON_AddNumberToObject(item, "milliseconds", result->median);
        cJSON_AddItemToArray(list, item);
    }
    return json_print(object, error);
}

static enum lmk_status evaluate(struct evaluation *evaluation, struct lmk_error *error)
{
    const struct arguments *arguments = evaluation->arguments;
    enum lmk_status status =
        objects_read(arguments->queries, take_question, &evaluation->questions, error);
    size_t count = evaluation->questions.count;
    if (!status && !count)
        status = fail(error, LMK_INPUT, "%s has no questions.", arguments->queries);
    if (!status)
        status = session_open(&evaluation->session, arguments, true, NULL, error);
    if (!status)
        status = lmk_info(evaluation->session.collection, &evaluation->info, error);
    evaluation->exact = calloc(count + 1, sizeof *evaluation->exact);
    evaluation->milliseconds = calloc(count + 1, sizeof *evaluation->milliseconds);
    if (!status && (!evaluation->exact || !evaluation->milliseconds))
        status = fail_memory(error);
    for (size_t e = 0; !status && e < EFFORTS; e++)
        status = search_all(evaluation, e, error);
    progress_clear(&evaluation->display);
    if (status)
        return status;
    if (arguments->json)
        return print_json(evaluation, error);
    print_table(evaluation);
    return LMK_OK;
}

enum lmk_status command_eval_ann(const struct arguments *arguments, struct lmk_error *error)
{
    struct evaluation evaluation = {.arguments = arguments};
    if (!arguments->collection || !arguments->queries || arguments->word_count)
        return fail(error, LMK_USAGE,
                    "Name a collection with -c and questions with --queries. See: lmk help eval "
                    "ann");
    progress_start(&evaluation.display, arguments->quiet);
    enum lmk_status status = evaluate(&evaluation, error);
    session_close(&evaluation.session);
    text_list_release(&evaluation.questions);
    free(evaluation.exact);
    free(evaluation.milliseconds);
    return status;
}
