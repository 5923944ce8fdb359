/* A question as a collection answers it, against the reference's golden values: the document goes
 * through the indexer into the store (rows in f16), the blocks come back through the search, their
 * keys are attended to, and the second pass reads them in the memory map. */
#include "index/ingest.h"
#include "index/memory.h"
#include "index/ranking.h"
#include "tests/golden/golden_file.h"
#include "tests/unit/scratch.h"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { BLOCKS_READ = 8, MOST_CASES = 64 };

/* Of values that went through half precision, of their size. */
static const double stored_tolerance = 1e-2;

struct golden_case {
    const char *model;
    char *values;
};

struct fixture {
    struct lmk_model *model;
    struct lmk_collection *collection;
    struct store_view *view;
    cJSON *values;
    const cJSON *question;
    uint32_t *prompt;
    size_t prompt_count;
    struct sequence *first_pass, *second_pass;
    struct candidate *ranked; /* all blocks */
    size_t block_count;
};

static void add_document(struct fixture *f, const uint32_t *tokens, size_t count)
{
    size_t n = f->model->shape.block_tokens, blocks = (count + n - 1) / n;
    struct block_text *texts = calloc(blocks, sizeof *texts);
    struct map_run run = {0, 0};
    for (size_t b = 0; b < blocks; b++)
        texts[b] = (struct block_text){
            .token_count = (uint32_t)(count - b * n < n ? count - b * n : n),
            .tokens = tokens + b * n,
            .runs = &run,
            .run_count = 1,
        };
    struct document document = {
        .state = DOCUMENT_TEXT,
        .tier = LMK_TIER_F16,
        .block_count = blocks,
        .token_count = count,
        .path = "golden",
        .title = "",
        .author = "",
        .language = "",
        .kind = "text",
        .metadata = "{}",
    };
    struct store_batch *batch;
    struct lmk_error error;
    must(store_batch_begin(f->collection->store, &batch, &error), &error);
    must(store_add_document(batch, &document, texts, &error), &error);
    must(store_commit(batch, &error), &error);
    free(texts);
    struct lmk_index_report report = {0};
    struct ingest ingest = {.collection = f->collection, .report = &report};
    must(ingest_model(&ingest, &error), &error);
    assert_int_equal(report.documents, 1);
    assert_int_equal(report.tokens, count);
    f->block_count = blocks;
}

static void open_fixture(struct fixture *f, const struct golden_case *golden)
{
    *f = (struct fixture){.model = scratch_model(golden->model)};
    f->values = golden_load(golden->values);
    f->question = golden_member(f->values, "question");
    f->prompt = golden_ids(golden_member(f->question, "prompt_ids"), &f->prompt_count);
    f->collection = scratch_create("golden.lmk", f->model, LMK_TIER_F16, NULL);
    size_t count;
    uint32_t *document = golden_ids(golden_member(f->values, "document_ids"), &count);
    add_document(f, document, count);
    free(document);
    /* What follows is read by somebody else. */
    lmk_collection_close(f->collection);
    f->collection = scratch_reader("golden.lmk", f->model);
    f->view = scratch_view(f->collection);
}

static void close_fixture(struct fixture *f)
{
    sequence_close(f->first_pass);
    sequence_close(f->second_pass);
    store_view_end(f->view);
    lmk_collection_close(f->collection);
    free(f->ranked);
    free(f->prompt);
    cJSON_Delete(f->values);
    lmk_model_close(f->model);
}

static void search(struct fixture *f)
{
    struct lmk_error error;
    float *pooled = malloc(model_landmark_width(&f->model->shape) * sizeof *pooled);
    must(sequence_open(&f->first_pass, f->model, f->prompt_count, true, &error), &error);
    must(sequence_feed(f->first_pass, f->prompt, f->prompt_count, NULL, &error), &error);
    sequence_pooled_query(f->first_pass, pooled);
    f->ranked = calloc(f->block_count, sizeof *f->ranked);
    size_t found;
    must(segments_search(f->collection, f->view, SEGMENT_JOINT, pooled, f->block_count, NULL,
                         f->ranked, &found, &error),
         &error);
    assert_int_equal(found, f->block_count);
    free(pooled);
}

static void check_scores(const struct fixture *f)
{
    float *scores = calloc(f->block_count, sizeof *scores);
    for (size_t i = 0; i < f->block_count; i++) {
        assert_true(f->ranked[i].block < f->block_count);
        assert_true(!i || f->ranked[i].score <= f->ranked[i - 1].score);
        scores[f->ranked[i].block] = (float)f->ranked[i].score;
    }
    golden_compare("joint scores", golden_member(f->question, "joint_scores"), scores,
                   f->block_count, GOLDEN_TOLERANCE);
    free(scores);
}

/* head-scores.json holds, by golden file, [M][H] of each block. */
static void check_head_scores(const struct fixture *f, const char *name)
{
    const struct model_shape *shape = &f->model->shape;
    size_t heads = (size_t)shape->memory_layer_count * shape->heads;
    cJSON *all = golden_load("tests/golden/head-scores.json");
    const cJSON *blocks = golden_member(all, name);
    struct question question = {0};
    struct lmk_timing timing = {0};
    struct lmk_error error;
    must(scoring_open(&question.scoring, f->model, f->first_pass, &error), &error);
    struct ranking ranking = {.items = calloc(f->block_count, sizeof *ranking.items),
                              .count = f->block_count};
    for (size_t b = 0; b < f->block_count; b++)
        ranking.items[b].block = b;
    must(ranking_attend(&ranking, f->view, &question, shape, &timing, &error), &error);
    assert_int_equal(cJSON_GetArraySize(blocks), f->block_count);
    for (size_t b = 0; b < f->block_count; b++) {
        assert_non_null(ranking.items[b].head_scores);
        golden_compare("head scores", cJSON_GetArrayItem(blocks, (int)b),
                       ranking.items[b].head_scores, heads, stored_tolerance);
    }
    ranking_release(&ranking);
    scoring_close(question.scoring);
    cJSON_Delete(all);
}

static int by_number(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

static size_t check_chosen(const struct fixture *f, uint64_t *numbers)
{
    size_t count = f->block_count < BLOCKS_READ ? f->block_count : BLOCKS_READ, expected_count;
    uint32_t *expected = golden_ids(golden_member(f->question, "chosen_blocks"), &expected_count);
    for (size_t i = 0; i < count; i++)
        numbers[i] = f->ranked[i].block;
    qsort(numbers, count, sizeof *numbers, by_number);
    assert_int_equal(count, expected_count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(numbers[i], expected[i]);
    free(expected);
    return count;
}

/* reference.py's rule: the j-th block takes slot j, or j + 1 if it is among the newest. */
static void check_slots(const struct fixture *f, const uint64_t *numbers,
                        const struct memory_block *memory, size_t count)
{
    for (size_t j = 0; j < count; j++)
        assert_int_equal(memory[j].slot, numbers[j] >= f->block_count - count ? j + 1 : j);
}

static void run_second_pass(struct fixture *f, const uint64_t *numbers, size_t count)
{
    struct memory_block memory[BLOCKS_READ];
    struct memory *source;
    struct lmk_error error;
    must(memory_open(&source, f->model, f->view, &error), &error);
    for (size_t i = 0; i < count; i++) {
        must(memory_load(source, numbers[i], &memory[i], &error), &error);
        assert_int_equal(memory[i].type, TENSOR_F16);
    }
    memory_close(source); /* all of it lies in the map */
    memory_set_slots(memory, numbers, count, f->block_count);
    check_slots(f, numbers, memory, count);
    must(sequence_open(&f->second_pass, f->model, f->prompt_count + 64, false, &error), &error);
    must(sequence_set_memory(f->second_pass, memory, count, &error), &error);
    must(sequence_feed(f->second_pass, f->prompt, f->prompt_count, NULL, &error), &error);
}

static void check_mass(const struct fixture *f, size_t count)
{
    const struct model_shape *shape = &f->model->shape;
    float *mass = malloc(shape->memory_layer_count * count * sizeof *mass);
    sequence_landmark_mass(f->second_pass, mass);
    for (size_t m = 0; m < shape->memory_layer_count; m++) {
        char path[64];
        snprintf(path, sizeof path, "landmark_mass_last/%u", shape->memory_layers[m]);
        golden_compare("landmark mass", golden_member(f->question, path), mass + m * count, count,
                       stored_tolerance);
    }
    free(mass);
}

static void check_answer(const struct fixture *f)
{
    size_t count, vocabulary = f->model->shape.vocabulary;
    uint32_t *expected = golden_ids(golden_member(f->question, "greedy_ids"), &count);
    struct lmk_error error;
    for (size_t i = 0; i < count; i++) {
        const float *logits = sequence_logits(f->second_pass);
        uint32_t best = 0;
        for (uint32_t id = 1; id < vocabulary; id++)
            best = logits[id] > logits[best] ? id : best;
        assert_int_equal(best, expected[i]);
        must(sequence_feed(f->second_pass, &best, 1, NULL, &error), &error);
    }
    free(expected);
}

static void run_case(void **state)
{
    struct fixture f;
    const struct golden_case *golden = *state;
    uint64_t numbers[BLOCKS_READ];
    open_fixture(&f, golden);
    search(&f);
    check_scores(&f);
    check_head_scores(&f, strrchr(golden->values, '/') + 1);
    size_t count = check_chosen(&f, numbers);
    run_second_pass(&f, numbers, count);
    golden_compare_logits("logits with the chosen blocks",
                          golden_member(f.question, "logits_last_with_chosen_blocks"),
                          sequence_logits(f.second_pass), stored_tolerance);
    check_mass(&f, count);
    check_answer(&f);
    close_fixture(&f);
}

static size_t add_cases(const char *model, const char *pattern, struct CMUnitTest *tests,
                        struct golden_case *cases, size_t count)
{
    char path[256];
    glob_t found;
    snprintf(path, sizeof path, "tests/golden/golden-%s%s.json", model, pattern);
    if (glob(path, 0, NULL, &found))
        fail_msg("no golden values at %s: tests run from the top of the source tree", path);
    for (size_t i = 0; i < found.gl_pathc && count < MOST_CASES; i++, count++) {
        cases[count] = (struct golden_case){model, strdup(found.gl_pathv[i])};
        tests[count] = (struct CMUnitTest){cases[count].values, run_case, scratch_open,
                                           scratch_close, &cases[count]};
    }
    globfree(&found);
    return count;
}

int main(void)
{
    static const char *const models[] = {"tiny-slot", "tiny-slot-all", "tiny-stingy-all"};
    static struct CMUnitTest tests[MOST_CASES];
    static struct golden_case cases[MOST_CASES];
    size_t count = 0;
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        count = add_cases(models[i], "", tests, cases, count);
        count = add_cases(models[i], "-[0-9]*", tests, cases, count);
    }
    int failed = _cmocka_run_group_tests("golden query", tests, count, NULL, NULL);
    for (size_t i = 0; i < count; i++)
        free(cases[i].values);
    return failed;
}
