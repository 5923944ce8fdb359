#include "src/text/slice.h"

#include <string.h>
#include <strings.h>

static bool is_white(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

struct slice slice_of(const char *string)
{
    return string ? (struct slice){string, strlen(string)} : (struct slice){"", 0};
}

struct slice slice_after(struct slice slice, size_t bytes)
{
    /* Nothing may be added to the NULL of an empty slice, not even 0. */
    return bytes ? (struct slice){slice.text + bytes, slice.size - bytes} : slice;
}

bool slice_next_line(struct slice *rest, struct slice *line)
{
    if (rest->size == 0)
        return false;
    size_t end = 0;
    while (end < rest->size && rest->text[end] != '\n' && rest->text[end] != '\r')
        end++;
    *line = (struct slice){rest->text, end};
    if (end < rest->size) {
        bool pair = rest->text[end] == '\r' && end + 1 < rest->size && rest->text[end + 1] == '\n';
        end += pair ? 2 : 1;
    }
    *rest = slice_after(*rest, end);
    return true;
}

struct slice slice_trim(struct slice slice)
{
    while (slice.size && is_white(slice.text[0]))
        slice = slice_after(slice, 1);
    while (slice.size && is_white(slice.text[slice.size - 1]))
        slice.size--;
    return slice;
}

bool slice_starts_with(struct slice slice, const char *prefix)
{
    size_t size = strlen(prefix);
    return slice.size >= size && strncasecmp(slice.text, prefix, size) == 0;
}

bool slice_equals(struct slice slice, const char *text)
{
    return slice.size == strlen(text) && slice_starts_with(slice, text);
}

bool slice_contains(struct slice slice, const char *text)
{
    for (; slice.size; slice = slice_after(slice, 1))
        if (slice_starts_with(slice, text))
            return true;
    return false;
}
