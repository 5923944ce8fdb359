/* Latency of questions by stage, through the public interface: bench_questions MODEL COLLECTION
 * QUESTIONS.jsonl [search]
 *
 * Every question is searched and, unless the last word is "search", asked twice for an answer of at
 * most 32 tokens: as the model's file says ("ask", by reading the best texts again) and from the
 * blocks' keys and values alone ("memory"). All of that is done twice; the first pass warms the
 * page cache up, the second is measured. Medians and 95th percentiles in milliseconds, and the
 * processor's time for one, all threads together, in the mean. Then the most anonymous memory that
 * the process ever had, and how fast the answers from memory were written, beside the rate at which
 * the weights that each token goes through can be read at all.
 */
#include "bench/clock.h"
#include "src/model/model.h"
#include "src/model/rows.h"

#include <cjson/cJSON.h>
#include <omp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_QUESTIONS 1000
enum { STAGES = 7, DECODE = 5 };

static const char *const stage_names[STAGES] = {"pass 1",    "candidates", "words", "fetch",
                                                "attention", "decode",     "total"};

struct samples {
    double values[STAGES][MOST_QUESTIONS];
    double processor; /* milliseconds, of all together */
    size_t count;
    size_t tokens; /* written */
};

enum { SEARCH, ASK, MEMORY, KINDS };
static const char *const kind_names[KINDS] = {"search", "ask", "memory"};

static void take(struct samples *samples, const struct lmk_timing *timing)
{
    const double values[STAGES] = {timing->pass1, timing->candidates, timing->words,
                                   timing->fetch, timing->attention,  timing->decode,
                                   timing->total};
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
    printf("  processor %.1f\n", samples->processor / (double)samples->count);
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

static enum lmk_status search_one(struct lmk_collection *collection, const char *question,
                                  struct samples *searches, struct lmk_error *error)
{
    struct lmk_results *results;
    double start = clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
    enum lmk_status status = lmk_search(collection, question, NULL, &results, error);
    if (status)
        return status;
    take(searches, &results->timing);
    lmk_results_free(results);
    searches->processor += 1e3 * (clock_seconds(CLOCK_PROCESS_CPUTIME_ID) - start);
    return LMK_OK;
}

static enum lmk_status ask_one(struct lmk_collection *collection,
                               const struct lmk_ask_options *options, const char *question,
                               struct samples *asks, struct lmk_error *error)
{
    struct lmk_answer *answer;
    double start = clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
    enum lmk_status status = lmk_ask(collection, question, options, &answer, error);
    if (status)
        return status;
    take(asks, &answer->timing);
    asks->processor += 1e3 * (clock_seconds(CLOCK_PROCESS_CPUTIME_ID) - start);
    asks->tokens += answer->tokens;
    lmk_answer_free(answer);
    return LMK_OK;
}

/* Without asks where `asking` is false. */
static enum lmk_status ask_all(struct lmk_collection *collection, const struct lmk_model *model,
                               char **questions, size_t count, bool asking,
                               struct samples samples[KINDS], struct lmk_error *error)
{
    struct lmk_ask_options again = lmk_ask_defaults(model), memory;
    enum lmk_status status = LMK_OK;
    again.generate = true;
    again.max_tokens = 32;
    memory = again;
    memory.texts = 0;
    for (size_t kind = 0; kind < KINDS; kind++)
        samples[kind].processor = samples[kind].count = samples[kind].tokens = 0;
    for (size_t i = 0; !status && i < count; i++) {
        status = search_one(collection, questions[i], &samples[SEARCH], error);
        if (!status && asking)
            status = ask_one(collection, &again, questions[i], &samples[ASK], error);
        if (!status && asking)
            status = ask_one(collection, &memory, questions[i], &samples[MEMORY], error);
    }
    return status;
}

/* ---- memory that no file stands behind */

static atomic_bool watching;
static uint64_t most_anonymous; /* KiB */

static uint64_t anonymous(void)
{
    char line[256];
    unsigned long long size = 0;
    FILE *file = fopen("/proc/self/status", "re");
    while (file && fgets(line, sizeof line, file) && sscanf(line, "RssAnon: %llu", &size) != 1)
        ;
    if (file)
        fclose(file);
    return size;
}

static void *watch(void *unused)
{
    while (atomic_load(&watching)) {
        uint64_t now = anonymous();
        if (now > most_anonymous)
            most_anonymous = now;
        usleep(2000);
    }
    return unused;
}

/* ---- reading the weights and nothing else */

enum { LAYER_WEIGHTS = 7, READ_ROUNDS = 21, READ_BYTES = 1 << 14 };

/* The matrices that each token goes through, into list[L * LAYER_WEIGHTS + 1]. */
static size_t list_weights(const struct lmk_model *model, const struct weight **list)
{
    size_t count = 0;
    for (uint32_t l = 0; l < model->shape.layers; l++) {
        const struct layer_weights *layer = &model->layers[l];
        const struct weight *const weights[LAYER_WEIGHTS] = {
            &layer->query, &layer->key, &layer->value, &layer->output,
            &layer->gate,  &layer->up,  &layer->down};
        memcpy(list + count, weights, sizeof weights);
        count += LAYER_WEIGHTS;
    }
    list[count++] = &model->output;
    return count;
}

static size_t weight_bytes(const struct weight *weight)
{
    return weight->rows * rows_bytes(weight->type, weight->columns);
}

/* By all threads of a team together. The sum is of no use, but makes reading necessary. */
static uint64_t read_weight(const struct weight *weight)
{
    uint64_t sum = 0;
#pragma omp for schedule(static) nowait
    for (size_t i = 0; i < weight_bytes(weight) / READ_BYTES; i++) {
        const uint64_t *words = (const void *)((const char *)weight->data + i * READ_BYTES);
        for (size_t w = 0; w < READ_BYTES / sizeof *words; w++)
            sum += words[w];
    }
    return sum;
}

/* Seconds to read all of them once, median of some rounds. */
static double reading_seconds(const struct weight *const *list, size_t count)
{
    static volatile uint64_t sink;
    double seconds[READ_ROUNDS];
    for (int round = 0; round < READ_ROUNDS; round++) {
        double start = omp_get_wtime();
        uint64_t sum = 0;
#pragma omp parallel reduction(+ : sum)
        for (size_t i = 0; i < count; i++)
            sum += read_weight(list[i]);
        sink = sum;
        seconds[round] = omp_get_wtime() - start;
    }
    (void)sink;
    qsort(seconds, READ_ROUNDS, sizeof *seconds, ascending);
    return seconds[READ_ROUNDS / 2];
}

static void print_decoding(const struct lmk_model *model, const struct samples *written)
{
    const struct weight **list = malloc((model->shape.layers * LAYER_WEIGHTS + 1) * sizeof *list);
    if (!list || !written->tokens) {
        free(list);
        return;
    }
    size_t count = list_weights(model, list);
    double bytes = 0, milliseconds = 0;
    for (size_t i = 0; i < written->count; i++)
        milliseconds += written->values[DECODE][i];
    double rate = 1e3 * (double)written->tokens / milliseconds;
    for (size_t i = 0; i < count; i++)
        bytes += (double)weight_bytes(list[i]);
    double seconds = reading_seconds(list, count);
    printf("decoding %.0f tokens/s, %.2f of the limit: a token's weights, %.1f MB, are read %.0f "
           "times a second at %.1f GB/s\n",
           rate, rate * seconds, 1e-6 * bytes, 1 / seconds, 1e-9 * bytes / seconds);
    free(list);
}

int main(int argc, char **argv)
{
    static char *questions[MOST_QUESTIONS];
    static struct samples samples[KINDS];
    struct lmk_model *model = NULL;
    struct lmk_collection *collection = NULL;
    struct lmk_error error = {0};
    bool asking = argc == 4;
    if (!asking && (argc != 5 || strcmp(argv[4], "search") != 0)) {
        fprintf(stderr, "usage: %s MODEL COLLECTION QUESTIONS.jsonl [search]\n", argv[0]);
        return LMK_USAGE;
    }
    pthread_t watcher;
    atomic_store(&watching, true);
    if (pthread_create(&watcher, NULL, watch, NULL)) {
        fputs("bench_questions: no thread\n", stderr);
        return LMK_MEMORY;
    }
    lmk_set_threads(0);
    size_t count = read_questions(argv[3], questions);
    enum lmk_status status = lmk_model_open(&model, argv[1], &error);
    if (!status)
        status = lmk_collection_open(&collection, argv[2], model, NULL, &error);
    for (int pass = 0; !status && count && pass < 2; pass++)
        status = ask_all(collection, model, questions, count, asking, samples, &error);
    atomic_store(&watching, false);
    pthread_join(watcher, NULL);
    if (status || !count)
        fprintf(stderr, "%s\n", status ? error.message : "No questions.");
    else {
        printf("%zu questions, median / 95th percentile in ms\n", count);
        for (size_t kind = SEARCH; kind < (asking ? KINDS : ASK); kind++)
            print(kind_names[kind], &samples[kind]);
        printf("anonymous memory: at most %.0f MB\n", 1024e-6 * (double)most_anonymous);
        print_decoding(model, &samples[MEMORY]);
    }
    lmk_collection_close(collection);
    lmk_model_close(model);
    for (size_t i = 0; i < count; i++)
        free(questions[i]);
    return status ? (int)status : count ? 0 : LMK_INPUT;
}
