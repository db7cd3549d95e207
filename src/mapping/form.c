#include "mapping/form.h"

#include "base/utf8.h"

#include <stdio.h>
#include <stdlib.h>

/* What a section is made of; called twice, first over no memory. */
struct making {
    const struct gnt_mapping_view *view;
    const struct gnt_mapping_reserved *reserved;
    const bool *first;  /* of each user property: the first of its name */
    size_t first_count; /* so many are */
};

static gnt_err make(struct gnt_arena *a,
                    void (*put)(struct gnt_amqp_writer *w, const struct making *m),
                    const struct making *m, struct gnt_slice *out)
{
    struct gnt_amqp_writer sized = gnt_amqp_writer(NULL, 0);
    put(&sized, m);
    if (sized.size == SIZE_MAX)
        return GNT_TOOBIG;
    uint8_t *at = gnt_arena_get(a, sized.size);
    if (!at)
        return GNT_NOMEM;
    struct gnt_amqp_writer w = gnt_amqp_writer(at, sized.size);
    put(&w, m);
    *out = gnt_amqp_written(&w);
    return GNT_OK;
}

/* ---- User properties: those of AMQP have each name once */

struct placed {
    struct gnt_slice name;
    size_t at;
};

static int by_name(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;
    const size_t least = x->name.size < y->name.size ? x->name.size : y->name.size;
    const int order = least ? memcmp(x->name.data, y->name.data, least) : 0;
    if (order)
        return order;
    if (x->name.size != y->name.size)
        return x->name.size < y->name.size ? -1 : 1;
    return x->at < y->at ? -1 : 1;
}

static gnt_err find_first(struct gnt_arena *a, struct making *m)
{
    const size_t count = m->view->user_count;
    struct placed *placed = gnt_arena_get(a, count * sizeof *placed + 1);
    bool *first = gnt_arena_get(a, count + 1);
    if (!placed || !first)
        return GNT_NOMEM;
    for (size_t i = 0; i < count; i++)
        placed[i] = (struct placed){.name = m->view->user[i].name, .at = i};
    if (count > 1)
        qsort(placed, count, sizeof *placed, by_name);
    for (size_t i = 0; i < count; i++) {
        first[placed[i].at] = i == 0 || !gnt_slice_eq(placed[i].name, placed[i - 1].name);
        m->first_count += first[placed[i].at];
    }
    m->first = first;
    return GNT_OK;
}

static void put_application_properties(struct gnt_amqp_writer *w, const struct making *m)
{
    const size_t mark = gnt_amqp_begin_section(w, GNT_AMQP_APPLICATION_PROPERTIES);
    for (size_t i = 0; i < m->view->user_count; i++) {
        if (!m->first[i])
            continue;
        gnt_amqp_put_string(w, m->view->user[i].name);
        gnt_amqp_put_string(w, m->view->user[i].value);
    }
    gnt_amqp_end_map(w, mark, 2 * (uint32_t)m->first_count);
}

/* ---- Annotations */

/* Whether the application properties do not say what the user properties are. */
static bool lists_users(const struct making *m)
{
    if (m->first_count != m->view->user_count)
        return true;
    for (size_t i = 0; i < m->view->user_count; i++)
        if (gnt_mapping_is_reserved(m->view->user[i].name))
            return true;
    return false;
}

static bool is_symbol(const struct gnt_mapping_text *text)
{
    return text->there && gnt_amqp_ascii_valid(text->text);
}

static bool is_string_body(const struct gnt_mapping_reserved *reserved)
{
    const struct gnt_mapping_text *body = &reserved->row[GNT_MAPPING_BODY];
    return body->there && gnt_slice_eq_str(body->text, "string");
}

static void put_users(struct gnt_amqp_writer *w, const struct gnt_mapping_view *view)
{
    const size_t mark = gnt_amqp_begin_list(w);
    for (size_t i = 0; i < view->user_count; i++) {
        gnt_amqp_put_string(w, view->user[i].name);
        gnt_amqp_put_string(w, view->user[i].value);
    }
    gnt_amqp_end_list(w, mark, 2 * (uint32_t)view->user_count);
}

static void put_annotations(struct gnt_amqp_writer *w, const struct making *m)
{
    const struct gnt_mapping_view *view = m->view;
    const size_t empty = w->size, mark = gnt_amqp_begin_section(w, GNT_AMQP_MESSAGE_ANNOTATIONS);
    uint32_t count = 0;
    if (view->retain) {
        gnt_amqp_put_symbol(w, gnt_slice_str(GNT_MAPPING_RETAIN));
        gnt_amqp_put_boolean(w, true);
        count += 2;
    }
    if (view->qos == 2) {
        gnt_amqp_put_symbol(w, gnt_slice_str(GNT_MAPPING_QOS));
        gnt_amqp_put_ubyte(w, 2);
        count += 2;
    }
    if (view->format >= 0 && !is_string_body(m->reserved)) {
        gnt_amqp_put_symbol(w, gnt_slice_str(GNT_MAPPING_FORMAT));
        gnt_amqp_put_ubyte(w, (uint8_t)view->format);
        count += 2;
    }
    if (view->type.there && !is_symbol(&view->type)) {
        gnt_amqp_put_symbol(w, gnt_slice_str(GNT_MAPPING_TYPE));
        gnt_amqp_put_string(w, view->type.text);
        count += 2;
    }
    if (lists_users(m)) {
        gnt_amqp_put_symbol(w, gnt_slice_str(GNT_MAPPING_USER));
        put_users(w, view);
        count += 2;
    }
    if (count)
        gnt_amqp_end_map(w, mark, count);
    else
        w->size = empty;
}

/* ---- Properties */

/* A response topic as an address; its first part, the rest is TOPIC's. */
static const char *reply_to(struct gnt_slice *topic)
{
    const struct gnt_slice queue = gnt_slice_str(GNT_MAPPING_QUEUE);
    if (!gnt_slice_starts(*topic, queue))
        return GNT_MAPPING_TOPIC;
    const struct gnt_slice name = gnt_slice_skip(*topic, queue.size);
    if (name.size == 0 || gnt_slice_starts(name, gnt_slice_str(GNT_MAPPING_TOPIC)))
        return GNT_MAPPING_TOPIC;
    *topic = name;
    return "";
}

static gnt_err properties_of(struct gnt_arena *a, const struct gnt_mapping_view *view,
                             struct gnt_amqp_properties *out)
{
    *out = (struct gnt_amqp_properties){0};
    GNT_AMQP_SET(out, to, view->topic);
    GNT_AMQP_SET(out, subject, view->topic);
    if (view->correlation.there)
        GNT_AMQP_SET(out, correlation_id, gnt_amqp_bytes(GNT_AMQP_BINARY, view->correlation.text));
    if (is_symbol(&view->type))
        GNT_AMQP_SET(out, content_type, view->type.text);
    if (!view->response.there)
        return GNT_OK;
    struct gnt_slice topic = view->response.text;
    const char *scheme = reply_to(&topic);
    const size_t size = strlen(scheme);
    uint8_t *at = gnt_arena_get(a, size + topic.size);
    if (!at)
        return GNT_NOMEM;
    memcpy(at, scheme, size);
    memcpy(at + size, topic.data, topic.size);
    GNT_AMQP_SET(out, reply_to, gnt_slice(at, size + topic.size));
    return GNT_OK;
}

static gnt_err make_properties(struct gnt_arena *a, const struct gnt_mapping_view *view,
                               struct gnt_slice *out)
{
    struct gnt_amqp_properties properties;
    gnt_err err = properties_of(a, view, &properties);
    if (err)
        return err;
    struct gnt_amqp_writer w = gnt_amqp_writer(NULL, 0);
    gnt_amqp_put_properties(&w, &properties);
    uint8_t *at = gnt_arena_get(a, w.size);
    if (!at)
        return GNT_NOMEM;
    w = gnt_amqp_writer(at, w.size);
    gnt_amqp_put_properties(&w, &properties);
    *out = gnt_amqp_written(&w);
    return GNT_OK;
}

/* ---- Body */

/* "data 5,7": several sections.  False: the sizes are not those of the payload. */
static bool put_pieces(struct gnt_amqp_writer *w, struct gnt_slice sizes, struct gnt_slice payload)
{
    while (sizes.size) {
        size_t size = 0, digits = 0;
        for (; digits < sizes.size && sizes.data[digits] >= '0' && sizes.data[digits] <= '9';
             digits++)
            if (size <= payload.size)
                size = 10 * size + (size_t)(sizes.data[digits] - '0');
        if (digits == 0 || size > payload.size ||
            (digits < sizes.size && sizes.data[digits] != ','))
            return false;
        gnt_amqp_put_data(w, gnt_slice(payload.data, size));
        payload = gnt_slice_skip(payload, size);
        sizes = gnt_slice_skip(sizes, digits + (digits < sizes.size));
    }
    return payload.size == 0;
}

static void put_data(struct gnt_amqp_writer *w, const struct making *m)
{
    const struct gnt_slice text = m->reserved->row[GNT_MAPPING_BODY].text;
    const struct gnt_slice sizes = gnt_slice_skip(text, strlen("data "));
    if (!put_pieces(w, sizes, m->view->payload))
        w->size = SIZE_MAX;
}

static void put_string(struct gnt_amqp_writer *w, const struct making *m)
{
    gnt_amqp_put_descriptor(w, GNT_AMQP_VALUE);
    gnt_amqp_put_string(w, m->view->payload);
}

static void put_binary(struct gnt_amqp_writer *w, const struct making *m)
{
    gnt_amqp_put_descriptor(w, GNT_AMQP_VALUE);
    gnt_amqp_put_binary(w, m->view->payload);
}

static gnt_err take_encoded(struct gnt_slice payload, struct gnt_slice *body)
{
    struct gnt_amqp_message m;
    *body = payload;
    if (payload.size && (gnt_amqp_message_split(payload, &m) != GNT_OK ||
                         m.body.size != payload.size || !gnt_amqp_message_valid(&m)))
        return GNT_MALFORMED;
    return GNT_OK;
}

static void put_data_head(struct gnt_amqp_writer *w, const struct making *m)
{
    gnt_amqp_put_data_head(w, m->view->payload.size);
}

static gnt_err make_body(struct gnt_arena *a, const struct making *m, struct gnt_mapping_form *out)
{
    const struct gnt_mapping_text *kind = &m->reserved->row[GNT_MAPPING_BODY];
    out->body = m->view->payload;
    if (!kind->there)
        return make(a, put_data_head, m, &out->body_head);
    if (gnt_slice_eq_str(kind->text, "encoded"))
        return take_encoded(m->view->payload, &out->body);
    if (gnt_slice_eq_str(kind->text, "binary"))
        return make(a, put_binary, m, &out->body);
    if (gnt_slice_eq_str(kind->text, "string") && m->view->format == 1 &&
        gnt_amqp_text_valid(m->view->payload))
        return make(a, put_string, m, &out->body);
    if (!gnt_slice_starts(kind->text, gnt_slice_str("data ")))
        return GNT_MALFORMED;
    gnt_err err = make(a, put_data, m, &out->body);
    return err == GNT_TOOBIG ? GNT_MALFORMED : err;
}

/* ---- All of it */

static gnt_err make_header(struct gnt_arena *a, const struct making *m, struct gnt_slice *out)
{
    const struct gnt_mapping_text *priority = &m->reserved->row[GNT_MAPPING_PRIORITY];
    if (!priority->there)
        return GNT_OK;
    unsigned number = 0;
    if (priority->text.size == 0 || priority->text.size > 3)
        return GNT_MALFORMED;
    for (size_t i = 0; i < priority->text.size; i++) {
        if (priority->text.data[i] < '0' || priority->text.data[i] > '9')
            return GNT_MALFORMED;
        number = 10 * number + (unsigned)(priority->text.data[i] - '0');
    }
    enum { ROOM = 16 };
    uint8_t *at = gnt_arena_get(a, ROOM);
    if (!at)
        return GNT_NOMEM;
    if (number > UINT8_MAX)
        return GNT_MALFORMED;
    struct gnt_amqp_header header = {0};
    GNT_AMQP_SET(&header, priority, (uint8_t)number);
    struct gnt_amqp_writer w = gnt_amqp_writer(at, ROOM);
    gnt_amqp_put_header(&w, &header);
    *out = gnt_amqp_written(&w);
    return GNT_OK;
}

gnt_err gnt_mapping_form(struct gnt_arena *a, const struct gnt_mapping_view *view,
                         const struct gnt_mapping_reserved *reserved, struct gnt_mapping_form *out)
{
    *out = (struct gnt_mapping_form){
        .message_annotations = reserved->row[GNT_MAPPING_MESSAGE_ANNOTATIONS].text,
        .properties = reserved->row[GNT_MAPPING_PROPERTIES].text,
        .application_properties = reserved->row[GNT_MAPPING_APPLICATION_PROPERTIES].text,
        .footer = reserved->row[GNT_MAPPING_FOOTER].text};
    struct making m = {.view = view, .reserved = reserved};
    gnt_err err = find_first(a, &m);
    if (!err && !reserved->row[GNT_MAPPING_MESSAGE_ANNOTATIONS].there)
        err = make(a, put_annotations, &m, &out->message_annotations);
    if (!err && !reserved->row[GNT_MAPPING_PROPERTIES].there)
        err = make_properties(a, view, &out->properties);
    if (!err && !reserved->row[GNT_MAPPING_APPLICATION_PROPERTIES].there && view->user_count)
        err = make(a, put_application_properties, &m, &out->application_properties);
    if (!err)
        err = make_body(a, &m, out);
    return err ? err : make_header(a, &m, &out->header);
}
