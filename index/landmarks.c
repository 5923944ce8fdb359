#include "index/landmarks.h"

#include "index/calibration.h"
#include "src/base/directory.h"
#include "src/base/mapped_file.h"
#include "src/base/random.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <faiss/c_api/AutoTune_c.h>
#include <faiss/c_api/IndexIVF_c.h>
#include <faiss/c_api/IndexPreTransform_c.h>
#include <faiss/c_api/Index_c.h>
#include <faiss/c_api/MetaIndexes_c.h>
#include <faiss/c_api/error_c.h>
#include <faiss/c_api/index_factory_c.h>
#include <faiss/c_api/index_io_c.h>

/* Up to here a scan of all vectors takes some milliseconds, and finds the best without fail. They
 * are one inverted list, not a flat index: a list stays in the file, which is mapped, while FAISS
 * would copy a flat index into memory whenever a process opens it. */
#define EXACT_VECTORS 50000
#define EXACT_FACTORY "IVF1,Flat"

/* Beyond, a code of 4 bits for each part of a vector: FAISS computes the scores of 200,000 vectors
 * of 256 coordinates in a millisecond from their codes, which it reads into memory. */
#define CODED_FACTORY "IDMap,PQ%zux4fs"

/* What FAISS takes for memory-mapped reading; its header's FAISS_IO_FLAG_MMAP, 1, loads the file
 * instead. */
#define MAP_FLAG 0x646f0008

enum {
    LISTS_PER_ROOT = 4,       /* lists of an IVF index = 4 sqrt(vectors) */
    TRAINING_PER_LIST = 64,   /* FAISS itself asks for 39 at least */
    LEAST_TRAINING = 10240,   /* enough for the 256 centroids of product quantisation */
    MOST_TRAINING = 65536,    /* where there are no lists */
    ADDED_AT_ONCE = 65536,    /* vectors; FAISS copies them now and then */
    MOST_PARTS = 256,         /* a score of so many still fits into FAISS's 16 bits */
    LEAST_EF_SEARCH = 128,    /* HNSW32: recall@10 .998 with 1 M vectors */
    LARGEST_NUMBER = 1 << 20, /* in a factory string; a segment has no more vectors than that */
};

/* The share of the ten best that is to be found, of the worse kind of calibration queries: by lists
 * among twice as many, as rescoring with the true keys puts right what quantisation puts just
 * behind the ten; by codes among those that a search scores. */
static const double least_recall_of_lists = 0.995, least_recall_of_codes = 0.98;
enum { LISTS_ASKED = 2 * CALIBRATION_BEST };

struct landmark_segment {
    FaissIndex *index;
    FaissIndexIVF *lists; /* of the index or in it, or NULL if it has no lists, or only one */
    size_t probes;        /* of a search with effort 1 */
    uint64_t looked_at;   /* lists or candidates of the last search */
    char *path;
};

/* ---- types */

static void lists_factory(size_t count, char factory[64])
{
    snprintf(factory, 64, "IVF%.0f,SQ8", LISTS_PER_ROOT * sqrt((double)count));
}

/* Parts of a vector that get a code each, 0: it cannot be divided so. */
static size_t code_parts(size_t dimension)
{
    size_t parts = dimension / 2 < MOST_PARTS ? dimension / 2 : MOST_PARTS;
    return parts && dimension % parts == 0 ? parts : 0;
}

void landmarks_default_factory(size_t count, size_t dimension, char factory[64])
{
    if (count <= EXACT_VECTORS)
        snprintf(factory, 64, EXACT_FACTORY);
    else if (code_parts(dimension))
        snprintf(factory, 64, CODED_FACTORY, code_parts(dimension));
    else
        lists_factory(count, factory);
}

bool landmarks_coded(const char *factory)
{
    char same[64];
    size_t parts;
    if (sscanf(factory, CODED_FACTORY, &parts) != 1)
        return false;
    snprintf(same, sizeof same, CODED_FACTORY, parts);
    return !strcmp(factory, same);
}

double landmarks_vector_bytes(size_t count, size_t dimension)
{
    const double id = sizeof(idx_t), exact = (double)(dimension * sizeof(float));
    if (count <= EXACT_VECTORS)
        return id + exact;
    if (code_parts(dimension))
        return id + (double)code_parts(dimension) / 2;
    return id + (double)dimension + exact * LISTS_PER_ROOT / sqrt((double)count);
}

/* ---- building */

/* FAISS's last error without what is for its own developers: "Error in FUNCTION at FILE:LINE: " and
 * the condition that failed. */
static const char *faiss_reason(void)
{
    const char *reason = faiss_get_last_error();
    for (const char *at = reason; (at = strchr(at, ':')); at++) {
        size_t digits = strspn(at + 1, "0123456789");
        if (digits && !strncmp(at + 1 + digits, ": ", 2)) {
            reason = at + digits + 3;
            break;
        }
    }
    const char *text = strstr(reason, "' failed: ");
    if (text)
        return text + strlen("' failed: ");
    return strncmp(reason, "Error: ", 7) ? reason : reason + 7;
}

static enum lmk_status refused(const char *factory, const char *why, struct lmk_error *error)
{
    return error_set(error, LMK_USAGE,
                     "FAISS cannot index landmarks by \"%.80s\": %.300s. Name a type that it "
                     "knows, such as \"Flat\", \"HNSW32\" or \"IVF1024,SQ8\", or none to have it "
                     "chosen by size.",
                     factory, why);
}

/* What stands within wrappers that give ids to an index or change its vectors. */
static FaissIndex *innermost(FaissIndex *index, bool *has_ids)
{
    *has_ids = false;
    for (;;) {
        FaissIndexIDMap *map = faiss_IndexIDMap_cast(index);
        FaissIndexPreTransform *transform = faiss_IndexPreTransform_cast(index);
        if (!map && !transform)
            return index;
        *has_ids = *has_ids || map;
        index = map ? faiss_IndexIDMap_sub_index(map) : faiss_IndexPreTransform_index(transform);
    }
}

static FaissIndexIVF *lists_of(FaissIndex *index)
{
    bool has_ids;
    return faiss_IndexIVF_cast(innermost(index, &has_ids));
}

/* NULL where every search looks at everything. */
static FaissIndexIVF *lists_to_choose(FaissIndex *index)
{
    FaissIndexIVF *lists = lists_of(index);
    return lists && faiss_IndexIVF_nlist(lists) > 1 ? lists : NULL;
}

/* FAISS divides by numbers that are 0, or crashes later, and takes as much memory as large ones ask
 * for. */
static bool numbers_make_sense(const char *factory)
{
    for (const char *at = factory; (at = strpbrk(at, "0123456789"));) {
        char *end;
        unsigned long number = strtoul(at, &end, 10);
        if (number == 0 || number > LARGEST_NUMBER)
            return false;
        at = end;
    }
    return true;
}

enum lmk_status landmarks_factory(const char *wanted, size_t dimension, char factory[64],
                                  struct lmk_error *error)
{
    FaissIndex *index = NULL;
    bool has_ids;
    char range[64];
    snprintf(range, sizeof range, "its numbers must lie between 1 and %d", LARGEST_NUMBER);
    if (!numbers_make_sense(wanted))
        return refused(wanted, range, error);
    if (faiss_index_factory(&index, (int)dimension, wanted, METRIC_INNER_PRODUCT))
        return refused(wanted, faiss_reason(), error);
    if (faiss_IndexIVF_cast(innermost(index, &has_ids)))
        has_ids = true;
    faiss_Index_free(index);
    if (snprintf(factory, 64, "%s%s", has_ids ? "" : "IDMap,", wanted) >= 64)
        return refused(wanted, "it is too long", error);
    return LMK_OK;
}

static size_t training_count(const struct vector_set *set, size_t lists)
{
    size_t wanted = lists ? lists * TRAINING_PER_LIST : MOST_TRAINING;
    size_t least = lists * 39 > LEAST_TRAINING ? lists * 39 : LEAST_TRAINING;
    if (wanted < least)
        wanted = least;
    return set->count >= least && wanted > set->count ? set->count : wanted;
}

/* Trains on a sample that depends on nothing but the vectors. Where there are too few of them for
 * the type, they are taken several times: FAISS would print warnings, or refuse. */
static enum lmk_status train(FaissIndex *index, const struct vector_set *set, const char *factory,
                             struct lmk_error *error)
{
    FaissIndexIVF *lists = lists_of(index);
    size_t wanted = training_count(set, lists ? faiss_IndexIVF_nlist(lists) : 0), bytes;
    if (faiss_Index_is_trained(index) || set->count == 0)
        return LMK_OK;
    if (wanted == set->count)
        return faiss_Index_train(index, (idx_t)wanted, set->vectors)
                   ? refused(factory, faiss_reason(), error)
                   : LMK_OK;
    if (__builtin_mul_overflow(wanted, set->dimension * sizeof(float), &bytes))
        return error_memory(error, SIZE_MAX);
    float *sample = malloc(bytes);
    if (!sample)
        return error_memory(error, bytes);
    uint64_t state = 1;
    for (size_t i = 0; i < wanted; i++) {
        size_t chosen = (size_t)(draw_next(&state) % set->count);
        memcpy(sample + i * set->dimension, set->vectors + chosen * set->dimension,
               set->dimension * sizeof(float));
    }
    int code = faiss_Index_train(index, (idx_t)wanted, sample);
    free(sample);
    return code ? refused(factory, faiss_reason(), error) : LMK_OK;
}

static enum lmk_status add(FaissIndex *index, const struct vector_set *set, const char *factory,
                           struct lmk_error *error)
{
    for (size_t first = 0; first < set->count; first += ADDED_AT_ONCE) {
        size_t count = set->count - first < ADDED_AT_ONCE ? set->count - first : ADDED_AT_ONCE;
        if (faiss_Index_add_with_ids(index, (idx_t)count, set->vectors + first * set->dimension,
                                     (const idx_t *)set->ids + first))
            return refused(factory, faiss_reason(), error);
    }
    return LMK_OK;
}

/* ---- what a search finds */

/* The share of the truly best for one kind of queries that an index gives among `asked`. */
static double measure_recall(const FaissIndex *index, const struct calibration *calibration,
                             size_t kind, size_t asked)
{
    idx_t labels[LANDMARKS_SCORED];
    float scores[LANDMARKS_SCORED];
    size_t found = 0, wanted = 0;
    for (size_t q = 0; q < CALIBRATION_QUERIES; q++) {
        size_t best;
        if (faiss_Index_search(index, 1, calibration_query(calibration, kind, q), (idx_t)asked,
                               scores, labels))
            return 0;
        found += calibration_found(calibration, kind, q, labels, asked, &best);
        wanted += best;
    }
    return (double)found / (double)wanted;
}

/* Raises the number of lists looked at until the recall is reached. The number is kept in the index
 * file. */
static void choose_probes(FaissIndex *index, FaissIndexIVF *lists,
                          const struct calibration *calibration)
{
    size_t most = faiss_IndexIVF_nlist(lists), probes = most / 64 + 1;
    faiss_IndexIVF_set_nprobe(lists, probes);
    for (size_t kind = 0; kind < CALIBRATION_KINDS; kind++)
        while (probes < most &&
               measure_recall(index, calibration, kind, LISTS_ASKED) < least_recall_of_lists) {
            probes += probes / 2 + 1;
            faiss_IndexIVF_set_nprobe(lists, probes < most ? probes : most);
        }
}

static bool codes_suffice(const FaissIndex *index, const struct calibration *calibration)
{
    for (size_t kind = 0; kind < CALIBRATION_KINDS; kind++)
        if (measure_recall(index, calibration, kind, LANDMARKS_SCORED) < least_recall_of_codes)
            return false;
    return true;
}

/* ---- files */

static enum lmk_status file_hash(const char *path, uint64_t *size,
                                 unsigned char hash[HASH128_BYTES], struct lmk_error *error)
{
    struct mapped_file file;
    enum lmk_status status = mapped_file_open(&file, path, error);
    if (status)
        return status;
    *size = file.size;
    hash128(file.data, file.size, hash);
    mapped_file_close(&file);
    return LMK_OK;
}

/* FAISS closes files that it opened itself without looking at what that gives, so it gets an open
 * one. */
static enum lmk_status write_file(const FaissIndex *index, const char *path,
                                  struct lmk_error *error)
{
    FILE *file = fopen(path, "wbe");
    if (!file)
        return error_system(error, "Cannot create %s", path);
    errno = 0;
    enum lmk_status status = LMK_OK;
    if (faiss_write_index(index, file) || fflush(file) || fsync(fileno(file))) {
        if (errno == 0)
            errno = EIO;
        status = error_system(
            error, "Cannot write the landmark segment %s. Free disk space, and run it again", path);
    }
    if (fclose(file) && !status)
        status = error_system(error, "Cannot write the landmark segment %s", path);
    return status;
}

static enum lmk_status sync_parent(const char *path, struct lmk_error *error)
{
    const char *slash = strrchr(path, '/');
    char *directory = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    if (!directory)
        return error_memory(error, strlen(path));
    enum lmk_status status = directory_sync(directory, error);
    free(directory);
    return status;
}

static enum lmk_status write_whole(const FaissIndex *index, const char *path, uint64_t *size,
                                   unsigned char hash[HASH128_BYTES], struct lmk_error *error)
{
    char *temporary;
    if (asprintf(&temporary, "%s.tmp", path) < 0)
        return error_memory(error, strlen(path) + 5);
    enum lmk_status status = write_file(index, temporary, error);
    if (!status)
        status = file_hash(temporary, size, hash, error);
    if (!status && rename(temporary, path))
        status = error_system(error, "Cannot rename %s to %s", temporary, path);
    if (!status)
        status = sync_parent(path, error);
    else
        unlink(temporary);
    free(temporary);
    return status;
}

static enum lmk_status make_index(FaissIndex **index, const char *factory,
                                  const struct vector_set *set, struct lmk_error *error)
{
    if (faiss_index_factory(index, (int)set->dimension, factory, METRIC_INNER_PRODUCT)) {
        *index = NULL;
        return refused(factory, faiss_reason(), error);
    }
    enum lmk_status status = train(*index, set, factory, error);
    return status ? status : add(*index, set, factory, error);
}

/* NULL, where codes lose too much of these vectors. */
static enum lmk_status choose_codes(FaissIndex **index, const char *factory,
                                    const struct vector_set *set, struct calibration **calibration,
                                    struct lmk_error *error)
{
    enum lmk_status status = make_index(index, factory, set, error);
    if (!status)
        status = calibration_open(calibration, set, error);
    if (!status && !codes_suffice(*index, *calibration)) {
        faiss_Index_free(*index);
        *index = NULL;
    }
    return status;
}

/* Any type but codes. `calibration` is opened where it is wanted and is not yet. */
static enum lmk_status make_centred(FaissIndex **index, const char *factory,
                                    const struct vector_set *set, struct calibration **calibration,
                                    struct lmk_error *error)
{
    vector_set_centre(set);
    enum lmk_status status = make_index(index, factory, set, error);
    FaissIndexIVF *lists = status || !set->count ? NULL : lists_to_choose(*index);
    if (lists && !*calibration)
        status = calibration_open(calibration, set, error);
    if (lists && !status)
        choose_probes(*index, lists, *calibration);
    return status;
}

/* `factory` becomes the type of the index; empty: it is chosen. */
static enum lmk_status choose_index(FaissIndex **index, char factory[64],
                                    const struct vector_set *set, struct calibration **calibration,
                                    struct lmk_error *error)
{
    bool chosen = !factory[0];
    if (chosen)
        landmarks_default_factory(set->count, set->dimension, factory);
    if (landmarks_coded(factory)) {
        enum lmk_status status = chosen ? choose_codes(index, factory, set, calibration, error)
                                        : make_index(index, factory, set, error);
        if (status || *index)
            return status;
        lists_factory(set->count, factory);
    }
    return make_centred(index, factory, set, calibration, error);
}

enum lmk_status landmarks_build(const char *path, char factory[64], float *vectors,
                                const uint64_t *ids, size_t count, size_t dimension, uint64_t *size,
                                unsigned char hash[HASH128_BYTES], struct lmk_error *error)
{
    const struct vector_set set = {vectors, ids, count, dimension};
    struct calibration *calibration = NULL;
    FaissIndex *index = NULL;
    enum lmk_status status = choose_index(&index, factory, &set, &calibration, error);
    if (!status)
        status = write_whole(index, path, size, hash, error);
    calibration_close(calibration);
    faiss_Index_free(index);
    return status;
}

/* ---- opening */

static enum lmk_status changed(const char *path, const char *what, struct lmk_error *error)
{
    return error_set(error, LMK_CORRUPT,
                     "The landmark segment %s is damaged: %s. It is derived from the store and can "
                     "be built again: run \"lmk verify --repair\".",
                     path, what);
}

static enum lmk_status check_size(const char *path, uint64_t size, struct lmk_error *error)
{
    struct stat information;
    if (stat(path, &information))
        return errno == ENOENT
                   ? changed(path, "the file is missing", error)
                   : error_system(error, "Cannot look at the landmark segment %s", path);
    return (uint64_t)information.st_size == size
               ? LMK_OK
               : changed(path, "its size is not the recorded one", error);
}

enum lmk_status landmarks_check(const char *path, uint64_t size,
                                const unsigned char hash[HASH128_BYTES], struct lmk_error *error)
{
    uint64_t found_size;
    unsigned char found_hash[HASH128_BYTES];
    enum lmk_status status = check_size(path, size, error);
    if (!status)
        status = file_hash(path, &found_size, found_hash, error);
    if (!status && (found_size != size || memcmp(found_hash, hash, HASH128_BYTES) != 0))
        status = changed(path, "it does not match its checksum", error);
    return status;
}

/* Files of IVF indexes with plain or scalar-quantised vectors can stay on disk; FAISS names the
 * type first. */
static int read_flags(const char *path)
{
    char type[4] = {0};
    FILE *file = fopen(path, "rbe");
    if (!file)
        return 0;
    size_t got = fread(type, 1, sizeof type, file);
    fclose(file);
    bool mappable =
        got == sizeof type && (memcmp(type, "IwFl", 4) == 0 || memcmp(type, "IwSq", 4) == 0);
    return mappable ? MAP_FLAG : 0;
}

enum lmk_status landmarks_open(struct landmark_segment **segment, const char *path,
                               size_t dimension, uint64_t size,
                               const unsigned char hash[HASH128_BYTES], struct lmk_error *error)
{
    *segment = NULL;
    enum lmk_status status = landmarks_check(path, size, hash, error);
    if (status)
        return status;
    struct landmark_segment *opened = calloc(1, sizeof *opened);
    if (!opened || !(opened->path = strdup(path))) {
        landmarks_close(opened);
        return error_memory(error, sizeof *opened);
    }
    if (faiss_read_index_fname(path, read_flags(path), &opened->index)) {
        opened->index = NULL;
        status = changed(path, faiss_reason(), error);
    } else if (faiss_Index_d(opened->index) != (int)dimension ||
               faiss_Index_metric_type(opened->index) != METRIC_INNER_PRODUCT) {
        status = changed(path, "its vectors are of another width or measure", error);
    } else if ((opened->lists = lists_to_choose(opened->index)) != NULL) {
        opened->probes = faiss_IndexIVF_nprobe(opened->lists);
    }
    if (status)
        landmarks_close(opened);
    else
        *segment = opened;
    return status;
}

void landmarks_close(struct landmark_segment *segment)
{
    if (!segment)
        return;
    if (segment->index)
        faiss_Index_free(segment->index);
    free(segment->path);
    free(segment);
}

/* ---- searching */

/* HNSW: the parameter is unknown to other types, which is fine; false then. */
static bool set_ef_search(FaissIndex *index, double value)
{
    FaissParameterSpace *space = NULL;
    bool has_ids;
    if (faiss_ParameterSpace_new(&space))
        return false;
    int code = faiss_ParameterSpace_set_index_parameter(space, innermost(index, &has_ids),
                                                        "efSearch", value);
    faiss_ParameterSpace_free(space);
    return !code;
}

static void set_effort(struct landmark_segment *segment, size_t wanted, double effort)
{
    if (!segment->lists) {
        double candidates =
            ceil(effort * (double)(wanted > LEAST_EF_SEARCH ? wanted : LEAST_EF_SEARCH));
        bool taken = set_ef_search(segment->index, candidates);
        segment->looked_at = taken ? (uint64_t)candidates : 0;
        return;
    }
    double probes = ceil(effort * (double)segment->probes),
           most = (double)faiss_IndexIVF_nlist(segment->lists);
    segment->looked_at = (uint64_t)fmax(1, fmin(probes, most));
    faiss_IndexIVF_set_nprobe(segment->lists, segment->looked_at);
}

uint64_t landmarks_probes(const struct landmark_segment *segment)
{
    return segment->looked_at;
}

enum lmk_status landmarks_search(struct landmark_segment *segment, const float *query,
                                 size_t wanted, double effort, uint64_t *ids, float *scores,
                                 size_t *found, struct lmk_error *error)
{
    size_t total = (size_t)faiss_Index_ntotal(segment->index);
    *found = 0;
    if (wanted > total)
        wanted = total;
    if (wanted == 0)
        return LMK_OK;
    idx_t *labels = malloc(wanted * sizeof *labels);
    if (!labels)
        return error_memory(error, wanted * sizeof *labels);
    set_effort(segment, wanted, effort);
    int code = faiss_Index_search(segment->index, 1, query, (idx_t)wanted, scores, labels);
    /* Places that nothing was found for hold -1, behind the others. */
    for (size_t i = 0; i < wanted && !code; i++)
        if (labels[i] >= 0) {
            scores[*found] = scores[i];
            ids[(*found)++] = (uint64_t)labels[i];
        }
    free(labels);
    if (code)
        return error_set(error, LMK_CORRUPT,
                         "FAISS cannot search the landmark segment %s (%.400s).", segment->path,
                         faiss_reason());
    return LMK_OK;
}

const char *landmarks_library_version(void)
{
    return "1.7.3"; /* the one that this file is written for: its C API cannot tell */
}
