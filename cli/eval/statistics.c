#include "cli/eval/statistics.h"

#include "src/base/random.h"

#include <math.h>
#include <stdlib.h>

#define TWO_SIDED_95 1.959963984540054 /* quantile .975 of the normal distribution */

/* [group_count][columns + 1]: each group's sums, and how many rows it has. */
static double *sum_groups(const struct sample *sample)
{
    size_t width = sample->columns + 1;
    double *sums = calloc(sample->group_count * width, sizeof *sums);
    for (size_t row = 0; sums && row < sample->rows; row++) {
        double *sum = sums + sample->groups[row] * width;
        for (size_t c = 0; c < sample->columns; c++)
            sum[c] += sample->values[row * sample->columns + c];
        sum[sample->columns]++;
    }
    return sums;
}

double *bootstrap_means(const struct sample *sample, size_t draws, uint64_t seed)
{
    size_t columns = sample->columns, width = columns + 1;
    double *means = malloc((draws * columns + 1) * sizeof *means);
    double *drawn = malloc(width * sizeof *drawn), *sums = sum_groups(sample);
    for (size_t draw = 0; means && drawn && sums && draw < draws; draw++) {
        for (size_t c = 0; c < width; c++)
            drawn[c] = 0;
        for (size_t i = 0; i < sample->group_count; i++) {
            const double *group = sums + draw_below(&seed, sample->group_count) * width;
            for (size_t c = 0; c < width; c++)
                drawn[c] += group[c];
        }
        for (size_t c = 0; c < columns; c++)
            means[draw * columns + c] = drawn[c] / drawn[columns];
    }
    if (!drawn || !sums) {
        free(means);
        means = NULL;
    }
    free(drawn);
    free(sums);
    return means;
}

int compare_doubles(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return a < b ? -1 : a > b;
}

double quantile(const double *sorted, size_t count, double p)
{
    if (!count)
        return NAN;
    double at = p * (double)(count - 1);
    size_t below = (size_t)at, above = below + 1 < count ? below + 1 : below;
    return sorted[below] + (at - (double)below) * (sorted[above] - sorted[below]);
}

struct interval bootstrap_interval(const double *means, size_t draws, size_t columns, size_t column,
                                   size_t less, double *scratch)
{
    for (size_t draw = 0; draw < draws; draw++) {
        const double *row = means + draw * columns;
        scratch[draw] = row[column] - (less == NO_COLUMN ? 0 : row[less]);
    }
    qsort(scratch, draws, sizeof *scratch, compare_doubles);
    return (struct interval){quantile(scratch, draws, .025), quantile(scratch, draws, .975)};
}

struct interval wilson_interval(double successes, size_t trials)
{
    if (!trials)
        return (struct interval){0, 1};
    double n = (double)trials, z = TWO_SIDED_95, rate = successes / n;
    double middle = rate + z * z / (2 * n);
    double half = z * sqrt(rate * (1 - rate) / n + z * z / (4 * n * n));
    return (struct interval){rate > 0 ? (middle - half) / (1 + z * z / n) : 0,
                             rate < 1 ? (middle + half) / (1 + z * z / n) : 1};
}
