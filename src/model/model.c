#include "src/model/indexer_weights.h"
#include "src/model/model_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char placeholder[] = "{question}";

static enum lmk_status copy_string(char **copy, struct gguf_string string, struct lmk_error *error)
{
    *copy = strndup(string.text, string.size);
    return *copy ? LMK_OK : error_memory(error, string.size + 1);
}

static enum lmk_status read_names(struct lmk_model *model, struct lmk_error *error)
{
    const struct gguf *file = model->file;
    struct gguf_string name = {"unnamed model", strlen("unnamed model")};
    struct gguf_string prompt = {placeholder, strlen(placeholder)};
    gguf_string(file, "general.name", &name);
    gguf_string(file, "landmark.prompt.question", &prompt);
    gguf_bool(file, "landmark.can_answer", &model->can_answer);
    enum lmk_status status = copy_string(&model->name, name, error);
    if (!status)
        status = copy_string(&model->question_prompt, prompt, error);
    if (!status && !strstr(model->question_prompt, placeholder))
        status = error_set(error, LMK_MODEL,
                           "%s: key landmark.prompt.question does not hold the place \"%s\". "
                           "Export the model again "
                           "with it.",
                           gguf_path(file), placeholder);
    return status;
}

/* landmark.answer.*: how an answer is written and when it counts. */
static enum lmk_status read_answering(struct lmk_model *model, struct lmk_error *error)
{
    const struct gguf *file = model->file;
    model->answer_threshold = NAN;
    if (gguf_has(file, "landmark.answer.threshold") &&
        (!gguf_f32(file, "landmark.answer.threshold", &model->answer_threshold) ||
         !(model->answer_threshold >= 0 && model->answer_threshold <= 1)))
        return error_set(error, LMK_MODEL,
                         "%s: key landmark.answer.threshold must be a number from 0 to 1.",
                         gguf_path(file));
    if (gguf_has(file, "landmark.answer.texts") &&
        (!gguf_u32(file, "landmark.answer.texts", &model->answer_texts) || !model->answer_texts ||
         model->answer_texts > MOST_ANSWER_TEXTS))
        return error_set(error, LMK_MODEL,
                         "%s: key landmark.answer.texts must be a whole number from 1 to %d.",
                         gguf_path(file), MOST_ANSWER_TEXTS);
    return LMK_OK;
}

static enum lmk_status read_model(struct lmk_model *model, const char *path,
                                  struct lmk_error *error)
{
    enum lmk_status status = gguf_open(&model->file, path, error);
    if (!status)
        status = model_read_shape(&model->shape, model->file, error);
    if (!status)
        status = read_names(model, error);
    if (!status)
        status = read_answering(model, error);
    if (!status)
        status = model_read_rank(model, error);
    if (!status)
        status = model_read_weights(model, error);
    if (!status)
        status = model_read_vocabulary(model, error);
    if (!status)
        status = model_read_fingerprint(model, error);
    return status;
}

enum lmk_status lmk_model_open(struct lmk_model **model, const char *path, struct lmk_error *error)
{
    *model = NULL;
    struct lmk_model *opened = calloc(1, sizeof *opened);
    if (!opened)
        return error_memory(error, sizeof *opened);
    enum lmk_status status = (opened->kept = kept_weights_open())
                                 ? read_model(opened, path, error)
                                 : error_memory(error, sizeof *opened);
    if (status) {
        lmk_model_close(opened);
        return status;
    }
    *model = opened;
    return LMK_OK;
}

void lmk_model_close(struct lmk_model *model)
{
    if (!model)
        return;
    for (uint32_t i = 0; model->layers && i < model->shape.layers; i++) {
        free((void *)model->layers[i].attention_norm);
        free((void *)model->layers[i].feed_forward_norm);
    }
    free(model->layers);
    free(model->output_norm);
    free(model->name);
    free(model->question_prompt);
    free(model->rank.attention);
    free(model->rank.attention_landmark);
    kept_weights_close(model->kept);
    tokenizer_close(model->tokenizer);
    gguf_close(model->file);
    free(model);
}

const char *lmk_model_name(const struct lmk_model *model)
{
    return model->name;
}

bool lmk_model_can_answer(const struct lmk_model *model)
{
    return model->can_answer;
}

/* The question as the model saw text in training: runs of white space made one space, ends
 * stripped.
 */
static enum lmk_status append_question(struct buffer *text, const char *question,
                                       struct lmk_error *error)
{
    static const char white[] = " \t\r\n";
    enum lmk_status status = LMK_OK;
    const char *word = question + strspn(question, white);
    while (*word && !status) {
        size_t size = strcspn(word, white);
        status = buffer_append(text, word, size, error);
        word += size + strspn(word + size, white);
        if (*word && !status)
            status = buffer_append(text, " ", 1, error);
    }
    return status;
}

static enum lmk_status fill_prompt(const struct lmk_model *model, const char *question,
                                   struct buffer *text, struct lmk_error *error)
{
    const char *prompt = model->question_prompt, *place = strstr(prompt, placeholder);
    const char *rest = place + strlen(placeholder);
    enum lmk_status status = buffer_append(text, prompt, (size_t)(place - prompt), error);
    if (!status)
        status = append_question(text, question, error);
    if (!status)
        status = buffer_append(text, rest, strlen(rest), error);
    return status;
}

/* A line's leading space stands for the space that encoding puts before it. */
static enum lmk_status encode_line(const struct lmk_model *model, const char *line, size_t size,
                                   struct buffer *ids, struct lmk_error *error)
{
    if (size && line[0] == ' ') {
        line++;
        size--;
    }
    return size ? tokenizer_encode(model->tokenizer, line, size, true, ids, error) : LMK_OK;
}

static enum lmk_status encode_lines(const struct lmk_model *model, const char *text, size_t size,
                                    struct buffer *ids, struct lmk_error *error)
{
    const char *end = text + size;
    for (;;) {
        const char *line_end = memchr(text, '\n', (size_t)(end - text));
        enum lmk_status status =
            encode_line(model, text, (size_t)((line_end ? line_end : end) - text), ids, error);
        if (status || !line_end)
            return status;
        status =
            buffer_append(ids, &model->shape.newline_id, sizeof model->shape.newline_id, error);
        if (status)
            return status;
        text = line_end + 1;
    }
}

enum lmk_status model_encode_question(const struct lmk_model *model, const char *question,
                                      bool verbatim, struct buffer *ids, struct lmk_error *error)
{
    struct buffer text;
    buffer_init(&text, SIZE_MAX / 2);
    if (!question[strspn(question, " \t\r\n")])
        return error_set(error, LMK_USAGE, "The question is empty. Ask with at least one word.");
    enum lmk_status status = verbatim ? buffer_append(&text, question, strlen(question), error)
                                      : fill_prompt(model, question, &text, error);
    if (!status)
        status = encode_lines(model, (const char *)text.data, text.size, ids, error);
    buffer_release(&text);
    return status;
}
