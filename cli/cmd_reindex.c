#include "cli/command.h"
#include "cli/output.h"
#include "cli/progress.h"

#include <stdio.h>
#include <sys/resource.h>

/* ------------------------------------------------------------------ another landmark index */

static enum lmk_status reindex_ann(const struct arguments *arguments, struct lmk_error *error)
{
    struct session session;
    struct lmk_open_options open = lmk_open_defaults();
    struct lmk_info info;
    open.write = true;
    enum lmk_status status = session_open(&session, arguments, true, &open, error);
    if (status)
        return status;
    if (!(status = lmk_reindex_ann(session.collection, arguments->ann, error)))
        status = lmk_info(session.collection, &info, error);
    if (!status && arguments->json) {
        cJSON *object = json_start("reindex");
        cJSON_AddNumberToObject(object, "segments", (double)info.segments);
        cJSON_AddNumberToObject(object, "segment_blocks", (double)info.segment_blocks);
        status = json_print(object, error);
    } else if (!status)
        printf("%s with %s; others are scanned.\n", output_count(info.segments, "landmark segment"),
               output_count(info.segment_blocks, "block"));
    session_close(&session);
    return status;
}

/* ------------------------------------------------------------------ another model */

static enum lmk_status print(const struct arguments *arguments, const struct session *session,
                             const struct lmk_index_report *report, struct lmk_error *error)
{
    struct lmk_info info;
    char tokens[32], speed[32];
    enum lmk_status status = lmk_info(session->collection, &info, error);
    if (status)
        return status;
    if (arguments->json) {
        cJSON *object = json_start("reindex");
        cJSON_AddStringToObject(object, "model", info.model_name);
        cJSON_AddStringToObject(object, "generation", info.generation);
        cJSON_AddBoolToObject(object, "out_of_time", report->out_of_time);
        cJSON_AddNumberToObject(object, "documents", (double)report->documents);
        cJSON_AddNumberToObject(object, "tokens", (double)report->tokens);
        cJSON_AddNumberToObject(object, "seconds", report->seconds);
        cJSON_AddNumberToObject(object, "tokens_per_second", report->tokens_per_second);
        return json_print(object, error);
    }
    if (report->out_of_time)
        puts("The time was up. The same command goes on from there; until it is done, the "
             "collection is as it was.");
    printf("%s indexed: %s tokens in %.1f s, %s tokens/s; the collection is of the "
           "model %s, in %s.\n",
           output_count(report->documents, "document"), progress_grouped(report->tokens, tokens),
           report->seconds, progress_grouped((uint64_t)report->tokens_per_second, speed),
           info.model_name, info.generation);
    return LMK_OK;
}

static enum lmk_status run(const struct arguments *arguments, const struct session *session,
                           const struct lmk_model *model, struct lmk_error *error)
{
    struct display display;
    struct lmk_index_report report;
    const struct lmk_index_options options = {.progress = progress_index,
                                              .context = &display,
                                              .first = arguments->first,
                                              .seconds = arguments->seconds};
    progress_start(&display, arguments->quiet);
    enum lmk_status status =
        lmk_reindex_model(session->collection, model, &options, &report, error);
    progress_clear(&display);
    return status ? status : print(arguments, session, &report, error);
}

static enum lmk_status reindex_model(const struct arguments *arguments, struct lmk_error *error)
{
    struct session session;
    struct arguments old = *arguments; /* the collection's own model is that of --from, or none */
    struct lmk_open_options open = lmk_open_defaults();
    struct lmk_model *model;
    open.write = true;
    old.model = arguments->from;
    enum lmk_status status = session_open_model(&model, arguments, error);
    if (status)
        return status;
    if (!(status = session_open(&session, &old, arguments->from != NULL, &open, error))) {
        status = run(arguments, &session, model, error);
        session_close(&session);
    }
    lmk_model_close(model);
    return status;
}

enum lmk_status command_reindex(const struct arguments *arguments, struct lmk_error *error)
{
    if (arguments->word_count)
        return fail(error, LMK_USAGE,
                    "\"%s\": reindex takes no further argument. See: lmk help "
                    "reindex",
                    arguments->words[0]);
    if (arguments->nice)
        setpriority(PRIO_PROCESS, 0, 19); /* where it is refused, it goes on as it was */
    return arguments->ann ? reindex_ann(arguments, error) : reindex_model(arguments, error);
}
