#include "cli/command.h"
#include "cli/output.h"

#include <stdio.h>

static enum lmk_status print_json(const struct lmk_info *info, struct lmk_error *error)
{
    cJSON *object = json_start("info");
    cJSON_AddNumberToObject(object, "format_version", info->format_version);
    cJSON_AddStringToObject(object, "generation", info->generation);
    cJSON_AddStringToObject(object, "model", info->model_name);
    cJSON_AddStringToObject(object, "fingerprint", info->fingerprint);
    cJSON_AddStringToObject(object, "kv", info->tier);
    cJSON_AddNumberToObject(object, "documents", (double)info->documents);
    cJSON_AddNumberToObject(object, "documents_ready", (double)info->documents_ready);
    cJSON_AddNumberToObject(object, "documents_words", (double)info->documents_words);
    cJSON_AddNumberToObject(object, "blocks", (double)info->blocks);
    cJSON_AddNumberToObject(object, "blocks_ready", (double)info->blocks_ready);
    cJSON_AddNumberToObject(object, "tokens", (double)info->tokens);
    cJSON_AddNumberToObject(object, "source_bytes", (double)info->source_bytes);
    cJSON_AddNumberToObject(object, "text_bytes", (double)info->text_bytes);
    cJSON_AddNumberToObject(object, "segments", (double)info->segments);
    cJSON_AddNumberToObject(object, "segment_blocks", (double)info->segment_blocks);
    cJSON *bytes = cJSON_AddObjectToObject(object, "bytes");
    cJSON_AddNumberToObject(bytes, "text", (double)info->bytes_text);
    cJSON_AddNumberToObject(bytes, "landmarks", (double)info->bytes_landmarks);
    cJSON_AddNumberToObject(bytes, "keys_values", (double)info->bytes_keys_values);
    cJSON_AddNumberToObject(bytes, "other", (double)info->bytes_other);
    cJSON_AddNumberToObject(bytes, "segments", (double)info->bytes_segments);
    cJSON_AddNumberToObject(bytes, "words", (double)info->bytes_words);
    cJSON_AddNumberToObject(bytes, "file", (double)info->bytes_file);
    return json_print(object, error);
}

static void print_size(const char *name, uint64_t bytes, const struct lmk_info *info)
{
    printf("  %-18s %10s  %7.1f bytes a token\n", name, output_bytes(bytes),
           info->tokens ? (double)bytes / (double)info->tokens : 0);
}

static void print_text(const struct lmk_info *info)
{
    printf("documents  %llu, indexed: %llu\n", (unsigned long long)info->documents,
           (unsigned long long)info->documents_ready);
    printf("text       %s in %s, %s (sources: %s)\n", output_bytes(info->text_bytes),
           output_count(info->tokens, "token"), output_count(info->blocks, "block"),
           output_bytes(info->source_bytes));
    printf("model      %s, fingerprint %s\n", info->model_name, info->fingerprint);
    printf("keys and values as %s; format version %u, %s\n", info->tier, info->format_version,
           info->generation);
    printf("landmark index: %s with %s; others are scanned\n",
           output_count(info->segments, "segment"), output_count(info->segment_blocks, "block"));
    printf("words of %s\n", output_count(info->documents_words, "document"));
    puts("on disk");
    print_size("keys and values", info->bytes_keys_values, info);
    print_size("landmark keys", info->bytes_landmarks, info);
    print_size("landmark index", info->bytes_segments, info);
    print_size("words", info->bytes_words, info);
    print_size("text", info->bytes_text, info);
    print_size("other", info->bytes_other, info);
    print_size("data.mdb", info->bytes_file, info);
}

enum lmk_status command_info(const struct arguments *arguments, struct lmk_error *error)
{
    struct session session;
    struct lmk_info info;
    if (arguments->word_count)
        return fail(error, LMK_USAGE, "\"%s\": info takes no further argument.",
                    arguments->words[0]);
    enum lmk_status status = session_open(&session, arguments, false, NULL, error);
    if (status)
        return status;
    status = lmk_info(session.collection, &info, error);
    if (!status && arguments->json)
        status = print_json(&info, error);
    else if (!status)
        print_text(&info);
    session_close(&session);
    return status;
}
