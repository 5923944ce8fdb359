/* Indexes books, finds passages, and shows what an answer would rest on: the C interface in short.
 *
 *   cc example.c $(pkg-config --cflags --libs lmk) -o example
 *   ./example MODEL.gguf COLLECTION.lmk QUESTION BOOK...
 */
#include <lmk.h>
#include <stdio.h>

/* Called now and then while books are indexed; false would stop, and lose nothing committed. */
static bool on_progress(void *context, const struct lmk_progress *progress)
{
    (void)context;
    fprintf(stderr, "%s: %llu of %llu documents\n", progress->stage,
            (unsigned long long)progress->documents, (unsigned long long)progress->documents_total);
    return true;
}

/* A file that cannot be read is left out, and the others are indexed. */
static void on_skipped(void *context, const char *path, const struct lmk_error *error)
{
    (void)context;
    fprintf(stderr, "%s: %s\n", path, error->message);
}

/* A writer has the collection to itself; readers may be open meanwhile. */
static enum lmk_status add_books(const struct lmk_model *model, const char *path, char **books,
                                 size_t count, struct lmk_error *error)
{
    struct lmk_collection *collection;
    struct lmk_index_options options = {.progress = on_progress, .skipped = on_skipped};
    struct lmk_index_report report;
    struct lmk_open_options open = lmk_open_defaults();
    open.write = open.create = true;
    open.tier = LMK_TIER_F16; /* the default, LMK_TIER_Q4_0, is a quarter as large */
    enum lmk_status status = lmk_collection_open(&collection, path, model, &open, error);
    if (status)
        return status;
    status = lmk_index(collection, (const char *const *)books, count, &options, &report, error);
    if (!status)
        printf("%llu new documents, %llu known\n", (unsigned long long)report.documents_added,
               (unsigned long long)report.documents_unchanged);
    lmk_collection_close(collection);
    return status;
}

static enum lmk_status search(struct lmk_collection *collection, const char *question,
                              struct lmk_error *error)
{
    struct lmk_results *results;
    struct lmk_search_options options = lmk_search_defaults();
    options.top = 3;
    enum lmk_status status = lmk_search(collection, question, &options, &results, error);
    if (status)
        return status;
    for (size_t i = 0; i < results->count; i++) {
        const struct lmk_passage *passage = &results->passages[i];
        printf("%zu. %s, bytes %llu to %llu: %s\n", i + 1, passage->title,
               (unsigned long long)passage->source_start, (unsigned long long)passage->source_end,
               passage->text);
    }
    lmk_results_free(results); /* the passages' texts with them */
    return LMK_OK;
}

static enum lmk_status ask(struct lmk_collection *collection, const struct lmk_model *model,
                           const char *question, struct lmk_error *error)
{
    struct lmk_answer *answer;
    struct lmk_ask_options options = lmk_ask_defaults(model);
    enum lmk_status status = lmk_ask(collection, question, &options, &answer, error);
    if (status)
        return status;
    printf("Answer: %s\n", answer->text ? answer->text : "(this model writes none)");
    for (size_t i = 0; i < answer->count; i++) {
        const struct lmk_passage *passage = &answer->passages[i];
        printf("read with %3.0f %% of the attention: %.*s\n", 100 * passage->share,
               (int)(passage->mark_end - passage->mark_start), passage->text + passage->mark_start);
    }
    lmk_answer_free(answer);
    return LMK_OK;
}

static enum lmk_status query(const struct lmk_model *model, const char *path, const char *question,
                             struct lmk_error *error)
{
    struct lmk_collection *collection;
    enum lmk_status status = lmk_collection_open(&collection, path, model, NULL, error);
    if (status)
        return status;
    status = search(collection, question, error);
    if (!status)
        status = ask(collection, model, question, error);
    lmk_collection_close(collection);
    return status;
}

int main(int argc, char **argv)
{
    struct lmk_model *model;
    struct lmk_error error;
    if (argc < 5) {
        fprintf(stderr, "usage: %s MODEL.gguf COLLECTION.lmk QUESTION BOOK...\n", argv[0]);
        return LMK_USAGE;
    }
    enum lmk_status status = lmk_model_open(&model, argv[1], &error);
    if (!status) {
        status = add_books(model, argv[2], argv + 4, (size_t)argc - 4, &error);
        if (!status)
            status = query(model, argv[2], argv[3], &error);
        lmk_model_close(model); /* after the collections that use it */
    }
    if (status)
        fprintf(stderr, "%s (%s)\n", error.message, lmk_status_name(status));
    return (int)status;
}
