/* What long work shows on stderr, and Ctrl-C during it. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include "lmk.h"

/* A line that is drawn over and over on a terminal; one every few seconds elsewhere. */
struct display {
    bool quiet, terminal, drawn;
    const char *stage;
    double last;    /* when something was shown: seconds of the stage */
    double started; /* when progress_count's stage began: seconds of the clock */
};

/* From here on the first SIGINT or SIGTERM makes the functions below return false; the second ends
 * the process. */
void progress_start(struct display *display, bool quiet);
/* From here on the first one ends the process, also one that came before and that no function has
 * told of. */
void progress_release(void);
/* For lmk_index_options: `context` is a struct display. */
bool progress_index(void *context, const struct lmk_progress *progress);
void progress_skipped(void *context, const char *path, const struct lmk_error *error);
/* "STAGE: 3 of 40 things". False: interrupted. */
bool progress_count(struct display *display, const char *stage, const char *things, size_t done,
                    size_t total);
/* Call before anything else is printed. */
void progress_clear(struct display *display);

/* "1,234,567", in `text`. */
const char *progress_grouped(uint64_t number, char text[32]);

#endif
