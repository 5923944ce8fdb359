#include "index/writing.h"

#include "src/model/kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum lmk_status writer_open(struct writer *writer, const struct lmk_model *model,
                            const struct lmk_ask_options *options, struct lmk_error *error)
{
    size_t size = model->shape.vocabulary * sizeof *writer->powers;
    *writer = (struct writer){
        .model = model, .options = options, .random = options->seed, .powers = malloc(size)};
    return writer->powers ? LMK_OK : error_memory(error, size);
}

void writer_close(struct writer *writer)
{
    free(writer->powers);
    *writer = (struct writer){0};
}

void written_open(struct written *written, bool streamed)
{
    *written = (struct written){.streamed = streamed};
    buffer_init(&written->text, 1 << 20);
}

void written_close(struct written *written)
{
    buffer_release(&written->text);
}

/* splitmix64, which any seed starts well */
static double random_uniform(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

static size_t find(const float *values, size_t count, float wanted)
{
    size_t i = 0;
    while (i + 1 < count && values[i] != wanted)
        i++;
    return i;
}

/* A token drawn at the temperature that is asked for. `largest`: of the logits. */
static size_t draw(struct writer *writer, const float *logits, size_t count, float largest)
{
    size_t last = 0;
    float *powers = writer->powers;
    for (size_t i = 0; i < count; i++)
        powers[i] = (logits[i] - largest) / writer->options->temperature;
    double left =
        random_uniform(&writer->random) * (double)kernel_exponentials(powers, count, NULL);
    for (size_t i = 0; i < count && left >= 0; i++)
        if (powers[i] > 0) {
            left -= (double)powers[i];
            last = i;
        }
    return last;
}

static uint32_t pick(struct writer *writer, const float *logits, double *log_probability)
{
    size_t count = writer->model->shape.vocabulary;
    float largest;
    memcpy(writer->powers, logits, count * sizeof *logits);
    double sum = (double)kernel_exponentials(writer->powers, count, &largest);
    size_t id = writer->options->temperature > 0 ? draw(writer, logits, count, largest)
                                                 : find(logits, count, largest);
    *log_probability = (double)(logits[id] - largest) - log(sum);
    return (uint32_t)id;
}

/* Streams the answer from `start` on; false: stop. */
static bool stream(const struct writer *writer, const struct written *written, size_t start)
{
    const struct lmk_ask_options *options = writer->options;
    const struct buffer *text = &written->text;
    return !written->streamed || !options->stream || text->size == start ||
           options->stream(options->context, (const char *)text->data + start, text->size - start);
}

static enum lmk_status write_piece(const struct writer *writer, uint32_t id,
                                   struct written *written, struct lmk_error *error)
{
    size_t size, start = written->text.size;
    const char *piece = tokenizer_bytes(writer->model->tokenizer, id, &size);
    if (!written->text.size && !written->held.count && size && piece[0] == ' ') {
        piece++;
        size--;
    }
    enum lmk_status status = utf8_append(&written->held, piece, size, &written->text, error);
    written->ended = !status && !stream(writer, written, start);
    return status;
}

/* No more tokens come: a character that is still held is ill-formed. */
static enum lmk_status finish(const struct writer *writer, struct written *written,
                              struct lmk_error *error)
{
    size_t start = written->text.size;
    enum lmk_status status = utf8_finish(&written->held, &written->text, error);
    written->ended = true;
    if (!status)
        stream(writer, written, start);
    return status;
}

enum lmk_status writing_next(struct writer *writer, struct sequence *sequence,
                             struct written *written, struct lmk_error *error)
{
    const struct model_shape *shape = &writer->model->shape;
    double log_probability;
    uint32_t id = pick(writer, sequence_logits(sequence), &log_probability);
    if (id == shape->eos_id || id == shape->newline_id) {
        written->end_log_probability = log_probability;
        return finish(writer, written, error);
    }
    written->log_probability += log_probability;
    written->tokens++;
    enum lmk_status status = write_piece(writer, id, written, error);
    if (!status)
        status = sequence_feed(sequence, &id, 1, NULL, error);
    if (!status && !written->ended && written->tokens == writer->options->max_tokens)
        status = finish(writer, written, error);
    return status;
}
