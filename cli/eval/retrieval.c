/* lmk eval retrieval: the three modes, and runs of other systems, on a set in BEIR's format. */
#include "cli/command.h"
#include "cli/eval/comparison.h"
#include "cli/eval/library.h"
#include "cli/eval/trec.h"
#include "cli/fail.h"
#include "cli/output.h"
#include "cli/progress.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MODES 3
#define MOST_SYSTEMS (MODES + MOST_RUNS)

static const struct {
    enum lmk_mode mode;
    const char *name;
} modes[MODES] = {{LMK_LEXICAL, "lexical"}, {LMK_LANDMARK, "landmark"}, {LMK_HYBRID, "hybrid"}};

/* At block level every block takes a rank of its own; at document level an entry of the corpus is
 * ranked by its best block. */
enum level { BLOCKS, DOCUMENTS, LEVELS };
static const char *const level_names[LEVELS] = {"block", "document"};

struct system {
    char *name;
    struct ranked_list *rankings[LEVELS]; /* [questions] each */
    bool has_blocks;                      /* else it ranked whole entries */
    double *milliseconds;                 /* [questions], sorted; NULL: not measured here */
};

struct evaluation {
    const struct arguments *arguments;
    struct display display;
    struct corpus corpus;
    struct question_set questions;
    struct lmk_model *model;
    struct library library;
    size_t mode_count; /* MODES, or 0 with --no-search: the first of the systems */
    size_t depth;      /* blocks that a ranking has */
    struct system systems[MOST_SYSTEMS];
    const char *names[MOST_SYSTEMS];
    size_t system_count, baseline;
    uint32_t *gold;         /* [questions]: the right entry, the best of them */
    double *values[LEVELS]; /* [questions][system_count][METRIC_COUNT] */
    struct comparison comparisons[LEVELS];
};

/* ------------------------------------------------------------------ rankings */

/* A system without rankings yet. */
static enum lmk_status add_system(struct evaluation *evaluation, const char *name, size_t length,
                                  struct system **system, struct lmk_error *error)
{
    size_t count = evaluation->questions.ids.count;
    struct system *added = &evaluation->systems[evaluation->system_count++];
    added->name = strndup(name, length);
    for (size_t level = 0; level < LEVELS; level++)
        added->rankings[level] = calloc(count, sizeof *added->rankings[level]);
    *system = added;
    if (!added->name || !added->rankings[BLOCKS] || !added->rankings[DOCUMENTS])
        return fail_memory(error);
    for (size_t i = 0; i + 1 < evaluation->system_count; i++)
        if (!strcmp(evaluation->systems[i].name, added->name))
            return fail(error, LMK_USAGE, "Two systems are called \"%s\". Rename the run's file.",
                        added->name);
    return LMK_OK;
}

static enum lmk_status take_results(const struct library *library,
                                    const struct lmk_results *results, struct ranked_list *ranking,
                                    struct lmk_error *error)
{
    ranking->items = malloc((results->count + 1) * sizeof *ranking->items);
    if (!ranking->items)
        return fail_memory(error);
    for (size_t i = 0; i < results->count; i++) {
        const struct lmk_passage *passage = &results->passages[i];
        ranking->items[ranking->count++] =
            (struct scored){library_entry(library, passage->document), passage->score};
    }
    ranked_list_sort(ranking, library->corpus->ids.items);
    return LMK_OK;
}

static enum lmk_status search(struct evaluation *evaluation, enum lmk_mode mode, size_t question,
                              struct system *system, struct lmk_error *error)
{
    const struct arguments *arguments = evaluation->arguments;
    struct lmk_search_options options = lmk_search_defaults();
    struct lmk_results *results;
    options.mode = mode;
    options.top = evaluation->depth;
    options.candidates = arguments->candidates ? arguments->candidates : options.candidates;
    options.per_document = 0;
    options.merge = options.mark = false;
    if (arguments->most_matches != UINT64_MAX)
        options.most_matches = arguments->most_matches;
    enum lmk_status status =
        lmk_search(evaluation->library.collection, evaluation->questions.texts.items[question],
                   &options, &results, error);
    if (status)
        return status == LMK_NOT_FOUND ? LMK_OK : status;
    system->milliseconds[question] = results->timing.total;
    status =
        take_results(&evaluation->library, results, &system->rankings[BLOCKS][question], error);
    lmk_results_free(results);
    return status;
}

static enum lmk_status search_all(struct evaluation *evaluation, size_t mode,
                                  struct lmk_error *error)
{
    struct system *system;
    char stage[32];
    size_t count = evaluation->questions.ids.count;
    enum lmk_status status = add_system(evaluation, modes[mode].name, SIZE_MAX, &system, error);
    if (status)
        return status;
    snprintf(stage, sizeof stage, "searching, %s", modes[mode].name);
    system->has_blocks = true;
    system->milliseconds = calloc(count, sizeof *system->milliseconds);
    if (!system->milliseconds)
        return fail_memory(error);
    for (size_t i = 0; !status && i < count; i++) {
        status = search(evaluation, modes[mode].mode, i, system, error);
        if (!status && !progress_count(&evaluation->display, stage, "questions", i + 1, count))
            status = fail(error, LMK_INTERRUPTED, "Interrupted while searching.");
    }
    progress_clear(&evaluation->display);
    qsort(system->milliseconds, count, sizeof *system->milliseconds, compare_doubles);
    return status;
}

/* Another system's run; it is called what its file is called. */
static enum lmk_status read_run(struct evaluation *evaluation, const char *path,
                                struct lmk_error *error)
{
    struct system *system;
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path,
               *dot = strrchr(name, '.');
    enum lmk_status status = add_system(
        evaluation, name, dot && dot > name ? (size_t)(dot - name) : SIZE_MAX, &system, error);
    return status ? status
                  : trec_read(path, &evaluation->corpus, &evaluation->questions,
                              system->rankings[BLOCKS], error);
}

/* The rankings at document level. A run that names no entry twice is one of whole entries. */
static enum lmk_status rank_documents(struct evaluation *evaluation, struct lmk_error *error)
{
    bool *seen = calloc(evaluation->corpus.ids.count, sizeof *seen);
    for (size_t s = 0; seen && s < evaluation->system_count; s++) {
        struct system *system = &evaluation->systems[s];
        for (size_t i = 0; i < evaluation->questions.ids.count; i++) {
            const struct ranked_list *blocks = &system->rankings[BLOCKS][i];
            struct ranked_list *documents = &system->rankings[DOCUMENTS][i];
            documents->count = blocks->count;
            documents->items = malloc((blocks->count + 1) * sizeof *documents->items);
            if (!documents->items) {
                free(seen);
                return fail_memory(error);
            }
            if (blocks->count)
                memcpy(documents->items, blocks->items, blocks->count * sizeof *blocks->items);
            ranked_list_collapse(documents, seen);
            system->has_blocks = system->has_blocks || documents->count < blocks->count;
        }
    }
    free(seen);
    return seen ? LMK_OK : fail_memory(error);
}

/* ------------------------------------------------------------------ measures */

static void measure(struct evaluation *evaluation, enum level level)
{
    size_t systems = evaluation->system_count;
    for (size_t i = 0; i < evaluation->questions.ids.count; i++)
        for (size_t s = 0; s < systems; s++) {
            const struct system *system = &evaluation->systems[s];
            const struct judged *judged = &evaluation->questions.judged[i];
            double *values = evaluation->values[level] + (i * systems + s) * METRIC_COUNT;
            metrics_measure(&system->rankings[level][i], judged->items, judged->count, values);
            for (size_t m = 0; level == BLOCKS && !system->has_blocks && m < METRIC_COUNT; m++)
                values[m] = NAN;
        }
}

static enum lmk_status find_gold(struct evaluation *evaluation, struct lmk_error *error)
{
    size_t count = evaluation->questions.ids.count;
    evaluation->gold = malloc(count * sizeof *evaluation->gold);
    for (size_t i = 0; evaluation->gold && i < count; i++)
        evaluation->gold[i] = evaluation->questions.judged[i].items[0].entry;
    return evaluation->gold ? LMK_OK : fail_memory(error);
}

static enum lmk_status compare(struct evaluation *evaluation, enum level level,
                               struct lmk_error *error)
{
    size_t rows = evaluation->questions.ids.count, systems = evaluation->system_count;
    double *values = malloc(rows * systems * METRIC_COUNT * sizeof *values);
    evaluation->values[level] = values;
    if (!values)
        return fail_memory(error);
    measure(evaluation, level);
    evaluation->comparisons[level] = (struct comparison){
        .systems = evaluation->names,
        .names = metric_names,
        .labels = metric_labels,
        .groups = evaluation->gold,
        .values = values,
        .rows = rows,
        .system_count = systems,
        .metric_count = METRIC_COUNT,
        .baseline = evaluation->baseline,
        .seed = evaluation->arguments->seed,
    };
    return comparison_estimate(&evaluation->comparisons[level], error);
}

/* ------------------------------------------------------------------ results */

static cJSON *json_system(const struct evaluation *evaluation, size_t s)
{
    const struct system *system = &evaluation->systems[s];
    size_t count = evaluation->questions.ids.count;
    cJSON *object = cJSON_CreateObject();
    comparison_json(&evaluation->comparisons[DOCUMENTS], s, object);
    if (system->has_blocks)
        comparison_json(&evaluation->comparisons[BLOCKS], s,
                        cJSON_AddObjectToObject(object, level_names[BLOCKS]));
    if (system->milliseconds) {
        cJSON *times = cJSON_AddObjectToObject(object, "milliseconds");
        cJSON_AddNumberToObject(times, "median", quantile(system->milliseconds, count, .5));
        cJSON_AddNumberToObject(times, "p95", quantile(system->milliseconds, count, .95));
    }
    return object;
}

static enum lmk_status print_json(const struct evaluation *evaluation, struct lmk_error *error)
{
    cJSON *object = json_start("eval retrieval");
    cJSON_AddStringToObject(object, "corpus", evaluation->corpus.path);
    cJSON_AddNumberToObject(object, "entries", (double)evaluation->corpus.ids.count);
    cJSON_AddNumberToObject(object, "questions", (double)evaluation->questions.ids.count);
    cJSON_AddNumberToObject(object, "documents",
                            (double)evaluation->comparisons[DOCUMENTS].group_count);
    cJSON_AddNumberToObject(object, "depth", (double)evaluation->depth);
    cJSON_AddNumberToObject(object, "seed", (double)evaluation->arguments->seed);
    cJSON_AddNumberToObject(object, "draws", BOOTSTRAP_DRAWS);
    if (evaluation->model)
        cJSON_AddStringToObject(object, "model", lmk_model_name(evaluation->model));
    cJSON_AddStringToObject(object, "baseline", evaluation->names[evaluation->baseline]);
    cJSON *of_modes = cJSON_AddObjectToObject(object, "modes"),
          *of_runs = cJSON_AddObjectToObject(object, "runs");
    for (size_t s = 0; s < evaluation->system_count; s++)
        cJSON_AddItemToObject(s < evaluation->mode_count ? of_modes : of_runs, evaluation->names[s],
                              json_system(evaluation, s));
    return json_print(object, error);
}

static void print_tables(const struct evaluation *evaluation)
{
    const char *baseline = evaluation->names[evaluation->baseline];
    bool blocks = false;
    for (size_t s = 0; s < evaluation->system_count; s++)
        blocks = blocks || evaluation->systems[s].has_blocks;
    printf("%s about %s, among %zu entries of %s\n"
           "In parentheses: 95 %% intervals. diff: to %s, * where its interval has no 0.\n",
           output_count(evaluation->questions.ids.count, "question"),
           output_count(evaluation->comparisons[DOCUMENTS].group_count, "document"),
           evaluation->corpus.ids.count, output_path(evaluation->corpus.path), baseline);
    puts("\nDocuments, each ranked by its best block\n");
    comparison_print(&evaluation->comparisons[DOCUMENTS]);
    if (blocks) {
        puts("\nBlocks\n");
        comparison_print(&evaluation->comparisons[BLOCKS]);
    }
    putchar('\n');
    for (size_t s = 0; s < evaluation->mode_count; s++) {
        const double *times = evaluation->systems[s].milliseconds;
        size_t count = evaluation->questions.ids.count;
        printf("%-10s%.1f ms a question (median; 95 %% within %.1f ms)\n", evaluation->names[s],
               quantile(times, count, .5), quantile(times, count, .95));
    }
}

static enum lmk_status write_runs(const struct evaluation *evaluation, struct lmk_error *error)
{
    enum lmk_status status = LMK_OK;
    for (size_t s = 0; !status && s < evaluation->mode_count; s++)
        status = trec_write(evaluation->arguments->eval.write_runs, evaluation->names[s],
                            &evaluation->corpus, &evaluation->questions,
                            evaluation->systems[s].rankings[DOCUMENTS], error);
    return status;
}

/* ------------------------------------------------------------------ the command */

static enum lmk_status find_baseline(struct evaluation *evaluation, struct lmk_error *error)
{
    const char *wanted = evaluation->arguments->eval.baseline;
    for (size_t s = 0; s < evaluation->system_count; s++)
        evaluation->names[s] = evaluation->systems[s].name;
    for (size_t s = 0; wanted && s < evaluation->system_count; s++)
        if (!strcmp(evaluation->names[s], wanted)) {
            evaluation->baseline = s;
            return LMK_OK;
        }
    return wanted ? fail(error, LMK_USAGE,
                         "No system is called \"%s\". The baseline is a mode or a run's file "
                         "without its suffix.",
                         wanted)
                  : LMK_OK;
}

static enum lmk_status rank_all(struct evaluation *evaluation, struct lmk_error *error)
{
    const struct eval_arguments *eval = &evaluation->arguments->eval;
    enum lmk_status status = LMK_OK;
    for (size_t i = 0; !status && i < evaluation->mode_count; i++)
        status = search_all(evaluation, i, error);
    for (size_t i = 0; !status && i < eval->run_count; i++)
        status = read_run(evaluation, eval->runs[i], error);
    if (!status)
        status = find_baseline(evaluation, error);
    return status ? status : rank_documents(evaluation, error);
}

static enum lmk_status evaluate(struct evaluation *evaluation, struct lmk_error *error)
{
    const struct arguments *arguments = evaluation->arguments;
    const struct eval_arguments *eval = &arguments->eval;
    enum lmk_status status = corpus_read(&evaluation->corpus, eval->corpus, error);
    if (!status)
        status = questions_read(
            &evaluation->questions, &evaluation->corpus, arguments->queries, eval->qrels,
            (struct lot){eval->limit ? eval->limit : SIZE_MAX, arguments->seed}, error);
    if (!status && evaluation->mode_count)
        status = session_open_model(&evaluation->model, arguments, error);
    if (!status && evaluation->mode_count)
        status = library_open(&evaluation->library, arguments, evaluation->model,
                              &evaluation->corpus, &evaluation->display, error);
    if (!status)
        status = rank_all(evaluation, error);
    if (!status)
        status = find_gold(evaluation, error);
    for (size_t level = 0; !status && level < LEVELS; level++)
        status = compare(evaluation, level, error);
    if (!status && eval->write_runs)
        status = write_runs(evaluation, error);
    if (status)
        return status;
    if (arguments->json)
        return print_json(evaluation, error);
    print_tables(evaluation);
    return LMK_OK;
}

static void release_system(struct system *system, size_t questions)
{
    for (size_t level = 0; level < LEVELS; level++) {
        for (size_t i = 0; system->rankings[level] && i < questions; i++)
            ranked_list_release(&system->rankings[level][i]);
        free(system->rankings[level]);
    }
    free(system->milliseconds);
    free(system->name);
}

static void release(struct evaluation *evaluation)
{
    for (size_t s = 0; s < evaluation->system_count; s++)
        release_system(&evaluation->systems[s], evaluation->questions.ids.count);
    for (size_t level = 0; level < LEVELS; level++) {
        comparison_release(&evaluation->comparisons[level]);
        free(evaluation->values[level]);
    }
    free(evaluation->gold);
    library_close(&evaluation->library);
    lmk_model_close(evaluation->model);
    questions_release(&evaluation->questions);
    corpus_release(&evaluation->corpus);
    free(evaluation);
}

enum lmk_status command_eval_retrieval(const struct arguments *arguments, struct lmk_error *error)
{
    const struct eval_arguments *eval = &arguments->eval;
    if (!eval->corpus || !arguments->queries || !eval->qrels || arguments->word_count)
        return fail(error, LMK_USAGE,
                    "Name the set with --corpus, --queries and --qrels. See: lmk help eval "
                    "retrieval");
    if (eval->no_search && !eval->run_count)
        return fail(error, LMK_USAGE, "With --no-search, name rankings with --run.");
    struct evaluation *evaluation = calloc(1, sizeof *evaluation);
    if (!evaluation)
        return fail_memory(error);
    evaluation->arguments = arguments;
    evaluation->mode_count = eval->no_search ? 0 : MODES;
    evaluation->depth =
        arguments->candidates ? arguments->candidates : lmk_search_defaults().candidates;
    lmk_set_threads(arguments->threads);
    progress_start(&evaluation->display, arguments->quiet);
    enum lmk_status status = evaluate(evaluation, error);
    release(evaluation);
    return status;
}
