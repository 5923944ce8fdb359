#include "cli/known.h"

#include "cli/command.h"
#include "cli/folders.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAMES_SHOWN 5

static bool is_collection(const char *path)
{
    char file[PATH_MAX];
    struct stat status;
    return snprintf(file, sizeof file, "%s/CURRENT", path) < PATH_MAX && !stat(file, &status);
}

/* Calls `visit` with each collection that is remembered, the oldest first. */
static void each_remembered(void (*visit)(void *context, const char *path), void *context)
{
    char file[PATH_MAX], line[PATH_MAX + 1];
    FILE *stream = folders_state(file, "collections") ? fopen(file, "r") : NULL;
    while (stream && fgets(line, sizeof line, stream)) {
        line[strcspn(line, "\n")] = '\0';
        visit(context, line);
    }
    if (stream)
        fclose(stream);
}

struct search {
    const char *path;
    bool found;
};

static void compare(void *context, const char *path)
{
    struct search *search = context;
    search->found = search->found || !strcmp(search->path, path);
}

void known_remember(const char *path)
{
    char file[PATH_MAX], whole[PATH_MAX], line[PATH_MAX + 1];
    struct search search = {whole, false};
    if (!realpath(path, whole) || strchr(whole, '\n') || !folders_state(file, "collections"))
        return;
    each_remembered(compare, &search);
    if (search.found || !folders_make_parent(file))
        return;
    /* one write of one line: two processes may add theirs at the same time */
    int descriptor = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    int size = snprintf(line, sizeof line, "%s\n", whole);
    if (descriptor >= 0 && write(descriptor, line, (size_t)size) != size)
        perror("lmk: The collection's place cannot be remembered");
    if (descriptor >= 0)
        close(descriptor);
}

struct choice {
    size_t count;
    char *path; /* the last */
    char names[800];
};

static void collect(void *context, const char *path)
{
    struct choice *choice = context;
    size_t used = strlen(choice->names);
    if (!is_collection(path))
        return;
    snprintf(choice->path, PATH_MAX, "%s", path);
    if (++choice->count <= NAMES_SHOWN)
        snprintf(choice->names + used, sizeof choice->names - used, "%s%s", used ? ", " : "", path);
}

enum lmk_status known_choose(char path[PATH_MAX], bool create, struct lmk_error *error)
{
    struct choice choice = {.path = path};
    each_remembered(collect, &choice);
    if (choice.count == 1)
        return LMK_OK;
    if (choice.count)
        return fail(error, LMK_USAGE,
                    "Which collection? Name it with -c or in LMK_COLLECTION. %zu are known: %s%s.",
                    choice.count, choice.names, choice.count > NAMES_SHOWN ? " and others" : "");
    if (create && folders_data(path, "library.lmk"))
        return LMK_OK;
    return fail(error, LMK_USAGE,
                "Which collection? None is known: name one with -c NAME.lmk or in LMK_COLLECTION, "
                "or make one with \"lmk index\".");
}
