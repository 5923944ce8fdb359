/* A collection built anew for another model equals one that was indexed with it from the start,
 * also when it was killed over and over, and when it changed in between; until it is done, it is
 * what it was. */
#include "src/model/indexer.h"
#include "tests/unit/scratch.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct lmk_model *other, *foreign;

static int open_group(void **state)
{
    lmk_set_threads(1);          /* OpenMP's threads do not come along into another process */
    indexer_force_float32(true); /* sanitizers make products in bfloat16 very slow */
    other = scratch_model("tiny-slot-all");
    struct lmk_error error;
    if (lmk_model_open(&foreign, "models/landmark-en-42m.gguf", &error))
        fail_msg("%s", error.message);
    return scratch_open_model(state);
}

static int close_group(void **state)
{
    lmk_model_close(other);
    lmk_model_close(foreign);
    return scratch_close_model(state);
}

/* Words of the long text: many blocks, and few for the large model. */
enum { LONG = 2500, SHORTER = 500 };

/* Texts of all sorts: long, with damaged bytes at its very end, with chapters, several in one file
 * that nothing but their names tells apart. */
static void write_books(size_t words)
{
    scratch_write_prose("books/long.txt", 11, words);
    scratch_write("books/damaged.txt", "The end of it is no text: \xff\xfe", 28);
    char page[8192] = "<html><body>";
    for (int chapter = 1; chapter <= 5; chapter++) {
        char *prose = scratch_prose((uint64_t)chapter, 20 + 40 * (unsigned)chapter);
        snprintf(page + strlen(page), sizeof page - strlen(page), "<h2>Part %d</h2><p>%s</p>",
                 chapter, prose);
        free(prose);
    }
    scratch_write_text("books/page.html", page);
    scratch_write_text("books/lines.jsonl", "{\"_id\": \"a/1\", \"text\": \"the same words\"}\n"
                                            "{\"_id\": \"a/2\", \"text\": \"the same words\"}\n"
                                            "{\"text\": \"words without a name\"}\n");
}

static void make(const char *name, const struct lmk_model *with)
{
    struct lmk_collection *collection = scratch_create(name, with, LMK_TIER_F16, NULL);
    scratch_index(collection, "books");
    lmk_collection_close(collection);
}

/* ------------------------------------------------------------------ comparing */

/* By so much the chapter of a block may be another. */
static uint32_t rough_places;

static void compare_rows(const struct store_settings *settings, const float *a, const float *b)
{
    size_t width = (size_t)settings->memory_layers * settings->kv_heads * settings->head_width;
    for (size_t i = 0; i < width; i++)
        if (!(fabsf(a[i] - b[i]) <= 1e-4F * (1 + fabsf(a[i]))))
            fail_msg("landmark key: %g and %g", (double)a[i], (double)b[i]);
}

static void compare_text(struct store_view *a, struct store_view *b, uint64_t block_a,
                         uint64_t block_b)
{
    struct store_view *views[] = {a, b};
    uint64_t numbers[] = {block_a, block_b};
    struct block_text texts[2];
    struct buffer tokens[2], runs[2];
    struct lmk_error error;
    for (int i = 0; i < 2; i++) {
        buffer_init(&tokens[i], 1 << 20);
        buffer_init(&runs[i], 1 << 20);
        must(store_block_text(views[i], numbers[i], &tokens[i], &runs[i], &texts[i], &error),
             &error);
    }
    assert_int_equal(texts[0].text_start, texts[1].text_start);
    assert_int_equal(texts[0].text_size, texts[1].text_size);
    assert_int_equal(texts[0].source_start, texts[1].source_start);
    assert_int_equal(texts[0].source_end, texts[1].source_end);
    /* Where a chapter begins is known to a block of the old generation. */
    assert_in_range(texts[0].place + rough_places - texts[1].place, 0, 2 * rough_places);
    assert_int_equal(tokens[0].size, tokens[1].size);
    assert_memory_equal(tokens[0].data, tokens[1].data, tokens[0].size);
    assert_int_equal(runs[0].size, runs[1].size);
    assert_memory_equal(runs[0].data, runs[1].data, runs[0].size);
    for (int i = 0; i < 2; i++) {
        buffer_release(&tokens[i]);
        buffer_release(&runs[i]);
    }
}

static void compare_document(const struct document *a, const struct document *b)
{
    assert_memory_equal(a->hash, b->hash, HASH128_BYTES);
    assert_int_equal(b->state, DOCUMENT_READY);
    assert_int_equal(a->state, b->state);
    assert_int_equal(a->tier, b->tier);
    assert_int_equal(a->block_count, b->block_count);
    assert_int_equal(a->token_count, b->token_count);
    assert_int_equal(a->source_bytes, b->source_bytes);
    assert_int_equal(a->text_bytes, b->text_bytes);
    assert_string_equal(a->path, b->path);
    assert_string_equal(a->title, b->title);
    assert_string_equal(a->kind, b->kind);
    assert_string_equal(a->metadata, b->metadata);
}

/* The store of `a` holds what that of `b` does; `ids`: under the same numbers, too. */
static void compare_stores(struct lmk_collection *a, struct lmk_collection *b, bool ids)
{
    struct store_view *view_a = scratch_view(a), *view_b = scratch_view(b);
    struct document left, right;
    struct lmk_error error;
    uint64_t next_a = 0, next_b = 0, documents = 0;
    while (!store_next_document(view_a, next_a, &left, &error)) {
        must(store_document_by_hash(view_b, left.hash, &right, &error), &error);
        compare_document(&left, &right);
        for (uint64_t i = 0; i < left.block_count; i++) {
            const float *key_a, *key_b;
            compare_text(view_a, view_b, left.first_block + i, right.first_block + i);
            must(store_landmark_key(view_a, left.first_block + i, &key_a, &error), &error);
            must(store_landmark_key(view_b, right.first_block + i, &key_b, &error), &error);
            compare_rows(store_settings(a->store), key_a, key_b);
        }
        if (ids) {
            assert_int_equal(left.id, right.id);
            assert_int_equal(left.first_block, right.first_block);
        }
        struct source_record source_a, source_b;
        if (!store_source(view_b, left.path, &source_b, NULL)) {
            must(store_source(view_a, left.path, &source_a, &error), &error);
            assert_int_equal(source_a.size, source_b.size);
            assert_int_equal(source_a.modified_ns, source_b.modified_ns);
            assert_int_equal(source_a.document, left.id);
        }
        next_a = left.id + 1;
        documents++;
    }
    while (!store_next_document(view_b, next_b, &right, &error)) {
        next_b = right.id + 1;
        documents--;
    }
    assert_int_equal(documents, 0);
    store_view_end(view_a);
    store_view_end(view_b);
}

static void compare_searches(struct lmk_collection *a, struct lmk_collection *b)
{
    static const char *const queries[] = {"the same words", "no text", "abc"};
    for (size_t q = 0; q < sizeof queries / sizeof queries[0]; q++) {
        struct lmk_results *left, *right;
        struct lmk_error error;
        must(lmk_search(a, queries[q], NULL, &left, &error), &error);
        must(lmk_search(b, queries[q], NULL, &right, &error), &error);
        assert_int_equal(left->count, right->count);
        for (size_t i = 0; i < left->count; i++) {
            assert_string_equal(left->passages[i].path, right->passages[i].path);
            assert_string_equal(left->passages[i].text, right->passages[i].text);
            assert_true(fabs(left->passages[i].score - right->passages[i].score) < 1e-3);
        }
        lmk_results_free(left);
        lmk_results_free(right);
    }
}

static void compare(const char *name, const struct lmk_model *with, const char *fresh, bool ids)
{
    struct lmk_error error;
    struct lmk_collection *a = scratch_writer(name, with), *b = scratch_writer(fresh, with);
    compare_stores(a, b, ids);
    compare_searches(a, b);
    must(lmk_verify(a, NULL, NULL, NULL, &error), &error);
    /* The files are known as they were: nothing is read again. */
    struct lmk_index_report report = scratch_index(a, "books");
    assert_int_equal(report.documents_added + report.documents_replaced, 0);
    assert_int_equal(report.tokens, 0);
    lmk_collection_close(a);
    lmk_collection_close(b);
}

/* ------------------------------------------------------------------ tests */

static void test_same_vocabulary(void **state)
{
    (void)state;
    struct lmk_error error;
    struct lmk_index_report report;
    write_books(LONG);
    make("a.lmk", tiny_model);
    make("fresh.lmk", other);
    struct lmk_collection *collection = scratch_writer("a.lmk", NULL);
    must(lmk_reindex_model(collection, other, NULL, &report, &error), &error);
    assert_int_equal(report.documents, 6);
    /* It goes on with the new generation. */
    struct lmk_results *results;
    must(lmk_search(collection, "the same words", NULL, &results, &error), &error);
    assert_true(results->count > 0);
    lmk_results_free(results);
    assert_string_equal(collection->generation, "generation-000002");
    assert_int_equal(lmk_reindex_model(collection, other, NULL, NULL, &error), LMK_USAGE);
    lmk_collection_close(collection);
    compare("a.lmk", other, "fresh.lmk", true);
}

/* Another vocabulary makes other blocks. Without the old model nothing can be read, and nothing
 * changes. */
static void test_other_vocabulary(void **state)
{
    (void)state;
    struct lmk_error error;
    write_books(SHORTER);
    make("b.lmk", tiny_model);
    make("foreign.lmk", foreign);
    struct lmk_collection *collection = scratch_writer("b.lmk", NULL);
    assert_int_equal(lmk_reindex_model(collection, foreign, NULL, NULL, &error), LMK_MODEL);
    assert_non_null(strstr(error.message, "--from"));
    lmk_collection_close(collection);
    collection = scratch_writer("b.lmk", tiny_model);
    must(lmk_reindex_model(collection, foreign, NULL, NULL, &error), &error);
    lmk_collection_close(collection);
    rough_places = 1;
    compare("b.lmk", foreign, "foreign.lmk", true);
    rough_places = 0;
}

/* Ids stay, and those of removed documents are not given out again. */
static void test_ids(void **state)
{
    (void)state;
    struct lmk_error error;
    uint64_t removed;
    write_books(LONG);
    make("ids.lmk", tiny_model);
    struct lmk_collection *collection = scratch_writer("ids.lmk", tiny_model);
    must(lmk_remove(collection, "2", &removed, &error), &error);
    must(lmk_remove(collection, "6", &removed, &error), &error);
    must(lmk_reindex_model(collection, other, NULL, NULL, &error), &error);
    struct store_view *view = scratch_view(collection);
    struct document document;
    struct store_counts counts;
    static const uint64_t left[] = {1, 3, 4, 5};
    uint64_t next = 0;
    for (size_t i = 0; i < sizeof left / sizeof left[0]; i++) {
        must(store_next_document(view, next, &document, &error), &error);
        assert_int_equal(document.id, left[i]);
        next = document.id + 1;
    }
    assert_int_equal(store_next_document(view, next, &document, NULL), LMK_NOT_FOUND);
    must(store_counts(view, &counts, &error), &error);
    assert_int_equal(counts.next_document, 7);
    store_view_end(view);
    lmk_collection_close(collection);
}

struct countdown {
    int calls;
};

static bool kill_at(void *context, const struct lmk_progress *progress)
{
    (void)progress;
    struct countdown *countdown = context;
    if (--countdown->calls < 0)
        raise(SIGKILL);
    return true;
}

/* Reindexes in a process of its own, which is killed at its `calls`th report; true: it came to its
 * end before. */
static bool reindex_killed(const char *name, int calls)
{
    int ended;
    pid_t child = fork();
    if (!child) {
        struct countdown countdown = {calls};
        const struct lmk_index_options options = {.progress = kill_at, .context = &countdown};
        struct lmk_collection *collection = scratch_writer(name, NULL);
        _exit(lmk_reindex_model(collection, other, &options, NULL, NULL) ? 1 : 0);
    }
    assert_int_equal(waitpid(child, &ended, 0), child);
    if (WIFSIGNALED(ended))
        return false;
    assert_int_equal(WEXITSTATUS(ended), 0);
    return true;
}

/* Killed at the first report, then at later and later ones: every run begins with what the others
 * left. A reader has the old generation open all the time, and others can open it. */
static void test_killed(void **state)
{
    (void)state;
    struct lmk_error error;
    struct lmk_results *results;
    write_books(LONG);
    make("killed.lmk", tiny_model);
    struct lmk_collection *reader = scratch_reader("killed.lmk", tiny_model);
    int calls = 0;
    while (!reindex_killed("killed.lmk", calls)) {
        calls += 1 + calls / 4;
        must(lmk_search(reader, "the same words", NULL, &results, &error), &error);
        assert_true(results->count > 0);
        lmk_results_free(results);
        lmk_collection_close(scratch_reader("killed.lmk", tiny_model));
    }
    assert_true(calls >= 6);
    lmk_collection_close(reader);
    make("unkilled.lmk", other);
    compare("killed.lmk", other, "unkilled.lmk", true);
}

static bool stop_at(void *context, const struct lmk_progress *progress)
{
    (void)progress;
    return --((struct countdown *)context)->calls >= 0;
}

/* Between two runs one document is removed, one moved, and one added. */
static void test_changed_meanwhile(void **state)
{
    (void)state;
    struct lmk_error error;
    uint64_t removed;
    write_books(LONG);
    make("changed.lmk", tiny_model);
    struct countdown countdown = {8};
    const struct lmk_index_options options = {.progress = stop_at, .context = &countdown};
    struct lmk_collection *collection = scratch_writer("changed.lmk", tiny_model);
    assert_int_equal(lmk_reindex_model(collection, other, &options, NULL, &error), LMK_INTERRUPTED);
    lmk_collection_close(collection);
    collection = scratch_writer("changed.lmk", tiny_model);
    char *from = scratch_path("books/damaged.txt"), *to = scratch_path("books/moved.txt"),
         *gone = scratch_path("books/lines.jsonl");
    assert_int_equal(rename(from, to), 0);
    assert_int_equal(remove(gone), 0);
    scratch_write_text("books/new.txt", "This one came between the two runs.");
    must(lmk_remove(collection, gone, &removed, &error), &error);
    assert_int_equal(removed, 3);
    scratch_index(collection, "books");
    lmk_collection_close(collection);
    collection = scratch_writer("changed.lmk", tiny_model);
    must(lmk_reindex_model(collection, other, NULL, NULL, &error), &error);
    lmk_collection_close(collection);
    make("after.lmk", other);
    compare("changed.lmk", other, "after.lmk", false);
    remove(to);
    free(from);
    free(to);
    free(gone);
}

/* What was begun for one model is of no use for another. */
static void test_another_one_after_all(void **state)
{
    (void)state;
    struct lmk_error error;
    write_books(SHORTER);
    make("third.lmk", tiny_model);
    struct countdown countdown = {8};
    const struct lmk_index_options options = {.progress = stop_at, .context = &countdown};
    struct lmk_collection *collection = scratch_writer("third.lmk", tiny_model);
    assert_int_equal(lmk_reindex_model(collection, foreign, &options, NULL, &error),
                     LMK_INTERRUPTED);
    must(lmk_reindex_model(collection, other, NULL, NULL, &error), &error);
    lmk_collection_close(collection);
    make("third-fresh.lmk", other);
    compare("third.lmk", other, "third-fresh.lmk", false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_vocabulary),
        cmocka_unit_test(test_other_vocabulary),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_killed),
        cmocka_unit_test(test_changed_meanwhile),
        cmocka_unit_test(test_another_one_after_all),
    };
    return cmocka_run_group_tests(tests, open_group, close_group);
}
