#include "client/base/dialer.h"

enum {
    FLUSH_MS = 2000,  /* for the last output of a connection */
    STEADY_MS = 5000, /* a connection that lasted so long was a success */
};

gnt_err gnt_dialer_init(struct gnt_dialer *d, const struct gnt_dialer_ops *ops,
                        struct gnt_thread *thread, const struct gnt_dialer_terms *terms,
                        const struct gnt_link_target *target)
{
    d->ops = ops;
    d->thread = thread;
    d->terms = *terms;
    d->deadline = GNT_NEVER;
    return gnt_link_init(&d->link, &thread->loop, target);
}

void gnt_dialer_adopt(struct gnt_dialer *d, const struct gnt_dialer_ops *ops,
                      struct gnt_thread *thread, struct gnt_stream **stream, uint32_t timeout_ms)
{
    d->ops = ops;
    d->thread = thread;
    d->terms = (struct gnt_dialer_terms){.no_reconnect = true};
    d->wanted = d->touched = true;
    d->state = GNT_LINK_UP;
    d->deadline = gnt_deadline(gnt_now(&gnt_clock_system), timeout_ms * GNT_NS_PER_MS);
    gnt_link_adopt(&d->link, &thread->loop, stream);
}

void gnt_dialer_fini(struct gnt_dialer *d)
{
    gnt_link_fini(&d->link);
}

/* ---- What is wanted */

void gnt_dialer_touch(struct gnt_dialer *d)
{
    if (!d->touched)
        d->touched = d->wanted = true;
    gnt_thread_wake(d->thread);
}

static void want(struct gnt_dialer *d)
{
    d->touched = d->wanted = true;
    if (d->state == GNT_LINK_WAITING)
        d->deadline = 0;
    gnt_thread_wake(d->thread);
}

gnt_err gnt_dialer_start(struct gnt_dialer *d)
{
    if (d->quit)
        return GNT_STATE;
    want(d);
    return GNT_OK;
}

int gnt_dialer_connect(struct gnt_dialer *d, uint64_t deadline)
{
    /* A connection that is just being closed is not the one that is waited for. */
    while (d->state == GNT_LINK_CLOSING)
        if (!gnt_thread_wait(d->thread, deadline))
            return GNT_TIMEOUT;
    const uint64_t endings = d->endings;
    if (!d->connected) {
        want(d);
        d->once = true;
    }
    while (!d->connected) {
        if (d->endings != endings)
            return gnt_dialer_why(d);
        if (!gnt_thread_wait(d->thread, deadline)) {
            d->wanted = false;
            gnt_thread_wake(d->thread);
            return GNT_TIMEOUT;
        }
    }
    return GNT_OK;
}

void gnt_dialer_stop(struct gnt_dialer *d, bool quit)
{
    d->quit = d->quit || quit;
    d->touched = true;
    d->wanted = false;
    gnt_thread_wake(d->thread);
}

bool gnt_dialer_at_rest(const struct gnt_dialer *d)
{
    return !d->wanted && d->state == GNT_LINK_DOWN;
}

int gnt_dialer_why(const struct gnt_dialer *d)
{
    return d->error ? d->error : GNT_CLOSED;
}

void gnt_dialer_settle(struct gnt_dialer *d, uint64_t deadline)
{
    while (!gnt_dialer_at_rest(d))
        if (!gnt_thread_wait(d->thread, deadline))
            return;
}

/* ---- How it begins and ends */

void gnt_dialer_connected(struct gnt_dialer *d)
{
    d->connected = true;
    d->connected_at = gnt_now(&gnt_clock_system);
    d->connections++;
    d->once = false;
    d->error = 0;
    d->deadline = GNT_NEVER;
    pthread_cond_broadcast(&d->thread->changed);
}

static bool tries_again(const struct gnt_dialer *d, const struct gnt_ending *e)
{
    const bool may =
        e->lasting == GNT_LASTS_NOT || (e->lasting == GNT_LASTS && d->terms.on_refusal);
    return e->error && d->wanted && !d->once && !d->terms.no_reconnect && may;
}

struct gnt_retry gnt_dialer_ended(struct gnt_dialer *d, const struct gnt_ending *e)
{
    const uint64_t now = gnt_now(&gnt_clock_system);
    struct gnt_retry retry = {.again = tries_again(d, e)};
    if (d->connected && now - d->connected_at >= STEADY_MS * GNT_NS_PER_MS)
        d->failures = 0;
    if (retry.again)
        retry.in_ms = gnt_back_off_ms(d->terms.min_ms, d->terms.max_ms, d->failures++);
    d->error = e->error;
    if (!retry.again && e->error)
        d->wanted = false;
    d->once = d->connected = false;
    d->deadline = retry.again ? gnt_deadline(now, retry.in_ms * GNT_NS_PER_MS) : GNT_NEVER;
    d->flush_until = e->linger ? gnt_deadline(now, FLUSH_MS * GNT_NS_PER_MS) : now;
    d->state = d->link.stream ? GNT_LINK_CLOSING : retry.again ? GNT_LINK_WAITING : GNT_LINK_DOWN;
    d->endings++;
    pthread_cond_broadcast(&d->thread->changed);
    return retry;
}

void gnt_dialer_failed(struct gnt_dialer *d, gnt_err err)
{
    struct gnt_link_trouble trouble;
    gnt_link_trouble(&d->link, err, &trouble);
    gnt_link_abandon(&d->link);
    d->ops->failed(d, &trouble);
}

static gnt_err next_address(struct gnt_dialer *d)
{
    gnt_err err = gnt_link_next_address(&d->link);
    if (!err) {
        d->state = GNT_LINK_OPENING;
        d->heard = d->connected = false;
    }
    return err;
}

bool gnt_dialer_next_address(struct gnt_dialer *d, const struct gnt_link_trouble *trouble)
{
    bool mute = trouble->err && !trouble->tls && !d->heard && d->wanted && d->link.next_address;
    if (!mute)
        return false;
    gnt_link_close(&d->link);
    return next_address(d) == GNT_OK;
}

/* ---- Step by step */

static void begin(struct gnt_dialer *d, uint64_t now)
{
    uint32_t timeout_ms = d->terms.connect_timeout_ms;
    d->deadline = timeout_ms ? gnt_deadline(now, timeout_ms * GNT_NS_PER_MS) : GNT_NEVER;
    d->heard = d->connected = false;
    d->state = GNT_LINK_RESOLVING; /* what is asked for meanwhile is seen afterwards */
    pthread_mutex_unlock(&d->thread->lock);
    gnt_err err = gnt_link_prepare(&d->link);
    pthread_mutex_lock(&d->thread->lock);
    if (!err)
        err = gnt_link_open(&d->link);
    if (!err)
        d->state = GNT_LINK_OPENING;
    else if (err < 0)
        gnt_dialer_failed(d, err);
}

static void resolving(struct gnt_dialer *d)
{
    gnt_err err;
    if (!gnt_link_resolved(&d->link, &err))
        return;
    if (!err)
        err = next_address(d);
    if (err)
        gnt_dialer_failed(d, err == GNT_NOTFOUND ? GNT_RESOLVE : err);
}

static void opening(struct gnt_dialer *d)
{
    struct gnt_link_trouble trouble;
    gnt_err err = gnt_link_opened(&d->link);
    if (err == GNT_MORE)
        return;
    if (!err)
        err = d->ops->opened(d);
    if (!err) {
        d->state = GNT_LINK_UP;
        return;
    }
    gnt_link_trouble(&d->link, err, &trouble);
    if (!gnt_dialer_next_address(d, &trouble))
        gnt_dialer_failed(d, err);
}

static void closing(struct gnt_dialer *d)
{
    if (gnt_now(&gnt_clock_system) < d->flush_until &&
        (d->ops->write(d) == GNT_MORE || !gnt_link_finish(&d->link)))
        return;
    gnt_link_abandon(&d->link);
    d->state = d->deadline == GNT_NEVER ? GNT_LINK_DOWN : GNT_LINK_WAITING;
    pthread_cond_broadcast(&d->thread->changed);
}

static void not_wanted(struct gnt_dialer *d)
{
    if (d->state == GNT_LINK_WAITING) {
        d->state = GNT_LINK_DOWN;
        pthread_cond_broadcast(&d->thread->changed);
    } else if (d->state == GNT_LINK_RESOLVING || d->state == GNT_LINK_OPENING) {
        gnt_dialer_failed(d, GNT_OK);
    } else if (d->state == GNT_LINK_UP) {
        d->ops->leave(d);
    }
}

void gnt_dialer_step(struct gnt_dialer *d)
{
    const uint64_t now = gnt_now(&gnt_clock_system);
    gnt_link_look(&d->link);
    if (!d->wanted)
        not_wanted(d);
    const bool late = d->deadline <= now;
    if ((d->state == GNT_LINK_DOWN && d->wanted) || (d->state == GNT_LINK_WAITING && late))
        begin(d, now);
    else if (late && d->state != GNT_LINK_DOWN && d->state != GNT_LINK_CLOSING)
        gnt_dialer_failed(d, d->wanted ? GNT_TIMEOUT : GNT_OK);
    if (d->state == GNT_LINK_RESOLVING)
        resolving(d);
    if (d->state == GNT_LINK_OPENING)
        opening(d);
    if (d->state == GNT_LINK_UP)
        d->ops->carry(d);
    if (d->state == GNT_LINK_CLOSING)
        closing(d);
}

void gnt_dialer_want(struct gnt_dialer *d, bool output, bool hungry)
{
    unsigned events = 0;
    if (!d->link.stream)
        return;
    if (d->state == GNT_LINK_OPENING || output)
        events |= GNT_WRITABLE;
    if (d->state == GNT_LINK_CLOSING || (d->state == GNT_LINK_UP && hungry))
        events |= GNT_READABLE;
    gnt_stream_want(d->link.stream, (uint8_t)events);
}

uint64_t gnt_dialer_deadline(const struct gnt_dialer *d, uint64_t deadline)
{
    if (d->state == GNT_LINK_CLOSING)
        return d->flush_until;
    return d->deadline < deadline ? d->deadline : deadline;
}

uint64_t gnt_dialer_wait_ns(const struct gnt_dialer *d, uint64_t deadline)
{
    const uint64_t next = gnt_dialer_deadline(d, deadline);
    if (d->thread->asked || (d->state == GNT_LINK_DOWN && d->wanted))
        return 0;
    if (next == GNT_NEVER)
        return GNT_NEVER;
    const uint64_t now = gnt_now(&gnt_clock_system);
    return next > now ? next - now : 0;
}
