#include "cli/command.h"
#include "cli/output.h"

#include <stdio.h>

enum lmk_status command_reindex(const struct arguments *arguments, struct lmk_error *error)
{
    struct session session;
    struct lmk_open_options open = lmk_open_defaults();
    struct lmk_info info;
    if (arguments->word_count || !arguments->ann)
        return fail(error, LMK_USAGE,
                    "What is to be built anew? Name it with --ann. See: "
                    "lmk help reindex");
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
        printf("%llu landmark segments with %llu blocks; others are scanned.\n",
               (unsigned long long)info.segments, (unsigned long long)info.segment_blocks);
    session_close(&session);
    return status;
}
