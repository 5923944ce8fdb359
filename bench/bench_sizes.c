/* Bytes on disk by table, beside what they hold: bench_sizes MODEL COLLECTION
 *
 * The payload is what nothing could do without: tokens in 16 bits (or 32), landmark keys in
 * float32, keys and values of a block's tokens in the rows of its document's tier. The rest is
 * overhead: pages, headers, checksums, places in the source, documents' records.
 */
#include "index/collection.h"
#include "index/store_extents.h"

#include <stdio.h>
#include <stdlib.h>

struct payload {
    uint64_t text, landmarks, keys_values;
};

static void must(enum lmk_status status, const struct lmk_error *error)
{
    if (!status)
        return;
    fprintf(stderr, "bench_sizes: %s\n", error->message);
    exit(1);
}

static void add_document(struct payload *payload, const struct store_settings *settings,
                         const struct document *document)
{
    payload->text += document->token_count * (settings->vocabulary <= 65536 ? 2 : 4);
    if (document->state == DOCUMENT_TEXT)
        return;
    payload->landmarks += document->block_count * landmark_shape(settings).part_bytes;
    if (document->tier != LMK_TIER_NONE)
        payload->keys_values +=
            document->block_count * 2 * keys_values_shape(settings, document->tier).part_bytes;
}

static struct payload add_up(struct lmk_collection *collection)
{
    struct lmk_error error;
    struct store_view *view;
    struct document document;
    struct payload payload = {0};
    must(store_view_begin(collection->store, &view, &error), &error);
    for (uint64_t id = 0; !store_next_document(view, id, &document, &error); id = document.id + 1)
        add_document(&payload, store_settings(collection->store), &document);
    store_view_end(view);
    return payload;
}

static void print(const char *name, uint64_t bytes, uint64_t payload)
{
    printf("%-18s %9.1f MB", name, 1e-6 * (double)bytes);
    if (payload)
        printf("   payload %9.1f MB   overhead %5.1f %%", 1e-6 * (double)payload,
               100 * ((double)bytes / (double)payload - 1));
    putchar('\n');
}

int main(int argc, char **argv)
{
    struct lmk_error error;
    struct lmk_model *model;
    struct lmk_collection *collection;
    struct lmk_info info;
    if (argc != 3) {
        fputs("usage: bench_sizes MODEL COLLECTION\n", stderr);
        return 2;
    }
    must(lmk_model_open(&model, argv[1], &error), &error);
    must(lmk_collection_open(&collection, argv[2], model, NULL, &error), &error);
    must(lmk_info(collection, &info, &error), &error);
    struct payload payload = add_up(collection);
    printf("%llu documents, %llu blocks, %llu tokens, %.1f MB of text\n",
           (unsigned long long)info.documents, (unsigned long long)info.blocks,
           (unsigned long long)info.tokens, 1e-6 * (double)info.text_bytes);
    print("keys and values", info.bytes_keys_values, payload.keys_values);
    print("landmark keys", info.bytes_landmarks, payload.landmarks);
    print("text", info.bytes_text, payload.text);
    print("other", info.bytes_other, 0);
    print("data.mdb", info.bytes_file, payload.keys_values + payload.landmarks + payload.text);
    print("landmark index", info.bytes_segments, 0);
    print("words", info.bytes_words, 0);
    lmk_collection_close(collection);
    lmk_model_close(model);
    return 0;
}
