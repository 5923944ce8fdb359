#include "src/base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CODE_MISSING 127

/* File descriptors of a run, -1: none. */
struct channels {
    int input, output[2], errors[2];
};

static void close_one(int *descriptor)
{
    if (*descriptor >= 0)
        close(*descriptor);
    *descriptor = -1;
}

static void close_all(struct channels *channels)
{
    close_one(&channels->input);
    for (int i = 0; i < 2; i++) {
        close_one(&channels->output[i]);
        close_one(&channels->errors[i]);
    }
}

/* A file in memory with these bytes. */
static int make_input(const void *bytes, size_t size)
{
    int input = memfd_create("input", MFD_CLOEXEC);
    for (size_t at = 0; input >= 0 && at < size;) {
        ssize_t written = write(input, (const char *)bytes + at, size - at);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0) {
            close_one(&input);
            return -1;
        }
        at += (size_t)written;
    }
    if (input >= 0)
        lseek(input, 0, SEEK_SET);
    return input;
}

static void limit(int resource, size_t most)
{
    struct rlimit value = {most, most};
    setrlimit((__rlimit_resource_t)resource, &value);
}

/* Between fork and exec: only calls that are safe in a child of a process with threads. */
static void run_child(const char *const *arguments, const struct process_limits *limits,
                      const struct channels *channels)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGINT, SIG_IGN); /* of the terminal: whoever started it decides */
    signal(SIGPIPE, SIG_DFL);
    limit(RLIMIT_AS, limits->memory);
    limit(RLIMIT_CPU, limits->processor_seconds);
    limit(RLIMIT_FSIZE, 0);
    limit(RLIMIT_CORE, 0);
    if (dup2(channels->input, 0) >= 0 && dup2(channels->output[1], 1) >= 0 &&
        dup2(channels->errors[1], 2) >= 0)
        execvp(arguments[0], (char *const *)(uintptr_t)arguments);
    _exit(CODE_MISSING);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* Keeps the first line. */
static void add_message(struct process_result *result, const char *text, size_t size)
{
    size_t at = strlen(result->message);
    for (size_t i = 0; i < size && at + 1 < sizeof result->message; i++) {
        if (text[i] == '\n' || (at && result->message[at - 1] == '\n')) {
            result->message[at] = '\n'; /* marks the end until the run is over */
            break;
        }
        result->message[at++] = text[i];
    }
}

/* Reads what there is; false: the end. */
static bool drain(int descriptor, struct buffer *output, struct process_result *result,
                  enum lmk_status *status, struct lmk_error *error)
{
    char piece[65536];
    ssize_t size = read(descriptor, piece, sizeof piece);
    if (size < 0)
        return errno == EINTR || errno == EAGAIN;
    if (!output)
        add_message(result, piece, (size_t)size);
    else if ((size_t)size > output->limit - output->size)
        result->end = PROCESS_TOO_MUCH;
    else
        *status = buffer_append(output, piece, (size_t)size, error);
    return size > 0;
}

static enum lmk_status collect(struct channels *channels, double end, struct buffer *output,
                               struct process_result *result, struct lmk_error *error)
{
    enum lmk_status status = LMK_OK;
    struct pollfd waiting[2] = {{channels->output[0], POLLIN, 0}, {channels->errors[0], POLLIN, 0}};
    while (!status && result->end == PROCESS_DONE && (waiting[0].fd >= 0 || waiting[1].fd >= 0)) {
        double left = end - now();
        int ready = left > 0 ? poll(waiting, 2, (int)(left * 1000) + 1) : 0;
        if (ready < 0 && errno != EINTR)
            return error_system(error, "Cannot wait for a program");
        if (ready == 0)
            result->end = PROCESS_TOO_SLOW;
        for (int i = 0; i < 2 && ready > 0; i++)
            if (waiting[i].revents &&
                !drain(waiting[i].fd, i ? NULL : output, result, &status, error))
                waiting[i].fd = -1;
    }
    return status;
}

/* Waits for the child, which is ended if it has to be: it may have closed its outputs and go on. */
static void wait_for(pid_t child, double end, struct process_result *result)
{
    static const struct timespec millisecond = {0, 1000000};
    int how = 0;
    while (result->end == PROCESS_DONE && waitpid(child, &how, WNOHANG) == 0) {
        if (now() > end)
            result->end = PROCESS_TOO_SLOW;
        nanosleep(&millisecond, NULL);
    }
    if (result->end != PROCESS_DONE) {
        kill(child, SIGKILL);
        while (waitpid(child, &how, 0) < 0 && errno == EINTR)
            ;
        return;
    }
    result->code = WIFEXITED(how) ? WEXITSTATUS(how) : 0;
    if (WIFSIGNALED(how))
        result->end = PROCESS_CRASHED;
    else if (result->code == CODE_MISSING)
        result->end = PROCESS_MISSING;
}

enum lmk_status process_run(const char *const *arguments, const void *input, size_t input_size,
                            const struct process_limits *limits, struct buffer *output,
                            struct process_result *result, struct lmk_error *error)
{
    struct channels channels = {make_input(input, input_size), {-1, -1}, {-1, -1}};
    *result = (struct process_result){.end = PROCESS_DONE};
    if (channels.input < 0 || pipe2(channels.output, O_CLOEXEC) ||
        pipe2(channels.errors, O_CLOEXEC)) {
        enum lmk_status status = error_system(error, "Cannot start %s", arguments[0]);
        close_all(&channels);
        return status;
    }
    pid_t child = fork();
    if (child == 0)
        run_child(arguments, limits, &channels);
    if (child < 0) {
        enum lmk_status status = error_system(error, "Cannot start %s", arguments[0]);
        close_all(&channels);
        return status;
    }
    close_one(&channels.output[1]);
    close_one(&channels.errors[1]);
    double end = now() + limits->seconds;
    enum lmk_status status = collect(&channels, end, output, result, error);
    if (status)
        result->end = PROCESS_CRASHED; /* nobody reads what it prints */
    wait_for(child, end, result);
    result->message[strcspn(result->message, "\n")] = '\0';
    close_all(&channels);
    return status;
}
