/* Links that are attached again with what was unsettled [AMQP 2.6.13]. */
#include "support/amqp_pair.h"
#include "support/unit.h"

static struct gnt_slice state_of(const char *name)
{
    static const uint8_t received0[] = {0, 0x53, 0x23, 0xc0, 3, 2, 0x43, 0x44};
    static const uint8_t received1[] = {0, 0x53, 0x23, 0xc0, 5, 2, 0x52, 1, 0x53, 1};
    static const uint8_t received2[] = {0, 0x53, 0x23, 0xc0, 5, 2, 0x52, 1, 0x53, 2};
    switch (name[0]) {
    case 'A': return gnt_amqp_fieldless(GNT_AMQP_ACCEPTED).encoded;
    case 'R': return gnt_amqp_fieldless(GNT_AMQP_RELEASED).encoded;
    case '0': return gnt_slice(received0, sizeof received0);
    case '1': return gnt_slice(received1, sizeof received1);
    case '2': return gnt_slice(received2, sizeof received2);
    default: return (struct gnt_slice){0};
    }
}

/* The examples of the standard by their delivery-tags; theirs "": it has no such delivery; "-":
 * null. */
static const struct {
    const char *tag, *ours, *theirs;
    enum gnt_amqp_resume sender;
} examples[] = {
    {"1", "-", "", GNT_AMQP_RESUME_AGAIN},      {"2", "-", "1", GNT_AMQP_RESUME_CONTINUE},
    {"3", "-", "A", GNT_AMQP_RESUME_SETTLE},    {"4", "-", "-", GNT_AMQP_RESUME_CONTINUE},
    {"5", "1", "", GNT_AMQP_RESUME_AGAIN},      {"6", "1", "2", GNT_AMQP_RESUME_CONTINUE},
    {"6b", "1", "1", GNT_AMQP_RESUME_CONTINUE}, {"7", "2", "1", GNT_AMQP_RESUME_ABORT},
    {"8", "1", "A", GNT_AMQP_RESUME_SETTLE},    {"9", "1", "-", GNT_AMQP_RESUME_ABORT},
    {"9b", "0", "-", GNT_AMQP_RESUME_CONTINUE}, {"10", "A", "", GNT_AMQP_RESUME_FORGET},
    {"11", "A", "1", GNT_AMQP_RESUME_ABORT},    {"12", "A", "A", GNT_AMQP_RESUME_SETTLE},
    {"13", "A", "R", GNT_AMQP_RESUME_RESTATE},  {"14", "A", "-", GNT_AMQP_RESUME_ABORT},
};

enum { EXAMPLES = COUNT_OF(examples) };

struct world {
    struct pair p;
    struct gnt_amqp_session *s[2];
    struct gnt_amqp_link *l[2];
    size_t at[EXAMPLES]; /* contexts: which example it is */
};

/* What one side has unsettled. */
static size_t unsettled_of(struct world *w, bool sender, struct gnt_amqp_unsettled *list)
{
    size_t count = 0;
    for (size_t i = 0; i < EXAMPLES; i++) {
        if (!sender && !examples[i].theirs[0])
            continue;
        w->at[i] = i;
        list[count++] = (struct gnt_amqp_unsettled){.tag = gnt_slice_str(examples[i].tag),
                                                    .state = state_of(sender ? examples[i].ours
                                                                             : examples[i].theirs),
                                                    .context = &w->at[i]};
    }
    return count;
}

/* Both sides attach with all of them; the client sends if CLIENT_SENDS. */
static void attach(struct world *w, bool client_sends)
{
    struct gnt_amqp_unsettled list[EXAMPLES];
    struct gnt_amqp_event e;
    struct gnt_amqp_attach a = {.role = client_sends ? GNT_AMQP_SENDER : GNT_AMQP_RECEIVER};
    pair_init(&w->p, NULL);
    pair_open(&w->p);
    pair_begin(&w->p, w->s);
    a.name = gnt_slice_str("link");
    size_t count = unsettled_of(w, client_sends, list);
    assert_int_equal(gnt_amqp_link_attach(w->s[CLIENT], &a, list, count, &w->l[CLIENT]), GNT_OK);
    assert_int_equal(w->l[CLIENT]->restored, count);
    pair_expect(&w->p, SERVER, GNT_AMQP_EVENT_ATTACH, &e);
    w->l[SERVER] = e.link;
    count = unsettled_of(w, !client_sends, list);
    assert_int_equal(gnt_amqp_link_answer(e.link, &a, list, count), GNT_OK);
}

/* The events RESUME of the sender are as the examples say; *d: its deliveries. */
static void expect_sender(struct world *w, int side, struct gnt_amqp_delivery *d[EXAMPLES])
{
    for (size_t i = 0; i < EXAMPLES; i++) {
        struct gnt_amqp_event e;
        pair_expect(&w->p, side, GNT_AMQP_EVENT_RESUME, &e);
        assert_int_equal(*(size_t *)e.delivery->context, i);
        print_message("%s\n", examples[i].tag);
        assert_int_equal(e.resume, examples[i].sender);
        struct gnt_slice theirs = state_of(examples[i].theirs);
        assert_int_equal(e.state.type == GNT_AMQP_NULL, theirs.size == 0);
        if (theirs.size)
            assert_true(gnt_slice_eq(e.state.encoded, theirs));
        d[i] = e.resume == GNT_AMQP_RESUME_FORGET ? NULL : e.delivery;
    }
}

/* All that the receiver has restored the sender knows, too. */
static void expect_receiver(struct world *w, int side)
{
    for (size_t i = 0; i < EXAMPLES; i++) {
        struct gnt_amqp_event e;
        if (!examples[i].theirs[0])
            continue;
        pair_expect(&w->p, side, GNT_AMQP_EVENT_RESUME, &e);
        assert_int_equal(*(size_t *)e.delivery->context, i);
        assert_int_equal(e.resume, GNT_AMQP_RESUME_WAIT);
    }
}

static void the_examples_of_the_standard(void **state)
{
    (void)state;
    for (int client_sends = 0; client_sends < 2; client_sends++) {
        struct world w;
        struct gnt_amqp_event e;
        struct gnt_amqp_delivery *d[EXAMPLES], *fresh = NULL;
        size_t taken;
        attach(&w, client_sends);
        int sender = client_sends ? CLIENT : SERVER, receiver = !sender;
        if (client_sends)
            expect_receiver(&w, SERVER);
        else
            expect_sender(&w, SERVER, d);
        pair_expect(&w.p, CLIENT, GNT_AMQP_EVENT_ATTACH, NULL);
        if (client_sends)
            expect_sender(&w, CLIENT, d);
        else
            expect_receiver(&w, CLIENT);
        gnt_amqp_link_credit(w.l[receiver], 100, false);
        pair_expect(&w.p, sender, GNT_AMQP_EVENT_FLOW, NULL);
        for (size_t i = 0; i < EXAMPLES; i++) {
            if (!d[i])
                continue;
            enum gnt_amqp_resume what = examples[i].sender;
            bool payload = what == GNT_AMQP_RESUME_AGAIN || what == GNT_AMQP_RESUME_CONTINUE;
            const struct gnt_amqp_piece piece = {.bytes = gnt_slice_str("rest")};
            const struct gnt_amqp_sending sending = {.state = state_of(examples[i].ours)};
            struct gnt_amqp_delivery *same = d[i];
            assert_int_equal(
                gnt_amqp_link_send(w.l[sender], &sending, &piece, payload, &taken, &same), GNT_OK);
            bool ends = what == GNT_AMQP_RESUME_SETTLE || what == GNT_AMQP_RESUME_ABORT;
            assert_ptr_equal(same, ends ? NULL : d[i]);
            pair_expect(&w.p, receiver, GNT_AMQP_EVENT_TRANSFER, &e);
            assert_true(gnt_slice_eq_str(gnt_amqp_delivery_tag(e.delivery), examples[i].tag));
            assert_int_equal(e.performative.transfer.resume, what != GNT_AMQP_RESUME_AGAIN);
            assert_int_equal(e.aborted, what == GNT_AMQP_RESUME_ABORT);
            assert_int_equal(e.settled, ends);
            assert_int_equal(e.payload.size, payload ? 4 : 0);
            /* What is resumed is the receiver's own delivery of before. */
            if (what == GNT_AMQP_RESUME_AGAIN)
                assert_null(e.delivery->context);
            else
                assert_int_equal(*(size_t *)e.delivery->context, i);
            if (!ends)
                assert_int_equal(
                    gnt_amqp_delivery_settle(e.delivery,
                                             gnt_amqp_fieldless(GNT_AMQP_ACCEPTED).encoded, true),
                    GNT_OK);
        }
        const struct gnt_amqp_sending sending = {.tag = gnt_slice_str("new")};
        assert_int_equal(gnt_amqp_link_send(w.l[sender], &sending, NULL, 0, &taken, &fresh),
                         GNT_OK);
        pair_expect(&w.p, receiver, GNT_AMQP_EVENT_TRANSFER, &e);
        for (size_t i = 0; i < EXAMPLES; i++)
            if (d[i] && examples[i].sender != GNT_AMQP_RESUME_SETTLE &&
                examples[i].sender != GNT_AMQP_RESUME_ABORT)
                pair_expect(&w.p, sender, GNT_AMQP_EVENT_DISPOSITION, &e);
        assert_int_equal(w.s[sender]->sent.live, 1);
        assert_int_equal(w.s[receiver]->received.live, 1);
        pair_fini(&w.p);
    }
}

/* Nothing is sent before it is known what the peer has. */
static void not_before_the_answer(void **state)
{
    (void)state;
    struct world w;
    struct gnt_amqp_link *l;
    struct gnt_amqp_unsettled one = {.tag = gnt_slice_str("t")};
    struct gnt_amqp_attach a = {.role = GNT_AMQP_SENDER};
    size_t taken;
    pair_init(&w.p, NULL);
    pair_open(&w.p);
    pair_begin(&w.p, w.s);
    a.name = gnt_slice_str("link");
    one.tag = LITERAL("123456789012345678901234567890123");
    assert_int_equal(gnt_amqp_link_attach(w.s[CLIENT], &a, &one, 1, &l), GNT_INVALID);
    one.tag = LITERAL("t");
    assert_int_equal(gnt_amqp_link_attach(w.s[CLIENT], &a, &one, 1, &l), GNT_OK);
    struct gnt_amqp_delivery *d =
        GNT_CONTAINER(l->deliveries.next, struct gnt_amqp_delivery, in_link);
    const struct gnt_amqp_sending sending = {.tag = gnt_slice_str("t")};
    assert_int_equal(gnt_amqp_link_send(l, &sending, NULL, 0, &taken, &d), GNT_STATE);
    assert_int_equal(gnt_amqp_delivery_settle(d, (struct gnt_slice){0}, true), GNT_STATE);
    pair_fini(&w.p);
}

/* An owner that answers late has nothing to go on with, and may not say that it has. */
static void a_late_answer(void **state)
{
    (void)state;
    struct world w;
    struct gnt_amqp_event e;
    struct gnt_amqp_link *l;
    struct gnt_amqp_unsettled one = {.tag = gnt_slice_str("t")};
    struct gnt_amqp_attach a = {.role = GNT_AMQP_SENDER};
    pair_init(&w.p, NULL);
    pair_open(&w.p);
    pair_begin(&w.p, w.s);
    a.name = gnt_slice_str("link");
    assert_int_equal(gnt_amqp_link_attach(w.s[CLIENT], &a, &one, 1, &l), GNT_OK);
    pair_expect(&w.p, SERVER, GNT_AMQP_EVENT_ATTACH, &e);
    struct gnt_amqp_link *served = e.link;
    assert_int_equal(e.performative.attach.unsettled.count, 2);
    pair_expect_none(&w.p, SERVER);
    assert_int_equal(gnt_amqp_link_answer(served, &a, &one, 1), GNT_STATE);
    assert_int_equal(gnt_amqp_link_answer(served, &a, NULL, 0), GNT_OK);
    pair_expect(&w.p, CLIENT, GNT_AMQP_EVENT_ATTACH, &e);
    pair_expect(&w.p, CLIENT, GNT_AMQP_EVENT_RESUME, &e);
    assert_int_equal(e.resume, GNT_AMQP_RESUME_AGAIN);
    pair_expect_none(&w.p, CLIENT);
    pair_fini(&w.p);
}

/* More than a frame has room for is told as incomplete, and then nothing new may come. */
static void maps_that_are_not_complete(void **state)
{
    (void)state;
    enum { MANY = 100 };
    for (int sender = 0; sender < 2; sender++) {
        struct world w;
        struct gnt_amqp_event e;
        struct gnt_amqp_options o = pair_options();
        struct gnt_amqp_unsettled list[MANY];
        struct gnt_amqp_attach a = {.role = sender ? GNT_AMQP_SENDER : GNT_AMQP_RECEIVER};
        struct gnt_amqp_delivery *d = NULL;
        size_t taken;
        uint8_t tags[MANY];
        o.max_frame_size = 512;
        pair_init(&w.p, &o);
        pair_open(&w.p);
        pair_begin(&w.p, w.s);
        for (int i = 0; i < MANY; i++) {
            tags[i] = (uint8_t)i;
            list[i] =
                (struct gnt_amqp_unsettled){.tag = gnt_slice(&tags[i], 1), .state = state_of("1")};
        }
        a.name = gnt_slice_str("link");
        assert_int_equal(gnt_amqp_link_attach(w.s[CLIENT], &a, list, MANY, &w.l[CLIENT]), GNT_OK);
        unsigned told = w.l[CLIENT]->restored;
        assert_true(told > 30 && told < 40);
        pair_expect(&w.p, SERVER, GNT_AMQP_EVENT_ATTACH, &e);
        assert_true(e.performative.attach.incomplete_unsettled);
        assert_int_equal(e.performative.attach.unsettled.count, 2 * told);
        w.l[SERVER] = e.link;
        assert_int_equal(gnt_amqp_link_answer(e.link, &a, &list[MANY - 1], 1), GNT_OK);
        pair_expect(&w.p, SERVER, GNT_AMQP_EVENT_RESUME, &e); /* nothing follows from its absence */
        assert_int_equal(e.resume, GNT_AMQP_RESUME_WAIT);
        pair_expect(&w.p, CLIENT, GNT_AMQP_EVENT_ATTACH, &e);
        assert_false(e.performative.attach.incomplete_unsettled);
        for (unsigned i = 0; i < told; i++) {
            pair_expect(&w.p, CLIENT, GNT_AMQP_EVENT_RESUME, &e);
            assert_int_equal(e.resume, sender ? GNT_AMQP_RESUME_AGAIN : GNT_AMQP_RESUME_FORGET);
        }
        int receiver = sender ? SERVER : CLIENT;
        gnt_amqp_link_credit(w.l[receiver], 5, false);
        pair_expect(&w.p, !receiver, GNT_AMQP_EVENT_FLOW, NULL);
        const struct gnt_amqp_sending sending = {.tag = gnt_slice_str("new")};
        assert_int_equal(gnt_amqp_link_send(w.l[!receiver], &sending, NULL, 0, &taken, &d),
                         sender ? GNT_OK : GNT_STATE);
        if (!sender) {
            struct gnt_amqp_transfer t = {0};
            GNT_AMQP_SET(&t, handle, 0);
            GNT_AMQP_SET(&t, delivery_id, 0);
            GNT_AMQP_SET(&t, delivery_tag, gnt_slice_str("new"));
            pair_inject(&w.p, CLIENT, 0, GNT_AMQP_TRANSFER, &t, LITERAL("x"));
            pair_expect(&w.p, CLIENT, GNT_AMQP_EVENT_DETACH, &e);
            assert_int_equal(e.condition, GNT_AMQP_NOT_ALLOWED);
        }
        pair_fini(&w.p);
    }
}

/* The connection is cut in the midst of a delivery, and another one goes on with it. */
static void on_a_new_connection(void **state)
{
    (void)state;
    struct world w;
    struct gnt_amqp_event e;
    struct gnt_amqp_delivery *d = NULL;
    size_t taken;
    pair_init(&w.p, NULL);
    pair_open(&w.p);
    pair_begin(&w.p, w.s);
    pair_attach(&w.p, w.s, "link", true, NULL, w.l);
    gnt_amqp_link_credit(w.l[SERVER], 5, false);
    pair_expect(&w.p, CLIENT, GNT_AMQP_EVENT_FLOW, NULL);
    struct gnt_amqp_sending sending = {.tag = gnt_slice_str("t"), .more = true};
    const struct gnt_amqp_piece half = {.bytes = gnt_slice_str("half")};
    assert_int_equal(gnt_amqp_link_send(w.l[CLIENT], &sending, &half, 1, &taken, &d), GNT_OK);
    pair_expect(&w.p, SERVER, GNT_AMQP_EVENT_TRANSFER, &e);
    pair_fini(&w.p); /* cut */

    static const uint8_t received[] = {0, 0x53, 0x23, 0xc0, 4, 2, 0x43, 0x53, 4};
    struct gnt_amqp_unsettled ours = {.tag = gnt_slice_str("t")}, theirs = ours;
    struct gnt_amqp_attach a = {.role = GNT_AMQP_SENDER};
    struct gnt_amqp_received from;
    theirs.state = gnt_slice(received, sizeof received);
    a.name = gnt_slice_str("link");
    pair_init(&w.p, NULL);
    pair_open(&w.p);
    pair_begin(&w.p, w.s);
    assert_int_equal(gnt_amqp_link_attach(w.s[CLIENT], &a, &ours, 1, &w.l[CLIENT]), GNT_OK);
    pair_expect(&w.p, SERVER, GNT_AMQP_EVENT_ATTACH, &e);
    w.l[SERVER] = e.link;
    assert_int_equal(gnt_amqp_link_answer(e.link, &a, &theirs, 1), GNT_OK);
    pair_expect(&w.p, SERVER, GNT_AMQP_EVENT_RESUME, &e);
    struct gnt_amqp_delivery *kept = e.delivery;
    gnt_amqp_link_credit(w.l[SERVER], 5, false);
    pair_expect(&w.p, CLIENT, GNT_AMQP_EVENT_ATTACH, &e);
    pair_expect(&w.p, CLIENT, GNT_AMQP_EVENT_RESUME, &e);
    assert_int_equal(e.resume, GNT_AMQP_RESUME_CONTINUE);
    assert_int_equal(gnt_amqp_decode_received(e.state.encoded, &from), GNT_OK);
    assert_int_equal(from.section_offset, 4);
    d = e.delivery;
    pair_expect(&w.p, CLIENT, GNT_AMQP_EVENT_FLOW, NULL);
    sending.more = false;
    const struct gnt_amqp_piece rest = {.bytes = gnt_slice_str("rest")};
    assert_int_equal(gnt_amqp_link_send(w.l[CLIENT], &sending, &rest, 1, &taken, &d), GNT_OK);
    pair_expect(&w.p, SERVER, GNT_AMQP_EVENT_TRANSFER, &e);
    assert_ptr_equal(e.delivery, kept);
    assert_slice(e.payload, "rest");
    assert_true(e.last && w.s[SERVER]->received.live == 1);
    pair_fini(&w.p);
}

/* Detached and not closed, a link is kept by both sides, and its deliveries are settled on the
 * session; what had been sent in part is given up. */
static void kept_for_its_deliveries(void **state)
{
    (void)state;
    for (int ends = 0; ends < 2; ends++) {
        struct world w;
        struct gnt_amqp_event e;
        struct gnt_amqp_delivery *d = NULL, *part = NULL;
        size_t taken;
        const struct gnt_amqp_sending sending = {.tag = gnt_slice_str("p"), .more = true};
        const struct gnt_amqp_piece piece = {.bytes = gnt_slice_str("part")};
        pair_init(&w.p, NULL);
        pair_open(&w.p);
        pair_begin(&w.p, w.s);
        pair_attach(&w.p, w.s, "link", true, NULL, w.l);
        gnt_amqp_link_credit(w.l[SERVER], 5, false);
        pair_expect(&w.p, CLIENT, GNT_AMQP_EVENT_FLOW, NULL);
        assert_int_equal(pair_send(w.l[CLIENT], 1, gnt_slice_str("whole"), &d), GNT_OK);
        assert_int_equal(gnt_amqp_link_send(w.l[CLIENT], &sending, &piece, 1, &taken, &part),
                         GNT_OK);
        pair_expect(&w.p, SERVER, GNT_AMQP_EVENT_TRANSFER, &e);
        struct gnt_amqp_delivery *got = e.delivery;
        pair_expect(&w.p, SERVER, GNT_AMQP_EVENT_TRANSFER, &e);
        assert_int_equal(gnt_amqp_link_detach(w.l[CLIENT], false, NULL), GNT_OK);
        pair_expect(&w.p, SERVER, GNT_AMQP_EVENT_DETACH, &e);
        gnt_amqp_link_keep(e.link);
        pair_expect(&w.p, CLIENT, GNT_AMQP_EVENT_DETACH, &e);
        gnt_amqp_link_keep(e.link);
        assert_int_equal(w.s[CLIENT]->sent.live, 1);
        assert_int_equal(w.s[SERVER]->received.live, 1);
        assert_false(gnt_list_empty(&w.s[CLIENT]->links));

        /* Its name is free, also for a link that its deliveries have nothing to do with. */
        struct gnt_amqp_link *again[2];
        pair_attach(&w.p, w.s, "link", true, NULL, again);
        if (ends) {
            assert_int_equal(gnt_amqp_session_end(w.s[CLIENT], NULL), GNT_OK);
            pair_expect(&w.p, SERVER, GNT_AMQP_EVENT_END, &e);
            assert_ptr_equal(GNT_CONTAINER(e.session->links.next, struct gnt_amqp_link, in_session),
                             w.l[SERVER]);
        } else {
            assert_int_equal(
                gnt_amqp_delivery_settle(got, gnt_amqp_fieldless(GNT_AMQP_ACCEPTED).encoded, true),
                GNT_OK);
            pair_expect(&w.p, CLIENT, GNT_AMQP_EVENT_DISPOSITION, &e);
            assert_ptr_equal(e.link, w.l[CLIENT]);
            assert_ptr_equal(e.delivery, d);
            assert_true(e.settled);
            gnt_amqp_link_let_go(w.l[CLIENT]); /* within the event, as its owner may */
            gnt_amqp_link_let_go(w.l[SERVER]);
            assert_int_equal(w.s[CLIENT]->sent.live, 0);
            assert_int_equal(w.s[SERVER]->received.live, 0);
        }
        pair_expect_none(&w.p, SERVER);
        pair_fini(&w.p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kept_for_its_deliveries),
        cmocka_unit_test(the_examples_of_the_standard),
        cmocka_unit_test(not_before_the_answer),
        cmocka_unit_test(a_late_answer),
        cmocka_unit_test(maps_that_are_not_complete),
        cmocka_unit_test(on_a_new_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
