/* Search over landmarks against a double loop over the keys that were stored. */
#include "index/landmarks.h"
#include "index/segments.h"
#include "tests/unit/random_model.h"
#include "tests/unit/scratch.h"

#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST_BLOCKS = 4096, MOST_DOCUMENTS = 64, PARTS = 5 };

/* What a collection should hold. */
struct mirror {
    struct lmk_collection *collection;
    struct random_source random;
    size_t blocks;
    float *keys;                /* [MOST_BLOCKS][M][G][W] */
    float apart;                /* how far the middles of documents lie from each other */
    bool findable[MOST_BLOCKS]; /* has a landmark, and its document is there */
    struct document documents[MOST_DOCUMENTS];
    size_t document_count;
};

static void mirror_open(struct mirror *mirror, const char *name, const char *ann)
{
    memset(mirror, 0, sizeof *mirror);
    mirror->collection = scratch_create(name, tiny_model, LMK_TIER_NONE, ann);
    mirror->random.state = strlen(name);
    mirror->keys = malloc(MOST_BLOCKS * model_landmark_width(&tiny_model->shape) * sizeof(float));
}

static void mirror_close(struct mirror *mirror)
{
    lmk_collection_close(mirror->collection);
    free(mirror->keys);
}

/* A document in state text. Which tokens its blocks have does not matter here. */
static size_t add_text(struct mirror *mirror, size_t blocks)
{
    size_t index = mirror->document_count++;
    struct document *document = &mirror->documents[index];
    struct store_batch *batch;
    struct lmk_error error;
    assert_true(mirror->blocks + blocks <= MOST_BLOCKS && index < MOST_DOCUMENTS);
    *document = (struct document){.state = DOCUMENT_TEXT,
                                  .tier = LMK_TIER_NONE,
                                  .path = "a.txt",
                                  .title = "",
                                  .author = "",
                                  .language = "",
                                  .kind = "text",
                                  .metadata = "{}",
                                  .block_count = blocks,
                                  .token_count = blocks};
    memcpy(document->hash, &index, sizeof index);
    uint32_t token = 7;
    struct map_run run = {0, 0};
    struct block_text *texts = calloc(blocks, sizeof *texts);
    for (size_t b = 0; b < blocks; b++)
        texts[b] =
            (struct block_text){.token_count = 1, .tokens = &token, .runs = &run, .run_count = 1};
    must(store_batch_begin(mirror->collection->store, &batch, &error), &error);
    must(store_add_document(batch, document, texts, &error), &error);
    must(store_commit(batch, &error), &error);
    assert_int_equal(document->first_block, mirror->blocks);
    mirror->blocks += blocks;
    free(texts);
    return index;
}

/* What the model computes of a document is in the store. */
static void put_landmarks(struct mirror *mirror, size_t index)
{
    const struct document *document = &mirror->documents[index];
    size_t width = model_landmark_width(&tiny_model->shape);
    struct store_batch *batch;
    struct lmk_error error;
    must(store_batch_begin(mirror->collection->store, &batch, &error), &error);
    must(store_put_blocks(batch, document, document->first_block, document->block_count,
                          mirror->keys + document->first_block * width, NULL, NULL, &error),
         &error);
    must(store_set_state(batch, document->id, DOCUMENT_LANDMARKS, &error), &error);
    must(store_commit(batch, &error), &error);
    for (size_t b = 0; b < document->block_count; b++)
        mirror->findable[document->first_block + b] = true;
}

/* Landmarks share a large part, as those of a real model do. */
static void add_landmarks(struct mirror *mirror, size_t index)
{
    const struct document *document = &mirror->documents[index];
    size_t width = model_landmark_width(&tiny_model->shape), count = document->block_count;
    float *keys = mirror->keys + document->first_block * width;
    struct random_source shared = {77};
    float *common = random_normals(&shared, width, 3),
          *own = random_normals(&mirror->random, count * width, 1);
    struct random_source middles = {index};
    float *middle = random_normals(&middles, width, mirror->apart);
    for (size_t i = 0; i < count * width; i++)
        keys[i] = common[i % width] + middle[i % width] + own[i];
    put_landmarks(mirror, index);
    free(common);
    free(middle);
    free(own);
}

/* The document waits for the model again. */
static void forget_landmarks(struct mirror *mirror, size_t index)
{
    const struct document *document = &mirror->documents[index];
    struct store_batch *batch;
    struct lmk_error error;
    must(store_batch_begin(mirror->collection->store, &batch, &error), &error);
    must(store_forget_blocks(batch, document->id, &error), &error);
    must(store_commit(batch, &error), &error);
    for (size_t b = 0; b < document->block_count; b++)
        mirror->findable[document->first_block + b] = false;
}

static size_t add_document(struct mirror *mirror, size_t blocks)
{
    size_t index = add_text(mirror, blocks);
    add_landmarks(mirror, index);
    return index;
}

static void remove_document(struct mirror *mirror, size_t index)
{
    const struct document *document = &mirror->documents[index];
    char id[24];
    uint64_t removed;
    struct lmk_error error;
    snprintf(id, sizeof id, "%llu", (unsigned long long)document->id);
    must(lmk_remove(mirror->collection, id, &removed, &error), &error);
    assert_int_equal(removed, 1);
    for (size_t b = 0; b < document->block_count; b++)
        mirror->findable[document->first_block + b] = false;
}

static void build(struct mirror *mirror, uint32_t part)
{
    struct lmk_error error;
    must(segments_build(mirror->collection, part, &error), &error);
}

static size_t list_segments(struct mirror *mirror, uint32_t part, struct segment_record *records,
                            size_t most)
{
    struct buffer all;
    size_t count = 0;
    buffer_init(&all, 1 << 20);
    struct store_view *view = scratch_view(mirror->collection);
    assert_int_equal(store_segments(view, &all, NULL), LMK_OK);
    store_view_end(view);
    const struct segment_record *items = (const struct segment_record *)all.data;
    for (size_t i = 0; i < all.size / sizeof *items; i++)
        if (items[i].part == part) {
            assert_true(count < most);
            records[count++] = items[i];
        }
    buffer_release(&all);
    return count;
}

static int by_score(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;
    return a->score < b->score ? 1 : a->score > b->score ? -1 : a->block < b->block ? -1 : 1;
}

static size_t rank_all(const struct mirror *mirror, uint32_t part, const float *query,
                       struct candidate *ranked)
{
    size_t count = 0, width = model_landmark_width(&tiny_model->shape);
    for (size_t b = 0; b < mirror->blocks; b++)
        if (mirror->findable[b])
            ranked[count++] = (struct candidate){
                b, reference_score(&tiny_model->shape, part, query, mirror->keys + b * width)};
    qsort(ranked, count, sizeof *ranked, by_score);
    return count;
}

/* The `wanted` best must be those of the reference, in its order: where scores are as good as
 * equal, either may come first. */
static void check_view(struct mirror *mirror, struct store_view *view, uint32_t part, size_t wanted)
{
    static struct candidate expected[MOST_BLOCKS], candidates[MOST_BLOCKS];
    size_t width = part == SEGMENT_JOINT ? model_landmark_width(&tiny_model->shape)
                                         : tiny_model->shape.head_width;
    float *query = random_normals(&mirror->random, width, 1);
    size_t count = rank_all(mirror, part, query, expected), found = 0;
    bool seen[MOST_BLOCKS] = {false};
    struct lmk_error error;
    must(segments_search(mirror->collection, view, part, query, wanted, NULL, candidates, &found,
                         &error),
         &error);
    assert_int_equal(found, count < wanted ? count : wanted);
    for (size_t i = 0; i < found; i++) {
        uint64_t block = candidates[i].block;
        assert_true(block < mirror->blocks && mirror->findable[block] && !seen[block]);
        seen[block] = true;
        double score =
            reference_score(&tiny_model->shape, part, query,
                            mirror->keys + block * model_landmark_width(&tiny_model->shape));
        assert_true(fabs(candidates[i].score - score) < 1e-4);
        assert_true(fabs(candidates[i].score - expected[i].score) < 1e-4);
    }
    free(query);
}

static void check_search(struct mirror *mirror, uint32_t part, size_t wanted)
{
    struct store_view *view = scratch_view(mirror->collection);
    check_view(mirror, view, part, wanted);
    store_view_end(view);
}

static void check_searches(struct mirror *mirror, uint32_t part)
{
    static const size_t wanted[] = {1, 10, 200, MOST_BLOCKS};
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        check_search(mirror, part, wanted[i]);
}

static void test_scan(void **state)
{
    (void)state;
    struct mirror mirror;
    struct segment_record records[4];
    mirror_open(&mirror, "scan.lmk", NULL);
    check_search(&mirror, SEGMENT_JOINT, 5);
    for (size_t i = 0; i < 6; i++)
        add_document(&mirror, 1 + 7 * i);
    build(&mirror, SEGMENT_JOINT);
    assert_int_equal(list_segments(&mirror, SEGMENT_JOINT, records, 4), 0);
    for (uint32_t part = 0; part < PARTS; part++)
        check_searches(&mirror, part);
    remove_document(&mirror, 3);
    check_searches(&mirror, SEGMENT_JOINT);
    mirror_close(&mirror);
}

static void test_segment(void **state)
{
    (void)state;
    struct mirror mirror;
    struct segment_record records[4];
    mirror_open(&mirror, "segment.lmk", NULL);
    add_document(&mirror, 300);
    add_document(&mirror, 211);
    for (uint32_t part = 0; part < PARTS; part++) {
        build(&mirror, part);
        assert_int_equal(list_segments(&mirror, part, records, 4), 1);
        assert_int_equal(records[0].first_block, 0);
        assert_int_equal(records[0].end_block, 511);
        assert_int_equal(records[0].vector_count, 511);
        check_searches(&mirror, part);
    }
    /* Nothing new: nothing is done. */
    struct segment_record again[4];
    list_segments(&mirror, SEGMENT_JOINT, records, 4);
    build(&mirror, SEGMENT_JOINT);
    assert_int_equal(list_segments(&mirror, SEGMENT_JOINT, again, 4), 1);
    assert_string_equal(records[0].name, again[0].name);
    mirror_close(&mirror);
}

/* All parts of the model's 2 memory layers of 2 heads are covered by the tests above. */
static void test_parts(void **state)
{
    (void)state;
    assert_int_equal(1 + tiny_model->shape.memory_layer_count * tiny_model->shape.kv_heads, PARTS);
}

struct cover {
    uint64_t end;               /* of the last segment */
    size_t segments, uncovered; /* findable blocks that lie in none */
};

/* Segments do not overlap, and hold as many blocks as can be found in them. */
static struct cover check_cover(struct mirror *mirror)
{
    struct segment_record records[MOST_DOCUMENTS];
    bool covered[MOST_BLOCKS] = {false};
    struct cover cover = {.segments =
                              list_segments(mirror, SEGMENT_JOINT, records, MOST_DOCUMENTS)};
    for (size_t i = 0; i < cover.segments; i++) {
        uint64_t findable = 0;
        for (uint64_t b = records[i].first_block; b < records[i].end_block; b++) {
            assert_false(covered[b]);
            covered[b] = true;
            findable += mirror->findable[b];
        }
        assert_true(records[i].vector_count >= findable);
        if (records[i].end_block > cover.end)
            cover.end = records[i].end_block;
    }
    for (size_t b = 0; b < mirror->blocks; b++)
        cover.uncovered += mirror->findable[b] && !covered[b];
    return cover;
}

/* The removed would be most of what the segment finds. */
static void test_removal(void **state)
{
    (void)state;
    struct mirror mirror;
    mirror_open(&mirror, "removal.lmk", NULL);
    for (size_t i = 0; i < 20; i++)
        add_document(&mirror, 30);
    build(&mirror, SEGMENT_JOINT);
    for (size_t i = 0; i < 19; i++) {
        remove_document(&mirror, (i * 7) % 20);
        check_searches(&mirror, SEGMENT_JOINT);
    }
    remove_document(&mirror, (19 * 7) % 20);
    check_searches(&mirror, SEGMENT_JOINT);
    assert_int_equal(check_cover(&mirror).segments, 1);
    build(&mirror, SEGMENT_JOINT); /* nothing of it is left */
    assert_int_equal(check_cover(&mirror).segments, 0);
    mirror_close(&mirror);
}

static void test_growth(void **state)
{
    (void)state;
    struct mirror mirror;
    mirror_open(&mirror, "growth.lmk", NULL);
    for (size_t i = 0; i < 14; i++) {
        add_document(&mirror, 20 + 60 * (i % 5));
        if (i == 5 || i == 9)
            remove_document(&mirror, i - 3);
        build(&mirror, SEGMENT_JOINT);
        assert_true(check_cover(&mirror).uncovered < 256); /* what is scanned */
        check_searches(&mirror, SEGMENT_JOINT);
    }
    /* As another process finds it. */
    lmk_collection_close(mirror.collection);
    mirror.collection = scratch_reader("growth.lmk", tiny_model);
    check_searches(&mirror, SEGMENT_JOINT);
    mirror_close(&mirror);
}

/* Documents that wait when segments are built are found once they have landmarks, and what lies
 * behind them does not wait for them. */
static void test_waiting_documents(void **state)
{
    (void)state;
    struct mirror mirror;
    mirror_open(&mirror, "waiting.lmk", NULL);
    add_document(&mirror, 300);
    size_t waiting = add_text(&mirror, 280), last = add_text(&mirror, 20);
    add_document(&mirror, 260);
    build(&mirror, SEGMENT_JOINT);
    struct cover cover = check_cover(&mirror);
    assert_int_equal(cover.segments, 2);
    assert_int_equal(cover.uncovered, 0);
    check_searches(&mirror, SEGMENT_JOINT);
    add_landmarks(&mirror, waiting);
    check_searches(&mirror, SEGMENT_JOINT);
    build(&mirror, SEGMENT_JOINT); /* the one before takes it in */
    cover = check_cover(&mirror);
    assert_int_equal(cover.segments, 2);
    assert_int_equal(cover.uncovered, 0);
    check_searches(&mirror, SEGMENT_JOINT);
    add_landmarks(&mirror, last);
    check_searches(&mirror, SEGMENT_JOINT);
    build(&mirror, SEGMENT_JOINT);
    assert_int_equal(check_cover(&mirror).uncovered, 20);
    mirror_close(&mirror);
}

/* The newest documents become ready first: segments grow towards older ones, and stay few. */
static void test_newest_first(void **state)
{
    (void)state;
    struct mirror mirror;
    mirror_open(&mirror, "newest.lmk", NULL);
    for (size_t i = 0; i < 20; i++)
        add_text(&mirror, 40 + 60 * (i % 5));
    for (size_t i = 20; i-- > 0;) {
        add_landmarks(&mirror, i);
        build(&mirror, SEGMENT_JOINT);
        struct cover cover = check_cover(&mirror);
        assert_true(cover.segments <= 3);
        assert_true(cover.uncovered < 256);
        if (i % 4 == 0)
            check_searches(&mirror, SEGMENT_JOINT);
    }
    mirror_close(&mirror);
}

/* A document of a segment that is computed again is found with the rest, whatever is built while it
 * waits. */
static void test_computed_again(void **state)
{
    (void)state;
    struct mirror mirror;
    mirror_open(&mirror, "again.lmk", NULL);
    add_document(&mirror, 200);
    size_t again = add_document(&mirror, 100);
    add_document(&mirror, 50);
    build(&mirror, SEGMENT_JOINT);
    forget_landmarks(&mirror, again);
    add_document(&mirror, 300);
    build(&mirror, SEGMENT_JOINT);
    assert_int_equal(check_cover(&mirror).segments, 2);
    check_searches(&mirror, SEGMENT_JOINT);
    put_landmarks(&mirror, again);
    check_searches(&mirror, SEGMENT_JOINT);
    mirror_close(&mirror);
}

/* Any order of everything that happens to documents. */
static void test_any_order(void **state)
{
    (void)state;
    struct mirror mirror;
    enum { NONE, WAITS, READY, AGAIN } states[MOST_DOCUMENTS] = {NONE};
    mirror_open(&mirror, "any.lmk", NULL);
    struct random_source *random = &mirror.random;
    for (size_t round = 0; round < 150; round++) {
        size_t any = mirror.document_count ? random_below(random, (uint32_t)mirror.document_count)
                                           : MOST_DOCUMENTS - 1;
        uint32_t what = random_below(random, 10);
        if (what < 3 && mirror.document_count < MOST_DOCUMENTS - 1 &&
            mirror.blocks + 200 <= MOST_BLOCKS)
            states[add_text(&mirror, 1 + random_below(random, 200))] = WAITS;
        else if (what < 8 && states[any] == WAITS) {
            add_landmarks(&mirror, any);
            states[any] = READY;
        } else if (what < 8 && states[any] == AGAIN) {
            put_landmarks(&mirror, any);
            states[any] = READY;
        } else if (what == 8 && states[any] == READY) {
            forget_landmarks(&mirror, any);
            states[any] = AGAIN;
        } else if (what == 9 && states[any] != NONE && round % 3 == 0) {
            remove_document(&mirror, any);
            states[any] = NONE;
        } else
            build(&mirror, SEGMENT_JOINT);
        check_cover(&mirror);
        if (round % 5 == 0)
            check_searches(&mirror, SEGMENT_JOINT);
    }
    mirror_close(&mirror);
}

/* A reader of a view from before a merge still finds everything that it has, and in a new view all
 * of it, whether it had opened the merged segment or opens it only now. */
static void test_reader_during_merge(void **state)
{
    (void)state;
    struct mirror mirror, reader;
    mirror_open(&mirror, "reader.lmk", NULL);
    add_document(&mirror, 300);
    build(&mirror, SEGMENT_JOINT);
    for (int opened = 0; opened < 2; opened++) {
        reader = mirror;
        reader.collection = scratch_reader("reader.lmk", tiny_model);
        if (opened)
            check_search(&reader, SEGMENT_JOINT, 10);
        struct store_view *old = scratch_view(reader.collection);
        add_document(&mirror, 400);
        build(&mirror, SEGMENT_JOINT);
        assert_int_equal(check_cover(&mirror).segments, 1);
        check_view(&reader, old, SEGMENT_JOINT, MOST_BLOCKS);
        store_view_end(old);
        check_search(&mirror, SEGMENT_JOINT, MOST_BLOCKS);
        struct lmk_collection *collection = reader.collection;
        reader = mirror;
        reader.collection = collection;
        check_search(&reader, SEGMENT_JOINT, MOST_BLOCKS);
        lmk_collection_close(collection);
    }
    mirror_close(&mirror);
}

static size_t count_mapped(void)
{
    char line[PATH_MAX + 200];
    size_t count = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    assert_non_null(maps);
    while (fgets(line, sizeof line, maps))
        count += strstr(line, ".faiss") != NULL;
    fclose(maps);
    return count;
}

/* The indexes of merged segments do not stay open. */
static void test_merged_are_closed(void **state)
{
    (void)state;
    struct mirror mirror;
    struct segment_record records[2];
    mirror_open(&mirror, "closed.lmk", NULL);
    for (size_t i = 0; i < 4; i++) {
        add_document(&mirror, 300);
        build(&mirror, SEGMENT_JOINT);
        build(&mirror, 1);
        check_search(&mirror, SEGMENT_JOINT, 10);
        check_search(&mirror, 1, 10);
        check_search(&mirror, SEGMENT_JOINT, 10);
        assert_int_equal(count_mapped(), list_segments(&mirror, SEGMENT_JOINT, records, 2) +
                                             list_segments(&mirror, 1, records, 2));
    }
    mirror_close(&mirror);
    assert_int_equal(count_mapped(), 0);
}

/* An approximate index is rescored with the true keys: what it finds has the right scores and
 * order, and it misses few of the best. */
static void test_approximate(void **state)
{
    (void)state;
    struct mirror mirror;
    static struct candidate expected[MOST_BLOCKS], found[10];
    mirror_open(&mirror, "approximate.lmk", "IVF16,SQ8");
    add_document(&mirror, 2000);
    build(&mirror, SEGMENT_JOINT);
    struct segment_record record;
    assert_int_equal(list_segments(&mirror, SEGMENT_JOINT, &record, 1), 1);
    assert_string_equal(record.factory, "IVF16,SQ8");
    size_t width = model_landmark_width(&tiny_model->shape), count, hits = 0;
    struct store_view *view = scratch_view(mirror.collection);
    struct lmk_error error;
    for (size_t round = 0; round < 20; round++) {
        float *query = random_normals(&mirror.random, width, 1);
        rank_all(&mirror, SEGMENT_JOINT, query, expected);
        must(segments_search(mirror.collection, view, SEGMENT_JOINT, query, 10, NULL, found, &count,
                             &error),
             &error);
        assert_int_equal(count, 10);
        for (size_t i = 0; i < 10; i++) {
            double score = reference_score(&tiny_model->shape, SEGMENT_JOINT, query,
                                           mirror.keys + found[i].block * width);
            assert_true(fabs(found[i].score - score) < 1e-4);
            assert_true(!i || found[i - 1].score >= found[i].score);
            hits += found[i].score >= expected[9].score - 1e-4;
        }
        free(query);
    }
    store_view_end(view);
    assert_true(hits >= 180);
    mirror_close(&mirror);
}

/* Without any effort limit the index is not asked at all: what is found is exact, however poor the
 * index. A search says how many lists it looked at. */
static void test_effort(void **state)
{
    (void)state;
    struct mirror mirror;
    struct lmk_error error;
    mirror_open(&mirror, "effort.lmk", "IVF64,PQ2x4np");
    add_document(&mirror, 2000);
    build(&mirror, SEGMENT_JOINT);
    must(lmk_set_effort(mirror.collection, INFINITY, &error), &error);
    for (size_t round = 0; round < 5; round++)
        check_searches(&mirror, SEGMENT_JOINT);
    assert_int_equal(mirror.collection->probes, 0);
    must(lmk_set_effort(mirror.collection, 1e-9, &error), &error);
    float *query = random_normals(&mirror.random, model_landmark_width(&tiny_model->shape), 1);
    struct store_view *view = scratch_view(mirror.collection);
    struct candidate found[10];
    size_t count;
    must(segments_search(mirror.collection, view, SEGMENT_JOINT, query, 10, NULL, found, &count,
                         &error),
         &error);
    assert_int_equal(mirror.collection->probes, 1);
    store_view_end(view);
    free(query);
    assert_int_equal(lmk_set_effort(mirror.collection, 0, &error), LMK_USAGE);
    assert_int_equal(lmk_set_effort(mirror.collection, -1, &error), LMK_USAGE);
    assert_int_equal(lmk_set_effort(mirror.collection, NAN, &error), LMK_USAGE);
    mirror_close(&mirror);
}

/* ------------------------------------------------------------------ codes */

/* Codes for pairs of the landmarks' coordinates. */
static void open_coded(struct mirror *mirror, const char *name)
{
    char ann[64];
    snprintf(ann, sizeof ann, "PQ%zux4fs", model_landmark_width(&tiny_model->shape) / 2);
    mirror_open(mirror, name, ann);
    mirror->apart = 2;
}

static void set_effort(struct mirror *mirror, double effort)
{
    struct lmk_error error;
    must(lmk_set_effort(mirror->collection, effort, &error), &error);
}

/* Blocks that no document of a scope holds are left out. */
static size_t keep_scope(const struct scope *scope, struct candidate *ranked, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (scope_holds(scope, ranked[i].block))
            ranked[kept++] = ranked[i];
    return kept;
}

/* How many of the `wanted` best in the scope a search finds; scores and order must be right. */
static size_t count_best(struct mirror *mirror, const struct scope *scope, const float *query,
                         size_t wanted)
{
    static struct candidate expected[MOST_BLOCKS], found[MOST_BLOCKS];
    size_t width = model_landmark_width(&tiny_model->shape), count, hits = 0,
           best = keep_scope(scope, expected, rank_all(mirror, SEGMENT_JOINT, query, expected));
    bool seen[MOST_BLOCKS] = {false};
    struct lmk_error error;
    best = best < wanted ? best : wanted;
    struct store_view *view = scratch_view(mirror->collection);
    must(segments_search(mirror->collection, view, SEGMENT_JOINT, query, wanted, scope, found,
                         &count, &error),
         &error);
    store_view_end(view);
    assert_int_equal(count, best);
    for (size_t i = 0; i < count; i++) {
        uint64_t block = found[i].block;
        assert_true(block < mirror->blocks && mirror->findable[block] && !seen[block]);
        assert_true(scope_holds(scope, block));
        seen[block] = true;
        double score =
            reference_score(&tiny_model->shape, SEGMENT_JOINT, query, mirror->keys + block * width);
        assert_true(fabs(found[i].score - score) < 1e-3);
        assert_true(!i || found[i - 1].score >= found[i].score);
        hits += found[i].score >= expected[best - 1].score - 1e-3;
    }
    return hits;
}

/* The share of the ten best that some queries find. */
static double coded_recall(struct mirror *mirror, const struct scope *scope)
{
    enum { ROUNDS = 12, BEST = 10 };
    size_t hits = 0;
    for (size_t round = 0; round < ROUNDS; round++) {
        float *query = random_normals(&mirror->random, model_landmark_width(&tiny_model->shape), 1);
        hits += count_best(mirror, scope, query, BEST);
        free(query);
    }
    return (double)hits / (ROUNDS * BEST);
}

static void make_three_segments(struct mirror *mirror)
{
    static const size_t blocks[] = {2000, 900, 400};
    struct segment_record records[4];
    for (size_t i = 0; i < 3; i++) {
        add_document(mirror, blocks[i]);
        build(mirror, SEGMENT_JOINT);
    }
    assert_int_equal(list_segments(mirror, SEGMENT_JOINT, records, 4), 3);
    for (size_t i = 0; i < 3; i++)
        assert_true(landmarks_coded(records[i].factory));
    add_document(mirror, 100); /* scanned */
}

/* Of several segments together the best by codes are scored, and no more; what is not coded joins
 * them. */
static void test_coded_segments(void **state)
{
    (void)state;
    struct mirror mirror;
    open_coded(&mirror, "coded.lmk");
    make_three_segments(&mirror);
    check_searches(&mirror, SEGMENT_JOINT); /* all, or nearly, are scored */
    set_effort(&mirror, 0.05);
    assert_true(coded_recall(&mirror, NULL) >= 0.97);
    assert_int_equal(mirror.collection->probes, 100);
    set_effort(&mirror, 1e-9);
    assert_true(coded_recall(&mirror, NULL) < 0.8);
    assert_int_equal(mirror.collection->probes, 10); /* what is wanted */
    set_effort(&mirror, 1e300);
    assert_true(coded_recall(&mirror, NULL) == 1);
    set_effort(&mirror, INFINITY);
    assert_true(coded_recall(&mirror, NULL) == 1);
    assert_int_equal(mirror.collection->probes, 0);
    mirror_close(&mirror);
}

/* Documents of a scope, each as if it had more blocks than are scanned. */
static struct scope large_scope(struct scope_range *ranges, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ranges[i].before = i * (SCOPE_FEW + MOST_BLOCKS);
    return (struct scope){ranges, count, count * (SCOPE_FEW + MOST_BLOCKS)};
}

/* Whatever a scope leaves of the segments, and wherever it lies among the best. */
static void test_coded_scopes(void **state)
{
    (void)state;
    struct mirror mirror;
    open_coded(&mirror, "coded-scopes.lmk");
    make_three_segments(&mirror);
    struct scope_range some[] = {{100, 1900, 0}, {2050, 2850, 0}, {2950, 3350, 0}},
                       few[] = {{30, 50, 0}, {2890, 2895, 0}, {3200, 3203, 0}},
                       one[] = {{2000, 2900, 0}};
    const struct scope scopes[] = {large_scope(some, 3), large_scope(few, 3), large_scope(one, 1)};
    for (size_t i = 0; i < 3; i++) {
        for (double effort = 0.01; effort < 0.2; effort *= 10) {
            set_effort(&mirror, effort);
            double least = effort > 0.05 ? 0.97 : 0.7;
            assert_true(coded_recall(&mirror, &scopes[i]) >= least);
        }
    }
    /* Away from all that is in the scope: the best by codes are others. */
    float *query = random_normals(&mirror.random, model_landmark_width(&tiny_model->shape), 0);
    size_t width = model_landmark_width(&tiny_model->shape);
    for (size_t block = 2890; block < 2895; block++)
        for (size_t i = 0; i < width; i++)
            query[i] -= mirror.keys[block * width + i];
    set_effort(&mirror, 0.01);
    assert_int_equal(count_best(&mirror, &scopes[1], query, 28), 28);
    free(query);
    mirror_close(&mirror);
}

/* Codes of what was removed are most of the best, and at last all. */
static void test_coded_removal(void **state)
{
    (void)state;
    struct mirror mirror;
    struct segment_record records[2];
    uint64_t most = 0; /* scored where most were removed */
    open_coded(&mirror, "coded-removal.lmk");
    for (size_t i = 0; i < 20; i++)
        add_document(&mirror, 150);
    build(&mirror, SEGMENT_JOINT);
    assert_int_equal(list_segments(&mirror, SEGMENT_JOINT, records, 2), 1);
    set_effort(&mirror, 0.05);
    for (size_t i = 0; i < 20; i++) {
        if (i % 3 == 1)
            assert_true(coded_recall(&mirror, NULL) >= 0.93);
        for (size_t round = 0; i == 13 && round < 20; round++) {
            float *query =
                random_normals(&mirror.random, model_landmark_width(&tiny_model->shape), 1);
            set_effort(&mirror, 0.01);
            count_best(&mirror, NULL, query, 10);
            most = mirror.collection->probes > most ? mirror.collection->probes : most;
            set_effort(&mirror, 0.05);
            free(query);
        }
        remove_document(&mirror, (i * 7) % 20);
    }
    assert_true(most >= 20 + 160);
    check_searches(&mirror, SEGMENT_JOINT);
    mirror_close(&mirror);
}

/* Some segments of another type among coded ones. */
static void test_coded_among_others(void **state)
{
    (void)state;
    struct mirror mirror;
    struct segment_record records[3];
    struct lmk_error error;
    struct store_batch *batch;
    char ann[64];
    snprintf(ann, sizeof ann, "IDMap,PQ%zux4fs", model_landmark_width(&tiny_model->shape) / 2);
    mirror_open(&mirror, "coded-others.lmk", "IVF16,SQ8");
    add_document(&mirror, 1500);
    build(&mirror, SEGMENT_JOINT);
    must(store_batch_begin(mirror.collection->store, &batch, &error), &error);
    must(store_set_ann(batch, ann, &error), &error);
    must(store_commit(batch, &error), &error);
    lmk_collection_close(mirror.collection);
    mirror.collection = scratch_writer("coded-others.lmk", tiny_model);
    add_document(&mirror, 700);
    build(&mirror, SEGMENT_JOINT);
    assert_int_equal(list_segments(&mirror, SEGMENT_JOINT, records, 3), 2);
    assert_int_not_equal(landmarks_coded(records[0].factory), landmarks_coded(records[1].factory));
    assert_true(coded_recall(&mirror, NULL) >= 0.97);
    mirror_close(&mirror);
}

/* ------------------------------------------------------------------ faults */

/* A type that FAISS takes for these vectors, until it is to be trained. */
static void test_refused_factory(void **state)
{
    (void)state;
    struct mirror mirror;
    struct lmk_error error;
    mirror_open(&mirror, "factory.lmk", "PCA128,Flat");
    add_document(&mirror, 300);
    assert_int_equal(segments_build(mirror.collection, SEGMENT_JOINT, &error), LMK_USAGE);
    assert_non_null(strstr(error.message, "PCA128"));
    check_searches(&mirror, SEGMENT_JOINT); /* by scanning */
    mirror_close(&mirror);
}

static void note_problem(void *context, const char *sentence)
{
    (void)sentence;
    ++*(size_t *)context;
}

static void flip_byte(const char *path, long at)
{
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    fseek(file, at, SEEK_SET);
    int byte = fgetc(file);
    fseek(file, -1, SEEK_CUR);
    fputc(byte ^ 1, file);
    fclose(file);
}

/* Two segments, opened side by side, one of them damaged. */
static void test_damaged_file(void **state)
{
    (void)state;
    struct mirror mirror;
    struct segment_record records[2];
    struct lmk_error error;
    char name[256];
    mirror_open(&mirror, "damaged.lmk", NULL);
    add_document(&mirror, 700);
    build(&mirror, SEGMENT_JOINT);
    add_document(&mirror, 300);
    build(&mirror, SEGMENT_JOINT);
    assert_int_equal(list_segments(&mirror, SEGMENT_JOINT, records, 2), 2);
    lmk_collection_close(mirror.collection);
    snprintf(name, sizeof name, "damaged.lmk/generation-000001/landmarks/%s", records[1].name);
    char *path = scratch_path(name);
    flip_byte(path, (long)records[1].size / 2);
    mirror.collection = scratch_reader("damaged.lmk", tiny_model);
    struct store_view *view = scratch_view(mirror.collection);
    struct candidate candidate;
    size_t found, problems = 0;
    float *query = random_normals(&mirror.random, model_landmark_width(&tiny_model->shape), 1);
    assert_int_equal(segments_search(mirror.collection, view, SEGMENT_JOINT, query, 1, NULL,
                                     &candidate, &found, &error),
                     LMK_CORRUPT);
    assert_non_null(strstr(error.message, records[1].name));
    assert_int_equal(segments_search(mirror.collection, view, SEGMENT_JOINT, query, 1, NULL,
                                     &candidate, &found, NULL),
                     LMK_CORRUPT);
    uint64_t checked;
    assert_int_equal(
        segments_verify(mirror.collection, view, note_problem, &problems, &checked, &error),
        LMK_OK);
    assert_int_equal(checked, 2);
    assert_int_equal(problems, 1);
    flip_byte(path, (long)records[1].size / 2);
    must(segments_search(mirror.collection, view, SEGMENT_JOINT, query, 1, NULL, &candidate, &found,
                         &error),
         &error);
    assert_int_equal(found, 1);
    store_view_end(view);
    free(query);
    free(path);
    mirror_close(&mirror);
}

/* A segment whose file has gone is built again from the landmarks. */
static void test_missing_file(void **state)
{
    (void)state;
    struct mirror mirror;
    struct segment_record records[2];
    char name[256];
    mirror_open(&mirror, "missing.lmk", NULL);
    add_document(&mirror, 700);
    build(&mirror, SEGMENT_JOINT);
    add_document(&mirror, 300); /* too few to take in the first */
    build(&mirror, SEGMENT_JOINT);
    assert_int_equal(list_segments(&mirror, SEGMENT_JOINT, records, 2), 2);
    for (size_t round = 0; round < 2; round++) {
        snprintf(name, sizeof name, "missing.lmk/generation-000001/landmarks/%s", records[0].name);
        char *path = scratch_path(name);
        assert_int_equal(remove(path), 0);
        free(path);
        build(&mirror, SEGMENT_JOINT);
        check_searches(&mirror, SEGMENT_JOINT);
        assert_int_equal(check_cover(&mirror).uncovered, 0);
        list_segments(&mirror, SEGMENT_JOINT, records, 2);
    }
    mirror_close(&mirror);
}

/* Of a scope, indexes that hold none of it are not asked. */
static void test_scope_elsewhere(void **state)
{
    (void)state;
    enum { FIRST = 700, WANTED = 10 };
    struct mirror mirror;
    struct segment_record records[2];
    struct lmk_error error;
    static struct candidate expected[MOST_BLOCKS], found[WANTED];
    size_t count, at = 0;
    mirror_open(&mirror, "elsewhere.lmk", NULL);
    add_document(&mirror, FIRST);
    build(&mirror, SEGMENT_JOINT);
    add_document(&mirror, 300);
    build(&mirror, SEGMENT_JOINT);
    assert_int_equal(list_segments(&mirror, SEGMENT_JOINT, records, 2), 2);
    char *path = scratch_path("elsewhere.lmk/generation-000001/landmarks"), file[PATH_MAX];
    snprintf(file, sizeof file, "%s/%s", path, records[records[0].first_block != 0].name);
    assert_int_equal(remove(file), 0);
    struct scope_range range = {FIRST, FIRST + 300, 0};
    struct scope large = {&range, 1, SCOPE_FEW + 1}; /* as if there were so many */
    float *query = random_normals(&mirror.random, model_landmark_width(&tiny_model->shape), 1);
    rank_all(&mirror, SEGMENT_JOINT, query, expected);
    struct store_view *view = scratch_view(mirror.collection);
    must(segments_search(mirror.collection, view, SEGMENT_JOINT, query, WANTED, &large, found,
                         &count, &error),
         &error);
    assert_int_equal(count, WANTED);
    for (size_t i = 0; i < WANTED; i++, at++) {
        while (expected[at].block < FIRST)
            at++;
        assert_int_equal(found[i].block, expected[at].block);
    }
    store_view_end(view);
    free(query);
    free(path);
    mirror_close(&mirror);
}

static void test_reading_only(void **state)
{
    (void)state;
    struct lmk_error error;
    lmk_collection_close(scratch_create("reading.lmk", tiny_model, LMK_TIER_NONE, NULL));
    struct lmk_collection *collection = scratch_reader("reading.lmk", tiny_model);
    assert_int_equal(segments_build(collection, SEGMENT_JOINT, &error), LMK_USAGE);
    lmk_collection_close(collection);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scan),
        cmocka_unit_test(test_segment),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_removal),
        cmocka_unit_test(test_growth),
        cmocka_unit_test(test_waiting_documents),
        cmocka_unit_test(test_newest_first),
        cmocka_unit_test(test_computed_again),
        cmocka_unit_test(test_any_order),
        cmocka_unit_test(test_reader_during_merge),
        cmocka_unit_test(test_merged_are_closed),
        cmocka_unit_test(test_approximate),
        cmocka_unit_test(test_effort),
        cmocka_unit_test(test_coded_segments),
        cmocka_unit_test(test_coded_scopes),
        cmocka_unit_test(test_coded_removal),
        cmocka_unit_test(test_coded_among_others),
        cmocka_unit_test(test_refused_factory),
        cmocka_unit_test(test_damaged_file),
        cmocka_unit_test(test_missing_file),
        cmocka_unit_test(test_scope_elsewhere),
        cmocka_unit_test(test_reading_only),
    };
    return cmocka_run_group_tests(tests, scratch_open_model, scratch_close_model);
}
