/* Whole archives: zip, and tar (also compressed). */
#ifndef TEXT_ARCHIVED_H
#define TEXT_ARCHIVED_H

#include "src/text/source.h"

#define ARCHIVES_NESTED 2 /* an archive in an archive, and no more */

/* Reads each file in the archive that reader_wants by its name, hidden ones left out, as if it were
 * a file in a folder: what cannot be read is skipped. LMK_INPUT: damaged (what was read before
 * stays), nested too deep, or nothing to read in it. */
enum lmk_status archived_read(const struct source *source, struct lmk_error *error);

#endif
