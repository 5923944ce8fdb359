#include "src/model/kernels.h"

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

void kernel_gated_silu(const float *gate, const float *up, size_t count, float *out)
{
#pragma omp simd
    for (size_t i = 0; i < count; i++)
        out[i] = gate[i] / (1.0f + kernel_exp(-gate[i])) * up[i];
}

void kernel_add(const float *addend, size_t count, float *sum)
{
    for (size_t i = 0; i < count; i++)
        sum[i] += addend[i];
}

void kernel_add_scaled(const float *vector, float factor, size_t count, float *sum)
{
    for (size_t i = 0; i < count; i++)
        sum[i] += factor * vector[i];
}

float kernel_dot(const float *left, const float *right, size_t count)
{
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < count; i++)
        sum += left[i] * right[i];
    return sum;
}

float kernel_exponentials(float *values, size_t count, float *maximum)
{
    float largest = -INFINITY, sum = 0;
#pragma omp simd reduction(max : largest)
    for (size_t i = 0; i < count; i++)
        largest = values[i] > largest ? values[i] : largest;
    if (maximum)
        *maximum = largest;
    /* Where all is masked, minus infinity less itself would not be a number. */
    float reference = largest == -INFINITY ? 0 : largest;
#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < count; i++) {
        values[i] = kernel_exp(values[i] - reference);
        sum += values[i];
    }
    return sum;
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

void kernel_rotate(const float *turn, size_t width, const float *vector, float *out)
{
    const float *cosines = turn, *sines = turn + width;
    for (size_t i = 0; i < width; i += 2) {
        float a = vector[i], b = vector[i + 1];
        out[i] = a * cosines[i] + b * sines[i];
        out[i + 1] = b * cosines[i + 1] + a * sines[i + 1];
    }
}
