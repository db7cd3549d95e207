/* Names of selectors, and which fields they are. */
#include "support/unit.h"

#include "filter/field.h"

static const struct {
    const char *name;
    enum gnt_field field;
    const char *text; /* what is left of the name, if that matters */
} good[] = {
    {"color", GNT_FIELD_APPLICATION_PROPERTY, "color"},
    {"amqp", GNT_FIELD_APPLICATION_PROPERTY, "amqp"},
    {"AMQP.properties.to", GNT_FIELD_APPLICATION_PROPERTY, "AMQP.properties.to"},
    {"jmsType", GNT_FIELD_APPLICATION_PROPERTY, "jmsType"},
    {"JM", GNT_FIELD_APPLICATION_PROPERTY, "JM"},
    {"JMSXAppID", GNT_FIELD_APPLICATION_PROPERTY, "JMSXAppID"},
    {"JMS_IBM_Format", GNT_FIELD_APPLICATION_PROPERTY, "JMS_IBM_Format"},
    {"JMSMessageID", GNT_FIELD_MESSAGE_ID, NULL},
    {"JMSTimestamp", GNT_FIELD_CREATION_TIME, NULL},
    {"JMSCorrelationID", GNT_FIELD_CORRELATION_ID, NULL},
    {"JMSType", GNT_FIELD_SUBJECT, NULL},
    {"JMSPriority", GNT_FIELD_PRIORITY, NULL},
    {"JMSDeliveryMode", GNT_FIELD_DELIVERY_MODE, NULL},
    {"JMSXGroupID", GNT_FIELD_GROUP_ID, NULL},
    {"JMSXGroupSeq", GNT_FIELD_GROUP_SEQUENCE, NULL},
    {"JMSXUserID", GNT_FIELD_USER_ID, NULL},
    {"JMSXDeliveryCount", GNT_FIELD_DELIVERIES, NULL},
    {"amqp.annotation.x-opt-offset", GNT_FIELD_ANNOTATION, "x-opt-offset"},
    {"amqp.annotation.a.b", GNT_FIELD_ANNOTATION, "a.b"},
    {"amqp.properties.message-id", GNT_FIELD_MESSAGE_ID, NULL},
    {"amqp.properties.message_id", GNT_FIELD_MESSAGE_ID, NULL},
    {"amqp.properties.reply-to-group-id", GNT_FIELD_REPLY_TO_GROUP_ID, NULL},
    {"amqp.properties.subject", GNT_FIELD_SUBJECT, NULL},
    {"amqp.header.durable", GNT_FIELD_DURABLE, NULL},
    {"amqp.header.delivery-count", GNT_FIELD_DELIVERY_COUNT, NULL},
    {"amqp.to", GNT_FIELD_TO, NULL},
    {"amqp.reply_to", GNT_FIELD_REPLY_TO, NULL},
    {"amqp.correlation_id", GNT_FIELD_CORRELATION_ID, NULL},
    {"amqp.priority", GNT_FIELD_PRIORITY, NULL},
    {"amqp.first_acquirer", GNT_FIELD_FIRST_ACQUIRER, NULL},
};

static const char *const bad[] = {
    "JMS",
    "JMSFoo",
    "JMSReplyTo",
    "JMSDestination",
    "JMSExpiration",
    "JMSRedelivered",
    "amqp.",
    "amqp.x",
    "amqp.sub",
    "amqp.subjects",
    "amqp.properties.",
    "amqp.properties.ttl",
    "amqp.ttl.x",
    "amqp.header.subject",
    "amqp.annotation.",
    "amqp.properties.x-opt-offset",
    "amqp.annotation",
    "amqp.properties",
    "amqp.JMSType",
};

static void names(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        struct gnt_filter_name name = {gnt_slice_str(good[i].name), 99};
        if (!gnt_field_resolve(&name) || name.tag != good[i].field)
            fail_msg("%s: %u", good[i].name, name.tag);
        if (good[i].text)
            assert_true(gnt_slice_eq_str(name.text, good[i].text));
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct gnt_filter_name name = {gnt_slice_str(bad[i]), 99};
        if (gnt_field_resolve(&name))
            fail_msg("%s", bad[i]);
    }
}

static void keys_of_the_properties(void **state)
{
    enum gnt_field field;
    (void)state;
    assert_true(gnt_field_of_properties(LITERAL("message-id"), &field));
    assert_int_equal(field, GNT_FIELD_MESSAGE_ID);
    assert_true(gnt_field_of_properties(LITERAL("reply-to-group-id"), &field));
    assert_int_equal(field, GNT_FIELD_REPLY_TO_GROUP_ID);
    assert_false(gnt_field_of_properties(LITERAL("message_id"), &field));
    assert_false(gnt_field_of_properties(LITERAL("durable"), &field));
    assert_false(gnt_field_of_properties(LITERAL(""), &field));
}

static void in_a_selector(void **state)
{
    struct gnt_expression *made = NULL;
    struct gnt_expression_error error;
    struct gnt_comparison comparison;
    (void)state;
    assert_int_equal(gnt_expression_compile(LITERAL("amqp.annotation.x-opt-offset > '68'"),
                                            &gnt_dialect_amqp, &made, &error),
                     GNT_OK);
    assert_true(gnt_expression_comparison(made, &comparison));
    assert_int_equal(comparison.name.tag, GNT_FIELD_ANNOTATION);
    assert_slice(comparison.name.text, "x-opt-offset");
    gnt_expression_unref(&made);
    assert_int_equal(gnt_expression_compile(LITERAL("JMSColor = 'red'"), &gnt_dialect_amqp, &made,
                                            &error),
                     GNT_INVALID);
    assert_string_equal(error.text, "expected the name of a field, found JMSColor");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(keys_of_the_properties),
        cmocka_unit_test(in_a_selector),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
