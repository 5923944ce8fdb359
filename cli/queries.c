#include "cli/queries.h"

#include "cli/command.h"
#include "cli/strip.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum lmk_status queries_open(struct queries *queries, const char *path, struct lmk_error *error)
{
    *queries = (struct queries){.path = path};
    queries->stream = !strcmp(path, "-") ? stdin : fopen(path, "r");
    if (!queries->stream)
        return fail(error, LMK_INPUT, "Cannot read the questions in %s: %s.", path,
                    strerror(errno));
    return LMK_OK;
}

void queries_close(struct queries *queries)
{
    if (queries->stream && queries->stream != stdin)
        fclose(queries->stream);
    cJSON_Delete(queries->object);
    free(queries->line);
    *queries = (struct queries){0};
}

void queries_locate(const struct queries *queries, struct lmk_error *error)
{
    char message[sizeof error->message];
    snprintf(message, sizeof message, "%s", error->message);
    fail(error, error->status, "%s, line %llu: %.900s",
         !strcmp(queries->path, "-") ? "Standard input" : queries->path,
         (unsigned long long)queries->number, message);
}

static enum lmk_status read_object(struct queries *queries, const char *line, struct query *query,
                                   struct lmk_error *error)
{
    queries->object = cJSON_Parse(line);
    const cJSON *text = cJSON_GetObjectItemCaseSensitive(queries->object, "text");
    if (!text)
        text = cJSON_GetObjectItemCaseSensitive(queries->object, "question");
    if (!cJSON_IsString(text)) {
        fail(error, LMK_INPUT,
             "This is no question. Give plain text, or a JSON object with the question in \"text\" "
             "and perhaps an \"_id\".");
        queries_locate(queries, error);
        return LMK_INPUT;
    }
    const cJSON *id = cJSON_GetObjectItemCaseSensitive(queries->object, "_id");
    *query =
        (struct query){text->valuestring, cJSON_IsString(id) || cJSON_IsNumber(id) ? id : NULL};
    return LMK_OK;
}

enum lmk_status queries_next(struct queries *queries, struct query *query, struct lmk_error *error)
{
    cJSON_Delete(queries->object);
    queries->object = NULL;
    while (getline(&queries->line, &queries->capacity, queries->stream) >= 0) {
        const char *line = strip(queries->line);
        if (++queries->number == 1 && !strncmp(line, "\xEF\xBB\xBF", 3)) /* byte order mark */
            line += 3;
        if (line[0] == '{')
            return read_object(queries, line, query, error);
        *query = (struct query){line, NULL};
        if (line[0])
            return LMK_OK;
    }
    if (ferror(queries->stream))
        return fail(error, LMK_IO, "Cannot read on in %s: %s.", queries->path, strerror(errno));
    return LMK_NOT_FOUND;
}
