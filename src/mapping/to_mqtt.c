#include "base/utf8.h"
#include "mapping/form.h"
#include "mapping/same.h"
#include "mapping/text.h"
#include "model/topic.h"

#include <stdio.h>

enum { TEXT_MAX = 65535 }; /* of a string in MQTT [MQTT5 1.5.4] */

/* What is converted. */
struct source {
    const struct gnt_message *message;
    struct gnt_amqp_message parts;
    struct gnt_amqp_properties properties;
    struct gnt_amqp_header header;
};

static gnt_err read_source(const struct gnt_message *m, struct source *out)
{
    *out = (struct source){.message = m};
    gnt_err err = gnt_amqp_message_split(m->payload, &out->parts);
    if (!err && out->parts.properties.size)
        err = gnt_amqp_decode_properties(out->parts.properties, &out->properties);
    if (!err && m->extras.size)
        err = gnt_amqp_decode_header(m->extras, &out->header);
    return err == GNT_OK ? GNT_OK : GNT_MALFORMED;
}

static bool is_text(struct gnt_slice text)
{
    return text.size <= TEXT_MAX && gnt_utf8_valid(text);
}

/* ---- What everybody can see */

static void see_annotations(const struct source *s, struct gnt_mapping_view *view)
{
    struct gnt_amqp_value v;
    if (gnt_amqp_lookup(s->parts.message_annotations, GNT_MAPPING_FORMAT, &v) &&
        v.type == GNT_AMQP_UBYTE && v.number <= 1)
        view->format = (int)v.number;
    if (gnt_amqp_lookup(s->parts.message_annotations, GNT_MAPPING_TYPE, &v) &&
        v.type == GNT_AMQP_STRING && is_text(v.bytes))
        view->type = (struct gnt_mapping_text){.there = true, .text = v.bytes};
}

static gnt_err see_reply_to(struct gnt_arena *a, struct gnt_slice address,
                            struct gnt_mapping_text *out)
{
    const struct gnt_slice scheme = gnt_slice_str(GNT_MAPPING_TOPIC),
                           queue = gnt_slice_str(GNT_MAPPING_QUEUE);
    struct gnt_slice topic;
    if (gnt_slice_starts(address, scheme)) {
        topic = gnt_slice_skip(address, scheme.size);
    } else {
        uint8_t *at = gnt_arena_get(a, queue.size + address.size);
        if (!at)
            return GNT_NOMEM;
        memcpy(at, queue.data, queue.size);
        if (address.size)
            memcpy(at + queue.size, address.data, address.size);
        topic = gnt_slice(at, queue.size + address.size);
    }
    if (gnt_topic_name_valid(topic, 0))
        *out = (struct gnt_mapping_text){.there = true, .text = topic};
    return GNT_OK;
}

static gnt_err see_properties(struct gnt_arena *a, const struct source *s,
                              struct gnt_mapping_view *view)
{
    const struct gnt_amqp_properties *p = &s->properties;
    if (p->has.content_type && !view->type.there && is_text(p->content_type))
        view->type = (struct gnt_mapping_text){.there = true, .text = p->content_type};
    if (p->has.correlation_id) {
        struct gnt_slice data = p->correlation_id.bytes;
        if (p->correlation_id.type != GNT_AMQP_BINARY) {
            gnt_err err = gnt_mapping_text(a, &p->correlation_id, &data);
            if (err)
                return err;
        }
        if (data.size <= TEXT_MAX)
            view->correlation = (struct gnt_mapping_text){.there = true, .text = data};
    }
    return p->has.reply_to ? see_reply_to(a, p->reply_to, &view->response) : GNT_OK;
}

/* The annotation that has all user properties of MQTT, as it was there; false: it has not. */
static bool see_listed(struct gnt_mapping_view *view, struct gnt_amqp_value *list)
{
    struct gnt_amqp_items items = gnt_amqp_items(list);
    struct gnt_amqp_value name, value;
    while (gnt_amqp_items_next(&items, &name)) {
        if (!gnt_amqp_items_next(&items, &value) || name.type != GNT_AMQP_STRING ||
            value.type != GNT_AMQP_STRING || !is_text(name.bytes) || !is_text(value.bytes)) {
            view->user_count = 0;
            return false;
        }
        view->user[view->user_count++] = (struct gnt_mapping_pair){name.bytes, value.bytes};
    }
    return true;
}

static gnt_err see_application_properties(struct gnt_arena *a, struct gnt_amqp_value *map,
                                          struct gnt_mapping_view *view)
{
    struct gnt_amqp_items items = gnt_amqp_items(map);
    struct gnt_amqp_value name, value;
    while (gnt_amqp_items_pair(&items, &name, &value)) {
        struct gnt_slice text;
        if (name.type != GNT_AMQP_STRING || !is_text(name.bytes) ||
            gnt_mapping_is_reserved(name.bytes))
            continue;
        gnt_err err = gnt_mapping_text(a, &value, &text);
        if (err == GNT_NOMEM)
            return err;
        if (err == GNT_OK && is_text(text))
            view->user[view->user_count++] = (struct gnt_mapping_pair){name.bytes, text};
    }
    return GNT_OK;
}

static gnt_err see_users(struct gnt_arena *a, const struct source *s, struct gnt_mapping_view *view)
{
    struct gnt_amqp_value listed = {0}, map = {0};
    const bool is_listed =
        gnt_amqp_lookup(s->parts.message_annotations, GNT_MAPPING_USER, &listed) &&
        listed.type == GNT_AMQP_LIST;
    (void)gnt_amqp_section(s->parts.application_properties, &map);
    const size_t room = (is_listed && listed.count > map.count ? listed.count : map.count) / 2;
    view->user = gnt_arena_get(a, room * sizeof *view->user + 1);
    if (!view->user)
        return GNT_NOMEM;
    if (is_listed && see_listed(view, &listed))
        return GNT_OK;
    return see_application_properties(a, &map, view);
}

/* ---- The body */

struct body {
    struct gnt_slice payload;
    const char *kind; /* NULL: one data section */
    bool is_text;
};

/* The text of "data 5,7", and the sections' bytes one behind the other. */
static gnt_err join_data(struct gnt_arena *a, const struct source *s, struct gnt_slice *payload,
                         char **sizes)
{
    enum { ROOM = 22 }; /* a number, a comma, the end */
    const size_t room = strlen("data ") + (size_t)s->parts.body_sections * ROOM;
    uint8_t *at = gnt_arena_get(a, s->parts.body.size);
    *sizes = gnt_arena_get(a, room);
    if (!at || !*sizes)
        return GNT_NOMEM;
    *payload = gnt_slice(at, 0);
    size_t written = 0;
    struct gnt_slice body = s->parts.body;
    struct gnt_amqp_value data;
    while (gnt_amqp_next_section(&body, &data)) {
        written += (size_t)snprintf(*sizes + written, room - written, "%s%zu",
                                    written ? "," : "data ", data.bytes.size);
        if (data.bytes.size)
            memcpy(at + payload->size, data.bytes.data, data.bytes.size);
        payload->size += data.bytes.size;
    }
    return GNT_OK;
}

static gnt_err see_body(struct gnt_arena *a, const struct source *s, struct body *out)
{
    *out = (struct body){.payload = s->parts.body, .kind = "encoded"};
    struct gnt_slice body = s->parts.body;
    struct gnt_amqp_value value = {0};
    if (s->parts.body_sections > 1 && s->parts.body_kind == GNT_AMQP_DATA) {
        char *sizes;
        gnt_err err = join_data(a, s, &out->payload, &sizes);
        out->kind = sizes;
        return err;
    }
    if (!gnt_amqp_next_section(&body, &value) || s->parts.body_kind == GNT_AMQP_SEQUENCE)
        return GNT_OK;
    if (s->parts.body_kind == GNT_AMQP_DATA)
        *out = (struct body){.payload = value.bytes};
    else if (value.type == GNT_AMQP_BINARY)
        *out = (struct body){.payload = value.bytes, .kind = "binary"};
    else if (value.type == GNT_AMQP_STRING && gnt_utf8_valid(value.bytes))
        *out = (struct body){.payload = value.bytes, .kind = "string", .is_text = true};
    return GNT_OK;
}

/* ---- What the way back would not give */

/* The fields in their canonical form; empty if there are none. */
static gnt_err canonical(struct gnt_arena *a, struct gnt_slice section, struct gnt_slice *out)
{
    *out = gnt_slice(NULL, 0);
    struct gnt_amqp_properties properties;
    if (section.size == 0 || gnt_amqp_decode_properties(section, &properties) != GNT_OK)
        return GNT_OK;
    uint8_t *at = gnt_arena_get(a, section.size);
    if (!at)
        return GNT_NOMEM;
    struct gnt_amqp_writer w = gnt_amqp_writer(at, section.size);
    gnt_amqp_put_properties(&w, &properties);
    *out = gnt_amqp_written(&w);
    return GNT_OK;
}

/* Reserves what FORM, which comes of the view alone, has not as it was. */
static gnt_err reserve(struct gnt_arena *a, const struct source *s,
                       const struct gnt_mapping_form *form, struct gnt_mapping_reserved *out)
{
    struct gnt_slice was, is;
    gnt_err err = canonical(a, s->parts.properties, &was);
    if (!err)
        err = canonical(a, form->properties, &is);
    if (err)
        return err;
    const struct gnt_amqp_message *parts = &s->parts;
    const struct {
        struct gnt_slice section;
        bool same;
    } row[] = {
        [GNT_MAPPING_PROPERTIES] = {parts->properties, gnt_slice_eq(was, is)},
        [GNT_MAPPING_APPLICATION_PROPERTIES] =
            {parts->application_properties,
             gnt_mapping_same_section(parts->application_properties, form->application_properties)},
        [GNT_MAPPING_MESSAGE_ANNOTATIONS] = {parts->message_annotations,
                                             gnt_mapping_same_section(parts->message_annotations,
                                                                      form->message_annotations)},
        [GNT_MAPPING_FOOTER] = {parts->footer,
                                gnt_mapping_same_section(parts->footer, form->footer)},
    };
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++)
        if (!row[i].same)
            out->row[i] = (struct gnt_mapping_text){.there = true, .text = row[i].section};
    return GNT_OK;
}

static gnt_err reserve_header(struct gnt_arena *a, const struct source *s,
                              struct gnt_mapping_text *out)
{
    if (!s->header.has.priority)
        return GNT_OK;
    const struct gnt_amqp_value priority = gnt_amqp_number(GNT_AMQP_UBYTE, s->header.priority);
    out->there = true;
    return gnt_mapping_text(a, &priority, &out->text);
}

/* ---- All of it */

static gnt_err see(struct gnt_arena *a, const struct source *s, struct gnt_mapping_view *view,
                   struct gnt_mapping_reserved *reserved)
{
    *view = (struct gnt_mapping_view){.topic = s->message->topic,
                                      .format = -1,
                                      .qos = s->message->qos,
                                      .retain = s->message->retain};
    *reserved = (struct gnt_mapping_reserved){0};
    struct body body;
    gnt_err err = see_body(a, s, &body);
    if (err)
        return err;
    view->payload = body.payload;
    see_annotations(s, view);
    if (body.is_text)
        view->format = 1;
    if (body.kind)
        reserved->row[GNT_MAPPING_BODY] =
            (struct gnt_mapping_text){.there = true, .text = gnt_slice_str(body.kind)};
    err = see_properties(a, s, view);
    if (!err)
        err = see_users(a, s, view);
    return err ? err : reserve_header(a, s, &reserved->row[GNT_MAPPING_PRIORITY]);
}

static gnt_err convert(struct gnt_arena *a, const struct gnt_message *amqp,
                       struct gnt_message **out)
{
    struct source source;
    struct gnt_mapping_view view;
    struct gnt_mapping_reserved reserved;
    struct gnt_mapping_form form;
    gnt_err err = read_source(amqp, &source);
    if (!err)
        err = see(a, &source, &view, &reserved);
    if (!err)
        err = gnt_mapping_form(a, &view, &reserved, &form);
    if (!err)
        err = reserve(a, &source, &form, &reserved);
    return err ? err : gnt_mapping_view_message(a, &view, &reserved, amqp, out);
}

gnt_err gnt_mapping_to_mqtt(const struct gnt_message *amqp, struct gnt_message **out)
{
    struct gnt_arena a = {0};
    *out = NULL;
    gnt_err err = convert(&a, amqp, out);
    gnt_arena_fini(&a);
    return err;
}

void gnt_mapping_wishes(const struct gnt_amqp_message *m, bool durable, uint8_t *qos, bool *retain)
{
    struct gnt_amqp_value v;
    *qos = durable ? 1 : 0;
    *retain = false;
    if (m->message_annotations.size == 0)
        return;
    if (gnt_amqp_lookup(m->message_annotations, GNT_MAPPING_QOS, &v) && v.type == GNT_AMQP_UBYTE &&
        v.number == 2)
        *qos = 2;
    *retain = gnt_amqp_lookup(m->message_annotations, GNT_MAPPING_RETAIN, &v) &&
              v.type == GNT_AMQP_BOOLEAN && v.number;
}
