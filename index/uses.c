#include "index/uses.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct uses {
    int descriptor;
};

/* Only a file of its own: a collection from elsewhere could have a link to another there. */
static int open_file(const struct lmk_collection *collection, int flags)
{
    struct stat information;
    char *name = collection_join(collection->path, "uses");
    int descriptor = name ? open(name, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0666) : -1;
    free(name);
    if (descriptor >= 0 && (fstat(descriptor, &information) || !S_ISREG(information.st_mode))) {
        close(descriptor);
        descriptor = -1;
    }
    return descriptor;
}

static off_t place_of(uint64_t document)
{
    return (off_t)(document * sizeof(uint32_t));
}

static uint32_t read_count(int descriptor, uint64_t document)
{
    unsigned char bytes[4];
    if (pread(descriptor, bytes, sizeof bytes, place_of(document)) != sizeof bytes)
        return 0;
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

/* False: cannot be written. */
static bool add_one(int descriptor, uint64_t document)
{
    uint32_t count = read_count(descriptor, document);
    count += count < UINT32_MAX;
    unsigned char bytes[4] = {(unsigned char)count, (unsigned char)(count >> 8),
                              (unsigned char)(count >> 16), (unsigned char)(count >> 24)};
    return pwrite(descriptor, bytes, sizeof bytes, place_of(document)) == sizeof bytes;
}

static bool seen_before(const struct lmk_passage *passages, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (passages[j].document == passages[i].document)
            return true;
    return false;
}

void uses_note(const struct lmk_collection *collection, const struct lmk_passage *passages,
               size_t count)
{
    int descriptor = count ? open_file(collection, O_RDWR | O_CREAT) : -1;
    if (descriptor < 0)
        return;
    for (size_t i = 0; i < count; i++)
        if (!seen_before(passages, i) && !add_one(descriptor, passages[i].document))
            break;
    close(descriptor);
}

struct uses *uses_open(const struct lmk_collection *collection)
{
    struct uses *uses = malloc(sizeof *uses);
    if (uses && (uses->descriptor = open_file(collection, O_RDONLY)) < 0) {
        free(uses);
        uses = NULL;
    }
    return uses;
}

uint32_t uses_of(const struct uses *uses, uint64_t document)
{
    return uses ? read_count(uses->descriptor, document) : 0;
}

void uses_close(struct uses *uses)
{
    if (!uses)
        return;
    close(uses->descriptor);
    free(uses);
}
