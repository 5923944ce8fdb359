#include "src/model/attention.h"
#include "src/model/kernels.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Heads that one pass over the blocks serves: as many as leave scores and queries in the
 * second-level cache. */
enum { HEADS_AT_ONCE = 4 };

static size_t padded(size_t count)
{
    return (count + TILE_COLUMNS - 1) / TILE_COLUMNS * TILE_COLUMNS;
}

static size_t minimum(size_t left, size_t right)
{
    return left < right ? left : right;
}

/* With slot positions all far blocks share one distance; with stingy ones each block has its true
 * one. */
static size_t turned_distance(const struct attention *attention, size_t distance)
{
    const struct model_shape *shape = attention->shape;
    return shape->positions == POSITIONS_SLOT ? minimum(distance, shape->near_blocks) : distance;
}

static bool has_local_layers(const struct model_shape *shape)
{
    return shape->layers > shape->memory_layer_count;
}

static void fill_turns(struct attention *attention, const struct rotary *rotary)
{
    const struct model_shape *shape = attention->shape;
    size_t turn = 2 * (size_t)shape->head_width, rows = shape->block_rows;
    rotary_turns(rotary, 0, rows, attention->key_turns);
    float scale = 1.0f / sqrtf((float)shape->head_width);
    for (size_t i = 0; i < rows * turn; i++)
        attention->query_turns[i] = attention->key_turns[i] * scale;
    for (size_t d = 0; d < attention->turned_distances; d++)
        rotary_turn(rotary, (int64_t)(d * rows), attention->distance_turns + d * turn);
}

enum lmk_status attention_open(struct attention *attention, const struct model_shape *shape,
                               struct lmk_error *error)
{
    *attention = (struct attention){.shape = shape, .kernels = tile_kernels(), .best = SIZE_MAX};
    attention->key_columns = padded(shape->block_rows);
    attention->value_columns = padded(shape->head_width);
    if (has_local_layers(shape)) {
        assert(shape->window > 0);
        attention->local_blocks =
            ((size_t)shape->window + shape->block_rows - 2) / shape->block_rows;
    }
    size_t farthest = turned_distance(attention, shape->reach);
    if (farthest < attention->local_blocks)
        farthest = attention->local_blocks;
    attention->turned_distances = farthest + 1;

    size_t turn = 2 * (size_t)shape->head_width, rows = shape->block_rows;
    struct rotary rotary;
    enum lmk_status status = rotary_open(&rotary, shape->head_width, shape->rope_base, error);
    if (status != LMK_OK)
        return status;
    attention->query_turns = calloc(rows * turn, sizeof(float));
    attention->distance_turns = calloc(attention->turned_distances * turn, sizeof(float));
    attention->key_turns = calloc(rows * turn, sizeof(float));
    if (attention->query_turns && attention->distance_turns && attention->key_turns) {
        fill_turns(attention, &rotary);
    } else {
        status = error_memory(error, (attention->turned_distances + rows) * turn * sizeof(float));
        attention_close(attention);
    }
    rotary_close(&rotary);
    return status;
}

void attention_close(struct attention *attention)
{
    free(attention->query_turns);
    free(attention->distance_turns);
    free(attention->key_turns);
    attention->query_turns = attention->key_turns = attention->distance_turns = NULL;
}

static size_t packed_keys(const struct attention *attention)
{
    return attention->shape->head_width * attention->key_columns;
}

size_t attention_block_floats(const struct attention *attention)
{
    return packed_keys(attention) + attention->shape->block_rows * attention->value_columns;
}

void attention_pack(const struct attention *attention, const float *keys, const float *values,
                    size_t stride, float *packed)
{
    size_t width = attention->shape->head_width, rows = attention->shape->block_rows;
    size_t key_columns = attention->key_columns, value_columns = attention->value_columns;
    float *packed_values = packed + packed_keys(attention);
    if (key_columns != rows || value_columns != width)
        memset(packed, 0, attention_block_floats(attention) * sizeof *packed);
    for (size_t r = 0; r < rows; r++) {
        const float *turn = attention->key_turns + r * 2 * width, *key = keys + r * stride;
        for (size_t i = 0; i < width; i += 2) {
            packed[i * key_columns + r] = key[i] * turn[i] + key[i + 1] * turn[width + i];
            packed[(i + 1) * key_columns + r] =
                key[i + 1] * turn[i + 1] + key[i] * turn[width + i + 1];
        }
        memcpy(packed_values + r * value_columns, values + r * stride, width * sizeof *values);
    }
}

/* What a pass over the blocks needs for the heads [first_head, first_head + heads) of a group; tile
 * rows are B rows of each head, one head after the other. */
struct pass {
    const struct attention *attention;
    const struct attention_tile *tile;
    size_t first_head, heads, rows;
    float *queries;        /* [rows][W] rotated for a distance of 0 blocks */
    float *turned_queries; /* [rows][W] for another one */
    float *sums;           /* [rows][value_columns] */
    float *scores; /* [rows][stride] of the own block and the landmarks, or of the whole window */
    float *landmarks;    /* [W][padded(reach)] */
    float *block_scores; /* [rows][key_columns] of one block before */
    float *gates;        /* [rows] of its landmark */
};

static size_t score_columns(const struct attention *attention)
{
    size_t local = (1 + attention->local_blocks) * attention->key_columns;
    size_t memory = attention->key_columns + padded(attention->shape->reach);
    return local > memory ? local : memory;
}

static size_t heads_at_once(const struct attention *attention)
{
    return minimum(attention->shape->heads / attention->shape->kv_heads, HEADS_AT_ONCE);
}

/* Lays out the scratch; returns the floats it takes. */
static size_t lay_out(const struct attention *attention, struct pass *pass, float *scratch)
{
    const struct model_shape *shape = attention->shape;
    size_t rows = heads_at_once(attention) * shape->block_rows, used = 0;
    const struct {
        float **place;
        size_t floats;
    } parts[] = {
        {&pass->queries, rows * shape->head_width},
        {&pass->turned_queries, rows * shape->head_width},
        {&pass->sums, rows * attention->value_columns},
        {&pass->scores, rows * score_columns(attention)},
        {&pass->block_scores, rows * attention->key_columns},
        {&pass->landmarks, shape->head_width * padded(shape->reach)},
        {&pass->gates, rows},
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (scratch)
            *parts[i].place = scratch + used;
        used += padded(parts[i].floats);
    }
    return used;
}

size_t attention_scratch_floats(const struct attention *attention)
{
    struct pass pass;
    return lay_out(attention, &pass, NULL);
}

static struct pass pass_start(const struct attention *attention, const struct attention_tile *tile,
                              size_t first_head)
{
    const struct model_shape *shape = attention->shape;
    struct pass pass = {.attention = attention, .tile = tile, .first_head = first_head};
    pass.heads = minimum(shape->heads / shape->kv_heads - first_head, heads_at_once(attention));
    pass.rows = pass.heads * shape->block_rows;
    lay_out(attention, &pass, tile->scratch);
    return pass;
}

/* Rotates the queries to their offsets. */
static void start_queries(const struct pass *pass)
{
    size_t width = pass->attention->shape->head_width,
           block_rows = pass->attention->shape->block_rows;
    for (size_t h = 0; h < pass->heads; h++)
        for (size_t r = 0; r < block_rows; r++)
            kernel_rotate(pass->attention->query_turns + r * 2 * width, width,
                          pass->tile->queries + r * pass->tile->query_stride +
                              (pass->first_head + h) * width,
                          pass->queries + (h * block_rows + r) * width);
}

/* Rotates them further, to meet keys some blocks before. */
static void turn_queries(const struct pass *pass, size_t distance)
{
    size_t width = pass->attention->shape->head_width;
    const float *turn = pass->attention->distance_turns + distance * 2 * width;
    for (size_t r = 0; r < pass->rows; r++)
        kernel_rotate(turn, width, pass->queries + r * width, pass->turned_queries + r * width);
}

static void score_block(const struct pass *pass, const float *queries, size_t distance,
                        float *scores, size_t stride)
{
    const struct attention *attention = pass->attention;
    size_t width = attention->shape->head_width;
    attention->kernels->multiply(queries, width, pass->tile->blocks[distance],
                                 attention->key_columns, pass->rows, width, attention->key_columns,
                                 false, scores, stride);
}

static void add_values(const struct pass *pass, const float *weights, size_t stride,
                       size_t distance, bool add)
{
    const struct attention *attention = pass->attention;
    attention->kernels->multiply(
        weights, stride, pass->tile->blocks[distance] + packed_keys(attention),
        attention->value_columns, pass->rows, attention->shape->block_rows,
        attention->value_columns, add, pass->sums, attention->value_columns);
}

static void store_sums(const struct pass *pass)
{
    size_t width = pass->attention->shape->head_width,
           block_rows = pass->attention->shape->block_rows;
    for (size_t h = 0; h < pass->heads; h++)
        for (size_t r = 0; r < block_rows; r++)
            memcpy(pass->tile->out + r * pass->tile->out_stride + (pass->first_head + h) * width,
                   pass->sums + (h * block_rows + r) * pass->attention->value_columns,
                   width * sizeof(float));
}

/* ---- local layers */

/* Hides what the row at `offset` must not see of the block `distance` blocks back. */
static void mask_window(const struct attention *attention, size_t offset, size_t distance,
                        float *scores)
{
    size_t rows = attention->shape->block_rows, window = attention->shape->window;
    size_t first_behind = offset + distance * rows; /* how far back the block's first row lies */
    size_t begin = first_behind >= window ? minimum(first_behind - window + 1, rows) : 0;
    size_t end = minimum(first_behind + 1, rows);
    for (size_t i = 0; i < begin; i++)
        scores[i] = -INFINITY;
    for (size_t i = end; i < attention->key_columns; i++)
        scores[i] = -INFINITY;
}

static void local_pass(const struct pass *pass)
{
    const struct attention *attention = pass->attention;
    size_t columns = attention->key_columns, block_rows = attention->shape->block_rows;
    size_t blocks = minimum(pass->tile->block_count, attention->local_blocks + 1),
           stride = blocks * columns;
    start_queries(pass);
    score_block(pass, pass->queries, 0, pass->scores, stride);
    for (size_t d = 1; d < blocks; d++) {
        turn_queries(pass, d);
        score_block(pass, pass->turned_queries, d, pass->scores + d * columns, stride);
    }
    for (size_t r = 0; r < pass->rows; r++)
        for (size_t d = 0; d < blocks; d++)
            mask_window(attention, r % block_rows, d, pass->scores + r * stride + d * columns);
    attention->kernels->softmax(pass->scores, stride, pass->rows, stride, NULL);
    for (size_t d = 0; d < blocks; d++)
        add_values(pass, pass->scores + d * columns, stride, d, d > 0);
    store_sums(pass);
}

void attention_local(const struct attention *attention, const struct attention_tile *tile)
{
    size_t group = attention->shape->heads / attention->shape->kv_heads;
    for (size_t head = 0; head < group; head += heads_at_once(attention)) {
        struct pass pass = pass_start(attention, tile, head);
        local_pass(&pass);
    }
}

/* ---- memory layers */

/* The landmark keys of the blocks before, side by side, turned back by their distance so that
 * queries at distance 0 meet them all. */
static void gather_landmarks(const struct pass *pass, size_t count, size_t columns)
{
    const struct attention *attention = pass->attention;
    size_t width = attention->shape->head_width, landmark = attention->shape->block_tokens;
    for (size_t d = 1; d <= count; d++) {
        const float *turn = attention->distance_turns + turned_distance(attention, d) * 2 * width;
        const float *keys = pass->tile->blocks[d] + landmark;
        for (size_t i = 0; i < width; i += 2) {
            float a = keys[i * attention->key_columns], b = keys[(i + 1) * attention->key_columns];
            pass->landmarks[i * columns + d - 1] = a * turn[i] - b * turn[width + i];
            pass->landmarks[(i + 1) * columns + d - 1] = b * turn[i + 1] - a * turn[width + i + 1];
        }
    }
    for (size_t i = 0; i < width; i++)
        for (size_t d = count; d < columns; d++)
            pass->landmarks[i * columns + d] = 0;
}

/* Hides the landmarks of all but the best of the blocks that are not near; equally good ones, those
 * farther back. */
static void keep_best(const struct attention *attention, float *landmarks, size_t count)
{
    float *far = landmarks + attention->near;
    size_t far_count = count > attention->near ? count - attention->near : 0;
    for (size_t left = far_count; left > attention->best; left--) {
        size_t worst = far_count;
        for (size_t i = 0; i < far_count; i++)
            if (far[i] > -INFINITY && (worst == far_count || far[i] <= far[worst]))
                worst = i;
        if (worst == far_count)
            return; /* not a number, or none left */
        far[worst] = -INFINITY;
    }
}

/* The first softmax: own block, then landmarks, in rows of `stride`. */
static void top_softmax(const struct pass *pass, size_t count, size_t stride)
{
    const struct attention *attention = pass->attention;
    size_t width = attention->shape->head_width, block_rows = attention->shape->block_rows;
    size_t own = attention->key_columns, landmark = attention->shape->block_tokens;
    gather_landmarks(pass, count, stride - own);
    score_block(pass, pass->queries, 0, pass->scores, stride);
    if (count > 0)
        attention->kernels->multiply(pass->queries, width, pass->landmarks, stride - own,
                                     pass->rows, width, stride - own, false, pass->scores + own,
                                     stride);
    for (size_t r = 0; r < pass->rows; r++)
        for (size_t i = minimum(r % block_rows + 1, landmark); i < own; i++)
            pass->scores[r * stride + i] = -INFINITY;
    for (size_t r = 0; r < pass->rows; r++)
        keep_best(attention, pass->scores + r * stride + own, count);
    attention->kernels->softmax(pass->scores, stride, pass->rows, own + count, NULL);
}

/* Adds what the rows read from the block `distance` blocks back: its own softmax over its tokens,
 * times the probability that its landmark got. */
static void read_block(const struct pass *pass, size_t distance, size_t stride)
{
    const struct attention *attention = pass->attention;
    const float *gates = pass->scores + attention->key_columns + distance - 1;
    for (size_t r = 0; r < pass->rows; r++)
        pass->gates[r] = gates[r * stride];
    score_block(pass, pass->turned_queries, distance, pass->block_scores, attention->key_columns);
    attention->kernels->softmax(pass->block_scores, attention->key_columns, pass->rows,
                                attention->shape->block_tokens, pass->gates);
    add_values(pass, pass->block_scores, attention->key_columns, distance, true);
}

static void memory_pass(const struct pass *pass)
{
    const struct attention *attention = pass->attention;
    size_t own = attention->key_columns,
           count = minimum(pass->tile->block_count - 1, attention->shape->reach);
    size_t stride = own + padded(count), turned = SIZE_MAX;
    start_queries(pass);
    top_softmax(pass, count, stride);
    add_values(pass, pass->scores, stride, 0, false);
    for (size_t d = 1; d <= count; d++) {
        if (turned_distance(attention, d) != turned) {
            turned = turned_distance(attention, d);
            turn_queries(pass, turned);
        }
        read_block(pass, d, stride);
    }
    store_sums(pass);
}

void attention_memory(const struct attention *attention, const struct attention_tile *tile)
{
    size_t group = attention->shape->heads / attention->shape->kv_heads;
    for (size_t head = 0; head < group; head += heads_at_once(attention)) {
        struct pass pass = pass_start(attention, tile, head);
        memory_pass(&pass);
    }
}
