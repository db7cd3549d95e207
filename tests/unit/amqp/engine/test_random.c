/* Both ends do what comes to mind, over a wire that carries a few bytes at a time.  Neither may
 * ever find the other one in breach of the protocol; what is received is what was sent, in order,
 * once; and when all is quiet, both ends agree on what is unsettled.  GNT_TEST_SEED chooses the
 * life, GNT_TEST_LIVES how many. */
#include "base/random.h"
#include "support/amqp_pair.h"
#include "support/unit.h"

#include <stdio.h>
#include <stdlib.h>

enum { ROUTES = 48, MESSAGES = 400, SESSIONS = 4, NAME = 8 };

struct message {
    struct route *route;
    size_t size, sent, got;
    struct gnt_amqp_delivery *delivery[2]; /* by side; NULL: not there, or settled */
    uint8_t tag;
    bool settled, whole, aborted, arrived;
};

/* A link by what both of its ends know. */
struct route {
    char name[NAME];
    int sender;                    /* the side that sends */
    struct gnt_amqp_link *link[2]; /* NULL: not attached, or gone */
    struct message *message[MESSAGES];
    unsigned begun, arriving; /* messages begun to be sent; completely arrived */
    bool second, ended;
};

struct life {
    struct pair p;
    struct gnt_seeded random;
    struct route route[ROUTES];
    unsigned routes;
    uint64_t delivered, settled, aborts, drains, resets;
};

static uint64_t below(struct life *l, uint64_t n)
{
    return gnt_random_below(&l->random.door, n);
}

static uint8_t content(const struct message *m, size_t at)
{
    return (uint8_t)((uintptr_t)m->tag * 31 + at * 7 + m->size);
}

/* ---- What the owners do when they are told */

static struct route *route_named(struct life *l, struct gnt_slice name)
{
    for (unsigned i = 0; i < l->routes; i++)
        if (gnt_slice_eq_str(name, l->route[i].name))
            return &l->route[i];
    fail_msg("a link that nobody has attached");
    return NULL;
}

static void on_attach(struct life *l, int side, struct gnt_amqp_event *e)
{
    struct route *r = route_named(l, e->link->name);
    if (e->link->context) {
        assert_ptr_equal(r->link[side], e->link);
        return;
    }
    if (below(l, 12) == 0) {
        struct gnt_amqp_error error = {0};
        GNT_AMQP_SET(&error, condition, gnt_slice_str("amqp:not-found"));
        assert_int_equal(gnt_amqp_link_refuse(e->link, &error), GNT_OK);
        r->ended = true;
        return;
    }
    e->link->context = r;
    r->link[side] = e->link;
    struct gnt_amqp_attach a = {0};
    GNT_AMQP_SET(&a, rcv_settle_mode, (uint8_t)r->second);
    if (e->link->sender)
        GNT_AMQP_SET(&a, initial_delivery_count, (uint32_t)below(l, 2) ? UINT32_MAX - 2 : 5);
    assert_int_equal(gnt_amqp_link_answer(e->link, &a, NULL, 0), GNT_OK);
}

static void on_transfer(struct life *l, int side, struct gnt_amqp_event *e)
{
    struct route *r = e->link->context;
    assert_non_null(r);
    assert_true(r->arriving < r->begun);
    struct message *m = r->message[r->arriving];
    if (e->first) {
        assert_null(e->delivery->context);
        e->delivery->context = m;
        assert_slice(gnt_amqp_delivery_tag(e->delivery), ((char[]){(char)m->tag, 0}));
        m->delivery[side] = e->delivery;
    }
    assert_ptr_equal(e->delivery->context, m);
    for (size_t i = 0; i < e->payload.size; i++)
        assert_int_equal(e->payload.data[i], content(m, m->got + i));
    m->got += e->payload.size;
    assert_int_equal(e->aborted, e->aborted && m->aborted);
    if (!e->last)
        return;
    r->arriving++;
    m->arrived = true;
    l->delivered++;
    if (!e->aborted)
        assert_int_equal(m->got, m->size);
    if (e->settled || e->aborted)
        m->delivery[side] = NULL;
}

static void forget_route(struct route *r, int side)
{
    r->link[side] = NULL;
    r->ended = true;
    for (unsigned i = 0; i < r->begun; i++)
        r->message[i]->delivery[side] = NULL;
}

static void on_event(struct life *l, int side, struct gnt_amqp_event *e)
{
    assert_int_equal(e->condition, 0);
    struct message *m = e->delivery ? e->delivery->context : NULL;
    switch (e->type) {
    case GNT_AMQP_EVENT_OPEN:
        if (side == SERVER)
            assert_int_equal(
                gnt_amqp_connection_open(&l->p.end[side].c, &(struct gnt_amqp_open){0}), GNT_OK);
        break;
    case GNT_AMQP_EVENT_ATTACH: on_attach(l, side, e); break;
    case GNT_AMQP_EVENT_TRANSFER: on_transfer(l, side, e); break;
    case GNT_AMQP_EVENT_DISPOSITION:
        assert_non_null(m);
        if (e->settled) {
            l->settled++;
            if (e->delivery->whole)
                m->delivery[side] = NULL;
        } else if (e->link->sender && below(l, 2)) {
            m->delivery[side] = e->delivery->whole ? NULL : e->delivery;
            if (e->delivery->whole)
                assert_int_equal(gnt_amqp_delivery_settle(e->delivery, e->state.encoded, true),
                                 GNT_OK);
        }
        break;
    case GNT_AMQP_EVENT_DETACH:
        if (e->link->context)
            forget_route(e->link->context, side);
        break;
    case GNT_AMQP_EVENT_END: {
        gnt_list_each (node, &e->session->links) {
            struct gnt_amqp_link *link = GNT_CONTAINER(node, struct gnt_amqp_link, in_session);
            if (link->context)
                forget_route(link->context, side);
        }
        break;
    }
    case GNT_AMQP_EVENT_BEGIN:
    case GNT_AMQP_EVENT_FLOW: break;
    default: fail_msg("an event %d", (int)e->type);
    }
}

/* ---- What comes to their minds */

static struct gnt_amqp_session *any_session(struct life *l, int side)
{
    struct gnt_amqp_connection *c = &l->p.end[side].c;
    unsigned count = 0;
    struct gnt_amqp_session *found = NULL;
    gnt_list_each (node, &c->sessions)
        if (below(l, ++count) == 0)
            found = GNT_CONTAINER(node, struct gnt_amqp_session, in_connection);
    return found;
}

static void do_begin(struct life *l, int side)
{
    struct gnt_amqp_session *s;
    if (side == SERVER) /* else both may find that the other has taken the last channel */
        return;
    gnt_err err = gnt_amqp_session_begin(&l->p.end[side].c, &s);
    assert_true(err == GNT_OK || err == GNT_FULL || err == GNT_STATE);
}

static void do_attach(struct life *l, int side)
{
    struct gnt_amqp_session *s = any_session(l, side);
    if (!s || l->routes == ROUTES)
        return;
    struct route *r = &l->route[l->routes];
    *r = (struct route){.second = below(l, 3) == 0};
    snprintf(r->name, sizeof r->name, "l%u", l->routes);
    struct gnt_amqp_attach a = {0};
    a.name = gnt_slice_str(r->name);
    a.role = below(l, 2) != 0;
    r->sender = a.role == GNT_AMQP_SENDER ? side : !side;
    GNT_AMQP_SET(&a, rcv_settle_mode, (uint8_t)r->second);
    if (below(l, 2))
        GNT_AMQP_SET(&a, initial_delivery_count, UINT32_MAX - 1);
    gnt_err err = gnt_amqp_link_attach(s, &a, NULL, 0, &r->link[side]);
    assert_true(err == GNT_OK || err == GNT_FULL || err == GNT_STATE);
    if (err)
        return;
    r->link[side]->context = r;
    l->routes++;
}

/* One that SIDE has attached, at the end that sends or the other one. */
static struct route *any_route(struct life *l, int side, bool sends)
{
    struct route *found = NULL;
    uint64_t count = 0;
    for (unsigned i = 0; i < l->routes; i++) {
        struct route *r = &l->route[i];
        if (r->link[side] && (r->sender == side) == sends && below(l, ++count) == 0)
            found = r;
    }
    return found;
}

static void do_credit(struct life *l, int side)
{
    struct route *r = any_route(l, side, false);
    if (!r)
        return;
    bool drain = below(l, 6) == 0;
    l->drains += drain;
    gnt_amqp_link_credit(r->link[side], (uint32_t)below(l, 8), drain);
}

/* The next bytes of M, in pieces. */
static void go_on(struct life *l, struct route *r, struct message *m, int side)
{
    static uint8_t bytes[1 << 15];
    size_t left = m->size - m->sent;
    size_t some = below(l, 3) ? left : (size_t)below(l, left + 1);
    for (size_t i = 0; i < some; i++)
        bytes[i] = content(m, m->sent + i);
    size_t first = (size_t)below(l, some + 1), taken;
    const struct gnt_amqp_piece pieces[] = {{.bytes = gnt_slice(bytes, first)},
                                            {.bytes = gnt_slice(bytes + first, some - first)}};
    const struct gnt_amqp_sending sending = {.tag = gnt_slice(&m->tag, 1),
                                             .settled = m->settled,
                                             .more = some < left};
    struct gnt_amqp_delivery *d = m->delivery[side];
    bool fresh = !d;
    gnt_err err = gnt_amqp_link_send(r->link[side], &sending, pieces, 2, &taken, &d);
    if (err == GNT_STATE || (fresh && !d && err)) {
        assert_true(err == GNT_STATE || err == GNT_MORE || err == GNT_FULL);
        assert_int_equal(taken, 0);
        if (fresh) {
            r->begun--;
            free(m);
        }
        return;
    }
    assert_true(err == GNT_OK || err == GNT_MORE);
    m->sent += taken;
    m->delivery[side] = d;
    if (d)
        d->context = m;
    m->whole = err == GNT_OK && !sending.more;
    if (m->whole)
        assert_int_equal(m->sent, m->size);
    if (m->whole && d && d->settled) /* by the peer, before it was whole */
        m->delivery[side] = NULL;
}

static void do_send(struct life *l, int side)
{
    struct route *r = any_route(l, side, true);
    if (!r || r->begun == MESSAGES)
        return;
    struct message *m = r->begun ? r->message[r->begun - 1] : NULL;
    if (!m || m->whole || m->aborted) {
        m = calloc(1, sizeof *m);
        m->route = r;
        m->tag = (uint8_t)(1 + r->begun % 250);
        m->size = below(l, 4) ? (size_t)below(l, 300) : (size_t)below(l, 8000);
        m->settled = below(l, 4) == 0;
        r->message[r->begun++] = m;
    }
    go_on(l, r, m, side);
}

static void do_abort(struct life *l, int side)
{
    struct route *r = any_route(l, side, true);
    struct message *m = r && r->begun ? r->message[r->begun - 1] : NULL;
    if (!m || m->whole || m->aborted || !m->delivery[side])
        return;
    if (gnt_amqp_delivery_abort(m->delivery[side]) == GNT_OK) {
        m->aborted = true;
        m->delivery[side] = NULL;
        l->aborts++;
    }
}

static void do_settle(struct life *l, int side)
{
    static const enum gnt_amqp_descriptor states[] = {GNT_AMQP_ACCEPTED, GNT_AMQP_RELEASED};
    struct route *r = any_route(l, side, below(l, 3) == 0);
    if (!r || !r->begun)
        return;
    struct gnt_slice state = gnt_amqp_fieldless(states[below(l, 8) == 0]).encoded;
    unsigned from = (unsigned)below(l, r->begun), count = 1 + (unsigned)below(l, 20);
    for (unsigned i = from; i < r->begun && count--; i++) {
        struct gnt_amqp_delivery *d = r->message[i]->delivery[side];
        if (!d)
            continue;
        bool settled = !r->second || r->sender == side, whole = d->whole, over = d->settled;
        gnt_err err = gnt_amqp_delivery_settle(d, state, settled);
        assert_true(err == GNT_OK || err == GNT_STATE);
        if (err || !settled || over)
            continue;
        r->message[i]->delivery[side] = NULL;
        r->arriving += !whole; /* the rest of it is not shown any more */
    }
}

static void do_drained(struct life *l, int side)
{
    struct route *r = any_route(l, side, true);
    if (r)
        gnt_amqp_link_drained(r->link[side]);
}

static void do_detach(struct life *l, int side)
{
    struct route *r = any_route(l, side, below(l, 2) == 0);
    if (!r || below(l, 30))
        return;
    gnt_err err = gnt_amqp_link_detach(r->link[side], below(l, 2) == 0, NULL);
    assert_true(err == GNT_OK || err == GNT_STATE);
    l->resets += !err;
}

static void do_end(struct life *l, int side)
{
    struct gnt_amqp_session *s = any_session(l, side);
    if (!s || below(l, 150))
        return;
    gnt_err err = gnt_amqp_session_end(s, NULL);
    assert_true(err == GNT_OK || err == GNT_STATE);
}

static void do_flush(struct life *l, int side)
{
    assert_int_equal(gnt_amqp_connection_flush(&l->p.end[side].c, l->p.now), GNT_OK);
}

static void do_move(struct life *l, int side)
{
    pair_move_some(&l->p, side, 1 + (size_t)below(l, below(l, 4) ? 100 : 10000));
}

static void do_read(struct life *l, int side)
{
    struct pair_end *end = &l->p.end[side];
    struct gnt_amqp_event e;
    for (unsigned n = 1 + (unsigned)below(l, 20); n; n--) {
        struct gnt_slice in = gnt_buf_slice(&end->in);
        size_t before = in.size;
        end->err = gnt_amqp_connection_next(&end->c, &in, l->p.now, &e, NULL);
        gnt_buf_take(&end->in, before - in.size);
        if (end->err < 0)
            fail_msg("side %d: %s, %s", side, gnt_err_text(end->err),
                     end->c.why ? end->c.why : "-");
        if (end->err)
            return;
        on_event(l, side, &e);
    }
}

/* ---- A life */

static void settle_down(struct life *l)
{
    for (int round = 0; round < 400; round++) {
        for (int side = 0; side < 2; side++) {
            for (unsigned i = 0; i < l->routes; i++) {
                struct route *r = &l->route[i];
                if (!r->link[side])
                    continue;
                struct message *m = r->begun ? r->message[r->begun - 1] : NULL;
                if (r->sender != side)
                    gnt_amqp_link_credit(r->link[side], 10, false);
                else if (m && !m->whole && !m->aborted)
                    go_on(l, r, m, side);
                for (unsigned k = 0; k < r->begun; k++) {
                    struct message *x = r->message[k];
                    struct gnt_amqp_delivery *d = x->delivery[side];
                    if (d && d->whole && !d->settled && r->sender != side &&
                        !gnt_amqp_delivery_settle(d, gnt_amqp_fieldless(GNT_AMQP_ACCEPTED).encoded,
                                                  true))
                        x->delivery[side] = NULL;
                }
            }
            do_flush(l, side);
            pair_move_some(&l->p, side, SIZE_MAX);
        }
        for (int i = 0; i < 40; i++)
            do_read(l, i & 1);
    }
}

static void check_quiet(struct life *l)
{
    for (int side = 0; side < 2; side++) {
        assert_int_equal(gnt_buf_size(&l->p.end[side].in), 0);
        gnt_list_each (node, &l->p.end[side].c.sessions) {
            struct gnt_amqp_session *s =
                GNT_CONTAINER(node, struct gnt_amqp_session, in_connection);
            assert_int_equal(s->sent.live, 0);
            assert_int_equal(s->received.live, 0);
        }
    }
    for (unsigned i = 0; i < l->routes; i++) {
        struct route *r = &l->route[i];
        if (r->link[0] && r->link[1])
            assert_int_equal(r->arriving, r->begun);
    }
}

static void live(uint64_t seed, unsigned steps)
{
    static void (*const ideas[])(struct life *, int) = {
        do_begin, do_attach, do_credit, do_credit,  do_send,   do_send, do_send,  do_send,
        do_abort, do_settle, do_settle, do_drained, do_detach, do_end,  do_flush, do_flush,
        do_move,  do_move,   do_move,   do_read,    do_read,   do_read,
    };
    static const uint32_t frames[] = {512, 513, 700, 4096, 65536};
    struct life *l = calloc(1, sizeof *l);
    gnt_seeded_init(&l->random, seed);
    struct gnt_amqp_options o = pair_options();
    o.max_frame_size = frames[below(l, 5)];
    o.sessions_max = SESSIONS;
    o.incoming_window = 1 + (uint32_t)below(l, 20);
    o.unsettled_max = 200;
    o.links_max = ROUTES;
    pair_init(&l->p, &o);
    l->p.end[SERVER].options.max_frame_size = frames[below(l, 5)];
    assert_int_equal(gnt_amqp_connection_open(&l->p.end[CLIENT].c, &(struct gnt_amqp_open){0}),
                     GNT_OK);
    for (unsigned i = 0; i < steps; i++)
        ideas[below(l, COUNT_OF(ideas))](l, (int)below(l, 2));
    settle_down(l);
    check_quiet(l);
    if (getenv("GNT_TEST_SEED"))
        printf("delivered %lu settled %lu aborted %lu drains %lu detached %lu routes %u\n",
               l->delivered, l->settled, l->aborts, l->drains, l->resets, l->routes);
    pair_fini(&l->p);
    for (unsigned i = 0; i < l->routes; i++)
        for (unsigned k = 0; k < l->route[i].begun; k++)
            free(l->route[i].message[k]);
    free(l);
}

static void random_lives(void **state)
{
    (void)state;
    const char *text = getenv("GNT_TEST_SEED"), *many = getenv("GNT_TEST_LIVES");
    uint64_t seed = text ? strtoull(text, NULL, 0) : 1;
    unsigned long lives = many ? strtoul(many, NULL, 0) : text ? 1 : 60;
    for (unsigned long i = 0; i < lives; i++, seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        live(seed, 6000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_lives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
