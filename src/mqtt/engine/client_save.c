/* A session as bytes.  All integers are big-endian, str16 is a length of two bytes and that many.
 *
 *     "GNTS"  u8 format  str16 client id  u16 last packet id
 *     u32 count of subscriptions:  u32 identifier  u8 options as in SUBSCRIBE  str16 filter
 *     u32 count of received ids:   u16 each
 *     u32 count of publishes, in the order of sending:
 *         u8 state  u16 id  u8 QoS, retain and expiry bits
 *         and unless RELEASED:  [u32 seconds left]  str16 topic  properties as in PUBLISH
 *                               u32 size  payload
 *     u32 CRC-32 of all that stands before
 */
#include "mqtt/engine/client_state.h"

#include "base/utf8.h"
#include "model/topic.h"

#include <stdlib.h>

enum {
    FORMAT = 1,
    CRC_SIZE = 4,
    FLAG_RETAIN = 0x04, /* over the QoS */
    FLAG_EXPIRES = 0x08,
};

static const char magic[] = "GNTS";

static uint32_t crc32(struct gnt_slice bytes)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < bytes.size; i++) {
        crc ^= bytes.data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0xedb88320) : 0);
    }
    return ~crc;
}

/* Writes what fits and counts everything. */
struct writer {
    uint8_t *to;
    size_t cap, size;
};

static void put(struct writer *w, struct gnt_slice bytes)
{
    if (bytes.size && bytes.size <= w->cap && w->size <= w->cap - bytes.size)
        memcpy(w->to + w->size, bytes.data, bytes.size);
    w->size += bytes.size;
}

static void put_number(struct writer *w, uint64_t value, size_t bytes)
{
    uint8_t big[4];
    for (size_t i = 0; i < bytes; i++)
        big[i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
    put(w, gnt_slice(big, bytes));
}

static void put_text(struct writer *w, struct gnt_slice text)
{
    put_number(w, text.size, 2);
    put(w, text);
}

static void put_subscriptions(struct writer *w, const struct gnt_client *c)
{
    uint32_t count = 0;
    gnt_list_each (link, &c->kept)
        count++;
    put_number(w, count, 4);
    gnt_list_each (link, &c->kept) {
        const struct gnt_client_kept *k = GNT_CONTAINER(link, struct gnt_client_kept, link);
        const struct gnt_mqtt_subscription *s = &k->subscription;
        put_number(w, k->subscription_id, 4);
        put_number(w,
                   s->qos | (unsigned)s->no_local << 2 | (unsigned)s->retain_as_published << 3 |
                       (unsigned)s->retain_handling << 4,
                   1);
        put_text(w, s->filter);
    }
}

/* A message that its owner has and has not acknowledged will come again: it must get through. */
static bool worth_saving(const struct gnt_client *c, uint16_t id)
{
    return !gnt_idset_has(&c->unacked, id);
}

static uint16_t next_received(const struct gnt_client *c, uint32_t after)
{
    uint16_t id;
    do
        id = after < UINT16_MAX ? gnt_idset_next(&c->received, (uint16_t)(after + 1)) : 0;
    while (id && !worth_saving(c, id) && (after = id));
    return id;
}

static void put_received(struct writer *w, const struct gnt_client *c)
{
    uint32_t count = 0;
    for (uint16_t id = next_received(c, 0); id; id = next_received(c, id))
        count++;
    put_number(w, count, 4);
    for (uint16_t id = next_received(c, 0); id; id = next_received(c, id))
        put_number(w, id, 2);
}

/* QoS 0 promises nothing, and SUBSCRIBE and UNSUBSCRIBE are asked by who restores. */
static bool saved(const struct gnt_client_request *r)
{
    return r->type == GNT_MQTT_PUBLISH && (!r->message || r->message->qos);
}

static void put_publish(struct writer *w, const struct gnt_client_request *r, uint64_t now)
{
    const struct gnt_message *m = r->message;
    unsigned state = !r->id ? GNT_FLIGHT_NONE : m ? GNT_FLIGHT_PUBLISHED : GNT_FLIGHT_RELEASED;
    put_number(w, state, 1);
    put_number(w, r->id, 2);
    if (!m) {
        put_number(w, 2, 1);
        return;
    }
    bool expires = m->expires != GNT_NEVER;
    uint8_t length[4];
    put_number(w, m->qos | (m->retain ? FLAG_RETAIN : 0u) | (expires ? FLAG_EXPIRES : 0u), 1);
    if (expires)
        put_number(w, gnt_message_left_s(m, now), 4);
    put_text(w, m->topic);
    put(w,
        gnt_slice(length, (size_t)(gnt_mqtt_vbi_write(length, (uint32_t)m->extras.size) - length)));
    put(w, m->extras);
    put_number(w, m->payload.size, 4);
    put(w, m->payload);
}

static void put_publishes(struct writer *w, const struct gnt_client *c, uint64_t now)
{
    const struct gnt_list *lists[] = {&c->flying, &c->resend, &c->pending};
    uint32_t count = 0;
    for (size_t i = 0; i < 3; i++)
        gnt_list_each (link, lists[i])
            count += saved(GNT_CONTAINER(link, struct gnt_client_request, link));
    put_number(w, count, 4);
    for (size_t i = 0; i < 3; i++) {
        gnt_list_each (link, lists[i]) {
            const struct gnt_client_request *r =
                GNT_CONTAINER(link, struct gnt_client_request, link);
            if (saved(r))
                put_publish(w, r, now);
        }
    }
}

gnt_err gnt_client_save(const struct gnt_client *c, uint64_t now, void *to, size_t cap,
                        size_t *size)
{
    struct writer w = {to, cap, 0};
    struct gnt_client_status status;
    gnt_client_status(c, &status);
    put(&w, gnt_slice_str(magic));
    put_number(&w, FORMAT, 1);
    put_text(&w, status.client_id);
    put_number(&w, c->window.last, 2);
    put_subscriptions(&w, c);
    put_received(&w, c);
    put_publishes(&w, c, now);
    *size = w.size + CRC_SIZE;
    if (*size > cap)
        return GNT_TOOBIG;
    put_number(&w, crc32(gnt_slice(to, w.size)), CRC_SIZE);
    return GNT_OK;
}

/* ---- Back again */

static gnt_err read_client_id(struct gnt_client *c, struct gnt_slice id)
{
    struct gnt_client_status status;
    gnt_client_status(c, &status);
    if (gnt_slice_eq(status.client_id, id))
        return GNT_OK;
    if (status.client_id.size)
        return GNT_INVALID;
    if (!gnt_utf8_valid(id))
        return GNT_MALFORMED;
    c->client_id = malloc(id.size);
    if (!c->client_id)
        return GNT_NOMEM;
    memcpy(c->client_id, id.data, id.size);
    c->client_id_size = id.size;
    return GNT_OK;
}

static gnt_err read_subscription(struct gnt_client *c, struct gnt_reader *r)
{
    uint32_t id = gnt_read_u32(r);
    uint8_t options = gnt_read_u8(r);
    struct gnt_mqtt_subscription s = {
        .filter = gnt_read_str16(r),
        .qos = options & 3,
        .no_local = options >> 2 & 1,
        .retain_as_published = options >> 3 & 1,
        .retain_handling = options >> 4 & 3,
    };
    if (r->bad || s.qos > 2 || s.retain_handling > 2 || options >> 6 || id > 0xfffffff ||
        !gnt_client_filter_valid(s.filter, s.no_local))
        return GNT_MALFORMED;
    return gnt_client_remember(c, &s, id);
}

static gnt_err read_received(struct gnt_client *c, struct gnt_reader *r)
{
    uint16_t id = gnt_read_u16(r);
    return r->bad || id == 0 ? GNT_MALFORMED : gnt_idset_add(&c->received, id);
}

static gnt_err read_message(struct gnt_reader *r, uint8_t flags, uint64_t now,
                            struct gnt_message **out)
{
    struct gnt_message_init init = {
        .qos = flags & 3,
        .retain = flags & FLAG_RETAIN,
        .expires = GNT_NEVER,
    };
    if (flags & FLAG_EXPIRES)
        init.expires = gnt_deadline(now, gnt_read_u32(r) * GNT_NS_PER_S);
    init.topic = gnt_read_str16(r);
    gnt_err err = r->bad ? GNT_MALFORMED : gnt_client_read_extras(r, &init.extras);
    uint32_t size = gnt_read_u32(r);
    init.payload = gnt_read_bytes(r, size);
    if (err || r->bad || init.qos < 1 || init.qos > 2 || flags > (2 | FLAG_RETAIN | FLAG_EXPIRES) ||
        !gnt_topic_name_valid(init.topic, 0))
        return GNT_MALFORMED;
    if (init.extras.size)
        init.format = GNT_EXTRAS_MQTT5;
    return gnt_message_new(&init, out);
}

/* Ties R to the id that it had. */
static gnt_err restore_flight(struct gnt_client *c, struct gnt_client_request *r, uint16_t id,
                              enum gnt_flight_state state)
{
    struct gnt_flight flight = {.owner = r, .id = id, .qos = 2};
    if (r->message) {
        flight.message = gnt_message_ref(r->message);
        flight.qos = r->message->qos;
    }
    gnt_err err = gnt_window_restore(&c->window, &flight, state);
    gnt_message_unref(&flight.message);
    if (err)
        return err == GNT_INVALID ? GNT_MALFORMED : err;
    r->id = id;
    gnt_list_remove(&r->link);
    gnt_list_push_back(&c->resend, &r->link);
    return GNT_OK;
}

static gnt_err read_publish(struct gnt_client *c, struct gnt_reader *r, uint64_t now)
{
    uint8_t state = gnt_read_u8(r);
    uint16_t id = gnt_read_u16(r);
    uint8_t flags = gnt_read_u8(r);
    struct gnt_message *m = NULL;
    struct gnt_client_request *request;
    gnt_err err;
    if (r->bad || state > GNT_FLIGHT_RELEASED || (state == GNT_FLIGHT_NONE) != (id == 0))
        return GNT_MALFORMED;
    if (state == GNT_FLIGHT_RELEASED) {
        err = flags == 2 ? gnt_client_queue(c, NULL, &request) : GNT_MALFORMED;
    } else {
        err = read_message(r, flags, now, &m);
        if (!err)
            err = gnt_client_queue(c, &m, &request);
        gnt_message_unref(&m);
    }
    if (err || state == GNT_FLIGHT_NONE)
        return err;
    return restore_flight(c, request, id, (enum gnt_flight_state)state);
}

static gnt_err read_each(struct gnt_client *c, struct gnt_reader *r, uint64_t now)
{
    gnt_err err = GNT_OK;
    for (uint32_t n = gnt_read_u32(r); !err && !r->bad && n; n--)
        err = read_subscription(c, r);
    if (err)
        return err;
    for (uint32_t n = gnt_read_u32(r); !err && !r->bad && n; n--)
        err = read_received(c, r);
    if (err)
        return err;
    for (uint32_t n = gnt_read_u32(r); !err && !r->bad && n; n--)
        err = read_publish(c, r, now);
    return err;
}

/* The next id follows LAST, as it would have: an id that the server still has in some half-way
 * state must not come again soon. */
static gnt_err advance_ids(struct gnt_client *c, uint16_t last)
{
    if (last == c->window.last || last == 0)
        return GNT_OK;
    struct gnt_flight flight = {.id = last, .qos = 2};
    gnt_err err = gnt_window_restore(&c->window, &flight, GNT_FLIGHT_RELEASED);
    if (!err)
        gnt_window_remove(&c->window, gnt_window_find(&c->window, last));
    return err == GNT_INVALID ? GNT_MALFORMED : err;
}

static gnt_err read_all(struct gnt_client *c, struct gnt_reader *r, uint64_t now)
{
    gnt_err err = read_client_id(c, gnt_read_str16(r));
    uint16_t last = gnt_read_u16(r);
    if (!err)
        err = read_each(c, r, now);
    if (!err && (r->bad || gnt_read_left(r)))
        err = GNT_MALFORMED;
    return err ? err : advance_ids(c, last);
}

/* What a restoring that failed has left. */
static void undo(struct gnt_client *c)
{
    struct gnt_list *lists[] = {&c->resend, &c->pending, &c->done};
    for (size_t i = 0; i < 3; i++) {
        gnt_list_each_safe (link, lists[i]) {
            gnt_list_remove(link);
            gnt_client_request_free(GNT_CONTAINER(link, struct gnt_client_request, link));
        }
    }
    while (!gnt_list_empty(&c->kept))
        gnt_client_forget(
            c, GNT_CONTAINER(c->kept.next, struct gnt_client_kept, link)->subscription.filter);
    gnt_window_fini(&c->window);
    gnt_idset_fini(&c->received);
    free(c->client_id);
    c->client_id = NULL;
    c->client_id_size = 0;
    c->outstanding = c->queued_messages = c->queued_bytes = 0;
    c->refused = c->dropped = 0;
}

gnt_err gnt_client_restore(struct gnt_client *c, struct gnt_slice bytes, uint64_t now)
{
    bool unused = c->generation == 0 && c->next_token == 1 && c->outstanding == 0 && !c->resumed;
    if (!unused)
        return GNT_STATE;
    struct gnt_reader r = gnt_reader(bytes);
    if (!gnt_slice_eq_str(gnt_read_bytes(&r, sizeof magic - 1), magic))
        return GNT_MALFORMED;
    uint8_t format = gnt_read_u8(&r);
    if (r.bad || gnt_read_left(&r) < CRC_SIZE)
        return GNT_MALFORMED;
    struct gnt_reader tail = {bytes.data + bytes.size - CRC_SIZE, bytes.data + bytes.size, false};
    if (gnt_read_u32(&tail) != crc32(gnt_slice(bytes.data, bytes.size - CRC_SIZE)))
        return GNT_MALFORMED;
    if (format != FORMAT)
        return GNT_UNSUPPORTED;
    r.end -= CRC_SIZE;
    gnt_err err = read_all(c, &r, now);
    if (err)
        undo(c);
    else
        c->resumed = true;
    return err;
}
