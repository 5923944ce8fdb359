#include "cli/command.h"
#include "cli/output.h"

#include <stdio.h>

struct problems {
    bool json;
    cJSON *list;
};

static void show(void *context, const char *sentence)
{
    struct problems *problems = context;
    if (problems->json)
        cJSON_AddItemToArray(problems->list, cJSON_CreateString(sentence));
    else
        puts(sentence);
}

enum lmk_status command_verify(const struct arguments *arguments, struct lmk_error *error)
{
    struct session session;
    struct lmk_verify_report report;
    struct problems problems = {arguments->json, cJSON_CreateArray()};
    if (arguments->word_count)
        return fail(error, LMK_USAGE, "\"%s\": verify takes no further argument.",
                    arguments->words[0]);
    enum lmk_status status = session_open(&session, arguments, false, NULL, error);
    if (status) {
        cJSON_Delete(problems.list);
        return status;
    }
    status = lmk_verify(session.collection, show, &problems, &report, error);
    session_close(&session);
    if (status && status != LMK_CORRUPT) {
        cJSON_Delete(problems.list);
        return status;
    }
    if (!arguments->json) {
        cJSON_Delete(problems.list);
        printf("%llu documents, %llu blocks, %llu values, %llu landmark segments and the words of "
               "%llu documents checked: %llu problems.\n",
               (unsigned long long)report.documents, (unsigned long long)report.blocks,
               (unsigned long long)report.values_checked, (unsigned long long)report.segments,
               (unsigned long long)report.documents_words, (unsigned long long)report.problems);
        return status;
    }
    cJSON *object = json_start("verify");
    cJSON_AddNumberToObject(object, "documents", (double)report.documents);
    cJSON_AddNumberToObject(object, "blocks", (double)report.blocks);
    cJSON_AddNumberToObject(object, "values_checked", (double)report.values_checked);
    cJSON_AddNumberToObject(object, "segments", (double)report.segments);
    cJSON_AddNumberToObject(object, "documents_words", (double)report.documents_words);
    cJSON_AddItemToObject(object, "problems", problems.list);
    struct lmk_error printing = {0};
    enum lmk_status printed = json_print(object, &printing);
    return status ? status : printed;
}
