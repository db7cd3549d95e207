/* An MQTT client without I/O, for microcontrollers and for transports of one's own: no thread, no
 * socket, no clock.  Bytes and `now` go in; bytes, events and the next deadline come out.
 * (gnatter/mqtt.h is the client that has all of those and is easier to use.)
 *
 *     gnatter_engine *e;
 *     gnatter_engine_new(&options, &e);
 *     open your transport;  gnatter_engine_connect(e, now);
 *     for (;;) {
 *         if (bytes have come)
 *             gnatter_engine_receive(e, bytes, size, now);
 *         while (gnatter_engine_next_event(e, now, &event))
 *             act on it; on CLOSED: write what is left if you can, close the transport,
 *             perhaps open it again and connect again
 *         out = gnatter_engine_output(e);  n = write(out);  gnatter_engine_sent(e, n, now);
 *         wait for bytes, for room to write, or until gnatter_engine_deadline(e)
 *     }
 *
 * It does by itself: QoS 1 and 2 and their retransmission, keep alive, flow control, topic aliases,
 * the queue of what waits for a connection, subscribing again when the server has lost the session.
 *
 * Ownership  gnatter_engine_new() to gnatter_engine_free().  What goes in is copied; what an event
 *            shows is lent until the next gnatter_engine_next_event or gnatter_engine_connect.
 * Threads    one at a time; other calls may be made between two of gnatter_engine_next_event.
 * Units      now and deadlines: nanoseconds of any clock that does not jump back, not 0; bytes.
 * Memory     malloc, and only for what it keeps; bounded by the options.
 * Errors     0 or a negative GNATTER_E*; a call that fails has changed nothing. */
#ifndef GNATTER_MQTT_ENGINE_H
#define GNATTER_MQTT_ENGINE_H

#include <gnatter/mqtt_types.h>

GNATTER_BEGIN

typedef struct gnatter_engine gnatter_engine;

/* A deadline that does not come. */
#define GNATTER_NEVER UINT64_MAX

/* GNATTER_EINVALID: what MQTT cannot say in that version: text that is not UTF-8, a property that
 * does not belong there, a will's topic with a wildcard, no client id in 3.1 (or in 3.1.1 without
 * clean_start), ... */
GNATTER_API int gnatter_engine_new(const struct gnatter_mqtt_options *options,
                                   gnatter_engine **out);

/* NULL is fine.  Requests that are outstanding are dropped without an event. */
GNATTER_API void gnatter_engine_free(gnatter_engine *e);

enum gnatter_engine_event_type {
    GNATTER_EVENT_CONNECTED, /* session_present, properties: the CONNACK's */
    GNATTER_EVENT_CLOSED,    /* error, reason, properties */
    GNATTER_EVENT_MESSAGE,   /* message */
    GNATTER_EVENT_DONE,      /* result, user: one for each request */
    GNATTER_EVENT_AUTH       /* reason, properties: 0x18 asks for a gnatter_engine_auth, 0 says that
                                authenticating again has succeeded */
};

/* CLOSED's error:
 *   0                  gnatter_engine_disconnect was called
 *   GNATTER_EREFUSED   by the CONNACK: reason says why
 *   GNATTER_ECLOSED    the server said DISCONNECT (reason)
 *   GNATTER_ETIMEOUT   no CONNACK or no PINGRESP in time
 *   GNATTER_EMALFORMED, GNATTER_EPROTOCOL, GNATTER_ETOOBIG   the server broke the protocol
 *   GNATTER_ENOMEM     out of memory; no request is lost by it
 *   or what was handed to gnatter_engine_lost */
struct gnatter_engine_event {
    uint8_t type; /* enum gnatter_engine_event_type */
    int error;
    uint8_t reason;
    bool session_present;
    struct gnatter_properties properties;
    struct gnatter_received message;
    struct gnatter_result result;
    void *user;
};

/* Begins a connection on a transport that has just been opened.  GNATTER_ESTATE: there is one
 * already, or its CLOSED has not been fetched. */
GNATTER_API int gnatter_engine_connect(gnatter_engine *e, uint64_t now);

/* The same, with authentication data in its CONNECT: what is new for each connection, as the method
 * among the options' properties says.  GNATTER_EINVALID: they name none. */
GNATTER_API int gnatter_engine_connect_with(gnatter_engine *e, struct gnatter_bytes auth_data,
                                            uint64_t now);

/* Takes all of the bytes.  GNATTER_ESTATE: no connection.  GNATTER_EFULL: fetch the events and
 * write the output first (gnatter_engine_hungry says when it would take some). */
GNATTER_API int gnatter_engine_receive(gnatter_engine *e, const void *bytes, size_t size,
                                       uint64_t now);
GNATTER_API bool gnatter_engine_hungry(const gnatter_engine *e);

/* The next event; false: none now. */
GNATTER_API bool gnatter_engine_next_event(gnatter_engine *e, uint64_t now,
                                           struct gnatter_engine_event *out);

/* What is to be written, lent until the next call; _sent takes N bytes off its front. */
GNATTER_API struct gnatter_bytes gnatter_engine_output(const gnatter_engine *e);
GNATTER_API void gnatter_engine_sent(gnatter_engine *e, size_t n, uint64_t now);

/* When gnatter_engine_next_event must be called at the latest; 0: now. */
GNATTER_API uint64_t gnatter_engine_deadline(const gnatter_engine *e);

/* The transport broke: the next event is CLOSED with ERROR.  Nothing without a connection. */
GNATTER_API void gnatter_engine_lost(gnatter_engine *e, int error);

/* Says DISCONNECT with REASON (0; 4 has the will published, in 3.x by leaving without a word): the
 * next event is CLOSED.  PROPERTIES (session expiry, reason string, ...) may be NULL. */
GNATTER_API int gnatter_engine_disconnect(gnatter_engine *e, uint8_t reason,
                                          const struct gnatter_property_list *properties);

/* Requests may be made at any time; without a connection they wait for one.  Each ends in one DONE
 * that shows *token (TOKEN may be NULL) and USER.  PROPERTIES may be NULL.
 * Of several about the same filter each is sent when those before it are answered, and what was
 * asked for after it is sent behind it: the last one asked for has the last word.
 * GNATTER_EINVALID: a topic, filter, QoS or property that cannot be.  GNATTER_EFULL: the queue. */
GNATTER_API int gnatter_engine_publish(gnatter_engine *e, const struct gnatter_message *message,
                                       void *user, uint64_t now, uint64_t *token);
GNATTER_API int gnatter_engine_subscribe(gnatter_engine *e, const struct gnatter_subscription *list,
                                         size_t count,
                                         const struct gnatter_property_list *properties, void *user,
                                         uint64_t *token);
GNATTER_API int gnatter_engine_unsubscribe(gnatter_engine *e, const char *const *filters,
                                           size_t count,
                                           const struct gnatter_property_list *properties,
                                           void *user, uint64_t *token);

/* With manual_ack: acknowledges a message by its `ack`, once, in any order; a REASON of 0x80 or
 * more refuses it (MQTT 5).  GNATTER_ESTATE: its connection is gone, it will come again.
 * GNATTER_ENOTFOUND: it has been acknowledged. */
GNATTER_API int gnatter_engine_ack(gnatter_engine *e, uint64_t ack, uint8_t reason);

/* Enhanced authentication [MQTT5 4.12]: REASON 0x18 goes on, 0x19 begins anew.  GNATTER_EINVALID:
 * the options named no authentication method, or PROPERTIES do not name the same.  GNATTER_ESTATE:
 * 0x19 before the CONNACK or within an exchange, 0x18 outside of one. */
GNATTER_API int gnatter_engine_auth(gnatter_engine *e, uint8_t reason,
                                    const struct gnatter_property_list *properties);

/* Without a connection: every outstanding request is DONE with GNATTER_ECLOSED. */
GNATTER_API int gnatter_engine_cancel(gnatter_engine *e);

struct gnatter_engine_status {
    bool connected;                       /* CONNACK has come */
    bool session_present;                 /* as it said */
    struct gnatter_bytes client_id;       /* the assigned one, if any; lent until the next event */
    uint16_t keep_alive_s;                /* the server's word, if any */
    size_t outstanding;                   /* requests that are not settled */
    size_t queued_messages, queued_bytes; /* publishes of those */
    uint64_t dropped, refused;            /* publishes at the queue's bound, ever */
};
GNATTER_API void gnatter_engine_get_status(const gnatter_engine *e,
                                           struct gnatter_engine_status *out);

/* The session as bytes, for a later life: publishes of QoS 1 and 2 that are not settled, what QoS 2
 * has received, the next packet id, subscriptions, the client id.  *size is what it takes;
 * GNATTER_ETOOBIG if CAP is less (TO may be NULL with CAP 0). */
GNATTER_API int gnatter_engine_save(const gnatter_engine *e, uint64_t now, void *to, size_t cap,
                                    size_t *size);

/* Into an engine that has just been made.  The next connection resumes the session; in 3.x set
 * clean_start to false for that.  The bytes are checked: GNATTER_EMALFORMED if they are damaged,
 * GNATTER_EUNSUPPORTED if they are of a newer version, GNATTER_EINVALID if of another client id,
 * GNATTER_ESTATE if the engine is not new. */
GNATTER_API int gnatter_engine_restore(gnatter_engine *e, const void *bytes, size_t size,
                                       uint64_t now);

GNATTER_END

#endif
