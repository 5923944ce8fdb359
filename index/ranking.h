/* The ranking of blocks for a question: candidates from the landmarks and from the words, ordered
 * by one score.
 *
 * In mode hybrid a block's score is the weighted sum of two z-scores: of its landmark score, and of
 * its BM25. Each counts deviations from the mean over the *whole* collection, not over the
 * candidates, which are the best of it and would make any list look alike:
 *   - landmark: mean and deviation over a sample of blocks that is always the same
 *     (RANKING_SAMPLE of them; all blocks of a smaller collection);
 *   - BM25: over all blocks, those without any of the words counting as 0 (index/lexical.h).
 * Both scores are computed exactly for every candidate, whichever side found it. A block that has
 * no landmark yet counts as an average one on that side. Conditions of the query (phrases, minus,
 * AND) hold for the candidates of both sides.
 */
#ifndef INDEX_RANKING_H
#define INDEX_RANKING_H

#include "index/granularity.h"
#include "index/question.h"

#define RANKING_SAMPLE 512

struct ranked {
    uint64_t block;
    double score;             /* what the order follows */
    double landmark, lexical; /* NaN: not known in this mode, or no landmark yet */
};

struct ranking {
    struct ranked *items; /* [count], best first; owned */
    size_t count;
    uint64_t documents_words; /* documents whose words were searched; 0 in mode landmark */
};

struct ranking_request {
    enum lmk_mode mode;
    const char *text;                /* what the user typed */
    const struct question *question; /* may be NULL in mode lexical */
    size_t candidates;               /* from each side */
    uint64_t most_matches;           /* see lexical_search */
};

/* Errors: LMK_NOT_FOUND, LMK_CORRUPT. `timing` gets the times of both sides. Release the ranking in
 * any case. */
enum lmk_status ranking_make(struct ranking *ranking, struct lmk_collection *collection,
                             struct store_view *view, const struct ranking_request *request,
                             struct lmk_timing *timing, struct lmk_error *error);
/* The ranking that the forward pass itself made. */
enum lmk_status ranking_of_granularity(struct ranking *ranking,
                                       const struct granularity *granularity, size_t wanted,
                                       struct lmk_error *error);
void ranking_release(struct ranking *ranking);

#endif
