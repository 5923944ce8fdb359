/* The risk-coverage curve of ten questions, by hand. */
#include "cli/eval/risk.h"
#include "tests/unit/near.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_curve(void **state)
{
    struct graded_answer answers[10] = {
        {true, true, .3},  {true, false, .8}, {false, false, .99}, {true, true, .9},
        {true, false, .2}, {true, true, .8},  {false, false, .5},  {true, true, .7},
        {true, false, .1}, {true, true, .6},
    };
    /* in order: right .9, wrong .8, right .8, right .7, right .6, right .3, wrong .2, wrong .1 */
    static const double risks[] = {0, .5, 1.0 / 3, .25, .2, 1.0 / 6, 2.0 / 7, .375};
    static const double confidences[] = {.9, .8, .8, .7, .6, .3, .2, .1};
    double sum = 0;
    struct risk_curve curve = risk_curve_make(answers, 10);
    (void)state;
    for (size_t i = 0; i < 8; i++) {
        assert_near(curve.risk[i], risks[i], 1e-12);
        assert_near(curve.confidence[i], confidences[i], 0);
        sum += risks[i];
    }
    assert_true(isnan(curve.risk[8]) && isnan(curve.confidence[9]));
    assert_near(curve.coverage, .8, 1e-12);
    assert_near(curve.area, sum / 8, 1e-12);
}

static void test_few(void **state)
{
    struct graded_answer answers[3] = {{true, true, .5}, {true, false, .4}, {true, false, .3}};
    (void)state;
    struct risk_curve curve = risk_curve_make(answers, 3); /* 1 of 3 covers three tenths */
    assert_near(curve.risk[2], 0, 0);
    assert_near(curve.risk[3], .5, 0);
    assert_near(curve.risk[9], 2.0 / 3, 1e-12);
    curve = risk_curve_make(answers, 0);
    assert_true(isnan(curve.area) && isnan(curve.coverage) && isnan(curve.risk[0]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_curve), cmocka_unit_test(test_few)};
    return cmocka_run_group_tests_name("risk", tests, NULL, NULL);
}
