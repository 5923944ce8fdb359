#include "src/text/reader.h"
#include "src/base/mapped_file.h"
#include "src/text/archive.h"
#include "src/text/archived.h"
#include "src/text/book.h"
#include "src/text/encoding.h"
#include "src/text/gutenberg.h"
#include "src/text/heading.h"
#include "src/text/jsonl.h"
#include "src/text/language.h"
#include "src/text/opf.h"
#include "src/text/pdf.h"
#include "src/text/source_map.h"
#include "src/text/unpack.h"

#include <cjson/cJSON.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEXT_SIZE_MAX UINT32_MAX
#define NAME_BYTES 500                 /* of a title or an author: what is longer is text */
#define LANGUAGE_BYTES 35              /* of a tag, as BCP 47 has it */
#define UNPACKED_MAX ((size_t)1 << 30) /* of a compressed text, which is unpacked in memory */

/* ---- Names of files */

static struct slice suffix_of(struct slice name)
{
    for (size_t i = name.size; i-- > 0 && name.text[i] != '/';)
        if (name.text[i] == '.')
            return slice_after(name, i);
    return (struct slice){"", 0};
}

static bool is_any(struct slice suffix, const char *const *list)
{
    while (*list && !slice_equals(suffix, *list))
        list++;
    return *list != NULL;
}

static const char *const compressed[] = {".gz", ".bz2", ".xz", ".zst", NULL};
static const char *const markdown[] = {".md", ".markdown", NULL};
static const char *const pages[] = {".html", ".htm", ".xhtml", NULL};
static const char *const books[] = {".epub", ".pdf", NULL};
static const char *const archives[] = {".zip", ".tar", ".tgz", ".tbz2", ".txz", ".tzst", NULL};
static const char *const plain[] = {".txt", ".text", NULL};
static const char *const lines[] = {".jsonl", ".ndjson", NULL};

/* The suffix below that of a compression. */
static struct slice inner_suffix(const char *path)
{
    struct slice name = {path, strlen(path)}, suffix = suffix_of(name);
    if (is_any(suffix, compressed))
        suffix = suffix_of((struct slice){path, name.size - suffix.size});
    return suffix;
}

static bool is_packed(struct slice bytes)
{
    static const struct slice magic[] = {{"\x1F\x8B", 2},
                                         {"BZh", 3},
                                         {"\xFD"
                                          "7zXZ\0",
                                          6},
                                         {"\x28\xB5\x2F\xFD", 4}};
    for (size_t i = 0; i < sizeof magic / sizeof magic[0]; i++)
        if (bytes.size >= magic[i].size && !memcmp(bytes.text, magic[i].text, magic[i].size))
            return true;
    return false;
}

/* ---- What the readers give */

/* Normalises `body`, a part of the extract's text. */
static enum lmk_status normalise_part(struct normalised_text *text, const struct extract *extract,
                                      struct slice body, struct lmk_error *error)
{
    enum lmk_status status = normalise(text, body.text, body.size, error);
    if (status)
        return status;
    for (size_t i = 0; i < text->run_count; i++)
        text->runs[i].source += (uint64_t)(body.text - extract->text.text);
    text->invalid_bytes += extract->invalid_bytes;
    return source_map_extend(text, extract->runs, extract->run_count, extract->source_size, error);
}

static enum lmk_status check_text(const struct normalised_text *text, uint64_t size,
                                  const char *path, struct lmk_error *error)
{
    if (text->invalid_bytes > size / 4)
        return error_set(error, LMK_INPUT,
                         "%s is no UTF-8 text: %llu of its %llu bytes are invalid. If it is text "
                         "in another encoding, convert it to UTF-8 (iconv).",
                         path, (unsigned long long)text->invalid_bytes, (unsigned long long)size);
    if (text->size == 0)
        return error_set(error, LMK_INPUT,
                         "%s holds nothing but white space: there is nothing to index.", path);
    return LMK_OK;
}

/* Ends the string after whole characters of at most NAME_BYTES. */
static void shorten(char *string, size_t size)
{
    if (size <= NAME_BYTES)
        return;
    size = NAME_BYTES;
    while (size && (string[size] & 0xC0) == 0x80)
        size--;
    string[size] = '\0';
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
    shorten(clean.text, clean.size);
    *string = clean.text;
    clean.text = NULL;
    normalised_text_release(&clean);
    return LMK_OK;
}

/* What the file name says in so many words, else what the text lets guess. */
static struct heading guess(const struct source_document *document, struct slice body)
{
    struct heading stated = heading_of_file_name(document->path);
    struct slice text = {document->text.text, document->text.size};
    struct heading guessed = heading_of_text(text);
    if (strcmp(document->kind, "markdown") == 0) {
        struct heading heading = heading_of_markdown(body);
        if (heading.title.size)
            guessed.title = heading.title;
    }
    if (stated.author.size || guessed.title.size == 0)
        guessed.title = stated.title;
    if (stated.author.size)
        guessed.author = stated.author;
    return guessed;
}

static enum lmk_status copy(char **copied, const char *string, const char *otherwise,
                            struct lmk_error *error)
{
    string = string ? string : otherwise;
    *copied = strdup(string);
    return *copied ? LMK_OK : error_memory(error, strlen(string) + 1);
}

static enum lmk_status name_document(struct source_document *document,
                                     const struct extract *extract,
                                     const struct gutenberg_book *book, struct lmk_error *error)
{
    struct heading guessed = {{0}, {0}};
    if (!extract->complete)
        guessed = guess(document, book->body);
    struct slice title = book->title.size ? book->title : extract->title;
    struct slice author = book->author.size ? book->author : extract->author;
    const char *language = extract->language ? extract->language : "";
    if (!language[0] || strlen(language) > LANGUAGE_BYTES)
        language = book->language;
    if (!language[0])
        language = language_detect((struct slice){document->text.text, document->text.size});
    enum lmk_status status = set_string(&document->title, title, guessed.title, error);
    if (!status)
        status = set_string(&document->author, author, guessed.author, error);
    return status ? status : copy(&document->language, language, "", error);
}

static enum lmk_status fill(struct source_document *document, const struct extract *extract,
                            struct lmk_error *error)
{
    struct gutenberg_book book = {.body = extract->text, .language = ""};
    if (!extract->complete)
        book = gutenberg_find(extract->text);
    enum lmk_status status = copy(&document->metadata, extract->metadata, "{}", error);
    if (!status)
        status = copy(&document->identity, extract->identity, "", error);
    if (!status)
        status = normalise_part(&document->text, extract, book.body, error);
    if (!status)
        status = check_text(&document->text, book.body.size, document->path, error);
    return status ? status : name_document(document, extract, &book, error);
}

static void release(struct source_document *document)
{
    free(document->path);
    free(document->title);
    free(document->author);
    free(document->language);
    free(document->metadata);
    free(document->identity);
    normalised_text_release(&document->text);
}

static enum lmk_status replace(char **string, const char *with, struct lmk_error *error)
{
    char *before = *string;
    enum lmk_status status = with[0] ? copy(string, with, "", error) : LMK_OK;
    if (*string != before)
        free(before);
    return status;
}

/* Calibre's words for the book. */
static enum lmk_status take_opf(struct source_document *document, const struct opf *opf,
                                struct lmk_error *error)
{
    enum lmk_status status = replace(&document->title, opf->title, error);
    if (!status)
        status = replace(&document->author, opf->author, error);
    if (!status)
        status = replace(&document->language, opf->language, error);
    cJSON *metadata = opf->year[0] ? cJSON_Parse(document->metadata) : NULL;
    if (status || !metadata)
        return status;
    cJSON_DeleteItemFromObjectCaseSensitive(metadata, "year");
    cJSON_AddNumberToObject(metadata, "year", atoi(opf->year));
    char *printed = cJSON_PrintUnformatted(metadata);
    status = printed ? replace(&document->metadata, printed, error) : error_memory(error, 64);
    cJSON_free(printed);
    cJSON_Delete(metadata);
    return status;
}

enum lmk_status source_give(const struct source *source, const struct extract *extract,
                            struct lmk_error *error)
{
    struct source_document document = {.kind = extract->kind,
                                       .source_bytes = extract->source_bytes,
                                       .places = extract->places,
                                       .place_count = extract->place_count};
    enum lmk_status status = copy(&document.path, extract->path, source->path, error);
    if (!status)
        status = fill(&document, extract, error);
    if (!status && source->opf && !extract->path)
        status = take_opf(&document, source->opf, error);
    if (!status) {
        status = source->sink->take(source->sink->context, &document, error);
        *source->stopped = status != LMK_OK;
    }
    release(&document);
    return status;
}

/* ---- Text */

static enum lmk_status read_encoded(const struct source *source, const char *encoding,
                                    struct extract *extract, struct lmk_error *error)
{
    struct decoded_text decoded;
    if (source->bytes.size > ENCODED_MAX)
        return error_set(
            error, LMK_INPUT,
            "%s is text in %s and larger than 64 MiB: convert it to UTF-8 (iconv -f %s "
            "-t UTF-8).",
            source->path, encoding, encoding);
    enum lmk_status status = encoding_decode(&decoded, source->bytes, encoding, error);
    if (status)
        return status;
    extract->text = (struct slice){(const char *)decoded.text.data, decoded.text.size};
    extract->runs = (const struct map_run *)(const void *)decoded.runs.data;
    extract->run_count = decoded.runs.size / sizeof(struct map_run);
    extract->invalid_bytes = decoded.invalid_bytes;
    if (memchr(extract->text.size ? extract->text.text : "", 0, extract->text.size))
        status =
            error_set(error, LMK_INPUT, "%s is no text: it has a NUL character.", source->path);
    else
        status = source_give(source, extract, error);
    decoded_text_release(&decoded);
    return status;
}

static enum lmk_status read_text(const struct source *source, struct lmk_error *error)
{
    static const struct map_run behind_mark = {0, 3};
    struct slice bytes = source->bytes;
    bool is_markdown = is_any(inner_suffix(source->path), markdown);
    struct extract extract = {.kind = is_markdown ? "markdown" : "text",
                              .text = bytes,
                              .source_size = bytes.size,
                              .source_bytes = bytes.size};
    const char *encoding = encoding_detect(bytes);
    if (encoding && strcmp(encoding, "UTF-8"))
        return read_encoded(source, encoding, &extract, error);
    const char *nul = memchr(bytes.text, 0, bytes.size);
    if (nul)
        return error_set(error, LMK_INPUT, "%s is no text: it has a NUL byte at offset %zu.",
                         source->path, (size_t)(nul - bytes.text));
    if (bytes.size >= 3 && memcmp(bytes.text, "\xEF\xBB\xBF", 3) == 0) {
        extract.text = slice_after(bytes, 3);
        extract.runs = &behind_mark;
        extract.run_count = 1;
    }
    return source_give(source, &extract, error);
}

/* ---- Compressed files */

static enum lmk_status unpack(struct unpacker *unpacker, const char *path, struct buffer *bytes,
                              struct lmk_error *error)
{
    struct slice piece;
    enum lmk_status status;
    while (!(status = unpacker_next(unpacker, &piece, error)) && piece.size) {
        if (piece.size > bytes->limit - bytes->size)
            return error_set(
                error, LMK_INPUT,
                "%s holds more than 1 GiB, the most that lmk reads from one compressed "
                "text.",
                path);
        if ((status = buffer_append(bytes, piece.text, piece.size, error)))
            return status;
    }
    return status;
}

static enum lmk_status read_packed(const struct source *source, struct lmk_error *error)
{
    struct unpacker *unpacker;
    struct buffer bytes;
    struct slice start;
    enum lmk_status status = unpacker_open(&unpacker, source->bytes, source->path, error);
    if (!status)
        status = unpacker_next(unpacker, &start, error);
    bool has_lines = is_any(inner_suffix(source->path), lines) || (!status && jsonl_begins(start));
    if (!status && (has_lines || archive_begins(start))) {
        unpacker_close(unpacker);
        return has_lines ? jsonl_read(source, error) : archived_read(source, error);
    }
    buffer_init(&bytes, UNPACKED_MAX);
    if (!status)
        status = buffer_append(&bytes, start.text, start.size, error);
    if (!status)
        status = unpack(unpacker, source->path, &bytes, error);
    unpacker_close(unpacker);
    struct source inner = *source;
    inner.bytes = (struct slice){(const char *)bytes.data, bytes.size};
    if (!status && is_packed(inner.bytes))
        status =
            error_set(error, LMK_INPUT,
                      "%s is damaged: it begins like a compressed file but is none.", source->path);
    if (!status)
        status = source_read(&inner, error);
    buffer_release(&bytes);
    return status;
}

/* ---- Any file */

static bool is_lines(const char *path, struct slice bytes)
{
    return jsonl_begins(bytes) || (is_any(inner_suffix(path), lines) && slice_trim(bytes).size);
}

enum lmk_status source_read(const struct source *source, struct lmk_error *error)
{
    struct slice bytes = source->bytes;
    if (bytes.size == 0)
        return error_set(error, LMK_INPUT, "%s is empty: there is nothing to index.", source->path);
    if (is_packed(bytes))
        return read_packed(source, error);
    if (is_lines(source->path, bytes))
        return jsonl_read(source, error);
    if (pdf_begins(bytes))
        return pdf_read(source, error);
    if (book_is_epub(bytes))
        return book_read_epub(source, error);
    if (archive_begins(bytes))
        return archived_read(source, error);
    if (html_begins(bytes) ||
        (is_any(inner_suffix(source->path), pages) && memchr(bytes.text, '<', bytes.size)))
        return book_read_html(source, error);
    if (bytes.size > TEXT_SIZE_MAX)
        return error_set(
            error, LMK_INPUT,
            "%s is larger than 4 GiB, the most that lmk reads from one text: split it.",
            source->path);
    return read_text(source, error);
}

/* Reads with what stands beside the file, if it is in a Calibre folder. */
static enum lmk_status read_with_opf(struct source *source, struct lmk_error *error)
{
    const char *slash = strrchr(source->path, '/');
    char *beside = NULL;
    struct mapped_file file;
    struct opf opf;
    if (asprintf(&beside, "%.*smetadata.opf", slash ? (int)(slash + 1 - source->path) : 0,
                 source->path) < 0)
        return error_memory(error, strlen(source->path));
    bool found = !mapped_file_open(&file, beside, NULL);
    free(beside);
    if (!found)
        return source_read(source, error);
    enum lmk_status status =
        opf_read(&opf, (struct slice){(const char *)file.data, file.size}, error);
    mapped_file_close(&file);
    if (status)
        return status;
    source->opf = &opf;
    status = source_read(source, error);
    source->opf = NULL;
    opf_release(&opf);
    return status;
}

static enum lmk_status open_file(struct mapped_file *file, const char *path,
                                 struct lmk_error *error)
{
    struct stat information;
    *file = (struct mapped_file){0};
    if (stat(path, &information))
        return error_system(error, "Cannot open %s", path);
    if (!S_ISREG(information.st_mode))
        return error_set(error, LMK_IO, "Cannot read %s: it is not a regular file.", path);
    return mapped_file_open(file, path, error);
}

static enum lmk_status read_file(const char *path, const struct reader_sink *sink,
                                 struct lmk_error *error)
{
    struct mapped_file file;
    bool stopped = false;
    enum lmk_status status = open_file(&file, path, error);
    if (status)
        return status;
    struct source source = {.path = path,
                            .bytes = {(const char *)file.data, file.size},
                            .sink = sink,
                            .stopped = &stopped};
    status = read_with_opf(&source, error);
    mapped_file_close(&file);
    return status;
}

static enum lmk_status read_standard_input(const struct reader_sink *sink, struct lmk_error *error)
{
    struct buffer bytes;
    bool stopped = false;
    char piece[65536];
    ssize_t size;
    enum lmk_status status = LMK_OK;
    buffer_init(&bytes, UNPACKED_MAX);
    while (!status && (size = read(STDIN_FILENO, piece, sizeof piece)) != 0) {
        if (size < 0)
            status = error_system(error, "Cannot read standard input");
        else if ((size_t)size > bytes.limit - bytes.size)
            status = error_set(error, LMK_INPUT,
                               "Standard input holds more than 1 GiB, the most that lmk reads from "
                               "it: name a file.");
        else
            status = buffer_append(&bytes, piece, (size_t)size, error);
    }
    struct source source = {.path = "-",
                            .bytes = {(const char *)bytes.data, bytes.size},
                            .sink = sink,
                            .stopped = &stopped};
    if (!status)
        status = source_read(&source, error);
    buffer_release(&bytes);
    return status;
}

enum lmk_status reader_read(const char *path, const struct reader_sink *sink,
                            struct lmk_error *error)
{
    return strcmp(path, "-") ? read_file(path, sink, error) : read_standard_input(sink, error);
}

/* Those lines that begin in [from, end), to the end of the last. Where none begins, no more than
 * these bytes are looked at: a line can be long. */
static struct slice lines_within(struct slice bytes, uint64_t from, uint64_t end)
{
    static const struct slice none;
    end = end < bytes.size ? end : bytes.size;
    if (from >= end)
        return none;
    const char *first = bytes.text + from, *last = bytes.text + end - 1;
    if (from) {
        const char *feed = memchr(first - 1, '\n', end - from);
        if (!feed)
            return none;
        first = feed + 1;
    }
    const char *feed = memchr(last, '\n', bytes.size - end + 1),
               *behind = feed ? feed + 1 : bytes.text + bytes.size;
    return (struct slice){first, (size_t)(behind - first)};
}

enum lmk_status reader_read_lines(const char *path, uint64_t from, uint64_t end, uint64_t *bytes,
                                  const struct reader_sink *sink, struct lmk_error *error)
{
    struct mapped_file file;
    bool stopped = false;
    enum lmk_status status = open_file(&file, path, error);
    if (status)
        return status;
    const struct slice whole = {(const char *)file.data, file.size};
    struct source source = {
        .path = path, .bytes = lines_within(whole, from, end), .sink = sink, .stopped = &stopped};
    *bytes = source.bytes.size;
    if (*bytes)
        status = jsonl_read(&source, error);
    mapped_file_close(&file);
    return status;
}

bool reader_has_lines(const char *path)
{
    struct mapped_file file;
    if (open_file(&file, path, NULL))
        return false;
    struct slice bytes = {(const char *)file.data, file.size};
    bool has = bytes.size && !is_packed(bytes) && is_lines(path, bytes);
    mapped_file_close(&file);
    return has;
}

/* JSON lines are used for many things. */
static bool holds_records(const char *path)
{
    struct mapped_file file;
    struct unpacker *unpacker;
    struct slice piece;
    if (mapped_file_open(&file, path, NULL))
        return true; /* the reader will say what is wrong */
    bool holds = true;
    if (file.size &&
        !unpacker_open(&unpacker, (struct slice){(const char *)file.data, file.size}, path, NULL)) {
        holds = unpacker_next(unpacker, &piece, NULL) || jsonl_begins(piece) ||
                !memchr(piece.text, '\n', piece.size); /* the reader will see more of the line */
        unpacker_close(unpacker);
    }
    mapped_file_close(&file);
    return holds;
}

bool reader_is_packed(const char *path)
{
    struct slice suffix = suffix_of((struct slice){path, strlen(path)});
    return is_any(suffix, compressed) || is_any(suffix, archives);
}

bool reader_knows_suffix(const char *path)
{
    static const char *const *const known[] = {plain, markdown, pages, books, lines, archives};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (is_any(inner_suffix(path), known[i]))
            return true;
    return false;
}

bool reader_wants(const char *path)
{
    return reader_knows_suffix(path) && (!is_any(inner_suffix(path), lines) || holds_records(path));
}
