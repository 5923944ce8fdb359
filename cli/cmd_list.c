#include "cli/command.h"
#include "cli/output.h"

#include <stdio.h>

struct listing {
    bool json;
    enum lmk_status status;
    struct lmk_error *error;
};

static enum lmk_status print_json(const struct lmk_document *document, struct lmk_error *error)
{
    cJSON *object = json_start("list");
    json_add_document(object, document);
    return json_print(object, error);
}

static bool show(void *context, const struct lmk_document *document)
{
    struct listing *listing = context;
    if (listing->json) {
        listing->status = print_json(document, listing->error);
        return !listing->status;
    }
    printf("%6llu  %-9s %9llu tokens  ", (unsigned long long)document->id, document->state,
           (unsigned long long)document->tokens);
    output_heading(document->title, document->author, document->path);
    printf("\n        %s\n", output_path(document->path));
    return true;
}

enum lmk_status command_list(const struct arguments *arguments, struct lmk_error *error)
{
    struct session session;
    struct listing listing = {arguments->json, LMK_OK, error};
    if (arguments->word_count)
        return fail(error, LMK_USAGE, "\"%s\": list takes no further argument.",
                    arguments->words[0]);
    enum lmk_status status = session_open(&session, arguments, false, NULL, error);
    if (status)
        return status;
    status = lmk_list(session.collection, show, &listing, error);
    session_close(&session);
    return status ? status : listing.status;
}
