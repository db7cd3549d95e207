/* A message of AMQP, or the properties of a PUBLISH, on the way to the other protocol and back; the
 * first byte chooses. */
#include "fuzz.h"

#include "base/assert.h"
#include "mapping/form.h"
#include "mapping/same.h"
#include "model/topic.h"
#include "mqtt/codec/packet.h"

#include <stdlib.h>

static struct gnt_message *message_of(struct gnt_slice payload, struct gnt_slice extras,
                                      enum gnt_extras_format format, uint8_t first)
{
    static const char *const topics[] = {"t", "$queue/q", "$queue/topic://x", "a/b"};
    const struct gnt_message_init init = {.topic = gnt_slice_str(topics[first >> 1 & 3]),
                                          .payload = payload,
                                          .extras = extras,
                                          .format = format,
                                          .qos = first >> 3 & 1,
                                          .retain = first >> 4 & 1,
                                          .expires = GNT_NEVER};
    struct gnt_message *m;
    GNT_ASSERT(gnt_message_new(&init, &m) == GNT_OK);
    return m;
}

static bool mqtt_same(const struct gnt_message *a, const struct gnt_message *b)
{
    struct gnt_arena arena = {0};
    struct gnt_mapping_view x, y;
    GNT_ASSERT(gnt_mapping_view(&arena, a, &x) == GNT_OK);
    GNT_ASSERT(gnt_mapping_view(&arena, b, &y) == GNT_OK);
    const bool same = gnt_mapping_view_same(&x, &y);
    gnt_arena_fini(&arena);
    return same;
}

/* All of MQTT comes back. */
static void check_mqtt(const struct gnt_message *mqtt)
{
    struct gnt_message *amqp, *back;
    GNT_ASSERT(gnt_mapping_to_amqp(mqtt, &amqp) == GNT_OK);
    struct gnt_amqp_message parts;
    GNT_ASSERT(gnt_amqp_message_split(amqp->payload, &parts) == GNT_OK);
    GNT_ASSERT(gnt_amqp_message_valid(&parts));
    GNT_ASSERT(gnt_mapping_to_mqtt(amqp, &back) == GNT_OK);
    GNT_ASSERT(mqtt_same(mqtt, back));
    gnt_message_unref(&amqp);
    gnt_message_unref(&back);
}

/* Whether an annotation that only we write has names in it that only we write. */
static bool is_forged(const struct gnt_amqp_message *m)
{
    struct gnt_amqp_value list, name;
    if (!gnt_amqp_lookup(m->message_annotations, GNT_MAPPING_USER, &list))
        return false;
    struct gnt_amqp_items items = gnt_amqp_items(&list);
    while (gnt_amqp_items_next(&items, &name))
        if (name.type == GNT_AMQP_STRING && gnt_mapping_is_reserved(name.bytes))
            return true;
    return false;
}

static void check_amqp(const struct gnt_message *amqp, const struct gnt_amqp_message *parts)
{
    struct gnt_message *mqtt, *back;
    gnt_err err = gnt_mapping_to_mqtt(amqp, &mqtt);
    GNT_ASSERT(err == GNT_OK || err == GNT_TOOBIG);
    if (err)
        return;
    check_mqtt(mqtt);
    GNT_ASSERT(gnt_mapping_to_amqp(mqtt, &back) == GNT_OK);
    struct gnt_amqp_message again;
    GNT_ASSERT(gnt_amqp_message_split(back->payload, &again) == GNT_OK);
    if (!is_forged(parts)) {
        GNT_ASSERT(gnt_mapping_same_section(parts->message_annotations, again.message_annotations));
        GNT_ASSERT(
            gnt_mapping_same_section(parts->application_properties, again.application_properties));
        GNT_ASSERT(gnt_mapping_same_section(parts->footer, again.footer));
    }
    gnt_message_unref(&mqtt);
    gnt_message_unref(&back);
}

static void run_amqp(struct gnt_slice bytes, uint8_t first)
{
    struct gnt_amqp_message parts;
    if (gnt_amqp_message_split(bytes, &parts) != GNT_OK || !gnt_amqp_message_valid(&parts))
        return;
    struct gnt_message *amqp = message_of(parts.lasting, parts.header, GNT_EXTRAS_AMQP, first);
    GNT_ASSERT(gnt_amqp_message_split(amqp->payload, &parts) == GNT_OK);
    check_amqp(amqp, &parts);
    gnt_message_unref(&amqp);
}

/* A length, then the properties, then the payload. */
static void run_mqtt(struct gnt_slice bytes, uint8_t first)
{
    struct gnt_reader r = gnt_reader(bytes);
    struct gnt_mqtt_props props;
    uint8_t reason;
    if (gnt_mqtt_props_decode(&r, GNT_IN_PUBLISH, &props, &reason) != GNT_OK)
        return;
    const uint32_t others =
        1u << GNT_PROP_MESSAGE_EXPIRY | 1u << GNT_PROP_SUBSCRIPTION_ID | 1u << GNT_PROP_TOPIC_ALIAS;
    struct gnt_slice response = gnt_mqtt_text(&props, GNT_PROP_RESPONSE_TOPIC);
    if (props.present & others ||
        (gnt_mqtt_has(&props, GNT_PROP_RESPONSE_TOPIC) && !gnt_topic_name_valid(response, 0)))
        return;
    struct gnt_message *mqtt =
        message_of(gnt_slice(r.at, gnt_read_left(&r)), props.raw, GNT_EXTRAS_MQTT5, first);
    check_mqtt(mqtt);
    gnt_message_unref(&mqtt);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    if (data[0] & 1)
        run_amqp(gnt_slice(data + 1, size - 1), data[0]);
    else
        run_mqtt(gnt_slice(data + 1, size - 1), data[0]);
    return 0;
}
