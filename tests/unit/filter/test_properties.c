/* Filters by the values of properties. */
#include "support/alloc_fault.h"
#include "support/filter_fields.h"
#include "support/unit.h"

#include "filter/properties.h"

#include <math.h>
#include <stdlib.h>

static struct filter_field message[] = {
    {"subject", FIELD_STRING("orders.new")},
    {"empty", FIELD_STRING("")},
    {"amp", FIELD_STRING("&p:x")},
    {"number", FIELD_INTEGER(42)},
    {"unsigned", FIELD_UNSIGNED(UINT64_MAX)},
    {"real", FIELD_REAL(42.0)},
    {"nan", FIELD_REAL((double)NAN)},
    {"flag", FIELD_BOOLEAN(true)},
    {"when", FIELD_TIMESTAMP(1700000000000)},
    {"id", FIELD_BINARY("\x01\x02")},
    {"list", FIELD_OTHER},
    {"nothing", FIELD_NULL},
    {NULL, FIELD_NULL},
};

static const struct {
    const char *name;
    struct gnt_filter_value expected;
    bool fits;
} rows[] = {
    {"subject", FIELD_STRING("orders.new"), true},
    {"subject", FIELD_STRING("orders"), false},
    {"subject", FIELD_STRING("Orders.new"), false},
    {"subject", FIELD_STRING("&p:orders"), true},
    {"subject", FIELD_STRING("&p:orders.new"), true},
    {"subject", FIELD_STRING("&p:orders.news"), false},
    {"subject", FIELD_STRING("&p:"), true},
    {"subject", FIELD_STRING("&p:new"), false},
    {"subject", FIELD_STRING("&s:new"), true},
    {"subject", FIELD_STRING("&s:orders.new"), true},
    {"subject", FIELD_STRING("&s:my.orders.new"), false},
    {"subject", FIELD_STRING("&s:"), true},
    {"subject", FIELD_STRING("&s:orders"), false},
    {"subject", FIELD_STRING("&&p:orders"), false},
    {"subject", FIELD_BINARY("orders.new"), true},
    {"subject", FIELD_BINARY("orders.old"), false},
    {"subject", FIELD_INTEGER(1), false},
    {"empty", FIELD_STRING(""), true},
    {"empty", FIELD_STRING("&p:"), true},
    {"empty", FIELD_STRING("a"), false},
    {"amp", FIELD_STRING("&&p:x"), true},
    {"amp", FIELD_STRING("&p:&"), true},
    {"number", FIELD_INTEGER(42), true},
    {"number", FIELD_INTEGER(43), false},
    {"number", FIELD_UNSIGNED(42), true},
    {"number", FIELD_REAL(42.0), true},
    {"number", FIELD_REAL(42.5), false},
    {"number", FIELD_STRING("42"), false},
    {"number", FIELD_STRING("&p:4"), false},
    {"number", FIELD_STRING("&s:2"), false},
    {"number", FIELD_BOOLEAN(true), false},
    {"unsigned", FIELD_UNSIGNED(UINT64_MAX), true},
    {"unsigned", FIELD_INTEGER(-1), false},
    {"real", FIELD_INTEGER(42), true},
    {"nan", FIELD_REAL((double)NAN), false},
    {"flag", FIELD_BOOLEAN(true), true},
    {"flag", FIELD_BOOLEAN(false), false},
    {"when", FIELD_TIMESTAMP(1700000000000), true},
    {"when", FIELD_TIMESTAMP(1700000000001), false},
    {"id", FIELD_BINARY("\x01\x02"), true},
    {"id", FIELD_BINARY("\x01"), false},
    {"id", FIELD_STRING("\x01\x02"), true},
    {"id", FIELD_BINARY("&p:\x01"), false}, /* modifiers are for strings */
    {"list", FIELD_INTEGER(1), false},
    {"list", FIELD_NULL, true},
    {"subject", FIELD_NULL, true},
    {"nothing", FIELD_NULL, true},
    {"nothing", FIELD_INTEGER(0), false},
    {"missing", FIELD_NULL, false},
    {"missing", FIELD_STRING("a"), false},
    {"missing", FIELD_STRING("&p:"), false},
};

static struct gnt_properties_filter *new_filter(void)
{
    struct gnt_properties_filter *f = NULL;
    assert_int_equal(gnt_properties_filter_new(&f), GNT_OK);
    return f;
}

static gnt_err add(struct gnt_properties_filter *f, const char *name,
                   const struct gnt_filter_value *expected)
{
    return gnt_properties_filter_add(f, (struct gnt_filter_name){gnt_slice_str(name), 0}, expected);
}

static bool fits(const struct gnt_properties_filter *f)
{
    return gnt_properties_filter_matches(f, filter_fields_lookup, message);
}

static void one_at_a_time(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_properties_filter *f = new_filter();
        assert_int_equal(add(f, rows[i].name, &rows[i].expected), GNT_OK);
        if (fits(f) != rows[i].fits)
            fail_msg("row %zu: %s", i, rows[i].name);
        gnt_properties_filter_unref(&f);
        assert_null(f);
    }
}

/* Each two rows together fit if both do. */
static void all_have_to_fit(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (size_t k = 0; k < COUNT_OF(rows); k++) {
            struct gnt_properties_filter *f = new_filter();
            assert_true(fits(f));
            assert_int_equal(add(f, rows[i].name, &rows[i].expected), GNT_OK);
            assert_int_equal(add(f, rows[k].name, &rows[k].expected), GNT_OK);
            assert_int_equal(fits(f), rows[i].fits && rows[k].fits);
            gnt_properties_filter_unref(&f);
        }
    }
}

/* What was given is copied, and the tag comes back. */
static bool tag_lookup(void *context, const struct gnt_filter_name *name,
                       struct gnt_filter_value *out)
{
    (void)context;
    *out = (struct gnt_filter_value)FIELD_STRING("value");
    return name->tag == 5 && gnt_slice_eq_str(name->text, "name");
}

static void copied(void **state)
{
    char name[] = "name", text[] = "&p:val";
    struct gnt_properties_filter *f = new_filter(), *other;
    const struct gnt_filter_value expected = {.kind = GNT_FILTER_STRING,
                                              .bytes = gnt_slice_str(text)};
    (void)state;
    assert_int_equal(gnt_properties_filter_add(f, (struct gnt_filter_name){gnt_slice_str(name), 5},
                                               &expected),
                     GNT_OK);
    name[0] = text[3] = '?';
    other = gnt_properties_filter_ref(f);
    gnt_properties_filter_unref(&f);
    assert_true(gnt_properties_filter_matches(other, tag_lookup, NULL));
    gnt_properties_filter_unref(&other);
    gnt_properties_filter_unref(&other);
    assert_null(gnt_properties_filter_ref(NULL));
}

static void what_is_refused(void **state)
{
    static const struct gnt_filter_value bad[] = {FIELD_STRING("&"), FIELD_STRING("&x:a"),
                                                  FIELD_STRING("&p"), FIELD_STRING("&P:a"),
                                                  FIELD_OTHER};
    struct gnt_properties_filter *f = new_filter();
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(add(f, "missing", &bad[i]), GNT_INVALID);
    assert_true(fits(f)); /* nothing was added */
    gnt_properties_filter_unref(&f);
}

static void bounds(void **state)
{
    static char letters[GNT_PROPERTIES_FILTER_BYTES_MAX + 1];
    const struct gnt_filter_value number = FIELD_INTEGER(42);
    struct gnt_filter_value value = {.kind = GNT_FILTER_STRING};
    (void)state;
    memset(letters, 'a', sizeof letters - 1);
    struct gnt_properties_filter *f = new_filter();
    for (size_t i = 0; i < GNT_PROPERTIES_FILTER_MAX; i++)
        assert_int_equal(add(f, "number", &number), GNT_OK);
    assert_int_equal(add(f, "missing", &number), GNT_TOOBIG);
    assert_true(fits(f));
    gnt_properties_filter_unref(&f);

    f = new_filter();
    value.bytes = gnt_slice(letters, GNT_PROPERTIES_FILTER_BYTES_MAX - 3);
    assert_int_equal(add(f, "name", &value), GNT_TOOBIG);
    value.bytes.size--;
    assert_int_equal(add(f, "name", &value), GNT_OK);
    assert_int_equal(add(f, "x", &number), GNT_TOOBIG);
    assert_int_equal(add(f, "", &number), GNT_OK);
    gnt_properties_filter_unref(&f);
}

static void without_memory(void **state)
{
    struct gnt_properties_filter *f = NULL;
    const struct gnt_filter_value value = FIELD_STRING("&p:a");
    (void)state;
    gnt_alloc_fail_at(0);
    assert_int_equal(gnt_properties_filter_new(&f), GNT_NOMEM);
    assert_null(f);
    gnt_alloc_fail_at(-1);
    f = new_filter();
    gnt_alloc_fail_at(0);
    assert_int_equal(add(f, "missing", &value), GNT_NOMEM);
    assert_true(fits(f));
    assert_int_equal(add(f, "missing", &value), GNT_OK);
    gnt_alloc_fail_at(0);
    assert_false(fits(f));
    assert_false(gnt_alloc_failed());
    gnt_alloc_fail_at(-1);
    gnt_properties_filter_unref(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_at_a_time), cmocka_unit_test(all_have_to_fit),
        cmocka_unit_test(copied),        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(bounds),        cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
