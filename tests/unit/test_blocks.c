/* Documents cut into blocks: tokens against the text that they were made from, places against a map
 * from text to source that is made by counting. */
#include "index/blocks.h"
#include "tests/unit/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NO_SOURCE UINT64_MAX

struct cut {
    struct normalised_text text;
    struct document_blocks blocks;
    uint64_t *source; /* of each byte of the text; NO_SOURCE where counting does not tell */
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* White space aside, normalised text is its source, byte by byte, but for each 0xff, which becomes
 * U+FFFD, and the byte order mark. */
static void map_by_counting(struct cut *cut, const char *source, size_t size)
{
    size_t at = size >= 3 && !memcmp(source, "\xef\xbb\xbf", 3) ? 3 : 0;
    cut->source = malloc((cut->text.size + 1) * sizeof *cut->source);
    for (size_t i = 0; i < cut->text.size; i++) {
        cut->source[i] = NO_SOURCE;
        if (is_space(cut->text.text[i]))
            continue;
        while (is_space(source[at]))
            at++;
        assert_true(at < size);
        cut->source[i] = at;
        if (source[at] == '\xff') {
            assert_memory_equal(cut->text.text + i, "\xef\xbf\xbd", 3);
            cut->source[i + 1] = cut->source[i + 2] = NO_SOURCE;
            i += 2;
        } else
            assert_int_equal(cut->text.text[i], source[at]);
        at++;
    }
}

static struct cut cut_source(const char *source, size_t size)
{
    struct cut cut;
    struct lmk_error error;
    if (normalise(&cut.text, source, size, &error) ||
        document_blocks_make(&cut.blocks, tiny_model, &cut.text, &error))
        fail_msg("%s", error.message);
    map_by_counting(&cut, source, size);
    return cut;
}

static void release(struct cut *cut)
{
    document_blocks_release(&cut->blocks);
    normalised_text_release(&cut->text);
    free(cut->source);
}

/* The bytes of a piece, from the file's order: byte pieces follow six others. */
static size_t piece_bytes(uint32_t id, char bytes[8])
{
    static const char *const words[] = {" ", "e", "t", "a", "o", "n", " t", " a", "he", " the"};
    if (id == 5)
        return strlen(strcpy(bytes, "\n"));
    if (id >= 262)
        return strlen(strcpy(bytes, words[id - 262]));
    assert_true(id >= 6);
    bytes[0] = (char)(id - 6);
    return 1;
}

/* Blocks are full but for the last, and their tokens spell the text, behind one space. */
static void check_tokens(const struct cut *cut)
{
    const struct document_blocks *blocks = &cut->blocks;
    size_t n = tiny_model->shape.block_tokens, text_at = 0, left = blocks->token_count;
    assert_int_equal(blocks->block_count, (blocks->token_count + n - 1) / n);
    assert_int_equal(blocks->tokens[0], tiny_model->shape.bos_id);
    for (size_t b = 0; b < blocks->block_count; b++) {
        const struct block_text *block = &blocks->blocks[b];
        size_t start = text_at;
        assert_int_equal(block->token_count, left < n ? left : n);
        assert_ptr_equal(block->tokens, blocks->tokens + b * n);
        for (size_t t = 0; t < block->token_count; t++) {
            char bytes[8];
            bool bos = !b && !t, behind_bos = !b && t == 1;
            size_t size = bos ? 0 : piece_bytes(block->tokens[t], bytes);
            assert_true(text_at + size - behind_bos <= cut->text.size);
            if (behind_bos)
                assert_int_equal(bytes[0], ' ');
            assert_memory_equal(cut->text.text + text_at, bytes + behind_bos, size - behind_bos);
            text_at += size - behind_bos;
        }
        left -= block->token_count;
        assert_int_equal(block->text_start, start);
        assert_int_equal(block->text_size, text_at - start);
    }
    assert_int_equal(text_at, cut->text.size);
}

static uint64_t mapped(const struct block_text *block, uint64_t offset)
{
    size_t at = 0;
    while (at + 1 < block->run_count && block->runs[at + 1].text <= offset)
        at++;
    return block->runs[at].source + (offset - block->runs[at].text);
}

static void check_source(const struct cut *cut)
{
    uint64_t before = 0;
    for (size_t b = 0; b < cut->blocks.block_count; b++) {
        const struct block_text *block = &cut->blocks.blocks[b];
        uint64_t start = block->text_start, end = start + block->text_size;
        assert_true(block->run_count >= 1);
        assert_int_equal(block->runs[0].text, start);
        for (size_t r = 1; r < block->run_count; r++)
            assert_true(block->runs[r].text > block->runs[r - 1].text && block->runs[r].text < end);
        for (uint64_t i = start; i < end; i++)
            if (cut->source[i] != NO_SOURCE)
                assert_int_equal(mapped(block, i), cut->source[i]);
        if (start < end && cut->source[start] != NO_SOURCE)
            assert_int_equal(block->source_start, cut->source[start]);
        if (start < end && cut->source[end - 1] != NO_SOURCE)
            assert_int_equal(block->source_end, cut->source[end - 1] + 1);
        assert_true(block->source_start >= before && block->source_end >= block->source_start);
        assert_true(block->source_end <= cut->text.source_size);
        before = block->source_start;
    }
}

static void check(const char *source, size_t size)
{
    struct cut cut = cut_source(source, size);
    check_tokens(&cut);
    check_source(&cut);
    release(&cut);
}

/* `line`, over and over, each time with a number, with a line break and now and then a blank line.
 */
static void check_lines(const char *start, const char *line, const char *line_break)
{
    char source[8192];
    size_t size = strlen(strcpy(source, start));
    for (int i = 0; i < 60; i++) {
        char number[] = {(char)('A' + i % 26), (char)('0' + i / 26), ' ', '\0'};
        const char *const parts[] = {number, line, line_break, i % 7 ? "" : line_break};
        for (size_t p = 0; p < 4; p++)
            size = strlen(strcat(source + size, parts[p])) + size;
    }
    assert_true(size < sizeof source);
    check(source, size);
}

static void test_plain(void **state)
{
    (void)state;
    check_lines("", "the cat ate an onion", "\n");
    check_lines("", "the  cat \t ate an onion   ", "\n");
}

static void test_line_breaks(void **state)
{
    (void)state;
    check_lines("", "the cat ate an onion", "\r\n");
    check_lines("", "the cat ate an onion ", "\r");
    check_lines("\r\n \r\n", "the cat ate an onion \t", "\r\n\r\n");
}

static void test_long_lines(void **state)
{
    (void)state;
    check_lines("",
                "a line of more than ninety letters is not one of a text that somebody wrapped by "
                "hand in his editor",
                "\r\n");
}

static void test_byte_order_mark(void **state)
{
    (void)state;
    check_lines("\xef\xbb\xbf", "the cat ate an onion", "\r\n");
    check_lines("\xef\xbb\xbf  \r\n", "the cat", "\n");
}

static void test_invalid_bytes(void **state)
{
    (void)state;
    check_lines("", "na\xc3\xafve \xff\xff caf\xc3\xa9 \xff", "\n");
    check_lines("\xff", "\xff", "\r\n");
}

static void test_spelt_out_tokens(void **state)
{
    (void)state;
    check_lines("", "<landmark></s><0x41>\xe2\x96\x81the \xe2\x96\x81", "\n");
}

/* Texts of one token, the first of which carries the space that is not in the text. */
static void test_one_token(void **state)
{
    (void)state;
    check("the", 3);
    check("t", 1);
    check("\xff", 1);
    check("\r\n\xef\xbc\x8e", 5);
}

/* Lengths around block boundaries: one token a byte, behind BOS and the space. */
static void test_lengths(void **state)
{
    (void)state;
    char source[200];
    memset(source, 'x', sizeof source);
    for (size_t size = 1; size < sizeof source; size++) {
        struct cut cut = cut_source(source, size);
        assert_int_equal(cut.blocks.token_count, size + 2);
        check_tokens(&cut);
        check_source(&cut);
        release(&cut);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),         cmocka_unit_test(test_line_breaks),
        cmocka_unit_test(test_long_lines),    cmocka_unit_test(test_byte_order_mark),
        cmocka_unit_test(test_invalid_bytes), cmocka_unit_test(test_spelt_out_tokens),
        cmocka_unit_test(test_one_token),     cmocka_unit_test(test_lengths),
    };
    return cmocka_run_group_tests(tests, scratch_open_model, scratch_close_model);
}
