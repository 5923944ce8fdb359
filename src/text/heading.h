/* Title and author, as far as a text or its file name gives them away. */
#ifndef TEXT_HEADING_H
#define TEXT_HEADING_H

#include "src/text/slice.h"

/* Slices of what they were found in, empty where nothing was found. */
struct heading {
    struct slice title, author;
};

/* "AUTHOR - TITLE.txt", also with "___" between them; otherwise only the title: the name without
 * folder and suffix. */
struct heading heading_of_file_name(const char *path);

/* The first heading ("# ..." or underlined with "=") of Markdown text. */
struct heading heading_of_markdown(struct slice source);

/* From the first lines of normalised text: a short first paragraph, and "by AUTHOR" in it or in one
 * of the next. */
struct heading heading_of_text(struct slice text);

#endif
