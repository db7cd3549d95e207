/* The server's side of one MQTT connection without I/O: bytes and `now` in; packets to act on,
 * bytes and the next deadline out.
 *
 * What it does by itself: framing, the order of packets, topic aliases both ways, keep alive and
 * PINGREQ, the limits on packets, whatever differs between MQTT 3.1, 3.1.1 and 5.0.  What it leaves
 * to its owner: sessions, packet ids, and closing the connection.
 *
 * Ownership  the owner's memory, _init to _fini.  Bytes to be sent go to the owner's queue.
 * Threads    one at a time.
 * Errors     the client's bytes are hostile: what breaks the protocol is a failure of _next, with
 * the MQTT 5 reason in `reason`; the owner says so by _disconnect or _refuse, and closes. */
#ifndef GNT_MQTT_ENGINE_SERVER_H
#define GNT_MQTT_ENGINE_SERVER_H

#include "base/clock.h"
#include "base/counters.h"
#include "base/outq.h"
#include "model/delivery.h"
#include "mqtt/codec/packet.h"

/* What a server may do without [MQTT5 3.2.2.3].  MQTT 5 clients are told; others find out. */
enum gnt_mqtt_without {
    GNT_MQTT_WITHOUT_RETAIN = 1u << 0,    /* nothing that comes is retained */
    GNT_MQTT_WITHOUT_WILDCARDS = 1u << 1, /* in filters */
    GNT_MQTT_WITHOUT_SUBSCRIPTION_IDS = 1u << 2,
    GNT_MQTT_WITHOUT_SHARED = 1u << 3, /* no shared subscriptions */
};

/* What the server allows, and where it counts: the same for many connections, so they share it.  A
 * connection keeps to what it began with: its client has been told. */
struct gnt_mqtt_server_options {
    size_t packet_max;    /* larger packets of the client's end the connection; CONNECT: 1 MiB */
    uint16_t receive_max; /* told to an MQTT 5 client; its owner counts */
    uint16_t aliases_in;  /* topic aliases that a client may set, 0: none */
    uint16_t aliases_out; /* topic aliases that are used towards a client, as far as it allows */
    uint16_t keep_alive_max_s;   /* MQTT 5 clients are told to keep to it, 0: their own */
    size_t topic_levels;         /* of a topic name, here and below 0: no limit */
    uint32_t props_max;          /* bytes of properties of a packet or will */
    uint16_t topic_max;          /* bytes of a topic name or filter */
    uint32_t connect_timeout_ms; /* for the CONNECT after the connection has been accepted */
    uint8_t qos_max;             /* of a PUBLISH or will that comes, and that may be granted */
    uint8_t without;             /* of enum gnt_mqtt_without */
    struct gnt_counters *counters;
};

/*   state       what may come                                             next states */
enum gnt_mqtt_server_state {
    GNT_MQTT_AWAITS_CONNECT, /* CONNECT                                    DECIDES, ENDED */
    GNT_MQTT_DECIDES,        /* nothing: the owner answers by _accept, _refuse or _auth
                                                                 OPEN, AUTHENTICATES, ENDED */
    GNT_MQTT_AUTHENTICATES,  /* AUTH, DISCONNECT                           DECIDES, ENDED */
    GNT_MQTT_OPEN,           /* everything but CONNECT                     ENDED */
    GNT_MQTT_ENDED,          /* nothing, and nothing is sent any more */
};

/* Enhanced authentication [MQTT5 4.12]: whose turn it is. */
enum gnt_mqtt_server_auth {
    GNT_MQTT_AUTH_NONE,    /* CONNECT named no method: never an AUTH [MQTT-4.12.0-6, -7] */
    GNT_MQTT_AUTH_IDLE,    /* done; the client may begin again with 0x19 */
    GNT_MQTT_AUTH_CLIENTS, /* the client has been asked, and goes on with 0x18 */
    GNT_MQTT_AUTH_OWNERS,  /* the client has spoken: _auth, or the end */
};

struct gnt_mqtt_aliases;

struct gnt_mqtt_server {
    const struct gnt_mqtt_server_options *options;
    struct gnt_outq *out;
    uint64_t since; /* OPEN: the client's last sign of life; before that: the connection began */
    uint32_t keep_alive_s; /* one and a half times of it may pass in silence; 0: any time */
    uint32_t packet_max_out;
    uint16_t aliases_out_count;
    uint8_t state;                    /* enum gnt_mqtt_server_state */
    uint8_t version;                  /* enum gnt_mqtt_version */
    uint8_t reason;                   /* of a failure of _next */
    uint8_t auth;                     /* enum gnt_mqtt_server_auth */
    bool problem_information;         /* the client wants reason strings [MQTT5 3.1.2.11.7] */
    struct gnt_mqtt_aliases *aliases; /* NULL until one is used */
};

/* OUT is lent for the engine's life.  Needs no memory until aliases are used.  _settle must follow
 * before anything else but _fini. */
void gnt_mqtt_server_init(struct gnt_mqtt_server *s, struct gnt_outq *out, uint64_t now);
void gnt_mqtt_server_fini(struct gnt_mqtt_server *s);

/* OPTIONS, which are lent, are those of this connection from here on; NULL if it only is to be
 * moved or freed. */
void gnt_mqtt_server_settle(struct gnt_mqtt_server *s,
                            const struct gnt_mqtt_server_options *options);

/* Forgets the CONNECT that _next has given: it will be given again.  For a connection that moves to
 * another worker once its client is known; _settle must follow there. */
void gnt_mqtt_server_rewind(struct gnt_mqtt_server *s);

/* Takes the next packet off the front of *in.
 *   GNT_OK    *out is to be acted on: CONNECT, PUBLISH (its topic is there even if only an alias
 *             came, and it is valid), PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, UNSUBSCRIBE,
 *             DISCONNECT, AUTH (in its turn; its method is the owner's to compare).  It borrows
 *             from *in and from the engine until the next call.
 *   GNT_MORE  *in holds no whole packet any more; *need (may be NULL) is the size of the one it
 *             begins with, 0 if that is not known yet.
 *   else      the connection is lost: see `reason`. */
GNT_MUST gnt_err gnt_mqtt_server_next(struct gnt_mqtt_server *s, struct gnt_slice *in, uint64_t now,
                                      struct gnt_mqtt_packet *out, size_t *need);

/* The topics of the first whole PUBLISHes in IN, MAX at most, borrowed from it, for whoever can
 * prepare for what _next will give; returns how many, and in *left how much of IN is behind the
 * packets that it has looked at.  Takes nothing and decides nothing: a PUBLISH with an alias alone
 * is left out, and _next may still refuse any of the others. */
unsigned gnt_mqtt_server_ahead(const struct gnt_mqtt_server *s, struct gnt_slice in,
                               struct gnt_slice *topics, unsigned max, size_t *left);

/* Why no client of this server can subscribe to FILTER, as a code of SUBACK; GNT_REASON_SUCCESS if
 * the server has nothing against it. */
uint8_t gnt_mqtt_server_objection(const struct gnt_mqtt_server *s, struct gnt_slice filter);

/* The client lives although no packet of it has come: a part of a long one has, or it takes what it
 * is sent, and its owner does not read before it has taken more of it. */
void gnt_mqtt_server_lives(struct gnt_mqtt_server *s, uint64_t now);

/* When the connection is to be ended for silence: GNT_REASON_KEEP_ALIVE_TIMEOUT, or no CONNECT in
 * time. GNT_NEVER if it may be silent for ever. */
uint64_t gnt_mqtt_server_deadline(const struct gnt_mqtt_server *s);

/* ---- Answers.  Each puts a packet into the queue, or fails and has put nothing: GNT_NOMEM, or
 * GNT_TOOBIG where the client does not take a packet of that size [MQTT-3.1.2-24]. */

enum { GNT_MQTT_WELCOME_USER_MAX = 12 };

struct gnt_mqtt_welcome {
    bool session_present;
    struct gnt_slice assigned_id;     /* empty: the client brought its own */
    struct gnt_slice response_info;   /* empty: none */
    struct gnt_slice auth_method;     /* empty: CONNECT named none [MQTT-4.12.0-5] */
    struct gnt_slice auth_data;       /* empty: none */
    uint32_t session_expiry_s;        /* told if it is not what the client asked for */
    const struct gnt_mqtt_prop *user; /* user properties, if the client takes them: user_count of */
    size_t user_count;                /* them, at most GNT_MQTT_WELCOME_USER_MAX */
};

/* CONNECT is the one that _next gave; the keep alive begins NOW. */
GNT_MUST gnt_err gnt_mqtt_server_accept(struct gnt_mqtt_server *s,
                                        const struct gnt_mqtt_packet *connect,
                                        const struct gnt_mqtt_welcome *welcome, uint64_t now);

/* AUTH: CODE 0x18 asks the client to go on, before CONNACK or when it authenticates again; 0 says
 * that doing so has succeeded.  DATA may be empty.  Its turn as in s->auth. */
GNT_MUST gnt_err gnt_mqtt_server_auth(struct gnt_mqtt_server *s, uint8_t code,
                                      struct gnt_slice method, struct gnt_slice data);

/* BYTES are those of the CONNECT that _next has given: gives it again, borrowing from them. */
void gnt_mqtt_server_recall(const struct gnt_mqtt_server *s, struct gnt_slice bytes,
                            struct gnt_mqtt_packet *out);

/* CONNACK with a refusal; the engine has ended.  Nothing is sent to a client that has not sent a
 * CONNECT that can be answered. */
void gnt_mqtt_server_refuse(struct gnt_mqtt_server *s, uint8_t reason, const char *text);

/* DISCONNECT with REASON (MQTT 5; nothing in 3.x); the engine has ended. */
void gnt_mqtt_server_disconnect(struct gnt_mqtt_server *s, uint8_t reason, const char *text);

/* One or the other, by the state, with a server reference [MQTT5 4.11] in place of the text: where
 * the client is to go. */
void gnt_mqtt_server_refer(struct gnt_mqtt_server *s, uint8_t reason, const char *reference);

/* TYPE is PUBACK, PUBREC, PUBREL or PUBCOMP. */
GNT_MUST gnt_err gnt_mqtt_server_ack(struct gnt_mqtt_server *s, enum gnt_mqtt_type type,
                                     uint16_t id, uint8_t reason);

/* TYPE is SUBACK or UNSUBACK; codes are MQTT 5's and are translated for 3.x. CODES may be changed.
 */
GNT_MUST gnt_err gnt_mqtt_server_codes(struct gnt_mqtt_server *s, enum gnt_mqtt_type type,
                                       uint16_t id, uint8_t *codes, size_t count);

/* PUBLISH. */
GNT_MUST gnt_err gnt_mqtt_server_publish(struct gnt_mqtt_server *s,
                                         const struct gnt_delivery *delivery, uint64_t now);

#endif
