/* The client's side of MQTT 3.1, 3.1.1 and 5.0 without I/O: bytes and `now` in; bytes, events and
 * the next deadline out.
 *
 * What it does by itself: QoS 1 and 2 with their retransmission when the session goes on, keep
 * alive, flow control by receive maximum, topic aliases both ways, the queue of what waits for a
 * connection, subscribing again when the server has lost the session.  What it leaves to its owner:
 * opening and closing the transport, and when to connect again.
 *
 * A turn of the owner's:
 *
 *     gnt_client_receive(c, bytes, now);               what has come, if anything
 *     while (gnt_client_event(c, now, &event)) ...     until false: this also sends and keeps time
 *     gnt_client_output(c) ... gnt_client_sent(c, n)   to the transport, as much as it takes
 *     wait for bytes, for room to write, or until gnt_client_deadline(c)
 *
 * Ownership  gnt_client_new() to gnt_client_free().  What goes in is copied; what an event shows is
 *            lent until the next call of gnt_client_event or gnt_client_connect.
 * Threads    one at a time.  Between two calls of gnt_client_event other calls may be made.
 * Memory     only for what it keeps, bounded by the options; a server can make it hold one packet
 *            of packet_max bytes, and a page or two of packet ids.
 * Errors     the server's bytes are hostile: whatever breaks the protocol ends the connection with
 *            an event that says why, after a DISCONNECT with the reason where MQTT has one. */
#ifndef GNT_MQTT_ENGINE_CLIENT_H
#define GNT_MQTT_ENGINE_CLIENT_H

#include "base/clock.h"
#include "mqtt/codec/packet.h"

struct gnt_client;

struct gnt_client_options {
    /* The CONNECT that is sent.  In MQTT 5 clean_start is for the first connection only if the
     * session may outlive a connection (its expiry is not 0); in 3.x it holds for each.
     * connect.will.props is not looked at: will_props is what is sent. */
    struct gnt_mqtt_connect connect;
    const struct gnt_mqtt_proplist *props, *will_props; /* NULL: none */

    size_t packet_max;           /* larger packets of the server's end the connection */
    uint32_t connect_timeout_ms; /* for the CONNACK; 0: waits for ever */
    uint32_t ping_timeout_ms;    /* for the PINGRESP; 0: as long as the keep alive */

    /* Publishes that are kept until they are settled, the ones in flight included.  At the bound a
     * publish is refused, or with drop_oldest the oldest one that waits is let go for it. */
    size_t queue_messages, queue_bytes;
    bool drop_oldest;

    uint16_t in_flight_max; /* publishes of QoS 1 and 2 in flight; 0: what the server allows, and
                               in 3.x, where it cannot say, 20 */
    uint16_t aliases_max;   /* outbound topic aliases, as far as the server allows; 0: none */

    /* 3.1-style: a publish of QoS 1 or 2 that is not acknowledged for retry_ms is sent again on the
     * live connection, retry_attempts times, then given up with GNT_TIMEOUT.  0: never.  Not in
     * MQTT 5, which forbids it [MQTT-4.4.0-1]. */
    uint32_t retry_ms;
    uint16_t retry_attempts;

    bool manual_ack;     /* messages are acknowledged by gnt_client_ack */
    bool drop_in_flight; /* the session is lost: publishes in flight fail instead of going again */
    bool no_resubscribe; /* the session is lost: its subscriptions stay lost */
};

/* MQTT 5, clean start, 60 s keep alive, packets up to 16 MiB, 30 s for CONNACK, 10 s for PINGRESP,
 * a queue of 10,000 messages and 64 MiB that refuses what is too much. */
void gnt_client_options_init(struct gnt_client_options *o);

/* GNT_INVALID: what cannot be said in a CONNECT of that version (text that is not UTF-8, a property
 * that does not belong there, a will's topic with a wildcard, no client id in 3.1, or without clean
 * start in 3.1.1). */
GNT_MUST gnt_err gnt_client_new(const struct gnt_client_options *o, struct gnt_client **out);
void gnt_client_free(struct gnt_client **c); /* NULL is fine; what is outstanding is dropped */

enum gnt_client_event_type {
    GNT_CLIENT_CONNECTED, /* session_present, code, props: the CONNACK's */
    GNT_CLIENT_CLOSED,    /* err, code, props: see below */
    GNT_CLIENT_MESSAGE,   /* publish, props, ack */
    GNT_CLIENT_DONE,      /* a request is settled: request, token, user, err, code, codes, props */
    GNT_CLIENT_AUTH,      /* code, props: 0x18 asks for a gnt_client_auth; 0 ends what 0x19 began */
};

/* CLOSED: the connection is over; write what gnt_client_output still has if that is possible, close
 * the transport, and connect again when you like.  err says why:
 *   GNT_OK       gnt_client_disconnect was called
 *   GNT_REFUSED  by the CONNACK; code is an MQTT 5 reason code in every version
 *   GNT_CLOSED   the server said DISCONNECT (code), or gnt_client_lost was called (code 0)
 *   GNT_TIMEOUT  no CONNACK or no PINGRESP in time
 *   GNT_MALFORMED, GNT_PROTOCOL, GNT_TOOBIG, GNT_INVALID   the server's fault, code says which
 *   GNT_NOMEM    out of memory; nothing that was accepted is lost by it
 *
 * DONE: err is
 *   GNT_OK           acknowledged (or at QoS 0 handed to the output)
 *   GNT_REFUSED      the server's answer has a code of 0x80 or more: code, codes
 *   GNT_TOOBIG       over the server's maximum packet size
 *   GNT_UNSUPPORTED  the server has said that it does not do this (QoS, retain, ...)
 *   GNT_TIMEOUT      the message expired before it could be sent, or the retries are used up
 *   GNT_FULL         it was the oldest when the queue was full
 *   GNT_CLOSED       gnt_client_cancel, or drop_in_flight */
struct gnt_client_event {
    enum gnt_client_event_type type;
    gnt_err err;
    uint8_t code;
    bool session_present;
    uint8_t request; /* GNT_MQTT_PUBLISH, _SUBSCRIBE or _UNSUBSCRIBE */
    uint64_t token;  /* 0: from an earlier life, or the engine's own subscribing again */
    void *user;
    struct gnt_slice codes; /* one for each filter; none for an UNSUBACK of 3.x */
    /* The topic is there even if only an alias came, and a zero byte follows it. */
    const struct gnt_mqtt_publish *publish;
    const struct gnt_mqtt_props *props; /* NULL if no packet brought this event */
    uint64_t ack;                       /* for gnt_client_ack; 0: nothing to acknowledge */
};

/* Begins a connection on a transport that has just been opened.  GNT_STATE: there is one, or its
 * CLOSED has not been fetched. */
GNT_MUST gnt_err gnt_client_connect(struct gnt_client *c, uint64_t now);

/* The same, with AUTH_DATA as the CONNECT's authentication data: what is new for each connection,
 * as the method says.  GNT_INVALID: the options name no method, or have such data themselves. */
GNT_MUST gnt_err gnt_client_connect_with(struct gnt_client *c, struct gnt_slice auth_data,
                                         uint64_t now);

/* Takes bytes from the transport.  GNT_STATE: no connection.  GNT_FULL: fetch the events first, and
 * write the output; nothing was taken.  GNT_NOMEM: nothing was taken. */
GNT_MUST gnt_err gnt_client_receive(struct gnt_client *c, struct gnt_slice bytes, uint64_t now);

/* Whether gnt_client_receive would take bytes now. */
bool gnt_client_hungry(const struct gnt_client *c);

/* The next event; false: none now. */
bool gnt_client_event(struct gnt_client *c, uint64_t now, struct gnt_client_event *out);

/* What is to be written, valid until the next call that is not _sent; _sent takes N bytes off it.
 */
struct gnt_slice gnt_client_output(const struct gnt_client *c);
void gnt_client_sent(struct gnt_client *c, size_t n, uint64_t now);

/* When gnt_client_event must be called even if nothing happens; GNT_NEVER. */
uint64_t gnt_client_deadline(const struct gnt_client *c);

/* The transport broke or ended: the next event is CLOSED with ERR.  Without a connection nothing
 * happens. */
void gnt_client_lost(struct gnt_client *c, gnt_err err);

/* The owner finds fault with the server, which has not proved who it is: as _lost, after a
 * DISCONNECT with CODE. */
void gnt_client_reject(struct gnt_client *c, gnt_err err, uint8_t code);

/* Says DISCONNECT and ends: the next event is CLOSED.  CODE 0x04 has the will published; in 3.x,
 * which has no word for that, it ends without DISCONNECT.  GNT_STATE: not connected.  GNT_INVALID:
 * a code or property that a client's DISCONNECT cannot have. */
GNT_MUST gnt_err gnt_client_disconnect(struct gnt_client *c, uint8_t code,
                                       const struct gnt_mqtt_proplist *props);

struct gnt_client_publish {
    struct gnt_slice topic, payload;
    uint8_t qos;
    bool retain;
    const struct gnt_mqtt_prop *props; /* not topic alias: the engine's own business */
    size_t prop_count;
};

/* These three may be called at any time; without a connection the request waits for one.  Each ends
 * in one DONE with *token (may be NULL) and USER.  They are sent in the order of the calls, where
 * those that the server makes wait (by its receive maximum) let others pass; a SUBSCRIBE or
 * UNSUBSCRIBE waits for the answers to those before it about the same filter, and what was asked
 * for after it waits behind it.
 * GNT_INVALID: topic, filter, QoS or property that cannot be; GNT_TOOBIG: no packet can hold it;
 * GNT_FULL: the queue is full.  In 3.x properties are ignored, but for a message's expiry, which
 * holds in the queue. */
GNT_MUST gnt_err gnt_client_publish(struct gnt_client *c, const struct gnt_client_publish *p,
                                    void *user, uint64_t now, uint64_t *token);
GNT_MUST gnt_err gnt_client_subscribe(struct gnt_client *c,
                                      const struct gnt_mqtt_subscription *list, size_t count,
                                      const struct gnt_mqtt_proplist *props, void *user,
                                      uint64_t *token);
GNT_MUST gnt_err gnt_client_unsubscribe(struct gnt_client *c, const struct gnt_slice *filters,
                                        size_t count, const struct gnt_mqtt_proplist *props,
                                        void *user, uint64_t *token);

/* With manual_ack: acknowledges the message of an event; a CODE of 0x80 or more refuses it (MQTT 5
 * only).  GNT_STATE: its connection is gone, the server will send it again.  GNT_NOTFOUND: it has
 * been acknowledged. */
GNT_MUST gnt_err gnt_client_ack(struct gnt_client *c, uint64_t ack, uint8_t code);

/* An AUTH packet [MQTT5 4.12]: CODE 0x18 goes on, 0x19 begins anew.  GNT_INVALID: the CONNECT named
 * no authentication method, or PROPS another one or none.  GNT_STATE: 0x19 before the CONNACK or
 * within an exchange, 0x18 outside of one. */
GNT_MUST gnt_err gnt_client_auth(struct gnt_client *c, uint8_t code,
                                 const struct gnt_mqtt_proplist *props);

/* Every request that is outstanding is DONE with GNT_CLOSED.  Without a connection only: else
 * GNT_STATE. */
GNT_MUST gnt_err gnt_client_cancel(struct gnt_client *c);

struct gnt_client_status {
    bool connected;             /* CONNACK has come */
    bool session_present;       /* as the last CONNACK said */
    struct gnt_slice client_id; /* the assigned one if there is one; lent until the next event */
    uint16_t keep_alive_s;      /* the server's word if it has one */
    size_t outstanding;         /* requests that are not settled */
    size_t queued_messages, queued_bytes; /* publishes of those */
    uint64_t dropped, refused;            /* publishes at the bound of the queue, since _new */
};
void gnt_client_status(const struct gnt_client *c, struct gnt_client_status *out);

/* The session as bytes, for a later life of the client: publishes of QoS 1 and 2 that are not
 * settled, QoS 2 ids that have been received, the next packet id, subscriptions, the client id.
 * *size is what it takes.  GNT_TOOBIG: CAP is less than that (TO may be NULL with CAP 0). */
GNT_MUST gnt_err gnt_client_save(const struct gnt_client *c, uint64_t now, void *to, size_t cap,
                                 size_t *size);

/* Into a client that is new: before anything else was asked of it, else GNT_STATE.  The session is
 * resumed at the first connection: for that clean_start is left out in MQTT 5; in 3.x the options
 * must not ask for it.  GNT_MALFORMED: not what _save has made, or damaged.  GNT_UNSUPPORTED: made
 * by a newer version.  GNT_INVALID: of another client id.  GNT_FULL: over the queue's bounds.  On
 * failure nothing is restored. */
GNT_MUST gnt_err gnt_client_restore(struct gnt_client *c, struct gnt_slice saved, uint64_t now);

#endif
