#include "src/text/compression.h"

#include <archive.h>

void compression_support(struct archive *archive)
{
    archive_read_support_filter_gzip(archive);
    archive_read_support_filter_bzip2(archive);
    archive_read_support_filter_xz(archive);
    archive_read_support_filter_zstd(archive);
}

enum lmk_status compression_damaged(struct archive *archive, const char *path,
                                    struct lmk_error *error)
{
    const char *reason = archive_error_string(archive);
    return error_set(error, LMK_INPUT, "%s is damaged: it cannot be unpacked (%s).", path,
                     reason ? reason : "no reason given");
}
