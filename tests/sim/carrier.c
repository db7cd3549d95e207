#include "carrier.h"

#include "amqp/codec/message.h"
#include "base/hash.h"

#include <stdio.h>
#include <stdlib.h>

#define SECOND GNT_NS_PER_S
#define MS     GNT_NS_PER_MS

enum { CREDIT = 4, LINKS = 3 * SIM_QUEUES, RECEIVERS = 2 * SIM_QUEUES };

static const struct gnt_amqp_options options = {.container_id = {(const uint8_t *)"carrier", 7},
                                                .max_frame_size = 1024,
                                                .idle_timeout_ms = 60000,
                                                .open_timeout_ms = 20000,
                                                .sessions_max = 1,
                                                .links_max = LINKS,
                                                .unsettled_max = 1000,
                                                .incoming_window = 100};

static uint64_t below(struct sim_carrier *c, uint64_t n)
{
    return gnt_random_below(&c->chance.door, n);
}

static void turn_by(struct sim_carrier *c, uint64_t when)
{
    if (when < GNT_FAR)
        sim_world_by(c->world, &c->turn, when);
}

static void on_wire(void *owner)
{
    struct sim_carrier *c = owner;
    turn_by(c, c->world->now);
}

/* ---- The connection's end */

static bool holds(const void *holder)
{
    const struct sim_carrier *c = holder;
    return c->wire && c->wire->broker_open && !c->wire->cut;
}

static void let_go(struct sim_carrier *c, struct sim_held *h)
{
    if (h->delivery && h->come && c->stock->items[h->item].holder == c)
        c->stock->items[h->item].holder = NULL;
    gnt_buf_fini(&h->body);
    *h = (struct sim_held){.carrier = c};
}

/* The connection is no more; what was sent on it and not answered may be in its queue, or not. */
static void drop(struct sim_carrier *c)
{
    if (!c->wire)
        return;
    sim_trace(c->world, "carrier %u has no connection", c->index);
    for (int i = 0; i < SIM_HELD_MAX; i++)
        let_go(c, &c->held[i]);
    gnt_amqp_connection_fini(&c->engine);
    gnt_outq_fini(&c->out);
    gnt_buf_fini(&c->in);
    sim_wire_close(&c->wire);
    c->in_flight = 0;
    c->connect_at = c->world->now + below(c, 2 * SECOND);
}

/* ---- Its beginning */

static struct gnt_amqp_link *attach(struct sim_carrier *c, struct gnt_amqp_session *s,
                                    enum sim_queue queue, bool sender, bool dead)
{
    char name[32], address[64];
    uint8_t bytes[128];
    snprintf(name, sizeof name, "%u-%d-%d%d", c->index, (int)queue, sender, dead);
    snprintf(address, sizeof address, "%s%s", sim_queue_name(queue),
             dead ? "/$DeadLetterQueue" : "");
    struct gnt_amqp_writer w = gnt_amqp_writer(bytes, sizeof bytes);
    struct gnt_amqp_source source = {0};
    struct gnt_amqp_target target = {0};
    struct gnt_amqp_attach a = {0};
    GNT_AMQP_SET(&a, name, gnt_slice_str(name));
    GNT_AMQP_SET(&a, role, sender ? GNT_AMQP_SENDER : GNT_AMQP_RECEIVER);
    GNT_AMQP_SET(&a, rcv_settle_mode, sender ? GNT_AMQP_RECEIVER_FIRST : GNT_AMQP_RECEIVER_SECOND);
    if (sender) {
        GNT_AMQP_SET(&target, address, gnt_slice_str(address));
        gnt_amqp_put_target(&w, &target);
        GNT_AMQP_SET(&a, target, gnt_amqp_encoded(gnt_amqp_written(&w)));
    } else {
        GNT_AMQP_SET(&source, address, gnt_slice_str(address));
        gnt_amqp_put_source(&w, &source);
        GNT_AMQP_SET(&a, source, gnt_amqp_encoded(gnt_amqp_written(&w)));
    }
    struct gnt_amqp_link *l;
    SIM_MUST(c->world, gnt_amqp_link_attach(s, &a, NULL, 0, &l) == GNT_OK);
    return l;
}

static void connect_it(struct sim_carrier *c)
{
    static const struct gnt_amqp_open open = {0};
    struct gnt_amqp_session *s;
    sim_trace(c->world, "carrier %u connects", c->index);
    c->wire = sim_wire_open(c->world, on_wire, c);
    c->wire->accept = gnt_worker_accept_amqp;
    c->stock->breaks++;
    gnt_outq_init(&c->out);
    gnt_amqp_connection_init(&c->engine, GNT_AMQP_CLIENT, &options, &c->out, c->world->now);
    SIM_MUST(c->world, gnt_amqp_connection_open(&c->engine, &open) == GNT_OK);
    SIM_MUST(c->world, gnt_amqp_session_begin(&c->engine, &s) == GNT_OK);
    for (int q = 0; q < SIM_QUEUES; q++) {
        c->senders[q] = attach(c, s, (enum sim_queue)q, true, false);
        c->receivers[q] = attach(c, s, (enum sim_queue)q, false, false);
        c->receivers[SIM_QUEUES + q] = attach(c, s, (enum sim_queue)q, false, true);
    }
}

/* ---- Receiving */

static struct sim_held *free_place(struct sim_carrier *c)
{
    for (int i = 0; i < SIM_HELD_MAX; i++)
        if (!c->held[i].delivery)
            return &c->held[i];
    sim_fail(c->world, "carrier %u is given more than it has credit for", c->index);
}

/* As many as there are places for. */
static void give_credit(struct sim_carrier *c)
{
    int room = 0;
    for (int i = 0; i < SIM_HELD_MAX; i++)
        room += !c->held[i].delivery;
    for (int i = 0; i < RECEIVERS; i++)
        room -= (int)c->receivers[i]->credit;
    for (int i = 0; i < RECEIVERS && room >= CREDIT; i++) {
        if (c->receivers[i]->credit || !c->receivers[i]->answered)
            continue;
        gnt_amqp_link_credit(c->receivers[i], CREDIT, false);
        room -= CREDIT;
    }
}

static void came(struct sim_carrier *c, struct sim_held *h, const struct gnt_amqp_link *l)
{
    struct gnt_amqp_message parts;
    struct gnt_amqp_header header = {0};
    struct gnt_amqp_value data;
    int at = 0;
    while (c->receivers[at] != l)
        at++;
    SIM_MUST(c->world, gnt_amqp_message_split(gnt_buf_slice(&h->body), &parts) == GNT_OK);
    SIM_MUST(c->world, gnt_amqp_decode_header(parts.header, &header) == GNT_OK);
    struct gnt_slice body = parts.body;
    SIM_MUST(c->world, gnt_amqp_next_section(&body, &data));
    h->dead = at >= SIM_QUEUES;
    const struct sim_coming coming = {.body = data.bytes,
                                      .queue = (enum sim_queue)(at % SIM_QUEUES),
                                      .dead = h->dead,
                                      .failed = header.delivery_count};
    h->item = sim_stock_came(c->stock, &coming);
    c->stock->items[h->item].holder = c;
    c->stock->items[h->item].holds = holds;
    h->come = true;
    h->due = c->world->now + (c->calm ? 0 : below(c, below(c, 4) ? 500 * MS : 6 * SECOND));
}

static void transferred(struct sim_carrier *c, const struct gnt_amqp_event *e)
{
    struct sim_held *h = e->first ? free_place(c) : e->delivery->context;
    if (e->first) {
        h->delivery = e->delivery;
        e->delivery->context = h;
    }
    SIM_MUST(c->world, h && gnt_buf_put(&h->body, e->payload) == GNT_OK);
    SIM_MUST(c->world, !e->settled);
    if (e->aborted)
        let_go(c, h);
    else if (e->last)
        came(c, h, e->link);
}

static void settle(struct sim_carrier *c, struct sim_held *h)
{
    static const int usual[] = {SIM_ACCEPT, SIM_ACCEPT, SIM_ACCEPT,  SIM_ACCEPT,
                                SIM_ACCEPT, SIM_REJECT, SIM_RELEASE, SIM_FAIL};
    uint8_t bytes[64];
    struct gnt_amqp_writer w = gnt_amqp_writer(bytes, sizeof bytes);
    struct gnt_amqp_modified modified = {0};
    struct gnt_amqp_rejected rejected = {0};
    h->done = c->calm ? SIM_ACCEPT : (enum sim_done)usual[below(c, 8)];
    h->said = true;
    switch (h->done) {
    case SIM_ACCEPT: gnt_amqp_put_raw(&w, gnt_amqp_fieldless(GNT_AMQP_ACCEPTED).encoded); break;
    case SIM_RELEASE: gnt_amqp_put_raw(&w, gnt_amqp_fieldless(GNT_AMQP_RELEASED).encoded); break;
    case SIM_REJECT: gnt_amqp_put_rejected(&w, &rejected); break;
    case SIM_FAIL:
        GNT_AMQP_SET(&modified, delivery_failed, true);
        gnt_amqp_put_modified(&w, &modified);
        break;
    }
    sim_stock_settle(c->stock, h->item, h->dead, h->done);
    SIM_MUST(c->world,
             gnt_amqp_delivery_settle(h->delivery, gnt_amqp_written(&w), false) == GNT_OK);
}

static void settle_due(struct sim_carrier *c)
{
    for (int i = 0; i < SIM_HELD_MAX; i++) {
        struct sim_held *h = &c->held[i];
        if (!h->come || h->said)
            continue;
        if (h->due <= c->world->now || c->calm)
            settle(c, h);
        else
            turn_by(c, h->due);
    }
}

/* Whether the broker has it as it was told, and not an error of its own. */
static bool is_confirmed(const struct sim_held *h, const struct gnt_amqp_event *e)
{
    static const enum gnt_amqp_descriptor code[] = {[SIM_ACCEPT] = GNT_AMQP_ACCEPTED,
                                                    [SIM_RELEASE] = GNT_AMQP_RELEASED,
                                                    [SIM_FAIL] = GNT_AMQP_MODIFIED,
                                                    [SIM_REJECT] = GNT_AMQP_REJECTED};
    struct gnt_amqp_rejected rejected = {0};
    if (gnt_amqp_code_of(e->state.encoded) != code[h->done])
        return false;
    return h->done != SIM_REJECT ||
           (gnt_amqp_decode_rejected(e->state.encoded, &rejected) == GNT_OK && !rejected.has.error);
}

/* ---- Sending */

static void send_one(struct sim_carrier *c)
{
    enum sim_queue queue = (enum sim_queue)below(c, SIM_QUEUES);
    struct gnt_amqp_link *l = c->senders[queue];
    if (!l->answered || !l->credit || l->partial || c->in_flight == SIM_SENT_MAX)
        return;
    bool durable = below(c, 4) > 0;
    uint32_t number = sim_stock_send(c->stock, queue, durable), size = c->stock->items[number].size;
    uint8_t head[32], tag[4] = {(uint8_t)number, (uint8_t)(number >> 8), (uint8_t)(number >> 16)};
    uint8_t *body = malloc(size);
    SIM_MUST(c->world, body != NULL);
    sim_stock_body(c->stock, number, body);
    struct gnt_amqp_writer w = gnt_amqp_writer(head, sizeof head);
    struct gnt_amqp_header header = {0};
    GNT_AMQP_SET(&header, durable, durable);
    gnt_amqp_put_header(&w, &header);
    gnt_amqp_put_data_head(&w, size);
    const struct gnt_amqp_piece pieces[] = {{.bytes = gnt_amqp_written(&w)},
                                            {.bytes = gnt_slice(body, size)}};
    const struct gnt_amqp_sending sending = {.tag = gnt_slice(tag, sizeof tag)};
    struct gnt_amqp_delivery *d = NULL;
    size_t taken;
    gnt_err err = gnt_amqp_link_send(l, &sending, pieces, 2, &taken, &d);
    sim_trace(c->world, "carrier %u sends item %u to %s", c->index, number, sim_queue_name(queue));
    if (d)
        d->context = (void *)(uintptr_t)(number + 1);
    if (d && err == GNT_MORE) /* the window is used up: it was never sent */
        SIM_MUST(c->world, gnt_amqp_delivery_abort(d) == GNT_OK);
    else if (d)
        c->in_flight++;
    if (err)
        c->stock->items[number].refused = true;
    free(body);
}

/* ---- What comes */

static void disposed(struct sim_carrier *c, const struct gnt_amqp_event *e)
{
    if (e->link->sender) {
        SIM_MUST(c->world, e->settled);
        c->in_flight--;
        sim_stock_outcome(c->stock, (uint32_t)(uintptr_t)e->delivery->context - 1,
                          gnt_amqp_code_of(e->state.encoded) == GNT_AMQP_ACCEPTED);
        return;
    }
    struct sim_held *h = e->delivery->context;
    SIM_MUST(c->world, h && h->said && e->settled);
    if (is_confirmed(h, e))
        sim_stock_sure(c->stock, h->item, h->dead, h->done);
    let_go(c, h);
}

/* False: the connection is of no more use. */
static bool act_on(struct sim_carrier *c, const struct gnt_amqp_event *e)
{
    switch (e->type) {
    case GNT_AMQP_EVENT_TRANSFER: transferred(c, e); return true;
    case GNT_AMQP_EVENT_DISPOSITION: disposed(c, e); return true;
    case GNT_AMQP_EVENT_DETACH:
    case GNT_AMQP_EVENT_END:
    case GNT_AMQP_EVENT_CLOSE: return false;
    case GNT_AMQP_EVENT_TLS:
    case GNT_AMQP_EVENT_SASL_MECHANISMS:
    case GNT_AMQP_EVENT_SASL_INIT:
    case GNT_AMQP_EVENT_SASL_CHALLENGE:
    case GNT_AMQP_EVENT_SASL_RESPONSE:
    case GNT_AMQP_EVENT_SASL_OUTCOME:
    case GNT_AMQP_EVENT_OPEN:
    case GNT_AMQP_EVENT_BEGIN:
    case GNT_AMQP_EVENT_ATTACH:
    case GNT_AMQP_EVENT_RESUME:
    case GNT_AMQP_EVENT_FLOW:
    case GNT_AMQP_EVENT_NOTHING: return true;
    }
    return true;
}

/* Takes what has come; false: the connection has ended. */
static bool pull(struct sim_carrier *c)
{
    uint8_t bytes[2048];
    size_t n;
    struct gnt_amqp_event e;
    gnt_err err = sim_wire_read(c->wire, bytes, sizeof bytes, &n);
    if (err)
        return err == GNT_MORE;
    SIM_MUST(c->world, gnt_buf_put(&c->in, gnt_slice(bytes, n)) == GNT_OK);
    struct gnt_slice all = gnt_buf_slice(&c->in), in = all;
    bool stands = true;
    while (stands && !(err = gnt_amqp_connection_next(&c->engine, &in, c->world->now, &e, NULL)))
        stands = act_on(c, &e);
    if (stands && err < 0)
        sim_fail(c->world, "carrier %u: the broker breaks the protocol: %s", c->index,
                 c->engine.why ? c->engine.why : "");
    gnt_buf_take(&c->in, all.size - in.size);
    turn_by(c, c->world->now); /* there may be more */
    return stands;
}

static void push(struct sim_carrier *c)
{
    struct iovec iov;
    SIM_MUST(c->world, gnt_amqp_connection_flush(&c->engine, c->world->now) == GNT_OK);
    while (gnt_outq_iov(&c->out, &iov, 1) == 1) {
        size_t n = sim_wire_write(c->wire, gnt_slice(iov.iov_base, iov.iov_len));
        gnt_outq_take(&c->out, n);
        if (n < iov.iov_len)
            return;
    }
}

/* ---- Turns */

static void break_off(struct sim_carrier *c)
{
    uint64_t kind = below(c, 3), told = below(c, 4) ? below(c, 3 * SECOND) : GNT_NEVER;
    sim_trace(c->world, "carrier %u breaks its connection, %u", c->index, (unsigned)kind);
    if (kind)
        sim_wire_cut(c->wire, told, GNT_NEVER);
    drop(c);
}

static void act(struct sim_carrier *c)
{
    c->act_at = c->world->now + 1 + below(c, 2 * c->pause);
    if (below(c, c->break_one_in) == 0)
        break_off(c);
    else
        for (uint64_t n = 1 + below(c, 4); n; n--)
            send_one(c);
}

static void plan(struct sim_carrier *c)
{
    if (!c->wire && !c->gone)
        turn_by(c, c->connect_at);
    if (c->wire)
        turn_by(c, gnt_amqp_connection_deadline(&c->engine));
    if (c->wire && !c->calm && c->engine.state == GNT_AMQP_OPENED)
        turn_by(c, c->act_at);
}

static void on_turn(struct gnt_timer *timer, uint64_t now)
{
    struct sim_carrier *c = GNT_CONTAINER(timer, struct sim_carrier, turn);
    if (!c->wire && !c->gone && now >= c->connect_at)
        connect_it(c);
    if (c->wire && (!pull(c) || gnt_amqp_connection_tick(&c->engine, now) == GNT_TIMEOUT))
        drop(c);
    if (c->wire && c->engine.state == GNT_AMQP_OPENED) {
        settle_due(c);
        give_credit(c);
        if (!c->calm && now >= c->act_at)
            act(c);
    }
    if (c->wire)
        push(c);
    plan(c);
}

/* ---- Birth and death */

void sim_carrier_init(struct sim_carrier *c, struct sim_world *w, struct sim_stock *stock,
                      unsigned index)
{
    *c = (struct sim_carrier){.world = w, .stock = stock, .index = index, .turn.fire = on_turn};
    gnt_seeded_init(&c->chance, gnt_hash_mix(w->seed, 100 + index));
    c->pause = 100 * MS + below(c, 2 * SECOND);
    c->break_one_in = 5 + (unsigned)below(c, 60);
    c->connect_at = w->now + 1 + below(c, 8 * SECOND);
    plan(c);
}

void sim_carrier_fini(struct sim_carrier *c)
{
    drop(c);
    gnt_timer_cancel(&c->world->timers, &c->turn);
}

void sim_carrier_calm(struct sim_carrier *c)
{
    c->calm = true;
    turn_by(c, c->world->now);
}

bool sim_carrier_settled(const struct sim_carrier *c)
{
    for (int i = 0; i < SIM_HELD_MAX; i++)
        if (c->held[i].delivery)
            return false;
    return c->gone ||
           (c->wire && !c->wire->cut && c->engine.state == GNT_AMQP_OPENED && c->in_flight == 0);
}

void sim_carrier_leave(struct sim_carrier *c)
{
    c->gone = true;
    drop(c);
}
