#include "index/blocks.h"

#include <stdlib.h>
#include <string.h>

enum lmk_status document_hash(const char *text, size_t size, const char *identity,
                              unsigned char hash[HASH128_BYTES], struct lmk_error *error)
{
    struct hash_state *state = hash_state_new();
    if (!state)
        return error_memory(error, HASH128_BYTES);
    hash_state_update(state, text, size);
    if (identity[0]) {
        hash_state_update(state, "", 1);
        hash_state_update(state, identity, strlen(identity));
    }
    hash_state_finish(state, hash);
    return LMK_OK;
}

void document_blocks_release(struct document_blocks *blocks)
{
    free(blocks->blocks);
    free(blocks->tokens);
    free(blocks->runs);
    *blocks = (struct document_blocks){0};
}

/* Bytes of text that a token stands for. The first one carries the space that encoding puts before
 * a text. */
static size_t token_bytes(const struct lmk_model *model, const uint32_t *tokens, size_t index)
{
    size_t size;
    tokenizer_bytes(model->tokenizer, tokens[index], &size);
    bool first = index == 1; /* 0 is BOS */
    return first && size ? size - 1 : size;
}

/* Copies the part of the text's map that covers [start, end) to `runs`, the first run beginning at
 * start exactly. */
static size_t cut_runs(const struct normalised_text *text, size_t *at, uint64_t start, uint64_t end,
                       struct map_run *runs)
{
    size_t count = 0;
    runs[count++] = (struct map_run){start, normalised_source(text, start)};
    while (*at < text->run_count && text->runs[*at].text <= start)
        ++*at;
    while (*at < text->run_count && text->runs[*at].text < end)
        runs[count++] = text->runs[(*at)++];
    return count;
}

/* Behind the last byte's source, without the white space that was dropped there. */
static uint64_t source_end(const struct normalised_text *text, const struct block_text *block)
{
    uint64_t end = block->text_start + block->text_size, next = normalised_source(text, end);
    if (!block->text_size)
        return block->source_start;
    uint64_t behind = normalised_source(text, end - 1) + 1;
    return behind < next ? behind : next; /* the last bytes of a U+FFFD have none of their own */
}

static void cut(struct document_blocks *result, const struct lmk_model *model,
                const struct normalised_text *text)
{
    size_t n = model->shape.block_tokens, run_at = 0, runs_used = 0;
    uint64_t text_at = 0;
    for (size_t b = 0; b < result->block_count; b++) {
        struct block_text *block = &result->blocks[b];
        size_t first = b * n,
               count = result->token_count - first < n ? result->token_count - first : n;
        *block = (struct block_text){.token_count = (uint32_t)count, .text_start = text_at};
        block->tokens = result->tokens + first;
        for (size_t i = 0; i < count; i++)
            block->text_size += token_bytes(model, result->tokens, first + i);
        text_at += block->text_size;
        block->runs = result->runs + runs_used;
        block->run_count =
            cut_runs(text, &run_at, block->text_start, text_at, result->runs + runs_used);
        runs_used += block->run_count;
        block->source_start = block->runs[0].source;
        block->source_end = source_end(text, block);
    }
}

enum lmk_status document_blocks_make(struct document_blocks *result, const struct lmk_model *model,
                                     const struct normalised_text *text, struct lmk_error *error)
{
    *result = (struct document_blocks){0};
    struct buffer tokens;
    buffer_init(&tokens, SIZE_MAX / 2);
    uint32_t bos = model->shape.bos_id;
    enum lmk_status status = buffer_append(&tokens, &bos, sizeof bos, error);
    if (!status)
        status = tokenizer_encode(model->tokenizer, text->text, text->size, true, &tokens, error);
    if (status) {
        buffer_release(&tokens);
        return status;
    }
    size_t n = model->shape.block_tokens;
    result->tokens = (uint32_t *)tokens.data;
    result->token_count = tokens.size / sizeof bos;
    result->block_count = (result->token_count + n - 1) / n;
    result->blocks = calloc(result->block_count, sizeof *result->blocks);
    result->runs = malloc((result->block_count + text->run_count) * sizeof *result->runs);
    if (!result->blocks || !result->runs) {
        size_t wanted = result->block_count * sizeof *result->blocks;
        document_blocks_release(result);
        return error_memory(error, wanted);
    }
    cut(result, model, text);
    return LMK_OK;
}

void document_blocks_place(struct document_blocks *blocks, const struct normalised_text *text,
                           const struct source_place *places, size_t place_count)
{
    size_t at = 0; /* places passed */
    for (size_t b = 0; b < blocks->block_count; b++) {
        struct block_text *block = &blocks->blocks[b];
        uint64_t middle = normalised_source(text, block->text_start + block->text_size / 2);
        while (at < place_count && places[at].source <= middle)
            at++;
        block->place = at ? places[at - 1].place : 0;
    }
}
