/* The JSON objects of lmk search, see docs/json.md. */
#ifndef CLI_SEARCH_JSON_H
#define CLI_SEARCH_JSON_H

#include "cli/queries.h"

/* Prints the results as one line. LMK_MEMORY. */
enum lmk_status search_print(const struct query *query, const struct lmk_results *results,
                             struct lmk_error *error);
/* The same for a question among many that nothing fits; `why` is a sentence. */
enum lmk_status search_print_nothing(const struct query *query, const char *why,
                                     struct lmk_error *error);

#endif
