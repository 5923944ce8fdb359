/* Markup: the text of HTML and XHTML, and XML as a stream of elements; by libxml2.
 *
 * The parsers get handlers of ours and build no tree. No handler knows of declarations: nothing is
 * ever loaded (no DTD, no external entity, no network), and entities of the document's own stand
 * for nothing. Neither parser recurses; where elements have hundreds of attributes, or stand so
 * deep that reading would take long, the input ends early. */
#ifndef TEXT_MARKUP_H
#define TEXT_MARKUP_H

#include "src/base/buffer.h"
#include "src/text/slice.h"

/* ---- XML */

struct markup_handler {
    /* `name` is without prefix; `attributes` are pairs of name and value, NULL-terminated, or NULL.
     */
    void (*start)(void *context, const char *name, const char *const *attributes);
    void (*end)(void *context, const char *name);
    void (*text)(void *context, const char *text, size_t size);
};

/* Calls the handler for all that is well-formed from the start, down to 250 elements deep. */
void xml_parse(struct slice bytes, const struct markup_handler *handler, void *context);

/* The value of an attribute by its name without prefix, NULL if there is none. */
const char *markup_attribute(const char *const *attributes, const char *name);

/* ---- HTML */

/* A part of the text that begins with a heading (h1 to h3), or the text before the first. */
struct html_section {
    size_t text;    /* where it begins in html_text's text */
    size_t heading; /* offset in html_text's names of a NUL-terminated string, maybe empty */
};

struct html_text {
    struct buffer text;     /* UTF-8; a blank line between paragraphs */
    struct buffer sections; /* struct html_section; empty if there is no heading */
    struct buffer names;
    char title[512], author[512], language[16], year[8]; /* "" where it does not say */
    uint64_t invalid_bytes;
};

void html_text_init(struct html_text *result, size_t text_max);
void html_text_release(struct html_text *result);

/* Appends the text of an HTML or XHTML page to `result`, whatever its encoding. Left out are
 * scripts and styles, navigation, footnotes and their marks, and page numbers. LMK_INPUT: nested
 * thousands deep, an element of hundreds of attributes, or too long; LMK_MEMORY. `path` is for
 * messages. */
enum lmk_status html_read(struct html_text *result, struct slice bytes, const char *path,
                          struct lmk_error *error);

/* True if the bytes begin like HTML or XHTML. */
bool html_begins(struct slice bytes);

const char *markup_library_version(void);

#endif
