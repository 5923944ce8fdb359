/* Documents with random texts, landmark keys, keys and values, put into a store and looked for
 * again. Failures are cmocka's. Letters as in index/store.h. */
#ifndef TESTS_UNIT_SAMPLE_STORE_H
#define TESTS_UNIT_SAMPLE_STORE_H

#include "index/store.h"

/* M = 2, G = 1, W = 32, N = 6, 300 tokens: keys and values of a block are small, and of every tier.
 */
extern const struct store_settings sample_settings;

/* What a document should read back as; all of it is owned. */
struct sample {
    struct document document;
    struct block_text *texts; /* [block_count] */
    float *landmark_keys;     /* [block_count][M][G][W] */
    float *keys, *values;     /* [block_count][M][G][N][W] */
};

/* Everything follows from the seed and the sizes. The document's id and numbers come with
 * sample_add. */
void sample_make(struct sample *sample, const struct store_settings *settings, enum lmk_tier tier,
                 uint64_t seed, size_t blocks);
void sample_free(struct sample *sample);

/* The store NAME in the scratch folder. */
struct store *sample_store_create(const char *name, const struct store_settings *settings);
struct store *sample_store_open(const char *name, bool write);
struct store_batch *sample_batch(struct store *store);
void sample_commit(struct store_batch *batch);
struct store_view *sample_view(struct store *store);

/* Each must succeed. `first` and `end` count the document's blocks. */
void sample_add(struct store_batch *batch, struct sample *sample);
void sample_put(struct store_batch *batch, const struct sample *sample,
                const struct store_settings *settings, size_t first, size_t end);
void sample_state(struct store_batch *batch, struct sample *sample, enum document_state state);
/* All three, and everything of it. */
void sample_index(struct store_batch *batch, struct sample *sample,
                  const struct store_settings *settings);

/* Looks for everything of the document; of its blocks, the first `stored` have landmark keys, and
 * those of them whose document has a tier keys and values too. */
void sample_expect(struct store_view *view, const struct sample *sample,
                   const struct store_settings *settings, size_t stored);
/* Nothing of the document is there. */
void sample_expect_none(struct store_view *view, const struct sample *sample);
/* store_verify finds nothing. */
void sample_expect_sound(struct store_view *view);

#endif
