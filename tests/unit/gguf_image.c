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
