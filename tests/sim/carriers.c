#include "carriers.h"

#include "base/hash.h"
#include "broker/entities.h"

#define SECOND GNT_NS_PER_S

static uint64_t below(struct sim_carriers *c, uint64_t n)
{
    return gnt_random_below(&c->chance.door, n);
}

/* ---- Asking the broker, one thing at a time */

/* Or it never will be: a purge has taken what was there at some time until now. */
static void answered(struct sim_carriers *c)
{
    if (c->asked && c->asking.verb == GNT_ENTITY_PURGE)
        sim_stock_purged(&c->stock, c->queue);
    c->asked = false;
}

static void on_done(struct gnt_home *home, struct gnt_entity_asking *asking,
                    enum gnt_queue_result result)
{
    struct sim_carriers *c = GNT_CONTAINER(asking, struct sim_carriers, asking);
    (void)home, (void)result;
    answered(c);
}

static void on_mail(const struct gnt_mail *mail)
{
    struct gnt_worker *worker = mail->to;
    gnt_entity_ask(worker->home, mail->object);
}

static void ask(struct sim_carriers *c, enum gnt_entity_verb verb, enum sim_queue queue)
{
    struct gnt_workers *workers = c->world->workers;
    c->queue = queue;
    c->asking = (struct gnt_entity_asking){.done = on_done,
                                           .verb = verb,
                                           .name = gnt_slice_str(sim_queue_name(queue))};
    const struct gnt_mail mail = {.run = on_mail, .to = &workers->worker[0], .object = &c->asking};
    c->asked = true;
    SIM_MUST(c->world, gnt_post_send_outside(workers->post, 0, &mail) == GNT_OK);
}

static void on_purge(struct gnt_timer *timer, uint64_t now)
{
    struct sim_carriers *c = GNT_CONTAINER(timer, struct sim_carriers, purge);
    enum sim_queue queue = (enum sim_queue)below(c, SIM_QUEUES);
    if (c->world->workers && !c->asked) {
        sim_trace(c->world, "%s is purged", sim_queue_name(queue));
        ask(c, GNT_ENTITY_PURGE, queue);
    }
    sim_world_at(c->world, timer, now + 1 + below(c, 40 * SECOND));
}

/* ---- Life */

void sim_carriers_init(struct sim_carriers *c, struct sim_world *w, struct gnt_config *config)
{
    *c = (struct sim_carriers){.world = w, .purge.fire = on_purge};
    gnt_seeded_init(&c->chance, gnt_hash_mix(w->seed, 6));
    sim_stock_init(&c->stock, w);
    if (!config || below(c, 2))
        return;
    c->count = 1 + (unsigned)below(c, SIM_CARRIERS_MAX);
    c->stock.receivers = c->count;
    sim_stock_declare(w, config);
    for (unsigned i = 0; i < c->count; i++)
        sim_carrier_init(&c->carrier[i], w, &c->stock, i);
    if (below(c, 3) == 0)
        sim_world_at(w, &c->purge, w->now + 1 + below(c, 40 * SECOND));
}

void sim_carriers_fini(struct sim_carriers *c)
{
    gnt_timer_cancel(&c->world->timers, &c->purge);
    for (unsigned i = 0; i < c->count; i++)
        sim_carrier_fini(&c->carrier[i]);
    sim_stock_fini(&c->stock);
}

void sim_carriers_started(struct sim_carriers *c, const struct gnt_config *config)
{
    answered(c);
    sim_stock_crashed(&c->stock);
    if (c->count)
        SIM_MUST(c->world, gnt_entities_declare(c->world->workers, config) == GNT_OK);
}

void sim_carriers_calm(struct sim_carriers *c)
{
    gnt_timer_cancel(&c->world->timers, &c->purge);
    for (unsigned i = 0; i < c->count; i++)
        sim_carrier_calm(&c->carrier[i]);
}

bool sim_carriers_settled(const struct sim_carriers *c)
{
    for (unsigned i = 0; i < c->count; i++)
        if (!sim_carrier_settled(&c->carrier[i]))
            return false;
    return !c->asked && sim_stock_left(&c->stock) == 0;
}

void sim_carriers_tell(const struct sim_carriers *c)
{
    for (unsigned i = 0; i < c->count; i++)
        if (!sim_carrier_settled(&c->carrier[i]))
            sim_trace(c->world, "carrier %u is not settled", i);
    sim_stock_audit(&c->stock);
}

void sim_carriers_end(struct sim_carriers *c)
{
    struct sim_world *w = c->world;
    sim_stock_audit(&c->stock);
    for (unsigned i = 0; i < c->count; i++)
        sim_carrier_leave(&c->carrier[i]);
    sim_world_run(w, w->now + 2 * SECOND);
    for (int q = 0; c->count && q < SIM_QUEUES; q++) {
        ask(c, GNT_ENTITY_DELETE, (enum sim_queue)q);
        for (uint64_t most = w->now + 100 * SECOND; c->asked && w->now < most;)
            sim_world_run(w, w->now + SECOND);
        SIM_MUST(w, !c->asked);
    }
}
