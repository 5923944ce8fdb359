/* What tests of collections share: a folder that goes away again, small models and collections, and
 * references computed the plain way. Failures are cmocka's; tests run from the top of the tree. */
#ifndef TESTS_UNIT_SCRATCH_H
#define TESTS_UNIT_SCRATCH_H

#include "index/collection.h"
#include "index/segments.h"

/* Group or test fixtures: make a folder of its own, and remove it with everything in it. */
int scratch_open(void **state);
int scratch_close(void **state);

/* The same with the model tests/golden/tiny-slot.gguf, open until the folder goes. */
extern struct lmk_model *tiny_model;
int scratch_open_model(void **state);
int scratch_close_model(void **state);

/* The path of `name` in the folder, or the folder itself for ""; the caller's to free. */
char *scratch_path(const char *name);
/* Writes a file; folders on the way are made. */
void scratch_write(const char *name, const void *content, size_t size);
void scratch_write_text(const char *name, const char *content);

/* A model of tests/golden, such as "tiny-slot". */
struct lmk_model *scratch_model(const char *name);

/* Makes a collection, or opens one, for writing or for reading. */
struct lmk_collection *scratch_create(const char *name, const struct lmk_model *model,
                                      enum lmk_tier tier, const char *ann);
struct lmk_collection *scratch_writer(const char *name, const struct lmk_model *model);
struct lmk_collection *scratch_reader(const char *name, const struct lmk_model *model);

/* lmk_index of one path in the folder, which must succeed. */
struct lmk_index_report scratch_index(struct lmk_collection *collection, const char *name);

struct store_view *scratch_view(struct lmk_collection *collection);

/* A text of random words and sentences, with a seed; the caller's to free. */
char *scratch_prose(uint64_t seed, size_t words);
/* Writes such a text to a file. */
void scratch_write_prose(const char *name, uint64_t seed, size_t words);

/* A vector turned to a position, in double precision, pairs interleaved. */
void reference_rotate(const struct model_shape *shape, const float *vector, double position,
                      double *turned);

/* The score of a block for a query [part's width]: its landmark keys [M][G][W] turned to offset N.
 */
double reference_score(const struct model_shape *shape, uint32_t part, const float *query,
                       const float *landmark_key);

/* Fails the test with the error's sentence unless `status` is LMK_OK. */
void must(enum lmk_status status, const struct lmk_error *error);

#endif
