#include "cli/config.h"

#include "cli/command.h"
#include "cli/folders.h"
#include "cli/strip.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_BYTES 65536

static char path[PATH_MAX];
static char content[MOST_BYTES + 1]; /* settings point into it */

static enum lmk_status read_file(struct lmk_error *error)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return errno == ENOENT || errno == ENOTDIR
                   ? LMK_NOT_FOUND
                   : fail(error, LMK_IO, "The configuration %s cannot be read: %s.", path,
                          strerror(errno));
    size_t size = fread(content, 1, sizeof content, file);
    int problem = ferror(file) ? errno : 0;
    fclose(file);
    if (problem)
        return fail(error, LMK_IO, "The configuration %s cannot be read: %s.", path,
                    strerror(problem));
    if (size > MOST_BYTES || memchr(content, '\0', size))
        return fail(error, LMK_USAGE, "%s is no configuration of lmk: lines \"name = value\".",
                    path);
    content[size] = '\0';
    return LMK_OK;
}

enum lmk_status config_read(enum lmk_status (*set)(void *context, const struct setting *setting,
                                                   struct lmk_error *error),
                            void *context, struct lmk_error *error)
{
    enum lmk_status status = folders_config(path, "config") ? read_file(error) : LMK_NOT_FOUND;
    if (status)
        return status == LMK_NOT_FOUND ? LMK_OK : status;
    unsigned number = 0;
    char *next = content;
    while (!status && next) {
        char *line = strip(strsep(&next, "\n"));
        number++;
        if (!line[0] || line[0] == '#')
            continue;
        char *value = strchr(line, '=');
        if (!value)
            return fail(error, LMK_USAGE, "%s, line %u: \"%s\" is no line \"name = value\".", path,
                        number, line);
        *value++ = '\0';
        struct setting setting = {strip(line), strip(value), path, number};
        status = set(context, &setting, error);
    }
    return status;
}
