#include "index/calibration.h"

#include "src/base/random.h"
#include "src/model/kernels.h"

#include <stdlib.h>

enum { QUERIES = CALIBRATION_KINDS * CALIBRATION_QUERIES, TOGETHER = 12 };

struct best {
    uint64_t ids[CALIBRATION_BEST];
    float scores[CALIBRATION_BEST];
    size_t count;
};

struct calibration {
    size_t dimension;
    float *queries; /* [QUERIES][dimension], kind after kind */
    struct best truth[QUERIES];
};

/* ------------------------------------------------------------------ the mean */

enum { COLUMNS = 16 }; /* of a cache line */

/* The means of some coordinates from the first on. */
static void columns_mean(const struct vector_set *set, size_t first, size_t columns,
                         float mean[COLUMNS])
{
    double sums[COLUMNS] = {0};
    for (size_t row = 0; row < set->count; row++)
        for (size_t i = 0; i < columns; i++)
            sums[i] += (double)set->vectors[row * set->dimension + first + i];
    for (size_t i = 0; i < columns; i++)
        mean[i] = (float)(sums[i] / (double)set->count);
}

/* Takes `times[row]` the mean of the set (NULL: once) from each row of vectors as wide as its own,
 * which may be the set's. */
static void subtract_mean(const struct vector_set *set, const float *times, float *rows,
                          size_t count)
{
    for (size_t first = 0; first < set->dimension; first += COLUMNS) {
        float mean[COLUMNS];
        size_t left = set->dimension - first, columns = left < COLUMNS ? left : COLUMNS;
        columns_mean(set, first, columns, mean);
        for (size_t row = 0; row < count; row++)
            for (size_t i = 0; i < columns; i++)
                rows[row * set->dimension + first + i] -= (times ? times[row] : 1) * mean[i];
    }
}

void vector_set_centre(const struct vector_set *set)
{
    subtract_mean(set, NULL, set->vectors, set->count);
}

/* ------------------------------------------------------------------ the best by a scan */

static void best_insert(struct best *best, uint64_t id, float score)
{
    if (best->count == CALIBRATION_BEST && score <= best->scores[CALIBRATION_BEST - 1])
        return;
    size_t at = best->count < CALIBRATION_BEST ? best->count++ : CALIBRATION_BEST - 1;
    for (; at > 0 && best->scores[at - 1] < score; at--) {
        best->scores[at] = best->scores[at - 1];
        best->ids[at] = best->ids[at - 1];
    }
    best->scores[at] = score;
    best->ids[at] = id;
}

/* For some queries at a time, so that each vector is read from memory for all of them. */
static void exact_search(const struct vector_set *set, const float *queries, struct best *best)
{
    for (size_t i = 0; i < set->count; i++)
        for (size_t q = 0; q < TOGETHER; q++)
            best_insert(&best[q], set->ids[i],
                        kernel_dot(queries + q * set->dimension, set->vectors + i * set->dimension,
                                   set->dimension));
}

/* ------------------------------------------------------------------ queries */

static const float *draw_vector(const struct vector_set *set, uint64_t *state)
{
    return set->vectors + draw_next(state) % set->count * set->dimension;
}

/* Near to much of the set: the sum of two of its vectors. */
static void near_query(const struct vector_set *set, uint64_t *state, float *query)
{
    const float *one = draw_vector(set, state), *other = draw_vector(set, state);
    for (size_t i = 0; i < set->dimension; i++)
        query[i] = one[i] + other[i];
}

/* A direction that has nothing to do with how the set is clustered, as the part that all questions
 * share: the sum of many vectors of the set, each coordinate from other ones. */
static void far_query(const struct vector_set *set, uint64_t *state, float *query)
{
    for (size_t i = 0; i < set->dimension; i++) {
        query[i] = 0;
        for (int j = 0; j < 4; j++)
            query[i] += draw_vector(set, state)[i];
    }
}

/* Less what all vectors share, so that a set that has not been centred gives the same queries. */
static void make_queries(const struct vector_set *set, float *queries)
{
    static const struct {
        void (*make)(const struct vector_set *set, uint64_t *state, float *query);
        float vectors; /* added up in a query */
    } kinds[CALIBRATION_KINDS] = {{near_query, 2}, {far_query, 4}};
    float times[QUERIES];
    for (size_t kind = 0; kind < CALIBRATION_KINDS; kind++) {
        uint64_t state = 2;
        for (size_t i = 0; i < CALIBRATION_QUERIES; i++) {
            size_t query = kind * CALIBRATION_QUERIES + i;
            kinds[kind].make(set, &state, queries + query * set->dimension);
            times[query] = kinds[kind].vectors;
        }
    }
    subtract_mean(set, times, queries, QUERIES);
}

enum lmk_status calibration_open(struct calibration **calibration, const struct vector_set *set,
                                 struct lmk_error *error)
{
    struct calibration *opened = *calibration = calloc(1, sizeof *opened);
    if (!opened || !(opened->queries = malloc(QUERIES * set->dimension * sizeof(float)))) {
        calibration_close(opened);
        *calibration = NULL;
        return error_memory(error, QUERIES * set->dimension * sizeof(float));
    }
    opened->dimension = set->dimension;
    make_queries(set, opened->queries);
#pragma omp parallel for
    for (size_t q = 0; q < QUERIES; q += TOGETHER)
        exact_search(set, opened->queries + q * set->dimension, &opened->truth[q]);
    return LMK_OK;
}

void calibration_close(struct calibration *calibration)
{
    if (!calibration)
        return;
    free(calibration->queries);
    free(calibration);
}

/* ------------------------------------------------------------------ asking */

const float *calibration_query(const struct calibration *calibration, size_t kind, size_t query)
{
    return calibration->queries + (kind * CALIBRATION_QUERIES + query) * calibration->dimension;
}

size_t calibration_found(const struct calibration *calibration, size_t kind, size_t query,
                         const int64_t *ids, size_t count, size_t *best)
{
    const struct best *truth = &calibration->truth[kind * CALIBRATION_QUERIES + query];
    size_t found = 0;
    for (size_t i = 0; i < truth->count; i++)
        for (size_t j = 0; j < count; j++)
            if (ids[j] >= 0 && (uint64_t)ids[j] == truth->ids[i]) {
                found++;
                break;
            }
    *best = truth->count;
    return found;
}
