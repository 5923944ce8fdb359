/* A collection whose documents and blocks have numbers beyond 2^32, as if so many had been there
 * before: segments and words say the same as where numbers begin at nothing. */
#include "index/store_internal.h"
#include "tests/unit/scratch.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Numbers of blocks whose low 32 bits end among the blocks: a cut number would wrap around. */
#define FIRST_BLOCK (((uint64_t)5 << 32) - 100)
#define FIRST_DOCUMENT (((uint64_t)3 << 32) - 1)

/* Documents and blocks from now on have large numbers. */
static void skip_numbers(struct lmk_collection *collection)
{
    struct lmk_error error;
    struct store_batch *batch;
    must(store_batch_begin(collection->store, &batch, &error), &error);
    must(store_start_at(batch, FIRST_DOCUMENT, FIRST_BLOCK, &error), &error);
    must(store_commit(batch, &error), &error);
}

static struct lmk_collection *make(const char *name, bool large)
{
    struct lmk_collection *collection = scratch_create(name, tiny_model, LMK_TIER_F16, NULL);
    if (large)
        skip_numbers(collection);
    scratch_index(collection, "books");
    return collection;
}

static void compare_passages(const struct lmk_results *small, const struct lmk_results *large)
{
    assert_true(small->count > 0);
    assert_int_equal(small->count, large->count);
    for (size_t i = 0; i < small->count; i++) {
        const struct lmk_passage *a = &small->passages[i], *b = &large->passages[i];
        assert_int_equal(b->block, a->block + FIRST_BLOCK);
        assert_int_equal(b->best_block, a->best_block + FIRST_BLOCK);
        assert_int_equal(b->document, a->document - 1 + FIRST_DOCUMENT);
        assert_string_equal(a->text, b->text);
        assert_int_equal(a->source_start, b->source_start);
        assert_true(fabs(a->score - b->score) < 1e-4);
    }
}

static void compare_searches(struct lmk_collection *small, struct lmk_collection *large)
{
    static const enum lmk_mode modes[] = {LMK_HYBRID, LMK_LANDMARK, LMK_LEXICAL};
    for (size_t m = 0; m < sizeof modes / sizeof modes[0]; m++) {
        struct lmk_search_options options = lmk_search_defaults();
        struct lmk_results *left, *right;
        struct lmk_error error;
        options.mode = modes[m];
        must(lmk_search(small, "needle in the haystack", &options, &left, &error), &error);
        must(lmk_search(large, "needle in the haystack", &options, &right, &error), &error);
        compare_passages(left, right);
        lmk_results_free(left);
        lmk_results_free(right);
    }
}

static void remove_first(struct lmk_collection *collection)
{
    uint64_t removed;
    struct lmk_error error;
    must(lmk_remove(collection, "one", &removed, &error), &error);
    assert_int_equal(removed, 1);
}

static void write_book(const char *name, const char *title, uint64_t seed, size_t words)
{
    char *prose = scratch_prose(seed, words), *text = malloc(strlen(prose) + 200);
    strcpy(text, title);
    strcat(text, "\n\nA needle lay in the haystack.\n\n");
    strcat(text, prose);
    scratch_write_text(name, text);
    free(text);
    free(prose);
}

static void test_same_as_small(void **state)
{
    (void)state;
    struct lmk_error error;
    struct lmk_info info;
    write_book("books/1.txt", "one", 1, 300);
    write_book("books/2.txt", "two", 2, 3000);
    write_book("books/3.txt", "three", 3, 500);
    struct lmk_collection *small = make("small.lmk", false), *large = make("large.lmk", true);
    must(lmk_info(large, &info, &error), &error);
    assert_int_equal(info.segments, 1);
    assert_int_equal(info.segment_blocks, info.blocks);
    assert_int_equal(info.documents_words, 3);
    assert_true(info.blocks > 300);
    compare_searches(small, large);
    must(lmk_verify(large, NULL, NULL, NULL, &error), &error);
    remove_first(small);
    remove_first(large);
    compare_searches(small, large);
    must(lmk_compact(small, NULL, NULL, &error), &error);
    must(lmk_compact(large, NULL, NULL, &error), &error);
    compare_searches(small, large);
    must(lmk_verify(large, NULL, NULL, NULL, &error), &error);
    lmk_collection_close(small);
    lmk_collection_close(large);
}

/* The texts and scores that a search for a rare and a common word finds. */
static struct lmk_results *find(struct lmk_collection *collection)
{
    struct lmk_search_options options = lmk_search_defaults();
    struct lmk_results *results;
    struct lmk_error error;
    options.most_matches = 2; /* what lies in more is estimated from a sample */
    must(lmk_search(collection, "two needle", &options, &results, &error), &error);
    assert_true(results->count > 0);
    return results;
}

/* A gap in the middle of the numbers, as a removed library leaves it: the statistics of scores,
 * which come from a sample of the blocks, are as without it. */
static void test_gap(void **state)
{
    (void)state;
    write_book("gap/1.txt", "one", 1, 300);
    write_book("gap/2.txt", "two", 2, 1500);
    write_book("gap/3.txt", "three", 3, 500);
    struct lmk_collection *small = scratch_create("whole.lmk", tiny_model, LMK_TIER_F16, NULL),
                          *gapped = scratch_create("gap.lmk", tiny_model, LMK_TIER_F16, NULL);
    scratch_index(small, "gap");
    scratch_index(gapped, "gap/1.txt");
    skip_numbers(gapped);
    scratch_index(gapped, "gap");
    struct lmk_results *expected = find(small), *found = find(gapped);
    assert_int_equal(found->count, expected->count);
    for (size_t i = 0; i < found->count; i++) {
        const struct lmk_passage *a = &expected->passages[i], *b = &found->passages[i];
        assert_string_equal(a->text, b->text);
        assert_true(fabs(a->score - b->score) < 1e-4);
        assert_true(fabs(a->landmark_part - b->landmark_part) < 1e-4);
        assert_true(fabs(a->lexical_part - b->lexical_part) < 1e-4);
    }
    lmk_results_free(expected);
    lmk_results_free(found);
    lmk_collection_close(small);
    lmk_collection_close(gapped);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_as_small),
        cmocka_unit_test(test_gap),
    };
    return cmocka_run_group_tests(tests, scratch_open_model, scratch_close_model);
}
