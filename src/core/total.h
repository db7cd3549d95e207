/* What waits in the whole broker, and the limits on it: config.queued_max deliveries, and
 * config.queued_bytes_max bytes of payload, queued or in flight, in all homes together.
 *
 * No home asks another one for each message: each counts for itself (GNT_COUNT_QUEUED), and adds
 * the others up when it first wants to know in a turn.  So the limits may be exceeded by what the
 * homes take in during one turn (docs/limits.md).
 *
 * Threads  the home's. */
#ifndef GNT_CORE_TOTAL_H
#define GNT_CORE_TOTAL_H

#include "core/home.h"

/* How far a limit on what waits may be exceeded by what is under way when it is reached: by a
 * quarter of it, or by LEAST if that is more. */
static inline uint64_t gnt_slack(uint64_t limit, uint64_t least)
{
    return limit / 4 > least ? limit / 4 : least;
}

/* Whether there is a limit that COUNT deliveries of SIZE bytes together, besides those that HOME
 * has counted in already, would exceed. */
bool gnt_total_exceeds(struct gnt_home *home, uint64_t count, uint64_t size);

/* The same of the limits with their slack (GNT_TOTAL_SLACK, GNT_TOTAL_SLACK_BYTES). */
enum { GNT_TOTAL_SLACK = 65536, GNT_TOTAL_SLACK_BYTES = 64 << 20 };
bool gnt_total_overruns(struct gnt_home *home, uint64_t count, uint64_t size);

#endif
