/* Delays calls on sockets at random, so that a race in a test or in the product is lost often instead of seldom. Linux.
 *
 *     cc -shared -fPIC -o .venv/late.so tests/late.c
 *     LATE=20:3000 LD_PRELOAD=$PWD/.venv/late.so make test
 *
 * Of a hundred calls, twenty are delayed by up to 3,000 us before they are made, and as many after; a delay is shorter
 * than a second. LATE_ONLY=redis,maria confines this to programs with one of these words in their names.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static int percent, longest; /* us */
static __thread unsigned seed;

__attribute__((constructor)) static void start(void) {
    const char *late = getenv("LATE"), *only = getenv("LATE_ONLY");
    int chosen = !only;
    if (only) {
        char words[256];
        snprintf(words, sizeof words, "%s", only);
        for (char *word = strtok(words, ","); word; word = strtok(NULL, ","))
            chosen |= strstr(program_invocation_short_name, word) != NULL;
    }
    if (!late || !chosen || sscanf(late, "%d:%d", &percent, &longest) != 2) percent = 0;
    if (longest < 1 || longest >= 1000000) percent = 0;
}

static void delay(int fd) {
    int before = errno;
    struct stat file;
    if (percent && fstat(fd, &file) == 0 && S_ISSOCK(file.st_mode)) {
        struct timespec time;
        if (!seed) clock_gettime(CLOCK_MONOTONIC, &time), seed = time.tv_nsec ^ (unsigned)(size_t)&seed;
        if ((int)(rand_r(&seed) % 100) < percent) {
            time = (struct timespec){.tv_nsec = rand_r(&seed) % longest * 1000L};
            nanosleep(&time, NULL);
        }
    }
    errno = before;
}

/* Defines a function that calls the C library's one of the same name between two delays; `fd` is the first argument. */
#define LATE(type, name, parameters, arguments)                 \
    type name parameters {                                      \
        static type(*real) parameters;                          \
        if (!real) *(void **)&real = dlsym(RTLD_NEXT, #name);   \
        delay(fd);                                              \
        type result = real arguments;                           \
        delay(fd);                                              \
        return result;                                          \
    }

LATE(int, accept, (int fd, struct sockaddr *from, socklen_t *size), (fd, from, size))
LATE(int, accept4, (int fd, struct sockaddr *from, socklen_t *size, int flags), (fd, from, size, flags))
LATE(int, close, (int fd), (fd))
LATE(int, shutdown, (int fd, int how), (fd, how))
LATE(ssize_t, read, (int fd, void *data, size_t size), (fd, data, size))
LATE(ssize_t, recv, (int fd, void *data, size_t size, int flags), (fd, data, size, flags))
LATE(ssize_t, send, (int fd, const void *data, size_t size, int flags), (fd, data, size, flags))
LATE(ssize_t, write, (int fd, const void *data, size_t size), (fd, data, size))
LATE(ssize_t, writev, (int fd, const struct iovec *parts, int count), (fd, parts, count))
