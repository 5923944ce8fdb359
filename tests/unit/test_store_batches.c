/* Batches as transactions: all of one or nothing, seen by later views only; removal; and the small
 * records. A long random run is compared with a mirror of what should be there. */
#include "index/store_internal.h"
#include "tests/unit/random_model.h"
#include "tests/unit/sample_store.h"
#include "tests/unit/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_abort(void **state)
{
    (void)state;
    struct store *store = sample_store_create("abort", &sample_settings);
    struct sample kept, dropped;
    sample_make(&kept, &sample_settings, LMK_TIER_Q8_0, 1, 20);
    sample_make(&dropped, &sample_settings, LMK_TIER_F16, 2, 30);
    struct store_batch *batch = sample_batch(store);
    sample_index(batch, &kept, &sample_settings);
    sample_commit(batch);
    for (int i = 0; i < 3; i++) {
        batch = sample_batch(store);
        sample_index(batch, &dropped, &sample_settings);
        assert_int_equal(store_remove_document(batch, kept.document.id, NULL), LMK_OK);
        sample_expect(&batch->view, &dropped, &sample_settings, 30);
        sample_expect_none(&batch->view, &kept);
        assert_int_equal(dropped.document.id, 2);
        store_abort(batch);
        struct store_view *view = sample_view(store);
        sample_expect(view, &kept, &sample_settings, 20);
        sample_expect_none(view, &dropped);
        sample_expect_sound(view);
        store_view_end(view);
    }
    store_close(store);
    sample_free(&kept);
    sample_free(&dropped);
}

/* A view keeps seeing what was there when it began, and its pointers what they pointed to. */
static void test_snapshots(void **state)
{
    (void)state;
    enum { ROUNDS = 12 };
    struct sample samples[ROUNDS];
    struct store *store = sample_store_create("snapshots", &sample_settings);

    struct store_view *views[ROUNDS];
    const float *keys[ROUNDS];
    for (size_t i = 0; i < ROUNDS; i++) {
        sample_make(&samples[i], &sample_settings, LMK_TIER_Q4_0, i + 1, 50);
        struct store_batch *batch = sample_batch(store);
        if (i)
            assert_int_equal(store_remove_document(batch, samples[i - 1].document.id, NULL),
                             LMK_OK);
        sample_index(batch, &samples[i], &sample_settings);
        struct store_view *before = sample_view(store);
        sample_expect_none(before, &samples[i]);
        sample_commit(batch);
        sample_expect_none(before, &samples[i]);
        store_view_end(before);
        views[i] = sample_view(store);
        assert_int_equal(
            store_landmark_key(views[i], samples[i].document.first_block + 7, &keys[i], NULL),
            LMK_OK);
    }
    for (size_t i = 0; i < ROUNDS; i++) {
        assert_memory_equal(keys[i], samples[i].landmark_keys + 7 * 64, 64 * sizeof(float));
        sample_expect(views[i], &samples[i], &sample_settings, 50);
        if (i)
            sample_expect_none(views[i], &samples[i - 1]);
        store_view_end(views[i]);
    }
    store_close(store);
    for (size_t i = 0; i < ROUNDS; i++)
        sample_free(&samples[i]);
}

/* ---- the small records */

static void expect_source(struct store_view *view, const char *path, uint64_t document,
                          uint64_t size, int64_t time)
{
    struct source_record found;
    assert_int_equal(store_source(view, path, &found, NULL), LMK_OK);
    assert_int_equal(found.document, document);
    assert_int_equal(found.size, size);
    assert_int_equal(found.modified_ns, time);
}

static void put_source(struct store_batch *batch, const char *path, uint64_t document,
                       uint64_t size, int64_t time)
{
    struct source_record record = {document, size, time, 1};
    assert_int_equal(store_put_source(batch, path, &record, NULL), LMK_OK);
}

/* Many files of one text, files that change hands, and what remains when a document goes. */
static void test_sources(void **state)
{
    (void)state;
    struct store *store = sample_store_create("sources", &sample_settings);
    struct sample samples[3];
    char longest[4096];
    memset(longest, 'p', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    struct store_batch *batch = sample_batch(store);
    for (size_t i = 0; i < 3; i++) {
        sample_make(&samples[i], &sample_settings, LMK_TIER_NONE, i + 1, 2);
        sample_add(batch, &samples[i]);
    }
    put_source(batch, "a", 1, 0, INT64_MIN);
    put_source(batch, "b", 2, UINT64_MAX, INT64_MAX);
    put_source(batch, longest, 2, 5, -1);
    put_source(batch, "\xc3\xa4/c", 2, 6, 6);
    put_source(batch, "b", 3, 7, 7);
    put_source(batch, "a", 1, 8, 8);
    sample_commit(batch);
    struct store_view *view = sample_view(store);
    struct source_record none;
    struct lmk_error error;
    expect_source(view, "a", 1, 8, 8);
    expect_source(view, "b", 3, 7, 7);
    expect_source(view, longest, 2, 5, -1);
    expect_source(view, "\xc3\xa4/c", 2, 6, 6);
    assert_int_equal(store_source(view, "c", &none, &error), LMK_NOT_FOUND);
    sample_expect_sound(view);
    store_view_end(view);
    batch = sample_batch(store);
    assert_int_equal(store_remove_document(batch, 2, NULL), LMK_OK);
    sample_commit(batch);
    view = sample_view(store);
    expect_source(view, "a", 1, 8, 8);
    expect_source(view, "b", 3, 7, 7);
    assert_int_equal(store_source(view, longest, &none, &error), LMK_NOT_FOUND);
    assert_int_equal(store_source(view, "\xc3\xa4/c", &none, &error), LMK_NOT_FOUND);
    sample_expect_sound(view);
    store_view_end(view);
    store_close(store);
    for (size_t i = 0; i < 3; i++)
        sample_free(&samples[i]);
}

static void expect_segments(struct store *store, const struct segment_record *expected,
                            size_t count)
{
    struct buffer found;
    struct store_view *view = sample_view(store);
    buffer_init(&found, 1 << 20);
    assert_int_equal(store_segments(view, &found, NULL), LMK_OK);
    assert_int_equal(found.size, count * sizeof *expected);
    if (count)
        assert_memory_equal(found.data, expected, found.size); /* in order of their names */
    sample_expect_sound(view);
    store_view_end(view);
    buffer_release(&found);
}

static void test_segment_records(void **state)
{
    (void)state;
    struct store *store = sample_store_create("segments", &sample_settings);
    struct segment_record records[3] = {
        {.name = "a.faiss",
         .end_block = 4,
         .vector_count = 3,
         .size = UINT64_MAX,
         .factory = "IDMap,Flat"},
        {.name = "b.faiss", .part = 2, .hash = {1, 2, 255}},
        {.name = "c.faiss"},
    };
    memset(records[2].name, 'c', 63);
    memset(records[2].factory, 'F', 63);
    expect_segments(store, records, 0);
    struct sample sample;
    sample_make(&sample, &sample_settings, LMK_TIER_Q8_0, 1, 4);
    struct store_batch *batch = sample_batch(store);
    sample_index(batch, &sample, &sample_settings);
    for (size_t i = 3; i-- > 0;)
        assert_int_equal(store_put_segment(batch, &records[i], NULL), LMK_OK);
    sample_commit(batch);
    expect_segments(store, records, 3);
    records[0].vector_count = 4;
    batch = sample_batch(store);
    assert_int_equal(store_put_segment(batch, &records[0], NULL), LMK_OK);
    assert_int_equal(store_remove_segment(batch, records[2].name, NULL), LMK_OK);
    assert_int_equal(store_remove_segment(batch, "unknown", NULL), LMK_OK);
    sample_commit(batch);
    expect_segments(store, records, 2);
    store_close(store);
    sample_free(&sample);
}

/* A hostile file may say anything. */
static void test_impossible_segment(void **state)
{
    (void)state;
    struct store *store = sample_store_create("impossible", &sample_settings);
    struct segment_record record = {
        .name = "a.faiss", .first_block = 7, .end_block = 11, .vector_count = 5};
    struct store_batch *batch = sample_batch(store);
    assert_int_equal(store_put_segment(batch, &record, NULL), LMK_OK);
    sample_commit(batch);
    struct store_view *view = sample_view(store);
    struct buffer found;
    buffer_init(&found, 1 << 20);
    struct lmk_error error;
    assert_int_equal(store_segments(view, &found, &error), LMK_CORRUPT);
    buffer_release(&found);
    store_view_end(view);
    store_close(store);
}

/* ---- all landmarks in order */

struct seen {
    uint64_t blocks[256], stop_at;
    size_t count;
};

static enum lmk_status note_block(void *context, uint64_t block, const float *key,
                                  struct lmk_error *error)
{
    struct seen *seen = context;
    assert_true((uintptr_t)key % sizeof(float) == 0 && key[0] == key[0]);
    seen->blocks[seen->count++] = block;
    return block == seen->stop_at ? error_set(error, LMK_INTERRUPTED, "Enough.") : LMK_OK;
}

static void test_visit_landmarks(void **state)
{
    (void)state;
    static const size_t stored[] = {10, 70, 0, 3, 64};
    struct store *store = sample_store_create("visit", &sample_settings);
    struct sample samples[5];
    struct store_batch *batch = sample_batch(store);
    bool there[400] = {false};
    for (size_t i = 0; i < 5; i++) {
        sample_make(&samples[i], &sample_settings, LMK_TIER_NONE, i + 1, 70 - 15 * (i == 0));
        sample_add(batch, &samples[i]);
        sample_put(batch, &samples[i], &sample_settings, 0, stored[i]);
        for (size_t b = 0; b < stored[i] && i != 3; b++)
            there[samples[i].document.first_block + b] = true;
    }
    assert_int_equal(store_remove_document(batch, 4, NULL), LMK_OK);
    sample_commit(batch);
    struct store_view *view = sample_view(store);
    for (uint64_t first = 0; first < 340; first += 13)
        for (uint64_t end = first; end <= 340; end += 17) {
            struct seen seen = {.stop_at = UINT64_MAX};
            size_t count = 0;
            assert_int_equal(store_visit_landmarks(view, first, end, note_block, &seen, NULL),
                             LMK_OK);
            for (uint64_t block = first; block < end; block++)
                if (there[block])
                    assert_true(count < seen.count && seen.blocks[count++] == block);
            assert_int_equal(seen.count, count);
        }
    struct seen seen = {.stop_at = 60};
    struct lmk_error error;
    assert_int_equal(store_visit_landmarks(view, 0, UINT64_MAX, note_block, &seen, &error),
                     LMK_INTERRUPTED);
    assert_string_equal(error.message, "Enough.");
    assert_int_equal(seen.blocks[seen.count - 1], 60);
    store_view_end(view);
    store_close(store);
    for (size_t i = 0; i < 5; i++)
        sample_free(&samples[i]);
}

/* ---- a long random run */

enum { SLOTS = 10, FILES = 8 };

struct slot {
    struct sample sample; /* its arrays stay the same; the document's record changes */
    const char *first_path;
    bool there, running; /* running: this batch has put blocks of it */
    size_t stored;
};

struct world {
    struct slot slots[SLOTS];
    uint64_t file_document[FILES]; /* 0: not known */
    uint64_t next_document, next_block, batches;
};

static struct slot *slot_of(struct world *world, uint64_t document)
{
    for (size_t i = 0; i < SLOTS; i++)
        if (world->slots[i].there && world->slots[i].sample.document.id == document)
            return &world->slots[i];
    return NULL;
}

static void name_file(size_t file, char name[16])
{
    snprintf(name, 16, "file-%zu", file);
}

static void put_some(struct store_batch *batch, struct slot *slot, struct random_source *source)
{
    size_t count = slot->sample.document.block_count, first = slot->stored;
    if (!slot->running && random_below(source, 4) == 0)
        first = random_below(source, (uint32_t)first + 1);
    size_t end = first + random_below(source, 30);
    if (end > count)
        end = count;
    sample_put(batch, &slot->sample, &sample_settings, first, end);
    if (end > first) {
        slot->stored = end;
        slot->running = end < count;
    }
    if (slot->stored == count && end > first)
        sample_state(batch, &slot->sample,
                     slot->sample.document.tier == LMK_TIER_NONE ? DOCUMENT_LANDMARKS
                                                                 : DOCUMENT_READY);
}

static void remove_slot(struct world *world, struct store_batch *batch, struct slot *slot)
{
    assert_int_equal(store_remove_document(batch, slot->sample.document.id, NULL), LMK_OK);
    for (size_t i = 0; i < FILES; i++)
        if (world->file_document[i] == slot->sample.document.id)
            world->file_document[i] = 0;
    slot->there = slot->running = false;
}

static void add_slot(struct world *world, struct store_batch *batch, struct slot *slot)
{
    slot->sample.document.path = slot->first_path;
    sample_add(batch, &slot->sample);
    assert_int_equal(slot->sample.document.id, world->next_document);
    assert_int_equal(slot->sample.document.first_block, world->next_block);
    world->next_document++;
    world->next_block += slot->sample.document.block_count;
    slot->there = true;
    slot->stored = 0;
}

static void step(struct world *world, struct store_batch *batch, struct random_source *source)
{
    struct slot *slot = &world->slots[random_below(source, SLOTS)];
    char name[16];
    if (!slot->there) {
        add_slot(world, batch, slot);
        return;
    }
    struct document *document = &slot->sample.document;
    switch (random_below(source, 8)) {
    case 0:
        remove_slot(world, batch, slot);
        break;
    case 1:
        document->path = random_below(source, 2) ? "moved" : "moved/to/a/longer/path.txt";
        assert_int_equal(store_set_path(batch, document->id, document->path, NULL), LMK_OK);
        break;
    case 2:
        name_file(random_below(source, FILES), name);
        put_source(batch, name, document->id, 1, 2);
        world->file_document[name[5] - '0'] = document->id;
        break;
    default:
        if (document->state == DOCUMENT_TEXT)
            put_some(batch, slot, source);
    }
}

static void expect_world(struct world *world, struct store_view *view)
{
    struct store_counts counts, expected = {.next_document = world->next_document,
                                            .next_block = world->next_block,
                                            .batches = world->batches};
    for (size_t i = 0; i < SLOTS; i++) {
        const struct slot *slot = &world->slots[i];
        const struct document *document = &slot->sample.document;
        if (!slot->there)
            continue;
        sample_expect(view, &slot->sample, &sample_settings, slot->stored);
        expected.documents++;
        expected.blocks += document->block_count;
        expected.tokens += document->token_count;
        expected.source_bytes += document->source_bytes;
        expected.text_bytes += document->text_bytes;
        if (document->state != DOCUMENT_TEXT) {
            expected.documents_ready++;
            expected.blocks_ready += document->block_count;
        }
    }
    assert_int_equal(store_counts(view, &counts, NULL), LMK_OK);
    assert_memory_equal(&counts, &expected, sizeof counts);
    for (size_t i = 0; i < FILES; i++) {
        char name[16];
        struct source_record none;
        name_file(i, name);
        if (world->file_document[i])
            expect_source(view, name, world->file_document[i], 1, 2);
        else
            assert_int_equal(store_source(view, name, &none, NULL), LMK_NOT_FOUND);
        assert_true(!world->file_document[i] || slot_of(world, world->file_document[i]));
    }
    sample_expect_sound(view);
}

static void test_random_run(void **state)
{
    (void)state;
    static const enum lmk_tier tiers[] = {LMK_TIER_NONE, LMK_TIER_F16, LMK_TIER_Q4_0,
                                          LMK_TIER_Q8_0};
    static struct world world, before;
    struct random_source source = {99};
    for (size_t i = 0; i < SLOTS; i++) {
        struct slot *slot = &world.slots[i];
        sample_make(&slot->sample, &sample_settings, tiers[i % 4], i + 1,
                    1 + random_below(&source, 60));
        slot->first_path = slot->sample.document.path;
    }
    world.next_document = 1;
    struct store *store = sample_store_create("random", &sample_settings);
    for (size_t round = 0; round < 150; round++) {
        before = world;
        struct store_batch *batch = sample_batch(store);
        for (size_t i = random_below(&source, 30); i > 0; i--)
            step(&world, batch, &source);
        if (random_below(&source, 4)) {
            sample_commit(batch);
            world.batches++;
        } else {
            store_abort(batch);
            world = before;
        }
        for (size_t i = 0; i < SLOTS; i++)
            world.slots[i].running = false;
        if (random_below(&source, 10) == 0) {
            store_close(store);
            store = sample_store_open("random", true);
        }
        struct store_view *view = sample_view(store);
        expect_world(&world, view);
        store_view_end(view);
    }
    store_close(store);
    assert_true(world.next_document > 50);
    for (size_t i = 0; i < SLOTS; i++) {
        world.slots[i].sample.document.path = world.slots[i].first_path;
        sample_free(&world.slots[i].sample);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_abort),
        cmocka_unit_test(test_snapshots),
        cmocka_unit_test(test_sources),
        cmocka_unit_test(test_segment_records),
        cmocka_unit_test(test_impossible_segment),
        cmocka_unit_test(test_visit_landmarks),
        cmocka_unit_test(test_random_run),
    };
    return cmocka_run_group_tests(tests, scratch_open, scratch_close);
}
