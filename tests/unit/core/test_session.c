#include "support/alloc_fault.h"
#include "support/unit.h"

#include "core/session.h"

#include "one_session.h"

/* ---- Life and death */

static void a_session_lives_as_long_as_it_asked_for(void **state)
{
    (void)state;
    static const struct {
        uint32_t expiry, most;
        bool clean;
        uint32_t away_s;
        bool present;
    } rows[] = {
        {0, UINT32_MAX, false, 0, false},
        {10, UINT32_MAX, false, 9, true},
        {10, UINT32_MAX, false, 11, false},
        {10, UINT32_MAX, true, 1, false},
        {100, 20, false, 19, true},
        {100, 20, false, 21, false},
        {GNT_EXPIRY_NEVER, UINT32_MAX, false, 100000000, true},
        {GNT_EXPIRY_NEVER, 50, false, 51, false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_core_config config = world_config(1);
        config.session_expiry_max_s = rows[i].most;
        struct world w;
        struct world_client c = {.id = "c"};
        world_init(&w, 1, &config);
        assert_true(world_connect(&w, &c, false, rows[i].expiry));
        assert_false(c.present);
        assert_counted(&w, GNT_COUNT_CONNECTED, 1);
        world_cut(&c);
        assert_counted(&w, GNT_COUNT_CONNECTED, 0);
        assert_counted(&w, GNT_COUNT_SESSIONS, rows[i].expiry ? 1 : 0);
        world_pass(&w, rows[i].away_s);
        assert_true(world_connect(&w, &c, rows[i].clean, 0));
        if (c.present != rows[i].present)
            print_error("row %zu\n", i);
        assert_true(c.present == rows[i].present);
        world_disconnect(&c);
        assert_counted(&w, GNT_COUNT_SESSIONS, 0);
        world_fini(&w);
    }
}

static void disconnect_may_change_the_expiry(void **state)
{
    (void)state;
    struct world w;
    struct world_client c = {.id = "c"};
    world_init(&w, 1, NULL);
    assert_true(world_connect(&w, &c, true, 100));
    gnt_session_close(c.session, GNT_PARTING_CLEAN, 0);
    assert_counted(&w, GNT_COUNT_SESSIONS, 0);
    assert_true(world_connect(&w, &c, true, 10));
    assert_int_equal(gnt_session_expiry(c.session), 10);
    gnt_session_close(c.session, GNT_PARTING_CLEAN, 30);
    world_pass(&w, 20);
    assert_counted(&w, GNT_COUNT_SESSIONS, 1);
    world_pass(&w, 20);
    assert_counted(&w, GNT_COUNT_SESSIONS, 0);
    assert_counted(&w, GNT_COUNT_SESSIONS_EXPIRED, 1);
    world_fini(&w);
}

static void an_ended_session_takes_its_subscriptions_along(void **state)
{
    (void)state;
    struct world w;
    struct world_client c = {.id = "c"};
    world_init(&w, 2, NULL);
    assert_true(world_connect(&w, &c, true, 100));
    assert_int_equal(world_subscribe(&c, "a/+", 1), GNT_DONE);
    assert_int_equal(world_subscribe(&c, "$share/g/a/+", 1), GNT_DONE);
    assert_counted(&w, GNT_COUNT_SUBSCRIPTIONS, 2);
    assert_counted(&w, GNT_COUNT_SHARED_SUBSCRIPTIONS, 1);
    world_cut(&c);
    assert_true(world_connect(&w, &c, false, 100)); /* kept */
    assert_true(c.present);
    assert_counted(&w, GNT_COUNT_SUBSCRIPTIONS, 2);
    assert_true(world_connect(&w, &c, true, 0)); /* and given up */
    assert_int_equal(c.closed, 1);
    world_settle(&w);
    assert_counted(&w, GNT_COUNT_SUBSCRIPTIONS, 0);
    assert_counted(&w, GNT_COUNT_SHARED_SUBSCRIPTIONS, 0);
    assert_int_equal(world_publish(&w, 0, "a/b", "x", 1, false), GNT_DONE_NO_MATCH);
    world_fini(&w);
}

/* [MQTT-3.1.4-3] */
static void the_newer_connection_takes_over(void **state)
{
    (void)state;
    struct world w;
    struct world_client old = {.id = "c"}, new = {.id = "c"};
    world_init(&w, 1, NULL);
    assert_true(world_connect(&w, &old, true, 100));
    assert_int_equal(world_subscribe(&old, "t", 1), GNT_DONE);
    world_publish(&w, 0, "t", "1", 1, false);
    assert_true(world_connect_held(&w, &new, false, 100));
    assert_true(new.present);
    assert_int_equal(old.closed, 1);
    assert_int_equal(old.why, GNT_CLOSE_TAKEN_OVER);
    assert_counted(&w, GNT_COUNT_TAKE_OVERS, 1);
    assert_counted(&w, GNT_COUNT_CONNECTED, 1);
    world_publish(&w, 0, "t", "2", 1, false);
    assert_int_equal(new.count, 0); /* CONNACK comes first */
    gnt_session_resume(new.session);
    assert_string_equal(world_payloads(&new, 0), "1 2 ");
    assert_true(new.got[0].dup);
    assert_false(new.got[1].dup);
    assert_int_equal(new.got[0].id, old.got[0].id);
    world_client_fini(&old);
    world_client_fini(&new);
    world_fini(&w);
}

/* ---- Wills [MQTT5 3.1.2.5, 3.1.3.2.2, 3.1.4] */

enum { NOT_AT_ALL = -1, LAST_SECOND = 130 };

struct will_row {
    const char *what;
    bool clean; /* DISCONNECT with 0x00 at second 0, else the connection breaks then */
    uint32_t delay, expiry;
    int back; /* the second of the next connection; 0: a take-over */
    bool clean_start;
    int published; /* in which second */
};

static const struct will_row will_rows[] = {
    {"a clean end drops it", true, 0, 100, NOT_AT_ALL, false, NOT_AT_ALL},
    {"also with a delay", true, 10, 100, NOT_AT_ALL, false, NOT_AT_ALL},
    {"also if the session ends", true, 0, 0, NOT_AT_ALL, false, NOT_AT_ALL},
    {"no delay", false, 0, 100, NOT_AT_ALL, false, 0},
    {"no delay, no session", false, 0, 0, NOT_AT_ALL, false, 0},
    {"the session ends at once", false, 10, 0, NOT_AT_ALL, false, 0},
    {"the delay ends", false, 10, 100, NOT_AT_ALL, false, 10},
    {"the session ends first", false, 100, 10, NOT_AT_ALL, false, 10},
    {"both at once", false, 10, 10, NOT_AT_ALL, false, 10},
    {"the longest delay", false, UINT32_MAX, 10, NOT_AT_ALL, false, 10},
    {"a session without end", false, 10, GNT_EXPIRY_NEVER, NOT_AT_ALL, false, 10},
    {"neither ends", false, UINT32_MAX, GNT_EXPIRY_NEVER, NOT_AT_ALL, false, NOT_AT_ALL},
    {"back in time", false, 10, 100, 5, false, NOT_AT_ALL},
    {"back too late", false, 10, 100, 15, false, 10},
    {"back, but as another", false, 10, 100, 5, true, 5},
    {"taken over, no delay", false, 0, 100, 0, false, 0},
    {"taken over and resumed", false, 10, 100, 0, false, NOT_AT_ALL},
    {"taken over by another session", false, 10, 100, 0, true, 0},
    {"taken over, the session had no longer life", false, 10, 0, 0, false, 0},
    {"taken over, longest delay, other session", false, UINT32_MAX, 100, 0, true, 0},
};

static void check_will(const struct will_row *row, unsigned homes)
{
    struct world w;
    char id[16];
    world_init(&w, homes, NULL);
    world_id_at(&w, homes - 1, 1, id);
    struct world_client c = {.id = id, .will_delay_s = row->delay}, watcher = {.id = "watcher"};
    assert_true(world_connect(&w, &watcher, true, 0));
    assert_int_equal(world_subscribe(&watcher, "will", 1), GNT_DONE);
    c.will = world_message("will", "gone", 1, false);
    assert_true(world_connect(&w, &c, true, row->expiry));
    int published = NOT_AT_ALL;
    for (int second = 0; second <= LAST_SECOND; second++) {
        if (second == 0 && row->back != 0)
            row->clean ? world_disconnect(&c) : world_cut(&c);
        c.will_delay_s = 0;
        if (second == row->back)
            assert_true(world_connect(&w, &c, row->clean_start, 0));
        world_settle(&w);
        if (watcher.count && published == NOT_AT_ALL)
            published = second;
        world_pass(&w, 1);
    }
    if (published != row->published)
        print_error("%s: in second %d\n", row->what, published);
    assert_int_equal(published, row->published);
    assert_true(watcher.count <= 1);
    if (row->back >= 0) /* the new connection has no will */
        world_cut(&c);
    world_settle(&w);
    assert_int_equal(watcher.count, published == NOT_AT_ALL ? 0 : 1);
    world_client_fini(&watcher);
    world_client_fini(&c);
    world_fini(&w);
}

static void wills(void **state)
{
    (void)state;
    for (unsigned homes = 1; homes <= 2; homes++)
        for (size_t i = 0; i < COUNT_OF(will_rows); i++)
            check_will(&will_rows[i], homes);
}

static void a_will_lives_from_its_publication(void **state)
{
    (void)state;
    struct world w;
    struct world_client c = {.id = "c", .will_delay_s = 50, .will_expiry_s = 10};
    struct world_client sleeper = {.id = "s"};
    world_init(&w, 1, NULL);
    assert_true(world_connect(&w, &sleeper, true, 1000));
    assert_int_equal(world_subscribe(&sleeper, "will", 1), GNT_DONE);
    world_cut(&sleeper);
    c.will = world_message("will", "gone", 1, false);
    assert_true(world_connect(&w, &c, true, 100));
    world_cut(&c);
    world_pass(&w, 51);
    assert_counted(&w, GNT_COUNT_QUEUED, 1);
    world_pass(&w, 8);
    assert_true(world_connect(&w, &sleeper, false, 1000));
    assert_int_equal(sleeper.count, 1);
    world_client_fini(&sleeper);
    world_fini(&w);
}

/* The Nth allocation fails when the connection breaks, or when its will comes to the watcher: it is
 * delivered, or it is dropped, and never both or twice.  Whether anything failed. */
static bool will_fails(long n, unsigned watches_at, bool retained)
{
    struct world w;
    char id[16], watcher_id[16];
    world_init(&w, 2, NULL);
    world_id_at(&w, 0, 1, id);
    world_id_at(&w, watches_at, 2, watcher_id);
    struct world_client c = {.id = id}, watcher = {.id = watcher_id};
    assert_true(world_connect(&w, &watcher, true, 100));
    assert_int_equal(world_subscribe(&watcher, "will", 1), GNT_DONE);
    c.will = world_message("will", "gone", 1, retained);
    assert_true(world_connect(&w, &c, true, 0));
    gnt_alloc_fail_at(n);
    world_cut(&c);
    world_settle(&w);
    bool failed = gnt_alloc_failed();
    gnt_alloc_fail_at(-1);
    if (!watcher.session) /* for lack of memory: it comes again */
        assert_true(world_connect(&w, &watcher, false, 100));
    world_settle(&w);
    world_answer(&watcher);
    assert_counted(&w, GNT_COUNT_DUE, 1);
    int64_t dropped = world_counted(&w, GNT_COUNT_DROPPED_NO_MEMORY);
    assert_int_equal((int64_t)watcher.count + dropped, 1);
    assert_true(failed || dropped == 0);
    world_client_fini(&watcher);
    world_client_fini(&c);
    world_fini(&w);
    return failed;
}

static void a_will_without_memory_is_counted_once(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        long n = 0;
        while (will_fails(n, i % 2, i / 2))
            n++;
        assert_true(n >= 2);
    }
}

/* ---- Flows */

static void at_least_once_across_breaks(void **state)
{
    (void)state;
    struct world w;
    struct world_client c = {.id = "c"};
    open_one(&w, &c, 100);
    publish(&w, "1", 1);
    assert_int_equal(c.count, 1);
    assert_counted(&w, GNT_COUNT_QUEUED, 1);
    for (size_t i = 1; i < 4; i++) { /* before PUBACK: again, as a duplicate with its id */
        again(&w, &c);
        assert_int_equal(c.count, i + 1);
        assert_true(c.got[i].dup);
        assert_int_equal(c.got[i].id, c.got[0].id);
    }
    assert_false(gnt_session_acknowledged(c.session, (uint16_t)(c.got[0].id + 1), NULL));
    assert_int_equal(gnt_session_received(c.session, c.got[0].id, false), GNT_NOTFOUND);
    assert_false(gnt_session_completed(c.session, c.got[0].id));
    assert_true(gnt_session_acknowledged(c.session, c.got[0].id, NULL));
    assert_false(gnt_session_acknowledged(c.session, c.got[0].id, NULL));
    assert_counted(&w, GNT_COUNT_QUEUED, 0);
    again(&w, &c); /* after it: never again */
    assert_int_equal(c.count, 4);
    close_one(&w, &c);
}

static void exactly_once_across_breaks(void **state)
{
    (void)state;
    struct world w;
    struct world_client c = {.id = "c"};
    open_one(&w, &c, 100);
    publish(&w, "1", 2);
    uint16_t id = c.got[0].id;
    assert_int_equal(c.got[0].qos, 2);
    again(&w, &c); /* before PUBREC */
    assert_int_equal(c.count, 2);
    assert_true(c.got[1].dup && c.got[1].id == id);
    assert_false(gnt_session_acknowledged(c.session, id, NULL));
    assert_false(gnt_session_completed(c.session, id));
    assert_int_equal(gnt_session_received(c.session, id, false), GNT_OK);
    assert_int_equal(gnt_session_received(c.session, id, false), GNT_OK); /* the same once more */
    assert_int_equal(c.released_count, 0); /* the front has sent these */
    for (size_t i = 1; i < 3; i++) {       /* before PUBCOMP */
        again(&w, &c);
        assert_int_equal(c.count, 2);
        assert_int_equal(c.released_count, i);
        assert_int_equal(c.released[i - 1], id);
    }
    assert_true(gnt_session_completed(c.session, id));
    assert_false(gnt_session_completed(c.session, id));
    again(&w, &c); /* after it */
    assert_int_equal(c.count, 2);
    assert_int_equal(c.released_count, 2);
    close_one(&w, &c);
}

static void a_refused_delivery_is_settled(void **state)
{
    (void)state;
    struct world w;
    struct world_client c = {.id = "c", .receive_max = 1};
    open_one(&w, &c, 100);
    publish(&w, "1", 2);
    publish(&w, "2", 2);
    assert_int_equal(c.count, 1);
    assert_int_equal(gnt_session_received(c.session, c.got[0].id, true), GNT_OK);
    assert_int_equal(c.count, 2);
    assert_false(gnt_session_completed(c.session, c.got[0].id));
    world_answer(&c);
    again(&w, &c);
    assert_int_equal(c.count, 2);
    assert_int_equal(c.released_count, 0);
    close_one(&w, &c);
}

static void what_came_once_is_remembered(void **state)
{
    (void)state;
    struct world w;
    struct world_client c = {.id = "c"};
    open_one(&w, &c, 100);
    assert_int_equal(gnt_session_receive_once(c.session, 7), GNT_OK);
    assert_int_equal(gnt_session_receive_once(c.session, 7), GNT_EXISTS);
    for (uint16_t id = 1000; id < 2000; id++)
        assert_int_equal(gnt_session_receive_once(c.session, id), GNT_OK);
    assert_int_equal(gnt_session_unreleased(c.session), 1001);
    again(&w, &c);
    assert_int_equal(gnt_session_receive_once(c.session, 7), GNT_EXISTS);
    assert_int_equal(gnt_session_released(c.session, 7), GNT_OK);
    assert_int_equal(gnt_session_released(c.session, 7), GNT_NOTFOUND);
    assert_int_equal(gnt_session_receive_once(c.session, 7), GNT_OK);
    close_one(&w, &c);
}

/* [MQTT-3.3.4-9] */
static void no_more_than_receive_maximum(void **state)
{
    (void)state;
    struct world w;
    struct world_client c = {.id = "c", .receive_max = 3};
    open_one(&w, &c, 100);
    static const char *const payloads[] = {"1", "2", "3", "4", "5", "6"};
    for (size_t i = 0; i < COUNT_OF(payloads); i++)
        publish(&w, payloads[i], i % 2 ? 2 : 1);
    assert_int_equal(c.count, 3);
    assert_counted(&w, GNT_COUNT_QUEUED, 6);
    assert_int_equal(gnt_session_received(c.session, c.got[1].id, false), GNT_OK);
    assert_int_equal(c.count, 3); /* PUBREC alone makes no room [MQTT5 4.9] */
    assert_true(gnt_session_completed(c.session, c.got[1].id));
    assert_int_equal(c.count, 4);
    while (world_answer(&c))
        ;
    assert_string_equal(world_payloads(&c, 0), "1 2 3 4 5 6 ");
    close_one(&w, &c);
}

static void a_smaller_receive_maximum_holds_for_what_is_sent_again(void **state)
{
    (void)state;
    struct world w;
    struct world_client c = {.id = "c"};
    open_one(&w, &c, 100);
    for (int i = 0; i < 5; i++)
        publish(&w, (const char *[]){"1", "2", "3", "4", "5"}[i], 1);
    world_cut(&c);
    publish(&w, "6", 1);
    c.receive_max = 2;
    assert_true(world_connect(&w, &c, false, 100));
    assert_string_equal(world_payloads(&c, 5), "1 2 ");
    publish(&w, "7", 1); /* not before what was there */
    assert_true(gnt_session_acknowledged(c.session, c.got[5].id, NULL));
    assert_string_equal(world_payloads(&c, 5), "1 2 3 ");
    /* A late answer from the last connection settles what has not been sent again yet, */
    assert_true(gnt_session_acknowledged(c.session, c.got[4].id, NULL));
    /* and gives no room for more: 2 and 3 are still there. */
    assert_string_equal(world_payloads(&c, 5), "1 2 3 ");
    while (world_answer(&c))
        ;
    assert_string_equal(world_payloads(&c, 5), "1 2 3 4 6 7 ");
    assert_true(c.got[8].dup);
    assert_false(c.got[9].dup);
    close_one(&w, &c);
}

/* PUBCOMP for what was published on an earlier connection makes no room on this one. */
static void old_releases_do_not_widen_the_window(void **state)
{
    (void)state;
    struct world w;
    struct world_client c = {.id = "c"};
    open_one(&w, &c, 100);
    publish(&w, "1", 2);
    uint16_t id = c.got[0].id;
    assert_int_equal(gnt_session_received(c.session, id, false), GNT_OK);
    world_cut(&c);
    c.receive_max = 1;
    assert_true(world_connect(&w, &c, false, 100));
    publish(&w, "2", 1);
    publish(&w, "3", 1);
    assert_int_equal(c.count, 2);
    assert_true(gnt_session_completed(c.session, id));
    assert_int_equal(c.count, 2);
    while (world_answer(&c))
        ;
    assert_int_equal(c.count, 3);
    close_one(&w, &c);
}

static void all_is_sent_again_in_its_order(void **state)
{
    (void)state;
    struct world w;
    struct world_client c = {.id = "c"};
    open_one(&w, &c, 100);
    for (int i = 0; i < 6; i++)
        publish(&w, (const char *[]){"1", "2", "3", "4", "5", "6"}[i], i % 2 ? 1 : 2);
    assert_int_equal(gnt_session_received(c.session, c.got[2].id, false),
                     GNT_OK);                                            /* 3 is released */
    assert_true(gnt_session_acknowledged(c.session, c.got[3].id, NULL)); /* 4 is settled */
    again(&w, &c);
    assert_string_equal(world_payloads(&c, 6), "1 2 5 6 ");
    assert_int_equal(c.released_count, 1);
    assert_int_equal(c.released[0], c.got[2].id);
    close_one(&w, &c);
}

/* One delivery that is never answered must not lose what comes 65,535 ids later. */
static void an_id_that_is_never_settled(void **state)
{
    (void)state;
    struct world w;
    struct world_client c = {.id = "c"};
    open_one(&w, &c, 100);
    publish(&w, "stuck", 1);
    c.answered = 1;
    for (int i = 0; i < 65534; i++) {
        publish(&w, "x", 1);
        world_answer(&c);
    }
    assert_int_equal(c.count, 65535);
    publish(&w, "y", 1);
    assert_int_equal(c.count, 65535);
    assert_true(gnt_session_acknowledged(c.session, c.got[0].id, NULL));
    assert_int_equal(c.count, 65536);
    assert_counted(&w, GNT_COUNT_DROPPED_NO_MEMORY, 0);
    close_one(&w, &c);
}

static void a_busy_receiver_gets_it_later(void **state)
{
    (void)state;
    struct world w;
    struct world_client c = {.id = "c"};
    open_one(&w, &c, 0);
    c.busy = true;
    publish(&w, "1", 0);
    publish(&w, "2", 1);
    publish(&w, "3", 2);
    assert_int_equal(c.count, 0);
    c.busy = false;
    publish(&w, "4", 0); /* not before the other ones */
    assert_int_equal(c.count, 0);
    gnt_session_ready(c.session);
    assert_string_equal(world_payloads(&c, 0), "1 2 3 4 ");
    close_one(&w, &c);
}

static void a_receiver_without_memory_is_closed_and_nothing_is_lost(void **state)
{
    (void)state;
    struct world w;
    struct world_client c = {.id = "c"};
    open_one(&w, &c, 100);
    publish(&w, "0", 2);
    assert_int_equal(gnt_session_received(c.session, c.got[0].id, false), GNT_OK);
    c.out_of_memory = true;
    publish(&w, "1", 1);
    publish(&w, "2", 1);
    world_settle(&w);
    assert_int_equal(c.closed, 1);
    assert_int_equal(c.why, GNT_CLOSE_NO_MEMORY);
    assert_true(world_connect(&w, &c, false, 100)); /* and once more, on the release */
    world_settle(&w);
    assert_int_equal(c.closed, 2);
    c.out_of_memory = false;
    assert_true(world_connect(&w, &c, false, 100));
    assert_string_equal(world_payloads(&c, 1), "1 2 ");
    assert_int_equal(c.released_count, 1);
    close_one(&w, &c);
}

/* [MQTT-3.1.2-24], [MQTT-3.1.2-25] */
static void what_is_too_large_counts_as_settled(void **state)
{
    (void)state;
    struct world w;
    struct world_client c = {.id = "c", .receive_max = 1};
    open_one(&w, &c, 100);
    c.payload_max = 3;
    for (uint8_t qos = 0; qos < 3; qos++)
        publish(&w, "large", qos);
    publish(&w, "1", 1);
    publish(&w, "large", 1);
    publish(&w, "2", 1);
    world_answer(&c);
    assert_string_equal(world_payloads(&c, 0), "1 2 ");
    assert_counted(&w, GNT_COUNT_DROPPED_TOO_LARGE, 4);
    publish(&w, "abc", 1);
    world_cut(&c);
    c.payload_max = 2; /* smaller than when it was sent first */
    assert_true(world_connect(&w, &c, false, 100));
    assert_counted(&w, GNT_COUNT_DROPPED_TOO_LARGE, 5);
    assert_int_equal(c.count, 3); /* 2 again */
    world_answer(&c);
    assert_counted(&w, GNT_COUNT_QUEUED, 0);
    close_one(&w, &c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_lives_as_long_as_it_asked_for),
        cmocka_unit_test(disconnect_may_change_the_expiry),
        cmocka_unit_test(an_ended_session_takes_its_subscriptions_along),
        cmocka_unit_test(the_newer_connection_takes_over),
        cmocka_unit_test(wills),
        cmocka_unit_test(a_will_lives_from_its_publication),
        cmocka_unit_test(a_will_without_memory_is_counted_once),
        cmocka_unit_test(at_least_once_across_breaks),
        cmocka_unit_test(exactly_once_across_breaks),
        cmocka_unit_test(a_refused_delivery_is_settled),
        cmocka_unit_test(what_came_once_is_remembered),
        cmocka_unit_test(no_more_than_receive_maximum),
        cmocka_unit_test(a_smaller_receive_maximum_holds_for_what_is_sent_again),
        cmocka_unit_test(old_releases_do_not_widen_the_window),
        cmocka_unit_test(all_is_sent_again_in_its_order),
        cmocka_unit_test(an_id_that_is_never_settled),
        cmocka_unit_test(a_busy_receiver_gets_it_later),
        cmocka_unit_test(a_receiver_without_memory_is_closed_and_nothing_is_lost),
        cmocka_unit_test(what_is_too_large_counts_as_settled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
