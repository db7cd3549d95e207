#include "cli/property.h"
#include "base/utf8.h"
#include "conf/scalar.h"

#include <stdio.h>

static const char *const names[GNT_PROP_ROWS] = {
    [GNT_PROP_PAYLOAD_FORMAT] = "payload-format-indicator",
    [GNT_PROP_MESSAGE_EXPIRY] = "message-expiry-interval",
    [GNT_PROP_CONTENT_TYPE] = "content-type",
    [GNT_PROP_RESPONSE_TOPIC] = "response-topic",
    [GNT_PROP_CORRELATION_DATA] = "correlation-data",
    [GNT_PROP_SUBSCRIPTION_ID] = "subscription-identifier",
    [GNT_PROP_SESSION_EXPIRY] = "session-expiry-interval",
    [GNT_PROP_ASSIGNED_CLIENT_ID] = "assigned-client-identifier",
    [GNT_PROP_SERVER_KEEP_ALIVE] = "server-keep-alive",
    [GNT_PROP_AUTH_METHOD] = "authentication-method",
    [GNT_PROP_AUTH_DATA] = "authentication-data",
    [GNT_PROP_REQUEST_PROBLEM_INFO] = "request-problem-information",
    [GNT_PROP_WILL_DELAY] = "will-delay-interval",
    [GNT_PROP_REQUEST_RESPONSE_INFO] = "request-response-information",
    [GNT_PROP_RESPONSE_INFO] = "response-information",
    [GNT_PROP_SERVER_REFERENCE] = "server-reference",
    [GNT_PROP_REASON_STRING] = "reason-string",
    [GNT_PROP_RECEIVE_MAXIMUM] = "receive-maximum",
    [GNT_PROP_TOPIC_ALIAS_MAXIMUM] = "topic-alias-maximum",
    [GNT_PROP_TOPIC_ALIAS] = "topic-alias",
    [GNT_PROP_MAXIMUM_QOS] = "maximum-qos",
    [GNT_PROP_RETAIN_AVAILABLE] = "retain-available",
    [GNT_PROP_USER_PROPERTY] = "user-property",
    [GNT_PROP_MAXIMUM_PACKET_SIZE] = "maximum-packet-size",
    [GNT_PROP_WILDCARD_AVAILABLE] = "wildcard-subscription-available",
    [GNT_PROP_SUBSCRIPTION_ID_AVAILABLE] = "subscription-identifier-available",
    [GNT_PROP_SHARED_AVAILABLE] = "shared-subscription-available",
};

/* What the command line has to know of a property that the codec keeps to itself. */
static const struct {
    uint32_t in, lowest, highest;
} facts[GNT_PROP_ROWS] = {
#define FACT(id, name, wire, lowest, highest, in, repeats) \
    [GNT_PROP_##name] = {in, lowest, highest},
    GNT_MQTT_PROPS(FACT)
#undef FACT
};

static const struct {
    const char *name;
    uint32_t where;
} packets[] = {
    {"connect", GNT_IN_CONNECT},         {"will", GNT_IN_WILL},
    {"publish", GNT_IN_PUBLISH},         {"subscribe", GNT_IN_SUBSCRIBE},
    {"unsubscribe", GNT_IN_UNSUBSCRIBE}, {"disconnect", GNT_IN_DISCONNECT},
};

/* What a client may not say in packets that both sides send [MQTT-3.3.4-6, 3.14.2.2.5]. */
static bool is_servers(uint32_t where, enum gnt_mqtt_prop_row row)
{
    return (where == GNT_IN_PUBLISH && row == GNT_PROP_SUBSCRIPTION_ID) ||
           (where == GNT_IN_DISCONNECT && row == GNT_PROP_SERVER_REFERENCE);
}

const char *gnt_property_name(enum gnt_mqtt_prop_row row)
{
    return names[row];
}

bool gnt_property_row(const struct gnatter_property *property, struct gnt_mqtt_prop *out)
{
    for (enum gnt_mqtt_prop_row row = 0; row < GNT_PROP_ROWS; row++) {
        if (gnt_mqtt_prop_id(row) != property->id)
            continue;
        *out = (struct gnt_mqtt_prop){row, property->number,
                                      gnt_slice(property->text.data, property->text.size),
                                      gnt_slice(property->value.data, property->value.size)};
        return true;
    }
    return false;
}

/* Both know words in upper case too, as mosquitto_pub does. */
static bool find_packet(const char *word, uint32_t *where, struct gnt_why *why)
{
    char shown[64];
    struct gnt_nearest near =
        gnt_nearest(gnt_utf8_printable(gnt_slice_str(word), shown, sizeof shown));
    for (size_t i = 0; i < sizeof packets / sizeof packets[0]; i++) {
        gnt_nearest_offer(&near, packets[i].name);
        if (strcasecmp(word, packets[i].name) == 0) {
            *where = packets[i].where;
            return true;
        }
    }
    if (near.word)
        gnt_why_set(why, "unknown packet '%s', did you mean '%s'?", shown, near.word);
    else
        gnt_why_set(why,
                    "expected connect, publish, subscribe, unsubscribe, disconnect or will, "
                    "got '%s'",
                    shown);
    return false;
}

static bool find_row(const char *word, uint32_t where, const char *packet,
                     enum gnt_mqtt_prop_row *out, struct gnt_why *why)
{
    char shown[64];
    struct gnt_nearest near =
        gnt_nearest(gnt_utf8_printable(gnt_slice_str(word), shown, sizeof shown));
    for (enum gnt_mqtt_prop_row row = 0; row < GNT_PROP_ROWS; row++) {
        bool allowed = (facts[row].in & where) && !is_servers(where, row);
        if (allowed)
            gnt_nearest_offer(&near, names[row]);
        if (strcasecmp(word, names[row]) != 0)
            continue;
        *out = row;
        if (!allowed)
            gnt_why_set(why, "a client's %s cannot have the property %s", packet, names[row]);
        return allowed;
    }
    if (near.word)
        gnt_why_set(why, "unknown property '%s', did you mean '%s'?", shown, near.word);
    else
        gnt_why_set(why, "unknown property '%s'", shown);
    return false;
}

static gnt_err set_number(struct gnatter_property *property, enum gnt_mqtt_prop_row row,
                          const char *word, struct gnt_why *why)
{
    uint64_t number;
    gnt_err err = gnt_scalar_number(gnt_slice_str(word), gnt_units_none, &number);
    if (err || number < facts[row].lowest || number > facts[row].highest) {
        char shown[64];
        gnt_why_set(why, "%s is a number from %u to %u, got '%s'", names[row], facts[row].lowest,
                    facts[row].highest,
                    gnt_utf8_printable(gnt_slice_str(word), shown, sizeof shown));
        return GNT_INVALID;
    }
    property->number = (uint32_t)number;
    return GNT_OK;
}

static gnt_err set_text(struct gnatter_bytes *bytes, bool utf8, const char *word,
                        struct gnt_why *why)
{
    size_t size = strlen(word);
    if (size > UINT16_MAX || (utf8 && !gnt_utf8_valid(gnt_slice_str(word)))) {
        gnt_why_set(why, "a property is at most 65,535 bytes of UTF-8 text");
        return GNT_INVALID;
    }
    *bytes = (struct gnatter_bytes){word, size};
    return GNT_OK;
}

static gnt_err set_value(struct gnatter_property *property, enum gnt_mqtt_prop_row row,
                         char *const *words, struct gnt_why *why)
{
    property->id = gnt_mqtt_prop_id(row);
    switch (gnt_mqtt_prop_wire(row)) {
    case GNT_WIRE_U8:
    case GNT_WIRE_U16:
    case GNT_WIRE_U32:
    case GNT_WIRE_VBI: return set_number(property, row, words[0], why);
    case GNT_WIRE_STR:
    case GNT_WIRE_BIN:
        return set_text(&property->text, gnt_mqtt_prop_wire(row) == GNT_WIRE_STR, words[0], why);
    case GNT_WIRE_PAIR:
        if (set_text(&property->text, true, words[0], why))
            return GNT_INVALID;
        return set_text(&property->value, true, words[1], why);
    }
    __builtin_unreachable();
}

static bool is_there(const struct gnt_properties *all, uint32_t where, uint8_t id)
{
    for (size_t i = 0; i < all->count; i++) {
        if (all->where[i] == where && all->items[i].id == id)
            return true;
    }
    return false;
}

int gnt_property_take(const struct gnt_option *row, void *values, int count, char *const *words,
                      struct gnt_why *why)
{
    struct gnt_properties *all = (void *)((char *)values + row->offset);
    struct gnatter_property property = {0};
    enum gnt_mqtt_prop_row found;
    uint32_t where;
    if (count < 3) {
        gnt_why_set(why, "expected %s", row->metavar);
        return GNT_INVALID;
    }
    if (!find_packet(words[0], &where, why) || !find_row(words[1], where, words[0], &found, why))
        return GNT_INVALID;
    bool pair = gnt_mqtt_prop_wire(found) == GNT_WIRE_PAIR;
    if (pair && count < 4) {
        gnt_why_set(why, "expected %s %s NAME VALUE", words[0], names[found]);
        return GNT_INVALID;
    }
    if (set_value(&property, found, words + 2, why))
        return GNT_INVALID;
    if (!pair && is_there(all, where, property.id)) {
        gnt_why_set(why, "%s has been given for %s already", names[found], words[0]);
        return GNT_INVALID;
    }
    if (all->count == GNT_PROPERTIES_MAX) {
        gnt_why_set(why, "at most %d properties can be given", GNT_PROPERTIES_MAX);
        return GNT_INVALID;
    }
    all->where[all->count] = where;
    all->items[all->count++] = property;
    return pair ? 4 : 3;
}

size_t gnt_properties_of(const struct gnt_properties *all, uint32_t where,
                         struct gnatter_property list[GNT_PROPERTIES_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < all->count; i++) {
        if (all->where[i] == where)
            list[count++] = all->items[i];
    }
    return count;
}

bool gnt_properties_pull(struct gnt_properties *all, uint32_t where, uint8_t id, uint32_t *number)
{
    for (size_t i = 0; i < all->count; i++) {
        if (all->where[i] != where || all->items[i].id != id)
            continue;
        *number = all->items[i].number;
        all->count--;
        memmove(&all->where[i], &all->where[i + 1], (all->count - i) * sizeof all->where[0]);
        memmove(&all->items[i], &all->items[i + 1], (all->count - i) * sizeof all->items[0]);
        return true;
    }
    return false;
}
