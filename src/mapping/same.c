#include "mapping/same.h"

static bool same_items(const struct gnt_amqp_value *a, const struct gnt_amqp_value *b)
{
    struct gnt_amqp_items in_a = gnt_amqp_items(a), in_b = gnt_amqp_items(b);
    if (!gnt_slice_eq(in_a.descriptor, in_b.descriptor))
        return false;
    struct gnt_amqp_value item_a, item_b;
    while (gnt_amqp_items_next(&in_a, &item_a))
        if (!gnt_amqp_items_next(&in_b, &item_b) || !gnt_mapping_same(&item_a, &item_b))
            return false;
    return !gnt_amqp_items_next(&in_b, &item_b);
}

static bool same_described(const struct gnt_amqp_value *a, const struct gnt_amqp_value *b)
{
    struct gnt_amqp_value of_a, of_b, in_a, in_b;
    return gnt_amqp_described(a, &of_a, &in_a) && gnt_amqp_described(b, &of_b, &in_b) &&
           gnt_mapping_same(&of_a, &of_b) && gnt_mapping_same(&in_a, &in_b);
}

bool gnt_mapping_same(const struct gnt_amqp_value *a, const struct gnt_amqp_value *b)
{
    if (a->type != b->type)
        return false;
    switch (a->type) {
    case GNT_AMQP_LIST:
    case GNT_AMQP_MAP:
    case GNT_AMQP_ARRAY: return same_items(a, b);
    case GNT_AMQP_DESCRIBED: return same_described(a, b);
    case GNT_AMQP_BINARY:
    case GNT_AMQP_STRING:
    case GNT_AMQP_SYMBOL:
    case GNT_AMQP_DECIMAL32:
    case GNT_AMQP_DECIMAL64:
    case GNT_AMQP_DECIMAL128:
    case GNT_AMQP_UUID: return gnt_slice_eq(a->bytes, b->bytes);
    case GNT_AMQP_BYTE:
    case GNT_AMQP_SHORT:
    case GNT_AMQP_INT:
    case GNT_AMQP_LONG:
    case GNT_AMQP_TIMESTAMP: return a->integer == b->integer;
    case GNT_AMQP_NULL:
    case GNT_AMQP_BOOLEAN:
    case GNT_AMQP_UBYTE:
    case GNT_AMQP_USHORT:
    case GNT_AMQP_UINT:
    case GNT_AMQP_ULONG:
    case GNT_AMQP_FLOAT:
    case GNT_AMQP_DOUBLE:
    case GNT_AMQP_CHAR:
    case GNT_AMQP_TYPE_COUNT: break;
    }
    return a->number == b->number;
}

static bool is_empty(struct gnt_slice section)
{
    struct gnt_amqp_value inner;
    return !gnt_amqp_section(section, &inner) || inner.count == 0;
}

bool gnt_mapping_same_section(struct gnt_slice a, struct gnt_slice b)
{
    if (is_empty(a) || is_empty(b))
        return is_empty(a) && is_empty(b);
    struct gnt_amqp_value in_a, in_b;
    return gnt_amqp_section(a, &in_a) && gnt_amqp_section(b, &in_b) &&
           gnt_mapping_same(&in_a, &in_b);
}
