/* What the files of the client engine share: its state, and who moves it. */
#ifndef GNT_MQTT_ENGINE_CLIENT_STATE_H
#define GNT_MQTT_ENGINE_CLIENT_STATE_H

#include "base/buf.h"
#include "base/hash.h"
#include "base/list.h"
#include "model/idset.h"
#include "model/message.h"
#include "model/window.h"
#include "mqtt/engine/client.h"

/*   state        what it waits for                                     next states           */
enum gnt_client_state {
    GNT_CLIENT_IDLE,       /* gnt_client_connect                          CONNECTING            */
    GNT_CLIENT_CONNECTING, /* CONNACK                                     UP, ENDED             */
    GNT_CLIENT_UP,         /* whatever comes                              ENDED                 */
    GNT_CLIENT_ENDED,      /* the owner to fetch CLOSED                   IDLE                  */
};

/* A filter of a SUBSCRIBE or UNSUBSCRIBE; see `asked`. */
struct gnt_client_filter {
    struct gnt_map_node by_text;
    struct gnt_slice text; /* within the request's bytes */
};

/* A PUBLISH, SUBSCRIBE or UNSUBSCRIBE from the owner's call to its DONE.  It is in one list:
 *   pending   not sent on this connection; a publish has no packet id yet
 *   resend    publishes that were in flight when the connection ended, with their ids
 *   flying    sent on this connection, in that order
 *   done      settled, its event not fetched
 * A request with an id has a flight in the window, whose owner it is. */
struct gnt_client_request {
    struct gnt_list link;
    struct gnt_message *message;       /* a PUBLISH's, until PUBREC */
    struct gnt_client_filter *filters; /* else what it is about; from malloc, with the bytes */
    uint8_t *bytes;                    /* the encoded packet; its id is filled in when it is sent */
    size_t size;
    struct gnt_slice list; /* its filters, within bytes */
    uint32_t count;        /* of filters */
    uint32_t subscription_id;
    void *user;
    uint64_t token;
    uint64_t sent_at;
    uint16_t id;
    uint16_t attempts;
    uint8_t type; /* GNT_MQTT_PUBLISH, _SUBSCRIBE, _UNSUBSCRIBE */
    uint8_t code;
    bool flying; /* lies in `flying` */
    bool asked;  /* its filters are in the client's `asked` */
    gnt_err err;
    size_t cost; /* bytes towards queue_bytes */
};

/* A subscription that the server has granted. */
struct gnt_client_kept {
    struct gnt_list link;
    uint32_t subscription_id; /* 0: none */
    struct gnt_mqtt_subscription subscription;
    uint8_t filter[];
};

enum {
    GNT_CLIENT_OUT_HIGH = 64 * 1024,     /* with so much unwritten no request is sent */
    GNT_CLIENT_OUT_STALLED = 256 * 1024, /* and with so much no packet is taken in */
};

/* What the server's CONNACK allows. */
struct gnt_client_limits {
    uint32_t packet_max;
    uint16_t receive_max, alias_max, keep_alive_s;
    uint8_t qos_max;
    bool no_retain, no_wildcards, no_subscription_ids, no_shared;
};

struct gnt_client {
    struct gnt_client_options options; /* connect, props and will_props are not used */
    uint8_t *connect;                  /* the CONNECT as bytes: what the options said, checked */
    size_t connect_size;
    enum gnt_mqtt_version version;
    bool clean_start, outlives; /* outlives: the session may go on after the connection (MQTT 5) */
    uint16_t keep_alive_s;      /* asked for */
    uint16_t receive_max, alias_in_max;
    uint8_t *client_id; /* assigned by the server, or restored; NULL */
    size_t client_id_size;

    enum gnt_client_state state;
    gnt_err end_err; /* why ENDED */
    uint8_t end_code;
    bool end_props; /* `packet` brought it */
    bool resumed;   /* there is a session that the next connection should go on with */
    bool session_present;
    bool clean_sent;
    bool ping_waits;
    bool reauth;             /* it has begun to authenticate again, and there is no success yet */
    bool stalled;            /* something was left undone because `out` was full */
    bool owes_subscriptions; /* the server has lost them, and has not granted them all again */
    uint32_t own_requests;   /* SUBSCRIBEs for that */
    uint32_t generation;     /* of the connection, for acks */
    uint64_t started, last_sent, last_received, ping_sent;
    struct gnt_client_limits limits;

    struct gnt_buf in, out;
    size_t consume;                /* bytes of `in` that the last event was lent */
    struct gnt_mqtt_packet packet; /* the last one, lent as well */
    struct gnt_client_request *lent;
    uint16_t lent_ack; /* the id to acknowledge when the event is over, and its QoS */
    uint8_t lent_qos;

    struct gnt_list pending, resend, flying, done;
    struct gnt_map asked; /* the filters of the requests that are flying */
    size_t flying_publishes;
    size_t outstanding, queued_messages, queued_bytes;
    uint64_t next_token, dropped, refused;
    struct gnt_window window;

    struct gnt_idset received; /* QoS 2 ids between PUBLISH and PUBREL */
    struct gnt_idset unacked;  /* manual_ack: ids that the owner has not acknowledged */
    uint32_t inbound;          /* publishes that count towards our receive maximum */

    struct gnt_list kept;
    struct gnt_slice *aliases_in; /* by alias - 1, each with a zero byte behind it; from malloc */
    struct gnt_slice *aliases_out;
    uint16_t next_alias;
};

/* client.c: the one mover, and the ways to end. */
void gnt_client_move(struct gnt_client *c, enum gnt_client_state to);
void gnt_client_end(struct gnt_client *c, gnt_err err, uint8_t code);

/* As _end, after a DISCONNECT with CODE where the protocol has one. */
void gnt_client_fail(struct gnt_client *c, gnt_err err, uint8_t code);

/* Reads back a packet that was encoded here: what a client's may have the codec's rows know.
 * GNT_INVALID: not that. */
GNT_MUST gnt_err gnt_client_read_own(const struct gnt_client *c, struct gnt_slice bytes,
                                     struct gnt_mqtt_packet *out);

/* client_in.c: handles the next whole packet in `in`: GNT_OK and *out is an event; GNT_MORE: none,
 * and nothing more to do now. */
gnt_err gnt_client_next_packet(struct gnt_client *c, struct gnt_client_event *out);
GNT_MUST gnt_err gnt_client_write_ack(struct gnt_client *c, enum gnt_mqtt_type type, uint16_t id,
                                      uint8_t code);
void gnt_client_aliases_fini(struct gnt_slice **aliases, size_t count);

/* The CONNECT's authentication method [MQTT5 4.12]; its data is NULL if there is none. */
struct gnt_slice gnt_client_method(const struct gnt_client *c);

/* Whether a packet of that connection names the same. */
bool gnt_client_method_is(const struct gnt_client *c, const struct gnt_mqtt_props *props);

/* client_request.c: requests from call to DONE. */
void gnt_client_request_free(struct gnt_client_request *r);
void gnt_client_request_done(struct gnt_client *c, struct gnt_client_request *r, gnt_err err,
                             uint8_t code);
void gnt_client_request_forget_id(struct gnt_client *c, struct gnt_client_request *r);
void gnt_client_request_event(struct gnt_client *c, struct gnt_client_request *r,
                              struct gnt_client_event *out);
GNT_MUST gnt_err gnt_client_remember(struct gnt_client *c, const struct gnt_mqtt_subscription *s,
                                     uint32_t subscription_id);
void gnt_client_forget(struct gnt_client *c, struct gnt_slice filter);

/* Reads a PUBLISH's property section with its length as the server will: GNT_INVALID for what a
 * client's message cannot have.  *extras: without the length. */
GNT_MUST gnt_err gnt_client_read_extras(struct gnt_reader *r, struct gnt_slice *extras);

/* All kept subscriptions as requests in front of what is pending. */
GNT_MUST gnt_err gnt_client_resubscribe(struct gnt_client *c);

bool gnt_client_filter_valid(struct gnt_slice filter, bool no_local);

/* Queues a publish: M's reference is taken, *out lies in `pending`.  M NULL: one that is RELEASED.
 * GNT_FULL: at the bound. */
GNT_MUST gnt_err gnt_client_queue(struct gnt_client *c, struct gnt_message **m,
                                  struct gnt_client_request **out);

/* client_send.c: from the lists to the output, as far as flow control allows. */
void gnt_client_not_asked(struct gnt_client *c, struct gnt_client_request *r);
void gnt_client_pump(struct gnt_client *c, uint64_t now);
void gnt_client_retry(struct gnt_client *c, uint64_t now);
uint64_t gnt_client_retry_deadline(const struct gnt_client *c);

#endif
