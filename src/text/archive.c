#include "src/text/archive.h"

#include "src/text/compression.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RATIO_MAX 200
#define TOTAL_ALWAYS_FINE ((uint64_t)256 << 20)

struct archive_reader {
    struct archive *archive;
    struct archive_entry *entry;
    const char *path;
    char *name; /* owned, of the file at hand */
    uint64_t packed, unpacked;
    uint64_t members;
};

bool archive_begins(struct slice bytes)
{
    return (bytes.size >= 4 &&
            (!memcmp(bytes.text, "PK\3\4", 4) || !memcmp(bytes.text, "PK\5\6", 4))) ||
           (bytes.size >= 512 && !memcmp(bytes.text + 257, "ustar", 5));
}

enum lmk_status archive_reader_open(struct archive_reader **result, struct slice bytes,
                                    const char *path, struct lmk_error *error)
{
    struct archive_reader *reader = calloc(1, sizeof *reader);
    *result = NULL;
    if (!reader || !(reader->archive = archive_read_new())) {
        free(reader);
        return error_memory(error, sizeof *reader);
    }
    reader->path = path;
    reader->packed = bytes.size;
    compression_support(reader->archive);
    archive_read_support_format_tar(reader->archive);
    archive_read_support_format_zip(reader->archive);
    if (archive_read_open_memory(reader->archive, bytes.text, bytes.size)) {
        enum lmk_status status = compression_damaged(reader->archive, reader->path, error);
        archive_reader_close(reader);
        return status;
    }
    *result = reader;
    return LMK_OK;
}

void archive_reader_close(struct archive_reader *reader)
{
    if (!reader)
        return;
    archive_read_free(reader->archive);
    free(reader->name);
    free(reader);
}

/* The name without empty parts, "." and "..", owned; NULL: out of memory. */
static char *clean_name(const char *name)
{
    char *clean = malloc(strlen(name) + 1), *at = clean;
    while (clean && *name) {
        size_t size = strcspn(name, "/");
        bool dots = size == 0 || (size == 1 && name[0] == '.') ||
                    (size == 2 && name[0] == '.' && name[1] == '.');
        if (!dots) {
            if (at > clean)
                *at++ = '/';
            memcpy(at, name, size);
            at += size;
        }
        name += size + (name[size] == '/');
    }
    if (clean)
        *at = '\0';
    return clean;
}

static const char *entry_name(struct archive_entry *entry)
{
    const char *name = archive_entry_pathname_utf8(entry);
    name = name ? name : archive_entry_pathname(entry);
    return name ? name : "";
}

enum lmk_status archive_reader_next(struct archive_reader *reader, const char **name,
                                    struct lmk_error *error)
{
    *name = NULL;
    do {
        int code = archive_read_next_header(reader->archive, &reader->entry);
        if (code == ARCHIVE_EOF)
            return LMK_OK;
        if (code < ARCHIVE_WARN)
            return compression_damaged(reader->archive, reader->path, error);
        if (++reader->members > ARCHIVE_MEMBERS_MAX)
            return error_set(
                error, LMK_INPUT,
                "%s holds more than %d files, the most that lmk reads from one archive.",
                reader->path, ARCHIVE_MEMBERS_MAX);
    } while (archive_entry_filetype(reader->entry) != AE_IFREG);
    free(reader->name);
    reader->name = clean_name(entry_name(reader->entry));
    *name = reader->name;
    return reader->name ? LMK_OK : error_memory(error, 1);
}

static enum lmk_status check_total(const struct archive_reader *reader, size_t content,
                                   struct lmk_error *error)
{
    if (content > ARCHIVE_MEMBER_MAX)
        return error_set(error, LMK_INPUT,
                         "%s/%s is larger than %zu MiB, the most that lmk reads "
                         "from one file of an archive.",
                         reader->path, reader->name, ARCHIVE_MEMBER_MAX >> 20);
    bool inflated =
        reader->unpacked > TOTAL_ALWAYS_FINE && reader->unpacked / RATIO_MAX > reader->packed;
    if (inflated || reader->unpacked > ARCHIVE_TOTAL_MAX)
        return error_set(
            error, LMK_INPUT,
            "%s is an archive of %llu bytes that unpacks to more than %llu: that is no "
            "text.",
            reader->path, (unsigned long long)reader->packed, (unsigned long long)reader->unpacked);
    return LMK_OK;
}

enum lmk_status archive_reader_read(struct archive_reader *reader, struct buffer *content,
                                    bool *fatal, struct lmk_error *error)
{
    size_t start = content->size;
    *fatal = false;
    if (archive_entry_is_data_encrypted(reader->entry))
        return error_set(error, LMK_INPUT, "%s/%s is encrypted.", reader->path, reader->name);
    for (;;) {
        const void *data;
        size_t size;
        la_int64_t offset;
        int code = archive_read_data_block(reader->archive, &data, &size, &offset);
        if (code == ARCHIVE_EOF)
            return LMK_OK;
        *fatal = code <= ARCHIVE_FATAL;
        if (code < ARCHIVE_WARN) {
            const char *reason = archive_error_string(reader->archive);
            return error_set(error, LMK_INPUT, "%s/%s is damaged (%s).", reader->path, reader->name,
                             reason ? reason : "no reason given");
        }
        reader->unpacked += size;
        enum lmk_status status = check_total(reader, content->size - start + size, error);
        if (!status)
            status = buffer_append(content, data, size, error);
        if (status)
            return status;
    }
}

const char *archive_library_version(void)
{
    return ARCHIVE_VERSION_ONLY_STRING;
}
