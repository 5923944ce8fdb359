/* The generations of a collection: which one is in use, and how the next one takes its place.
 *
 *   CURRENT                        names the generation in use
 *   generation-000001/             a whole generation
 *   compact.new/, reindex.new/     the next one while it is being made
 *
 * What is made is renamed to the next number when it is whole and synced, then CURRENT is renamed
 * over. So a generation with a higher number than the one in use is whole, and newer: the next
 * writer takes it. One with a lower number goes when no process has it open.
 */
#ifndef INDEX_GENERATION_H
#define INDEX_GENERATION_H

#include "src/base/error.h"

#include <stdbool.h>

#define FIRST_GENERATION "generation-000001"
#define NEXT_COMPACT "compact.new"
#define NEXT_REINDEX "reindex.new"

/* Reads CURRENT of the collection at `path` into `generation` (new memory). LMK_NOT_FOUND, without
 * a sentence: there is none. LMK_CORRUPT, LMK_IO, LMK_MEMORY. */
enum lmk_status generation_read(const char *path, char **generation, struct lmk_error *error);

/* Names the generation in CURRENT: whole to a new file, synced, renamed. */
enum lmk_status generation_write(const char *path, const char *generation, struct lmk_error *error);

/* For a writer that has the lock and nothing open: takes what an interrupted run had made whole and
 * only not named yet (`generation` is then changed). */
enum lmk_status generation_settle(const char *path, char **generation, struct lmk_error *error);

/* For a writer that has opened the generation, so that it is sure to be there: removes older ones
 * that no process has open, and what was half made, but not reindex.new. What cannot be removed
 * stays for the next one. */
void generation_clean(const char *path, const char *generation);

/* Makes the directory `next` (NEXT_COMPACT or NEXT_REINDEX), whole and synced, the generation in
 * use. `generation` becomes its name. Nothing of either may be open in this process. */
enum lmk_status generation_switch(const char *path, const char *next, char **generation,
                                  struct lmk_error *error);

/* Removes a directory of files and folders, data.mdb first. What is not there is fine. */
enum lmk_status generation_remove(const char *path, const char *name, struct lmk_error *error);

/* Makes `directory`/landmarks with all that leads to it. */
enum lmk_status generation_make_directories(const char *directory, struct lmk_error *error);

/* True if a directory holds nothing but what the interrupted making of a collection leaves. */
bool generation_is_unborn(const char *path);

#endif
