/* Answers compared as the SQuAD scripts do (Rajpurkar et al. 2016, 2018). */
#ifndef CLI_EVAL_SQUAD_H
#define CLI_EVAL_SQUAD_H

#include "lmk.h"

/* A text in lower case without ASCII punctuation and articles, one space between words; the
 * caller's. NULL: out of memory. */
char *squad_normalise(const char *text);

/* Both normalised. Exact match is that they are equal. F1 is that of their words, each as often as
 * it occurs; where one has no words, 1 if neither has any, else 0. */
double squad_f1(const char *prediction, const char *answer);

/* Whether the words of `answer` stand in `text` one behind the other; both normalised. False for an
 * answer without words. */
bool squad_holds(const char *text, const char *answer);

#endif
