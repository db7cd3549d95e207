#include "core/recover_private.h"

#include "base/assert.h"
#include "core/group_private.h"
#include "core/ledger.h"
#include "core/record.h"
#include "core/session_private.h"
#include "store/store_time.h"

#include <stdlib.h>

/* A session that comes back.  Nothing is written for it before all of it is there. */
struct gnt_returning {
    struct gnt_map_node by_number;
    struct gnt_session *session;
    struct gnt_session_kept *kept; /* until it is the session's */
    uint64_t *released;            /* sequences, in order */
    uint32_t released_count, released_cap;
    bool was_connected;
};

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

/* ---- Sessions */

static uint64_t number_hash(uint64_t number)
{
    return gnt_hash_mix(0, number);
}

static struct gnt_returning *find(const struct gnt_recover *r, uint64_t number)
{
    struct gnt_map_node *node = gnt_map_first(&r->sessions, number_hash(number));
    for (; node; node = gnt_map_next(node)) {
        struct gnt_returning *one = GNT_CONTAINER(node, struct gnt_returning, by_number);
        if (one->kept->number == number)
            return one;
    }
    return NULL;
}

static gnt_err returning_new(struct gnt_recover *r, uint64_t number, struct gnt_returning **out)
{
    struct gnt_returning *one = calloc(1, sizeof *one);
    struct gnt_session_kept *kept = calloc(1, sizeof *kept);
    if (one && kept && !gnt_map_insert(&r->sessions, &one->by_number, number_hash(number))) {
        one->kept = kept;
        kept->number = number;
        *out = one;
        return GNT_OK;
    }
    free(one);
    free(kept);
    return GNT_NOMEM;
}

static struct gnt_returning *returning_of(const struct gnt_recover *r,
                                          const struct gnt_session *session)
{
    struct gnt_map_cursor cursor = {0};
    for (struct gnt_map_node *node; (node = gnt_map_walk(&r->sessions, &cursor));) {
        struct gnt_returning *one = GNT_CONTAINER(node, struct gnt_returning, by_number);
        if (one->session == session)
            return one;
    }
    return NULL;
}

/* The session with this number had ended, and there was no memory to say so: its record and log are
 * taken out; what else it has is, as it comes. */
static void forget_ended(struct gnt_recover *r, uint64_t number)
{
    struct gnt_home *first = &r->core->homes[0];
    struct gnt_record_key key = gnt_record_key_number(number);
    struct gnt_record_log log = gnt_record_log('s', number);
    if (gnt_keep_reserve(first, 2, 4 * GNT_STORE_NAME_MAX))
        return; /* likewise */
    gnt_batch_delete(gnt_keep_batch(first), gnt_slice_str("session"), gnt_record_key_slice(&key));
    gnt_batch_drop(gnt_keep_batch(first), gnt_record_log_slice(&log));
}

/* A client has one session, and its numbers rise: whether S is older than one that has come back
 * already; if that is the older one, it goes. */
static bool has_ended(struct gnt_recover *r, const struct gnt_home *home,
                      const struct gnt_session_record *s)
{
    struct gnt_session *other = gnt_session_find(home, s->client_id);
    if (!other)
        return false;
    struct gnt_returning *one = returning_of(r, other);
    bool older = s->number < one->kept->number;
    forget_ended(r, older ? s->number : one->kept->number);
    if (older)
        return true;
    gnt_session_discard(other);
    gnt_map_remove(&r->sessions, &one->by_number);
    free(one->kept);
    free(one);
    r->result->sessions--;
    return false;
}

/* Store time AT_MS as a time of the loops. */
static uint64_t since(const struct gnt_recover *r, uint64_t at_ms)
{
    return gnt_store_time_to(r->how->time, at_ms);
}

static void on_session(struct gnt_recover *r, const struct gnt_store_record *record)
{
    struct gnt_session_record s;
    struct gnt_returning *one;
    if (r->err)
        return;
    if (!gnt_session_record_read(record->value, &s)) {
        r->result->damaged++;
        return;
    }
    struct gnt_home *home = &r->core->homes[gnt_home_of(&r->core->homes[0], s.client_id)];
    r->last_number = s.number > r->last_number ? s.number : r->last_number;
    if (has_ended(r, home, &s))
        return;
    bool connected = s.parted_ms == UINT64_MAX;
    uint64_t parted = connected ? gnt_store_time_ms(r->how->time) : s.parted_ms;
    r->err = returning_new(r, s.number, &one);
    if (r->err)
        return;
    one->kept->parted_ms = parted;
    one->was_connected = connected;
    const struct gnt_session_restore restore = {
        .client_id = s.client_id,
        .expiry_s = s.expiry_s,
        .parted = since(r, parted),
        .will = record->message,
        .will_delay_s = s.will_delay_s,
        .will_expiry_s = s.will_expiry_s,
    };
    r->err = gnt_session_restore(home, &restore, &one->session);
    r->result->sessions++;
}

static void on_sub(struct gnt_recover *r, const struct gnt_store_record *record)
{
    struct gnt_sub_record sub;
    if (r->err)
        return;
    if (!gnt_sub_record_read(record->value, &sub)) {
        r->result->damaged++;
        return;
    }
    struct gnt_returning *one = find(r, sub.session);
    enum gnt_outcome outcome = GNT_DONE;
    if (!one) {
        gnt_session_keep_no_filter(&r->core->homes[0], sub.session, sub.filter);
        return;
    }
    enum gnt_retain_handling retained =
        sub.retained_due ? GNT_RETAIN_SEND : GNT_RETAIN_DO_NOT_SEND; /* what is found later on */
    if (gnt_session_subscribe(one->session, sub.filter, &sub.options, retained, NULL, &outcome) &&
        outcome == GNT_FAILED)
        r->err = GNT_NOMEM;
    r->result->subscriptions += outcome == GNT_DONE;
    r->result->damaged += outcome == GNT_FILTER_INVALID;
}

/* RECORD, of TABLE, has no use any more.  If there is no memory for that, it has none next time. */
static void take_out(struct gnt_home *home, const char *table,
                     const struct gnt_store_record *record)
{
    if (gnt_keep_reserve(home, 1, GNT_STORE_NAME_MAX + record->key.size) == GNT_OK)
        gnt_batch_delete(gnt_keep_batch(home), gnt_slice_str(table), record->key);
}

/* A record of "received" or "released": *one is NULL if its session has gone, and it is taken out.
 */
static bool of_session(struct gnt_recover *r, const char *table,
                       const struct gnt_store_record *record, struct gnt_returning **one,
                       uint64_t *second)
{
    uint64_t number;
    if (!gnt_record_numbers(record->key, &number, second)) {
        r->result->damaged++;
        return false;
    }
    *one = find(r, number);
    if (!*one)
        take_out(&r->core->homes[0], table, record);
    return *one;
}

static void on_received(struct gnt_recover *r, const struct gnt_store_record *record)
{
    struct gnt_returning *one;
    uint64_t id;
    if (r->err || !of_session(r, "received", record, &one, &id))
        return;
    if (id == 0 || id > UINT16_MAX)
        r->result->damaged++;
    else
        r->err = gnt_idset_add(&one->session->unreleased, (uint16_t)id);
}

static void on_released(struct gnt_recover *r, const struct gnt_store_record *record)
{
    struct gnt_returning *one;
    uint64_t sequence;
    if (r->err || !of_session(r, "released", record, &one, &sequence))
        return;
    if (one->released_count == one->released_cap) {
        uint32_t cap = one->released_cap ? one->released_cap * 2 : 8;
        uint64_t *more = realloc(one->released, cap * sizeof *more);
        if (!more) {
            r->err = GNT_NOMEM;
            return;
        }
        one->released = more;
        one->released_cap = cap;
    }
    one->released[one->released_count++] = sequence;
}

/* ---- What waits for a session */

/* False: it says nothing, or there is no memory (r->err). */
static bool read_entry(struct gnt_recover *r, const struct gnt_store_record *record,
                       struct gnt_entry_record *entry)
{
    gnt_err err = record->message ? gnt_entry_record_read(record->value, entry) : GNT_MALFORMED;
    if (err == GNT_MALFORMED)
        r->result->damaged++;
    else
        r->err = err;
    return err == GNT_OK;
}

static gnt_err restore_flight(struct gnt_returning *one, struct gnt_flight *flight,
                              uint64_t sequence, enum gnt_flight_state state)
{
    flight->id = gnt_session_id_of(sequence);
    gnt_err err = gnt_window_restore(&one->session->window, flight, state);
    if (!err)
        one->kept->sent = sequence;
    return err;
}

/* Released ones before SEQUENCE. */
static gnt_err restore_released(struct gnt_recover *r, uint64_t sequence)
{
    struct gnt_returning *one = r->filling;
    while (r->released < one->released_count && one->released[r->released] < sequence) {
        struct gnt_flight flight = {.qos = 2};
        gnt_err err =
            restore_flight(one, &flight, one->released[r->released++], GNT_FLIGHT_RELEASED);
        if (err == GNT_INVALID)
            r->result->damaged++;
        else if (err)
            return err;
    }
    return GNT_OK;
}

/* Whether from SEQUENCE on nothing is missing, and nothing but messages is in flight. */
static bool is_plain(const struct gnt_recover *r, uint64_t sequence)
{
    return gnt_recover_is_whole(r, sequence) && r->released == r->filling->released_count;
}

/* An entry before which, or behind which, something is missing has been in flight. */
static void on_entry(struct gnt_recover *r, const struct gnt_store_record *record)
{
    struct gnt_session *s = r->filling->session;
    struct gnt_entry_record entry;
    if (r->err || r->plain_from)
        return;
    r->err = restore_released(r, record->sequence);
    if (r->err)
        return;
    if (is_plain(r, record->sequence) ||
        !gnt_window_takes(&s->window, gnt_session_id_of(record->sequence))) {
        r->plain_from = record->sequence;
        return;
    }
    r->placed++;
    if (!read_entry(r, record, &entry))
        return;
    struct gnt_flight flight = {.message = gnt_message_ref(record->message),
                                .ids = entry.ids,
                                .qos = entry.qos,
                                .retain = entry.retain};
    r->err = restore_flight(r->filling, &flight, record->sequence, GNT_FLIGHT_PUBLISHED);
    if (r->err) {
        gnt_message_unref(&flight.message);
        gnt_sub_ids_fini(&flight.ids);
        return;
    }
    gnt_ledger_recover(s->home, s->ledger, 1);
    gnt_count(&s->home->counters, GNT_COUNT_QUEUED_BYTES, (int64_t)record->message->payload.size);
}

/* The rest stays in the store. */
static gnt_err leave_in_store(struct gnt_recover *r)
{
    struct gnt_session *s = r->filling->session;
    uint64_t count = r->log.last - r->plain_from + 1;
    struct gnt_queue *queue = gnt_session_queue(s);
    if (!queue)
        return GNT_NOMEM;
    uint64_t in_flight = s->home->config.inflight_per_session;
    queue->stored = (struct gnt_stored){.first = r->plain_from,
                                        .count = count,
                                        .again = count < in_flight ? count : in_flight};
    gnt_ledger_recover(s->home, s->ledger, count);
    return GNT_OK;
}

static gnt_err recover_log(struct gnt_recover *r, struct gnt_reading *reading)
{
    struct gnt_returning *one = r->filling;
    struct gnt_record_log log = gnt_record_log('s', one->kept->number);
    gnt_err err = gnt_recover_look_at(r, log, reading);
    one->kept->last = r->log.last;
    if (!err && r->log.count && !gnt_session_have_ledger(one->session))
        err = GNT_NOMEM;
    bool simple = one->released_count == 0 || one->released[one->released_count - 1] < r->log.first;
    if (!err && r->log.count && simple && r->log.last - r->log.first + 1 == r->log.count)
        r->plain_from = r->log.first;
    else if (!err && r->log.count)
        err = gnt_recover_front(r, log, reading);
    if (!err)
        err = restore_released(r, UINT64_MAX);
    if (!err && r->plain_from)
        err = leave_in_store(r);
    if (one->kept->last < one->kept->sent)
        one->kept->last = one->kept->sent;
    r->result->deliveries += r->log.count;
    return err;
}

static gnt_err recover_logs(struct gnt_recover *r)
{
    struct gnt_reading reading;
    gnt_err err = GNT_OK;
    struct gnt_map_cursor cursor = {0};
    gnt_reading_begin(&reading, r, on_entry);
    for (struct gnt_map_node *node; !err && (node = gnt_map_walk(&r->sessions, &cursor));) {
        r->filling = GNT_CONTAINER(node, struct gnt_returning, by_number);
        err = recover_log(r, &reading);
    }
    gnt_reading_end(&reading);
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
    if (read_entry(r, record, &entry)) {
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
    r->result->deliveries += r->log.count;
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
    if (sink->ops == &gnt_session_sink_ops) {
        const struct gnt_session *s = gnt_session_of(sink);
        struct gnt_slice id = gnt_slice(s->client_id, s->client_id_size);
        return gnt_hash_with(key, id) % r->before.homes == home;
    }
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

static gnt_err recover_mail(struct gnt_recover *r)
{
    struct gnt_reading reading;
    gnt_err err = GNT_OK;
    gnt_reading_begin(&reading, r, on_mailed);
    for (r->from = 0; !err && r->from < r->before.homes; r->from++) {
        for (r->to = 0; !err && r->to < r->before.homes; r->to++) {
            uint64_t from = 0;
            struct gnt_record_log log = gnt_record_log('h', (uint64_t)r->from << 32 | r->to);
            do {
                err = gnt_recover_log(r, log, from, GNT_STORE_READ_MAX, &reading);
                from = reading.last_sequence + 1;
                if (!err)
                    gnt_keep_commit(&r->core->homes[0]);
            } while (!err && reading.read.more);
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
        take_out(home, "retained", record);
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

/* From now on what happens to the sessions is written. */
static void begin_keeping(struct gnt_recover *r)
{
    struct gnt_map_cursor cursor = {0};
    for (struct gnt_map_node *node; (node = gnt_map_walk(&r->sessions, &cursor));) {
        struct gnt_returning *one = GNT_CONTAINER(node, struct gnt_returning, by_number);
        one->session->kept = one->kept;
        one->kept = NULL;
        if (one->was_connected && gnt_session_keep_record(one->session))
            gnt_count(&one->session->home->counters, GNT_COUNT_KEEP_FAILURES, 1);
    }
}

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

static void forget_returning(struct gnt_recover *r)
{
    struct gnt_map_cursor cursor = {0};
    for (struct gnt_map_node *node; (node = gnt_map_walk(&r->sessions, &cursor));) {
        struct gnt_returning *one = GNT_CONTAINER(node, struct gnt_returning, by_number);
        gnt_map_remove(&r->sessions, node);
        free(one->kept);
        free(one->released);
        free(one);
    }
    gnt_map_fini(&r->sessions);
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
        err = gnt_recover_each(&r, "session", on_session);
    if (!err)
        err = gnt_recover_each(&r, "group", on_group);
    if (!err) {
        begin_numbering(&r);
        err = gnt_recover_each(&r, "sub", on_sub);
    }
    if (!err)
        err = gnt_recover_each(&r, "received", on_received);
    if (!err)
        err = gnt_recover_each(&r, "released", on_released);
    if (!err)
        err = recover_logs(&r);
    if (!err)
        err = recover_groups(&r);
    if (!err)
        err = gnt_recover_each(&r, "retained", on_retained);
    if (!err) {
        begin_keeping(&r);
        err = recover_mail(&r);
    }
    if (!err)
        err = write_homes(&r);
    for (unsigned i = 0; err && i < core->count; i++)
        gnt_keep_give_up(&core->homes[i]);
    for (unsigned i = 0; !err && i < core->count; i++)
        gnt_keep_commit(&core->homes[i]);
    forget_returning(&r);
    set_limits(&r, &limits);
    return err;
}
