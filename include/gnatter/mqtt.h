/* An MQTT client (3.1, 3.1.1, 5.0) with a thread of its own that connects, keeps the connection,
 * and connects again.
 *
 *     struct gnatter_client_options options;
 *     gnatter_client *client;
 *     gnatter_client_options_init(&options);
 *     options.host = "localhost";
 *     gnatter_client_new(&options, &client);
 *     struct gnatter_message hello = {.topic = "greetings", .payload = "hello",
 *                                     .payload_size = 5, .qos = 1};
 *     gnatter_client_publish_wait(client, &hello, 5000, NULL);
 *     gnatter_client_free(client);
 *
 * A client connects when it is first asked for something (or by gnatter_client_connect or _start).
 * From then on it keeps connected: when the connection breaks it connects again, after a while that
 * doubles with each failure.  Meanwhile requests wait in a bounded queue.  After
 * gnatter_client_disconnect, _stop, or a refusal that will not go away by itself (not authorised,
 * taken over by another client of the same id, a certificate that is expired or another host's,
 * ...) it stays disconnected until it is told to connect again.  A server that sends its clients
 * elsewhere is not obeyed: that it did, and where to, is told (reasons 0x9c and 0x9d,
 * GNATTER_SERVER_REFERENCE), and following is the program's decision.
 *
 * Ownership  gnatter_client_new() to gnatter_client_free().  What you pass in is copied before the
 *            call returns; what a callback gets is lent until it returns.
 * Threads    any function from any thread, but not free from a callback.  Callbacks run one at a
 *            time on the client's own thread.  The functions that wait return GNATTER_ESTATE when
 *            called from a callback, as they would wait for themselves.
 * Many       clients of one process share nothing.
 * Units      milliseconds (_ms), seconds (_s), bytes.
 * Errors     0 or a negative GNATTER_E*; a call that fails has changed nothing. */
#ifndef GNATTER_MQTT_H
#define GNATTER_MQTT_H

#include <gnatter/mqtt_types.h>
#include <gnatter/tls.h>
#include <gnatter/transport.h>

GNATTER_BEGIN

typedef struct gnatter_client gnatter_client;

/* ---- Callbacks */

struct gnatter_connected {
    bool session_present;                 /* the server had a session of this client */
    struct gnatter_properties properties; /* of its CONNACK */
};

/* error is
 *   0                  gnatter_client_disconnect, _stop or _free
 *   GNATTER_EREFUSED   by the server's CONNACK (reason), or nobody listens there (reason 0), or a
 *                      server over WebSocket wants to hear nothing of it (reason 0), or it has said
 *                      no in the handshake of TLS (reason 0), or a Unix socket is not open to this
 *                      user (reason 0)
 *   GNATTER_ENOTFOUND  there is no Unix socket of that path
 *   GNATTER_ECLOSED    the server ended it, with a DISCONNECT (reason) or without
 *   GNATTER_ERESOLVE   host name not found
 *   GNATTER_ETIMEOUT   no connection, no CONNACK or no PINGRESP in time
 *   GNATTER_EDENIED    the server could not prove that it knows the user (see auth_method), after
 *                      which the client does not connect again by itself; or its certificate is
 *                      not good enough
 *   GNATTER_EINVALID   the files that TLS takes cannot be read, or do not go together
 *   GNATTER_EIO        the transport broke
 *   GNATTER_EMALFORMED, GNATTER_EPROTOCOL, GNATTER_ETOOBIG   the server broke the protocol
 *   GNATTER_ENOMEM     out of memory; no request is lost by it */
struct gnatter_disconnected {
    int error;
    uint8_t reason;
    bool was_connected;  /* else an attempt has failed */
    bool tls;            /* TLS has failed, and not what is below or above it */
    bool will_reconnect; /* and when: */
    uint32_t retry_in_ms;
    /* Of the server's CONNACK or DISCONNECT.  Of TLS or a WebSocket that could not be opened the
     * reason, as a GNATTER_REASON_STRING: "the server's certificate: expired", "the server wants a
     * client certificate", "pki/ca.pem: No such file or directory". */
    struct gnatter_properties properties;
};

typedef void gnatter_on_connected(gnatter_client *c, const struct gnatter_connected *connected,
                                  void *context);
typedef void gnatter_on_disconnected(gnatter_client *c,
                                     const struct gnatter_disconnected *disconnected,
                                     void *context);
typedef void gnatter_on_message(gnatter_client *c, const struct gnatter_received *message,
                                void *context);

/* Each request ends in exactly one call; see struct gnatter_result. */
typedef void gnatter_on_done(gnatter_client *c, const struct gnatter_result *result, void *context);

/* The server asks for more (0x18): answer with gnatter_client_auth.  Or it is content (0), when the
 * client has authenticated again.  With auth_method the client answers by itself. */
typedef void gnatter_on_auth(gnatter_client *c, uint8_t reason,
                             struct gnatter_properties properties, void *context);

/* ---- Options: the values in brackets are gnatter_client_options_init's */

struct gnatter_client_options {
    size_t size;      /* of this struct, set by gnatter_client_options_init: leave it */
    const char *host; /* name or address ["localhost"] */
    uint16_t port;    /* [1883] */

    /* Both in one, and how: "mqtt://HOST:PORT", or "ws://HOST:PORT/PATH" for MQTT over WebSocket,
     * whose path is /mqtt and whose port is 80 unless they are named; "mqtts://" (port 8883) and
     * "wss://" (443) for the same by TLS; or "unix:///PATH", the Unix socket of that path: a
     * transport's `open` gets it as its host.  [NULL: host and port] */
    const char *url;

    struct gnatter_mqtt_options mqtt;
    struct gnatter_transport transport; /* of your own [TCP: all NULL] */
    struct gnatter_tls_options tls;     /* [off, unless the URL says so] */

    /* How mqtt.username and mqtt.password are used.  [NULL: they are sent]  "SCRAM-SHA-256" or
     * "SCRAM-SHA-512" (MQTT 5 only): neither is sent, but client and server prove to each other
     * that they know them [RFC 5802, RFC 7677].  Takes as long as the server asks, some tens of
     * milliseconds on a PC. */
    const char *auth_method;

    bool no_reconnect;         /* [false] */
    bool reconnect_on_refusal; /* also after refusals that will not go away by themselves, of TLS,
                                * too [false] */
    uint32_t reconnect_min_ms; /* the first wait; it doubles [1,000] */
    uint32_t
        reconnect_max_ms; /* up to this; a wait is shortened at random by up to half [60,000] */

    gnatter_on_connected *on_connected; /* these may all be NULL */
    gnatter_on_disconnected *on_disconnected;
    gnatter_on_message *on_message;
    gnatter_on_done *on_done; /* of requests that have no callback of their own */
    gnatter_on_auth *on_auth;
    gnatter_on_trace *on_trace;
    void *context; /* handed to these six */
};

#define gnatter_client_options_init(options) \
    gnatter_client_options_init_size((options), sizeof *(options))
GNATTER_API void gnatter_client_options_init_size(struct gnatter_client_options *options,
                                                  size_t size);

/* GNATTER_EINVALID: an option that cannot be (what is wrong with files of TLS is told when they are
 * read, by on_disconnected); see gnatter_engine_new for those of MQTT.
 * GNATTER_EUNSUPPORTED: another auth_method.  In 3.1 and
 * 3.1.1 a client without an id gets one at random. */
GNATTER_API int gnatter_client_new(const struct gnatter_client_options *options,
                                   gnatter_client **out);

/* Disconnects at once if need be (see gnatter_client_disconnect for the patient way), ends what is
 * outstanding with GNATTER_ECLOSED (callbacks are called), and waits for the thread.  Nobody may be
 * in a function of this client.  NULL is fine. */
GNATTER_API void gnatter_client_free(gnatter_client *c);

/* ---- Connection */

/* Connects, and waits at most TIMEOUT_MS for it: one attempt.  If that fails (the errors are
 * on_disconnected's) the client stays disconnected.  0 at once if it is connected. */
GNATTER_API int gnatter_client_connect(gnatter_client *c, uint32_t timeout_ms);

/* Connects without waiting, and tries again for as long as it takes. */
GNATTER_API int gnatter_client_start(gnatter_client *c);

struct gnatter_disconnect {
    uint8_t reason; /* 0 normal; 4 the will is published; 0x80 and more: errors [MQTT5 3.14.2.1] */
    struct gnatter_property_list properties; /* session expiry, reason string, user properties */
};

/* Waits until every request is settled, then disconnects.  GNATTER_ETIMEOUT: some were not, within
 * TIMEOUT_MS; it is disconnected all the same and they stay in the queue.  HOW may be NULL. */
GNATTER_API int gnatter_client_disconnect(gnatter_client *c, const struct gnatter_disconnect *how,
                                          uint32_t timeout_ms);

/* Disconnects at once, without waiting for anything. */
GNATTER_API int gnatter_client_stop(gnatter_client *c, const struct gnatter_disconnect *how);

/* Waits until every request is settled.  GNATTER_ETIMEOUT: some are not. */
GNATTER_API int gnatter_client_flush(gnatter_client *c, uint32_t timeout_ms);

struct gnatter_client_info {
    bool connected;
    bool session_present;
    int error;      /* of the last connection or attempt: see struct gnatter_disconnected */
    uint8_t reason; /* likewise */
    char reason_string[256];              /* likewise, the server's words; cut if longer */
    char server_reference[256];           /* likewise, where it sent its clients; cut if longer */
    char client_id[256];                  /* with the id that the server assigned; cut if longer */
    uint16_t keep_alive_s;                /* in use */
    size_t outstanding;                   /* requests that are not settled */
    size_t queued_messages, queued_bytes; /* publishes of those */
    uint64_t dropped, refused;            /* publishes at the queue's bound, ever */
    uint64_t connections;                 /* that succeeded, ever */
};
GNATTER_API void gnatter_client_get_info(gnatter_client *c, struct gnatter_client_info *out);

/* ---- Requests.  They wait in the queue while there is no connection.
 *
 * DONE (may be NULL) is called with CONTEXT when the request is settled; TOKEN (may be NULL) gets
 * its number.  PROPERTIES may be NULL.
 * Of several about the same filter each is sent when those before it are answered, and what was
 * asked for after it is sent behind it: the last one asked for has the last word.
 * GNATTER_EINVALID: a topic, filter, QoS or property that cannot be.  GNATTER_EFULL: the queue. */
GNATTER_API int gnatter_client_publish(gnatter_client *c, const struct gnatter_message *message,
                                       gnatter_on_done *done, void *context, uint64_t *token);
GNATTER_API int gnatter_client_subscribe(gnatter_client *c, const struct gnatter_subscription *list,
                                         size_t count,
                                         const struct gnatter_property_list *properties,
                                         gnatter_on_done *done, void *context, uint64_t *token);
GNATTER_API int gnatter_client_unsubscribe(gnatter_client *c, const char *const *filters,
                                           size_t count,
                                           const struct gnatter_property_list *properties,
                                           gnatter_on_done *done, void *context, uint64_t *token);

/* The same, waiting for the answer; the result's error is what they return.  A refusal's reason
 * comes in *reason (may be NULL); CODES (may be NULL) gets COUNT codes, 0 to 2 the QoS granted,
 * 0x80 and more refused.  GNATTER_ETIMEOUT: no answer yet; the request stays and may succeed later.
 * While the client is disconnected for good they return at once what it was disconnected with. */
GNATTER_API int gnatter_client_publish_wait(gnatter_client *c,
                                            const struct gnatter_message *message,
                                            uint32_t timeout_ms, uint8_t *reason);
GNATTER_API int gnatter_client_subscribe_wait(gnatter_client *c,
                                              const struct gnatter_subscription *list, size_t count,
                                              const struct gnatter_property_list *properties,
                                              uint32_t timeout_ms, uint8_t *codes);
GNATTER_API int gnatter_client_unsubscribe_wait(gnatter_client *c, const char *const *filters,
                                                size_t count,
                                                const struct gnatter_property_list *properties,
                                                uint32_t timeout_ms, uint8_t *codes);

/* With manual_ack: see gnatter_engine_ack. */
GNATTER_API int gnatter_client_ack(gnatter_client *c, uint64_t ack, uint8_t reason);

/* Authenticates once more, while messages go on, by the options' auth_method; when the server is
 * content, on_auth is called with 0; else the connection ends.  GNATTER_ESTATE: not connected, or
 * it is just being done.  GNATTER_EINVALID: without auth_method. */
GNATTER_API int gnatter_client_reauthenticate(gnatter_client *c);

/* Enhanced authentication by a method of your own, which is one of the options' properties: see
 * gnatter_engine_auth.  GNATTER_EINVALID: with auth_method. */
GNATTER_API int gnatter_client_auth(gnatter_client *c, uint8_t reason,
                                    const struct gnatter_property_list *properties);

/* ---- The session as bytes: see gnatter_engine_save and gnatter_engine_restore.  Save when it is
 * disconnected and its callbacks are done with what they do; restore before anything else. */
GNATTER_API int gnatter_client_save(gnatter_client *c, void *to, size_t cap, size_t *size);
GNATTER_API int gnatter_client_restore(gnatter_client *c, const void *bytes, size_t size);

GNATTER_END

#endif
