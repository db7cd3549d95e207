/* What clients are told that the access list stops, and that it does so in every version. */
#include "support/alloc_fault.h"
#include "support/script_client.h"
#include "support/unit.h"

#include "auth/access.h"

#include <stdio.h>

#define KEPT "10 | ['MQTT'] 04 00 0000 ['k']"

static const struct {
    const char *name, *connect, *connack, *props;
    bool tells; /* its acknowledgements can say no */
} versions[] = {
    {"3.1", "10 | ['MQIsdp'] 03 02 0000", "20 02 00 00", "", false},
    {"3.1.1", "10 | ['MQTT'] 04 02 0000", "20 02 00 00", "", false},
    {"5", "10 | ['MQTT'] 05 02 0000 ()", "20 | 00 00 (22 000a)", "()", true},
};

static void permit(struct gnt_access *list, unsigned verbs, const char *on)
{
    const char *why;
    const struct gnt_access_rule rule = {.verbs = (uint8_t)verbs,
                                         .permits = true,
                                         .on = gnt_slice_str(on)};
    assert_int_equal(gnt_access_add(list, &rule, &why), GNT_OK);
}

/* Everybody may publish below WHERE, and be given what is below ok. */
static struct gnt_access *list_of(const char *where)
{
    struct gnt_access *list;
    assert_int_equal(gnt_access_new(&list), GNT_OK);
    permit(list, GNT_VERB_PUBLISH, where);
    permit(list, GNT_VERB_SUBSCRIBE | GNT_VERB_RECEIVE, "ok/#");
    assert_int_equal(gnt_access_seal(list), GNT_OK);
    return list;
}

static void start(struct script *s, unsigned workers)
{
    struct gnt_access *list = list_of("ok/${client}/#");
    script_init(s, workers, NULL);
    gnt_workers_take_access(s->workers, list);
    gnt_access_unref(&list);
}

static struct script_client *client(struct script *s, size_t version, const char *id)
{
    char connect[100];
    snprintf(connect, sizeof connect, "%s ['%s']", versions[version].connect, id);
    return script_connect(s, 0, connect, versions[version].connack);
}

static void publications(void **state)
{
    (void)state;
    for (size_t v = 0; v < COUNT_OF(versions); v++) {
        struct script s;
        start(&s, 1);
        struct script_client *b = client(&s, v, "b"), *a = client(&s, v, "a");
        const char *p = versions[v].props;
        script_sendf(b, "82 | 0001 %s ['ok/#'] 00", p);
        script_expectf(b, "90 | 0001 %s 00", p);
        script_sendf(a, "30 | ['ok/b/t'] %s 'no'; 31 | ['ok/b/t'] %s 'no'", p, p);
        script_sendf(a, "32 | ['ok/b/t'] 0001 %s 'no'; 34 | ['ok/b/t'] 0002 %s 'no'", p, p);
        script_expect(a, versions[v].tells ? "40 | 0001 87; 50 | 0002 87" : "40 | 0001; 50 | 0002");
        assert_int_equal(script_counted(&s, GNT_COUNT_PUBLISH_DENIED), 4);
        assert_int_equal(script_counted(&s, GNT_COUNT_RETAINED), 0);
        /* The id is free: what comes with it now is another message. */
        script_sendf(a, "34 | ['ok/a/t'] 0002 %s 'yes'; 62 | 0002", p);
        script_expect(a, "50 | 0002; 70 | 0002");
        script_expectf(b, "30 | ['ok/a/t'] %s 'yes'", p);
        assert_int_equal(script_counted(&s, GNT_COUNT_PUBLISH_DENIED), 4);
        script_fini(&s);
    }
}

/* Nor does a session that is kept remember an id that was refused. */
static void no_id_is_kept(void **state)
{
    (void)state;
    struct script s;
    start(&s, 1);
    script_keep(&s);
    struct script_client *b = client(&s, 1, "b");
    script_send(b, "82 | 0001 ['ok/#'] 00");
    script_expect(b, "90 | 0001 00");
    struct script_client *k = script_connect(&s, 0, KEPT, "20 02 00 00");
    script_send(k, "34 | ['no'] 0007 'x'");
    script_expect(k, "50 | 0007");
    script_close(k);
    k = script_connect(&s, 0, KEPT, "20 02 01 00");
    script_send(k, "34 | ['ok/k/t'] 0007 'yes'; 62 | 0007");
    script_expect(k, "50 | 0007; 70 | 0007");
    script_expect(b, "30 | ['ok/k/t'] 'yes'");
    script_fini(&s);
}

/* An exactly-once message that has been taken is acknowledged again, whatever the list says then.
 */
static void what_has_been_taken_stays_taken(void **state)
{
    (void)state;
    struct script s;
    start(&s, 1);
    struct script_client *a = client(&s, 2, "a");
    script_send(a, "34 | ['ok/a/t'] 0002 () 'yes'");
    script_expect(a, "50 | 0002 10");
    struct gnt_access *other = list_of("other");
    assert_int_equal(gnt_workers_mail_access(s.workers, other), GNT_OK);
    gnt_access_unref(&other);
    script_settle(&s);
    script_send(a, "3c | ['ok/a/t'] 0002 () 'yes'; 34 | ['ok/a/t'] 0003 () 'new'; 62 | 0002");
    script_expect(a, "50 | 0002; 50 | 0003 87; 70 | 0002");
    script_fini(&s);
}

static void subscriptions(void **state)
{
    (void)state;
    static const char *const answers[] = {"90 | 0001 01 02 01", "90 | 0001 01 80 01",
                                          "90 | 0001 () 01 87 01"};
    for (size_t v = 0; v < COUNT_OF(versions); v++) {
        struct script s;
        start(&s, 2);
        struct script_client *c = client(&s, v, "c");
        script_sendf(c, "82 | 0001 %s ['ok/#'] 01 ['no/#'] 02 ['+/x'] 01", versions[v].props);
        script_expect(c, answers[v]);
        assert_int_equal(script_counted(&s, GNT_COUNT_SUBSCRIPTIONS), 2);
        script_fini(&s);
    }
}

/* With many rules to compare it with, a filter takes as long as many. */
static void many_filters_under_many_rules(void **state)
{
    (void)state;
    enum { RULES = 2000, FILTERS = 100 };
    uint8_t packet[1024] = {0x82};
    struct gnt_access *list;
    struct script s;
    script_init(&s, 1, NULL);
    assert_int_equal(gnt_access_new(&list), GNT_OK);
    for (unsigned i = 0; i < RULES; i++)
        permit(list, GNT_VERB_SUBSCRIBE | GNT_VERB_RECEIVE, i % 2 ? "ok/+" : "+/x");
    assert_int_equal(gnt_access_seal(list), GNT_OK);
    gnt_workers_take_access(s.workers, list);
    gnt_access_unref(&list);
    struct script_client *c = client(&s, 1, "c");
    size_t size = 5; /* with a length of two bytes, and the id */
    for (unsigned i = 0; i < FILTERS; i++)
        size += (size_t)snprintf((char *)packet + size, sizeof packet - size, "%c%cok/%02u%c", 0, 5,
                                 i, 0);
    packet[1] = (uint8_t)(0x80 | ((size - 3) & 0x7f));
    packet[2] = (uint8_t)((size - 3) >> 7);
    packet[4] = 1;
    script_send_bytes(c, gnt_slice(packet, size));
    for (unsigned turns = 0; turns < 4; turns++)
        script_turn(&s, 0);
    assert_in_range(script_counted(&s, GNT_COUNT_SUBSCRIPTIONS), 1, FILTERS / 2);
    script_settle(&s);
    assert_int_equal(script_counted(&s, GNT_COUNT_SUBSCRIPTIONS), FILTERS);
    script_skip(c);
    script_fini(&s);
}

/* Nobody is taken over by a client that is refused. */
static void wills(void **state)
{
    (void)state;
    struct script s;
    start(&s, 1);
    struct script_client *first = client(&s, 1, "a"), *c = script_open(&s, 0);
    script_send(c, "10 | ['MQTT'] 04 06 0000 ['a'] ['no'] ['gone']");
    script_expect(c, "20 02 00 05");
    script_expect_close(c);
    c = script_open(&s, 0);
    script_send(c, "10 | ['MQIsdp'] 03 06 0000 ['a'] ['no'] ['gone']");
    script_expect(c, "20 02 00 05");
    script_expect_close(c);
    c = script_open(&s, 0);
    script_send(c, "10 | ['MQTT'] 05 06 0000 () ['a'] () ['ok/b/t'] ['gone']");
    script_expect(c, "20 | 00 87 (1f ['not authorized'])");
    script_expect_close(c);
    script_send(first, "c000");
    script_expect(first, "d000");
    script_connect(&s, 0, "10 | ['MQTT'] 05 06 0000 () ['b'] () ['ok/b/t'] ['gone']",
                   "20 | 00 00 (22 000a)");
    assert_int_equal(script_counted(&s, GNT_COUNT_CONNECTIONS_REFUSED), 3);
    script_fini(&s);
}

static void a_reload(void **state)
{
    (void)state;
    struct script s;
    start(&s, 2);
    struct script_client *a = client(&s, 2, "a"), *b = client(&s, 2, "b");
    struct gnt_access *other = list_of("other");
    script_send(a, "32 | ['other'] 0001 () 'x'");
    script_expect(a, "40 | 0001 87");
    assert_int_equal(gnt_workers_mail_access(s.workers, other), GNT_OK);
    gnt_access_unref(&other);
    script_settle(&s);
    script_send(a, "32 | ['other'] 0001 () 'x'; 32 | ['ok/a'] 0002 () 'x'");
    script_expect(a, "40 | 0001 10; 40 | 0002 87");
    assert_int_equal(gnt_workers_mail_access(s.workers, NULL), GNT_OK);
    script_settle(&s);
    script_send(b, "32 | ['anything'] 0001 () 'x'; 82 | 0002 () ['no/#'] 00");
    script_expect(b, "40 | 0001 10; 90 | 0002 () 00");
    script_fini(&s);
}

/* Short of memory nobody may more than the list says. */
static void short_of_memory(void **state)
{
    (void)state;
    bool failed = true;
    for (long n = 0; failed; n++) {
        struct script s;
        start(&s, 1);
        struct script_client *c = script_open(&s, 0);
        script_send(c, "10 | ['MQTT'] 05 06 0000 () ['a'] () ['ok/a/t'] ['gone']; "
                       "32 | ['no'] 0001 () 'x'");
        gnt_alloc_fail_at(n);
        script_settle(&s);
        failed = gnt_alloc_failed();
        gnt_alloc_fail_at(-1);
        script_settle(&s);
        if (!failed)
            script_expect(c, "20 | 00 00 (22 000a); 40 | 0001 87");
        assert_int_equal(script_counted(&s, GNT_COUNT_RETAINED), 0);
        c->careless = true;
        script_fini(&s);
    }
}

/* The mail of a reload, too: on failure it is to be said again. */
static void reload_short_of_memory(void **state)
{
    (void)state;
    gnt_err err = GNT_NOMEM;
    for (long n = 0; err; n++) {
        struct script s;
        start(&s, 2);
        struct gnt_access *other = list_of("other");
        gnt_alloc_fail_at(n);
        err = gnt_workers_mail_access(s.workers, other);
        gnt_alloc_fail_at(-1);
        gnt_access_unref(&other);
        script_fini(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(publications),
        cmocka_unit_test(no_id_is_kept),
        cmocka_unit_test(what_has_been_taken_stays_taken),
        cmocka_unit_test(subscriptions),
        cmocka_unit_test(many_filters_under_many_rules),
        cmocka_unit_test(wills),
        cmocka_unit_test(a_reload),
        cmocka_unit_test(short_of_memory),
        cmocka_unit_test(reload_short_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
