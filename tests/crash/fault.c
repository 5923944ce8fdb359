/* A library to preload: ends the process, or fails a call, at the n-th call that changes a file.
 *
 *   LMK_FAULT=none:          nothing, but for syncing, see below
 *   LMK_FAULT=count:FILE     writes how many such calls there were to FILE when the process ends
 *   LMK_FAULT=kill:N         SIGKILL instead of the N-th call
 *   LMK_FAULT=tear:N         the N-th call writes half of its bytes, then SIGKILL
 *   LMK_FAULT=full:N         from the N-th call on, what needs room fails with ENOSPC
 *   LMK_FAULT=room:N         the file system says that it has N bytes left
 *   LMK_FAULT=error:N        the N-th call fails with EIO
 *
 * Calls on files and folders count; terminals, pipes and sockets do not. The C library's own calls
 * behind fwrite and fflush cannot be seen from here, so these two count themselves. Syncing does
 * nothing: what a killed process has written, the system keeps, and tests are faster.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

enum fault { FAULT_NONE, FAULT_COUNT, FAULT_KILL, FAULT_TEAR, FAULT_FULL, FAULT_ERROR, FAULT_ROOM };

static enum fault fault;
static unsigned long fault_at;
static const char *count_file;
static atomic_ulong calls;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void start(void)
{
    static const char *const names[] = {
        "none:", "count:", "kill:", "tear:", "full:", "error:", "room:"};
    const char *wanted = getenv("LMK_FAULT");
    for (size_t i = 0; wanted && i < sizeof names / sizeof names[0]; i++)
        if (!strncmp(wanted, names[i], strlen(names[i]))) {
            fault = (enum fault)i;
            count_file = wanted + strlen(names[i]);
            fault_at = fault == FAULT_COUNT ? 0 : strtoul(count_file, NULL, 10);
        }
}

__attribute__((destructor)) static void finish(void)
{
    if (fault != FAULT_COUNT)
        return;
    char text[32];
    int size = snprintf(text, sizeof text, "%lu\n", atomic_load(&calls));
    int descriptor = open(count_file, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (descriptor < 0 || REAL(write)(descriptor, text, (size_t)size) != size)
        abort();
    close(descriptor);
}

static void end_process(void)
{
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

/* What is to happen at this call, which is counted. */
enum action { ACTION_GO_ON, ACTION_TEAR, ACTION_FAIL };

/* Writes can be torn; they and what makes files or lets them grow need room. */
enum call { CALL_WRITE, CALL_GROW, CALL_OTHER };

static enum action next_call(enum call call)
{
    unsigned long number = atomic_fetch_add(&calls, 1) + 1;
    if (fault == FAULT_KILL && number == fault_at)
        end_process();
    if (fault == FAULT_TEAR && number == fault_at) {
        if (call != CALL_WRITE)
            end_process();
        return ACTION_TEAR;
    }
    if (fault == FAULT_FULL && number >= fault_at && call != CALL_OTHER) {
        errno = ENOSPC;
        return ACTION_FAIL;
    }
    if (fault == FAULT_ERROR && number == fault_at) {
        errno = EIO;
        return ACTION_FAIL;
    }
    return ACTION_GO_ON;
}

static int counts(int descriptor)
{
    struct stat information;
    int saved = errno;
    int is_file = fault != FAULT_NONE && !fstat(descriptor, &information) &&
                  (S_ISREG(information.st_mode) || S_ISDIR(information.st_mode));
    errno = saved;
    return is_file;
}

/* ---- writing */

ssize_t write(int descriptor, const void *data, size_t size)
{
    enum action action = counts(descriptor) ? next_call(CALL_WRITE) : ACTION_GO_ON;
    if (action == ACTION_FAIL)
        return -1;
    ssize_t written = REAL(write)(descriptor, data, action == ACTION_TEAR ? size / 2 : size);
    if (action == ACTION_TEAR)
        end_process();
    return written;
}

ssize_t pwrite(int descriptor, const void *data, size_t size, off_t offset)
{
    enum action action = counts(descriptor) ? next_call(CALL_WRITE) : ACTION_GO_ON;
    if (action == ACTION_FAIL)
        return -1;
    ssize_t written =
        REAL(pwrite)(descriptor, data, action == ACTION_TEAR ? size / 2 : size, offset);
    if (action == ACTION_TEAR)
        end_process();
    return written;
}

ssize_t pwrite64(int descriptor, const void *data, size_t size, off64_t offset)
{
    return pwrite(descriptor, data, size, offset);
}

ssize_t writev(int descriptor, const struct iovec *parts, int count)
{
    enum action action = counts(descriptor) ? next_call(CALL_WRITE) : ACTION_GO_ON;
    if (action == ACTION_FAIL)
        return -1;
    ssize_t written =
        REAL(writev)(descriptor, parts, action == ACTION_TEAR ? (count + 1) / 2 : count);
    if (action == ACTION_TEAR)
        end_process();
    return written;
}

ssize_t pwritev(int descriptor, const struct iovec *parts, int count, off_t offset)
{
    enum action action = counts(descriptor) ? next_call(CALL_WRITE) : ACTION_GO_ON;
    if (action == ACTION_FAIL)
        return -1;
    ssize_t written =
        REAL(pwritev)(descriptor, parts, action == ACTION_TEAR ? (count + 1) / 2 : count, offset);
    if (action == ACTION_TEAR)
        end_process();
    return written;
}

size_t fwrite(const void *data, size_t size, size_t count, FILE *file)
{
    enum action action = counts(fileno(file)) ? next_call(CALL_WRITE) : ACTION_GO_ON;
    if (action == ACTION_FAIL)
        return 0;
    if (action != ACTION_TEAR)
        return REAL(fwrite)(data, size, count, file);
    REAL(fwrite)(data, size, count / 2, file);
    REAL(fflush)(file);
    end_process();
    return 0;
}

int fflush(FILE *file)
{
    if (file && counts(fileno(file)) && next_call(CALL_GROW) == ACTION_FAIL)
        return EOF;
    return REAL(fflush)(file);
}

/* ---- everything else that changes a file */

int ftruncate(int descriptor, off_t size)
{
    return counts(descriptor) && next_call(CALL_GROW) ? -1 : REAL(ftruncate)(descriptor, size);
}

int ftruncate64(int descriptor, off64_t size)
{
    return ftruncate(descriptor, size);
}

int fsync(int descriptor)
{
    return counts(descriptor) && next_call(CALL_OTHER) ? -1 : 0;
}

int fdatasync(int descriptor)
{
    return counts(descriptor) && next_call(CALL_OTHER) ? -1 : 0;
}

int msync(void *address, size_t size, int flags)
{
    (void)address, (void)size, (void)flags;
    return fault && next_call(CALL_OTHER) ? -1 : 0;
}

int rename(const char *from, const char *to)
{
    return fault && next_call(CALL_OTHER) ? -1 : REAL(rename)(from, to);
}

int unlink(const char *path)
{
    return fault && next_call(CALL_OTHER) ? -1 : REAL(unlink)(path);
}

int unlinkat(int directory, const char *path, int flags)
{
    return fault && next_call(CALL_OTHER) ? -1 : REAL(unlinkat)(directory, path, flags);
}

int mkdir(const char *path, mode_t mode)
{
    return fault && next_call(CALL_GROW) ? -1 : REAL(mkdir)(path, mode);
}

int statvfs(const char *path, struct statvfs *information)
{
    int code = REAL(statvfs)(path, information);
    if (!code && fault == FAULT_ROOM)
        information->f_bavail = fault_at / information->f_frsize;
    return code;
}
