/* Confidence intervals: the paired bootstrap over groups (cluster bootstrap, Efron and Tibshirani
 * 1993, chapter 13 for percentiles) and Wilson's score interval (1927) for rates. All are of 95 %.
 */
#ifndef CLI_EVAL_STATISTICS_H
#define CLI_EVAL_STATISTICS_H

#include "lmk.h"

#define BOOTSTRAP_DRAWS 10000

struct interval {
    double low, high;
};

/* What the bootstrap works on: rows are what was measured (questions), columns what is compared.
 * Rows of one group (questions about one document) are drawn together. */
struct sample {
    const double *values;   /* [rows][columns] */
    const uint32_t *groups; /* [rows], each below group_count */
    size_t rows, columns, group_count;
};

/* Means of `draws` resamples, [draws][columns], of groups drawn with replacement: the same groups
 * for all columns of a draw, which makes differences of columns paired. The caller frees them;
 * NULL: out of memory. */
double *bootstrap_means(const struct sample *sample, size_t draws, uint64_t seed);

#define NO_COLUMN SIZE_MAX
/* The middle 95 % of a column's means, or of its difference to the column `less`. `scratch`
 * [draws]. */
struct interval bootstrap_interval(const double *means, size_t draws, size_t columns, size_t column,
                                   size_t less, double *scratch);

/* Wilson's interval for `successes` of `trials`; 0 to 1 without trials. */
struct interval wilson_interval(double successes, size_t trials);

/* The p-quantile (0 to 1) of sorted values, interpolated linearly. NaN without values. */
double quantile(const double *sorted, size_t count, double p);
int compare_doubles(const void *left, const void *right);

#endif
