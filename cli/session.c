#include "cli/command.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_MODEL "landmark-en-42m.gguf"

/* The model beside the program: ../models from build/, ../share/lmk where it is installed. */
static bool find_default_model(char path[PATH_MAX])
{
    static const char *const places[] = {"%s/../models/%s", "%s/../share/lmk/%s", "%s/models/%s"};
    char program[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", program, sizeof program - 1);
    if (size <= 0)
        return false;
    program[size] = '\0';
    *strrchr(program, '/') = '\0';
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        int used = snprintf(path, PATH_MAX, places[i], program, DEFAULT_MODEL);
#pragma GCC diagnostic pop
        if (used < PATH_MAX && !access(path, R_OK))
            return true;
    }
    return false;
}

static enum lmk_status open_model(struct session *session, const struct arguments *arguments,
                                  struct lmk_error *error)
{
    char found[PATH_MAX];
    const char *path = arguments->model ? arguments->model : getenv("LMK_MODEL");
    if (!path || !path[0]) {
        if (!find_default_model(found))
            return fail(error, LMK_MODEL,
                        "The model %s was not found beside the program. Name one with --model or "
                        "LMK_MODEL.",
                        DEFAULT_MODEL);
        path = found;
    }
    return lmk_model_open(&session->model, path, error);
}

enum lmk_status session_open(struct session *session, const struct arguments *arguments,
                             bool needs_model, const struct lmk_open_options *options,
                             struct lmk_error *error)
{
    *session = (struct session){0};
    if (!arguments->collection || !arguments->collection[0])
        return fail(error, LMK_USAGE,
                    "Which collection? Name it with -c NAME.lmk or in LMK_COLLECTION.");
    lmk_set_threads(arguments->threads);
    enum lmk_status status = needs_model ? open_model(session, arguments, error) : LMK_OK;
    if (!status)
        status = lmk_collection_open(&session->collection, arguments->collection, session->model,
                                     options, error);
    if (status)
        session_close(session);
    return status;
}

enum lmk_status session_open_query(struct session *session, const struct arguments *arguments,
                                   struct lmk_error *error)
{
    struct lmk_open_options options = lmk_open_defaults();
    options.write = arguments->granularity != LMK_QUESTION;
    enum lmk_status status = session_open(session, arguments, true, &options, error);
    if (!options.write || (status != LMK_BUSY && status != LMK_IO))
        return status;
    options.write = false;
    return session_open(session, arguments, true, &options, error);
}

void session_close(struct session *session)
{
    lmk_collection_close(session->collection);
    lmk_model_close(session->model);
    *session = (struct session){0};
}
