#include "front/amqp/fields.h"

#include "filter/field.h"
#include "mapping/mapping.h"

void gnt_fields_init(struct gnt_fields *f, const struct gnt_message *message)
{
    /* What is made of it is kept with it, by a pointer that any thread may set. */
    struct gnt_message *any = (struct gnt_message *)(uintptr_t)message, *said;
    *f = (struct gnt_fields){.message = NULL};
    if (!gnt_mapping_as_amqp(any, &said) && !gnt_amqp_message_split(said->payload, &f->sections))
        f->message = said;
    else
        f->sections = (struct gnt_amqp_message){.body_sections = 0};
}

/* ---- Values */

static struct gnt_filter_value text(struct gnt_slice bytes)
{
    return (struct gnt_filter_value){.kind = GNT_FILTER_STRING, .bytes = bytes};
}

static struct gnt_filter_value number(uint64_t n)
{
    return (struct gnt_filter_value){.kind = GNT_FILTER_UNSIGNED, .unsign = n};
}

static struct gnt_filter_value truth(bool is)
{
    return (struct gnt_filter_value){.kind = GNT_FILTER_BOOLEAN, .boolean = is};
}

static struct gnt_filter_value timestamp(int64_t ms)
{
    return (struct gnt_filter_value){.kind = GNT_FILTER_TIMESTAMP, .integer = ms};
}

static struct gnt_filter_value real(double number)
{
    return (struct gnt_filter_value){.kind = GNT_FILTER_REAL, .real = number};
}

struct gnt_filter_value gnt_fields_value(const struct gnt_amqp_value *v)
{
    switch (v->type) {
    case GNT_AMQP_NULL: return (struct gnt_filter_value){.kind = GNT_FILTER_NULL};
    case GNT_AMQP_BOOLEAN: return truth(v->number != 0);
    case GNT_AMQP_UBYTE:
    case GNT_AMQP_USHORT:
    case GNT_AMQP_UINT:
    case GNT_AMQP_ULONG:
    case GNT_AMQP_CHAR: return number(v->number);
    case GNT_AMQP_BYTE:
    case GNT_AMQP_SHORT:
    case GNT_AMQP_INT:
    case GNT_AMQP_LONG:
        return (struct gnt_filter_value){.kind = GNT_FILTER_INTEGER, .integer = v->integer};
    case GNT_AMQP_FLOAT: return real((double)gnt_amqp_as_float(v));
    case GNT_AMQP_DOUBLE: return real(gnt_amqp_as_double(v));
    case GNT_AMQP_TIMESTAMP: return timestamp(v->integer);
    case GNT_AMQP_UUID:
    case GNT_AMQP_BINARY:
        return (struct gnt_filter_value){.kind = GNT_FILTER_BINARY, .bytes = v->bytes};
    case GNT_AMQP_STRING:
    case GNT_AMQP_SYMBOL: return text(v->bytes);
    case GNT_AMQP_DECIMAL32:
    case GNT_AMQP_DECIMAL64:
    case GNT_AMQP_DECIMAL128:
    case GNT_AMQP_LIST:
    case GNT_AMQP_MAP:
    case GNT_AMQP_ARRAY:
    case GNT_AMQP_DESCRIBED:
    case GNT_AMQP_TYPE_COUNT: break;
    }
    return (struct gnt_filter_value){.kind = GNT_FILTER_OTHER};
}

/* ---- Sections */

/* What has been looked at when it came is good. */
static const struct gnt_amqp_header *header_of(struct gnt_fields *f)
{
    const struct gnt_message *m = f->message;
    if (f->header_read)
        return &f->header;
    f->header_read = true;
    if (!m || !m->extras.size || gnt_amqp_decode_header(m->extras, &f->header))
        f->header = (struct gnt_amqp_header){.priority = 4};
    return &f->header;
}

/* Whichever protocol it came by. */
static bool is_durable(const struct gnt_fields *f)
{
    return f->message && f->message->qos > 0;
}

static const struct gnt_amqp_properties *properties_of(struct gnt_fields *f)
{
    if (f->properties_read)
        return &f->properties;
    f->properties_read = true;
    if (!f->sections.properties.size ||
        gnt_amqp_decode_properties(f->sections.properties, &f->properties))
        f->properties = (struct gnt_amqp_properties){.group_sequence = 0};
    return &f->properties;
}

static bool in_map(struct gnt_slice section, struct gnt_slice name, struct gnt_filter_value *out)
{
    struct gnt_amqp_value map, value;
    if (!gnt_amqp_section(section, &map) || !gnt_amqp_find(&map, name, &value))
        return false;
    *out = gnt_fields_value(&value);
    return true;
}

/* ---- Fields */

#define PROPERTY(FIELD, field, made)          \
    case GNT_FIELD_##FIELD:                   \
        *out = made(properties_of(f)->field); \
        return properties_of(f)->has.field;
#define VALUE(FIELD, field)                                \
    case GNT_FIELD_##FIELD:                                \
        *out = gnt_fields_value(&properties_of(f)->field); \
        return properties_of(f)->has.field;

bool gnt_fields_find(void *context, const struct gnt_filter_name *name,
                     struct gnt_filter_value *out)
{
    struct gnt_fields *f = context;
    switch ((enum gnt_field)name->tag) {
    case GNT_FIELD_APPLICATION_PROPERTY:
        return in_map(f->sections.application_properties, name->text, out);
    case GNT_FIELD_ANNOTATION:
        return in_map(f->sections.message_annotations, name->text, out);
        VALUE(MESSAGE_ID, message_id)
        PROPERTY(USER_ID, user_id, text)
        PROPERTY(TO, to, text)
        PROPERTY(SUBJECT, subject, text)
        PROPERTY(REPLY_TO, reply_to, text)
        VALUE(CORRELATION_ID, correlation_id)
        PROPERTY(CONTENT_TYPE, content_type, text)
        PROPERTY(CONTENT_ENCODING, content_encoding, text)
        PROPERTY(ABSOLUTE_EXPIRY_TIME, absolute_expiry_time, timestamp)
        PROPERTY(CREATION_TIME, creation_time, timestamp)
        PROPERTY(GROUP_ID, group_id, text)
        PROPERTY(GROUP_SEQUENCE, group_sequence, number)
        PROPERTY(REPLY_TO_GROUP_ID, reply_to_group_id, text)
    case GNT_FIELD_DURABLE: *out = truth(is_durable(f)); return true;
    case GNT_FIELD_PRIORITY: *out = number(header_of(f)->priority); return true;
    case GNT_FIELD_TTL: *out = number(header_of(f)->ttl); return header_of(f)->has.ttl;
    case GNT_FIELD_FIRST_ACQUIRER: *out = truth(header_of(f)->first_acquirer); return true;
    case GNT_FIELD_DELIVERY_COUNT: *out = number(header_of(f)->delivery_count); return true;
    case GNT_FIELD_DELIVERIES:
        *out = number((uint64_t)header_of(f)->delivery_count + 1);
        return true;
    case GNT_FIELD_DELIVERY_MODE:
        *out = text(gnt_slice_str(is_durable(f) ? "PERSISTENT" : "NON_PERSISTENT"));
        return true;
    }
    return false;
}
