/* Which of two requests about the same filter has the last word, whatever the server answers first
 * and whenever the connection ends. */
#include "client_script.h"

#include "support/alloc_fault.h"

static void unsubscribe(struct script *s, const char *filter)
{
    const struct gnt_slice text = gnt_slice_str(filter);
    assert_int_equal(gnt_client_unsubscribe(s->c, &text, 1, NULL, NULL, NULL), GNT_OK);
}

static void subscribe_both(struct script *s, const char *a, const char *b)
{
    const struct gnt_mqtt_subscription list[] = {{.filter = gnt_slice_str(a)},
                                                 {.filter = gnt_slice_str(b)}};
    assert_int_equal(gnt_client_subscribe(s->c, list, 2, NULL, NULL, NULL), GNT_OK);
}

static void up(struct script *s, bool no_resubscribe)
{
    struct gnt_client_options o = script_options(GNT_MQTT_5);
    WITH_PROPS(o, {.row = GNT_PROP_SESSION_EXPIRY, .number = 60});
    o.no_resubscribe = no_resubscribe;
    script_new(s, &o);
    script_up(s);
}

/* The server may have answered the later of the two when the connection ended. */
static void the_later_one_is_not_undone(void **state)
{
    (void)state;
    struct script s;
    up(&s, true);
    subscribe(&s, "a", 1);
    unsubscribe(&s, "a");
    expect_events(&s, "");
    expect_output(&s, "SUBSCRIBE #1 a:1");
    serve_codes(&s, GNT_MQTT_UNSUBACK, 2, "\0", 1); /* of something that was not asked for yet */
    expect_events(&s, "");
    script_lost(&s);
    script_connect(&s, true);
    expect_events(&s, "connected again");
    expect_output(&s, "SUBSCRIBE #2 a:1");
    serve_codes(&s, GNT_MQTT_SUBACK, 2, "\1", 1);
    expect_events(&s, "done subscribe #1 ok 01 !01");
    expect_output(&s, "UNSUBSCRIBE #3 a");
    script_lost(&s);
    script_connect(&s, true);
    expect_events(&s, "connected again");
    expect_output(&s, "UNSUBSCRIBE #4 a");
    serve_codes(&s, GNT_MQTT_UNSUBACK, 4, "\0", 1);
    expect_events(&s, "done unsubscribe #2 ok 00");
    script_free(&s);
}

static void so_is_another_qos(void **state)
{
    (void)state;
    struct script s;
    up(&s, true);
    unsubscribe(&s, "a");
    subscribe(&s, "a", 1);
    subscribe(&s, "a", 2);
    expect_events(&s, "");
    expect_output(&s, "UNSUBSCRIBE #1 a");
    serve_codes(&s, GNT_MQTT_UNSUBACK, 1, "\x11", 1);
    expect_events(&s, "done unsubscribe #1 ok 11 !11");
    expect_output(&s, "SUBSCRIBE #2 a:1");
    serve_codes(&s, GNT_MQTT_SUBACK, 2, "\x87", 1); /* a refusal is an answer as well */
    expect_events(&s, "done subscribe #2 REFUSED 87 !87");
    expect_output(&s, "SUBSCRIBE #3 a:2");
    script_free(&s);
}

/* Otherwise the session that is lost would bring back what was unsubscribed from. */
static void what_is_subscribed_again_is_the_last_word(void **state)
{
    (void)state;
    struct script s;
    up(&s, false);
    subscribe(&s, "a", 1);
    unsubscribe(&s, "a");
    expect_events(&s, "");
    expect_output(&s, "SUBSCRIBE #1 a:1");
    serve_codes(&s, GNT_MQTT_SUBACK, 1, "\1", 1);
    expect_events(&s, "done subscribe #1 ok 01 !01");
    expect_output(&s, "UNSUBSCRIBE #2 a");
    script_lost(&s);
    script_connect(&s, false);
    expect_events(&s, "connected new");
    expect_output(&s, "SUBSCRIBE #3 a:1"); /* by itself; the unsubscribing waits for that */
    serve_codes(&s, GNT_MQTT_SUBACK, 3, "\1", 1);
    expect_events(&s, "done subscribe #0 ok 01 !01");
    expect_output(&s, "UNSUBSCRIBE #4 a");
    serve_codes(&s, GNT_MQTT_UNSUBACK, 4, "\0", 1);
    expect_events(&s, "done unsubscribe #2 ok 00");
    script_lost(&s);
    script_connect(&s, false);
    expect_events(&s, "connected new");
    expect_output(&s, "");
    script_free(&s);
}

static void other_filters_do_not_wait(void **state)
{
    (void)state;
    struct script s;
    up(&s, true);
    subscribe_both(&s, "a", "b");
    subscribe(&s, "c", 1);
    publish(&s, 1, "t", "x");
    expect_events(&s, "");
    expect_output(&s, "SUBSCRIBE #1 a:0 b:0|SUBSCRIBE #2 c:1|PUBLISH q1 #3 t=x");
    unsubscribe(&s, "b"); /* waits, and what comes after it stays behind it */
    publish(&s, 0, "b", "y");
    expect_events(&s, "");
    expect_output(&s, "");
    serve_codes(&s, GNT_MQTT_SUBACK, 2, "\1", 1);
    serve_ack(&s, GNT_MQTT_PUBACK, 3, 0);
    expect_events(&s, "done subscribe #2 ok 01 !01|done publish #3 ok");
    expect_output(&s, "");
    serve_codes(&s, GNT_MQTT_SUBACK, 1, "\0\0", 2);
    expect_events(&s, "done subscribe #1 ok 00 00|done publish #5 ok");
    expect_output(&s, "UNSUBSCRIBE #4 b|PUBLISH q0 b=y");
    script_free(&s);
}

/* One packet may name a filter twice, and many may be under way. */
static void many_at_once(void **state)
{
    enum { MANY = 300 };
    (void)state;
    struct script s;
    char filter[8];
    up(&s, true);
    subscribe_both(&s, "a", "a");
    unsubscribe(&s, "a");
    expect_events(&s, "");
    expect_output(&s, "SUBSCRIBE #1 a:0 a:0");
    serve_codes(&s, GNT_MQTT_SUBACK, 1, "\0\0", 2);
    expect_events(&s, "done subscribe #1 ok 00 00");
    expect_output(&s, "UNSUBSCRIBE #2 a");
    for (int i = 0; i < MANY; i++) {
        snprintf(filter, sizeof filter, "%d", i);
        subscribe(&s, filter, 0);
    }
    expect_events(&s, "");
    gnt_buf_clear(&s.said);
    for (int i = MANY - 1; i >= 0; i--) { /* the last one that was asked for is answered first */
        serve_codes(&s, GNT_MQTT_SUBACK, (uint16_t)(3 + i), "\0", 1);
        events_text(&s);
    }
    struct gnt_client_status status;
    gnt_client_status(s.c, &status);
    assert_int_equal(status.outstanding, 1);
    script_free(&s);
}

/* Answers all that has been asked for on this connection. */
static void answer_all(struct script *s)
{
    struct gnt_mqtt_packet packet;
    size_t size;
    take_output(s);
    while (next_output(s, &packet, &size)) {
        enum gnt_mqtt_type type =
            packet.type == GNT_MQTT_SUBSCRIBE ? GNT_MQTT_SUBACK : GNT_MQTT_UNSUBACK;
        if (type == GNT_MQTT_SUBACK || packet.type == GNT_MQTT_UNSUBSCRIBE)
            serve_codes(s, type, packet.filters.id, "\0", 1);
        gnt_buf_take(&s->said, size);
    }
}

/* A first request of two about one filter, the Nth allocation of which fails: it is not sent, or
 * the connection ends and it is sent on the next one. */
static bool one_fails(long n)
{
    struct script s;
    bool failed, up_again = false;
    up(&s, true);
    assert_int_equal(gnt_buf_reserve(&s.said, 4096), GNT_OK);
    subscribe(&s, "a", 0);
    unsubscribe(&s, "a");
    gnt_alloc_fail_at(n);
    events_text(&s);
    failed = gnt_alloc_failed();
    gnt_alloc_fail_at(-1);
    if (strstr(s.text, "closed")) {
        assert_string_equal(s.text, "closed NOMEM !80");
        gnt_buf_clear(&s.said);
        script_connect(&s, true);
        up_again = true;
        expect_events(&s, "connected again");
    }
    assert_int_equal(up_again, failed);
    answer_all(&s);
    expect_events(&s, "done subscribe #1 ok 00");
    answer_all(&s);
    expect_events(&s, "done unsubscribe #2 ok 00");
    script_free(&s);
    return failed;
}

static void without_memory_nothing_is_lost(void **state)
{
    (void)state;
    long n = 0;
    while (one_fails(n))
        n++;
    assert_in_range(n, 2, 20); /* the flight's window, the table of filters, the output */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_later_one_is_not_undone),
        cmocka_unit_test(so_is_another_qos),
        cmocka_unit_test(what_is_subscribed_again_is_the_last_word),
        cmocka_unit_test(other_filters_do_not_wait),
        cmocka_unit_test(many_at_once),
        cmocka_unit_test(without_memory_nothing_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
