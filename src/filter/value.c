#include "filter/value.h"

static bool is_number(const struct gnt_filter_value *v)
{
    return v->kind >= GNT_FILTER_INTEGER && v->kind <= GNT_FILTER_TIMESTAMP;
}

static double as_real(const struct gnt_filter_value *v)
{
    if (v->kind == GNT_FILTER_REAL)
        return v->real;
    return v->kind == GNT_FILTER_UNSIGNED ? (double)v->unsign : (double)v->integer;
}

static enum gnt_order order(bool less, bool equal)
{
    return less ? GNT_ORDER_LESS : equal ? GNT_ORDER_EQUAL : GNT_ORDER_GREATER;
}

static enum gnt_order order_of_numbers(const struct gnt_filter_value *a,
                                       const struct gnt_filter_value *b)
{
    if (a->kind == GNT_FILTER_REAL || b->kind == GNT_FILTER_REAL) {
        double x = as_real(a), y = as_real(b);
        return x != x || y != y ? GNT_ORDER_DIFFERENT : order(x < y, x == y);
    }
    /* Whole numbers: what has its top bit set is negative in one kind and huge in the other. */
    bool huge_a = a->kind == GNT_FILTER_UNSIGNED && a->unsign > INT64_MAX;
    bool huge_b = b->kind == GNT_FILTER_UNSIGNED && b->unsign > INT64_MAX;
    if (huge_a != huge_b)
        return huge_b ? GNT_ORDER_LESS : GNT_ORDER_GREATER;
    return order(a->integer < b->integer, a->integer == b->integer);
}

static enum gnt_order order_of_bytes(struct gnt_slice a, struct gnt_slice b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    if (common && a.data[0] != b.data[0]) /* as mostly, and then memcmp need not be called */
        return order(a.data[0] < b.data[0], false);
    int difference = common ? memcmp(a.data, b.data, common) : 0;
    if (difference)
        return order(difference < 0, false);
    return order(a.size < b.size, a.size == b.size);
}

enum gnt_order gnt_filter_compare(const struct gnt_filter_value *a,
                                  const struct gnt_filter_value *b)
{
    if (is_number(a) && is_number(b))
        return order_of_numbers(a, b);
    if (a->kind == GNT_FILTER_NULL || b->kind == GNT_FILTER_NULL)
        return GNT_ORDER_UNKNOWN;
    if (a->kind != b->kind || a->kind == GNT_FILTER_OTHER)
        return GNT_ORDER_UNLIKE;
    if (a->kind == GNT_FILTER_BOOLEAN)
        return a->boolean == b->boolean ? GNT_ORDER_EQUAL : GNT_ORDER_DIFFERENT;
    return order_of_bytes(a->bytes, b->bytes);
}
