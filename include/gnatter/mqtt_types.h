/* The words that gnatter/mqtt.h and gnatter/mqtt_engine.h share: messages, properties,
 * subscriptions, and what a client tells its server.  MQTT 3.1, 3.1.1 and 5.0; what only MQTT 5 has
 * is ignored in the older ones, unless it says otherwise.
 *
 * Ownership  what you hand in is copied before the call returns.  What you are handed is lent: as
 *            long as the function says that handed it to you.
 * Text       UTF-8.  Text that you hand in ends with a zero byte. */
#ifndef GNATTER_MQTT_TYPES_H
#define GNATTER_MQTT_TYPES_H

#include <gnatter/bytes.h>
#include <gnatter/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

GNATTER_BEGIN

enum gnatter_mqtt_version { GNATTER_MQTT_3_1 = 3, GNATTER_MQTT_3_1_1 = 4, GNATTER_MQTT_5 = 5 };

/* ---- Properties of MQTT 5 [MQTT5 2.2.2.2]: the numbers are the standard's */

enum gnatter_property_id {
    GNATTER_PAYLOAD_FORMAT = 0x01,            /* number: 1 if the payload is UTF-8 text */
    GNATTER_MESSAGE_EXPIRY = 0x02,            /* number: seconds */
    GNATTER_CONTENT_TYPE = 0x03,              /* text */
    GNATTER_RESPONSE_TOPIC = 0x08,            /* text */
    GNATTER_CORRELATION_DATA = 0x09,          /* bytes */
    GNATTER_SUBSCRIPTION_ID = 0x0b,           /* number, 1 to 268,435,455 */
    GNATTER_SESSION_EXPIRY = 0x11,            /* number: seconds, 0xffffffff for ever */
    GNATTER_ASSIGNED_CLIENT_ID = 0x12,        /* text */
    GNATTER_SERVER_KEEP_ALIVE = 0x13,         /* number: seconds */
    GNATTER_AUTH_METHOD = 0x15,               /* text */
    GNATTER_AUTH_DATA = 0x16,                 /* bytes */
    GNATTER_REQUEST_PROBLEM_INFO = 0x17,      /* number, 0 or 1 */
    GNATTER_WILL_DELAY = 0x18,                /* number: seconds; of a will */
    GNATTER_REQUEST_RESPONSE_INFO = 0x19,     /* number, 0 or 1 */
    GNATTER_RESPONSE_INFO = 0x1a,             /* text */
    GNATTER_SERVER_REFERENCE = 0x1c,          /* text */
    GNATTER_REASON_STRING = 0x1f,             /* text */
    GNATTER_RECEIVE_MAXIMUM = 0x21,           /* number */
    GNATTER_TOPIC_ALIAS_MAXIMUM = 0x22,       /* number */
    GNATTER_TOPIC_ALIAS = 0x23,               /* number */
    GNATTER_MAXIMUM_QOS = 0x24,               /* number */
    GNATTER_RETAIN_AVAILABLE = 0x25,          /* number, 0 or 1 */
    GNATTER_USER_PROPERTY = 0x26,             /* text and value; may be repeated, keeps its order */
    GNATTER_MAXIMUM_PACKET_SIZE = 0x27,       /* number: bytes */
    GNATTER_WILDCARD_AVAILABLE = 0x28,        /* number, 0 or 1 */
    GNATTER_SUBSCRIPTION_ID_AVAILABLE = 0x29, /* number, 0 or 1 */
    GNATTER_SHARED_AVAILABLE = 0x2a           /* number, 0 or 1 */
};

struct gnatter_property {
    uint8_t id;                 /* enum gnatter_property_id */
    uint32_t number;            /* of the kinds with a number */
    struct gnatter_bytes text;  /* text or bytes; of a user property its name */
    struct gnatter_bytes value; /* of a user property */
};

/* To be sent, in this order.  {NULL, 0} is none. */
struct gnatter_property_list {
    const struct gnatter_property *list;
    size_t count;
};

static inline struct gnatter_property gnatter_property_number(uint8_t id, uint32_t number)
{
    struct gnatter_property p = {0, 0, {NULL, 0}, {NULL, 0}};
    p.id = id;
    p.number = number;
    return p;
}

static inline struct gnatter_property gnatter_property_bytes(uint8_t id, const void *data,
                                                             size_t size)
{
    struct gnatter_property p = {0, 0, {NULL, 0}, {NULL, 0}};
    p.id = id;
    p.text.data = data;
    p.text.size = size;
    return p;
}

static inline struct gnatter_property gnatter_property_text(uint8_t id, const char *text)
{
    return gnatter_property_bytes(id, text, strlen(text));
}

static inline struct gnatter_property gnatter_property_user(const char *name, const char *value)
{
    struct gnatter_property p = gnatter_property_text(GNATTER_USER_PROPERTY, name);
    p.value.data = value;
    p.value.size = strlen(value);
    return p;
}

/* Properties that have come, as they came; lent like the packet that brought them.
 *
 *     struct gnatter_property p;
 *     while (gnatter_properties_next(&rest, &p)) ...     takes one after the other off REST
 *     if (gnatter_properties_find(all, GNATTER_RESPONSE_TOPIC, &p)) ...        the first of a kind
 */
struct gnatter_properties {
    const void *data;
    size_t size;
};

GNATTER_API bool gnatter_properties_next(struct gnatter_properties *rest,
                                         struct gnatter_property *out);
GNATTER_API bool gnatter_properties_find(struct gnatter_properties all, uint8_t id,
                                         struct gnatter_property *out);

/* "not authorized", ...: a short lower-case text for a reason code of MQTT 5, never NULL.  The
 * codes of MQTT 3.x are told as those of MQTT 5 by all functions here.  Any thread. */
GNATTER_API const char *gnatter_reason_text(uint8_t reason);

/* ---- Messages */

struct gnatter_message {
    const char *topic;
    const void *payload;
    size_t payload_size;
    uint8_t qos; /* 0 at most once, 1 at least once, 2 exactly once */
    bool retain;
    struct gnatter_property_list properties; /* no topic alias: see outbound_aliases */
};

struct gnatter_received {
    const char *topic; /* ends with a zero byte, whether it came in full or as an alias */
    size_t topic_size;
    const void *payload;
    size_t payload_size;
    uint8_t qos;
    bool retain; /* it was retained before we subscribed (or see retain_as_published) */
    bool dup;    /* the server has sent it before */
    uint16_t id; /* the packet identifier; 0 at QoS 0 */
    struct gnatter_properties properties;
    uint64_t ack; /* with manual_ack, QoS 1 and 2: what to acknowledge it by; else 0 */
};

struct gnatter_subscription {
    const char *filter;
    uint8_t qos;              /* the highest that is wanted */
    bool no_local;            /* not what this client publishes itself */
    bool retain_as_published; /* retain says what the publisher said */
    uint8_t retain_handling;  /* retained messages: 0 send, 1 send if new, 2 do not send */
};

/* ---- What a client tells its server, and how it behaves.  gnatter_mqtt_options_init gives the
 * values in brackets; change what you like. */
struct gnatter_mqtt_options {
    uint8_t version;               /* enum gnatter_mqtt_version [GNATTER_MQTT_5] */
    const char *client_id;         /* [NULL: the server gives one, and it is kept] */
    const char *username;          /* [NULL: none] */
    struct gnatter_bytes password; /* [data NULL: none] */
    uint16_t keep_alive_s;         /* 0: none [60] */

    /* [true]  In 3.x each connection begins a new session and ends it.  In MQTT 5 the first one
     * does; later ones go on with it if session_expiry_s lets it live so long. */
    bool clean_start;
    uint32_t session_expiry_s; /* after the connection's end; 0xffffffff: for ever [0] */

    const struct gnatter_message *will; /* [NULL]; GNATTER_WILL_DELAY is one of its properties */
    /* Further ones of CONNECT, not those that have a field here [none]. */
    struct gnatter_property_list properties;

    size_t packet_max;           /* bytes: a larger packet ends the connection [16 MiB] */
    uint16_t receive_maximum;    /* QoS 1 and 2 publishes that the server may have in flight, if it
                                    speaks MQTT 5 [65535] */
    uint16_t inbound_aliases;    /* topic aliases that the server may use [16] */
    uint16_t outbound_aliases;   /* that are made by themselves, as the server allows; each publish
                                    looks through them, so a few dozen at most [0: none] */
    uint16_t in_flight_max;      /* our QoS 1 and 2 publishes in flight [0: what the server allows;
                                    in 3.x, where it cannot say, 20] */
    uint32_t connect_timeout_ms; /* until CONNACK [30,000] */
    uint32_t ping_timeout_ms;    /* until PINGRESP [10,000]; 0: as long as the keep alive */

    /* Publishes that are kept until they are settled, with or without a connection, those in flight
     * included.  At a bound a publish is refused with GNATTER_EFULL, or with drop_oldest the oldest
     * that waits fails with it instead. */
    size_t queue_messages; /* [10,000] */
    size_t queue_bytes;    /* topics, payloads, properties [64 MiB] */
    bool drop_oldest;      /* [false] */

    /* MQTT 3.1 and 3.1.1: what is not acknowledged after so long is sent again on the same
     * connection, so many times, then fails with GNATTER_ETIMEOUT.  [0: only after reconnecting] */
    uint32_t retry_ms;
    uint16_t retry_attempts;

    bool manual_ack;     /* messages are acknowledged by a call [false: when they were shown] */
    bool drop_in_flight; /* the server has lost the session: what was in flight fails with
                            GNATTER_ECLOSED [false: it is sent again as new] */
    bool no_resubscribe; /* the same: its subscriptions are not made again [false: they are] */
};

GNATTER_API void gnatter_mqtt_options_init(struct gnatter_mqtt_options *options);

/* What a request was. */
enum gnatter_request { GNATTER_PUBLISH = 3, GNATTER_SUBSCRIBE = 8, GNATTER_UNSUBSCRIBE = 10 };

/* How a request ended.  error is
 *   0                     acknowledged; at QoS 0: handed to the transport
 *   GNATTER_EREFUSED      the server's answer has a code of 0x80 or more: reason, codes
 *   GNATTER_ETOOBIG       over the server's maximum packet size
 *   GNATTER_EUNSUPPORTED  the server has said that it does not do this (this QoS, retain, ...)
 *   GNATTER_ETIMEOUT      the message expired before it could be sent, or the retries are used up
 *   GNATTER_EFULL         it was the oldest when the queue was full
 *   GNATTER_ECLOSED       the client went before the answer came */
struct gnatter_result {
    uint64_t token;  /* 0: subscribing again by itself, or from a restored session */
    uint8_t request; /* enum gnatter_request */
    int error;
    uint8_t reason;       /* the answer's code; of several the highest */
    const uint8_t *codes; /* SUBACK's and (MQTT 5) UNSUBACK's, one for each filter: 0, 1, 2 is the
                             QoS that was granted */
    size_t code_count;
    struct gnatter_properties properties; /* of the answer: reason string, user properties */
};

GNATTER_END

#endif
