/* Shared groups that outlive the process: with members at several homes, and a crash at each step
 * of what happens between them. */
#include "core/group.h"

#include "base/random.h"
#include "store/memory.h"
#include "support/alloc_fault.h"
#include "support/core_world.h"
#include "support/unit.h"

#include <stdio.h>
#include <stdlib.h>

#define SHARED "$share/g/t"

enum { MEMBERS = 4, MESSAGES = 400, PENDING = 1024, SEEDS = 400, STEPS = 400 };

/* A client as the standard wants it: what it has received exactly once it knows by the packet id
 * until that is released, also while the broker is away. */
struct member {
    char id[16];
    struct world_client c;
    uint32_t expiry; /* 0: nothing of its session is kept */
    size_t taken;    /* deliveries that have reached it */
    struct pending {
        uint16_t id;
        uint8_t qos;
        bool released; /* PUBREL has come: what is missing is PUBCOMP */
    } pending[PENDING];
    size_t pending_count;
    bool held[65536];
    bool asking; /* a SUBSCRIBE is under way */
    struct gnt_subscribing wish;
};

struct life {
    struct gnt_store *store;
    struct world w;
    struct gnt_seeded g;
    struct member m[MEMBERS];
    uint8_t qos[MESSAGES]; /* as published; all of them are acknowledged */
    unsigned published;
    bool once;              /* all members are kept, and want QoS 2 */
    unsigned got[MESSAGES]; /* by all members, repetitions by packet id not counted */
};

/* ---- Clients */

static void take(struct life *l, struct member *m)
{
    for (; m->taken < m->c.count; m->taken++) {
        const struct world_delivery *d = &m->c.got[m->taken];
        if (d->qos < 2 || !m->held[d->id])
            l->got[atoi(d->payload)]++;
        if (d->qos == 2)
            m->held[d->id] = true;
        assert_true(m->pending_count < PENDING);
        if (d->qos)
            m->pending[m->pending_count++] = (struct pending){.id = d->id, .qos = d->qos};
    }
    for (size_t i = 0; i < m->c.released_count; i++)
        m->pending[m->pending_count++] = (struct pending){m->c.released[i], 2, true};
    m->c.released_count = 0;
}

/* What has not reached it never will. */
static void broken(struct member *m)
{
    m->taken = m->c.count;
    m->c.released_count = 0;
    m->pending_count = 0;
    if (m->expiry == 0)
        memset(m->held, 0, sizeof m->held);
}

/* What happens next to the first that waits for an answer. */
static void answer(struct member *m)
{
    if (!m->c.session || !m->pending_count)
        return;
    struct pending *p = &m->pending[0], done = *p;
    if (p->qos == 2 && !p->released) {
        p->released = true;
        assert_int_equal(gnt_session_received(m->c.session, p->id, false), GNT_OK);
        return;
    }
    memmove(p, p + 1, --m->pending_count * sizeof *p);
    if (done.qos == 2)
        m->held[done.id] = false;
    assert_true(done.qos == 1 ? gnt_session_acknowledged(m->c.session, done.id, NULL)
                              : gnt_session_completed(m->c.session, done.id));
}

static void connect(struct life *l, struct member *m)
{
    broken(m);
    assert_true(world_connect(&l->w, &m->c, false, m->expiry));
}

static void part(struct member *m)
{
    if (!m->c.session)
        return;
    broken(m);
    world_cut(&m->c);
}

static void publish(struct life *l, unsigned home, uint8_t qos)
{
    char payload[12];
    unsigned n = l->published++;
    assert_true(n < MESSAGES);
    snprintf(payload, sizeof payload, "%u", n);
    l->qos[n] = qos;
    assert_int_equal(world_publish(&l->w, home, "t", payload, qos, false), GNT_DONE);
}

/* ---- Worlds */

static void begin(struct life *l, unsigned homes)
{
    world_init_kept(&l->w, homes, NULL, l->store);
}

static void open_life(struct life *l, unsigned homes)
{
    memset(l, 0, sizeof *l);
    world_seed++;
    assert_int_equal(gnt_store_memory_open(NULL, &l->store), GNT_OK);
    begin(l, homes);
    for (unsigned i = 0; i < MEMBERS; i++) {
        world_id_at(&l->w, i % homes, i, l->m[i].id);
        l->m[i].c.id = l->m[i].id;
        l->m[i].expiry = 1000000;
    }
}

static void crash(struct life *l)
{
    struct world_client *clients[MEMBERS];
    for (unsigned i = 0; i < MEMBERS; i++) {
        l->m[i].taken = l->m[i].c.count; /* what comes now reaches nobody */
        clients[i] = &l->m[i].c;
    }
    world_crash(&l->w, clients, MEMBERS);
    for (unsigned i = 0; i < MEMBERS; i++)
        broken(&l->m[i]);
}

/* One mail, or what is due, in a turn of its own; false if there is nothing. */
static bool step(struct life *l)
{
    bool any = false;
    for (unsigned from = 0; from < l->w.homes && !any; from++)
        for (unsigned to = 0; to < l->w.homes && !any; to++)
            any = world_mail_one(&l->w, from, to);
    l->w.now += !any;
    for (unsigned i = 0; i < l->w.homes && !any; i++)
        any = gnt_timers_run(&l->w.timers[i], l->w.now) > 0;
    world_commit(&l->w);
    return any;
}

/* All are there, and answer all. */
static void calm(struct life *l)
{
    for (unsigned i = 0; i < MEMBERS; i++) {
        l->m[i].c.busy = false;
        if (!l->m[i].c.session)
            connect(l, &l->m[i]);
        else
            gnt_session_ready(l->m[i].c.session);
    }
    for (bool any = true; any;) {
        any = false;
        world_settle(&l->w);
        for (unsigned i = 0; i < MEMBERS; i++)
            for (take(l, &l->m[i]); l->m[i].pending_count; any = true)
                answer(&l->m[i]);
    }
}

/* Nothing that was acknowledged is lost, but for what a session that is not kept had exactly once
 * when it ended [MQTT-4.8.2-5]; and exactly once is exactly once where ONCE says so. */
static void check(const struct life *l, bool once)
{
    bool all_kept = true;
    for (unsigned i = 0; i < MEMBERS; i++)
        all_kept &= l->m[i].expiry != 0;
    for (unsigned n = 0; n < l->published; n++) {
        bool due = l->qos[n] == 1 || (l->qos[n] == 2 && all_kept);
        if (due && l->got[n] == 0)
            print_error("message %u of QoS %u is lost\n", n, l->qos[n]);
        assert_true(!due || l->got[n] > 0);
        if (once && l->qos[n] == 2 && l->got[n] > 1)
            print_error("message %u has come %u times\n", n, l->got[n]);
        assert_true(!once || l->qos[n] != 2 || l->got[n] == 1);
    }
    assert_ledger(&l->w);
    assert_counted(&l->w, GNT_COUNT_QUEUED, 0);
    assert_counted(&l->w, GNT_COUNT_QUEUED_BYTES, 0);
}

/* Nothing is left in the store of what has been settled. */
static void end_life(struct life *l)
{
    world_settle(&l->w);
    crash(l);
    begin(l, 2);
    assert_int_equal(l->w.recovered.deliveries, 0);
    world_fini(&l->w);
    for (unsigned i = 0; i < MEMBERS; i++)
        world_client_fini(&l->m[i].c);
    gnt_store_close(&l->store);
}

static size_t groups(const struct life *l)
{
    size_t n = 0;
    for (unsigned i = 0; i < l->w.homes; i++)
        n += l->w.core->homes[i].groups.count;
    return n;
}

static void on_record(struct gnt_store_read *r, const struct gnt_store_record *record)
{
    size_t *count = r->completion.context;
    (void)record;
    ++*count;
}

static void on_done(struct gnt_completion *c, gnt_err result)
{
    (void)c;
    assert_int_equal(result, GNT_OK);
}

static size_t records(const struct life *l, const char *table)
{
    static const struct gnt_slice all;
    size_t count = 0;
    struct gnt_store_read read = {
        .completion = {.done = on_done, .deliver = gnt_store_deliver_here, .context = &count},
        .record = on_record};
    gnt_store_scan(l->store, gnt_slice_str(table), all, all, GNT_STORE_READ_MAX, &read);
    return count;
}

/* ---- Rows */

static struct life life;

static void what_waits_in_a_group_comes_after_a_restart(void **state)
{
    struct life *l = &life;
    (void)state;
    for (unsigned homes = 1; homes <= WORLD_HOMES_MAX; homes++) {
        for (unsigned then = 1; then <= WORLD_HOMES_MAX; then++) {
            open_life(l, homes);
            for (unsigned i = 0; i < MEMBERS; i++) {
                connect(l, &l->m[i]);
                assert_int_equal(world_subscribe(&l->m[i].c, SHARED, 2), GNT_DONE);
                part(&l->m[i]);
            }
            for (unsigned i = 0; i < 9; i++)
                publish(l, 0, (uint8_t)(i % 3));
            world_settle(&l->w);
            crash(l);
            begin(l, then);
            assert_int_equal(l->w.recovered.deliveries, 6);
            assert_ledger(&l->w);
            assert_int_equal(groups(l), 1);
            connect(l, &l->m[1]);
            world_settle(&l->w);
            assert_string_equal(world_payloads(&l->m[1].c, 0), "1 2 4 5 7 8 ");
            calm(l);
            check(l, true);
            end_life(l);
        }
    }
}

/* Messages before a member has come, one after the other with it, then the world ends: after the
 * first mail, the second and so on. */
static bool crash_after(struct life *l, unsigned homes, uint8_t qos, uint8_t wanted, unsigned steps)
{
    open_life(l, homes);
    for (unsigned i = 0; i < 2; i++) {
        connect(l, &l->m[i]);
        assert_int_equal(world_subscribe(&l->m[i].c, SHARED, wanted), GNT_DONE);
    }
    part(&l->m[0]);
    part(&l->m[1]);
    publish(l, 0, qos);
    publish(l, homes - 1, qos);
    world_commit(&l->w);
    connect(l, &l->m[0]);
    connect(l, &l->m[1]);
    publish(l, 0, qos);
    publish(l, homes - 1, qos);
    world_commit(&l->w);
    bool all = false;
    for (unsigned i = 0; i < steps && !all; i++) {
        bool any = step(l);
        for (unsigned k = 0; k < 2 && !any; k++) {
            take(l, &l->m[k]);
            any = l->m[k].pending_count;
            answer(&l->m[k]);
            world_commit(&l->w);
        }
        all = !any;
    }
    crash(l);
    begin(l, homes);
    calm(l);
    check(l, wanted == 2);
    end_life(l);
    return all;
}

static void a_crash_at_each_step(void **state)
{
    (void)state;
    for (unsigned homes = 1; homes <= 3; homes++)
        for (uint8_t qos = 1; qos <= 2; qos++)
            for (uint8_t wanted = 1; wanted <= 2; wanted++)
                for (unsigned steps = 0; !crash_after(&life, homes, qos, wanted, steps); steps++)
                    assert_true(steps < 1000);
}

/* What a member has in flight when it leaves is due to it, whatever becomes of the group. */
static void what_a_member_has_stays_with_it(void **state)
{
    struct life *l = &life;
    (void)state;
    for (unsigned homes = 1; homes <= 3; homes++) {
        for (unsigned others = 0; others < 2; others++) {
            open_life(l, homes);
            for (unsigned i = 0; i <= others; i++) {
                connect(l, &l->m[i]);
                assert_int_equal(world_subscribe(&l->m[i].c, SHARED, 2), GNT_DONE);
            }
            if (others)
                part(&l->m[1]);
            publish(l, 0, 1);
            publish(l, 0, 2);
            world_settle(&l->w);
            assert_int_equal(l->m[0].c.count, 2);
            struct gnt_slice filter = gnt_slice_str(SHARED);
            assert_int_equal(gnt_session_unsubscribe(l->m[0].c.session, filter), GNT_DONE);
            world_settle(&l->w);
            assert_int_equal(groups(l), others);
            crash(l);
            begin(l, homes);
            assert_int_equal(groups(l), others);
            assert_int_equal(l->w.recovered.deliveries, 2);
            connect(l, &l->m[0]);
            world_settle(&l->w);
            assert_string_equal(world_payloads(&l->m[0].c, 2), "0 1 ");
            calm(l);
            check(l, true);
            end_life(l);
        }
    }
}

/* A group is kept from the first member on whose session is; what others have of it comes again. */
static void who_is_not_kept_has_it_lent(void **state)
{
    struct life *l = &life;
    (void)state;
    for (unsigned homes = 1; homes <= 3; homes++) {
        open_life(l, homes);
        l->m[0].expiry = 0;
        connect(l, &l->m[0]);
        assert_int_equal(world_subscribe(&l->m[0].c, SHARED, 2), GNT_DONE);
        publish(l, 0, 1); /* nothing is promised of it */
        world_settle(&l->w);
        take(l, &l->m[0]);
        connect(l, &l->m[1]);
        assert_int_equal(world_subscribe(&l->m[1].c, SHARED, 2), GNT_DONE);
        part(&l->m[1]);
        for (unsigned i = 0; i < 6; i++)
            publish(l, 0, (uint8_t)(1 + i % 2));
        world_settle(&l->w);
        assert_int_equal(l->m[0].c.count, 7);
        take(l, &l->m[0]);
        for (unsigned i = 0; i < 3; i++) /* 0 and 1, and of 2 that it has come */
            answer(&l->m[0]);
        world_settle(&l->w);
        crash(l);
        begin(l, homes);
        assert_int_equal(l->w.recovered.deliveries, 4);
        connect(l, &l->m[1]);
        world_settle(&l->w);
        assert_string_equal(world_payloads(&l->m[1].c, 0), "3 4 5 6 ");
        calm(l);
        check(l, false);
        end_life(l);
    }
}

static void a_group_ends_in_the_store_too(void **state)
{
    struct life *l = &life;
    (void)state;
    for (unsigned homes = 1; homes <= 3; homes++) {
        open_life(l, homes);
        l->m[0].expiry = 10;
        l->m[1].expiry = 10;
        for (unsigned i = 0; i < 2; i++) {
            connect(l, &l->m[i]);
            assert_int_equal(world_subscribe(&l->m[i].c, SHARED, 2), GNT_DONE);
            part(&l->m[i]);
        }
        publish(l, 0, 2);
        assert_int_equal(records(l, "group"), 1);
        world_pass(&l->w, 11);
        assert_int_equal(groups(l), 0);
        assert_int_equal(records(l, "group"), 0);
        assert_counted(&l->w, GNT_COUNT_QUEUED, 0);
        crash(l);
        begin(l, homes);
        assert_int_equal(groups(l), 0);
        end_life(l);
    }
}

/* Whose session has gone before a restart does not come back as a member, and the group goes. */
static void a_group_without_members_does_not_come_back(void **state)
{
    struct life *l = &life;
    (void)state;
    open_life(l, 2);
    unsigned other = l->w.homes; /* the home at which the group is not */
    l->m[0].expiry = 10;
    connect(l, &l->m[0]);
    assert_int_equal(world_subscribe(&l->m[0].c, SHARED, 2), GNT_DONE);
    for (unsigned i = 0; i < l->w.homes; i++)
        if (l->w.core->homes[i].groups.count == 0)
            other = i;
    world_id_at(&l->w, other, 7, l->m[1].id);
    connect(l, &l->m[1]);
    assert_int_equal(world_subscribe(&l->m[1].c, SHARED, 2), GNT_DONE);
    part(&l->m[0]);
    world_pass(&l->w, 11);
    part(&l->m[1]);
    publish(l, 0, 1);
    world_settle(&l->w);
    assert_int_equal(groups(l), 1);
    /* Its session ends, and what it has to tell the group is lost. */
    assert_true(world_connect(&l->w, &l->m[1].c, true, 0));
    world_commit(&l->w);
    crash(l);
    begin(l, 2);
    assert_int_equal(groups(l), 0);
    end_life(l);
}

/* A publication is on its way to several homes when the process ends; each takes up its own. */
static void what_is_on_its_way_comes_once(void **state)
{
    struct life *l = &life;
    (void)state;
    for (unsigned homes = 2; homes <= WORLD_HOMES_MAX; homes++) {
        for (unsigned then = 1; then <= WORLD_HOMES_MAX; then++) {
            open_life(l, homes);
            for (unsigned i = 0; i < MEMBERS; i++) {
                const char *filter = i ? "t" : SHARED;
                connect(l, &l->m[i]);
                assert_int_equal(world_subscribe(&l->m[i].c, filter, 2), GNT_DONE);
            }
            for (unsigned i = 0; i < homes; i++)
                publish(l, i, 2);
            world_commit(&l->w);
            crash(l);
            begin(l, then);
            calm(l);
            for (unsigned n = 0; n < homes; n++)
                assert_int_equal(l->got[n], MEMBERS);
            assert_ledger(&l->w);
            end_life(l);
        }
    }
}

/* Nor to a session and a group. */
static void no_number_is_given_twice(void **state)
{
    struct life *l = &life;
    (void)state;
    open_life(l, 2);
    for (unsigned i = 0; i < MEMBERS; i++) {
        connect(l, &l->m[i]);
        assert_int_equal(world_subscribe(&l->m[i].c, i % 2 ? "$share/h/u" : SHARED, 2), GNT_DONE);
        world_settle(&l->w);
        crash(l);
        begin(l, 1 + i % WORLD_HOMES_MAX);
        assert_int_equal(l->w.recovered.sessions, i + 1);
        assert_int_equal(groups(l), i ? 2 : 1);
        assert_int_equal(records(l, "group"), i ? 2 : 1);
    }
    end_life(l);
}

static void publish_expiring(struct life *l, uint32_t seconds)
{
    struct gnt_message *m = world_message("t", "0", 1, false);
    assert_non_null(m);
    m->expires = l->w.now + seconds * GNT_NS_PER_S;
    assert_int_equal(gnt_publish(&l->w.core->homes[0], m, NULL), GNT_DONE);
    gnt_message_unref(&m);
}

/* Of what came back, of what waits in memory and of what waits in the store only. */
static void what_has_expired_is_not_kept(void **state)
{
    struct life *l = &life;
    (void)state;
    for (unsigned homes = 1; homes <= 3; homes++) {
        open_life(l, homes);
        l->m[0].c.receive_max = 1;
        connect(l, &l->m[0]);
        assert_int_equal(world_subscribe(&l->m[0].c, SHARED, 1), GNT_DONE);
        publish_expiring(l, 5);
        publish_expiring(l, 5);
        world_settle(&l->w);
        assert_int_equal(l->m[0].c.count, 1);
        part(&l->m[0]);
        publish_expiring(l, 5);
        world_settle(&l->w);
        world_pass(&l->w, 6);
        connect(l, &l->m[0]);
        world_settle(&l->w);
        assert_counted(&l->w, GNT_COUNT_EXPIRED, 3);
        assert_int_equal(l->m[0].c.count, 1);
        end_life(l);
    }
}

/* A long queue is in the store, and only there. */
static void a_long_queue_takes_no_memory(void **state)
{
    enum { COUNT = 3000 };
    struct life *l = &life;
    (void)state;
    for (unsigned homes = 1; homes <= 2; homes++) {
        memset(l, 0, sizeof *l);
        assert_int_equal(gnt_store_memory_open(NULL, &l->store), GNT_OK);
        struct gnt_core_config config = world_config(homes);
        config.queued_per_session = 0;
        world_init_kept(&l->w, homes, &config, l->store);
        struct world_client c = {.id = "c", .receive_max = 50};
        assert_true(world_connect(&l->w, &c, false, 1000000));
        assert_int_equal(world_subscribe(&c, SHARED, 1), GNT_DONE);
        c.busy = true;
        for (int i = 0; i < COUNT; i++) {
            char text[16];
            snprintf(text, sizeof text, "%d", i);
            assert_int_equal(world_publish(&l->w, 0, "t", text, 1, false), GNT_DONE);
            if (i == COUNT / 3) {
                world_settle(&l->w);
                world_disconnect(&c);
            } else if (i == COUNT * 2 / 3) {
                world_settle(&l->w);
                struct world_client *clients[] = {&c};
                world_crash(&l->w, clients, 1);
                world_init_kept(&l->w, homes, &config, l->store);
                assert_int_equal(l->w.recovered.deliveries, i + 1);
            }
        }
        c.busy = false;
        assert_true(world_connect(&l->w, &c, false, 1000000));
        do
            world_settle(&l->w);
        while (world_answer(&c));
        assert_int_equal(c.count, COUNT);
        for (int i = 0; i < COUNT; i++)
            assert_int_equal(atoi(c.got[i].payload), i);
        assert_ledger(&l->w);
        world_disconnect(&c);
        world_fini(&l->w);
        world_client_fini(&c);
        gnt_store_close(&l->store);
    }
}

/* ---- Without memory */

static void what_may_fail(struct life *l)
{
    for (unsigned i = 0; i < 3; i++)
        if (l->m[i].c.session)
            (void)world_subscribe(&l->m[i].c, SHARED, (uint8_t)i);
    for (unsigned i = 0; i < 6; i++)
        (void)world_publish(&l->w, i % 2, "t", "0", (uint8_t)(i % 3), false);
    world_settle(&l->w);
    part(&l->m[2]);
    world_settle(&l->w);
    if (l->m[1].c.session)
        (void)gnt_session_unsubscribe(l->m[1].c.session, gnt_slice_str(SHARED));
    world_settle(&l->w);
    part(&l->m[0]);
    for (unsigned i = 0; i < 6; i++)
        (void)world_publish(&l->w, i % 2, "t", "0", (uint8_t)(i % 3), false);
    world_settle(&l->w);
    if (world_connect(&l->w, &l->m[0].c, false, 1000000))
        world_settle(&l->w);
    if (l->m[1].c.session)
        world_answer(&l->m[1].c);
}

static void each_allocation_fails_once(void **state)
{
    struct life *l = &life;
    (void)state;
    bool failed = true;
    for (long n = 0; failed; n++) {
        open_life(l, 2);
        l->m[0].c.receive_max = 2;
        for (unsigned i = 0; i < 3; i++)
            connect(l, &l->m[i]);
        gnt_alloc_fail_at(n);
        what_may_fail(l);
        failed = gnt_alloc_failed();
        gnt_alloc_fail_at(-1);
        world_settle(&l->w);
        assert_ledger(&l->w);
        crash(l);
        begin(l, 2);
        assert_ledger(&l->w);
        l->published = 1; /* whatever has come, is "0" */
        calm(l);
        assert_counted(&l->w, GNT_COUNT_QUEUED, 0);
        end_life(l);
    }
}

/* ---- Random lives */

static unsigned below(struct life *l, unsigned n)
{
    return (unsigned)gnt_random_below(&l->g.door, n);
}

static void on_subscribed(struct gnt_subscribing *wish, enum gnt_outcome outcome)
{
    struct member *m = GNT_CONTAINER(wish, struct member, wish);
    assert_int_equal(outcome, GNT_DONE);
    m->asking = false;
}

static void subscribe(struct life *l, struct member *m)
{
    enum gnt_outcome outcome;
    const struct gnt_sub_options o = {.qos = l->once ? 2 : (uint8_t)(1 + below(l, 2)), .id = 1};
    if (!m->c.session || m->asking)
        return;
    m->wish.done = on_subscribed;
    m->asking = !gnt_session_subscribe(m->c.session, gnt_slice_str(SHARED), &o,
                                       GNT_RETAIN_DO_NOT_SEND, &m->wish, &outcome);
}

static void restart(struct life *l)
{
    crash(l);
    for (unsigned i = 0; i < MEMBERS; i++)
        l->m[i].asking = false;
    begin(l, 1 + below(l, WORLD_HOMES_MAX));
    assert_ledger(&l->w);
}

/* The first member never leaves. */
static void act(struct life *l)
{
    unsigned who = below(l, MEMBERS);
    struct member *m = &l->m[who];
    switch (below(l, 16)) {
    case 0:
        if (m->asking)
            break;
        if (!m->c.session || below(l, 2))
            connect(l, m);
        else
            part(m);
        break;
    case 1: subscribe(l, m); break;
    case 2:
        if (who && m->c.session)
            (void)gnt_session_unsubscribe(m->c.session, gnt_slice_str(SHARED));
        break;
    case 3:
        m->c.busy = !m->c.busy;
        if (m->c.session && !m->c.busy)
            gnt_session_ready(m->c.session);
        break;
    case 4:
    case 5:
    case 6: answer(m); break;
    case 7:
    case 8:
    case 9:
        if (l->published < MESSAGES) {
            publish(l, below(l, l->w.homes), (uint8_t)below(l, 3));
            world_commit(&l->w); /* acknowledged */
        }
        break;
    default: world_mail_one(&l->w, below(l, l->w.homes), below(l, l->w.homes));
    }
    if (below(l, 60) == 0) {
        restart(l); /* without what has just been written */
        return;
    }
    world_commit(&l->w);
    l->w.now++;
    for (unsigned i = 0; i < l->w.homes; i++) {
        gnt_timers_run(&l->w.timers[i], l->w.now);
        world_commit(&l->w);
    }
    for (unsigned i = 0; i < MEMBERS; i++)
        if (l->m[i].c.session && below(l, 3))
            take(l, &l->m[i]);
}

static void live(struct life *l, uint64_t seed)
{
    world_seed = seed;
    open_life(l, 1 + (unsigned)seed % WORLD_HOMES_MAX);
    gnt_seeded_init(&l->g, seed);
    l->once = seed % 2;
    if (!l->once && below(l, 2))
        l->m[MEMBERS - 1].expiry = 0;
    for (unsigned i = 0; i < MEMBERS; i++) {
        l->m[i].c.receive_max = (uint16_t)(1 + below(l, 8));
        connect(l, &l->m[i]);
    }
    assert_int_equal(world_subscribe(&l->m[0].c, SHARED, 2), GNT_DONE);
    for (int i = 0; i < STEPS; i++)
        act(l);
    calm(l);
    check(l, l->once);
    end_life(l);
}

static uint64_t first_seed = 1, seeds = SEEDS;

static void random_lives(void **state)
{
    (void)state;
    for (uint64_t seed = first_seed; seed < first_seed + seeds; seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        live(&life, seed);
    }
}

/* With an argument: that seed only; with two: so many from there on. */
int main(int argc, char **argv)
{
    if (argc > 1) {
        first_seed = strtoull(argv[1], NULL, 10);
        seeds = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_waits_in_a_group_comes_after_a_restart),
        cmocka_unit_test(a_crash_at_each_step),
        cmocka_unit_test(what_a_member_has_stays_with_it),
        cmocka_unit_test(who_is_not_kept_has_it_lent),
        cmocka_unit_test(a_group_ends_in_the_store_too),
        cmocka_unit_test(a_group_without_members_does_not_come_back),
        cmocka_unit_test(what_is_on_its_way_comes_once),
        cmocka_unit_test(what_has_expired_is_not_kept),
        cmocka_unit_test(no_number_is_given_twice),
        cmocka_unit_test(a_long_queue_takes_no_memory),
        cmocka_unit_test(each_allocation_fails_once),
        cmocka_unit_test(random_lives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
