/* `lmk ask` where a model elsewhere writes the answer. */
#ifndef CLI_READER_H
#define CLI_READER_H

#include "cli/command.h"

#include <cjson/cJSON.h>

/* Has the reader that `arguments` name write the answer's text; printed as it comes, unless JSON is
 * wanted. Errors: those of lmk_answer_write. */
enum lmk_status reader_write(const struct arguments *arguments, struct lmk_answer *answer,
                             struct lmk_error *error);

/* Prints the passages with their numbers, those that the text cites marked; and a note on stderr,
 * unless `quiet`, where it cites none, or one that there is not. */
void reader_print_passages(const struct lmk_answer *answer, bool quiet);

/* Adds "reader" and "citations". */
void reader_add_json(cJSON *object, const struct arguments *arguments,
                     const struct lmk_answer *answer);

#endif
