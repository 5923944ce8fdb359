/* What the commands share: their arguments, and the model and collection they work on. */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include "cli/fail.h"

#include <limits.h>

#define MOST_RUNS 16

/* What only the evaluations take. */
struct eval_arguments {
    const char *corpus, *qrels, *questions, *write_runs, *baseline, *lengths, *text, *svg;
    bool unanswerable, no_search;
    const char *runs[MOST_RUNS]; /* [run_count] */
    size_t run_count;
    size_t limit;              /* of questions; 0: all */
    size_t depths, repeats;    /* 0: the default */
    size_t length, local, far; /* of perplexity; 0: the default */
};

#define MOST_CONDITIONS 32

/* Every option of every command; arguments.c says which command takes which. */
struct arguments {
    const char *collection, *model;
    bool json, quiet, generate, no_generate, no_merge, prune, repair, nice, manual, strict,
        features, estimate, has_kv_budget;
    const char *opener, *completion, *queries;
    const char *reader, *reader_model; /* NULL: none */
    const char *picture;               /* the file for it, or NULL */
    const char *where[MOST_CONDITIONS];
    size_t where_count;
    unsigned threads;
    size_t top, blocks, candidates, max_tokens; /* 0: the default */
    size_t open;                                /* the passage to show; 0: none */
    size_t reader_wait;                         /* seconds; 0: the default */
    size_t per_document, texts;                 /* SIZE_MAX: the default */
    uint64_t most_matches;                      /* UINT64_MAX: the default */
    enum lmk_mode mode;
    enum lmk_granularity granularity;
    enum lmk_tier tier;
    const char *tier_name; /* NULL: none was given */
    const char *ann;       /* NULL: not given; "": by size */
    const char *from;      /* the model of the collection before, or NULL */
    const char *first;     /* NULL: none */
    double seconds;        /* 0: no limit */
    uint64_t kv_budget;    /* bytes; with has_kv_budget */
    float temperature;
    uint64_t seed;
    struct eval_arguments eval;
    char **words; /* what is not an option */
    int word_count;
};

struct command {
    const char *name;
    enum lmk_status (*run)(const struct arguments *arguments, struct lmk_error *error);
    const char *words;   /* the arguments that are no options, for the usage line */
    const char *summary; /* one line */
    const char *text; /* of `lmk help COMMAND`: each line a paragraph, which is wrapped when it is
                         shown; one that begins with spaces is an example, shown as it is */
};

extern const struct command commands[];      /* the last has no name */
extern const struct command eval_commands[]; /* the same of `lmk eval` */
/* The command that the word names, in the table of evaluations "qa" for "eval qa"; NULL: there is
 * none. */
const struct command *command_find(const struct command *table, const char *word);
/* LMK_USAGE: `word` names none of the commands in `table`; the sentence says which one is like it.
 */
enum lmk_status command_unknown(const struct command *table, const char *word,
                                struct lmk_error *error);

struct option_row {
    int letter;                  /* above 255: there is only the name */
    const char *name, *argument; /* no argument: a switch */
    const char *commands;        /* names, each with a space behind; "*": all */
    const char *help;
};

enum {
    OPTION_MANUAL = 256,
    OPTION_COMPLETION,
    OPTION_OPEN,
    OPTION_OPENER,
    OPTION_FEATURES,
    OPTION_READER,
    OPTION_READER_MODEL,
    OPTION_READER_WAIT,
    OPTION_PICTURE,
    OPTION_FROM,
    OPTION_FIRST,
    OPTION_FOR,
    OPTION_KV_BUDGET,
    OPTION_NICE,
    OPTION_ESTIMATE,
    OPTION_TEXTS
};
/* Those of evaluations. */
enum {
    OPTION_CORPUS = 512,
    OPTION_QRELS,
    OPTION_QUESTIONS,
    OPTION_UNANSWERABLE,
    OPTION_LIMIT,
    OPTION_RUN,
    OPTION_WRITE_RUNS,
    OPTION_BASELINE,
    OPTION_NO_SEARCH,
    OPTION_LENGTHS,
    OPTION_DEPTHS,
    OPTION_RUNS,
    OPTION_TEXT,
    OPTION_SVG,
    OPTION_LENGTH,
    OPTION_LOCAL,
    OPTION_BLOCKS,
};

extern const struct option_row option_rows[]; /* the last has no name */

bool command_takes(const struct command *command, const struct option_row *row);
/* Whether configuration and environment say what an option is that was not given. */
bool command_has_default(const struct command *command, const struct option_row *row);
/* The words that may follow an option, each with a space behind it; NULL: any. */
const char *option_choices(const struct option_row *row);
/* The environment variable that stands in for an option, or NULL. */
const char *option_variable(const struct option_row *row);

/* Parses `argv` of a command; what it leaves open, the environment and then the configuration say.
 * LMK_USAGE with a sentence; LMK_NOT_FOUND: help was asked for. */
enum lmk_status arguments_parse(struct arguments *arguments, const struct command *command,
                                int argc, char **argv, struct lmk_error *error);
/* Prints the options that a command takes. */
void arguments_help(const struct command *command);
/* Prints the help of a command. */
void help_show(const struct command *command);

/* The model and collection that a command works on; either may be left out. */
struct session {
    struct lmk_model *model;
    struct lmk_collection *collection;
    char path[PATH_MAX]; /* the collection's */
};

/* Opens the model of --model, LMK_MODEL, or the one that was installed or built with the program.
 */
enum lmk_status session_open_model(struct lmk_model **model, const struct arguments *arguments,
                                   struct lmk_error *error);

/* Opens the model (needs_model), and says where the collection is, or (create) is to be made. */
enum lmk_status session_locate(struct session *session, const struct arguments *arguments,
                               bool needs_model, bool create, struct lmk_error *error);

/* Opens the model (needs_model) and the collection as `options` say. The model is the one of
 * --model, or the one that was installed or built with the program; the collection the one of
 * --collection, or the only one that is known. */
enum lmk_status session_open(struct session *session, const struct arguments *arguments,
                             bool needs_model, const struct lmk_open_options *options,
                             struct lmk_error *error);

/* The same for a query of this granularity: below `question` the indexes are built when asked for,
 * which needs the writer's lock. Where that cannot be had, what they lack is searched without. */
enum lmk_status session_open_query(struct session *session, const struct arguments *arguments,
                                   struct lmk_error *error);
void session_close(struct session *session);

enum lmk_status command_index(const struct arguments *arguments, struct lmk_error *error);
enum lmk_status command_search(const struct arguments *arguments, struct lmk_error *error);
enum lmk_status command_ask(const struct arguments *arguments, struct lmk_error *error);
enum lmk_status command_list(const struct arguments *arguments, struct lmk_error *error);
enum lmk_status command_info(const struct arguments *arguments, struct lmk_error *error);
enum lmk_status command_verify(const struct arguments *arguments, struct lmk_error *error);
enum lmk_status command_remove(const struct arguments *arguments, struct lmk_error *error);
enum lmk_status command_compact(const struct arguments *arguments, struct lmk_error *error);
enum lmk_status command_reindex(const struct arguments *arguments, struct lmk_error *error);
enum lmk_status command_export(const struct arguments *arguments, struct lmk_error *error);
enum lmk_status command_eval(const struct arguments *arguments, struct lmk_error *error);
enum lmk_status command_eval_retrieval(const struct arguments *arguments, struct lmk_error *error);
enum lmk_status command_eval_qa(const struct arguments *arguments, struct lmk_error *error);
enum lmk_status command_eval_passkey(const struct arguments *arguments, struct lmk_error *error);
enum lmk_status command_eval_needle(const struct arguments *arguments, struct lmk_error *error);
enum lmk_status command_eval_perplexity(const struct arguments *arguments, struct lmk_error *error);
enum lmk_status command_eval_ann(const struct arguments *arguments, struct lmk_error *error);
enum lmk_status command_help(const struct arguments *arguments, struct lmk_error *error);

#endif
