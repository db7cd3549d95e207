#include "support/unit.h"

#include "core/group.h"

#include "base/random.h"
#include "support/core_world.h"

#include <stdio.h>
#include <stdlib.h>

#define SHARED "$share/g/t"

enum { MEMBERS = 4 };

struct member {
    char id[16];
    struct world_client c;
};

/* MEMBERS members, member I at home I % homes; connected, not subscribed. */
static void open_members(struct world *w, struct member *m, unsigned homes,
                         const struct gnt_core_config *config)
{
    world_init(w, homes, config);
    for (unsigned i = 0; i < MEMBERS; i++) {
        m[i] = (struct member){0};
        world_id_at(w, i % homes, i, m[i].id);
        m[i].c.id = m[i].id;
        assert_true(world_connect(w, &m[i].c, true, 1000));
    }
}

static void close_members(struct world *w, struct member *m)
{
    world_settle(w);
    for (unsigned i = 0; i < MEMBERS; i++) {
        if (m[i].c.session)
            gnt_session_close(m[i].c.session, GNT_PARTING_CLEAN, 0);
        world_client_fini(&m[i].c);
    }
    world_pass(w, 2000);
    static const enum gnt_counter gauges[] = {
        GNT_COUNT_CONNECTED,     GNT_COUNT_SESSIONS,
        GNT_COUNT_SUBSCRIPTIONS, GNT_COUNT_SHARED_SUBSCRIPTIONS,
        GNT_COUNT_QUEUED,        GNT_COUNT_QUEUED_BYTES};
    for (size_t i = 0; i < COUNT_OF(gauges); i++)
        assert_counted(w, gauges[i], 0);
    for (unsigned i = 0; i < w->homes; i++)
        assert_int_equal(w->core->homes[i].groups.count, 0);
    world_fini(w);
}

static void subscribe_all(struct member *m, uint8_t qos)
{
    for (unsigned i = 0; i < MEMBERS; i++)
        assert_int_equal(world_subscribe(&m[i].c, SHARED, qos), GNT_DONE);
}

/* Numbers from FROM to TO, published at home 0. */
static void publish(struct world *w, int from, int to, uint8_t qos)
{
    for (int i = from; i <= to; i++) {
        char payload[12];
        snprintf(payload, sizeof payload, "%d", i);
        assert_int_not_equal(world_publish(w, 0, "t", payload, qos, false), GNT_FAILED);
    }
}

static size_t got(const struct member *m)
{
    size_t n = 0;
    for (unsigned i = 0; i < MEMBERS; i++)
        n += m[i].c.count;
    return n;
}

static void answer_all(struct world *w, struct member *m)
{
    for (bool any = true; any;) {
        any = false;
        for (unsigned i = 0; i < MEMBERS; i++)
            any |= m[i].c.session && world_answer(&m[i].c) > 0;
        world_settle(w);
    }
}

static void again(struct world *w, struct world_client *c)
{
    world_cut(c);
    assert_true(world_connect(w, c, false, 1000));
    world_settle(w);
}

#define EACH_NUMBER_OF_HOMES(homes) for (unsigned homes = 1; homes <= WORLD_HOMES_MAX; homes++)

static void members_share_fairly(void **state)
{
    (void)state;
    EACH_NUMBER_OF_HOMES(homes)
    {
        struct world w;
        struct member m[MEMBERS];
        open_members(&w, m, homes, NULL);
        subscribe_all(m, 1);
        assert_counted(&w, GNT_COUNT_SHARED_SUBSCRIPTIONS, MEMBERS);
        for (int i = 0; i < 100; i++) {
            publish(&w, i, i, (uint8_t)(i % 3));
            world_settle(&w);
        }
        for (unsigned i = 0; i < MEMBERS; i++)
            assert_int_equal(m[i].c.count, 25);
        close_members(&w, m);
    }
}

static void each_gets_what_it_asked_for(void **state)
{
    (void)state;
    struct world w;
    struct member m[MEMBERS];
    open_members(&w, m, 2, NULL);
    struct gnt_sub_options a = {.qos = 2, .id = 5, .retain_as_published = true}, b = {.qos = 0};
    assert_int_equal(world_subscribe_with(&m[0].c, SHARED, &a, GNT_RETAIN_SEND), GNT_DONE);
    assert_int_equal(world_subscribe_with(&m[1].c, SHARED, &b, GNT_RETAIN_SEND), GNT_DONE);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(world_publish(&w, 0, "t", "x", 2, true), GNT_DONE);
        world_settle(&w);
    }
    assert_int_equal(m[0].c.count, 1);
    assert_int_equal(m[1].c.count, 1);
    assert_true(m[0].c.got[0].qos == 2 && m[0].c.got[0].retain && m[0].c.got[0].ids[0] == 5);
    assert_true(m[1].c.got[0].qos == 0 && !m[1].c.got[0].retain && m[1].c.got[0].id_count == 0);
    a.id = 6; /* new options for a member */
    assert_int_equal(world_subscribe_with(&m[0].c, SHARED, &a, GNT_RETAIN_SEND), GNT_DONE);
    assert_counted(&w, GNT_COUNT_SHARED_SUBSCRIPTIONS, 2);
    publish(&w, 0, 1, 1);
    world_settle(&w);
    assert_int_equal(m[0].c.got[1].ids[0], 6);
    close_members(&w, m);
}

static void a_busy_member_is_passed_over(void **state)
{
    (void)state;
    EACH_NUMBER_OF_HOMES(homes)
    {
        struct world w;
        struct member m[MEMBERS];
        open_members(&w, m, homes, NULL);
        subscribe_all(m, 1);
        m[1].c.busy = true;
        publish(&w, 1, 90, 1);
        world_settle(&w);
        assert_int_equal(m[1].c.count, 0);
        assert_int_equal(got(m), 90);
        m[1].c.busy = false;
        gnt_session_ready(m[1].c.session);
        world_settle(&w);
        publish(&w, 91, 130, 1);
        world_settle(&w);
        assert_int_equal(m[1].c.count, 10);
        close_members(&w, m);
    }
}

/* All windows are full: the group queues, and goes on with the first that has room. */
static void full_windows_do_not_stall_the_group(void **state)
{
    (void)state;
    EACH_NUMBER_OF_HOMES(homes)
    {
        struct world w;
        struct member m[MEMBERS];
        world_init(&w, homes, NULL);
        for (unsigned i = 0; i < MEMBERS; i++) {
            m[i] = (struct member){.c.receive_max = 1};
            world_id_at(&w, i % homes, i, m[i].id);
            m[i].c.id = m[i].id;
            assert_true(world_connect(&w, &m[i].c, true, 1000));
        }
        subscribe_all(m, 2);
        publish(&w, 1, 200, 1);
        world_settle(&w);
        assert_int_equal(got(m), MEMBERS);
        assert_counted(&w, GNT_COUNT_QUEUED, 200);
        for (int i = 0; i < 50; i++) { /* one member answers, the other ones do not */
            world_answer(&m[2].c);
            world_settle(&w);
        }
        assert_int_equal(m[2].c.count, 51);
        answer_all(&w, m);
        assert_int_equal(got(m), 200);
        assert_counted(&w, GNT_COUNT_QUEUED, 0);
        close_members(&w, m);
    }
}

static void what_a_member_leaves_goes_to_another(void **state)
{
    (void)state;
    EACH_NUMBER_OF_HOMES(homes)
    {
        for (int how = 0; how < 3; how++) {
            struct world w;
            struct member m[MEMBERS];
            open_members(&w, m, homes, NULL);
            subscribe_all(m, 1);
            publish(&w, 1, 40, 1);
            world_settle(&w);
            assert_int_equal(m[3].c.count, 10);
            switch (how) {
            case 0: world_cut(&m[3].c); break;
            case 1: gnt_session_close(m[3].c.session, GNT_PARTING_CLEAN, 0); break;
            case 2: assert_true(world_connect(&w, &m[3].c, true, 0)); break;
            }
            if (how < 2)
                m[3].c.session = NULL;
            world_settle(&w);
            assert_int_equal(got(m), 50);
            assert_int_equal(m[3].c.count, 10);
            answer_all(&w, m);
            assert_counted(&w, GNT_COUNT_QUEUED, 0);
            publish(&w, 41, 70, 1);
            world_settle(&w);
            assert_int_equal(m[3].c.count, 10);
            assert_int_equal(got(m), 80);
            close_members(&w, m);
        }
    }
}

/* [MQTT-4.8.2-4], [MQTT-4.8.2-5] */
static void exactly_once_stays_with_its_member(void **state)
{
    (void)state;
    EACH_NUMBER_OF_HOMES(homes)
    {
        struct world w;
        struct member m[MEMBERS];
        open_members(&w, m, homes, NULL);
        subscribe_all(m, 2);
        publish(&w, 1, 4, 2);
        world_settle(&w);
        world_cut(&m[1].c);
        world_settle(&w);
        assert_int_equal(got(m), 4);
        assert_true(world_connect(&w, &m[1].c, false, 1000));
        world_settle(&w);
        assert_int_equal(m[1].c.count, 2); /* the same again */
        assert_true(m[1].c.got[1].dup);
        assert_string_equal(m[1].c.got[0].payload, m[1].c.got[1].payload);
        gnt_session_close(m[1].c.session, GNT_PARTING_CLEAN, 0);
        m[1].c.session = NULL;
        world_settle(&w);
        assert_int_equal(got(m), 5); /* to nobody else */
        assert_counted(&w, GNT_COUNT_DROPPED_SESSION_END, 1);
        close_members(&w, m);
    }
}

static void messages_wait_for_members_that_are_away(void **state)
{
    (void)state;
    EACH_NUMBER_OF_HOMES(homes)
    {
        struct world w;
        struct member m[MEMBERS];
        open_members(&w, m, homes, NULL);
        subscribe_all(m, 1);
        for (unsigned i = 0; i < MEMBERS; i++)
            world_cut(&m[i].c);
        publish(&w, 1, 10, 1);
        world_settle(&w);
        publish(&w, 11, 12, 0);
        world_settle(&w);
        assert_counted(&w, GNT_COUNT_DROPPED_AWAY, 2);
        assert_counted(&w, GNT_COUNT_QUEUED, 10);
        assert_true(world_connect(&w, &m[2].c, false, 1000));
        world_settle(&w);
        assert_int_equal(m[2].c.count, 10);
        close_members(&w, m);
    }
}

static void a_group_ends_with_its_last_member(void **state)
{
    (void)state;
    EACH_NUMBER_OF_HOMES(homes)
    {
        struct world w;
        struct member m[MEMBERS];
        open_members(&w, m, homes, NULL);
        subscribe_all(m, 1);
        for (unsigned i = 0; i < MEMBERS; i++)
            m[i].c.busy = true;
        publish(&w, 1, 5, 1);
        world_settle(&w);
        assert_counted(&w, GNT_COUNT_QUEUED, 5);
        for (unsigned i = 0; i < MEMBERS; i++) {
            assert_int_equal(gnt_session_unsubscribe(m[i].c.session, LITERAL(SHARED)), GNT_DONE);
            world_settle(&w);
        }
        assert_counted(&w, GNT_COUNT_QUEUED, 0);
        assert_counted(&w, GNT_COUNT_DROPPED_SESSION_END, 5);
        assert_counted(&w, GNT_COUNT_SUBSCRIPTIONS, 0);
        assert_int_equal(world_publish(&w, 0, "t", "x", 1, false), GNT_DONE_NO_MATCH);
        m[0].c.busy = false;
        gnt_session_ready(m[0].c.session);
        assert_int_equal(world_subscribe(&m[0].c, SHARED, 1), GNT_DONE); /* a new one */
        publish(&w, 6, 6, 1);
        world_settle(&w);
        assert_string_equal(world_payloads(&m[0].c, 0), "6 ");
        close_members(&w, m);
    }
}

/* [MQTT-3.10.4-3]: what was begun is completed, though the client has left the group. */
static void who_has_left_completes_what_was_begun(void **state)
{
    (void)state;
    EACH_NUMBER_OF_HOMES(homes)
    {
        struct world w;
        struct member m[MEMBERS];
        open_members(&w, m, homes, NULL);
        unsigned last = MEMBERS - 1;
        assert_int_equal(world_subscribe(&m[last].c, SHARED, 1), GNT_DONE);
        publish(&w, 1, 2, 1);
        world_settle(&w);
        assert_int_equal(gnt_session_unsubscribe(m[last].c.session, LITERAL(SHARED)), GNT_DONE);
        world_settle(&w);
        again(&w, &m[last].c);
        assert_string_equal(world_payloads(&m[last].c, 0), "1 2 1 2 ");
        answer_all(&w, m);
        close_members(&w, m);
    }
}

/* [MQTT-3.10.4-2]: an offer that is under way to a client that unsubscribes goes to another. */
static void offers_under_way_are_turned_down_after_unsubscribing(void **state)
{
    (void)state;
    for (unsigned homes = 2; homes <= WORLD_HOMES_MAX; homes++) {
        struct world w;
        struct member m[MEMBERS];
        open_members(&w, m, homes, NULL);
        subscribe_all(m, 1);
        publish(&w, 1, 40, 1);
        for (unsigned to = 1; to < homes;
             to++) /* the message reaches the group, no offer a member */
            while (world_mail_one(&w, 0, to))
                ;
        size_t before[2] = {m[1].c.count, m[2].c.count};
        assert_int_equal(gnt_session_unsubscribe(m[1].c.session, LITERAL(SHARED)), GNT_DONE);
        assert_int_equal(gnt_session_unsubscribe(m[2].c.session, LITERAL(SHARED)), GNT_DONE);
        world_settle(&w);
        assert_int_equal(m[1].c.count, before[0]);
        assert_int_equal(m[2].c.count, before[1]);
        assert_int_equal(got(m), 40);
        close_members(&w, m);
    }
}

/* Offers of an earlier membership must not be taken for offers of the present one. */
static void leaving_and_joining_with_offers_under_way(void **state)
{
    (void)state;
    for (unsigned homes = 2; homes <= WORLD_HOMES_MAX; homes++) {
        struct world w;
        struct member m[MEMBERS];
        open_members(&w, m, homes, NULL);
        subscribe_all(m, 1);
        for (int round = 0; round < 30; round++) {
            publish(&w, round * 40, round * 40 + 39, 1);
            for (unsigned to = 0; to < homes; to++)
                for (int n = 0; n < 1 + round && world_mail_one(&w, 0, to); n++)
                    ;
            for (unsigned i = 0; i < MEMBERS; i++) {
                static const struct gnt_subscribing nobody;
                enum gnt_outcome outcome;
                struct gnt_subscribing answer = nobody;
                assert_int_equal(gnt_session_unsubscribe(m[i].c.session, LITERAL(SHARED)),
                                 GNT_DONE);
                if (i == 0) {
                    assert_int_equal(world_subscribe(&m[i].c, SHARED, 1), GNT_DONE);
                    continue;
                }
                /* The connection breaks, so that the answer to this is not asked for. */
                gnt_session_subscribe(m[i].c.session, LITERAL(SHARED),
                                      &(struct gnt_sub_options){.qos = 1}, GNT_RETAIN_SEND, &answer,
                                      &outcome);
                world_cut(&m[i].c);
                assert_true(world_connect(&w, &m[i].c, false, 1000));
            }
            world_settle(&w);
            answer_all(&w, m);
        }
        for (unsigned i = 0; i < MEMBERS; i++)
            m[i].c.count = 0, m[i].c.answered = 0;
        for (int i = 0; i < 200; i++) { /* nobody has been forgotten */
            publish(&w, i, i, 1);
            world_settle(&w);
        }
        for (unsigned i = 0; i < MEMBERS; i++)
            assert_int_equal(m[i].c.count, 50);
        assert_counted(&w, GNT_COUNT_SHARED_SUBSCRIPTIONS, MEMBERS);
        close_members(&w, m);
    }
}

/* ---- Joins under way */

static unsigned answers;
static enum gnt_outcome answered_with;

static void count_answer(struct gnt_subscribing *s, enum gnt_outcome outcome)
{
    (void)s;
    answers++;
    answered_with = outcome;
}

static struct gnt_subscribing counting = {count_answer};

/* False: the answer will come. */
static bool start_join(struct world_client *c)
{
    enum gnt_outcome outcome;
    return gnt_session_subscribe(c->session, LITERAL(SHARED), &(struct gnt_sub_options){.qos = 1},
                                 GNT_RETAIN_SEND, &counting, &outcome);
}

/* The first member that does not live at the group's home. */
static struct world_client *start_remote_join(struct member *m)
{
    answers = 0;
    for (unsigned i = 0;; i++) {
        assert_true(i < MEMBERS);
        if (!start_join(&m[i].c))
            return &m[i].c;
        assert_int_equal(gnt_session_unsubscribe(m[i].c.session, LITERAL(SHARED)), GNT_DONE);
    }
}

static void a_join_is_answered_when_the_group_has_heard(void **state)
{
    (void)state;
    struct world w;
    struct member m[MEMBERS];
    open_members(&w, m, 2, NULL);
    struct world_client *c = start_remote_join(m);
    assert_int_equal(answers, 0);
    world_settle(&w);
    assert_int_equal(answers, 1);
    assert_int_equal(answered_with, GNT_DONE);
    publish(&w, 1, 1, 1);
    world_settle(&w);
    assert_int_equal(c->count, 1);
    close_members(&w, m);
}

static void a_join_is_answered_though_there_was_no_memory_for_mail(void **state)
{
    (void)state;
    struct world w;
    struct member m[MEMBERS];
    open_members(&w, m, 2, NULL);
    struct world_client *c = start_remote_join(m);
    w.post_fails = true;
    world_settle(&w);
    assert_int_equal(answers, 0);
    w.post_fails = false;
    world_pass(&w, 1);
    assert_int_equal(answers, 1);
    publish(&w, 1, 2, 1);
    world_settle(&w);
    assert_string_equal(world_payloads(c, 0), "1 2 ");
    close_members(&w, m);
}

static void an_offer_is_made_though_there_was_no_memory_for_mail(void **state)
{
    (void)state;
    struct world w;
    struct member m[MEMBERS];
    open_members(&w, m, 2, NULL);
    struct world_client *c = start_remote_join(m);
    world_settle(&w);
    unsigned at = w.core->homes[0].groups.count ? 0 : 1;
    w.post_fails = true;
    assert_int_equal(world_publish(&w, at, "t", "1", 1, false), GNT_DONE);
    assert_counted(&w, GNT_COUNT_QUEUED, 1);
    w.post_fails = false;
    world_settle(&w);
    assert_string_equal(world_payloads(c, 0), "1 ");
    close_members(&w, m);
}

static void unsubscribing_while_a_join_is_under_way(void **state)
{
    (void)state;
    for (int rejoin = 0; rejoin < 2; rejoin++) {
        struct world w;
        struct member m[MEMBERS];
        open_members(&w, m, 2, NULL);
        struct world_client *c = start_remote_join(m);
        assert_int_equal(gnt_session_unsubscribe(c->session, LITERAL(SHARED)), GNT_DONE);
        if (rejoin)
            assert_false(start_join(c));
        world_settle(&w);
        assert_int_equal(answers, 1 + rejoin);
        assert_counted(&w, GNT_COUNT_SHARED_SUBSCRIPTIONS, rejoin);
        for (int i = 0; i < 50; i++) {
            publish(&w, i, i, 1);
            world_settle(&w);
        }
        assert_int_equal(c->count, rejoin ? 50 : 0);
        close_members(&w, m);
    }
}

static void a_break_while_a_join_is_under_way(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++) {
        struct world w;
        struct member m[MEMBERS];
        open_members(&w, m, 2, NULL);
        struct world_client *c = start_remote_join(m);
        world_cut(c);
        if (how == 1)
            assert_true(world_connect(&w, c, false, 1000)); /* back before the group has answered */
        if (how == 2)
            assert_true(world_connect(&w, c, true, 1000)); /* as another session */
        world_settle(&w);
        if (how == 0)
            assert_true(world_connect(&w, c, false, 1000));
        world_settle(&w);
        assert_int_equal(answers, 0); /* nobody waits for it any more */
        assert_counted(&w, GNT_COUNT_SHARED_SUBSCRIPTIONS, how == 2 ? 0 : 1);
        publish(&w, 1, 3, 1);
        world_settle(&w);
        assert_int_equal(c->count, how == 2 ? 0 : 3);
        close_members(&w, m);
    }
}

/* ---- Queue and order */

static void the_group_queue_is_bounded(void **state)
{
    (void)state;
    static const struct {
        enum gnt_overflow overflow;
        size_t count, bytes;
        const char *kept;
    } rows[] = {
        {GNT_OVERFLOW_DROP_NEWEST, 3, 0, "1 2 3 "}, {GNT_OVERFLOW_DROP_OLDEST, 3, 0, "3 4 5 "},
        {GNT_OVERFLOW_DISCONNECT, 3, 0, "1 2 3 "},  {GNT_OVERFLOW_DROP_NEWEST, 0, 2, "1 2 "},
        {GNT_OVERFLOW_DROP_OLDEST, 0, 2, "4 5 "},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_core_config config = world_config(1);
        config.overflow = rows[i].overflow;
        config.queued_per_session = rows[i].count;
        config.queued_bytes_per_session = rows[i].bytes;
        struct world w;
        struct member m[MEMBERS];
        open_members(&w, m, 1, &config);
        m[0].c.busy = true;
        assert_int_equal(world_subscribe(&m[0].c, SHARED, 1), GNT_DONE);
        publish(&w, 1, 5, 1);
        world_settle(&w);
        m[0].c.busy = false;
        gnt_session_ready(m[0].c.session);
        world_settle(&w);
        assert_string_equal(world_payloads(&m[0].c, 0), rows[i].kept);
        assert_counted(&w, GNT_COUNT_DROPPED_QUEUE_FULL, 5 - (int64_t)m[0].c.count);
        close_members(&w, m);
    }
}

static void messages_expire_in_the_group(void **state)
{
    (void)state;
    struct world w;
    struct member m[MEMBERS];
    open_members(&w, m, 1, NULL);
    m[0].c.busy = true;
    assert_int_equal(world_subscribe(&m[0].c, SHARED, 1), GNT_DONE);
    for (unsigned i = 0; i < 3; i++) {
        struct gnt_message *msg = world_message("t", (const char *[]){"1", "2", "3"}[i], 1, false);
        msg->expires = w.now + (i == 1 ? 100 : 10) * GNT_NS_PER_S;
        assert_int_equal(gnt_publish(&w.core->homes[0], msg, NULL), GNT_DONE);
        gnt_message_unref(&msg);
    }
    world_pass(&w, 20);
    m[0].c.busy = false;
    gnt_session_ready(m[0].c.session);
    world_settle(&w);
    assert_string_equal(world_payloads(&m[0].c, 0), "2 ");
    assert_counted(&w, GNT_COUNT_EXPIRED, 2);
    close_members(&w, m);
}

/* One step of something. */
static void stir(struct world *w, struct world_client *c, struct gnt_seeded *g, int *published)
{
    const struct gnt_random *r = &g->door;
    char payload[12];
    switch (gnt_random_below(r, 9)) {
    case 0:
    case 1: /* a publisher whose message has failed sends it again */
        snprintf(payload, sizeof payload, "%d", *published + 1);
        *published += world_publish(w, 0, "t", payload, 1, false) != GNT_FAILED;
        break;
    case 8:
        w->post_fails = gnt_random_below(r, 3) == 0;
        w->now += GNT_NS_PER_MS;
        for (unsigned i = 0; i < w->homes; i++)
            gnt_timers_run(&w->timers[i], w->now);
        break;
    case 2: world_answer(c); break;
    case 3:
        c->busy = !c->busy;
        if (!c->busy)
            gnt_session_ready(c->session);
        break;
    case 4:
        if (gnt_random_below(r, 8) == 0) {
            world_cut(c);
            if (gnt_random_below(r, 2)) /* what it has not answered has not arrived */
                c->count = c->answered;
            c->busy = false;
            assert_true(world_connect(w, c, false, 1000));
        }
        break;
    default:
        for (int i = 0; i < 6; i++)
            world_mail_one(w, (unsigned)gnt_random_below(r, w->homes),
                           (unsigned)gnt_random_below(r, w->homes));
    }
}

/* A member alone sees the first copy of each message in order, however mail, room and memory come.
 */
static void order_with_one_member(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        unsigned homes = 1 + (unsigned)seed % 4;
        struct world w;
        struct member m[MEMBERS];
        struct gnt_seeded g;
        gnt_seeded_init(&g, seed);
        open_members(&w, m, homes, NULL);
        struct world_client *c = &m[seed / 4 % MEMBERS].c;
        assert_true(world_connect(&w, c, false, 1000));
        world_cut(c);
        c->receive_max = (uint16_t)(1 + seed % 5);
        assert_true(world_connect(&w, c, false, 1000));
        assert_int_equal(world_subscribe(c, SHARED, 1), GNT_DONE);
        int published = 0, highest = 0;
        for (int i = 0; i < 400; i++)
            stir(&w, c, &g, &published);
        c->busy = w.post_fails = false;
        world_pass(&w, 1);
        gnt_session_ready(c->session);
        world_settle(&w);
        answer_all(&w, m);
        for (size_t i = 0; i < c->count; i++) {
            int n = atoi(c->got[i].payload);
            if (n > highest + 1)
                print_error("seed %llu: %d after %d\n", (unsigned long long)seed, n, highest);
            assert_true(n <= highest + 1);
            highest = n > highest ? n : highest;
        }
        assert_int_equal(highest, published);
        close_members(&w, m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_share_fairly),
        cmocka_unit_test(each_gets_what_it_asked_for),
        cmocka_unit_test(a_busy_member_is_passed_over),
        cmocka_unit_test(full_windows_do_not_stall_the_group),
        cmocka_unit_test(what_a_member_leaves_goes_to_another),
        cmocka_unit_test(exactly_once_stays_with_its_member),
        cmocka_unit_test(messages_wait_for_members_that_are_away),
        cmocka_unit_test(a_group_ends_with_its_last_member),
        cmocka_unit_test(who_has_left_completes_what_was_begun),
        cmocka_unit_test(offers_under_way_are_turned_down_after_unsubscribing),
        cmocka_unit_test(leaving_and_joining_with_offers_under_way),
        cmocka_unit_test(a_join_is_answered_when_the_group_has_heard),
        cmocka_unit_test(a_join_is_answered_though_there_was_no_memory_for_mail),
        cmocka_unit_test(an_offer_is_made_though_there_was_no_memory_for_mail),
        cmocka_unit_test(unsubscribing_while_a_join_is_under_way),
        cmocka_unit_test(a_break_while_a_join_is_under_way),
        cmocka_unit_test(the_group_queue_is_bounded),
        cmocka_unit_test(messages_expire_in_the_group),
        cmocka_unit_test(order_with_one_member),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
