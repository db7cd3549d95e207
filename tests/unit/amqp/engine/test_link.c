#include "support/amqp_pair.h"
#include "support/unit.h"

struct scene {
    struct pair p;
    struct gnt_amqp_session *s[2];
    struct gnt_amqp_link *l[2]; /* `sender` says whether the client sends */
};

static void scene_init(struct scene *w, const struct gnt_amqp_options *o, bool sender,
                       const struct gnt_amqp_attach *attach)
{
    pair_init(&w->p, o);
    pair_open(&w->p);
    pair_begin(&w->p, w->s);
    pair_attach(&w->p, w->s, "link", sender, attach, w->l);
}

static void give(struct scene *w, int receiver, uint32_t credit)
{
    gnt_amqp_link_credit(w->l[receiver], credit, false);
    pair_expect(&w->p, !receiver, GNT_AMQP_EVENT_FLOW, NULL);
}

static struct gnt_slice accepted(void)
{
    return gnt_amqp_fieldless(GNT_AMQP_ACCEPTED).encoded;
}

/* How many frames of CODE side has written; they are taken. */
static unsigned count_written(struct scene *w, int side, enum gnt_amqp_descriptor code,
                              struct gnt_amqp_composite *last)
{
    struct gnt_amqp_frame frame;
    struct gnt_amqp_composite c;
    unsigned count = 0;
    assert_int_equal(gnt_amqp_connection_flush(&w->p.end[side].c, w->p.now), GNT_OK);
    while (pair_written(&w->p, side, &frame, &c))
        if (c.code == code) {
            count++;
            if (last)
                *last = c;
        }
    return count;
}

/* ---- Attach and detach */

static void a_refused_link(void **state)
{
    (void)state;
    struct scene w;
    struct gnt_amqp_event e;
    struct gnt_amqp_link *l;
    struct gnt_amqp_error error = {0}, got;
    struct gnt_amqp_attach a = {.role = GNT_AMQP_RECEIVER};
    pair_init(&w.p, NULL);
    pair_open(&w.p);
    pair_begin(&w.p, w.s);
    a.name = gnt_slice_str("link");
    struct gnt_amqp_source source = {0};
    uint8_t bytes[64];
    struct gnt_amqp_writer writer = gnt_amqp_writer(bytes, sizeof bytes);
    GNT_AMQP_SET(&source, address, gnt_slice_str("q"));
    gnt_amqp_put_source(&writer, &source);
    GNT_AMQP_SET(&a, source, gnt_amqp_encoded(gnt_amqp_written(&writer)));
    assert_int_equal(gnt_amqp_link_attach(w.s[CLIENT], &a, NULL, 0, &l), GNT_OK);
    pair_expect(&w.p, SERVER, GNT_AMQP_EVENT_ATTACH, &e);
    assert_int_equal(gnt_amqp_decode_source(e.performative.attach.source.encoded, &source), GNT_OK);
    assert_slice(source.address, "q");
    GNT_AMQP_SET(&error, condition, gnt_slice_str("amqp:not-found"));
    assert_int_equal(gnt_amqp_link_refuse(e.link, &error), GNT_OK);
    assert_int_equal(gnt_amqp_link_refuse(e.link, &error), GNT_STATE);
    assert_int_equal(gnt_amqp_link_answer(e.link, &a, NULL, 0), GNT_STATE);
    pair_expect(&w.p, CLIENT, GNT_AMQP_EVENT_ATTACH, &e);
    assert_false(e.performative.attach.has.source);
    pair_expect(&w.p, CLIENT, GNT_AMQP_EVENT_DETACH, &e);
    assert_ptr_equal(e.link, l);
    assert_true(e.performative.detach.closed);
    assert_int_equal(gnt_amqp_decode_error(e.performative.detach.error.encoded, &got), GNT_OK);
    assert_slice(got.condition, "amqp:not-found");
    pair_expect(&w.p, SERVER, GNT_AMQP_EVENT_DETACH, &e);
    pair_expect_none(&w.p, SERVER);
    pair_expect_none(&w.p, CLIENT);
    assert_true(gnt_list_empty(&w.s[SERVER]->links) && gnt_list_empty(&w.s[CLIENT]->links));
    pair_fini(&w.p);
}

static void detach_and_attach_again(void **state)
{
    (void)state;
    struct scene w;
    struct gnt_amqp_event e;
    scene_init(&w, NULL, true, NULL);
    for (int round = 0; round < 40; round++) { /* more often than there are handles */
        int side = round & 1;
        bool closed = round & 2;
        assert_int_equal(gnt_amqp_link_detach(w.l[side], closed, NULL), GNT_OK);
        assert_int_equal(gnt_amqp_link_detach(w.l[side], closed, NULL), GNT_STATE);
        pair_expect(&w.p, !side, GNT_AMQP_EVENT_DETACH, &e);
        assert_ptr_equal(e.link, w.l[!side]);
        assert_int_equal(e.performative.detach.closed, closed);
        pair_expect(&w.p, side, GNT_AMQP_EVENT_DETACH, &e);
        assert_int_equal(e.performative.detach.closed, closed);
        pair_attach(&w.p, w.s, "link", true, NULL, w.l);
    }
    pair_fini(&w.p);
}

static void both_detach_at_once(void **state)
{
    (void)state;
    for (int how = 0; how < 4; how++) {
        struct scene w;
        struct gnt_amqp_event e;
        bool closed[2] = {how & 1, how & 2};
        scene_init(&w, NULL, true, NULL);
        for (int side = 0; side < 2; side++)
            assert_int_equal(gnt_amqp_link_detach(w.l[side], closed[side], NULL), GNT_OK);
        pair_move(&w.p);
        for (int side = 0; side < 2; side++) {
            pair_expect(&w.p, side, GNT_AMQP_EVENT_DETACH, &e);
            assert_int_equal(e.performative.detach.closed, closed[!side]);
        }
        /* Who has only detached has to close by attaching once more [AMQP 2.6.6]. */
        for (int side = 0; side < 2; side++) {
            if (closed[0] == closed[1] || !closed[side])
                continue;
            pair_expect(&w.p, side, GNT_AMQP_EVENT_ATTACH, &e);
            assert_false(e.performative.attach.has.source || e.performative.attach.has.target);
            pair_expect(&w.p, side, GNT_AMQP_EVENT_DETACH, &e);
            assert_true(e.performative.detach.closed);
        }
        for (int side = 0; side < 2; side++) {
            pair_expect_none(&w.p, side);
            assert_true(gnt_list_empty(&w.s[side]->links));
        }
        pair_expect_none(&w.p, CLIENT);
        assert_true(gnt_list_empty(&w.s[0]->ghosts) && gnt_list_empty(&w.s[1]->ghosts));
        pair_fini(&w.p);
    }
}

static void detach_before_the_answer(void **state)
{
    (void)state;
    struct scene w;
    struct gnt_amqp_event e;
    struct gnt_amqp_link *l;
    struct gnt_amqp_attach a = {.role = GNT_AMQP_SENDER};
    pair_init(&w.p, NULL);
    pair_open(&w.p);
    pair_begin(&w.p, w.s);
    a.name = gnt_slice_str("link");
    assert_int_equal(gnt_amqp_link_attach(w.s[CLIENT], &a, NULL, 0, &l), GNT_OK);
    assert_int_equal(gnt_amqp_link_detach(l, true, NULL), GNT_OK);
    pair_expect(&w.p, SERVER, GNT_AMQP_EVENT_ATTACH, &e);
    struct gnt_amqp_link *served = e.link;
    pair_expect(&w.p, SERVER, GNT_AMQP_EVENT_DETACH, &e);
    assert_ptr_equal(e.link, served);
    assert_int_equal(gnt_amqp_link_answer(served, &a, NULL, 0), GNT_STATE);
    pair_expect(&w.p, CLIENT, GNT_AMQP_EVENT_DETACH, &e); /* no ATTACH: it is not wanted any more */
    pair_expect_none(&w.p, CLIENT);
    pair_fini(&w.p);
}

static void a_link_attached_again_is_stolen(void **state)
{
    (void)state;
    struct scene w;
    struct gnt_amqp_event e;
    struct gnt_amqp_delivery *d;
    struct gnt_amqp_attach a = {.role = GNT_AMQP_SENDER};
    scene_init(&w, NULL, true, NULL);
    give(&w, SERVER, 5);
    assert_int_equal(pair_send(w.l[CLIENT], 1, gnt_slice_str("x"), &d), GNT_OK);
    pair_expect(&w.p, SERVER, GNT_AMQP_EVENT_TRANSFER, NULL);
    a.name = gnt_slice_str("link");
    GNT_AMQP_SET(&a, handle, 9);
    GNT_AMQP_SET(&a, initial_delivery_count, 0);
    a.has.name = a.has.role = true;
    pair_inject(&w.p, SERVER, 0, GNT_AMQP_ATTACH, &a, (struct gnt_slice){0});
    pair_expect(&w.p, SERVER, GNT_AMQP_EVENT_DETACH, &e);
    assert_ptr_equal(e.link, w.l[SERVER]);
    assert_int_equal(e.condition, GNT_AMQP_LINK_STOLEN);
    assert_false(gnt_list_empty(&e.link->deliveries)); /* to be looked through for the last time */
    pair_expect(&w.p, SERVER, GNT_AMQP_EVENT_ATTACH, &e);
    assert_ptr_not_equal(e.link, w.l[SERVER]);
    pair_fini(&w.p);
}

static void names_are_found_by_role(void **state)
{
    (void)state;
    struct scene w;
    struct gnt_amqp_link *other[2], *l;
    struct gnt_amqp_attach a = {.role = GNT_AMQP_SENDER};
    scene_init(&w, NULL, true, NULL);
    pair_attach(&w.p, w.s, "link", false, NULL, other);
    assert_ptr_not_equal(other[CLIENT], w.l[CLIENT]);
    a.name = gnt_slice_str("link");
    assert_int_equal(gnt_amqp_link_attach(w.s[CLIENT], &a, NULL, 0, &l), GNT_EXISTS);
    pair_fini(&w.p);
}

/* ---- Credit */

static void credit_is_used_up_and_drained(void **state)
{
    (void)state;
    struct scene w;
    struct gnt_amqp_event e;
    struct gnt_amqp_delivery *d;
    struct gnt_amqp_composite flow;
    struct gnt_amqp_attach a = {0};
    GNT_AMQP_SET(&a, initial_delivery_count, UINT32_MAX - 1);
    scene_init(&w, NULL, true, &a);
    give(&w, SERVER, 3);
    for (uint8_t i = 0; i < 3; i++)
        assert_int_equal(pair_send(w.l[CLIENT], i, gnt_slice_str("x"), &d), GNT_OK);
    assert_int_equal(pair_send(w.l[CLIENT], 3, gnt_slice_str("x"), &d), GNT_MORE);
    assert_null(d);
    for (int i = 0; i < 3; i++)
        pair_expect(&w.p, SERVER, GNT_AMQP_EVENT_TRANSFER, &e);
    assert_int_equal(w.l[SERVER]->credit, 0);
    assert_int_equal(w.l[SERVER]->delivery_count, 1); /* round the corner */
    gnt_amqp_link_credit(w.l[SERVER], 10, true);
    pair_expect(&w.p, CLIENT, GNT_AMQP_EVENT_FLOW, &e);
    assert_true(w.l[CLIENT]->drain);
    assert_int_equal(w.l[CLIENT]->credit, 10);
    assert_int_equal(pair_send(w.l[CLIENT], 4, gnt_slice_str("x"), &d), GNT_OK);
    gnt_amqp_link_available(w.l[CLIENT], 77);
    gnt_amqp_link_drained(w.l[CLIENT]);
    pair_expect(&w.p, SERVER, GNT_AMQP_EVENT_TRANSFER, &e);
    pair_expect(&w.p, SERVER, GNT_AMQP_EVENT_FLOW, &e);
    flow = e.performative;
    assert_true(flow.flow.drain);
    assert_int_equal(flow.flow.link_credit, 0);
    assert_int_equal(w.l[SERVER]->credit, 0);
    assert_int_equal(w.l[SERVER]->available, 77);
    assert_int_equal(w.l[SERVER]->delivery_count, w.l[CLIENT]->delivery_count);
    gnt_amqp_link_credit(w.l[SERVER], 1, false);
    pair_expect(&w.p, CLIENT, GNT_AMQP_EVENT_FLOW, &e);
    assert_int_equal(w.l[CLIENT]->credit, 1);
    gnt_amqp_link_drained(w.l[CLIENT]); /* it does not drain any more: nothing happens */
    assert_int_equal(w.l[CLIENT]->credit, 1);
    pair_fini(&w.p);
}

/* What was on its way when the credit was lowered is no violation. */
static void less_credit_while_transfers_fly(void **state)
{
    (void)state;
    struct scene w;
    struct gnt_amqp_event e;
    struct gnt_amqp_delivery *d;
    scene_init(&w, NULL, true, NULL);
    give(&w, SERVER, 4);
    for (uint8_t i = 0; i < 3; i++)
        assert_int_equal(pair_send(w.l[CLIENT], i, gnt_slice_str("x"), &d), GNT_OK);
    gnt_amqp_link_credit(w.l[SERVER], 1, false);
    assert_int_equal(gnt_amqp_connection_flush(&w.p.end[SERVER].c, w.p.now), GNT_OK);
    for (int i = 0; i < 3; i++)
        pair_expect(&w.p, SERVER, GNT_AMQP_EVENT_TRANSFER, &e);
    assert_int_equal(w.l[SERVER]->credit, 0);
    pair_expect(&w.p, CLIENT, GNT_AMQP_EVENT_FLOW, &e);
    assert_int_equal(w.l[CLIENT]->credit, 0); /* of the one that it was told it has sent three */
    pair_fini(&w.p);
}

static void echo_is_answered(void **state)
{
    (void)state;
    struct scene w;
    struct gnt_amqp_flow flow = {0};
    struct gnt_amqp_composite said;
    scene_init(&w, NULL, true, NULL);
    pair_move(&w.p);
    GNT_AMQP_SET(&flow, next_incoming_id, 0);
    GNT_AMQP_SET(&flow, incoming_window, 5);
    GNT_AMQP_SET(&flow, next_outgoing_id, 0);
    GNT_AMQP_SET(&flow, outgoing_window, 5);
    GNT_AMQP_SET(&flow, echo, true);
    pair_inject(&w.p, SERVER, 0, GNT_AMQP_FLOW, &flow, (struct gnt_slice){0});
    assert_false(pair_next(&w.p, SERVER, &(struct gnt_amqp_event){0}));
    assert_int_equal(count_written(&w, SERVER, GNT_AMQP_FLOW, &said), 1);
    assert_false(said.flow.has.handle);
    assert_int_equal(said.flow.next_incoming_id, 0);
    GNT_AMQP_SET(&flow, handle, 0);
    GNT_AMQP_SET(&flow, delivery_count, 0);
    pair_inject(&w.p, SERVER, 0, GNT_AMQP_FLOW, &flow, (struct gnt_slice){0});
    assert_true(pair_next(&w.p, SERVER, &(struct gnt_amqp_event){0}));
    assert_int_equal(count_written(&w, SERVER, GNT_AMQP_FLOW, &said), 1);
    assert_true(said.flow.has.handle && !said.flow.echo);
    pair_fini(&w.p);
}

/* A sender that counts a delivery when it is whole, as proton does, says a smaller delivery-count
 * in the midst of one than its receiver, which counts it at its first frame. */
static void a_count_that_lags_behind(void **state)
{
    (void)state;
    struct scene w;
    struct gnt_amqp_event e;
    struct gnt_amqp_flow flow = {0};
    struct gnt_amqp_transfer t = {0};
    scene_init(&w, NULL, true, NULL);
    give(&w, SERVER, 2);
    GNT_AMQP_SET(&t, handle, 0);
    GNT_AMQP_SET(&t, delivery_id, 0);
    GNT_AMQP_SET(&t, delivery_tag, gnt_slice_str("t"));
    GNT_AMQP_SET(&t, more, true);
    pair_inject(&w.p, SERVER, 0, GNT_AMQP_TRANSFER, &t, LITERAL("a"));
    pair_expect(&w.p, SERVER, GNT_AMQP_EVENT_TRANSFER, &e);
    GNT_AMQP_SET(&flow, next_incoming_id, 0);
    GNT_AMQP_SET(&flow, incoming_window, 5);
    GNT_AMQP_SET(&flow, next_outgoing_id, 1);
    GNT_AMQP_SET(&flow, outgoing_window, 5);
    GNT_AMQP_SET(&flow, handle, 0);
    GNT_AMQP_SET(&flow, delivery_count, 0);
    pair_inject(&w.p, SERVER, 0, GNT_AMQP_FLOW, &flow, (struct gnt_slice){0});
    pair_expect(&w.p, SERVER, GNT_AMQP_EVENT_FLOW, &e);
    assert_int_equal(w.l[SERVER]->credit, 1);
    assert_int_equal(w.l[SERVER]->delivery_count, 1);
    pair_fini(&w.p);
}

/* ---- Settling */

static void outcomes_go_out_as_ranges(void **state)
{
    (void)state;
    enum { COUNT = 100 };
    for (int order = 0; order < 4; order++) {
        struct scene w;
        struct gnt_amqp_event e;
        struct gnt_amqp_delivery *d, *got[COUNT];
        struct gnt_amqp_composite said;
        scene_init(&w, NULL, true, NULL);
        give(&w, SERVER, COUNT);
        for (int i = 0; i < COUNT; i++) {
            assert_int_equal(pair_send(w.l[CLIENT], (uint8_t)i, gnt_slice_str("x"), &d), GNT_OK);
            pair_expect(&w.p, SERVER, GNT_AMQP_EVENT_TRANSFER, &e);
            got[i] = e.delivery;
        }
        pair_move(&w.p);
        for (int i = 0; i < COUNT; i++) {
            bool other = order == 3 && i >= 50;
            int which = order == 1 ? COUNT - 1 - i : order == 2 ? i ^ 1 : i;
            struct gnt_slice outcome =
                other ? gnt_amqp_fieldless(GNT_AMQP_RELEASED).encoded : accepted();
            assert_int_equal(gnt_amqp_delivery_settle(got[which], outcome, true), GNT_OK);
        }
        assert_int_equal(w.s[SERVER]->received.live, 0);
        unsigned frames = count_written(&w, SERVER, GNT_AMQP_DISPOSITION, &said);
        static const unsigned expected[] = {1, 1, COUNT / 2, 2};
        assert_int_equal(frames, expected[order]);
        if (order < 2) {
            assert_int_equal(said.disposition.first, 0);
            assert_int_equal(said.disposition.last, COUNT - 1);
            assert_true(said.disposition.settled && said.disposition.role == GNT_AMQP_RECEIVER);
        }
        pair_fini(&w.p);
    }
}

static void a_range_is_an_event_for_each(void **state)
{
    (void)state;
    enum { COUNT = 20 };
    for (int how = 0; how < 4; how++) {
        struct scene w;
        struct gnt_amqp_event e;
        struct gnt_amqp_delivery *d[COUNT];
        struct gnt_amqp_disposition said = {0};
        scene_init(&w, NULL, true, NULL);
        give(&w, SERVER, COUNT);
        for (uint8_t i = 0; i < COUNT; i++)
            assert_int_equal(pair_send(w.l[CLIENT], i, gnt_slice_str("x"), &d[i]), GNT_OK);
        pair_move(&w.p);
        GNT_AMQP_SET(&said, role, GNT_AMQP_RECEIVER);
        GNT_AMQP_SET(&said, first, UINT32_MAX - 5);
        GNT_AMQP_SET(&said, last, 0x7ffffff0);
        GNT_AMQP_SET(&said, settled, true);
        GNT_AMQP_SET(&said, state, gnt_amqp_fieldless(GNT_AMQP_ACCEPTED));
        pair_inject(&w.p, CLIENT, 0, GNT_AMQP_DISPOSITION, &said, (struct gnt_slice){0});
        said.settled = false;
        pair_inject(&w.p, CLIENT, 0, GNT_AMQP_DISPOSITION, &said, (struct gnt_slice){0});
        for (int i = 0; i < COUNT; i++) {
            if (i == 10 && how == 1)
                assert_int_equal(gnt_amqp_session_end(w.s[CLIENT], NULL), GNT_OK);
            if (i == 10 && how == 2)
                assert_int_equal(gnt_amqp_link_detach(w.l[CLIENT], true, NULL), GNT_OK);
            if (i == 10 && how == 3)
                assert_int_equal(gnt_amqp_connection_close(&w.p.end[CLIENT].c, NULL), GNT_OK);
            if (i == 10 && how)
                break;
            pair_expect(&w.p, CLIENT, GNT_AMQP_EVENT_DISPOSITION, &e);
            assert_ptr_equal(e.delivery, d[i]);
            assert_true(e.settled);
            assert_int_equal(e.delivery->peer_state, GNT_AMQP_ACCEPTED);
            assert_slice(e.state.encoded, "\0S\x24\x45");
            assert_int_equal(gnt_amqp_delivery_settle(e.delivery, accepted(), true), GNT_OK);
        }
        /* What has been ended by the owner has no further events. */
        assert_false(pair_next(&w.p, CLIENT, &e));
        assert_int_equal(gnt_buf_size(&w.p.end[CLIENT].in), 0);
        pair_fini(&w.p);
    }
}

static void the_first_outcome_holds(void **state)
{
    (void)state;
    struct scene w;
    struct gnt_amqp_event e;
    struct gnt_amqp_delivery *d;
    scene_init(&w, NULL, true, NULL);
    give(&w, SERVER, 1);
    assert_int_equal(pair_send(w.l[CLIENT], 1, gnt_slice_str("x"), &d), GNT_OK);
    pair_expect(&w.p, SERVER, GNT_AMQP_EVENT_TRANSFER, &e);
    struct gnt_amqp_delivery *got = e.delivery;
    static const uint8_t received[] = {0, 0x53, 0x23, 0xc0, 3, 2, 0x43, 0x44};
    struct gnt_slice part = gnt_slice(received, sizeof received);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(gnt_amqp_delivery_settle(got, part, false), GNT_OK);
        pair_expect(&w.p, CLIENT, GNT_AMQP_EVENT_DISPOSITION, &e);
    }
    assert_int_equal(gnt_amqp_delivery_settle(got, accepted(), false), GNT_OK);
    pair_expect(&w.p, CLIENT, GNT_AMQP_EVENT_DISPOSITION, &e);
    assert_false(e.settled);
    assert_int_equal(gnt_amqp_delivery_settle(got, accepted(), false), GNT_OK);
    assert_int_equal(gnt_amqp_delivery_settle(got, gnt_amqp_fieldless(GNT_AMQP_RELEASED).encoded,
                                              false),
                     GNT_OK);
    pair_expect_none(&w.p, CLIENT);
    assert_int_equal(d->peer_state, GNT_AMQP_ACCEPTED);
    assert_int_equal(gnt_amqp_delivery_settle(d, accepted(), true), GNT_OK);
    pair_expect(&w.p, SERVER, GNT_AMQP_EVENT_DISPOSITION, &e);
    assert_ptr_equal(e.delivery, got);
    assert_true(e.settled);
    pair_expect_none(&w.p, SERVER);
    assert_int_equal(w.s[SERVER]->received.live + w.s[CLIENT]->sent.live, 0);
    pair_fini(&w.p);
}

static void settle_modes_are_kept_to(void **state)
{
    (void)state;
    static const struct {
        uint8_t mode;
        bool settled;
        gnt_err err;
    } cases[] = {{GNT_AMQP_SENDER_UNSETTLED, true, GNT_INVALID},
                 {GNT_AMQP_SENDER_UNSETTLED, false, GNT_OK},
                 {GNT_AMQP_SENDER_SETTLED, true, GNT_OK},
                 {GNT_AMQP_SENDER_SETTLED, false, GNT_INVALID},
                 {GNT_AMQP_SENDER_MIXED, true, GNT_OK},
                 {GNT_AMQP_SENDER_MIXED, false, GNT_OK}};
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct scene w;
        struct gnt_amqp_event e;
        struct gnt_amqp_attach a = {0};
        struct gnt_amqp_transfer t = {0};
        GNT_AMQP_SET(&a, snd_settle_mode, cases[i].mode);
        scene_init(&w, NULL, true, &a);
        assert_int_equal(w.l[SERVER]->snd_settle_mode, cases[i].mode);
        give(&w, SERVER, 5);
        struct gnt_amqp_delivery *d = NULL;
        struct gnt_amqp_sending sending = {.tag = gnt_slice_str("t"), .settled = cases[i].settled};
        size_t taken;
        assert_int_equal(gnt_amqp_link_send(w.l[CLIENT], &sending, NULL, 0, &taken, &d),
                         cases[i].err);
        assert_int_equal(d != NULL, !cases[i].err && !cases[i].settled);
        gnt_outq_take(&w.p.end[CLIENT].out, w.p.end[CLIENT].out.size);
        GNT_AMQP_SET(&t, handle, 0);
        GNT_AMQP_SET(&t, delivery_id, 0);
        GNT_AMQP_SET(&t, delivery_tag, gnt_slice_str("t"));
        GNT_AMQP_SET(&t, settled, cases[i].settled);
        pair_inject(&w.p, SERVER, 0, GNT_AMQP_TRANSFER, &t, LITERAL("a"));
        assert_true(pair_next(&w.p, SERVER, &e));
        assert_int_equal(e.type, cases[i].err ? GNT_AMQP_EVENT_DETACH : GNT_AMQP_EVENT_TRANSFER);
        assert_int_equal(e.condition, cases[i].err ? GNT_AMQP_INVALID_FIELD : 0);
        pair_fini(&w.p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refused_link),
        cmocka_unit_test(detach_and_attach_again),
        cmocka_unit_test(both_detach_at_once),
        cmocka_unit_test(detach_before_the_answer),
        cmocka_unit_test(a_link_attached_again_is_stolen),
        cmocka_unit_test(names_are_found_by_role),
        cmocka_unit_test(credit_is_used_up_and_drained),
        cmocka_unit_test(less_credit_while_transfers_fly),
        cmocka_unit_test(echo_is_answered),
        cmocka_unit_test(a_count_that_lags_behind),
        cmocka_unit_test(outcomes_go_out_as_ranges),
        cmocka_unit_test(a_range_is_an_event_for_each),
        cmocka_unit_test(the_first_outcome_holds),
        cmocka_unit_test(settle_modes_are_kept_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
