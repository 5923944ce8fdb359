#include "src/text/normalise.h"
#include "src/text/utf8.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cjson/cJSON.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHARED_VECTORS "tests/golden/normalise.jsonl"
#define LONG_LINE                                                                                  \
    "Thirty lines could not hold what this one line of somewhat more than ninety letters has to "  \
    "say."

static struct normalised_text normalised(const char *source, size_t size)
{
    struct normalised_text text;
    struct lmk_error error;
    assert_int_equal(normalise(&text, source, size, &error), LMK_OK);
    assert_int_equal(text.text[text.size], 0);
    return text;
}

static void expect_bytes(const char *source, size_t size, const char *expected)
{
    struct normalised_text text = normalised(source, size);
    assert_string_equal(text.text, expected);
    assert_int_equal(text.size, strlen(expected));
    assert_int_equal(text.source_size, size);
    normalised_text_release(&text);
}

static void expect_text(const char *source, const char *expected)
{
    expect_bytes(source, strlen(source), expected);
}

static void test_hard_wrapped(void **state)
{
    (void)state;
    expect_text("one\ntwo", "one two");
    expect_text("one\n\ntwo", "one\ntwo");
    expect_text("one\n \t\n\n\ntwo\n", "one\ntwo");
    expect_text("one  \n  two", "one two");
    expect_text("one\r\ntwo\r\rthree\rfour", "one two\nthree four");
    expect_text("one\n\r\ntwo", "one\ntwo");
    expect_text("  a \t\t b  ", "a b");
    expect_text("a\tb", "a b");
}

static void test_one_line_a_paragraph(void **state)
{
    (void)state;
    expect_text(LONG_LINE "\n" LONG_LINE, LONG_LINE "\n" LONG_LINE);
    expect_text(LONG_LINE " \r\n \r\n\n\t" LONG_LINE "\n\n", LONG_LINE "\n" LONG_LINE);
}

/* Lines of 90 characters (not bytes, and white space at the ends left out) are not hard-wrapped,
 * one of 89 is enough. */
static void test_limit_of_line_length(void **state)
{
    (void)state;
    for (int length = 89; length <= 90; length++) {
        char source[600];
        int size = sprintf(source, "   ");
        for (int i = 0; i < length; i++)
            size += sprintf(source + size, "\u00e9");
        size += sprintf(source + size, " \t\n  %s",
                        "ninety letters stand here, or whatever it takes, so that they say nothing "
                        "but are counted.");
        struct normalised_text text = normalised(source, (size_t)size);
        assert_int_equal(strchr(text.text, '\n') != NULL, length == 90);
        normalised_text_release(&text);
    }
}

static void test_nothing(void **state)
{
    (void)state;
    expect_text("", "");
    expect_bytes(NULL, 0, "");
    expect_text(" \r\n\t ", "");
    expect_text("\xEF\xBB\xBF", "");
    struct normalised_text text = normalised(" ", 1);
    assert_int_equal(text.run_count, 0);
    assert_int_equal(normalised_source(&text, 0), 0);
    normalised_text_release(&text);
}

#define BAD "\xEF\xBF\xBD"

static void test_invalid_bytes(void **state)
{
    (void)state;
    expect_text("\xEF\xBB\xBF"
                "a",
                "a");
    expect_text("a\xEF\xBB\xBF", "a\xEF\xBB\xBF"); /* not at the start: a character */
    /* The Unicode standard's own examples (3.9, tables 3-8 to 3-11). */
    expect_text("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41", BAD BAD BAD BAD BAD BAD BAD BAD "A");
    expect_text("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41", BAD BAD BAD BAD BAD BAD BAD BAD "A");
    expect_text("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42", BAD BAD BAD BAD BAD "A" BAD BAD "B");
    expect_text("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", BAD BAD BAD BAD "A");
}

static void test_nul_bytes_are_ordinary(void **state)
{
    (void)state;
    struct normalised_text text = normalised("a\0 \nb", 5);
    assert_int_equal(text.size, 4);
    assert_memory_equal(text.text, "a\0 b", 5);
    normalised_text_release(&text);
}

static void test_invalid_bytes_are_counted(void **state)
{
    (void)state;
    struct normalised_text text = normalised("a\xF0\x9F\x98 \xFF", 6);
    assert_int_equal(text.invalid_bytes, 4);
    normalised_text_release(&text);
}

static void expect_source(const struct normalised_text *text, uint64_t offset, uint64_t source)
{
    assert_int_equal(normalised_source(text, offset), source);
}

static void test_map(void **state)
{
    (void)state;
    const char *source = "\n  one\ntwo   three\r\n\r\n four \n";
    struct normalised_text text = normalised(source, strlen(source));
    assert_string_equal(text.text, "one two three\nfour");
    assert_int_equal(text.run_count, 3); /* the single line break changes nothing */
    expect_source(&text, 0, 3);
    expect_source(&text, 4, 7);
    expect_source(&text, 7, 10); /* the space: the first of three */
    expect_source(&text, 8, 13);
    expect_source(&text, 13, 18); /* the line feed: the first CR */
    expect_source(&text, 14, 23);
    expect_source(&text, text.size, 27);
    normalised_text_release(&text);
}

static void test_map_of_replaced_bytes(void **state)
{
    (void)state;
    struct normalised_text text = normalised("a\xFFz\xFF", 4);
    assert_string_equal(text.text, "a" BAD "z" BAD);
    uint64_t sources[] = {0, 1, 2, 2, 2, 3, 4, 4, 4};
    for (uint64_t i = 0; i <= text.size; i++)
        expect_source(&text, i, sources[i]);
    normalised_text_release(&text);
}

/* ---- Random sources */

static uint64_t random_state;

static uint32_t random_below(uint32_t limit)
{
    random_state = random_state * 6364136223846793005U + 1442695040888963407U;
    return (uint32_t)((random_state >> 33) % limit);
}

static size_t random_source(char *source, size_t pieces)
{
    static const char *const parts[] = {
        "a",
        "word",
        " ",
        "  ",
        "\t",
        "\n",
        "\n\n",
        "\r\n",
        "\r",
        "\xFF",
        "\xE2\x82",
        "\u00e9",
        "\u4e16",
        "\U0001f600",
        "\xEF\xBB\xBF",
        "\x01",
        "\xC3",
        "\xF0\x9F\x98",
        "a longer stretch of text without any line break in it to reach ninety"};
    size_t size = 0;
    for (size_t i = 0; i < pieces; i++) {
        const char *part = parts[random_below(sizeof parts / sizeof parts[0])];
        memcpy(source + size, part, strlen(part));
        size += strlen(part);
    }
    return size;
}

static bool is_white(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

/* Every byte that is neither white space nor part of a U+FFFD is the source's own. */
static void check_map(const struct normalised_text *text, const char *source)
{
    uint64_t last = 0;
    for (size_t i = 0; i < text->size; i++) {
        uint64_t from = normalised_source(text, i);
        assert_true(from >= last && from <= text->source_size);
        last = from;
        char byte = text->text[i];
        if (byte == ' ' || byte == '\n') {
            assert_true(is_white(source[from]));
        } else if (i + 3 <= text->size && memcmp(text->text + i, BAD, 3) == 0) {
            assert_true(source[from] & 0x80);
            i += 2;
        } else {
            assert_int_equal(byte, source[from]);
        }
    }
    uint64_t end = normalised_source(text, text->size);
    assert_true(end >= last && end <= text->source_size);
    for (uint64_t i = text->size ? end : text->source_size; i < text->source_size; i++)
        assert_true(is_white(source[i]));
    for (size_t i = 1; i < text->run_count; i++) {
        const struct map_run *run = &text->runs[i - 1];
        assert_true(run[0].text < run[1].text && run[0].source < run[1].source);
        assert_true(run[1].source - run[0].source !=
                    run[1].text - run[0].text); /* no needless run */
    }
    assert_true(text->run_count == 0 || text->runs[0].text == 0);
}

static void check_form(const struct normalised_text *text)
{
    for (size_t i = 0; i < text->size;) {
        bool valid, white = is_white(text->text[i]);
        assert_true(text->text[i] != '\t' && text->text[i] != '\r');
        assert_false(white && (i == 0 || i + 1 == text->size || is_white(text->text[i + 1])));
        i += utf8_length(text->text + i, text->size - i, &valid);
        assert_true(valid);
    }
}

/* Once more over the result: nothing is left to do, but that a line feed may now be the break of a
 * hard-wrapped line. */
static void check_second_pass(const struct normalised_text *first)
{
    if (first->size >= 3 && memcmp(first->text, "\xEF\xBB\xBF", 3) == 0)
        return; /* a second byte order mark has come to stand first */
    struct normalised_text second = normalised(first->text, first->size);
    assert_int_equal(second.size, first->size);
    bool joined = memchr(second.text, '\n', second.size) == NULL;
    for (size_t i = 0; i < second.size; i++)
        if (!joined || first->text[i] != '\n')
            assert_int_equal(second.text[i], first->text[i]);
    normalised_text_release(&second);
}

static void test_random_sources(void **state)
{
    (void)state;
    char source[64 * 80];
    random_state = 20240601;
    for (int round = 0; round < 20000; round++) {
        size_t size = random_source(source, random_below(64));
        struct normalised_text text = normalised(source, size);
        check_form(&text);
        check_map(&text, source);
        check_second_pass(&text);
        normalised_text_release(&text);
    }
}

/* ---- Vectors that the trainer has to reproduce, too */

static void test_shared_vectors(void **state)
{
    (void)state;
    FILE *file = fopen(SHARED_VECTORS, "r");
    if (!file) {
        print_message("%s is not there: skipped\n", SHARED_VECTORS);
        skip();
    }
    char *line = NULL;
    size_t capacity = 0, vectors = 0;
    while (getline(&line, &capacity, file) > 0) {
        cJSON *vector = cJSON_Parse(line);
        const char *source = cJSON_GetStringValue(cJSON_GetObjectItem(vector, "source"));
        const char *expected = cJSON_GetStringValue(cJSON_GetObjectItem(vector, "normalised"));
        assert_non_null(source);
        assert_non_null(expected);
        expect_text(source, expected);
        cJSON_Delete(vector);
        vectors++;
    }
    free(line);
    fclose(file);
    assert_true(vectors > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hard_wrapped),
        cmocka_unit_test(test_one_line_a_paragraph),
        cmocka_unit_test(test_limit_of_line_length),
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_invalid_bytes),
        cmocka_unit_test(test_nul_bytes_are_ordinary),
        cmocka_unit_test(test_invalid_bytes_are_counted),
        cmocka_unit_test(test_map),
        cmocka_unit_test(test_map_of_replaced_bytes),
        cmocka_unit_test(test_random_sources),
        cmocka_unit_test(test_shared_vectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
