#include "index/chat_stream.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#define MOST_TEXT (1 << 20)
#define MOST_LINE (1 << 20)

void chat_stream_init(struct chat_stream *stream)
{
    *stream = (struct chat_stream){0};
    buffer_init(&stream->text, 4 * MOST_TEXT); /* a byte that is no text becomes three */
    buffer_init(&stream->line, MOST_LINE);
}

void chat_stream_release(struct chat_stream *stream)
{
    buffer_release(&stream->text);
    buffer_release(&stream->line);
}

static bool copy_message(const cJSON *value, char *message, size_t capacity)
{
    const char *text = cJSON_GetStringValue(value);
    if (text)
        snprintf(message, capacity, "%s", text);
    return text != NULL;
}

/* {"error": {"message": "..."}}, as OpenAI and llama.cpp say it; others name it otherwise. */
static bool object_error(const cJSON *object, char *message, size_t capacity)
{
    const cJSON *problem = cJSON_GetObjectItemCaseSensitive(object, "error");
    return copy_message(cJSON_GetObjectItemCaseSensitive(problem, "message"), message, capacity) ||
           copy_message(problem, message, capacity) ||
           copy_message(cJSON_GetObjectItemCaseSensitive(object, "detail"), message, capacity);
}

bool chat_error_message(const char *body, size_t size, char *message, size_t capacity)
{
    cJSON *object = cJSON_ParseWithLength(body, size);
    bool found =
        object_error(object, message, capacity) ||
        copy_message(cJSON_GetObjectItemCaseSensitive(object, "message"), message, capacity);
    cJSON_Delete(object);
    return found;
}

/* Appends a piece of the text and passes on what it completes. */
static enum lmk_status add_text(struct chat_stream *stream, const char *piece,
                                struct lmk_error *error)
{
    size_t start = stream->text.size;
    if (start + strlen(piece) > MOST_TEXT)
        return error_set(error, LMK_READER, "The reader's answer is longer than %d bytes.",
                         MOST_TEXT);
    enum lmk_status status = utf8_append(&stream->held, piece, strlen(piece), &stream->text, error);
    if (!status && stream->stream && stream->text.size > start)
        stream->stopped = !stream->stream(stream->context, (char *)stream->text.data + start,
                                          stream->text.size - start);
    return status;
}

/* Takes the text out of an event or of the whole answer: choices[0].delta or .message. */
static enum lmk_status take_object(struct chat_stream *stream, const cJSON *object,
                                   struct lmk_error *error)
{
    char message[512];
    const cJSON *choices = cJSON_GetObjectItemCaseSensitive(object, "choices");
    if (object_error(object, message, sizeof message))
        return error_set(error, LMK_READER, "The reader failed: %s", message);
    if (!cJSON_IsArray(choices))
        return error_set(error, LMK_READER, "The reader sent JSON that is no chat completion.");
    const cJSON *choice = cJSON_GetArrayItem(choices, 0);
    const cJSON *part =
        cJSON_GetObjectItemCaseSensitive(choice, stream->whole ? "message" : "delta");
    const char *piece = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(part, "content"));
    /* The last event with text may name a reason; some servers send no [DONE] behind it. */
    if (cJSON_IsString(cJSON_GetObjectItemCaseSensitive(choice, "finish_reason")))
        stream->done = true;
    return piece ? add_text(stream, piece, error) : LMK_OK;
}

static enum lmk_status take_json(struct chat_stream *stream, const char *text, size_t size,
                                 struct lmk_error *error)
{
    cJSON *object = cJSON_ParseWithLength(text, size);
    enum lmk_status status =
        cJSON_IsObject(object)
            ? take_object(stream, object, error)
            : error_set(error, LMK_READER, "The reader sent something that is no JSON: %.*s",
                        (int)(size < 60 ? size : 60), text);
    cJSON_Delete(object);
    return status;
}

/* A line without its end. Those that are no data are comments and names of events. */
static enum lmk_status take_line(struct chat_stream *stream, struct lmk_error *error)
{
    const char *line = (const char *)stream->line.data;
    size_t size = stream->line.size;
    while (size && (line[size - 1] == '\r' || line[size - 1] == ' '))
        size--;
    if (size < 5 || memcmp(line, "data:", 5))
        return LMK_OK;
    stream->events = true;
    size_t start = size > 5 && line[5] == ' ' ? 6 : 5;
    if (size - start == 6 && !memcmp(line + start, "[DONE]", 6)) {
        stream->done = true;
        return LMK_OK;
    }
    return take_json(stream, line + start, size - start, error);
}

enum lmk_status chat_stream_feed(struct chat_stream *stream, const char *bytes, size_t size,
                                 struct lmk_error *error)
{
    enum lmk_status status = LMK_OK;
    for (size_t i = 0; i < size && !status && !stream->stopped; i++) {
        if (!stream->began && !strchr(" \t\r\n", bytes[i])) {
            stream->began = true;
            stream->whole = bytes[i] == '{';
        }
        if (bytes[i] != '\n' || stream->whole) {
            if (buffer_append(&stream->line, &bytes[i], 1, NULL))
                status = error_set(error, LMK_READER,
                                   "The reader sent a line of more than %d bytes.", MOST_LINE);
            continue;
        }
        status = take_line(stream, error);
        buffer_clear(&stream->line);
    }
    return status;
}

enum lmk_status chat_stream_finish(struct chat_stream *stream, struct lmk_error *error)
{
    if (stream->stopped)
        return LMK_OK;
    enum lmk_status status = LMK_OK;
    size_t start = stream->text.size;
    if (stream->whole) {
        status = take_json(stream, (char *)stream->line.data, stream->line.size, error);
        stream->done = true;
    } else if (stream->line.size) {
        status = take_line(stream, error);
    }
    if (!status && !stream->done)
        status = error_set(error, LMK_READER, "The reader %s.",
                           stream->events  ? "broke off in the middle of its answer"
                           : stream->began ? "sent a page that is no chat completion"
                                           : "sent nothing");
    if (!status)
        start = stream->text.size;
    if (!status && !(status = utf8_finish(&stream->held, &stream->text, error)) && stream->stream &&
        stream->text.size > start)
        stream->stream(stream->context, (char *)stream->text.data + start,
                       stream->text.size - start);
    return status;
}
