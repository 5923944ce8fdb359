#include "cli/folders.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A relative path in such a variable is ignored, as the specification wants it. */
static bool locate(char path[PATH_MAX], const char *variable, const char *below_home,
                   const char *name)
{
    const char *folder = getenv(variable), *home = getenv("HOME");
    int size;
    if (folder && folder[0] == '/')
        size = snprintf(path, PATH_MAX, "%s/lmk/%s", folder, name);
    else if (home && home[0] == '/')
        size = snprintf(path, PATH_MAX, "%s/%s/lmk/%s", home, below_home, name);
    else
        return false;
    return size < PATH_MAX;
}

bool folders_config(char path[PATH_MAX], const char *name)
{
    return locate(path, "XDG_CONFIG_HOME", ".config", name);
}

bool folders_data(char path[PATH_MAX], const char *name)
{
    return locate(path, "XDG_DATA_HOME", ".local/share", name);
}

bool folders_state(char path[PATH_MAX], const char *name)
{
    return locate(path, "XDG_STATE_HOME", ".local/state", name);
}

bool folders_make_parent(const char *path)
{
    char folder[PATH_MAX];
    snprintf(folder, sizeof folder, "%s", path);
    for (char *at = strchr(folder + 1, '/'); at; at = strchr(at + 1, '/')) {
        *at = '\0';
        if (mkdir(folder, 0700) && errno != EEXIST)
            return false;
        *at = '/';
    }
    return true;
}

bool folders_expand(char path[PATH_MAX], const char *text)
{
    const char *home = getenv("HOME");
    bool below = !strncmp(text, "~/", 2) && home;
    return snprintf(path, PATH_MAX, "%s%s", below ? home : "", below ? text + 1 : text) < PATH_MAX;
}
