#include "src/text/sentences.h"

#include <stdbool.h>
#include <string.h>

enum {
    LONGEST_WORD = 6,  /* of the abbreviations, in bytes */
    MOST_CLOSING = 16, /* bytes of closing marks behind a sentence that are looked back over */
};

static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_letter(char c)
{
    return is_upper(c) || (c >= 'a' && c <= 'z') || (unsigned char)c >= 0x80;
}

/* Bytes of a closing quotation mark or bracket at `at`, 0 if there is none. */
static size_t closing(const char *text, size_t size, size_t at)
{
    if (at < size && strchr("\"')]_*", text[at]) && text[at])
        return 1;
    if (size - at >= 3 &&
        (!memcmp(text + at, "\xe2\x80\x9d", 3) || !memcmp(text + at, "\xe2\x80\x99", 3)))
        return 3; /* ” and ’ */
    return 0;
}

/* True where the full stop at `stop` belongs to an abbreviation or an initial: "Mr.", "Mrs.", "J.
 * K." */
static bool abbreviation(const char *text, size_t stop)
{
    static const char *const words[] = {
        "Mr",   "Mrs", "Ms",  "Dr", "St",  "Messrs", "Mme", "Mlle", "M",  "Prof", "Rev", "Hon",
        "Capt", "Col", "Gen", "Lt", "Sgt", "Esq",    "No",  "vol",  "cf", "viz",  "e.g", "i.e"};
    size_t start = stop;
    while (start && stop - start <= LONGEST_WORD &&
           (is_letter(text[start - 1]) || text[start - 1] == '.'))
        start--;
    size_t length = stop - start;
    if (length == 1 && is_upper(text[start]) && text[start] != 'I')
        return true;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strlen(words[i]) == length && !memcmp(text + start, words[i], length))
            return true;
    return false;
}

/* The end of a sentence whose final mark is at `at`, or 0 where that mark ends none. */
static size_t end_at(const char *text, size_t size, size_t at)
{
    if (text[at] == '\n')
        return at;
    if (text[at] != '.' && text[at] != '!' && text[at] != '?')
        return 0;
    if (text[at] == '.' && abbreviation(text, at))
        return 0;
    size_t end = at + 1;
    for (size_t more; (more = closing(text, size, end));)
        end += more;
    if (end == size || text[end] == '\n')
        return end;
    bool small = end + 1 < size && text[end + 1] >= 'a' && text[end + 1] <= 'z';
    return text[end] == ' ' && !small ? end : 0;
}

size_t sentence_end(const char *text, size_t size, size_t from)
{
    /* A closing mark at `from` belongs to the sentence whose final mark stands before it. */
    for (size_t at = from > MOST_CLOSING ? from - MOST_CLOSING : 0; at < size; at++) {
        size_t end = end_at(text, size, at);
        if (end > from)
            return end;
    }
    return size;
}

size_t sentence_start(const char *text, size_t size, size_t from)
{
    for (size_t at = from; at-- > 0;) {
        size_t end = end_at(text, size, at);
        if (!end && text[at] != '\n')
            continue;
        while (end < size && (text[end] == ' ' || text[end] == '\n'))
            end++;
        if (end <= from)
            return end;
    }
    return 0;
}
