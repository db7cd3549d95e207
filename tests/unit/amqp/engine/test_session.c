#include "support/amqp_pair.h"
#include "support/unit.h"

#include <stdio.h>

static const struct gnt_amqp_open nothing;

static struct gnt_amqp_attach named(const char *name)
{
    struct gnt_amqp_attach a = {.role = GNT_AMQP_SENDER};
    a.name = gnt_slice_str(name);
    return a;
}

static void sessions_have_bounds(void **state)
{
    (void)state;
    struct pair p;
    struct gnt_amqp_options o = pair_options();
    struct gnt_amqp_session *s[2], *first[2], *more;
    o.sessions_max = 3;
    pair_init(&p, &o);
    pair_open(&p);
    pair_begin(&p, first);
    for (int i = 1; i < 3; i++)
        pair_begin(&p, s);
    assert_int_equal(gnt_amqp_session_begin(&p.end[CLIENT].c, &more), GNT_FULL);
    /* A channel is free again when both have said end. */
    assert_int_equal(gnt_amqp_session_end(first[CLIENT], NULL), GNT_OK);
    assert_int_equal(gnt_amqp_session_end(first[CLIENT], NULL), GNT_STATE);
    assert_int_equal(gnt_amqp_session_begin(&p.end[CLIENT].c, &more), GNT_FULL);
    pair_expect(&p, SERVER, GNT_AMQP_EVENT_END, NULL);
    pair_expect(&p, CLIENT, GNT_AMQP_EVENT_END, NULL);
    pair_expect_none(&p, CLIENT);
    for (int round = 0; round < 20; round++) {
        pair_begin(&p, s);
        int side = round & 1;
        assert_int_equal(gnt_amqp_session_end(s[side], NULL), GNT_OK);
        pair_expect(&p, !side, GNT_AMQP_EVENT_END, NULL);
        pair_expect(&p, side, GNT_AMQP_EVENT_END, NULL);
        pair_expect_none(&p, CLIENT);
    }
    pair_fini(&p);
}

static void links_have_bounds(void **state)
{
    (void)state;
    for (int whose = 0; whose < 2; whose++) { /* the smaller bound of both holds */
        struct pair p;
        struct gnt_amqp_options o = pair_options();
        struct gnt_amqp_session *s[2];
        struct gnt_amqp_link *l[2], *more;
        char name[8];
        pair_init(&p, &o);
        p.end[whose].options.links_max = 5;
        pair_open(&p);
        pair_begin(&p, s);
        for (int i = 0; i < 5; i++) {
            snprintf(name, sizeof name, "l%d", i);
            pair_attach(&p, s, name, i & 1, NULL, l);
        }
        struct gnt_amqp_attach a = named("more");
        assert_int_equal(gnt_amqp_link_attach(s[CLIENT], &a, NULL, 0, &more), GNT_FULL);
        pair_fini(&p);
    }
}

/* What ended takes its links and their deliveries with it, and the owner can look at them. */
static void an_end_shows_all_that_goes(void **state)
{
    (void)state;
    for (int side = 0; side < 2; side++) {
        struct pair p;
        struct gnt_amqp_event e;
        struct gnt_amqp_session *s[2];
        struct gnt_amqp_link *l[2];
        struct gnt_amqp_delivery *d;
        pair_init(&p, NULL);
        pair_open(&p);
        pair_begin(&p, s);
        pair_attach(&p, s, "l", true, NULL, l);
        gnt_amqp_link_credit(l[SERVER], 5, false);
        pair_expect(&p, CLIENT, GNT_AMQP_EVENT_FLOW, NULL);
        assert_int_equal(pair_send(l[CLIENT], 1, gnt_slice_str("x"), &d), GNT_OK);
        pair_expect(&p, SERVER, GNT_AMQP_EVENT_TRANSFER, &e);
        struct gnt_amqp_delivery *got = e.delivery;
        struct gnt_amqp_error error = {0};
        GNT_AMQP_SET(&error, condition, gnt_slice_str("amqp:internal-error"));
        assert_int_equal(gnt_amqp_session_end(s[side], &error), GNT_OK);
        assert_int_equal(gnt_amqp_delivery_settle(side == CLIENT ? d : got, (struct gnt_slice){0},
                                                  true),
                         GNT_STATE);
        for (int i = 0; i < 2; i++) {
            int who = i ? side : !side;
            pair_expect(&p, who, GNT_AMQP_EVENT_END, &e);
            assert_ptr_equal(e.session, s[who]);
            assert_int_equal(e.performative.end.has.error, who != side);
            assert_true(gnt_list_empty(&p.end[who].c.sessions));
            assert_ptr_equal(e.session->links.next, &l[who]->in_session);
            assert_ptr_equal(l[who]->deliveries.next, who == CLIENT ? &d->in_link : &got->in_link);
        }
        pair_expect_none(&p, CLIENT);
        pair_expect_none(&p, SERVER);
        pair_fini(&p);
    }
}

static void both_end_at_once(void **state)
{
    (void)state;
    struct pair p;
    struct gnt_amqp_session *s[2];
    pair_init(&p, NULL);
    pair_open(&p);
    pair_begin(&p, s);
    for (int side = 0; side < 2; side++)
        assert_int_equal(gnt_amqp_session_end(s[side], NULL), GNT_OK);
    for (int side = 0; side < 2; side++) {
        pair_expect(&p, side, GNT_AMQP_EVENT_END, NULL);
        pair_expect_none(&p, side);
        assert_true(gnt_list_empty(&p.end[side].c.ghosts));
    }
    pair_begin(&p, s);
    pair_fini(&p);
}

/* Ended before it was answered: of the answer nothing is told. */
static void end_before_the_answer(void **state)
{
    (void)state;
    struct pair p;
    struct gnt_amqp_session *s;
    pair_init(&p, NULL);
    pair_open(&p);
    assert_int_equal(gnt_amqp_session_begin(&p.end[CLIENT].c, &s), GNT_OK);
    assert_int_equal(gnt_amqp_session_end(s, NULL), GNT_OK);
    pair_expect(&p, SERVER, GNT_AMQP_EVENT_BEGIN, NULL);
    pair_expect(&p, SERVER, GNT_AMQP_EVENT_END, NULL);
    pair_expect(&p, CLIENT, GNT_AMQP_EVENT_END, NULL);
    pair_expect_none(&p, CLIENT);
    pair_fini(&p);
}

/* The window is opened again when half of it is used, once a turn, and by any flow of the session.
 */
static void the_window_is_kept_open(void **state)
{
    (void)state;
    struct pair p;
    struct gnt_amqp_event e;
    struct gnt_amqp_options o = pair_options();
    struct gnt_amqp_session *s[2];
    struct gnt_amqp_link *l[2];
    struct gnt_amqp_delivery *d;
    struct gnt_amqp_frame frame;
    struct gnt_amqp_composite said;
    o.incoming_window = 10;
    pair_init(&p, &o);
    pair_open(&p);
    pair_begin(&p, s);
    pair_attach(&p, s, "l", true, NULL, l);
    gnt_amqp_link_credit(l[SERVER], 1000, false);
    pair_expect(&p, CLIENT, GNT_AMQP_EVENT_FLOW, NULL);
    for (uint8_t i = 0; i < 10; i++) {
        assert_int_equal(pair_send(l[CLIENT], i, gnt_slice_str("x"), &d), GNT_OK);
        assert_int_equal(gnt_amqp_connection_flush(&p.end[CLIENT].c, p.now), GNT_OK);
        pair_move_some(&p, CLIENT, SIZE_MAX);
        pair_expect(&p, SERVER, GNT_AMQP_EVENT_TRANSFER, &e);
        assert_int_equal(gnt_amqp_connection_flush(&p.end[SERVER].c, p.now), GNT_OK);
        bool due = i == 4 || i == 9;
        assert_int_equal(pair_written(&p, SERVER, &frame, &said), due);
        if (!due)
            continue;
        assert_int_equal(said.code, GNT_AMQP_FLOW);
        assert_false(said.flow.has.handle);
        assert_int_equal(said.flow.incoming_window, 10);
        assert_int_equal(said.flow.next_incoming_id, i + 1);
    }
    pair_fini(&p);
}

/* A connection with nothing to do has given back what deliveries were found by. */
static void nothing_is_kept_for_idle_sessions(void **state)
{
    (void)state;
    struct pair p;
    struct gnt_amqp_event e;
    struct gnt_amqp_session *s[2];
    struct gnt_amqp_link *l[2];
    struct gnt_amqp_delivery *d;
    pair_init(&p, NULL);
    pair_open(&p);
    pair_begin(&p, s);
    pair_attach(&p, s, "l", true, NULL, l);
    gnt_amqp_link_credit(l[SERVER], 5, false);
    pair_expect(&p, CLIENT, GNT_AMQP_EVENT_FLOW, NULL);
    assert_int_equal(pair_send(l[CLIENT], 1, gnt_slice_str("x"), &d), GNT_OK);
    pair_expect(&p, SERVER, GNT_AMQP_EVENT_TRANSFER, &e);
    assert_non_null(s[SERVER]->received.ring);
    assert_int_equal(gnt_amqp_delivery_settle(e.delivery,
                                              gnt_amqp_fieldless(GNT_AMQP_ACCEPTED).encoded, true),
                     GNT_OK);
    pair_expect(&p, CLIENT, GNT_AMQP_EVENT_DISPOSITION, &e);
    pair_expect_none(&p, CLIENT);
    assert_null(s[SERVER]->received.ring);
    gnt_amqp_link_credit(l[SERVER], 5, false);
    pair_expect(&p, CLIENT, GNT_AMQP_EVENT_FLOW, NULL);
    gnt_amqp_link_drained(l[CLIENT]);
    assert_int_equal(pair_send(l[CLIENT], 1, gnt_slice_str("x"), &d), GNT_OK);
    assert_int_equal(gnt_amqp_delivery_settle(d, (struct gnt_slice){0}, true), GNT_OK);
    pair_expect(&p, SERVER, GNT_AMQP_EVENT_TRANSFER, &e);
    assert_null(s[CLIENT]->sent.ring);
    assert_int_equal(p.end[CLIENT].out.size + p.end[SERVER].out.size, 0);
    assert_int_equal(gnt_amqp_connection_close(&p.end[CLIENT].c, NULL), GNT_OK);
    assert_int_equal(gnt_amqp_connection_open(&p.end[CLIENT].c, &nothing), GNT_STATE);
    pair_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sessions_have_bounds),
        cmocka_unit_test(links_have_bounds),
        cmocka_unit_test(an_end_shows_all_that_goes),
        cmocka_unit_test(both_end_at_once),
        cmocka_unit_test(end_before_the_answer),
        cmocka_unit_test(the_window_is_kept_open),
        cmocka_unit_test(nothing_is_kept_for_idle_sessions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
