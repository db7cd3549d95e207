/* A long exchange between two owners that say yes to everything: with the wire cut after each byte,
 * and with each allocation failing once. */
#include "support/alloc_fault.h"
#include "support/amqp_owner.h"
#include "support/amqp_pair.h"
#include "support/unit.h"

struct talk {
    struct pair p;
    struct amqp_owner owner[2];
    struct gnt_buf said[2]; /* all that each side has written */
};

static void record(struct talk *t, int side)
{
    struct iovec iov;
    struct gnt_outq *q = &t->p.end[side].out;
    while (gnt_outq_iov(q, &iov, 1) == 1) {
        struct gnt_slice bytes = gnt_slice(iov.iov_base, iov.iov_len);
        assert_int_equal(gnt_buf_put(&t->said[side], bytes), GNT_OK);
        pair_move_some(&t->p, side, iov.iov_len);
    }
}

static gnt_err take(struct talk *t, int side)
{
    struct pair_end *e = &t->p.end[side];
    struct gnt_slice in = gnt_buf_slice(&e->in);
    size_t before = in.size;
    e->err = amqp_owner_take(&t->owner[side], &in, t->p.now);
    gnt_buf_take(&e->in, before - in.size);
    return e->err;
}

static void first_of(struct gnt_list *sessions, struct gnt_amqp_session **s,
                     struct gnt_amqp_link **l)
{
    *s = gnt_list_empty(sessions)
             ? NULL
             : GNT_CONTAINER(sessions->next, struct gnt_amqp_session, in_connection);
    *l = !*s || gnt_list_empty(&(*s)->links)
             ? NULL
             : GNT_CONTAINER((*s)->links.next, struct gnt_amqp_link, in_session);
}

/* What the client's owner does by itself in round N: a link, a session, the connection is ended. */
static void act(struct talk *t, int round)
{
    struct gnt_amqp_session *s;
    struct gnt_amqp_link *l;
    struct gnt_amqp_connection *c = &t->p.end[CLIENT].c;
    gnt_err err = GNT_OK;
    first_of(&c->sessions, &s, &l);
    if (round == 6 && l)
        err = gnt_amqp_link_detach(l, true, NULL);
    else if (round == 8 && s)
        err = gnt_amqp_session_end(s, NULL);
    else if (round == 10)
        err = gnt_amqp_connection_close(c, NULL);
    assert_true(err == GNT_OK || err == GNT_STATE || err == GNT_NOMEM);
}

/* The Nth allocation of the engines fails; -1: none. */
static gnt_err talk(struct talk *t, unsigned client, unsigned server, long n)
{
    enum { ENOUGH = 1 << 16 }; /* for all that they say */
    struct gnt_amqp_options o = pair_options();
    const unsigned how[] = {client | OWNER_CLIENT, server};
    o.max_frame_size = 512;
    o.incoming_window = 5;
    *t = (struct talk){0};
    pair_init(&t->p, &o);
    gnt_err err = GNT_OK;
    for (int side = 0; side < 2; side++) {
        assert_int_equal(gnt_buf_reserve(&t->said[side], ENOUGH), GNT_OK);
        assert_int_equal(gnt_buf_reserve(&t->p.end[side].in, ENOUGH), GNT_OK);
    }
    gnt_alloc_fail_at(n);
    for (int side = 0; side < 2; side++) {
        gnt_err began = amqp_owner_init(&t->owner[side], &t->p.end[side].c, how[side]);
        err = err ? err : began;
    }
    for (int round = 0; round < 12 && (err == GNT_OK || err == GNT_MORE); round++) {
        for (int side = 0; side < 2 && (err == GNT_OK || err == GNT_MORE); side++) {
            record(t, side);
            err = take(t, !side);
        }
        act(t, round);
    }
    return err;
}

static void talk_fini(struct talk *t)
{
    for (int side = 0; side < 2; side++) {
        amqp_owner_fini(&t->owner[side]);
        assert_int_equal(t->owner[side].unsettled, 0);
        gnt_buf_fini(&t->said[side]);
    }
    pair_fini(&t->p);
}

static const unsigned ways[][2] = {{0, 0},
                                   {OWNER_SASL, OWNER_SASL | OWNER_REQUIRED},
                                   {OWNER_TLS, OWNER_TLS}};

/* The same bytes bring the same, however they are cut: all in one, or one by one, or cut once
 * anywhere. */
static void cut_at_every_byte(void **state)
{
    (void)state;
    for (size_t way = 0; way < COUNT_OF(ways); way++) {
        struct talk whole;
        assert_int_equal(talk(&whole, ways[way][0], ways[way][1], -1), GNT_CLOSED);
        assert_true(whole.owner[SERVER].events > 40 && whole.owner[CLIENT].events > 40);
        struct gnt_slice said = gnt_buf_slice(&whole.said[CLIENT]);
        uint64_t told = 0;
        for (size_t cut = 0; cut <= said.size; cut++) {
            struct gnt_amqp_options o = pair_options();
            struct gnt_amqp_connection c;
            struct amqp_owner owner;
            struct gnt_outq out;
            struct gnt_slice in = gnt_slice(said.data, cut);
            o.max_frame_size = 512;
            o.incoming_window = 5;
            gnt_outq_init(&out);
            gnt_amqp_connection_init(&c, GNT_AMQP_SERVER, &o, &out, 1);
            assert_int_equal(amqp_owner_init(&owner, &c, ways[way][1]), GNT_OK);
            gnt_err err = amqp_owner_take(&owner, &in, 1);
            assert_int_equal(err, cut == said.size ? GNT_CLOSED : GNT_MORE);
            if (cut == 0) /* one by one */
                for (size_t i = 1; i <= said.size; i++) {
                    in.size += 1;
                    err = amqp_owner_take(&owner, &in, 1);
                }
            in.size += cut == 0 ? 0 : said.size - cut;
            if (err == GNT_MORE)
                err = amqp_owner_take(&owner, &in, 1);
            assert_int_equal(err, GNT_CLOSED);
            told = cut == 0 ? owner.told : told;
            assert_true(owner.told == told);
            assert_true(owner.told == whole.owner[SERVER].told);
            amqp_owner_fini(&owner);
            gnt_amqp_connection_fini(&c);
            gnt_outq_fini(&out);
        }
        talk_fini(&whole);
    }
}

/* The connection is cut there instead, and whatever it was about is given back. */
static void lost_after_every_byte(void **state)
{
    (void)state;
    struct talk whole;
    assert_int_equal(talk(&whole, 0, 0, -1), GNT_CLOSED);
    for (int side = 0; side < 2; side++) {
        struct gnt_slice said = gnt_buf_slice(&whole.said[!side]);
        for (size_t cut = 0; cut < said.size; cut++) {
            struct gnt_amqp_options o = pair_options();
            struct gnt_amqp_connection c;
            struct amqp_owner owner;
            struct gnt_outq out;
            struct gnt_slice in = gnt_slice(said.data, cut);
            o.max_frame_size = 512;
            gnt_outq_init(&out);
            gnt_amqp_connection_init(&c, (enum gnt_amqp_side)side, &o, &out, 1);
            assert_int_equal(amqp_owner_init(&owner, &c, side == CLIENT ? OWNER_CLIENT : 0),
                             GNT_OK);
            assert_int_equal(amqp_owner_take(&owner, &in, 1), GNT_MORE);
            amqp_owner_fini(&owner);
            assert_int_equal(owner.unsettled, 0);
            gnt_amqp_connection_fini(&c);
            gnt_outq_fini(&out);
        }
    }
    talk_fini(&whole);
}

static void no_memory(void **state)
{
    (void)state;
    for (size_t way = 0; way < COUNT_OF(ways); way++) {
        unsigned ended = 0;
        for (long n = 0;; n++) {
            struct talk t;
            gnt_err err = talk(&t, ways[way][0], ways[way][1], n);
            bool failed = gnt_alloc_failed();
            gnt_alloc_fail_at(-1);
            ended += err == GNT_NOMEM;
            talk_fini(&t);
            if (!failed) {
                assert_int_equal(err, GNT_CLOSED);
                break;
            }
        }
        assert_true(ended > 10);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut_at_every_byte),
        cmocka_unit_test(lost_after_every_byte),
        cmocka_unit_test(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
