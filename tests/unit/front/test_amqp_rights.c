/* What AMQP peers may do with queues: however they spell them, and after the access list has
 * changed. */
#include "amqp/codec/message.h"
#include "auth/access.h"
#include "support/alloc_fault.h"
#include "support/amqp_script.h"
#include "support/unit.h"

static uint8_t said[65536];

struct rule {
    unsigned verbs;
    bool permits;
    const char *on;
};

static struct gnt_access *list_of(const struct rule *rules, size_t count)
{
    struct gnt_access *list;
    assert_int_equal(gnt_access_new(&list), GNT_OK);
    for (size_t i = 0; i < count; i++) {
        const char *why;
        const struct gnt_access_rule rule = {.verbs = (uint8_t)rules[i].verbs,
                                             .permits = rules[i].permits,
                                             .on = gnt_slice_str(rules[i].on)};
        assert_int_equal(gnt_access_add(list, &rule, &why), GNT_OK);
    }
    assert_int_equal(gnt_access_seal(list), GNT_OK);
    return list;
}

static const struct rule all_but_secret[] = {
    {GNT_VERBS_OF_QUEUES, true, "#"},
    {GNT_VERB_LISTEN, false, "secret"},
    {GNT_VERB_SEND, false, "Closed"},
};

static const struct rule only_orders[] = {
    {GNT_VERB_SEND, true, "Orders"},
    {GNT_VERB_LISTEN, true, "Orders"},
};

static void start(struct script *s, unsigned workers, const struct rule *rules, size_t count)
{
    struct gnt_access *list = list_of(rules, count);
    script_init(s, workers, NULL);
    s->amqp = true;
    s->capacity = sizeof said;
    gnt_workers_take_access(s->workers, list);
    gnt_access_unref(&list);
}

static void reload(struct script *s, const struct rule *rules, size_t count)
{
    struct gnt_access *list = list_of(rules, count);
    assert_int_equal(gnt_workers_mail_access(s->workers, list), GNT_OK);
    gnt_access_unref(&list);
}

static struct script_client *open_peer(struct script *s, unsigned worker)
{
    struct gnt_amqp_writer w = gnt_amqp_writer(said, sizeof said);
    struct script_client *c = script_open(s, worker);
    c->careless = true;
    amqp_put_opening(&w);
    script_send_bytes(c, gnt_amqp_written(&w));
    script_settle(s);
    assert_int_equal(amqp_look(c)->begin, 1);
    script_skip(c);
    return c;
}

/* Attaches, and looks at what comes of it. */
static const struct amqp_told *attach(struct script_client *c, uint32_t handle, bool receiver,
                                      const char *address)
{
    char name[16];
    struct gnt_amqp_writer w = gnt_amqp_writer(said, sizeof said);
    snprintf(name, sizeof name, "l%u", (unsigned)handle);
    amqp_put_attach(&w, name, handle, receiver, address);
    script_skip(c);
    script_send_bytes(c, gnt_amqp_written(&w));
    script_settle(c->script);
    return amqp_look(c);
}

static void refused(const struct amqp_told *told, const char *why)
{
    assert_int_equal(told->attach, 1);
    assert_int_equal(told->detach, 1);
    if (!strstr(told->text, why))
        fail_msg("expected %s in:\n%s", why, told->text);
}

/* A queue is the same however it is spelt, and so are the rights. */
static void spelling_leads_around_nothing(void **state)
{
    (void)state;
    static const struct {
        bool receiver;
        const char *address;
        bool may;
    } rows[] = {
        {true, "secret", false},  {true, "SECRET", false},
        {true, "Secret", false},  {true, "queue://sEcret", false},
        {true, "/SECRET", false}, {true, "amqp://host/SECRET", false},
        {false, "SECRET", true},  {true, "SECRET/$deadletterqueue", true},
        {false, "closed", false}, {false, "CLOSED", false},
        {true, "CLOSED", true},   {true, "secrets", true},
    };
    for (unsigned workers = 1; workers <= 2; workers++) {
        struct script s;
        start(&s, workers, all_but_secret, COUNT_OF(all_but_secret));
        struct script_client *c = open_peer(&s, 0);
        for (uint32_t i = 0; i < COUNT_OF(rows); i++) {
            const struct amqp_told *told = attach(c, i, rows[i].receiver, rows[i].address);
            print_message("%s\n", rows[i].address);
            if (rows[i].may)
                assert_int_equal(told->detach, 0);
            else
                refused(told, "amqp:unauthorized-access");
        }
        script_fini(&s);
    }
}

static void put_message(struct gnt_amqp_writer *w, uint32_t handle, uint32_t id, const char *to)
{
    uint8_t bytes[128];
    struct gnt_amqp_writer m = gnt_amqp_writer(bytes, sizeof bytes);
    struct gnt_amqp_properties properties = {.group_sequence = 0};
    GNT_AMQP_SET(&properties, to, gnt_slice_str(to));
    gnt_amqp_put_properties(&m, &properties);
    gnt_amqp_put_data(&m, LITERAL("x"));
    struct gnt_amqp_transfer transfer = {.handle = handle, .has.handle = true};
    GNT_AMQP_SET(&transfer, delivery_id, id);
    GNT_AMQP_SET(&transfer, delivery_tag, gnt_slice(&id, sizeof id));
    GNT_AMQP_SET(&transfer, message_format, 0);
    amqp_put_frame(w, GNT_AMQP_TRANSFER, &transfer, gnt_amqp_written(&m));
}

/* Messages that say themselves where they go; dead letters are nobody's to send. */
static void messages_are_asked_one_by_one(void **state)
{
    (void)state;
    static const struct {
        const char *to, *condition; /* NULL: accepted */
    } rows[] = {
        {"closed", "amqp:unauthorized-access"},
        {"CLOSED", "amqp:unauthorized-access"},
        {"queue://Closed", "amqp:unauthorized-access"},
        {"open", NULL},
        {"open/$DeadLetterQueue", "amqp:not-allowed"},
        {"queue://OPEN/$deadletterqueue", "amqp:not-allowed"},
        {"a/Partitions/0", "amqp:not-found"},
    };
    struct script s;
    start(&s, 2, all_but_secret, COUNT_OF(all_but_secret));
    struct script_client *c = open_peer(&s, 0);
    assert_int_equal(attach(c, 0, false, "")->detach, 0);
    for (uint32_t i = 0; i < COUNT_OF(rows); i++) {
        struct gnt_amqp_writer w = gnt_amqp_writer(said, sizeof said);
        put_message(&w, 0, i, rows[i].to);
        script_skip(c);
        script_send_bytes(c, gnt_amqp_written(&w));
        script_settle(&s);
        const struct amqp_told *told = amqp_look(c);
        print_message("%s: %s\n", rows[i].to, told->text);
        assert_int_equal(told->disposition, 1);
        assert_non_null(strstr(told->text, rows[i].condition ? rows[i].condition : "accepted"));
    }
    assert_int_equal(script_counted(&s, GNT_COUNT_QUEUED), 1);
    script_fini(&s);
}

static void nobody_sends_to_dead_letters(void **state)
{
    (void)state;
    struct script s;
    start(&s, 1, all_but_secret, COUNT_OF(all_but_secret));
    struct script_client *c = open_peer(&s, 0);
    assert_int_equal(attach(c, 0, false, "q")->detach, 0);
    refused(attach(c, 1, false, "q/$DeadLetterQueue"), "amqp:not-allowed");
    refused(attach(c, 2, false, "queue://Q/$deadletterqueue"), "amqp:not-allowed");
    assert_int_equal(attach(c, 3, true, "Q/$deadletterqueue")->detach, 0);
    script_fini(&s);
}

/* A name that no plain address has. */
static void what_is_no_name_is_told(void **state)
{
    (void)state;
    struct script s;
    start(&s, 1, all_but_secret, COUNT_OF(all_but_secret));
    struct script_client *c = open_peer(&s, 0);
    refused(attach(c, 0, true, "//a"), "neither $ nor / in front");
    refused(attach(c, 1, true, "queue://a/Partitions/0"), "this means something else");
    script_fini(&s);
}

/* ---- Another list */

/* Links that may not be any more end, whatever they are spelt, with the words; others stay. */
static void revoked_rights_end_links(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 3; workers++) {
        struct script s;
        start(&s, workers, all_but_secret, COUNT_OF(all_but_secret));
        struct script_client *c = open_peer(&s, 0);
        assert_int_equal(attach(c, 0, true, "ORDERS")->detach, 0);
        assert_int_equal(attach(c, 1, false, "orders")->detach, 0);
        assert_int_equal(attach(c, 2, true, "others")->detach, 0);
        assert_int_equal(attach(c, 3, false, "others")->detach, 0);
        assert_int_equal(attach(c, 4, true, "orders/$DeadLetterQueue")->detach, 0);
        assert_int_equal(attach(c, 5, false, "")->detach, 0);
        script_skip(c);
        reload(&s, only_orders, COUNT_OF(only_orders));
        script_settle(&s);
        const struct amqp_told *told = amqp_look(c);
        assert_int_equal(told->detach, 3);
        assert_non_null(strstr(told->text, "amqp:unauthorized-access"));
        assert_non_null(strstr(told->text, "not permitted any more"));
        assert_int_equal(told->close + told->end, 0);
        script_skip(c);
        reload(&s, NULL, 0);
        script_settle(&s);
        assert_int_equal(amqp_look(c)->detach, 2);
        script_skip(c);
        reload(&s, only_orders, COUNT_OF(only_orders));
        script_settle(&s);
        assert_int_equal(amqp_look(c)->detach, 0);
        assert_int_equal(attach(c, 6, true, "orders")->detach, 0);
        script_fini(&s);
    }
}

/* While the directory is asked about the queues, at homes of their own, the list changes. */
static void rights_that_go_while_a_link_is_attached(void **state)
{
    enum { LINKS = 8 };
    (void)state;
    struct script s;
    struct gnt_amqp_writer w = gnt_amqp_writer(said, sizeof said);
    start(&s, 3, all_but_secret, COUNT_OF(all_but_secret));
    struct script_client *c = open_peer(&s, 0);
    for (uint32_t i = 0; i < LINKS; i++) {
        char name[16];
        snprintf(name, sizeof name, "q%u", (unsigned)i);
        amqp_put_attach(&w, name, i, i % 2, name);
    }
    script_send_bytes(c, gnt_amqp_written(&w));
    for (int turns = 0; turns < 2; turns++) { /* it reads, then the list has come */
        s.now += GNT_NS_PER_MS;
        script_turn(&s, 0);
        if (turns == 0)
            reload(&s, only_orders, COUNT_OF(only_orders));
    }
    script_settle(&s);
    const struct amqp_told *told = amqp_look(c);
    assert_int_equal(told->attach, LINKS);
    assert_int_equal(told->detach, LINKS);
    script_fini(&s);
}

/* Some in each turn: of many links not all are looked at in one, and in the end every one is. */
static void many_links_are_reviewed_in_slices(void **state)
{
    enum { PEERS = 5, LINKS = 100 };
    (void)state;
    struct script s;
    start(&s, 1, all_but_secret, COUNT_OF(all_but_secret));
    struct script_client *c[PEERS];
    for (unsigned p = 0; p < PEERS; p++) {
        struct gnt_amqp_writer w = gnt_amqp_writer(said, sizeof said);
        c[p] = open_peer(&s, 0);
        for (uint32_t i = 0; i < LINKS; i++) {
            char name[16];
            snprintf(name, sizeof name, "l%u", (unsigned)i);
            amqp_put_attach(&w, name, i, true, i % 2 ? "orders" : "others");
        }
        script_send_bytes(c[p], gnt_amqp_written(&w));
        script_settle(&s);
        assert_int_equal(amqp_look(c[p])->attach, LINKS);
        script_skip(c[p]);
    }
    int64_t before = script_counted(&s, GNT_COUNT_SUBSCRIPTIONS_DENIED);
    reload(&s, only_orders, COUNT_OF(only_orders));
    unsigned turns = 0;
    for (int64_t denied = 0; denied < PEERS * LINKS / 2; turns++) {
        s.now += GNT_NS_PER_MS;
        script_turn(&s, 0);
        int64_t now = script_counted(&s, GNT_COUNT_SUBSCRIPTIONS_DENIED) - before;
        assert_in_range(now - denied, 0, 64);
        denied = now;
        if (turns == 2) { /* once more from the beginning; and one goes meanwhile */
            reload(&s, only_orders, COUNT_OF(only_orders));
            script_close(c[PEERS - 1]);
        }
        if (turns > 1000)
            fail_msg("%lld links have been ended", (long long)denied);
        if (turns > 50 && denied >= (PEERS - 1) * LINKS / 2)
            break;
    }
    assert_true(turns >= 4);
    for (unsigned p = 0; p < PEERS - 1; p++)
        assert_int_equal(amqp_look(c[p])->detach, LINKS / 2);
    script_fini(&s);
}

/* Whatever allocation fails, no link stays that may not, and nothing is held for ever. */
static void bears_a_lack_of_memory(void **state)
{
    (void)state;
    bool failed = true;
    for (long n = 0; failed; n++) {
        struct script s;
        start(&s, 2, all_but_secret, COUNT_OF(all_but_secret));
        s.hasty = true;
        struct script_client *c = open_peer(&s, 0);
        attach(c, 0, true, "orders");
        attach(c, 1, true, "others");
        struct gnt_access *list = list_of(only_orders, COUNT_OF(only_orders));
        script_skip(c);
        gnt_alloc_fail_at(n);
        gnt_err err = gnt_workers_mail_access(s.workers, list);
        script_settle(&s);
        failed = gnt_alloc_failed();
        gnt_alloc_fail_at(-1);
        gnt_access_unref(&list);
        assert_true(!err || err == GNT_NOMEM);
        const struct amqp_told *told = amqp_look(c);
        assert_true(err || told->detach || told->close || c->ended);
        script_close(c);
        script_settle(&s);
        script_fini(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spelling_leads_around_nothing),
        cmocka_unit_test(messages_are_asked_one_by_one),
        cmocka_unit_test(nobody_sends_to_dead_letters),
        cmocka_unit_test(what_is_no_name_is_told),
        cmocka_unit_test(revoked_rights_end_links),
        cmocka_unit_test(rights_that_go_while_a_link_is_attached),
        cmocka_unit_test(many_links_are_reviewed_in_slices),
        cmocka_unit_test(bears_a_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
