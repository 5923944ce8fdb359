/* Makes a collection of many blocks out of a smaller one, to measure what size does: bench_grow
 * MODEL FROM TO BLOCKS
 *
 * Each block has the text of a block of FROM, and a landmark drawn around that block's: NOISE times
 * the deviation of each coordinate over FROM away from it, normally distributed. What a block gets
 * depends on nothing but its number, so an interrupted run goes on from its last batch. Landmarks
 * are SYNTHETIC; keys and values there are none, and words only where `lmk index` is run on TO.
 */
#include "index/segments.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOISE 0.7F
#define DOCUMENT_BLOCKS 4096

struct source {
    struct lmk_collection *collection;
    struct store_view *view;
    size_t width;
    struct buffer keys;    /* float [count][width] */
    struct buffer numbers; /* uint64_t [count] */
    float *deviations;     /* [width] */
    uint64_t count;
};

static void must(enum lmk_status status, const struct lmk_error *error)
{
    if (!status)
        return;
    fprintf(stderr, "bench_grow: %s\n", error->message);
    exit(1);
}

static void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    if (memory)
        return memory;
    fputs("bench_grow: out of memory\n", stderr);
    exit(1);
}

/* ------------------------------------------------------------------ random numbers */

static uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* The sum of four numbers from the same interval is normal enough; of deviation 1. */
static float random_normal(uint64_t *state)
{
    uint64_t bits = random_next(state);
    uint32_t sum = 0;
    for (int i = 0; i < 4; i++)
        sum += (uint32_t)(bits >> 16 * i & 0xffff);
    return ((float)sum / 65535 - 2) * 1.7320508F;
}

/* ------------------------------------------------------------------ what is real */

static enum lmk_status gather(void *context, uint64_t block, const float *key,
                              struct lmk_error *error)
{
    struct source *source = context;
    enum lmk_status status =
        buffer_append(&source->keys, key, source->width * sizeof(float), error);
    return status ? status : buffer_append(&source->numbers, &block, sizeof block, error);
}

static void measure(struct source *source)
{
    const float *keys = (const float *)(const void *)source->keys.data;
    source->deviations = allocate(source->width, sizeof(float));
    for (size_t i = 0; i < source->width; i++) {
        double sum = 0, squares = 0;
        for (uint64_t row = 0; row < source->count; row++) {
            double value = keys[row * source->width + i];
            sum += value;
            squares += value * value;
        }
        double mean = sum / (double)source->count;
        source->deviations[i] = (float)sqrt(fmax(0, squares / (double)source->count - mean * mean));
    }
}

static void source_open(struct source *source, const char *path, const struct lmk_model *model)
{
    struct lmk_error error;
    must(lmk_collection_open(&source->collection, path, model, NULL, &error), &error);
    must(store_view_begin(source->collection->store, &source->view, &error), &error);
    source->width = model_landmark_width(&model->shape);
    buffer_init(&source->keys, SIZE_MAX / 2);
    buffer_init(&source->numbers, SIZE_MAX / 2);
    must(store_visit_landmarks(source->view, 0, UINT64_MAX, gather, source, &error), &error);
    source->count = source->numbers.size / sizeof(uint64_t);
    if (!source->count) {
        fprintf(stderr, "bench_grow: %s has no landmarks yet.\n", path);
        exit(1);
    }
    measure(source);
}

/* ------------------------------------------------------------------ what is made */

/* The documents of one batch: texts of real blocks, their landmarks with noise. */
static void add_document(const struct source *source, struct lmk_collection *collection,
                         uint64_t first, size_t count)
{
    struct lmk_error error;
    struct store_batch *batch;
    struct buffer tokens, runs;
    struct block_text *texts = allocate(count, sizeof *texts);
    float *keys = allocate(count * source->width, sizeof(float));
    uint64_t text_at = 0, token_count = 0;
    char path[64];
    size_t n = collection->model->shape.block_tokens;
    buffer_init(&tokens, SIZE_MAX / 2);
    buffer_init(&runs, SIZE_MAX / 2);
    must(buffer_reserve(&tokens, count * n * sizeof(uint32_t), &error), &error);
    for (size_t b = 0; b < count; b++) {
        uint64_t state = (first + b) * 0x2545f4914f6cdd1du + 1, real = random_next(&state);
        const float *key =
            (const float *)(const void *)source->keys.data + real % source->count * source->width;
        must(store_block_text(
                 source->view,
                 ((const uint64_t *)(const void *)source->numbers.data)[real % source->count],
                 &tokens, &runs, &texts[b], &error),
             &error);
        texts[b] = (struct block_text){.token_count = texts[b].token_count,
                                       .tokens = texts[b].tokens,
                                       .text_start = text_at,
                                       .text_size = texts[b].text_size,
                                       .source_start = text_at,
                                       .source_end = text_at + texts[b].text_size};
        text_at += texts[b].text_size;
        token_count += texts[b].token_count;
        for (size_t i = 0; i < source->width; i++)
            keys[b * source->width + i] =
                key[i] + NOISE * source->deviations[i] * random_normal(&state);
    }
    snprintf(path, sizeof path, "/synthetic/%llu", (unsigned long long)first);
    struct document document = {.tier = LMK_TIER_NONE,
                                .block_count = count,
                                .token_count = token_count,
                                .source_bytes = text_at,
                                .text_bytes = text_at,
                                .path = path,
                                .title = path,
                                .author = "",
                                .language = "en",
                                .kind = "text",
                                .metadata = "{}"};
    hash128(path, strlen(path), document.hash);
    must(store_batch_begin(collection->store, &batch, &error), &error);
    must(store_add_document(batch, &document, texts, &error), &error);
    must(store_put_blocks(batch, &document, document.first_block, count, keys, NULL, NULL, &error),
         &error);
    must(store_set_state(batch, document.id, DOCUMENT_READY, &error), &error);
    must(store_commit(batch, &error), &error);
    buffer_release(&tokens);
    buffer_release(&runs);
    free(texts);
    free(keys);
}

int main(int argc, char **argv)
{
    struct lmk_error error;
    struct lmk_model *model;
    struct lmk_collection *collection;
    struct source source = {0};
    struct lmk_info info;
    if (argc != 5) {
        fputs("usage: bench_grow MODEL FROM.lmk TO.lmk BLOCKS\n", stderr);
        return 2;
    }
    const struct lmk_open_options options = {.write = true, .create = true};
    uint64_t wanted = strtoull(argv[4], NULL, 10);
    must(lmk_model_open(&model, argv[1], &error), &error);
    source_open(&source, argv[2], model);
    must(lmk_collection_open(&collection, argv[3], model, &options, &error), &error);
    must(lmk_info(collection, &info, &error), &error);
    for (uint64_t at = info.blocks; at < wanted; at += DOCUMENT_BLOCKS)
        add_document(&source, collection, at,
                     wanted - at < DOCUMENT_BLOCKS ? (size_t)(wanted - at) : DOCUMENT_BLOCKS);
    must(segments_build(collection, SEGMENT_JOINT, &error), &error);
    must(lmk_info(collection, &info, &error), &error);
    printf("%llu blocks around %llu real ones, %llu of them in %llu segments of %.2f GB\n",
           (unsigned long long)info.blocks, (unsigned long long)source.count,
           (unsigned long long)info.segment_blocks, (unsigned long long)info.segments,
           (double)info.bytes_segments / 1e9);
    buffer_release(&source.keys);
    buffer_release(&source.numbers);
    free(source.deviations);
    store_view_end(source.view);
    lmk_collection_close(source.collection);
    lmk_collection_close(collection);
    lmk_model_close(model);
    return 0;
}
