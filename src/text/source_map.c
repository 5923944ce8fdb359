#include "src/text/source_map.h"

#include <stdlib.h>

enum lmk_status source_map_add(struct buffer *runs, uint64_t text, uint64_t source,
                               struct lmk_error *error)
{
    struct map_run run = {text, source};
    if (runs->size) {
        struct map_run *last = (struct map_run *)(void *)(runs->data + runs->size) - 1;
        if (last->text == text) {
            last->source = source;
            return LMK_OK;
        }
        if (text - last->text == source - last->source)
            return LMK_OK;
    }
    return buffer_append(runs, &run, sizeof run, error);
}

/* The last run that starts at or before `offset`. */
static size_t find_run(const struct map_run *runs, size_t count, uint64_t offset)
{
    size_t low = 0, high = count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (runs[middle].text <= offset)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* The run `outer`, up to `end` of the intermediate text, in terms of `runs`. */
static enum lmk_status extend_run(struct buffer *result, struct map_run outer, uint64_t end,
                                  const struct map_run *runs, size_t count, struct lmk_error *error)
{
    size_t at = find_run(runs, count, outer.source);
    enum lmk_status status =
        source_map_add(result, outer.text, runs[at].source + (outer.source - runs[at].text), error);
    for (at++; !status && at < count && runs[at].text < end; at++)
        status = source_map_add(result, outer.text + (runs[at].text - outer.source),
                                runs[at].source, error);
    return status;
}

enum lmk_status source_map_extend(struct normalised_text *text, const struct map_run *runs,
                                  size_t run_count, uint64_t source_size, struct lmk_error *error)
{
    text->source_size = source_size;
    if (!run_count)
        return LMK_OK;
    struct buffer result;
    buffer_init(&result, SIZE_MAX / 2);
    enum lmk_status status = LMK_OK;
    for (size_t i = 0; i < text->run_count && !status; i++) {
        bool last = i + 1 == text->run_count;
        uint64_t next = last ? text->size + 1 : text->runs[i + 1].text;
        uint64_t end = text->runs[i].source + (next - text->runs[i].text);
        status = extend_run(&result, text->runs[i], end, runs, run_count, error);
    }
    if (status) {
        buffer_release(&result);
        return status;
    }
    free(text->runs);
    text->runs = (struct map_run *)(void *)result.data;
    text->run_count = result.size / sizeof *text->runs;
    return LMK_OK;
}
