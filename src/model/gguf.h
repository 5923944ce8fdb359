/* GGUF version 3 files, read through a memory map and checked before use.
 *
 *   "GGUF" | u32 version | u64 tensor count | u64 key count
 *   keys:    string key | u32 type | value;  string = u64 length, bytes;  array = u32 element type,
 * u64 count, elements tensors: string name | u32 dimensions | u64 size of each, fastest first | u32
 * type | u64 offset padding to general.alignment (32), then the tensors' data
 */
#ifndef MODEL_GGUF_H
#define MODEL_GGUF_H

#include "src/base/error.h"

enum tensor_type {
    TENSOR_F32 = 0,
    TENSOR_F16 = 1,
    TENSOR_Q4_0 = 2,
    TENSOR_Q8_0 = 8,
    TENSOR_BF16 = 30
};

/* A string inside the map: not NUL-terminated. */
struct gguf_string {
    const char *text;
    size_t size;
};

struct gguf_tensor {
    struct gguf_string name;
    enum tensor_type type;
    uint32_t dimensions;    /* 1 or 2 */
    uint64_t rows, columns; /* columns is the fastest dimension; rows is 1 for vectors */
    const void *data;       /* in the map */
    size_t size;            /* bytes */
};

struct gguf;

/* Errors: LMK_MODEL with what is wrong and where (no file there, too), LMK_IO, LMK_MEMORY. */
enum lmk_status gguf_open(struct gguf **file, const char *path, struct lmk_error *error);
void gguf_close(struct gguf *file);
const char *gguf_path(const struct gguf *file);

bool gguf_has(const struct gguf *file, const char *key);

/* Values by key; false if the key is missing or of another type. Integers of any width are accepted
 * where they fit. */
bool gguf_u32(const struct gguf *file, const char *key, uint32_t *value);
bool gguf_f32(const struct gguf *file, const char *key, float *value);
bool gguf_bool(const struct gguf *file, const char *key, bool *value);
bool gguf_string(const struct gguf *file, const char *key, struct gguf_string *value);

/* Arrays: the count, or false. */
bool gguf_array(const struct gguf *file, const char *key, size_t *count);
bool gguf_array_u32(const struct gguf *file, const char *key, size_t index, uint32_t *value);
bool gguf_array_f32(const struct gguf *file, const char *key, size_t index, float *value);
/* All strings of an array, in the caller's array [count]. */
bool gguf_array_strings(const struct gguf *file, const char *key, struct gguf_string *strings,
                        size_t count);

size_t gguf_tensor_count(const struct gguf *file);
const struct gguf_tensor *gguf_tensor_at(const struct gguf *file, size_t index);
const struct gguf_tensor *gguf_tensor(const struct gguf *file, const char *name); /* NULL: none */

/* Feeds `visit` every key with its type and raw value bytes, in file order: for the fingerprint. */
void gguf_visit_keys(const struct gguf *file,
                     void (*visit)(void *context, struct gguf_string key, uint32_t type,
                                   const void *value, size_t size),
                     void *context);

#endif
