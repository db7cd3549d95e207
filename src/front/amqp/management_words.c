#include "front/amqp/management_words.h"

#include <stdint.h>

static const char *const facts_names[] = {
#define NAME(name, field, kind) name,
    GNT_QUEUE_FACT_ROWS(NAME)
#undef NAME
};

const char *gnt_attribute_name(unsigned attribute)
{
    if (attribute == GNT_ATTRIBUTE_NAME)
        return "name";
    if (attribute == GNT_ATTRIBUTE_TYPE)
        return "type";
    return attribute < GNT_ATTRIBUTE_FACTS
               ? gnt_queue_option_rows[attribute - GNT_ATTRIBUTE_OPTIONS].name
               : facts_names[attribute - GNT_ATTRIBUTE_FACTS];
}

unsigned gnt_attribute_named(struct gnt_slice name)
{
    unsigned attribute = 0;
    while (attribute < GNT_ATTRIBUTES &&
           !gnt_slice_eq(gnt_slice_str(gnt_attribute_name(attribute)), name))
        attribute++;
    return attribute;
}

/* ---- Writing */

static void put_option(struct gnt_amqp_writer *w, size_t row, uint64_t value)
{
    char text[GNT_QUEUE_OPTION_TEXT];
    switch (gnt_queue_option_rows[row].kind) {
    case GNT_QUEUE_OPTION_FLAG: gnt_amqp_put_boolean(w, value != 0); break;
    case GNT_QUEUE_OPTION_OVERFLOW:
    case GNT_QUEUE_OPTION_DURABLE:
        gnt_amqp_put_string(w, gnt_slice_str(gnt_queue_option_text(row, value, text)));
        break;
    case GNT_QUEUE_OPTION_COUNT:
    case GNT_QUEUE_OPTION_SIZE:
    case GNT_QUEUE_OPTION_DURATION: gnt_amqp_put_ulong(w, value); break;
    }
}

static void put_fact(struct gnt_amqp_writer *w, unsigned fact, const struct gnt_queue_facts *facts)
{
    unsigned at = 0;
#define PUT(name, field, kind) \
    if (at++ == fact)          \
        gnt_amqp_put_##kind(w, facts->field);
    GNT_QUEUE_FACT_ROWS(PUT)
#undef PUT
}

void gnt_attribute_put(struct gnt_amqp_writer *w, unsigned attribute, struct gnt_slice name,
                       const struct gnt_queue_facts *facts)
{
    const size_t row = attribute - GNT_ATTRIBUTE_OPTIONS;
    if (attribute == GNT_ATTRIBUTE_NAME)
        gnt_amqp_put_string(w, name);
    else if (attribute == GNT_ATTRIBUTE_TYPE)
        gnt_amqp_put_string(w, gnt_slice_str("queue"));
    else if (attribute < GNT_ATTRIBUTE_FACTS)
        put_option(w, row, gnt_queue_options_get(&facts->options, row));
    else
        put_fact(w, attribute - GNT_ATTRIBUTE_FACTS, facts);
}

/* ---- Reading */

/* A word of ROW's, or true and false. */
static bool word_of(size_t row, struct gnt_slice word, uint64_t *out)
{
    char text[GNT_QUEUE_OPTION_TEXT];
    for (uint64_t value = 0; value <= gnt_queue_option_rows[row].max; value++) {
        *out = value;
        if (gnt_slice_eq(gnt_slice_str(gnt_queue_option_text(row, value, text)), word))
            return true;
    }
    return false;
}

static bool has_words(size_t row)
{
    enum gnt_queue_option_kind kind = gnt_queue_option_rows[row].kind;
    return kind == GNT_QUEUE_OPTION_OVERFLOW || kind == GNT_QUEUE_OPTION_DURABLE;
}

static bool number_of(const struct gnt_amqp_value *v, uint64_t *out)
{
    switch ((int)v->type) {
    case GNT_AMQP_UBYTE:
    case GNT_AMQP_USHORT:
    case GNT_AMQP_UINT:
    case GNT_AMQP_ULONG: *out = v->number; return true;
    case GNT_AMQP_BYTE:
    case GNT_AMQP_SHORT:
    case GNT_AMQP_INT:
    case GNT_AMQP_LONG: *out = (uint64_t)v->integer; return v->integer >= 0;
    default: return false;
    }
}

static bool option_of(size_t row, const struct gnt_amqp_value *v, uint64_t *out)
{
    if (v->type == GNT_AMQP_NULL) {
        *out = gnt_queue_option_rows[row].fallback;
        return true;
    }
    if (has_words(row))
        return (v->type == GNT_AMQP_STRING || v->type == GNT_AMQP_SYMBOL) &&
               word_of(row, v->bytes, out);
    if (gnt_queue_option_rows[row].kind == GNT_QUEUE_OPTION_FLAG) {
        *out = v->number;
        return v->type == GNT_AMQP_BOOLEAN;
    }
    return number_of(v, out);
}

gnt_err gnt_attributes_read(const struct gnt_amqp_value *map, const char *others,
                            struct gnt_queue_options *options, struct gnt_slice *bad)
{
    struct gnt_amqp_items items = gnt_amqp_items(map);
    struct gnt_amqp_value key, value;
    *bad = gnt_slice_str("the body");
    if (map->type != GNT_AMQP_MAP && map->type != GNT_AMQP_NULL)
        return GNT_INVALID;
    while (map->type == GNT_AMQP_MAP && gnt_amqp_items_pair(&items, &key, &value)) {
        if (key.type != GNT_AMQP_STRING && key.type != GNT_AMQP_SYMBOL)
            return GNT_INVALID;
        uint64_t number = 0;
        *bad = key.bytes;
        if (gnt_slice_eq(key.bytes, gnt_slice_str(others)))
            continue;
        size_t row = gnt_queue_option_named(key.bytes);
        if (row == GNT_QUEUE_OPTION_ROWS || !option_of(row, &value, &number) ||
            gnt_queue_options_set(options, row, number))
            return GNT_INVALID;
    }
    return GNT_OK;
}
