#include "index/walk.h"
#include "tests/unit/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void link_to(const char *target, const char *name)
{
    char *path = scratch_path(name);
    assert_int_equal(symlink(target, path), 0);
    free(path);
}

/* What was left out: the paths, a line each. */
static char skipped[4000];

static void on_skip(void *context, const char *path, const struct lmk_error *fault)
{
    (void)context;
    assert_non_null(strstr(fault->message, path));
    strncat(skipped, path, sizeof skipped - strlen(skipped) - 1);
    strncat(skipped, "\n", sizeof skipped - strlen(skipped) - 1);
}

static const struct walk_sink sink = {NULL, on_skip};

static void expect_skipped(const char *const *names, size_t count)
{
    char expected[sizeof skipped] = "";
    for (size_t i = 0; i < count; i++) {
        char *path = scratch_path(names[i]);
        strcat(strcat(expected, path), "\n");
        free(path);
    }
    assert_string_equal(skipped, expected);
}

static struct file_list walk_names(const char *const *names, size_t count)
{
    char *paths[8] = {NULL};
    struct file_list list;
    struct lmk_error error;
    for (size_t i = 0; i < count; i++)
        paths[i] = scratch_path(names[i]);
    skipped[0] = '\0';
    if (walk(&list, (const char *const *)paths, count, &sink, &error))
        fail_msg("%s", error.message);
    for (size_t i = 0; i < count; i++)
        free(paths[i]);
    return list;
}

static void expect(const char *const *names, size_t name_count, const char *const *files,
                   size_t file_count)
{
    struct file_list list = walk_names(names, name_count);
    assert_int_equal(list.count, file_count);
    for (size_t i = 0; i < file_count; i++) {
        char *path = scratch_path(files[i]);
        assert_string_equal(list.files[i].path, path);
        struct file_state now; /* a link's is that of the file itself */
        assert_true(file_look(path, &now));
        assert_true(now.size == list.files[i].state.size &&
                    now.modified_ns == list.files[i].state.modified_ns);
        free(path);
    }
    file_list_release(&list);
}

static int make_tree(void **state)
{
    static const char *const names[] = {
        "books/b.txt",      "books/a.md",       "books/sub/deep/z.TXT",
        "books/sub/c.text", "books/notes.doc",  "books/.hidden.txt",
        "books/.git/d.txt", "books/e.markdown", "books/Makefile",
        "outside/f.txt",    "plain.dat",        ".dotted/g.txt",
        "empty/nothing.xy",
    };
    if (scratch_open(state))
        return -1;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        scratch_write_text(names[i], "text\n");
    link_to("../outside", "books/link");
    link_to("../outside/f.txt", "books/link.txt");
    link_to("notes.doc", "books/link.doc");
    link_to("nowhere", "books/broken.txt");
    link_to("nowhere", "books/broken.doc");
    link_to("books", "shelf");
    return 0;
}

static void test_folder(void **state)
{
    (void)state;
    const char *const books[] = {"books"};
    const char *const files[] = {"books/a.md",     "books/b.txt",      "books/e.markdown",
                                 "books/link.txt", "books/sub/c.text", "books/sub/deep/z.TXT"};
    const char *const others[] = {"books/broken.txt", "books/link"};
    expect(books, 1, files, 6);
    expect_skipped(others, 2);
    /* A link that is named is followed, and the paths are those of the files themselves. */
    const char *const shelf[] = {"shelf/"};
    expect(shelf, 1, files, 6);
}

static void test_named(void **state)
{
    (void)state;
    const char *const names[] = {"plain.dat", "books/.hidden.txt", "books/../outside", ".dotted"};
    const char *const files[] = {"plain.dat", "books/.hidden.txt", "outside/f.txt",
                                 ".dotted/g.txt"};
    expect(names, 4, files, 4);
    const char *const link[] = {"books/link.txt"}, *const target[] = {"outside/f.txt"};
    expect(link, 1, target, 1);
}

static void test_nothing(void **state)
{
    (void)state;
    const char *const names[] = {"empty"};
    expect(names, 1, NULL, 0);
    expect(NULL, 0, NULL, 0);
}

static void expect_input(const char *name)
{
    char *path = scratch_path(name), *good = scratch_path("books");
    const char *const paths[] = {good, path};
    struct file_list list;
    struct lmk_error error;
    assert_int_equal(walk(&list, paths, 2, &sink, &error), LMK_INPUT);
    assert_non_null(strstr(error.message, path));
    assert_int_equal(list.count, 0);
    free(path);
    free(good);
}

static void test_missing(void **state)
{
    (void)state;
    expect_input("no-such");
    expect_input("plain.dat/below");
}

/* It is named, and what stands beside it is read. */
static void test_locked_folder(void **state)
{
    (void)state;
    const char *const names[] = {"books", "outside"}, *const locked[] = {"books/sub"};
    const char *const files[] = {"books/a.md", "books/b.txt", "books/e.markdown", "books/link.txt",
                                 "outside/f.txt"};
    const char *const others[] = {"books/broken.txt", "books/link", "books/sub"};
    char *top = scratch_path("."), *path = scratch_path(locked[0]);
    uid_t user = geteuid();
    assert_int_equal(chmod(top, 0755), 0);
    assert_int_equal(chmod(path, 0), 0);
    if (!user)
        assert_int_equal(seteuid(65534), 0); /* root reads everything */
    expect(names, 2, files, 5);
    assert_int_equal(seteuid(user), 0);
    assert_int_equal(chmod(path, 0777), 0);
    expect_skipped(others, 3);
    free(path);
    free(top);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_folder),        cmocka_unit_test(test_named),
        cmocka_unit_test(test_nothing),       cmocka_unit_test(test_missing),
        cmocka_unit_test(test_locked_folder),
    };
    return cmocka_run_group_tests(tests, make_tree, scratch_close);
}
