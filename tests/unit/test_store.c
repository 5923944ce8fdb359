/* What is put into the store comes back as it was, from the batch that holds it, from every later
 * view and after opening anew; what was aborted, removed or never finished does not. */
#include "index/store_internal.h"
#include "tests/unit/random_model.h"
#include "tests/unit/sample_store.h"
#include "tests/unit/scratch.h"

#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const enum lmk_tier tiers[] = {LMK_TIER_NONE, LMK_TIER_F16, LMK_TIER_Q4_0, LMK_TIER_Q8_0};
enum { TIERS = sizeof tiers / sizeof *tiers };

static struct store_counts counts_of(struct store_view *view)
{
    struct store_counts counts;
    assert_int_equal(store_counts(view, &counts, NULL), LMK_OK);
    return counts;
}

/* The sentence must hold `word`. */
static void expect_refused(enum lmk_status status, enum lmk_status expected,
                           const struct lmk_error *error, const char *word)
{
    assert_int_equal(status, expected);
    assert_int_equal(error->status, expected);
    if (!strstr(error->message, word))
        fail_msg("\"%s\" does not say \"%s\"", error->message, word);
}

/* ---- making and opening */

static void expect_settings(const struct store_settings *found,
                            const struct store_settings *expected)
{
    assert_memory_equal(found->fingerprint, expected->fingerprint, HASH128_BYTES);
    assert_string_equal(found->model_name, expected->model_name);
    assert_int_equal(found->normalise_version, expected->normalise_version);
    assert_int_equal(found->block_tokens, expected->block_tokens);
    assert_int_equal(found->memory_layers, expected->memory_layers);
    assert_int_equal(found->kv_heads, expected->kv_heads);
    assert_int_equal(found->head_width, expected->head_width);
    assert_int_equal(found->vocabulary, expected->vocabulary);
    assert_int_equal(found->tier, expected->tier);
    assert_string_equal(found->ann, expected->ann);
}

static void test_settings(void **state)
{
    (void)state;
    struct store_settings settings = sample_settings;
    strcpy(settings.ann, "IDMap,HNSW32");
    memset(settings.model_name, 'm', sizeof settings.model_name - 1);
    for (size_t i = 0; i < TIERS; i++) {
        char name[16];
        snprintf(name, sizeof name, "settings-%zu", i);
        settings.tier = tiers[i];
        struct store *store = sample_store_create(name, &settings);
        expect_settings(store_settings(store), &settings);
        store_close(store);
        store = sample_store_open(name, false);
        expect_settings(store_settings(store), &settings);
        struct store_view *view = sample_view(store);
        struct store_counts counts = counts_of(view);
        assert_int_equal(counts.next_document, 1);
        assert_int_equal(counts.documents + counts.blocks + counts.next_block + counts.batches, 0);
        sample_expect_sound(view);
        store_view_end(view);
        store_close(store);
    }
}

static void test_impossible_settings(void **state)
{
    (void)state;
    char *path = scratch_path("impossible");
    struct store *store;
    struct lmk_error error;
    struct store_settings settings[6];
    for (size_t i = 0; i < 6; i++)
        settings[i] = sample_settings;
    settings[0].block_tokens = 0;
    settings[1].memory_layers = 0;
    settings[2].kv_heads = UINT32_MAX;
    settings[3].vocabulary = 0;
    settings[4].memory_layers = settings[4].kv_heads = 65536;
    settings[5].head_width = 16; /* no whole block of 32 */
    for (size_t i = 0; i < 6; i++) {
        expect_refused(store_create(&store, path, &settings[i], &error), LMK_USAGE, &error, ".");
        assert_null(store);
    }
    free(path);
}

static void test_no_store(void **state)
{
    (void)state;
    char *path = scratch_path("nothing");
    struct store *store;
    struct lmk_error error;
    for (int write = 0; write < 2; write++) {
        expect_refused(store_open(&store, path, write, &error), LMK_COLLECTION, &error, path);
        assert_null(store);
    }
    struct stat information;
    assert_int_not_equal(stat(path, &information), 0);
    store_close(sample_store_create("nothing", &sample_settings));
    expect_refused(store_create(&store, path, &sample_settings, &error), LMK_COLLECTION, &error,
                   "already");
    free(path);
}

/* A record of the store with the words of a version, made by hand. */
static void put_format(struct store *store, const char *name, uint32_t version)
{
    unsigned char record[20];
    memcpy(record, name, 8);
    write_u32(record + 8, version);
    write_u64(record + 12, hash64(record, 12));
    struct store_batch *batch = sample_batch(store);
    MDB_val key = {6, "format"}, value = {sizeof record, record};
    assert_int_equal(mdb_put(batch->view.txn, store->tables[TABLE_META], &key, &value, 0), 0);
    sample_commit(batch);
}

static void test_other_format(void **state)
{
    (void)state;
    char *path = scratch_path("format");
    struct store *store = sample_store_create("format", &sample_settings);
    struct lmk_error error;
    put_format(store, "lmkstore", 1);
    store_close(store);
    store = sample_store_open("format", true);
    put_format(store, "lmkstore", 4711);
    store_close(store);
    for (int write = 0; write < 2; write++)
        expect_refused(store_open(&store, path, write, &error), LMK_COLLECTION, &error, "4711");
    free(path);
    path = scratch_path("other");
    store = sample_store_create("other", &sample_settings);
    put_format(store, "othstore", 1);
    store_close(store);
    expect_refused(store_open(&store, path, false, &error), LMK_CORRUPT, &error, "format");
    free(path);
}

/* LMDB writes its two first pages, then a transaction's pages, and names them in the first pages at
 * last: a creation that was killed in between leaves a file of any size to which nothing has been
 * committed. */
static void test_interrupted_creation(void **state)
{
    (void)state;
    char *path = scratch_path("interrupted");
    for (int pages = 2; pages < 14; pages += 3) {
        MDB_env *env;
        mkdir(path, 0777);
        assert_int_equal(mdb_env_create(&env), 0);
        assert_int_equal(mdb_env_open(env, path, 0, 0666), 0);
        mdb_env_close(env);
        char *file = scratch_path("interrupted/data.mdb");
        FILE *data = fopen(file, "ab");
        assert_non_null(data);
        assert_int_equal(ftell(data), 2 * 4096);
        for (int i = 2 * 4096; i < pages * 4096; i++)
            fputc(i * 7 % 251, data);
        fclose(data);
        struct store *store = sample_store_create("interrupted", &sample_settings);
        struct store_view *view = sample_view(store);
        sample_expect_sound(view);
        store_view_end(view);
        store_close(store);
        assert_int_equal(remove(file), 0);
        free(file);
    }
    free(path);
}

/* As many views as LMDB has slots for readers; the next one is told so. */
static void test_too_many_readers(void **state)
{
    (void)state;
    enum { MOST = 2000 };
    static struct store_view *views[MOST];
    struct store *store = sample_store_create("readers", &sample_settings);
    struct lmk_error error;
    size_t count = 0;
    enum lmk_status status;
    while (count < MOST && !(status = store_view_begin(store, &views[count], &error)))
        count++;
    assert_true(count >= 1000 && count < MOST);
    expect_refused(status, LMK_BUSY, &error, "Too many");
    while (count)
        store_view_end(views[--count]);
    store_view_end(sample_view(store));
    store_close(store);
}

/* ---- documents and their blocks */

/* Documents of every tier and of many sizes, in batches of their own and in common ones; the blocks
 * of two documents in turn, some at a time. */
static void test_round_trip(void **state)
{
    (void)state;
    enum { DOCUMENTS = 24 };
    static const size_t sizes[] = {1, 2, 5, 30, 64, 65, 200};
    struct sample samples[DOCUMENTS];
    struct store *store = sample_store_create("round", &sample_settings);
    struct random_source source = {5};
    for (size_t i = 0; i < DOCUMENTS; i++)
        sample_make(&samples[i], &sample_settings, tiers[i % TIERS], i + 1, sizes[i % 7]);
    for (size_t i = 0; i < DOCUMENTS; i += 2) {
        struct store_batch *batch = sample_batch(store);
        sample_add(batch, &samples[i]);
        sample_add(batch, &samples[i + 1]);
        size_t done[2] = {0};
        while (done[0] < samples[i].document.block_count ||
               done[1] < samples[i + 1].document.block_count) {
            size_t which = random_below(&source, 2);
            const struct sample *sample = &samples[i + which];
            size_t end = done[which] + random_below(&source, 40);
            if (end > sample->document.block_count)
                end = sample->document.block_count;
            sample_put(batch, sample, &sample_settings, done[which], end);
            done[which] = end;
            if (random_below(&source, 4))
                continue;
            sample_commit(batch);
            batch = sample_batch(store);
        }
        sample_state(batch, &samples[i], DOCUMENT_READY);
        sample_state(batch, &samples[i + 1], DOCUMENT_READY);
        sample_expect(&batch->view, &samples[i], &sample_settings, samples[i].document.block_count);
        sample_commit(batch);
    }
    for (int opened = 0; opened < 2; opened++) {
        struct store_view *view = sample_view(store);
        for (size_t i = 0; i < DOCUMENTS; i++) {
            assert_int_equal(samples[i].document.id, i + 1);
            sample_expect(view, &samples[i], &sample_settings, samples[i].document.block_count);
        }
        struct document document;
        assert_int_equal(store_next_document(view, DOCUMENTS + 1, &document, NULL), LMK_NOT_FOUND);
        sample_expect_sound(view);
        store_view_end(view);
        store_close(store);
        store = sample_store_open("round", false);
    }
    store_close(store);
    for (size_t i = 0; i < DOCUMENTS; i++)
        sample_free(&samples[i]);
}

/* Numbers near the ends of their types, tokens beyond 16 bits, and a block with more runs than a
 * page holds. */
static void test_large_values(void **state)
{
    (void)state;
    enum { RUNS = 3000 };
    struct store_settings settings = sample_settings;
    settings.vocabulary = 70000;
    struct store *store = sample_store_create("large", &settings);
    struct sample sample;
    struct store_batch *batch = sample_batch(store);
    assert_int_equal(store_start_at(batch, (uint64_t)1 << 40, UINT64_MAX - 9, NULL), LMK_OK);
    sample_make(&sample, &settings, LMK_TIER_F16, 3, 8);
    struct map_run *own = malloc(RUNS * sizeof *own);
    for (size_t i = 0; i < RUNS; i++)
        own[i] = (struct map_run){sample.texts[4].text_start + 3 * i, UINT64_MAX - i * i};
    const struct map_run *kept = sample.texts[4].runs;
    sample.texts[4].runs = own;
    sample.texts[4].run_count = RUNS;
    sample.texts[6].source_start = UINT64_MAX - 10;
    sample.texts[6].source_end = UINT64_MAX;
    sample.texts[6].place = UINT32_MAX;
    sample.document.source_bytes = UINT64_MAX;
    sample.document.added_ns = INT64_MIN;
    sample_index(batch, &sample, &settings);
    assert_int_equal(sample.document.id, (uint64_t)1 << 40);
    sample_commit(batch);
    struct store_view *view = sample_view(store);
    sample_expect(view, &sample, &settings, 8);
    sample_expect_sound(view);
    store_view_end(view);
    /* No numbers are left for another one of that size, which changes nothing. */
    struct sample more;
    struct lmk_error error;
    sample_make(&more, &settings, LMK_TIER_F16, 4, 8);
    batch = sample_batch(store);
    expect_refused(store_add_document(batch, &more.document, more.texts, &error), LMK_USAGE, &error,
                   "numbers");
    store_abort(batch);
    store_close(store);
    sample.texts[4].runs = kept;
    sample_free(&sample);
    sample_free(&more);
    free(own);
}

/* What a document must not be. */
static void test_refused_documents(void **state)
{
    (void)state;
    struct store_settings settings = sample_settings;
    settings.head_width = 16;
    settings.tier = LMK_TIER_F16;
    struct store *store = sample_store_create("refused", &settings);
    struct sample sample, same;
    struct lmk_error error;
    sample_make(&sample, &settings, LMK_TIER_F16, 1, 3);
    sample_make(&same, &settings, LMK_TIER_F16, 1, 2);
    struct store_batch *batch = sample_batch(store);
    sample_add(batch, &sample);
    expect_refused(store_add_document(batch, &same.document, same.texts, &error), LMK_USAGE, &error,
                   "document 1");
    same.document.hash[15] ^= 1;
    same.document.tier = LMK_TIER_Q4_0;
    expect_refused(store_add_document(batch, &same.document, same.texts, &error), LMK_USAGE, &error,
                   "f16");
    same.document.block_count = 0;
    expect_refused(store_add_document(batch, &same.document, same.texts, &error), LMK_USAGE, &error,
                   "no text");
    store_abort(batch);
    struct store_view *view = sample_view(store);
    sample_expect_none(view, &sample);
    store_view_end(view);
    store_close(store);
    sample_free(&sample);
    sample_free(&same);
}

/* ---- blocks that come in several runs */

static void test_interrupted_blocks(void **state)
{
    (void)state;
    enum { BLOCKS = 150 };
    for (size_t i = 0; i < TIERS; i++) {
        char name[16];
        snprintf(name, sizeof name, "stopped-%zu", i);
        struct store *store = sample_store_create(name, &sample_settings);
        struct sample before, sample, old;
        sample_make(&before, &sample_settings, LMK_TIER_Q8_0, 1, 9);
        sample_make(&sample, &sample_settings, tiers[i], 2, BLOCKS);
        sample_make(&old, &sample_settings, tiers[i], 3, BLOCKS);
        struct store_batch *batch = sample_batch(store);
        sample_index(batch, &before, &sample_settings);
        sample_add(batch, &sample);
        sample_commit(batch);
        /* An interrupted run with other numbers, then one that starts again and stops earlier. */
        const char *old_path = old.document.path;
        old.document = sample.document;
        batch = sample_batch(store);
        sample_put(batch, &old, &sample_settings, 0, 140);
        sample_commit(batch);
        batch = sample_batch(store);
        sample_put(batch, &sample, &sample_settings, 0, 77);
        sample_commit(batch);
        struct store_view *view = sample_view(store);
        sample_expect(view, &sample, &sample_settings, 77);
        sample_expect(view, &before, &sample_settings, 9);
        sample_expect_sound(view);
        store_view_end(view);
        /* Going on in the middle of what is there: what lies behind is given anew. */
        batch = sample_batch(store);
        sample_put(batch, &old, &sample_settings, 77, 120);
        sample_commit(batch);
        batch = sample_batch(store);
        sample_put(batch, &sample, &sample_settings, 71, 90);
        sample_put(batch, &sample, &sample_settings, 90, BLOCKS);
        sample_state(batch, &sample, DOCUMENT_READY);
        sample_commit(batch);
        view = sample_view(store);
        sample_expect(view, &sample, &sample_settings, BLOCKS);
        sample_expect(view, &before, &sample_settings, 9);
        sample_expect_sound(view);
        store_view_end(view);
        store_close(store);
        old.document.path = old_path;
        sample_free(&before);
        sample_free(&sample);
        sample_free(&old);
    }
}

static enum lmk_status put(struct store_batch *batch, const struct sample *sample, uint64_t first,
                           size_t count, struct lmk_error *error)
{
    return store_put_blocks(batch, &sample->document, first, count, sample->landmark_keys,
                            sample->keys, sample->values, error);
}

/* Blocks out of order, beyond the document, or of none; states that lack their blocks. Each fails
 * its batch alone. */
static void test_misuse(void **state)
{
    (void)state;
    struct store *store = sample_store_create("misuse", &sample_settings);
    struct sample sample;
    struct lmk_error error;
    sample_make(&sample, &sample_settings, LMK_TIER_Q4_0, 1, 40);
    struct store_batch *batch = sample_batch(store);
    sample_add(batch, &sample);
    sample_commit(batch);
    for (int step = 0; step < 9; step++) {
        const char *word = "order";
        enum lmk_status status, expected = LMK_USAGE;
        uint64_t first = sample.document.first_block;
        batch = sample_batch(store);
        if (step == 0)
            status = put(batch, &sample, first + 1, 3, &error);
        else if (step == 1)
            status = put(batch, &sample, first, 41, &error), word = "continue";
        else if (step == 2)
            status = put(batch, &sample, first + 40, 1, &error), word = "continue";
        else if (step == 3) {
            sample_put(batch, &sample, &sample_settings, 0, 8);
            status = put(batch, &sample, first + 9, 2, &error), word = "continue";
        } else if (step == 4)
            status = store_set_state(batch, sample.document.id, DOCUMENT_LANDMARKS, &error),
            word = "landmark keys";
        else if (step == 5) {
            sample_put(batch, &sample, &sample_settings, 0, 39);
            status = store_set_state(batch, sample.document.id, DOCUMENT_READY, &error),
            word = "landmark keys";
        } else if (step == 6)
            status = store_set_state(batch, 77, DOCUMENT_TEXT, &error), word = "77",
            expected = LMK_NOT_FOUND;
        else if (step == 7)
            status = store_remove_document(batch, 77, &error), word = "77",
            expected = LMK_NOT_FOUND;
        else
            status = store_set_path(batch, 77, "x", &error), word = "77", expected = LMK_NOT_FOUND;
        expect_refused(status, expected, &error, word);
        store_abort(batch);
        struct store_view *view = sample_view(store);
        sample_expect(view, &sample, &sample_settings, 0);
        store_view_end(view);
    }
    store_close(store);
    sample_free(&sample);
}

/* The collection is nothing for the programs that the process starts. */
static void test_closed_on_exec(void **state)
{
    (void)state;
    struct store *store = sample_store_create("exec", &sample_settings);
    size_t found = 0;
    for (int file = 0; file < 1024; file++) {
        char name[64], path[PATH_MAX];
        snprintf(name, sizeof name, "/proc/self/fd/%d", file);
        ssize_t size = readlink(name, path, sizeof path - 1);
        path[size < 0 ? 0 : size] = '\0';
        if (!strstr(path, "/exec/"))
            continue;
        found++;
        if (!(fcntl(file, F_GETFD) & FD_CLOEXEC))
            fail_msg("%s would stay open", path);
    }
    assert_true(found >= 2); /* data and lock */
    store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_impossible_settings),
        cmocka_unit_test(test_no_store),
        cmocka_unit_test(test_other_format),
        cmocka_unit_test(test_interrupted_creation),
        cmocka_unit_test(test_too_many_readers),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_large_values),
        cmocka_unit_test(test_refused_documents),
        cmocka_unit_test(test_interrupted_blocks),
        cmocka_unit_test(test_misuse),
        cmocka_unit_test(test_closed_on_exec),
    };
    return cmocka_run_group_tests(tests, scratch_open, scratch_close);
}
