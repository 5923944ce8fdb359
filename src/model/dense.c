#include "src/model/dense.h"
#include "src/model/rows.h"

#include <assert.h>
#include <cblas.h>
#include <stdlib.h>

enum lmk_status dense_open(struct dense *dense, const struct weight *const *weights, size_t count,
                           struct lmk_error *error)
{
    *dense = (struct dense){.columns = weights[0]->columns};
    for (size_t i = 0; i < count; i++) {
        assert(weights[i]->columns == dense->columns);
        dense->rows += weights[i]->rows;
    }
    dense->values = malloc(dense->rows * dense->columns * sizeof(float));
    if (!dense->values)
        return error_memory(error, dense->rows * dense->columns * sizeof(float));
    float *place = dense->values;
    for (size_t i = 0; i < count; i++) {
        size_t values = (size_t)weights[i]->rows * weights[i]->columns;
        rows_unpack(weights[i]->type, weights[i]->data, place, values);
        place += values;
    }
    return LMK_OK;
}

void dense_close(struct dense *dense)
{
    free(dense->values);
    dense->values = NULL;
}

void dense_multiply(const struct dense *dense, const float *inputs, size_t input_stride, size_t n,
                    bool add, float *out, size_t out_stride)
{
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)n, (int)dense->rows,
                (int)dense->columns, 1.0f, inputs, (int)input_stride, dense->values,
                (int)dense->columns, add ? 1.0f : 0.0f, out, (int)out_stride);
}
