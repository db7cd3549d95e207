#include "core/session.h"

#include "base/assert.h"
#include "core/publish.h"
#include "core/session_private.h"

#include <stdlib.h>

/* ---- Timer: will delay and expiry */

static void set_timer(struct gnt_session *s)
{
    uint64_t due = s->expires_at;
    if (s->will && s->will->due < due)
        due = s->will->due;
    gnt_err err = gnt_timer_set(s->home->timers, &s->timer, due < GNT_FAR ? due : GNT_FAR);
    GNT_ASSERT(err == GNT_OK); /* it is set already, or was unset just now */
}

static uint64_t after_s(const struct gnt_session *s, uint32_t seconds)
{
    if (seconds == GNT_EXPIRY_NEVER)
        return GNT_NEVER;
    return gnt_deadline(*s->home->now, seconds * GNT_NS_PER_S);
}

/* ---- The will */

/* *out is NULL where there is none; its message is still REQUEST's. */
static gnt_err will_new(const struct gnt_session_open *request, struct gnt_will **out)
{
    *out = NULL;
    if (!request->will)
        return GNT_OK;
    struct gnt_will *w = malloc(sizeof *w);
    if (!w)
        return GNT_NOMEM;
    *w = (struct gnt_will){.message = request->will,
                           .delay_s = request->will_delay_s,
                           .expiry_s = request->will_expiry_s,
                           .due = GNT_NEVER};
    *out = w;
    return GNT_OK;
}

/* What was the will is the caller's: NULL if there was none. */
static struct gnt_message *take_will(struct gnt_session *s)
{
    struct gnt_message *message = s->will ? s->will->message : NULL;
    free(s->will);
    s->will = NULL;
    return message;
}

static void drop_will(struct gnt_session *s)
{
    struct gnt_message *will = take_will(s);
    gnt_message_unref(&will);
}

/* What it may not publish any more goes with its session. */
static void publish_will(struct gnt_session *s)
{
    if (!s->will)
        return;
    if (!gnt_session_may_publish(s, s->will->message->topic)) {
        gnt_count(&s->home->counters, GNT_COUNT_PUBLISH_DENIED, 1);
        drop_will(s);
        return;
    }
    uint64_t expires = after_s(s, s->will->expiry_s);
    struct gnt_message *will = take_will(s);
    will->expires = expires;          /* nobody else has it yet */
    gnt_publish(s->home, will, NULL); /* has counted what it could not do */
    gnt_message_unref(&will);
}

/* ---- Death */

/* A will that is still there waits for its delay, which the end of the session ends
 * [MQTT5 3.1.3.2.2]. */
static void session_end(struct gnt_session *s)
{
    GNT_ASSERT(s->receiver == NULL);
    publish_will(s);
    gnt_session_consume_stop(s, false);
    gnt_session_flow_stop(s, true);
    gnt_session_unsubscribe_all(s);
    gnt_session_keep_end(s);
    gnt_session_flow_fini(s);
    gnt_session_unbind(s);
    gnt_idset_fini(&s->unreleased);
    gnt_work_cancel(&s->work);
    gnt_timer_cancel(s->home->timers, &s->timer);
    gnt_slots_remove(&s->home->slots, &s->sink);
    gnt_map_remove(&s->home->sessions, &s->by_client_id);
    gnt_count(&s->home->counters, GNT_COUNT_SESSIONS, -1);
    free(s);
}

void gnt_session_discard(struct gnt_session *s)
{
    drop_will(s);
    gnt_session_keep_free(s);
    session_end(s);
}

void gnt_sessions_free(struct gnt_home *home)
{
    struct gnt_map_cursor cursor = {0};
    for (struct gnt_map_node *node; (node = gnt_map_walk(&home->sessions, &cursor));) {
        struct gnt_session *s = GNT_CONTAINER(node, struct gnt_session, by_client_id);
        s->receiver = NULL;
        gnt_session_discard(s);
    }
    gnt_map_fini(&home->sessions);
}

static bool will_due(const struct gnt_session *s, uint64_t now)
{
    return s->will && s->will->due <= now;
}

/* Its record is written again, with what has changed.  If there is no memory for it, it is taken
 * for a session whose client parted when the broker ended. */
static void keep_record(struct gnt_session *s)
{
    if (gnt_session_keep_record(s))
        gnt_count(&s->home->counters, GNT_COUNT_KEEP_FAILURES, 1);
}

static void on_timer(struct gnt_timer *timer, uint64_t now)
{
    struct gnt_session *s = GNT_CONTAINER(timer, struct gnt_session, timer);
    bool expired = s->expires_at <= now;
    set_timer(s); /* first of all, while there is surely room for it */
    if (expired) {
        gnt_count(&s->home->counters, GNT_COUNT_SESSIONS_EXPIRED, 1);
        session_end(s);
        return;
    }
    if (will_due(s, now)) {
        publish_will(s);
        keep_record(s);
    }
    set_timer(s);
}

/* ---- Birth */

static void session_work(struct gnt_home *home, struct gnt_work *work);

/* Two homes that begin their last one at the same moment may both find room for it. */
static bool sessions_full(const struct gnt_home *home)
{
    size_t max = home->config.sessions_max;
    uint64_t count = 0;
    for (unsigned i = 0; max && i < home->config.homes; i++)
        count += gnt_counted(&home->homes[i].counters, GNT_COUNT_SESSIONS);
    return max && count >= max;
}

/* KEPT: its sink says that what it takes is kept. */
static gnt_err session_new(struct gnt_home *home, struct gnt_slice client_id, uint64_t hash,
                           bool kept, struct gnt_session **out)
{
    struct gnt_session *s = calloc(1, sizeof *s + client_id.size);
    if (!s)
        return GNT_NOMEM;
    GNT_ASSERT(client_id.size <= UINT16_MAX);
    memcpy(s->client_id, client_id.data, client_id.size);
    s->client_id_size = (uint16_t)client_id.size;
    s->home = home;
    s->sink.ops = &gnt_session_sink_ops;
    s->expires_at = GNT_NEVER;
    s->timer.fire = on_timer;
    gnt_work_init(&s->work, session_work);
    gnt_window_init(&s->window);
    gnt_err err = gnt_timer_set(home->timers, &s->timer, GNT_FAR);
    if (!err)
        err = gnt_slots_add(&home->slots, home->index, &s->sink);
    if (!err)
        err = gnt_map_insert(&home->sessions, &s->by_client_id, hash);
    if (err) {
        if (s->sink.id)
            gnt_slots_remove(&home->slots, &s->sink);
        gnt_timer_cancel(home->timers, &s->timer);
        free(s);
        return err;
    }
    if (kept)
        s->sink.id |= GNT_SINK_KEPT;
    gnt_count(&home->counters, GNT_COUNT_SESSIONS, 1);
    *out = s;
    return GNT_OK;
}

static struct gnt_session *session_find(const struct gnt_home *home, struct gnt_slice id,
                                        uint64_t hash)
{
    struct gnt_map_node *node = gnt_map_first(&home->sessions, hash);
    for (; node; node = gnt_map_next(node)) {
        struct gnt_session *s = GNT_CONTAINER(node, struct gnt_session, by_client_id);
        if (gnt_slice_eq(gnt_slice(s->client_id, s->client_id_size), id))
            return s;
    }
    return NULL;
}

struct gnt_session *gnt_session_find(const struct gnt_home *home, struct gnt_slice client_id)
{
    return session_find(home, client_id, gnt_hash(client_id));
}

static gnt_err restore_will(struct gnt_session *s, const struct gnt_session_restore *from)
{
    if (!from->will)
        return GNT_OK;
    s->will = malloc(sizeof *s->will);
    if (!s->will)
        return GNT_NOMEM;
    *s->will =
        (struct gnt_will){.delay_s = from->will_delay_s,
                          .expiry_s = from->will_expiry_s,
                          .due = gnt_deadline(from->parted, from->will_delay_s * GNT_NS_PER_S)};
    gnt_err err = gnt_message_copy(from->will, s->sink.id, &s->will->message);
    if (err) {
        free(s->will);
        s->will = NULL;
    }
    return err;
}

gnt_err gnt_session_restore(struct gnt_home *home, const struct gnt_session_restore *from,
                            struct gnt_session **out)
{
    struct gnt_session *s;
    gnt_err err = session_new(home, from->client_id, gnt_hash(from->client_id), true, &s);
    if (err)
        return err;
    s->expiry_s = from->expiry_s;
    if (s->expiry_s != GNT_EXPIRY_NEVER)
        s->expires_at = gnt_deadline(from->parted, s->expiry_s * GNT_NS_PER_S);
    err = gnt_session_bind_by_list(s, from->user);
    if (!err)
        err = restore_will(s, from);
    if (err) {
        session_end(s);
        return err;
    }
    set_timer(s);
    *out = s;
    return GNT_OK;
}

/* ---- Parting */

/* The session has no receiver from here on. */
static void let_go(struct gnt_session *s, enum gnt_parting how)
{
    s->receiver = NULL;
    s->held = false;
    s->closing = false;
    gnt_count(&s->home->counters, GNT_COUNT_CONNECTED, -1);
    gnt_session_shared_stop(s);
    gnt_session_shared_away(s);
    gnt_session_consume_stop(s, how != GNT_PARTING_CLEAN);
    gnt_session_flow_stop(s, false);
    s->expires_at = after_s(s, s->expiry_s);
    if (how == GNT_PARTING_CLEAN)
        drop_will(s);
    else if (s->will && s->will->delay_s)
        s->will->due = after_s(s, s->will->delay_s);
    else
        publish_will(s);
    set_timer(s);
    gnt_session_keep_connected(s, false);
    if (s->expiry_s)
        keep_record(s);
}

static void take_over(struct gnt_session *s)
{
    struct gnt_receiver *old = s->receiver;
    let_go(s, GNT_PARTING_WITH_WILL);
    gnt_count(&s->home->counters, GNT_COUNT_TAKE_OVERS, 1);
    old->ops->closed(old, GNT_CLOSE_TAKEN_OVER);
}

static uint32_t capped_expiry(const struct gnt_home *home, uint32_t expiry_s)
{
    uint32_t most = home->config.session_expiry_max_s;
    return expiry_s < most ? expiry_s : most;
}

/* What ends with the connection is not kept; what was kept once is until it ends. */
static gnt_err begin_keeping(struct gnt_session *s)
{
    gnt_err err = GNT_OK;
    if (!s->kept && s->expiry_s && gnt_keeps(s->home))
        err = gnt_session_keep(s);
    gnt_session_keep_connected(s, true);
    return err ? err : gnt_session_keep_record(s);
}

/* Whether the client comes back to S, and not to a new session. */
static bool goes_on(const struct gnt_session *s, const struct gnt_session_open *request)
{
    if (!s || request->clean_start)
        return false;
    return s->receiver ? s->expiry_s : s->expires_at > *s->home->now; /* or due in this very turn */
}

/* The one that goes on (PRESENT), or a new one, without a receiver. */
static gnt_err session_for(struct gnt_home *home, const struct gnt_session_open *request,
                           uint64_t hash, bool present, struct gnt_session **out)
{
    struct gnt_session *s = session_find(home, request->client_id, hash);
    if (s && s->receiver)
        take_over(s);
    if (s && present) {
        if (will_due(s, *home->now))
            publish_will(s); /* due in this very turn; the record is written anew later */
        *out = s;
        return GNT_OK;
    }
    if (s)
        session_end(s);
    bool kept = gnt_keeps(home) && capped_expiry(home, request->expiry_s);
    return sessions_full(home) ? GNT_FULL : session_new(home, request->client_id, hash, kept, out);
}

/* Who its client is now, what it has for the case that it parts, and that it is there, as a whole.
 */
static gnt_err begin(struct gnt_session *s, struct gnt_session_open *request, struct gnt_will *will)
{
    drop_will(s); /* the client is back before its delay was over [MQTT-3.1.3-9] */
    s->expiry_s = capped_expiry(s->home, request->expiry_s);
    s->will = will;
    gnt_err err = gnt_session_bind(s, request->user, request->rights);
    if (!err)
        err = begin_keeping(s);
    if (err) {
        s->will = NULL;
        return err;
    }
    request->will = NULL;
    gnt_rights_unref(&request->rights); /* the session has its own */
    if (will)
        will->message->publisher = s->sink.id;
    return GNT_OK;
}

gnt_err gnt_session_open(struct gnt_home *home, struct gnt_session_open *request,
                         struct gnt_receiver *receiver, struct gnt_session **out, bool *present)
{
    uint64_t hash = gnt_hash(request->client_id);
    *present = goes_on(session_find(home, request->client_id, hash), request);
    if (!*present && capped_expiry(home, request->expiry_s) && gnt_keep_refuses(home))
        return GNT_IO;
    struct gnt_session *s = NULL;
    struct gnt_will *will;
    gnt_err err = will_new(request, &will);
    if (!err)
        err = session_for(home, request, hash, *present, &s);
    if (!err)
        err = begin(s, request, will);
    if (err) {
        if (s && !*present)
            session_end(s);
        free(will);
        return err;
    }
    s->expires_at = GNT_NEVER;
    set_timer(s);
    uint32_t most = home->config.inflight_per_session;
    s->receive_max = request->receive_max < most ? request->receive_max : most;
    s->unsettled = 0;
    s->receiver = receiver;
    s->held = true;
    gnt_count(&home->counters, GNT_COUNT_CONNECTED, 1);
    *out = s;
    return GNT_OK;
}

bool gnt_session_connected(const struct gnt_home *home, struct gnt_slice client_id)
{
    const struct gnt_session *s = gnt_session_find(home, client_id);
    return s && s->receiver;
}

void gnt_session_resume(struct gnt_session *s)
{
    struct gnt_flight *first = gnt_window_next(&s->window, NULL);
    s->resend_from = first ? first->id : 0;
    s->held = false;
    gnt_session_pump(s);
    gnt_session_consume_review(s);
}

void gnt_session_close(struct gnt_session *s, enum gnt_parting how, uint32_t expiry_s)
{
    s->expiry_s = capped_expiry(s->home, expiry_s);
    let_go(s, how);
    if (s->expiry_s == 0)
        session_end(s);
}

uint64_t gnt_session_sink(const struct gnt_session *s)
{
    return s->sink.id;
}

bool gnt_session_is_kept(const struct gnt_session *s)
{
    return s->kept != NULL;
}

bool gnt_session_kept_of(const struct gnt_home *home, struct gnt_slice client_id)
{
    const struct gnt_session *s = gnt_session_find(home, client_id);
    return s && s->kept;
}

uint32_t gnt_session_expiry(const struct gnt_session *s)
{
    return s->expiry_s;
}

const struct gnt_ledger *gnt_session_ledger(const struct gnt_session *s)
{
    return s->ledger;
}

uint32_t gnt_session_unsettled(const struct gnt_session *s)
{
    return s->unsettled;
}

/* ---- From the client */

gnt_err gnt_session_receive_unsafe(struct gnt_session *s, uint16_t id)
{
    if (gnt_idset_has(&s->unreleased, id))
        return GNT_EXISTS;
    if (s->kept && gnt_keep_refuses(s->home))
        return GNT_IO;
    return gnt_idset_add(&s->unreleased, id);
}

gnt_err gnt_session_receive_once(struct gnt_session *s, uint16_t id)
{
    gnt_err err = gnt_session_receive_unsafe(s, id);
    if (!err && (err = gnt_session_keep_received(s, id)))
        gnt_idset_remove(&s->unreleased, id);
    return err;
}

void gnt_session_has_received(struct gnt_home *home, uint64_t sink, uint16_t id)
{
    struct gnt_sink *found = gnt_slots_find(&home->slots, sink);
    if (found && gnt_session_keep_received(gnt_session_of(found), id))
        return; /* no memory to say so: it may come twice after a crash */
}

gnt_err gnt_session_released(struct gnt_session *s, uint16_t id)
{
    if (!gnt_idset_has(&s->unreleased, id))
        return GNT_NOTFOUND;
    gnt_err err = gnt_session_keep_not_received(s, id);
    if (!err)
        gnt_idset_remove(&s->unreleased, id);
    return err;
}

void gnt_session_not_received(struct gnt_home *home, uint64_t sink, uint16_t id)
{
    struct gnt_sink *found = gnt_slots_find(&home->slots, sink);
    if (found && gnt_session_released(gnt_session_of(found), id))
        return; /* no memory to say so: it is taken for one that has come */
}

uint32_t gnt_session_unreleased(const struct gnt_session *s)
{
    return gnt_idset_count(&s->unreleased);
}

/* ---- Work that waits */

void gnt_session_work_later(struct gnt_session *s)
{
    gnt_home_later(s->home, &s->work);
}

static void close_receiver(struct gnt_session *s)
{
    struct gnt_receiver *receiver = s->receiver;
    enum gnt_close_reason why = (enum gnt_close_reason)s->why;
    gnt_session_close(s, GNT_PARTING_WITH_WILL, s->expiry_s);
    receiver->ops->closed(receiver, why);
}

static void session_work(struct gnt_home *home, struct gnt_work *work)
{
    struct gnt_session *s = GNT_CONTAINER(work, struct gnt_session, work);
    if (s->closing) {
        close_receiver(s);
        return;
    }
    bool more = gnt_session_walk(s);
    if (!gnt_session_tell_groups(s) || more)
        gnt_home_later(home, work);
}
