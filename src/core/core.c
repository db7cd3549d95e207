#include "core/core.h"

#include "base/assert.h"
#include "core/group.h"
#include "core/receipt.h"
#include "core/session_private.h"

#include <stdlib.h>

gnt_err gnt_core_new(const struct gnt_core_config *config, struct gnt_core **out)
{
    GNT_ASSERT(config->homes >= 1 && config->homes <= GNT_HOMES_MAX);
    struct gnt_core *core = calloc(1, sizeof *core);
    if (!core)
        return GNT_NOMEM;
    core->count = config->homes;
    core->homes = calloc(config->homes, sizeof *core->homes);
    gnt_err err = core->homes ? gnt_tree_new(&core->tree) : GNT_NOMEM;
    if (err) {
        free(core->homes);
        free(core);
        return err;
    }
    for (unsigned i = 0; i < core->count; i++) {
        gnt_home_init(&core->homes[i], core->homes, i, core->tree, config);
        gnt_work_init(&core->homes[i].renewing.work, gnt_sessions_renew);
        gnt_list_init(&core->homes[i].renewing.marking);
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
    for (unsigned i = 0; i < c->count; i++)
        gnt_groups_leave_store(&c->homes[i]);
    for (unsigned i = 0; i < c->count; i++) {
        struct gnt_home *home = &c->homes[i];
        home->config.post = refuse_mail; /* there is nobody left to run it */
        gnt_sessions_free(home);
        gnt_groups_free(home);
    }
    for (unsigned i = 0; i < c->count; i++)
        gnt_slips_free(&c->homes[i]);
    for (unsigned i = 0; i < c->count; i++)
        gnt_home_fini(&c->homes[i]);
    gnt_tree_free(&c->tree);
    free(c->homes);
    free(c);
    *core = NULL;
}
