#include "src/text/encoding.h"
#include "src/text/source_map.h"
#include "src/text/utf8.h"

#include <errno.h>
#include <iconv.h>
#include <string.h>

#define SEARCHED ((size_t)64 << 10) /* of text in UTF-16 without a byte order mark */

/* ---- Detection */

/* UTF-16 of a language with Latin letters: every other byte is mostly NUL. */
static const char *detect_utf16(struct slice bytes)
{
    size_t units = (bytes.size < SEARCHED ? bytes.size : SEARCHED) / 2, even = 0, odd = 0;
    for (size_t i = 0; i < units; i++) {
        even += bytes.text[2 * i] == 0;
        odd += bytes.text[2 * i + 1] == 0;
    }
    if (odd > units / 2 && even <= units / 32)
        return "UTF-16LE";
    if (even > units / 2 && odd <= units / 32)
        return "UTF-16BE";
    return NULL;
}

/* Counts what is not ASCII: characters of several bytes, ill-formed parts, and all their bytes. */
static void count_others(struct slice bytes, uint64_t *characters, uint64_t *ill_formed,
                         uint64_t *others)
{
    *characters = *ill_formed = *others = 0;
    for (size_t i = 0; i < bytes.size;) {
        bool valid = true;
        size_t length =
            bytes.text[i] & 0x80 ? utf8_length(bytes.text + i, bytes.size - i, &valid) : 1;
        *characters += valid && length > 1;
        *ill_formed += !valid;
        *others += bytes.text[i] & 0x80 ? length : 0;
        i += length;
    }
}

const char *encoding_detect(struct slice bytes)
{
    uint64_t characters, ill_formed, others;
    if (bytes.size >= 2 && memcmp(bytes.text, "\xFF\xFE", 2) == 0)
        return "UTF-16LE";
    if (bytes.size >= 2 && memcmp(bytes.text, "\xFE\xFF", 2) == 0)
        return "UTF-16BE";
    if (bytes.size && memchr(bytes.text, 0, bytes.size < SEARCHED ? bytes.size : SEARCHED))
        return detect_utf16(bytes);
    count_others(bytes, &characters, &ill_formed, &others);
    if (ill_formed <= characters)
        return "UTF-8";
    /* More than a quarter is no text of a language with Latin letters. */
    return others <= bytes.size / 4 ? "WINDOWS-1252" : NULL;
}

/* ---- Decoding */

struct decoder {
    struct decoded_text *result;
    iconv_t conversion;
    struct lmk_error *error;
};

static enum lmk_status append(struct decoder *decoder, const char *bytes, size_t size,
                              uint64_t source)
{
    struct decoded_text *result = decoder->result;
    enum lmk_status status =
        source_map_add(&result->runs, result->text.size, source, decoder->error);
    return status ? status : buffer_append(&result->text, bytes, size, decoder->error);
}

/* Decodes the character at `at`, whose code has `unit` bytes or two times as many; gives its size.
 */
static enum lmk_status decode_character(struct decoder *decoder, struct slice bytes, size_t at,
                                        size_t unit, size_t *size)
{
    char character[8];
    for (*size = unit; *size <= 2 * unit && *size <= bytes.size - at; *size += unit) {
        char *in = (char *)(uintptr_t)bytes.text + at, *out = character;
        size_t in_left = *size, out_left = sizeof character;
        if (iconv(decoder->conversion, &in, &in_left, &out, &out_left) != (size_t)-1)
            return append(decoder, character, (size_t)(out - character), at);
        bool unfinished = errno == EINVAL;
        iconv(decoder->conversion, NULL, NULL, NULL, NULL);
        if (!unfinished)
            break;
    }
    *size = unit < bytes.size - at ? unit : bytes.size - at;
    decoder->result->invalid_bytes += *size;
    return append(decoder, UTF8_REPLACEMENT, strlen(UTF8_REPLACEMENT), at);
}

static enum lmk_status decode(struct decoder *decoder, struct slice bytes, size_t unit)
{
    enum lmk_status status = LMK_OK;
    bool marked = unit == 2 && bytes.size >= 2 &&
                  (!memcmp(bytes.text, "\xFF\xFE", 2) || !memcmp(bytes.text, "\xFE\xFF", 2));
    for (size_t at = marked ? 2 : 0, size; at < bytes.size && !status; at += size) {
        size = 1;
        if (unit == 1 && !(bytes.text[at] & 0x80))
            status = append(decoder, bytes.text + at, 1, at);
        else
            status = decode_character(decoder, bytes, at, unit, &size);
    }
    struct decoded_text *result = decoder->result;
    return status ? status
                  : source_map_add(&result->runs, result->text.size, bytes.size, decoder->error);
}

enum lmk_status encoding_decode(struct decoded_text *decoded, struct slice bytes,
                                const char *encoding, struct lmk_error *error)
{
    *decoded = (struct decoded_text){0};
    buffer_init(&decoded->text, 4 * ENCODED_MAX);
    buffer_init(&decoded->runs, (ENCODED_MAX + 1) * sizeof(struct map_run));
    struct decoder decoder = {decoded, iconv_open("UTF-8", encoding), error};
    if (decoder.conversion == (iconv_t)-1)
        return error_set(error, LMK_INPUT, "This system cannot decode the encoding %s.", encoding);
    enum lmk_status status =
        decode(&decoder, bytes,
               slice_starts_with((struct slice){encoding, strlen(encoding)}, "UTF-16") ? 2 : 1);
    iconv_close(decoder.conversion);
    if (status)
        decoded_text_release(decoded);
    return status;
}

/* ---- Conversion without a map */

static enum lmk_status append_utf8(struct buffer *text, struct slice bytes, uint64_t *invalid_bytes,
                                   struct lmk_error *error)
{
    struct utf8_held held = {0};
    uint64_t characters, ill_formed, others;
    count_others(bytes, &characters, &ill_formed, &others);
    *invalid_bytes += ill_formed;
    enum lmk_status status = utf8_append(&held, bytes.text, bytes.size, text, error);
    return status ? status : utf8_finish(&held, text, error);
}

static enum lmk_status convert(iconv_t conversion, struct buffer *text, struct slice bytes,
                               uint64_t *invalid_bytes, struct lmk_error *error)
{
    char *in = (char *)(uintptr_t)bytes.text, piece[4096];
    size_t in_left = bytes.size;
    enum lmk_status status = LMK_OK;
    while (in_left && !status) {
        char *out = piece;
        size_t out_left = sizeof piece;
        size_t result = iconv(conversion, &in, &in_left, &out, &out_left);
        int reason = result == (size_t)-1 ? errno : 0;
        status = buffer_append(text, piece, (size_t)(out - piece), error);
        if (reason == 0 || reason == E2BIG || status)
            continue;
        status = buffer_append(text, UTF8_REPLACEMENT, strlen(UTF8_REPLACEMENT), error);
        in++;
        in_left--;
        ++*invalid_bytes;
    }
    return status;
}

enum lmk_status encoding_convert(struct buffer *text, struct slice bytes, const char *encoding,
                                 uint64_t *invalid_bytes, struct lmk_error *error)
{
    size_t start = text->size;
    if (bytes.size >= 3 && !memcmp(bytes.text, "\xEF\xBB\xBF", 3))
        bytes = slice_after(bytes, 3);
    if (!strcmp(encoding, "UTF-8"))
        return append_utf8(text, bytes, invalid_bytes, error);
    iconv_t conversion = iconv_open("UTF-8", encoding);
    if (conversion == (iconv_t)-1)
        return error_set(error, LMK_INPUT, "This system cannot decode the encoding %s.", encoding);
    enum lmk_status status = convert(conversion, text, bytes, invalid_bytes, error);
    iconv_close(conversion);
    for (size_t i = start; i < text->size; i++)
        if (!text->data[i])
            text->data[i] = ' ';
    return status;
}

void decoded_text_release(struct decoded_text *decoded)
{
    buffer_release(&decoded->text);
    buffer_release(&decoded->runs);
}
