#include "src/text/gutenberg.h"

#include <string.h>

#define HEADER_MAX                                                                                 \
    ((size_t)64 << 10) /* the longest headers, with the small print of the 1990s, have 20 KB */

static const struct {
    const char *name, *tag;
} languages[] = {
    {"English", "en"}, {"French", "fr"},     {"German", "de"},    {"Spanish", "es"},
    {"Italian", "it"}, {"Portuguese", "pt"}, {"Dutch", "nl"},     {"Latin", "la"},
    {"Finnish", "fi"}, {"Swedish", "sv"},    {"Danish", "da"},    {"Norwegian", "no"},
    {"Greek", "el"},   {"Hungarian", "hu"},  {"Russian", "ru"},   {"Polish", "pl"},
    {"Chinese", "zh"}, {"Japanese", "ja"},   {"Esperanto", "eo"}, {"Catalan", "ca"},
};

static const char *language_tag(struct slice name)
{
    for (size_t i = 0; i < sizeof languages / sizeof languages[0]; i++)
        if (slice_equals(name, languages[i].name))
            return languages[i].tag;
    return "";
}

static bool is_marker(struct slice line, const char *spaced, const char *unspaced)
{
    return (slice_starts_with(line, spaced) || slice_starts_with(line, unspaced)) &&
           slice_contains(line, "GUTENBERG");
}

static bool is_start(struct slice line)
{
    return is_marker(line, "*** START OF", "***START OF") ||
           slice_starts_with(line, "*END*THE SMALL PRINT!") ||
           slice_starts_with(line, "*END THE SMALL PRINT!");
}

static bool is_end(struct slice line)
{
    return is_marker(line, "*** END OF", "***END OF") ||
           slice_starts_with(line, "End of Project Gutenberg's ") ||
           slice_starts_with(line, "End of the Project Gutenberg E") ||
           slice_starts_with(line, "End of The Project Gutenberg E");
}

static bool ends_with_stars(struct slice line)
{
    return line.size >= 3 && memcmp(line.text + line.size - 3, "***", 3) == 0;
}

/* A long title makes the marker "*** START OF ... ***" go on for a line or two. */
static void skip_rest_of_marker(struct slice *rest, struct slice line)
{
    struct slice after = *rest;
    line = slice_trim(line);
    if (ends_with_stars(line) || !slice_starts_with(line, "***"))
        return;
    for (int i = 0; i < 2 && slice_next_line(&after, &line); i++)
        if (ends_with_stars(slice_trim(line)))
            *rest = after;
}

static void read_field(struct gutenberg_book *book, struct slice line)
{
    if (slice_starts_with(line, "Title:") && book->title.size == 0)
        book->title = slice_trim(slice_after(line, strlen("Title:")));
    else if (slice_starts_with(line, "Author:") && book->author.size == 0)
        book->author = slice_trim(slice_after(line, strlen("Author:")));
    else if (slice_starts_with(line, "Language:"))
        book->language = language_tag(slice_trim(slice_after(line, strlen("Language:"))));
}

static struct slice without_licence(struct slice body)
{
    struct slice rest = body, line;
    while (slice_next_line(&rest, &line))
        if (is_end(line))
            return (struct slice){body.text, (size_t)(line.text - body.text)};
    return body;
}

struct gutenberg_book gutenberg_find(struct slice file)
{
    struct gutenberg_book book = {.language = ""};
    struct slice rest = file, line;
    while (slice_next_line(&rest, &line) && (size_t)(line.text - file.text) < HEADER_MAX) {
        if (is_start(line)) {
            skip_rest_of_marker(&rest, line);
            book.body = without_licence(rest);
            return book;
        }
        read_field(&book, line);
    }
    return (struct gutenberg_book){.body = file, .language = ""};
}
