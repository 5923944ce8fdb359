/* The hybrid ranking against z-scores computed over all blocks, and the choice of passages. */
#include "index/lexical.h"
#include "index/selection.h"
#include "tests/unit/gguf_image.h"
#include "tests/unit/scratch.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST_BLOCKS = 300 };

static const char *const query = "onion";

static struct lmk_collection *collection;

/* Sentences about few things, onions seldom among them; the caller's to free. */
static char *make_prose(unsigned seed, size_t words)
{
    static const char *const vocabulary[] = {"the",  "cat",   "ate",  "a",     "hat",  "under",
                                             "moon", "while", "dogs", "slept", "near", "rivers"};
    char *text = malloc(words * 10 + 1), *at = text;
    for (size_t i = 0; i < words; i++) {
        seed = seed * 1103515245u + 12345u;
        unsigned draw = seed >> 16;
        char *word = at + (i > 0);
        at += sprintf(at, "%s%s%s", i ? " " : "", draw % 40 ? vocabulary[draw / 40 % 12] : "onion",
                      i % 8 == 7 ? "." : "");
        if (i % 8 == 0)
            *word -= 'a' - 'A';
    }
    return text;
}

static int open_group(void **state)
{
    if (scratch_open_model(state))
        return -1;
    for (unsigned i = 1; i <= 3; i++) {
        char name[32], *prose = make_prose(i, 600);
        snprintf(name, sizeof name, "books/%u.txt", i);
        scratch_write_text(name, prose);
        free(prose);
    }
    collection = scratch_create("books.lmk", tiny_model, LMK_TIER_F16, NULL);
    scratch_index(collection, "books");
    return 0;
}

static int close_group(void **state)
{
    lmk_collection_close(collection);
    return scratch_close_model(state);
}

/* Both scores of every block, each side computed by itself. */
struct scores {
    double landmark[MOST_BLOCKS], lexical[MOST_BLOCKS], neighbourhood[MOST_BLOCKS];
    size_t count;
};

static void compute(struct scores *scores, const char *text)
{
    struct question question;
    struct lexical *lexical;
    struct lexical_query words;
    struct lexical_hit hits[MOST_BLOCKS];
    struct lexical_statistics statistics;
    struct lmk_error error = {.message = ""};
    const float *key;
    size_t found;
    struct store_view *view = scratch_view(collection);
    float *pooled = malloc(model_landmark_width(&tiny_model->shape) * sizeof *pooled);
    must(question_open(&question, tiny_model, text, false, &error), &error);
    sequence_pooled_query(question.sequence, pooled);
    scores->count = 0;
    for (uint64_t b = 0; !store_landmark_key(view, b, &key, &error); b++) {
        assert_true(b < MOST_BLOCKS);
        scores->landmark[b] = reference_score(&tiny_model->shape, SEGMENT_JOINT, pooled, key);
        scores->lexical[b] = 0;
        scores->count++;
    }
    must(lexical_of(collection, &lexical, &error), &error);
    must(lexical_begin(lexical, text, &words, &error), &error);
    must(lexical_search(lexical, &words, MOST_BLOCKS, 0, NULL, hits, &found, &statistics, &error),
         &error);
    for (uint64_t b = 0; b < scores->count; b++) {
        struct document document;
        must(store_document_of_block(view, b, &document, &error), &error);
        uint64_t first = document.first_block, end = first + document.block_count;
        struct lexical_neighbourhood around = {b < first + 4 ? first : b - 4,
                                               b + 5 < end ? b + 5 : end, 0};
        must(lexical_score_neighbourhoods(lexical, &words, &around, 1, &error), &error);
        scores->neighbourhood[b] = around.score;
    }
    lexical_end(lexical);
    lexical_query_release(&words);
    for (size_t i = 0; i < found; i++)
        scores->lexical[hits[i].block] = hits[i].score;
    question_close(&question);
    free(pooled);
    store_view_end(view);
}

static double z_score(const double *scores, size_t count, size_t at)
{
    double mean = 0, squares = 0;
    for (size_t i = 0; i < count; i++)
        mean += scores[i] / (double)count;
    for (size_t i = 0; i < count; i++)
        squares += (scores[i] - mean) * (scores[i] - mean) / (double)count;
    return (scores[at] - mean) / sqrt(squares);
}

static double hybrid(const struct scores *scores, size_t at)
{
    return z_score(scores->landmark, scores->count, at) +
           z_score(scores->lexical, scores->count, at);
}

static void test_hybrid(void **state)
{
    (void)state;
    struct scores scores;
    struct lmk_results *results;
    struct lmk_error error;
    compute(&scores, query);
    struct lmk_search_options options = lmk_search_defaults();
    assert_int_equal(options.mode, LMK_HYBRID);
    options.top = scores.count;
    options.candidates = 20;
    options.per_document = 0;
    options.merge = false;
    /* With candidates enough for all blocks the order is that over all; with few, the scores are
     * still the same, and what is left out comes after all on its side. */
    for (size_t candidates = 20; candidates <= 300; candidates += 280) {
        options.top = candidates < scores.count ? 1 : scores.count;
        options.candidates = candidates;
        must(lmk_search(collection, query, &options, &results, &error), &error);
        assert_int_equal(results->count, options.top);
        assert_int_equal(results->documents_words, 3);
        for (size_t i = 0; i < results->count; i++) {
            const struct lmk_passage *passage = &results->passages[i];
            assert_true(fabs(passage->score - hybrid(&scores, passage->block)) < 2e-3);
            assert_true(fabs(passage->landmark_score - scores.landmark[passage->block]) < 1e-3);
            assert_true(fabs(passage->lexical_score - scores.lexical[passage->block]) < 1e-6);
            assert_true(!i || passage->score <= passage[-1].score);
        }
        size_t best = 0;
        for (size_t b = 0; b < scores.count; b++)
            best = hybrid(&scores, b) > hybrid(&scores, best) ? b : best;
        assert_int_equal(results->passages[0].block, best);
        lmk_results_free(results);
    }
}

static void test_modes(void **state)
{
    (void)state;
    struct scores scores;
    struct lmk_results *results;
    struct lmk_error error;
    struct lmk_search_options options = lmk_search_defaults();
    compute(&scores, query);
    options.merge = false;
    options.mode = LMK_LEXICAL;
    must(lmk_search(collection, query, &options, &results, &error), &error);
    for (size_t i = 0; i < results->count; i++) {
        const struct lmk_passage *passage = &results->passages[i];
        assert_true(passage->score == passage->lexical_score && isnan(passage->landmark_score) &&
                    isnan(passage->attention_score));
        assert_true(fabs(passage->score - scores.lexical[passage->block]) < 1e-9);
    }
    lmk_results_free(results);
    assert_int_equal(lmk_search(collection, "zebra", &options, &results, &error), LMK_NOT_FOUND);
    assert_non_null(strstr(error.message, "zebra"));
    options.mode = LMK_LANDMARK;
    must(lmk_search(collection, "zebra", &options, &results, &error), &error);
    for (size_t i = 0; i < results->count; i++)
        assert_true(isnan(results->passages[i].lexical_score));
    lmk_results_free(results);
    options.mode = LMK_LEXICAL;
    options.granularity = LMK_HEAD;
    assert_int_equal(lmk_search(collection, query, &options, &results, &error), LMK_USAGE);
}

/* ---- exact attention */

enum { HEADS = 8 };
static const float hybrid_weights[HEADS] = {1, -2, 0.5f, 0, 3, 0.25f, -1, 2};
static const float landmark_weights[HEADS] = {0, 4, 0, -1, 0.5f, 2, 0, 1};

/* The same model, with weights for the ranking. */
static struct lmk_model *open_weighted(void)
{
    struct gguf_image image = {0}, keys = {0};
    struct lmk_model *weighted;
    struct lmk_error error;
    image_read(&image, "tests/golden/tiny-slot.gguf");
    image_float(&keys, "landmark.rank.landmark", 0.75f);
    image_float(&keys, "landmark.rank.lexical", 1.5f);
    image_float(&keys, "landmark.rank.neighbourhood", 0.625f);
    image_float(&keys, "landmark.rank.landmark_alone", 3);
    image_floats(&keys, "landmark.rank.attention", hybrid_weights, HEADS);
    image_floats(&keys, "landmark.rank.attention_landmark", landmark_weights, HEADS);
    image_add_keys(&image, &keys, 6);
    struct published_image published = image_publish(&image);
    must(lmk_model_open(&weighted, published.path, &error), &error);
    image_unpublish(&published);
    image_release(&image);
    image_release(&keys);
    return weighted;
}

/* Head scores of all blocks, one by one. */
static void compute_heads(float heads[MOST_BLOCKS][HEADS], size_t count)
{
    struct question question;
    struct lmk_error error;
    struct store_view *view = scratch_view(collection);
    must(question_open(&question, tiny_model, query, false, &error), &error);
    for (uint64_t b = 0; b < count; b++) {
        enum tensor_type type;
        const void *keys;
        must(store_keys_values(view, b, &type, &keys, NULL, &error), &error);
        scoring_block(question.scoring, type, keys, heads[b], NULL);
    }
    question_close(&question);
    store_view_end(view);
}

/* What the heads add to block `at` among the candidates. */
static double attention_part(const struct lmk_results *results, float heads[MOST_BLOCKS][HEADS],
                             const float *weights, size_t at)
{
    double part = 0;
    for (size_t h = 0; h < HEADS; h++) {
        double mean = 0;
        for (size_t i = 0; i < results->candidate_count; i++)
            mean += heads[results->candidates[i].block][h] / (double)results->candidate_count;
        part += weights[h] * (heads[at][h] - mean);
    }
    return part;
}

static void check_weighted(struct lmk_collection *weighted, enum lmk_mode mode, size_t candidates)
{
    static float heads[MOST_BLOCKS][HEADS];
    struct scores scores;
    struct lmk_results *results;
    struct lmk_error error;
    struct lmk_search_options options = lmk_search_defaults();
    bool is_hybrid = mode == LMK_HYBRID;
    options.mode = mode;
    options.candidates = candidates;
    options.top = 15;
    options.per_document = 0;
    options.merge = false;
    options.features = true;
    compute(&scores, query);
    compute_heads(heads, scores.count);
    must(lmk_search(weighted, query, &options, &results, &error), &error);
    assert_int_equal(results->heads, HEADS);
    assert_true(results->candidate_count >=
                (candidates < scores.count ? candidates : scores.count));
    for (size_t i = 0; i < results->candidate_count; i++) {
        const struct lmk_candidate *candidate = &results->candidates[i];
        size_t b = candidate->block;
        double landmark = z_score(scores.landmark, scores.count, b);
        double lexical = z_score(scores.lexical, scores.count, b);
        double attention =
            attention_part(results, heads, is_hybrid ? hybrid_weights : landmark_weights, b);
        double neighbourhood = scores.neighbourhood[b];
        double expected = is_hybrid
                              ? 0.75 * landmark + 1.5 * lexical + 0.625 * neighbourhood + attention
                              : 3 * landmark + attention;
        assert_true(fabs(candidate->score - expected) < 1e-2);
        assert_true(fabs(candidate->landmark_z - landmark) < 1e-3);
        assert_true(!is_hybrid || fabs(candidate->lexical_z - lexical) < 1e-3);
        assert_true(candidate->neighbourhood == (is_hybrid ? neighbourhood : 0));
        assert_memory_equal(candidate->heads, heads[b], sizeof heads[b]);
        assert_true(!i || candidate->score <= candidate[-1].score);
        if (i >= results->count)
            continue;
        const struct lmk_passage *passage = &results->passages[i];
        assert_int_equal(passage->block, b);
        assert_true(passage->score == candidate->score);
        assert_true(fabs(passage->attention_part - attention) < 1e-3);
        assert_true(isnan(passage->lexical_part) != is_hybrid);
        assert_true(fabs(passage->landmark_part + (is_hybrid ? passage->lexical_part : 0) +
                         passage->attention_part - passage->score) < 1e-9);
    }
    lmk_results_free(results);
}

static void test_weights(void **state)
{
    (void)state;
    struct lmk_model *weighted_model = open_weighted();
    struct lmk_collection *weighted = scratch_reader("books.lmk", weighted_model);
    check_weighted(weighted, LMK_HYBRID, 300);
    check_weighted(weighted, LMK_HYBRID, 10);
    check_weighted(weighted, LMK_LANDMARK, 300);
    check_weighted(weighted, LMK_LANDMARK, 10);
    lmk_collection_close(weighted);
    lmk_model_close(weighted_model);
}

/* Features change no order, and belong to landmarks. */
static void test_features(void **state)
{
    (void)state;
    struct lmk_results *with, *without;
    struct lmk_error error;
    struct lmk_search_options options = lmk_search_defaults();
    for (int mode = LMK_HYBRID; mode <= LMK_LANDMARK; mode++) {
        options.mode = (enum lmk_mode)mode;
        options.features = false;
        must(lmk_search(collection, query, &options, &without, &error), &error);
        assert_null(without->candidates);
        options.features = true;
        must(lmk_search(collection, query, &options, &with, &error), &error);
        assert_int_equal(with->count, without->count);
        for (size_t i = 0; i < with->count; i++) {
            assert_int_equal(with->passages[i].block, without->passages[i].block);
            assert_true(with->passages[i].score == without->passages[i].score);
            assert_true(isnan(with->passages[i].attention_part));
        }
        lmk_results_free(with);
        lmk_results_free(without);
    }
    options.mode = LMK_LEXICAL;
    assert_int_equal(lmk_search(collection, query, &options, &with, &error), LMK_USAGE);
}

/* Conditions hold for what the landmarks find, too. */
static void test_conditions(void **state)
{
    (void)state;
    struct scores scores;
    struct lmk_results *results;
    struct lmk_error error;
    struct lmk_search_options options = lmk_search_defaults();
    compute(&scores, query);
    options.merge = false;
    options.per_document = 0;
    options.top = MOST_BLOCKS;
    must(lmk_search(collection, "cat OR hat -onion", &options, &results, &error), &error);
    assert_true(results->count > 0);
    for (size_t i = 0; i < results->count; i++)
        assert_true(scores.lexical[results->passages[i].block] == 0 ||
                    results->passages[i].lexical_score > 0);
    lmk_results_free(results);
    must(lmk_search(collection, "\"onion\" -\"zebra\"", &options, &results, &error), &error);
    size_t with = 0;
    for (size_t b = 0; b < scores.count; b++)
        with += scores.lexical[b] > 0;
    assert_int_equal(results->count, with);
    for (size_t i = 0; i < results->count; i++)
        assert_true(scores.lexical[results->passages[i].block] > 0);
    lmk_results_free(results);
}

/* ---- passages */

/* Ranks these blocks in this order and says what is selected: "first+count first+count ..." */
static void expect_selection(const uint64_t *blocks, size_t count,
                             const struct selection_options *options, const char *expected)
{
    struct ranked items[32];
    struct ranking ranking = {.items = items, .count = count};
    struct selected selected[32];
    struct lmk_error error;
    char text[512] = "";
    size_t found, used = 0;
    struct store_view *view = scratch_view(collection);
    for (size_t i = 0; i < count; i++)
        items[i] = (struct ranked){.block = blocks[i], .score = (double)(count - i)};
    must(selection_make(view, &ranking, options, selected, &found, &error), &error);
    for (size_t i = 0; i < found; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%d+%d", i ? " " : "",
                                 (int)selected[i].first, (int)selected[i].count);
        assert_true(selected[i].ranked->block >= selected[i].first &&
                    selected[i].ranked->block < selected[i].first + selected[i].count);
        assert_true(!i || selected[i].ranked > selected[i - 1].ranked);
    }
    assert_string_equal(text, expected);
    store_view_end(view);
}

#define BLOCKS(...) ((const uint64_t[]){__VA_ARGS__}), sizeof((const uint64_t[]){__VA_ARGS__}) / 8

static void test_selection(void **state)
{
    (void)state;
    struct store_view *view = scratch_view(collection);
    struct document second;
    struct lmk_error error;
    must(store_document(view, 2, &second, &error), &error);
    store_view_end(view);
    uint64_t b = second.first_block; /* the first of document 2 */
    assert_true(b > 20 && second.block_count > 10);
    char expected[128];
    struct selection_options options = {10, 0, true};
    expect_selection(BLOCKS(5, 9, 1), &options, "5+1 9+1 1+1");
    expect_selection(BLOCKS(5, 9, 6, 4), &options, "4+3 9+1");
    /* a gap is closed; the better one's place counts */
    expect_selection(BLOCKS(5, 9, 7, 6), &options, "5+3 9+1");
    expect_selection(BLOCKS(9, 7, 5, 6, 8), &options, "8+2 5+3");
    /* at most four blocks */
    expect_selection(BLOCKS(5, 6, 7, 8, 9, 10), &options, "5+4 9+2");
    /* never across documents */
    snprintf(expected, sizeof expected, "%d+1 %d+1", (int)b, (int)b - 1);
    expect_selection(BLOCKS(b, b - 1), &options, expected);
    options.merge = false;
    expect_selection(BLOCKS(5, 6, 4), &options, "5+1 6+1 4+1");
    options.top = 2;
    expect_selection(BLOCKS(5, 6, 4), &options, "5+1 6+1");
    /* two of each document, of two documents */
    options = (struct selection_options){4, 2, false};
    snprintf(expected, sizeof expected, "1+1 3+1 %d+1 %d+1", (int)b + 3, (int)b + 5);
    expect_selection(BLOCKS(1, 3, 5, 7, b + 3, b + 5, b + 7), &options, expected);
    /* a page of six cannot be filled so, but with four of each */
    options.top = 6;
    snprintf(expected, sizeof expected, "1+1 3+1 5+1 7+1 %d+1 %d+1", (int)b + 3, (int)b + 5);
    expect_selection(BLOCKS(1, 3, 5, 7, 9, b + 3, b + 5, b + 7), &options, expected);
    /* what extends a passage is no passage of its own */
    options = (struct selection_options){3, 2, true};
    snprintf(expected, sizeof expected, "1+1 3+2 %d+1", (int)b + 3);
    expect_selection(BLOCKS(1, 3, 6, 4, b + 3), &options, expected);
}

/* A passage of several blocks: its range, its mark. */
static void test_merged_passage(void **state)
{
    (void)state;
    struct lmk_results *single, *merged;
    struct lmk_error error;
    struct lmk_search_options options = lmk_search_defaults();
    options.top = 40;
    options.per_document = 0;
    must(lmk_search(collection, query, &options, &merged, &error), &error);
    options.merge = false;
    options.top = 200;
    must(lmk_search(collection, query, &options, &single, &error), &error);
    size_t several = 0, marks = 0, elsewhere = 0;
    for (size_t i = 0; i < merged->count; i++) {
        const struct lmk_passage *passage = &merged->passages[i];
        several += passage->blocks > 1;
        assert_true(passage->blocks >= 1 && passage->blocks <= SELECTION_MOST_BLOCKS);
        assert_true(passage->best_block >= passage->block &&
                    passage->best_block < passage->block + passage->blocks);
        for (size_t j = 0; j < single->count; j++) {
            const struct lmk_passage *part = &single->passages[j];
            if (part->block < passage->block || part->block >= passage->block + passage->blocks)
                continue;
            assert_true(part->source_start >= passage->source_start &&
                        part->source_end <= passage->source_end);
            assert_non_null(strstr(passage->text, part->text));
            assert_true(part->score <= passage->score);
            if (part->block != passage->best_block)
                continue;
            assert_true(part->score == passage->score);
            assert_true(passage->mark_start < passage->mark_end &&
                        passage->mark_end <= strlen(passage->text));
            assert_true(passage->mark_source_start >= passage->source_start &&
                        passage->mark_source_end <= passage->source_end);
            if (passage->mark_source_start < part->source_start ||
                passage->mark_source_end > part->source_end) {
                elsewhere++; /* a sentence of another block has more of the words */
                continue;
            }
            marks++;
            assert_int_equal(part->mark_source_start, passage->mark_source_start);
            assert_int_equal(part->mark_source_end, passage->mark_source_end);
            assert_memory_equal(part->text + part->mark_start, passage->text + passage->mark_start,
                                part->mark_end - part->mark_start);
        }
    }
    assert_true(several > 3 && marks > 3 && elsewhere > 0);
    lmk_results_free(single);
    lmk_results_free(merged);
}

/* Without the file of words, landmarks go on alone; without landmarks, words do. */
static void test_one_side(void **state)
{
    (void)state;
    struct lmk_results *results;
    struct lmk_error error;
    struct lmk_search_options options = lmk_search_defaults();
    char *path = scratch_path("books.lmk/generation-000001/lexical.db");
    lexical_close(collection->lexical);
    collection->lexical = NULL;
    assert_int_equal(remove(path), 0);
    free(path);
    must(lmk_search(collection, query, &options, &results, &error), &error);
    assert_int_equal(results->documents_words, 0);
    assert_true(results->count > 0 && isnan(results->passages[0].lexical_score));
    lmk_results_free(results);
    options.mode = LMK_LEXICAL;
    assert_int_equal(lmk_search(collection, query, &options, &results, &error), LMK_NOT_FOUND);
    must(lexical_update(collection, NULL, NULL, &error), &error);
    must(lmk_search(collection, query, &options, &results, &error), &error);
    lmk_results_free(results);
    /* a document that only has its text */
    struct store_batch *batch;
    struct map_run run = {0, 0};
    struct block_text text = {.runs = &run, .run_count = 1};
    struct document document = {.state = DOCUMENT_TEXT,
                                .tier = LMK_TIER_F16,
                                .block_count = 1,
                                .path = "late.txt",
                                .title = "",
                                .author = "",
                                .language = "",
                                .kind = "text",
                                .metadata = "{}",
                                .hash = {1}};
    const char *word = "zebra";
    struct buffer ids;
    buffer_init(&ids, 1 << 16);
    uint32_t bos = tiny_model->shape.bos_id;
    must(buffer_append(&ids, &bos, sizeof bos, &error), &error);
    must(tokenizer_encode(tiny_model->tokenizer, word, strlen(word), true, &ids, &error), &error);
    text.tokens = (const uint32_t *)ids.data;
    text.token_count = (uint32_t)(ids.size / sizeof(uint32_t));
    text.text_size = text.source_end = strlen(word);
    document.token_count = text.token_count;
    document.text_bytes = text.text_size;
    must(store_batch_begin(collection->store, &batch, &error), &error);
    must(store_add_document(batch, &document, &text, &error), &error);
    must(store_commit(batch, &error), &error);
    buffer_release(&ids);
    must(lexical_update(collection, NULL, NULL, &error), &error);
    options.mode = LMK_HYBRID;
    must(lmk_search(collection, word, &options, &results, &error), &error);
    assert_int_equal(results->documents, 4);
    assert_int_equal(results->documents_ready, 3);
    assert_int_equal(results->documents_words, 4);
    assert_string_equal(results->passages[0].path, "late.txt");
    assert_string_equal(results->passages[0].text, "zebra");
    assert_true(isnan(results->passages[0].landmark_score));
    lmk_results_free(results);
    struct lmk_model *weighted_model = open_weighted();
    struct lmk_collection *weighted = scratch_reader("books.lmk", weighted_model);
    options.features = true;
    must(lmk_search(weighted, word, &options, &results, &error), &error);
    for (size_t i = 0; i < results->candidate_count; i++)
        assert_int_equal(results->candidates[i].heads == NULL,
                         results->candidates[i].document == document.id);
    for (size_t i = 0; i < results->count; i++)
        assert_int_equal(results->passages[i].attention_part == 0 &&
                             results->passages[i].landmark_part == 0,
                         results->passages[i].document == document.id);
    options.features = false;
    lmk_results_free(results);
    lmk_collection_close(weighted);
    lmk_model_close(weighted_model);
    /* ask reads what has its keys and values */
    struct lmk_ask_options ask_options = lmk_ask_defaults(tiny_model);
    struct lmk_answer *answer;
    must(lmk_ask(collection, word, &ask_options, &answer, &error), &error);
    for (size_t i = 0; i < answer->count; i++)
        assert_int_not_equal(answer->passages[i].document, document.id);
    lmk_answer_free(answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hybrid),         cmocka_unit_test(test_modes),
        cmocka_unit_test(test_weights),        cmocka_unit_test(test_features),
        cmocka_unit_test(test_conditions),     cmocka_unit_test(test_selection),
        cmocka_unit_test(test_merged_passage), cmocka_unit_test(test_one_side),
    };
    return cmocka_run_group_tests(tests, open_group, close_group);
}
