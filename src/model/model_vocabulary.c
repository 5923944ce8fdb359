#include "src/model/model_parts.h"

#include <stdlib.h>
#include <string.h>

static enum lmk_status complain(const struct lmk_model *model, const char *what,
                                struct lmk_error *error)
{
    return error_set(error, LMK_MODEL,
                     "%s: %s. Export the model again, or name another one with --model.",
                     gguf_path(model->file), what);
}

static enum lmk_status check_lists(const struct lmk_model *model, struct lmk_error *error)
{
    struct gguf_string kind;
    size_t scores = 0, types = 0;
    if (!gguf_string(model->file, "tokenizer.ggml.model", &kind) || kind.size != 5 ||
        memcmp(kind.text, "llama", 5))
        return complain(model,
                        "key tokenizer.ggml.model is not \"llama\" (SentencePiece), the only kind "
                        "that lmk reads",
                        error);
    if (!gguf_array(model->file, "tokenizer.ggml.scores", &scores) ||
        !gguf_array(model->file, "tokenizer.ggml.token_type", &types) ||
        scores != model->shape.vocabulary || types != model->shape.vocabulary)
        return complain(
            model,
            "keys tokenizer.ggml.scores and tokenizer.ggml.token_type must have one entry for each "
            "piece of tokenizer.ggml.tokens",
            error);
    return LMK_OK;
}

static enum lmk_status fill_pieces(const struct lmk_model *model, struct piece *pieces,
                                   struct gguf_string *strings, struct lmk_error *error)
{
    size_t count = model->shape.vocabulary;
    if (!gguf_array_strings(model->file, "tokenizer.ggml.tokens", strings, count))
        return complain(model, "key tokenizer.ggml.tokens is not a list of strings", error);
    for (size_t i = 0; i < count; i++) {
        uint32_t type;
        if (!gguf_array_f32(model->file, "tokenizer.ggml.scores", i, &pieces[i].score) ||
            !gguf_array_u32(model->file, "tokenizer.ggml.token_type", i, &type) ||
            type < PIECE_NORMAL || type > PIECE_BYTE)
            return complain(
                model,
                "keys tokenizer.ggml.scores and tokenizer.ggml.token_type must hold numbers, the "
                "types from 1 to 6",
                error);
        pieces[i].text = strings[i].text;
        pieces[i].size = strings[i].size;
        pieces[i].type = (enum piece_type)type;
    }
    return LMK_OK;
}

static bool piece_is(const struct piece *piece, const char *text)
{
    return piece->size == strlen(text) && !memcmp(piece->text, text, piece->size);
}

/* A line feed is a piece of its own, or at worst the byte 0x0A. */
static enum lmk_status find_newline(struct lmk_model *model, const struct piece *pieces,
                                    struct lmk_error *error)
{
    bool found = false;
    for (uint32_t i = 0; i < model->shape.vocabulary; i++) {
        bool is_piece = piece_is(&pieces[i], "\n") && pieces[i].type != PIECE_CONTROL;
        if (is_piece ||
            (!found && piece_is(&pieces[i], "<0x0A>") && pieces[i].type == PIECE_BYTE)) {
            model->shape.newline_id = i;
            found = true;
        }
        if (is_piece)
            return LMK_OK;
    }
    return found
               ? LMK_OK
               : complain(model, "the vocabulary has neither a line feed nor the byte piece <0x0A>",
                          error);
}

static enum lmk_status check_landmark(const struct lmk_model *model, const struct piece *pieces,
                                      struct lmk_error *error)
{
    enum piece_type type = pieces[model->shape.landmark_id].type;
    if (type == PIECE_NORMAL || type == PIECE_BYTE)
        return complain(
            model,
            "landmark.token_id names a piece that text can produce; it must be a control piece",
            error);
    return LMK_OK;
}

static enum lmk_status open_tokenizer(struct lmk_model *model, const struct piece *pieces,
                                      struct lmk_error *error)
{
    struct vocabulary vocabulary = {pieces, model->shape.vocabulary, true};
    gguf_bool(model->file, "tokenizer.ggml.add_space_prefix", &vocabulary.add_space_prefix);
    enum lmk_status status = find_newline(model, pieces, error);
    if (!status)
        status = check_landmark(model, pieces, error);
    if (!status)
        status = tokenizer_open(&model->tokenizer, &vocabulary, error);
    return status;
}

enum lmk_status model_read_vocabulary(struct lmk_model *model, struct lmk_error *error)
{
    size_t count = model->shape.vocabulary;
    struct piece *pieces = calloc(count, sizeof *pieces);
    struct gguf_string *strings = calloc(count, sizeof *strings);
    enum lmk_status status = LMK_OK;
    if (!pieces || !strings)
        status = error_memory(error, count * (sizeof *pieces + sizeof *strings));
    if (!status)
        status = check_lists(model, error);
    if (!status)
        status = fill_pieces(model, pieces, strings, error);
    if (!status)
        status = open_tokenizer(model, pieces, error);
    free(pieces);
    free(strings);
    return status;
}
