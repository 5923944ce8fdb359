/* Slices of a text that somebody else owns, and its lines. */
#ifndef TEXT_SLICE_H
#define TEXT_SLICE_H

#include <stdbool.h>
#include <stddef.h>

struct slice {
    const char *text; /* not NUL-terminated; valid as long as the text that it was cut from */
    size_t size;
};

struct slice slice_of(const char *string); /* NULL: an empty one */

/* Cuts the next line, without its line break (LF, CR LF or CR), off the front of *rest; false:
 * nothing is left. */
bool slice_next_line(struct slice *rest, struct slice *line);

/* Without white space at both ends. */
struct slice slice_trim(struct slice slice);

/* Without regard to the case of ASCII letters: */
bool slice_starts_with(struct slice slice, const char *prefix);
bool slice_equals(struct slice slice, const char *text);
bool slice_contains(struct slice slice, const char *text);

struct slice slice_after(struct slice slice, size_t bytes); /* without the first `bytes` */

#endif
