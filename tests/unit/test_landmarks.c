/* FAISS index files against a plain loop in double precision: exact kinds find exactly the best,
 * approximate ones most of them; what FAISS does not take is refused with a sentence, and damaged
 * files before FAISS sees them. */
#include "index/landmarks.h"
#include "tests/unit/random_model.h"
#include "tests/unit/scratch.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

enum { MOST = 2500 };

/* FAISS loses some memory where it refuses a string or a file; the leak sanitizer asks here. */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);

const char *__lsan_default_suppressions(void)
{
    return "leak:faiss::\n";
}

/* Vectors with ids that are neither dense nor small. */
struct set {
    size_t count, dimension;
    float *vectors;
    uint64_t *ids;
};

/* Around `clusters` middles, 0: around none. */
static void set_make(struct set *set, size_t count, size_t dimension, size_t clusters,
                     uint64_t seed)
{
    struct random_source source = {seed};
    float *middles = random_normals(&source, (clusters + 1) * dimension, 1);
    *set = (struct set){count, dimension, random_normals(&source, (count + 1) * dimension, 1),
                        malloc((count + 1) * sizeof(uint64_t))};
    for (size_t i = 0; i < count; i++) {
        const float *middle =
            middles + (clusters ? random_below(&source, (uint32_t)clusters) : 0) * dimension;
        for (size_t j = 0; clusters && j < dimension; j++)
            set->vectors[i * dimension + j] += middle[j];
        set->ids[i] = 5000000000 + 3 * i;
    }
    free(middles);
}

static void set_free(struct set *set)
{
    free(set->vectors);
    free(set->ids);
}

struct hit {
    uint64_t id;
    double score;
};

static int by_score(const void *left, const void *right)
{
    const struct hit *a = left, *b = right;
    return a->score < b->score ? 1 : a->score > b->score ? -1 : 0;
}

static double score_of(const struct set *set, size_t index, const float *query)
{
    double sum = 0;
    for (size_t i = 0; i < set->dimension; i++)
        sum += (double)set->vectors[index * set->dimension + i] * (double)query[i];
    return sum;
}

static void rank(const struct set *set, const float *query, struct hit *ranked)
{
    for (size_t i = 0; i < set->count; i++)
        ranked[i] = (struct hit){set->ids[i], score_of(set, i, query)};
    qsort(ranked, set->count, sizeof *ranked, by_score);
}

/* An index file that was built and opened. */
struct built {
    struct landmark_segment *segment;
    char *path, factory[64];
    uint64_t size;
    unsigned char hash[HASH128_BYTES];
};

static void build(struct built *built, const struct set *set, const char *wanted)
{
    char *factory = built->factory;
    struct lmk_error error;
    struct stat information;
    built->path = scratch_path("built.faiss");
    factory[0] = 0;
    if (wanted[0])
        must(landmarks_factory(wanted, set->dimension, factory, &error), &error);
    must(landmarks_build(built->path, factory, set->vectors, set->ids, set->count, set->dimension,
                         &built->size, built->hash, &error),
         &error);
    assert_int_equal(stat(built->path, &information), 0);
    assert_int_equal(information.st_size, built->size);
    char *temporary = scratch_path("built.faiss.tmp");
    assert_int_not_equal(stat(temporary, &information), 0);
    free(temporary);
    must(landmarks_open(&built->segment, built->path, set->dimension, built->size, built->hash,
                        &error),
         &error);
}

static void release(struct built *built)
{
    landmarks_close(built->segment);
    free(built->path);
}

/* ---- exact search */

static void expect_exact(struct built *built, const struct set *set, const float *query,
                         size_t wanted, double effort)
{
    static struct hit ranked[MOST];
    static uint64_t ids[MOST];
    static float scores[MOST];
    size_t found;
    struct lmk_error error;
    rank(set, query, ranked);
    must(landmarks_search(built->segment, query, wanted, effort, ids, scores, &found, &error),
         &error);
    assert_int_equal(found, wanted < set->count ? wanted : set->count);
    bool seen[MOST] = {false};
    for (size_t i = 0; i < found; i++) {
        size_t index = (size_t)(ids[i] - set->ids[0]) / 3;
        assert_true(index < set->count && set->ids[index] == ids[i] && !seen[index]);
        seen[index] = true;
        /* Either of two that are as good as equal may come first. */
        assert_true(fabs((double)scores[i] - ranked[i].score) < 1e-3);
        assert_true(fabs((double)scores[i] - score_of(set, index, query)) < 1e-3);
    }
}

static void test_exact(void **state)
{
    (void)state;
    static const size_t counts[] = {1, 2, 100, 1237}, dimensions[] = {1, 16, 64, 250},
                        wanted[] = {0, 1, 10, MOST};
    struct random_source source = {6};
    for (size_t c = 0; c < 4; c++)
        for (size_t d = 0; d < 4; d++) {
            struct set set;
            struct built built;
            set_make(&set, counts[c], dimensions[d], 0, 10 * c + d);
            build(&built, &set, d % 2 ? "Flat" : "IDMap2,Flat");
            for (size_t w = 0; w < 4; w++) {
                float *query = random_normals(&source, dimensions[d], 1);
                expect_exact(&built, &set, query, wanted[w], 1);
                free(query);
            }
            release(&built);
            set_free(&set);
        }
}

/* Looking at every list is an exact search, whatever was calibrated; so it is behind a rotation. */
static void test_all_lists(void **state)
{
    (void)state;
    static const char *const factories[] = {"IVF16,Flat", "RR48,IVF16,Flat"};
    struct random_source source = {7};
    struct set set;
    set_make(&set, 1500, 48, 12, 3);
    for (size_t f = 0; f < 2; f++) {
        struct built built;
        build(&built, &set, factories[f]);
        for (size_t round = 0; round < 10; round++) {
            float *query = random_normals(&source, 48, 1);
            expect_exact(&built, &set, query, round % 2 ? 20 : MOST, 1000);
            free(query);
        }
        release(&built);
    }
    set_free(&set);
}

/* ---- approximate search */

/* The share of the ten best that are among the twenty found. */
static double recall(struct built *built, const struct set *set, double effort)
{
    enum { QUERIES = 60, BEST = 10, ASKED = 20 };
    static struct hit ranked[MOST];
    struct random_source source = {12};
    size_t hits = 0;
    for (size_t q = 0; q < QUERIES; q++) {
        uint64_t ids[ASKED];
        float scores[ASKED];
        size_t found;
        struct lmk_error error;
        float *query = random_normals(&source, set->dimension, 1);
        size_t near = random_below(&source, (uint32_t)set->count) * set->dimension;
        for (size_t i = 0; i < set->dimension && q % 2; i++)
            query[i] += set->vectors[near + i];
        rank(set, query, ranked);
        must(landmarks_search(built->segment, query, ASKED, effort, ids, scores, &found, &error),
             &error);
        for (size_t i = 0; i < found; i++) {
            assert_true(!i || scores[i - 1] >= scores[i]);
            for (size_t j = 0; j < BEST; j++)
                hits += ranked[j].id == ids[i];
        }
        free(query);
    }
    return (double)hits / (QUERIES * BEST);
}

static void test_approximate(void **state)
{
    (void)state;
    static const struct {
        const char *factory;
        double
            least; /* what plain FAISS code of the kind reaches on such vectors, with some room */
    } kinds[] = {
        {"HNSW32", 0.93},          {"SQ8", 0.99},
        {"IVF64,Flat", 0.93},      {"IVF64,SQ8", 0.93},
        {"IDMap,IVF64,SQ8", 0.93}, {"PCA56,IVF64,SQ8", 0.8},
        {"IVF16,PQ32x4fs", 0.6},
    };
    struct set set;
    set_make(&set, MOST, 64, 40, 5);
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        struct built built;
        build(&built, &set, kinds[k].factory);
        double usual = recall(&built, &set, 1), thorough = recall(&built, &set, 1000);
        if (usual < kinds[k].least)
            fail_msg("%s finds only %.3f", kinds[k].factory, usual);
        assert_true(thorough >= usual - 0.001);
        release(&built);
    }
    set_free(&set);
}

/* More lists than vectors. */
static void test_few_vectors(void **state)
{
    (void)state;
    static const char *const factories[] = {"IVF64,SQ8", "IVF64,Flat", "HNSW32", "SQ8"};
    struct set set;
    set_make(&set, 30, 32, 0, 8);
    for (size_t f = 0; f < sizeof factories / sizeof *factories; f++) {
        uint64_t ids[30];
        float scores[30];
        size_t found;
        struct built built;
        build(&built, &set, factories[f]);
        assert_int_equal(
            landmarks_search(built.segment, set.vectors, 30, 1000, ids, scores, &found, NULL),
            LMK_OK);
        assert_int_equal(found, 30);
        release(&built);
    }
    set_free(&set);
}

static void test_default_factory(void **state)
{
    (void)state;
    char factory[64], again[64];
    static const struct {
        size_t count, dimension;
        const char *factory;
        double bytes; /* a vector */
    } kinds[] = {
        {1, 256, "IVF1,Flat", 1032},
        {50000, 256, "IVF1,Flat", 1032},
        {250000, 256, "IDMap,PQ128x4fs", 72},
        {1000000, 64, "IDMap,PQ32x4fs", 24},
        {1000000, 2, "IDMap,PQ1x4fs", 8.5},
        {250000, 1024, "IDMap,PQ256x4fs", 136}, /* more parts would overflow FAISS's sums */
        {250000, 515, "IVF2000,SQ8", 8 + 515 + 16.48},
        {1000000, 63, "IVF4000,SQ8", 8 + 63 + 1.008},
        {1000000, 1, "IVF4000,SQ8", 8 + 1 + 0.016},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        landmarks_default_factory(kinds[i].count, kinds[i].dimension, factory);
        assert_string_equal(factory, kinds[i].factory);
        assert_int_equal(landmarks_factory(factory, kinds[i].dimension, again, NULL), LMK_OK);
        assert_string_equal(again, factory);
        assert_true(landmarks_coded(factory) == !strncmp(factory, "IDMap", 5));
        assert_true(fabs(landmarks_vector_bytes(kinds[i].count, kinds[i].dimension) -
                         kinds[i].bytes) < 1e-9);
    }
    static const char *const others[] = {"",
                                         "IDMap,Flat",
                                         "IDMap,PQ16",
                                         "IDMap,IVF64,PQ16x4fs",
                                         "IDMap,PQ16x4fsr",
                                         "IDMap2,PQ16x4fs"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_false(landmarks_coded(others[i]));
}

/* ---- what is chosen for many vectors */

/* A set that is too large for an exact index. */
enum { MANY = 60000, WIDTH = 16, QUERIES = 40, BEST = 10 };

static void many_make(struct set *set, size_t dimension, float spread, uint64_t seed)
{
    struct random_source source = {seed};
    float *common = random_normals(&source, dimension, 10);
    set->count = MANY;
    set->dimension = dimension;
    set->vectors = random_normals(&source, MANY * dimension, spread);
    set->ids = malloc(MANY * sizeof *set->ids);
    for (size_t i = 0; i < MANY; i++)
        set->ids[i] = 70 + 2 * i;
    for (size_t i = 0; i < MANY * dimension; i++)
        set->vectors[i] += common[i % dimension];
    free(common);
}

/* The share of the ten best that are among the `asked` found, and the largest difference of the
 * index's scores from those of the vectors. */
static double recall_of_many(struct landmark_segment *segment, const struct set *set, size_t asked,
                             double *apart)
{
    struct hit *ranked = malloc(MANY * sizeof *ranked);
    uint64_t *ids = malloc(asked * sizeof *ids);
    float *scores = malloc(asked * sizeof *scores);
    struct random_source source = {31};
    size_t hits = 0, found;
    struct lmk_error error;
    *apart = 0;
    for (size_t q = 0; q < QUERIES; q++) {
        float *query = random_normals(&source, set->dimension, 1);
        rank(set, query, ranked);
        must(landmarks_search(segment, query, asked, 1, ids, scores, &found, &error), &error);
        assert_int_equal(found, asked);
        for (size_t i = 0; i < found; i++) {
            double score = score_of(set, (size_t)(ids[i] - 70) / 2, query);
            *apart = fmax(*apart, fabs(score - (double)scores[i]));
            for (size_t j = 0; j < BEST; j++)
                hits += ranked[j].id == ids[i];
        }
        free(query);
    }
    free(ranked);
    free(ids);
    free(scores);
    return (double)hits / (QUERIES * BEST);
}

/* Where nothing else is wanted, codes: their scores are those of the vectors, with what all of them
 * share, but for what rounding takes. */
static void test_codes(void **state)
{
    (void)state;
    struct set set;
    struct built built;
    double apart;
    many_make(&set, WIDTH, 1, 21);
    build(&built, &set, "");
    assert_string_equal(built.factory, "IDMap,PQ8x4fs");
    assert_true(recall_of_many(built.segment, &set, LANDMARKS_SCORED, &apart) > 0.99);
    assert_true(apart < 20); /* and that part alone makes scores of up to 100 */
    assert_true(recall_of_many(built.segment, &set, 2 * BEST, &apart) < 0.8);
    assert_int_equal(landmarks_probes(built.segment), 0);
    release(&built);
    set_free(&set);
}

/* Sixteen codes for a pair of coordinates tell clusters apart, but not what lies in one. */
static void test_codes_that_lose(void **state)
{
    (void)state;
    struct set set;
    struct built built;
    struct random_source source = {22};
    double apart;
    many_make(&set, WIDTH, 1, 23);
    float *middles = random_normals(&source, 50 * WIDTH, 10);
    for (size_t i = 0; i < MANY * WIDTH; i++)
        set.vectors[i] += middles[i % (50 * WIDTH)];
    build(&built, &set, "");
    assert_string_equal(built.factory, "IVF980,SQ8");
    assert_true(recall_of_many(built.segment, &set, 2 * BEST, &apart) > 0.98);
    release(&built);
    /* The user's own word counts. */
    build(&built, &set, "PQ8x4fs");
    assert_string_equal(built.factory, "IDMap,PQ8x4fs");
    release(&built);
    free(middles);
    set_free(&set);
}

/* Codes are for pairs of coordinates. */
static void test_odd_width(void **state)
{
    (void)state;
    struct set set;
    struct built built;
    double apart;
    many_make(&set, 7, 1, 24);
    build(&built, &set, "");
    assert_string_equal(built.factory, "IVF980,SQ8");
    assert_true(recall_of_many(built.segment, &set, 2 * BEST, &apart) > 0.98);
    release(&built);
    set_free(&set);
}

/* ---- factory strings */

static void test_factories(void **state)
{
    (void)state;
    static const struct {
        const char *wanted, *given;
    } good[] = {
        {"Flat", "IDMap,Flat"},
        {"IDMap,Flat", "IDMap,Flat"},
        {"IDMap2,Flat", "IDMap2,Flat"},
        {"HNSW32", "IDMap,HNSW32"},
        {"SQ8", "IDMap,SQ8"},
        {"IVF1024,SQ8", "IVF1024,SQ8"},
        {"IVF64_HNSW32,SQ8", "IVF64_HNSW32,SQ8"},
        {"PCA32,IVF64,SQ8", "PCA32,IVF64,SQ8"},
        {"PCA32,Flat", "IDMap,PCA32,Flat"},
        {"IVF64,PQ16x4fs,RFlat", "IDMap,IVF64,PQ16x4fs,RFlat"},
    };
    char factory[64];
    struct lmk_error error;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        must(landmarks_factory(good[i].wanted, 64, factory, &error), &error);
        assert_string_equal(factory, good[i].given);
    }
    char long_one[100] = "IVF64,SQ8", longer[64] = "HNSW32";
    memset(long_one + 9, 'x', 90);
    /* Fits as it is, but not with what is put before it. */
    memset(longer, ' ', 58);
    memcpy(longer + 52, "HNSW32", 7);
    const char *const bad[] = {
        "Nonsense",  "flat",     "IVF64,PQ7",          "IVF64", "LSH",       "IMI2x4,SQ8",
        "IVF0,Flat", "IVF8,PQ0", "IVF2000000,Flat",    "HNSW0", "PCA0,Flat", "IDMap",
        "SQ9",       long_one,   "IVF99999999999,SQ8", longer,  "%s%n",      ""};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(landmarks_factory(bad[i], 64, factory, &error), LMK_USAGE);
        assert_int_equal(error.status, LMK_USAGE);
        /* A whole sentence that names it and what would do, without FAISS's source lines. */
        char name[80];
        snprintf(name, sizeof name, "\"%.70s", bad[i]);
        assert_non_null(strstr(error.message, name));
        assert_non_null(strstr(error.message, "\"Flat\", \"HNSW32\" or \"IVF1024,SQ8\""));
        assert_null(strstr(error.message, ".cpp"));
        assert_null(strstr(error.message, "Error"));
        assert_true(error.message[strlen(error.message) - 1] == '.');
        assert_int_equal(landmarks_factory(bad[i], 64, factory, NULL), LMK_USAGE);
    }
}

/* What only training or the disk refuses leaves no file behind. */
static void test_failed_builds(void **state)
{
    (void)state;
    struct set set;
    struct lmk_error error;
    struct stat information;
    uint64_t size;
    unsigned char hash[HASH128_BYTES];
    set_make(&set, 100, 16, 0, 9);
    char *path = scratch_path("failed.faiss"), *nowhere = scratch_path("none/failed.faiss");
    assert_int_equal(landmarks_build(path, (char[64]){"IDMap,PCA64,Flat"}, set.vectors, set.ids,
                                     100, 16, &size, hash, &error),
                     LMK_USAGE);
    assert_non_null(strstr(error.message, "PCA64"));
    assert_null(strstr(error.message, ".cpp"));
    assert_int_equal(landmarks_build(path, (char[64]){"Flat"}, set.vectors, set.ids, 100, 16, &size,
                                     hash, &error),
                     LMK_USAGE);
    assert_int_equal(landmarks_build(nowhere, (char[64]){"IDMap,Flat"}, set.vectors, set.ids, 100,
                                     16, &size, hash, &error),
                     LMK_IO);
    assert_non_null(strstr(error.message, nowhere));
    assert_int_not_equal(stat(path, &information), 0);
    free(path);
    free(nowhere);
    set_free(&set);
}

/* ---- damaged files */

static void expect_corrupt(const struct built *built, size_t dimension)
{
    struct landmark_segment *segment;
    struct lmk_error error;
    assert_int_equal(
        landmarks_open(&segment, built->path, dimension, built->size, built->hash, &error),
        LMK_CORRUPT);
    assert_null(segment);
    assert_non_null(strstr(error.message, built->path));
    assert_true(error.message[strlen(error.message) - 1] == '.');
}

static void write_file(const char *path, const unsigned char *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

static void test_damaged_files(void **state)
{
    (void)state;
    static const char *const factories[] = {"Flat", "IVF8,SQ8", "HNSW8"};
    struct random_source source = {11};
    struct set set;
    set_make(&set, 300, 16, 0, 10);
    for (size_t f = 0; f < 3; f++) {
        struct built built;
        build(&built, &set, factories[f]);
        unsigned char *bytes = malloc(built.size + 1);
        FILE *file = fopen(built.path, "rb");
        assert_int_equal(fread(bytes, 1, built.size, file), built.size);
        fclose(file);
        for (size_t i = 0; i < 60; i++) {
            size_t at = i < 20 ? i : random_below(&source, (uint32_t)built.size);
            unsigned char bit = (unsigned char)(1 << random_below(&source, 8));
            bytes[at] ^= bit;
            write_file(built.path, bytes, built.size);
            expect_corrupt(&built, 16);
            assert_int_equal(landmarks_check(built.path, built.size, built.hash, NULL),
                             LMK_CORRUPT);
            bytes[at] ^= bit;
            write_file(built.path, bytes, at);
            expect_corrupt(&built, 16);
        }
        bytes[built.size] = 0;
        write_file(built.path, bytes, built.size + 1);
        expect_corrupt(&built, 16);
        write_file(built.path, bytes, built.size);
        assert_int_equal(landmarks_check(built.path, built.size, built.hash, NULL), LMK_OK);
        expect_corrupt(&built, 17); /* of another model */
        remove(built.path);
        expect_corrupt(&built, 16);
        release(&built);
        free(bytes);
    }
    set_free(&set);
}

/* What is whole by its hash, but no index file: FAISS says so, and nothing more happens. */
static void test_other_files(void **state)
{
    (void)state;
    static const char *const contents[] = {"", "I", "nonsense that is no index", "IwFl",
                                           "IxMp\x01\x02\x03\x04 and so on"};
    for (size_t i = 0; i < sizeof contents / sizeof *contents; i++) {
        struct built built = {.path = scratch_path("other.faiss"), .size = strlen(contents[i])};
        write_file(built.path, (const unsigned char *)contents[i], built.size);
        hash128(contents[i], built.size, built.hash);
        expect_corrupt(&built, 16);
        release(&built);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact),         cmocka_unit_test(test_all_lists),
        cmocka_unit_test(test_approximate),   cmocka_unit_test(test_few_vectors),
        cmocka_unit_test(test_codes),         cmocka_unit_test(test_codes_that_lose),
        cmocka_unit_test(test_odd_width),     cmocka_unit_test(test_default_factory),
        cmocka_unit_test(test_factories),     cmocka_unit_test(test_failed_builds),
        cmocka_unit_test(test_damaged_files), cmocka_unit_test(test_other_files),
    };
    return cmocka_run_group_tests(tests, scratch_open, scratch_close);
}
