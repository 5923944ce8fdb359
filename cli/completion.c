/* Completions for bash, zsh and fish, written from the tables of commands and options. */
#include "cli/reference.h"

#include <stdio.h>
#include <string.h>

/* What a word that is no option stands for. */
enum kind { ANYTHING, FILES, FOLDERS, NAMES };

static enum kind kind_of_argument(const char *argument)
{
    return !strcmp(argument, "FILE") ? FILES : !strcmp(argument, "DIR") ? FOLDERS : ANYTHING;
}

static enum kind kind_of_words(const struct command *command)
{
    bool names = command->run == command_help || command->run == command_eval;
    return names ? NAMES : strstr(command->words, "PATH") ? FILES : ANYTHING;
}

static void print_command_names(void)
{
    for (const struct command *command = commands; command->name; command++)
        printf("%s%s", command == commands ? "" : " ", command->name);
}

/* The names that may follow a command of kind NAMES: those of commands, or of evaluations. */
static void print_following_names(const struct command *command)
{
    if (command->run == command_help)
        print_command_names();
    else
        for (const struct command *evaluation = eval_commands; evaluation->name; evaluation++)
            printf("%s%s", evaluation == eval_commands ? "" : " ",
                   strrchr(evaluation->name, ' ') + 1);
}

/* Prints a text inside single quotation marks; those in `special` get a backslash. */
static void print_quoted(const char *text, const char *special)
{
    for (; *text; text++) {
        if (*text == '\'')
            fputs("'\\'", stdout);
        else if (strchr(special, *text))
            putchar('\\');
        putchar(*text);
    }
}

/* ------------------------------------------------------------------ bash */

static void print_bash_argument(const struct option_row *row)
{
    static const char *const actions[] = {"", "compopt -o default", "compopt -o dirnames", ""};
    fputs("    ", stdout);
    if (row->letter <= 255)
        printf("-%c | ", row->letter);
    printf("--%s)\n        ", row->name);
    if (option_choices(row))
        printf("COMPREPLY=($(compgen -W '%s' -- \"$word\"))\n        ", option_choices(row));
    else if (actions[kind_of_argument(row->argument)][0])
        printf("%s\n        ", actions[kind_of_argument(row->argument)]);
    puts("return\n        ;;");
}

static void print_bash(void)
{
    fputs("# Completions of lmk for bash, made by: lmk help --completion bash\n"
          "_lmk()\n"
          "{\n"
          "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} options\n"
          "    COMPREPLY=()\n"
          "    if [[ $word == = ]]; then # --name=: bash takes the sign for a word\n"
          "        word=\n"
          "    elif [[ $before == = ]]; then\n"
          "        before=${COMP_WORDS[COMP_CWORD - 2]}\n"
          "    fi\n"
          "    if ((COMP_CWORD == 1)); then\n"
          "        COMPREPLY=($(compgen -W '",
          stdout);
    print_command_names();
    puts(" --version' -- \"$word\"))\n"
         "        return\n"
         "    fi\n"
         "    case $before in");
    for (const struct option_row *row = option_rows; row->name; row++)
        if (row->argument)
            print_bash_argument(row);
    puts("    esac\n"
         "    case ${COMP_WORDS[1]} in");
    for (const struct command *command = commands; command->name; command++) {
        printf("    %s) options='", command->name);
        for (const struct option_row *row = option_rows; row->name; row++)
            if (command_takes(command, row))
                printf("--%s ", row->name);
        puts("' ;;");
    }
    puts("    esac\n"
         "    if [[ $word == -* ]]; then\n"
         "        COMPREPLY=($(compgen -W \"$options\" -- \"$word\"))\n"
         "        return\n"
         "    fi\n"
         "    case ${COMP_WORDS[1]} in");
    for (const struct command *command = commands; command->name; command++) {
        if (kind_of_words(command) == FILES)
            printf("    %s) compopt -o default ;;\n", command->name);
        if (kind_of_words(command) == NAMES) {
            printf("    %s) COMPREPLY=($(compgen -W '", command->name);
            print_following_names(command);
            puts("' -- \"$word\")) ;;");
        }
    }
    puts("    esac\n"
         "}\n"
         "complete -F _lmk lmk");
}

/* ------------------------------------------------------------------ zsh */

static const char zsh_special[] = "\\:[]";

static void print_zsh_option(const struct option_row *row)
{
    static const char *const actions[] = {" ", "_files", "_files -/", " "};
    if (row->letter <= 255)
        printf("            '(-%c --%s)'{-%c%s,--%s%s}'[", row->letter, row->name, row->letter,
               row->argument ? "+" : "", row->name, row->argument ? "=" : "");
    else
        printf("            '--%s%s[", row->name, row->argument ? "=" : "");
    print_quoted(row->help, zsh_special);
    putchar(']');
    if (row->argument && option_choices(row))
        printf(":%s:(%s)", row->argument, option_choices(row));
    else if (row->argument)
        printf(":%s:%s", row->argument, actions[kind_of_argument(row->argument)]);
    puts("' \\");
}

static void print_zsh(void)
{
    static const char *const actions[] = {" ", "_files", "_files -/"};
    puts("#compdef lmk\n"
         "# Completions of lmk for zsh, made by: lmk help --completion zsh\n"
         "_lmk() {\n"
         "    local -a described\n"
         "    described=(");
    for (const struct command *command = commands; command->name; command++) {
        printf("        '%s:", command->name);
        print_quoted(command->summary, zsh_special);
        puts("'");
    }
    puts("    )\n"
         "    if ((CURRENT == 2)); then\n"
         "        _describe 'command' described\n"
         "        return\n"
         "    fi\n"
         "    shift words\n"
         "    ((CURRENT--))\n"
         "    case $words[1] in");
    for (const struct command *command = commands; command->name; command++) {
        printf("    %s)\n        _arguments -s -S \\\n", command->name);
        for (const struct option_row *row = option_rows; row->name; row++)
            if (command_takes(command, row))
                print_zsh_option(row);
        printf("            \"*:%s:", command->words);
        if (kind_of_words(command) == NAMES) {
            putchar('(');
            print_following_names(command);
            putchar(')');
        } else {
            fputs(actions[kind_of_words(command)], stdout);
        }
        puts("\"\n        ;;");
    }
    puts("    esac\n"
         "}\n"
         "_lmk \"$@\"");
}

/* ------------------------------------------------------------------ fish */

static void print_fish_option(const struct option_row *row)
{
    fputs("complete -c lmk -n '__fish_seen_subcommand_from", stdout);
    for (const struct command *command = commands; command->name; command++)
        if (command_takes(command, row))
            printf(" %s", command->name);
    putchar('\'');
    if (row->letter <= 255)
        printf(" -s %c", row->letter);
    printf(" -l %s", row->name);
    if (row->argument && option_choices(row))
        printf(" -x -a '%s'", option_choices(row));
    else if (row->argument && kind_of_argument(row->argument) == FOLDERS)
        fputs(" -x -a '(__fish_complete_directories)'", stdout);
    else if (row->argument)
        fputs(kind_of_argument(row->argument) == FILES ? " -r -F" : " -x", stdout);
    fputs(" -d '", stdout);
    print_quoted(row->help, "\\");
    puts("'");
}

static void print_fish(void)
{
    puts("# Completions of lmk for fish, made by: lmk help --completion fish\n"
         "complete -c lmk -f\n"
         "complete -c lmk -n __fish_use_subcommand -l version -d 'the versions of lmk and its "
         "parts'");
    for (const struct command *command = commands; command->name; command++) {
        printf("complete -c lmk -n __fish_use_subcommand -a %s -d '", command->name);
        print_quoted(command->summary, "\\");
        puts("'");
        if (kind_of_words(command) == FILES)
            printf("complete -c lmk -n '__fish_seen_subcommand_from %s' -F\n", command->name);
        if (kind_of_words(command) == NAMES) {
            printf("complete -c lmk -n '__fish_seen_subcommand_from %s' -a '", command->name);
            print_following_names(command);
            puts("'");
        }
    }
    for (const struct option_row *row = option_rows; row->name; row++)
        print_fish_option(row);
}

void completion_print(const char *shell)
{
    if (!strcmp(shell, "bash"))
        print_bash();
    else if (!strcmp(shell, "zsh"))
        print_zsh();
    else
        print_fish();
}
