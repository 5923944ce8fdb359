#include "cli/eval/grid.h"

#include "cli/eval/folder.h"
#include "src/base/random.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_LENGTHS "1024,2048,4096,8192,16384,32768"
#define DEFAULT_DEPTHS 11
#define LEAST_LENGTH 256
#define SAMPLE_BYTES 16384 /* of hay, to see how many bytes a token has */

const char *const grid_mode_names[GRID_MODES] = {"landmark", "hybrid"};

/* ------------------------------------------------------------------ one text */

/* A text as the only document of a collection, both in a folder of their own. */
struct trial {
    char *folder;
    struct lmk_collection *collection;
    size_t tokens;
};

static bool take_tokens(void *context, const struct lmk_document *document)
{
    ((struct trial *)context)->tokens = document->tokens;
    return false;
}

static enum lmk_status write_text(const char *path, const char *text, struct lmk_error *error)
{
    FILE *file = fopen(path, "w");
    bool written = file && fputs(text, file) >= 0;
    if (file && fclose(file))
        written = false;
    return written ? LMK_OK : fail_file(error, "write", path);
}

/* Close it in any case. */
static enum lmk_status trial_open(struct trial *trial, struct grid *grid, const char *text,
                                  struct lmk_error *error)
{
    char path[PATH_MAX], collection[PATH_MAX];
    const char *paths[] = {path};
    struct lmk_open_options open = {true, true, grid->arguments->tier, grid->arguments->ann};
    struct lmk_index_options options = {
        .progress = progress_index, .context = &grid->display, .skipped = progress_skipped};
    struct lmk_index_report report;
    *trial = (struct trial){0};
    enum lmk_status status = folder_make(&trial->folder, error);
    if (status)
        return status;
    snprintf(path, sizeof path, "%s/text.txt", trial->folder);
    snprintf(collection, sizeof collection, "%s/text.lmk", trial->folder);
    status = write_text(path, text, error);
    if (!status)
        status = lmk_collection_open(&trial->collection, collection, grid->model, &open, error);
    if (!status)
        status = lmk_index(trial->collection, paths, 1, &options, &report, error);
    return status ? status : lmk_list(trial->collection, take_tokens, trial, error);
}

static void trial_close(struct trial *trial)
{
    lmk_collection_close(trial->collection);
    folder_remove(trial->folder);
}

/* The rank, from 1, of the first block that overlaps the needle's sentence; SIZE_MAX: none. */
static enum lmk_status find_rank(struct lmk_collection *collection, enum lmk_mode mode,
                                 const struct needle *needle, const struct haystack *haystack,
                                 size_t *rank, struct lmk_error *error)
{
    struct lmk_search_options options = lmk_search_defaults();
    struct lmk_results *results;
    options.mode = mode;
    options.features = true;
    options.mark = false;
    options.verbatim = needle->verbatim;
    *rank = SIZE_MAX;
    enum lmk_status status = lmk_search(collection, needle->question, &options, &results, error);
    if (status)
        return status == LMK_NOT_FOUND ? LMK_OK : status;
    for (size_t i = 0; *rank == SIZE_MAX && i < results->candidate_count; i++)
        if (results->candidates[i].source_start < haystack->end &&
            results->candidates[i].source_end > haystack->start)
            *rank = i + 1;
    lmk_results_free(results);
    return LMK_OK;
}

static enum lmk_status answer(const struct grid *grid, struct lmk_collection *collection,
                              enum lmk_mode mode, const struct needle *needle, bool *right,
                              struct lmk_error *error)
{
    struct lmk_ask_options options = lmk_ask_defaults(grid->model);
    struct lmk_answer *given;
    options.mode = mode;
    options.blocks = grid->blocks;
    options.generate = true;
    options.max_tokens = grid->arguments->max_tokens ? grid->arguments->max_tokens : 16;
    options.verbatim = needle->verbatim;
    *right = false;
    enum lmk_status status = lmk_ask(collection, needle->question, &options, &given, error);
    if (status)
        return status == LMK_NOT_FOUND ? LMK_OK : status;
    *right = given->text && needle_is_answered(needle, given->text);
    lmk_answer_free(given);
    return LMK_OK;
}

static enum lmk_status try_modes(const struct grid *grid, const struct trial *trial,
                                 const struct needle *needle, const struct haystack *haystack,
                                 struct grid_cell *cell, struct lmk_error *error)
{
    static const enum lmk_mode modes[GRID_MODES] = {LMK_LANDMARK, LMK_HYBRID};
    enum lmk_status status = LMK_OK;
    for (size_t m = 0; !status && m < GRID_MODES; m++) {
        size_t rank = SIZE_MAX;
        bool right = false;
        status = find_rank(trial->collection, modes[m], needle, haystack, &rank, error);
        if (!status)
            status = answer(grid, trial->collection, modes[m], needle, &right, error);
        cell->counts[m][GRID_FIRST] += rank == 1;
        cell->counts[m][GRID_READ] += rank <= grid->blocks;
        cell->counts[m][GRID_RIGHT] += right;
    }
    return status;
}

static enum lmk_status run_one(struct grid *grid, size_t length, double depth,
                               struct grid_cell *cell, struct lmk_error *error)
{
    struct needle needle = grid->draw(&grid->seed);
    struct haystack haystack;
    struct trial trial = {0};
    size_t size = (size_t)((double)length * grid->bytes_per_token);
    enum lmk_status status =
        haystack_make(&haystack, &grid->hay, &needle, size, depth, &grid->seed, error);
    if (!status)
        status = trial_open(&trial, grid, haystack.text, error);
    if (!status)
        status = try_modes(grid, &trial, &needle, &haystack, cell, error);
    cell->runs++;
    cell->tokens += trial.tokens;
    trial_close(&trial);
    haystack_release(&haystack);
    return status;
}

/* ------------------------------------------------------------------ all of them */

static enum lmk_status measure_hay(struct grid *grid, struct lmk_error *error)
{
    static const struct needle nothing = {.introduction = ""};
    uint64_t seed = grid->seed;
    struct haystack haystack;
    struct trial trial = {0};
    enum lmk_status status =
        haystack_make(&haystack, &grid->hay, &nothing, SAMPLE_BYTES, 1, &seed, error);
    if (!status)
        status = trial_open(&trial, grid, haystack.text, error);
    if (!status)
        grid->bytes_per_token =
            (double)strlen(haystack.text) / (double)(trial.tokens ? trial.tokens : 1);
    trial_close(&trial);
    haystack_release(&haystack);
    return status;
}

static enum lmk_status run_cell(struct grid *grid, size_t depth, size_t length,
                                struct lmk_error *error)
{
    char stage[64];
    struct grid_cell *cell = &grid->cells[depth * grid->length_count + length];
    size_t tokens = grid->lengths[length], wanted = grid->arguments->eval.repeats;
    size_t runs = wanted ? wanted : grid->runs_of(tokens);
    enum lmk_status status = LMK_OK;
    snprintf(stage, sizeof stage, "%zu tokens", tokens);
    for (size_t run = 0; !status && run < runs; run++) {
        double place = grid->random_depth
                           ? (double)draw_below(&grid->seed, UINT32_MAX) / (UINT32_MAX - 1.0)
                           : grid->depths[depth];
        status = run_one(grid, tokens, place, cell, error);
        if (!status && !progress_count(&grid->display, stage, "texts", depth * runs + run + 1,
                                       grid->depth_count * runs))
            status = fail(error, LMK_INTERRUPTED, "Interrupted while asking.");
    }
    return status;
}

static enum lmk_status run_all(struct grid *grid, struct lmk_error *error)
{
    enum lmk_status status = measure_hay(grid, error);
    grid->cells = calloc(grid->depth_count * grid->length_count, sizeof *grid->cells);
    if (!status && !grid->cells)
        status = fail_memory(error);
    for (size_t length = 0; length < grid->length_count; length++)
        for (size_t depth = 0; !status && depth < grid->depth_count; depth++)
            status = run_cell(grid, depth, length, error);
    progress_clear(&grid->display);
    return status;
}

/* "1024,2048" */
static enum lmk_status parse_lengths(struct grid *grid, const char *text, struct lmk_error *error)
{
    for (const char *at = text; grid->length_count < MOST_LENGTHS;) {
        char *end;
        errno = 0;
        unsigned long long length = strtoull(at, &end, 10);
        if (errno || *at < '0' || *at > '9' || length < LEAST_LENGTH || length > UINT32_MAX ||
            (*end && *end != ','))
            break;
        grid->lengths[grid->length_count++] = length;
        if (!*end)
            return LMK_OK;
        at = end + 1;
    }
    return fail(error, LMK_USAGE,
                "\"%s\" is no list of lengths: up to %d numbers of tokens, each at least %d, with "
                "commas between them.",
                text, MOST_LENGTHS, LEAST_LENGTH);
}

static enum lmk_status choose_depths(struct grid *grid, struct lmk_error *error)
{
    size_t wanted = grid->arguments->eval.depths;
    if (wanted > MOST_DEPTHS)
        return fail(error, LMK_USAGE, "There can be at most %d depths.", MOST_DEPTHS);
    grid->random_depth = grid->random_depth && !wanted;
    grid->depth_count = wanted ? wanted : grid->random_depth ? 1 : DEFAULT_DEPTHS;
    for (size_t i = 0; i < grid->depth_count; i++)
        grid->depths[i] = grid->depth_count > 1 ? (double)i / (double)(grid->depth_count - 1) : .5;
    return LMK_OK;
}

static enum lmk_status prepare(struct grid *grid, struct lmk_error *error)
{
    const struct arguments *arguments = grid->arguments;
    const struct eval_arguments *eval = &arguments->eval;
    grid->seed = arguments->seed;
    grid->blocks = arguments->blocks ? arguments->blocks : 8;
    if (arguments->word_count)
        return fail(error, LMK_USAGE, "\"%s\" is too much. See: lmk help %s", arguments->words[0],
                    grid->command);
    enum lmk_status status =
        parse_lengths(grid, eval->lengths ? eval->lengths : DEFAULT_LENGTHS, error);
    if (!status)
        status = choose_depths(grid, error);
    if (!status)
        status =
            eval->text ? hay_read(&grid->hay, eval->text, error) : hay_public(&grid->hay, error);
    return status ? status : session_open_model(&grid->model, arguments, error);
}

enum lmk_status grid_evaluate(struct grid *grid, struct lmk_error *error)
{
    lmk_set_threads(grid->arguments->threads);
    progress_start(&grid->display, grid->arguments->quiet);
    enum lmk_status status = prepare(grid, error);
    if (!status)
        status = run_all(grid, error);
    if (!status)
        status = grid_report(grid, error);
    lmk_model_close(grid->model);
    hay_release(&grid->hay);
    free(grid->cells);
    return status;
}
