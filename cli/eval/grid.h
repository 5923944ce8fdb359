/* One sentence hidden in texts of many lengths, at many depths: found or not. */
#ifndef CLI_EVAL_GRID_H
#define CLI_EVAL_GRID_H

#include "cli/command.h"
#include "cli/eval/haystack.h"
#include "cli/progress.h"

#define MOST_LENGTHS 32
#define MOST_DEPTHS 101

enum grid_mode { GRID_LANDMARK, GRID_HYBRID, GRID_MODES };
/* What is counted: the needle's block ranked first; among the k that an answer reads; the number
 * written in the answer. */
enum grid_measure { GRID_FIRST, GRID_READ, GRID_RIGHT, GRID_MEASURES };

extern const char *const grid_mode_names[GRID_MODES];

struct grid_cell {
    size_t runs, tokens; /* tokens: of all runs together */
    size_t counts[GRID_MODES][GRID_MEASURES];
};

struct grid {
    const struct arguments *arguments;
    const char *command; /* "eval needle" */
    struct needle (*draw)(uint64_t *seed);
    size_t (*runs_of)(size_t length); /* where --runs does not say */
    struct display display;
    struct lmk_model *model;
    struct hay hay;
    double bytes_per_token;
    size_t lengths[MOST_LENGTHS], length_count; /* in tokens */
    double depths[MOST_DEPTHS];
    size_t depth_count;
    bool random_depth; /* then there is one depth, and it means any */
    size_t blocks;     /* k */
    uint64_t seed;
    struct grid_cell *cells; /* [depth_count][length_count] */
};

/* Runs the whole evaluation and prints it; the caller has set `arguments`, `command`, `draw`,
 * `runs_of` and `random_depth`, which --depths overrides. */
enum lmk_status grid_evaluate(struct grid *grid, struct lmk_error *error);

/* Table or JSON, and the picture of --svg. */
enum lmk_status grid_report(const struct grid *grid, struct lmk_error *error);

#endif
