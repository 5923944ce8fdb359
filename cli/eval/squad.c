#include "cli/eval/squad.h"

#include <limits.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

#define PUNCTUATION L"!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"

/* ------------------------------------------------------------------ normalisation */

/* The characters of UTF-8 text; a byte that belongs to none counts as one. */
static wchar_t *decode(const char *text)
{
    size_t size = strlen(text), count = 0;
    wchar_t *characters = malloc((size + 1) * sizeof *characters);
    mbstate_t state = {0};
    for (size_t at = 0; characters && at < size;) {
        size_t used = mbrtowc(&characters[count], text + at, size - at, &state);
        if (used == (size_t)-1 || used == (size_t)-2) {
            characters[count] = (unsigned char)text[at];
            used = 1;
            memset(&state, 0, sizeof state);
        }
        count++;
        at += used;
    }
    if (characters)
        characters[count] = L'\0';
    return characters;
}

static bool is_space(wchar_t c)
{
    return iswspace((wint_t)c) || c == 0xa0 || c == 0x2007 || c == 0x202f; /* those that glue too */
}

static void lower_without_punctuation(wchar_t *text)
{
    wchar_t *to = text;
    for (; *text; text++)
        if (!wcschr(PUNCTUATION, *text))
            *to++ = (wchar_t)towlower((wint_t)*text);
    *to = L'\0';
}

/* The article that begins at `at`, a whole word; 0: none. */
static size_t article_length(const wchar_t *text, size_t at)
{
    static const wchar_t *const articles[] = {L"a", L"an", L"the"};
    if (at && iswalnum((wint_t)text[at - 1]))
        return 0;
    for (size_t i = 0; i < sizeof articles / sizeof articles[0]; i++) {
        size_t length = wcslen(articles[i]);
        if (!wcsncmp(text + at, articles[i], length) && !iswalnum((wint_t)text[at + length]))
            return length;
    }
    return 0;
}

static void blank_articles(wchar_t *text)
{
    for (size_t at = 0; text[at]; at++) {
        size_t length = article_length(text, at);
        for (size_t i = 0; i < length; i++)
            text[at + i] = L' ';
        at += length ? length - 1 : 0;
    }
}

/* Back to UTF-8, one space between words. */
static char *encode(const wchar_t *text)
{
    char *bytes = malloc(wcslen(text) * MB_LEN_MAX + 1);
    size_t size = 0;
    mbstate_t state = {0};
    for (; bytes && *text; text++) {
        bool space = is_space(*text);
        if (space && (!size || bytes[size - 1] == ' '))
            continue;
        size_t used = space ? 0 : wcrtomb(bytes + size, *text, &state);
        if (space)
            bytes[size++] = ' ';
        else if (used != (size_t)-1)
            size += used;
    }
    if (bytes)
        bytes[size && bytes[size - 1] == ' ' ? size - 1 : size] = '\0';
    return bytes;
}

char *squad_normalise(const char *text)
{
    locale_t unicode = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    locale_t before = unicode ? uselocale(unicode) : (locale_t)0;
    wchar_t *characters = unicode ? decode(text) : NULL;
    char *normalised = NULL;
    if (characters) {
        lower_without_punctuation(characters);
        blank_articles(characters);
        normalised = encode(characters);
    }
    free(characters);
    if (unicode) {
        uselocale(before);
        freelocale(unicode);
    }
    return normalised;
}

/* ------------------------------------------------------------------ comparison */

struct words {
    const char *at;
};

/* The next word and its length; 0: there is none. */
static size_t next_word(struct words *words, const char **word)
{
    words->at += strspn(words->at, " ");
    *word = words->at;
    size_t length = strcspn(words->at, " ");
    words->at += length;
    return length;
}

static size_t count_word(const char *text, const char *wanted, size_t length)
{
    struct words words = {text};
    const char *word;
    size_t count = 0;
    for (size_t size; (size = next_word(&words, &word));)
        count += size == length && !memcmp(word, wanted, length);
    return count;
}

static size_t count_words(const char *text)
{
    struct words words = {text};
    const char *word;
    size_t count = 0;
    while (next_word(&words, &word))
        count++;
    return count;
}

/* Words of `prediction` that `answer` has too: a word that comes for the n-th time counts if it
 * comes n times there. */
static size_t count_common(const char *prediction, const char *answer)
{
    struct words words = {prediction};
    const char *word;
    size_t common = 0;
    for (size_t size; (size = next_word(&words, &word));) {
        size_t later = count_word(word, word, size), all = count_word(prediction, word, size);
        common += all - later < count_word(answer, word, size);
    }
    return common;
}

double squad_f1(const char *prediction, const char *answer)
{
    size_t predicted = count_words(prediction), right = count_words(answer);
    if (!predicted || !right)
        return predicted == right;
    double common = (double)count_common(prediction, answer);
    return 2 * common / (double)(predicted + right);
}

bool squad_holds(const char *text, const char *answer)
{
    size_t length = strlen(answer);
    if (!length)
        return false;
    for (const char *at = text; (at = strstr(at, answer)); at++)
        if ((at == text || at[-1] == ' ') && (at[length] == ' ' || !at[length]))
            return true;
    return false;
}
