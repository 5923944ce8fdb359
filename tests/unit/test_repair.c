/* What an interrupted run left of a document may be damaged too: indexing goes on behind it, so
 * repairing looks at it. */
#include "index/uses.h"
#include "tests/unit/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool stop_in_model(void *context, const struct lmk_progress *progress)
{
    (void)context;
    return strcmp(progress->stage, "indexing") != 0 || !progress->tokens;
}

static enum lmk_status index_books(struct lmk_collection *collection, bool interrupted,
                                   struct lmk_error *error)
{
    char *path = scratch_path("books");
    const char *const paths[] = {path};
    struct lmk_index_options options = {.progress = interrupted ? stop_in_model : NULL};
    enum lmk_status status = lmk_index(collection, paths, 1, &options, NULL, error);
    free(path);
    return status;
}

/* Changes `at` of the last long value of data.mdb that holds keys and values in f16 (FORMAT.md: its
 * header is u64 first block, u32 count, u32 row type). */
static void damage_last_extent(const char *name, size_t at)
{
    enum { PAGE = 4096, HEADER = 16, OVERFLOW_PAGE = 4 };
    static unsigned char page[PAGE];
    char *path = scratch_path(name);
    FILE *file = fopen(path, "r+b");
    long found = 0;
    assert_non_null(file);
    for (long start = 2 * PAGE; !fseek(file, start, SEEK_SET) && fread(page, PAGE, 1, file) == 1;
         start += PAGE) {
        uint32_t count, type;
        memcpy(&count, page + HEADER + 8, sizeof count);
        memcpy(&type, page + HEADER + 12, sizeof type);
        if (page[10] & OVERFLOW_PAGE && count && count <= 64 && type == 1)
            found = start;
    }
    assert_true(found > 0);
    unsigned char byte = 0;
    fseek(file, found + HEADER + (long)at, SEEK_SET);
    assert_int_equal(fread(&byte, 1, 1, file), 1);
    byte ^= 0x10;
    fseek(file, found + HEADER + (long)at, SEEK_SET);
    assert_int_equal(fwrite(&byte, 1, 1, file), 1);
    assert_int_equal(fclose(file), 0);
    free(path);
}

/* `at`: in the header, which tells how far the run had come, or behind it. */
static void check_interrupted(const char *name, size_t at)
{
    char data[64];
    struct lmk_error error;
    struct lmk_repair_report report;
    struct lmk_collection *collection = scratch_create(name, tiny_model, LMK_TIER_F16, NULL);
    assert_int_equal(index_books(collection, true, &error), LMK_INTERRUPTED);
    lmk_collection_close(collection);
    snprintf(data, sizeof data, "%s/generation-000001/data.mdb", name);
    damage_last_extent(data, at);
    collection = scratch_writer(name, tiny_model);
    must(lmk_repair(collection, NULL, NULL, &report, &error), &error);
    assert_true(report.problems > 0);
    assert_int_equal(report.documents, 1);
    assert_int_equal(report.left, 0);
    must(index_books(collection, false, &error), &error);
    must(lmk_verify(collection, NULL, NULL, NULL, &error), &error);
    lmk_collection_close(collection);
}

static void test_what_was_interrupted(void **state)
{
    (void)state;
    scratch_write_prose("books/one.txt", 3, 20000);
    check_interrupted("header.lmk", 8);
    check_interrupted("keys.lmk", 600);
}

static bool stop_before_model(void *context, const struct lmk_progress *progress)
{
    (void)context;
    return strcmp(progress->stage, "words") != 0;
}

static enum document_state state_of(struct lmk_collection *collection, uint64_t id)
{
    struct store_view *view = scratch_view(collection);
    struct document document;
    struct lmk_error error;
    must(store_document(view, id, &document, &error), &error);
    store_view_end(view);
    return document.state;
}

/* What waits to be indexed goes on waiting. */
static void test_only_what_is_damaged(void **state)
{
    (void)state;
    struct lmk_error error;
    struct lmk_repair_report report;
    char *path = scratch_path("books");
    const char *const paths[] = {path};
    scratch_write_prose("books/one.txt", 4, 3000);
    struct lmk_collection *collection = scratch_create("only.lmk", tiny_model, LMK_TIER_F16, NULL);
    must(index_books(collection, false, &error), &error);
    scratch_write_prose("books/two.txt", 5, 3000);
    const struct lmk_index_options options = {.progress = stop_before_model};
    assert_int_equal(lmk_index(collection, paths, 1, &options, NULL, &error), LMK_INTERRUPTED);
    lmk_collection_close(collection);
    damage_last_extent("only.lmk/generation-000001/data.mdb", 600);
    collection = scratch_writer("only.lmk", tiny_model);
    must(lmk_repair(collection, NULL, NULL, &report, &error), &error);
    assert_int_equal(report.documents, 1);
    assert_int_equal(report.left, 0);
    assert_int_equal(state_of(collection, 1), DOCUMENT_READY);
    assert_int_equal(state_of(collection, 2), DOCUMENT_TEXT);
    lmk_collection_close(collection);
    free(path);
}

/* Changes the landmark key of the document's last block, wherever its bytes are in data.mdb. */
static void damage_last_landmark(const char *name, uint64_t id)
{
    enum { KEY_MOST = 4096, FILE_MOST = 64 << 20 };
    static unsigned char key[KEY_MOST], content[FILE_MOST];
    char data[64];
    size_t key_size = model_landmark_width(&tiny_model->shape) * sizeof(float), found = 0;
    const float *landmark;
    struct document document;
    struct lmk_error error;
    struct lmk_collection *collection = scratch_reader(name, tiny_model);
    struct store_view *view = scratch_view(collection);
    must(store_document(view, id, &document, &error), &error);
    uint64_t last = document.first_block + document.block_count - 1;
    must(store_landmark_key(view, last, &landmark, &error), &error);
    assert_true(key_size <= KEY_MOST);
    memcpy(key, landmark, key_size);
    store_view_end(view);
    lmk_collection_close(collection);
    snprintf(data, sizeof data, "%s/generation-000001/data.mdb", name);
    char *path = scratch_path(data);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    size_t size = fread(content, 1, FILE_MOST, file);
    assert_true(size < FILE_MOST);
    for (size_t at = 0; at + key_size <= size; at++)
        if (!memcmp(content + at, key, key_size)) {
            content[at] ^= 1;
            found++;
        }
    assert_true(found > 0);
    rewind(file);
    assert_int_equal(fwrite(content, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    free(path);
}

/* A document that was getting its keys and values again has all of its landmarks, also those behind
 * the place that this had come to. */
static void test_landmarks_behind(void **state)
{
    (void)state;
    struct lmk_error error;
    struct lmk_kept kept;
    struct lmk_repair_report report;
    const struct lmk_passage passage = {.document = 1};
    scratch_write_prose("books/one.txt", 6, 20000);
    struct lmk_collection *collection =
        scratch_create("behind.lmk", tiny_model, LMK_TIER_F16, NULL);
    must(index_books(collection, false, &error), &error);
    must(lmk_keep_within(collection, 0, NULL, NULL, &kept, &error), &error);
    uses_note(collection, &passage, 1);
    assert_int_equal(lmk_keep_within(collection, UINT64_MAX, stop_in_model, NULL, &kept, &error),
                     LMK_INTERRUPTED);
    assert_int_equal(state_of(collection, 1), DOCUMENT_LANDMARKS);
    lmk_collection_close(collection);
    damage_last_landmark("behind.lmk", 1);
    collection = scratch_writer("behind.lmk", tiny_model);
    must(lmk_repair(collection, NULL, NULL, &report, &error), &error);
    assert_true(report.problems > 0);
    assert_int_equal(report.documents, 1);
    assert_int_equal(report.left, 0);
    assert_int_equal(state_of(collection, 1), DOCUMENT_READY);
    lmk_collection_close(collection);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_interrupted),
        cmocka_unit_test(test_only_what_is_damaged),
        cmocka_unit_test(test_landmarks_behind),
    };
    return cmocka_run_group_tests(tests, scratch_open_model, scratch_close_model);
}
