/* Members of one shared subscription that speak AMQP and MQTT, wherever they live. */
#include "auth/access.h"
#include "support/alloc_fault.h"
#include "support/amqp_script.h"
#include "support/script_client.h"
#include "support/unit.h"

#define SHARE   "$share/g/+"
#define ADDRESS "topic://" SHARE

static uint8_t said[4096];

static struct gnt_amqp_writer begin(void)
{
    return gnt_amqp_writer(said, sizeof said);
}

static void say(struct script_client *c, const struct gnt_amqp_writer *w)
{
    assert_true(gnt_amqp_fits(w));
    script_send_bytes(c, gnt_amqp_written(w));
    script_settle(c->script);
}

/* The next flow of a receiver whose link is 0 and has been sent COUNT so far. */
static void send_credit(struct script_client *c, uint32_t count, uint32_t credit, bool drain)
{
    struct gnt_amqp_writer w = begin();
    struct gnt_amqp_flow flow = {.has.incoming_window = true};
    flow.incoming_window = 1000;
    GNT_AMQP_SET(&flow, next_incoming_id, count);
    GNT_AMQP_SET(&flow, next_outgoing_id, 0);
    GNT_AMQP_SET(&flow, outgoing_window, 100);
    GNT_AMQP_SET(&flow, handle, 0);
    GNT_AMQP_SET(&flow, delivery_count, count);
    GNT_AMQP_SET(&flow, link_credit, credit);
    GNT_AMQP_SET(&flow, drain, drain);
    amqp_put_frame(&w, GNT_AMQP_FLOW, &flow, gnt_slice(NULL, 0));
    assert_true(gnt_amqp_fits(&w));
    script_send_bytes(c, gnt_amqp_written(&w));
}

static void say_credit(struct script_client *c, uint32_t count, uint32_t credit, bool drain)
{
    send_credit(c, count, credit, drain);
    script_settle(c->script);
}

static void say_outcome(struct script_client *c, uint32_t first, uint32_t last,
                        enum gnt_amqp_descriptor outcome)
{
    const uint8_t state[] = {0, 0x53, (uint8_t)outcome, 0x45}; /* without fields */
    struct gnt_amqp_writer w = begin();
    struct gnt_amqp_disposition d = {.has.first = true};
    d.first = first;
    GNT_AMQP_SET(&d, last, last);
    GNT_AMQP_SET(&d, role, GNT_AMQP_RECEIVER);
    GNT_AMQP_SET(&d, settled, true);
    GNT_AMQP_SET(&d, state, gnt_amqp_encoded(gnt_slice(state, sizeof state)));
    amqp_put_frame(&w, GNT_AMQP_DISPOSITION, &d, gnt_slice(NULL, 0));
    say(c, &w);
}

/* At WORKER, a receiver with CREDIT. */
static struct script_client *open_member(struct script *s, unsigned worker, uint32_t credit)
{
    s->amqp = true;
    struct script_client *c = script_open(s, worker);
    c->careless = true;
    struct gnt_amqp_writer w = begin();
    amqp_put_opening(&w);
    amqp_put_attach(&w, "in", 0, true, ADDRESS);
    say(c, &w);
    assert_int_equal(amqp_look(c)->attach, 1);
    if (credit)
        say_credit(c, 0, credit, false);
    return c;
}

/* Speaks MQTT; its Receive Maximum is 2. */
static struct script_client *open_client(struct script *s, unsigned worker, const char *id)
{
    s->amqp = false;
    struct script_client *c = script_open(s, worker);
    c->careless = true;
    script_sendf(c, "10 | ['MQTT'] 05 02 0000 (21 0002) ['%s']", id);
    script_settle(s);
    return c;
}

static void publish(struct script_client *c, char topic, unsigned count)
{
    for (unsigned i = 1; i <= count; i++)
        script_sendf(c, "32 | ['%c'] %04x () 'hello'", topic, i);
    script_settle(c->script);
}

static void init(struct script *s, unsigned workers)
{
    script_init(s, workers, NULL);
}

/* What is there is given to whoever has credit, in turn; who has none gets nothing. */
static void by_credit(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 3; workers++) {
        struct script s;
        init(&s, workers);
        struct script_client *a = open_member(&s, 0, 3), *b = open_member(&s, workers - 1, 3),
                             *none = open_member(&s, workers / 2, 0);
        struct script_client *publisher = open_client(&s, 0, "p");
        publish(publisher, 't', 8);
        assert_int_equal(amqp_look(a)->transfer, 3);
        assert_int_equal(amqp_look(b)->transfer, 3);
        assert_int_equal(amqp_look(none)->transfer, 0);
        assert_int_equal(script_counted(&s, GNT_COUNT_SHARED_SUBSCRIPTIONS), 3);
        say_credit(none, 0, 5, false);
        assert_int_equal(amqp_look(none)->transfer, 2);
        say_outcome(a, 0, 2, GNT_AMQP_ACCEPTED);
        say_outcome(b, 0, 2, GNT_AMQP_ACCEPTED);
        say_outcome(none, 0, 1, GNT_AMQP_ACCEPTED);
        assert_int_equal(script_counted(&s, GNT_COUNT_DELIVERED), 8);
        assert_int_equal(script_counted(&s, GNT_COUNT_QUEUED), 0);
        script_close(a);
        script_settle(&s);
        assert_int_equal(script_counted(&s, GNT_COUNT_SHARED_SUBSCRIPTIONS), 2);
        script_fini(&s);
    }
}

/* A member that goes gives back what it has not settled, and one that releases it, too. */
static void given_back(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 3; workers++) {
        struct script s;
        init(&s, workers);
        struct script_client *a = open_member(&s, 0, 4), *b = open_member(&s, workers - 1, 0);
        publish(open_client(&s, 0, "p"), 't', 4);
        assert_int_equal(amqp_look(a)->transfer, 4);
        say_outcome(a, 0, 0, GNT_AMQP_ACCEPTED);
        say_outcome(a, 1, 1, GNT_AMQP_RELEASED);
        say_credit(b, 0, 10, false);
        assert_int_equal(amqp_look(b)->transfer, 1);
        script_close(a);
        script_settle(&s);
        assert_int_equal(amqp_look(b)->transfer, 3);
        say_outcome(b, 0, 1, GNT_AMQP_ACCEPTED);
        say_outcome(b, 2, 2, GNT_AMQP_REJECTED);
        assert_int_equal(script_counted(&s, GNT_COUNT_DELIVERED), 3);
        assert_int_equal(script_counted(&s, GNT_COUNT_DROPPED_REFUSED), 1);
        assert_int_equal(script_counted(&s, GNT_COUNT_QUEUED), 0);
        script_fini(&s);
    }
}

/* MQTT's members and AMQP's are of one group. */
static void both_protocols(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 3; workers++) {
        struct script s;
        init(&s, workers);
        struct script_client *subscriber = open_client(&s, workers - 1, "s");
        script_skip(subscriber);
        script_send(subscriber, "82 | 0001 () ['" SHARE "'] 01");
        script_expect(subscriber, "90 | 0001 () 01");
        struct script_client *a = open_member(&s, 0, 2);
        publish(open_client(&s, 0, "p"), 't', 6);
        assert_int_equal(amqp_look(a)->transfer, 2);
        script_read(subscriber);
        assert_true(subscriber->in_size > 0);
        assert_int_equal(script_counted(&s, GNT_COUNT_QUEUED), 6);
        script_close(subscriber); /* what it was sent is the group's again */
        script_settle(&s);
        say_credit(a, 2, 10, false);
        assert_int_equal(amqp_look(a)->transfer, 6);
        say_outcome(a, 0, 5, GNT_AMQP_ACCEPTED);
        assert_int_equal(script_counted(&s, GNT_COUNT_QUEUED), 0);
        script_fini(&s);
    }
}

/* First all that the group has, then the rest of the credit is gone. */
static void drain(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 3; workers++) {
        for (unsigned count = 0; count <= 150; count += 50) {
            struct script s;
            init(&s, workers);
            struct script_client *a = open_member(&s, workers - 1, 0);
            publish(open_client(&s, 0, "p"), 't', count);
            unsigned flows = amqp_look(a)->flow;
            say_credit(a, 0, 200, true);
            const struct amqp_told *told = amqp_look(a);
            assert_int_equal(told->transfer, count);
            assert_true(told->flow > flows);
            publish(open_client(&s, 0, "q"), 't', 1);
            assert_int_equal(amqp_look(a)->transfer, count); /* there is no credit any more */
            script_fini(&s);
        }
    }
}

/* Who goes before the group has answered leaves nothing behind. */
static void gone_while_joining(void **state)
{
    (void)state;
    for (unsigned turns = 0; turns < 12; turns++) {
        struct script s;
        init(&s, 3);
        for (unsigned worker = 0; worker < 3; worker++) {
            s.amqp = true;
            struct script_client *c = script_open(&s, worker);
            c->careless = true;
            struct gnt_amqp_writer w = begin();
            amqp_put_opening(&w);
            amqp_put_attach(&w, "in", 0, true, ADDRESS);
            script_send_bytes(c, gnt_amqp_written(&w));
            for (unsigned i = 0; i < turns; i++)
                script_turn(&s, (worker + i) % 3);
            script_close(c);
            script_settle(&s);
        }
        assert_int_equal(script_counted(&s, GNT_COUNT_SHARED_SUBSCRIPTIONS), 0);
        publish(open_client(&s, 0, "p"), 't', 1);
        assert_int_equal(script_counted(&s, GNT_COUNT_DUE), 0); /* there is no group */
        script_fini(&s);
    }
}

/* Whatever allocation fails when there is room again: nothing waits for ever, or is lost in
 * silence.
 */
static void without_memory(void **state)
{
    (void)state;
    bool failed = true;
    for (long n = 0; failed; n++) {
        struct script s;
        init(&s, 2);
        s.hasty = true;
        struct script_client *a = open_member(&s, 0, 0), *b = open_member(&s, 1, 0);
        publish(open_client(&s, 0, "p"), 't', 3);
        gnt_alloc_fail_at(n);
        say_credit(a, 0, 10, false);
        failed = gnt_alloc_failed();
        gnt_alloc_fail_at(-1);
        script_settle(&s);
        if (amqp_look(a)->close == 0)
            assert_int_equal(amqp_look(a)->transfer, 3);
        script_close(a);
        script_settle(&s);
        say_credit(b, 0, 10, false);
        assert_int_equal(amqp_look(b)->transfer + script_counted(&s, GNT_COUNT_DROPPED_NO_MEMORY),
                         3);
        script_fini(&s);
    }
}

/* Also while offers are under way that the member turns down. */
static void drain_amid_offers(void **state)
{
    (void)state;
    for (unsigned turns = 0; turns < 24; turns++) {
        for (unsigned worker = 0; worker < 3; worker++) {
            struct script s;
            init(&s, 3);
            struct script_client *a = open_member(&s, worker, 0);
            publish(open_client(&s, 0, "p"), 't', 80);
            send_credit(a, 0, 1, false);
            for (unsigned i = 0; i < turns; i++)
                script_turn(&s, (worker + i) % 3);
            say_credit(a, 0, 200, true);
            assert_int_equal(amqp_look(a)->transfer, 80);
            script_fini(&s);
        }
    }
}

static struct gnt_access *access_without(const char *denied)
{
    const struct gnt_access_rule rules[] = {
        {.verbs = GNT_VERB_PUBLISH | GNT_VERB_SUBSCRIBE | GNT_VERB_RECEIVE,
         .permits = true,
         .on = LITERAL("#")},
        {.verbs = GNT_VERB_RECEIVE, .on = gnt_slice_str(denied)}};
    struct gnt_access *list;
    const char *why;
    assert_int_equal(gnt_access_new(&list), GNT_OK);
    for (size_t i = 0; i < COUNT_OF(rules); i++)
        assert_int_equal(gnt_access_add(list, &rules[i], &why), GNT_OK);
    assert_int_equal(gnt_access_seal(list), GNT_OK);
    return list;
}

/* Of a group's messages a member gets what it may be given, as the list is now. */
static void rights(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 3; workers++) {
        struct script s;
        struct gnt_access *list = access_without("x");
        init(&s, workers);
        gnt_workers_take_access(s.workers, list);
        gnt_access_unref(&list);
        struct script_client *a = open_member(&s, workers - 1, 10);
        struct script_client *publisher = open_client(&s, 0, "p");
        static const struct {
            const char *denied;
            unsigned transfers; /* so far, when t and u have been published to */
        } steps[] = {{"u", 1}, {"t", 2}, {"x", 4}, {"#", 4}, {"x", 6}};
        for (size_t i = 0; i < COUNT_OF(steps); i++) {
            list = access_without(steps[i].denied);
            assert_int_equal(gnt_workers_mail_access(s.workers, list), GNT_OK);
            gnt_access_unref(&list);
            script_settle(&s);
            publish(publisher, 't', 1);
            publish(publisher, 'u', 1);
            assert_int_equal(amqp_look(a)->transfer, steps[i].transfers);
        }
        assert_int_equal(script_counted(&s, GNT_COUNT_DROPPED_DENIED), 4);
        script_fini(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_credit),         cmocka_unit_test(given_back),
        cmocka_unit_test(both_protocols),    cmocka_unit_test(drain),
        cmocka_unit_test(drain_amid_offers), cmocka_unit_test(rights),
        cmocka_unit_test(without_memory),    cmocka_unit_test(gone_while_joining),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
