#include "cli/bench_client.h"

#include "auth/scram.h"
#include "net/tcp.h"
#include "net/tls.h"
#include "net/websocket.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    READ_SIZE = 64 * 1024, /* of host->read_buffer */
    READS_A_TURN = 4,
    TOPIC_SIZE = 96,
    QUEUE_MESSAGES = 100000, /* of one publisher, with a rate */
    QUEUE_BYTES = 256 * 1024 * 1024,
};

/* ---- Topics: the run, then what the shape says */

static struct gnt_slice filter_of(const struct gnt_bench_client *c, char text[TOPIC_SIZE])
{
    const struct gnt_bench_plan *plan = c->host->plan;
    unsigned long long run = c->host->run;
    switch (plan->shape) {
    case GNT_BENCH_PAIRS: (void)snprintf(text, TOPIC_SIZE, "bench%llx/%u", run, c->index); break;
    case GNT_BENCH_SHARED:
        (void)snprintf(text, TOPIC_SIZE, "$share/g%u/bench%llx/#", c->index % plan->groups, run);
        break;
    case GNT_BENCH_WILD: (void)snprintf(text, TOPIC_SIZE, "bench%llx/+/%u/#", run, c->index); break;
    case GNT_BENCH_FAN_OUT: (void)snprintf(text, TOPIC_SIZE, "bench%llx/all", run); break;
    case GNT_BENCH_FAN_IN:
    case GNT_BENCH_IDLE: (void)snprintf(text, TOPIC_SIZE, "bench%llx/#", run); break;
    }
    return gnt_slice_str(text);
}

static struct gnt_slice topic_of(const struct gnt_bench_client *c, uint32_t to,
                                 char text[TOPIC_SIZE])
{
    unsigned long long run = c->host->run;
    switch (c->host->plan->shape) {
    case GNT_BENCH_FAN_OUT: (void)snprintf(text, TOPIC_SIZE, "bench%llx/all", run); break;
    case GNT_BENCH_WILD:
        (void)snprintf(text, TOPIC_SIZE, "bench%llx/%u/%u/x", run, c->index, to);
        break;
    case GNT_BENCH_PAIRS:
    case GNT_BENCH_FAN_IN:
    case GNT_BENCH_SHARED:
    case GNT_BENCH_IDLE: (void)snprintf(text, TOPIC_SIZE, "bench%llx/%u", run, c->index); break;
    }
    return gnt_slice_str(text);
}

/* ---- Events */

void gnt_bench_client_fail(struct gnt_bench_client *c, gnt_err err, uint8_t code)
{
    if (c->closed)
        return;
    c->closed = true;
    gnt_stream_want(c->stream, 0);
    gnt_list_remove(&c->sender);
    c->host->down(c, err, code);
}

void gnt_bench_client_come_up(struct gnt_bench_client *c)
{
    c->up = true;
    c->host->up(c);
}

/* ---- Logging in by SCRAM, in the load's thread: it counts before the load begins only */

static struct gnt_mqtt_prop method_of(const struct gnt_bench_plan *plan)
{
    return (struct gnt_mqtt_prop){.row = GNT_PROP_AUTH_METHOD, .text = gnt_slice_str(plan->method)};
}

static void login_over(struct gnt_bench_client *c)
{
    if (c->scram)
        gnt_scram_client_fini(c->scram);
    free(c->scram);
    c->scram = NULL;
}

static gnt_err login_begin(struct gnt_bench_client *c)
{
    const struct gnt_bench_plan *plan = c->host->plan;
    struct gnt_buf first = {NULL, 0, 0, 0};
    c->scram = calloc(1, sizeof *c->scram);
    gnt_err err =
        c->scram ? gnt_scram_client_begin(c->scram, gnt_scram_by_name(gnt_slice_str(plan->method)),
                                          gnt_slice_str(plan->username), &gnt_random_system, &first)
                 : GNT_NOMEM;
    if (!err)
        err = gnt_client_connect_with(c->engine, gnt_buf_slice(&first), c->host->loop->now);
    gnt_buf_fini(&first);
    return err;
}

static void login_answer(struct gnt_bench_client *c, const struct gnt_mqtt_props *props)
{
    struct gnt_buf answer = {NULL, 0, 0, 0};
    gnt_err err = c->scram
                      ? gnt_scram_client_answer(c->scram, gnt_mqtt_text(props, GNT_PROP_AUTH_DATA),
                                                gnt_slice_str(c->host->plan->password), &answer)
                      : GNT_UNSUPPORTED;
    const struct gnt_mqtt_prop list[] = {
        method_of(c->host->plan), {.row = GNT_PROP_AUTH_DATA, .text = gnt_buf_slice(&answer)}};
    const struct gnt_mqtt_proplist said = {.list = list, .count = 2};
    if (!err)
        err = gnt_client_auth(c->engine, GNT_REASON_CONTINUE_AUTHENTICATION, &said);
    gnt_buf_fini(&answer);
    if (err)
        gnt_bench_client_fail(c, err, 0);
}

/* Whether the broker, which is content, has proved who it is. */
static gnt_err login_proved(struct gnt_bench_client *c, const struct gnt_mqtt_props *props)
{
    gnt_err err = GNT_OK;
    if (c->scram)
        err = gnt_scram_client_verify(c->scram, gnt_mqtt_text(props, GNT_PROP_AUTH_DATA));
    login_over(c);
    return err;
}

static void connected(struct gnt_bench_client *c, const struct gnt_mqtt_props *props)
{
    char text[TOPIC_SIZE];
    gnt_err proved = login_proved(c, props);
    if (proved) {
        gnt_bench_client_fail(c, proved, 0);
        return;
    }
    if (c->publisher || c->host->plan->shape == GNT_BENCH_IDLE) {
        gnt_bench_client_come_up(c);
        return;
    }
    struct gnt_mqtt_subscription s = {.filter = filter_of(c, text), .qos = c->host->plan->qos};
    gnt_err err = gnt_client_subscribe(c->engine, &s, 1, NULL, NULL, NULL);
    if (err)
        gnt_bench_client_fail(c, err, 0);
}

static void done(struct gnt_bench_client *c, const struct gnt_client_event *event)
{
    if (event->request == GNT_MQTT_PUBLISH) {
        c->unsettled--;
        if (!gnt_list_linked(&c->sender))
            gnt_list_push_back(&c->host->senders, &c->sender);
    } else if (event->err) {
        gnt_bench_client_fail(c, event->err, event->code);
    } else {
        gnt_bench_client_come_up(c);
    }
}

static void take_events(struct gnt_bench_client *c, uint64_t now)
{
    struct gnt_client_event event;
    while (!c->closed && gnt_client_event(c->engine, now, &event)) {
        switch (event.type) {
        case GNT_CLIENT_CONNECTED: connected(c, event.props); break;
        case GNT_CLIENT_CLOSED: gnt_bench_client_fail(c, event.err, event.code); break;
        case GNT_CLIENT_MESSAGE: c->host->message(c, event.publish->payload, now); break;
        case GNT_CLIENT_DONE: done(c, &event); break;
        case GNT_CLIENT_AUTH: login_answer(c, event.props); break;
        }
    }
}

/* ---- Bytes */

static void write_output(struct gnt_bench_client *c, uint64_t now)
{
    struct gnt_slice out;
    gnt_err err = GNT_OK;
    while (!err && (out = gnt_client_output(c->engine)).size > 0) {
        struct iovec iov = {.iov_len = out.size};
        memcpy(&iov.iov_base, &out.data, sizeof out.data); /* which writev only reads */
        size_t n = 0;
        err = gnt_stream_writev(c->stream, &iov, 1, &n);
        if (!err)
            gnt_client_sent(c->engine, n, now);
    }
    if (err == GNT_CLOSED && gnt_client_hungry(c->engine)) {
        c->blocked = true;
        gnt_stream_want(c->stream, GNT_READABLE); /* perhaps the broker has said why */
        return;
    }
    if (err < 0) {
        gnt_client_lost(c->engine, err);
        take_events(c, now);
        return;
    }
    if (c->blocked && !err && c->up && c->publisher && !gnt_list_linked(&c->sender))
        gnt_list_push_back(&c->host->senders, &c->sender);
    c->blocked = err == GNT_MORE;
    gnt_stream_want(c->stream, (uint8_t)((gnt_client_hungry(c->engine) ? GNT_READABLE : 0) |
                                         (c->blocked ? GNT_WRITABLE : 0)));
}

/* The engine stops making output where enough of it waits: what is written makes room for more. */
static void work(struct gnt_task *task)
{
    struct gnt_bench_client *c = GNT_CONTAINER(task, struct gnt_bench_client, task);
    uint64_t now = gnt_now(c->host->loop->clock);
    take_events(c, now);
    do {
        if (!c->closed)
            write_output(c, now);
        take_events(c, now);
    } while (!c->closed && !c->blocked && gnt_client_output(c->engine).size > 0);
}

static void read_input(struct gnt_bench_client *c)
{
    for (int i = 0; i < READS_A_TURN && !c->closed && gnt_client_hungry(c->engine); i++) {
        size_t n = 0;
        gnt_err err = gnt_stream_read(c->stream, c->host->read_buffer, READ_SIZE, &n);
        if (err == GNT_MORE)
            return;
        uint64_t now = gnt_now(c->host->loop->clock);
        if (!err)
            err = gnt_client_receive(c->engine, gnt_slice(c->host->read_buffer, n), now);
        if (err)
            gnt_client_lost(c->engine, err);
        take_events(c, now);
        if (!(c->closed || c->stream->events & GNT_READABLE))
            return;
    }
}

static void on_ready(struct gnt_stream *s)
{
    struct gnt_bench_client *c = s->owner;
    if (s->events & GNT_READABLE)
        read_input(c);
    if (!c->closed)
        gnt_loop_at_end(c->host->loop, &c->task);
}

/* ---- The life of a client */

static gnt_err make_engine(struct gnt_bench_client *c)
{
    const struct gnt_bench_plan *plan = c->host->plan;
    struct gnt_client_options o;
    char id[64];
    gnt_client_options_init(&o);
    (void)snprintf(id, sizeof id, "b%llx%c%u", (unsigned long long)c->host->run,
                   c->publisher ? 'p' : 's', c->index);
    o.connect.version = plan->version;
    o.connect.client_id = gnt_slice_str(id);
    o.connect.keep_alive_s = 0; /* a bench ends before it would matter; idle is idle */
    const struct gnt_mqtt_prop named = method_of(plan);
    const struct gnt_mqtt_proplist method = {.list = &named, .count = 1};
    if (plan->method) {
        o.props = &method;
    } else {
        o.connect.has_username = plan->username != NULL;
        o.connect.username = gnt_slice_str(plan->username);
        o.connect.has_password = plan->password != NULL;
        o.connect.password = gnt_slice_str(plan->password);
    }
    o.connect_timeout_ms = 0; /* the load keeps the time */
    o.in_flight_max = plan->window;
    o.queue_messages = QUEUE_MESSAGES;
    o.queue_bytes = QUEUE_BYTES;
    o.no_resubscribe = true;
    return gnt_client_new(&o, &c->engine);
}

gnt_err gnt_bench_client_stream(struct gnt_bench_client *c, const char *protocol)
{
    const struct gnt_bench_target *t = c->host->target;
    const struct gnt_websocket_request request = {
        .host = t->host, .path = t->path, .protocol = protocol, .random = &gnt_random_system};
    gnt_err err = gnt_tcp_connect(c->host->loop, t->address, t->address_size, &c->stream);
    if (!err && t->tls)
        err = gnt_tls_new(&c->stream, t->tls, t->server, &c->stream);
    if (err || !t->websocket)
        return err;
    return gnt_websocket_connect(&c->stream, &request, &c->stream);
}

gnt_err gnt_bench_client_open(struct gnt_bench_client *c, struct gnt_bench_host *host,
                              bool publisher, uint32_t index)
{
    c->host = host;
    c->publisher = publisher;
    c->index = index;
    gnt_list_init(&c->sender);
    if (host->target->amqp)
        return gnt_bench_amqp_open(c);
    gnt_task_init(&c->task, work);
    gnt_err err = make_engine(c);
    if (!err)
        err = gnt_bench_client_stream(c, "mqtt");
    if (!err)
        err = host->plan->method ? login_begin(c) : gnt_client_connect(c->engine, host->loop->now);
    if (err) {
        gnt_bench_client_close(c);
        return err;
    }
    c->stream->owner = c;
    c->stream->on_ready = on_ready;
    gnt_stream_want(c->stream, GNT_READABLE | GNT_WRITABLE);
    return GNT_OK;
}

void gnt_bench_client_leave(struct gnt_bench_client *c)
{
    if (c->amqp)
        gnt_bench_amqp_leave(c);
    if (c->amqp || !c->up || c->closed || gnt_client_disconnect(c->engine, 0, NULL))
        return;
    write_output(c, c->host->loop->now);
}

void gnt_bench_client_close(struct gnt_bench_client *c)
{
    if (!c->host)
        return;
    gnt_list_remove(&c->sender);
    gnt_task_cancel(&c->task);
    gnt_stream_close(&c->stream);
    gnt_client_free(&c->engine);
    gnt_bench_amqp_close(c);
    login_over(c);
    c->closed = true;
}

static void put_u32(uint8_t *at, uint32_t v)
{
    for (int i = 3; i >= 0; i--, v >>= 8)
        at[i] = (uint8_t)v;
}

void gnt_bench_client_stamp(struct gnt_bench_client *c, uint64_t due)
{
    uint8_t *payload = c->host->payload;
    put_u32(payload, (uint32_t)(due >> 32));
    put_u32(payload + 4, (uint32_t)due);
    put_u32(payload + 8, c->index);
    put_u32(payload + 12, c->number + 1);
}

gnt_err gnt_bench_client_publish(struct gnt_bench_client *c, uint64_t due, uint32_t to)
{
    const struct gnt_bench_host *host = c->host;
    char text[TOPIC_SIZE];
    gnt_bench_client_stamp(c, due);
    const struct gnt_client_publish p = {
        .topic = topic_of(c, to, text),
        .payload = gnt_slice(host->payload, host->plan->size),
        .qos = host->plan->qos,
    };
    gnt_err err = c->amqp ? gnt_bench_amqp_publish(c, due)
                          : gnt_client_publish(c->engine, &p, NULL, due, NULL);
    if (err)
        return err;
    c->number++;
    c->unsettled++;
    gnt_loop_at_end(host->loop, &c->task);
    return GNT_OK;
}
