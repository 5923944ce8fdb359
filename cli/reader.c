#include "cli/reader.h"

#include "cli/output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------------------ writing */

static bool print_piece(void *context, const char *text, size_t size)
{
    bool *started = context;
    if (!*started)
        fputs("Answer: ", stdout);
    *started = true;
    for (size_t at = 0, line; at < size; at += line + 1) {
        const char *end = memchr(text + at, '\n', size - at);
        line = end ? (size_t)(end - text) - at : size - at;
        output_part_safely(stdout, text + at, line);
        if (end)
            putchar('\n');
    }
    return !fflush(stdout);
}

enum lmk_status reader_write(const struct arguments *arguments, struct lmk_answer *answer,
                             struct lmk_error *error)
{
    bool started = false;
    struct lmk_reader_options options = lmk_reader_defaults();
    options.url = arguments->reader;
    options.model = arguments->reader_model;
    options.key = getenv("LMK_READER_KEY");
    options.max_tokens = arguments->max_tokens ? arguments->max_tokens : options.max_tokens;
    options.seconds = arguments->reader_wait ? (unsigned)arguments->reader_wait : options.seconds;
    options.temperature = arguments->temperature;
    options.seed = arguments->seed;
    options.stream = arguments->json ? NULL : print_piece;
    options.context = &started;
    enum lmk_status status = lmk_answer_write(answer, arguments->words[0], &options, error);
    if (!arguments->json && !status && !started)
        fputs("Answer: (none)", stdout);
    if (!arguments->json && (started || !status))
        puts("\n");
    return status;
}

/* ------------------------------------------------------------------ citations */

/* Reads "[2]" or "[2, 5]" at `text`: calls `visit` with each number. Gives what stands behind it,
 * or NULL where there is no such thing. */
static const char *read_citation(const char *text, void (*visit)(void *context, size_t number),
                                 void *context)
{
    const char *at = text;
    size_t numbers[16], count = 0;
    do {
        char *end;
        at += 1 + strspn(at + 1, " ");
        if (*at < '0' || *at > '9' || count == sizeof numbers / sizeof numbers[0])
            return NULL;
        numbers[count++] = strtoul(at, &end, 10);
        at = end + strspn(end, " ");
    } while (*at == ',' || *at == ';');
    if (*at != ']')
        return NULL;
    for (size_t i = 0; i < count; i++)
        visit(context, numbers[i]);
    return at + 1;
}

static void each_citation(const char *text, void (*visit)(void *context, size_t number),
                          void *context)
{
    while (text && (text = strchr(text, '['))) {
        const char *behind = read_citation(text, visit, context);
        text = behind ? behind : text + 1;
    }
}

struct citations {
    bool *cited; /* [count] */
    size_t count;
    size_t wrong; /* a number that is none of a passage, or SIZE_MAX */
    bool any;
};

static void take_citation(void *context, size_t number)
{
    struct citations *citations = context;
    if (number && number <= citations->count)
        citations->any = citations->cited[number - 1] = true;
    else
        citations->wrong = number;
}

/* Which passages the text cites. The array is the caller's; NULL: out of memory. */
static struct citations find_citations(const struct lmk_answer *answer)
{
    struct citations citations = {calloc(answer->count + 1, sizeof(bool)), answer->count, SIZE_MAX,
                                  false};
    if (citations.cited)
        each_citation(answer->text, take_citation, &citations);
    return citations;
}

static void print_notes(const struct citations *citations)
{
    if (!citations->any && citations->wrong == SIZE_MAX)
        fputs("lmk: the answer cites no passage: nothing shows what it rests on.\n", stderr);
    if (citations->wrong != SIZE_MAX)
        fprintf(stderr, "lmk: the answer cites [%zu], which is no passage.\n", citations->wrong);
}

void reader_print_passages(const struct lmk_answer *answer, bool quiet)
{
    struct citations citations = find_citations(answer);
    if (!citations.cited)
        return;
    if (answer->text && answer->text[0] && !quiet)
        print_notes(&citations);
    printf("Passages that the reader was given%s:\n\n",
           citations.any ? "; * marks those that it cites" : "");
    for (size_t i = 0; i < answer->count; i++) {
        printf("%c [%zu] ", citations.cited[i] ? '*' : ' ', i + 1);
        output_passage(&answer->passages[i], "", 6);
    }
    free(citations.cited);
}

void reader_add_json(cJSON *object, const struct arguments *arguments,
                     const struct lmk_answer *answer)
{
    struct citations citations = find_citations(answer);
    cJSON *reader = cJSON_AddObjectToObject(object, "reader");
    cJSON_AddStringToObject(reader, "url", arguments->reader);
    if (arguments->reader_model)
        cJSON_AddStringToObject(reader, "model", arguments->reader_model);
    else
        cJSON_AddNullToObject(reader, "model");
    cJSON *numbers = cJSON_AddArrayToObject(object, "citations");
    for (size_t i = 0; citations.cited && i < answer->count; i++)
        if (citations.cited[i])
            cJSON_AddItemToArray(numbers, cJSON_CreateNumber((double)(i + 1)));
    free(citations.cited);
}
