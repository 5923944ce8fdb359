/* lmk_keep_within: documents that are used get their keys and values back, and what is interrupted
 * goes on. */
#include "index/collection.h"
#include "index/uses.h"
#include "src/model/rows.h"
#include "tests/unit/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include <cmocka.h>

enum { BOOKS = 4 };

static uint64_t free_bytes = UINT64_MAX / 2;

/* Instead of the C library's. */
int statvfs(const char *path, struct statvfs *information)
{
    (void)path;
    *information = (struct statvfs){.f_frsize = 1, .f_bavail = free_bytes};
    return 0;
}

static struct lmk_collection *make_collection(const char *name)
{
    struct lmk_collection *collection = scratch_create(name, tiny_model, LMK_TIER_F16, NULL);
    for (uint64_t i = 0; i < BOOKS; i++) {
        char file[32];
        snprintf(file, sizeof file, "%s-books/%d.txt", name, (int)i);
        scratch_write_prose(file, i + 1, 600);
    }
    char folder[32];
    snprintf(folder, sizeof folder, "%s-books", name);
    scratch_index(collection, folder);
    return collection;
}

static void use(const struct lmk_collection *collection, uint64_t document, size_t times)
{
    const struct lmk_passage passage = {.document = document};
    while (times--)
        uses_note(collection, &passage, 1);
}

static struct document document_of(struct lmk_collection *collection, uint64_t id)
{
    struct document document;
    struct store_view *view = scratch_view(collection);
    assert_int_equal(store_document(view, id, &document, NULL), LMK_OK);
    store_view_end(view);
    return document;
}

static uint64_t bytes_of(struct lmk_collection *collection, uint64_t id)
{
    const struct store_settings *settings = store_settings(collection->store);
    return document_of(collection, id).block_count *
           (store_block_bytes(settings, LMK_TIER_F16) - store_block_bytes(settings, LMK_TIER_NONE));
}

static bool after_one(void *context, const struct lmk_progress *progress)
{
    (void)context, (void)progress;
    return false;
}

static struct lmk_kept keep(struct lmk_collection *collection, uint64_t bytes)
{
    struct lmk_kept kept;
    struct lmk_error error;
    must(lmk_keep_within(collection, bytes, NULL, NULL, &kept, &error), &error);
    must(lmk_verify(collection, NULL, NULL, NULL, &error), &error);
    return kept;
}

static void expect(struct lmk_collection *collection, uint64_t id, enum document_state state,
                   enum lmk_tier tier)
{
    struct document document = document_of(collection, id);
    assert_int_equal(document.state, state);
    assert_int_equal(document.tier, tier);
}

/* What the store has of a document. */
struct computed {
    struct buffer landmarks, keys_values; /* float */
};

static struct computed computed_of(struct lmk_collection *collection, uint64_t id)
{
    struct document document = document_of(collection, id);
    struct store_view *view = scratch_view(collection);
    struct computed computed;
    size_t width = model_landmark_width(&tiny_model->shape),
           count = width * tiny_model->shape.block_tokens;
    float *numbers = malloc(count * sizeof *numbers);
    assert_non_null(numbers);
    buffer_init(&computed.landmarks, SIZE_MAX / 2);
    buffer_init(&computed.keys_values, SIZE_MAX / 2);
    for (uint64_t i = 0; i < document.block_count; i++) {
        const float *landmark;
        const void *rows[2];
        enum tensor_type type;
        uint64_t block = document.first_block + i;
        assert_int_equal(store_landmark_key(view, block, &landmark, NULL), LMK_OK);
        assert_int_equal(
            buffer_append(&computed.landmarks, landmark, width * sizeof *landmark, NULL), LMK_OK);
        assert_int_equal(store_keys_values(view, block, &type, &rows[0], &rows[1], NULL), LMK_OK);
        assert_int_equal(type, TENSOR_F16);
        for (size_t part = 0; part < 2; part++) {
            rows_unpack(type, rows[part], numbers, count);
            assert_int_equal(
                buffer_append(&computed.keys_values, numbers, count * sizeof *numbers, NULL),
                LMK_OK);
        }
    }
    free(numbers);
    store_view_end(view);
    return computed;
}

static void release(struct computed *computed)
{
    buffer_release(&computed->landmarks);
    buffer_release(&computed->keys_values);
}

/* Landmarks stayed as they are; keys and values are the same but for rounding, as other documents
 * shared the runs of the model. */
static void expect_computed(struct lmk_collection *collection, uint64_t id,
                            const struct computed *expected)
{
    struct computed found = computed_of(collection, id);
    assert_int_equal(found.landmarks.size, expected->landmarks.size);
    assert_memory_equal(found.landmarks.data, expected->landmarks.data, found.landmarks.size);
    assert_int_equal(found.keys_values.size, expected->keys_values.size);
    const float *numbers = (const float *)(void *)found.keys_values.data,
                *expected_numbers = (const float *)(void *)expected->keys_values.data;
    for (size_t i = 0; i < found.keys_values.size / sizeof *numbers; i++)
        assert_float_equal(numbers[i], expected_numbers[i], 5e-3);
    release(&found);
}

/* Only those that are used, the most used first, as far as the room goes; and what they get is
 * what they had. */
static void test_used_ones_get_theirs_back(void **state)
{
    (void)state;
    struct lmk_collection *collection = make_collection("back.lmk");
    struct computed before = computed_of(collection, 2);
    struct lmk_kept kept = keep(collection, 0);
    assert_int_equal(kept.dropped, BOOKS);
    kept = keep(collection, UINT64_MAX);
    assert_int_equal(kept.documents + kept.computed + kept.dropped, 0); /* none was used */
    use(collection, 2, 2);
    use(collection, 3, 1);
    uint64_t room = bytes_of(collection, 2);
    kept = keep(collection, room);
    assert_int_equal(kept.computed, 1);
    assert_int_equal(kept.computed_bytes, room);
    expect(collection, 2, DOCUMENT_READY, LMK_TIER_F16);
    expect(collection, 3, DOCUMENT_READY, LMK_TIER_NONE);
    expect_computed(collection, 2, &before);
    kept = keep(collection, room);
    assert_int_equal(kept.documents, 1);
    assert_int_equal(kept.computed + kept.dropped, 0);
    /* What is there is not computed for one that is used as often, but for one used more. */
    use(collection, 3, 1);
    assert_int_equal(keep(collection, room).computed, 0);
    use(collection, 3, 1);
    room = bytes_of(collection, 3);
    kept = keep(collection, room);
    assert_int_equal(kept.computed, 1);
    assert_int_equal(kept.dropped, 1);
    expect(collection, 2, DOCUMENT_READY, LMK_TIER_NONE);
    expect(collection, 3, DOCUMENT_READY, LMK_TIER_F16);
    release(&before);
    lmk_collection_close(collection);
}

/* Stopped in the middle of a document, which is read meanwhile as one that has no keys and values;
 * the next call, or the next run of lmk_index, goes on, or the document loses what it got. */
static void test_interrupted(void **state)
{
    (void)state;
    struct lmk_error error;
    struct lmk_kept kept;
    struct lmk_info info;
    struct lmk_answer *answer;
    struct lmk_ask_options options = lmk_ask_defaults(tiny_model);
    const char *const conditions[] = {"path~1.txt"};
    options.where = conditions;
    options.where_count = 1;
    struct lmk_collection *collection = make_collection("stop.lmk");
    struct computed before = computed_of(collection, 2);
    for (int way = 0; way < 3; way++) {
        keep(collection, 0);
        use(collection, 2, 1);
        assert_int_equal(lmk_keep_within(collection, UINT64_MAX, after_one, NULL, &kept, &error),
                         LMK_INTERRUPTED);
        expect(collection, 2, DOCUMENT_LANDMARKS, LMK_TIER_F16);
        must(lmk_verify(collection, NULL, NULL, NULL, &error), &error);
        must(lmk_info(collection, &info, &error), &error);
        assert_int_equal(info.documents_ready, BOOKS); /* all have their landmarks */
        assert_int_equal(info.blocks_ready, info.blocks);
        must(lmk_ask(collection, "abc", &options, &answer, &error), &error);
        assert_true(answer->count > 0);
        lmk_answer_free(answer);
        if (way == 0) {
            keep(collection, 0);
            expect(collection, 2, DOCUMENT_READY, LMK_TIER_NONE);
            continue;
        }
        if (way == 1)
            assert_int_equal(keep(collection, UINT64_MAX).computed, 1);
        else
            assert_int_equal(scratch_index(collection, "stop.lmk-books").documents, 1);
        expect(collection, 2, DOCUMENT_READY, LMK_TIER_F16);
        expect_computed(collection, 2, &before);
    }
    release(&before);
    lmk_collection_close(collection);
}

/* On a disk that is nearly full what fits there is computed, and nothing is left waiting that does
 * not, also of what was interrupted: lmk_index would not run any more. */
static void test_small_disk(void **state)
{
    (void)state;
    struct lmk_error error;
    struct lmk_kept kept;
    struct lmk_collection *collection = make_collection("disk.lmk");
    const struct store_settings *settings = store_settings(collection->store);
    keep(collection, 0);
    use(collection, 2, 2);
    use(collection, 3, 1);
    assert_int_equal(lmk_keep_within(collection, UINT64_MAX, after_one, NULL, &kept, &error),
                     LMK_INTERRUPTED);
    expect(collection, 2, DOCUMENT_LANDMARKS, LMK_TIER_F16);
    free_bytes = 1000;
    assert_int_equal(keep(collection, UINT64_MAX).computed, 0);
    expect(collection, 2, DOCUMENT_READY, LMK_TIER_NONE);
    expect(collection, 3, DOCUMENT_READY, LMK_TIER_NONE);
    free_bytes = document_of(collection, 2).block_count * store_block_bytes(settings, LMK_TIER_F16);
    assert_int_equal(keep(collection, UINT64_MAX).computed, 1);
    free_bytes = 1000;
    expect(collection, 2, DOCUMENT_READY, LMK_TIER_F16);
    expect(collection, 3, DOCUMENT_READY, LMK_TIER_NONE);
    assert_int_equal(scratch_index(collection, "disk.lmk-books").documents, 0);
    free_bytes = UINT64_MAX / 2;
    lmk_collection_close(collection);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_used_ones_get_theirs_back),
        cmocka_unit_test(test_interrupted),
        cmocka_unit_test(test_small_disk),
    };
    return cmocka_run_group_tests(tests, scratch_open_model, scratch_close_model);
}
