/* Answers by reading the best texts again, against documents built from the sources and answers
 * written one token at a time, in double precision. One byte is one token of this model. */
#include "index/reread.h"
#include "index/surest.h"
#include "tests/unit/scratch.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { LONG, SHORT, PAIR, BOOKS, MOST_TOKENS = 12, MOST_BLOCKS = 300, MOST_IDS = 1000 };

static const char *const asked = "Who ate the hat?";
static const char *const long_question =
    "Where did the onion go, who ate the hat, and why did nobody say a word about it?";

/* The books in the order of their ids. */
static struct {
    const char *name;
    size_t words;
    uint32_t *tokens; /* of the document, BOS included */
    size_t count;
    struct document document;
} books[BOOKS] = {{.name = "a-long.txt", .words = 700},
                  {.name = "b-short.txt", .words = 4},
                  {.name = "c-pair.txt", .words = 16}};

static struct lmk_collection *collection;
static struct store_view *view;

static void encode(const char *text, size_t size, struct buffer *ids)
{
    struct lmk_error error;
    must(tokenizer_encode(tiny_model->tokenizer, text, size, true, ids, &error), &error);
}

static void write_book(size_t i)
{
    char name[64], *prose = scratch_prose(i + 7, books[i].words);
    struct buffer ids;
    snprintf(name, sizeof name, "books/%s", books[i].name);
    scratch_write_text(name, prose);
    buffer_init(&ids, 1 << 20);
    must(buffer_append(&ids, &tiny_model->shape.bos_id, sizeof(uint32_t), NULL), NULL);
    encode(prose, strlen(prose) - 1, &ids); /* without the newline at its end */
    books[i].tokens = (uint32_t *)ids.data;
    books[i].count = ids.size / sizeof(uint32_t);
    free(prose);
}

static void find_book(size_t i)
{
    struct lmk_error error;
    struct document *document = &books[i].document;
    for (uint64_t id = 1; id <= BOOKS; id++) {
        must(store_document(view, id, document, &error), &error);
        if (strstr(document->path, books[i].name)) {
            assert_int_equal(document->token_count, books[i].count);
            return;
        }
    }
    fail_msg("%s is not there", books[i].name);
}

static int open_group(void **state)
{
    if (scratch_open_model(state))
        return -1;
    for (size_t i = 0; i < BOOKS; i++)
        write_book(i);
    collection = scratch_create("books.lmk", tiny_model, LMK_TIER_F16, NULL);
    scratch_index(collection, "books");
    view = scratch_view(collection);
    for (size_t i = 0; i < BOOKS; i++)
        find_book(i);
    return 0;
}

static int close_group(void **state)
{
    store_view_end(view);
    lmk_collection_close(collection);
    for (size_t i = 0; i < BOOKS; i++)
        free(books[i].tokens);
    return scratch_close_model(state);
}

/* ---- documents, as train/reread.py makes them */

struct ids {
    uint32_t items[MOST_IDS];
    size_t count;
    size_t start, size; /* of the window in the book's tokens */
};

static void add(struct ids *ids, const uint32_t *items, size_t count)
{
    assert_true(ids->count + count <= MOST_IDS);
    memcpy(ids->items + ids->count, items, count * sizeof *items);
    ids->count += count;
}

static size_t book_of(uint64_t block)
{
    size_t i = 0;
    while (block < books[i].document.first_block ||
           block >= books[i].document.first_block + books[i].document.block_count)
        assert_true(++i < BOOKS);
    return i;
}

/* window() of train/reread.py with a share of 0.5, in its own words */
static long window(long length, long first, long last, long size)
{
    if (length <= size)
        return 0;
    long low = last + 1 - size > 0 ? last + 1 - size : 0;
    long high = first < length - size ? first : length - size;
    long most = low > high ? low : high;
    return low + (long)(0.5 * ((double)(most - low) + 0.999));
}

static struct ids expect_document(const char *question, uint64_t block)
{
    const struct model_shape *shape = &tiny_model->shape;
    long n = shape->block_tokens, prompt;
    size_t book = book_of(block);
    struct buffer line, after;
    struct ids ids = {.count = 0};
    char text[400];
    buffer_init(&line, 1 << 20);
    buffer_init(&after, 1 << 20);
    snprintf(text, sizeof text, "Question: %s", question);
    encode(text, strlen(text), &line);
    must(buffer_append(&after, &shape->newline_id, sizeof(uint32_t), NULL), NULL);
    encode("Answer:", 7, &after);
    size_t line_count = line.size / sizeof(uint32_t), after_count = after.size / sizeof(uint32_t);
    if (line_count > 40 - 1 - after_count)
        line_count = 40 - 1 - after_count;
    prompt = (long)(line_count + after_count);
    long size = 4 * n - 2 * prompt - 2 - 16, length = (long)books[book].count;
    long first = (long)(block - books[book].document.first_block) * n;
    long last = (first + n < length ? first + n : length) - 1;
    long start = window(length, first, last, size);
    size = start + size > length ? length - start : size;
    ids.start = (size_t)start;
    ids.size = (size_t)size;
    long skipped = start == 0; /* BOS */
    add(&ids, &shape->bos_id, 1);
    add(&ids, (uint32_t *)line.data, line_count);
    add(&ids, &shape->newline_id, 1);
    add(&ids, books[book].tokens + start + skipped, (size_t)(size - skipped));
    add(&ids, &shape->newline_id, 1);
    add(&ids, (uint32_t *)line.data, line_count);
    add(&ids, (uint32_t *)after.data, after_count);
    buffer_release(&line);
    buffer_release(&after);
    return ids;
}

static struct question open_question(const char *text)
{
    struct question question;
    struct lmk_error error;
    must(question_open(&question, tiny_model, text, false, &error), &error);
    return question;
}

static void check_documents(const char *text, size_t book)
{
    struct question question = open_question(text);
    const struct document *document = &books[book].document;
    for (uint64_t i = 0; i < document->block_count; i++) {
        struct ids expected = expect_document(text, document->first_block + i);
        struct buffer ids;
        struct lmk_error error;
        buffer_init(&ids, 1 << 20);
        must(reread_document(tiny_model, view, &question, document->first_block + i, &ids, &error),
             &error);
        assert_int_equal(ids.size, expected.count * sizeof(uint32_t));
        assert_memory_equal(ids.data, expected.items, ids.size);
        assert_true(expected.count + 16 <= 4 * (size_t)tiny_model->shape.block_tokens);
        buffer_release(&ids);
    }
    question_close(&question);
}

static void test_documents(void **state)
{
    (void)state;
    for (size_t book = 0; book < BOOKS; book++) {
        check_documents(asked, book);
        check_documents(long_question, book);
    }
}

/* What the expectation itself says: the block stands in the middle where it can, the text is as
 * long as it may be, and begins and ends with its document. */
static void test_windows(void **state)
{
    (void)state;
    const struct document *document = &books[LONG].document;
    size_t n = tiny_model->shape.block_tokens, count = books[LONG].count, middle = 20;
    assert_true(document->block_count > 2 * middle - 2);
    struct ids ids = expect_document(asked, document->first_block);
    assert_int_equal(ids.start, 0);
    assert_true(ids.size > 2 * n);
    ids = expect_document(asked, document->first_block + document->block_count - 1);
    assert_int_equal(ids.start + ids.size, count);
    ids = expect_document(asked, document->first_block + middle);
    size_t before = middle * n - ids.start, behind = ids.start + ids.size - (middle + 1) * n;
    assert_true(before == behind || before == behind + 1);
    ids = expect_document(asked, books[PAIR].document.first_block + 1);
    assert_true(books[PAIR].document.block_count == 2 && ids.size == books[PAIR].count);
    /* The long question is cut, so both fill the four blocks. */
    struct question question = open_question(long_question);
    assert_true(question_length(&question) > 40);
    question_close(&question);
    ids = expect_document(long_question, document->first_block + middle);
    assert_int_equal(ids.count + 16 + 8, 4 * n); /* as if "Answer:" stood there twice */
}

/* Blocks too small for the question: the block itself is read all the same. */
static void test_small_blocks(void **state)
{
    (void)state;
    struct lmk_error error;
    struct lmk_model *model = scratch_model("tiny-slot");
    model->shape.block_tokens = 6;
    model->shape.block_rows = 7;
    struct lmk_collection *small = scratch_create("small.lmk", model, LMK_TIER_NONE, NULL);
    scratch_index(small, "books/c-pair.txt");
    struct store_view *small_view = scratch_view(small);
    struct question question;
    struct buffer ids;
    must(question_open(&question, model, long_question, false, &error), &error);
    for (uint64_t block = 0; block * 6 < books[PAIR].count; block++) {
        buffer_init(&ids, 1 << 20);
        must(reread_document(model, small_view, &question, block, &ids, &error), &error);
        size_t first = 6 * block,
               end = first + 6 < books[PAIR].count ? first + 6 : books[PAIR].count;
        if (end - first < 6)
            first = end - 6; /* the last one, with what stands before it */
        first += first == 0; /* BOS */
        const uint32_t *text = (const uint32_t *)ids.data + 1 + 30 + 1;
        assert_int_equal(ids.size / sizeof *text, 1 + 30 + 1 + (end - first) + 1 + 39);
        assert_memory_equal(text, books[PAIR].tokens + first, (end - first) * sizeof *text);
        buffer_release(&ids);
    }
    question_close(&question);
    store_view_end(small_view);
    lmk_collection_close(small);
    lmk_model_close(model);
}

/* ---- answers */

struct expected {
    uint64_t block;
    uint32_t tokens[MOST_TOKENS];
    size_t count;
    double sum, all; /* log-probabilities: of the tokens; with the end */
};

static double log_probability(const float *logits, uint32_t id)
{
    double sum = 0;
    for (size_t i = 0; i < tiny_model->shape.vocabulary; i++)
        sum += exp((double)logits[i] - (double)logits[id]);
    return -log(sum);
}

static struct expected read_text(const char *question, uint64_t block)
{
    struct ids ids = expect_document(question, block);
    struct expected expected = {.block = block};
    struct sequence *sequence;
    struct lmk_error error;
    must(sequence_open(&sequence, tiny_model, ids.count + MOST_TOKENS, false, &error), &error);
    must(sequence_feed(sequence, ids.items, ids.count, NULL, &error), &error);
    while (expected.count < MOST_TOKENS) {
        const float *logits = sequence_logits(sequence);
        uint32_t best = 0;
        for (uint32_t id = 1; id < tiny_model->shape.vocabulary; id++)
            best = logits[id] > logits[best] ? id : best;
        double log_p = log_probability(logits, best);
        expected.all += log_p;
        if (best == tiny_model->shape.eos_id || best == tiny_model->shape.newline_id)
            break;
        expected.sum += log_p;
        expected.tokens[expected.count++] = best;
        must(sequence_feed(sequence, &best, 1, NULL, &error), &error);
    }
    sequence_close(sequence);
    return expected;
}

static struct lmk_ask_options ask_options(size_t texts)
{
    struct lmk_ask_options options = lmk_ask_defaults(tiny_model);
    options.generate = true;
    options.max_tokens = MOST_TOKENS;
    options.texts = texts;
    return options;
}

static struct lmk_answer *ask(const char *question, const struct lmk_ask_options *options)
{
    struct lmk_answer *answer;
    struct lmk_error error;
    must(lmk_ask(collection, question, options, &answer, &error), &error);
    return answer;
}

static int by_ranking(const void *left, const void *right)
{
    double a = ((const struct lmk_passage *)left)->ranking_score,
           b = ((const struct lmk_passage *)right)->ranking_score;
    return a < b ? 1 : a > b ? -1 : 0;
}

/* The blocks read around, best first, of those that the answer from memory read, with their scores;
 * how many. */
static size_t choose(const char *question, const struct lmk_ask_options *options,
                     uint64_t taken[16], double scores[16], size_t *skipped)
{
    struct lmk_ask_options from_memory = *options;
    from_memory.texts = 0;
    from_memory.stream = NULL;
    struct lmk_answer *answer = ask(question, &from_memory);
    size_t count = 0;
    *skipped = 0;
    assert_true(answer->source == SIZE_MAX);
    qsort(answer->passages, answer->count, sizeof *answer->passages, by_ranking);
    for (size_t i = 0; i < answer->count && count < options->texts; i++) {
        uint64_t block = answer->passages[i].block;
        bool beside = false;
        for (size_t j = 0; j < count; j++)
            beside = beside || (book_of(taken[j]) == book_of(block) && taken[j] + 1 >= block &&
                                taken[j] <= block + 1);
        *skipped += beside;
        if (!beside)
            scores[count] = answer->passages[i].ranking_score;
        if (!beside)
            taken[count++] = block;
    }
    lmk_answer_free(answer);
    return count;
}

struct streamed {
    char text[256];
    size_t pieces;
};

static bool collect(void *context, const char *text, size_t size)
{
    struct streamed *streamed = context;
    streamed->pieces++;
    snprintf(streamed->text, sizeof streamed->text, "%.*s", (int)size, text);
    return false;
}

static void check_text(const struct lmk_answer *answer, const struct expected *expected)
{
    struct buffer text;
    struct utf8_held held = {.count = 0};
    buffer_init(&text, 1 << 20);
    for (size_t i = 0; i < expected->count; i++) {
        size_t size;
        const char *bytes = tokenizer_bytes(tiny_model->tokenizer, expected->tokens[i], &size);
        must(utf8_append(&held, bytes, size, &text, NULL), NULL);
    }
    must(utf8_finish(&held, &text, NULL), NULL);
    must(buffer_append(&text, "", 1, NULL), NULL);
    const char *shown = (const char *)text.data;
    assert_string_equal(answer->text, shown + (*shown == ' '));
    buffer_release(&text);
}

/* The sum of exp(score) over all candidates, all of which an answer can read here. */
static double sum_of_powers(const char *question, struct lmk_ask_options options)
{
    double sum = 0;
    options.texts = 0;
    options.stream = NULL;
    options.generate = false;
    options.blocks = MOST_BLOCKS;
    options.candidates = MOST_BLOCKS;
    struct lmk_answer *answer = ask(question, &options);
    assert_in_range(answer->count, 1, MOST_BLOCKS - 1);
    for (size_t i = 0; i < answer->count; i++)
        sum += exp(answer->passages[i].ranking_score);
    lmk_answer_free(answer);
    return sum;
}

/* Asks and compares with the surest of what the texts say, as likely as the answer and the block
 * are together; how many of them say something. */
static size_t check_answer(const char *question, struct lmk_ask_options options, size_t *skipped)
{
    uint64_t blocks[16];
    double scores[16], best_sum = 0;
    struct streamed streamed = {.pieces = 0};
    struct expected best = {.count = 0};
    options.candidates = MOST_BLOCKS;
    size_t count = choose(question, &options, blocks, scores, skipped), answering = 0;
    for (size_t i = 0; i < count; i++) {
        struct expected one = read_text(question, blocks[i]);
        answering += one.count > 0;
        if (one.count && (!best.count || one.all + scores[i] > best_sum)) {
            best = one;
            best_sum = one.all + scores[i];
        }
    }
    options.stream = collect;
    options.context = &streamed;
    struct lmk_answer *answer = ask(question, &options);
    assert_int_equal(answer->tokens, best.count);
    if (answering) {
        check_text(answer, &best);
        assert_int_equal(answer->passages[answer->source].block, best.block);
        assert_true(fabs(answer->log_likelihood - best.sum / (double)best.count) < 1e-3);
        double confidence = exp(best_sum) / sum_of_powers(question, options);
        assert_true(fabs(answer->confidence / confidence - 1) < 1e-2);
        assert_int_equal(streamed.pieces, 1);
        assert_string_equal(streamed.text, answer->text);
    } else {
        assert_string_equal(answer->text, "");
        assert_true(answer->source == SIZE_MAX && answer->confidence == 0 && !answer->found);
        assert_true(answer->log_likelihood == 0);
        assert_int_equal(streamed.pieces, 0);
    }
    assert_true(answer->timing.decode > 0);
    lmk_answer_free(answer);
    return answering;
}

static void test_answers(void **state)
{
    (void)state;
    size_t skipped;
    for (size_t texts = 1; texts <= 3; texts++) {
        assert_int_equal(check_answer(asked, ask_options(texts), &skipped), texts);
        assert_int_equal(check_answer(long_question, ask_options(texts), &skipped), texts);
    }
    /* Of so many blocks some are neighbours. */
    struct lmk_ask_options options = ask_options(16);
    options.blocks = 60;
    assert_true(check_answer(asked, options, &skipped) > 10);
    assert_true(skipped > 0);
    /* All that there are. */
    options.blocks = 2;
    assert_true(check_answer(asked, options, &skipped) <= 2);
}

/* The end counts, and an answer that ends at once is none. The model is told that it ends with what
 * it says anyhow. */
static void test_ends(void **state)
{
    (void)state;
    uint32_t eos_id = tiny_model->shape.eos_id;
    struct lmk_ask_options options = ask_options(3);
    uint64_t blocks[16];
    double scores[16];
    size_t skipped, count = choose(asked, &options, blocks, scores, &skipped), some = 0, none = 0;
    assert_int_equal(count, 3);
    for (size_t i = 0; i < count; i++) {
        struct expected one = read_text(asked, blocks[i]);
        for (size_t token = 0; token < 4; token++) {
            tiny_model->shape.eos_id = one.tokens[token];
            size_t answering = check_answer(asked, options, &skipped);
            some += answering > 0 && answering < count;
            tiny_model->shape.eos_id = eos_id;
        }
    }
    assert_true(some > 0); /* one text does not answer, another does */
    options = ask_options(1);
    choose(asked, &options, blocks, scores, &skipped);
    tiny_model->shape.eos_id = read_text(asked, blocks[0]).tokens[0];
    none = check_answer(asked, options, &skipped);
    tiny_model->shape.eos_id = eos_id;
    assert_int_equal(none, 0);
}

/* The block whose text gives the surest answer, of three, none of which keeps another from being
 * read; `step`: how much more each block's score is than that of the one before. `best_sum`: its
 * score and the logarithm of the answer's probability. */
static uint64_t expect_surest(uint64_t first, double step, double *best_sum)
{
    struct expected best = {.block = UINT64_MAX};
    *best_sum = -INFINITY;
    for (size_t i = 0; i < 3; i++) {
        struct expected one = read_text(asked, first + i);
        double sum = one.all + step * (double)i;
        if (one.count && sum > *best_sum) {
            best = one;
            *best_sum = sum;
        }
    }
    return best.block;
}

struct surest {
    uint64_t block; /* UINT64_MAX: no text answers */
    double sum;
    size_t own, drawn; /* tokens drawn for this answer, and for all of the texts */
};

/* The surest of what three texts say at most. At a temperature each token drawn takes one random
 * number, and the generator's state grows by the same constant each time. */
static struct surest find_surest(const struct question *question, const struct ranked *blocks,
                                 size_t count, float temperature)
{
    struct lmk_ask_options options = ask_options(3);
    struct surest surest = {.block = UINT64_MAX};
    struct writer writer;
    struct written best;
    struct lmk_error error;
    options.temperature = temperature;
    must(writer_open(&writer, tiny_model, &options, &error), &error);
    written_open(&best, false);
    must(surest_answer(&writer, view, question, blocks, count, &best, &surest.block, &surest.sum,
                       &error),
         &error);
    for (uint64_t at = writer.random; at != options.seed; at -= 0x9e3779b97f4a7c15u)
        surest.drawn++;
    surest.own = best.tokens + (best.end_log_probability < 0);
    written_close(&best);
    writer_close(&writer);
    return surest;
}

/* Of three blocks beside each other; `step`: how much more each one's score is than that of the one
 * before. */
static struct surest find_surest_of_three(const struct question *question, uint64_t first,
                                          double step, float temperature)
{
    struct ranked blocks[3];
    for (size_t i = 0; i < 3; i++)
        blocks[i] = (struct ranked){.block = first + i, .score = step * (double)i};
    return find_surest(question, blocks, 3, temperature);
}

/* Of two neighbours the better one is read alone: where it is silent, nothing answers, though the
 * other would. */
static void test_neighbours(void **state)
{
    (void)state;
    struct question question = open_question(asked);
    uint64_t first = books[LONG].document.first_block + 10;
    uint32_t eos_id = tiny_model->shape.eos_id;
    size_t would = 0;
    for (uint64_t block = first; block < first + 6; block++)
        for (size_t better = 0; better < 2; better++) {
            const struct ranked blocks[2] = {{.block = block, .score = better == 0},
                                             {.block = block + 1, .score = better == 1}};
            tiny_model->shape.eos_id = read_text(asked, block + better).tokens[0];
            would += read_text(asked, block + !better).count > 0;
            struct surest surest = find_surest(&question, blocks, 2, 0);
            assert_int_equal(surest.block, UINT64_MAX);
            assert_true(isinf(surest.sum) && surest.sum < 0);
            tiny_model->shape.eos_id = eos_id;
        }
    assert_true(would > 1);
    question_close(&question);
}

/* Blocks beside each other in three books are no neighbours: none keeps another from being read.
 * The model is told to end at once with what it says first of one of them, until it is the turn of
 * the one between the others. */
static void test_neighbours_of_other_books(void **state)
{
    (void)state;
    struct question question = open_question(asked);
    uint64_t first = books[SHORT].document.first_block - 1;
    uint32_t eos_id = tiny_model->shape.eos_id;
    bool between = false;
    assert_true(book_of(first) == LONG && book_of(first + 1) == SHORT &&
                book_of(first + 2) == PAIR);
    for (size_t silent = 0; silent < 3; silent++) {
        uint32_t token = read_text(asked, first + silent).tokens[0];
        tiny_model->shape.eos_id = token;
        for (int step = -40; step <= 40; step++) {
            double expected_sum;
            uint64_t expected = expect_surest(first, step, &expected_sum);
            between = between || expected == first + 1;
            struct surest surest = find_surest_of_three(&question, first, step, 0);
            assert_int_equal(surest.block, expected);
            assert_true(fabs(surest.sum - expected_sum) < 1e-2);
        }
        tiny_model->shape.eos_id = eos_id;
    }
    assert_true(between);
    question_close(&question);
}

/* A text that cannot be the surest any more is not read, and an answer that falls behind is not
 * written to its end. */
static void test_what_cannot_win_is_left_out(void **state)
{
    (void)state;
    struct question question = open_question(asked);
    uint64_t first = books[SHORT].document.first_block - 1;
    for (int step = -40; step <= 40; step += 80) {
        struct surest surest = find_surest_of_three(&question, first, step, 1e-6f);
        assert_int_equal(surest.own, MOST_TOKENS);
        assert_int_equal(surest.drawn, surest.own);
    }
    /* With that much less the others may win until some way into their answers. */
    double step = 0.4 * read_text(asked, first).all;
    struct surest surest = find_surest_of_three(&question, first, step, 1e-6f);
    assert_in_range(surest.drawn, surest.own + 1, 3 * MOST_TOKENS - 1);
    question_close(&question);
}

static void test_temperature(void **state)
{
    (void)state;
    struct lmk_ask_options options = ask_options(2);
    options.temperature = 5;
    options.seed = 3;
    struct lmk_answer *one = ask(asked, &options), *same = ask(asked, &options);
    options.seed = 4;
    struct lmk_answer *other = ask(asked, &options);
    options.temperature = 1e-6f;
    struct lmk_answer *cold = ask(asked, &options);
    options.temperature = 0;
    struct lmk_answer *greedy = ask(asked, &options);
    assert_string_equal(one->text, same->text);
    assert_string_not_equal(one->text, other->text);
    assert_string_equal(cold->text, greedy->text);
    lmk_answer_free(one);
    lmk_answer_free(same);
    lmk_answer_free(other);
    lmk_answer_free(cold);
    lmk_answer_free(greedy);
}

static void expect_support(float threshold, bool found)
{
    struct lmk_ask_options options = ask_options(2);
    tiny_model->answer_threshold = threshold;
    struct lmk_answer *answer = ask(asked, &options);
    tiny_model->answer_threshold = NAN;
    assert_int_equal(answer->found, found);
    lmk_answer_free(answer);
}

static void test_support(void **state)
{
    (void)state;
    struct lmk_ask_options options = ask_options(2);
    struct lmk_answer *answer = ask(asked, &options);
    float confidence = (float)answer->confidence;
    assert_int_equal(answer->found, answer->words && 2 * answer->words_read >= answer->words);
    lmk_answer_free(answer);
    expect_support(0, true);
    expect_support(confidence * 0.99f, true);
    expect_support(confidence * 1.01f, false);
}

static void expect_same(struct lmk_ask_options options)
{
    struct lmk_answer *answer = ask(asked, &options);
    options.texts = 0;
    struct lmk_answer *from_memory = ask(asked, &options);
    assert_int_equal(answer->count, from_memory->count);
    for (size_t i = 0; i < answer->count; i++)
        assert_true(answer->passages[i].share == from_memory->passages[i].share);
    if (answer->text)
        assert_string_equal(answer->text, from_memory->text);
    assert_true(answer->log_likelihood == from_memory->log_likelihood &&
                answer->source == SIZE_MAX);
    lmk_answer_free(answer);
    lmk_answer_free(from_memory);
}

/* Where nothing is read again; without reading, the shares are the prompt's. */
static void test_from_memory(void **state)
{
    (void)state;
    struct lmk_ask_options options = ask_options(2);
    options.verbatim = true;
    expect_same(options);
    options = ask_options(2);
    options.granularity = LMK_TOKEN;
    expect_same(options);
    options = ask_options(2);
    options.generate = false;
    expect_same(options);
    struct lmk_answer *quiet = ask(asked, &options);
    options.generate = true;
    struct lmk_answer *answer = ask(asked, &options);
    for (size_t i = 0; i < answer->count; i++)
        assert_true(answer->passages[i].share == quiet->passages[i].share);
    lmk_answer_free(quiet);
    lmk_answer_free(answer);
}

static void test_defaults(void **state)
{
    (void)state;
    assert_int_equal(lmk_ask_defaults(tiny_model).texts, 0);
    tiny_model->answer_texts = 3;
    assert_int_equal(lmk_ask_defaults(tiny_model).texts, 3);
    tiny_model->answer_texts = 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_documents),
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_small_blocks),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_neighbours),
        cmocka_unit_test(test_neighbours_of_other_books),
        cmocka_unit_test(test_what_cannot_win_is_left_out),
        cmocka_unit_test(test_temperature),
        cmocka_unit_test(test_support),
        cmocka_unit_test(test_from_memory),
        cmocka_unit_test(test_defaults),
    };
    return cmocka_run_group_tests(tests, open_group, close_group);
}
