/* lmk: the command line. Commands are rows of one table, a file each. Results go to stdout,
 * everything else to stderr; the exit code is the status of include/lmk.h. */
#include "cli/command.h"
#include "cli/output.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct command commands[] = {
    {"index", command_index, "PATH...",
     "add books to a collection, or go on where it was interrupted",
     "Folders are walked for text (.txt), Markdown (.md), web pages (.html), EPUB, PDF, JSON lines "
     "with \"_id\", \"title\" and \"text\" (.jsonl), what is compressed of these (.gz, .bz2, .xz, "
     ".zst) and archives (.zip, .tar). In a Calibre folder one format of each book is taken. Links "
     "to files are read, those to folders are not followed. A path of - is standard input.\n"
     "Texts that the collection has are skipped, changed ones replaced.\n"
     "--estimate reads for some seconds, tries the model for two, and tells what the whole would "
     "take. Where the disk is too small for it, indexing is refused before anything is added.\n"
     "Interrupting (Ctrl-C) keeps every complete document; the same command goes on from there."},
    {"search", command_search, "QUERY", "find passages",
     "Prints the passages that fit the query best, by the attention to their landmarks and by "
     "their words, with the sentence marked in each that fits best. The query can be a question "
     "or a description.\n"
     "For words it may hold \"exact phrases\", -word for what must not be there, AND, OR and "
     "parentheses; put it in single quotation marks then, and -- before a query that begins with "
     "a minus:\n"
     "  lmk search '\"white rabbit\" -alice'\n"
     "  lmk search '(watch OR clock) AND pocket'"},
    {"ask", command_ask, "QUESTION", "answer a question from the books, with sources",
     "Prints the sentences that fit the question best, with their sources, below an answer where "
     "the model can write one, and then the passages that were read with the share of attention "
     "each received."},
    {"list", command_list, "", "list the documents of a collection", ""},
    {"info", command_info, "", "show what a collection holds and how large it is", ""},
    {"verify", command_verify, "", "check every checksum and cross-reference",
     "--repair makes again what is damaged and can be made from the texts, with the model: "
     "landmarks, keys and values, the landmark index, the words. A document whose text is damaged "
     "has to be removed and indexed again."},
    {"remove", command_remove, "DOCUMENT...", "remove documents by id, path or title",
     "A path can also be that of a folder or of a file with several documents: all of them go."},
    {"compact", command_compact, "", "give back the space that removed documents took",
     "Writes a new generation beside the old one, with merged landmark segments, and then takes it "
     "in one step.\n"
     "It needs as much free space as the collection is large without what was removed, which it "
     "says first.\n"
     "Searches go on meanwhile; interrupted at any time, nothing has changed.\n"
     "With --kv-budget, keys and values of the documents used least go first, until the others' "
     "take no more than that. Used is what searches showed and answers read, by the collection's "
     "file \"uses\"; of documents used equally often the newest count more. What has lost them is "
     "still found, by landmarks and words; ask computes again what it reads of it. Documents that "
     "are used, fit and have none get them back, which takes as long as indexing them; "
     "interrupted, the same command goes on from there.\n"
     "  lmk compact -c library.lmk --kv-budget 20G"},
    {"reindex", command_reindex, "", "build a collection anew for another model or index",
     "With --model: for a model that the collection was not indexed with, from the texts that it "
     "holds; the files are not needed. Where the new model has another vocabulary, --from names "
     "the "
     "old one too. Searches go on with the old state until the new one takes its place in one "
     "step; interrupted at any time, the same command goes on from there.\n"
     "  lmk reindex -c library.lmk --model new.gguf\n"
     "With --ann: only the landmark index, as the FAISS type that it names, such as \"Flat\", "
     "\"HNSW32\" or \"IVF1024,SQ8\", or \"auto\"."},
    {"export", command_export, "", "print all documents and their blocks as JSON lines",
     "One object a line: a document, then its blocks, whose texts behind one another are the "
     "document's."},
    {"eval", command_eval, "EVALUATION", "measure how well lmk finds and answers",
     "Each evaluation has options of its own; docs/eval.md explains them."},
    {"help", command_help, "[COMMAND]", "show this list, or one command",
     "Manual pages and completions are made from the same tables; where lmk was installed, the "
     "system has them. By hand:\n"
     "  lmk help --manual search | man -l -\n"
     "  source <(lmk help --completion bash)"},
    {NULL, NULL, NULL, NULL, NULL},
};

static enum lmk_status run(const struct command *command, int argc, char **argv,
                           struct lmk_error *error)
{
    struct arguments arguments;
    enum lmk_status status = arguments_parse(&arguments, command, argc, argv, error);
    if (status == LMK_NOT_FOUND) { /* --help */
        help_show(command);
        return LMK_OK;
    }
    return status ? status : command->run(&arguments, error);
}

/* Where a standard stream is closed, the next file opened would take its number, and what is
 * printed would end up in the collection. /dev/null opened the wrong way round takes it instead:
 * using the stream then fails as it should. */
static void keep_standard_streams(void)
{
    for (int descriptor = 0; descriptor < 3; descriptor++)
        if (fcntl(descriptor, F_GETFD) < 0 &&
            open("/dev/null", descriptor ? O_RDONLY : O_WRONLY) != descriptor)
            return;
}

/* A thread of OpenMP that waits for work spins on its core, which costs several times the speed
 * where other processes want that core. How long it spins libgomp reads when it is loaded: the
 * program starts itself once more, by its path (the process keeps its name), with a short time
 * set, unless the user has said something. */
static void spin_less(char **argv)
{
    char program[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", program, sizeof program - 1);
    if (size <= 0 || getenv("GOMP_SPINCOUNT") || getenv("OMP_WAIT_POLICY") ||
        setenv("GOMP_SPINCOUNT", "1000", 1))
        return;
    program[size] = '\0';
    execv(program, argv); /* where it fails, threads spin */
}

static void print_versions(void)
{
    const struct lmk_part *part = lmk_parts();
    printf("%s %s\n", part->name, part->version);
    for (part++; part->name; part++)
        printf("  %-10s %s\n", part->name, part->version);
    printf("  %-10s %s\n", "cJSON", cJSON_Version());
}

/* The exit code: results that could not be written are a failure too. */
static int finish_output(enum lmk_status status)
{
    if (!fflush(stdout) && !ferror(stdout))
        return (int)status;
    perror("lmk: Cannot write the output");
    return status ? (int)status : LMK_IO;
}

int main(int argc, char **argv)
{
    const char *unsupported;
    spin_less(argv);
    keep_standard_streams();
    signal(SIGXFSZ, SIG_IGN); /* writing beyond a file size limit is an error like a full disk */
    if (!lmk_processor_supported(&unsupported)) {
        fprintf(stderr, "lmk: %s\n", unsupported);
        return LMK_USAGE;
    }
    const char *name = argc > 1 ? argv[1] : "help";
    if (!strcmp(name, "--version")) {
        print_versions();
        return finish_output(LMK_OK);
    }
    const struct command *command =
        command_find(commands, !strcmp(name, "--help") || !strcmp(name, "-h") ? "help" : name);
    const struct command *evaluation = command && command->run == command_eval && argc > 2
                                           ? command_find(eval_commands, argv[2])
                                           : NULL;
    int words = evaluation ? 2 : argc > 1;
    struct lmk_error error = {0};
    enum lmk_status status =
        command ? run(evaluation ? evaluation : command, argc - words, argv + words, &error)
                : command_unknown(commands, name, &error);
    if (status) {
        fputs("lmk: ", stderr);
        output_safely(stderr, error.message);
        putc('\n', stderr);
    }
    return finish_output(status);
}
