#include "index/lexical_query.h"

#include <stdlib.h>
#include <string.h>

#define MOST_DEPTH 32
#define MOST_FILTER_PHRASES 256

/* ------------------------------------------------------------------ symbols */

enum symbol_kind {
    SYMBOL_END,
    SYMBOL_WORD,
    SYMBOL_PHRASE,
    SYMBOL_AND,
    SYMBOL_OR,
    SYMBOL_OPEN,
    SYMBOL_CLOSE
};

struct symbol {
    enum symbol_kind kind;
    bool minus;
    size_t start, size; /* of the text: without minus and quotation marks */
};

/* Reads symbols one by one. Without `structured`, parentheses are white space. */
struct scanner {
    const char *text;
    size_t at;
    bool structured;
    bool broken; /* a quotation mark is open */
};

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_parenthesis(char c)
{
    return c == '(' || c == ')';
}

static struct symbol scan_phrase(struct scanner *scanner, bool minus)
{
    const char *start = scanner->text + scanner->at + 1, *end = strchr(start, '"');
    struct symbol symbol = {SYMBOL_PHRASE, minus, (size_t)(start - scanner->text), 0};
    scanner->broken |= !end;
    symbol.size = end ? (size_t)(end - start) : strlen(start);
    scanner->at = symbol.start + symbol.size + (end ? 1 : 0);
    return symbol;
}

static struct symbol scan(struct scanner *scanner)
{
    const char *text = scanner->text;
    while (is_space(text[scanner->at]) ||
           (!scanner->structured && is_parenthesis(text[scanner->at])))
        scanner->at++;
    size_t start = scanner->at;
    char c = text[start];
    if (!c)
        return (struct symbol){.kind = SYMBOL_END, .start = start};
    if (is_parenthesis(c)) {
        scanner->at++;
        return (struct symbol){c == '(' ? SYMBOL_OPEN : SYMBOL_CLOSE, false, start, 1};
    }
    bool minus =
        c == '-' && text[start + 1] && !is_space(text[start + 1]) && text[start + 1] != '-';
    scanner->at += minus;
    if (text[scanner->at] == '"')
        return scan_phrase(scanner, minus);
    struct symbol symbol = {SYMBOL_WORD, minus, scanner->at, 0};
    while (text[scanner->at] && !is_space(text[scanner->at]) && text[scanner->at] != '"' &&
           !is_parenthesis(text[scanner->at]))
        scanner->at++;
    symbol.size = scanner->at - symbol.start;
    if (!minus && symbol.size == 3 && !memcmp(text + symbol.start, "AND", 3))
        symbol.kind = SYMBOL_AND;
    if (!minus && symbol.size == 2 && !memcmp(text + symbol.start, "OR", 2))
        symbol.kind = SYMBOL_OR;
    return symbol;
}

/* What a query makes use of. */
struct features {
    bool structure, minus, phrase;
};

static struct features find_features(const char *text)
{
    struct scanner scanner = {.text = text};
    struct features features = {false, false, false};
    for (struct symbol s; (s = scan(&scanner)).kind != SYMBOL_END;) {
        features.structure |= s.kind == SYMBOL_AND || s.kind == SYMBOL_OR;
        features.minus |= s.minus;
        features.phrase |= s.kind == SYMBOL_PHRASE;
    }
    return features;
}

char *lexical_query_plain(const char *text)
{
    struct features features = find_features(text);
    char *plain = strdup(text);
    if (!plain || (!features.structure && !features.minus))
        return plain;
    struct scanner scanner = {.text = text, .structured = features.structure};
    size_t used = 0;
    for (struct symbol s; (s = scan(&scanner)).kind != SYMBOL_END;) {
        if (s.minus || (s.kind != SYMBOL_WORD && s.kind != SYMBOL_PHRASE))
            continue;
        if (used)
            plain[used++] = ' ';
        memcpy(plain + used, text + s.start, s.size);
        used += s.size;
    }
    plain[used] = '\0';
    if (used)
        return plain;
    strcpy(plain, text); /* nothing is wanted: no valid expression */
    return plain;
}

/* ------------------------------------------------------------------ terms */

/* Collects the stems of a phrase, each with a space behind it. */
struct stemming {
    struct buffer *stems;
    size_t words;
};

static enum lmk_status add_stem(void *context, const char *stem, size_t stem_size, size_t start,
                                size_t end, struct lmk_error *error)
{
    struct stemming *stemming = context;
    (void)start;
    (void)end;
    stemming->words++;
    enum lmk_status status = buffer_append(stemming->stems, stem, stem_size, error);
    return status ? status : buffer_append(stemming->stems, " ", 1, error);
}

/* Adds the term whose stems stand at the end of query->stems, from `stems` on, unless it is there.
 */
static void add_term(struct lexical_query *query, size_t stems, size_t start, size_t size)
{
    size_t stem_size = query->stems.size - stems;
    bool known = query->term_count == LEXICAL_MOST_TERMS;
    for (size_t i = 0; !known && i < query->term_count; i++)
        known = query->terms[i].stem_size == stem_size &&
                !memcmp(query->stems.data + query->terms[i].stems, query->stems.data + stems,
                        stem_size);
    if (known)
        query->stems.size = stems;
    else
        query->terms[query->term_count] =
            (struct lexical_term){start, size, stems, stem_size, query->term_count, 0};
    query->term_count += !known;
}

/* ------------------------------------------------------------------ expressions */

struct parser {
    struct lexical_query *query;
    struct lexical *lexical;
    struct scanner scanner;
    struct symbol next;
    unsigned depth;
    bool invalid;
    struct lmk_error *error;
};

static enum lmk_status append_text(struct buffer *buffer, const char *text, struct lmk_error *error)
{
    return buffer_append(buffer, text, strlen(text), error);
}

enum lmk_status lexical_query_quote(const struct lexical_query *query, size_t start, size_t size,
                                    struct buffer *expression, struct lmk_error *error)
{
    enum lmk_status status = append_text(expression, "\"", error);
    if (!status)
        status = buffer_append(expression, query->text + start, size, error);
    return status ? status : append_text(expression, "\"", error);
}

/* Parts of an expression, joined as they come: ("a") OR ("b"). */
struct joined {
    struct buffer text;
    const char *operation;
};

static void joined_init(struct joined *joined, const char *operation)
{
    buffer_init(&joined->text, 1 << 24);
    joined->operation = operation;
}

static enum lmk_status join(struct joined *joined, const void *part, size_t size,
                            struct lmk_error *error)
{
    enum lmk_status status =
        joined->text.size ? append_text(&joined->text, joined->operation, error) : LMK_OK;
    if (!status)
        status = append_text(&joined->text, "(", error);
    if (!status)
        status = buffer_append(&joined->text, part, size, error);
    return status ? status : append_text(&joined->text, ")", error);
}

/* A word or phrase of the filter. One without any word in it joins nothing. */
static enum lmk_status join_phrase(struct parser *parser, struct joined *joined, size_t start,
                                   size_t size)
{
    struct buffer quoted;
    buffer_init(&quoted, 1 << 24);
    enum lmk_status status =
        lexical_query_quote(parser->query, start, size, &quoted, parser->error);
    if (!status)
        status = join(joined, quoted.data, quoted.size, parser->error);
    buffer_release(&quoted);
    return status;
}

/* A group's parts: what stands side by side, without AND or OR between. */
struct group {
    struct joined phrases, optional, *excluded;
};

struct word_visit {
    struct parser *parser;
    struct group *group; /* NULL: plain words */
    size_t offset;       /* of the text visited in the query */
};

/* A single word of the query, as the tokenizer sees it. */
static enum lmk_status take_word(void *context, const char *stem, size_t stem_size, size_t start,
                                 size_t end, struct lmk_error *error)
{
    struct word_visit *visit = context;
    struct lexical_query *query = visit->parser->query;
    size_t stems = query->stems.size, at = visit->offset + start;
    enum lmk_status status = buffer_append(&query->stems, stem, stem_size, error);
    if (!status)
        status = buffer_append(&query->stems, " ", 1, error);
    if (status)
        return status;
    add_term(query, stems, at, end - start);
    return visit->group ? join_phrase(visit->parser, &visit->group->optional, at, end - start)
                        : LMK_OK;
}

static enum lmk_status take_words(struct parser *parser, struct group *group, size_t start,
                                  size_t size)
{
    struct word_visit visit = {parser, group, start};
    return lexical_words(parser->lexical, parser->query->text + start, size, take_word, &visit,
                         parser->error);
}

/* A phrase, wanted or not; words that are not wanted are phrases too, where they have a hyphen. */
static enum lmk_status take_phrase(struct parser *parser, struct group *group,
                                   const struct symbol *symbol)
{
    struct lexical_query *query = parser->query;
    struct stemming stemming = {&query->stems, 0};
    size_t stems = query->stems.size;
    enum lmk_status status = lexical_words(parser->lexical, query->text + symbol->start,
                                           symbol->size, add_stem, &stemming, parser->error);
    if (status || !stemming.words)
        return status;
    if (symbol->minus)
        query->stems.size = stems;
    else
        add_term(query, stems, symbol->start, symbol->size);
    return join_phrase(parser, symbol->minus ? group->excluded : &group->phrases, symbol->start,
                       symbol->size);
}

static enum lmk_status parse_expression(struct parser *parser, struct buffer *expression);

static void advance(struct parser *parser)
{
    parser->next = scan(&parser->scanner);
}

static enum lmk_status parse_parenthesis(struct parser *parser, struct group *group)
{
    struct buffer inner;
    buffer_init(&inner, 1 << 24);
    advance(parser);
    enum lmk_status status = LMK_OK;
    if (++parser->depth > MOST_DEPTH)
        parser->invalid = true;
    else if (!(status = parse_expression(parser, &inner)) && inner.size)
        status = join(&group->optional, inner.data, inner.size, parser->error);
    parser->depth--;
    parser->invalid |= parser->next.kind != SYMBOL_CLOSE;
    advance(parser);
    buffer_release(&inner);
    return status;
}

/* Phrases must all be there; without one, any of the words. Joins what is wanted to `wanted`. */
static enum lmk_status parse_group(struct parser *parser, struct joined *wanted,
                                   struct joined *excluded)
{
    struct group group = {.excluded = excluded};
    enum lmk_status status = LMK_OK;
    size_t before = excluded->text.size, found = 0;
    joined_init(&group.phrases, " AND ");
    joined_init(&group.optional, " OR ");
    while (!status && !parser->invalid) {
        struct symbol symbol = parser->next;
        if (symbol.kind != SYMBOL_WORD && symbol.kind != SYMBOL_PHRASE &&
            symbol.kind != SYMBOL_OPEN)
            break;
        found++;
        if (symbol.kind == SYMBOL_OPEN) {
            status = parse_parenthesis(parser, &group);
            continue;
        }
        status = symbol.minus || symbol.kind == SYMBOL_PHRASE
                     ? take_phrase(parser, &group, &symbol)
                     : take_words(parser, &group, symbol.start, symbol.size);
        advance(parser);
    }
    struct buffer *chosen = group.phrases.text.size ? &group.phrases.text : &group.optional.text;
    if (!status && chosen->size)
        status = join(wanted, chosen->data, chosen->size, parser->error);
    parser->invalid |= !found || (!chosen->size && excluded->text.size == before);
    buffer_release(&group.phrases.text);
    buffer_release(&group.optional.text);
    return status;
}

/* group AND group ..., less what is not wanted in any of them. */
static enum lmk_status parse_alternative(struct parser *parser, struct joined *alternatives)
{
    struct joined wanted, excluded;
    joined_init(&wanted, " AND ");
    joined_init(&excluded, " OR ");
    enum lmk_status status = parse_group(parser, &wanted, &excluded);
    while (!status && !parser->invalid && parser->next.kind == SYMBOL_AND) {
        advance(parser);
        status = parse_group(parser, &wanted, &excluded);
    }
    parser->invalid |= !wanted.text.size;
    if (!status && !parser->invalid && excluded.text.size) {
        struct joined both;
        joined_init(&both, " NOT ");
        status = join(&both, wanted.text.data, wanted.text.size, parser->error);
        if (!status)
            status = join(&both, excluded.text.data, excluded.text.size, parser->error);
        if (!status)
            status = join(alternatives, both.text.data, both.text.size, parser->error);
        buffer_release(&both.text);
    } else if (!status && !parser->invalid)
        status = join(alternatives, wanted.text.data, wanted.text.size, parser->error);
    buffer_release(&wanted.text);
    buffer_release(&excluded.text);
    return status;
}

static enum lmk_status parse_expression(struct parser *parser, struct buffer *expression)
{
    struct joined alternatives;
    joined_init(&alternatives, " OR ");
    enum lmk_status status = parse_alternative(parser, &alternatives);
    while (!status && !parser->invalid && parser->next.kind == SYMBOL_OR) {
        advance(parser);
        status = parse_alternative(parser, &alternatives);
    }
    if (!status)
        status = buffer_append(expression, alternatives.text.data, alternatives.text.size,
                               parser->error);
    buffer_release(&alternatives.text);
    return status;
}

/* ------------------------------------------------------------------ queries */

static void forget_terms(struct lexical_query *query)
{
    query->term_count = query->filter_phrases = 0;
    buffer_clear(&query->stems);
    buffer_clear(&query->filter);
}

/* Each phrase of the filter has two quotation marks, and there are no others. */
static size_t count_phrases(const struct buffer *filter)
{
    size_t marks = 0;
    for (size_t i = 0; i < filter->size; i++)
        marks += filter->data[i] == '"';
    return marks / 2;
}

static enum lmk_status read_structured(struct parser *parser, bool structured)
{
    struct lexical_query *query = parser->query;
    parser->scanner.structured = structured;
    advance(parser);
    enum lmk_status status = parse_expression(parser, &query->filter);
    query->filter_phrases = count_phrases(&query->filter);
    parser->invalid |= parser->next.kind != SYMBOL_END || parser->scanner.broken ||
                       query->filter_phrases > MOST_FILTER_PHRASES;
    return status ? status : buffer_append(&query->filter, "", 1, parser->error);
}

enum lmk_status lexical_query_read(struct lexical_query *query, struct lexical *lexical,
                                   const char *text, struct lmk_error *error)
{
    *query = (struct lexical_query){.text = text};
    buffer_init(&query->stems, 1 << 24);
    buffer_init(&query->filter, 1 << 24);
    struct parser parser = {
        .query = query, .lexical = lexical, .scanner = {.text = text}, .error = error};
    struct features features = find_features(text);
    enum lmk_status status = LMK_OK;
    if (features.structure || features.minus || features.phrase) {
        status = read_structured(&parser, features.structure);
        if (status || !parser.invalid)
            return status;
        forget_terms(query);
    }
    return take_words(&parser, NULL, 0, strlen(text));
}

void lexical_query_release(struct lexical_query *query)
{
    buffer_release(&query->stems);
    buffer_release(&query->filter);
}
