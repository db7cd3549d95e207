#include "life.h"

#include "carriers.h"
#include "core/ledger.h"
#include "machine.h"
#include "oracle.h"
#include "permits.h"
#include "raw.h"

#include <stdlib.h>

#define SECOND GNT_NS_PER_S
#define MS     GNT_NS_PER_MS
#define US     GNT_NS_PER_US

enum { DEVICES_MAX = 32, RAW_MAX = 5 };

struct life {
    struct sim_world world;
    struct sim_oracle oracle;
    struct sim_permits permits;
    struct sim_carriers carriers;
    struct sim_machine machine; /* if the broker has a data directory */
    bool keeps;
    struct sim_device devices[DEVICES_MAX];
    struct sim_raw raw[RAW_MAX];
    struct sim_raw enders[DEVICES_MAX]; /* end the sessions that MQTT 3 devices leave */
    uint32_t device_count, raw_count;
    struct gnt_config config;
    bool quiet; /* no connection breaks */
};

/* ---- Choices */

static struct sim_weather some_weather(struct sim_world *w, bool faults)
{
    struct sim_weather weather = {
        .latency_min = sim_between(w, 10 * US, 5 * MS),
        .turn_min = 5 * US,
        .turn_max = sim_between(w, 10 * US, 5 * MS),
        .stall_one_in = sim_one_in(w, 2) ? (unsigned)sim_between(w, 20, 500) : 0,
        .stall_max = 400 * MS,
        .wire_bytes =
            (size_t)(sim_one_in(w, 3) ? sim_between(w, 16, 500) : sim_between(w, 4000, 200000)),
        .split_one_in = sim_one_in(w, 2) ? (unsigned)sim_between(w, 1, 10) : 50,
        .move_fails_one_in = sim_one_in(w, 4) ? 10 : 0,
        .fault_one_in = faults ? (unsigned)sim_between(w, 5, 200) : 0,
    };
    weather.latency_max = weather.latency_min + sim_below(w, sim_one_in(w, 3) ? 300 * MS : 20 * MS);
    if (weather.wire_bytes < 1000) /* a long thin wire would make a long life */
        weather.latency_max = weather.latency_min + 2 * MS;
    return weather;
}

/* Queues that become full.  Where nobody is given up and all can wait, nothing may be lost but with
 * a connection; where none breaks, nothing at all. */
static void small_queues(struct life *l)
{
    struct sim_world *w = &l->world;
    struct gnt_config_limits *limits = &l->config.limits;
    l->oracle.lossy = true;
    l->oracle.patient = l->quiet || sim_one_in(w, 2);
    l->config.queue_full = (enum gnt_config_queue_full)sim_below(w, 3);
    l->config.queue_full_qos0 = (enum gnt_config_qos0)sim_below(w, 2);
    if (l->oracle.patient) {
        l->config.queue_full_wait_ms = 3600 * 1000;
        limits->output_bytes = 1 << 20; /* beyond that clients would wait for each other */
    } else if (sim_one_in(w, 3)) {
        l->config.queue_full_wait_ms = (uint32_t)sim_below(w, 3000);
    }
    if (l->quiet && !l->oracle.crashes) {
        l->oracle.lossy = false;
        l->config.queue_full_qos0 = GNT_QOS0_WAIT;
    }
    limits->queued_per_session = (uint32_t)sim_between(w, 1, 20);
    if (sim_one_in(w, 3)) {
        limits->queued_bytes = sim_between(w, 1, 1000);
        limits->queued_per_session = 100000;
    }
}

static void some_config(struct life *l)
{
    struct sim_world *w = &l->world;
    struct gnt_config_limits *limits = &l->config.limits;
    SIM_MUST(w, gnt_config_init(&l->config) == GNT_OK);
    l->config.sys_interval_ms = sim_one_in(w, 4) ? 1000 : 0;
    limits->queued_per_session = 100000;
    limits->queued_bytes = 0;
    if (sim_one_in(w, 3))
        limits->receive_maximum = (uint16_t)sim_between(w, 1, 20);
    if (sim_one_in(w, 3))
        limits->inflight_per_session = (uint16_t)sim_between(w, 1, 10);
    if (sim_one_in(w, 3))
        limits->output_bytes = sim_between(w, 1024, 8192);
    if (sim_one_in(w, 3))
        small_queues(l);
}

static struct sim_character some_character(struct life *l)
{
    struct sim_world *w = &l->world;
    struct sim_character is = {
        .version = (uint8_t)(sim_one_in(w, 2) ? GNT_MQTT_5 : sim_between(w, 3, 4)),
        .durable = sim_below(w, 3) > 0,
        .expiry_s = (uint32_t)(sim_one_in(w, 2) ? 0 : sim_between(w, 3, 40)),
        .keep_alive_s = (uint16_t)sim_between(w, 5, 30),
        .alias_max = (uint16_t)(sim_one_in(w, 2) ? sim_between(w, 1, 5) : 0),
        .ack_delay_ms = sim_one_in(w, 4) ? (uint32_t)sim_between(w, 1, 2000) : 0,
        .will = sim_one_in(w, 2),
        .will_qos = (uint8_t)sim_between(w, 1, 2),
        .eager = (unsigned)sim_between(w, 50, 95),
        .pause_ns = sim_between(w, 200 * MS, 4 * SECOND),
        .break_one_in = l->quiet ? 0 : (unsigned)sim_between(w, 4, 60),
    };
    if (is.version == GNT_MQTT_5 && sim_one_in(w, 3))
        is.receive_max = (uint16_t)sim_between(w, 1, 5);
    if (is.version == GNT_MQTT_5 && sim_one_in(w, 8))
        is.packet_max = (uint32_t)sim_between(w, 300, 2000);
    if (is.version == GNT_MQTT_5 && sim_one_in(w, 3))
        is.will_delay_s = (uint32_t)sim_between(w, 1, 15);
    if (l->quiet && l->oracle.patient) /* who is not read gets no answer to its pings */
        is.keep_alive_s = 0;
    is.shares = (is.durable || l->oracle.groups_lossy) && !is.packet_max;
    return is;
}

static void make_clients(struct life *l)
{
    struct sim_world *w = &l->world;
    l->device_count = (uint32_t)sim_between(w, 3, sim_one_in(w, 4) ? DEVICES_MAX : 10);
    l->raw_count = (uint32_t)(sim_one_in(w, 2) ? sim_below(w, RAW_MAX + 1) : 0);
    if (l->quiet)
        l->raw_count = 0;
    sim_oracle_init(&l->oracle, w, l->device_count + l->raw_count);
    l->oracle.groups_lossy = sim_one_in(w, 3);
}

static void start_clients(struct life *l)
{
    struct sim_world *w = &l->world;
    for (uint32_t i = 0; i < l->device_count; i++) {
        struct sim_character is = some_character(l);
        if (i == l->oracle.observer) {
            is.observer = true;
            is.durable = true;
            is.packet_max = 0;
            is.will = false;
            is.shares = false;
        }
        uint64_t start = i ? 5 * SECOND + sim_below(w, 10 * SECOND) : 0;
        sim_device_init(&l->devices[i], w, &l->oracle, i, &is, w->now + start);
    }
    for (uint32_t i = 0; i < l->raw_count; i++)
        sim_raw_init(&l->raw[i], w, &l->oracle, l->device_count + i, l->devices, l->device_count);
}

/* ---- Peace */

static bool settled(struct life *l)
{
    for (uint32_t i = 0; i < l->device_count; i++)
        if (!sim_device_settled(&l->devices[i]))
            return false;
    for (uint32_t i = 0; i < l->raw_count; i++)
        if (!sim_raw_left(&l->raw[i]))
            return false;
    return sim_carriers_settled(&l->carriers) &&
           sim_world_counted(&l->world, GNT_COUNT_QUEUED) == 0;
}

/* Sessions and groups that hold something. */
static void tell_accounts(struct life *l)
{
    const struct gnt_core *core = l->world.workers->core;
    struct gnt_account a;
    for (unsigned i = 0; i < core->count; i++)
        for (uint32_t at = 0; gnt_account_next(&core->homes[i], &at, &a);)
            if (a.queued)
                sim_trace(&l->world, "%llu are queued for '%.*s%.*s' at home %u",
                          (unsigned long long)a.queued, (int)a.client_id.size,
                          (const char *)a.client_id.data, (int)a.filter.size,
                          (const char *)a.filter.data, i);
}

static void tell_who_is_not(struct life *l)
{
    struct sim_world *w = &l->world;
    w->trace = true;
    tell_accounts(l);
    for (uint32_t i = 0; i < l->device_count; i++)
        if (!sim_device_settled(&l->devices[i]))
            sim_trace(w, "client %u is not settled", i);
    for (uint32_t i = 0; i < l->raw_count; i++)
        if (!sim_raw_left(&l->raw[i]))
            sim_trace(w, "raw client %u has not left", i);
    sim_carriers_tell(&l->carriers);
    sim_fail(w, "not all is delivered: %llu are queued",
             (unsigned long long)sim_world_counted(w, GNT_COUNT_QUEUED));
}

/* Whether somebody goes round for ever.  Where a full queue ends connections, a client whose own
 * messages fill its queue comes, sends them again, and is ended.  Where publishers wait at full
 * queues, one that has to wait for longer than it does for an answer to its ping comes, has a new
 * session, and sends them again as new messages. */
static bool goes_round(const struct life *l)
{
    enum { OFTEN = 50 };
    if (!l->oracle.lossy)
        return false;
    if (l->config.queue_full == GNT_QUEUE_FULL_DISCONNECT)
        return true;
    for (uint32_t i = 0; l->oracle.patient && i < l->device_count; i++)
        if (l->devices[i].gave_up > OFTEN)
            return true;
    return false;
}

/* Whether it came to that. */
static bool calm_down(struct life *l)
{
    struct sim_world *w = &l->world;
    sim_trace(w, "calm");
    w->weather.fault_one_in = 0;
    w->weather.move_fails_one_in = 0;
    sim_permits_calm(&l->permits);
    sim_carriers_calm(&l->carriers);
    if (l->keeps)
        sim_machine_calm(&l->machine);
    for (uint32_t i = 0; i < l->device_count; i++)
        sim_device_calm(&l->devices[i]);
    for (uint32_t i = 0; i < l->raw_count; i++)
        sim_raw_calm(&l->raw[i]);
    uint64_t most = w->now + 3600 * SECOND;
    do {
        sim_world_run(w, w->now + 50 * SECOND);
        if (w->now > most && goes_round(l))
            return false;
        if (w->now > most)
            tell_who_is_not(l);
    } while (!settled(l));
    sim_carriers_end(&l->carriers);
    return true;
}

/* ---- Looking */

static void expect_between(struct life *l, enum gnt_counter which, const char *name,
                           const struct sim_count *expected)
{
    uint64_t counted = sim_world_counted(&l->world, which);
    if (counted < expected->least || counted > expected->most)
        sim_fail(&l->world, "gauge %s is %llu, not %llu to %llu", name, (unsigned long long)counted,
                 (unsigned long long)expected->least, (unsigned long long)expected->most);
}

static void expect(struct life *l, enum gnt_counter which, const char *name, uint64_t expected)
{
    expect_between(l, which, name, &(struct sim_count){expected, expected});
}

static void check_gauges(struct life *l)
{
    struct sim_count subs, shared;
    sim_oracle_count(&l->oracle, &subs, &shared);
    expect(l, GNT_COUNT_CONNECTED, "connected", l->device_count);
    expect(l, GNT_COUNT_SESSIONS, "sessions", l->device_count);
    expect_between(l, GNT_COUNT_SUBSCRIPTIONS, "subscriptions", &subs);
    expect_between(l, GNT_COUNT_SHARED_SUBSCRIPTIONS, "shared subscriptions", &shared);
    expect(l, GNT_COUNT_QUEUED, "queued", 0);
    expect(l, GNT_COUNT_QUEUED_BYTES, "queued bytes", 0);
}

/* The message that is retained under TOPIC. */
static uint32_t retained_in_tree(struct life *l, struct gnt_slice topic)
{
    struct gnt_tree *tree = l->world.workers->core->tree;
    struct gnt_tree_cursor cursor = {0};
    struct gnt_message *found;
    uint32_t message = SIM_NO_MESSAGE;
    size_t count;
    gnt_err err;
    do {
        err = gnt_tree_retained(tree, topic, &cursor, 1, &found, &count);
        if (!count)
            continue;
        SIM_MUST(&l->world, message == SIM_NO_MESSAGE && gnt_slice_eq(found->topic, topic));
        message = sim_oracle_payload_message(&l->oracle, found->payload);
        gnt_message_unref(&found);
    } while (count || err == GNT_MORE);
    gnt_tree_cursor_fini(tree, &cursor);
    return message;
}

/* What a broker has found at its start. */
static void on_recovered(void *context)
{
    struct life *l = context;
    sim_carriers_started(&l->carriers, &l->config);
    for (uint32_t i = 0; i < l->device_count; i++) {
        uint32_t topic = sim_oracle_retained_topic(&l->oracle, i);
        uint32_t found = retained_in_tree(l, sim_oracle_topic(&l->oracle, topic));
        if (!sim_oracle_may_be_retained(&l->oracle, i, found) && !l->oracle.faulty)
            sim_fail(&l->world, "after a crash message %d is retained under r/%u", (int)found, i);
    }
}

static void check_retained(struct life *l)
{
    uint64_t there = 0;
    for (uint32_t i = 0; i < l->device_count; i++) {
        struct gnt_slice topic =
            sim_oracle_topic(&l->oracle, sim_oracle_retained_topic(&l->oracle, i));
        bool sure;
        uint32_t expected = sim_oracle_retained(&l->oracle, i, &sure);
        uint32_t found = retained_in_tree(l, topic);
        there += found != SIM_NO_MESSAGE;
        if (sure && found != expected)
            sim_fail(&l->world, "message %d is retained under r/%u, not %d", (int)found, i,
                     (int)expected);
    }
    if (l->config.sys_interval_ms == 0)
        expect(l, GNT_COUNT_RETAINED, "retained", there);
}

/* What did not come has been counted as dropped. */
static void check_losses(struct life *l)
{
    struct sim_world *w = &l->world;
    uint64_t full = sim_world_counted_ever(w, GNT_COUNT_DROPPED_QUEUE_FULL);
    uint64_t memory = sim_world_counted_ever(w, GNT_COUNT_DROPPED_NO_MEMORY);
    uint64_t ended = sim_world_counted_ever(w, GNT_COUNT_DROPPED_SESSION_END);
    sim_trace(w, "missing %llu, dropped %llu, %llu, %llu", (unsigned long long)l->oracle.missing,
              (unsigned long long)full, (unsigned long long)memory, (unsigned long long)ended);
    if (!l->oracle.lossy)
        SIM_MUST(w, full == 0 && memory == 0);
    if (l->oracle.missing > full + ended)
        sim_fail(w, "%llu deliveries are missing, and %llu are counted as dropped",
                 (unsigned long long)l->oracle.missing, (unsigned long long)(full + ended));
}

static void look(struct life *l)
{
    check_gauges(l);
    sim_oracle_audit(&l->oracle);
    check_retained(l);
    check_losses(l);
}

/* ---- The end */

static bool idle(struct life *l)
{
    for (unsigned i = 0; i < l->world.workers->count; i++)
        if (!gnt_worker_idle(&l->world.workers->worker[i]))
            return false;
    return true;
}

/* MQTT 3 cannot end a session that is to stay, as it ends a connection. */
static bool stays(const struct sim_device *d)
{
    return d->is.version < GNT_MQTT_5 && d->is.durable;
}

static void all_leave(struct life *l)
{
    uint64_t stay = 0;
    for (uint32_t i = 0; i < l->device_count; i++) {
        stay += stays(&l->devices[i]);
        sim_device_leave(&l->devices[i]);
    }
    sim_world_run(&l->world, l->world.now + 61 * SECOND);
    for (uint32_t i = 0; i < l->device_count; i++)
        SIM_MUST(&l->world, sim_device_left(&l->devices[i]));
    SIM_MUST(&l->world, idle(l));
    SIM_MUST(&l->world, l->world.wires == 0);
    expect(l, GNT_COUNT_CONNECTED, "connected", 0);
    expect(l, GNT_COUNT_SESSIONS, "sessions", stay);
    if (stay == 0) {
        expect(l, GNT_COUNT_SUBSCRIPTIONS, "subscriptions", 0);
        expect(l, GNT_COUNT_SHARED_SUBSCRIPTIONS, "shared subscriptions", 0);
    }
}

/* Then nothing is left in the store but how many homes there are, and what is retained. */
static void end_all_sessions(struct life *l)
{
    struct sim_world *w = &l->world;
    for (uint32_t i = 0; i < l->device_count; i++)
        if (stays(&l->devices[i]))
            sim_raw_end_session(&l->enders[i], w, &l->oracle, l->devices[i].id);
    sim_world_run(w, w->now + 100 * SECOND);
    for (uint32_t i = 0; i < l->device_count; i++) {
        SIM_MUST(w, !stays(&l->devices[i]) || sim_raw_left(&l->enders[i]));
        if (stays(&l->devices[i]))
            sim_raw_fini(&l->enders[i]);
    }
    expect(l, GNT_COUNT_SESSIONS, "sessions", 0);
    size_t retained = 0;
    for (uint32_t i = 0; i < l->device_count; i++) {
        uint32_t topic = sim_oracle_retained_topic(&l->oracle, i);
        retained += retained_in_tree(l, sim_oracle_topic(&l->oracle, topic)) != SIM_NO_MESSAGE;
    }
    sim_machine_stop(&l->machine);
    size_t left = sim_machine_left(&l->machine);
    if (left != 1 + retained)
        sim_fail(w, "%zu are left in the store, with %zu retained messages", left, retained);
}

static void stop_politely(struct life *l)
{
    for (unsigned i = 0; i < l->world.workers->count; i++) {
        gnt_worker_stop(&l->world.workers->worker[i]);
        sim_world_wake(&l->world, &l->world.workers->worker[i].loop);
    }
    for (uint64_t until = l->world.now + 30 * SECOND; l->world.now < until && !idle(l);)
        sim_world_run(&l->world, l->world.now + 10 * MS);
    SIM_MUST(&l->world, idle(l));
}

static void finish(struct life *l, bool calm)
{
    switch (sim_below(&l->world, 3)) {
    case 0:
        if (calm)
            all_leave(l);
        if (calm && l->keeps)
            end_all_sessions(l);
        break;
    case 1: stop_politely(l); break;
    case 2: break; /* with all connections */
    }
    for (uint32_t i = 0; i < l->device_count; i++)
        sim_device_fini(&l->devices[i]);
    for (uint32_t i = 0; i < l->raw_count; i++)
        sim_raw_fini(&l->raw[i]);
    sim_carriers_fini(&l->carriers);
    sim_world_run(&l->world, l->world.now + SECOND);
    if (l->keeps && l->world.workers)
        sim_machine_stop(&l->machine);
    else if (l->world.workers)
        sim_world_stop(&l->world);
    SIM_MUST(&l->world, l->world.wires == 0);
}

static void start_machine(struct life *l, const struct sim_life_options *options)
{
    l->keeps = true;
    sim_machine_init(&l->machine, &l->world, &l->config);
    l->machine.workers = options->workers;
    l->machine.faults = options->disk_faults;
    l->machine.recovered = on_recovered;
    l->machine.context = l;
    sim_machine_start(&l->machine);
}

void sim_life(const struct sim_life_options *options, struct sim_life_report *report)
{
    struct life *l = calloc(1, sizeof *l);
    struct sim_world *w = &l->world;
    sim_world_init(w, options->seed, options->trace);
    unsigned workers = (unsigned)sim_between(w, 1, 4);
    l->quiet = sim_one_in(w, 8);
    make_clients(l);
    l->oracle.crashes = options->crashes;
    l->oracle.refuses = options->disk_faults;
    some_config(l);
    l->oracle.lossy |= options->faults;
    l->oracle.faulty = options->faults;
    l->oracle.patient &= !options->faults;
    w->weather = some_weather(w, options->faults);
    sim_permits_init(&l->permits, w, &l->oracle);
    sim_carriers_init(&l->carriers, w, options->faults ? NULL : &l->config);
    l->carriers.stock.refuses = options->disk_faults;
    if (options->crashes)
        start_machine(l, options);
    else
        sim_world_start(w, &l->config, options->workers ? options->workers : workers);
    if (!options->crashes) /* else it is told of each recovery */
        sim_carriers_started(&l->carriers, &l->config);
    start_clients(l);
    sim_world_run(w, w->now + sim_between(w, 20, 90) * SECOND);
    bool calm = calm_down(l);
    if (calm && !options->faults && !l->oracle.unsure)
        look(l);
    report->unsure += l->oracle.unsure || !calm;
    report->crashes += l->machine.crashes;
    report->interrupted += l->machine.interrupted;
    report->messages += l->oracle.message_count;
    report->queued += l->carriers.stock.count;
    report->taken += l->carriers.stock.taken;
    for (size_t i = 0; i < l->oracle.message_count; i++)
        report->deliveries += l->oracle.messages[i].anywhere;
    finish(l, calm);
    report->digest = w->digest;
    if (l->keeps)
        sim_machine_fini(&l->machine);
    sim_permits_fini(&l->permits);
    sim_oracle_fini(&l->oracle);
    gnt_config_fini(&l->config);
    sim_world_fini(w);
    free(l);
}
