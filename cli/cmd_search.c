#include "cli/command.h"
#include "cli/open_passage.h"
#include "cli/output.h"
#include "cli/search_json.h"

#include <stdio.h>

static void print_passage(const struct lmk_passage *passage, size_t rank)
{
    char note[64];
    snprintf(note, sizeof note, "  (score %.2f)", passage->score);
    printf("%zu. ", rank);
    output_passage(passage, note, 3);
}

static enum lmk_status print_results(const struct arguments *arguments,
                                     const struct lmk_results *results, struct lmk_error *error)
{
    if (!arguments->quiet)
        output_readiness(arguments, results->documents_ready, results->documents_words,
                         results->documents);
    if (arguments->json)
        return search_print(&(struct query){arguments->words[0], NULL}, results, error);
    for (size_t i = 0; i < results->count; i++)
        print_passage(&results->passages[i], i + 1);
    return LMK_OK;
}

static struct lmk_search_options search_options(const struct arguments *arguments)
{
    struct lmk_search_options options = lmk_search_defaults();
    options.top = arguments->top ? arguments->top : options.top;
    options.top = arguments->open > options.top ? arguments->open : options.top;
    options.blocks = arguments->blocks ? arguments->blocks : options.blocks;
    options.candidates = arguments->candidates ? arguments->candidates : options.candidates;
    options.granularity = arguments->granularity;
    options.mode = arguments->mode;
    options.merge = !arguments->no_merge;
    options.features = arguments->features;
    options.where = arguments->where;
    options.where_count = arguments->where_count;
    if (arguments->per_document != SIZE_MAX)
        options.per_document = arguments->per_document;
    if (arguments->most_matches != UINT64_MAX)
        options.most_matches = arguments->most_matches;
    return options;
}

static enum lmk_status find_place(const struct arguments *arguments,
                                  const struct lmk_results *results, struct place *place,
                                  struct lmk_error *error)
{
    if (arguments->open > results->count)
        return fail(error, LMK_NOT_FOUND, "There is no passage %zu; passages found: %zu.",
                    arguments->open, results->count);
    const struct lmk_passage *passage = &results->passages[arguments->open - 1];
    enum lmk_status status = place_find(place, passage, error);
    if (!status && !place->line && !arguments->quiet) { /* for whoever has to turn the pages */
        fputs(output_path(passage->path), stdout);
        output_place(passage, false);
        putchar('\n');
    }
    return status;
}

static enum lmk_status search_one(struct lmk_collection *collection,
                                  const struct arguments *arguments,
                                  const struct lmk_search_options *options, struct place *place,
                                  struct lmk_error *error)
{
    struct lmk_results *results;
    enum lmk_status status = lmk_search(collection, arguments->words[0], options, &results, error);
    if (status)
        return status;
    status = arguments->open ? find_place(arguments, results, place, error)
                             : print_results(arguments, results, error);
    lmk_results_free(results);
    return status;
}

/* Each result leaves at once: whoever writes the questions may wait for it. */
static enum lmk_status search_line(struct lmk_collection *collection,
                                   const struct lmk_search_options *options,
                                   const struct query *query, struct lmk_error *error)
{
    struct lmk_results *results;
    enum lmk_status status = lmk_search(collection, query->text, options, &results, error);
    if (status == LMK_NOT_FOUND)
        status = search_print_nothing(query, error->message, error);
    else if (!status) {
        status = search_print(query, results, error);
        lmk_results_free(results);
    }
    if (!status && fflush(stdout))
        status = fail(error, LMK_IO, "Cannot write the results.");
    return status;
}

static enum lmk_status search_lines(struct lmk_collection *collection,
                                    const struct arguments *arguments,
                                    const struct lmk_search_options *options,
                                    struct lmk_error *error)
{
    struct queries queries;
    struct query query;
    enum lmk_status status = queries_open(&queries, arguments->queries, error);
    while (!status && !(status = queries_next(&queries, &query, error)))
        if ((status = search_line(collection, options, &query, error)))
            queries_locate(&queries, error);
    queries_close(&queries);
    return status == LMK_NOT_FOUND ? LMK_OK : status;
}

static enum lmk_status check_arguments(const struct arguments *arguments, struct lmk_error *error)
{
    if (arguments->queries && (arguments->word_count || arguments->open))
        return fail(error, LMK_USAGE,
                    "Give one query, or --queries with a file of them. See: lmk help search");
    if (!arguments->queries && arguments->word_count != 1)
        return fail(error, LMK_USAGE, "Give one query, in quotation marks. See: lmk help search");
    if (arguments->features && !arguments->queries && !arguments->json)
        return fail(error, LMK_USAGE, "Features are written as JSON alone: add --json.");
    return LMK_OK;
}

enum lmk_status command_search(const struct arguments *arguments, struct lmk_error *error)
{
    struct session session;
    struct lmk_search_options options = search_options(arguments);
    struct place place = {0};
    enum lmk_status status = check_arguments(arguments, error);
    if (!status)
        status = session_open_query(&session, arguments, error);
    if (status)
        return status;
    status = arguments->queries
                 ? search_lines(session.collection, arguments, &options, error)
                 : search_one(session.collection, arguments, &options, &place, error);
    session_close(&session);
    if (!status && arguments->open)
        status = place_open(&place, arguments->opener, error);
    place_release(&place);
    return status;
}
