/* The rows of `limits`: how much of everything one client, one session and all of them together may
 * have.  They stand in the table of config_rows.c, for which this is. */
#ifndef GNT_CONF_LIMITS_H
#define GNT_CONF_LIMITS_H

#include "conf/option.h"

extern const struct gnt_option_word gnt_limits_unlimited[];

/* MQTT's largest remaining length [MQTT5 1.5.5]; a macro, as it stands in texts too. */
#define GNT_LIMITS_PACKET          268435455
#define GNT_LIMITS_AS_TEXT_(value) #value
#define GNT_LIMITS_AS_TEXT(value)  GNT_LIMITS_AS_TEXT_(value)

/* X(path below limits, kind, field of struct gnt_config_limits, what else the row says...) */
#define GNT_LIMITS_ROWS(X)                                                                         \
    X("connections", INTEGER, connections, .fallback = "100000", .min = 1, .max = 10000000,        \
      .unit = "connections",                                                                       \
      .help = "How many connections are served at a time; more are closed at once, or sent to "    \
              "moved.to.")                                                                         \
    X("packet", SIZE, packet_bytes, .fallback = GNT_LIMITS_AS_TEXT(GNT_LIMITS_PACKET),             \
      .min = 1024, .max = GNT_LIMITS_PACKET,                                                       \
      .help = "The largest packet that a client may send; MQTT 5 clients are told. The default "   \
              "is as large as MQTT allows.")                                                       \
    X("queued_per_session", INTEGER, queued_per_session, .fallback = "1000", .min = 1,             \
      .max = 1000000000, .unit = "messages",                                                       \
      .help = "How many messages wait for one session before queue_full applies.")                 \
    X("queued_bytes_per_session", SIZE, queued_bytes, .fallback = "64MiB",                         \
      .max = UINT64_C(1) << 40,                                                                    \
      .help = "How many bytes of messages wait for one session before queue_full applies; 0 is "   \
              "no limit.")                                                                         \
    X("queued", INTEGER, queued_in_all, .fallback = "0", .max = UINT64_C(1000000000000),           \
      .unit = "messages",                                                                          \
      .help = "How many messages wait in the whole broker, or are on their way to clients that "   \
              "have not acknowledged them, before queue_full applies to all queues; publishers "   \
              "of QoS 1 and 2 in MQTT 5 are told what is dropped then (quota exceeded). 0 is "     \
              "no limit.")                                                                         \
    X("queued_bytes", SIZE, queued_bytes_in_all, .fallback = "0", .max = UINT64_C(1) << 50,        \
      .help = "How many bytes of those messages there may be; 0 is no limit.")                     \
    X("receive_maximum", INTEGER, receive_maximum, .fallback = "65535", .min = 1, .max = 65535,    \
      .unit = "publications",                                                                      \
      .help = "How many QoS 1 and 2 publications one client may have unacknowledged on their "     \
              "way to the broker; MQTT 5 clients are told.")                                       \
    X("inflight_per_session", INTEGER, inflight_per_session, .fallback = "65535", .min = 1,        \
      .max = 65535, .unit = "publications",                                                        \
      .help = "How many QoS 1 and 2 publications the broker sends to one client ahead of their "   \
              "acknowledgements; a client's own receive maximum may be lower.")                    \
    X("topic_alias_maximum", INTEGER, topic_alias_maximum, .fallback = "10", .max = 65535,         \
      .unit = "aliases",                                                                           \
      .help = "How many topic aliases one MQTT 5 client may use towards the broker; 0 is none.")   \
    X("topic_alias_out", INTEGER, topic_alias_out, .fallback = "10", .max = 65535,                 \
      .unit = "aliases",                                                                           \
      .help = "How many topic aliases the broker uses towards one MQTT 5 client that allows "      \
              "them; 0 is none.")                                                                  \
    X("topic_levels", INTEGER, topic_levels, .fallback = "200", .min = 1, .max = 65536,            \
      .unit = "levels", .help = "How many levels a topic name or filter may have.")                \
    X("topic_bytes", SIZE, topic_bytes, .fallback = "65535", .min = 1, .max = 65535,               \
      .help = "How long a topic name or filter may be. The default is as long as MQTT allows.")    \
    X("properties", SIZE, properties_bytes, .fallback = "256KiB", .min = 1024,                     \
      .max = GNT_LIMITS_PACKET,                                                                    \
      .help = "How many bytes of properties an MQTT 5 packet or will may have. The default has "   \
              "room for the largest of all that may stand there once, and 64 KiB of user "         \
              "properties. A packet with more ends the connection.")                               \
    X("client_id_bytes", SIZE, client_id_bytes, .fallback = "65535", .min = 23, .max = 65535,      \
      .help = "How long a client identifier may be; longer ones are refused. The default is as "   \
              "long as MQTT allows.")                                                              \
    X("sessions", INTEGER, sessions, .fallback = "1000000", .min = 1, .max = 100000000,            \
      .unit = "sessions",                                                                          \
      .help = "How many sessions there may be, those of clients that are away included. A "        \
              "client that would need one more is refused.")                                       \
    X("retained", INTEGER, retained, .fallback = "10000000", .min = 1, .max = 1000000000,          \
      .unit = "messages",                                                                          \
      .help = "How many retained messages clients may leave. A publication that would be one "     \
              "more is refused, and goes nowhere; others may still be replaced or removed.")       \
    X("subscriptions_per_session", INTEGER, subscriptions, .fallback = "100000", .min = 1,         \
      .max = 10000000, .unit = "subscriptions",                                                    \
      .help = "How many subscriptions one session may have.")                                      \
    X("filter_reach", INTEGER, filter_reach, .fallback = "2000", .min = 0, .max = 1000000000,      \
      .unit = "levels",                                                                            \
      .help = "How many levels of filters, of all sessions together, one topic name may lead "     \
              "to. A subscription that would make it more is refused (quota exceeded); filters "   \
              "without +, and those of up to 8 levels, never are. 0 is no limit: then filters "    \
              "like a/+/a/+/b in all combinations make one publication as expensive as all of "    \
              "them.")                                                                             \
    X("output_per_connection", SIZE, output_bytes, .fallback = "1MiB", .min = 4096,                \
      .max = UINT64_C(1) << 30,                                                                    \
      .help = "How many bytes may wait to be sent on one connection before further messages "      \
              "for it wait in the queue of its session.")                                          \
    X("session_expiry", SECONDS, session_expiry_s, .fallback = "unlimited", .max = UINT32_MAX - 1, \
      .words = gnt_limits_unlimited,                                                               \
      .help = "The longest time that a session is kept after its connection has ended; a "         \
              "client that asks for more gets this much and, in MQTT 5, is told.")                 \
    X("keep_alive_max", SECONDS, keep_alive_max_s, .fallback = "0", .max = 65535,                  \
      .help = "The longest keep alive of an MQTT 5 client; one that asks for more, or for "        \
              "none, is told to use this. 0 takes whatever the client says.")                      \
    X("connect_timeout", DURATION, connect_timeout_ms, .fallback = "10s", .min = 100,              \
      .max = 600000,                                                                               \
      .help = "How long a new connection may take to send its CONNECT packet and to log in.")      \
    X("connect_rate", INTEGER, connect_rate, .fallback = "0", .max = 1000000,                      \
      .unit = "clients a second",                                                                  \
      .help = "How many clients may connect in a second; as many may come at once. Those above "   \
              "it are refused, before anything is looked up for them. 0 is no limit.")             \
    X("write_timeout", DURATION, write_timeout_ms, .fallback = "2m", .max = 86400000,              \
      .help = "How long a client may take nothing of what is to be sent to it before its "         \
              "connection is closed; its session keeps what it is due. 0 is for ever.")            \
    X("maximum_qos", INTEGER, maximum_qos, .fallback = "2", .max = 2,                              \
      .help = "The highest quality of service of a client's publications and will, and the "       \
              "highest that a subscription is granted; MQTT 5 clients are told. A publication "    \
              "or will above it ends the connection.")                                             \
    X("retain_available", BOOL, retain_available, .fallback = "true",                              \
      .help = "Whether clients may publish retained messages; MQTT 5 clients are told. Where "     \
              "they may not, a publication or will with the retain flag ends the connection.")     \
    X("wildcard_available", BOOL, wildcard_available, .fallback = "true",                          \
      .help = "Whether topic filters may have wildcards; MQTT 5 clients are told. Where they "     \
              "may not, such a filter is refused in SUBACK.")                                      \
    X("shared_available", BOOL, shared_available, .fallback = "true",                              \
      .help = "Whether there are shared subscriptions; MQTT 5 clients are told. Where there "      \
              "are none, such a filter is refused in SUBACK.")                                     \
    X("queues", INTEGER, queues, .fallback = "100000", .min = 1, .max = 10000000,                  \
      .unit = "queues",                                                                            \
      .help =                                                                                      \
          "How many queues there may be, without those of dead letters; one more is not made.")    \
    X("amqp_frame", SIZE, frame_bytes, .fallback = "64KiB", .min = 512, .max = 1 << 20,            \
      .help = "The largest frame that an AMQP peer may send; it is told. A message may take any "  \
              "number of frames, and limits.packet bytes.")                                        \
    X("amqp_sessions", INTEGER, amqp_sessions, .fallback = "256", .min = 1, .max = 65536,          \
      .unit = "sessions",                                                                          \
      .help = "How many sessions one AMQP connection may have; its peer is told.")                 \
    X("amqp_links", INTEGER, amqp_links, .fallback = "10000", .min = 1, .max = 1000000,            \
      .unit = "links",                                                                             \
      .help = "How many links the sessions of one AMQP connection may have together. One more "    \
              "is refused (amqp:resource-limit-exceeded).")                                        \
    X("amqp_unsettled", INTEGER, amqp_unsettled, .fallback = "65536", .min = 1, .max = 1000000,    \
      .unit = "deliveries",                                                                        \
      .help = "How many unsettled deliveries there may be on one AMQP connection, in each "        \
              "direction. While there are as many, a sender has no credit, and a receiver is "     \
              "sent no more.")                                                                     \
    X("amqp_suspended", INTEGER, amqp_suspended, .fallback = "1000", .max = 100000,                \
      .unit = "links",                                                                             \
      .help = "How many AMQP links with unsettled deliveries may outlive their connection, where " \
              "their source or target says so; half of them of one container. Others end.")        \
    X("amqp_suspended_time", DURATION, amqp_suspended_ms, .fallback = "5m", .max = 86400000,       \
      .help = "How long they may at most, whatever they say; they are told.")                      \
    X("amqp_idle", DURATION, amqp_idle_ms, .fallback = "1m", .max = 86400000,                      \
      .help = "How long an AMQP peer may be silent before its connection is closed; it is told, "  \
              "and sends an empty frame in time. 0 is for ever.")                                  \
    X("transactions", INTEGER, transactions, .fallback = "64", .min = 0, .max = 65536,             \
      .unit = "transactions",                                                                      \
      .help = "How many transactions one AMQP connection may have open. One more is not "          \
              "declared (amqp:resource-limit-exceeded).")                                          \
    X("transaction_parts", INTEGER, transaction_parts, .fallback = "10000", .min = 1,              \
      .max = 1000000, .unit = "messages",                                                          \
      .help = "How many messages and outcomes there may be in the open transactions of one AMQP "  \
              "connection, together. A message over it is refused; an outcome over it, of which "  \
              "nobody can be told, keeps its transaction from being committed.")                   \
    X("transaction_bytes", SIZE, transaction_bytes, .fallback = "64MiB", .min = 1024,              \
      .max = UINT64_C(1) << 40, .help = "The same in bytes of memory.")                            \
    X("transaction_timeout", DURATION, transaction_timeout_ms, .fallback = "2m", .max = 86400000,  \
      .help = "How long a transaction may be open before it is rolled back; whoever discharges "   \
              "it then is told (amqp:transaction:timeout). 0 is for ever.")                        \
    X("subscription_ids_available", BOOL, subscription_ids_available, .fallback = "true",          \
      .help = "Whether MQTT 5 clients may give their subscriptions identifiers; they are told. "   \
              "Where they may not, a SUBSCRIBE with one ends the connection.")

#endif
