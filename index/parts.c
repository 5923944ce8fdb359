#include "index/landmarks.h"
#include "index/lexical.h"
#include "index/store.h"
#include "lmk.h"
#include "src/model/dense.h"
#include "src/text/archive.h"
#include "src/text/markup.h"

#include <threads.h>

static struct lmk_part parts[] = {
    {"lmk", LMK_VERSION}, {"FAISS", NULL},    {"LMDB", NULL},
    {"SQLite", NULL},     {"OpenBLAS", NULL}, {"xxHash", NULL},
    {"libarchive", NULL}, {"libxml2", NULL},  {NULL, NULL},
};

static void ask_versions(void)
{
    const char *const versions[] = {landmarks_library_version(), store_library_version(),
                                    lexical_library_version(),   dense_library_version(),
                                    hash_library_version(),      archive_library_version(),
                                    markup_library_version()};
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++)
        parts[i + 1].version = versions[i];
}

const struct lmk_part *lmk_parts(void)
{
    static once_flag once = ONCE_FLAG_INIT;
    call_once(&once, ask_versions);
    return parts;
}
