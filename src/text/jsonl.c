#include "src/text/jsonl.h"
#include "src/text/source_map.h"
#include "src/text/unpack.h"
#include "src/text/utf8.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_MAX_BYTES ((size_t)64 << 20) /* cJSON takes many times as much memory */
#define ID_MAX 512
#define LINES_NAMED 3 /* bad ones */

/* ---- A line's strings. cJSON checks the syntax; these walk over what it has found sound, to know
 * where each character came from. */

/* The slice without the JSON value at its start. */
static struct slice after_value(struct slice rest)
{
    int depth = 0;
    bool quoted = false;
    for (; rest.size; rest = slice_after(rest, 1)) {
        char c = rest.text[0];
        if (quoted && c == '\\' && rest.size > 1)
            rest = slice_after(rest, 1);
        else if (c == '"')
            quoted = !quoted;
        else if (!quoted && (c == '{' || c == '['))
            depth++;
        else if (!quoted && (c == '}' || c == ']')) {
            if (depth == 0)
                break;
            depth--;
        } else if (!quoted && depth == 0 && c == ',')
            break;
    }
    return rest;
}

/* Cuts the next string, without its quotation marks, off *rest. */
static struct slice cut_string(struct slice *rest)
{
    const char *start = rest->text + 1;
    size_t size = 0;
    while (size + 1 < rest->size && start[size] != '"')
        size += start[size] == '\\' ? 2 : 1;
    *rest = slice_after(*rest, size + 2 < rest->size ? size + 2 : rest->size);
    return (struct slice){start, size};
}

/* The value of the member `name` of the object in `line` as it stands there, a string without its
 * quotation marks. Of several the first, as cJSON has it. */
static struct slice raw_string(struct slice line, const char *name)
{
    struct slice rest = slice_after(slice_trim(line), 1);
    for (rest = slice_trim(rest); rest.size && rest.text[0] == '"'; rest = slice_trim(rest)) {
        struct slice key = cut_string(&rest);
        rest = slice_trim(slice_after(slice_trim(rest), 1)); /* the colon */
        if (key.size == strlen(name) && !memcmp(key.text, name, key.size))
            return rest.size && rest.text[0] == '"' ? cut_string(&rest) : (struct slice){"", 0};
        rest = after_value(rest);
        rest = slice_trim(slice_after(rest, rest.size ? 1 : 0));
    }
    return (struct slice){"", 0};
}

static unsigned hexadecimal(const char *digits)
{
    unsigned value = 0;
    for (int i = 0; i < 4; i++) {
        unsigned char c = (unsigned char)digits[i];
        value = value << 4 | (c <= '9' ? c - '0' + 0u : (c | 0x20) - 'a' + 10u);
    }
    return value & 0xFFFF;
}

/* The character of the escape at the start of `raw` in UTF-8; *used: bytes of the escape. */
static size_t unescape(struct slice raw, char character[4], size_t *used)
{
    static const char codes[] = "bfnrt", values[] = "\b\f\n\r\t";
    *used = raw.size < 2 ? raw.size : 2;
    char c = raw.size < 2 ? '\\' : raw.text[1];
    const char *found = strchr(codes, c);
    if (c != 'u' || raw.size < 6) {
        character[0] = found ? values[found - codes] : c;
        return 1;
    }
    unsigned code = hexadecimal(raw.text + 2);
    *used = 6;
    if (code >= 0xD800 && code < 0xDC00 && raw.size >= 12) {
        code = 0x10000 + ((code & 0x3FF) << 10) + (hexadecimal(raw.text + 8) & 0x3FF);
        *used = 12;
    }
    return utf8_encode(code ? code : 0xFFFD, character);
}

/* A line at work: the text so far, and where it came from. */
struct record {
    struct buffer text, runs; /* struct map_run */
    uint64_t line_start;      /* offset of `line` in the source */
    struct slice line;
};

static enum lmk_status map_to(struct record *record, const char *at, struct lmk_error *error)
{
    return source_map_add(&record->runs, record->text.size,
                          record->line_start + (uint64_t)(at - record->line.text), error);
}

static enum lmk_status add_string(struct record *record, struct slice raw, struct lmk_error *error)
{
    enum lmk_status status = raw.size ? map_to(record, raw.text, error) : LMK_OK;
    while (raw.size && !status) {
        const char *escape = memchr(raw.text, '\\', raw.size);
        size_t plain = escape ? (size_t)(escape - raw.text) : raw.size, used;
        status = buffer_append(&record->text, raw.text, plain, error);
        raw = slice_after(raw, plain);
        if (!raw.size || status)
            break;
        char character[4];
        size_t size = unescape(raw, character, &used);
        status = map_to(record, raw.text, error);
        if (!status)
            status = buffer_append(&record->text, character, size, error);
        raw = slice_after(raw, used);
        if (!status)
            status = map_to(record, raw.text, error);
    }
    return status;
}

/* ---- A line's document */

/* The object as JSON without the members that do not fit; cJSON_free, NULL: out of memory. */
static char *print_metadata(cJSON *object)
{
    size_t size = 0;
    for (cJSON *member = object->child, *next; member; member = next) {
        next = member->next;
        char *printed = cJSON_PrintUnformatted(member);
        if (!printed)
            return NULL;
        size_t length = strlen(printed) + strlen(member->string) + 4;
        cJSON_free(printed);
        if (size + length > METADATA_MAX)
            cJSON_Delete(cJSON_DetachItemViaPointer(object, member));
        else
            size += length;
    }
    return cJSON_PrintUnformatted(object);
}

/* Takes the string out of the object; cJSON_Delete, NULL: it has none. */
static cJSON *detach_string(cJSON *object, const char *name)
{
    cJSON *member = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsString(member) ? cJSON_DetachItemViaPointer(object, member) : NULL;
}

/* What tells the document from others: its id, if it has one that can be told. Owned, NULL: none.
 */
static char *find_id(const cJSON *object)
{
    const cJSON *id = cJSON_GetObjectItemCaseSensitive(object, "_id");
    if (!id)
        id = cJSON_GetObjectItemCaseSensitive(object, "id");
    char *text = cJSON_IsString(id)   ? strdup(id->valuestring)
                 : cJSON_IsNumber(id) ? cJSON_PrintUnformatted(id)
                                      : NULL;
    if (text && (!text[0] || strlen(text) > ID_MAX)) {
        free(text);
        text = NULL;
    }
    return text;
}

static char *record_path(const struct source *source, const char *id, uint64_t number)
{
    char *path;
    int size = id ? asprintf(&path, "%s/%s", source->path, id)
                  : asprintf(&path, "%s/line %llu", source->path, (unsigned long long)number);
    return size < 0 ? NULL : path;
}

static enum lmk_status make_text(struct record *record, struct slice *title,
                                 struct lmk_error *error)
{
    enum lmk_status status = add_string(record, raw_string(record->line, "title"), error);
    *title = (struct slice){NULL, record->text.size};
    if (!status && record->text.size)
        status = buffer_append(&record->text, "\n\n", 2, error);
    if (!status)
        status = add_string(record, raw_string(record->line, "text"), error);
    /* The text has not moved for the last time before now. */
    title->text = (const char *)record->text.data;
    return status;
}

/* Takes the document's own fields out of the object. */
static enum lmk_status give(const struct source *source, struct record *record, cJSON *object,
                            uint64_t number, struct lmk_error *error)
{
    struct slice title;
    enum lmk_status status = make_text(record, &title, error);
    if (status)
        return status;
    cJSON_Delete(detach_string(object, "text"));
    cJSON_Delete(detach_string(object, "title"));
    cJSON *author = detach_string(object, "author"), *language = detach_string(object, "language");
    char *id = find_id(object), *path = record_path(source, id, number),
         *metadata = print_metadata(object);
    struct extract extract = {
        .path = path,
        .kind = "jsonl",
        .text = {(const char *)record->text.data, record->text.size},
        .runs = (const struct map_run *)(const void *)record->runs.data,
        .run_count = record->runs.size / sizeof(struct map_run),
        .source_size = record->line_start + record->line.size,
        .source_bytes = record->line.size,
        .complete = true,
        .title = title,
        .author = slice_of(cJSON_GetStringValue(author)),
        .language = cJSON_GetStringValue(language),
        .metadata = metadata,
        .identity = id,
    };
    status = path && metadata ? source_give(source, &extract, error)
                              : error_memory(error, record->line.size);
    cJSON_Delete(author);
    cJSON_Delete(language);
    cJSON_free(metadata);
    free(path);
    free(id);
    return status;
}

/* A sentence about what is wrong with the line, or NULL. */
static const char *fault_of(struct slice line, const cJSON *object)
{
    const cJSON *text = cJSON_GetObjectItemCaseSensitive(object, "text"),
                *title = cJSON_GetObjectItemCaseSensitive(object, "title");
    if (memchr(line.text, 0, line.size))
        return "has a NUL byte";
    if (!cJSON_IsObject(object))
        return "is no JSON object";
    if (!cJSON_IsString(text))
        return "has no string \"text\"";
    if (!text->valuestring[0] && !(cJSON_IsString(title) && title->valuestring[0]))
        return "has an empty \"text\"";
    return NULL;
}

static cJSON *parse(struct slice line)
{
    const char *end = NULL;
    cJSON *object = cJSON_ParseWithLengthOpts(line.text, line.size, &end, false);
    if (object && slice_trim((struct slice){end, line.size - (size_t)(end - line.text)}).size) {
        cJSON_Delete(object);
        return NULL;
    }
    return object;
}

/* ---- Lines */

struct reading {
    const struct source *source;
    struct unpacker *unpacker;
    struct slice piece; /* what is left of the last one */
    struct record record;
    struct buffer line; /* one that is in several pieces */
    uint64_t offset;    /* behind the last line */
    uint64_t number;    /* of lines so far */
    uint64_t taken, bad;
};

static void skip(struct reading *reading, const char *fault)
{
    if (++reading->bad > LINES_NAMED)
        return;
    struct lmk_error error;
    error_set(&error, LMK_INPUT, "%s, line %llu: it %s.", reading->source->path,
              (unsigned long long)reading->number, fault);
    reading->source->sink->skip(reading->source->sink->context, 1, &error);
}

static void skip_others(struct reading *reading)
{
    if (reading->bad <= LINES_NAMED)
        return;
    struct lmk_error error;
    uint64_t others = reading->bad - LINES_NAMED;
    error_set(&error, LMK_INPUT, "%s: lines left out beside these: %llu.", reading->source->path,
              (unsigned long long)others);
    reading->source->sink->skip(reading->source->sink->context, others, &error);
}

static enum lmk_status read_line(struct reading *reading, struct slice line,
                                 struct lmk_error *error)
{
    uint64_t start = reading->offset;
    reading->number++;
    reading->offset += line.size;
    if (reading->number == 1 && line.size >= 3 && !memcmp(line.text, "\xEF\xBB\xBF", 3)) {
        line = slice_after(line, 3);
        start += 3;
    }
    if (!slice_trim(line).size)
        return LMK_OK;
    if (line.size > LINE_MAX_BYTES) {
        skip(reading, "is longer than 64 MiB, the most that lmk reads");
        return LMK_OK;
    }
    buffer_clear(&reading->record.text);
    buffer_clear(&reading->record.runs);
    reading->record.line = line;
    reading->record.line_start = start;
    cJSON *object = parse(line);
    const char *fault = fault_of(line, object);
    enum lmk_status status = LMK_OK;
    if (!fault) {
        status = give(reading->source, &reading->record, object, reading->number, error);
        if (status == LMK_INPUT && !*reading->source->stopped) {
            fault = "has nothing but white space in \"text\"";
            status = LMK_OK;
        } else
            reading->taken++;
    }
    cJSON_Delete(object);
    if (fault)
        skip(reading, fault);
    return status;
}

/* Keeps what is left of the piece, the beginning of a line, and fetches the next piece. */
static enum lmk_status next_piece(struct reading *reading, struct lmk_error *error)
{
    if (reading->line.size + reading->piece.size > LINE_MAX_BYTES)
        return error_set(error, LMK_INPUT,
                         "%s: line %llu is longer than 64 MiB, the most that lmk reads.",
                         reading->source->path, (unsigned long long)reading->number + 1);
    enum lmk_status status =
        buffer_append(&reading->line, reading->piece.text, reading->piece.size, error);
    return status ? status : unpacker_next(reading->unpacker, &reading->piece, error);
}

/* All lines that the piece completes; the last line of all need not end with a line feed. */
static enum lmk_status read_piece(struct reading *reading, struct lmk_error *error)
{
    enum lmk_status status = LMK_OK;
    const char *feed;
    while (!status && reading->piece.size &&
           (feed = memchr(reading->piece.text, '\n', reading->piece.size))) {
        struct slice line = {reading->piece.text, (size_t)(feed + 1 - reading->piece.text)};
        reading->piece = slice_after(reading->piece, line.size);
        if (reading->line.size) {
            status = buffer_append(&reading->line, line.text, line.size, error);
            line = (struct slice){(const char *)reading->line.data, reading->line.size};
        }
        if (!status)
            status = read_line(reading, line, error);
        buffer_clear(&reading->line);
    }
    return status;
}

static enum lmk_status read_lines(struct reading *reading, struct lmk_error *error)
{
    enum lmk_status status;
    while (!(status = next_piece(reading, error)) && reading->piece.size)
        if ((status = read_piece(reading, error)))
            return status;
    if (!status && reading->line.size)
        status = read_line(
            reading, (struct slice){(const char *)reading->line.data, reading->line.size}, error);
    return status;
}

enum lmk_status jsonl_read(const struct source *source, struct lmk_error *error)
{
    struct reading reading = {.source = source};
    enum lmk_status status = unpacker_open(&reading.unpacker, source->bytes, source->path, error);
    if (status)
        return status;
    buffer_init(&reading.line, 2 * LINE_MAX_BYTES);
    buffer_init(&reading.record.text, 2 * LINE_MAX_BYTES);
    buffer_init(&reading.record.runs, SIZE_MAX / 2);
    status = read_lines(&reading, error);
    skip_others(&reading);
    if (!status && !reading.taken)
        status = error_set(error, LMK_INPUT,
                           "%s has no line that is a JSON object with a \"text\".", source->path);
    buffer_release(&reading.line);
    buffer_release(&reading.record.text);
    buffer_release(&reading.record.runs);
    unpacker_close(reading.unpacker);
    return status;
}

bool jsonl_begins(struct slice bytes)
{
    if (bytes.size >= 3 && !memcmp(bytes.text, "\xEF\xBB\xBF", 3))
        bytes = slice_after(bytes, 3);
    size_t most = bytes.size < LINE_MAX_BYTES ? bytes.size : LINE_MAX_BYTES;
    const char *feed = most ? memchr(bytes.text, '\n', most) : NULL;
    if (feed)
        bytes.size = (size_t)(feed - bytes.text);
    bytes = slice_trim(bytes);
    if (!bytes.size || bytes.size > LINE_MAX_BYTES || bytes.text[0] != '{' ||
        bytes.text[bytes.size - 1] != '}')
        return false;
    cJSON *object = parse(bytes);
    bool begins = !fault_of(bytes, object);
    cJSON_Delete(object);
    return begins;
}
