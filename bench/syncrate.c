/*
 * syncrate - how many small durable appends a second this disk takes.
 *
 * Writes --size bytes and calls fdatasync, for --time seconds, in a new file
 * in --dir.  With --prealloc 1 the file is written out full beforehand, so that
 * fdatasync carries no metadata.  Prints one JSON line.
 *
 *   cc -O2 -Wall -Wextra -o syncrate syncrate.c
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int cmp(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    const char *dir = ".";
    size_t size = 4096, n = 0, max = 200000;
    int pre = 0;
    double sec = 3;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--dir"))
            dir = argv[i + 1];
        else if (!strcmp(argv[i], "--size"))
            size = (size_t)atol(argv[i + 1]);
        else if (!strcmp(argv[i], "--prealloc"))
            pre = atoi(argv[i + 1]);
        else if (!strcmp(argv[i], "--time"))
            sec = atof(argv[i + 1]);
        else
            return 2;
    }
    char path[500];
    snprintf(path, sizeof path, "%s/syncrate.%d", dir, (int)getpid());
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    char *b = calloc(1, size > 1 << 20 ? size : 1 << 20);
    double *lat = malloc(max * sizeof *lat);
    if (fd < 0 || !b || !lat)
        return perror(path), 1;
    unlink(path);
    size_t room = 64u << 20;
    if (pre) {
        for (size_t i = 0; i < room; i += 1 << 20)
            if (pwrite(fd, b, 1 << 20, (off_t)i) < 0)
                return perror("pwrite"), 1;
        fsync(fd);
    }
    double t0 = now(), t = t0;
    off_t at = 0;
    while (t - t0 < sec && n < max) {
        memset(b, (int)n, size);
        if (pwrite(fd, b, size, at) != (ssize_t)size || fdatasync(fd))
            return perror("write"), 1;
        at += (off_t)size;
        if (pre && (size_t)at + size > room)
            at = 0;
        double u = now();
        lat[n++] = u - t;
        t = u;
    }
    qsort(lat, n, sizeof *lat, cmp);
    printf("{\"scenario\":\"syncrate\",\"dir\":\"%s\",\"size\":%zu,\"prealloc\":%d,\"syncs_per_s\":"
           "%.0f,\"p50_us\":%.0f,"
           "\"p99_us\":%.0f,\"max_us\":%.0f}\n",
           dir, size, pre, (double)n / (t - t0), lat[n / 2] * 1e6, lat[n * 99 / 100] * 1e6,
           lat[n - 1] * 1e6);
    return 0;
}
