#include "index/ingest.h"

#include "index/estimate.h"
#include "index/lexical.h"
#include "index/segments.h"

#include <string.h>
#include <time.h>

double ingest_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void ingest_skip(struct ingest *ingest, const char *path, uint64_t count,
                 const struct lmk_error *fault)
{
    const struct lmk_index_options *options = ingest->options;
    ingest->report->files_skipped += count;
    if (options && options->skipped)
        options->skipped(options->context, path, fault);
}

enum lmk_status ingest_report(struct ingest *ingest, struct lmk_error *error)
{
    const struct lmk_index_options *options = ingest->options;
    double now = ingest_clock();
    ingest->progress.seconds = now - ingest->stage_started;
    ingest->report->out_of_time =
        options && options->seconds > 0 && now - ingest->started >= options->seconds;
    if (ingest->report->out_of_time)
        return LMK_INTERRUPTED; /* lmk_index takes it for a success */
    if (!options || !options->progress || options->progress(options->context, &ingest->progress))
        return LMK_OK;
    return error_set(error, LMK_INTERRUPTED,
                     "Stopped. What was complete is kept; the same command goes on from there.");
}

static enum lmk_status report_words(void *context, const struct document *document, uint64_t done,
                                    uint64_t total, struct lmk_error *error)
{
    struct ingest *ingest = context;
    ingest->progress.document = document->path;
    ingest->progress.documents = done;
    ingest->progress.documents_total = total;
    return ingest_report(ingest, error);
}

/* All texts can be found by their words before the model has seen the first. */
static enum lmk_status ingest_words(struct ingest *ingest, struct lmk_error *error)
{
    ingest->progress = (struct lmk_progress){.stage = "words"};
    ingest->stage_started = ingest_clock();
    return lexical_update(ingest->collection, report_words, ingest, error);
}

/* What a run completed that was interrupted (which ends at once, without segments) gets them before
 * the model's hours, in which the collection is searched. */
enum lmk_status ingest_finish(struct ingest *ingest, struct lmk_error *error)
{
    enum lmk_status status = ingest_words(ingest, error);
    if (!status)
        status = segments_build(ingest->collection, SEGMENT_JOINT, error);
    if (!status)
        status = ingest_model(ingest, error);
    return status ? status : segments_build(ingest->collection, SEGMENT_JOINT, error);
}

static enum lmk_status run_stages(struct ingest *ingest, const struct file_list *files,
                                  const char *const *paths, size_t path_count,
                                  struct lmk_error *error)
{
    enum lmk_status status = estimate_refuse(ingest, files, error);
    if (!status)
        status = ingest_texts(ingest, files, error);
    if (!status && ingest->options && ingest->options->prune)
        status = ingest_prune(ingest, paths, path_count, error);
    if (!status)
        status = ingest_finish(ingest, error);
    if (status != LMK_INTERRUPTED || !ingest->report->out_of_time)
        return status;
    return segments_build(ingest->collection, SEGMENT_JOINT, error);
}

static void on_skip(void *context, const char *path, const struct lmk_error *fault)
{
    ingest_skip(context, path, 1, fault);
}

enum lmk_status lmk_index(struct lmk_collection *collection, const char *const *paths,
                          size_t path_count, const struct lmk_index_options *options,
                          struct lmk_index_report *report, struct lmk_error *error)
{
    struct lmk_index_report unused;
    struct file_list files;
    struct ingest ingest = {.collection = collection,
                            .options = options,
                            .report = report ? report : &unused,
                            .started = ingest_clock()};
    const struct walk_sink sink = {&ingest, on_skip};
    *ingest.report = (struct lmk_index_report){0};
    enum lmk_status status = collection_needs_model(collection, error);
    if (status || (status = collection_needs_write(collection, error)) ||
        (status = walk(&files, paths, path_count, &sink, error)))
        return status;
    ingest.report->files = files.count;
    if (!files.count)
        status = error_set(error, LMK_INPUT, "There is no file that lmk reads in %s.",
                           path_count ? paths[0] : "an empty list");
    else
        status = run_stages(&ingest, &files, paths, path_count, error);
    const struct lmk_index_report *found = ingest.report;
    if (!status &&
        !(found->documents_added + found->documents_unchanged + found->documents_replaced))
        status = files.count == 1
                     ? error_set(error, LMK_INPUT, "%s could not be read as a book.",
                                 files.files[0].path)
                     : error_set(error, LMK_INPUT, "None of the %zu files could be read as a book.",
                                 files.count);
    ingest.report->seconds = ingest_clock() - ingest.started;
    file_list_release(&files);
    return status;
}
