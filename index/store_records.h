/* Records as the store keeps them: little-endian fields behind one another, an XXH3-64 of all of
 * them at the end. FORMAT.md lists the fields of each. A record begins with its own key, so that
 * one in the wrong place is found out. Decoding trusts nothing: every length is checked against
 * what remains, strings must end in NUL and hold none, and fields behind the known ones (of a later
 * version) are skipped. No LMDB in here.
 */
#ifndef INDEX_STORE_RECORDS_H
#define INDEX_STORE_RECORDS_H

#include "index/store.h"

/* ---- writing: errors stick, and record_finish reports the first */

struct record_writer {
    struct buffer bytes;
    enum lmk_status status;
    struct lmk_error *error;
};
void record_init(struct record_writer *writer, struct lmk_error *error);
void record_release(struct record_writer *writer);
void record_u32(struct record_writer *writer, uint32_t value);
void record_u64(struct record_writer *writer, uint64_t value);
void record_bytes(struct record_writer *writer, const void *data, size_t size);
void record_string(struct record_writer *writer,
                   const char *text); /* u32 length, bytes, NUL; NULL is "" */
void record_varint(struct record_writer *writer, uint64_t value);
/* Appends the checksum; the record is then writer->bytes. */
enum lmk_status record_finish(struct record_writer *writer);

/* ---- reading: a reader that ran over its end gives zeros and is `bad` from then on */

struct record_reader {
    const unsigned char *at;
    size_t left;
    bool bad;
};
/* False if the record is too short or its checksum does not match. */
bool record_open(struct record_reader *reader, const void *data, size_t size);
/* The same without a checksum, for bytes whose checksum was checked before. */
struct record_reader record_over(const void *data, size_t size);
uint32_t record_read_u32(struct record_reader *reader);
uint64_t record_read_u64(struct record_reader *reader);
uint64_t record_read_varint(struct record_reader *reader);
const unsigned char *record_read_bytes(struct record_reader *reader,
                                       size_t size);          /* NULL when bad */
const char *record_read_string(struct record_reader *reader); /* "" when bad */

/* Fixed-width numbers at any address. */
uint32_t load_u32(const void *at);
uint64_t load_u64(const void *at);
void write_u32(void *at, uint32_t value);
void write_u64(void *at, uint64_t value);

/* ---- the records; encoders leave the whole record in writer->bytes, decoders return false on any
 * damage */

enum lmk_status format_encode(struct record_writer *writer);
/* Recognises a store of any version. */
bool format_decode(const void *data, size_t size, uint32_t *version);

enum lmk_status settings_encode(const struct store_settings *settings,
                                struct record_writer *writer);
bool settings_decode(const void *data, size_t size, struct store_settings *settings);

enum lmk_status counts_encode(const struct store_counts *counts, struct record_writer *writer);
bool counts_decode(const void *data, size_t size, struct store_counts *counts);

/* `batch` is the number of the batch that wrote the record last. */
enum lmk_status document_encode(const struct document *document, uint64_t batch,
                                struct record_writer *writer);
bool document_decode(const void *data, size_t size, uint64_t id, struct document *document);

enum lmk_status source_encode(const char *path, const struct source_record *source,
                              struct record_writer *writer);
/* `path` may be NULL; it points into the record. */
bool source_decode(const void *data, size_t size, const unsigned char key[HASH128_BYTES],
                   const char **path, struct source_record *source);

enum lmk_status segment_encode(const struct segment_record *segment, struct record_writer *writer);
bool segment_decode(const void *data, size_t size, struct segment_record *segment);

/* Index entries: any key -> document id. */
enum lmk_status entry_encode(const void *key, size_t key_size, uint64_t document,
                             struct record_writer *writer);
bool entry_decode(const void *data, size_t size, const void *key, size_t key_size,
                  uint64_t *document);

#endif
