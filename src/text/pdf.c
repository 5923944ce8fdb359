#include "src/text/pdf.h"
#include "src/base/process.h"
#include "src/text/pages.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <string.h>

#define PDF_SIZE_MAX ((size_t)1 << 30) /* pdftotext gets it in memory */
#define PDF_TEXT_MAX ((size_t)64 << 20)
#define LETTERS_OF_A_PAGE 10 /* on the average; fewer: pictures of pages, with a stamp perhaps */

static const struct process_limits limits = {
    .seconds = 300, .processor_seconds = 240, .memory = (size_t)4 << 30};

bool pdf_begins(struct slice bytes)
{
    struct slice head = {bytes.text, bytes.size < 1024 ? bytes.size : 1024};
    return head.size && memmem(head.text, head.size, "%PDF-", 5);
}

/* ---- What can go wrong */

static enum lmk_status check_run(const char *path, const struct process_result *result,
                                 struct lmk_error *error)
{
    switch (result->end) {
    case PROCESS_MISSING:
        return error_set(error, LMK_IO,
                         "%s is a PDF, and the program pdftotext that reads it is missing: install "
                         "the package poppler-utils.",
                         path);
    case PROCESS_TOO_SLOW:
        return error_set(error, LMK_INPUT, "%s took pdftotext longer than %u seconds.", path,
                         limits.seconds);
    case PROCESS_TOO_MUCH:
        return error_set(error, LMK_INPUT,
                         "%s holds more than 64 MiB of text, the most that lmk reads from one PDF.",
                         path);
    case PROCESS_CRASHED:
        return error_set(error, LMK_INPUT, "%s ended pdftotext: it is damaged.", path);
    case PROCESS_DONE:
        break;
    }
    if (result->code == 0)
        return LMK_OK;
    if (strstr(result->message, "password") || result->code == 3)
        return error_set(error, LMK_INPUT, "%s is protected by a password.", path);
    return error_set(error, LMK_INPUT, "%s is damaged: pdftotext cannot read it (%s).", path,
                     result->message[0] ? result->message : "no reason given");
}

static enum lmk_status check_text(const char *path, struct slice text, size_t *pages,
                                  struct lmk_error *error)
{
    size_t letters = 0;
    *pages = 0;
    for (size_t i = 0; i < text.size; i++) {
        letters += isalnum((unsigned char)text.text[i]) || (text.text[i] & 0x80);
        *pages += text.text[i] == '\f';
    }
    if (letters < LETTERS_OF_A_PAGE * *pages || !letters)
        return error_set(error, LMK_INPUT,
                         "%s is a scanned PDF: %zu page%s with pictures and no text. \"ocrmypdf "
                         "IN.pdf OUT.pdf\" makes one that lmk can read.",
                         path, *pages, *pages == 1 ? "" : "s");
    return LMK_OK;
}

/* ---- What the file says of itself */

/* The line "KEY: value" of what pdfinfo printed. */
static struct slice find_value(struct slice information, const char *key)
{
    struct slice line;
    while (slice_next_line(&information, &line))
        if (slice_starts_with(line, key))
            return slice_trim(slice_after(line, strlen(key)));
    return (struct slice){"", 0};
}

/* Programs that write PDFs put all kinds of things there. */
static struct slice plausible_title(struct slice title)
{
    static const char *const no_titles[] = {"microsoft ",  "untitled", "slide 1",
                                            "layout 1",    "title",    "document",
                                            "(anonymous)", "unknown",  NULL};
    static const char *const suffixes[] = {".doc", ".docx", ".tex", ".dvi", ".indd", ".qxd",
                                           ".rtf", ".odt",  ".pdf", ".ps",  NULL};
    for (size_t i = 0; no_titles[i]; i++)
        if (slice_equals(title, no_titles[i]) || (no_titles[i][strlen(no_titles[i]) - 1] == ' ' &&
                                                  slice_starts_with(title, no_titles[i])))
            return (struct slice){"", 0};
    for (size_t i = 0; suffixes[i]; i++)
        if (slice_contains(title, suffixes[i]))
            return (struct slice){"", 0};
    return title;
}

static struct slice plausible_author(struct slice author)
{
    static const char *const nobody[] = {"unknown", "admin", "administrator", "user",
                                         "root",    "owner", "author",        NULL};
    for (size_t i = 0; nobody[i]; i++)
        if (slice_equals(author, nobody[i]))
            return (struct slice){"", 0};
    return author;
}

/* ---- Reading */

static enum lmk_status run(const struct source *source, const char *program,
                           const char *output_name, struct buffer *output,
                           struct process_result *result, struct lmk_error *error)
{
    /* pdfinfo takes no name of an output: NULL ends the arguments there. */
    const char *const arguments[] = {program, "-enc", "UTF-8", "/dev/stdin", output_name, NULL};
    return process_run(arguments, source->bytes.text, source->bytes.size, &limits, output, result,
                       error);
}

static enum lmk_status give(const struct source *source, struct slice text, size_t page_count,
                            struct slice information, struct lmk_error *error)
{
    struct buffer mended, places;
    buffer_init(&mended, 2 * PDF_TEXT_MAX);
    buffer_init(&places, SIZE_MAX / 2);
    cJSON *object = cJSON_CreateObject();
    cJSON_AddNumberToObject(object, "pages", (double)page_count);
    char *metadata = cJSON_PrintUnformatted(object);
    cJSON_Delete(object);
    enum lmk_status status =
        metadata ? pages_mend(text, &mended, &places, error) : error_memory(error, 64);
    struct extract extract = {
        .kind = "pdf",
        .text = {(const char *)mended.data, mended.size},
        .places = (const struct source_place *)(const void *)places.data,
        .place_count = places.size / sizeof(struct source_place),
        .source_size = mended.size,
        .source_bytes = source->bytes.size,
        .title = plausible_title(find_value(information, "Title:")),
        .author = plausible_author(find_value(information, "Author:")),
        .metadata = metadata,
    };
    if (!status)
        status = source_give(source, &extract, error);
    cJSON_free(metadata);
    buffer_release(&mended);
    buffer_release(&places);
    return status;
}

enum lmk_status pdf_read(const struct source *source, struct lmk_error *error)
{
    struct buffer text, information;
    struct process_result result;
    size_t pages = 0;
    if (source->bytes.size > PDF_SIZE_MAX)
        return error_set(error, LMK_INPUT,
                         "%s is larger than 1 GiB, the most that lmk reads from one PDF.",
                         source->path);
    buffer_init(&text, PDF_TEXT_MAX);
    buffer_init(&information, 1 << 20);
    enum lmk_status status = run(source, "pdftotext", "-", &text, &result, error);
    struct slice found = {(const char *)text.data, text.size};
    if (!status)
        status = check_run(source->path, &result, error);
    if (!status)
        status = check_text(source->path, found, &pages, error);
    if (!status)
        status = run(source, "pdfinfo", NULL, &information, &result, error);
    if (!status)
        status = give(source, found, pages,
                      (struct slice){(const char *)information.data, information.size}, error);
    buffer_release(&text);
    buffer_release(&information);
    return status;
}
