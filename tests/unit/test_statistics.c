/* Intervals: Wilson's against published ones, the bootstrap against distributions that are known.
 */
#include "cli/eval/comparison.h"
#include "cli/eval/statistics.h"
#include "tests/unit/near.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static double *draw(const double *values, const uint32_t *groups, size_t rows, size_t columns,
                    size_t group_count, size_t draws)
{
    struct sample sample = {values, groups, rows, columns, group_count};
    double *means = bootstrap_means(&sample, draws, 7);
    assert_non_null(means);
    return means;
}

static struct interval interval_of(const double *means, size_t columns, size_t column, size_t less)
{
    static double scratch[BOOTSTRAP_DRAWS];
    return bootstrap_interval(means, BOOTSTRAP_DRAWS, columns, column, less, scratch);
}

/* Newcombe (Statistics in Medicine 17, 1998), table I, method 3. */
static void test_wilson(void **state)
{
    static const struct {
        double successes;
        size_t trials;
        double low, high;
    } published[] = {{81, 263, .2553, .3662},
                     {15, 148, .0624, .1605},
                     {0, 20, .0000, .1611},
                     {1, 29, .0061, .1718}};
    (void)state;
    for (size_t i = 0; i < sizeof published / sizeof published[0]; i++) {
        struct interval found = wilson_interval(published[i].successes, published[i].trials);
        assert_near(found.low, published[i].low, .00005);
        assert_near(found.high, published[i].high, .00005);
    }
    struct interval all = wilson_interval(20, 20), none = wilson_interval(0, 0);
    assert_near(all.low, 1 - .1611, .00005);
    assert_near(all.high, 1, 1e-12);
    assert_true(none.low == 0 && none.high == 1);
}

/* The definition that most programs have as default: positions p (n - 1). */
static void test_quantile(void **state)
{
    static const double values[] = {1, 2, 3, 4};
    (void)state;
    assert_near(quantile(values, 4, .25), 1.75, 1e-12);
    assert_near(quantile(values, 4, 0), 1, 0);
    assert_near(quantile(values, 4, 1), 4, 0);
    assert_near(quantile(values, 1, .3), 1, 0);
    assert_true(isnan(quantile(values, 0, .5)));
}

/* Two documents with 0 and 1: two draws of them have the mean 0, 1/2, 1 with 1/4, 1/2, 1/4. */
static void test_distribution(void **state)
{
    static const double values[] = {0, 1};
    static const uint32_t groups[] = {0, 1};
    size_t counts[3] = {0};
    double *means = draw(values, groups, 2, 1, 2, BOOTSTRAP_DRAWS);
    (void)state;
    for (size_t i = 0; i < BOOTSTRAP_DRAWS; i++)
        counts[(size_t)(2 * means[i])]++;
    assert_int_equal(counts[0] + counts[1] + counts[2], BOOTSTRAP_DRAWS);
    assert_in_range(counts[0], 2300, 2700); /* 4.6 standard deviations */
    assert_in_range(counts[1], 4770, 5230);
    free(means);
}

/* Three questions about one document, one about the other: the three come and go together. */
static void test_groups(void **state)
{
    static const double values[] = {1, 1, 0, 1};
    static const uint32_t groups[] = {1, 1, 0, 1};
    double *means = draw(values, groups, 4, 1, 2, 1000);
    bool seen[3] = {false, false, false};
    (void)state;
    for (size_t i = 0; i < 1000; i++) {
        assert_true(means[i] == 0 || means[i] == .75 || means[i] == 1);
        seen[means[i] == 0 ? 0 : means[i] == 1 ? 2 : 1] = true;
    }
    assert_true(seen[0] && seen[1] && seen[2]);
    free(means);
}

/* 400 questions of 400 documents, half of them right: the mean's deviation is .5 / 20, the interval
 * 1.96 times that on both sides; what is better by .25 in each of them is so in every draw. */
static void test_intervals(void **state)
{
    static double values[400][2];
    static uint32_t groups[400];
    (void)state;
    for (uint32_t i = 0; i < 400; i++) {
        groups[i] = i;
        values[i][0] = i % 2;
        values[i][1] = i % 2 + .25;
    }
    double *means = draw(values[0], groups, 400, 2, 400, BOOTSTRAP_DRAWS);
    struct interval mean = interval_of(means, 2, 0, NO_COLUMN),
                    difference = interval_of(means, 2, 1, 0);
    assert_near(mean.low, .451, .003);
    assert_near(mean.high, .549, .003);
    assert_near(difference.low, .25, 1e-12);
    assert_near(difference.high, .25, 1e-12);
    free(means);
}

static void test_seed(void **state)
{
    static const double values[] = {0, .3, .5, 1};
    static const uint32_t groups[] = {0, 1, 2, 3};
    struct sample sample = {values, groups, 4, 1, 4};
    double *one = bootstrap_means(&sample, 100, 1), *again = bootstrap_means(&sample, 100, 1),
           *other = bootstrap_means(&sample, 100, 2);
    (void)state;
    assert_memory_equal(one, again, 100 * sizeof *one);
    assert_true(memcmp(one, other, 100 * sizeof *one));
    free(one);
    free(again);
    free(other);
}

/* A rate near 1 gets Wilson's interval, its difference the bootstrap's; numbers of documents may
 * have gaps; a measure that a system lacks stays NaN. */
static void test_comparison(void **state)
{
    enum { ROWS = 40 };
    static double values[ROWS][2][2];
    static uint32_t groups[ROWS];
    static const char *const systems[] = {"a", "b"}, *const names[] = {"rate", "other"};
    (void)state;
    for (uint32_t i = 0; i < ROWS; i++) {
        groups[i] = 1000 * (i / 2);
        values[i][0][0] = 1;
        values[i][1][0] = i % 4 < 2;
        values[i][0][1] = .5;
        values[i][1][1] = NAN;
    }
    struct comparison comparison = {.systems = systems,
                                    .names = names,
                                    .labels = names,
                                    .groups = groups,
                                    .values = values[0][0],
                                    .rows = ROWS,
                                    .system_count = 2,
                                    .metric_count = 2};
    assert_int_equal(comparison_estimate(&comparison, NULL), LMK_OK);
    const struct estimate *estimates = comparison.estimates;
    assert_int_equal(comparison.group_count, 20);
    assert_true(estimates[0].wilson && estimates[0].value == 1);
    assert_near(estimates[0].interval.low, wilson_interval(40, 40).low, 1e-12);
    assert_false(estimates[2].wilson);
    assert_near(estimates[2].value, .5, 1e-12);
    assert_near(estimates[2].difference, -.5, 1e-12);
    assert_near(estimates[2].difference_interval.low, -.725, .06); /* 20 documents */
    assert_near(estimates[1].interval.low, .5, 1e-12);
    assert_true(isnan(estimates[3].value) && isnan(estimates[3].difference));
    comparison_release(&comparison);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wilson),       cmocka_unit_test(test_quantile),
        cmocka_unit_test(test_distribution), cmocka_unit_test(test_groups),
        cmocka_unit_test(test_intervals),    cmocka_unit_test(test_seed),
        cmocka_unit_test(test_comparison),
    };
    return cmocka_run_group_tests_name("statistics", tests, NULL, NULL);
}
