#include "broker/sys.h"

#include "base/assert.h"
#include "broker/data.h"
#include "broker/workers.h"
#include "core/publish.h"
#include "store/durable.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* What is computed from several counters, or from none. */
static uint64_t count_disconnected(const uint64_t *v)
{
    return v[GNT_COUNT_SESSIONS] - v[GNT_COUNT_CONNECTED];
}

static uint64_t count_connected(const uint64_t *v)
{
    return v[GNT_COUNT_CONNECTED];
}

static uint64_t count_stored(const uint64_t *v)
{
    return v[GNT_COUNT_QUEUED] + v[GNT_COUNT_RETAINED];
}

static uint64_t count_dropped(const uint64_t *v)
{
    uint64_t sum = 0;
    for (int row = GNT_LEDGER_DROPPED; row <= GNT_LEDGER_LAST; row++)
        sum += v[row];
    return sum;
}

static uint64_t count_queued(const uint64_t *v)
{
    return v[GNT_COUNT_QUEUED];
}

/*    topic below $SYS/broker/      value */
#define COMPUTED(X)                               \
    X("clients/disconnected", count_disconnected) \
    X("clients/inactive", count_disconnected)     \
    X("clients/active", count_connected)          \
    X("messages/stored", count_stored)            \
    X("ledger/queued", count_queued)              \
    X("publish/messages/dropped", count_dropped)

/*    topic below $SYS/broker/load/ what is averaged, per minute */
#define LOADS(X)                                          \
    X("messages/received", v[GNT_COUNT_PACKETS_RECEIVED]) \
    X("messages/sent", v[GNT_COUNT_PACKETS_SENT])         \
    X("publish/received", v[GNT_COUNT_PUBLISH_RECEIVED])  \
    X("publish/sent", v[GNT_COUNT_PUBLISH_SENT])          \
    X("publish/dropped", count_dropped(v))                \
    X("bytes/received", v[GNT_COUNT_BYTES_RECEIVED])      \
    X("bytes/sent", v[GNT_COUNT_BYTES_SENT])              \
    X("sockets", v[GNT_COUNT_CONNECTIONS_ACCEPTED])       \
    X("connections", v[GNT_COUNT_CONNECTS])

/*    topic below $SYS/broker/store/ field of struct gnt_durable_status */
#define STORE(X)                     \
    X("batches", batches)            \
    X("commits", commits)            \
    X("failures", failures)          \
    X("syncs", syncs)                \
    X("bytes/written", bytes)        \
    X("bytes/journal", journal_used) \
    X("bytes/memory", memory)        \
    X("applied", applied)            \
    X("damaged", damaged)

enum { WINDOWS = 3 };

static const struct {
    const char *name;
    unsigned minutes;
} windows[WINDOWS] = {{"1min", 1}, {"5min", 5}, {"15min", 15}};

#define ROW(...) +1
enum {
    COMPUTED_COUNT = 0 COMPUTED(ROW),
    LOAD_COUNT = 0 LOADS(ROW),
    STORE_COUNT = 2 STORE(ROW),
    VALUE_COUNT = GNT_COUNTER_COUNT + COMPUTED_COUNT + LOAD_COUNT * WINDOWS + STORE_COUNT + 3,
};
#undef ROW

enum { TEXT_SIZE = 32 };

struct gnt_sys {
    struct gnt_worker *worker;
    struct gnt_timer timer;
    uint64_t interval_ms, sync_ms;
    uint64_t started, last;
    uint64_t clients_most; /* connected at once */
    uint64_t before[LOAD_COUNT];
    double load[LOAD_COUNT][WINDOWS];
    char told[VALUE_COUNT][TEXT_SIZE]; /* what was published last, by row */
    size_t row;                        /* the next one to be published in this round */
};

/* Publishes TEXT if it is not what was published last; a message that cannot be made is made the
 * next time. */
static void tell(struct gnt_sys *s, const char *topic, const char *text)
{
    GNT_ASSERT(s->row < VALUE_COUNT);
    char *told = s->told[s->row++];
    if (strcmp(told, text) == 0)
        return;
    char name[128];
    snprintf(name, sizeof name, "$SYS/broker/%s", topic);
    const struct gnt_message_init init = {.topic = gnt_slice_str(name),
                                          .payload = gnt_slice_str(text),
                                          .retain = true,
                                          .expires = GNT_NEVER};
    struct gnt_message *message;
    if (gnt_message_new(&init, &message))
        return;
    if (gnt_publish(s->worker->home, message, NULL) != GNT_FAILED)
        snprintf(told, TEXT_SIZE, "%s", text);
    gnt_message_unref(&message);
}

static void tell_number(struct gnt_sys *s, const char *topic, uint64_t value)
{
    char text[TEXT_SIZE];
    snprintf(text, sizeof text, "%" PRIu64, value);
    tell(s, topic, text);
}

static void sum_up(const struct gnt_sys *s, uint64_t *values)
{
    const struct gnt_workers *all = s->worker->all;
    memset(values, 0, GNT_COUNTER_COUNT * sizeof *values);
    for (unsigned w = 0; w < all->count; w++)
        for (unsigned i = 0; i < GNT_COUNTER_COUNT; i++)
            values[i] += gnt_counted(&all->core->homes[w].counters, (enum gnt_counter)i);
}

static void tell_counters(struct gnt_sys *s, const uint64_t *values)
{
    for (unsigned i = 0; i < GNT_COUNTER_COUNT; i++)
        tell_number(s, gnt_counter_topic((enum gnt_counter)i), values[i]);
#define TELL(topic, value) tell_number(s, topic, value(values));
    COMPUTED(TELL)
#undef TELL
}

/* Exponential averages over a minute, five and fifteen, as the load of a machine is told.  The
 * first round has nothing to average over. */
static void tell_loads(struct gnt_sys *s, const uint64_t *v, double minutes)
{
#define NAME(name, value) (name),
    static const char *const names[] = {LOADS(NAME)};
#undef NAME
#define VALUE(name, value) (value),
    const uint64_t values[] = {LOADS(VALUE)};
#undef VALUE
    for (size_t i = 0; i < LOAD_COUNT && minutes > 0; i++) {
        double rate = (double)(values[i] - s->before[i]) / minutes;
        for (size_t w = 0; w < WINDOWS; w++) {
            double keep = exp(-minutes / windows[w].minutes);
            s->load[i][w] = rate + (s->load[i][w] - rate) * keep;
            char topic[64], text[TEXT_SIZE];
            snprintf(topic, sizeof topic, "load/%s/%s", names[i], windows[w].name);
            snprintf(text, sizeof text, "%.2f", s->load[i][w]);
            tell(s, topic, text);
        }
    }
    memcpy(s->before, values, sizeof values);
}

/* What no counter tells.  Nothing of the machine's (heap, load): a life in tests/sim must be the
 * same each time. */
static void tell_process(struct gnt_sys *s, const uint64_t *values, uint64_t now)
{
    char uptime[TEXT_SIZE];
    snprintf(uptime, sizeof uptime, "%" PRIu64 " seconds", (now - s->started) / GNT_NS_PER_S);
    uint64_t clients = values[GNT_COUNT_CONNECTED];
    s->clients_most = clients > s->clients_most ? clients : s->clients_most;
    tell(s, "version", "gnatter version " GNATTER_VERSION);
    tell(s, "uptime", uptime);
    tell_number(s, "clients/maximum", s->clients_most);
}

/* How the store is, and what a power cut could take from it. */
static void tell_store(struct gnt_sys *s)
{
    struct gnt_store *store = s->worker->all->store;
    struct gnt_durable_status status;
    char window[GNT_DATA_LOSS_WINDOW_MAX];
    gnt_data_loss_window(store != NULL, s->sync_ms, window);
    tell(s, "store/loss_window", window);
    if (!store || !gnt_durable_status(store, &status))
        return;
    tell(s, "store/state", gnt_durable_state(status.state));
#define TELL(topic, field) tell_number(s, "store/" topic, status.field);
    STORE(TELL)
#undef TELL
}

static void publish_all(struct gnt_sys *s, uint64_t now)
{
    uint64_t values[GNT_COUNTER_COUNT];
    sum_up(s, values);
    s->row = 0;
    tell_process(s, values, now);
    tell_counters(s, values);
    tell_loads(s, values, (double)(now - s->last) / (60.0 * (double)GNT_NS_PER_S));
    tell_store(s);
    s->last = now;
}

static void set_timer(struct gnt_sys *s, uint64_t now)
{
    uint64_t due = s->interval_ms ? gnt_deadline(now, s->interval_ms * GNT_NS_PER_MS) : GNT_FAR;
    gnt_err err = gnt_loop_set_timer(&s->worker->loop, &s->timer, due);
    GNT_ASSERT(err == GNT_OK); /* it is always set, so that moving it needs no memory */
}

static void on_timer(struct gnt_timer *timer, uint64_t now)
{
    struct gnt_sys *s = GNT_CONTAINER(timer, struct gnt_sys, timer);
    set_timer(s, now);
    publish_all(s, now);
}

gnt_err gnt_sys_new(struct gnt_worker *worker, const struct gnt_config *config,
                    struct gnt_sys **out)
{
    struct gnt_sys *s = calloc(1, sizeof *s);
    if (!s)
        return GNT_NOMEM;
    s->worker = worker;
    s->interval_ms = config->sys_interval_ms;
    s->sync_ms = config->sync_ms;
    s->started = s->last = worker->loop.now;
    s->timer.fire = on_timer;
    uint64_t first = s->interval_ms ? worker->loop.now : GNT_FAR;
    gnt_err err = gnt_loop_set_timer(&worker->loop, &s->timer, first);
    if (err) {
        free(s);
        return err;
    }
    *out = s;
    return GNT_OK;
}

void gnt_sys_free(struct gnt_sys **sys)
{
    struct gnt_sys *s = *sys;
    *sys = NULL;
    if (!s)
        return;
    gnt_timer_cancel(&s->worker->loop.timers, &s->timer);
    free(s);
}

void gnt_sys_set_interval(struct gnt_sys *s, uint64_t interval_ms)
{
    s->interval_ms = interval_ms;
    set_timer(s, s->worker->loop.now);
}
