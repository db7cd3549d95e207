#include "net/resolve.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct job {
    void (*done)(void *context, gnt_err err, struct addrinfo *list);
    void *context;
    uint16_t port;
    char host[];
};

static gnt_err from_gai(int code)
{
    switch (code) {
    case 0: return GNT_OK;
    case EAI_MEMORY: return GNT_NOMEM;
    case EAI_SYSTEM: return gnt_err_from_errno(errno);
    default: return GNT_RESOLVE;
    }
}

gnt_err gnt_resolve(const char *host, uint16_t port, bool passive, struct addrinfo **list)
{
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = AI_NUMERICSERV | (passive ? AI_PASSIVE : 0),
    };
    char service[8];
    snprintf(service, sizeof service, "%u", (unsigned)port);
    *list = NULL;
    return from_gai(getaddrinfo(host && *host ? host : NULL, service, &hints, list));
}

static void *resolve_thread(void *argument)
{
    struct job *job = argument;
    struct addrinfo *list;
    gnt_err err = gnt_resolve(job->host, job->port, false, &list);
    job->done(job->context, err, list);
    free(job);
    return NULL;
}

/* With all signals blocked: they are for the threads that know what to do with them. */
static int start_detached(void *(*run)(void *), void *argument)
{
    pthread_t thread;
    pthread_attr_t attr;
    int err = pthread_attr_init(&attr);
    if (err)
        return err;
    sigset_t all, before;
    sigfillset(&all);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    err = pthread_create(&thread, &attr, run, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    return err;
}

gnt_err gnt_resolve_start(const char *host, uint16_t port,
                          void (*done)(void *context, gnt_err err, struct addrinfo *list),
                          void *context)
{
    size_t size = strlen(host) + 1;
    struct job *job = malloc(sizeof *job + size);
    if (!job)
        return GNT_NOMEM;
    *job = (struct job){.done = done, .context = context, .port = port};
    memcpy(job->host, host, size);
    if (start_detached(resolve_thread, job)) {
        free(job);
        return GNT_NOMEM;
    }
    return GNT_OK;
}
