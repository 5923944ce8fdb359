/* Indexing is refused before anything is added where the disk is too small: here it is as large as
 * this file says. */
#include "tests/unit/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include <cmocka.h>

static uint64_t free_bytes;

/* Instead of the C library's. */
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
    char *prose = scratch_prose(1, 1500), *path = scratch_path("book.txt");
    const char *paths[] = {path};
    struct lmk_error error;
    struct lmk_info info;
    scratch_write_text("book.txt", prose);
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
    free(prose);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_refusal, scratch_open, scratch_close)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
