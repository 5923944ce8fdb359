/* Damage to the store's file is found and named, never read as data, and never the end of the
 * process. */
#include "index/store_internal.h"
#include "tests/unit/random_model.h"
#include "tests/unit/sample_store.h"
#include "tests/unit/scratch.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { SAMPLES = 4, PAGE = 4096 };

static struct sample samples[SAMPLES];

/* Of every table something, in one batch. */
static void make_store(const char *name)
{
    struct store *store = sample_store_create(name, &sample_settings);
    struct store_batch *batch = sample_batch(store);
    for (size_t i = 0; i < SAMPLES; i++) {
        char source[16];
        snprintf(source, sizeof source, "source-%zu", i);
        if (i + 1 < SAMPLES)
            sample_index(batch, &samples[i], &sample_settings);
        else
            sample_add(batch, &samples[i]);
        struct source_record record = {samples[i].document.id, 5, 6, 1};
        assert_int_equal(store_put_source(batch, source, &record, NULL), LMK_OK);
    }
    struct segment_record segment = {
        .name = "joint.faiss", .end_block = 20, .factory = "IDMap,Flat"};
    assert_int_equal(store_put_segment(batch, &segment, NULL), LMK_OK);
    sample_commit(batch);
    store_close(store);
}

static int open_group(void **state)
{
    sample_make(&samples[0], &sample_settings, LMK_TIER_Q8_0, 1, 19);
    sample_make(&samples[1], &sample_settings, LMK_TIER_F16, 2, 30);
    sample_make(&samples[2], &sample_settings, LMK_TIER_Q4_0, 3, 1);
    sample_make(&samples[3], &sample_settings, LMK_TIER_Q8_0, 4, 3);
    if (scratch_open(state))
        return -1;
    make_store("store");
    return 0;
}

static int close_group(void **state)
{
    for (size_t i = 0; i < SAMPLES; i++)
        sample_free(&samples[i]);
    return scratch_close(state);
}

/* ---- verifying */

struct problems {
    size_t count;
    char text[1 << 16]; /* the sentences, one a line */
};

static void note_problem(void *context, const char *sentence)
{
    struct problems *problems = context;
    size_t used = strlen(problems->text);
    size_t length = strlen(sentence);
    assert_true(length > 0 && sentence[length - 1] == '.');
    snprintf(problems->text + used, sizeof problems->text - used, "%s\n", sentence);
    problems->count++;
}

static struct problems *verify(struct store *store)
{
    static struct problems problems;
    struct store_verification result;
    struct lmk_error error;
    struct store_view *view = sample_view(store);
    problems = (struct problems){0};
    if (store_verify(view, note_problem, &problems, &result, &error))
        fail_msg("%s", error.message);
    assert_int_equal(result.problems, problems.count);
    store_view_end(view);
    return &problems;
}

static void expect_word(const char *text, const char *word)
{
    if (!strstr(text, word))
        fail_msg("\"%s\" does not say \"%s\"", text, word);
}

static void test_sound(void **state)
{
    (void)state;
    struct store *store = sample_store_open("store", false);
    struct store_view *view = sample_view(store);
    struct store_verification result;
    struct problems problems = {0};
    assert_int_equal(store_verify(view, note_problem, &problems, &result, NULL), LMK_OK);
    assert_int_equal(result.problems, 0);
    assert_int_equal(result.documents, SAMPLES);
    assert_int_equal(result.blocks, 19 + 30 + 1 + 3);
    for (size_t i = 0; i < SAMPLES; i++)
        sample_expect(view, &samples[i], &sample_settings,
                      i + 1 < SAMPLES ? samples[i].document.block_count : 0);
    store_view_end(view);
    store_close(store);
}

/* ---- a bit that flips in the file */

/* Where a value and its key lie in the file. */
struct place {
    enum store_table table;
    size_t key, key_size, value, size;
    uint64_t number; /* the key of tables by number */
    char name[16];   /* of meta */
};

/* LMDB's pages begin with their own number. */
static size_t file_offset(const void *at)
{
    uintptr_t page = (uintptr_t)at & ~(uintptr_t)(PAGE - 1);
    return (size_t)load_u64((const void *)page) * PAGE + ((uintptr_t)at - page);
}

static size_t find_places(struct place *places, size_t most)
{
    size_t count = 0;
    struct store *store = sample_store_open("store", false);
    struct store_view *view = sample_view(store);
    for (size_t table = 0; table < TABLE_COUNT; table++) {
        MDB_cursor *cursor = view_cursor(view, (enum store_table)table, NULL);
        MDB_val key, value;
        size_t before = count;
        while (!mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
            assert_true(count < most);
            struct place *place = &places[count++];
            *place = (struct place){.table = (enum store_table)table,
                                    .key = file_offset(key.mv_data),
                                    .key_size = key.mv_size,
                                    .value = file_offset(value.mv_data),
                                    .size = value.mv_size};
            if (store_tables[table].by_number)
                place->number = load_u64(key.mv_data);
            else if (table == TABLE_META)
                memcpy(place->name, key.mv_data, key.mv_size);
        }
        assert_true(count > before);
    }
    store_view_end(view);
    store_close(store);
    return count;
}

/* The block whose part or checksum is at `offset` of an extent, by FORMAT.md. */
static uint64_t block_at(const unsigned char *file, const struct place *place, size_t offset)
{
    size_t parts = place->table == TABLE_LANDMARKS ? 1 : 2,
           count = load_u32(file + place->value + 8);
    size_t checksums = 16 + 8 * parts * count;
    if (offset < 16)
        return place->number;
    if (offset < checksums)
        return place->number + (offset - 16) / (8 * parts);
    return place->number + (offset - checksums) / ((place->size - checksums) / count);
}

static void expect_named(const unsigned char *file, const struct place *place, size_t offset,
                         const char *text)
{
    char word[64];
    switch (place->table) {
    case TABLE_META:
        expect_word(text, place->name);
        break;
    case TABLE_DOCUMENTS:
        snprintf(word, sizeof word, "record of document %llu ", (unsigned long long)place->number);
        expect_word(text, word);
        break;
    case TABLE_TEXTS:
        snprintf(word, sizeof word, "text of block %llu ", (unsigned long long)place->number);
        expect_word(text, strstr(text, "texts of") ? "texts of block" : word);
        break;
    case TABLE_LANDMARKS:
    case TABLE_KEYS_VALUES:
        expect_word(text, place->table == TABLE_LANDMARKS ? "landmark key"
                          : offset < 16                   ? "keys and values"
                                                          : "s of");
        snprintf(word, sizeof word, " of block %llu ",
                 (unsigned long long)block_at(file, place, offset));
        expect_word(text, word);
        break;
    default:
        snprintf(word, sizeof word, "table %s is damaged", store_tables[place->table].name);
        expect_word(text, word);
    }
}

static int open_file(const char *name)
{
    char *path = scratch_path(name);
    int file = open(path, O_RDWR);
    assert_true(file >= 0);
    free(path);
    return file;
}

/* The store's file in memory; the caller's to free. */
static unsigned char *read_file(int file, size_t *size)
{
    struct stat information;
    assert_int_equal(fstat(file, &information), 0);
    *size = (size_t)information.st_size;
    unsigned char *bytes = malloc(*size);
    assert_int_equal(pread(file, bytes, *size, 0), *size);
    return bytes;
}

static void write_byte(int file, size_t offset, unsigned char byte)
{
    assert_int_equal(pwrite(file, &byte, 1, (off_t)offset), 1);
}

/* What opening says, or else verifying. Nothing if both are content. */
static const char *find_damage(void)
{
    static struct lmk_error error;
    struct store *store;
    char *path = scratch_path("store");
    enum lmk_status status = store_open(&store, path, false, &error);
    free(path);
    if (status) {
        assert_int_equal(status, LMK_CORRUPT);
        return error.message;
    }
    const char *text = verify(store)->text;
    store_close(store);
    return text;
}

static void test_flipped_values(void **state)
{
    (void)state;
    static struct place places[256];
    size_t count = find_places(places, 256), size;
    int file = open_file("store/data.mdb");
    unsigned char *bytes = read_file(file, &size);
    struct random_source source = {8};
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < 12; j++) {
            const struct place *place = &places[i];
            size_t offset = j == 0   ? 0
                            : j == 1 ? place->size - 1
                                     : random_below(&source, (uint32_t)place->size);
            size_t at = place->value + offset;
            write_byte(file, at, bytes[at] ^ (unsigned char)(1 << random_below(&source, 8)));
            expect_named(bytes, place, offset, find_damage());
            write_byte(file, at, bytes[at]);
        }
    assert_string_equal(find_damage(), "");
    free(bytes);
    close(file);
}

/* What it belongs to can no longer be told, but that it is damaged. */
static void test_flipped_keys(void **state)
{
    (void)state;
    static struct place places[256];
    size_t count = find_places(places, 256), size;
    int file = open_file("store/data.mdb");
    unsigned char *bytes = read_file(file, &size);
    struct random_source source = {9};
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < 4; j++) {
            size_t at = places[i].key + random_below(&source, (uint32_t)places[i].key_size);
            write_byte(file, at, bytes[at] ^ (unsigned char)(1 << random_below(&source, 8)));
            assert_string_not_equal(find_damage(), "");
            write_byte(file, at, bytes[at]);
        }
    free(bytes);
    close(file);
}

/* ---- bits anywhere: what is still read is right */

static void read_block(struct store_view *view, const struct sample *sample, size_t index)
{
    uint64_t block = sample->document.first_block + index;
    const float *key;
    const void *keys, *values;
    enum tensor_type type;
    struct block_text text;
    struct buffer tokens, runs;
    buffer_init(&tokens, 1 << 20);
    buffer_init(&runs, 1 << 20);
    if (!store_landmark_key(view, block, &key, NULL))
        assert_memory_equal(key, sample->landmark_keys + index * 64, 64 * sizeof *key);
    store_keys_values(view, block, &type, &keys, &values, NULL);
    if (!store_block_text(view, block, &tokens, &runs, &text, NULL)) {
        assert_int_equal(text.token_count, sample->texts[index].token_count);
        assert_memory_equal(text.tokens, sample->texts[index].tokens,
                            text.token_count * sizeof *text.tokens);
        assert_int_equal(text.source_start, sample->texts[index].source_start);
    }
    buffer_release(&tokens);
    buffer_release(&runs);
}

static void read_all(struct store *store)
{
    struct store_view *view = sample_view(store);
    for (size_t i = 0; i < SAMPLES; i++) {
        struct document document;
        if (!store_document(view, samples[i].document.id, &document, NULL))
            assert_string_equal(document.path, samples[i].document.path);
        for (size_t b = 0; b < samples[i].document.block_count; b++)
            read_block(view, &samples[i], b);
    }
    store_view_end(view);
}

/* Where verifying finds nothing, all of it must read back as it was. The two first pages say which
 * transaction is the newest, without a checksum: damaged, they may lead to the one before it, which
 * here is that of an empty store. */
static bool check_damaged(bool first_pages)
{
    struct store *store;
    struct lmk_error error;
    char *path = scratch_path("store");
    enum lmk_status status = store_open(&store, path, false, &error);
    free(path);
    if (status) {
        assert_true(status == LMK_CORRUPT || status == LMK_COLLECTION);
        assert_true(error.message[strlen(error.message) - 1] == '.');
        return true;
    }
    bool found = verify(store)->count > 0;
    struct store_counts counts = {0};
    struct store_view *view = sample_view(store);
    bool empty = !store_counts(view, &counts, NULL) && !counts.next_block;
    store_view_end(view);
    if (found)
        read_all(store);
    store_close(store);
    if (!found && !(first_pages && empty))
        test_sound(NULL);
    return found;
}

static void test_flipped_anywhere(void **state)
{
    (void)state;
    size_t size, found = 0, count = 0;
    int file = open_file("store/data.mdb");
    unsigned char *bytes = read_file(file, &size);
    struct random_source source = {10};
    for (size_t at = 0; at < size; at += 1 + random_below(&source, at < 3 * PAGE ? 30 : 200)) {
        write_byte(file, at, bytes[at] ^ (unsigned char)(1 << random_below(&source, 8)));
        found += check_damaged(at < 2 * PAGE);
        count++;
        write_byte(file, at, bytes[at]);
    }
    assert_true(count > 500 && found > count / 4);
    test_sound(NULL);
    free(bytes);
    close(file);
}

/* A wrong number must not make an older state the newest; only the neighbouring numbers look right.
 */
static void test_transaction_numbers(void **state)
{
    (void)state;
    size_t size;
    int file = open_file("store/data.mdb");
    unsigned char *bytes = read_file(file, &size);
    for (size_t page = 0; page < 2; page++)
        for (size_t bit = 2; bit < 64; bit++) {
            size_t at = page * PAGE + 16 + 128 + bit / 8;
            write_byte(file, at, bytes[at] ^ (unsigned char)(1 << bit % 8));
            expect_word(find_damage(), "first two pages");
            write_byte(file, at, bytes[at]);
        }
    test_sound(NULL);
    free(bytes);
    close(file);
}

static void test_cut_off(void **state)
{
    (void)state;
    size_t size;
    int file = open_file("store/data.mdb");
    unsigned char *bytes = read_file(file, &size);
    for (size_t length = 0; length < size; length += length % PAGE ? PAGE - length % PAGE : 777) {
        assert_int_equal(ftruncate(file, (off_t)length), 0);
        if (length < size / 2)
            assert_true(check_damaged(false));
        else
            check_damaged(false);
        assert_int_equal(pwrite(file, bytes, size, 0), size);
    }
    test_sound(NULL);
    free(bytes);
    close(file);
}

/* ---- entries that are gone or belong to nobody */

static void remove_and_expect(enum store_table table, MDB_val key, const char *word)
{
    struct store *store = sample_store_open("entries", true);
    struct store_batch *batch = sample_batch(store);
    MDB_val value;
    assert_int_equal(mdb_get(batch->view.txn, store->tables[table], &key, &value), 0);
    void *kept = malloc(value.mv_size);
    memcpy(kept, value.mv_data, value.mv_size);
    assert_int_equal(mdb_del(batch->view.txn, store->tables[table], &key, NULL), 0);
    sample_commit(batch);
    expect_word(verify(store)->text, word);
    batch = sample_batch(store);
    value.mv_data = kept;
    assert_int_equal(mdb_put(batch->view.txn, store->tables[table], &key, &value, 0), 0);
    sample_commit(batch);
    /* That it takes a batch to put it back is all that has changed. */
    assert_int_equal(verify(store)->count, 0);
    free(kept);
    store_close(store);
}

static void test_missing_entries(void **state)
{
    (void)state;
    make_store("entries");
    unsigned char source[HASH128_BYTES];
    const uint64_t *id = &samples[1].document.id, *block = &samples[1].document.first_block;
    hash128("source-1", 8, source);
    remove_and_expect(TABLE_DOCUMENTS, number_key(id), "its document does not exist");
    remove_and_expect(TABLE_HASHES, (MDB_val){HASH128_BYTES, samples[1].document.hash},
                      "document 2 (books/2.txt) in table hashes is missing");
    remove_and_expect(TABLE_FIRST_BLOCKS, number_key(block), "in table first_blocks is missing");
    remove_and_expect(TABLE_TEXTS, number_key(block),
                      "There is no text of block 19 (block 1 of 30 of document 2");
    remove_and_expect(TABLE_LANDMARKS, number_key(block),
                      "of block 19 (block 1 of 30 of document 2");
    remove_and_expect(TABLE_KEYS_VALUES, number_key(block),
                      "of block 19 (block 1 of 30 of document 2");
    remove_and_expect(TABLE_SOURCES, (MDB_val){sizeof source, source},
                      "the source that it names is missing");
    unsigned char back[DOCUMENT_SOURCE_BYTES];
    document_source_key(back, *id, source);
    remove_and_expect(TABLE_DOCUMENT_SOURCES, (MDB_val){sizeof back, back},
                      "does not lead back to it");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sound),
        cmocka_unit_test(test_flipped_values),
        cmocka_unit_test(test_flipped_keys),
        cmocka_unit_test(test_flipped_anywhere),
        cmocka_unit_test(test_transaction_numbers),
        cmocka_unit_test(test_cut_off),
        cmocka_unit_test(test_missing_entries),
    };
    return cmocka_run_group_tests(tests, open_group, close_group);
}
