/* Blocks chosen inside the forward pass, against the softmax over all landmarks. */
#include "index/granularity.h"
#include "index/memory.h"
#include "tests/unit/random_model.h"
#include "tests/unit/scratch.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST_BLOCKS = 400, MOST_ROWS = 8, MOST_HEADS = 8, MOST_READ = 60 };

static struct lmk_model *models[2];
static struct lmk_collection *collections[2];
static const char *const names[2] = {"tiny-slot", "tiny-stingy-all"};

struct fixture {
    struct memory *memory;
    struct lmk_collection *collection;
    const struct model_shape *shape;
    struct store_view *view;
    const float *landmarks[MOST_BLOCKS]; /* by number, in the map */
    size_t block_count;
    struct granularity *granularity;
    enum lmk_granularity kind;
    size_t k;
    double masses[MOST_BLOCKS]; /* expected */
    bool read[MOST_BLOCKS];
};

static int open_group(void **state)
{
    if (scratch_open(state))
        return -1;
    for (size_t i = 0; i < 2; i++) {
        char name[32];
        for (int book = 0; book < 3; book++) {
            snprintf(name, sizeof name, "books%zu/%d.txt", i, book);
            scratch_write_prose(name, (uint64_t)book + 1, 120 + 100 * (size_t)book);
        }
        models[i] = scratch_model(names[i]);
        collections[i] = scratch_create(names[i], models[i], LMK_TIER_F16, NULL);
        snprintf(name, sizeof name, "books%zu", i);
        scratch_index(collections[i], name);
    }
    return 0;
}

static int close_group(void **state)
{
    for (size_t i = 0; i < 2; i++) {
        lmk_collection_close(collections[i]);
        lmk_model_close(models[i]);
    }
    return scratch_close(state);
}

static void open_fixture(struct fixture *f, size_t which, enum lmk_granularity kind, size_t k)
{
    struct lmk_error error;
    *f = (struct fixture){
        .collection = collections[which], .shape = &models[which]->shape, .kind = kind, .k = k};
    f->view = scratch_view(f->collection);
    while (!store_landmark_key(f->view, f->block_count, &f->landmarks[f->block_count], &error))
        assert_true(++f->block_count < MOST_BLOCKS);
    assert_true(f->block_count > 30 && f->block_count <= 64);
    if (memory_open(&f->memory, models[which], f->view, &error) ||
        granularity_open(&f->granularity, f->collection, f->view, f->memory, NULL, kind, k, &error))
        fail_msg("%s", error.message);
    assert_int_equal(granularity_selector(f->granularity)->k, k);
}

static void close_fixture(struct fixture *f)
{
    granularity_close(f->granularity);
    memory_close(f->memory);
    store_view_end(f->view);
}

/* The landmark softmax of one row and head over all blocks. */
static void softmax(const struct fixture *f, size_t m, size_t head, const float *query,
                    double *probability)
{
    const struct model_shape *shape = f->shape;
    size_t group = head / (shape->heads / shape->kv_heads);
    double best = -INFINITY, sum = 0;
    for (size_t b = 0; b < f->block_count; b++) {
        probability[b] = reference_score(shape, (uint32_t)(1 + m * shape->kv_heads + group), query,
                                         f->landmarks[b]);
        best = fmax(best, probability[b]);
    }
    for (size_t b = 0; b < f->block_count; b++)
        sum += probability[b] = exp(probability[b] - best);
    for (size_t b = 0; b < f->block_count; b++)
        probability[b] /= sum;
}

/* How a block is weighed for a row and head: by itself, by the best head, or by the best row. */
static double weight(const struct fixture *f, double (*p)[MOST_HEADS][MOST_BLOCKS], size_t rows,
                     size_t row, size_t head, size_t block)
{
    double best = p[row][head][block];
    for (size_t h = 0; f->kind == LMK_TOKEN && h < f->shape->heads; h++)
        best = fmax(best, p[row][h][block]);
    for (size_t r = 0; f->kind == LMK_CHUNK && r < rows; r++)
        best = fmax(best, p[r][head][block]);
    return best;
}

static size_t block_number(const struct fixture *f, const struct memory_block *block)
{
    for (size_t b = 0; b < f->block_count; b++)
        if (f->landmarks[b] == block->landmark_key)
            return b;
    fail_msg("a block was chosen that is none of the collection's");
    return 0;
}

static void check_choice(struct fixture *f, double (*p)[MOST_HEADS][MOST_BLOCKS], size_t rows,
                         size_t row, size_t head, const struct memory_block *const *chosen,
                         size_t count)
{
    double worst_read = INFINITY, best_left = 0;
    bool read[MOST_BLOCKS] = {false};
    assert_int_equal(count, f->k < f->block_count ? f->k : f->block_count);
    size_t before = 0;
    for (size_t i = 0; i < count; i++) {
        size_t b = block_number(f, chosen[i]);
        assert_true(!i || b > before); /* in order of age */
        before = b;
        read[b] = f->read[b] = true;
        assert_int_equal(chosen[i]->type, TENSOR_F16);
        assert_non_null(chosen[i]->values);
        assert_int_equal(chosen[i]->slot, b >= f->block_count - count ? i + 1 : i);
    }
    for (size_t b = 0; b < f->block_count; b++) {
        double w = weight(f, p, rows, row, head, b);
        if (read[b])
            worst_read = fmin(worst_read, w);
        else
            best_left = fmax(best_left, w);
    }
    assert_true(worst_read >= best_left - 1e-5);
}

static void choose(struct fixture *f, size_t m, size_t rows, uint64_t seed, double scale)
{
    static double p[MOST_ROWS][MOST_HEADS][MOST_BLOCKS];
    static const struct memory_block *chosen[MOST_ROWS * MOST_HEADS * MOST_READ];
    size_t counts[MOST_ROWS * MOST_HEADS], heads = f->shape->heads, width = f->shape->head_width;
    struct random_source source = {seed};
    float *queries = random_normals(&source, rows * heads * width, (float)scale);
    const struct memory_selector *selector = granularity_selector(f->granularity);
    struct lmk_error error;
    for (size_t r = 0; r < rows; r++)
        for (size_t h = 0; h < heads; h++) {
            softmax(f, m, h, queries + (r * heads + h) * width, p[r][h]);
            for (size_t b = 0; b < f->block_count; b++)
                f->masses[b] += p[r][h][b];
        }
    if (selector->choose(selector->context, m, queries, rows, chosen, counts, &error))
        fail_msg("%s", error.message);
    for (size_t r = 0; r < rows; r++)
        for (size_t h = 0; h < heads; h++)
            check_choice(f, p, rows, r, h, chosen + (r * heads + h) * f->k, counts[r * heads + h]);
    free(queries);
}

static void check_ranking(const struct fixture *f, size_t wanted)
{
    struct candidate ranked[MOST_BLOCKS];
    size_t read = 0, count = granularity_ranking(f->granularity, wanted, ranked);
    bool seen[MOST_BLOCKS] = {false};
    for (size_t b = 0; b < f->block_count; b++)
        read += f->read[b];
    assert_int_equal(count, read < wanted ? read : wanted);
    for (size_t i = 0; i < count; i++) {
        size_t b = ranked[i].block, better = 0;
        assert_true(b < f->block_count && f->read[b] && !seen[b]);
        seen[b] = true;
        assert_true(fabs(ranked[i].score - f->masses[b]) < 1e-4);
        for (size_t other = 0; other < f->block_count; other++)
            better += f->read[other] && f->masses[other] > f->masses[b] + 1e-4;
        assert_true(better <= i);
    }
}

static void check_kind(enum lmk_granularity kind)
{
    static const size_t ks[] = {1, 3, 8, MOST_READ};
    for (size_t which = 0; which < 2; which++)
        for (size_t i = 0; i < sizeof ks / sizeof *ks; i++) {
            struct fixture f;
            open_fixture(&f, which, kind, ks[i]);
            check_ranking(&f, 5); /* nothing yet */
            for (size_t m = 0; m < f.shape->memory_layer_count; m++)
                choose(&f, m, 1 + (m * 3) % MOST_ROWS, 17 + m, 0.5);
            choose(&f, 0, MOST_ROWS, 5, 0.1);
            check_ranking(&f, 5);
            check_ranking(&f, MOST_BLOCKS);
            close_fixture(&f);
        }
}

static void test_head(void **state)
{
    (void)state;
    check_kind(LMK_HEAD);
}

static void test_token(void **state)
{
    (void)state;
    check_kind(LMK_TOKEN);
}

static void test_chunk(void **state)
{
    (void)state;
    check_kind(LMK_CHUNK);
}

/* With as many blocks as there are, every kind reads them all, and so must a sequence without any
 * choice: all logits agree. */
static void test_reading_everything(void **state)
{
    (void)state;
    static const enum lmk_granularity kinds[] = {LMK_HEAD, LMK_TOKEN, LMK_CHUNK};
    const struct lmk_model *model = models[0];
    struct random_source source = {3};
    uint32_t *tokens = random_tokens(&source, &model->shape, 70);
    float *expected = malloc(model->shape.vocabulary * sizeof *expected);
    for (size_t kind = 0; kind < 4; kind++) {
        struct fixture f;
        struct sequence *sequence;
        struct memory_block memory[MOST_BLOCKS] = {0};
        open_fixture(&f, 0, kind ? kinds[kind - 1] : LMK_HEAD, MOST_READ);
        assert_true(f.block_count <= MOST_READ);
        assert_int_equal(sequence_open(&sequence, model, 70, false, NULL), LMK_OK);
        for (size_t b = 0; !kind && b < f.block_count; b++) {
            memory[b].landmark_key = f.landmarks[b];
            assert_int_equal(store_keys_values(f.view, b, &memory[b].type, &memory[b].keys,
                                               &memory[b].values, NULL),
                             LMK_OK);
        }
        if (kind)
            assert_int_equal(
                sequence_set_selector(sequence, granularity_selector(f.granularity), NULL), LMK_OK);
        else
            assert_int_equal(sequence_set_memory(sequence, memory, f.block_count, NULL), LMK_OK);
        assert_int_equal(sequence_feed(sequence, tokens, 70, NULL, NULL), LMK_OK);
        const float *logits = sequence_logits(sequence);
        for (size_t i = 0; i < model->shape.vocabulary; i++) {
            if (kind)
                assert_true(fabsf(logits[i] - expected[i]) < 1e-3f * 30);
            expected[i] = kind ? expected[i] : logits[i];
        }
        sequence_close(sequence);
        close_fixture(&f);
    }
    free(tokens);
    free(expected);
}

/* Where only landmarks are kept, keys and values are computed again, and the same blocks are read.
 */
static void test_without_keys(void **state)
{
    (void)state;
    struct lmk_collection *kept = scratch_create("kept.lmk", models[0], LMK_TIER_F16, NULL);
    struct lmk_collection *bare = scratch_create("bare.lmk", models[0], LMK_TIER_NONE, NULL);
    scratch_index(kept, "books0");
    scratch_index(bare, "books0");
    struct lmk_ask_options options = lmk_ask_defaults(models[0]);
    struct lmk_answer *expected, *answer;
    struct lmk_error error;
    options.granularity = LMK_HEAD;
    if (lmk_ask(kept, "What was it?", &options, &expected, &error) ||
        lmk_ask(bare, "What was it?", &options, &answer, &error))
        fail_msg("%s", error.message);
    assert_int_equal(expected->computed_blocks, 0);
    assert_true(answer->computed_blocks >= answer->count && answer->computed_tokens > 63);
    assert_int_equal(answer->count, expected->count);
    for (size_t i = 0; i < answer->count; i++) {
        assert_int_equal(answer->passages[i].block, expected->passages[i].block);
        assert_true(fabs(answer->passages[i].share - expected->passages[i].share) < 1e-2);
    }
    lmk_answer_free(expected);
    lmk_answer_free(answer);
    lmk_collection_close(bare);
    lmk_collection_close(kept);
}

/* A collection with more blocks than are scanned: the segments of each head give the same passages
 * as scanning. */
static void test_segments_of_heads(void **state)
{
    (void)state;
    scratch_write_prose("long/a.txt", 9, 3000);
    struct lmk_search_options options = lmk_search_defaults();
    struct lmk_results *scanned, *found;
    struct lmk_info info;
    struct lmk_error error;
    options.granularity = LMK_HEAD;
    struct lmk_collection *collection = scratch_create("long.lmk", models[0], LMK_TIER_F16, NULL);
    scratch_index(collection, "long");
    lmk_collection_close(collection);
    collection = scratch_reader("long.lmk", models[0]);
    assert_int_equal(lmk_search(collection, "Where is the onion?", &options, &scanned, &error),
                     LMK_OK);
    lmk_collection_close(collection);
    collection = scratch_writer("long.lmk", models[0]);
    assert_int_equal(lmk_search(collection, "Where is the onion?", &options, &found, &error),
                     LMK_OK);
    assert_int_equal(lmk_info(collection, &info, &error), LMK_OK);
    assert_true(info.blocks > 256);
    assert_int_equal(info.segments, 5); /* joint, and 2 layers of 2 heads */
    assert_int_equal(info.segment_blocks, info.blocks);
    assert_int_equal(found->count, scanned->count);
    for (size_t i = 0; i < found->count; i++) {
        assert_int_equal(found->passages[i].block, scanned->passages[i].block);
        assert_true(fabs(found->passages[i].score - scanned->passages[i].score) < 1e-4);
    }
    lmk_results_free(scanned);
    lmk_results_free(found);
    lmk_collection_close(collection);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_head),         cmocka_unit_test(test_token),
        cmocka_unit_test(test_chunk),        cmocka_unit_test(test_reading_everything),
        cmocka_unit_test(test_without_keys), cmocka_unit_test(test_segments_of_heads),
    };
    return cmocka_run_group_tests(tests, open_group, close_group);
}
