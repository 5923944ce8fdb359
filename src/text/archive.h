/* The files in a zip or (compressed) tar archive, by libarchive, read into memory one after the
 * other. Nothing is ever written to disk; their names are labels only. */
#ifndef TEXT_ARCHIVE_H
#define TEXT_ARCHIVE_H

#include "src/base/buffer.h"
#include "src/text/slice.h"

/* Limits: of one file, of the count of files, of all that is unpacked (the second for what shrank
 * to a 200th or less). */
#define ARCHIVE_MEMBER_MAX ((size_t)256 << 20)
#define ARCHIVE_MEMBERS_MAX 1000000
#define ARCHIVE_TOTAL_MAX ((uint64_t)1 << 40)

struct archive_reader;

/* True for the first bytes of a zip or tar file. */
bool archive_begins(struct slice bytes);

/* `bytes` and `path` (for messages) must stay until the end. LMK_INPUT, LMK_MEMORY. */
enum lmk_status archive_reader_open(struct archive_reader **result, struct slice bytes,
                                    const char *path, struct lmk_error *error);
void archive_reader_close(struct archive_reader *reader); /* NULL is fine */

/* The name of the next regular file, without "." and ".." in it, valid until the next call; NULL at
 * the end. LMK_INPUT: damaged, too many files, encrypted names. */
enum lmk_status archive_reader_next(struct archive_reader *reader, const char **name,
                                    struct lmk_error *error);

/* Appends the content of the file at hand. LMK_INPUT: damaged (*fatal: nothing behind it can be
 * read either), encrypted, or beyond a limit. */
enum lmk_status archive_reader_read(struct archive_reader *reader, struct buffer *content,
                                    bool *fatal, struct lmk_error *error);

const char *archive_library_version(void);

#endif
