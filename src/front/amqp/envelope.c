#include "front/amqp/envelope.h"

#include "base/assert.h"
#include "core/queue.h"

enum {
    PLACE_OF_EXPIRY = 9, /* fields up to absolute-expiry-time, behind which the group id is */
    ADOPT_FROM = 32 * 1024,
    CHANGES_MAX = 64, /* annotations that a receiver may leave at a time */
};

/* Fields of the properties that say where a message stays; most messages have none of them. */
static gnt_err read_properties(struct gnt_envelope *e)
{
    struct gnt_amqp_value list;
    struct gnt_amqp_properties properties;
    e->expiry_ms = INT64_MAX;
    e->group = gnt_slice(NULL, 0);
    if (!gnt_amqp_section(e->sections.properties, &list) || list.count < PLACE_OF_EXPIRY)
        return GNT_OK;
    gnt_err err = gnt_amqp_decode_properties(e->sections.properties, &properties);
    if (err)
        return GNT_MALFORMED;
    if (properties.has.absolute_expiry_time)
        e->expiry_ms = properties.absolute_expiry_time;
    e->group = properties.group_id;
    return GNT_OK;
}

gnt_err gnt_envelope_read(struct gnt_slice encoded, struct gnt_envelope *out)
{
    gnt_err err = gnt_amqp_message_split(encoded, &out->sections);
    if (err || !gnt_amqp_message_valid(&out->sections))
        return GNT_MALFORMED;
    static const struct gnt_amqp_header none = {.priority = 4};
    out->header = none;
    if (out->sections.header.size && gnt_amqp_decode_header(out->sections.header, &out->header))
        return GNT_MALFORMED;
    return read_properties(out);
}

struct gnt_slice gnt_envelope_to(const struct gnt_envelope *e)
{
    struct gnt_amqp_properties properties;
    if (!e->sections.properties.size ||
        gnt_amqp_decode_properties(e->sections.properties, &properties))
        return gnt_slice(NULL, 0);
    return properties.to;
}

uint64_t gnt_envelope_expires(const struct gnt_envelope *e, uint64_t now,
                              const struct gnt_clock *clock)
{
    uint64_t expires = GNT_NEVER;
    if (e->header.has.ttl)
        expires = gnt_deadline(now, e->header.ttl * GNT_NS_PER_MS);
    if (e->expiry_ms == INT64_MAX)
        return expires;
    uint64_t wall = gnt_wall_ms(clock), then = e->expiry_ms > 0 ? (uint64_t)e->expiry_ms : 0;
    uint64_t left = then > wall ? then - wall : 0;
    uint64_t by_time =
        left < GNT_NEVER / GNT_NS_PER_MS ? gnt_deadline(now, left * GNT_NS_PER_MS) : GNT_NEVER;
    return by_time < expires ? by_time : expires;
}

/* A large message that fills most of a buffer keeps that buffer, and is not copied. */
static bool may_adopt(const struct gnt_buf *owner, const struct gnt_envelope *e)
{
    size_t size = e->sections.lasting.size;
    return owner && size >= ADOPT_FROM && size >= owner->cap / 4;
}

static struct gnt_slice moved(struct gnt_slice from, const uint8_t *before, const uint8_t *now)
{
    return from.size ? gnt_slice(now + (from.data - before), from.size) : from;
}

gnt_err gnt_envelope_seal(const struct gnt_envelope *e, const struct gnt_seal *seal,
                          struct gnt_buf *owner, struct gnt_message **out)
{
    struct gnt_message_init init = {
        .topic = seal->topic,
        .payload = e->sections.lasting,
        .extras = e->sections.header,
        .format = GNT_EXTRAS_AMQP,
        .qos = seal->qos,
        .retain = seal->retain,
        .publisher = seal->publisher,
        .expires = seal->expires,
    };
    if (!may_adopt(owner, e))
        return gnt_message_new(&init, out);
    const uint8_t *before = owner->data;
    size_t topic_at = owner->end;
    gnt_err err = gnt_buf_put(owner, seal->topic);
    if (err)
        return err;
    init.topic = gnt_slice(owner->data + topic_at, seal->topic.size);
    init.payload = moved(init.payload, before, owner->data);
    init.extras = moved(init.extras, before, owner->data);
    err = gnt_message_adopt(&owner->data, &init, out);
    if (!err)
        *owner = (struct gnt_buf){0};
    return err;
}

/* ---- Writing into a buffer, twice: to see how much it is, and then */

typedef void put_fn(struct gnt_amqp_writer *w, const void *what);

static gnt_err put(struct gnt_buf *out, put_fn *what, const void *context)
{
    struct gnt_amqp_writer w = gnt_amqp_writer(NULL, 0);
    what(&w, context);
    gnt_err err = w.size == SIZE_MAX ? GNT_TOOBIG : gnt_buf_reserve(out, w.size);
    if (err)
        return err;
    w = gnt_amqp_writer(gnt_buf_tail(out), w.size);
    what(&w, context);
    gnt_buf_wrote(out, w.size);
    return GNT_OK;
}

/* ---- Annotations */

struct annotating {
    struct gnt_amqp_value old, more; /* maps, or null */
    const struct gnt_envelope_hop *hop;
};

static bool has_key(const struct gnt_amqp_value *map, const struct gnt_amqp_value *key)
{
    struct gnt_amqp_items items = gnt_amqp_items(map);
    struct gnt_amqp_value other, value;
    while (gnt_amqp_items_pair(&items, &other, &value))
        if (other.type == key->type && gnt_slice_eq(other.encoded, key->encoded))
            return true;
    return false;
}

static uint32_t put_text(struct gnt_amqp_writer *w, const char *key, struct gnt_slice text)
{
    if (!text.size)
        return 0;
    gnt_amqp_put_symbol(w, gnt_slice_str(key));
    gnt_amqp_put_string(w, text);
    return 2;
}

/* As Service Bus calls them. */
static uint32_t put_dead_letter(struct gnt_amqp_writer *w, const struct gnt_envelope_hop *hop)
{
    return put_text(w, "DeadLetterReason", hop->reason) +
           put_text(w, "DeadLetterErrorDescription", hop->description) +
           put_text(w, "x-opt-deadletter-source", hop->source);
}

static void put_annotations(struct gnt_amqp_writer *w, const void *context)
{
    const struct annotating *a = context;
    struct gnt_amqp_value key, value;
    uint32_t count = 0;
    size_t mark = gnt_amqp_begin_section(w, GNT_AMQP_MESSAGE_ANNOTATIONS);
    struct gnt_amqp_items items = gnt_amqp_items(&a->old);
    while (gnt_amqp_items_pair(&items, &key, &value)) {
        if (has_key(&a->more, &key))
            continue;
        gnt_amqp_put_value(w, &key);
        gnt_amqp_put_value(w, &value);
        count += 2;
    }
    items = gnt_amqp_items(&a->more);
    while (gnt_amqp_items_pair(&items, &key, &value)) {
        gnt_amqp_put_value(w, &key);
        gnt_amqp_put_value(w, &value);
        count += 2;
    }
    if (a->hop)
        count += put_dead_letter(w, a->hop);
    gnt_amqp_end_map(w, mark, count);
}

/* The annotations' section at the front of MESSAGE's payload; *rest: what is behind it. */
static struct gnt_slice own_annotations(const struct gnt_message *message, struct gnt_slice *rest)
{
    struct gnt_amqp_message sections;
    *rest = message->payload;
    if (gnt_amqp_code_of(message->payload) != GNT_AMQP_MESSAGE_ANNOTATIONS ||
        gnt_amqp_message_split(message->payload, &sections))
        return gnt_slice(NULL, 0);
    *rest = gnt_slice_skip(message->payload, sections.message_annotations.size);
    return sections.message_annotations;
}

gnt_err gnt_envelope_annotate(const struct gnt_message *message, struct gnt_slice in_place,
                              const struct gnt_amqp_value *more, struct gnt_buf *out)
{
    struct gnt_slice rest, own = own_annotations(message, &rest);
    struct gnt_slice old = in_place.size ? in_place : own;
    struct annotating a = {.more = *more};
    if (old.size > GNT_QUEUE_ANNOTATIONS_MAX || more->count > 2 * CHANGES_MAX)
        return GNT_TOOBIG; /* each of the old is looked for among them */
    (void)gnt_amqp_section(old, &a.old);
    return put(out, put_annotations, &a);
}

/* ---- On the way out */

static gnt_err put_header(struct gnt_buf *out, const struct gnt_amqp_header *header)
{
    gnt_err err = gnt_buf_reserve(out, GNT_ENVELOPE_HEADER_MAX);
    if (err)
        return err;
    struct gnt_amqp_writer w = gnt_amqp_writer(gnt_buf_tail(out), GNT_ENVELOPE_HEADER_MAX);
    gnt_amqp_put_header(&w, header);
    GNT_ASSERT(gnt_amqp_fits(&w));
    gnt_buf_wrote(out, w.size);
    return GNT_OK;
}

static void put_topic(struct gnt_amqp_writer *w, const void *context)
{
    const struct gnt_envelope_hop *hop = context;
    size_t mark = gnt_amqp_begin_section(w, GNT_AMQP_DELIVERY_ANNOTATIONS);
    gnt_amqp_end_map(w, mark, put_text(w, "x-opt-topic", hop->topic));
}

static uint32_t left_ms(const struct gnt_message *m, uint64_t now)
{
    uint64_t left = m->expires > now ? (m->expires - now) / GNT_NS_PER_MS : 0;
    return left < UINT32_MAX ? (uint32_t)left : UINT32_MAX;
}

static struct gnt_amqp_header header_of(const struct gnt_message *m,
                                        const struct gnt_envelope_hop *hop)
{
    struct gnt_amqp_header h;
    if (!m->extras.size || gnt_amqp_decode_header(m->extras, &h))
        h = (struct gnt_amqp_header){.priority = 4}; /* what is there was good when it came */
    if (hop->mqtt)
        GNT_AMQP_SET(&h, durable, m->qos > 0);
    if (h.has.ttl || (hop->mqtt && m->expires != GNT_NEVER))
        GNT_AMQP_SET(&h, ttl, left_ms(m, hop->now));
    uint32_t failed = h.delivery_count;
    failed += hop->failed < UINT32_MAX - failed ? hop->failed : 0;
    GNT_AMQP_SET(&h, first_acquirer, !hop->acquired);
    GNT_AMQP_SET(&h, delivery_count, failed);
    return h;
}

/* Annotations that are not the message's own any more; *rest: what of it stays as it is. */
static gnt_err put_others(const struct gnt_message *m, const struct gnt_envelope_hop *hop,
                          struct gnt_buf *scratch, struct gnt_slice *rest)
{
    bool dead = hop->reason.size || hop->description.size || hop->source.size;
    *rest = m->payload;
    if (!dead && !hop->annotations.size)
        return GNT_OK;
    struct gnt_slice own = own_annotations(m, rest);
    struct gnt_slice section = hop->annotations.size ? hop->annotations : own;
    if (!dead)
        return gnt_buf_put(scratch, section);
    struct annotating a = {.hop = hop};
    (void)gnt_amqp_section(section, &a.old);
    return put(scratch, put_annotations, &a);
}

gnt_err gnt_envelope_open(const struct gnt_message *message, const struct gnt_envelope_hop *hop,
                          struct gnt_buf *scratch, struct gnt_slice *head, struct gnt_slice *rest)
{
    const struct gnt_amqp_header header = header_of(message, hop);
    size_t before = gnt_buf_size(scratch);
    gnt_err err = put_header(scratch, &header);
    if (!err && hop->topic.size)
        err = put(scratch, put_topic, hop);
    if (!err)
        err = put_others(message, hop, scratch, rest);
    *head = gnt_slice_skip(gnt_buf_slice(scratch), before);
    return err;
}
