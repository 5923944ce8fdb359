#include "src/text/unpack.h"

#include "src/text/compression.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdint.h>
#include <stdlib.h>

/* Text seldom shrinks to a tenth, tables to a fiftieth. */
#define RATIO_MAX 200
#define SIZE_ALWAYS_FINE ((uint64_t)64 << 20)

struct unpacker {
    struct archive *archive;
    const char *path;
    uint64_t packed, unpacked;
};

static enum lmk_status start(struct unpacker *unpacker, struct slice bytes, struct lmk_error *error)
{
    struct archive *archive = unpacker->archive;
    struct archive_entry *entry;
    compression_support(archive);
    archive_read_support_format_raw(archive);
    if (archive_read_open_memory(archive, bytes.text, bytes.size) ||
        archive_read_next_header(archive, &entry))
        return compression_damaged(unpacker->archive, unpacker->path, error);
    return LMK_OK;
}

enum lmk_status unpacker_open(struct unpacker **result, struct slice bytes, const char *path,
                              struct lmk_error *error)
{
    struct unpacker *unpacker = calloc(1, sizeof *unpacker);
    *result = NULL;
    if (!unpacker || !(unpacker->archive = archive_read_new())) {
        free(unpacker);
        return error_memory(error, sizeof *unpacker);
    }
    unpacker->path = path;
    unpacker->packed = bytes.size;
    enum lmk_status status = start(unpacker, bytes, error);
    if (status)
        unpacker_close(unpacker);
    else
        *result = unpacker;
    return status;
}

void unpacker_close(struct unpacker *unpacker)
{
    if (unpacker)
        archive_read_free(unpacker->archive);
    free(unpacker);
}

enum lmk_status unpacker_next(struct unpacker *unpacker, struct slice *piece,
                              struct lmk_error *error)
{
    const void *data;
    size_t size;
    la_int64_t offset;
    int code;
    *piece = (struct slice){"", 0};
    do
        code = archive_read_data_block(unpacker->archive, &data, &size, &offset);
    while (code >= ARCHIVE_WARN && code != ARCHIVE_EOF && size == 0);
    if (code == ARCHIVE_EOF)
        return LMK_OK;
    if (code < ARCHIVE_WARN)
        return compression_damaged(unpacker->archive, unpacker->path, error);
    unpacker->unpacked += size;
    if (unpacker->unpacked > SIZE_ALWAYS_FINE && unpacker->unpacked / RATIO_MAX > unpacker->packed)
        return error_set(error, LMK_INPUT,
                         "%s is more than %d times larger than its compressed form: that is no "
                         "text.",
                         unpacker->path, RATIO_MAX);
    *piece = (struct slice){data, size};
    return LMK_OK;
}
