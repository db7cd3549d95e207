/* Requests of the threaded client: queued under the lock, completed on the thread, waited for. */
#include "client/mqtt/client.h"

#include "client/mqtt/convert.h"

#include <stdlib.h>
#include <string.h>

static void tell_waiter(struct gnt_waiter *w, const struct gnatter_result *r)
{
    w->done = true;
    w->error = r->error;
    w->reason = r->reason;
    size_t n = r->code_count < w->cap ? r->code_count : w->cap;
    if (n)
        memcpy(w->codes, r->codes, n);
}

void gnt_request_complete(gnatter_client *c, const struct gnatter_engine_event *event)
{
    struct gnt_completion *completion = event->user;
    gnatter_on_done *done = completion ? completion->done : c->options.on_done;
    void *context = completion ? completion->context : c->options.context;
    if (completion && completion->waiter)
        tell_waiter(completion->waiter, &event->result);
    free(completion);
    pthread_cond_broadcast(&c->thread.changed);
    if (done) {
        pthread_mutex_unlock(&c->thread.lock);
        done(c, &event->result, context);
        pthread_mutex_lock(&c->thread.lock);
    }
}

/* One of the three requests, with the arguments that it needs. */
struct asked {
    uint8_t request;
    const struct gnatter_message *message;
    const struct gnatter_subscription *subscriptions;
    const char *const *filters;
    size_t count;
    const struct gnatter_property_list *properties;
};

static gnt_err hand_over(gnatter_client *c, const struct asked *a, void *user, uint64_t *token)
{
    if (a->request == GNATTER_PUBLISH)
        return gnt_convert_publish(c->engine, a->message, user, gnt_now(&gnt_clock_system), token);
    if (a->request == GNATTER_SUBSCRIBE)
        return gnt_convert_subscribe(c->engine, a->subscriptions, a->count, a->properties, user,
                                     token);
    return gnt_convert_unsubscribe(c->engine, a->filters, a->count, a->properties, user, token);
}

/* With the lock; takes *completion (which may be NULL) if it succeeds. */
static gnt_err ask_locked(gnatter_client *c, const struct asked *a,
                          struct gnt_completion **completion, uint64_t *token)
{
    if (c->dialer.quit)
        return GNT_STATE;
    gnt_err err = hand_over(c, a, *completion, token);
    if (err == GNT_OK) {
        *completion = NULL;
        gnt_dialer_touch(&c->dialer);
    }
    /* Even if it was refused an older one may have been dropped, which has to be told. */
    gnt_thread_wake(&c->thread);
    return err;
}

static int ask(gnatter_client *c, const struct asked *a, gnatter_on_done *done, void *context,
               uint64_t *token)
{
    struct gnt_completion *completion = NULL;
    if (done) {
        completion = malloc(sizeof *completion);
        if (!completion)
            return GNT_NOMEM;
        *completion = (struct gnt_completion){done, context, NULL};
    }
    pthread_mutex_lock(&c->thread.lock);
    gnt_err err = ask_locked(c, a, &completion, token);
    pthread_mutex_unlock(&c->thread.lock);
    free(completion);
    return err;
}

/* While nobody wants a connection, no answer will come. */
static int wait_for(gnatter_client *c, struct gnt_completion *completion, struct gnt_waiter *w,
                    uint64_t deadline)
{
    bool late = false;
    while (!w->done && !late && !gnt_dialer_at_rest(&c->dialer))
        late = !gnt_thread_wait(&c->thread, deadline);
    if (w->done)
        return w->error;
    completion->waiter = NULL; /* the request goes on without us */
    if (late)
        return GNT_TIMEOUT;
    return gnt_dialer_why(&c->dialer);
}

static int ask_and_wait(gnatter_client *c, const struct asked *a, uint32_t timeout_ms,
                        struct gnt_waiter *w)
{
    const uint64_t deadline = gnt_thread_wait_deadline(timeout_ms);
    if (gnt_thread_in_callback(&c->thread))
        return GNT_STATE;
    struct gnt_completion *completion = malloc(sizeof *completion);
    if (!completion)
        return GNT_NOMEM;
    struct gnt_completion *mine = completion;
    *completion = (struct gnt_completion){.waiter = w};
    pthread_mutex_lock(&c->thread.lock);
    int err = ask_locked(c, a, &completion, NULL);
    if (!err)
        err = wait_for(c, mine, w, deadline);
    pthread_mutex_unlock(&c->thread.lock);
    free(completion);
    return err;
}

/* ---- The public functions */

int gnatter_client_publish(gnatter_client *c, const struct gnatter_message *message,
                           gnatter_on_done *done, void *context, uint64_t *token)
{
    const struct asked a = {.request = GNATTER_PUBLISH, .message = message};
    return ask(c, &a, done, context, token);
}

int gnatter_client_subscribe(gnatter_client *c, const struct gnatter_subscription *list,
                             size_t count, const struct gnatter_property_list *properties,
                             gnatter_on_done *done, void *context, uint64_t *token)
{
    const struct asked a = {.request = GNATTER_SUBSCRIBE,
                            .subscriptions = list,
                            .count = count,
                            .properties = properties};
    return ask(c, &a, done, context, token);
}

int gnatter_client_unsubscribe(gnatter_client *c, const char *const *filters, size_t count,
                               const struct gnatter_property_list *properties,
                               gnatter_on_done *done, void *context, uint64_t *token)
{
    const struct asked a = {.request = GNATTER_UNSUBSCRIBE,
                            .filters = filters,
                            .count = count,
                            .properties = properties};
    return ask(c, &a, done, context, token);
}

int gnatter_client_publish_wait(gnatter_client *c, const struct gnatter_message *message,
                                uint32_t timeout_ms, uint8_t *reason)
{
    const struct asked a = {.request = GNATTER_PUBLISH, .message = message};
    struct gnt_waiter w = {0};
    int err = ask_and_wait(c, &a, timeout_ms, &w);
    if (reason)
        *reason = w.reason;
    return err;
}

int gnatter_client_subscribe_wait(gnatter_client *c, const struct gnatter_subscription *list,
                                  size_t count, const struct gnatter_property_list *properties,
                                  uint32_t timeout_ms, uint8_t *codes)
{
    const struct asked a = {.request = GNATTER_SUBSCRIBE,
                            .subscriptions = list,
                            .count = count,
                            .properties = properties};
    struct gnt_waiter w = {.codes = codes, .cap = codes ? count : 0};
    return ask_and_wait(c, &a, timeout_ms, &w);
}

int gnatter_client_unsubscribe_wait(gnatter_client *c, const char *const *filters, size_t count,
                                    const struct gnatter_property_list *properties,
                                    uint32_t timeout_ms, uint8_t *codes)
{
    const struct asked a = {.request = GNATTER_UNSUBSCRIBE,
                            .filters = filters,
                            .count = count,
                            .properties = properties};
    struct gnt_waiter w = {.codes = codes, .cap = codes ? count : 0};
    if (codes)
        memset(codes, 0, count); /* in 3.x the answer has none */
    return ask_and_wait(c, &a, timeout_ms, &w);
}
