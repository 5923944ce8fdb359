/* What streams and archives ask of libarchive alike. */
#ifndef TEXT_COMPRESSION_H
#define TEXT_COMPRESSION_H

#include "src/base/error.h"

struct archive;

/* Has gzip, bzip2, xz and Zstandard read, and no program run for any other. */
void compression_support(struct archive *archive);

/* The sentence for what libarchive could not read; LMK_INPUT. */
enum lmk_status compression_damaged(struct archive *archive, const char *path,
                                    struct lmk_error *error);

#endif
