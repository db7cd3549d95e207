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

/* $SYS is not kept: the broker says it again. */
static gnt_err keep(struct gnt_home *home, struct gnt_message *message)
{
    bool own = gnt_slice_starts(message->topic, gnt_slice_str("$"));
    return own || !gnt_keeps(home) ? GNT_OK : gnt_keep_retained(home, message);
}

enum gnt_outcome gnt_publish_retained(struct gnt_home *home, struct gnt_message *message)
{
    enum gnt_outcome outcome = retain(home, message);
    return outcome == GNT_DONE && keep(home, message) ? GNT_FAILED : outcome;
}

void gnt_publish_retained_gone(struct gnt_home *home, struct gnt_message **message)
{
    if (keep(home, *message)) /* it goes with the next start */
        gnt_count(&home->counters, GNT_COUNT_KEEP_FAILURES, 1);
    gnt_message_unref(message);
}
