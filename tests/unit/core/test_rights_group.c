/* Shared groups whose members may not be given everything. */
#include "core/group.h"

#include "base/random.h"
#include "core/session_private.h"
#include "store/memory.h"
#include "support/core_world.h"
#include "support/unit.h"

#include <stdio.h>
#include <stdlib.h>

enum { HOMES = 3, MEMBERS = 4, TOPICS = 5 };

struct fixture {
    struct world w;
    struct gnt_access *list;
    char ids[MEMBERS][16];
    struct world_client m[MEMBERS];
    unsigned published[TOPICS];
};

static const char *const topics[TOPICS] = {"x/1", "x/2", "y/1", "y/2", "z"};
static const char *const users[MEMBERS] = {"ann", "bob", "cid", "dot"};

/* Members at all homes, COUNT of them, which share "#" with session expiry 1000. */
static void begin(struct fixture *f, unsigned count, struct gnt_access *list)
{
    *f = (struct fixture){.list = list};
    world_init(&f->w, HOMES, NULL);
    world_take_access(&f->w, list);
    for (unsigned i = 0; i < MEMBERS; i++) {
        world_id_at(&f->w, i % HOMES, i, f->ids[i]);
        f->m[i] = (struct world_client){.id = f->ids[i], .user = users[i]};
        if (i >= count)
            continue;
        assert_true(world_connect(&f->w, &f->m[i], true, 1000));
        assert_int_equal(world_subscribe(&f->m[i], "$share/g/#", 1), GNT_DONE);
    }
}

static void take_list(struct fixture *f, struct gnt_access *list)
{
    gnt_access_unref(&f->list);
    f->list = list;
    world_take_access(&f->w, list);
}

static void end(struct fixture *f)
{
    world_settle(&f->w);
    assert_ledger(&f->w);
    for (unsigned i = 0; i < MEMBERS; i++) {
        if (f->m[i].session)
            gnt_session_close(f->m[i].session, GNT_PARTING_CLEAN, 0);
        world_client_fini(&f->m[i]);
    }
    world_settle(&f->w);
    world_fini(&f->w);
    gnt_access_unref(&f->list);
}

static void publish(struct fixture *f, const char *topic)
{
    static unsigned home;
    assert_int_equal(world_publish(&f->w, home++ % HOMES, topic, topic, 1, false), GNT_DONE);
}

static void nobody(struct gnt_subscribing *request, enum gnt_outcome outcome)
{
    (void)request;
    assert_int_equal(outcome, GNT_DONE);
}

static void settle(struct fixture *f)
{
    world_settle(&f->w);
    for (unsigned i = 0; i < MEMBERS; i++)
        while (f->m[i].session && world_answer(&f->m[i]))
            world_settle(&f->w);
}

static void members_are_passed_over_where_they_may_not(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 3, WORLD_LIST("ann subscribe x/#", "bob subscribe y/#", "cid subscribe y/#"));
    for (unsigned i = 0; i < 4; i++) {
        publish(&f, "x/1");
        publish(&f, "y/1");
        publish(&f, "y/1");
        publish(&f, "z");
        settle(&f);
    }
    assert_string_equal(world_payloads(&f.m[0], 0), "x/1 x/1 x/1 x/1 ");
    assert_int_equal(f.m[1].count + f.m[2].count, 8);
    assert_true(f.m[1].count && f.m[2].count);
    assert_counted(&f.w, GNT_COUNT_DROPPED_DENIED, 4);
    assert_counted(&f.w, GNT_COUNT_QUEUED, 0);
    end(&f);
}

static void who_may_all_of_it_is_not_looked_at(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 2, WORLD_LIST("ann subscribe #", "bob subscribe y/#"));
    assert_false(gnt_session_looks(f.m[0].session));
    assert_true(gnt_session_looks(f.m[1].session));
    publish(&f, "z");
    publish(&f, "z");
    settle(&f);
    assert_string_equal(world_payloads(&f.m[0], 0), "z z ");
    assert_int_equal(gnt_session_unsubscribe(f.m[0].session, gnt_slice_str("$share/g/#")),
                     GNT_DONE);
    world_settle(&f.w);
    publish(&f, "z");
    settle(&f);
    assert_counted(&f.w, GNT_COUNT_DROPPED_DENIED, 1);
    assert_int_equal(gnt_session_unsubscribe(f.m[1].session, gnt_slice_str("$share/g/#")),
                     GNT_DONE);
    assert_false(gnt_session_looks(f.m[1].session));
    end(&f);
}

/* What is only for somebody who is away, or busy, waits for it, and holds up nobody else. */
static void who_is_away_does_not_hold_up_the_others(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 2, WORLD_LIST("ann subscribe x/#", "bob subscribe y/#"));
    world_cut(&f.m[1]);
    world_settle(&f.w);
    for (unsigned i = 0; i < 3; i++) {
        char topic[8];
        snprintf(topic, sizeof topic, "y/%u", i);
        publish(&f, topic);
        publish(&f, "x/1");
        settle(&f);
    }
    assert_int_equal(world_publish(&f.w, 0, "y/none", "once", 0, false), GNT_DONE);
    settle(&f);
    assert_string_equal(world_payloads(&f.m[0], 0), "x/1 x/1 x/1 ");
    assert_counted(&f.w, GNT_COUNT_QUEUED, 3);
    assert_counted(&f.w, GNT_COUNT_DROPPED_AWAY, 1);
    f.m[1].receive_max = 1;
    assert_true(world_connect(&f.w, &f.m[1], false, 1000));
    world_settle(&f.w);
    assert_int_equal(f.m[1].count, 1);
    publish(&f, "y/3"); /* it has no room, and this waits behind the others */
    publish(&f, "x/2");
    settle(&f);
    assert_string_equal(world_payloads(&f.m[1], 0), "y/0 y/1 y/2 y/3 ");
    assert_string_equal(world_payloads(&f.m[0], 3), "x/2 ");
    assert_counted(&f.w, GNT_COUNT_QUEUED, 0);

    /* The first that waits is put aside when somebody has room who may not have it. */
    f.m[0].busy = f.m[1].busy = true;
    for (unsigned i = 0; i < 4; i++)
        publish(&f, i < 2 ? "x/3" : "y/4");
    settle(&f);
    f.m[1].busy = false;
    gnt_session_ready(f.m[1].session);
    settle(&f);
    assert_string_equal(world_payloads(&f.m[1], 4), "y/4 y/4 ");
    assert_int_equal(f.m[0].count, 4);
    f.m[0].busy = false;
    gnt_session_ready(f.m[0].session);
    settle(&f);
    assert_string_equal(world_payloads(&f.m[0], 4), "x/3 x/3 ");
    end(&f);
}

static void what_is_aside_is_bounded_and_ends_with_its_member(void **state)
{
    (void)state;
    struct fixture f;
    struct gnt_core_config config = world_config(HOMES);
    config.queued_per_session = 5;
    begin(&f, 2, WORLD_LIST("ann subscribe x/#", "bob subscribe y/#"));
    for (unsigned i = 0; i < HOMES; i++) {
        struct gnt_core_config *c = &f.w.core->homes[i].config;
        c->queued_per_session = config.queued_per_session;
    }
    world_cut(&f.m[1]);
    world_settle(&f.w);
    for (unsigned i = 0; i < 7; i++)
        publish(&f, "y/1");
    publish(&f, "x/1");
    settle(&f);
    assert_counted(&f.w, GNT_COUNT_QUEUED, 5);
    assert_counted(&f.w, GNT_COUNT_DROPPED_QUEUE_FULL, 2);
    assert_int_equal(f.m[0].count, 1);
    assert_ledger(&f.w);
    f.w.now += 2000 * GNT_NS_PER_S; /* its session expires */
    settle(&f);
    assert_counted(&f.w, GNT_COUNT_QUEUED, 0);
    assert_counted(&f.w, GNT_COUNT_DROPPED_DENIED, 5);
    end(&f);
}

/* Also where a queue may hold more, or as much as it wants. */
static void what_is_aside_is_bounded_anyway(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 2, WORLD_LIST("ann subscribe x/#", "bob subscribe y/#"));
    for (unsigned i = 0; i < HOMES; i++)
        f.w.core->homes[i].config.queued_per_session = 0;
    world_cut(&f.m[1]);
    world_settle(&f.w);
    for (unsigned i = 0; i < GNT_GROUP_ASIDE_MAX + 3; i++)
        publish(&f, "y/1");
    settle(&f);
    assert_counted(&f.w, GNT_COUNT_QUEUED, GNT_GROUP_ASIDE_MAX);
    assert_counted(&f.w, GNT_COUNT_DROPPED_QUEUE_FULL, 3);
    assert_true(world_connect(&f.w, &f.m[1], false, 1000));
    settle(&f);
    assert_int_equal(f.m[1].count, GNT_GROUP_ASIDE_MAX);
    end(&f);
}

static void a_group_ends_with_what_is_aside(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 2, WORLD_LIST("ann subscribe x/#", "bob subscribe y/#"));
    world_cut(&f.m[1]);
    world_settle(&f.w);
    publish(&f, "y/1");
    settle(&f);
    gnt_session_close(f.m[0].session, GNT_PARTING_CLEAN, 0);
    f.m[0].session = NULL;
    f.w.now += 2000 * GNT_NS_PER_S;
    world_settle(&f.w);
    assert_counted(&f.w, GNT_COUNT_QUEUED, 0);
    assert_counted(&f.w, GNT_COUNT_DROPPED_SESSION_END, 1);
    end(&f);
}

static void a_new_list_holds_in_groups(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 2, NULL);
    publish(&f, "x/1");
    publish(&f, "x/2");
    settle(&f);
    assert_int_equal(f.m[0].count + f.m[1].count, 2);
    take_list(&f, WORLD_LIST("ann subscribe x/#"));
    settle(&f);
    size_t bobs = f.m[1].count;
    for (unsigned i = 0; i < 4; i++)
        publish(&f, "x/3");
    publish(&f, "y");
    settle(&f);
    assert_int_equal(f.m[1].count, bobs);
    assert_int_equal(f.m[0].count + f.m[1].count, 6);
    assert_counted(&f.w, GNT_COUNT_DROPPED_DENIED, 1);
    world_cut(&f.m[0]);
    world_settle(&f.w);
    publish(&f, "x/4");
    settle(&f);
    assert_counted(&f.w, GNT_COUNT_QUEUED, 1);
    take_list(&f, WORLD_LIST("ann subscribe x/#", "bob subscribe x/#"));
    settle(&f);
    assert_string_equal(world_payloads(&f.m[1], bobs), "x/4 ");
    take_list(&f, NULL);
    settle(&f);
    publish(&f, "y");
    settle(&f);
    assert_string_equal(world_payloads(&f.m[1], bobs), "x/4 y ");
    assert_false(gnt_session_looks(f.m[1].session));
    end(&f);
}

/* The session has the new rights, and what was offered by the old ones is still on its way. */
static void what_is_offered_by_old_rights_is_turned_down(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 3, NULL);
    for (unsigned round = 0; round < 3; round++) { /* the group is at the home of one of them */
        for (unsigned i = 0; i < 9; i++)
            publish(&f, "x/1");
        for (unsigned from = 0; from < HOMES; from++)
            for (unsigned to = 0; to < HOMES; to++)
                while (from != to && world_mail_one(&f.w, from, to) && round)
                    ;
        take_list(&f, round == 1 ? NULL : WORLD_LIST("dot subscribe x/#"));
        for (unsigned i = 0; i < HOMES; i++) {
            f.w.now++;
            gnt_timers_run(&f.w.timers[i], f.w.now);
        }
        settle(&f); /* whoever is sent one may have it at that moment: the world looks */
        take_list(&f, NULL);
        settle(&f);
    }
    assert_counted(&f.w, GNT_COUNT_QUEUED, 0);
    assert_ledger(&f.w);
    end(&f);
}

static void on_joined(struct gnt_subscribing *wish, enum gnt_outcome outcome)
{
    (void)wish;
    assert_int_equal(outcome, GNT_DONE);
}

/* The list changes while a member is on its way to a group at another home. */
static void who_joins_meanwhile_has_the_new_rights(void **state)
{
    (void)state;
    for (unsigned i = 0; i < HOMES; i++) {
        struct fixture f;
        begin(&f, 0, NULL);
        struct world_client *m = &f.m[i];
        assert_true(world_connect(&f.w, m, true, 1000));
        struct gnt_subscribing wish = {on_joined};
        enum gnt_outcome outcome;
        bool now = gnt_session_subscribe(m->session, gnt_slice_str("$share/g/#"),
                                         &(struct gnt_sub_options){.qos = 1}, GNT_RETAIN_SEND,
                                         &wish, &outcome);
        assert_true(!now || outcome == GNT_DONE);
        take_list(&f, WORLD_LIST("* subscribe x/#"));
        gnt_timers_run(&f.w.timers[i], ++f.w.now);
        gnt_timers_run(&f.w.timers[i], ++f.w.now); /* it has told all groups that it knows */
        settle(&f);
        publish(&f, "y");
        publish(&f, "x/1");
        settle(&f);
        assert_string_equal(world_payloads(m, 0), "x/1 ");
        assert_counted(&f.w, GNT_COUNT_DROPPED_DENIED, 1);
        end(&f);
    }
}

/* Its group cannot be told: nothing that it may not have comes meanwhile, and all is well
 * afterwards. */
static void groups_are_told_again_if_there_was_no_memory(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 2, NULL);
    take_list(&f, WORLD_LIST("ann subscribe x/#", "bob subscribe y/#"));
    f.w.post_fails = true;
    for (unsigned turn = 0; turn < 5; turn++)
        for (unsigned i = 0; i < HOMES; i++) {
            f.w.now++;
            gnt_timers_run(&f.w.timers[i], f.w.now);
        }
    assert_true(gnt_session_marking(f.m[0].session));
    f.w.post_fails = false;
    for (unsigned i = 0; i < 4; i++)
        publish(&f, i & 1 ? "x/1" : "y/1");
    settle(&f);
    assert_false(gnt_session_marking(f.m[0].session));
    assert_string_equal(world_payloads(&f.m[0], 0), "x/1 x/1 ");
    assert_string_equal(world_payloads(&f.m[1], 0), "y/1 y/1 ");
    end(&f);
}

/* ---- At random: the world looks whether each delivery is permitted at that moment. */

enum { SEEDS = 60, STEPS = 400 };

static struct gnt_access *list_by_lot(struct gnt_seeded *lot)
{
    static const char *const filters[] = {"x/#", "y/#", "+/1", "#", "z", "x/2"};
    char text[8][64];
    const char *rules[8];
    size_t count = 1 + gnt_random_below(&lot->door, 8);
    if (gnt_random_below(&lot->door, 6) == 0)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        snprintf(text[i], sizeof text[i], "%s %s %s", users[gnt_random_below(&lot->door, MEMBERS)],
                 gnt_random_below(&lot->door, 4) ? "subscribe" : "not-receive",
                 filters[gnt_random_below(&lot->door, COUNT_OF(filters))]);
        rules[i] = text[i];
    }
    return world_list(rules, count);
}

static void step(struct fixture *f, struct gnt_seeded *lot, bool lists)
{
    unsigned i = (unsigned)gnt_random_below(&lot->door, MEMBERS);
    struct world_client *m = &f->m[i];
    switch (gnt_random_below(&lot->door, 12)) {
    case 0:
        if (lists)
            take_list(f, list_by_lot(lot));
        break;
    case 1:
        if (m->session)
            world_cut(m);
        else
            assert_true(world_connect(&f->w, m, false, 1000));
        break;
    case 2:
        m->busy = !m->busy;
        if (!m->busy && m->session)
            gnt_session_ready(m->session);
        break;
    case 3:
        for (unsigned home = 0; home < HOMES; home++) {
            f->w.now++;
            gnt_timers_run(&f->w.timers[home], f->w.now);
        }
        break;
    case 4:
    case 5:
        if (m->session)
            world_answer(m);
        break;
    case 6:
    case 7:
        world_mail_one(&f->w, (unsigned)gnt_random_below(&lot->door, HOMES),
                       (unsigned)gnt_random_below(&lot->door, HOMES));
        break;
    case 8: world_settle(&f->w); break;
    default: {
        unsigned t = (unsigned)gnt_random_below(&lot->door, TOPICS);
        char number[12];
        snprintf(number, sizeof number, "%u", f->published[t]++);
        assert_int_equal(world_publish(&f->w, t % HOMES, topics[t], number, 1, false), GNT_DONE);
    }
    }
}

/* Everybody is there, and takes what comes. */
static void drain(struct fixture *f)
{
    for (unsigned i = 0; i < MEMBERS; i++) {
        f->m[i].busy = false;
        if (!f->m[i].session)
            assert_true(world_connect(&f->w, &f->m[i], false, 1000));
        gnt_session_ready(f->m[i].session);
    }
    settle(f);
    settle(f);
}

static void at_random(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct fixture f;
        struct gnt_seeded lot;
        gnt_seeded_init(&lot, seed);
        begin(&f, MEMBERS, NULL);
        for (unsigned i = 0; i < MEMBERS; i++) /* a plain subscription, too, and another group */
            if (gnt_random_below(&lot.door, 2))
                assert_int_equal(world_subscribe(&f.m[i], i & 1 ? "+/1" : "$share/h/#", 1),
                                 GNT_DONE);
        for (unsigned i = 0; i < STEPS; i++)
            step(&f, &lot, true);
        take_list(&f, NULL);
        world_settle(&f.w);
        drain(&f);
        assert_counted(&f.w, GNT_COUNT_QUEUED, 0);
        end(&f);
    }
}

/* How many messages of TOPIC have come to some member. */
static unsigned delivered(const struct fixture *f, const char *topic)
{
    bool came[STEPS] = {false};
    unsigned n = 0;
    for (unsigned i = 0; i < MEMBERS; i++)
        for (size_t d = 0; d < f->m[i].count; d++)
            if (strcmp(f->m[i].got[d].topic, topic) == 0)
                came[atoi(f->m[i].got[d].payload)] = true;
    for (unsigned i = 0; i < STEPS; i++)
        n += came[i];
    return n;
}

/* One list all the time: each message goes to somebody who may have it, if there is anybody.
 */
static void at_random_under_one_list(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct fixture f;
        struct gnt_seeded lot;
        gnt_seeded_init(&lot, seed);
        begin(&f, MEMBERS, NULL);
        struct gnt_access *list = list_by_lot(&lot);
        take_list(&f, list);
        settle(&f);
        bool anybody[TOPICS] = {false};
        for (unsigned t = 0; t < TOPICS; t++)
            for (unsigned i = 0; i < MEMBERS; i++)
                anybody[t] |= gnt_session_may_receive(f.m[i].session, gnt_slice_str(topics[t]));
        memset(f.published, 0, sizeof f.published);
        for (unsigned i = 0; i < STEPS; i++)
            step(&f, &lot, false);
        drain(&f);
        int64_t denied = 0;
        assert_counted(&f.w, GNT_COUNT_QUEUED, 0);
        for (unsigned t = 0; t < TOPICS; t++) {
            denied += anybody[t] ? 0 : f.published[t];
            assert_int_equal(delivered(&f, topics[t]), anybody[t] ? f.published[t] : 0);
        }
        assert_counted(&f.w, GNT_COUNT_DROPPED_DENIED, denied);
        end(&f);
    }
}

static unsigned asked;

/* ann may have x, the others y. */
static bool ask(void *context, struct gnt_principal who, enum gnt_verb verb, struct gnt_slice topic)
{
    (void)context;
    asked++;
    bool ann = gnt_slice_eq_str(who.user, "ann");
    return verb != GNT_VERB_RECEIVE || topic.data[0] == (ann ? 'x' : 'y');
}

/* One member is stuck; what waits for it is not looked at again for each message of another. */
static void who_is_stuck_costs_the_others_little(void **state)
{
    (void)state;
    enum { MESSAGES = 200 };
    struct gnt_access *list;
    struct fixture f;
    assert_int_equal(gnt_access_asking(ask, NULL, &list), GNT_OK);
    begin(&f, 0, list);
    for (unsigned i = 0; i < 3; i++) { /* one of them may live where the group does */
        f.m[i].receive_max = 1;
        assert_true(world_connect(&f.w, &f.m[i], true, 1000));
        assert_int_equal(world_subscribe(&f.m[i], "$share/g/#", 1), GNT_DONE);
    }
    for (unsigned i = 0; i < MESSAGES; i++)
        publish(&f, "x/1");
    world_settle(&f.w);
    for (unsigned i = 0; i < MESSAGES; i++)
        publish(&f, "y/1");
    asked = 0;
    size_t got = 0;
    for (size_t n = 1; n;) {
        world_settle(&f.w);
        n = world_answer(&f.m[1]) + world_answer(&f.m[2]);
        got += n;
    }
    assert_int_equal(got, MESSAGES);
    assert_true(asked < 200 * MESSAGES); /* up to 32 offers at a time come back */
    assert_int_equal(f.m[0].count, 1);
    for (size_t n = 1; n; got += n) { /* it comes round, and has all that is its own */
        n = world_answer(&f.m[0]);
        world_settle(&f.w);
    }
    assert_int_equal(got, 2 * MESSAGES);
    end(&f);
}

/* A list ends while a group that lives elsewhere has not answered yet, and is told what its member
 * may as soon as it has. */
static void a_list_that_ends_before_the_group_answers(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 0, WORLD_LIST("* subscribe x/#"));
    for (unsigned i = 0; i < HOMES; i++) { /* one of them may live where the group does */
        struct world_client *c = &f.m[i];
        c->user = NULL;
        enum gnt_outcome outcome;
        const struct gnt_sub_options options = {.qos = 1};
        struct gnt_subscribing answer = {.done = nobody};
        assert_true(world_connect(&f.w, c, true, 1000));
        bool answered = gnt_session_subscribe(c->session, gnt_slice_str("$share/g/#"), &options,
                                              GNT_RETAIN_SEND, &answer, &outcome);
        take_list(&f, NULL);
        f.w.now++; /* what is on its way stays there */
        gnt_timers_run(&f.w.timers[i], f.w.now);
        assert_false(!answered && gnt_session_marking(c->session));
        settle(&f);
        world_publish(&f.w, 0, "y", "y", 0, false);
        settle(&f);
        assert_string_equal(world_payloads(c, 0), "y ");
        assert_int_equal(gnt_session_unsubscribe(c->session, gnt_slice_str("$share/g/#")),
                         GNT_DONE);
        take_list(&f, WORLD_LIST("* subscribe x/#"));
        settle(&f);
    }
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_passed_over_where_they_may_not),
        cmocka_unit_test(who_may_all_of_it_is_not_looked_at),
        cmocka_unit_test(who_is_away_does_not_hold_up_the_others),
        cmocka_unit_test(what_is_aside_is_bounded_and_ends_with_its_member),
        cmocka_unit_test(what_is_aside_is_bounded_anyway),
        cmocka_unit_test(a_group_ends_with_what_is_aside),
        cmocka_unit_test(a_new_list_holds_in_groups),
        cmocka_unit_test(what_is_offered_by_old_rights_is_turned_down),
        cmocka_unit_test(who_joins_meanwhile_has_the_new_rights),
        cmocka_unit_test(groups_are_told_again_if_there_was_no_memory),
        cmocka_unit_test(at_random),
        cmocka_unit_test(at_random_under_one_list),
        cmocka_unit_test(a_list_that_ends_before_the_group_answers),
        cmocka_unit_test(who_is_stuck_costs_the_others_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
