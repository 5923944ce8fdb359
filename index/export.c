/* lmk_export: documents and the texts of their blocks. */
#include "index/collection.h"
#include "src/text/utf8.h"

struct export
{
    struct lmk_collection *collection;
    struct store_view *view;
    bool (*document)(void *context, const struct lmk_document *document);
    bool (*block)(void *context, const struct lmk_block *block);
    void *context;
    struct buffer tokens, runs, bytes, text;
    struct utf8_held held;
    uint64_t text_at; /* where the next block's text starts in its document */
    bool stopped;
};

/* The block's text in export->text: characters that end in it. */
static enum lmk_status decode_block(struct export *export, const struct block_text *block,
                                    bool first, bool last, struct lmk_error *error)
{
    buffer_clear(&export->bytes);
    buffer_clear(&export->text);
    enum lmk_status status = tokenizer_decode(export->collection->model->tokenizer, block->tokens,
                                              block->token_count, first, &export->bytes, error);
    if (!status)
        status = utf8_append(&export->held, (const char *)export->bytes.data, export->bytes.size,
                             &export->text, error);
    if (!status && last)
        status = utf8_finish(&export->held, &export->text, error);
    return status ? status : buffer_append(&export->text, "", 1, error);
}

static enum lmk_status export_block(struct export *export, const struct document *document,
                                    uint64_t index, struct lmk_error *error)
{
    struct block_text block;
    uint64_t number = document->first_block + index;
    buffer_clear(&export->tokens);
    buffer_clear(&export->runs);
    enum lmk_status status =
        store_block_text(export->view, number, &export->tokens, &export->runs, &block, error);
    if (!status)
        status =
            decode_block(export, &block, index == 0, index + 1 == document->block_count, error);
    if (status)
        return status;
    struct lmk_block shown = {
        .document = document->id,
        .block = number,
        .tokens = block.token_count,
        .text_start = export->text_at,
        .text = (const char *)export->text.data,
        .text_bytes = export->text.size - 1,
        .source_start = block.source_start,
        .source_end = block.source_end,
        .place = block.place,
    };
    export->text_at += shown.text_bytes;
    export->stopped = !export->block(export->context, &shown);
    return LMK_OK;
}

static enum lmk_status export_document(struct export *export, const struct document *document,
                                       struct lmk_error *error)
{
    struct lmk_document shown = collection_public_document(document);
    enum lmk_status status = LMK_OK;
    export->held = (struct utf8_held){0};
    export->text_at = 0;
    export->stopped = !export->document(export->context, &shown);
    for (uint64_t i = 0; !status && !export->stopped && i < document->block_count; i++)
        status = export_block(export, document, i, error);
    return status;
}

static enum lmk_status export_all(struct export *export, struct lmk_error *error)
{
    struct document document;
    enum lmk_status status = LMK_OK;
    for (uint64_t id = 0; !status && !export->stopped; id = document.id + 1) {
        status = store_next_document(export->view, id, &document, error);
        if (!status)
            status = export_document(export, &document, error);
    }
    return status == LMK_NOT_FOUND ? LMK_OK : status;
}

enum lmk_status lmk_export(struct lmk_collection *collection,
                           bool (*document)(void *context, const struct lmk_document *document),
                           bool (*block)(void *context, const struct lmk_block *block),
                           void *context, struct lmk_error *error)
{
    struct export export = {
        .collection = collection, .document = document, .block = block, .context = context};
    enum lmk_status status = collection_needs_model(collection, error);
    if (status || (status = store_view_begin(collection->store, &export.view, error)))
        return status;
    buffer_init(&export.tokens, 1 << 20);
    buffer_init(&export.runs, 1 << 24);
    buffer_init(&export.bytes, 1 << 24);
    buffer_init(&export.text, 1 << 24);
    status = export_all(&export, error);
    buffer_release(&export.tokens);
    buffer_release(&export.runs);
    buffer_release(&export.bytes);
    buffer_release(&export.text);
    store_view_end(export.view);
    return status;
}
