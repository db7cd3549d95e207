/* Between a connection's stream and its engine: reading, with the packets that have come in part,
 * and writing. */

#include "front/mqtt/gate.h"
#include "front/mqtt/withhold.h"

#include "core/publish.h"
#include "net/post.h"

enum {
    /* Effort is counted in deliveries and BYTES_OF_EFFORT bytes read, so that acknowledgements,
       which make room, count for little.  A turn is kept short: who has little to say is heard in
       each, the others are visited one after the other until it has come to this: */
    EFFORT_A_TURN = 8192,
    EFFORT_A_VISIT = 4096,
    EFFORT_LITTLE = 256,
    READ_A_VISIT = 32 * 1024,
    READ_LITTLE = 4096,
    BYTES_OF_EFFORT = 16,
    UNSENT_MAX = 4096,    /* mails, until nobody is heard any more */
    READS_A_TURN = 4,     /* of what is only thrown away */
    JOIN_MAX = 16 * 1024, /* a packet up to this is put together in the worker's buffer: one read
                             then takes its rest and what follows it */
    FIRST_RESERVE = 4096, /* for a packet that has come in part */
    GROW_MAX = 64 * 1024, /* what a client announces is believed as it comes */
    UNREAD_ANSWERS_MAX = 1 << 20, /* a client that does not read its answers is not read either */
    BULKY_SIZE = 2048,            /* of output */
};

/* Whether the next packet is acted on: not while what was said before is still worked on, nor while
 * the hasher looks at the client's password. */
static bool hears(const struct gnt_mqtt_connection *c)
{
    return c->state == GNT_CONNECTION_OPEN && !gnt_list_linked(&c->paused) &&
           c->engine.state != GNT_MQTT_DECIDES;
}

void gnt_connection_want(struct gnt_mqtt_connection *c)
{
    uint8_t want = 0;
    if (c->state == GNT_CONNECTION_LINGERS || gnt_login_listens(c))
        want = GNT_READABLE;
    if (hears(c) && c->out.size < UNREAD_ANSWERS_MAX && !gnt_withholds_too_much(c))
        want = GNT_READABLE;
    if (gnt_gate_passes(c) && !gnt_list_linked(&c->dirty))
        want |= GNT_WRITABLE;
    gnt_stream_want(c->stream, want);
}

bool gnt_connection_is_unheard(const struct gnt_mqtt_connection *c)
{
    return gnt_list_linked(&c->paused) || gnt_withholds_too_much(c) ||
           (c->gated && c->out.size >= UNREAD_ANSWERS_MAX);
}

/* ---- While the store is behind
 *
 * What a client makes its home write is not bounded by what it waits for: at most once it does not
 * wait at all.  So whoever has written is not read before the store has caught up. */

static bool must_be_held(const struct gnt_mqtt_connection *c)
{
    return c->writes && gnt_keep_is_behind(gnt_connection_home(c));
}

static void hold(struct gnt_mqtt_connection *c)
{
    struct gnt_home *home = gnt_connection_home(c);
    gnt_list_push_back(&c->front->held, &c->paused);
    if (!gnt_list_linked(&c->front->held_until.link))
        gnt_keep_wait(home, &c->front->held_until, gnt_keep_pending(home));
}

/* They are visited in the next turn. */
void gnt_connection_hear_held(struct gnt_home *home, struct gnt_kept *kept)
{
    struct gnt_mqtt_front *front = GNT_CONTAINER(kept, struct gnt_mqtt_front, held_until);
    (void)home;
    gnt_list_each (link, &front->held) {
        struct gnt_mqtt_connection *c = GNT_CONTAINER(link, struct gnt_mqtt_connection, paused);
        gnt_mqtt_server_lives(&c->engine, front->loop->now); /* it could not be heard */
    }
    gnt_list_splice_back(&front->paused, &front->held);
}

/* ---- Reading */

static uint64_t effort(const struct gnt_mqtt_front *front)
{
    return front->input + gnt_counted(&front->home->counters, GNT_COUNT_DUE);
}

/* Who has something to acknowledge makes room, and does not wait behind those who fill it. */
static void wait_for_visit(struct gnt_mqtt_connection *c)
{
    bool settles = c->session && gnt_session_unsettled(c->session);
    gnt_list_push_back(settles ? &c->front->settling : &c->front->paused, &c->paused);
}

/* What follows in the same read has to wait for the next visit. */
static void end_visit(struct gnt_mqtt_connection *c)
{
    if (hears(c) && effort(c->front) >= c->front->visit_end)
        wait_for_visit(c);
}

static gnt_err read_some(struct gnt_mqtt_connection *c, uint8_t *to, size_t size, size_t *n)
{
    struct gnt_mqtt_front *front = c->front;
    gnt_err err =
        gnt_stream_read(c->stream, to, size < front->read_left ? size : front->read_left, n);
    if (err)
        return err;
    front->read_left -= *n;
    front->input += *n / BYTES_OF_EFFORT;
    gnt_count(gnt_connection_counters(c), GNT_COUNT_BYTES_RECEIVED, (int64_t)*n);
    return GNT_OK;
}

/* Has the topics of the next packets looked up together; returns how much of IN is behind them. */
static size_t look_ahead(const struct gnt_mqtt_connection *c, struct gnt_slice in)
{
    struct gnt_slice topics[GNT_PUBLISH_AHEAD];
    size_t left;
    unsigned count = gnt_mqtt_server_ahead(&c->engine, in, topics, GNT_PUBLISH_AHEAD, &left);
    if (count > 1)
        gnt_publish_ahead(gnt_connection_home(c), topics, count);
    return left;
}

/* Why what begins with IN is no MQTT, where that can be told: a TLS handshake [RFC 8446 5.1]. */
static const char *words_for(const struct gnt_mqtt_connection *c, struct gnt_slice in)
{
    bool first = c->engine.state == GNT_MQTT_AWAITS_CONNECT && in.size > 1;
    return first && in.data[0] == 0x16 && in.data[1] == 3
               ? "the client speaks TLS, which this listener does not"
               : NULL;
}

/* Acts on the whole packets at the front of *in; *need: the size of the one that is left in part.
 * False: the connection has gone elsewhere, and must not be touched any more. */
static bool act(struct gnt_mqtt_connection *c, struct gnt_slice *in, size_t *need)
{
    bool ahead = gnt_publish_wants_ahead(gnt_connection_home(c));
    size_t unseen = in->size; /* the end of *in, where nobody has looked ahead */
    while (hears(c)) {
        if (ahead && in->size <= unseen)
            unseen = look_ahead(c, *in);
        struct gnt_slice whole = *in;
        struct gnt_mqtt_packet packet;
        gnt_err err = gnt_mqtt_server_next(&c->engine, in, c->front->loop->now, &packet, need);
        if (err == GNT_MORE)
            break;
        if (err == GNT_NOMEM) {
            gnt_connection_unanswered(c, err);
        } else if (err) {
            gnt_connection_broke(c, c->engine.reason, words_for(c, whole));
        } else if (packet.type == GNT_MQTT_CONNECT) {
            if (!gnt_connection_on_connect(c, &packet, whole))
                return false;
        } else {
            gnt_connection_on_packet(c, &packet);
            end_visit(c);
        }
    }
    if (c->out.size)
        gnt_connection_dirty(c); /* PINGRESPs are the engine's own */
    return true;
}

/* Keeps what is left of the read buffer. */
static void keep(struct gnt_mqtt_connection *c, struct gnt_slice left)
{
    if (left.size && gnt_buf_put(&c->in, left))
        gnt_connection_unanswered(c, GNT_NOMEM);
}

/* Room in c->in for more of a packet of NEED bytes: not more than a peer has shown to mean it. */
static gnt_err make_room(struct gnt_mqtt_connection *c, size_t need)
{
    size_t have = gnt_buf_size(&c->in), grow = have < GROW_MAX ? GROW_MAX : have;
    if (need <= have)
        need = have + FIRST_RESERVE;
    return gnt_buf_reserve(&c->in, need - have < grow ? need - have : grow);
}

/* One read into the worker's buffer, behind what is kept, and what comes of it.  GNT_MORE: nothing
 * was there.  GNT_STATE: the connection has moved, and must not be touched.  Else it is lost. */
static gnt_err read_fresh(struct gnt_mqtt_connection *c)
{
    size_t n, need = 0, have = gnt_buf_size(&c->in);
    uint8_t *buffer = c->front->read_buffer;
    gnt_err err = read_some(c, buffer + have, GNT_MQTT_READ_SIZE - have, &n);
    if (err)
        return err;
    if (have) {
        memcpy(buffer, gnt_buf_slice(&c->in).data, have);
        gnt_buf_clear(&c->in);
        gnt_mqtt_server_lives(&c->engine, c->front->loop->now); /* it may be a part again */
    }
    struct gnt_slice in = gnt_slice(buffer, have + n);
    if (!act(c, &in, &need))
        return GNT_STATE;
    if (c->state == GNT_CONNECTION_OPEN)
        keep(c, in);
    if (gnt_buf_size(&c->in) == 0)
        gnt_buf_fini(&c->in);
    return GNT_OK;
}

/* Acts on what is in c->in. */
static gnt_err act_on_kept(struct gnt_mqtt_connection *c, size_t *need)
{
    struct gnt_slice in = gnt_buf_slice(&c->in);
    size_t before = in.size;
    if (!act(c, &in, need))
        return GNT_STATE;
    if (c->in.data) /* it is gone if a message has taken the buffer */
        gnt_buf_take(&c->in, before - in.size);
    if (gnt_buf_size(&c->in) == 0)
        gnt_buf_fini(&c->in); /* an idle connection holds no buffer */
    return GNT_OK;
}

static gnt_err read_more(struct gnt_mqtt_connection *c)
{
    size_t n, need = 0;
    gnt_err err = act_on_kept(c, &need);
    if (err || !hears(c))
        return err;
    if (!c->in.data)
        return GNT_OK;
    if (need <= JOIN_MAX && gnt_buf_size(&c->in) <= JOIN_MAX)
        return read_fresh(c);
    err = make_room(c, need);
    if (err) {
        gnt_connection_unanswered(c, err);
        return GNT_OK;
    }
    err = read_some(c, gnt_buf_tail(&c->in), c->in.cap - c->in.end, &n);
    if (err)
        return err;
    gnt_mqtt_server_lives(&c->engine, c->front->loop->now); /* it may be a long packet */
    gnt_buf_wrote(&c->in, n);
    return act_on_kept(c, &need);
}

/* A backlog of mail is not made by those who have little to say, and does not hold them back: they
 * may add to it, within bounds. */
static bool mail_is_held_up(const struct gnt_mqtt_connection *c)
{
    const struct gnt_loop *loop = c->front->loop;
    return c->heavy ? gnt_post_backlog(loop->post, loop->address)
                    : gnt_post_unsent(loop->post, loop->address) >= UNSENT_MAX;
}

/* False: as GNT_STATE of read_fresh. */
static bool read_on(struct gnt_mqtt_connection *c)
{
    struct gnt_mqtt_front *front = c->front;
    c->unread = false;
    while (front->read_left && hears(c)) {
        if (mail_is_held_up(c)) {
            wait_for_visit(c);
            break;
        }
        if (must_be_held(c)) {
            hold(c);
            break;
        }
        if (c->out.size >= UNREAD_ANSWERS_MAX || gnt_withholds_too_much(c)) {
            c->unread = c->in.data != NULL;
            break;
        }
        gnt_err err = c->in.data ? read_more(c) : read_fresh(c);
        if (err == GNT_STATE)
            return false;
        if (err == GNT_MORE)
            break;
        if (err) {
            gnt_connection_input_ended(c, err);
            break;
        }
        if (!(c->stream->events & GNT_READABLE))
            break;
    }
    return true;
}

static void visit(struct gnt_mqtt_connection *c, size_t bytes, uint64_t most)
{
    struct gnt_mqtt_front *front = c->front;
    uint64_t before = effort(front), written = gnt_keep_mark(front->home);
    front->read_left = bytes;
    front->visit_end = before + most;
    if (!read_on(c))
        return;
    c->writes |= gnt_keep_mark(front->home) != written;
    c->heavy =
        !front->read_left || effort(front) - before >= EFFORT_LITTLE || gnt_list_linked(&c->paused);
    if (c->heavy && hears(c) && c->stream->events & GNT_READABLE)
        wait_for_visit(c);
    gnt_connection_want(c);
}

void gnt_connection_read(struct gnt_mqtt_connection *c)
{
    if (c->engine.state != GNT_MQTT_OPEN) {
        visit(c, READ_A_VISIT, EFFORT_A_VISIT); /* it may have said all that it has, and gone */
    } else if (!c->heavy) {
        visit(c, READ_LITTLE, EFFORT_LITTLE);
    } else {
        if (hears(c))
            wait_for_visit(c);
        gnt_connection_want(c);
    }
}

void gnt_connection_unpause(struct gnt_mqtt_connection *c)
{
    if (c->state == GNT_CONNECTION_OPEN && (c->in.data || (c->stream->events & GNT_READABLE)))
        gnt_connection_read(c); /* it may have whole packets that nobody has acted on */
    else
        gnt_connection_want(c);
}

/* Whoever has waited longest is visited first, so that a few cannot fill up what mail there is room
 * for, turn by turn.  Those who are visited again meanwhile had much to say, so it ends.  True:
 * some are left, and may be visited at once. */
static bool visit_some(struct gnt_mqtt_front *front, struct gnt_list *list)
{
    const struct gnt_loop *loop = front->loop;
    uint64_t end = effort(front) + EFFORT_A_TURN;
    while (!gnt_list_empty(list) && effort(front) < end) {
        if (gnt_post_backlog(loop->post, loop->address))
            return false;
        visit(GNT_CONTAINER(gnt_list_pop_front(list), struct gnt_mqtt_connection, paused),
              READ_A_VISIT, EFFORT_A_VISIT);
    }
    return !gnt_list_empty(list);
}

bool gnt_mqtt_front_turn(struct gnt_mqtt_front *front)
{
    gnt_connection_new_slice(front);
    if (!gnt_list_empty(&front->dirty) || !gnt_list_empty(&front->bulk))
        gnt_loop_at_end(front->loop, &front->flush);
    bool more = visit_some(front, &front->settling);
    return visit_some(front, &front->paused) || more;
}

bool gnt_mqtt_front_has_more(const struct gnt_mqtt_front *front)
{
    return !gnt_list_empty(&front->paused) || !gnt_list_empty(&front->settling) ||
           !gnt_list_empty(&front->dirty) || !gnt_list_empty(&front->bulk);
}

gnt_err gnt_connection_discard(struct gnt_mqtt_connection *c)
{
    size_t n;
    gnt_err err = GNT_OK;
    for (int i = 0; i < READS_A_TURN && !err; i++)
        err = gnt_stream_read(c->stream, c->front->read_buffer, GNT_MQTT_READ_SIZE, &n);
    return err == GNT_MORE ? GNT_OK : err;
}

/* ---- Writing */

/* The first MOST bytes of COUNT pieces; how many pieces those are. */
static int cut(struct iovec *iov, int count, size_t most)
{
    for (int i = 0; i < count; i++) {
        if (iov[i].iov_len >= most) {
            iov[i].iov_len = most;
            return i + 1;
        }
        most -= iov[i].iov_len;
    }
    return count;
}

gnt_err gnt_connection_write(struct gnt_mqtt_connection *c)
{
    bool unheard = c->out.size >= UNREAD_ANSWERS_MAX;
    c->bulky = c->out.size >= BULKY_SIZE;
    for (size_t most; (most = gnt_gate_passes(c));) {
        struct iovec iov[GNT_STREAM_IOV_MAX];
        int count = gnt_outq_iov(&c->out, iov, GNT_STREAM_IOV_MAX);
        if (most < c->out.size)
            count = cut(iov, count, most);
        size_t n;
        gnt_err err = gnt_stream_writev(c->stream, iov, count, &n);
        if (err == GNT_MORE)
            break;
        if (err)
            return err;
        gnt_outq_take(&c->out, n);
        gnt_gate_wrote(c, n);
        c->took_ms = gnt_connection_ms(c);
        c->untaken = UINT32_MAX;
        if (unheard)
            gnt_mqtt_server_lives(&c->engine, c->front->loop->now);
        gnt_count(gnt_connection_counters(c), GNT_COUNT_BYTES_SENT, (int64_t)n);
        if (!(c->stream->events & GNT_WRITABLE))
            break;
    }
    return GNT_OK;
}
