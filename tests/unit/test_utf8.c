/* Text that arrives in pieces: whole characters come out, whatever the cuts. The expected texts are
 * what Python's decoder makes of the bytes (errors="replace"), but for NUL. */
#include "src/text/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define R UTF8_REPLACEMENT

struct sample {
    const char *bytes;
    size_t size;
    const char *expected;
};
#define SAMPLE(bytes, expected)                                                                    \
    {                                                                                              \
        bytes, sizeof bytes - 1, expected                                                          \
    }

static const struct sample samples[] = {
    SAMPLE("", ""),
    SAMPLE("plain", "plain"),
    SAMPLE("na\xc3\xafve \xe2\x82\xac \xf0\x9f\xa6\x8a.",
           "na\xc3\xafve \xe2\x82\xac \xf0\x9f\xa6\x8a."),
    SAMPLE("\xef\xbf\xbd", R),
    SAMPLE("a\xff"
           "b",
           "a" R "b"),
    SAMPLE("\x80\xbf", R R),                                     /* no lead byte */
    SAMPLE("\xc0\xaf\xe0\x80\xbf\xf0\x81\x82", R R R R R R R R), /* overlong */
    SAMPLE("\xed\xa0\x80\xed\xbf\xbf", R R R R R R),             /* surrogates */
    SAMPLE("\xf4\x91\x92\x93\xf5", R R R R R),                   /* beyond U+10FFFF */
    SAMPLE("\xe1\x80\xe2\xf0\x91\x92\xf1\xbf"
           "A",
           R R R R "A"), /* each cut short by the next */
    SAMPLE("\xf0\x9f\xf0\x9f\xa6\x8a", R "\xf0\x9f\xa6\x8a"),
    SAMPLE("\xe2\x82", R), /* cut short by the end */
    SAMPLE("\xf0\x9f\xa6", R),
    SAMPLE("a\0b", "a" R "b"),
};

/* As the bytes arrive, nothing but whole characters of the expected text may be out. */
static void check_pieces(const struct sample *sample, size_t piece)
{
    struct utf8_held held = {.count = 0};
    struct buffer text;
    buffer_init(&text, 1000);
    for (size_t at = 0; at < sample->size; at += piece) {
        size_t some = sample->size - at < piece ? sample->size - at : piece;
        assert_int_equal(utf8_append(&held, sample->bytes + at, some, &text, NULL), LMK_OK);
        assert_true(text.size <= strlen(sample->expected));
        assert_memory_equal(text.data ? (char *)text.data : "", sample->expected, text.size);
        assert_true((sample->expected[text.size] & 0xc0) != 0x80);
    }
    assert_int_equal(utf8_finish(&held, &text, NULL), LMK_OK);
    assert_int_equal(text.size, strlen(sample->expected));
    assert_memory_equal(text.data ? (char *)text.data : "", sample->expected, text.size);
    assert_int_equal(utf8_finish(&held, &text, NULL), LMK_OK); /* nothing is held any more */
    assert_int_equal(text.size, strlen(sample->expected));
    buffer_release(&text);
}

static void test_pieces(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++)
        for (size_t piece = 1; piece <= 9; piece++)
            check_pieces(&samples[i], piece);
}

/* A character comes out with its last byte, not later. */
static void test_no_delay(void **state)
{
    (void)state;
    static const char fox[] = "\xf0\x9f\xa6\x8a";
    struct utf8_held held = {.count = 0};
    struct buffer text;
    buffer_init(&text, 1000);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(utf8_append(&held, fox + i, 1, &text, NULL), LMK_OK);
        assert_int_equal(text.size, i == 3 ? 4 : 0);
    }
    assert_int_equal(utf8_append(&held, "\xc3(", 2, &text, NULL), LMK_OK);
    assert_int_equal(text.size, 8);
    buffer_release(&text);
}

static void test_limit(void **state)
{
    (void)state;
    struct utf8_held held = {.count = 0};
    struct buffer text;
    struct lmk_error error;
    buffer_init(&text, 2);
    assert_int_equal(utf8_append(&held, "\xff", 1, &text, &error), LMK_MEMORY);
    assert_int_equal(error.status, LMK_MEMORY);
    buffer_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_no_delay),
        cmocka_unit_test(test_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
