/* Lines as people write them. */
#ifndef CLI_STRIP_H
#define CLI_STRIP_H

#include <string.h>

/* The text without white space at both ends: cut off in place at its end, and skipped before it. */
static inline char *strip(char *text)
{
    static const char white[] = " \t\r\n";
    text += strspn(text, white);
    size_t size = strlen(text);
    while (size && strchr(white, text[size - 1]))
        size--;
    text[size] = '\0';
    return text;
}

#endif
