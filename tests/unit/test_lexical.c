/* The lexical index against a plain computation over the same texts: BM25, the query language, and
 * following the store through removals, crashes and damage. */
#include "index/lexical_internal.h"
#include "index/store_internal.h"
#include "tests/unit/scratch.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { MOST_BLOCKS = 400, MOST_WORDS = 64, WORD = 24 };

/* Words that Porter's stemmer leaves as they are, from common to rare. */
static const char *const vocabulary[] = {"cat",  "dog",  "hat",  "sun",  "moon", "fish", "bird",
                                         "rock", "sand", "lamp", "door", "milk", "salt", "frog"};
enum { VOCABULARY = sizeof vocabulary / sizeof vocabulary[0] };

/* ---- the plain twin */

struct twin_block {
    char words[MOST_WORDS][WORD];
    size_t count;
};

struct twin {
    struct twin_block blocks[MOST_BLOCKS];
    size_t count;
};

static struct twin twin;

/* The words of text[start, end), in lower case. */
static void split(struct twin_block *block, const char *text, size_t start, size_t end)
{
    block->count = 0;
    for (size_t at = start; at < end;) {
        size_t size = 0;
        while (at + size < end && ((text[at + size] | 32) >= 'a' && (text[at + size] | 32) <= 'z'))
            size++;
        if (size) {
            assert_true(block->count < MOST_WORDS && size < WORD);
            char *word = block->words[block->count++];
            for (size_t i = 0; i < size; i++)
                word[i] = (char)(text[at + i] | 32);
            word[size] = '\0';
        }
        at += size ? size : 1;
    }
}

static struct lmk_collection *collection;

/* Adds the blocks of a document, whose text has no line breaks, each made whole words. Where the
 * blocks are cut the store says. */
static void twin_add(uint64_t id, const char *text)
{
    struct lmk_error error;
    struct document document;
    struct block_text block;
    struct buffer tokens, runs;
    size_t size = strlen(text);
    struct store_view *view = scratch_view(collection);
    buffer_init(&tokens, 1 << 20);
    buffer_init(&runs, 1 << 20);
    must(store_document(view, id, &document, &error), &error);
    assert_int_equal(document.text_bytes, size);
    twin.count = document.first_block + document.block_count;
    assert_true(twin.count < MOST_BLOCKS);
    for (uint64_t b = document.first_block; b < twin.count; b++) {
        must(store_block_text(view, b, &tokens, &runs, &block, &error), &error);
        size_t from = block.text_start, to = from + block.text_size;
        while (from && text[from] != ' ' && text[from - 1] != ' ')
            from--;
        while (to < size && text[to] != ' ' && text[to - 1] != ' ')
            to++;
        split(&twin.blocks[b], text, from, to);
    }
    buffer_release(&tokens);
    buffer_release(&runs);
    store_view_end(view);
}

/* The document goes: before it is removed. */
static void twin_remove(uint64_t id)
{
    struct lmk_error error;
    struct document document;
    struct store_view *view = scratch_view(collection);
    must(store_document(view, id, &document, &error), &error);
    for (uint64_t b = 0; b < document.block_count; b++)
        twin.blocks[document.first_block + b].count = 0;
    store_view_end(view);
}

/* How often the phrase (words with single spaces) stands in the block. */
static size_t frequency(const struct twin_block *block, const char *phrase)
{
    size_t found = 0;
    for (size_t at = 0; at < block->count; at++) {
        const char *left = phrase;
        for (size_t i = at; *left && i < block->count; i++) {
            size_t size = strlen(block->words[i]);
            if (strncmp(left, block->words[i], size) != 0 || (left[size] && left[size] != ' '))
                break;
            left += size + (left[size] == ' ');
        }
        found += !*left;
    }
    return found;
}

/* A term's weight in BM25. Removed blocks have no words and count for nothing. */
static double twin_weight(const char *term)
{
    double blocks = 0, with = 0;
    for (size_t i = 0; i < twin.count; i++) {
        blocks += twin.blocks[i].count > 0;
        with += frequency(&twin.blocks[i], term) > 0;
    }
    return log(1 + (blocks - with + 0.5) / (with + 0.5));
}

/* BM25 of a block; `terms` ends with NULL. */
static double twin_bm25(const struct twin_block *block, const char *const *terms)
{
    double blocks = 0, words = 0, score = 0;
    for (size_t i = 0; i < twin.count; i++) {
        blocks += twin.blocks[i].count > 0;
        words += (double)twin.blocks[i].count;
    }
    for (; *terms; terms++) {
        double f = (double)frequency(block, *terms);
        score += twin_weight(*terms) * f * 2.2 /
                 (f + 1.2 * (0.25 + 0.75 * (double)block->count / (words / blocks)));
    }
    return score;
}

/* ---- texts and collections */

/* Words in falling frequency, a full stop now and then; the caller's to free. */
static char *make_text(unsigned seed, size_t words)
{
    char *text = malloc(words * 8 + 1), *at = text;
    for (size_t i = 0; i < words; i++) {
        seed = seed * 1103515245u + 12345u;
        unsigned draw = seed >> 16 & 255, which = 0;
        while (which + 1 < VOCABULARY && (draw & 1)) {
            which++;
            draw >>= 1;
        }
        if (draw == 77 || draw == 78)
            which = VOCABULARY - 1;
        at += sprintf(at, "%s%s%s", i ? " " : "", vocabulary[which],
                      i % 9 == 8 || i + 1 == words ? "." : "");
    }
    return text;
}

static char *texts[3];

/* A collection of three documents, and its twin. */
static void build(const char *name)
{
    static const char *const names[] = {"books/a.txt", "books/b.txt", "books/c.txt"};
    twin.count = 0;
    for (unsigned i = 0; i < 3; i++) {
        texts[i] = make_text(i + 1, 500);
        scratch_write_text(names[i], texts[i]);
    }
    collection = scratch_create(name, tiny_model, LMK_TIER_F16, NULL);
    char *folder = scratch_path("books/d.txt"); /* of an earlier test */
    unlink(folder);
    free(folder);
    scratch_index(collection, "books");
    for (unsigned i = 0; i < 3; i++)
        twin_add(i + 1, texts[i]);
}

static void unbuild(void)
{
    lmk_collection_close(collection);
    for (size_t i = 0; i < 3; i++)
        free(texts[i]);
}

static struct lexical *words(void)
{
    struct lexical *lexical;
    struct lmk_error error = {.message = "there is no file"};
    must(lexical_of(collection, &lexical, &error), &error);
    return lexical;
}

struct answer {
    struct lexical_hit hits[MOST_BLOCKS];
    size_t count;
    struct lexical_statistics statistics;
};

static void search(const char *text, uint64_t most_matches, struct answer *answer)
{
    struct lmk_error error;
    struct lexical_query query;
    struct lexical *lexical = words();
    must(lexical_begin(lexical, text, &query, &error), &error);
    must(lexical_search(lexical, &query, MOST_BLOCKS, most_matches, NULL, answer->hits,
                        &answer->count, &answer->statistics, &error),
         &error);
    for (size_t b = 0; b < twin.count; b++) { /* one by one, the same */
        double score, listed = 0;
        bool allowed, found = false;
        must(lexical_score(lexical, &query, b, &score, &allowed, &error), &error);
        for (size_t i = 0; i < answer->count; i++)
            if (answer->hits[i].block == b) {
                listed = answer->hits[i].score;
                found = true;
            }
        if (!most_matches)
            assert_true(allowed == (found || !query.filter.size) && fabs(score - listed) < 1e-9);
    }
    lexical_end(lexical);
    lexical_query_release(&query);
}

/* The hits are exactly the blocks that `wanted` says, with the BM25 of the terms, best first. */
static void check(const char *text, bool (*wanted)(const struct twin_block *block),
                  const char *const *terms)
{
    struct answer answer;
    bool listed[MOST_BLOCKS] = {false};
    size_t expected = 0;
    search(text, 0, &answer);
    double sum = 0, squares = 0, blocks = 0;
    for (size_t i = 0; i < answer.count; i++) {
        const struct lexical_hit *hit = &answer.hits[i];
        assert_true(hit->block < twin.count && !listed[hit->block]);
        listed[hit->block] = true;
        double score = twin_bm25(&twin.blocks[hit->block], terms);
        if (fabs(hit->score - score) > 1e-9 * (1 + score))
            fail_msg("%s: block %llu has %.12f instead of %.12f", text,
                     (unsigned long long)hit->block, hit->score, score);
        assert_true(!i || hit->score < hit[-1].score ||
                    (hit->score == hit[-1].score && hit->block > hit[-1].block));
        sum += score;
        squares += score * score;
    }
    for (size_t b = 0; b < twin.count; b++) {
        blocks += twin.blocks[b].count > 0;
        if (wanted(&twin.blocks[b]) != listed[b])
            fail_msg("%s: block %zu is %s", text, b, listed[b] ? "listed" : "missing");
        expected += listed[b];
    }
    assert_true(expected > 0 && expected < twin.count);
    double mean = sum / blocks;
    assert_true(fabs(answer.statistics.mean - mean) < 1e-9);
    assert_true(fabs(answer.statistics.deviation - sqrt(squares / blocks - mean * mean)) < 1e-6);
}

/* ---- BM25 and the language */

static bool has(const struct twin_block *block, const char *phrase)
{
    return frequency(block, phrase) > 0;
}
static bool moon_or_frog(const struct twin_block *block)
{
    return has(block, "moon") || has(block, "frog") || has(block, "fish");
}
static bool moon(const struct twin_block *block)
{
    return has(block, "moon");
}
static bool phrase(const struct twin_block *block)
{
    return has(block, "moon cat");
}
static bool two_phrases(const struct twin_block *block)
{
    return has(block, "moon cat") && has(block, "dog cat");
}
static bool without(const struct twin_block *block)
{
    return (has(block, "moon") || has(block, "bird")) && !has(block, "fish");
}
static bool without_phrase(const struct twin_block *block)
{
    return has(block, "moon") && !has(block, "cat dog") && !has(block, "fish");
}
static bool both(const struct twin_block *block)
{
    return has(block, "moon") && has(block, "fish");
}
static bool grouped(const struct twin_block *block)
{
    return (has(block, "moon") || has(block, "bird")) && (has(block, "fish") || has(block, "sun"));
}
static bool and_before_or(const struct twin_block *block)
{
    return (has(block, "moon") && has(block, "fish")) || has(block, "rock");
}

#define TERMS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_bm25(void **state)
{
    (void)state;
    build("bm25.lmk");
    assert_true(twin.count > 60);
    check("moon frog fish", moon_or_frog, TERMS("moon", "frog", "fish"));
    check("What? Moon, FROG ... fishes!", moon_or_frog, TERMS("moon", "frog", "fish"));
    check("moon moon MOON", moon, TERMS("moon"));
    check("m\303\266on", moon, TERMS("moon")); /* without its diacritic */
    unbuild();
}

static void test_language(void **state)
{
    (void)state;
    build("language.lmk");
    check("\"moon cat\"", phrase, TERMS("moon cat"));
    check("\"Moon, cat!\" dog", phrase, TERMS("moon cat", "dog"));
    check("\"moon cat\" \"dog cat\"", two_phrases, TERMS("moon cat", "dog cat"));
    check("moon -fish bird", without, TERMS("moon", "bird"));
    check("moon -\"cat dog\" -fish", without_phrase, TERMS("moon"));
    check("moon AND fish", both, TERMS("moon", "fish"));
    check("(moon AND (fish))", both, TERMS("moon", "fish"));
    check("moon bird AND fish sun", grouped, TERMS("moon", "bird", "fish", "sun"));
    check("(moon OR bird) AND (sun OR fish)", grouped, TERMS("moon", "bird", "fish", "sun"));
    check("rock OR moon AND fish", and_before_or, TERMS("moon", "rock", "fish"));
    check("moon AND -fish OR bird AND -fish", without, TERMS("moon", "bird"));
    /* no valid expressions: plain words */
    check("moon AND", moon, TERMS("moon", "and"));
    check("OR moon", moon, TERMS("moon", "or"));
    check("moon AND AND fish frog", moon_or_frog, TERMS("moon", "and", "fish", "frog"));
    check("(moon OR fish frog", moon_or_frog, TERMS("moon", "or", "fish", "frog"));
    check("-moon", moon, TERMS("moon"));
    check("the \"moon", moon, TERMS("the", "moon"));
    check("moon (or so) and - more", moon, TERMS("moon", "or", "so", "and", "more"));
    check("moon AND ...", moon, TERMS("moon", "and"));
    unbuild();
}

static void test_plain(void **state)
{
    (void)state;
    static const struct {
        const char *query, *plain;
    } cases[] = {
        {"Who said \"let them eat cake\"?", "Who said \"let them eat cake\"?"},
        {"a well-known - if odd - (moon)", "a well-known - if odd - (moon)"},
        {"moon -fish", "moon"},
        {"(moon OR \"a cat\") AND sun -\"x y\"", "moon a cat sun"},
        {"-moon", "-moon"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *plain = lexical_query_plain(cases[i].query);
        assert_string_equal(plain, cases[i].plain);
        free(plain);
    }
}

static void test_hostile(void **state)
{
    (void)state;
    static const char *const queries[] = {
        "",
        " ",
        "\"",
        "\"\"",
        "\"\" \"\"",
        "-",
        "--",
        "-\"",
        "-\"\"",
        "*",
        "moon*",
        "^moon",
        "text:moon",
        "{text}:moon",
        "-{a b}: moon",
        "NEAR(moon fish)",
        "NEAR(moon fish, 5)",
        "moon + fish",
        "NOT",
        "moon NOT fish",
        "AND",
        "OR",
        "AND OR AND",
        "(",
        ")",
        "()",
        "() AND ()",
        "((((moon",
        "moon))))",
        ") AND (",
        "'; DROP TABLE words; --",
        "\" OR \"1\"=\"1",
        "moon\\\" OR x",
        "a\"b\"c\"d",
        "\377\376\200",
        "\"\377\" AND \300",
        "\xe2\x80\x9cmoon\xe2\x80\x9d",
        "%s%n%d",
        "words MATCH 'x'",
        "rowid",
        "rank",
        "moon AND (fish OR (bird AND (sun OR -cat)))",
    };
    build("hostile.lmk");
    struct answer answer;
    for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++)
        for (uint64_t most = 0; most < 6; most += 5) {
            search(queries[i], most, &answer);
            assert_true(answer.count <= twin.count);
        }
    char *deep = calloc(1, 70000), *at = deep;
    for (int i = 0; i < 10000; i++)
        *at++ = '(';
    strcpy(at, "moon AND cat");
    search(deep, 0, &answer);
    assert_true(answer.count > 0);
    at = deep;
    for (int i = 0; i < 3000; i++) /* more words than count */
        at += sprintf(at, "w%d AND ", i);
    strcpy(at, "moon");
    search(deep, 0, &answer);
    at = deep;
    for (int i = 0; i < 250; i++) /* within the limits */
        at += sprintf(at, "moon OR w%d OR ", i);
    strcpy(at, "frog");
    search(deep, 0, &answer);
    assert_true(answer.count > 0);
    free(deep);
    unbuild();
}

/* Few matches allowed: the rarest word chooses; the scores of what it chose stay the full ones. */
static void test_most_matches(void **state)
{
    (void)state;
    build("most.lmk");
    struct answer full, some, frogs;
    search("cat dog frog", 0, &full);
    search("frog", 0, &frogs);
    search("cat dog frog", frogs.count, &some);
    assert_true(some.count > 0 && some.count < full.count);
    for (size_t i = 0; i < some.count; i++) {
        const struct twin_block *block = &twin.blocks[some.hits[i].block];
        assert_true(has(block, "frog"));
        double score = twin_bm25(block, TERMS("cat", "dog", "frog"));
        /* the numbers of blocks with cat and dog are estimates, over a sample that holds all */
        assert_true(fabs(some.hits[i].score - score) < 1e-3 * score);
        assert_true(!i || some.hits[i].score <= some.hits[i - 1].score);
    }
    assert_true(fabs(some.statistics.mean - full.statistics.mean) < 0.02 * full.statistics.mean);
    assert_true(fabs(some.statistics.deviation / full.statistics.deviation - 1) < 0.25);
    /* A word that is nowhere chooses nothing, so the next one does: in as many blocks as allowed,
     * from all parts of the collection, with their full scores. */
    search("xyzzy frog", 5, &some);
    assert_true(frogs.count > 8 && some.count >= 4 && some.count <= 5);
    uint64_t first = UINT64_MAX, last = 0;
    for (size_t i = 0; i < some.count; i++) {
        uint64_t b = some.hits[i].block;
        first = b < first ? b : first;
        last = b > last ? b : last;
        double score = twin_bm25(&twin.blocks[b], TERMS("frog"));
        assert_true(has(&twin.blocks[b], "frog") &&
                    fabs(some.hits[i].score - score) < 0.1 * score); /* the weight is estimated */
    }
    assert_true(last - first > twin.count / 2);
    assert_true(fabs(some.statistics.mean / frogs.statistics.mean - 1) < 0.4);
    search("cat dog frog", 1000, &some); /* enough for all */
    assert_int_equal(some.count, full.count);
    assert_memory_equal(some.hits, full.hits, full.count * sizeof *full.hits);
    unbuild();
}

/* Nearly all of the numbers belong to no block. */
static void test_wide_gap(void **state)
{
    (void)state;
    struct store_batch *batch;
    struct lmk_error error;
    struct answer found;
    build("gap.lmk");
    must(store_batch_begin(collection->store, &batch, &error), &error);
    must(store_start_at(batch, 100, (uint64_t)1 << 32, &error), &error);
    must(store_commit(batch, &error), &error);
    char *text = make_text(78, 400);
    scratch_write_text("more/d.txt", text);
    scratch_index(collection, "more");
    search("xyzzy frog", 8, &found);
    assert_true(found.count >= 6 && found.count <= 8);
    /* A common word's weight comes from the sample. */
    struct answer all, some;
    search("cat dog frog", 0, &all);
    search("frog", 0, &found);
    search("cat dog frog", found.count, &some);
    assert_true(some.count > 0 && some.count < all.count);
    for (size_t i = 0; i < some.count; i++) {
        size_t same = 0;
        while (same < all.count && all.hits[same].block != some.hits[i].block)
            same++;
        assert_true(same < all.count);
        assert_true(fabs(some.hits[i].score / all.hits[same].score - 1) < 1e-3);
    }
    free(text);
    unbuild();
}

/* ---- following the store */

static void expect_whole(uint64_t documents)
{
    struct lmk_error error;
    uint64_t known;
    must(lexical_documents(words(), &known, &error), &error);
    assert_int_equal(known, documents);
    check("moon frog fish", moon_or_frog, TERMS("moon", "frog", "fish"));
    struct lmk_verify_report report;
    must(lmk_verify(collection, NULL, NULL, &report, &error), &error);
    assert_int_equal(report.documents_words, documents);
}

static void test_removal(void **state)
{
    (void)state;
    struct lmk_error error;
    uint64_t removed;
    build("removal.lmk");
    expect_whole(3);
    twin_remove(2);
    must(lmk_remove(collection, "2", &removed, &error), &error);
    expect_whole(2);
    /* A changed text takes the place of the old one, under new numbers. */
    free(texts[2]);
    texts[2] = make_text(77, 200);
    scratch_write_text("books/c.txt", texts[2]);
    twin_remove(3);
    scratch_index(collection, "books"); /* which also brings b.txt back */
    twin_add(4, texts[1]);
    twin_add(5, texts[2]);
    expect_whole(3);
    unbuild();
}

/* Statistics of words that are estimated from a sample, and a word's best block. */
static struct lexical_statistics estimate(struct lexical *lexical, struct lexical_hit *best)
{
    struct lmk_error error;
    struct lexical_query query;
    struct lexical_statistics statistics;
    size_t found;
    must(lexical_begin(lexical, "cat frog", &query, &error), &error);
    must(lexical_search(lexical, &query, 1, 5, NULL, best, &found, &statistics, &error), &error);
    assert_int_equal(found, 1);
    lexical_end(lexical);
    lexical_query_release(&query);
    return statistics;
}

/* The share of the words of `query` that `text` has, asked for when the query has ended. */
static double coverage(const char *text, const char *asked, uint64_t most_matches)
{
    struct lmk_error error;
    struct lexical_query query;
    struct answer answer;
    struct lexical *lexical = words();
    double share;
    must(lexical_begin(lexical, asked, &query, &error), &error);
    must(lexical_search(lexical, &query, MOST_BLOCKS, most_matches, NULL, answer.hits,
                        &answer.count, &answer.statistics, &error),
         &error);
    lexical_end(lexical);
    must(lexical_coverage(lexical, &query, text, strlen(text), &share, &error), &error);
    lexical_query_release(&query);
    return share;
}

static void test_coverage(void **state)
{
    (void)state;
    build("coverage.lmk");
    double moon = twin_weight("moon"), fish = twin_weight("fish"), frog = twin_weight("frog"),
           both = twin_weight("cat dog"), all = moon + fish + frog;
    assert_true(0.01 < moon && moon < fish && fish < frog && 0.01 < both);
    assert_true(fabs(coverage("Two fishes!", "frog moon fish", 0) - fish / all) < 1e-9);
    assert_true(fabs(coverage("A moon, a frog and a moon.", "frog moon fish", 0) -
                     (moon + frog) / all) < 1e-9);
    assert_true(fabs(coverage("a frog", "frog moon fish", 5) - frog / all) < 0.1); /* estimated */
    assert_true(coverage("moons, fishes and frogs", "frog moon fish", 0) == 1);
    assert_true(coverage("a mouse", "frog moon fish", 0) == 0);
    assert_true(coverage("", "frog moon fish", 0) == 0);
    assert_true(coverage("a frog", ",", 0) == 0);
    /* A word that no block has can stand nowhere. */
    assert_true(fabs(coverage("fish", "moon fish xyzzy", 0) - fish / (moon + fish)) < 1e-9);
    assert_true(coverage("xyzzy", "xyzzy", 0) == 0);
    assert_true(fabs(coverage("The cat dog.", "\"cat dog\" frog", 0) - both / (both + frog)) <
                1e-9);
    assert_true(coverage("The dog and the cat.", "\"cat dog\" frog", 0) == 0);
    unbuild();
}

/* What a reader keeps from query to query goes when somebody else changes the file, and only then.
 */
static void test_reader_follows(void **state)
{
    (void)state;
    struct lmk_error error;
    struct lexical *reader;
    struct lexical_hit before, after, fresh;
    uint64_t removed;
    build("reader.lmk");
    char *path = scratch_path("reader.lmk/generation-000001/lexical.db");
    must(lexical_open(&reader, path, false, &error), &error);
    free(path);
    struct lexical_statistics old = estimate(reader, &before), again = estimate(reader, &after);
    assert_memory_equal(&old, &again, sizeof old);
    assert_true(before.block == after.block && before.score == after.score);
    twin_remove(2);
    must(lmk_remove(collection, "2", &removed, &error), &error);
    struct lexical_statistics followed = estimate(reader, &after), anew = estimate(words(), &fresh);
    assert_memory_equal(&followed, &anew, sizeof anew);
    assert_true(after.block == fresh.block && after.score == fresh.score);
    assert_true(followed.mean != old.mean);
    lexical_close(reader);
    unbuild();
}

/* As after a crash: the store has committed, the words have not followed. */
static void test_catching_up(void **state)
{
    (void)state;
    struct lmk_error error;
    struct store_batch *batch;
    struct lmk_results *results;
    build("crash.lmk");
    char *path = scratch_path("crash.lmk/generation-000001/lexical.db"), *command;
    char *copy = scratch_path("old.db");
    assert_true(asprintf(&command, "cp '%s' '%s'", path, copy) > 0);
    assert_int_equal(system(command), 0);
    free(command);
    twin_remove(1);
    must(store_batch_begin(collection->store, &batch, &error), &error);
    must(store_remove_document(batch, 1, &error), &error);
    must(store_commit(batch, &error), &error);
    /* A query sees nothing of the removed document. */
    struct lmk_search_options options = lmk_search_defaults();
    options.mode = LMK_LEXICAL;
    options.top = 1000;
    options.per_document = 0;
    must(lmk_search(collection, "cat dog moon", &options, &results, &error), &error);
    assert_true(results->count > 0);
    for (size_t i = 0; i < results->count; i++)
        assert_int_not_equal(results->passages[i].document, 1);
    lmk_results_free(results);
    must(lexical_update(collection, NULL, NULL, &error), &error);
    expect_whole(2);
    /* Added, and the words are those of before. */
    char *text = make_text(9, 150);
    scratch_write_text("books/d.txt", text);
    scratch_index(collection, "books/d.txt");
    twin_add(4, text);
    free(text);
    assert_true(asprintf(&command, "cp '%s' '%s'", copy, path) > 0);
    lexical_close(collection->lexical);
    collection->lexical = NULL;
    assert_int_equal(system(command), 0);
    free(command);
    must(lexical_update(collection, NULL, NULL, &error), &error);
    expect_whole(3);
    free(path);
    free(copy);
    unbuild();
}

static void expect_damage_found(const char *path)
{
    struct lmk_error error;
    struct lmk_verify_report report;
    assert_int_equal(lmk_verify(collection, NULL, NULL, &report, &error), LMK_CORRUPT);
    assert_true(report.problems >= 1);
    assert_non_null(strstr(error.message, "--repair"));
    lexical_close(collection->lexical);
    collection->lexical = NULL;
    if (path)
        assert_int_equal(unlink(path), 0);
    must(lexical_update(collection, NULL, NULL, &error), &error);
    expect_whole(3);
}

static void overwrite(const char *path, long offset, const char *text)
{
    lexical_close(collection->lexical);
    collection->lexical = NULL;
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, offset, SEEK_SET), 0);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    fclose(file);
}

/* The place of some bytes in the file, or -1. */
static long find_bytes(const char *path, const char *bytes)
{
    FILE *file = fopen(path, "rb");
    char *content = malloc(1 << 24);
    size_t size = fread(content, 1, 1 << 24, file);
    fclose(file);
    char *at = memmem(content, size, bytes, strlen(bytes));
    long place = at ? (long)(at - content) : -1;
    free(content);
    return place;
}

static void test_damage(void **state)
{
    (void)state;
    struct lmk_error error;
    struct lexical *lexical;
    build("damage.lmk");
    char *path = scratch_path("damage.lmk/generation-000001/lexical.db");
    /* gone */
    lexical_close(collection->lexical);
    collection->lexical = NULL;
    assert_int_equal(unlink(path), 0);
    assert_int_equal(lexical_of(collection, &lexical, &error), LMK_NOT_FOUND);
    must(lmk_verify(collection, NULL, NULL, NULL, &error), &error); /* nothing is wrong */
    must(lexical_update(collection, NULL, NULL, &error), &error);
    expect_whole(3);
    /* not a database any more: the next writer makes it anew by itself */
    overwrite(path, 0, "this is no database at all");
    assert_int_equal(lexical_of(collection, &lexical, &error), LMK_CORRUPT);
    assert_non_null(strstr(error.message, "lexical.db"));
    expect_damage_found(NULL);
    /* another version */
    overwrite(path, 60, "\1\1\1\7");
    assert_int_equal(lexical_of(collection, &lexical, &error), LMK_NOT_FOUND);
    must(lexical_update(collection, NULL, NULL, &error), &error);
    expect_whole(3);
    /* one word of a text is another: only verify can know */
    long at = find_bytes(path, "moon cat");
    assert_true(at > 0);
    overwrite(path, at, "m");
    expect_whole(3); /* it is the same byte still */
    overwrite(path, at, "n");
    expect_damage_found(path);
    free(path);
    unbuild();
}

/* ---- neighbourhoods */

/* Blocks [first, end) around a block, at most four to each side, in a document of the twin. */
static struct lexical_neighbourhood around(uint64_t block, uint64_t document_first,
                                           uint64_t document_end)
{
    struct lexical_neighbourhood found = {document_first, document_end, NAN};
    if (block > document_first + 4)
        found.first = block - 4;
    if (block + 5 < document_end)
        found.end = block + 5;
    return found;
}

/* BM25 of words that are in one piece. */
static double twin_neighbourhood(const struct lexical_neighbourhood *neighbourhood,
                                 const char *const *terms, double mean_blocks)
{
    double words = 0, length = 0, score = 0, blocks = (double)twin.count;
    for (size_t b = 0; b < twin.count; b++)
        words += (double)twin.blocks[b].count;
    for (uint64_t b = neighbourhood->first; b < neighbourhood->end; b++)
        length += (double)twin.blocks[b].count;
    for (; *terms; terms++) {
        double with = 0, f = 0, none = 1;
        for (size_t b = 0; b < twin.count; b++)
            with += has(&twin.blocks[b], *terms);
        for (uint64_t b = neighbourhood->first; b < neighbourhood->end; b++)
            f += (double)frequency(&twin.blocks[b], *terms);
        none = blocks * (1 - pow(1 - with / blocks, mean_blocks));
        score += log(1 + (blocks - none + 0.5) / (none + 0.5)) * f * 2.2 /
                 (f + 1.2 * (0.25 + 0.75 * length / (words / blocks * mean_blocks)));
    }
    return score;
}

static void score_neighbourhoods(const char *text, struct lexical_neighbourhood *neighbourhoods,
                                 size_t count)
{
    struct lmk_error error;
    struct lexical_query query;
    struct lexical_hit hits[MOST_BLOCKS];
    struct lexical_statistics statistics;
    size_t found;
    struct lexical *lexical = words();
    must(lexical_begin(lexical, text, &query, &error), &error);
    must(lexical_search(lexical, &query, MOST_BLOCKS, 0, NULL, hits, &found, &statistics, &error),
         &error);
    must(lexical_score_neighbourhoods(lexical, &query, neighbourhoods, count, &error), &error);
    lexical_end(lexical);
    lexical_query_release(&query);
}

static void check_neighbourhoods(const char *text, const char *const *terms)
{
    struct lexical_neighbourhood all[MOST_BLOCKS], backwards[MOST_BLOCKS];
    struct lmk_error error;
    struct document document;
    double sum = 0;
    size_t scored = 0;
    struct store_view *view = scratch_view(collection);
    for (uint64_t b = 0; b < twin.count; b++) {
        must(store_document_of_block(view, b, &document, &error), &error);
        all[b] = around(b, document.first_block, document.first_block + document.block_count);
        backwards[twin.count - 1 - b] = all[b];
        sum += (double)(all[b].end - all[b].first);
    }
    store_view_end(view);
    score_neighbourhoods(text, all, twin.count);
    score_neighbourhoods(text, backwards, twin.count);
    for (size_t b = 0; b < twin.count; b++) {
        double expected = twin_neighbourhood(&all[b], terms, sum / (double)twin.count);
        if (fabs(all[b].score - expected) > 1e-9 * (1 + expected))
            fail_msg("%s: the neighbourhood of block %zu has %.12f instead of %.12f", text, b,
                     all[b].score, expected);
        assert_true(backwards[twin.count - 1 - b].score == all[b].score);
        scored += expected > 0;
    }
    assert_true(scored > twin.count / 4);
}

static void test_neighbourhoods(void **state)
{
    (void)state;
    build("neighbours.lmk");
    check_neighbourhoods("moon frog", TERMS("moon", "frog"));
    check_neighbourhoods("\"moon cat\" salt", TERMS("moon cat", "salt"));
    struct lexical_neighbourhood nothing = {0, 3, NAN};
    score_neighbourhoods("zebra", &nothing, 1);
    assert_true(nothing.score == 0);
    unbuild();
}

/* Two documents of a block each, three words and one: 2 blocks of 2 words in the mean,
 * neighbourhoods of one block; so ln(1 + 1.5 / 1.5) * 2.2 / (1 + 1.2 * (0.25 + 0.75 * 3 / 2)). */
static void test_neighbourhood_by_hand(void **state)
{
    (void)state;
    struct lexical_neighbourhood both[] = {{0, 1, NAN}, {1, 2, NAN}};
    scratch_write_text("hand/a.txt", "frog cat cat");
    scratch_write_text("hand/b.txt", "dog");
    collection = scratch_create("hand.lmk", tiny_model, LMK_TIER_F16, NULL);
    scratch_index(collection, "hand");
    score_neighbourhoods("frog", both, 2);
    assert_true(fabs(both[0].score - 0.575443) < 1e-6);
    assert_true(both[1].score == 0);
    lmk_collection_close(collection);
}

/* ---- block edges */

static void test_edges(void **state)
{
    (void)state;
    char text[200];
    memset(text, 0, sizeof text);
    memset(text, '.', 58);
    strcpy(text + 58, "elephant and more"); /* the first block ends after "elep" */
    text[0] = 'a';
    text[57] = ' ';
    scratch_write_text("edge/edge.txt", text);
    collection = scratch_create("edge.lmk", tiny_model, LMK_TIER_F16, NULL);
    scratch_index(collection, "edge");
    twin.count = 0;
    struct answer answer;
    search("elephant", 0, &answer);
    assert_int_equal(answer.count, 2);
    search("elep hant", 0, &answer);
    assert_int_equal(answer.count, 0);
    search("more", 0, &answer);
    assert_int_equal(answer.count, 1);
    lmk_collection_close(collection);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bm25),
        cmocka_unit_test(test_language),
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_most_matches),
        cmocka_unit_test(test_wide_gap),
        cmocka_unit_test(test_removal),
        cmocka_unit_test(test_catching_up),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_coverage),
        cmocka_unit_test(test_reader_follows),
        cmocka_unit_test(test_neighbourhoods),
        cmocka_unit_test(test_neighbourhood_by_hand),
        cmocka_unit_test(test_edges),
    };
    return cmocka_run_group_tests(tests, scratch_open_model, scratch_close_model);
}
