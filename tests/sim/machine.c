#include "machine.h"

#include "core/recover.h"

#define SECOND GNT_NS_PER_S
#define MS     GNT_NS_PER_MS
#define US     GNT_NS_PER_US
#define KIB    UINT64_C(1024)

/* ---- The power */

/* Its trouble begins and ends in turns of the store. */
static void look_for_trouble(struct sim_machine *m)
{
    struct sim_world *w = m->world;
    bool refuses = m->store && gnt_store_trouble(m->store) != GNT_OK;
    if (refuses != w->refuses)
        w->refused_at = w->now;
    w->refuses = refuses;
}

static void power_off(struct sim_machine *m)
{
    struct sim_world *w = m->world;
    m->store = NULL;
    look_for_trouble(m);
    if (!sim_disk_is_cut(m->disk)) /* else it was in the middle of a call */
        sim_disk_cut(m->disk, gnt_random_u64(&w->chance.door));
    sim_ground_crash(m->soil);
    gnt_timer_cancel(&w->timers, &m->turn);
    gnt_timer_cancel(&w->timers, &m->apply);
    gnt_timer_cancel(&w->timers, &m->crash);
    uint64_t most = sim_one_in(w, 4) ? 9 * SECOND : SECOND;
    sim_world_by(w, &m->start, w->now + sim_between(w, 10 * MS, most));
}

static void die(struct sim_machine *m)
{
    sim_trace(m->world, "the power is cut");
    m->crashes++;
    power_off(m);
    sim_world_crash(m->world);
}

static void power_on(struct sim_machine *m)
{
    struct sim_world *w = m->world;
    sim_disk_restart(m->disk);
    sim_disk_fail(m->disk, 0, 0, GNT_OK);
    w->boot = sim_below(w, w->now);
    if (m->calm)
        return;
    if (sim_one_in(w, 2)) { /* in the recovery, or some time afterwards */
        uint64_t calls = sim_between(w, 1, sim_one_in(w, 2) ? 30 : 400);
        sim_disk_cut_at(m->disk, calls, gnt_random_u64(&w->chance.door));
    } else {
        sim_world_by(w, &m->crash, w->now + sim_below(w, 2 * m->crash_every));
    }
    if (sim_one_in(w, 4))
        sim_ground_crash_at(m->soil, (long)sim_below(w, 3), sim_one_in(w, 2));
}

static void on_crash(struct gnt_timer *timer, uint64_t now)
{
    (void)now;
    die(GNT_CONTAINER(timer, struct sim_machine, crash));
}

/* ---- The store's turns */

static void turn_later(void *context)
{
    struct sim_machine *m = context;
    struct sim_world *w = m->world;
    if (m->store)
        sim_world_by(w, &m->turn, w->now + sim_between(w, 5 * US, m->turn_max));
}

static void on_turn(struct gnt_timer *timer, uint64_t now)
{
    struct sim_machine *m = GNT_CONTAINER(timer, struct sim_machine, turn);
    struct sim_world *w = m->world;
    (void)now;
    bool more = gnt_durable_turn(m->store);
    look_for_trouble(m);
    if (sim_disk_is_cut(m->disk)) {
        die(m);
        return;
    }
    uint64_t due = gnt_durable_due(m->store), soon = w->now + MS;
    if (more)
        turn_later(m);
    else if (due < GNT_FAR)
        sim_world_by(w, &m->turn, w->boot + due > soon ? w->boot + due : soon);
    sim_world_by(w, &m->apply, w->now + sim_between(w, 5 * US, m->apply_max));
}

static void on_apply(struct gnt_timer *timer, uint64_t now)
{
    struct sim_machine *m = GNT_CONTAINER(timer, struct sim_machine, apply);
    struct sim_world *w = m->world;
    (void)now;
    bool crash = !m->calm && sim_one_in(w, 20);
    sim_ground_crash_at(m->soil, crash ? 0 : -1, sim_one_in(w, 2));
    bool applied = gnt_durable_apply(m->store);
    look_for_trouble(m);
    if (applied && crash)
        die(m);
    else if (applied)
        turn_later(m);
}

/* What the other store thread does while the disk works for one. */
static void meanwhile(void *context)
{
    struct sim_machine *m = context;
    if (m->store && sim_one_in(m->world, 2))
        gnt_durable_turn(m->store);
}

/* For who waits for the store in a turn. */
static void run(void *context)
{
    struct sim_machine *m = context;
    if (!gnt_durable_turn(m->store) || sim_one_in(m->world, 3))
        gnt_durable_apply(m->store);
}

/* ---- Starting */

static gnt_err open_store(struct sim_machine *m, struct gnt_store **out)
{
    struct gnt_durable_report report;
    gnt_err err = sim_ground_open(m->soil, &m->time, &m->options.ground);
    if (err)
        return err;
    err = gnt_durable_open(&m->options, &report, out);
    if (err)
        m->options.ground->ops->close(m->options.ground);
    SIM_MUST(m->world, report.journal.damaged == 0 && report.unreadable == 0);
    return err;
}

static gnt_err recover(struct sim_machine *m, struct gnt_store **store)
{
    struct gnt_recovered recovered;
    const struct gnt_recovery how = {.store = *store,
                                     .time = gnt_durable_time(*store),
                                     .random = &m->world->broker_chance.door,
                                     .run = run,
                                     .context = m};
    gnt_err err = gnt_workers_recover(m->world->workers, store, &how, &recovered);
    SIM_MUST(m->world, recovered.damaged == 0);
    if (!err)
        sim_trace(m->world, "recovered: sessions %u, subscriptions %u, deliveries %u, retained %u",
                  (unsigned)recovered.sessions, (unsigned)recovered.subscriptions,
                  (unsigned)recovered.deliveries, (unsigned)recovered.retained);
    return err;
}

static void interrupted(struct sim_machine *m)
{
    sim_trace(m->world, "the power is cut in the recovery");
    m->interrupted++;
    power_off(m);
    if (m->world->workers)
        sim_world_crash(m->world);
}

static void start(struct sim_machine *m)
{
    struct sim_world *w = m->world;
    struct gnt_store *store = NULL;
    unsigned workers = m->workers ? m->workers : (unsigned)sim_between(w, 1, SIM_WORKERS_MAX);
    uint64_t crashes = sim_ground_crashes(m->soil);
    power_on(m);
    gnt_err err = open_store(m, &store);
    if (!err) {
        m->store = store;
        sim_trace(w, "the broker starts with %u workers", workers);
        sim_world_start(w, m->config, workers);
        err = recover(m, &store);
    }
    bool cut = sim_disk_is_cut(m->disk) || sim_ground_crashes(m->soil) != crashes;
    SIM_MUST(w, !err || cut);
    if (cut) {
        interrupted(m);
        return;
    }
    look_for_trouble(m);
    if (m->faults && !m->calm && sim_one_in(w, 2))
        sim_disk_fail(m->disk, sim_between(w, 1, 300), sim_between(w, 1, 40),
                      sim_one_in(w, 2) ? GNT_IO : GNT_FULL);
    turn_later(m);
    if (m->recovered)
        m->recovered(m->context);
}

static void on_start(struct gnt_timer *timer, uint64_t now)
{
    (void)now;
    start(GNT_CONTAINER(timer, struct sim_machine, start));
}

/* ---- From the first start to the last */

void sim_machine_init(struct sim_machine *m, struct sim_world *w, const struct gnt_config *config)
{
    *m = (struct sim_machine){
        .world = w,
        .config = config,
        .disk = sim_disk_new(),
        .soil = sim_soil_new(),
        .crash_every = sim_between(w, SECOND, 20 * SECOND),
        .turn_max = sim_between(w, 10 * US, sim_one_in(w, 4) ? 300 * MS : 10 * MS),
        .apply_max = sim_between(w, 10 * US, 2 * SECOND),
    };
    SIM_MUST(w, m->disk && m->soil);
    sim_disk_during(m->disk, meanwhile, m);
    m->turn.fire = on_turn;
    m->apply.fire = on_apply;
    m->crash.fire = on_crash;
    m->start.fire = on_start;
    m->options = (struct gnt_durable_options){
        .disk = sim_disk_door(m->disk),
        .time = &m->time,
        .clock = &w->clock,
        .random = &w->broker_chance.door,
        .memory_max = (size_t)sim_between(w, 4 * KIB, 200 * KIB),
        .journal_max = sim_between(w, 32 * KIB, 500 * KIB),
        .segment_size = sim_between(w, 16 * KIB, 200 * KIB),
        .reserve_size = 16 * KIB,
        .stepped = true,
    };
    sim_world_after_turns(w, turn_later, m);
}

void sim_machine_fini(struct sim_machine *m)
{
    gnt_timer_cancel(&m->world->timers, &m->start);
    sim_soil_free(m->soil);
    sim_disk_free(m->disk);
}

void sim_machine_start(struct sim_machine *m)
{
    start(m);
}

void sim_machine_calm(struct sim_machine *m)
{
    m->calm = true;
    sim_disk_cut_at(m->disk, 0, 0);
    sim_disk_fail(m->disk, 0, 0, GNT_OK);
    sim_ground_crash_at(m->soil, -1, false);
    gnt_timer_cancel(&m->world->timers, &m->crash);
}

void sim_machine_stop(struct sim_machine *m)
{
    sim_world_stop(m->world);
    m->store = NULL;
    gnt_timer_cancel(&m->world->timers, &m->turn);
    gnt_timer_cancel(&m->world->timers, &m->apply);
}

static char printable(uint8_t byte)
{
    return byte > ' ' && byte < 0x7f ? (char)byte : '.';
}

static void tell_record(void *context, struct gnt_slice name, struct gnt_slice key)
{
    char text[80];
    size_t n = 0;
    for (size_t i = 0; i < name.size && n < 40; i++)
        text[n++] = printable(name.data[i]);
    text[n++] = ' ';
    for (size_t i = 0; i < key.size && n < sizeof text - 1; i++)
        text[n++] = printable(key.data[i]);
    text[n] = 0;
    sim_trace(context, "in the store: %s", text);
}

size_t sim_machine_left(struct sim_machine *m)
{
    struct gnt_store *store = NULL;
    SIM_MUST(m->world, open_store(m, &store) == GNT_OK);
    gnt_store_close(&store);
    sim_ground_each(m->soil, tell_record, m->world);
    return sim_ground_count(m->soil);
}
