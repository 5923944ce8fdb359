#include "index/store_texts.h"

#include <assert.h>

enum { HEADER_BYTES = 16, CHECKSUM_BYTES = 8 };

static size_t token_bytes(uint32_t vocabulary)
{
    return vocabulary <= 65536 ? 2 : 4;
}

/* ---- writing */

void text_extent_init(struct text_extent_builder *builder, uint32_t vocabulary,
                      struct lmk_error *error)
{
    *builder = (struct text_extent_builder){.vocabulary = vocabulary};
    record_init(&builder->extent, error);
}

void text_extent_release(struct text_extent_builder *builder)
{
    record_release(&builder->extent);
}

void text_extent_start(struct text_extent_builder *builder, uint64_t first_block)
{
    buffer_clear(&builder->extent.bytes);
    builder->count = 0;
    builder->text_end = builder->source_end = 0;
    record_u64(&builder->extent, first_block);
    record_u32(&builder->extent, 0); /* the count, known at the end */
    record_u32(&builder->extent, 0);
}

static void write_tokens(struct record_writer *body, const struct block_text *text,
                         uint32_t vocabulary)
{
    unsigned char bytes[4];
    for (uint32_t i = 0; i < text->token_count; i++) {
        assert(text->tokens[i] < vocabulary);
        write_u32(bytes, text->tokens[i]);
        record_bytes(body, bytes, token_bytes(vocabulary));
    }
}

/* A run's source offset is stored as what it gains over its text offset: 0 or 1 almost always.
 * Differences are taken modulo 2^64, so that any values come back as they were. */
static void write_runs(struct record_writer *body, const struct block_text *text)
{
    uint64_t text_at = text->text_start, source_at = text->source_start;
    record_varint(body, text->run_count);
    for (size_t i = 0; i < text->run_count; i++) {
        const struct map_run *run = &text->runs[i];
        record_varint(body, run->text - text_at);
        record_varint(body, (run->source - source_at) - (run->text - text_at));
        text_at = run->text;
        source_at = run->source;
    }
}

static void write_body(struct record_writer *body, const struct text_extent_builder *builder,
                       const struct block_text *text)
{
    record_varint(body, text->token_count);
    record_varint(body, text->text_start - builder->text_end);
    record_varint(body, text->text_size);
    record_varint(body, text->source_start - builder->source_end);
    record_varint(body, text->source_end - text->source_start);
    record_varint(body, text->place);
    write_tokens(body, text, builder->vocabulary);
    write_runs(body, text);
}

bool text_extent_add(struct text_extent_builder *builder, const struct block_text *text)
{
    struct record_writer *extent = &builder->extent, body;
    size_t size_before = extent->bytes.size;
    record_init(&body, extent->error);
    write_body(&body, builder, text);
    if (body.status && !extent->status)
        extent->status = body.status;
    record_varint(extent, body.bytes.size);
    record_bytes(extent, body.bytes.data, body.bytes.size);
    record_release(&body);
    if (builder->count > 0 && extent->bytes.size + CHECKSUM_BYTES > TEXT_EXTENT_BYTES) {
        extent->bytes.size = size_before;
        return false;
    }
    builder->count++;
    builder->text_end = text->text_start + text->text_size;
    builder->source_end = text->source_end;
    return true;
}

enum lmk_status text_extent_finish(struct text_extent_builder *builder)
{
    if (!builder->extent.status)
        write_u32(builder->extent.bytes.data + 8, builder->count);
    return record_finish(&builder->extent);
}

/* ---- reading */

uint32_t text_extent_count(const void *data, size_t size, uint64_t first_block)
{
    struct record_reader reader;
    if (!record_open(&reader, data, size))
        return 0;
    uint64_t first = record_read_u64(&reader);
    uint32_t count = record_read_u32(&reader), zero = record_read_u32(&reader);
    bool sound = !reader.bad && first == first_block && zero == 0 && count <= reader.left &&
                 count <= UINT64_MAX - first_block;
    return sound ? count : 0;
}

/* The fields in front of the tokens, which are relative to `text` as the block before left it. */
static void read_head(struct record_reader *body, struct block_text *text)
{
    uint64_t tokens = record_read_varint(body);
    text->token_count = tokens <= UINT32_MAX ? (uint32_t)tokens : 0;
    text->text_start += text->text_size + record_read_varint(body);
    text->text_size = record_read_varint(body);
    text->source_start = text->source_end + record_read_varint(body);
    text->source_end = text->source_start + record_read_varint(body);
    uint64_t place = record_read_varint(body);
    text->place = (uint32_t)place;
    if (place > UINT32_MAX || text->text_size > UINT64_MAX - text->text_start ||
        text->source_end < text->source_start)
        body->bad = true;
}

static enum lmk_status read_tokens(struct record_reader *body,
                                   const struct store_settings *settings, struct buffer *tokens,
                                   struct block_text *text, struct lmk_error *error)
{
    size_t width = token_bytes(settings->vocabulary), start = tokens->size;
    assert(start % sizeof(uint32_t) == 0);
    if (text->token_count == 0 || text->token_count > settings->block_tokens)
        return LMK_CORRUPT;
    const unsigned char *bytes = record_read_bytes(body, width * text->token_count);
    if (!bytes)
        return LMK_CORRUPT;
    enum lmk_status status = buffer_reserve(tokens, text->token_count * sizeof(uint32_t), error);
    if (status)
        return status;
    uint32_t *out = (uint32_t *)(void *)(tokens->data + start);
    for (uint32_t i = 0; i < text->token_count; i++) {
        const unsigned char *at = bytes + width * i;
        out[i] = width == 2 ? (uint32_t)at[0] | (uint32_t)at[1] << 8 : load_u32(at);
        if (out[i] >= settings->vocabulary)
            return LMK_CORRUPT;
    }
    tokens->size += text->token_count * sizeof(uint32_t);
    text->tokens = out;
    return LMK_OK;
}

static enum lmk_status read_runs(struct record_reader *body, struct buffer *runs,
                                 struct block_text *text, struct lmk_error *error)
{
    uint64_t count = record_read_varint(body), text_at = text->text_start,
             source_at = text->source_start;
    size_t start = runs->size;
    assert(start % sizeof(struct map_run) == 0);
    if (body->bad || count > body->left / 2)
        return LMK_CORRUPT;
    if (count == 0) /* the buffer may have no memory yet, to which nothing may be added */
        return LMK_OK;
    enum lmk_status status = buffer_reserve(runs, (size_t)count * sizeof(struct map_run), error);
    if (status)
        return status;
    struct map_run *out = (struct map_run *)(void *)(runs->data + start);
    for (size_t i = 0; i < count; i++) {
        uint64_t step = record_read_varint(body);
        uint64_t gain = record_read_varint(body);
        if (body->bad || step > UINT64_MAX - text_at || (i > 0 && step == 0))
            return LMK_CORRUPT;
        text_at += step;
        source_at += step + gain;
        out[i] = (struct map_run){text_at, source_at};
    }
    runs->size += (size_t)count * sizeof(struct map_run);
    text->runs = count ? out : NULL;
    text->run_count = (size_t)count;
    return LMK_OK;
}

/* The body of block `index`, with `text` as the block before left it. */
static bool find_body(const void *data, size_t size, uint32_t index, struct record_reader *body,
                      struct block_text *text)
{
    struct record_reader extent = record_over(data, size - CHECKSUM_BYTES);
    record_read_bytes(&extent, HEADER_BYTES);
    for (uint32_t i = 0;; i++) {
        uint64_t length = record_read_varint(&extent);
        if (extent.bad || length > extent.left)
            return false;
        *body = record_over(record_read_bytes(&extent, (size_t)length), (size_t)length);
        read_head(body, text);
        if (body->bad || i == index)
            return !body->bad;
    }
}

enum lmk_status text_extent_block(const void *data, size_t size, uint32_t index,
                                  const struct store_settings *settings, struct buffer *tokens,
                                  struct buffer *runs, struct block_text *text,
                                  struct lmk_error *error)
{
    struct record_reader body;
    *text = (struct block_text){0};
    if (!find_body(data, size, index, &body, text))
        return LMK_CORRUPT;
    enum lmk_status status = read_tokens(&body, settings, tokens, text, error);
    if (!status)
        status = read_runs(&body, runs, text, error);
    if (!status && body.left > 0)
        status = LMK_CORRUPT;
    return status;
}
