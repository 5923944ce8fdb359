/* What supports an answer: words that stand in what was read, and the model's confidence. */
#include "index/support.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void judge(struct lmk_answer *answer, const char *text, float threshold)
{
    static struct lmk_passage passages[] = {
        {.text = "He accused his brother Ambrose\nof the murder; \u201cNaomi\u201d left."},
        {.text = "In 1874 the \u00c9glise of Narrabee was burnt\u2014down."}};
    const struct lmk_model model = {.answer_threshold = threshold};
    *answer = (struct lmk_answer){
        .text = (char *)(uintptr_t)text, .passages = passages, .count = 2, .confidence = 0.25};
    support_judge(answer, &model);
}

static void expect(const char *text, size_t words, size_t read, bool found)
{
    struct lmk_answer answer;
    judge(&answer, text, NAN);
    if (answer.words != words || answer.words_read != read || answer.found != found)
        fail_msg("%s: %zu of %zu words, %sfound", text, answer.words_read, answer.words,
                 answer.found ? "" : "not ");
    assert_true(answer.confidence == 0.25);
}

static void test_words(void **state)
{
    (void)state;
    expect("Ambrose", 1, 1, true);
    expect("his brother AMBROSE", 3, 3, true);
    expect("the murder of Naomi", 2, 2, true); /* between quotation marks there */
    expect("\u201cnaomi\u201d, burnt", 2, 2, true);
    expect("Ambro", 1, 0, false); /* no part of a word */
    expect("the of", 0, 0, false);
    expect("down 1874 \u00c9glise", 3, 3, true);
    expect("Ambrose Silas", 2, 1, true);
    expect("Ambrose John Silas", 3, 1, false);
    expect(" ;-) ", 0, 0, false);
}

static void test_threshold(void **state)
{
    (void)state;
    struct lmk_answer answer;
    judge(&answer, "Silas", 0.2f); /* the model's word counts, whatever stands there */
    assert_true(answer.found);
    assert_int_equal(answer.words_read, 0);
    judge(&answer, "Ambrose", 0.3f);
    assert_false(answer.found);
    judge(&answer, "", 0); /* however little the model asks for */
    assert_false(answer.found);
    judge(&answer, "", NAN);
    assert_false(answer.found);
    judge(&answer, NULL, 0.9f); /* none was to be written */
    assert_true(answer.found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_threshold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
