/* Programs that are run for what they print, within limits. */
#ifndef BASE_PROCESS_H
#define BASE_PROCESS_H

#include "src/base/buffer.h"

struct process_limits {
    unsigned seconds, processor_seconds; /* of the clock, of the processor */
    size_t memory;                       /* bytes of address space */
};

enum process_end {
    PROCESS_DONE,     /* it exited by itself; `code` says how */
    PROCESS_CRASHED,  /* a signal ended it, such as for too much memory or processor time */
    PROCESS_TOO_SLOW, /* it was ended here */
    PROCESS_TOO_MUCH, /* it printed more than `output` holds, and was ended */
    PROCESS_MISSING   /* there is no such program */
};

struct process_result {
    enum process_end end;
    int code;
    char message[200]; /* the first line on its standard error, "" if none */
};

/* Runs arguments[0], found by PATH, with `input` as its standard input (a file, which it may read
 * in any order), and appends what it prints to `output`, up to the buffer's limit. It can write no
 * files. LMK_IO (it cannot be started), LMK_MEMORY. */
enum lmk_status process_run(const char *const *arguments, const void *input, size_t input_size,
                            const struct process_limits *limits, struct buffer *output,
                            struct process_result *result, struct lmk_error *error);

#endif
