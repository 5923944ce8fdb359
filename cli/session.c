#include "cli/command.h"
#include "cli/folders.h"
#include "cli/known.h"
#include "cli/output.h"

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

enum lmk_status session_open_model(struct lmk_model **model, const struct arguments *arguments,
                                   struct lmk_error *error)
{
    char path[PATH_MAX];
    if (arguments->model) {
        if (!folders_expand(path, arguments->model))
            return fail(error, LMK_USAGE, "The path of the model is too long.");
    } else if (!find_default_model(path)) {
        return fail(error, LMK_MODEL,
                    "The model %s was not found beside the program. Name one with --model or "
                    "LMK_MODEL.",
                    DEFAULT_MODEL);
    }
    return lmk_model_open(model, path, error);
}

/* Says where books go that are indexed without naming a collection. */
static enum lmk_status choose_collection(struct session *session, const struct arguments *arguments,
                                         bool create, struct lmk_error *error)
{
    if (arguments->collection)
        return folders_expand(session->path, arguments->collection)
                   ? LMK_OK
                   : fail(error, LMK_USAGE, "The path of the collection is too long.");
    enum lmk_status status = known_choose(session->path, create, error);
    if (!status && create && !arguments->quiet) {
        fputs("lmk: the collection is ", stderr);
        output_safely(stderr, session->path);
        putc('\n', stderr);
    }
    return status;
}

enum lmk_status session_locate(struct session *session, const struct arguments *arguments,
                               bool needs_model, bool create, struct lmk_error *error)
{
    *session = (struct session){0};
    lmk_set_threads(arguments->threads);
    enum lmk_status status = choose_collection(session, arguments, create, error);
    if (!status && needs_model)
        status = session_open_model(&session->model, arguments, error);
    return status;
}

enum lmk_status session_open(struct session *session, const struct arguments *arguments,
                             bool needs_model, const struct lmk_open_options *options,
                             struct lmk_error *error)
{
    bool create = options && options->create;
    enum lmk_status status = session_locate(session, arguments, needs_model, create, error);
    if (!status && create && !arguments->collection)
        folders_make_parent(session->path); /* or opening will say what is wrong */
    if (!status)
        status = lmk_collection_open(&session->collection, session->path, session->model, options,
                                     error);
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
    session->collection = NULL;
    session->model = NULL;
}
