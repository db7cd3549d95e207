#include "core/total.h"

/* A gauge is the sum over all homes: what one has counted in another may count out, so that of some
 * homes alone it may be below 0. */
static int64_t counted(const struct gnt_home *home, enum gnt_counter which)
{
    return (int64_t)gnt_counted(&home->counters, which);
}

/* What waits at the others, as it is now. */
static void look(struct gnt_home *home)
{
    struct gnt_total *t = &home->total;
    *t = (struct gnt_total){.looked_at = *home->now, .holds = t->holds};
    for (unsigned i = 0; i < home->config.homes; i++) {
        if (i == home->index)
            continue;
        t->count += counted(&home->homes[i], GNT_COUNT_QUEUED);
        t->bytes += counted(&home->homes[i], GNT_COUNT_QUEUED_BYTES);
    }
}

static bool exceeds(uint64_t limit, int64_t sum)
{
    return limit && sum > 0 && (uint64_t)sum > limit;
}

/* What is being recovered has been taken in before. */
static bool exceed(struct gnt_home *home, uint64_t most, uint64_t bytes_most, uint64_t count,
                   uint64_t size)
{
    const struct gnt_total *t = &home->total;
    if ((!most && !bytes_most) || home->recovering)
        return false;
    if (t->looked_at != *home->now)
        look(home);
    return exceeds(most, t->count + counted(home, GNT_COUNT_QUEUED) + (int64_t)count) ||
           exceeds(bytes_most, t->bytes + counted(home, GNT_COUNT_QUEUED_BYTES) + (int64_t)size);
}

bool gnt_total_exceeds(struct gnt_home *home, uint64_t count, uint64_t size)
{
    const struct gnt_core_config *c = &home->config;
    return exceed(home, c->queued_max, c->queued_bytes_max, count, size);
}

static uint64_t stretched(uint64_t limit, uint64_t least)
{
    return limit ? limit + gnt_slack(limit, least) : 0;
}

bool gnt_total_overruns(struct gnt_home *home, uint64_t count, uint64_t size)
{
    const struct gnt_core_config *c = &home->config;
    return exceed(home, stretched(c->queued_max, GNT_TOTAL_SLACK),
                  stretched(c->queued_bytes_max, GNT_TOTAL_SLACK_BYTES), count, size);
}
