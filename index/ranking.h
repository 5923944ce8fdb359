/* The ranking of blocks for a question: candidates from the landmarks and from the words, ordered
 * by one score.
 *
 * In mode hybrid a block's score is the weighted sum of the z-score of its landmark score, that of
 * its BM25, BM25 of the block together with its neighbours (lexical_score_neighbourhoods), and, for
 * each head of each memory layer, its head score: the exact attention of the question to its keys
 * (src/model/scoring.h), less the mean over the candidates. The weights are the model's
 * (landmark.rank.*); a model without any ranks by the two z-scores, each weighing 1. In mode
 * landmark a model with weights for it ranks by the landmark's z-score and the head scores, another
 * by the landmark score as it is. Mode lexical ranks by BM25.
 *
 * A z-score counts deviations from the mean over *all* blocks of the scope, not over the
 * candidates, which are the best of it and would make any list look alike:
 *   - landmark: mean and deviation over a sample of blocks that is always the same
 *     (RANKING_SAMPLE of them; all blocks of a smaller scope);
 *   - BM25: over all blocks, those without any of the words counting as 0 (index/lexical.h).
 * Both scores are computed exactly for every candidate, whichever side found it. A block that has
 * no landmark yet counts as an average one on that side, one without keys as an average candidate
 * for each head. Conditions of the query (phrases, minus, AND) hold for the candidates of both
 * sides.
 */
#ifndef INDEX_RANKING_H
#define INDEX_RANKING_H

#include "index/granularity.h"
#include "index/lexical.h"
#include "index/question.h"

#define RANKING_SAMPLE 512

/* What each side adds to a score; NaN: it does not count in this mode. */
struct score_parts {
    double landmark, lexical, attention;
};

struct ranked {
    uint64_t block;
    double score;                 /* what the order follows: the sum of the parts */
    double landmark, lexical;     /* NaN: not known in this mode, or no landmark yet */
    double landmark_z, lexical_z; /* NaN where no z-scores were needed */
    double neighbourhood;         /* lexical_score_neighbourhoods; 0 where it was not needed */
    struct score_parts parts;
    const float *head_scores; /* [M][H], of the ranking; NULL: no keys, or not needed */
};

struct ranking {
    struct ranked *items; /* [count], best first; owned */
    size_t count;
    float *head_scores;         /* of all items; owned */
    uint64_t documents_words;   /* documents whose words were searched; 0 in mode landmark */
    struct lexical *lexical;    /* the collection's; NULL: words were not asked for, or not there */
    struct lexical_query query; /* for lexical_coverage */
};

struct ranking_request {
    enum lmk_mode mode;
    const char *text;                /* what the user typed */
    const struct question *question; /* may be NULL in mode lexical */
    size_t candidates;               /* from each side */
    uint64_t most_matches;           /* see lexical_search */
    const struct scope *scope;       /* NULL: all blocks */
    bool features; /* z-scores and head scores of every candidate, whether the order needs them */
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
/* Fills the items' head scores from the keys in the store; those of blocks without keys stay NULL.
 * `timing` gets the times of fetching and of computing. */
enum lmk_status ranking_attend(struct ranking *ranking, struct store_view *view,
                               const struct question *question, const struct model_shape *shape,
                               struct lmk_timing *timing, struct lmk_error *error);
void ranking_release(struct ranking *ranking);

#endif
