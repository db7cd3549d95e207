#include "core/recover_private.h"

#include "core/group_private.h"
#include "core/ledger.h"
#include "core/queue_private.h"
#include "core/session_private.h"

/* ---- Homes */

static void on_homes(struct gnt_recover *r, const struct gnt_store_record *record)
{
    struct gnt_homes_record homes;
    if (gnt_homes_record_read(record->value, &homes))
        r->before = homes;
    else
        r->result->damaged++;
}

static gnt_err recover_homes(struct gnt_recover *r)
{
    gnt_err err = gnt_recover_each(r, "meta", on_homes);
    if (err)
        return err;
    uint64_t *key = r->before.key;
    if (r->before.homes == 0) {
        key[0] = gnt_random_u64(r->how->random);
        key[1] = gnt_random_u64(r->how->random);
    }
    for (unsigned i = 0; i < r->core->count; i++) {
        struct gnt_home *home = &r->core->homes[i];
        memcpy(home->config.home_key, key, sizeof r->before.key);
        err = gnt_keep_init(home, r->how->store, r->how->time);
        if (err)
            return err;
    }
    return GNT_OK;
}

/* The last of all: as long as not all of their mail has been handed on, it has to be known how many
 * homes there were. */
static gnt_err write_homes(struct gnt_recover *r)
{
    struct gnt_homes_record now = r->before;
    now.homes = r->core->count;
    struct gnt_home *first = &r->core->homes[0];
    struct gnt_buf *value = &first->keep.scratch;
    gnt_err err = gnt_homes_record_write(&now, value);
    if (!err)
        err = gnt_keep_reserve(first, 1, 2 * GNT_STORE_NAME_MAX + gnt_buf_size(value));
    if (!err)
        gnt_batch_put(gnt_keep_batch(first), gnt_slice_str("meta"), gnt_slice_str("homes"),
                      gnt_buf_slice(value), NULL);
    return err;
}

/* ---- Shared groups */

static void on_group(struct gnt_recover *r, const struct gnt_store_record *record)
{
    struct gnt_group_record g;
    if (r->err)
        return;
    if (!gnt_group_record_read(record->value, &g)) {
        r->result->damaged++;
        return;
    }
    r->err = gnt_group_restore(&r->core->homes[0], g.name, g.filter, g.number);
    if (r->err == GNT_FULL) /* limits.filter_reach has come down: it stays in the store */
        r->err = GNT_OK;
    r->last_number = g.number > r->last_number ? g.number : r->last_number;
}

/* What was with a member, and what was before it, goes out first. */
static void on_waiting(struct gnt_recover *r, const struct gnt_store_record *record)
{
    struct gnt_entry_record entry;
    if (r->err || r->plain_from)
        return;
    if (gnt_recover_is_whole(r, record->sequence)) {
        r->plain_from = record->sequence;
        return;
    }
    r->placed++;
    if (gnt_recover_entry(r, record, &entry)) {
        gnt_sub_ids_fini(&entry.ids);
        r->err = gnt_group_restore_message(r->group, record->sequence, record->message);
    } else if (!r->err) {
        gnt_group_keep_no_message(r->group, record->sequence);
    }
}

static gnt_err recover_group(struct gnt_recover *r, struct gnt_reading *reading)
{
    struct gnt_group *g = r->group;
    struct gnt_record_log log = gnt_record_log('g', g->number);
    gnt_err err = gnt_recover_look_at(r, log, reading);
    g->last = r->log.last;
    if (!err)
        err = gnt_recover_front(r, log, reading);
    if (!err && r->plain_from)
        gnt_group_restore_rest(g, r->plain_from, r->log.last - r->plain_from + 1);
    gnt_recover_add_up(r);
    return err;
}

/* Those of which no member has come back end. */
static gnt_err recover_groups(struct gnt_recover *r)
{
    struct gnt_reading reading;
    gnt_err err = GNT_OK;
    gnt_reading_begin(&reading, r, on_waiting);
    for (unsigned i = 0; !err && i < r->core->count; i++) {
        struct gnt_map_cursor cursor = {0};
        struct gnt_map *groups = &r->core->homes[i].groups;
        for (struct gnt_map_node *node; !err && (node = gnt_map_walk(groups, &cursor));) {
            r->group = GNT_CONTAINER(node, struct gnt_group, by_name);
            if (r->group->count == 0)
                gnt_group_free(r->group);
            else
                err = recover_group(r, &reading);
        }
    }
    gnt_reading_end(&reading);
    return err;
}

/* ---- Publications that were on their way from one home to another */

/* At the home where it lived before. */
static bool lived_at(const struct gnt_recover *r, struct gnt_sink *sink, uint32_t home)
{
    const uint64_t *key = r->before.key;
    if (gnt_session_is(sink)) {
        const struct gnt_session *s = gnt_session_of(sink);
        struct gnt_slice id = gnt_slice(s->client_id, s->client_id_size);
        return gnt_hash_with(key, id) % r->before.homes == home;
    }
    if (gnt_queue_is(sink))
        return gnt_entity_home(key, r->before.homes, gnt_queue_of(sink)->name) == home;
    const struct gnt_group *g = gnt_group_of(sink);
    return gnt_group_hash(key, g->name, g->filter) % r->before.homes == home;
}

static gnt_err hand_on(struct gnt_recover *r, struct gnt_home *home, struct gnt_message *message)
{
    struct gnt_receipt receipt = {.outcome = GNT_DONE}; /* nobody is there who would hold it */
    struct gnt_route *route;
    bool owned;
    gnt_err err =
        gnt_routes_find(&home->routes, home->tree, home->index, message->topic, &route, &owned);
    for (size_t i = 0; !err && i < route->count; i++) {
        const struct gnt_target *t = &route->targets[i];
        struct gnt_sink *sink = gnt_slots_find(&home->slots, t->sink);
        if (sink && lived_at(r, sink, r->to))
            sink->ops->take(sink, message, &t->match, &receipt);
    }
    if (!err && owned)
        gnt_route_free(route);
    return !err && receipt.outcome == GNT_FAILED ? GNT_NOMEM : err;
}

/* What all homes write because of it, and that it is done, is one batch. */
static void on_mailed(struct gnt_recover *r, const struct gnt_store_record *record)
{
    struct gnt_home *first = &r->core->homes[0];
    struct gnt_record_log log = gnt_record_log('h', (uint64_t)r->from << 32 | r->to);
    r->placed++;
    for (unsigned i = 0; !r->err && record->message && i < r->core->count; i++) {
        struct gnt_home *home = &r->core->homes[i];
        r->err = hand_on(r, home, record->message);
        if (!r->err && home != first && home->keep.batch.count)
            r->err = gnt_keep_join(first, home);
    }
    if (!r->err)
        r->err = gnt_keep_reserve(first, 1, GNT_STORE_NAME_MAX);
    if (!r->err)
        gnt_batch_remove(gnt_keep_batch(first), gnt_record_log_slice(&log), record->sequence);
}

static gnt_err recover_mail_in(struct gnt_recover *r, struct gnt_record_log log,
                               struct gnt_reading *reading)
{
    uint64_t from = 0;
    gnt_err err = gnt_recover_look_at(r, log, reading);
    do {
        if (!err)
            err = gnt_recover_log(r, log, from, GNT_STORE_READ_MAX, reading);
        from = reading->last_sequence + 1;
        if (!err)
            gnt_keep_commit(&r->core->homes[0]);
    } while (!err && reading->read.more);
    r->result->damaged += !err && r->log.count > r->placed ? r->log.count - r->placed : 0;
    return err;
}

static gnt_err recover_mail(struct gnt_recover *r)
{
    struct gnt_reading reading;
    gnt_err err = GNT_OK;
    gnt_reading_begin(&reading, r, on_mailed);
    for (r->from = 0; !err && r->from < r->before.homes; r->from++) {
        for (r->to = 0; !err && r->to < r->before.homes; r->to++) {
            struct gnt_record_log log = gnt_record_log('h', (uint64_t)r->from << 32 | r->to);
            err = recover_mail_in(r, log, &reading);
            if (r->from < r->core->count && r->to < r->core->count)
                r->core->homes[r->from].keep.mailed[r->to] = reading.read.log.last;
            else if (!err && !gnt_keep_reserve(&r->core->homes[0], 1, GNT_STORE_NAME_MAX))
                gnt_batch_drop(gnt_keep_batch(&r->core->homes[0]), gnt_record_log_slice(&log));
        }
    }
    gnt_reading_end(&reading);
    return err;
}

/* ---- Retained messages */

static void on_retained(struct gnt_recover *r, const struct gnt_store_record *record)
{
    const struct gnt_message *kept = record->message;
    struct gnt_home *home = &r->core->homes[0];
    struct gnt_message *message;
    int change;
    if (r->err)
        return;
    if (!kept) {
        r->result->damaged++;
        return;
    }
    if (gnt_message_expired(kept, *home->now)) {
        gnt_recover_take_out(home, "retained", record);
        return;
    }
    r->err = gnt_message_copy(kept, UINT64_MAX, &message); /* of a client that is not there */
    if (r->err)
        return;
    r->err = gnt_tree_retain(r->core->tree, message, 0, &change);
    if (!r->err)
        gnt_count(&home->counters, GNT_COUNT_RETAINED, change);
    gnt_message_unref(&message);
    r->result->retained++;
}

/* ---- All of it */

/* From now on numbers are given out that nobody has. */
static void begin_numbering(struct gnt_recover *r)
{
    for (unsigned i = 0; i < r->core->count; i++) {
        struct gnt_keep *k = &r->core->homes[i].keep;
        k->numbers += r->last_number - r->last_number % r->core->count;
    }
}

/* What is over a limit that has become lower stays, as if it had been there at a reload. */
static void lift_limits(struct gnt_recover *r)
{
    gnt_tree_limit(r->core->tree, 0);
    for (unsigned i = 0; i < r->core->count; i++) {
        r->core->homes[i].recovering = true;
        r->core->homes[i].config.subscriptions_per_session = SIZE_MAX;
    }
}

static void set_limits(struct gnt_recover *r, const struct gnt_core_config *as_before)
{
    gnt_tree_limit(r->core->tree, as_before->filter_reach);
    for (unsigned i = 0; i < r->core->count; i++) {
        r->core->homes[i].recovering = false;
        r->core->homes[i].config.subscriptions_per_session = as_before->subscriptions_per_session;
    }
}

gnt_err gnt_core_recover(struct gnt_core *core, const struct gnt_recovery *recovery,
                         struct gnt_recovered *recovered)
{
    *recovered = (struct gnt_recovered){0};
    struct gnt_recover r = {.core = core, .how = recovery, .result = recovered};
    const struct gnt_core_config limits = core->homes[0].config;
    lift_limits(&r);
    gnt_err err = recover_homes(&r);
    if (!err)
        err = gnt_recover_sessions(&r);
    if (!err)
        err = gnt_recover_each(&r, "group", on_group);
    if (!err)
        err = gnt_recover_queues(&r);
    if (!err) {
        begin_numbering(&r);
        err = gnt_recover_of_sessions(&r);
    }
    if (!err)
        err = recover_groups(&r);
    if (!err)
        err = gnt_recover_of_queues(&r);
    if (!err)
        err = gnt_recover_each(&r, "retained", on_retained);
    if (!err) {
        gnt_recover_keep_sessions(&r);
        err = recover_mail(&r);
    }
    if (!err)
        err = write_homes(&r);
    for (unsigned i = 0; err && i < core->count; i++)
        gnt_keep_give_up(&core->homes[i]);
    for (unsigned i = 0; !err && i < core->count; i++)
        gnt_keep_commit(&core->homes[i]);
    gnt_recover_sessions_end(&r);
    gnt_recover_queues_end(&r);
    set_limits(&r, &limits);
    return err;
}
