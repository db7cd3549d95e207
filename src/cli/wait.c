#include "cli/wait.h"
#include "base/assert.h"
#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

static const int signals[] = {SIGINT, SIGTERM, SIGHUP};

static sigset_t signal_set(void)
{
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        sigaddset(&set, signals[i]);
    return set;
}

gnt_err gnt_wait_init(struct gnt_wait *w)
{
    sigset_t set = signal_set();
    int number = pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (number)
        return gnt_err_from_errno(number);
    (void)signal(SIGPIPE, SIG_IGN);
    w->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (w->signals < 0)
        return gnt_err_from_errno(errno);
    w->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (w->wake < 0) {
        number = errno;
        close(w->signals);
        return gnt_err_from_errno(number);
    }
    return GNT_OK;
}

void gnt_wait_fini(struct gnt_wait *w)
{
    close(w->signals);
    close(w->wake);
}

/* The time until UNTIL as ppoll takes it; NULL for ever. */
static const struct timespec *span(uint64_t until, struct timespec *out)
{
    if (until == GNT_NEVER)
        return NULL;
    uint64_t now = gnt_now(&gnt_clock_system);
    uint64_t left = until > now ? until - now : 0;
    out->tv_sec = (time_t)(left / GNT_NS_PER_S);
    out->tv_nsec = (long)(left % GNT_NS_PER_S);
    return out;
}

static bool take_signal(struct gnt_wait *w, int *signal_number)
{
    struct signalfd_siginfo info;
    if (read(w->signals, &info, sizeof info) != (ssize_t)sizeof info)
        return false;
    *signal_number = (int)info.ssi_signo;
    return true;
}

static bool take_wake(struct gnt_wait *w)
{
    uint64_t count;
    return read(w->wake, &count, sizeof count) == (ssize_t)sizeof count;
}

enum gnt_wait_reason gnt_wait(struct gnt_wait *w, uint64_t until, int file, short events,
                              int *signal_number)
{
    for (;;) {
        struct pollfd polled[] = {{w->signals, POLLIN, 0}, {w->wake, POLLIN, 0}, {file, events, 0}};
        struct timespec left;
        int ready = ppoll(polled, sizeof polled / sizeof polled[0], span(until, &left), NULL);
        GNT_ASSERT(ready >= 0 || errno == EINTR || errno == ENOMEM);
        if (ready == 0)
            return GNT_WAIT_TIME;
        if (polled[0].revents && take_signal(w, signal_number))
            return GNT_WAIT_SIGNAL;
        if (polled[1].revents && take_wake(w))
            return GNT_WAIT_WOKEN;
        if (ready > 0 && polled[2].revents)
            return GNT_WAIT_FILE;
    }
}

void gnt_wait_wake(struct gnt_wait *w)
{
    const uint64_t one = 1;
    ssize_t written = write(w->wake, &one, sizeof one);
    /* A counter that is full has woken already. */
    GNT_ASSERT(written == (ssize_t)sizeof one || errno == EAGAIN);
}

void gnt_wait_impatient(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    (void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}
