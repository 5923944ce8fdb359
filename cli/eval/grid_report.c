/* What a grid found, as tables, as JSON and as a heat map. */
#include "cli/eval/grid.h"
#include "cli/eval/heatmap.h"
#include "cli/eval/statistics.h"
#include "cli/output.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void name_measures(const struct grid *grid, char names[GRID_MEASURES][32])
{
    snprintf(names[GRID_FIRST], 32, "recall@1");
    snprintf(names[GRID_READ], 32, "recall@%zu", grid->blocks);
    snprintf(names[GRID_RIGHT], 32, "exact_match");
}

static void add_cell(struct grid_cell *sum, const struct grid_cell *cell)
{
    sum->runs += cell->runs;
    sum->tokens += cell->tokens;
    for (size_t m = 0; m < GRID_MODES; m++)
        for (size_t measure = 0; measure < GRID_MEASURES; measure++)
            sum->counts[m][measure] += cell->counts[m][measure];
}

/* All depths of a length, or of all lengths (SIZE_MAX). */
static struct grid_cell sum_depths(const struct grid *grid, size_t length)
{
    struct grid_cell sum = {0};
    for (size_t i = 0; i < grid->depth_count * grid->length_count; i++)
        if (length == SIZE_MAX || i % grid->length_count == length)
            add_cell(&sum, &grid->cells[i]);
    return sum;
}

static double share(const struct grid_cell *cell, size_t mode, size_t measure)
{
    return cell->runs ? (double)cell->counts[mode][measure] / (double)cell->runs : NAN;
}

/* ------------------------------------------------------------------ tables */

static void print_row(const struct grid_cell *cell, size_t mode)
{
    printf("%9.0f %5zu ", (double)cell->tokens / (double)(cell->runs ? cell->runs : 1), cell->runs);
    for (size_t measure = 0; measure < GRID_MEASURES; measure++) {
        struct interval interval = wilson_interval((double)cell->counts[mode][measure], cell->runs);
        printf("  %.3f (%.3f %.3f)", share(cell, mode, measure), interval.low, interval.high);
    }
    putchar('\n');
}

static void print_lengths(const struct grid *grid)
{
    char read[32];
    snprintf(read, sizeof read, "among %zu read", grid->blocks);
    for (size_t m = 0; m < GRID_MODES; m++) {
        printf("\n%s\n\n%9s %5s   %-19s  %-19s  %s\n", grid_mode_names[m], "tokens", "texts",
               "ranked first", read, "answer right");
        for (size_t length = 0; length < grid->length_count; length++) {
            struct grid_cell sum = sum_depths(grid, length);
            print_row(&sum, m);
        }
    }
}

static void print_grid(const struct grid *grid, size_t mode, size_t measure, const char *title)
{
    printf("\n%s, %s: depth by tokens\n\n%7s", grid_mode_names[mode], title, "");
    for (size_t length = 0; length < grid->length_count; length++)
        printf(" %8zu", grid->lengths[length]);
    putchar('\n');
    for (size_t depth = 0; depth < grid->depth_count; depth++) {
        printf("%5.0f %%", 100 * grid->depths[depth]);
        for (size_t length = 0; length < grid->length_count; length++)
            printf(" %8.2f",
                   share(&grid->cells[depth * grid->length_count + length], mode, measure));
        putchar('\n');
    }
}

static void print_tables(const struct grid *grid)
{
    const char *text = grid->arguments->eval.text;
    printf("One sentence in texts of %s; in parentheses: Wilson's 95 %% intervals.\n",
           text ? output_path(text) : "sentences that repeat");
    print_lengths(grid);
    for (size_t m = 0; !grid->random_depth && m < GRID_MODES; m++) {
        print_grid(grid, m, GRID_READ, "block read");
        print_grid(grid, m, GRID_RIGHT, "answer right");
    }
}

/* ------------------------------------------------------------------ JSON */

static void add_shares(const struct grid *grid, const struct grid_cell *cell, size_t mode,
                       cJSON *object)
{
    char names[GRID_MEASURES][32];
    name_measures(grid, names);
    for (size_t measure = 0; measure < GRID_MEASURES; measure++)
        cJSON_AddNumberToObject(object, names[measure], share(cell, mode, measure));
}

static cJSON *json_cell(const struct grid *grid, size_t depth, size_t length, size_t mode)
{
    const struct grid_cell *cell = &grid->cells[depth * grid->length_count + length];
    cJSON *object = cJSON_CreateObject();
    cJSON_AddNumberToObject(object, "length", (double)grid->lengths[length]);
    cJSON_AddNumberToObject(object, "depth", grid->random_depth ? NAN : grid->depths[depth]);
    cJSON_AddNumberToObject(object, "texts", (double)cell->runs);
    cJSON_AddNumberToObject(object, "tokens",
                            cell->runs ? (double)cell->tokens / (double)cell->runs : NAN);
    add_shares(grid, cell, mode, object);
    return object;
}

static enum lmk_status print_json(const struct grid *grid, struct lmk_error *error)
{
    const char *text = grid->arguments->eval.text;
    struct grid_cell all = sum_depths(grid, SIZE_MAX);
    cJSON *object = json_start(grid->command);
    cJSON_AddStringToObject(object, "model", lmk_model_name(grid->model));
    if (text)
        cJSON_AddStringToObject(object, "text", text);
    else
        cJSON_AddNullToObject(object, "text");
    cJSON_AddNumberToObject(object, "seed", (double)grid->arguments->seed);
    cJSON_AddNumberToObject(object, "blocks", (double)grid->blocks);
    cJSON *modes = cJSON_AddObjectToObject(object, "modes");
    for (size_t m = 0; m < GRID_MODES; m++) {
        cJSON *mode = cJSON_AddObjectToObject(modes, grid_mode_names[m]);
        add_shares(grid, &all, m, mode);
        cJSON *cells = cJSON_AddArrayToObject(mode, "cells");
        for (size_t depth = 0; depth < grid->depth_count; depth++)
            for (size_t length = 0; length < grid->length_count; length++)
                cJSON_AddItemToArray(cells, json_cell(grid, depth, length, m));
    }
    return json_print(object, error);
}

/* ------------------------------------------------------------------ picture */

#define PANELS (2 * GRID_MODES)

static void fill_panel(const struct grid *grid, size_t mode, size_t measure, double *values)
{
    for (size_t i = 0; i < grid->depth_count * grid->length_count; i++)
        values[i] = share(&grid->cells[i], mode, measure);
}

static enum lmk_status write_picture(const struct grid *grid, const char *path,
                                     struct lmk_error *error)
{
    static const char *const panels[PANELS] = {"landmark: block read", "landmark: answer right",
                                               "hybrid: block read", "hybrid: answer right"};
    char columns[MOST_LENGTHS][24], rows[MOST_DEPTHS][24];
    char *column_names[MOST_LENGTHS], *row_names[MOST_DEPTHS];
    size_t cells = grid->depth_count * grid->length_count;
    double *values = malloc(PANELS * cells * sizeof *values);
    if (!values)
        return fail_memory(error);
    for (size_t i = 0; i < PANELS; i++)
        fill_panel(grid, i / 2, i % 2 ? GRID_RIGHT : GRID_READ, values + i * cells);
    for (size_t i = 0; i < grid->length_count; i++) {
        snprintf(columns[i], sizeof columns[i], "%zu", grid->lengths[i]);
        column_names[i] = columns[i];
    }
    for (size_t i = 0; i < grid->depth_count; i++) {
        if (grid->random_depth)
            snprintf(rows[i], sizeof rows[i], "any");
        else
            snprintf(rows[i], sizeof rows[i], "%.0f %%", 100 * grid->depths[i]);
        row_names[i] = rows[i];
    }
    struct heatmap heatmap = {.title = grid->command,
                              .column_axis = "tokens of the text",
                              .row_axis = "depth",
                              .columns = column_names,
                              .rows = row_names,
                              .column_count = grid->length_count,
                              .row_count = grid->depth_count,
                              .panels = panels,
                              .panel_count = PANELS,
                              .values = values};
    enum lmk_status status = heatmap_write(&heatmap, path, error);
    free(values);
    return status;
}

enum lmk_status grid_report(const struct grid *grid, struct lmk_error *error)
{
    const char *svg = grid->arguments->eval.svg;
    enum lmk_status status = svg ? write_picture(grid, svg, error) : LMK_OK;
    if (status)
        return status;
    if (grid->arguments->json)
        return print_json(grid, error);
    print_tables(grid);
    return LMK_OK;
}
