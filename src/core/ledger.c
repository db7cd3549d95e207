#include "core/ledger.h"

#include "core/core.h"
#include "core/group.h"
#include "core/session_private.h"

static void sum_up(const struct gnt_counters *c, struct gnt_audit *audit)
{
    for (int i = 0; i < GNT_LEDGER_ROWS; i++)
        audit->sum.row[i] += gnt_counted(c, (enum gnt_counter)(GNT_LEDGER_FIRST + i));
    audit->queued += gnt_counted(c, GNT_COUNT_QUEUED);
}

bool gnt_core_audit(const struct gnt_core *core, struct gnt_audit *audit)
{
    *audit = (struct gnt_audit){0};
    for (unsigned i = 0; i < core->count; i++) {
        struct gnt_home *home = &core->homes[i];
        sum_up(&home->counters, audit);
        gnt_sessions_audit(home, audit);
        gnt_groups_audit(home, audit);
    }
    return gnt_ledger_queued(&audit->sum) == audit->queued && audit->queued == audit->kept &&
           audit->wrong == 0;
}
