#include "tests/unit/sample_store.h"

#include "tests/unit/random_model.h"
#include "tests/unit/scratch.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

const struct store_settings sample_settings = {
    .fingerprint = "sixteen bytes it",
    .model_name = "sample",
    .normalise_version = 3,
    .block_tokens = 6,
    .memory_layers = 2,
    .kv_heads = 1,
    .head_width = 32,
    .vocabulary = 300,
    .tier = LMK_TIER_Q8_0,
};

enum { MOST_RUNS = 4 };

/* ---- making */

/* One allocation for the texts, then their tokens and runs. */
static void make_texts(struct sample *sample, const struct store_settings *settings,
                       struct random_source *source)
{
    size_t count = sample->document.block_count, tokens = settings->block_tokens;
    struct block_text *texts = malloc(count * sizeof *texts);
    struct map_run *runs = malloc(count * MOST_RUNS * sizeof *runs);
    uint32_t *all = malloc(count * tokens * sizeof *all);
    assert_true(texts && runs && all);
    uint64_t text_at = 0, source_at = random_below(source, 100);
    for (size_t b = 0; b < count; b++) {
        struct map_run *own = runs + b * MOST_RUNS;
        texts[b] = (struct block_text){
            .token_count =
                b + 1 < count ? (uint32_t)tokens : 1 + random_below(source, (uint32_t)tokens),
            .text_start = text_at,
            .text_size = 20 + random_below(source, 200),
            .source_start = source_at,
            .source_end = source_at + random_below(source, 1000),
            .place = random_below(source, 3),
            .tokens = all + b * tokens,
            .runs = own,
            .run_count = 1 + random_below(source, MOST_RUNS),
        };
        for (size_t i = 0; i < texts[b].token_count; i++)
            all[b * tokens + i] = random_below(source, settings->vocabulary);
        for (size_t i = 0; i < texts[b].run_count; i++)
            own[i] = (struct map_run){text_at + 5 * i, source_at + random_below(source, 400)};
        sample->document.token_count += texts[b].token_count;
        text_at += texts[b].text_size;
        /* Mostly forward; a file may hold its chapters in any order. */
        source_at = random_below(source, 5) ? texts[b].source_end : random_below(source, 5000);
    }
    sample->document.text_bytes = text_at;
    sample->texts = texts;
}

void sample_make(struct sample *sample, const struct store_settings *settings, enum lmk_tier tier,
                 uint64_t seed, size_t blocks)
{
    struct random_source source = {seed};
    size_t landmark = (size_t)settings->memory_layers * settings->kv_heads * settings->head_width;
    char *path;
    assert_true(asprintf(&path, "books/%llu.txt", (unsigned long long)seed) > 0);
    *sample = (struct sample){.document = {.tier = tier,
                                           .block_count = blocks,
                                           .source_bytes = 7000 + seed,
                                           .added_ns = (int64_t)seed - 3,
                                           .path = path,
                                           .title = "Title \xc3\xa4\xe2\x82\xac",
                                           .author = "",
                                           .language = "de",
                                           .kind = "text",
                                           .metadata = "{\"n\": 1}"}};
    memcpy(sample->document.hash, &seed, sizeof seed);
    make_texts(sample, settings, &source);
    sample->landmark_keys = random_normals(&source, blocks * landmark, 2);
    sample->keys = random_normals(&source, blocks * landmark * settings->block_tokens, 1);
    sample->values = random_normals(&source, blocks * landmark * settings->block_tokens, 3);
}

void sample_free(struct sample *sample)
{
    free((void *)(uintptr_t)sample->document.path);
    free((void *)(uintptr_t)sample->texts[0].tokens);
    free((void *)(uintptr_t)sample->texts[0].runs);
    free(sample->texts);
    free(sample->landmark_keys);
    free(sample->keys);
    free(sample->values);
}

/* ---- stores */

struct store *sample_store_create(const char *name, const struct store_settings *settings)
{
    char *path = scratch_path(name);
    struct store *store;
    struct lmk_error error;
    must(store_create(&store, path, settings, &error), &error);
    free(path);
    return store;
}

struct store *sample_store_open(const char *name, bool write)
{
    char *path = scratch_path(name);
    struct store *store;
    struct lmk_error error;
    must(store_open(&store, path, write, &error), &error);
    free(path);
    return store;
}

struct store_batch *sample_batch(struct store *store)
{
    struct store_batch *batch;
    struct lmk_error error;
    must(store_batch_begin(store, &batch, &error), &error);
    return batch;
}

void sample_commit(struct store_batch *batch)
{
    struct lmk_error error;
    must(store_commit(batch, &error), &error);
}

struct store_view *sample_view(struct store *store)
{
    struct store_view *view;
    struct lmk_error error;
    must(store_view_begin(store, &view, &error), &error);
    return view;
}

/* ---- writing */

void sample_add(struct store_batch *batch, struct sample *sample)
{
    struct lmk_error error;
    must(store_add_document(batch, &sample->document, sample->texts, &error), &error);
}

void sample_put(struct store_batch *batch, const struct sample *sample,
                const struct store_settings *settings, size_t first, size_t end)
{
    size_t landmark = (size_t)settings->memory_layers * settings->kv_heads * settings->head_width;
    size_t block = landmark * settings->block_tokens;
    struct lmk_error error;
    must(store_put_blocks(batch, &sample->document, sample->document.first_block + first,
                          end - first, sample->landmark_keys + first * landmark,
                          sample->keys + first * block, sample->values + first * block, &error),
         &error);
}

void sample_state(struct store_batch *batch, struct sample *sample, enum document_state state)
{
    struct lmk_error error;
    must(store_set_state(batch, sample->document.id, state, &error), &error);
    sample->document.state = state;
}

void sample_index(struct store_batch *batch, struct sample *sample,
                  const struct store_settings *settings)
{
    sample_add(batch, sample);
    sample_put(batch, sample, settings, 0, sample->document.block_count);
    sample_state(batch, sample, DOCUMENT_READY);
}

/* ---- looking */

static void expect_document(const struct document *found, const struct document *expected)
{
    assert_int_equal(found->id, expected->id);
    assert_memory_equal(found->hash, expected->hash, HASH128_BYTES);
    assert_int_equal(found->state, expected->state);
    assert_int_equal(found->tier, expected->tier);
    assert_int_equal(found->first_block, expected->first_block);
    assert_int_equal(found->block_count, expected->block_count);
    assert_int_equal(found->token_count, expected->token_count);
    assert_int_equal(found->source_bytes, expected->source_bytes);
    assert_int_equal(found->text_bytes, expected->text_bytes);
    assert_int_equal(found->added_ns, expected->added_ns);
    assert_string_equal(found->path, expected->path);
    assert_string_equal(found->title, expected->title);
    assert_string_equal(found->author, expected->author);
    assert_string_equal(found->language, expected->language);
    assert_string_equal(found->kind, expected->kind);
    assert_string_equal(found->metadata, expected->metadata);
}

static void expect_text(struct store_view *view, const struct sample *sample, size_t index)
{
    const struct block_text *expected = &sample->texts[index];
    struct block_text found;
    struct buffer tokens, runs;
    struct lmk_error error;
    buffer_init(&tokens, 1 << 20);
    buffer_init(&runs, 1 << 20);
    must(store_block_text(view, sample->document.first_block + index, &tokens, &runs, &found,
                          &error),
         &error);
    assert_int_equal(found.document, sample->document.id);
    assert_int_equal(found.token_count, expected->token_count);
    assert_int_equal(found.text_start, expected->text_start);
    assert_int_equal(found.text_size, expected->text_size);
    assert_int_equal(found.source_start, expected->source_start);
    assert_int_equal(found.source_end, expected->source_end);
    assert_int_equal(found.place, expected->place);
    assert_memory_equal(found.tokens, expected->tokens, found.token_count * sizeof *found.tokens);
    assert_int_equal(found.run_count, expected->run_count);
    for (size_t i = 0; i < found.run_count; i++) {
        assert_int_equal(found.runs[i].text, expected->runs[i].text);
        assert_int_equal(found.runs[i].source, expected->runs[i].source);
    }
    buffer_release(&tokens);
    buffer_release(&runs);
}

static double half(const unsigned char *at)
{
    unsigned bits = at[0] | (unsigned)at[1] << 8, exponent = bits >> 10 & 31,
             fraction = bits & 1023;
    double size = exponent ? ldexp(1024 + fraction, (int)exponent - 25) : ldexp(fraction, -24);
    return bits >> 15 ? -size : size;
}

/* The value number `i` of rows as FORMAT.md has them. */
static double row_value(enum tensor_type type, const unsigned char *rows, size_t i)
{
    if (type == TENSOR_F16)
        return half(rows + 2 * i);
    size_t in = i % 32;
    if (type == TENSOR_Q8_0) {
        const unsigned char *quants = rows + i / 32 * 34;
        return half(quants) * (signed char)quants[2 + in];
    }
    const unsigned char *quants = rows + i / 32 * 18;
    unsigned byte = quants[2 + in % 16];
    return half(quants) * ((int)(in < 16 ? byte & 15 : byte >> 4) - 8);
}

/* Rows hold the values as exactly as their type can: half a step of the block's largest, or a whole
 * one of q4_0 where the largest of the other sign does not fit; and what rounding the scale to f16
 * costs. */
static void expect_rows(enum tensor_type type, const unsigned char *rows, const float *expected,
                        size_t count)
{
    for (size_t start = 0; start < count; start += 32) {
        double largest = 0, most;
        for (size_t i = start; i < start + 32; i++)
            largest = fmax(largest, fabs((double)expected[i]));
        most = type == TENSOR_F16    ? largest / 2048
               : type == TENSOR_Q8_0 ? largest / 127 * 0.57
                                     : largest / 8 * 1.01;
        for (size_t i = start; i < start + 32; i++)
            assert_true(fabs(row_value(type, rows, i) - (double)expected[i]) <= most);
    }
}

static void expect_block(struct store_view *view, const struct sample *sample,
                         const struct store_settings *settings, size_t index)
{
    static const enum tensor_type types[] = {
        [LMK_TIER_F16] = TENSOR_F16, [LMK_TIER_Q4_0] = TENSOR_Q4_0, [LMK_TIER_Q8_0] = TENSOR_Q8_0};
    size_t landmark = (size_t)settings->memory_layers * settings->kv_heads * settings->head_width;
    size_t width = landmark * settings->block_tokens;
    uint64_t block = sample->document.first_block + index;
    const float *key;
    const void *keys, *values, *again;
    enum tensor_type type;
    struct lmk_error error;
    must(store_landmark_key(view, block, &key, &error), &error);
    assert_memory_equal(key, sample->landmark_keys + index * landmark, landmark * sizeof *key);
    enum lmk_status status = store_keys_values(view, block, &type, &keys, &values, &error);
    if (sample->document.tier == LMK_TIER_NONE) {
        assert_int_equal(status, LMK_NOT_FOUND);
        return;
    }
    must(status, &error);
    assert_int_equal(type, types[sample->document.tier]);
    expect_rows(type, keys, sample->keys + index * width, width);
    expect_rows(type, values, sample->values + index * width, width);
    must(store_keys_values(view, block, &type, &again, NULL, &error), &error);
    assert_ptr_equal(again, keys);
}

void sample_expect(struct store_view *view, const struct sample *sample,
                   const struct store_settings *settings, size_t stored)
{
    const struct document *expected = &sample->document;
    struct document found;
    struct lmk_error error;
    uint64_t done;
    const void *keys, *values;
    const float *key;
    enum tensor_type type;
    must(store_document(view, expected->id, &found, &error), &error);
    expect_document(&found, expected);
    must(store_document_by_hash(view, expected->hash, &found, &error), &error);
    expect_document(&found, expected);
    must(store_next_document(view, expected->id, &found, &error), &error);
    expect_document(&found, expected);
    must(store_blocks_done(view, expected, &done, &error), &error);
    assert_int_equal(done, stored);
    for (size_t i = 0; i < expected->block_count; i++) {
        uint64_t block = expected->first_block + i;
        must(store_document_of_block(view, block, &found, &error), &error);
        assert_int_equal(found.id, expected->id);
        expect_text(view, sample, i);
        if (i < stored) {
            expect_block(view, sample, settings, i);
            continue;
        }
        assert_int_equal(store_landmark_key(view, block, &key, &error), LMK_NOT_FOUND);
        assert_int_equal(store_keys_values(view, block, &type, &keys, &values, &error),
                         LMK_NOT_FOUND);
    }
}

void sample_expect_none(struct store_view *view, const struct sample *sample)
{
    const struct document *document = &sample->document;
    struct document found;
    struct block_text text;
    struct buffer tokens, runs;
    struct lmk_error error;
    const void *keys, *values;
    const float *key;
    enum tensor_type type;
    buffer_init(&tokens, 1 << 20);
    buffer_init(&runs, 1 << 20);
    assert_int_equal(store_document(view, document->id, &found, &error), LMK_NOT_FOUND);
    assert_int_equal(store_document_by_hash(view, document->hash, &found, &error), LMK_NOT_FOUND);
    for (uint64_t block = document->first_block;
         block < document->first_block + document->block_count; block++) {
        assert_int_equal(store_document_of_block(view, block, &found, &error), LMK_NOT_FOUND);
        assert_int_equal(store_block_text(view, block, &tokens, &runs, &text, &error),
                         LMK_NOT_FOUND);
        assert_int_equal(store_landmark_key(view, block, &key, &error), LMK_NOT_FOUND);
        assert_int_equal(store_keys_values(view, block, &type, &keys, &values, &error),
                         LMK_NOT_FOUND);
    }
}

static void fail_with(void *context, const char *sentence)
{
    (void)context;
    fail_msg("%s", sentence);
}

void sample_expect_sound(struct store_view *view)
{
    struct store_verification result;
    struct lmk_error error;
    must(store_verify(view, fail_with, NULL, &result, &error), &error);
    assert_int_equal(result.problems, 0);
}
