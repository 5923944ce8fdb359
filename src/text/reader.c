#include "src/text/reader.h"
#include "src/base/mapped_file.h"
#include "src/text/gutenberg.h"
#include "src/text/heading.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define FILE_SIZE_MAX UINT32_MAX

static const struct {
    const char *suffix, *kind;
} formats[] = {{".txt", "text"}, {".text", "text"}, {".md", "markdown"}, {".markdown", "markdown"}};

/* The kind of document that the suffix stands for, or NULL. */
static const char *kind_of(const char *path)
{
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot && i < sizeof formats / sizeof formats[0]; i++)
        if (strcasecmp(dot, formats[i].suffix) == 0)
            return formats[i].kind;
    return NULL;
}

bool reader_knows_suffix(const char *path)
{
    return kind_of(path) != NULL;
}

/* Before any work: what can be told from the raw bytes. */
static enum lmk_status check_source(const struct mapped_file *file, const char *path,
                                    struct lmk_error *error)
{
    if (file->size > FILE_SIZE_MAX)
        return error_set(
            error, LMK_INPUT,
            "%s is larger than 4 GiB, the most that lmk reads from one file: split it.", path);
    if (file->size == 0)
        return error_set(error, LMK_INPUT, "%s is empty: there is nothing to index.", path);
    if (file->size >= 2 &&
        (memcmp(file->data, "\xFF\xFE", 2) == 0 || memcmp(file->data, "\xFE\xFF", 2) == 0))
        return error_set(error, LMK_INPUT,
                         "%s is UTF-16 text: convert it to UTF-8 (iconv -f UTF-16 -t UTF-8).",
                         path);
    const unsigned char *nul = memchr(file->data, 0, file->size);
    if (nul)
        return error_set(error, LMK_INPUT, "%s is no text: it has a NUL byte at offset %zu.", path,
                         (size_t)(nul - file->data));
    return LMK_OK;
}

static enum lmk_status check_text(const struct normalised_text *text, uint64_t size,
                                  const char *path, struct lmk_error *error)
{
    if (text->invalid_bytes > size / 4)
        return error_set(error, LMK_INPUT,
                         "%s is no UTF-8 text: %llu of its %llu bytes are invalid. If it is text "
                         "in another encoding, "
                         "convert it to UTF-8 (iconv).",
                         path, (unsigned long long)text->invalid_bytes, (unsigned long long)size);
    if (text->size == 0)
        return error_set(error, LMK_INPUT,
                         "%s holds nothing but white space: there is nothing to index.", path);
    return LMK_OK;
}

/* Normalises `body`, a part of `file`, so that the map leads to offsets in the file. */
static enum lmk_status normalise_part(struct normalised_text *text, struct slice file,
                                      struct slice body, struct lmk_error *error)
{
    enum lmk_status status = normalise(text, body.text, body.size, error);
    if (status)
        return status;
    for (size_t i = 0; i < text->run_count; i++)
        text->runs[i].source += (uint64_t)(body.text - file.text);
    text->source_size = file.size;
    return LMK_OK;
}

/* The first of the two that is not empty, as one line of valid UTF-8: white space made one space,
 * "_" made a space where the whole has no other. */
static enum lmk_status set_string(char **string, struct slice first, struct slice second,
                                  struct lmk_error *error)
{
    struct slice from = first.size ? first : second;
    struct normalised_text clean;
    enum lmk_status status = normalise(&clean, from.text, from.size, error);
    if (status)
        return status;
    bool spaced = memchr(clean.text, ' ', clean.size) != NULL;
    for (size_t i = 0; i < clean.size; i++)
        if (clean.text[i] == '\n' || (clean.text[i] == '_' && !spaced))
            clean.text[i] = ' ';
    *string = clean.text;
    clean.text = NULL;
    normalised_text_release(&clean);
    return LMK_OK;
}

/* What the header of the book says, else what the file name says in so many words, else what the
 * text lets guess. */
static enum lmk_status name_document(struct source_document *document, const char *path,
                                     const struct gutenberg_book *book, struct lmk_error *error)
{
    struct heading stated = heading_of_file_name(path);
    struct slice text = {document->text.text, document->text.size};
    struct heading guessed = heading_of_text(text);
    if (strcmp(document->kind, "markdown") == 0) {
        struct heading markdown = heading_of_markdown(book->body);
        if (markdown.title.size)
            guessed.title = markdown.title;
    }
    if (stated.author.size || guessed.title.size == 0)
        guessed.title = stated.title;
    if (stated.author.size)
        guessed.author = stated.author;
    enum lmk_status status = set_string(&document->title, book->title, guessed.title, error);
    if (!status)
        status = set_string(&document->author, book->author, guessed.author, error);
    if (status)
        return status;
    document->language = strdup(book->language);
    return document->language ? LMK_OK : error_memory(error, strlen(book->language) + 1);
}

static enum lmk_status read_mapped(struct source_document *document, const char *path,
                                   const struct mapped_file *mapped, struct lmk_error *error)
{
    enum lmk_status status = check_source(mapped, path, error);
    if (status)
        return status;
    struct slice file = {(const char *)mapped->data, mapped->size};
    bool marked = file.size >= 3 && memcmp(file.text, "\xEF\xBB\xBF", 3) == 0; /* byte order mark */
    struct gutenberg_book book = gutenberg_find(slice_after(file, marked ? 3 : 0));
    document->file_size = mapped->size;
    status = normalise_part(&document->text, file, book.body, error);
    if (!status)
        status = check_text(&document->text, book.body.size, path, error);
    return status ? status : name_document(document, path, &book, error);
}

enum lmk_status reader_read(struct source_document *document, const char *path,
                            struct lmk_error *error)
{
    const char *kind = kind_of(path);
    *document = (struct source_document){.kind = kind ? kind : formats[0].kind};
    struct stat information;
    if (stat(path, &information))
        return error_system(error, "Cannot open %s", path);
    if (!S_ISREG(information.st_mode))
        return error_set(error, LMK_IO, "Cannot read %s: it is not a regular file.", path);
    document->modified_ns =
        (int64_t)information.st_mtim.tv_sec * 1000000000 + information.st_mtim.tv_nsec;
    struct mapped_file file;
    enum lmk_status status = mapped_file_open(&file, path, error);
    if (status)
        return status;
    status = read_mapped(document, path, &file, error);
    mapped_file_close(&file);
    if (status)
        source_document_release(document);
    return status;
}

void source_document_release(struct source_document *document)
{
    free(document->title);
    free(document->author);
    free(document->language);
    normalised_text_release(&document->text);
    *document = (struct source_document){0};
}
