#include "src/base/buffer.h"
#include "src/text/jsonl.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BYTES(text) ((struct slice){text, sizeof(text) - 1})

/* What was given, a line each: path|title|author|language|metadata|identity|text, and the faults.
 */
struct log {
    struct buffer text;
    struct normalised_text last; /* map of the last document */
    uint64_t skipped;
    int stop_after;
};

static void write_log(struct log *log, const char *string)
{
    assert_int_equal(buffer_append(&log->text, string, strlen(string), NULL), LMK_OK);
}

static enum lmk_status take(void *context, const struct source_document *document,
                            struct lmk_error *error)
{
    struct log *log = context;
    const char *const fields[] = {document->path,     document->title,    document->author,
                                  document->language, document->metadata, document->identity,
                                  document->text.text};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        write_log(log, fields[i]);
        write_log(log, i + 1 < sizeof fields / sizeof fields[0] ? "|" : "\n");
    }
    normalised_text_release(&log->last);
    const struct normalised_text *text = &document->text;
    log->last = *text;
    log->last.text = strdup(text->text);
    log->last.runs = malloc(text->run_count * sizeof *text->runs);
    assert_true(log->last.text && log->last.runs);
    memcpy(log->last.runs, text->runs, text->run_count * sizeof *text->runs);
    if (log->stop_after && !--log->stop_after)
        return error_set(error, LMK_INTERRUPTED, "stop");
    return LMK_OK;
}

static void note(void *context, uint64_t count, const struct lmk_error *error)
{
    struct log *log = context;
    write_log(log, error->message);
    write_log(log, "\n");
    log->skipped += count;
}

static enum lmk_status read_all(struct log *log, struct slice bytes, struct lmk_error *error)
{
    struct reader_sink sink = {log, take, note};
    bool stopped = false;
    struct source source = {.path = "c.jsonl", .bytes = bytes, .sink = &sink, .stopped = &stopped};
    buffer_init(&log->text, 1 << 20);
    return jsonl_read(&source, error);
}

static void release(struct log *log)
{
    buffer_release(&log->text);
    normalised_text_release(&log->last);
}

static void expect_log(struct log *log, const char *expected)
{
    write_log(log, "");
    assert_int_equal(buffer_append(&log->text, "", 1, NULL), LMK_OK);
    assert_string_equal((const char *)log->text.data, expected);
    release(log);
}

static void expect(const char *bytes, const char *expected)
{
    struct log log = {.skipped = 0};
    assert_int_equal(read_all(&log, (struct slice){bytes, strlen(bytes)}, NULL), LMK_OK);
    expect_log(&log, expected);
}

static void test_records(void **state)
{
    (void)state;
    expect("{\"_id\": \"4983\", \"title\": \"Brains\", \"text\": \"White matter.\", \"metadata\": "
           "{}}\n"
           "\n"
           "{\"text\": \"A fox.\", \"_id\": 7, \"author\": \"Jane Roe\", \"language\": \"en\"}\r\n"
           "{\"title\": \"\", \"text\": \"No id.\", \"year\": 1999}",
           "c.jsonl/4983|Brains|||{\"_id\":\"4983\",\"metadata\":{}}|4983|Brains\nWhite matter.\n"
           "c.jsonl/7||Jane Roe|en|{\"_id\":7}|7|A fox.\n"
           "c.jsonl/line 4||||{\"year\":1999}||No id.\n");
}

static void test_fields_of_other_types(void **state)
{
    (void)state;
    /* a title that is no string is metadata; so is an author */
    expect("{\"id\":\"\",\"title\":[1],\"author\":null,\"x\":\"}\\\"{\",\"text\":\"T\",\"text\":"
           "\"U\"}",
           "c.jsonl/line 1||||{\"id\":\"\",\"title\":[1],\"author\":null,\"x\":\"}\\\"{\",\"text\":"
           "\"U\"}||T\n");
}

static void test_escapes_lead_back(void **state)
{
    (void)state;
    static const char line[] =
        "{\"title\":\"a\\\"b\",\"text\":\"\\u00e9x\\ud83d\\ude00\\n\\nyz\\\\\\u0000w\"}";
    struct log log = {.skipped = 0};
    assert_int_equal(read_all(&log, BYTES(line), NULL), LMK_OK);
    const char *text = "a\"b\n\xC3\xA9x\xF0\x9F\x98\x80\nyz\\\xEF\xBF\xBDw";
    assert_string_equal(log.last.text, text);
    const struct {
        const char *in_text, *in_line;
    } places[] = {
        {"a\"", "a\\\""},      {"\"b", "\\\"b"},    {"b\n", "b\",\"text"}, {"\xC3\xA9", "\\u00e9"},
        {"x\xF0", "x\\ud83d"}, {"\xF0", "\\ud83d"}, {"yz", "yz"},          {"\\", "\\\\\\u0000"},
        {"w", "w\"}"}};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        assert_int_equal(
            normalised_source(&log.last, (uint64_t)(strstr(text, places[i].in_text) - text)),
            strstr(line, places[i].in_line) - line);
    assert_int_equal(normalised_source(&log.last, log.last.size), strlen(line) - 2);
    release(&log);
}

static void test_offsets_of_later_lines(void **state)
{
    (void)state;
    static const char lines[] = "\xEF\xBB\xBF{\"text\":\"one\"}\n{\"text\":\"two\"}\n";
    struct log log = {.skipped = 0};
    assert_int_equal(read_all(&log, BYTES(lines), NULL), LMK_OK);
    assert_int_equal(normalised_source(&log.last, 0), strstr(lines, "two") - lines);
    expect_log(&log, "c.jsonl/line 1||||{}||one\nc.jsonl/line 2||||{}||two\n");
}

static void test_bad_lines(void **state)
{
    (void)state;
    struct log log = {.skipped = 0};
    static const char lines[] = "nothing\n{\"text\":1}\n{\"text\":\"one\"}\n[]\n{\"text\":\"\"}\n"
                                "{\"text\":\"a\0b\"}\n{\"text\":\"lone \\ud800\"}\n"
                                "{\"text\":\"two\"} x\n";
    assert_int_equal(read_all(&log, BYTES(lines), NULL), LMK_OK);
    assert_int_equal(log.skipped, 7);
    expect_log(&log, "c.jsonl, line 1: it is no JSON object.\n"
                     "c.jsonl, line 2: it has no string \"text\".\n"
                     "c.jsonl/line 3||||{}||one\n"
                     "c.jsonl, line 4: it is no JSON object.\n"
                     "c.jsonl: lines left out beside these: 4.\n");
}

static void test_nothing_in_it(void **state)
{
    (void)state;
    struct log log = {.skipped = 0};
    struct lmk_error error;
    assert_int_equal(read_all(&log, BYTES("{\"query\":\"who?\"}\n"), &error), LMK_INPUT);
    assert_non_null(strstr(error.message, "c.jsonl"));
    release(&log);
}

static void test_sink_stops(void **state)
{
    (void)state;
    struct log log = {.stop_after = 2};
    static const char lines[] = "{\"text\":\"1\"}\n{\"text\":\"2\"}\n{\"text\":\"3\"}\n";
    assert_int_equal(read_all(&log, BYTES(lines), NULL), LMK_INTERRUPTED);
    expect_log(&log, "c.jsonl/line 1||||{}||1\nc.jsonl/line 2||||{}||2\n");
}

/* Of many members those stay that fit, in order. */
static void test_too_much_metadata(void **state)
{
    (void)state;
    size_t size = METADATA_MAX + 200;
    char *line = malloc(size), *at = line;
    assert_non_null(line);
    at += sprintf(at, "{\"_id\":\"a\",\"big\":\"");
    memset(at, 'x', METADATA_MAX);
    at += METADATA_MAX;
    at += sprintf(at, "\",\"small\":2,\"text\":\"T\"}");
    struct log log = {.skipped = 0};
    assert_int_equal(read_all(&log, (struct slice){line, (size_t)(at - line)}, NULL), LMK_OK);
    free(line);
    expect_log(&log, "c.jsonl/a||||{\"_id\":\"a\",\"small\":2}|a|T\n");
}

/* What is no name is cut, in front of a character of two bytes here, and no language. */
static void test_endless_names(void **state)
{
    (void)state;
    char line[2000], expected[2500], cut[501];
    memset(cut, 'n', 499);
    cut[499] = '\0';
    snprintf(
        line, sizeof line,
        "{\"text\":\"T\",\"title\":\"%s\u00e9\",\"author\":\"%s\u00e9\",\"language\":\"%.36s\"}",
        cut, cut, cut);
    snprintf(expected, sizeof expected, "c.jsonl/line 1|%s|%s||{}||%s\u00e9\nT\n", cut, cut, cut);
    struct log log = {.skipped = 0};
    assert_int_equal(read_all(&log, (struct slice){line, strlen(line)}, NULL), LMK_OK);
    expect_log(&log, expected);
}

/* A line of 64 MiB and more is left out, and those behind it are read. */
static void test_endless_line(void **state)
{
    (void)state;
    static const char before[] = "{\"text\":\"one\"}\n{\"text\":\"",
                      behind[] = "\"}\n{\"text\":\"three\"}\n";
    size_t filler = (size_t)64 << 20, size = sizeof before - 1 + filler + sizeof behind - 1;
    char *lines = malloc(size);
    assert_non_null(lines);
    memcpy(lines, before, sizeof before - 1);
    memset(lines + sizeof before - 1, 'x', filler);
    memcpy(lines + sizeof before - 1 + filler, behind, sizeof behind - 1);
    struct log log = {.skipped = 0};
    assert_int_equal(read_all(&log, (struct slice){lines, size}, NULL), LMK_OK);
    assert_int_equal(log.skipped, 1);
    expect_log(&log, "c.jsonl/line 1||||{}||one\n"
                     "c.jsonl, line 2: it is longer than 64 MiB, the most that lmk reads.\n"
                     "c.jsonl/line 3||||{}||three\n");
    const char *second = strchr(lines, '\n') + 1;
    assert_false(jsonl_begins((struct slice){second, size - (size_t)(second - lines)}));
    free(lines);
}

static void test_begins(void **state)
{
    (void)state;
    assert_true(jsonl_begins(BYTES("{\"text\":\"x\"}\nwhatever")));
    assert_true(jsonl_begins(BYTES("\xEF\xBB\xBF {\"text\":\"x\"} \r\n")));
    assert_false(jsonl_begins(BYTES("{\"question\":\"x\"}\n")));
    assert_false(jsonl_begins(BYTES("{\n\"text\":\"x\"}\n")));
    assert_false(jsonl_begins(BYTES("{\"text\":\"x")));
    assert_false(jsonl_begins(BYTES("text")));
    assert_false(jsonl_begins(BYTES("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_fields_of_other_types),
        cmocka_unit_test(test_escapes_lead_back),
        cmocka_unit_test(test_offsets_of_later_lines),
        cmocka_unit_test(test_bad_lines),
        cmocka_unit_test(test_nothing_in_it),
        cmocka_unit_test(test_sink_stops),
        cmocka_unit_test(test_too_much_metadata),
        cmocka_unit_test(test_endless_names),
        cmocka_unit_test(test_endless_line),
        cmocka_unit_test(test_begins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
