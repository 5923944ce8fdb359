/* The tokenizer against SentencePiece itself, line by line, for the vocabulary of every model in
 * the repository: each is written as a SentencePiece model file and given to `spm_encode` with the
 * lines of the samples and with hard ones. Without `spm_encode` (Debian: sentencepiece) the test is
 * skipped.
 */
#include "src/base/mapped_file.h"
#include "src/model/gguf.h"
#include "src/text/normalise.h"
#include "src/text/tokenizer.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[] = "/tmp/lmk-test-spm-XXXXXX";
static char model_path[64], lines_path[64], ids_path[64];

/* ---- A SentencePiece model file: protocol buffers, fields of (number << 3 | wire type) and a
 * value */

enum wire { WIRE_VARINT = 0, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

static void put(struct buffer *out, const void *data, size_t size)
{
    assert_int_equal(buffer_append(out, data, size, NULL), LMK_OK);
}

static void put_varint(struct buffer *out, uint64_t value)
{
    do {
        unsigned char byte = (unsigned char)(value > 127 ? (value & 127) | 128 : value);
        put(out, &byte, 1);
        value >>= 7;
    } while (value);
}

static void put_number(struct buffer *out, unsigned field, uint64_t value)
{
    put_varint(out, field << 3 | WIRE_VARINT);
    put_varint(out, value);
}

static void put_bytes(struct buffer *out, unsigned field, const void *data, size_t size)
{
    put_varint(out, field << 3 | WIRE_BYTES);
    put_varint(out, size);
    put(out, data, size);
}

static void put_float(struct buffer *out, unsigned field, float value)
{
    put_varint(out, field << 3 | WIRE_FIXED32);
    put(out, &value, sizeof value);
}

/* sentencepiece_model.proto: ModelProto { 1: SentencePiece { 1: piece, 2: score, 3: type }, 2:
 * TrainerSpec, 3: NormalizerSpec }; the types have GGUF's numbers. */
static void put_model(struct buffer *out, const struct vocabulary *vocabulary)
{
    struct buffer part;
    buffer_init(&part, SIZE_MAX / 2);
    for (size_t i = 0; i < vocabulary->size; i++) {
        buffer_clear(&part);
        put_bytes(&part, 1, vocabulary->pieces[i].text, vocabulary->pieces[i].size);
        put_float(&part, 2, vocabulary->pieces[i].score);
        put_number(&part, 3, vocabulary->pieces[i].type);
        put_bytes(out, 1, part.data, part.size);
    }
    buffer_clear(&part);
    put_number(&part, 3, 2);  /* model_type: BPE */
    put_number(&part, 35, 1); /* byte_fallback */
    put_bytes(out, 2, part.data, part.size);
    buffer_clear(&part);
    put_bytes(&part, 1, "identity", strlen("identity"));
    put_number(&part, 3, vocabulary->add_space_prefix); /* add_dummy_prefix */
    put_number(&part, 4, 0);                            /* remove_extra_whitespaces */
    put_number(&part, 5, 1);                            /* escape_whitespaces */
    put_bytes(out, 3, part.data, part.size);
    buffer_release(&part);
}

static void write_file(const char *path, const struct buffer *content)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(content->data, 1, content->size, file), content->size);
    assert_int_equal(fclose(file), 0);
}

static void read_vocabulary(struct vocabulary *vocabulary, const struct gguf *file)
{
    size_t count = 0;
    assert_true(gguf_array(file, "tokenizer.ggml.tokens", &count) && count > 0);
    struct gguf_string *texts = calloc(count, sizeof *texts);
    struct piece *pieces = calloc(count, sizeof *pieces);
    assert_true(texts && pieces && gguf_array_strings(file, "tokenizer.ggml.tokens", texts, count));
    for (size_t i = 0; i < count; i++) {
        uint32_t type;
        assert_true(gguf_array_f32(file, "tokenizer.ggml.scores", i, &pieces[i].score));
        assert_true(gguf_array_u32(file, "tokenizer.ggml.token_type", i, &type));
        pieces[i].text = texts[i].text;
        pieces[i].size = texts[i].size;
        pieces[i].type = (enum piece_type)type;
    }
    free(texts);
    *vocabulary = (struct vocabulary){pieces, count, true};
    gguf_bool(file, "tokenizer.ggml.add_space_prefix", &vocabulary->add_space_prefix);
}

/* ---- Lines: a text in which each ends with a line feed. U+2581 is left out: there lmk differs on
 * purpose. */

static uint64_t random_state = 11;

static uint32_t random_below(uint32_t limit)
{
    random_state = random_state * 6364136223846793005U + 1442695040888963407U;
    return (uint32_t)((random_state >> 33) % limit);
}

static void put_line(struct buffer *lines, const char *text, size_t size)
{
    put(lines, text, size);
    put(lines, "\n", 1);
}

static void put_samples(struct buffer *lines)
{
    glob_t found;
    assert_int_equal(glob("samples/*.*", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        struct mapped_file file;
        assert_int_equal(mapped_file_open(&file, found.gl_pathv[i], NULL), LMK_OK);
        put_line(lines, (const char *)file.data, file.size);
        mapped_file_close(&file);
    }
    globfree(&found);
}

static void put_hard(struct buffer *lines)
{
    static const char *const hard[] = {
        "",
        " ",
        "  ",
        "        x        ",
        "\t",
        "\r",
        "</s>",
        "<landmark> <s></s> <unk> <pad>",
        "a<0x41>b",
        "\x01\x02\x1b\x7f",
        "\U0001f600 \U0001f469\u200d\U0001f469\u200d\U0001f467 \u2603\ufe0f",
        "\u4f60\u597d\u4e16\u754c",
        "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440",
        "e\u0301\u00e9 na\u00efve \u201cquoted\u201d \u2014 \u2026",
        "\ufeff\ufffd\u00a0\u2009\u3000",
        "1234567890 3.14159 1,000,000",
        "MIXED Case wOrDs",
        "http://example.org/?q=1&r=2#x",
        "    int main(void) { return 0; }",
        "a  b   c    d     e",
        "can't won't I'll",
        "\U0010ffff",
    };
    for (size_t i = 0; i < sizeof hard / sizeof hard[0]; i++)
        put_line(lines, hard[i], strlen(hard[i]));
    put_line(lines, "a\0b \0\0 c", 9);
}

static void put_runs(struct buffer *lines, size_t length)
{
    static const char *const repeated[] = {"a", " ", "e", "the", "\u00e9", "abc ", "-", "in the "};
    for (size_t i = 0; i < sizeof repeated / sizeof repeated[0]; i++) {
        for (size_t j = 0; j < length; j++)
            put(lines, repeated[i], strlen(repeated[i]));
        put(lines, "\n", 1);
    }
    for (size_t i = 0; i < length; i++)
        put(lines, &"etaoinshrdlu"[random_below(12)], 1);
    put(lines, "\n", 1);
}

/* Random bytes, as far as possible the parts of characters, after normalisation has made them
 * valid. */
static void put_random(struct buffer *lines, size_t count)
{
    char bytes[64];
    for (size_t i = 0; i < count; i++) {
        size_t size = random_below(sizeof bytes);
        for (size_t j = 0; j < size; j++)
            bytes[j] =
                random_below(3)
                    ? " \0the\xE2\x80\x99\xC3\xA9\xF0\x9F\x98\x80,.aeinorst"[random_below(25)]
                    : (char)(random_below(245) + 11);
        struct normalised_text text;
        assert_int_equal(normalise(&text, bytes, size, NULL), LMK_OK);
        if (!memchr(text.text, '\n', text.size) && !memmem(text.text, text.size, "\xE2\x96\x81", 3))
            put_line(lines, text.text, text.size);
        normalised_text_release(&text);
    }
}

/* ---- The comparison */

static void run_sentencepiece(void)
{
    char command[512];
    snprintf(command, sizeof command, "spm_encode --model=%s --output_format=id <%s >%s 2>%s/log",
             model_path, lines_path, ids_path, folder);
    assert_int_equal(system(command), 0);
}

/* The ids of a line as spm_encode writes them. */
static void format_ids(struct buffer *text, const struct buffer *ids)
{
    buffer_clear(text);
    for (size_t i = 0; i < ids->size / sizeof(uint32_t); i++) {
        char number[16];
        int size =
            snprintf(number, sizeof number, i ? " %u" : "%u", ((const uint32_t *)ids->data)[i]);
        put(text, number, (size_t)size);
    }
    put(text, "", 1);
}

static size_t compare_lines(const struct tokenizer *tokenizer, const struct buffer *lines)
{
    FILE *file = fopen(ids_path, "r");
    assert_non_null(file);
    char *expected = NULL;
    size_t capacity = 0, count = 0;
    struct buffer ids, text;
    buffer_init(&ids, SIZE_MAX / 2);
    buffer_init(&text, SIZE_MAX / 2);
    const char *line = (const char *)lines->data, *end = line + lines->size;
    for (const char *stop; line < end; line = stop + 1, count++) {
        stop = memchr(line, '\n', (size_t)(end - line));
        ssize_t size = getline(&expected, &capacity, file);
        assert_true(size > 0);
        expected[size - 1] = '\0';
        buffer_clear(&ids);
        assert_int_equal(tokenizer_encode(tokenizer, line, (size_t)(stop - line), true, &ids, NULL),
                         LMK_OK);
        format_ids(&text, &ids);
        if (strcmp((const char *)text.data, expected) != 0)
            fail_msg("line %zu, %.*s:\nlmk           %.400s\nSentencePiece %.400s", count + 1,
                     (int)(stop - line < 400 ? stop - line : 400), line, (const char *)text.data,
                     expected);
    }
    assert_true(getline(&expected, &capacity, file) < 0);
    free(expected);
    fclose(file);
    buffer_release(&ids);
    buffer_release(&text);
    return count;
}

static void compare_model(const char *path, const struct buffer *lines)
{
    struct gguf *file;
    struct lmk_error error;
    struct vocabulary vocabulary;
    struct tokenizer *tokenizer;
    struct buffer model;
    assert_int_equal(gguf_open(&file, path, &error), LMK_OK);
    read_vocabulary(&vocabulary, file);
    buffer_init(&model, SIZE_MAX / 2);
    put_model(&model, &vocabulary);
    write_file(model_path, &model);
    buffer_release(&model);
    run_sentencepiece();
    assert_int_equal(tokenizer_open(&tokenizer, &vocabulary, &error), LMK_OK);
    print_message("%s: %zu lines are the same\n", path, compare_lines(tokenizer, lines));
    tokenizer_close(tokenizer);
    free((void *)(uintptr_t)vocabulary.pieces);
    gguf_close(file);
}

static void test_same_ids(void **state)
{
    (void)state;
    if (system("command -v spm_encode >/dev/null") != 0) {
        print_message("spm_encode is not installed: skipped\n");
        skip();
    }
    struct buffer lines;
    buffer_init(&lines, SIZE_MAX / 2);
    put_samples(&lines);
    put_hard(&lines);
    put_runs(&lines, 30000);
    put_random(&lines, 3000);
    write_file(lines_path, &lines);
    glob_t found;
    assert_int_equal(glob("models/*.gguf", 0, NULL, &found), 0);
    assert_int_equal(glob("tests/golden/*.gguf", GLOB_APPEND, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++)
        compare_model(found.gl_pathv[i], &lines);
    globfree(&found);
    buffer_release(&lines);
}

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(model_path, sizeof model_path, "%s/model", folder);
    snprintf(lines_path, sizeof lines_path, "%s/lines", folder);
    snprintf(ids_path, sizeof ids_path, "%s/ids", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    char log_path[64];
    snprintf(log_path, sizeof log_path, "%s/log", folder);
    const char *const paths[] = {model_path, lines_path, ids_path, log_path};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        unlink(paths[i]);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_ids)};
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
