/* What a chat-completions server sends, however the network cuts it. The command line tests have
 * the server; here every cut is tried. */
#include "index/chat_stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct heard {
    char text[4096];
    bool whole_characters;
};

static bool hear(void *context, const char *text, size_t size)
{
    struct heard *heard = context;
    bool valid = true;
    for (size_t at = 0; at < size && valid; at += utf8_length(text + at, size - at, &valid))
        ;
    heard->whole_characters = heard->whole_characters && valid;
    strncat(heard->text, text, size);
    return true;
}

static const char events[] =
    ": ping\r\n\r\n"
    "event: message\r\n"
    "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\"}}]}\r\n\r\n"
    "data:{\"choices\":[{\"delta\":{\"content\":\"Caf\xc3\xa9 \"}}]}\r\n\r\n"
    "data: {\"choices\":[{\"delta\":{\"content\":\"\\u2014 [1]\"}}]}  \n\n"
    "data: {\"choices\":[]}\n\n"
    "data: [DONE]\n\n";

/* Feeds two parts and the end; gives the status and fills in what was heard. */
static enum lmk_status feed(const char *bytes, size_t size, size_t cut, struct heard *heard,
                            struct lmk_error *error)
{
    struct chat_stream stream;
    *heard = (struct heard){.whole_characters = true};
    chat_stream_init(&stream);
    stream.stream = hear;
    stream.context = heard;
    enum lmk_status status = chat_stream_feed(&stream, bytes, cut, error);
    if (!status)
        status = chat_stream_feed(&stream, bytes + cut, size - cut, error);
    if (!status)
        status = chat_stream_finish(&stream, error);
    if (!status) {
        assert_int_equal(stream.text.size, strlen(heard->text));
        if (stream.text.size)
            assert_memory_equal(stream.text.data, heard->text, stream.text.size);
    }
    chat_stream_release(&stream);
    return status;
}

static void test_every_cut(void **state)
{
    struct heard heard;
    struct lmk_error error;
    (void)state;
    for (size_t cut = 0; cut < sizeof events; cut++) {
        assert_int_equal(feed(events, sizeof events - 1, cut, &heard, &error), LMK_OK);
        assert_string_equal(heard.text, "Caf\xc3\xa9 \xe2\x80\x94 [1]");
        assert_true(heard.whole_characters);
    }
}

/* An answer that ends early is never taken for a whole one, wherever it ends. */
static void test_every_end(void **state)
{
    struct heard heard;
    struct lmk_error error;
    size_t whole = (size_t)(strstr(events, "[DONE]") + 6 - events);
    (void)state;
    for (size_t size = 0; size < sizeof events; size++)
        assert_int_equal(feed(events, size, size / 2, &heard, &error),
                         size < whole ? LMK_READER : LMK_OK);
}

static void expect(const char *bytes, enum lmk_status status, const char *text)
{
    struct heard heard;
    struct lmk_error error = {0};
    enum lmk_status given = feed(bytes, strlen(bytes), strlen(bytes) / 2, &heard, &error);
    assert_int_equal(given, status);
    if (text)
        assert_string_equal(status ? error.message : heard.text, text);
}

static void test_forms(void **state)
{
    (void)state;
    expect("\n {\"choices\": [{\"message\": {\"content\": \"a\\nb\"}}]}\n", LMK_OK, "a\nb");
    expect("{\"choices\": [{\"message\": {\"content\": null}}]}", LMK_OK, "");
    expect("{\"choices\": [{\"delta\": {\"content\": \"a\"}}]}", LMK_OK, "");
    expect("data: {\"choices\":[{\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}",
           LMK_OK, "a");
    expect("data: {\"choices\":[{\"delta\":{\"content\":\"a\\u0000b\xff\"}}]}\ndata: [DONE]",
           LMK_OK, "a"); /* cJSON's strings end at a NUL */
    expect("data: {\"choices\":[{\"delta\":{\"content\":\"b\xff\"}}]}\ndata: [DONE]", LMK_OK,
           "b\xef\xbf\xbd");
    expect("data: {\"choices\":[{\"delta\":{\"content\":7}}]}\ndata: [DONE]", LMK_OK, "");
    expect("data: {\"choices\":{}}\n", LMK_READER,
           "The reader sent JSON that is no chat completion.");
    expect("data: {\"error\":\"full\"}\n", LMK_READER, "The reader failed: full");
    expect("{\"error\":{\"message\":\"full\"}}", LMK_READER, "The reader failed: full");
    expect("{\"choices\": [", LMK_READER,
           "The reader sent something that is no JSON: {\"choices\": [");
    expect("<html>", LMK_READER, "The reader sent a page that is no chat completion.");
    expect("", LMK_READER, "The reader sent nothing.");
}

static bool refuse(void *context, const char *text, size_t size)
{
    (void)text;
    (void)size;
    ++*(int *)context;
    return false;
}

static void test_stop(void **state)
{
    struct chat_stream stream;
    struct lmk_error error;
    int calls = 0;
    (void)state;
    chat_stream_init(&stream);
    stream.stream = refuse;
    stream.context = &calls;
    assert_int_equal(chat_stream_feed(&stream, events, sizeof events - 1, &error), LMK_OK);
    assert_true(stream.stopped);
    assert_int_equal(chat_stream_feed(&stream, events, sizeof events - 1, &error), LMK_OK);
    assert_int_equal(chat_stream_finish(&stream, &error), LMK_OK);
    assert_int_equal(calls, 1);
    assert_int_equal(stream.text.size, strlen("Caf\xc3\xa9 "));
    chat_stream_release(&stream);
}

static void test_limits(void **state)
{
    struct chat_stream stream;
    struct lmk_error error;
    char *line = malloc(1 << 21);
    (void)state;
    memset(line, 'x', 1 << 21);
    chat_stream_init(&stream);
    assert_int_equal(chat_stream_feed(&stream, line, 1 << 21, &error), LMK_READER);
    chat_stream_release(&stream);
    free(line);
}

/* An answer that never ends is the reader's fault, not a lack of memory. */
static void test_endless_answer(void **state)
{
    struct chat_stream stream;
    struct lmk_error error;
    static char piece[1 << 18];
    static const char start[] = "data: {\"choices\":[{\"delta\":{\"content\":\"",
                      end[] = "\"}}]}\n";
    (void)state;
    memset(piece, '\xff', sizeof piece); /* each becomes the three bytes of U+FFFD */
    chat_stream_init(&stream);
    enum lmk_status status = LMK_OK;
    for (int i = 0; i < 5 && !status; i++) {
        assert_int_equal(chat_stream_feed(&stream, start, sizeof start - 1, &error), LMK_OK);
        assert_int_equal(chat_stream_feed(&stream, piece, sizeof piece, &error), LMK_OK);
        status = chat_stream_feed(&stream, end, sizeof end - 1, &error);
    }
    assert_int_equal(status, LMK_READER);
    assert_string_equal(error.message, "The reader's answer is longer than 1048576 bytes.");
    chat_stream_release(&stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_cut), cmocka_unit_test(test_every_end),
        cmocka_unit_test(test_forms),     cmocka_unit_test(test_stop),
        cmocka_unit_test(test_limits),    cmocka_unit_test(test_endless_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
