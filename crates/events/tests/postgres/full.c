/* A disk that is full for as long as a file is there: what is on it may be written over, and nothing grows. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static int is_full(int fd, off_t end) {
    const char *flag = getenv("FULL_DISK");
    struct stat file;
    return flag && access(flag, F_OK) == 0 && fstat(fd, &file) == 0 && S_ISREG(file.st_mode)
        && end > file.st_size;
}

static off_t length(const struct iovec *parts, int count) {
    off_t sum = 0;
    for (int at = 0; at < count; at++) sum += parts[at].iov_len;
    return sum;
}

#define WRITE(name, taken, given, bytes)                                       \
    ssize_t name(int fd, taken, off_t at) {                                    \
        ssize_t (*real)(int, taken, off_t) = dlsym(RTLD_NEXT, #name);          \
        if (is_full(fd, at + (off_t)(bytes))) { errno = ENOSPC; return -1; }   \
        return real(fd, given, at);                                            \
    }

#define COMMA ,
WRITE(pwrite, const void *data COMMA size_t count, data COMMA count, count)
WRITE(pwrite64, const void *data COMMA size_t count, data COMMA count, count)
WRITE(pwritev, const struct iovec *parts COMMA int count, parts COMMA count, length(parts, count))
WRITE(pwritev64, const struct iovec *parts COMMA int count, parts COMMA count, length(parts, count))

#define MAKE_ROOM(name)                                                        \
    int name(int fd, off_t at, off_t count) {                                  \
        int (*real)(int, off_t, off_t) = dlsym(RTLD_NEXT, #name);              \
        return is_full(fd, at + count) ? ENOSPC : real(fd, at, count);         \
    }

MAKE_ROOM(posix_fallocate)
MAKE_ROOM(posix_fallocate64)
