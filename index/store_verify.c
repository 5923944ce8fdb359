/* Checks every page, checksum and cross-reference. First the pages, as LMDB trusts them; then each
 * document with all that belongs to it; then each table the other way round, for what belongs to no
 * document; at last the counters. */
#include "index/store_internal.h"

#include <stdio.h>
#include <string.h>

struct verification {
    struct store_view *view;
    void (*problem)(void *context, const char *sentence);
    void *context;
    struct store_verification *result;
    struct store_counts stored, counted;
    struct buffer tokens, runs;
};

static void report(struct verification *verification, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void report(struct verification *verification, const char *format, ...)
{
    char sentence[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    verification->result->problems++;
    verification->problem(verification->context, sentence);
}

/* Damage is a problem to be reported, and the check goes on; other failures end it. */
static enum lmk_status absorb(struct verification *verification, enum lmk_status status,
                              const struct lmk_error *error)
{
    if (status != LMK_CORRUPT)
        return status;
    report(verification, "%s", error->message);
    return LMK_OK;
}

static unsigned long long wide(uint64_t value)
{
    return (unsigned long long)value;
}

/* ---- blocks of a document */

struct document_check {
    struct verification *verification;
    const struct document *document;
    uint64_t end;    /* of its blocks */
    uint64_t tokens; /* of the texts */
};

static void report_block(struct document_check *check, uint64_t block, const char *what)
{
    report(check->verification, "%s of block %llu (block %llu of %llu of document %llu, %s).", what,
           wide(block), wide(block - check->document->first_block + 1),
           wide(check->document->block_count), wide(check->document->id), check->document->path);
}

static enum lmk_status check_text_blocks(struct document_check *check, uint64_t first,
                                         uint32_t count, const MDB_val *value,
                                         struct lmk_error *error)
{
    struct verification *verification = check->verification;
    for (uint32_t i = 0; i < count; i++) {
        struct block_text text;
        buffer_clear(&verification->tokens);
        buffer_clear(&verification->runs);
        enum lmk_status status = text_extent_block(
            value->mv_data, value->mv_size, i, &verification->view->store->settings,
            &verification->tokens, &verification->runs, &text, error);
        if (status && status != LMK_CORRUPT)
            return status;
        if (status || text.text_start + text.text_size > check->document->text_bytes)
            report_block(check, first + i, "The bytes make no sense as the text");
        else
            check->tokens += text.token_count;
    }
    return LMK_OK;
}

/* One extent of texts; `next` becomes the block behind it, 0 if that cannot be told. */
static enum lmk_status check_text_extent(struct document_check *check, uint64_t first,
                                         const MDB_val *value, uint64_t *next,
                                         struct lmk_error *error)
{
    uint32_t count = text_extent_count(value->mv_data, value->mv_size, first);
    *next = count ? first + count : 0;
    if (count)
        return check_text_blocks(check, first, count, value, error);
    report_block(check, first, "The checksum does not match the texts");
    return LMK_OK;
}

static void check_extent(struct document_check *check, bool landmarks, uint64_t first,
                         const MDB_val *value, uint64_t *next)
{
    struct extent extent;
    const struct document *document = check->document;
    *next = 0;
    if (!extent_open(&extent, &check->verification->view->store->settings, landmarks, first,
                     value->mv_data, value->mv_size) ||
        (!landmarks &&
         (document->tier == LMK_TIER_NONE || extent.shape.type != tier_type(document->tier)))) {
        report_block(check, first,
                     landmarks ? "The header does not fit the landmark keys"
                               : "The header does not fit the keys and values");
        return;
    }
    *next = first + extent.count;
    for (uint64_t block = first; block < *next; block++)
        for (size_t part = 0; part < extent.shape.parts; part++)
            if (!extent_part(&extent, block, part))
                report_block(check, block,
                             landmarks   ? "The checksum does not match the landmark key"
                             : part == 0 ? "The checksum does not match the keys"
                                         : "The checksum does not match the values");
}

static const char *table_noun(enum store_table table)
{
    return table == TABLE_TEXTS       ? "text"
           : table == TABLE_LANDMARKS ? "landmark key"
                                      : "keys and values";
}

/* Walks over the extents of a document in one table; `covered` becomes the end of the blocks that
 * are there. */
static enum lmk_status check_table(struct document_check *check, enum store_table table,
                                   uint64_t *covered, struct lmk_error *error)
{
    struct verification *verification = check->verification;
    uint64_t block = check->document->first_block;
    *covered = block;
    while (block < check->end) {
        MDB_val value;
        uint64_t first, next;
        enum lmk_status status =
            view_at_or_after(verification->view, table, block, &first, &value, error);
        if (status == LMK_NOT_FOUND || (!status && first >= check->end))
            break;
        if (status)
            return status;
        verification->result->values++;
        if (first > block)
            report_block(check, block,
                         table == TABLE_TEXTS ? "A gap: there is no text"
                                              : "A gap: nothing is stored");
        if (table == TABLE_TEXTS)
            status = check_text_extent(check, first, &value, &next, error);
        else
            check_extent(check, table == TABLE_LANDMARKS, first, &value, &next);
        if (status)
            return status;
        if (next > check->end)
            report_block(check, first,
                         "An extent runs over the end of its document, behind the extent");
        block = next ? next : first + 1;
        *covered = block;
    }
    return LMK_OK;
}

static void check_covered(struct document_check *check, enum store_table table, uint64_t covered,
                          bool all)
{
    if (!all || covered >= check->end)
        return;
    char what[64];
    snprintf(what, sizeof what, "There is no %s", table_noun(table));
    report_block(check, covered, what);
}

static enum lmk_status check_blocks(struct document_check *check, struct lmk_error *error)
{
    const struct document *document = check->document;
    bool keys_due = document->state == DOCUMENT_READY && document->tier != LMK_TIER_NONE;
    uint64_t texts, landmarks, keys_values;
    uint64_t problems = check->verification->result->problems;
    enum lmk_status status = check_table(check, TABLE_TEXTS, &texts, error);
    if (!status)
        status = check_table(check, TABLE_LANDMARKS, &landmarks, error);
    if (!status)
        status = check_table(check, TABLE_KEYS_VALUES, &keys_values, error);
    if (status)
        return status;
    check_covered(check, TABLE_TEXTS, texts, true);
    check_covered(check, TABLE_LANDMARKS, landmarks, document->state >= DOCUMENT_LANDMARKS);
    check_covered(check, TABLE_KEYS_VALUES, keys_values, keys_due);
    if (problems == check->verification->result->problems && check->tokens != document->token_count)
        report(check->verification,
               "Document %llu (%s) has %llu tokens by its record, but its blocks hold %llu.",
               wide(document->id), document->path, wide(document->token_count),
               wide(check->tokens));
    return LMK_OK;
}

/* ---- documents */

static enum lmk_status check_entry(struct document_check *check, enum store_table table,
                                   MDB_val key, struct lmk_error *error)
{
    MDB_val value;
    uint64_t id;
    enum lmk_status status = view_get(check->verification->view, table, key, &value, error);
    if (status && status != LMK_NOT_FOUND)
        return status;
    if (status || !entry_decode(value.mv_data, value.mv_size, key.mv_data, key.mv_size, &id) ||
        id != check->document->id)
        report(check->verification,
               "The entry of document %llu (%s) in table %s is missing or damaged.",
               wide(check->document->id), check->document->path, store_tables[table].name);
    return LMK_OK;
}

static void count_document(struct store_counts *counts, const struct document *document)
{
    counts->documents++;
    counts->blocks += document->block_count;
    counts->tokens += document->token_count;
    counts->source_bytes += document->source_bytes;
    counts->text_bytes += document->text_bytes;
    if (document->state != DOCUMENT_TEXT) {
        counts->documents_ready++;
        counts->blocks_ready += document->block_count;
    }
}

static enum lmk_status check_document(struct verification *verification,
                                      const struct document *document, uint64_t end_before,
                                      struct lmk_error *error)
{
    struct document_check check = {verification, document,
                                   document->first_block + document->block_count, 0};
    verification->result->documents++;
    verification->result->blocks += document->block_count;
    count_document(&verification->counted, document);
    if (document->first_block < end_before || check.end > verification->stored.next_block ||
        document->id >= verification->stored.next_document)
        report(verification,
               "Document %llu (%s) has numbers that belong to another document or to none.",
               wide(document->id), document->path);
    MDB_val hash = {HASH128_BYTES, (void *)(uintptr_t)document->hash};
    enum lmk_status status = check_entry(&check, TABLE_HASHES, hash, error);
    if (!status)
        status = check_entry(&check, TABLE_FIRST_BLOCKS, number_key(&document->first_block), error);
    return status ? status : check_blocks(&check, error);
}

static enum lmk_status check_documents(struct verification *verification, struct lmk_error *error)
{
    uint64_t id = 0, end = 0;
    for (;;) {
        MDB_val value;
        struct document document;
        enum lmk_status status =
            view_at_or_after(verification->view, TABLE_DOCUMENTS, id, &id, &value, error);
        if (status)
            return status == LMK_NOT_FOUND ? LMK_OK : absorb(verification, status, error);
        verification->result->values++;
        if (document_decode(value.mv_data, value.mv_size, id, &document)) {
            status =
                absorb(verification, check_document(verification, &document, end, error), error);
            end = document.first_block + document.block_count;
        } else {
            report(verification, "The record of document %llu does not match its checksum.",
                   wide(id));
        }
        if (status || id++ == UINT64_MAX)
            return status;
    }
}

/* ---- tables, for what belongs to no document */

/* Checks one entry of a table; says in `why` what is wrong with it. */
typedef enum lmk_status entry_check(struct verification *verification, const MDB_val *key,
                                    const MDB_val *value, const char **why,
                                    struct lmk_error *error);

static enum lmk_status check_entries(struct verification *verification, enum store_table table,
                                     entry_check *check, struct lmk_error *error)
{
    MDB_cursor *cursor;
    int code =
        mdb_cursor_open(verification->view->txn, verification->view->store->tables[table], &cursor);
    if (code)
        return store_failure(verification->view->store, code, "read", error);
    MDB_val key, value;
    enum lmk_status status = LMK_OK;
    uint64_t number = 0;
    for (code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST); !code && !status;
         code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
        const char *why = NULL;
        number++;
        verification->result->values++;
        if (store_tables[table].by_number && key.mv_size != sizeof(uint64_t))
            why = "its key is not a number";
        else
            status = check(verification, &key, &value, &why, error);
        if (!status && why)
            report(verification, "Entry %llu of table %s is damaged: %s.", wide(number),
                   store_tables[table].name, why);
    }
    mdb_cursor_close(cursor);
    if (!status && code != MDB_NOTFOUND)
        status = store_failure(verification->view->store, code, "read", error);
    return absorb(verification, status, error);
}

static uint64_t number_of(const MDB_val *key)
{
    uint64_t number;
    memcpy(&number, key->mv_data, sizeof number);
    return number;
}

/* The document an entry belongs to; what is wrong with its record is reported elsewhere. */
static enum lmk_status owner(struct verification *verification, uint64_t id,
                             struct document *document, const char **why, struct lmk_error *error)
{
    enum lmk_status status = store_document(verification->view, id, document, error);
    if (status == LMK_NOT_FOUND)
        *why = "its document does not exist";
    else if (status == LMK_CORRUPT)
        *why = "its document's record is damaged";
    else
        return status;
    return LMK_OK;
}

static enum lmk_status check_hash_entry(struct verification *verification, const MDB_val *key,
                                        const MDB_val *value, const char **why,
                                        struct lmk_error *error)
{
    uint64_t id;
    struct document document;
    if (!entry_decode(value->mv_data, value->mv_size, key->mv_data, key->mv_size, &id)) {
        *why = "it does not match its checksum";
        return LMK_OK;
    }
    enum lmk_status status = owner(verification, id, &document, why, error);
    if (!status && !*why &&
        (key->mv_size != HASH128_BYTES || memcmp(document.hash, key->mv_data, HASH128_BYTES) != 0))
        *why = "its document has another hash";
    return status;
}

static enum lmk_status check_first_block_entry(struct verification *verification,
                                               const MDB_val *key, const MDB_val *value,
                                               const char **why, struct lmk_error *error)
{
    uint64_t id;
    struct document document;
    if (!entry_decode(value->mv_data, value->mv_size, key->mv_data, key->mv_size, &id)) {
        *why = "it does not match its checksum";
        return LMK_OK;
    }
    enum lmk_status status = owner(verification, id, &document, why, error);
    if (!status && !*why && document.first_block != number_of(key))
        *why = "its document begins at another block";
    return status;
}

/* Extents are looked into with their documents; here only that they have one. */
static enum lmk_status check_extent_owner(struct verification *verification, const MDB_val *key,
                                          const MDB_val *value, const char **why,
                                          struct lmk_error *error)
{
    struct document document;
    (void)value;
    enum lmk_status status =
        store_document_of_block(verification->view, number_of(key), &document, error);
    if (status == LMK_NOT_FOUND)
        *why = "its blocks belong to no document";
    else if (status == LMK_CORRUPT)
        *why = "the document of its blocks cannot be told";
    else
        return status;
    verification->result->values--; /* counted with its document */
    return LMK_OK;
}

static enum lmk_status check_source_entry(struct verification *verification, const MDB_val *key,
                                          const MDB_val *value, const char **why,
                                          struct lmk_error *error)
{
    struct source_record source;
    struct document document;
    unsigned char back[DOCUMENT_SOURCE_BYTES];
    MDB_val unused;
    if (key->mv_size != HASH128_BYTES ||
        !source_decode(value->mv_data, value->mv_size, key->mv_data, NULL, &source)) {
        *why = "it does not match its checksum";
        return LMK_OK;
    }
    if (!source.document) /* of several, whose own paths say so */
        return LMK_OK;
    enum lmk_status status = owner(verification, source.document, &document, why, error);
    if (status || *why)
        return status;
    document_source_key(back, source.document, key->mv_data);
    status = view_get(verification->view, TABLE_DOCUMENT_SOURCES, (MDB_val){sizeof back, back},
                      &unused, error);
    if (status != LMK_NOT_FOUND)
        return status;
    *why = "its document does not lead back to it";
    return LMK_OK;
}

static enum lmk_status check_document_source_entry(struct verification *verification,
                                                   const MDB_val *key, const MDB_val *value,
                                                   const char **why, struct lmk_error *error)
{
    struct source_record source;
    unsigned char back[DOCUMENT_SOURCE_BYTES];
    if (key->mv_size != sizeof back || value->mv_size != 8 ||
        hash64(key->mv_data, key->mv_size) != load_u64(value->mv_data)) {
        *why = "it does not match its checksum";
        return LMK_OK;
    }
    memcpy(back, key->mv_data, sizeof back);
    MDB_val hash = {HASH128_BYTES, back + 8}, record;
    enum lmk_status status = view_get(verification->view, TABLE_SOURCES, hash, &record, error);
    if (status && status != LMK_NOT_FOUND)
        return status;
    if (!status && source_decode(record.mv_data, record.mv_size, back + 8, NULL, &source))
        document_source_key(back, source.document, back + 8);
    if (status || memcmp(back, key->mv_data, sizeof back) != 0)
        *why = "the source that it names is missing or of another document";
    return LMK_OK;
}

static enum lmk_status check_segment_entry(struct verification *verification, const MDB_val *key,
                                           const MDB_val *value, const char **why,
                                           struct lmk_error *error)
{
    struct segment_record segment;
    (void)error;
    if (!segment_decode(value->mv_data, value->mv_size, &segment) ||
        strlen(segment.name) != key->mv_size ||
        memcmp(segment.name, key->mv_data, key->mv_size) != 0)
        *why = "it does not match its checksum";
    else if (segment.end_block > verification->stored.next_block)
        *why = "it claims blocks that do not exist";
    return LMK_OK;
}

static enum lmk_status check_tables(struct verification *verification, struct lmk_error *error)
{
    static const struct {
        enum store_table table;
        entry_check *check;
    } checks[] = {
        {TABLE_HASHES, check_hash_entry},
        {TABLE_FIRST_BLOCKS, check_first_block_entry},
        {TABLE_TEXTS, check_extent_owner},
        {TABLE_LANDMARKS, check_extent_owner},
        {TABLE_KEYS_VALUES, check_extent_owner},
        {TABLE_SOURCES, check_source_entry},
        {TABLE_DOCUMENT_SOURCES, check_document_source_entry},
        {TABLE_SEGMENTS, check_segment_entry},
    };
    enum lmk_status status = LMK_OK;
    for (size_t i = 0; i < sizeof checks / sizeof checks[0] && !status; i++)
        status = check_entries(verification, checks[i].table, checks[i].check, error);
    return status;
}

/* ---- the whole */

static void check_counts(struct verification *verification)
{
    struct store_counts *stored = &verification->stored, *counted = &verification->counted;
    counted->next_document = stored->next_document;
    counted->next_block = stored->next_block;
    counted->batches = stored->batches;
    if (memcmp(stored, counted, sizeof *stored) != 0)
        report(verification,
               "The counters do not fit the documents: %llu documents (%llu ready), %llu blocks "
               "(%llu ready) and %llu "
               "tokens are recorded, %llu (%llu), %llu (%llu) and %llu were found.",
               wide(stored->documents), wide(stored->documents_ready), wide(stored->blocks),
               wide(stored->blocks_ready), wide(stored->tokens), wide(counted->documents),
               wide(counted->documents_ready), wide(counted->blocks), wide(counted->blocks_ready),
               wide(counted->tokens));
}

static enum lmk_status check_meta(struct verification *verification, struct lmk_error *error)
{
    return absorb(verification, store_counts(verification->view, &verification->stored, error),
                  error);
}

static void page_problem(void *context, const char *sentence)
{
    report(context, "%s", sentence);
}

static enum lmk_status check_all(struct verification *verification, struct lmk_error *error)
{
    enum lmk_status status = store_file_check_pages(verification->view->store->directory,
                                                    page_problem, verification, error);
    if (status)
        return absorb(verification, status, error);
    verification->result->pages = verification->result->problems > 0;
    if (verification->result->pages)
        return LMK_OK; /* LMDB would follow the damaged pages */
    if ((status = check_meta(verification, error)) ||
        (status = check_documents(verification, error)) ||
        (status = check_tables(verification, error)))
        return status;
    check_counts(verification);
    return LMK_OK;
}

enum lmk_status store_verify(struct store_view *view,
                             void (*problem)(void *context, const char *sentence), void *context,
                             struct store_verification *result, struct lmk_error *error)
{
    struct verification verification = {
        .view = view, .problem = problem, .context = context, .result = result};
    struct lmk_error own;
    *result = (struct store_verification){0};
    buffer_init(&verification.tokens, (size_t)1 << 24);
    buffer_init(&verification.runs, (size_t)1 << 28);
    enum lmk_status status = check_all(&verification, error ? error : &own);
    buffer_release(&verification.tokens);
    buffer_release(&verification.runs);
    return status;
}
