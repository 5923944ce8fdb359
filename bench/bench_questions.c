/* Latency of questions by stage, through the public interface: bench_questions MODEL COLLECTION
 * QUESTIONS.jsonl
 *
 * Every question is searched and asked (an answer of 32 tokens at most) twice; the first pass warms
 * the page cache up, the second is measured. Medians and 95th percentiles in milliseconds.
 */
#include "lmk.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_QUESTIONS 1000
#define STAGES 6

static const char *const stage_names[STAGES] = {"pass 1",    "candidates", "fetch",
                                                "attention", "decode",     "total"};

struct samples {
    double values[STAGES][MOST_QUESTIONS];
    size_t count;
};

static void take(struct samples *samples, const struct lmk_timing *timing)
{
    const double values[STAGES] = {timing->pass1,     timing->candidates, timing->fetch,
                                   timing->attention, timing->decode,     timing->total};
    for (size_t i = 0; i < STAGES; i++)
        samples->values[i][samples->count] = values[i];
    samples->count++;
}

static int ascending(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return a < b ? -1 : a > b;
}

static void print(const char *name, struct samples *samples)
{
    printf("%-8s", name);
    for (size_t i = 0; i < STAGES; i++) {
        qsort(samples->values[i], samples->count, sizeof(double), ascending);
        printf("  %s %.1f / %.1f", stage_names[i], samples->values[i][samples->count / 2],
               samples->values[i][samples->count * 95 / 100]);
    }
    putchar('\n');
}

static size_t read_questions(const char *path, char *questions[MOST_QUESTIONS])
{
    char line[8192];
    size_t count = 0;
    FILE *file = fopen(path, "r");
    while (file && count < MOST_QUESTIONS && fgets(line, sizeof line, file)) {
        cJSON *object = cJSON_Parse(line);
        const char *question = cJSON_GetStringValue(cJSON_GetObjectItem(object, "question"));
        if (question)
            questions[count++] = strdup(question);
        cJSON_Delete(object);
    }
    if (file)
        fclose(file);
    return count;
}

static enum lmk_status ask_all(struct lmk_collection *collection, const struct lmk_model *model,
                               char **questions, size_t count, struct samples *searches,
                               struct samples *asks, struct lmk_error *error)
{
    struct lmk_ask_options options = lmk_ask_defaults(model);
    options.generate = true;
    options.max_tokens = 32;
    searches->count = asks->count = 0;
    for (size_t i = 0; i < count; i++) {
        struct lmk_results *results;
        struct lmk_answer *answer;
        enum lmk_status status = lmk_search(collection, questions[i], NULL, &results, error);
        if (status)
            return status;
        take(searches, &results->timing);
        lmk_results_free(results);
        if ((status = lmk_ask(collection, questions[i], &options, &answer, error)))
            return status;
        take(asks, &answer->timing);
        lmk_answer_free(answer);
    }
    return LMK_OK;
}

int main(int argc, char **argv)
{
    static char *questions[MOST_QUESTIONS];
    static struct samples searches, asks;
    struct lmk_model *model = NULL;
    struct lmk_collection *collection = NULL;
    struct lmk_error error = {0};
    if (argc != 4) {
        fprintf(stderr, "usage: %s MODEL COLLECTION QUESTIONS.jsonl\n", argv[0]);
        return LMK_USAGE;
    }
    lmk_set_threads(0);
    size_t count = read_questions(argv[3], questions);
    enum lmk_status status = lmk_model_open(&model, argv[1], &error);
    if (!status)
        status = lmk_collection_open(&collection, argv[2], model, NULL, &error);
    for (int pass = 0; !status && count && pass < 2; pass++)
        status = ask_all(collection, model, questions, count, &searches, &asks, &error);
    if (status || !count)
        fprintf(stderr, "%s\n", status ? error.message : "No questions.");
    else {
        printf("%zu questions, median / 95th percentile in ms\n", count);
        print("search", &searches);
        print("ask", &asks);
    }
    lmk_collection_close(collection);
    lmk_model_close(model);
    for (size_t i = 0; i < count; i++)
        free(questions[i]);
    return status ? (int)status : count ? 0 : LMK_INPUT;
}
