#include "index/store_internal.h"
#include "src/base/directory.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_READERS = 1022 };

/* Address space to set aside for the map: it costs nothing, but some systems grant less of it. */
#define LARGEST_MAP ((size_t)1 << 46)
#define SMALLEST_MAP ((size_t)1 << 32)

const struct store_table_form store_tables[TABLE_COUNT] = {
    [TABLE_META] = {"meta", false},
    [TABLE_DOCUMENTS] = {"documents", true},
    [TABLE_HASHES] = {"hashes", false},
    [TABLE_FIRST_BLOCKS] = {"first_blocks", true},
    [TABLE_SOURCES] = {"sources", false},
    [TABLE_DOCUMENT_SOURCES] = {"document_sources", false},
    [TABLE_TEXTS] = {"texts", true},
    [TABLE_LANDMARKS] = {"landmarks", true},
    [TABLE_KEYS_VALUES] = {"keys_values", true},
    [TABLE_SEGMENTS] = {"segments", false},
};

/* ---- errors */

static const char *advice(int code)
{
    switch (code) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return " Free disk space (or raise the quota or file size limit) and run it again: "
               "everything committed before"
               " is intact.";
    case EIO:
        return " Check that the disk is not full and has no errors, and run it again: everything "
               "committed before is"
               " intact.";
    case MDB_MAP_FULL:
        return " The address space granted to it is used up: raise the limit on virtual memory "
               "(ulimit -v) and run it"
               " again; everything committed before is intact.";
    case EACCES:
    case EPERM:
    case EROFS:
        return " Check the permissions of the directory.";
    case MDB_READERS_FULL:
        return " Too many programs read it at once: end some of them.";
    case MDB_PANIC:
        return " An earlier write failed: run it again.";
    default:
        return "";
    }
}

static enum lmk_status status_of(int code)
{
    switch (code) {
    case ENOMEM:
        return LMK_MEMORY;
    case MDB_VERSION_MISMATCH:
        return LMK_COLLECTION;
    case MDB_READERS_FULL:
        return LMK_BUSY;
    case MDB_INVALID:
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INCOMPATIBLE:
        return LMK_CORRUPT;
    default:
        return LMK_IO;
    }
}

enum lmk_status store_failure(const struct store *store, int code, const char *doing,
                              struct lmk_error *error)
{
    return error_set(error, status_of(code), "Cannot %s the store in %s: %s.%s", doing,
                     store->directory, mdb_strerror(code), advice(code));
}

enum lmk_status store_damage(const struct store *store, struct lmk_error *error, const char *format,
                             ...)
{
    char what[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    return error_set(error, LMK_CORRUPT,
                     "The store in %s is damaged: %s. \"lmk verify\" lists all damage; remove and "
                     "index again the "
                     "documents that it names.",
                     store->directory, what);
}

/* ---- the environment */

static struct store *store_new(const char *directory, bool write)
{
    struct store *store = calloc(1, sizeof *store);
    if (!store || !(store->directory = strdup(directory))) {
        free(store);
        return NULL;
    }
    store->write = write;
    return store;
}

void store_close(struct store *store)
{
    if (!store)
        return;
    if (store->env)
        mdb_env_close(store->env);
    free(store->directory);
    free(store);
}

/* One attempt; a failed environment can only be closed. */
static int environment_try(struct store *store, size_t map_bytes, unsigned flags)
{
    int code = mdb_env_create(&store->env);
    if (code)
        return code;
    if (!(code = mdb_env_set_mapsize(store->env, map_bytes)) &&
        !(code = mdb_env_set_maxdbs(store->env, TABLE_COUNT)) &&
        !(code = mdb_env_set_maxreaders(store->env, MOST_READERS)))
        code = mdb_env_open(store->env, store->directory, flags, 0644);
    if (code) {
        mdb_env_close(store->env);
        store->env = NULL;
        return code;
    }
    mdb_filehandle_t file; /* which LMDB leaves open for programs that the process starts */
    if (!mdb_env_get_fd(store->env, &file))
        fcntl(file, F_SETFD, FD_CLOEXEC);
    return 0;
}

/* MDB_NOTLS: a thread may have several views at once. MDB_NORDAHEAD: blocks are read at random. */
static int environment_open(struct store *store)
{
    unsigned flags = MDB_NOTLS | MDB_NORDAHEAD | (store->write ? 0 : MDB_RDONLY);
    size_t map_bytes = LARGEST_MAP;
    int code;
    while ((code = environment_try(store, map_bytes, flags)) != 0) {
        bool refused = code == EACCES || code == EPERM || code == EROFS;
        if (code == ENOMEM && map_bytes > SMALLEST_MAP)
            map_bytes /= 2;
        else if (refused && !store->write && !(flags & MDB_NOLOCK))
            flags |= MDB_NOLOCK; /* the lock file cannot be written, so nobody writes on this
                                    machine either */
        else
            return code;
    }
    int stale;
    if (!(flags & MDB_NOLOCK))
        mdb_reader_check(
            store->env,
            &stale); /* slots of readers that were killed would keep old pages from reuse */
    return 0;
}

static int tables_open(struct store *store, MDB_txn *txn, size_t first, size_t end, unsigned flags)
{
    for (size_t i = first; i < end; i++) {
        unsigned form = store_tables[i].by_number ? MDB_INTEGERKEY : 0;
        int code = mdb_dbi_open(txn, store_tables[i].name, form | flags, &store->tables[i]);
        if (code)
            return code;
    }
    return 0;
}

/* ---- settings */

static enum lmk_status settings_check(const struct store_settings *settings,
                                      struct lmk_error *error)
{
    const uint32_t most = 65536;
    uint64_t heads = (uint64_t)settings->memory_layers * settings->kv_heads;
    if (settings->block_tokens == 0 || settings->block_tokens > 4096 ||
        settings->memory_layers == 0 || settings->memory_layers > most || settings->kv_heads == 0 ||
        settings->kv_heads > most || settings->head_width == 0 || settings->head_width > most ||
        settings->vocabulary == 0 || heads * settings->head_width > (uint64_t)1 << 22)
        return error_set(error, LMK_USAGE,
                         "A store cannot hold blocks of %u tokens with %u memory layers, %u heads "
                         "of width %u and a "
                         "vocabulary of %u.",
                         settings->block_tokens, settings->memory_layers, settings->kv_heads,
                         settings->head_width, settings->vocabulary);
    return tier_check(settings->tier, settings->head_width, error);
}

static int put_record(struct store *store, MDB_txn *txn, const char *key,
                      struct record_writer *record)
{
    MDB_val name = {strlen(key), (void *)(uintptr_t)key},
            value = {record->bytes.size, record->bytes.data};
    return mdb_put(txn, store->tables[TABLE_META], &name, &value, 0);
}

static enum lmk_status meta_write(struct store *store, MDB_txn *txn,
                                  const struct store_settings *settings, struct lmk_error *error)
{
    const struct store_counts counts = {.next_document = 1};
    struct record_writer records[3];
    static const char *const keys[3] = {"format", "settings", "counters"};
    for (size_t i = 0; i < 3; i++)
        record_init(&records[i], error);
    enum lmk_status status = format_encode(&records[0]);
    if (!status)
        status = settings_encode(settings, &records[1]);
    if (!status)
        status = counts_encode(&counts, &records[2]);
    for (size_t i = 0; i < 3; i++) {
        int code = status ? 0 : put_record(store, txn, keys[i], &records[i]);
        if (code)
            status = store_failure(store, code, "write", error);
        record_release(&records[i]);
    }
    return status;
}

/* A value of meta, while the environment is being opened. */
static MDB_val meta_value(struct store *store, MDB_txn *txn, const char *key)
{
    MDB_val name = {strlen(key), (void *)(uintptr_t)key}, value = {0, NULL};
    if (mdb_get(txn, store->tables[TABLE_META], &name, &value))
        return (MDB_val){0, NULL};
    return value;
}

static enum lmk_status format_check(struct store *store, MDB_txn *txn, struct lmk_error *error)
{
    uint32_t version;
    MDB_val value = meta_value(store, txn, "format");
    if (!format_decode(value.mv_data, value.mv_size, &version))
        return store_damage(store, error,
                            "its format record is missing or does not match its checksum");
    if (version != STORE_FORMAT_VERSION)
        return error_set(error, LMK_COLLECTION,
                         "The store in %s has format version %u; this program reads version %u. "
                         "Use the version of "
                         "lmk that made it, or index the texts again into a new collection.",
                         store->directory, version, STORE_FORMAT_VERSION);
    return LMK_OK;
}

static enum lmk_status settings_read(struct store *store, MDB_txn *txn, struct lmk_error *error)
{
    MDB_val value = meta_value(store, txn, "settings");
    if (!settings_decode(value.mv_data, value.mv_size, &store->settings) ||
        settings_check(&store->settings, NULL))
        return store_damage(store, error,
                            "its settings are missing or do not match their checksum");
    return LMK_OK;
}

const struct store_settings *store_settings(const struct store *store)
{
    return &store->settings;
}

/* ---- creating and opening */

/* Makes the directory, and clears away what an interrupted creation left. */
static enum lmk_status prepare_directory(const char *directory, struct lmk_error *error)
{
    char path[4096];
    struct stat information;
    if (mkdir(directory, 0777) && errno != EEXIST)
        return error_system(error, "Cannot make the directory %s", directory);
    if (snprintf(path, sizeof path, "%s/data.mdb", directory) >= (int)sizeof path - 8)
        return error_set(error, LMK_IO, "The path %s is too long.", directory);
    if (stat(path, &information))
        return errno == ENOENT ? LMK_OK : error_system(error, "Cannot look at %s", path);
    if (!store_file_is_blank(directory))
        return error_set(error, LMK_COLLECTION, "There is a store in %s already.", directory);
    if (unlink(path))
        return error_system(error, "Cannot remove %s, which an interrupted run left", path);
    snprintf(path, sizeof path, "%s/lock.mdb", directory);
    unlink(path);
    return LMK_OK;
}

static enum lmk_status create_tables(struct store *store, const struct store_settings *settings,
                                     struct lmk_error *error)
{
    MDB_txn *txn;
    int code = mdb_txn_begin(store->env, NULL, 0, &txn);
    if (code)
        return store_failure(store, code, "create", error);
    enum lmk_status status = LMK_OK;
    if ((code = tables_open(store, txn, 0, TABLE_COUNT, MDB_CREATE)) != 0)
        status = store_failure(store, code, "create", error);
    else
        status = meta_write(store, txn, settings, error);
    if (status)
        mdb_txn_abort(txn);
    else if ((code = mdb_txn_commit(txn)) != 0)
        status = store_failure(store, code, "create", error);
    return status;
}

enum lmk_status store_create(struct store **store, const char *directory,
                             const struct store_settings *settings, struct lmk_error *error)
{
    *store = NULL;
    enum lmk_status status = settings_check(settings, error);
    if (status || (status = prepare_directory(directory, error)))
        return status;
    struct store *made = store_new(directory, true);
    if (!made)
        return error_memory(error, sizeof *made);
    made->settings = *settings;
    int code = environment_open(made);
    if (code)
        status = store_failure(made, code, "create", error);
    else if (!(status = create_tables(made, settings, error)))
        status = directory_sync(directory, error);
    if (status)
        store_close(made);
    else
        *store = made;
    return status;
}

static enum lmk_status open_range(struct store *store, MDB_txn *txn, size_t first, size_t end,
                                  struct lmk_error *error)
{
    int code = tables_open(store, txn, first, end, 0);
    if (code == MDB_NOTFOUND)
        return store_damage(store, error, "a table is missing");
    return code ? store_failure(store, code, "open", error) : LMK_OK;
}

/* Opens the tables and reads the settings, in a transaction of its own; another version may have
 * other tables. */
static enum lmk_status open_tables(struct store *store, struct lmk_error *error)
{
    MDB_txn *txn;
    int code = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn);
    if (code)
        return store_failure(store, code, "open", error);
    enum lmk_status status = open_range(store, txn, TABLE_META, TABLE_META + 1, error);
    if (!status)
        status = format_check(store, txn, error);
    if (!status)
        status = open_range(store, txn, TABLE_META + 1, TABLE_COUNT, error);
    if (!status)
        status = settings_read(store, txn, error);
    if (status)
        mdb_txn_abort(txn);
    else if ((code = mdb_txn_commit(txn)) != 0)
        status = store_failure(store, code, "open", error);
    return status;
}

enum lmk_status store_open(struct store **store, const char *directory, bool write,
                           struct lmk_error *error)
{
    *store = NULL;
    enum lmk_status status = store_file_check(directory, error);
    if (status)
        return status;
    struct store *opened = store_new(directory, write);
    if (!opened)
        return error_memory(error, sizeof *opened);
    int code = environment_open(opened);
    if (code)
        status = store_failure(opened, code, "open", error);
    else
        status = open_tables(opened, error);
    if (status)
        store_close(opened);
    else
        *store = opened;
    return status;
}

/* ---- copying */

enum lmk_status store_copy(struct store *store, const char *to, struct lmk_error *error)
{
    char *file;
    if (asprintf(&file, "%s/data.mdb", to) < 0)
        return error_memory(error, strlen(to));
    int code = mdb_env_copy2(store->env, to, MDB_CP_COMPACT);
    enum lmk_status status =
        code ? error_set(error, status_of(code), "Cannot copy the store in %s to %s: %s.%s",
                         store->directory, to, mdb_strerror(code), advice(code))
             : file_sync(file, error);
    free(file);
    return status ? status : directory_sync(to, error);
}
