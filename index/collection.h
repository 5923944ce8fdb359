/* A collection: the directory NAME.lmk with its generations, the writer's lock and an open store.
 *
 *   NAME.lmk/CURRENT               name of the generation in use, one line
 *   NAME.lmk/writer.lock           locked (fcntl) while a process writes; holds its process id
 *   NAME.lmk/generation-000001/    data.mdb, lock.mdb, landmarks/, lexical.db; see generation.h
 */
#ifndef INDEX_COLLECTION_H
#define INDEX_COLLECTION_H

#include "index/store.h"
#include "src/model/model.h"

struct lexical;
struct segments;

struct lmk_collection {
    char *path;                    /* of NAME.lmk */
    char *generation;              /* name of the generation's directory */
    char *directory;               /* its path */
    const struct lmk_model *model; /* borrowed, may be NULL */
    struct store *store;
    struct segments *segments; /* opened by the first query, NULL before */
    struct lexical *lexical;   /* the same */
    double effort;             /* of landmarks_search; INFINITY: compare every landmark */
    uint64_t probes;           /* of the last search, as struct lmk_results has it */
    int lock;                  /* descriptor of writer.lock, -1 when read-only */
    char fingerprint[2 * HASH128_BYTES + 1];
};

/* LMK_USAGE where the collection was opened without a model or without `write`. */
enum lmk_status collection_needs_model(const struct lmk_collection *collection,
                                       struct lmk_error *error);
enum lmk_status collection_needs_write(const struct lmk_collection *collection,
                                       struct lmk_error *error);

/* "text", "landmarks", "ready"; "none", "f16", "q8_0", "q4_0". Static. */
const char *collection_state_name(enum document_state state);
const char *collection_tier_name(enum lmk_tier tier);

/* The document as lmk.h shows it; strings are the record's. */
struct lmk_document collection_public_document(const struct document *document);

/* Takes over the name (new memory); it is the collection's in any case. */
enum lmk_status collection_set_generation(struct lmk_collection *collection, char *generation,
                                          struct lmk_error *error);

/* Of a new collection, with a landmark index chosen by size. */
struct store_settings collection_settings(const struct lmk_model *model, enum lmk_tier tier);

/* Closes the store and what lies beside it; what is not open is fine. */
void collection_close_generation(struct lmk_collection *collection);

/* Closes the store and makes the directory `next` (see generation.h) the generation in use. After
 * an error the collection can only be closed. */
enum lmk_status collection_switch(struct lmk_collection *collection, const char *next,
                                  struct lmk_error *error);

/* `directory`/`name` in new memory; NULL: out of memory. */
char *collection_join(const char *directory, const char *name);

#endif
