#include "front/amqp/select.h"

#include "filter/expression.h"
#include "filter/field.h"
#include "filter/properties.h"
#include "front/amqp/fields.h"

#include <stdio.h>
#include <stdlib.h>

struct select {
    struct gnt_consumer_filter filter;
    struct gnt_expression *expression;        /* NULL: none; and so are these */
    struct gnt_properties_filter *properties; /* of both sections */
    uint64_t own;                             /* the connection */
    bool no_local;
};

static bool matches(struct gnt_consumer_filter *filter, const struct gnt_message *message)
{
    const struct select *s = GNT_CONTAINER(filter, struct select, filter);
    struct gnt_fields fields;
    if (s->no_local && message->publisher == s->own)
        return false;
    gnt_fields_init(&fields, message);
    if (s->expression &&
        gnt_expression_evaluate(s->expression, gnt_fields_find, &fields) != GNT_TRUE)
        return false;
    return !s->properties || gnt_properties_filter_matches(s->properties, gnt_fields_find, &fields);
}

static void unref(struct gnt_consumer_filter *filter)
{
    struct select *s = GNT_CONTAINER(filter, struct select, filter);
    gnt_expression_unref(&s->expression);
    gnt_properties_filter_unref(&s->properties);
    free(s);
}

/* ---- The kinds of filters */

static gnt_err add_selector(struct select *s, const struct gnt_amqp_value *value,
                            char why[GNT_SELECT_WHY])
{
    struct gnt_expression_error error;
    bool text = value->type == GNT_AMQP_STRING;
    if (s->expression || !text) {
        snprintf(why, GNT_SELECT_WHY, "%s", text ? "two selectors" : "a selector is a string");
        return GNT_INVALID;
    }
    if (!value->bytes.size)
        return GNT_OK; /* no selector, says JMS */
    gnt_err err = gnt_expression_compile(value->bytes, &gnt_dialect_amqp, &s->expression, &error);
    if (err == GNT_INVALID)
        snprintf(why, GNT_SELECT_WHY, "selector, column %u: %s", error.column, error.text);
    return err;
}

static gnt_err add_field(struct select *s, const struct gnt_filter_name *name,
                         const struct gnt_amqp_value *expected, char why[GNT_SELECT_WHY])
{
    const struct gnt_filter_value value = gnt_fields_value(expected);
    gnt_err err = gnt_properties_filter_add(s->properties, *name, &value);
    if (err == GNT_NOMEM)
        return err;
    if (err)
        snprintf(why, GNT_SELECT_WHY, "a value that nothing can be compared with, or too many");
    return err ? GNT_INVALID : GNT_OK;
}

static gnt_err add_properties(struct select *s, const struct gnt_amqp_value *map,
                              char why[GNT_SELECT_WHY], bool of_application)
{
    struct gnt_amqp_items items = gnt_amqp_items(map);
    struct gnt_amqp_value key, expected;
    gnt_err err = s->properties ? GNT_OK : gnt_properties_filter_new(&s->properties);
    while (!err && gnt_amqp_items_pair(&items, &key, &expected)) {
        struct gnt_filter_name name = {.text = key.bytes, .tag = GNT_FIELD_APPLICATION_PROPERTY};
        enum gnt_field field;
        bool text = key.type == GNT_AMQP_STRING || key.type == GNT_AMQP_SYMBOL;
        if (!text || (!of_application && !gnt_field_of_properties(key.bytes, &field))) {
            snprintf(why, GNT_SELECT_WHY, "there is no such property");
            return GNT_INVALID;
        }
        if (!of_application && expected.type == GNT_AMQP_NULL)
            continue;
        if (!of_application)
            name.tag = field;
        err = add_field(s, &name, &expected, why);
    }
    return err;
}

static gnt_err add_own_properties(struct select *s, const struct gnt_amqp_value *map,
                                  char why[GNT_SELECT_WHY])
{
    return add_properties(s, map, why, false);
}

static gnt_err add_application_properties(struct select *s, const struct gnt_amqp_value *map,
                                          char why[GNT_SELECT_WHY])
{
    return add_properties(s, map, why, true);
}

/* Its value, a list, is empty. */
static gnt_err add_no_local(struct select *s, const struct gnt_amqp_value *value,
                            char why[GNT_SELECT_WHY])
{
    (void)value, (void)why;
    s->no_local = true;
    return GNT_OK;
}

/* Descriptors, as a symbol and as a code. */
static const struct kind {
    const char *symbol;
    uint64_t code;
    gnt_err (*add)(struct select *s, const struct gnt_amqp_value *value, char why[GNT_SELECT_WHY]);
} kinds[] = {
    {"apache.org:selector-filter:string", UINT64_C(0x0000468c00000004), add_selector},
    {"apache.org:no-local-filter:list", UINT64_C(0x0000468c00000003), add_no_local},
    {"amqp:properties-filter", 0x173, add_own_properties},
    {"amqp:application-properties-filter", 0x174, add_application_properties},
};

static const struct kind *kind_of(const struct gnt_amqp_value *descriptor)
{
    bool symbol = descriptor->type == GNT_AMQP_SYMBOL;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (symbol ? gnt_slice_eq_str(descriptor->bytes, kinds[i].symbol)
                   : descriptor->type == GNT_AMQP_ULONG && descriptor->number == kinds[i].code)
            return &kinds[i];
    return NULL;
}

/* ---- The set of them */

/* The entry of the set, if it is one that is known; *in_force says so. */
static gnt_err add(struct select *s, const struct gnt_amqp_value *value, bool *in_force,
                   char why[GNT_SELECT_WHY])
{
    struct gnt_amqp_value descriptor, inner;
    *in_force = false;
    if (!gnt_amqp_described(value, &descriptor, &inner))
        return GNT_OK;
    const struct kind *kind = kind_of(&descriptor);
    if (!kind)
        return GNT_OK;
    *in_force = true;
    return kind->add(s, &inner, why);
}

/* Compiles SET, and puts what of it is in force into W. */
static gnt_err add_all(struct select *s, const struct gnt_amqp_value *set,
                       struct gnt_amqp_writer *w, char why[GNT_SELECT_WHY])
{
    struct gnt_amqp_items items = gnt_amqp_items(set);
    struct gnt_amqp_value key, value;
    uint32_t count = 0;
    size_t mark = gnt_amqp_begin_map(w);
    while (gnt_amqp_items_pair(&items, &key, &value)) {
        bool in_force;
        gnt_err err = add(s, &value, &in_force, why);
        if (err)
            return err;
        if (!in_force)
            continue;
        gnt_amqp_put_value(w, &key);
        gnt_amqp_put_value(w, &value);
        count += 2;
    }
    gnt_amqp_end_map(w, mark, count);
    return count ? GNT_OK : GNT_NOTFOUND;
}

gnt_err gnt_select_new(const struct gnt_amqp_value *set, uint64_t own, struct gnt_buf *in_force,
                       struct gnt_consumer_filter **out, char why[GNT_SELECT_WHY])
{
    enum { HEAD = 16 }; /* more than a map's own */
    *out = NULL;
    if (set->type != GNT_AMQP_MAP)
        return GNT_OK;
    struct select *s = calloc(1, sizeof *s);
    if (!s)
        return GNT_NOMEM;
    s->filter = (struct gnt_consumer_filter){.matches = matches, .unref = unref};
    s->own = own;
    size_t most = set->bytes.size + HEAD;
    gnt_err err = gnt_buf_reserve(in_force, most);
    if (!err) {
        struct gnt_amqp_writer w = gnt_amqp_writer(gnt_buf_tail(in_force), most);
        err = add_all(s, set, &w, why);
        if (!err)
            gnt_buf_wrote(in_force, w.size);
    }
    if (err)
        unref(&s->filter);
    else
        *out = &s->filter;
    return err == GNT_NOTFOUND ? GNT_OK : err;
}
