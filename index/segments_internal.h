/* What the files of the landmark segments share.
 *
 *   segments.c         listing, opening, checking
 *   segments_search.c  searching
 *   segments_plan.c    over which blocks segments are built
 *   segments_build.c   building them
 */
#ifndef INDEX_SEGMENTS_INTERNAL_H
#define INDEX_SEGMENTS_INTERNAL_H

#include "index/landmarks.h"
#include "index/segments.h"

/* Values of one landmark in the part, and where they begin in [M][G][W]. */
size_t segment_part_width(const struct model_shape *shape, uint32_t part);
size_t segment_part_start(const struct model_shape *shape, uint32_t part);

/* Appends the segments of one part (struct segment_record) to `list`, in order of their blocks.
 * Indexes that are open, but that the view does not name, are closed. */
enum lmk_status segments_list(struct lmk_collection *collection, struct store_view *view,
                              uint32_t part, struct buffer *list, struct lmk_error *error);

/* A segment that a search asks. */
struct segment_use {
    const struct segment_record *record;
    struct landmark_segment *index;
};

/* Sets `index` of each from its record, opened at its first use; open until a view that does not
 * name it is listed. Errors: as landmarks_open, of the first that fails; the others are open. */
enum lmk_status segments_open(struct lmk_collection *collection, struct segment_use *uses,
                              size_t count, struct lmk_error *error);

/* True where one of the records has the name. */
bool segment_is_named(const char *name, const struct segment_record *records, size_t count);

/* False if none of the segment's blocks has a landmark any more. */
bool segment_lives(struct store_view *view, const struct segment_record *record);

/* The path of a segment's file, the caller's to free; NULL: out of memory. */
char *segment_path(const struct lmk_collection *collection, const char *name);

/* Block numbers between which no document waits for the model. */
struct stretch {
    uint64_t first, end;
    uint64_t blocks; /* of the documents that are there */
};

/* Appends to `stretches` (struct stretch) what segments are to be built over, given those that are
 * there, in order. A stretch takes the place of the segments that lie within it. */
enum lmk_status segments_plan(struct store_view *view, const struct segment_record *records,
                              size_t count, struct buffer *stretches, struct lmk_error *error);

#endif
