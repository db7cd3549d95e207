#include "client/amqp/message.h"

#include <stdlib.h>

enum slot { HEADER, DELIVERY, MESSAGE, PROPERTIES, APPLICATION, BODY, FOOTER, SLOTS };

struct gnatter_amqp_message {
    gnt_err err; /* the first failure */
    uint32_t format;
    enum gnt_amqp_descriptor body_kind; /* 0: there is none */
    uint8_t *whole;                     /* as it was received, owned; NULL: it was not */
    struct gnt_slice section[SLOTS];    /* empty: not there; in `whole`, or: */
    struct gnt_buf own[SLOTS];          /* what was changed */
};

int gnatter_amqp_message_new(gnatter_amqp_message **out)
{
    gnatter_amqp_message *m = calloc(1, sizeof *m);
    if (!m)
        return GNT_NOMEM;
    *out = m;
    return GNT_OK;
}

void gnatter_amqp_message_free(gnatter_amqp_message *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < SLOTS; i++)
        gnt_buf_fini(&m->own[i]);
    free(m->whole);
    free(m);
}

gnt_err gnt_client_message_received(uint8_t **bytes, size_t size, uint32_t format,
                                    gnatter_amqp_message **out)
{
    struct gnt_amqp_message split;
    gnatter_amqp_message *m = NULL;
    gnt_err err = gnt_amqp_message_split(gnt_slice(*bytes, size), &split);
    if (!err && !gnt_amqp_message_valid(&split))
        err = GNT_MALFORMED;
    if (!err)
        err = (gnt_err)gnatter_amqp_message_new(&m);
    if (err)
        return err;
    m->format = format;
    m->body_kind = split.body_kind;
    m->whole = *bytes;
    *bytes = NULL;
    m->section[HEADER] = split.header;
    m->section[DELIVERY] = split.delivery_annotations;
    m->section[MESSAGE] = split.message_annotations;
    m->section[PROPERTIES] = split.properties;
    m->section[APPLICATION] = split.application_properties;
    m->section[BODY] = split.body;
    m->section[FOOTER] = split.footer;
    *out = m;
    return GNT_OK;
}

gnt_err gnt_client_message_failure(const gnatter_amqp_message *m)
{
    return m->err;
}

size_t gnt_client_message_size(const gnatter_amqp_message *m)
{
    size_t size = 0;
    for (size_t i = 0; i < SLOTS; i++)
        size += m->section[i].size;
    return size;
}

void gnt_client_message_write(const gnatter_amqp_message *m, uint8_t *out)
{
    for (size_t i = 0; i < SLOTS; i++) {
        if (m->section[i].size)
            memcpy(out, m->section[i].data, m->section[i].size);
        out += m->section[i].size;
    }
}

static gnt_err copy_of(const void *bytes, size_t size, uint32_t format, gnatter_amqp_message **out)
{
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy)
        return GNT_NOMEM;
    if (size)
        memcpy(copy, bytes, size);
    gnt_err err = gnt_client_message_received(&copy, size, format, out);
    free(copy);
    return err;
}

int gnatter_amqp_decode(const void *bytes, size_t size, gnatter_amqp_message **out)
{
    return copy_of(bytes, size, 0, out);
}

int gnatter_amqp_encode(const gnatter_amqp_message *m, void *to, size_t cap, size_t *size)
{
    *size = gnt_client_message_size(m);
    if (m->err)
        return m->err;
    if (*size > cap)
        return GNT_TOOBIG;
    gnt_client_message_write(m, to);
    return GNT_OK;
}

int gnatter_amqp_message_copy(const gnatter_amqp_message *m, gnatter_amqp_message **out)
{
    if (m->err)
        return m->err;
    size_t size = gnt_client_message_size(m);
    uint8_t *bytes = malloc(size ? size : 1);
    if (!bytes)
        return GNT_NOMEM;
    gnt_client_message_write(m, bytes);
    gnt_err err = gnt_client_message_received(&bytes, size, m->format, out);
    free(bytes);
    return err;
}

/* ---- Changing a section: it is written anew */

static gnt_err keep(gnatter_amqp_message *m, gnt_err err)
{
    if (err && !m->err)
        m->err = err;
    return err;
}

/* FRESH becomes the section; what is taken from the old one is over. */
static void replace(gnatter_amqp_message *m, enum slot slot, struct gnt_buf *fresh)
{
    gnt_buf_fini(&m->own[slot]);
    m->own[slot] = *fresh;
    *fresh = (struct gnt_buf){0};
    m->section[slot] = gnt_buf_slice(&m->own[slot]);
}

static gnt_err rewrite(gnatter_amqp_message *m, enum slot slot,
                       void (*put)(struct gnt_amqp_writer *w, const void *edit), const void *edit)
{
    struct gnt_buf fresh = {0};
    gnt_err err = gnt_put_into(&fresh, put, edit);
    if (!err)
        replace(m, slot, &fresh);
    gnt_buf_fini(&fresh);
    return err;
}

/* ---- Header and properties */

enum { ANY_ID = -1 };

/* Where each field is, and of which type; the order of the standard [AMQP 3.2.1, 3.2.4]. */
static const struct {
    uint8_t slot, place;
    int8_t type;
} fields[] = {
    [GNATTER_AMQP_DURABLE] = {HEADER, 0, GNT_AMQP_BOOLEAN},
    [GNATTER_AMQP_PRIORITY] = {HEADER, 1, GNT_AMQP_UBYTE},
    [GNATTER_AMQP_TTL] = {HEADER, 2, GNT_AMQP_UINT},
    [GNATTER_AMQP_FIRST_ACQUIRER] = {HEADER, 3, GNT_AMQP_BOOLEAN},
    [GNATTER_AMQP_DELIVERY_COUNT] = {HEADER, 4, GNT_AMQP_UINT},
    [GNATTER_AMQP_MESSAGE_ID] = {PROPERTIES, 0, ANY_ID},
    [GNATTER_AMQP_USER_ID] = {PROPERTIES, 1, GNT_AMQP_BINARY},
    [GNATTER_AMQP_TO] = {PROPERTIES, 2, GNT_AMQP_STRING},
    [GNATTER_AMQP_SUBJECT] = {PROPERTIES, 3, GNT_AMQP_STRING},
    [GNATTER_AMQP_REPLY_TO] = {PROPERTIES, 4, GNT_AMQP_STRING},
    [GNATTER_AMQP_CORRELATION_ID] = {PROPERTIES, 5, ANY_ID},
    [GNATTER_AMQP_CONTENT_TYPE] = {PROPERTIES, 6, GNT_AMQP_SYMBOL},
    [GNATTER_AMQP_CONTENT_ENCODING] = {PROPERTIES, 7, GNT_AMQP_SYMBOL},
    [GNATTER_AMQP_ABSOLUTE_EXPIRY_TIME] = {PROPERTIES, 8, GNT_AMQP_TIMESTAMP},
    [GNATTER_AMQP_CREATION_TIME] = {PROPERTIES, 9, GNT_AMQP_TIMESTAMP},
    [GNATTER_AMQP_GROUP_ID] = {PROPERTIES, 10, GNT_AMQP_STRING},
    [GNATTER_AMQP_GROUP_SEQUENCE] = {PROPERTIES, 11, GNT_AMQP_UINT},
    [GNATTER_AMQP_REPLY_TO_GROUP_ID] = {PROPERTIES, 12, GNT_AMQP_STRING},
};
enum { FIELDS = sizeof fields / sizeof fields[0] };

static bool is_id(enum gnatter_amqp_type type)
{
    return type == GNATTER_AMQP_ULONG || type == GNATTER_AMQP_UUID || type == GNATTER_AMQP_BINARY ||
           type == GNATTER_AMQP_STRING;
}

static bool is_integer(enum gnatter_amqp_type type)
{
    return type >= GNATTER_AMQP_UBYTE && type <= GNATTER_AMQP_LONG;
}

/* VALUE as one of TYPE, where that can be meant; its range is looked at when it is encoded. */
static bool fit(struct gnatter_amqp_value *value, int type)
{
    if ((int)value->type == type || (type == ANY_ID && is_id(value->type)))
        return true;
    bool text = type == GNT_AMQP_SYMBOL && value->type == GNATTER_AMQP_STRING;
    bool negative = value->type >= GNATTER_AMQP_BYTE && value->integer < 0;
    bool number =
        (type == GNT_AMQP_UBYTE || type == GNT_AMQP_UINT) && is_integer(value->type) && !negative;
    if (text || number)
        value->type = (enum gnatter_amqp_type)type;
    return text || number;
}

struct field_edit {
    enum gnt_amqp_descriptor code;
    struct gnt_amqp_value list; /* as it was; null: there is none */
    uint32_t place;
    uint32_t count;         /* of the fields afterwards */
    struct gnt_slice fresh; /* encoded; empty: absent */
};

/* The field at PLACE afterwards, of which *items still has the old ones from there on. */
static struct gnt_slice field_at(const struct field_edit *e, struct gnt_amqp_items *items,
                                 uint32_t place)
{
    struct gnt_amqp_value old;
    bool was = gnt_amqp_items_next(items, &old) && old.type != GNT_AMQP_NULL;
    if (place == e->place)
        return e->fresh;
    return was ? old.encoded : (struct gnt_slice){0};
}

static void put_fields(struct gnt_amqp_writer *w, const void *context)
{
    const struct field_edit *e = context;
    struct gnt_amqp_items items = gnt_amqp_items(&e->list);
    gnt_amqp_put_descriptor(w, e->code);
    size_t mark = gnt_amqp_begin_list(w);
    for (uint32_t i = 0; i < e->count; i++) {
        struct gnt_slice field = field_at(e, &items, i);
        if (field.size)
            gnt_amqp_put_raw(w, field);
        else
            gnt_amqp_put_null(w);
    }
    gnt_amqp_end_list(w, mark, e->count);
}

/* Absent ones at the end are left out. */
static uint32_t count_fields(const struct field_edit *e)
{
    struct gnt_amqp_items items = gnt_amqp_items(&e->list);
    uint32_t last = 0, most = e->list.count > e->place ? e->list.count : e->place + 1;
    for (uint32_t i = 0; i < most; i++) {
        if (field_at(e, &items, i).size)
            last = i + 1;
    }
    return last;
}

static gnt_err set_field(gnatter_amqp_message *m, unsigned field, struct gnt_slice fresh)
{
    enum slot slot = (enum slot)fields[field].slot;
    struct field_edit e = {.code = slot == HEADER ? GNT_AMQP_HEADER : GNT_AMQP_PROPERTIES,
                           .place = fields[field].place,
                           .fresh = fresh};
    (void)gnt_amqp_section(m->section[slot], &e.list);
    e.count = count_fields(&e);
    if (e.count)
        return rewrite(m, slot, put_fields, &e);
    m->section[slot] = (struct gnt_slice){0};
    return GNT_OK;
}

int gnatter_amqp_set(gnatter_amqp_message *m, enum gnatter_amqp_field field,
                     struct gnatter_amqp_value value)
{
    struct gnt_buf fresh = {0};
    gnt_err err = (unsigned)field < FIELDS ? GNT_OK : GNT_INVALID;
    if (!err && value.type != GNATTER_AMQP_NULL)
        err = fit(&value, fields[field].type) ? gnt_value_encode(&value, &fresh) : GNT_INVALID;
    if (!err)
        err = set_field(m, field, gnt_buf_slice(&fresh));
    gnt_buf_fini(&fresh);
    return keep(m, err);
}

bool gnatter_amqp_get(const gnatter_amqp_message *m, enum gnatter_amqp_field field,
                      struct gnatter_amqp_value *out)
{
    struct gnt_amqp_value list, value = {0};
    *out = gnatter_amqp_null();
    if ((unsigned)field >= FIELDS || !gnt_amqp_section(m->section[fields[field].slot], &list))
        return false;
    struct gnt_amqp_items items = gnt_amqp_items(&list);
    for (unsigned i = 0; i <= fields[field].place; i++) {
        if (!gnt_amqp_items_next(&items, &value))
            return false;
    }
    *out = gnt_value_out(&value);
    return value.type != GNT_AMQP_NULL;
}

/* ---- Sections that are maps */

static const struct {
    uint8_t slot, code;
} maps[] = {
    [GNATTER_AMQP_DELIVERY_ANNOTATIONS] = {DELIVERY, GNT_AMQP_DELIVERY_ANNOTATIONS},
    [GNATTER_AMQP_MESSAGE_ANNOTATIONS] = {MESSAGE, GNT_AMQP_MESSAGE_ANNOTATIONS},
    [GNATTER_AMQP_APPLICATION_PROPERTIES] = {APPLICATION, GNT_AMQP_APPLICATION_PROPERTIES},
    [GNATTER_AMQP_FOOTER] = {FOOTER, GNT_AMQP_FOOTER},
};
enum { MAPS = sizeof maps / sizeof maps[0] };

struct map_edit {
    enum gnt_amqp_descriptor code;
    struct gnt_amqp_value map; /* as it was; null: there is none */
    struct gnt_slice key;
    struct gnt_slice fresh; /* encoded; empty: it is taken away */
};

static void put_key(struct gnt_amqp_writer *w, const struct map_edit *e)
{
    if (e->code == GNT_AMQP_APPLICATION_PROPERTIES)
        gnt_amqp_put_string(w, e->key);
    else
        gnt_amqp_put_symbol(w, e->key);
}

static bool is_key(const struct gnt_amqp_value *value, struct gnt_slice key)
{
    return (value->type == GNT_AMQP_SYMBOL || value->type == GNT_AMQP_STRING) &&
           gnt_slice_eq(value->bytes, key);
}

static void put_map(struct gnt_amqp_writer *w, const void *context)
{
    const struct map_edit *e = context;
    struct gnt_amqp_items items = gnt_amqp_items(&e->map);
    struct gnt_amqp_value key, value;
    uint32_t count = 0;
    bool placed = e->fresh.size == 0;
    size_t mark = gnt_amqp_begin_section(w, e->code);
    while (gnt_amqp_items_pair(&items, &key, &value)) {
        bool here = is_key(&key, e->key);
        if (here && placed)
            continue;
        placed = placed || here;
        gnt_amqp_put_raw(w, key.encoded);
        gnt_amqp_put_raw(w, here ? e->fresh : value.encoded);
        count += 2;
    }
    if (!placed) {
        put_key(w, e);
        gnt_amqp_put_raw(w, e->fresh);
        count += 2;
    }
    gnt_amqp_end_map(w, mark, count);
}

/* What was changed in M, where it is no message with it any more: what was there stays. */
static gnt_err put_section(gnatter_amqp_message *m, unsigned section, const struct map_edit *e)
{
    struct gnt_buf fresh = {0};
    struct gnt_amqp_message check;
    gnt_err err = gnt_put_into(&fresh, put_map, e);
    if (!err)
        err = gnt_amqp_message_split(gnt_buf_slice(&fresh), &check);
    if (!err && !gnt_amqp_message_valid(&check))
        err = GNT_INVALID;
    if (!err)
        replace(m, (enum slot)maps[section].slot, &fresh);
    gnt_buf_fini(&fresh);
    return err == GNT_MALFORMED ? GNT_INVALID : err;
}

static gnt_err edit_map(gnatter_amqp_message *m, unsigned section, const char *key,
                        struct gnt_slice fresh)
{
    struct map_edit e = {.code = (enum gnt_amqp_descriptor)maps[section].code,
                         .key = gnt_slice_str(key),
                         .fresh = fresh};
    (void)gnt_amqp_section(m->section[maps[section].slot], &e.map);
    return put_section(m, section, &e);
}

int gnatter_amqp_put(gnatter_amqp_message *m, enum gnatter_amqp_section section, const char *key,
                     struct gnatter_amqp_value value)
{
    struct gnt_buf fresh = {0};
    gnt_err err = (unsigned)section < MAPS ? gnt_value_encode(&value, &fresh) : GNT_INVALID;
    if (!err)
        err = edit_map(m, section, key, gnt_buf_slice(&fresh));
    gnt_buf_fini(&fresh);
    return keep(m, err);
}

int gnatter_amqp_remove(gnatter_amqp_message *m, enum gnatter_amqp_section section, const char *key)
{
    gnt_err err = (unsigned)section < MAPS ? GNT_OK : GNT_INVALID;
    if (!err && m->section[maps[section].slot].size)
        err = edit_map(m, section, key, (struct gnt_slice){0});
    return keep(m, err);
}

int gnatter_amqp_put_all(gnatter_amqp_message *m, enum gnatter_amqp_section section,
                         struct gnatter_amqp_value map)
{
    if ((unsigned)section >= MAPS ||
        (map.type != GNATTER_AMQP_MAP && map.type != GNATTER_AMQP_NULL))
        return keep(m, GNT_INVALID);
    if (map.type == GNATTER_AMQP_NULL) {
        m->section[maps[section].slot] = (struct gnt_slice){0};
        return GNT_OK;
    }
    struct map_edit e = {.code = (enum gnt_amqp_descriptor)maps[section].code};
    struct gnt_buf copy = {0};
    gnt_err err = gnt_value_encode(&map, &copy);
    if (!err)
        err = gnt_amqp_parse(gnt_buf_slice(&copy), &e.map);
    if (!err)
        err = put_section(m, section, &e);
    gnt_buf_fini(&copy);
    return keep(m, err);
}

struct gnatter_amqp_value gnatter_amqp_all(const gnatter_amqp_message *m,
                                           enum gnatter_amqp_section section)
{
    struct gnt_amqp_value map;
    if ((unsigned)section >= MAPS || !gnt_amqp_section(m->section[maps[section].slot], &map))
        return gnatter_amqp_null();
    return gnt_value_out(&map);
}

bool gnatter_amqp_look(const gnatter_amqp_message *m, enum gnatter_amqp_section section,
                       const char *key, struct gnatter_amqp_value *out)
{
    struct gnatter_amqp_value map = gnatter_amqp_all(m, section);
    return gnatter_amqp_find(&map, key, out);
}

/* ---- The body */

struct body_edit {
    enum gnt_amqp_descriptor kind;
    struct gnt_slice before; /* sections that stay */
    struct gnt_slice fresh;  /* of data the bytes, else encoded */
};

static void put_body(struct gnt_amqp_writer *w, const void *context)
{
    const struct body_edit *e = context;
    gnt_amqp_put_raw(w, e->before);
    if (e->kind == GNT_AMQP_DATA) {
        gnt_amqp_put_data(w, e->fresh);
        return;
    }
    gnt_amqp_put_descriptor(w, e->kind);
    gnt_amqp_put_raw(w, e->fresh);
}

static gnt_err set_body(gnatter_amqp_message *m, enum gnt_amqp_descriptor kind,
                        struct gnt_slice fresh)
{
    struct body_edit e = {.kind = kind, .fresh = fresh};
    if (m->body_kind == kind && kind != GNT_AMQP_VALUE)
        e.before = m->section[BODY];
    gnt_err err = rewrite(m, BODY, put_body, &e);
    if (!err)
        m->body_kind = kind;
    return err;
}

static gnt_err set_encoded(gnatter_amqp_message *m, enum gnt_amqp_descriptor kind,
                           const struct gnatter_amqp_value *value)
{
    struct gnt_buf fresh = {0};
    gnt_err err = gnt_value_encode(value, &fresh);
    if (!err)
        err = set_body(m, kind, gnt_buf_slice(&fresh));
    gnt_buf_fini(&fresh);
    return keep(m, err);
}

int gnatter_amqp_add_data(gnatter_amqp_message *m, const void *data, size_t size)
{
    return keep(m, set_body(m, GNT_AMQP_DATA, gnt_slice(data, size)));
}

int gnatter_amqp_add_sequence(gnatter_amqp_message *m, struct gnatter_amqp_value list)
{
    if (list.type != GNATTER_AMQP_LIST)
        return keep(m, GNT_INVALID);
    return set_encoded(m, GNT_AMQP_SEQUENCE, &list);
}

int gnatter_amqp_set_value(gnatter_amqp_message *m, struct gnatter_amqp_value value)
{
    return set_encoded(m, GNT_AMQP_VALUE, &value);
}

int gnatter_amqp_clear_body(gnatter_amqp_message *m)
{
    m->section[BODY] = (struct gnt_slice){0};
    m->body_kind = (enum gnt_amqp_descriptor)0;
    return GNT_OK;
}

enum gnatter_amqp_body gnatter_amqp_body(const gnatter_amqp_message *m)
{
    switch ((int)m->body_kind) {
    case GNT_AMQP_DATA: return GNATTER_AMQP_DATA;
    case GNT_AMQP_SEQUENCE: return GNATTER_AMQP_SEQUENCE;
    case GNT_AMQP_VALUE: return GNATTER_AMQP_VALUE;
    default: return GNATTER_AMQP_NO_BODY;
    }
}

bool gnatter_amqp_body_at(const gnatter_amqp_message *m, size_t index,
                          struct gnatter_amqp_value *out)
{
    struct gnt_slice body = m->section[BODY];
    struct gnt_amqp_value value;
    *out = gnatter_amqp_null();
    do {
        if (!gnt_amqp_next_section(&body, &value))
            return false;
    } while (index--);
    *out = gnt_value_out(&value);
    return true;
}

struct gnatter_bytes gnatter_amqp_body_bytes(const gnatter_amqp_message *m)
{
    struct gnatter_amqp_value value;
    bool bytes = gnatter_amqp_body_at(m, 0, &value) && value.type >= GNATTER_AMQP_BINARY &&
                 value.type <= GNATTER_AMQP_SYMBOL;
    return bytes ? value.bytes : (struct gnatter_bytes){NULL, 0};
}

uint32_t gnatter_amqp_format(const gnatter_amqp_message *m)
{
    return m->format;
}

int gnatter_amqp_set_format(gnatter_amqp_message *m, uint32_t format)
{
    m->format = format;
    return GNT_OK;
}
