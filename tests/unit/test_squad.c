/* Answers compared as SQuAD's scripts do; the expected values are worked out by hand. */
#include "cli/eval/squad.h"
#include "tests/unit/near.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void check_normalised(const char *text, const char *expected)
{
    char *normalised = squad_normalise(text);
    assert_non_null(normalised);
    assert_string_equal(normalised, expected);
    free(normalised);
}

static void test_normalise(void **state)
{
    (void)state;
    check_normalised("The Eiffel-Tower!", "eiffeltower");
    check_normalised("  an  Apple\ta\nDay, the END ", "apple day end");
    check_normalised("A", "");
    check_normalised("", "");
    check_normalised("theatre anthem a-b", "theatre anthem ab");
    check_normalised("O'Brien's $1,000.50", "obriens 100050");
    check_normalised("ÉCOLE Øre ΣΑ", "école øre σα");
    check_normalised("“The” end", "“ ” end"); /* not ASCII: stays, and is no letter */
    check_normalised("a\xc2\xa0"
                     "b",
                     "b");               /* a no-break space divides words */
    check_normalised("x\xff y", "xÿ y"); /* no UTF-8: the byte's character */
}

static void test_f1(void **state)
{
    (void)state;
    assert_near(squad_f1("red fox", "red fox"), 1, 0);
    assert_near(squad_f1("red fox", "blue hen"), 0, 0);
    assert_near(squad_f1("quick red fox", "red fox"), .8, 1e-12); /* 2/3 and 1 */
    assert_near(squad_f1("fox fox fox", "fox fox hen"), 2.0 / 3, 1e-12);
    assert_near(squad_f1("fox", "fox fox fox"), .5, 1e-12); /* 1 and 1/3 */
    assert_near(squad_f1("", ""), 1, 0);
    assert_near(squad_f1("fox", ""), 0, 0);
    assert_near(squad_f1("", "fox"), 0, 0);
    assert_near(squad_f1("foxes", "fox"), 0, 0);
}

static void test_holds(void **state)
{
    (void)state;
    assert_true(squad_holds("red fox ran", "red fox"));
    assert_true(squad_holds("red fox ran", "ran"));
    assert_true(squad_holds("infox fox", "fox"));
    assert_false(squad_holds("red foxes ran", "red fox"));
    assert_false(squad_holds("red fox", "red fox ran"));
    assert_false(squad_holds("red fox", ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_normalise),
        cmocka_unit_test(test_f1),
        cmocka_unit_test(test_holds),
    };
    return cmocka_run_group_tests_name("squad", tests, NULL, NULL);
}
