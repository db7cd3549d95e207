/* Topic filters as sets of topic names: whether two have one in common, and whether one holds all
 * of another's.  Filters are valid and not shared; what begins with $ is matched by no wildcard in
 * the first level [MQTT-4.7.2-1].  Pure functions. */
#ifndef GNT_AUTH_OVERLAP_H
#define GNT_AUTH_OVERLAP_H

#include "base/slice.h"

/* Whether some topic name matches A and B. */
bool gnt_filter_overlaps(struct gnt_slice a, struct gnt_slice b);

/* Whether every topic name that matches A and B matches WHOLE.  It may say no where that is so only
 * because of names that cannot be told apart by level: "+/#" has all that "#" has. */
bool gnt_filter_covers(struct gnt_slice whole, struct gnt_slice a, struct gnt_slice b);

#endif
