#include "support/amqp_pair.h"
#include "support/unit.h"

static void messages_go_both_ways(void **state)
{
    (void)state;
    struct pair p;
    struct gnt_amqp_session *s[2];
    struct gnt_amqp_link *out[2], *in[2];
    struct gnt_amqp_delivery *d;
    struct gnt_amqp_event e;
    pair_init(&p, NULL);
    pair_open(&p);
    pair_begin(&p, s);
    pair_attach(&p, s, "out", true, NULL, out);
    pair_attach(&p, s, "in", false, NULL, in);
    assert_int_equal(pair_send(out[CLIENT], 1, gnt_slice_str("hello"), &d), GNT_MORE);
    gnt_amqp_link_credit(out[SERVER], 10, false);
    pair_expect(&p, CLIENT, GNT_AMQP_EVENT_FLOW, &e);
    assert_ptr_equal(e.link, out[CLIENT]);
    assert_int_equal(out[CLIENT]->credit, 10);
    assert_int_equal(pair_send(out[CLIENT], 1, gnt_slice_str("hello"), &d), GNT_OK);
    assert_int_equal(out[CLIENT]->credit, 9);
    pair_expect(&p, SERVER, GNT_AMQP_EVENT_TRANSFER, &e);
    assert_true(e.first && e.last && !e.settled && !e.aborted);
    assert_slice(e.payload, "hello");
    assert_slice(gnt_amqp_delivery_tag(e.delivery), "\x01");
    assert_int_equal(out[SERVER]->credit, 9);
    assert_int_equal(gnt_amqp_delivery_settle(e.delivery,
                                              gnt_amqp_fieldless(GNT_AMQP_ACCEPTED).encoded, true),
                     GNT_OK);
    pair_expect(&p, CLIENT, GNT_AMQP_EVENT_DISPOSITION, &e);
    assert_ptr_equal(e.delivery, d);
    assert_true(e.settled);
    assert_int_equal(d->peer_state, GNT_AMQP_ACCEPTED);
    pair_expect_none(&p, CLIENT);
    gnt_amqp_link_credit(in[CLIENT], 1, false);
    pair_expect(&p, SERVER, GNT_AMQP_EVENT_FLOW, &e);
    assert_int_equal(pair_send(in[SERVER], 2, gnt_slice_str("there"), &d), GNT_OK);
    pair_expect(&p, CLIENT, GNT_AMQP_EVENT_TRANSFER, &e);
    assert_slice(e.payload, "there");
    pair_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_go_both_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
