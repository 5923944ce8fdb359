#include "src/model/kernels_naive.h"

#include <math.h>

void naive_rms_norm(const double *row, size_t width, const float *gain, double epsilon, double *out)
{
    double squares = 0;
    for (size_t i = 0; i < width; i++)
        squares += row[i] * row[i];
    for (size_t i = 0; i < width; i++)
        out[i] = row[i] / sqrt(squares / (double)width + epsilon) * gain[i];
}

double naive_gated_silu(double gate, double up)
{
    return gate / (1 + exp(-gate)) * up;
}

void naive_softmax(double *values, size_t count)
{
    double largest = -INFINITY, sum = 0;
    for (size_t i = 0; i < count; i++)
        largest = fmax(largest, values[i]);
    for (size_t i = 0; i < count; i++)
        sum += exp(values[i] - largest);
    for (size_t i = 0; i < count; i++)
        values[i] = exp(values[i] - largest) / sum;
}

double naive_log_sum(const double *values, size_t count)
{
    double largest = -INFINITY, sum = 0;
    for (size_t i = 0; i < count; i++)
        largest = fmax(largest, values[i]);
    for (size_t i = 0; i < count; i++)
        sum += exp(values[i] - largest);
    return largest + log(sum);
}

void naive_rotate(const double *input, size_t width, double base, int64_t position, double *out)
{
    for (size_t i = 0; i < width / 2; i++) {
        double angle = (double)position / pow(base, 2.0 * (double)i / (double)width);
        double a = input[2 * i], b = input[2 * i + 1];
        out[2 * i] = a * cos(angle) - b * sin(angle);
        out[2 * i + 1] = a * sin(angle) + b * cos(angle);
    }
}

void naive_multiply(const double *left, const double *right, size_t rows, size_t inner,
                    size_t columns, double *out)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++) {
            double sum = 0;
            for (size_t i = 0; i < inner; i++)
                sum += left[r * inner + i] * right[i * columns + c];
            out[r * columns + c] = sum;
        }
}
