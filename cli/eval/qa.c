/* lmk eval qa: the answers of lmk ask against those of a question set, and what they rest on. */
#include "cli/command.h"
#include "cli/eval/comparison.h"
#include "cli/eval/folder.h"
#include "cli/eval/library.h"
#include "cli/eval/qa_set.h"
#include "cli/eval/risk.h"
#include "cli/eval/squad.h"
#include "cli/output.h"
#include "cli/progress.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What may be read: the right passages alone; all passages; all but the right ones. */
enum setting { KNOWN, RETRIEVED, REMOVED, SETTINGS };
static const char *const setting_names[SETTINGS] = {"known", "retrieved", "removed"};
static const char *const setting_stages[SETTINGS] = {
    "asking, right passage known", "asking, passages retrieved", "asking, right passages removed"};

enum answer_metric { EXACT_MATCH, F1, ANSWER_METRICS };
static const char *const answer_names[ANSWER_METRICS] = {"exact_match", "f1"};
static const char *const answer_labels[ANSWER_METRICS] = {"EM", "F1"};

enum citation { TOP_RETRIEVED, MOST_CITED, CITATIONS };
static const char *const citation_names[CITATIONS] = {"top_retrieved", "most_cited"};
static const char *const holds_names[] = {"holds_answer"}, *const holds_labels[] = {"holds"};

struct asked {
    struct graded_answer graded; /* found: an answer was written; right: an exact match */
    bool supported;              /* and lmk_ask says that what it read supports it */
    double f1;
    bool holds[CITATIONS]; /* whether the block holds one of the answers */
};

struct evaluation {
    const struct arguments *arguments;
    struct display display;
    struct corpus corpus;
    struct qa_set set;
    struct lmk_model *model;
    struct asked *asked[SETTINGS]; /* [questions] each; NULL: not asked */
    uint32_t *gold;                /* [questions]: the first right passage */
    double *answer_values;         /* [questions][2][ANSWER_METRICS] */
    double *citation_values;       /* [questions][CITATIONS] */
    struct comparison answers, citations;
};

/* ------------------------------------------------------------------ asking */

static enum lmk_status holds_answer(const struct qa_question *question,
                                    const struct lmk_passage *passage, bool *holds,
                                    struct lmk_error *error)
{
    char *text = squad_normalise(passage->text);
    if (!text)
        return fail_memory(error);
    for (size_t i = 0; i < question->answers.count; i++)
        *holds = *holds || squad_holds(text, question->answers.items[i]);
    free(text);
    return LMK_OK;
}

static enum lmk_status grade(const struct qa_question *question, const struct lmk_answer *answer,
                             struct asked *asked, struct lmk_error *error)
{
    char *text = squad_normalise(answer->text ? answer->text : "");
    if (!text)
        return fail_memory(error);
    asked->graded.found = text[0];
    asked->graded.confidence = text[0] ? answer->confidence : NAN;
    asked->supported = text[0] && answer->found;
    for (size_t i = 0; text[0] && i < question->answers.count; i++) {
        asked->graded.right = asked->graded.right || !strcmp(text, question->answers.items[i]);
        asked->f1 = fmax(asked->f1, squad_f1(text, question->answers.items[i]));
    }
    free(text);
    return answer->count
               ? holds_answer(question, &answer->passages[0], &asked->holds[MOST_CITED], error)
               : LMK_OK;
}

static enum lmk_status ask(const struct evaluation *evaluation, struct lmk_collection *collection,
                           const struct qa_question *question, struct asked *asked,
                           struct lmk_error *error)
{
    const struct arguments *arguments = evaluation->arguments;
    struct lmk_ask_options options = lmk_ask_defaults(evaluation->model);
    struct lmk_answer *answer;
    options.blocks = arguments->blocks ? arguments->blocks : options.blocks;
    options.candidates = arguments->candidates ? arguments->candidates : options.candidates;
    options.max_tokens = arguments->max_tokens ? arguments->max_tokens : options.max_tokens;
    options.mode = arguments->mode;
    if (arguments->texts != SIZE_MAX)
        options.texts = arguments->texts;
    options.generate = true;
    enum lmk_status status = lmk_ask(collection, question->text, &options, &answer, error);
    if (status)
        return status == LMK_NOT_FOUND ? LMK_OK : status;
    status = grade(question, answer, asked, error);
    lmk_answer_free(answer);
    return status;
}

static enum lmk_status find_top(const struct evaluation *evaluation,
                                struct lmk_collection *collection,
                                const struct qa_question *question, struct asked *asked,
                                struct lmk_error *error)
{
    struct lmk_search_options options = lmk_search_defaults();
    struct lmk_results *results;
    options.top = 1;
    options.mode = evaluation->arguments->mode;
    options.merge = options.mark = false;
    enum lmk_status status = lmk_search(collection, question->text, &options, &results, error);
    if (status)
        return status == LMK_NOT_FOUND ? LMK_OK : status;
    if (results->count)
        status = holds_answer(question, &results->passages[0], &asked->holds[TOP_RETRIEVED], error);
    lmk_results_free(results);
    return status;
}

static enum lmk_status step(struct evaluation *evaluation, enum setting setting, size_t done,
                            struct lmk_error *error)
{
    return progress_count(&evaluation->display, setting_stages[setting], "questions", done,
                          evaluation->set.count)
               ? LMK_OK
               : fail(error, LMK_INTERRUPTED, "Interrupted while asking.");
}

/* Asks every question in one collection. */
static enum lmk_status ask_all(struct evaluation *evaluation, struct lmk_collection *collection,
                               enum setting setting, struct lmk_error *error)
{
    enum lmk_status status = LMK_OK;
    for (size_t i = 0; !status && i < evaluation->set.count; i++) {
        const struct qa_question *question = &evaluation->set.questions[i];
        struct asked *asked = &evaluation->asked[setting][i];
        status = ask(evaluation, collection, question, asked, error);
        if (!status && setting == RETRIEVED)
            status = find_top(evaluation, collection, question, asked, error);
        if (!status)
            status = step(evaluation, setting, i + 1, error);
    }
    progress_clear(&evaluation->display);
    return status;
}

/* ------------------------------------------------------------------ collections */

/* Some entries of the corpus in a collection, both in a temporary folder. */
struct part {
    char *folder, path[PATH_MAX]; /* of its corpus */
    struct corpus corpus;
    struct library library;
};

/* Close it in any case. */
static enum lmk_status part_open(struct part *part, struct evaluation *evaluation, const bool *kept,
                                 bool quiet, struct lmk_error *error)
{
    struct arguments arguments = *evaluation->arguments;
    struct display display = evaluation->display;
    arguments.collection = NULL;
    display.quiet = display.quiet || quiet;
    memset(part, 0, sizeof *part);
    enum lmk_status status = folder_make(&part->folder, error);
    if (status)
        return status;
    snprintf(part->path, sizeof part->path, "%s/corpus.jsonl", part->folder);
    status = corpus_write(&evaluation->corpus, kept, part->path, error);
    if (!status)
        status = corpus_read(&part->corpus, part->path, error);
    return status ? status
                  : library_open(&part->library, &arguments, evaluation->model, &part->corpus,
                                 &display, error);
}

static void part_close(struct part *part)
{
    library_close(&part->library);
    corpus_release(&part->corpus);
    folder_remove(part->folder);
}

static bool same_gold(const struct qa_question *a, const struct qa_question *b)
{
    return a->gold_count == b->gold_count &&
           !memcmp(a->gold, b->gold, a->gold_count * sizeof *a->gold);
}

/* Asks the questions from `first` on that have the same right passages, in a collection of these.
 */
static enum lmk_status ask_group(struct evaluation *evaluation, size_t first, bool *kept,
                                 bool *done, size_t *asked, struct lmk_error *error)
{
    const struct qa_question *questions = evaluation->set.questions, *question = &questions[first];
    struct part part;
    for (size_t j = 0; j < question->gold_count; j++)
        kept[question->gold[j]] = true;
    enum lmk_status status = part_open(&part, evaluation, kept, true, error);
    for (size_t i = first; !status && i < evaluation->set.count; i++) {
        if (done[i] || !same_gold(question, &questions[i]))
            continue;
        done[i] = true;
        status = ask(evaluation, part.library.collection, &questions[i],
                     &evaluation->asked[KNOWN][i], error);
        if (!status)
            status = step(evaluation, KNOWN, ++*asked, error);
    }
    part_close(&part);
    for (size_t j = 0; j < question->gold_count; j++)
        kept[question->gold[j]] = false;
    return status;
}

static enum lmk_status ask_known(struct evaluation *evaluation, struct lmk_error *error)
{
    size_t asked = 0;
    bool *kept = calloc(evaluation->corpus.ids.count, sizeof *kept);
    bool *done = calloc(evaluation->set.count, sizeof *done);
    enum lmk_status status = kept && done ? LMK_OK : fail_memory(error);
    for (size_t i = 0; !status && i < evaluation->set.count; i++)
        if (!done[i])
            status = ask_group(evaluation, i, kept, done, &asked, error);
    progress_clear(&evaluation->display);
    free(kept);
    free(done);
    return status;
}

static enum lmk_status ask_retrieved(struct evaluation *evaluation, struct lmk_error *error)
{
    struct library library;
    enum lmk_status status = library_open(&library, evaluation->arguments, evaluation->model,
                                          &evaluation->corpus, &evaluation->display, error);
    if (!status)
        status = ask_all(evaluation, library.collection, RETRIEVED, error);
    library_close(&library);
    return status;
}

/* Without the right passages of any of the questions. */
static enum lmk_status ask_removed(struct evaluation *evaluation, struct lmk_error *error)
{
    size_t entries = evaluation->corpus.ids.count, left = entries;
    bool *kept = malloc(entries * sizeof *kept);
    if (!kept)
        return fail_memory(error);
    memset(kept, true, entries);
    for (size_t i = 0; i < evaluation->set.count; i++)
        for (size_t j = 0; j < evaluation->set.questions[i].gold_count; j++) {
            bool *entry = &kept[evaluation->set.questions[i].gold[j]];
            left -= *entry;
            *entry = false;
        }
    struct part part = {0};
    enum lmk_status status =
        left ? part_open(&part, evaluation, kept, false, error)
             : fail(error, LMK_USAGE,
                    "Nothing is left of %s without the passages that answer the questions. Ask "
                    "fewer with --limit, or add passages.",
                    evaluation->corpus.path);
    if (!status)
        status = ask_all(evaluation, part.library.collection, REMOVED, error);
    part_close(&part);
    free(kept);
    return status;
}

/* ------------------------------------------------------------------ measures */

static void fill_values(struct evaluation *evaluation)
{
    for (size_t i = 0; i < evaluation->set.count; i++) {
        evaluation->gold[i] = evaluation->set.questions[i].gold[0];
        for (size_t setting = KNOWN; setting <= RETRIEVED; setting++) {
            const struct asked *asked = &evaluation->asked[setting][i];
            double *values = evaluation->answer_values + (2 * i + setting) * ANSWER_METRICS;
            values[EXACT_MATCH] = asked->graded.right;
            values[F1] = asked->f1;
        }
        for (size_t c = 0; c < CITATIONS; c++)
            evaluation->citation_values[i * CITATIONS + c] =
                evaluation->asked[RETRIEVED][i].holds[c];
    }
}

static enum lmk_status compare(struct evaluation *evaluation, struct lmk_error *error)
{
    size_t count = evaluation->set.count;
    evaluation->gold = malloc(count * sizeof *evaluation->gold);
    evaluation->answer_values =
        malloc(count * 2 * ANSWER_METRICS * sizeof *evaluation->answer_values);
    evaluation->citation_values = malloc(count * CITATIONS * sizeof *evaluation->citation_values);
    if (!evaluation->gold || !evaluation->answer_values || !evaluation->citation_values)
        return fail_memory(error);
    fill_values(evaluation);
    struct comparison common = {
        .groups = evaluation->gold, .rows = count, .seed = evaluation->arguments->seed};
    evaluation->answers = evaluation->citations = common;
    evaluation->answers.systems = setting_names;
    evaluation->answers.names = answer_names;
    evaluation->answers.labels = answer_labels;
    evaluation->answers.values = evaluation->answer_values;
    evaluation->answers.system_count = 2;
    evaluation->answers.metric_count = ANSWER_METRICS;
    evaluation->citations.systems = citation_names;
    evaluation->citations.names = holds_names;
    evaluation->citations.labels = holds_labels;
    evaluation->citations.values = evaluation->citation_values;
    evaluation->citations.system_count = CITATIONS;
    evaluation->citations.metric_count = 1;
    enum lmk_status status = comparison_estimate(&evaluation->answers, error);
    return status ? status : comparison_estimate(&evaluation->citations, error);
}

/* Answers of a kind of questions: right, wrong, not found (or found, and not supported). */
enum outcome { RIGHT, WRONG, NOT_FOUND, OUTCOMES };
static const char *const outcome_names[OUTCOMES] = {"right", "wrong", "not_found"};

static void count_outcomes(const struct evaluation *evaluation, enum setting setting,
                           size_t counts[OUTCOMES])
{
    memset(counts, 0, OUTCOMES * sizeof *counts);
    for (size_t i = 0; i < evaluation->set.count; i++) {
        const struct asked *asked = &evaluation->asked[setting][i];
        /* without its passage a question has no right answer: that it is guessed right is luck */
        counts[!asked->supported ? NOT_FOUND : asked->graded.right ? RIGHT : WRONG]++;
    }
}

/* All that was written with passages to be found, and without them where that was asked: then every
 * answer is wrong. NULL: out of memory. */
static struct graded_answer *collect_graded(const struct evaluation *evaluation, size_t *count)
{
    size_t questions = evaluation->set.count;
    const struct asked *removed = evaluation->asked[REMOVED];
    struct graded_answer *all = malloc(2 * questions * sizeof *all);
    *count = removed ? 2 * questions : questions;
    for (size_t i = 0; all && i < questions; i++) {
        all[i] = evaluation->asked[RETRIEVED][i].graded;
        if (removed) {
            all[questions + i] = removed[i].graded;
            all[questions + i].right = false;
        }
    }
    return all;
}

/* ------------------------------------------------------------------ results */

static void print_outcomes(const struct evaluation *evaluation)
{
    static const char *const kinds[SETTINGS] = {
        [RETRIEVED] = "answerable", [REMOVED] = "unanswerable"};
    printf("\n%-14s%-24s%-24s%s\n", "", "right", "wrong", "not found");
    for (enum setting setting = RETRIEVED; setting <= REMOVED; setting++) {
        size_t counts[OUTCOMES];
        count_outcomes(evaluation, setting, counts);
        size_t gap = 0;
        output_cell(&gap, 14, kinds[setting]);
        for (size_t o = 0; o < OUTCOMES; o++) {
            char text[64];
            struct interval interval = wilson_interval((double)counts[o], evaluation->set.count);
            snprintf(text, sizeof text, "%.3f (%.3f %.3f)",
                     (double)counts[o] / (double)evaluation->set.count, interval.low,
                     interval.high);
            output_cell(&gap, 24, text);
        }
        putchar('\n');
    }
}

static void print_curve(const struct risk_curve *curve, bool with_removed)
{
    printf("\nWhen only the surest answers are given%s (area %.3f):\n\n%-12s",
           with_removed ? ", with and without the right passages" : "", curve->area, "answered");
    for (size_t p = 0; p < RISK_POINTS; p++)
        printf("%5zu %%", (p + 1) * 100 / RISK_POINTS);
    printf("\n%-12s", "wrong");
    for (size_t p = 0; p < RISK_POINTS; p++)
        isnan(curve->risk[p]) ? printf("%7s", "-") : printf("%7.3f", curve->risk[p]);
    printf("\n%-12s", "probability");
    for (size_t p = 0; p < RISK_POINTS; p++)
        isnan(curve->risk[p]) ? printf("%7s", "-") : printf("%7.3f", curve->confidence[p]);
    putchar('\n');
}

static void print_tables(const struct evaluation *evaluation, const struct risk_curve *curve)
{
    bool removed = evaluation->asked[REMOVED];
    printf("%s about %s, among %zu entries of %s\n"
           "In parentheses: 95 %% intervals. diff: to the first, * where its interval has no 0.\n"
           "\nAnswers, with the right passage known, and with passages retrieved\n\n",
           output_count(evaluation->set.count, "question"),
           output_count(evaluation->answers.group_count, "document"), evaluation->corpus.ids.count,
           output_path(evaluation->corpus.path));
    comparison_print(&evaluation->answers);
    puts("\nHow often a block holds the answer\n");
    comparison_print(&evaluation->citations);
    if (removed)
        print_outcomes(evaluation);
    print_curve(curve, removed);
}

static void add_outcomes(const struct evaluation *evaluation, enum setting setting,
                         const char *name, cJSON *object)
{
    size_t counts[OUTCOMES];
    cJSON *outcomes = cJSON_AddObjectToObject(object, name);
    count_outcomes(evaluation, setting, counts);
    for (size_t o = 0; o < OUTCOMES; o++)
        cJSON_AddNumberToObject(outcomes, outcome_names[o],
                                (double)counts[o] / (double)evaluation->set.count);
}

/* An object for each question, in their order: what a threshold of confidence is fitted on. */
static void add_answers(const struct evaluation *evaluation, enum setting setting, const char *name,
                        cJSON *object)
{
    cJSON *list = cJSON_AddArrayToObject(object, name);
    for (size_t i = 0; i < evaluation->set.count; i++) {
        const struct asked *asked = &evaluation->asked[setting][i];
        cJSON *answer = cJSON_CreateObject();
        cJSON_AddNumberToObject(answer, "confidence",
                                asked->graded.found ? asked->graded.confidence : NAN);
        cJSON_AddBoolToObject(answer, "found", asked->supported);
        cJSON_AddBoolToObject(answer, "right", asked->graded.right);
        cJSON_AddItemToArray(list, answer);
    }
}

static cJSON *json_curve(const struct risk_curve *curve)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddNumberToObject(object, "coverage", curve->coverage);
    cJSON_AddNumberToObject(object, "area", curve->area);
    cJSON *points = cJSON_AddArrayToObject(object, "points");
    for (size_t p = 0; p < RISK_POINTS; p++) {
        cJSON *point = cJSON_CreateObject();
        cJSON_AddNumberToObject(point, "coverage", (double)(p + 1) / RISK_POINTS);
        cJSON_AddNumberToObject(point, "risk", curve->risk[p]);
        cJSON_AddNumberToObject(point, "confidence", curve->confidence[p]);
        cJSON_AddItemToArray(points, point);
    }
    return object;
}

static enum lmk_status print_json(const struct evaluation *evaluation,
                                  const struct risk_curve *curve, struct lmk_error *error)
{
    static const char *const modes[] = {"hybrid", "landmark", "lexical"};
    cJSON *object = json_start("eval qa");
    cJSON_AddStringToObject(object, "corpus", evaluation->corpus.path);
    cJSON_AddNumberToObject(object, "entries", (double)evaluation->corpus.ids.count);
    cJSON_AddStringToObject(object, "model", lmk_model_name(evaluation->model));
    cJSON_AddNumberToObject(object, "questions", (double)evaluation->set.count);
    cJSON_AddNumberToObject(object, "documents", (double)evaluation->answers.group_count);
    cJSON_AddNumberToObject(object, "seed", (double)evaluation->arguments->seed);
    cJSON_AddNumberToObject(object, "draws", BOOTSTRAP_DRAWS);
    cJSON_AddStringToObject(object, "mode", modes[evaluation->arguments->mode]);
    cJSON *settings = cJSON_AddObjectToObject(object, "modes");
    for (size_t s = KNOWN; s <= RETRIEVED; s++)
        comparison_json(&evaluation->answers, s,
                        cJSON_AddObjectToObject(settings, setting_names[s]));
    cJSON *citations = cJSON_AddObjectToObject(object, "citations");
    for (size_t c = 0; c < CITATIONS; c++)
        comparison_json(&evaluation->citations, c,
                        cJSON_AddObjectToObject(citations, citation_names[c]));
    add_outcomes(evaluation, RETRIEVED, "answerable", object);
    if (evaluation->asked[REMOVED])
        add_outcomes(evaluation, REMOVED, "unanswerable", object);
    cJSON_AddItemToObject(object, "risk_coverage", json_curve(curve));
    cJSON *answers = cJSON_AddObjectToObject(object, "answers");
    add_answers(evaluation, RETRIEVED, "answerable", answers);
    if (evaluation->asked[REMOVED])
        add_answers(evaluation, REMOVED, "unanswerable", answers);
    return json_print(object, error);
}

static enum lmk_status report(const struct evaluation *evaluation, struct lmk_error *error)
{
    size_t count;
    struct graded_answer *graded = collect_graded(evaluation, &count);
    if (!graded)
        return fail_memory(error);
    struct risk_curve curve = risk_curve_make(graded, count);
    free(graded);
    if (evaluation->arguments->json)
        return print_json(evaluation, &curve, error);
    print_tables(evaluation, &curve);
    return LMK_OK;
}

/* ------------------------------------------------------------------ the command */

static enum lmk_status prepare(struct evaluation *evaluation, struct lmk_error *error)
{
    const struct arguments *arguments = evaluation->arguments;
    const struct eval_arguments *eval = &arguments->eval;
    struct lot lot = {eval->limit ? eval->limit : SIZE_MAX, arguments->seed};
    enum lmk_status status = corpus_read(&evaluation->corpus, eval->corpus, error);
    if (!status)
        status = qa_set_read(&evaluation->set, &evaluation->corpus, eval->questions, lot, error);
    for (size_t s = 0; !status && s < SETTINGS; s++) {
        if (s == REMOVED && !eval->unanswerable)
            continue;
        evaluation->asked[s] = calloc(evaluation->set.count, sizeof *evaluation->asked[s]);
        if (!evaluation->asked[s])
            status = fail_memory(error);
    }
    return status ? status : session_open_model(&evaluation->model, arguments, error);
}

static enum lmk_status evaluate(struct evaluation *evaluation, struct lmk_error *error)
{
    enum lmk_status status = prepare(evaluation, error);
    if (!status)
        status = ask_known(evaluation, error);
    if (!status)
        status = ask_retrieved(evaluation, error);
    if (!status && evaluation->asked[REMOVED])
        status = ask_removed(evaluation, error);
    if (!status)
        status = compare(evaluation, error);
    return status ? status : report(evaluation, error);
}

enum lmk_status command_eval_qa(const struct arguments *arguments, struct lmk_error *error)
{
    struct evaluation evaluation = {.arguments = arguments};
    if (!arguments->eval.corpus || !arguments->eval.questions || arguments->word_count)
        return fail(error, LMK_USAGE,
                    "Name the set with --corpus and --questions. See: lmk help eval qa");
    lmk_set_threads(arguments->threads);
    progress_start(&evaluation.display, arguments->quiet);
    enum lmk_status status = evaluate(&evaluation, error);
    comparison_release(&evaluation.answers);
    comparison_release(&evaluation.citations);
    for (size_t s = 0; s < SETTINGS; s++)
        free(evaluation.asked[s]);
    free(evaluation.gold);
    free(evaluation.answer_values);
    free(evaluation.citation_values);
    lmk_model_close(evaluation.model);
    qa_set_release(&evaluation.set);
    corpus_release(&evaluation.corpus);
    return status;
}
