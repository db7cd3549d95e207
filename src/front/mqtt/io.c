/* Between a connection's stream and its engine: reading, with the packets that have come in part,
 * and writing. */

#include "front/mqtt/withhold.h"

#include "core/publish.h"
#include "net/post.h"

enum {
    /* One turn's reading, and what comes of it, shared by those who have something to say, so that
       a turn stays short however many they are, and nobody keeps the others waiting: */
    READ_A_TURN = 1024 * 1024,
    READ_LEAST = 16 * 1024, /* by each */
    READ_MOST = 256 * 1024,
    DELIVERIES_A_TURN = 16 * 1024,
    DELIVERIES_LEAST = 256,
    READS_A_TURN = 4,     /* of what is only thrown away */
    JOIN_MAX = 16 * 1024, /* a packet up to this is put together in the worker's buffer: one read
                             then takes its rest and what follows it */
    FIRST_RESERVE = 4096, /* for a packet that has come in part */
    GROW_MAX = 64 * 1024, /* what a client announces is believed as it comes */
    UNREAD_ANSWERS_MAX = 1 << 20, /* a client that does not read its answers is not read either */
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
    if (c->state == GNT_CONNECTION_LINGERS)
        want = GNT_READABLE;
    if (hears(c) && c->out.size < UNREAD_ANSWERS_MAX && !gnt_withholds_too_much(c))
        want = GNT_READABLE;
    if (c->out.size && !gnt_list_linked(&c->dirty))
        want |= GNT_WRITABLE;
    gnt_stream_want(c->stream, want);
}

/* ---- Reading */

/* What this front has been given to deliver until now. */
static uint64_t deliveries(const struct gnt_mqtt_front *front)
{
    return gnt_counted(&front->home->counters, GNT_COUNT_DUE);
}

static size_t share(const struct gnt_mqtt_front *front, size_t all, size_t least, size_t most)
{
    size_t each = all / (front->busy_before ? front->busy_before : 1);
    return each < least ? least : each > most ? most : each;
}

/* Who has had its share of deliveries goes on in the next turn. */
static void end_share(struct gnt_mqtt_connection *c)
{
    if (hears(c) && deliveries(c->front) >= c->front->deliver_until)
        gnt_list_push_back(&c->front->paused, &c->paused);
}

static gnt_err read_some(struct gnt_mqtt_connection *c, uint8_t *to, size_t size, size_t *n)
{
    struct gnt_mqtt_front *front = c->front;
    gnt_err err =
        gnt_stream_read(c->stream, to, size < front->read_left ? size : front->read_left, n);
    if (err)
        return err;
    front->read_left -= *n;
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
            gnt_connection_broke(c, c->engine.reason, NULL);
        } else if (packet.type == GNT_MQTT_CONNECT) {
            if (!gnt_connection_on_connect(c, &packet, whole))
                return false;
        } else {
            gnt_connection_on_packet(c, &packet);
            end_share(c);
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

static void read_share(struct gnt_mqtt_connection *c)
{
    struct gnt_mqtt_front *front = c->front;
    c->unread = false;
    while (front->read_left && hears(c)) {
        if (gnt_post_backlog(front->loop->post, front->loop->address)) {
            gnt_list_push_back(&front->paused, &c->paused);
            break;
        }
        if (c->out.size >= UNREAD_ANSWERS_MAX || gnt_withholds_too_much(c)) {
            c->unread = c->in.data != NULL;
            break;
        }
        gnt_err err = c->in.data ? read_more(c) : read_fresh(c);
        if (err == GNT_STATE)
            return;
        if (err == GNT_MORE)
            break;
        if (err) {
            gnt_connection_input_ended(c, err);
            return;
        }
        if (!(c->stream->events & GNT_READABLE))
            break;
    }
    gnt_connection_want(c);
}

/* Who needs little takes nothing from the share of those who need more. */
void gnt_connection_read(struct gnt_mqtt_connection *c)
{
    struct gnt_mqtt_front *front = c->front;
    uint64_t before = deliveries(front);
    size_t bytes = share(front, READ_A_TURN, READ_LEAST, READ_MOST);
    front->read_left = bytes;
    front->deliver_until = before + share(front, DELIVERIES_A_TURN, DELIVERIES_LEAST, SIZE_MAX);
    read_share(c);
    front->busy +=
        bytes - front->read_left >= READ_LEAST || deliveries(front) - before >= DELIVERIES_LEAST;
}

void gnt_connection_unpause(struct gnt_mqtt_connection *c)
{
    if (c->state == GNT_CONNECTION_OPEN && (c->in.data || (c->stream->events & GNT_READABLE)))
        gnt_connection_read(c); /* it may have whole packets that nobody has acted on */
    else
        gnt_connection_want(c);
}

/* Whoever has waited longest comes first, and all of them before those that are readable now, else
 * a few could fill up what mail there is room for, turn by turn. */
bool gnt_mqtt_front_turn(struct gnt_mqtt_front *front)
{
    const struct gnt_loop *loop = front->loop;
    gnt_connection_new_slice(front);
    front->busy_before = front->busy;
    front->busy = 0;
    if (gnt_list_empty(&front->paused))
        return false;
    struct gnt_list todo;
    gnt_list_init(&todo);
    gnt_list_splice_back(&todo, &front->paused);
    bool backlog;
    while (!(backlog = gnt_post_backlog(loop->post, loop->address)) && !gnt_list_empty(&todo))
        gnt_connection_unpause(
            GNT_CONTAINER(gnt_list_pop_front(&todo), struct gnt_mqtt_connection, paused));
    gnt_list_splice_back(&todo, &front->paused);
    gnt_list_splice_back(&front->paused, &todo);
    return !backlog && !gnt_list_empty(&front->paused);
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

gnt_err gnt_connection_write(struct gnt_mqtt_connection *c)
{
    bool unheard = c->out.size >= UNREAD_ANSWERS_MAX;
    while (c->out.size) {
        struct iovec iov[GNT_STREAM_IOV_MAX];
        int count = gnt_outq_iov(&c->out, iov, GNT_STREAM_IOV_MAX);
        size_t n;
        gnt_err err = gnt_stream_writev(c->stream, iov, count, &n);
        if (err == GNT_MORE)
            break;
        if (err)
            return err;
        gnt_outq_take(&c->out, n);
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
