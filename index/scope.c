#include "index/scope.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum field { FIELD_AUTHOR, FIELD_TITLE, FIELD_PATH, FIELD_LANGUAGE, FIELD_YEAR, FIELD_CHAPTER };

static const char *const field_names[] = {"author", "title", "path", "language", "year", "chapter"};
enum { FIELDS = sizeof field_names / sizeof field_names[0] };

struct condition {
    enum field field;
    char operation; /* '=', '~', '<' or '>' */
    const char *text;
    uint64_t number; /* where the text is one */
};

/* ------------------------------------------------------------------ reading conditions */

static bool is_number(const char *text, uint64_t *number)
{
    char *end;
    *number = strtoull(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && !*end;
}

static enum lmk_status read_condition(struct condition *condition, const char *text,
                                      struct lmk_error *error)
{
    size_t size = strcspn(text, "=~<>"), field = 0;
    while (field < FIELDS &&
           (strlen(field_names[field]) != size || strncasecmp(field_names[field], text, size) != 0))
        field++;
    if (field == FIELDS || !text[size])
        return error_set(error, LMK_USAGE,
                         "\"%.200s\" is no condition. Name author, title, path, language, year or "
                         "chapter, then = (is), ~ (holds), < or > (numbers), then a value: "
                         "author~Austen",
                         text);
    *condition = (struct condition){(enum field)field, text[size], text + size + 1, 0};
    bool number = is_number(condition->text, &condition->number);
    bool ordered = strchr("<>", condition->operation) != NULL;
    if (ordered && field < FIELD_YEAR)
        return error_set(error, LMK_USAGE,
                         "\"%.200s\" compares what is no number: < and > are for year and chapter.",
                         text);
    if (!number && (ordered || field >= FIELD_YEAR))
        return error_set(error, LMK_USAGE, "\"%.200s\" needs a number behind the %c.", text,
                         condition->operation);
    return LMK_OK;
}

static enum lmk_status read_conditions(struct condition **conditions, const char *const *texts,
                                       size_t count, struct lmk_error *error)
{
    enum lmk_status status = LMK_OK;
    *conditions = calloc(count, sizeof **conditions);
    if (!*conditions)
        return error_memory(error, count * sizeof **conditions);
    for (size_t i = 0; !status && i < count; i++)
        status = read_condition(&(*conditions)[i], texts[i], error);
    return status;
}

/* ------------------------------------------------------------------ testing documents */

static bool holds_text(const struct condition *condition, const char *value)
{
    if (condition->operation == '=')
        return !strcasecmp(value, condition->text);
    return strcasestr(value, condition->text) != NULL;
}

static bool holds_number(const struct condition *condition, uint64_t value)
{
    char text[24];
    switch (condition->operation) {
    case '<':
        return value < condition->number;
    case '>':
        return value > condition->number;
    case '=':
        return value == condition->number;
    default:
        snprintf(text, sizeof text, "%llu", (unsigned long long)value);
        return strstr(text, condition->text) != NULL;
    }
}

/* The first number of exactly four digits in a text such as "1813-01-28"; 0: none. */
static uint64_t year_in(const char *text)
{
    for (size_t digits; *text; text += digits ? digits : 1) {
        digits = strspn(text, "0123456789");
        if (digits == 4)
            return strtoull(text, NULL, 10);
    }
    return 0;
}

static uint64_t year_of(const struct document *document)
{
    static const char *const names[] = {"year", "date", "published", "issued"};
    cJSON *metadata = cJSON_Parse(document->metadata);
    uint64_t year = 0;
    for (size_t i = 0; !year && i < sizeof names / sizeof names[0]; i++) {
        const cJSON *value = cJSON_GetObjectItemCaseSensitive(metadata, names[i]);
        if (cJSON_IsNumber(value) && value->valuedouble > 0 && value->valuedouble < 10000)
            year = (uint64_t)value->valuedouble;
        else if (cJSON_IsString(value))
            year = year_in(value->valuestring);
    }
    cJSON_Delete(metadata);
    return year;
}

static bool fits_document(const struct condition *condition, const struct document *document)
{
    const char *texts[] = {document->author, document->title, document->path, document->language};
    uint64_t year;
    if (condition->field == FIELD_CHAPTER)
        return true;
    if (condition->field < FIELD_YEAR)
        return holds_text(condition, texts[condition->field]);
    return (year = year_of(document)) && holds_number(condition, year);
}

/* ------------------------------------------------------------------ collecting blocks */

struct collecting {
    struct store_view *view;
    struct condition *conditions;
    size_t count;
    bool chapters;        /* some condition is on them */
    struct buffer ranges; /* struct scope_range */
    struct buffer tokens, runs;
    uint64_t blocks;
};

static enum lmk_status add_range(struct collecting *collecting, uint64_t first, uint64_t end,
                                 struct lmk_error *error)
{
    size_t count = collecting->ranges.size / sizeof(struct scope_range);
    struct scope_range *ranges = (struct scope_range *)(void *)collecting->ranges.data;
    struct scope_range new = {first, end, collecting->blocks};
    collecting->blocks += end - first;
    if (count && ranges[count - 1].end == first) {
        ranges[count - 1].end = end;
        return LMK_OK;
    }
    return first < end ? buffer_append(&collecting->ranges, &new, sizeof new, error) : LMK_OK;
}

static enum lmk_status add_chapters(struct collecting *collecting, const struct document *document,
                                    struct lmk_error *error)
{
    enum lmk_status status = LMK_OK;
    uint64_t end = document->first_block + document->block_count;
    for (uint64_t block = document->first_block; !status && block < end; block++) {
        struct block_text text;
        buffer_clear(&collecting->tokens);
        buffer_clear(&collecting->runs);
        status = store_block_text(collecting->view, block, &collecting->tokens, &collecting->runs,
                                  &text, error);
        bool fits = !status && text.place;
        for (size_t i = 0; fits && i < collecting->count; i++)
            fits = collecting->conditions[i].field != FIELD_CHAPTER ||
                   holds_number(&collecting->conditions[i], text.place);
        if (fits)
            status = add_range(collecting, block, block + 1, error);
    }
    return status;
}

static enum lmk_status collect(struct collecting *collecting, struct lmk_error *error)
{
    struct document document;
    enum lmk_status status;
    for (uint64_t id = 0; !(status = store_next_document(collecting->view, id, &document, error));
         id = document.id + 1) {
        bool fits = true;
        for (size_t i = 0; fits && i < collecting->count; i++)
            fits = fits_document(&collecting->conditions[i], &document);
        if (!fits)
            continue;
        status = collecting->chapters
                     ? add_chapters(collecting, &document, error)
                     : add_range(collecting, document.first_block,
                                 document.first_block + document.block_count, error);
        if (status)
            return status;
    }
    if (status != LMK_NOT_FOUND)
        return status;
    return collecting->blocks ? LMK_OK
                              : error_set(error, LMK_NOT_FOUND,
                                          "No text in the collection fulfils the conditions.");
}

enum lmk_status scope_open(struct scope **scope, struct store_view *view,
                           const char *const *conditions, size_t count, struct lmk_error *error)
{
    *scope = NULL;
    if (!count)
        return LMK_OK;
    struct collecting collecting = {.view = view, .count = count};
    buffer_init(&collecting.ranges, SIZE_MAX / 2);
    buffer_init(&collecting.tokens, SIZE_MAX / 2);
    buffer_init(&collecting.runs, SIZE_MAX / 2);
    enum lmk_status status = read_conditions(&collecting.conditions, conditions, count, error);
    for (size_t i = 0; !status && i < count; i++)
        collecting.chapters |= collecting.conditions[i].field == FIELD_CHAPTER;
    if (!status)
        status = collect(&collecting, error);
    if (!status && !(*scope = malloc(sizeof **scope)))
        status = error_memory(error, sizeof **scope);
    if (!status)
        **scope =
            (struct scope){(struct scope_range *)(void *)collecting.ranges.data,
                           collecting.ranges.size / sizeof(struct scope_range), collecting.blocks};
    else
        buffer_release(&collecting.ranges);
    buffer_release(&collecting.tokens);
    buffer_release(&collecting.runs);
    free(collecting.conditions);
    return status;
}

void scope_close(struct scope *scope)
{
    if (!scope)
        return;
    free(scope->ranges);
    free(scope);
}

/* ------------------------------------------------------------------ asking */

/* The first range that ends behind the block, or the number of ranges. */
static size_t range_from(const struct scope *scope, uint64_t block)
{
    size_t low = 0, high = scope->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (scope->ranges[middle].end <= block)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool scope_holds(const struct scope *scope, uint64_t block)
{
    size_t range = scope ? range_from(scope, block) : 0;
    return !scope || (range < scope->count && scope->ranges[range].first <= block);
}

uint64_t scope_place(const struct scope *scope, uint64_t block)
{
    size_t index = range_from(scope, block);
    if (index == scope->count)
        return scope->blocks;
    const struct scope_range *range = &scope->ranges[index];
    return range->before + (block > range->first ? block - range->first : 0);
}

uint64_t scope_block(const struct scope *scope, uint64_t place)
{
    size_t low = 0, high = scope->count;
    while (high - low > 1) { /* the last range that begins at or before the place */
        size_t middle = (low + high) / 2;
        if (scope->ranges[middle].before <= place)
            low = middle;
        else
            high = middle;
    }
    return scope->ranges[low].first + (place - scope->ranges[low].before);
}
