#include "src/text/archive.h"
#include "src/text/book.h"
#include "src/text/opf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MARKUP_TOTAL_MAX ((size_t)256 << 20) /* of all pages of a book */
#define MEMBERS_MAX 20000

/* A page or a package document of the book. */
struct member {
    char *name;         /* owned */
    size_t start, size; /* in epub's bytes */
    bool given;
};

struct epub {
    struct buffer bytes, members; /* struct member */
    bool is_protected;
};

bool book_is_epub(struct slice bytes)
{
    static const char mimetype[] = "mimetypeapplication/epub+zip";
    struct slice head = {bytes.text, bytes.size < 256 ? bytes.size : 256};
    if (bytes.size < 30 + sizeof mimetype || memcmp(bytes.text, "PK\3\4", 4) != 0)
        return false;
    if (memmem(head.text, head.size, mimetype, sizeof mimetype - 1))
        return true;
    /* The directory of the archive stands at its end. */
    struct slice tail = slice_after(bytes, bytes.size > 1 << 20 ? bytes.size - (1 << 20) : 0);
    return memmem(tail.text, tail.size, "META-INF/container.xml", 22);
}

/* ---- The archive */

static bool ends_with(const char *name, const char *suffix)
{
    size_t size = strlen(name), wanted = strlen(suffix);
    return size >= wanted && !strcasecmp(name + size - wanted, suffix);
}

/* By its name; whether a page is read says the package document. */
static bool is_markup(const char *name)
{
    static const char *const suffixes[] = {".xhtml", ".html", ".htm", ".xml", ".opf"};
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++)
        if (ends_with(name, suffixes[i]))
            return true;
    return false;
}

static enum lmk_status add_member(struct epub *epub, struct archive_reader *archive,
                                  const char *path, const char *name, struct lmk_error *error)
{
    bool fatal;
    struct member member = {strdup(name), epub->bytes.size, 0, false};
    if (!member.name)
        return error_memory(error, strlen(name) + 1);
    enum lmk_status status = archive_reader_read(archive, &epub->bytes, &fatal, error);
    member.size = epub->bytes.size - member.start;
    if (!status && epub->members.size / sizeof member >= MEMBERS_MAX)
        status = error_set(error, LMK_INPUT, "%s has more than %d pages: that is no book.", path,
                           MEMBERS_MAX);
    if (!status)
        status = buffer_append(&epub->members, &member, sizeof member, error);
    if (status)
        free(member.name);
    return status;
}

static enum lmk_status load(struct epub *epub, const struct source *source, struct lmk_error *error)
{
    struct archive_reader *archive;
    const char *name;
    enum lmk_status status = archive_reader_open(&archive, source->bytes, source->path, error);
    while (!status && !(status = archive_reader_next(archive, &name, error)) && name) {
        epub->is_protected |=
            !strcmp(name, "META-INF/rights.xml") || !strcmp(name, "META-INF/sinf.xml");
        if (is_markup(name))
            status = add_member(epub, archive, source->path, name, error);
    }
    archive_reader_close(archive);
    if (status == LMK_MEMORY && epub->bytes.size > MARKUP_TOTAL_MAX / 2)
        status = error_set(error, LMK_INPUT, "%s holds more text than lmk reads from one book.",
                           source->path);
    return status;
}

static void release(struct epub *epub)
{
    struct member *members = (struct member *)(void *)epub->members.data;
    for (size_t i = 0; i < epub->members.size / sizeof *members; i++)
        free(members[i].name);
    buffer_release(&epub->members);
    buffer_release(&epub->bytes);
}

static struct member *find(const struct epub *epub, const char *name)
{
    struct member *members = (struct member *)(void *)epub->members.data;
    for (size_t i = 0; i < epub->members.size / sizeof *members; i++)
        if (!strcmp(members[i].name, name))
            return &members[i];
    return NULL;
}

static struct slice content(const struct epub *epub, const struct member *member)
{
    struct slice all = {(const char *)epub->bytes.data, epub->bytes.size};
    return (struct slice){slice_after(all, member->start).text, member->size};
}

/* ---- The package document */

static void on_rootfile(void *context, const char *name, const char *const *attributes)
{
    char *path = context;
    const char *value = markup_attribute(attributes, "full-path");
    if (!strcmp(name, "rootfile") && !path[0] && value)
        snprintf(path, 1024, "%s", value);
}

static void ignore_end(void *context, const char *name)
{
    (void)context;
    (void)name;
}

static void ignore_text(void *context, const char *text, size_t size)
{
    (void)context;
    (void)text;
    (void)size;
}

/* Named in the container, else the first there is. */
static struct member *find_package(const struct epub *epub)
{
    static const struct markup_handler handler = {on_rootfile, ignore_end, ignore_text};
    struct member *container = find(epub, "META-INF/container.xml"), *package = NULL;
    char path[1024] = "";
    if (container)
        xml_parse(content(epub, container), &handler, path);
    if (path[0])
        package = find(epub, path);
    struct member *members = (struct member *)(void *)epub->members.data;
    for (size_t i = 0; !package && i < epub->members.size / sizeof *members; i++)
        if (ends_with(members[i].name, ".opf"))
            package = &members[i];
    return package;
}

static int hexadecimal(char c)
{
    return c >= '0' && c <= '9'                     ? c - '0'
           : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
                                                    : -1;
}

/* The name in the archive of `href` in the package document at `base`: decoded, "../" and "./"
 * followed. False: too long, or out of the archive. */
static bool resolve(const char *base, const char *href, char name[2048])
{
    const char *slash = strrchr(base, '/');
    size_t at = slash ? (size_t)(slash + 1 - base) : 0, folder = at;
    if (at + strlen(href) >= 2048)
        return false;
    memcpy(name, base, at);
    for (; *href && *href != '#'; href++) {
        bool encoded = href[0] == '%' && hexadecimal(href[1]) >= 0 && hexadecimal(href[2]) >= 0;
        name[at++] = encoded ? (char)(hexadecimal(href[1]) << 4 | hexadecimal(href[2])) : *href;
        href += encoded ? 2 : 0;
        name[at] = '\0';
        if (at - folder == 3 && !memcmp(name + folder, "../", 3)) {
            if (folder == 0)
                return false;
            for (folder--; folder > 0 && name[folder - 1] != '/';)
                folder--;
            at = folder;
        } else if (at - folder == 2 && !memcmp(name + folder, "./", 2))
            at = folder;
        else if (name[at - 1] == '/')
            folder = at;
    }
    name[at] = '\0';
    return true;
}

/* ---- Pages */

static enum lmk_status add_page(struct html_text *book, const struct epub *epub,
                                struct member *page, const struct source *source,
                                struct lmk_error *error)
{
    char path[1024];
    if (page->given)
        return LMK_OK;
    page->given = true;
    snprintf(path, sizeof path, "%s/%s", source->path, page->name);
    return html_read(book, content(epub, page), path, error);
}

/* A book without headings gets a section for each page, without a name. */
static enum lmk_status mark_pages(struct html_text *book, const struct buffer *starts,
                                  struct lmk_error *error)
{
    const size_t *start = (const size_t *)(const void *)starts->data;
    size_t count = starts->size / sizeof *start;
    enum lmk_status status = LMK_OK;
    if (book->sections.size || count < 2)
        return LMK_OK;
    for (size_t i = 0; i < count && !status; i++) {
        struct html_section section = {start[i], 0};
        status = buffer_append(&book->sections, &section, sizeof section, error);
    }
    return status ? status : buffer_append(&book->names, "", 1, error);
}

static enum lmk_status add_pages(struct html_text *book, const struct epub *epub,
                                 const struct opf *opf, const char *base,
                                 const struct source *source, struct lmk_error *error)
{
    struct buffer starts; /* size_t */
    buffer_init(&starts, SIZE_MAX / 2);
    enum lmk_status status = LMK_OK;
    bool skip;
    const char *href;
    for (size_t i = 0; !status && (href = opf_page(opf, i, &skip)); i++) {
        char name[2048];
        struct member *page = !skip && resolve(base, href, name) ? find(epub, name) : NULL;
        size_t start = book->text.size;
        if (page)
            status = add_page(book, epub, page, source, error);
        if (!status && book->text.size > start)
            status = buffer_append(&starts, &start, sizeof start, error);
    }
    if (!status)
        status = mark_pages(book, &starts, error);
    buffer_release(&starts);
    return status;
}

/* What the package says goes before what the pages say. */
static void take_names(struct html_text *book, const struct opf *opf)
{
    snprintf(book->title, sizeof book->title, "%s", opf->title);
    snprintf(book->author, sizeof book->author, "%s", opf->author);
    if (opf->language[0])
        snprintf(book->language, sizeof book->language, "%s", opf->language);
    snprintf(book->year, sizeof book->year, "%s", opf->year);
}

static enum lmk_status read_package(const struct source *source, const struct epub *epub,
                                    struct html_text *book, struct lmk_error *error)
{
    const struct member *package = find_package(epub);
    if (epub->is_protected)
        return error_set(error, LMK_INPUT, "%s is protected (DRM): its text cannot be read.",
                         source->path);
    if (!package)
        return error_set(error, LMK_INPUT,
                         "%s is no sound EPUB: it has no package document (.opf).", source->path);
    struct opf opf;
    enum lmk_status status = opf_read(&opf, content(epub, package), error);
    if (status)
        return status;
    status = add_pages(book, epub, &opf, package->name, source, error);
    take_names(book, &opf);
    opf_release(&opf);
    if (!status && !book->text.size)
        status =
            error_set(error, LMK_INPUT,
                      "%s has no text in its pages: they are missing, or pictures.", source->path);
    return status;
}

enum lmk_status book_read_epub(const struct source *source, struct lmk_error *error)
{
    struct epub epub = {.is_protected = false};
    struct html_text book;
    html_text_init(&book, MARKUP_TOTAL_MAX);
    buffer_init(&epub.bytes, MARKUP_TOTAL_MAX);
    buffer_init(&epub.members, SIZE_MAX / 2);
    enum lmk_status status = load(&epub, source, error);
    if (!status)
        status = read_package(source, &epub, &book, error);
    if (!status)
        status = book_give(source, "epub", &book, error);
    html_text_release(&book);
    release(&epub);
    return status;
}
