/* A client of a bench that speaks AMQP 1.0: one session, and one link to a queue. */
#include "amqp/codec/message.h"
#include "amqp/engine/connection.h"
#include "amqp/engine/link.h"
#include "cli/bench_client.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    READ_SIZE = 64 * 1024, /* of host->read_buffer */
    READS_A_TURN = 4,
    PIECES = 64,
    HEAD_MAX = 16, /* bytes in front of a payload */
    CREDIT = 1000,
    FRAME_MAX = 1 << 20,
};

struct gnt_bench_amqp {
    struct gnt_amqp_connection engine;
    struct gnt_outq out;
    struct gnt_buf in;      /* a frame that has come in part, */
    struct gnt_buf message; /* and a message */
    struct gnt_amqp_link *link;
    uint64_t tag;
    bool dry;  /* a publisher has no credit */
    bool full; /* the transport has not taken all output */
};

static const struct gnt_amqp_options options = {
    .container_id = {(const uint8_t *)"gnatter-bench", 13},
    .max_frame_size = FRAME_MAX,
    .sessions_max = 1,
    .links_max = 1,
    .unsettled_max = 65536,
    .incoming_window = 2048,
    .overdraft = CREDIT,
};

static void may_send(struct gnt_bench_client *c)
{
    c->blocked = c->amqp->full || c->amqp->dry;
    if (c->up && c->publisher && !c->blocked && !gnt_list_linked(&c->sender))
        gnt_list_push_back(&c->host->senders, &c->sender);
}

/* ---- Coming up: SASL, open, begin, attach */

static gnt_err log_in(struct gnt_bench_client *c)
{
    const struct gnt_bench_plan *plan = c->host->plan;
    struct gnt_amqp_sasl_init init = {.mechanism = gnt_slice_str("ANONYMOUS")};
    char response[1024];
    init.has.mechanism = true;
    if (plan->username) {
        int size = snprintf(response, sizeof response, "%c%s%c%s", 0, plan->username, 0,
                            plan->password ? plan->password : "");
        if (size >= (int)sizeof response)
            return GNT_TOOBIG;
        init.mechanism = gnt_slice_str("PLAIN");
        GNT_AMQP_SET(&init, initial_response, gnt_slice(response, (size_t)size));
    }
    gnt_err err = gnt_amqp_connection_sasl_start(&c->amqp->engine);
    return err ? err : gnt_amqp_connection_sasl_init(&c->amqp->engine, &init);
}

/* The encoding of a source or target in BYTES. */
static struct gnt_amqp_value terminus(const struct gnt_bench_client *c, bool source, uint8_t *bytes,
                                      size_t cap)
{
    struct gnt_amqp_writer w = gnt_amqp_writer(bytes, cap);
    struct gnt_amqp_source from = {.durable = 0};
    struct gnt_amqp_target to = {.durable = 0};
    if (!c->publisher)
        GNT_AMQP_SET(&from, dynamic, true);
    else
        GNT_AMQP_SET(&to, address, gnt_slice_str(c->host->addresses[c->index]));
    if (source)
        gnt_amqp_put_source(&w, &from);
    else
        gnt_amqp_put_target(&w, &to);
    return gnt_amqp_encoded(gnt_amqp_written(&w));
}

static gnt_err attach(struct gnt_bench_client *c, struct gnt_amqp_session *session)
{
    enum { CAP = 1024 };
    uint8_t source[CAP], target[CAP];
    struct gnt_amqp_attach a = {.name = gnt_slice_str("bench"), .role = !c->publisher};
    a.has.name = a.has.role = true;
    GNT_AMQP_SET(&a, source, terminus(c, true, source, sizeof source));
    GNT_AMQP_SET(&a, target, terminus(c, false, target, sizeof target));
    GNT_AMQP_SET(&a, snd_settle_mode, c->host->plan->qos ? 0 : 1);
    return gnt_amqp_link_attach(session, &a, NULL, 0, &c->amqp->link);
}

static gnt_err say_open(struct gnt_bench_client *c)
{
    const struct gnt_amqp_open open = {.channel_max = 0};
    struct gnt_amqp_session *session;
    struct gnt_amqp_connection *engine = &c->amqp->engine;
    gnt_err err = gnt_amqp_connection_open(engine, &open);
    if (!err)
        err = gnt_amqp_session_begin(engine, &session);
    return err ? err : attach(c, session);
}

/* The address of a subscriber's queue; in fan-in all publishers send to the only one. */
static gnt_err keep_address(struct gnt_bench_client *c, const struct gnt_amqp_attach *attach)
{
    const struct gnt_bench_plan *plan = c->host->plan;
    struct gnt_amqp_source source;
    if (!attach->has.source || gnt_amqp_decode_source(attach->source.encoded, &source) ||
        !source.address.size || source.address.size > 512)
        return GNT_UNSUPPORTED;
    uint32_t count = plan->shape == GNT_BENCH_FAN_IN ? plan->publishers : 1;
    for (uint32_t i = 0; i < count; i++) {
        char **address = &c->host->addresses[c->index + i];
        *address = strndup((const char *)source.address.data, source.address.size);
        if (!*address)
            return GNT_NOMEM;
    }
    return GNT_OK;
}

static gnt_err attached(struct gnt_bench_client *c, const struct gnt_amqp_attach *attach)
{
    if (c->publisher)
        return attach->has.target ? GNT_OK : GNT_REFUSED;
    gnt_err err = keep_address(c, attach);
    if (err)
        return err;
    gnt_amqp_link_credit(c->amqp->link, CREDIT, false);
    gnt_bench_client_come_up(c);
    return GNT_OK;
}

/* ---- Messages */

static struct gnt_slice data_of(struct gnt_slice encoded)
{
    struct gnt_amqp_message message;
    struct gnt_amqp_value data;
    bool good = !gnt_amqp_message_split(encoded, &message) &&
                gnt_amqp_section(message.body, &data) && data.type == GNT_AMQP_BINARY;
    return good ? data.bytes : gnt_slice(NULL, 0);
}

static gnt_err take_message(struct gnt_bench_client *c, const struct gnt_amqp_event *event,
                            uint64_t now)
{
    struct gnt_amqp_link *link = c->amqp->link;
    struct gnt_buf *parts = &c->amqp->message;
    struct gnt_slice whole = event->payload;
    if (!event->first || !event->last) {
        gnt_err err = gnt_buf_put(parts, event->payload);
        if (err || !event->last)
            return err;
        whole = gnt_buf_slice(parts);
    }
    if (!event->aborted)
        c->host->message(c, data_of(whole), now);
    gnt_buf_clear(parts);
    if (link->credit < CREDIT / 2)
        gnt_amqp_link_credit(link, CREDIT, false);
    if (event->aborted || event->settled)
        return GNT_OK;
    return gnt_amqp_delivery_settle(event->delivery, gnt_amqp_fieldless(GNT_AMQP_ACCEPTED).encoded,
                                    true);
}

static void on_credit(struct gnt_bench_client *c)
{
    c->amqp->dry = c->amqp->link->credit == 0;
    if (!c->up && !c->amqp->dry)
        gnt_bench_client_come_up(c);
    else
        may_send(c);
}

static gnt_err on_event(struct gnt_bench_client *c, const struct gnt_amqp_event *event,
                        uint64_t now)
{
    switch (event->type) {
    case GNT_AMQP_EVENT_SASL_OUTCOME:
        return event->performative.sasl_outcome.code ? GNT_DENIED : say_open(c);
    case GNT_AMQP_EVENT_ATTACH: return attached(c, &event->performative.attach);
    case GNT_AMQP_EVENT_FLOW:
        if (c->publisher)
            on_credit(c);
        return GNT_OK;
    case GNT_AMQP_EVENT_TRANSFER: return take_message(c, event, now);
    case GNT_AMQP_EVENT_DISPOSITION:
        c->unsettled -= event->settled && c->publisher;
        may_send(c);
        return GNT_OK;
    case GNT_AMQP_EVENT_DETACH:
    case GNT_AMQP_EVENT_END:
    case GNT_AMQP_EVENT_CLOSE: return c->up ? GNT_CLOSED : GNT_REFUSED;
    case GNT_AMQP_EVENT_OPEN:
    case GNT_AMQP_EVENT_BEGIN:
    case GNT_AMQP_EVENT_RESUME:
    case GNT_AMQP_EVENT_TLS:
    case GNT_AMQP_EVENT_SASL_MECHANISMS:
    case GNT_AMQP_EVENT_SASL_INIT:
    case GNT_AMQP_EVENT_SASL_CHALLENGE:
    case GNT_AMQP_EVENT_SASL_RESPONSE:
    case GNT_AMQP_EVENT_NOTHING: break;
    }
    return GNT_OK;
}

gnt_err gnt_bench_amqp_publish(struct gnt_bench_client *c, uint64_t due)
{
    struct gnt_bench_amqp *a = c->amqp;
    uint8_t head[HEAD_MAX];
    const uint64_t tag = a->tag + 1;
    const struct gnt_slice payload = gnt_slice(c->host->payload, c->host->plan->size);
    struct gnt_amqp_writer w = gnt_amqp_writer(head, sizeof head);
    struct gnt_amqp_delivery *delivery = NULL;
    size_t taken;
    (void)due;
    gnt_amqp_put_data_head(&w, payload.size);
    const struct gnt_amqp_piece pieces[] = {{.bytes = gnt_amqp_written(&w)}, {.bytes = payload}};
    const struct gnt_amqp_sending sending = {.tag = gnt_slice(&tag, sizeof tag),
                                             .settled = c->host->plan->qos == 0};
    if (a->link->credit == 0) {
        a->dry = c->blocked = true;
        return GNT_FULL;
    }
    gnt_err err = gnt_amqp_link_send(a->link, &sending, pieces, 2, &taken, &delivery);
    if (!err)
        a->tag = tag;
    return err == GNT_MORE ? GNT_FULL : err;
}

/* ---- Bytes */

static gnt_err take_frames(struct gnt_bench_client *c, struct gnt_slice *bytes, uint64_t now)
{
    struct gnt_amqp_event event;
    gnt_err err = GNT_OK;
    while (!err && !c->closed) {
        err = gnt_amqp_connection_next(&c->amqp->engine, bytes, now, &event, NULL);
        if (!err)
            err = on_event(c, &event, now);
    }
    return err == GNT_MORE ? GNT_OK : err;
}

/* What is no whole frame is kept for the next time. */
static gnt_err receive(struct gnt_bench_client *c, struct gnt_slice bytes, uint64_t now)
{
    struct gnt_buf *in = &c->amqp->in;
    if (gnt_buf_size(in) == 0) {
        gnt_err err = take_frames(c, &bytes, now);
        return err || !bytes.size ? err : gnt_buf_put(in, bytes);
    }
    gnt_err err = gnt_buf_put(in, bytes);
    struct gnt_slice all = gnt_buf_slice(in), rest = all;
    if (!err)
        err = take_frames(c, &rest, now);
    gnt_buf_take(in, all.size - rest.size);
    return err;
}

static gnt_err write_output(struct gnt_bench_client *c, uint64_t now)
{
    struct gnt_bench_amqp *a = c->amqp;
    struct iovec iov[PIECES];
    gnt_err err = gnt_amqp_connection_flush(&a->engine, now);
    for (int count; !err && (count = gnt_outq_iov(&a->out, iov, PIECES)) > 0;) {
        size_t n = 0;
        err = gnt_stream_writev(c->stream, iov, count, &n);
        if (!err)
            gnt_outq_take(&a->out, n);
    }
    a->full = err == GNT_MORE;
    if (!a->full && !c->host->plan->qos)
        c->unsettled = 0; /* sent is done */
    gnt_stream_want(c->stream, (uint8_t)(GNT_READABLE | (a->full ? GNT_WRITABLE : 0)));
    return a->full ? GNT_OK : err;
}

static void work(struct gnt_task *task)
{
    struct gnt_bench_client *c = GNT_CONTAINER(task, struct gnt_bench_client, task);
    gnt_err err = c->closed ? GNT_OK : write_output(c, gnt_now(c->host->loop->clock));
    if (err)
        gnt_bench_client_fail(c, err, 0);
    else if (!c->closed)
        may_send(c);
}

static void on_ready(struct gnt_stream *s)
{
    struct gnt_bench_client *c = s->owner;
    gnt_err err = GNT_OK;
    for (int i = 0; i < READS_A_TURN && !err && !c->closed && s->events & GNT_READABLE; i++) {
        size_t n = 0;
        err = gnt_stream_read(s, c->host->read_buffer, READ_SIZE, &n);
        if (!err)
            err = receive(c, gnt_slice(c->host->read_buffer, n), gnt_now(c->host->loop->clock));
    }
    if (err && err != GNT_MORE)
        gnt_bench_client_fail(c, err, 0);
    if (!c->closed)
        gnt_loop_at_end(c->host->loop, &c->task);
}

/* ---- The life of a client */

gnt_err gnt_bench_amqp_open(struct gnt_bench_client *c)
{
    gnt_task_init(&c->task, work);
    c->amqp = calloc(1, sizeof *c->amqp);
    if (!c->amqp)
        return GNT_NOMEM;
    gnt_outq_init(&c->amqp->out);
    c->amqp->dry = true;
    gnt_amqp_connection_init(&c->amqp->engine, GNT_AMQP_CLIENT, &options, &c->amqp->out,
                             c->host->loop->now);
    gnt_err err = gnt_bench_client_stream(c, "amqp");
    if (!err)
        err = log_in(c);
    if (err) {
        gnt_bench_client_close(c);
        return err;
    }
    c->stream->owner = c;
    c->stream->on_ready = on_ready;
    gnt_stream_want(c->stream, GNT_READABLE | GNT_WRITABLE);
    return GNT_OK;
}

void gnt_bench_amqp_leave(struct gnt_bench_client *c)
{
    if (c->up && !c->closed && !gnt_amqp_connection_close(&c->amqp->engine, NULL))
        (void)write_output(c, c->host->loop->now);
}

void gnt_bench_amqp_close(struct gnt_bench_client *c)
{
    if (!c->amqp)
        return;
    gnt_amqp_connection_fini(&c->amqp->engine);
    gnt_outq_fini(&c->amqp->out);
    gnt_buf_fini(&c->amqp->in);
    gnt_buf_fini(&c->amqp->message);
    free(c->amqp);
    c->amqp = NULL;
}
