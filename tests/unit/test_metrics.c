/* Measures of rankings, by hand and as trec_eval counts. */
#include "cli/eval/metrics.h"
#include "tests/unit/near.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A ranking of entries with falling scores. */
static struct ranked_list make_ranking(const uint32_t *entries, size_t count)
{
    struct ranked_list ranking = {calloc(count + 1, sizeof *ranking.items), count};
    for (size_t i = 0; i < count; i++)
        ranking.items[i] = (struct scored){entries[i], (double)(count - i)};
    return ranking;
}

static void measure(const uint32_t *entries, size_t count, const struct judgement *judgements,
                    size_t judgement_count, double values[METRIC_COUNT])
{
    struct ranked_list ranking = make_ranking(entries, count);
    metrics_measure(&ranking, judgements, judgement_count, values);
    ranked_list_release(&ranking);
}

static void test_one_right(void **state)
{
    static const struct judgement gold = {7, 1};
    double values[METRIC_COUNT];
    (void)state;
    measure((const uint32_t[]){7, 1, 2}, 3, &gold, 1, values);
    for (size_t m = 0; m < METRIC_COUNT; m++)
        assert_near(values[m], 1, 1e-12);
    measure((const uint32_t[]){1, 2, 7}, 3, &gold, 1, values);
    assert_near(values[NDCG_10], .5, 1e-12); /* 1 / log2(4) */
    assert_near(values[MRR_10], 1.0 / 3, 1e-12);
    assert_near(values[RECALL_1], 0, 0);
    assert_near(values[RECALL_5], 1, 0);
    measure((const uint32_t[]){1, 2, 3}, 3, &gold, 1, values);
    for (size_t m = 0; m < METRIC_COUNT; m++)
        assert_near(values[m], 0, 0);
    measure(NULL, 0, &gold, 1, values);
    assert_near(values[NDCG_10], 0, 0);
}

static void test_cuts(void **state)
{
    static const struct judgement gold = {0, 1};
    uint32_t entries[101];
    double values[METRIC_COUNT];
    (void)state;
    static const struct {
        size_t rank;
        double mrr, recall[4];
    } cases[] = {{10, .1, {0, 0, 1, 1}}, {11, 0, {0, 0, 1, 1}},  {20, 0, {0, 0, 1, 1}},
                 {21, 0, {0, 0, 0, 1}},  {100, 0, {0, 0, 0, 1}}, {101, 0, {0, 0, 0, 0}}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (uint32_t rank = 1; rank <= 101; rank++)
            entries[rank - 1] = rank == cases[i].rank ? 0 : rank;
        measure(entries, 101, &gold, 1, values);
        assert_near(values[MRR_10], cases[i].mrr, 1e-12);
        assert_near(values[NDCG_10], cases[i].mrr > 0 ? 1 / log2(11) : 0, 1e-12);
        for (size_t m = 0; m < 4; m++)
            assert_near(values[RECALL_1 + m], cases[i].recall[m], 0);
    }
}

/* Gains 3, 2, 1, found at ranks 2, 1 and not at all:
 * (2 + 3 / log2(3)) / (3 + 2 / log2(3) + 1 / log2(4)) = 3.892789 / 4.761860 */
static void test_gains(void **state)
{
    static const struct judgement gold[] = {{4, 3}, {5, 2}, {6, 1}};
    double values[METRIC_COUNT];
    (void)state;
    measure((const uint32_t[]){5, 4, 9}, 3, gold, 3, values);
    assert_near(values[NDCG_10], .817494, 1e-6);
    assert_near(values[MRR_10], 1, 0);
    assert_near(values[RECALL_1], 1.0 / 3, 1e-12);
    assert_near(values[RECALL_5], 2.0 / 3, 1e-12);
}

/* Further blocks of a document take ranks at block level, and none at document level. */
static void test_repeated(void **state)
{
    static const struct judgement gold[] = {{2, 1}, {3, 1}};
    static const uint32_t entries[] = {1, 1, 2, 2, 2, 3};
    bool seen[4] = {false};
    double values[METRIC_COUNT];
    struct ranked_list ranking = make_ranking(entries, 6);
    (void)state;
    metrics_measure(&ranking, gold, 2, values);
    assert_near(values[MRR_10], 1.0 / 3, 1e-12);
    assert_near(values[RECALL_5], .5, 1e-12);
    assert_near(values[NDCG_10], (.5 + 1 / log2(7)) / (1 + 1 / log2(3)), 1e-12);
    ranked_list_collapse(&ranking, seen);
    assert_int_equal(ranking.count, 3);
    assert_near(ranking.items[1].score, 4, 0); /* the best block's */
    assert_false(seen[1] || seen[2] || seen[3]);
    metrics_measure(&ranking, gold, 2, values);
    assert_near(values[MRR_10], .5, 1e-12);
    assert_near(values[RECALL_5], 1, 1e-12);
    ranked_list_release(&ranking);
}

/* trec_eval puts equal scores in falling order of the ids. */
static void test_ties(void **state)
{
    char *ids[] = {(char[]){"a"}, (char[]){"b"}, (char[]){"c"}, (char[]){"d"}};
    static const struct judgement gold = {0, 1};
    double values[METRIC_COUNT];
    struct ranked_list ranking = make_ranking((const uint32_t[]){0, 1, 2, 3}, 4);
    (void)state;
    ranking.items[0].score = ranking.items[1].score = ranking.items[2].score = 1;
    ranking.items[3].score = 2;
    ranked_list_sort(&ranking, ids);
    static const uint32_t expected[] = {3, 2, 1, 0};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(ranking.items[i].entry, expected[i]);
    metrics_measure(&ranking, &gold, 1, values);
    assert_near(values[NDCG_10], .430677, 1e-6); /* 1 / log2(5) */
    ranked_list_release(&ranking);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_right), cmocka_unit_test(test_cuts), cmocka_unit_test(test_gains),
        cmocka_unit_test(test_repeated),  cmocka_unit_test(test_ties),
    };
    return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
