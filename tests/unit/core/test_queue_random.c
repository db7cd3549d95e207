/* Senders, receivers, crashes and the store at random, from a seed, beside a model that knows of
 * each message where it may be: nothing that was accepted is lost, nothing is there twice, nothing
 * comes back that was settled, and the ledger adds up. */
#include "support/unit.h"

#include "base/random.h"
#include "store/memory.h"
#include "support/queue_world.h"

#include <stdio.h>
#include <stdlib.h>

enum { SEEDS = 1000, STEPS = 400, MESSAGES = 1000, READERS = 5, GROUPS = 3 };

struct message {
    struct queue_sent sent;
    bool durable;
    int group; /* -1: none */
    uint8_t priority;
    bool accepted;  /* its sender was told so, in a life that ended or in this one */
    bool asked;     /* in this life somebody has asked to accept it */
    bool maybe;     /* what was asked for before a crash may have happened, or not */
    bool gone;      /* it was said that it is settled */
    bool seen_last; /* when all was over */
    unsigned held;  /* by so many readers */
    uint64_t sequence;
    uint64_t delivery; /* that somebody has asked to accept */
};

struct reader {
    struct queue_reader r;
    struct life *life;
    bool open, odd; /* it takes odd ones only */
    enum gnt_consume mode;
    struct gnt_consumer_filter filter;
    uint64_t last[GNT_QUEUE_PRIORITY_MAX + 1]; /* number of the last fresh one, by priority */
};

struct life {
    struct gnt_store *store; /* NULL: nothing is kept */
    struct world w;
    struct gnt_seeded g;
    struct gnt_queue_options options;
    uint64_t queue;
    uint32_t window;
    bool takes; /* some readers take for good: what is under way to them may be lost with them */
    struct message m[MESSAGES];
    unsigned count;
    struct reader readers[READERS];
};

static unsigned below(struct life *l, unsigned n)
{
    return (unsigned)gnt_random_below(&l->g.door, n);
}

static struct message *message_of(struct life *l, const char *payload)
{
    unsigned n = (unsigned)atoi(payload);
    assert_true(n < l->count);
    return &l->m[n];
}

/* ---- What readers are told */

static bool is_odd(struct gnt_consumer_filter *filter, const struct gnt_message *m)
{
    (void)filter;
    return m->payload.size && m->payload.data[m->payload.size - 1] % 2;
}

static void on_delivered(struct queue_reader *q)
{
    struct reader *r = GNT_CONTAINER(q, struct reader, r);
    struct life *l = r->life;
    const struct queue_held *h = &q->held[q->count - 1];
    struct message *m = message_of(l, h->payload);
    assert_true(!m->gone || r->mode == GNT_CONSUME_BROWSE); /* it was under way to a browser */
    assert_true(!r->odd || (unsigned)atoi(h->payload) % 2);
    assert_true(m->sequence == 0 || m->sequence == h->sequence);
    m->sequence = h->sequence;
    if (r->mode == GNT_CONSUME_BROWSE) {
        q->count--;
        return;
    }
    bool locks_end = l->options.lock_ms != 0;
    assert_true(locks_end || !m->asked);
    if (!h->acquired && !l->options.groups) {
        uint8_t lane = l->options.priority ? m->priority : 0;
        assert_true(h->sequence > r->last[lane]);
        r->last[lane] = h->sequence;
    }
    if (r->mode == GNT_CONSUME_TAKE) {
        m->asked = true;
        q->count--;
    } else {
        assert_true(m->held++ == 0 || locks_end);
    }
}

static void on_settled(struct queue_reader *q, uint64_t delivery, enum gnt_queue_result result)
{
    struct reader *r = GNT_CONTAINER(q, struct reader, r);
    struct life *l = r->life;
    assert_true(result == GNT_QUEUE_DONE || q->ended || result == GNT_QUEUE_NO_STORE ||
                (result == GNT_QUEUE_LOCK_LOST && l->options.lock_ms));
    for (unsigned i = 0; i < l->count && result == GNT_QUEUE_DONE; i++)
        if (l->m[i].delivery == delivery && l->m[i].asked && !l->options.lock_ms)
            l->m[i].gone = true;
}

/* ---- Lives */

static void begin(struct life *l)
{
    unsigned homes = 1 + below(l, WORLD_HOMES_MAX);
    struct gnt_core_config config = world_config(homes);
    config.queue_window = l->window;
    world_init_kept(&l->w, homes, &config, l->store);
    l->queue = queue_id(&l->w, "q", &l->options);
}

static void note_accepted(struct life *l)
{
    for (unsigned i = 0; i < l->count; i++) {
        struct message *m = &l->m[i];
        if (m->sent.done && m->sent.result == GNT_QUEUE_DONE) {
            m->accepted = true;
            assert_true(m->sequence == 0 || m->sequence == m->sent.sequence);
            m->sequence = m->sent.sequence;
        }
    }
}

static void drop_reader(struct reader *r)
{
    struct life *l = r->life;
    for (unsigned i = 0; r->open && r->mode == GNT_CONSUME_TAKE && i < l->count; i++)
        l->m[i].maybe = true;
    for (size_t i = 0; i < r->r.count; i++)
        message_of(r->life, r->r.held[i].payload)->held--;
    r->r.count = 0;
    r->open = false;
}

static void crash(struct life *l)
{
    note_accepted(l);
    world_crash(&l->w, NULL, 0);
    for (int i = 0; i < READERS; i++)
        drop_reader(&l->readers[i]);
    for (unsigned i = 0; i < l->count; i++) {
        struct message *m = &l->m[i];
        m->maybe |= m->asked || !m->durable || !m->accepted;
        m->asked = false;
        m->held = 0;
        m->sent.done = false;
        m->sequence = 0; /* of what is not kept, a number may be given again */
    }
    begin(l);
}

/* ---- What happens */

static void send(struct life *l)
{
    if (l->count == MESSAGES)
        return;
    char payload[12], group[2] = {0};
    unsigned n = l->count++;
    struct message *m = &l->m[n];
    snprintf(payload, sizeof payload, "%u", n);
    *m = (struct message){.durable = below(l, 3) > 0,
                          .group = l->options.groups ? (int)below(l, GROUPS + 1) - 1 : -1,
                          .priority = (uint8_t)(below(l, 3) ? 4 : below(l, 10))};
    group[0] = m->group < 0 ? 0 : (char)('a' + m->group);
    queue_send_with(&l->w, below(l, l->w.homes), l->queue, payload, m->durable, m->priority, group,
                    GNT_NEVER, &m->sent);
}

static void open_reader(struct life *l, struct reader *r)
{
    static const enum gnt_consume modes[] = {GNT_CONSUME_LOCK, GNT_CONSUME_LOCK, GNT_CONSUME_LOCK,
                                             GNT_CONSUME_TAKE, GNT_CONSUME_BROWSE};
    r->life = l;
    r->open = true;
    r->odd = below(l, 3) == 0;
    r->mode = modes[below(l, COUNT_OF(modes))];
    if (r->mode == GNT_CONSUME_TAKE && !l->takes)
        r->mode = GNT_CONSUME_LOCK;
    r->filter = (struct gnt_consumer_filter){is_odd, queue_filter_unref};
    r->r.c.filter = r->odd ? &r->filter : NULL;
    r->r.c.held_max = below(l, 2) ? 0 : 1 + below(l, 5);
    r->r.c.priority = (int32_t)below(l, 2);
    r->r.on_delivered = on_delivered;
    r->r.on_settled = on_settled;
    memset(r->last, 0, sizeof r->last);
    queue_open(&l->w, below(l, l->w.homes), l->queue, r->mode, &r->r);
}

static void settle_one(struct life *l, struct reader *r)
{
    if (!r->open || !r->r.count)
        return;
    static const enum gnt_settle outcomes[] = {GNT_SETTLE_ACCEPT, GNT_SETTLE_ACCEPT,
                                               GNT_SETTLE_ACCEPT, GNT_SETTLE_RELEASE,
                                               GNT_SETTLE_MODIFY, GNT_SETTLE_REJECT};
    const struct queue_held *h = &r->r.held[below(l, (unsigned)r->r.count)];
    struct message *m = message_of(l, h->payload);
    struct gnt_settling s = {.outcome = outcomes[below(l, COUNT_OF(outcomes))],
                             .failed = below(l, 2),
                             .elsewhere = below(l, 4) == 0};
    s.tell = s.outcome == GNT_SETTLE_ACCEPT && below(l, 2);
    if (s.outcome == GNT_SETTLE_MODIFY && below(l, 2))
        s.annotations = gnt_slice_str("noted");
    char payload[WORLD_TEXT];
    snprintf(payload, sizeof payload, "%s", h->payload);
    m->held--;
    m->asked |= s.outcome == GNT_SETTLE_ACCEPT;
    if (s.outcome == GNT_SETTLE_ACCEPT)
        m->delivery = h->delivery;
    queue_settle_one(&r->r, payload, &s);
}

static void close_reader(struct life *l, struct reader *r)
{
    if (!r->open)
        return;
    drop_reader(r); /* first, as others get what it holds meanwhile */
    queue_close(&r->r, below(l, 2));
}

/* What is still to be told of messages has been told. */
static void settle_all(struct life *l)
{
    world_settle(&l->w);
    assert_ledger(&l->w);
    note_accepted(l);
    if (l->options.lock_ms)
        return;
    for (unsigned i = 0; i < l->count; i++)
        l->m[i].gone |= l->m[i].asked;
}

static void check_groups(struct life *l)
{
    int holder[GROUPS] = {-1, -1, -1};
    for (int i = 0; i < READERS && !l->options.lock_ms; i++) {
        const struct queue_reader *r = &l->readers[i].r;
        for (size_t k = 0; k < r->count; k++) {
            int group = message_of(l, r->held[k].payload)->group;
            assert_true(group < 0 || holder[group] < 0 || holder[group] == i);
            if (group >= 0)
                holder[group] = i;
        }
    }
}

static void some_mail(struct life *l)
{
    unsigned from = below(l, l->w.homes), to = below(l, l->w.homes);
    world_mail_one(&l->w, from, to);
    gnt_keep_commit(&l->w.core->homes[to]);
}

static void some_turn(struct life *l)
{
    unsigned home = below(l, l->w.homes);
    l->w.now += below(l, 2) ? 1 : GNT_NS_PER_S;
    gnt_timers_run(&l->w.timers[home], l->w.now);
    if (below(l, 4))
        gnt_keep_commit(&l->w.core->homes[home]);
}

static void step(struct life *l)
{
    struct reader *r = &l->readers[below(l, READERS)];
    switch (below(l, 20)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4: send(l); break;
    case 5:
        if (!r->open)
            open_reader(l, r);
        break;
    case 6:
    case 7:
        if (r->open)
            queue_credit(&r->r, below(l, 6), below(l, 4) == 0);
        break;
    case 8:
    case 9:
    case 10:
    case 11: settle_one(l, r); break;
    case 12:
        if (below(l, 4) == 0)
            close_reader(l, r);
        break;
    case 13:
        settle_all(l);
        check_groups(l);
        break;
    case 14:
        if (l->store && below(l, 10) == 0)
            crash(l);
        break;
    case 15: world_commit(&l->w); break;
    case 16: some_turn(l); break;
    default: some_mail(l); break;
    }
}

/* ---- The end */

static void look_at_all(struct life *l, const char *name)
{
    struct queue_reader r = {.count = 0};
    queue_open(&l->w, 0, queue_facts(&l->w, name).id, GNT_CONSUME_TAKE, &r);
    queue_credit(&r, 10 * MESSAGES, true);
    world_settle(&l->w);
    assert_int_equal(r.drained, 1);
    for (size_t i = 0; i < r.count; i++) {
        struct message *m = message_of(l, r.held[i].payload);
        assert_false(m->gone);
        assert_false(m->seen_last); /* once */
        m->seen_last = true;
    }
    queue_close(&r, false);
    queue_forget(&r);
}

static void finish(struct life *l)
{
    settle_all(l);
    for (int i = 0; i < READERS; i++) {
        close_reader(l, &l->readers[i]);
        queue_forget(&l->readers[i].r);
    }
    if (l->store && below(l, 2))
        crash(l);
    settle_all(l);
    look_at_all(l, "q");
    look_at_all(l, "q/" GNT_DEAD_LETTERS);
    for (unsigned i = 0; i < l->count; i++) {
        const struct message *m = &l->m[i];
        bool must = m->accepted && !m->gone && !m->maybe && !m->asked;
        assert_true(!must || m->seen_last);
    }
    assert_counted(&l->w, GNT_COUNT_QUEUED, 0);
    assert_counted(&l->w, GNT_COUNT_QUEUED_BYTES, 0);
    world_fini(&l->w);
    if (l->store)
        gnt_store_close(&l->store);
}

static struct gnt_queue_options any_options(struct life *l)
{
    struct gnt_queue_options o = gnt_queue_options_default();
    o.max_deliveries = below(l, 2) ? 2 : 0;
    o.lock_ms = below(l, 4) ? 0 : 3000;
    o.groups = below(l, 3) == 0;
    o.priority = below(l, 2);
    o.overflow = below(l, 2) ? GNT_QUEUE_REJECT : GNT_QUEUE_BLOCK;
    o.max_messages = below(l, 3) ? 0 : 20;
    o.durable = below(l, 4) ? GNT_QUEUE_AS_SENT : GNT_QUEUE_ALWAYS;
    return o;
}

static void lives(void **state)
{
    (void)state;
    struct life *l = calloc(1, sizeof *l);
    assert_non_null(l);
    const char *only = getenv("SEED");
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        if (only && strtoull(only, NULL, 10) != seed)
            continue;
        *l = (struct life){.count = 0};
        gnt_seeded_init(&l->g, seed);
        world_seed = seed;
        if (below(l, 3))
            assert_int_equal(gnt_store_memory_open(NULL, &l->store), GNT_OK);
        l->options = any_options(l);
        l->takes = below(l, 2);
        l->window = below(l, 2) ? 0 : 1 + below(l, 8);
        print_message("seed %llu\n", (unsigned long long)seed);
        begin(l);
        for (int i = 0; i < STEPS; i++)
            step(l);
        finish(l);
    }
    free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(lives)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
