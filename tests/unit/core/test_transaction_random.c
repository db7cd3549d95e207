/* Transactions among other senders, into one queue that is longer than its window, with a store
 * that takes its time: what is committed comes once, and what is not never. */
#include "support/unit.h"

#include "base/random.h"
#include "core/queue_private.h"
#include "core/transaction.h"
#include "support/held_store.h"
#include "support/queue_world.h"

#include <stdio.h>
#include <stdlib.h>

enum { HOMES = 2, STEPS = 400, MESSAGES = 4 * STEPS, SEEDS = 60, WINDOW = 4 };

static struct world w;
static struct held_store held;
static struct gnt_seeded seeded;
static unsigned numbers;
static bool sent[MESSAGES]; /* or committed */
static unsigned seen[MESSAGES];

static unsigned draw(unsigned below)
{
    return (unsigned)(gnt_seeded_next(&seeded) % below);
}

/* ---- Receiving */

static void on_delivered(struct queue_reader *r)
{
    const struct queue_held *last = &r->held[r->count - 1];
    seen[atoi(last->payload)]++;
    const struct gnt_settling accept = {.delivery = last->delivery};
    assert_int_equal(gnt_consumer_settle(&r->c, &accept), GNT_OK);
    r->count--;
}

static bool even(struct gnt_consumer_filter *filter, const struct gnt_message *m)
{
    (void)filter;
    return (m->payload.data[m->payload.size - 1] - '0') % 2 == 0;
}

static void unref(struct gnt_consumer_filter *filter)
{
    (void)filter;
}

/* ---- Sending */

struct commit {
    struct commit *next;
    unsigned first, count;
    bool done;
};
static struct commit *commits;

static void on_done(struct gnt_home *home, void *context, enum gnt_queue_result result)
{
    struct commit *c = context;
    (void)home;
    c->done = true;
    for (unsigned i = 0; i < c->count; i++)
        sent[c->first + i] = result == GNT_QUEUE_DONE;
}

static struct gnt_message *message(unsigned number)
{
    char text[16];
    (void)snprintf(text, sizeof text, "%u", number);
    return world_message("q", text, 1, false);
}

static void transact(uint64_t q)
{
    struct gnt_transaction *t;
    struct commit *c = calloc(1, sizeof *c);
    assert_int_equal(gnt_transaction_new(&w.core->homes[draw(HOMES)], &t), GNT_OK);
    assert_non_null(c);
    c->next = commits;
    commits = c;
    c->first = numbers;
    c->count = 1 + draw(3);
    for (unsigned i = 0; i < c->count; i++) {
        struct gnt_sending s = {.message = message(numbers++),
                                .durable = draw(4) > 0,
                                .priority = GNT_QUEUE_PRIORITY_DEFAULT};
        assert_int_equal(gnt_transaction_post(t, q, &s), GNT_OK);
    }
    if (draw(6) == 0) {
        gnt_transaction_roll_back(&t);
        c->done = true;
    } else {
        gnt_transaction_commit(t, on_done, c);
    }
}

static void send(uint64_t q)
{
    char text[16];
    (void)snprintf(text, sizeof text, "%u", numbers);
    sent[numbers++] = true;
    queue_send(&w, draw(HOMES), q, text, true, NULL);
}

/* ---- Time */

static void go_on(void)
{
    for (unsigned i = 0; i < 8; i++) {
        unsigned from = draw(HOMES), to = draw(HOMES);
        (void)world_mail_one(&w, from, to);
        gnt_keep_commit(&w.core->homes[to]);
    }
    w.now++;
    for (unsigned h = 0; h < HOMES; h++) {
        gnt_timers_run(&w.timers[h], w.now);
        gnt_keep_commit(&w.core->homes[h]);
    }
}

static void step(uint64_t q, struct queue_reader *r)
{
    switch (draw(8)) {
    case 0: transact(q); break;
    case 1: send(q); break;
    case 2: queue_credit(&r[draw(2)], 1 + draw(3), draw(4) == 0); break;
    case 3: held.holds = draw(2) == 0; break;
    case 4: (void)held_store_step(&held); break;
    default: go_on(); break;
    }
}

static void life(uint64_t seed)
{
    static struct gnt_consumer_filter filter = {even, unref};
    struct gnt_core_config config = world_config(HOMES);
    struct queue_reader r[2] = {{.on_delivered = on_delivered}, {.on_delivered = on_delivered}};
    config.queue_window = WINDOW;
    memset(sent, 0, sizeof sent);
    memset(seen, 0, sizeof seen);
    numbers = 0;
    gnt_seeded_init(&seeded, seed);
    held_store_open(&held);
    world_init_kept(&w, HOMES, &config, &held.store);
    uint64_t q = queue_id(&w, "q", NULL);
    r[1].c.filter = &filter;
    queue_open(&w, 0, q, GNT_CONSUME_LOCK, &r[0]);
    queue_open(&w, 1, q, GNT_CONSUME_LOCK, &r[1]);
    for (int i = 0; i < STEPS; i++)
        step(q, r);
    held.holds = false;
    do {
        world_settle(&w);
    } while (held_store_step(&held));
    assert_int_equal(queue_inside(&w, "q")->posted, 0);
    for (int i = 0; i < 2; i++)
        queue_close(&r[i], false);
    struct queue_reader rest = {.on_delivered = on_delivered};
    queue_open(&w, 0, q, GNT_CONSUME_LOCK, &rest);
    queue_credit(&rest, MESSAGES, true);
    world_settle(&w);
    queue_close(&rest, false);
    for (unsigned i = 0; i < numbers; i++)
        if (seen[i] != sent[i])
            fail_msg("seed %llu: message %u of %u came %u times", (unsigned long long)seed, i,
                     numbers, seen[i]);
    for (struct commit *c; (c = commits);) {
        assert_true(c->done);
        commits = c->next;
        free(c);
    }
    for (int i = 0; i < 2; i++)
        queue_forget(&r[i]);
    queue_forget(&rest);
    world_fini(&w);
    held_store_close(&held);
}

static void each_comes_once(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        life(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_comes_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
