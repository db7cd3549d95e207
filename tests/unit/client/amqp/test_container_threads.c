/* A container, with our own client as its peer. */
#include "support/alloc_fault.h"
#include "support/own_directory.h"
#include "support/unit.h"
#include "unit/client/amqp/links.h"

#include "base/slice.h"
#include "pki/certs.h"
#include "pki/issue.h"
#include "pki/key.h"

#include <gnatter/amqp_container.h>

#include <arpa/inet.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { SOON_MS = 20000, DAY = 86400 };

/* ---- What callbacks have seen */

static struct {
    sem_t given, wanted, unwanted;
    gnatter_amqp_delivery *deliveries[64];
    unsigned given_count, unwanted_count;
    gnatter_amqp_sender *sender; /* the last that was wanted */
    uint32_t credit;
    unsigned outcomes[5]; /* by state */
    sem_t outcome;
    bool drain;
    struct gnatter_amqp_wish wish; /* with the texts below */
    char link[64], peer[64], user[64], address[64];
    char asked_user[64], asked_password[64];
} seen;

static int set_up(void **state)
{
    (void)state;
    memset(&seen, 0, sizeof seen);
    sem_init(&seen.given, 0, 0);
    sem_init(&seen.wanted, 0, 0);
    sem_init(&seen.unwanted, 0, 0);
    sem_init(&seen.outcome, 0, 0);
    return 0;
}

static void soon(sem_t *event)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += SOON_MS / 1000;
    assert_int_equal(sem_timedwait(event, &until), 0);
}

static void keep(gnatter_amqp_delivery *d, void *context)
{
    (void)context;
    seen.deliveries[seen.given_count++ % COUNT_OF(seen.deliveries)] = d;
    sem_post(&seen.given);
}

static void judge_by_body(gnatter_amqp_delivery *d, void *context)
{
    struct gnatter_bytes body = gnatter_amqp_body_bytes(gnatter_amqp_delivery_message(d));
    struct gnt_slice said = gnt_slice(body.data, body.size);
    (void)context;
    if (gnt_slice_eq_str(said, "bad"))
        (void)gnatter_amqp_reject(d, "test:bad", "not so");
    else if (gnt_slice_eq_str(said, "later"))
        (void)gnatter_amqp_release(d);
    else if (gnt_slice_eq_str(said, "elsewhere"))
        (void)gnatter_amqp_modify(d, true, true, NULL);
    else
        (void)gnatter_amqp_accept(d);
}

static void echo(gnatter_amqp_delivery *d, void *context)
{
    gnatter_amqp_message *answer = NULL;
    struct gnatter_bytes body = gnatter_amqp_body_bytes(gnatter_amqp_delivery_message(d));
    (void)context;
    assert_int_equal(gnatter_amqp_message_new(&answer), 0);
    assert_int_equal(gnatter_amqp_add_data(answer, body.data, body.size), 0);
    assert_int_equal(gnatter_amqp_reply(d, answer), 0);
    gnatter_amqp_message_free(answer);
}

static void on_outcome(gnatter_amqp_sender *s, const struct gnatter_amqp_outcome *o, void *context)
{
    (void)s;
    (void)context;
    seen.outcomes[o->state]++;
    sem_post(&seen.outcome);
}

static gnatter_amqp_message *text(const char *words)
{
    gnatter_amqp_message *m = NULL;
    assert_int_equal(gnatter_amqp_message_new(&m), 0);
    assert_int_equal(gnatter_amqp_add_data(m, words, strlen(words)), 0);
    return m;
}

static void give(gnatter_amqp_sender *sender, const char *words)
{
    gnatter_amqp_message *m = text(words);
    assert_int_equal(gnatter_amqp_send(sender, m, on_outcome, NULL), 0);
    gnatter_amqp_message_free(m);
}

static void three_at_once(gnatter_amqp_sender *sender, uint32_t credit, bool drain, void *context)
{
    (void)context;
    seen.sender = sender;
    seen.credit = credit;
    seen.drain = seen.drain || drain;
    for (uint32_t i = 0; !drain && i < credit && i < 3; i++) {
        gnatter_amqp_message *m;
        if (gnatter_amqp_message_new(&m))
            break; /* where memory is made to fail */
        (void)gnatter_amqp_add_data(m, "m", 1);
        (void)gnatter_amqp_send(sender, m, on_outcome, NULL);
        gnatter_amqp_message_free(m);
    }
    sem_post(&seen.wanted);
}

static void gone(gnatter_amqp_sender *sender, void *context)
{
    (void)sender;
    (void)context;
    seen.unwanted_count++;
    sem_post(&seen.unwanted);
}

/* ---- A container and a client */

static const char *const any_port[] = {"amqp://127.0.0.1:0"};

static struct gnatter_amqp_container_options usual(void)
{
    struct gnatter_amqp_container_options o;
    gnatter_amqp_container_options_init(&o);
    o.listeners = any_port;
    o.listener_count = 1;
    return o;
}

static gnatter_amqp_container *container_with(const struct gnatter_amqp_container_options *o,
                                              const struct gnatter_amqp_node *node)
{
    gnatter_amqp_container *k = NULL;
    assert_int_equal(gnatter_amqp_container_new(o, &k), 0);
    if (node)
        assert_int_equal(gnatter_amqp_container_add(k, node), 0);
    assert_int_equal(gnatter_amqp_container_start(k), 0);
    return k;
}

static gnatter_amqp_container *container(const struct gnatter_amqp_node *node)
{
    const struct gnatter_amqp_container_options o = usual();
    return container_with(&o, node);
}

static struct gnatter_amqp_options options_to(gnatter_amqp_container *k)
{
    struct gnatter_amqp_options o;
    gnatter_amqp_options_init(&o);
    o.url = gnatter_amqp_container_url(k, 0);
    o.no_reconnect = true;
    return o;
}

static gnatter_amqp *client_by(const struct gnatter_amqp_options *o)
{
    gnatter_amqp *c = NULL;
    assert_int_equal(gnatter_amqp_new(o, &c), 0);
    return c;
}

static gnatter_amqp *client_to(gnatter_amqp_container *k)
{
    const struct gnatter_amqp_options o = options_to(k);
    return client_by(&o);
}

static int send_text(gnatter_amqp_sender *s, const char *words, struct gnatter_amqp_outcome *o)
{
    gnatter_amqp_message *m = text(words);
    int err = gnatter_amqp_send_wait(s, m, SOON_MS, o);
    gnatter_amqp_message_free(m);
    return err;
}

/* ---- Messages */

static void every_outcome(void **state)
{
    (void)state;
    struct gnatter_amqp_outcome o;
    gnatter_amqp_container *k =
        container(&(struct gnatter_amqp_node){.address = "in", .on_message = judge_by_body});
    gnatter_amqp *c = client_to(k);
    gnatter_amqp_sender *s = sender_to(c, "in");
    assert_int_equal(send_text(s, "good", &o), 0);
    assert_int_equal(send_text(s, "bad", &o), GNATTER_EREFUSED);
    assert_int_equal(o.state, GNATTER_AMQP_REJECTED);
    assert_string_equal(o.why.condition, "test:bad");
    assert_int_equal(send_text(s, "later", &o), GNATTER_EREFUSED);
    assert_int_equal(o.state, GNATTER_AMQP_RELEASED);
    assert_int_equal(send_text(s, "elsewhere", &o), GNATTER_EREFUSED);
    assert_int_equal(o.state, GNATTER_AMQP_MODIFIED);
    assert_true(o.delivery_failed && o.undeliverable_here);
    assert_int_equal(gnatter_amqp_close(c, SOON_MS), 0);
    gnatter_amqp_free(c);
    gnatter_amqp_container_free(k);
}

static void in_both_settle_modes(void **state)
{
    (void)state;
    static const enum gnatter_amqp_settle modes[] = {GNATTER_AMQP_SETTLED, GNATTER_AMQP_SECOND};
    gnatter_amqp_container *k =
        container(&(struct gnatter_amqp_node){.address = "in", .on_message = keep});
    gnatter_amqp *c = client_to(k);
    for (size_t i = 0; i < COUNT_OF(modes); i++) {
        gnatter_amqp_sender *s = NULL;
        const struct gnatter_amqp_link link = {.address = "in", .settle = modes[i]};
        assert_int_equal(gnatter_amqp_sender_new(c, &link, &s), 0);
        gnatter_amqp_message *m = text("m");
        assert_int_equal(gnatter_amqp_send(s, m, NULL, NULL), 0);
        gnatter_amqp_message_free(m);
        soon(&seen.given);
        struct gnatter_amqp_delivery_info info;
        gnatter_amqp_delivery_get_info(seen.deliveries[i], &info);
        assert_int_equal(info.settled, modes[i] == GNATTER_AMQP_SETTLED);
        assert_int_equal(gnatter_amqp_accept(seen.deliveries[i]), 0);
        assert_int_equal(gnatter_amqp_sender_flush(s, SOON_MS), 0);
    }
    gnatter_amqp_free(c);
    gnatter_amqp_container_free(k);
}

/* A peer has as much credit as the node says, and more when the program has ended something. */
static void credit_is_bounded(void **state)
{
    (void)state;
    struct gnatter_amqp_link_info info;
    gnatter_amqp_container *k =
        container(&(struct gnatter_amqp_node){.address = "in", .on_message = keep, .credit = 2});
    gnatter_amqp *c = client_to(k);
    gnatter_amqp_sender *s = sender_to(c, "in");
    for (int i = 0; i < 3; i++)
        give(s, "m");
    soon(&seen.given);
    soon(&seen.given);
    gnatter_amqp_sender_get_info(s, &info);
    assert_int_equal(info.credit, 0);
    assert_int_equal(seen.given_count, 2);
    assert_int_equal(gnatter_amqp_accept(seen.deliveries[0]), 0);
    soon(&seen.given);
    assert_int_equal(gnatter_amqp_accept(seen.deliveries[1]), 0);
    assert_int_equal(gnatter_amqp_accept(seen.deliveries[2]), 0);
    assert_int_equal(gnatter_amqp_sender_flush(s, SOON_MS), 0);
    gnatter_amqp_free(c);
    gnatter_amqp_container_free(k);
}

/* A delivery is the program's also when its connection has gone. */
static void outlived_deliveries(void **state)
{
    (void)state;
    gnatter_amqp_container *k =
        container(&(struct gnatter_amqp_node){.address = "in", .on_message = keep});
    for (unsigned i = 0; i < 2; i++) {
        gnatter_amqp *c = client_to(k);
        give(sender_to(c, "in"), "still there");
        soon(&seen.given);
        gnatter_amqp_free(c);
    }
    gnatter_amqp *c = client_to(k); /* comes behind the others' ends */
    assert_int_equal(gnatter_amqp_connect(c, SOON_MS), 0);
    struct gnatter_bytes body =
        gnatter_amqp_body_bytes(gnatter_amqp_delivery_message(seen.deliveries[0]));
    assert_memory_equal(body.data, "still there", body.size);
    assert_int_equal(gnatter_amqp_accept(seen.deliveries[0]), GNATTER_ECLOSED);
    gnatter_amqp_container_free(k); /* with the other one, and the connection */
    gnatter_amqp_free(c);
}

static void too_large(void **state)
{
    (void)state;
    struct gnatter_amqp_container_options o = usual();
    struct gnatter_amqp_link_info info;
    o.message_max = 1000;
    char *body = calloc(1, 2001);
    assert_non_null(body);
    memset(body, 'x', 2000);
    gnatter_amqp_container *k =
        container_with(&o,
                       &(struct gnatter_amqp_node){.address = "in", .on_message = judge_by_body});
    gnatter_amqp *c = client_to(k);
    gnatter_amqp_sender *s = sender_to(c, "in");
    assert_int_equal(gnatter_amqp_sender_ready(s, SOON_MS), 0);
    gnatter_amqp_sender_get_info(s, &info);
    assert_int_equal(info.message_max, 1000);
    assert_int_equal(send_text(s, body, NULL), GNATTER_ETOOBIG);
    free(body);
    gnatter_amqp_free(c);
    gnatter_amqp_container_free(k);
}

/* ---- Requests */

static gnatter_amqp_message *request(const char *reply_to, const char *words)
{
    gnatter_amqp_message *m = text(words);
    if (reply_to)
        gnatter_amqp_set(m, GNATTER_AMQP_REPLY_TO, gnatter_amqp_string(reply_to));
    gnatter_amqp_set(m, GNATTER_AMQP_MESSAGE_ID, gnatter_amqp_string("id"));
    return m;
}

static void assert_answer(gnatter_amqp_receiver *r, const char *words, const char *id)
{
    gnatter_amqp_delivery *d;
    struct gnatter_amqp_value v;
    assert_int_equal(gnatter_amqp_receive(r, SOON_MS, &d), 0);
    const gnatter_amqp_message *m = gnatter_amqp_delivery_message(d);
    struct gnatter_bytes body = gnatter_amqp_body_bytes(m);
    assert_int_equal(body.size, strlen(words));
    assert_memory_equal(body.data, words, body.size);
    assert_true(gnatter_amqp_get(m, GNATTER_AMQP_CORRELATION_ID, &v));
    assert_true(gnatter_amqp_is(&v, id));
    assert_int_equal(gnatter_amqp_accept(d), 0);
}

static void requests(void **state)
{
    (void)state;
    struct gnatter_amqp_outcome o;
    struct gnatter_amqp_link_info info;
    gnatter_amqp_container *k =
        container(&(struct gnatter_amqp_node){.address = "echo", .on_request = echo});
    gnatter_amqp *c = client_to(k);
    gnatter_amqp_sender *s = sender_to(c, "echo");
    gnatter_amqp_message *m = request(NULL, "to nobody");
    assert_int_equal(gnatter_amqp_send_wait(s, m, SOON_MS, &o), GNATTER_EREFUSED);
    assert_string_equal(o.why.condition, "amqp:not-found");
    gnatter_amqp_message_free(m);

    gnatter_amqp_receiver *r = receiver_by(c, &(struct gnatter_amqp_link){.dynamic = true});
    assert_int_equal(gnatter_amqp_receiver_ready(r, SOON_MS), 0);
    gnatter_amqp_receiver_get_info(r, &info);
    m = request(info.address, "hello");
    assert_int_equal(gnatter_amqp_send_wait(s, m, SOON_MS, &o), 0);
    assert_answer(r, "hello", "id");
    gnatter_amqp_set(m, GNATTER_AMQP_CORRELATION_ID, gnatter_amqp_string("other"));
    assert_int_equal(gnatter_amqp_send_wait(s, m, SOON_MS, &o), 0);
    assert_answer(r, "hello", "other");

    /* Another connection has no such address. */
    gnatter_amqp *other = client_to(k);
    assert_int_equal(gnatter_amqp_send_wait(sender_to(other, "echo"), m, SOON_MS, &o),
                     GNATTER_EREFUSED);
    gnatter_amqp_message_free(m);
    gnatter_amqp_free(other);
    gnatter_amqp_free(c);
    gnatter_amqp_container_free(k);
}

/* The answer comes from another thread, when the program has the time. */
static void answered_late(void **state)
{
    (void)state;
    struct gnatter_amqp_link_info info;
    gnatter_amqp_container *k =
        container(&(struct gnatter_amqp_node){.address = "slow", .on_request = keep});
    gnatter_amqp *c = client_to(k);
    gnatter_amqp_receiver *r = receiver_by(c, &(struct gnatter_amqp_link){.dynamic = true});
    assert_int_equal(gnatter_amqp_receiver_ready(r, SOON_MS), 0);
    gnatter_amqp_receiver_get_info(r, &info);
    gnatter_amqp_message *m = request(info.address, "hello"), *answer = text("at last");
    gnatter_amqp_sender *s = sender_to(c, "slow");
    assert_int_equal(gnatter_amqp_send(s, m, on_outcome, NULL), 0);
    assert_int_equal(gnatter_amqp_send(s, m, on_outcome, NULL), 0);
    soon(&seen.given);
    soon(&seen.given);
    assert_int_equal(gnatter_amqp_reply(seen.deliveries[0], answer), 0);
    assert_answer(r, "at last", "id");
    gnatter_amqp_receiver_free(r);
    soon(&seen.outcome);
    /* The second one's address goes with its receiver. */
    struct gnatter_amqp_link_info now;
    r = receiver_by(c, &(struct gnatter_amqp_link){.dynamic = true});
    assert_int_equal(gnatter_amqp_receiver_ready(r, SOON_MS), 0);
    gnatter_amqp_receiver_get_info(r, &now);
    assert_string_not_equal(now.address, info.address);
    assert_int_equal(gnatter_amqp_reply(seen.deliveries[1], answer), GNATTER_ENOTFOUND);
    soon(&seen.outcome);
    assert_int_equal(seen.outcomes[GNATTER_AMQP_ACCEPTED], 1);
    assert_int_equal(seen.outcomes[GNATTER_AMQP_REJECTED], 1);
    gnatter_amqp_message_free(m);
    gnatter_amqp_message_free(answer);
    gnatter_amqp_free(c);
    gnatter_amqp_container_free(k);
}

/* ---- Sources */

static void a_source(void **state)
{
    (void)state;
    gnatter_amqp_delivery *d;
    gnatter_amqp_container *k = container(&(struct gnatter_amqp_node){
        .address = "out", .on_wanted = three_at_once, .on_unwanted = gone});
    gnatter_amqp *c = client_to(k);
    gnatter_amqp_receiver *r =
        receiver_by(c, &(struct gnatter_amqp_link){.address = "out", .manual = true});
    assert_int_equal(gnatter_amqp_receiver_credit(r, 5), 0);
    soon(&seen.wanted);
    assert_int_equal(seen.credit, 5);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(gnatter_amqp_receive(r, SOON_MS, &d), 0);
        assert_int_equal(i ? gnatter_amqp_accept(d) : gnatter_amqp_release(d), 0);
        soon(&seen.outcome);
    }
    assert_int_equal(seen.outcomes[GNATTER_AMQP_ACCEPTED], 2);
    assert_int_equal(seen.outcomes[GNATTER_AMQP_RELEASED], 1);
    give(seen.sender, "more"); /* by itself, as there is credit */
    assert_int_equal(gnatter_amqp_receive(r, SOON_MS, &d), 0);
    assert_int_equal(gnatter_amqp_accept(d), 0);
    soon(&seen.outcome);
    assert_int_equal(gnatter_amqp_receiver_drain(r, SOON_MS), 0);
    assert_true(seen.drain);
    give(seen.sender, "without credit");
    gnatter_amqp_receiver_free(r);
    soon(&seen.unwanted);
    assert_int_equal(seen.outcomes[GNATTER_AMQP_NO_STATE], 1); /* it was told before */
    gnatter_amqp_free(c);
    gnatter_amqp_container_free(k);
    assert_int_equal(seen.unwanted_count, 1);
}

/* What is not settled when the connection breaks has an outcome, and then the sender goes. */
static void a_source_that_is_left(void **state)
{
    (void)state;
    gnatter_amqp_delivery *d;
    gnatter_amqp_container *k = container(&(struct gnatter_amqp_node){
        .address = "out", .on_wanted = three_at_once, .on_unwanted = gone});
    gnatter_amqp *c = client_to(k);
    gnatter_amqp_receiver *r = receiver_by(c, &(struct gnatter_amqp_link){.address = "out"});
    assert_int_equal(gnatter_amqp_receive(r, SOON_MS, &d), 0);
    gnatter_amqp_free(c);
    soon(&seen.unwanted);
    assert_int_equal(seen.outcomes[GNATTER_AMQP_NO_STATE], 3);
    gnatter_amqp_container_free(k);
}

/* The program may be the one that ends it. */
static void a_source_that_leaves(void **state)
{
    (void)state;
    gnatter_amqp_delivery *d;
    gnatter_amqp_container *k = container(&(struct gnatter_amqp_node){
        .address = "out", .on_wanted = three_at_once, .on_unwanted = gone});
    gnatter_amqp *c = client_to(k);
    gnatter_amqp_receiver *r = receiver_by(c, &(struct gnatter_amqp_link){.address = "out"});
    assert_int_equal(gnatter_amqp_receive(r, SOON_MS, &d), 0);
    soon(&seen.wanted);
    gnatter_amqp_sender_free(seen.sender);
    while (gnatter_amqp_receive(r, SOON_MS, &d) == 0)
        continue;
    assert_int_equal(gnatter_amqp_receive(r, SOON_MS, &d), GNATTER_EREFUSED);
    gnatter_amqp_free(c);
    gnatter_amqp_container_free(k);
    assert_int_equal(seen.unwanted_count, 0);
}

/* ---- Who may do what */

static enum gnatter_amqp_answer on_link(const struct gnatter_amqp_wish *wish,
                                        struct gnatter_amqp_node *node,
                                        struct gnatter_amqp_error *why, void *context)
{
    seen.wish = *wish;
    (void)context;
    (void)snprintf(seen.address, sizeof seen.address, "%s", wish->address);
    (void)snprintf(seen.link, sizeof seen.link, "%s", wish->link);
    (void)snprintf(seen.peer, sizeof seen.peer, "%s", wish->container);
    (void)snprintf(seen.user, sizeof seen.user, "%s", wish->user);
    if (strcmp(wish->address, "made up") == 0) {
        *node = (struct gnatter_amqp_node){.on_message = judge_by_body};
        return GNATTER_AMQP_HERE;
    }
    if (strcmp(wish->address, "secret") == 0) {
        (void)snprintf(why->description, sizeof why->description, "go away");
        return GNATTER_AMQP_REFUSE;
    }
    return GNATTER_AMQP_USUAL;
}

static void assert_refused(gnatter_amqp *c, const struct gnatter_amqp_link *link, bool sends,
                           const char *condition)
{
    struct gnatter_amqp_link_info info;
    gnatter_amqp_sender *s = NULL;
    if (sends) {
        assert_int_equal(gnatter_amqp_sender_new(c, link, &s), 0);
        assert_int_equal(gnatter_amqp_sender_ready(s, SOON_MS), GNATTER_EREFUSED);
        gnatter_amqp_sender_get_info(s, &info);
    } else {
        gnatter_amqp_receiver *r = receiver_by(c, link);
        assert_int_equal(gnatter_amqp_receiver_ready(r, SOON_MS), GNATTER_EREFUSED);
        gnatter_amqp_receiver_get_info(r, &info);
    }
    assert_string_equal(info.why.condition, condition);
}

static void links_are_decided(void **state)
{
    (void)state;
    struct gnatter_amqp_container_options o = usual();
    o.on_link = on_link;
    gnatter_amqp_container *k =
        container_with(&o,
                       &(struct gnatter_amqp_node){.address = "in", .on_message = judge_by_body});
    struct gnatter_amqp_options own = options_to(k);
    own.container_id = "me";
    gnatter_amqp *c = client_by(&own);
    assert_int_equal(send_text(sender_to(c, "in"), "m", NULL), 0);
    assert_int_equal(send_text(sender_to(c, "made up"), "m", NULL), 0);
    assert_true(seen.wish.sends);
    assert_string_equal(seen.peer, "me");
    assert_string_equal(seen.user, "");
    assert_refused(c, &(struct gnatter_amqp_link){.address = "secret"}, true,
                   "amqp:unauthorized-access");
    assert_refused(c, &(struct gnatter_amqp_link){.address = "nowhere"}, true, "amqp:not-found");
    assert_refused(c, &(struct gnatter_amqp_link){.address = "in"}, false, "amqp:not-allowed");
    assert_refused(c, &(struct gnatter_amqp_link){.address = "made up"}, false, "amqp:not-allowed");
    assert_refused(c, &(struct gnatter_amqp_link){.dynamic = true}, false, "amqp:not-implemented");
    assert_int_equal(gnatter_amqp_container_remove(k, "in"), 0);
    assert_int_equal(gnatter_amqp_container_remove(k, "in"), GNATTER_ENOTFOUND);
    assert_refused(c, &(struct gnatter_amqp_link){.address = "in"}, true, "amqp:not-found");
    gnatter_amqp_free(c);
    gnatter_amqp_container_free(k);
}

static void no_transactions(void **state)
{
    (void)state;
    gnatter_amqp_transaction *t;
    struct gnatter_amqp_error why;
    gnatter_amqp_container *k = container(NULL);
    gnatter_amqp *c = client_to(k);
    assert_int_equal(gnatter_amqp_declare(c, NULL, SOON_MS, &t, &why), GNATTER_EREFUSED);
    assert_string_equal(why.condition, "amqp:not-implemented");
    gnatter_amqp_free(c);
    gnatter_amqp_container_free(k);
}

static bool on_login(const char *user, const char *password, void *context)
{
    (void)context;
    return strcmp(user, "user") == 0 && strcmp(password, "secret") == 0;
}

static void passwords(void **state)
{
    (void)state;
    struct gnatter_amqp_container_options o = usual();
    o.on_login = on_login;
    o.on_link = on_link;
    gnatter_amqp_container *k =
        container_with(&o,
                       &(struct gnatter_amqp_node){.address = "in", .on_message = judge_by_body});
    static const struct {
        const char *user, *password, *mechanism;
        int error;
    } rows[] = {
        {"user", "secret", NULL, 0},
        {"user", "wrong", NULL, GNATTER_EDENIED},
        {NULL, NULL, NULL, GNATTER_EDENIED},
        {NULL, NULL, "none", GNATTER_EUNSUPPORTED}, /* without SASL */
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnatter_amqp_options own = options_to(k);
        own.user = rows[i].user;
        own.password = rows[i].password;
        own.mechanism = rows[i].mechanism;
        gnatter_amqp *c = client_by(&own);
        assert_int_equal(gnatter_amqp_connect(c, SOON_MS), rows[i].error);
        if (!rows[i].error)
            assert_int_equal(send_text(sender_to(c, "in"), "m", NULL), 0);
        gnatter_amqp_free(c);
    }
    assert_string_equal(seen.user, "user");
    gnatter_amqp_container_free(k);
}

/* One more than may be is closed; when one goes there is room. */
static void connections_are_bounded(void **state)
{
    (void)state;
    struct gnatter_amqp_container_options o = usual();
    o.connections = 1;
    gnatter_amqp_container *k = container_with(&o, NULL);
    gnatter_amqp *first = client_to(k), *second = client_to(k);
    assert_int_equal(gnatter_amqp_connect(first, SOON_MS), 0);
    assert_int_not_equal(gnatter_amqp_connect(second, SOON_MS), 0);
    gnatter_amqp_free(first);
    const time_t until = time(NULL) + SOON_MS / 1000;
    while (gnatter_amqp_connect(second, SOON_MS) && time(NULL) < until)
        continue;
    struct gnatter_amqp_info info;
    gnatter_amqp_get_info(second, &info);
    assert_true(info.connected);
    gnatter_amqp_free(second);
    gnatter_amqp_container_free(k);
}

/* ---- Odd peers */

/* A socket to K that has said WORDS. */
static int raw_peer(gnatter_amqp_container *k, struct gnt_slice words)
{
    const char *port = strrchr(gnatter_amqp_container_url(k, 0), ':') + 1;
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)strtoul(port, NULL, 10)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    const struct timeval patience = {.tv_sec = SOON_MS / 1000};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    if (words.size)
        assert_int_equal(send(fd, words.data, words.size, MSG_NOSIGNAL), words.size);
    return fd;
}

/* What the container says up to the end, which has to come. */
static size_t hear(int fd, uint8_t *out, size_t cap)
{
    size_t size = 0;
    ssize_t n;
    while (size < cap && (n = read(fd, out + size, cap - size)) > 0)
        size += (size_t)n;
    assert_true(size < cap && n == 0);
    close(fd);
    return size;
}

static void odd_peers(void **state)
{
    (void)state;
    static const uint8_t unfinished[] = "AMQP\0\1\0\0\0\0\0\x10\2\0\0\0\0SX";
    uint8_t heard[512];
    struct gnatter_amqp_container_options o = usual();
    o.login_timeout_ms = 300;
    gnatter_amqp_container *k =
        container_with(&o,
                       &(struct gnatter_amqp_node){.address = "in", .on_message = judge_by_body});
    int silent = raw_peer(k, gnt_slice(NULL, 0));
    size_t size = hear(raw_peer(k, gnt_slice_str("GET / HTTP/1.1\r\n\r\n")), heard, sizeof heard);
    assert_true(size >= 8);
    assert_memory_equal(heard, "AMQP", 4);
    int slow = raw_peer(k, gnt_slice(unfinished, sizeof unfinished - 1));
    (void)hear(slow, heard, sizeof heard);
    (void)hear(silent, heard, sizeof heard);
    gnatter_amqp *c = client_to(k);
    assert_int_equal(send_text(sender_to(c, "in"), "m", NULL), 0);
    gnatter_amqp_free(c);
    gnatter_amqp_container_free(k);
}

/* A session's end is its links' end, and of nothing else. */
static void sessions(void **state)
{
    (void)state;
    gnatter_amqp_session *session = NULL;
    gnatter_amqp_container *k = container(&(struct gnatter_amqp_node){
        .address = "out", .on_wanted = three_at_once, .on_unwanted = gone});
    assert_int_equal(gnatter_amqp_container_add(k, &(struct gnatter_amqp_node){.address = "in",
                                                                               .on_message =
                                                                                   judge_by_body}),
                     0);
    gnatter_amqp *c = client_to(k);
    gnatter_amqp_sender *s = sender_to(c, "in");
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(gnatter_amqp_session_new(c, &session), 0);
        (void)receiver_by(c, &(struct gnatter_amqp_link){.address = "out", .session = session});
        soon(&seen.wanted);
        gnatter_amqp_session_free(session);
        soon(&seen.unwanted);
        assert_int_equal(send_text(s, "m", NULL), 0);
    }
    gnatter_amqp_free(c);
    gnatter_amqp_container_free(k);
    assert_int_equal(seen.unwanted_count, 3);
}

/* The program's thread lets go of a sender while its connection ends. */
static void left_by_both(void **state)
{
    (void)state;
    gnatter_amqp_container *k =
        container(&(struct gnatter_amqp_node){.address = "out", .on_wanted = three_at_once});
    gnatter_amqp *clients[8];
    for (size_t i = 0; i < COUNT_OF(clients); i++) {
        clients[i] = client_to(k);
        (void)receiver_by(clients[i], &(struct gnatter_amqp_link){.address = "out"});
        soon(&seen.wanted);
        gnatter_amqp_sender_free(seen.sender);
        gnatter_amqp_free(clients[i]);
    }
    gnatter_amqp_container_free(k);
}

/* ---- TLS */

static X509 *issue(enum gnt_issue_role role, const char *subject, EVP_PKEY *key, X509 *issuer,
                   const char *file)
{
    static char address[] = "127.0.0.1";
    char *names[] = {address};
    struct gnt_pki_why why;
    struct gnt_buf pem = {0};
    X509 *certificate = NULL;
    const int64_t now = (int64_t)time(NULL);
    const struct gnt_issue plan = {.role = role,
                                   .subject = subject,
                                   .names = names,
                                   .name_count = role == GNT_ISSUE_SERVER,
                                   .from = now - DAY,
                                   .until =
                                       now + (issuer ? 1 : 2) * DAY, /* within its issuer's time */
                                   .path_length = -1};
    assert_int_equal(gnt_issue(&plan, key, issuer, issuer ? key : NULL, &certificate, &why),
                     GNT_OK);
    assert_int_equal(gnt_certs_write(certificate, &pem), GNT_OK);
    assert_int_equal(gnt_key_write(key, NULL, &pem, &why), GNT_OK);
    FILE *out = fopen(in_directory(file), "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(gnt_buf_slice(&pem).data, 1, gnt_buf_size(&pem), out),
                     gnt_buf_size(&pem));
    assert_int_equal(fclose(out), 0);
    gnt_buf_fini(&pem);
    return certificate;
}

static void make_pki(void)
{
    struct gnt_pki_why why;
    EVP_PKEY *key;
    (void)snprintf(directory, sizeof directory, "/tmp/gnatter-container-XXXXXX");
    assert_non_null(mkdtemp(directory));
    assert_int_equal(gnt_key_make("ec:P-256", &key, &why), GNT_OK);
    X509 *ca = issue(GNT_ISSUE_CA, "CN=ca", key, NULL, "ca.pem");
    X509_free(issue(GNT_ISSUE_SERVER, "CN=server", key, ca, "server.pem"));
    X509_free(issue(GNT_ISSUE_CLIENT, "CN=one", key, ca, "client.pem"));
    X509_free(ca);
    EVP_PKEY_free(key);
}

static void free_pki(void)
{
    static const char *const files[] = {"ca.pem", "server.pem", "client.pem"};
    for (size_t i = 0; i < COUNT_OF(files); i++)
        (void)unlink(in_directory(files[i]));
    (void)rmdir(directory);
}

static void by_tls(void **state)
{
    (void)state;
    static const char *const listeners[] = {"amqps://127.0.0.1:0"};
    make_pki();
    struct gnatter_amqp_container_options o = usual();
    o.listeners = listeners;
    o.tls.identity.certificate = in_directory("server.pem");
    o.tls.ca_file = in_directory("ca.pem");
    o.on_login = on_login; /* so nobody comes without saying who it is */
    o.on_link = on_link;
    gnatter_amqp_container *k =
        container_with(&o,
                       &(struct gnatter_amqp_node){.address = "in", .on_message = judge_by_body});
    struct gnatter_amqp_options own = options_to(k);
    own.tls.ca_file = in_directory("ca.pem");
    own.tls.identity.certificate = in_directory("client.pem");
    gnatter_amqp *c = client_by(&own);
    assert_int_equal(send_text(sender_to(c, "in"), "m", NULL), 0);
    assert_string_equal(seen.user, "one");
    gnatter_amqp_free(c);

    own.tls.identity.certificate = NULL;
    c = client_by(&own);
    assert_int_not_equal(gnatter_amqp_connect(c, SOON_MS), 0);
    gnatter_amqp_free(c);
    gnatter_amqp_container_free(k);
    free_pki();
}

/* ---- Options, birth and end */

static void bad_options(void **state)
{
    (void)state;
    static const char *const bad[] = {"mqtt://127.0.0.1:0", "amqps://127.0.0.1:0", "nonsense",
                                      "amqp://127.0.0.1:1:2"};
    static const char *const open[] = {"amqp://0.0.0.0:0"};
    static const char *const words[] = {"expected amqp, amqps or unix", "TLS needs a certificate",
                                        "expected a URL", "amqp://127.0.0.1:1:2: "};
    char problem[256];
    struct gnatter_amqp_container_options o = usual();
    gnatter_amqp_container *k = NULL;
    o.problem = problem;
    o.problem_size = sizeof problem;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        o.listeners = &bad[i];
        assert_int_equal(gnatter_amqp_container_new(&o, &k), GNATTER_EINVALID);
        assert_non_null(strstr(problem, words[i]));
    }
    o.listeners = open;
    assert_int_equal(gnatter_amqp_container_new(&o, &k), GNATTER_EDENIED);
    assert_non_null(strstr(problem, "allow_anonymous"));
    o.on_login = on_login; /* who could say a password that is not overheard? */
    assert_int_equal(gnatter_amqp_container_new(&o, &k), GNATTER_EINVALID);
    o.allow_plain = true;
    assert_int_equal(gnatter_amqp_container_new(&o, &k), 0);
    gnatter_amqp_container_free(k);
    o = usual();
    o.problem = problem;
    o.problem_size = sizeof problem;
    o.tls.identity.certificate = "/nonexistent";
    assert_int_equal(gnatter_amqp_container_new(&o, &k), GNATTER_EINVALID);
    assert_non_null(strstr(problem, "/nonexistent"));
    o = usual();
    o.tls.alpn = "amqp";
    assert_int_equal(gnatter_amqp_container_new(&o, &k), GNATTER_EINVALID);
    o = usual();
    o.connections = 0;
    assert_int_equal(gnatter_amqp_container_new(&o, &k), GNATTER_EINVALID);
}

static void addresses(void **state)
{
    (void)state;
    char path[64], url[80];
    const char *urls[2];
    (void)snprintf(path, sizeof path, "/tmp/gnatter-container-%ld", (long)getpid());
    (void)snprintf(url, sizeof url, "unix://%s", path);
    urls[0] = "amqp://localhost:0";
    urls[1] = url;
    struct gnatter_amqp_container_options o = usual();
    o.listeners = urls;
    o.listener_count = 2;
    gnatter_amqp_container *k = NULL, *second = NULL;
    assert_int_equal(gnatter_amqp_container_new(&o, &k), 0);
    const struct gnatter_amqp_node node = {.address = "in", .on_message = judge_by_body};
    assert_int_equal(gnatter_amqp_container_add(k, &node), 0);
    assert_int_equal(gnatter_amqp_container_add(k, &node), GNATTER_EEXISTS);
    assert_int_equal(gnatter_amqp_container_add(k, &(struct gnatter_amqp_node){.address = ""}),
                     GNATTER_EINVALID);
    assert_int_equal(gnatter_amqp_container_start(k), 0);
    assert_int_equal(gnatter_amqp_container_start(k), GNATTER_ESTATE);
    size_t count = 0;
    while (gnatter_amqp_container_url(k, count))
        count++;
    assert_string_equal(gnatter_amqp_container_url(k, count - 1), url);
    for (size_t i = 0; i < count; i++) {
        struct gnatter_amqp_options own = options_to(k);
        own.url = gnatter_amqp_container_url(k, i);
        gnatter_amqp *c = client_by(&own);
        assert_int_equal(send_text(sender_to(c, "in"), "m", NULL), 0);
        gnatter_amqp_free(c);
    }
    const char *taken = gnatter_amqp_container_url(k, 0);
    o.listeners = &taken;
    o.listener_count = 1;
    assert_int_equal(gnatter_amqp_container_new(&o, &second), GNATTER_EBUSY);
    gnatter_amqp_container_free(k);
    assert_int_not_equal(access(path, F_OK), 0);
    gnatter_amqp_container_free(NULL);
}

static void born_without_memory(void **state)
{
    (void)state;
    const struct gnatter_amqp_container_options o = usual();
    gnatter_amqp_container *k = NULL;
    long n = 0;
    while (gnt_alloc_fail_at(n), gnatter_amqp_container_new(&o, &k) != 0) {
        assert_true(gnt_alloc_failed());
        n++;
    }
    gnt_alloc_fail_at(-1);
    assert_true(n > 4);
    gnatter_amqp_container_free(k);
}

/* Whatever fails, on whichever side, costs one connection at most; errors are fine meanwhile. */
static void served_without_memory(void **state)
{
    (void)state;
    enum { FAILURES = 120, MOMENT_MS = 2000 };
    gnatter_amqp_container *k =
        container(&(struct gnatter_amqp_node){.address = "in", .on_message = judge_by_body});
    assert_int_equal(gnatter_amqp_container_add(k, &(struct gnatter_amqp_node){.address = "out",
                                                                               .on_wanted =
                                                                                   three_at_once}),
                     0);
    gnatter_amqp_message *m = text("m");
    for (long n = 0; n < FAILURES; n++) {
        gnatter_amqp_sender *s = NULL;
        gnatter_amqp_receiver *r = NULL;
        gnatter_amqp_delivery *d = NULL;
        gnatter_amqp *c = client_to(k);
        gnt_alloc_fail_at(n);
        int err = gnatter_amqp_sender_new(c, &(struct gnatter_amqp_link){.address = "in"}, &s);
        if (!err)
            err = gnatter_amqp_send_wait(s, m, MOMENT_MS, NULL);
        if (!err)
            err = gnatter_amqp_receiver_new(c, &(struct gnatter_amqp_link){.address = "out"}, &r);
        if (!err && !gnatter_amqp_receive(r, MOMENT_MS, &d))
            (void)gnatter_amqp_accept(d);
        gnt_alloc_fail_at(-1);
        gnatter_amqp_free(c);
    }
    gnatter_amqp_message_free(m);
    gnatter_amqp *c = client_to(k);
    assert_int_equal(send_text(sender_to(c, "in"), "m", NULL), 0);
    gnatter_amqp_free(c);
    gnatter_amqp_container_free(k);
}

/* ---- Many threads */

static void *asks(void *url)
{
    struct gnatter_amqp_options o;
    struct gnatter_amqp_link_info info;
    gnatter_amqp_options_init(&o);
    o.url = url;
    gnatter_amqp *c = client_by(&o);
    gnatter_amqp_receiver *r = receiver_by(c, &(struct gnatter_amqp_link){.dynamic = true});
    gnatter_amqp_sender *s = sender_to(c, "echo");
    assert_int_equal(gnatter_amqp_receiver_ready(r, SOON_MS), 0);
    gnatter_amqp_receiver_get_info(r, &info);
    for (int i = 0; i < 50; i++) {
        gnatter_amqp_message *m = request(info.address, "hello");
        assert_int_equal(gnatter_amqp_send(s, m, NULL, NULL), 0);
        gnatter_amqp_message_free(m);
    }
    for (int i = 0; i < 50; i++)
        assert_answer(r, "hello", "id");
    gnatter_amqp_free(c);
    return NULL;
}

static void many_peers(void **state)
{
    (void)state;
    enum { PEERS = 4 };
    pthread_t threads[PEERS];
    gnatter_amqp_container *k =
        container(&(struct gnatter_amqp_node){.address = "echo", .on_request = echo});
    char url[128];
    (void)snprintf(url, sizeof url, "%s", gnatter_amqp_container_url(k, 0));
    for (int i = 0; i < PEERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, asks, url), 0);
    for (int i = 0; i < PEERS; i++)
        pthread_join(threads[i], NULL);
    gnatter_amqp_container_free(k);
}

#define ONE(test) cmocka_unit_test_setup(test, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONE(every_outcome),
        ONE(in_both_settle_modes),
        ONE(credit_is_bounded),
        ONE(outlived_deliveries),
        ONE(too_large),
        ONE(requests),
        ONE(answered_late),
        ONE(a_source),
        ONE(a_source_that_is_left),
        ONE(a_source_that_leaves),
        ONE(links_are_decided),
        ONE(no_transactions),
        ONE(passwords),
        ONE(connections_are_bounded),
        ONE(odd_peers),
        ONE(sessions),
        ONE(left_by_both),
        ONE(by_tls),
        ONE(bad_options),
        ONE(addresses),
        ONE(born_without_memory),
        ONE(served_without_memory),
        ONE(many_peers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
