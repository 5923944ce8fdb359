#include "src/text/tokenizer.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cjson/cJSON.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Made by tests/golden/bpe.py. */
#define VOCABULARY "tests/golden/bpe-vocabulary.tsv"
#define EXPECTED "tests/golden/bpe-expected.jsonl"

#define SPACE "\xE2\x96\x81" /* U+2581, as pieces write a space */
#define PIECES_MAX 2048

/* A vocabulary that a test may change before it opens it. */
struct fixture {
    struct piece pieces[PIECES_MAX];
    char texts[PIECES_MAX][64];
    struct vocabulary vocabulary;
};

static struct fixture fixture;

static void add(const char *text, float score, enum piece_type type)
{
    size_t id = fixture.vocabulary.size++;
    assert_true(id < PIECES_MAX && strlen(text) < sizeof fixture.texts[id]);
    strcpy(fixture.texts[id], text);
    fixture.pieces[id] = (struct piece){fixture.texts[id], strlen(text), score, type};
}

/* The layout of the tiny models: control pieces, the line feed, 256 bytes, and what the caller
 * adds. */
static void start_vocabulary(void)
{
    fixture.vocabulary = (struct vocabulary){fixture.pieces, 0, true};
    add("<pad>", 0, PIECE_CONTROL);
    add("<unk>", 0, PIECE_UNKNOWN);
    add("<s>", 0, PIECE_CONTROL);
    add("</s>", 0, PIECE_CONTROL);
    add("<landmark>", 0, PIECE_CONTROL);
    add("\n", 0, PIECE_NORMAL);
    for (int byte = 0; byte < 256; byte++) {
        char text[8];
        snprintf(text, sizeof text, "<0x%02X>", byte);
        add(text, 0, PIECE_BYTE);
    }
}

static struct tokenizer *opened(void)
{
    struct tokenizer *tokenizer;
    struct lmk_error error;
    assert_int_equal(tokenizer_open(&tokenizer, &fixture.vocabulary, &error), LMK_OK);
    return tokenizer;
}

static struct buffer encoded(const struct tokenizer *tokenizer, const char *text, size_t size,
                             bool prefix_space)
{
    struct buffer ids;
    struct lmk_error error;
    buffer_init(&ids, SIZE_MAX / 2);
    assert_int_equal(tokenizer_encode(tokenizer, text, size, prefix_space, &ids, &error), LMK_OK);
    return ids;
}

static void expect_pieces(const struct tokenizer *tokenizer, const char *text, size_t size,
                          size_t count, const char *const *pieces)
{
    struct buffer ids = encoded(tokenizer, text, size, true);
    assert_int_equal(ids.size, count * sizeof(uint32_t));
    for (size_t i = 0; i < count; i++)
        assert_string_equal(fixture.texts[((uint32_t *)ids.data)[i]], pieces[i]);
    buffer_release(&ids);
}

#define EXPECT(tokenizer, text, ...)                                                               \
    expect_pieces(tokenizer, text, sizeof(text) - 1,                                               \
                  sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *),                     \
                  (const char *const[]){__VA_ARGS__})

static void test_merges_by_score(void **state)
{
    (void)state;
    start_vocabulary();
    const char *const pieces[] = {SPACE, "a", "b", "c", "bc", "ab", SPACE "a", "abc"};
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++)
        add(pieces[i], -(float)i, PIECE_NORMAL);
    struct tokenizer *tokenizer = opened();
    EXPECT(tokenizer, "abc", SPACE "a",
           "bc"); /* bc comes before ab, and leaves the a to the space */
    EXPECT(tokenizer, "\nabc", SPACE, "\n", "abc");
    EXPECT(tokenizer, "ab", SPACE, "ab");
    EXPECT(tokenizer, "a a", SPACE "a", SPACE "a");
    EXPECT(tokenizer, "a\nabb", SPACE "a", "\n", "ab", "b");
    EXPECT(tokenizer, "a\0d", SPACE "a", "<0x00>", "<0x64>");
    EXPECT(tokenizer, "\xF0\x9F\x98\x80", SPACE, "<0xF0>", "<0x9F>", "<0x98>", "<0x80>");
    EXPECT(tokenizer, "\xFF", SPACE, "<0xFF>");
    tokenizer_close(tokenizer);
}

static void test_equal_scores_go_from_left_to_right(void **state)
{
    (void)state;
    start_vocabulary();
    add("aa", -1, PIECE_NORMAL);
    add("ab", -1, PIECE_NORMAL);
    add("a", -2, PIECE_NORMAL);
    add("b", -2, PIECE_NORMAL);
    struct tokenizer *tokenizer = opened();
    EXPECT(tokenizer, "aaa", "<0x20>", "aa", "a");
    EXPECT(tokenizer, "aab", "<0x20>", "aa", "b");
    tokenizer_close(tokenizer);
}

static void test_order_of_scores(void **state)
{
    (void)state;
    start_vocabulary();
    add("ab", -0.0F, PIECE_NORMAL);
    add("bc", 0.0F, PIECE_NORMAL); /* the same score */
    add("de", -1, PIECE_NORMAL);
    add("ef", 1, PIECE_NORMAL);
    add("fg", 2, PIECE_NORMAL);
    add("gh", -0.5F, PIECE_NORMAL);
    struct tokenizer *tokenizer = opened();
    EXPECT(tokenizer, "abc", "<0x20>", "ab", "<0x63>");
    EXPECT(tokenizer, "def", "<0x20>", "<0x64>", "ef");
    EXPECT(tokenizer, "efgh", "<0x20>", "<0x65>", "fg", "<0x68>");
    tokenizer_close(tokenizer);
}

static void test_user_pieces_are_never_merged(void **state)
{
    (void)state;
    start_vocabulary();
    add("ab", 0, PIECE_USER);
    add("abab", 0, PIECE_USER);
    add("c", -1, PIECE_NORMAL);
    add("abc", -1, PIECE_NORMAL);
    add("cab", -1, PIECE_NORMAL);
    struct tokenizer *tokenizer = opened();
    EXPECT(tokenizer, "abc", "<0x20>", "ab", "c");
    EXPECT(tokenizer, "cababab", "<0x20>", "c", "abab", "ab");
    tokenizer_close(tokenizer);
}

static void test_bare_space_in_a_piece(void **state)
{
    (void)state;
    start_vocabulary();
    add(" a", -1, PIECE_NORMAL); /* no text becomes it */
    add(SPACE "a", -2, PIECE_NORMAL);
    struct tokenizer *tokenizer = opened();
    size_t size;
    EXPECT(tokenizer, "a", SPACE "a");
    assert_memory_equal(tokenizer_bytes(tokenizer, 262, &size), " a", 2);
    assert_int_equal(size, 2);
    tokenizer_close(tokenizer);
}

static void test_spelt_out_pieces_are_ordinary_text(void **state)
{
    (void)state;
    start_vocabulary();
    const char *const pieces[] = {SPACE, "<",  "/",   "s",  ">",   "0",    "x",     "4",
                                  "1",   "</", "</s", "<0", "<0x", "<0x4", "<0x41", "s>"};
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++)
        add(pieces[i], -(float)i, PIECE_NORMAL);
    struct tokenizer *tokenizer = opened();
    EXPECT(tokenizer, "</s>", SPACE, "</s", ">");
    EXPECT(tokenizer, "<s>", SPACE, "<", "s>");
    EXPECT(tokenizer, "<0x41>", SPACE, "<0x41", ">");
    tokenizer_close(tokenizer);
}

static void test_space_mark_in_the_text(void **state)
{
    (void)state;
    start_vocabulary();
    add(SPACE, -1, PIECE_NORMAL);
    add("a", -2, PIECE_NORMAL);
    add(SPACE "a", -3, PIECE_NORMAL);
    struct tokenizer *tokenizer = opened();
    EXPECT(tokenizer, SPACE "a", SPACE, "<0xE2>", "<0x96>", "<0x81>", "a");
    EXPECT(tokenizer, " " SPACE " a", SPACE, SPACE, "<0xE2>", "<0x96>", "<0x81>", SPACE "a");
    tokenizer_close(tokenizer);
}

static void test_prefix_space(void **state)
{
    (void)state;
    start_vocabulary();
    struct lmk_error error;
    struct tokenizer *tokenizer = opened();
    struct buffer ids = encoded(tokenizer, "a", 1, false), text;
    uint32_t expected = 6 + 'a';
    assert_int_equal(ids.size, sizeof expected);
    assert_memory_equal(ids.data, &expected, sizeof expected);
    buffer_init(&text, 100);
    uint32_t document[] = {2,       6 + ' ', 6 + ' ',
                           6 + 'b', 4,       3}; /* control pieces stand for no text */
    assert_int_equal(tokenizer_decode(tokenizer, document, 6, true, &text, &error), LMK_OK);
    assert_int_equal(tokenizer_decode(tokenizer, document, 6, false, &text, &error), LMK_OK);
    assert_int_equal(text.size, 5);
    assert_memory_equal(text.data, " b  b", 5);
    buffer_release(&ids);
    buffer_release(&text);
    tokenizer_close(tokenizer);

    fixture.vocabulary.add_space_prefix = false;
    tokenizer = opened();
    ids = encoded(tokenizer, "a", 1, true);
    assert_int_equal(ids.size, sizeof expected);
    buffer_release(&ids);
    tokenizer_close(tokenizer);
}

static void expect_refused(const char *reason)
{
    struct tokenizer *tokenizer;
    struct lmk_error error;
    assert_int_equal(tokenizer_open(&tokenizer, &fixture.vocabulary, &error), LMK_MODEL);
    assert_non_null(strstr(error.message, reason));
    assert_null(tokenizer);
}

static void test_damaged_vocabularies(void **state)
{
    (void)state;
    start_vocabulary();
    fixture.pieces[6 + 0x41].type = PIECE_NORMAL;
    expect_refused("<0x41>");
    start_vocabulary();
    add("<0x41>", 0, PIECE_BYTE);
    expect_refused("Piece 262");
    start_vocabulary();
    fixture.pieces[6].text = "<0x0g>";
    expect_refused("Piece 6 ");
    start_vocabulary();
    add("", 0, PIECE_NORMAL);
    expect_refused("empty");
    start_vocabulary();
    add("a", 0, PIECE_NORMAL);
    add("a", -1, PIECE_NORMAL);
    expect_refused("262 and 263");
    start_vocabulary();
    add("a", 0.0F / 0.0F, PIECE_NORMAL);
    expect_refused("score");
    start_vocabulary();
    add("a", 0, (enum piece_type)7);
    expect_refused("type");
    fixture.vocabulary.size = 0;
    expect_refused("<0x00>");
}

static void test_full_buffer(void **state)
{
    (void)state;
    start_vocabulary();
    struct tokenizer *tokenizer = opened();
    struct buffer ids;
    struct lmk_error error;
    buffer_init(&ids, 300);
    char text[100] = {0};
    assert_int_equal(tokenizer_encode(tokenizer, text, sizeof text, true, &ids, &error),
                     LMK_MEMORY);
    buffer_release(&ids);
    tokenizer_close(tokenizer);
}

/* ---- The vocabulary of 1,200 pieces, and what SentencePiece made of it */

static void read_vocabulary(void)
{
    FILE *file = fopen(VOCABULARY, "r");
    assert_non_null(file);
    fixture.vocabulary = (struct vocabulary){fixture.pieces, 0, true};
    char *line = NULL;
    size_t capacity = 0;
    while (getline(&line, &capacity, file) > 0) {
        char *score = strchr(line, '\t'), *type = score ? strchr(score + 1, '\t') : NULL;
        assert_non_null(type);
        *score = '\0';
        add(strcmp(line, "\\n") == 0 ? "\n" : line, strtof(score + 1, NULL),
            (enum piece_type)strtol(type + 1, NULL, 10));
    }
    free(line);
    fclose(file);
    assert_int_equal(fixture.vocabulary.size, 1200);
}

static void expect_ids(const struct tokenizer *tokenizer, const char *text, const cJSON *expected)
{
    struct buffer ids = encoded(tokenizer, text, strlen(text), true);
    size_t i = 0;
    const cJSON *id;
    assert_int_equal(ids.size / sizeof(uint32_t), cJSON_GetArraySize(expected));
    cJSON_ArrayForEach(id, expected) assert_int_equal(((uint32_t *)ids.data)[i++], id->valueint);
    buffer_release(&ids);
}

static void compare_with_sentencepiece(const char *key)
{
    struct tokenizer *tokenizer = opened();
    FILE *file = fopen(EXPECTED, "r");
    assert_non_null(file);
    char *line = NULL;
    size_t capacity = 0, lines = 0;
    for (; getline(&line, &capacity, file) > 0; lines++) {
        cJSON *expected = cJSON_Parse(line);
        const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(expected, "text"));
        assert_non_null(text);
        expect_ids(tokenizer, text, cJSON_GetObjectItem(expected, key));
        cJSON_Delete(expected);
    }
    assert_true(lines > 100);
    free(line);
    fclose(file);
    tokenizer_close(tokenizer);
}

static void test_same_as_sentencepiece(void **state)
{
    (void)state;
    read_vocabulary();
    compare_with_sentencepiece("ids");
}

static void test_same_as_sentencepiece_with_unused_pieces(void **state)
{
    (void)state;
    read_vocabulary();
    for (size_t id = 0; id < fixture.vocabulary.size; id += 7)
        if (fixture.pieces[id].type == PIECE_NORMAL)
            fixture.pieces[id].type = PIECE_UNUSED;
    compare_with_sentencepiece("unused_ids");
}

/* ---- Texts of any kind come back */

static uint64_t random_state;

static uint32_t random_below(uint32_t limit)
{
    random_state = random_state * 6364136223846793005U + 1442695040888963407U;
    return (uint32_t)((random_state >> 33) % limit);
}

static size_t random_text(char *text, size_t parts)
{
    static const char *const common[] = {
        " ",    "  ", "\n", SPACE,  "the",    "##",     "###",        "e",
        " and", "\t", "\r", "</s>", "<0x41>", "\u00e9", "<landmark>", "\U0001f469\u200d\U0001f467"};
    size_t size = 0;
    for (size_t i = 0; i < parts; i++) {
        if (random_below(4) == 0) { /* any byte, valid or not */
            text[size++] = (char)random_below(256);
        } else {
            const char *part = common[random_below(sizeof common / sizeof common[0])];
            memcpy(text + size, part, strlen(part));
            size += strlen(part);
        }
    }
    return size;
}

static void check_way_back(const struct tokenizer *tokenizer, const char *text, size_t size,
                           bool prefix_space)
{
    struct buffer ids = encoded(tokenizer, text, size, prefix_space), back;
    struct lmk_error error;
    buffer_init(&back, SIZE_MAX / 2);
    assert_int_equal(tokenizer_decode(tokenizer, (uint32_t *)ids.data, ids.size / sizeof(uint32_t),
                                      prefix_space, &back, &error),
                     LMK_OK);
    assert_int_equal(back.size, size);
    if (size)
        assert_memory_equal(back.data, text, size);
    for (size_t i = 0; i < ids.size / sizeof(uint32_t); i++) {
        uint32_t id = ((uint32_t *)ids.data)[i];
        assert_true(fixture.pieces[id].type != PIECE_CONTROL &&
                    fixture.pieces[id].type != PIECE_UNKNOWN);
    }
    buffer_release(&ids);
    buffer_release(&back);
}

static void test_random_texts_come_back(void **state)
{
    (void)state;
    char text[200 * 12];
    random_state = 42;
    for (int unused = 0; unused < 2; unused++) {
        read_vocabulary();
        for (size_t id = 0; unused && id < fixture.vocabulary.size; id += 5)
            if (fixture.pieces[id].type == PIECE_NORMAL)
                fixture.pieces[id].type = PIECE_UNUSED;
        struct tokenizer *tokenizer = opened();
        for (int round = 0; round < 5000; round++) {
            size_t size = random_text(text, random_below(200));
            check_way_back(tokenizer, text, size, round % 2);
        }
        tokenizer_close(tokenizer);
    }
}

/* Longer than the longest stretch that is merged in one go. */
static void test_a_long_run_comes_back(void **state)
{
    (void)state;
    read_vocabulary();
    add("ee", -5000, PIECE_NORMAL);
    add("eeee", -5001, PIECE_NORMAL);
    struct tokenizer *tokenizer = opened();
    size_t size = ((size_t)4 << 20) + 100000;
    char *text = malloc(size);
    assert_non_null(text);
    memset(text, 'e', size);
    check_way_back(tokenizer, text, size, true);
    free(text);
    tokenizer_close(tokenizer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merges_by_score),
        cmocka_unit_test(test_equal_scores_go_from_left_to_right),
        cmocka_unit_test(test_order_of_scores),
        cmocka_unit_test(test_user_pieces_are_never_merged),
        cmocka_unit_test(test_bare_space_in_a_piece),
        cmocka_unit_test(test_spelt_out_pieces_are_ordinary_text),
        cmocka_unit_test(test_space_mark_in_the_text),
        cmocka_unit_test(test_prefix_space),
        cmocka_unit_test(test_damaged_vocabularies),
        cmocka_unit_test(test_full_buffer),
        cmocka_unit_test(test_same_as_sentencepiece),
        cmocka_unit_test(test_same_as_sentencepiece_with_unused_pieces),
        cmocka_unit_test(test_random_texts_come_back),
        cmocka_unit_test(test_a_long_run_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
