#include "tests/fuzz/fuzz_reader.h"
#include "src/text/utf8.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

/* Fails in a way that the fuzzer sees, in every build. */
static void check(bool holds)
{
    if (!holds)
        abort();
}

static void check_utf8(const char *text, size_t size)
{
    for (size_t at = 0; at < size;) {
        bool valid;
        at += utf8_length(text + at, size - at, &valid);
        check(valid);
    }
    check(!memchr(text, 0, size));
}

static void check_map(const struct normalised_text *text)
{
    check(text->run_count > 0 && text->runs[0].text == 0);
    for (size_t i = 1; i < text->run_count; i++)
        check(text->runs[i].text > text->runs[i - 1].text && text->runs[i].text <= text->size);
    for (size_t i = 0; i <= text->size; i += 1 + text->size / 64)
        check(normalised_source(text, i) <= text->source_size);
}

static enum lmk_status take(void *context, const struct source_document *document,
                            struct lmk_error *error)
{
    (void)context;
    (void)error;
    check_utf8(document->title, strlen(document->title));
    check_utf8(document->author, strlen(document->author));
    check_utf8(document->text.text, document->text.size);
    check(document->text.size > 0);
    check_map(&document->text);
    for (size_t i = 1; i < document->place_count; i++)
        check(document->places[i].source >= document->places[i - 1].source);
    cJSON *metadata = cJSON_Parse(document->metadata);
    check(cJSON_IsObject(metadata));
    cJSON_Delete(metadata);
    return LMK_OK;
}

static void note(void *context, uint64_t count, const struct lmk_error *error)
{
    (void)context;
    check(count > 0 && error->message[0]);
}

void fuzz_read(const char *path, const uint8_t *data, size_t size,
               enum lmk_status (*read)(const struct source *source, struct lmk_error *error))
{
    const struct reader_sink sink = {NULL, take, note};
    bool stopped = false;
    struct lmk_error error = {.message = ""};
    const struct source source = {
        .path = path, .bytes = {(const char *)data, size}, .sink = &sink, .stopped = &stopped};
    enum lmk_status status = read(&source, &error);
    check(!status || error.message[0]);
}
