/* What indexing takes is estimated from a part of the texts, and indexing is refused before
 * anything is added where the disk is too small: here it is as large, and time goes as fast, as
 * this file says. */
#include "tests/unit/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static uint64_t free_bytes;
static size_t looks; /* at the clock in which time stands still; then each takes a second. 0: the
                        system's clock */

/* These two instead of the C library's. */
int clock_gettime(clockid_t clock, struct timespec *now)
{
    static time_t seconds;
    if (!looks)
        return (int)syscall(SYS_clock_gettime, clock, now);
    if (looks > 1)
        looks--;
    else
        seconds++;
    *now = (struct timespec){seconds, 0};
    return 0;
}

int statvfs(const char *path, struct statvfs *information)
{
    (void)path;
    *information = (struct statvfs){.f_bavail = free_bytes, .f_frsize = 1};
    return 0;
}

static struct lmk_estimate estimate_of(const char *name, const char *text,
                                       const struct lmk_model *model)
{
    struct lmk_error error;
    struct lmk_estimate estimate;
    const enum lmk_tier tier = LMK_TIER_F16;
    const struct lmk_index_options options = {.tier = &tier};
    char *path = scratch_path(name), *source = scratch_path(text);
    const char *paths[] = {source};
    must(lmk_estimate(path, model, paths, 1, &options, &estimate, &error), &error);
    free(path);
    free(source);
    return estimate;
}

static void test_refusal(void **state)
{
    (void)state;
    struct lmk_model *model = scratch_model("tiny-slot");
    char *path = scratch_path("book.txt");
    const char *paths[] = {path};
    struct lmk_error error;
    struct lmk_info info;
    scratch_write_prose("book.txt", 1, 1500);
    struct lmk_estimate expected = estimate_of("a.lmk", "book.txt", model);
    struct lmk_collection *collection = scratch_create("a.lmk", model, LMK_TIER_F16, NULL);
    free_bytes = expected.space.needed - expected.space.needed / 10;
    assert_int_equal(lmk_index(collection, paths, 1, NULL, NULL, &error), LMK_IO);
    assert_non_null(strstr(error.message, "No text was added"));
    must(lmk_info(collection, &info, &error), &error);
    assert_int_equal(info.documents, 0);
    free_bytes = expected.space.needed + expected.space.needed / 10;
    must(lmk_index(collection, paths, 1, NULL, NULL, &error), &error);
    must(lmk_info(collection, &info, &error), &error);
    assert_int_equal(info.documents, expected.documents);
    assert_int_equal(info.tokens, expected.tokens);
    assert_int_equal(estimate_of("a.lmk", "book.txt", model).documents, 0);
    lmk_collection_close(collection);
    lmk_model_close(model);
    free(path);
}

/* Returns the bytes of their texts. */
static size_t add_records(FILE *file, size_t count, size_t words, uint64_t seed)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        char *prose = scratch_prose(seed + i, words);
        int size = (int)strcspn(prose, "\n");
        fprintf(file, "{\"text\": \"%.*s\"}\n", size, prose);
        bytes += (size_t)size;
        free(prose);
    }
    return bytes;
}

/* JSON lines of which there is time for some: long records at the beginning, then short ones. */
static void test_uneven_lines(void **state)
{
    (void)state;
    enum { LONG = 1000, SHORT = 8000 };
    struct lmk_model *model = scratch_model("tiny-slot");
    char *content;
    size_t size;
    FILE *file = open_memstream(&content, &size);
    assert_non_null(file);
    size_t bytes = add_records(file, LONG, 700, 1);
    bytes += add_records(file, SHORT, 40, LONG + 1);
    assert_int_equal(fclose(file), 0);
    scratch_write("uneven.jsonl", content, size);
    looks = 3000; /* about one for each document */
    struct lmk_estimate estimate = estimate_of("none.lmk", "uneven.jsonl", model);
    looks = 0;
    assert_int_equal(estimate.files, 1);
    assert_true(estimate.share > .1 && estimate.share < .6);
    assert_in_range(estimate.documents, (LONG + SHORT) * 8 / 10, (LONG + SHORT) * 12 / 10);
    assert_in_range(estimate.tokens, bytes * 9 / 10, bytes * 11 / 10); /* a byte is a token */
    lmk_model_close(model);
    free(content);
}

/* Lines that run through many portions: most portions hold no beginning of one. */
static void test_long_lines(void **state)
{
    (void)state;
    enum { RECORDS = 300 };
    struct lmk_model *model = scratch_model("tiny-slot");
    char *content;
    size_t size;
    FILE *file = open_memstream(&content, &size);
    assert_non_null(file);
    size_t bytes = add_records(file, RECORDS, 10000, 1);
    assert_int_equal(fclose(file), 0);
    scratch_write("long.jsonl", content, size);
    looks = 250;
    struct lmk_estimate estimate = estimate_of("none.lmk", "long.jsonl", model);
    looks = 0;
    assert_true(estimate.share > .01 && estimate.share < .5);
    assert_in_range(estimate.documents, RECORDS * 98 / 100, RECORDS * 102 / 100);
    assert_in_range(estimate.tokens, bytes * 98 / 100, bytes * 102 / 100);
    lmk_model_close(model);
    free(content);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_refusal, scratch_open, scratch_close),
        cmocka_unit_test_setup_teardown(test_uneven_lines, scratch_open, scratch_close),
        cmocka_unit_test_setup_teardown(test_long_lines, scratch_open, scratch_close)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
