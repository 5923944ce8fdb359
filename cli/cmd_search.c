#include "cli/command.h"
#include "cli/open_passage.h"
#include "cli/output.h"

#include <stdio.h>

static enum lmk_status print_json(const char *query, const struct lmk_results *results,
                                  struct lmk_error *error)
{
    cJSON *object = json_start("search");
    cJSON_AddStringToObject(object, "query", query);
    cJSON_AddNumberToObject(object, "documents", (double)results->documents);
    cJSON_AddNumberToObject(object, "documents_ready", (double)results->documents_ready);
    cJSON_AddNumberToObject(object, "documents_words", (double)results->documents_words);
    cJSON_AddItemToObject(object, "milliseconds", json_timing(&results->timing));
    cJSON *passages = cJSON_AddArrayToObject(object, "passages");
    for (size_t i = 0; i < results->count; i++)
        cJSON_AddItemToArray(passages, json_passage(&results->passages[i], i + 1, false));
    return json_print(object, error);
}

static void print_passage(const struct lmk_passage *passage, size_t rank)
{
    bool colours = output_colours();
    printf("%zu. %s", rank, colours ? "\033[1;36m" : "");
    output_heading(passage->title, passage->author, passage->path);
    printf("%s  (score %.2f)\n   %s%s, bytes %llu-%llu%s\n", colours ? "\033[0m" : "",
           passage->score, colours ? "\033[2m" : "", output_path(passage->path),
           (unsigned long long)passage->source_start, (unsigned long long)passage->source_end,
           colours ? "\033[0m" : "");
    output_text(passage->text, passage->mark_start, passage->mark_end, 3);
    putchar('\n');
}

static enum lmk_status print_results(const struct arguments *arguments,
                                     const struct lmk_results *results, struct lmk_error *error)
{
    if (!arguments->quiet)
        output_readiness(arguments, results->documents_ready, results->documents_words,
                         results->documents);
    if (arguments->json)
        return print_json(arguments->words[0], results, error);
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
    return place_find(place, &results->passages[arguments->open - 1], error);
}

enum lmk_status command_search(const struct arguments *arguments, struct lmk_error *error)
{
    struct session session;
    struct lmk_search_options options = search_options(arguments);
    struct lmk_results *results;
    struct place place = {0};
    if (arguments->word_count != 1)
        return fail(error, LMK_USAGE, "Give one query, in quotation marks. See: lmk help search");
    enum lmk_status status = session_open_query(&session, arguments, error);
    if (status)
        return status;
    status = lmk_search(session.collection, arguments->words[0], &options, &results, error);
    if (!status) {
        status = arguments->open ? find_place(arguments, results, &place, error)
                                 : print_results(arguments, results, error);
        lmk_results_free(results);
    }
    session_close(&session);
    if (!status && arguments->open)
        status = place_open(&place, arguments->opener, error);
    place_release(&place);
    return status;
}
