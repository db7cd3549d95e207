/* What the broker says to an AMQP peer that says all that it has at once: through engine, front and
 * core together, cut anywhere, and without memory anywhere. */
#include "amqp/codec/message.h"
#include "support/alloc_fault.h"
#include "support/amqp_script.h"
#include "support/script_client.h"
#include "support/unit.h"

static uint8_t said[4096];

static void put_credit(struct gnt_amqp_writer *w, uint32_t credit)
{
    struct gnt_amqp_flow flow = {.has.incoming_window = true};
    flow.incoming_window = 100;
    GNT_AMQP_SET(&flow, next_incoming_id, 0);
    GNT_AMQP_SET(&flow, next_outgoing_id, 0);
    GNT_AMQP_SET(&flow, outgoing_window, 100);
    GNT_AMQP_SET(&flow, handle, 1);
    GNT_AMQP_SET(&flow, link_credit, credit);
    amqp_put_frame(w, GNT_AMQP_FLOW, &flow, gnt_slice(NULL, 0));
}

/* Message number ID, in two frames. */
static void put_message(struct gnt_amqp_writer *w, uint32_t id)
{
    uint8_t bytes[64];
    struct gnt_amqp_writer m = gnt_amqp_writer(bytes, sizeof bytes);
    gnt_amqp_put_data(&m, gnt_slice_str("hello"));
    struct gnt_slice message = gnt_amqp_written(&m);
    struct gnt_amqp_transfer transfer = {.has.handle = true};
    GNT_AMQP_SET(&transfer, delivery_id, id);
    GNT_AMQP_SET(&transfer, delivery_tag, gnt_slice(&id, sizeof id));
    GNT_AMQP_SET(&transfer, message_format, 0);
    GNT_AMQP_SET(&transfer, more, true);
    amqp_put_frame(w, GNT_AMQP_TRANSFER, &transfer, gnt_slice(message.data, 4));
    transfer = (struct gnt_amqp_transfer){.has.handle = true};
    amqp_put_frame(w, GNT_AMQP_TRANSFER, &transfer, gnt_slice_skip(message, 4));
}

static void put_accept(struct gnt_amqp_writer *w, uint32_t id)
{
    struct gnt_amqp_disposition d = {.has.first = true};
    d.first = id;
    GNT_AMQP_SET(&d, role, GNT_AMQP_RECEIVER);
    GNT_AMQP_SET(&d, settled, true);
    GNT_AMQP_SET(&d, state, gnt_amqp_fieldless(GNT_AMQP_ACCEPTED));
    amqp_put_frame(w, GNT_AMQP_DISPOSITION, &d, gnt_slice(NULL, 0));
}

static void put_close(struct gnt_amqp_writer *w)
{
    const struct gnt_amqp_close close = {.has.error = false};
    amqp_put_frame(w, GNT_AMQP_CLOSE, &close, gnt_slice(NULL, 0));
}

/* What a peer says up to its attaches, and then when it has credit. */
struct exchange {
    struct gnt_slice opening, messages;
};

/* What is sent to `to` can be received from `from`. */
struct way {
    const char *from, *to;
};
static const struct way queue = {"q", "q"}, topic = {"topic://t", "topic://t"};
static const struct way ways[] = {{"q", "q"},
                                  {"queue://q", "queue://q"},
                                  {"topic://t", "topic://t"},
                                  {"topic://$share/g/+", "topic://t"}};

static struct exchange put_exchange(struct way way, uint32_t messages)
{
    struct gnt_amqp_writer w = gnt_amqp_writer(said, sizeof said);
    amqp_put_opening(&w);
    amqp_put_attach(&w, "in", 1, true, way.from);
    put_credit(&w, messages);
    amqp_put_attach(&w, "out", 0, false, way.to);
    size_t size = w.size;
    for (uint32_t id = 0; id < messages; id++)
        put_message(&w, id);
    assert_true(gnt_amqp_fits(&w));
    return (struct exchange){gnt_slice(said, size), gnt_slice(said + size, w.size - size)};
}

static void say(struct script_client *c, const struct exchange *e)
{
    script_send_bytes(c, e->opening);
    script_settle(c->script);
    script_send_bytes(c, e->messages);
    script_settle(c->script);
}

static struct script_client *open_careless(struct script *s, unsigned worker)
{
    struct script_client *c = script_open(s, worker);
    c->careless = true;
    return c;
}

static void all_at_once(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 3; workers++) {
        for (size_t i = 0; i < COUNT_OF(ways); i++) {
            struct script s;
            script_init(&s, workers, NULL);
            s.amqp = true;
            struct script_client *c = open_careless(&s, workers - 1);
            const struct exchange e = put_exchange(ways[i], 3);
            say(c, &e);
            const struct amqp_told *told = amqp_look(c);
            assert_int_equal(told->open, 1);
            assert_int_equal(told->begin, 1);
            assert_int_equal(told->attach, 2);
            assert_int_equal(told->transfer, 3);
            assert_true(told->disposition >= 1);
            assert_int_equal(told->detach + told->end + told->close, 0);
            assert_int_equal(script_counted(&s, GNT_COUNT_AMQP_RECEIVED), 3);
            assert_int_equal(script_counted(&s, GNT_COUNT_AMQP_SENT), 3);
            assert_int_equal(script_counted(&s, GNT_COUNT_QUEUED), 3);
            struct gnt_amqp_writer w = gnt_amqp_writer(said, sizeof said);
            for (uint32_t id = 0; id < 3; id++)
                put_accept(&w, id);
            put_close(&w);
            script_send_bytes(c, gnt_amqp_written(&w));
            script_settle(&s);
            assert_int_equal(amqp_look(c)->close, 1);
            assert_true(c->ended);
            assert_int_equal(script_counted(&s, GNT_COUNT_QUEUED), 0);
            assert_int_equal(script_counted(&s, GNT_COUNT_DELIVERED), 3);
            script_fini(&s);
        }
    }
}

/* Byte by byte it is the same. */
static void in_pieces(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 1, NULL);
    s.amqp = true;
    struct script_client *c = open_careless(&s, 0);
    const struct exchange e = put_exchange(queue, 2);
    for (size_t i = 0; i < e.opening.size + e.messages.size; i++) {
        script_send_bytes(c, gnt_slice(said + i, 1));
        script_settle(&s);
    }
    assert_int_equal(amqp_look(c)->transfer, 2);
    script_fini(&s);
}

/* A connection that is cut anywhere leaves nothing behind but whole messages. */
static void cut_everywhere(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 2, NULL);
    s.amqp = true;
    const struct exchange e = put_exchange(queue, 1);
    for (size_t at = 0; at <= e.opening.size + e.messages.size; at++) {
        s.count = 0; /* the clients so far have gone */
        struct script_client *c = open_careless(&s, at % 2);
        size_t first = at < e.opening.size ? at : e.opening.size;
        script_send_bytes(c, gnt_slice(said, first));
        script_settle(&s);
        script_send_bytes(c, gnt_slice(said + first, at - first));
        if (at % 3)
            script_settle(&s);
        script_close(c);
        script_settle(&s);
        free(c->in);
        c->in = NULL;
    }
    s.count = 0;
    assert_true(script_counted(&s, GNT_COUNT_QUEUED) >= 1);
    script_fini(&s);
}

static void silence_ends_it(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 1, "limits.amqp_idle=2s", NULL);
    s.amqp = true;
    struct script_client *c = open_careless(&s, 0);
    const struct exchange e = put_exchange(queue, 1);
    say(c, &e);
    script_pass(&s, 1500);
    assert_int_equal(amqp_look(c)->close, 0);
    script_pass(&s, 1000);
    assert_int_equal(amqp_look(c)->close, 1);
    assert_int_equal(script_counted(&s, GNT_COUNT_KEEP_ALIVE_TIMEOUTS), 1);
    script_pass(&s, 6000); /* it is not waited for any longer */
    assert_true(gnt_worker_idle(&s.workers->worker[0]));
    struct script_client *silent = open_careless(&s, 0);
    script_pass(&s, 11000); /* limits.connect_timeout */
    script_read(silent);
    assert_true(silent->ended);
    script_fini(&s);
}

static void a_stop_is_told(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 1, NULL);
    s.amqp = true;
    struct script_client *c = open_careless(&s, 0);
    const struct exchange e = put_exchange(topic, 1);
    say(c, &e);
    gnt_worker_stop(&s.workers->worker[0]);
    script_settle(&s);
    assert_int_equal(amqp_look(c)->close, 1);
    script_fini(&s);
}

/* Whatever allocation fails: the connection may go, but nothing is lost in silence, and nothing is
 * held for ever. */
static void without_memory(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(ways); i++) {
        bool failed = true;
        for (long n = 0; failed; n++) {
            struct script s;
            script_init(&s, 2, NULL);
            s.amqp = true;
            s.hasty = true;
            const struct exchange e = put_exchange(ways[i], 2);
            struct script_client *c = open_careless(&s, 0);
            gnt_alloc_fail_at(n);
            say(c, &e);
            failed = gnt_alloc_failed();
            gnt_alloc_fail_at(-1);
            if (!failed)
                assert_int_equal(amqp_look(c)->transfer, 2);
            script_close(c);
            script_settle(&s);
            script_fini(&s);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_at_once),    cmocka_unit_test(in_pieces),
        cmocka_unit_test(cut_everywhere), cmocka_unit_test(silence_ends_it),
        cmocka_unit_test(a_stop_is_told), cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
