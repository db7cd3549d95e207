#include "stock.h"

#include "base/hash.h"
#include "conf/config.h"

#include <stdlib.h>

static const struct queue {
    const char *name;
    uint32_t max_deliveries, lock_ms, ttl_ms;
} queues[SIM_QUEUES] = {
    [SIM_PLAIN] = {"plain", 1000000, 0, 0},
    [SIM_STRICT] = {"strict", 3, 0, 0},
    [SIM_LOCKED] = {"locked", 4, 3000, 0},
    [SIM_SHORT] = {"short", 10, 0, 5000},
};

const char *sim_queue_name(enum sim_queue queue)
{
    return queues[queue].name;
}

void sim_stock_declare(struct sim_world *w, struct gnt_config *config)
{
    config->queues.items = calloc(SIM_QUEUES, sizeof *config->queues.items);
    SIM_MUST(w, config->queues.items != NULL);
    for (int i = 0; i < SIM_QUEUES; i++) {
        struct gnt_config_queue *q = &config->queues.items[i];
        q->name = strdup(queues[i].name);
        q->options = gnt_queue_options_default();
        q->options.max_deliveries = queues[i].max_deliveries;
        q->options.lock_ms = queues[i].lock_ms;
        q->options.ttl_ms = queues[i].ttl_ms;
        q->options.dead_letter_on_expiry = queues[i].ttl_ms != 0;
    }
    config->queues.count = SIM_QUEUES;
}

void sim_stock_init(struct sim_stock *s, struct sim_world *w)
{
    *s = (struct sim_stock){.world = w};
}

void sim_stock_fini(struct sim_stock *s)
{
    free(s->items);
    *s = (struct sim_stock){.world = NULL};
}

/* ---- Sending */

uint32_t sim_stock_send(struct sim_stock *s, enum sim_queue queue, bool durable)
{
    struct sim_world *w = s->world;
    if (s->count == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 64;
        s->items = realloc(s->items, s->cap * sizeof *s->items);
        SIM_MUST(w, s->items != NULL);
    }
    uint32_t size = (uint32_t)sim_between(w, SIM_ITEM_MIN, sim_one_in(w, 20) ? 5000 : 100);
    s->items[s->count] = (struct sim_item){
        .queue = queue, .size = size, .durable = durable, .handed = w->now, .breaks = s->breaks};
    return (uint32_t)s->count++;
}

void sim_stock_body(const struct sim_stock *s, uint32_t number, uint8_t *body)
{
    uint64_t hash = gnt_hash_mix(s->world->seed, number);
    for (uint32_t i = 0; i < s->items[number].size; i++)
        body[i] = (uint8_t)(i < 4 ? number >> 8 * i : hash >> i % 8 * 8);
}

void sim_stock_outcome(struct sim_stock *s, uint32_t number, bool accepted)
{
    struct sim_item *item = &s->items[number];
    item->accepted = accepted ? SIM_SURE : SIM_NO;
    item->refused = !accepted;
    sim_trace(s->world, "item %u is %s", number, accepted ? "accepted" : "refused");
}

/* ---- Receiving */

static uint32_t number_in(const struct sim_stock *s, struct gnt_slice body)
{
    uint32_t number = 0;
    for (uint32_t i = 0; i < 4 && i < body.size; i++)
        number |= (uint32_t)body.data[i] << 8 * i;
    if (body.size < SIM_ITEM_MIN || number >= s->count || body.size != s->items[number].size)
        sim_fail(s->world, "nobody has sent a message of %zu bytes", body.size);
    uint8_t *expected = malloc(body.size);
    SIM_MUST(s->world, expected != NULL);
    sim_stock_body(s, number, expected);
    SIM_MUST(s->world, memcmp(expected, body.data, body.size) == 0);
    free(expected);
    return number;
}

/* How often its deliveries may have failed: each connection may have broken once, also those that
 * there were when it was handed in. */
static uint64_t most_failures(const struct sim_stock *s, const struct sim_item *item)
{
    return item->most + s->breaks - item->breaks + s->receivers;
}

static bool may_be_dead(const struct sim_stock *s, const struct sim_item *item)
{
    const struct queue *q = &queues[item->queue];
    if (item->rejected != SIM_NO || item->queue == SIM_LOCKED)
        return true;
    if (q->ttl_ms && s->world->now >= item->handed + q->ttl_ms * GNT_NS_PER_MS)
        return true;
    return most_failures(s, item) >= q->max_deliveries;
}

static void check(struct sim_stock *s, uint32_t number, const struct sim_coming *c)
{
    struct sim_world *w = s->world;
    const struct sim_item *item = &s->items[number];
    uint64_t most = queues[item->queue].max_deliveries;
    if (item->queue != c->queue || item->refused || item->gone == SIM_SURE)
        sim_fail(w, "item %u comes, and it is %s", number,
                 item->refused            ? "refused"
                 : item->gone == SIM_SURE ? "gone"
                                          : "another queue's");
    if (item->holder && item->holds(item->holder) && item->queue != SIM_LOCKED)
        sim_fail(w, "item %u comes to two at a time", number);
    if (c->dead && !may_be_dead(s, item))
        sim_fail(w, "item %u is a dead letter", number);
    if (!c->dead && (item->rejected == SIM_SURE || (item->least >= most && !s->refuses)))
        sim_fail(w, "item %u is no dead letter", number);
    if (!c->dead && c->failed < item->least)
        sim_fail(w, "item %u has failed %u times, not %u", number, item->least, c->failed);
    if (!c->dead && item->queue != SIM_LOCKED && c->failed > most_failures(s, item))
        sim_fail(w, "item %u has failed %u times, it says", number, c->failed);
}

uint32_t sim_stock_came(struct sim_stock *s, const struct sim_coming *c)
{
    uint32_t number = number_in(s, c->body);
    struct sim_item *item = &s->items[number];
    sim_trace(s->world, "item %u comes from %s%s, failed %u", number, sim_queue_name(c->queue),
              c->dead ? "'s dead letters" : "", c->failed);
    check(s, number, c);
    item->gone = SIM_NO; /* that has not come to pass */
    if (!c->dead)
        item->rejected = SIM_NO;
    return number;
}

void sim_stock_settle(struct sim_stock *s, uint32_t number, bool dead, enum sim_done done)
{
    struct sim_item *item = &s->items[number];
    sim_trace(s->world, "item %u is to be settled, %d", number, (int)done);
    if (done == SIM_ACCEPT || (done == SIM_REJECT && dead))
        item->gone = SIM_MAYBE;
    else if (done == SIM_REJECT)
        item->rejected = SIM_MAYBE;
    else if (done == SIM_FAIL)
        item->most++;
    if (done != SIM_ACCEPT)
        item->holder = NULL;
}

void sim_stock_sure(struct sim_stock *s, uint32_t number, bool dead, enum sim_done done)
{
    struct sim_item *item = &s->items[number];
    sim_trace(s->world, "item %u is settled, %d", number, (int)done);
    if (done == SIM_ACCEPT || (done == SIM_REJECT && dead)) {
        item->gone = SIM_SURE;
        item->holder = NULL;
        s->taken++;
    } else if (done == SIM_REJECT) {
        item->rejected = SIM_SURE;
    } else if (done == SIM_FAIL && !dead) {
        item->least++;
    }
}

/* ---- What happens to all */

void sim_stock_purged(struct sim_stock *s, enum sim_queue queue)
{
    for (size_t i = 0; i < s->count; i++)
        s->items[i].loose |= s->items[i].queue == queue;
}

void sim_stock_crashed(struct sim_stock *s)
{
    for (size_t i = 0; i < s->count; i++) {
        struct sim_item *item = &s->items[i];
        item->loose |= !item->durable;
        if (!item->durable)
            item->least = 0; /* nor are its failures kept */
    }
}

static bool is_left(const struct sim_item *item)
{
    return item->accepted == SIM_SURE && item->gone == SIM_NO && !item->loose;
}

size_t sim_stock_left(const struct sim_stock *s)
{
    size_t left = 0;
    for (size_t i = 0; i < s->count; i++)
        left += is_left(&s->items[i]);
    return left;
}

void sim_stock_audit(const struct sim_stock *s)
{
    for (size_t i = 0; i < s->count; i++)
        if (is_left(&s->items[i]))
            sim_fail(s->world, "item %zu, to %s, is lost", i, sim_queue_name(s->items[i].queue));
}
