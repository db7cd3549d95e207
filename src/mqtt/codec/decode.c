#include "mqtt/codec/packet.h"

#include "base/utf8.h"

/* Who may send a packet, a bit per sender and generation. */
enum { CLIENT_3 = 1, SERVER_3 = 2, CLIENT_5 = 4, SERVER_5 = 8 };
enum {
    CLIENT = CLIENT_3 | CLIENT_5,
    SERVER = SERVER_3 | SERVER_5,
    BOTH = CLIENT | SERVER,
    BOTH_5 = CLIENT_5 | SERVER_5,
};

enum { FLAG_RETAIN = 0x01, FLAG_DUP = 0x08 }; /* of the first byte [MQTT5 3.3.1] */
enum { SUBACK_FAILURE_3 = 0x80, CONNACK_MAX_3 = 5, CONNACK_BAD_VERSION_3 = 1 };

/* One packet being decoded.  Bytes that cannot be there and text that is not UTF-8 set r.bad, which
 * finish() turns into "malformed"; so fields are read straight through and judged afterwards. */
struct decoder {
    struct gnt_reader r;
    enum gnt_mqtt_version version;
    enum gnt_mqtt_sender sender;
    struct gnt_mqtt_packet *out;
    uint8_t *reason;
};

static gnt_err malformed(uint8_t *reason)
{
    *reason = GNT_REASON_MALFORMED_PACKET;
    return GNT_MALFORMED;
}

static gnt_err protocol(uint8_t *reason)
{
    *reason = GNT_REASON_PROTOCOL_ERROR;
    return GNT_PROTOCOL;
}

/* All bytes must be there, and none be left. */
static gnt_err finish(const struct decoder *d)
{
    return d->r.bad || gnt_read_left(&d->r) > 0 ? malformed(d->reason) : GNT_OK;
}

static struct gnt_slice read_text(struct gnt_reader *r)
{
    struct gnt_slice text = gnt_read_str16(r);
    if (!gnt_utf8_valid(text))
        r->bad = true;
    return text;
}

static void no_props(struct gnt_mqtt_props *props)
{
    props->present = 0;
    props->raw = gnt_slice(NULL, 0);
}

/* What depends on the packet's sender or on two properties at once. */
static bool props_agree(const struct decoder *d, const struct gnt_mqtt_props *props)
{
    const uint8_t type = d->out->type;
    if (gnt_mqtt_has(props, GNT_PROP_AUTH_DATA) && !gnt_mqtt_has(props, GNT_PROP_AUTH_METHOD))
        return false; /* [MQTT5 3.1.2.11.10] */
    if (type == GNT_MQTT_PUBLISH && d->sender == GNT_MQTT_FROM_CLIENT)
        return !gnt_mqtt_has(props, GNT_PROP_SUBSCRIPTION_ID); /* [MQTT-3.3.4-6] */
    if (type == GNT_MQTT_DISCONNECT && d->sender == GNT_MQTT_FROM_SERVER)
        return !gnt_mqtt_has(props, GNT_PROP_SESSION_EXPIRY); /* [MQTT-3.14.2-2] */
    return true;
}

/* The property section of the packet, or of its will; 3.x has none. */
static gnt_err read_props(struct decoder *d, uint32_t where, struct gnt_mqtt_props *props)
{
    if (d->version < GNT_MQTT_5) {
        no_props(props);
        return GNT_OK;
    }
    gnt_err err = gnt_mqtt_props_decode(&d->r, where, props, d->reason);
    if (err)
        return err;
    return props_agree(d, props) ? GNT_OK : protocol(d->reason);
}

static gnt_err read_own_props(struct decoder *d)
{
    return read_props(d, 1u << d->out->type, &d->out->props);
}

/* ---- CONNECT [MQTT5 3.1] */

enum {
    CONNECT_RESERVED = 0x01,
    CONNECT_CLEAN = 0x02,
    CONNECT_WILL = 0x04,
    CONNECT_WILL_QOS_SHIFT = 3,
    CONNECT_WILL_RETAIN = 0x20,
    CONNECT_WILL_DETAILS = 0x38,
    CONNECT_PASSWORD = 0x40,
    CONNECT_USERNAME = 0x80,
    BRIDGE_MARK = 0x80, /* set in the level by bridges of 3.x */
};

/* Protocol name and level [MQTT5 3.1.2.1, 3.1.2.2]. */
static gnt_err read_version(struct decoder *d, struct gnt_mqtt_connect *c)
{
    struct gnt_slice name = read_text(&d->r);
    uint8_t level = gnt_read_u8(&d->r);
    if (d->r.bad)
        return malformed(d->reason);
    bool mqtt = gnt_slice_eq_str(name, "MQTT"), mqisdp = gnt_slice_eq_str(name, "MQIsdp");
    uint8_t plain = (uint8_t)(level & ~BRIDGE_MARK);
    if ((mqtt && level == GNT_MQTT_5) || (mqtt && plain == GNT_MQTT_3_1_1) ||
        (mqisdp && plain == GNT_MQTT_3_1)) {
        c->version = plain;
        d->version = plain;
        return GNT_OK;
    }
    c->version = mqtt || mqisdp ? level : 0;
    *d->reason = GNT_REASON_UNSUPPORTED_VERSION;
    return GNT_UNSUPPORTED;
}

static gnt_err read_connect_flags(struct decoder *d, struct gnt_mqtt_connect *c)
{
    const uint8_t flags = gnt_read_u8(&d->r);
    c->clean_start = flags & CONNECT_CLEAN;
    c->has_username = flags & CONNECT_USERNAME;
    c->has_password = flags & CONNECT_PASSWORD;
    c->has_will = flags & CONNECT_WILL;
    c->will.qos = c->has_will ? flags >> CONNECT_WILL_QOS_SHIFT & 3 : 0;
    c->will.retain = c->has_will && flags & CONNECT_WILL_RETAIN;
    if (c->will.qos == 3) /* [MQTT-3.1.2-12] */
        return malformed(d->reason);
    if (d->version > GNT_MQTT_3_1) {
        if (flags & CONNECT_RESERVED) /* [MQTT-3.1.2-3] */
            return malformed(d->reason);
        if (!c->has_will && flags & CONNECT_WILL_DETAILS) /* [MQTT-3.1.2-11, MQTT-3.1.2-13] */
            return malformed(d->reason);
    }
    if (d->version < GNT_MQTT_5 && c->has_password && !c->has_username)
        return protocol(d->reason); /* [MQTT-3.1.2-22] of 3.1.1 */
    return GNT_OK;
}

static gnt_err read_will(struct decoder *d, struct gnt_mqtt_connect *c)
{
    c->will.topic = c->will.payload = gnt_slice(NULL, 0);
    no_props(&c->will.props);
    if (!c->has_will)
        return GNT_OK;
    gnt_err err = read_props(d, GNT_IN_WILL, &c->will.props);
    if (err)
        return err;
    c->will.topic = read_text(&d->r);
    c->will.payload = gnt_read_str16(&d->r);
    return GNT_OK;
}

/* User name and password.  In 3.1 they may be announced and not be there: the remaining length
 * takes precedence over the flags [MQTT3.1 3.1]. */
static void read_credentials(struct decoder *d, struct gnt_mqtt_connect *c)
{
    const bool lenient = d->version == GNT_MQTT_3_1;
    c->username = c->password = gnt_slice(NULL, 0);
    if (lenient && gnt_read_left(&d->r) == 0)
        c->has_username = c->has_password = false;
    if (c->has_username)
        c->username = read_text(&d->r);
    if (lenient && gnt_read_left(&d->r) == 0)
        c->has_password = false;
    if (c->has_password)
        c->password = gnt_read_str16(&d->r);
}

static gnt_err decode_connect(struct decoder *d)
{
    struct gnt_mqtt_connect *c = &d->out->connect;
    gnt_err err = read_version(d, c);
    if (err)
        return err;
    err = read_connect_flags(d, c);
    if (err)
        return err;
    c->keep_alive_s = gnt_read_u16(&d->r);
    err = read_own_props(d);
    if (err)
        return err;
    c->client_id = read_text(&d->r);
    err = read_will(d, c);
    if (err)
        return err;
    read_credentials(d, c);
    return finish(d);
}

/* ---- CONNACK [MQTT5 3.2] */

static gnt_err decode_connack(struct decoder *d)
{
    struct gnt_mqtt_connack *c = &d->out->connack;
    const uint8_t flags = gnt_read_u8(&d->r);
    c->code = gnt_read_u8(&d->r);
    if (d->version > GNT_MQTT_3_1 && flags > 1) /* [MQTT5 3.2.2.1]; unused in 3.1 */
        return malformed(d->reason);
    c->session_present = d->version > GNT_MQTT_3_1 && flags;
    /* A 3.x server refuses an MQTT 5 CONNECT in its own words [MQTT3.1.1 3.1.2.2]. */
    if (d->version == GNT_MQTT_5 && gnt_read_left(&d->r) == 0 && !d->r.bad && !flags &&
        c->code == CONNACK_BAD_VERSION_3) {
        c->code = GNT_REASON_UNSUPPORTED_VERSION;
        no_props(&d->out->props);
        return GNT_OK;
    }
    gnt_err err = read_own_props(d);
    if (err)
        return err;
    err = finish(d);
    if (err)
        return err;
    bool known = d->version == GNT_MQTT_5 ? gnt_mqtt_reason_allowed(c->code, GNT_IN_CONNACK)
                                          : c->code <= CONNACK_MAX_3;
    if (!known || (c->session_present && c->code != 0)) /* [MQTT-3.2.2-8, MQTT-3.2.2-6] */
        return protocol(d->reason);
    return GNT_OK;
}

/* ---- PUBLISH [MQTT5 3.3] */

/* The part behind topic and id for what the fast path of decode_publish leaves over. */
static gnt_err read_publish_props(struct decoder *d)
{
    gnt_err err = read_own_props(d);
    if (err)
        return err;
    d->out->publish.payload = gnt_slice(d->r.at, gnt_read_left(&d->r));
    return GNT_OK;
}

/* The hot path, hence by hand: one check of the length, and no call for an empty property section.
 */
static gnt_err decode_publish(const struct gnt_mqtt_frame *frame, enum gnt_mqtt_version version,
                              enum gnt_mqtt_sender sender, struct gnt_mqtt_packet *out,
                              uint8_t *reason)
{
    struct gnt_mqtt_publish *p = &out->publish;
    const uint8_t *at = frame->body.data, *end = at + frame->body.size;
    p->qos = frame->flags >> 1 & 3;
    p->dup = frame->flags & FLAG_DUP;
    p->retain = frame->flags & FLAG_RETAIN;
    if (p->qos == 3 || frame->body.size < 2) /* [MQTT-3.3.1-4] */
        return malformed(reason);
    if (p->qos == 0 && p->dup) { /* [MQTT-3.3.1-2], an invalid flag [MQTT5 2.1.3] */
        if (version > GNT_MQTT_3_1)
            return malformed(reason);
        p->dup = false;
    }
    const size_t topic_size = (size_t)(at[0] << 8 | at[1]);
    const size_t id_size = p->qos ? 2 : 0, props_size = version == GNT_MQTT_5 ? 1 : 0;
    if (frame->body.size - 2 < topic_size + id_size + props_size)
        return malformed(reason);
    p->topic = gnt_slice(at + 2, topic_size);
    at += 2 + topic_size;
    p->id = p->qos ? (uint16_t)(at[0] << 8 | at[1]) : 0;
    at += id_size;
    if (!gnt_utf8_valid(p->topic))
        return malformed(reason);
    if (p->qos && p->id == 0) /* [MQTT-2.2.1-3] */
        return protocol(reason);
    if (props_size && *at != 0) {
        struct decoder d = {{at, end, false}, version, sender, out, reason};
        return read_publish_props(&d);
    }
    at += props_size;
    no_props(&out->props);
    p->payload = gnt_slice(at, (size_t)(end - at));
    return GNT_OK;
}

/* ---- PUBACK, PUBREC, PUBREL, PUBCOMP [MQTT5 3.4 to 3.7] */

static gnt_err decode_ack(struct decoder *d)
{
    struct gnt_mqtt_ack *ack = &d->out->ack;
    ack->id = gnt_read_u16(&d->r);
    ack->code = GNT_REASON_SUCCESS;
    no_props(&d->out->props);
    if (d->version == GNT_MQTT_5) { /* both may be left out from the end [MQTT5 3.4.2.1] */
        if (gnt_read_left(&d->r) > 0)
            ack->code = gnt_read_u8(&d->r);
        if (gnt_read_left(&d->r) > 0) {
            gnt_err err = read_own_props(d);
            if (err)
                return err;
        }
    }
    gnt_err err = finish(d);
    if (err)
        return err;
    bool good = ack->id != 0 && gnt_mqtt_reason_allowed(ack->code, 1u << d->out->type);
    return good ? GNT_OK : protocol(d->reason); /* [MQTT-2.2.1-3, MQTT-3.4.2-1] */
}

/* ---- SUBSCRIBE and UNSUBSCRIBE [MQTT5 3.8, 3.10] */

enum {
    OPTION_QOS = 0x03,
    OPTION_NO_LOCAL = 0x04,
    OPTION_RETAIN_AS_PUBLISHED = 0x08,
    OPTION_RETAIN_HANDLING_SHIFT = 4,
    OPTION_RESERVED_5 = 0xc0,
    OPTION_RESERVED_3 = 0xfc,
};

static gnt_err check_options(const struct decoder *d, uint8_t options)
{
    const bool qos_3 = (options & OPTION_QOS) == 3;
    switch (d->version) {
    case GNT_MQTT_3_1: return qos_3 ? malformed(d->reason) : GNT_OK;
    case GNT_MQTT_3_1_1: /* [MQTT-3-8.3-4] */
        return qos_3 || options & OPTION_RESERVED_3 ? malformed(d->reason) : GNT_OK;
    case GNT_MQTT_5: break;
    }
    if (options & OPTION_RESERVED_5) /* [MQTT-3.8.3-5] */
        return malformed(d->reason);
    bool good = !qos_3 && (options >> OPTION_RETAIN_HANDLING_SHIFT & 3) != 3; /* [MQTT5 3.8.3.1] */
    return good ? GNT_OK : protocol(d->reason);
}

static gnt_err decode_filters(struct decoder *d)
{
    struct gnt_mqtt_filters *f = &d->out->filters;
    f->id = gnt_read_u16(&d->r);
    gnt_err err = read_own_props(d);
    if (err)
        return err;
    f->list = gnt_slice(d->r.at, gnt_read_left(&d->r));
    for (f->count = 0; gnt_read_left(&d->r) > 0; f->count++) {
        read_text(&d->r);
        if (d->out->type == GNT_MQTT_SUBSCRIBE) {
            err = check_options(d, gnt_read_u8(&d->r));
            if (err)
                return err;
        }
    }
    err = finish(d);
    if (err)
        return err;
    bool good = f->id != 0 && f->count > 0; /* [MQTT-2.2.1-3, MQTT-3.8.3-2, MQTT-3.10.3-2] */
    return good ? GNT_OK : protocol(d->reason);
}

bool gnt_mqtt_next_subscription(struct gnt_slice *list, enum gnt_mqtt_version version,
                                struct gnt_mqtt_subscription *out)
{
    struct gnt_reader r = gnt_reader(*list);
    struct gnt_slice filter = gnt_read_str16(&r);
    uint8_t options = gnt_read_u8(&r);
    if (r.bad)
        return false;
    if (version < GNT_MQTT_5)
        options &= OPTION_QOS; /* the other bits are 0 in 3.1.1 and unused in 3.1 */
    *out = (struct gnt_mqtt_subscription){
        .filter = filter,
        .qos = options & OPTION_QOS,
        .no_local = options & OPTION_NO_LOCAL,
        .retain_as_published = options & OPTION_RETAIN_AS_PUBLISHED,
        .retain_handling = options >> OPTION_RETAIN_HANDLING_SHIFT & 3,
    };
    *list = gnt_slice(r.at, gnt_read_left(&r));
    return true;
}

bool gnt_mqtt_next_filter(struct gnt_slice *list, struct gnt_slice *filter)
{
    struct gnt_reader r = gnt_reader(*list);
    struct gnt_slice text = gnt_read_str16(&r);
    if (r.bad)
        return false;
    *filter = text;
    *list = gnt_slice(r.at, gnt_read_left(&r));
    return true;
}

/* ---- SUBACK and UNSUBACK [MQTT5 3.9, 3.11] */

static bool code_known(const struct decoder *d, uint8_t code)
{
    if (d->version == GNT_MQTT_5) /* [MQTT-3.9.3-2, MQTT-3.11.3-2] */
        return gnt_mqtt_reason_allowed(code, 1u << d->out->type);
    return code <= 2 || code == SUBACK_FAILURE_3; /* [MQTT-3.9.3-2] of 3.1.1 */
}

static gnt_err decode_codes(struct decoder *d)
{
    struct gnt_mqtt_codes *c = &d->out->codes;
    c->id = gnt_read_u16(&d->r);
    gnt_err err = read_own_props(d);
    if (err)
        return err;
    const bool none = d->out->type == GNT_MQTT_UNSUBACK && d->version < GNT_MQTT_5;
    c->codes = gnt_read_bytes(&d->r, none ? 0 : gnt_read_left(&d->r));
    err = finish(d);
    if (err)
        return err;
    bool good = c->id != 0 && (none || c->codes.size > 0);
    for (size_t i = 0; good && i < c->codes.size; i++)
        good = code_known(d, c->codes.data[i]);
    return good ? GNT_OK : protocol(d->reason);
}

/* ---- PINGREQ, PINGRESP, DISCONNECT, AUTH [MQTT5 3.12 to 3.15] */

static gnt_err decode_ping(struct decoder *d)
{
    no_props(&d->out->props);
    return finish(d);
}

/* Whether the sender may say CODE: the standard's tables name the sides [MQTT-3.14.2-1]. */
static bool disconnect_code_fits(const struct decoder *d, uint8_t code)
{
    static const uint8_t from_client[] = {
        GNT_REASON_NORMAL_DISCONNECTION,  GNT_REASON_DISCONNECT_WITH_WILL,
        GNT_REASON_UNSPECIFIED_ERROR,     GNT_REASON_MALFORMED_PACKET,
        GNT_REASON_PROTOCOL_ERROR,        GNT_REASON_IMPLEMENTATION_SPECIFIC,
        GNT_REASON_TOPIC_NAME_INVALID,    GNT_REASON_RECEIVE_MAXIMUM_EXCEEDED,
        GNT_REASON_TOPIC_ALIAS_INVALID,   GNT_REASON_PACKET_TOO_LARGE,
        GNT_REASON_MESSAGE_RATE_TOO_HIGH, GNT_REASON_QUOTA_EXCEEDED,
        GNT_REASON_ADMINISTRATIVE_ACTION, GNT_REASON_PAYLOAD_FORMAT_INVALID,
    };
    if (d->sender == GNT_MQTT_FROM_CLIENT)
        return memchr(from_client, code, sizeof from_client) != NULL;
    return code != GNT_REASON_DISCONNECT_WITH_WILL &&
           gnt_mqtt_reason_allowed(code, GNT_IN_DISCONNECT);
}

static gnt_err decode_disconnect(struct decoder *d)
{
    uint8_t *code = &d->out->close.code;
    *code = GNT_REASON_NORMAL_DISCONNECTION;
    no_props(&d->out->props);
    if (d->version == GNT_MQTT_5) { /* both may be left out from the end [MQTT5 3.14.2.1] */
        if (gnt_read_left(&d->r) > 0)
            *code = gnt_read_u8(&d->r);
        if (gnt_read_left(&d->r) > 0) {
            gnt_err err = read_own_props(d);
            if (err)
                return err;
        }
    }
    gnt_err err = finish(d);
    if (err)
        return err;
    return disconnect_code_fits(d, *code) ? GNT_OK : protocol(d->reason);
}

/* Success is only a server's word, re-authenticate only a client's [MQTT-3.15.2-1]. */
static bool auth_code_fits(const struct decoder *d, uint8_t code)
{
    if (code == GNT_REASON_SUCCESS)
        return d->sender == GNT_MQTT_FROM_SERVER;
    if (code == GNT_REASON_RE_AUTHENTICATE)
        return d->sender == GNT_MQTT_FROM_CLIENT;
    return code == GNT_REASON_CONTINUE_AUTHENTICATION;
}

/* An AUTH names its method, but for a success that says nothing at all [MQTT5 3.15.2.1,
 * 3.15.2.2.2]. */
static gnt_err decode_auth(struct decoder *d)
{
    const struct gnt_mqtt_props *props = &d->out->props;
    uint8_t *code = &d->out->close.code;
    *code = GNT_REASON_SUCCESS;
    no_props(&d->out->props);
    if (gnt_read_left(&d->r) > 0) {
        *code = gnt_read_u8(&d->r);
        gnt_err err = read_own_props(d);
        if (err)
            return err;
    }
    gnt_err err = finish(d);
    if (err)
        return err;
    bool bare = *code == GNT_REASON_SUCCESS && props->present == 0;
    bool good = auth_code_fits(d, *code) && (bare || gnt_mqtt_has(props, GNT_PROP_AUTH_METHOD));
    return good ? GNT_OK : protocol(d->reason);
}

/* ---- All packets */

/* What each packet's first byte may be, who may send it [MQTT5 2.1.2, 2.1.3], and how it goes on.
 */
static const struct kind {
    gnt_err (*decode)(struct decoder *d);
    uint8_t senders;
    uint8_t flags;
    uint8_t ignored_3_1; /* flags that 3.1 leaves open */
} kinds[16] = {
    [GNT_MQTT_CONNECT] = {decode_connect, CLIENT, 0, 0},
    [GNT_MQTT_CONNACK] = {decode_connack, SERVER, 0, 0},
    [GNT_MQTT_PUBACK] = {decode_ack, BOTH, 0, 0},
    [GNT_MQTT_PUBREC] = {decode_ack, BOTH, 0, 0},
    [GNT_MQTT_PUBREL] = {decode_ack, BOTH, 2, FLAG_DUP},
    [GNT_MQTT_PUBCOMP] = {decode_ack, BOTH, 0, 0},
    [GNT_MQTT_SUBSCRIBE] = {decode_filters, CLIENT, 2, FLAG_DUP},
    [GNT_MQTT_SUBACK] = {decode_codes, SERVER, 0, 0},
    [GNT_MQTT_UNSUBSCRIBE] = {decode_filters, CLIENT, 2, FLAG_DUP},
    [GNT_MQTT_UNSUBACK] = {decode_codes, SERVER, 0, 0},
    [GNT_MQTT_PINGREQ] = {decode_ping, CLIENT, 0, 0},
    [GNT_MQTT_PINGRESP] = {decode_ping, SERVER, 0, 0},
    [GNT_MQTT_DISCONNECT] = {decode_disconnect, CLIENT | SERVER_5, 0, 0},
    [GNT_MQTT_AUTH] = {decode_auth, BOTH_5, 0, 0},
};

gnt_err gnt_mqtt_decode(const struct gnt_mqtt_frame *frame, enum gnt_mqtt_version version,
                        enum gnt_mqtt_sender sender, struct gnt_mqtt_packet *out, uint8_t *reason)
{
    out->type = frame->type;
    *reason = GNT_REASON_SUCCESS;
    if (frame->type == GNT_MQTT_PUBLISH)
        return decode_publish(frame, version, sender, out, reason);

    const struct kind *kind = &kinds[frame->type & 0x0f];
    uint8_t flags = frame->flags;
    if (version == GNT_MQTT_3_1)
        flags &= (uint8_t)~kind->ignored_3_1;
    const bool exists = kind->decode && (version == GNT_MQTT_5 || frame->type != GNT_MQTT_AUTH);
    if (!exists || flags != kind->flags)
        return malformed(reason);
    const uint8_t generation = version == GNT_MQTT_5 ? BOTH_5 : BOTH & ~BOTH_5;
    const uint8_t side = sender == GNT_MQTT_FROM_CLIENT ? CLIENT : SERVER;
    if (!(kind->senders & generation & side))
        return protocol(reason);
    struct decoder d = {gnt_reader(frame->body), version, sender, out, reason};
    return kind->decode(&d);
}
