/* What is kept, where each allocation fails once: what somebody was told is kept is there after the
 * end of the process, and nothing leaks (the sanitizer looks). */
#include "core/keep.h"

#include "store/memory.h"
#include "support/alloc_fault.h"
#include "support/core_world.h"
#include "support/unit.h"

/* A life until the process ends: what has been promised in it. */
struct told {
    bool connected, subscribed, retained, received;
    bool failed;   /* an allocation */
    unsigned sent; /* bits of the messages that were acknowledged */
};

static void nobody(struct gnt_home *home, struct gnt_work *work)
{
    (void)home, (void)work;
}

/* As a publisher who can be told, at HOME. */
static bool publish(struct world *w, unsigned home, const char *topic, const char *payload,
                    uint8_t qos, bool retain)
{
    struct gnt_receipt receipt = {.outcome = GNT_DONE};
    gnt_work_init(&receipt.settled, nobody);
    struct gnt_message *m = world_message(topic, payload, qos, retain);
    if (!m)
        return false;
    enum gnt_outcome outcome = gnt_publish(&w->core->homes[home], m, &receipt);
    gnt_message_unref(&m);
    assert_int_equal(receipt.outstanding, 0);
    return outcome == GNT_DONE || outcome == GNT_DONE_NO_MATCH;
}

static void first_life(struct world *w, struct world_client *c, long n, struct told *told)
{
    gnt_alloc_fail_at(n);
    told->connected = world_connect(w, c, false, 1000);
    if (told->connected) {
        enum gnt_outcome outcome = GNT_FAILED;
        const struct gnt_sub_options options = {.qos = 2, .id = 7};
        gnt_session_subscribe(c->session, gnt_slice_str("t/+"), &options, GNT_RETAIN_SEND, NULL,
                              &outcome);
        told->subscribed = outcome == GNT_DONE;
        told->received = gnt_session_receive_once(c->session, 9) == GNT_OK;
        told->sent |= publish(w, 0, "t/1", "0", 1, false) ? 1u << 0 : 0;
        told->sent |= publish(w, 1, "t/2", "1", 2, false) ? 1u << 1 : 0;
        if (c->session) {
            world_disconnect(c);
            told->sent |= publish(w, 0, "t/3", "2", 2, false) ? 1u << 2 : 0;
        }
    }
    told->retained = publish(w, 1, "r", "x", 1, true);
    told->failed = gnt_alloc_failed();
    gnt_alloc_fail_at(-1);
    world_settle(w);
}

static void second_life(struct world *w, struct world_client *c, const struct told *told)
{
    c->count = c->answered = 0;
    assert_true(world_connect(w, c, false, 1000));
    assert_true(c->present || !told->connected);
    world_settle(w);
    unsigned got = 0;
    for (size_t i = 0; i < c->count; i++)
        got |= 1u << (c->got[i].payload[0] - '0');
    unsigned due = told->subscribed ? told->sent : 0;
    assert_int_equal(got & due, due);
    struct gnt_message *m = gnt_tree_retained_at(w->core->tree, gnt_slice_str("r"));
    assert_true(m || !told->retained);
    gnt_message_unref(&m);
    if (told->received)
        assert_int_equal(gnt_session_receive_once(c->session, 9), GNT_EXISTS);
    if (told->subscribed) {
        c->count = c->answered = 0;
        assert_true(publish(w, 0, "t/4", "4", 1, false));
        world_settle(w);
        assert_int_equal(c->count, 1);
        assert_int_equal(c->got[0].ids[0], 7);
    }
    world_disconnect(c);
    world_fini(w);
}

/* The home of the client is not the one that all is published at. */
static void what_was_told_is_true(void **state)
{
    (void)state;
    bool failed = true;
    for (long n = 0; failed; n++) {
        struct gnt_store *store;
        struct world w;
        char id[16];
        struct world_client c = {.id = id};
        struct told told = {.sent = 0};
        assert_int_equal(gnt_store_memory_open(NULL, &store), GNT_OK);
        world_init_kept(&w, 2, NULL, store);
        world_id_at(&w, 1, 0, id);
        first_life(&w, &c, n, &told);
        failed = told.failed;
        struct world_client *clients[] = {&c};
        world_crash(&w, clients, 1);
        world_init_kept(&w, 2, NULL, store);
        second_life(&w, &c, &told);
        world_client_fini(&c);
        gnt_store_close(&store);
        assert_true(failed || (told.connected && told.subscribed && told.retained &&
                               told.received && told.sent == 7));
        assert_true(n < 1000);
    }
}

/* ---- What another home acknowledges, and its receiver's home has no memory for */

struct mailed {
    struct gnt_receipt receipt;
    bool settled;
};

static void on_settled(struct gnt_home *home, struct gnt_work *work)
{
    (void)home;
    struct gnt_receipt *r = GNT_CONTAINER(work, struct gnt_receipt, settled);
    GNT_CONTAINER(r, struct mailed, receipt)->settled = true;
}

/* One message at QOS for a client that is away, from another home; where WAITS its publisher is
 * told by the receiver's home, else before.  Its delivery fails at the Nth allocation.  Whether
 * its publisher was told that all is well; *failed: whether it did fail. */
static bool mail_one(struct world *w, uint8_t qos, bool waits, long n, bool *failed)
{
    struct mailed m = {.settled = false};
    gnt_work_init(&m.receipt.settled, on_settled);
    if (waits)
        atomic_fetch_add(&w->core->homes[1].full, 1);
    struct gnt_message *message = world_message("t/1", "1", qos, false);
    enum gnt_outcome outcome = gnt_publish(&w->core->homes[0], message, &m.receipt);
    gnt_message_unref(&message);
    assert_int_equal(outcome, waits ? GNT_WITHHELD : GNT_DONE);
    world_commit(w);
    gnt_alloc_fail_at(n);
    assert_true(world_mail_one(w, 0, 1));
    *failed = gnt_alloc_failed();
    gnt_alloc_fail_at(-1);
    world_settle(w);
    assert_true(m.settled == waits);
    if (waits)
        atomic_fetch_sub(&w->core->homes[1].full, 1);
    assert_ledger(w);
    bool told = m.receipt.outcome == GNT_DONE;
    if (waits && told) /* it is there, or there was not even memory to take it back */
        assert_true(world_counted(w, GNT_COUNT_QUEUED) == 1 ||
                    world_counted(w, GNT_COUNT_KEEP_FAILURES));
    return told;
}

/* A success is true, at the latest after the next start; and at QoS 2 a publisher that is told to
 * send it again makes one of it, not two. */
static bool is_mailed_truly(uint8_t qos, bool waits, long n)
{
    struct gnt_store *store;
    struct world w;
    char id[16];
    bool failed;
    struct world_client c = {.id = id};
    struct world_client *clients[] = {&c};
    assert_int_equal(gnt_store_memory_open(NULL, &store), GNT_OK);
    world_init_kept(&w, 2, NULL, store);
    world_id_at(&w, 1, 0, id);
    assert_true(world_connect(&w, &c, false, 1000));
    assert_int_equal(world_subscribe(&c, "t/+", 2), GNT_DONE);
    world_disconnect(&c);
    world_settle(&w);
    bool told = mail_one(&w, qos, waits, n, &failed);
    world_crash(&w, clients, 1);
    world_init_kept(&w, 2, NULL, store);
    assert_true(world_connect(&w, &c, false, 1000));
    world_settle(&w);
    assert_in_range(c.count, told, told || qos == 1);
    world_disconnect(&c);
    world_fini(&w);
    world_client_fini(&c);
    gnt_store_close(&store);
    return failed;
}

static void what_another_home_acknowledged_is_true(void **state)
{
    (void)state;
    for (int how = 0; how < 4; how++) {
        long n = 0;
        while (is_mailed_truly(how & 1 ? 2 : 1, how & 2, n))
            n++;
        assert_in_range(n, 4, 100);
    }
}

/* ---- A session whose end could not be written, and the next one of its client */

static void count_one(struct gnt_store_read *r, const struct gnt_store_record *record)
{
    (void)record;
    ++*(unsigned *)r->completion.context;
}

static void deliver_counted(void *context, struct gnt_completion *c)
{
    (void)context;
    gnt_store_complete(c);
}

static void counted(struct gnt_completion *c, gnt_err result)
{
    (void)c;
    assert_int_equal(result, GNT_OK);
}

static unsigned records(struct gnt_store *store, const char *table)
{
    unsigned count = 0;
    struct gnt_store_read read = {
        .record = count_one,
        .completion = {.done = counted, .deliver = deliver_counted, .context = &count},
    };
    gnt_store_scan(store, gnt_slice_str(table), gnt_slice_str(""), gnt_slice_str(""),
                   GNT_STORE_READ_MAX, &read);
    return count;
}

/* The client begins anew, and the Nth allocation fails.  Whether its first session was left in the
 * store beside the second; *failed: whether the allocation did. */
static bool begins_anew(long n, bool *failed)
{
    struct gnt_store *store;
    struct world w;
    struct world_client c = {.id = "c"};
    struct world_client *clients[] = {&c};
    assert_int_equal(gnt_store_memory_open(NULL, &store), GNT_OK);
    world_init_kept(&w, 2, NULL, store);
    c.will = world_message("will", "x", 1, false);
    c.will_delay_s = 50;
    assert_true(world_connect(&w, &c, false, 1000));
    assert_int_equal(world_subscribe(&c, "old", 1), GNT_DONE);
    world_disconnect(&c);
    assert_true(publish(&w, 0, "old", "1", 1, false));
    world_settle(&w);
    gnt_alloc_fail_at(n);
    bool begun = world_connect(&w, &c, true, 1000);
    *failed = gnt_alloc_failed();
    gnt_alloc_fail_at(-1);
    if (begun)
        assert_int_equal(world_subscribe(&c, "new", 1), GNT_DONE);
    world_settle(&w);
    world_crash(&w, clients, 1);
    bool both = records(store, "session") == 2;
    for (int life = 0; begun && life < 2; life++) {
        world_init_kept(&w, 2, NULL, store);
        assert_int_equal(w.recovered.sessions, 1);
        assert_counted(&w, GNT_COUNT_SESSIONS, 1);
        c.count = c.answered = 0;
        assert_true(world_connect(&w, &c, false, 1000));
        assert_true(c.present);
        assert_true(publish(&w, 0, "new", "2", 1, false));
        assert_true(publish(&w, 0, "old", "3", 1, false));
        world_settle(&w);
        assert_string_equal(world_payloads(&c, 0), "2 ");
        world_answer(&c);
        world_settle(&w);
        world_crash(&w, clients, 1);
        assert_int_equal(records(store, "session"), 1);
        assert_int_equal(records(store, "sub"), 1);
    }
    world_client_fini(&c);
    gnt_store_close(&store);
    return both;
}

static void a_client_has_one_session(void **state)
{
    (void)state;
    unsigned left = 0;
    bool failed = true;
    for (long n = 0; failed; n++) {
        left += begins_anew(n, &failed);
        assert_in_range(n, 0, 1000);
    }
    assert_true(left > 0); /* else this shows nothing */
}

/* What was on its way between two homes arrives at the only one that is left, although its recovery
 * is cut short once, at the Nth allocation.  Whether it was. */
static bool recovery_begins_again_after(long n)
{
    struct gnt_store *store;
    struct world w;
    char id[2][16];
    struct world_client a = {.id = id[0]}, b = {.id = id[1]}, *both[] = {&a, &b};
    assert_int_equal(gnt_store_memory_open(NULL, &store), GNT_OK);
    world_init_kept(&w, 2, NULL, store);
    world_id_at(&w, 0, 0, id[0]);
    world_id_at(&w, 1, 0, id[1]);
    for (size_t i = 0; i < 2; i++) {
        assert_true(world_connect(&w, both[i], false, 1000));
        assert_int_equal(world_subscribe(both[i], i ? "b" : "a", 2), GNT_DONE);
        world_disconnect(both[i]);
    }
    assert_int_equal(world_publish(&w, 1, "a", "to a", 2, false), GNT_DONE);
    assert_int_equal(world_publish(&w, 0, "b", "to b", 2, false), GNT_DONE);
    world_commit(&w);
    world_crash(&w, both, 2);

    gnt_err err = world_try_kept(&w, 1, store, n);
    if (err)
        world_init_kept(&w, 1, NULL, store);
    for (size_t i = 0; i < 2; i++)
        assert_true(world_connect(&w, both[i], false, 1000) && both[i]->present);
    world_settle(&w);
    if (err != GNT_IO) {
        assert_string_equal(world_payloads(&a, 0), "to a ");
        assert_string_equal(world_payloads(&b, 0), "to b ");
    }
    world_fini(&w);
    world_client_fini(&a);
    world_client_fini(&b);
    gnt_store_close(&store);
    return err;
}

static void recovery_begins_again(void **state)
{
    (void)state;
    long n = 0;
    for (unsigned well = 0; well < 20; n++) /* some failures are none */
        well = recovery_begins_again_after(n) ? 0 : well + 1;
    assert_true(n > 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_told_is_true),
        cmocka_unit_test(what_another_home_acknowledged_is_true),
        cmocka_unit_test(a_client_has_one_session),
        cmocka_unit_test(recovery_begins_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
