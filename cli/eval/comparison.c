#include "cli/eval/comparison.h"

#include "cli/fail.h"
#include "cli/output.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NEAR_EDGE .05 /* rates this near to 0 or 1 get Wilson's interval */

static size_t column_of(const struct comparison *comparison, size_t system, size_t metric)
{
    return system * comparison->metric_count + metric;
}

static size_t column_count(const struct comparison *comparison)
{
    return comparison->system_count * comparison->metric_count;
}

static int by_number(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return a < b ? -1 : a > b;
}

/* Numbers that have no gaps, so that only documents with questions are drawn; NULL: no memory. */
static uint32_t *compact_groups(struct comparison *comparison)
{
    size_t rows = comparison->rows, count = 0;
    uint32_t *sorted = malloc((rows + 1) * sizeof *sorted),
             *compact = malloc((rows + 1) * sizeof *compact);
    if (sorted && compact) {
        memcpy(sorted, comparison->groups, rows * sizeof *sorted);
        qsort(sorted, rows, sizeof *sorted, by_number);
        for (size_t i = 0; i < rows; i++)
            if (!i || sorted[i] != sorted[i - 1])
                sorted[count++] = sorted[i];
        for (size_t i = 0; i < rows; i++) {
            const uint32_t *place =
                bsearch(&comparison->groups[i], sorted, count, sizeof *sorted, by_number);
            compact[i] = (uint32_t)(place - sorted);
        }
        comparison->group_count = count;
    } else {
        free(compact);
        compact = NULL;
    }
    free(sorted);
    return compact;
}

/* The sum of a column; `rate`: all its values are 0 or 1. */
static double sum_column(const struct comparison *comparison, size_t column, bool *rate)
{
    double sum = 0;
    *rate = true;
    for (size_t row = 0; row < comparison->rows; row++) {
        double value = comparison->values[row * column_count(comparison) + column];
        sum += value;
        *rate = *rate && (value == 0 || value == 1);
    }
    return sum;
}

static void estimate(struct comparison *comparison, size_t system, size_t metric,
                     const double *means, double *scratch)
{
    size_t columns = column_count(comparison), column = column_of(comparison, system, metric),
           base = column_of(comparison, comparison->baseline, metric);
    struct estimate *result = &comparison->estimates[column];
    bool rate, ignored;
    double rows = (double)comparison->rows, sum = sum_column(comparison, column, &rate);
    result->value = sum / rows;
    result->difference = (sum - sum_column(comparison, base, &ignored)) / rows;
    result->wilson = rate && fabs(result->value - .5) > .5 - NEAR_EDGE;
    result->interval = result->wilson ? wilson_interval(sum, comparison->rows)
                                      : bootstrap_interval(means, BOOTSTRAP_DRAWS, columns, column,
                                                           NO_COLUMN, scratch);
    result->difference_interval =
        bootstrap_interval(means, BOOTSTRAP_DRAWS, columns, column, base, scratch);
}

/* Where all questions are about one document, there is nothing to draw. */
static void forget_intervals(struct comparison *comparison)
{
    struct interval unknown = {NAN, NAN};
    for (size_t i = 0; i < column_count(comparison); i++) {
        struct estimate *item = &comparison->estimates[i];
        item->interval = item->wilson ? item->interval : unknown;
        item->difference_interval = unknown;
    }
}

enum lmk_status comparison_estimate(struct comparison *comparison, struct lmk_error *error)
{
    uint32_t *groups = compact_groups(comparison);
    struct sample sample = {comparison->values, groups, comparison->rows, column_count(comparison),
                            comparison->group_count};
    double *means = groups ? bootstrap_means(&sample, BOOTSTRAP_DRAWS, comparison->seed) : NULL,
           *scratch = malloc(BOOTSTRAP_DRAWS * sizeof *scratch);
    comparison->estimates = calloc(sample.columns + 1, sizeof *comparison->estimates);
    bool enough = means && scratch && comparison->estimates;
    for (size_t s = 0; enough && s < comparison->system_count; s++)
        for (size_t m = 0; m < comparison->metric_count; m++)
            estimate(comparison, s, m, means, scratch);
    if (enough && comparison->group_count < 2)
        forget_intervals(comparison);
    free(groups);
    free(means);
    free(scratch);
    return enough ? LMK_OK : fail_memory(error);
}

void comparison_release(struct comparison *comparison)
{
    free(comparison->estimates);
    comparison->estimates = NULL;
}

/* ------------------------------------------------------------------ table */

#define LABEL 10 /* columns of the table that a measure's name takes */
#define CELL 25  /* and a system */

static void print_cell(size_t *gap, const char *format, double value, struct interval interval,
                       bool marked)
{
    char text[64] = "-";
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    if (!isnan(value))
        snprintf(text, sizeof text, format, value, interval.low, interval.high, marked ? "*" : "");
#pragma GCC diagnostic pop
    output_cell(gap, CELL, text);
}

static void print_differences(const struct comparison *comparison, size_t metric)
{
    size_t gap = 0;
    output_cell(&gap, LABEL, "  diff");
    for (size_t s = 0; s < comparison->system_count; s++) {
        const struct estimate *item = &comparison->estimates[column_of(comparison, s, metric)];
        struct interval interval = item->difference_interval;
        if (s == comparison->baseline)
            output_cell(&gap, CELL, "");
        else
            print_cell(&gap, "%+.3f (%+.3f %+.3f)%s", item->difference, interval,
                       interval.low > 0 || interval.high < 0);
    }
    putchar('\n');
}

void comparison_print(const struct comparison *comparison)
{
    size_t gap = LABEL;
    for (size_t s = 0; s < comparison->system_count; s++) {
        char name[CELL];
        snprintf(name, sizeof name, "%s", comparison->systems[s]);
        output_cell(&gap, CELL, name);
    }
    putchar('\n');
    for (size_t m = 0; m < comparison->metric_count; m++) {
        gap = 0;
        output_cell(&gap, LABEL, comparison->labels[m]);
        for (size_t s = 0; s < comparison->system_count; s++) {
            const struct estimate *item = &comparison->estimates[column_of(comparison, s, m)];
            print_cell(&gap, "%.3f (%.3f %.3f)", item->value, item->interval, false);
        }
        putchar('\n');
        if (comparison->system_count > 1)
            print_differences(comparison, m);
    }
}

/* ------------------------------------------------------------------ JSON */

static cJSON *json_interval(struct interval interval)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddNumberToObject(object, "low", interval.low);
    cJSON_AddNumberToObject(object, "high", interval.high);
    return object;
}

void comparison_json(const struct comparison *comparison, size_t system, cJSON *object)
{
    const struct estimate *estimates = &comparison->estimates[column_of(comparison, system, 0)];
    for (size_t m = 0; m < comparison->metric_count; m++)
        cJSON_AddNumberToObject(object, comparison->names[m], estimates[m].value);
    cJSON *intervals = cJSON_AddObjectToObject(object, "intervals");
    for (size_t m = 0; m < comparison->metric_count; m++) {
        cJSON *interval = json_interval(estimates[m].interval);
        cJSON_AddStringToObject(interval, "method", estimates[m].wilson ? "wilson" : "bootstrap");
        cJSON_AddItemToObject(intervals, comparison->names[m], interval);
    }
    if (system == comparison->baseline)
        return;
    cJSON *differences = cJSON_AddObjectToObject(object, "differences");
    for (size_t m = 0; m < comparison->metric_count; m++) {
        cJSON *difference = json_interval(estimates[m].difference_interval);
        cJSON_AddNumberToObject(difference, "value", estimates[m].difference);
        cJSON_AddItemToObject(differences, comparison->names[m], difference);
    }
}
