/* The engine under its public name, as a microcontroller's program would use it: bytes by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "support/alloc_fault.h"

#include <gnatter/mqtt.h>
#include <gnatter/mqtt_engine.h>

#include <string.h>

static const uint64_t start = 1000000000;

static gnatter_engine *engine_new(const struct gnatter_mqtt_options *o)
{
    gnatter_engine *e = NULL;
    assert_int_equal(gnatter_engine_new(o, &e), GNATTER_OK);
    return e;
}

static void expect_out(gnatter_engine *e, const char *wanted, size_t size)
{
    struct gnatter_bytes out = gnatter_engine_output(e);
    assert_int_equal(out.size, size);
    assert_memory_equal(out.data, wanted, size);
    gnatter_engine_sent(e, size, start);
}
#define OUT(e, text) expect_out(e, text, sizeof(text) - 1)
#define IN(e, text) \
    assert_int_equal(gnatter_engine_receive(e, text, sizeof(text) - 1, start), GNATTER_OK)

static struct gnatter_engine_event next(gnatter_engine *e, uint8_t type)
{
    struct gnatter_engine_event event;
    assert_true(gnatter_engine_next_event(e, start, &event));
    assert_int_equal(event.type, type);
    return event;
}

static void none(gnatter_engine *e)
{
    struct gnatter_engine_event event;
    assert_false(gnatter_engine_next_event(e, start, &event));
}

static void a_whole_conversation(void **state)
{
    (void)state;
    struct gnatter_mqtt_options o;
    struct gnatter_engine_event event;
    struct gnatter_property p;
    int mark;
    uint64_t token;
    gnatter_mqtt_options_init(&o);
    o.client_id = "me";
    o.packet_max = 1000;
    o.receive_maximum = 5;
    o.session_expiry_s = 9;
    o.keep_alive_s = 10;
    gnatter_engine *e = engine_new(&o);
    assert_int_equal(gnatter_engine_connect(e, start), GNATTER_OK);
    assert_int_equal(gnatter_engine_connect(e, start), GNATTER_ESTATE);
    OUT(e, "\x10\x1f\x00\x04MQTT\x05\x02\x00\x0a\x10\x11\x00\x00\x00\x09\x21\x00\x05"
           "\x27\x00\x00\x03\xe8\x22\x00\x10\x00\x02me");
    IN(e, "\x20\x0a\x00\x00\x07\x1f\x00\x04well");
    event = next(e, GNATTER_EVENT_CONNECTED);
    assert_true(gnatter_properties_find(event.properties, GNATTER_REASON_STRING, &p));
    assert_memory_equal(p.text.data, "well", 4);
    assert_false(gnatter_properties_find(event.properties, GNATTER_USER_PROPERTY, &p));
    none(e);
    assert_int_equal(gnatter_engine_deadline(e), start + UINT64_C(10000000000));

    const struct gnatter_property user = gnatter_property_user("k", "v");
    const struct gnatter_message m = {
        .topic = "t", .payload = "x", .payload_size = 1, .qos = 1, .properties = {&user, 1}};
    assert_int_equal(gnatter_engine_publish(e, &m, &mark, start, &token), GNATTER_OK);
    none(e);
    OUT(e, "\x32\x0e\x00\x01t\x00\x01\x07\x26\x00\x01k\x00\x01vx");
    IN(e, "\x40\x02\x00\x01");
    event = next(e, GNATTER_EVENT_DONE);
    assert_int_equal(event.result.request, GNATTER_PUBLISH);
    assert_int_equal(event.result.token, token);
    assert_ptr_equal(event.user, &mark);

    const struct gnatter_subscription sub = {.filter = "a/#",
                                             .qos = 1,
                                             .no_local = true,
                                             .retain_as_published = true,
                                             .retain_handling = 2};
    const char *filter = "a/#";
    assert_int_equal(gnatter_engine_subscribe(e, &sub, 1, NULL, NULL, NULL), GNATTER_OK);
    assert_int_equal(gnatter_engine_unsubscribe(e, &filter, 1, NULL, NULL, NULL), GNATTER_OK);
    none(e);
    OUT(e, "\x82\x09\x00\x02\x00\x00\x03"
           "a/#\x2d");
    IN(e, "\x90\x04\x00\x02\x00\x01");
    event = next(e, GNATTER_EVENT_DONE);
    assert_int_equal(event.result.code_count, 1);
    assert_int_equal(event.result.codes[0], 1);
    assert_int_equal(gnatter_engine_receive(e, "x", 1, start), GNATTER_EFULL); /* codes are lent */
    none(e);
    OUT(e, "\xa2\x08\x00\x03\x00\x00\x03"
           "a/#");

    IN(e, "\x33\x0a\x00\x01u\x00\x05\x02\x01\x01hi");
    event = next(e, GNATTER_EVENT_MESSAGE);
    assert_string_equal(event.message.topic, "u");
    assert_int_equal(event.message.payload_size, 2);
    assert_memory_equal(event.message.payload, "hi", 2);
    assert_true(event.message.retain && !event.message.dup);
    assert_true(gnatter_properties_find(event.message.properties, GNATTER_PAYLOAD_FORMAT, &p));
    assert_int_equal(p.number, 1);
    none(e);
    OUT(e, "\x40\x02\x00\x05");

    struct gnatter_engine_status status;
    gnatter_engine_get_status(e, &status);
    assert_true(status.connected);
    assert_int_equal(status.outstanding, 1);
    assert_int_equal(status.client_id.size, 2);
    assert_int_equal(gnatter_engine_ack(e, 5, 0), GNATTER_ESTATE);
    assert_int_equal(gnatter_engine_auth(e, 0x18, NULL), GNATTER_EINVALID);
    assert_int_equal(gnatter_engine_cancel(e), GNATTER_ESTATE);
    assert_int_equal(gnatter_engine_disconnect(e, 0, NULL), GNATTER_OK);
    event = next(e, GNATTER_EVENT_CLOSED);
    assert_int_equal(event.error, GNATTER_OK);
    OUT(e, "\xe0\x00");
    assert_int_equal(gnatter_engine_cancel(e), GNATTER_OK);
    event = next(e, GNATTER_EVENT_DONE);
    assert_int_equal(event.result.request, GNATTER_UNSUBSCRIBE);
    assert_int_equal(event.result.error, GNATTER_ECLOSED);
    gnatter_engine_free(e);
    gnatter_engine_free(NULL);
}

static void will_and_credentials(void **state)
{
    (void)state;
    struct gnatter_mqtt_options o;
    gnatter_mqtt_options_init(&o);
    const struct gnatter_property delay = gnatter_property_number(GNATTER_WILL_DELAY, 1);
    const struct gnatter_message will = {.topic = "w",
                                         .payload = "x",
                                         .payload_size = 1,
                                         .qos = 1,
                                         .retain = true,
                                         .properties = {&delay, 1}};
    o.will = &will;
    o.username = "u";
    o.password.data = "p";
    o.password.size = 1;
    o.packet_max = SIZE_MAX;
    o.inbound_aliases = 0;
    gnatter_engine *e = engine_new(&o);
    assert_int_equal(gnatter_engine_connect(e, start), GNATTER_OK);
    OUT(e, "\x10\x1f\x00\x04MQTT\x05\xee\x00\x3c\x00\x00\x00\x05\x18\x00\x00\x00\x01\x00\x01w"
           "\x00\x01x\x00\x01u\x00\x01p");
    gnatter_engine_lost(e, GNATTER_EIO);
    assert_int_equal(next(e, GNATTER_EVENT_CLOSED).error, GNATTER_EIO);
    gnatter_engine_free(e);

    gnatter_engine *none_made = NULL;
    const struct gnatter_property unknown = gnatter_property_number(0x77, 1);
    o.properties = (struct gnatter_property_list){&unknown, 1};
    assert_int_equal(gnatter_engine_new(&o, &none_made), GNATTER_EINVALID);
    o.properties = (struct gnatter_property_list){&delay, 1}; /* not CONNECT's */
    assert_int_equal(gnatter_engine_new(&o, &none_made), GNATTER_EINVALID);
    o.properties.count = 0;
    o.receive_maximum = 0;
    assert_int_equal(gnatter_engine_new(&o, &none_made), GNATTER_EINVALID);
    assert_null(none_made);
}

/* Options, requests and the client's own parts: each failure is told, and nothing has happened. */
static void survives_allocation_failures(void **state)
{
    (void)state;
    struct gnatter_mqtt_options o;
    gnatter_mqtt_options_init(&o);
    const struct gnatter_property user = gnatter_property_user("k", "v");
    const struct gnatter_property_list props = {&user, 1};
    const struct gnatter_message m = {.topic = "t", .qos = 1, .properties = props};
    const struct gnatter_subscription sub = {.filter = "a"};
    const char *filter = "a";
    o.will = &m;
    o.properties = props;
    bool failed = true;
    for (long n = 0; failed; n++) {
        gnatter_engine *e = NULL;
        gnt_alloc_fail_at(n);
        while (gnatter_engine_new(&o, &e))
            assert_true(gnt_alloc_failed());
        while (gnatter_engine_publish(e, &m, NULL, start, NULL))
            assert_true(gnt_alloc_failed());
        while (gnatter_engine_subscribe(e, &sub, 1, &props, NULL, NULL))
            assert_true(gnt_alloc_failed());
        while (gnatter_engine_unsubscribe(e, &filter, 1, &props, NULL, NULL))
            assert_true(gnt_alloc_failed());
        failed = gnt_alloc_failed();
        gnt_alloc_fail_at(-1);
        struct gnatter_engine_status status;
        gnatter_engine_get_status(e, &status);
        assert_int_equal(status.outstanding, 3);
        gnatter_engine_free(e);
    }
}

static void a_client_is_made_or_not(void **state)
{
    (void)state;
    struct gnatter_client_options o;
    gnatter_client_options_init(&o);
    o.mqtt.version = GNATTER_MQTT_3_1;
    const struct gnatter_message m = {.topic = "t", .qos = 1};
    bool failed = true;
    for (long n = 0; failed; n++) {
        gnatter_client *c = NULL;
        gnt_alloc_fail_at(n);
        int err = gnatter_client_new(&o, &c);
        failed = gnt_alloc_failed();
        gnt_alloc_fail_at(-1);
        assert_int_equal(err, failed ? GNATTER_ENOMEM : GNATTER_OK);
        assert_true((c == NULL) == failed);
        gnatter_client_free(c);
    }
    /* A request that fails for lack of memory does not start the client. */
    gnatter_client *c = NULL;
    assert_int_equal(gnatter_client_new(&o, &c), GNATTER_OK);
    gnt_alloc_fail_at(0);
    assert_int_equal(gnatter_client_publish(c, &m, NULL, NULL, NULL), GNATTER_ENOMEM);
    gnt_alloc_fail_at(0);
    assert_int_equal(gnatter_client_publish_wait(c, &m, 1, NULL), GNATTER_ENOMEM);
    gnt_alloc_fail_at(-1);
    struct gnatter_client_info info;
    gnatter_client_get_info(c, &info);
    assert_int_equal(info.outstanding, 0);
    assert_int_equal(strlen(info.client_id), 23); /* what any server takes */
    assert_memory_equal(info.client_id, "gnatter", 7);
    gnatter_client_free(c);
}

static void words_for_people(void **state)
{
    (void)state;
    assert_string_equal(gnatter_error_text(GNATTER_ETIMEOUT), "timed out");
    assert_string_equal(gnatter_error_text(GNATTER_OK), "success");
    assert_string_equal(gnatter_error_text(-1000), "unknown error");
    assert_string_equal(gnatter_reason_text(0x8e), "session taken over");
    assert_string_equal(gnatter_reason_text(0x7f), "unknown reason");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_conversation),
        cmocka_unit_test(will_and_credentials),
        cmocka_unit_test(survives_allocation_failures),
        cmocka_unit_test(a_client_is_made_or_not),
        cmocka_unit_test(words_for_people),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
