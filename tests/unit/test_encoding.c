/* Expected texts and offsets were written down by hand from the tables of the encodings. */
#include "src/text/encoding.h"
#include "src/text/normalise.h"
#include "src/text/source_map.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <string.h>

#define BYTES(text) ((struct slice){text, sizeof(text) - 1})

static void expect_encoding(struct slice bytes, const char *name)
{
    const char *found = encoding_detect(bytes);
    if (name)
        assert_string_equal(found ? found : "none", name);
    else
        assert_null(found);
}

static void test_detection(void **state)
{
    (void)state;
    expect_encoding(BYTES("plain"), "UTF-8");
    expect_encoding(BYTES(""), "UTF-8");
    expect_encoding(BYTES("na\xC3\xAFve"), "UTF-8");
    expect_encoding(BYTES("na\xC3\xAFve, and one bad \xE9 byte"), "UTF-8");
    expect_encoding(BYTES("na\xEFve caf\xE9"), "WINDOWS-1252");
    expect_encoding(BYTES("\x93quoted\x94"), "WINDOWS-1252");
    expect_encoding(BYTES("\xFF\xFE"
                          "a\0"),
                    "UTF-16LE");
    expect_encoding(BYTES("\xFE\xFF\0a"), "UTF-16BE");
    expect_encoding(BYTES("n\0o\0 \0m\0a\0r\0k\0"), "UTF-16LE");
    expect_encoding(BYTES("\0n\0o\0 \0m\0a\0r\0k"), "UTF-16BE");
    expect_encoding(BYTES("binary\0\1\2\3\0\0 data"), NULL);
    expect_encoding(BYTES("\xCF\xF0\xE8\xE2\xE5\xF2"), NULL); /* Cyrillic in Windows-1251 */
}

/* The text, and for each byte of it the byte of the source that it came from. */
static void expect_text(const char *encoding, struct slice bytes, const char *text,
                        const uint64_t *sources, uint64_t invalid)
{
    struct decoded_text decoded;
    struct normalised_text normalised;
    assert_int_equal(encoding_decode(&decoded, bytes, encoding, NULL), LMK_OK);
    assert_int_equal(decoded.text.size, strlen(text));
    assert_memory_equal(decoded.text.data, text, strlen(text));
    assert_int_equal(decoded.invalid_bytes, invalid);
    assert_int_equal(normalise(&normalised, text, strlen(text), NULL), LMK_OK);
    assert_int_equal(
        source_map_extend(&normalised, (const struct map_run *)(void *)decoded.runs.data,
                          decoded.runs.size / sizeof(struct map_run), bytes.size, NULL),
        LMK_OK);
    for (size_t i = 0; i <= normalised.size; i++)
        assert_int_equal(normalised_source(&normalised, i), sources[i]);
    normalised_text_release(&normalised);
    decoded_text_release(&decoded);
}

static void test_one_byte_encodings(void **state)
{
    (void)state;
    /* e acute takes two bytes in UTF-8, the dash three. */
    expect_text("WINDOWS-1252", BYTES("caf\xE9 \x97x"), "caf\xC3\xA9 \xE2\x80\x94x",
                (const uint64_t[]){0, 1, 2, 3, 4, 4, 5, 6, 6, 6, 7}, 0);
}

static void test_bytes_that_stand_for_nothing(void **state)
{
    (void)state;
    expect_text("WINDOWS-1252", BYTES("a\x81z"), "a\xEF\xBF\xBDz",
                (const uint64_t[]){0, 1, 2, 2, 2, 3}, 1);
}

static void test_utf16(void **state)
{
    (void)state;
    expect_text("UTF-16LE",
                BYTES("\xFF\xFE"
                      "a\0\x14\x20z\0"),
                "a\xE2\x80\x94z", (const uint64_t[]){2, 4, 5, 6, 6, 8}, 0);
    /* A pair of surrogates is one character of four bytes: U+1F600. */
    expect_text("UTF-16BE", BYTES("\0a\xD8\x3D\xDE\0\0z"), "a\xF0\x9F\x98\x80z",
                (const uint64_t[]){0, 2, 3, 4, 5, 6, 8}, 0);
}

static void test_broken_utf16(void **state)
{
    (void)state;
    /* half a pair, then half a unit at the end */
    expect_text("UTF-16LE",
                BYTES("\x3D\xD8"
                      "a\0z"),
                "\xEF\xBF\xBD"
                "a\xEF\xBF\xBD",
                (const uint64_t[]){0, 1, 2, 2, 4, 5, 5, 5}, 3);
}

static void test_unknown_encoding(void **state)
{
    (void)state;
    struct decoded_text decoded;
    struct lmk_error error;
    assert_int_equal(encoding_decode(&decoded, BYTES("a"), "NO-SUCH", &error), LMK_INPUT);
    assert_non_null(strstr(error.message, "NO-SUCH"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_detection),
        cmocka_unit_test(test_one_byte_encodings),
        cmocka_unit_test(test_bytes_that_stand_for_nothing),
        cmocka_unit_test(test_utf16),
        cmocka_unit_test(test_broken_utf16),
        cmocka_unit_test(test_unknown_encoding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
