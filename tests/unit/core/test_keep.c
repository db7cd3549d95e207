/* What is kept: worlds that end, cleanly or in the middle, and others that find what they left. */
#include "core/keep.h"

#include "core/session_private.h"
#include "store/memory.h"
#include "support/core_world.h"
#include "support/unit.h"

#include <stdio.h>
#include <stdlib.h>

struct fixture {
    struct gnt_store *store;
    struct world w;
};

static void begin(struct fixture *f, unsigned homes)
{
    world_init_kept(&f->w, homes, NULL, f->store);
}

static void open_store(struct fixture *f)
{
    assert_int_equal(gnt_store_memory_open(NULL, &f->store), GNT_OK);
}

static void crash(struct fixture *f, struct world_client *a, struct world_client *b)
{
    struct world_client *clients[] = {a, b};
    world_crash(&f->w, clients, (a != NULL) + (size_t)(b != NULL));
}

static void publish(struct fixture *f, unsigned home, const char *topic, const char *payload,
                    uint8_t qos)
{
    assert_true(world_publish(&f->w, home, topic, payload, qos, false) <= GNT_DONE_NO_MATCH);
}

/* The client goes, then the broker and its store. */
static void finish(struct fixture *f, struct world_client *c)
{
    world_disconnect(c);
    world_fini(&f->w);
    world_client_fini(c);
    gnt_store_close(&f->store);
}

static void what_waits_comes_after_a_restart(void **state)
{
    (void)state;
    struct fixture f;
    struct world_client c = {.id = "c"};
    open_store(&f);
    begin(&f, 1);
    assert_true(world_connect(&f.w, &c, false, 1000));
    assert_int_equal(world_subscribe(&c, "a/+", 2), GNT_DONE);
    world_disconnect(&c);
    publish(&f, 0, "a/b", "one", 1);
    publish(&f, 0, "a/b", "two", 2);
    publish(&f, 0, "a/b", "none", 0);
    world_settle(&f.w);
    crash(&f, &c, NULL);

    begin(&f, 1);
    assert_int_equal(f.w.recovered.sessions, 1);
    assert_int_equal(f.w.recovered.subscriptions, 1);
    assert_int_equal(f.w.recovered.deliveries, 2);
    publish(&f, 0, "a/b", "three", 1);
    assert_true(world_connect(&f.w, &c, false, 1000));
    assert_true(c.present);
    world_settle(&f.w);
    assert_string_equal(world_payloads(&c, 0), "one two three ");
    assert_ledger(&f.w);
    world_answer(&c);
    world_settle(&f.w);
    crash(&f, &c, NULL);

    begin(&f, 1);
    assert_int_equal(f.w.recovered.deliveries, 0);
    assert_true(world_connect(&f.w, &c, false, 1000));
    world_settle(&f.w);
    assert_int_equal(c.count, 3);
    finish(&f, &c);
}

static void what_is_in_flight_keeps_its_id(void **state)
{
    (void)state;
    struct fixture f;
    struct world_client c = {.id = "c"};
    open_store(&f);
    begin(&f, 1);
    assert_true(world_connect(&f.w, &c, false, 1000));
    assert_int_equal(world_subscribe(&c, "#", 2), GNT_DONE);
    publish(&f, 0, "t", "one", 1);
    publish(&f, 0, "t", "two", 2);
    publish(&f, 0, "t", "three", 2);
    publish(&f, 0, "t", "four", 1);
    world_settle(&f.w);
    assert_int_equal(c.count, 4);
    assert_int_equal(gnt_session_received(c.session, c.got[2].id, false), GNT_OK);
    assert_true(gnt_session_acknowledged(c.session, c.got[0].id, NULL));
    world_settle(&f.w);
    crash(&f, &c, NULL);

    begin(&f, 1);
    assert_true(world_connect(&f.w, &c, false, 1000));
    world_settle(&f.w);
    assert_string_equal(world_payloads(&c, 4), "two four ");
    assert_int_equal(c.got[4].id, c.got[1].id);
    assert_int_equal(c.got[5].id, c.got[3].id);
    assert_true(c.got[4].dup && c.got[5].dup);
    assert_int_equal(c.released_count, 1);
    assert_int_equal(c.released[0], c.got[2].id);
    assert_true(gnt_session_completed(c.session, c.released[0]));
    world_settle(&f.w);
    publish(&f, 0, "t", "five", 2);
    world_settle(&f.w);
    assert_int_equal(c.got[6].id, c.got[3].id + 1);
    finish(&f, &c);
}

static void what_came_once_is_remembered(void **state)
{
    (void)state;
    struct fixture f;
    struct world_client c = {.id = "c"};
    open_store(&f);
    begin(&f, 1);
    assert_true(world_connect(&f.w, &c, false, 1000));
    assert_int_equal(gnt_session_receive_once(c.session, 7), GNT_OK);
    assert_int_equal(gnt_session_receive_once(c.session, 8), GNT_OK);
    assert_int_equal(gnt_session_released(c.session, 8), GNT_OK);
    world_settle(&f.w);
    crash(&f, &c, NULL);
    begin(&f, 1);
    assert_true(world_connect(&f.w, &c, false, 1000));
    assert_int_equal(gnt_session_receive_once(c.session, 7), GNT_EXISTS);
    assert_int_equal(gnt_session_receive_once(c.session, 8), GNT_OK);
    finish(&f, &c);
}

/* What goes to a queue is new after a crash, unless it was safe there. */
static void what_came_once_for_a_queue_is_remembered_when_it_is_safe(void **state)
{
    (void)state;
    struct fixture f;
    struct world_client c = {.id = "c"};
    open_store(&f);
    begin(&f, 1);
    assert_true(world_connect(&f.w, &c, false, 1000));
    assert_int_equal(gnt_session_receive_unsafe(c.session, 7), GNT_OK);
    assert_int_equal(gnt_session_receive_unsafe(c.session, 7), GNT_EXISTS);
    assert_int_equal(gnt_session_receive_unsafe(c.session, 8), GNT_OK);
    gnt_session_has_received(world_home(&c), gnt_session_sink(c.session), 8);
    world_settle(&f.w);
    crash(&f, &c, NULL);
    begin(&f, 1);
    assert_true(world_connect(&f.w, &c, false, 1000));
    assert_int_equal(gnt_session_receive_unsafe(c.session, 7), GNT_OK);
    assert_int_equal(gnt_session_receive_unsafe(c.session, 8), GNT_EXISTS);
    assert_int_equal(gnt_session_released(c.session, 8), GNT_OK);
    finish(&f, &c);
}

/* What is on its way to another home when the process ends goes on afterwards, whatever number of
 * homes there is then. */
static void what_is_on_its_way_arrives(void **state)
{
    (void)state;
    for (unsigned homes = 1; homes <= 3; homes++) {
        struct fixture f;
        char id[16], other[16];
        struct world_client c = {.id = id}, d = {.id = other};
        open_store(&f);
        begin(&f, 2);
        world_id_at(&f.w, 1, 0, id);
        world_id_at(&f.w, 0, 0, other);
        assert_true(world_connect(&f.w, &c, false, 1000));
        assert_true(world_connect(&f.w, &d, false, 1000));
        assert_int_equal(world_subscribe(&c, "t", 2), GNT_DONE);
        assert_int_equal(world_subscribe(&d, "t", 1), GNT_DONE);
        world_settle(&f.w);
        publish(&f, 0, "t", "one", 2);
        world_commit(&f.w);
        crash(&f, &c, &d); /* which delivers the mail, but what comes of it is not committed */
        assert_int_equal(c.count, 1);
        assert_int_equal(d.count, 1);

        begin(&f, homes);
        assert_true(world_connect(&f.w, &c, false, 1000));
        assert_true(world_connect(&f.w, &d, false, 1000));
        world_settle(&f.w);
        assert_string_equal(world_payloads(&c, 1), "one ");
        assert_string_equal(world_payloads(&d, 1), "one ");
        c.answered = d.answered = 1;
        world_answer(&c);
        world_answer(&d);
        world_settle(&f.w);
        crash(&f, &c, &d);
        begin(&f, homes);
        assert_int_equal(f.w.recovered.deliveries, 0);
        world_fini(&f.w);
        world_client_fini(&c);
        world_client_fini(&d);
        gnt_store_close(&f.store);
    }
}

/* A store that loses all commits but the first few. */
struct dying {
    struct gnt_store store;
    struct gnt_store *real;
    unsigned commits;
};

static struct gnt_store *real_of(struct gnt_store *s)
{
    return GNT_CONTAINER(s, struct dying, store)->real;
}

static void dying_commit(struct gnt_store *s, struct gnt_batch *batch, struct gnt_completion *c)
{
    struct dying *d = GNT_CONTAINER(s, struct dying, store);
    if (d->commits) {
        d->commits--;
        gnt_store_commit(d->real, batch, c);
        return;
    }
    gnt_batch_fini(batch);
    c->result = GNT_IO;
    c->deliver(c->context, c);
}

static void dying_scan(struct gnt_store *s, struct gnt_slice table, struct gnt_slice prefix,
                       struct gnt_slice after, uint32_t most, struct gnt_store_read *r)
{
    gnt_store_scan(real_of(s), table, prefix, after, most, r);
}

static void dying_read(struct gnt_store *s, struct gnt_slice log, uint64_t from, uint32_t most,
                       struct gnt_store_read *r)
{
    gnt_store_read(real_of(s), log, from, most, r);
}

static void a_recovery_may_be_interrupted(void **state)
{
    (void)state;
    static const struct gnt_store_engine engine = {.commit = dying_commit,
                                                   .scan = dying_scan,
                                                   .read = dying_read};
    for (unsigned commits = 0; commits < 6; commits++) {
        struct fixture f;
        char id[16], other[16];
        struct world_client c = {.id = id}, d = {.id = other};
        open_store(&f);
        begin(&f, 2);
        world_id_at(&f.w, 1, 0, id);
        world_id_at(&f.w, 0, 0, other);
        assert_true(world_connect(&f.w, &c, false, 1000));
        assert_true(world_connect(&f.w, &d, false, 1000));
        assert_int_equal(world_subscribe(&c, "c", 2), GNT_DONE);
        assert_int_equal(world_subscribe(&d, "d", 2), GNT_DONE);
        world_settle(&f.w);
        publish(&f, 0, "c", "one", 2);
        publish(&f, 1, "d", "two", 2);
        world_commit(&f.w);
        crash(&f, &c, &d); /* both are on their way */

        struct dying dying = {.store = {.engine = &engine}, .real = f.store, .commits = commits};
        world_init_kept(&f.w, 1, NULL, &dying.store);
        crash(&f, NULL, NULL);

        begin(&f, 3);
        size_t before[] = {c.count, d.count};
        assert_true(world_connect(&f.w, &c, false, 1000));
        assert_true(world_connect(&f.w, &d, false, 1000));
        world_settle(&f.w);
        assert_string_equal(world_payloads(&c, before[0]), "one ");
        assert_string_equal(world_payloads(&d, before[1]), "two ");
        crash(&f, &c, &d);
        world_client_fini(&c);
        world_client_fini(&d);
        gnt_store_close(&f.store);
    }
}

static void publish_retained(struct fixture *f, unsigned home, const char *topic,
                             const char *payload)
{
    assert_int_equal(world_publish(&f->w, home, topic, payload, 2, true), GNT_DONE_NO_MATCH);
}

static void retained_messages_stay(void **state)
{
    (void)state;
    struct fixture f;
    struct world_client c = {.id = "c"};
    open_store(&f);
    begin(&f, 2);
    assert_int_equal(world_publish(&f.w, 0, "r/1", "old", 1, true), GNT_DONE_NO_MATCH);
    assert_int_equal(world_publish(&f.w, 1, "r/1", "new", 1, true), GNT_DONE_NO_MATCH);
    assert_int_equal(world_publish(&f.w, 0, "r/2", "gone", 1, true), GNT_DONE_NO_MATCH);
    assert_int_equal(world_publish(&f.w, 1, "r/2", "", 1, true), GNT_DONE_NO_MATCH);
    assert_int_equal(world_publish(&f.w, 1, "r/3", "zero", 0, true), GNT_DONE_NO_MATCH);
    world_settle(&f.w);
    crash(&f, NULL, NULL);
    begin(&f, 2);
    assert_int_equal(f.w.recovered.retained, 2);
    assert_true(world_connect(&f.w, &c, true, 0));
    assert_int_equal(world_subscribe(&c, "r/#", 1), GNT_DONE);
    assert_int_equal(c.count, 2);
    assert_non_null(strstr(world_payloads(&c, 0), "new "));
    assert_non_null(strstr(world_payloads(&c, 0), "zero "));
    world_answer(&c);
    finish(&f, &c);
}

/* The store has the batch of the publication and nothing that another home would have to do yet;
 * and whoever commits last does not bring back what is older. */
static void what_is_retained_is_kept_with_its_publication(void **state)
{
    (void)state;
    for (unsigned first = 0; first < 2; first++) {
        struct fixture f;
        struct world_client c = {.id = "c"};
        open_store(&f);
        begin(&f, 2);
        publish_retained(&f, 0, "r/1", "old");
        publish_retained(&f, 0, "r/2", "old");
        publish_retained(&f, 1, "r/2", "");
        publish_retained(&f, 1, "r/1", "new");
        publish_retained(&f, 0, "r/3", "zero");
        publish_retained(&f, 1, "r/4", "one");
        assert_true(gnt_keep_pending(&f.w.core->homes[0]) != 0);
        gnt_keep_commit(&f.w.core->homes[first]);
        gnt_keep_commit(&f.w.core->homes[!first]);
        crash(&f, NULL, NULL);
        begin(&f, 2);
        assert_int_equal(f.w.recovered.retained, 3);
        assert_true(world_connect(&f.w, &c, true, 0));
        assert_int_equal(world_subscribe(&c, "r/#", 1), GNT_DONE);
        assert_int_equal(c.count, 3);
        assert_non_null(strstr(world_payloads(&c, 0), "new "));
        world_answer(&c);
        world_disconnect(&c);
        world_fini(&f.w);
        world_client_fini(&c);
        gnt_store_close(&f.store);
    }
}

/* What is dropped without a look at it is counted with the size that they have on the average. */
static void bytes_add_up_when_some_are_dropped(void **state)
{
    (void)state;
    struct fixture f;
    struct world_client c = {.id = "c"};
    struct gnt_core_config config = world_config(1);
    config.overflow = GNT_OVERFLOW_DROP_OLDEST;
    config.queued_per_session = 2;
    open_store(&f);
    world_init_kept(&f.w, 1, &config, f.store);
    assert_true(world_connect(&f.w, &c, false, 1000));
    assert_int_equal(world_subscribe(&c, "t", 1), GNT_DONE);
    world_disconnect(&c);
    publish(&f, 0, "t", "a large one", 1);
    publish(&f, 0, "t", "b", 1);
    publish(&f, 0, "t", "c", 1);
    world_settle(&f.w);
    assert_true(world_connect(&f.w, &c, false, 1000));
    world_settle(&f.w);
    assert_string_equal(world_payloads(&c, 0), "b c ");
    assert_counted(&f.w, GNT_COUNT_QUEUED_BYTES, 2);
    world_answer(&c);
    finish(&f, &c);
}

static void a_will_waits_for_its_delay(void **state)
{
    (void)state;
    struct fixture f;
    struct world_client c = {.id = "c", .will_delay_s = 10}, d = {.id = "d"};
    open_store(&f);
    begin(&f, 1);
    c.will = world_message("w", "will", 1, false);
    assert_true(world_connect(&f.w, &d, false, 1000));
    assert_int_equal(world_subscribe(&d, "w", 1), GNT_DONE);
    assert_true(world_connect(&f.w, &c, false, 1000));
    world_settle(&f.w);
    crash(&f, &c, &d);
    begin(&f, 1);
    world_pass(&f.w, 9);
    assert_true(world_connect(&f.w, &d, false, 1000));
    world_settle(&f.w);
    assert_int_equal(d.count, 0);
    world_pass(&f.w, 2);
    assert_string_equal(world_payloads(&d, 0), "will ");
    crash(&f, &d, NULL);
    begin(&f, 1);
    world_pass(&f.w, 100);
    assert_true(world_connect(&f.w, &d, false, 1000));
    world_settle(&f.w);
    assert_int_equal(d.count,
                     2); /* again, as it was not acknowledged: the will was not sent twice */
    assert_true(d.got[1].dup);
    world_disconnect(&d);
    world_fini(&f.w);
    world_client_fini(&c);
    world_client_fini(&d);
    gnt_store_close(&f.store);
}

static void sessions_end_in_the_store_too(void **state)
{
    (void)state;
    struct fixture f;
    struct world_client c = {.id = "c"}, d = {.id = "d"};
    open_store(&f);
    begin(&f, 1);
    assert_true(world_connect(&f.w, &c, false, 10));
    assert_int_equal(world_subscribe(&c, "t", 1), GNT_DONE);
    assert_int_equal(world_subscribe(&c, "$share/g/t", 1), GNT_DONE);
    assert_true(world_connect(&f.w, &d, false, 1000));
    assert_int_equal(world_subscribe(&d, "t", 1), GNT_DONE);
    publish(&f, 0, "t", "one", 1);
    world_disconnect(&c);
    world_disconnect(&d);
    world_pass(&f.w, 11);
    crash(&f, NULL, NULL);
    begin(&f, 1);
    assert_int_equal(f.w.recovered.sessions, 1);
    assert_int_equal(f.w.recovered.subscriptions, 1);
    assert_int_equal(f.w.recovered.deliveries, 1);
    assert_true(world_connect(&f.w, &d, true, 0));
    world_settle(&f.w);
    assert_false(d.present);
    crash(&f, &d, NULL);
    begin(&f, 1);
    assert_int_equal(f.w.recovered.sessions, 0);
    assert_int_equal(f.w.recovered.subscriptions, 0);
    world_fini(&f.w);
    world_client_fini(&c);
    world_client_fini(&d);
    gnt_store_close(&f.store);
}

/* A long queue is in the store, and only there. */
static void a_long_queue_takes_no_memory(void **state)
{
    (void)state;
    enum { COUNT = 5000 };
    struct fixture f;
    struct world_client c = {.id = "c", .receive_max = 50};
    struct gnt_core_config config = world_config(1);
    config.queued_per_session = 0;
    open_store(&f);
    world_init_kept(&f.w, 1, &config, f.store);
    assert_true(world_connect(&f.w, &c, false, 1000));
    assert_int_equal(world_subscribe(&c, "t", 1), GNT_DONE);
    c.busy = true;
    for (int i = 0; i < COUNT; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        publish(&f, 0, "t", text, 1);
        if (i == COUNT / 2)
            world_disconnect(&c);
    }
    c.busy = false;
    assert_true(world_connect(&f.w, &c, false, 1000));
    do
        world_settle(&f.w);
    while (world_answer(&c));
    assert_int_equal(c.count, COUNT);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(atoi(c.got[i].payload), i);
    assert_ledger(&f.w);
    finish(&f, &c);
}

/* ---- Faults of the store */

/* The engine says that it cannot write, or can again. */
static void set_trouble(struct fixture *f, gnt_err err)
{
    atomic_store(&f->store->trouble, err);
}

static enum gnt_outcome publish_with(struct fixture *f, unsigned home, struct gnt_message *m,
                                     struct gnt_receipt *receipt)
{
    assert_non_null(m);
    enum gnt_outcome outcome = gnt_publish(&f->w.core->homes[home], m, receipt);
    gnt_message_unref(&m);
    return outcome;
}

static void what_is_new_is_refused_in_trouble(void **state)
{
    (void)state;
    struct fixture f;
    struct world_client c = {.id = "c"}, d = {.id = "d"}, clean = {.id = "e"};
    struct gnt_receipt receipt = {.outcome = GNT_DONE};
    struct gnt_session_open open = {.client_id = gnt_slice_str("new"),
                                    .expiry_s = 10,
                                    .receive_max = 10,
                                    .will_expiry_s = GNT_EXPIRY_NEVER};
    struct gnt_session *session;
    bool present;
    open_store(&f);
    begin(&f, 1);
    d.will = world_message("c/will", "will", 1, false);
    assert_true(world_connect(&f.w, &c, false, 1000));
    assert_true(world_connect(&f.w, &d, false, 1000));
    assert_int_equal(world_subscribe(&c, "c/#", 2), GNT_DONE);
    publish(&f, 0, "c/1", "before", 1);
    world_settle(&f.w);
    set_trouble(&f, GNT_FULL);
    /* what somebody can be told is refused, */
    assert_int_equal(publish_with(&f, 0, world_message("c/1", "x", 1, false), &receipt),
                     GNT_NO_ROOM);
    assert_int_equal(publish_with(&f, 0, world_message("r", "x", 1, true), &receipt), GNT_NO_ROOM);
    assert_int_equal(world_subscribe(&c, "d", 1), GNT_NO_ROOM);
    assert_int_equal(world_subscribe(&c, "$share/g/d", 1), GNT_NO_ROOM);
    assert_int_equal(gnt_session_receive_once(c.session, 9), GNT_IO);
    assert_int_equal(gnt_session_open(&f.w.core->homes[0], &open, &c.receiver, &session, &present),
                     GNT_IO);
    open.client_id = gnt_slice_str("c"); /* and does not harm the session that is there */
    open.clean_start = true;
    assert_int_equal(gnt_session_open(&f.w.core->homes[0], &open, &c.receiver, &session, &present),
                     GNT_IO);
    assert_non_null(c.session);
    /* what nobody waits for is not, nor what needs not be kept, nor what is in progress */
    world_cut(&d);
    world_settle(&f.w);
    assert_string_equal(world_payloads(&c, 0), "before will ");
    assert_int_equal(publish_with(&f, 0, world_message("nobody", "x", 1, false), &receipt),
                     GNT_DONE_NO_MATCH);
    assert_true(world_connect(&f.w, &clean, true, 0));
    assert_int_equal(world_subscribe(&clean, "e", 1), GNT_DONE);
    assert_int_equal(publish_with(&f, 0, world_message("e", "x", 1, false), &receipt), GNT_DONE);
    assert_int_equal(clean.count, 1);
    assert_int_equal(world_answer(&c), 2);
    world_disconnect(&c);
    assert_true(world_connect(&f.w, &c, false, 1000));
    assert_true(c.present);
    set_trouble(&f, GNT_OK);
    assert_int_equal(world_subscribe(&c, "d", 1), GNT_DONE);
    assert_int_equal(gnt_session_receive_once(c.session, 9), GNT_OK);
    world_answer(&clean);
    world_fini(&f.w);
    world_client_fini(&c);
    world_client_fini(&d);
    world_client_fini(&clean);
    gnt_store_close(&f.store);
}

/* ---- Reads that come late */

/* How many deliveries are in memory for the session with this SINK. */
static size_t in_memory(struct fixture *f, uint64_t sink)
{
    const struct gnt_session *s = gnt_session_of(gnt_slots_find(&f->w.core->homes[0].slots, sink));
    return s->queue ? s->queue->backlog.count : 0;
}

/* A client goes while its messages are on their way from the store: they stay there. */
static void who_goes_during_a_read_loses_nothing(void **state)
{
    (void)state;
    enum { COUNT = 2000 };
    struct fixture f;
    struct world_client c = {.id = "c"};
    struct gnt_core_config config = world_config(1);
    config.queued_per_session = 0;
    open_store(&f);
    world_init_kept(&f.w, 1, &config, f.store);
    assert_true(world_connect(&f.w, &c, false, 1000));
    assert_int_equal(world_subscribe(&c, "t", 1), GNT_DONE);
    world_disconnect(&c);
    for (int i = 0; i < COUNT; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        publish(&f, 0, "t", text, 1);
    }
    world_settle(&f.w);
    c.receive_max = 150; /* so that some of what has been read is left in memory */
    for (int round = 0; world_counted(&f.w, GNT_COUNT_QUEUED); round++) {
        assert_true(world_connect(&f.w, &c, false, 1000));
        uint64_t sink = gnt_session_sink(c.session);
        if (round % 4)
            world_settle(&f.w);
        world_answer(&c); /* which has more read */
        world_cut(&c);
        if (round % 3)
            world_settle(&f.w);
        assert_int_equal(in_memory(&f, sink), 0);
        assert_true(round < 100);
    }
    bool seen[COUNT] = {false};
    size_t count = 0;
    for (size_t i = 0; i < c.count; i++) {
        int number = atoi(c.got[i].payload);
        count += !seen[number];
        seen[number] = true;
    }
    assert_int_equal(count, COUNT);
    assert_ledger(&f.w);
    assert_counted(&f.w, GNT_COUNT_DROPPED_DAMAGED, 0);
    world_fini(&f.w);
    world_client_fini(&c);
    gnt_store_close(&f.store);
}

/* ---- Retained messages that expire */

static struct gnt_message *retained_for(struct fixture *f, const char *topic, uint64_t seconds)
{
    struct gnt_message_init init = {.topic = gnt_slice(topic, strlen(topic)),
                                    .payload = gnt_slice_str("x"),
                                    .retain = true,
                                    .qos = 1,
                                    .expires = f->w.now + seconds * GNT_NS_PER_S};
    struct gnt_message *m;
    assert_int_equal(gnt_message_new(&init, &m), GNT_OK);
    return m;
}

struct counting {
    struct gnt_store_read read;
    size_t count;
};

static void on_counted(struct gnt_store_read *read, const struct gnt_store_record *record)
{
    (void)record;
    GNT_CONTAINER(read, struct counting, read)->count++;
}

static void ignore(struct gnt_completion *c, gnt_err result)
{
    (void)c;
    assert_int_equal(result, GNT_OK);
}

/* Records of a table. */
static size_t records(struct gnt_store *store, const char *table)
{
    static const struct gnt_slice all;
    struct counting counting = {.read = {.record = on_counted}};
    counting.read.completion =
        (struct gnt_completion){.done = ignore, .deliver = gnt_store_deliver_here};
    gnt_store_scan(store, gnt_slice(table, strlen(table)), all, all, GNT_STORE_READ_MAX,
                   &counting.read);
    return counting.count;
}

/* However often a topic is published to in one turn, the batch has its last message, once; and who
 * is acknowledged waits for that batch, each of them. */
static void the_last_retained_message_of_a_turn_is_written(void **state)
{
    (void)state;
    struct fixture f;
    open_store(&f);
    begin(&f, 2);
    struct gnt_home *home = &f.w.core->homes[0];
    uint64_t mark = gnt_keep_mark(home);
    for (unsigned i = 0; i < 300; i++) {
        char payload[8], topic[8];
        snprintf(payload, sizeof payload, "%u", i);
        snprintf(topic, sizeof topic, "r/%u", i % 3);
        struct gnt_message *m = world_message(topic, i % 3 == 2 && i > 290 ? "" : payload, 0, true);
        assert_int_equal(gnt_publish(home, m, NULL), GNT_DONE_NO_MATCH);
        gnt_message_unref(&m);
        assert_int_not_equal(gnt_keep_mark(home), mark);
        mark = gnt_keep_mark(home);
        assert_int_not_equal(gnt_keep_pending(home), 0);
    }
    assert_int_equal(home->keep.retained.count, 3);
    world_settle(&f.w);
    assert_int_equal(gnt_keep_pending(home), 0);
    assert_int_equal(records(f.store, "retained"), 2);
    crash(&f, NULL, NULL);
    begin(&f, 2);
    struct gnt_message *m = gnt_tree_retained_at(f.w.core->tree, gnt_slice_str("r/1"));
    assert_true(gnt_slice_eq_str(m->payload, "298"));
    gnt_message_unref(&m);
    world_fini(&f.w);
    gnt_store_close(&f.store);
}

static void expired_retained_messages_go(void **state)
{
    (void)state;
    enum { COUNT = 600 };
    struct fixture f;
    open_store(&f);
    begin(&f, 2);
    for (unsigned i = 0; i < COUNT; i++) {
        char topic[16];
        snprintf(topic, sizeof topic, "r/%u", i);
        publish_with(&f, i % 2, retained_for(&f, topic, i % 3 ? 10 : 1000), NULL);
    }
    world_settle(&f.w);
    assert_int_equal(records(f.store, "retained"), COUNT);
    for (int i = 0; i < 20; i++)
        world_pass(&f.w, 1);
    assert_int_equal(records(f.store, "retained"), COUNT / 3);
    assert_int_equal(gnt_tree_retained_count(f.w.core->tree), COUNT / 3);
    crash(&f, NULL, NULL);
    begin(&f, 2); /* whose clock begins anew */
    assert_int_equal(f.w.recovered.retained, COUNT / 3);
    struct gnt_message *m = retained_for(&f, "old", 0);
    m->expires = 5; /* long ago, when the next one begins */
    publish_with(&f, gnt_home_of(f.w.core->homes, m->topic), m, NULL);
    world_commit(&f.w);
    assert_int_equal(records(f.store, "retained"), COUNT / 3 + 1);
    crash(&f, NULL, NULL);
    begin(&f, 2);
    assert_int_equal(f.w.recovered.retained, COUNT / 3);
    assert_int_equal(records(f.store, "retained"), COUNT / 3);
    world_fini(&f.w);
    gnt_store_close(&f.store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_waits_comes_after_a_restart),
        cmocka_unit_test(what_is_in_flight_keeps_its_id),
        cmocka_unit_test(what_came_once_is_remembered),
        cmocka_unit_test(what_came_once_for_a_queue_is_remembered_when_it_is_safe),
        cmocka_unit_test(what_is_on_its_way_arrives),
        cmocka_unit_test(a_recovery_may_be_interrupted),
        cmocka_unit_test(bytes_add_up_when_some_are_dropped),
        cmocka_unit_test(retained_messages_stay),
        cmocka_unit_test(what_is_retained_is_kept_with_its_publication),
        cmocka_unit_test(a_will_waits_for_its_delay),
        cmocka_unit_test(sessions_end_in_the_store_too),
        cmocka_unit_test(a_long_queue_takes_no_memory),
        cmocka_unit_test(what_is_new_is_refused_in_trouble),
        cmocka_unit_test(who_goes_during_a_read_loses_nothing),
        cmocka_unit_test(the_last_retained_message_of_a_turn_is_written),
        cmocka_unit_test(expired_retained_messages_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
