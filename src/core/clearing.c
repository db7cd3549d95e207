#include "core/clearing.h"

#include <stdlib.h>

struct clearing {
    struct gnt_work work;
    struct gnt_backlog backlog;
};

static void clear_some(struct gnt_home *home, struct gnt_work *work)
{
    struct clearing *c = GNT_CONTAINER(work, struct clearing, work);
    for (int i = 0; i < GNT_CLEARING_SLICE && c->backlog.count; i++) {
        struct gnt_waiting w;
        gnt_backlog_pop(&c->backlog, &w);
        gnt_waiting_fini(&w);
    }
    if (c->backlog.count)
        gnt_home_later(home, work);
    else
        free(c);
}

void gnt_clearing_backlog(struct gnt_home *home, struct gnt_backlog *b)
{
    struct clearing *c = b->count > GNT_CLEARING_SLICE ? malloc(sizeof *c) : NULL;
    if (!c) { /* it is little, or there is no memory to put it off */
        gnt_backlog_fini(b);
        return;
    }
    c->backlog = *b;
    *b = (struct gnt_backlog){0};
    gnt_work_init(&c->work, clear_some);
    gnt_home_later(home, &c->work);
}
