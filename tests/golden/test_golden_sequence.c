/* Sequences against the reference's golden values: a document as a prompt, the question's first
 * pass, the choice of blocks, the second pass and the answer. */
#include "src/model/rows.h"
#include "tests/golden/golden_file.h"

#include <glob.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { BLOCKS_READ = 8 };

struct golden_case {
    char *model, *values;
};

struct fixture {
    struct lmk_model *model;
    cJSON *values;
    const cJSON *question;
    uint32_t *document, *prompt;
    size_t document_count, prompt_count;
    struct golden_blocks blocks;
};

static void open_fixture(struct fixture *f, const struct golden_case *golden)
{
    struct lmk_error error;
    if (lmk_model_open(&f->model, golden->model, &error))
        fail_msg("%s", error.message);
    f->values = golden_load(golden->values);
    f->question = golden_member(f->values, "question");
    f->document = golden_ids(golden_member(f->values, "document_ids"), &f->document_count);
    f->prompt = golden_ids(golden_member(f->question, "prompt_ids"), &f->prompt_count);
    golden_blocks_open(&f->blocks, f->model, f->document, f->document_count);
}

static void close_fixture(struct fixture *f)
{
    golden_blocks_close(&f->blocks);
    free(f->document);
    free(f->prompt);
    cJSON_Delete(f->values);
    lmk_model_close(f->model);
}

static struct sequence *open_sequence(const struct fixture *f, size_t max_tokens, bool queries_only)
{
    struct sequence *sequence;
    assert_int_equal(sequence_open(&sequence, f->model, max_tokens, queries_only, NULL), LMK_OK);
    return sequence;
}

static void feed(struct sequence *sequence, const uint32_t *tokens, size_t count, float *logits)
{
    struct lmk_error error;
    if (sequence_feed(sequence, tokens, count, logits, &error))
        fail_msg("%s", error.message);
}

static double surprise(const float *logits, size_t count, uint32_t token)
{
    double sum = 0, largest = -INFINITY;
    for (size_t i = 0; i < count; i++)
        largest = fmax(largest, (double)logits[i]);
    for (size_t i = 0; i < count; i++)
        sum += exp((double)logits[i] - largest);
    return largest + log(sum) - (double)logits[token];
}

static void check_document(const struct fixture *f)
{
    size_t vocabulary = f->model->shape.vocabulary, count = f->document_count,
           n = f->model->shape.block_tokens;
    size_t padded = (count + n - 1) / n * n;
    uint32_t *tokens = calloc(padded, sizeof *tokens);
    for (size_t i = 0; i < padded; i++)
        tokens[i] = i < count ? f->document[i] : f->model->shape.padding_id;
    float *logits = malloc(padded * vocabulary * sizeof *logits);
    struct sequence *sequence = open_sequence(f, padded, false);
    feed(sequence, tokens, padded, logits);
    const cJSON *row;
    cJSON_ArrayForEach(row, golden_member(f->values, "logits"))
    {
        size_t at = (size_t)atoi(row->string), offset = at % (n + 1);
        if (offset < n)
            golden_compare_logits("logits of a document", row,
                                  logits + (at / (n + 1) * n + offset) * vocabulary,
                                  GOLDEN_TOLERANCE);
    }
    double sum = 0;
    for (size_t t = 0; t + 1 < count; t++)
        sum += surprise(logits + t * vocabulary, vocabulary, tokens[t + 1]);
    if (count > 1) {
        double expected = golden_member(f->values, "mean_nll")->valuedouble;
        assert_float_equal(sum / (double)(count - 1), expected, 1e-3 * expected);
    }
    sequence_close(sequence);
    free(logits);
    free(tokens);
}

static void check_pooled(const struct fixture *f, const struct sequence *sequence)
{
    const struct model_shape *shape = &f->model->shape;
    float *pooled = malloc(model_landmark_width(shape) * sizeof *pooled);
    sequence_pooled_query(sequence, pooled);
    for (size_t m = 0; m < shape->memory_layer_count; m++) {
        char path[64];
        snprintf(path, sizeof path, "pooled_query/%u", shape->memory_layers[m]);
        const cJSON *heads = golden_member(f->question, path);
        for (size_t g = 0; g < shape->kv_heads; g++)
            golden_compare("pooled query", cJSON_GetArrayItem(heads, (int)g),
                           pooled + (m * shape->kv_heads + g) * shape->head_width,
                           shape->head_width, GOLDEN_TOLERANCE);
    }
    free(pooled);
}

/* Scores both ways: landmarks rotated forward, and the query turned back. */
static void find_scores(const struct fixture *f, const struct sequence *sequence, float *scores)
{
    const struct model_shape *shape = &f->model->shape;
    size_t width = model_landmark_width(shape);
    float *pooled = malloc(width * sizeof *pooled), *turned = malloc(width * sizeof *turned);
    float *landmark = malloc(width * sizeof *landmark);
    sequence_pooled_query(sequence, pooled);
    scoring_turn_query(shape, pooled, turned);
    for (size_t b = 0; b < f->blocks.count; b++) {
        double forward = 0, back = 0;
        scoring_rotate_landmark(shape, f->blocks.landmark_keys + b * width, landmark);
        for (size_t i = 0; i < width; i++) {
            forward += (double)pooled[i] * (double)landmark[i];
            back += (double)turned[i] * (double)f->blocks.landmark_keys[b * width + i];
        }
        scores[b] = (float)(forward / sqrt(shape->head_width));
        assert_float_equal(back / sqrt(shape->head_width), (double)scores[b],
                           1e-4 * fabs((double)scores[b]) + 1e-4);
    }
    free(pooled);
    free(turned);
    free(landmark);
}

/* The best blocks in order of age. */
static size_t choose(const float *scores, size_t count, size_t *chosen)
{
    size_t k = 0;
    for (size_t b = 0; b < count; b++) {
        size_t better = 0;
        for (size_t other = 0; other < count; other++)
            better += scores[other] > scores[b] || (scores[other] == scores[b] && other < b);
        if (better < BLOCKS_READ)
            chosen[k++] = b;
    }
    return k;
}

static void check_first_pass(const struct fixture *f)
{
    struct sequence *queries = open_sequence(f, f->prompt_count, true);
    struct sequence *whole = open_sequence(f, f->prompt_count, false);
    feed(queries, f->prompt, f->prompt_count, NULL);
    assert_null(sequence_logits(queries));
    check_pooled(f, queries);
    /* In two pieces, the second of one token. */
    feed(whole, f->prompt, f->prompt_count - 1, NULL);
    feed(whole, f->prompt + f->prompt_count - 1, 1, NULL);
    check_pooled(f, whole);
    golden_compare_logits("logits without memory",
                          golden_member(f->question, "logits_last_without_memory"),
                          sequence_logits(whole), GOLDEN_TOLERANCE);

    float *scores = malloc(f->blocks.count * sizeof *scores);
    size_t chosen[BLOCKS_READ], expected_count;
    find_scores(f, queries, scores);
    golden_compare("joint scores", golden_member(f->question, "joint_scores"), scores,
                   f->blocks.count, GOLDEN_TOLERANCE);
    size_t k = choose(scores, f->blocks.count, chosen);
    uint32_t *expected = golden_ids(golden_member(f->question, "chosen_blocks"), &expected_count);
    assert_int_equal(k, expected_count);
    for (size_t i = 0; i < k; i++)
        assert_int_equal(chosen[i], expected[i]);
    free(expected);
    free(scores);
    sequence_close(queries);
    sequence_close(whole);
}

/* The chosen blocks as a collection stores them; what it allocates is freed by free_memory. */
static struct memory_block *make_memory(const struct fixture *f, enum tensor_type type,
                                        size_t *count)
{
    size_t width = model_landmark_width(&f->model->shape),
           size = width * f->model->shape.block_tokens;
    uint32_t *chosen = golden_ids(golden_member(f->question, "chosen_blocks"), count);
    struct memory_block *blocks = calloc(*count, sizeof *blocks);
    for (size_t i = 0; i < *count; i++) {
        size_t b = chosen[i];
        void *keys = malloc(rows_bytes(type, size)), *values = malloc(rows_bytes(type, size));
        rows_pack(type, f->blocks.keys + b * size, keys, size);
        rows_pack(type, f->blocks.values + b * size, values, size);
        bool is_newest = b + *count >= f->blocks.count;
        blocks[i] = (struct memory_block){type, keys, values, f->blocks.landmark_keys + b * width,
                                          (uint32_t)(i + is_newest)};
    }
    free(chosen);
    return blocks;
}

static void free_memory(struct memory_block *blocks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free((void *)blocks[i].keys);
        free((void *)blocks[i].values);
    }
    free(blocks);
}

static void check_mass(const struct fixture *f, const struct sequence *sequence, size_t count,
                       double tolerance)
{
    const struct model_shape *shape = &f->model->shape;
    float *mass = malloc(shape->memory_layer_count * count * sizeof *mass);
    sequence_landmark_mass(sequence, mass);
    for (size_t m = 0; m < shape->memory_layer_count; m++) {
        char path[64];
        snprintf(path, sizeof path, "landmark_mass_last/%u", shape->memory_layers[m]);
        golden_compare("landmark mass", golden_member(f->question, path), mass + m * count, count,
                       tolerance);
    }
    free(mass);
}

static uint32_t likeliest(const float *logits, size_t count)
{
    size_t best = 0;
    for (size_t i = 1; i < count; i++)
        best = logits[i] > logits[best] ? i : best;
    return (uint32_t)best;
}

static void check_answer(const struct fixture *f, struct sequence *sequence)
{
    const struct model_shape *shape = &f->model->shape;
    size_t count;
    uint32_t *expected = golden_ids(golden_member(f->question, "greedy_ids"), &count);
    for (size_t i = 0; i < count; i++) {
        uint32_t token = likeliest(sequence_logits(sequence), shape->vocabulary);
        assert_int_equal(token, expected[i]);
        feed(sequence, &token, 1, NULL);
    }
    free(expected);
}

static void check_second_pass(const struct fixture *f, enum tensor_type type, double tolerance)
{
    size_t count;
    struct memory_block *blocks = make_memory(f, type, &count);
    struct sequence *sequence = open_sequence(f, f->prompt_count + 64, false);
    assert_int_equal(sequence_set_memory(sequence, blocks, count, NULL), LMK_OK);
    feed(sequence, f->prompt, f->prompt_count, NULL);
    golden_compare_logits("logits with the chosen blocks",
                          golden_member(f->question, "logits_last_with_chosen_blocks"),
                          sequence_logits(sequence), tolerance);
    check_mass(f, sequence, count, tolerance);
    if (type == TENSOR_F32)
        check_answer(f, sequence);
    sequence_close(sequence);
    free_memory(blocks, count);
}

/* A selector that gives every head and row the same blocks must come to what sequence_set_memory
 * does. */
struct fixed_choice {
    const struct memory_block *blocks;
    size_t count, heads;
};

static enum lmk_status choose_fixed(void *context, size_t m, const float *far_queries, size_t rows,
                                    const struct memory_block **chosen, size_t *counts,
                                    struct lmk_error *error)
{
    const struct fixed_choice *choice = context;
    (void)m, (void)far_queries, (void)error;
    for (size_t i = 0; i < rows * choice->heads; i++) {
        counts[i] = choice->count;
        for (size_t j = 0; j < choice->count; j++)
            chosen[i * choice->count + j] = &choice->blocks[j];
    }
    return LMK_OK;
}

static void check_selector(const struct fixture *f)
{
    size_t count;
    struct memory_block *blocks = make_memory(f, TENSOR_F32, &count);
    struct sequence *sequence = open_sequence(f, f->prompt_count + 64, false);
    struct fixed_choice choice = {blocks, count, f->model->shape.heads};
    struct memory_selector selector = {count, choose_fixed, &choice};
    assert_int_equal(sequence_set_selector(sequence, &selector, NULL), LMK_OK);
    feed(sequence, f->prompt, f->prompt_count, NULL);
    golden_compare_logits("logits with a selector",
                          golden_member(f->question, "logits_last_with_chosen_blocks"),
                          sequence_logits(sequence), GOLDEN_TOLERANCE);
    check_answer(f, sequence);
    sequence_close(sequence);
    free_memory(blocks, count);
}

static void run_case(void **state)
{
    struct fixture f;
    open_fixture(&f, *state);
    check_document(&f);
    check_first_pass(&f);
    check_second_pass(&f, TENSOR_F32, GOLDEN_TOLERANCE);
    check_second_pass(&f, TENSOR_F16, 1e-2);
    check_selector(&f);
    close_fixture(&f);
}

enum { MOST_CASES = 256 };

/* Adds a test for each golden file of a model in tests/golden that fits the pattern. */
static size_t add_cases(const char *model, const char *pattern, struct CMUnitTest *tests,
                        struct golden_case *cases, size_t count)
{
    char path[256];
    glob_t found;
    snprintf(path, sizeof path, "tests/golden/golden-%s%s.json", model, pattern);
    if (glob(path, 0, NULL, &found))
        fail_msg("no golden values at %s: tests run from the top of the source tree", path);
    snprintf(path, sizeof path, "tests/golden/%s.gguf", model);
    for (size_t i = 0; i < found.gl_pathc && count < MOST_CASES; i++, count++) {
        cases[count] = (struct golden_case){strdup(path), strdup(found.gl_pathv[i])};
        tests[count] =
            (struct CMUnitTest){cases[count].values, run_case, NULL, NULL, &cases[count]};
    }
    globfree(&found);
    return count;
}

static size_t collect_cases(struct CMUnitTest *tests, struct golden_case *cases)
{
    static const char *const models[] = {"tiny-slot", "tiny-slot-all", "tiny-stingy-all"};
    size_t count = 0;
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        count = add_cases(models[i], "", tests, cases, count);
        count = add_cases(models[i], "-[0-9]*", tests, cases, count);
    }
    /* A larger model, where one is at hand. */
    char *large = getenv("LMK_GOLDEN_MODEL");
    if (large && count < MOST_CASES) {
        cases[count] = (struct golden_case){strdup(large), strdup("tests/golden/golden.json")};
        tests[count] =
            (struct CMUnitTest){cases[count].values, run_case, NULL, NULL, &cases[count]};
        count++;
    }
    return count;
}

/* With two arguments, MODEL.gguf VALUES.json, only these. */
int main(int argc, char **argv)
{
    static struct CMUnitTest tests[MOST_CASES];
    static struct golden_case cases[MOST_CASES];
    size_t count = 1;
    indexer_force_float32(true);
    if (argc == 3) {
        cases[0] = (struct golden_case){strdup(argv[1]), strdup(argv[2])};
        tests[0] = (struct CMUnitTest){cases[0].values, run_case, NULL, NULL, &cases[0]};
    } else
        count = collect_cases(tests, cases);
    int failed = _cmocka_run_group_tests("golden sequence", tests, count, NULL, NULL);
    for (size_t i = 0; i < count; i++) {
        free(cases[i].model);
        free(cases[i].values);
    }
    return failed;
}
