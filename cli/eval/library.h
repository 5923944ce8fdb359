/* A corpus in a collection: each entry a document. */
#ifndef CLI_EVAL_LIBRARY_H
#define CLI_EVAL_LIBRARY_H

#include "cli/command.h"
#include "cli/eval/dataset.h"
#include "cli/progress.h"

struct library {
    struct lmk_collection *collection;
    const struct corpus *corpus;        /* borrowed */
    char *temporary;                    /* folder of a collection that goes again, or NULL */
    struct library_document *documents; /* [document_count], in order of id */
    size_t document_count, room;
    size_t strangers; /* documents that are not of the corpus, or there twice */
    bool as_it_is;    /* only read: nothing of the corpus was added */
};

/* Opens the collection of --collection and indexes what of the corpus it lacks, or, where another
 * process writes it or it may only be read, takes it as it is and says so on stderr; without one,
 * makes a collection in a temporary folder. Errors: those of lmk_index; LMK_USAGE where the
 * collection has documents that are not of the corpus. Close it in any case. */
enum lmk_status library_open(struct library *library, const struct arguments *arguments,
                             const struct lmk_model *model, const struct corpus *corpus,
                             struct display *display, struct lmk_error *error);
void library_close(struct library *library);

/* The entry of the corpus that the document `id` is; UINT32_MAX: none. */
uint32_t library_entry(const struct library *library, uint64_t id);

#endif
