#include "index/passage.h"

#include "src/text/sentences.h"
#include "src/text/utf8.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What all of the question's words in a sentence count against all of the attention. Over 1,072
 * questions of six sets the marked sentence then has the answer for .81 of the passages that have
 * it; for .71 without the words. */
#define WORDS_WEIGHT 2.0

/* The blocks of a passage with their neighbours of the same document: their text in one piece, and
 * the way back to the source. */
struct surroundings {
    struct buffer text;
    struct buffer runs;            /* struct map_run, text offsets within the document */
    uint64_t text_start;           /* of `text` in the document */
    size_t start, end;             /* in `text`: of the passage's blocks */
    size_t block_start, block_end; /* of the best of them */
    struct buffer tokens;          /* of the best one */
    uint64_t source_end;           /* of the last block */
    bool starts_document;          /* the best one */
    uint32_t place;                /* of the best one */
};

static enum lmk_status add_block(struct surroundings *around,
                                 const struct lmk_collection *collection, struct store_view *view,
                                 const struct document *document, uint64_t number, bool best,
                                 struct lmk_error *error)
{
    struct block_text text;
    struct buffer others;
    buffer_init(&others, 1 << 20);
    enum lmk_status status = store_block_text(view, number, best ? &around->tokens : &others,
                                              &around->runs, &text, error);
    if (status) {
        buffer_release(&others);
        return status;
    }
    if (!around->text.size)
        around->text_start = text.text_start;
    bool first = number == document->first_block;
    size_t before = around->text.size;
    status = tokenizer_decode(collection->model->tokenizer, text.tokens, text.token_count, first,
                              &around->text, error);
    buffer_release(&others);
    around->source_end = text.source_end;
    if (best) {
        around->block_start = before;
        around->block_end = around->text.size;
        around->starts_document = first;
        around->place = text.place;
    }
    return status;
}

/* The document's byte `text_start + offset` in the source: the last run that starts at or before
 * it. */
static uint64_t source_of(const struct surroundings *around, size_t offset)
{
    const struct map_run *runs = (const struct map_run *)around->runs.data;
    uint64_t text = around->text_start + offset;
    size_t count = around->runs.size / sizeof *runs, at = 0;
    while (at + 1 < count && runs[at + 1].text <= text)
        at++;
    return count ? runs[at].source + (text - runs[at].text) : 0;
}

static uint64_t source_end_of(const struct surroundings *around, size_t end)
{
    uint64_t behind = end ? source_of(around, end - 1) + 1 : source_of(around, 0);
    return behind < around->source_end ? behind : around->source_end;
}

/* Attention that falls on bytes [start, end) of the text. */
static double attention_within(const struct surroundings *around, const struct lmk_model *model,
                               const float *token_scores, size_t token_count, size_t start,
                               size_t end)
{
    const uint32_t *tokens = (const uint32_t *)around->tokens.data;
    size_t at = around->block_start;
    double sum = 0;
    for (size_t t = 0; t < token_count && at < end; t++) {
        size_t size;
        tokenizer_bytes(model->tokenizer, tokens[t], &size);
        if (around->starts_document && t == 1 && size)
            size--;
        if (at + size / 2 >= start && at + size / 2 < end && size)
            sum += token_scores[t];
        at += size;
    }
    return sum;
}

/* Marks the sentence that answers best of bytes [from, to) of the text, which the passage shows: by
 * its share of the best block's attention, divided by the root of its length, as the whole favours
 * long sentences and the mean favours scraps; and by the share of the question's words that it has.
 */
static enum lmk_status mark(struct lmk_passage *passage, const struct surroundings *around,
                            const struct lmk_model *model, const struct marking *marking,
                            size_t from, size_t to, struct lmk_error *error)
{
    const char *text = (const char *)around->text.data;
    const struct ranking *ranking = marking->ranking;
    const float *scores = marking->token_scores;
    size_t count = around->tokens.size / sizeof(uint32_t);
    double all = scores ? attention_within(around, model, scores, count, 0, around->text.size) : 0;
    double block_size = (double)(around->block_end - around->block_start), best = 0;
    for (size_t start = from; start < around->end && start < to;) {
        size_t end = sentence_end(text, around->text.size, start);
        double share =
            all > 0 ? attention_within(around, model, scores, count, start, end) / all : 0;
        double coverage = 0;
        enum lmk_status status = LMK_OK;
        if (ranking->lexical)
            status = lexical_coverage(ranking->lexical, &ranking->query, text + start, end - start,
                                      &coverage, error);
        if (status)
            return status;
        double weight = share / sqrt((double)(end - start) / block_size) + WORDS_WEIGHT * coverage;
        if (weight > best) {
            size_t shown_end = end < to ? end : to;
            best = weight;
            passage->mark_start = start - from;
            passage->mark_end = shown_end - from;
            passage->mark_source_start = source_of(around, start);
            passage->mark_source_end = source_end_of(around, shown_end);
            passage->mark_share = share;
        }
        for (start = end; start < to && (text[start] == ' ' || text[start] == '\n');)
            start++;
    }
    return LMK_OK;
}

/* A sentence may begin in the block before; without one there, the text begins with a whole word.
 */
static size_t readable_start(const char *text, size_t size, size_t block_start)
{
    size_t start = sentence_start(text, size, block_start);
    if (start || !block_start)
        return start;
    while (start < block_start && ((unsigned char)text[start] & 0xc0) == 0x80)
        start++;
    return start;
}

/* The end of the last sentence; where the text breaks off within it, that of the last whole
 * character. */
static size_t readable_end(const char *text, size_t size, size_t block_end)
{
    size_t end = block_end ? sentence_end(text, size, block_end - 1) : 0, last = end;
    if (end < size)
        return end;
    while (last > block_end && ((unsigned char)text[last - 1] & 0xc0) == 0x80)
        last--;
    bool whole = true;
    if (last > block_end && (unsigned char)text[last - 1] >= 0xc0)
        utf8_length(text + last - 1, end - last + 1, &whole);
    return whole ? end : last - 1;
}

/* The heading of chapter `place`, owned; NULL: out of memory. */
static char *find_heading(const char *metadata, uint32_t place)
{
    cJSON *object = cJSON_Parse(metadata);
    const cJSON *chapters = cJSON_GetObjectItemCaseSensitive(object, "chapters");
    const cJSON *heading = place ? cJSON_GetArrayItem(chapters, (int)place - 1) : NULL;
    char *found = strdup(cJSON_IsString(heading) ? heading->valuestring : "");
    cJSON_Delete(object);
    return found;
}

static void set_place(struct lmk_passage *passage, const struct document *document, uint32_t place)
{
    bool paged = !strcmp(document->kind, "pdf");
    passage->page = paged ? place : 0;
    passage->chapter = paged ? 0 : place;
    passage->heading = find_heading(document->metadata, passage->chapter);
}

static enum lmk_status fill(struct lmk_passage *passage, const struct lmk_collection *collection,
                            const struct document *document, const struct surroundings *around,
                            const struct marking *marking, struct lmk_error *error)
{
    const char *text = (const char *)around->text.data;
    size_t size = around->text.size;
    size_t start = readable_start(text, size, around->start),
           end = readable_end(text, size, around->end);
    passage->text = strndup(size ? text + start : "", end - start);
    passage->path = strdup(document->path);
    passage->title = strdup(document->title);
    passage->author = strdup(document->author);
    passage->kind = strdup(document->kind);
    passage->metadata = strdup(document->metadata);
    set_place(passage, document, around->place);
    if (!passage->text || !passage->path || !passage->title || !passage->author || !passage->kind ||
        !passage->metadata || !passage->heading)
        return error_memory(error, size);
    passage->document = document->id;
    passage->position = (double)(around->text_start + start) / (double)document->text_bytes;
    passage->source_start = source_of(around, start);
    passage->source_end = source_end_of(around, end);
    return marking ? mark(passage, around, collection->model, marking, start, end, error) : LMK_OK;
}

static enum lmk_status collect(struct surroundings *around, const struct lmk_collection *collection,
                               struct store_view *view, const struct document *document,
                               const struct lmk_passage *passage, struct lmk_error *error)
{
    uint64_t first = passage->block, end = passage->block + passage->blocks;
    uint64_t document_end = document->first_block + document->block_count;
    enum lmk_status status = LMK_OK;
    if (first > document->first_block)
        status = add_block(around, collection, view, document, first - 1, false, error);
    around->start = around->text.size;
    for (uint64_t block = first; !status && block < end; block++)
        status = add_block(around, collection, view, document, block, block == passage->best_block,
                           error);
    around->end = around->text.size;
    if (!status && end < document_end)
        status = add_block(around, collection, view, document, end, false, error);
    return status;
}

enum lmk_status passage_make(struct lmk_passage *passage, const struct lmk_collection *collection,
                             struct store_view *view, uint64_t first, uint64_t count, uint64_t best,
                             const struct marking *marking, struct lmk_error *error)
{
    struct surroundings around = {0};
    struct document document;
    buffer_init(&around.text, 1 << 24);
    buffer_init(&around.runs, 1 << 24);
    buffer_init(&around.tokens, 1 << 20);
    passage->block = first;
    passage->blocks = count;
    passage->best_block = best;
    enum lmk_status status = store_document_of_block(view, first, &document, error);
    if (!status)
        status = collect(&around, collection, view, &document, passage, error);
    if (!status)
        status = fill(passage, collection, &document, &around, marking, error);
    buffer_release(&around.text);
    buffer_release(&around.runs);
    buffer_release(&around.tokens);
    return status;
}

void passage_release(struct lmk_passage *passage)
{
    free((char *)(uintptr_t)passage->path);
    free((char *)(uintptr_t)passage->title);
    free((char *)(uintptr_t)passage->author);
    free((char *)(uintptr_t)passage->kind);
    free((char *)(uintptr_t)passage->metadata);
    free((char *)(uintptr_t)passage->heading);
    free((char *)(uintptr_t)passage->text);
}
