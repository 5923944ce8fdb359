#include "cli/eval/library.h"

#include "cli/eval/folder.h"
#include "cli/eval/lines.h"
#include "cli/folders.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct library_document {
    uint64_t id;
    uint32_t entry;
};

struct listing {
    struct library *library;
    bool *seen; /* [entries] */
    bool no_memory;
};

static uint32_t entry_of(const struct corpus *corpus, const struct lmk_document *document)
{
    cJSON *metadata = cJSON_Parse(document->metadata);
    const char *id = json_text(metadata, "_id");
    uint32_t entry = id ? text_index_find(&corpus->by_id, id) : UINT32_MAX;
    cJSON_Delete(metadata);
    return entry;
}

static bool list_document(void *context, const struct lmk_document *document)
{
    struct listing *listing = context;
    struct library *library = listing->library;
    if (library->document_count == library->room) {
        size_t room = library->room ? 2 * library->room : 64;
        struct library_document *grown = realloc(library->documents, room * sizeof *grown);
        if (!grown) {
            listing->no_memory = true;
            return false;
        }
        library->documents = grown;
        library->room = room;
    }
    uint32_t entry = entry_of(library->corpus, document);
    library->strangers += entry == UINT32_MAX || listing->seen[entry];
    if (entry != UINT32_MAX)
        listing->seen[entry] = true;
    library->documents[library->document_count++] = (struct library_document){document->id, entry};
    return true;
}

static enum lmk_status list_documents(struct library *library, struct lmk_error *error)
{
    struct listing listing = {library, calloc(library->corpus->ids.count, sizeof(bool)), false};
    enum lmk_status status = listing.seen
                                 ? lmk_list(library->collection, list_document, &listing, error)
                                 : fail_memory(error);
    free(listing.seen);
    if (!status && listing.no_memory)
        status = fail_memory(error);
    if (!status && library->strangers)
        status = fail(error, LMK_USAGE,
                      "%zu of the collection's documents are not those of %s. Evaluate in a "
                      "collection of its own.",
                      library->strangers, library->corpus->path);
    return status;
}

static int by_id(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = ((const struct library_document *)right)->id;
    return a < b ? -1 : a > b;
}

uint32_t library_entry(const struct library *library, uint64_t id)
{
    const struct library_document *document =
        library->document_count
            ? bsearch(&id, library->documents, library->document_count, sizeof *document, by_id)
            : NULL;
    return document ? document->entry : UINT32_MAX;
}

/* A named collection that another process writes, or that may only be read, is taken as it is. */
static enum lmk_status open_collection(struct library *library, const struct arguments *arguments,
                                       const struct lmk_model *model, struct lmk_error *error)
{
    char path[PATH_MAX];
    struct lmk_open_options open = {true, true, arguments->tier, arguments->ann};
    if (!arguments->collection) {
        enum lmk_status status = folder_make(&library->temporary, error);
        if (status)
            return status;
        snprintf(path, sizeof path, "%s/corpus.lmk", library->temporary);
    } else if (!folders_expand(path, arguments->collection)) {
        return fail(error, LMK_USAGE, "The path of the collection is too long.");
    }
    enum lmk_status status = lmk_collection_open(&library->collection, path, model, &open, error);
    library->as_it_is = arguments->collection && (status == LMK_BUSY || status == LMK_IO);
    if (!library->as_it_is)
        return status;
    open.create = open.write = false;
    return lmk_collection_open(&library->collection, path, model, &open, error);
}

enum lmk_status library_open(struct library *library, const struct arguments *arguments,
                             const struct lmk_model *model, const struct corpus *corpus,
                             struct display *display, struct lmk_error *error)
{
    struct lmk_index_options options = {
        .progress = progress_index, .context = display, .skipped = progress_skipped};
    struct lmk_index_report report;
    *library = (struct library){.corpus = corpus};
    enum lmk_status status = open_collection(library, arguments, model, error);
    if (!status && !library->as_it_is)
        status = lmk_index(library->collection, &corpus->path, 1, &options, &report, error);
    progress_clear(display);
    if (!status)
        status = list_documents(library, error);
    if (!status && library->as_it_is && !arguments->quiet)
        fprintf(stderr,
                "lmk: the collection cannot be written now and is taken as it is, with %zu of the "
                "%zu entries.\n",
                library->document_count, corpus->ids.count);
    return status;
}

void library_close(struct library *library)
{
    lmk_collection_close(library->collection);
    folder_remove(library->temporary);
    free(library->documents);
    *library = (struct library){0};
}
