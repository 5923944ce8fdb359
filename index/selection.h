/* Which of the ranked blocks are shown: no document more often than it should be, and neighbouring
 * blocks as one passage. */
#ifndef INDEX_SELECTION_H
#define INDEX_SELECTION_H

#include "index/ranking.h"

/* The most blocks of a passage. */
#define SELECTION_MOST_BLOCKS 4

struct selected {
    uint64_t document;
    uint64_t first;              /* block */
    uint64_t count;              /* of successive blocks, all of them ranked */
    const struct ranked *ranked; /* the best of them, in the ranking */
};

struct selection_options {
    size_t top;          /* passages wanted */
    size_t per_document; /* passages of one document, 0: any number. Where that does not fill the
                            page it is doubled until it does. */
    bool merge;          /* make one passage of neighbours */
};

/* Fills `selected` [options->top], best first. */
enum lmk_status selection_make(struct store_view *view, const struct ranking *ranking,
                               const struct selection_options *options, struct selected *selected,
                               size_t *count, struct lmk_error *error);

#endif
