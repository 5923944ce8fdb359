/* Heat maps: every cell with its number, colours that darken, text that cannot break the file. */
#include "cli/eval/heatmap.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char *read_whole(const char *path)
{
    char *text = NULL;
    size_t room = 0;
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_true(getdelim(&text, &room, '\0', file) > 0);
    fclose(file);
    return text;
}

static size_t count(const char *text, const char *wanted)
{
    size_t found = 0;
    for (const char *at = text; (at = strstr(at, wanted)); at++)
        found++;
    return found;
}

static void test_picture(void **state)
{
    char path[] = "/tmp/lmk-map-XXXXXX";
    char *columns[] = {(char[]){"1024"}, (char[]){"2048"}}, *rows[] = {(char[]){"0 %"}};
    static const char *const panels[] = {"<one> & more", "two"};
    static const double values[] = {0, 1, .5, NAN};
    struct heatmap heatmap = {.title = "title",
                              .column_axis = "tokens",
                              .row_axis = "depth",
                              .columns = columns,
                              .rows = rows,
                              .column_count = 2,
                              .row_count = 1,
                              .panels = panels,
                              .panel_count = 2,
                              .values = values};
    (void)state;
    close(mkstemp(path));
    assert_int_equal(heatmap_write(&heatmap, path, NULL), LMK_OK);
    char *picture = read_whole(path);
    assert_int_equal(count(picture, "<rect"), 5); /* four cells and the ground */
    assert_int_equal(count(picture, ">0.00<"), 1);
    assert_int_equal(count(picture, ">1.00<"), 1);
    assert_int_equal(count(picture, ">0.50<"), 1);
    assert_int_equal(count(picture, "nan"), 0);
    assert_int_equal(count(picture, ">1024<"), 2);
    assert_non_null(strstr(picture, "&lt;one> &amp; more"));
    assert_non_null(strstr(picture, "rgb(253,245,230)")); /* 0 */
    assert_non_null(strstr(picture, "rgb(0,90,50)"));     /* 1 */
    assert_int_equal(count(picture, "<text"), count(picture, "</text>"));
    free(picture);
    unlink(path);
}

static void test_unwritable(void **state)
{
    struct heatmap heatmap = {.title = "", .column_axis = "", .row_axis = ""};
    struct lmk_error error;
    (void)state;
    assert_int_equal(heatmap_write(&heatmap, "/nonexistent/map.svg", &error), LMK_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_picture),
                                       cmocka_unit_test(test_unwritable)};
    return cmocka_run_group_tests_name("heatmap", tests, NULL, NULL);
}
