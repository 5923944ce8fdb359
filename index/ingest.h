/* The stages of lmk_index: texts first, so that a document is in the store within seconds; then
 * their words, so that all can be searched; then the model. */
#ifndef INDEX_INGEST_H
#define INDEX_INGEST_H

#include "index/collection.h"
#include "index/walk.h"

struct ingest {
    struct lmk_collection *collection;
    const struct lmk_index_options *options;
    struct lmk_index_report *report;
    struct lmk_progress progress;
    double started, stage_started; /* seconds of the monotonic clock */
    const uint64_t *only;          /* the model runs over these documents alone, ascending; */
    size_t only_count;             /* 0: over all */
};

double ingest_clock(void);

/* Tells the caller how far it is; LMK_INTERRUPTED when the caller wants to stop. */
enum lmk_status ingest_report(struct ingest *ingest, struct lmk_error *error);

/* Counts what is left out, and tells the caller. */
void ingest_skip(struct ingest *ingest, const char *path, uint64_t count,
                 const struct lmk_error *fault);

/* True if the file, which is in this state now, stands in the collection so. `record` is what the
 * collection knows of it, false for `known`: nothing. */
bool ingest_seen_before(struct store_view *view, const char *path, const struct file_state *now,
                        struct source_record *record, bool *known);

/* Stage 1: reads, normalises and tokenizes new and changed files, and commits their texts. */
enum lmk_status ingest_texts(struct ingest *ingest, const struct file_list *files,
                             struct lmk_error *error);

/* After it, where it is asked for: forgets the files that have gone from the paths given, and
 * removes the documents that no file has any more. */
enum lmk_status ingest_prune(struct ingest *ingest, const char *const *paths, size_t count,
                             struct lmk_error *error);

/* What follows the texts: their words, the model, landmark segments. */
enum lmk_status ingest_finish(struct ingest *ingest, struct lmk_error *error);

/* What the model has to do, and the bytes that its results take in the store. */
struct ingest_work {
    uint64_t documents, tokens, bytes;
};
/* Adds what is left of a document that is not ready. */
enum lmk_status ingest_add_work(struct ingest_work *work, struct store_view *view,
                                const struct store_settings *settings,
                                const struct document *document, struct lmk_error *error);

/* Stage 3 (2 are the words): runs the model over every document that is not ready. */
enum lmk_status ingest_model(struct ingest *ingest, struct lmk_error *error);

#endif
