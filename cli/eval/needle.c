/* lmk eval needle: a sentence in a haystack, depth by length. */
#include "cli/eval/grid.h"

static size_t runs_of(size_t length)
{
    (void)length;
    return 3;
}

enum lmk_status command_eval_needle(const struct arguments *arguments, struct lmk_error *error)
{
    struct grid grid = {
        .arguments = arguments, .command = "eval needle", .draw = needle_door, .runs_of = runs_of};
    return grid_evaluate(&grid, error);
}
