/* The collections that `lmk index` has made, remembered in $XDG_STATE_HOME/lmk/collections, so that
 * the only one need not be named. */
#ifndef CLI_KNOWN_H
#define CLI_KNOWN_H

#include "lmk.h"

#include <limits.h>

/* Adds a collection to those remembered. What cannot be written is not remembered. */
void known_remember(const char *path);

/* The collection to work on where none is named, in `path`: the only one known that is still there.
 * Where there is none and `create` is set, the place for a first one, in a folder that need not be
 * there. LMK_USAGE: none or several, which the sentence names. */
enum lmk_status known_choose(char path[PATH_MAX], bool create, struct lmk_error *error);

#endif
