#include "support/amqp_pair.h"
#include "support/unit.h"

#include <stdlib.h>

struct scene {
    struct pair p;
    struct gnt_amqp_session *s[2];
    struct gnt_amqp_link *a[2], *b[2]; /* the client sends by both */
};

static void scene_init(struct scene *w, const struct gnt_amqp_options *o, uint64_t size_max)
{
    struct gnt_amqp_attach attach = {0};
    GNT_AMQP_SET(&attach, max_message_size, size_max);
    pair_init(&w->p, o);
    pair_open(&w->p);
    pair_begin(&w->p, w->s);
    pair_attach(&w->p, w->s, "a", true, &attach, w->a);
    pair_attach(&w->p, w->s, "b", true, &attach, w->b);
    gnt_amqp_link_credit(w->a[SERVER], 100, false);
    gnt_amqp_link_credit(w->b[SERVER], 100, false);
    pair_expect(&w->p, CLIENT, GNT_AMQP_EVENT_FLOW, NULL);
    pair_expect(&w->p, CLIENT, GNT_AMQP_EVENT_FLOW, NULL);
}

static uint8_t big[300000];

static void fill(void)
{
    for (size_t i = 0; i < sizeof big; i++)
        big[i] = (uint8_t)(i * 7 + i / 251);
}

/* ---- A payload whose bytes are counted */

struct counted {
    int references;
};

static void keep(void *context)
{
    ((struct counted *)context)->references++;
}

static void release(void *context)
{
    ((struct counted *)context)->references--;
}

/* Whatever the frame size and however the payload is cut: the same bytes arrive, and the last
 * reference is given back when the last byte has been written. */
static void payloads_of_any_shape(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 400, 512, 4096, 4097, 65536, 300000};
    static const uint32_t frames[] = {512, 4096, 65536, UINT32_MAX};
    fill();
    for (size_t i = 0; i < COUNT_OF(sizes) * COUNT_OF(frames) * 3; i++) {
        size_t size = sizes[i % COUNT_OF(sizes)], cut = i / (COUNT_OF(sizes) * COUNT_OF(frames));
        struct gnt_amqp_options o = pair_options();
        struct scene w;
        struct gnt_amqp_event e;
        struct counted counted = {0};
        o.max_frame_size = frames[i / COUNT_OF(sizes) % COUNT_OF(frames)];
        o.incoming_window = 1000;
        scene_init(&w, &o, 0);
        size_t head = cut == 0 ? 0 : size / 3, tail = cut == 2 && size > 20 ? 20 : 0;
        const struct gnt_amqp_piece pieces[] = {
            {.bytes = gnt_slice(big, head)},
            {gnt_slice(big + head, size - head - tail), keep, release, &counted},
            {.bytes = gnt_slice(big + size - tail, tail)},
        };
        struct gnt_amqp_delivery *d = NULL;
        size_t taken;
        const struct gnt_amqp_sending sending = {.tag = gnt_slice_str("tag"),
                                                 .format = 0x80013700,
                                                 .batchable = true};
        assert_int_equal(gnt_amqp_link_send(w.a[CLIENT], &sending, pieces, 3, &taken, &d), GNT_OK);
        assert_int_equal(taken, size);
        assert_true(d->whole);
        assert_int_equal(counted.references > 0,
                         size - head - tail > 4096 && o.max_frame_size > 4096);
        size_t got = 0;
        bool last = false;
        for (bool first = true; !last; first = false) {
            pair_expect(&w.p, SERVER, GNT_AMQP_EVENT_TRANSFER, &e);
            assert_int_equal(e.first, first);
            assert_memory_equal(e.payload.data ? e.payload.data : big, big + got, e.payload.size);
            got += e.payload.size;
            last = e.last;
        }
        assert_int_equal(got, size);
        assert_int_equal(e.delivery->size, size);
        assert_int_equal(e.delivery->format, 0x80013700);
        assert_int_equal(counted.references, 0);
        pair_fini(&w.p);
    }
}

/* Two links take turns, frame by frame. */
static void deliveries_interleave(void **state)
{
    (void)state;
    struct scene w;
    struct gnt_amqp_event e;
    struct gnt_amqp_delivery *d[2] = {0};
    size_t taken;
    fill();
    scene_init(&w, NULL, 0);
    for (size_t part = 0; part < 5; part++)
        for (int i = 0; i < 2; i++) {
            const struct gnt_amqp_sending sending = {.tag = gnt_slice_str(i ? "b" : "a"),
                                                     .more = part < 4};
            const struct gnt_amqp_piece piece = {.bytes = gnt_slice(big + part * 10 + i * 100, 10)};
            struct gnt_amqp_link *l = i ? w.b[CLIENT] : w.a[CLIENT];
            assert_int_equal(gnt_amqp_link_send(l, &sending, &piece, 1, &taken, &d[i]), GNT_OK);
            /* The link has to finish it before it begins another one. */
            struct gnt_amqp_delivery *other = NULL;
            if (part < 4)
                assert_int_equal(gnt_amqp_link_send(l, &sending, &piece, 1, &taken, &other),
                                 GNT_INVALID);
        }
    for (size_t part = 0; part < 5; part++)
        for (int i = 0; i < 2; i++) {
            pair_expect(&w.p, SERVER, GNT_AMQP_EVENT_TRANSFER, &e);
            assert_ptr_equal(e.link, i ? w.b[SERVER] : w.a[SERVER]);
            assert_memory_equal(e.payload.data, big + part * 10 + i * 100, 10);
            assert_int_equal(e.delivery->id, i);
            assert_int_equal(e.last, part == 4);
        }
    pair_fini(&w.p);
}

/* The window is shared, and who had to wait is told in turn. */
static void the_window_is_waited_for(void **state)
{
    (void)state;
    struct scene w;
    struct gnt_amqp_event e;
    struct gnt_amqp_options o = pair_options();
    struct gnt_amqp_delivery *d[2] = {0}, *none = NULL;
    size_t sent[2] = {0}, got[2] = {0}, taken, size = 20000;
    struct gnt_amqp_link *last_told = NULL;
    unsigned turns = 0;
    o.max_frame_size = 512;
    o.incoming_window = 4;
    fill();
    scene_init(&w, &o, 0);
    struct gnt_amqp_link *const links[] = {w.a[CLIENT], w.b[CLIENT]};
    const struct gnt_amqp_sending sending = {.tag = gnt_slice_str("t")};
    for (int i = 0; i < 2; i++) {
        const struct gnt_amqp_piece piece = {.bytes = gnt_slice(big, size)};
        assert_int_equal(gnt_amqp_link_send(links[i], &sending, &piece, 1, &sent[i], &d[i]),
                         GNT_MORE);
    }
    assert_null(d[1]);
    assert_int_equal(w.s[CLIENT]->outgoing_window, 0);
    assert_int_equal(gnt_amqp_link_send(links[1], &sending, NULL, 0, &taken, &none), GNT_MORE);
    while (got[0] < size || got[1] < size) {
        pair_move(&w.p);
        while (pair_next(&w.p, SERVER, &e)) {
            assert_int_equal(e.type, GNT_AMQP_EVENT_TRANSFER);
            int i = e.link == w.b[SERVER];
            assert_memory_equal(e.payload.data, big + got[i], e.payload.size);
            got[i] += e.payload.size;
        }
        assert_int_equal(w.p.end[SERVER].err, GNT_MORE);
        while (pair_next(&w.p, CLIENT, &e)) {
            if (e.type != GNT_AMQP_EVENT_FLOW)
                continue;
            int i = e.link == links[1];
            if (sent[i] == size)
                continue;
            turns += e.link != last_told;
            last_told = e.link;
            const struct gnt_amqp_piece piece = {.bytes = gnt_slice(big + sent[i], size - sent[i])};
            gnt_err err = gnt_amqp_link_send(links[i], &sending, &piece, 1, &taken, &d[i]);
            assert_true(err == GNT_OK || err == GNT_MORE);
            sent[i] += taken;
        }
    }
    assert_true(turns > 10);
    pair_fini(&w.p);
}

static void a_delivery_is_given_up(void **state)
{
    (void)state;
    for (int closed = 0; closed < 2; closed++) { /* whether the window is */
        struct scene w;
        struct gnt_amqp_event e;
        struct gnt_amqp_options o = pair_options();
        struct gnt_amqp_delivery *d = NULL, *next = NULL;
        size_t taken;
        o.incoming_window = closed ? 2 : 3;
        scene_init(&w, &o, 0);
        struct gnt_amqp_sending sending = {.tag = gnt_slice_str("t"), .more = true};
        const struct gnt_amqp_piece piece = {.bytes = gnt_slice_str("x")};
        for (int i = 0; i < 1 + closed; i++)
            assert_int_equal(gnt_amqp_link_send(w.a[CLIENT], &sending, &piece, 1, &taken, &d),
                             GNT_OK);
        assert_int_equal(w.s[CLIENT]->sent.live, 1);
        assert_int_equal(gnt_amqp_delivery_settle(d, (struct gnt_slice){0}, true), GNT_STATE);
        assert_int_equal(gnt_amqp_delivery_abort(d), GNT_OK);
        assert_int_equal(w.s[CLIENT]->sent.live, 0);
        sending.more = false;
        assert_int_equal(gnt_amqp_link_send(w.a[CLIENT], &sending, &piece, 1, &taken, &next),
                         closed ? GNT_MORE : GNT_OK);
        for (int i = 0; i < 1 + closed; i++) {
            pair_expect(&w.p, SERVER, GNT_AMQP_EVENT_TRANSFER, &e);
            assert_false(e.last);
        }
        if (closed) {
            assert_false(pair_next(&w.p, SERVER, &e));
            pair_expect(&w.p, CLIENT, GNT_AMQP_EVENT_FLOW, &e);
        }
        pair_expect(&w.p, SERVER, GNT_AMQP_EVENT_TRANSFER, &e);
        assert_true(e.aborted && e.last && !e.delivery->whole);
        assert_int_equal(e.payload.size, 0);
        assert_int_equal(gnt_amqp_delivery_settle(e.delivery, (struct gnt_slice){0}, true),
                         GNT_STATE);
        if (closed)
            assert_int_equal(gnt_amqp_link_send(w.a[CLIENT], &sending, &piece, 1, &taken, &next),
                             GNT_OK);
        pair_expect(&w.p, SERVER, GNT_AMQP_EVENT_TRANSFER, &e);
        assert_true(e.first && e.last);
        assert_int_equal(w.s[SERVER]->received.live, 1);
        pair_fini(&w.p);
    }
}

/* Settled in the midst of it: the receiver is shown no more, and the sender may stop. */
static void settled_before_it_is_whole(void **state)
{
    (void)state;
    struct scene w;
    struct gnt_amqp_event e;
    struct gnt_amqp_delivery *d = NULL;
    size_t taken;
    scene_init(&w, NULL, 0);
    struct gnt_amqp_sending sending = {.tag = gnt_slice_str("t"), .more = true};
    const struct gnt_amqp_piece piece = {.bytes = gnt_slice_str("x")};
    assert_int_equal(gnt_amqp_link_send(w.a[CLIENT], &sending, &piece, 1, &taken, &d), GNT_OK);
    pair_expect(&w.p, SERVER, GNT_AMQP_EVENT_TRANSFER, &e);
    assert_int_equal(gnt_amqp_delivery_settle(e.delivery,
                                              gnt_amqp_fieldless(GNT_AMQP_RELEASED).encoded, true),
                     GNT_OK);
    assert_int_equal(gnt_amqp_link_send(w.a[CLIENT], &sending, &piece, 1, &taken, &d), GNT_OK);
    pair_expect_none(&w.p, SERVER);
    pair_expect(&w.p, CLIENT, GNT_AMQP_EVENT_DISPOSITION, &e);
    assert_ptr_equal(e.delivery, d);
    assert_true(e.settled && !d->whole && d->settled);
    assert_int_equal(gnt_amqp_delivery_abort(d), GNT_OK);
    pair_expect_none(&w.p, SERVER);
    d = NULL;
    sending.more = false;
    assert_int_equal(gnt_amqp_link_send(w.a[CLIENT], &sending, &piece, 1, &taken, &d), GNT_OK);
    pair_expect(&w.p, SERVER, GNT_AMQP_EVENT_TRANSFER, &e);
    assert_true(e.first && e.last);
    pair_fini(&w.p);
}

static void bounds_of_sending(void **state)
{
    (void)state;
    struct scene w;
    struct gnt_amqp_options o = pair_options();
    struct gnt_amqp_delivery *d = NULL, *last;
    size_t taken;
    o.unsettled_max = 3;
    scene_init(&w, &o, 10);
    assert_int_equal(pair_send(w.a[CLIENT], 1, gnt_slice_str("12345678901"), &d), GNT_TOOBIG);
    for (uint8_t i = 0; i < 3; i++)
        assert_int_equal(pair_send(i & 1 ? w.b[CLIENT] : w.a[CLIENT], i, gnt_slice_str("x"), &last),
                         GNT_OK);
    assert_int_equal(pair_send(w.a[CLIENT], 4, gnt_slice_str("x"), &d), GNT_FULL);
    struct gnt_amqp_sending sending = {.tag = gnt_slice_str("t"), .settled = true};
    assert_int_equal(gnt_amqp_link_send(w.a[CLIENT], &sending, NULL, 0, &taken, &d), GNT_OK);
    assert_null(d);
    assert_int_equal(gnt_amqp_delivery_settle(last, (struct gnt_slice){0}, true), GNT_OK);
    assert_int_equal(pair_send(w.a[CLIENT], 4, gnt_slice_str("x"), &d), GNT_OK);
    static const char tag[33] = "";
    sending.tag = gnt_slice(tag, 33);
    d = NULL;
    assert_int_equal(gnt_amqp_link_send(w.b[CLIENT], &sending, NULL, 0, &taken, &d), GNT_INVALID);
    assert_int_equal(gnt_amqp_link_send(w.b[SERVER], &sending, NULL, 0, &taken, &d), GNT_STATE);
    pair_fini(&w.p);
}

/* A state travels with the transfer, and one that no frame has room for cannot. */
static void states_of_transfers(void **state)
{
    (void)state;
    struct scene w;
    struct gnt_amqp_event e;
    struct gnt_amqp_options o = pair_options();
    struct gnt_amqp_delivery *d = NULL;
    size_t taken;
    static uint8_t id[600], bytes[700];
    o.max_frame_size = 512;
    scene_init(&w, &o, 0);
    for (size_t size = 32; size <= 600; size += 568) {
        struct gnt_amqp_writer writer = gnt_amqp_writer(bytes, sizeof bytes);
        struct gnt_amqp_transactional_state t = {0};
        GNT_AMQP_SET(&t, txn_id, gnt_slice(id, size));
        gnt_amqp_put_transactional_state(&writer, &t);
        struct gnt_amqp_sending sending = {.tag = gnt_slice_str("t"),
                                           .state = gnt_amqp_written(&writer)};
        d = NULL;
        assert_int_equal(gnt_amqp_link_send(w.a[CLIENT], &sending, NULL, 0, &taken, &d),
                         size < 500 ? GNT_OK : GNT_TOOBIG);
        if (size > 500)
            break;
        pair_expect(&w.p, SERVER, GNT_AMQP_EVENT_TRANSFER, &e);
        assert_int_equal(gnt_amqp_decode_transactional_state(e.state.encoded, &t), GNT_OK);
        assert_int_equal(t.txn_id.size, size);
        assert_int_equal(e.delivery->peer_state, GNT_AMQP_TRANSACTIONAL_STATE);
    }
    assert_int_equal(w.s[CLIENT]->sent.live, 1);
    pair_fini(&w.p);
}

/* Ids of frames and of deliveries go round the corner, and clients begin where they like. */
static void ids_go_round(void **state)
{
    (void)state;
    struct pair p;
    struct gnt_amqp_event e;
    struct gnt_amqp_begin begin = {0};
    struct gnt_amqp_attach attach = {0};
    struct gnt_amqp_transfer t = {0};
    struct gnt_amqp_frame frame;
    struct gnt_amqp_composite said;
    struct gnt_amqp_delivery *first = NULL;
    pair_init(&p, NULL);
    pair_open(&p);
    GNT_AMQP_SET(&begin, next_outgoing_id, 0xfffffffd);
    GNT_AMQP_SET(&begin, incoming_window, 2048);
    GNT_AMQP_SET(&begin, outgoing_window, 2048);
    pair_inject(&p, SERVER, 3, GNT_AMQP_BEGIN, &begin, (struct gnt_slice){0});
    pair_expect(&p, SERVER, GNT_AMQP_EVENT_BEGIN, &e);
    GNT_AMQP_SET(&attach, name, gnt_slice_str("l"));
    GNT_AMQP_SET(&attach, handle, 0);
    GNT_AMQP_SET(&attach, role, GNT_AMQP_SENDER);
    GNT_AMQP_SET(&attach, initial_delivery_count, 0xffffffff);
    pair_inject(&p, SERVER, 3, GNT_AMQP_ATTACH, &attach, (struct gnt_slice){0});
    pair_expect(&p, SERVER, GNT_AMQP_EVENT_ATTACH, &e);
    assert_int_equal(gnt_amqp_link_answer(e.link, &(struct gnt_amqp_attach){0}, NULL, 0), GNT_OK);
    gnt_amqp_link_credit(e.link, 50, false);
    assert_int_equal(gnt_amqp_connection_flush(&p.end[SERVER].c, p.now), GNT_OK);
    for (uint32_t i = 0; i < 50; i++) {
        uint8_t tag = (uint8_t)i;
        GNT_AMQP_SET(&t, handle, 0);
        GNT_AMQP_SET(&t, delivery_id, 0xfffffff0 + i * 7); /* some leave ids out */
        GNT_AMQP_SET(&t, delivery_tag, gnt_slice(&tag, 1));
        pair_inject(&p, SERVER, 3, GNT_AMQP_TRANSFER, &t, LITERAL("x"));
        pair_expect(&p, SERVER, GNT_AMQP_EVENT_TRANSFER, &e);
        assert_int_equal(e.delivery->id, 0xfffffff0 + i * 7);
        first = first ? first : e.delivery;
    }
    assert_int_equal(e.session->next_incoming_id, 47);
    struct gnt_amqp_disposition d = {0};
    GNT_AMQP_SET(&d, role, GNT_AMQP_SENDER);
    GNT_AMQP_SET(&d, first, 0xfffffff1);
    GNT_AMQP_SET(&d, last, 0x10);
    GNT_AMQP_SET(&d, settled, true);
    pair_inject(&p, SERVER, 3, GNT_AMQP_DISPOSITION, &d, (struct gnt_slice){0});
    for (uint32_t i = 1; i < 5; i++) {
        pair_expect(&p, SERVER, GNT_AMQP_EVENT_DISPOSITION, &e);
        assert_int_equal(e.delivery->id, 0xfffffff0 + i * 7);
    }
    assert_false(pair_next(&p, SERVER, &e));
    assert_int_equal(first->link->session->received.live, 46);
    (void)pair_written(&p, SERVER, &frame, &said);
    pair_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(payloads_of_any_shape),      cmocka_unit_test(deliveries_interleave),
        cmocka_unit_test(the_window_is_waited_for),   cmocka_unit_test(a_delivery_is_given_up),
        cmocka_unit_test(settled_before_it_is_whole), cmocka_unit_test(bounds_of_sending),
        cmocka_unit_test(states_of_transfers),        cmocka_unit_test(ids_go_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
