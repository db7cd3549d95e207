#include "core/ledger.h"

#include "core/core.h"

bool gnt_account_next(struct gnt_home *home, uint32_t *at, struct gnt_account *out)
{
    struct gnt_sink *sink = gnt_slots_next(&home->slots, at);
    *out = (struct gnt_account){0};
    if (sink)
        sink->ops->account(sink, out);
    return sink != NULL;
}

static void audit_counters(const struct gnt_counters *c, struct gnt_audit *audit)
{
    for (int i = 0; i < GNT_LEDGER_ROWS; i++)
        audit->sum.row[i] += gnt_counted(c, (enum gnt_counter)(GNT_LEDGER_FIRST + i));
    audit->queued += gnt_counted(c, GNT_COUNT_QUEUED);
}

static void audit_accounts(struct gnt_home *home, struct gnt_audit *audit)
{
    static const struct gnt_ledger empty;
    struct gnt_account a;
    for (uint32_t at = 0; gnt_account_next(home, &at, &a);) {
        audit->kept += a.queued;
        audit->wrong += gnt_ledger_queued(a.ledger ? a.ledger : &empty) != a.queued;
    }
}

bool gnt_core_audit(const struct gnt_core *core, struct gnt_audit *audit)
{
    *audit = (struct gnt_audit){0};
    for (unsigned i = 0; i < core->count; i++) {
        audit_counters(&core->homes[i].counters, audit);
        audit_accounts(&core->homes[i], audit);
    }
    return gnt_ledger_queued(&audit->sum) == audit->queued && audit->queued == audit->kept &&
           audit->wrong == 0;
}
