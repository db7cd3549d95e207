/* CONNECT and its answer [MQTT5 3.1, 3.2]. */

#include "auth/access.h"
#include "base/log.h"
#include "core/ledger.h"
#include "front/mqtt/gate.h"
#include "front/mqtt/withhold.h"

#include <inttypes.h>
#include <stdio.h>

enum { RESPONSE_INFO_SIZE = 1024 };

/* What has to be refused before anything is looked up; GNT_REASON_SUCCESS if nothing has. */
static uint8_t objection(struct gnt_mqtt_connection *c, const struct gnt_mqtt_packet *packet)
{
    const struct gnt_mqtt_connect *p = &packet->connect;
    uint8_t reason = gnt_login_objection(c, packet);
    if (reason != GNT_REASON_SUCCESS)
        return reason;
    if (p->client_id.size > c->front->limits.client_id_max)
        return GNT_REASON_CLIENT_ID_NOT_VALID;
    bool must_name_itself = p->version == GNT_MQTT_3_1 ||
                            (p->version == GNT_MQTT_3_1_1 && !p->clean_start); /* [MQTT-3.1.3-8] */
    if (p->client_id.size == 0 && must_name_itself)
        return GNT_REASON_CLIENT_ID_NOT_VALID;
    if (p->has_will && gnt_mqtt_topic_reserved(p->will.topic))
        return GNT_REASON_NOT_AUTHORIZED;
    return GNT_REASON_SUCCESS;
}

/* Before anything is looked up for the client, and once, however often its CONNECT is read. */
static bool admit(struct gnt_mqtt_connection *c)
{
    const struct gnt_mqtt_moved *moved = &c->front->limits.moved;
    if (c->admitted)
        return true;
    if (moved->to[0] && (moved->all || c->surplus)) {
        gnt_connection_refer(c);
    } else if (c->surplus) { /* there was another server when it came */
        gnt_connection_fail(c, GNT_REASON_QUOTA_EXCEEDED, NULL);
    } else if (!gnt_lobby_within_rate(c->front->shared->lobby, c->front->limits.connect_rate,
                                      c->front->loop->now)) {
        gnt_connection_fail(c, GNT_REASON_CONNECTION_RATE_EXCEEDED, NULL);
    } else {
        c->admitted = true;
    }
    return c->admitted;
}

/* The client's name, or the one it is given: the connection's number under a secret key, so that
 * nobody guesses it and it is the same after the move home. */
static struct gnt_slice client_id(const struct gnt_mqtt_connection *c,
                                  const struct gnt_mqtt_connect *p, char text[GNT_ASSIGNED_SIZE])
{
    if (p->client_id.size)
        return p->client_id;
    snprintf(text, GNT_ASSIGNED_SIZE, "auto-%016" PRIx64,
             gnt_hash(gnt_slice(&c->number, sizeof c->number)));
    return gnt_slice_str(text);
}

/* What the client may do.  GNT_DENIED: not what its will says. */
static gnt_err rights(const struct gnt_mqtt_connection *c, const struct gnt_mqtt_connect *p,
                      struct gnt_session_open *open)
{
    const struct gnt_principal who = {open->user, open->client_id};
    gnt_err err = gnt_access_rights(gnt_connection_home(c)->access, who, &open->rights);
    if (err || !p->has_will || gnt_rights_may_publish(open->rights, p->will.topic))
        return err;
    char name[GNT_NAME_SIZE];
    gnt_log_limited(GNT_LOG_INFO, gnt_connection_name(c, name), "will denied",
                    GNT_F_TEXT("client", open->client_id), GNT_F_TEXT("topic", p->will.topic));
    return GNT_DENIED;
}

static gnt_err will_message(struct gnt_mqtt_connection *c, const struct gnt_mqtt_connect *p,
                            struct gnt_session_open *open)
{
    if (!p->has_will)
        return GNT_OK;
    const struct gnt_publication publication = {.topic = p->will.topic,
                                                .payload = p->will.payload,
                                                .props = &p->will.props,
                                                .qos = p->will.qos,
                                                .retain = p->will.retain,
                                                .expiry_s = GNT_EXPIRY_NEVER};
    open->will_delay_s = gnt_mqtt_number(&p->will.props, GNT_PROP_WILL_DELAY, 0);
    open->will_expiry_s =
        gnt_mqtt_number(&p->will.props, GNT_PROP_MESSAGE_EXPIRY, GNT_EXPIRY_NEVER);
    return gnt_connection_message(c, &publication, &open->will);
}

/* In 3.x a session that is not clean has no end. */
static uint32_t wanted_expiry(const struct gnt_mqtt_packet *packet)
{
    const struct gnt_mqtt_connect *p = &packet->connect;
    if (p->version == GNT_MQTT_5)
        return gnt_mqtt_number(&packet->props, GNT_PROP_SESSION_EXPIRY, 0);
    return p->clean_start ? 0 : GNT_EXPIRY_NEVER;
}

/* A place of the client's own for answers [MQTT5 4.10.1]. */
static struct gnt_slice response_info(const struct gnt_mqtt_packet *packet, struct gnt_slice id,
                                      char *out, size_t cap)
{
    if (gnt_mqtt_number(&packet->props, GNT_PROP_REQUEST_RESPONSE_INFO, 0) == 0)
        return gnt_slice(NULL, 0);
    int n = snprintf(out, cap, "response/%.*s", (int)(id.size < cap ? id.size : cap),
                     (const char *)id.data);
    bool usable = n > 0 && (size_t)n < cap && !memchr(id.data, '+', id.size) &&
                  !memchr(id.data, '#', id.size);
    return usable ? gnt_slice(out, (size_t)n) : gnt_slice(NULL, 0);
}

static void log_connect(const struct gnt_mqtt_connection *c, const struct gnt_mqtt_connect *p,
                        struct gnt_slice id, bool present)
{
    if (!gnt_log_enabled(GNT_LOG_INFO))
        return;
    char peer[64], name[GNT_NAME_SIZE];
    const char *user = gnt_login_user(c);
    gnt_stream_peer(c->stream, peer, sizeof peer);
    gnt_log_limited(GNT_LOG_INFO, gnt_connection_name(c, name), "connect", GNT_F_TEXT("client", id),
                    GNT_F_STR("from", peer), GNT_F_NUM("version", p->version),
                    GNT_F_NUM("keep_alive", p->keep_alive_s), GNT_F_NUM("session", present),
                    GNT_F_STR("user", user ? user : ""), GNT_F_STR("by", gnt_login_by(c)));
}

/* What a client that comes again is told of its own drops, "dropped/queue_full: 12". */
struct drops {
    struct gnt_mqtt_prop list[GNT_MQTT_WELCOME_USER_MAX];
    char numbers[GNT_MQTT_WELCOME_USER_MAX][24];
    size_t count;
};

_Static_assert((int)GNT_LEDGER_LAST - (int)GNT_COUNT_EXPIRED < (int)GNT_MQTT_WELCOME_USER_MAX,
               "each kind has its place");

static void add_drops(struct drops *d, const struct gnt_ledger *ledger)
{
    static const char below[] = "ledger/";
    for (int row = GNT_COUNT_EXPIRED; row <= GNT_LEDGER_LAST; row++) {
        uint64_t n = gnt_ledger_row(ledger, (enum gnt_counter)row);
        const char *topic = gnt_counter_topic((enum gnt_counter)row);
        if (n == 0)
            continue;
        char *number = d->numbers[d->count];
        snprintf(number, sizeof d->numbers[0], "%" PRIu64, n);
        d->list[d->count++] =
            (struct gnt_mqtt_prop){.row = GNT_PROP_USER_PROPERTY,
                                   .text = gnt_slice_str(topic + sizeof below - 1),
                                   .value = gnt_slice_str(number)};
    }
}

/* WAITS: what the answer says has to be safe first. */
static void answer(struct gnt_mqtt_connection *c, const struct gnt_mqtt_packet *packet,
                   struct gnt_slice id, bool present, struct gnt_slice auth_data, bool waits)
{
    char info[RESPONSE_INFO_SIZE];
    bool given = packet->connect.client_id.size == 0;
    struct drops drops = {.count = 0};
    const struct gnt_ledger *ledger = gnt_session_ledger(c->session);
    if (c->front->limits.tell_dropped && present && ledger)
        add_drops(&drops, ledger);
    struct gnt_mqtt_welcome w = {.session_present = present,
                                 .assigned_id = given ? id : gnt_slice(NULL, 0),
                                 .response_info = response_info(packet, id, info, sizeof info),
                                 .session_expiry_s = gnt_session_expiry(c->session),
                                 .auth_method = gnt_mqtt_text(&packet->props, GNT_PROP_AUTH_METHOD),
                                 .auth_data = auth_data,
                                 .user = drops.list,
                                 .user_count = drops.count};
    gnt_err err = gnt_login_expect(c, id);
    if (!err && waits)
        err = gnt_gate_close(c);
    if (!err)
        err = gnt_mqtt_server_accept(&c->engine, packet, &w, c->front->loop->now);
    if (err) {
        gnt_connection_unanswered(c, err);
        return;
    }
    log_connect(c, &packet->connect, id, present);
    gnt_count(gnt_connection_counters(c), GNT_COUNT_CONNECTS, 1);
    gnt_connection_keep_time(c);
    gnt_connection_dirty(c);
    gnt_login_came(c);
    gnt_session_resume(c->session);
}

/* A client that comes again may have said DISCONNECT on its earlier connection just before, perhaps
 * to another worker than the one that accepted this connection.  Everything that it said there is
 * heard before it is taken over: this turn reads what has come, so the CONNECT waits for the next
 * one. */
static bool must_wait(struct gnt_mqtt_connection *c, const struct gnt_home *home,
                      struct gnt_slice id)
{
    bool wait = !c->waited && gnt_session_connected(home, id);
    c->waited = wait;
    return wait;
}

static void not_opened(struct gnt_mqtt_connection *c, struct gnt_session_open *open, gnt_err err)
{
    gnt_message_unref(&open->will);
    gnt_rights_unref(&open->rights);
    if (err == GNT_DENIED)
        gnt_connection_fail(c, GNT_REASON_NOT_AUTHORIZED, NULL);
    else
        gnt_connection_unanswered(c, err);
}

void gnt_connection_welcome(struct gnt_mqtt_connection *c, const struct gnt_mqtt_packet *packet,
                            struct gnt_slice auth_data)
{
    const struct gnt_mqtt_connect *p = &packet->connect;
    char assigned[GNT_ASSIGNED_SIZE];
    struct gnt_slice id = client_id(c, p, assigned);
    struct gnt_session_open open = {
        .client_id = id,
        .user = gnt_slice_str(gnt_login_user(c)),
        .clean_start = p->clean_start,
        .expiry_s = wanted_expiry(packet),
        .receive_max =
            (uint16_t)gnt_mqtt_number(&packet->props, GNT_PROP_RECEIVE_MAXIMUM, UINT16_MAX),
        .will_expiry_s = GNT_EXPIRY_NEVER,
    };
    struct gnt_home *home = gnt_connection_home(c);
    bool present = false, was_kept = gnt_session_kept_of(home, id);
    gnt_err err = rights(c, p, &open);
    if (!err)
        err = will_message(c, p, &open);
    if (!err)
        err = gnt_session_open(home, &open, &c->receiver, &c->session, &present);
    if (err) {
        not_opened(c, &open, err);
        return;
    }
    gnt_withhold_begin(c);
    /* What a session that was kept still has to do does not wait while nothing can be written; of
     * its new terms, the will and the expiry, the old ones stand until then. */
    bool goes_on = present && gnt_keep_refuses(home);
    bool waits = (was_kept || gnt_session_is_kept(c->session)) && !goes_on;
    answer(c, packet, id, present, auth_data, waits);
}

bool gnt_connection_on_connect(struct gnt_mqtt_connection *c, const struct gnt_mqtt_packet *packet,
                               struct gnt_slice whole)
{
    const struct gnt_mqtt_connect *p = &packet->connect;
    if (!admit(c))
        return true;
    uint8_t reason = objection(c, packet);
    if (reason != GNT_REASON_SUCCESS) {
        gnt_connection_fail(c, reason, NULL);
        return true;
    }
    struct gnt_home *home = gnt_connection_home(c);
    char assigned[GNT_ASSIGNED_SIZE];
    struct gnt_slice id = client_id(c, p, assigned);
    unsigned at = gnt_home_of(home, id);
    if (at != home->index || must_wait(c, home, id))
        return !gnt_connection_move(c, at, whole);
    if (!gnt_login_begin(c, packet, whole))
        gnt_connection_welcome(c, packet, gnt_slice(NULL, 0));
    return true;
}
