/* Generations: a reader goes on with the one that it has open, however often the collection is
 * compacted meanwhile; what is left over goes once nobody has it. */
#include "index/generation.h"
#include "tests/unit/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static int open_group(void **state)
{
    lmk_set_threads(1); /* OpenMP's threads do not come along into another process */
    return scratch_open_model(state);
}

static bool exists(const char *name)
{
    char *path = scratch_path(name);
    bool found = !access(path, F_OK);
    free(path);
    return found;
}

static void make_collection(const char *name)
{
    scratch_write_prose("books/one.txt", 3, 4000);
    struct lmk_collection *collection = scratch_create(name, tiny_model, LMK_TIER_F16, NULL);
    scratch_index(collection, "books");
    lmk_collection_close(collection);
}

static void compact(const char *name)
{
    struct lmk_error error;
    struct lmk_collection *collection = scratch_writer(name, tiny_model);
    if (lmk_compact(collection, NULL, NULL, &error))
        fail_msg("%s", error.message);
    /* It goes on with the new generation. */
    struct lmk_info info;
    assert_int_equal(lmk_info(collection, &info, &error), LMK_OK);
    assert_int_equal(info.documents_ready, 1);
    lmk_collection_close(collection);
}

/* In a process of its own: opens the collection, says so, waits, and then searches for the first
 * time, which opens segments and words. Exit status 0: it found something. */
static pid_t start_reader(const char *name, int *said, int *go_on)
{
    int out[2], in[2];
    assert_int_equal(pipe(out) | pipe(in), 0);
    pid_t child = fork();
    if (child) {
        close(out[1]);
        close(in[0]);
        *said = out[0];
        *go_on = in[1];
        return child;
    }
    char byte = 'x';
    struct lmk_results *results;
    struct lmk_collection *collection = scratch_reader(name, tiny_model);
    if (write(out[1], &byte, 1) != 1 || read(in[0], &byte, 1) != 1)
        _exit(2);
    if (lmk_search(collection, "abc", NULL, &results, NULL) || !results->count)
        _exit(1);
    lmk_results_free(results);
    lmk_collection_close(collection);
    _exit(0);
}

static void test_reader_goes_on(void **state)
{
    (void)state;
    char byte;
    int said, go_on, ended;
    make_collection("a.lmk");
    pid_t reader = start_reader("a.lmk", &said, &go_on);
    assert_int_equal(read(said, &byte, 1), 1);
    compact("a.lmk");
    compact("a.lmk");
    assert_true(exists("a.lmk/generation-000001/data.mdb"));
    assert_false(exists("a.lmk/generation-000002"));
    assert_true(exists("a.lmk/generation-000003/data.mdb"));
    assert_int_equal(write(go_on, &byte, 1), 1);
    assert_int_equal(waitpid(reader, &ended, 0), reader);
    assert_true(WIFEXITED(ended));
    assert_int_equal(WEXITSTATUS(ended), 0);
    lmk_collection_close(scratch_writer("a.lmk", tiny_model));
    assert_false(exists("a.lmk/generation-000001"));
    close(said);
    close(go_on);
}

/* Words that cannot be copied leave nothing behind that would stand in their place. */
static void test_damaged_words(void **state)
{
    (void)state;
    struct lmk_error error;
    struct lmk_results *results;
    make_collection("words.lmk");
    char *path = scratch_path("words.lmk/generation-000001/lexical.db");
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    for (long page = 6; page < 12; page++) {
        fseek(file, page * 4096, SEEK_SET);
        fputs("no page of a tree", file);
    }
    assert_int_equal(fclose(file), 0);
    free(path);
    compact("words.lmk");
    assert_false(exists("words.lmk/generation-000002/lexical.db"));
    struct lmk_collection *collection = scratch_writer("words.lmk", tiny_model);
    must(lmk_search(collection, "abc", NULL, &results, &error), &error);
    assert_int_equal(results->documents_words, 0);
    lmk_results_free(results);
    scratch_index(collection, "books");
    must(lmk_search(collection, "abc", NULL, &results, &error), &error);
    assert_int_equal(results->documents_words, 1);
    lmk_results_free(results);
    lmk_collection_close(collection);
}

static void test_names(void **state)
{
    (void)state;
    static const struct {
        const char *current, *generation; /* NULL: refused */
    } cases[] = {
        {"generation-000001\n", "generation-000001"},
        {"generation-1234567\n", "generation-1234567"},
        {"generation-000001", NULL},
        {"generation-1\n", NULL},
        {"generation-00000x\n", NULL},
        {"generation-000001\n\n", NULL},
        {"../../etc\n", NULL},
        {"generation-000000\n", NULL},
        {"", NULL},
    };
    char *path = scratch_path("names.lmk");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *generation = NULL;
        struct lmk_error error;
        scratch_write_text("names.lmk/CURRENT", cases[i].current);
        enum lmk_status status = generation_read(path, &generation, &error);
        assert_int_equal(status, cases[i].generation ? LMK_OK : LMK_CORRUPT);
        if (cases[i].generation)
            assert_string_equal(generation, cases[i].generation);
        free(generation);
    }
    free(path);
}

/* What a writer finds: older ones and half-made ones go, a newer one is taken, a reindexing that
 * can go on stays. */
static void test_settle(void **state)
{
    (void)state;
    struct lmk_error error;
    char *path = scratch_path("settle.lmk"), *generation = strdup("generation-000002");
    static const char *const names[] = {"generation-000001", "generation-000002",
                                        "generation-000003", "compact.new",
                                        "reindex.new",       "generation-x"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char name[128];
        snprintf(name, sizeof name, "settle.lmk/%s/landmarks/file", names[i]);
        scratch_write_text(name, "x");
        snprintf(name, sizeof name, "settle.lmk/%s/data.mdb", names[i]);
        scratch_write_text(name, "x");
    }
    scratch_write_text("settle.lmk/CURRENT", "generation-000002\n");
    if (generation_settle(path, &generation, &error))
        fail_msg("%s", error.message);
    assert_string_equal(generation, "generation-000003");
    assert_true(exists("settle.lmk/generation-000002/data.mdb"));
    generation_clean(path, generation);
    assert_true(exists("settle.lmk/generation-000003/landmarks/file"));
    assert_false(exists("settle.lmk/generation-000001"));
    assert_false(exists("settle.lmk/generation-000002"));
    assert_false(exists("settle.lmk/compact.new"));
    assert_true(exists("settle.lmk/reindex.new/landmarks/file"));
    assert_true(exists("settle.lmk/generation-x/data.mdb"));
    char *now = NULL;
    assert_int_equal(generation_read(path, &now, &error), LMK_OK);
    assert_string_equal(now, "generation-000003");
    free(now);
    free(generation);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reader_goes_on),
        cmocka_unit_test(test_damaged_words),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_settle),
    };
    return cmocka_run_group_tests(tests, open_group, scratch_close_model);
}
