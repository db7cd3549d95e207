#include "mqtt/engine/client_state.h"

#include "base/assert.h"
#include "model/topic.h"

#include <stdlib.h>

enum {
    KEPT_BUFFER = 4096, /* an empty buffer that is larger is given back */
    DEFAULT_IN_FLIGHT_3 = 20,
};

#define TO(state) (1u << GNT_CLIENT_##state)

/* The allowed moves: a row for each state, a bit for each state that may follow. */
static const uint8_t next_states[] = {
    [GNT_CLIENT_IDLE] = TO(CONNECTING),
    [GNT_CLIENT_CONNECTING] = TO(UP) | TO(ENDED),
    [GNT_CLIENT_UP] = TO(ENDED),
    [GNT_CLIENT_ENDED] = TO(IDLE),
};

void gnt_client_move(struct gnt_client *c, enum gnt_client_state to)
{
    GNT_ASSERT(next_states[c->state] & 1u << to);
    c->state = to;
}

static uint64_t ms(uint32_t n)
{
    return n * GNT_NS_PER_MS;
}

void gnt_client_options_init(struct gnt_client_options *o)
{
    *o = (struct gnt_client_options){
        .connect = {.version = GNT_MQTT_5, .clean_start = true, .keep_alive_s = 60},
        .packet_max = 16 * 1024 * 1024,
        .connect_timeout_ms = 30 * 1000,
        .ping_timeout_ms = 10 * 1000,
        .queue_messages = 10000,
        .queue_bytes = 64 * 1024 * 1024,
    };
}

/* ---- The CONNECT: encoded once, so that it is checked once and is all the memory it needs. */

static bool connect_sensible(const struct gnt_mqtt_connect *p, const struct gnt_mqtt_props *will)
{
    if (p->client_id.size == 0 &&
        (p->version == GNT_MQTT_3_1 || (p->version == GNT_MQTT_3_1_1 && !p->clean_start)))
        return false; /* [MQTT-3.1.3-7] of 3.1.1 */
    if (!p->has_will)
        return true;
    struct gnt_slice response = gnt_mqtt_text(will, GNT_PROP_RESPONSE_TOPIC);
    return p->will.qos <= 2 && gnt_topic_name_valid(p->will.topic, 0) &&
           !gnt_topic_has_wildcard(response); /* [MQTT-3.3.2-14] */
}

gnt_err gnt_client_read_own(const struct gnt_client *c, struct gnt_slice bytes,
                            struct gnt_mqtt_packet *out)
{
    struct gnt_mqtt_frame frame;
    uint8_t reason;
    gnt_err err = gnt_mqtt_frame(bytes, SIZE_MAX, &frame);
    if (!err)
        err = gnt_mqtt_decode(&frame, c->version, GNT_MQTT_FROM_CLIENT, out, &reason);
    return err ? GNT_INVALID : GNT_OK;
}

/* The CONNECT's bytes, read back into c->packet. */
static gnt_err read_connect(struct gnt_client *c)
{
    return gnt_client_read_own(c, gnt_slice(c->connect, c->connect_size), &c->packet);
}

static gnt_err keep_connect(struct gnt_client *c, const struct gnt_client_options *o)
{
    struct gnt_mqtt_connect p = o->connect;
    if (p.version != GNT_MQTT_3_1 && p.version != GNT_MQTT_3_1_1 && p.version != GNT_MQTT_5)
        return GNT_INVALID;
    c->version = p.version;
    c->connect_size = gnt_mqtt_connect_size(&p, o->props, o->will_props);
    if (c->connect_size == 0)
        return GNT_INVALID;
    c->connect = malloc(c->connect_size);
    if (!c->connect)
        return GNT_NOMEM;
    gnt_mqtt_connect_write(c->connect, &p, o->props, o->will_props);
    gnt_err err = read_connect(c);
    if (err)
        return err;

    const struct gnt_mqtt_props *props = &c->packet.props;
    const struct gnt_mqtt_connect *said = &c->packet.connect;
    if (!connect_sensible(said, &said->will.props))
        return GNT_INVALID;
    c->clean_start = said->clean_start;
    c->outlives = gnt_mqtt_number(props, GNT_PROP_SESSION_EXPIRY, 0) > 0;
    c->keep_alive_s = said->keep_alive_s;
    c->receive_max = (uint16_t)gnt_mqtt_number(props, GNT_PROP_RECEIVE_MAXIMUM, UINT16_MAX);
    c->alias_in_max = (uint16_t)gnt_mqtt_number(props, GNT_PROP_TOPIC_ALIAS_MAXIMUM, 0);
    uint32_t announced = gnt_mqtt_number(props, GNT_PROP_MAXIMUM_PACKET_SIZE, UINT32_MAX);
    if (c->options.packet_max > announced)
        c->options.packet_max = announced;
    return GNT_OK;
}

gnt_err gnt_client_new(const struct gnt_client_options *o, struct gnt_client **out)
{
    struct gnt_client *c = calloc(1, sizeof *c);
    if (!c)
        return GNT_NOMEM;
    c->options = *o;
    c->options.connect = (struct gnt_mqtt_connect){0}; /* borrowed: `connect` has it */
    c->options.props = c->options.will_props = NULL;
    gnt_list_init(&c->pending);
    gnt_list_init(&c->resend);
    gnt_list_init(&c->flying);
    gnt_list_init(&c->done);
    gnt_list_init(&c->kept);
    gnt_window_init(&c->window);
    c->next_token = 1;
    gnt_err err = o->packet_max == 0 ? GNT_INVALID : keep_connect(c, o);
    if (err) {
        gnt_client_free(&c);
        return err;
    }
    *out = c;
    return GNT_OK;
}

static void free_requests(struct gnt_list *list)
{
    gnt_list_each_safe (link, list)
        gnt_client_request_free(GNT_CONTAINER(link, struct gnt_client_request, link));
}

static void free_aliases(struct gnt_client *c)
{
    gnt_client_aliases_fini(&c->aliases_in, c->alias_in_max);
    gnt_client_aliases_fini(&c->aliases_out, c->options.aliases_max);
    c->next_alias = 0;
}

void gnt_client_free(struct gnt_client **c)
{
    struct gnt_client *gone = *c;
    *c = NULL;
    if (!gone)
        return;
    free_requests(&gone->pending);
    free_requests(&gone->resend);
    free_requests(&gone->flying);
    free_requests(&gone->done);
    if (gone->lent)
        gnt_client_request_free(gone->lent);
    gnt_list_each_safe (link, &gone->kept)
        free(GNT_CONTAINER(link, struct gnt_client_kept, link));
    free_aliases(gone);
    gnt_map_fini(&gone->asked);
    gnt_window_fini(&gone->window);
    gnt_idset_fini(&gone->received);
    gnt_idset_fini(&gone->unacked);
    gnt_buf_fini(&gone->in);
    gnt_buf_fini(&gone->out);
    free(gone->client_id);
    free(gone->connect);
    free(gone);
}

/* ---- Beginning and ending a connection */

static void start(struct gnt_client *c, uint64_t now)
{
    gnt_client_move(c, GNT_CLIENT_CONNECTING);
    c->generation++;
    c->started = c->last_sent = c->last_received = now;
    c->ping_waits = false;
    c->reauth = false;
    c->session_present = false;
    c->inbound = 0;
    c->end_props = false;
    c->limits = (struct gnt_client_limits){
        .packet_max = UINT32_MAX,
        .receive_max = c->version == GNT_MQTT_5 ? UINT16_MAX : DEFAULT_IN_FLIGHT_3,
        .keep_alive_s = c->keep_alive_s,
        .qos_max = 2,
    };
}

static void release_lent(struct gnt_client *c);

gnt_err gnt_client_connect(struct gnt_client *c, uint64_t now)
{
    return gnt_client_connect_with(c, gnt_slice(NULL, 0), now);
}

gnt_err gnt_client_connect_with(struct gnt_client *c, struct gnt_slice auth_data, uint64_t now)
{
    if (c->state != GNT_CLIENT_IDLE)
        return GNT_STATE;
    release_lent(c);
    gnt_err err = read_connect(c);
    if (err)
        return err;
    struct gnt_mqtt_connect *p = &c->packet.connect;
    if (c->client_id)
        p->client_id = gnt_slice(c->client_id, c->client_id_size);
    if (c->version == GNT_MQTT_5 && c->resumed && c->outlives)
        p->clean_start = false;
    const struct gnt_mqtt_prop data = {.row = GNT_PROP_AUTH_DATA, .text = auth_data};
    const struct gnt_mqtt_proplist props = {.list = &data,
                                            .count = auth_data.size > 0,
                                            .raw = c->packet.props.raw};
    const struct gnt_mqtt_proplist will_props = {.raw = p->will.props.raw};
    size_t size = gnt_mqtt_connect_size(p, &props, &will_props);
    bool twice = gnt_mqtt_has(&c->packet.props, GNT_PROP_AUTH_DATA);
    if (auth_data.size && (!size || twice || !gnt_client_method(c).data))
        return GNT_INVALID;
    gnt_buf_clear(&c->in);
    gnt_buf_clear(&c->out);
    err = gnt_buf_reserve(&c->out, size);
    if (err)
        return err;
    gnt_mqtt_connect_write(gnt_buf_tail(&c->out), p, &props, &will_props);
    gnt_buf_wrote(&c->out, size);
    c->clean_sent = p->clean_start;
    start(c, now);
    return GNT_OK;
}

void gnt_client_end(struct gnt_client *c, gnt_err err, uint8_t code)
{
    gnt_client_move(c, GNT_CLIENT_ENDED);
    c->end_err = err;
    c->end_code = code;
}

static gnt_err write_close(struct gnt_client *c, enum gnt_mqtt_type type, uint8_t code,
                           const struct gnt_mqtt_proplist *props)
{
    const struct gnt_mqtt_close p = {code};
    size_t size = gnt_mqtt_close_size(type, &p, c->version, props);
    if (size == 0)
        return GNT_INVALID;
    if (size > c->limits.packet_max)
        return GNT_TOOBIG;
    gnt_err err = gnt_buf_reserve(&c->out, size);
    if (err)
        return err;
    gnt_mqtt_close_write(gnt_buf_tail(&c->out), type, &p, c->version, props);
    gnt_buf_wrote(&c->out, size);
    return GNT_OK;
}

void gnt_client_fail(struct gnt_client *c, gnt_err err, uint8_t code)
{
    /* Without memory for a DISCONNECT the server has to do without. */
    if (c->version == GNT_MQTT_5 && c->state == GNT_CLIENT_UP)
        (void)!write_close(c, GNT_MQTT_DISCONNECT, code, NULL);
    gnt_client_end(c, err, code);
}

void gnt_client_reject(struct gnt_client *c, gnt_err err, uint8_t code)
{
    if (c->state == GNT_CLIENT_CONNECTING || c->state == GNT_CLIENT_UP)
        gnt_client_fail(c, err, code);
}

void gnt_client_lost(struct gnt_client *c, gnt_err err)
{
    if (c->state == GNT_CLIENT_CONNECTING || c->state == GNT_CLIENT_UP)
        gnt_client_end(c, err, 0);
}

/* Encodes and decodes again: the codec's rows know what a client's packet may have. */
static gnt_err check_written(const struct gnt_client *c, size_t from)
{
    struct gnt_mqtt_packet packet;
    gnt_err err = gnt_client_read_own(c, gnt_slice_skip(gnt_buf_slice(&c->out), from), &packet);
    bool other = !err && packet.type == GNT_MQTT_AUTH && !gnt_client_method_is(c, &packet.props);
    return err || other ? GNT_INVALID : GNT_OK;
}

static gnt_err say_close(struct gnt_client *c, enum gnt_mqtt_type type, uint8_t code,
                         const struct gnt_mqtt_proplist *props)
{
    size_t before = gnt_buf_size(&c->out);
    gnt_err err = write_close(c, type, code, props);
    if (err)
        return err;
    err = check_written(c, before);
    if (err)
        gnt_buf_cut(&c->out, before);
    return err;
}

gnt_err gnt_client_disconnect(struct gnt_client *c, uint8_t code,
                              const struct gnt_mqtt_proplist *props)
{
    if (c->state != GNT_CLIENT_UP && c->state != GNT_CLIENT_CONNECTING)
        return GNT_STATE;
    bool mute = c->state == GNT_CLIENT_CONNECTING ||
                (c->version < GNT_MQTT_5 && code == GNT_REASON_DISCONNECT_WITH_WILL);
    if (!mute) {
        bool bare = c->version < GNT_MQTT_5;
        gnt_err err = say_close(c, GNT_MQTT_DISCONNECT, bare ? 0 : code, bare ? NULL : props);
        if (err)
            return err;
    }
    gnt_client_end(c, GNT_OK, code);
    return GNT_OK;
}

gnt_err gnt_client_auth(struct gnt_client *c, uint8_t code, const struct gnt_mqtt_proplist *props)
{
    if (c->state != GNT_CLIENT_UP && c->state != GNT_CLIENT_CONNECTING)
        return GNT_STATE;
    if (!gnt_client_method(c).data) /* [MQTT-4.12.0-7] */
        return GNT_INVALID;
    bool begins = code == GNT_REASON_RE_AUTHENTICATE; /* [MQTT-4.12.1-1] */
    if (begins ? c->state != GNT_CLIENT_UP || c->reauth : c->state == GNT_CLIENT_UP && !c->reauth)
        return GNT_STATE;
    gnt_err err = say_close(c, GNT_MQTT_AUTH, code, props);
    c->reauth |= !err && begins;
    return err;
}

/* SUBSCRIBE and UNSUBSCRIBE are not part of a session: they are asked anew.  Publishes wait in
 * `resend` for the next CONNACK to say whether the session still knows them. */
static void land(struct gnt_client *c)
{
    struct gnt_list again;
    gnt_list_init(&again);
    gnt_list_splice_back(&c->flying, &c->resend);
    gnt_list_each_safe (link, &c->flying) {
        struct gnt_client_request *r = GNT_CONTAINER(link, struct gnt_client_request, link);
        gnt_list_remove(link);
        r->flying = false;
        if (r->type == GNT_MQTT_PUBLISH) {
            gnt_list_push_back(&c->resend, link);
        } else {
            gnt_client_request_forget_id(c, r);
            gnt_list_push_back(&again, link);
        }
    }
    gnt_list_splice_back(&again, &c->pending);
    gnt_list_splice_back(&c->pending, &again);
    c->flying_publishes = 0;
}

/* The engine's own subscribing is made anew with the next session. */
static void drop_own_requests(struct gnt_client *c)
{
    gnt_list_each_safe (link, &c->pending) {
        struct gnt_client_request *r = GNT_CONTAINER(link, struct gnt_client_request, link);
        if (r->type == GNT_MQTT_PUBLISH || r->token)
            continue;
        gnt_list_remove(link);
        c->outstanding--;
        gnt_client_request_free(r);
    }
    c->own_requests = 0;
}

/* What the owner has not acknowledged the server will send again, and it must get through then. */
static void forget_unacked(struct gnt_client *c)
{
    for (uint16_t id = gnt_idset_next(&c->unacked, 1); id; id = gnt_idset_next(&c->unacked, id)) {
        gnt_idset_remove(&c->received, id);
        gnt_idset_remove(&c->unacked, id);
    }
}

static void closed_event(struct gnt_client *c, struct gnt_client_event *out)
{
    gnt_client_move(c, GNT_CLIENT_IDLE);
    land(c);
    drop_own_requests(c);
    forget_unacked(c);
    free_aliases(c);
    c->consume = gnt_buf_size(&c->in);
    *out = (struct gnt_client_event){
        .type = GNT_CLIENT_CLOSED,
        .err = c->end_err,
        .code = c->end_code,
        .props = c->end_props ? &c->packet.props : NULL,
    };
}

/* ---- In, events, out */

bool gnt_client_hungry(const struct gnt_client *c)
{
    return (c->state == GNT_CLIENT_CONNECTING || c->state == GNT_CLIENT_UP) &&
           gnt_buf_size(&c->in) - c->consume < c->options.packet_max &&
           gnt_buf_size(&c->out) < GNT_CLIENT_OUT_STALLED;
}

gnt_err gnt_client_receive(struct gnt_client *c, struct gnt_slice bytes, uint64_t now)
{
    if (c->state != GNT_CLIENT_CONNECTING && c->state != GNT_CLIENT_UP)
        return GNT_STATE;
    if (!gnt_client_hungry(c) || c->consume)
        return GNT_FULL;
    c->last_received = now;
    return gnt_buf_put(&c->in, bytes);
}

static void give_back(struct gnt_buf *b)
{
    if (gnt_buf_size(b) == 0 && b->cap > KEPT_BUFFER)
        gnt_buf_fini(b);
}

/* The last event is over: its request and its bytes go, and its message is acknowledged, because
 * now the owner has done with it what it wanted. */
static void release_lent(struct gnt_client *c)
{
    if (c->lent)
        gnt_client_request_free(c->lent);
    c->lent = NULL;
    gnt_buf_take(&c->in, c->consume);
    c->consume = 0;
    give_back(&c->in);
    uint16_t id = c->lent_ack;
    c->lent_ack = 0;
    if (!id || c->state != GNT_CLIENT_UP)
        return;
    gnt_err err =
        gnt_client_write_ack(c, c->lent_qos == 1 ? GNT_MQTT_PUBACK : GNT_MQTT_PUBREC, id, 0);
    if (err)
        gnt_client_fail(c, err, GNT_REASON_UNSPECIFIED_ERROR);
}

static uint64_t keep_alive_ns(const struct gnt_client *c)
{
    return c->limits.keep_alive_s * GNT_NS_PER_S;
}

/* Whatever the server sends shows that it lives: a PINGRESP may stand behind a long message. */
static uint64_t ping_deadline(const struct gnt_client *c)
{
    uint64_t since = c->last_received > c->ping_sent ? c->last_received : c->ping_sent;
    return gnt_deadline(since, c->options.ping_timeout_ms ? ms(c->options.ping_timeout_ms)
                                                          : keep_alive_ns(c));
}

static uint64_t connect_deadline(const struct gnt_client *c)
{
    uint32_t timeout_ms = c->options.connect_timeout_ms;
    return timeout_ms ? gnt_deadline(c->started, ms(timeout_ms)) : GNT_NEVER;
}

/* A PINGREQ that waits for its answer does not stand for the next: the answer may be behind a
 * message that takes longer than the keep alive to come.  But one is enough where nothing can be
 * written. */
static bool may_ping(const struct gnt_client *c)
{
    return !c->ping_waits || gnt_buf_size(&c->out) == 0;
}

static uint64_t alive_deadline(const struct gnt_client *c)
{
    uint64_t next = c->ping_waits ? ping_deadline(c) : GNT_NEVER;
    uint64_t idle = may_ping(c) ? gnt_deadline(c->last_sent, keep_alive_ns(c)) : GNT_NEVER;
    return idle < next ? idle : next;
}

static uint64_t time_deadline(const struct gnt_client *c)
{
    if (c->state == GNT_CLIENT_CONNECTING)
        return connect_deadline(c);
    if (c->state != GNT_CLIENT_UP)
        return GNT_NEVER;
    uint64_t next = gnt_client_retry_deadline(c);
    if (c->limits.keep_alive_s) {
        uint64_t alive = alive_deadline(c);
        next = alive < next ? alive : next;
    }
    return next;
}

uint64_t gnt_client_deadline(const struct gnt_client *c)
{
    bool room = c->stalled && gnt_buf_size(&c->out) < GNT_CLIENT_OUT_HIGH;
    bool now = room || c->state == GNT_CLIENT_ENDED || !gnt_list_empty(&c->done);
    return now ? 0 : time_deadline(c);
}

/* [MQTT5 3.1.2.10]: something has to be sent within the keep alive; a PINGREQ if nothing else is.
 */
static void keep_time(struct gnt_client *c, uint64_t now)
{
    if (time_deadline(c) > now)
        return;
    if (c->state == GNT_CLIENT_CONNECTING || (c->ping_waits && ping_deadline(c) <= now)) {
        gnt_client_end(c, GNT_TIMEOUT, 0);
        return;
    }
    gnt_client_retry(c, now);
    bool idle = c->limits.keep_alive_s && may_ping(c) &&
                gnt_deadline(c->last_sent, keep_alive_ns(c)) <= now;
    if (c->state != GNT_CLIENT_UP || !idle)
        return;
    gnt_err err = gnt_buf_reserve(&c->out, GNT_MQTT_PING_SIZE);
    if (err) {
        gnt_client_fail(c, err, GNT_REASON_UNSPECIFIED_ERROR);
        return;
    }
    gnt_mqtt_ping_write(gnt_buf_tail(&c->out), GNT_MQTT_PINGREQ);
    gnt_buf_wrote(&c->out, GNT_MQTT_PING_SIZE);
    if (!c->ping_waits)
        c->ping_sent = now;
    c->ping_waits = true;
}

static bool done_event(struct gnt_client *c, struct gnt_client_event *out)
{
    struct gnt_list *link = gnt_list_pop_front(&c->done);
    if (!link)
        return false;
    gnt_client_request_event(c, GNT_CONTAINER(link, struct gnt_client_request, link), out);
    return true;
}

bool gnt_client_event(struct gnt_client *c, uint64_t now, struct gnt_client_event *out)
{
    release_lent(c);
    c->stalled = false;
    for (;;) {
        if (done_event(c, out))
            return true;
        if (c->state == GNT_CLIENT_IDLE)
            return false;
        if (c->state == GNT_CLIENT_ENDED) {
            closed_event(c, out);
            return true;
        }
        if (gnt_buf_size(&c->out) >= GNT_CLIENT_OUT_STALLED)
            c->stalled = true;
        else if (gnt_client_next_packet(c, out) == GNT_OK)
            return true;
        if (c->state != GNT_CLIENT_ENDED)
            keep_time(c, now);
        if (c->state == GNT_CLIENT_UP)
            gnt_client_pump(c, now);
        if (c->state != GNT_CLIENT_ENDED && gnt_list_empty(&c->done))
            return false;
    }
}

struct gnt_slice gnt_client_output(const struct gnt_client *c)
{
    return gnt_buf_slice(&c->out);
}

void gnt_client_sent(struct gnt_client *c, size_t n, uint64_t now)
{
    GNT_ASSERT(n <= gnt_buf_size(&c->out));
    if (n == 0)
        return;
    gnt_buf_take(&c->out, n);
    c->last_sent = now;
    give_back(&c->out);
}

void gnt_client_status(const struct gnt_client *c, struct gnt_client_status *out)
{
    struct gnt_slice id = gnt_slice(c->client_id, c->client_id_size);
    if (!c->client_id) {
        /* Fixed header, protocol name, level, flags, keep alive, properties, then the id. */
        struct gnt_mqtt_frame frame;
        gnt_err err = gnt_mqtt_frame(gnt_slice(c->connect, c->connect_size), SIZE_MAX, &frame);
        GNT_ASSERT(err == GNT_OK);
        struct gnt_reader r = gnt_reader(frame.body);
        gnt_read_str16(&r);
        gnt_read_bytes(&r, 4);
        if (c->version == GNT_MQTT_5)
            gnt_read_bytes(&r, gnt_mqtt_vbi_read(&r));
        id = gnt_read_str16(&r);
    }
    *out = (struct gnt_client_status){
        .connected = c->state == GNT_CLIENT_UP,
        .session_present = c->session_present,
        .client_id = id,
        .keep_alive_s = c->limits.keep_alive_s,
        .outstanding = c->outstanding,
        .queued_messages = c->queued_messages,
        .queued_bytes = c->queued_bytes,
        .dropped = c->dropped,
        .refused = c->refused,
    };
}
