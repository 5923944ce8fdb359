#include "src/model/bf16_products.h"

#include <immintrin.h>
#include <string.h>

/* Packed weights: panels of 64 outputs, each [columns/2][64 outputs][2 neighbouring columns], zeros
 * where rows or columns run out. One instruction multiplies 16 outputs' pairs with a pair of inputs
 * and adds both products to 16 sums; 6 rows of inputs times 64 outputs are summed in registers. */
enum {
    PANEL_OUTPUTS = 64,
    PANEL_VECTORS = PANEL_OUTPUTS / 16,
    PANEL_ROWS = 6,
    TASK_ROWS = 128,  /* of inputs that one thread takes at a time */
    PART_PAIRS = 1024 /* of columns: a panel's part of them stays in the second-level cache */
};

static size_t pairs_of(size_t columns)
{
    return (columns + 1) / 2;
}

static size_t panels_of(size_t rows)
{
    return (rows + PANEL_OUTPUTS - 1) / PANEL_OUTPUTS;
}

static size_t packed_size(size_t rows, size_t columns)
{
    return panels_of(rows) * pairs_of(columns) * PANEL_OUTPUTS * 2;
}

static size_t inputs_size(size_t n, size_t columns)
{
    return n * pairs_of(columns) * 2;
}

/* To the nearest, ties to even, as the processor converts. */
static uint16_t round_to_bf16(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static void pack(const float *values, size_t rows, size_t columns, uint16_t *packed)
{
    size_t pairs = pairs_of(columns);
    memset(packed, 0, packed_size(rows, columns) * sizeof *packed);
    for (size_t r = 0; r < rows; r++) {
        uint16_t *panel = packed + r / PANEL_OUTPUTS * pairs * PANEL_OUTPUTS * 2;
        for (size_t c = 0; c < columns; c++)
            panel[(c / 2 * PANEL_OUTPUTS + r % PANEL_OUTPUTS) * 2 + c % 2] =
                round_to_bf16(values[r * columns + c]);
    }
}

static void convert_row(const float *values, size_t columns, uint16_t *converted)
{
    size_t i = 0;
    for (; i + 16 <= columns; i += 16) {
        __m256bh sixteen = _mm512_cvtneps_pbh(_mm512_loadu_ps(values + i));
        memcpy(converted + i, &sixteen, sizeof sixteen);
    }
    for (; i < columns; i++)
        converted[i] = round_to_bf16(values[i]);
    if (columns % 2)
        converted[columns] = 0;
}

/* One panel's part for a few rows of inputs. */
struct part {
    const uint16_t *inputs, *weights;
    float *out;
    size_t input_stride, out_stride, pairs, outputs;
    bool add;
};

static inline __attribute__((always_inline)) __m512bh broadcast_pair(const uint16_t *pair)
{
    int32_t both;
    memcpy(&both, pair, sizeof both);
    return (__m512bh)_mm512_set1_epi32(both);
}

static inline __attribute__((always_inline)) void multiply_rows(const struct part *part, size_t row,
                                                                size_t rows)
{
    __m512 sums[PANEL_ROWS][PANEL_VECTORS];
    const uint16_t *inputs = part->inputs + row * part->input_stride, *weights = part->weights;
    for (size_t r = 0; r < rows; r++)
        for (size_t v = 0; v < PANEL_VECTORS; v++)
            sums[r][v] = _mm512_setzero_ps();
    for (size_t p = 0; p < part->pairs; p++) {
        __m512bh panel[PANEL_VECTORS];
        for (size_t v = 0; v < PANEL_VECTORS; v++)
            panel[v] = (__m512bh)_mm512_load_si512(weights + (p * PANEL_VECTORS + v) * 32);
        for (size_t r = 0; r < rows; r++) {
            __m512bh pair = broadcast_pair(inputs + r * part->input_stride + 2 * p);
            for (size_t v = 0; v < PANEL_VECTORS; v++)
                sums[r][v] = _mm512_dpbf16_ps(sums[r][v], panel[v], pair);
        }
    }
    for (size_t r = 0; r < rows; r++)
        for (size_t v = 0; v < PANEL_VECTORS && v * 16 < part->outputs; v++) {
            float *out = part->out + (row + r) * part->out_stride + v * 16;
            size_t count = part->outputs - v * 16;
            __mmask16 mask = count < 16 ? (__mmask16)((1u << count) - 1) : 0xffff;
            if (part->add)
                sums[r][v] = _mm512_add_ps(sums[r][v], _mm512_maskz_loadu_ps(mask, out));
            _mm512_mask_storeu_ps(out, mask, sums[r][v]);
        }
}

static void multiply_part(const struct part *part, size_t rows)
{
    size_t row = 0;
    for (; row + PANEL_ROWS <= rows; row += PANEL_ROWS)
        multiply_rows(part, row, PANEL_ROWS);
    for (; row + 2 <= rows; row += 2)
        multiply_rows(part, row, 2);
    if (row < rows)
        multiply_rows(part, row, 1);
}

static void multiply(const uint16_t *packed, size_t rows, size_t columns, const float *inputs,
                     size_t input_stride, size_t n, bool add, float *out, size_t out_stride,
                     uint16_t *workspace)
{
    size_t pairs = pairs_of(columns), panels = panels_of(rows);
    size_t chunks = (n + TASK_ROWS - 1) / TASK_ROWS;
#pragma omp parallel
    {
#pragma omp for schedule(dynamic, 16)
        for (size_t r = 0; r < n; r++)
            convert_row(inputs + r * input_stride, columns, workspace + r * pairs * 2);
#pragma omp for schedule(dynamic)
        for (size_t t = 0; t < panels * chunks; t++) {
            size_t panel = t / chunks, row = t % chunks * TASK_ROWS;
            size_t task_rows = n - row < TASK_ROWS ? n - row : TASK_ROWS;
            struct part part = {
                .input_stride = pairs * 2,
                .out_stride = out_stride,
                .outputs = rows - panel * PANEL_OUTPUTS,
            };
            part.out = out + row * out_stride + panel * PANEL_OUTPUTS;
            for (size_t p = 0; p < pairs; p += PART_PAIRS) {
                part.inputs = workspace + (row * pairs + p) * 2;
                part.weights = packed + (panel * pairs + p) * PANEL_OUTPUTS * 2;
                part.pairs = pairs - p < PART_PAIRS ? pairs - p : PART_PAIRS;
                part.add = add || p > 0;
                multiply_part(&part, task_rows);
            }
        }
    }
}

const struct bf16_products *bf16_products(void)
{
    static const struct bf16_products products = {packed_size, inputs_size, pack, multiply};
    bool here = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                __builtin_cpu_supports("avx512bf16");
    return here ? &products : NULL;
}
