/* Records and text extents of the store, with the checksum that they would need: the first byte
 * says which decoder gets the others. */
#include "index/store_texts.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode_texts(const unsigned char *record, size_t size)
{
    const struct store_settings settings = {.block_tokens = 63, .vocabulary = 16384};
    uint64_t first = size >= 8 ? load_u64(record) : 0;
    uint32_t count = text_extent_count(record, size, first);
    struct buffer tokens, runs;
    buffer_init(&tokens, 1 << 20);
    buffer_init(&runs, 1 << 24);
    for (uint32_t i = 0; i < count && i < 64; i++) {
        struct block_text text;
        buffer_clear(&tokens);
        buffer_clear(&runs);
        if (text_extent_block(record, size, i, &settings, &tokens, &runs, &text, NULL))
            break;
        if (text.token_count > 63 || tokens.size != 4 * (size_t)text.token_count)
            abort();
    }
    buffer_release(&tokens);
    buffer_release(&runs);
}

static void decode_record(unsigned which, const unsigned char *record, size_t size)
{
    unsigned char key[HASH128_BYTES] = {0};
    struct store_settings settings;
    struct store_counts counts;
    struct document document;
    struct source_record source;
    struct segment_record segment;
    const char *path;
    uint64_t id;
    uint32_t version;
    format_decode(record, size, &version);
    settings_decode(record, size, &settings);
    counts_decode(record, size, &counts);
    segment_decode(record, size, &segment);
    entry_decode(record, size, key, which % sizeof key, &id);
    if (size > 4 + 8 && load_u32(record) < size - 4 - 8)
        hash128(record + 4, load_u32(record), key);
    if (source_decode(record, size, key, &path, &source) && strlen(path) > size)
        abort();
    if (document_decode(record, size, size >= 8 ? load_u64(record) : 0, &document) &&
        strlen(document.path) + strlen(document.metadata) > size)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    size_t length = size - 1;
    unsigned char *record = malloc(length + 8);
    if (!record)
        return 0;
    memcpy(record, data + 1, length);
    write_u64(record + length, hash64(record, length));
    decode_record(data[0], record, length + 8);
    decode_texts(record, length + 8);
    free(record);
    return 0;
}
