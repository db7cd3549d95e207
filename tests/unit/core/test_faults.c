/* Each allocation of some lives fails once.  No crash and no leak (the sanitizer looks), nobody is
 * forgotten, and the gauges come back to zero. */
#include "support/unit.h"

#include "core/session.h"

#include "support/alloc_fault.h"
#include "support/core_world.h"

#include <stdio.h>

enum { CLIENTS = 4, PROBES = 8 };

struct client {
    char id[16];
    struct world_client c;
    bool plain, shared; /* subscribed, as far as it has been told */
};

struct life {
    struct world w;
    struct client clients[CLIENTS];
};

static void connect(struct life *l, unsigned i, bool clean, uint32_t expiry)
{
    struct client *c = &l->clients[i];
    if (!world_connect(&l->w, &c->c, clean, expiry) || !c->c.present)
        c->plain = c->shared = false;
}

/* As a session that was there before the failures began. */
static void connect_all(struct life *l)
{
    for (unsigned i = 0; i < CLIENTS; i++)
        connect(l, i, false, 1000);
}

static void subscribe(struct life *l, unsigned i, const char *filter)
{
    struct client *c = &l->clients[i];
    if (!c->c.session)
        return;
    struct gnt_sub_options o = {.qos = 2, .id = i + 1};
    enum gnt_outcome outcome = world_subscribe_with(&c->c, filter, &o, GNT_RETAIN_SEND);
    assert_true(outcome == GNT_DONE || outcome == GNT_FAILED);
    if (outcome == GNT_DONE)
        *(filter[0] == '$' ? &c->shared : &c->plain) = true;
}

static void unsubscribe(struct life *l, unsigned i, const char *filter)
{
    struct client *c = &l->clients[i];
    if (c->c.session)
        (void)gnt_session_unsubscribe(c->c.session, gnt_slice(filter, strlen(filter)));
    *(filter[0] == '$' ? &c->shared : &c->plain) = false;
}

static void cut(struct life *l, unsigned i)
{
    if (l->clients[i].c.session)
        world_cut(&l->clients[i].c);
}

static void answer_all(struct life *l)
{
    for (unsigned i = 0; i < CLIENTS; i++)
        if (l->clients[i].c.session)
            world_answer(&l->clients[i].c);
    world_settle(&l->w);
}

static void publish(struct life *l, const char *topic, unsigned n, bool retain)
{
    for (unsigned i = 0; i < n; i++) {
        char payload[12];
        snprintf(payload, sizeof payload, "%u", i);
        (void)world_publish(&l->w, i % l->w.homes, topic, payload, (uint8_t)(i % 3), retain);
    }
}

/* ---- Lives */

static void plain_life(struct life *l)
{
    for (unsigned i = 0; i < CLIENTS; i++) {
        subscribe(l, i, "t");
        subscribe(l, i, "+"); /* overlaps, so that identifiers need memory */
    }
    publish(l, "t", 20, false);
    world_settle(&l->w);
    cut(l, 0);
    publish(l, "t", 5, false);
    world_take_access(&l->w, world_access); /* if there is a list: all rights are made anew */
    world_settle(&l->w);
    connect(l, 0, false, 1000);
    answer_all(l);
    connect(l, 1, true, 1000);
    subscribe(l, 1, "t");
    publish(l, "t", 5, false);
    unsubscribe(l, 2, "t");
    world_settle(&l->w);
    for (uint16_t id = 1; id < 9000; id += 1000)
        if (l->clients[0].c.session)
            (void)!gnt_session_receive_once(l->clients[0].c.session, id);
    answer_all(l);
    unsubscribe(l, 0, "+");
    for (unsigned i = 0; i < CLIENTS; i++) /* one filter is enough for what comes next */
        unsubscribe(l, i, "+"), subscribe(l, i, "t");
}

static void shared_life(struct life *l)
{
    for (unsigned i = 0; i < CLIENTS; i++)
        subscribe(l, i, "$share/g/t");
    publish(l, "t", 20, false);
    world_settle(&l->w);
    l->clients[0].c.busy = l->clients[1].c.busy = true;
    publish(l, "t", 50, false);
    world_settle(&l->w);
    cut(l, 2);
    publish(l, "t", 5, false);
    world_take_access(&l->w, world_access);
    unsubscribe(l, 3, "$share/g/t");
    subscribe(l, 3, "$share/g/t");
    connect(l, 2, false, 1000);
    for (unsigned i = 0; i < 2; i++) {
        l->clients[i].c.busy = false;
        if (l->clients[i].c.session)
            gnt_session_ready(l->clients[i].c.session);
    }
    world_settle(&l->w);
    answer_all(l);
    connect(l, 1, true, 1000);
    subscribe(l, 1, "$share/g/t");
    publish(l, "t", 20, false);
    world_settle(&l->w);
    answer_all(l);
}

static void retained_life(struct life *l)
{
    for (unsigned i = 0; i < 20; i++) {
        char topic[8];
        snprintf(topic, sizeof topic, "r/%u", i);
        publish(l, topic, 2, true);
    }
    l->clients[0].c.busy = true;
    for (unsigned i = 0; i < CLIENTS; i++)
        subscribe(l, i, i % 2 ? "r/#" : "r/+");
    world_take_access(&l->w, world_access);
    for (unsigned i = 0; i < CLIENTS; i++)
        unsubscribe(l, i, i % 2 ? "r/#" : "r/+");
    l->clients[0].c.busy = false;
    for (unsigned i = 0; i < CLIENTS; i++) {
        struct world_client *c = &l->clients[i].c;
        c->will = world_message("w", "w", 1, true);
        c->will_delay_s = i % 2 ? 10 : 0;
        connect(l, i, i / 2, 1000);
        subscribe(l, i, "w");
        l->clients[i].plain = false;
    }
    for (unsigned i = 0; i < CLIENTS; i++)
        cut(l, i);
    world_pass(&l->w, 20);
    connect_all(l);
    world_settle(&l->w);
    answer_all(l);
    for (unsigned i = 0; i < CLIENTS; i++)
        subscribe(l, i, "t");
}

/* ---- What holds afterwards */

/* Who has been told that it is subscribed is, and all members of the group together get all. */
static void nobody_is_forgotten(struct life *l)
{
    connect_all(l);
    for (int i = 0; i < 3; i++) {
        world_settle(&l->w);
        answer_all(l);
    }
    size_t before[CLIENTS];
    for (unsigned i = 0; i < CLIENTS; i++)
        before[i] = l->clients[i].c.count;
    for (unsigned i = 0; i < PROBES; i++) {
        assert_int_not_equal(world_publish(&l->w, 0, "t", "probe", 1, false), GNT_FAILED);
        world_settle(&l->w);
        answer_all(l);
    }
    size_t members = 0, shared = 0;
    for (unsigned i = 0; i < CLIENTS; i++) {
        struct client *c = &l->clients[i];
        size_t plain = 0;
        for (size_t n = before[i]; n < c->c.count; n++)
            plain += strcmp(c->c.got[n].payload, "probe") == 0;
        if (c->plain)
            assert_int_equal(plain, PROBES);
        members += c->shared;
        shared += plain;
        if (c->shared) /* in turn: nobody is passed over for ever */
            assert_true(plain > 0);
    }
    if (members)
        assert_int_equal(shared, PROBES);
}

static void end(struct life *l)
{
    for (unsigned i = 0; i < CLIENTS; i++) {
        struct world_client *c = &l->clients[i].c;
        if (c->session)
            gnt_session_close(c->session, GNT_PARTING_CLEAN, 0);
        world_client_fini(c);
    }
    for (int i = 0; i < 3; i++)
        world_pass(&l->w, 2000);
    char topic[8];
    for (unsigned i = 0; i < 20; i++) {
        snprintf(topic, sizeof topic, "r/%u", i);
        assert_int_not_equal(world_publish(&l->w, 1, topic, "", 0, true), GNT_FAILED);
    }
    assert_int_not_equal(world_publish(&l->w, 1, "w", "", 0, true), GNT_FAILED);
    static const enum gnt_counter gauges[] = {
        GNT_COUNT_CONNECTED,     GNT_COUNT_SESSIONS,
        GNT_COUNT_SUBSCRIPTIONS, GNT_COUNT_SHARED_SUBSCRIPTIONS,
        GNT_COUNT_QUEUED,        GNT_COUNT_QUEUED_BYTES,
        GNT_COUNT_RETAINED};
    for (size_t i = 0; i < COUNT_OF(gauges); i++)
        assert_counted(&l->w, gauges[i], 0);
    world_fini(&l->w);
}

/* From the first client on, or only once all are connected. */
static bool live_once(void (*life)(struct life *l), long n, bool from_birth)
{
    struct life l = {0};
    world_init(&l.w, 2, NULL);
    for (unsigned i = 0; i < CLIENTS; i++) {
        world_id_at(&l.w, i % 2, i, l.clients[i].id);
        l.clients[i].c.id = l.clients[i].id;
    }
    if (!from_birth)
        connect_all(&l);
    gnt_alloc_fail_at(n);
    connect_all(&l);
    life(&l);
    bool failed = gnt_alloc_failed();
    gnt_alloc_fail_at(-1);
    nobody_is_forgotten(&l);
    end(&l);
    return failed;
}

static void sweep(void (*life)(struct life *l))
{
    for (int from_birth = 0; from_birth < 2; from_birth++) {
        long n = 0;
        while (live_once(life, n, from_birth))
            n++;
        assert_true(n > 50); /* it has failed now and then */
    }
}

static void plain_subscriptions(void **state)
{
    (void)state;
    sweep(plain_life);
}

static void shared_subscriptions(void **state)
{
    (void)state;
    sweep(shared_life);
}

static void retained_messages_and_wills(void **state)
{
    (void)state;
    sweep(retained_life);
}

/* Some of the filters reach further than is permitted, and no message does. */
static void under_an_access_list(void **state)
{
    (void)state;
    world_access = WORLD_LIST("* subscribe t", "* subscribe r/+", "* subscribe w", "* publish #");
    sweep(plain_life);
    sweep(shared_life);
    sweep(retained_life);
    gnt_access_unref(&world_access);
}

static gnt_err no_post(void *context, unsigned from, unsigned to, const struct gnt_mail *mail)
{
    (void)context, (void)from, (void)to, (void)mail;
    return GNT_NOMEM;
}

static void birth(void **state)
{
    (void)state;
    struct gnt_core_config config = world_config(2);
    config.post = no_post;
    bool failed = true;
    for (long n = 0; failed; n++) {
        struct gnt_core *core = NULL;
        struct gnt_timers timers = {0};
        uint64_t now = 1;
        gnt_alloc_fail_at(n);
        gnt_err err = gnt_core_new(&config, &core);
        for (unsigned i = 0; !err && i < 2; i++)
            err = gnt_home_attach(&core->homes[i], &now, &timers);
        failed = gnt_alloc_failed();
        gnt_alloc_fail_at(-1);
        assert_int_equal(err, failed ? GNT_NOMEM : GNT_OK);
        gnt_core_free(&core);
        assert_null(core);
        gnt_timers_fini(&timers);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(birth),
        cmocka_unit_test(plain_subscriptions),
        cmocka_unit_test(shared_subscriptions),
        cmocka_unit_test(retained_messages_and_wills),
        cmocka_unit_test(under_an_access_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
