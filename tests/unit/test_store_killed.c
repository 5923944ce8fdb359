/* A writer that is killed leaves what it had committed, and nothing else. */
#include "tests/unit/sample_store.h"
#include "tests/unit/scratch.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Runs `work` in a process of its own until it has written `bytes` to the pipe, and kills it there.
 * Gives what it had written in all. */
static size_t kill_after(void (*work)(int pipe, size_t argument), size_t argument, size_t bytes)
{
    int ends[2];
    size_t written = 0;
    char byte;
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    if (!child) {
        work(ends[1], argument);
        _exit(99);
    }
    close(ends[1]);
    while (written < bytes && read(ends[0], &byte, 1) == 1)
        written++;
    assert_int_equal(written, bytes);
    kill(child, SIGKILL);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    while (read(ends[0], &byte, 1) == 1)
        written++;
    close(ends[0]);
    return written;
}

static void tell(int pipe)
{
    if (write(pipe, "x", 1) != 1)
        _exit(98);
}

/* Goes so many steps into a batch, tells, and waits for its end. */
static void write_some(int pipe, size_t steps)
{
    char *path = scratch_path("killed");
    struct store *store;
    struct store_batch *batch;
    if (store_open(&store, path, true, NULL) || store_batch_begin(store, &batch, NULL))
        _exit(97);
    if (steps > 0 && store_remove_document(batch, 1, NULL))
        _exit(96);
    for (size_t i = 1; i < steps; i++) {
        struct sample sample;
        sample_make(&sample, &sample_settings, LMK_TIER_F16, 100 + i, 200);
        sample_index(batch, &sample, &sample_settings);
    }
    tell(pipe);
    pause();
}

static void test_killed_in_a_batch(void **state)
{
    (void)state;
    enum { DOCUMENTS = 3 };
    struct sample samples[DOCUMENTS];
    struct store *store = sample_store_create("killed", &sample_settings);
    struct store_batch *batch = sample_batch(store);
    for (size_t i = 0; i < DOCUMENTS; i++) {
        sample_make(&samples[i], &sample_settings, LMK_TIER_Q8_0, i + 1, 20 + 30 * i);
        sample_index(batch, &samples[i], &sample_settings);
    }
    sample_commit(batch);
    store_close(store);
    for (size_t steps = 0; steps < 6; steps++) {
        kill_after(write_some, steps, 1);
        store = sample_store_open("killed", true);
        struct store_view *view = sample_view(store);
        struct store_counts counts;
        assert_int_equal(store_counts(view, &counts, NULL), LMK_OK);
        assert_int_equal(counts.documents, DOCUMENTS);
        assert_int_equal(counts.batches, 1 + steps);
        for (size_t i = 0; i < DOCUMENTS; i++)
            sample_expect(view, &samples[i], &sample_settings, samples[i].document.block_count);
        sample_expect_sound(view);
        store_view_end(view);
        /* The lock that it held is free. */
        sample_commit(sample_batch(store));
        store_close(store);
    }
    for (size_t i = 0; i < DOCUMENTS; i++)
        sample_free(&samples[i]);
}

/* Commits one document after another and tells each time. */
static void write_on(int pipe, size_t seed)
{
    char name[16];
    snprintf(name, sizeof name, "loop-%zu", seed);
    struct store *store = sample_store_open(name, true);
    for (size_t i = 1;; i++) {
        struct sample sample;
        sample_make(&sample, &sample_settings, LMK_TIER_Q8_0, i, 10 + i % 50);
        struct store_batch *batch = sample_batch(store);
        sample_index(batch, &sample, &sample_settings);
        sample_commit(batch);
        tell(pipe);
        sample_free(&sample);
    }
}

static void test_killed_anywhere(void **state)
{
    (void)state;
    for (size_t round = 1; round <= 8; round++) {
        char name[16];
        snprintf(name, sizeof name, "loop-%zu", round);
        store_close(sample_store_create(name, &sample_settings));
        size_t told = kill_after(write_on, round, round * 3);
        struct store *store = sample_store_open(name, true);
        struct store_view *view = sample_view(store);
        struct store_counts counts;
        assert_int_equal(store_counts(view, &counts, NULL), LMK_OK);
        assert_true(counts.documents == told || counts.documents == told + 1);
        assert_int_equal(counts.documents_ready, counts.documents);
        assert_int_equal(counts.batches, counts.documents);
        uint64_t first = 0;
        for (uint64_t id = 1; id <= counts.documents; id++) {
            struct sample sample;
            sample_make(&sample, &sample_settings, LMK_TIER_Q8_0, id, 10 + id % 50);
            sample.document.id = id;
            sample.document.state = DOCUMENT_READY;
            sample.document.first_block = first;
            first += sample.document.block_count;
            sample_expect(view, &sample, &sample_settings, sample.document.block_count);
            sample_free(&sample);
        }
        sample_expect_sound(view);
        store_view_end(view);
        store_close(store);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_killed_in_a_batch),
        cmocka_unit_test(test_killed_anywhere),
    };
    return cmocka_run_group_tests(tests, scratch_open, scratch_close);
}
