/* What the broker counts.  Each worker counts for itself, without locked instructions; whoever
 * wants a total adds the workers up.  The rows make the enum, the $SYS topics and the help. */
#ifndef GNT_BASE_COUNTERS_H
#define GNT_BASE_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

/*    name                   topic below $SYS/broker/          what it counts */
#define GNT_COUNTERS(X)                                                                           \
    X(BYTES_RECEIVED, "bytes/received", "bytes read from clients")                                \
    X(BYTES_SENT, "bytes/sent", "bytes written to clients")                                       \
    X(PACKETS_RECEIVED, "messages/received", "MQTT packets of any type received")                 \
    X(PACKETS_SENT, "messages/sent", "MQTT packets of any type sent")                             \
    X(PUBLISH_RECEIVED, "publish/messages/received", "PUBLISH packets received")                  \
    X(PUBLISH_SENT, "publish/messages/sent", "PUBLISH packets sent")                              \
    X(PUBLISH_BYTES_RECEIVED, "publish/bytes/received", "payload bytes received")                 \
    X(PUBLISH_BYTES_SENT, "publish/bytes/sent", "payload bytes sent")                             \
    X(AMQP_RECEIVED, "amqp/messages/received", "messages received over AMQP")                     \
    X(AMQP_SENT, "amqp/messages/sent", "messages sent over AMQP")                                 \
    X(AMQP_REJECTED, "amqp/messages/rejected", "messages over AMQP that were rejected")           \
    X(AMQP_RESUMED, "amqp/links/resumed", "AMQP links of those that were attached again")         \
    X(AMQP_SUSPENDED_EXPIRED, "amqp/links/expired", "AMQP links of those whose time has passed")  \
    X(DUE, "ledger/received",                                                                     \
      "deliveries that sessions, shared groups and queues were given to make")                    \
    X(DELIVERED, "ledger/delivered", "deliveries sent at QoS 0, or acknowledged by their client") \
    X(EXPIRED, "ledger/expired", "deliveries that expired in a queue")                            \
    X(DEAD_LETTERED, "ledger/dead_lettered", "messages moved to a dead-letter queue")             \
    X(DROPPED_QUEUE_FULL, "ledger/dropped/queue_full", "deliveries dropped: queue full")          \
    X(DROPPED_BROKER_FULL, "ledger/dropped/broker_full",                                          \
      "deliveries dropped: as many are queued in all as may be")                                  \
    X(DROPPED_TOO_LARGE, "ledger/dropped/too_large",                                              \
      "deliveries dropped: over the client's maximum packet size")                                \
    X(DROPPED_NO_MEMORY, "ledger/dropped/no_memory", "deliveries dropped: out of memory")         \
    X(DROPPED_SESSION_END, "ledger/dropped/session_end",                                          \
      "queued deliveries dropped with their session")                                             \
    X(DROPPED_AWAY, "ledger/dropped/away", "QoS 0 deliveries to clients that were not connected") \
    X(DROPPED_REFUSED, "ledger/dropped/refused", "deliveries that their client refused")          \
    X(DROPPED_DAMAGED, "ledger/dropped/damaged", "deliveries that the store could not give back") \
    X(DROPPED_DENIED, "ledger/dropped/denied",                                                    \
      "deliveries that the access list does not permit any more, or to no member of a group")     \
    X(DROPPED_DELETED, "ledger/dropped/deleted", "messages purged, or deleted with their queue")  \
    X(CONNECTIONS_ACCEPTED, "connections/accepted", "connections accepted")                       \
    X(CONNECTS, "connections/welcomed", "clients that were let in")                               \
    X(CONNECTIONS_REFUSED, "connections/refused",                                                 \
      "connections closed before CONNACK with success")                                           \
    X(TLS_FAILURES, "connections/tls_failures",                                                   \
      "connections closed because their TLS handshake failed, or took too long")                  \
    X(LOGINS_FAILED, "connections/logins_failed", "logins refused for what they proved")          \
    X(BLOCKED, "connections/blocked",                                                             \
      "connections closed because passwords were guessed from their address")                     \
    X(PROTOCOL_ERRORS, "connections/protocol_errors", "connections closed for bad input")         \
    X(KEEP_ALIVE_TIMEOUTS, "connections/keep_alive_timeouts", "connections closed for silence")   \
    X(WRITE_TIMEOUTS, "connections/write_timeouts",                                               \
      "connections closed because their client took nothing of what was sent")                    \
    X(RETAIN_REFUSED, "publish/refused/retained",                                                 \
      "publications refused: as many messages are retained as may be")                            \
    X(PUBLISH_DENIED, "publish/refused/access", "publications refused by the access list")        \
    X(FILTERS_REFUSED, "subscriptions/refused/reach",                                             \
      "subscriptions refused: one topic name would lead to too many levels of filters")           \
    X(SUBSCRIPTIONS_DENIED, "subscriptions/refused/access",                                       \
      "subscriptions refused by the access list")                                                 \
    X(KEEP_FAILURES, "store/unwritten",                                                           \
      "records not written for want of memory: after a restart they are as they were before")     \
    X(TAKE_OVERS, "connections/take_overs", "connections closed because their client came again") \
    X(SESSIONS_EXPIRED, "clients/expired", "sessions that expired")                               \
    X(LOCKS_EXPIRED, "queues/locks_expired",                                                      \
      "messages whose receivers held them unsettled for too long")                                \
    X(QUEUE_REFUSED, "queues/refused", "messages refused because their queue was full")           \
    X(QUEUE_OVERDUE, "queues/overdue",                                                            \
      "tries to make dead letters of expired messages that came to nothing, and are repeated")

/*    gauges: they rise and fall */
#define GNT_GAUGES(X)                                                                          \
    X(CONNECTED, "clients/connected", "clients that are connected")                            \
    X(AMQP_SUSPENDED, "amqp/links/suspended", "AMQP links without a connection that live on")  \
    X(SESSIONS, "clients/total", "sessions, connected or not")                                 \
    X(SUBSCRIPTIONS, "subscriptions/count", "subscriptions, shared ones included")             \
    X(SHARED_SUBSCRIPTIONS, "shared_subscriptions/count", "shared subscriptions")              \
    X(RETAINED, "retained messages/count", "retained messages")                                \
    X(QUEUES, "queues/count", "queues, without those of dead letters")                         \
    X(CONSUMERS, "queues/consumers", "receivers of queues, without browsers")                  \
    X(QUEUED, "store/messages/count", "deliveries queued or in flight in sessions and queues") \
    X(QUEUED_BYTES, "store/messages/bytes", "payload bytes of those")

enum gnt_counter {
#define GNT_COUNTER_ENUM(name, topic, help) GNT_COUNT_##name,
    GNT_COUNTERS(GNT_COUNTER_ENUM) GNT_GAUGES(GNT_COUNTER_ENUM)
#undef GNT_COUNTER_ENUM
        GNT_COUNTER_COUNT
};

/* Its topic, below $SYS/broker/. */
const char *gnt_counter_topic(enum gnt_counter which);

/* The rows of the ledger stand together: what came in, and each way that it may have gone out.
 * core/ledger.h says how they add up. */
enum {
    GNT_LEDGER_FIRST = GNT_COUNT_DUE,
    GNT_LEDGER_DROPPED = GNT_COUNT_DROPPED_QUEUE_FULL,
    GNT_LEDGER_LAST = GNT_COUNT_DROPPED_DELETED,
    GNT_LEDGER_ROWS = GNT_LEDGER_LAST - GNT_LEDGER_FIRST + 1,
};

struct gnt_counters {
    _Atomic uint64_t value[GNT_COUNTER_COUNT];
};

/* Only by the worker that owns C; a gauge falls by adding a negative number. */
static inline void gnt_count(struct gnt_counters *c, enum gnt_counter which, int64_t n)
{
    uint64_t old = atomic_load_explicit(&c->value[which], memory_order_relaxed);
    atomic_store_explicit(&c->value[which], old + (uint64_t)n, memory_order_relaxed);
}

/* Any thread; a moment's value. */
static inline uint64_t gnt_counted(const struct gnt_counters *c, enum gnt_counter which)
{
    return atomic_load_explicit(&c->value[which], memory_order_relaxed);
}

#endif
