/* Random numbers with a seed, and small random models in memory, for differential tests. */
#ifndef TESTS_UNIT_RANDOM_MODEL_H
#define TESTS_UNIT_RANDOM_MODEL_H

#include "src/model/model.h"

struct random_source {
    uint64_t state; /* the seed, to begin with */
};

uint32_t random_below(struct random_source *source, uint32_t limit);
/* Of mean 0 and deviation 1. */
float random_normal(struct random_source *source);
/* `count` of them times `scale`; the caller's to free. */
float *random_normals(struct random_source *source, size_t count, float scale);

/* A model with the sizes in `shape`, all weights float32; only what the layers need is filled in
 * (no file, tokenizer or names). */
struct lmk_model *random_model_new(const struct model_shape *shape, uint64_t seed);
void random_model_free(struct lmk_model *model);

/* Ids below the vocabulary's size; the caller's to free. */
uint32_t *random_tokens(struct random_source *source, const struct model_shape *shape,
                        size_t count);

#endif
