#include "src/model/dense.h"
#include "src/model/rows.h"

#include <assert.h>
#include <cblas.h>
#include <stdlib.h>

#ifdef LMK_PORTABLE
const struct bf16_products *bf16_products(void)
{
    return NULL;
}
#endif

static enum lmk_status unpack(struct dense *dense, const struct weight *const *weights,
                              size_t count, struct lmk_error *error)
{
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

static enum lmk_status pack(struct dense *dense, struct lmk_error *error)
{
    size_t size = dense->products->packed_size(dense->rows, dense->columns) * sizeof *dense->packed;
    dense->packed = aligned_alloc(64, (size + 63) / 64 * 64);
    if (!dense->packed)
        return error_memory(error, size);
    dense->products->pack(dense->values, dense->rows, dense->columns, dense->packed);
    free(dense->values);
    dense->values = NULL;
    return LMK_OK;
}

enum lmk_status dense_open(struct dense *dense, const struct weight *const *weights, size_t count,
                           const struct bf16_products *products, struct lmk_error *error)
{
    *dense = (struct dense){.columns = weights[0]->columns, .products = products};
    for (size_t i = 0; i < count; i++) {
        assert(weights[i]->columns == dense->columns);
        dense->rows += weights[i]->rows;
    }
    enum lmk_status status = unpack(dense, weights, count, error);
    if (status == LMK_OK && products)
        status = pack(dense, error);
    return status;
}

void dense_close(struct dense *dense)
{
    free(dense->values);
    free(dense->packed);
    dense->values = NULL;
    dense->packed = NULL;
}

size_t dense_workspace(const struct dense *dense, size_t n)
{
    return dense->products ? dense->products->inputs_size(n, dense->columns) * sizeof(uint16_t) : 0;
}

void dense_multiply(const struct dense *dense, const float *inputs, size_t input_stride, size_t n,
                    bool add, float *out, size_t out_stride, void *workspace)
{
    if (dense->products)
        dense->products->multiply(dense->packed, dense->rows, dense->columns, inputs, input_stride,
                                  n, add, out, out_stride, workspace);
    else
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)n, (int)dense->rows,
                    (int)dense->columns, 1.0f, inputs, (int)input_stride, dense->values,
                    (int)dense->columns, add ? 1.0f : 0.0f, out, (int)out_stride);
}

const char *dense_library_version(void)
{
    static char text[32];
    const char *description = openblas_get_config(); /* "OpenBLAS 0.3.21 NO_LAPACKE ..." */
    if (sscanf(description, "OpenBLAS %31s", text) != 1)
        snprintf(text, sizeof text, "%.31s", description);
    return text;
}
