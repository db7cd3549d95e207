#include "amqp/codec/message.h"

#include "amqp/codec/composite.h"
#include "amqp/codec/form.h"

/* What a section's value is [AMQP 3.2]; NULL: anything. */
static const uint8_t section_types[] = {
    [GNT_AMQP_HEADER - GNT_AMQP_HEADER] = GNT_AMQP_LIST,
    [GNT_AMQP_DELIVERY_ANNOTATIONS - GNT_AMQP_HEADER] = GNT_AMQP_MAP,
    [GNT_AMQP_MESSAGE_ANNOTATIONS - GNT_AMQP_HEADER] = GNT_AMQP_MAP,
    [GNT_AMQP_PROPERTIES - GNT_AMQP_HEADER] = GNT_AMQP_LIST,
    [GNT_AMQP_APPLICATION_PROPERTIES - GNT_AMQP_HEADER] = GNT_AMQP_MAP,
    [GNT_AMQP_DATA - GNT_AMQP_HEADER] = GNT_AMQP_BINARY,
    [GNT_AMQP_SEQUENCE - GNT_AMQP_HEADER] = GNT_AMQP_LIST,
    [GNT_AMQP_VALUE - GNT_AMQP_HEADER] = GNT_AMQP_NULL,
    [GNT_AMQP_FOOTER - GNT_AMQP_HEADER] = GNT_AMQP_MAP,
};

static bool is_body(uint64_t code)
{
    return code >= GNT_AMQP_DATA && code <= GNT_AMQP_VALUE;
}

/* Takes the descriptor of a section off the front; its code, or 0 with in->bad if none is there
 * whose value, behind it, is of the right type. */
static uint64_t read_section_code(struct gnt_reader *in)
{
    const uint64_t code = gnt_amqp_read_descriptor(in);
    if (in->bad || code < GNT_AMQP_HEADER || code > GNT_AMQP_FOOTER || gnt_read_left(in) == 0) {
        in->bad = true;
        return 0;
    }
    const uint8_t type = section_types[code - GNT_AMQP_HEADER];
    in->bad = type != GNT_AMQP_NULL && gnt_amqp_type_of_form[*in->at] != type + 1;
    return in->bad ? 0 : code;
}

/* The order of the codes is the order of the sections [AMQP 3.2]. */
static bool may_follow(uint64_t last, uint64_t code)
{
    if (is_body(last) && is_body(code))
        return code == last && code != GNT_AMQP_VALUE;
    return code > last;
}

/* Notes a section in its place; SECTION is all of it. */
static void take_section(struct gnt_amqp_message *out, uint64_t code, struct gnt_slice section)
{
    switch (code) {
    case GNT_AMQP_HEADER: out->header = section; break;
    case GNT_AMQP_DELIVERY_ANNOTATIONS: out->delivery_annotations = section; break;
    case GNT_AMQP_MESSAGE_ANNOTATIONS: out->message_annotations = section; break;
    case GNT_AMQP_PROPERTIES: out->properties = section; break;
    case GNT_AMQP_APPLICATION_PROPERTIES: out->application_properties = section; break;
    case GNT_AMQP_FOOTER: out->footer = section; break;
    default: /* of the body, whose sections follow each other */
        if (out->body_sections++ == 0)
            out->body = gnt_slice(section.data, 0);
        out->body.size += section.size;
        out->body_kind = (enum gnt_amqp_descriptor)code;
        break;
    }
    if (code > GNT_AMQP_DELIVERY_ANNOTATIONS) {
        if (out->lasting.size == 0)
            out->lasting.data = section.data;
        out->lasting.size += section.size;
    }
    if (code > GNT_AMQP_MESSAGE_ANNOTATIONS && code < GNT_AMQP_FOOTER) {
        if (out->bare.size == 0)
            out->bare.data = section.data;
        out->bare.size += section.size;
    }
}

gnt_err gnt_amqp_message_split(struct gnt_slice encoded, struct gnt_amqp_message *out)
{
    *out = (struct gnt_amqp_message){0};
    struct gnt_reader in = gnt_reader(encoded);
    uint64_t last = 0;
    while (gnt_read_left(&in) > 0) {
        const uint8_t *start = in.at;
        const uint64_t code = read_section_code(&in);
        gnt_amqp_skip(&in);
        if (in.bad || !may_follow(last, code))
            return GNT_MALFORMED;
        take_section(out, code, gnt_slice(start, (size_t)(in.at - start)));
        last = code;
    }
    return GNT_OK;
}

/* ---- What is in a section */

bool gnt_amqp_next_section(struct gnt_slice *body, struct gnt_amqp_value *out)
{
    struct gnt_reader in = gnt_reader(*body);
    *out = (struct gnt_amqp_value){0};
    if (body->size == 0) /* as most sections of most messages */
        return false;
    (void)read_section_code(&in);
    gnt_amqp_read(&in, out); /* null, where anything was bad */
    if (in.bad)
        return false;
    *body = gnt_slice(in.at, gnt_read_left(&in));
    return true;
}

bool gnt_amqp_section(struct gnt_slice section, struct gnt_amqp_value *out)
{
    return gnt_amqp_next_section(&section, out);
}

bool gnt_amqp_lookup(struct gnt_slice section, const char *name, struct gnt_amqp_value *out)
{
    struct gnt_amqp_value map;
    (void)gnt_amqp_section(section, &map);
    return gnt_amqp_find(&map, gnt_slice_str(name), out);
}

static bool is_annotation_key(enum gnt_amqp_type type)
{
    return type == GNT_AMQP_SYMBOL || type == GNT_AMQP_ULONG;
}

static bool annotations_valid(struct gnt_slice section)
{
    struct gnt_amqp_value map, key, value;
    if (section.size == 0)
        return true;
    if (!gnt_amqp_section(section, &map))
        return false;
    struct gnt_amqp_items items = gnt_amqp_items(&map);
    while (gnt_amqp_items_pair(&items, &key, &value))
        if (!is_annotation_key(key.type))
            return false;
    return gnt_amqp_valid(map.encoded);
}

static bool application_properties_valid(struct gnt_slice section)
{
    struct gnt_amqp_value map, key, value;
    if (section.size == 0)
        return true;
    if (!gnt_amqp_section(section, &map))
        return false;
    struct gnt_amqp_items items = gnt_amqp_items(&map);
    while (gnt_amqp_items_pair(&items, &key, &value))
        if (key.type != GNT_AMQP_STRING || value.type >= GNT_AMQP_LIST)
            return false;
    return gnt_amqp_valid(map.encoded);
}

static bool body_valid(struct gnt_slice body)
{
    struct gnt_amqp_value value;
    while (body.size > 0)
        if (!gnt_amqp_next_section(&body, &value) || !gnt_amqp_valid(value.encoded))
            return false;
    return true;
}

bool gnt_amqp_message_valid(const struct gnt_amqp_message *m)
{
    struct gnt_amqp_header header;
    struct gnt_amqp_properties properties;
    return (m->header.size == 0 || gnt_amqp_decode_header(m->header, &header) == GNT_OK) &&
           (m->properties.size == 0 ||
            gnt_amqp_decode_properties(m->properties, &properties) == GNT_OK) &&
           annotations_valid(m->delivery_annotations) &&
           annotations_valid(m->message_annotations) &&
           application_properties_valid(m->application_properties) && body_valid(m->body) &&
           annotations_valid(m->footer);
}

/* ---- Building */

size_t gnt_amqp_begin_section(struct gnt_amqp_writer *w, enum gnt_amqp_descriptor section)
{
    gnt_amqp_put_descriptor(w, section);
    return gnt_amqp_begin_map(w);
}

void gnt_amqp_put_data_head(struct gnt_amqp_writer *w, size_t size)
{
    gnt_amqp_put_descriptor(w, GNT_AMQP_DATA);
    gnt_amqp_put_binary_head(w, size);
}

void gnt_amqp_put_data(struct gnt_amqp_writer *w, struct gnt_slice data)
{
    gnt_amqp_put_data_head(w, data.size);
    gnt_amqp_put_raw(w, data);
}
