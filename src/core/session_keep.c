#include "core/session_private.h"

#include "core/fetch.h"
#include "core/record.h"
#include "store/store_time.h"

#include <stdlib.h>

static struct gnt_slice table(const char *name)
{
    return gnt_slice_str(name);
}

static struct gnt_slice scratch(const struct gnt_session *s)
{
    return gnt_buf_slice(&s->home->keep.scratch);
}

static struct gnt_record_log log_of(const struct gnt_session *s)
{
    return gnt_record_log('s', s->kept->number);
}

/* Room for WRITES writes with VALUE bytes of values. */
static gnt_err reserve(struct gnt_home *home, uint32_t writes, size_t value)
{
    return gnt_keep_reserve(home, writes,
                            writes * (GNT_STORE_NAME_MAX + (size_t)GNT_STORE_KEY_MAX) + value);
}

/* ---- A record in a table, with its key */

static gnt_err put(struct gnt_session *s, const char *name, struct gnt_record_key key,
                   struct gnt_slice value, struct gnt_message *message)
{
    gnt_err err = reserve(s->home, 1, value.size);
    if (!err)
        gnt_batch_put(gnt_keep_batch(s->home), table(name), gnt_record_key_slice(&key), value,
                      message);
    return err;
}

static gnt_err take_out(struct gnt_session *s, const char *name, struct gnt_record_key key)
{
    gnt_err err = reserve(s->home, 1, 0);
    if (!err)
        gnt_batch_delete(gnt_keep_batch(s->home), table(name), gnt_record_key_slice(&key));
    return err;
}

/* ---- The session */

void gnt_session_keep_connected(struct gnt_session *s, bool connected)
{
    if (s->kept)
        s->kept->parted_ms = connected ? UINT64_MAX : gnt_store_time_ms(s->home->keep.time);
}

gnt_err gnt_session_keep_record(struct gnt_session *s)
{
    if (!s->kept)
        return GNT_OK;
    const struct gnt_will *will = s->will;
    const struct gnt_session_record record = {
        .number = s->kept->number,
        .parted_ms = s->kept->parted_ms,
        .expiry_s = s->expiry_s,
        .will_delay_s = will ? will->delay_s : 0,
        .will_expiry_s = will ? will->expiry_s : 0,
        .client_id = gnt_slice(s->client_id, s->client_id_size),
        .user = gnt_session_user(s),
    };
    gnt_err err = gnt_session_record_write(&record, &s->home->keep.scratch);
    if (err)
        return err;
    return put(s, "session", gnt_record_key_number(record.number), scratch(s),
               will ? will->message : NULL);
}

gnt_err gnt_session_keep(struct gnt_session *s)
{
    s->kept = calloc(1, sizeof *s->kept);
    if (!s->kept)
        return GNT_NOMEM;
    s->kept->number = gnt_keep_number(s->home);
    return GNT_OK;
}

void gnt_session_keep_free(struct gnt_session *s)
{
    if (!s->kept)
        return;
    gnt_session_fetch_no_more(s);
    free(s->kept);
    s->kept = NULL;
}

/* What is left of it without its record (for want of memory) is swept out at the next start, and so
 * is its record if its client has a later session. */
void gnt_session_keep_end(struct gnt_session *s)
{
    if (!s->kept)
        return;
    if (reserve(s->home, 2, 0) == GNT_OK) {
        struct gnt_batch *batch = gnt_keep_batch(s->home);
        struct gnt_record_key key = gnt_record_key_number(s->kept->number);
        struct gnt_record_log log = log_of(s);
        gnt_batch_delete(batch, table("session"), gnt_record_key_slice(&key));
        gnt_batch_drop(batch, gnt_record_log_slice(&log));
    } else {
        gnt_count(&s->home->counters, GNT_COUNT_KEEP_FAILURES, 1);
    }
    for (uint16_t id = 0; (id = gnt_idset_next(&s->unreleased, (uint16_t)(id + 1)));) {
        if (gnt_session_keep_not_received(s, id) || id == UINT16_MAX)
            break;
    }
    for (struct gnt_flight *f = NULL; (f = gnt_window_next(&s->window, f));)
        if (f->state == GNT_FLIGHT_RELEASED)
            gnt_session_keep_completed(s, f->id);
    gnt_session_keep_free(s);
}

/* ---- Its subscriptions */

gnt_err gnt_session_keep_filter_room(struct gnt_session *s, struct gnt_slice filter)
{
    const struct gnt_sub_record record = {.filter = filter};
    struct gnt_buf *value = &s->home->keep.scratch;
    gnt_err err = s->kept ? gnt_sub_record_write(&record, value) : GNT_OK;
    return s->kept && !err ? reserve(s->home, 1, gnt_buf_size(value)) : err;
}

gnt_err gnt_session_keep_filter(struct gnt_session *s, struct gnt_slice filter,
                                const struct gnt_sub_options *options, bool retained_due)
{
    if (!s->kept)
        return GNT_OK;
    const struct gnt_sub_record record = {s->kept->number, *options, retained_due, filter};
    gnt_err err = gnt_sub_record_write(&record, &s->home->keep.scratch);
    return err ? err : put(s, "sub", gnt_record_key_text(record.session, filter), scratch(s), NULL);
}

void gnt_session_keep_no_filter(struct gnt_home *home, uint64_t number, struct gnt_slice filter)
{
    if (!number || reserve(home, 1, 0))
        return; /* for want of memory; it comes back with the next start */
    struct gnt_record_key key = gnt_record_key_text(number, filter);
    gnt_batch_delete(gnt_keep_batch(home), table("sub"), gnt_record_key_slice(&key));
}

uint64_t gnt_session_kept_number(const struct gnt_session *s)
{
    return s->kept ? s->kept->number : 0;
}

/* ---- What is due to its client */

uint16_t gnt_session_id_of(uint64_t sequence)
{
    return (uint16_t)((sequence - 1) % UINT16_MAX + 1);
}

/* What is in flight is less than one round of ids behind the last that was sent. */
uint64_t gnt_session_sequence_of(const struct gnt_session *s, uint16_t id)
{
    uint32_t last = gnt_session_id_of(s->kept->sent);
    uint32_t back = last >= id ? last - id : last + UINT16_MAX - id;
    return s->kept->sent - back;
}

/* With room for one write more, which has no value. */
static gnt_err append(struct gnt_session *s, uint64_t sequence,
                      const struct gnt_entry_record *record, struct gnt_message *message)
{
    struct gnt_buf *value = &s->home->keep.scratch;
    gnt_err err = gnt_entry_record_write(record, value);
    if (!err)
        err = reserve(s->home, 2, gnt_buf_size(value));
    if (err)
        return err;
    struct gnt_record_log log = log_of(s);
    gnt_batch_append(gnt_keep_batch(s->home), gnt_record_log_slice(&log), sequence,
                     gnt_buf_slice(value), message);
    return GNT_OK;
}

gnt_err gnt_session_keep_delivery(struct gnt_session *s, struct gnt_waiting *w)
{
    w->sequence = 0;
    if (!s->kept || w->qos == 0)
        return GNT_OK;
    const struct gnt_entry_record record = {w->qos, w->retain, w->ids};
    if (gnt_entry_record_size(&record) > GNT_STORE_VALUE_MAX)
        return GNT_TOOBIG;
    gnt_err err = append(s, s->kept->last + 1, &record, w->message);
    if (!err)
        w->sequence = ++s->kept->last;
    return err;
}

gnt_err gnt_session_keep_offered(struct gnt_session *s, struct gnt_waiting *w,
                                 const struct gnt_offered *o, bool *lent)
{
    *lent = o->sequence && w->qos && (w->qos == 1 || !s->kept);
    if (*lent) {
        w->sequence = s->kept ? ++s->kept->last : 0;
        return GNT_OK;
    }
    gnt_err err = gnt_session_keep_delivery(s, w);
    if (err || !w->sequence || !o->sequence)
        return err;
    struct gnt_record_log log = gnt_record_log('g', o->log); /* there is room for this, too */
    gnt_batch_remove(gnt_keep_batch(s->home), gnt_record_log_slice(&log), o->sequence);
    return GNT_OK;
}

gnt_err gnt_session_keep_flight(struct gnt_session *s, const struct gnt_flight *flight)
{
    const struct gnt_entry_record record = {flight->qos, flight->retain, flight->ids};
    return append(s, gnt_session_sequence_of(s, flight->id), &record, flight->message);
}

void gnt_session_keep_no_delivery(struct gnt_session *s, uint64_t sequence)
{
    if (!s->kept || reserve(s->home, 1, 0))
        return;
    struct gnt_record_log log = log_of(s);
    gnt_batch_remove(gnt_keep_batch(s->home), gnt_record_log_slice(&log), sequence);
}

static struct gnt_record_key released_key(const struct gnt_session *s, uint16_t id)
{
    return gnt_record_key_numbers(s->kept->number, gnt_session_sequence_of(s, id));
}

gnt_err gnt_session_keep_released(struct gnt_session *s, uint16_t id)
{
    static const struct gnt_slice nothing;
    if (!s->kept)
        return GNT_OK;
    gnt_err err = reserve(s->home, 2, 0);
    if (!err)
        err = put(s, "released", released_key(s, id), nothing, NULL);
    if (!err)
        gnt_session_keep_no_delivery(s, gnt_session_sequence_of(s, id));
    return err;
}

void gnt_session_keep_completed(struct gnt_session *s, uint16_t id)
{
    if (s->kept && take_out(s, "released", released_key(s, id)))
        return; /* its PUBREL is sent again after a restart, and answered again */
}

/* ---- What came from its client */

gnt_err gnt_session_keep_received(struct gnt_session *s, uint16_t id)
{
    static const struct gnt_slice nothing;
    if (!s->kept)
        return GNT_OK;
    return put(s, "received", gnt_record_key_numbers(s->kept->number, id), nothing, NULL);
}

gnt_err gnt_session_keep_not_received(struct gnt_session *s, uint16_t id)
{
    return s->kept ? take_out(s, "received", gnt_record_key_numbers(s->kept->number, id)) : GNT_OK;
}

/* ---- Fetching */

static struct gnt_pending *queue_of(void *owner)
{
    return ((struct gnt_session *)owner)->queue;
}

static void on_fetched(void *owner, gnt_err err)
{
    struct gnt_session *s = owner;
    if (err && s->receiver)
        gnt_session_close_later(s, GNT_CLOSE_NO_MEMORY);
    gnt_session_pump(s);
}

void gnt_session_fetch(struct gnt_session *s)
{
    if (!s->kept || s->kept->fetch || s->closing || !s->queue || !gnt_pending_wants(s->queue))
        return;
    const struct gnt_fetch_for whom = {s->home, log_of(s), s, queue_of, on_fetched};
    if (gnt_fetch_begin(&s->kept->fetch, &whom))
        gnt_session_close_later(s, GNT_CLOSE_NO_MEMORY);
}

void gnt_session_fetch_no_more(struct gnt_session *s)
{
    if (s->kept)
        gnt_fetch_drop(&s->kept->fetch);
}
