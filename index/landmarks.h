/* Nearest-neighbour search over joint landmarks: FAISS index files through the FAISS C API.
 * landmarks.c alone includes FAISS headers. Scores are inner products (the caller divides by
 * sqrt(W)); ids are block numbers.
 */
#ifndef INDEX_LANDMARKS_H
#define INDEX_LANDMARKS_H

#include "src/base/error.h"
#include "src/base/hash.h"

/* The factory string for `count` vectors where the user names none: exact for small collections,
 * then 4-bit codes; for a dimension that these do not fit, IVF with 8-bit scalar quantisation. */
void landmarks_default_factory(size_t count, size_t dimension, char factory[64]);

/* True for codes ("IDMap,PQ...x4fs"). Their scores are near to those of the vectors, so that those
 * of several segments compare; the best ten are found among LANDMARKS_SCORED that codes give, to be
 * scored by the vectors themselves. */
bool landmarks_coded(const char *factory);
enum { LANDMARKS_SCORED = 2000 };

/* Bytes that one of `count` vectors takes in such an index. */
double landmarks_vector_bytes(size_t count, size_t dimension);

/* A factory string that the user names, in the form that landmarks_build takes: "IDMap," is put
 * before a type that keeps no ids of its own. LMK_USAGE: FAISS does not take it for vectors of this
 * dimension. What only training shows (too many principal components, say), landmarks_build
 * refuses. */
enum lmk_status landmarks_factory(const char *wanted, size_t dimension, char factory[64],
                                  struct lmk_error *error);

/* Builds an index over vectors [count][dimension] with the given ids and writes it to `path`: whole
 * to a temporary name beside it, fsync, renamed, directory synced. An empty `factory` is chosen and
 * given back: the default one, and where its codes find too little of the best of these vectors,
 * IVF with 8-bit scalar quantisation. But for codes, the vectors' mean is taken from them, in
 * place, so that scores are less by a constant. Gives size and XXH3-128 of the file. Errors:
 * LMK_USAGE (a factory string that FAISS does not take), LMK_IO, LMK_MEMORY. */
enum lmk_status landmarks_build(const char *path, char factory[64], float *vectors,
                                const uint64_t *ids, size_t count, size_t dimension, uint64_t *size,
                                unsigned char hash[HASH128_BYTES], struct lmk_error *error);

/* Compares a segment's file with the size and hash that the store recorded. Errors: LMK_CORRUPT,
 * LMK_IO. */
enum lmk_status landmarks_check(const char *path, uint64_t size,
                                const unsigned char hash[HASH128_BYTES], struct lmk_error *error);

struct landmark_segment;

/* Opens a segment's file, memory-mapped where its type allows, once size and hash are right: FAISS
 * trusts what it reads. Errors: LMK_CORRUPT, LMK_IO, LMK_MEMORY. */
enum lmk_status landmarks_open(struct landmark_segment **segment, const char *path,
                               size_t dimension, uint64_t size,
                               const unsigned char hash[HASH128_BYTES], struct lmk_error *error);
void landmarks_close(struct landmark_segment *segment);

/* The `wanted` best of the segment for a query [dimension]; `effort` scales what an approximate
 * index looks at (1: the default; nprobe or efSearch times it). Gives ids and scores, best first,
 * and how many. */
enum lmk_status landmarks_search(struct landmark_segment *segment, const float *query,
                                 size_t wanted, double effort, uint64_t *ids, float *scores,
                                 size_t *found, struct lmk_error *error);

/* What the last search looked at: lists (nprobe), or candidates of HNSW (efSearch); 0: every
 * vector, or its code. */
uint64_t landmarks_probes(const struct landmark_segment *segment);

/* The version of FAISS; valid for ever. */
const char *landmarks_library_version(void);

#endif
