#include "broker/inbox.h"

#include "base/rcu.h"
#include "broker/workers.h"
#include "core/session.h"
#include "support/alloc_fault.h"
#include "support/unit.h"

enum { A_TURN = 256 }; /* messages that are published between two turns */

static struct gnt_workers *workers;
static struct gnt_inbox inbox;

static int setup(void **state)
{
    (void)state;
    struct gnt_config config = {0};
    gnt_rcu_register();
    if (gnt_config_init(&config))
        return -1;
    config.sys_interval_ms = 0; /* nobody else publishes */
    if (gnt_workers_new(&config, 2, &gnt_door_system, &workers))
        return -1;
    gnt_config_fini(&config);
    gnt_inbox_init(&inbox);
    inbox.worker = &workers->worker[0];
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    gnt_inbox_fini(&inbox);
    gnt_workers_free(&workers);
    gnt_rcu_unregister();
    gnt_rcu_barrier();
    return 0;
}

static struct gnt_message *message(size_t size)
{
    uint8_t *payload = calloc(1, size + 1);
    const struct gnt_message_init init = {.topic = LITERAL("t"),
                                          .payload = gnt_slice(payload, size),
                                          .retain = true,
                                          .expires = GNT_NEVER};
    struct gnt_message *m = NULL;
    assert_int_equal(gnt_message_new(&init, &m), GNT_OK);
    free(payload);
    return m;
}

static gnt_err put(size_t size)
{
    struct gnt_message *m = message(size), *kept = m;
    gnt_err err = gnt_inbox_put(&inbox, &m);
    assert_ptr_equal(m, err ? kept : NULL);
    gnt_message_unref(&m);
    return err;
}

static uint64_t retained(void)
{
    return gnt_counted(&workers->worker[0].home->counters, GNT_COUNT_RETAINED);
}

static void test_published(void **state)
{
    (void)state;
    assert_false(gnt_inbox_turn(&inbox));
    assert_int_equal(put(10), GNT_OK);
    assert_int_equal(retained(), 0);
    assert_false(gnt_inbox_turn(&inbox));
    assert_int_equal(retained(), 1);
    assert_int_equal(inbox.bytes, 0);
}

static int wakes;

static void count_wake(struct gnt_poller *poller)
{
    (void)poller;
    wakes++;
}

/* Once, however much comes before it has looked. */
static void test_wakes_the_worker(void **state)
{
    (void)state;
    wakes = 0;
    workers->worker[0].loop.poller->wake = count_wake;
    for (int turn = 1; turn <= 2; turn++) {
        assert_int_equal(put(10), GNT_OK);
        assert_int_equal(wakes, turn);
        assert_int_equal(put(10), GNT_OK);
        assert_int_equal(wakes, turn);
        gnt_inbox_turn(&inbox);
    }
}

static void test_so_many_a_turn(void **state)
{
    (void)state;
    for (int i = 0; i < A_TURN + 1; i++)
        assert_int_equal(put(10), GNT_OK);
    assert_true(gnt_inbox_turn(&inbox));
    assert_true(inbox.bytes > 0);
    assert_false(gnt_inbox_turn(&inbox));
    assert_int_equal(inbox.bytes, 0);
}

static void test_bound(void **state)
{
    (void)state;
    assert_int_equal(put(GNT_INBOX_BYTES_MAX / 2), GNT_OK);
    assert_int_equal(put(GNT_INBOX_BYTES_MAX / 2), GNT_FULL);
    assert_int_equal(put(1000), GNT_OK);
    gnt_inbox_turn(&inbox);
    assert_int_equal(put(GNT_INBOX_BYTES_MAX + 1), GNT_OK); /* alone it may be as large as it is */
    assert_int_equal(put(0), GNT_FULL);
    gnt_inbox_turn(&inbox);
    assert_int_equal(put(0), GNT_OK);
}

static void do_nothing(const struct gnt_mail *mail)
{
    (void)mail;
}

/* Worker 1 does not take its mail: worker 0 publishes no more until it does. */
static void test_held_up(void **state)
{
    (void)state;
    const struct gnt_mail mail = {.run = do_nothing};
    while (!gnt_post_backlog(workers->post, 0))
        assert_int_equal(gnt_post_send(workers->post, 0, 1, &mail), GNT_OK);
    assert_int_equal(put(10), GNT_OK);
    assert_false(gnt_inbox_turn(&inbox)); /* the worker may sleep: room for mail wakes it */
    assert_int_equal(retained(), 0);

    gnt_worker_turn(&workers->worker[0], 0);
    assert_false(gnt_inbox_turn(&inbox));
    assert_int_equal(retained(), 0);
    gnt_worker_turn(&workers->worker[1], 0);
    gnt_worker_turn(&workers->worker[0], 60 * GNT_NS_PER_S);
    assert_false(gnt_post_backlog(workers->post, 0));
    assert_false(gnt_inbox_turn(&inbox));
    assert_int_equal(retained(), 1);
}

static gnt_err put_qos1(void)
{
    const struct gnt_message_init init = {
        .topic = LITERAL("t"), .payload = LITERAL("x"), .qos = 1, .expires = GNT_NEVER};
    struct gnt_message *m = NULL;
    assert_int_equal(gnt_message_new(&init, &m), GNT_OK);
    gnt_err err = gnt_inbox_put(&inbox, &m);
    gnt_message_unref(&m);
    return err;
}

static bool is_ready(struct gnt_receiver *r)
{
    (void)r;
    return false;
}

/* What a full queue holds still waits here, and is let go with it. */
static void test_held(void **state)
{
    (void)state;
    static const struct gnt_receiver_ops busy = {.ready = is_ready};
    struct gnt_receiver receiver = {&busy};
    struct gnt_home *home = workers->worker[0].home;
    home->config.queued_per_session = 2;
    struct gnt_session_open open = {.client_id = LITERAL("c"),
                                    .clean_start = true,
                                    .receive_max = 10};
    const struct gnt_sub_options options = {.qos = 1};
    struct gnt_session *session;
    bool present;
    enum gnt_outcome outcome;
    assert_int_equal(gnt_session_open(home, &open, &receiver, &session, &present), GNT_OK);
    gnt_session_resume(session);
    assert_true(gnt_session_subscribe(session, LITERAL("t"), &options, GNT_RETAIN_DO_NOT_SEND, NULL,
                                      &outcome));
    for (int i = 0; i < 4; i++)
        assert_int_equal(put_qos1(), GNT_OK);
    size_t all = inbox.bytes;
    gnt_inbox_turn(&inbox);
    assert_int_equal(inbox.bytes, all / 2);
    gnt_session_close(session, GNT_PARTING_CLEAN, 0);
    gnt_worker_turn(&workers->worker[0], 0);
    gnt_worker_turn(&workers->worker[0], 0);
    assert_int_equal(inbox.bytes, 0);
}

static void test_closed(void **state)
{
    (void)state;
    assert_int_equal(put(10), GNT_OK);
    gnt_inbox_close(&inbox);
    assert_int_equal(put(10), GNT_STATE);
    gnt_inbox_turn(&inbox);
    assert_int_equal(retained(), 1);
}

static void test_left_over(void **state)
{
    (void)state;
    for (int i = 0; i < A_TURN + 1; i++)
        assert_int_equal(put(10), GNT_OK);
    gnt_inbox_turn(&inbox);
    assert_int_equal(put(10), GNT_OK); /* one is taken, one is not: teardown frees both */
}

static void test_out_of_memory(void **state)
{
    (void)state;
    struct gnt_message *m = message(10);
    gnt_alloc_fail_at(0);
    gnt_err err = gnt_inbox_put(&inbox, &m);
    gnt_alloc_fail_at(-1);
    assert_int_equal(err, GNT_NOMEM);
    assert_non_null(m);
    assert_int_equal(inbox.bytes, 0);

    assert_int_equal(gnt_inbox_put(&inbox, &m), GNT_OK);
    gnt_alloc_fail_at(0);
    gnt_inbox_turn(&inbox);
    gnt_alloc_fail_at(-1);
    assert_int_equal(gnt_counted(&inbox.worker->home->counters, GNT_COUNT_DROPPED_NO_MEMORY), 1);
    assert_int_equal(inbox.bytes, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_published), TEST(test_wakes_the_worker), TEST(test_so_many_a_turn),
        TEST(test_bound),     TEST(test_held_up),          TEST(test_held),
        TEST(test_closed),    TEST(test_left_over),        TEST(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
