#include "tests/unit/gguf_image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void require(int condition)
{
    if (!condition)
        abort();
}

void image_append(struct gguf_image *image, const void *data, size_t size)
{
    image->bytes = realloc(image->bytes, image->size + size + 1);
    require(image->bytes != NULL);
    memcpy(image->bytes + image->size, data, size);
    image->size += size;
}

void image_u32(struct gguf_image *image, uint32_t value)
{
    image_append(image, &value, sizeof value);
}

void image_u64(struct gguf_image *image, uint64_t value)
{
    image_append(image, &value, sizeof value);
}

void image_string(struct gguf_image *image, const char *text)
{
    image_u64(image, strlen(text));
    image_append(image, text, strlen(text));
}

void image_read(struct gguf_image *image, const char *path)
{
    FILE *file = fopen(path, "rb");
    char piece[4096];
    size_t size;
    require(file != NULL);
    while ((size = fread(piece, 1, sizeof piece, file)) > 0)
        image_append(image, piece, size);
    fclose(file);
}

void image_float(struct gguf_image *keys, const char *name, float value)
{
    image_string(keys, name);
    image_u32(keys, 6);
    image_append(keys, &value, sizeof value);
}

void image_floats(struct gguf_image *keys, const char *name, const float *values, uint64_t count)
{
    image_string(keys, name);
    image_u32(keys, 9);
    image_u32(keys, 6);
    image_u64(keys, count);
    image_append(keys, values, count * sizeof *values);
}

void image_add_keys(struct gguf_image *image, const struct gguf_image *keys, uint64_t count)
{
    enum { COUNT_AT = 16, KEYS_AT = 24, ALIGNMENT = 32 };
    struct gguf_image result = {0};
    uint64_t total;
    char filler[ALIGNMENT + 1] = "";
    size_t added = keys->size + 8 + strlen("filler") + 4 + 8;
    memset(filler, 'x', (ALIGNMENT - added % ALIGNMENT) % ALIGNMENT);
    memcpy(&total, image->bytes + COUNT_AT, sizeof total);
    image_append(&result, image->bytes, COUNT_AT);
    image_u64(&result, total + count + 1);
    image_append(&result, keys->bytes, keys->size);
    image_string(&result, "filler");
    image_u32(&result, 8);
    image_string(&result, filler);
    image_append(&result, image->bytes + KEYS_AT, image->size - KEYS_AT);
    image_release(image);
    *image = result;
}

void image_release(struct gguf_image *image)
{
    free(image->bytes);
    *image = (struct gguf_image){0};
}

unsigned char *image_after_name(const struct gguf_image *image, const char *name)
{
    struct gguf_image wanted = {0};
    image_string(&wanted, name);
    unsigned char *found = memmem(image->bytes, image->size, wanted.bytes, wanted.size);
    require(found != NULL);
    found += wanted.size;
    image_release(&wanted);
    return found;
}

struct published_image image_publish(const struct gguf_image *image)
{
    struct published_image published = {.descriptor = memfd_create("image.gguf", 0)};
    require(published.descriptor >= 0);
    for (size_t written = 0; written < image->size;) {
        ssize_t size = write(published.descriptor, image->bytes + written, image->size - written);
        require(size > 0);
        written += (size_t)size;
    }
    snprintf(published.path, sizeof published.path, "/proc/self/fd/%d", published.descriptor);
    return published;
}

void image_unpublish(struct published_image *published)
{
    close(published->descriptor);
}
