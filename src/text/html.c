#include "src/text/encoding.h"
#include "src/text/markup.h"
#include "src/text/markup_internal.h"
#include "src/text/utf8.h"

#include <ctype.h>
#include <libxml/HTMLparser.h>
#include <string.h>
#include <strings.h>
#include <threads.h>

#define HEADING_MAX 250 /* bytes of one that are kept */
#define SECTIONS_MAX 20000

/* White space that waits for the next character. */
enum gap { GAP_NONE, GAP_SPACE, GAP_LINE, GAP_PARAGRAPH };

/* A page at work. */
struct page {
    struct html_text *result;
    htmlParserCtxtPtr parser;
    enum gap gap;
    int depth, left_out; /* depth of the element that is left out with all in it, 0: none */
    int preformatted;    /* elements of pre at work */
    int heading;         /* level of the one at work, 0: none */
    int last_level;      /* of the last section's heading */
    size_t heading_start, heading_end;
    char *field; /* title, while it is read */
    enum lmk_status status;
    struct lmk_error *error;
};

static bool is_one_of(const char *name, const char *const *names)
{
    while (*names && strcasecmp(name, *names) != 0)
        names++;
    return *names != NULL;
}

/* True if one of the words of `list` is one of `words`. */
static bool has_word(const char *list, const char *const *words)
{
    for (; list && *list; list += strspn(list, " \t\r\n")) {
        size_t size = strcspn(list, " \t\r\n");
        for (const char *const *word = words; *word; word++)
            if (strlen(*word) == size && !strncasecmp(list, *word, size))
                return true;
        list += size;
    }
    return false;
}

/* ---- What is left out */

static bool is_left_out(const char *name, const char *const *attributes)
{
    static const char *const elements[] = {
        "script", "style",  "template", "nav",    "svg",   "object", "iframe", "noscript",
        "select", "button", "textarea", "canvas", "audio", "video",  "map",    NULL};
    static const char *const types[] = {"footnote", "footnotes", "endnote",   "endnotes",
                                        "rearnote", "rearnotes", "noteref",   "pagebreak",
                                        "toc",      "landmarks", "page-list", "loi",
                                        "lot",      "index",     "backlink",  NULL};
    static const char *const roles[] = {
        "doc-footnote", "doc-endnote",  "doc-endnotes", "doc-noteref", "doc-pagebreak",
        "doc-toc",      "doc-pagelist", "doc-backlink", "navigation",  NULL};
    /* of Project Gutenberg, pandoc, Calibre */
    static const char *const classes[] = {
        "footnote",      "footnotes", "fnanchor", "footnote-ref", "noteref",
        "footnote-back", "pagenum",   "pageno",   "pagenumber",   NULL};
    return is_one_of(name, elements) || has_word(markup_attribute(attributes, "type"), types) ||
           has_word(markup_attribute(attributes, "role"), roles) ||
           has_word(markup_attribute(attributes, "class"), classes) ||
           markup_attribute(attributes, "hidden");
}

/* ---- Text */

static void append(struct page *page, const char *text, size_t size)
{
    struct buffer *buffer = &page->result->text;
    if (page->status)
        return;
    if (size > buffer->limit - buffer->size) {
        page->status = error_set(page->error, LMK_INPUT, "the text is too long");
        xmlStopParser(page->parser);
    } else
        page->status = buffer_append(buffer, text, size, page->error);
}

static void close_gap(struct page *page)
{
    static const char *const gaps[] = {"", " ", "\n", "\n\n"};
    if (page->result->text.size > 0 && page->gap != GAP_NONE)
        append(page, gaps[page->gap], strlen(gaps[page->gap]));
    page->gap = GAP_NONE;
}

static void widen(struct page *page, enum gap gap)
{
    if (gap > page->gap)
        page->gap = gap;
}

/* Bytes of white space, or of a character that has no width, at `text`; 0: something else. */
static size_t white_size(const char *text, size_t size, bool *none)
{
    static const char *const others[] = {"\xC2\xA0",     "\xC2\xAD",     "\xE2\x80\x8B",
                                         "\xEF\xBB\xBF", "\xE2\x81\xA0", NULL};
    *none = false;
    if (strchr(" \t\r\n\f\v", text[0]) && text[0])
        return 1;
    for (size_t i = 0; others[i]; i++)
        if (size >= strlen(others[i]) && !memcmp(text, others[i], strlen(others[i]))) {
            *none = i > 0;
            return strlen(others[i]);
        }
    return 0;
}

static void add_text(struct page *page, const char *text, size_t size)
{
    while (size && !page->status) {
        bool none;
        size_t white = white_size(text, size, &none), plain = 0;
        if (white && !none)
            widen(page, page->preformatted && text[0] == '\n' ? GAP_LINE : GAP_SPACE);
        while (!white && plain < size && !white_size(text + plain, size - plain, &none))
            plain++;
        if (plain) {
            close_gap(page);
            append(page, text, plain);
        }
        text += white + plain;
        size -= white + plain;
    }
}

/* Appends to a string of a fixed size, white space made one space, whole characters only. */
static void add_field(char *field, size_t room, const char *text, size_t size)
{
    size_t at = strlen(field);
    for (size_t i = 0; i < size;) {
        bool valid;
        size_t length = utf8_length(text + i, size - i, &valid);
        bool white = length == 1 && isspace((unsigned char)text[i]);
        if (at + length + 1 > room)
            break;
        if (!white || (at && field[at - 1] != ' ')) {
            memcpy(field + at, white ? " " : text + i, length);
            at += length;
        }
        i += length;
    }
    field[at] = '\0';
}

static void set_field(char *field, size_t room, const char *text)
{
    if (!field[0] && text)
        add_field(field, room, text, strlen(text));
}

/* ---- Sections */

static void start_heading(struct page *page, int level)
{
    widen(page, GAP_PARAGRAPH);
    close_gap(page);
    page->heading = level;
    page->heading_start = page->result->text.size;
}

static enum lmk_status add_name(struct html_text *result, const char *name, struct lmk_error *error)
{
    return buffer_append(&result->names, name, strlen(name) + 1, error);
}

/* A heading right below another one, such as a number and a name, goes on with its section. */
static bool goes_on(const struct page *page)
{
    return page->last_level > 1 && page->heading_end && page->heading > 1 &&
           page->heading_start <= page->heading_end + 2;
}

static void end_heading(struct page *page)
{
    struct html_text *result = page->result;
    char name[HEADING_MAX + 1] = "";
    size_t start = page->heading_start, count = result->sections.size / sizeof(struct html_section);
    if (page->status || result->text.size == start || count >= SECTIONS_MAX) {
        page->heading = 0;
        return;
    }
    struct html_section section = {start, result->names.size};
    if (goes_on(page) && count) {
        section = ((const struct html_section *)(const void *)result->sections.data)[count - 1];
        const char *before = (const char *)result->names.data + section.heading;
        add_field(name, sizeof name, before, strlen(before));
        size_t size = strlen(name);
        add_field(name, sizeof name, size && ispunct((unsigned char)name[size - 1]) ? " " : ": ",
                  size && ispunct((unsigned char)name[size - 1]) ? 1 : 2);
        result->sections.size -= sizeof section;
        result->names.size = section.heading;
    }
    add_field(name, sizeof name, (const char *)result->text.data + start,
              result->text.size - start);
    page->status = buffer_append(&result->sections, &section, sizeof section, page->error);
    if (!page->status)
        page->status = add_name(result, name, page->error);
    page->heading_end = result->text.size;
    page->last_level = page->heading;
    page->heading = 0;
}

/* ---- Elements */

static int heading_level(const char *name)
{
    return strlen(name) == 2 && tolower((unsigned char)name[0]) == 'h' && name[1] >= '1' &&
                   name[1] <= '3'
               ? name[1] - '0'
               : 0;
}

/* Elements between which there is no paragraph. */
static bool is_inline(const char *name)
{
    static const char *const names[] = {
        "a",    "abbr",  "acronym", "b",   "bdi", "bdo",    "big",    "br",   "cite",
        "code", "data",  "del",     "dfn", "em",  "font",   "i",      "img",  "ins",
        "kbd",  "label", "mark",    "q",   "rb",  "ruby",   "s",      "samp", "small",
        "span", "rp",    "rt",      "sub", "sup", "strike", "strong", "time", "tt",
        "u",    "var",   "wbr",     "td",  "th",  "o:p",    NULL};
    return is_one_of(name, names);
}

static void read_meta(struct html_text *result, const char *const *attributes)
{
    static const char *const authors[] = {"author", "dc.creator", "dcterms.creator",
                                          "citation_author", NULL};
    static const char *const dates[] = {
        "date", "dc.date", "dcterms.date", "citation_date", "citation_publication_date", NULL};
    static const char *const languages[] = {"dc.language", "dcterms.language", NULL};
    const char *name = markup_attribute(attributes, "name"),
               *content = markup_attribute(attributes, "content");
    if (!name || !content)
        return;
    if (is_one_of(name, authors))
        set_field(result->author, sizeof result->author, content);
    else if (is_one_of(name, languages))
        set_field(result->language, sizeof result->language, content);
    else if (is_one_of(name, dates) && strspn(content, "0123456789") == 4) {
        result->year[0] = '\0';
        add_field(result->year, 5, content, 4);
    }
}

static void on_start(void *context, const xmlChar *element, const xmlChar **pairs)
{
    struct page *page = context;
    const char *name = (const char *)element;
    const char *const *attributes = (const char *const *)pairs;
    page->depth++;
    if (page->left_out)
        return;
    if (is_left_out(name, attributes)) {
        page->left_out = page->depth;
        return;
    }
    if (!strcasecmp(name, "html"))
        set_field(page->result->language, sizeof page->result->language,
                  markup_attribute(attributes, "lang"));
    else if (!strcasecmp(name, "meta"))
        read_meta(page->result, attributes);
    else if (!strcasecmp(name, "title") && !page->result->title[0])
        page->field = page->result->title;
    else if (!strcasecmp(name, "title"))
        page->left_out = page->depth;
    else if (heading_level(name))
        start_heading(page, heading_level(name));
    else if (!strcasecmp(name, "br"))
        widen(page, GAP_LINE);
    else if (!strcasecmp(name, "td") || !strcasecmp(name, "th"))
        widen(page, GAP_SPACE);
    else if (!is_inline(name))
        widen(page, page->heading ? GAP_SPACE : GAP_PARAGRAPH);
    page->preformatted += !strcasecmp(name, "pre");
}

static void on_end(void *context, const xmlChar *element)
{
    struct page *page = context;
    const char *name = (const char *)element;
    bool left_out = page->left_out != 0;
    if (page->left_out == page->depth)
        page->left_out = 0;
    page->depth--;
    if (left_out)
        return;
    page->preformatted -= !strcasecmp(name, "pre") && page->preformatted;
    if (!strcasecmp(name, "title"))
        page->field = NULL;
    else if (heading_level(name) && page->heading) {
        end_heading(page);
        widen(page, GAP_PARAGRAPH);
    } else if (!is_inline(name))
        widen(page, page->heading ? GAP_SPACE : GAP_PARAGRAPH);
}

static void on_text(void *context, const xmlChar *text, int size)
{
    struct page *page = context;
    if (size <= 0 || page->left_out)
        return;
    if (page->field)
        add_field(page->field, sizeof page->result->title, (const char *)text, (size_t)size);
    else
        add_text(page, (const char *)text, (size_t)size);
}

/* ---- Encoding */

/* The name behind `key` in the first bytes: of <meta charset="..."> or <?xml encoding="..."?>. */
static bool declared_encoding(struct slice bytes, const char *key, char name[40])
{
    struct slice head = {bytes.text, bytes.size < 2048 ? bytes.size : 2048};
    for (; head.size; head = slice_after(head, 1)) {
        if (!slice_starts_with(head, key))
            continue;
        struct slice value = slice_trim(slice_after(head, strlen(key)));
        if (!value.size || value.text[0] != '=')
            continue;
        value = slice_trim(slice_after(value, 1));
        if (value.size && (value.text[0] == '"' || value.text[0] == '\''))
            value = slice_after(value, 1);
        size_t size = 0;
        while (size < value.size && size < 39 &&
               (isalnum((unsigned char)value.text[size]) || strchr("-_", value.text[size])) &&
               value.text[size]) {
            name[size] = value.text[size];
            size++;
        }
        name[size] = '\0';
        return size > 0;
    }
    return false;
}

/* The encoding that is meant by a name: those of which Windows-1252 holds all characters stand for
 * it on the web. NULL: one that the bytes tell better. */
static const char *meant_encoding(const char *name)
{
    static const char *const detected[] = {"utf-8",    "utf8",  "utf-16", "utf-16le",
                                           "utf-16be", "utf16", NULL};
    static const char *const windows[] = {"iso-8859-1", "iso8859-1", "iso_8859-1", "latin1",
                                          "latin-1",    "us-ascii",  "ascii",      NULL};
    return is_one_of(name, detected) ? NULL : is_one_of(name, windows) ? "WINDOWS-1252" : name;
}

/* True for UTF-8 that is more than ASCII: nothing else looks like it. */
static bool is_surely_utf8(struct slice bytes)
{
    bool valid = true, others = false;
    for (size_t i = 0, size; i < bytes.size && valid; i += size) {
        size = utf8_length(bytes.text + i, bytes.size - i, &valid);
        others |= size > 1;
    }
    return valid && others;
}

/* What the page says, unless its bytes speak against it. */
static const char *page_encoding(struct slice bytes, char name[40])
{
    const char *detected = encoding_detect(bytes);
    if (detected && !strncmp(detected, "UTF-16", 6))
        return detected;
    bool marked = bytes.size >= 3 && !memcmp(bytes.text, "\xEF\xBB\xBF", 3);
    bool declared = !marked && ((slice_starts_with(slice_trim(bytes), "<?xml") &&
                                 declared_encoding(bytes, "encoding", name)) ||
                                declared_encoding(bytes, "charset", name));
    const char *meant = declared && !is_surely_utf8(bytes) ? meant_encoding(name) : NULL;
    return meant ? meant : detected ? detected : "UTF-8";
}

/* The page in valid UTF-8 without NUL. */
static enum lmk_status to_utf8(struct html_text *result, struct slice bytes, struct buffer *page,
                               struct lmk_error *error)
{
    char declared[40];
    const char *encoding = page_encoding(bytes, declared);
    enum lmk_status status = encoding_convert(page, bytes, encoding, &result->invalid_bytes, error);
    if (status == LMK_INPUT) /* a name of nothing that exists */
        status = encoding_convert(page, bytes, "WINDOWS-1252", &result->invalid_bytes, error);
    return status;
}

/* The page behind a document type with declarations, of which the parser would make text. */
static struct slice after_declarations(struct slice page)
{
    struct slice head = {page.text, page.size < 4096 ? page.size : 4096};
    for (; head.size; head = slice_after(head, 1)) {
        if (!slice_starts_with(head, "<!doctype"))
            continue;
        const char *inner = memchr(head.text, '[', head.size),
                   *close = memchr(head.text, '>', head.size);
        struct slice rest = slice_after(page, (size_t)(head.text - page.text));
        const char *end =
            inner && close && inner < close ? memmem(rest.text, rest.size, "]>", 2) : NULL;
        return end ? slice_after(page, (size_t)(end + 2 - page.text)) : page;
    }
    return page;
}

/* ---- Pages */

static void start_library(void)
{
    xmlInitParser();
}

void markup_start_library(void)
{
    static once_flag once = ONCE_FLAG_INIT;
    call_once(&once, start_library);
}

const char *markup_library_version(void)
{
    return LIBXML_DOTTED_VERSION;
}

static enum lmk_status parse(struct page *page, struct slice bytes, const char *path)
{
    struct markup_input input = {.left = bytes, .parser = htmlNewParserCtxt()};
    if (!input.parser)
        return error_memory(page->error, bytes.size);
    page->parser = input.parser;
    *page->parser->sax = (xmlSAXHandler){.startElement = on_start,
                                         .endElement = on_end,
                                         .characters = on_text,
                                         .ignorableWhitespace = on_text,
                                         .cdataBlock = on_text,
                                         .initialized = 1};
    page->parser->userData = page;
    htmlCtxtReadIO(page->parser, markup_input_read, NULL, &input, NULL, "UTF-8",
                   HTML_PARSE_NONET | HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING |
                       HTML_PARSE_RECOVER | HTML_PARSE_IGNORE_ENC | HTML_PARSE_NODEFDTD);
    htmlFreeParserCtxt(page->parser);
    if (input.many_attributes)
        return error_set(page->error, LMK_INPUT,
                         "%s has an element with more than %d attributes: that is no text.", path,
                         MARKUP_ATTRIBUTES);
    if (input.deep)
        return error_set(page->error, LMK_INPUT,
                         "%s is nested thousands of elements deep: that is no text.", path);
    if (page->status == LMK_INPUT)
        return error_set(page->error, LMK_INPUT, "%s holds more text than lmk reads from one book.",
                         path);
    return page->status;
}

void html_text_init(struct html_text *result, size_t text_max)
{
    *result = (struct html_text){.invalid_bytes = 0};
    buffer_init(&result->text, text_max);
    buffer_init(&result->sections, SIZE_MAX / 2);
    buffer_init(&result->names, SIZE_MAX / 2);
}

void html_text_release(struct html_text *result)
{
    buffer_release(&result->text);
    buffer_release(&result->sections);
    buffer_release(&result->names);
}

enum lmk_status html_read(struct html_text *result, struct slice bytes, const char *path,
                          struct lmk_error *error)
{
    struct page page = {.result = result, .gap = GAP_PARAGRAPH, .error = error};
    struct buffer text;
    if (bytes.size > MARKUP_SIZE_MAX / 4)
        return error_set(error, LMK_INPUT,
                         "%s is larger than 64 MiB, the most that lmk reads from one page.", path);
    markup_start_library();
    buffer_init(&text, MARKUP_SIZE_MAX);
    enum lmk_status status = to_utf8(result, bytes, &text, error);
    if (!status && text.size)
        status = parse(
            &page, after_declarations((struct slice){(const char *)text.data, text.size}), path);
    buffer_release(&text);
    return status;
}

bool html_begins(struct slice bytes)
{
    if (bytes.size > 4096)
        bytes.size = 4096;
    if (bytes.size >= 3 && !memcmp(bytes.text, "\xEF\xBB\xBF", 3))
        bytes = slice_after(bytes, 3);
    bytes = slice_trim(bytes);
    while (slice_starts_with(bytes, "<!--") || slice_starts_with(bytes, "<?xml")) {
        const char *end = slice_starts_with(bytes, "<!--") ? "-->" : "?>";
        const char *found = memmem(bytes.text, bytes.size, end, strlen(end));
        if (!found)
            return false;
        bytes = slice_trim(slice_after(bytes, (size_t)(found - bytes.text) + strlen(end)));
    }
    return slice_starts_with(bytes, "<!doctype html") || slice_starts_with(bytes, "<html") ||
           slice_starts_with(bytes, "<head>") || slice_starts_with(bytes, "<body");
}
