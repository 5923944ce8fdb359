#include "src/model/gguf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void visit(void *context, struct gguf_string key, uint32_t type, const void *value,
                  size_t size)
{
    uint64_t *sum = context; /* every byte must be there to be read */
    for (size_t i = 0; i < key.size; i++)
        *sum += (unsigned char)key.text[i];
    for (size_t i = 0; i < size; i++)
        *sum += ((const unsigned char *)value)[i];
    *sum += type;
}

static void use(const struct gguf *file)
{
    uint64_t sum = 0;
    uint32_t number;
    size_t count;
    struct gguf_string string;
    gguf_visit_keys(file, visit, &sum);
    gguf_u32(file, "a", &number);
    gguf_string(file, "b", &string);
    if (gguf_array(file, "c", &count) && count < 1000) {
        struct gguf_string strings[1000];
        gguf_array_strings(file, "c", strings, count);
        for (size_t i = 0; i < count; i++)
            gguf_array_u32(file, "c", i, &number);
    }
    for (size_t i = 0; i < gguf_tensor_count(file); i++) {
        const struct gguf_tensor *tensor = gguf_tensor_at(file, i);
        if (tensor->size)
            sum += ((const unsigned char *)tensor->data)[0] +
                   ((const unsigned char *)tensor->data)[tensor->size - 1];
    }
    if (sum == 1)
        puts("");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    struct gguf *file;
    int descriptor = memfd_create("model", MFD_CLOEXEC);
    if (descriptor < 0 || write(descriptor, data, size) != (ssize_t)size)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    if (!gguf_open(&file, path, NULL)) {
        use(file);
        gguf_close(file);
    }
    close(descriptor);
    return 0;
}
