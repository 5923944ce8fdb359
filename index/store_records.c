#include "index/store_records.h"

#include <assert.h>
#include <string.h>

#define RECORD_LIMIT ((size_t)1 << 30) /* well below LMDB's longest value */

static const char format_name[8] = "lmkstore";

uint32_t load_u32(const void *at)
{
    const unsigned char *byte = at;
    return (uint32_t)byte[0] | (uint32_t)byte[1] << 8 | (uint32_t)byte[2] << 16 |
           (uint32_t)byte[3] << 24;
}

uint64_t load_u64(const void *at)
{
    const unsigned char *byte = at;
    return load_u32(byte) | (uint64_t)load_u32(byte + 4) << 32;
}

void write_u32(void *at, uint32_t value)
{
    unsigned char *byte = at;
    for (int i = 0; i < 4; i++)
        byte[i] = (unsigned char)(value >> 8 * i);
}

void write_u64(void *at, uint64_t value)
{
    unsigned char *byte = at;
    for (int i = 0; i < 8; i++)
        byte[i] = (unsigned char)(value >> 8 * i);
}

/* ---- writing */

void record_init(struct record_writer *writer, struct lmk_error *error)
{
    *writer = (struct record_writer){.error = error};
    buffer_init(&writer->bytes, RECORD_LIMIT);
}

void record_release(struct record_writer *writer)
{
    buffer_release(&writer->bytes);
}

void record_bytes(struct record_writer *writer, const void *data, size_t size)
{
    if (!writer->status)
        writer->status = buffer_append(&writer->bytes, data, size, writer->error);
}

void record_u32(struct record_writer *writer, uint32_t value)
{
    unsigned char bytes[4];
    write_u32(bytes, value);
    record_bytes(writer, bytes, sizeof bytes);
}

void record_u64(struct record_writer *writer, uint64_t value)
{
    unsigned char bytes[8];
    write_u64(bytes, value);
    record_bytes(writer, bytes, sizeof bytes);
}

void record_string(struct record_writer *writer, const char *text)
{
    size_t size = text ? strlen(text) : 0;
    if (size > RECORD_LIMIT) {
        writer->status = error_set(writer->error, LMK_USAGE,
                                   "A text of %zu bytes is too long for a record.", size);
        return;
    }
    record_u32(writer, (uint32_t)size);
    record_bytes(writer, text ? text : "", size + 1);
}

void record_varint(struct record_writer *writer, uint64_t value)
{
    unsigned char bytes[10];
    size_t count = 0;
    for (; value >= 0x80; value >>= 7)
        bytes[count++] = (unsigned char)(value | 0x80);
    bytes[count++] = (unsigned char)value;
    record_bytes(writer, bytes, count);
}

enum lmk_status record_finish(struct record_writer *writer)
{
    if (!writer->status)
        record_u64(writer, hash64(writer->bytes.data, writer->bytes.size));
    return writer->status;
}

/* ---- reading */

bool record_open(struct record_reader *reader, const void *data, size_t size)
{
    *reader = (struct record_reader){.bad = true};
    if (size < 8)
        return false;
    const unsigned char *bytes = data;
    if (hash64(bytes, size - 8) != load_u64(bytes + size - 8))
        return false;
    *reader = record_over(bytes, size - 8);
    return true;
}

struct record_reader record_over(const void *data, size_t size)
{
    return (struct record_reader){.at = data, .left = size};
}

const unsigned char *record_read_bytes(struct record_reader *reader, size_t size)
{
    if (reader->bad || size > reader->left) {
        reader->bad = true;
        return NULL;
    }
    const unsigned char *at = reader->at;
    reader->at += size;
    reader->left -= size;
    return at;
}

uint32_t record_read_u32(struct record_reader *reader)
{
    const unsigned char *at = record_read_bytes(reader, 4);
    return at ? load_u32(at) : 0;
}

uint64_t record_read_u64(struct record_reader *reader)
{
    const unsigned char *at = record_read_bytes(reader, 8);
    return at ? load_u64(at) : 0;
}

uint64_t record_read_varint(struct record_reader *reader)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        const unsigned char *byte = record_read_bytes(reader, 1);
        if (!byte || (shift == 63 && *byte > 1))
            break;
        value |= (uint64_t)(*byte & 0x7f) << shift;
        if (*byte < 0x80)
            return value;
    }
    reader->bad = true;
    return 0;
}

const char *record_read_string(struct record_reader *reader)
{
    size_t size = record_read_u32(reader);
    const unsigned char *text = record_read_bytes(reader, size + 1);
    if (text && !memchr(text, 0, size) && text[size] == 0)
        return (const char *)text;
    reader->bad = true;
    return "";
}

/* Copies a string into a fixed array; one that does not fit is damage. */
static void read_name(struct record_reader *reader, char *name, size_t capacity)
{
    const char *text = record_read_string(reader);
    size_t size = strlen(text);
    if (size >= capacity) {
        reader->bad = true;
        size = 0;
    }
    memset(name, 0, capacity);
    memcpy(name, text, size); /* NOLINT(bugprone-not-null-terminated-result): the NUL is there */
}

static void read_hash(struct record_reader *reader, unsigned char hash[HASH128_BYTES])
{
    const unsigned char *bytes = record_read_bytes(reader, HASH128_BYTES);
    if (bytes)
        memcpy(hash, bytes, HASH128_BYTES);
    else
        memset(hash, 0, HASH128_BYTES);
}

/* ---- meta */

static bool read_key(struct record_reader *reader, const char *key)
{
    return strcmp(record_read_string(reader), key) == 0 && !reader->bad;
}

enum lmk_status format_encode(struct record_writer *writer)
{
    record_bytes(writer, format_name, sizeof format_name);
    record_u32(writer, STORE_FORMAT_VERSION);
    return record_finish(writer);
}

bool format_decode(const void *data, size_t size, uint32_t *version)
{
    struct record_reader reader;
    if (!record_open(&reader, data, size))
        return false;
    const unsigned char *name = record_read_bytes(&reader, sizeof format_name);
    *version = record_read_u32(&reader);
    return !reader.bad && memcmp(name, format_name, sizeof format_name) == 0;
}

enum lmk_status settings_encode(const struct store_settings *settings, struct record_writer *writer)
{
    record_string(writer, "settings");
    record_bytes(writer, settings->fingerprint, HASH128_BYTES);
    record_string(writer, settings->model_name);
    record_u32(writer, settings->normalise_version);
    record_u32(writer, settings->block_tokens);
    record_u32(writer, settings->memory_layers);
    record_u32(writer, settings->kv_heads);
    record_u32(writer, settings->head_width);
    record_u32(writer, settings->vocabulary);
    record_u32(writer, settings->tier);
    record_string(writer, settings->ann);
    return record_finish(writer);
}

static bool tier_known(uint32_t tier)
{
    return tier == LMK_TIER_NONE || tier == LMK_TIER_F16 || tier == LMK_TIER_Q4_0 ||
           tier == LMK_TIER_Q8_0;
}

bool settings_decode(const void *data, size_t size, struct store_settings *settings)
{
    struct record_reader reader;
    if (!record_open(&reader, data, size) || !read_key(&reader, "settings"))
        return false;
    read_hash(&reader, settings->fingerprint);
    read_name(&reader, settings->model_name, sizeof settings->model_name);
    settings->normalise_version = record_read_u32(&reader);
    settings->block_tokens = record_read_u32(&reader);
    settings->memory_layers = record_read_u32(&reader);
    settings->kv_heads = record_read_u32(&reader);
    settings->head_width = record_read_u32(&reader);
    settings->vocabulary = record_read_u32(&reader);
    uint32_t tier = record_read_u32(&reader);
    settings->tier = (enum lmk_tier)tier;
    read_name(&reader, settings->ann, sizeof settings->ann);
    return !reader.bad && tier_known(tier);
}

enum { COUNT_FIELDS = 10 };

/* The counters in the order in which they are stored. */
static void count_fields(struct store_counts *counts, uint64_t *fields[COUNT_FIELDS])
{
    uint64_t *order[COUNT_FIELDS] = {
        &counts->documents,  &counts->documents_ready, &counts->blocks,     &counts->blocks_ready,
        &counts->tokens,     &counts->source_bytes,    &counts->text_bytes, &counts->next_document,
        &counts->next_block, &counts->batches};
    memcpy(fields, order, sizeof order);
}

enum lmk_status counts_encode(const struct store_counts *counts, struct record_writer *writer)
{
    struct store_counts copy = *counts;
    uint64_t *fields[COUNT_FIELDS];
    count_fields(&copy, fields);
    record_string(writer, "counters");
    for (size_t i = 0; i < COUNT_FIELDS; i++)
        record_u64(writer, *fields[i]);
    return record_finish(writer);
}

bool counts_decode(const void *data, size_t size, struct store_counts *counts)
{
    struct record_reader reader;
    if (!record_open(&reader, data, size) || !read_key(&reader, "counters"))
        return false;
    uint64_t *fields[COUNT_FIELDS];
    count_fields(counts, fields);
    for (size_t i = 0; i < COUNT_FIELDS; i++)
        *fields[i] = record_read_u64(&reader);
    return !reader.bad;
}

/* ---- documents */

enum lmk_status document_encode(const struct document *document, uint64_t batch,
                                struct record_writer *writer)
{
    record_u64(writer, document->id);
    record_bytes(writer, document->hash, HASH128_BYTES);
    record_u32(writer, document->state);
    record_u32(writer, document->tier);
    record_u64(writer, document->first_block);
    record_u64(writer, document->block_count);
    record_u64(writer, document->token_count);
    record_u64(writer, document->source_bytes);
    record_u64(writer, document->text_bytes);
    record_u64(writer, (uint64_t)document->added_ns);
    record_u64(writer, batch);
    record_string(writer, document->path);
    record_string(writer, document->title);
    record_string(writer, document->author);
    record_string(writer, document->language);
    record_string(writer, document->kind);
    record_string(writer, document->metadata ? document->metadata : "{}");
    return record_finish(writer);
}

bool document_decode(const void *data, size_t size, uint64_t id, struct document *document)
{
    struct record_reader reader;
    if (!record_open(&reader, data, size))
        return false;
    document->id = record_read_u64(&reader);
    read_hash(&reader, document->hash);
    uint32_t state = record_read_u32(&reader), tier = record_read_u32(&reader);
    document->state = (enum document_state)state;
    document->tier = (enum lmk_tier)tier;
    document->first_block = record_read_u64(&reader);
    document->block_count = record_read_u64(&reader);
    document->token_count = record_read_u64(&reader);
    document->source_bytes = record_read_u64(&reader);
    document->text_bytes = record_read_u64(&reader);
    document->added_ns = (int64_t)record_read_u64(&reader);
    record_read_u64(&reader); /* the batch */
    document->path = record_read_string(&reader);
    document->title = record_read_string(&reader);
    document->author = record_read_string(&reader);
    document->language = record_read_string(&reader);
    document->kind = record_read_string(&reader);
    document->metadata = record_read_string(&reader);
    return !reader.bad && document->id == id && state >= DOCUMENT_TEXT && state <= DOCUMENT_READY &&
           tier_known(tier) && document->block_count > 0 &&
           document->block_count <= UINT64_MAX - document->first_block;
}

/* ---- sources, segments, index entries */

enum lmk_status source_encode(const char *path, const struct source_record *source,
                              struct record_writer *writer)
{
    record_string(writer, path);
    record_u64(writer, source->document);
    record_u64(writer, source->size);
    record_u64(writer, (uint64_t)source->modified_ns);
    if (!source->document)
        record_u64(writer, source->documents);
    return record_finish(writer);
}

bool source_decode(const void *data, size_t size, const unsigned char key[HASH128_BYTES],
                   const char **path, struct source_record *source)
{
    struct record_reader reader;
    if (!record_open(&reader, data, size))
        return false;
    const char *text = record_read_string(&reader);
    if (path)
        *path = text;
    source->document = record_read_u64(&reader);
    source->size = record_read_u64(&reader);
    source->modified_ns = (int64_t)record_read_u64(&reader);
    source->documents = source->document ? 1 : record_read_u64(&reader);
    unsigned char hash[HASH128_BYTES];
    hash128(text, strlen(text), hash);
    return !reader.bad && memcmp(hash, key, HASH128_BYTES) == 0;
}

enum lmk_status segment_encode(const struct segment_record *segment, struct record_writer *writer)
{
    record_string(writer, segment->name);
    record_u32(writer, segment->part);
    record_u64(writer, segment->first_block);
    record_u64(writer, segment->end_block);
    record_u64(writer, segment->vector_count);
    record_u64(writer, segment->size);
    record_bytes(writer, segment->hash, HASH128_BYTES);
    record_string(writer, segment->factory);
    return record_finish(writer);
}

bool segment_decode(const void *data, size_t size, struct segment_record *segment)
{
    struct record_reader reader;
    if (!record_open(&reader, data, size))
        return false;
    read_name(&reader, segment->name, sizeof segment->name);
    segment->part = record_read_u32(&reader);
    segment->first_block = record_read_u64(&reader);
    segment->end_block = record_read_u64(&reader);
    segment->vector_count = record_read_u64(&reader);
    segment->size = record_read_u64(&reader);
    read_hash(&reader, segment->hash);
    read_name(&reader, segment->factory, sizeof segment->factory);
    return !reader.bad && segment->first_block <= segment->end_block &&
           segment->vector_count <= segment->end_block - segment->first_block;
}

enum lmk_status entry_encode(const void *key, size_t key_size, uint64_t document,
                             struct record_writer *writer)
{
    record_bytes(writer, key, key_size);
    record_u64(writer, document);
    return record_finish(writer);
}

bool entry_decode(const void *data, size_t size, const void *key, size_t key_size,
                  uint64_t *document)
{
    struct record_reader reader;
    if (!record_open(&reader, data, size))
        return false;
    const unsigned char *stored = record_read_bytes(&reader, key_size);
    *document = record_read_u64(&reader);
    return !reader.bad && memcmp(stored, key, key_size) == 0;
}
