#include "raw.h"

#include <stdio.h>
#include <stdlib.h>

#define SECOND GNT_NS_PER_S

enum { HOARD = 100 };

static void turn_by(struct sim_raw *r, uint64_t when)
{
    sim_world_by(r->world, &r->turn, when);
}

static void on_wire(void *owner)
{
    struct sim_raw *r = owner;
    if (r->reads)
        turn_by(r, r->world->now + sim_between(r->world, 1000, 5000000));
}

/* ---- Packets */

static uint8_t *reserve(struct sim_raw *r, size_t size)
{
    SIM_MUST(r->world, size > 0 && gnt_buf_reserve(&r->out, size) == GNT_OK);
    uint8_t *at = gnt_buf_tail(&r->out);
    gnt_buf_wrote(&r->out, size);
    return at;
}

static void say_connect(struct sim_raw *r, const char *id, bool clean, uint32_t expiry_s)
{
    const struct gnt_mqtt_prop expiry = {.row = GNT_PROP_SESSION_EXPIRY, .number = expiry_s};
    const struct gnt_mqtt_proplist props = {.list = &expiry, .count = expiry_s != 0};
    const struct gnt_mqtt_connect p = {.version = r->version,
                                       .clean_start = clean,
                                       .keep_alive_s = 20,
                                       .client_id = gnt_slice_str(id)};
    gnt_mqtt_connect_write(reserve(r, gnt_mqtt_connect_size(&p, &props, NULL)), &p, &props, NULL);
}

static void say_publish(struct sim_raw *r, uint32_t message, uint16_t id, bool dup)
{
    const struct sim_message *m = &r->oracle->messages[message];
    const struct gnt_mqtt_publish p = {.topic = sim_oracle_topic(r->oracle, m->topic),
                                       .payload = {NULL, m->size},
                                       .qos = m->qos,
                                       .id = m->qos ? id : 0,
                                       .dup = dup && m->qos};
    size_t head = gnt_mqtt_publish_head_size(&p, r->version, NULL, NULL);
    gnt_mqtt_publish_head_write(reserve(r, head), &p, r->version, NULL);
    sim_oracle_payload(r->oracle, message, reserve(r, m->size));
}

static void say_ack(struct sim_raw *r, enum gnt_mqtt_type type, uint16_t id)
{
    const struct gnt_mqtt_ack p = {.id = id};
    size_t size = gnt_mqtt_ack_size(type, &p, r->version, NULL);
    gnt_mqtt_ack_write(reserve(r, size), type, &p, r->version, NULL);
}

static void say_subscribe(struct sim_raw *r, const char *filter)
{
    const struct gnt_mqtt_subscription s = {.filter = gnt_slice_str(filter), .qos = 2};
    size_t size = gnt_mqtt_subscribe_size(1, &s, 1, r->version, NULL);
    gnt_mqtt_subscribe_write(reserve(r, size), 1, &s, 1, r->version, NULL);
}

static void say_bye(struct sim_raw *r)
{
    const struct gnt_mqtt_close p = {0};
    size_t size = gnt_mqtt_close_size(GNT_MQTT_DISCONNECT, &p, r->version, NULL);
    gnt_mqtt_close_write(reserve(r, size), GNT_MQTT_DISCONNECT, &p, r->version, NULL);
}

static uint32_t new_message(struct sim_raw *r, uint8_t qos, bool repeats)
{
    const struct sim_message m = {.publisher = r->index,
                                  .topic = (uint32_t)sim_below(r->world, r->oracle->normal_topics),
                                  .size = (uint32_t)sim_between(r->world, SIM_PAYLOAD_MIN, 100),
                                  .qos = qos,
                                  .repeats = repeats || r->oracle->faulty};
    return sim_oracle_publish(r->oracle, &m);
}

/* ---- What the broker says */

/* One message at a time, each said again and again. */
static void repeat_next(struct sim_raw *r)
{
    if (r->asked == 20)
        return;
    uint16_t id = (uint16_t)(1 + r->asked++ % 3);
    uint8_t qos = (uint8_t)sim_between(r->world, 1, 2);
    uint64_t times = sim_between(r->world, 1, 4);
    uint32_t message = new_message(r, qos, qos == 1 && times > 1);
    r->flight[id] = message;
    for (uint64_t i = 0; i < times; i++)
        say_publish(r, message, id, i > 0);
}

static void hoard(struct sim_raw *r)
{
    for (uint16_t id = 1; id <= HOARD; id++) {
        r->flight[id] = new_message(r, 2, false);
        say_publish(r, r->flight[id], id, false);
    }
}

static void on_connack(struct sim_raw *r)
{
    r->connected = true;
    if (r->calm)
        say_bye(r);
    else if (r->script == SIM_SCRIPT_DEAF)
        say_subscribe(r, "n/#");
    else if (r->script == SIM_SCRIPT_REPEATER)
        repeat_next(r);
    else if (r->script == SIM_SCRIPT_HOARDER)
        hoard(r);
}

static void done(struct sim_raw *r, uint16_t id)
{
    uint32_t message = id < 256 ? r->flight[id] : SIM_NO_MESSAGE;
    if (message != SIM_NO_MESSAGE && r->oracle->messages[message].done == GNT_NEVER)
        sim_oracle_published(r->oracle, message, true);
}

static void on_packet(struct sim_raw *r, const struct gnt_mqtt_packet *p)
{
    if (p->type == GNT_MQTT_CONNACK && p->connack.code == 0)
        on_connack(r);
    bool publishes = r->script == SIM_SCRIPT_REPEATER || r->script == SIM_SCRIPT_HOARDER;
    if (!publishes || r->calm)
        return;
    if ((p->type == GNT_MQTT_PUBACK || p->type == GNT_MQTT_PUBREC) && p->ack.code < 0x80)
        done(r, p->ack.id);
    if (p->type == GNT_MQTT_PUBREC) {
        for (uint64_t n = sim_between(r->world, 1, 2); n; n--)
            say_ack(r, GNT_MQTT_PUBREL, p->ack.id);
    }
    bool over = p->type == GNT_MQTT_PUBACK || p->type == GNT_MQTT_PUBCOMP;
    if (over && r->script == SIM_SCRIPT_REPEATER && p->ack.id < 256 &&
        r->flight[p->ack.id] != SIM_NO_MESSAGE) {
        r->flight[p->ack.id] = SIM_NO_MESSAGE;
        repeat_next(r);
    }
}

static void packets(struct sim_raw *r)
{
    for (;;) {
        struct gnt_mqtt_frame frame;
        struct gnt_mqtt_packet packet;
        uint8_t reason;
        gnt_err err = gnt_mqtt_frame(gnt_buf_slice(&r->in), SIZE_MAX, &frame);
        if (err == GNT_MORE)
            return;
        SIM_MUST(r->world, err == GNT_OK);
        err = gnt_mqtt_decode(&frame, r->version, GNT_MQTT_FROM_SERVER, &packet, &reason);
        SIM_MUST(r->world, err == GNT_OK);
        on_packet(r, &packet);
        gnt_buf_take(&r->in, frame.size);
    }
}

/* ---- Turns */

static void garbage(struct sim_raw *r)
{
    size_t n = (size_t)sim_between(r->world, 1, 40);
    uint8_t *at = reserve(r, n);
    for (size_t i = 0; i < n; i++)
        at[i] = (uint8_t)sim_below(r->world, 256);
}

static void torn(struct sim_raw *r)
{
    r->version = GNT_MQTT_3_1_1;
    say_connect(r, r->id, true, 0);
    say_publish(r, new_message(r, 1, false), 1, false);
    size_t all = gnt_buf_size(&r->out);
    size_t cut = (size_t)sim_between(r->world, 1, all - 1);
    gnt_buf_cut(&r->out, gnt_buf_size(&r->out) - cut); /* so that this message never comes */
}

static void impersonate(struct sim_raw *r)
{
    const struct sim_device *d = &r->devices[sim_below(r->world, r->device_count)];
    r->version = d->is.version;
    if (!d->is.durable || !d->had_session) /* it would make a session of another kind */
        return;
    say_connect(r, d->id, false, r->version == GNT_MQTT_5 ? UINT32_MAX : 0);
    sim_trace(r->world, "raw client %u takes over client %u", r->index, d->index);
}

static void begin(struct sim_raw *r)
{
    struct sim_world *w = r->world;
    r->script = (enum sim_script)sim_below(w, SIM_SCRIPTS);
    r->version = (uint8_t)sim_between(w, 3, 5);
    r->connected = false;
    r->reads = r->calm || r->script != SIM_SCRIPT_DEAF || sim_one_in(w, 2);
    r->asked = 0;
    r->end_at = w->now + sim_below(w, 15 * SECOND);
    memset(r->flight, 0xff, sizeof r->flight);
    gnt_buf_clear(&r->in);
    gnt_buf_clear(&r->out);
    r->wire = sim_wire_open(w, on_wire, r);
    sim_trace(w, "raw client %u begins script %u, version %u", r->index, r->script, r->version);
    if (r->calm) {
        r->end_at = w->now + 60 * SECOND;
        say_connect(r, r->id, true, 0);
        return;
    }
    switch (r->script) {
    case SIM_SCRIPT_SILENT: break;
    case SIM_SCRIPT_GARBAGE:
        if (sim_one_in(w, 2))
            say_connect(r, r->id, true, 0);
        garbage(r);
        break;
    case SIM_SCRIPT_TORN: torn(r); break;
    case SIM_SCRIPT_DEAF: say_connect(r, r->id, sim_one_in(w, 2), 10); break;
    case SIM_SCRIPT_REPEATER: say_connect(r, r->id, true, 0); break;
    case SIM_SCRIPT_HOARDER:
        r->version = GNT_MQTT_3_1_1;
        say_connect(r, r->id, true, 0);
        break;
    case SIM_SCRIPT_IMPOSTOR: impersonate(r); break;
    case SIM_SCRIPTS: break;
    }
}

static void end(struct sim_raw *r)
{
    struct sim_world *w = r->world;
    if (!r->calm && sim_one_in(w, 3))
        sim_wire_cut(r->wire, sim_one_in(w, 2) ? GNT_NEVER : sim_below(w, 5 * SECOND), GNT_NEVER);
    sim_wire_close(&r->wire);
    r->begin_at = w->now + sim_below(w, 5 * SECOND);
}

static bool pull(struct sim_raw *r)
{
    uint8_t bytes[4096];
    for (;;) {
        size_t n;
        gnt_err err = sim_wire_read(r->wire, bytes, sizeof bytes, &n);
        if (err == GNT_MORE)
            return true;
        if (err)
            return false;
        SIM_MUST(r->world, gnt_buf_put(&r->in, gnt_slice(bytes, n)) == GNT_OK);
        packets(r);
    }
}

static void on_turn(struct gnt_timer *timer, uint64_t now)
{
    struct sim_raw *r = GNT_CONTAINER(timer, struct sim_raw, turn);
    if (!r->wire && now >= r->begin_at && !(r->calm && r->connected))
        begin(r);
    if (r->wire) {
        bool alive = !r->reads || pull(r);
        gnt_buf_take(&r->out, sim_wire_write(r->wire, gnt_buf_slice(&r->out)));
        if (!alive || now >= r->end_at)
            end(r);
    }
    if (r->wire)
        turn_by(r, r->end_at);
    else if (!(r->calm && r->connected))
        turn_by(r, r->begin_at);
}

void sim_raw_init(struct sim_raw *r, struct sim_world *w, struct sim_oracle *o, uint32_t index,
                  const struct sim_device *devices, uint32_t device_count)
{
    *r = (struct sim_raw){
        .world = w, .oracle = o, .index = index, .devices = devices, .device_count = device_count};
    snprintf(r->id, sizeof r->id, "raw-%u", index);
    r->turn.fire = on_turn;
    r->begin_at = w->now + 6 * SECOND + sim_below(w, 5 * SECOND);
    turn_by(r, r->begin_at);
}

void sim_raw_fini(struct sim_raw *r)
{
    gnt_timer_cancel(&r->world->timers, &r->turn);
    sim_wire_close(&r->wire);
    gnt_buf_fini(&r->in);
    gnt_buf_fini(&r->out);
}

void sim_raw_calm(struct sim_raw *r)
{
    if (r->wire)
        end(r);
    r->calm = true;
    r->connected = false;
    turn_by(r, r->begin_at);
}

void sim_raw_end_session(struct sim_raw *r, struct sim_world *w, struct sim_oracle *o,
                         const char *id)
{
    sim_raw_init(r, w, o, 0, NULL, 0);
    snprintf(r->id, sizeof r->id, "%s", id);
    sim_raw_calm(r);
}

bool sim_raw_left(const struct sim_raw *r)
{
    return r->calm && r->connected && !r->wire;
}
