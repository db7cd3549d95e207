#include "oracle.h"

#include <stdio.h>
#include <stdlib.h>

/* Between workers a message is under way for a while after it has been acknowledged. */
#define GRACE (2 * GNT_NS_PER_S)

enum { MAGIC = 0x474e4154 };

/* ---- Topics and filters, matched in the plainest way */

static const char *const normal_topics[] = {"n",     "n/c",  "n/a/1",   "n/a/2",   "n/b/1",
                                            "n/b/2", "n//1", "n/a/1/x", "n/a/2/y", "n/a/b/c/d"};
static const char *const shared_topics[] = {"s/1", "s/2", "s/2/3"};

static const struct sim_filter all_filters[] = {
    {"n/#", "n/#", SIM_NORMAL, 0},
    {"n/+/1", "n/+/1", SIM_NORMAL, 0},
    {"n/a/#", "n/a/#", SIM_NORMAL, 0},
    {"n/a/+", "n/a/+", SIM_NORMAL, 0},
    {"n/a/1", "n/a/1", SIM_NORMAL, 0},
    {"n/b/2", "n/b/2", SIM_NORMAL, 0},
    {"+/a/1", "+/a/1", SIM_NORMAL, 0},
    {"n/+", "n/+", SIM_NORMAL, 0},
    {"n/+/+", "n/+/+", SIM_NORMAL, 0},
    {"n/a/+/#", "n/a/+/#", SIM_NORMAL, 0},
    {"n", "n", SIM_NORMAL, 0},
    {"+/+/1/x", "+/+/1/x", SIM_NORMAL, 0},
    {"r/#", "r/#", SIM_RETAINED, 0},
    {"r/+", "r/+", SIM_RETAINED, 0},
    {"r/1", "r/1", SIM_RETAINED, 0},
    {"w/#", "w/#", SIM_WILL, 0},
    {"$share/g/s/#", "s/#", SIM_SHARED, 0},
    {"$share/h/s/+", "s/+", SIM_SHARED, 0},
    {"$share/g/s/1", "s/1", SIM_SHARED, 0},
};

/* FILTER against NAME, level by level [MQTT5 4.7]. */
static bool matches(const char *filter, const char *name)
{
    if (filter[0] == '#')
        return true;
    size_t f = strcspn(filter, "/"), n = strcspn(name, "/");
    bool level = (f == 1 && filter[0] == '+') || (f == n && memcmp(filter, name, f) == 0);
    if (!level)
        return false;
    if (!name[n])
        return !filter[f] || strcmp(filter + f, "/#") == 0;
    return filter[f] && matches(filter + f + 1, name + n + 1);
}

static struct sim_topic *add_topic(struct sim_oracle *o, enum sim_kind kind)
{
    struct sim_topic *t = &o->topics[o->topic_count++];
    t->kind = kind;
    t->permitted_until = GNT_NEVER;
    return t;
}

/* Two lists of topics, then a retained one and a will's for each session. */
static void make_topics(struct sim_oracle *o)
{
    o->normal_topics = sizeof normal_topics / sizeof normal_topics[0];
    o->shared_topics = sizeof shared_topics / sizeof shared_topics[0];
    o->topics =
        calloc(o->normal_topics + o->shared_topics + 2 * o->session_count, sizeof *o->topics);
    SIM_MUST(o->world, o->topics != NULL);
    for (uint32_t i = 0; i < o->normal_topics; i++)
        snprintf(add_topic(o, SIM_NORMAL)->name, SIM_TOPIC_SIZE, "%s", normal_topics[i]);
    for (uint32_t i = 0; i < o->shared_topics; i++)
        snprintf(add_topic(o, SIM_SHARED)->name, SIM_TOPIC_SIZE, "%s", shared_topics[i]);
    for (uint32_t i = 0; i < o->session_count; i++)
        snprintf(add_topic(o, SIM_RETAINED)->name, SIM_TOPIC_SIZE, "r/%u", i);
    for (uint32_t i = 0; i < o->session_count; i++)
        snprintf(add_topic(o, SIM_WILL)->name, SIM_TOPIC_SIZE, "w/%u", i);
}

static void make_filters(struct sim_oracle *o)
{
    o->filter_count = sizeof all_filters / sizeof all_filters[0];
    memcpy(o->filters, all_filters, sizeof all_filters);
    o->matches = calloc(o->filter_count, o->topic_count);
    SIM_MUST(o->world, o->matches != NULL);
    for (uint32_t f = 0; f < o->filter_count; f++) {
        o->filters[f].shared_qos = (uint8_t)sim_between(o->world, 0, 2);
        for (uint32_t t = 0; t < o->topic_count; t++)
            o->matches[f * o->topic_count + t] = matches(o->filters[f].inner, o->topics[t].name);
    }
}

void sim_oracle_init(struct sim_oracle *o, struct sim_world *w, uint32_t sessions)
{
    *o = (struct sim_oracle){.world = w, .session_count = sessions};
    SIM_MUST(w, sessions <= SIM_SESSIONS_MAX);
    make_topics(o);
    make_filters(o);
    for (uint32_t i = 0; i < sessions; i++) {
        struct sim_session *s = &o->session[i];
        s->last = calloc((size_t)sessions * o->topic_count, sizeof *s->last);
        SIM_MUST(w, s->last != NULL);
    }
}

void sim_oracle_fini(struct sim_oracle *o)
{
    for (uint32_t i = 0; i < o->session_count; i++) {
        free(o->session[i].arrived);
        free(o->session[i].last);
    }
    free(o->topics);
    free(o->matches);
    free(o->messages);
    free(o->subs);
    free(o->unsubs);
}

uint32_t sim_oracle_retained_topic(const struct sim_oracle *o, uint32_t session)
{
    return o->normal_topics + o->shared_topics + session;
}

uint32_t sim_oracle_will_topic(const struct sim_oracle *o, uint32_t session)
{
    return sim_oracle_retained_topic(o, o->session_count) + session;
}

struct gnt_slice sim_oracle_topic(const struct sim_oracle *o, uint32_t topic)
{
    return gnt_slice_str(o->topics[topic].name);
}

static bool sub_matches(const struct sim_oracle *o, const struct sim_sub *s, uint32_t topic)
{
    return o->matches[s->filter * o->topic_count + topic];
}

/* ---- What may be received */

void sim_oracle_permit(struct sim_oracle *o, const char *name, bool permitted)
{
    for (uint32_t i = 0; i < o->topic_count; i++) {
        struct sim_topic *t = &o->topics[i];
        if (strcmp(t->name, name) != 0 || (t->permitted_until == GNT_NEVER) == permitted)
            continue;
        t->permitted_until = permitted ? GNT_NEVER : o->world->now;
        t->denied_until = permitted ? o->world->now : GNT_NEVER;
    }
}

static bool at_or_after(uint64_t until, const struct sim_message *m)
{
    return until == GNT_NEVER || (until && until + GRACE >= m->handed);
}

/* Whether M was permitted, or denied, to anybody at any time since it was handed in. */
static bool was_permitted(const struct sim_oracle *o, const struct sim_message *m)
{
    return at_or_after(o->topics[m->topic].permitted_until, m);
}

static bool was_denied(const struct sim_oracle *o, const struct sim_message *m)
{
    return at_or_after(o->topics[m->topic].denied_until, m);
}

/* ---- Publishing */

static void *grow(struct sim_oracle *o, void *list, size_t count, size_t *cap, size_t size)
{
    if (count < *cap)
        return list;
    *cap = *cap ? *cap * 2 : 256;
    list = realloc(list, *cap * size);
    SIM_MUST(o->world, list != NULL);
    return list;
}

uint32_t sim_oracle_publish(struct sim_oracle *o, const struct sim_message *m)
{
    o->messages = grow(o, o->messages, o->message_count, &o->message_cap, sizeof *o->messages);
    struct sim_message *mine = &o->messages[o->message_count];
    *mine = *m;
    mine->handed = o->world->now;
    mine->done = GNT_NEVER;
    sim_trace(o->world, "client %u publishes %zu to %s, QoS %u", m->publisher, o->message_count,
              o->topics[m->topic].name, m->qos);
    return (uint32_t)o->message_count++;
}

static uint8_t filler(uint32_t message, size_t at)
{
    return (uint8_t)(message * 31 + at * 7);
}

void sim_oracle_payload(const struct sim_oracle *o, uint32_t message, uint8_t *to)
{
    const uint32_t head[2] = {MAGIC, message};
    memcpy(to, head, sizeof head);
    for (size_t i = sizeof head; i < o->messages[message].size; i++)
        to[i] = filler(message, i);
}

void sim_oracle_published(struct sim_oracle *o, uint32_t message, bool ok)
{
    struct sim_message *m = &o->messages[message];
    m->done = ok ? o->world->now : m->done;
    m->failed |= !ok;
    m->refusable = sim_world_refused(o->world, m->handed);
    sim_trace(o->world, "message %u is done%s", message, ok ? "" : ", but failed");
}

void sim_oracle_repeats(struct sim_oracle *o, uint32_t publisher)
{
    for (size_t i = 0; i < o->message_count; i++)
        if (o->messages[i].publisher == publisher && o->messages[i].done == GNT_NEVER)
            o->messages[i].repeats = true;
}

/* ---- Subscribing */

static bool is_live(const struct sim_sub *s, uint32_t session, uint32_t filter)
{
    return s->session == session && s->filter == filter && s->maybe_until == GNT_NEVER;
}

/* From now on nothing is sure about what SESSION has subscribed as FILTER. */
static void doubt(struct sim_oracle *o, uint32_t session, uint32_t filter)
{
    for (size_t i = 0; i < o->sub_count; i++)
        if (is_live(&o->subs[i], session, filter) && o->subs[i].sure_until == GNT_NEVER)
            o->subs[i].sure_until = o->world->now;
}

uint32_t sim_oracle_subscribe(struct sim_oracle *o, const struct sim_sub *s)
{
    doubt(o, s->session, s->filter);
    o->subs = grow(o, o->subs, o->sub_count, &o->sub_cap, sizeof *o->subs);
    struct sim_sub *mine = &o->subs[o->sub_count];
    *mine = *s;
    mine->asked = o->world->now;
    mine->sure_from = mine->sure_until = mine->maybe_until = GNT_NEVER;
    sim_trace(o->world, "client %u subscribes (%zu) to %s, QoS %u", s->session, o->sub_count,
              o->filters[s->filter].text, s->qos);
    return (uint32_t)o->sub_count++;
}

void sim_oracle_subscribed(struct sim_oracle *o, uint32_t sub)
{
    struct sim_sub *mine = &o->subs[sub];
    const struct sim_session *session = &o->session[mine->session];
    mine->confirmed = true;
    mine->sure_from = o->world->now;
    mine->epoch = session->epoch;
    mine->connection = session->connection;
    for (uint32_t i = 0; i < sub; i++) { /* it takes the place of earlier ones */
        if (!is_live(&o->subs[i], mine->session, mine->filter))
            continue;
        o->subs[i].maybe_until = o->world->now + GRACE;
    }
    sim_trace(o->world, "client %u has subscribed (%u)", mine->session, sub);
}

/* A connection may have broken between the first try and its answer. */
void sim_oracle_refused(struct sim_oracle *o, uint32_t sub)
{
    o->subs[sub].refused = true;
    o->subs[sub].epoch = o->session[o->subs[sub].session].epoch;
    sim_trace(o->world, "client %u is refused a subscription (%u)", o->subs[sub].session, sub);
}

uint32_t sim_oracle_unsubscribe(struct sim_oracle *o, uint32_t session, uint32_t filter)
{
    doubt(o, session, filter);
    if (o->filters[filter].kind == SIM_SHARED)
        o->session[session].leaves_groups = true;
    sim_trace(o->world, "client %u unsubscribes from %s", session, o->filters[filter].text);
    o->unsubs = grow(o, o->unsubs, o->unsub_count, &o->unsub_cap, sizeof *o->unsubs);
    o->unsubs[o->unsub_count] = (struct sim_unsub){session, filter, (uint32_t)o->sub_count};
    return (uint32_t)o->unsub_count++;
}

bool sim_oracle_observes(const struct sim_oracle *o)
{
    for (size_t i = 0; i < o->sub_count; i++)
        if (o->subs[i].session == o->observer && o->filters[o->subs[i].filter].kind == SIM_WILL)
            return o->subs[i].confirmed;
    return false;
}

/* Deliveries that were queued before still come. */
void sim_oracle_unsubscribed(struct sim_oracle *o, uint32_t unsub)
{
    const struct sim_unsub *u = &o->unsubs[unsub];
    for (size_t i = 0; i < u->subs; i++)
        if (is_live(&o->subs[i], u->session, u->filter))
            o->subs[i].maybe_until = o->world->now + GRACE;
    sim_trace(o->world, "client %u has unsubscribed from %s", u->session,
              o->filters[u->filter].text);
}

/* What a crash has undone comes again, also exactly once, to those who are not kept either. */
static void forget_copies(struct sim_session *s)
{
    for (size_t i = 0; i < s->arrived_count; i++)
        memset(s->arrived[i].copies, 0, sizeof s->arrived[i].copies);
}

void sim_oracle_session_lost(struct sim_oracle *o, uint32_t session)
{
    o->session[session].epoch++;
    if (o->crashes)
        forget_copies(&o->session[session]);
    for (size_t i = 0; i < o->sub_count; i++) {
        struct sim_sub *s = &o->subs[i];
        if (s->session != session || !s->confirmed || s->maybe_until != GNT_NEVER)
            continue;
        s->maybe_until = o->world->now;
        if (s->sure_until == GNT_NEVER)
            s->sure_until = o->world->now;
        if (o->filters[s->filter].kind == SIM_SHARED)
            o->session[session].leaves_groups = true;
    }
}

/* ---- Arriving */

static struct sim_arrived *arrived(struct sim_oracle *o, uint32_t session, uint32_t message)
{
    struct sim_session *s = &o->session[session];
    if (message >= s->arrived_count) {
        size_t count = o->message_cap;
        s->arrived = realloc(s->arrived, count * sizeof *s->arrived);
        SIM_MUST(o->world, s->arrived != NULL);
        memset(s->arrived + s->arrived_count, 0, (count - s->arrived_count) * sizeof *s->arrived);
        s->arrived_count = count;
    }
    return &s->arrived[message];
}

uint32_t sim_oracle_payload_message(struct sim_oracle *o, struct gnt_slice payload)
{
    uint32_t head[2];
    SIM_MUST(o->world, payload.size >= sizeof head);
    memcpy(head, payload.data, sizeof head);
    SIM_MUST(o->world, head[0] == MAGIC && head[1] < o->message_count);
    SIM_MUST(o->world, payload.size == o->messages[head[1]].size);
    for (size_t i = sizeof head; i < payload.size; i++)
        SIM_MUST(o->world, payload.data[i] == filler(head[1], i));
    return head[1];
}

static uint8_t lower(uint8_t a, uint8_t b)
{
    return a < b ? a : b;
}

/* Whether S may be a reason for SESSION to get M. */
static bool may_match(const struct sim_oracle *o, const struct sim_sub *s, uint32_t session,
                      const struct sim_message *m)
{
    return s->session == session && sub_matches(o, s, m->topic) &&
           (s->maybe_until == GNT_NEVER || s->maybe_until >= m->handed ||
            o->topics[m->topic].kind == SIM_RETAINED) &&
           !(s->no_local && m->publisher == session);
}

static void check_reason(struct sim_oracle *o, uint32_t session, uint32_t message, uint8_t qos)
{
    const struct sim_message *m = &o->messages[message];
    int highest = -1;
    for (size_t i = 0; i < o->sub_count; i++) {
        int most = lower(m->qos, o->subs[i].qos);
        if (may_match(o, &o->subs[i], session, m) && most > highest)
            highest = most;
    }
    if (highest < qos)
        sim_fail(o->world, "client %u got message %u (%s, QoS %u) at QoS %u, and may get %d",
                 session, message, o->topics[m->topic].name, m->qos, qos, highest);
}

static void check_ids(struct sim_oracle *o, uint32_t session, uint32_t message,
                      const struct gnt_mqtt_props *props)
{
    struct gnt_slice raw = props->raw;
    struct gnt_mqtt_prop prop;
    unsigned count = 0;
    while (props->present && gnt_mqtt_prop_next(&raw, &prop)) {
        if (prop.row != GNT_PROP_SUBSCRIPTION_ID)
            continue;
        count++;
        SIM_MUST(o->world, prop.number >= 1 && prop.number <= o->sub_count);
        const struct sim_sub *s = &o->subs[prop.number - 1];
        if (!may_match(o, s, session, &o->messages[message]))
            sim_fail(o->world, "client %u got message %u for subscription %u", session, message,
                     prop.number - 1);
    }
    SIM_MUST(o->world, count > 0);
}

uint32_t sim_oracle_seen(struct sim_oracle *o, uint32_t session, const struct sim_delivery *d)
{
    const struct gnt_mqtt_publish *p = d->publish;
    if (p->payload.size == 0) { /* the end of a retained message, on a topic of its owner's */
        SIM_MUST(o->world, p->topic.size > 2 && p->topic.data[0] == 'r');
        return SIM_NO_MESSAGE;
    }
    uint32_t message = sim_oracle_payload_message(o, p->payload);
    const struct sim_message *m = &o->messages[message];
    sim_trace(o->world, "client %u gets message %u at QoS %u%s%s", session, message, p->qos,
              p->dup ? " again" : "", p->retain ? " retained" : "");
    SIM_MUST(o->world, gnt_slice_eq(p->topic, sim_oracle_topic(o, m->topic)));
    SIM_MUST(o->world, !p->retain || o->topics[m->topic].kind == SIM_RETAINED);
    if (!was_permitted(o, m))
        sim_fail(o->world, "client %u got message %u (%s), which is denied", session, message,
                 o->topics[m->topic].name);
    uint32_t left = gnt_mqtt_number(d->props, GNT_PROP_MESSAGE_EXPIRY, 0);
    SIM_MUST(o->world, left <= m->expiry_s);
    check_reason(o, session, message, p->qos);
    if (d->ids)
        check_ids(o, session, message, d->props);
    return message;
}

/* What a crash has undone comes again from its publisher, and QoS 0 does not wait for the store. */
static void check_copies(struct sim_oracle *o, uint32_t session, uint32_t message, uint8_t qos)
{
    const struct sim_message *m = &o->messages[message];
    enum sim_kind kind = o->topics[m->topic].kind;
    const struct sim_arrived *a = arrived(o, session, message);
    bool once = m->qos != 1 && qos != 1 && !m->repeats && !(o->crashes && m->qos && qos == 0);
    if (kind == SIM_NORMAL && once && a->copies[qos] > 1)
        sim_fail(o->world, "client %u got message %u twice at QoS %u", session, message, qos);
}

/* Whether SESSION surely was subscribed to get M, at QOS, when M was handed in, and is since. */
static bool surely_subscribed(const struct sim_oracle *o, uint32_t session,
                              const struct sim_message *m, uint8_t qos)
{
    for (size_t i = 0; i < o->sub_count; i++) {
        const struct sim_sub *s = &o->subs[i];
        if (s->session == session && s->sure_from <= m->handed && s->sure_until == GNT_NEVER &&
            lower(m->qos, s->qos) >= qos && sub_matches(o, s, m->topic) &&
            !(s->no_local && m->publisher == session))
            return true;
    }
    return false;
}

/* Whether nobody had a reason to drop M on its way to SESSION: its client has been connected since
 * before, and its publisher waits at full queues. */
static bool waited_for(const struct sim_oracle *o, uint32_t session, const struct sim_message *m)
{
    return o->patient && m->qos > 0 && o->session[session].connected_at < m->handed;
}

/* Whether the broker may have refused M, and taken it when it came again after newer ones. */
static bool may_be_refused(const struct sim_oracle *o, const struct sim_message *m)
{
    return m->refusable || (m->done == GNT_NEVER && sim_world_refused(o->world, m->handed));
}

/* A first arrival must not be older than the last one of its kind.  Numbers rise with time, also
 * for each publisher.  Who has subscribed in between may meet an older message at QoS 1 when its
 * publisher sends it again. */
static void check_order(struct sim_oracle *o, uint32_t session, uint32_t message, uint8_t qos)
{
    const struct sim_message *m = &o->messages[message];
    if (o->topics[m->topic].kind != SIM_NORMAL)
        return;
    uint32_t(*of)[SIM_ORDERS] = &o->session[session].last[m->publisher * o->topic_count + m->topic];
    uint32_t *last = &(*of)[m->qos * 3 + qos];
    /* dropped or lost the first time, a repeated one may come at the second time */
    bool may_be_dropped = (o->lossy && !waited_for(o, session, m)) || was_denied(o, m);
    bool may_be_lost =
        may_be_refused(o, m) || (m->qos == 1 && (qos == 0 || m->expiry_s || may_be_dropped));
    if (message + 1 < *last && !m->repeats && !may_be_lost && surely_subscribed(o, session, m, qos))
        sim_fail(o->world, "client %u got message %u after %u", session, message, *last - 1);
    if (message + 1 > *last)
        *last = message + 1;
}

void sim_oracle_delivered(struct sim_oracle *o, uint32_t session, uint32_t message, uint8_t qos)
{
    if (message == SIM_NO_MESSAGE)
        return;
    struct sim_message *m = &o->messages[message];
    struct sim_arrived *a = arrived(o, session, message);
    bool first = !a->copies[0] && !a->copies[1] && !a->copies[2];
    if (a->copies[qos] < UINT8_MAX)
        a->copies[qos]++;
    m->copies += qos == 2;
    m->anywhere++;
    uint32_t *value = &o->session[session].retained_value[m->publisher];
    bool older = o->crashes && message + 1 < *value; /* it may come again */
    if (o->topics[m->topic].kind == SIM_RETAINED && !older)
        *value = message + 1;
    check_copies(o, session, message, qos);
    if (first)
        check_order(o, session, message, qos);
}

/* ---- The audit */

static bool still_the_same(const struct sim_oracle *o, const struct sim_sub *s)
{
    return s->confirmed && s->epoch == o->session[s->session].epoch;
}

static bool too_large(const struct sim_oracle *o, uint32_t session, const struct sim_message *m)
{
    enum { OVERHEAD = 128 };
    uint32_t most = o->session[session].packet_max;
    return most && m->size + OVERHEAD > most;
}

/* At QoS 0 all must have happened on connections that still stand. */
static bool due(const struct sim_oracle *o, const struct sim_sub *s, const struct sim_message *m)
{
    if (m->failed || m->expiry_s || m->done == GNT_NEVER || m->handed < s->sure_from)
        return false;
    if (was_denied(o, m))
        return false;
    if (s->sure_until != GNT_NEVER && m->done + GRACE > s->sure_until)
        return false;
    if (too_large(o, s->session, m) || (s->no_local && m->publisher == s->session))
        return false;
    if (m->qos && s->qos)
        return true;
    return s->sure_until == GNT_NEVER && /* nobody says when it has come to the broker */
           s->connection == o->session[s->session].connection && m->publisher_connection &&
           m->publisher_connection == o->session[m->publisher].connection;
}

static void audit_sub(struct sim_oracle *o, const struct sim_sub *s)
{
    for (uint32_t i = 0; i < o->message_count; i++) {
        const struct sim_message *m = &o->messages[i];
        if (o->topics[m->topic].kind != SIM_NORMAL || !sub_matches(o, s, m->topic) || !due(o, s, m))
            continue;
        struct sim_arrived *a = arrived(o, s->session, i);
        bool there = a->copies[2] || (a->copies[1] && lower(m->qos, s->qos) <= 1) ||
                     (a->copies[0] && lower(m->qos, s->qos) == 0);
        o->missing += !there && !a->missed;
        a->missed |= !there;
        if (!there && (!o->lossy || waited_for(o, s->session, m)))
            sim_fail(o->world, "client %u has not got message %u (%s, QoS %u) for its %s",
                     s->session, i, o->topics[m->topic].name, m->qos, o->filters[s->filter].text);
    }
}

/* Whether OLD may have been taken after NEWER: refused at first, or, as its publisher has not been
 * told that it was taken, sent again when NEWER had been acknowledged. */
static bool may_come_late(const struct sim_oracle *o, const struct sim_message *old,
                          const struct sim_message *newer)
{
    if (may_be_refused(o, old) && !old->failed && old->done > newer->handed)
        return true;
    return (old->qos == 1 || old->repeats) && !old->failed && old->done > newer->done &&
           o->session[old->publisher].connected_at > newer->done;
}

/* The value that a retained topic has in the end. */
uint32_t sim_oracle_retained(const struct sim_oracle *o, uint32_t session, bool *sure)
{
    uint32_t last = SIM_NO_MESSAGE;
    *sure = true;
    for (uint32_t i = 0; i < o->message_count; i++) {
        const struct sim_message *m = &o->messages[i];
        if (m->topic != sim_oracle_retained_topic(o, session))
            continue;
        last = i;
        *sure = m->done != GNT_NEVER && !m->failed && !m->expiry_s;
    }
    for (uint32_t i = 0; i < last && *sure && last != SIM_NO_MESSAGE; i++)
        *sure = o->messages[i].topic != o->messages[last].topic ||
                !may_come_late(o, &o->messages[i], &o->messages[last]);
    if (last != SIM_NO_MESSAGE && o->messages[last].size == 0)
        return SIM_NO_MESSAGE;
    return last;
}

bool sim_oracle_may_be_retained(const struct sim_oracle *o, uint32_t session, uint32_t value)
{
    uint32_t topic = sim_oracle_retained_topic(o, session);
    const struct sim_message *safe = NULL; /* the last that was acknowledged */
    for (size_t i = o->message_count; i-- > 0;) {
        const struct sim_message *m = &o->messages[i];
        if (m->topic != topic || (safe && !may_come_late(o, m, safe)))
            continue;
        if (value == i || (value == SIM_NO_MESSAGE && (m->size == 0 || m->expiry_s)))
            return true;
        if (!safe && m->done != GNT_NEVER && !m->failed)
            safe = m;
    }
    return value == SIM_NO_MESSAGE && !safe;
}

static void audit_retained(struct sim_oracle *o, const struct sim_sub *s)
{
    if (s->retain_handling != 0 || s->qos == 0 || s->sure_until != GNT_NEVER)
        return;
    for (uint32_t p = 0; p < o->session_count; p++) {
        uint32_t topic = sim_oracle_retained_topic(o, p);
        if (!sub_matches(o, s, topic))
            continue;
        bool sure;
        uint32_t value = sim_oracle_retained(o, p, &sure);
        if (!sure || value == SIM_NO_MESSAGE || (s->no_local && p == s->session) ||
            too_large(o, s->session, &o->messages[value]) || was_denied(o, &o->messages[value]))
            continue;
        uint32_t got = o->session[s->session].retained_value[p];
        struct sim_arrived *a = arrived(o, s->session, value);
        o->missing += got != value + 1 && !a->missed;
        a->missed |= got != value + 1;
        if (got != value + 1 && !o->lossy)
            sim_fail(o->world, "client %u has %d of retained %s, whose last value is %u",
                     s->session, (int)got - 1, o->topics[topic].name, value);
    }
}

static bool groups_stand(const struct sim_oracle *o)
{
    for (uint32_t i = 0; i < o->session_count; i++)
        if (o->session[i].leaves_groups)
            return false;
    return true;
}

/* When the group of FILTER has come into being for sure, and its first member at the earliest. */
static void group_begin(const struct sim_oracle *o, uint32_t filter, uint64_t *sure,
                        uint64_t *maybe)
{
    *sure = *maybe = GNT_NEVER;
    for (size_t i = 0; i < o->sub_count; i++) {
        const struct sim_sub *s = &o->subs[i];
        if (s->filter != filter)
            continue;
        if (s->sure_from < *sure)
            *sure = s->sure_from;
        if (s->asked < *maybe)
            *maybe = s->asked;
    }
}

static void audit_shared(struct sim_oracle *o)
{
    uint64_t sure[SIM_FILTERS_MAX], maybe[SIM_FILTERS_MAX];
    for (uint32_t f = 0; f < o->filter_count; f++)
        group_begin(o, f, &sure[f], &maybe[f]);
    bool stand = groups_stand(o);
    for (uint32_t i = 0; i < o->message_count; i++) {
        const struct sim_message *m = &o->messages[i];
        if (o->topics[m->topic].kind != SIM_SHARED || was_denied(o, m))
            continue;
        uint32_t least = 0, most_twos = 0;
        for (uint32_t f = 0; f < o->filter_count; f++) {
            if (o->filters[f].kind != SIM_SHARED || !o->matches[f * o->topic_count + m->topic])
                continue;
            uint8_t qos = lower(o->filters[f].shared_qos, m->qos);
            least += qos > 0 && sure[f] < m->handed;
            most_twos += qos == 2 && maybe[f] != GNT_NEVER;
        }
        bool undone = o->crashes && !stand; /* by a member that is not kept */
        if (m->copies > most_twos && !m->repeats && !undone)
            sim_fail(o->world, "shared message %u came %u times at QoS 2, to %u groups", i,
                     m->copies, most_twos);
        if (m->done == GNT_NEVER || m->failed || m->expiry_s || !stand || m->anywhere >= least)
            continue;
        o->missing += least - m->anywhere;
        if (!o->lossy)
            sim_fail(o->world, "shared message %u (%s, QoS %u) came %u times, to %u groups", i,
                     o->topics[m->topic].name, m->qos, m->anywhere, least);
    }
}

static void audit_wills(struct sim_oracle *o)
{
    for (uint32_t i = 0; i < o->message_count; i++) {
        const struct sim_message *m = &o->messages[i];
        if (o->topics[m->topic].kind != SIM_WILL)
            continue;
        const struct sim_arrived *a = arrived(o, o->observer, i);
        uint32_t got = (uint32_t)a->copies[1] + a->copies[2];
        if (got < m->must && o->lossy)
            o->missing += m->must - got;
        else if (got < m->must || (m->qos == 2 && got > m->may))
            sim_fail(o->world, "will %u of client %u came %u times, not %u to %u", i, m->publisher,
                     got, m->must, m->may);
    }
}

void sim_oracle_audit(struct sim_oracle *o)
{
    for (size_t i = 0; i < o->sub_count; i++) {
        const struct sim_sub *s = &o->subs[i];
        if (!still_the_same(o, s))
            continue;
        if (o->filters[s->filter].kind == SIM_NORMAL)
            audit_sub(o, s);
        if (o->filters[s->filter].kind == SIM_RETAINED)
            audit_retained(o, s);
    }
    audit_shared(o);
    audit_wills(o);
}

static bool stands(const struct sim_oracle *o, const struct sim_sub *s)
{
    return still_the_same(o, s) && s->maybe_until == GNT_NEVER;
}

/* Whether S, refused, is all that there may be of its filter. */
static bool may_stand(const struct sim_oracle *o, size_t sub)
{
    const struct sim_sub *s = &o->subs[sub];
    if (!s->refused || s->epoch != o->session[s->session].epoch || s->maybe_until != GNT_NEVER)
        return false;
    for (size_t i = 0; i < o->sub_count; i++) {
        const struct sim_sub *other = &o->subs[i];
        bool same = other->session == s->session && other->filter == s->filter;
        if (same && (stands(o, other) || (i > sub && other->refused)))
            return false;
    }
    return true;
}

void sim_oracle_count(const struct sim_oracle *o, struct sim_count *all, struct sim_count *shared)
{
    *all = *shared = (struct sim_count){0};
    for (size_t i = 0; i < o->sub_count; i++) {
        bool surely = stands(o, &o->subs[i]);
        if (!surely && !may_stand(o, i))
            continue;
        bool is_shared = o->filters[o->subs[i].filter].kind == SIM_SHARED;
        all->least += surely;
        all->most++;
        shared->least += surely && is_shared;
        shared->most += is_shared;
    }
}
