#include "cli/progress.h"

#include "cli/output.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SECONDS_BETWEEN_LINES 10 /* where stderr is no terminal */
#define SECONDS_BETWEEN_FRAMES 0.1

static volatile sig_atomic_t interrupted; /* by the signal of this number; 0: not */

/* The first Ctrl-C stops after the run at hand; the second ends the process, which loses nothing
 * committed. */
static void on_interrupt(int signal_number)
{
    interrupted = signal_number;
    signal(signal_number, SIG_DFL);
}

void progress_start(struct display *display, bool quiet)
{
    *display = (struct display){.quiet = quiet, .terminal = isatty(STDERR_FILENO)};
    signal(SIGINT, on_interrupt);
    signal(SIGTERM, on_interrupt);
}

void progress_release(void)
{
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    if (interrupted)
        raise(interrupted);
}

void progress_clear(struct display *display)
{
    if (display->drawn)
        fputs("\r\033[K", stderr);
    display->drawn = false;
}

const char *progress_grouped(uint64_t number, char text[32])
{
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%llu", (unsigned long long)number), at = 0;
    for (int i = 0; i < length; i++) {
        if (i && (length - i) % 3 == 0)
            text[at++] = ',';
        text[at++] = digits[i];
    }
    text[at] = '\0';
    return text;
}

/* The beginning of the name of a file or record, whole characters only. */
static void print_name(const char *name)
{
    size_t size = strnlen(name, 40);
    while (size && ((unsigned char)name[size] & 0xc0) == 0x80)
        size--;
    fputs(", ", stderr);
    output_part_safely(stderr, name, size);
}

static void print_progress(struct display *display, const struct lmk_progress *progress)
{
    char done[32], all[32], speed[32], left[64] = "";
    const char *name = progress->document ? strrchr(progress->document, '/') : NULL;
    double rate = progress->seconds > 0 ? (double)progress->tokens / progress->seconds : 0;
    if (rate > 0 && progress->tokens_total >= progress->tokens) {
        unsigned long seconds =
            (unsigned long)((double)(progress->tokens_total - progress->tokens) / rate);
        snprintf(left, sizeof left, ", %lu:%02lu:%02lu left", seconds / 3600, seconds / 60 % 60,
                 seconds % 60);
    }
    fputs(display->terminal ? "\r\033[K" : "", stderr);
    if (progress->tokens_total)
        fprintf(stderr, "%s: %llu of %s, %s of %s tokens, %s tokens/s%s", progress->stage,
                (unsigned long long)progress->documents,
                output_count(progress->documents_total, "document"),
                progress_grouped(progress->tokens, done),
                progress_grouped(progress->tokens_total, all),
                progress_grouped((uint64_t)rate, speed), left);
    else
        fprintf(stderr, "%s: %llu of %s%s%s%s", progress->stage,
                (unsigned long long)progress->documents,
                output_count(progress->documents_total, "file"), progress->tokens ? ", " : "",
                progress->tokens ? progress_grouped(progress->tokens, done) : "",
                progress->tokens ? " tokens" : "");
    if (name && !progress->tokens_total)
        print_name(name + 1);
    fputs(display->terminal ? "" : "\n", stderr);
    display->drawn = display->terminal;
    fflush(stderr);
}

/* Is it time to show something again? `seconds` since the stage began. */
static bool is_due(struct display *display, const char *stage, double seconds)
{
    double wait = display->terminal ? SECONDS_BETWEEN_FRAMES : SECONDS_BETWEEN_LINES;
    if (display->stage != stage)
        display->last = 0;
    display->stage = stage;
    if (display->quiet || seconds - display->last < wait)
        return false;
    display->last = seconds;
    return true;
}

bool progress_index(void *context, const struct lmk_progress *progress)
{
    struct display *display = context;
    if (is_due(display, progress->stage, progress->seconds))
        print_progress(display, progress);
    return !interrupted;
}

static double clock_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

bool progress_count(struct display *display, const char *stage, const char *things, size_t done,
                    size_t total)
{
    if (display->stage != stage)
        display->started = clock_seconds();
    if (is_due(display, stage, clock_seconds() - display->started)) {
        fprintf(stderr, "%s%s: %zu of %zu %s%s", display->terminal ? "\r\033[K" : "", stage, done,
                total, things, display->terminal ? "" : "\n");
        display->drawn = display->terminal;
        fflush(stderr);
    }
    return !interrupted;
}

void progress_skipped(void *context, const char *path, const struct lmk_error *error)
{
    (void)path; /* the message names it */
    progress_clear(context);
    fputs("lmk: left out: ", stderr);
    output_safely(stderr, error->message);
    putc('\n', stderr);
}
