/* Retained messages of publications, and what of them is kept.
 *
 * The tree says at once what is retained.  What the store has is written by one home for each
 * topic, from what the tree says when it comes to it: so two publications of one topic, at two
 * homes, cannot end up in the store in another order than in the tree.  A publisher at another home
 * waits for it with a receipt. */
#include "core/publish.h"

#include "core/receipt.h"
#include "core/record.h"

#include <stdlib.h>

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

/* Writes what is retained for TOPIC now. */
static gnt_err write_down(struct gnt_home *home, struct gnt_slice topic)
{
    static const struct gnt_slice nothing;
    gnt_err err = gnt_keep_reserve(home, 1, GNT_STORE_NAME_MAX + GNT_STORE_KEY_MAX);
    if (err)
        return err;
    struct gnt_record_key key = gnt_record_key_text(0, topic);
    struct gnt_slice table = gnt_slice_str("retained"), at = gnt_record_key_slice(&key);
    struct gnt_message *message = gnt_tree_retained_at(home->tree, topic);
    if (message)
        gnt_batch_put(gnt_keep_batch(home), table, at, nothing, message);
    else
        gnt_batch_delete(gnt_keep_batch(home), table, at);
    gnt_message_unref(&message);
    return GNT_OK;
}

/* A publisher elsewhere that waits for what is written here. */
struct awaited {
    struct gnt_kept kept;
    struct gnt_receipt *receipt;
};

static void on_safe(struct gnt_home *home, struct gnt_kept *kept)
{
    struct awaited *a = GNT_CONTAINER(kept, struct awaited, kept);
    gnt_receipt_release(home, a->receipt);
    free(a);
}

static void write_mailed(struct gnt_home *home, const struct gnt_passing *passing,
                         struct gnt_receipt *receipt)
{
    struct awaited *a = receipt ? malloc(sizeof *a) : NULL;
    if (write_down(home, passing->message->topic) || (receipt && !a)) {
        gnt_count(&home->counters, GNT_COUNT_KEEP_FAILURES, 1);
        free(a);
        if (receipt)
            receipt->outcome = GNT_FAILED;
        return;
    }
    if (!a)
        return;
    *a = (struct awaited){.kept.safe = on_safe, .receipt = receipt};
    gnt_receipt_hold(receipt);
    gnt_keep_wait(home, &a->kept, gnt_keep_pending(home));
}

static void on_mailed(const struct gnt_mail *mail)
{
    struct gnt_passing passing = {.message = mail->object};
    write_mailed(mail->to, &passing, NULL);
    gnt_message_unref(&passing.message);
}

static gnt_err mail(struct gnt_home *home, unsigned to, struct gnt_message *message,
                    struct gnt_receipt *receipt)
{
    if (receipt)
        return gnt_slip_mail(home, to, &(struct gnt_passing){message, home->index, 0}, receipt,
                             write_mailed);
    struct gnt_message *ref = gnt_message_ref(message);
    gnt_err err = gnt_home_mail(home, to, on_mailed, ref, 0, 0);
    if (err)
        gnt_message_unref(&ref);
    return err;
}

enum gnt_outcome gnt_publish_retained(struct gnt_home *home, struct gnt_message *message,
                                      struct gnt_receipt *receipt)
{
    enum gnt_outcome outcome = retain(home, message);
    bool own = gnt_slice_starts(message->topic, gnt_slice_str("$")); /* the broker says it again */
    if (outcome != GNT_DONE || own || !gnt_keeps(home))
        return outcome;
    unsigned at = gnt_home_of(home, message->topic);
    gnt_err err = at == home->index ? write_down(home, message->topic)
                                    : mail(home, at, message, message->qos ? receipt : NULL);
    return err ? GNT_FAILED : GNT_DONE;
}
