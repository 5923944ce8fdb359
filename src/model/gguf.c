#include "src/model/gguf.h"

#include "src/base/mapped_file.h"
#include "src/model/rows.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum value_type {
    VALUE_U8,
    VALUE_I8,
    VALUE_U16,
    VALUE_I16,
    VALUE_U32,
    VALUE_I32,
    VALUE_F32,
    VALUE_BOOL,
    VALUE_STRING,
    VALUE_ARRAY,
    VALUE_U64,
    VALUE_I64,
    VALUE_F64,
    VALUE_TYPES
};

enum {
    DEFAULT_ALIGNMENT = 32,
    ARRAY_HEADER_BYTES = 12,
    LEAST_KEY_BYTES = 14,
    LEAST_TENSOR_BYTES = 33
};

/* One key; the value, `size` bytes as they lie in the file, was checked when the file was opened.
 */
struct key {
    struct gguf_string name;
    uint32_t type;
    uint32_t element_type;  /* arrays only */
    uint64_t element_count; /* arrays only */
    const unsigned char *value;
    size_t size;
};

struct gguf {
    char *path;
    struct mapped_file map;
    struct key *keys; /* in file order */
    struct key **keys_by_name;
    size_t key_count;
    struct gguf_tensor *tensors; /* in file order */
    struct gguf_tensor **tensors_by_name;
    size_t tensor_count;
    uint64_t alignment;
};

/* A place in the file while it is being checked. */
struct cursor {
    const struct gguf *file;
    size_t position;
    struct lmk_error *error;
};

/* A name from the file made fit for a message: cut to a readable length, odd bytes replaced. */
struct shown_name {
    char text[72];
};

static struct shown_name shown(struct gguf_string name)
{
    struct shown_name result;
    size_t room = sizeof result.text - 4, size = name.size < room ? name.size : room;
    for (size_t i = 0; i < size; i++)
        result.text[i] = name.text[i] < ' ' || name.text[i] > '~' ? '?' : name.text[i];
    strcpy(result.text + size, name.size > size ? "..." : "");
    return result;
}

static size_t remaining(const struct cursor *cursor)
{
    return cursor->file->map.size - cursor->position;
}

static enum lmk_status truncated(const struct cursor *cursor, const char *what)
{
    return error_set(cursor->error, LMK_MODEL,
                     "%s is cut short or damaged: %s at byte %zu reaches beyond the end of the "
                     "file (%zu bytes). "
                     "Fetch the model again.",
                     cursor->file->path, what, cursor->position, cursor->file->map.size);
}

static enum lmk_status take(struct cursor *cursor, void *value, size_t size, const char *what)
{
    if (remaining(cursor) < size)
        return truncated(cursor, what);
    memcpy(value, cursor->file->map.data + cursor->position, size);
    cursor->position += size;
    return LMK_OK;
}

static enum lmk_status take_string(struct cursor *cursor, struct gguf_string *string,
                                   const char *what)
{
    uint64_t size = 0;
    enum lmk_status status = take(cursor, &size, sizeof size, what);
    if (status)
        return status;
    if (size > remaining(cursor))
        return truncated(cursor, what);
    string->text = (const char *)cursor->file->map.data + cursor->position;
    string->size = (size_t)size;
    cursor->position += (size_t)size;
    return LMK_OK;
}

/* Bytes of a value of fixed size; 0 for strings, arrays and types that do not exist. */
static size_t scalar_bytes(uint32_t type)
{
    static const unsigned char bytes[VALUE_TYPES] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    return type < VALUE_TYPES ? bytes[type] : 0;
}

static enum lmk_status skip_strings(struct cursor *cursor, uint64_t count)
{
    if (count > remaining(cursor) / sizeof(uint64_t))
        return truncated(cursor, "an array of strings");
    for (uint64_t i = 0; i < count; i++) {
        struct gguf_string string;
        enum lmk_status status = take_string(cursor, &string, "a string of an array");
        if (status)
            return status;
    }
    return LMK_OK;
}

static enum lmk_status skip_array(struct cursor *cursor, struct key *key)
{
    enum lmk_status status =
        take(cursor, &key->element_type, sizeof key->element_type, "the type of an array");
    if (!status)
        status =
            take(cursor, &key->element_count, sizeof key->element_count, "the size of an array");
    if (status)
        return status;
    if (key->element_type == VALUE_STRING)
        return skip_strings(cursor, key->element_count);
    size_t bytes = scalar_bytes(key->element_type);
    if (!bytes)
        return error_set(
            cursor->error, LMK_MODEL,
            "%s: key %s holds an array of %s (type %u), which no landmark model needs. "
            "Export the model again without this key.",
            cursor->file->path, shown(key->name).text,
            key->element_type == VALUE_ARRAY ? "arrays" : "an unknown type", key->element_type);
    if (key->element_count > remaining(cursor) / bytes)
        return truncated(cursor, "an array");
    cursor->position += (size_t)key->element_count * bytes;
    return LMK_OK;
}

static enum lmk_status check_bools(const struct cursor *cursor, const struct key *key,
                                   const unsigned char *values, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        if (values[i] > 1)
            return error_set(
                cursor->error, LMK_MODEL,
                "%s is damaged: key %s holds %u where only 0 and 1 (false and true) are allowed. "
                "Fetch the model again.",
                cursor->file->path, shown(key->name).text, values[i]);
    return LMK_OK;
}

static enum lmk_status skip_value(struct cursor *cursor, struct key *key)
{
    if (key->type == VALUE_ARRAY) {
        enum lmk_status status = skip_array(cursor, key);
        if (status || key->element_type != VALUE_BOOL)
            return status;
        return check_bools(cursor, key, key->value + ARRAY_HEADER_BYTES, key->element_count);
    }
    if (key->type == VALUE_STRING) {
        struct gguf_string string;
        return take_string(cursor, &string, "a string");
    }
    size_t bytes = scalar_bytes(key->type);
    if (!bytes)
        return error_set(cursor->error, LMK_MODEL,
                         "%s: key %s has the unknown type %u. The file is damaged or of a newer "
                         "kind; fetch it again.",
                         cursor->file->path, shown(key->name).text, key->type);
    if (bytes > remaining(cursor))
        return truncated(cursor, "a value");
    cursor->position += bytes;
    return key->type == VALUE_BOOL ? check_bools(cursor, key, key->value, 1) : LMK_OK;
}

static enum lmk_status take_key(struct cursor *cursor, struct key *key)
{
    enum lmk_status status = take_string(cursor, &key->name, "the name of a key");
    if (!status && !key->name.size)
        status = error_set(cursor->error, LMK_MODEL,
                           "%s is damaged: the key before byte %zu has no name. "
                           "Fetch the model again.",
                           cursor->file->path, cursor->position);
    if (!status)
        status = take(cursor, &key->type, sizeof key->type, "the type of a key");
    if (status)
        return status;
    key->value = cursor->file->map.data + cursor->position;
    status = skip_value(cursor, key);
    key->size = (size_t)(cursor->file->map.data + cursor->position - key->value);
    return status;
}

static int compare_strings(struct gguf_string a, struct gguf_string b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common ? memcmp(a.text, b.text, common) : 0;
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

static int compare_keys(const void *a, const void *b)
{
    return compare_strings((*(struct key *const *)a)->name, (*(struct key *const *)b)->name);
}

static int compare_tensors(const void *a, const void *b)
{
    return compare_strings((*(struct gguf_tensor *const *)a)->name,
                           (*(struct gguf_tensor *const *)b)->name);
}

static enum lmk_status sort_keys(struct gguf *file, struct lmk_error *error)
{
    for (size_t i = 0; i < file->key_count; i++)
        file->keys_by_name[i] = &file->keys[i];
    qsort(file->keys_by_name, file->key_count, sizeof *file->keys_by_name, compare_keys);
    for (size_t i = 1; i < file->key_count; i++)
        if (compare_keys(&file->keys_by_name[i - 1], &file->keys_by_name[i]) == 0)
            return error_set(error, LMK_MODEL,
                             "%s: key %s is there twice. Export the model again with one of them.",
                             file->path, shown(file->keys_by_name[i]->name).text);
    return LMK_OK;
}

static enum lmk_status read_keys(struct gguf *file, struct cursor *cursor)
{
    for (size_t i = 0; i < file->key_count; i++) {
        enum lmk_status status = take_key(cursor, &file->keys[i]);
        if (status)
            return status;
    }
    return sort_keys(file, cursor->error);
}

static enum lmk_status read_alignment(struct gguf *file, struct lmk_error *error)
{
    uint32_t value = DEFAULT_ALIGNMENT;
    if (gguf_has(file, "general.alignment") && !gguf_u32(file, "general.alignment", &value))
        value = 0;
    if (value == 0 || (value & (value - 1)))
        return error_set(error, LMK_MODEL,
                         "%s: general.alignment must be a power of two. The file is damaged; fetch "
                         "the model again.",
                         file->path);
    file->alignment = value;
    return LMK_OK;
}

static bool known_type(uint32_t type)
{
    return type == TENSOR_F32 || type == TENSOR_F16 || type == TENSOR_BF16 || type == TENSOR_Q8_0 ||
           type == TENSOR_Q4_0;
}

/* The size in bytes of a tensor's data, or an error where it cannot be. */
static enum lmk_status measure_tensor(struct cursor *cursor, struct gguf_tensor *tensor)
{
    uint64_t count;
    const char *path = cursor->file->path;
    if (!tensor->rows || !tensor->columns ||
        __builtin_mul_overflow(tensor->rows, tensor->columns, &count) ||
        count > SIZE_MAX / sizeof(float))
        return error_set(cursor->error, LMK_MODEL,
                         "%s: tensor %s has the impossible shape %llu x %llu. The file is damaged; "
                         "fetch it again.",
                         path, shown(tensor->name).text, (unsigned long long)tensor->rows,
                         (unsigned long long)tensor->columns);
    if (!rows_fit(tensor->type, tensor->columns))
        return error_set(
            cursor->error, LMK_MODEL,
            "%s: tensor %s has rows of %llu values, which quantised blocks of 32 do not divide. "
            "Export it as F16 or F32.",
            path, shown(tensor->name).text, (unsigned long long)tensor->columns);
    tensor->size = rows_bytes(tensor->type, count);
    return LMK_OK;
}

static enum lmk_status take_shape(struct cursor *cursor, struct gguf_tensor *tensor)
{
    enum lmk_status status = take(cursor, &tensor->dimensions, sizeof tensor->dimensions,
                                  "the number of dimensions of a tensor");
    if (status)
        return status;
    if (tensor->dimensions < 1 || tensor->dimensions > 2)
        return error_set(cursor->error, LMK_MODEL,
                         "%s: tensor %s has %u dimensions; lmk reads vectors and matrices only. "
                         "Check that this is a landmark model.",
                         cursor->file->path, shown(tensor->name).text, tensor->dimensions);
    tensor->rows = 1;
    status = take(cursor, &tensor->columns, sizeof tensor->columns, "the shape of a tensor");
    if (!status && tensor->dimensions == 2)
        status = take(cursor, &tensor->rows, sizeof tensor->rows, "the shape of a tensor");
    return status;
}

/* `offset` is from the start of the data, which is not known before all tensors were read. */
static enum lmk_status take_tensor(struct cursor *cursor, struct gguf_tensor *tensor,
                                   uint64_t *offset)
{
    enum lmk_status status = take_string(cursor, &tensor->name, "the name of a tensor");
    if (!status && !tensor->name.size)
        status = error_set(cursor->error, LMK_MODEL,
                           "%s is damaged: the tensor before byte %zu has no name. "
                           "Fetch the model again.",
                           cursor->file->path, cursor->position);
    if (!status)
        status = take_shape(cursor, tensor);
    uint32_t type = 0;
    if (!status)
        status = take(cursor, &type, sizeof type, "the type of a tensor");
    if (!status)
        status = take(cursor, offset, sizeof *offset, "the offset of a tensor");
    if (status)
        return status;
    if (!known_type(type))
        return error_set(
            cursor->error, LMK_MODEL,
            "%s: tensor %s is of ggml type %u; lmk reads F32 (0), F16 (1), Q4_0 (2), Q8_0 (8) and "
            "BF16 (30). Convert the model to one of these.",
            cursor->file->path, shown(tensor->name).text, type);
    tensor->type = (enum tensor_type)type;
    return measure_tensor(cursor, tensor);
}

static enum lmk_status sort_tensors(struct gguf *file, struct lmk_error *error)
{
    for (size_t i = 0; i < file->tensor_count; i++)
        file->tensors_by_name[i] = &file->tensors[i];
    qsort(file->tensors_by_name, file->tensor_count, sizeof *file->tensors_by_name,
          compare_tensors);
    for (size_t i = 1; i < file->tensor_count; i++)
        if (compare_tensors(&file->tensors_by_name[i - 1], &file->tensors_by_name[i]) == 0)
            return error_set(
                error, LMK_MODEL,
                "%s: tensor %s is there twice. Export the model again with one of them.",
                file->path, shown(file->tensors_by_name[i]->name).text);
    return LMK_OK;
}

static int compare_places(const void *a, const void *b)
{
    const unsigned char *first = (*(struct gguf_tensor *const *)a)->data;
    const unsigned char *second = (*(struct gguf_tensor *const *)b)->data;
    return (first > second) - (first < second);
}

/* Uses tensors_by_name for the order of places, so it must be sorted by name afterwards. */
static enum lmk_status check_overlaps(struct gguf *file, struct lmk_error *error)
{
    struct gguf_tensor **order = file->tensors_by_name;
    for (size_t i = 0; i < file->tensor_count; i++)
        order[i] = &file->tensors[i];
    qsort(order, file->tensor_count, sizeof *order, compare_places);
    for (size_t i = 1; i < file->tensor_count; i++)
        if ((size_t)((const unsigned char *)order[i]->data -
                     (const unsigned char *)order[i - 1]->data) < order[i - 1]->size)
            return error_set(
                error, LMK_MODEL,
                "%s is damaged: the data of tensors %s and %s overlap. Fetch the model again.",
                file->path, shown(order[i - 1]->name).text, shown(order[i]->name).text);
    return LMK_OK;
}

static enum lmk_status place_tensor(struct gguf *file, struct gguf_tensor *tensor, uint64_t offset,
                                    size_t data_start, struct lmk_error *error)
{
    size_t room = file->map.size - data_start;
    if (offset % file->alignment)
        return error_set(error, LMK_MODEL,
                         "%s is damaged: tensor %s starts at offset %llu, which is no multiple of "
                         "the alignment %llu. "
                         "Fetch the model again.",
                         file->path, shown(tensor->name).text, (unsigned long long)offset,
                         (unsigned long long)file->alignment);
    if (offset > room || tensor->size > room - offset)
        return error_set(error, LMK_MODEL,
                         "%s is cut short or damaged: tensor %s needs %zu bytes from offset %llu "
                         "of the data, which "
                         "are %zu bytes. Fetch the model again.",
                         file->path, shown(tensor->name).text, tensor->size,
                         (unsigned long long)offset, room);
    tensor->data = file->map.data + data_start + offset;
    return LMK_OK;
}

static enum lmk_status place_tensors(struct gguf *file, const uint64_t *offsets,
                                     struct cursor *cursor)
{
    uint64_t misaligned = cursor->position % file->alignment;
    uint64_t padding = misaligned ? file->alignment - misaligned : 0;
    if (padding > remaining(cursor)) {
        if (file->tensor_count)
            return truncated(cursor, "the padding before the tensors' data");
        padding = 0;
    }
    size_t data_start = cursor->position + (size_t)padding;
    for (size_t i = 0; i < file->tensor_count; i++) {
        enum lmk_status status =
            place_tensor(file, &file->tensors[i], offsets[i], data_start, cursor->error);
        if (status)
            return status;
    }
    enum lmk_status status = check_overlaps(file, cursor->error);
    return status ? status : sort_tensors(file, cursor->error);
}

static enum lmk_status read_tensors(struct gguf *file, struct cursor *cursor)
{
    uint64_t *offsets = calloc(file->tensor_count + 1, sizeof *offsets);
    if (!offsets)
        return error_memory(cursor->error, (file->tensor_count + 1) * sizeof *offsets);
    enum lmk_status status = LMK_OK;
    for (size_t i = 0; i < file->tensor_count && !status; i++)
        status = take_tensor(cursor, &file->tensors[i], &offsets[i]);
    if (!status)
        status = place_tensors(file, offsets, cursor);
    free(offsets);
    return status;
}

static enum lmk_status check_start(const struct cursor *cursor, const char magic[4],
                                   uint32_t version)
{
    if (memcmp(magic, "GGUF", 4))
        return error_set(cursor->error, LMK_MODEL,
                         "%s is not a GGUF file: it does not begin with \"GGUF\". Name a landmark "
                         "model with --model.",
                         cursor->file->path);
    if (version == 3)
        return LMK_OK;
    if (__builtin_bswap32(version) == 3)
        return error_set(
            cursor->error, LMK_MODEL,
            "%s is a big-endian GGUF file; lmk reads little-endian ones. Convert it first.",
            cursor->file->path);
    return error_set(cursor->error, LMK_MODEL,
                     "%s is a GGUF file of version %u; lmk reads version 3. Convert it first.",
                     cursor->file->path, version);
}

static enum lmk_status read_header(struct gguf *file, struct cursor *cursor)
{
    char magic[4] = "";
    uint32_t version = 0;
    uint64_t tensor_count = 0, key_count = 0;
    enum lmk_status status = take(cursor, magic, sizeof magic, "the header");
    if (!status)
        status = take(cursor, &version, sizeof version, "the header");
    if (!status)
        status = check_start(cursor, magic, version);
    if (!status)
        status = take(cursor, &tensor_count, sizeof tensor_count, "the header");
    if (!status)
        status = take(cursor, &key_count, sizeof key_count, "the header");
    if (status)
        return status;
    size_t rest = remaining(cursor);
    if (key_count > rest / LEAST_KEY_BYTES ||
        tensor_count > (rest - key_count * LEAST_KEY_BYTES) / LEAST_TENSOR_BYTES)
        return error_set(cursor->error, LMK_MODEL,
                         "%s is cut short or damaged: its %zu bytes cannot hold the %llu keys and "
                         "%llu tensors that it "
                         "announces. Fetch the model again.",
                         file->path, file->map.size, (unsigned long long)key_count,
                         (unsigned long long)tensor_count);
    file->key_count = (size_t)key_count;
    file->tensor_count = (size_t)tensor_count;
    return LMK_OK;
}

static enum lmk_status allocate(struct gguf *file, struct lmk_error *error)
{
    file->keys = calloc(file->key_count + 1, sizeof *file->keys);
    file->keys_by_name = calloc(file->key_count + 1, sizeof *file->keys_by_name);
    file->tensors = calloc(file->tensor_count + 1, sizeof *file->tensors);
    file->tensors_by_name = calloc(file->tensor_count + 1, sizeof *file->tensors_by_name);
    if (file->keys && file->keys_by_name && file->tensors && file->tensors_by_name)
        return LMK_OK;
    return error_memory(error, file->key_count * sizeof *file->keys +
                                   file->tensor_count * sizeof *file->tensors);
}

/* A path that leads to no file is the wrong model; a file that may not be read is the system's
 * refusal, and mapped_file_open says so. */
static enum lmk_status check_is_file(const char *path, struct lmk_error *error)
{
    struct stat information;
    if (stat(path, &information))
        return errno == ENOENT || errno == ENOTDIR
                   ? error_set(error, LMK_MODEL,
                               "There is no model %s. Name one with --model or LMK_MODEL.", path)
                   : error_system(error, "Cannot open the model %s", path);
    if (S_ISREG(information.st_mode))
        return LMK_OK;
    return error_set(error, LMK_MODEL, "%s is %s. Name a GGUF file with --model or LMK_MODEL.",
                     path,
                     S_ISDIR(information.st_mode) ? "a folder, not a model" : "not a regular file");
}

static enum lmk_status read_file(struct gguf *file, struct lmk_error *error)
{
    struct cursor cursor = {file, 0, error};
    enum lmk_status status = check_is_file(file->path, error);
    if (!status)
        status = mapped_file_open(&file->map, file->path, error);
    if (!status)
        status = read_header(file, &cursor);
    if (!status)
        status = allocate(file, error);
    if (!status)
        status = read_keys(file, &cursor);
    if (!status)
        status = read_alignment(file, error);
    if (!status)
        status = read_tensors(file, &cursor);
    return status;
}

enum lmk_status gguf_open(struct gguf **file, const char *path, struct lmk_error *error)
{
    *file = NULL;
    struct gguf *opened = calloc(1, sizeof *opened);
    if (!opened)
        return error_memory(error, sizeof *opened);
    opened->path = strdup(path);
    enum lmk_status status =
        opened->path ? read_file(opened, error) : error_memory(error, strlen(path) + 1);
    if (status) {
        gguf_close(opened);
        return status;
    }
    *file = opened;
    return LMK_OK;
}

void gguf_close(struct gguf *file)
{
    if (!file)
        return;
    mapped_file_close(&file->map);
    free(file->keys);
    free(file->keys_by_name);
    free(file->tensors);
    free(file->tensors_by_name);
    free(file->path);
    free(file);
}

const char *gguf_path(const struct gguf *file)
{
    return file->path;
}

static const struct key *find_key(const struct gguf *file, const char *name)
{
    struct key wanted = {.name = {name, strlen(name)}}, *pointer = &wanted;
    struct key **found = bsearch(&pointer, file->keys_by_name, file->key_count,
                                 sizeof *file->keys_by_name, compare_keys);
    return found ? *found : NULL;
}

bool gguf_has(const struct gguf *file, const char *key)
{
    return find_key(file, key);
}

/* Any integer that is not negative and fits into 32 bits. */
static bool read_u32(uint32_t type, const unsigned char *value, uint32_t *result)
{
    static const bool is_signed[VALUE_TYPES] = {
        [VALUE_I8] = true, [VALUE_I16] = true, [VALUE_I32] = true, [VALUE_I64] = true};
    size_t bytes = scalar_bytes(type);
    if (!bytes || type == VALUE_F32 || type == VALUE_F64 || type == VALUE_BOOL)
        return false;
    uint64_t wide = 0;
    memcpy(&wide, value, bytes);
    if (wide > UINT32_MAX || (is_signed[type] && wide >> (8 * bytes - 1)))
        return false;
    *result = (uint32_t)wide;
    return true;
}

static bool read_f32(uint32_t type, const unsigned char *value, float *result)
{
    double wide;
    if (type == VALUE_F32)
        memcpy(result, value, sizeof *result);
    else if (type == VALUE_F64) {
        memcpy(&wide, value, sizeof wide);
        *result = (float)wide;
    } else
        return false;
    return true;
}

bool gguf_u32(const struct gguf *file, const char *key, uint32_t *value)
{
    const struct key *found = find_key(file, key);
    return found && read_u32(found->type, found->value, value);
}

bool gguf_f32(const struct gguf *file, const char *key, float *value)
{
    const struct key *found = find_key(file, key);
    return found && read_f32(found->type, found->value, value);
}

bool gguf_bool(const struct gguf *file, const char *key, bool *value)
{
    const struct key *found = find_key(file, key);
    if (!found || found->type != VALUE_BOOL)
        return false;
    *value = found->value[0];
    return true;
}

bool gguf_string(const struct gguf *file, const char *key, struct gguf_string *value)
{
    const struct key *found = find_key(file, key);
    if (!found || found->type != VALUE_STRING)
        return false;
    *value = (struct gguf_string){(const char *)found->value + sizeof(uint64_t),
                                  found->size - sizeof(uint64_t)};
    return true;
}

static const struct key *find_array(const struct gguf *file, const char *name)
{
    const struct key *found = find_key(file, name);
    return found && found->type == VALUE_ARRAY ? found : NULL;
}

bool gguf_array(const struct gguf *file, const char *key, size_t *count)
{
    const struct key *found = find_array(file, key);
    if (found)
        *count = (size_t)found->element_count;
    return found;
}

/* Where element `index` of an array of numbers lies, or NULL. */
static const unsigned char *array_element(const struct key *array, size_t index)
{
    if (!array || index >= array->element_count || array->element_type == VALUE_STRING)
        return NULL;
    return array->value + ARRAY_HEADER_BYTES + index * scalar_bytes(array->element_type);
}

bool gguf_array_u32(const struct gguf *file, const char *key, size_t index, uint32_t *value)
{
    const struct key *found = find_array(file, key);
    const unsigned char *element = array_element(found, index);
    return element && read_u32(found->element_type, element, value);
}

bool gguf_array_f32(const struct gguf *file, const char *key, size_t index, float *value)
{
    const struct key *found = find_array(file, key);
    const unsigned char *element = array_element(found, index);
    return element && read_f32(found->element_type, element, value);
}

bool gguf_array_strings(const struct gguf *file, const char *key, struct gguf_string *strings,
                        size_t count)
{
    const struct key *found = find_array(file, key);
    if (!found || found->element_type != VALUE_STRING || found->element_count != count)
        return false;
    const unsigned char *position = found->value + ARRAY_HEADER_BYTES;
    for (size_t i = 0; i < count; i++) {
        uint64_t size;
        memcpy(&size, position, sizeof size);
        strings[i] = (struct gguf_string){(const char *)position + sizeof size, (size_t)size};
        position += sizeof size + (size_t)size;
    }
    return true;
}

size_t gguf_tensor_count(const struct gguf *file)
{
    return file->tensor_count;
}

const struct gguf_tensor *gguf_tensor_at(const struct gguf *file, size_t index)
{
    return index < file->tensor_count ? &file->tensors[index] : NULL;
}

const struct gguf_tensor *gguf_tensor(const struct gguf *file, const char *name)
{
    struct gguf_tensor wanted = {.name = {name, strlen(name)}}, *pointer = &wanted;
    struct gguf_tensor **found = bsearch(&pointer, file->tensors_by_name, file->tensor_count,
                                         sizeof *file->tensors_by_name, compare_tensors);
    return found ? *found : NULL;
}

void gguf_visit_keys(const struct gguf *file,
                     void (*visit)(void *context, struct gguf_string key, uint32_t type,
                                   const void *value, size_t size),
                     void *context)
{
    for (size_t i = 0; i < file->key_count; i++)
        visit(context, file->keys[i].name, file->keys[i].type, file->keys[i].value,
              file->keys[i].size);
}
