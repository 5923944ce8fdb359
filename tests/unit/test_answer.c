/* lmk_search and lmk_ask on a small collection, against the same steps taken one by one with the
 * stored rows, in double precision where that is what is tested. */
#include "index/memory.h"
#include "src/model/rows.h"
#include "src/text/utf8.h"
#include "tests/unit/scratch.h"

#include <iconv.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST_BLOCKS = 256, READ = 5, MOST_TOKENS = 20 };

static const char *const question = "Where did the onion go, and who ate the hat?";

static struct lmk_collection *collection;

/* The same words, wrapped by hand with CR LF. */
static void wrap(char *text)
{
    size_t column = 0;
    for (; *text; text++, column++)
        if (*text == ' ' && column > 60) {
            *text = '\n';
            column = 0;
        }
}

static void write_book(const char *name, uint64_t seed, bool wrapped)
{
    char *prose = scratch_prose(seed, 500);
    if (wrapped)
        wrap(prose);
    char *source = malloc(2 * strlen(prose) + 1), *at = source;
    for (const char *p = prose; *p; p++) {
        if (wrapped && *p == '\n')
            *at++ = '\r';
        *at++ = *p;
    }
    scratch_write(name, source, (size_t)(at - source));
    free(source);
    free(prose);
}

static int open_group(void **state)
{
    if (scratch_open_model(state))
        return -1;
    write_book("books/plain.txt", 5, false);
    write_book("books/wrapped.txt", 2, true);
    write_book("books/short.txt", 3, false);
    collection = scratch_create("books.lmk", tiny_model, LMK_TIER_F16, NULL);
    scratch_index(collection, "books");
    return 0;
}

static int close_group(void **state)
{
    lmk_collection_close(collection);
    return scratch_close_model(state);
}

/* ---- the steps, one by one */

struct steps {
    struct store_view *view;
    struct buffer ids;
    struct sequence *first_pass;
    struct candidate ranked[MOST_BLOCKS]; /* by joint score */
    size_t block_count;
};

static const uint32_t *ids(const struct steps *steps)
{
    return (const uint32_t *)steps->ids.data;
}

static size_t id_count(const struct steps *steps)
{
    return steps->ids.size / sizeof(uint32_t);
}

static int by_score(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;
    return a->score < b->score ? 1 : a->score > b->score ? -1 : 0;
}

static void open_steps(struct steps *steps)
{
    struct lmk_error error;
    const float *key;
    memset(steps, 0, sizeof *steps);
    buffer_init(&steps->ids, 1 << 20);
    steps->view = scratch_view(collection);
    must(model_encode_question(tiny_model, question, false, &steps->ids, &error), &error);
    must(sequence_open(&steps->first_pass, tiny_model, id_count(steps), true, &error), &error);
    must(sequence_feed(steps->first_pass, ids(steps), id_count(steps), NULL, &error), &error);
    float *pooled = malloc(model_landmark_width(&tiny_model->shape) * sizeof *pooled);
    sequence_pooled_query(steps->first_pass, pooled);
    for (size_t b = 0; !store_landmark_key(steps->view, b, &key, &error); b++) {
        assert_true(b < MOST_BLOCKS);
        steps->ranked[b] =
            (struct candidate){b, reference_score(&tiny_model->shape, SEGMENT_JOINT, pooled, key)};
        steps->block_count++;
    }
    assert_true(steps->block_count > 50);
    qsort(steps->ranked, steps->block_count, sizeof *steps->ranked, by_score);
    free(pooled);
}

static void close_steps(struct steps *steps)
{
    sequence_close(steps->first_pass);
    buffer_release(&steps->ids);
    store_view_end(steps->view);
}

/* Mean log-sum-exp of the scaled far scores, and the attention [N] that each token receives. */
static double attention(const struct steps *steps, uint64_t block, double *token_scores)
{
    const struct model_shape *shape = &tiny_model->shape;
    size_t n = shape->block_tokens, width = shape->head_width,
           values = model_landmark_width(shape) * n;
    enum tensor_type type;
    const void *stored;
    struct lmk_error error;
    must(store_keys_values(steps->view, block, &type, &stored, NULL, &error), &error);
    float *keys = malloc(values * sizeof *keys);
    rows_unpack(type, stored, keys, values);
    double mean = 0, turned[64], scores[64];
    memset(token_scores, 0, n * sizeof *token_scores);
    for (size_t m = 0; m < shape->memory_layer_count; m++)
        for (size_t h = 0; h < shape->heads; h++)
            for (size_t t = 0; t < id_count(steps); t++) {
                const float *query = sequence_far_query(steps->first_pass, m, h, t);
                size_t set = m * shape->kv_heads + h / (shape->heads / shape->kv_heads);
                double sum = 0;
                for (size_t i = 0; i < n; i++) {
                    reference_rotate(shape, keys + (set * n + i) * width, (double)i, turned);
                    scores[i] = 0;
                    for (size_t j = 0; j < width; j++)
                        scores[i] += turned[j] * (double)query[j] / sqrt((double)width);
                    sum += exp(scores[i]);
                }
                mean += log(sum);
                for (size_t i = 0; i < n; i++)
                    token_scores[i] += exp(scores[i]) / sum;
            }
    free(keys);
    return mean / (double)(shape->memory_layer_count * shape->heads * id_count(steps));
}

/* ---- passages */

static char *read_source(const struct lmk_passage *passage, uint64_t start, uint64_t end)
{
    FILE *file = fopen(passage->path, "rb");
    assert_non_null(file);
    assert_true(start <= end);
    char *bytes = calloc(end - start + 1, 1);
    fseek(file, (long)start, SEEK_SET);
    assert_int_equal(fread(bytes, 1, end - start, file), end - start);
    fclose(file);
    return bytes;
}

/* The bytes of the source say what the passage shows, but for their line breaks. */
static void check_range(const struct lmk_passage *passage, uint64_t start, uint64_t end,
                        const char *text, size_t size)
{
    char *source = read_source(passage, start, end), *to = source;
    for (const char *from = source; *from; from++)
        if (*from != '\r')
            *to++ = *from == '\n' ? ' ' : *from;
    assert_int_equal(to - source, size);
    assert_memory_equal(source, text, size);
    free(source);
}

static void check_mark(const struct lmk_passage *passage)
{
    assert_true(passage->mark_start < passage->mark_end &&
                passage->mark_end <= strlen(passage->text));
    check_range(passage, passage->mark_source_start, passage->mark_source_end,
                passage->text + passage->mark_start, passage->mark_end - passage->mark_start);
    /* A sentence: these books have full stops and nothing else. */
    const char *start = passage->text + passage->mark_start,
               *end = passage->text + passage->mark_end;
    assert_true(passage->mark_start == 0 || !memcmp(start - 2, ". ", 2));
    assert_true(*end == '\0' || (end[-1] == '.' && *end == ' '));
    assert_null(memmem(start, (size_t)(end - start), ". ", 2));
    assert_true(passage->mark_share >= 0 && passage->mark_share <= 1);
}

/* What the marked sentence receives of the block's attention, token by token; sources without line
 * breaks have their text's offsets. */
static double share_of(const struct steps *steps, uint64_t block, const double *token_scores,
                       uint64_t start, uint64_t end)
{
    struct buffer tokens, runs;
    struct block_text text;
    struct lmk_error error;
    buffer_init(&tokens, 1 << 20);
    buffer_init(&runs, 1 << 20);
    must(store_block_text(steps->view, block, &tokens, &runs, &text, &error), &error);
    double within = 0, all = 0;
    uint64_t at = text.text_start;
    for (size_t t = 0; t < text.token_count; t++) {
        size_t size;
        tokenizer_bytes(tiny_model->tokenizer, text.tokens[t], &size);
        if (!text.text_start && t == 1)
            size--;
        all += size ? token_scores[t] : 0;
        within += size && at + size / 2 >= start && at + size / 2 < end ? token_scores[t] : 0;
        at += size;
    }
    buffer_release(&tokens);
    buffer_release(&runs);
    return within / all;
}

static void check_passage(const struct steps *steps, const struct lmk_passage *passage)
{
    double token_scores[64], mean = attention(steps, passage->block, token_scores);
    struct document document;
    struct buffer tokens, runs;
    struct block_text text;
    struct lmk_error error;
    buffer_init(&tokens, 1 << 20);
    buffer_init(&runs, 1 << 20);
    must(store_document_of_block(steps->view, passage->block, &document, &error), &error);
    assert_int_equal(document.id, passage->document);
    assert_string_equal(document.path, passage->path);
    assert_string_equal(document.title, passage->title);
    must(store_block_text(steps->view, passage->block, &tokens, &runs, &text, &error), &error);
    assert_true(passage->source_start <= text.source_start &&
                passage->source_end >= text.source_end);
    check_range(passage, passage->source_start, passage->source_end, passage->text,
                strlen(passage->text));
    check_mark(passage);
    assert_true(fabs(passage->attention_score - mean) < 1e-3);
    if (!strstr(passage->path, "wrapped"))
        assert_true(fabs(passage->mark_share - share_of(steps, passage->block, token_scores,
                                                        passage->mark_source_start,
                                                        passage->mark_source_end)) < 1e-3);
    buffer_release(&tokens);
    buffer_release(&runs);
}

static void test_search(void **state)
{
    (void)state;
    struct steps steps;
    struct lmk_results *results;
    struct lmk_search_options options = lmk_search_defaults();
    struct lmk_error error;
    open_steps(&steps);
    options.mode = LMK_LANDMARK;
    options.per_document = 0;
    options.merge = false;
    options.top = steps.block_count + 7;
    must(lmk_search(collection, question, &options, &results, &error), &error);
    assert_int_equal(results->count, steps.block_count);
    assert_int_equal(results->documents, 3);
    assert_int_equal(results->documents_ready, 3);
    bool seen[MOST_BLOCKS] = {false};
    for (size_t i = 0; i < results->count; i++) {
        const struct lmk_passage *passage = &results->passages[i];
        assert_true(!i || passage->score <= results->passages[i - 1].score);
        assert_true(passage->block < steps.block_count && !seen[passage->block]);
        seen[passage->block] = true;
        assert_true(fabs(passage->landmark_score - steps.ranked[i].score) < 1e-3);
        check_passage(&steps, passage);
    }
    lmk_results_free(results);
    close_steps(&steps);
}

static void test_search_defaults(void **state)
{
    (void)state;
    struct lmk_results *results, *few;
    struct lmk_error error;
    struct lmk_search_options options = lmk_search_defaults();
    must(lmk_search(collection, question, NULL, &results, &error), &error);
    assert_int_equal(results->count, 10);
    lmk_results_free(results);
    options.mode = LMK_LANDMARK;
    options.merge = false;
    must(lmk_search(collection, question, &options, &results, &error), &error);
    options.top = 3;
    options.candidates = 1; /* fewer than wanted: as many as wanted are taken */
    must(lmk_search(collection, question, &options, &few, &error), &error);
    assert_int_equal(few->count, 3);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(few->passages[i].block, results->passages[i].block);
    lmk_results_free(results);
    lmk_results_free(few);
}

/* ---- answers */

struct expected {
    uint64_t blocks[READ];
    double shares[READ]; /* add up to one */
    struct buffer text;  /* a string */
    size_t tokens;
    double log_likelihood;
};

static int by_number(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

static void add_masses(const struct sequence *sequence, double *shares)
{
    float mass[64 * READ];
    sequence_landmark_mass(sequence, mass);
    for (size_t m = 0; m < tiny_model->shape.memory_layer_count; m++)
        for (size_t i = 0; i < READ; i++)
            shares[i] += (double)mass[m * READ + i];
}

static double log_probability(const float *logits, uint32_t id)
{
    double sum = 0;
    for (size_t i = 0; i < tiny_model->shape.vocabulary; i++)
        sum += exp((double)logits[i] - (double)logits[id]);
    return -log(sum);
}

static void write_greedily(struct sequence *sequence, struct expected *expected)
{
    struct utf8_held held = {.count = 0};
    struct lmk_error error;
    while (expected->tokens < MOST_TOKENS) {
        const float *logits = sequence_logits(sequence);
        uint32_t best = 0;
        for (uint32_t id = 1; id < tiny_model->shape.vocabulary; id++)
            best = logits[id] > logits[best] ? id : best;
        add_masses(sequence, expected->shares);
        if (best == tiny_model->shape.eos_id || best == tiny_model->shape.newline_id)
            break;
        expected->log_likelihood += log_probability(logits, best);
        size_t size;
        const char *bytes = tokenizer_bytes(tiny_model->tokenizer, best, &size);
        must(utf8_append(&held, bytes, size, &expected->text, &error), &error);
        expected->tokens++;
        must(sequence_feed(sequence, &best, 1, NULL, &error), &error);
    }
    must(utf8_finish(&held, &expected->text, &error), &error);
    must(buffer_append(&expected->text, "", 1, &error), &error);
    expected->log_likelihood /= expected->tokens ? (double)expected->tokens : 1;
}

static void read_blocks(const struct steps *steps, bool generate, struct expected *expected)
{
    struct memory_block memory[READ];
    struct sequence *sequence;
    struct memory *source;
    struct lmk_error error;
    memset(expected, 0, sizeof *expected);
    buffer_init(&expected->text, 1 << 20);
    for (size_t i = 0; i < READ; i++)
        expected->blocks[i] = steps->ranked[i].block;
    qsort(expected->blocks, READ, sizeof(uint64_t), by_number);
    must(memory_open(&source, tiny_model, steps->view, &error), &error);
    for (size_t i = 0; i < READ; i++)
        must(memory_load(source, expected->blocks[i], &memory[i], &error), &error);
    memory_close(source); /* all of it lies in the map */
    must(sequence_open(&sequence, tiny_model, id_count(steps) + MOST_TOKENS, false, &error),
         &error);
    must(sequence_set_memory(sequence, memory, READ, &error), &error);
    must(sequence_feed(sequence, ids(steps), id_count(steps), NULL, &error), &error);
    if (generate)
        write_greedily(sequence, expected);
    else
        add_masses(sequence, expected->shares);
    double sum = 0;
    for (size_t i = 0; i < READ; i++)
        sum += expected->shares[i];
    for (size_t i = 0; i < READ; i++)
        expected->shares[i] /= sum;
    sequence_close(sequence);
}

static void check_answer(const struct steps *steps, const struct expected *expected,
                         const struct lmk_answer *answer)
{
    assert_int_equal(answer->count, READ);
    assert_int_equal(answer->documents, 3);
    double sum = 0;
    for (size_t i = 0; i < READ; i++) {
        const struct lmk_passage *passage = &answer->passages[i];
        size_t at = 0;
        while (at < READ && expected->blocks[at] != passage->block)
            at++;
        assert_true(at < READ);
        assert_true(fabs(passage->share - expected->shares[at]) < 1e-4);
        assert_true(!i || passage->share <= answer->passages[i - 1].share);
        sum += passage->share;
        check_passage(steps, passage);
    }
    assert_true(fabs(sum - 1) < 1e-6);
}

static struct lmk_ask_options ask_options(bool generate)
{
    struct lmk_ask_options options = lmk_ask_defaults(tiny_model);
    options.mode = LMK_LANDMARK;
    assert_false(options.generate); /* the model does not say that it can */
    options.blocks = READ;
    options.generate = generate;
    options.max_tokens = MOST_TOKENS;
    return options;
}

static struct lmk_answer *ask(const struct lmk_ask_options *options)
{
    struct lmk_answer *answer;
    struct lmk_error error;
    must(lmk_ask(collection, question, options, &answer, &error), &error);
    return answer;
}

static void test_ask(void **state)
{
    (void)state;
    struct steps steps;
    struct expected expected;
    struct lmk_ask_options options = ask_options(false);
    open_steps(&steps);
    read_blocks(&steps, false, &expected);
    struct lmk_answer *answer = ask(&options);
    assert_null(answer->text);
    assert_true(isnan(answer->confidence) && answer->found);
    assert_int_equal(answer->tokens, 0);
    check_answer(&steps, &expected, answer);
    lmk_answer_free(answer);
    /* An answer of no tokens is none, and rests on the same. */
    options.generate = true;
    options.max_tokens = 0;
    answer = ask(&options);
    assert_int_equal(answer->tokens, 0);
    check_answer(&steps, &expected, answer);
    lmk_answer_free(answer);
    close_steps(&steps);
}

struct streamed {
    char text[1024];
    size_t size, pieces, stop_after;
};

/* By the C library's decoder, which takes no ill-formed or cut character. */
static void assert_utf8(const char *text, size_t size)
{
    uint32_t characters[1024];
    char *from = (char *)(uintptr_t)text, *to = (char *)characters;
    size_t room = sizeof characters;
    iconv_t decoder = iconv_open("UTF-32LE", "UTF-8");
    assert_true(iconv(decoder, &from, &size, &to, &room) == 0 && size == 0);
    iconv_close(decoder);
}

static bool collect(void *context, const char *text, size_t size)
{
    struct streamed *streamed = context;
    assert_true(size > 0);
    assert_utf8(text, size);
    assert_true(streamed->size + size < sizeof streamed->text);
    memcpy(streamed->text + streamed->size, text, size);
    streamed->size += size;
    return ++streamed->pieces != streamed->stop_after;
}

static void test_generate(void **state)
{
    (void)state;
    struct steps steps;
    struct expected expected;
    struct streamed streamed = {.stop_after = 0};
    struct lmk_ask_options options = ask_options(true);
    open_steps(&steps);
    read_blocks(&steps, true, &expected);
    options.stream = collect;
    options.context = &streamed;
    struct lmk_answer *answer = ask(&options);
    assert_int_equal(answer->tokens, expected.tokens);
    assert_true(expected.tokens > 3);
    const char *text = (const char *)expected.text.data;
    assert_string_equal(answer->text, text + strspn(text, " "));
    assert_string_equal(streamed.text, answer->text);
    assert_true(fabs(answer->log_likelihood - expected.log_likelihood) < 1e-3);
    assert_true(fabs(answer->confidence - exp(expected.log_likelihood)) < 1e-3);
    assert_int_equal(answer->found, answer->words && 2 * answer->words_read >= answer->words);
    check_answer(&steps, &expected, answer);
    lmk_answer_free(answer);
    /* The caller stops it. */
    streamed = (struct streamed){.stop_after = 3};
    answer = ask(&options);
    assert_int_equal(streamed.pieces, 3);
    assert_string_equal(streamed.text, answer->text);
    assert_true(answer->tokens < expected.tokens);
    lmk_answer_free(answer);
    buffer_release(&expected.text);
    close_steps(&steps);
}

static void test_sampling(void **state)
{
    (void)state;
    struct lmk_ask_options options = ask_options(true);
    options.temperature = 5;
    options.seed = 11;
    struct streamed streamed = {.stop_after = 0};
    options.stream = collect;
    options.context = &streamed;
    struct lmk_answer *one = ask(&options);
    assert_string_equal(streamed.text, one->text);
    assert_non_null(strstr(one->text, "\xef\xbf\xbd")); /* byte pieces that make no character */
    options.stream = NULL;
    struct lmk_answer *same = ask(&options);
    options.seed = 12;
    struct lmk_answer *other = ask(&options);
    assert_string_equal(one->text, same->text);
    assert_string_not_equal(one->text, other->text);
    /* Nearly cold, it is the greedy answer. */
    options.temperature = 1e-6f;
    struct lmk_answer *cold = ask(&options);
    options.temperature = 0;
    struct lmk_answer *greedy = ask(&options);
    assert_string_equal(cold->text, greedy->text);
    assert_true(greedy->log_likelihood >= one->log_likelihood);
    lmk_answer_free(one);
    lmk_answer_free(same);
    lmk_answer_free(other);
    lmk_answer_free(cold);
    lmk_answer_free(greedy);
}

/* Finer granularities: shares are those of blocks, best first, and add up to one. */
static void test_finer(void **state)
{
    (void)state;
    static const enum lmk_granularity kinds[] = {LMK_TOKEN, LMK_HEAD, LMK_CHUNK};
    struct steps steps;
    open_steps(&steps);
    for (size_t kind = 0; kind < 3; kind++) {
        struct lmk_ask_options options = ask_options(kind == 1);
        options.granularity = kinds[kind];
        struct lmk_answer *answer = ask(&options);
        double sum = 0;
        assert_int_equal(answer->count, READ);
        for (size_t i = 0; i < READ; i++) {
            sum += answer->passages[i].share;
            assert_true(!i || answer->passages[i].share <= answer->passages[i - 1].share);
            check_passage(&steps, &answer->passages[i]);
        }
        assert_true(fabs(sum - 1) < 1e-6);
        assert_true((answer->text != NULL) == options.generate);
        lmk_answer_free(answer);
    }
    close_steps(&steps);
}

/* More blocks wanted than there are. */
static void test_small_collection(void **state)
{
    (void)state;
    struct lmk_answer *answer;
    struct lmk_error error;
    scratch_write_text("small/a.txt", "One small text, of one block.\n");
    struct lmk_collection *small = scratch_create("small.lmk", tiny_model, LMK_TIER_F16, NULL);
    scratch_index(small, "small");
    must(lmk_ask(small, question, NULL, &answer, &error), &error);
    assert_int_equal(answer->count, 1);
    assert_true(fabs(answer->passages[0].share - 1) < 1e-9);
    assert_string_equal(answer->passages[0].text, "One small text, of one block.");
    lmk_answer_free(answer);
    lmk_collection_close(small);
}

/* The last byte of a file is none of UTF-8: three bytes of text, one of source. */
static void test_range_at_the_end(void **state)
{
    (void)state;
    struct lmk_results *results;
    struct lmk_error error;
    const char *source = "A text \xe2\x80\x94 that ends badly \xff";
    scratch_write_text("bad/a.txt", source);
    struct lmk_collection *bad = scratch_create("bad.lmk", tiny_model, LMK_TIER_F16, NULL);
    scratch_index(bad, "bad");
    must(lmk_search(bad, question, NULL, &results, &error), &error);
    assert_int_equal(results->count, 1);
    assert_string_equal(results->passages[0].text,
                        "A text \xe2\x80\x94 that ends badly \xef\xbf\xbd");
    assert_int_equal(results->passages[0].source_start, 0);
    assert_int_equal(results->passages[0].source_end, strlen(source));
    assert_int_equal(results->passages[0].mark_source_end, strlen(source));
    lmk_results_free(results);
    lmk_collection_close(bad);
}

/* Where there is no attention, the words choose: one rare word rather than two common ones. */
static void test_mark_by_words(void **state)
{
    (void)state;
    static const enum lmk_mode modes[] = {LMK_HYBRID, LMK_LEXICAL};
    struct lmk_results *results;
    struct lmk_error error;
    struct lmk_search_options options = lmk_search_defaults();
    scratch_write_text("harbour/a.txt", "The boats lay in the harbour. A heron stood on the quay. "
                                        "The boats left the harbour at dusk.");
    scratch_write_text("harbour/b.txt", "The boats were painted. The harbour froze.");
    scratch_write_text("harbour/c.txt", "A harbour without boats is a bay.");
    struct lmk_collection *harbour = scratch_create("harbour.lmk", tiny_model, LMK_TIER_NONE, NULL);
    scratch_index(harbour, "harbour");
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        options.mode = modes[i];
        must(lmk_search(harbour, "boats harbour heron", &options, &results, &error), &error);
        const struct lmk_passage *passage = NULL;
        for (size_t j = 0; j < results->count; j++)
            if (strstr(results->passages[j].path, "a.txt"))
                passage = &results->passages[j];
        assert_non_null(passage);
        const char *marked = "A heron stood on the quay.";
        assert_int_equal(passage->mark_end - passage->mark_start, strlen(marked));
        assert_memory_equal(passage->text + passage->mark_start, marked, strlen(marked));
        assert_int_equal(passage->mark_source_start, strlen("The boats lay in the harbour. "));
        assert_true(passage->mark_share == 0);
        lmk_results_free(results);
    }
    lmk_collection_close(harbour);
}

/* The score that chose a block is the one that a search gives it; of finer granularities it is the
 * share. */
static void test_ranking_score(void **state)
{
    (void)state;
    struct lmk_answer *answer;
    struct lmk_results *results;
    struct lmk_error error;
    struct lmk_search_options searched = lmk_search_defaults();
    struct lmk_ask_options asked = lmk_ask_defaults(tiny_model);
    searched.merge = false;
    searched.per_document = 0;
    searched.top = searched.candidates;
    must(lmk_search(collection, question, &searched, &results, &error), &error);
    must(lmk_ask(collection, question, &asked, &answer, &error), &error);
    for (size_t i = 0; i < answer->count; i++) {
        size_t j = 0;
        while (j < results->count && results->passages[j].block != answer->passages[i].block)
            j++;
        assert_true(j < answer->count); /* the best are read */
        assert_true(answer->passages[i].ranking_score == results->passages[j].score);
        assert_true(answer->passages[i].score == answer->passages[i].share);
        assert_true(results->passages[j].ranking_score == results->passages[j].score);
    }
    lmk_results_free(results);
    lmk_answer_free(answer);
    asked.granularity = LMK_TOKEN;
    must(lmk_ask(collection, question, &asked, &answer, &error), &error);
    double ranked = 0, shares = 0;
    for (size_t i = 0; i < answer->count; i++)
        ranked += answer->passages[i].ranking_score;
    for (size_t i = 0; i < answer->count; i++) {
        shares += answer->passages[i].share;
        assert_true(fabs(answer->passages[i].ranking_score / ranked - answer->passages[i].share) <
                    1e-9);
    }
    assert_true(answer->count && fabs(shares - 1) < 1e-9);
    lmk_answer_free(answer);
}

static void test_landmarks_only(void **state)
{
    (void)state;
    struct lmk_answer *answer;
    struct lmk_results *results;
    struct lmk_error error;
    struct lmk_collection *bare = scratch_create("bare.lmk", tiny_model, LMK_TIER_NONE, NULL);
    scratch_index(bare, "books");
    must(lmk_search(bare, question, NULL, &results, &error), &error);
    assert_int_equal(results->count, 10);
    assert_true(isnan(results->passages[0].attention_score));
    lmk_results_free(results);
    struct lmk_search_options options = lmk_search_defaults();
    options.mode = LMK_LANDMARK;
    must(lmk_search(bare, question, &options, &results, &error), &error);
    assert_int_equal(results->passages[0].mark_end, 0); /* neither attention nor words */
    lmk_results_free(results);
    /* An answer computes them again: as if they had been kept, but not rounded to 16 bits. */
    struct lmk_collection *kept = scratch_create("kept.lmk", tiny_model, LMK_TIER_F16, NULL);
    struct lmk_answer *expected;
    scratch_index(kept, "books");
    must(lmk_ask(kept, question, NULL, &expected, &error), &error);
    must(lmk_ask(bare, question, NULL, &answer, &error), &error);
    assert_int_equal(answer->count, expected->count);
    assert_int_equal(answer->computed_blocks, answer->count);
    for (size_t i = 0; i < answer->count; i++) {
        assert_int_equal(answer->passages[i].block, expected->passages[i].block);
        assert_true(fabs(answer->passages[i].share - expected->passages[i].share) < 1e-2);
        assert_true(fabs(answer->passages[i].attention_score -
                         expected->passages[i].attention_score) < 1e-2);
    }
    lmk_answer_free(expected);
    lmk_answer_free(answer);
    lmk_collection_close(kept);
    lmk_collection_close(bare);
}

static void test_empty_collection(void **state)
{
    (void)state;
    static const enum lmk_granularity kinds[] = {LMK_QUESTION, LMK_TOKEN, LMK_HEAD, LMK_CHUNK};
    struct lmk_collection *empty = scratch_create("empty.lmk", tiny_model, LMK_TIER_F16, NULL);
    for (size_t kind = 0; kind < 4; kind++) {
        struct lmk_search_options search = lmk_search_defaults();
        struct lmk_ask_options options = lmk_ask_defaults(tiny_model);
        struct lmk_results *results;
        struct lmk_answer *answer;
        struct lmk_error error;
        search.granularity = options.granularity = kinds[kind];
        assert_int_equal(lmk_search(empty, question, &search, &results, &error), LMK_NOT_FOUND);
        assert_null(results);
        assert_int_equal(lmk_ask(empty, question, &options, &answer, &error), LMK_NOT_FOUND);
        assert_null(answer);
    }
    lmk_collection_close(empty);
}

static void expect_search_usage(const char *text, struct lmk_search_options options)
{
    struct lmk_results *results;
    struct lmk_error error;
    assert_int_equal(lmk_search(collection, text, &options, &results, &error), LMK_USAGE);
    assert_null(results);
    assert_true(strlen(error.message) > 10);
}

static void expect_ask_usage(const char *text, struct lmk_ask_options options)
{
    struct lmk_answer *answer;
    struct lmk_error error;
    assert_int_equal(lmk_ask(collection, text, &options, &answer, &error), LMK_USAGE);
    assert_null(answer);
    assert_true(strlen(error.message) > 10);
}

static void test_misuse(void **state)
{
    (void)state;
    struct lmk_search_options search = lmk_search_defaults(), s = search;
    struct lmk_ask_options options = lmk_ask_defaults(tiny_model), o = options;
    s.top = 0, expect_search_usage(question, s), s = search;
    s.top = SIZE_MAX, expect_search_usage(question, s), s = search;
    s.candidates = SIZE_MAX, expect_search_usage(question, s), s = search;
    s.blocks = 0, expect_search_usage(question, s), s = search;
    s.blocks = SIZE_MAX / 16 + 2, s.granularity = LMK_HEAD, expect_search_usage(question, s),
    s = search;
    s.granularity = (enum lmk_granularity)4, expect_search_usage(question, s), s = search;
    expect_search_usage("", s);
    expect_search_usage(" \n\t", s);
    o.blocks = 0, expect_ask_usage(question, o), o = options;
    o.blocks = SIZE_MAX, expect_ask_usage(question, o), o = options;
    o.candidates = SIZE_MAX / 16 + 2, expect_ask_usage(question, o), o = options;
    o.max_tokens = SIZE_MAX, expect_ask_usage(question, o), o = options;
    o.texts = 17, expect_ask_usage(question, o), o = options;
    o.granularity = (enum lmk_granularity)4, expect_ask_usage(question, o), o = options;
    expect_ask_usage("", o);
    char *text = malloc(8001);
    memset(text, 'x', 8000);
    text[8000] = '\0';
    expect_search_usage(text, s);
    expect_ask_usage(text, o);
    free(text);
}

static void test_without_model(void **state)
{
    (void)state;
    struct lmk_results *results;
    struct lmk_answer *answer;
    struct lmk_error error;
    struct lmk_collection *reader = scratch_reader("books.lmk", NULL);
    assert_int_equal(lmk_search(reader, question, NULL, &results, &error), LMK_USAGE);
    assert_int_equal(lmk_ask(reader, question, NULL, &answer, &error), LMK_USAGE);
    lmk_collection_close(reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_search),
        cmocka_unit_test(test_search_defaults),
        cmocka_unit_test(test_ask),
        cmocka_unit_test(test_generate),
        cmocka_unit_test(test_sampling),
        cmocka_unit_test(test_finer),
        cmocka_unit_test(test_small_collection),
        cmocka_unit_test(test_mark_by_words),
        cmocka_unit_test(test_ranking_score),
        cmocka_unit_test(test_landmarks_only),
        cmocka_unit_test(test_range_at_the_end),
        cmocka_unit_test(test_empty_collection),
        cmocka_unit_test(test_misuse),
        cmocka_unit_test(test_without_model),
    };
    return cmocka_run_group_tests(tests, open_group, close_group);
}
