/* The block store: everything of a collection that is not derived, in one LMDB file per generation.
 *
 * The only file that includes lmdb.h is store.c (and its private parts). FORMAT.md specifies every
 * byte. A store is opened by one thread of a process at a time; many processes may read while one
 * writes. A batch is one LMDB write transaction: either all of it is on disk after store_commit, or
 * nothing. A view is one read transaction: what it gives is a snapshot, and the pointers it gives
 * lie in the memory map and live until the view ends.
 *
 * Letters as in src/model/model.h: M memory layers, G key/value heads, W head width, N ordinary
 * tokens of a block. Errors, everywhere: LMK_CORRUPT (a checksum or a cross-reference does not
 * hold: the sentence names document and block), LMK_IO (disk full included), LMK_MEMORY,
 * LMK_COLLECTION (opening: missing, another format or model).
 */
#ifndef INDEX_STORE_H
#define INDEX_STORE_H

#include "src/base/buffer.h"
#include "src/base/hash.h"
#include "src/model/gguf.h"
#include "src/text/normalise.h"

#define STORE_FORMAT_VERSION 1

struct store_settings {
    unsigned char fingerprint[HASH128_BYTES];
    char model_name[64];
    uint32_t normalise_version;
    uint32_t block_tokens;  /* N */
    uint32_t memory_layers; /* M */
    uint32_t kv_heads;      /* G */
    uint32_t head_width;    /* W */
    uint32_t vocabulary;    /* tokens are stored in 16 bits where it is at most 65,536 */
    enum lmk_tier tier;     /* of documents added from now on */
    char ann[64];           /* FAISS factory string, "" = chosen by size */
};

enum document_state { DOCUMENT_TEXT = 1, DOCUMENT_LANDMARKS = 2, DOCUMENT_READY = 3 };

/* A document's record. Strings are NUL-terminated; from a view they live as long as it. */
struct document {
    uint64_t id;                       /* from 1, never used again */
    unsigned char hash[HASH128_BYTES]; /* of the normalised text */
    enum document_state state;
    enum lmk_tier tier;
    uint64_t first_block,
        block_count;      /* block numbers are dense over the collection and never used again */
    uint64_t token_count; /* BOS included, padding not */
    uint64_t source_bytes, text_bytes;
    int64_t added_ns; /* since 1970 */
    const char *path, *title, *author, *language, *kind;
    const char *metadata; /* a JSON object, "{}" if there is nothing more */
};

/* One block's text. From a view: `tokens` and `runs` are filled into caller's storage, see
 * store_block_text. */
struct block_text {
    uint64_t document;
    uint32_t token_count; /* without padding, 1 .. N */
    uint64_t text_start;  /* offset of the block's first byte in the document's normalised text */
    uint64_t text_size;   /* bytes of normalised text that the tokens stand for */
    uint64_t source_start, source_end; /* byte range in the source */
    uint32_t place;                    /* chapter or page counted from 1, 0: none */
    const uint32_t *tokens;            /* [token_count] */
    const struct map_run
        *runs; /* text offsets are relative to the document; the first at text_start */
    size_t run_count;
};

/* Where a source file was last seen, so that unchanged files are skipped without reading them. */
struct source_record {
    uint64_t document; /* 0: the file holds several, whose paths are FILE/NAME */
    uint64_t size;
    int64_t modified_ns;
    uint64_t documents; /* how many, where document is 0 */
};

#define SEGMENT_JOINT 0
/* A FAISS segment, named in the store once its file is complete. */
struct segment_record {
    char name[64]; /* file in landmarks/ */
    uint32_t part; /* SEGMENT_JOINT, or 1 + m * G + g: landmark keys of memory layer m and KV head g
                      alone */
    uint64_t first_block,
        end_block; /* the blocks it was built from: all that had landmarks then, in [first, end) */
    uint64_t vector_count;
    uint64_t size;                     /* of the file */
    unsigned char hash[HASH128_BYTES]; /* XXH3-128 of the file */
    char factory[64];
};

struct store;

/* `directory` is a generation's directory. Creating needs `settings`; opening gives them back.
 * `write` false opens read-only (no changes, not even to the lock file's directory if it is
 * read-only: then MDB_NOLOCK). */
enum lmk_status store_create(struct store **store, const char *directory,
                             const struct store_settings *settings, struct lmk_error *error);
enum lmk_status store_open(struct store **store, const char *directory, bool write,
                           struct lmk_error *error);
void store_close(struct store *store);

/* Writes a copy into the empty directory `to`, synced, of the newest state and without the pages
 * that nothing uses any more. Others may read and write the store meanwhile. */
enum lmk_status store_copy(struct store *store, const char *to, struct lmk_error *error);
const struct store_settings *store_settings(const struct store *store);

/* ---- reading */

struct store_view;
enum lmk_status store_view_begin(struct store *store, struct store_view **view,
                                 struct lmk_error *error);
void store_view_end(struct store_view *view); /* NULL is fine */

struct store_counts { /* ready: with all of their landmarks */
    uint64_t documents, documents_ready, blocks, blocks_ready, tokens, source_bytes, text_bytes;
    uint64_t next_document, next_block;
    uint64_t batches; /* committed so far */
};
enum lmk_status store_counts(struct store_view *view, struct store_counts *counts,
                             struct lmk_error *error);

/* LMK_NOT_FOUND where there is none. */
enum lmk_status store_document(struct store_view *view, uint64_t id, struct document *document,
                               struct lmk_error *error);
enum lmk_status store_document_by_hash(struct store_view *view,
                                       const unsigned char hash[HASH128_BYTES],
                                       struct document *document, struct lmk_error *error);
enum lmk_status store_document_of_block(struct store_view *view, uint64_t block,
                                        struct document *document, struct lmk_error *error);
/* The first document whose id is at least `id`. */
enum lmk_status store_next_document(struct store_view *view, uint64_t id, struct document *document,
                                    struct lmk_error *error);
enum lmk_status store_source(struct store_view *view, const char *path,
                             struct source_record *record, struct lmk_error *error);

/* The paths of all sources, in no order, until `visit` returns other than LMK_OK, which is passed
 * on; it may look for no source in the view. */
enum lmk_status store_visit_sources(struct store_view *view,
                                    enum lmk_status (*visit)(void *context, const char *path,
                                                             const struct source_record *record,
                                                             struct lmk_error *error),
                                    void *context, struct lmk_error *error);
/* The path of one source of a document, in the map. LMK_NOT_FOUND without a sentence. */
enum lmk_status store_source_of_document(struct store_view *view, uint64_t document,
                                         const char **path, struct lmk_error *error);

/* Fills `text`; tokens and runs are appended to the caller's buffers (elements uint32_t and struct
 * map_run), and the pointers in `text` point into them (valid until the buffers change). */
enum lmk_status store_block_text(struct store_view *view, uint64_t block, struct buffer *tokens,
                                 struct buffer *runs, struct block_text *text,
                                 struct lmk_error *error);

/* The landmark key [M][G][W] of a block, float32, before rotation, in the map; checked against its
 * checksum. LMK_NOT_FOUND: no such block, or not there yet. */
enum lmk_status store_landmark_key(struct store_view *view, uint64_t block, const float **key,
                                   struct lmk_error *error);

/* LMK_OK where a block has a landmark key. LMK_NOT_FOUND, without a sentence: it has none, nor has
 * any other in [*first, *end), which are all between its neighbours that have one. */
enum lmk_status store_find_landmark(struct store_view *view, uint64_t block, uint64_t *first,
                                    uint64_t *end, struct lmk_error *error);

/* All landmark keys of blocks in [first, end), in order, until `visit` returns other than LMK_OK,
 * which is passed on. Blocks of removed documents and blocks without landmarks are left out. */
enum lmk_status store_visit_landmarks(struct store_view *view, uint64_t first, uint64_t end,
                                      enum lmk_status (*visit)(void *context, uint64_t block,
                                                               const float *key,
                                                               struct lmk_error *error),
                                      void *context, struct lmk_error *error);

/* The keys and values [M][G][N][W] of a block, in the map, in rows of `type`. Values may be NULL
 * (then only the keys are checked). LMK_NOT_FOUND: not stored (tier none, or not there yet). */
enum lmk_status store_keys_values(struct store_view *view, uint64_t block, enum tensor_type *type,
                                  const void **keys, const void **values, struct lmk_error *error);

/* How many of a document's blocks are stored with everything that its tier wants, its first ones:
 * all of a ready document, and what an interrupted run left of another. */
enum lmk_status store_blocks_done(struct store_view *view, const struct document *document,
                                  uint64_t *count, struct lmk_error *error);

/* Bytes on disk that a block's landmark key, keys and values will take in this tier. */
uint64_t store_block_bytes(const struct store_settings *settings, enum lmk_tier tier);

/* Bytes on disk by table, whole pages. */
struct store_sizes {
    uint64_t text, landmarks, keys_values, other, file;
};
enum lmk_status store_sizes(struct store_view *view, struct store_sizes *sizes,
                            struct lmk_error *error);

enum lmk_status store_segments(struct store_view *view,
                               struct buffer *segments /* struct segment_record */,
                               struct lmk_error *error);

/* Checks every checksum and cross-reference of the file (segments' files are the caller's); each
 * problem is a sentence for `problem`. Returns LMK_OK when it could read everything, problems or
 * not. */
struct store_verification {
    uint64_t documents, blocks, values, problems;
    bool pages; /* LMDB's own pages are damaged: nothing else was looked at */
};
enum lmk_status store_verify(struct store_view *view,
                             void (*problem)(void *context, const char *sentence), void *context,
                             struct store_verification *result, struct lmk_error *error);

/* ---- writing; every function fails the whole batch: after an error only store_abort may follow */

struct store_batch;
enum lmk_status store_batch_begin(struct store *store, struct store_batch **batch,
                                  struct lmk_error *error);
enum lmk_status store_commit(struct store_batch *batch,
                             struct lmk_error *error); /* frees the batch in any case */
void store_abort(struct store_batch *batch);

/* Adds a document in state text with the texts of all of its blocks: gives out id and first_block
 * into `document` and counts it. texts [document->block_count]; their `document` members are not
 * read. */
enum lmk_status store_add_document(struct store_batch *batch, struct document *document,
                                   const struct block_text *texts, struct lmk_error *error);

/* Landmark keys [count][M][G][W] and, unless the tier is none, keys and values [count][M][G][N][W]
 * in float32, which are packed into the tier's rows here, for blocks from first_block on (all of
 * one document, any number at a time, in order). A batch may begin at any block up to the first
 * that is not stored yet; what is stored from there on is dropped. The landmarks of a document that
 * has all of them stay. */
enum lmk_status store_put_blocks(struct store_batch *batch, const struct document *document,
                                 uint64_t first_block, size_t count, const float *landmark_keys,
                                 const float *keys, const float *values, struct lmk_error *error);
enum lmk_status store_set_state(struct store_batch *batch, uint64_t document,
                                enum document_state state, struct lmk_error *error);
/* Takes away what the model computed of a document, and sets its state to text. */
enum lmk_status store_forget_blocks(struct store_batch *batch, uint64_t document,
                                    struct lmk_error *error);
/* Takes away the keys and values of a document that has all of its landmarks. It is ready then, of
 * tier none. */
enum lmk_status store_drop_keys_values(struct store_batch *batch, uint64_t document,
                                       struct lmk_error *error);
/* A ready document of tier none is to get keys and values: it keeps its landmarks, and its state is
 * `landmarks` until it is set to ready with all of them stored. */
enum lmk_status store_want_keys_values(struct store_batch *batch, uint64_t document,
                                       enum lmk_tier tier, struct lmk_error *error);
/* Changes path (a moved file) of a document. */
enum lmk_status store_set_path(struct store_batch *batch, uint64_t document, const char *path,
                               struct lmk_error *error);
enum lmk_status store_put_source(struct store_batch *batch, const char *path,
                                 const struct source_record *record, struct lmk_error *error);
/* Forgets a file, if it is known, so that it is read again. */
enum lmk_status store_remove_source(struct store_batch *batch, const char *path,
                                    struct lmk_error *error);
/* What the batch has made of the store so far; pointers live until its next write. */
struct store_view *store_batch_view(struct store_batch *batch);
/* Removes a document with its blocks, sources and whatever an interrupted run left of it. */
enum lmk_status store_remove_document(struct store_batch *batch, uint64_t document,
                                      struct lmk_error *error);
/* Ids below `next` are not given out any more. */
void store_skip_documents(struct store_batch *batch, uint64_t next);
/* Changes the FAISS factory string of the settings, "" = by size. */
enum lmk_status store_set_ann(struct store_batch *batch, const char *ann, struct lmk_error *error);
enum lmk_status store_put_segment(struct store_batch *batch, const struct segment_record *segment,
                                  struct lmk_error *error);
enum lmk_status store_remove_segment(struct store_batch *batch, const char *name,
                                     struct lmk_error *error);

/* The version of LMDB; valid for ever. */
const char *store_library_version(void);

#endif
