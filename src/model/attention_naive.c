#include "src/model/attention_naive.h"
#include "src/model/kernels_naive.h"

#include <math.h>
#include <stdlib.h>

/* One query row and head against the document. */
struct reader {
    const struct model_shape *shape;
    const struct naive_rows *rows;
    size_t row, head;
    double *query, *key; /* [W] rotated */
    double *weights;     /* [count] of every row of the document */
    double *top;         /* [count] */
};

/* The scaled score of a key row, with the query at `query_position` and the key at `key_position`.
 */
static double score(struct reader *reader, int64_t query_position, size_t key_row,
                    int64_t key_position)
{
    const struct model_shape *shape = reader->shape;
    size_t width = shape->head_width, g = reader->head / (shape->heads / shape->kv_heads);
    naive_rotate(reader->rows->queries + (reader->row * shape->heads + reader->head) * width, width,
                 shape->rope_base, query_position, reader->query);
    naive_rotate(reader->rows->keys + (key_row * shape->kv_heads + g) * width, width,
                 shape->rope_base, key_position, reader->key);
    double sum = 0;
    for (size_t i = 0; i < width; i++)
        sum += reader->query[i] * reader->key[i];
    return sum / sqrt((double)width);
}

static double true_score(struct reader *reader, size_t key_row)
{
    return score(reader, (int64_t)reader->row, key_row, (int64_t)key_row);
}

/* A score in a memory layer: near blocks at their true distance, far ones by offsets alone. */
static double memory_score(struct reader *reader, size_t key_row)
{
    const struct model_shape *shape = reader->shape;
    size_t distance = reader->row / shape->block_rows - key_row / shape->block_rows;
    if (shape->positions == POSITIONS_STINGY || distance < shape->near_blocks)
        return true_score(reader, key_row);
    size_t query_offset =
        reader->row % shape->block_rows + (size_t)shape->near_blocks * shape->block_rows;
    return score(reader, (int64_t)query_offset, key_row, (int64_t)(key_row % shape->block_rows));
}

static void weigh_window(struct reader *reader)
{
    for (size_t r = 0; r < reader->rows->count; r++) {
        bool seen = r <= reader->row && reader->row - r < reader->shape->window;
        reader->weights[r] = seen ? true_score(reader, r) : -INFINITY;
    }
    naive_softmax(reader->weights, reader->rows->count);
}

static void weigh_groups(struct reader *reader)
{
    const struct model_shape *shape = reader->shape;
    size_t block_rows = shape->block_rows, own = reader->row / block_rows;
    size_t first = own > shape->reach ? own - shape->reach : 0;
    for (size_t r = 0; r < reader->rows->count; r++) {
        size_t block = r / block_rows;
        bool landmark = r % block_rows == shape->block_tokens;
        bool seen = block == own ? r <= reader->row && !landmark
                                 : block >= first && block < own && landmark;
        reader->top[r] = seen ? memory_score(reader, r) : -INFINITY;
    }
    naive_softmax(reader->top, reader->rows->count);
    for (size_t r = 0; r < reader->rows->count; r++)
        reader->weights[r] = r / block_rows == own ? reader->top[r] : 0;
    for (size_t block = first; block < own; block++) {
        double *weights = reader->weights + block * block_rows;
        for (size_t i = 0; i < shape->block_tokens; i++)
            weights[i] = memory_score(reader, block * block_rows + i);
        naive_softmax(weights, shape->block_tokens);
        for (size_t i = 0; i < shape->block_tokens; i++)
            weights[i] *= reader->top[block * block_rows + shape->block_tokens];
    }
}

static void sum_values(const struct reader *reader, double *out)
{
    const struct model_shape *shape = reader->shape;
    size_t width = shape->head_width, g = reader->head / (shape->heads / shape->kv_heads);
    for (size_t i = 0; i < width; i++) {
        out[i] = 0;
        for (size_t r = 0; r < reader->rows->count; r++)
            out[i] +=
                reader->weights[r] * reader->rows->values[(r * shape->kv_heads + g) * width + i];
    }
}

void naive_attention(const struct model_shape *shape, bool memory, const struct naive_rows *rows,
                     double *out)
{
    struct reader reader = {.shape = shape, .rows = rows};
    reader.query = calloc(2 * shape->head_width + 2 * rows->count, sizeof *reader.query);
    if (!reader.query)
        abort();
    reader.key = reader.query + shape->head_width;
    reader.weights = reader.key + shape->head_width;
    reader.top = reader.weights + rows->count;
    for (reader.row = 0; reader.row < rows->count; reader.row++)
        for (reader.head = 0; reader.head < shape->heads; reader.head++) {
            if (memory)
                weigh_groups(&reader);
            else
                weigh_window(&reader);
            sum_values(&reader,
                       out + (reader.row * shape->heads + reader.head) * shape->head_width);
        }
    free(reader.query);
}
