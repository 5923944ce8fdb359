#include "cli/picture.h"

#include "cli/command.h"
#include "cli/output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* All lengths are in pixels. */
#define WIDTH 900
#define MARGIN 24
#define BAR_LEFT 300
#define BAR_WIDTH (WIDTH - MARGIN - BAR_LEFT)
#define ROW_HEIGHT 34
#define LINE_HEIGHT 17
#define LEAST_MARK 3 /* so that one block of a large book can be seen */

/* Characters that fit: of a document's name before its bar, of a sentence in a line, of its lines.
 */
#define NAME_CHARACTERS 36
#define LINE_CHARACTERS 108
#define SENTENCE_LINES 3
/* Documents shown of which nothing was read. */
#define UNREAD_SHOWN 6

/* A document with a row of its own. */
struct row {
    uint64_t first_block, blocks;
    char *name;
};

struct rows {
    const struct lmk_answer *answer;
    struct row *items;
    size_t count, unread;
    uint64_t documents, blocks; /* of the collection */
    uint64_t longest;           /* blocks of the longest document shown */
    bool failed;                /* out of memory */
};

static bool was_read(const struct lmk_answer *answer, uint64_t document)
{
    for (size_t i = 0; i < answer->count; i++)
        if (answer->passages[i].document == document)
            return true;
    return false;
}

static bool take_document(void *context, const struct lmk_document *document)
{
    struct rows *rows = context;
    rows->documents++;
    rows->blocks += document->blocks;
    bool read = was_read(rows->answer, document->id);
    if (!read && rows->unread == UNREAD_SHOWN)
        return true;
    struct row *items = realloc(rows->items, (rows->count + 1) * sizeof *items);
    char *name = strdup(document->title[0] ? document->title : output_path(document->path));
    rows->items = items ? items : rows->items;
    if (!items || !name) {
        free(name);
        rows->failed = true;
        return false;
    }
    rows->unread += !read;
    items[rows->count++] = (struct row){document->first_block, document->blocks, name};
    if (document->blocks > rows->longest)
        rows->longest = document->blocks;
    return true;
}

static void release_rows(struct rows *rows)
{
    for (size_t i = 0; i < rows->count; i++)
        free(rows->items[i].name);
    free(rows->items);
}

/* ------------------------------------------------------------------ text */

/* The bytes of the first `characters` characters of the `size` bytes at `text`. */
static size_t prefix(const char *text, size_t size, size_t characters)
{
    size_t at = 0;
    while (at < size && characters--)
        do
            at++;
        while (at < size && ((unsigned char)text[at] & 0xc0) == 0x80);
    return at;
}

/* Characters that XML gives a meaning are written otherwise; control characters become spaces. */
static void print_text(FILE *file, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '&')
            fputs("&amp;", file);
        else if (c == '<')
            fputs("&lt;", file);
        else
            putc(c < 0x20 || c == 0x7f ? ' ' : c, file);
    }
}

static void print_line(FILE *file, int x, int y, const char *style, const char *text, size_t size,
                       bool cut)
{
    fprintf(file, "<text x=\"%d\" y=\"%d\" %s>", x, y, style);
    print_text(file, text, size);
    fprintf(file, "%s</text>\n", cut ? "\u2026" : "");
}

/* Prints text in lines of whole words, at most `lines` of them; gives the y below. */
static int print_lines(FILE *file, int x, int y, const char *style, const char *text, size_t size,
                       int lines)
{
    while (size && lines--) {
        size_t line = prefix(text, size, LINE_CHARACTERS), whole = line;
        while (whole < size && whole && text[whole] != ' ' && text[whole] != '\n')
            whole--;
        line = whole ? whole : line;
        print_line(file, x, y, style, text, line, !lines && line < size);
        for (text += line, size -= line; size && (*text == ' ' || *text == '\n'); text++)
            size--;
        y += LINE_HEIGHT;
    }
    return y;
}

/* ------------------------------------------------------------------ the picture */

static double largest_share(const struct lmk_answer *answer)
{
    double most = 0;
    for (size_t i = 0; i < answer->count; i++)
        if (answer->passages[i].share > most)
            most = answer->passages[i].share;
    return most > 0 ? most : 1;
}

/* Where a block begins in its document's bar; negative: it is of another document. */
static double mark_place(const struct rows *rows, const struct row *row, size_t i)
{
    uint64_t block = rows->answer->passages[i].block;
    if (block < row->first_block || block >= row->first_block + row->blocks)
        return -1;
    return (double)BAR_WIDTH * (double)(block - row->first_block) / (double)rows->longest;
}

/* A block read: the darker, the larger its share of the attention. Its number stands above it, or
 * below where another one is in the way. */
static void draw_mark(FILE *file, const struct rows *rows, const struct row *row, size_t i, int y)
{
    double place = mark_place(rows, row, i), scale = (double)BAR_WIDTH / (double)rows->longest;
    if (place < 0)
        return;
    double width = scale > LEAST_MARK ? scale : LEAST_MARK;
    double shade = 0.25 + 0.75 * rows->answer->passages[i].share / largest_share(rows->answer);
    bool below = false;
    for (size_t j = 0; j < i; j++) {
        double other = mark_place(rows, row, j);
        below = below || (other >= 0 && other > place - 12 && other < place + 12);
    }
    fprintf(file,
            "<rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"14\" fill=\"#b03a2e\" "
            "fill-opacity=\"%.2f\"/>\n",
            BAR_LEFT + place, y, width, shade);
    fprintf(file, "<text x=\"%.1f\" y=\"%d\" class=\"number\">%zu</text>\n",
            BAR_LEFT + place + width / 2, below ? y + 23 : y - 3, i + 1);
}

static void draw_row(FILE *file, const struct rows *rows, const struct row *row, int y)
{
    double width = (double)BAR_WIDTH * (double)row->blocks / (double)rows->longest;
    size_t size = strlen(row->name), shown = prefix(row->name, size, NAME_CHARACTERS);
    print_line(file, MARGIN, y + 12, "class=\"name\"", row->name, shown, shown < size);
    fprintf(file, "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"14\" class=\"bar\"/>\n",
            BAR_LEFT, y, width);
    for (size_t i = 0; i < rows->answer->count; i++)
        draw_mark(file, rows, row, i, y);
}

/* The number, the share, and the sentence that fits best, or where the passage begins. */
static int draw_passage(FILE *file, const struct lmk_passage *passage, size_t i, int y)
{
    bool marked = passage->mark_end > passage->mark_start;
    const char *text = passage->text + (marked ? passage->mark_start : 0);
    size_t size = marked ? passage->mark_end - passage->mark_start : strlen(text);
    fprintf(file, "<text x=\"%d\" y=\"%d\" class=\"share\">%zu.  %.0f %%  ", MARGIN, y, i + 1,
            100 * passage->share);
    const char *name = passage->title[0] ? passage->title : output_path(passage->path);
    print_text(file, name, strlen(name));
    fputs("</text>\n", file);
    return print_lines(file, MARGIN + 24, y + LINE_HEIGHT, "class=\"sentence\"", text, size,
                       SENTENCE_LINES) +
           8;
}

/* Everything below the heading; gives the height it needs. */
static int draw_body(FILE *file, const struct rows *rows)
{
    int y = 84;
    for (size_t i = 0; i < rows->count; i++, y += ROW_HEIGHT)
        draw_row(file, rows, &rows->items[i], y);
    if (rows->count < rows->documents) {
        fprintf(file,
                "<text x=\"%d\" y=\"%d\" class=\"note\">and %llu more, of which nothing was "
                "read</text>\n",
                MARGIN, y + 12, (unsigned long long)(rows->documents - rows->count));
        y += ROW_HEIGHT;
    }
    y += LINE_HEIGHT;
    for (size_t i = 0; i < rows->answer->count; i++)
        y = draw_passage(file, &rows->answer->passages[i], i, y);
    return y + 8;
}

static void draw(FILE *file, const char *question, const struct rows *rows, const char *body,
                 int height)
{
    fprintf(file,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" "
            "font-family=\"sans-serif\" font-size=\"13\">\n"
            "<style>.question{font-size:18px;font-weight:bold}.name{fill:#333}"
            ".bar{fill:#e4e4e0}.number{font-size:10px;text-anchor:middle;fill:#b03a2e}"
            ".share{font-weight:bold}.sentence{fill:#333}.note{fill:#666}</style>\n"
            "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
            WIDTH, height, WIDTH);
    size_t size = strlen(question), shown = prefix(question, size, 80);
    print_line(file, MARGIN, 38, "class=\"question\"", question, shown, shown < size);
    fprintf(file,
            "<text x=\"%d\" y=\"60\" class=\"note\">%zu of the %s of %s %s read; the darker, the "
            "more attention.</text>\n%s</svg>\n",
            MARGIN, rows->answer->count, output_count(rows->blocks, "block"),
            output_count(rows->documents, "document"), rows->answer->count == 1 ? "was" : "were",
            body);
}

/* Draws into memory first: only then is the height known. */
static enum lmk_status write_file(const char *path, const char *question, const struct rows *rows,
                                  struct lmk_error *error)
{
    char *body = NULL;
    size_t size;
    FILE *memory = open_memstream(&body, &size);
    int height = memory ? draw_body(memory, rows) : 0;
    if (!memory || fclose(memory)) {
        free(body);
        return fail(error, LMK_MEMORY, "Out of memory.");
    }
    FILE *file = fopen(path, "w");
    if (file)
        draw(file, question, rows, body, height);
    bool written = file && !ferror(file);
    if (file && fclose(file))
        written = false;
    free(body);
    return written ? LMK_OK
                   : fail(error, LMK_IO, "The picture %s cannot be written: %s.", path,
                          strerror(errno));
}

enum lmk_status picture_write(const char *path, const char *question,
                              const struct lmk_answer *answer, struct lmk_collection *collection,
                              struct lmk_error *error)
{
    struct rows rows = {.answer = answer, .longest = 1};
    enum lmk_status status = lmk_list(collection, take_document, &rows, error);
    if (!status && rows.failed)
        status = fail(error, LMK_MEMORY, "Out of memory.");
    if (!status)
        status = write_file(path, question, &rows, error);
    release_rows(&rows);
    return status;
}
