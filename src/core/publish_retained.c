/* Retained messages of publications: the tree says at once what is retained, the store has it with
 * the batch of the turn (core/keep.h). */
#include "core/publish.h"

/* A publication that cannot be retained goes nowhere: its sender is told that it was refused. */
static enum gnt_outcome retain(struct gnt_home *home, struct gnt_message *message)
{
    int change;
    gnt_err err = gnt_tree_retain(home->tree, message, home->config.retained_max, &change);
    if (err == GNT_FULL)
        gnt_count(&home->counters, GNT_COUNT_RETAIN_REFUSED, 1);
    else if (!err)
        gnt_count(&home->counters, GNT_COUNT_RETAINED, change);
    return !err ? GNT_DONE : err == GNT_FULL ? GNT_QUOTA : GNT_FAILED;
}

enum gnt_outcome gnt_publish_retained(struct gnt_home *home, struct gnt_message *message)
{
    enum gnt_outcome outcome = retain(home, message);
    bool own = gnt_slice_starts(message->topic, gnt_slice_str("$")); /* the broker says it again */
    if (outcome != GNT_DONE || own || !gnt_keeps(home))
        return outcome;
    return gnt_keep_retained(home, message) ? GNT_FAILED : GNT_DONE;
}
