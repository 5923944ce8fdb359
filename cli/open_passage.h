/* Shows a passage at its place in the source. */
#ifndef CLI_OPEN_PASSAGE_H
#define CLI_OPEN_PASSAGE_H

#include "lmk.h"

/* The passage's place: its file, and the line (from 1) of the marked sentence or of its start; 0
 * where the file is no text. */
struct place {
    char *path;
    uint64_t line;
    uint32_t page; /* from 1, of a PDF; 1 of others */
};

/* Copies the place, which then outlives the passage; release it with place_release. LMK_INPUT where
 * the file is not there any more. */
enum lmk_status place_find(struct place *place, const struct lmk_passage *passage,
                           struct lmk_error *error);
void place_release(struct place *place);

/* Becomes the program that shows the place: `opener`, a command whose {file}, {line} and {page}
 * stand for them; NULL: $PAGER or less, and the desktop's program for what is no text. Returns only
 * where it cannot. */
enum lmk_status place_open(const struct place *place, const char *opener, struct lmk_error *error);

#endif
