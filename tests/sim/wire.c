#include "wire.h"

#include <stdio.h>
#include <stdlib.h>

static struct sim_wire *wire_of(struct gnt_stream *s)
{
    return GNT_CONTAINER(s, struct sim_wire, stream);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* ---- Telling the ends */

static void tell_broker(struct sim_wire *wire, uint8_t events)
{
    if (!wire->accepted || !wire->broker_open)
        return;
    gnt_stream_notify(&wire->stream, events);
    sim_world_wake(wire->world, wire->stream.loop);
}

static void tell_client(struct sim_wire *wire)
{
    if (wire->client_open)
        wire->changed(wire->owner);
}

static void on_broker_told(struct gnt_timer *timer, uint64_t now)
{
    struct sim_wire *wire = GNT_CONTAINER(timer, struct sim_wire, broker_told);
    (void)now;
    wire->broker_reset = true;
    tell_broker(wire, GNT_READABLE | GNT_WRITABLE);
}

static void on_client_told(struct gnt_timer *timer, uint64_t now)
{
    struct sim_wire *wire = GNT_CONTAINER(timer, struct sim_wire, client_told);
    (void)now;
    wire->client_reset = true;
    tell_client(wire);
}

static void after(struct sim_wire *wire, struct gnt_timer *timer, uint64_t ns)
{
    if (ns != GNT_NEVER)
        sim_world_by(wire->world, timer, wire->world->now + ns);
}

/* ---- Pipes */

static uint64_t latency(struct sim_world *w)
{
    return sim_between(w, w->weather.latency_min, w->weather.latency_max);
}

static void kick(struct sim_pipe *p)
{
    struct sim_wire *wire = p->wire;
    bool something = gnt_buf_size(&p->flying) || (p->finished && !p->ended);
    if (something && !wire->cut && !gnt_timer_is_set(&p->arrival))
        after(wire, &p->arrival, latency(wire->world));
}

static void on_arrival(struct gnt_timer *timer, uint64_t now)
{
    struct sim_pipe *p = GNT_CONTAINER(timer, struct sim_pipe, arrival);
    struct sim_world *w = p->wire->world;
    (void)now;
    struct gnt_slice flying = gnt_buf_slice(&p->flying);
    if (flying.size == 0)
        p->ended = p->finished;
    if (flying.size && sim_one_in(w, w->weather.split_one_in))
        flying.size =
            (size_t)sim_between(w, 1, least(flying.size, sim_one_in(w, 2) ? 5 : flying.size));
    SIM_MUST(w, gnt_buf_put(&p->arrived, flying) == GNT_OK);
    gnt_buf_take(&p->flying, flying.size);
    kick(p);
    if (p == &p->wire->up)
        tell_broker(p->wire, GNT_READABLE);
    else
        tell_client(p->wire);
}

static size_t room(const struct sim_pipe *p)
{
    size_t used = gnt_buf_size(&p->flying) + gnt_buf_size(&p->arrived);
    size_t most = p->wire->world->weather.wire_bytes;
    return used < most ? most - used : 0;
}

static size_t put(struct sim_pipe *p, struct gnt_slice bytes)
{
    bytes.size = least(bytes.size, room(p));
    SIM_MUST(p->wire->world, gnt_buf_put(&p->flying, bytes) == GNT_OK);
    kick(p);
    return bytes.size;
}

static gnt_err take(struct sim_pipe *p, bool reset, void *to, size_t cap, size_t *n)
{
    *n = least(cap, gnt_buf_size(&p->arrived));
    if (*n) {
        memcpy(to, gnt_buf_slice(&p->arrived).data, *n);
        gnt_buf_take(&p->arrived, *n);
        return GNT_OK;
    }
    if (reset)
        return GNT_IO;
    return p->ended ? GNT_CLOSED : GNT_MORE;
}

static void lose(struct sim_pipe *p)
{
    gnt_buf_clear(&p->flying);
    gnt_timer_cancel(&p->wire->world->timers, &p->arrival);
}

static void pipe_init(struct sim_pipe *p, struct sim_wire *wire)
{
    p->wire = wire;
    p->arrival.fire = on_arrival;
    if (wire->world->weather.fault_one_in) {
        size_t most = 2 * wire->world->weather.wire_bytes;
        SIM_MUST(wire->world, gnt_buf_reserve(&p->flying, most) == GNT_OK);
        SIM_MUST(wire->world, gnt_buf_reserve(&p->arrived, most) == GNT_OK);
    }
}

static void pipe_fini(struct sim_pipe *p)
{
    lose(p);
    gnt_buf_fini(&p->flying);
    gnt_buf_fini(&p->arrived);
}

static void free_if_closed(struct sim_wire *wire)
{
    if (wire->broker_open || wire->client_open)
        return;
    struct gnt_timers *timers = &wire->world->timers;
    gnt_timer_cancel(timers, &wire->begin);
    gnt_timer_cancel(timers, &wire->broker_told);
    gnt_timer_cancel(timers, &wire->client_told);
    pipe_fini(&wire->up);
    pipe_fini(&wire->down);
    wire->world->wires--;
    free(wire);
}

/* ---- The broker's end */

static gnt_err wire_read(struct gnt_stream *s, void *to, size_t cap, size_t *n)
{
    struct sim_wire *wire = wire_of(s);
    if (cap > 1 && sim_one_in(wire->world, wire->world->weather.split_one_in))
        cap = (size_t)sim_between(wire->world, 1, least(cap, 100));
    gnt_err err = take(&wire->up, wire->broker_reset, to, cap, n);
    wire->read += *n;
    if (*n && !wire->cut)
        tell_client(wire);
    return err;
}

static gnt_err wire_writev(struct gnt_stream *s, const struct iovec *iov, int count, size_t *n)
{
    struct sim_wire *wire = wire_of(s);
    if (wire->broker_reset || wire->world->dying)
        return GNT_IO;
    if (wire->down.finished)
        return GNT_CLOSED;
    if (!wire->client_open && !wire->cut) /* as TCP: the peer says so when the bytes come */
        after(wire, &wire->broker_told, latency(wire->world));
    if (room(&wire->down) == 0)
        return GNT_MORE;
    for (int i = 0; i < count; i++)
        *n += put(&wire->down, gnt_slice(iov[i].iov_base, iov[i].iov_len));
    return GNT_OK;
}

static void wire_finish(struct gnt_stream *s)
{
    struct sim_wire *wire = wire_of(s);
    wire->down.finished = true;
    wire->read_by_end = wire->read;
    kick(&wire->down);
}

/* With the broker's machine: what was on its way may still arrive, and the client is told soon, or
 * when it hears nothing for long. */
static void wire_dies(struct sim_wire *wire)
{
    struct sim_world *w = wire->world;
    wire->broker_open = false;
    wire->died = !wire->down.finished;
    wire->down.finished = true;
    if (sim_one_in(w, 2))
        lose(&wire->down);
    if (!wire->cut)
        after(wire, &wire->client_told,
              sim_one_in(w, 4) ? sim_below(w, 20 * GNT_NS_PER_S) : latency(w));
    free_if_closed(wire);
}

static void wire_broker_close(struct gnt_stream *s)
{
    struct sim_wire *wire = wire_of(s);
    if (wire->world->dying) {
        wire_dies(wire);
        return;
    }
    bool unread = gnt_buf_size(&wire->up.arrived) || gnt_buf_size(&wire->up.flying);
    if (!wire->down.finished)
        wire_finish(s);
    wire->broker_open = false;
    if (unread && !wire->cut && sim_one_in(wire->world, 2)) {
        lose(&wire->down); /* a reset overtakes what was written */
        after(wire, &wire->client_told, latency(wire->world));
    }
    free_if_closed(wire);
}

static gnt_err wire_move(struct gnt_stream *s, struct gnt_loop *loop)
{
    struct sim_world *w = wire_of(s)->world;
    return loop && sim_one_in(w, w->weather.move_fails_one_in) ? GNT_IO : GNT_OK;
}

static void wire_peer(const struct gnt_stream *s, char *out, size_t cap)
{
    (void)s;
    snprintf(out, cap, "wire");
}

static const struct gnt_stream_ops wire_ops = {
    .read = wire_read,
    .writev = wire_writev,
    .finish = wire_finish,
    .close = wire_broker_close,
    .move = wire_move,
    .peer = wire_peer,
};

static void on_accept(struct sim_arrival *a, struct gnt_worker *worker)
{
    struct sim_wire *wire = GNT_CONTAINER(a, struct sim_wire, arriving);
    gnt_stream_init(&wire->stream, &wire_ops, &worker->loop);
    wire->stream.events = GNT_READABLE | GNT_WRITABLE;
    wire->accepted = true;
    wire->accept(worker, &wire->stream);
}

static void on_refuse(struct sim_arrival *a)
{
    struct sim_wire *wire = GNT_CONTAINER(a, struct sim_wire, arriving);
    wire->broker_open = false;
    wire->client_reset = true;
    tell_client(wire);
    free_if_closed(wire);
}

static void on_begin(struct gnt_timer *timer, uint64_t now)
{
    struct sim_wire *wire = GNT_CONTAINER(timer, struct sim_wire, begin);
    (void)now;
    sim_world_arrive(wire->world, &wire->arriving);
}

struct sim_wire *sim_wire_open(struct sim_world *w, void (*changed)(void *owner), void *owner)
{
    struct sim_wire *wire = calloc(1, sizeof *wire);
    SIM_MUST(w, wire != NULL);
    wire->world = w;
    wire->changed = changed;
    wire->owner = owner;
    wire->broker_open = wire->client_open = true;
    wire->arriving.accept = on_accept;
    wire->accept = gnt_worker_accept;
    wire->arriving.refuse = on_refuse;
    wire->begin.fire = on_begin;
    wire->broker_told.fire = on_broker_told;
    wire->client_told.fire = on_client_told;
    pipe_init(&wire->up, wire);
    pipe_init(&wire->down, wire);
    w->wires++;
    after(wire, &wire->begin, latency(w));
    return wire;
}

/* ---- The client's end */

size_t sim_wire_write(struct sim_wire *wire, struct gnt_slice bytes)
{
    if (wire->client_reset)
        return 0;
    size_t n = put(&wire->up, bytes);
    wire->written += n;
    return n;
}

gnt_err sim_wire_read(struct sim_wire *wire, void *to, size_t cap, size_t *n)
{
    gnt_err err = take(&wire->down, wire->client_reset, to, cap, n);
    if (*n && !wire->cut)
        tell_broker(wire, GNT_WRITABLE);
    return err;
}

void sim_wire_close(struct sim_wire **w)
{
    struct sim_wire *wire = *w;
    *w = NULL;
    if (!wire)
        return;
    wire->client_open = false;
    wire->up.finished = true;
    kick(&wire->up);
    lose(&wire->down);
    gnt_buf_clear(&wire->down.arrived);
    if (!wire->cut)
        tell_broker(wire, GNT_WRITABLE); /* there is room now, and the write finds out */
    free_if_closed(wire);
}

void sim_wire_cut(struct sim_wire *wire, uint64_t broker_ns, uint64_t client_ns)
{
    wire->cut = true;
    lose(&wire->up);
    lose(&wire->down);
    after(wire, &wire->broker_told, broker_ns);
    after(wire, &wire->client_told, client_ns);
}
