/* What a client is told about what is kept waits until it is safe; what is not kept does not.  The
 * store does nothing before script_store. */
#include "support/unit.h"

#include "support/rcu_group.h"
#include "support/script_client.h"

/* A client of 3.1.1 and of 5 whose session is kept, and one whose session is not. */
#define KEPT3(id) "10 | ['MQTT'] 04 00 0000 ['" id "']"
#define KEPT5(id) "10 | ['MQTT'] 05 00 0000 (11 00000100) ['" id "']"
#define CLEAN(id) "10 | ['MQTT'] 04 02 0000 ['" id "']"

static void begin(struct script *s, unsigned workers)
{
    script_init(s, workers, NULL);
    script_keep(s);
    s->store_waits = true;
}

static struct script_client *connected(struct script *s, const char *connect, const char *connack)
{
    struct script_client *c = script_open(s, 0);
    script_send(c, connect);
    script_store(s);
    script_expect(c, connack);
    return c;
}

static void end(struct script *s)
{
    script_store(s);
    script_fini(s);
}

static void what_is_kept_is_said_when_it_is_safe(void **state)
{
    (void)state;
    static const struct {
        const char *say, *at_once, *when_safe;
    } rows[] = {
        {KEPT3("k"), NULL, "20 02 00 00"},
        {"82 | 0001 ['t'] 02 ['u'] 01", NULL, "90 | 0001 02 01"},
        {"32 | ['t'] 0002 'a'", "32 | ['t'] 0001 'a'", "40 02 0002"}, /* once more harms nobody */
        {"34 | ['x'] 0003 'b'", NULL, "50 02 0003"}, /* nobody's, but that it came is kept */
        {"62 02 0003", NULL, "70 02 0003"},
        {"a2 | 0004 ['u']", NULL, "b0 02 0004"},
        {"34 | ['t'] 0005 'c'", NULL, "34 | ['t'] 0002 'c'; 50 02 0005"},
        {"50 02 0002", NULL, "62 02 0002"},
        {"31 | ['r'] 'x'; c000", "d000", NULL},      /* at most once */
        {"33 | ['r'] 0006 'y'", NULL, "40 02 0006"}, /* nothing but what is retained */
        {"33 | ['r'] 0007", NULL, "40 02 0007"},
    };
    struct script s;
    begin(&s, 1);
    struct script_client *c = script_open(&s, 0);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        script_send(c, rows[i].say);
        if (rows[i].at_once)
            script_expect(c, rows[i].at_once);
        script_expect_silence(c);
        script_store(&s);
        if (rows[i].when_safe)
            script_expect(c, rows[i].when_safe);
    }
    end(&s);
}

static void each_waits_for_its_own_batch(void **state)
{
    (void)state;
    enum { MANY = 6 };
    struct script s;
    begin(&s, 1);
    struct script_client *c = connected(&s, KEPT3("k"), "20 02 00 00");
    for (uint16_t i = 1; i <= MANY; i++) {
        script_sendf(c, "82 | %04x ['t/%u'] 01", i, i);
        script_expect_silence(c);
    }
    for (uint16_t i = 1; i <= MANY; i++) {
        script_store_step(&s);
        script_expectf(c, "90 | %04x 01", i);
        script_expect_silence(c);
    }
    end(&s);
}

/* Who has waited for one batch, and waits for the next one, is not told with one that came later.
 */
static void nobody_waits_behind_who_came_later(void **state)
{
    (void)state;
    struct script s;
    begin(&s, 1);
    struct script_client *a = connected(&s, KEPT3("a"), "20 02 00 00");
    struct script_client *b = connected(&s, KEPT3("b"), "20 02 00 00");
    static const struct {
        bool b;
        const char *say, *hear;
    } rows[] = {
        {false, "82 | 0001 ['t'] 01", "90 | 0001 01"},
        {false, "82 | 0002 ['u'] 01", "90 | 0002 01"},
        {true, "82 | 0003 ['v'] 01", "90 | 0003 01"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        script_send(rows[i].b ? b : a, rows[i].say);
        script_settle(&s);
    }
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        script_store_step(&s);
        script_expect(rows[i].b ? b : a, rows[i].hear);
        script_expect_silence(rows[i].b ? a : b);
    }
    end(&s);
}

/* What the store was asked to commit last. */
static struct {
    const struct gnt_store_engine *engine;
    bool lazy;
} seen;

static void see(struct gnt_store *s, struct gnt_batch *batch, struct gnt_completion *c)
{
    seen.lazy = batch->lazy;
    seen.engine->commit(s, batch, c);
}

/* Nor is the second batch that a client waits for put off, though the client is told of the first.
 */
static void what_is_waited_for_is_hurried(void **state)
{
    (void)state;
    struct script s;
    begin(&s, 1);
    struct gnt_store_engine seeing = *s.store->engine;
    seen.engine = s.store->engine;
    seeing.commit = see;
    s.store->engine = &seeing;
    struct script_client *c = connected(&s, KEPT3("k"), "20 02 00 00");
    for (uint16_t i = 1; i <= 3; i++) {
        seen.lazy = true;
        script_sendf(c, "82 | %04x ['t/%u'] 01", i, i);
        script_expect_silence(c);
        assert_false(seen.lazy);
    }
    script_store(&s);
    script_expect(c, "90 | 0001 01; 90 | 0002 01; 90 | 0003 01");
    script_send(c, "32 | ['t/1'] 0001 'x'");
    script_expect(c, "32 | ['t/1'] 0001 'x'");
    script_store(&s);
    script_expect(c, "40 02 0001");
    seen.lazy = false;
    script_send(c, "40 02 0001"); /* nobody is told that this is safe */
    script_settle(&s);
    assert_true(seen.lazy);
    s.store->engine = seen.engine;
    end(&s);
}

/* In which batch, by number, there was a message, and that one had come. */
static struct {
    const struct gnt_store_engine *engine;
    unsigned batch, message, received;
} written;

static void note(struct gnt_store *s, struct gnt_batch *batch, struct gnt_completion *c)
{
    struct gnt_slice bytes = gnt_buf_slice(&batch->bytes);
    written.batch++;
    if (batch->payload)
        written.message = written.batch;
    if (memmem(bytes.data, bytes.size, "received", strlen("received")))
        written.received = written.batch;
    written.engine->commit(s, batch, c);
}

/* That an exactly-once message has come is kept when it is safe in its queue, and not before: or
 * the broker would acknowledge after a crash what it does not have. */
static void what_came_for_a_queue_is_safe_before_that_it_came(void **state)
{
    (void)state;
    struct script s;
    for (unsigned workers = 1; workers <= 2; workers++) {
        begin(&s, workers);
        struct gnt_store_engine noting = *s.store->engine;
        written.engine = s.store->engine;
        noting.commit = note;
        s.store->engine = &noting;
        struct script_client *c = connected(&s, KEPT3("k"), "20 02 00 00");
        written.message = written.received = 0;
        script_send(c, "34 | ['$queue/q'] 0003 'b'");
        script_settle(&s);
        script_send(c, "3c | ['$queue/q'] 0003 'b'");
        while (!written.received) {
            script_expect_silence(c);
            script_store(&s);
        }
        script_expect_silence(c);
        script_store(&s);
        script_expect(c, "50 02 0003");
        assert_true(written.message && written.message < written.received);
        s.store->engine = written.engine;
        end(&s);
    }
}

static void what_is_not_kept_does_not_wait(void **state)
{
    (void)state;
    struct script s;
    begin(&s, 2);
    struct script_client *k = connected(&s, KEPT3("k"), "20 02 00 00");
    script_send(k, "82 | 0001 ['k/#'] 02");
    script_expect_silence(k);
    struct script_client *c = script_connect(&s, 0, CLEAN("c"), "20 02 00 00");
    script_send(c, "82 | 0001 ['c'] 02");
    script_expect(c, "90 | 0001 02");
    script_send(c, "32 | ['c'] 0002 'a'");
    script_expect(c, "32 | ['c'] 0001 'a'; 40 02 0002");
    script_send(c, "40 02 0001; 34 | ['c'] 0003 'b'");
    script_expect(c, "34 | ['c'] 0002 'b'; 50 02 0003");
    script_send(c, "50 02 0002; 62 02 0003");
    script_expect(c, "62 02 0002; 70 02 0003");
    script_send(c, "30 | ['k/1'] 'zero'; c000"); /* at most once, to whoever it is */
    script_expect(c, "d000");
    script_send(c, "32 | ['k/1'] 0004 'kept'"); /* what somebody else keeps */
    script_expect_silence(c);
    script_store(&s);
    script_expect(k, "90 | 0001 02; 30 | ['k/1'] 'zero'; 32 | ['k/1'] 0001 'kept'");
    script_expect(c, "40 02 0004");
    end(&s);
}

/* The publisher waits for its own home only, which has written what the other one is to have. */
static void the_publisher_waits_at_its_own_home(void **state)
{
    (void)state;
    struct script s;
    char here[16], there[16];
    begin(&s, 2);
    script_id_at(&s, 0, 0, here);
    script_id_at(&s, 1, 0, there);
    struct script_client *k = script_open(&s, 0), *p = script_open(&s, 1);
    script_sendf(k, "10 | ['MQTT'] 04 00 0000 ['%s']; 82 | 0001 ['t'] 01", there);
    script_sendf(p, "10 | ['MQTT'] 04 02 0000 ['%s']", here);
    script_store(&s);
    script_expect(k, "20 02 00 00; 90 | 0001 01");
    script_expect(p, "20 02 00 00");
    for (uint16_t i = 1; i <= 3; i++) {
        script_sendf(p, "32 | ['t'] %04x 'x'", i);
        script_expectf(k, "32 | ['t'] %04x 'x'", i);
        script_expect_silence(p);
        script_store(&s);
        script_expectf(p, "40 02 %04x", i);
        script_sendf(k, "40 02 %04x", i);
    }
    end(&s);
}

static void who_goes_behind_a_gate_comes_back(void **state)
{
    enum { MORE_THAN_LINGERING_MS = 10 * 1000 };
    (void)state;
    struct script s;
    begin(&s, 1);
    struct script_client *c = connected(&s, KEPT5("k"), "20 | 00 00 (22 000a)");
    script_send(c, "34 | ['t'] 0001 () 'a'");
    script_expect_silence(c);
    struct script_client *again = script_open(&s, 0);
    script_send(again, KEPT5("k"));
    script_settle(&s); /* it is taken over, and can be told that behind its PUBREC only */
    assert_false(c->ended);
    script_store(&s);
    script_skip(again);
    script_skip(c);
    script_expect_close(c);
    script_send(again, "3c | ['t'] 0001 () 'a'");
    script_expect(again, "50 02 0001"); /* it is safe already */
    script_send(again, "62 02 0001");
    script_expect_silence(again);
    script_close(again);
    script_pass(&s, MORE_THAN_LINGERING_MS); /* it goes for good, with its gate */
    script_store(&s);
    end(&s);
}

/* What a clean start has wiped out must not come back. */
static void a_clean_start_waits_for_the_end_of_what_was_kept(void **state)
{
    (void)state;
    struct script s;
    begin(&s, 1);
    struct script_client *k = connected(&s, KEPT3("k"), "20 02 00 00");
    script_send(k, "e000");
    script_expect_close(k);
    struct script_client *c = script_open(&s, 0);
    script_send(c, CLEAN("k"));
    script_expect_silence(c);
    script_store(&s);
    script_expect(c, "20 02 00 00");
    end(&s);
}

/* A client that waits for our disk is not taken for one that is slow, or silent. */
static void who_is_gated_is_not_punished(void **state)
{
    (void)state;
    struct script s;
    begin(&s, 1);
    struct script_client *c = script_open(&s, 0);
    script_send(c, "10 | ['MQTT'] 04 00 0005 ['k']");
    script_store(&s);
    script_expect(c, "20 02 00 00");
    script_send(c, "32 | ['t'] 0001 'a'; 34 | ['t'] 0002 'b'");
    script_expect(c, "40 02 0001"); /* nobody gets it */
    for (int i = 0; i < 100; i++) {
        script_send(c, "c000");
        script_pass(&s, 5000);
    }
    assert_int_equal(script_counted(&s, GNT_COUNT_WRITE_TIMEOUTS), 0);
    assert_int_equal(script_counted(&s, GNT_COUNT_KEEP_ALIVE_TIMEOUTS), 0);
    script_store(&s);
    script_expect(c, "50 02 0002");
    script_skip(c);
    end(&s);
}

static void set_trouble(struct script *s, gnt_err err)
{
    atomic_store(&s->store->trouble, err);
}

static void new_things_are_refused_in_trouble(void **state)
{
    (void)state;
    struct script s;
    begin(&s, 1);
    struct script_client *k = connected(&s, KEPT3("k"), "20 02 00 00");
    struct script_client *v = script_open(&s, 0);
    script_send(v, KEPT5("v"));
    script_store(&s);
    script_skip(v);
    script_send(k, "82 | 0001 ['t'] 02");
    script_store(&s);
    script_expect(k, "90 | 0001 02");
    set_trouble(&s, GNT_FULL);
    script_send(v, "32 | ['t'] 0001 () 'a'; 34 | ['t'] 0002 () 'b'; 82 | 0003 () ['u'] 01");
    script_expect(v, "40 | 0001 97; 50 | 0002 97; 90 | 0003 () 97");
    script_send(k, "82 | 0002 ['u'] 01; 30 | ['t'] 'zero'");
    script_expect(k, "90 | 0002 80; 30 | ['t'] 'zero'");
    script_send(k, "32 | ['t'] 0003 'a'"); /* cannot be told */
    script_expect_close(k);
    k = script_open(&s, 0); /* what is there goes on */
    script_send(k, KEPT3("k"));
    script_expect(k, "20 02 01 00");
    struct script_client *n = script_open(&s, 0);
    script_send(n, KEPT3("new"));
    script_expect(n, "20 02 00 03");
    script_expect_close(n);
    n = script_open(&s, 0);
    script_send(n, KEPT5("new"));
    script_settle(&s);
    script_read(n);
    assert_true(n->in_size > 3 && n->in[3] == 0x88);
    script_skip(n);
    script_expect_close(n);
    script_connect(&s, 0, CLEAN("clean"), "20 02 00 00");
    set_trouble(&s, GNT_OK);
    script_send(v, "32 | ['t'] 0001 () 'a'");
    script_expect(k, "32 | ['t'] 0001 'a'");
    script_store(&s);
    script_expect(v, "40 02 0001");
    end(&s);
}

/* Retained at most once, for which nobody waits, while the store does nothing. */
static void a_flood_is_held_while_the_store_is_behind(void **state)
{
    (void)state;
    enum { PAYLOAD = 100000, MANY = 400, SLACK = 1024 * 1024 };
    struct script s;
    script_init(&s, 1, "limits.packet=1MiB", NULL);
    script_keep(&s);
    s.store_waits = true;
    struct gnt_home *home = &s.workers->core->homes[0];
    struct script_client *flood = script_connect(&s, 0, CLEAN("flood"), "20 02 00 00");
    struct script_client *other = script_connect(&s, 0, CLEAN("other"), "20 02 00 00");
    script_send(other, "82 | 0001 ['o'] 00");
    script_expect(other, "90 | 0001 00");
    static const uint8_t head[] = {0x31, 0xa3, 0x8d, 0x06, 0, 1, 'r'};
    static uint8_t packet[sizeof head + PAYLOAD];
    memcpy(packet, head, sizeof head);
    int sent = 0;
    for (; !gnt_keep_is_behind(home); sent++) {
        assert_true(sent < MANY);
        script_send_bytes(flood, gnt_slice(packet, sizeof packet));
        script_settle(&s);
    }
    uint64_t ahead = home->keep.under_way;
    assert_true(ahead > GNT_KEEP_AHEAD_MAX && ahead < GNT_KEEP_AHEAD_MAX + SLACK);
    script_send_bytes(flood, gnt_slice(packet, sizeof packet)); /* as far as wires hold it */
    script_send(flood, "c000");
    script_settle(&s);
    assert_true(home->keep.under_way == ahead);
    script_expect_silence(flood);
    script_send(other, "30 | ['o'] 'x'"); /* others are read on */
    script_expect(other, "30 | ['o'] 'x'");
    script_pass(&s, 60000);
    script_store(&s);
    script_expect(flood, "d000");
    script_store(&s);
    assert_true(home->keep.under_way == 0);
    assert_int_equal(script_counted(&s, GNT_COUNT_PUBLISH_RECEIVED), sent + 2);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_kept_is_said_when_it_is_safe),
        cmocka_unit_test(each_waits_for_its_own_batch),
        cmocka_unit_test(nobody_waits_behind_who_came_later),
        cmocka_unit_test(what_is_waited_for_is_hurried),
        cmocka_unit_test(what_came_for_a_queue_is_safe_before_that_it_came),
        cmocka_unit_test(what_is_not_kept_does_not_wait),
        cmocka_unit_test(the_publisher_waits_at_its_own_home),
        cmocka_unit_test(who_goes_behind_a_gate_comes_back),
        cmocka_unit_test(a_clean_start_waits_for_the_end_of_what_was_kept),
        cmocka_unit_test(who_is_gated_is_not_punished),
        cmocka_unit_test(new_things_are_refused_in_trouble),
        cmocka_unit_test(a_flood_is_held_while_the_store_is_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
