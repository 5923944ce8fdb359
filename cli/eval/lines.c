#include "cli/eval/lines.h"

#include "cli/fail.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Puts "FILE, line N: " before the message. */
static enum lmk_status locate(struct lmk_error *error, const char *path, size_t line)
{
    char message[sizeof error->message];
    memcpy(message, error->message, sizeof message);
    return fail(error, error->status, "%s, line %zu: %s", path, line, message);
}

enum lmk_status lines_read(const char *path,
                           enum lmk_status (*take)(void *context, char *line,
                                                   struct lmk_error *error),
                           void *context, struct lmk_error *error)
{
    FILE *file = fopen(path, "r");
    if (!file)
        return fail_file(error, "open", path);
    char *line = NULL;
    size_t room = 0, number = 0;
    enum lmk_status status = LMK_OK;
    for (ssize_t size; !status && (size = getline(&line, &room, file)) >= 0;) {
        number++;
        line[strcspn(line, "\r\n")] = '\0';
        if (line[strspn(line, " \t")] && take(context, line, error))
            status = locate(error, path, number);
    }
    if (!status && ferror(file))
        status = fail_file(error, "read", path);
    free(line);
    fclose(file);
    return status;
}

struct object_reader {
    enum lmk_status (*take)(void *context, const cJSON *object, struct lmk_error *error);
    void *context;
};

static enum lmk_status take_object(void *context, char *line, struct lmk_error *error)
{
    struct object_reader *reader = context;
    cJSON *object = cJSON_ParseWithOpts(line, NULL, true);
    enum lmk_status status = cJSON_IsObject(object)
                                 ? reader->take(reader->context, object, error)
                                 : fail(error, LMK_INPUT, "this is no JSON object of one line.");
    cJSON_Delete(object);
    return status;
}

enum lmk_status objects_read(const char *path,
                             enum lmk_status (*take)(void *context, const cJSON *object,
                                                     struct lmk_error *error),
                             void *context, struct lmk_error *error)
{
    struct object_reader reader = {take, context};
    return lines_read(path, take_object, &reader, error);
}

const char *json_text(const cJSON *object, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
}
