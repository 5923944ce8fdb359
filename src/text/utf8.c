#include "src/text/utf8.h"

#include <string.h>

/* The bytes that a lead byte announces, and the range of the second one: it excludes overlong
 * forms, surrogates and what lies beyond U+10FFFF. Length 1: no lead byte of a longer character. */
struct lead {
    size_t length;
    unsigned char low, high;
};

static struct lead lead_of(unsigned char byte)
{
    if (byte < 0xC2 || byte > 0xF4)
        return (struct lead){1, 0, 0};
    if (byte < 0xE0)
        return (struct lead){2, 0x80, 0xBF};
    if (byte < 0xF0)
        return (struct lead){3, byte == 0xE0 ? 0xA0 : 0x80, byte == 0xED ? 0x9F : 0xBF};
    return (struct lead){4, byte == 0xF0 ? 0x90 : 0x80, byte == 0xF4 ? 0x8F : 0xBF};
}

size_t utf8_length(const char *text, size_t size, bool *valid)
{
    const unsigned char *bytes = (const unsigned char *)text;
    *valid = bytes[0] < 0x80;
    if (*valid)
        return 1;
    struct lead lead = lead_of(bytes[0]);
    size_t length = 1;
    while (length < lead.length && length < size && bytes[length] >= lead.low &&
           bytes[length] <= lead.high) {
        lead.low = 0x80;
        lead.high = 0xBF;
        length++;
    }
    *valid = lead.length > 1 && length == lead.length;
    return length;
}

size_t utf8_encode(uint32_t code, char character[4])
{
    if (code < 0x80) {
        character[0] = (char)code;
        return 1;
    }
    if (code > 0x10FFFF || (code >= 0xD800 && code < 0xE000))
        code = 0xFFFD;
    size_t size = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = size - 1; i > 0; i--, code >>= 6)
        character[i] = (char)(0x80 | (code & 0x3F));
    static const unsigned char leads[] = {0, 0, 0xC0, 0xE0, 0xF0};
    character[0] = (char)(leads[size] | code);
    return size;
}

/* Appends the `size` bytes held first, or what stands for them. */
static enum lmk_status release(struct utf8_held *held, size_t size, bool valid, struct buffer *text,
                               struct lmk_error *error)
{
    enum lmk_status status = valid && held->bytes[0]
                                 ? buffer_append(text, held->bytes, size, error)
                                 : buffer_append(text, UTF8_REPLACEMENT, 3, error);
    held->count -= size;
    memmove(held->bytes, held->bytes + size, held->count);
    return status;
}

enum lmk_status utf8_append(struct utf8_held *held, const char *bytes, size_t size,
                            struct buffer *text, struct lmk_error *error)
{
    enum lmk_status status = LMK_OK;
    for (size_t i = 0; i < size && !status; i++) {
        held->bytes[held->count++] = bytes[i];
        while (held->count && !status) {
            bool valid;
            size_t length = utf8_length(held->bytes, held->count, &valid);
            if (!valid && length == held->count &&
                length < lead_of((unsigned char)held->bytes[0]).length)
                break; /* more may come */
            status = release(held, length, valid, text, error);
        }
    }
    return status;
}

enum lmk_status utf8_finish(struct utf8_held *held, struct buffer *text, struct lmk_error *error)
{
    return held->count ? release(held, held->count, false, text, error) : LMK_OK;
}
