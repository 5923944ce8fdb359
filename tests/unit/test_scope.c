/* Conditions on documents: one among ten thousand, in every mode; and large scopes against what is
 * found without them. */
#include "index/lexical.h"
#include "index/ranking.h"
#include "tests/unit/random_model.h"
#include "tests/unit/scratch.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { DOCUMENTS = 10000 };

static struct lmk_collection *collection;

/* Document i, from 0: of one block. Its number is in author, title and path; every second is
 * English; years go round from 1000 to 1899, chapters from 1 to 7. The more foxes, the better. */
static void add_document(struct store_batch *batch, size_t i, const float *landmark_key)
{
    char text[64], author[32], title[32], path[32], metadata[32];
    uint32_t tokens[63] = {tiny_model->shape.bos_id};
    struct buffer ids;
    struct lmk_error error;
    struct map_run run = {0, 0};
    snprintf(text, sizeof text, "%.*s river %zu", (int)(4 * (i % 6)), "fox fox fox fox fox fox ",
             i);
    snprintf(author, sizeof author, "Author %zu", i);
    snprintf(title, sizeof title, "Title %zu", i);
    snprintf(path, sizeof path, "/books/%zu.txt", i);
    snprintf(metadata, sizeof metadata, i % 2 ? "{\"year\":%zu}" : "{\"date\":\"5 May %zu\"}",
             1000 + i % 900);
    buffer_init(&ids, 1 << 16);
    must(tokenizer_encode(tiny_model->tokenizer, text, strlen(text), true, &ids, &error), &error);
    size_t count = 1 + ids.size / sizeof *tokens;
    assert_true(count <= 63);
    memcpy(tokens + 1, ids.data, ids.size);
    buffer_release(&ids);
    struct block_text block = {.tokens = tokens,
                               .token_count = (uint32_t)count,
                               .text_size = strlen(text),
                               .source_end = strlen(text),
                               .place = 1 + (uint32_t)(i % 7),
                               .runs = &run,
                               .run_count = 1};
    struct document document = {.state = DOCUMENT_TEXT,
                                .tier = LMK_TIER_NONE,
                                .block_count = 1,
                                .token_count = count,
                                .text_bytes = strlen(text),
                                .path = path,
                                .title = title,
                                .author = author,
                                .language = i % 2 ? "en" : "de",
                                .kind = "text",
                                .metadata = metadata};
    memcpy(document.hash, &i, sizeof i);
    must(store_add_document(batch, &document, &block, &error), &error);
    assert_int_equal(document.first_block, i);
    must(store_put_blocks(batch, &document, i, 1, landmark_key, NULL, NULL, &error), &error);
    must(store_set_state(batch, document.id, DOCUMENT_READY, &error), &error);
}

static int open_group(void **state)
{
    struct random_source random = {1};
    struct store_batch *batch;
    struct lmk_error error;
    if (scratch_open_model(state))
        return -1;
    collection = scratch_create("many.lmk", tiny_model, LMK_TIER_NONE, "IDMap,Flat");
    size_t width = model_landmark_width(&tiny_model->shape);
    must(store_batch_begin(collection->store, &batch, &error), &error);
    for (size_t i = 0; i < DOCUMENTS; i++) {
        float *key = random_normals(&random, width, 1);
        add_document(batch, i, key);
        free(key);
    }
    must(store_commit(batch, &error), &error);
    must(lexical_update(collection, NULL, NULL, &error), &error);
    must(segments_build(collection, SEGMENT_JOINT, &error), &error);
    return 0;
}

static int close_group(void **state)
{
    lmk_collection_close(collection);
    return scratch_close_model(state);
}

static struct lmk_results *search(enum lmk_mode mode, size_t top, const char *const *where,
                                  size_t where_count)
{
    struct lmk_search_options options = lmk_search_defaults();
    struct lmk_results *results;
    struct lmk_error error;
    options.mode = mode;
    options.top = top;
    options.merge = false;
    options.most_matches = mode == LMK_HYBRID ? 100 : 0;
    options.where = where;
    options.where_count = where_count;
    must(lmk_search(collection, "fox near the river", &options, &results, &error), &error);
    return results;
}

/* In each mode, exactly the documents [count] are found, which come in ascending order. */
static void expect_documents(const char *const *where, size_t where_count, const uint64_t *expected,
                             size_t count)
{
    for (int mode = LMK_HYBRID; mode <= LMK_LEXICAL; mode++) {
        bool found[DOCUMENTS] = {false};
        struct lmk_results *results = search((enum lmk_mode)mode, 1000, where, where_count);
        assert_int_equal(results->count, count);
        for (size_t i = 0; i < count; i++)
            found[results->passages[i].block] = true;
        for (size_t i = 0; i < count; i++)
            assert_true(found[expected[i]]);
        lmk_results_free(results);
    }
}

#define WHERE(...)                                                                                 \
    ((const char *const[]){__VA_ARGS__}),                                                          \
        sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)
#define NUMBERS(...) ((const uint64_t[]){__VA_ARGS__}), sizeof((const uint64_t[]){__VA_ARGS__}) / 8

static void test_one_among_many(void **state)
{
    (void)state;
    expect_documents(WHERE("author=Author 7421"), NUMBERS(7421));
    expect_documents(WHERE("AUTHOR=author 0"), NUMBERS(0));
    expect_documents(WHERE("title=Title 9999"), NUMBERS(9999));
    expect_documents(WHERE("path~books/500.txt"), NUMBERS(500));
}

static void test_several(void **state)
{
    (void)state;
    expect_documents(WHERE("author~THOR 742"),
                     NUMBERS(742, 7420, 7421, 7422, 7423, 7424, 7425, 7426, 7427, 7428, 7429));
    expect_documents(WHERE("year>1898"),
                     NUMBERS(899, 1799, 2699, 3599, 4499, 5399, 6299, 7199, 8099, 8999, 9899));
    expect_documents(WHERE("year>1898", "year<1900", "language=EN", "chapter<2"),
                     NUMBERS(1799, 8099));
    expect_documents(WHERE("year=1899", "chapter=1", "path~80"), NUMBERS(8099));
    expect_documents(WHERE("author~author 12", "chapter=7", "year=1331"), NUMBERS(1231));
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"auther=x", "",       "=x",       "author",     "author<3",
                                        "year=",    "year>x", "year~19x", "chapter=2nd"};
    struct lmk_search_options options = lmk_search_defaults();
    struct lmk_results *results;
    struct lmk_error error;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        options.where = &wrong[i];
        options.where_count = 1;
        assert_int_equal(lmk_search(collection, "fox", &options, &results, &error), LMK_USAGE);
        assert_non_null(strstr(error.message, wrong[i]));
    }
    options.where = (const char *const[]){"author=Nobody"};
    assert_int_equal(lmk_search(collection, "fox", &options, &results, &error), LMK_NOT_FOUND);
}

/* The best of half of the documents: by words what a search of all gives without the others. */
static void test_words_of_many(void **state)
{
    (void)state;
    const char *const where[] = {"language=en"};
    struct lmk_results *all = search(LMK_LEXICAL, DOCUMENTS, NULL, 0);
    struct lmk_results *some = search(LMK_LEXICAL, 500, where, 1);
    assert_int_equal(all->count, DOCUMENTS);
    assert_int_equal(some->count, 500);
    size_t at = 0;
    for (size_t i = 0; i < some->count; i++, at++) {
        while (all->passages[at].block % 2 == 0)
            at++;
        assert_int_equal(some->passages[i].block, all->passages[at].block);
        assert_true(fabs(some->passages[i].score - all->passages[at].score) < 1e-9);
    }
    lmk_results_free(all);
    lmk_results_free(some);
}

/* The same by landmarks: scanned, and, as in a larger scope, through the index. */
static void test_landmarks_of_many(void **state)
{
    (void)state;
    enum { WANTED = 50 };
    const char *const where[] = {"language=en"};
    struct random_source random = {2};
    struct store_view *view = scratch_view(collection);
    float *query = random_normals(&random, model_landmark_width(&tiny_model->shape), 1);
    struct candidate *all = calloc(DOCUMENTS, sizeof *all), some[WANTED];
    struct scope *scope;
    struct lmk_error error;
    size_t found;
    must(segments_search(collection, view, SEGMENT_JOINT, query, DOCUMENTS, NULL, all, &found,
                         &error),
         &error);
    assert_int_equal(found, DOCUMENTS);
    must(scope_open(&scope, view, where, 1, &error), &error);
    assert_int_equal(scope->blocks, DOCUMENTS / 2);
    for (int large = 0; large < 2; large++) {
        scope->blocks = large ? SCOPE_FEW + 1 : DOCUMENTS / 2;
        must(segments_search(collection, view, SEGMENT_JOINT, query, WANTED, scope, some, &found,
                             &error),
             &error);
        assert_int_equal(found, WANTED);
        for (size_t i = 0, at = 0; i < WANTED; i++, at++) {
            while (all[at].block % 2 == 0)
                at++;
            assert_int_equal(some[i].block, all[at].block);
        }
    }
    scope_close(scope);
    free(query);
    free(all);
    store_view_end(view);
}

static void test_places(void **state)
{
    (void)state;
    struct store_view *view = scratch_view(collection);
    const char *const where[] = {"chapter>5"};
    struct scope *scope;
    struct lmk_error error;
    uint64_t place = 0;
    must(scope_open(&scope, view, where, 1, &error), &error);
    for (uint64_t b = 0; b < DOCUMENTS; b++) {
        assert_int_equal(scope_holds(scope, b), b % 7 >= 5);
        if (b % 7 >= 5)
            assert_int_equal(scope_block(scope, place++), b);
    }
    assert_int_equal(scope->blocks, place);
    assert_false(scope_holds(scope, DOCUMENTS));
    scope_close(scope);
    must(scope_open(&scope, view, NULL, 0, &error), &error);
    assert_null(scope);
    assert_true(scope_holds(scope, 3));
    store_view_end(view);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_among_many),    cmocka_unit_test(test_several),
        cmocka_unit_test(test_refused),           cmocka_unit_test(test_words_of_many),
        cmocka_unit_test(test_landmarks_of_many), cmocka_unit_test(test_places),
    };
    return cmocka_run_group_tests(tests, open_group, close_group);
}
