/* The ledger, as clients see it: of each session and shared group, and of a client's own. */
#include "core/ledger.h"
#include "core/session_private.h"
#include "support/alloc_fault.h"
#include "support/script_client.h"
#include "support/unit.h"

#define CONNECT(id) "10 | ['MQTT'] 04 00 0000 ['" id "']"
#define LEDGER      "$SYS/broker/ledger/"

/* A client that is subscribed to TOPIC and expects VALUE there, retained; NULL: nothing. */
static void expect_account(struct script *s, const char *topic, const char *value)
{
    struct script_client *c = script_open(s, 0);
    script_sendf(c, "10 | ['MQTT'] 04 02 0000 ['w%zu']", s->count);
    script_expect(c, "20 02 00 00");
    script_sendf(c, "82 | 0001 ['" LEDGER "%s'] 00", topic);
    if (value)
        script_expectf(c, "90 | 0001 00; 31 | ['" LEDGER "%s'] '%s'", topic, value);
    else
        script_expect(c, "90 | 0001 00");
    script_close(c);
    script_settle(s);
}

static void subscribed(struct script_client *c, const char *filter)
{
    script_sendf(c, "82 | 0001 ['%s'] 01", filter);
    script_expect(c, "90 | 0001 01");
}

static void of_each_session(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 2, "sys_interval=10s", "sys_ledgers=true", "limits.queued_per_session=2", NULL);
    struct script_client *a = script_connect(&s, 0, CONNECT("a/+#%"), "20 02 00 00");
    struct script_client *away = script_connect(&s, 1, CONNECT("away"), "20 02 00 00");
    script_connect(&s, 1, CONNECT("idle"), "20 02 00 00");
    subscribed(a, "t");
    subscribed(away, "t");
    script_close(away);
    script_settle(&s);
    script_send(a, "32 | ['t'] 0001 'x'; 32 | ['t'] 0002 'x'; 32 | ['t'] 0003 'x'; 30 | ['t'] 'x'");
    script_settle(&s);
    script_skip(a);
    script_send(a, "40 02 0001");
    script_pass(&s, 10100);
    expect_account(&s, "session/a%2F%2B%23%25", "{\"received\":4,\"delivered\":2,\"queued\":2}");
    expect_account(&s, "session/away",
                   "{\"received\":4,\"queued\":2,\"dropped\":{\"queue_full\":1,\"away\":1}}");
    expect_account(&s, "session/idle", NULL);
    expect_account(&s, "queued", "4");
    script_fini(&s);
}

static void of_each_group(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 2, "sys_interval=10s", "sys_ledgers=true", NULL);
    struct script_client *member = script_connect(&s, 0, CONNECT("m"), "20 02 00 00");
    struct script_client *from = script_connect(&s, 1, CONNECT("from"), "20 02 00 00");
    subscribed(member, "$share/g/t/+");
    script_send(from, "32 | ['t/1'] 0001 'x'; 30 | ['t/2'] 'x'");
    script_expect(from, "40 02 0001");
    script_skip(member);
    script_pass(&s, 10100);
    expect_account(&s, "group/g/t%2F%2B", "{\"received\":2,\"delivered\":2}");
    expect_account(&s, "session/m", "{\"received\":2,\"delivered\":1,\"queued\":1}");
    expect_account(&s, "received", "2");
    script_close(member); /* the one that it did not acknowledge goes back, and to nobody else */
    script_pass(&s, 10100);
    expect_account(&s, "group/g/t%2F%2B", "{\"received\":2,\"delivered\":1,\"queued\":1}");
    expect_account(&s, "session/m", "{\"received\":1,\"delivered\":1}");
    script_fini(&s);
}

/* Many are told in pieces; those that have gone are forgotten; a reload turns it off and on. */
static void of_those_that_are_there(void **state)
{
    (void)state;
    enum { SESSIONS = 150 };
    struct script s;
    script_init(&s, 1, "sys_interval=10s", "sys_ledgers=true", NULL);
    struct script_client *from = script_connect(&s, 0, CONNECT("from"), "20 02 00 00");
    for (int i = 0; i < SESSIONS; i++) {
        struct script_client *c = script_open(&s, 0);
        script_sendf(c, "10 | ['MQTT'] 04 00 0000 ['c%d']", i);
        script_expect(c, "20 02 00 00");
        subscribed(c, "t");
        script_close(c);
    }
    script_send(from, "32 | ['t'] 0001 'x'");
    script_expect(from, "40 02 0001");
    script_pass(&s, 10100);
    expect_account(&s, "session/c0", "{\"received\":1,\"queued\":1}");
    expect_account(&s, "session/c149", "{\"received\":1,\"queued\":1}");
    struct script_client *again =
        script_connect(&s, 0, "10 | ['MQTT'] 04 02 0000 ['c0']", "20 02 00 00");
    script_close(again);
    script_pass(&s, 40000);
    expect_account(&s, "session/c0", NULL);
    expect_account(&s, "session/c149", "{\"received\":1,\"queued\":1}");
    script_set(&s, "sys_ledgers=false");
    assert_int_equal(gnt_workers_reload(s.workers, &s.config), GNT_OK);
    script_pass(&s, 40000);
    expect_account(&s, "session/c149", NULL);
    script_set(&s, "sys_ledgers=true");
    assert_int_equal(gnt_workers_reload(s.workers, &s.config), GNT_OK);
    script_pass(&s, 10100);
    expect_account(&s, "session/c149", "{\"received\":1,\"queued\":1}");
    script_fini(&s);
}

static void off_by_default(void **state)
{
    (void)state;
    struct script s;
    script_init(&s, 1, "sys_interval=10s", NULL);
    struct script_client *c = script_connect(&s, 0, CONNECT("c"), "20 02 00 00");
    subscribed(c, "t");
    script_send(c, "30 | ['t'] 'x'");
    script_expect(c, "30 | ['t'] 'x'");
    script_pass(&s, 10100);
    expect_account(&s, "session/c", NULL);
    expect_account(&s, "delivered", "1");
    script_fini(&s);
}

/* [MQTT5 3.2.2.3.10]: what was dropped, to the client that comes again. */
static void of_its_own_drops(void **state)
{
    (void)state;
    static const char told[] = "20 | 01 00 (22 000a 26 ['dropped/queue_full'] ['2'] "
                               "26 ['dropped/away'] ['1'])";
    static const char plain[] = "20 | 01 00 (22 000a)";
    static const struct {
        const char *option, *connect, *connack;
    } rows[] = {
        {"tell_dropped=true", "10 | ['MQTT'] 05 00 0000 (11 000000ff) ['c']", told},
        {"tell_dropped=true", "10 | ['MQTT'] 05 00 0000 (11 000000ff 27 00000020) ['c']", plain},
        {"tell_dropped=true", "10 | ['MQTT'] 04 00 0000 ['c']", "20 02 01 00"},
        {"tell_dropped=true", "10 | ['MQTT'] 05 02 0000 () ['c']", "20 | 00 00 (22 000a)"},
        {"tell_dropped=false", "10 | ['MQTT'] 05 00 0000 (11 000000ff) ['c']", plain},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct script s;
        script_init(&s, 1, rows[i].option, "limits.queued_per_session=1", NULL);
        struct script_client *from = script_connect(&s, 0, CONNECT("from"), "20 02 00 00");
        struct script_client *c =
            script_connect(&s, 0, "10 | ['MQTT'] 05 02 0000 (11 000000ff) ['c']",
                           "20 | 00 00 (22 000a)");
        script_send(c, "82 | 0001 () ['t'] 01");
        script_expect(c, "90 | 0001 () 01");
        script_close(c);
        script_settle(&s);
        script_send(from, "32 | ['t'] 0001 '1'; 32 | ['t'] 0002 '2'; 32 | ['t'] 0003 '3'; "
                          "30 | ['t'] '4'");
        script_expect(from, "40 02 0001; 40 02 0002; 40 02 0003");
        c = script_connect(&s, 0, rows[i].connect, rows[i].connack);
        script_settle(&s);
        script_skip(c); /* the one that was kept */
        script_fini(&s);
    }
}

/* As many kinds as there are. */
static void of_all_kinds_of_drops(void **state)
{
    (void)state;
    static const char connect[] = "10 | ['MQTT'] 05 00 0000 (11 000000ff) ['c']";
    struct script s;
    script_init(&s, 1, "tell_dropped=true", NULL);
    struct script_client *c = script_connect(&s, 0, connect, "20 | 00 00 (22 000a)");
    script_send(c, "82 | 0001 () ['t'] 00; 30 | ['t'] () ''");
    script_expect(c, "90 | 0001 () 00; 30 | ['t'] () ''");
    script_close(c);
    script_settle(&s);
    struct gnt_home *home = s.workers->worker[0].home;
    const struct gnt_session *session = gnt_session_find(home, gnt_slice_str("c"));
    for (int row = GNT_COUNT_EXPIRED; row <= GNT_LEDGER_LAST; row++)
        gnt_ledger_pass(home, session->ledger, (enum gnt_counter)row);
    char told[1024] = "20 | 01 00 (22 000a";
    for (int row = GNT_COUNT_EXPIRED; row <= GNT_LEDGER_LAST; row++) {
        size_t used = strlen(told);
        snprintf(told + used, sizeof told - used, " 26 ['%s'] ['1']",
                 gnt_counter_topic((enum gnt_counter)row) + strlen("ledger/"));
    }
    strcat(told, ")");
    script_connect(&s, 0, connect, told);
    script_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_each_session),         cmocka_unit_test(of_each_group),
        cmocka_unit_test(of_those_that_are_there), cmocka_unit_test(off_by_default),
        cmocka_unit_test(of_its_own_drops),        cmocka_unit_test(of_all_kinds_of_drops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
