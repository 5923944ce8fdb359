/* A file with every type of value is read back; files with flaws are refused with a sentence that
 * names the file and the place; no cut and no flipped byte may do more than that. */
#include "src/model/gguf.h"
#include "tests/unit/gguf_image.h"
#include "tests/unit/random_model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 };

static void start(struct gguf_image *image, uint64_t tensors, uint64_t keys)
{
    image_append(image, "GGUF", 4);
    image_u32(image, 3);
    image_u64(image, tensors);
    image_u64(image, keys);
}

static void add_key(struct gguf_image *image, const char *name, uint32_t type, const void *value,
                    size_t size)
{
    image_string(image, name);
    image_u32(image, type);
    image_append(image, value, size);
}

static void add_array(struct gguf_image *image, const char *name, uint32_t type, uint64_t count,
                      const void *values, size_t size)
{
    image_string(image, name);
    image_u32(image, ARRAY);
    image_u32(image, type);
    image_u64(image, count);
    image_append(image, values, size);
}

static void add_tensor(struct gguf_image *image, const char *name, uint64_t columns, uint64_t rows,
                       uint32_t type, uint64_t offset)
{
    image_string(image, name);
    image_u32(image, rows ? 2 : 1);
    image_u64(image, columns);
    if (rows)
        image_u64(image, rows);
    image_u32(image, type);
    image_u64(image, offset);
}

static void pad(struct gguf_image *image, size_t alignment)
{
    while (image->size % alignment)
        image_append(image, "", 1);
}

static const float vector_data[5] = {1, -2, 3.5f, 4, 5};

/* 15 keys; a vector of 5 float32, and from offset 64 a matrix 2 x 32 in q8_0. */
static struct gguf_image good_image(void)
{
    struct gguf_image image = {0};
    unsigned char quantised[68];
    start(&image, 2, 15);
    add_key(&image, "u8", U8, &(uint8_t){200}, 1);
    add_key(&image, "i8", I8, &(int8_t){-5}, 1);
    add_key(&image, "u16", U16, &(uint16_t){60000}, 2);
    add_key(&image, "i16", I16, &(int16_t){1234}, 2);
    add_key(&image, "general.alignment", U32, &(uint32_t){64}, 4);
    add_key(&image, "i32", I32, &(int32_t){70000}, 4);
    add_key(&image, "f32", F32, &(float){1.5f}, 4);
    add_key(&image, "yes", BOOL, &(uint8_t){1}, 1);
    image_string(&image, "text");
    image_u32(&image, STRING);
    image_string(&image, "some words");
    add_key(&image, "u64", U64, &(uint64_t){4000000000u}, 8);
    add_key(&image, "large", U64, &(uint64_t){5000000000u}, 8);
    add_key(&image, "f64", F64, &(double){0.25}, 8);
    add_array(&image, "numbers", U16, 3, (uint16_t[]){7, 8, 9}, 6);
    add_array(&image, "reals", F32, 2, (float[]){0.5f, -1}, 8);
    add_array(&image, "words", STRING, 2, "", 0);
    image_string(&image, "one");
    image_string(&image, "");
    add_tensor(&image, "vector", 5, 0, TENSOR_F32, 0);
    add_tensor(&image, "matrix", 32, 2, TENSOR_Q8_0, 64);
    pad(&image, 64);
    image_append(&image, vector_data, sizeof vector_data);
    pad(&image, 64);
    memset(quantised, 3, sizeof quantised);
    image_append(&image, quantised, sizeof quantised);
    return image;
}

static enum lmk_status open_image(struct gguf **file, const struct gguf_image *image,
                                  struct lmk_error *error)
{
    struct published_image published = image_publish(image);
    enum lmk_status status = gguf_open(file, published.path, error);
    if (status && error)
        assert_non_null(strstr(error->message, published.path));
    image_unpublish(&published);
    return status;
}

static void check_numbers(const struct gguf *file)
{
    uint32_t number;
    float real;
    assert_true(gguf_u32(file, "u8", &number) && number == 200);
    assert_true(gguf_u32(file, "u16", &number) && number == 60000);
    assert_true(gguf_u32(file, "i16", &number) && number == 1234);
    assert_true(gguf_u32(file, "i32", &number) && number == 70000);
    assert_true(gguf_u32(file, "u64", &number) && number == 4000000000u);
    assert_false(gguf_u32(file, "i8", &number)); /* negative */
    assert_false(gguf_u32(file, "large", &number));
    assert_false(gguf_u32(file, "f32", &number));
    assert_false(gguf_u32(file, "yes", &number));
    assert_false(gguf_u32(file, "none", &number));
    assert_true(gguf_f32(file, "f32", &real) && real == 1.5f);
    assert_true(gguf_f32(file, "f64", &real) && real == 0.25f);
    assert_false(gguf_f32(file, "u8", &real));
}

static void check_others(const struct gguf *file)
{
    bool yes = false;
    size_t count;
    uint32_t number;
    float real;
    struct gguf_string text, words[2];
    assert_true(gguf_bool(file, "yes", &yes) && yes);
    assert_false(gguf_bool(file, "u8", &yes));
    assert_true(gguf_string(file, "text", &text) && text.size == 10 &&
                !memcmp(text.text, "some words", 10));
    assert_false(gguf_string(file, "words", &text));
    assert_true(gguf_has(file, "text") && !gguf_has(file, "tex") && !gguf_has(file, "texts"));
    assert_true(gguf_array(file, "numbers", &count) && count == 3);
    assert_true(gguf_array_u32(file, "numbers", 2, &number) && number == 9);
    assert_false(gguf_array_u32(file, "numbers", 3, &number));
    assert_false(gguf_array_u32(file, "words", 0, &number));
    assert_true(gguf_array_f32(file, "reals", 1, &real) && real == -1);
    assert_false(gguf_array_strings(file, "words", words, 1));
    assert_true(gguf_array_strings(file, "words", words, 2));
    assert_true(words[0].size == 3 && !memcmp(words[0].text, "one", 3) && words[1].size == 0);
}

static void check_tensors(const struct gguf *file)
{
    const struct gguf_tensor *vector = gguf_tensor(file, "vector"),
                             *matrix = gguf_tensor(file, "matrix");
    assert_int_equal(gguf_tensor_count(file), 2);
    assert_ptr_equal(gguf_tensor_at(file, 1), matrix);
    assert_null(gguf_tensor(file, "other"));
    assert_int_equal(vector->columns, 5);
    assert_int_equal(vector->rows, 1);
    assert_memory_equal(vector->data, vector_data, sizeof vector_data);
    assert_true(matrix->rows == 2 && matrix->columns == 32 && matrix->size == 68);
    assert_int_equal(*(const unsigned char *)matrix->data, 3);
}

static void test_everything_is_read(void **state)
{
    (void)state;
    struct gguf_image image = good_image();
    struct gguf *file;
    struct lmk_error error;
    if (open_image(&file, &image, &error))
        fail_msg("%s", error.message);
    check_numbers(file);
    check_others(file);
    check_tensors(file);
    gguf_close(file);
    image_release(&image);
}

struct visits {
    size_t count, bytes;
    bool found_text;
};

static void visit(void *context, struct gguf_string key, uint32_t type, const void *value,
                  size_t size)
{
    struct visits *visits = context;
    visits->count++;
    visits->bytes += size;
    if (key.size == 4 && !memcmp(key.text, "text", 4))
        visits->found_text =
            type == STRING && size == 18 && !memcmp((const char *)value + 8, "some words", 10);
}

static void test_keys_are_visited(void **state)
{
    (void)state;
    struct gguf_image image = good_image();
    struct gguf *file;
    struct visits visits = {0};
    assert_int_equal(open_image(&file, &image, NULL), LMK_OK);
    gguf_visit_keys(file, visit, &visits);
    assert_int_equal(visits.count, 15);
    assert_int_equal(visits.bytes, 1 + 1 + 2 + 2 + 4 + 4 + 4 + 1 + 18 + 8 + 8 + 8 + 18 + 20 + 31);
    assert_true(visits.found_text);
    gguf_close(file);
    image_release(&image);
}

static void test_every_cut_is_refused(void **state)
{
    (void)state;
    struct gguf_image image = good_image();
    size_t size = image.size;
    for (image.size = 0; image.size < size; image.size++) {
        struct gguf *file;
        struct lmk_error error;
        assert_int_equal(open_image(&file, &image, &error), LMK_MODEL);
        assert_null(file);
    }
    image_release(&image);
}

static void use_everything(const struct gguf *file)
{
    struct visits visits = {0};
    volatile unsigned sum = 0;
    struct gguf_string words[8];
    size_t count;
    gguf_visit_keys(file, visit, &visits);
    if (gguf_array(file, "words", &count) && count <= 8 &&
        gguf_array_strings(file, "words", words, count))
        for (size_t i = 0; i < count; i++)
            for (size_t j = 0; j < words[i].size; j++)
                sum += (unsigned char)words[i].text[j];
    for (size_t i = 0; i < gguf_tensor_count(file); i++)
        for (size_t j = 0; j < gguf_tensor_at(file, i)->size; j++)
            sum += ((const unsigned char *)gguf_tensor_at(file, i)->data)[j];
}

/* One to three bytes changed at random: refused, or read without touching anything outside the
 * file. */
static void test_flipped_bytes(void **state)
{
    (void)state;
    struct gguf_image image = good_image();
    struct random_source source = {77};
    for (int round = 0; round < 20000; round++) {
        struct gguf_image damaged = {0};
        struct gguf *file;
        struct lmk_error error;
        image_append(&damaged, image.bytes, image.size);
        for (uint32_t flips = 1 + random_below(&source, 3); flips > 0; flips--)
            damaged.bytes[random_below(&source, (uint32_t)image.size)] ^=
                (unsigned char)(1 + random_below(&source, 255));
        enum lmk_status status = open_image(&file, &damaged, &error);
        assert_true(status == LMK_OK || status == LMK_MODEL);
        if (!status)
            use_everything(file);
        gguf_close(file);
        image_release(&damaged);
    }
    image_release(&image);
}

static void refuse(struct gguf_image *image, const char *expected)
{
    struct gguf *file;
    struct lmk_error error = {LMK_OK, ""};
    assert_int_equal(open_image(&file, image, &error), LMK_MODEL);
    if (!strstr(error.message, expected))
        fail_msg("\"%s\" does not speak of \"%s\"", error.message, expected);
    image_release(image);
}

/* A good file with the bytes at `offset` (behind a name, where one is given) replaced. */
static void refuse_patched(const char *name, size_t offset, const void *bytes, size_t size,
                           const char *expected)
{
    struct gguf_image image = good_image();
    memcpy((name ? image_after_name(&image, name) : image.bytes) + offset, bytes, size);
    refuse(&image, expected);
}

static void refuse_patched_u64(const char *name, size_t offset, uint64_t value,
                               const char *expected)
{
    refuse_patched(name, offset, &value, sizeof value, expected);
}

static void test_flaws_of_the_header(void **state)
{
    (void)state;
    refuse_patched(NULL, 0, "GGML", 4, "not a GGUF file");
    refuse_patched(NULL, 4, &(uint32_t){2}, 4, "version 2");
    refuse_patched(NULL, 4, &(uint32_t){0x03000000}, 4, "big-endian");
    refuse_patched_u64(NULL, 8, UINT64_MAX, "announces");
    refuse_patched_u64(NULL, 16, UINT64_MAX / 2, "announces");
    refuse_patched_u64(NULL, 16, 16, "damaged");
    refuse_patched_u64(NULL, 24, UINT64_MAX - 7, "the name of a key");
    refuse_patched_u64(NULL, 24, 0, "has no name");
}

static void test_flaws_of_keys(void **state)
{
    (void)state;
    refuse_patched("u16", 0, &(uint32_t){13}, 4, "key u16 has the unknown type 13");
    refuse_patched("yes", 4, &(uint8_t){2}, 1, "key yes holds 2");
    refuse_patched_u64("text", 4, UINT64_MAX, "a string");
    refuse_patched("numbers", 4, &(uint32_t){ARRAY}, 4, "key numbers holds an array of arrays");
    refuse_patched("numbers", 4, &(uint32_t){99}, 4, "unknown type");
    refuse_patched_u64("numbers", 8, UINT64_MAX / 2 + 2, "an array");
    refuse_patched_u64("words", 8, UINT64_MAX / 8, "an array of strings");
    refuse_patched("general.alignment", 4, &(uint32_t){48}, 4, "general.alignment");
    refuse_patched("general.alignment", 4, &(uint32_t){0}, 4, "general.alignment");
    refuse_patched("general.alignment", 0, &(uint32_t){F32}, 4, "general.alignment");
}

static void test_flaws_of_tensors(void **state)
{
    (void)state;
    refuse_patched("vector", 0, &(uint32_t){0}, 4, "tensor vector has 0 dimensions");
    refuse_patched("matrix", 0, &(uint32_t){3}, 4, "tensor matrix has 3 dimensions");
    refuse_patched_u64("matrix", 4, 0, "impossible shape");
    refuse_patched_u64("matrix", 12, UINT64_MAX / 4, "impossible shape");
    refuse_patched_u64("matrix", 4, 33, "tensor matrix has rows of 33 values");
    refuse_patched_u64("matrix", 12, 1 << 20, "tensor matrix needs");
    refuse_patched("matrix", 20, &(uint32_t){12}, 4, "tensor matrix is of ggml type 12");
    refuse_patched_u64("matrix", 24, 65, "no multiple of the alignment");
    refuse_patched_u64("matrix", 24, 1 << 20, "tensor matrix needs");
    refuse_patched_u64("matrix", 24, UINT64_MAX - 63, "tensor matrix needs");
    refuse_patched_u64("matrix", 24, 0, "overlap");
}

static void test_doubles(void **state)
{
    (void)state;
    struct gguf_image keys = {0}, tensors = {0};
    start(&keys, 0, 2);
    add_key(&keys, "twice", U8, "a", 1);
    add_key(&keys, "twice", U8, "b", 1);
    refuse(&keys, "key twice is there twice");
    start(&tensors, 2, 0);
    add_tensor(&tensors, "twin", 8, 0, TENSOR_F32, 0);
    add_tensor(&tensors, "twin", 8, 0, TENSOR_F32, 32);
    pad(&tensors, 32);
    image_append(&tensors, (char[64]){0}, 64);
    refuse(&tensors, "tensor twin is there twice");
}

static void test_files_that_cannot_be_read(void **state)
{
    (void)state;
    struct gguf *file;
    struct lmk_error error;
    assert_int_equal(gguf_open(&file, "tests/no-such-file.gguf", &error), LMK_MODEL);
    assert_non_null(strstr(error.message, "no model tests/no-such-file.gguf"));
    assert_int_equal(gguf_open(&file, "Makefile/model.gguf", &error), LMK_MODEL);
    assert_int_equal(gguf_open(&file, "tests", &error), LMK_MODEL);
    assert_non_null(strstr(error.message, "tests is a folder"));
    assert_int_equal(gguf_open(&file, "/dev/null", &error), LMK_MODEL);
    gguf_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything_is_read),        cmocka_unit_test(test_keys_are_visited),
        cmocka_unit_test(test_every_cut_is_refused),      cmocka_unit_test(test_flipped_bytes),
        cmocka_unit_test(test_flaws_of_the_header),       cmocka_unit_test(test_flaws_of_keys),
        cmocka_unit_test(test_flaws_of_tensors),          cmocka_unit_test(test_doubles),
        cmocka_unit_test(test_files_that_cannot_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
