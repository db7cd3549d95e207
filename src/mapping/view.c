#include "base/base64.h"
#include "base/utf8.h"
#include "mapping/form.h"

#include <stdlib.h>

const char *const gnt_mapping_names[GNT_MAPPING_ROWS] = {
#define NAME(name, text, code) text,
    GNT_MAPPING_RESERVED(NAME)
#undef NAME
};

const uint8_t gnt_mapping_codes[GNT_MAPPING_ROWS] = {
#define CODE(name, text, code) code,
    GNT_MAPPING_RESERVED(CODE)
#undef CODE
};

/* Of a longer text each user property has so much: whole groups of base64's four characters. */
enum { TEXT_MAX = 65535, PIECE = TEXT_MAX / 4 * 4 };

/* ---- From a message */

static size_t count_users(struct gnt_slice raw)
{
    size_t count = 0;
    struct gnt_mqtt_prop prop;
    while (gnt_mqtt_prop_next(&raw, &prop))
        count += prop.row == GNT_PROP_USER_PROPERTY;
    return count;
}

static void take(struct gnt_mapping_view *view, const struct gnt_mqtt_prop *prop)
{
    const struct gnt_mapping_text text = {.there = true, .text = prop->text};
    if (prop->row == GNT_PROP_USER_PROPERTY)
        view->user[view->user_count++] = (struct gnt_mapping_pair){prop->text, prop->value};
    else if (prop->row == GNT_PROP_PAYLOAD_FORMAT)
        view->format = (int)prop->number;
    else if (prop->row == GNT_PROP_CONTENT_TYPE)
        view->type = text;
    else if (prop->row == GNT_PROP_RESPONSE_TOPIC)
        view->response = text;
    else if (prop->row == GNT_PROP_CORRELATION_DATA)
        view->correlation = text;
}

gnt_err gnt_mapping_view(struct gnt_arena *a, const struct gnt_message *m,
                         struct gnt_mapping_view *out)
{
    *out = (struct gnt_mapping_view){
        .topic = m->topic, .payload = m->payload, .format = -1, .qos = m->qos, .retain = m->retain};
    struct gnt_slice raw = m->format == GNT_EXTRAS_MQTT5 ? m->extras : gnt_slice(NULL, 0);
    const size_t count = count_users(raw);
    if (count && !(out->user = gnt_arena_get(a, count * sizeof *out->user)))
        return GNT_NOMEM;
    struct gnt_mqtt_prop prop;
    while (gnt_mqtt_prop_next(&raw, &prop))
        take(out, &prop);
    return GNT_OK;
}

/* ---- The reserved ones */

bool gnt_mapping_is_reserved(struct gnt_slice name)
{
    return gnt_slice_starts(name, gnt_slice_str(GNT_MAPPING_RESERVED_PREFIX));
}

/* GNT_MAPPING_ROWS: none. */
static enum gnt_mapping_row row_of(struct gnt_slice name)
{
    int row = 0;
    while (row < GNT_MAPPING_ROWS && !gnt_slice_eq_str(name, gnt_mapping_names[row]))
        row++;
    return (enum gnt_mapping_row)row;
}

/* All values of ROW, one behind the other, and how many they are. */
static gnt_err join(struct gnt_arena *a, const struct gnt_mapping_view *view,
                    enum gnt_mapping_row row, struct gnt_slice *out, size_t *pieces)
{
    size_t size = 0;
    *pieces = 0;
    for (size_t i = 0; i < view->user_count; i++) {
        if (row_of(view->user[i].name) != row)
            continue;
        *out = view->user[i].value;
        size += out->size;
        ++*pieces;
    }
    if (*pieces < 2)
        return GNT_OK;
    uint8_t *at = gnt_arena_get(a, size);
    if (!at)
        return GNT_NOMEM;
    *out = gnt_slice(at, size);
    for (size_t i = 0; i < view->user_count; i++) {
        const struct gnt_slice value = view->user[i].value;
        if (row_of(view->user[i].name) != row || value.size == 0)
            continue;
        memcpy(at, value.data, value.size);
        at += value.size;
    }
    return GNT_OK;
}

/* A section's text becomes its bytes; an empty one says that there is none. */
static gnt_err decode_section(struct gnt_arena *a, enum gnt_mapping_row row, struct gnt_slice *text)
{
    if (text->size == 0)
        return GNT_OK;
    uint8_t *bytes = gnt_arena_get(a, text->size);
    if (!bytes)
        return GNT_NOMEM;
    size_t size;
    gnt_err err = gnt_base64_read(*text, bytes, text->size, &size);
    if (err)
        return err;
    *text = gnt_slice(bytes, size);
    struct gnt_amqp_message m;
    if (gnt_amqp_code_of(*text) != gnt_mapping_codes[row] ||
        gnt_amqp_message_split(*text, &m) != GNT_OK || !gnt_amqp_message_valid(&m))
        return GNT_MALFORMED;
    return GNT_OK;
}

static gnt_err read_row(struct gnt_arena *a, const struct gnt_mapping_view *view,
                        enum gnt_mapping_row row, struct gnt_mapping_text *out)
{
    size_t pieces = 0;
    gnt_err err = join(a, view, row, &out->text, &pieces);
    out->there = pieces > 0;
    if (err || !out->there || !gnt_mapping_codes[row])
        return err ? err : pieces > 1 ? GNT_MALFORMED : GNT_OK;
    return decode_section(a, row, &out->text);
}

gnt_err gnt_mapping_view_split(struct gnt_arena *a, struct gnt_mapping_view *view,
                               struct gnt_mapping_reserved *reserved)
{
    *reserved = (struct gnt_mapping_reserved){0};
    for (int row = 0; row < GNT_MAPPING_ROWS; row++) {
        gnt_err err = read_row(a, view, (enum gnt_mapping_row)row, &reserved->row[row]);
        if (err)
            return err;
    }
    size_t own = 0;
    for (size_t i = 0; i < view->user_count; i++)
        own += !gnt_mapping_is_reserved(view->user[i].name);
    struct gnt_mapping_pair *user = gnt_arena_get(a, own * sizeof *user + 1);
    if (!user)
        return GNT_NOMEM;
    own = 0;
    for (size_t i = 0; i < view->user_count; i++)
        if (!gnt_mapping_is_reserved(view->user[i].name))
            user[own++] = view->user[i];
    view->user = user;
    view->user_count = own;
    return GNT_OK;
}

/* ---- Comparing */

static bool same_text(const struct gnt_mapping_text *a, const struct gnt_mapping_text *b)
{
    return a->there == b->there && (!a->there || gnt_slice_eq(a->text, b->text));
}

static bool same_users(const struct gnt_mapping_view *a, const struct gnt_mapping_view *b)
{
    if (a->user_count != b->user_count)
        return false;
    for (size_t i = 0; i < a->user_count; i++)
        if (!gnt_slice_eq(a->user[i].name, b->user[i].name) ||
            !gnt_slice_eq(a->user[i].value, b->user[i].value))
            return false;
    return true;
}

bool gnt_mapping_view_same(const struct gnt_mapping_view *a, const struct gnt_mapping_view *b)
{
    return gnt_slice_eq(a->topic, b->topic) && gnt_slice_eq(a->payload, b->payload) &&
           same_text(&a->type, &b->type) && same_text(&a->response, &b->response) &&
           same_text(&a->correlation, &b->correlation) && a->format == b->format &&
           a->qos == b->qos && a->retain == b->retain && same_users(a, b);
}

/* ---- To a message */

struct props {
    struct gnt_mqtt_prop *list; /* NULL: they are only counted */
    size_t count;
};

static void add(struct props *p, const struct gnt_mqtt_prop *prop)
{
    if (p->list)
        p->list[p->count] = *prop;
    p->count++;
}

static void add_text(struct props *p, enum gnt_mqtt_prop_row row,
                     const struct gnt_mapping_text *text)
{
    if (text->there)
        add(p, &(struct gnt_mqtt_prop){.row = row, .text = text->text});
}

/* A longer text is continued in further ones of the same name. */
static void add_user(struct props *p, struct gnt_slice name, struct gnt_slice value)
{
    do {
        const size_t size = value.size > TEXT_MAX ? PIECE : value.size;
        add(p, &(struct gnt_mqtt_prop){.row = GNT_PROP_USER_PROPERTY,
                                       .text = name,
                                       .value = gnt_slice(value.data, size)});
        value = gnt_slice_skip(value, size);
    } while (value.size);
}

static void add_all(struct props *p, const struct gnt_mapping_view *view,
                    const struct gnt_mapping_reserved *reserved)
{
    if (view->format >= 0)
        add(p, &(struct gnt_mqtt_prop){.row = GNT_PROP_PAYLOAD_FORMAT,
                                       .number = (uint32_t)view->format});
    add_text(p, GNT_PROP_CONTENT_TYPE, &view->type);
    add_text(p, GNT_PROP_RESPONSE_TOPIC, &view->response);
    add_text(p, GNT_PROP_CORRELATION_DATA, &view->correlation);
    for (size_t i = 0; i < view->user_count; i++)
        add_user(p, view->user[i].name, view->user[i].value);
    for (int row = 0; row < GNT_MAPPING_ROWS; row++)
        if (reserved->row[row].there)
            add_user(p, gnt_slice_str(gnt_mapping_names[row]), reserved->row[row].text);
}

/* What is a section becomes base64. */
static gnt_err encode_sections(struct gnt_arena *a, struct gnt_mapping_reserved *reserved)
{
    for (int row = 0; row < GNT_MAPPING_ROWS; row++) {
        struct gnt_slice *text = &reserved->row[row].text;
        if (!reserved->row[row].there || !gnt_mapping_codes[row])
            continue;
        uint8_t *at = gnt_arena_get(a, GNT_BASE64_SIZE(text->size));
        if (!at)
            return GNT_NOMEM;
        *text = gnt_slice(at, (size_t)(gnt_base64_write(at, *text) - at));
    }
    return GNT_OK;
}

/* The section of properties without its length. */
static gnt_err encode_props(struct gnt_arena *a, const struct props *p, struct gnt_slice *out)
{
    const struct gnt_mqtt_proplist list = {.list = p->list, .count = p->count};
    const size_t size = gnt_mqtt_proplist_size(&list);
    if (size == 0)
        return GNT_TOOBIG;
    uint8_t *at = gnt_arena_get(a, size);
    if (!at)
        return GNT_NOMEM;
    (void)gnt_mqtt_proplist_write(at, &list);
    struct gnt_reader r = gnt_reader(gnt_slice(at, size));
    const uint32_t section = gnt_mqtt_vbi_read(&r);
    *out = gnt_slice(r.at, section);
    return GNT_OK;
}

gnt_err gnt_mapping_view_message(struct gnt_arena *a, const struct gnt_mapping_view *view,
                                 const struct gnt_mapping_reserved *reserved,
                                 const struct gnt_message *origin, struct gnt_message **out)
{
    struct gnt_mapping_reserved encoded = *reserved;
    gnt_err err = encode_sections(a, &encoded);
    if (err)
        return err;
    struct props p = {0};
    add_all(&p, view, &encoded);
    p.list = gnt_arena_get(a, p.count * sizeof *p.list + 1);
    if (!p.list)
        return GNT_NOMEM;
    p.count = 0;
    add_all(&p, view, &encoded);
    struct gnt_message_init init = {.topic = view->topic,
                                    .payload = view->payload,
                                    .qos = view->qos,
                                    .retain = view->retain,
                                    .publisher = origin->publisher,
                                    .expires = origin->expires};
    err = encode_props(a, &p, &init.extras);
    init.format = init.extras.size ? GNT_EXTRAS_MQTT5 : GNT_EXTRAS_NONE;
    return err ? err : gnt_message_new(&init, out);
}
