/* One table of options for all commands: parsing, help, manual pages and completions follow it. */
#include "cli/command.h"

#include "cli/config.h"
#include "cli/output.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct option_row option_rows[] = {
    {'c', "collection", "DIR",
     "index search ask list info verify remove compact reindex export eval retrieval qa ann ",
     "the collection, NAME.lmk"},
    {'m', "model", "FILE",
     "index search ask verify compact reindex export eval retrieval qa passkey needle perplexity "
     "ann ",
     "the landmark model, a GGUF file"},
    {'n', "top", "N", "search ", "passages to show (10)"},
    {'k', "k", "N", "search ask eval qa passkey needle perplexity ",
     "blocks that an answer, or a row of a text, reads (8; perplexity 4)"},
    {'o', "mode", "MODE", "search ask eval qa ",
     "what finds: hybrid (landmarks and words, default), landmark or lexical (BM25)"},
    {'p', "per-document", "N", "search ",
     "passages of one document, while others have some (3); 0: any number"},
    {OPTION_OPEN, "open", "N", "search ", "show the source of passage N at its place, in $PAGER"},
    {OPTION_OPENER, "opener", "COMMAND", "search ",
     "what --open runs instead; {file}, {line} and {page} stand for the place"},
    {'N', "no-merge", NULL, "search ", "do not make one passage of neighbouring blocks"},
    {'W', "most-matches", "N", "search ask eval retrieval ",
     "hybrid: blocks that the rarest words may bring together (20000); 0: all, full BM25"},
    {'g', "granularity", "KIND", "search ask ",
     "who chooses blocks: question (default), token, head or chunk"},
    {'C', "candidates", "N", "search ask eval retrieval qa ",
     "blocks taken from landmarks and from words for ranking (200)"},
    {'w', "where", "CONDITION", "search ask ",
     "only documents that fulfil it: author, title, path, language, year or chapter, then = (is), "
     "~ (holds), < or > (numbers), then a value; several must all hold"},
    {'Q', "queries", "FILE", "search eval retrieval ann ",
     "search for each line of FILE (-: standard input) and print JSON, one line for each; of an "
     "evaluation, the questions as JSON lines with _id and text"},
    {OPTION_FEATURES, "features", NULL, "search ",
     "with JSON: all blocks that were ranked, and what their order was made of"},
    {'G', "generate", NULL, "ask ",
     "write an answer even where the model is not known to answer well"},
    {'S', "no-generate", NULL, "ask ", "only the sentences and passages"},
    {'M', "max-tokens", "N", "ask eval qa passkey needle ",
     "longest answer (64; of a reader elsewhere 512; 16 where a number is asked)"},
    {OPTION_TEXTS, "texts", "N", "ask eval qa ",
     "texts around the best blocks that are read again to write the answer (what the model's file "
     "says); 0: it is written from memory"},
    {'T', "temperature", "X", "ask ", "0: the likeliest answer (default); higher: more varied"},
    {'s', "seed", "N", "ask eval retrieval qa passkey needle perplexity ",
     "of the random numbers that a temperature or an interval uses (0)"},
    {OPTION_PICTURE, "picture", "FILE", "ask ", "draw what the answer read, as an SVG"},
    {OPTION_READER, "reader", "URL", "ask ",
     "let a chat-completions server write the answer from the passages, such as "
     "http://localhost:8080/v1; \"\": none"},
    {OPTION_READER_MODEL, "reader-model", "NAME", "ask ", "its model, where it has several"},
    {OPTION_READER_WAIT, "reader-wait", "SECONDS", "ask ", "how long it may be silent (120)"},
    {'K', "kv", "TIER", "index eval retrieval qa passkey needle perplexity ",
     "how keys and values of what is added are kept: q4_0 (default), q8_0, f16, or none, which ask "
     "computes again; of a new collection, the default from then on; perplexity: how memory reads "
     "them, none: as computed"},
    {'A', "ann", "FACTORY", "index reindex eval retrieval qa passkey needle ",
     "the FAISS index, of a new collection or a rebuilt one (default: auto, by size)"},
    {'R', "repair", NULL, "verify ", "make again what is damaged and can be: all but texts"},
    {OPTION_FROM, "from", "FILE", "reindex ",
     "the model that the collection was indexed with, where the new one has another vocabulary"},
    {OPTION_FIRST, "first", "PATTERN", "index reindex ",
     "run the model first over documents whose path or title this fits, or is a part of, "
     "before the others; of both, those added last come first"},
    {OPTION_KV_BUDGET, "kv-budget", "SIZE", "compact ",
     "keep keys and values of SIZE (20G) at most, those of the documents used most; the others' "
     "are "
     "computed again when ask reads them"},
    {OPTION_FOR, "for", "TIME", "index reindex ",
     "stop after 90s, 30m or 2h; the same command goes on from there"},
    {OPTION_NICE, "nice", NULL, "index reindex ",
     "leave the processor to other programs that want it"},
    {OPTION_ESTIMATE, "estimate", NULL, "index ",
     "only say how many documents and tokens there are, how long they would take and how much "
     "room"},
    {'P', "prune", NULL, "index ", "remove what has gone from the folders and files given"},
    {'X', "strict", NULL, "index ", "exit code 3 where something could not be read"},
    {'t', "threads", "N",
     "index search ask verify compact reindex eval retrieval qa passkey needle perplexity ann ",
     "threads (one per core)"},
    {'j', "json", NULL,
     "index search ask list info verify remove compact reindex export eval retrieval qa passkey "
     "needle perplexity ann ",
     "print JSON, see docs/json.md"},
    {'q', "quiet", NULL,
     "index search ask list info verify remove compact reindex export eval retrieval qa passkey "
     "needle perplexity ann ",
     "no progress and no notes on stderr"},
    {OPTION_CORPUS, "corpus", "FILE", "eval retrieval qa perplexity ",
     "the passages: JSON lines with _id, title and text (perplexity: text)"},
    {OPTION_QRELS, "qrels", "FILE", "eval retrieval ",
     "what is right: query, passage and gain, tabs between"},
    {OPTION_QUESTIONS, "questions", "FILE", "eval qa ",
     "the questions: JSON lines with question, answers and gold"},
    {OPTION_UNANSWERABLE, "unanswerable", NULL, "eval qa ",
     "ask also with the right passages removed"},
    {OPTION_LIMIT, "limit", "N", "eval retrieval qa ", "only N of the questions, drawn at random"},
    {OPTION_RUN, "run", "FILE", "eval retrieval ",
     "another system's rankings, in trec_eval's format; may be given several times"},
    {OPTION_WRITE_RUNS, "write-runs", "DIR", "eval retrieval ",
     "write the rankings, in trec_eval's format"},
    {OPTION_BASELINE, "baseline", "NAME", "eval retrieval ",
     "the system that differences are to (lexical); a run is called what its file is called"},
    {OPTION_NO_SEARCH, "no-search", NULL, "eval retrieval ",
     "do not search: compare only the runs given; the first of them is the baseline"},
    {OPTION_LENGTHS, "lengths", "LIST", "eval passkey needle ",
     "tokens of the texts (1024,2048,4096,8192,16384,32768)"},
    {OPTION_DEPTHS, "depths", "N", "eval passkey needle ",
     "places from the beginning of a text to its end (11; a pass key: anywhere)"},
    {OPTION_RUNS, "runs", "N", "eval passkey needle perplexity ",
     "texts of each length and depth (3; of a pass key 50, beyond 32768 tokens 5); perplexity: "
     "stretches of a text (8)"},
    {OPTION_LENGTH, "length", "N", "eval perplexity ", "tokens of each stretch of a text (2048)"},
    {OPTION_LOCAL, "local", "N", "eval perplexity ",
     "tokens of the local context, rounded up to whole blocks (250)"},
    {OPTION_BLOCKS, "blocks", "N", "eval perplexity ",
     "blocks before the local context that are memory (40)"},
    {OPTION_TEXT, "text", "FILE", "eval passkey needle ",
     "real text to hide it in, instead of sentences that repeat"},
    {OPTION_SVG, "svg", "FILE", "eval passkey needle ", "write a heat map"},
    {OPTION_MANUAL, "manual", NULL, "help ", "print a manual page, for man"},
    {OPTION_COMPLETION, "completion", "SHELL", "help ",
     "print the completions for a shell: bash, zsh or fish"},
    {'h', "help", NULL, "*", "this text"},
    {0, NULL, NULL, NULL, NULL},
};
#define ROWS (sizeof option_rows / sizeof option_rows[0] - 1)

/* The words that a placeholder stands for, each with a space behind. */
static const struct {
    const char *argument, *words;
} choices[] = {
    {"MODE", "hybrid landmark lexical "},
    {"KIND", "question token head chunk "},
    {"TIER", "q4_0 q8_0 f16 none "},
    {"SHELL", "bash zsh fish "},
};

const char *option_choices(const struct option_row *row)
{
    for (size_t i = 0; row->argument && i < sizeof choices / sizeof choices[0]; i++)
        if (!strcmp(row->argument, choices[i].argument))
            return choices[i].words;
    return NULL;
}

const char *option_variable(const struct option_row *row)
{
    static const char *const variables[][2] = {
        {"collection", "LMK_COLLECTION"},
        {"model", "LMK_MODEL"},
        {"opener", "LMK_OPENER"},
        {"reader", "LMK_READER"},
        {"reader-model", "LMK_READER_MODEL"},
    };
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++)
        if (!strcmp(row->name, variables[i][0]))
            return variables[i][1];
    return NULL;
}

/* An evaluation, such as "eval qa", stands in the table by its last word. */
bool command_takes(const struct command *command, const struct option_row *row)
{
    if (!strcmp(row->commands, "*"))
        return true;
    const char *space = strrchr(command->name, ' '), *name = space ? space + 1 : command->name;
    size_t length = strlen(name);
    for (const char *at = row->commands; (at = strstr(at, name)); at++)
        if (at[length] == ' ' && (at == row->commands || at[-1] == ' '))
            return true;
    return false;
}

/* Whether an option may stand in the configuration. */
static bool is_setting(const struct option_row *row)
{
    return row->letter != OPTION_OPEN && row->letter != OPTION_PICTURE &&
           row->letter != OPTION_FROM && row->letter != OPTION_ESTIMATE &&
           strcmp(row->commands, "*") && strcmp(row->commands, "help ") &&
           strncmp(row->commands, "eval ", 5);
}

/* What an evaluation measures is the same for every user, and not made in anybody's collection. */
bool command_has_default(const struct command *command, const struct option_row *row)
{
    return command_takes(command, row) &&
           (!strchr(command->name, ' ') || row->letter == 'm' || row->letter == 't');
}

static const struct option_row *find_row(int letter)
{
    for (size_t i = 0; i < ROWS; i++)
        if (option_rows[i].letter == letter)
            return &option_rows[i];
    return NULL;
}

static bool parse_count(const char *text, uint64_t most, uint64_t *value)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    *value = number;
    return text[0] >= '0' && text[0] <= '9' && !*end && !errno && number <= most;
}

/* The place of `text` among the words that the option takes, or -1. */
static int find_choice(int letter, const char *text)
{
    size_t length = strlen(text);
    int place = 0;
    for (const char *word = option_choices(find_row(letter)); *word; place++) {
        size_t size = strcspn(word, " ");
        if (size == length && !strncmp(word, text, size))
            return place;
        word += size + 1;
    }
    return -1;
}

static bool set_number(struct arguments *arguments, int letter, const char *text)
{
    uint64_t number;
    bool positive = letter > 255 ? letter != OPTION_TEXTS : !strchr("stpW", letter);
    if (!parse_count(text, letter == 's' ? UINT64_MAX : 1000000, &number) || (positive && !number))
        return false;
    switch (letter) {
    case 'n':
        arguments->top = number;
        break;
    case 'k':
        arguments->blocks = number;
        break;
    case 'C':
        arguments->candidates = number;
        break;
    case 'M':
        arguments->max_tokens = number;
        break;
    case 'p':
        arguments->per_document = number;
        break;
    case 'W':
        arguments->most_matches = number;
        break;
    case OPTION_TEXTS:
        arguments->texts = number;
        break;
    case OPTION_OPEN:
        arguments->open = number;
        break;
    case OPTION_READER_WAIT:
        arguments->reader_wait = number;
        break;
    case 't':
        arguments->threads = (unsigned)number;
        break;
    case OPTION_LIMIT:
        arguments->eval.limit = number;
        break;
    case OPTION_DEPTHS:
        arguments->eval.depths = number;
        break;
    case OPTION_RUNS:
        arguments->eval.repeats = number;
        break;
    case OPTION_LENGTH:
        arguments->eval.length = number;
        break;
    case OPTION_LOCAL:
        arguments->eval.local = number;
        break;
    case OPTION_BLOCKS:
        arguments->eval.far = number;
        break;
    default:
        arguments->seed = number;
    }
    return true;
}

/* "90", "90s", "30m", "2h", "1.5h" */
static bool parse_duration(const char *text, double *seconds)
{
    char *end;
    *seconds = strtod(text, &end);
    double unit = !*end || !strcmp(end, "s") ? 1
                  : !strcmp(end, "m")        ? 60
                  : !strcmp(end, "h")        ? 3600
                                             : 0;
    *seconds *= unit;
    return end != text && *seconds > 0 && *seconds < 1e9;
}

/* Bytes, with k, M, G or T for thousands, millions ... behind the number. */
static bool parse_bytes(const char *text, uint64_t *bytes)
{
    static const char units[] = "kMGT";
    char *end;
    double value = strtod(text, &end);
    const char *unit = *end ? strchr(units, *end) : NULL;
    for (const char *u = units; unit && u <= unit; u++)
        value *= 1000;
    *bytes = value >= 0 && value < 1e18 ? (uint64_t)value : 0;
    return end != text && value >= 0 && value < 1e18 && !end[unit != NULL];
}

/* Where the text of an option of `eval` goes, NULL: its value is no text. */
static const char **eval_text(struct eval_arguments *eval, int letter)
{
    switch (letter) {
    case OPTION_CORPUS:
        return &eval->corpus;
    case OPTION_QRELS:
        return &eval->qrels;
    case OPTION_LENGTHS:
        return &eval->lengths;
    case OPTION_TEXT:
        return &eval->text;
    case OPTION_SVG:
        return &eval->svg;
    case OPTION_QUESTIONS:
        return &eval->questions;
    case OPTION_WRITE_RUNS:
        return &eval->write_runs;
    case OPTION_BASELINE:
        return &eval->baseline;
    case OPTION_RUN:
        return eval->run_count < MOST_RUNS ? &eval->runs[eval->run_count++] : NULL;
    default:
        return NULL;
    }
}

static bool set_value(struct arguments *arguments, int letter, const char *text)
{
    const char **place = eval_text(&arguments->eval, letter);
    char *end;
    int found;
    if (place) {
        *place = text;
        return text[0];
    }
    switch (letter) {
    case OPTION_RUN: /* one too many */
        return false;
    case 'c':
        arguments->collection = text;
        return text[0];
    case 'm':
        arguments->model = text;
        return text[0];
    case 'w':
        if (arguments->where_count == MOST_CONDITIONS)
            return false;
        arguments->where[arguments->where_count++] = text;
        return text[0];
    case 'Q':
        arguments->queries = text;
        return text[0];
    case 'A':
        arguments->ann = strcmp(text, "auto") ? text : "";
        return text[0];
    case 'g':
        found = find_choice(letter, text);
        arguments->granularity = (enum lmk_granularity)(found < 0 ? 0 : found);
        return found >= 0;
    case 'o':
        found = find_choice(letter, text);
        arguments->mode = (enum lmk_mode)(found < 0 ? 0 : found);
        return found >= 0;
    case 'K':
        arguments->tier_name = text;
        return lmk_tier_named(text, &arguments->tier);
    case 'T':
        arguments->temperature = strtof(text, &end);
        return end != text && !*end && arguments->temperature >= 0 && arguments->temperature <= 100;
    case OPTION_OPENER:
        arguments->opener = text;
        return text[0];
    case OPTION_FROM:
        arguments->from = text;
        return text[0];
    case OPTION_FIRST:
        arguments->first = text;
        return text[0];
    case OPTION_KV_BUDGET:
        arguments->has_kv_budget = true;
        return parse_bytes(text, &arguments->kv_budget);
    case OPTION_FOR:
        return parse_duration(text, &arguments->seconds);
    case OPTION_PICTURE:
        arguments->picture = text;
        return text[0];
    case OPTION_READER:
        arguments->reader = text[0] ? text : NULL;
        return true;
    case OPTION_READER_MODEL:
        arguments->reader_model = text;
        return text[0];
    case OPTION_COMPLETION:
        arguments->completion = text;
        return find_choice(letter, text) >= 0;
    default:
        return set_number(arguments, letter, text);
    }
}

static void set_switch(struct arguments *arguments, int letter)
{
    switch (letter) {
    case 'j':
        arguments->json = true;
        break;
    case 'q':
        arguments->quiet = true;
        break;
    case 'R':
        arguments->repair = true;
        break;
    case OPTION_NICE:
        arguments->nice = true;
        break;
    case OPTION_ESTIMATE:
        arguments->estimate = true;
        break;
    case 'P':
        arguments->prune = true;
        break;
    case 'N':
        arguments->no_merge = true;
        break;
    case 'X':
        arguments->strict = true;
        break;
    case OPTION_FEATURES:
        arguments->features = true;
        break;
    case 'G':
        arguments->generate = true;
        arguments->no_generate = false;
        break;
    case 'S':
        arguments->no_generate = true;
        break;
    case OPTION_MANUAL:
        arguments->manual = true;
        break;
    case OPTION_NO_SEARCH:
        arguments->eval.no_search = true;
        break;
    case OPTION_UNANSWERABLE:
        arguments->eval.unanswerable = true;
        break;
    }
}

/* getopt_long's tables for one command. A leading colon makes it quiet and tell missing arguments
 * apart. */
static void make_tables(const struct command *command, char letters[2 * ROWS + 2],
                        struct option options[ROWS + 1])
{
    size_t at = 0, count = 0;
    letters[at++] = ':';
    for (size_t i = 0; i < ROWS; i++) {
        if (!command_takes(command, &option_rows[i]))
            continue;
        const struct option_row *row = &option_rows[i];
        int argument = row->argument ? required_argument : no_argument;
        options[count++] = (struct option){row->name, argument, NULL, row->letter};
        if (row->letter > 255)
            continue;
        letters[at++] = (char)row->letter;
        if (row->argument)
            letters[at++] = ':';
    }
    letters[at] = '\0';
    options[count] = (struct option){0};
}

struct configured {
    const struct command *command;
    struct arguments *arguments;
};

/* Every setting is checked, also those of other commands, so that a mistake shows at once. */
static enum lmk_status set_configured(void *context, const struct setting *setting,
                                      struct lmk_error *error)
{
    struct configured *configured = context;
    struct arguments unused = {0};
    const struct option_row *row = option_rows;
    while (row->name && (strcmp(row->name, setting->name) || !is_setting(row)))
        row++;
    if (!row->name)
        return fail(error, LMK_USAGE,
                    "%s, line %u: there is no setting \"%s\". The options of the commands are "
                    "settings; see: lmk help COMMAND",
                    setting->file, setting->line, setting->name);
    struct arguments *target =
        command_has_default(configured->command, row) ? configured->arguments : &unused;
    bool right;
    if (row->argument) {
        right = set_value(target, row->letter, setting->value);
    } else {
        bool yes = !strcmp(setting->value, "yes");
        right = yes || !strcmp(setting->value, "no");
        if (yes)
            set_switch(target, row->letter);
    }
    return right ? LMK_OK
                 : fail(error, LMK_USAGE, "%s, line %u: \"%s\" is no value for %s (%s).",
                        setting->file, setting->line, setting->value, setting->name,
                        row->argument ? row->help : "yes or no");
}

/* What stands in the configuration, then what the environment says instead. */
static enum lmk_status set_defaults(struct arguments *arguments, const struct command *command,
                                    struct lmk_error *error)
{
    struct configured configured = {command, arguments};
    if (!strcmp(command->name, "help"))
        return LMK_OK; /* it helps with a broken configuration too */
    enum lmk_status status = config_read(set_configured, &configured, error);
    for (const struct option_row *row = option_rows; row->name && !status; row++) {
        const char *variable = option_variable(row), *value = variable ? getenv(variable) : NULL;
        if (value && value[0] && command_has_default(command, row) &&
            !set_value(arguments, row->letter, value))
            status = fail(error, LMK_USAGE, "\"%s\" is no value for %s (%s).", value, variable,
                          row->help);
    }
    return status;
}

/* What getopt_long stopped at. `last` is the word that it left last: of an option that is not known
 * among several letters, -xyz, it is the word before. */
static enum lmk_status refuse_option(const struct command *command, int problem, const char *last,
                                     struct lmk_error *error)
{
    const struct option_row *row = optopt ? find_row(optopt) : NULL;
    char letter[] = {'-', (char)optopt, '\0'};
    const char *what = "is not an option of this command";
    if (problem == ':')
        what = "needs a value";
    else if (row && command_takes(command, row))
        what = "takes no value";
    else if (optopt)
        last = letter;
    return fail(error, LMK_USAGE, "%s %s. See: lmk help %s", last, what, command->name);
}

enum lmk_status arguments_parse(struct arguments *arguments, const struct command *command,
                                int argc, char **argv, struct lmk_error *error)
{
    char letters[2 * ROWS + 2];
    struct option options[ROWS + 1];
    make_tables(command, letters, options);
    *arguments = (struct arguments){.tier = lmk_open_defaults().tier,
                                    .per_document = SIZE_MAX,
                                    .texts = SIZE_MAX,
                                    .most_matches = UINT64_MAX};
    enum lmk_status status = set_defaults(arguments, command, error);
    optind = 1;
    for (int letter; (letter = getopt_long(argc, argv, letters, options, NULL)) != -1;) {
        const struct option_row *row = find_row(letter);
        if (letter == '?' || letter == ':')
            return refuse_option(command, letter, argv[optind - 1], error);
        if (letter == 'h')
            return LMK_NOT_FOUND; /* the caller shows the help */
        if (!row->argument)
            set_switch(arguments, row->letter);
        else if (!set_value(arguments, row->letter, optarg))
            return fail(error, LMK_USAGE, "\"%s\" is no value for --%s %s (%s). See: lmk help %s",
                        optarg, row->name, row->argument, row->help, command->name);
    }
    arguments->words = argv + optind;
    arguments->word_count = argc - optind;
    return status;
}

/* Where the explanation of an option begins. */
#define HELP_COLUMN 30

/* "-c, --collection DIR"; without a letter, the name stands where other names stand. */
static void name_option(const struct option_row *row, char text[64])
{
    char letter[8] = "    ";
    if (row->letter <= 255)
        snprintf(letter, sizeof letter, "-%c, ", row->letter);
    snprintf(text, 64, "%s--%s%s%s", letter, row->name, row->argument ? " " : "",
             row->argument ? row->argument : "");
}

void arguments_help(const struct command *command)
{
    for (const struct option_row *row = option_rows; row->name; row++) {
        if (!command_takes(command, row))
            continue;
        char name[64], help[256];
        const char *variable = command_has_default(command, row) ? option_variable(row) : NULL;
        name_option(row, name);
        snprintf(help, sizeof help, "%s%s%s%s", row->help, variable ? " (or set " : "",
                 variable ? variable : "", variable ? ")" : "");
        printf("  %s", name);
        output_wrapped(help, HELP_COLUMN, (int)strlen(name) + 2);
    }
}
