#include "src/base/process.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* Runs a line of the shell for at most a second. */
static struct process_result run(const char *line, struct buffer *output)
{
    static const struct process_limits limits = {
        .seconds = 1, .processor_seconds = 1, .memory = (size_t)1 << 30};
    const char *const arguments[] = {"sh", "-c", line, NULL};
    struct process_result result;
    struct lmk_error error;
    buffer_init(output, 1000);
    if (process_run(arguments, "input", 5, &limits, output, &result, &error))
        fail_msg("%s", error.message);
    return result;
}

static void expect(const char *line, enum process_end end, int code, const char *printed,
                   const char *message)
{
    struct buffer output;
    struct process_result result = run(line, &output);
    assert_int_equal(result.end, end);
    assert_int_equal(result.code, code);
    assert_int_equal(output.size, strlen(printed));
    assert_memory_equal(output.size ? (const char *)output.data : "", printed, output.size);
    assert_string_equal(result.message, message);
    buffer_release(&output);
}

static void test_done(void **state)
{
    (void)state;
    expect("cat", PROCESS_DONE, 0, "input", "");
    expect("echo bad >&2; echo worse >&2; exit 3", PROCESS_DONE, 3, "", "bad");
    expect("exec >&- 2>&-; exit 4", PROCESS_DONE, 4, "", "");
    expect("kill -9 $$", PROCESS_CRASHED, 0, "", "");
}

static void test_limits(void **state)
{
    (void)state;
    struct buffer output;
    assert_int_equal(run("exec yes", &output).end, PROCESS_TOO_MUCH);
    buffer_release(&output);
    expect("exec sleep 100", PROCESS_TOO_SLOW, 0, "", "");
    /* It ends though its outputs are closed already. */
    expect("exec >&- 2>&- sleep 100", PROCESS_TOO_SLOW, 0, "", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_done),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
