/* How often each document was shown by a search or read for an answer: a file `uses` beside the
 * generations, a u32 in little-endian order at four times the document's id. Only a hint, for
 * lmk_keep_within: readers write it without a lock, a use may be lost, and where the collection
 * may not be written to nothing is noted. */
#ifndef INDEX_USES_H
#define INDEX_USES_H

#include "index/collection.h"

/* Notes a use of the documents of `passages`, of each once. */
void uses_note(const struct lmk_collection *collection, const struct lmk_passage *passages,
               size_t count);

struct uses; /* for reading; NULL: there are none, which uses_of takes too */
struct uses *uses_open(const struct lmk_collection *collection);
uint32_t uses_of(const struct uses *uses, uint64_t document);
void uses_close(struct uses *uses);

#endif
