/* What queries share as long as the file stays as it is: its extent, and a sample of its blocks. */
#include "index/lexical_internal.h"
#include "index/sample.h"
#include "src/base/order.h"

#include <stdlib.h>

#define SAMPLE 1024 /* blocks, for words that are too common to be counted */

/* ------------------------------------------------------------------ the extent */

/* A document of c blocks and neighbourhoods that reach r blocks to each side have c(2r + 1) - r(r +
 * 1) blocks together, or c * c where each neighbourhood is the whole document. */
static enum lmk_status read_extent(struct lexical *lexical, struct lmk_error *error)
{
    sqlite3_stmt *statement;
    enum lmk_status status = lexical_prepare(
        lexical, &statement,
        "SELECT sum(block_count), max(first_block + block_count), sum(CASE WHEN block_count > ?1 "
        "THEN block_count * (2 * ?1 + 1) - ?1 * (?1 + 1) ELSE block_count * block_count END) "
        "FROM documents",
        error);
    if (status)
        return status;
    sqlite3_bind_int(statement, 1, LEXICAL_NEIGHBOURS);
    int code = sqlite3_step(statement);
    lexical->blocks = (uint64_t)sqlite3_column_int64(statement, 0);
    lexical->end_block = (uint64_t)sqlite3_column_int64(statement, 1);
    lexical->neighbourhood =
        lexical->blocks ? sqlite3_column_double(statement, 2) / (double)lexical->blocks : 1;
    sqlite3_finalize(statement);
    return code == SQLITE_ROW ? LMK_OK : lexical_failure(lexical, code, error);
}

void lexical_forget_snapshot(struct lexical *lexical)
{
    for (size_t i = 0; i < lexical->sample_count; i++)
        lexical_reading_release(&lexical->sample[i]);
    free(lexical->sample);
    free(lexical->sample_blocks);
    lexical->sample = NULL;
    lexical->sample_blocks = NULL;
    lexical->sample_count = 0;
    lexical->data_version = 0;
}

enum lmk_status lexical_look_at_snapshot(struct lexical *lexical, struct lmk_error *error)
{
    uint64_t version;
    sqlite3_stmt *statement;
    enum lmk_status status = lexical_prepare(lexical, &statement, "PRAGMA data_version", error);
    if (!status)
        status = lexical_number(lexical, statement, &version, error);
    if (status || version == lexical->data_version)
        return status;
    lexical_forget_snapshot(lexical);
    status = read_extent(lexical, error);
    lexical->data_version = status ? 0 : version;
    return status;
}

/* ------------------------------------------------------------------ the sample */

struct looking {
    struct lexical *lexical;
    sqlite3_stmt *neighbours; /* of a block: the last one up to it, the first one from it on */
};

static enum lmk_status look_for_block(void *context, uint64_t block, struct gap *gap,
                                      struct lmk_error *error)
{
    const struct looking *looking = context;
    sqlite3_stmt *neighbours = looking->neighbours;
    sqlite3_bind_int64(neighbours, 1, (sqlite3_int64)block);
    int code = sqlite3_step(neighbours);
    if (code != SQLITE_ROW)
        return lexical_failure(looking->lexical, code, error);
    bool before = sqlite3_column_type(neighbours, 0) != SQLITE_NULL,
         behind = sqlite3_column_type(neighbours, 1) != SQLITE_NULL;
    uint64_t last = (uint64_t)sqlite3_column_int64(neighbours, 0),
             next = (uint64_t)sqlite3_column_int64(neighbours, 1);
    sqlite3_reset(neighbours);
    if (before && last == block)
        return LMK_OK;
    *gap = (struct gap){before ? last + 1 : 0, behind ? next : UINT64_MAX};
    return LMK_NOT_FOUND;
}

static enum lmk_status draw_blocks(struct lexical *lexical, uint64_t blocks[SAMPLE], size_t *count,
                                   struct lmk_error *error)
{
    struct looking looking = {.lexical = lexical};
    enum lmk_status status = lexical_prepare(
        lexical, &looking.neighbours,
        "SELECT (SELECT rowid FROM words WHERE rowid <= ?1 ORDER BY rowid DESC LIMIT 1), "
        "(SELECT rowid FROM words WHERE rowid >= ?1 ORDER BY rowid LIMIT 1)",
        error);
    if (!status)
        status =
            sample_draw(look_for_block, &looking, lexical->end_block, SAMPLE, blocks, count, error);
    sqlite3_finalize(looking.neighbours);
    if (!status)
        qsort(blocks, *count, sizeof *blocks, order_numbers);
    return status;
}

static enum lmk_status read_sample(struct lexical *lexical, struct lmk_error *error)
{
    size_t drawn = 0;
    lexical->sample = malloc(SAMPLE * sizeof *lexical->sample);
    lexical->sample_blocks = malloc(SAMPLE * sizeof *lexical->sample_blocks);
    enum lmk_status status = lexical->sample && lexical->sample_blocks
                                 ? draw_blocks(lexical, lexical->sample_blocks, &drawn, error)
                                 : error_memory(error, SAMPLE * sizeof *lexical->sample);
    for (size_t i = 0; !status && i < drawn; i++) {
        uint64_t block = lexical->sample_blocks[i];
        struct lexical_reading *reading = &lexical->sample[lexical->sample_count];
        status = lexical_read_text(lexical, block, reading, error);
        if (!status && reading->starts.size)
            lexical->sample_blocks[lexical->sample_count++] = block;
        else
            lexical_reading_release(reading);
    }
    if (status)
        lexical_forget_snapshot(lexical);
    return status;
}

enum lmk_status lexical_take_sample(struct lexical *lexical, const struct lexical_query *query,
                                    struct lexical_sample *sample, struct lmk_error *error)
{
    enum lmk_status status = lexical->sample ? LMK_OK : read_sample(lexical, error);
    *sample = (struct lexical_sample){.blocks = lexical->sample_blocks};
    if (status)
        return status;
    size_t bytes = (lexical->sample_count + 1) * sizeof *sample->contents;
    sample->contents = malloc(bytes);
    while (sample->contents && sample->count < lexical->sample_count) {
        struct lexical_content *content =
            lexical_count_terms(query, &lexical->sample[sample->count]);
        if (!content)
            return error_memory(error, sizeof *content);
        sample->contents[sample->count++] = content;
    }
    return sample->contents ? LMK_OK : error_memory(error, bytes);
}

void lexical_sample_release(struct lexical_sample *sample)
{
    for (size_t i = 0; i < sample->count; i++)
        free(sample->contents[i]);
    free(sample->contents);
    *sample = (struct lexical_sample){0};
}
