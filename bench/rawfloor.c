/*
 * rawfloor - what one message through a broker costs in the kernel alone.
 *
 * A child forwards bytes from N input TCP connections to N output TCP
 * connections on loopback: epoll, one read and one write for each event, no
 * parsing.  The parent feeds it and reads the other end.  With --rate, each
 * message is its own write, spread evenly over the pairs (the unbatched case);
 * without, each write carries --batch messages and at most --credit messages
 * are outstanding.  Prints the child's CPU per message as one JSON line.
 *
 *   cc -O2 -Wall -Wextra -o rawfloor rawfloor.c
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

typedef uint64_t u64;

static char buf[1 << 18];

static void die(const char *s)
{
    perror(s);
    exit(1);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu_of(pid_t p)
{
    clockid_t c;
    struct timespec t = {0, 0};
    if (!clock_getcpuclockid(p, &c))
        clock_gettime(c, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* a[i] and b[i] become the two ends of one loopback TCP connection */
static void tcp_pairs(int n, int *a, int *b)
{
    struct sockaddr_in s = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t l = sizeof s;
    int on = 1, ls = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(ls, (struct sockaddr *)&s, sizeof s) || listen(ls, 512) ||
        getsockname(ls, (struct sockaddr *)&s, &l))
        die("listen");
    for (int i = 0; i < n; i++) {
        a[i] = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(a[i], (struct sockaddr *)&s, sizeof s))
            die("connect");
        b[i] = accept(ls, NULL, NULL);
        setsockopt(a[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        setsockopt(b[i], IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        fcntl(a[i], F_SETFL, O_NONBLOCK);
        fcntl(b[i], F_SETFL, O_NONBLOCK);
    }
    close(ls);
}

static void put(int fd, const char *p, size_t n)
{
    while (n) {
        ssize_t r = write(fd, p, n);
        if (r > 0)
            p += r, n -= (size_t)r;
        else if (errno != EAGAIN)
            exit(0);
    }
}

static void forward(int n, const int *in, const int *out)
{
    struct epoll_event ev[256];
    int ep = epoll_create1(0);
    for (int i = 0; i < n; i++) {
        struct epoll_event e = {.events = EPOLLIN, .data.u32 = (uint32_t)i};
        epoll_ctl(ep, EPOLL_CTL_ADD, in[i], &e);
    }
    for (;;) {
        int k = epoll_wait(ep, ev, 256, -1);
        for (int j = 0; j < k; j++) {
            int i = (int)ev[j].data.u32;
            ssize_t r = read(in[i], buf, 65536);
            if (r == 0)
                exit(0);
            if (r > 0)
                put(out[i], buf, (size_t)r);
        }
    }
}

int main(int argc, char **argv)
{
    int n = 100, size = 84, batch = 64, credit = 20000;
    double rate = 0, sec = 3;
    for (int i = 1; i + 1 < argc; i += 2) {
        double v = atof(argv[i + 1]);
        if (!strcmp(argv[i], "--pairs"))
            n = (int)v;
        else if (!strcmp(argv[i], "--size"))
            size = (int)v;
        else if (!strcmp(argv[i], "--batch"))
            batch = (int)v;
        else if (!strcmp(argv[i], "--credit"))
            credit = (int)v;
        else if (!strcmp(argv[i], "--rate"))
            rate = v;
        else if (!strcmp(argv[i], "--time"))
            sec = v;
        else
            return fprintf(stderr, "unknown option %s\n", argv[i]), 2;
    }
    if (n < 1 || n > 4000 || size < 1 || batch < 1 || (size_t)batch * (size_t)size > sizeof buf)
        return 2;
    int *pa = calloc(4 * (size_t)n, sizeof *pa), *pb = pa + n, *sa = pb + n, *sb = sa + n;
    tcp_pairs(n, pa, pb); /* parent writes pa, child reads pb */
    tcp_pairs(n, sa, sb); /* child writes sb, parent reads sa */
    signal(SIGPIPE, SIG_IGN);
    pid_t kid = fork();
    if (kid == 0) {
        for (int i = 0; i < n; i++)
            close(pa[i]), close(sa[i]);
        forward(n, pb, sb);
    }
    for (int i = 0; i < n; i++)
        close(pb[i]), close(sb[i]);
    int ep = epoll_create1(0), tfd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    for (int i = 0; i < n; i++) {
        struct epoll_event e = {.events = EPOLLIN, .data.fd = sa[i]};
        epoll_ctl(ep, EPOLL_CTL_ADD, sa[i], &e);
    }
    struct epoll_event te = {.events = EPOLLIN | EPOLLET, .data.fd = tfd}, ev[256];
    epoll_ctl(ep, EPOLL_CTL_ADD, tfd, &te);
    char *msg = calloc((size_t)batch, (size_t)size);
    u64 sent = 0, got = 0, k = 0, g0 = 0;
    double t0 = now(), warm = t0 + 0.3, end = warm + sec, c0 = 0, m0 = 0;
    for (;;) {
        double t = now();
        if (!m0 && t >= warm)
            m0 = t, c0 = cpu_of(kid), g0 = got;
        if (t >= end)
            break;
        if (rate > 0) {
            for (; t0 + (double)sent / rate <= t; sent++)
                put(pa[sent % (u64)n], msg, (size_t)size);
            double due = t0 + (double)sent / rate;
            struct itimerspec it = {
                .it_value = {(time_t)due, (long)((due - (double)(time_t)due) * 1e9)}};
            timerfd_settime(tfd, TFD_TIMER_ABSTIME, &it, NULL);
        } else {
            while (sent + (u64)batch <= got / (u64)size + (u64)credit) {
                put(pa[k++ % (u64)n], msg, (size_t)batch * (size_t)size);
                sent += (u64)batch;
            }
        }
        int e = epoll_wait(ep, ev, 256, 20);
        for (int j = 0; j < e; j++) {
            if (ev[j].data.fd == tfd)
                continue;
            ssize_t r = read(ev[j].data.fd, buf, sizeof buf);
            if (r > 0)
                got += (u64)r;
        }
    }
    double el = now() - m0, cpu = cpu_of(kid) - c0, m = (double)(got - g0) / size;
    printf("{\"scenario\":\"rawfloor\",\"pairs\":%d,\"size\":%d,\"batch\":%d,\"rate\":%.0f,\"msgs_"
           "per_s\":%.0f,"
           "\"forwarder_cpu_us_per_msg\":%.3f,\"forwarder_cpu_percent\":%.1f}\n",
           n, size, rate > 0 ? 1 : batch, rate, m / el, cpu * 1e6 / m, cpu * 100 / el);
    kill(kid, SIGKILL);
    waitpid(kid, NULL, 0);
    return 0;
}
