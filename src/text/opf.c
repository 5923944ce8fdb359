#include "src/text/opf.h"
#include "src/text/markup.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define ITEMS_MAX 10000

struct opf_item {
    size_t id, href; /* offsets in `strings` */
    bool page;       /* (X)HTML */
    bool navigation;
};

struct page_reference {
    size_t id; /* offset in `strings` */
    bool linear;
};

/* The document at work. */
struct work {
    struct opf *opf;
    bool metadata;
    char element[16]; /* of the metadata, whose text is read; "" none */
    char text[512];   /* so far */
    enum lmk_status status;
    struct lmk_error *error;
};

static size_t keep(struct work *work, const char *string)
{
    size_t at = work->opf->strings.size;
    if (!work->status)
        work->status = buffer_append(&work->opf->strings, string ? string : "",
                                     string ? strlen(string) + 1 : 1, work->error);
    return at;
}

static const char *string_at(const struct opf *opf, size_t at)
{
    return (const char *)opf->strings.data + at;
}

static bool has_word(const char *list, const char *word)
{
    size_t size = strlen(word);
    for (const char *at = list; at && (at = strstr(at, word)); at += size)
        if ((at == list || at[-1] == ' ') && (!at[size] || at[size] == ' '))
            return true;
    return false;
}

static void add_item(struct work *work, const char *const *attributes)
{
    const char *type = markup_attribute(attributes, "media-type");
    struct opf_item item = {
        .id = keep(work, markup_attribute(attributes, "id")),
        .href = keep(work, markup_attribute(attributes, "href")),
        .page = type && strstr(type, "html"),
        .navigation = has_word(markup_attribute(attributes, "properties"), "nav"),
    };
    if (!work->status && work->opf->items.size / sizeof item < ITEMS_MAX)
        work->status = buffer_append(&work->opf->items, &item, sizeof item, work->error);
}

static void add_to_spine(struct work *work, const char *const *attributes)
{
    const char *linear = markup_attribute(attributes, "linear");
    struct page_reference page = {keep(work, markup_attribute(attributes, "idref")),
                                  !linear || strcmp(linear, "no") != 0};
    if (!work->status && work->opf->spine.size / sizeof page < ITEMS_MAX)
        work->status = buffer_append(&work->opf->spine, &page, sizeof page, work->error);
}

/* EPUB 2 names its table of contents and its notes in the guide. */
static void add_reference(struct work *work, const char *const *attributes)
{
    const char *type = markup_attribute(attributes, "type");
    if (!type || (strcmp(type, "toc") != 0 && strcmp(type, "notes") != 0))
        return;
    size_t href = keep(work, markup_attribute(attributes, "href"));
    if (!work->status && work->opf->contents.size / sizeof href < 16)
        work->status = buffer_append(&work->opf->contents, &href, sizeof href, work->error);
}

static void on_start(void *context, const char *name, const char *const *attributes)
{
    static const char *const read[] = {"title", "creator", "language", "date"};
    struct work *work = context;
    if (!strcmp(name, "metadata"))
        work->metadata = true;
    else if (!strcmp(name, "item"))
        add_item(work, attributes);
    else if (!strcmp(name, "itemref"))
        add_to_spine(work, attributes);
    else if (!strcmp(name, "reference"))
        add_reference(work, attributes);
    work->element[0] = work->text[0] = '\0';
    const char *role = markup_attribute(attributes, "role"),
               *event = markup_attribute(attributes, "event");
    bool author = !role || !strcmp(role, "aut"), published = !event ||
                                                             !strcmp(event, "publication") ||
                                                             !strcmp(event, "original-publication");
    for (size_t i = 0; work->metadata && i < sizeof read / sizeof read[0]; i++)
        if (!strcmp(name, read[i]) && author && published)
            snprintf(work->element, sizeof work->element, "%s", name);
}

static void on_text(void *context, const char *text, size_t size)
{
    struct work *work = context;
    size_t at = strlen(work->text), room = sizeof work->text - 1 - at;
    if (!work->element[0] || size > room)
        return;
    memcpy(work->text + at, text, size);
    work->text[at + size] = '\0';
}

/* A year that somebody meant: Calibre writes 0101 for a date that is not known. */
static void set_year(struct opf *opf, struct slice date)
{
    size_t digits = 0;
    while (digits < date.size && isdigit((unsigned char)date.text[digits]))
        digits++;
    if (digits == 4 && !opf->year[0] && memcmp(date.text, "0101", 4) != 0)
        snprintf(opf->year, sizeof opf->year, "%.4s", date.text);
}

static void set_first(char *field, size_t room, struct slice text)
{
    if (!field[0] && text.size < room)
        snprintf(field, room, "%.*s", (int)text.size, text.text);
}

static void add_author(struct opf *opf, struct slice name)
{
    size_t at = strlen(opf->author), room = sizeof opf->author - at;
    if (name.size && name.size + strlen(" and ") < room)
        snprintf(opf->author + at, room, "%s%.*s", at ? " and " : "", (int)name.size, name.text);
}

static void on_end(void *context, const char *name)
{
    struct work *work = context;
    struct opf *opf = work->opf;
    struct slice text = slice_trim((struct slice){work->text, strlen(work->text)});
    if (!strcmp(name, "metadata"))
        work->metadata = false;
    if (strcmp(name, work->element) != 0)
        return;
    if (!strcmp(name, "title"))
        set_first(opf->title, sizeof opf->title, text);
    else if (!strcmp(name, "creator"))
        add_author(opf, text);
    else if (!strcmp(name, "language"))
        set_first(opf->language, sizeof opf->language, text);
    else
        set_year(opf, text);
    work->element[0] = '\0';
}

enum lmk_status opf_read(struct opf *opf, struct slice bytes, struct lmk_error *error)
{
    static const struct markup_handler handler = {on_start, on_end, on_text};
    *opf = (struct opf){.title = ""};
    struct work work = {.opf = opf, .error = error};
    buffer_init(&opf->strings, SIZE_MAX / 2);
    buffer_init(&opf->items, SIZE_MAX / 2);
    buffer_init(&opf->spine, SIZE_MAX / 2);
    buffer_init(&opf->contents, SIZE_MAX / 2);
    xml_parse(bytes, &handler, &work);
    if (work.status)
        opf_release(opf);
    return work.status;
}

void opf_release(struct opf *opf)
{
    buffer_release(&opf->strings);
    buffer_release(&opf->items);
    buffer_release(&opf->spine);
    buffer_release(&opf->contents);
}

static const struct opf_item *find_item(const struct opf *opf, const char *id)
{
    const struct opf_item *items = (const struct opf_item *)(const void *)opf->items.data;
    for (size_t i = 0; i < opf->items.size / sizeof *items; i++)
        if (!strcmp(string_at(opf, items[i].id), id))
            return &items[i];
    return NULL;
}

static bool is_contents(const struct opf *opf, const char *href)
{
    const size_t *contents = (const size_t *)(const void *)opf->contents.data;
    for (size_t i = 0; i < opf->contents.size / sizeof *contents; i++)
        if (!strcmp(string_at(opf, contents[i]), href))
            return true;
    return false;
}

const char *opf_page(const struct opf *opf, size_t index, bool *skip)
{
    const struct page_reference *spine =
        (const struct page_reference *)(const void *)opf->spine.data;
    *skip = true;
    if (index >= opf->spine.size / sizeof *spine)
        return NULL;
    const struct opf_item *item = find_item(opf, string_at(opf, spine[index].id));
    if (!item)
        return "";
    const char *href = string_at(opf, item->href);
    *skip = !item->page || item->navigation || !spine[index].linear || is_contents(opf, href);
    return href;
}
