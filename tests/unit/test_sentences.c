#include "src/text/sentences.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool is_space(char c)
{
    return c == ' ' || c == '\n';
}

/* The text is its sentences, one behind the other with white space between: from every byte of a
 * sentence both of its ends are found. */
static void expect(const char *text, size_t count, const char *const *sentences)
{
    size_t size = strlen(text), start = 0;
    for (size_t s = 0; s < count; s++) {
        while (is_space(text[start]))
            start++;
        size_t end = start + strlen(sentences[s]);
        assert_true(end <= size);
        assert_memory_equal(text + start, sentences[s], end - start);
        for (size_t at = start; at < end; at++) {
            if (sentence_start(text, size, at) != start || sentence_end(text, size, at) != end)
                fail_msg("byte %zu of \"%s\": from %zu to %zu, not from %zu to %zu", at, text,
                         sentence_start(text, size, at), sentence_end(text, size, at), start, end);
        }
        start = end;
    }
    while (is_space(text[start]))
        start++;
    assert_int_equal(start, size);
}

#define EXPECT(text, ...)                                                                          \
    expect(text, sizeof(const char *const[]){__VA_ARGS__} / sizeof(char *),                        \
           (const char *const[]){__VA_ARGS__})

static void test_ends(void **state)
{
    (void)state;
    EXPECT("It rained. Was it cold? No! We left.", "It rained.", "Was it cold?", "No!", "We left.");
    EXPECT("No end at all", "No end at all");
    EXPECT("x", "x");
    EXPECT(".", ".");
    EXPECT("Wait... What?! Yes.", "Wait...", "What?!", "Yes.");
    EXPECT("It cost 3.50 in all. So be it.", "It cost 3.50 in all.", "So be it.");
    EXPECT("Chapter 4. 1815 was a year.", "Chapter 4.", "1815 was a year.");
}

static void test_abbreviations(void **state)
{
    (void)state;
    EXPECT("Mr. Bennet met Mrs. Long. Dr. Grant of St. Ives left.", "Mr. Bennet met Mrs. Long.",
           "Dr. Grant of St. Ives left.");
    EXPECT("Books, e.g. Emma, i.e. Hers. Capt. Wentworth came.", "Books, e.g. Emma, i.e. Hers.",
           "Capt. Wentworth came.");
    EXPECT("M. Dupin knew Prof. X. He came.", "M. Dupin knew Prof. X. He came.");
    EXPECT("(Mr. Darcy was there.) Then he left.", "(Mr. Darcy was there.)", "Then he left.");
}

static void test_initials(void **state)
{
    (void)state;
    EXPECT("J. K. Jerome and E. M. Forster wrote. I read.", "J. K. Jerome and E. M. Forster wrote.",
           "I read.");
    EXPECT("So did I. She smiled.", "So did I.", "She smiled.");
}

static void test_quotes(void **state)
{
    (void)state;
    EXPECT("\"Go away!\" She went. 'Well.' Then (at last.) Night.", "\"Go away!\"", "She went.",
           "'Well.'", "Then (at last.)", "Night.");
    EXPECT("\"Is it?\" said he. \"It is,\" said she.", "\"Is it?\" said he.",
           "\"It is,\" said she.");
    EXPECT("\xe2\x80\x9cStop.\xe2\x80\x9d He did. \xe2\x80\x98No.\xe2\x80\x99 Yes.",
           "\xe2\x80\x9cStop.\xe2\x80\x9d", "He did.", "\xe2\x80\x98No.\xe2\x80\x99", "Yes.");
    EXPECT("_Never!_ He wept. *So.* It was [sic.] All.", "_Never!_", "He wept.", "*So.*",
           "It was [sic.]", "All.");
    EXPECT("She said \xe2\x80\x9c\xe2\x80\x98No.\xe2\x80\x99\xe2\x80\x9d Then went.",
           "She said \xe2\x80\x9c\xe2\x80\x98No.\xe2\x80\x99\xe2\x80\x9d", "Then went.");
}

static void test_lines(void **state)
{
    (void)state;
    EXPECT("CHAPTER I\nIt was late. She\nslept.", "CHAPTER I", "It was late.", "She", "slept.");
    EXPECT("\"Yes.\"\nNo.\n", "\"Yes.\"", "No.");
    EXPECT("\nOne\n\nTwo", "One", "Two");
}

static void test_other_letters(void **state)
{
    (void)state;
    EXPECT("\xc3\x89tait-ce vrai? \xc3\x80 demain. \xe2\x80\x94 Oui.", "\xc3\x89tait-ce vrai?",
           "\xc3\x80 demain.", "\xe2\x80\x94 Oui.");
    /* not the abbreviation M. */
    EXPECT("Caf\xc3\xa9M. Voici.", "Caf\xc3\xa9M.", "Voici.");
}

static void test_cut_text(void **state)
{
    (void)state;
    const char *text = "One. Two. Three.";
    /* `size` cuts the text off, whatever lies behind it. */
    assert_int_equal(sentence_end(text, 7, 5), 7);
    assert_int_equal(sentence_end(text, 4, 0), 4);
    assert_int_equal(sentence_end(text, 0, 0), 0);
    assert_int_equal(sentence_start(text, 7, 5), 5);
    assert_int_equal(sentence_start(text, 0, 0), 0);
    assert_int_equal(sentence_end(text, 9, 9), 9);
    /* Nothing behind the end is read, also where a closing mark might begin. */
    char *exact = malloc(3);
    memcpy(exact, "a.\xe2", 3);
    assert_int_equal(sentence_end(exact, 3, 0), 3);
    assert_int_equal(sentence_end(exact, 2, 0), 2);
    free(exact);
}

/* Whatever the bytes, a place lies inside what is found for it. */
static void test_any_bytes(void **state)
{
    (void)state;
    static const char bytes[] = "aB. .\n!?\"')\xe2\x80\x9d\x99 MrI";
    unsigned random = 1;
    for (int round = 0; round < 2000; round++) {
        char text[48];
        size_t size = 1 + (random >> 16) % sizeof text;
        for (size_t i = 0; i < size; i++) {
            random = random * 1103515245u + 12345u;
            text[i] = bytes[(random >> 16) % (sizeof bytes - 1)];
        }
        for (size_t from = 0; from < size; from++) {
            size_t start = sentence_start(text, size, from), end = sentence_end(text, size, from);
            assert_true(start <= from && from < end && end <= size);
        }
    }
}

/* Megabytes without an end, or of nothing but marks, must not take minutes. */
static void test_long_text(void **state)
{
    (void)state;
    size_t size = 1 << 21;
    char *text = malloc(size);
    memset(text, 'a', size);
    assert_int_equal(sentence_end(text, size, 0), size);
    assert_int_equal(sentence_start(text, size, size - 1), 0);
    for (size_t i = 1; i < size; i += 2)
        text[i] = '.';
    assert_int_equal(sentence_end(text, size, 0), size);
    assert_int_equal(sentence_start(text, size, size - 1), 0);
    memset(text, '.', size);
    assert_int_equal(sentence_end(text, size, 0), size);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ends),      cmocka_unit_test(test_abbreviations),
        cmocka_unit_test(test_initials),  cmocka_unit_test(test_quotes),
        cmocka_unit_test(test_lines),     cmocka_unit_test(test_other_letters),
        cmocka_unit_test(test_cut_text),  cmocka_unit_test(test_any_bytes),
        cmocka_unit_test(test_long_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
