#include "cli/command.h"
#include "cli/output.h"

#include <stdio.h>

enum lmk_status command_remove(const struct arguments *arguments, struct lmk_error *error)
{
    struct session session;
    struct lmk_open_options open = lmk_open_defaults();
    uint64_t all = 0;
    if (!arguments->word_count)
        return fail(error, LMK_USAGE, "Which document? Name its id, path or title. See: lmk list");
    open.write = true;
    enum lmk_status status = session_open(&session, arguments, false, &open, error);
    if (status)
        return status;
    for (int i = 0; i < arguments->word_count && (!status || status == LMK_NOT_FOUND); i++) {
        uint64_t removed;
        struct lmk_error own;
        enum lmk_status now = lmk_remove(session.collection, arguments->words[i], &removed, &own);
        /* What is not there does not keep the others; the first such is told. */
        if (now && (!status || now != LMK_NOT_FOUND)) {
            status = now;
            *error = own;
        }
        all += removed;
    }
    session_close(&session);
    if (arguments->json) {
        struct lmk_error printing = {0};
        cJSON *object = json_start("remove");
        cJSON_AddNumberToObject(object, "removed", (double)all);
        enum lmk_status printed = json_print(object, &printing);
        return status ? status : printed;
    }
    if (all)
        printf("%s removed.\n", output_count(all, "document"));
    return status;
}
