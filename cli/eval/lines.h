/* Files read line by line, as JSON objects or as they are. */
#ifndef CLI_EVAL_LINES_H
#define CLI_EVAL_LINES_H

#include "lmk.h"

#include <cjson/cJSON.h>

/* Calls `take` for each line of a file; empty lines are passed over. The object lives during the
 * call. What `take` refuses is told with file and line. Errors: LMK_IO, LMK_INPUT, what `take`
 * gives. */
enum lmk_status objects_read(const char *path,
                             enum lmk_status (*take)(void *context, const cJSON *object,
                                                     struct lmk_error *error),
                             void *context, struct lmk_error *error);

/* The text member `name` of an object, NULL where it has none. It lives as long as the object. */
const char *json_text(const cJSON *object, const char *name);

/* Calls `take` for each line of a text file, without its line end; as above. */
enum lmk_status lines_read(const char *path,
                           enum lmk_status (*take)(void *context, char *line,
                                                   struct lmk_error *error),
                           void *context, struct lmk_error *error);

#endif
