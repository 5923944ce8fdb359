#include "cli/estimate.h"

#include "cli/output.h"
#include "cli/progress.h"

#include <stdio.h>

static enum lmk_status print_json(const struct lmk_estimate *estimate, struct lmk_error *error)
{
    cJSON *object = json_start("estimate");
    cJSON_AddNumberToObject(object, "files", (double)estimate->files);
    cJSON_AddNumberToObject(object, "documents", (double)estimate->documents);
    cJSON_AddNumberToObject(object, "tokens", (double)estimate->tokens);
    cJSON_AddNumberToObject(object, "share_read", estimate->share);
    cJSON_AddNumberToObject(object, "seconds", estimate->seconds);
    cJSON_AddNumberToObject(object, "tokens_per_second", estimate->tokens_per_second);
    cJSON_AddNumberToObject(object, "bytes", (double)estimate->space.needed);
    cJSON_AddNumberToObject(object, "bytes_free", (double)estimate->space.available);
    return json_print(object, error);
}

static void print_time(double seconds)
{
    if (seconds < 120)
        printf("about %.0f s", seconds);
    else if (seconds < 7200)
        printf("about %.0f minutes", seconds / 60);
    else
        printf("about %.1f hours", seconds / 3600);
}

static void print(const struct lmk_estimate *estimate)
{
    char tokens[32], speed[32];
    printf("to index   %s with %s tokens (%s new or changed",
           output_count(estimate->documents, "document"),
           progress_grouped(estimate->tokens, tokens), output_count(estimate->files, "file"));
    if (estimate->share < 1)
        printf("; extrapolated from %.1f %% of what is in them", 100 * estimate->share);
    puts(")");
    if (!estimate->tokens)
        return;
    fputs("time       ", stdout);
    print_time(estimate->seconds);
    printf(", with the model at %s tokens/s\n",
           progress_grouped((uint64_t)estimate->tokens_per_second, speed));
    printf("on disk    about %s more, and %s are free%s\n", output_bytes(estimate->space.needed),
           output_bytes(estimate->space.available),
           estimate->space.needed > estimate->space.available ? ": too little" : "");
}

enum lmk_status estimate_show(const struct arguments *arguments,
                              const struct lmk_index_options *options, struct lmk_error *error)
{
    struct session session;
    struct lmk_estimate estimate;
    enum lmk_status status = session_locate(&session, arguments, true, true, error);
    if (!status)
        status = lmk_estimate(session.path, session.model, (const char *const *)arguments->words,
                              (size_t)arguments->word_count, options, &estimate, error);
    if (!status && arguments->json)
        status = print_json(&estimate, error);
    else if (!status)
        print(&estimate);
    session_close(&session);
    return status;
}
