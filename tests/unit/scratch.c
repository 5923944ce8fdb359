#include "tests/unit/scratch.h"

#include "tests/unit/random_model.h"

#include <ftw.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64];
struct lmk_model *tiny_model;

int scratch_open(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/lmk-test-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *information, int kind, struct FTW *place)
{
    (void)information, (void)kind, (void)place;
    return remove(path);
}

int scratch_close(void **state)
{
    (void)state;
    return nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int scratch_open_model(void **state)
{
    if (scratch_open(state))
        return -1;
    tiny_model = scratch_model("tiny-slot");
    return 0;
}

int scratch_close_model(void **state)
{
    lmk_model_close(tiny_model);
    return scratch_close(state);
}

char *scratch_path(const char *name)
{
    char *path;
    assert_true(asprintf(&path, "%s%s%s", folder, *name ? "/" : "", name) > 0);
    return path;
}

void scratch_write(const char *name, const void *content, size_t size)
{
    char *path = scratch_path(name);
    for (char *slash = path + strlen(folder) + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        mkdir(path, 0777);
        *slash = '/';
    }
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(content, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    free(path);
}

void scratch_write_text(const char *name, const char *content)
{
    scratch_write(name, content, strlen(content));
}

struct lmk_model *scratch_model(const char *name)
{
    char path[128];
    struct lmk_model *model;
    struct lmk_error error;
    snprintf(path, sizeof path, "tests/golden/%s.gguf", name);
    if (lmk_model_open(&model, path, &error))
        fail_msg("%s", error.message);
    return model;
}

static struct lmk_collection *open_collection(const char *name, const struct lmk_model *model,
                                              const struct lmk_open_options *options)
{
    char *path = scratch_path(name);
    struct lmk_collection *collection;
    struct lmk_error error;
    if (lmk_collection_open(&collection, path, model, options, &error))
        fail_msg("%s", error.message);
    free(path);
    return collection;
}

struct lmk_collection *scratch_create(const char *name, const struct lmk_model *model,
                                      enum lmk_tier tier, const char *ann)
{
    struct lmk_open_options options = {.write = true, .create = true, .tier = tier, .ann = ann};
    return open_collection(name, model, &options);
}

struct lmk_collection *scratch_writer(const char *name, const struct lmk_model *model)
{
    struct lmk_open_options options = lmk_open_defaults();
    options.write = true;
    return open_collection(name, model, &options);
}

struct lmk_collection *scratch_reader(const char *name, const struct lmk_model *model)
{
    return open_collection(name, model, NULL);
}

struct lmk_index_report scratch_index(struct lmk_collection *collection, const char *name)
{
    char *path = scratch_path(name);
    const char *const paths[] = {path};
    struct lmk_index_report report;
    struct lmk_error error;
    if (lmk_index(collection, paths, 1, NULL, &report, &error))
        fail_msg("%s", error.message);
    free(path);
    return report;
}

struct store_view *scratch_view(struct lmk_collection *collection)
{
    struct store_view *view;
    struct lmk_error error;
    if (store_view_begin(collection->store, &view, &error))
        fail_msg("%s", error.message);
    return view;
}

char *scratch_prose(uint64_t seed, size_t words)
{
    struct random_source source = {seed};
    char *text = malloc(words * 10 + 1), *at = text;
    assert_non_null(text);
    bool begins = true;
    for (size_t word = 0; word < words; word++) {
        size_t letters = 2 + random_below(&source, 6);
        for (size_t i = 0; i < letters; i++)
            *at++ = (char)((begins && !i ? 'A' : 'a') + (int)random_below(&source, 26));
        begins = random_below(&source, 9) == 0;
        if (begins)
            *at++ = '.';
        *at++ = ' ';
    }
    at[-1] = '\n';
    *at = '\0';
    return text;
}

void scratch_write_prose(const char *name, uint64_t seed, size_t words)
{
    char *prose = scratch_prose(seed, words);
    scratch_write_text(name, prose);
    free(prose);
}

void reference_rotate(const struct model_shape *shape, const float *vector, double position,
                      double *turned)
{
    for (size_t i = 0; i < shape->head_width; i += 2) {
        double angle = position * pow(shape->rope_base, -(double)i / shape->head_width);
        double a = vector[i], b = vector[i + 1];
        turned[i] = a * cos(angle) - b * sin(angle);
        turned[i + 1] = b * cos(angle) + a * sin(angle);
    }
}

double reference_score(const struct model_shape *shape, uint32_t part, const float *query,
                       const float *landmark_key)
{
    size_t width = shape->head_width, sets = shape->memory_layer_count * (size_t)shape->kv_heads;
    size_t first = part == SEGMENT_JOINT ? 0 : part - 1,
           end = part == SEGMENT_JOINT ? sets : first + 1;
    double sum = 0, turned[256];
    for (size_t set = first; set < end; set++) {
        reference_rotate(shape, landmark_key + set * width, shape->block_tokens, turned);
        for (size_t i = 0; i < width; i++)
            sum += turned[i] * (double)query[(set - first) * width + i];
    }
    return sum / sqrt((double)width);
}

void must(enum lmk_status status, const struct lmk_error *error)
{
    if (status)
        fail_msg("%s", error->message);
}
