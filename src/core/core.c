#include "core/core.h"

#include "base/assert.h"
#include "core/group.h"
#include "core/session_private.h"

#include <stdlib.h>

enum { SWEEP_INTERVAL_S = 1 };

static void on_sweep(struct gnt_timer *timer, uint64_t now)
{
    struct gnt_home *home = GNT_CONTAINER(timer, struct gnt_home, sweep_due);
    size_t dropped = gnt_tree_sweep(home->core->tree, now);
    gnt_count(&home->counters, GNT_COUNT_RETAINED, -(int64_t)dropped);
    /* The timer has just been unset, so there is room in the heap for it. */
    gnt_err err = gnt_timer_set(home->timers, timer, now + SWEEP_INTERVAL_S * GNT_NS_PER_S);
    GNT_ASSERT(err == GNT_OK);
}

gnt_err gnt_core_new(const struct gnt_core_config *config, struct gnt_core **out)
{
    GNT_ASSERT(config->homes >= 1 && config->homes <= GNT_HOMES_MAX);
    struct gnt_core *core = calloc(1, sizeof *core);
    if (!core)
        return GNT_NOMEM;
    core->config = *config;
    core->homes = calloc(config->homes, sizeof *core->homes);
    gnt_err err = core->homes ? gnt_tree_new(&core->tree) : GNT_NOMEM;
    if (err) {
        free(core->homes);
        free(core);
        return err;
    }
    for (unsigned i = 0; i < config->homes; i++) {
        struct gnt_home *home = &core->homes[i];
        home->core = core;
        home->index = i;
        gnt_list_init(&home->work);
        home->work_due.fire = gnt_sessions_work;
        home->sweep_due.fire = on_sweep;
    }
    *out = core;
    return GNT_OK;
}

gnt_err gnt_home_attach(struct gnt_home *home, const uint64_t *now, struct gnt_timers *timers)
{
    home->now = now;
    home->timers = timers;
    /* Set once, a timer can be moved without memory. */
    gnt_err err = gnt_timer_set(timers, &home->work_due, GNT_FAR);
    if (!err && home->index == 0)
        err = gnt_timer_set(timers, &home->sweep_due, *now + SWEEP_INTERVAL_S * GNT_NS_PER_S);
    return err;
}

void gnt_core_free(struct gnt_core **core)
{
    struct gnt_core *c = *core;
    if (!c)
        return;
    for (unsigned i = 0; i < c->config.homes; i++) {
        struct gnt_home *home = &c->homes[i];
        gnt_sessions_free(home);
        gnt_groups_free(home);
        gnt_routes_fini(&home->routes);
        gnt_slots_fini(&home->slots);
        if (home->timers) {
            gnt_timer_cancel(home->timers, &home->work_due);
            gnt_timer_cancel(home->timers, &home->sweep_due);
        }
    }
    gnt_tree_free(&c->tree);
    free(c->homes);
    free(c);
    *core = NULL;
}

unsigned gnt_core_home_of(const struct gnt_core *core, struct gnt_slice client_id)
{
    return (unsigned)(gnt_hash(client_id) % core->config.homes);
}

gnt_err gnt_home_mail(struct gnt_home *home, unsigned to, void (*run)(const struct gnt_mail *mail),
                      void *object, uint64_t value, uint64_t other)
{
    struct gnt_core *core = home->core;
    struct gnt_mail mail = {run, &core->homes[to], object, value, other};
    return core->config.post(core->config.post_context, home->index, to, &mail);
}
