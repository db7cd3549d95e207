#include "core/core.h"

#include "base/assert.h"
#include "core/group.h"
#include "core/queue_private.h"
#include "core/receipt.h"
#include "core/session_private.h"

#include <stdlib.h>

static gnt_err begin_home(struct gnt_core *core, unsigned i, const struct gnt_core_config *config)
{
    struct gnt_home *home = &core->homes[i];
    gnt_home_init(home, core->homes, i, core->tree, config);
    gnt_work_init(&home->renewing.work, gnt_sessions_renew);
    gnt_list_init(&home->renewing.marking);
    return gnt_errands_new(home);
}

gnt_err gnt_core_new(const struct gnt_core_config *config, struct gnt_core **out)
{
    GNT_ASSERT(config->homes >= 1 && config->homes <= GNT_HOMES_MAX);
    struct gnt_core *core = calloc(1, sizeof *core);
    if (!core)
        return GNT_NOMEM;
    core->count = config->homes;
    core->homes = calloc(config->homes, sizeof *core->homes);
    gnt_err err = core->homes ? gnt_tree_new(&core->tree) : GNT_NOMEM;
    for (unsigned i = 0; !err && i < core->count; i++)
        err = begin_home(core, i, config);
    if (err) {
        for (unsigned i = 0; core->homes && i < core->count; i++)
            gnt_errands_free(&core->homes[i]);
        gnt_tree_free(&core->tree);
        free(core->homes);
        free(core);
        return err;
    }
    *out = core;
    return GNT_OK;
}

static gnt_err refuse_mail(void *context, unsigned from, unsigned to, const struct gnt_mail *mail)
{
    (void)context, (void)from, (void)to, (void)mail;
    return GNT_CLOSED;
}

void gnt_core_free(struct gnt_core **core)
{
    struct gnt_core *c = *core;
    if (!c)
        return;
    for (unsigned i = 0; i < c->count; i++) {
        gnt_groups_leave_store(&c->homes[i]);
        gnt_queues_leave_store(&c->homes[i]);
    }
    for (unsigned i = 0; i < c->count; i++) {
        struct gnt_home *home = &c->homes[i];
        home->config.post = refuse_mail; /* there is nobody left to run it */
        gnt_sessions_free(home);
        gnt_groups_free(home);
        gnt_queues_free(home);
    }
    gnt_errands_finish(c); /* who wants something of a queue is told that it has gone */
    for (unsigned i = 0; i < c->count; i++)
        gnt_slips_free(&c->homes[i]);
    for (unsigned i = 0; i < c->count; i++) {
        gnt_errands_free(&c->homes[i]);
        gnt_home_fini(&c->homes[i]);
    }
    gnt_tree_free(&c->tree);
    free(c->homes);
    free(c);
    *core = NULL;
}
