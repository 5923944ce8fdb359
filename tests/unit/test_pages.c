#include "src/text/pages.h"
#include "src/text/reader.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <string.h>

/* The mended text, and behind "|" the page and the place of each page's beginning. */
static void expect(const char *text, const char *mended, const struct source_place *places,
                   size_t count)
{
    struct buffer result, found;
    buffer_init(&result, 1 << 20);
    buffer_init(&found, 1 << 20);
    assert_int_equal(pages_mend((struct slice){text, strlen(text)}, &result, &found, NULL), LMK_OK);
    assert_int_equal(buffer_append(&result, "", 1, NULL), LMK_OK);
    assert_string_equal((const char *)result.data, mended);
    assert_int_equal(found.size, count * sizeof *places);
    const struct source_place *place = (const struct source_place *)(void *)found.data;
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(place[i].source, places[i].source);
        assert_int_equal(place[i].place, places[i].place);
    }
    buffer_release(&result);
    buffer_release(&found);
}

static void expect_text(const char *text, const char *mended)
{
    expect(text, mended, (const struct source_place[]){{0, 1}}, 1);
}

static void test_lines(void **state)
{
    (void)state;
    expect_text("One\n two \n\n\nthree\n\f", "One\ntwo\n\nthree");
    expect("", "", NULL, 0);
    expect("\n\n\f\f", "", NULL, 0);
}

static void test_split_words(void **state)
{
    (void)state;
    expect_text("an exam-\nple of it\n", "an example of it");
    /* the text knows it with a hyphen, and without */
    expect_text("well-known, a well-\nknown man\n", "well-known, a well-known man");
    expect_text("wellknown well-known, a well-\nknown man\n",
                "wellknown well-known, a wellknown man");
    /* soft and typographic hyphens */
    expect_text("an exam\xC2\xAD\nple\n", "an example");
    expect_text("an exam\xE2\x80\x90\nple\n", "an example");
    /* no words: a name, a number, a dash, the end of a paragraph */
    expect_text("Anglo-\nSaxon\n", "Anglo-\nSaxon");
    expect_text("pages 12-\nto the end\n", "pages 12-\nto the end");
    expect_text("he said --\nand left\n", "he said --\nand left");
    expect_text("exam-\n\nple\n", "exam-\n\nple");
}

static void test_pages_that_go_on(void **state)
{
    (void)state;
    expect("He saw the\n\fend. And\n\fthen.\n\fNext.\n", "He saw the\nend. And\nthen.\n\nNext.",
           (const struct source_place[]){{0, 1}, {11, 2}, {20, 3}, {27, 4}}, 4);
    /* A word split between pages is on the first of them. */
    expect("an exam-\n\fple here\n", "an example here",
           (const struct source_place[]){{0, 1}, {7, 2}}, 2);
    /* An empty page has no place of its own. */
    expect("a\n\f\fb\n", "a\nb", (const struct source_place[]){{0, 1}, {2, 3}}, 2);
}

static void test_running_heads(void **state)
{
    (void)state;
    expect("THE BOOK   11\n\nOne fox\n\n11\n\f"
           "12   CHAPTER I\n\nruns by.\n\n12\n\f"
           "THE BOOK   13\n\nTwo\n\n13\n\f"
           "14   CHAPTER I\n\nfoxes.\n\n14\n\f"
           "THE BOOK   15\n\nThree.\n\n15\n\f"
           "16   CHAPTER I\n\nEnd.\n\n16\n\f",
           "One fox\nruns by.\n\nTwo\nfoxes.\n\nThree.\n\nEnd.",
           (const struct source_place[]){{0, 1}, {8, 2}, {18, 3}, {22, 4}, {30, 5}, {38, 6}}, 6);
    /* twice is no running head; a line in the middle of a page stays */
    expect("Yes\nOne\n\fYes\nTwo\n", "Yes\nOne\nYes\nTwo",
           (const struct source_place[]){{0, 1}, {8, 2}}, 2);
    /* Roman numbers of pages */
    expect("one\nvii\n\ftwo\nviii\n\fthree\nix\n", "one\ntwo\nthree",
           (const struct source_place[]){{0, 1}, {4, 2}, {8, 3}}, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_split_words),
        cmocka_unit_test(test_pages_that_go_on),
        cmocka_unit_test(test_running_heads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
