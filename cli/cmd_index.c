#include "cli/command.h"
#include "cli/estimate.h"
#include "cli/known.h"
#include "cli/output.h"
#include "cli/progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static enum lmk_status print_json(const struct lmk_index_report *report, struct lmk_error *error)
{
    cJSON *object = json_start("index");
    cJSON_AddNumberToObject(object, "files", (double)report->files);
    cJSON_AddNumberToObject(object, "files_skipped", (double)report->files_skipped);
    cJSON_AddNumberToObject(object, "documents_added", (double)report->documents_added);
    cJSON_AddNumberToObject(object, "documents_unchanged", (double)report->documents_unchanged);
    cJSON_AddNumberToObject(object, "documents_replaced", (double)report->documents_replaced);
    cJSON_AddNumberToObject(object, "invalid_bytes", (double)report->invalid_bytes);
    cJSON_AddNumberToObject(object, "documents_invalid", (double)report->documents_invalid);
    cJSON_AddNumberToObject(object, "documents_foreign", (double)report->documents_foreign);
    cJSON_AddStringToObject(object, "languages", report->languages);
    cJSON_AddBoolToObject(object, "out_of_time", report->out_of_time);
    cJSON_AddNumberToObject(object, "documents_pruned", (double)report->documents_pruned);
    cJSON_AddNumberToObject(object, "documents", (double)report->documents);
    cJSON_AddNumberToObject(object, "tokens", (double)report->tokens);
    cJSON_AddNumberToObject(object, "seconds", report->seconds);
    cJSON_AddNumberToObject(object, "model_seconds", report->model_seconds);
    cJSON_AddNumberToObject(object, "tokens_per_second", report->tokens_per_second);
    return json_print(object, error);
}

static void print_report(const struct lmk_index_report *report)
{
    char tokens[32], speed[32], bytes[32];
    if (report->out_of_time)
        puts("The time was up. The same command goes on from there.");
    if (report->documents_pruned)
        printf("%s removed, whose files have gone\n",
               output_count(report->documents_pruned, "document"));
    printf("%s indexed (%llu new, %llu changed, %llu already there, %llu left out): %s tokens in "
           "%.1f s, %s tokens/s\n",
           output_count(report->documents, "document"), (unsigned long long)report->documents_added,
           (unsigned long long)report->documents_replaced,
           (unsigned long long)report->documents_unchanged,
           (unsigned long long)report->files_skipped, progress_grouped(report->tokens, tokens),
           report->seconds, progress_grouped((uint64_t)report->tokens_per_second, speed));
    if (report->invalid_bytes)
        printf(
            "bytes that were no valid text, and were replaced: %s, in %llu of the new documents\n",
            progress_grouped(report->invalid_bytes, bytes),
            (unsigned long long)report->documents_invalid);
    if (report->documents_foreign) {
        printf("not in English, and found by their words: %llu of the new documents (",
               (unsigned long long)report->documents_foreign);
        output_safely(stdout, report->languages);
        puts(")");
    }
}

static enum lmk_status print_summary(const struct arguments *arguments,
                                     const struct lmk_index_report *report, enum lmk_status status,
                                     struct lmk_error *error)
{
    struct lmk_error printing = {0};
    if (!arguments->json)
        print_report(report);
    else if (print_json(report, &printing) && !status)
        return fail(error, printing.status, "%s", printing.message);
    if (!status && arguments->strict && report->files_skipped)
        return fail(error, LMK_INPUT, "Not everything could be read; left out: %llu.",
                    (unsigned long long)report->files_skipped);
    return status;
}

/* Before a collection is made for nothing. */
static enum lmk_status check_paths(const struct arguments *arguments, struct lmk_error *error)
{
    if (!arguments->word_count)
        return fail(error, LMK_USAGE, "Which books? Name files or folders. See: lmk help index");
    for (int i = 0; i < arguments->word_count; i++)
        if (strcmp(arguments->words[i], "-") && access(arguments->words[i], F_OK))
            return fail(error, LMK_INPUT, "There is no file or folder %s.", arguments->words[i]);
    return LMK_OK;
}

enum lmk_status command_index(const struct arguments *arguments, struct lmk_error *error)
{
    struct session session;
    struct lmk_index_report report;
    struct display display;
    struct lmk_index_options options = {.progress = progress_index,
                                        .context = &display,
                                        .skipped = progress_skipped,
                                        .tier = arguments->tier_name ? &arguments->tier : NULL,
                                        .first = arguments->first,
                                        .seconds = arguments->seconds,
                                        .prune = arguments->prune};
    struct lmk_open_options open = {true, true, arguments->tier, arguments->ann};
    enum lmk_status status = check_paths(arguments, error);
    if (status)
        return status;
    if (arguments->estimate)
        return estimate_show(arguments, &options, error);
    if (arguments->nice)
        setpriority(PRIO_PROCESS, 0, 19); /* where it is refused, it goes on as it was */
    status = session_open(&session, arguments, true, &open, error);
    if (status)
        return status;
    known_remember(session.path);
    progress_start(&display, arguments->quiet);
    status = lmk_index(session.collection, (const char *const *)arguments->words,
                       (size_t)arguments->word_count, &options, &report, error);
    progress_clear(&display);
    session_close(&session);
    if (status && status != LMK_INTERRUPTED)
        return status;
    return print_summary(arguments, &report, status, error);
}
