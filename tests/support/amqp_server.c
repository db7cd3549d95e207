#include "support/amqp_server.h"
#include "support/unit.h"

#include "amqp/codec/message.h"
#include "amqp/codec/print.h"
#include "amqp/engine/link.h"
#include "auth/sasl.h"
#include "base/random.h"
#include "net/tcp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CREDIT = 100, SOON_S = 20, QUEUES = 16 };

struct queue {
    char address[64];
    struct gnt_list messages;
};

struct stored {
    struct gnt_list in;
    uint64_t transaction; /* it is posted in; 0: none */
    struct queue *queue;
    struct gnt_buf bytes;
};

struct amqp_server {
    pthread_mutex_t lock; /* guards all of it */
    pthread_t thread;
    int listener, wake[2];
    uint16_t port;
    char url[64];
    bool quit, cut, shut, force, choked;
    bool loner; /* it does not do transactions */
    uint32_t mechanisms;
    struct amqp_server_seen seen;
    struct queue queues[QUEUES];
    struct gnt_list posted; /* of stored.in */
    uint64_t transactions;

    /* The connection. */
    int fd;
    struct gnt_amqp_connection c;
    struct gnt_amqp_options options;
    struct gnt_outq out;
    struct gnt_buf in;
    struct gnt_sasl_server sasl;
    struct gnt_slice names[GNT_SASL_MECHANISMS];
    unsigned dynamic;
    uint64_t tags;
};

static uint64_t clock_now(void)
{
    return gnt_now(&gnt_clock_system);
}

/* ---- Queues */

static struct queue *queue_of(struct amqp_server *s, const char *address)
{
    for (size_t i = 0; i < QUEUES; i++) {
        struct queue *q = &s->queues[i];
        if (!q->address[0])
            (void)snprintf(q->address, sizeof q->address, "%s", address);
        if (strcmp(q->address, address) == 0)
            return q;
    }
    fail_msg("too many queues");
    return NULL;
}

static void put(struct amqp_server *s, struct stored *m)
{
    gnt_list_push_back(m->transaction ? &s->posted : &m->queue->messages, &m->in);
}

static void stored_free(struct stored *m)
{
    gnt_list_remove(&m->in);
    gnt_buf_fini(&m->bytes);
    free(m);
}

static void send_from(struct amqp_server *s, struct gnt_amqp_link *l, struct queue *q)
{
    while (l->credit && !gnt_list_empty(&q->messages)) {
        struct stored *m = GNT_CONTAINER(q->messages.next, struct stored, in);
        struct gnt_amqp_delivery *d = NULL;
        uint64_t tag = ++s->tags;
        size_t taken;
        const struct gnt_amqp_sending how = {.tag = gnt_slice(&tag, sizeof tag),
                                             .settled =
                                                 l->snd_settle_mode == GNT_AMQP_SENDER_SETTLED};
        const struct gnt_amqp_piece piece = {.bytes = gnt_buf_slice(&m->bytes)};
        if (gnt_amqp_link_send(l, &how, &piece, 1, &taken, &d))
            return;
        gnt_list_remove(&m->in);
        if (d)
            d->context = m;
        else
            stored_free(m);
    }
    if (l->drain) {
        gnt_amqp_link_drained(l);
        s->seen.drained++;
    }
}

static void serve(struct amqp_server *s)
{
    gnt_list_each (node, &s->c.sessions) {
        struct gnt_amqp_session *session =
            GNT_CONTAINER(node, struct gnt_amqp_session, in_connection);
        gnt_list_each (link, &session->links) {
            struct gnt_amqp_link *l = GNT_CONTAINER(link, struct gnt_amqp_link, in_session);
            if (l->sender && l->answered && l->context)
                send_from(s, l, l->context);
        }
    }
}

/* What was sent and is not settled waits again, in order. */
static void give_back(struct gnt_list *deliveries)
{
    for (struct gnt_list *node = deliveries->prev; node != deliveries; node = node->prev) {
        struct gnt_amqp_delivery *d = GNT_CONTAINER(node, struct gnt_amqp_delivery, in_link);
        struct stored *m = d->context;
        if (m && d->link->sender)
            gnt_list_push_front(&m->queue->messages, &m->in);
        else if (m)
            stored_free(m);
        d->context = NULL;
    }
}

/* ---- Attach */

static void text_of(struct gnt_slice text, char *out, size_t cap)
{
    (void)snprintf(out, cap, "%.*s", (int)text.size, (const char *)text.data);
}

static void keep_filter(struct amqp_server *s, const struct gnt_amqp_source *source)
{
    struct gnt_buf text = {0};
    if (!source->has.filter ||
        gnt_amqp_print_value(&text, sizeof s->seen.filter - 1, source->filter.encoded))
        return;
    text_of(gnt_buf_slice(&text), s->seen.filter, sizeof s->seen.filter);
    gnt_buf_fini(&text);
}

static void answer(struct amqp_server *s, struct gnt_amqp_link *l,
                   const struct gnt_amqp_attach *theirs)
{
    struct gnt_amqp_attach ours = *theirs;
    struct gnt_amqp_source source;
    struct gnt_amqp_target target;
    uint8_t bytes[512];
    char address[64] = "";
    struct gnt_amqp_writer w = gnt_amqp_writer(bytes, sizeof bytes);
    if (l->sender) {
        assert_int_equal(gnt_amqp_decode_source(theirs->source.encoded, &source), GNT_OK);
        keep_filter(s, &source);
        text_of(source.address, address, sizeof address);
        if (source.dynamic)
            (void)snprintf(address, sizeof address, "dynamic-%u", ++s->dynamic);
        GNT_AMQP_SET(&source, address, gnt_slice_str(address));
        gnt_amqp_put_source(&w, &source);
        ours.source = gnt_amqp_encoded(gnt_amqp_written(&w));
        GNT_AMQP_SET(&ours, initial_delivery_count, 0);
        l->context = queue_of(s, address);
    } else if (gnt_amqp_code_of(theirs->target.encoded) == GNT_AMQP_TARGET) {
        assert_int_equal(gnt_amqp_decode_target(theirs->target.encoded, &target), GNT_OK);
        text_of(target.address, address, sizeof address);
        l->context = queue_of(s, address);
    }
    ours.has.properties = false;
    ours.has.max_message_size = false;
    s->seen.links++;
    if (strcmp(address, "refused") == 0 || (!l->sender && !l->context && s->loner)) {
        struct gnt_amqp_error error = {0};
        GNT_AMQP_SET(&error, condition, gnt_slice_str("amqp:not-found"));
        GNT_AMQP_SET(&error, description, gnt_slice_str("nobody here"));
        assert_int_equal(gnt_amqp_link_refuse(l, &error), GNT_OK);
        return;
    }
    assert_int_equal(gnt_amqp_link_answer(l, &ours, NULL, 0), GNT_OK);
    if (!l->sender && strcmp(address, "mute") != 0)
        gnt_amqp_link_credit(l, CREDIT, false);
}

/* ---- What comes */

/* The outcome of a message to ADDRESS; empty: none yet. */
static struct gnt_slice outcome_of(const struct amqp_server *s, const char *address, uint8_t *room)
{
    struct gnt_amqp_writer w = gnt_amqp_writer(room, 256), e;
    uint8_t bytes[128];
    struct gnt_amqp_rejected rejected = {0};
    struct gnt_amqp_modified modified = {0};
    struct gnt_amqp_error error = {0};
    if (strcmp(address, "rejects") == 0) {
        e = gnt_amqp_writer(bytes, sizeof bytes);
        GNT_AMQP_SET(&error, condition, gnt_slice_str("test:wrong"));
        GNT_AMQP_SET(&error, description, gnt_slice_str("wrong colour"));
        gnt_amqp_put_error(&e, &error);
        GNT_AMQP_SET(&rejected, error, gnt_amqp_encoded(gnt_amqp_written(&e)));
        gnt_amqp_put_rejected(&w, &rejected);
    } else if (strcmp(address, "modifies") == 0) {
        GNT_AMQP_SET(&modified, delivery_failed, true);
        GNT_AMQP_SET(&modified, undeliverable_here, true);
        gnt_amqp_put_modified(&w, &modified);
    } else if (strcmp(address, "releases") == 0) {
        return gnt_amqp_fieldless(GNT_AMQP_RELEASED).encoded;
    } else if (strcmp(address, "holds") == 0 && s->seen.connections < 2) {
        return (struct gnt_slice){0};
    } else {
        return gnt_amqp_fieldless(GNT_AMQP_ACCEPTED).encoded;
    }
    return gnt_amqp_written(&w);
}

static uint64_t transaction_of(struct gnt_slice state)
{
    struct gnt_amqp_transactional_state t;
    uint64_t id = 0;
    if (!state.size || gnt_amqp_decode_transactional_state(state, &t))
        return 0;
    memcpy(&id, t.txn_id.data, sizeof id);
    return id;
}

static void end_transaction(struct amqp_server *s, uint64_t id, bool fail)
{
    gnt_list_each_safe (node, &s->posted) {
        struct stored *m = GNT_CONTAINER(node, struct stored, in);
        if (m->transaction != id)
            continue;
        gnt_list_remove(&m->in);
        m->transaction = 0;
        if (fail)
            stored_free(m);
        else
            put(s, m);
    }
    s->seen.rolled_back += fail;
    s->seen.discharged += !fail;
}

static void coordinate(struct amqp_server *s, struct gnt_amqp_delivery *d, struct gnt_slice bytes)
{
    struct gnt_amqp_message m;
    struct gnt_amqp_value body;
    struct gnt_amqp_composite asked;
    uint8_t room[64];
    struct gnt_amqp_writer w = gnt_amqp_writer(room, sizeof room);
    struct gnt_slice state = gnt_amqp_fieldless(GNT_AMQP_ACCEPTED).encoded;
    assert_int_equal(gnt_amqp_message_split(bytes, &m), GNT_OK);
    assert_true(gnt_amqp_section(m.body, &body));
    assert_int_equal(gnt_amqp_decode(body.encoded, &asked), GNT_OK);
    if (asked.code == GNT_AMQP_DECLARE) {
        struct gnt_amqp_declared declared = {0};
        uint64_t id = ++s->transactions;
        GNT_AMQP_SET(&declared, txn_id, gnt_slice(&id, sizeof id));
        gnt_amqp_put_declared(&w, &declared);
        state = gnt_amqp_written(&w);
        s->seen.declared++;
    } else {
        uint64_t id;
        memcpy(&id, asked.discharge.txn_id.data, sizeof id);
        end_transaction(s, id, asked.discharge.fail);
    }
    assert_int_equal(gnt_amqp_delivery_settle(d, state, true), GNT_OK);
}

static void outcome(struct amqp_server *s, struct gnt_amqp_delivery *d, struct queue *q,
                    uint64_t transaction)
{
    uint8_t room[256], wrapped[512];
    struct gnt_slice state = outcome_of(s, q->address, room);
    struct gnt_amqp_transactional_state t = {0};
    struct gnt_amqp_writer w = gnt_amqp_writer(wrapped, sizeof wrapped);
    if (transaction) {
        GNT_AMQP_SET(&t, txn_id, gnt_slice(&transaction, sizeof transaction));
        GNT_AMQP_SET(&t, outcome, gnt_amqp_encoded(state));
        gnt_amqp_put_transactional_state(&w, &t);
        state = gnt_amqp_written(&w);
    }
    const bool settled = strcmp(q->address, "late") != 0;
    if (state.size)
        assert_int_equal(gnt_amqp_delivery_settle(d, state, settled), GNT_OK);
}

static void on_transfer(struct amqp_server *s, const struct gnt_amqp_event *event)
{
    struct gnt_amqp_delivery *d = event->delivery;
    struct queue *q = event->link->context;
    if (event->first)
        d->context = calloc(1, sizeof(struct stored));
    struct stored *m = d->context;
    gnt_list_init(&m->in);
    assert_int_equal(gnt_buf_put(&m->bytes, event->payload), GNT_OK);
    if (event->first)
        m->transaction = transaction_of(event->state.encoded);
    s->seen.begun += event->first;
    if (event->aborted) {
        s->seen.aborted++;
        d->context = NULL;
        stored_free(m);
        return;
    }
    if (!event->last)
        return;
    d->context = NULL;
    s->seen.received += q != NULL;
    s->seen.settled_received += event->settled;
    gnt_amqp_link_credit(event->link, CREDIT, false);
    if (!q) {
        coordinate(s, d, gnt_buf_slice(&m->bytes));
        stored_free(m);
        return;
    }
    if (strcmp(q->address, "ends") == 0) {
        struct gnt_amqp_error error = {0};
        GNT_AMQP_SET(&error, condition, gnt_slice_str("amqp:link:detach-forced"));
        (void)!gnt_amqp_link_detach(event->link, true, &error);
        stored_free(m);
        return;
    }
    m->queue = q;
    if (!event->settled)
        outcome(s, d, q, m->transaction);
    put(s, m);
}

/* The client has said what becomes of a message that was sent to it. */
static void on_disposition(struct amqp_server *s, const struct gnt_amqp_event *event)
{
    struct gnt_amqp_delivery *d = event->delivery;
    struct stored *m = d->context;
    struct gnt_amqp_composite state = {0};
    if (!event->link->sender) {
        s->seen.forgotten += event->settled;
        return;
    }
    if (event->state.encoded.size)
        assert_int_equal(gnt_amqp_decode(event->state.encoded, &state), GNT_OK);
    s->seen.accepted += state.code == GNT_AMQP_ACCEPTED;
    s->seen.rejected += state.code == GNT_AMQP_REJECTED;
    s->seen.released += state.code == GNT_AMQP_RELEASED;
    s->seen.modified += state.code == GNT_AMQP_MODIFIED;
    s->seen.retired += state.code == GNT_AMQP_TRANSACTIONAL_STATE;
    if (state.code == GNT_AMQP_REJECTED && state.rejected.has.error) {
        struct gnt_amqp_error error;
        assert_int_equal(gnt_amqp_decode_error(state.rejected.error.encoded, &error), GNT_OK);
        text_of(error.condition, s->seen.condition, sizeof s->seen.condition);
    }
    d->context = NULL;
    if (state.code == GNT_AMQP_RELEASED || state.code == GNT_AMQP_MODIFIED)
        gnt_list_push_front(&m->queue->messages, &m->in);
    else if (m)
        stored_free(m);
    if (!event->settled)
        assert_int_equal(gnt_amqp_delivery_settle(d, (struct gnt_slice){0}, true), GNT_OK);
}

static void on_sasl(struct amqp_server *s, const struct gnt_amqp_event *event)
{
    struct gnt_sasl_terms terms = {.offered = s->mechanisms, .random = &gnt_random_system};
    struct gnt_buf out = {0};
    enum gnt_sasl_state state;
    if (event->type == GNT_AMQP_EVENT_SASL_INIT) {
        const struct gnt_amqp_sasl_init *init = &event->performative.sasl_init;
        text_of(init->mechanism, s->seen.mechanism, sizeof s->seen.mechanism);
        s->sasl = (struct gnt_sasl_server){.begun = false};
        state =
            gnt_sasl_server_begin(&s->sasl, &terms, init->mechanism, init->initial_response, &out);
    } else {
        state = gnt_sasl_server_step(&s->sasl, &terms, event->performative.sasl_response.response,
                                     &out);
    }
    if (state == GNT_SASL_CHECKS) {
        bool good =
            strcmp(s->sasl.user, "user") == 0 && gnt_slice_eq_str(s->sasl.password, "secret");
        state = gnt_sasl_server_checked(&s->sasl, good ? GNT_OK : GNT_DENIED);
    }
    if (state == GNT_SASL_ASKS)
        assert_int_equal(gnt_amqp_connection_sasl_challenge(&s->c, gnt_buf_slice(&out)), GNT_OK);
    else
        assert_int_equal(gnt_amqp_connection_sasl_outcome(
                             &s->c, state == GNT_SASL_ACCEPTED ? 0 : GNT_AMQP_SASL_AUTH,
                             gnt_buf_slice(&out)),
                         GNT_OK);
    gnt_buf_fini(&out);
}

static void act(struct amqp_server *s, const struct gnt_amqp_event *event)
{
    switch ((int)event->type) {
    case GNT_AMQP_EVENT_SASL_INIT:
    case GNT_AMQP_EVENT_SASL_RESPONSE: on_sasl(s, event); break;
    case GNT_AMQP_EVENT_OPEN:
        text_of(event->performative.open.hostname, s->seen.hostname, sizeof s->seen.hostname);
        text_of(event->performative.open.container_id, s->seen.container, sizeof s->seen.container);
        assert_int_equal(gnt_amqp_connection_open(&s->c, &(struct gnt_amqp_open){0}), GNT_OK);
        break;
    case GNT_AMQP_EVENT_BEGIN: s->seen.sessions++; break;
    case GNT_AMQP_EVENT_ATTACH: answer(s, event->link, &event->performative.attach); break;
    case GNT_AMQP_EVENT_DETACH: give_back(&event->link->deliveries); break;
    case GNT_AMQP_EVENT_END:
        gnt_list_each (node, &event->session->links)
            give_back(&GNT_CONTAINER(node, struct gnt_amqp_link, in_session)->deliveries);
        break;
    case GNT_AMQP_EVENT_TRANSFER: on_transfer(s, event); break;
    case GNT_AMQP_EVENT_DISPOSITION: on_disposition(s, event); break;
    default: break;
    }
}

/* ---- The thread */

static void hang_up(struct amqp_server *s)
{
    gnt_list_each (node, &s->c.sessions) {
        struct gnt_amqp_session *session =
            GNT_CONTAINER(node, struct gnt_amqp_session, in_connection);
        gnt_list_each (link, &session->links)
            give_back(&GNT_CONTAINER(link, struct gnt_amqp_link, in_session)->deliveries);
    }
    gnt_amqp_connection_fini(&s->c);
    gnt_outq_fini(&s->out);
    gnt_buf_fini(&s->in);
    gnt_sasl_server_fini(&s->sasl);
    close(s->fd);
    s->fd = -1;
}

static void let_in(struct amqp_server *s)
{
    uint32_t count = 0;
    s->fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK);
    if (s->fd < 0)
        return;
    s->seen.connections++;
    gnt_outq_init(&s->out);
    gnt_amqp_connection_init(&s->c, GNT_AMQP_SERVER, &s->options, &s->out, clock_now());
    for (unsigned m = 0; m < GNT_SASL_MECHANISMS; m++) {
        if (s->mechanisms & GNT_SASL_BIT(m))
            s->names[count++] = gnt_slice_str(gnt_sasl_name((enum gnt_sasl_mechanism)m));
    }
    if (count)
        gnt_amqp_connection_sasl_offer(&s->c, s->names, count, true);
}

static bool take(struct amqp_server *s)
{
    uint8_t chunk[4096];
    ssize_t n = read(s->fd, chunk, sizeof chunk);
    if (n <= 0)
        return n < 0 && errno == EAGAIN;
    assert_int_equal(gnt_buf_put(&s->in, gnt_slice(chunk, (size_t)n)), GNT_OK);
    struct gnt_slice in = gnt_buf_slice(&s->in);
    size_t size = in.size;
    struct gnt_amqp_event event;
    gnt_err err;
    while (!(err = gnt_amqp_connection_next(&s->c, &in, clock_now(), &event, NULL)))
        act(s, &event);
    gnt_buf_take(&s->in, size - in.size);
    return err == GNT_MORE;
}

/* The peer may take its time; a test's does not for long. */
static void write_all(struct amqp_server *s)
{
    while (s->out.size) {
        struct iovec iov[16];
        int count = gnt_outq_iov(&s->out, iov, 16);
        ssize_t n = writev(s->fd, iov, count);
        if (n < 0 && errno != EAGAIN)
            return;
        if (n > 0)
            gnt_outq_take(&s->out, (size_t)n);
        else
            poll(&(struct pollfd){.fd = s->fd, .events = POLLOUT}, 1, 1000);
    }
}

static void turn(struct amqp_server *s)
{
    if (s->force) {
        struct gnt_amqp_error error = {0};
        GNT_AMQP_SET(&error, condition, gnt_slice_str("amqp:connection:forced"));
        (void)!gnt_amqp_connection_close(&s->c, &error);
        s->force = false;
    }
    bool alive = !s->cut && take(s);
    if (alive)
        serve(s);
    if (alive && !s->choked)
        (void)!gnt_amqp_connection_flush(&s->c, clock_now());
    if (!s->cut)
        write_all(s);
    s->cut = false;
    if (!alive || s->c.state == GNT_AMQP_ENDED)
        hang_up(s);
}

static void *run(void *server)
{
    struct amqp_server *s = server;
    pthread_mutex_lock(&s->lock);
    while (!s->quit) {
        int fd = s->fd >= 0 ? s->fd : s->shut ? -1 : s->listener;
        struct pollfd fds[] = {{.fd = fd, .events = POLLIN}, {.fd = s->wake[0], .events = POLLIN}};
        char byte;
        pthread_mutex_unlock(&s->lock);
        poll(fds, 2, -1);
        pthread_mutex_lock(&s->lock);
        while (read(s->wake[0], &byte, 1) == 1)
            continue;
        if (s->fd >= 0)
            turn(s);
        else if (!s->shut && fds[0].revents)
            let_in(s);
        s->cut = false;
    }
    if (s->fd >= 0)
        hang_up(s);
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

/* ---- For tests */

struct amqp_server *amqp_server_new(void)
{
    struct amqp_server *s = calloc(1, sizeof *s);
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_storage bound;
    assert_non_null(s);
    pthread_mutex_init(&s->lock, NULL);
    assert_int_equal(gnt_tcp_listen((struct sockaddr *)&any, sizeof any, 16, &s->listener, &bound),
                     GNT_OK);
    assert_int_equal(pipe2(s->wake, O_NONBLOCK | O_CLOEXEC), 0);
    s->port = ntohs(((struct sockaddr_in *)(void *)&bound)->sin_port);
    (void)snprintf(s->url, sizeof s->url, "amqp://127.0.0.1:%u", s->port);
    s->fd = -1;
    s->mechanisms = GNT_SASL_BIT(GNT_SASL_ANONYMOUS) | GNT_SASL_BIT(GNT_SASL_PLAIN);
    s->options = (struct gnt_amqp_options){.container_id = gnt_slice_str("server"),
                                           .max_frame_size = 4096,
                                           .sessions_max = 64,
                                           .links_max = 2048,
                                           .unsettled_max = 4096,
                                           .incoming_window = 64};
    for (size_t i = 0; i < QUEUES; i++)
        gnt_list_init(&s->queues[i].messages);
    gnt_list_init(&s->posted);
    assert_int_equal(pthread_create(&s->thread, NULL, run, s), 0);
    return s;
}

static void wake(struct amqp_server *s)
{
    (void)!write(s->wake[1], "", 1);
}

void amqp_server_free(struct amqp_server *s)
{
    pthread_mutex_lock(&s->lock);
    s->quit = true;
    wake(s);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    for (size_t i = 0; i < QUEUES; i++) {
        while (!gnt_list_empty(&s->queues[i].messages))
            stored_free(GNT_CONTAINER(s->queues[i].messages.next, struct stored, in));
    }
    while (!gnt_list_empty(&s->posted))
        stored_free(GNT_CONTAINER(s->posted.next, struct stored, in));
    close(s->listener);
    close(s->wake[0]);
    close(s->wake[1]);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

const char *amqp_server_url(const struct amqp_server *s)
{
    return s->url;
}

uint16_t amqp_server_port(const struct amqp_server *s)
{
    return s->port;
}

void amqp_server_seen(struct amqp_server *s, struct amqp_server_seen *out)
{
    pthread_mutex_lock(&s->lock);
    *out = s->seen;
    pthread_mutex_unlock(&s->lock);
}

void amqp_server_until(struct amqp_server *s,
                       bool (*condition)(const struct amqp_server_seen *seen))
{
    struct amqp_server_seen seen;
    const uint64_t end = clock_now() + SOON_S * GNT_NS_PER_S;
    for (;;) {
        amqp_server_seen(s, &seen);
        if (condition(&seen))
            return;
        assert_true(clock_now() < end);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

static void set(struct amqp_server *s, bool *flag, bool value)
{
    pthread_mutex_lock(&s->lock);
    *flag = value;
    wake(s);
    pthread_mutex_unlock(&s->lock);
}

void amqp_server_cut(struct amqp_server *s, bool shut)
{
    set(s, &s->shut, shut);
    set(s, &s->cut, true);
}

void amqp_server_open(struct amqp_server *s)
{
    set(s, &s->shut, false);
}

void amqp_server_force(struct amqp_server *s)
{
    set(s, &s->force, true);
}

void amqp_server_choke(struct amqp_server *s, bool choked)
{
    set(s, &s->choked, choked);
}

void amqp_server_refuse_transactions(struct amqp_server *s)
{
    set(s, &s->loner, true);
}

size_t amqp_server_waiting(struct amqp_server *s, const char *address)
{
    size_t count = 0;
    pthread_mutex_lock(&s->lock);
    gnt_list_each (node, &queue_of(s, address)->messages)
        count++;
    pthread_mutex_unlock(&s->lock);
    return count;
}

void amqp_server_offer(struct amqp_server *s, uint32_t mechanisms)
{
    pthread_mutex_lock(&s->lock);
    s->mechanisms = mechanisms;
    pthread_mutex_unlock(&s->lock);
}
