#include "permits.h"

#include "auth/access.h"

/* None of them is a filter of the oracle's, or all that one matches. */
static const char *const deniable[] = {"n/c",       "n/a/2", "n/b/1", "n//1", "n/a/1/x", "n/a/2/y",
                                       "n/a/b/c/d", "s/2",   "s/2/3", "r/0",  "r/2"};

static uint64_t below(struct sim_permits *p, uint64_t n)
{
    return gnt_random_below(&p->chance.door, n);
}

static void add(struct sim_permits *p, struct gnt_access *list, const char *word, bool permits,
                const char *on)
{
    const char *why;
    const struct gnt_access_rule rule = {.verbs = gnt_access_verbs(gnt_slice_str(word)),
                                         .permits = permits,
                                         .on = gnt_slice_str(on)};
    SIM_MUST(p->world, gnt_access_add(list, &rule, &why) == GNT_OK);
}

/* Another list; the oracle knows it from now on, a broker that is running soon. */
static void take_list(struct sim_permits *p)
{
    struct gnt_access *list;
    SIM_MUST(p->world, gnt_access_new(&list) == GNT_OK);
    add(p, list, "subscribe", true, "#");
    add(p, list, "publish", true, "#");
    add(p, list, "send", true, "#"); /* the queues are everybody's */
    add(p, list, "listen", true, "#");
    for (size_t i = 0; i < sizeof deniable / sizeof deniable[0]; i++) {
        bool denied = below(p, 3) == 0;
        if (denied)
            add(p, list, "receive", false, deniable[i]);
        sim_oracle_permit(p->oracle, deniable[i], !denied);
    }
    SIM_MUST(p->world, gnt_access_seal(list) == GNT_OK);
    gnt_access_unref(&p->world->access);
    p->world->access = list;
}

static void on_turn(struct gnt_timer *timer, uint64_t now)
{
    struct sim_permits *p = GNT_CONTAINER(timer, struct sim_permits, turn);
    take_list(p);
    sim_trace(p->world, "another access list");
    if (p->world->workers)
        SIM_MUST(p->world, gnt_workers_mail_access(p->world->workers, p->world->access) == GNT_OK);
    sim_world_at(p->world, timer, now + (1 + below(p, 15)) * GNT_NS_PER_S);
}

void sim_permits_init(struct sim_permits *p, struct sim_world *w, struct sim_oracle *o)
{
    *p = (struct sim_permits){.world = w, .oracle = o, .turn.fire = on_turn};
    gnt_seeded_init(&p->chance, gnt_hash_mix(w->seed, 5));
    uint64_t kind = below(p, 4);
    if (kind < 2)
        return;
    take_list(p);
    if (kind == 3)
        sim_world_at(w, &p->turn, w->now + (5 + below(p, 15)) * GNT_NS_PER_S);
}

void sim_permits_calm(struct sim_permits *p)
{
    gnt_timer_cancel(&p->world->timers, &p->turn);
}

void sim_permits_fini(struct sim_permits *p)
{
    sim_permits_calm(p);
    gnt_access_unref(&p->world->access);
}
