/* Texts with a sentence hidden in them, and answers that name its number. */
#include "cli/eval/haystack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define FILLER                                                                                     \
    "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again. "

static void test_passkey(void **state)
{
    uint64_t seed = 1;
    struct hay hay;
    struct haystack stack;
    char expected[200];
    (void)state;
    struct needle needle = needle_passkey(&seed);
    assert_in_range(needle.number, 1, 50000);
    snprintf(expected, sizeof expected, "The pass key is %u. Remember it. %u is the pass key.",
             needle.number, needle.number);
    assert_string_equal(needle.sentence, expected);
    assert_string_equal(needle.question, "What is the pass key? The pass key is");
    assert_int_equal(hay_public(&hay, NULL), LMK_OK);
    assert_string_equal(hay.text, FILLER);
    for (double depth = 0; depth <= 1; depth += .25) {
        assert_int_equal(haystack_make(&stack, &hay, &needle, 5000, depth, &seed, NULL), LMK_OK);
        assert_in_range(strlen(stack.text), 4990, 5010);
        assert_memory_equal(stack.text, needle.introduction, strlen(needle.introduction));
        assert_int_equal(stack.end - stack.start, strlen(expected));
        assert_memory_equal(stack.text + stack.start, expected, strlen(expected));
        assert_true(stack.text[stack.start - 1] == '\n' && stack.text[stack.end] == '\n');
        assert_null(strstr(stack.text + stack.end, expected));
        size_t introduction = strlen(needle.introduction) + 2;
        double place = (double)(stack.start - introduction) / (5000 - 150 - 60);
        assert_true(place > depth - .02 && place < depth + .02);
        haystack_release(&stack);
    }
    hay_release(&hay);
}

/* Every piece of real text ends with a sentence, and the text repeats itself where it is too short.
 */
static void test_real_text(void **state)
{
    char path[] = "/tmp/lmk-hay-XXXXXX";
    int descriptor = mkstemp(path);
    FILE *file = fdopen(descriptor, "w");
    struct hay hay;
    struct haystack stack;
    uint64_t seed = 5;
    (void)state;
    for (int i = 0; i < 60; i++)
        fprintf(file, "Sentence number %d é ends.%c", i, i % 7 ? ' ' : '\n');
    fclose(file);
    assert_int_equal(hay_read(&hay, path, NULL), LMK_OK);
    for (int i = 0; i < 20; i++) {
        struct needle needle = needle_door(&seed);
        assert_int_equal(haystack_make(&stack, &hay, &needle, 4000, i / 19.0, &seed, NULL), LMK_OK);
        assert_in_range(strlen(stack.text), 3900, 4200);
        if (i)
            assert_true(stack.text[stack.start - 2] == '.' || stack.text[stack.start - 2] == '\n');
        assert_memory_equal(stack.text + stack.start, needle.sentence, strlen(needle.sentence));
        haystack_release(&stack);
    }
    hay_release(&hay);
    unlink(path);
}

static void test_refused(void **state)
{
    char path[] = "/tmp/lmk-hay-XXXXXX";
    struct hay hay;
    struct lmk_error error;
    (void)state;
    close(mkstemp(path));
    assert_int_equal(hay_read(&hay, path, &error), LMK_INPUT);
    hay_release(&hay);
    unlink(path);
    assert_int_equal(hay_read(&hay, path, &error), LMK_IO);
    hay_release(&hay);
}

static void test_answers(void **state)
{
    struct needle needle = {.number = 12345};
    (void)state;
    assert_true(needle_is_answered(&needle, "12345"));
    assert_true(needle_is_answered(&needle, " It is 12345. Remember 9."));
    assert_true(needle_is_answered(&needle, "12,345, and"));
    assert_false(needle_is_answered(&needle, "123456"));
    assert_false(needle_is_answered(&needle, "1234"));
    assert_false(needle_is_answered(&needle, "9 or 12345"));
    assert_false(needle_is_answered(&needle, "none"));
    assert_false(needle_is_answered(&needle, "99999999999999999999999999"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_passkey),
        cmocka_unit_test(test_real_text),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_answers),
    };
    return cmocka_run_group_tests_name("haystack", tests, NULL, NULL);
}
