/* What breaks no rule, but would cost its reader much, or cheat it: bounds of work, of memory and
 * of credit. */
#include "support/amqp_pair.h"
#include "support/unit.h"

#include <stdio.h>

struct scene {
    struct pair p;
    struct gnt_amqp_session *s[2];
    struct gnt_amqp_link *l[2]; /* the client sends */
};

static void scene_init(struct scene *w, const struct gnt_amqp_options *o, uint32_t credit)
{
    pair_init(&w->p, o);
    pair_open(&w->p);
    pair_begin(&w->p, w->s);
    pair_attach(&w->p, w->s, "link", true, NULL, w->l);
    gnt_amqp_link_credit(w->l[SERVER], credit, false);
    pair_expect(&w->p, CLIENT, GNT_AMQP_EVENT_FLOW, NULL);
}

static struct gnt_amqp_flow flow_of(uint32_t next_incoming_id, uint32_t window)
{
    struct gnt_amqp_flow flow = {0};
    GNT_AMQP_SET(&flow, next_incoming_id, next_incoming_id);
    GNT_AMQP_SET(&flow, incoming_window, window);
    GNT_AMQP_SET(&flow, next_outgoing_id, 0);
    GNT_AMQP_SET(&flow, outgoing_window, 100);
    return flow;
}

static void inject_flow(struct scene *w, int side, const struct gnt_amqp_flow *flow)
{
    pair_inject(&w->p, side, 0, GNT_AMQP_FLOW, flow, (struct gnt_slice){0});
}

static void inject_transfer(struct scene *w, uint16_t channel, uint32_t handle, uint32_t id)
{
    struct gnt_amqp_transfer t = {0};
    GNT_AMQP_SET(&t, handle, handle);
    GNT_AMQP_SET(&t, delivery_id, id);
    GNT_AMQP_SET(&t, delivery_tag, gnt_slice_str("t"));
    pair_inject(&w->p, SERVER, channel, GNT_AMQP_TRANSFER, &t, LITERAL("x"));
}

/* ---- Credit */

/* A sender that counts on and on would be, in the arithmetic of serial numbers, before the limit
 * again. */
static void counting_is_no_credit(void **state)
{
    (void)state;
    struct scene w;
    struct gnt_amqp_event e;
    struct gnt_amqp_flow flow = flow_of(0, 100);
    scene_init(&w, NULL, 2);
    GNT_AMQP_SET(&flow, handle, 0);
    for (uint32_t i = 1; i < 3; i++) {
        GNT_AMQP_SET(&flow, delivery_count, i * INT32_MAX);
        inject_flow(&w, SERVER, &flow);
        pair_expect(&w.p, SERVER, GNT_AMQP_EVENT_FLOW, &e);
    }
    for (uint32_t i = 0; i < 3; i++) {
        inject_transfer(&w, 0, 0, i);
        pair_expect(&w.p, SERVER, i < 2 ? GNT_AMQP_EVENT_TRANSFER : GNT_AMQP_EVENT_DETACH, &e);
    }
    assert_int_equal(e.condition, GNT_AMQP_LINK_TRANSFER_LIMIT_EXCEEDED);
    pair_fini(&w.p);
}

/* Some receivers say it to have no bound. */
static void all_the_credit_there_is(void **state)
{
    (void)state;
    struct scene w;
    struct gnt_amqp_event e;
    struct gnt_amqp_delivery *d;
    struct gnt_amqp_flow flow = flow_of(0, 100);
    scene_init(&w, NULL, 1);
    GNT_AMQP_SET(&flow, handle, 0);
    GNT_AMQP_SET(&flow, delivery_count, 0);
    GNT_AMQP_SET(&flow, link_credit, UINT32_MAX);
    inject_flow(&w, CLIENT, &flow);
    pair_expect(&w.p, CLIENT, GNT_AMQP_EVENT_FLOW, &e);
    assert_int_equal(w.l[CLIENT]->credit, UINT32_MAX);
    gnt_amqp_link_credit(w.l[SERVER], UINT32_MAX, false); /* the engine can say it, too */
    pair_expect(&w.p, CLIENT, GNT_AMQP_EVENT_FLOW, &e);
    for (uint8_t i = 0; i < 2; i++) {
        assert_int_equal(pair_send(w.l[CLIENT], i, gnt_slice_str("x"), &d), GNT_OK);
        pair_expect(&w.p, SERVER, GNT_AMQP_EVENT_TRANSFER, &e);
    }
    inject_flow(&w, CLIENT, &flow); /* from before the two were seen */
    pair_expect(&w.p, CLIENT, GNT_AMQP_EVENT_FLOW, &e);
    assert_int_equal(w.l[CLIENT]->credit, UINT32_MAX - 2);
    pair_fini(&w.p);
}

/* ---- Work */

/* A range over very many that has nothing new is looked through piece by piece. */
static void a_long_range_lets_others_go_first(void **state)
{
    (void)state;
    enum { COUNT = 500 };
    struct scene w;
    struct gnt_amqp_event e;
    struct gnt_amqp_delivery *d;
    struct gnt_amqp_disposition said = {0};
    unsigned events[2] = {0};
    struct gnt_amqp_options o = pair_options();
    o.incoming_window = COUNT;
    scene_init(&w, &o, COUNT);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(pair_send(w.l[CLIENT], (uint8_t)i, gnt_slice_str("x"), &d), GNT_OK);
    pair_move(&w.p);
    GNT_AMQP_SET(&said, role, GNT_AMQP_RECEIVER);
    GNT_AMQP_SET(&said, first, 0);
    GNT_AMQP_SET(&said, last, INT32_MAX);
    GNT_AMQP_SET(&said, state, gnt_amqp_fieldless(GNT_AMQP_ACCEPTED));
    for (int i = 0; i < 2; i++) {
        pair_inject(&w.p, CLIENT, 0, GNT_AMQP_DISPOSITION, &said, (struct gnt_slice){0});
        while (pair_next(&w.p, CLIENT, &e)) {
            assert_int_equal(e.type, i ? GNT_AMQP_EVENT_NOTHING : GNT_AMQP_EVENT_DISPOSITION);
            events[i]++;
        }
        assert_int_equal(gnt_buf_size(&w.p.end[CLIENT].in), 0);
    }
    assert_int_equal(events[0], COUNT);
    assert_in_range(events[1], COUNT / 100, COUNT / 20);
    pair_fini(&w.p);
}

/* ---- Memory: bounds that hold for all sessions together */

static void unsettled_ones_of_all_sessions(void **state)
{
    (void)state;
    struct scene w;
    struct gnt_amqp_event e;
    struct gnt_amqp_session *s[2];
    struct gnt_amqp_link *l[2];
    struct gnt_amqp_options o = pair_options();
    o.unsettled_max = 2;
    scene_init(&w, &o, 10);
    pair_begin(&w.p, s);
    pair_attach(&w.p, s, "link", true, NULL, l);
    gnt_amqp_link_credit(l[SERVER], 10, false);
    pair_expect(&w.p, CLIENT, GNT_AMQP_EVENT_FLOW, NULL);
    inject_transfer(&w, 0, 0, 0);
    pair_expect(&w.p, SERVER, GNT_AMQP_EVENT_TRANSFER, &e);
    inject_transfer(&w, 1, 0, 0);
    pair_expect(&w.p, SERVER, GNT_AMQP_EVENT_TRANSFER, &e);
    struct gnt_slice accepted = gnt_amqp_fieldless(GNT_AMQP_ACCEPTED).encoded;
    assert_int_equal(gnt_amqp_delivery_settle(e.delivery, accepted, true), GNT_OK);
    inject_transfer(&w, 1, 0, 1);
    pair_expect(&w.p, SERVER, GNT_AMQP_EVENT_TRANSFER, &e);
    inject_transfer(&w, 1, 0, 2);
    pair_expect(&w.p, SERVER, GNT_AMQP_EVENT_DETACH, &e);
    assert_int_equal(e.condition, GNT_AMQP_RESOURCE_LIMIT_EXCEEDED);
    pair_fini(&w.p);
}

static void links_of_all_sessions(void **state)
{
    (void)state;
    struct scene w;
    struct gnt_amqp_event e;
    struct gnt_amqp_session *s[2];
    struct gnt_amqp_link *l[2];
    struct gnt_amqp_options o = pair_options();
    o.links_max = 2;
    scene_init(&w, &o, 1);
    pair_begin(&w.p, s);
    pair_attach(&w.p, s, "link", true, NULL, l);
    struct gnt_amqp_attach attach = {0};
    attach.name = gnt_slice_str("other");
    attach.has.name = true;
    GNT_AMQP_SET(&attach, handle, 1);
    GNT_AMQP_SET(&attach, role, GNT_AMQP_RECEIVER);
    assert_int_equal(gnt_amqp_link_attach(s[CLIENT], &attach, NULL, 0, &l[CLIENT]), GNT_FULL);
    pair_inject(&w.p, SERVER, 1, GNT_AMQP_ATTACH, &attach, (struct gnt_slice){0});
    pair_expect(&w.p, SERVER, GNT_AMQP_EVENT_END, &e);
    assert_ptr_equal(e.session, s[SERVER]);
    assert_int_equal(e.condition, GNT_AMQP_RESOURCE_LIMIT_EXCEEDED);
    assert_false(pair_next(&w.p, SERVER, &e));
    assert_int_equal(w.p.end[SERVER].c.link_count, 1); /* they have gone with it */
    pair_fini(&w.p);
}

/* ---- The end */

/* The window opens for two links, and the owner closes when it hears of the first. */
static void nobody_goes_on_after_close(void **state)
{
    (void)state;
    struct scene w;
    struct gnt_amqp_event e;
    struct gnt_amqp_link *l[2], *links[2];
    struct gnt_amqp_flow shut = flow_of(0, 0), open = flow_of(0, 9);
    scene_init(&w, NULL, 5);
    pair_attach(&w.p, w.s, "second", true, NULL, l);
    gnt_amqp_link_credit(l[SERVER], 5, false);
    pair_expect(&w.p, CLIENT, GNT_AMQP_EVENT_FLOW, NULL);
    inject_flow(&w, CLIENT, &shut);
    pair_expect_none(&w.p, CLIENT);
    links[0] = w.l[CLIENT];
    links[1] = l[CLIENT];
    for (uint8_t i = 0; i < 2; i++) {
        struct gnt_amqp_delivery *d;
        assert_int_equal(pair_send(links[i], i, gnt_slice_str("x"), &d), GNT_MORE);
    }
    inject_flow(&w, CLIENT, &open);
    pair_expect(&w.p, CLIENT, GNT_AMQP_EVENT_FLOW, &e);
    assert_int_equal(gnt_amqp_connection_close(&w.p.end[CLIENT].c, NULL), GNT_OK);
    assert_false(pair_next(&w.p, CLIENT, &e));
    pair_fini(&w.p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counting_is_no_credit),
        cmocka_unit_test(all_the_credit_there_is),
        cmocka_unit_test(a_long_range_lets_others_go_first),
        cmocka_unit_test(unsettled_ones_of_all_sessions),
        cmocka_unit_test(links_of_all_sessions),
        cmocka_unit_test(nobody_goes_on_after_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
