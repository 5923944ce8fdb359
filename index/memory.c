#include "index/memory.h"

#include "index/ingest.h"
#include "src/model/indexer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Blocks of one run of the model. */
#define RUN_BLOCKS 16

/* Keys and values computed again. */
struct computed {
    struct computed *next;
    uint64_t block;
    float data[]; /* keys [M][G][N][W], then values */
};

struct memory {
    const struct lmk_model *model;
    struct store_view *view;
    struct indexer *indexer; /* opened by the first block that needs it */
    struct stream *stream;   /* of the last document that was run, or NULL */
    uint64_t document, next; /* its id, and the block that the stream comes to next */
    struct computed *computed;
    struct memory_cost cost;
};

enum lmk_status memory_open(struct memory **memory, const struct lmk_model *model,
                            struct store_view *view, struct lmk_error *error)
{
    *memory = calloc(1, sizeof **memory);
    if (!*memory)
        return error_memory(error, sizeof **memory);
    (*memory)->model = model;
    (*memory)->view = view;
    return LMK_OK;
}

void memory_close(struct memory *memory)
{
    if (!memory)
        return;
    stream_close(memory->stream);
    indexer_close(memory->indexer);
    for (struct computed *item = memory->computed, *next; item; item = next) {
        next = item->next;
        free(item);
    }
    free(memory);
}

struct memory_cost memory_cost(const struct memory *memory)
{
    return memory->cost;
}

static size_t block_values(const struct memory *memory)
{
    return model_landmark_width(&memory->model->shape) * memory->model->shape.block_tokens;
}

/* ------------------------------------------------------------------ computing again */

/* The tokens of successive blocks [count][N]. */
static enum lmk_status load_tokens(struct memory *memory, uint64_t first, size_t count,
                                   uint32_t *tokens, struct lmk_error *error)
{
    const struct model_shape *shape = &memory->model->shape;
    struct buffer ids, runs;
    enum lmk_status status = LMK_OK;
    buffer_init(&ids, (size_t)1 << 20);
    buffer_init(&runs, (size_t)1 << 24);
    for (size_t i = 0; !status && i < count; i++) {
        struct block_text text;
        buffer_clear(&ids);
        buffer_clear(&runs);
        if ((status = store_block_text(memory->view, first + i, &ids, &runs, &text, error)))
            break;
        uint32_t *block = tokens + i * shape->block_tokens;
        memcpy(block, text.tokens, text.token_count * sizeof *block);
        for (size_t t = text.token_count; t < shape->block_tokens; t++)
            block[t] = shape->padding_id;
        memory->cost.tokens += text.token_count;
    }
    buffer_release(&ids);
    buffer_release(&runs);
    return status;
}

/* Room for one run of blocks. */
struct run {
    uint32_t *tokens;     /* [RUN_BLOCKS][N] */
    float *landmarks;     /* [RUN_BLOCKS][M][G][W] */
    float *keys, *values; /* [RUN_BLOCKS][M][G][N][W] */
};

static bool run_allocate(struct run *run, const struct memory *memory)
{
    const struct model_shape *shape = &memory->model->shape;
    size_t values = RUN_BLOCKS * block_values(memory) * sizeof(float);
    run->tokens = malloc(RUN_BLOCKS * (size_t)shape->block_tokens * sizeof *run->tokens);
    run->landmarks = malloc(RUN_BLOCKS * model_landmark_width(shape) * sizeof(float));
    run->keys = malloc(values);
    run->values = malloc(values);
    return run->tokens && run->landmarks && run->keys && run->values;
}

static void run_release(struct run *run)
{
    free(run->tokens);
    free(run->landmarks);
    free(run->keys);
    free(run->values);
}

/* A stream that comes to the block with all blocks behind it that have a part in it: the one that
 * is open goes on where that is less work, as it is for neighbours. */
static enum lmk_status find_stream(struct memory *memory, const struct document *document,
                                   uint64_t block, struct lmk_error *error)
{
    uint64_t before = indexer_blocks_before(memory->indexer),
             within = block - document->first_block;
    uint64_t first = within > before ? block - before : document->first_block;
    if (memory->stream && memory->document == document->id && memory->next >= first &&
        memory->next <= block)
        return LMK_OK;
    stream_close(memory->stream);
    memory->stream = NULL;
    memory->document = document->id;
    memory->next = first;
    return stream_open(&memory->stream, memory->indexer, error);
}

/* Runs the stream up to the block, whose rows stay in `item`. */
static enum lmk_status run_to(struct memory *memory, uint64_t block, struct run *run,
                              struct computed *item, struct lmk_error *error)
{
    size_t values = block_values(memory);
    while (memory->next <= block) {
        uint64_t left = block + 1 - memory->next;
        size_t count = left < RUN_BLOCKS ? (size_t)left : RUN_BLOCKS;
        enum lmk_status status = load_tokens(memory, memory->next, count, run->tokens, error);
        if (status)
            return status;
        struct indexer_item work = {.stream = memory->stream,
                                    .tokens = run->tokens,
                                    .blocks = count,
                                    .landmark_keys = run->landmarks,
                                    .keys = run->keys,
                                    .values = run->values};
        indexer_run(memory->indexer, &work, 1);
        memcpy(item->data, run->keys + (count - 1) * values, values * sizeof(float));
        memcpy(item->data + values, run->values + (count - 1) * values, values * sizeof(float));
        memory->next += count;
    }
    return LMK_OK;
}

static enum lmk_status compute(struct memory *memory, const struct document *document,
                               uint64_t block, struct computed *item, struct lmk_error *error)
{
    struct run run;
    enum lmk_status status = LMK_OK;
    if (!memory->indexer)
        status = indexer_open(&memory->indexer, memory->model, RUN_BLOCKS, error);
    if (status || (status = find_stream(memory, document, block, error)))
        return status;
    double start = ingest_clock();
    if (run_allocate(&run, memory))
        status = run_to(memory, block, &run, item, error);
    else
        status = error_memory(error, 2 * RUN_BLOCKS * block_values(memory) * sizeof(float));
    run_release(&run);
    memory->cost.blocks++;
    memory->cost.seconds += ingest_clock() - start;
    return status;
}

/* A block that was computed before, or now. */
static enum lmk_status find_computed(struct memory *memory, const struct document *document,
                                     uint64_t block, const struct computed **result,
                                     struct lmk_error *error)
{
    for (const struct computed *item = memory->computed; item; item = item->next)
        if (item->block == block) {
            *result = item;
            return LMK_OK;
        }
    size_t bytes = sizeof(struct computed) + 2 * block_values(memory) * sizeof(float);
    struct computed *item = malloc(bytes);
    if (!item)
        return error_memory(error, bytes);
    item->block = block;
    item->next = memory->computed;
    enum lmk_status status = compute(memory, document, block, item, error);
    if (status) {
        free(item);
        return status;
    }
    *result = memory->computed = item;
    return LMK_OK;
}

/* ------------------------------------------------------------------ loading */

enum lmk_status memory_load(struct memory *memory, uint64_t block, struct memory_block *loaded,
                            struct lmk_error *error)
{
    struct document document;
    const struct computed *computed;
    *loaded = (struct memory_block){0};
    enum lmk_status status = store_landmark_key(memory->view, block, &loaded->landmark_key, error);
    if (!status)
        status = store_keys_values(memory->view, block, &loaded->type, &loaded->keys,
                                   &loaded->values, error);
    if (status != LMK_NOT_FOUND || !loaded->landmark_key)
        return status;
    if ((status = store_document_of_block(memory->view, block, &document, error)))
        return status;
    if (document.state == DOCUMENT_TEXT ||
        (document.state == DOCUMENT_READY && document.tier != LMK_TIER_NONE))
        return error_set(error, LMK_NOT_FOUND,
                         "The keys and values of block %" PRIu64 " are not there yet.", block);
    if ((status = find_computed(memory, &document, block, &computed, error)))
        return status;
    loaded->type = TENSOR_F32;
    loaded->keys = computed->data;
    loaded->values = computed->data + block_values(memory);
    return LMK_OK;
}

void memory_set_slots(struct memory_block *blocks, const uint64_t *numbers, size_t count,
                      uint64_t newest_end)
{
    for (size_t j = 0; j < count; j++)
        blocks[j].slot = (uint32_t)(numbers[j] + count >= newest_end ? j + 1 : j);
}
