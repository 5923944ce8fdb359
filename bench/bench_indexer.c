/* Indexing speed on a model file, against the rate that OpenBLAS's float32 product reaches on the
 * same shapes.
 *
 *   bench_indexer MODEL.gguf [TOKENS ...]     one document of so many tokens each time (2000 8000
 * 64000)
 *
 * Prints a JSON object for each document: tokens a second (ordinary ones), GFLOP/s (operations are
 * twice the weights run plus the attention inside window and reach), the float32 rate of OpenBLAS
 * over the same matrices, measured just before and just after, and the share of it. Where indexing
 * runs in bfloat16, the first two documents are measured in float32 too.
 */
#include "bench/clock.h"
#include "src/model/indexer.h"

#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RUN_BLOCKS = 16, PRODUCT_ROWS = 512 };

static void *require(void *memory)
{
    if (!memory) {
        fprintf(stderr, "Out of memory.\n");
        exit(LMK_MEMORY);
    }
    return memory;
}

static float *random_values(size_t count)
{
    float *values = require(malloc(count * sizeof *values));
    uint32_t state = 1;
    for (size_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        values[i] = (float)(state >> 8) / (1 << 24) - 0.5f;
    }
    return values;
}

/* GFLOP/s of the four products of one layer, the fastest of some rounds. */
static double product_rate(const struct model_shape *shape)
{
    size_t width = shape->width, queries = shape->heads * (size_t)shape->head_width;
    const size_t shapes[][2] = {
        {queries + 2 * shape->kv_heads * (size_t)shape->head_width, width},
        {width, queries},
        {2 * (size_t)shape->feed_forward, width},
        {width, shape->feed_forward},
    };
    size_t widest = queries > width ? queries : width;
    if (widest < 2 * (size_t)shape->feed_forward)
        widest = 2 * (size_t)shape->feed_forward;
    float *inputs = random_values(PRODUCT_ROWS * widest), *weights = random_values(widest * widest);
    float *out = random_values(PRODUCT_ROWS * widest);
    double best = 0;
    for (int round = 0; round < 8; round++) {
        double operations = 0, start = clock_seconds(CLOCK_MONOTONIC);
        for (size_t i = 0; i < 4; i++) {
            cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, PRODUCT_ROWS, (int)shapes[i][0],
                        (int)shapes[i][1], 1, inputs, (int)shapes[i][1], weights, (int)shapes[i][1],
                        0, out, (int)shapes[i][0]);
            operations += 2.0 * PRODUCT_ROWS * (double)shapes[i][0] * (double)shapes[i][1];
        }
        double rate = operations / (clock_seconds(CLOCK_MONOTONIC) - start) * 1e-9;
        best = rate > best ? rate : best;
    }
    free(inputs);
    free(weights);
    free(out);
    return best;
}

/* Seconds for a document of `blocks` random blocks. */
static double index_document(struct indexer *indexer, const struct lmk_model *model, size_t blocks,
                             struct lmk_error *error)
{
    const struct model_shape *shape = &model->shape;
    size_t landmark = model_landmark_width(shape), rows = landmark * shape->block_tokens;
    float *landmark_keys = require(malloc(RUN_BLOCKS * landmark * sizeof(float)));
    float *keys = require(malloc(RUN_BLOCKS * rows * sizeof(float)));
    float *values = require(malloc(RUN_BLOCKS * rows * sizeof(float)));
    uint32_t *tokens = require(malloc(RUN_BLOCKS * shape->block_tokens * sizeof *tokens));
    uint32_t state = 7;
    struct stream *stream;
    if (stream_open(&stream, indexer, error) != LMK_OK)
        exit(error->status);
    double start = clock_seconds(CLOCK_MONOTONIC);
    for (size_t b = 0; b < blocks; b += RUN_BLOCKS) {
        for (size_t i = 0; i < RUN_BLOCKS * shape->block_tokens; i++) {
            state = state * 1664525u + 1013904223u;
            tokens[i] = (uint32_t)((uint64_t)state * shape->vocabulary >> 32);
        }
        struct indexer_item item = {
            .stream = stream,
            .tokens = tokens,
            .blocks = blocks - b < RUN_BLOCKS ? blocks - b : RUN_BLOCKS,
            .landmark_keys = landmark_keys,
            .keys = keys,
            .values = values,
        };
        indexer_run(indexer, &item, 1);
    }
    double elapsed = clock_seconds(CLOCK_MONOTONIC) - start;
    stream_close(stream);
    free(landmark_keys);
    free(keys);
    free(values);
    free(tokens);
    return elapsed;
}

/* What the document's blocks cost, the first ones of which see less than later ones. */
static double operations(const struct model_shape *shape, size_t blocks)
{
    double sum = 0;
    for (size_t b = 0; b < blocks; b++) {
        struct model_shape seen = *shape;
        size_t rows_before = b * shape->block_rows + shape->block_rows / 2;
        if (seen.reach > b)
            seen.reach = (uint32_t)b;
        if (seen.window > rows_before)
            seen.window = (uint32_t)rows_before;
        sum += indexer_block_operations(&seen);
    }
    return sum;
}

static void measure(struct indexer *indexer, const struct lmk_model *model, size_t document_tokens,
                    struct lmk_error *error)
{
    const struct model_shape *shape = &model->shape;
    size_t blocks = (document_tokens + shape->block_tokens - 1) / shape->block_tokens;
    double before = product_rate(shape), elapsed = index_document(indexer, model, blocks, error);
    double after = product_rate(shape), sgemm = before > after ? before : after;
    double rate = operations(shape, blocks) / elapsed * 1e-9;
    double tokens = (double)(blocks * shape->block_tokens);
    printf(
        "{\"precision\": \"%s\", \"document_tokens\": %.0f, \"seconds\": %.3f, "
        "\"tokens_per_second\": %.0f, \"gflops\": %.1f, \"sgemm_gflops\": %.1f, \"share\": %.3f}\n",
        indexer_precision(indexer), tokens, elapsed, tokens / elapsed, rate, sgemm, rate / sgemm);
    fflush(stdout);
}

static void require_ok(enum lmk_status status, const struct lmk_error *error)
{
    if (status == LMK_OK)
        return;
    fprintf(stderr, "%s\n", error->message);
    exit(status);
}

/* Measures the documents in the processor's best precision or in float32; tells which it was. */
static bool measure_all(const struct lmk_model *model, bool float32, const size_t *lengths,
                        size_t count)
{
    struct lmk_error error;
    struct indexer *indexer;
    indexer_force_float32(float32);
    require_ok(indexer_open(&indexer, model, RUN_BLOCKS, &error), &error);
    index_document(indexer, model, RUN_BLOCKS, &error); /* pages and threads in place */
    for (size_t i = 0; i < count; i++)
        measure(indexer, model, lengths[i], &error);
    bool was_float32 = strcmp(indexer_precision(indexer), "float32") == 0;
    indexer_close(indexer);
    return was_float32;
}

int main(int argument_count, char **arguments)
{
    if (argument_count < 2) {
        fprintf(stderr, "usage: %s MODEL.gguf [TOKENS ...]\n", arguments[0]);
        return LMK_USAGE;
    }
    enum { MOST = 16 };
    size_t lengths[MOST] = {2000, 8000, 64000}, count = 3;
    for (int i = 2; i < argument_count && i < MOST + 2; i++) {
        lengths[i - 2] = strtoull(arguments[i], NULL, 10);
        count = (size_t)i - 1;
    }
    struct lmk_error error;
    struct lmk_model *model;
    require_ok(lmk_model_open(&model, arguments[1], &error), &error);
    if (!measure_all(model, false, lengths, count))
        measure_all(model, true, lengths, count < 2 ? count : 2);
    lmk_model_close(model);
    return 0;
}
