#include "cli/command.h"
#include "cli/output.h"

struct exporting {
    enum lmk_status status;
    struct lmk_error *error;
};

static bool print(struct exporting *exporting, cJSON *object)
{
    exporting->status = json_print(object, exporting->error);
    return !exporting->status && !ferror(stdout);
}

static bool print_document(void *context, const struct lmk_document *document)
{
    cJSON *object = json_start("export");
    cJSON_AddStringToObject(object, "type", "document");
    json_add_document(object, document);
    return print(context, object);
}

static bool print_block(void *context, const struct lmk_block *block)
{
    cJSON *object = json_start("export");
    cJSON_AddStringToObject(object, "type", "block");
    cJSON_AddNumberToObject(object, "document", (double)block->document);
    cJSON_AddNumberToObject(object, "block", (double)block->block);
    cJSON_AddNumberToObject(object, "tokens", (double)block->tokens);
    cJSON_AddNumberToObject(object, "text_start", (double)block->text_start);
    cJSON_AddNumberToObject(object, "source_start", (double)block->source_start);
    cJSON_AddNumberToObject(object, "source_end", (double)block->source_end);
    if (block->place)
        cJSON_AddNumberToObject(object, "place", block->place);
    cJSON_AddStringToObject(object, "text", block->text);
    return print(context, object);
}

enum lmk_status command_export(const struct arguments *arguments, struct lmk_error *error)
{
    struct session session;
    struct exporting exporting = {LMK_OK, error};
    if (arguments->word_count)
        return fail(error, LMK_USAGE, "\"%s\": export takes no further argument.",
                    arguments->words[0]);
    enum lmk_status status = session_open(&session, arguments, true, NULL, error);
    if (status)
        return status;
    status = lmk_export(session.collection, print_document, print_block, &exporting, error);
    session_close(&session);
    return status ? status : exporting.status;
}
