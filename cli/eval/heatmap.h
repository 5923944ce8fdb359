/* Heat maps as SVG: shares from 0 to 1 over two axes. */
#ifndef CLI_EVAL_HEATMAP_H
#define CLI_EVAL_HEATMAP_H

#include "lmk.h"

struct heatmap {
    const char *title; /* of the picture */
    const char *column_axis, *row_axis;
    char *const *columns, *const *rows; /* [column_count], [row_count]: what stands at the cells */
    size_t column_count, row_count;
    const char *const *panels; /* [panel_count]: titles; panels stand side by side */
    size_t panel_count;
    const double *values; /* [panel_count][row_count][column_count]; NaN: not measured */
};

/* Writes the picture. LMK_IO. */
enum lmk_status heatmap_write(const struct heatmap *heatmap, const char *path,
                              struct lmk_error *error);

#endif
