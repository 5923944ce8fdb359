/* Samples of places with gaps between them. */
#include "index/sample.h"
#include "tests/unit/random_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>

#include <cmocka.h>

enum { SIZE = 512, MOST_RUNS = 4096 };

/* Runs of places where something is, ascending. */
struct runs {
    uint64_t first[MOST_RUNS], end[MOST_RUNS];
    size_t count, looks;
    uint64_t taken; /* places in the runs */
    enum lmk_status failure;
};

static void add_run(struct runs *runs, uint64_t first, uint64_t end)
{
    assert_true(runs->count < MOST_RUNS);
    runs->first[runs->count] = first;
    runs->end[runs->count++] = end;
    runs->taken += end - first;
}

/* The run that holds the place, or the number of runs. */
static size_t run_of(const struct runs *runs, uint64_t place)
{
    size_t i = 0;
    while (i < runs->count && (place < runs->first[i] || place >= runs->end[i]))
        i++;
    return i;
}

static enum lmk_status look(void *context, uint64_t place, struct gap *gap, struct lmk_error *error)
{
    struct runs *runs = context;
    (void)error;
    runs->looks++;
    if (runs->failure)
        return runs->failure;
    *gap = (struct gap){0, UINT64_MAX};
    for (size_t i = 0; i < runs->count; i++) {
        if (place >= runs->first[i] && place < runs->end[i])
            return LMK_OK;
        if (runs->end[i] <= place)
            gap->first = runs->end[i];
        if (runs->first[i] > place && gap->end == UINT64_MAX)
            gap->end = runs->first[i];
    }
    return LMK_NOT_FOUND;
}

/* A sample where there is more than it takes: all of it lies in runs, and it is the same again. */
static void draw(struct runs *runs, uint64_t end, uint64_t places[SIZE])
{
    uint64_t again[SIZE];
    size_t count;
    struct lmk_error error;
    assert_true(runs->taken > SIZE);
    assert_int_equal(sample_draw(look, runs, end, SIZE, again, &count, &error), LMK_OK);
    runs->looks = 0;
    assert_int_equal(sample_draw(look, runs, end, SIZE, places, &count, &error), LMK_OK);
    assert_int_equal(count, SIZE);
    for (size_t i = 0; i < SIZE; i++) {
        assert_true(run_of(runs, places[i]) < runs->count);
        assert_int_equal(places[i], again[i]);
    }
}

static size_t count_below(const uint64_t places[SIZE], uint64_t end)
{
    size_t count = 0;
    for (size_t i = 0; i < SIZE; i++)
        count += places[i] < end;
    return count;
}

/* Of SIZE draws with this chance: within five deviations. */
static void check_share(size_t count, double share)
{
    double expected = SIZE * share, apart = (double)count - expected;
    assert_true(apart * apart <= 25 * expected * (1 - share));
}

static void test_without_gaps(void **state)
{
    (void)state;
    static struct runs runs;
    uint64_t places[SIZE];
    add_run(&runs, 0, 100000);
    draw(&runs, 100000, places);
    assert_int_equal(runs.looks, SIZE);
    for (uint64_t tenth = 1; tenth < 10; tenth++)
        check_share(count_below(places, 10000 * tenth), 0.1 * (double)tenth);
}

/* However much a gap takes up, at the beginning, in the middle or at the end. */
static void test_wide_gaps(void **state)
{
    (void)state;
    static struct runs runs;
    const uint64_t far = (uint64_t)1 << 40;
    uint64_t places[SIZE];
    add_run(&runs, 1000000, 1003000);
    add_run(&runs, far, far + 5000);
    add_run(&runs, 2 * far, 2 * far + 2000);
    draw(&runs, 3 * far, places);
    assert_true(runs.looks < SIZE + 10);
    check_share(count_below(places, far), 0.3);
    check_share(count_below(places, 2 * far), 0.8);
}

static void test_many_gaps(void **state)
{
    (void)state;
    static struct runs runs;
    struct random_source random = {3};
    uint64_t places[SIZE], at = 0, half = 0;
    while (runs.count < 3000) {
        at += 1 + random_below(&random, 40);
        uint64_t end = at + 1 + random_below(&random, 4);
        add_run(&runs, at, end);
        at = end;
        half = runs.count == 1500 ? at : half;
    }
    uint64_t below = 0;
    for (size_t i = 0; i < 1500; i++)
        below += runs.end[i] - runs.first[i];
    draw(&runs, at, places);
    assert_true(runs.looks < 20 * SIZE);
    check_share(count_below(places, half), (double)below / (double)runs.taken);
}

/* One place in STEP is taken: nearly every draw finds another gap, until most are known. Putting
 * each in its order as it comes would take minutes. */
enum { STEP = 200, SCATTERED = 1 << 18 };

static enum lmk_status look_at_scattered(void *context, uint64_t place, struct gap *gap,
                                         struct lmk_error *error)
{
    (void)error;
    ++*(size_t *)context;
    if (place % STEP == 0)
        return LMK_OK;
    *gap = (struct gap){place - place % STEP + 1, place - place % STEP + STEP};
    return LMK_NOT_FOUND;
}

static void test_scattered_gaps(void **state)
{
    (void)state;
    enum { DRAWS = 100000 };
    const uint64_t end = (uint64_t)STEP * SCATTERED;
    uint64_t *places = calloc(DRAWS, sizeof *places);
    size_t count, looks = 0, half = 0;
    struct lmk_error error;
    assert_int_equal(sample_draw(look_at_scattered, &looks, end, DRAWS, places, &count, &error),
                     LMK_OK);
    assert_int_equal(count, DRAWS);
    assert_true(looks < 4 * SCATTERED);
    for (size_t i = 0; i < DRAWS; i++) {
        assert_true(places[i] < end && places[i] % STEP == 0);
        half += places[i] < end / 2;
    }
    assert_true(half > DRAWS * 49 / 100 && half < DRAWS * 51 / 100);
    free(places);
}

/* No more than the sample takes: all of it, each once. */
static void test_few(void **state)
{
    (void)state;
    for (uint64_t most = 0; most <= SIZE; most += most < 2 ? 1 : 170) {
        static struct runs runs;
        struct random_source random = {most};
        struct lmk_error error;
        uint64_t places[SIZE], at = 0;
        size_t count, next = 0;
        runs = (struct runs){.count = 0};
        while (runs.taken < most) {
            at += (uint64_t)random_below(&random, 1000) << random_below(&random, 30);
            uint64_t size = 1 + random_below(&random, 20);
            size = size < most - runs.taken ? size : most - runs.taken;
            add_run(&runs, at, at + size);
            at += size + 1;
        }
        assert_int_equal(sample_draw(look, &runs, at + 3, SIZE, places, &count, &error), LMK_OK);
        assert_int_equal(count, most);
        for (size_t i = 0; i < runs.count; i++)
            for (uint64_t place = runs.first[i]; place < runs.end[i]; place++)
                assert_int_equal(places[next++], place);
    }
}

static void test_failure(void **state)
{
    (void)state;
    static struct runs runs = {.failure = LMK_CORRUPT};
    struct lmk_error error;
    uint64_t places[SIZE];
    size_t count;
    assert_int_equal(sample_draw(look, &runs, 10, SIZE, places, &count, &error), LMK_CORRUPT);
    assert_int_equal(sample_draw(look, &runs, 100000, SIZE, places, &count, &error), LMK_CORRUPT);
    assert_int_equal(sample_draw(look, &runs, 0, SIZE, places, &count, &error), LMK_OK);
    assert_int_equal(count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_gaps), cmocka_unit_test(test_wide_gaps),
        cmocka_unit_test(test_many_gaps),    cmocka_unit_test(test_scattered_gaps),
        cmocka_unit_test(test_few),          cmocka_unit_test(test_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
