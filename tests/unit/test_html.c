#include "src/text/markup.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct html_text read_page(const char *page, size_t size)
{
    struct html_text result;
    html_text_init(&result, 1 << 20);
    assert_int_equal(html_read(&result, (struct slice){page, size}, "page", NULL), LMK_OK);
    assert_int_equal(buffer_append(&result.text, "", 1, NULL), LMK_OK);
    return result;
}

static void expect(const char *page, const char *text)
{
    struct html_text result = read_page(page, strlen(page));
    assert_string_equal((const char *)result.text.data, text);
    html_text_release(&result);
}

static void test_paragraphs(void **state)
{
    (void)state;
    expect("<p>One\n  two <b>th</b>ree.<p>Four", "One two three.\n\nFour");
    expect("<html><body><div>One<div>Two</div>Three</div>", "One\n\nTwo\n\nThree");
    expect("<p>Verse one<br/>verse two</p>", "Verse one\nverse two");
    expect("<table><tr><td>1<td>2<tr><td>3</table>", "1 2\n\n3");
    expect("<pre>a\n  b\n</pre>c", "a\nb\n\nc");
    expect("<ul><li>One<li>Two</ul>", "One\n\nTwo");
    expect("a&nbsp;&mdash;&#8212;&#x41;&amp;&unknown; so&shy;ft", "a \u2014\u2014A&&unknown; soft");
    expect("", "");
    expect("<p> </p>", "");
}

static void test_what_is_left_out(void **state)
{
    (void)state;
    expect("<head><title>T</title><style>p {}</style></head><script>var x = '<p>no';</script>"
           "<nav><p>Contents</p></nav><p>Text<!-- comment --></p>",
           "Text");
    expect("<p>Fact<a epub:type='noteref' href='#n1'>1</a>.</p>"
           "<aside epub:type='footnote' id='n1'><p>Note</p></aside><p>More",
           "Fact.\n\nMore");
    expect("<p>Fact<a class=\"x fnanchor\">[1]</a><span class='pagenum'>[Pg 3]</span>.</p>"
           "<div class='footnote'>Note <div>and</div> more</div>",
           "Fact.");
    expect("<section role='doc-endnotes'><ol><li>Note</ol></section><p hidden>x</p><p>Text",
           "Text");
    expect("<svg><title>no</title><text>no</text></svg><p>Text", "Text");
}

static void expect_section(const struct html_text *result, size_t index, const char *heading,
                           const char *begins)
{
    const struct html_section *section =
        (const struct html_section *)(void *)result->sections.data + index;
    assert_true((index + 1) * sizeof *section <= result->sections.size);
    assert_string_equal((const char *)result->names.data + section->heading, heading);
    const char *text = (const char *)result->text.data + section->text;
    assert_memory_equal(text, begins, strlen(begins));
}

static void test_sections(void **state)
{
    (void)state;
    static const char page[] =
        "<p>Before<h1>The <i>Book</i></h1><h2>I.<br>Down</h2><p>One</p><h2>Chapter II</h2>"
        "<h3>The Pool</h3><p>Two</p><h4>no section</h4><p>Three<h2></h2><h3> </h3><p>Four";
    struct html_text result = read_page(page, sizeof page - 1);
    assert_int_equal(result.sections.size / sizeof(struct html_section), 3);
    expect_section(&result, 0, "The Book", "The Book\n\nI.\nDown");
    expect_section(&result, 1, "I. Down", "I.\nDown\n\nOne");
    expect_section(&result, 2, "Chapter II: The Pool", "Chapter II\n\nThe Pool\n\nTwo");
    html_text_release(&result);
}

static void test_names(void **state)
{
    (void)state;
    static const char page[] =
        "<html lang='fr-CA'><head><title> The\n Title </title><meta name=Author content='Jane Roe'>"
        "<meta name='dc.date' content='1901-05-01'><title>Second</title></head><p>x";
    struct html_text result = read_page(page, sizeof page - 1);
    assert_string_equal(result.title, "The Title ");
    assert_string_equal(result.author, "Jane Roe");
    assert_string_equal(result.language, "fr-CA");
    assert_string_equal(result.year, "1901");
    html_text_release(&result);
}

static void expect_bytes(const char *page, size_t size, const char *text, uint64_t invalid)
{
    struct html_text result = read_page(page, size);
    assert_string_equal((const char *)result.text.data, text);
    assert_int_equal(result.invalid_bytes, invalid);
    html_text_release(&result);
}
#define EXPECT_BYTES(page, text, invalid) expect_bytes(page, sizeof(page) - 1, text, invalid)

static void test_encodings(void **state)
{
    (void)state;
    EXPECT_BYTES("<p>caf\xC3\xA9", "caf\u00e9", 0);
    EXPECT_BYTES("<meta charset=\"iso-8859-1\"><p>caf\xE9", "caf\u00e9", 0);
    EXPECT_BYTES("<p>caf\xE9", "caf\u00e9", 0);
    EXPECT_BYTES("<?xml version='1.0' encoding='windows-1251'?><p>\xCC\xE8\xF0",
                 "\u041c\u0438\u0440", 0);
    EXPECT_BYTES("<meta charset='shift_jis'><p>\x93\xFA\x96{", "\u65e5\u672c", 0);
    /* what it says cannot be, or is nothing */
    EXPECT_BYTES("<meta charset='no-such-name'><p>caf\xE9", "caf\u00e9", 0);
    EXPECT_BYTES("<meta charset='iso-8859-1'><p>caf\xC3\xA9", "caf\u00e9", 0);
    /* Windows-1252 by the names of its parts */
    EXPECT_BYTES("<meta charset=ISO-8859-1><p>\x93"
                 "caf\xE9\x94 \x97 5 \x80",
                 "\u201ccaf\u00e9\u201d \u2014 5 \u20ac", 0);
    EXPECT_BYTES("<meta charset='us-ascii'><p>it\x92s caf\xE9", "it\u2019s caf\u00e9", 0);
    EXPECT_BYTES("\xEF\xBB\xBF<meta charset='iso-8859-1'><p>caf\xC3\xA9", "caf\u00e9", 0);
    /* the name of the key is the last that there is; the first one is of something else */
    static const char key[] = "<p>charset";
    char *page = malloc(sizeof key - 1); /* so that the sanitizer sees where it ends */
    assert_non_null(page);
    memcpy(page, key, sizeof key - 1);
    expect_bytes(page, sizeof key - 1, "charset", 0);
    free(page);
    EXPECT_BYTES("<p>charset <meta charset='windows-1251'>\xCC", "charset\n\n\u041c", 0);
    EXPECT_BYTES("<p>\xC3\xA9\xFF\0x", "\u00e9\uFFFD\uFFFDx", 1);
    EXPECT_BYTES("\xFF\xFE<\0p\0>\0a\0\xE9\0", "a\u00e9", 0);
}

static void refuse(const char *page, size_t size, size_t text_max, const char *why)
{
    struct html_text result;
    struct lmk_error error;
    html_text_init(&result, text_max);
    assert_int_equal(html_read(&result, (struct slice){page, size}, "bad.html", &error), LMK_INPUT);
    assert_non_null(strstr(error.message, "bad.html"));
    assert_non_null(strstr(error.message, why));
    html_text_release(&result);
}

/* A page with an element of so many attributes, all different. */
static size_t write_attributes(char *page, size_t count)
{
    size_t size = (size_t)sprintf(page, "<p");
    for (size_t i = 0; i < count; i++)
        size += (size_t)sprintf(page + size, " a%zu='%zu'", i, i);
    return size + (size_t)sprintf(page + size, ">Text");
}

static void test_hostile_pages(void **state)
{
    (void)state;
    /* Entities of the page's own stand for nothing, and nothing is loaded. */
    static const char entities[] =
        "<!DOCTYPE html [<!ENTITY x SYSTEM 'file:///etc/passwd'><!ENTITY y 'yyyy'>]>"
        "<p>a&x;b&y;c";
    struct html_text text = read_page(entities, sizeof entities - 1);
    assert_string_equal((const char *)text.text.data, "a&x;b&y;c");
    html_text_release(&text);
    char *page = malloc(3000000);
    assert_non_null(page);
    for (size_t i = 0; i < 1000000; i++)
        memcpy(page + 3 * i, "<b>", 3);
    refuse(page, 3000000, 1 << 20, "nested thousands");
    memset(page, 'x', 3000000);
    refuse(page, 3000000, 1000, "more text");
    refuse(page, write_attributes(page, 5000), 1 << 20, "more than 256 attributes");
    /* what is a lot, and still read */
    size_t size = write_attributes(page, 256);
    text = read_page(page, size);
    assert_string_equal((const char *)text.text.data, "Text");
    html_text_release(&text);
    free(page);
}

/* The parser does not recurse: this is as good as a shallow page. */
static void test_deep_pages(void **state)
{
    (void)state;
    size_t depth = 30000, size = 0;
    char *page = malloc(6 * depth + 20);
    assert_non_null(page);
    for (size_t i = 0; i < depth; i++)
        size += (size_t)sprintf(page + size, "<div>");
    size += (size_t)sprintf(page + size, "<p>Deep text");
    struct html_text text = read_page(page, size);
    assert_string_equal((const char *)text.text.data, "Deep text");
    html_text_release(&text);
    free(page);
}

static void count_start(void *context, const char *name, const char *const *attributes)
{
    (void)attributes;
    strncat(context, name, 20);
}

static void count_end(void *context, const char *name)
{
    (void)context;
    (void)name;
}

static void add_text(void *context, const char *text, size_t size)
{
    strncat(context, text, size);
}

static void test_xml(void **state)
{
    (void)state;
    static const struct markup_handler handler = {count_start, count_end, add_text};
    static const char *const documents[][2] = {
        {"<a:b x='1'>t&amp;u<![CDATA[<v>]]></a:b>", "bt&u<v>"},
        {"<!DOCTYPE a [<!ENTITY e 'boom'><!ENTITY f SYSTEM 'file:///etc/passwd'>"
         "<!ENTITY % p SYSTEM 'file:///etc/passwd'> %p;]><a>1&e;2&f;3</a>",
         "a123"},
        {"<a>one<b></a>", "aoneb"},
        {"no xml", ""},
    };
    for (size_t i = 0; i < sizeof documents / sizeof documents[0]; i++) {
        char found[200] = "";
        xml_parse((struct slice){documents[i][0], strlen(documents[i][0])}, &handler, found);
        assert_string_equal(found, documents[i][1]);
    }
    /* After an element of too many attributes nothing more comes. */
    static char many[200000];
    char found[200] = "";
    memcpy(many, "<a>", 3);
    size_t size = 3 + write_attributes(many + 3, 5000);
    size += (size_t)sprintf(many + size, "</p>%*s<c/></a>", 20000, "");
    xml_parse((struct slice){many, size}, &handler, found);
    assert_null(strstr(found, "c"));
}

static void test_begins(void **state)
{
    (void)state;
    static const char *const pages[] = {"<!DOCTYPE html><p>", " <HTML lang=x>",
                                        "<?xml version='1.0'?>\n<!-- c -->\n<html>"};
    static const char *const others[] = {"<?xml version='1.0'?><rss>", "text <html>", "", "<!-- "};
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++)
        assert_true(html_begins((struct slice){pages[i], strlen(pages[i])}));
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_false(html_begins((struct slice){others[i], strlen(others[i])}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paragraphs), cmocka_unit_test(test_what_is_left_out),
        cmocka_unit_test(test_sections),   cmocka_unit_test(test_names),
        cmocka_unit_test(test_encodings),  cmocka_unit_test(test_hostile_pages),
        cmocka_unit_test(test_deep_pages), cmocka_unit_test(test_xml),
        cmocka_unit_test(test_begins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
