/* An answer as a sequence writes it, token by token: greedily or drawn at a temperature, as whole
 * UTF-8 characters, until it ends or is long enough. */
#ifndef INDEX_WRITING_H
#define INDEX_WRITING_H

#include "src/model/sequence.h"
#include "src/text/utf8.h"

/* What answers to one question share: the random numbers go on from one to the next. */
struct writer {
    const struct lmk_model *model;
    const struct lmk_ask_options *options; /* temperature, seed, max_tokens */
    uint64_t random;
    float *powers; /* [V]: scratch; owned */
};

enum lmk_status writer_open(struct writer *writer, const struct lmk_model *model,
                            const struct lmk_ask_options *options, struct lmk_error *error);
void writer_close(struct writer *writer);

struct written {
    struct buffer text;     /* without the space that the prompt's end puts first; no NUL; owned */
    struct utf8_held held;  /* pieces may be single bytes */
    bool streamed;          /* options->stream gets what is written as it comes */
    size_t tokens;          /* without the one that ends the answer */
    double log_probability; /* of these tokens */
    double end_log_probability; /* of the one that ended it; 0: none did */
    bool ended;                 /* by itself, by its length or by options->stream */
};

void written_open(struct written *written, bool streamed);
void written_close(struct written *written);

/* Writes what comes behind the tokens fed to the sequence: a token, which is fed to it, or the end,
 * an EOS or a newline. `ended` says when to call no more; max_tokens is at least 1. Errors:
 * LMK_MEMORY. */
enum lmk_status writing_next(struct writer *writer, struct sequence *sequence,
                             struct written *written, struct lmk_error *error);

#endif
