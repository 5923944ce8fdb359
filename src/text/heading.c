#include "src/text/heading.h"

#include <ctype.h>
#include <string.h>

#define TITLE_MAX 120 /* bytes: a longer first paragraph is text */
#define AUTHOR_MAX 80
#define LINES_SEARCHED 12 /* after the title, for the author */
#define BODY_LINE 300     /* a line as long as this is text: no title page any more */
#define MARKDOWN_SEARCHED ((size_t)64 << 10)

/* ---- Words and names */

static bool next_word(struct slice *rest, struct slice *word)
{
    *rest = slice_trim(*rest);
    size_t end = 0;
    while (end < rest->size && !isspace((unsigned char)rest->text[end]))
        end++;
    *word = (struct slice){rest->text, end};
    *rest = slice_after(*rest, end);
    return end > 0;
}

static bool is_one_of(struct slice word, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (slice_equals(word, list[i]))
            return true;
    return false;
}

static bool starts_like_name(struct slice word)
{
    static const char *const particles[] = {"de",  "du",  "di",  "da",  "la", "le",
                                            "von", "van", "der", "den", "of", "and",
                                            "the", "a",   "à",   "y",   "&"};
    unsigned char first = (unsigned char)word.text[0];
    return isupper(first) || first >= 0x80 ||
           is_one_of(word, particles, sizeof particles / sizeof particles[0]);
}

static bool has_digit(struct slice slice)
{
    for (size_t i = 0; i < slice.size; i++)
        if (isdigit((unsigned char)slice.text[i]))
            return true;
    return false;
}

/* Capital letters first, no digits, `least` to `most` words. */
static bool looks_like_name(struct slice name, size_t least, size_t most)
{
    size_t words = 0;
    struct slice rest = name, word;
    while (next_word(&rest, &word)) {
        if (!starts_like_name(word))
            return false;
        words++;
    }
    return words >= least && words <= most && name.size <= AUTHOR_MAX && !has_digit(name) &&
           !slice_starts_with(name, "the ");
}

/* "E. M. Forster": one letter and a full stop, not at the end as in "BOOK I." */
static bool has_initial(struct slice name)
{
    struct slice word;
    bool found = false, last = false;
    while (next_word(&name, &word)) {
        last = word.size == 2 && isupper((unsigned char)word.text[0]) && word.text[1] == '.';
        found |= last;
    }
    return found && !last;
}

/* ---- Cutting to size */

static struct slice strip(struct slice slice, const char *front, const char *back)
{
    while (slice.size && strchr(front, slice.text[0]))
        slice = slice_after(slice, 1);
    while (slice.size && strchr(back, slice.text[slice.size - 1]))
        slice.size--;
    return slice;
}

/* Without Markdown's marks around the whole. */
static struct slice undecorated(struct slice line)
{
    line = strip(line, "#= \t", "#= \t");
    bool emphasised = line.size && (line.text[0] == '*' || line.text[0] == '_');
    return emphasised ? strip(line, "*_", "*_") : line;
}

/* Without the full stop of a line that stands alone, which is not that of "Jr." or of an initial.
 */
static struct slice without_stop(struct slice slice)
{
    slice = strip(slice, "", ",;: ");
    bool initial = slice.size >= 3 && !isalnum((unsigned char)slice.text[slice.size - 3]);
    bool junior = slice.size >= 3 && (memcmp(slice.text + slice.size - 3, "Jr.", 3) == 0);
    if (slice.size > 2 && slice.text[slice.size - 1] == '.' && !initial && !junior)
        slice.size--;
    return slice;
}

/* "Robert Southey (1774-1843)", "James Otis, author of ..." */
static struct slice author_alone(struct slice author)
{
    for (size_t i = 0; i < author.size; i++)
        if (author.text[i] == '(' || author.text[i] == '[' || author.text[i] == ',' ||
            author.text[i] == ';')
            author.size = i;
    return without_stop(slice_trim(author));
}

/* ---- File names */

static struct slice base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    const char *dot = strrchr(name, '.');
    return (struct slice){name, dot && dot > name ? (size_t)(dot - name) : strlen(name)};
}

static bool split_name(struct slice name, const char *separator, struct heading *heading)
{
    const char *found = memmem(name.text, name.size, separator, strlen(separator));
    if (!found)
        return false;
    struct slice author = slice_trim((struct slice){name.text, (size_t)(found - name.text)});
    struct slice title = slice_trim(
        slice_after(name, author.size ? (size_t)(found - name.text) + strlen(separator) : 0));
    size_t words = 0;
    for (struct slice rest = author, word; next_word(&rest, &word);)
        words++;
    /* "Chapter 1 - The Beginning" names no author. */
    if (words == 0 || words > 6 || title.size == 0 || has_digit(author))
        return false;
    *heading = (struct heading){.title = title, .author = author};
    return true;
}

struct heading heading_of_file_name(const char *path)
{
    struct slice name = base_name(path);
    struct heading heading = {.title = name};
    if (!split_name(name, " - ", &heading))
        split_name(name, "___", &heading);
    return heading;
}

/* ---- Markdown */

struct heading heading_of_markdown(struct slice source)
{
    struct heading heading = {{0}, {0}};
    struct slice rest = source, line, before = {0};
    bool fenced = false;
    if (rest.size > MARKDOWN_SEARCHED)
        rest.size = MARKDOWN_SEARCHED;
    while (slice_next_line(&rest, &line)) {
        line = slice_trim(line);
        fenced ^= slice_starts_with(line, "```") || slice_starts_with(line, "~~~");
        bool underlined =
            before.size && slice_starts_with(line, "==") && strip(line, "=", "").size == 0;
        if (!fenced && (underlined || slice_starts_with(line, "# "))) {
            heading.title = undecorated(underlined ? before : line);
            if (heading.title.size)
                return heading;
        }
        before = line;
    }
    return heading;
}

/* ---- Text */

/* Not of the book itself. */
static bool is_notice(struct slice line)
{
    return line.size == 0 || line.text[0] == '[' || slice_starts_with(line, "produced by ") ||
           slice_starts_with(line, "e-text ") || slice_starts_with(line, "etext ") ||
           slice_starts_with(line, "transcriber") || slice_starts_with(line, "this etext ");
}

static bool is_joining(struct slice line)
{
    static const char *const joining[] = {"of", "and", "the", "&"};
    return is_one_of(line, joining, sizeof joining / sizeof joining[0]);
}

static bool next_line(struct slice *rest, struct slice *line)
{
    if (!slice_next_line(rest, line))
        return false;
    *line = undecorated(*line);
    return true;
}

/* The title, which may be set in lines: "THE LIFE", "OF", "HORATIO LORD NELSON". Moves *rest behind
 * it. */
static struct slice find_title(struct slice *rest)
{
    struct slice title, line, last, after;
    do {
        if (!next_line(rest, &title))
            return (struct slice){0};
    } while (is_notice(title));
    last = title;
    after = *rest;
    while (next_line(&after, &line) && (is_joining(last) || is_joining(line))) {
        title.size = (size_t)(line.text + line.size - title.text);
        last = line;
        *rest = after;
    }
    return title;
}

/* "Some Short Christmas Stories by Charles Dickens": splits the title's line. */
static void split_at_by(struct heading *heading)
{
    struct slice title = heading->title;
    for (size_t i = title.size; i-- > 1;) {
        struct slice tail = slice_after(title, i);
        struct slice author = author_alone(slice_after(tail, tail.size < 4 ? tail.size : 4));
        if (slice_starts_with(tail, " by ") && looks_like_name(author, 2, 6)) {
            heading->author = author;
            heading->title.size = i;
            return;
        }
    }
}

/* The author, if this line or the one after it names one. `first`: the line is the one below the
 * title. */
static struct slice find_author(struct slice line, struct slice rest, bool first)
{
    struct slice author = {0};
    if (slice_equals(line, "by")) {
        if (next_line(&rest, &line))
            author = author_alone(line);
    } else if (slice_starts_with(line, "by ")) {
        author = author_alone(slice_after(line, 3));
    } else if (first && has_initial(line)) {
        author = author_alone(line);
        return looks_like_name(author, 2, 5) ? author : (struct slice){0};
    }
    return looks_like_name(author, 1, 8) ? author : (struct slice){0};
}

struct heading heading_of_text(struct slice text)
{
    struct slice rest = text, line;
    struct heading heading = {.title = find_title(&rest)};
    if (heading.title.size > BODY_LINE)
        return (struct heading){{0}, {0}};
    split_at_by(&heading);
    bool by_is_next = heading.title.size > 3 &&
                      slice_equals(slice_after(heading.title, heading.title.size - 3), " by");
    if (by_is_next) {
        heading.title.size -= 3;
        if (next_line(&rest, &line))
            heading.author = author_alone(line);
    }
    for (int i = 0; i < LINES_SEARCHED && heading.author.size == 0 && next_line(&rest, &line);
         i++) {
        if (line.size >= BODY_LINE || slice_starts_with(line, "chapter") ||
            slice_starts_with(line, "contents"))
            break;
        heading.author = find_author(line, rest, i == 0);
    }
    heading.title = without_stop(heading.title);
    if (heading.title.size > TITLE_MAX)
        heading.title.size = 0;
    return heading;
}
