/* The AMQP client against a server in memory. */
#include "support/alloc_fault.h"
#include "support/amqp_server.h"
#include "support/unit.h"
#include "unit/client/amqp/links.h"

#include "auth/sasl.h"
#include "base/slice.h"

#include <gnatter/amqp.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SOON_MS = 20000 };

/* ---- A client, and what it is called back with */

struct called {
    sem_t connected, disconnected, attached, detached, outcome, message;
    struct gnatter_amqp_disconnected last;
    struct gnatter_amqp_outcome outcomes[8];
    struct gnatter_amqp_error why;
    unsigned outcome_count;
    char address[64];
    gnatter_amqp_delivery *deliveries[8];
    unsigned delivery_count;
    gnatter_amqp_sender *sender; /* tried from a callback */
    int from_callback;
};

static struct amqp_server *server;
static struct called called;

static int set_up(void **state)
{
    (void)state;
    memset(&called, 0, sizeof called);
    sem_init(&called.connected, 0, 0);
    sem_init(&called.disconnected, 0, 0);
    sem_init(&called.attached, 0, 0);
    sem_init(&called.detached, 0, 0);
    sem_init(&called.outcome, 0, 0);
    sem_init(&called.message, 0, 0);
    server = amqp_server_new();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    amqp_server_free(server);
    return 0;
}

static void soon(sem_t *event)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += SOON_MS / 1000;
    assert_int_equal(sem_timedwait(event, &until), 0);
}

static void on_connected(gnatter_amqp *c, void *context)
{
    (void)c;
    sem_post(&((struct called *)context)->connected);
}

static void on_disconnected(gnatter_amqp *c, const struct gnatter_amqp_disconnected *d,
                            void *context)
{
    (void)c;
    struct called *to = context;
    to->last = *d;
    sem_post(&to->disconnected);
}

static void on_attached(const char *address, void *context)
{
    struct called *to = context;
    (void)snprintf(to->address, sizeof to->address, "%s", address);
    sem_post(&to->attached);
}

static void on_detached(int error, const struct gnatter_amqp_error *why, void *context)
{
    struct called *to = context;
    assert_int_equal(error, GNATTER_EREFUSED);
    to->why = *why;
    sem_post(&to->detached);
}

static void on_outcome(gnatter_amqp_sender *sender, const struct gnatter_amqp_outcome *outcome,
                       void *context)
{
    (void)sender;
    struct called *to = context;
    to->outcomes[to->outcome_count++ % COUNT_OF(to->outcomes)] = *outcome;
    sem_post(&to->outcome);
}

static void on_message(gnatter_amqp_receiver *r, gnatter_amqp_delivery *d, void *context)
{
    (void)r;
    struct called *to = context;
    to->deliveries[to->delivery_count++ % COUNT_OF(to->deliveries)] = d;
    sem_post(&to->message);
}

static gnatter_amqp *client_with(const struct gnatter_amqp_options *options)
{
    gnatter_amqp *c = NULL;
    assert_int_equal(gnatter_amqp_new(options, &c), 0);
    return c;
}

static struct gnatter_amqp_options usual(void)
{
    struct gnatter_amqp_options o;
    gnatter_amqp_options_init(&o);
    o.url = amqp_server_url(server);
    o.reconnect_min_ms = 1;
    o.reconnect_max_ms = 10;
    o.on_connected = on_connected;
    o.on_disconnected = on_disconnected;
    o.context = &called;
    return o;
}

static gnatter_amqp *client(void)
{
    const struct gnatter_amqp_options o = usual();
    return client_with(&o);
}

static gnatter_amqp_receiver *receiver_of(gnatter_amqp *c, const char *address)
{
    return receiver_by(c, &(struct gnatter_amqp_link){.address = address});
}

static gnatter_amqp_message *text(const char *words)
{
    gnatter_amqp_message *m = NULL;
    assert_int_equal(gnatter_amqp_message_new(&m), 0);
    assert_int_equal(gnatter_amqp_add_data(m, words, strlen(words)), 0);
    return m;
}

static int send_text(gnatter_amqp_sender *s, const char *words,
                     struct gnatter_amqp_outcome *outcome)
{
    gnatter_amqp_message *m = text(words);
    int err = gnatter_amqp_send_wait(s, m, SOON_MS, outcome);
    gnatter_amqp_message_free(m);
    return err;
}

static void send_later(gnatter_amqp_sender *s, const char *words)
{
    gnatter_amqp_message *m = text(words);
    assert_int_equal(gnatter_amqp_send(s, m, on_outcome, &called), 0);
    gnatter_amqp_message_free(m);
}

static void assert_body(gnatter_amqp_delivery *d, const char *words)
{
    struct gnatter_bytes body = gnatter_amqp_body_bytes(gnatter_amqp_delivery_message(d));
    assert_int_equal(body.size, strlen(words));
    assert_memory_equal(body.data, words, body.size);
}

static gnatter_amqp_delivery *expect(gnatter_amqp_receiver *r, const char *words)
{
    gnatter_amqp_delivery *d = NULL;
    assert_int_equal(gnatter_amqp_receive(r, SOON_MS, &d), 0);
    assert_body(d, words);
    return d;
}

/* ---- Messages there and back */

static bool one_accepted(const struct amqp_server_seen *seen)
{
    return seen->accepted == 1;
}

static void there_and_back(void **state)
{
    (void)state;
    struct gnatter_amqp_outcome outcome;
    struct amqp_server_seen seen;
    gnatter_amqp *c = client();
    gnatter_amqp_sender *s = sender_to(c, "q");
    assert_int_equal(send_text(s, "hello", &outcome), 0);
    assert_int_equal(outcome.state, GNATTER_AMQP_ACCEPTED);
    gnatter_amqp_receiver *r = receiver_of(c, "q");
    assert_int_equal(gnatter_amqp_accept(expect(r, "hello")), 0);
    amqp_server_until(server, one_accepted);
    assert_int_equal(gnatter_amqp_close(c, SOON_MS), 0);
    soon(&called.disconnected);
    assert_int_equal(called.last.error, 0);
    amqp_server_seen(server, &seen);
    assert_int_equal(seen.connections, 1);
    assert_int_equal(seen.sessions, 1);
    assert_string_equal(seen.mechanism, "ANONYMOUS");
    assert_string_equal(seen.hostname, "127.0.0.1");
    gnatter_amqp_free(c);
}

static void every_outcome_of_sending(void **state)
{
    (void)state;
    struct gnatter_amqp_outcome o;
    gnatter_amqp *c = client();
    assert_int_equal(send_text(sender_to(c, "rejects"), "x", &o), GNATTER_EREFUSED);
    assert_int_equal(o.state, GNATTER_AMQP_REJECTED);
    assert_string_equal(o.why.condition, "test:wrong");
    assert_string_equal(o.why.description, "wrong colour");
    assert_int_equal(send_text(sender_to(c, "releases"), "x", &o), GNATTER_EREFUSED);
    assert_int_equal(o.state, GNATTER_AMQP_RELEASED);
    assert_string_equal(o.why.condition, "");
    assert_int_equal(send_text(sender_to(c, "modifies"), "x", &o), GNATTER_EREFUSED);
    assert_int_equal(o.state, GNATTER_AMQP_MODIFIED);
    assert_true(o.delivery_failed && o.undeliverable_here);
    gnatter_amqp_free(c);
}

static bool all_outcomes(const struct amqp_server_seen *seen)
{
    return seen->accepted && seen->rejected && seen->released && seen->modified;
}

static void every_outcome_of_receiving(void **state)
{
    (void)state;
    struct amqp_server_seen seen;
    gnatter_amqp *c = client();
    gnatter_amqp_sender *s = sender_to(c, "q");
    gnatter_amqp_receiver *r = receiver_of(c, "q");
    assert_int_equal(send_text(s, "a", NULL), 0);
    assert_int_equal(gnatter_amqp_release(expect(r, "a")), 0);
    assert_int_equal(gnatter_amqp_modify(expect(r, "a"), true, false, NULL), 0);
    assert_int_equal(gnatter_amqp_reject(expect(r, "a"), "test:bad", "no"), 0);
    assert_int_equal(send_text(s, "b", NULL), 0);
    assert_int_equal(gnatter_amqp_accept(expect(r, "b")), 0);
    amqp_server_until(server, all_outcomes);
    amqp_server_seen(server, &seen);
    assert_string_equal(seen.condition, "test:bad");
    gnatter_amqp_free(c);
}

static bool one_forgotten(const struct amqp_server_seen *seen)
{
    return seen->forgotten == 1;
}

/* Who has an outcome and is not settled is settled by the sender. */
static void settled_by_the_sender(void **state)
{
    (void)state;
    gnatter_amqp *c = client();
    assert_int_equal(send_text(sender_to(c, "late"), "x", NULL), 0);
    amqp_server_until(server, one_forgotten);
    gnatter_amqp_free(c);
}

static void second_mode_and_settled(void **state)
{
    (void)state;
    struct amqp_server_seen seen;
    struct gnatter_amqp_outcome o;
    struct gnatter_amqp_delivery_info info;
    gnatter_amqp_sender *s;
    gnatter_amqp *c = client();
    const struct gnatter_amqp_link settled = {.address = "q", .settle = GNATTER_AMQP_SETTLED};
    const struct gnatter_amqp_link second = {.address = "q", .settle = GNATTER_AMQP_SECOND};
    assert_int_equal(gnatter_amqp_sender_new(c, &settled, &s), 0);
    assert_int_equal(send_text(s, "a", &o), 0);
    assert_int_equal(o.state, GNATTER_AMQP_NO_STATE);
    gnatter_amqp_receiver *r = receiver_by(c, &second);
    assert_int_equal(gnatter_amqp_accept(expect(r, "a")), 0);
    amqp_server_until(server, one_accepted);
    gnatter_amqp_receiver_free(r);
    assert_int_equal(send_text(s, "b", &o), 0);
    r = receiver_by(c, &settled);
    gnatter_amqp_delivery *d = expect(r, "b");
    gnatter_amqp_delivery_get_info(d, &info);
    assert_true(info.settled && info.receiver == r && info.tag.size == 8);
    assert_int_equal(gnatter_amqp_accept(d), 0);
    amqp_server_seen(server, &seen);
    assert_int_equal(seen.settled_received, 2);
    assert_int_equal(seen.accepted, 1);
    gnatter_amqp_free(c);
}

/* Of many frames, and over the queue's bound. */
static void large_messages(void **state)
{
    (void)state;
    enum { SIZE = 300 * 1000 };
    struct gnatter_amqp_options o = usual();
    o.queue_bytes = SIZE + 100;
    gnatter_amqp *c = client_with(&o);
    gnatter_amqp_sender *s = sender_to(c, "q");
    char *bytes = malloc(SIZE);
    assert_non_null(bytes);
    for (int i = 0; i < SIZE; i++)
        bytes[i] = (char)(i * 7 + i / 251);
    gnatter_amqp_message *m;
    assert_int_equal(gnatter_amqp_message_new(&m), 0);
    assert_int_equal(gnatter_amqp_add_data(m, bytes, SIZE), 0);
    assert_int_equal(gnatter_amqp_send_wait(s, m, SOON_MS, NULL), 0);
    assert_int_equal(gnatter_amqp_add_data(m, bytes, 200), 0);
    assert_int_equal(gnatter_amqp_send_wait(s, m, SOON_MS, NULL), GNATTER_EFULL);
    gnatter_amqp_message_free(m);
    gnatter_amqp_delivery *d;
    assert_int_equal(gnatter_amqp_receive(receiver_of(c, "q"), SOON_MS, &d), 0);
    struct gnatter_bytes body = gnatter_amqp_body_bytes(gnatter_amqp_delivery_message(d));
    assert_int_equal(body.size, SIZE);
    assert_memory_equal(body.data, bytes, SIZE);
    free(bytes);
    gnatter_amqp_free(c);
}

/* ---- Credit */

static void manual_credit_and_drain(void **state)
{
    (void)state;
    gnatter_amqp *c = client();
    gnatter_amqp_sender *s = sender_to(c, "q");
    gnatter_amqp_delivery *d;
    for (int i = 0; i < 4; i++)
        assert_int_equal(send_text(s, "m", NULL), 0);
    gnatter_amqp_receiver *r =
        receiver_by(c, &(struct gnatter_amqp_link){.address = "q", .manual = true});
    assert_int_equal(gnatter_amqp_receiver_ready(r, SOON_MS), 0);
    assert_int_equal(gnatter_amqp_receive(r, 0, &d), GNATTER_ETIMEOUT);
    assert_int_equal(gnatter_amqp_receiver_credit(r, 1), 0);
    gnatter_amqp_accept(expect(r, "m"));
    assert_int_equal(gnatter_amqp_receiver_drain(r, SOON_MS), 0);
    assert_int_equal(gnatter_amqp_receive(r, 0, &d), GNATTER_ETIMEOUT);
    assert_int_equal(amqp_server_waiting(server, "q"), 3);
    assert_int_equal(gnatter_amqp_receiver_credit(r, 10), 0);
    assert_int_equal(gnatter_amqp_receiver_drain(r, SOON_MS), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(gnatter_amqp_receive(r, 0, &d), 0);
        assert_int_equal(gnatter_amqp_accept(d), 0);
    }
    assert_int_equal(gnatter_amqp_receive(r, 0, &d), GNATTER_ETIMEOUT);
    assert_int_equal(gnatter_amqp_receiver_drain(r, SOON_MS), 0);
    gnatter_amqp_free(c);
}

/* No more are on their way, waiting or unsettled than that. */
static void automatic_credit(void **state)
{
    (void)state;
    enum { ALL = 20, CREDIT = 4 };
    gnatter_amqp *c = client();
    gnatter_amqp_sender *s = sender_to(c, "q");
    gnatter_amqp_delivery *held[CREDIT], *d;
    for (int i = 0; i < ALL; i++)
        assert_int_equal(send_text(s, "m", NULL), 0);
    gnatter_amqp_receiver *r =
        receiver_by(c, &(struct gnatter_amqp_link){.address = "q", .credit = CREDIT});
    for (int i = 0; i < CREDIT; i++)
        held[i] = expect(r, "m");
    assert_int_equal(gnatter_amqp_receive(r, 20, &d), GNATTER_ETIMEOUT);
    assert_int_equal(amqp_server_waiting(server, "q"), ALL - CREDIT);
    for (int i = 0; i < CREDIT; i++)
        assert_int_equal(gnatter_amqp_accept(held[i]), 0);
    for (int i = CREDIT; i < ALL; i++)
        assert_int_equal(gnatter_amqp_accept(expect(r, "m")), 0);
    gnatter_amqp_free(c);
}

/* ---- Callbacks */

static void try_from_callback(gnatter_amqp_sender *sender,
                              const struct gnatter_amqp_outcome *outcome, void *context)
{
    (void)outcome;
    struct called *to = context;
    gnatter_amqp_message *m = text("x");
    to->from_callback = gnatter_amqp_send_wait(sender, m, SOON_MS, NULL);
    gnatter_amqp_message_free(m);
    gnatter_amqp_sender_free(sender);
    sem_post(&to->outcome);
}

static void callbacks(void **state)
{
    (void)state;
    const struct gnatter_amqp_link link = {.address = "q",
                                           .on_message = on_message,
                                           .on_attached = on_attached,
                                           .on_detached = on_detached,
                                           .context = &called};
    gnatter_amqp_delivery *d;
    gnatter_amqp *c = client();
    gnatter_amqp_receiver *r = receiver_by(c, &link);
    soon(&called.connected);
    soon(&called.attached);
    assert_string_equal(called.address, "q");
    send_later(sender_to(c, "q"), "one");
    soon(&called.outcome);
    assert_int_equal(called.outcomes[0].state, GNATTER_AMQP_ACCEPTED);
    soon(&called.message);
    assert_body(called.deliveries[0], "one");
    assert_int_equal(gnatter_amqp_accept(called.deliveries[0]), 0);
    assert_int_equal(gnatter_amqp_receive(r, 0, &d), GNATTER_EINVALID);
    gnatter_amqp_message *m = text("two");
    assert_int_equal(gnatter_amqp_send(sender_to(c, "q2"), m, try_from_callback, &called), 0);
    gnatter_amqp_message_free(m);
    soon(&called.outcome);
    assert_int_equal(called.from_callback, GNATTER_ESTATE);
    gnatter_amqp_free(c);
}

/* What was not settled ends with its sender, before _free returns. */
static void freed_with_work_left(void **state)
{
    (void)state;
    gnatter_amqp *c = client();
    gnatter_amqp_sender *s = sender_to(c, "mute");
    assert_int_equal(gnatter_amqp_sender_ready(s, SOON_MS), 0);
    send_later(s, "a");
    send_later(s, "b");
    gnatter_amqp_sender_free(s);
    assert_int_equal(called.outcome_count, 2);
    assert_int_equal(called.outcomes[1].error, GNATTER_ECLOSED);
    send_later(sender_to(c, "mute"), "c");
    gnatter_amqp_receiver *r = receiver_of(c, "q");
    assert_int_equal(send_text(sender_to(c, "q"), "kept", NULL), 0);
    gnatter_amqp_delivery *d = expect(r, "kept");
    gnatter_amqp_receiver_free(r);
    assert_body(d, "kept");
    assert_int_equal(gnatter_amqp_accept(d), GNATTER_ECLOSED);
    gnatter_amqp_free(c);
    assert_int_equal(called.outcome_count, 3);
}

/* ---- Refusals */

static void refused_links(void **state)
{
    (void)state;
    struct gnatter_amqp_outcome o;
    struct gnatter_amqp_link_info info;
    gnatter_amqp_sender *s;
    gnatter_amqp_delivery *d;
    gnatter_amqp *c = client();
    const struct gnatter_amqp_link link = {.address = "refused",
                                           .on_detached = on_detached,
                                           .context = &called};
    assert_int_equal(gnatter_amqp_sender_new(c, &link, &s), 0);
    assert_int_equal(gnatter_amqp_sender_ready(s, SOON_MS), GNATTER_EREFUSED);
    gnatter_amqp_sender_get_info(s, &info);
    assert_string_equal(info.why.condition, "amqp:not-found");
    assert_string_equal(info.why.description, "nobody here");
    soon(&called.detached);
    assert_string_equal(called.why.condition, "amqp:not-found");
    assert_int_equal(send_text(s, "x", &o), GNATTER_EREFUSED);
    assert_string_equal(o.why.condition, "amqp:not-found");
    assert_int_equal(gnatter_amqp_receive(receiver_of(c, "refused"), SOON_MS, &d),
                     GNATTER_EREFUSED);
    assert_int_equal(send_text(sender_to(c, "ends"), "x", &o), GNATTER_EREFUSED);
    assert_int_equal(o.state, GNATTER_AMQP_NO_STATE);
    assert_string_equal(o.why.condition, "amqp:link:detach-forced");
    assert_int_equal(send_text(sender_to(c, "q"), "others go on", &o), 0);
    gnatter_amqp_free(c);
}

static void bad_arguments(void **state)
{
    (void)state;
    gnatter_amqp_sender *s;
    gnatter_amqp_receiver *r;
    gnatter_amqp_message *m;
    gnatter_amqp *c = client(), *other = NULL;
    struct gnatter_amqp_options o = usual();
    const struct gnatter_amqp_link nowhere = {.address = NULL};
    const struct gnatter_amqp_link named = {.address = "q", .name = "n"};
    const struct gnatter_amqp_link bad = {.address = "\xff"};
    assert_int_equal(gnatter_amqp_receiver_new(c, &nowhere, &r), GNATTER_EINVALID);
    assert_int_equal(gnatter_amqp_sender_new(c, &bad, &s), GNATTER_EINVALID);
    assert_int_equal(gnatter_amqp_sender_new(c, &named, &s), 0);
    assert_int_equal(gnatter_amqp_sender_new(c, &named, &s), GNATTER_EEXISTS);
    assert_int_equal(gnatter_amqp_receiver_new(c, &named, &r), 0);
    assert_int_equal(gnatter_amqp_message_new(&m), 0);
    assert_int_equal(gnatter_amqp_send(s, m, NULL, NULL), GNATTER_EINVALID);
    gnatter_amqp_message_free(m);
    o.url = "mqtt://localhost";
    assert_int_equal(gnatter_amqp_new(&o, &other), GNATTER_EINVALID);
    o.url = "amqp://a%zz@localhost";
    assert_int_equal(gnatter_amqp_new(&o, &other), GNATTER_EINVALID);
    o.url = "amqp://example.com";
    o.mechanism = "PLAIN";
    assert_int_equal(gnatter_amqp_new(&o, &other), GNATTER_EINVALID);
    o.mechanism = "KERBEROS_V4";
    assert_int_equal(gnatter_amqp_new(&o, &other), GNATTER_EUNSUPPORTED);
    gnatter_amqp_free(c);
}

static void dynamic_addresses_and_filters(void **state)
{
    (void)state;
    struct amqp_server_seen seen;
    struct gnatter_amqp_link_info info;
    gnatter_amqp *c = client();
    gnatter_amqp_receiver *r =
        receiver_by(c, &(struct gnatter_amqp_link){
                           .dynamic = true, .selector = "colour = 'red'", .no_local = true});
    assert_int_equal(gnatter_amqp_receiver_ready(r, SOON_MS), 0);
    gnatter_amqp_receiver_get_info(r, &info);
    assert_string_equal(info.address, "dynamic-1");
    assert_int_equal(send_text(sender_to(c, info.address), "reply", NULL), 0);
    gnatter_amqp_accept(expect(r, "reply"));
    amqp_server_seen(server, &seen);
    assert_non_null(strstr(seen.filter, "apache.org:selector-filter:string"));
    assert_non_null(strstr(seen.filter, "colour = 'red'"));
    assert_non_null(strstr(seen.filter, "apache.org:no-local-filter:list"));
    gnatter_amqp_free(c);
}

/* ---- Logging in */

static void passwords(void **state)
{
    (void)state;
    char url[128];
    struct amqp_server_seen seen;
    struct gnatter_amqp_info info;
    struct gnatter_amqp_options o = usual();
    amqp_server_offer(server, GNT_SASL_BIT(GNT_SASL_PLAIN));
    (void)snprintf(url, sizeof url, "amqp://us%%65r:secret@127.0.0.1:%u", amqp_server_port(server));
    o.url = url;
    gnatter_amqp *c = client_with(&o);
    assert_int_equal(gnatter_amqp_connect(c, SOON_MS), 0);
    gnatter_amqp_get_info(c, &info);
    assert_string_equal(info.mechanism, "PLAIN");
    assert_string_equal(info.peer_container_id, "server");
    amqp_server_seen(server, &seen);
    assert_string_equal(seen.container, info.container_id);
    gnatter_amqp_free(c);

    o.password = "wrong";
    o.user = "user";
    c = client_with(&o);
    assert_int_equal(gnatter_amqp_start(c), 0);
    soon(&called.disconnected);
    soon(&called.disconnected);
    assert_int_equal(called.last.error, GNATTER_EDENIED);
    assert_false(called.last.will_reconnect);
    assert_string_equal(called.last.why.description,
                        "the server does not accept user and password");
    gnatter_amqp_free(c);

    o.mechanism = "SCRAM-SHA-256";
    c = client_with(&o);
    assert_int_equal(gnatter_amqp_connect(c, SOON_MS), GNATTER_EDENIED);
    gnatter_amqp_free(c);

    amqp_server_offer(server, 0);
    o = usual();
    o.mechanism = "none";
    c = client_with(&o);
    assert_int_equal(gnatter_amqp_connect(c, SOON_MS), 0);
    gnatter_amqp_free(c);
}

/* ---- Connections that break */

static bool one_received(const struct amqp_server_seen *seen)
{
    return seen->received == 1;
}

static bool three_received(const struct amqp_server_seen *seen)
{
    return seen->received == 3;
}

/* Links are attached again, and what had no outcome is sent again, in order. */
static void resent_after_a_cut(void **state)
{
    (void)state;
    gnatter_amqp *c = client();
    gnatter_amqp_sender *s = sender_to(c, "holds");
    send_later(s, "first");
    amqp_server_until(server, one_received);
    amqp_server_cut(server, true);
    soon(&called.disconnected);
    assert_true(called.last.was_connected && called.last.will_reconnect);
    send_later(s, "second");
    assert_int_equal(called.outcome_count, 0);
    amqp_server_open(server);
    soon(&called.outcome);
    soon(&called.outcome);
    amqp_server_until(server, three_received);
    gnatter_amqp_receiver *r = receiver_of(c, "holds");
    gnatter_amqp_accept(expect(r, "first"));
    gnatter_amqp_accept(expect(r, "first"));
    gnatter_amqp_accept(expect(r, "second"));
    gnatter_amqp_free(c);
}

/* Deliveries of a connection that is gone cannot be settled, and come again. */
static void received_again_after_a_cut(void **state)
{
    (void)state;
    gnatter_amqp *c = client();
    gnatter_amqp_receiver *r = receiver_of(c, "q");
    assert_int_equal(send_text(sender_to(c, "q"), "m", NULL), 0);
    gnatter_amqp_delivery *d = expect(r, "m");
    amqp_server_cut(server, false);
    gnatter_amqp_delivery *again = expect(r, "m");
    assert_int_equal(gnatter_amqp_accept(d), GNATTER_ECLOSED);
    assert_int_equal(gnatter_amqp_accept(again), 0);
    amqp_server_until(server, one_accepted);
    gnatter_amqp_free(c);
}

/* What came and was not taken does not come twice. */
static void untaken_at_a_cut(void **state)
{
    (void)state;
    struct gnatter_amqp_link_info info = {.waiting = 0};
    gnatter_amqp_delivery *d;
    gnatter_amqp *c = client();
    gnatter_amqp_receiver *r = receiver_of(c, "q");
    assert_int_equal(send_text(sender_to(c, "q"), "m", NULL), 0);
    while (info.waiting == 0)
        gnatter_amqp_receiver_get_info(r, &info);
    amqp_server_cut(server, false);
    soon(&called.disconnected);
    assert_int_equal(gnatter_amqp_accept(expect(r, "m")), 0);
    amqp_server_until(server, one_accepted);
    assert_int_equal(gnatter_amqp_receive(r, 0, &d), GNATTER_ETIMEOUT);
    gnatter_amqp_free(c);
}

/* So is the credit that it came by, where the program gives it by hand. */
static void credit_of_what_was_untaken(void **state)
{
    (void)state;
    struct gnatter_amqp_link_info info = {.waiting = 0};
    gnatter_amqp_delivery *d;
    gnatter_amqp *c = client();
    gnatter_amqp_receiver *r =
        receiver_by(c, &(struct gnatter_amqp_link){.address = "q", .manual = true});
    gnatter_amqp_sender *s = sender_to(c, "q");
    assert_int_equal(send_text(s, "one", NULL), 0);
    assert_int_equal(send_text(s, "two", NULL), 0);
    assert_int_equal(gnatter_amqp_receiver_credit(r, 1), 0);
    while (info.waiting == 0)
        gnatter_amqp_receiver_get_info(r, &info);
    amqp_server_cut(server, false);
    soon(&called.disconnected);
    assert_int_equal(gnatter_amqp_accept(expect(r, "one")), 0);
    amqp_server_until(server, one_accepted);
    assert_int_equal(send_text(s, "three", NULL), 0); /* credit for "two" would have been said */
    assert_int_equal(gnatter_amqp_receive(r, 0, &d), GNATTER_ETIMEOUT);
    assert_int_equal(gnatter_amqp_receiver_credit(r, 1), 0);
    assert_int_equal(gnatter_amqp_accept(expect(r, "two")), 0);
    gnatter_amqp_free(c);
}

static void forced_and_down_for_good(void **state)
{
    (void)state;
    struct gnatter_amqp_options o = usual();
    gnatter_amqp_delivery *d;
    o.no_reconnect = true;
    gnatter_amqp *c = client_with(&o);
    gnatter_amqp_receiver *r = receiver_of(c, "q");
    assert_int_equal(gnatter_amqp_receiver_ready(r, SOON_MS), 0);
    amqp_server_force(server);
    soon(&called.disconnected);
    assert_int_equal(called.last.error, GNATTER_ECLOSED);
    assert_string_equal(called.last.why.condition, "amqp:connection:forced");
    assert_int_equal(gnatter_amqp_receive(r, SOON_MS, &d), GNATTER_ECLOSED);
    assert_int_equal(gnatter_amqp_connect(c, SOON_MS), 0);
    assert_int_equal(send_text(sender_to(c, "q"), "m", NULL), 0);
    gnatter_amqp_accept(expect(r, "m"));
    gnatter_amqp_free(c);
}

static void nobody_is_there(void **state)
{
    (void)state;
    struct gnatter_amqp_options o = usual();
    o.url = "amqp://127.0.0.1:1";
    gnatter_amqp *c = client_with(&o);
    assert_int_equal(gnatter_amqp_connect(c, SOON_MS), GNATTER_EREFUSED);
    soon(&called.disconnected);
    assert_false(called.last.was_connected || called.last.will_reconnect);
    assert_int_equal(gnatter_amqp_start(c), 0);
    soon(&called.disconnected);
    assert_true(called.last.will_reconnect);
    gnatter_amqp_free(c);
}

/* Somebody listens and says nothing. */
static void nothing_is_said(void **state)
{
    (void)state;
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof any;
    struct gnatter_amqp_options o = usual();
    char url[64];
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&any, size), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&any, &size), 0);
    (void)snprintf(url, sizeof url, "amqp://127.0.0.1:%u", ntohs(any.sin_port));
    o.url = url;
    o.connect_timeout_ms = 30;
    gnatter_amqp *c = client_with(&o);
    assert_int_equal(gnatter_amqp_connect(c, SOON_MS), GNATTER_ETIMEOUT);
    gnatter_amqp_free(c);
    close(fd);
}

/* ---- Sessions and transactions */

static void sessions(void **state)
{
    (void)state;
    struct amqp_server_seen seen;
    gnatter_amqp_session *session;
    gnatter_amqp_sender *s;
    gnatter_amqp *c = client();
    assert_int_equal(send_text(sender_to(c, "q"), "a", NULL), 0);
    assert_int_equal(gnatter_amqp_session_new(c, &session), 0);
    const struct gnatter_amqp_link link = {.address = "q", .session = session};
    assert_int_equal(gnatter_amqp_sender_new(c, &link, &s), 0);
    assert_int_equal(send_text(s, "b", NULL), 0);
    amqp_server_seen(server, &seen);
    assert_int_equal(seen.sessions, 2);
    gnatter_amqp_sender_free(s);
    gnatter_amqp_session_free(session);
    assert_int_equal(send_text(sender_to(c, "q"), "c", NULL), 0);
    gnatter_amqp_free(c);
}

/* The server takes 64. */
static void too_many_sessions(void **state)
{
    (void)state;
    gnatter_amqp *c = client();
    int good = 0, refused = 0;
    for (int i = 0; i < 66; i++) {
        gnatter_amqp_session *session;
        gnatter_amqp_sender *s;
        assert_int_equal(gnatter_amqp_session_new(c, &session), 0);
        const struct gnatter_amqp_link link = {.address = "q", .session = session};
        assert_int_equal(gnatter_amqp_sender_new(c, &link, &s), 0);
        int err = send_text(s, "m", NULL);
        good += err == 0;
        refused += err == GNATTER_EREFUSED;
    }
    assert_int_equal(good, 64);
    assert_int_equal(refused, 2);
    gnatter_amqp_free(c);
}

static void transactions(void **state)
{
    (void)state;
    struct amqp_server_seen seen;
    struct gnatter_amqp_error why;
    gnatter_amqp_transaction *t;
    gnatter_amqp *c = client();
    gnatter_amqp_sender *s = sender_to(c, "q"), *bad = sender_to(c, "rejects");
    gnatter_amqp_message *m = text("posted");
    assert_int_equal(gnatter_amqp_declare(c, NULL, SOON_MS, &t, &why), 0);
    assert_int_equal(gnatter_amqp_post(t, s, m, on_outcome, &called), 0);
    soon(&called.outcome);
    assert_int_equal(called.outcomes[0].state, GNATTER_AMQP_ACCEPTED);
    assert_int_equal(amqp_server_waiting(server, "q"), 0);
    assert_int_equal(gnatter_amqp_discharge(t, false, SOON_MS, &why), 0);
    gnatter_amqp_receiver *r = receiver_of(c, "q");
    gnatter_amqp_delivery *d = expect(r, "posted");

    assert_int_equal(gnatter_amqp_declare(c, NULL, SOON_MS, &t, NULL), 0);
    assert_int_equal(gnatter_amqp_post(t, s, m, NULL, NULL), 0);
    assert_int_equal(gnatter_amqp_retire(d, t), 0);
    assert_int_equal(gnatter_amqp_discharge(t, true, SOON_MS, NULL), 0);

    assert_int_equal(gnatter_amqp_declare(c, NULL, SOON_MS, &t, NULL), 0);
    assert_int_equal(gnatter_amqp_post(t, s, m, NULL, NULL), 0);
    assert_int_equal(gnatter_amqp_post(t, bad, m, NULL, NULL), 0);
    assert_int_equal(gnatter_amqp_discharge(t, false, SOON_MS, NULL), GNATTER_EREFUSED);
    amqp_server_seen(server, &seen);
    assert_int_equal(seen.declared, 3);
    assert_int_equal(seen.discharged, 1);
    assert_int_equal(seen.rolled_back, 2);
    assert_int_equal(seen.retired, 1);

    assert_int_equal(gnatter_amqp_declare(c, NULL, SOON_MS, &t, NULL), 0);
    amqp_server_cut(server, false);
    soon(&called.disconnected);
    assert_int_equal(gnatter_amqp_post(t, s, m, NULL, NULL), GNATTER_ECLOSED);
    assert_int_equal(gnatter_amqp_discharge(t, false, SOON_MS, NULL), GNATTER_ECLOSED);
    gnatter_amqp_message_free(m);
    gnatter_amqp_free(c);
}

static bool one_more_begun(const struct amqp_server_seen *seen)
{
    return seen->begun == 2; /* behind what declares */
}

/* What has been posted in part when its transaction is given up is aborted: the link goes on. */
static void posted_in_part(void **state)
{
    (void)state;
    enum { SIZE = 1 << 20, MOMENT_MS = 1 }; /* more than the window has room for */
    struct amqp_server_seen seen;
    struct gnatter_amqp_outcome outcome;
    gnatter_amqp_transaction *t;
    gnatter_amqp *c = client();
    gnatter_amqp_sender *s = sender_to(c, "q");
    gnatter_amqp_message *m = NULL;
    char *body = calloc(1, SIZE);
    assert_non_null(body);
    assert_int_equal(gnatter_amqp_message_new(&m), 0);
    assert_int_equal(gnatter_amqp_add_data(m, body, SIZE), 0);
    free(body);
    assert_int_equal(gnatter_amqp_sender_ready(s, SOON_MS), 0);
    assert_int_equal(gnatter_amqp_declare(c, NULL, SOON_MS, &t, NULL), 0);
    amqp_server_choke(server, true);
    assert_int_equal(gnatter_amqp_post(t, s, m, on_outcome, &called), 0);
    amqp_server_until(server, one_more_begun);
    assert_int_equal(gnatter_amqp_discharge(t, false, MOMENT_MS, NULL), GNATTER_ETIMEOUT);
    soon(&called.outcome);
    assert_int_equal(called.outcomes[0].error, GNATTER_ECLOSED);
    amqp_server_choke(server, false);
    assert_int_equal(send_text(s, "after", &outcome), 0);
    amqp_server_seen(server, &seen);
    assert_int_equal(seen.aborted, 1);
    assert_int_equal(amqp_server_waiting(server, "q"), 1);
    gnatter_amqp_message_free(m);
    gnatter_amqp_free(c);
}

static void no_transactions(void **state)
{
    (void)state;
    struct gnatter_amqp_error why;
    gnatter_amqp_transaction *t;
    gnatter_amqp *c = client();
    amqp_server_refuse_transactions(server);
    for (int again = 0; again < 2; again++) {
        assert_int_equal(gnatter_amqp_declare(c, NULL, SOON_MS, &t, &why), GNATTER_EREFUSED);
        assert_string_equal(why.condition, "amqp:not-found");
    }
    gnatter_amqp_free(c);
}

/* ---- Without memory */

static void born_without_memory(void **state)
{
    (void)state;
    struct gnatter_amqp_options o = usual();
    gnatter_amqp *c = NULL;
    long n = 0;
    o.url = "ws://user:secret@127.0.0.1:1/path";
    while (gnt_alloc_fail_at(n), gnatter_amqp_new(&o, &c) != 0) {
        assert_true(gnt_alloc_failed());
        n++;
    }
    gnt_alloc_fail_at(-1);
    assert_true(n > 5);
    gnatter_amqp_free(c);
}

/* ---- Many threads */

static void *sends(void *sender)
{
    for (int i = 0; i < 50; i++) {
        gnatter_amqp_message *m = text("m");
        if (gnatter_amqp_send_wait(sender, m, SOON_MS, NULL))
            return sender;
        gnatter_amqp_message_free(m);
    }
    return NULL;
}

static void many_threads(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    gnatter_amqp *c = client();
    gnatter_amqp_sender *s = sender_to(c, "q");
    gnatter_amqp_receiver *r = receiver_of(c, "q");
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, sends, s), 0);
    for (int i = 0; i < THREADS * 50; i++)
        assert_int_equal(gnatter_amqp_accept(expect(r, "m")), 0);
    for (int i = 0; i < THREADS; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    gnatter_amqp_free(c);
}

#define ONE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONE(there_and_back),
        ONE(every_outcome_of_sending),
        ONE(every_outcome_of_receiving),
        ONE(settled_by_the_sender),
        ONE(second_mode_and_settled),
        ONE(large_messages),
        ONE(manual_credit_and_drain),
        ONE(automatic_credit),
        ONE(callbacks),
        ONE(freed_with_work_left),
        ONE(refused_links),
        ONE(bad_arguments),
        ONE(dynamic_addresses_and_filters),
        ONE(passwords),
        ONE(resent_after_a_cut),
        ONE(received_again_after_a_cut),
        ONE(untaken_at_a_cut),
        ONE(credit_of_what_was_untaken),
        ONE(forced_and_down_for_good),
        ONE(nobody_is_there),
        ONE(nothing_is_said),
        ONE(sessions),
        ONE(too_many_sessions),
        ONE(transactions),
        ONE(posted_in_part),
        ONE(no_transactions),
        ONE(born_without_memory),
        ONE(many_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
