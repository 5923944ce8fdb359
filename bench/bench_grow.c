/* Makes a collection of many texts without the hours that the model would take, to measure what
 * size does: bench_grow MODEL FROM.lmk TO.lmk TIER TEXT...
 *
 * The texts are added and their words indexed as `lmk index` does it. Then every document gets
 * landmarks: those of FROM, if it is there with the same text; else each block's is drawn around
 * that of a block of FROM, NOISE times the deviation of each coordinate over FROM away from it,
 * normally distributed, and is SYNTHETIC. Keys and values (TIER none: none are kept) are those of
 * that same block of FROM. What a block gets depends on nothing but its number, so an interrupted
 * run goes on with the next document.
 */
#include "bench/clock.h"
#include "index/segments.h"
#include "src/base/random.h"
#include "src/model/rows.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOISE 0.7F
#define PUT_BLOCKS 512 /* put at a time, and committed together */

struct source {
    struct lmk_collection *collection;
    struct store_view *view;
    size_t width;          /* M*G*W */
    struct buffer keys;    /* float [count][width] */
    struct buffer numbers; /* uint64_t [count] */
    float *deviations;     /* [width] */
    uint64_t count;
};

/* Blocks on their way into the store. */
struct put {
    struct store_batch *batch;
    size_t batch_blocks;
    float *landmarks;     /* [PUT_BLOCKS][M][G][W] */
    float *keys, *values; /* [PUT_BLOCKS][M][G][N][W] */
    uint64_t real, synthetic;
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

static void source_close(struct source *source)
{
    buffer_release(&source->keys);
    buffer_release(&source->numbers);
    free(source->deviations);
    store_view_end(source->view);
    lmk_collection_close(source->collection);
}

/* Keys and values of a block of FROM as numbers [M][G][N][W] each. */
static void unpack_block(const struct source *source, uint64_t block, float *keys, float *values)
{
    struct lmk_error error;
    enum tensor_type type;
    const void *packed_keys, *packed_values;
    size_t count = source->width * source->collection->model->shape.block_tokens;
    must(store_keys_values(source->view, block, &type, &packed_keys, &packed_values, &error),
         &error);
    rows_unpack(type, packed_keys, keys, count);
    rows_unpack(type, packed_values, values, count);
}

/* ------------------------------------------------------------------ what is made */

/* The landmark of block `number`; the result is the block of FROM that it is drawn around. */
static uint64_t draw_landmark(const struct source *source, uint64_t number, float *landmark)
{
    uint64_t state = number, row = draw_below(&state, source->count);
    const float *key = (const float *)(const void *)source->keys.data + row * source->width;
    for (size_t i = 0; i < source->width; i++)
        landmark[i] = key[i] + NOISE * source->deviations[i] * draw_normal(&state);
    return ((const uint64_t *)(const void *)source->numbers.data)[row];
}

/* One block of a document, `real` where FROM has the document. */
static void make_block(const struct source *source, const struct document *document,
                       const struct document *real, uint64_t at, struct put *put, size_t place)
{
    struct lmk_error error;
    size_t block_values = source->width * source->collection->model->shape.block_tokens;
    float *landmark = put->landmarks + place * source->width;
    uint64_t from;
    if (real) {
        const float *key;
        from = real->first_block + at;
        must(store_landmark_key(source->view, from, &key, &error), &error);
        memcpy(landmark, key, source->width * sizeof *key);
    } else
        from = draw_landmark(source, document->first_block + at, landmark);
    if (document->tier != LMK_TIER_NONE)
        unpack_block(source, from, put->keys + place * block_values,
                     put->values + place * block_values);
}

static void fill_document(const struct source *source, const struct document *document,
                          struct put *put)
{
    struct lmk_error error;
    struct document found;
    bool real = !store_document_by_hash(source->view, document->hash, &found, NULL) &&
                found.state == DOCUMENT_READY && found.block_count == document->block_count;
    for (uint64_t at = 0; at < document->block_count; at += PUT_BLOCKS) {
        uint64_t left = document->block_count - at;
        size_t count = left < PUT_BLOCKS ? (size_t)left : PUT_BLOCKS;
        for (size_t i = 0; i < count; i++)
            make_block(source, document, real ? &found : NULL, at + i, put, i);
        must(store_put_blocks(put->batch, document, document->first_block + at, count,
                              put->landmarks, put->keys, put->values, &error),
             &error);
    }
    must(store_set_state(put->batch, document->id, DOCUMENT_READY, &error), &error);
    put->batch_blocks += document->block_count;
    *(real ? &put->real : &put->synthetic) += document->block_count;
}

/* The documents from `*id` on that have no landmarks, as many as are committed together. */
static bool fill_batch(const struct source *source, struct lmk_collection *collection,
                       struct put *put, uint64_t *id)
{
    struct lmk_error error;
    struct store_view *view;
    struct document document;
    enum lmk_status status = LMK_OK;
    must(store_view_begin(collection->store, &view, &error), &error);
    must(store_batch_begin(collection->store, &put->batch, &error), &error);
    put->batch_blocks = 0;
    while (put->batch_blocks < PUT_BLOCKS &&
           !(status = store_next_document(view, *id, &document, &error))) {
        *id = document.id + 1;
        if (document.state == DOCUMENT_TEXT)
            fill_document(source, &document, put);
    }
    must(store_commit(put->batch, &error), &error);
    store_view_end(view);
    must(status == LMK_NOT_FOUND ? LMK_OK : status, &error);
    return !status;
}

static void fill(const struct source *source, struct lmk_collection *collection, struct put *put)
{
    size_t block_values =
        PUT_BLOCKS * source->width * source->collection->model->shape.block_tokens;
    put->landmarks = allocate(PUT_BLOCKS * source->width, sizeof(float));
    put->keys = allocate(block_values, sizeof(float));
    put->values = allocate(block_values, sizeof(float));
    for (uint64_t id = 0; fill_batch(source, collection, put, &id);)
        ;
    free(put->landmarks);
    free(put->keys);
    free(put->values);
}

/* ------------------------------------------------------------------ steps */

static bool until_model(void *context, const struct lmk_progress *progress)
{
    (void)context;
    return strcmp(progress->stage, "indexing") != 0;
}

/* Texts and words, as `lmk index` makes them: it is stopped when the model is to begin. */
static void add_texts(struct lmk_collection *collection, enum lmk_tier tier, char **paths,
                      size_t count)
{
    struct lmk_error error;
    struct lmk_index_report report;
    struct lmk_index_options options = {.progress = until_model, .tier = &tier};
    double start = clock_seconds(CLOCK_MONOTONIC), busy = clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
    enum lmk_status status =
        lmk_index(collection, (const char *const *)paths, count, &options, &report, &error);
    must(status == LMK_INTERRUPTED ? LMK_OK : status, &error);
    printf("texts and words: %llu new documents in %.1f s, %.1f of them on a processor\n",
           (unsigned long long)report.documents_added, clock_seconds(CLOCK_MONOTONIC) - start,
           clock_seconds(CLOCK_PROCESS_CPUTIME_ID) - busy);
}

int main(int argc, char **argv)
{
    struct lmk_error error;
    struct lmk_model *model;
    struct lmk_collection *collection;
    struct source source = {0};
    struct put put = {0};
    struct lmk_info info;
    const struct lmk_open_options options = {.write = true, .create = true, .tier = LMK_TIER_Q8_0};
    enum lmk_tier tier;
    if (argc < 6 || !lmk_tier_named(argv[4], &tier)) {
        fputs("usage: bench_grow MODEL FROM.lmk TO.lmk TIER TEXT...\n", stderr);
        return 2;
    }
    must(lmk_model_open(&model, argv[1], &error), &error);
    must(lmk_collection_open(&collection, argv[3], model, &options, &error), &error);
    add_texts(collection, tier, argv + 5, (size_t)argc - 5);
    source_open(&source, argv[2], model);
    fill(&source, collection, &put);
    printf("%llu blocks from %s, %llu synthetic around its %llu\n", (unsigned long long)put.real,
           argv[2], (unsigned long long)put.synthetic, (unsigned long long)source.count);
    source_close(&source);
    double start = clock_seconds(CLOCK_MONOTONIC), busy = clock_seconds(CLOCK_PROCESS_CPUTIME_ID);
    must(segments_build(collection, SEGMENT_JOINT, &error), &error);
    must(lmk_info(collection, &info, &error), &error);
    printf("landmark index: %llu of %llu blocks in %llu segments, %.2f GB, in %.1f s, %.1f of them "
           "on processors\n",
           (unsigned long long)info.segment_blocks, (unsigned long long)info.blocks,
           (unsigned long long)info.segments, (double)info.bytes_segments / 1e9,
           clock_seconds(CLOCK_MONOTONIC) - start, clock_seconds(CLOCK_PROCESS_CPUTIME_ID) - busy);
    lmk_collection_close(collection);
    lmk_model_close(model);
    return 0;
}
