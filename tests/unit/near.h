/* What cmocka 1.1.5 lacks: numbers that are nearly equal. A macro, so that a failure names its
 * line.
 */
#ifndef TESTS_UNIT_NEAR_H
#define TESTS_UNIT_NEAR_H

#include <math.h>

#define assert_near(value, expected, tolerance)                                                    \
    assert_true(fabs((value) - (expected)) <= (tolerance))

#endif
