/* One run of gnatter bench: thousands of clients in one thread, on one loop, put a load on a broker
 * and measure what becomes of it.
 *
 * Every payload begins with the time at which it was sent or, with a rate, was due; the number of
 * its publisher; and its number among that publisher's.  With a rate the load is an open loop:
 * message k is due at start + k / rate, whatever the broker does, and its latency counts from then.
 */
#ifndef GNT_CLI_BENCH_LOAD_H
#define GNT_CLI_BENCH_LOAD_H

#include "base/slice.h"
#include "cli/bench_stats.h"
#include "conf/url.h"
#include "net/tls_context.h"

#include <netdb.h>
#include <sys/types.h>
#include <sys/un.h>

/*    NAME       word      pubs  subs  what it is */
#define GNT_BENCH_SHAPES(X)                                                                    \
    X(PAIRS, "pairs", 100, 100, "each publisher has a topic and a subscriber of its own")      \
    X(FAN_IN, "fan-in", 50, 1, "publishers on topics of their own, every subscriber gets all") \
    X(FAN_OUT, "fan-out", 1, 500, "publishers on one topic, every subscriber gets all")        \
    X(SHARED, "shared", 50, 50, "subscribers in --groups shared groups, each group gets all")  \
    X(WILD, "wild", 50, 1000, "each message matches the wildcard filter of one subscriber")    \
    X(IDLE, "idle", 0, 1000, "subscribers alone, and silence: what a connection costs")

enum gnt_bench_shape {
#define GNT_BENCH_SHAPE(name, word, pubs, subs, help) GNT_BENCH_##name,
    GNT_BENCH_SHAPES(GNT_BENCH_SHAPE)
#undef GNT_BENCH_SHAPE
};

struct gnt_bench_plan {
    enum gnt_bench_shape shape;
    uint32_t publishers, subscribers, groups;
    uint32_t size; /* of a payload, at least GNT_BENCH_SIZE_MIN */
    uint8_t qos, version;
    uint16_t window; /* unacknowledged publications of one publisher */
    uint64_t credit; /* deliveries outstanding at which publishers wait; 0: they do not */
    uint64_t rate;   /* messages a second of all publishers; 0: as fast as it goes */
    uint64_t ramp;   /* connections a second; 0: as fast as it goes */
    uint64_t warm_ns, duration_ns, drain_ns;
    const char *username, *password; /* NULL: none; borrowed */
    const char *method;              /* of SCRAM: both are proved, and not sent; NULL: none */
};

enum { GNT_BENCH_SIZE_MIN = 16, GNT_BENCH_AMQP_MAX = 512 * 1024 };

struct gnt_bench_target {
    char name[64];
    char url[512];
    pid_t pid;                      /* 0: not known */
    struct addrinfo *list;          /* what its host was resolved to; NULL: it is */
    struct sockaddr_un file;        /* a Unix socket */
    const struct sockaddr *address; /* one of these */
    socklen_t address_size;
    struct gnt_tls_context *tls; /* borrowed; NULL: none */
    char server[256];            /* whom its certificate has to be for */
    bool amqp;                   /* spoken there instead of MQTT */
    bool websocket;
    char host[GNT_URL_HOST_MAX]; /* of a WebSocket, */
    char path[300];              /* and where on it */
};

/* CPU and memory of the broker and of this process; 0 where it cannot be known. */
struct gnt_bench_cost {
    double broker_cpu_s, self_cpu_s;
    uint64_t broker_rss_bytes;
};

struct gnt_bench_result {
    char failure[600]; /* "": it ran; else why not, for people */
    uint32_t connected, closed;
    double connect_s;            /* until all were connected and subscribed */
    uint64_t sent, refused;      /* refused: due, but the publisher's queue was full */
    uint64_t expected, received; /* deliveries */
    uint64_t lost, duplicated, disordered, malformed;
    double measured_s; /* the window that the following are about */
    uint64_t measured_sent, measured_received;
    struct gnt_histogram latency_ns;          /* of what was sent or due in the window, and came */
    struct gnt_bench_cost before, start, end; /* without connections; around the window */
};

struct gnt_bench_progress {
    const char *phase;
    double elapsed_s;
    uint32_t connected, clients;
    uint64_t sent, received;                /* in the last second */
    const struct gnt_histogram *latency_ns; /* of the last second */
    uint64_t missing;                       /* deliveries that have not come yet */
};

/* Runs PLAN against TARGET; PROGRESS (may be NULL) is called about once a second.  *interrupted is
 * set by SIGINT or SIGTERM, which end the run early: the result is then of a shorter window.
 * SIGNALS is a signalfd.  What goes wrong is in result->failure. */
void gnt_bench_run(const struct gnt_bench_plan *plan, const struct gnt_bench_target *target,
                   int signals, void (*progress)(void *context, const struct gnt_bench_progress *),
                   void *context, struct gnt_bench_result *result, bool *interrupted);

const char *gnt_bench_shape_name(enum gnt_bench_shape shape);

#endif
