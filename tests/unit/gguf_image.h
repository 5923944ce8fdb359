/* GGUF files made in memory, well-formed or not, for the tests of what reads them. */
#ifndef TESTS_UNIT_GGUF_IMAGE_H
#define TESTS_UNIT_GGUF_IMAGE_H

#include <stddef.h>
#include <stdint.h>

struct gguf_image {
    unsigned char *bytes; /* owned */
    size_t size;
};

void image_append(struct gguf_image *image, const void *data, size_t size);
void image_u32(struct gguf_image *image, uint32_t value);
void image_u64(struct gguf_image *image, uint64_t value);
void image_string(struct gguf_image *image, const char *text);
void image_read(struct gguf_image *image, const char *path);
void image_release(struct gguf_image *image);

/* Adds `count` keys, given as a file has them, to a complete image. Another key fills up what keeps
 * the tensors aligned. */
void image_add_keys(struct gguf_image *image, const struct gguf_image *keys, uint64_t count);
/* A key with a float, or with an array of them, for image_add_keys. */
void image_float(struct gguf_image *keys, const char *name, float value);
void image_floats(struct gguf_image *keys, const char *name, const float *values, uint64_t count);

/* The place behind the only spot where the key's name stands, length included: that of its type. */
unsigned char *image_after_name(const struct gguf_image *image, const char *name);

/* A name under which the image can be opened as a file, until image_unpublish. */
struct published_image {
    char path[64];
    int descriptor;
};
struct published_image image_publish(const struct gguf_image *image);
void image_unpublish(struct published_image *published);

#endif
