/* Queries made from a set of vectors, with the best of each by a scan of all: what share of them an
 * index over the set finds depends on the vectors, so it is measured on them. No FAISS in here. */
#ifndef INDEX_CALIBRATION_H
#define INDEX_CALIBRATION_H

#include "src/base/error.h"

#include <stddef.h>
#include <stdint.h>

enum {
    CALIBRATION_KINDS = 2,
    CALIBRATION_QUERIES = 48, /* of each kind */
    CALIBRATION_BEST = 10,
};

struct vector_set {
    float *vectors;      /* [count][dimension] */
    const uint64_t *ids; /* [count] */
    size_t count, dimension;
};

/* Takes the mean of the vectors from each: no order of scores changes. */
void vector_set_centre(const struct vector_set *set);

struct calibration; /* stays right where its set is centred */

/* Of a set with vectors in it. */
enum lmk_status calibration_open(struct calibration **calibration, const struct vector_set *set,
                                 struct lmk_error *error);
void calibration_close(struct calibration *calibration); /* NULL is fine */

/* [dimension]; lives as long as the calibration. */
const float *calibration_query(const struct calibration *calibration, size_t kind, size_t query);

/* How many of the query's CALIBRATION_BEST best, fewer in a smaller set, are among the ids;
 * `*best`: how many these are. */
size_t calibration_found(const struct calibration *calibration, size_t kind, size_t query,
                         const int64_t *ids, size_t count, size_t *best);

#endif
