/* What LMDB believes of its file without looking: page numbers, page kinds, sizes. A file cut short
 * or overwritten would end the process with a signal, so this walks over LMDB's own pages first,
 * without LMDB (the layout is that of LMDB 0.9, data version 1, on 64-bit little-endian machines;
 * FORMAT.md repeats it).
 */
#include "index/store_internal.h"

#include "src/base/mapped_file.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { PAGE_HEADER = 16, NODE_HEADER = 8, TREE_BYTES = 48, META_BYTES = 136, MOST_DEPTH = 32 };
enum { PAGE_BRANCH = 1, PAGE_LEAF = 2, PAGE_OVERFLOW = 4, PAGE_META = 8 };
enum { NODE_BIG = 1, NODE_TREE = 2 };

#define LMDB_MAGIC 0xBEEFC0DEu
#define NO_PAGE UINT64_MAX

struct tree {
    unsigned depth; /* 0: empty */
    uint64_t root;
};

/* The newest state that the file holds. */
struct snapshot {
    const unsigned char *data;
    uint64_t size, page_bytes, last_page, transaction;
    struct tree free, main;
};

static uint16_t load_u16(const unsigned char *at)
{
    return (uint16_t)(at[0] | at[1] << 8);
}

static struct tree load_tree(const unsigned char *at)
{
    return (struct tree){load_u16(at + 6), load_u64(at + 40)};
}

/* ---- the first two pages */

static enum lmk_status no_store(const char *path, const char *why, struct lmk_error *error)
{
    return error_set(error, LMK_CORRUPT,
                     "%s is damaged: %s. Restore the file from a copy, or remove the collection "
                     "and index its texts "
                     "again.",
                     path, why);
}

static bool is_meta(const unsigned char *page)
{
    return load_u16(page + 10) & PAGE_META && load_u32(page + PAGE_HEADER) == LMDB_MAGIC;
}

static void load_snapshot(struct snapshot *snapshot, const unsigned char *page)
{
    const unsigned char *meta = page + PAGE_HEADER;
    snapshot->free = load_tree(meta + 24);
    snapshot->main = load_tree(meta + 24 + TREE_BYTES);
    snapshot->last_page = load_u64(meta + 120);
    snapshot->transaction = load_u64(meta + 128);
}

static enum lmk_status read_metas(struct snapshot *snapshot, const char *path,
                                  struct lmk_error *error)
{
    const unsigned char *first = snapshot->data;
    if (snapshot->size < PAGE_HEADER + META_BYTES || !is_meta(first))
        return no_store(path, snapshot->size ? "it is not an LMDB file" : "it is empty", error);
    if (load_u32(first + PAGE_HEADER + 4) != 1)
        return error_set(error, LMK_COLLECTION,
                         "%s was written by another version of LMDB than 0.9, or is damaged. Read "
                         "it with the lmk that wrote it, restore the file from a copy, or index "
                         "the texts again into a new collection.",
                         path);
    uint64_t page_bytes = load_u32(first + PAGE_HEADER + 24);
    if (page_bytes < 512 || page_bytes > 65536 || (page_bytes & (page_bytes - 1)) != 0)
        return no_store(path, "its first page makes no sense", error);
    if (snapshot->size < 2 * page_bytes || !is_meta(first + page_bytes))
        return no_store(path, "its second page is missing", error);
    const unsigned char *second = first + page_bytes;
    uint64_t even = load_u64(first + PAGE_HEADER + 128), odd = load_u64(second + PAGE_HEADER + 128);
    bool newer = odd > even;
    /* Transactions take turns, so that one that seems to have been skipped would silently go back
     * to an older state. In a new file both are 0. */
    if ((even || odd) && (even % 2 || (newer ? odd - even : even - odd) != 1))
        return no_store(path, "the transactions in its first two pages do not follow one another",
                        error);
    snapshot->page_bytes = page_bytes;
    load_snapshot(snapshot, newer ? second : first);
    if (snapshot->last_page < 1 || snapshot->last_page > ((uint64_t)1 << 47) / page_bytes)
        return no_store(path, "the page numbers in its first pages make no sense", error);
    return LMK_OK;
}

/* ---- the trees */

struct walk {
    const struct snapshot *file;
    bool whole;          /* else only the tree of tables, and the first page of each table */
    unsigned char *seen; /* one bit a page: no page may be used twice; NULL if not whole */
    uint64_t problems;
    void (*problem)(void *context, const char *sentence);
    void *context;
    const char *path;
};

static bool complain(struct walk *walk, uint64_t page, const char *what)
{
    char sentence[1024];
    if (walk->problems++ < 100 && walk->problem) {
        snprintf(sentence, sizeof sentence, "Page %llu of %.800s is damaged: %s.",
                 (unsigned long long)page, walk->path, what);
        walk->problem(walk->context, sentence);
    }
    return false;
}

/* Checks that `count` pages lie in the file, and nowhere else in a tree. */
static bool take_pages(struct walk *walk, uint64_t from, uint64_t page, uint64_t count)
{
    const struct snapshot *file = walk->file;
    if (page < 2 || page > file->last_page || count > file->last_page - page + 1)
        return complain(walk, from, "it names a page that does not exist");
    if (page + count > file->size / file->page_bytes)
        return complain(walk, page, "the file ends before it");
    for (uint64_t i = page; walk->seen && i < page + count; i++) {
        unsigned char bit = (unsigned char)(1 << i % 8);
        if (walk->seen[i / 8] & bit)
            return complain(walk, i, "it is used twice");
        walk->seen[i / 8] |= bit;
    }
    return true;
}

static bool walk_tree(struct walk *walk, struct tree tree, bool tables, uint64_t from);

/* A value on pages of its own. */
static bool walk_big(struct walk *walk, uint64_t from, uint64_t page, uint64_t bytes)
{
    const struct snapshot *file = walk->file;
    uint64_t pages = (PAGE_HEADER + bytes + file->page_bytes - 1) / file->page_bytes;
    if (!take_pages(walk, from, page, pages))
        return false;
    if (!walk->whole)
        return true;
    const unsigned char *at = file->data + page * file->page_bytes;
    if (load_u64(at) != page || !(load_u16(at + 10) & PAGE_OVERFLOW) || load_u32(at + 12) < pages)
        return complain(walk, page, "it is not the start of a long value");
    return true;
}

static bool walk_leaf_node(struct walk *walk, uint64_t page, const unsigned char *node,
                           uint64_t room, bool tables)
{
    uint64_t bytes = load_u32(node), key_bytes = load_u16(node + 6);
    unsigned flags = load_u16(node + 4);
    uint64_t here = flags & NODE_BIG ? 8 : bytes;
    if (key_bytes > room - NODE_HEADER || here > room - NODE_HEADER - key_bytes)
        return complain(walk, page, "an entry runs over its end");
    const unsigned char *value = node + NODE_HEADER + key_bytes;
    if (flags & ~(unsigned)(NODE_BIG | NODE_TREE) ||
        (flags & NODE_TREE && (!tables || bytes != TREE_BYTES)) || flags == (NODE_BIG | NODE_TREE))
        return complain(walk, page, "an entry is of an unknown kind");
    if (flags & NODE_BIG)
        return walk_big(walk, page, load_u64(value), bytes);
    return !(flags & NODE_TREE) || walk_tree(walk, load_tree(value), false, page);
}

static bool walk_page(struct walk *walk, uint64_t from, uint64_t page, unsigned depth, bool tables);

static bool walk_node(struct walk *walk, uint64_t page, uint64_t offset, unsigned depth,
                      bool tables)
{
    const struct snapshot *file = walk->file;
    const unsigned char *node = file->data + page * file->page_bytes + offset;
    uint64_t room = file->page_bytes - offset;
    if (depth == 1)
        return walk_leaf_node(walk, page, node, room, tables);
    if (load_u16(node + 6) > room - NODE_HEADER)
        return complain(walk, page, "an entry runs over its end");
    if (!walk->whole && !tables)
        return true;
    return walk_page(walk, page, load_u32(node) | (uint64_t)load_u16(node + 4) << 32, depth - 1,
                     tables);
}

/* `depth` is 1 for a leaf. */
static bool walk_page(struct walk *walk, uint64_t from, uint64_t page, unsigned depth, bool tables)
{
    const struct snapshot *file = walk->file;
    if (!take_pages(walk, from, page, 1))
        return false;
    const unsigned char *at = file->data + page * file->page_bytes;
    unsigned lower = load_u16(at + 12), upper = load_u16(at + 14);
    if (load_u64(at) != page ||
        (load_u16(at + 10) & 0x6f) != (depth == 1 ? PAGE_LEAF : PAGE_BRANCH))
        return complain(walk, page, "it is not the page that its place in the tree calls for");
    if (lower < PAGE_HEADER || lower % 2 || lower > upper || upper > file->page_bytes)
        return complain(walk, page, "its header makes no sense");
    bool sound = lower > PAGE_HEADER || complain(walk, page, "it is empty");
    for (unsigned i = PAGE_HEADER; i < lower; i += 2) {
        unsigned offset = load_u16(at + i);
        if (offset < upper || offset % 2 || offset + NODE_HEADER > file->page_bytes)
            sound = complain(walk, page, "an entry lies outside of it");
        else if (!walk_node(walk, page, offset, depth, tables))
            sound = false;
    }
    return sound;
}

static bool walk_tree(struct walk *walk, struct tree tree, bool tables, uint64_t from)
{
    if (tree.root == NO_PAGE)
        return tree.depth == 0 || complain(walk, from, "a tree has a depth but no root");
    if (tree.depth == 0 || tree.depth > MOST_DEPTH)
        return complain(walk, from, "a tree's depth makes no sense");
    return walk_page(walk, from, tree.root, tree.depth, tables);
}

static void walk_snapshot(struct walk *walk)
{
    walk_tree(walk, walk->file->main, true, 0);
    walk_tree(walk, walk->file->free, false, 0);
}

/* ---- opening and verifying */

static enum lmk_status check_size(struct snapshot *file, const char *path, struct lmk_error *error)
{
    assert(file->page_bytes);
    if (file->size / file->page_bytes > file->last_page)
        return LMK_OK;
    /* Pages given up before they were ever written may be missing at the end of a sound file: only
     * a walk can tell. */
    struct walk walk = {.file = file, .whole = true, .path = path};
    uint64_t bytes = file->last_page / 8 + 1;
    if (!(walk.seen = calloc(1, bytes)))
        return error_memory(error, bytes);
    walk_snapshot(&walk);
    free(walk.seen);
    if (walk.problems == 0)
        return LMK_OK;
    char why[128];
    snprintf(why, sizeof why, "it has been cut off, %llu bytes remain of %llu",
             (unsigned long long)file->size,
             (unsigned long long)((file->last_page + 1) * file->page_bytes));
    return no_store(path, why, error);
}

static void keep_sentence(void *context, const char *sentence)
{
    char *kept = context;
    if (!kept[0])
        snprintf(kept, 1024, "%s", sentence);
}

static enum lmk_status check_tops(struct snapshot *file, const char *path, struct lmk_error *error)
{
    char sentence[1024] = "";
    struct walk walk = {.file = file, .problem = keep_sentence, .context = sentence, .path = path};
    walk_snapshot(&walk);
    if (walk.problems == 0)
        return LMK_OK;
    return error_set(
        error, LMK_CORRUPT,
        "%.800s Restore the file from a copy, or remove the collection and index its texts again.",
        sentence);
}

static enum lmk_status open_file(struct mapped_file *map, const char *path, const char *directory,
                                 struct lmk_error *error)
{
    struct stat information;
    *map = (struct mapped_file){0};
    if (stat(path, &information)) {
        if (errno == ENOENT || errno == ENOTDIR)
            return error_set(error, LMK_COLLECTION,
                             "There is no store in %s: it has no file data.mdb. Restore it from a "
                             "copy, or remove the collection and index its texts again.",
                             directory);
        return error_system(error, "Cannot look at %s", path);
    }
    return mapped_file_open(map, path, error);
}

/* One look at the file, with the transaction that it was in. */
static enum lmk_status check_once(const char *directory, uint64_t *transaction,
                                  struct lmk_error *error)
{
    char path[4096];
    struct mapped_file map;
    snprintf(path, sizeof path, "%s/data.mdb", directory);
    enum lmk_status status = open_file(&map, path, directory, error);
    if (status)
        return status;
    struct snapshot file = {.data = map.data, .size = map.size};
    status = read_metas(&file, path, error);
    if (!status)
        status = check_size(&file, path, error);
    if (!status)
        status = check_tops(&file, path, error);
    *transaction = file.transaction;
    mapped_file_close(&map);
    return status;
}

enum lmk_status store_file_check(const char *directory, struct lmk_error *error)
{
    uint64_t transaction = 0, before;
    enum lmk_status status;
    int tries = 0;
    /* A writer at work may use pages anew while they are looked at; what stays damaged is damaged.
     */
    do {
        before = transaction;
        status = check_once(directory, &transaction, error);
    } while (status == LMK_CORRUPT && (transaction != before || tries < 2) && ++tries < 10);
    return status;
}

bool store_file_is_blank(const char *directory)
{
    char path[4096];
    struct mapped_file map;
    snprintf(path, sizeof path, "%s/data.mdb", directory);
    if (open_file(&map, path, directory, NULL))
        return false;
    struct snapshot file = {.data = map.data, .size = map.size};
    /* LMDB writes the first pages together, when it makes the file. */
    bool blank = map.size <= 2 * 4096 || (!read_metas(&file, path, NULL) && file.transaction == 0);
    mapped_file_close(&map);
    return blank;
}

enum lmk_status store_file_check_pages(const char *directory,
                                       void (*problem)(void *context, const char *sentence),
                                       void *context, struct lmk_error *error)
{
    char path[4096];
    struct mapped_file map;
    snprintf(path, sizeof path, "%s/data.mdb", directory);
    enum lmk_status status = open_file(&map, path, directory, error);
    if (status)
        return status;
    struct snapshot file = {.data = map.data, .size = map.size};
    struct walk walk = {
        .file = &file, .whole = true, .problem = problem, .context = context, .path = path};
    if (!(status = read_metas(&file, path, error))) {
        walk.seen = calloc(1, file.last_page / 8 + 1);
        if (walk.seen)
            walk_snapshot(&walk);
        else
            status = error_memory(error, file.last_page / 8 + 1);
    }
    free(walk.seen);
    mapped_file_close(&map);
    return status;
}

const char *store_library_version(void)
{
    static char text[32];
    int major, minor, patch;
    mdb_version(&major, &minor, &patch);
    snprintf(text, sizeof text, "%d.%d.%d", major, minor, patch);
    return text;
}
