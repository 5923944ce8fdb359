#include "src/text/archived.h"
#include "src/text/archive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of the system, or of a program that packs. */
static bool is_hidden(const char *name)
{
    for (const char *part = name; part; part = strchr(part, '/')) {
        part += *part == '/';
        if (*part == '.' || !strncmp(part, "__MACOSX/", 9))
            return true;
    }
    return false;
}

static void skip(const struct source *source, const struct lmk_error *fault)
{
    source->sink->skip(source->sink->context, 1, fault);
}

/* The file at hand; what is wrong with it alone is told of and is no error. */
static enum lmk_status read_member(const struct source *source, struct archive_reader *archive,
                                   const char *name, struct buffer *content,
                                   struct lmk_error *error)
{
    bool fatal;
    buffer_clear(content);
    enum lmk_status status = archive_reader_read(archive, content, &fatal, error);
    if (status == LMK_INPUT && !fatal) {
        skip(source, error);
        return LMK_OK;
    }
    char *path = NULL;
    if (status || asprintf(&path, "%s/%s", source->path, name) < 0)
        return status ? status : error_memory(error, strlen(name));
    struct source inner = *source;
    inner.path = path;
    inner.bytes = (struct slice){(const char *)content->data, content->size};
    inner.archives++;
    inner.opf = NULL;
    status = source_read(&inner, error);
    free(path);
    if ((status == LMK_INPUT || status == LMK_IO) && !*source->stopped) {
        skip(source, error);
        status = LMK_OK;
    }
    return status;
}

enum lmk_status archived_read(const struct source *source, struct lmk_error *error)
{
    struct archive_reader *archive;
    struct buffer content;
    const char *name;
    bool any = false;
    if (source->archives >= ARCHIVES_NESTED)
        return error_set(error, LMK_INPUT,
                         "%s is an archive in an archive in an archive: unpack the outer ones.",
                         source->path);
    enum lmk_status status = archive_reader_open(&archive, source->bytes, source->path, error);
    buffer_init(&content, ARCHIVE_MEMBER_MAX);
    while (!status && !(status = archive_reader_next(archive, &name, error)) && name) {
        if (is_hidden(name) || !reader_knows_suffix(name))
            continue;
        any = true;
        status = read_member(source, archive, name, &content, error);
    }
    buffer_release(&content);
    archive_reader_close(archive);
    if (!status && !any)
        status = error_set(error, LMK_INPUT,
                           "%s is an archive without a file that lmk reads. (An office document: "
                           "save it as EPUB, HTML, PDF or text.)",
                           source->path);
    return status;
}
