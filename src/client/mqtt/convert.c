#include "client/mqtt/convert.h"

#include <stdlib.h>

/* The two sides have the same numbers, so that errors, versions and requests go through unchanged.
 */
enum { GNATTER_EOK = GNATTER_OK, GNATTER_EMORE = GNATTER_MORE };
#define SAME_ERROR(name, value, text) \
    _Static_assert((int)GNATTER_E##name == (int)GNT_##name, "gnatter/error.h has another value");
GNT_ERRS(SAME_ERROR)
#undef SAME_ERROR

#define SAME_PROPERTY(id, name, wire, lowest, highest, in, repeats) \
    _Static_assert(GNATTER_##name == (id), "gnatter/mqtt_types.h has another value");
GNT_MQTT_PROPS(SAME_PROPERTY)
#undef SAME_PROPERTY

_Static_assert((int)GNATTER_MQTT_3_1 == (int)GNT_MQTT_3_1 &&
                   (int)GNATTER_MQTT_3_1_1 == (int)GNT_MQTT_3_1_1 &&
                   (int)GNATTER_MQTT_5 == (int)GNT_MQTT_5,
               "versions");
_Static_assert((int)GNATTER_PUBLISH == (int)GNT_MQTT_PUBLISH &&
                   (int)GNATTER_SUBSCRIBE == (int)GNT_MQTT_SUBSCRIBE &&
                   (int)GNATTER_UNSUBSCRIBE == (int)GNT_MQTT_UNSUBSCRIBE,
               "requests");
_Static_assert((int)GNATTER_EVENT_CONNECTED == (int)GNT_CLIENT_CONNECTED &&
                   (int)GNATTER_EVENT_CLOSED == (int)GNT_CLIENT_CLOSED &&
                   (int)GNATTER_EVENT_MESSAGE == (int)GNT_CLIENT_MESSAGE &&
                   (int)GNATTER_EVENT_DONE == (int)GNT_CLIENT_DONE &&
                   (int)GNATTER_EVENT_AUTH == (int)GNT_CLIENT_AUTH,
               "events");

const char *gnatter_error_text(int error)
{
    return gnt_err_text((gnt_err)error);
}

const char *gnatter_reason_text(uint8_t reason)
{
    return gnt_mqtt_reason_text(reason);
}

static struct gnt_slice slice(struct gnatter_bytes bytes)
{
    return gnt_slice(bytes.data, bytes.size);
}

static struct gnatter_bytes bytes(struct gnt_slice slice)
{
    return (struct gnatter_bytes){slice.data, slice.size};
}

/* ---- Properties */

static enum gnt_mqtt_prop_row row_of(uint8_t id)
{
    unsigned row = 0;
    while (row < GNT_PROP_ROWS && gnt_mqtt_prop_id((enum gnt_mqtt_prop_row)row) != id)
        row++;
    return (enum gnt_mqtt_prop_row)row;
}

/* As gnt_convert_props, with room for EXTRA more behind. */
static gnt_err convert_props(const struct gnatter_property_list *list, size_t extra,
                             struct gnt_mqtt_prop **out)
{
    const size_t count = list ? list->count : 0;
    if (count + extra == 0) {
        *out = NULL;
        return GNT_OK;
    }
    struct gnt_mqtt_prop *props = calloc(count + extra, sizeof *props);
    if (!props)
        return GNT_NOMEM;
    for (size_t i = 0; i < count; i++) {
        const struct gnatter_property *p = &list->list[i];
        props[i] =
            (struct gnt_mqtt_prop){row_of(p->id), p->number, slice(p->text), slice(p->value)};
        if (props[i].row == GNT_PROP_ROWS) {
            free(props);
            return GNT_INVALID;
        }
    }
    *out = props;
    return GNT_OK;
}

gnt_err gnt_convert_props(const struct gnatter_property_list *list, struct gnt_mqtt_proplist *props)
{
    struct gnt_mqtt_prop *own;
    gnt_err err = convert_props(list, 0, &own);
    if (!err)
        *props = (struct gnt_mqtt_proplist){.list = own, .count = list ? list->count : 0};
    return err;
}

void gnt_convert_props_fini(struct gnt_mqtt_proplist *props)
{
    free((void *)(uintptr_t)props->list); /* const only for the codec */
    *props = (struct gnt_mqtt_proplist){0};
}

struct gnatter_properties gnt_convert_raw(const struct gnt_mqtt_props *props)
{
    return props ? (struct gnatter_properties){props->raw.data, props->raw.size}
                 : (struct gnatter_properties){NULL, 0};
}

bool gnatter_properties_next(struct gnatter_properties *rest, struct gnatter_property *out)
{
    struct gnt_slice raw = gnt_slice(rest->data, rest->size);
    struct gnt_mqtt_prop prop = {.row = GNT_PROP_ROWS};
    if (!gnt_mqtt_prop_next(&raw, &prop))
        return false;
    *rest = (struct gnatter_properties){raw.data, raw.size};
    *out = (struct gnatter_property){
        .id = gnt_mqtt_prop_id(prop.row),
        .number = prop.number,
        .text = bytes(prop.text),
        .value = bytes(prop.value),
    };
    return true;
}

bool gnatter_properties_find(struct gnatter_properties all, uint8_t id,
                             struct gnatter_property *out)
{
    while (gnatter_properties_next(&all, out))
        if (out->id == id)
            return true;
    return false;
}

/* ---- Options */

void gnatter_mqtt_options_init(struct gnatter_mqtt_options *o)
{
    struct gnt_client_options inner;
    gnt_client_options_init(&inner);
    *o = (struct gnatter_mqtt_options){
        .version = inner.connect.version,
        .keep_alive_s = inner.connect.keep_alive_s,
        .clean_start = inner.connect.clean_start,
        .packet_max = inner.packet_max,
        .receive_maximum = UINT16_MAX,
        .inbound_aliases = 16,
        .connect_timeout_ms = inner.connect_timeout_ms,
        .ping_timeout_ms = inner.ping_timeout_ms,
        .queue_messages = inner.queue_messages,
        .queue_bytes = inner.queue_bytes,
    };
}

static void copy_behaviour(const struct gnatter_mqtt_options *from, struct gnt_client_options *to)
{
    to->packet_max = from->packet_max;
    to->connect_timeout_ms = from->connect_timeout_ms;
    to->ping_timeout_ms = from->ping_timeout_ms;
    to->queue_messages = from->queue_messages;
    to->queue_bytes = from->queue_bytes;
    to->drop_oldest = from->drop_oldest;
    to->in_flight_max = from->in_flight_max;
    to->aliases_max = from->outbound_aliases;
    to->retry_ms = from->retry_ms;
    to->retry_attempts = from->retry_attempts;
    to->manual_ack = from->manual_ack;
    to->drop_in_flight = from->drop_in_flight;
    to->no_resubscribe = from->no_resubscribe;
}

static void copy_connect(const struct gnatter_mqtt_options *from, const char *client_id,
                         struct gnt_mqtt_connect *to)
{
    *to = (struct gnt_mqtt_connect){
        .version = from->version,
        .clean_start = from->clean_start,
        .keep_alive_s = from->keep_alive_s,
        .client_id = gnt_slice_str(client_id ? client_id : from->client_id),
        .has_username = from->username != NULL,
        .username = gnt_slice_str(from->username),
        .has_password = from->password.data != NULL,
        .password = slice(from->password),
        .has_will = from->will != NULL,
    };
    if (from->will) {
        to->will.qos = from->will->qos;
        to->will.retain = from->will->retain;
        to->will.topic = gnt_slice_str(from->will->topic);
        to->will.payload = gnt_slice(from->will->payload, from->will->payload_size);
    }
}

enum { OWN_PROPS = 4 };

/* Behind the user's: what the options say in words, where it is not what MQTT assumes anyway. */
static size_t own_props(const struct gnatter_mqtt_options *o, struct gnt_mqtt_prop *to)
{
    const size_t largest = (size_t)GNT_MQTT_REMAINING_MAX + 5;
    size_t n = 0;
    if (o->session_expiry_s)
        to[n++] =
            (struct gnt_mqtt_prop){.row = GNT_PROP_SESSION_EXPIRY, .number = o->session_expiry_s};
    if (o->receive_maximum != UINT16_MAX)
        to[n++] =
            (struct gnt_mqtt_prop){.row = GNT_PROP_RECEIVE_MAXIMUM, .number = o->receive_maximum};
    if (o->packet_max < largest)
        to[n++] = (struct gnt_mqtt_prop){.row = GNT_PROP_MAXIMUM_PACKET_SIZE,
                                         .number = (uint32_t)o->packet_max};
    if (o->inbound_aliases)
        to[n++] = (struct gnt_mqtt_prop){.row = GNT_PROP_TOPIC_ALIAS_MAXIMUM,
                                         .number = o->inbound_aliases};
    return n;
}

gnt_err gnt_convert_new(const struct gnatter_mqtt_options *options, const char *client_id,
                        struct gnt_client **out)
{
    struct gnt_client_options inner;
    struct gnt_mqtt_prop *list;
    struct gnt_mqtt_proplist will_props = {0};
    gnt_client_options_init(&inner);
    copy_behaviour(options, &inner);
    copy_connect(options, client_id, &inner.connect);
    gnt_err err = convert_props(&options->properties, OWN_PROPS, &list);
    if (err)
        return err;
    const struct gnt_mqtt_proplist props = {
        .list = list,
        .count = options->properties.count + own_props(options, list + options->properties.count),
    };
    if (options->will)
        err = gnt_convert_props(&options->will->properties, &will_props);
    inner.props = &props;
    inner.will_props = &will_props;
    if (!err)
        err = gnt_client_new(&inner, out);
    gnt_convert_props_fini(&will_props);
    free(list);
    return err;
}

/* ---- Requests */

gnt_err gnt_convert_publish(struct gnt_client *c, const struct gnatter_message *message, void *user,
                            uint64_t now, uint64_t *token)
{
    struct gnt_mqtt_proplist props;
    gnt_err err = gnt_convert_props(&message->properties, &props);
    if (err)
        return err;
    const struct gnt_client_publish p = {
        .topic = gnt_slice_str(message->topic),
        .payload = gnt_slice(message->payload, message->payload_size),
        .qos = message->qos,
        .retain = message->retain,
        .props = props.list,
        .prop_count = props.count,
    };
    err = gnt_client_publish(c, &p, user, now, token);
    gnt_convert_props_fini(&props);
    return err;
}

gnt_err gnt_convert_subscribe(struct gnt_client *c, const struct gnatter_subscription *list,
                              size_t count, const struct gnatter_property_list *properties,
                              void *user, uint64_t *token)
{
    struct gnt_mqtt_proplist props;
    if (count == 0)
        return GNT_INVALID;
    struct gnt_mqtt_subscription *inner = calloc(count, sizeof *inner);
    if (!inner)
        return GNT_NOMEM;
    for (size_t i = 0; i < count; i++)
        inner[i] = (struct gnt_mqtt_subscription){
            .filter = gnt_slice_str(list[i].filter),
            .qos = list[i].qos,
            .no_local = list[i].no_local,
            .retain_as_published = list[i].retain_as_published,
            .retain_handling = list[i].retain_handling,
        };
    gnt_err err = gnt_convert_props(properties, &props);
    if (!err) {
        err = gnt_client_subscribe(c, inner, count, &props, user, token);
        gnt_convert_props_fini(&props);
    }
    free(inner);
    return err;
}

gnt_err gnt_convert_unsubscribe(struct gnt_client *c, const char *const *filters, size_t count,
                                const struct gnatter_property_list *properties, void *user,
                                uint64_t *token)
{
    struct gnt_mqtt_proplist props;
    if (count == 0)
        return GNT_INVALID;
    struct gnt_slice *inner = calloc(count, sizeof *inner);
    if (!inner)
        return GNT_NOMEM;
    for (size_t i = 0; i < count; i++)
        inner[i] = gnt_slice_str(filters[i]);
    gnt_err err = gnt_convert_props(properties, &props);
    if (!err) {
        err = gnt_client_unsubscribe(c, inner, count, &props, user, token);
        gnt_convert_props_fini(&props);
    }
    free(inner);
    return err;
}

gnt_err gnt_convert_disconnect(struct gnt_client *c, uint8_t reason,
                               const struct gnatter_property_list *properties)
{
    struct gnt_mqtt_proplist props;
    gnt_err err = gnt_convert_props(properties, &props);
    if (err)
        return err;
    err = gnt_client_disconnect(c, reason, &props);
    gnt_convert_props_fini(&props);
    return err;
}

gnt_err gnt_convert_auth(struct gnt_client *c, uint8_t reason,
                         const struct gnatter_property_list *properties)
{
    struct gnt_mqtt_proplist props;
    gnt_err err = gnt_convert_props(properties, &props);
    if (err)
        return err;
    err = gnt_client_auth(c, reason, &props);
    gnt_convert_props_fini(&props);
    return err;
}

/* ---- Events */

static struct gnatter_received received(const struct gnt_client_event *event)
{
    const struct gnt_mqtt_publish *p = event->publish;
    return (struct gnatter_received){
        .topic = (const char *)p->topic.data,
        .topic_size = p->topic.size,
        .payload = p->payload.data,
        .payload_size = p->payload.size,
        .qos = p->qos,
        .retain = p->retain,
        .dup = p->dup,
        .id = p->id,
        .properties = gnt_convert_raw(event->props),
        .ack = event->ack,
    };
}

void gnt_convert_event(const struct gnt_client_event *event, struct gnatter_engine_event *out)
{
    *out = (struct gnatter_engine_event){
        .type = (uint8_t)event->type,
        .error = event->err,
        .reason = event->code,
        .session_present = event->session_present,
        .properties = gnt_convert_raw(event->props),
        .user = event->user,
    };
    if (event->publish)
        out->message = received(event);
    if (event->type == GNT_CLIENT_DONE)
        out->result = (struct gnatter_result){
            .token = event->token,
            .request = event->request,
            .error = event->err,
            .reason = event->code,
            .codes = event->codes.data,
            .code_count = event->codes.size,
            .properties = out->properties,
        };
}
