/* Clients that come, go, subscribe, publish, answer and stall at random, from a seed, beside a
 * model that knows what each of them is due. */
#include "support/unit.h"

#include "core/session.h"

#include "base/random.h"
#include "model/topic.h"
#include "support/core_world.h"

#include <stdio.h>
#include <stdlib.h>

enum { SEEDS = 300, STEPS = 700, CLIENTS = 6, MESSAGES = 1000, PENDING = 2048, FOREVER = 1000000 };

static const char *const topics[] = {"a/x", "a/y", "b", "s/1", "s/2"};
static const char *const filters[] = {"a/x", "a/+",          "a/#",         "b",
                                      "+",   "$share/g/s/#", "$share/h/s/+"};
enum { TOPICS = 5, PLAIN_TOPICS = 3, FILTERS = 7, PLAIN_FILTERS = 5 };

struct message {
    uint8_t qos;
    unsigned publisher, topic;
};

struct pending {
    uint16_t id;
    uint8_t qos;
    bool released; /* PUBREL has come: what is missing is PUBCOMP */
};

struct client {
    char id[16];
    struct world_client c;
    bool alive; /* there is a session */
    uint32_t expiry;
    size_t taken; /* deliveries looked at */
    struct pending pending[PENDING];
    size_t pending_count;
    bool held[65536]; /* exactly-once ids between PUBLISH and PUBREL */
    bool subscribed[FILTERS];
    uint8_t sub_qos[FILTERS];
    uint8_t due[MESSAGES]; /* the QoS that it must get it at, 0: nothing is due */
    uint8_t got[MESSAGES]; /* copies, repetitions by packet id not counted */
    int last[CLIENTS][TOPICS][3];
};

struct life {
    struct world w;
    struct gnt_seeded g;
    struct client clients[CLIENTS];
    struct message messages[MESSAGES];
    unsigned message_count;
    uint8_t shared_got[2][MESSAGES]; /* by all members of each group */
    bool retained[TOPICS];
    bool bounded; /* queues are short, and what they drop is counted */
};

static unsigned below(struct life *l, unsigned n)
{
    return (unsigned)gnt_random_below(&l->g.door, n);
}

static struct gnt_slice text(const char *t)
{
    return gnt_slice(t, strlen(t));
}

/* ---- What clients are sent */

static void note(struct life *l, struct client *c, const struct world_delivery *d)
{
    if (d->retain || !d->payload[0])
        return;
    unsigned n = (unsigned)atoi(d->payload);
    const struct message *m = &l->messages[n];
    assert_true(n < l->message_count);
    assert_string_equal(d->topic, topics[m->topic]);
    if (m->topic >= PLAIN_TOPICS) {
        l->shared_got[d->ids[0] - 1][n]++;
        return;
    }
    if (c->got[n]++ == 0) {
        int *last = &c->last[m->publisher][m->topic][d->qos];
        assert_true((int)n > *last); /* order per publisher and topic */
        *last = (int)n;
    }
    assert_true(d->qos == 1 || c->got[n] == 1);
}

static void take(struct life *l, struct client *c)
{
    for (; c->taken < c->c.count; c->taken++) {
        struct world_delivery *d = &c->c.got[c->taken];
        bool first = d->qos < 2 || !c->held[d->id];
        if (d->qos == 2)
            c->held[d->id] = true;
        if (first)
            note(l, c, d);
        if (d->qos > 0) {
            assert_true(c->pending_count < PENDING);
            c->pending[c->pending_count++] = (struct pending){.id = d->id, .qos = d->qos};
        }
    }
    for (size_t i = 0; i < c->c.released_count; i++)
        c->pending[c->pending_count++] = (struct pending){c->c.released[i], 2, true};
    c->c.released_count = 0;
}

/* The connection breaks; maybe before what was sent last has arrived. */
static void break_off(struct life *l, struct client *c)
{
    if (below(l, 2))
        take(l, c);
    c->taken = c->c.count;
    c->c.released_count = 0;
    c->pending_count = 0;
}

/* Answers the Ith; what happens next in its flow. */
static void answer(struct life *l, struct client *c, size_t i)
{
    struct pending *p = &c->pending[i];
    struct gnt_session *s = c->c.session;
    if (p->qos == 2 && !p->released) {
        assert_int_equal(gnt_session_received(s, p->id, false), GNT_OK);
        p->released = true;
        return;
    }
    if (p->qos == 2)
        c->held[p->id] = false; /* before the id can come again */
    uint16_t id = p->id;
    uint8_t qos = p->qos;
    memmove(p, p + 1, (--c->pending_count - i) * sizeof *p);
    assert_true(qos == 1 ? gnt_session_acknowledged(s, id, NULL) : gnt_session_completed(s, id));
    take(l, c);
}

/* ---- What they do */

static void session_ended(struct client *c)
{
    c->alive = false;
    memset(c->held, 0, sizeof c->held);
    memset(c->subscribed, 0, sizeof c->subscribed);
    memset(c->due, 0, sizeof c->due);
}

static void disconnect(struct life *l, struct client *c)
{
    if (!c->c.session)
        return;
    break_off(l, c);
    world_cut(&c->c);
    if (c->expiry == 0)
        session_ended(c);
}

static void connect(struct life *l, struct client *c, bool clean, uint32_t expiry)
{
    break_off(l, c);
    c->c.busy = false;
    c->c.receive_max = (uint16_t)(1 + below(l, 6));
    bool goes_on = c->alive && !clean && (!c->c.session || c->expiry > 0);
    if (c->alive && !goes_on)
        session_ended(c);
    assert_true(world_connect(&l->w, &c->c, clean, expiry));
    assert_true(c->c.present == goes_on);
    c->alive = true;
    c->expiry = expiry;
    take(l, c);
}

static void subscribe(struct life *l, struct client *c, unsigned filter)
{
    if (!c->c.session)
        return;
    world_settle(&l->w); /* so that nothing is under way that one would have to guess about */
    struct gnt_sub_options o = {.qos = (uint8_t)below(l, 3)};
    if (filter >= PLAIN_FILTERS)
        o = (struct gnt_sub_options){.qos = 2, .id = filter - PLAIN_FILTERS + 1};
    assert_int_equal(world_subscribe_with(&c->c, filters[filter], &o, GNT_RETAIN_SEND), GNT_DONE);
    c->subscribed[filter] = true;
    c->sub_qos[filter] = o.qos;
}

static void unsubscribe(struct life *l, struct client *c, unsigned filter)
{
    if (!c->c.session)
        return;
    world_settle(&l->w);
    enum gnt_outcome expected = c->subscribed[filter] ? GNT_DONE : GNT_DONE_NO_MATCH;
    assert_int_equal(gnt_session_unsubscribe(c->c.session, text(filters[filter])), expected);
    c->subscribed[filter] = false;
}

static void expect(struct client *c, unsigned n, const struct message *m)
{
    uint8_t most = 0;
    for (unsigned f = 0; f < PLAIN_FILTERS; f++)
        if (c->subscribed[f] && gnt_topic_matches(text(filters[f]), text(topics[m->topic])) &&
            c->sub_qos[f] > most)
            most = c->sub_qos[f];
    c->due[n] = most < m->qos ? most : m->qos;
}

static void publish(struct life *l)
{
    if (l->message_count == MESSAGES)
        return;
    unsigned n = l->message_count++;
    struct message *m = &l->messages[n];
    *m = (struct message){(uint8_t)below(l, 3), below(l, CLIENTS), below(l, TOPICS)};
    bool retain = below(l, 8) == 0, empty = retain && below(l, 2);
    char payload[12] = "";
    if (!empty)
        snprintf(payload, sizeof payload, "%u", n);
    if (retain)
        l->retained[m->topic] = !empty;
    unsigned home = world_home(&l->clients[m->publisher].c)->index;
    assert_int_not_equal(world_publish(&l->w, home, topics[m->topic], payload, m->qos, retain),
                         GNT_FAILED);
    if (empty)
        m->qos = 0; /* nobody can tell which one it is */
    for (unsigned i = 0; i < CLIENTS && !empty; i++)
        expect(&l->clients[i], n, m);
}

static void step(struct life *l)
{
    unsigned who = below(l, CLIENTS);
    struct client *c = &l->clients[who];
    switch (below(l, 16)) {
    case 0: /* the first one is a member of both groups and stays for ever */
        connect(l, c, who && below(l, 4) == 0, who == 0 || below(l, 3) ? FOREVER : 0);
        break;
    case 1:
        if (below(l, 2))
            disconnect(l, c);
        break;
    case 2: subscribe(l, c, below(l, FILTERS)); break;
    case 3: unsubscribe(l, c, below(l, who ? FILTERS : PLAIN_FILTERS)); break;
    case 4:
        c->c.busy = !c->c.busy;
        if (c->c.session && !c->c.busy)
            gnt_session_ready(c->c.session);
        break;
    case 5:
    case 6:
    case 7:
    case 8: publish(l); break;
    case 9: world_pass(&l->w, 1); break;
    case 10:
    case 11:
    case 12:
        take(l, c);
        if (c->c.session && c->pending_count)
            answer(l, c, below(l, 4) ? 0 : below(l, (unsigned)c->pending_count));
        break;
    default:
        for (int i = 0; i < 5; i++)
            world_mail_one(&l->w, below(l, l->w.homes), below(l, l->w.homes));
    }
}

/* ---- Truth */

static void calm(struct life *l)
{
    for (unsigned i = 0; i < CLIENTS; i++) {
        struct client *c = &l->clients[i];
        c->c.busy = false;
        if (c->c.session)
            gnt_session_ready(c->c.session);
        else if (c->alive)
            connect(l, c, false, c->expiry);
    }
    for (bool any = true; any;) {
        any = false;
        world_settle(&l->w);
        for (unsigned i = 0; i < CLIENTS; i++) {
            struct client *c = &l->clients[i];
            for (take(l, c); c->pending_count; any = true)
                answer(l, c, 0);
        }
    }
}

static void check(struct life *l)
{
    int64_t sessions = 0, plain = 0, shared = 0, retained = 0, lacking = 0;
    for (unsigned i = 0; i < CLIENTS; i++) {
        const struct client *c = &l->clients[i];
        sessions += c->alive;
        for (unsigned f = 0; f < FILTERS; f++)
            *(f < PLAIN_FILTERS ? &plain : &shared) += c->subscribed[f];
        for (unsigned n = 0; n < l->message_count; n++) {
            if (c->due[n] && !c->got[n] && !l->bounded)
                print_error("client %u lacks %u\n", i, n);
            lacking += c->due[n] && !c->got[n];
        }
    }
    for (unsigned t = 0; t < TOPICS; t++)
        retained += l->retained[t];
    for (unsigned n = 0; n < l->message_count; n++) {
        const struct message *m = &l->messages[n];
        for (int g = 0; g < 2 && m->topic >= PLAIN_TOPICS; g++) {
            lacking += m->qos == 1 && l->shared_got[g][n] == 0;
            assert_true(m->qos == 1 || l->shared_got[g][n] <= 1);
        }
    }
    assert_counted(&l->w, GNT_COUNT_CONNECTED, sessions);
    assert_counted(&l->w, GNT_COUNT_SESSIONS, sessions);
    assert_counted(&l->w, GNT_COUNT_SUBSCRIPTIONS, plain + shared);
    assert_counted(&l->w, GNT_COUNT_SHARED_SUBSCRIPTIONS, shared);
    assert_counted(&l->w, GNT_COUNT_RETAINED, retained);
    assert_counted(&l->w, GNT_COUNT_QUEUED, 0);
    assert_counted(&l->w, GNT_COUNT_QUEUED_BYTES, 0);
    assert_counted(&l->w, GNT_COUNT_DROPPED_NO_MEMORY, 0);
    if (!l->bounded)
        assert_counted(&l->w, GNT_COUNT_DROPPED_QUEUE_FULL, 0);
    assert_true(lacking <= world_counted(&l->w, GNT_COUNT_DROPPED_QUEUE_FULL));
}

static void end_all(struct life *l)
{
    for (unsigned i = 0; i < CLIENTS; i++) {
        struct client *c = &l->clients[i];
        if (c->c.session)
            gnt_session_close(c->c.session, GNT_PARTING_CLEAN, 0);
        world_client_fini(&c->c);
    }
    world_settle(&l->w);
    static const enum gnt_counter gauges[] = {
        GNT_COUNT_CONNECTED,     GNT_COUNT_SESSIONS,
        GNT_COUNT_SUBSCRIPTIONS, GNT_COUNT_SHARED_SUBSCRIPTIONS,
        GNT_COUNT_QUEUED,        GNT_COUNT_QUEUED_BYTES};
    for (size_t i = 0; i < COUNT_OF(gauges); i++)
        assert_counted(&l->w, gauges[i], 0);
    world_fini(&l->w);
}

static void live(struct life *l, uint64_t seed)
{
    memset(l, 0, sizeof *l);
    gnt_seeded_init(&l->g, seed);
    struct gnt_core_config config = world_config(1);
    l->bounded = seed % 3 == 0;
    if (l->bounded) {
        config.queued_per_session = 1 + below(l, 6);
        config.queued_bytes_per_session = below(l, 2) * 10;
        config.overflow = below(l, 2) ? GNT_OVERFLOW_DROP_OLDEST : GNT_OVERFLOW_DROP_NEWEST;
    }
    world_init(&l->w, 1 + (unsigned)seed % WORLD_HOMES_MAX, &config);
    for (unsigned i = 0; i < CLIENTS; i++) {
        struct client *c = &l->clients[i];
        memset(c->last, -1, sizeof c->last);
        world_id_at(&l->w, i % l->w.homes, i, c->id);
        c->c.id = c->id;
        c->c.world = &l->w;
        if (below(l, 2) || i == 0)
            connect(l, c, true, FOREVER);
    }
    subscribe(l, &l->clients[0], PLAIN_FILTERS);
    subscribe(l, &l->clients[0], PLAIN_FILTERS + 1);
    for (int i = 0; i < STEPS; i++)
        step(l);
    calm(l);
    check(l);
    end_all(l);
}

static uint64_t first_seed = 1, seeds = SEEDS;

static void random_lives(void **state)
{
    (void)state;
    static struct life l;
    for (uint64_t seed = first_seed; seed < first_seed + seeds; seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        live(&l, seed);
    }
}

/* With an argument: that seed only. */
int main(int argc, char **argv)
{
    if (argc > 1) {
        first_seed = strtoull(argv[1], NULL, 10);
        seeds = 1;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_lives)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
