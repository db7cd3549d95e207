/* Random messages of MQTT 5 and AMQP, good ones, for the tests of this room. */
#ifndef GNT_TESTS_MAPPING_GENERATE_H
#define GNT_TESTS_MAPPING_GENERATE_H

#include "../../support/unit.h"
#include "amqp/codec/message.h"
#include "base/random.h"
#include "mapping/form.h"
#include "mapping/mapping.h"

enum { GENERATED_MAX = 1 << 20 };

struct generator {
    struct gnt_seeded seeded;
    char text[4096];
    size_t used;
    uint8_t bytes[GENERATED_MAX];
};

static inline uint64_t below(struct generator *g, uint64_t n)
{
    return gnt_random_below(&g->seeded.door, n);
}

static inline bool often(struct generator *g)
{
    return below(g, 2) == 0;
}

/* One of TEXTS, or some letters; lent until `used` is 0 again. */
static inline struct gnt_slice some_text(struct generator *g, const char *const *texts,
                                         size_t count)
{
    if (count && often(g))
        return gnt_slice_str(texts[below(g, count)]);
    const size_t size = below(g, 12);
    if (g->used + size > sizeof g->text)
        g->used = 0;
    char *at = g->text + g->used;
    for (size_t i = 0; i < size; i++)
        at[i] = (char)('a' + below(g, 4));
    g->used += size;
    return gnt_slice(at, size);
}

/* ---- MQTT */

static const char *const names[] = {"a",
                                    "b",
                                    "",
                                    "ключ",
                                    "x-opt-amqp-footer",
                                    "x-opt-amqp-body",
                                    "x-opt-amqp-properties",
                                    "x-opt-amqp-priority",
                                    "x-opt-amqp-other",
                                    "x-opt-mqtt-qos"};
static const char *const values[] = {"1",      "",         "ü", "string",   "data 1,2", "encoded",
                                     "binary", "AFNwwAEA", "4", "AFN4wQEA", "AFNzRQ=="};
static const char *const topics[] = {"a/b", "sensors/1.5/temp",   "$queue/orders", "/",
                                     "ä/ö", "$queue/topic://x/y", "$queue/"};
static const char *const types[] = {"text/plain", "application/json; charset=utf-8", "тип", ""};

static inline struct gnt_message *some_mqtt(struct generator *g)
{
    struct gnt_mqtt_prop list[16];
    size_t count = 0;
    g->used = 0;
    if (often(g))
        list[count++] =
            (struct gnt_mqtt_prop){.row = GNT_PROP_PAYLOAD_FORMAT, .number = (uint32_t)below(g, 2)};
    if (often(g))
        list[count++] = (struct gnt_mqtt_prop){.row = GNT_PROP_CONTENT_TYPE,
                                               .text = some_text(g, types, COUNT_OF(types))};
    if (often(g))
        list[count++] =
            (struct gnt_mqtt_prop){.row = GNT_PROP_RESPONSE_TOPIC,
                                   .text = gnt_slice_str(topics[below(g, COUNT_OF(topics))])};
    if (often(g))
        list[count++] = (struct gnt_mqtt_prop){.row = GNT_PROP_CORRELATION_DATA,
                                               .text = some_text(g, values, COUNT_OF(values))};
    for (uint64_t n = below(g, 6); n > 0; n--)
        list[count++] = (struct gnt_mqtt_prop){.row = GNT_PROP_USER_PROPERTY,
                                               .text = some_text(g, names, COUNT_OF(names)),
                                               .value = some_text(g, values, COUNT_OF(values))};
    const struct gnt_mqtt_proplist props = {.list = list, .count = count};
    (void)gnt_mqtt_proplist_write(g->bytes, &props);
    struct gnt_reader r = gnt_reader(gnt_slice(g->bytes, sizeof g->bytes));
    const uint32_t size = gnt_mqtt_vbi_read(&r);
    const struct gnt_message_init init = {.topic =
                                              gnt_slice_str(topics[below(g, COUNT_OF(topics))]),
                                          .payload = some_text(g, values, COUNT_OF(values)),
                                          .extras = gnt_slice(r.at, size),
                                          .format = size ? GNT_EXTRAS_MQTT5 : GNT_EXTRAS_NONE,
                                          .qos = (uint8_t)below(g, 3),
                                          .retain = often(g),
                                          .publisher = below(g, 100),
                                          .expires = often(g) ? GNT_NEVER : below(g, UINT64_MAX)};
    struct gnt_message *m;
    assert_int_equal(gnt_message_new(&init, &m), GNT_OK);
    return m;
}

/* ---- AMQP */

static inline void put_simple(struct generator *g, struct gnt_amqp_writer *w)
{
    static const uint8_t bytes[16] = {0x22, 0x50, 0, 0xff, 7};
    static const uint64_t numbers[] = {0, 1, 127, 128, 255, 256, 65535, UINT32_MAX, UINT64_MAX};
    static const double reals[] = {0.0, -0.0, 1.5, 0.1, 1e300, 1.0 / 0.0, 0.0 / 0.0};
    const uint64_t number = numbers[below(g, COUNT_OF(numbers))];
    const double real = reals[below(g, COUNT_OF(reals))];
    struct gnt_amqp_value v;
    switch (below(g, 16)) {
    case 0: v = (struct gnt_amqp_value){.type = GNT_AMQP_NULL}; break;
    case 1: v = gnt_amqp_number(GNT_AMQP_BOOLEAN, number & 1); break;
    case 2: v = gnt_amqp_number(GNT_AMQP_UBYTE, number & 0xff); break;
    case 3: v = gnt_amqp_number(GNT_AMQP_USHORT, number & 0xffff); break;
    case 4: v = gnt_amqp_number(GNT_AMQP_UINT, number & UINT32_MAX); break;
    case 5: v = gnt_amqp_number(GNT_AMQP_ULONG, number); break;
    case 6: v = gnt_amqp_integer(GNT_AMQP_INT, (int32_t)number); break;
    case 7: v = gnt_amqp_integer(GNT_AMQP_LONG, (int64_t)number); break;
    case 8: v = gnt_amqp_float((float)real); break;
    case 9: v = gnt_amqp_double(real); break;
    case 10: v = gnt_amqp_number(GNT_AMQP_CHAR, 0x1f600); break;
    case 11: v = gnt_amqp_integer(GNT_AMQP_TIMESTAMP, (int64_t)number); break;
    case 12: v = gnt_amqp_bytes(GNT_AMQP_UUID, gnt_slice(bytes, 16)); break;
    case 13: v = gnt_amqp_bytes(GNT_AMQP_BINARY, gnt_slice(bytes, below(g, 17))); break;
    case 14: v = gnt_amqp_bytes(GNT_AMQP_DECIMAL64, gnt_slice(bytes, 8)); break;
    default:
        v = gnt_amqp_bytes(GNT_AMQP_STRING,
                           below(g, 8) ? some_text(g, values, COUNT_OF(values)) : LITERAL("a\0b"));
    }
    gnt_amqp_put_value(w, &v);
}

static inline void put_any(struct generator *g, struct gnt_amqp_writer *w, unsigned depth)
{
    const uint64_t kind = depth < 4 ? below(g, 6) : 5;
    const uint32_t count = (uint32_t)below(g, 4);
    if (kind == 0) {
        const size_t mark = gnt_amqp_begin_list(w);
        for (uint32_t i = 0; i < count; i++)
            put_any(g, w, depth + 1);
        gnt_amqp_end_list(w, mark, count);
    } else if (kind == 1) {
        const size_t mark = gnt_amqp_begin_map(w);
        for (uint32_t i = 0; i < 2 * count; i++)
            put_any(g, w, depth + 1);
        gnt_amqp_end_map(w, mark, 2 * count);
    } else if (kind == 2) {
        gnt_amqp_put_descriptor(w, below(g, 1000));
        put_any(g, w, depth + 1);
    } else {
        put_simple(g, w);
    }
}

static inline struct gnt_amqp_value some_id(struct generator *g)
{
    static const uint8_t uuid[16] = {1, 2, 3};
    switch (below(g, 4)) {
    case 0: return gnt_amqp_number(GNT_AMQP_ULONG, below(g, 1000));
    case 1: return gnt_amqp_bytes(GNT_AMQP_UUID, gnt_slice(uuid, sizeof uuid));
    case 2: return gnt_amqp_bytes(GNT_AMQP_BINARY, some_text(g, values, COUNT_OF(values)));
    default: return gnt_amqp_bytes(GNT_AMQP_STRING, some_text(g, values, COUNT_OF(values)));
    }
}

static inline void put_annotations(struct generator *g, struct gnt_amqp_writer *w,
                                   enum gnt_amqp_descriptor section)
{
    static const char *const keys[] = {GNT_MAPPING_RETAIN, GNT_MAPPING_QOS,  GNT_MAPPING_FORMAT,
                                       GNT_MAPPING_TYPE,   "x-opt-jms-dest", "x-opt-other"};
    const size_t mark = gnt_amqp_begin_section(w, section);
    const uint32_t count = (uint32_t)below(g, 4);
    for (uint32_t i = 0; i < count; i++) {
        gnt_amqp_put_symbol(w, gnt_slice_str(keys[below(g, COUNT_OF(keys))]));
        put_any(g, w, 0);
    }
    gnt_amqp_end_map(w, mark, 2 * count);
}

static inline void put_properties(struct generator *g, struct gnt_amqp_writer *w,
                                  struct gnt_slice topic)
{
    static const char *const replies[] = {"topic://a/b", "orders",    "topic://a/+",
                                          "topic://",    "queue://q", "a#"};
    struct gnt_amqp_properties p = {0};
    if (often(g))
        GNT_AMQP_SET(&p, message_id, some_id(g));
    if (often(g))
        GNT_AMQP_SET(&p, to, often(g) ? topic : some_text(g, topics, COUNT_OF(topics)));
    if (often(g))
        GNT_AMQP_SET(&p, subject, often(g) ? topic : some_text(g, values, COUNT_OF(values)));
    if (often(g))
        GNT_AMQP_SET(&p, reply_to, some_text(g, replies, COUNT_OF(replies)));
    if (often(g))
        GNT_AMQP_SET(&p, correlation_id, some_id(g));
    if (often(g))
        GNT_AMQP_SET(&p, content_type, gnt_slice_str("text/plain"));
    if (below(g, 4) == 0)
        GNT_AMQP_SET(&p, group_sequence, 7);
    if (below(g, 4) == 0)
        GNT_AMQP_SET(&p, absolute_expiry_time, 1700000000000);
    gnt_amqp_put_properties(w, &p);
}

static inline void put_application_properties(struct generator *g, struct gnt_amqp_writer *w)
{
    const size_t mark = gnt_amqp_begin_section(w, GNT_AMQP_APPLICATION_PROPERTIES);
    const uint32_t count = (uint32_t)below(g, 4);
    for (uint32_t i = 0; i < count; i++) {
        gnt_amqp_put_string(w, some_text(g, names, COUNT_OF(names)));
        if (often(g))
            gnt_amqp_put_string(w, some_text(g, values, COUNT_OF(values)));
        else
            put_simple(g, w);
    }
    gnt_amqp_end_map(w, mark, 2 * count);
}

static inline void put_body(struct generator *g, struct gnt_amqp_writer *w)
{
    switch (below(g, 6)) {
    case 0: break;
    case 1:
        for (uint64_t n = 1 + below(g, 3); n > 0; n--)
            gnt_amqp_put_data(w, some_text(g, values, COUNT_OF(values)));
        break;
    case 2:
        for (uint64_t n = 1 + below(g, 2); n > 0; n--) {
            gnt_amqp_put_descriptor(w, GNT_AMQP_SEQUENCE);
            const size_t mark = gnt_amqp_begin_list(w);
            put_any(g, w, 1);
            gnt_amqp_end_list(w, mark, 1);
        }
        break;
    case 3:
        gnt_amqp_put_descriptor(w, GNT_AMQP_VALUE);
        put_any(g, w, 0);
        break;
    default: gnt_amqp_put_data(w, some_text(g, values, COUNT_OF(values)));
    }
}

static inline struct gnt_message *some_amqp(struct generator *g)
{
    g->used = 0;
    const struct gnt_slice topic = gnt_slice_str(topics[below(g, COUNT_OF(topics))]);
    uint8_t extras[64];
    struct gnt_amqp_writer h = gnt_amqp_writer(extras, sizeof extras);
    if (often(g)) {
        struct gnt_amqp_header header = {0};
        GNT_AMQP_SET(&header, durable, true);
        if (often(g))
            GNT_AMQP_SET(&header, priority, (uint8_t)below(g, 256));
        gnt_amqp_put_header(&h, &header);
    }
    struct gnt_amqp_writer w = gnt_amqp_writer(g->bytes, sizeof g->bytes);
    if (often(g))
        put_annotations(g, &w, GNT_AMQP_MESSAGE_ANNOTATIONS);
    if (often(g))
        put_properties(g, &w, topic);
    if (often(g))
        put_application_properties(g, &w);
    put_body(g, &w);
    if (below(g, 4) == 0)
        put_annotations(g, &w, GNT_AMQP_FOOTER);
    assert_true(gnt_amqp_fits(&w));
    const struct gnt_message_init init = {.topic = topic,
                                          .payload = gnt_amqp_written(&w),
                                          .extras = gnt_amqp_written(&h),
                                          .format = GNT_EXTRAS_AMQP,
                                          .qos = (uint8_t)below(g, 2),
                                          .retain = often(g),
                                          .publisher = below(g, 100),
                                          .expires = often(g) ? GNT_NEVER : below(g, UINT64_MAX)};
    struct gnt_message *m;
    assert_int_equal(gnt_message_new(&init, &m), GNT_OK);
    return m;
}

#endif
