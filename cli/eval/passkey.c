/* lmk eval passkey: the public prompt with a number in it, of any length. */
#include "cli/eval/grid.h"

#define LONG_TEXT 32768 /* tokens, beyond which fewer texts are tried */

static size_t runs_of(size_t length)
{
    return length <= LONG_TEXT ? 50 : 5;
}

enum lmk_status command_eval_passkey(const struct arguments *arguments, struct lmk_error *error)
{
    struct grid grid = {.arguments = arguments,
                        .command = "eval passkey",
                        .draw = needle_passkey,
                        .runs_of = runs_of,
                        .random_depth = true};
    return grid_evaluate(&grid, error);
}
