/* The bytes of the store's values against FORMAT.md, put together here field by field, and how much
 * of the disk's pages they fill. */
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

/* ---- putting bytes together */

struct bytes {
    unsigned char data[1 << 16];
    size_t size;
};

static void raw(struct bytes *bytes, const void *data, size_t size)
{
    assert_true(bytes->size + size <= sizeof bytes->data);
    memcpy(bytes->data + bytes->size, data, size);
    bytes->size += size;
}

static void number(struct bytes *bytes, uint64_t value, size_t width)
{
    for (size_t i = 0; i < width; i++, value >>= 8)
        raw(bytes, &(unsigned char){(unsigned char)value}, 1);
}

static void u32(struct bytes *bytes, uint32_t value)
{
    number(bytes, value, 4);
}

static void u64(struct bytes *bytes, uint64_t value)
{
    number(bytes, value, 8);
}

static void string(struct bytes *bytes, const char *text)
{
    u32(bytes, (uint32_t)strlen(text));
    raw(bytes, text, strlen(text) + 1);
}

static void varint(struct bytes *bytes, uint64_t value)
{
    for (; value > 127; value >>= 7)
        number(bytes, (value & 127) | 128, 1);
    number(bytes, value, 1);
}

static void checksum(struct bytes *bytes)
{
    u64(bytes, hash64(bytes->data, bytes->size));
}

/* ---- what is stored */

enum { BLOCKS = 3 };

static struct sample sample;
static struct store *store;
static struct store_view *view;

/* Document 1 of three blocks, in q8_0, and something in every table. */
static int open_group(void **state)
{
    if (scratch_open(state))
        return -1;
    sample_make(&sample, &sample_settings, LMK_TIER_Q8_0, 7, BLOCKS);
    store = sample_store_create("format", &sample_settings);
    struct store_batch *batch = sample_batch(store);
    assert_int_equal(store_start_at(batch, 1, 1000, NULL), LMK_OK);
    sample_index(batch, &sample, &sample_settings);
    struct source_record source = {1, 300, -4, 1};
    assert_int_equal(store_put_source(batch, "books/x.txt", &source, NULL), LMK_OK);
    struct segment_record segment = {.name = "joint.faiss",
                                     .part = 2,
                                     .first_block = 3,
                                     .end_block = 1002,
                                     .vector_count = 77,
                                     .size = 78,
                                     .hash = "0123456789abcdef",
                                     .factory = "IDMap,Flat"};
    assert_int_equal(store_put_segment(batch, &segment, NULL), LMK_OK);
    sample_commit(batch);
    view = sample_view(store);
    return 0;
}

static int close_group(void **state)
{
    store_view_end(view);
    store_close(store);
    sample_free(&sample);
    return scratch_close(state);
}

/* The value under a key of a table that FORMAT.md names. */
static MDB_val stored(const char *table, const void *key, size_t key_size)
{
    MDB_dbi dbi;
    MDB_val name = {key_size, (void *)(uintptr_t)key}, value;
    assert_int_equal(mdb_dbi_open(view->txn, table, 0, &dbi), 0);
    assert_int_equal(mdb_get(view->txn, dbi, &name, &value), 0);
    return value;
}

static void expect(const char *table, const void *key, size_t key_size,
                   const struct bytes *expected)
{
    MDB_val value = stored(table, key, key_size);
    assert_int_equal(value.mv_size, expected->size);
    assert_memory_equal(value.mv_data, expected->data, expected->size);
}

static const uint64_t one = 1, first_block = 1000;

static void test_meta(void **state)
{
    (void)state;
    struct bytes format = {0}, settings = {0}, counters = {0};
    raw(&format, "lmkstore", 8);
    u32(&format, 1);
    checksum(&format);
    expect("meta", "format", 6, &format);
    string(&settings, "settings");
    raw(&settings, "sixteen bytes it", 16);
    string(&settings, "sample");
    for (size_t i = 0; i < 7; i++)
        u32(&settings, ((const uint32_t[]){3, 6, 2, 1, 32, 300, 8})[i]);
    string(&settings, "");
    checksum(&settings);
    expect("meta", "settings", 8, &settings);
    string(&counters, "counters");
    const struct document *document = &sample.document;
    const uint64_t counts[] = {
        1, 1,    3, 3, document->token_count, document->source_bytes, document->text_bytes,
        2, 1003, 1};
    for (size_t i = 0; i < 10; i++)
        u64(&counters, counts[i]);
    checksum(&counters);
    expect("meta", "counters", 8, &counters);
}

static void test_document(void **state)
{
    (void)state;
    struct bytes bytes = {0};
    const struct document *document = &sample.document;
    u64(&bytes, 1);
    raw(&bytes, "\7\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16);
    u32(&bytes, 3);
    u32(&bytes, 8);
    u64(&bytes, 1000);
    u64(&bytes, 3);
    u64(&bytes, document->token_count);
    u64(&bytes, 7007);
    u64(&bytes, document->text_bytes);
    u64(&bytes, 4);
    u64(&bytes, 1);
    string(&bytes, "books/7.txt");
    string(&bytes, "Title \xc3\xa4\xe2\x82\xac");
    string(&bytes, "");
    string(&bytes, "de");
    string(&bytes, "text");
    string(&bytes, "{\"n\": 1}");
    checksum(&bytes);
    expect("documents", &one, 8, &bytes);
}

static void test_entries(void **state)
{
    (void)state;
    struct bytes hash = {0}, block = {0}, source = {0}, back = {0}, back_key = {0}, segment = {0};
    raw(&hash, sample.document.hash, 16);
    u64(&hash, 1);
    checksum(&hash);
    expect("hashes", sample.document.hash, 16, &hash);
    u64(&block, 1000);
    u64(&block, 1);
    checksum(&block);
    expect("first_blocks", &first_block, 8, &block);
    unsigned char path_hash[HASH128_BYTES];
    hash128("books/x.txt", 11, path_hash);
    string(&source, "books/x.txt");
    u64(&source, 1);
    u64(&source, 300);
    u64(&source, (uint64_t)-4);
    checksum(&source);
    expect("sources", path_hash, 16, &source);
    raw(&back_key, "\0\0\0\0\0\0\0\1", 8);
    raw(&back_key, path_hash, 16);
    u64(&back, hash64(back_key.data, 24));
    expect("document_sources", back_key.data, 24, &back);
    string(&segment, "joint.faiss");
    u32(&segment, 2);
    for (size_t i = 0; i < 4; i++)
        u64(&segment, ((const uint64_t[]){3, 1002, 77, 78})[i]);
    raw(&segment, "0123456789abcdef", 16);
    string(&segment, "IDMap,Flat");
    checksum(&segment);
    expect("segments", "joint.faiss", 11, &segment);
}

static void test_texts(void **state)
{
    (void)state;
    static struct bytes bytes;
    uint64_t text_end = 0, source_end = 0;
    u64(&bytes, 1000);
    u32(&bytes, BLOCKS);
    u32(&bytes, 0);
    for (size_t b = 0; b < BLOCKS; b++) {
        const struct block_text *text = &sample.texts[b];
        struct bytes body = {.size = 0};
        varint(&body, text->token_count);
        varint(&body, text->text_start - text_end);
        varint(&body, text->text_size);
        varint(&body, text->source_start - source_end);
        varint(&body, text->source_end - text->source_start);
        varint(&body, text->place);
        for (size_t i = 0; i < text->token_count; i++)
            number(&body, text->tokens[i], 2);
        varint(&body, text->run_count);
        uint64_t text_at = text->text_start, source_at = text->source_start;
        for (size_t i = 0; i < text->run_count; i++) {
            uint64_t step = text->runs[i].text - text_at;
            varint(&body, step);
            varint(&body, text->runs[i].source - source_at - step);
            text_at = text->runs[i].text;
            source_at = text->runs[i].source;
        }
        varint(&bytes, body.size);
        raw(&bytes, body.data, body.size);
        text_end = text->text_start + text->text_size;
        source_end = text->source_end;
    }
    checksum(&bytes);
    expect("texts", &first_block, 8, &bytes);
}

static void test_landmark_keys(void **state)
{
    (void)state;
    static struct bytes bytes;
    u64(&bytes, 1000);
    u32(&bytes, BLOCKS);
    u32(&bytes, 0);
    for (size_t b = 0; b < BLOCKS; b++)
        u64(&bytes, hash64(sample.landmark_keys + b * 64, 256));
    raw(&bytes, sample.landmark_keys, BLOCKS * 256);
    expect("landmarks", &first_block, 8, &bytes);
}

/* Which values the rows stand for is in test_store.c; here, that they lie where FORMAT.md has them.
 */
static void test_keys_values(void **state)
{
    (void)state;
    enum { PART = 2 * 6 * 34 };
    MDB_val value = stored("keys_values", &first_block, 8);
    const unsigned char *at = value.mv_data, *parts = at + 16 + BLOCKS * 2 * 8;
    struct bytes header = {0};
    assert_int_equal(value.mv_size, 16 + BLOCKS * 2 * (8 + PART));
    u64(&header, 1000);
    u32(&header, BLOCKS);
    u32(&header, 8);
    for (size_t part = 0; part < 2 * BLOCKS; part++)
        u64(&header, hash64(parts + part * PART, PART));
    assert_memory_equal(at, header.data, header.size);
    for (size_t b = 0; b < BLOCKS; b++) {
        enum tensor_type type;
        const void *keys, *values;
        assert_int_equal(store_keys_values(view, 1000 + b, &type, &keys, &values, NULL), LMK_OK);
        assert_ptr_equal(keys, parts + 2 * b * PART);
        assert_ptr_equal(values, parts + (2 * b + 1) * PART);
    }
}

/* ---- page waste */

/* What `sizes` say of a document put in portions of `portion` blocks, a batch each, against its own
 * bytes. */
static void expect_little_waste(const struct store_settings *settings, enum lmk_tier tier,
                                size_t blocks, size_t portion)
{
    static const double bits[] = {
        [LMK_TIER_F16] = 16, [LMK_TIER_Q4_0] = 4.5, [LMK_TIER_Q8_0] = 8.5};
    static unsigned stores;
    char name[24];
    struct sample large;
    struct store_sizes sizes;
    snprintf(name, sizeof name, "waste-%u", stores++);
    struct store *one_store = sample_store_create(name, settings);
    sample_make(&large, settings, tier, 1, blocks);
    struct store_batch *batch = sample_batch(one_store);
    sample_add(batch, &large);
    for (size_t first = 0; first < blocks; first += portion) {
        sample_commit(batch);
        batch = sample_batch(one_store);
        sample_put(batch, &large, settings, first,
                   first + portion < blocks ? first + portion : blocks);
    }
    sample_commit(batch);
    struct store_view *counted = sample_view(one_store);
    assert_int_equal(store_sizes(counted, &sizes, NULL), LMK_OK);
    store_view_end(counted);
    store_close(one_store);
    sample_free(&large);
    double landmark = settings->memory_layers * settings->kv_heads * settings->head_width;
    double landmarks = blocks * landmark * 4;
    double keys_values = blocks * 2 * landmark * settings->block_tokens * bits[tier] / 8;
    double ratio = (double)sizes.keys_values / keys_values;
    double together = (double)(sizes.keys_values + sizes.landmarks) / (keys_values + landmarks);
    if (ratio > 1.05 || together > 1.05)
        fail_msg("tier %d, %zu blocks by %zu: %.4f times the keys and values, %.4f times all", tier,
                 blocks, portion, ratio, together);
    assert_true((double)sizes.keys_values > keys_values && (double)sizes.landmarks > landmarks);
    assert_true(sizes.file >= sizes.text + sizes.landmarks + sizes.keys_values + sizes.other);
}

static void test_page_waste(void **state)
{
    (void)state;
    static const enum lmk_tier tiers[] = {LMK_TIER_F16, LMK_TIER_Q4_0, LMK_TIER_Q8_0};
    struct store_settings settings = sample_settings;
    settings.block_tokens = 63;
    for (size_t i = 0; i < 3; i++) {
        /* 512 values a token, as the prototype has, in one batch and in several; and small heads.
         */
        settings.kv_heads = 2;
        settings.head_width = 64;
        expect_little_waste(&settings, tiers[i], 400, 400);
        expect_little_waste(&settings, tiers[i], 400, 128);
        settings.kv_heads = 1;
        settings.head_width = 32;
        expect_little_waste(&settings, tiers[i], 300, 300);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_meta),          cmocka_unit_test(test_document),
        cmocka_unit_test(test_entries),       cmocka_unit_test(test_texts),
        cmocka_unit_test(test_landmark_keys), cmocka_unit_test(test_keys_values),
        cmocka_unit_test(test_page_waste),
    };
    return cmocka_run_group_tests(tests, open_group, close_group);
}
