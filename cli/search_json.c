#include "cli/search_json.h"

#include "cli/output.h"

#include <math.h>

/* Digits beyond the fifth say nothing and fill files. */
static double rounded(double value)
{
    return round(1e5 * value) / 1e5;
}

static cJSON *json_candidate(const struct lmk_candidate *candidate, size_t heads)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddNumberToObject(object, "document", (double)candidate->document);
    cJSON_AddNumberToObject(object, "block", (double)candidate->block);
    cJSON_AddNumberToObject(object, "source_start", (double)candidate->source_start);
    cJSON_AddNumberToObject(object, "source_end", (double)candidate->source_end);
    cJSON_AddNumberToObject(object, "score", rounded(candidate->score));
    cJSON_AddNumberToObject(object, "landmark", rounded(candidate->landmark_score));
    cJSON_AddNumberToObject(object, "lexical", rounded(candidate->lexical_score));
    cJSON_AddNumberToObject(object, "landmark_z", rounded(candidate->landmark_z));
    cJSON_AddNumberToObject(object, "lexical_z", rounded(candidate->lexical_z));
    cJSON_AddNumberToObject(object, "neighbourhood", rounded(candidate->neighbourhood));
    if (!candidate->heads) {
        cJSON_AddNullToObject(object, "heads");
        return object;
    }
    cJSON *values = cJSON_AddArrayToObject(object, "heads");
    for (size_t h = 0; h < heads; h++)
        cJSON_AddItemToArray(values, cJSON_CreateNumber(rounded((double)candidate->heads[h])));
    return object;
}

static cJSON *start_result(const struct query *query)
{
    cJSON *object = json_start("search");
    if (query->id)
        cJSON_AddItemToObject(object, "id", cJSON_Duplicate(query->id, false));
    cJSON_AddStringToObject(object, "query", query->text);
    return object;
}

enum lmk_status search_print(const struct query *query, const struct lmk_results *results,
                             struct lmk_error *error)
{
    cJSON *object = start_result(query);
    cJSON_AddNumberToObject(object, "documents", (double)results->documents);
    cJSON_AddNumberToObject(object, "documents_ready", (double)results->documents_ready);
    cJSON_AddNumberToObject(object, "documents_words", (double)results->documents_words);
    cJSON_AddItemToObject(object, "milliseconds", json_timing(&results->timing));
    cJSON *passages = cJSON_AddArrayToObject(object, "passages");
    for (size_t i = 0; i < results->count; i++)
        cJSON_AddItemToArray(passages, json_passage(&results->passages[i], i + 1, false));
    if (results->candidates) {
        cJSON *candidates = cJSON_AddArrayToObject(object, "candidates");
        for (size_t i = 0; i < results->candidate_count; i++)
            cJSON_AddItemToArray(candidates,
                                 json_candidate(&results->candidates[i], results->heads));
    }
    return json_print(object, error);
}

enum lmk_status search_print_nothing(const struct query *query, const char *why,
                                     struct lmk_error *error)
{
    cJSON *object = start_result(query);
    cJSON_AddStringToObject(object, "not_found", why);
    cJSON_AddArrayToObject(object, "passages");
    return json_print(object, error);
}
