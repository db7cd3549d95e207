/* A preloaded shim for a program whose clocks somebody moves: to what clock_gettime says is added
 * what the file that GNATTER_CLOCK names holds, two 64-bit numbers of nanoseconds: for
 * CLOCK_REALTIME, which people set, and for CLOCK_MONOTONIC, so that a test need not wait. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *moved; /* [0] wall, [1] monotonic */
static int (*real)(clockid_t, struct timespec *);

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("GNATTER_CLOCK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *map = fd < 0 ? MAP_FAILED : mmap(NULL, 16, PROT_READ, MAP_SHARED, fd, 0);
    if (fd >= 0)
        close(fd);
    *(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
    if (map != MAP_FAILED)
        moved = map;
}

int clock_gettime(clockid_t clock, struct timespec *t)
{
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
    int rc = real(clock, t);
    if (rc == 0 && moved && (clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC)) {
        int64_t ns = (int64_t)t->tv_sec * 1000000000 + t->tv_nsec + moved[clock != CLOCK_REALTIME];
        t->tv_sec = (time_t)(ns / 1000000000);
        t->tv_nsec = (long)(ns % 1000000000);
    }
    return rc;
}
