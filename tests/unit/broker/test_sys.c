/* $SYS: sums over all workers, retained, told where they change. */
#include "support/alloc_fault.h"
#include "support/script_client.h"
#include "support/unit.h"

#define CONNECT(id) "10 | ['MQTT'] 04 00 0000 ['" id "']"

static struct script_client *watch(struct script *s, const char *topic)
{
    struct script_client *c = script_open(s, 0);
    script_sendf(c, "10 | ['MQTT'] 04 02 0000 ['%zu']", s->count);
    script_expect(c, "20 02 00 00");
    script_sendf(c, "82 | 0001 ['$SYS/broker/%s'] 00", topic);
    script_expect(c, "90 | 0001 00");
    script_settle(s);
    return c;
}

static void expect_told(struct script_client *c, unsigned first, const char *topic,
                        const char *value)
{
    script_expectf(c, "%02x | ['$SYS/broker/%s'] '%s'", first, topic, value);
}

static void sums_over_all_workers(void **state)
{
    (void)state;
    static const struct {
        const char *topic, *first, *then;
    } rows[] = {
        {"clients/connected", "0", "3"},      {"clients/active", "0", "3"},
        {"clients/total", "0", "4"},          {"clients/disconnected", "0", "1"},
        {"clients/inactive", "0", "1"},       {"clients/maximum", "0", "3"},
        {"subscriptions/count", "0", "3"},    {"publish/messages/received", "0", "4"},
        {"publish/bytes/received", "0", "7"}, {"publish/messages/dropped", "0", "1"},
        {"ledger/dropped/away", "0", "1"},    {"connections/accepted", "0", "4"},
        {"connections/welcomed", "0", "4"},   {"store/messages/count", "0", "1"},
        {"store/messages/bytes", "0", "2"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct script s;
        script_init(&s, 3, "sys_interval=10s", NULL);
        script_settle(&s);
        struct script_client *c = watch(&s, rows[i].topic);
        expect_told(c, 0x31, rows[i].topic, rows[i].first);
        struct script_client *away = script_connect(&s, 1, CONNECT("away"), "20 02 00 00");
        script_send(away, "82 | 0001 ['t'] 01");
        script_expect(away, "90 | 0001 01");
        script_close(away);
        script_settle(&s);
        struct script_client *a = script_connect(&s, 1, CONNECT("a"), "20 02 00 00");
        struct script_client *b = script_connect(&s, 2, CONNECT("b"), "20 02 00 00");
        script_send(a, "30 | ['t'] 'x'; 30 | ['n'] 'xy'; 82 | 0001 ['u'] 00");
        script_send(b, "32 | ['t'] 0001 'xy'; 30 | ['n'] 'xy'");
        script_expect(a, "90 | 0001 00");
        script_expect(b, "40 02 0001");
        script_pass(&s, 10100);
        expect_told(c, 0x30, rows[i].topic, rows[i].then);
        script_pass(&s, 30000); /* nothing has changed, nothing is told */
        script_expect_silence(c);
        script_fini(&s);
    }
}

static void averages(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 1, "sys_interval=60s", NULL);
    script_settle(&s);
    struct script_client *c = watch(&s, "load/publish/received/+");
    script_skip(c);
    script_send(c, "30 | ['n'] 'x'; 30 | ['n'] 'x'; 30 | ['n'] 'x'");
    script_pass(&s, 60100); /* three in a minute: 1 - 1/e of it, and so on */
    expect_told(c, 0x30, "load/publish/received/1min", "1.90");
    expect_told(c, 0x30, "load/publish/received/5min", "0.54");
    expect_told(c, 0x30, "load/publish/received/15min", "0.19");
    script_fini(&s);
    script_init(&s, 1, "sys_interval=60s", NULL);
    script_settle(&s);
    c = watch(&s, "load/connections/+");
    script_skip(c);
    script_pass(&s, 60100); /* its own */
    expect_told(c, 0x30, "load/connections/1min", "0.63");
    expect_told(c, 0x30, "load/connections/5min", "0.18");
    expect_told(c, 0x30, "load/connections/15min", "0.06");
    script_fini(&s);
}

static void never(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 1, "sys_interval=0s", NULL);
    struct script_client *c = watch(&s, "#");
    script_pass(&s, 100000);
    script_expect_silence(c);
    script_set(&s, "sys_interval=5s"); /* a reload turns it on, with all that does not change */
    assert_int_equal(gnt_workers_reload(s.workers, &s.config), GNT_OK);
    script_pass(&s, 5100);
    expect_told(c, 0x30, "version", "gnatter version " GNATTER_VERSION);
    script_skip(c);
    script_set(&s, "sys_interval=0s");
    assert_int_equal(gnt_workers_reload(s.workers, &s.config), GNT_OK);
    script_settle(&s);
    script_skip(c);
    script_pass(&s, 100000);
    script_expect_silence(c);
    script_fini(&s);
}

/* What could not be told for lack of memory is told the next time. */
static void without_memory(void **state)
{
    (void)state;
    bool failed = true;
    for (long n = 0; failed && n < 2000; n++) {
        struct script s;
        script_init(&s, 2, "sys_interval=1s", NULL);
        gnt_alloc_fail_at(n);
        script_settle(&s);
        failed = gnt_alloc_failed();
        gnt_alloc_fail_at(-1);
        script_pass(&s, 1100);
        struct script_client *c = watch(&s, "version");
        expect_told(c, 0x31, "version", "gnatter version " GNATTER_VERSION);
        script_fini(&s);
    }
    assert_false(failed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_over_all_workers),
        cmocka_unit_test(averages),
        cmocka_unit_test(never),
        cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
