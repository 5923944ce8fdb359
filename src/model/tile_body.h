/* The tile kernels for vectors of VECTOR_BYTES; included once by each file that compiles them for
 * some unit. It defines static functions tile_multiply, tile_softmax and tile_log_sums with the
 * signatures of struct tile_kernels. */
#include "src/model/tile.h"
#include "src/model/vector.h"

#include <math.h>

enum {
    SHORT_ROW = 64,
    /* A panel of rows times vectors is summed in registers: 6 x 4 of 32 registers, or 6 x 2 of 16.
     */
    PANEL_ROWS = 6,
    PANEL_VECTORS = VECTOR_BYTES == 64 ? 4 : 2
};

struct product {
    const float *left, *right;
    float *out;
    size_t left_stride, right_stride, out_stride, inner;
    bool add;
};

/* One panel; `rows` and `vectors` are constants wherever this is inlined. */
static inline __attribute__((always_inline)) void panel(const struct product *p, size_t row,
                                                        size_t column, size_t rows, size_t vectors)
{
    vector sums[PANEL_ROWS][PANEL_VECTORS];
    const float *left = p->left + row * p->left_stride, *right = p->right + column;
    float *out = p->out + row * p->out_stride + column;
    for (size_t r = 0; r < rows; r++)
        for (size_t v = 0; v < vectors; v++)
            sums[r][v] = (vector){0};
    for (size_t i = 0; i < p->inner; i++) {
        vector keys[PANEL_VECTORS];
        for (size_t v = 0; v < vectors; v++)
            keys[v] = vector_load(right + i * p->right_stride + v * VECTOR_FLOATS);
        for (size_t r = 0; r < rows; r++)
            for (size_t v = 0; v < vectors; v++)
                sums[r][v] += keys[v] * left[r * p->left_stride + i];
    }
    for (size_t r = 0; r < rows; r++)
        for (size_t v = 0; v < vectors; v++) {
            float *place = out + r * p->out_stride + v * VECTOR_FLOATS;
            vector_store(place, p->add ? vector_load(place) + sums[r][v] : sums[r][v]);
        }
}

static inline __attribute__((always_inline)) void panel_column(const struct product *p, size_t rows,
                                                               size_t column, size_t vectors)
{
    size_t row = 0;
    for (; row + PANEL_ROWS <= rows; row += PANEL_ROWS)
        panel(p, row, column, PANEL_ROWS, vectors);
    for (; row + 2 <= rows; row += 2)
        panel(p, row, column, 2, vectors);
    if (row < rows)
        panel(p, row, column, 1, vectors);
}

static void tile_multiply(const float *left, size_t left_stride, const float *right,
                          size_t right_stride, size_t rows, size_t inner, size_t columns, bool add,
                          float *out, size_t out_stride)
{
    struct product p = {.left = left,
                        .right = right,
                        .left_stride = left_stride,
                        .right_stride = right_stride,
                        .out_stride = out_stride,
                        .inner = inner,
                        .add = add};
    p.out = out;
    size_t column = 0;
    for (; column + PANEL_VECTORS * VECTOR_FLOATS <= columns;
         column += PANEL_VECTORS * VECTOR_FLOATS)
        panel_column(&p, rows, column, PANEL_VECTORS);
    for (; column < columns; column += VECTOR_FLOATS)
        panel_column(&p, rows, column, 1);
}

static inline __attribute__((always_inline)) void softmax_row(float *row, size_t vectors,
                                                              size_t count, float factor)
{
    vector values[SHORT_ROW / VECTOR_FLOATS], sum = {0};
    for (size_t v = 0; v < vectors; v++)
        values[v] = vector_load(row + v * VECTOR_FLOATS);
    values[vectors - 1] = vector_mask(values[vectors - 1], count - (vectors - 1) * VECTOR_FLOATS);
    vector largest = values[0];
    for (size_t v = 1; v < vectors; v++)
        largest = vector_maximum(largest, values[v]);
    float maximum = vector_maximum_lane(largest);
    for (size_t v = 0; v < vectors; v++) {
        values[v] = vector_exp(values[v] - maximum);
        sum += values[v];
    }
    factor /= vector_sum_lanes(sum);
    for (size_t v = 0; v < vectors; v++)
        vector_store(row + v * VECTOR_FLOATS, values[v] * factor);
}

static void softmax_long_row(float *row, size_t stride, size_t count, float factor)
{
    for (size_t i = count; i < stride; i++)
        row[i] = -INFINITY;
    vector largest = vector_load(row), sum = {0};
    for (size_t i = VECTOR_FLOATS; i < stride; i += VECTOR_FLOATS)
        largest = vector_maximum(largest, vector_load(row + i));
    float maximum = vector_maximum_lane(largest);
    for (size_t i = 0; i < stride; i += VECTOR_FLOATS) {
        vector power = vector_exp(vector_load(row + i) - maximum);
        vector_store(row + i, power);
        sum += power;
    }
    factor /= vector_sum_lanes(sum);
    for (size_t i = 0; i < stride; i += VECTOR_FLOATS)
        vector_store(row + i, vector_load(row + i) * factor);
}

static void tile_softmax(float *scores, size_t stride, size_t rows, size_t count,
                         const float *factors)
{
    /* Rows of one block stay in registers from beginning to end. */
    bool short_rows = stride == SHORT_ROW && count > SHORT_ROW - VECTOR_FLOATS;
    for (size_t r = 0; r < rows; r++) {
        float *row = scores + r * stride, factor = factors ? factors[r] : 1.0f;
        if (short_rows)
            softmax_row(row, SHORT_ROW / VECTOR_FLOATS, count, factor);
        else
            softmax_long_row(row, stride, count, factor);
    }
}

/* The columns [at, at + VECTOR_FLOATS) of a row, minus infinity from `count` on. */
static inline vector load_masked(const float *row, size_t at, size_t count)
{
    vector values = vector_load(row + at);
    return at + VECTOR_FLOATS <= count ? values : vector_mask(values, count - at);
}

static float log_sum(const float *row, size_t count)
{
    vector largest = load_masked(row, 0, count), sum = {0};
    for (size_t i = VECTOR_FLOATS; i < count; i += VECTOR_FLOATS)
        largest = vector_maximum(largest, load_masked(row, i, count));
    float maximum = vector_maximum_lane(largest);
    for (size_t i = 0; i < count; i += VECTOR_FLOATS)
        sum += vector_exp(load_masked(row, i, count) - maximum);
    return maximum + logf(vector_sum_lanes(sum));
}

static void tile_log_sums(const float *scores, size_t stride, size_t rows, size_t count,
                          float *sums)
{
    for (size_t r = 0; r < rows; r++)
        sums[r] = log_sum(scores + r * stride, count);
}
