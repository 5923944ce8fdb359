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

static enum lmk_status print_repair(const struct arguments *arguments, struct problems *problems,
                                    const struct lmk_repair_report *report, struct lmk_error *error)
{
    if (!arguments->json) {
        if (report->documents)
            printf("%s computed again.\n", output_count(report->documents, "document"));
        if (report->segments)
            puts("The landmark index was built again.");
        if (report->words)
            puts("The words were indexed again.");
        printf("%s found, %llu left.\n", output_count(report->problems, "problem"),
               (unsigned long long)report->left);
        return LMK_OK;
    }
    cJSON *object = json_start("verify");
    cJSON_AddNumberToObject(object, "documents_repaired", (double)report->documents);
    cJSON_AddBoolToObject(object, "segments_repaired", report->segments);
    cJSON_AddBoolToObject(object, "words_repaired", report->words);
    cJSON_AddNumberToObject(object, "problems_left", (double)report->left);
    cJSON_AddItemToObject(object, "problems", problems->list);
    problems->list = NULL;
    return json_print(object, error);
}

static enum lmk_status repair(const struct arguments *arguments, struct lmk_error *error)
{
    struct session session;
    struct lmk_repair_report report;
    struct lmk_open_options open = lmk_open_defaults();
    open.write = true;
    enum lmk_status status = session_open(&session, arguments, true, &open, error);
    if (status)
        return status;
    struct problems problems = {arguments->json, cJSON_CreateArray()};
    status = lmk_repair(session.collection, show, &problems, &report, error);
    session_close(&session);
    if (!status || status == LMK_CORRUPT) {
        struct lmk_error printing = {0};
        enum lmk_status printed = print_repair(arguments, &problems, &report, &printing);
        status = status ? status : printed;
    }
    cJSON_Delete(problems.list);
    return status;
}

enum lmk_status command_verify(const struct arguments *arguments, struct lmk_error *error)
{
    struct session session;
    struct lmk_verify_report report;
    if (arguments->word_count)
        return fail(error, LMK_USAGE, "\"%s\": verify takes no further argument.",
                    arguments->words[0]);
    if (arguments->repair)
        return repair(arguments, error);
    struct problems problems = {arguments->json, cJSON_CreateArray()};
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
        printf("%s, %s, %s, %s and the words of %s checked: %s.\n",
               output_count(report.documents, "document"), output_count(report.blocks, "block"),
               output_count(report.values_checked, "value"),
               output_count(report.segments, "landmark segment"),
               output_count(report.documents_words, "document"),
               output_count(report.problems, "problem"));
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
