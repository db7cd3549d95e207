#include "core/group_private.h"

#include "core/fetch.h"
#include "core/record.h"

static struct gnt_slice table(void)
{
    return gnt_slice_str("group");
}

static struct gnt_record_log log_of(const struct gnt_group *g)
{
    return gnt_record_log('g', g->number);
}

/* Room for WRITES writes with VALUE bytes of values. */
static gnt_err reserve(struct gnt_group *g, uint32_t writes, size_t value)
{
    return gnt_keep_reserve(g->home, writes, writes * 2 * GNT_STORE_NAME_MAX + value);
}

/* ---- The group */

/* Routes are to say that it keeps: in the tree it stands under another id of the same sink from now
 * on.  Who finds both meanwhile is at another home, and has this one look again. */
static gnt_err place_anew(struct gnt_group *g)
{
    struct gnt_tree *tree = g->home->tree;
    const struct gnt_sub_options all = {.qos = 2, .retain_as_published = true};
    uint64_t id = g->sink.id | GNT_SINK_KEPT;
    bool existed;
    gnt_err err = gnt_tree_subscribe(tree, g->filter, id, &all, &existed, &g->place);
    if (err)
        return err;
    gnt_tree_unsubscribe(tree, g->place, g->placed);
    g->placed = id;
    return GNT_OK;
}

gnt_err gnt_group_keep(struct gnt_group *g)
{
    struct gnt_buf *value = &g->home->keep.scratch;
    const struct gnt_group_record record = {gnt_keep_number(g->home), g->name, g->filter};
    gnt_err err = gnt_group_record_write(&record, value);
    if (!err)
        err = reserve(g, 1, gnt_buf_size(value));
    if (!err)
        err = place_anew(g);
    if (err)
        return err;
    struct gnt_record_key key = gnt_record_key_number(record.number);
    gnt_batch_put(gnt_keep_batch(g->home), table(), gnt_record_key_slice(&key),
                  gnt_buf_slice(value), NULL);
    g->number = record.number;
    return GNT_OK;
}

static void leave_store(struct gnt_group *g)
{
    gnt_fetch_drop(&g->fetch);
    g->number = 0;
}

/* What is left of it for want of memory is swept out at the next start: it has no members. */
void gnt_group_keep_end(struct gnt_group *g)
{
    if (g->number && reserve(g, 2, 0) == GNT_OK) {
        struct gnt_batch *batch = gnt_keep_batch(g->home);
        struct gnt_record_key key = gnt_record_key_number(g->number);
        struct gnt_record_log log = log_of(g);
        gnt_batch_delete(batch, table(), gnt_record_key_slice(&key));
        gnt_batch_drop(batch, gnt_record_log_slice(&log));
    }
    leave_store(g);
}

void gnt_groups_leave_store(struct gnt_home *home)
{
    struct gnt_map_cursor cursor = {0};
    for (struct gnt_map_node *node; (node = gnt_map_walk(&home->groups, &cursor));)
        leave_store(GNT_CONTAINER(node, struct gnt_group, by_name));
}

/* ---- Its messages */

gnt_err gnt_group_keep_message(struct gnt_group *g, struct gnt_waiting *w)
{
    if (!g->number || w->message->qos == 0)
        return GNT_OK;
    struct gnt_buf *value = &g->home->keep.scratch;
    const struct gnt_entry_record record = {.qos = w->message->qos, .retain = w->message->retain};
    gnt_err err = gnt_entry_record_write(&record, value);
    if (!err)
        err = reserve(g, 1, gnt_buf_size(value));
    if (err)
        return err;
    struct gnt_record_log log = log_of(g);
    w->sequence = ++g->last;
    gnt_batch_append(gnt_keep_batch(g->home), gnt_record_log_slice(&log), w->sequence,
                     gnt_buf_slice(value), w->message);
    return GNT_OK;
}

void gnt_group_keep_no_message(struct gnt_group *g, uint64_t sequence)
{
    if (!g->number || !sequence || reserve(g, 1, 0))
        return;
    struct gnt_record_log log = log_of(g);
    gnt_batch_remove(gnt_keep_batch(g->home), gnt_record_log_slice(&log), sequence);
}

/* ---- Fetching */

static struct gnt_pending *queue_of(void *owner)
{
    return &((struct gnt_group *)owner)->waiting;
}

/* After an error of the store whatever happens next tries again. */
static void on_fetched(void *owner, gnt_err err)
{
    struct gnt_group *g = owner;
    if (err == GNT_NOMEM)
        gnt_home_later(g->home, &g->again);
    else if (!err)
        gnt_group_dispatch(g);
}

void gnt_group_fetch(struct gnt_group *g)
{
    if (!g->number || g->fetch || gnt_pending_wants(&g->waiting) == 0)
        return;
    const struct gnt_fetch_for whom = {g->home, log_of(g), g, queue_of, on_fetched};
    if (gnt_fetch_begin(&g->fetch, &whom))
        gnt_home_later(g->home, &g->again);
}

/* ---- Coming back */

gnt_err gnt_group_restore(struct gnt_home *first, struct gnt_slice name, struct gnt_slice filter,
                          uint64_t number)
{
    uint64_t hash = gnt_group_hash(first->config.home_key, name, filter);
    struct gnt_home *home = &first->homes[hash % first->config.homes];
    struct gnt_group *g = gnt_group_named(home, name, filter);
    if (g) /* it had ended, and there was no memory to say so */
        gnt_group_free(g);
    gnt_err err = gnt_group_new(home, name, filter, &g);
    if (err)
        return err;
    err = place_anew(g);
    if (err)
        gnt_group_free(g);
    else
        g->number = number;
    return err;
}

gnt_err gnt_group_restore_message(struct gnt_group *g, uint64_t sequence,
                                  struct gnt_message *message)
{
    struct gnt_waiting w = {.message = gnt_message_ref(message), .sequence = sequence};
    gnt_err err = gnt_backlog_insert(&g->returned, g->returned.count, &w);
    if (err) {
        gnt_waiting_fini(&w);
        return err;
    }
    gnt_ledger_recover(g->home, &g->ledger, 1);
    gnt_count(&g->home->counters, GNT_COUNT_QUEUED_BYTES, (int64_t)message->payload.size);
    return GNT_OK;
}

void gnt_group_restore_rest(struct gnt_group *g, uint64_t first, uint64_t count)
{
    g->waiting.stored = (struct gnt_stored){.first = first, .count = count};
    gnt_ledger_recover(g->home, &g->ledger, count);
}
