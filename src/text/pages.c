#include "src/text/pages.h"
#include "src/base/hash.h"
#include "src/base/order.h"
#include "src/text/reader.h"
#include "src/text/utf8.h"

#include <stdlib.h>
#include <string.h>

#define EDGE_LINES 3 /* at most, on each side of a page */
#define EDGE_LENGTH 120
#define REPEATED 3 /* pages that a line must come back on to be no text */

struct line {
    struct slice text; /* without white space at its ends */
    uint32_t page;     /* from 1 */
    bool left_out;
};

struct pages {
    struct buffer lines; /* struct line */
    struct buffer edges; /* uint64_t: keys of the lines at the edges, sorted */
    struct buffer words; /* uint64_t: hashes of the words, sorted; made when first wanted */
    bool words_made;
    struct buffer *mended, *places;
    struct lmk_error *error;
};

static struct line *line_at(const struct pages *pages, size_t index)
{
    return (struct line *)(void *)pages->lines.data + index;
}

static size_t line_count(const struct pages *pages)
{
    return pages->lines.size / sizeof(struct line);
}

static void sort_hashes(struct buffer *hashes)
{
    if (hashes->size)
        qsort(hashes->data, hashes->size / sizeof(uint64_t), sizeof(uint64_t), order_numbers);
}

/* How often the hash is among the sorted ones. */
static size_t count_hash(const struct buffer *hashes, uint64_t hash)
{
    const uint64_t *values = (const uint64_t *)(const void *)hashes->data;
    size_t low = 0, high = hashes->size / sizeof *values, count = 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (values[middle] < hash)
            low = middle + 1;
        else
            high = middle;
    }
    while (low + count < hashes->size / sizeof *values && values[low + count] == hash)
        count++;
    return count;
}

/* ---- Lines */

static enum lmk_status split(struct pages *pages, struct slice text)
{
    uint32_t page = 1;
    enum lmk_status status = LMK_OK;
    while (text.size && !status) {
        size_t size = 0;
        while (size < text.size && text.text[size] != '\n' && text.text[size] != '\f')
            size++;
        struct line line = {slice_trim((struct slice){text.text, size}), page, false};
        bool feed = size < text.size && text.text[size] == '\f';
        if (!feed || line.text.size)
            status = buffer_append(&pages->lines, &line, sizeof line, pages->error);
        page += feed;
        text = slice_after(text, size < text.size ? size + 1 : size);
    }
    return status;
}

/* ---- Running heads and feet */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_roman(struct slice text)
{
    size_t at = 0;
    while (at < text.size && strchr("ivxlcIVXLC", text.text[at]) && text.text[at])
        at++;
    return at > 0 && at == text.size && at < 8;
}

/* What stays the same where a line comes back on other pages; 0: too long for such a line. */
static uint64_t edge_key(struct slice text)
{
    char key[EDGE_LENGTH];
    size_t size = 0;
    if (text.size >= EDGE_LENGTH)
        return 0;
    if (is_roman(text))
        return hash64("#", 1);
    for (size_t i = 0; i < text.size; i++) {
        char c = text.text[i];
        if (is_digit(c) && size && key[size - 1] == '#')
            continue;
        key[size++] = is_digit(c) ? '#' : c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
    }
    return hash64(key, size);
}

/* Calls `visit` for at most `most` lines at one edge of the page whose lines are [first, end), from
 * outside, until it says false. */
static void visit_edge(struct pages *pages, size_t first, size_t end, bool top, size_t most,
                       bool (*visit)(struct pages *pages, struct line *line))
{
    size_t seen = 0;
    for (size_t i = first; i < end && seen < most; i++) {
        struct line *line = line_at(pages, top ? i : end - 1 - (i - first));
        if (line->text.size && (seen++, !visit(pages, line)))
            return;
    }
}

static bool add_edge(struct pages *pages, struct line *line)
{
    uint64_t key = edge_key(line->text);
    return !key || !buffer_append(&pages->edges, &key, sizeof key, pages->error);
}

static bool leave_out_edge(struct pages *pages, struct line *line)
{
    uint64_t key = edge_key(line->text);
    line->left_out = key && count_hash(&pages->edges, key) >= REPEATED;
    return line->left_out;
}

static void visit_edges(struct pages *pages, bool (*visit)(struct pages *, struct line *))
{
    size_t count = line_count(pages), first = 0;
    while (first < count) {
        size_t end = first, full = 0; /* lines with text: none is at both edges */
        for (; end < count && line_at(pages, end)->page == line_at(pages, first)->page; end++)
            full += line_at(pages, end)->text.size > 0;
        size_t top = (full + 1) / 2, bottom = full / 2;
        visit_edge(pages, first, end, true, top < EDGE_LINES ? top : EDGE_LINES, visit);
        visit_edge(pages, first, end, false, bottom < EDGE_LINES ? bottom : EDGE_LINES, visit);
        first = end;
    }
}

/* ---- Words split at the end of a line */

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c & 0x80);
}

/* Bytes of the hyphen that the line ends with: "-", U+2010 or U+00AD. */
static size_t hyphen_size(struct slice text)
{
    static const char *const hyphens[] = {"-", "\xE2\x80\x90", "\xC2\xAD"};
    for (size_t i = 0; i < sizeof hyphens / sizeof hyphens[0]; i++) {
        size_t size = strlen(hyphens[i]);
        if (text.size > size && !memcmp(text.text + text.size - size, hyphens[i], size))
            return is_letter(text.text[text.size - size - 1]) ? size : 0;
    }
    return 0;
}

/* The part of a word at the end of `text`, or at its start. */
static struct slice last_letters(struct slice text)
{
    size_t start = text.size;
    while (start > 0 && is_letter(text.text[start - 1]))
        start--;
    return slice_after(text, start);
}

static struct slice first_letters(struct slice text)
{
    size_t size = 0;
    while (size < text.size && is_letter(text.text[size]))
        size++;
    return (struct slice){text.text, size};
}

/* In lower case, with `between` in the middle; 0: too long for a word. */
static uint64_t word_hash(struct slice first, const char *between, struct slice second)
{
    char word[128];
    size_t size = first.size + strlen(between) + second.size;
    if (size > sizeof word)
        return 0;
    memcpy(word, first.text, first.size);
    memcpy(word + first.size, between, strlen(between));
    if (second.size)
        memcpy(word + first.size + strlen(between), second.text, second.size);
    for (size_t i = 0; i < size; i++)
        word[i] = word[i] >= 'A' && word[i] <= 'Z' ? (char)(word[i] | 0x20) : word[i];
    return hash64(word, size);
}

/* All words of letters, and those with hyphens in them. */
static enum lmk_status add_words(struct pages *pages, struct slice text)
{
    enum lmk_status status = LMK_OK;
    while (text.size && !status) {
        size_t size = 0, plain;
        while (size < text.size && (is_letter(text.text[size]) || (size && text.text[size] == '-')))
            size++;
        plain = size;
        while (plain && text.text[plain - 1] == '-')
            plain--;
        if (plain) {
            uint64_t hash = word_hash((struct slice){text.text, plain}, "", (struct slice){"", 0});
            status = buffer_append(&pages->words, &hash, sizeof hash, pages->error);
        }
        text = slice_after(text, size ? size : 1);
    }
    return status;
}

static enum lmk_status make_words(struct pages *pages)
{
    enum lmk_status status = LMK_OK;
    for (size_t i = 0; i < line_count(pages) && !status && !pages->words_made; i++)
        status = add_words(pages, line_at(pages, i)->text);
    if (!pages->words_made)
        sort_hashes(&pages->words);
    pages->words_made = true;
    return status;
}

/* ---- Putting together */

static enum lmk_status append(struct pages *pages, const char *text, size_t size)
{
    return buffer_append(pages->mended, text, size, pages->error);
}

/* The line's text, and how it is joined to `next`, which follows it at once. */
static enum lmk_status append_split(struct pages *pages, const struct line *line,
                                    const struct line *next)
{
    size_t hyphen = hyphen_size(line->text);
    struct slice stem = {line->text.text, line->text.size - hyphen};
    struct slice first = last_letters(stem), second = first_letters(next->text);
    enum lmk_status status = make_words(pages);
    if (status)
        return status;
    bool joined = count_hash(&pages->words, word_hash(first, "", second)) > 0;
    bool hyphenated = !joined && count_hash(&pages->words, word_hash(first, "-", second)) > 0;
    status = append(pages, stem.text, stem.size);
    return status || !hyphenated ? status : append(pages, "-", 1);
}

static bool ends_sentence(struct slice text)
{
    static const char *const closing[] = {"\xE2\x80\x9D", "\xE2\x80\x99", "\xC2\xBB"};
    for (size_t i = 0; i < sizeof closing / sizeof closing[0]; i++) {
        size_t size = strlen(closing[i]);
        if (text.size > size && !memcmp(text.text + text.size - size, closing[i], size))
            return true;
    }
    return text.size && strchr(".!?:\"')", text.text[text.size - 1]);
}

static bool begins_small(struct slice text)
{
    return text.size && ((text.text[0] >= 'a' && text.text[0] <= 'z') || (text.text[0] & 0x80));
}

/* The next line that has text and stays; *blank: there are empty ones before it. */
static struct line *next_line(const struct pages *pages, size_t *at, bool *blank)
{
    *blank = false;
    for (; *at < line_count(pages); ++*at) {
        struct line *line = line_at(pages, *at);
        if (line->text.size && !line->left_out) {
            ++*at;
            return line;
        }
        *blank |= !line->left_out;
    }
    return NULL;
}

static enum lmk_status begin_page(struct pages *pages, uint32_t page)
{
    struct source_place place = {pages->mended->size, page};
    return buffer_append(pages->places, &place, sizeof place, pages->error);
}

static enum lmk_status put_together(struct pages *pages)
{
    bool blank, blank_behind;
    size_t at = 0;
    uint32_t page = 0;
    enum lmk_status status = LMK_OK;
    struct line *line = next_line(pages, &at, &blank), *next;
    for (; line && !status; line = next, blank = blank_behind) {
        if (line->page != page)
            status = begin_page(pages, page = line->page);
        next = next_line(pages, &at, &blank_behind);
        bool turns = next && next->page != line->page;
        bool goes_on = next && (turns ? !ends_sentence(line->text) : !blank_behind);
        bool is_split = goes_on && hyphen_size(line->text) && begins_small(next->text);
        if (!status)
            status = is_split ? append_split(pages, line, next)
                              : append(pages, line->text.text, line->text.size);
        if (!status && next && !is_split)
            status = append(pages, "\n\n", goes_on ? 1 : 2);
    }
    return status;
}

enum lmk_status pages_mend(struct slice text, struct buffer *mended, struct buffer *places,
                           struct lmk_error *error)
{
    struct pages pages = {.mended = mended, .places = places, .error = error};
    buffer_init(&pages.lines, SIZE_MAX / 2);
    buffer_init(&pages.edges, SIZE_MAX / 2);
    buffer_init(&pages.words, SIZE_MAX / 2);
    enum lmk_status status = split(&pages, text);
    if (!status) {
        visit_edges(&pages, add_edge);
        sort_hashes(&pages.edges);
        visit_edges(&pages, leave_out_edge);
        status = put_together(&pages);
    }
    buffer_release(&pages.lines);
    buffer_release(&pages.edges);
    buffer_release(&pages.words);
    return status;
}
