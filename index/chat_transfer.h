/* One request to a chat-completions server, over libcurl. This file alone includes curl.h.
 *
 * libcurl is loaded at the first request: with the thirty libraries that it brings along, linking
 * it would make each start of the program slower than a search. */
#ifndef INDEX_CHAT_TRANSFER_H
#define INDEX_CHAT_TRANSFER_H

#include "index/chat_stream.h"

struct chat_request {
    const char *url;  /* as the user gave it: of the API, or of its chat completions */
    const char *key;  /* NULL: none */
    const char *body; /* JSON */
    unsigned seconds; /* of silence that are too many */
};

/* Sends the request and feeds the answer's body to `stream`, to its end. Errors: LMK_USAGE (a URL
 * that is none, or that holds a password), LMK_READER (not reached, refused, silent, broken off),
 * LMK_MEMORY. */
enum lmk_status chat_transfer(const struct chat_request *request, struct chat_stream *stream,
                              struct lmk_error *error);

#endif
