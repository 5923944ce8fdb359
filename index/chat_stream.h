/* What a chat-completions server sends, taken apart as it comes: server-sent events, lines
 * "data: JSON" that end with "data: [DONE]", each with a piece of the text in
 * choices[0].delta.content. A server that does not stream sends one JSON object instead, with the
 * text in choices[0].message.content. */
#ifndef INDEX_CHAT_STREAM_H
#define INDEX_CHAT_STREAM_H

#include "src/text/utf8.h"

struct chat_stream {
    /* Gets the text as it comes, in whole UTF-8 characters; false stops. May be NULL. */
    bool (*stream)(void *context, const char *text, size_t size);
    void *context;
    struct buffer text; /* all of it, without a NUL at its end */
    bool stopped;       /* by `stream` */
    /* private */
    struct buffer line; /* the line at hand; the whole body where it is one object */
    struct utf8_held held;
    bool began, whole, done, events; /* events: a line of data has come */
};

void chat_stream_init(struct chat_stream *stream);
void chat_stream_release(struct chat_stream *stream);

/* Takes more bytes of the body. LMK_READER: they are no answer, or say that something failed; the
 * sentence is about "the reader" and has no place in it. */
enum lmk_status chat_stream_feed(struct chat_stream *stream, const char *bytes, size_t size,
                                 struct lmk_error *error);
/* The body has ended. LMK_READER: in the middle. */
enum lmk_status chat_stream_finish(struct chat_stream *stream, struct lmk_error *error);

/* What a JSON object of an API says went wrong, into `message`; false: it says nothing. */
bool chat_error_message(const char *body, size_t size, char *message, size_t capacity);

#endif
