/* Sessions under an access list: what they may subscribe to, what of it they are given, and what a
 * new list changes. */
#include "core/session_private.h"

#include "core/record.h"
#include "store/memory.h"
#include "support/alloc_fault.h"
#include "support/core_world.h"
#include "support/unit.h"

#include <stdio.h>

struct fixture {
    struct world w;
    struct gnt_access *list;
};

static void begin(struct fixture *f, unsigned homes, struct gnt_access *list)
{
    world_init(&f->w, homes, NULL);
    f->list = list;
    world_take_access(&f->w, list);
}

/* Lists that have been replaced are let go; the core has its own references. */
static void replace(struct fixture *f, struct gnt_access *list)
{
    gnt_access_unref(&f->list);
    f->list = list;
    world_take_access(&f->w, list);
}

static void end(struct fixture *f, struct world_client *c)
{
    world_settle(&f->w);
    if (c->session)
        gnt_session_close(c->session, GNT_PARTING_CLEAN, 0);
    c->session = NULL;
    world_client_fini(c);
}

static void end_world(struct fixture *f)
{
    world_fini(&f->w);
    gnt_access_unref(&f->list);
}

static void publish(struct fixture *f, unsigned home, const char *topic, uint8_t qos)
{
    assert_true(world_publish(&f->w, home, topic, topic, qos, false) <= GNT_DONE_NO_MATCH);
}

static uint64_t row(const struct world_client *c, enum gnt_counter which)
{
    const struct gnt_ledger *l = gnt_session_ledger(c->session);
    return l ? gnt_ledger_row(l, which) : 0;
}

/* ---- Subscribing */

static void what_reaches_nothing_is_refused(void **state)
{
    (void)state;
    struct fixture f;
    struct world_client c = {.id = "c", .user = "ann"};
    begin(&f, 1,
          WORLD_LIST("ann subscribe a/#", "ann not-subscribe a/secret/#", "ann receive m/#"));
    assert_true(world_connect(&f.w, &c, true, 0));
    assert_int_equal(world_subscribe(&c, "b", 1), GNT_NOT_ALLOWED);
    assert_int_equal(world_subscribe(&c, "a/secret/x", 1), GNT_NOT_ALLOWED);
    assert_int_equal(world_subscribe(&c, "m/x", 1), GNT_NOT_ALLOWED); /* only to be given it */
    assert_int_equal(world_subscribe(&c, "$share/g/b", 1), GNT_NOT_ALLOWED);
    /* Of topics that begin with $share, of which nothing was said. */
    assert_int_equal(world_subscribe(&c, "$share/g/$share/h/a/b", 1), GNT_NOT_ALLOWED);
    assert_int_equal(world_subscribe(&c, "a#", 1), GNT_FILTER_INVALID);
    assert_counted(&f.w, GNT_COUNT_SUBSCRIPTIONS_DENIED, 5);
    assert_counted(&f.w, GNT_COUNT_SUBSCRIPTIONS, 0);
    assert_false(gnt_session_looks(c.session));

    assert_int_equal(world_subscribe(&c, "a/open/+", 1), GNT_DONE); /* all of it */
    assert_false(gnt_session_looks(c.session));
    assert_int_equal(world_subscribe(&c, "a/#", 1), GNT_DONE);
    assert_true(gnt_session_looks(c.session));
    assert_int_equal(world_subscribe(&c, "#", 1), GNT_DONE);
    assert_int_equal(gnt_session_unsubscribe(c.session, gnt_slice_str("a/#")), GNT_DONE);
    assert_true(gnt_session_looks(c.session));
    assert_int_equal(gnt_session_unsubscribe(c.session, gnt_slice_str("#")), GNT_DONE);
    assert_false(gnt_session_looks(c.session));
    end(&f, &c);
    end_world(&f);
}

static void without_a_list_nobody_is_bounded(void **state)
{
    (void)state;
    struct fixture f;
    struct world_client named = {.id = "n", .user = "ann"}, c = {.id = "c"};
    begin(&f, 1, NULL);
    assert_true(world_connect(&f.w, &named, true, 0));
    assert_true(world_connect(&f.w, &c, true, 0));
    assert_int_equal(world_subscribe(&named, "#", 0), GNT_DONE);
    assert_int_equal(world_subscribe(&c, "#", 0), GNT_DONE);
    assert_null(gnt_session_rights(c.session));
    assert_null(gnt_session_rights(named.session));
    assert_int_equal(gnt_session_user(c.session).size, 0);
    assert_true(gnt_slice_eq_str(gnt_session_user(named.session), "ann"));
    assert_false(gnt_session_looks(c.session) || gnt_session_looks(named.session));
    assert_int_equal(f.w.core->homes[0].bounds.count, 1);
    end(&f, &named);
    end(&f, &c);
    assert_int_equal(f.w.core->homes[0].bounds.count, 0);
    end_world(&f);
}

/* ---- What comes */

static void only_what_is_permitted_is_delivered(void **state)
{
    (void)state;
    struct fixture f;
    struct world_client c = {.id = "c"};
    begin(&f, 1, WORLD_LIST("* subscribe a/#", "* not-receive a/+/key"));
    assert_true(world_connect(&f.w, &c, true, 0));
    assert_int_equal(world_subscribe(&c, "#", 2), GNT_DONE);
    assert_int_equal(world_subscribe(&c, "a/1/+", 2), GNT_DONE); /* overlaps, and is marked too */
    assert_int_equal(world_subscribe(&c, "a/1/x", 2), GNT_DONE); /* overlaps, and is not */
    for (uint8_t qos = 0; qos <= 2; qos++) {
        publish(&f, 0, "a/1/key", qos);
        publish(&f, 0, "a/1/x", qos);
        publish(&f, 0, "b", qos);
        publish(&f, 0, "a", qos);
    }
    world_settle(&f.w);
    assert_string_equal(world_payloads(&c, 0), "a/1/x a a/1/x a a/1/x a ");
    assert_int_equal(row(&c, GNT_COUNT_DUE), 6); /* the others never were its own */
    assert_counted(&f.w, GNT_COUNT_DROPPED_DENIED, 0);
    end(&f, &c);
    end_world(&f);
}

static void retained_messages_and_those_of_the_broker_are_looked_at(void **state)
{
    (void)state;
    struct fixture f;
    struct world_client c = {.id = "c"};
    begin(&f, 1, WORLD_LIST("* subscribe a/#", "* subscribe $SYS/up"));
    world_publish(&f.w, 0, "a/x", "ax", 1, true);
    world_publish(&f.w, 0, "b/x", "bx", 1, true);
    world_publish(&f.w, 0, "$SYS/up", "up", 0, true);
    world_publish(&f.w, 0, "$SYS/down", "down", 0, true);
    assert_true(world_connect(&f.w, &c, true, 0));
    assert_int_equal(world_subscribe(&c, "+/x", 1), GNT_DONE);
    assert_int_equal(world_subscribe(&c, "$SYS/#", 1), GNT_DONE);
    world_settle(&f.w);
    assert_string_equal(world_payloads(&c, 0), "ax up ");
    world_publish(&f.w, 0, "$SYS/down", "down", 0, true);
    world_publish(&f.w, 0, "$SYS/up", "up2", 0, true);
    world_settle(&f.w);
    assert_string_equal(world_payloads(&c, 2), "up2 ");
    end(&f, &c);
    end_world(&f);
}

static void wills_are_looked_at_where_they_go_and_come_from(void **state)
{
    (void)state;
    struct fixture f;
    struct world_client c = {.id = "c"}, a = {.id = "a"}, b = {.id = "b"};
    begin(&f, 1, WORLD_LIST("* subscribe open", "* publish #"));
    assert_true(world_connect(&f.w, &c, true, 0));
    assert_int_equal(world_subscribe(&c, "#", 1), GNT_DONE);
    a.will = world_message("open", "from a", 1, false);
    b.will = world_message("hidden", "from b", 1, false);
    assert_true(world_connect(&f.w, &a, true, 0));
    assert_true(world_connect(&f.w, &b, true, 0));
    world_cut(&a);
    world_cut(&b);
    world_settle(&f.w);
    assert_string_equal(world_payloads(&c, 0), "from a ");
    a.will = world_message("open", "not any more", 1, false);
    assert_true(world_connect(&f.w, &a, true, 0));
    replace(&f, WORLD_LIST("* subscribe open"));
    world_settle(&f.w);
    world_cut(&a);
    world_settle(&f.w);
    assert_int_equal(c.count, 1);
    assert_counted(&f.w, GNT_COUNT_PUBLISH_DENIED, 1);
    end(&f, &c);
    end(&f, &a);
    end(&f, &b);
    end_world(&f);
}

/* Mail names its one sink, or has the home look; and it may have to be kept. */
static void messages_from_other_homes_are_looked_at(void **state)
{
    (void)state;
    for (unsigned subscribers = 1; subscribers <= 2; subscribers++) {
        struct fixture f;
        char ids[2][16];
        struct world_client c[2] = {{.id = ids[0]}, {.id = ids[1]}};
        begin(&f, 2, WORLD_LIST("* subscribe a"));
        for (unsigned i = 0; i < subscribers; i++) {
            world_id_at(&f.w, 1, i, ids[i]);
            assert_true(world_connect(&f.w, &c[i], true, 100));
            assert_int_equal(world_subscribe(&c[i], "+", 1), GNT_DONE);
        }
        for (int times = 0; times < 3; times++) { /* the route is remembered meanwhile */
            publish(&f, 0, "a", 1);
            publish(&f, 0, "b", 1);
            world_settle(&f.w);
        }
        for (unsigned i = 0; i < subscribers; i++) {
            assert_string_equal(world_payloads(&c[i], 0), "a a a ");
            assert_int_equal(row(&c[i], GNT_COUNT_DUE), 3);
            end(&f, &c[i]);
        }
        end_world(&f);
    }
}

/* ---- Another list */

static void a_new_list_holds_for_who_is_there(void **state)
{
    (void)state;
    struct fixture f;
    struct world_client c = {.id = "c", .user = "ann"}, away = {.id = "away"};
    begin(&f, 1, NULL);
    assert_true(world_connect(&f.w, &c, true, 0));
    assert_true(world_connect(&f.w, &away, true, 100));
    assert_int_equal(world_subscribe(&c, "#", 1), GNT_DONE);
    assert_int_equal(world_subscribe(&away, "b/+", 1), GNT_DONE);
    world_cut(&away);
    publish(&f, 0, "b/1", 1);

    replace(&f, WORLD_LIST("ann subscribe a/#"));
    world_settle(&f.w);
    publish(&f, 0, "a/1", 1);
    publish(&f, 0, "b/2", 1); /* nobody's */
    world_settle(&f.w);
    assert_string_equal(world_payloads(&c, 0), "b/1 a/1 ");
    assert_int_equal(row(&c, GNT_COUNT_DUE), 2);
    assert_counted(&f.w, GNT_COUNT_DUE, 3); /* one waits for who is away */

    replace(&f, WORLD_LIST("ann subscribe b/#", "* subscribe b/3"));
    world_settle(&f.w);
    publish(&f, 0, "a/2", 1);
    publish(&f, 0, "b/3", 1);
    world_settle(&f.w);
    assert_string_equal(world_payloads(&c, 2), "b/3 ");
    assert_true(world_connect(&f.w, &away, false, 100));
    world_settle(&f.w);
    assert_string_equal(world_payloads(&away, 0), "b/3 ");
    assert_int_equal(row(&away, GNT_COUNT_DROPPED_DENIED), 1);

    replace(&f, NULL);
    world_settle(&f.w);
    assert_null(gnt_session_rights(c.session));
    assert_false(gnt_session_looks(c.session) || gnt_session_looks(away.session));
    assert_int_equal(f.w.core->homes[0].bounds.count, 1); /* ann's name */
    publish(&f, 0, "x", 1);
    world_settle(&f.w);
    assert_string_equal(world_payloads(&c, 3), "x ");
    end(&f, &c);
    end(&f, &away);
    end_world(&f);
}

/* How much waits to be done by HOME. */
static unsigned works(const struct gnt_home *home)
{
    unsigned n = 0;
    for (const struct gnt_list *link = home->work.next; link != &home->work; link = link->next)
        n++;
    return n;
}

/* More sessions and subscriptions than are looked at in one turn; while that goes on, subscriptions
 * come and go. */
static void a_new_list_comes_in_slices(void **state)
{
    (void)state;
    enum { SESSIONS = 200, FILTERS = 3000, SHARED = 1500 };
    struct fixture f;
    static char ids[SESSIONS][16];
    static struct world_client c[SESSIONS];
    struct gnt_core_config config = world_config(1);
    config.subscriptions_per_session = FILTERS + SHARED + 10;
    world_init(&f.w, 1, &config);
    f.list = NULL;
    for (unsigned i = 0; i < SESSIONS; i++) {
        snprintf(ids[i], sizeof ids[i], "c%u", i);
        c[i] = (struct world_client){.id = ids[i]};
        assert_true(world_connect(&f.w, &c[i], true, 0));
        assert_int_equal(world_subscribe(&c[i], "+/x", 0), GNT_DONE);
    }
    struct world_client *many = &c[0];
    for (unsigned i = 0; i < FILTERS + SHARED; i++) {
        char filter[48];
        snprintf(filter, sizeof filter, i < FILTERS ? "many/%u" : "$share/g/many/%u", i);
        assert_int_equal(world_subscribe(many, filter, 0), GNT_DONE);
    }
    replace(&f, WORLD_LIST("* subscribe a/#", "* subscribe many/+", "* not-receive many/7",
                           "* not-receive many/3007"));
    /* One turn: some sessions have their rights, and not all. */
    f.w.now++;
    gnt_timers_run(&f.w.timers[0], f.w.now);
    unsigned renewed = 0;
    for (unsigned i = 0; i < SESSIONS; i++)
        renewed += gnt_session_rights(c[i].session) != NULL;
    assert_in_range(renewed, 1, SESSIONS / 2);
    for (unsigned turn = 0, before = 32; turn < 6; turn++) {
        char filter[48];
        snprintf(filter, sizeof filter, "many/%u", 5 * turn);
        assert_int_equal(gnt_session_unsubscribe(many->session, gnt_slice_str(filter)), GNT_DONE);
        enum gnt_outcome outcome;
        struct gnt_sub_options options = {0};
        snprintf(filter, sizeof filter, "many/new%u", turn);
        assert_true(gnt_session_subscribe(many->session, gnt_slice_str(filter), &options,
                                          GNT_RETAIN_SEND, NULL, &outcome));
        f.w.now++;
        gnt_timers_run(&f.w.timers[0], f.w.now);
        assert_true(gnt_session_marking(many->session) && gnt_session_looks(many->session));
        unsigned done = 0;
        for (unsigned i = 0; i < SESSIONS; i++)
            done += gnt_session_rights(c[i].session) && !gnt_session_marking(c[i].session);
        assert_in_range(done, before, before + 32);
        assert_in_range(works(&f.w.core->homes[0]), 1, 2); /* no session waits for its turn there */
        before = done;
    }
    world_settle(&f.w);
    struct gnt_access *same = gnt_access_ref(f.list); /* it changes nothing to find it all again */
    replace(&f, same);
    world_settle(&f.w);
    assert_false(gnt_session_marking(many->session));
    for (unsigned i = 0; i < SESSIONS; i++)
        assert_true(gnt_session_looks(c[i].session)); /* at +/x */
    publish(&f, 0, "many/6", 0);
    publish(&f, 0, "many/7", 0);
    publish(&f, 0, "many/new3", 0);
    publish(&f, 0, "many/3006", 0);
    publish(&f, 0, "many/3007", 0);
    world_settle(&f.w);
    assert_string_equal(world_payloads(many, 0), "many/6 many/new3 many/3006 ");
    assert_counted(&f.w, GNT_COUNT_DROPPED_DENIED, 1); /* the group's */
    assert_int_equal(gnt_session_unsubscribe(many->session, gnt_slice_str("+/x")), GNT_DONE);
    assert_true(gnt_session_looks(many->session));
    assert_int_equal(gnt_session_unsubscribe(many->session, gnt_slice_str("many/7")), GNT_DONE);
    assert_true(gnt_session_looks(many->session));
    assert_int_equal(gnt_session_unsubscribe(many->session, gnt_slice_str("$share/g/many/3007")),
                     GNT_DONE);
    assert_false(gnt_session_looks(many->session)); /* each mark was counted once */

    /* None is left out between two slices. */
    int marks = FILTERS + SHARED - 2;
    replace(&f, WORLD_LIST("* subscribe nothing"));
    world_settle(&f.w);
    gnt_session_marked(many->session, -marks);
    assert_false(gnt_session_looks(many->session));
    gnt_session_marked(many->session, marks);
    assert_true(gnt_session_looks(many->session));
    replace(&f, NULL);
    world_settle(&f.w);
    assert_int_equal(f.w.core->homes[0].bounds.count, 1); /* of who shares */
    for (unsigned i = 0; i < SESSIONS; i++)
        end(&f, &c[i]);
    end_world(&f);
}

/* The more rules a list has, the fewer sessions and subscriptions are looked at in a turn. */
static void a_long_list_comes_in_smaller_slices(void **state)
{
    (void)state;
    enum { RULES = 4000, SESSIONS = 20, FILTERS = 50 };
    static const char *rules[RULES];
    struct fixture f;
    struct world_client c[SESSIONS];
    char ids[SESSIONS][16];
    begin(&f, 1, NULL);
    for (unsigned i = 0; i < RULES; i++)
        rules[i] = i % 2 ? "* not-receive x/+/key" : "* subscribe x/#";
    for (unsigned i = 0; i < SESSIONS; i++) {
        snprintf(ids[i], sizeof ids[i], "c%u", i);
        c[i] = (struct world_client){.id = ids[i]};
        assert_true(world_connect(&f.w, &c[i], true, 0));
        for (unsigned k = 0; k < FILTERS; k++) {
            char filter[16];
            snprintf(filter, sizeof filter, "x/%u/+", k);
            assert_int_equal(world_subscribe(&c[i], filter, 0), GNT_DONE);
        }
    }
    replace(&f, world_list(rules, RULES));
    for (unsigned turns = 1; turns <= SESSIONS; turns++) {
        f.w.now++;
        gnt_timers_run(&f.w.timers[0], f.w.now);
        unsigned renewed = 0;
        for (unsigned i = 0; i < SESSIONS; i++)
            renewed += gnt_session_rights(c[i].session) != NULL;
        assert_in_range(renewed, 1, 2 * turns);
        assert_true(gnt_session_marking(c[0].session));
    }
    world_settle(&f.w);
    publish(&f, 0, "x/1/key", 0);
    publish(&f, 0, "x/1/y", 0);
    world_settle(&f.w);
    for (unsigned i = 0; i < SESSIONS; i++) {
        assert_string_equal(world_payloads(&c[i], 0), "x/1/y ");
        assert_false(gnt_session_marking(c[i].session));
        end(&f, &c[i]);
    }
    end_world(&f);
}

/* The connection is closed meanwhile. */
static void a_new_list_reaches_a_session_that_parts(void **state)
{
    (void)state;
    enum { FILTERS = 3000 };
    struct fixture f;
    struct world_client c = {.id = "c"};
    struct gnt_core_config config = world_config(1);
    config.subscriptions_per_session = FILTERS + 1;
    world_init(&f.w, 1, &config);
    f.list = NULL;
    assert_true(world_connect(&f.w, &c, true, 100));
    assert_int_equal(world_subscribe(&c, "a", 1), GNT_DONE);
    for (unsigned i = 0; i < FILTERS; i++) {
        char filter[16];
        snprintf(filter, sizeof filter, "b/%u", i);
        assert_int_equal(world_subscribe(&c, filter, 1), GNT_DONE);
    }
    struct gnt_session *s = c.session;
    replace(&f, WORLD_LIST("* subscribe a", "* subscribe b/+"));
    f.w.now++;
    gnt_timers_run(&f.w.timers[0], f.w.now);
    assert_true(gnt_session_marking(s));
    c.out_of_memory = true;
    publish(&f, 0, "a", 1);
    world_settle(&f.w);
    assert_null(c.session);
    assert_false(gnt_session_marking(s) || gnt_session_looks(s));
    f.w.now += 200 * GNT_NS_PER_S;
    end(&f, &c);
    end_world(&f);
}

static void turn(struct fixture *f)
{
    f->w.now++;
    gnt_timers_run(&f->w.timers[0], f->w.now);
}

/* Each allocation of a reload fails once: whose rights could not be found may do nothing, and has
 * them as soon as there is memory. */
static void without_memory_nothing_is_permitted(void **state)
{
    (void)state;
    unsigned denied = 0;
    bool failed = true;
    for (long n = 0; failed; n++) {
        struct fixture f;
        struct world_client c[] = {{.id = "c"}, {.id = "d", .user = "ann"}};
        begin(&f, 1, NULL);
        for (unsigned i = 0; i < COUNT_OF(c); i++) {
            assert_true(world_connect(&f.w, &c[i], true, 0));
            assert_int_equal(world_subscribe(&c[i], "+", 0), GNT_DONE);
            assert_int_equal(world_subscribe(&c[i], "$share/g/+", 0), GNT_DONE);
        }
        replace(&f, WORLD_LIST("* subscribe a"));
        gnt_alloc_fail_at(n);
        for (unsigned turns = 0; turns < 4; turns++) {
            turn(&f);
            for (unsigned i = 0; i < COUNT_OF(c); i++) {
                assert_false(gnt_session_may_receive(c[i].session, gnt_slice_str("b")));
                bool may = gnt_session_may_receive(c[i].session, gnt_slice_str("a"));
                denied += !may;
                assert_true(may || gnt_session_looks(c[i].session));
            }
        }
        failed = gnt_alloc_failed();
        gnt_alloc_fail_at(-1);
        world_settle(&f.w);
        publish(&f, 0, "a", 0);
        publish(&f, 0, "b", 0);
        world_settle(&f.w);
        assert_int_equal(c[0].count + c[1].count, 3);
        for (unsigned i = 0; i < COUNT_OF(c); i++) {
            assert_false(gnt_session_marking(c[i].session));
            end(&f, &c[i]);
        }
        end_world(&f);
    }
    assert_true(denied >= 4); /* rights and bounds, of each */
}

/* Who could not be told apart from nobody for want of memory may not subscribe, publish or receive.
 */
static void who_has_no_bounds_may_do_nothing(void **state)
{
    (void)state;
    struct fixture f;
    struct world_client c = {.id = "c", .receive_max = 1};
    begin(&f, 1, NULL);
    assert_true(world_connect(&f.w, &c, true, 0));
    assert_int_equal(world_subscribe(&c, "#", 1), GNT_DONE);
    assert_int_equal(world_subscribe(&c, "$share/g/#", 1), GNT_DONE);
    publish(&f, 0, "b", 1); /* twice: one is sent, one waits */
    world_settle(&f.w);
    replace(&f, WORLD_LIST("* subscribe a", "* publish a"));
    gnt_alloc_fail_at(0);
    turn(&f);
    gnt_alloc_fail_at(-1);
    assert_int_equal(f.w.core->homes[0].bounds.count, 0);
    assert_false(gnt_session_may_publish(c.session, gnt_slice_str("a")));
    enum gnt_outcome outcome;
    assert_true(gnt_session_subscribe(c.session, gnt_slice_str("a"), &(struct gnt_sub_options){0},
                                      GNT_RETAIN_SEND, NULL, &outcome));
    assert_int_equal(outcome, GNT_NOT_ALLOWED);
    size_t before = c.count;
    publish(&f, 0, "a", 1);
    world_answer(&c);
    assert_int_equal(c.count, before);
    world_settle(&f.w);
    assert_true(gnt_session_may_publish(c.session, gnt_slice_str("a")));
    while (world_answer(&c))
        world_settle(&f.w);
    assert_string_equal(world_payloads(&c, before), "a "); /* the group's; the other was nobody's */
    assert_ledger(&f.w);
    end(&f, &c);
    end_world(&f);
}

/* ---- What has been taken already */

static void what_waits_is_looked_at_when_it_goes_out(void **state)
{
    (void)state;
    struct fixture f;
    struct world_client c = {.id = "c", .receive_max = 1};
    begin(&f, 1, NULL);
    assert_true(world_connect(&f.w, &c, true, 0));
    assert_int_equal(world_subscribe(&c, "#", 1), GNT_DONE);
    const char *const topics[] = {"b/0", "b/1", "a/1", "b/2", "a/2"};
    for (unsigned i = 0; i < COUNT_OF(topics); i++)
        publish(&f, 0, topics[i], 1);
    world_settle(&f.w);
    assert_string_equal(world_payloads(&c, 0), "b/0 ");
    replace(&f, WORLD_LIST("* subscribe a/#"));
    world_settle(&f.w);
    publish(&f, 0, "b/3", 1);
    publish(&f, 0, "a/3", 1);
    while (world_answer(&c))
        world_settle(&f.w);
    assert_string_equal(world_payloads(&c, 0), "b/0 a/1 a/2 a/3 ");
    assert_int_equal(row(&c, GNT_COUNT_DUE), 6);
    assert_int_equal(row(&c, GNT_COUNT_DELIVERED), 4); /* what had been sent was acknowledged */
    assert_int_equal(row(&c, GNT_COUNT_DROPPED_DENIED), 2);
    assert_ledger(&f.w);
    end(&f, &c);
    end_world(&f);
}

static void what_was_in_flight_is_looked_at_before_it_is_sent_again(void **state)
{
    (void)state;
    struct fixture f;
    struct world_client c = {.id = "c"};
    begin(&f, 1, NULL);
    assert_true(world_connect(&f.w, &c, true, 100));
    assert_int_equal(world_subscribe(&c, "#", 2), GNT_DONE);
    publish(&f, 0, "a/1", 1);
    publish(&f, 0, "b/1", 1);
    publish(&f, 0, "b/2", 2);
    publish(&f, 0, "a/2", 2);
    world_settle(&f.w);
    assert_int_equal(c.count, 4);
    replace(&f, WORLD_LIST("* subscribe a/#"));
    world_settle(&f.w);
    world_cut(&c);
    assert_true(world_connect(&f.w, &c, false, 100));
    world_settle(&f.w);
    assert_string_equal(world_payloads(&c, 4), "a/1 a/2 ");
    assert_int_equal(row(&c, GNT_COUNT_DROPPED_DENIED), 2);
    c.answered = 4;
    assert_int_equal(world_answer(&c), 2);
    assert_int_equal(gnt_session_unsettled(c.session), 0);
    /* Exactly once: the client may have it, and remember the id until that is released. */
    assert_int_equal(c.released_count, 1);
    assert_int_equal(c.released[0], c.got[2].id);
    world_cut(&c);
    assert_true(world_connect(&f.w, &c, false, 100));
    assert_int_equal(c.released_count, 2);
    assert_true(gnt_session_completed(c.session, c.released[1]));
    assert_false(gnt_session_completed(c.session, c.released[1]));
    assert_ledger(&f.w);
    end(&f, &c);
    end_world(&f);
}

/* The same of a session that comes back from the store, and for who takes smaller packets now. */
static void what_may_have_been_sent_exactly_once_is_withdrawn(void **state)
{
    (void)state;
    struct fixture f = {.list = NULL};
    struct gnt_store *store;
    struct world_client c = {.id = "c"}, *all[] = {&c};
    assert_int_equal(gnt_store_memory_open(NULL, &store), GNT_OK);
    world_init_kept(&f.w, 1, NULL, store);
    assert_true(world_connect(&f.w, &c, true, 1000));
    assert_int_equal(world_subscribe(&c, "#", 2), GNT_DONE);
    const char *const topics[] = {"b/1", "a/1", "b/2", "a/long", "a/3"};
    for (unsigned i = 0; i < COUNT_OF(topics); i++)
        publish(&f, 0, topics[i], i == 2 ? 1 : 2);
    world_settle(&f.w);
    assert_int_equal(c.count, 5);
    world_crash(&f.w, all, 1);

    world_access = WORLD_LIST("* subscribe a/#");
    for (unsigned times = 0; times < 3; times++) { /* as often as it comes back */
        world_init_kept(&f.w, 1, NULL, store);
        c.payload_max = 4;
        c.count = c.released_count = 0;
        assert_true(world_connect(&f.w, &c, false, 1000));
        assert_true(c.present);
        world_settle(&f.w);
        assert_string_equal(world_payloads(&c, 0), "a/1 a/3 ");
        assert_int_equal(c.released_count, 2);
        assert_int_equal(c.released[0], 1);
        assert_int_equal(c.released[1], 4);
        assert_int_equal(row(&c, GNT_COUNT_DROPPED_DENIED), times == 0 ? 2 : 0);
        assert_int_equal(row(&c, GNT_COUNT_DROPPED_TOO_LARGE), times == 0);
        if (times < 2)
            world_crash(&f.w, all, 1);
    }
    c.answered = 0;
    assert_int_equal(world_answer(&c), 2);
    assert_true(gnt_session_completed(c.session, 1));
    assert_true(gnt_session_completed(c.session, 4));
    world_disconnect(&c);
    world_fini(&f.w);
    world_client_fini(&c);
    gnt_access_unref(&world_access);
    gnt_store_close(&store);
}

static void another_user_of_the_same_client_has_its_own_rights(void **state)
{
    (void)state;
    struct fixture f;
    struct world_client c = {.id = "c", .user = "ann"};
    begin(&f, 1, WORLD_LIST("ann subscribe a", "bob subscribe b", "ann publish will"));
    assert_true(world_connect(&f.w, &c, true, 100));
    assert_int_equal(world_subscribe(&c, "+", 1), GNT_DONE);
    world_cut(&c);
    publish(&f, 0, "a", 1);
    c.user = "bob";
    assert_true(world_connect(&f.w, &c, false, 100));
    assert_true(c.present);
    assert_true(gnt_slice_eq_str(gnt_session_user(c.session), "bob"));
    publish(&f, 0, "a", 1);
    publish(&f, 0, "b", 1);
    world_settle(&f.w);
    assert_string_equal(world_payloads(&c, 0), "b ");
    assert_int_equal(row(&c, GNT_COUNT_DROPPED_DENIED), 1);
    world_cut(&c);
    c.user = NULL;
    assert_true(world_connect(&f.w, &c, false, 100));
    assert_int_equal(gnt_session_user(c.session).size, 0);
    assert_int_equal(f.w.core->homes[0].bounds.count, 1);
    end(&f, &c);
    end_world(&f);
}

/* ---- What outlives the process */

static void rights_come_back_with_the_user(void **state)
{
    (void)state;
    struct fixture f = {.list = NULL};
    struct gnt_store *store;
    struct world_client c = {.id = "c", .user = "ann"}, *all[] = {&c};
    assert_int_equal(gnt_store_memory_open(NULL, &store), GNT_OK);
    world_init_kept(&f.w, 2, NULL, store);
    assert_true(world_connect(&f.w, &c, true, 1000));
    assert_int_equal(world_subscribe(&c, "+", 1), GNT_DONE);
    assert_int_equal(world_subscribe(&c, "gone", 1), GNT_DONE);
    world_cut(&c);
    publish(&f, 0, "a", 1);
    publish(&f, 0, "b", 1);
    publish(&f, 1, "gone", 1);
    world_settle(&f.w);
    world_crash(&f.w, all, 1);

    world_access = WORLD_LIST("ann subscribe b", "ann subscribe c");
    world_init_kept(&f.w, 2, NULL, store);
    assert_int_equal(f.w.recovered.subscriptions, 2); /* they stay */
    publish(&f, 1, "c", 1);
    publish(&f, 1, "d", 1);
    world_settle(&f.w);
    world_crash(&f.w, all, 1);
    gnt_access_unref(&world_access);

    world_access = WORLD_LIST("ann subscribe b", "ann subscribe c", "ann subscribe d");
    world_init_kept(&f.w, 2, NULL, store);
    assert_true(world_connect(&f.w, &c, false, 1000));
    assert_true(c.present);
    world_settle(&f.w);
    assert_string_equal(world_payloads(&c, 0), "b c ");
    assert_int_equal(row(&c, GNT_COUNT_DUE), 4);
    assert_int_equal(row(&c, GNT_COUNT_DROPPED_DENIED), 2);
    world_answer(&c);
    world_disconnect(&c);
    world_fini(&f.w);
    world_client_fini(&c);
    gnt_access_unref(&world_access);
    gnt_store_close(&store);
}

static void records_without_a_user_are_read_as_before(void **state)
{
    (void)state;
    static const uint8_t before[] = {1, 0, 0, 0, 0, 0,   0,   0,   7,   0,   0,  0,
                                     0, 0, 0, 0, 9, 0,   0,   0,   5,   0,   0,  0,
                                     2, 0, 0, 0, 3, 'c', 'l', 'i', 'e', 'n', 't'};
    struct gnt_session_record r;
    struct gnt_buf buf = {0};
    assert_true(gnt_session_record_read(gnt_slice(before, sizeof before), &r));
    assert_int_equal(r.number, 7);
    assert_int_equal(r.parted_ms, 9);
    assert_int_equal(r.expiry_s, 5);
    assert_int_equal(r.will_delay_s, 2);
    assert_int_equal(r.will_expiry_s, 3);
    assert_true(gnt_slice_eq_str(r.client_id, "client"));
    assert_int_equal(r.user.size, 0);
    assert_int_equal(gnt_session_record_write(&r, &buf), GNT_OK); /* nor is it written otherwise */
    assert_true(gnt_slice_eq(gnt_buf_slice(&buf), gnt_slice(before, sizeof before)));

    r.user = gnt_slice_str("ann");
    assert_int_equal(gnt_session_record_write(&r, &buf), GNT_OK);
    struct gnt_slice written = gnt_buf_slice(&buf);
    struct gnt_session_record again;
    for (size_t size = 0; size <= written.size; size++) { /* cut anywhere: nothing is made up */
        bool read = gnt_session_record_read(gnt_slice(written.data, size), &again);
        assert_true(!read || gnt_slice_eq_str(again.user, "ann"));
        assert_true(read || size < written.size - 5);
    }
    assert_true(gnt_slice_eq_str(again.client_id, "client"));
    gnt_buf_fini(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_reaches_nothing_is_refused),
        cmocka_unit_test(without_a_list_nobody_is_bounded),
        cmocka_unit_test(only_what_is_permitted_is_delivered),
        cmocka_unit_test(retained_messages_and_those_of_the_broker_are_looked_at),
        cmocka_unit_test(wills_are_looked_at_where_they_go_and_come_from),
        cmocka_unit_test(messages_from_other_homes_are_looked_at),
        cmocka_unit_test(a_new_list_holds_for_who_is_there),
        cmocka_unit_test(a_new_list_comes_in_slices),
        cmocka_unit_test(a_long_list_comes_in_smaller_slices),
        cmocka_unit_test(a_new_list_reaches_a_session_that_parts),
        cmocka_unit_test(without_memory_nothing_is_permitted),
        cmocka_unit_test(who_has_no_bounds_may_do_nothing),
        cmocka_unit_test(what_waits_is_looked_at_when_it_goes_out),
        cmocka_unit_test(what_was_in_flight_is_looked_at_before_it_is_sent_again),
        cmocka_unit_test(what_may_have_been_sent_exactly_once_is_withdrawn),
        cmocka_unit_test(another_user_of_the_same_client_has_its_own_rights),
        cmocka_unit_test(rights_come_back_with_the_user),
        cmocka_unit_test(records_without_a_user_are_read_as_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
