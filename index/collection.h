/* A collection: the directory NAME.lmk with its generations, the writer's lock and an open store.
 *
 *   NAME.lmk/CURRENT               name of the generation in use, one line
 *   NAME.lmk/writer.lock           locked (fcntl) while a process writes; holds its process id
 *   NAME.lmk/generation-000001/    data.mdb, lock.mdb, landmarks/
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

/* `directory`/`name` in new memory; NULL: out of memory. */
char *collection_join(const char *directory, const char *name);

#endif
