/* A session of the client engine as bytes and back, damaged bytes, and allocation failures. */
#include "support/alloc_fault.h"
#include "unit/mqtt/engine/client_script.h"

enum { SAVED_MAX = 4096 };

static struct gnt_client_options lasting(void)
{
    struct gnt_client_options o = script_options(GNT_MQTT_3_1_1);
    o.connect.clean_start = false;
    return o;
}

/* A session with something of each kind, saved into BYTES. */
static size_t save_one(uint8_t *bytes)
{
    struct script s;
    struct gnt_client_options o = lasting();
    size_t size = 0, needed = 0;
    script_new(&s, &o);
    subscribe(&s, "a/+", 1);
    script_up(&s);
    serve_codes(&s, GNT_MQTT_SUBACK, 1, "\x01", 1);
    events_text(&s);
    publish(&s, 1, "t", "one");
    publish(&s, 2, "t", "two");
    publish(&s, 1, "t", "three");
    events_text(&s);
    serve_ack(&s, GNT_MQTT_PUBREC, 3, 0);
    serve_ack(&s, GNT_MQTT_PUBACK, 4, 0); /* the last id, gone from the window */
    serve_publish(&s, 2, 500, "down", "x");
    expect_events(&s, "done publish #4 ok|message q2 down=x");
    script_lost(&s);
    publish(&s, 0, "t", "not worth it");
    publish(&s, 1, "t", "four");
    const struct gnt_mqtt_prop expiry = {.row = GNT_PROP_MESSAGE_EXPIRY, .number = 60};
    const struct gnt_client_publish fifth = {.topic = gnt_slice_str("t"),
                                             .payload = gnt_slice_str("five"),
                                             .qos = 2,
                                             .retain = true,
                                             .props = &expiry,
                                             .prop_count = 1};
    assert_int_equal(gnt_client_publish(s.c, &fifth, NULL, s.now, NULL), GNT_OK);
    assert_int_equal(gnt_client_save(s.c, s.now, NULL, 0, &needed), GNT_TOOBIG);
    for (size_t cap = 0; cap < needed; cap++)
        assert_int_equal(gnt_client_save(s.c, s.now, bytes, cap, &size), GNT_TOOBIG);
    assert_int_equal(gnt_client_save(s.c, s.now, bytes, SAVED_MAX, &size), GNT_OK);
    assert_int_equal(size, needed);
    script_free(&s);
    return size;
}

static void lives_again(void **state)
{
    (void)state;
    uint8_t bytes[SAVED_MAX], again[SAVED_MAX];
    size_t size = save_one(bytes), size_again = 0;
    struct script s;
    struct gnt_client_options o = lasting();
    script_new(&s, &o);
    assert_int_equal(gnt_client_restore(s.c, gnt_slice(bytes, size), s.now), GNT_OK);
    assert_int_equal(gnt_client_restore(s.c, gnt_slice(bytes, size), s.now), GNT_STATE);
    assert_int_equal(gnt_client_save(s.c, s.now, again, sizeof again, &size_again), GNT_OK);
    assert_true(gnt_slice_eq(gnt_slice(bytes, size), gnt_slice(again, size_again)));
    script_connect(&s, true);
    expect_events(&s, "connected again");
    expect_output(&s, "PUBLISH q1 #2 dup t=one|PUBREL #3|PUBLISH q1 #5 t=four|"
                      "PUBLISH q2 #6 retain t=five");
    serve_publish(&s, 2, 500, "down", "x"); /* known from the life before */
    serve_ack(&s, GNT_MQTT_PUBREL, 500, 0);
    serve_ack(&s, GNT_MQTT_PUBCOMP, 3, 0);
    expect_events(&s, "done publish #0 ok");
    expect_output(&s, "PUBREC #500|PUBCOMP #500");
    script_lost(&s);
    script_connect(&s, false); /* its subscription is known as well */
    expect_events(&s, "connected new");
    expect_output(&s, "SUBSCRIBE #7 a/+:1|PUBLISH q1 #8 t=one|PUBLISH q1 #9 t=four|"
                      "PUBLISH q2 #10 retain t=five");
    script_free(&s);
}

static void resumes_in_mqtt_5(void **state)
{
    (void)state;
    uint8_t bytes[SAVED_MAX];
    size_t size = 0;
    struct script s;
    struct gnt_client_options o = script_options(GNT_MQTT_5);
    WITH_PROPS(o, {.row = GNT_PROP_SESSION_EXPIRY, .number = 60});
    o.connect.client_id = gnt_slice(NULL, 0);
    script_new(&s, &o);
    const struct gnt_mqtt_prop id = {.row = GNT_PROP_ASSIGNED_CLIENT_ID,
                                     .text = gnt_slice_str("auto")};
    assert_int_equal(gnt_client_connect(s.c, s.now), GNT_OK);
    serve_connack_with(&s, false, 0, &id, 1);
    expect_events(&s, "connected new");
    const struct gnt_mqtt_prop user = {.row = GNT_PROP_USER_PROPERTY,
                                       .text = gnt_slice_str("k"),
                                       .value = gnt_slice_str("v")};
    const struct gnt_client_publish p = {
        .topic = gnt_slice_str("t"), .qos = 1, .props = &user, .prop_count = 1};
    assert_int_equal(gnt_client_publish(s.c, &p, NULL, s.now, NULL), GNT_OK);
    expect_events(&s, "");
    assert_int_equal(gnt_client_save(s.c, s.now, bytes, sizeof bytes, &size), GNT_OK);
    script_free(&s);

    script_new(&s, &o);
    assert_int_equal(gnt_client_restore(s.c, gnt_slice(bytes, size), s.now), GNT_OK);
    assert_int_equal(gnt_client_connect(s.c, s.now), GNT_OK);
    serve_connack(&s, true, 0);
    expect_events(&s, "connected again");
    expect_output(&s, "CONNECT v5 go id=auto|PUBLISH q1 #1 dup t= user=k");
    script_free(&s);

    o.connect.client_id = gnt_slice_str("somebody else");
    script_new(&s, &o);
    assert_int_equal(gnt_client_restore(s.c, gnt_slice(bytes, size), s.now), GNT_INVALID);
    script_free(&s);
}

static void bounds_hold_for_restoring(void **state)
{
    (void)state;
    uint8_t bytes[SAVED_MAX];
    size_t size = save_one(bytes);
    struct script s;
    struct gnt_client_options o = lasting();
    o.queue_messages = 3;
    script_new(&s, &o);
    assert_int_equal(gnt_client_restore(s.c, gnt_slice(bytes, size), s.now), GNT_FULL);
    publish(&s, 1, "t", "a"); /* as if nothing had been */
    script_connect(&s, false);
    expect_events(&s, "connected new");
    expect_output(&s, "PUBLISH q1 #1 t=a");
    script_free(&s);
}

static void put_crc(uint8_t *bytes, size_t size)
{
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < size - 4; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0xedb88320) : 0);
    }
    crc = ~crc;
    for (size_t i = 0; i < 4; i++)
        bytes[size - 4 + i] = (uint8_t)(crc >> 8 * (3 - i));
}

/* Restores BYTES into a new engine; if that succeeds, the engine must work. */
static gnt_err try_restore(const uint8_t *bytes, size_t size)
{
    struct script s;
    struct gnt_client_options o = lasting();
    struct gnt_client_event e;
    /* On the heap, at its very size, so that a sanitizer sees reading beyond it. */
    uint8_t *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    script_new(&s, &o);
    gnt_err err = gnt_client_restore(s.c, gnt_slice(copy, size), s.now);
    free(copy);
    script_connect(&s, err == GNT_OK);
    while (gnt_client_event(s.c, s.now, &e))
        assert_true(e.type != GNT_CLIENT_CLOSED);
    script_free(&s);
    return err;
}

static void damage_is_noticed_at_every_byte(void **state)
{
    (void)state;
    uint8_t bytes[SAVED_MAX];
    size_t size = save_one(bytes);
    for (size_t i = 0; i < size; i++) {
        bytes[i] ^= 0x40;
        assert_int_equal(try_restore(bytes, size), GNT_MALFORMED);
        bytes[i] ^= 0x40;
        assert_int_equal(try_restore(bytes, i), GNT_MALFORMED);
    }
    assert_int_equal(try_restore(bytes, size), GNT_OK);
}

/* With a checksum that fits nothing may break, whatever the bytes say. */
static void hostile_bytes_are_survived(void **state)
{
    (void)state;
    static const uint8_t values[] = {0, 1, 2, 0x7f, 0x80, 0xff};
    uint8_t bytes[SAVED_MAX], hostile[SAVED_MAX];
    size_t size = save_one(bytes);
    for (size_t i = 0; i < size - 4; i++) {
        for (size_t v = 0; v < sizeof values; v++) {
            memcpy(hostile, bytes, size);
            hostile[i] = values[v];
            put_crc(hostile, size);
            (void)!try_restore(hostile, size);
        }
        memcpy(hostile, bytes, i);
        put_crc(hostile, i + 4);
        assert_true(try_restore(hostile, i + 4) != GNT_OK);
    }
    bytes[4] = 2; /* a newer format */
    put_crc(bytes, size);
    assert_int_equal(try_restore(bytes, size), GNT_UNSUPPORTED);
}

/* ---- Allocation failures: each call may fail, and then has done nothing; a failure within a
 * connection ends it with GNT_NOMEM, and after connecting again everything goes on. */

static gnt_err patiently_receive(struct script *s, const void *bytes, size_t size)
{
    gnt_err err = gnt_client_receive(s->c, gnt_slice(bytes, size), s->now);
    return err == GNT_NOMEM ? gnt_client_receive(s->c, gnt_slice(bytes, size), s->now) : err;
}

/* Fetches events; whether one of them was CLOSED, which only the lack of memory may cause. */
static bool fetch(struct script *s, int *done, int *messages)
{
    struct gnt_client_event e;
    while (gnt_client_event(s->c, s->now, &e)) {
        if (e.type == GNT_CLIENT_DONE) {
            assert_int_equal(e.err, GNT_OK);
            ++*done;
        }
        *messages += e.type == GNT_CLIENT_MESSAGE;
        if (e.type == GNT_CLIENT_CLOSED) {
            assert_int_equal(e.err, GNT_NOMEM);
            return true;
        }
    }
    return false;
}

/* Whether the Nth allocation was there to fail. */
static bool conversation_with_failure(long n)
{
    static const uint8_t connack[] = "\x20\x06\x01\x00\x03\x22\x00\x05"; /* session, aliases */
    static const uint8_t connack_new[] = "\x20\x06\x00\x00\x03\x22\x00\x05";
    static const uint8_t down[] = "\x34\x0a\x00\x01u\x00\x07\x03\x23\x00\x01z"; /* QoS 2, alias */
    struct script s;
    struct gnt_client_options o = script_options(GNT_MQTT_5);
    WITH_PROPS(o, {.row = GNT_PROP_SESSION_EXPIRY, .number = 60},
               {.row = GNT_PROP_TOPIC_ALIAS_MAXIMUM, .number = 3});
    o.aliases_max = 3;
    const struct gnt_mqtt_subscription sub = {.filter = gnt_slice_str("u")};
    const struct gnt_mqtt_prop user = {.row = GNT_PROP_CONTENT_TYPE, .text = gnt_slice_str("x")};
    const struct gnt_client_publish p = {
        .topic = gnt_slice_str("t"), .qos = 2, .props = &user, .prop_count = 1};
    int done = 0, messages = 0;

    script_new(&s, &o);
    gnt_alloc_fail_at(n);
    while (gnt_client_publish(s.c, &p, NULL, s.now, NULL))
        assert_true(gnt_alloc_failed());
    while (gnt_client_subscribe(s.c, &sub, 1, NULL, NULL, NULL))
        assert_true(gnt_alloc_failed());
    for (int life = 0; done < 2 || messages < 1; life++) {
        assert_in_range(life, 0, 3);
        while (gnt_client_connect(s.c, s.now))
            assert_true(gnt_alloc_failed());
        assert_int_equal(patiently_receive(&s, life ? connack : connack_new, 8), GNT_OK);
        bool closed = fetch(&s, &done, &messages);
        gnt_client_sent(s.c, gnt_client_output(s.c).size, s.now);
        /* Every id that may be in flight is acknowledged: what does not fit is ignored. */
        static const uint8_t acks[] = "\x50\x02\x00\x01\x70\x02\x00\x01\x90\x04\x00\x02\x00\x00"
                                      "\x90\x04\x00\x03\x00\x00\x90\x04\x00\x04\x00\x00";
        for (size_t at = 0; !closed && at < sizeof acks - 1; at += (size_t)acks[at + 1] + 2) {
            assert_int_equal(patiently_receive(&s, acks + at, (size_t)acks[at + 1] + 2), GNT_OK);
            closed = fetch(&s, &done, &messages);
        }
        if (!closed && patiently_receive(&s, down, 12) == GNT_OK)
            closed = fetch(&s, &done, &messages);
        if (!closed) {
            gnt_client_lost(s.c, GNT_NOMEM);
            assert_true(fetch(&s, &done, &messages));
        }
    }
    assert_int_equal(done, 2);
    assert_int_equal(messages, 1);
    bool failed = gnt_alloc_failed();
    gnt_alloc_fail_at(-1);
    script_free(&s);
    return failed;
}

static void survives_allocation_failures(void **state)
{
    (void)state;
    long n = 0;
    while (conversation_with_failure(n))
        n++;
    assert_in_range(n, 15, 200);
}

static void new_and_restore_survive_allocation_failures(void **state)
{
    (void)state;
    uint8_t bytes[SAVED_MAX];
    size_t size = save_one(bytes);
    struct gnt_client_options o = lasting();
    for (long n = 0;; n++) {
        struct gnt_client *c = NULL;
        gnt_alloc_fail_at(n);
        gnt_err err = gnt_client_new(&o, &c);
        if (!err)
            err = gnt_client_restore(c, gnt_slice(bytes, size), 1);
        bool failed = gnt_alloc_failed();
        gnt_alloc_fail_at(-1);
        assert_int_equal(err, failed ? GNT_NOMEM : GNT_OK);
        if (c && err)
            assert_int_equal(gnt_client_restore(c, gnt_slice(bytes, size), 1), GNT_OK);
        gnt_client_free(&c);
        if (!failed)
            return;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lives_again),
        cmocka_unit_test(resumes_in_mqtt_5),
        cmocka_unit_test(bounds_hold_for_restoring),
        cmocka_unit_test(damage_is_noticed_at_every_byte),
        cmocka_unit_test(hostile_bytes_are_survived),
        cmocka_unit_test(survives_allocation_failures),
        cmocka_unit_test(new_and_restore_survive_allocation_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
