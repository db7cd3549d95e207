#include "filter/field.h"

const struct gnt_dialect gnt_dialect_amqp = {.unlike = GNT_FALSE, .resolve = gnt_field_resolve};

static const struct {
    const char *name, *jms;
    enum gnt_field field;
} rows[] = {
#define GNT_FIELD_ROW(field, name, jms) {name, jms, GNT_FIELD_##field},
    GNT_FIELDS(GNT_FIELD_ROW)
#undef GNT_FIELD_ROW
};

/* The names of a section, as stretches of the table. */
static const struct {
    const char *prefix;
    enum gnt_field first, last;
} sections[] = {
    {"amqp.properties.", GNT_FIELD_MESSAGE_ID, GNT_FIELD_REPLY_TO_GROUP_ID},
    {"amqp.header.", GNT_FIELD_DURABLE, GNT_FIELD_DELIVERY_COUNT},
    {"amqp.", GNT_FIELD_MESSAGE_ID, GNT_FIELD_DELIVERY_COUNT},
};

/* NAME with - for each _ is WANTED. */
static bool is_name(struct gnt_slice name, const char *wanted)
{
    size_t i = 0;
    while (i < name.size && wanted[i] &&
           (name.data[i] == '_' ? '-' : name.data[i]) == (uint8_t)wanted[i])
        i++;
    return i == name.size && !wanted[i];
}

static bool find(struct gnt_slice name, enum gnt_field first, enum gnt_field last, uint32_t *out)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].field >= first && rows[i].field <= last && is_name(name, rows[i].name)) {
            *out = rows[i].field;
            return true;
        }
    }
    return false;
}

static bool take_prefix(struct gnt_slice *text, const char *prefix)
{
    struct gnt_slice p = gnt_slice_str(prefix);
    if (!gnt_slice_starts(*text, p))
        return false;
    *text = gnt_slice_skip(*text, p.size);
    return true;
}

static bool resolve_amqp(struct gnt_filter_name *name)
{
    if (take_prefix(&name->text, "amqp.annotation.")) {
        name->tag = GNT_FIELD_ANNOTATION;
        return name->text.size > 0;
    }
    for (size_t i = 0; i < sizeof sections / sizeof sections[0]; i++)
        if (take_prefix(&name->text, sections[i].prefix))
            return find(name->text, sections[i].first, sections[i].last, &name->tag);
    return false;
}

static bool resolve_jms(struct gnt_filter_name *name)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (gnt_slice_eq_str(name->text, rows[i].jms)) {
            name->tag = rows[i].field;
            return true;
        }
    }
    return gnt_slice_starts(name->text, gnt_slice_str("JMSX")) ||
           gnt_slice_starts(name->text, gnt_slice_str("JMS_"));
}

bool gnt_field_resolve(struct gnt_filter_name *name)
{
    name->tag = GNT_FIELD_APPLICATION_PROPERTY;
    if (gnt_slice_starts(name->text, gnt_slice_str("amqp.")))
        return resolve_amqp(name);
    return !gnt_slice_starts(name->text, gnt_slice_str("JMS")) || resolve_jms(name);
}

bool gnt_field_of_properties(struct gnt_slice name, enum gnt_field *out)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].field <= GNT_FIELD_REPLY_TO_GROUP_ID && gnt_slice_eq_str(name, rows[i].name)) {
            *out = rows[i].field;
            return true;
        }
    }
    return false;
}
