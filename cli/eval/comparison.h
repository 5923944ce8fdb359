/* Systems side by side: means of measures over questions, with intervals, and differences to one of
 * the systems. */
#ifndef CLI_EVAL_COMPARISON_H
#define CLI_EVAL_COMPARISON_H

#include "cli/eval/statistics.h"

#include <cjson/cJSON.h>

struct estimate {
    double value; /* NaN: the system has no such measure */
    struct interval interval;
    bool wilson;       /* the interval is Wilson's, else the bootstrap's */
    double difference; /* to the baseline */
    struct interval difference_interval;
};

struct comparison {
    const char *const *systems; /* [system_count]: names */
    const char *const *names;   /* [metric_count]: of measures, in JSON */
    const char *const *labels;  /* [metric_count]: in tables */
    const uint32_t *groups;     /* [rows]: questions about one document have one number, any one */
    const double *values;       /* [rows][system_count][metric_count]; a measure is NaN in all rows
                                   or in none */
    size_t rows, system_count, metric_count, baseline;
    uint64_t seed;
    struct estimate *estimates; /* [system_count][metric_count]; owned, by comparison_estimate */
    size_t group_count;         /* documents that the questions are about */
};

/* Fills in the estimates. Intervals are paired bootstraps over documents; where all values of a
 * measure are 0 or 1 and their mean is within .05 of either, Wilson's. With a single document the
 * bootstrap's are NaN. LMK_MEMORY. */
enum lmk_status comparison_estimate(struct comparison *comparison, struct lmk_error *error);
void comparison_release(struct comparison *comparison);

/* A table: systems in columns, below each measure its difference to the baseline. */
void comparison_print(const struct comparison *comparison);

/* Adds a system's measures to `object`, by name, and "intervals", "differences" with the same
 * names.
 */
void comparison_json(const struct comparison *comparison, size_t system, cJSON *object);

#endif
