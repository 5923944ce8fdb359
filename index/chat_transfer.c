#include "index/chat_transfer.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_ERROR_BODY 65536
#define CONNECT_SECONDS 10L

/* What is used of libcurl. */
struct curl {
    __typeof__(&curl_easy_init) init;
    __typeof__(&curl_easy_cleanup) cleanup;
    CURLcode (*setopt)(CURL *handle, CURLoption option, ...);
    CURLcode (*getinfo)(CURL *handle, CURLINFO info, ...);
    __typeof__(&curl_easy_perform) perform;
    __typeof__(&curl_easy_strerror) strerror;
    __typeof__(&curl_slist_append) append;
    __typeof__(&curl_slist_free_all) free_all;
    __typeof__(&curl_url) url;
    __typeof__(&curl_url_cleanup) url_cleanup;
    __typeof__(&curl_url_get) url_get;
    __typeof__(&curl_url_set) url_set;
    __typeof__(&curl_free) free;
};

static enum lmk_status load(struct curl *curl, struct lmk_error *error)
{
    static const char *const libraries[] = {"libcurl.so.4", "libcurl-gnutls.so.4"};
    static const char *const names[] = {
        "curl_easy_init",    "curl_easy_cleanup",  "curl_easy_setopt",  "curl_easy_getinfo",
        "curl_easy_perform", "curl_easy_strerror", "curl_slist_append", "curl_slist_free_all",
        "curl_url",          "curl_url_cleanup",   "curl_url_get",      "curl_url_set",
        "curl_free"};
    _Static_assert(sizeof(struct curl) == sizeof names / sizeof names[0] * sizeof(void *),
                   "a name for each function");
    void *functions[sizeof names / sizeof names[0]];
    void *library = NULL;
    for (size_t i = 0; !library && i < sizeof libraries / sizeof libraries[0]; i++)
        library = dlopen(libraries[i], RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return error_set(error, LMK_READER,
                         "A reader elsewhere needs libcurl, which is not installed. Install the "
                         "package libcurl4.");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (!(functions[i] = dlsym(library, names[i])))
            return error_set(error, LMK_READER, "The libcurl installed is too old: it has no %s.",
                             names[i]);
    memcpy(curl, functions, sizeof *curl);
    return LMK_OK;
}

/* ------------------------------------------------------------------ the address */

static bool ends_with(const char *text, const char *end)
{
    size_t size = strlen(text), tail = strlen(end);
    return size >= tail && !strcmp(text + size - tail, end);
}

/* The address of the completions below that of the API: ".../v1" and "/" are completed. */
static bool complete_path(const struct curl *curl, CURLU *url)
{
    static const char completions[] = "/chat/completions";
    char *path, complete[4096];
    if (curl->url_get(url, CURLUPART_PATH, &path, 0))
        return false;
    for (size_t size = strlen(path); size && path[size - 1] == '/'; size--)
        path[size - 1] = '\0';
    int size = snprintf(complete, sizeof complete, "%s%s%s", path, path[0] ? "" : "/v1",
                        ends_with(path, completions) ? "" : completions);
    curl->free(path);
    return size < (int)sizeof complete && !curl->url_set(url, CURLUPART_PATH, complete, 0);
}

/* Errors quote no more of a wrong URL than is safe to show: nothing, where it holds a password. */
static enum lmk_status check_address(const struct curl *curl, CURLU *url, const char *given,
                                     struct lmk_error *error)
{
    char *part;
    if (!curl->url_get(url, CURLUPART_USER, &part, 0) ||
        !curl->url_get(url, CURLUPART_PASSWORD, &part, 0)) {
        curl->free(part);
        return error_set(error, LMK_USAGE,
                         "The reader's URL holds a name or a password, which others can see. Put "
                         "a key into the variable LMK_READER_KEY instead.");
    }
    bool http = !curl->url_get(url, CURLUPART_SCHEME, &part, 0) &&
                (!strcmp(part, "http") || !strcmp(part, "https"));
    curl->free(part);
    return http ? LMK_OK
                : error_set(error, LMK_USAGE,
                            "\"%s\" is no URL of a reader. One looks like "
                            "http://localhost:8080/v1.",
                            given);
}

static enum lmk_status make_address(const struct curl *curl, const char *given, char **address,
                                    struct lmk_error *error)
{
    CURLU *url = curl->url();
    if (!url)
        return error_memory(error, sizeof(void *));
    enum lmk_status status = LMK_OK;
    if (!strstr(given, "://") || curl->url_set(url, CURLUPART_URL, given, 0))
        status = error_set(error, LMK_USAGE,
                           "What is given for the reader is no URL. One looks like "
                           "http://localhost:8080/v1.");
    else
        status = check_address(curl, url, given, error);
    if (!status && (!complete_path(curl, url) || curl->url_get(url, CURLUPART_URL, address, 0)))
        status = error_set(error, LMK_USAGE, "The reader's URL is too long.");
    curl->url_cleanup(url);
    return status;
}

/* ------------------------------------------------------------------ the request */

struct transfer {
    const struct curl *curl;
    CURL *handle;
    struct chat_stream *stream;
    struct buffer error_body; /* of an answer that is an error */
    enum lmk_status status;   /* of feeding the stream */
    struct lmk_error *error;
};

static size_t on_body(char *bytes, size_t one, size_t size, void *context)
{
    struct transfer *transfer = context;
    long code = 0;
    (void)one;
    transfer->curl->getinfo(transfer->handle, CURLINFO_RESPONSE_CODE, &code);
    if (code != 200) {
        buffer_append(&transfer->error_body, bytes, size, NULL); /* what does not fit is left out */
        return size;
    }
    transfer->status = chat_stream_feed(transfer->stream, bytes, size, transfer->error);
    return transfer->status || transfer->stream->stopped ? 0 : size;
}

static enum lmk_status make_headers(const struct curl *curl, const char *key,
                                    struct curl_slist **headers, struct lmk_error *error)
{
    char line[4096];
    struct curl_slist *longer = curl->append(NULL, "Content-Type: application/json");
    *headers = longer;
    if (key && key[0]) {
        for (const char *at = key; *at; at++)
            if ((unsigned char)*at < 0x21 || *at == 0x7f)
                return error_set(error, LMK_USAGE,
                                 "The reader's key holds a space or a control character.");
        if (snprintf(line, sizeof line, "Authorization: Bearer %s", key) >= (int)sizeof line)
            return error_set(error, LMK_USAGE, "The reader's key is too long.");
        longer = curl->append(*headers, line);
    }
    if (!longer)
        return error_memory(error, sizeof line);
    *headers = longer;
    return LMK_OK;
}

static void set_options(struct transfer *transfer, const struct chat_request *request,
                        const char *address, struct curl_slist *headers, char *problem)
{
    const struct curl *curl = transfer->curl;
    CURL *handle = transfer->handle;
    curl->setopt(handle, CURLOPT_URL, address);
    curl->setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
    curl->setopt(handle, CURLOPT_HTTPHEADER, headers);
    curl->setopt(handle, CURLOPT_POSTFIELDS, request->body);
    curl->setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(request->body));
    curl->setopt(handle, CURLOPT_USERAGENT, "lmk/" LMK_VERSION);
    curl->setopt(handle, CURLOPT_WRITEFUNCTION, on_body);
    curl->setopt(handle, CURLOPT_WRITEDATA, transfer);
    curl->setopt(handle, CURLOPT_ERRORBUFFER, problem);
    curl->setopt(handle, CURLOPT_NOSIGNAL, 1L);
    /* Redirections are not followed: the key belongs to the server that was named. */
    curl->setopt(handle, CURLOPT_FOLLOWLOCATION, 0L);
    curl->setopt(handle, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
    curl->setopt(handle, CURLOPT_LOW_SPEED_LIMIT, 1L); /* bytes a second */
    curl->setopt(handle, CURLOPT_LOW_SPEED_TIME, (long)request->seconds);
}

/* An answer that is no 200. */
static enum lmk_status refused(const struct transfer *transfer, const char *address, long code)
{
    char message[512] = "";
    const struct buffer *body = &transfer->error_body;
    const char *advice = code == 401 || code == 403 ? " Its key belongs into LMK_READER_KEY."
                         : code >= 300 && code < 400
                             ? " It points to another address; name that one."
                         : code == 404 ? " Is the address right, and the model's name?"
                                       : "";
    if (body->size && !chat_error_message((char *)body->data, body->size, message, sizeof message))
        snprintf(message, sizeof message, "%.*s", (int)(body->size < 200 ? body->size : 200),
                 (char *)body->data);
    size_t size = strlen(message);
    if (size && message[size - 1] == '.')
        message[size - 1] = '\0'; /* the sentence has its own */
    return error_set(transfer->error, LMK_READER,
                     "The reader at %s refused with HTTP status %ld%s%s.%s", address, code,
                     message[0] ? ": " : "", message, advice);
}

/* The sentence for what ended the transfer. */
static enum lmk_status judge(struct transfer *transfer, const struct chat_request *request,
                             const char *address, CURLcode result, const char *problem)
{
    long code = 0;
    curl_off_t sent = 0; /* when the request was, in microseconds */
    transfer->curl->getinfo(transfer->handle, CURLINFO_RESPONSE_CODE, &code);
    transfer->curl->getinfo(transfer->handle, CURLINFO_PRETRANSFER_TIME_T, &sent);
    if (transfer->status)
        return transfer->status;
    if (transfer->stream->stopped)
        return LMK_OK;
    if (!result && code == 200)
        return chat_stream_finish(transfer->stream, transfer->error);
    if (!result)
        return refused(transfer, address, code);
    if (result == CURLE_OPERATION_TIMEDOUT && sent)
        return error_set(transfer->error, LMK_READER,
                         "The reader at %s was silent for %u s. --reader-wait gives it longer.",
                         address, request->seconds);
    problem = problem[0] ? problem : transfer->curl->strerror(result);
    if (code == 200)
        return error_set(transfer->error, LMK_READER,
                         "The reader at %s broke off in the middle of its answer: %s.", address,
                         problem);
    return error_set(transfer->error, LMK_READER, "The reader at %s cannot be reached: %s.",
                     address, problem);
}

enum lmk_status chat_transfer(const struct chat_request *request, struct chat_stream *stream,
                              struct lmk_error *error)
{
    struct curl curl;
    char problem[CURL_ERROR_SIZE] = "";
    char *address = NULL;
    struct curl_slist *headers = NULL;
    struct transfer transfer = {.curl = &curl, .stream = stream, .error = error};
    enum lmk_status status = load(&curl, error);
    if (status)
        return status;
    buffer_init(&transfer.error_body, MOST_ERROR_BODY);
    status = make_address(&curl, request->url, &address, error);
    if (!status)
        status = make_headers(&curl, request->key, &headers, error);
    if (!status && !(transfer.handle = curl.init()))
        status = error_memory(error, sizeof transfer);
    if (!status) {
        set_options(&transfer, request, address, headers, problem);
        CURLcode result = curl.perform(transfer.handle);
        status = judge(&transfer, request, address, result, problem);
        curl.cleanup(transfer.handle);
    }
    curl.free_all(headers);
    curl.free(address);
    buffer_release(&transfer.error_body);
    return status;
}
