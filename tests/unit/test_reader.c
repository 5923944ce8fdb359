#include "src/text/reader.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/lmk-test-reader-XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

/* A file with this name and content, read and removed again. */
static enum lmk_status read_bytes(struct source_document *document, const char *name,
                                  const char *content, size_t size, struct lmk_error *error)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(content, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    enum lmk_status status = reader_read(document, path, error);
    assert_int_equal(remove(path), 0);
    return status;
}

static struct source_document read_text(const char *name, const char *content)
{
    struct source_document document;
    struct lmk_error error;
    assert_int_equal(read_bytes(&document, name, content, strlen(content), &error), LMK_OK);
    assert_int_equal(document.file_size, strlen(content));
    assert_int_equal(document.text.source_size, strlen(content));
    return document;
}

static void expect_names(const char *name, const char *content, const char *title,
                         const char *author)
{
    struct source_document document = read_text(name, content);
    assert_string_equal(document.title, title);
    assert_string_equal(document.author, author);
    source_document_release(&document);
}

static void test_suffixes(void **state)
{
    (void)state;
    assert_true(reader_knows_suffix("a.txt") && reader_knows_suffix("/x/A.TXT") &&
                reader_knows_suffix("b.text"));
    assert_true(reader_knows_suffix("b.md") && reader_knows_suffix("b.Markdown"));
    assert_false(reader_knows_suffix("a.pdf") || reader_knows_suffix("txt") ||
                 reader_knows_suffix("a.txt~") || reader_knows_suffix("a.txt/b"));
}

static void test_names_from_the_text(void **state)
{
    (void)state;
    expect_names("a.txt", "The Cask\n\nby Freeman Wills Crofts\n\nI\n\nMr. Avery had arrived.\n",
                 "The Cask", "Freeman Wills Crofts");
    expect_names("a.txt",
                 "NEAL, THE\nMILLER\n\nA SON OF LIBERTY\n\nBY\n\nJAMES OTIS.\n\nCONTENTS\n",
                 "NEAL, THE MILLER", "JAMES OTIS");
    expect_names("a.txt", "Some Stories by Charles Dickens\n\n\nContents:\n", "Some Stories",
                 "Charles Dickens");
    expect_names("a.txt", "Death by Chocolate\n\nIt was late.\n", "Death by Chocolate", "");
    expect_names("a.txt", "Stand by me\n\nIt was late.\n", "Stand by me", "");
    expect_names("a.txt", "THE LIFE\n\nOF\n\nLORD NELSON.\n\nBy Robert Southey (1774-1843)\n",
                 "THE LIFE OF LORD NELSON", "Robert Southey");
    expect_names("a.txt", "WHERE ANGELS FEAR TO TREAD\n\nE. M. Forster\n\nChapter 1\n",
                 "WHERE ANGELS FEAR TO TREAD", "E. M. Forster");
    expect_names("a.txt", "Three Men\n\nBOOK I.\n\nby night and day\n\nThey went.\n", "Three Men",
                 "");
    expect_names(
        "a.txt",
        "[Illustration: cover]\n\nProduced by Some One\n\nTancred\n\nCHAPTER I\n\nby John Brown\n",
        "Tancred", "");
    expect_names("a.txt", "THE CHOSEN PEOPLE\n\nBY THE AUTHOR OF \"THE HEIR\"\n\n",
                 "THE CHOSEN PEOPLE", "");
}

static void test_names_from_the_file_name(void **state)
{
    (void)state;
    const char *prose =
        "The sun was long down, and the road, which nobody had mended since the war, led on and on "
        "through a country without a light or a voice in it.\n\nThey said nothing.\n";
    expect_names("a_long_walk.txt", prose, "a long walk", "");
    expect_names("Jane Roe - A Long Walk.txt", prose, "A Long Walk", "Jane Roe");
    expect_names("Jane Roe___A Long Walk.txt", prose, "A Long Walk", "Jane Roe");
    expect_names("Jane Roe - A Long Walk.txt", "Walks\n\nby Somebody Else\n", "A Long Walk",
                 "Jane Roe");
    expect_names("Chapter 1 - The Walk.txt", prose, "Chapter 1 - The Walk", "");
    expect_names("bad \xFF name.txt", prose, "bad \xEF\xBF\xBD name", "");
}

static void test_markdown(void **state)
{
    (void)state;
    struct source_document document =
        read_text("a.md", "\xEF\xBB\xBF# The *Walk* #\nIt was late.\n\n_by Jane Roe_\n");
    assert_string_equal(document.kind, "markdown");
    assert_string_equal(document.title, "The *Walk*");
    assert_string_equal(document.author, "Jane Roe");
    source_document_release(&document);
    expect_names("a.md", "```\n# not this\n```\ntext\n\nThe Walk\n========\n", "The Walk", "");
    expect_names("a.md", "# **The Walk**\n\nby Jane Roe\n", "The Walk", "Jane Roe");
    expect_names("a.md", "No heading\n\n## only a second one\n", "No heading", "");
}

#define HEADER                                                                                     \
    "\xEF\xBB\xBFThe Project Gutenberg EBook of A Walk, by Jane Roe\r\n\r\nTitle: A  "             \
    "Walk\r\n\r\nAuthor: Jane Roe\r\n"                                                             \
    "\r\nLanguage: French\r\n\r\n"
#define LICENCE                                                                                    \
    "*** END OF THE PROJECT GUTENBERG EBOOK A WALK ***\r\n\r\nUpdated editions will replace "      \
    "it.\r\n"

static void test_gutenberg(void **state)
{
    (void)state;
    const char *content = HEADER "*** START OF THE PROJECT GUTENBERG EBOOK A WALK "
                                 "***\r\n\r\n\r\nIt was\r\nlate.\r\n\r\n" LICENCE;
    struct source_document document = read_text("pg1.txt", content);
    assert_string_equal(document.title, "A Walk");
    assert_string_equal(document.author, "Jane Roe");
    assert_string_equal(document.language, "fr");
    assert_string_equal(document.text.text, "It was late.");
    uint64_t start = normalised_source(&document.text, 0),
             end = normalised_source(&document.text, document.text.size);
    assert_int_equal(start, strstr(content, "It was") - content);
    assert_int_equal(end, strstr(content, "late.") + 5 - content);
    source_document_release(&document);
}

static void test_other_gutenberg_marks(void **state)
{
    (void)state;
    struct source_document document =
        read_text("pg1.txt", HEADER "***START OF THIS PROJECT GUTENBERG EBOOK A WALK\r\nIN THE "
                                    "WOODS***\r\n\r\nIt was late.\r\n\r\n\r\n"
                                    "End of Project Gutenberg's A Walk, by Jane Roe\r\n" LICENCE);
    assert_string_equal(document.text.text, "It was late.");
    source_document_release(&document);
    document = read_text(
        "pg1.txt", HEADER
        "*END*THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*END*\r\nIt was late.\r\n");
    assert_string_equal(document.text.text, "It was late.");
    source_document_release(&document);
    document = read_text("note.txt", "Title: none of theirs\n\nIt was late.\n");
    assert_string_equal(document.text.text, "Title: none of theirs\nIt was late.");
    assert_string_equal(document.language, "");
    source_document_release(&document);
}

static void expect_failure(const char *name, const char *content, size_t size,
                           enum lmk_status status, const char *reason)
{
    struct source_document document;
    struct lmk_error error;
    assert_int_equal(read_bytes(&document, name, content, size, &error), status);
    assert_non_null(strstr(error.message, name));
    assert_non_null(strstr(error.message, reason));
}

static void test_bad_input(void **state)
{
    (void)state;
    expect_failure("a.txt", "", 0, LMK_INPUT, "empty");
    expect_failure("a.txt", " \n\r\n\t", 5, LMK_INPUT, "white space");
    expect_failure("a.txt", "text\0more", 9, LMK_INPUT, "offset 4");
    expect_failure("a.txt", "\xFF\xFEt\0e\0", 6, LMK_INPUT, "UTF-16");
    expect_failure("a.txt", "\xCF\xF0\xE8\xE2\xE5\xF2, \xEC\xE8\xF0", 11, LMK_INPUT, "UTF-8");
    expect_failure("a.txt", "*** START OF THE PROJECT GUTENBERG EBOOK A WALK ***\n\n", 53,
                   LMK_INPUT, "white space");
}

static void test_a_few_bad_bytes(void **state)
{
    (void)state;
    struct source_document document = read_text("a.txt", "na\xEFve but readable\n");
    assert_string_equal(document.text.text, "na\xEF\xBF\xBDve but readable");
    source_document_release(&document);
}

static void test_unreadable(void **state)
{
    (void)state;
    struct source_document document;
    struct lmk_error error;
    char path[64];
    assert_int_equal(reader_read(&document, "no/such/book.txt", &error), LMK_IO);
    assert_non_null(strstr(error.message, "no/such/book.txt"));
    assert_int_equal(reader_read(&document, folder, &error), LMK_IO);
    snprintf(path, sizeof path, "%s/pipe.txt", folder);
    assert_int_equal(mkfifo(path, 0600), 0); /* must not wait for a writer */
    assert_int_equal(reader_read(&document, path, &error), LMK_IO);
    assert_int_equal(remove(path), 0);
}

/* 5 GB that take no space on the disk. */
static void test_too_large(void **state)
{
    (void)state;
    struct source_document document;
    struct lmk_error error;
    char path[64];
    snprintf(path, sizeof path, "%s/large.txt", folder);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    int truncated = ftruncate(fileno(file), 5000000000);
    fclose(file);
    if (truncated == 0) {
        assert_int_equal(reader_read(&document, path, &error), LMK_INPUT);
        assert_non_null(strstr(error.message, "4 GiB"));
    }
    assert_int_equal(remove(path), 0);
}

static void test_modification_time(void **state)
{
    (void)state;
    struct source_document document = read_text("a.txt", "text\n");
    assert_true(document.modified_ns > (int64_t)1500000000 * 1000000000);
    assert_string_equal(document.kind, "text");
    source_document_release(&document);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_suffixes),
        cmocka_unit_test(test_names_from_the_text),
        cmocka_unit_test(test_names_from_the_file_name),
        cmocka_unit_test(test_markdown),
        cmocka_unit_test(test_gutenberg),
        cmocka_unit_test(test_other_gutenberg_marks),
        cmocka_unit_test(test_bad_input),
        cmocka_unit_test(test_a_few_bad_bytes),
        cmocka_unit_test(test_unreadable),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_modification_time),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
