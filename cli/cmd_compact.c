#include "cli/command.h"
#include "cli/output.h"
#include "cli/progress.h"

#include <stdio.h>

static bool announce(void *context, const struct lmk_space *space)
{
    const struct arguments *arguments = context;
    if (!arguments->quiet)
        fprintf(stderr, "Compacting needs up to %s of disk space; %s are free.\n",
                output_bytes(space->needed), output_bytes(space->available));
    return true;
}

/* Bytes of a collection on disk. */
static uint64_t size_of(const struct lmk_info *info)
{
    return info->bytes_file + info->bytes_segments + info->bytes_words;
}

static enum lmk_status print(const struct arguments *arguments, const struct lmk_kept *kept,
                             uint64_t before, const struct lmk_info *after, struct lmk_error *error)
{
    if (!arguments->json) {
        if (arguments->has_kv_budget)
            printf("%s keep their keys and values (%s); %s lost theirs (%s).\n",
                   output_count(kept->documents, "document"), output_bytes(kept->bytes),
                   output_count(kept->dropped, "document"), output_bytes(kept->dropped_bytes));
        if (kept->computed)
            printf("%s got keys and values (%s).\n", output_count(kept->computed, "document"),
                   output_bytes(kept->computed_bytes));
        printf("%s on disk instead of %s; %s; now %s.\n", output_bytes(size_of(after)),
               output_bytes(before), output_count(after->segments, "landmark segment"),
               after->generation);
        return LMK_OK;
    }
    cJSON *object = json_start("compact");
    cJSON_AddStringToObject(object, "generation", after->generation);
    cJSON_AddNumberToObject(object, "bytes_before", (double)before);
    cJSON_AddNumberToObject(object, "bytes_after", (double)size_of(after));
    cJSON_AddNumberToObject(object, "segments", (double)after->segments);
    if (arguments->has_kv_budget) {
        cJSON_AddNumberToObject(object, "kv_documents", (double)kept->documents);
        cJSON_AddNumberToObject(object, "kv_bytes", (double)kept->bytes);
        cJSON_AddNumberToObject(object, "kv_dropped", (double)kept->dropped);
        cJSON_AddNumberToObject(object, "kv_dropped_bytes", (double)kept->dropped_bytes);
        cJSON_AddNumberToObject(object, "kv_computed", (double)kept->computed);
        cJSON_AddNumberToObject(object, "kv_computed_bytes", (double)kept->computed_bytes);
    }
    return json_print(object, error);
}

static enum lmk_status keep_within(const struct arguments *arguments,
                                   struct lmk_collection *collection, struct lmk_kept *kept,
                                   struct lmk_error *error)
{
    struct display display;
    progress_start(&display, arguments->quiet);
    enum lmk_status status =
        lmk_keep_within(collection, arguments->kv_budget, progress_index, &display, kept, error);
    progress_clear(&display);
    if (!status)
        progress_release(); /* the rest can be ended at any time */
    return status;
}

enum lmk_status command_compact(const struct arguments *arguments, struct lmk_error *error)
{
    struct session session;
    struct lmk_open_options open = lmk_open_defaults();
    struct lmk_info before, after;
    struct lmk_kept kept = {0};
    if (arguments->word_count)
        return fail(error, LMK_USAGE, "\"%s\": compact takes no further argument.",
                    arguments->words[0]);
    open.write = true;
    enum lmk_status status = session_open(&session, arguments, true, &open, error);
    if (status)
        return status;
    if (!(status = lmk_info(session.collection, &before, error)) && arguments->has_kv_budget)
        status = keep_within(arguments, session.collection, &kept, error);
    if (!status &&
        !(status =
              lmk_compact(session.collection, announce, (void *)(uintptr_t)arguments, error)) &&
        !(status = lmk_info(session.collection, &after, error)))
        status = print(arguments, &kept, size_of(&before), &after, error);
    session_close(&session);
    return status;
}
