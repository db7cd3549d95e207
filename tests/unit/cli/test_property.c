#include "cli/property.h"
#include "support/unit.h"

struct values {
    int before;
    struct gnt_properties properties;
};

static const struct gnt_option row = {.flag = "property",
                                      .metavar = "PACKET NAME VALUE",
                                      GNT_OPTION_FIELD(struct values, properties)};

static int take(struct values *values, int count, const char *const *words, struct gnt_why *why)
{
    char *copy[5] = {0};
    for (int i = 0; i < count; i++)
        copy[i] = (char *)(uintptr_t)words[i];
    return gnt_property_take(&row, values, count, copy, why);
}

static void good_ones(void **state)
{
    (void)state;
    static const struct {
        const char *words[4];
        int count;
        uint32_t where;
        uint8_t id;
        uint32_t number;
    } vectors[] = {
        {{"publish", "message-expiry-interval", "60"}, 3, GNT_IN_PUBLISH, 0x02, 60},
        {{"PUBLISH", "Payload-Format-Indicator", "1"}, 3, GNT_IN_PUBLISH, 0x01, 1},
        {{"publish", "topic-alias", "65535"}, 3, GNT_IN_PUBLISH, 0x23, 65535},
        {{"subscribe", "subscription-identifier", "268435455"},
         3,
         GNT_IN_SUBSCRIBE,
         0x0b,
         268435455},
        {{"connect", "session-expiry-interval", "4294967295"}, 3, GNT_IN_CONNECT, 0x11, UINT32_MAX},
        {{"connect", "receive-maximum", "1"}, 3, GNT_IN_CONNECT, 0x21, 1},
        {{"will", "will-delay-interval", "5"}, 3, GNT_IN_WILL, 0x18, 5},
        {{"disconnect", "reason-string", "bye"}, 3, GNT_IN_DISCONNECT, 0x1f, 0},
        {{"unsubscribe", "user-property", "a", "b"}, 4, GNT_IN_UNSUBSCRIBE, 0x26, 0},
        {{"will", "correlation-data", "\xff"}, 3, GNT_IN_WILL, 0x09, 0},
    };
    struct values values = {0};
    for (size_t i = 0; i < COUNT_OF(vectors); i++) {
        struct gnt_why why = {""};
        assert_int_equal(take(&values, 4, vectors[i].words, &why), vectors[i].count);
        assert_int_equal(values.properties.count, i + 1);
        assert_int_equal(values.properties.where[i], vectors[i].where);
        assert_int_equal(values.properties.items[i].id, vectors[i].id);
        assert_int_equal(values.properties.items[i].number, vectors[i].number);
    }
    const struct gnatter_property *user = &values.properties.items[8];
    assert_slice(gnt_slice(user->text.data, user->text.size), "a");
    assert_slice(gnt_slice(user->value.data, user->value.size), "b");
}

static void bad_ones(void **state)
{
    (void)state;
    static const struct {
        const char *words[4];
        int count;
        const char *why;
    } vectors[] = {
        {{"publish", "content-type"}, 2, "expected PACKET NAME VALUE"},
        {{"publsh", "content-type", "x"}, 3, "unknown packet 'publsh', did you mean 'publish'?"},
        {{"banana", "content-type", "x"},
         3,
         "expected connect, publish, subscribe, unsubscribe, disconnect or will, got 'banana'"},
        {{"publish", "content-typ", "x"},
         3,
         "unknown property 'content-typ', did you mean 'content-type'?"},
        {{"publish", "zzzzzz", "x"}, 3, "unknown property 'zzzzzz'"},
        {{"subscribe", "content-type", "x"},
         3,
         "a client's subscribe cannot have the property content-type"},
        {{"publish", "subscription-identifier", "1"},
         3,
         "a client's publish cannot have the property subscription-identifier"},
        {{"connect", "server-keep-alive", "1"},
         3,
         "a client's connect cannot have the property server-keep-alive"},
        {{"publish", "user-property", "name"}, 3, "expected publish user-property NAME VALUE"},
        {{"publish", "message-expiry-interval", "abc"},
         3,
         "message-expiry-interval is a number from 0 to 4294967295, got 'abc'"},
        {{"publish", "message-expiry-interval", "4294967296"},
         3,
         "message-expiry-interval is a number from 0 to 4294967295, got '4294967296'"},
        {{"publish", "payload-format-indicator", "2"},
         3,
         "payload-format-indicator is a number from 0 to 1, got '2'"},
        {{"connect", "receive-maximum", "0"},
         3,
         "receive-maximum is a number from 1 to 65535, got '0'"},
        {{"publish", "content-type", "\xff"},
         3,
         "a property is at most 65,535 bytes of UTF-8 text"},
    };
    struct values values = {0};
    for (size_t i = 0; i < COUNT_OF(vectors); i++) {
        struct gnt_why why = {""};
        assert_int_equal(take(&values, vectors[i].count, vectors[i].words, &why), GNT_INVALID);
        assert_string_equal(why.text, vectors[i].why);
        assert_int_equal(values.properties.count, 0);
    }
}

static void twice_only_what_may_repeat(void **state)
{
    (void)state;
    struct values values = {0};
    struct gnt_why why = {""};
    const char *const type[] = {"publish", "content-type", "text/plain"};
    const char *const will_type[] = {"will", "content-type", "text/plain"};
    const char *const user[] = {"publish", "user-property", "k", "v"};
    assert_int_equal(take(&values, 3, type, &why), 3);
    assert_int_equal(take(&values, 3, type, &why), GNT_INVALID);
    assert_string_equal(why.text, "content-type has been given for publish already");
    assert_int_equal(take(&values, 3, will_type, &why), 3);
    while (values.properties.count < GNT_PROPERTIES_MAX)
        assert_int_equal(take(&values, 4, user, &why), 4);
    assert_int_equal(take(&values, 4, user, &why), GNT_INVALID);
    assert_string_equal(why.text, "at most 64 properties can be given");
}

static void picked_and_pulled(void **state)
{
    (void)state;
    struct values values = {0};
    struct gnt_why why = {""};
    struct gnatter_property list[GNT_PROPERTIES_MAX];
    uint32_t number = 0;
    const char *const user[] = {"connect", "user-property", "k", "v"};
    const char *const maximum[] = {"connect", "receive-maximum", "9"};
    const char *const expiry[] = {"publish", "message-expiry-interval", "60"};
    assert_int_equal(take(&values, 4, user, &why), 4);
    assert_int_equal(take(&values, 3, maximum, &why), 3);
    assert_int_equal(take(&values, 3, expiry, &why), 3);
    assert_int_equal(gnt_properties_of(&values.properties, GNT_IN_CONNECT, list), 2);
    assert_int_equal(list[1].id, GNATTER_RECEIVE_MAXIMUM);
    assert_true(
        gnt_properties_pull(&values.properties, GNT_IN_CONNECT, GNATTER_RECEIVE_MAXIMUM, &number));
    assert_int_equal(number, 9);
    assert_false(
        gnt_properties_pull(&values.properties, GNT_IN_CONNECT, GNATTER_RECEIVE_MAXIMUM, &number));
    assert_int_equal(gnt_properties_of(&values.properties, GNT_IN_CONNECT, list), 1);
    assert_int_equal(list[0].id, GNATTER_USER_PROPERTY);
    assert_int_equal(gnt_properties_of(&values.properties, GNT_IN_PUBLISH, list), 1);
    assert_int_equal(list[0].number, 60);
}

static void every_property_has_a_name(void **state)
{
    (void)state;
    for (enum gnt_mqtt_prop_row i = 0; i < GNT_PROP_ROWS; i++) {
        const struct gnatter_property property = {.id = gnt_mqtt_prop_id(i), .number = 3};
        struct gnt_mqtt_prop shown;
        assert_non_null(gnt_property_name(i));
        assert_true(gnt_property_row(&property, &shown));
        assert_int_equal(shown.row, i);
        assert_int_equal(shown.number, 3);
    }
    const struct gnatter_property unknown = {.id = 0x7f};
    struct gnt_mqtt_prop shown;
    assert_false(gnt_property_row(&unknown, &shown));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_ones),
        cmocka_unit_test(bad_ones),
        cmocka_unit_test(twice_only_what_may_repeat),
        cmocka_unit_test(picked_and_pulled),
        cmocka_unit_test(every_property_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
