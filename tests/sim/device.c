#include "device.h"

#include <stdio.h>
#include <stdlib.h>

#define SECOND GNT_NS_PER_S
#define MS     GNT_NS_PER_MS

static void turn_by(struct sim_device *d, uint64_t when)
{
    if (when != GNT_NEVER)
        sim_world_by(d->world, &d->turn, when);
}

static void on_wire(void *owner)
{
    struct sim_device *d = owner;
    turn_by(d, d->world->now + sim_between(d->world, 1000, 500000));
}

/* ---- The engine */

static struct gnt_mqtt_prop number(enum gnt_mqtt_prop_row row, uint32_t value)
{
    return (struct gnt_mqtt_prop){.row = row, .number = value};
}

static size_t connect_props(const struct sim_device *d, struct gnt_mqtt_prop *list)
{
    const struct sim_character *is = &d->is;
    size_t n = 0;
    uint32_t expiry = is->durable ? UINT32_MAX : is->expiry_s;
    if (expiry)
        list[n++] = number(GNT_PROP_SESSION_EXPIRY, expiry);
    if (is->receive_max)
        list[n++] = number(GNT_PROP_RECEIVE_MAXIMUM, is->receive_max);
    if (is->packet_max)
        list[n++] = number(GNT_PROP_MAXIMUM_PACKET_SIZE, is->packet_max);
    if (is->alias_max)
        list[n++] = number(GNT_PROP_TOPIC_ALIAS_MAXIMUM, is->alias_max);
    return n;
}

/* In 3.x clean_start holds for each connection, in MQTT 5 for the first. */
static bool starts_clean(const struct sim_device *d)
{
    if (d->is.version == GNT_MQTT_5)
        return !d->had_session && d->is.expiry_s % 2 == 0;
    return !d->is.durable;
}

/* The payload of its will, a message of its own. */
static struct gnt_slice will_payload(struct sim_device *d, uint8_t *to)
{
    const struct sim_message m = {.publisher = d->index,
                                  .topic = sim_oracle_will_topic(d->oracle, d->index),
                                  .size = SIM_PAYLOAD_MIN,
                                  .qos = d->is.will_qos};
    d->will = sim_oracle_publish(d->oracle, &m);
    sim_oracle_payload(d->oracle, d->will, to);
    return gnt_slice(to, SIM_PAYLOAD_MIN);
}

static void make_engine(struct sim_device *d)
{
    struct gnt_client_options o;
    gnt_client_options_init(&o);
    struct gnt_mqtt_prop list[8], will_list[1];
    struct gnt_mqtt_proplist props = {.list = list, .count = connect_props(d, list)};
    struct gnt_mqtt_proplist will_props = {.list = will_list};
    uint8_t payload[SIM_PAYLOAD_MIN];
    o.connect.version = d->is.version;
    o.connect.clean_start = starts_clean(d);
    o.connect.keep_alive_s = d->is.keep_alive_s;
    o.connect.client_id = gnt_slice_str(d->id);
    o.connect.has_will = d->is.will;
    if (d->is.will) {
        o.connect.will.qos = d->is.will_qos;
        o.connect.will.topic =
            sim_oracle_topic(d->oracle, sim_oracle_will_topic(d->oracle, d->index));
        o.connect.will.payload = will_payload(d, payload);
        if (d->is.will_delay_s)
            will_list[will_props.count++] = number(GNT_PROP_WILL_DELAY, d->is.will_delay_s);
    }
    o.props = &props;
    o.will_props = &will_props;
    o.aliases_max = d->is.alias_max;
    o.ping_timeout_ms = 10000;
    o.manual_ack = d->is.ack_delay_ms != 0;
    o.no_resubscribe = true;
    SIM_MUST(d->world, gnt_client_new(&o, &d->engine) == GNT_OK);
}

/* As if the program had been ended and started again, with its session on disk. */
static void rebirth(struct sim_device *d)
{
    uint8_t *saved;
    size_t size;
    if (!d->had_session || d->outstanding_subs || (d->is.version < GNT_MQTT_5 && !d->is.durable) ||
        (!d->is.durable && !d->is.expiry_s))
        return;
    struct gnt_client_status status;
    gnt_client_status(d->engine, &status);
    if (status.outstanding) /* their tokens would be lost, and with them what they were about */
        return;
    gnt_err err = gnt_client_save(d->engine, d->world->now, NULL, 0, &size);
    SIM_MUST(d->world, err == GNT_TOOBIG);
    saved = malloc(size);
    err = gnt_client_save(d->engine, d->world->now, saved, size, &size);
    SIM_MUST(d->world, err == GNT_OK);
    gnt_client_free(&d->engine);
    make_engine(d);
    err = gnt_client_restore(d->engine, gnt_slice(saved, size), d->world->now);
    SIM_MUST(d->world, err == GNT_OK);
    free(saved);
    sim_trace(d->world, "client %u is born again", d->index);
}

/* ---- What it does */

static uint64_t soon(struct sim_device *d)
{
    return d->world->now + sim_between(d->world, d->is.pause_ns / 10, d->is.pause_ns * 19 / 10);
}

static uint32_t some_size(struct sim_device *d)
{
    struct sim_world *w = d->world;
    if (sim_one_in(w, 200))
        return (uint32_t)sim_between(w, 30000, 70000);
    if (sim_one_in(w, 20))
        return (uint32_t)sim_between(w, 200, 3000);
    return (uint32_t)sim_between(w, SIM_PAYLOAD_MIN, 40);
}

static uint32_t some_topic(struct sim_device *d)
{
    struct sim_world *w = d->world;
    uint64_t dice = sim_below(w, 10);
    if (dice == 0)
        return sim_oracle_retained_topic(d->oracle, d->index);
    if (dice <= 2)
        return d->oracle->normal_topics + (uint32_t)sim_below(w, d->oracle->shared_topics);
    return (uint32_t)sim_below(w, d->oracle->normal_topics);
}

static void do_publish(struct sim_device *d)
{
    struct sim_world *w = d->world;
    struct sim_message m = {.publisher = d->index,
                            .topic = some_topic(d),
                            .size = some_size(d),
                            .qos = (uint8_t)sim_below(w, 3),
                            .publisher_connection =
                                d->up ? d->oracle->session[d->index].connection : 0};
    bool retained = d->oracle->topics[m.topic].kind == SIM_RETAINED;
    if (retained) { /* mixed, a repeated message of QoS 1 could come after a newer one of QoS 2 */
        m.qos = (uint8_t)(1 + d->index % 2);
        m.size = sim_one_in(w, 5) ? 0 : m.size;
    }
    if (d->is.version == GNT_MQTT_5 && m.size && sim_one_in(w, 15))
        m.expiry_s = (uint32_t)sim_between(w, 1, 20);
    uint32_t message = sim_oracle_publish(d->oracle, &m);
    uint8_t *payload = malloc(m.size ? m.size : 1);
    if (m.size)
        sim_oracle_payload(d->oracle, message, payload);
    const struct gnt_mqtt_prop expiry = number(GNT_PROP_MESSAGE_EXPIRY, m.expiry_s);
    const struct gnt_client_publish p = {.topic = sim_oracle_topic(d->oracle, m.topic),
                                         .payload = gnt_slice(payload, m.size),
                                         .qos = m.qos,
                                         .retain = retained,
                                         .props = &expiry,
                                         .prop_count = m.expiry_s != 0};
    gnt_err err = gnt_client_publish(d->engine, &p, (void *)(uintptr_t)(message + 1), w->now, NULL);
    free(payload);
    SIM_MUST(w, err == GNT_OK);
}

static void subscribe(struct sim_device *d, uint32_t filter, uint8_t qos)
{
    struct sim_world *w = d->world;
    bool five = d->is.version == GNT_MQTT_5;
    const struct sim_filter *f = &d->oracle->filters[filter];
    struct sim_sub s = {.session = d->index, .filter = filter, .qos = qos};
    if (five && f->kind == SIM_NORMAL)
        s.no_local = sim_one_in(w, 5);
    if (five && f->kind == SIM_RETAINED)
        s.retain_handling = (uint8_t)(sim_one_in(w, 2) ? 0 : sim_between(w, 1, 2));
    uint32_t sub = sim_oracle_subscribe(d->oracle, &s);
    const struct gnt_mqtt_subscription wanted = {.filter = gnt_slice_str(f->text),
                                                 .qos = qos,
                                                 .no_local = s.no_local,
                                                 .retain_as_published = five && sim_one_in(w, 2),
                                                 .retain_handling = s.retain_handling};
    const struct gnt_mqtt_prop id = number(GNT_PROP_SUBSCRIPTION_ID, sub + 1);
    const struct gnt_mqtt_proplist props = {.list = &id, .count = five};
    d->outstanding_subs++;
    gnt_err err =
        gnt_client_subscribe(d->engine, &wanted, 1, &props, (void *)(uintptr_t)(sub + 1), NULL);
    SIM_MUST(w, err == GNT_OK);
}

static void do_subscribe(struct sim_device *d)
{
    const struct sim_oracle *o = d->oracle;
    uint32_t filter = (uint32_t)sim_below(d->world, o->filter_count);
    const struct sim_filter *f = &o->filters[filter];
    if (f->kind == SIM_WILL || (f->kind == SIM_SHARED && !d->is.shares))
        return;
    subscribe(d, filter, f->kind == SIM_SHARED ? f->shared_qos : (uint8_t)sim_below(d->world, 3));
}

static void do_unsubscribe(struct sim_device *d)
{
    struct sim_oracle *o = d->oracle;
    uint32_t filter = (uint32_t)sim_below(d->world, o->filter_count);
    if (o->filters[filter].kind == SIM_SHARED && (!d->is.shares || !o->groups_lossy))
        return;
    const struct gnt_slice text = gnt_slice_str(o->filters[filter].text);
    uint32_t unsub = sim_oracle_unsubscribe(o, d->index, filter);
    d->outstanding_subs++;
    gnt_err err =
        gnt_client_unsubscribe(d->engine, &text, 1, NULL, (void *)(uintptr_t)(unsub + 1), NULL);
    SIM_MUST(d->world, err == GNT_OK);
}

/* ---- How it ends a connection */

/* How a connection ended, as the broker saw it. */
enum ending { CLEAN, BROKEN, PERHAPS_BROKEN };

/* Whether its session, and with it its will, outlives a crash of the broker. */
static bool is_kept(const struct sim_device *d)
{
    return d->is.durable || (d->is.version == GNT_MQTT_5 && d->is.expiry_s);
}

/* Its will is published if the broker cannot know better. */
static void count_will(struct sim_device *d, enum ending how)
{
    bool crashes = d->oracle->crashes;
    if (!d->is.will || (how == CLEAN && !crashes))
        return;
    struct sim_message *will = &d->oracle->messages[d->will];
    will->may++;
    will->must +=
        how == BROKEN && d->up && d->is.will_delay_s == 0 && (is_kept(d) || !crashes) && d->watched;
}

static void wire_over(struct sim_device *d, enum ending how)
{
    /* It may have had a new session, and does not know. */
    bool unheard = !d->up && d->had_session && !d->is.durable && is_kept(d) && d->wire->read;
    d->oracle->unsure |= unheard;
    count_will(d, how);
    if (d->oracle->faulty || unheard)
        sim_oracle_repeats(d->oracle, d->index);
    sim_trace(d->world, "client %u is away%s", d->index, how == CLEAN ? ", as is clear" : "");
    if (d->up)
        d->connect_at = d->world->now + (d->calm ? SECOND : sim_below(d->world, 10 * SECOND));
    else
        d->connect_at = d->world->now + SECOND / 2 + sim_below(d->world, SECOND);
    d->up = false;
    d->saying_bye = false;
    d->unacked_count = 0;
    sim_wire_close(&d->wire);
}

/* Either end finds out at some time, or by its keep alive. */
static uint64_t some_time(struct sim_device *d)
{
    if (sim_one_in(d->world, 3))
        return GNT_NEVER;
    return sim_one_in(d->world, 2) ? sim_below(d->world, SECOND / 5)
                                   : sim_below(d->world, 20 * SECOND);
}

/* A client that has not heard CONNACK does not know whether its session was found or made anew, and
 * the next CONNACK will not say: where a session can have expired that is not played with. */
static void do_break(struct sim_device *d)
{
    struct sim_world *w = d->world;
    if (!d->up && !d->is.durable)
        return;
    uint64_t kind = sim_below(w, 4);
    sim_trace(w, "client %u breaks its connection, %u", d->index, (unsigned)kind);
    if (kind == 0 && d->up) { /* in order */
        bool with_will = d->is.version == GNT_MQTT_5 && sim_one_in(w, 3);
        if (gnt_client_disconnect(d->engine, with_will ? 0x04 : 0, NULL) == GNT_OK) {
            d->saying_bye = !with_will;
            d->bye_until = w->now + 3 * SECOND;
        }
    } else if (kind == 1) { /* it hangs up: what it wrote arrives */
        gnt_client_lost(d->engine, GNT_IO);
    } else if (kind == 2) { /* without power for a moment */
        sim_wire_cut(d->wire, some_time(d), GNT_NEVER);
        gnt_client_lost(d->engine, GNT_IO);
    } else { /* a dead line */
        /* Not within the call: the order of its arguments is the compiler's affair, and a seed is
         * to be the same life everywhere. */
        uint64_t client_told = some_time(d), broker_told = some_time(d);
        sim_wire_cut(d->wire, broker_told, client_told);
    }
}

static void act(struct sim_device *d)
{
    struct sim_world *w = d->world;
    d->act_at = soon(d);
    if (d->wire && sim_one_in(w, d->is.break_one_in)) {
        do_break(d);
        return;
    }
    if (sim_one_in(w, 40))
        d->stalled_until = w->now + sim_below(w, 5 * SECOND);
    if (sim_below(w, 100) < d->is.eager) {
        for (uint64_t burst = sim_one_in(w, 10) ? sim_below(w, 12) : 1; burst; burst--)
            do_publish(d);
    } else if (d->up && !d->is.observer) {
        if (sim_one_in(w, 3))
            do_unsubscribe(d);
        else
            do_subscribe(d);
    }
}

/* ---- Events */

static void push(struct sim_device *d)
{
    struct gnt_slice out = gnt_client_output(d->engine);
    if (!d->wire || out.size == 0)
        return;
    gnt_client_sent(d->engine, sim_wire_write(d->wire, out), d->world->now);
}

static void resubscribe(struct sim_device *d)
{
    struct sim_world *w = d->world;
    if (!d->is.observer) {
        for (uint64_t n = sim_between(w, 1, 3); n; n--)
            do_subscribe(d);
        return;
    }
    for (uint32_t f = 0; f < d->oracle->filter_count; f++)
        if (strcmp(d->oracle->filters[f].text, "n/#") == 0 ||
            strcmp(d->oracle->filters[f].text, "w/#") == 0 ||
            strcmp(d->oracle->filters[f].text, "r/#") == 0)
            subscribe(d, f, 2);
}

/* Whether there surely is a session on which the connection goes on. */
static bool session_due(const struct sim_device *d)
{
    if (!d->had_session || d->oracle->lossy)
        return false;
    if (d->is.durable)
        return true;
    return d->is.version == GNT_MQTT_5 &&
           d->world->now + 5 * SECOND < d->heard_before + d->is.expiry_s * SECOND;
}

static void on_connected(struct sim_device *d, const struct gnt_client_event *e)
{
    struct sim_session *session = &d->oracle->session[d->index];
    bool can_tell = d->is.version != GNT_MQTT_3_1;
    bool present = can_tell ? e->session_present : d->is.durable && d->had_session;
    sim_trace(d->world, "client %u is connected, session %d", d->index, present);
    if (can_tell && !present && session_due(d))
        sim_fail(d->world, "client %u has lost its session", d->index);
    SIM_MUST(d->world, !present || d->attempts > 1);
    d->up = true;
    d->had_session = true;
    /* Who comes back while nothing can be written is told so at once, and its old terms stand. */
    d->written = !sim_world_refused(d->world, d->began_at);
    d->watched = d->written && sim_oracle_observes(d->oracle);
    session->connection++;
    session->connected_at = d->world->now;
    d->act_at = soon(d);
    if (present)
        return;
    sim_oracle_session_lost(d->oracle, d->index);
    sim_oracle_repeats(d->oracle, d->index);
    resubscribe(d);
}

static void keep_unacked(struct sim_device *d, const struct sim_unacked *u)
{
    if (d->unacked_count == d->unacked_cap) {
        d->unacked_cap = d->unacked_cap ? d->unacked_cap * 2 : 16;
        d->unacked = realloc(d->unacked, d->unacked_cap * sizeof *d->unacked);
        SIM_MUST(d->world, d->unacked != NULL);
    }
    d->unacked[d->unacked_count++] = *u;
}

static void on_message(struct sim_device *d, const struct gnt_client_event *e)
{
    const struct sim_delivery delivery = {e->publish, e->props, d->is.version == GNT_MQTT_5};
    uint32_t message = sim_oracle_seen(d->oracle, d->index, &delivery);
    if (message == SIM_NO_MESSAGE && e->ack == 0)
        return;
    if (e->ack) {
        uint64_t delay = sim_below(d->world, d->is.ack_delay_ms * MS);
        const struct sim_unacked u = {d->world->now + delay, e->ack, message, e->publish->qos};
        keep_unacked(d, &u);
    } else {
        sim_oracle_delivered(d->oracle, d->index, message, e->publish->qos);
    }
}

static void on_done(struct sim_device *d, const struct gnt_client_event *e)
{
    SIM_MUST(d->world, e->user != NULL);
    uint32_t what = (uint32_t)(uintptr_t)e->user - 1;
    if (e->request == GNT_MQTT_PUBLISH) {
        bool lost = e->err == GNT_TIMEOUT && d->oracle->messages[what].expiry_s;
        SIM_MUST(d->world, e->err == GNT_OK || lost || d->oracle->lossy || d->oracle->refuses);
        sim_oracle_published(d->oracle, what, e->err == GNT_OK);
        return;
    }
    d->outstanding_subs--;
    SIM_MUST(d->world, e->err == GNT_OK || d->oracle->lossy || d->oracle->refuses);
    if (e->err && e->request == GNT_MQTT_SUBSCRIBE)
        sim_oracle_refused(d->oracle, what);
    if (e->err)
        return;
    if (e->request == GNT_MQTT_SUBSCRIBE) {
        SIM_MUST(d->world, e->codes.size == 1 && e->codes.data[0] == d->oracle->subs[what].qos);
        sim_oracle_subscribed(d->oracle, what);
    } else {
        sim_oracle_unsubscribed(d->oracle, what);
    }
}

static void on_closed(struct sim_device *d, const struct gnt_client_event *e)
{
    sim_trace(d->world, "client %u: closed, %s 0x%02x", d->index, gnt_err_text(e->err), e->code);
    bool fault = e->err != GNT_OK && e->err != GNT_CLOSED && e->err != GNT_IO &&
                 e->err != GNT_TIMEOUT && e->err != GNT_REFUSED;
    if (fault)
        sim_fail(d->world, "client %u finds fault with the broker: %s, 0x%02x", d->index,
                 gnt_err_text(e->err), e->code);
    static const uint8_t expected[] = {0,
                                       GNT_REASON_SESSION_TAKEN_OVER,
                                       GNT_REASON_KEEP_ALIVE_TIMEOUT,
                                       GNT_REASON_SERVER_BUSY,
                                       GNT_REASON_QUOTA_EXCEEDED,
                                       GNT_REASON_SERVER_SHUTTING_DOWN};
    if (e->err == GNT_CLOSED && !memchr(expected, e->code, sizeof expected))
        sim_fail(d->world, "client %u is thrown out: 0x%02x", d->index, e->code);
    d->gave_up += d->calm && e->err == GNT_TIMEOUT;
    push(d); /* a DISCONNECT, if that is what ends it */
    if (d->saying_bye && d->wire)
        return; /* the broker ends the wire when it has read DISCONNECT */
    wire_over(d, d->saying_bye ? PERHAPS_BROKEN : BROKEN);
}

static void events(struct sim_device *d)
{
    struct gnt_client_event e;
    while (gnt_client_event(d->engine, d->world->now, &e)) {
        switch (e.type) {
        case GNT_CLIENT_CONNECTED: on_connected(d, &e); break;
        case GNT_CLIENT_CLOSED: on_closed(d, &e); break;
        case GNT_CLIENT_MESSAGE: on_message(d, &e); break;
        case GNT_CLIENT_DONE: on_done(d, &e); break;
        case GNT_CLIENT_AUTH: sim_fail(d->world, "AUTH"); break;
        }
    }
}

/* ---- Turns */

static void acknowledge(struct sim_device *d)
{
    size_t n = 0;
    for (; n < d->unacked_count && d->unacked[n].due <= d->world->now; n++) {
        const struct sim_unacked *u = &d->unacked[n];
        if (gnt_client_ack(d->engine, u->ack, 0) == GNT_OK)
            sim_oracle_delivered(d->oracle, d->index, u->message, u->qos);
    }
    d->unacked_count -= n;
    if (n && d->unacked_count)
        memmove(d->unacked, d->unacked + n, d->unacked_count * sizeof *d->unacked);
}

static void pull(struct sim_device *d)
{
    uint8_t bytes[4096];
    while (d->wire && !d->saying_bye && gnt_client_hungry(d->engine)) {
        size_t n;
        gnt_err err = sim_wire_read(d->wire, bytes, sizeof bytes, &n);
        if (err == GNT_MORE)
            return;
        if (err) {
            gnt_client_lost(d->engine, err);
        } else {
            SIM_MUST(d->world,
                     gnt_client_receive(d->engine, gnt_slice(bytes, n), d->world->now) == GNT_OK);
        }
        events(d);
        if (d->up && d->written) /* a refusal says nothing about its session */
            d->last_heard = d->world->now;
    }
}

/* Whether the broker has ended the connection because of the DISCONNECT, which was the last to be
 * written, or by itself before it has read that.  With its machine it may have done so in either
 * way, or have forgotten it again. */
static enum ending ending_of(const struct sim_device *d, gnt_err err)
{
    if (err != GNT_CLOSED || d->wire->died)
        return PERHAPS_BROKEN;
    bool read = d->wire->read_by_end == d->wire->written && !gnt_client_output(d->engine).size;
    return read ? CLEAN : BROKEN;
}

/* DISCONNECT has been said: nothing more is listened to. */
static void wait_for_end(struct sim_device *d)
{
    uint8_t bytes[512];
    size_t n;
    gnt_err err = GNT_OK;
    while (!err)
        err = sim_wire_read(d->wire, bytes, sizeof bytes, &n);
    if (err == GNT_MORE && d->world->now < d->bye_until)
        return;
    wire_over(d, ending_of(d, err));
}

static void begin(struct sim_device *d)
{
    if (!d->calm && sim_one_in(d->world, 5))
        rebirth(d);
    d->heard_before = d->last_heard;
    d->attempts++;
    d->began_at = d->world->now;
    sim_trace(d->world, "client %u connects", d->index);
    SIM_MUST(d->world, gnt_client_connect(d->engine, d->world->now) == GNT_OK);
    d->wire = sim_wire_open(d->world, on_wire, d);
}

static void plan(struct sim_device *d)
{
    if (d->wire)
        turn_by(d, gnt_client_deadline(d->engine));
    if (d->saying_bye)
        turn_by(d, d->bye_until);
    if (!d->wire && !d->gone)
        turn_by(d, d->connect_at);
    if (!d->calm && !d->saying_bye && d->had_session)
        turn_by(d, d->act_at);
    if (d->stalled_until > d->world->now)
        turn_by(d, d->stalled_until);
    if (d->unacked_count)
        turn_by(d, d->unacked[0].due);
}

static void on_turn(struct gnt_timer *timer, uint64_t now)
{
    struct sim_device *d = GNT_CONTAINER(timer, struct sim_device, turn);
    if (!d->wire && !d->gone && now >= d->connect_at)
        begin(d);
    if (!d->calm && d->had_session && !d->saying_bye && now >= d->act_at)
        act(d);
    acknowledge(d);
    if (now >= d->stalled_until)
        pull(d);
    events(d);
    push(d);
    if (d->saying_bye)
        wait_for_end(d);
    plan(d);
}

/* ---- Birth and death */

void sim_device_init(struct sim_device *d, struct sim_world *w, struct sim_oracle *o,
                     uint32_t index, const struct sim_character *is, uint64_t start)
{
    *d = (struct sim_device){
        .world = w, .oracle = o, .is = *is, .index = index, .connect_at = start};
    snprintf(d->id, sizeof d->id, "device-%u", index);
    d->turn.fire = on_turn;
    o->session[index].packet_max = is->packet_max;
    make_engine(d);
    sim_trace(w, "client %u: version %u, session %u s, keep alive %u s, receive maximum %u", index,
              is->version, is->durable ? UINT32_MAX : is->expiry_s, is->keep_alive_s,
              is->receive_max);
    turn_by(d, start);
}

void sim_device_fini(struct sim_device *d)
{
    gnt_timer_cancel(&d->world->timers, &d->turn);
    sim_wire_close(&d->wire);
    gnt_client_free(&d->engine);
    free(d->unacked);
}

void sim_device_calm(struct sim_device *d)
{
    d->calm = true;
    turn_by(d, d->world->now);
}

bool sim_device_settled(const struct sim_device *d)
{
    struct gnt_client_status status;
    gnt_client_status(d->engine, &status);
    return d->up && d->wire && !d->wire->cut && status.outstanding == 0 && d->unacked_count == 0;
}

void sim_device_leave(struct sim_device *d)
{
    const struct gnt_mqtt_prop expiry = number(GNT_PROP_SESSION_EXPIRY, 0);
    const struct gnt_mqtt_proplist props = {.list = &expiry, .count = 1};
    d->gone = true;
    d->saying_bye = true;
    d->bye_until = d->world->now + 60 * SECOND;
    SIM_MUST(d->world, gnt_client_disconnect(d->engine, 0, &props) == GNT_OK);
    turn_by(d, d->world->now);
}

bool sim_device_left(const struct sim_device *d)
{
    return d->gone && !d->wire;
}
