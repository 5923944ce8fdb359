#include "cli/open_passage.h"

#include "cli/command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_WORDS 32

/* False for what is compressed, a page of a browser, or a PDF: places in those are places in the
 * text that was taken from them. */
static bool is_text(FILE *file)
{
    char start[512];
    size_t size = fread(start, 1, sizeof start - 1, file);
    start[size] = '\0';
    rewind(file);
    return strlen(start) == size && start[strspn(start, " \t\r\n")] != '<' &&
           strncmp(start, "%PDF", 4);
}

/* The number of the line that holds byte `offset`. */
static uint64_t line_of(FILE *file, uint64_t offset)
{
    uint64_t line = 1;
    for (int c; offset && (c = getc(file)) != EOF; offset--)
        line += c == '\n';
    return line;
}

/* The file that the path names or, where it is FILE/NAME, leads into; owned, NULL: out of memory.
 */
static char *file_of(const char *path)
{
    char *file = strdup(path), *slash;
    while (file && access(file, F_OK) && errno == ENOTDIR && (slash = strrchr(file, '/')))
        *slash = '\0';
    return file;
}

enum lmk_status place_find(struct place *place, const struct lmk_passage *passage,
                           struct lmk_error *error)
{
    bool marked = passage->mark_end > passage->mark_start;
    *place =
        (struct place){.path = file_of(passage->path), .page = passage->page ? passage->page : 1};
    if (!place->path)
        return fail(error, LMK_MEMORY, "Out of memory.");
    FILE *file = fopen(place->path, "rb");
    if (!file) {
        int reason = errno;
        place_release(place);
        return fail(error, LMK_INPUT, "The source %s cannot be opened any more: %s.", passage->path,
                    strerror(reason));
    }
    if (is_text(file))
        place->line = line_of(file, marked ? passage->mark_source_start : passage->source_start);
    fclose(file);
    return LMK_OK;
}

void place_release(struct place *place)
{
    free(place->path);
    *place = (struct place){0};
}

/* The user's pager, which gets the line where it is one that is known to take it; owned, NULL: out
 * of memory. */
static char *default_opener(void)
{
    const char *pager = getenv("PAGER");
    if (!pager || !pager[0])
        pager = "less";
    size_t program = strcspn(pager, " ");
    const char *name = pager;
    for (const char *at = pager; at < pager + program; at++)
        if (*at == '/')
            name = at + 1;
    bool takes_line = !strncmp(name, "less", 4) || !strncmp(name, "more", 4);
    char *opener;
    return asprintf(&opener, "%s %s{file}", pager, takes_line ? "+{line} " : "") < 0 ? NULL
                                                                                     : opener;
}

/* A word of the command with the place put in, allocated; NULL: out of memory. */
static char *expand(const char *word, size_t size, const struct place *place)
{
    char *text = NULL;
    size_t length;
    FILE *stream = open_memstream(&text, &length);
    if (!stream)
        return NULL;
    for (const char *at = word; at < word + size;) {
        if (!strncmp(at, "{file}", 6)) {
            fputs(place->path, stream);
            at += 6;
        } else if (!strncmp(at, "{line}", 6)) {
            fprintf(stream, "%llu", (unsigned long long)place->line);
            at += 6;
        } else if (!strncmp(at, "{page}", 6)) {
            fprintf(stream, "%u", place->page);
            at += 6;
        } else {
            putc(*at++, stream);
        }
    }
    if (fclose(stream)) {
        free(text);
        return NULL;
    }
    return text;
}

/* Becomes the program `command` with the place put in. Returns only where it cannot. */
static enum lmk_status run(const char *command, const struct place *place, struct lmk_error *error)
{
    char *words[MOST_WORDS + 1] = {0};
    int count = 0;
    enum lmk_status status = LMK_OK;
    for (const char *at = command + strspn(command, " "); *at && !status; at += strspn(at, " ")) {
        size_t size = strcspn(at, " ");
        if (count == MOST_WORDS)
            status = fail(error, LMK_USAGE,
                          "The command that opens a passage has more than %d "
                          "words. Make a script of it.",
                          MOST_WORDS);
        else if (!(words[count++] = expand(at, size, place)))
            status = fail(error, LMK_MEMORY, "Out of memory.");
        at += size;
    }
    fflush(stdout);
    if (!status && words[0]) {
        execvp(words[0], words);
        status = fail(error, LMK_IO, "Cannot run %s: %s. Name another program with --opener.",
                      words[0], strerror(errno));
    } else if (!status) {
        status = fail(error, LMK_USAGE, "The command of --opener is empty.");
    }
    for (int i = 0; i < count; i++)
        free(words[i]);
    return status;
}

enum lmk_status place_open(const struct place *place, const char *opener, struct lmk_error *error)
{
    if (opener)
        return run(opener, place, error);
    if (!place->line)
        return run("xdg-open {file}", place, error);
    char *pager = default_opener();
    enum lmk_status status =
        pager ? run(pager, place, error) : fail(error, LMK_MEMORY, "Out of memory.");
    free(pager);
    return status;
}
