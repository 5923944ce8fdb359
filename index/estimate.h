/* What indexing takes, from the part of the texts that a few seconds suffice for. */
#ifndef INDEX_ESTIMATE_H
#define INDEX_ESTIMATE_H

#include "index/ingest.h"

/* Hours of work are not begun, and no text is added, where the disk is too small for all of it.
 * Only where that is possible are texts read for it. LMK_IO. */
enum lmk_status estimate_refuse(const struct ingest *ingest, const struct file_list *files,
                                struct lmk_error *error);

#endif
