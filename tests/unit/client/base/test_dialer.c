/* What becomes of the wish for a connection; attempts that reach somebody are in the clients' own
 * tests. */
#include "client/base/dialer.h"
#include "support/unit.h"

#include <string.h>

static struct gnt_thread thread;
static struct gnt_dialer dialer;
static unsigned failures;
static gnt_err failed_with;

static void failed(struct gnt_dialer *d, const struct gnt_link_trouble *trouble)
{
    const struct gnt_ending e = {.error = trouble->err};
    failures++;
    failed_with = trouble->err;
    (void)gnt_dialer_ended(d, &e);
}

static const struct gnt_dialer_ops ops = {.failed = failed};

static const struct gnt_dialer_terms usual = {.connect_timeout_ms = 1000,
                                              .min_ms = 100,
                                              .max_ms = 1000};

static void begin(const struct gnt_dialer_terms *terms)
{
    static const struct gnatter_tls_options no_tls;
    static const struct gnatter_transport no_transport;
    const struct gnt_link_target target = {.url = "unix:///nonexistent/socket",
                                           .kind = GNT_URL_MQTT,
                                           .protocol = "mqtt",
                                           .tls = &no_tls,
                                           .transport = &no_transport};
    memset(&dialer, 0, sizeof dialer);
    failures = 0;
    assert_int_equal(gnt_thread_init(&thread), GNT_OK);
    assert_int_equal(gnt_dialer_init(&dialer, &ops, &thread, terms, &target), GNT_OK);
    pthread_mutex_lock(&thread.lock);
}

static void end(void)
{
    pthread_mutex_unlock(&thread.lock);
    gnt_link_abandon(&dialer.link);
    gnt_dialer_fini(&dialer);
    gnt_thread_fini(&thread);
}

/* Whether another attempt follows. */
static void again_or_not(void **state)
{
    (void)state;
    static const struct {
        int error;
        enum gnt_lasting lasting;
        bool wanted, once, no_reconnect, on_refusal, again;
    } rows[] = {
        {GNT_REFUSED, GNT_LASTS_NOT, .wanted = true, .again = true},
        {GNT_REFUSED, GNT_LASTS_NOT, .wanted = false},
        {GNT_REFUSED, GNT_LASTS_NOT, .wanted = true, .once = true},
        {GNT_REFUSED, GNT_LASTS_NOT, .wanted = true, .no_reconnect = true},
        {GNT_DENIED, GNT_LASTS, .wanted = true},
        {GNT_DENIED, GNT_LASTS, .wanted = true, .on_refusal = true, .again = true},
        {GNT_DENIED, GNT_LASTS_FOR_GOOD, .wanted = true, .on_refusal = true},
        {GNT_OK, GNT_LASTS_NOT, .wanted = true},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_dialer_terms terms = usual;
        terms.no_reconnect = rows[i].no_reconnect;
        terms.on_refusal = rows[i].on_refusal;
        begin(&terms);
        dialer.wanted = rows[i].wanted;
        dialer.once = rows[i].once;
        const struct gnt_retry retry =
            gnt_dialer_ended(&dialer, &(struct gnt_ending){rows[i].error, rows[i].lasting, false});
        assert_int_equal(retry.again, rows[i].again);
        assert_int_equal(retry.in_ms > 0, rows[i].again);
        assert_int_equal(dialer.state, rows[i].again ? GNT_LINK_WAITING : GNT_LINK_DOWN);
        assert_int_equal(dialer.deadline == GNT_NEVER, !rows[i].again);
        assert_int_equal(dialer.wanted, rows[i].again || (rows[i].wanted && !rows[i].error));
        assert_false(dialer.once);
        assert_int_equal(gnt_dialer_why(&dialer), rows[i].error ? rows[i].error : GNT_CLOSED);
        end();
    }
}

/* Waits grow from min_ms to max_ms, and begin anew behind a connection that has lasted. */
static void waits_grow(void **state)
{
    (void)state;
    const struct gnt_ending e = {.error = GNT_IO};
    begin(&usual);
    dialer.wanted = true;
    uint32_t most = usual.min_ms;
    for (int i = 0; i < 6; i++) {
        const struct gnt_retry retry = gnt_dialer_ended(&dialer, &e);
        assert_in_range(retry.in_ms, most / 2, most);
        most = most * 2 < usual.max_ms ? most * 2 : usual.max_ms;
    }
    gnt_dialer_connected(&dialer);
    assert_in_range(gnt_dialer_ended(&dialer, &e).in_ms, usual.max_ms / 2, usual.max_ms);
    gnt_dialer_connected(&dialer);
    dialer.connected_at -= 60 * GNT_NS_PER_S;
    assert_in_range(gnt_dialer_ended(&dialer, &e).in_ms, usual.min_ms / 2, usual.min_ms);
    assert_int_equal(dialer.connections, 2);
    end();
}

/* Nobody is asked before somebody wants it; what fails at once is told, and it comes to rest. */
static void steps(void **state)
{
    (void)state;
    struct gnt_dialer_terms terms = usual;
    terms.no_reconnect = true;
    begin(&terms);
    gnt_dialer_step(&dialer);
    assert_int_equal(failures, 0);
    assert_true(gnt_dialer_at_rest(&dialer));
    gnt_dialer_touch(&dialer);
    assert_int_equal(gnt_dialer_wait_ns(&dialer, GNT_NEVER), 0);
    gnt_dialer_step(&dialer);
    while (dialer.state == GNT_LINK_OPENING) {
        gnt_dialer_want(&dialer, false, true);
        gnt_thread_turn(&thread, GNT_NS_PER_S);
        gnt_dialer_step(&dialer);
    }
    assert_int_equal(failures, 1);
    assert_true(failed_with < 0);
    assert_true(gnt_dialer_at_rest(&dialer));
    gnt_dialer_touch(&dialer); /* it has been asked for before: no starting by itself */
    assert_true(gnt_dialer_at_rest(&dialer));
    gnt_dialer_stop(&dialer, true);
    assert_int_equal(gnt_dialer_start(&dialer), GNT_STATE);
    end();
}

/* While it waits for its time, somebody who wants it now does not. */
static void wanted_now(void **state)
{
    (void)state;
    begin(&usual);
    dialer.wanted = true;
    (void)gnt_dialer_ended(&dialer, &(struct gnt_ending){.error = GNT_IO});
    assert_int_equal(dialer.state, GNT_LINK_WAITING);
    assert_int_equal(gnt_dialer_start(&dialer), GNT_OK);
    assert_int_equal(dialer.deadline, 0);
    gnt_dialer_stop(&dialer, false);
    gnt_dialer_step(&dialer);
    assert_true(gnt_dialer_at_rest(&dialer));
    gnt_dialer_settle(&dialer, GNT_NEVER);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(again_or_not),
        cmocka_unit_test(waits_grow),
        cmocka_unit_test(steps),
        cmocka_unit_test(wanted_now),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
