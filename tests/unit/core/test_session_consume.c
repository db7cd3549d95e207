/* Sessions that are consumers of queues, by "$queue/NAME". */
#include "core/session_private.h"

#include "store/memory.h"
#include "support/alloc_fault.h"
#include "support/queue_world.h"
#include "support/unit.h"

#include <stdio.h>

enum { HOMES = 3 };

static struct world w;
static char ids[2][16];
static struct world_client a, b;

/* A and B live where the queue may or may not be. */
static void begin(struct gnt_store *store)
{
    struct gnt_core_config config = world_config(HOMES);
    config.auto_create = true;
    if (store)
        world_init_kept(&w, HOMES, &config, store);
    else
        world_init(&w, HOMES, &config);
    world_id_at(&w, 0, 0, ids[0]);
    world_id_at(&w, 1, 0, ids[1]);
}

static int setup(void **state)
{
    (void)state;
    begin(NULL);
    a = (struct world_client){.id = ids[0]};
    b = (struct world_client){.id = ids[1]};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    world_settle(&w);
    if (a.session)
        world_disconnect(&a);
    if (b.session)
        world_disconnect(&b);
    world_fini(&w);
    world_client_fini(&a);
    world_client_fini(&b);
    return 0;
}

static void clean(struct world_client *c)
{
    assert_true(world_connect(&w, c, true, 0));
    world_settle(&w);
}

static void put(const char *words)
{
    char word[2] = {0};
    uint64_t q = queue_id(&w, "q", NULL);
    for (; (word[0] = *words); words++)
        queue_send(&w, 2, q, word, true, NULL);
    world_settle(&w);
}

static void answer(struct world_client *c, const struct gnt_refusal *refusal)
{
    assert_true(gnt_session_acknowledged(c->session, c->got[c->answered++].id, refusal));
    world_settle(&w);
}

static void assert_queue(const char *name, uint64_t ready, uint64_t held)
{
    struct gnt_queue_facts facts = queue_facts(&w, name);
    assert_int_equal(facts.ready, ready);
    assert_int_equal(facts.held, held);
}

static void compete(void **state)
{
    (void)state;
    clean(&a);
    clean(&b);
    assert_int_equal(world_subscribe(&a, "$queue/q", 1), GNT_DONE);
    assert_int_equal(world_subscribe(&b, "$queue/Q", 1), GNT_DONE);
    put("1234");
    assert_int_equal(a.count + b.count, 4);
    assert_int_equal(a.count, 2);
    assert_string_equal(a.got[0].topic, "$queue/q"); /* as each has called it */
    assert_string_equal(b.got[0].topic, "$queue/Q");
    assert_int_equal(a.got[0].qos, 1);
    assert_queue("q", 0, 4);
    assert_int_equal(world_answer(&a) + world_answer(&b), 4);
    world_settle(&w);
    assert_queue("q", 0, 0);
    assert_counted(&w, GNT_COUNT_DELIVERED, 4);
    assert_counted(&w, GNT_COUNT_SUBSCRIPTIONS, 2);
}

static void one_at_a_time(void **state)
{
    (void)state;
    a.receive_max = 1;
    clean(&a);
    assert_int_equal(world_subscribe(&a, "$queue/q", 1), GNT_DONE);
    put("123");
    assert_int_equal(a.count, 1);
    assert_queue("q", 2, 1);
    answer(&a, NULL);
    assert_string_equal(world_payloads(&a, 0), "1 2 ");
    answer(&a, NULL);
    answer(&a, NULL);
    assert_string_equal(world_payloads(&a, 0), "1 2 3 ");
    assert_queue("q", 0, 0);
}

/* Of many there are never more with the client than it takes, or than are fair. */
static void as_many_as_it_takes(void **state)
{
    (void)state;
    clean(&a);
    assert_int_equal(world_subscribe(&a, "$queue/q", 1), GNT_DONE);
    uint64_t q = queue_id(&w, "q", NULL);
    for (int i = 0; i < 1000; i++)
        queue_send(&w, 2, q, "x", false, NULL);
    world_settle(&w);
    assert_int_equal(a.count, 128);
    assert_queue("q", 1000 - 128, 128);
    for (int i = 0; i < 1000; i++) {
        assert_true(a.count - a.answered <= 128);
        answer(&a, NULL);
    }
    assert_queue("q", 0, 0);
}

/* Who waits for a number of messages before it answers any gets them, if it takes so many. */
static void in_batches(void **state)
{
    (void)state;
    clean(&a);
    assert_int_equal(world_subscribe(&a, "$queue/q", 1), GNT_DONE);
    uint64_t q = queue_id(&w, "q", NULL);
    for (int i = 0; i < 300; i++)
        queue_send(&w, 2, q, "x", false, NULL);
    world_settle(&w);
    assert_int_equal(a.count, 128);
    for (; a.answered < 50; a.answered++)
        assert_true(gnt_session_acknowledged(a.session, a.got[a.answered].id, NULL));
    world_settle(&w);
    assert_int_equal(a.count, 128 + 50);
}

static void broken_and_closed(void **state)
{
    (void)state;
    clean(&a);
    assert_int_equal(world_subscribe(&a, "$queue/q", 1), GNT_DONE);
    put("12");
    assert_int_equal(a.count, 2);
    world_cut(&a);
    world_settle(&w);
    assert_queue("q", 2, 0);
    clean(&b);
    assert_int_equal(world_subscribe(&b, "$queue/q", 1), GNT_DONE);
    assert_string_equal(world_payloads(&b, 0), "1 2 ");
    assert_int_equal(b.got[0].failed, 1);
    assert_false(b.got[0].dup); /* a packet of its own */
    world_disconnect(&b);
    world_settle(&w);
    clean(&a);
    assert_int_equal(world_subscribe(&a, "$queue/q", 1), GNT_DONE);
    assert_int_equal(a.got[2].failed, 1); /* parting has not failed */
}

static void step(unsigned from, unsigned to)
{
    gnt_timers_run(&w.timers[to], w.now);
    (void)world_mail_one(&w, from, to);
}

static void steps(int count)
{
    for (int i = 0; i < count; i++)
        for (unsigned from = 0; from < HOMES; from++)
            for (unsigned to = 0; to < HOMES; to++)
                step(from, to);
}

/* Only what had been sent has failed, and not what was under way from the queue. */
static void broken_meanwhile(void **state)
{
    (void)state;
    for (int count = 0; count < 6; count++) {
        clean(&a);
        assert_int_equal(world_subscribe(&a, "$queue/q", 1), GNT_DONE);
        size_t before = a.count;
        queue_send(&w, 2, queue_id(&w, "q", NULL), "x", true, NULL);
        steps(count);
        uint32_t sent = (uint32_t)(a.count - before);
        world_cut(&a);
        world_settle(&w);
        clean(&b);
        assert_int_equal(world_subscribe(&b, "$queue/q", 1), GNT_DONE);
        assert_int_equal(b.count, count + 1);
        assert_int_equal(b.got[count].failed, sent);
        answer(&b, NULL);
        world_disconnect(&b);
        world_settle(&w);
    }
}

static void turned_down(void **state)
{
    (void)state;
    clean(&a);
    assert_int_equal(world_subscribe(&a, "$queue/q", 1), GNT_DONE);
    put("1");
    const struct gnt_refusal later = {.again = true};
    answer(&a, &later);
    assert_int_equal(a.count, 2);
    assert_int_equal(a.got[1].failed, 1);
    const struct gnt_refusal never = {.reason = gnt_slice_str("why"),
                                      .description = gnt_slice_str("because")};
    answer(&a, &never);
    assert_queue("q", 0, 0);
    assert_queue("q/$DeadLetterQueue", 1, 0);
    assert_int_equal(world_subscribe(&a, "$queue/q/$DeadLetterQueue", 1), GNT_DONE);
    assert_string_equal(a.got[2].topic, "$queue/q/$DeadLetterQue"); /* cut to size */
    answer(&a, NULL);
    assert_queue("q/$DeadLetterQueue", 0, 0);
}

static void at_most_once(void **state)
{
    (void)state;
    clean(&a);
    assert_int_equal(world_subscribe(&a, "$queue/q", 0), GNT_DONE);
    put("123");
    assert_string_equal(world_payloads(&a, 0), "1 2 3 ");
    assert_queue("q", 0, 0);
    a.busy = true; /* what it is not sent stays */
    put("45");
    assert_queue("q", 0, 2);
    world_cut(&a);
    world_settle(&w);
    assert_queue("q", 2, 0);
    clean(&b);
    assert_int_equal(world_subscribe(&b, "$queue/q", 0), GNT_DONE);
    assert_int_equal(b.got[0].failed, 0);
}

static void too_large(void **state)
{
    (void)state;
    a.payload_max = 1;
    clean(&a);
    assert_int_equal(world_subscribe(&a, "$queue/q", 1), GNT_DONE);
    queue_send(&w, 0, queue_id(&w, "q", NULL), "long", true, NULL);
    put("s");
    assert_string_equal(world_payloads(&a, 0), "s ");
    assert_queue("q", 1, 1);
    clean(&b);
    assert_int_equal(world_subscribe(&b, "$queue/q", 1), GNT_DONE);
    assert_string_equal(world_payloads(&b, 0), "long ");
    assert_int_equal(b.got[0].failed, 1);
}

static void unsubscribed(void **state)
{
    (void)state;
    a.receive_max = 2;
    clean(&a);
    assert_int_equal(world_subscribe(&a, "$queue/q", 1), GNT_DONE);
    put("123");
    assert_int_equal(gnt_session_unsubscribe(a.session, gnt_slice_str("$queue/q")), GNT_DONE);
    assert_int_equal(gnt_session_unsubscribe(a.session, gnt_slice_str("$queue/q")),
                     GNT_DONE_NO_MATCH);
    world_settle(&w);
    assert_queue("q", 1, 2);
    answer(&a, NULL); /* what it has, it may settle [MQTT-3.10.4-3] */
    assert_queue("q", 1, 1);
    assert_int_equal(world_subscribe(&a, "$queue/q", 1), GNT_DONE);
    assert_string_equal(world_payloads(&a, 0), "1 2 3 ");
    answer(&a, NULL);
    answer(&a, NULL);
    assert_queue("q", 0, 0);
    assert_int_equal(queue_facts(&w, "q").consumers, 1);
}

static void again_with_other_options(void **state)
{
    (void)state;
    clean(&a);
    struct gnt_sub_options o = {.qos = 1, .id = 7};
    assert_int_equal(world_subscribe_with(&a, "$queue/q", &o, GNT_RETAIN_SEND), GNT_DONE);
    put("1");
    o.id = 8;
    assert_int_equal(world_subscribe_with(&a, "$queue/q", &o, GNT_RETAIN_SEND), GNT_DONE);
    put("2");
    o.qos = 0;
    assert_int_equal(world_subscribe_with(&a, "$queue/q", &o, GNT_RETAIN_SEND), GNT_DONE);
    put("3");
    assert_string_equal(world_payloads(&a, 0), "1 2 3 ");
    assert_int_equal(a.got[0].ids[0], 7);
    assert_int_equal(a.got[1].ids[0], 8);
    assert_int_equal(a.got[2].qos, 0);
    answer(&a, NULL);
    answer(&a, NULL);
    assert_queue("q", 0, 0);
    assert_int_equal(queue_facts(&w, "q").consumers, 1);
    assert_counted(&w, GNT_COUNT_SUBSCRIPTIONS, 1);
}

static void refused(void **state)
{
    (void)state;
    clean(&a);
    assert_int_equal(world_subscribe(&a, "$queue/+", 1), GNT_FILTER_INVALID);
    assert_int_equal(world_subscribe(&a, "$queue/#", 1), GNT_FILTER_INVALID);
    assert_int_equal(world_subscribe(&a, "$share/g/$queue/q", 1), GNT_FILTER_INVALID);
    assert_int_equal(world_subscribe(&a, "$queue/\x01", 1), GNT_FILTER_INVALID);
    for (unsigned i = 0; i < HOMES; i++)
        w.core->homes[i].config.auto_create = false;
    assert_int_equal(world_subscribe(&a, "$queue/none", 1), GNT_FILTER_INVALID);
    assert_counted(&w, GNT_COUNT_SUBSCRIPTIONS, 0);
    for (unsigned i = 0; i < HOMES; i++)
        w.core->homes[i].config.subscriptions_per_session = 1;
    queue_id(&w, "q", NULL);
    assert_int_equal(world_subscribe(&a, "$queue/q", 1), GNT_DONE);
    assert_int_equal(world_subscribe(&a, "$queue/q", 1), GNT_DONE);
    assert_int_equal(world_subscribe(&a, "$queue/other", 1), GNT_QUOTA);
}

static void not_its_own(void **state)
{
    (void)state;
    clean(&a);
    const struct gnt_sub_options o = {.qos = 1, .no_local = true};
    assert_int_equal(world_subscribe_with(&a, "$queue/q", &o, GNT_RETAIN_SEND), GNT_DONE);
    struct gnt_message *m = world_message("$queue/q", "mine", 1, false);
    m->publisher = gnt_session_sink(a.session);
    gnt_publish(world_home(&a), m, NULL);
    gnt_message_unref(&m);
    world_publish(&w, 0, "$queue/q", "others'", 1, false);
    world_settle(&w);
    assert_string_equal(world_payloads(&a, 0), "others' ");
}

/* What a session has queued itself goes first; the queue may give its own to others meanwhile. */
static void own_backlog_first(void **state)
{
    (void)state;
    a.receive_max = 2;
    clean(&a);
    assert_int_equal(world_subscribe(&a, "t", 1), GNT_DONE);
    assert_int_equal(world_subscribe(&a, "$queue/q", 1), GNT_DONE);
    world_publish(&w, 0, "t", "t1", 1, false);
    world_settle(&w);
    put("12");
    assert_string_equal(world_payloads(&a, 0), "t1 1 ");
    assert_queue("q", 0, 2); /* one waits for room */
    world_publish(&w, 0, "t", "t2", 1, false);
    world_settle(&w);
    answer(&a, NULL);
    assert_string_equal(world_payloads(&a, 0), "t1 1 t2 ");
    answer(&a, NULL);
    assert_string_equal(world_payloads(&a, 0), "t1 1 t2 2 ");
    world_answer(&a);
    world_settle(&w);
    assert_queue("q", 0, 0);
}

static void backlog_gives_way(void **state)
{
    (void)state;
    a.receive_max = 1;
    clean(&a);
    assert_int_equal(world_subscribe(&a, "t", 1), GNT_DONE);
    world_publish(&w, 0, "t", "t1", 1, false);
    world_publish(&w, 0, "t", "t2", 1, false);
    world_settle(&w);
    assert_int_equal(world_subscribe(&a, "$queue/q", 1), GNT_DONE);
    put("1");
    assert_queue("q", 1, 0); /* others may have it */
    world_answer(&a);
    world_settle(&w);
    assert_string_equal(world_payloads(&a, 0), "t1 t2 1 ");
}

/* What it had to give back because of that comes again afterwards. */
static void backlog_has_gone(void **state)
{
    (void)state;
    a.receive_max = 1;
    clean(&a);
    assert_int_equal(world_subscribe(&a, "t", 1), GNT_DONE);
    assert_int_equal(world_subscribe(&a, "$queue/q", 1), GNT_DONE);
    world_publish(&w, 0, "t", "t1", 1, false);
    world_settle(&w);
    put("1");
    assert_queue("q", 0, 1); /* it waits for room */
    world_publish(&w, 0, "t", "t2", 1, false);
    world_publish(&w, 0, "t", "t3", 1, false);
    world_settle(&w);
    answer(&a, NULL);
    assert_queue("q", 1, 0);
    answer(&a, NULL);
    answer(&a, NULL);
    assert_string_equal(world_payloads(&a, 0), "t1 t2 t3 1 ");
    answer(&a, NULL);
    assert_queue("q", 0, 0);
}

/* What has waited for room until its lock was over is somebody else's. */
static void locks_end_meanwhile(void **state)
{
    (void)state;
    struct gnt_queue_options lock = gnt_queue_options_default();
    lock.lock_ms = 1000;
    queue_id(&w, "q", &lock);
    a.receive_max = 1;
    clean(&a);
    clean(&b);
    assert_int_equal(world_subscribe(&a, "t", 1), GNT_DONE);
    assert_int_equal(world_subscribe(&a, "$queue/q", 1), GNT_DONE);
    world_publish(&w, 0, "t", "t1", 1, false);
    world_settle(&w);
    put("1");
    assert_queue("q", 0, 1);
    assert_int_equal(world_subscribe(&b, "$queue/q", 1), GNT_DONE);
    world_pass(&w, 2);
    assert_string_equal(world_payloads(&b, 0), "1 ");
    answer(&a, NULL);
    assert_string_equal(world_payloads(&a, 0), "t1 ");
    answer(&b, NULL);
    assert_queue("q", 0, 0);
    world_disconnect(&b);
    put("2"); /* and it takes others */
    assert_string_equal(world_payloads(&a, 0), "t1 2 ");
}

static void queue_goes(void **state)
{
    (void)state;
    assert_true(world_connect(&w, &a, false, 1000));
    assert_int_equal(world_subscribe(&a, "$queue/q", 1), GNT_DONE);
    put("1");
    for (unsigned i = 0; i < HOMES; i++)
        w.core->homes[i].config.auto_create = false;
    queue_ask(&w, 0, GNT_ENTITY_DELETE, "q", NULL, NULL);
    assert_int_equal(a.closed, 1);
    assert_int_equal(a.why, GNT_CLOSE_ADMINISTRATIVE);
    assert_true(world_connect(&w, &a, false, 1000)); /* the subscription stays, and waits */
    world_settle(&w);
    assert_true(a.session != NULL);
    world_disconnect(&a);
    put("2");
    assert_true(world_connect(&w, &a, false, 1000));
    world_settle(&w);
    assert_string_equal(world_payloads(&a, 1), "2 ");
    assert_counted(&w, GNT_COUNT_SUBSCRIPTIONS, 1);
}

static void session_goes_on(void **state)
{
    (void)state;
    assert_true(world_connect(&w, &a, false, 1000));
    assert_int_equal(world_subscribe(&a, "$queue/q", 1), GNT_DONE);
    put("1");
    world_disconnect(&a);
    put("2");
    assert_queue("q", 2, 0);
    assert_int_equal(queue_facts(&w, "q").consumers, 0);
    assert_true(world_connect(&w, &a, false, 1000));
    world_settle(&w);
    assert_string_equal(world_payloads(&a, 0), "1 1 2 ");
    a.answered = 1;
    answer(&a, NULL);
    answer(&a, NULL);
    assert_queue("q", 0, 0);
    world_disconnect(&a);
    clean(&a); /* and ends */
    put("3");
    assert_int_equal(a.count, 3);
    assert_counted(&w, GNT_COUNT_SUBSCRIPTIONS, 0);
}

static void after_a_restart(void **state)
{
    (void)state;
    struct gnt_store *store;
    assert_int_equal(gnt_store_memory_open(NULL, &store), GNT_OK);
    begin(store);
    a = (struct world_client){.id = ids[0]};
    assert_true(world_connect(&w, &a, false, 1000));
    assert_int_equal(world_subscribe(&a, "$queue/q", 1), GNT_DONE);
    assert_int_equal(world_subscribe(&a, "$queue/left", 1), GNT_DONE);
    assert_int_equal(gnt_session_unsubscribe(a.session, gnt_slice_str("$queue/left")), GNT_DONE);
    put("12");
    answer(&a, NULL);
    world_commit(&w);
    world_settle(&w);
    world_crash(&w, (struct world_client *[]){&a}, 1);
    begin(store);
    assert_int_equal(w.recovered.subscriptions, 1);
    assert_true(world_connect(&w, &a, false, 1000));
    world_settle(&w);
    assert_true(a.present);
    assert_string_equal(world_payloads(&a, 2), "2 ");
    a.answered = 2;
    answer(&a, NULL);
    assert_queue("q", 0, 0);
    world_disconnect(&a);
    world_fini(&w);
    world_client_fini(&a);
    gnt_store_close(&store);
}

static void rights(void **state)
{
    (void)state;
    begin(NULL);
    a = (struct world_client){.id = ids[0]};
    struct gnt_access *may = WORLD_LIST("* listen q", "* send q"), *not = WORLD_LIST("* send q");
    world_take_access(&w, may);
    clean(&a);
    assert_int_equal(world_subscribe(&a, "$queue/other", 1), GNT_NOT_ALLOWED);
    assert_int_equal(world_subscribe(&a, "$queue/q", 1), GNT_DONE);
    put("1");
    assert_int_equal(a.count, 1);
    world_take_access(&w, not );
    world_settle(&w);
    put("2");
    assert_int_equal(a.count, 1);
    answer(&a, NULL);
    assert_queue("q", 1, 0);
    world_take_access(&w, may);
    world_settle(&w);
    assert_string_equal(world_payloads(&a, 0), "1 2 ");
    world_disconnect(&a);
    world_fini(&w);
    world_client_fini(&a);
    gnt_access_unref(&may);
    gnt_access_unref(&not );
}

static void on_answered(struct gnt_subscribing *request, enum gnt_outcome outcome)
{
    (void)request;
    assert_int_equal(outcome, GNT_DONE);
}

/* The client goes while its wish is under way. */
static void gone_meanwhile(void **state)
{
    (void)state;
    struct gnt_subscribing request = {on_answered};
    const struct gnt_sub_options o = {.qos = 1};
    enum gnt_outcome outcome;
    for (int count = 0; count < 6; count++) {
        assert_true(world_connect(&w, &a, false, 1000));
        assert_false(gnt_session_subscribe(a.session, gnt_slice_str("$queue/q"), &o,
                                           GNT_RETAIN_SEND, &request, &outcome));
        steps(count);
        world_cut(&a);
        world_settle(&w);
        assert_int_equal(queue_facts(&w, "q").consumers, 0);
    }
}

/* One after the other fails: what was refused can be asked for again, and nothing is lost. */
static void no_memory(void **state)
{
    (void)state;
    put("123");
    for (long n = 0, failed = 1; failed; n++) {
        clean(&a);
        a.count = a.answered = 0;
        gnt_alloc_fail_at(n);
        enum gnt_outcome outcome = world_subscribe(&a, "$queue/q", 1);
        if (outcome == GNT_DONE)
            world_publish(&w, 0, "$queue/r", "x", 0, false);
        world_settle(&w);
        failed = gnt_alloc_failed();
        gnt_alloc_fail_at(-1);
        assert_true(outcome == GNT_DONE || outcome == GNT_FAILED || outcome == GNT_WITHHELD);
        if (a.session)
            world_disconnect(&a);
        world_settle(&w);
        assert_queue("q", 3, 0);
        assert_counted(&w, GNT_COUNT_SUBSCRIPTIONS, 0);
    }
}

#define WITHIN(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITHIN(compete),
        WITHIN(one_at_a_time),
        WITHIN(as_many_as_it_takes),
        WITHIN(in_batches),
        WITHIN(broken_and_closed),
        WITHIN(broken_meanwhile),
        WITHIN(turned_down),
        WITHIN(at_most_once),
        WITHIN(too_large),
        WITHIN(unsubscribed),
        WITHIN(again_with_other_options),
        WITHIN(refused),
        WITHIN(not_its_own),
        WITHIN(own_backlog_first),
        WITHIN(backlog_gives_way),
        WITHIN(backlog_has_gone),
        WITHIN(locks_end_meanwhile),
        WITHIN(queue_goes),
        WITHIN(session_goes_on),
        cmocka_unit_test(after_a_restart),
        cmocka_unit_test(rights),
        WITHIN(gone_meanwhile),
        WITHIN(no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
