#include "auth/hasher.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

struct gnt_hasher {
    pthread_mutex_t mutex; /* Guards all of this, for a few instructions; the innermost lock. */
    pthread_cond_t changed;
    pthread_t thread;
    struct gnt_list jobs;
    size_t count;
    bool runs, quit;
};

gnt_err gnt_hasher_new(struct gnt_hasher **out)
{
    struct gnt_hasher *h = calloc(1, sizeof *h);
    if (!h)
        return GNT_NOMEM;
    pthread_mutex_init(&h->mutex, NULL);
    pthread_cond_init(&h->changed, NULL);
    gnt_list_init(&h->jobs);
    *out = h;
    return GNT_OK;
}

static void finish(struct gnt_hasher_job *job, gnt_err result)
{
    gnt_scram_wipe(job->password, sizeof job->password);
    gnt_scram_wipe(&job->verifier, sizeof job->verifier);
    job->result = result;
    job->done(job);
}

static gnt_err look_at(struct gnt_hasher_job *job)
{
    if (atomic_load(&job->unwanted))
        return GNT_STATE;
    if (job->ask)
        return job->ask(job);
    gnt_err err = gnt_verifier_check(&job->verifier, gnt_slice(job->password, job->password_size));
    return !err && !job->known ? GNT_DENIED : err;
}

/* The first job, or NULL when there will be none any more. */
static struct gnt_hasher_job *next(struct gnt_hasher *h)
{
    struct gnt_hasher_job *job = NULL;
    pthread_mutex_lock(&h->mutex);
    while (!h->quit && gnt_list_empty(&h->jobs))
        pthread_cond_wait(&h->changed, &h->mutex);
    if (!h->quit) {
        job = GNT_CONTAINER(gnt_list_pop_front(&h->jobs), struct gnt_hasher_job, link);
        h->count--;
    }
    pthread_mutex_unlock(&h->mutex);
    return job;
}

static void *run(void *context)
{
    struct gnt_hasher *h = context;
    struct gnt_hasher_job *job;
    while ((job = next(h)) != NULL)
        finish(job, look_at(job));
    return NULL;
}

/* With the lock.  Signals are for other threads. */
static gnt_err start(struct gnt_hasher *h)
{
    sigset_t all, before;
    if (h->runs)
        return GNT_OK;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    h->runs = pthread_create(&h->thread, NULL, run, h) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return h->runs ? GNT_OK : GNT_NOMEM;
}

gnt_err gnt_hasher_submit(struct gnt_hasher *h, struct gnt_hasher_job *job)
{
    pthread_mutex_lock(&h->mutex);
    gnt_err err = h->count >= GNT_HASHER_JOBS_MAX ? GNT_FULL : start(h);
    if (!err) {
        gnt_list_push_back(&h->jobs, &job->link);
        h->count++;
        pthread_cond_signal(&h->changed);
    }
    pthread_mutex_unlock(&h->mutex);
    return err;
}

void gnt_hasher_free(struct gnt_hasher **hasher)
{
    struct gnt_hasher *h = *hasher;
    *hasher = NULL;
    if (!h)
        return;
    pthread_mutex_lock(&h->mutex);
    h->quit = true;
    pthread_cond_signal(&h->changed);
    pthread_mutex_unlock(&h->mutex);
    if (h->runs)
        pthread_join(h->thread, NULL);
    for (struct gnt_list *link; (link = gnt_list_pop_front(&h->jobs)) != NULL;)
        finish(GNT_CONTAINER(link, struct gnt_hasher_job, link), GNT_STATE);
    pthread_cond_destroy(&h->changed);
    pthread_mutex_destroy(&h->mutex);
    free(h);
}
