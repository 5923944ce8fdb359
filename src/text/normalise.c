#include "src/text/normalise.h"
#include "src/text/utf8.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define WRAPPED_BELOW 90 /* mean code points of a line */

static const char replacement[] = UTF8_REPLACEMENT;
#define REPLACEMENT_SIZE (sizeof replacement - 1)

/* What the first pass finds out. */
struct survey {
    uint64_t lines, code_points; /* of the non-empty lines, without white space at their ends */
    uint64_t invalid_parts, invalid_bytes;
};

static bool is_white(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

static size_t byte_order_mark(const char *source, size_t size)
{
    return size >= 3 && memcmp(source, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
}

static struct survey survey(const char *source, size_t size)
{
    struct survey found = {0};
    uint64_t
        line = 0,
        white = 0; /* code points so far, and white space that counts if more of the line follows */
    for (size_t i = 0; i < size;) {
        char byte = source[i];
        bool valid = true;
        size_t length = byte & 0x80 ? utf8_length(source + i, size - i, &valid) : 1;
        i += length;
        if (byte == '\n' || byte == '\r') {
            found.lines += line > 0;
            found.code_points += line;
            line = white = 0;
        } else if (byte == ' ' || byte == '\t') {
            white += line > 0;
        } else {
            line += white + 1;
            white = 0;
        }
        found.invalid_parts += !valid;
        found.invalid_bytes += valid ? 0 : length;
    }
    found.lines += line > 0;
    found.code_points += line;
    return found;
}

/* Where the second pass writes. `text` has room for all that the source can become. */
struct writer {
    struct normalised_text *result;
    size_t run_capacity;
    struct lmk_error *error;
};

/* What follows in the text comes from byte `source` on. */
static enum lmk_status map_to(struct writer *writer, uint64_t source)
{
    struct normalised_text *result = writer->result;
    if (result->run_count) {
        const struct map_run *last = &result->runs[result->run_count - 1];
        if (source - last->source == result->size - last->text)
            return LMK_OK;
    }
    if (result->run_count == writer->run_capacity) {
        size_t capacity = writer->run_capacity ? 2 * writer->run_capacity : 64;
        struct map_run *runs = realloc(result->runs, capacity * sizeof *runs);
        if (!runs)
            return error_memory(writer->error, capacity * sizeof *runs);
        result->runs = runs;
        writer->run_capacity = capacity;
    }
    result->runs[result->run_count++] = (struct map_run){result->size, source};
    return LMK_OK;
}

static enum lmk_status write_bytes(struct writer *writer, const char *bytes, size_t size,
                                   uint64_t source)
{
    enum lmk_status status = map_to(writer, source);
    if (status)
        return status;
    memcpy(writer->result->text + writer->result->size, bytes, size);
    writer->result->size += size;
    return LMK_OK;
}

/* The end of the white space at `i`; *breaks: its line breaks, CR LF being one. */
static size_t white_end(const char *source, size_t size, size_t i, size_t *breaks)
{
    *breaks = 0;
    for (; i < size && is_white(source[i]); i++) {
        bool carriage_return = source[i] == '\r' && !(i + 1 < size && source[i + 1] == '\n');
        *breaks += source[i] == '\n' || carriage_return;
    }
    return i;
}

/* The end of the ordinary text at `i`: up to white space or something ill-formed. */
static size_t ordinary_end(const char *source, size_t size, size_t i)
{
    while (i < size && !is_white(source[i])) {
        bool valid = true;
        size_t length = source[i] & 0x80 ? utf8_length(source + i, size - i, &valid) : 1;
        if (!valid)
            break;
        i += length;
    }
    return i;
}

static enum lmk_status write_all(struct writer *writer, const char *source, size_t size,
                                 size_t start, bool hard_wrapped)
{
    enum lmk_status status = LMK_OK;
    size_t breaks;
    for (size_t i = start; i < size && !status;) {
        size_t end;
        if (is_white(source[i])) {
            end = white_end(source, size, i, &breaks);
            bool space = breaks == 0 || (breaks == 1 && hard_wrapped);
            if (writer->result->size && end < size)
                status = write_bytes(writer, space ? " " : "\n", 1, i);
        } else if ((end = ordinary_end(source, size, i)) > i) {
            status = write_bytes(writer, source + i, end - i, i);
        } else {
            bool valid;
            end = i + utf8_length(source + i, size - i, &valid);
            assert(!valid);
            status = write_bytes(writer, replacement, REPLACEMENT_SIZE, i);
            if (!status) /* three bytes may stand for one: what follows, or the end, starts anew */
                status = map_to(writer, end);
        }
        i = end;
    }
    return status;
}

enum lmk_status normalise(struct normalised_text *result, const char *source, size_t size,
                          struct lmk_error *error)
{
    *result = (struct normalised_text){.source_size = size};
    source = size ? source : ""; /* NULL is fine for nothing */
    size_t start = byte_order_mark(source, size);
    struct survey found = survey(source + start, size - start);
    /* Each ill-formed part has at least one byte, white space only shrinks. */
    size_t capacity = size + (REPLACEMENT_SIZE - 1) * found.invalid_parts + 1;
    result->text = malloc(capacity);
    if (!result->text)
        return error_memory(error, capacity);
    result->invalid_bytes = found.invalid_bytes;
    struct writer writer = {result, 0, error};
    bool hard_wrapped = found.code_points < WRAPPED_BELOW * found.lines;
    enum lmk_status status = write_all(&writer, source, size, start, hard_wrapped);
    if (status) {
        normalised_text_release(result);
        return status;
    }
    result->text[result->size] = '\0';
    assert(result->size < capacity);
    return LMK_OK;
}

void normalised_text_release(struct normalised_text *text)
{
    free(text->text);
    free(text->runs);
    *text = (struct normalised_text){0};
}

uint64_t normalised_source(const struct normalised_text *text, uint64_t offset)
{
    assert(offset <= text->size);
    if (text->run_count == 0)
        return 0;
    size_t low = 0, high = text->run_count; /* the run wanted is in [low, high) */
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (text->runs[middle].text <= offset)
            low = middle;
        else
            high = middle;
    }
    uint64_t source = text->runs[low].source + (offset - text->runs[low].text);
    /* The last bytes of a U+FFFD may have none of their own in the source. */
    uint64_t end = high < text->run_count ? text->runs[high].source : text->source_size;
    return source < end ? source : end;
}
