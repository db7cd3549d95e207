/* Links that outlive their connection: what was unsettled is there for the next one, at whichever
 * worker that is, and for everybody when its time is over. */
#include "core/core.h"
#include "core/entity.h"
#include "support/alloc_fault.h"
#include "support/amqp_script.h"
#include "support/unit.h"

enum { LIVES_S = 60 };

static uint8_t said[8192];

static struct gnt_amqp_writer begin_to_say(void)
{
    return gnt_amqp_writer(said, sizeof said);
}

static void say(struct script_client *c, const struct gnt_amqp_writer *w)
{
    assert_true(gnt_amqp_fits(w));
    script_send_bytes(c, gnt_amqp_written(w));
}

static struct script_client *open_peer(struct script *s, unsigned worker)
{
    struct gnt_amqp_writer w = begin_to_say();
    struct script_client *c = script_open(s, worker);
    c->careless = true;
    amqp_put_opening(&w);
    say(c, &w);
    script_settle(s);
    return c;
}

/* A receiver called NAME, from "q", that lives on for LIVES_S, and has credit for all. */
static void put_receiver(struct gnt_amqp_writer *w, const char *name, uint32_t handle)
{
    uint8_t source_bytes[64], target_bytes[64];
    struct gnt_amqp_writer s = gnt_amqp_writer(source_bytes, sizeof source_bytes);
    struct gnt_amqp_writer t = gnt_amqp_writer(target_bytes, sizeof target_bytes);
    struct gnt_amqp_source source = {.has.address = true};
    struct gnt_amqp_target target = {.has.address = false};
    source.address = gnt_slice_str("q");
    GNT_AMQP_SET(&source, timeout, LIVES_S);
    gnt_amqp_put_source(&s, &source);
    gnt_amqp_put_target(&t, &target);
    struct gnt_amqp_attach attach = {.has.name = true};
    attach.name = gnt_slice_str(name);
    GNT_AMQP_SET(&attach, handle, handle);
    GNT_AMQP_SET(&attach, role, GNT_AMQP_RECEIVER);
    GNT_AMQP_SET(&attach, source, gnt_amqp_encoded(gnt_amqp_written(&s)));
    GNT_AMQP_SET(&attach, target, gnt_amqp_encoded(gnt_amqp_written(&t)));
    amqp_put_frame(w, GNT_AMQP_ATTACH, &attach, gnt_slice(NULL, 0));
    struct gnt_amqp_flow flow = {.has.incoming_window = true};
    flow.incoming_window = 100;
    GNT_AMQP_SET(&flow, next_incoming_id, 0);
    GNT_AMQP_SET(&flow, next_outgoing_id, 0);
    GNT_AMQP_SET(&flow, outgoing_window, 100);
    GNT_AMQP_SET(&flow, handle, handle);
    GNT_AMQP_SET(&flow, link_credit, 100);
    amqp_put_frame(w, GNT_AMQP_FLOW, &flow, gnt_slice(NULL, 0));
}

static void receive(struct script_client *c, const char *name, uint32_t handle)
{
    struct gnt_amqp_writer w = begin_to_say();
    put_receiver(&w, name, handle);
    say(c, &w);
}

/* COUNT messages into "q", settled. */
static void fill(struct script *s, uint32_t count)
{
    struct script_client *c = open_peer(s, 0);
    struct gnt_amqp_writer w = begin_to_say();
    amqp_put_attach(&w, "out", 0, false, "q");
    say(c, &w);
    script_settle(s);
    w = begin_to_say();
    for (uint32_t id = 0; id < count; id++) {
        static const uint8_t message[] = {0, 0x53, 0x75, 0xa0, 1, 'm'};
        struct gnt_amqp_transfer t = {.has.handle = true};
        GNT_AMQP_SET(&t, delivery_id, id);
        GNT_AMQP_SET(&t, delivery_tag, gnt_slice(&id, sizeof id));
        GNT_AMQP_SET(&t, settled, true);
        amqp_put_frame(&w, GNT_AMQP_TRANSFER, &t, gnt_slice(message, sizeof message));
    }
    say(c, &w);
    script_settle(s);
    script_close(c);
    script_settle(s);
}

static void settle(struct script_client *c, uint32_t first, uint32_t last)
{
    struct gnt_amqp_writer w = begin_to_say();
    struct gnt_amqp_disposition d = {.has.first = true};
    d.first = first;
    GNT_AMQP_SET(&d, last, last);
    GNT_AMQP_SET(&d, role, GNT_AMQP_RECEIVER);
    GNT_AMQP_SET(&d, settled, true);
    GNT_AMQP_SET(&d, state, gnt_amqp_fieldless(GNT_AMQP_ACCEPTED));
    amqp_put_frame(&w, GNT_AMQP_DISPOSITION, &d, gnt_slice(NULL, 0));
    say(c, &w);
}

static void start(struct script *s, unsigned workers, const char *setting)
{
    script_init(s, workers, setting, NULL);
    s->amqp = true;
}

static void cut(struct script *s, struct script_client *c)
{
    script_close(c);
    script_settle(s);
}

static void at_another_worker(void **state)
{
    (void)state;
    for (unsigned from = 0; from < 3; from++) {
        for (unsigned to = 0; to < 3; to++) {
            struct script s;
            start(&s, 3, NULL);
            fill(&s, 3);
            struct script_client *c = open_peer(&s, from);
            receive(c, "in", 0);
            script_settle(&s);
            assert_int_equal(amqp_look(c)->transfer, 3);
            cut(&s, c);
            assert_int_equal(script_counted(&s, GNT_COUNT_AMQP_SUSPENDED), 1);
            struct script_client *other = open_peer(&s, 2 - to);
            receive(other, "other", 0);
            script_settle(&s);
            assert_int_equal(amqp_look(other)->transfer, 0);
            c = open_peer(&s, to);
            receive(c, "in", 0);
            script_settle(&s);
            const struct amqp_told *told = amqp_look(c);
            assert_int_equal(told->attach, 1);
            assert_int_equal(told->transfer, 3);
            assert_non_null(strstr(told->text, "unsettled"));
            assert_int_equal(script_counted(&s, GNT_COUNT_AMQP_SUSPENDED), 0);
            assert_int_equal(script_counted(&s, GNT_COUNT_AMQP_RESUMED), 1);
            settle(c, 0, 2);
            script_settle(&s);
            assert_int_equal(script_counted(&s, GNT_COUNT_QUEUED), 0);
            assert_int_equal(script_counted(&s, GNT_COUNT_DELIVERED), 3);
            script_fini(&s);
        }
    }
}

/* Again and again, also where the connection goes while its link is being resumed. */
static void more_than_once(void **state)
{
    (void)state;
    struct script s;
    start(&s, 2, NULL);
    fill(&s, 2);
    struct script_client *c = open_peer(&s, 0);
    receive(c, "in", 0);
    script_settle(&s);
    for (unsigned i = 0; i < 8; i++) {
        cut(&s, c);
        assert_int_equal(script_counted(&s, GNT_COUNT_AMQP_SUSPENDED), 1);
        c = open_peer(&s, i % 2);
        receive(c, "in", 0);
        if (i % 4 < 2)
            continue; /* nobody has looked at it yet */
        script_settle(&s);
        assert_int_equal(amqp_look(c)->transfer, 2);
    }
    settle(c, 0, 1);
    script_settle(&s);
    assert_int_equal(script_counted(&s, GNT_COUNT_QUEUED), 0);
    script_fini(&s);
}

static void its_time_passes(void **state)
{
    (void)state;
    struct script s;
    start(&s, 2, NULL);
    fill(&s, 1);
    struct script_client *c = open_peer(&s, 1);
    receive(c, "in", 0);
    script_settle(&s);
    cut(&s, c);
    struct script_client *other = open_peer(&s, 0);
    receive(other, "other", 0);
    script_pass(&s, (LIVES_S - 1) * 1000);
    assert_int_equal(amqp_look(other)->transfer, 0);
    script_pass(&s, 1500);
    other = open_peer(&s, 0);
    receive(other, "other", 0);
    script_settle(&s);
    assert_int_equal(amqp_look(other)->transfer, 1);
    assert_int_equal(script_counted(&s, GNT_COUNT_AMQP_SUSPENDED), 0);
    assert_int_equal(script_counted(&s, GNT_COUNT_AMQP_SUSPENDED_EXPIRED), 1);
    script_fini(&s);
}

/* So many links, half of them of one container, and so many deliveries. */
static void within_bounds(void **state)
{
    (void)state;
    static const struct {
        const char *setting;
        unsigned suspended;
    } rows[] = {
        {"limits.amqp_suspended=0", 0},
        {"limits.amqp_suspended=1", 1},
        {"limits.amqp_suspended=4", 2},
        {"limits.amqp_suspended=6", 3},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct script s;
        start(&s, 1, rows[i].setting);
        fill(&s, 3);
        struct script_client *c = open_peer(&s, 0);
        struct gnt_amqp_writer w = begin_to_say();
        put_receiver(&w, "a", 0);
        put_receiver(&w, "b", 1);
        put_receiver(&w, "c", 2);
        say(c, &w);
        script_settle(&s);
        assert_int_equal(amqp_look(c)->transfer, 3);
        cut(&s, c);
        assert_int_equal(script_counted(&s, GNT_COUNT_AMQP_SUSPENDED), rows[i].suspended);
        script_fini(&s);
    }
}

/* A sender called "out", to "q", that lives on, with what it has unsettled: one tag or none. */
static void put_sender(struct gnt_amqp_writer *w, const char *tag)
{
    uint8_t source_bytes[64], target_bytes[64], map_bytes[64];
    struct gnt_amqp_writer s = gnt_amqp_writer(source_bytes, sizeof source_bytes);
    struct gnt_amqp_writer t = gnt_amqp_writer(target_bytes, sizeof target_bytes);
    struct gnt_amqp_writer m = gnt_amqp_writer(map_bytes, sizeof map_bytes);
    struct gnt_amqp_source source = {.has.address = false};
    struct gnt_amqp_target target = {.has.address = true};
    struct gnt_amqp_attach attach = {.has.name = true};
    target.address = gnt_slice_str("q");
    GNT_AMQP_SET(&target, timeout, LIVES_S);
    gnt_amqp_put_source(&s, &source);
    gnt_amqp_put_target(&t, &target);
    attach.name = gnt_slice_str("out");
    GNT_AMQP_SET(&attach, handle, 0);
    GNT_AMQP_SET(&attach, role, GNT_AMQP_SENDER);
    GNT_AMQP_SET(&attach, source, gnt_amqp_encoded(gnt_amqp_written(&s)));
    GNT_AMQP_SET(&attach, target, gnt_amqp_encoded(gnt_amqp_written(&t)));
    GNT_AMQP_SET(&attach, initial_delivery_count, 0);
    if (tag) {
        size_t mark = gnt_amqp_begin_map(&m);
        gnt_amqp_put_binary(&m, gnt_slice_str(tag));
        gnt_amqp_put_null(&m);
        gnt_amqp_end_map(&m, mark, 2);
        GNT_AMQP_SET(&attach, unsettled, gnt_amqp_encoded(gnt_amqp_written(&m)));
    }
    amqp_put_frame(w, GNT_AMQP_ATTACH, &attach, gnt_slice(NULL, 0));
}

/* A durable message, with this tag. */
static void put_durable(struct gnt_amqp_writer *w, const char *tag, bool resume)
{
    static const uint8_t message[] = {0, 0x53, 0x70, 0xc0, 2, 1, 0x41, 0, 0x53, 0x75, 0xa0, 1, 'm'};
    struct gnt_amqp_transfer t = {.has.handle = true};
    GNT_AMQP_SET(&t, delivery_id, 0);
    GNT_AMQP_SET(&t, delivery_tag, gnt_slice_str(tag));
    if (resume)
        GNT_AMQP_SET(&t, resume, true);
    amqp_put_frame(w, GNT_AMQP_TRANSFER, &t, gnt_slice(message, sizeof message));
}

/* The connection goes while a message is made safe: who asks for it hears what became of it, also
 * if it asks before that is known, and if it is sent again it is not there twice. */
static void what_a_sender_has_not_heard(void **state)
{
    (void)state;
    for (unsigned to = 0; to < 2; to++) {
        for (unsigned early = 0; early < 2; early++) {
            struct script s;
            start(&s, 2, NULL);
            script_keep(&s);
            struct script_client *c = open_peer(&s, 0);
            struct gnt_amqp_writer w = begin_to_say();
            put_sender(&w, NULL);
            say(c, &w);
            script_settle(&s);
            s.store_waits = true;
            w = begin_to_say();
            put_durable(&w, "tag", false);
            say(c, &w);
            script_settle(&s);
            assert_int_equal(amqp_look(c)->disposition, 0);
            cut(&s, c);
            assert_int_equal(script_counted(&s, GNT_COUNT_AMQP_SUSPENDED), 1);
            if (!early)
                script_store(&s);
            c = open_peer(&s, to);
            w = begin_to_say();
            put_sender(&w, "tag");
            say(c, &w);
            script_settle(&s);
            assert_int_equal(amqp_look(c)->attach, !early);
            script_store(&s);
            const struct amqp_told *told = amqp_look(c);
            assert_int_equal(told->attach, 1);
            assert_non_null(strstr(told->text, "unsettled={b\"tag\": accepted"));
            w = begin_to_say();
            put_durable(&w, "tag", true);
            say(c, &w);
            script_settle(&s);
            script_store(&s);
            assert_int_equal(amqp_look(c)->disposition, 1);
            assert_int_equal(script_counted(&s, GNT_COUNT_QUEUED), 1);
            assert_int_equal(script_counted(&s, GNT_COUNT_AMQP_SUSPENDED), 0);
            s.store_waits = false;
            script_fini(&s);
        }
    }
}

static void on_deleted(struct gnt_home *home, struct gnt_entity_asking *asking,
                       enum gnt_queue_result result)
{
    (void)home, (void)asking;
    assert_int_equal(result, GNT_QUEUE_DONE);
}

/* Another queue of the same name counts from one again: what its receivers have is theirs. */
static void its_queue_is_made_anew(void **state)
{
    struct gnt_entity_asking asking = {.done = on_deleted,
                                       .verb = GNT_ENTITY_DELETE,
                                       .name = gnt_slice_str("q")};
    struct script s;
    (void)state;
    start(&s, 2, NULL);
    for (int i = 0; i < 2; i++) {
        fill(&s, 1);
        struct script_client *c = open_peer(&s, 0);
        receive(c, i ? "other" : "in", 0);
        script_settle(&s);
        assert_int_equal(amqp_look(c)->transfer, 1);
        cut(&s, c);
        assert_int_equal(script_counted(&s, GNT_COUNT_AMQP_SUSPENDED), i + 1);
        if (i == 0)
            gnt_entity_ask(&s.workers->core->homes[0], &asking);
        script_settle(&s);
    }
    struct script_client *c = open_peer(&s, 1);
    receive(c, "in", 0);
    script_settle(&s);
    assert_int_equal(amqp_look(c)->attach, 1);
    assert_int_equal(amqp_look(c)->transfer, 0);
    c = open_peer(&s, 1);
    receive(c, "other", 0);
    script_settle(&s);
    assert_int_equal(amqp_look(c)->transfer, 1);
    script_fini(&s);
}

/* A connection that has been cut, and another one that attaches its link again, so many turns of
 * the workers ago. */
static struct script_client *begin_to_resume(struct script *s, unsigned turns)
{
    start(s, 2, NULL);
    fill(s, 2);
    struct script_client *c = open_peer(s, 0);
    receive(c, "in", 0);
    script_settle(s);
    struct script_client *again = open_peer(s, 1);
    script_close(c);
    script_turn(s, 0);
    receive(again, "in", 0);
    for (unsigned i = 0; i < turns; i++) {
        s->now += GNT_NS_PER_MS;
        script_turn(s, (i + 1) % 2);
    }
    return again;
}

/* It is told so, or has the next one of that name. */
static void its_queue_is_deleted_meanwhile(void **state)
{
    struct gnt_entity_asking asking = {.done = on_deleted,
                                       .verb = GNT_ENTITY_DELETE,
                                       .name = gnt_slice_str("q")};
    (void)state;
    for (unsigned turns = 0; turns < 12; turns++) {
        for (unsigned home = 0; home < 2; home++) {
            struct script s;
            struct script_client *c = begin_to_resume(&s, turns);
            gnt_entity_ask(&s.workers->core->homes[home], &asking);
            script_settle(&s);
            fill(&s, 3);
            const struct amqp_told *told = amqp_look(c);
            assert_int_equal(told->attach, 1);
            assert_true(told->detach == 1 || told->transfer == 3);
            script_fini(&s);
        }
    }
}

/* However far the link has come by then: nothing is left behind. */
static void the_broker_ends_meanwhile(void **state)
{
    (void)state;
    for (unsigned turns = 0; turns < 12; turns++) {
        struct script s;
        (void)begin_to_resume(&s, turns);
        gnt_workers_free(&s.workers);
        for (size_t i = 0; i < s.count; i++) {
            script_close(&s.client[i]);
            free(s.client[i].in);
        }
        gnt_config_fini(&s.config);
        gnt_rcu_unregister();
        gnt_rcu_barrier();
    }
}

/* Whatever allocation fails, nothing is lost, and nothing is held for ever. */
static void without_memory(void **state)
{
    (void)state;
    bool failed = true;
    long n = 0;
    for (; failed; n++) {
        struct script s;
        start(&s, 2, NULL);
        s.hasty = true;
        fill(&s, 2);
        struct script_client *c = open_peer(&s, 0);
        receive(c, "in", 0);
        script_settle(&s);
        struct script_client *again = open_peer(&s, 1);
        gnt_alloc_fail_at(n);
        cut(&s, c);
        receive(again, "in", 0);
        script_settle(&s);
        failed = gnt_alloc_failed();
        gnt_alloc_fail_at(-1);
        if (!failed)
            assert_int_equal(amqp_look(again)->transfer, 2);
        cut(&s, again);
        script_pass(&s, (LIVES_S + 1) * 1000);
        struct script_client *other = open_peer(&s, 0);
        receive(other, "other", 0);
        script_settle(&s);
        assert_int_equal(amqp_look(other)->transfer, 2);
        script_fini(&s);
    }
    assert_true(n > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_another_worker),
        cmocka_unit_test(more_than_once),
        cmocka_unit_test(its_time_passes),
        cmocka_unit_test(its_queue_is_made_anew),
        cmocka_unit_test(its_queue_is_deleted_meanwhile),
        cmocka_unit_test(the_broker_ends_meanwhile),
        cmocka_unit_test(within_bounds),
        cmocka_unit_test(what_a_sender_has_not_heard),
        cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
