#include "core/recover_private.h"

#include "core/ledger.h"
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

/* ---- Who they are */

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
        .user = s.user,
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
        gnt_recover_take_out(&r->core->homes[0], table, record);
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

/* ---- What waits for one */

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
    if (!gnt_recover_entry(r, record, &entry))
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
    struct gnt_pending *queue = gnt_session_queue(s);
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
    gnt_recover_add_up(r);
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

/* ---- All of it */

gnt_err gnt_recover_sessions(struct gnt_recover *r)
{
    return gnt_recover_each(r, "session", on_session);
}

gnt_err gnt_recover_of_sessions(struct gnt_recover *r)
{
    gnt_err err = gnt_recover_each(r, "sub", on_sub);
    if (!err)
        err = gnt_recover_each(r, "received", on_received);
    if (!err)
        err = gnt_recover_each(r, "released", on_released);
    return err ? err : recover_logs(r);
}

void gnt_recover_keep_sessions(struct gnt_recover *r)
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

void gnt_recover_sessions_end(struct gnt_recover *r)
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
