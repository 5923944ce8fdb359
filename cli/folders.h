/* The user's folders: where settings, data and what the program remembers are kept (XDG base
 * directories). */
#ifndef CLI_FOLDERS_H
#define CLI_FOLDERS_H

#include <limits.h>
#include <stdbool.h>

/* Each writes the path of a file of lmk's, "FOLDER/lmk/NAME"; false where there is no home. */
bool folders_config(char path[PATH_MAX], const char *name);
bool folders_data(char path[PATH_MAX], const char *name);
bool folders_state(char path[PATH_MAX], const char *name);

/* Makes the folder that holds `path`, with those above it, for this user alone. */
bool folders_make_parent(const char *path);

/* `text` with a leading "~/" made the home folder, in `path`; false where it does not fit. */
bool folders_expand(char path[PATH_MAX], const char *text);

#endif
