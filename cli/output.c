#include "cli/output.h"

#include "cli/command.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define BOLD "\033[1m"
#define PLAIN "\033[0m"

/* ------------------------------------------------------------------ JSON */

cJSON *json_start(const char *command)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddNumberToObject(object, "schema", JSON_SCHEMA);
    cJSON_AddStringToObject(object, "command", command);
    return object;
}

/* The bytes of the UTF-8 character at `text`, 0 if there is none. */
static size_t character_size(const unsigned char *text)
{
    unsigned char c = text[0], second = text[1];
    if (c < 0x80)
        return 1;
    size_t size = c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
    if ((c == 0xe0 && second < 0xa0) || (c == 0xed && second > 0x9f) ||
        (c == 0xf0 && second < 0x90) || (c == 0xf4 && second > 0x8f))
        return 0; /* overlong, surrogate, beyond U+10FFFF */
    for (size_t i = 1; i < size; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    return size;
}

static void print_utf8(const char *text)
{
    for (size_t size; *text; text += size ? size : 1) {
        size = character_size((const unsigned char *)text);
        fwrite(size ? text : "\xef\xbf\xbd", 1, size ? size : 3, stdout);
    }
}

enum lmk_status json_print(cJSON *object, struct lmk_error *error)
{
    char *text = cJSON_PrintUnformatted(object);
    cJSON_Delete(object);
    if (!text)
        return fail(error, LMK_MEMORY, "Out of memory while writing JSON.");
    print_utf8(text);
    putchar('\n');
    cJSON_free(text);
    return LMK_OK;
}

void json_add_document(cJSON *object, const struct lmk_document *document)
{
    cJSON_AddNumberToObject(object, "id", (double)document->id);
    cJSON_AddStringToObject(object, "path", document->path);
    cJSON_AddStringToObject(object, "title", document->title);
    cJSON_AddStringToObject(object, "author", document->author);
    cJSON_AddStringToObject(object, "language", document->language);
    cJSON_AddStringToObject(object, "kind", document->kind);
    cJSON_AddItemToObject(object, "metadata", json_metadata(document->metadata));
    cJSON_AddStringToObject(object, "state", document->state);
    cJSON_AddStringToObject(object, "kv", document->tier);
    cJSON_AddNumberToObject(object, "blocks", (double)document->blocks);
    cJSON_AddNumberToObject(object, "tokens", (double)document->tokens);
    cJSON_AddNumberToObject(object, "source_bytes", (double)document->source_bytes);
    cJSON_AddNumberToObject(object, "text_bytes", (double)document->text_bytes);
    cJSON_AddStringToObject(object, "hash", document->hash);
}

cJSON *json_timing(const struct lmk_timing *timing)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddNumberToObject(object, "pass1", timing->pass1);
    cJSON_AddNumberToObject(object, "candidates", timing->candidates);
    cJSON_AddNumberToObject(object, "words", timing->words);
    cJSON_AddNumberToObject(object, "fetch", timing->fetch);
    cJSON_AddNumberToObject(object, "attention", timing->attention);
    cJSON_AddNumberToObject(object, "decode", timing->decode);
    cJSON_AddNumberToObject(object, "total", timing->total);
    return object;
}

cJSON *json_metadata(const char *metadata)
{
    cJSON *object = cJSON_Parse(metadata);
    return object ? object : cJSON_CreateObject();
}

static void add_mark(cJSON *object, const struct lmk_passage *passage, bool ask)
{
    if (passage->mark_end <= passage->mark_start)
        return;
    char *text =
        strndup(passage->text + passage->mark_start, passage->mark_end - passage->mark_start);
    cJSON *mark = cJSON_AddObjectToObject(object, "mark");
    cJSON_AddStringToObject(mark, "text", text ? text : "");
    cJSON_AddNumberToObject(mark, "start", (double)passage->mark_start);
    cJSON_AddNumberToObject(mark, "end", (double)passage->mark_end);
    cJSON_AddNumberToObject(mark, "source_start", (double)passage->mark_source_start);
    cJSON_AddNumberToObject(mark, "source_end", (double)passage->mark_source_end);
    if (ask)
        cJSON_AddNumberToObject(mark, "share", passage->share * passage->mark_share);
    free(text);
}

cJSON *json_passage(const struct lmk_passage *passage, size_t rank, bool ask)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddNumberToObject(object, "rank", (double)rank);
    cJSON_AddNumberToObject(object, "score", passage->score);
    cJSON *scores = cJSON_AddObjectToObject(object, "scores");
    cJSON_AddNumberToObject(scores, "landmark", passage->landmark_score);
    cJSON_AddNumberToObject(scores, "lexical", passage->lexical_score);
    cJSON_AddNumberToObject(scores, "attention", passage->attention_score);
    if (!ask) {
        cJSON *parts = cJSON_AddObjectToObject(object, "parts");
        cJSON_AddNumberToObject(parts, "landmark", passage->landmark_part);
        cJSON_AddNumberToObject(parts, "lexical", passage->lexical_part);
        cJSON_AddNumberToObject(parts, "attention", passage->attention_part);
    }
    if (ask) {
        cJSON_AddNumberToObject(object, "ranking_score", passage->ranking_score);
        cJSON_AddNumberToObject(object, "share", passage->share);
    }
    cJSON_AddNumberToObject(object, "document", (double)passage->document);
    cJSON_AddNumberToObject(object, "block", (double)passage->block);
    cJSON_AddNumberToObject(object, "blocks", (double)passage->blocks);
    cJSON_AddNumberToObject(object, "best_block", (double)passage->best_block);
    cJSON_AddStringToObject(object, "path", passage->path);
    cJSON_AddStringToObject(object, "title", passage->title);
    cJSON_AddStringToObject(object, "author", passage->author);
    cJSON_AddStringToObject(object, "kind", passage->kind);
    cJSON *metadata = json_metadata(passage->metadata);
    cJSON_DeleteItemFromObjectCaseSensitive(metadata,
                                            "chapters"); /* `heading` is the one that counts */
    cJSON_AddItemToObject(object, "metadata", metadata);
    if (passage->chapter)
        cJSON_AddNumberToObject(object, "chapter", passage->chapter);
    if (passage->heading[0])
        cJSON_AddStringToObject(object, "heading", passage->heading);
    if (passage->page)
        cJSON_AddNumberToObject(object, "page", passage->page);
    cJSON_AddNumberToObject(object, "source_start", (double)passage->source_start);
    cJSON_AddNumberToObject(object, "source_end", (double)passage->source_end);
    cJSON_AddNumberToObject(object, "position", round(passage->position * 1e5) / 1e5);
    cJSON_AddStringToObject(object, "text", passage->text);
    add_mark(object, passage, ask);
    return object;
}

/* ------------------------------------------------------------------ text */

bool output_colours(void)
{
    const char *no_colour = getenv("NO_COLOR"), *terminal = getenv("TERM");
    return isatty(STDOUT_FILENO) && !(no_colour && no_colour[0]) && terminal &&
           strcmp(terminal, "dumb");
}

/* The bytes of the control character at `text`, with which a text could steer the terminal: C0, DEL
 * or C1 (U+0080 to U+009F); 0: there is none. */
static size_t control_size(const char *text, size_t size)
{
    unsigned char c = (unsigned char)text[0], next = size > 1 ? (unsigned char)text[1] : 0;
    if (c < 0x20 || c == 0x7f)
        return 1;
    return c == 0xc2 && next >= 0x80 && next < 0xa0 ? 2 : 0;
}

const char *output_path(const char *path)
{
    static char shown[PATH_MAX];
    char folder[PATH_MAX];
    size_t length = getcwd(folder, sizeof folder) ? strlen(folder) : 0;
    bool below = length && !strncmp(path, folder, length) && path[length] == '/';
    path += below ? length + 1 : 0;
    size_t used = 0;
    while (*path && used + 1 < sizeof shown) {
        size_t control = control_size(path, strlen(path));
        shown[used++] = control ? '?' : *path;
        path += control ? control : 1;
    }
    shown[used] = '\0';
    return shown;
}

const char *output_bytes(uint64_t bytes)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
    static char texts[4][32];
    static unsigned next;
    char *text = texts[next++ % 4];
    double value = (double)bytes;
    size_t unit = 0;
    for (; value >= 999.5 && unit + 1 < sizeof units / sizeof units[0]; unit++)
        value /= 1000;
    snprintf(text, sizeof texts[0], unit && value < 99.95 ? "%.1f %s" : "%.0f %s", value,
             units[unit]);
    return text;
}

const char *output_count(uint64_t count, const char *noun)
{
    static char texts[8][64];
    static unsigned next;
    char *text = texts[next++ % 8];
    snprintf(text, sizeof texts[0], "%llu %s%s", (unsigned long long)count, noun,
             count == 1 ? "" : "s");
    return text;
}

static int terminal_width(void)
{
    struct winsize size;
    if (!isatty(STDOUT_FILENO) || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || size.ws_col < 40)
        return 80;
    return size.ws_col < 120 ? size.ws_col : 120;
}

/* Columns of a word: its characters, counted by their first bytes. */
static int columns(const char *text, size_t size)
{
    int count = 0;
    for (size_t i = 0; i < size; i++)
        count += ((unsigned char)text[i] & 0xc0) != 0x80;
    return count;
}

void output_part_safely(FILE *stream, const char *text, size_t size)
{
    for (size_t i = 0; i < size;) {
        size_t control = control_size(text + i, size - i);
        if (!control)
            putc(text[i], stream);
        i += control ? control : 1;
    }
}

void output_safely(FILE *stream, const char *text)
{
    output_part_safely(stream, text, strlen(text));
}

void output_cell(size_t *gap, size_t width, const char *text)
{
    size_t size = strlen(text);
    if (size) {
        printf("%*s%s", (int)*gap, "", text);
        *gap = 0;
    }
    *gap += width > size ? width - size : 0;
}

/* What sets off a word of the text: bold, or signs before the first word of the mark and behind its
 * last. */
struct setting {
    const char *before, *behind;
    int columns;
};

static struct setting set_word(const char *text, size_t at, size_t size, size_t mark_start,
                               size_t mark_end, bool colours)
{
    size_t next = at + size + strspn(text + at + size, " \n");
    bool marked = size && mark_start < at + size && at < mark_end;
    if (colours)
        return (struct setting){marked ? BOLD : "", marked ? PLAIN : "", 0};
    size_t last = at; /* behind the word before */
    while (last && strchr(" \n", text[last - 1]))
        last--;
    bool first = marked && (!last || last <= mark_start);
    return (struct setting){first ? "\u00bb" : "", marked && next >= mark_end ? "\u00ab" : "",
                            first + (marked && next >= mark_end)};
}

/* As output_text, where the cursor stands at the indent already. */
static void print_wrapped(const char *text, size_t mark_start, size_t mark_end, int indent)
{
    bool colours = output_colours() && mark_end > mark_start;
    int width = terminal_width() - indent, used = 0;
    for (size_t at = 0; text[at];) {
        size_t size = strcspn(text + at, " \n");
        struct setting setting = set_word(text, at, size, mark_start, mark_end, colours);
        int wide = columns(text + at, size) + setting.columns;
        if (used && used + 1 + wide > width) {
            printf("%s\n%*s", colours ? PLAIN : "", indent, "");
            used = 0;
        } else if (used && size) {
            putchar(' ');
            used++;
        }
        fputs(setting.before, stdout);
        output_part_safely(stdout, text + at, size);
        fputs(setting.behind, stdout);
        used += wide;
        at += size;
        if (text[at] == '\n' && text[at + 1]) {
            printf("\n%*s", indent, "");
            used = 0;
        }
        at += text[at] != '\0';
    }
    putchar('\n');
}

void output_text(const char *text, size_t mark_start, size_t mark_end, int indent)
{
    printf("%*s", indent, "");
    print_wrapped(text, mark_start, mark_end, indent);
}

void output_wrapped(const char *text, int indent, int column)
{
    if (column > indent) {
        putchar('\n');
        column = 0;
    }
    printf("%*s", indent - column, "");
    print_wrapped(text, 0, 0, indent);
}

void output_heading(const char *title, const char *author, const char *path)
{
    output_safely(stdout, title[0] ? title : output_path(path));
    if (author[0]) {
        fputs(", by ", stdout);
        output_safely(stdout, author);
    }
}

/* Where bytes of the source mean nothing to a reader. */
static bool is_markup(const struct lmk_passage *passage)
{
    return !strcmp(passage->kind, "html") || !strcmp(passage->kind, "epub");
}

void output_place(const struct lmk_passage *passage, bool mark)
{
    if (passage->page)
        printf(", page %u", passage->page);
    else if (passage->heading[0]) {
        fputs(", \u201c", stdout);
        output_safely(stdout, passage->heading);
        fputs("\u201d", stdout);
    } else if (passage->chapter)
        printf(", chapter %u", passage->chapter);
    else if (is_markup(passage))
        printf(", at %.0f %% of the text", 100 * passage->position);
    else
        printf(", bytes %llu-%llu",
               (unsigned long long)(mark ? passage->mark_source_start : passage->source_start),
               (unsigned long long)(mark ? passage->mark_source_end : passage->source_end));
}

void output_passage(const struct lmk_passage *passage, const char *note, int indent)
{
    bool colours = output_colours();
    fputs(colours ? "\033[1;36m" : "", stdout);
    output_heading(passage->title, passage->author, passage->path);
    printf("%s%s\n%*s%s%s", colours ? PLAIN : "", note, indent, "", colours ? "\033[2m" : "",
           output_path(passage->path));
    output_place(passage, false);
    puts(colours ? PLAIN : "");
    output_text(passage->text, passage->mark_start, passage->mark_end, indent);
    putchar('\n');
}

static void print_readiness(const char *what, uint64_t ready, uint64_t documents)
{
    if (ready < documents)
        fprintf(stderr, "lmk: %s %llu of %s so far; \"lmk index\" goes on with the others.\n", what,
                (unsigned long long)ready, output_count(documents, "document"));
}

void output_readiness(const struct arguments *arguments, uint64_t ready, uint64_t words,
                      uint64_t documents)
{
    if (arguments->mode != LMK_LEXICAL)
        print_readiness("landmarks for", ready, documents);
    if (arguments->mode != LMK_LANDMARK && arguments->granularity == LMK_QUESTION)
        print_readiness("words of", words, documents);
}
