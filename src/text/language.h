/* The language of a text, told by its commonest words or its script. */
#ifndef TEXT_LANGUAGE_H
#define TEXT_LANGUAGE_H

#include "src/text/slice.h"

/* BCP 47, static; "" where the text does not tell: too short, or a language that is not among those
 * with a list here (English, German, French, Spanish, Italian, Portuguese, Dutch, Swedish, Danish,
 * Finnish, Polish, Latin) and not the chief one of its script (Russian, Greek, Hebrew, Arabic,
 * Hindi, Chinese, Japanese, Korean). `text` is UTF-8. */
const char *language_detect(struct slice text);

#endif
