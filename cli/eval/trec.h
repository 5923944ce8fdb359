/* Rankings in the format of trec_eval: "QUERY Q0 ENTRY RANK SCORE NAME" in a line. */
#ifndef CLI_EVAL_TREC_H
#define CLI_EVAL_TREC_H

#include "cli/eval/dataset.h"

/* Reads the rankings [questions] of a run, which is the caller's to release; the order follows the
 * scores, not the ranks. Queries that the set does not have are passed over, questions that the run
 * does not have get empty rankings. Errors: LMK_IO, LMK_INPUT. */
enum lmk_status trec_read(const char *path, const struct corpus *corpus,
                          const struct question_set *set, struct ranked_list *rankings,
                          struct lmk_error *error);

/* Writes them to FOLDER/NAME.trec; the folder is made. Scores have all their digits, so that
 * reading gives the same order. Errors: LMK_IO. */
enum lmk_status trec_write(const char *folder, const char *name, const struct corpus *corpus,
                           const struct question_set *set, const struct ranked_list *rankings,
                           struct lmk_error *error);

#endif
