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

/* What the reader gave: the only document, which is kept. */
struct kept {
    struct source_document document;
    int count;
};

static char *copy(const char *string)
{
    char *copied = strdup(string);
    assert_non_null(copied);
    return copied;
}

static enum lmk_status keep(void *context, const struct source_document *document,
                            struct lmk_error *error)
{
    (void)error;
    struct kept *kept = context;
    assert_int_equal(kept->count++, 0);
    kept->document = *document;
    kept->document.path = copy(document->path);
    kept->document.title = copy(document->title);
    kept->document.author = copy(document->author);
    kept->document.language = copy(document->language);
    kept->document.metadata = copy(document->metadata);
    kept->document.identity = copy(document->identity);
    struct normalised_text *text = &kept->document.text;
    text->text = copy(document->text.text);
    text->runs = malloc(text->run_count * sizeof *text->runs);
    assert_non_null(text->runs);
    memcpy(text->runs, document->text.runs, text->run_count * sizeof *text->runs);
    return LMK_OK;
}

static void release(struct source_document *document)
{
    free(document->path);
    free(document->title);
    free(document->author);
    free(document->language);
    free(document->metadata);
    free(document->identity);
    normalised_text_release(&document->text);
}

static void refuse_skip(void *context, uint64_t count, const struct lmk_error *error)
{
    (void)context;
    (void)count;
    fail_msg("skipped: %s", error->message);
}

static enum lmk_status read_path(struct source_document *document, const char *path,
                                 struct lmk_error *error)
{
    struct kept kept = {.count = 0};
    struct reader_sink sink = {&kept, keep, refuse_skip};
    enum lmk_status status = reader_read(path, &sink, error);
    assert_int_equal(kept.count, status == LMK_OK);
    *document = kept.document;
    return status;
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
    enum lmk_status status = read_path(document, path, error);
    assert_int_equal(remove(path), 0);
    return status;
}

static struct source_document read_text(const char *name, const char *content)
{
    struct source_document document;
    struct lmk_error error;
    assert_int_equal(read_bytes(&document, name, content, strlen(content), &error), LMK_OK);
    assert_int_equal(document.source_bytes, strlen(content));
    assert_int_equal(document.text.source_size, strlen(content));
    assert_string_equal(document.metadata, "{}");
    assert_string_equal(document.identity, "");
    return document;
}

static void expect_names(const char *name, const char *content, const char *title,
                         const char *author)
{
    struct source_document document = read_text(name, content);
    assert_string_equal(document.title, title);
    assert_string_equal(document.author, author);
    release(&document);
}

static void test_suffixes(void **state)
{
    (void)state;
    assert_true(reader_wants("a.txt") && reader_wants("/x/A.TXT") && reader_wants("b.text"));
    assert_true(reader_wants("b.md") && reader_wants("b.Markdown"));
    assert_true(reader_wants("a.txt.gz") && reader_wants("a.md.ZST") && reader_wants("a.pdf") &&
                reader_wants("a.epub") && reader_wants("a.xhtml"));
    assert_true(reader_wants("a.zip") && reader_wants("a.tar") && reader_wants("a.tar.xz") &&
                reader_wants("a.tgz"));
    assert_false(reader_wants("a.doc") || reader_wants("txt") || reader_wants("a.txt~") ||
                 reader_wants("a.txt/b") || reader_wants("a.gz") || reader_wants("txt.gz"));
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
    release(&document);
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
    release(&document);
}

static void test_other_gutenberg_marks(void **state)
{
    (void)state;
    struct source_document document =
        read_text("pg1.txt", HEADER "***START OF THIS PROJECT GUTENBERG EBOOK A WALK\r\nIN THE "
                                    "WOODS***\r\n\r\nIt was late.\r\n\r\n\r\n"
                                    "End of Project Gutenberg's A Walk, by Jane Roe\r\n" LICENCE);
    assert_string_equal(document.text.text, "It was late.");
    release(&document);
    document = read_text(
        "pg1.txt", HEADER
        "*END*THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*END*\r\nIt was late.\r\n");
    assert_string_equal(document.text.text, "It was late.");
    release(&document);
    document = read_text("note.txt", "Title: none of theirs\n\nIt was late.\n");
    assert_string_equal(document.text.text, "Title: none of theirs\nIt was late.");
    assert_string_equal(document.language, "");
    release(&document);
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
    expect_failure("a.txt", "\xFF\xFEt\0\0\0", 6, LMK_INPUT, "NUL");
    expect_failure("a.txt", "\x1F\x8B no gzip", 10, LMK_INPUT, "damaged");
    expect_failure("a.txt", "\xCF\xF0\xE8\xE2\xE5\xF2, \xEC\xE8\xF0", 11, LMK_INPUT, "UTF-8");
    expect_failure("a.txt", "*** START OF THE PROJECT GUTENBERG EBOOK A WALK ***\n\n", 53,
                   LMK_INPUT, "white space");
}

static void test_a_few_bad_bytes(void **state)
{
    (void)state;
    struct source_document document =
        read_text("a.txt", "na\xEFve \xE2\x80\x93 but readable \xE2\x80\x93 still\n");
    assert_string_equal(document.text.text,
                        "na\xEF\xBF\xBDve \xE2\x80\x93 but readable \xE2\x80\x93 still");
    assert_int_equal(document.text.invalid_bytes, 1);
    release(&document);
}

static void test_unreadable(void **state)
{
    (void)state;
    struct source_document document;
    struct lmk_error error;
    char path[64];
    assert_int_equal(read_path(&document, "no/such/book.txt", &error), LMK_IO);
    assert_non_null(strstr(error.message, "no/such/book.txt"));
    assert_int_equal(read_path(&document, folder, &error), LMK_IO);
    snprintf(path, sizeof path, "%s/pipe.txt", folder);
    assert_int_equal(mkfifo(path, 0600), 0); /* must not wait for a writer */
    assert_int_equal(read_path(&document, path, &error), LMK_IO);
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
        assert_int_equal(read_path(&document, path, &error), LMK_INPUT);
        assert_non_null(strstr(error.message, "4 GiB"));
    }
    assert_int_equal(remove(path), 0);
}

/* Appends the texts, each after a stroke. */
static enum lmk_status join(void *context, const struct source_document *document,
                            struct lmk_error *error)
{
    (void)error;
    strcat(strcat(context, "|"), document->text.text);
    return LMK_OK;
}

static void pass_over(void *context, uint64_t count, const struct lmk_error *error)
{
    (void)context, (void)count, (void)error;
}

/* Wherever a file of lines is cut, each line is read once, with the part that it begins in. */
static void test_lines_in_parts(void **state)
{
    (void)state;
    static const char content[] = "{\"text\": \"one\"}\n\nno record\n{\"text\": \"two\"}\r\n"
                                  "{\"text\": \"three\"}";
    static const char expected[] = "|one|two|three";
    char path[64], joined[64];
    snprintf(path, sizeof path, "%s/lines.jsonl", folder);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(content, 1, sizeof content - 1, file), sizeof content - 1);
    assert_int_equal(fclose(file), 0);
    const struct reader_sink sink = {joined, join, pass_over};
    struct lmk_error error;
    for (uint64_t cut = 0; cut <= sizeof content + 3; cut++) {
        uint64_t bytes, rest;
        joined[0] = '\0';
        reader_read_lines(path, 0, cut, &bytes, &sink, &error);
        assert_true(!strncmp(joined, expected, strlen(joined)));
        assert_true(cut < sizeof content - 1 || !strcmp(joined, expected));
        assert_true(cut || !joined[0]);
        reader_read_lines(path, cut, UINT64_MAX, &rest, &sink, &error);
        assert_string_equal(joined, expected);
        assert_int_equal(bytes + rest, sizeof content - 1);
    }
    assert_true(reader_has_lines(path));
    assert_int_equal(truncate(path, 0), 0);
    assert_false(reader_has_lines(path));
    assert_int_equal(remove(path), 0);
    assert_false(reader_has_lines(path));
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
        cmocka_unit_test(test_lines_in_parts),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
