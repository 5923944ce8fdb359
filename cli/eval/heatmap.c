#include "cli/eval/heatmap.h"

#include "cli/fail.h"

#include <math.h>
#include <stdio.h>

/* Pixels. */
enum { CELL_WIDTH = 62, CELL_HEIGHT = 26, LEFT = 80, TOP = 76, BOTTOM = 44, GAP = 90 };

static void write_text(FILE *file, const char *text)
{
    for (; *text; text++) {
        if (*text == '<')
            fputs("&lt;", file);
        else if (*text == '&')
            fputs("&amp;", file);
        else
            putc(*text, file);
    }
}

static void write_label(FILE *file, size_t x, size_t y, const char *style, const char *text)
{
    fprintf(file, "<text x=\"%zu\" y=\"%zu\" %s>", x, y, style);
    write_text(file, text);
    fputs("</text>\n", file);
}

/* White over yellow-green to dark green: lighter is less, also without colours. */
static void write_colour(FILE *file, double value)
{
    static const double stops[3][3] = {{253, 245, 230}, {120, 198, 121}, {0, 90, 50}};
    double at = 2 * fmin(fmax(value, 0), 1);
    size_t stop = at < 1 ? 0 : 1;
    fputs("fill=\"rgb(", file);
    for (size_t c = 0; c < 3; c++) {
        double low = stops[stop][c], high = stops[stop + 1][c];
        fprintf(file, "%s%.0f", c ? "," : "", low + (at - (double)stop) * (high - low));
    }
    fputs(")\"", file);
}

static void write_cell(FILE *file, size_t x, size_t y, double value)
{
    char text[16];
    fprintf(file, "<rect x=\"%zu\" y=\"%zu\" width=\"%d\" height=\"%d\" stroke=\"white\" ", x, y,
            CELL_WIDTH, CELL_HEIGHT);
    if (isnan(value)) {
        fputs("fill=\"#ddd\"/>\n", file);
        return;
    }
    write_colour(file, value);
    fputs("/>\n", file);
    snprintf(text, sizeof text, "%.2f", value);
    write_label(file, x + CELL_WIDTH / 2, y + CELL_HEIGHT / 2 + 4,
                value > .6 ? "text-anchor=\"middle\" fill=\"white\"" : "text-anchor=\"middle\"",
                text);
}

static void write_panel(FILE *file, const struct heatmap *heatmap, size_t panel, size_t left)
{
    size_t columns = heatmap->column_count, rows = heatmap->row_count;
    write_label(file, left, TOP - 24, "font-weight=\"bold\"", heatmap->panels[panel]);
    for (size_t r = 0; r < rows; r++) {
        size_t y = TOP + r * CELL_HEIGHT;
        write_label(file, left - 6, y + CELL_HEIGHT / 2 + 4, "text-anchor=\"end\"",
                    heatmap->rows[r]);
        for (size_t c = 0; c < columns; c++)
            write_cell(file, left + c * CELL_WIDTH, y,
                       heatmap->values[(panel * rows + r) * columns + c]);
    }
    size_t below = TOP + rows * CELL_HEIGHT;
    for (size_t c = 0; c < columns; c++)
        write_label(file, left + c * CELL_WIDTH + CELL_WIDTH / 2, below + 16,
                    "text-anchor=\"middle\"", heatmap->columns[c]);
    write_label(file, left + columns * CELL_WIDTH / 2, below + 34, "text-anchor=\"middle\"",
                heatmap->column_axis);
    write_label(file, left - 6, TOP - 8, "text-anchor=\"end\"", heatmap->row_axis);
}

enum lmk_status heatmap_write(const struct heatmap *heatmap, const char *path,
                              struct lmk_error *error)
{
    size_t panel_width = heatmap->column_count * CELL_WIDTH + GAP;
    size_t width = LEFT + heatmap->panel_count * panel_width;
    size_t height = TOP + heatmap->row_count * CELL_HEIGHT + BOTTOM;
    FILE *file = fopen(path, "w");
    if (!file)
        return fail_file(error, "write", path);
    fprintf(file,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%zu\" height=\"%zu\" "
            "font-family=\"sans-serif\" font-size=\"12\">\n"
            "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
            width, height);
    write_label(file, 12, 24, "font-size=\"15\"", heatmap->title);
    for (size_t panel = 0; panel < heatmap->panel_count; panel++)
        write_panel(file, heatmap, panel, LEFT + panel * panel_width);
    fputs("</svg>\n", file);
    bool written = !ferror(file);
    return fclose(file) || !written ? fail_file(error, "write", path) : LMK_OK;
}
