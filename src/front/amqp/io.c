/* Reading: from a peer's stream to its engine, with the frames that have come in part. */

#include "front/amqp/peer.h"

#include "net/post.h"

enum {
    READ_A_TURN = 256 * 1024, /* of all peers; the others are read in the next turn, first of all */
    READ_A_VISIT = 32 * 1024, /* of one */
    READS_A_TURN = 4,         /* of what is only thrown away */
    EVENTS_A_VISIT = 1000,    /* of one, that no bytes of their own have brought, */
    EVENT_COST = 64,          /* and what each of them counts for in bytes of a turn */
    FIRST_RESERVE = 4096,     /* for a frame that has come in part */
    JOIN_MAX =
        16 * 1024, /* a part up to this is put together with the rest in the worker's buffer */
    UNREAD_ANSWERS_MAX = 1 << 20, /* who does not read its answers is not read either */
};

/* Whether the next frame is acted on: not while it has to be found out who the peer is, nor when
 * TLS comes next. */
static bool hears(const struct gnt_amqp_peer *p)
{
    return p->state == GNT_PEER_OPEN && !gnt_list_linked(&p->paused) && !p->awaits &&
           p->engine.state != GNT_AMQP_DECIDES_SASL && p->engine.state != GNT_AMQP_AWAITS_TLS &&
           !gnt_amqp_login_waits(p);
}

bool gnt_amqp_peer_is_unheard(const struct gnt_amqp_peer *p)
{
    return gnt_list_linked(&p->paused) || p->awaits || p->out.size >= UNREAD_ANSWERS_MAX;
}

void gnt_amqp_peer_want(struct gnt_amqp_peer *p)
{
    uint8_t want = 0;
    if (p->state == GNT_PEER_LINGERS || (hears(p) && p->out.size < UNREAD_ANSWERS_MAX))
        want = GNT_READABLE;
    if (p->out.size && !gnt_list_linked(&p->dirty))
        want |= GNT_WRITABLE;
    if (gnt_amqp_peer_shakes_hands(p))
        want = GNT_READABLE | GNT_WRITABLE;
    gnt_stream_want(p->stream, want);
}

/* ---- While the store is behind
 *
 * What a peer makes its home write is not bounded by what it waits for: so whoever has written is
 * not read before the store has caught up. */

static bool must_be_held(const struct gnt_amqp_peer *p)
{
    return p->writes && gnt_keep_is_behind(gnt_amqp_peer_home(p));
}

static void hold(struct gnt_amqp_peer *p)
{
    struct gnt_home *home = gnt_amqp_peer_home(p);
    gnt_list_push_back(&p->front->held, &p->paused);
    if (!gnt_list_linked(&p->front->held_until.link))
        gnt_keep_wait(home, &p->front->held_until, gnt_keep_pending(home));
}

/* They are read in the next turn. */
void gnt_amqp_peer_hear_held(struct gnt_home *home, struct gnt_kept *kept)
{
    struct gnt_amqp_front *front = GNT_CONTAINER(kept, struct gnt_amqp_front, held_until);
    (void)home;
    gnt_list_splice_back(&front->paused, &front->held);
}

/* ---- Reading */

static gnt_err read_some(struct gnt_amqp_peer *p, uint8_t *to, size_t size, size_t *left, size_t *n)
{
    gnt_err err = gnt_stream_read(p->stream, to, size < *left ? size : *left, n);
    if (err)
        return err;
    *left -= *n;
    gnt_count(gnt_amqp_peer_counters(p), GNT_COUNT_BYTES_RECEIVED, (int64_t)*n);
    return GNT_OK;
}

static void wait_for_turn(struct gnt_amqp_peer *p)
{
    gnt_list_push_back(&p->front->paused, &p->paused);
}

static void spend(struct gnt_amqp_front *front, size_t bytes)
{
    front->read_left -= bytes < front->read_left ? bytes : front->read_left;
}

/* Acts on the whole frames at the front of *in; *need: the size of the one that is left in part, 0
 * if that is not known.  One small frame can be about very many deliveries: the peer that says much
 * by it goes on in the next turn. */
static void act(struct gnt_amqp_peer *p, struct gnt_slice *in, size_t *need)
{
    size_t more = 0;
    while (hears(p)) {
        struct gnt_amqp_event event;
        size_t before = in->size;
        gnt_err err = gnt_amqp_connection_next(&p->engine, in, p->front->loop->now, &event, need);
        if (err == GNT_MORE)
            break;
        if (err)
            gnt_amqp_peer_broke(p, err);
        else
            gnt_amqp_peer_on_event(p, &event);
        more += in->size == before;
        if (more == EVENTS_A_VISIT && hears(p))
            wait_for_turn(p);
    }
    spend(p->front, more * EVENT_COST);
    gnt_amqp_peer_dirty(p);
}

/* One read into the worker's buffer, behind what is kept, and what comes of it.  GNT_MORE: nothing
 * was there. */
static gnt_err read_fresh(struct gnt_amqp_peer *p, size_t *left)
{
    size_t n, need = 0, have = gnt_buf_size(&p->in);
    uint8_t *buffer = p->front->read_buffer;
    gnt_err err = read_some(p, buffer + have, GNT_PEER_READ_SIZE - have, left, &n);
    if (err)
        return err;
    if (have) {
        memcpy(buffer, gnt_buf_slice(&p->in).data, have);
        gnt_buf_clear(&p->in);
    }
    struct gnt_slice in = gnt_slice(buffer, have + n);
    act(p, &in, &need);
    if (p->state == GNT_PEER_OPEN && in.size && gnt_buf_put(&p->in, in))
        gnt_amqp_peer_broke(p, GNT_NOMEM);
    if (gnt_buf_size(&p->in) == 0)
        gnt_buf_fini(&p->in); /* an idle connection holds no buffer */
    return GNT_OK;
}

static size_t act_on_kept(struct gnt_amqp_peer *p)
{
    struct gnt_slice in = gnt_buf_slice(&p->in);
    size_t before = in.size, need = 0;
    act(p, &in, &need);
    gnt_buf_take(&p->in, before - in.size);
    if (gnt_buf_size(&p->in) == 0)
        gnt_buf_fini(&p->in);
    return need;
}

/* The rest of a frame; what is announced is believed as it comes. */
static gnt_err read_more(struct gnt_amqp_peer *p, size_t *left)
{
    size_t n, need = act_on_kept(p), have = gnt_buf_size(&p->in);
    if (!hears(p) || !have)
        return GNT_OK;
    if (need <= JOIN_MAX && have <= JOIN_MAX)
        return read_fresh(p, left);
    size_t more = need > have ? need - have : FIRST_RESERVE;
    gnt_err err = gnt_buf_reserve(&p->in, more < have ? more : have + FIRST_RESERVE);
    if (err)
        return err;
    err = read_some(p, gnt_buf_tail(&p->in), p->in.cap - p->in.end, left, &n);
    if (err)
        return err;
    gnt_buf_wrote(&p->in, n);
    act_on_kept(p);
    return GNT_OK;
}

static void read_on(struct gnt_amqp_peer *p, size_t left)
{
    const struct gnt_loop *loop = p->front->loop;
    p->unread = false;
    while (left && hears(p)) {
        if (gnt_post_backlog(loop->post, loop->address)) {
            wait_for_turn(p);
            break;
        }
        if (must_be_held(p)) {
            hold(p);
            break;
        }
        if (p->out.size >= UNREAD_ANSWERS_MAX) {
            p->unread = p->in.data != NULL;
            break;
        }
        gnt_err err = p->in.data ? read_more(p, &left) : read_fresh(p, &left);
        if (err == GNT_MORE)
            break;
        if (err == GNT_NOMEM) {
            gnt_amqp_peer_broke(p, err);
        } else if (err) {
            gnt_amqp_peer_input_ended(p, err);
            break;
        }
        if (!(p->stream->events & GNT_READABLE))
            break;
    }
}

static void visit(struct gnt_amqp_peer *p)
{
    struct gnt_amqp_front *front = p->front;
    uint64_t written = gnt_keep_mark(front->home);
    size_t most = front->read_left < READ_A_VISIT ? front->read_left : READ_A_VISIT;
    uint64_t before = gnt_counted(gnt_amqp_peer_counters(p), GNT_COUNT_BYTES_RECEIVED);
    read_on(p, most);
    spend(front,
          (size_t)(gnt_counted(gnt_amqp_peer_counters(p), GNT_COUNT_BYTES_RECEIVED) - before));
    p->writes |= gnt_keep_mark(front->home) != written;
    gnt_amqp_peer_want(p);
}

void gnt_amqp_peer_read(struct gnt_amqp_peer *p)
{
    if (p->front->read_left) {
        visit(p);
        return;
    }
    if (hears(p))
        wait_for_turn(p);
    gnt_amqp_peer_want(p);
}

void gnt_amqp_peer_unpause(struct gnt_amqp_peer *p)
{
    if (p->state == GNT_PEER_OPEN && (p->in.data || (p->stream->events & GNT_READABLE)))
        gnt_amqp_peer_read(p); /* it may have whole frames that nobody has acted on */
    else
        gnt_amqp_peer_want(p);
}

void gnt_amqp_peer_go_on(struct gnt_amqp_peer *p)
{
    p->awaits--;
    if (hears(p))
        wait_for_turn(p);
}

/* Whoever has waited longest is read first. */
bool gnt_amqp_front_turn(struct gnt_amqp_front *front)
{
    const struct gnt_loop *loop = front->loop;
    front->read_left = READ_A_TURN;
    if (!gnt_list_empty(&front->dirty))
        gnt_loop_at_end(front->loop, &front->flush);
    struct gnt_list waiting;
    gnt_list_init(&waiting);
    gnt_list_splice_back(&waiting, &front->paused);
    while (!gnt_list_empty(&waiting) && front->read_left &&
           !gnt_post_backlog(loop->post, loop->address))
        visit(GNT_CONTAINER(gnt_list_pop_front(&waiting), struct gnt_amqp_peer, paused));
    gnt_list_splice_back(&waiting, &front->paused);
    gnt_list_splice_back(&front->paused, &waiting);
    return !gnt_list_empty(&front->paused) && !gnt_post_backlog(loop->post, loop->address);
}

bool gnt_amqp_front_has_more(const struct gnt_amqp_front *front)
{
    return !gnt_list_empty(&front->paused) || !gnt_list_empty(&front->dirty);
}

gnt_err gnt_amqp_peer_discard(struct gnt_amqp_peer *p)
{
    size_t n;
    gnt_err err = GNT_OK;
    for (int i = 0; i < READS_A_TURN && !err; i++)
        err = gnt_stream_read(p->stream, p->front->read_buffer, GNT_PEER_READ_SIZE, &n);
    return err == GNT_MORE ? GNT_OK : err;
}
