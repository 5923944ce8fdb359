#include "index/reread.h"

/* The trainer's (train/reread.py). A document takes so many blocks at most, the answer's room
 * included; a longer question is cut to fewer tokens than so many, the prompt's words included. */
#define READ_BLOCKS 4
#define QUESTION_TOKENS 40
#define ANSWER_TOKENS 16

/* A prompt: its first line, the question, and from the newline on what asks for the answer. */
struct prompt {
    const uint32_t *line, *rest;
    size_t line_count, rest_count;
};

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* What is too long loses the end of the question, never what asks for the answer. */
static struct prompt split(const struct question *question, uint32_t newline_id)
{
    const uint32_t *ids = question_ids(question);
    size_t count = question_length(question), line = 0;
    while (line < count && ids[line] != newline_id)
        line++;
    size_t rest = count - line, most = rest < QUESTION_TOKENS ? QUESTION_TOKENS - 1 - rest : 0;
    return (struct prompt){ids, ids + line, smaller(line, most), rest};
}

/* Tokens of text that fit beside it. Where blocks are so small that the block itself does not, it
 * is read all the same: the document takes more blocks then. */
static size_t room(const struct prompt *prompt, size_t block_tokens)
{
    size_t others = 2 * (prompt->line_count + prompt->rest_count) + 2 + ANSWER_TOKENS;
    size_t all = READ_BLOCKS * block_tokens;
    return all > others + block_tokens ? all - others : block_tokens;
}

/* Where `size` tokens begin in a document of `length`, with its tokens first .. end - 1, which are
 * no more than `size`, in their middle. */
static uint64_t window(uint64_t length, uint64_t first, uint64_t end, uint64_t size)
{
    if (length <= size)
        return 0;
    uint64_t low = end > size ? end - size : 0;
    uint64_t high = first < length - size ? first : length - size;
    return low + (high - low) / 2;
}

/* Appends the tokens of the document's blocks that hold its tokens start .. end - 1. */
static enum lmk_status load_blocks(struct store_view *view, const struct document *document,
                                   size_t block_tokens, uint64_t start, uint64_t end,
                                   struct buffer *tokens, struct lmk_error *error)
{
    struct buffer runs;
    struct block_text text;
    enum lmk_status status = LMK_OK;
    buffer_init(&runs, 1 << 24);
    for (uint64_t i = start / block_tokens; !status && i * block_tokens < end; i++)
        status = store_block_text(view, document->first_block + i, tokens, &runs, &text, error);
    buffer_release(&runs);
    return status;
}

/* Appends `size` tokens of the document around the block. What stands for no text, such as the BOS
 * that begins it, is left out, as in training. */
static enum lmk_status append_text(const struct lmk_model *model, struct store_view *view,
                                   uint64_t block, size_t size, struct buffer *ids,
                                   struct lmk_error *error)
{
    size_t n = model->shape.block_tokens;
    struct document document;
    struct buffer tokens;
    enum lmk_status status = store_document_of_block(view, block, &document, error);
    if (status)
        return status;
    uint64_t length = document.token_count, first = (block - document.first_block) * n;
    uint64_t start = window(length, first, smaller(first + n, length), size);
    uint64_t end = smaller(start + size, length);
    buffer_init(&tokens, 1 << 20);
    status = load_blocks(view, &document, n, start, end, &tokens, error);
    const uint32_t *loaded = (const uint32_t *)tokens.data;
    size_t count = smaller(tokens.size / sizeof *loaded, start % n + (end - start));
    for (size_t i = start % n; !status && i < count; i++) {
        size_t bytes;
        tokenizer_bytes(model->tokenizer, loaded[i], &bytes);
        if (bytes)
            status = buffer_append(ids, &loaded[i], sizeof loaded[i], error);
    }
    buffer_release(&tokens);
    return status;
}

static enum lmk_status append(struct buffer *ids, const uint32_t *more, size_t count,
                              struct lmk_error *error)
{
    return buffer_append(ids, more, count * sizeof *more, error);
}

enum lmk_status reread_document(const struct lmk_model *model, struct store_view *view,
                                const struct question *question, uint64_t block, struct buffer *ids,
                                struct lmk_error *error)
{
    const struct model_shape *shape = &model->shape;
    struct prompt prompt = split(question, shape->newline_id);
    enum lmk_status status = append(ids, &shape->bos_id, 1, error);
    if (!status)
        status = append(ids, prompt.line, prompt.line_count, error);
    if (!status)
        status = append(ids, &shape->newline_id, 1, error);
    if (!status)
        status = append_text(model, view, block, room(&prompt, shape->block_tokens), ids, error);
    if (!status)
        status = append(ids, &shape->newline_id, 1, error);
    if (!status)
        status = append(ids, prompt.line, prompt.line_count, error);
    if (!status)
        status = append(ids, prompt.rest, prompt.rest_count, error);
    return status;
}
