#include "index/support.h"

#include <ctype.h>
#include <math.h>
#include <string.h>
#include <strings.h>

/* Bytes of the sign at `text` that is no part of a word: 0 where there is none. Letters beyond
 * ASCII are words; quotation marks and dashes (U+2000 to U+206F) are not. */
static size_t separator_size(const char *text)
{
    unsigned char c = (unsigned char)text[0];
    if (c == 0xe2 && ((unsigned char)text[1] & 0xfe) == 0x80 && text[2])
        return 3;
    return c && c < 0x80 && !isalnum(c) ? 1 : 0;
}

/* The next word of a text from `*at` on, or NULL; `*at` goes behind it. */
static const char *next_word(const char **at, size_t *size)
{
    for (size_t skipped; (skipped = separator_size(*at));)
        *at += skipped;
    const char *word = *at;
    while (**at && !separator_size(*at))
        ++*at;
    *size = (size_t)(*at - word);
    return *size ? word : NULL;
}

static bool same_word(const char *left, size_t left_size, const char *right, size_t right_size)
{
    return left_size == right_size && !strncasecmp(left, right, left_size);
}

/* Words that stand in any text and support nothing. */
static bool is_common(const char *word, size_t size)
{
    static const char *const common[] = {"a",   "an",  "and", "as",  "at",   "by",
                                         "for", "in",  "is",  "it",  "of",   "on",
                                         "or",  "the", "to",  "was", "were", "with"};
    for (size_t i = 0; i < sizeof common / sizeof common[0]; i++)
        if (same_word(word, size, common[i], strlen(common[i])))
            return true;
    return false;
}

static bool stands_in(const char *text, const char *word, size_t size)
{
    const char *found;
    size_t found_size;
    while ((found = next_word(&text, &found_size)))
        if (same_word(found, found_size, word, size))
            return true;
    return false;
}

static void count_words(struct lmk_answer *answer)
{
    const char *at = answer->text, *word;
    size_t size;
    while ((word = next_word(&at, &size))) {
        if (is_common(word, size))
            continue;
        bool read = false;
        for (size_t i = 0; !read && i < answer->count; i++)
            read = stands_in(answer->passages[i].text, word, size);
        answer->words++;
        answer->words_read += read;
    }
}

void support_judge(struct lmk_answer *answer, const struct lmk_model *model)
{
    answer->found = true;
    if (!answer->text)
        return;
    count_words(answer);
    answer->found = isnan(model->answer_threshold)
                        ? answer->words && 2 * answer->words_read >= answer->words
                        : answer->text[0] && answer->confidence >= (double)model->answer_threshold;
}
