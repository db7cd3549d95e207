#include "support/core_world.h"

#include "base/rcu.h"
#include "support/alloc_fault.h"
#include "support/unit.h"

#include <stdio.h>
#include <stdlib.h>

void *__real_malloc(size_t size);
void *__real_realloc(void *p, size_t size);

/* ---- Mail */

static gnt_err post(void *context, unsigned from, unsigned to, const struct gnt_mail *mail)
{
    struct world *w = context;
    struct world_mail *m = w->post_fails ? NULL : malloc(sizeof *m);
    if (!m)
        return GNT_NOMEM;
    *m = (struct world_mail){.mail = *mail};
    *w->mail[from][to].last = m;
    w->mail[from][to].last = &m->next;
    return GNT_OK;
}

static void report(void *context, unsigned to, const struct gnt_mail *mail)
{
    struct world *w = context;
    struct world_mail *m = __real_malloc(sizeof *m);
    assert_non_null(m);
    *m = (struct world_mail){.mail = *mail};
    *w->mail[to][to].last = m;
    w->mail[to][to].last = &m->next;
}

bool world_mail_one(struct world *w, unsigned from, unsigned to)
{
    struct world_mail *m = w->mail[from][to].first;
    if (!m)
        return false;
    w->mail[from][to].first = m->next;
    if (!m->next)
        w->mail[from][to].last = &w->mail[from][to].first;
    m->mail.run(&m->mail);
    free(m);
    return true;
}

/* COMMIT: before what comes of it can be mailed on, as in a turn. */
static bool mail_round(struct world *w, bool commit)
{
    bool any = false;
    for (unsigned from = 0; from < w->homes; from++) {
        for (unsigned to = 0; to < w->homes; to++) {
            any |= world_mail_one(w, from, to);
            if (commit)
                gnt_keep_commit(&w->core->homes[to]);
        }
    }
    return any;
}

void world_commit(struct world *w)
{
    for (unsigned i = 0; i < w->homes; i++)
        gnt_keep_commit(&w->core->homes[i]);
}

void world_settle(struct world *w)
{
    /* Work that is put off comes due one tick later. */
    for (int quiet = 0, rounds = 0; quiet < 3; rounds++) {
        world_commit(w);
        bool any = mail_round(w, true);
        w->now++;
        for (unsigned i = 0; i < w->homes; i++) {
            any |= gnt_timers_run(&w->timers[i], w->now) > 0;
            gnt_keep_commit(&w->core->homes[i]);
        }
        quiet = any ? 0 : quiet + 1;
        assert_true(rounds < 1000000); /* it does not go round in circles */
    }
}

void world_pass(struct world *w, uint64_t seconds)
{
    w->now += seconds * GNT_NS_PER_S;
    world_settle(w);
}

/* ---- Birth and death */

struct gnt_core_config world_config(unsigned homes)
{
    return (struct gnt_core_config){.homes = homes,
                                    .topic_levels = 16,
                                    .subscriptions_per_session = 100,
                                    .queued_per_session = 1000,
                                    .inflight_per_session = 65535,
                                    .session_expiry_max_s = UINT32_MAX,
                                    .overflow = GNT_OVERFLOW_DROP_NEWEST};
}

static uint64_t now_ns(void *self)
{
    return ((struct world *)self)->now;
}

static uint64_t wall_ms(void *self)
{
    return ((struct world *)self)->now / GNT_NS_PER_MS;
}

uint64_t world_seed = 1;

struct gnt_access *world_access;

struct gnt_access *world_list(const char *const *rules, size_t count)
{
    struct gnt_access *access;
    assert_int_equal(gnt_access_new(&access), GNT_OK);
    for (size_t i = 0; i < count; i++) {
        char who[32], word[32], on[128];
        const char *why;
        assert_int_equal(sscanf(rules[i], "%31s %31s %127s", who, word, on), 3);
        bool permits = strncmp(word, "not-", 4) != 0;
        struct gnt_access_rule rule = {
            .who = gnt_slice_str(strcmp(who, "*") == 0 ? "" : who),
            .verbs = gnt_access_verbs(gnt_slice_str(permits ? word : word + 4)),
            .permits = permits,
            .on = gnt_slice_str(on),
        };
        assert_int_equal(gnt_access_add(access, &rule, &why), GNT_OK);
    }
    assert_int_equal(gnt_access_seal(access), GNT_OK);
    return access;
}

void world_take_access(struct world *w, struct gnt_access *access)
{
    for (unsigned i = 0; i < w->homes; i++) {
        struct gnt_access *ref = gnt_access_ref(access);
        gnt_home_take_access(&w->core->homes[i], &ref);
        assert_null(ref);
    }
}

static gnt_err recover(struct world *w)
{
    struct gnt_seeded lot;
    gnt_seeded_init(&lot, world_seed);
    static const struct gnt_clock clock = {now_ns, wall_ms, NULL};
    static struct gnt_clock mine;
    mine = clock;
    mine.self = w;
    gnt_store_time_init(&w->time, &mine, 0, 0);
    const struct gnt_recovery how = {.store = w->store, .time = &w->time, .random = &lot.door};
    gnt_err err = gnt_core_recover(w->core, &how, &w->recovered);
    assert_int_equal(w->recovered.damaged, 0);
    return err;
}

static void prepare(struct world *w, unsigned homes, const struct gnt_core_config *config,
                    struct gnt_store *store)
{
    *w = (struct world){.now = 1000 * GNT_NS_PER_S, .homes = homes, .store = store};
    gnt_rcu_register();
    static bool asked;
    if (!asked)
        asked = atexit(gnt_rcu_barrier) == 0; /* so that what is not freed then is a leak */
    for (unsigned from = 0; from < WORLD_HOMES_MAX; from++)
        for (unsigned to = 0; to < WORLD_HOMES_MAX; to++)
            w->mail[from][to].last = &w->mail[from][to].first;
    w->config = config ? *config : world_config(homes);
    w->config.homes = homes;
    w->config.post = post;
    w->config.report = report;
    w->config.post_context = w;
    assert_int_equal(gnt_core_new(&w->config, &w->core), GNT_OK);
    for (unsigned i = 0; i < homes; i++)
        assert_int_equal(gnt_home_attach(&w->core->homes[i], &w->now, &w->timers[i]), GNT_OK);
    world_take_access(w, world_access);
}

void world_init_kept(struct world *w, unsigned homes, const struct gnt_core_config *config,
                     struct gnt_store *store)
{
    prepare(w, homes, config, store);
    if (store)
        assert_int_equal(recover(w), GNT_OK);
}

gnt_err world_try_kept(struct world *w, unsigned homes, struct gnt_store *store, long n)
{
    prepare(w, homes, NULL, store);
    gnt_alloc_fail_at(n);
    gnt_err err = recover(w);
    gnt_alloc_fail_at(-1);
    while (mail_round(w, false)) {
    }
    for (unsigned i = 0; i < homes && !err; i++)
        if (w->core->homes[i].keep.lost) /* the engine had no memory */
            err = GNT_IO;
    if (err)
        world_crash(w, NULL, 0);
    return err;
}

void world_init(struct world *w, unsigned homes, const struct gnt_core_config *config)
{
    world_init_kept(w, homes, config, NULL);
}

void world_crash(struct world *w, struct world_client *const *clients, size_t count)
{
    while (mail_round(w, false)) {
    }
    for (size_t i = 0; i < count; i++)
        clients[i]->session = NULL;
    for (unsigned i = 0; i < w->homes; i++)
        gnt_keep_forget(&w->core->homes[i]);
    gnt_core_free(&w->core);
    for (unsigned i = 0; i < w->homes; i++)
        gnt_timers_fini(&w->timers[i]);
    gnt_rcu_unregister();
}

void assert_ledger(const struct world *w)
{
    struct gnt_audit a;
    bool right = gnt_core_audit(w->core, &a);
    if (!right)
        print_error("received %lld, of them not ended %lld, counted as queued %lld, found %lld; "
                    "%zu of their own do not add up\n",
                    (long long)gnt_ledger_row(&a.sum, GNT_COUNT_DUE),
                    (long long)gnt_ledger_queued(&a.sum), (long long)a.queued, (long long)a.kept,
                    a.wrong);
    assert_true(right);
}

void world_fini(struct world *w)
{
    world_settle(w);
    assert_ledger(w);
    gnt_core_free(&w->core);
    for (unsigned i = 0; i < w->homes; i++)
        gnt_timers_fini(&w->timers[i]);
    assert_false(mail_round(w, false));
    gnt_rcu_unregister();
}

int64_t world_counted(const struct world *w, enum gnt_counter which)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < w->homes; i++)
        sum += gnt_counted(&w->core->homes[i].counters, which);
    return (int64_t)sum;
}

void assert_counted(const struct world *w, enum gnt_counter which, int64_t expected)
{
    static const char *const names[] = {
#define NAME(name, topic, help) #name,
        GNT_COUNTERS(NAME) GNT_GAUGES(NAME)
#undef NAME
    };
    int64_t counted = world_counted(w, which);
    if (counted != expected)
        print_error("%s is %lld, not %lld\n", names[which], (long long)counted,
                    (long long)expected);
    assert_true(counted == expected);
}

/* ---- Clients */

static struct world_client *client_of(struct gnt_receiver *r)
{
    return GNT_CONTAINER(r, struct world_client, receiver);
}

static bool on_ready(struct gnt_receiver *r)
{
    return !client_of(r)->busy;
}

static void text(char out[WORLD_TEXT], struct gnt_slice from)
{
    size_t size = from.size < WORLD_TEXT - 1 ? from.size : WORLD_TEXT - 1;
    if (size)
        memcpy(out, from.data, size);
    out[size] = 0;
}

static gnt_err on_deliver(struct gnt_receiver *r, const struct gnt_delivery *d)
{
    struct world_client *c = client_of(r);
    assert_false(c->busy);
    assert_non_null(c->session);
    assert_true((d->id != 0) == (d->qos != 0));
    const struct gnt_rights *rights = gnt_session_rights(c->session);
    if (!d->drawn) /* as they are now */
        assert_true(gnt_rights_may(rights, GNT_VERB_RECEIVE, d->message->topic));
    if (c->out_of_memory)
        return GNT_NOMEM;
    if (c->payload_max && d->message->payload.size > c->payload_max)
        return GNT_TOOBIG;
    if (c->count == c->cap) {
        c->cap = c->cap ? c->cap * 2 : 64;
        c->got = __real_realloc(c->got, c->cap * sizeof *c->got);
        assert_non_null(c->got);
    }
    struct world_delivery *g = &c->got[c->count++];
    *g = (struct world_delivery){
        .id_count = d->ids.count, .id = d->id, .qos = d->qos, .retain = d->retain, .dup = d->dup};
    text(g->topic, d->drawn ? d->drawn->topic : d->message->topic);
    g->failed = d->drawn ? d->drawn->failed : 0;
    text(g->payload, d->message->payload);
    assert_true(d->ids.count <= WORLD_IDS);
    memcpy(g->ids, gnt_sub_ids_list(&d->ids), d->ids.count * sizeof *g->ids);
    return GNT_OK;
}

static gnt_err on_release(struct gnt_receiver *r, uint16_t id)
{
    struct world_client *c = client_of(r);
    if (c->out_of_memory)
        return GNT_NOMEM;
    assert_true(c->released_count < COUNT_OF(c->released));
    c->released[c->released_count++] = id;
    return GNT_OK;
}

static void on_closed(struct gnt_receiver *r, enum gnt_close_reason why)
{
    struct world_client *c = client_of(r);
    assert_non_null(c->session);
    c->session = NULL;
    c->closed++;
    c->why = why;
}

static const struct gnt_receiver_ops receiver_ops = {on_ready, on_deliver, on_release, on_closed};

static struct gnt_slice slice_of(const char *t)
{
    return gnt_slice(t, strlen(t));
}

bool world_connect_held(struct world *w, struct world_client *c, bool clean, uint32_t expiry_s)
{
    struct gnt_slice id = slice_of(c->id);
    struct gnt_session_open open = {
        .client_id = id,
        .user = gnt_slice_str(c->user),
        .clean_start = clean,
        .expiry_s = expiry_s,
        .receive_max = c->receive_max ? c->receive_max : 65535,
        .will = c->will,
        .will_delay_s = c->will_delay_s,
        .will_expiry_s = c->will_expiry_s ? c->will_expiry_s : GNT_EXPIRY_NEVER,
    };
    struct gnt_session *session;
    c->world = w;
    c->receiver.ops = &receiver_ops;
    struct gnt_home *home = &w->core->homes[gnt_home_of(w->core->homes, id)];
    const struct gnt_principal who = {open.user, id};
    gnt_err err = gnt_access_rights(home->access, who, &open.rights);
    if (!err)
        err = gnt_session_open(home, &open, &c->receiver, &session, &c->present);
    assert_true(!open.rights || err);
    gnt_rights_unref(&open.rights);
    c->will = open.will;
    assert_true(!c->will || err);
    if (err) {
        gnt_message_unref(&c->will);
        assert_int_equal(err, GNT_NOMEM);
        return false;
    }
    c->session = session;
    c->answered = c->count;
    return true;
}

bool world_connect(struct world *w, struct world_client *c, bool clean, uint32_t expiry_s)
{
    if (!world_connect_held(w, c, clean, expiry_s))
        return false;
    gnt_session_resume(c->session);
    return true;
}

void world_id_at(const struct world *w, unsigned home, unsigned number, char id[16])
{
    for (unsigned salt = 0;; salt++) {
        snprintf(id, 16, "c%u-%u", number, salt);
        if (gnt_home_of(w->core->homes, slice_of(id)) == home)
            return;
    }
}

static void part(struct world_client *c, enum gnt_parting how)
{
    struct gnt_session *s = c->session;
    c->session = NULL;
    gnt_session_close(s, how, gnt_session_expiry(s));
}

void world_disconnect(struct world_client *c)
{
    part(c, GNT_PARTING_CLEAN);
}

void world_cut(struct world_client *c)
{
    part(c, GNT_PARTING_WITH_WILL);
}

void world_client_fini(struct world_client *c)
{
    free(c->got);
    c->got = NULL;
    c->count = c->cap = c->answered = 0;
}

struct gnt_home *world_home(const struct world_client *c)
{
    struct gnt_core *core = c->world->core;
    return &core->homes[gnt_home_of(core->homes, slice_of(c->id))];
}

/* ---- What clients do */

struct wish {
    struct gnt_subscribing subscribing;
    enum gnt_outcome outcome;
    bool done;
};

static void on_subscribed(struct gnt_subscribing *s, enum gnt_outcome outcome)
{
    struct wish *wish = GNT_CONTAINER(s, struct wish, subscribing);
    assert_false(wish->done);
    wish->done = true;
    wish->outcome = outcome;
}

enum gnt_outcome world_subscribe_with(struct world_client *c, const char *filter,
                                      const struct gnt_sub_options *options,
                                      enum gnt_retain_handling retained)
{
    struct wish wish = {.subscribing = {on_subscribed}};
    bool now = gnt_session_subscribe(c->session, slice_of(filter), options, retained,
                                     &wish.subscribing, &wish.outcome);
    world_settle(c->world);
    assert_true(now != wish.done);
    return wish.outcome;
}

enum gnt_outcome world_subscribe(struct world_client *c, const char *filter, uint8_t qos)
{
    return world_subscribe_with(c, filter, &(struct gnt_sub_options){.qos = qos}, GNT_RETAIN_SEND);
}

struct gnt_message *world_message(const char *topic, const char *payload, uint8_t qos, bool retain)
{
    struct gnt_message_init init = {.topic = slice_of(topic),
                                    .payload = slice_of(payload),
                                    .qos = qos,
                                    .retain = retain,
                                    .expires = GNT_NEVER};
    struct gnt_message *m = NULL;
    return gnt_message_new(&init, &m) == GNT_OK ? m : NULL;
}

enum gnt_outcome world_publish(struct world *w, unsigned home, const char *topic,
                               const char *payload, uint8_t qos, bool retain)
{
    struct gnt_message *m = world_message(topic, payload, qos, retain);
    if (!m)
        return GNT_FAILED;
    enum gnt_outcome outcome = gnt_publish(&w->core->homes[home], m, NULL);
    gnt_message_unref(&m);
    return outcome;
}

static void on_settled(struct gnt_home *home, struct gnt_work *work)
{
    (void)home;
    struct gnt_receipt *r = GNT_CONTAINER(work, struct gnt_receipt, settled);
    struct world_publication *p = GNT_CONTAINER(r, struct world_publication, receipt);
    assert_int_equal(p->outcome, GNT_WITHHELD); /* once */
    assert_int_equal(r->outstanding, 0);
    p->outcome = r->outcome;
}

enum gnt_outcome world_publish_waiting(struct world *w, unsigned home, const char *topic,
                                       const char *payload, uint8_t qos,
                                       struct world_publication *p)
{
    gnt_work_init(&p->receipt.settled, on_settled);
    struct gnt_message *m = world_message(topic, payload, qos, false);
    p->outcome = m ? gnt_publish(&w->core->homes[home], m, &p->receipt) : GNT_FAILED;
    gnt_message_unref(&m);
    return p->outcome;
}

size_t world_answer(struct world_client *c)
{
    size_t n = 0;
    for (; c->session && c->answered < c->count; c->answered++) {
        struct world_delivery g = c->got[c->answered];
        if (g.qos == 1)
            n += gnt_session_acknowledged(c->session, g.id, NULL);
        else if (g.qos == 2 && gnt_session_received(c->session, g.id, false) == GNT_OK)
            n += gnt_session_completed(c->session, g.id);
    }
    return n;
}

const char *world_payloads(const struct world_client *c, size_t from)
{
    static char all[4096];
    size_t at = 0;
    all[0] = 0;
    for (size_t i = from; i < c->count && at + WORLD_TEXT + 1 < sizeof all; i++)
        at += (size_t)snprintf(all + at, sizeof all - at, "%s ", c->got[i].payload);
    return all;
}
