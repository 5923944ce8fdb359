/* Collections as directories: made, locked, damaged, shared; and what lmk_list, lmk_info,
 * lmk_remove and lmk_index say of a small one whose numbers are known. */
#include "tests/unit/scratch.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static struct lmk_model *model, *other_model;

static int open_group(void **state)
{
    (void)state;
    model = scratch_model("tiny-slot");
    other_model = scratch_model("tiny-stingy-all");
    return 0;
}

static int close_group(void **state)
{
    (void)state;
    lmk_model_close(model);
    lmk_model_close(other_model);
    return 0;
}

static const struct lmk_open_options reading = {.tier = LMK_TIER_F16};
static const struct lmk_open_options writing = {.write = true, .tier = LMK_TIER_F16};
static const struct lmk_open_options creating = {
    .write = true, .create = true, .tier = LMK_TIER_F16};

/* The error's sentence must hold `word`. */
static void expect_refusal(enum lmk_status expected, const char *name, const struct lmk_model *with,
                           const struct lmk_open_options *options, const char *word)
{
    char *path = scratch_path(name);
    struct lmk_collection *collection;
    struct lmk_error error;
    assert_int_equal(lmk_collection_open(&collection, path, with, options, &error), expected);
    assert_null(collection);
    assert_int_equal(error.status, expected);
    if (!strstr(error.message, word))
        fail_msg("\"%s\" does not say \"%s\"", error.message, word);
    assert_int_equal(lmk_collection_open(&collection, path, with, options, NULL), expected);
    free(path);
}

static bool exists(const char *name)
{
    char *path = scratch_path(name);
    bool found = !access(path, F_OK);
    free(path);
    return found;
}

static void delete_file(const char *name)
{
    char *path = scratch_path(name);
    assert_int_equal(remove(path), 0);
    free(path);
}

static struct lmk_info info_of(struct lmk_collection *collection)
{
    struct lmk_info info;
    struct lmk_error error;
    if (lmk_info(collection, &info, &error))
        fail_msg("%s", error.message);
    return info;
}

/* A collection of two texts under the name. */
static void make(const char *name)
{
    scratch_write_text("books/one.txt", "The cat ate an onion. The hat ate the cat.\n");
    scratch_write_text("books/two.txt", "No one saw it.\n");
    struct lmk_collection *collection = scratch_create(name, model, LMK_TIER_F16, NULL);
    scratch_index(collection, "books");
    lmk_collection_close(collection);
}

/* ---- making and opening */

static void test_create(void **state)
{
    (void)state;
    expect_refusal(LMK_COLLECTION, "a.lmk", model, &reading, "a.lmk");
    expect_refusal(LMK_COLLECTION, "a.lmk", model, &writing, "lmk index");
    assert_false(exists("a.lmk"));
    expect_refusal(LMK_USAGE, "a.lmk", NULL, &creating, "model");
    struct lmk_collection *collection = scratch_create("a.lmk/", model, LMK_TIER_F16, NULL);
    struct lmk_info info = info_of(collection);
    assert_string_equal(info.generation, "generation-000001");
    assert_string_equal(info.tier, "f16");
    assert_string_equal(info.model_name, "landmark-tiny-slot");
    assert_int_equal(strlen(info.fingerprint), 32);
    assert_int_equal(info.format_version, 1);
    assert_int_equal(info.documents + info.blocks + info.tokens + info.segments + info.text_bytes,
                     0);
    lmk_collection_close(collection);
    assert_true(exists("a.lmk/CURRENT") && exists("a.lmk/generation-000001/landmarks"));
    /* Creating again opens it, with the tier that it has. */
    collection = scratch_create("a.lmk", model, LMK_TIER_NONE, NULL);
    assert_string_equal(info_of(collection).tier, "f16");
    lmk_collection_close(collection);
    lmk_collection_close(scratch_reader("a.lmk", NULL));
}

static void test_creation_refused(void **state)
{
    (void)state;
    struct lmk_open_options options = creating;
    scratch_write_text("full/letter.txt", "not a collection\n");
    expect_refusal(LMK_COLLECTION, "full", model, &creating, "CURRENT");
    scratch_write_text("file.lmk", "not even a folder\n");
    expect_refusal(LMK_COLLECTION, "file.lmk", model, &reading, "file.lmk");
    expect_refusal(LMK_IO, "none/deep.lmk", model, &creating, "deep.lmk");
    options.tier = LMK_TIER_Q8_0; /* heads of 16 do not fill a block of 32 */
    expect_refusal(LMK_USAGE, "b.lmk", model, &options, "f16");
    options.tier = (enum lmk_tier)5;
    expect_refusal(LMK_USAGE, "b.lmk", model, &options, "tier");
    options = creating;
    char factory[100];
    memset(factory, 'F', sizeof factory - 1);
    factory[sizeof factory - 1] = '\0';
    options.ann = factory;
    expect_refusal(LMK_USAGE, "b.lmk", model, &options, "FAISS");
    options.ann = "Nonsense";
    expect_refusal(LMK_USAGE, "b.lmk", model, &options, "\"Nonsense\"");
    expect_refusal(LMK_USAGE, "b.lmk", model, &options, "\"IVF1024,SQ8\"");
    assert_false(exists("b.lmk/CURRENT"));
    /* What was refused stands in nobody's way. */
    lmk_collection_close(scratch_create("b.lmk", model, LMK_TIER_F16, NULL));
    /* An existing collection has its type already. */
    lmk_collection_close(scratch_create("b.lmk", model, LMK_TIER_F16, "Nonsense"));
}

static void test_damaged_current(void **state)
{
    (void)state;
    static const char *const contents[] = {
        "",
        "\n",
        "generation-000001",
        "generation-\n",
        "generation-000001\nmore\n",
        "../elsewhere\n",
        "generation-000001/..\n",
        "generation-000001 \n",
        "generation--00001\n",
        "generation- 00001\n",
        "generation-+00001\n",
        "generation-"
        "000000000000000000000000000000000000000000000000000000000000000000000000000000001\n",
    };
    make("c.lmk");
    for (size_t i = 0; i < sizeof contents / sizeof *contents; i++) {
        scratch_write_text("c.lmk/CURRENT", contents[i]);
        expect_refusal(LMK_CORRUPT, "c.lmk", model, &reading, "CURRENT");
        expect_refusal(LMK_CORRUPT, "c.lmk", model, &creating, "generation");
    }
    scratch_write("c.lmk/CURRENT", "generation-\0\n", 13);
    expect_refusal(LMK_CORRUPT, "c.lmk", model, &reading, "CURRENT");
    /* A generation that is not there. */
    scratch_write_text("c.lmk/CURRENT", "generation-000007\n");
    expect_refusal(LMK_COLLECTION, "c.lmk", model, &reading, "generation-000007");
    expect_refusal(LMK_COLLECTION, "c.lmk", model, &writing, "generation-000007");
    scratch_write_text("c.lmk/CURRENT", "generation-000001\n");
    struct lmk_collection *collection = scratch_reader("c.lmk", model);
    assert_int_equal(info_of(collection).documents, 2);
    lmk_collection_close(collection);
}

static void test_other_generation(void **state)
{
    (void)state;
    make("d.lmk");
    char *old = scratch_path("d.lmk/generation-000001"),
         *new = scratch_path("d.lmk/generation-000012");
    assert_int_equal(rename(old, new), 0);
    scratch_write_text("d.lmk/CURRENT", "generation-000012\n");
    struct lmk_collection *collection = scratch_writer("d.lmk", model);
    assert_string_equal(info_of(collection).generation, "generation-000012");
    assert_int_equal(info_of(collection).documents_ready, 2);
    lmk_collection_close(collection);
    /* Without CURRENT it is not taken for an empty folder. */
    delete_file("d.lmk/CURRENT");
    expect_refusal(LMK_COLLECTION, "d.lmk", model, &creating, "CURRENT");
    free(old);
    free(new);
}

/* A run may have been killed at any point of a creation. */
static void test_interrupted_creation(void **state)
{
    (void)state;
    static const char *const kept[][3] = {
        {"writer.lock"},
        {"writer.lock", "generation-000001/landmarks/"},
        {"writer.lock", "generation-000001/landmarks/", "CURRENT.tmp"},
        {"writer.lock", "generation-000001/data.mdb", "generation-000001/landmarks/"},
    };
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        char name[32];
        snprintf(name, sizeof name, "e%zu.lmk", i);
        for (size_t j = 0; j < 3 && kept[i][j]; j++) {
            char file[96];
            size_t size = strlen(kept[i][j]);
            bool folder = kept[i][j][size - 1] == '/';
            snprintf(file, sizeof file, "%s/%s%s", name, kept[i][j], folder ? "x" : "");
            scratch_write(file, "", 0);
            if (folder)
                delete_file(file);
        }
        struct lmk_collection *collection = scratch_create(name, model, LMK_TIER_F16, NULL);
        assert_int_equal(info_of(collection).documents, 0);
        lmk_collection_close(collection);
    }
    /* All is there but CURRENT: nothing is lost. */
    make("e.lmk");
    delete_file("e.lmk/CURRENT");
    expect_refusal(LMK_COLLECTION, "e.lmk", model, &reading, "CURRENT");
    struct lmk_collection *collection = scratch_create("e.lmk", model, LMK_TIER_F16, NULL);
    assert_int_equal(info_of(collection).documents_ready, 2);
    lmk_collection_close(collection);
    lmk_collection_close(scratch_reader("e.lmk", model));
}

static void test_other_model(void **state)
{
    (void)state;
    make("f.lmk");
    struct lmk_collection *collection = scratch_reader("f.lmk", NULL);
    char fingerprint[40];
    snprintf(fingerprint, sizeof fingerprint, "%s", info_of(collection).fingerprint);
    lmk_collection_close(collection);
    expect_refusal(LMK_COLLECTION, "f.lmk", other_model, &reading, fingerprint);
    expect_refusal(LMK_COLLECTION, "f.lmk", other_model, &creating, "is landmark-tiny-stingy (");
    /* Names do not tell models apart, fingerprints do. */
    struct lmk_model *namesake = scratch_model("tiny-slot-all");
    assert_string_equal(lmk_model_name(namesake), lmk_model_name(model));
    hash128_hexadecimal(namesake->fingerprint, fingerprint);
    expect_refusal(LMK_COLLECTION, "f.lmk", namesake, &reading, "another landmark-tiny-slot");
    expect_refusal(LMK_COLLECTION, "f.lmk", namesake, &creating, fingerprint);
    lmk_model_close(namesake);
    /* The refusal gave the lock back. */
    lmk_collection_close(scratch_writer("f.lmk", model));
}

/* ---- several at once */

static void test_lock(void **state)
{
    (void)state;
    char process[32];
    make("g.lmk");
    struct lmk_collection *writer = scratch_writer("g.lmk", model), *reader;
    snprintf(process, sizeof process, "%ld", (long)getpid());
    expect_refusal(LMK_BUSY, "g.lmk", model, &writing, process);
    expect_refusal(LMK_BUSY, "g.lmk", model, &creating, "g.lmk");
    lmk_collection_close(writer);
    reader = scratch_reader("g.lmk", model);
    lmk_collection_close(scratch_writer("g.lmk", model));
    lmk_collection_close(reader);
}

/* A child that holds the lock until it is killed: only then is it free. */
static void test_killed_writer(void **state)
{
    (void)state;
    int told[2];
    char byte = 0;
    lmk_collection_close(scratch_create("h.lmk", model, LMK_TIER_F16, NULL));
    assert_int_equal(pipe(told), 0);
    char *path = scratch_path("h.lmk");
    pid_t child = fork();
    if (!child) {
        struct lmk_collection *collection;
        byte = (char)('0' + lmk_collection_open(&collection, path, NULL, &writing, NULL));
        if (write(told[1], &byte, 1) == 1)
            pause();
        _exit(0);
    }
    assert_int_equal(read(told[0], &byte, 1), 1);
    assert_int_equal(byte, '0');
    expect_refusal(LMK_BUSY, "h.lmk", model, &writing, "h.lmk");
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    lmk_collection_close(scratch_writer("h.lmk", model));
    close(told[0]);
    close(told[1]);
    free(path);
}

/* In a process of its own: how many documents there are, and whether removing is refused. */
static int count_in_child(const char *name)
{
    char *path = scratch_path(name);
    fflush(NULL);
    pid_t child = fork();
    if (!child) {
        struct lmk_collection *collection;
        struct lmk_info info;
        uint64_t removed;
        if (lmk_collection_open(&collection, path, NULL, NULL, NULL) ||
            lmk_info(collection, &info, NULL) ||
            lmk_remove(collection, "1", &removed, NULL) != LMK_USAGE)
            _exit(99);
        lmk_collection_close(collection);
        _exit((int)info.documents);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    free(path);
    return WEXITSTATUS(status);
}

static void test_readers_of_a_writer(void **state)
{
    (void)state;
    lmk_collection_close(scratch_create("i.lmk", model, LMK_TIER_F16, NULL));
    struct lmk_collection *writer = scratch_writer("i.lmk", model);
    assert_int_equal(count_in_child("i.lmk"), 0);
    scratch_write_text("i/one.txt", "One text.\n");
    scratch_index(writer, "i");
    assert_int_equal(count_in_child("i.lmk"), 1);
    scratch_write_text("i/two.txt", "Another text.\n");
    scratch_index(writer, "i");
    assert_int_equal(count_in_child("i.lmk"), 2);
    assert_int_equal(count_in_child("i.lmk"), 2);
    lmk_collection_close(writer);
}

/* ---- a collection whose numbers are known */

/* Pieces by hand: BOS, then " the" or a space, then bytes; the only pieces of more than a letter
 * are " t", " a", "he" and " the". */
static const struct known {
    const char *name, *source, *text;
    uint64_t tokens;
} known[] = {
    {"k/bee.txt", "Bzz, bzz!\r\nBzz.\r\n", "Bzz, bzz! Bzz.", 16},       /* BOS, a space, 14 bytes */
    {"k/cat.md", "# The Cat\n\nThe cat.\n", "# The Cat\nThe cat.", 18}, /* two "he", no " the" */
    {"k/dot.txt", "  the the the  ", "the the the", 4},
};

enum { KNOWN = sizeof known / sizeof *known };

static struct lmk_collection *make_known(const char *name)
{
    for (size_t i = 0; i < KNOWN; i++)
        scratch_write_text(known[i].name, known[i].source);
    struct lmk_collection *collection = scratch_create(name, model, LMK_TIER_F16, NULL);
    struct lmk_index_report report = scratch_index(collection, "k");
    assert_int_equal(report.files, KNOWN);
    assert_int_equal(report.documents_added, KNOWN);
    assert_int_equal(report.documents, KNOWN);
    assert_int_equal(report.documents_unchanged + report.documents_replaced + report.files_skipped,
                     0);
    assert_int_equal(report.tokens, known[0].tokens + known[1].tokens + known[2].tokens);
    return collection;
}

struct listing {
    size_t count, stop_after;
};

static bool check_listed(void *context, const struct lmk_document *document)
{
    struct listing *listing = context;
    const struct known *expected = &known[listing->count++];
    char *path = scratch_path(expected->name), *real = realpath(path, NULL), hash[33];
    unsigned char digest[HASH128_BYTES];
    hash128(expected->text, strlen(expected->text), digest);
    hash128_hexadecimal(digest, hash);
    assert_int_equal(document->id, listing->count);
    assert_string_equal(document->path, real);
    assert_int_equal(document->blocks, 1);
    assert_int_equal(document->tokens, expected->tokens);
    assert_int_equal(document->source_bytes, strlen(expected->source));
    assert_int_equal(document->text_bytes, strlen(expected->text));
    assert_string_equal(document->state, "ready");
    assert_string_equal(document->tier, "f16");
    assert_string_equal(document->kind, strstr(expected->name, ".md") ? "markdown" : "text");
    assert_string_equal(document->hash, hash);
    free(path);
    free(real);
    return listing->count != listing->stop_after;
}

static void test_list(void **state)
{
    (void)state;
    struct listing listing = {0, 0};
    struct lmk_error error;
    struct lmk_collection *collection = make_known("l.lmk");
    assert_int_equal(lmk_list(collection, check_listed, &listing, &error), LMK_OK);
    assert_int_equal(listing.count, KNOWN);
    listing = (struct listing){0, 2};
    assert_int_equal(lmk_list(collection, check_listed, &listing, &error), LMK_OK);
    assert_int_equal(listing.count, 2);
    lmk_collection_close(collection);
}

static void test_info(void **state)
{
    (void)state;
    struct lmk_collection *collection = make_known("m.lmk");
    struct lmk_info info = info_of(collection);
    uint64_t source = 0, text = 0, tokens = 0;
    for (size_t i = 0; i < KNOWN; i++) {
        source += strlen(known[i].source);
        text += strlen(known[i].text);
        tokens += known[i].tokens;
    }
    assert_int_equal(info.documents, KNOWN);
    assert_int_equal(info.documents_ready, KNOWN);
    assert_int_equal(info.blocks, KNOWN);
    assert_int_equal(info.blocks_ready, KNOWN);
    assert_int_equal(info.tokens, tokens);
    assert_int_equal(info.source_bytes, source);
    assert_int_equal(info.text_bytes, text);
    assert_int_equal(info.segments, 0);
    struct stat file;
    char *path = scratch_path("m.lmk/generation-000001/data.mdb");
    assert_int_equal(stat(path, &file), 0);
    assert_true(info.bytes_file <= (uint64_t)file.st_size && info.bytes_file > 0);
    assert_true(info.bytes_text && info.bytes_landmarks && info.bytes_keys_values &&
                info.bytes_other);
    assert_true(info.bytes_text + info.bytes_landmarks + info.bytes_keys_values +
                    info.bytes_other <=
                info.bytes_file);
    /* Keys and values in f16: 2 layers of 2 heads, 63 tokens of 16, twice, for each block. */
    assert_true(info.bytes_keys_values >= (uint64_t)KNOWN * 2 * 2 * 2 * 63 * 16 * 2);
    free(path);
    lmk_collection_close(collection);
}

static void expect_removed(struct lmk_collection *collection, const char *what, uint64_t expected)
{
    uint64_t removed = 77;
    struct lmk_error error;
    enum lmk_status status = lmk_remove(collection, what, &removed, &error);
    assert_int_equal(status, expected ? LMK_OK : LMK_NOT_FOUND);
    assert_int_equal(removed, expected);
    if (!expected)
        assert_non_null(strstr(error.message, what));
}

static void test_remove(void **state)
{
    (void)state;
    struct lmk_collection *collection = make_known("n.lmk");
    char *path = scratch_path(known[0].name);
    expect_removed(collection, "4", 0);
    expect_removed(collection, "-1", 0);
    expect_removed(collection, "2 ", 0);
    expect_removed(collection, "bee.txt", 0);
    expect_removed(collection, "2", 1);
    expect_removed(collection, "2", 0);
    expect_removed(collection, path, 1);
    expect_removed(collection, path, 0);
    assert_int_equal(info_of(collection).documents, 1);
    assert_int_equal(info_of(collection).tokens, known[2].tokens);
    assert_int_equal(info_of(collection).blocks_ready, 1);
    /* Numbers are never used again. */
    struct lmk_index_report report = scratch_index(collection, "k");
    assert_int_equal(report.documents_added, 2);
    assert_int_equal(report.documents_unchanged, 1);
    expect_removed(collection, "1", 0);
    expect_removed(collection, "4", 1);
    expect_removed(collection, "5", 1);
    expect_removed(collection, "3", 1);
    struct lmk_info info = info_of(collection);
    assert_int_equal(info.documents + info.blocks + info.tokens + info.source_bytes +
                         info.text_bytes + info.documents_ready + info.blocks_ready,
                     0);
    struct lmk_verify_report verified;
    assert_int_equal(lmk_verify(collection, NULL, NULL, &verified, NULL), LMK_OK);
    free(path);
    lmk_collection_close(collection);
}

static void test_remove_by_title(void **state)
{
    (void)state;
    scratch_write_text("t/a.md", "# Twins\n\nThe first of them.\n");
    scratch_write_text("t/b.md", "# Twins\n\nThe other one.\n");
    scratch_write_text("t/c.md", "# Single\n\nAlone.\n");
    struct lmk_collection *collection = scratch_create("o.lmk", model, LMK_TIER_F16, NULL);
    scratch_index(collection, "t");
    expect_removed(collection, "twins", 0);
    expect_removed(collection, "Twins", 2);
    assert_int_equal(info_of(collection).documents, 1);
    lmk_collection_close(collection);
}

/* ---- indexing again */

static uint64_t documents_with_text(struct lmk_collection *collection, const char *text)
{
    unsigned char digest[HASH128_BYTES];
    struct document document;
    hash128(text, strlen(text), digest);
    struct store_view *view = scratch_view(collection);
    enum lmk_status status = store_document_by_hash(view, digest, &document, NULL);
    uint64_t id = status ? 0 : document.id;
    store_view_end(view);
    return id;
}

static void test_index_again(void **state)
{
    (void)state;
    struct lmk_collection *collection = make_known("p.lmk");
    struct lmk_index_report report = scratch_index(collection, "k");
    assert_int_equal(report.documents_unchanged, KNOWN);
    assert_int_equal(report.documents_added + report.documents, 0);
    /* Changed: replaced. */
    scratch_write_text(known[0].name, "Bzz, it said, and left.\n");
    report = scratch_index(collection, "k");
    assert_int_equal(report.documents_replaced, 1);
    assert_int_equal(report.documents_unchanged, KNOWN - 1);
    assert_int_equal(report.documents_added, 0);
    assert_int_equal(report.documents, 1);
    assert_int_equal(documents_with_text(collection, known[0].text), 0);
    assert_int_equal(documents_with_text(collection, "Bzz, it said, and left."), KNOWN + 1);
    assert_int_equal(info_of(collection).documents, KNOWN);
    lmk_collection_close(collection);
}

/* The same text in two files is one document, as long as one of them has it. */
static void test_copies(void **state)
{
    (void)state;
    scratch_write_text("q/a.txt", "Shared words.\n");
    scratch_write_text("q/b.txt", "Shared words.\n");
    struct lmk_collection *collection = scratch_create("q.lmk", model, LMK_TIER_F16, NULL);
    struct lmk_index_report report = scratch_index(collection, "q");
    assert_int_equal(report.documents_added, 1);
    assert_int_equal(report.documents_unchanged, 1);
    uint64_t id = documents_with_text(collection, "Shared words.");
    assert_int_equal(id, 1);
    scratch_write_text("q/a.txt", "Words of its own.\n");
    scratch_index(collection, "q");
    assert_true(documents_with_text(collection, "Shared words."));
    assert_true(documents_with_text(collection, "Words of its own."));
    assert_int_equal(info_of(collection).documents, 2);
    scratch_write_text("q/b.txt", "Other words.\n");
    scratch_index(collection, "q");
    assert_false(documents_with_text(collection, "Shared words."));
    assert_int_equal(info_of(collection).documents, 2);
    lmk_collection_close(collection);
}

/* A file moves and something else takes its name: the text keeps its document. */
static void test_moved(void **state)
{
    (void)state;
    scratch_write_text("r/a.txt", "It will move.\n");
    struct lmk_collection *collection = scratch_create("r.lmk", model, LMK_TIER_F16, NULL);
    scratch_index(collection, "r");
    char *old = scratch_path("r/a.txt"), *new = scratch_path("r/z.txt");
    assert_int_equal(rename(old, new), 0);
    scratch_write_text("r/a.txt", "It came later.\n");
    scratch_index(collection, "r");
    assert_int_equal(documents_with_text(collection, "It will move."), 1);
    assert_int_equal(documents_with_text(collection, "It came later."), 2);
    expect_removed(collection, new, 1);
    assert_int_equal(documents_with_text(collection, "It will move."), 0);
    free(old);
    free(new);
    lmk_collection_close(collection);
}

/* A text that becomes another file's leaves no document behind that no file has. */
static void test_becoming_a_copy(void **state)
{
    (void)state;
    scratch_write_text("s/a.txt", "Words of its own.\n");
    scratch_write_text("s/b.txt", "Shared words.\n");
    struct lmk_collection *collection = scratch_create("s.lmk", model, LMK_TIER_F16, NULL);
    scratch_index(collection, "s");
    scratch_write_text("s/a.txt", "Shared words.\n");
    scratch_index(collection, "s");
    assert_false(documents_with_text(collection, "Words of its own."));
    assert_true(documents_with_text(collection, "Shared words."));
    assert_int_equal(info_of(collection).documents, 1);
    lmk_collection_close(collection);
}

static void test_tier_names(void **state)
{
    (void)state;
    static const enum lmk_tier tiers[] = {LMK_TIER_NONE, LMK_TIER_F16, LMK_TIER_Q4_0,
                                          LMK_TIER_Q8_0};
    enum lmk_tier found;
    for (size_t i = 0; i < 4; i++) {
        assert_true(lmk_tier_named(collection_tier_name(tiers[i]), &found));
        assert_int_equal(found, tiers[i]);
    }
    assert_false(lmk_tier_named("q8", &found) || lmk_tier_named("unknown", &found));
}

struct stopping {
    const char *stage;
    size_t calls, stop_at;
};

static bool stop(void *context, const struct lmk_progress *progress)
{
    struct stopping *stopping = context;
    stopping->calls += !strcmp(progress->stage, stopping->stage);
    return stopping->calls < stopping->stop_at;
}

/* Stopped at any report of either stage, then run again: the same collection as in one go. */
static void test_interrupted(void **state)
{
    (void)state;
    static const char *const stages[] = {"reading", "indexing"};
    for (uint64_t i = 0; i < 5; i++) {
        char name[32];
        snprintf(name, sizeof name, "u/%d.txt", (int)i);
        scratch_write_prose(name, i + 1, 40 + 60 * i);
    }
    struct lmk_collection *whole = scratch_create("whole.lmk", model, LMK_TIER_F16, NULL);
    scratch_index(whole, "u");
    struct lmk_info expected = info_of(whole);
    char *path = scratch_path("u");
    const char *const paths[] = {path};
    for (size_t s = 0; s < 2; s++)
        for (size_t at = 1; at <= 5; at++) {
            char name[32];
            struct stopping stopping = {stages[s], 0, at};
            struct lmk_index_options options = {.progress = stop, .context = &stopping};
            struct lmk_error error;
            snprintf(name, sizeof name, "u%zu%zu.lmk", s, at);
            struct lmk_collection *collection = scratch_create(name, model, LMK_TIER_F16, NULL);
            enum lmk_status status = lmk_index(collection, paths, 1, &options, NULL, &error);
            assert_true(status == LMK_INTERRUPTED || (status == LMK_OK && stopping.calls < at));
            if (s == 1)
                assert_int_equal(info_of(collection).documents, expected.documents);
            lmk_collection_close(collection);
            collection = scratch_writer(name, model);
            scratch_index(collection, "u");
            struct lmk_info info = info_of(collection);
            assert_int_equal(info.documents_ready, expected.documents);
            assert_int_equal(info.blocks_ready, expected.blocks);
            assert_int_equal(info.tokens, expected.tokens);
            struct store_view *view = scratch_view(collection), *whole_view = scratch_view(whole);
            for (uint64_t b = 0; b < expected.blocks; b++) {
                const float *key, *whole_key;
                assert_int_equal(store_landmark_key(view, b, &key, NULL), LMK_OK);
                assert_int_equal(store_landmark_key(whole_view, b, &whole_key, NULL), LMK_OK);
                for (size_t i = 0; i < model_landmark_width(&model->shape); i++)
                    assert_float_equal(key[i], whole_key[i], 1e-3);
            }
            store_view_end(view);
            store_view_end(whole_view);
            assert_int_equal(lmk_verify(collection, NULL, NULL, NULL, &error), LMK_OK);
            lmk_collection_close(collection);
        }
    lmk_collection_close(whole);
    free(path);
}

static void note_skipped(void *context, const char *path, const struct lmk_error *error)
{
    (void)path;
    assert_int_equal(error->status, LMK_INPUT);
    ++*(size_t *)context;
}

static void test_unreadable_files(void **state)
{
    (void)state;
    size_t skipped = 0;
    struct lmk_index_options options = {.skipped = note_skipped, .context = &skipped};
    struct lmk_index_report report;
    struct lmk_error error;
    scratch_write("v/binary.txt", "ab\0cd\0", 6);
    scratch_write_text("v/empty.txt", "");
    scratch_write_text("w/folder/x.doc", "text");
    struct lmk_collection *collection = scratch_create("v.lmk", model, LMK_TIER_F16, NULL);
    char *bad = scratch_path("v"), *none = scratch_path("w"), *missing = scratch_path("missing");
    const char *const paths[] = {bad, none, missing};
    assert_int_equal(lmk_index(collection, paths, 1, &options, &report, &error), LMK_INPUT);
    assert_int_equal(skipped, 2);
    assert_int_equal(report.files_skipped, 2);
    assert_int_equal(lmk_index(collection, paths + 1, 1, &options, &report, &error), LMK_INPUT);
    assert_int_equal(lmk_index(collection, paths + 2, 1, &options, &report, &error), LMK_INPUT);
    assert_int_equal(lmk_index(collection, paths, 0, &options, &report, &error), LMK_INPUT);
    scratch_write_text("v/good.txt", "Good.\n");
    assert_int_equal(lmk_index(collection, paths, 1, &options, &report, &error), LMK_OK);
    assert_int_equal(report.documents_added, 1);
    assert_int_equal(report.files_skipped, 2);
    free(bad);
    free(none);
    free(missing);
    lmk_collection_close(collection);
}

/* ---- misuse */

static bool stop_after_one(void *context, const struct lmk_progress *progress)
{
    (void)context;
    return strcmp(progress->stage, "indexing") != 0 || progress->documents < 1;
}

static enum lmk_status index_books(const char *name, const struct lmk_index_options *options,
                                   struct lmk_index_report *report)
{
    char *path = scratch_path("order");
    const char *const paths[] = {path};
    struct lmk_collection *collection = scratch_create(name, model, LMK_TIER_F16, NULL);
    enum lmk_status status = lmk_index(collection, paths, 1, options, report, NULL);
    lmk_collection_close(collection);
    free(path);
    return status;
}

static enum document_state state_of(const char *name, uint64_t id)
{
    struct document document;
    struct lmk_collection *collection = scratch_reader(name, model);
    struct store_view *view = scratch_view(collection);
    assert_int_equal(store_document(view, id, &document, NULL), LMK_OK);
    store_view_end(view);
    lmk_collection_close(collection);
    return document.state;
}

/* The model runs first over what fits the pattern; documents fill more than a run each. */
static void test_first(void **state)
{
    (void)state;
    static const char *const names[] = {"order/a.txt", "order/b.txt", "order/c.txt"};
    static const char *const patterns[] = {"B.TXT", "*/b.txt", "/order/b"};
    struct lmk_index_report report;
    for (size_t i = 0; i < 3; i++)
        scratch_write_prose(names[i], 20 + i, 400);
    for (size_t i = 0; i < 3; i++) {
        char name[32];
        snprintf(name, sizeof name, "first%zu.lmk", i);
        const struct lmk_index_options stopping = {.progress = stop_after_one,
                                                   .first = patterns[i]};
        assert_int_equal(index_books(name, &stopping, &report), LMK_INTERRUPTED);
        assert_int_equal(state_of(name, 1), DOCUMENT_TEXT);
        assert_int_equal(state_of(name, 2), DOCUMENT_READY);
        assert_int_equal(state_of(name, 3), DOCUMENT_TEXT);
        const struct lmk_index_options going_on = {.first = "c.txt"};
        assert_int_equal(index_books(name, &going_on, &report), LMK_OK);
        assert_int_equal(report.documents, 2);
        for (uint64_t id = 1; id <= 3; id++)
            assert_int_equal(state_of(name, id), DOCUMENT_READY);
    }
}

/* When the time is up it is no error, and the next call goes on. */
static void test_limit(void **state)
{
    (void)state;
    struct lmk_index_report report;
    const struct lmk_index_options none = {.seconds = 1e-9};
    scratch_write_prose("order/a.txt", 20, 400);
    assert_int_equal(index_books("limit.lmk", &none, &report), LMK_OK);
    assert_true(report.out_of_time);
    assert_int_equal(report.documents, 0);
    assert_int_equal(index_books("limit.lmk", NULL, &report), LMK_OK);
    assert_false(report.out_of_time);
    assert_true(report.documents > 0);
}

static time_t seconds_ahead;

/* Instead of the C library's: time can make a leap. */
int clock_gettime(clockid_t clock, struct timespec *now)
{
    int failed = (int)syscall(SYS_clock_gettime, clock, now);
    now->tv_sec += clock == CLOCK_MONOTONIC ? seconds_ahead : 0;
    return failed;
}

/* Stops after so many documents, or the time is up then. */
struct landmarks_until {
    uint64_t documents;
    double seconds;
};

static bool until(void *context, const struct lmk_progress *progress)
{
    const struct landmarks_until *limit = context;
    if (strcmp(progress->stage, "indexing") || progress->documents < limit->documents)
        return true;
    seconds_ahead += (time_t)limit->seconds;
    return limit->seconds > 0;
}

static struct lmk_info index_until(const char *name, struct landmarks_until limit)
{
    const struct lmk_index_options options = {
        .progress = until, .context = &limit, .seconds = limit.seconds};
    struct lmk_index_report report;
    struct lmk_error error;
    char *path = scratch_path("shelf");
    const char *const paths[] = {path};
    struct lmk_collection *collection = scratch_create(name, model, LMK_TIER_F16, NULL);
    enum lmk_status status = lmk_index(collection, paths, 1, &options, &report, &error);
    assert_int_equal(status, limit.seconds > 0 ? LMK_OK : LMK_INTERRUPTED);
    assert_true(report.out_of_time == (limit.seconds > 0));
    struct lmk_info info = info_of(collection);
    lmk_collection_close(collection);
    free(path);
    return info;
}

/* An interrupted run ends at once. Landmark segments over what it completed come with the next
 * run, before its model's work and also where there is none, or with a compaction; a run whose
 * time is up builds them itself. */
static void test_segments_of_stopped_runs(void **state)
{
    (void)state;
    enum { BOOKS = 6 };
    for (uint64_t i = 0; i < BOOKS; i++) {
        char name[32];
        snprintf(name, sizeof name, "shelf/%d.txt", (int)i);
        scratch_write_prose(name, i + 40, 1200);
    }
    struct lmk_error error;
    struct lmk_info info = index_until("early.lmk", (struct landmarks_until){3, 0});
    assert_int_equal(info.documents_ready, 3);
    assert_int_equal(info.segments, 0);
    uint64_t ready = info.blocks_ready;
    assert_int_equal(index_until("early.lmk", (struct landmarks_until){0, 0}).segment_blocks,
                     ready);

    for (int compacts = 0; compacts < 2; compacts++) {
        const char *name = compacts ? "compact.lmk" : "again.lmk";
        info = index_until(name, (struct landmarks_until){BOOKS, 0});
        assert_int_equal(info.documents_ready, BOOKS);
        assert_int_equal(info.segments, 0);
        struct lmk_collection *collection = scratch_writer(name, model);
        if (compacts)
            must(lmk_compact(collection, NULL, NULL, &error), &error);
        else
            assert_int_equal(scratch_index(collection, "shelf").documents, 0);
        assert_int_equal(info_of(collection).segment_blocks, info.blocks);
        lmk_collection_close(collection);
    }

    info = index_until("time.lmk", (struct landmarks_until){3, 10000});
    assert_int_equal(info.documents_ready, 3);
    assert_int_equal(info.segment_blocks, info.blocks_ready);
}

/* A reader finds the document by its landmarks. */
static void check_found(const char *name, uint64_t id)
{
    struct lmk_search_options options = lmk_search_defaults();
    struct lmk_results *results;
    struct lmk_error error;
    struct lmk_collection *collection = scratch_reader(name, model);
    bool found = false;
    options.mode = LMK_LANDMARK;
    must(lmk_search(collection, "abc", &options, &results, &error), &error);
    for (size_t i = 0; i < results->count; i++)
        found |= results->passages[i].document == id;
    assert_true(found);
    lmk_results_free(results);
    lmk_collection_close(collection);
}

/* What was added or changed last is run first, and can be found while the others wait. */
static void test_newest_first(void **state)
{
    (void)state;
    static const char *const names[] = {"order/a.txt", "order/b.txt", "order/c.txt"};
    const struct lmk_index_options stopping = {.progress = stop_after_one};
    struct lmk_index_report report;
    for (size_t i = 0; i < 4; i++) {
        scratch_write_prose(names[i % 3], 40 + i, 400);
        if (i < 2) /* the third comes in the first run, and the first as another in the second */
            continue;
        assert_int_equal(index_books("newest.lmk", &stopping, &report), LMK_INTERRUPTED);
        assert_int_equal(report.documents, 1);
        assert_int_equal(state_of("newest.lmk", 2), DOCUMENT_TEXT);
        assert_int_equal(state_of("newest.lmk", i + 1), DOCUMENT_READY);
        check_found("newest.lmk", i + 1);
    }
    assert_int_equal(index_books("newest.lmk", NULL, &report), LMK_OK);
    assert_int_equal(report.documents, 1);
    for (uint64_t id = 2; id <= 4; id++)
        check_found("newest.lmk", id);
}

static void test_misuse(void **state)
{
    (void)state;
    struct lmk_error error;
    uint64_t removed;
    make("x.lmk");
    char *path = scratch_path("books");
    const char *const paths[] = {path};
    struct lmk_collection *collection = scratch_reader("x.lmk", model);
    assert_int_equal(lmk_index(collection, paths, 1, NULL, NULL, &error), LMK_USAGE);
    assert_int_equal(lmk_remove(collection, "1", &removed, &error), LMK_USAGE);
    assert_int_equal(removed, 0);
    assert_int_equal(info_of(collection).documents, 2);
    lmk_collection_close(collection);
    collection = scratch_writer("x.lmk", NULL);
    assert_int_equal(lmk_index(collection, paths, 1, NULL, NULL, &error), LMK_USAGE);
    assert_int_equal(lmk_remove(collection, "1", &removed, &error), LMK_OK);
    lmk_collection_close(collection);
    lmk_collection_close(NULL);
    free(path);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, scratch_open, scratch_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_create),
        TEST(test_creation_refused),
        TEST(test_damaged_current),
        TEST(test_other_generation),
        TEST(test_interrupted_creation),
        TEST(test_other_model),
        TEST(test_lock),
        TEST(test_killed_writer),
        TEST(test_readers_of_a_writer),
        TEST(test_list),
        TEST(test_info),
        TEST(test_remove),
        TEST(test_remove_by_title),
        TEST(test_index_again),
        TEST(test_copies),
        TEST(test_moved),
        TEST(test_becoming_a_copy),
        TEST(test_tier_names),
        TEST(test_interrupted),
        TEST(test_first),
        TEST(test_newest_first),
        TEST(test_limit),
        TEST(test_segments_of_stopped_runs),
        TEST(test_unreadable_files),
        TEST(test_misuse),
    };
    return cmocka_run_group_tests(tests, open_group, close_group);
}
