#include "src/model/kernels.h"
#include "src/model/vector.h"

#include <math.h>
#include <stdlib.h>

void kernel_rms_norm(const float *rows, size_t row_count, size_t width, const float *gain,
                     float epsilon, float *out)
{
    for (size_t r = 0; r < row_count; r++) {
        const float *row = rows + r * width;
        float scale = 1.0f / sqrtf(kernel_dot(row, row, width) / (float)width + epsilon);
        float *result = out + r * width;
        for (size_t i = 0; i < width; i++)
            result[i] = row[i] * scale * gain[i];
    }
}

static vector gated_silu(vector gate, vector up)
{
    return gate / (1.0f + vector_exp(-gate)) * up;
}

void kernel_gated_silu(const float *gate, const float *up, size_t count, float *out)
{
    size_t i = 0;
    for (; i + VECTOR_FLOATS <= count; i += VECTOR_FLOATS)
        vector_store(out + i, gated_silu(vector_load(gate + i), vector_load(up + i)));
    vector rest = gated_silu(vector_load_part(gate + i, count - i, 0),
                             vector_load_part(up + i, count - i, 0));
    memcpy(out + i, &rest, (count - i) * sizeof *out);
}

void kernel_add(const float *addend, size_t count, float *sum)
{
    for (size_t i = 0; i < count; i++)
        sum[i] += addend[i];
}

float kernel_exp(float x)
{
    return vector_exp(x - (vector){0})[0];
}

float kernel_dot(const float *left, const float *right, size_t count)
{
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < count; i++)
        sum += left[i] * right[i];
    return sum;
}

static float largest_of(const float *values, size_t count)
{
    vector largest = vector_load_part(values, 0, -INFINITY);
    size_t i = 0;
    for (; i + VECTOR_FLOATS <= count; i += VECTOR_FLOATS)
        largest = vector_maximum(largest, vector_load(values + i));
    return vector_maximum_lane(
        vector_maximum(largest, vector_load_part(values + i, count - i, -INFINITY)));
}

float kernel_exponentials(float *values, size_t count, float *maximum)
{
    float largest = largest_of(values, count);
    if (maximum)
        *maximum = largest;
    /* Where all is masked, minus infinity less itself would not be a number. */
    float reference = largest == -INFINITY ? 0 : largest;
    vector sum = {0};
    size_t i = 0;
    for (; i + VECTOR_FLOATS <= count; i += VECTOR_FLOATS) {
        vector powers = vector_exp(vector_load(values + i) - reference);
        vector_store(values + i, powers);
        sum += powers;
    }
    vector rest = vector_exp(vector_load_part(values + i, count - i, -INFINITY) - reference);
    memcpy(values + i, &rest, (count - i) * sizeof *values);
    return vector_sum_lanes(sum + rest);
}

void kernel_softmax(float *values, size_t count)
{
    float sum = kernel_exponentials(values, count, NULL);
    float factor = sum > 0 ? 1.0f / sum : 0;
    for (size_t i = 0; i < count; i++)
        values[i] *= factor;
}

enum lmk_status rotary_open(struct rotary *rotary, size_t width, double base,
                            struct lmk_error *error)
{
    rotary->width = width;
    rotary->frequencies = malloc(width / 2 * sizeof(double) + 1);
    if (!rotary->frequencies)
        return error_memory(error, width / 2 * sizeof(double));
    for (size_t i = 0; i < width / 2; i++)
        rotary->frequencies[i] = pow(base, -2.0 * (double)i / (double)width);
    return LMK_OK;
}

void rotary_close(struct rotary *rotary)
{
    free(rotary->frequencies);
    rotary->frequencies = NULL;
}

void rotary_turn(const struct rotary *rotary, int64_t position, float *turn)
{
    float *cosines = turn, *sines = turn + rotary->width;
    for (size_t i = 0; i < rotary->width / 2; i++) {
        double angle = (double)position * rotary->frequencies[i];
        cosines[2 * i] = cosines[2 * i + 1] = (float)cos(angle);
        sines[2 * i + 1] = (float)sin(angle);
        sines[2 * i] = -sines[2 * i + 1];
    }
}

void rotary_turns(const struct rotary *rotary, int64_t first, size_t count, float *turns)
{
    for (size_t p = 0; p < count; p++)
        rotary_turn(rotary, first + (int64_t)p, turns + p * 2 * rotary->width);
}

void kernel_rotate(const float *turn, size_t width, const float *input, float *out)
{
    const float *cosines = turn, *sines = turn + width;
    size_t i = 0;
    for (; i + VECTOR_FLOATS <= width; i += VECTOR_FLOATS) {
        vector value = vector_load(input + i);
        vector_store(out + i, value * vector_load(cosines + i) +
                                  vector_swap_pairs(value) * vector_load(sines + i));
    }
    for (; i < width; i += 2) {
        float a = input[i], b = input[i + 1];
        out[i] = a * cosines[i] + b * sines[i];
        out[i + 1] = b * cosines[i + 1] + a * sines[i + 1];
    }
}
