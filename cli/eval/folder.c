#include "cli/eval/folder.h"

#include "cli/fail.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

#define DESCRIPTORS 16 /* that nftw may keep open */

enum lmk_status folder_make(char **path, struct lmk_error *error)
{
    const char *parent = getenv("TMPDIR");
    if (asprintf(path, "%s/lmk-eval-XXXXXX", parent && parent[0] ? parent : "/tmp") < 0) {
        *path = NULL;
        return fail_memory(error);
    }
    if (mkdtemp(*path))
        return LMK_OK;
    enum lmk_status status = fail_file(error, "make the folder", *path);
    free(*path);
    *path = NULL;
    return status;
}

static int remove_one(const char *path, const struct stat *information, int kind, struct FTW *place)
{
    (void)information;
    (void)kind;
    (void)place;
    remove(path);
    return 0;
}

void folder_remove(char *path)
{
    if (path)
        nftw(path, remove_one, DESCRIPTORS, FTW_DEPTH | FTW_PHYS);
    free(path);
}
