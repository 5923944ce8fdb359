/* lmk: search and ask whole libraries through the attention of a landmark model.
 *
 * This header is the whole public interface. Every function that can fail returns an `enum
 * lmk_status` and, when it is not LMK_OK, has filled in `error` (may be NULL) with a sentence that
 * says what, where and what to do.
 *
 * Lifetimes: what an `_open` function gives is freed by its `_close`, what a query gives by its
 * `_free`. Strings and arrays inside a result belong to the result. A collection borrows its model:
 * close the collection first. Threads: a model is read-only after opening and may be shared; a
 * collection is used by one thread at a time. Several processes may read a collection while one
 * writes it.
 */
#ifndef LMK_H
#define LMK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define LMK_API __attribute__((visibility("default")))
#else
#define LMK_API
#endif

#define LMK_VERSION "0.1.0"

/* What a call ended with; `lmk` uses the same numbers as its exit codes. */
enum lmk_status {
    LMK_OK = 0,
    LMK_NOT_FOUND = 1,    /* nothing was found: no passage, no such document */
    LMK_USAGE = 2,        /* an argument makes no sense */
    LMK_INPUT = 3,        /* a source cannot be read as a book: binary, empty, missing */
    LMK_MODEL = 4,        /* a model file is missing, damaged or not a landmark model */
    LMK_COLLECTION = 5,   /* no such collection, or one of another format or model */
    LMK_CORRUPT = 6,      /* stored data do not match their checksum */
    LMK_IO = 7,           /* the system refused to read or write: disk full, no permission */
    LMK_BUSY = 8,         /* another process is writing the collection */
    LMK_MEMORY = 9,       /* out of memory */
    LMK_INTERRUPTED = 10, /* stopped by the caller; what was committed stays */
    LMK_READER = 11       /* the model elsewhere was not reached, refused, or broke off */
};

struct lmk_error {
    enum lmk_status status;
    char message[1024]; /* one or more whole sentences, UTF-8, no newline at the end */
};

/* The name of a status in lower case, such as "corrupt". Valid for ever. */
LMK_API const char *lmk_status_name(enum lmk_status status);

/* What the library was built from. */
struct lmk_part {
    const char *name, *version;
};
/* An array that ends with a part without name; the first is lmk itself. Valid for ever. */
LMK_API const struct lmk_part *lmk_parts(void);

/* Threads for every later call of this process; 0: one per available core. They are OpenMP's, which
 * by default spin on their cores for milliseconds while they wait for each other: where other
 * processes want those cores too, set GOMP_SPINCOUNT=1000 in the environment before the library is
 * loaded, as `lmk` and the Python module do. */
LMK_API void lmk_set_threads(unsigned threads);

/* False where the processor lacks the vector units that this build needs; `message` (static) then
 * says which. */
LMK_API bool lmk_processor_supported(const char **message);

/* ------------------------------------------------------------------ model */

struct lmk_model;

/* Opens the GGUF file at `path` and checks it. Errors: LMK_MODEL, LMK_IO, LMK_MEMORY. */
LMK_API enum lmk_status lmk_model_open(struct lmk_model **model, const char *path,
                                       struct lmk_error *error);
LMK_API void lmk_model_close(struct lmk_model *model); /* NULL is fine */
LMK_API const char *lmk_model_name(const struct lmk_model *model);
LMK_API bool lmk_model_can_answer(const struct lmk_model *model);

/* How the keys and values of a document's blocks are kept. None: only landmarks and text; what an
 * answer reads is computed again. */
enum lmk_tier { LMK_TIER_NONE = 0, LMK_TIER_F16 = 1, LMK_TIER_Q4_0 = 2, LMK_TIER_Q8_0 = 8 };
/* By its name: "none", "f16", "q4_0" or "q8_0", as lmk_info tells it. False: no tier has it. */
LMK_API bool lmk_tier_named(const char *name, enum lmk_tier *tier);

/* How well a model predicts texts when it sees some of what stands before. */
struct lmk_scorer;

/* What a row of a memory layer sees before its own block: the blocks that hold, with its own, the
 * `local` tokens of the local context (rounded up to whole blocks, at least its own), and of the
 * `far` blocks before these the `best` whose landmarks score highest, chosen by each head of each
 * row for itself, with keys and values as `tier` keeps them (LMK_TIER_NONE: as they were computed).
 * The other layers see their window as always. */
struct lmk_scorer_options {
    size_t local, far, best;
    enum lmk_tier tier;
};

/* `options` NULL: the model's own reach, all of it. The model must stay open. Errors: LMK_USAGE
 * (more than 65,536 blocks, a tier that does not fit the model), LMK_MEMORY. */
LMK_API enum lmk_status lmk_scorer_open(struct lmk_scorer **scorer, const struct lmk_model *model,
                                        const struct lmk_scorer_options *options,
                                        struct lmk_error *error);
LMK_API void lmk_scorer_close(struct lmk_scorer *scorer); /* NULL is fine */

/* Cuts a text into stretches of `length` tokens (at least 2; the first is the one that begins every
 * document), at most `most` of them, at even distances over the text, and reads each as a document
 * of its own. The caller's `log_probabilities` [most][length - 1] get the natural logarithms of the
 * probabilities of its other tokens, `stretches` how many there are: none where the text is
 * shorter. Errors: LMK_USAGE, LMK_MEMORY. */
LMK_API enum lmk_status lmk_score_text(struct lmk_scorer *scorer, const char *text, size_t size,
                                       size_t length, size_t most, float *log_probabilities,
                                       size_t *stretches, struct lmk_error *error);

/* ------------------------------------------------------------------ collection */

struct lmk_collection;

struct lmk_open_options {
    bool write;         /* take the writer's lock */
    bool create;        /* with write: make the collection where there is none */
    enum lmk_tier tier; /* with create: tier of keys and values; lmk_open_defaults: LMK_TIER_Q4_0 */
    const char *ann;    /* with create: FAISS factory string ("HNSW32"), NULL: chosen by size */
};
LMK_API struct lmk_open_options lmk_open_defaults(void);

/* Opens the collection directory `path`. `model` may be NULL for listing, removing and verifying.
 * Errors: LMK_COLLECTION (none there, other format, other model), LMK_BUSY (second writer),
 * LMK_USAGE (with create: a tier or factory string that does not fit), LMK_CORRUPT, LMK_IO. */
LMK_API enum lmk_status lmk_collection_open(struct lmk_collection **collection, const char *path,
                                            const struct lmk_model *model,
                                            const struct lmk_open_options *options,
                                            struct lmk_error *error);
LMK_API void lmk_collection_close(struct lmk_collection *collection); /* NULL is fine */

/* How much later searches look at: `effort` times the blocks that are rescored of those that the
 * FAISS indexes find by codes, or the lists (nprobe) or the candidates (efSearch) of other types,
 * that are enough as a rule; 1 is the default. INFINITY: no index, every landmark is compared.
 * LMK_USAGE: not a positive number. */
LMK_API enum lmk_status lmk_set_effort(struct lmk_collection *collection, double effort,
                                       struct lmk_error *error);

struct lmk_document {
    uint64_t id;       /* stable within the collection, never used again */
    const char *path;  /* where the text was read; FILE/NAME in a file that holds several */
    const char *title; /* never NULL, may be empty; so author, language, kind */
    const char *author;
    const char *language; /* BCP 47, "" if unknown */
    const char *kind;     /* "text", "markdown", "html", "epub", "pdf", "jsonl" */
    const char *metadata; /* a JSON object: what else the source says */
    uint64_t first_block; /* the collection's number of its first block, as in lmk_passage */
    uint64_t blocks, tokens;
    uint64_t source_bytes, text_bytes; /* in the file; after normalisation */
    const char *state;                 /* "text", "landmarks", "ready" */
    const char *tier;                  /* "none", "f16", "q8_0", "q4_0" */
    char hash[33]; /* XXH3-128 of the normalised text (with "_id": of it, NUL and that), hexadecimal
                    */
};

/* Calls `visit` for each document in order of id until it returns false. The document is valid
 * during the call. */
LMK_API enum lmk_status lmk_list(struct lmk_collection *collection,
                                 bool (*visit)(void *context, const struct lmk_document *document),
                                 void *context, struct lmk_error *error);

/* A block of a document as lmk_export gives it. */
struct lmk_block {
    uint64_t document, block; /* numbers of the collection */
    uint64_t tokens;
    uint64_t text_start; /* of `text` in the document's normalised text */
    const char *text;    /* UTF-8, `text_bytes` and a NUL; a character that two
                            blocks share is the later one's */
    uint64_t text_bytes;
    uint64_t source_start, source_end; /* byte range in the source */
    uint32_t place;                    /* chapter or page from 1, 0: none */
};

/* Calls `document` for each document in order of id, and after each `block` for its blocks, whose
 * texts behind one another are the document's; until one of them returns false. What they get is
 * valid during the call. Needs the model, for its vocabulary. */
LMK_API enum lmk_status lmk_export(struct lmk_collection *collection,
                                   bool (*document)(void *context,
                                                    const struct lmk_document *document),
                                   bool (*block)(void *context, const struct lmk_block *block),
                                   void *context, struct lmk_error *error);

struct lmk_info {
    uint32_t format_version;
    const char *model_name; /* these four live as long as the collection */
    const char *fingerprint;
    const char *tier;
    const char *generation;
    uint64_t documents, documents_ready, blocks, blocks_ready, tokens; /* ready: with landmarks */
    uint64_t source_bytes, text_bytes;
    uint64_t segments, segment_blocks; /* FAISS segments and the blocks in them */
    uint64_t documents_words;          /* whose words are indexed */
    uint64_t bytes_text, bytes_landmarks, bytes_keys_values, bytes_other, bytes_segments,
        bytes_words, bytes_file;
};
LMK_API enum lmk_status lmk_info(struct lmk_collection *collection, struct lmk_info *info,
                                 struct lmk_error *error);

/* What a call needs on disk beyond what is there, and what the file system has left, in bytes. */
struct lmk_space {
    uint64_t needed, available;
};

/* Makes a new generation beside the old one, without what removed documents left behind: data.mdb
 * copied, the words copied, landmark segments built anew and merged. The new one takes the old
 * one's place in one step; readers go on with the old one, which is removed when none has it open.
 * Interrupted at any time, nothing has changed. `announce` (may be NULL) is told the space needed
 * before anything is written; false stops. Errors: LMK_IO (also: too little space),
 * LMK_INTERRUPTED. */
LMK_API enum lmk_status lmk_compact(struct lmk_collection *collection,
                                    bool (*announce)(void *context, const struct lmk_space *space),
                                    void *context, struct lmk_error *error);

/* Builds the landmark index anew with this FAISS factory string, "" for one chosen by size, which
 * holds for what is added later too. Errors: LMK_USAGE (a string that does not fit), LMK_IO. */
LMK_API enum lmk_status lmk_reindex_ann(struct lmk_collection *collection, const char *ann,
                                        struct lmk_error *error);

/* Removes the documents whose id, path or title equals `what`, or which are in the file or folder
 * `what`; `removed` counts them. Errors: LMK_NOT_FOUND. */
LMK_API enum lmk_status lmk_remove(struct lmk_collection *collection, const char *what,
                                   uint64_t *removed, struct lmk_error *error);

struct lmk_verify_report {
    uint64_t documents, blocks, segments, values_checked, problems;
    uint64_t documents_words; /* whose words were checked */
    bool pages;               /* the database's own pages are damaged: only they were checked */
};
/* Checks every checksum and cross-reference; each problem found goes to `problem` as a sentence.
 * Errors: LMK_CORRUPT when there was one. */
LMK_API enum lmk_status lmk_verify(struct lmk_collection *collection,
                                   void (*problem)(void *context, const char *sentence),
                                   void *context, struct lmk_verify_report *report,
                                   struct lmk_error *error);

struct lmk_repair_report {
    uint64_t problems;    /* found */
    uint64_t documents;   /* whose landmarks, keys and values were computed again, or, where an
                             interrupted run had not completed them, dropped for the next one */
    bool segments, words; /* the landmark index, the words were made again */
    uint64_t left;        /* problems found afterwards */
};
/* Does what lmk_verify does, and then makes again what is derived from sound texts: landmarks, keys
 * and values, landmark segments, words. Needs the model, and writes. Errors: LMK_CORRUPT where
 * problems are left: texts or records are damaged, or the database's own pages. */
LMK_API enum lmk_status lmk_repair(struct lmk_collection *collection,
                                   void (*problem)(void *context, const char *sentence),
                                   void *context, struct lmk_repair_report *report,
                                   struct lmk_error *error);

/* ------------------------------------------------------------------ indexing */

struct lmk_progress {
    const char *stage;    /* "reading", "words", "indexing"; of reindexing "texts" first */
    const char *document; /* path of the document at hand, or NULL */
    uint64_t documents, documents_total;
    uint64_t tokens, tokens_total; /* total 0: not known yet */
    double seconds;
};

struct lmk_index_options {
    /* Called now and then; false stops after committing what is complete (LMK_INTERRUPTED). May be
     * NULL. */
    bool (*progress)(void *context, const struct lmk_progress *progress);
    void *context;
    /* Told of each file, or part of one that holds several documents, that could not be read and is
     * left out. May be NULL. */
    void (*skipped)(void *context, const char *path, const struct lmk_error *error);
    const enum lmk_tier *tier; /* of documents that are added; NULL: the collection's */
    const char *first;         /* the model runs first over documents whose path or title this fits,
                                  a shell pattern or a part of it. NULL: none. Of these, and of the
                                  others behind them, it takes those first that were added last */
    double seconds; /* stop after so long, with what is complete committed; 0: no limit */
    bool prune;     /* remove the documents whose files have gone from the folders given */
};

struct lmk_index_report {
    uint64_t files, documents_added, documents_unchanged, documents_replaced;
    uint64_t files_skipped;                    /* left out: files, and parts of files */
    uint64_t invalid_bytes, documents_invalid; /* bytes replaced by U+FFFD, new documents with some
                                                */
    uint64_t documents_foreign;                /* new ones in other languages than English, */
    char languages[120];                       /* named with their counts: "fr 3, de 1" */
    bool out_of_time;                          /* stopped after options->seconds */
    uint64_t documents_pruned;                 /* removed, as their files have gone */
    uint64_t documents, tokens;                /* indexed by the model in this call */
    double seconds;                            /* of the whole call */
    double model_seconds;                      /* running the model */
    double tokens_per_second; /* tokens / seconds of the model stage, storing included */
};

/* Adds the files at `paths` (folders are walked) to a collection opened for writing, then runs the
 * model over every document that lacks landmarks, also those of an earlier run that was
 * interrupted. Such a run ends at once, without building landmark segments: the next one builds
 * them first, also where it adds nothing, as lmk_compact does. Errors: LMK_INPUT (nothing
 * readable), LMK_IO (also: too little space, which is found before anything is added),
 * LMK_INTERRUPTED, LMK_COLLECTION. */
LMK_API enum lmk_status lmk_index(struct lmk_collection *collection, const char *const *paths,
                                  size_t path_count, const struct lmk_index_options *options,
                                  struct lmk_index_report *report, struct lmk_error *error);

/* What lmk_index would do, and what it would take. */
struct lmk_estimate {
    uint64_t files;             /* new or changed */
    uint64_t documents, tokens; /* for the model, with those that wait from an earlier run */
    double share; /* of the bytes of these files, what was read for this: below 1, their numbers are
                     extrapolated from it */
    double tokens_per_second; /* of the model, tried for two seconds; 0: nothing to do */
    double seconds;           /* of reading and of the model, at these speeds */
    struct lmk_space space;   /* needed for texts, words and what the model computes; left */
};

/* Reads the files, and JSON lines from all over a file, for some seconds at most, and tries the
 * model. `path` is the collection's, which is only looked at and need not be there; of the options,
 * `tier` and `skipped` count. Errors: LMK_INPUT, LMK_COLLECTION, LMK_IO. */
LMK_API enum lmk_status lmk_estimate(const char *path, const struct lmk_model *model,
                                     const char *const *paths, size_t path_count,
                                     const struct lmk_index_options *options,
                                     struct lmk_estimate *estimate, struct lmk_error *error);

/* What lmk_keep_within did with keys and values: of how many documents, and their bytes. */
struct lmk_kept {
    uint64_t documents, bytes;         /* that have theirs still */
    uint64_t dropped, dropped_bytes;   /* that lost theirs */
    uint64_t computed, computed_bytes; /* that had none, and have them now */
};

/* Keeps keys and values of at most `bytes` bytes, those of the documents used most (of equal ones
 * those that are there, then the newest); the others' tier becomes none: lmk_search ranks them
 * without exact attention, and lmk_ask computes again what it reads of them. Documents that are
 * used, fit (on the disk too) and have none get them, of the collection's tier, which takes the
 * model as long as indexing them: `progress` (may be NULL) is that of lmk_index_options. What is
 * missing after false the next call or lmk_index computes. A use is that lmk_search showed the
 * document or lmk_ask read it; they note it in the collection's file `uses`, where they may write
 * it. The room is used again by what is added; lmk_compact gives it back. Errors: LMK_USAGE (opened
 * for reading only, or without a model), LMK_IO, LMK_INTERRUPTED. */
LMK_API enum lmk_status
lmk_keep_within(struct lmk_collection *collection, uint64_t bytes,
                bool (*progress)(void *context, const struct lmk_progress *progress), void *context,
                struct lmk_kept *kept, struct lmk_error *error);

/* Builds the collection anew for another model, from the texts that it holds: blocks, words,
 * landmarks, keys and values. The collection is open for writing, with the model that it was
 * indexed with, or without one: then `model` has to have the same vocabulary (LMK_MODEL: it has
 * not). Readers go on with the old generation until the new one takes its place in one step;
 * afterwards the collection uses `model`, and documents have the ids that they had, but blocks
 * other numbers. Stopped or killed, the old one is as it was, and the same call goes on from there;
 * so with options->seconds and report->out_of_time. Of the options, progress, context, first and
 * seconds count. Errors: LMK_USAGE (it is the model that the collection has; the collection's FAISS
 * type does not fit), LMK_MODEL, LMK_CORRUPT, LMK_IO, LMK_INTERRUPTED. */
LMK_API enum lmk_status lmk_reindex_model(struct lmk_collection *collection,
                                          const struct lmk_model *model,
                                          const struct lmk_index_options *options,
                                          struct lmk_index_report *report, struct lmk_error *error);

/* ------------------------------------------------------------------ queries */

/* What finds passages: landmarks and words together, landmarks alone, or words alone (BM25). */
enum lmk_mode { LMK_HYBRID = 0, LMK_LANDMARK, LMK_LEXICAL };

enum lmk_granularity { LMK_QUESTION = 0, LMK_TOKEN, LMK_HEAD, LMK_CHUNK };

struct lmk_timing { /* milliseconds */
    double pass1, candidates, words, fetch, attention, decode, total;
};

struct lmk_passage {
    uint64_t document, block; /* block: the collection's number of the first block */
    uint64_t blocks;          /* successive blocks that the passage was made of */
    uint64_t best_block;      /* the one of them that the scores belong to */
    const char *path, *title, *author, *kind;
    const char *metadata;              /* a JSON object, see lmk_document */
    uint32_t chapter, page;            /* of the best block, from 1; 0: the source has none */
    const char *heading;               /* of the chapter, may be empty */
    uint64_t source_start, source_end; /* byte range in the source; where that is no text (HTML,
                                          EPUB, PDF), in the text taken from it */
    double position;                   /* of its start in the document, 0 to 1 */
    const char *text;                  /* normalised text around the hit, UTF-8 */
    /* Bytes of `text`: the sentence that answers best, by the question's attention to it and the
     * question's words in it. Equal where there was neither. */
    size_t mark_start, mark_end;
    uint64_t mark_source_start, mark_source_end;
    double score;                                       /* what the order follows */
    double landmark_part, lexical_part, attention_part; /* lmk_search: what each side adds to
                               `score`; NaN: it does not count in this mode, or for this model */
    double landmark_score;  /* joint landmark score, see the design; NaN: not known */
    double lexical_score;   /* BM25; NaN where words were not asked */
    double attention_score; /* exact attention over the block's keys: the mean of what
                               lmk_candidate.heads would hold; NaN without keys */
    double share;           /* lmk_ask: share of the attention that the block received, 0 to 1 */
    double
        mark_share; /* of the best block's attention, what rests on the marked sentence, 0 to 1 */
    double ranking_score; /* what found the block: lmk_search's `score`; lmk_ask with a granularity
                             below the question: the share */
};

/* A block that was ranked, with all that the model's weights for ranking (landmark.rank.* of its
 * file) are fitted on. */
struct lmk_candidate {
    uint64_t document, block;
    uint64_t source_start, source_end;    /* byte range in the source */
    double score;                         /* what the order followed */
    double landmark_score, lexical_score; /* as in lmk_passage */
    double landmark_z, lexical_z;         /* deviations of the two from their means over the whole
                                             collection, in standard deviations; 0: not known */
    double neighbourhood; /* BM25 of the block together with its neighbours in its document;
                             0: words were not asked */
    const float *heads;   /* [lmk_results.heads]: for each memory layer and head, the mean over the
                             question's tokens of the logarithm of the sum of the exponentials of the
                             token's scaled scores with the block's keys. NULL: no keys */
};

struct lmk_search_options {
    size_t top;        /* passages wanted; default 10 */
    size_t candidates; /* blocks taken from each side for ranking; default 200 */
    size_t blocks; /* k: blocks that the heads read in granularities below `question`; default 8 */
    enum lmk_granularity
        granularity; /* below `question`: landmarks alone find, whatever the mode */
    enum lmk_mode mode;
    size_t per_document; /* passages of one document, 0: any number; default 3. More are shown where
                            there are too few documents to fill the page. */
    bool merge;          /* neighbouring blocks become one passage; default true */
    uint64_t most_matches; /* hybrid: the rarest words, as many as lie in so many blocks together,
                              bring candidates (of commoner words, so many blocks with the rarest);
                              the others only add to scores. 0: all, which is
                              BM25 in full, as in mode lexical. Default 20,000 */
    /* Conditions that the documents found must all fulfil: author, title, path, language, year or
     * chapter, then = (is; letters A to Z match whether small or capital), ~ (holds) or, for
     * numbers, < or >, then the value: "author~Austen", "year<1850". The year comes from the
     * document's metadata. [where_count], the caller's; default none. LMK_USAGE: no condition;
     * LMK_NOT_FOUND: no document fulfils them. */
    const char *const *where;
    size_t where_count;
    bool features; /* give lmk_results.candidates; needs granularity `question` and a mode with
                      landmarks. Default false */
    bool mark; /* compute attention_score and the marked sentence of each passage; default true */
    bool verbatim; /* the query goes to the model as it stands, without the model's own words around
                      it; default false */
};
LMK_API struct lmk_search_options lmk_search_defaults(void);

struct lmk_results {
    size_t count;
    struct lmk_passage *passages; /* best first */
    struct lmk_timing timing;
    uint64_t documents_ready, documents; /* how much of the collection has landmarks */
    uint64_t documents_words;            /* how much has its words indexed; 0 in mode landmark */
    /* Blocks found by codes that were rescored, lists that the FAISS indexes looked at (nprobe), or
     * their efSearch, added up; 0: every landmark was compared. */
    uint64_t probes;
    size_t candidate_count, heads;    /* with features: blocks ranked; memory layers x heads */
    struct lmk_candidate *candidates; /* best first */
    float *candidate_heads;           /* what their `heads` point into */
};

/* In the modes with words, a query may hold "exact phrases" (which must be there), -word (which
 * must not), AND, OR and parentheses; anything else is plain words. Errors: LMK_NOT_FOUND when
 * there is nothing to find, LMK_CORRUPT, LMK_COLLECTION, LMK_USAGE. */
LMK_API enum lmk_status lmk_search(struct lmk_collection *collection, const char *query,
                                   const struct lmk_search_options *options,
                                   struct lmk_results **results, struct lmk_error *error);
LMK_API void lmk_results_free(struct lmk_results *results);

struct lmk_ask_options {
    size_t blocks;     /* k: blocks that the answer reads; default 8 */
    size_t candidates; /* this and the next ones as in lmk_search_options */
    enum lmk_granularity granularity;
    enum lmk_mode mode;
    uint64_t most_matches;
    const char *const *where;
    size_t where_count;
    bool generate;     /* write an answer; default: only where the model says that it can */
    size_t max_tokens; /* of the answer; default 64 */
    float temperature; /* 0: greedy, the default */
    uint64_t seed;
    /* Gets each piece of the answer as it is written, in whole UTF-8 characters; false stops. With
     * `texts` the answer comes in one piece, when it is chosen. May be NULL. */
    bool (*stream)(void *context, const char *text, size_t size);
    void *context;
    bool verbatim; /* as in lmk_search_options: the model goes on with the question */
    /* Texts around the best blocks that are read again, with the question before them, to write the
     * answer: the surest of what each of them says. 0: it is written from the blocks' keys and
     * values alone, and so it is with verbatim or a granularity below the question. At most 16, and
     * those that there are: none is a neighbour of another. Default: what the model's file says
     * (landmark.answer.texts). */
    size_t texts;
};
LMK_API struct lmk_ask_options lmk_ask_defaults(const struct lmk_model *model);

struct lmk_answer {
    char *text; /* UTF-8, U+FFFD where the model wrote none; NULL when none was generated */
    size_t count;
    struct lmk_passage *passages; /* the blocks read, largest share first */
    struct lmk_timing timing;
    size_t tokens;         /* generated */
    double log_likelihood; /* mean natural logarithm of a generated token's probability */
    /* 0 to 1; NaN without an answer. Written from the blocks' keys and values: the log-likelihood
     * as a probability, that of a mean token. From texts read again: the probability that the block
     * is the right one, its share in a softmax over the scores of all candidates, times that of the
     * whole answer, its end included; 0 where no text answers, and the text is empty. Fitted, with
     * its threshold, for mode hybrid and the default number of candidates, and comparable there. */
    double confidence;
    /* Words of the answer, "the" and its like left out; how many of them stand in the passages. */
    size_t words, words_read;
    /* Does what was read support the answer? Where the model's file has landmark.answer.threshold:
     * the confidence reaches it; else: at least half of the words stand in the passages. An empty
     * answer is never supported. True where no answer was to be written. */
    bool found;
    size_t source; /* the passage whose text, read again, gave the answer; SIZE_MAX: none did */
    uint64_t documents_ready, documents, documents_words;
    /* Blocks whose keys and values are not kept (tier none) and were computed again, the tokens
     * that the model ran over for them, and how long that took. */
    uint64_t computed_blocks, computed_tokens;
    double computed_seconds;
};
LMK_API enum lmk_status lmk_ask(struct lmk_collection *collection, const char *question,
                                const struct lmk_ask_options *options, struct lmk_answer **answer,
                                struct lmk_error *error);
LMK_API void lmk_answer_free(struct lmk_answer *answer);

/* ---- an answer that a model elsewhere writes */

struct lmk_reader_options {
    const char *url;   /* of an API in the form of OpenAI's, such as http://localhost:8080/v1; or of
                          its chat completions */
    const char *model; /* NULL: none is named, which servers with one model accept */
    const char *key;   /* sent as a bearer token; NULL: none */
    size_t max_tokens; /* default 512 */
    float temperature; /* default 0 */
    uint64_t seed;
    unsigned seconds; /* of silence after which the reader is given up; default 120 */
    /* Gets each piece of the answer as it is written, in whole UTF-8 characters; false stops. May
     * be NULL. */
    bool (*stream)(void *context, const char *text, size_t size);
    void *context;
};
LMK_API struct lmk_reader_options lmk_reader_defaults(void);

/* Has the reader write `answer->text`, from the passages that lmk_ask found and from nothing else;
 * "[2]" in it cites answer->passages[1]. `tokens` is 0 then and `log_likelihood` NaN. This alone
 * uses the network, and loads libcurl for it. Errors, which leave the text as it was: LMK_USAGE (no
 * URL, or one with a password in it), LMK_READER, LMK_MEMORY. */
LMK_API enum lmk_status lmk_answer_write(struct lmk_answer *answer, const char *question,
                                         const struct lmk_reader_options *options,
                                         struct lmk_error *error);

#ifdef __cplusplus
}
#endif

#endif
