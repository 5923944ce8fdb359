/* Opening models: shapes and tokens as the file has them, sentences for files that do not fit
 * themselves, the fingerprint, and the prompt of a question. */
#include "src/model/model.h"
#include "tests/unit/gguf_image.h"
#include "tests/unit/random_model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TINY "tests/golden/tiny-slot.gguf"

static struct lmk_model *open_model(const char *path)
{
    struct lmk_model *model;
    struct lmk_error error;
    if (lmk_model_open(&model, path, &error))
        fail_msg("%s", error.message);
    return model;
}

static void test_shape(void **state)
{
    (void)state;
    struct lmk_model *model = open_model(TINY);
    const struct model_shape *shape = &model->shape;
    assert_string_equal(lmk_model_name(model), "landmark-tiny-slot");
    assert_false(lmk_model_can_answer(model));
    assert_int_equal(shape->layers, 4);
    assert_int_equal(shape->width, 64);
    assert_int_equal(shape->heads, 4);
    assert_int_equal(shape->kv_heads, 2);
    assert_int_equal(shape->head_width, 16);
    assert_int_equal(shape->feed_forward, 96);
    assert_int_equal(shape->vocabulary, 272);
    assert_int_equal(shape->block_tokens, 63);
    assert_int_equal(shape->block_rows, 64);
    assert_int_equal(shape->memory_layer_count, 2);
    assert_int_equal(shape->memory_layers[0], 1);
    assert_int_equal(shape->memory_layers[1], 2);
    assert_int_equal(shape->window, 40);
    assert_int_equal(shape->near_blocks, 2);
    assert_int_equal(shape->reach, 4);
    assert_int_equal(shape->positions, POSITIONS_SLOT);
    assert_int_equal(shape->landmark_id, 4);
    assert_int_equal(shape->bos_id, 2);
    assert_int_equal(shape->eos_id, 3);
    assert_int_equal(shape->padding_id, 0);
    assert_int_equal(shape->newline_id, 5);
    assert_int_equal(model_landmark_width(shape), 2 * 2 * 16);
    assert_int_equal(model_top_memory_layer(shape), 2);
    assert_true(model_is_memory_layer(shape, 1) && !model_is_memory_layer(shape, 3));
    assert_ptr_equal(model->output.data, model->embedding.data); /* tied */
    lmk_model_close(model);
}

/* Without landmark.memory_layers, and with the paper's positions, where near blocks mean nothing.
 */
static void test_all_layers(void **state)
{
    (void)state;
    struct lmk_model *model = open_model("tests/golden/tiny-stingy-all.gguf");
    assert_int_equal(model->shape.memory_layer_count, 4);
    assert_int_equal(model->shape.memory_layers[3], 3);
    assert_int_equal(model->shape.positions, POSITIONS_STINGY);
    assert_int_equal(model->shape.near_blocks, 0);
    lmk_model_close(model);
}

/* ---- damaged files */

static enum lmk_status open_image(struct lmk_model **model, const struct gguf_image *image,
                                  struct lmk_error *error)
{
    struct published_image published = image_publish(image);
    enum lmk_status status = lmk_model_open(model, published.path, error);
    image_unpublish(&published);
    return status;
}

/* The tiny model with `size` bytes replaced, `offset` bytes behind the name of a key or tensor. */
static struct gguf_image patched(const char *name, size_t offset, const void *bytes, size_t size)
{
    struct gguf_image image = {0};
    image_read(&image, TINY);
    memcpy(image_after_name(&image, name) + offset, bytes, size);
    return image;
}

static void refuse(struct gguf_image image, const char *expected)
{
    struct lmk_model *model;
    struct lmk_error error = {LMK_OK, ""};
    assert_int_equal(open_image(&model, &image, &error), LMK_MODEL);
    assert_null(model);
    if (!strstr(error.message, expected))
        fail_msg("\"%s\" does not speak of \"%s\"", error.message, expected);
    image_release(&image);
}

static void refuse_u32(const char *key, uint32_t value, const char *expected)
{
    refuse(patched(key, 4, &value, sizeof value), expected);
}

/* Another name of the same length: the key or tensor is missing, or a strange one is there. */
static void refuse_renamed(const char *name, const char *other, const char *expected)
{
    refuse(patched(name, 0 - strlen(name), other, strlen(name)), expected);
}

static void test_keys_that_do_not_fit(void **state)
{
    (void)state;
    refuse_renamed("general.architecture", "general.architectura", "general.architecture");
    refuse(patched("general.architecture", 12, "gpt", 3), "general.architecture");
    refuse_renamed("landmark.block_size", "landmark.block_sise", "landmark.block_size is missing");
    refuse_renamed("landmark.token_id", "landmark.token_ie", "landmark.token_id is missing");
    refuse_renamed("landmark.window", "landmark.windox", "landmark.window is missing");
    refuse_u32("landmark.block_size", 0, "landmark.block_size is 0");
    refuse_u32("landmark.block_size", 256, "landmark.block_size is 256");
    refuse_u32("landmark.token_id", 272, "landmark.token_id is 272");
    refuse_u32("landmark.token_id", 20, "landmark.token_id names a piece that text can produce");
    refuse_u32("landmark.window", 0, "landmark.window");
    refuse(patched("landmark.position_mapping", 12, "slut", 4), "landmark.position_mapping");
    refuse(patched("landmark.prompt.question", 12 + 10, "(question)", 10), "{question}");
    refuse_u32("llama.block_count", 0, "llama.block_count is 0");
    refuse_u32("llama.attention.head_count_kv", 3, "llama.attention.head_count_kv");
    refuse_u32("llama.rope.dimension_count", 15, "even");
    refuse(patched("llama.rope.freq_base", 4, &(float){-1}, 4), "llama.rope.freq_base");
    refuse(patched("llama.attention.layer_norm_rms_epsilon", 0, &(uint32_t){4}, 4),
           "layer_norm_rms_epsilon");
    refuse_u32("llama.vocab_size", 271, "llama.vocab_size");
    refuse_u32("tokenizer.ggml.bos_token_id", 4000, "tokenizer.ggml.bos_token_id is 4000");
}

static void test_memory_layers_that_do_not_fit(void **state)
{
    (void)state;
    const size_t first = 4 + 4 + 8;
    refuse(patched("landmark.memory_layers", first, (uint32_t[]){2, 1}, 8), "ascending");
    refuse(patched("landmark.memory_layers", first, (uint32_t[]){1, 1}, 8), "ascending");
    refuse(patched("landmark.memory_layers", first, (uint32_t[]){1, 4}, 8),
           "landmark.memory_layers");
}

static void test_tensors_that_do_not_fit(void **state)
{
    (void)state;
    refuse(patched("blk.3.attn_k.weight", 4, (uint64_t[]){32, 64}, 16),
           "tensor blk.3.attn_k.weight has shape 64 x 32, expected 32 x 64");
    refuse_u32("llama.embedding_length", 32,
               "tensor token_embd.weight has shape 272 x 64, expected 272 x 32");
    refuse_u32("llama.feed_forward_length", 95, "tensor blk.0.ffn_gate.weight");
    refuse_u32("llama.block_count", 5, "tensor blk.4.attn_q.weight is missing");
    refuse_u32("llama.block_count", 3, "tensor blk.3.attn_norm.weight is none that lmk knows");
    refuse_renamed("blk.2.ffn_up.weight", "blk.2.ffn_up.weighs",
                   "tensor blk.2.ffn_up.weight is missing");
}

/* Damage in the metadata may leave a model that opens; it must never do more harm than that. */
static void test_flipped_bytes(void **state)
{
    (void)state;
    struct random_source source = {5};
    for (int round = 0; round < 400; round++) {
        struct gguf_image image = {0};
        struct lmk_model *model;
        struct lmk_error error;
        image_read(&image, TINY);
        image.bytes[random_below(&source, 9000)] ^= (unsigned char)(1 + random_below(&source, 255));
        enum lmk_status status = open_image(&model, &image, &error);
        assert_true(status == LMK_OK || status == LMK_MODEL);
        lmk_model_close(model);
        image_release(&image);
    }
}

/* ---- fingerprint */

static void fingerprint(const struct gguf_image *image, char text[2 * HASH128_BYTES + 1])
{
    struct lmk_model *model;
    struct lmk_error error;
    if (open_image(&model, image, &error))
        fail_msg("%s", error.message);
    hash128_hexadecimal(model->fingerprint, text);
    lmk_model_close(model);
}

/* Found by another program from the layout that model_fingerprint.c gives. A change makes every
 * collection useless. */
static const char tiny_fingerprint[] = "0c05f72db10d0365dbb359500957f818";

static void check_change(struct gguf_image image, bool expected)
{
    char text[2 * HASH128_BYTES + 1];
    fingerprint(&image, text);
    assert_int_equal(strcmp(text, tiny_fingerprint) != 0, expected);
    image_release(&image);
}

/* A bit of a tensor's first value. */
static struct gguf_image weight_changed(const char *name)
{
    struct gguf_image image = {0};
    struct gguf *file;
    image_read(&image, TINY);
    assert_int_equal(gguf_open(&file, TINY, NULL), LMK_OK);
    const struct gguf_tensor *tensor = gguf_tensor(file, name), *last = tensor;
    for (size_t i = 0; i < gguf_tensor_count(file); i++)
        if ((const char *)gguf_tensor_at(file, i)->data > (const char *)last->data)
            last = gguf_tensor_at(file, i);
    /* The last tensor ends where the file does, but for padding to 32 bytes. */
    size_t from_end = (size_t)((const char *)last->data - (const char *)tensor->data) +
                      (last->size + 31) / 32 * 32;
    image.bytes[image.size - from_end] ^= 1;
    gguf_close(file);
    return image;
}

static void test_fingerprint(void **state)
{
    (void)state;
    struct gguf_image image = {0};
    image_read(&image, TINY);
    check_change(image, false);
    check_change(patched("general.name", 12, "X", 1), false);
    check_change(patched("landmark.prompt.question", 12, "q", 1), false);
    check_change(patched("landmark.reach", 4, &(uint32_t){5}, 4), true);
    check_change(patched("llama.rope.freq_base", 4, &(float){20000}, 4), true);
    check_change(patched("tokenizer.ggml.scores", 4 + 4 + 8, &(float){0.5f}, 4), true);
    check_change(weight_changed("token_embd.weight"), true);
    check_change(weight_changed("blk.0.ffn_down.weight"), true);
    check_change(weight_changed("blk.1.attn_q.weight"), true);
    check_change(weight_changed("blk.2.attn_norm.weight"), true);
    check_change(weight_changed("blk.2.attn_v.weight"), true);
    check_change(weight_changed("blk.2.attn_q.weight"), false);
    check_change(weight_changed("blk.3.attn_k.weight"), false);
    check_change(weight_changed("output_norm.weight"), false);
}

/* ---- weights of the ranking */

/* The tiny model with keys added. */
static struct gguf_image with_keys(struct gguf_image *keys, uint64_t count)
{
    struct gguf_image image = {0};
    image_read(&image, TINY);
    image_add_keys(&image, keys, count);
    image_release(keys);
    return image;
}

static void test_rank_weights(void **state)
{
    (void)state;
    const float values[8] = {1, -2, 0.5f, 0, 3, 4, 5, 6}, others[8] = {9};
    struct lmk_model *model = open_model(TINY);
    assert_true(model->rank.landmark == 1 && model->rank.lexical == 1 &&
                model->rank.landmark_alone == 1 && model->rank.neighbourhood == 0);
    assert_true(!model->rank.attention && !model->rank.attention_landmark);
    lmk_model_close(model);
    struct gguf_image keys = {0};
    struct lmk_error error;
    image_float(&keys, "landmark.rank.landmark", 0.25f);
    image_float(&keys, "landmark.rank.lexical", 2);
    image_float(&keys, "landmark.rank.neighbourhood", 0.75f);
    image_float(&keys, "landmark.rank.landmark_alone", -0.5f);
    image_floats(&keys, "landmark.rank.attention", values, 8);
    image_floats(&keys, "landmark.rank.attention_landmark", others, 8);
    struct gguf_image image = with_keys(&keys, 6);
    assert_int_equal(open_image(&model, &image, &error), LMK_OK);
    assert_true(model->rank.landmark == 0.25f && model->rank.lexical == 2 &&
                model->rank.neighbourhood == 0.75f && model->rank.landmark_alone == -0.5f);
    assert_memory_equal(model->rank.attention, values, sizeof values);
    assert_memory_equal(model->rank.attention_landmark, others, sizeof others);
    lmk_model_close(model);
    check_change(image, false);
}

static void refuse_weight(const char *name, float value)
{
    struct gguf_image keys = {0};
    image_float(&keys, name, value);
    refuse(with_keys(&keys, 1), name);
}

static void test_answer_threshold(void **state)
{
    (void)state;
    struct lmk_model *model = open_model(TINY);
    struct gguf_image keys = {0};
    struct lmk_error error;
    assert_true(isnan(model->answer_threshold));
    lmk_model_close(model);
    image_float(&keys, "landmark.answer.threshold", 0.75f);
    struct gguf_image image = with_keys(&keys, 1);
    assert_int_equal(open_image(&model, &image, &error), LMK_OK);
    assert_true(model->answer_threshold == 0.75f);
    lmk_model_close(model);
    check_change(image, false);
    refuse_weight("landmark.answer.threshold", 1.5f);
    refuse_weight("landmark.answer.threshold", -0.1f);
    refuse_weight("landmark.answer.threshold", NAN);
}

static void image_number(struct gguf_image *keys, const char *name, uint32_t value)
{
    image_string(keys, name);
    image_u32(keys, 4); /* a uint32 */
    image_u32(keys, value);
}

static void refuse_texts(uint32_t value)
{
    struct gguf_image keys = {0};
    image_number(&keys, "landmark.answer.texts", value);
    refuse(with_keys(&keys, 1), "landmark.answer.texts");
}

static void test_answer_texts(void **state)
{
    (void)state;
    static const uint32_t fit[] = {1, 3, 16};
    struct lmk_model *model = open_model(TINY);
    struct lmk_error error;
    assert_int_equal(model->answer_texts, 0);
    lmk_model_close(model);
    for (size_t i = 0; i < sizeof fit / sizeof fit[0]; i++) {
        struct gguf_image keys = {0};
        image_number(&keys, "landmark.answer.texts", fit[i]);
        struct gguf_image image = with_keys(&keys, 1);
        assert_int_equal(open_image(&model, &image, &error), LMK_OK);
        assert_int_equal(model->answer_texts, fit[i]);
        lmk_model_close(model);
        check_change(image, false);
    }
    refuse_texts(0);
    refuse_texts(17);
    refuse_texts(UINT32_MAX);
    refuse_weight("landmark.answer.texts", 2); /* a float */
}

static void refuse_weights(const char *name, const float *values, uint64_t count)
{
    struct gguf_image keys = {0};
    image_floats(&keys, name, values, count);
    refuse(with_keys(&keys, 1), name);
}

static void test_rank_weights_that_do_not_fit(void **state)
{
    (void)state;
    const float values[16] = {0}, infinite[8] = {0, 0, 0, INFINITY};
    refuse_weight("landmark.rank.landmark", NAN);
    refuse_weight("landmark.rank.lexical", INFINITY);
    refuse_weight("landmark.rank.neighbourhood", NAN);
    refuse_weight("landmark.rank.landmark_alone", -INFINITY);
    refuse_weight("landmark.rank.attention", 1); /* no array */
    refuse_weights("landmark.rank.attention", values, 7);
    refuse_weights("landmark.rank.attention", values, 9);
    refuse_weights("landmark.rank.attention", infinite, 8);
    refuse_weights("landmark.rank.attention_landmark", values, 16);
    refuse_weights("landmark.rank.landmark", values, 1);
}

/* ---- prompts */

static void append(const struct lmk_model *model, const char *text, struct buffer *ids)
{
    assert_int_equal(tokenizer_encode(model->tokenizer, text, strlen(text), true, ids, NULL),
                     LMK_OK);
}

static void check_prompt(const struct lmk_model *model, const char *question,
                         const char *first_line)
{
    struct buffer ids, expected;
    buffer_init(&ids, 1 << 20);
    buffer_init(&expected, 1 << 20);
    assert_int_equal(model_encode_question(model, question, false, &ids, NULL), LMK_OK);
    append(model, first_line, &expected);
    assert_int_equal(buffer_append(&expected, &(uint32_t){5}, 4, NULL), LMK_OK);
    append(model, "Answer:", &expected);
    assert_int_equal(ids.size, expected.size);
    assert_memory_equal(ids.data, expected.data, ids.size);
    buffer_release(&ids);
    buffer_release(&expected);
}

/* The question is the prompt: no words around it, no white space changed. */
static void test_verbatim(void **state)
{
    (void)state;
    struct lmk_model *model = open_model(TINY);
    struct buffer ids, expected;
    buffer_init(&ids, 1 << 20);
    buffer_init(&expected, 1 << 20);
    assert_int_equal(model_encode_question(model, "One  line\nThe key is", true, &ids, NULL),
                     LMK_OK);
    append(model, "One  line", &expected);
    assert_int_equal(buffer_append(&expected, &(uint32_t){5}, 4, NULL), LMK_OK);
    append(model, "The key is", &expected);
    assert_int_equal(ids.size, expected.size);
    assert_memory_equal(ids.data, expected.data, ids.size);
    buffer_release(&ids);
    buffer_release(&expected);
    lmk_model_close(model);
}

static void test_question(void **state)
{
    (void)state;
    struct lmk_model *model = open_model(TINY);
    check_prompt(model, "Who is the one?", "Question: Who is the one?");
    check_prompt(model, "\n Who  is\r\n\tthe one?\n", "Question: Who is the one?");
    check_prompt(model, "{question}", "Question: {question}");
    check_prompt(model, "<landmark>", "Question: <landmark>");
    struct buffer ids;
    struct lmk_error error;
    buffer_init(&ids, 1 << 20);
    assert_int_equal(model_encode_question(model, "", false, &ids, &error), LMK_USAGE);
    assert_int_equal(model_encode_question(model, " \n\t", false, &ids, &error), LMK_USAGE);
    assert_int_equal(ids.size, 0);
    buffer_release(&ids);
    lmk_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shape),
        cmocka_unit_test(test_all_layers),
        cmocka_unit_test(test_keys_that_do_not_fit),
        cmocka_unit_test(test_memory_layers_that_do_not_fit),
        cmocka_unit_test(test_tensors_that_do_not_fit),
        cmocka_unit_test(test_flipped_bytes),
        cmocka_unit_test(test_fingerprint),
        cmocka_unit_test(test_rank_weights),
        cmocka_unit_test(test_answer_threshold),
        cmocka_unit_test(test_answer_texts),
        cmocka_unit_test(test_rank_weights_that_do_not_fit),
        cmocka_unit_test(test_question),
        cmocka_unit_test(test_verbatim),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
