/* MQTT reason codes [MQTT5 2.4] and what MQTT 3.x has for them, one row each. */
#ifndef GNT_MQTT_CODEC_REASON_H
#define GNT_MQTT_CODEC_REASON_H

#include "mqtt/codec/prop.h"

/* clang-format off */
/*    code  NAME                          allowed in                                                 3.x CONNACK  text */
#define GNT_MQTT_REASONS(X) \
    X(0x00, SUCCESS,                      GNT_IN_CONNACK | GNT_IN_ACKS | GNT_IN_DISCONNECT | GNT_IN_AUTH, 0, "success") \
    X(0x01, GRANTED_QOS_1,                GNT_IN_SUBACK,                                             0, "granted QoS 1") \
    X(0x02, GRANTED_QOS_2,                GNT_IN_SUBACK,                                             0, "granted QoS 2") \
    X(0x04, DISCONNECT_WITH_WILL,         GNT_IN_DISCONNECT,                                         0, "disconnect with will message") \
    X(0x10, NO_MATCHING_SUBSCRIBERS,      GNT_IN_PUBACK | GNT_IN_PUBREC,                             0, "no matching subscribers") \
    X(0x11, NO_SUBSCRIPTION_EXISTED,      GNT_IN_UNSUBACK,                                           0, "no subscription existed") \
    X(0x18, CONTINUE_AUTHENTICATION,      GNT_IN_AUTH,                                               0, "continue authentication") \
    X(0x19, RE_AUTHENTICATE,              GNT_IN_AUTH,                                               0, "re-authenticate") \
    X(0x80, UNSPECIFIED_ERROR,            GNT_IN_CONNACK | GNT_IN_PUBACK | GNT_IN_PUBREC | GNT_IN_SUBACK | GNT_IN_UNSUBACK | GNT_IN_DISCONNECT, 3, "unspecified error") \
    X(0x81, MALFORMED_PACKET,             GNT_IN_CONNACK | GNT_IN_DISCONNECT,                        3, "malformed packet") \
    X(0x82, PROTOCOL_ERROR,               GNT_IN_CONNACK | GNT_IN_DISCONNECT,                        3, "protocol error") \
    X(0x83, IMPLEMENTATION_SPECIFIC,      GNT_IN_CONNACK | GNT_IN_PUBACK | GNT_IN_PUBREC | GNT_IN_SUBACK | GNT_IN_UNSUBACK | GNT_IN_DISCONNECT, 3, "implementation specific error") \
    X(0x84, UNSUPPORTED_VERSION,          GNT_IN_CONNACK,                                            1, "unsupported protocol version") \
    X(0x85, CLIENT_ID_NOT_VALID,          GNT_IN_CONNACK,                                            2, "client identifier not valid") \
    X(0x86, BAD_USER_OR_PASSWORD,         GNT_IN_CONNACK,                                            4, "bad user name or password") \
    X(0x87, NOT_AUTHORIZED,               GNT_IN_CONNACK | GNT_IN_PUBACK | GNT_IN_PUBREC | GNT_IN_SUBACK | GNT_IN_UNSUBACK | GNT_IN_DISCONNECT, 5, "not authorized") \
    X(0x88, SERVER_UNAVAILABLE,           GNT_IN_CONNACK,                                            3, "server unavailable") \
    X(0x89, SERVER_BUSY,                  GNT_IN_CONNACK | GNT_IN_DISCONNECT,                        3, "server busy") \
    X(0x8a, BANNED,                       GNT_IN_CONNACK,                                            5, "banned") \
    X(0x8b, SERVER_SHUTTING_DOWN,         GNT_IN_DISCONNECT,                                         3, "server shutting down") \
    X(0x8c, BAD_AUTH_METHOD,              GNT_IN_CONNACK | GNT_IN_DISCONNECT,                        5, "bad authentication method") \
    X(0x8d, KEEP_ALIVE_TIMEOUT,           GNT_IN_DISCONNECT,                                         3, "keep alive timeout") \
    X(0x8e, SESSION_TAKEN_OVER,           GNT_IN_DISCONNECT,                                         3, "session taken over") \
    X(0x8f, TOPIC_FILTER_INVALID,         GNT_IN_SUBACK | GNT_IN_UNSUBACK | GNT_IN_DISCONNECT,       3, "topic filter invalid") \
    X(0x90, TOPIC_NAME_INVALID,           GNT_IN_CONNACK | GNT_IN_PUBACK | GNT_IN_PUBREC | GNT_IN_DISCONNECT, 3, "topic name invalid") \
    X(0x91, PACKET_ID_IN_USE,             GNT_IN_PUBACK | GNT_IN_PUBREC | GNT_IN_SUBACK | GNT_IN_UNSUBACK, 3, "packet identifier in use") \
    X(0x92, PACKET_ID_NOT_FOUND,          GNT_IN_PUBREL | GNT_IN_PUBCOMP,                            3, "packet identifier not found") \
    X(0x93, RECEIVE_MAXIMUM_EXCEEDED,     GNT_IN_DISCONNECT,                                         3, "receive maximum exceeded") \
    X(0x94, TOPIC_ALIAS_INVALID,          GNT_IN_DISCONNECT,                                         3, "topic alias invalid") \
    X(0x95, PACKET_TOO_LARGE,             GNT_IN_CONNACK | GNT_IN_DISCONNECT,                        3, "packet too large") \
    X(0x96, MESSAGE_RATE_TOO_HIGH,        GNT_IN_DISCONNECT,                                         3, "message rate too high") \
    X(0x97, QUOTA_EXCEEDED,               GNT_IN_CONNACK | GNT_IN_PUBACK | GNT_IN_PUBREC | GNT_IN_SUBACK | GNT_IN_DISCONNECT, 3, "quota exceeded") \
    X(0x98, ADMINISTRATIVE_ACTION,        GNT_IN_DISCONNECT,                                         3, "administrative action") \
    X(0x99, PAYLOAD_FORMAT_INVALID,       GNT_IN_CONNACK | GNT_IN_PUBACK | GNT_IN_PUBREC | GNT_IN_DISCONNECT, 3, "payload format invalid") \
    X(0x9a, RETAIN_NOT_SUPPORTED,         GNT_IN_CONNACK | GNT_IN_DISCONNECT,                        3, "retain not supported") \
    X(0x9b, QOS_NOT_SUPPORTED,            GNT_IN_CONNACK | GNT_IN_DISCONNECT,                        3, "QoS not supported") \
    X(0x9c, USE_ANOTHER_SERVER,           GNT_IN_CONNACK | GNT_IN_DISCONNECT,                        3, "use another server") \
    X(0x9d, SERVER_MOVED,                 GNT_IN_CONNACK | GNT_IN_DISCONNECT,                        3, "server moved") \
    X(0x9e, SHARED_NOT_SUPPORTED,         GNT_IN_SUBACK | GNT_IN_DISCONNECT,                         3, "shared subscriptions not supported") \
    X(0x9f, CONNECTION_RATE_EXCEEDED,     GNT_IN_CONNACK | GNT_IN_DISCONNECT,                        3, "connection rate exceeded") \
    X(0xa0, MAXIMUM_CONNECT_TIME,         GNT_IN_DISCONNECT,                                         3, "maximum connect time") \
    X(0xa1, SUBSCRIPTION_ID_NOT_SUPPORTED, GNT_IN_SUBACK | GNT_IN_DISCONNECT,                        3, "subscription identifiers not supported") \
    X(0xa2, WILDCARD_NOT_SUPPORTED,       GNT_IN_SUBACK | GNT_IN_DISCONNECT,                         3, "wildcard subscriptions not supported")
/* clang-format on */

enum gnt_mqtt_reason {
#define GNT_REASON_ENUM(code, name, in, v3, text) GNT_REASON_##name = (code),
    GNT_MQTT_REASONS(GNT_REASON_ENUM)
#undef GNT_REASON_ENUM
};

/* GNT_REASON_SUCCESS under its other names. */
enum { GNT_REASON_GRANTED_QOS_0 = 0x00, GNT_REASON_NORMAL_DISCONNECTION = 0x00 };

/* A lower-case text for people; "unknown reason" for a code that the standard does not have. */
const char *gnt_mqtt_reason_text(uint8_t code);

/* Whether the standard allows CODE in a packet of the kind WHERE, one of GNT_IN_*. */
bool gnt_mqtt_reason_allowed(uint8_t code, uint32_t where);

/* The return code 0..5 of a 3.x CONNACK for an MQTT 5 reason code; 3 (server unavailable) for a
 * code that the standard does not have. */
uint8_t gnt_mqtt_reason_to_v3_connack(uint8_t code);

#endif
