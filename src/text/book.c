#include "src/text/book.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#define BOOK_TEXT_MAX ((size_t)256 << 20)

/* {"year": ..., "chapters": [...]}, of both what there is; cJSON_free, NULL: out of memory. */
static char *print_metadata(const struct html_text *book)
{
    cJSON *object = cJSON_CreateObject();
    const struct html_section *sections =
        (const struct html_section *)(const void *)book->sections.data;
    size_t count = book->sections.size / sizeof *sections;
    if (book->year[0])
        cJSON_AddNumberToObject(object, "year", atoi(book->year));
    cJSON *chapters = count ? cJSON_AddArrayToObject(object, "chapters") : NULL;
    for (size_t i = 0; i < count; i++)
        cJSON_AddItemToArray(
            chapters, cJSON_CreateString((const char *)book->names.data + sections[i].heading));
    char *metadata = cJSON_PrintUnformatted(object);
    cJSON_Delete(object);
    return metadata;
}

/* Section i begins place i + 1. */
static enum lmk_status list_places(const struct html_text *book, struct buffer *places,
                                   struct lmk_error *error)
{
    const struct html_section *sections =
        (const struct html_section *)(const void *)book->sections.data;
    enum lmk_status status = LMK_OK;
    for (size_t i = 0; i < book->sections.size / sizeof *sections && !status; i++) {
        struct source_place place = {sections[i].text, (uint32_t)i + 1};
        status = buffer_append(places, &place, sizeof place, error);
    }
    return status;
}

enum lmk_status book_give(const struct source *source, const char *kind,
                          const struct html_text *book, struct lmk_error *error)
{
    struct buffer places;
    buffer_init(&places, SIZE_MAX / 2);
    char *metadata = print_metadata(book);
    enum lmk_status status =
        metadata ? list_places(book, &places, error) : error_memory(error, book->names.size);
    struct extract extract = {
        .kind = kind,
        .text = {(const char *)book->text.data, book->text.size},
        .places = (const struct source_place *)(const void *)places.data,
        .place_count = places.size / sizeof(struct source_place),
        .source_size = book->text.size,
        .source_bytes = source->bytes.size,
        .invalid_bytes = book->invalid_bytes,
        .title = slice_of(book->title),
        .author = slice_of(book->author),
        .language = book->language[0] ? book->language : NULL,
        .metadata = metadata,
    };
    if (!status)
        status = source_give(source, &extract, error);
    cJSON_free(metadata);
    buffer_release(&places);
    return status;
}

enum lmk_status book_read_html(const struct source *source, struct lmk_error *error)
{
    struct html_text book;
    html_text_init(&book, BOOK_TEXT_MAX);
    enum lmk_status status = html_read(&book, source->bytes, source->path, error);
    if (!status)
        status = book_give(source, "html", &book, error);
    html_text_release(&book);
    return status;
}
